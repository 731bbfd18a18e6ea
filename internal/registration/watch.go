package registration

import (
	"context"
	"log/slog"
	"sync"

	"gapura/internal/id"
)

// hub tells those who watch an order of its changes.
type hub struct {
	mu       sync.Mutex
	watchers map[id.ID]map[*watcher]struct{}
}

// watcher is one open page. Its channel holds the latest change only: a page wants to know how things stand, not how they
// came about, and a slow one must not hold anybody up.
type watcher struct {
	changes chan Change
	version int
}

// Watch sends every change of the order after it happened, at most some seconds late, until ctx ends. A change that
// follows another too fast for the reader replaces it.
func (e *Engine) Watch(ctx context.Context, order id.ID) <-chan Change {
	w := &watcher{changes: make(chan Change, 1)}
	e.hub.add(order, w)
	context.AfterFunc(ctx, func() { e.hub.remove(order, w) })
	return w.changes
}

func (h *hub) add(order id.ID, w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watchers == nil {
		h.watchers = map[id.ID]map[*watcher]struct{}{}
	}
	if h.watchers[order] == nil {
		h.watchers[order] = map[*watcher]struct{}{}
	}
	h.watchers[order][w] = struct{}{}
}

func (h *hub) remove(order id.ID, w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if delete(h.watchers[order], w); len(h.watchers[order]) == 0 {
		delete(h.watchers, order)
	}
	close(w.changes)
}

func (h *hub) tell(c Change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watchers[c.Order] {
		if c.Version <= w.version {
			continue
		}
		w.version = c.Version
		select {
		case <-w.changes:
		default:
		}
		w.changes <- c
	}
}

func (h *hub) watched() []id.ID {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]id.ID, 0, len(h.watchers))
	for order := range h.watchers {
		all = append(all, order)
	}
	return all
}

// watchChunk is how many orders one look-up asks about.
const watchChunk = 500

// pollWatched finds changes that other processes made: one look-up for 500 open pages.
func (e *Engine) pollWatched(ctx context.Context) {
	orders := e.hub.watched()
	for len(orders) > 0 {
		n := min(len(orders), watchChunk)
		changes, err := e.cfg.Store.States(ctx, orders[:n])
		if e.blind.turned(err != nil) && err != nil && ctx.Err() == nil {
			e.cfg.Log.Warn("open pages are not told of changes until the database answers", slog.Any("error", err))
		}
		if err != nil {
			return
		}
		for _, c := range changes {
			e.hub.tell(c)
		}
		orders = orders[n:]
	}
}

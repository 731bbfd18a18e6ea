// Package gather turns a crowd of single calls into few large runs: whatever arrives while one run is busy becomes the next.
// Load becomes batch size instead of contention, and nobody waits for a timer.
package gather

import (
	"context"
	"errors"
	"sync"
	"time"
)

// What Offer refuses with.
var (
	ErrFull   = errors.New("the queue is full")
	ErrClosed = errors.New("the queue is closed")
)

// Limits bound a Gatherer.
type Limits struct {
	Queue int // items that may wait; one more is refused
	Batch int // items handed to one run
}

// Gatherer collects items for a single runner. It is safe for concurrent use.
type Gatherer[T any] struct {
	limits Limits
	run    func(ctx context.Context, items []T)

	mu     sync.Mutex
	items  []T
	spare  []T // the other of two buffers that swap, so that a steady crowd allocates nothing
	closed bool
	wake   chan struct{}
}

// New returns a Gatherer that hands its items to run, in the order they came. The slice is only valid during the call.
func New[T any](limits Limits, run func(ctx context.Context, items []T)) *Gatherer[T] {
	return &Gatherer[T]{limits: limits, run: run, wake: make(chan struct{}, 1)}
}

// Offer adds an item, or refuses at once with ErrFull or ErrClosed.
func (g *Gatherer[T]) Offer(item T) error {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return ErrClosed
	}
	if len(g.items) >= g.limits.Queue {
		g.mu.Unlock()
		return ErrFull
	}
	g.items = append(g.items, item)
	g.mu.Unlock()
	g.signal()
	return nil
}

// Waiting returns how many items wait for a run.
func (g *Gatherer[T]) Waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.items)
}

// Withdraw takes everything that waits for a run away from it.
func (g *Gatherer[T]) Withdraw() []T {
	g.mu.Lock()
	defer g.mu.Unlock()
	items := g.items
	g.items = nil
	return items
}

// Oldest returns the item that has waited longest, if one waits.
func (g *Gatherer[T]) Oldest() (T, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.items) == 0 {
		var none T
		return none, false
	}
	return g.items[0], true
}

// Full reports whether the next Offer would be refused. It lets a caller shed work before it costs anything.
func (g *Gatherer[T]) Full() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed || len(g.items) >= g.limits.Queue
}

// Close refuses further items; Work ends once those that were accepted have been run.
func (g *Gatherer[T]) Close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.signal()
}

// Work runs batches until ctx ends or Close was called. Either way everything that was accepted is still run: a run never
// sees ctx end, and what waits when it ends has drain to finish.
func (g *Gatherer[T]) Work(ctx context.Context, drain time.Duration) {
	for ctx.Err() == nil {
		if items := g.take(); len(items) > 0 {
			g.run(context.WithoutCancel(ctx), items)
			g.giveBack(items)
			continue
		}
		if g.isClosed() {
			return
		}
		select {
		case <-g.wake:
		case <-ctx.Done():
		}
	}
	g.Close()
	g.drain(ctx, drain)
}

func (g *Gatherer[T]) drain(ctx context.Context, limit time.Duration) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	for items := g.take(); len(items) > 0; items = g.take() {
		g.run(ctx, items)
	}
}

func (g *Gatherer[T]) take() []T {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.items) <= g.limits.Batch {
		items := g.items
		g.items, g.spare = g.spare[:0], nil
		return items
	}
	batch := append(g.spare[:0], g.items[:g.limits.Batch]...)
	g.spare = nil
	rest := copy(g.items, g.items[g.limits.Batch:])
	clear(g.items[rest:])
	g.items = g.items[:rest]
	return batch
}

func (g *Gatherer[T]) giveBack(items []T) {
	clear(items)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.spare == nil {
		g.spare = items[:0]
	}
}

func (g *Gatherer[T]) isClosed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed && len(g.items) == 0
}

func (g *Gatherer[T]) signal() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

package smtp

import (
	"context"
	"slices"
	"sync"

	"gapura/internal/notify"
)

// gate lets a number of messages through at once. Transactional ones pass before newsletters, and the last place is never
// given to a newsletter, so that a confirmation waits for one message at most and not for a mailing.
type gate struct {
	mu      sync.Mutex
	free    int
	reserve int // places that newsletters leave free
	waiting map[notify.Class][]chan struct{}
}

func newGate(places int) *gate {
	return &gate{free: places, reserve: min(1, places-1), waiting: map[notify.Class][]chan struct{}{}}
}

// enter waits for a place or until ctx ends.
func (g *gate) enter(ctx context.Context, class notify.Class) error {
	g.mu.Lock()
	if g.admits(class) {
		g.free--
		g.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	g.waiting[class] = append(g.waiting[class], turn)
	g.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		g.giveUp(class, turn)
		return ctx.Err()
	}
}

func (g *gate) admits(class notify.Class) bool {
	if class == notify.Transactional {
		return g.free > 0
	}
	return g.free > g.reserve && len(g.waiting[notify.Transactional]) == 0
}

// giveUp leaves the line; a place that was given in the same moment goes to the next.
func (g *gate) giveUp(class notify.Class, turn chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.waiting[class], turn); i >= 0 {
		g.waiting[class] = slices.Delete(g.waiting[class], i, i+1)
		g.serve() // newsletters may have waited for this one
		return
	}
	g.free++
	g.serve()
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.free++
	g.serve()
}

// serve gives free places to those who wait, in order of class and arrival.
func (g *gate) serve() {
	for _, class := range []notify.Class{notify.Transactional, notify.Bulk} {
		for len(g.waiting[class]) > 0 && g.admits(class) {
			g.free--
			close(g.waiting[class][0])
			g.waiting[class] = g.waiting[class][1:]
		}
	}
}

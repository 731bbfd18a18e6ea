// Package lifecycle owns every goroutine that outlives the call that started it: each has a name, ends when it is told to,
// and is waited for.
package lifecycle

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Group runs named goroutines until Stop.
type Group struct {
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex
	alive  map[string]int
}

// NewGroup returns a group whose goroutines also end when parent does.
func NewGroup(parent context.Context) *Group {
	ctx, cancel := context.WithCancel(parent)
	return &Group{ctx: ctx, cancel: cancel, alive: map[string]int{}}
}

// Context ends when the group is stopped.
func (g *Group) Context() context.Context { return g.ctx }

// Go runs work in a goroutine of its own; work must return soon after its context ends.
func (g *Group) Go(name string, work func(ctx context.Context)) {
	g.count(name, 1)
	g.wg.Go(func() {
		defer g.count(name, -1)
		work(g.ctx)
	})
}

// Every runs work now and then after every interval until the group stops. A slow run delays the next one; runs never
// overlap.
func (g *Group) Every(name string, interval time.Duration, work func(ctx context.Context)) {
	g.Go(name, func(ctx context.Context) {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			work(ctx)
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
}

// Stop tells every goroutine to end and waits for them, at most until ctx ends; then it names those that did not.
func (g *Group) Stop(ctx context.Context) error {
	g.cancel()
	done := make(chan struct{})
	go func() { g.wg.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("still running: %v: %w", g.names(), ctx.Err())
	}
}

func (g *Group) count(name string, by int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.alive[name] += by; g.alive[name] == 0 {
		delete(g.alive, name)
	}
}

func (g *Group) names() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	names := make([]string, 0, len(g.alive))
	for n := range g.alive {
		names = append(names, n)
	}
	return names
}

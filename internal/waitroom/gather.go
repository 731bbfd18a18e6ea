package waitroom

import (
	"context"
	"math/rand/v2"
	"time"

	"gapura/internal/fault"
)

// gatherer turns a crowd of callers into few transactions: while one is on its way to disk, the next gathers. Callers are
// served in the order in which they came.
type gatherer[T, R any] struct {
	in      chan job[T, R]
	flush   func(ctx context.Context, batch []T) ([]R, error)
	largest int
	stopped chan struct{}
}

type job[T, R any] struct {
	item T
	done chan outcome[R]
}

type outcome[R any] struct {
	result R
	err    error
}

const (
	largestBatch = 2000  // rows of some 40 bytes: far below a packet of 16 MB
	longestQueue = 65536 // more than a second of 50,000 draws; who comes on top is asked to come again
	flushTimeout = 10 * time.Second
)

func newGatherer[T, R any](flush func(ctx context.Context, batch []T) ([]R, error)) *gatherer[T, R] {
	return &gatherer[T, R]{in: make(chan job[T, R], longestQueue), flush: flush, largest: largestBatch, stopped: make(chan struct{})}
}

// do returns once item's batch is durable. Its fault is overloaded if the queue is full; if ctx ends first the item may
// be kept nevertheless.
func (g *gatherer[T, R]) do(ctx context.Context, item T) (R, error) {
	j := job[T, R]{item: item, done: make(chan outcome[R], 1)}
	var none R
	select {
	case g.in <- j:
	default:
		return none, fault.New(fault.Overloaded).After(retryAfter())
	}
	select {
	case o := <-j.done:
		return o.result, o.err
	case <-g.stopped:
	case <-ctx.Done():
		return none, ctx.Err()
	}
	select {
	case o := <-j.done:
		return o.result, o.err
	default:
		return none, fault.New(fault.Overloaded).After(retryAfter())
	}
}

// retryAfter spreads those who were turned away over two seconds.
func retryAfter() time.Duration { return time.Second + rand.N(2*time.Second) }

// run flushes until ctx ends, then once more what had been accepted by then.
func (g *gatherer[T, R]) run(ctx context.Context) {
	defer close(g.stopped)
	for {
		select {
		case first := <-g.in:
			g.commit(ctx, g.gather(first))
		case <-ctx.Done():
			g.drain(ctx)
			return
		}
	}
}

func (g *gatherer[T, R]) drain(ctx context.Context) {
	for {
		select {
		case first := <-g.in:
			g.commit(ctx, g.gather(first))
		default:
			return
		}
	}
}

func (g *gatherer[T, R]) gather(first job[T, R]) []job[T, R] {
	batch := append(make([]job[T, R], 0, min(len(g.in)+1, g.largest)), first)
	for len(batch) < g.largest {
		select {
		case j := <-g.in:
			batch = append(batch, j)
		default:
			return batch
		}
	}
	return batch
}

// commit is not ended by ctx: what was accepted is answered.
func (g *gatherer[T, R]) commit(ctx context.Context, batch []job[T, R]) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	items := make([]T, len(batch))
	for i, j := range batch {
		items[i] = j.item
	}
	results, err := g.flush(ctx, items)
	for i, j := range batch {
		o := outcome[R]{err: err}
		if err == nil {
			o.result = results[i]
		}
		j.done <- o
	}
}

// once calls with each key only once, in order of first appearance, and hands every item its key's result.
func once[T any, K comparable, R any](items []T, keyOf func(T) K, call func([]T) ([]R, error)) ([]R, error) {
	at := make(map[K]int, len(items))
	distinct := items[:0:0]
	for _, item := range items {
		if _, seen := at[keyOf(item)]; !seen {
			at[keyOf(item)] = len(distinct)
			distinct = append(distinct, item)
		}
	}
	got, err := call(distinct)
	if err != nil {
		return nil, err
	}
	results := make([]R, len(items))
	for i, item := range items {
		results[i] = got[at[keyOf(item)]]
	}
	return results, nil
}

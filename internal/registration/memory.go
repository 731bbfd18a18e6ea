package registration

import (
	"context"
	"sync"

	"gapura/internal/fault"
)

// generation is how many orders one half of recent keeps: both halves at about 1 KiB an order are 16 MiB.
const generation = 8192

// recent remembers the latest orders by key, so that a storm of repeats costs the database nothing. It has two halves: when
// the younger is full the older is forgotten, which is cheaper than an exact order of use and keeps at least the last 8,192.
type recent struct {
	mu    sync.RWMutex
	young map[Key]KeyedOrder
	old   map[Key]KeyedOrder
}

func (r *recent) get(key Key) (KeyedOrder, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if o, ok := r.young[key]; ok {
		return o, true
	}
	o, ok := r.old[key]
	return o, ok
}

func (r *recent) has(key Key) bool {
	_, ok := r.get(key)
	return ok
}

func (r *recent) put(key Key, o KeyedOrder) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.young == nil || len(r.young) >= generation {
		r.old, r.young = r.young, make(map[Key]KeyedOrder, generation)
	}
	r.young[key] = o
}

// flights joins requests with the same key that are under way at the same time on this node: one is decided, all learn the
// outcome.
type flights struct {
	mu  sync.Mutex
	all map[Key]*flight
}

type flight struct {
	digest  Fingerprint
	landed  chan struct{}
	receipt Receipt
	err     error
}

// join returns the flight of key and whether the caller leads it; a leader must land it.
func (f *flights) join(key Key, digest Fingerprint) (*flight, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if current, ok := f.all[key]; ok {
		return current, false
	}
	if f.all == nil {
		f.all = map[Key]*flight{}
	}
	// Until the leader has an outcome it is a fault: whoever waits must not take its crash for an order.
	led := &flight{digest: digest, landed: make(chan struct{}), err: fault.New(fault.Internal)}
	f.all[key] = led
	return led, true
}

func (f *flights) land(key Key, led *flight) {
	f.mu.Lock()
	delete(f.all, key)
	f.mu.Unlock()
	close(led.landed)
}

func (f *flights) current(key Key) (*flight, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	current, ok := f.all[key]
	return current, ok
}

func (f *flight) wait(ctx context.Context) {
	select {
	case <-f.landed:
	case <-ctx.Done():
	}
}

// follow waits for the leader's outcome. Another payload under a key that is being decided can be told nothing yet.
func (f *flight) follow(ctx context.Context, digest Fingerprint) (Receipt, error) {
	if f.digest != digest {
		return Receipt{}, fault.New(fault.KeyInFlight).After(jitter())
	}
	select {
	case <-f.landed:
	case <-ctx.Done():
		return Receipt{}, fault.Wrap(fault.KeyInFlight, ctx.Err()).After(jitter())
	}
	r := f.receipt
	r.Replayed = f.err == nil
	return r, f.err
}

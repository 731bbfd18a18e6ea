package calm

import (
	"sync"
	"time"
)

// Thresholds of a drowning node. A full queue is worked off in 0.4 s, so two seconds are no
// rush but a fault; and five of them in a row are no hiccup of a disk. Between the two waits nothing changes, so a node
// on the edge is not taken out and put back every few seconds.
const (
	DeepFrom = 2 * time.Second        // a wait this long is drowning
	CalmFrom = 500 * time.Millisecond // a wait below this is calm
	Patience = 5 * time.Second        // how long either must last before it counts
)

// Depth tells from samples of the queue's wait whether a node drowns. It is safe for concurrent use.
type Depth struct {
	mu       sync.Mutex
	drowning bool
	since    time.Time // when samples began to say the opposite of drowning; zero: the last one did not
}

// Sample adds how long the oldest work in the queue has waited at now, and reports whether the node drowns.
func (d *Depth) Sample(now time.Time, wait time.Duration) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	opposite := wait >= DeepFrom
	if d.drowning {
		opposite = wait <= CalmFrom
	}
	switch {
	case !opposite:
		d.since = time.Time{}
	case d.since.IsZero():
		d.since = now
	case now.Sub(d.since) >= Patience:
		d.drowning, d.since = !d.drowning, time.Time{}
	}
	return d.drowning
}

// Drowning reports what the last sample made of it.
func (d *Depth) Drowning() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.drowning
}

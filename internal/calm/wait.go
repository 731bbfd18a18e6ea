package calm

import (
	"container/list"
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// AtTheDoor is how long a request waits for a place at most. Whoever asked has not gone away by then, and a client that
	// hammers comes at the pace of the answers: at once, 4,096 connections make 20,000 refusals a second, and the committer gets
	// 0.14 of its rate; after 0.4 s they still made 4,400, each as dear as half an order.
	AtTheDoor = time.Second
	// maxWaiting is how many wait, in about 3 MB. One more makes the one leave that has waited longest.
	maxWaiting = 4096
)

// door is where requests wait. Places go to the most important first and among equals to the newest: under overload the oldest
// have the least time left and most of their senders have given up, so serving in order of arrival would answer everyone late.
// Registrations that are in, wait in the committer's queue, in the order in which they came.
type door struct {
	n       atomic.Int64 // how many wait; read without the lock, so that leaving costs nothing while nobody does
	mu      sync.Mutex
	waiting [priorities]list.List // of chan bool, the newest at the back
}

// Wait is Enter for a request that can wait for a place, until ctx ends and AtTheDoor at most. It is refused before it has cost
// anything but the wait.
func (g *Gate) Wait(ctx context.Context, p Priority) bool {
	if g == nil || g.enter(p) {
		return true
	}
	let, place := g.join(p)
	g.next() // a place may have come free in between
	timer := time.NewTimer(AtTheDoor)
	defer timer.Stop()
	select {
	case in := <-let:
		return in
	case <-timer.C:
	case <-ctx.Done():
	}
	return g.leaveDoor(p, let, place)
}

// join lines up, in the place of the one who has waited longest of the least important if the door is crowded.
func (g *Gate) join(p Priority) (chan bool, *list.Element) {
	d := &g.door
	let := make(chan bool, 1)
	d.mu.Lock()
	defer d.mu.Unlock()
	place := d.waiting[p].PushBack(let)
	if d.n.Add(1) > maxWaiting {
		for last := priorities - 1; last >= 0; last-- {
			if oldest := d.waiting[last].Front(); oldest != nil {
				d.waiting[last].Remove(oldest).(chan bool) <- false
				d.n.Add(-1)
				g.counts[last].shed.Add(1)
				break
			}
		}
	}
	return let, place
}

// leaveDoor gives up waiting, unless it has just been decided.
func (g *Gate) leaveDoor(p Priority, let chan bool, place *list.Element) bool {
	d := &g.door
	d.mu.Lock()
	defer d.mu.Unlock()
	select {
	case in := <-let:
		return in
	default:
	}
	d.waiting[p].Remove(place)
	d.n.Add(-1)
	g.counts[p].shed.Add(1)
	return false
}

// next lets in whoever waits and has room now.
func (g *Gate) next() {
	d := &g.door
	if d.n.Load() == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for p := range priorities {
		for newest := d.waiting[p].Back(); newest != nil && g.enter(p); newest = d.waiting[p].Back() {
			d.waiting[p].Remove(newest).(chan bool) <- true
			d.n.Add(-1)
		}
	}
}

// Waiting returns how many requests wait at the door.
func (g *Gate) Waiting() int64 { return g.door.n.Load() }

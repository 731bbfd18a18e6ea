// Package calm keeps a node at its best rate while more is asked of it than it can do: what matters least is refused first, at
// the door, where that costs almost nothing; and a node that drowns says so before it answers too late.
package calm

import (
	"sync/atomic"
)

// Priority is what a request is worth.
type Priority int

// The priorities, the most important first.
const (
	Webhook  Priority = iota // money that has moved
	Payment                  // a place that is about to be paid, or given back
	Admitted                 // an order that shows a pass: its sender has waited
	Hold                     // an order
	Read                     // what somebody may ask again
	Export                   // a whole list, which can wait until tomorrow
	priorities
)

// Limits say how many requests may be inside.
type Limits struct {
	All    int // of any kind
	Read   int // reads, which share few database connections; more would only wait for one
	Export int // exports, each of which is megabytes
}

// DefaultLimits leave room for the orders of one event that is full (some 3,000 in the queue and 512 in the commit) beside
// everything else. Reads are fewer: they would only wait for a database connection. So are exports: the list of a draw of
// 100,000 has 3.3 MB, and 64 of them fill a line of 1 Gbit/s for two seconds.
func DefaultLimits() Limits { return Limits{All: 4096, Read: 512, Export: 64} }

// Gate counts who is inside. It is safe for concurrent use; a nil Gate lets everyone in.
type Gate struct {
	inside atomic.Int64
	all    [priorities]int64 // below how many of any kind one of this priority is let in
	own    [priorities]int64 // how many of this priority may be inside; 0: only all counts
	counts [priorities]count
	door   door
}

// count has a cache line of its own: all processors write to it.
type count struct {
	inside, shed atomic.Int64
	_            [48]byte
}

// share is the part of all places that a priority may fill up to, in percent: the rest is kept for more important ones.
var share = [priorities]int64{Webhook: 100, Payment: 95, Admitted: 90, Hold: 80, Read: 60, Export: 20}

// NewGate returns a gate with nobody inside.
func NewGate(l Limits) *Gate {
	g := &Gate{}
	for p := range priorities {
		g.all[p] = max(int64(l.All)*share[p]/100, 1)
	}
	g.own[Read], g.own[Export] = int64(l.Read), int64(l.Export)
	return g
}

// Enter reports whether a request of priority p is let in at once. One that is must Leave.
func (g *Gate) Enter(p Priority) bool {
	if g == nil || g.enter(p) {
		return true
	}
	g.counts[p].shed.Add(1)
	return false
}

func (g *Gate) enter(p Priority) bool {
	if g.inside.Add(1) > g.all[p] {
		g.inside.Add(-1)
		return false
	}
	if own := g.counts[p].inside.Add(1); g.own[p] > 0 && own > g.own[p] {
		g.counts[p].inside.Add(-1)
		g.inside.Add(-1)
		return false
	}
	return true
}

// Leave ends what Enter or Wait began.
func (g *Gate) Leave(p Priority) {
	if g == nil {
		return
	}
	g.counts[p].inside.Add(-1)
	g.inside.Add(-1)
	g.next()
}

// Inside returns how many requests are inside.
func (g *Gate) Inside() int64 { return g.inside.Load() }

// Shed returns how many requests of priority p were refused since the start.
func (g *Gate) Shed(p Priority) int64 { return g.counts[p].shed.Load() }

// Priorities lists them with names for metrics, the most important first.
func Priorities() map[Priority]string {
	return map[Priority]string{
		Webhook: "webhook", Payment: "payment", Admitted: "admitted", Hold: "hold", Read: "read", Export: "export",
	}
}

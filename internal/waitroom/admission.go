package waitroom

import (
	"math"
	"time"
)

// Admission is the controller of a room: how many enter, from how the engine fares. It is a value; Step returns the next.
//
// The rate is feed-forward: what the engine manages a second, divided by the share of those admitted who order. Both are
// learnt from what happens. Because people take seconds between entering and ordering, feedback alone would swing; the
// brake only corrects what the feed-forward gets wrong, and stops everything when the engine stalls.
type Admission struct {
	Capacity    float64 `json:"capacity"`    // orders a second that the engine is thought to manage
	Share       float64 `json:"share"`       // orders for each entry
	Brake       float64 `json:"brake"`       // 0 stop .. 1 free
	Carry       float64 `json:"carry"`       // entries that did not make a whole one yet
	Entering    float64 `json:"entering"`    // entries a second, delayed as people delay their orders
	Ordering    float64 `json:"ordering"`    // orders a second, smoothed
	Outstanding float64 `json:"outstanding"` // entered and may still order
	Shown       float64 `json:"shown"`       // the rate that is published
	Saturated   bool    `json:"saturated"`   // the engine has once shown its limit
}

// Tuning are the constants of the controller.
type Tuning struct {
	Capacity float64       // orders a second to start from
	Share    float64       // orders for each entry to start from
	Target   time.Duration // pressure (queue wait or commit time) above which it brakes
	Stall    time.Duration // pressure above which nobody enters
	Reaction time.Duration // from entering to ordering, usually
	PassLife time.Duration // after this an entry without an order is over
}

// DefaultTuning returns constants that the simulation in the tests holds for engines of 200 to 20,000 orders a second. A
// target of 150 ms is what p99 of an acknowledged order may be; 5 s is what one click with a filled form takes a crowd.
func DefaultTuning() Tuning {
	return Tuning{
		Capacity: 500, Share: 0.7, Target: 150 * time.Millisecond, Stall: time.Second,
		Reaction: 5 * time.Second, PassLife: PassLife,
	}
}

// Reading is what happened since the last step.
type Reading struct {
	Elapsed   time.Duration
	Pressure  time.Duration // the worst queue wait or commit time of any node
	Orders    int64         // acknowledged meanwhile, by all nodes
	Waiting   int64         // places in line that have not been served; negative: served ahead of arrivals
	Remaining int64         // places that can be registered for; -1: no limit
	Paused    bool
	Ceiling   float64 // 0: none
}

// NewAdmission returns the controller's first state.
func NewAdmission(t Tuning) Admission {
	return Admission{Capacity: t.Capacity, Share: t.Share, Brake: 1}
}

// Step returns the state after r and how many enter now. With nobody waiting it still lets up to a second's worth of
// places be served ahead, so that whoever comes to an empty line walks through.
func (a Admission) Step(t Tuning, r Reading) (Admission, int64) {
	dt := min(r.Elapsed.Seconds(), 2) // after a pause of the leader nothing is made up for
	if dt <= 0 {
		return a, 0
	}
	a.observe(t, r, dt)
	a.brake(t, r, dt)
	rate := a.rate(r)
	a.Carry = min(a.Carry+rate*dt, max(rate, 1))
	n := int64(a.Carry)
	n = min(n, r.Waiting+int64(math.Ceil(rate)))
	if r.Remaining >= 0 {
		n = min(n, a.room(r.Remaining))
	}
	n = max(n, 0)
	a.Carry -= float64(n)
	a.account(t, r, n, dt)
	return a, n
}

// rate returns entries a second. 0.97: the last percents of an engine cost more queue than they give.
func (a *Admission) rate(r Reading) float64 {
	if r.Paused {
		return 0
	}
	rate := 0.97 * a.Capacity * a.Brake / a.Share
	if r.Ceiling > 0 {
		rate = min(rate, r.Ceiling)
	}
	return rate
}

// room returns how many may enter without more orders to be expected than places remain. Letting 5% more in fills what
// is left when fewer order than usual; the engine refuses the rest.
func (a *Admission) room(remaining int64) int64 {
	if remaining == 0 {
		return 0
	}
	return int64(math.Ceil(1.05*float64(remaining)/a.Share - a.Outstanding))
}

// observe learns capacity while the engine shows its limit, and the share while it does not: a saturated engine's orders
// say nothing about how many wanted to order.
func (a *Admission) observe(t Tuning, r Reading, dt float64) {
	orders := float64(r.Orders) / dt
	a.Ordering += (orders - a.Ordering) * fade(dt, 2)
	switch {
	case r.Pressure >= t.Stall:
		// A stalled engine says nothing about what it manages otherwise.
	case r.Pressure > t.Target/2:
		a.Saturated = true
		a.Capacity += (max(a.Ordering, 1) - a.Capacity) * fade(dt, 10)
	case a.Ordering > 0.85*a.Capacity:
		growth := 0.5 // until its limit is known, otherwise probe gently
		if a.Saturated {
			growth = 0.02
		}
		a.Capacity *= 1 + growth*dt
	}
	if r.Pressure <= t.Target/2 && a.Entering*a.Share > 1 {
		share := min(max(a.Ordering/a.Entering, 0.05), 3) // above 1: orders of those who came earlier
		a.Share += (share - a.Share) * fade(dt, 30)
	}
}

// brake stops at a stall, slows down in proportion to the pressure, and lets go over eight seconds.
func (a *Admission) brake(t Tuning, r Reading, dt float64) {
	switch excess := float64(r.Pressure)/float64(t.Target) - 1; {
	case r.Pressure >= t.Stall:
		a.Brake = 0
	case excess > 0:
		a.Brake *= 1 - min(0.25*excess*dt, 0.9)
	case r.Pressure < t.Target/2:
		a.Brake = min(1, a.Brake+dt/8)
	}
}

// account remembers n entries for what comes later.
func (a *Admission) account(t Tuning, r Reading, n int64, dt float64) {
	entries := float64(n) / dt
	a.Entering += (entries - a.Entering) * fade(dt, t.Reaction.Seconds())
	a.Shown += (entries - a.Shown) * fade(dt, 5)
	if a.Shown < 0.05 {
		a.Shown = 0
	}
	a.Outstanding = max(0, a.Outstanding*(1-fade(dt, t.PassLife.Seconds()))-float64(r.Orders)) + float64(n)
}

// fade returns how much of a difference an average with that time constant makes up in dt, both in seconds.
func fade(dt, constant float64) float64 { return 1 - math.Exp(-dt/constant) }

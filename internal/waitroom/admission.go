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
	Brake       float64 `json:"brake"`       // 0 stop .. 1 free; above 1 by a hair while the engine idles
	Free        float64 `json:"free"`        // how far the brake may let go again after a stall, 0 .. 1
	Pressure    float64 `json:"pressure"`    // seconds, at the last step
	Carry       float64 `json:"carry"`       // entries that did not make a whole one yet
	Entering    float64 `json:"entering"`    // entries a second, delayed as people delay their orders
	Ordering    float64 `json:"ordering"`    // orders a second, smoothed
	Entries     float64 `json:"entries"`     // entries a second in the last second or so
	Outstanding float64 `json:"outstanding"` // orders to be expected from those who have entered
	Shown       float64 `json:"shown"`       // the rate that is published
	Best        float64 `json:"best"`        // orders a second that the engines have shown, see Sample
	Begun       bool    `json:"begun"`       // has taken a step
	Known       bool    `json:"known"`       // began with what the engines have shown
	Line        int64   `json:"line"`        // places in line at the last step
	Storming    bool    `json:"storming"`    // the crowd is just arriving
	Storm       float64 `json:"storm"`       // seconds of that so far
	Saturated   bool    `json:"saturated"`   // the engine has once shown its limit
	Calm        float64 `json:"calm"`        // seconds since it last was busy
	Ahead       int64   `json:"ahead"`       // places that were served and that nobody has taken yet
	Left        int64   `json:"left"`        // places that could be registered for at the last step; -1: no limit
}

// Tuning are the constants of the controller.
type Tuning struct {
	Capacity float64       // orders a second to start from
	Share    float64       // orders for each entry to start from
	Target   time.Duration // pressure (queue wait or commit time) that it steers for
	Stall    time.Duration // pressure above which nobody enters
	Reaction time.Duration // from entering to ordering, usually
}

// DefaultTuning returns constants that the simulation in the tests holds for engines of 200 to 20,000 orders a second.
// With 100 ms in front of it an engine never idles, and an order is still answered well within a second; 5 s is what one
// click with a filled form takes a crowd.
func DefaultTuning() Tuning {
	return Tuning{
		Capacity: 1000, Share: 0.85, Target: 100 * time.Millisecond, Stall: time.Second,
		Reaction: 5 * time.Second,
	}
}

// Reading is what happened since the last step.
type Reading struct {
	Elapsed   time.Duration
	Pressure  time.Duration // the worst queue wait or commit time of any node
	Orders    int64         // acknowledged meanwhile, by all nodes
	Line      int64         // places in line, served or not
	Waiting   int64         // places in line that have not been served; negative: served ahead of arrivals
	Remaining int64         // places that can be registered for; -1: no limit
	Paused    bool
	Ceiling   float64 // 0: none
	Anew      bool    // another process led before: Orders lacks what came between its last step and this one
}

// NewAdmission returns the controller's first state.
func NewAdmission(t Tuning) Admission {
	return Admission{Capacity: t.Capacity, Share: t.Share, Brake: 1, Free: 1}
}

// Step returns the state after r and how many enter now. With nobody waiting it still lets up to a second's worth of
// places be served ahead, so that whoever comes to an empty line walks through.
func (a Admission) Step(t Tuning, r Reading) (Admission, int64) {
	dt := min(r.Elapsed.Seconds(), 2) // after a pause of the leader nothing is made up for
	if dt <= 0 {
		return a, 0
	}
	a.begin(r)
	a.takeOver(r)
	if a.storm(t, r, dt); !a.Storming {
		a.observe(t, r, dt)
	}
	a.brake(t, r, dt)
	planned := a.rate(r)
	rate := planned
	if a.Storming {
		rate = 0
	}
	a.Carry = min(a.Carry+rate*dt, 2*max(rate, 1))
	n := int64(a.Carry)
	n = min(n, r.Waiting+int64(math.Ceil(rate)))
	if r.Remaining >= 0 {
		n = min(n, a.room(r.Remaining))
	}
	n = max(n, 0)
	a.Carry -= float64(n)
	a.account(t, r, a.entered(r, n), dt)
	a.show(r, n, planned, dt)
	return a, n
}

// begin takes up what the engines have shown, in a rehearsal or on another day: then the first who wait need not be the ones from
// whom their rate is learnt. The line costs some of it, so that it is approached from below.
func (a *Admission) begin(r Reading) {
	if a.Begun {
		return
	}
	a.Begun, a.Line = true, r.Line
	// Less than is thought of any engine may only mean that nobody has asked for more.
	if shown := known * a.Best; shown > a.Capacity {
		a.Capacity, a.Known, a.Saturated = shown, true, true
	}
}

// takeOver makes up for the orders that nobody has told: those between the last step of a leader that died and this one. Were they
// expected still, the last places would be let in over half a minute.
func (a *Admission) takeOver(r Reading) {
	if sold := a.Left - r.Remaining; r.Anew && r.Remaining >= 0 && sold > 0 {
		a.Outstanding = max(0, a.Outstanding-float64(sold))
	}
	a.Left = r.Remaining
}

// known is how much of what the engines have shown they are first thought to manage beside a line.
const known = 0.5

// storm finds out whether the crowd is just arriving. That keeps the machine busy, and whoever entered now would order later, so nobody
// enters, and nothing is learnt: it says nothing of how many orders the engines manage. What lasts longer than longestStorm is no storm.
func (a *Admission) storm(t Tuning, r Reading, dt float64) {
	// The step after opening may follow it at once: three visitors within a millisecond are no crowd.
	arriving := float64(r.Line-a.Line) / max(dt, tick.Seconds()/2)
	a.Line = r.Line
	// What an engine manages that has shown nothing yet may be far from what is thought: then it must be busy as well.
	a.Storming = arriving > a.Capacity/2 && (a.Known || r.Pressure > t.Target/2) && a.Storm < longestStorm
	if a.Storming {
		a.Storm += dt
		a.Pressure = r.Pressure.Seconds()
	}
}

const (
	longestStorm = 15 // seconds: 50,000 arrive in three to five on two processors

	stormLasts = 4 // seconds that it is thought to last when it begins: pages plan their next look by it
)

// delay returns for how many seconds nobody is thought to enter, to a tenth.
func (a *Admission) delay() float64 {
	if !a.Storming {
		return 0
	}
	return math.Round(10*max(stormLasts-a.Storm, tick.Seconds())) / 10
}

// show smooths the rate that is published. While a line waits it is the one that is meant, at once: pages plan their next look by it.
func (a *Admission) show(r Reading, n int64, planned, dt float64) {
	entries := float64(n) / dt
	if long := float64(r.Waiting) > planned; long && (r.Remaining < 0 || float64(r.Remaining) > planned) {
		entries = planned
	}
	if a.Shown == 0 {
		a.Shown = entries
	}
	a.Shown += (entries - a.Shown) * fade(dt, 5)
	if a.Shown < 0.05 {
		a.Shown = 0
	}
}

// entered returns how many people entered when n places more were served: those in line, and those who have come since and took
// a place that was served ahead. Places that wait for people are no entries, or an empty line would look like a crowd that
// does not order, and be served ahead by ever more.
func (a *Admission) entered(r Reading, n int64) int64 {
	before := a.Ahead
	a.Ahead = max(n-r.Waiting, 0)
	return max(n+before-a.Ahead, 0)
}

// rate returns entries a second.
func (a *Admission) rate(r Reading) float64 {
	if r.Paused {
		return 0
	}
	rate := a.Capacity * a.Brake / a.Share
	if r.Ceiling > 0 {
		rate = min(rate, r.Ceiling)
	}
	return rate
}

// room returns how many may enter without more orders to be expected than places remain.
func (a *Admission) room(remaining int64) int64 {
	if remaining == 0 {
		return 0
	}
	return int64(math.Ceil((float64(remaining) - a.Outstanding) / a.Share))
}

// calmed is after how many seconds without pressure an engine is thought to manage more than when it was busy: at its true limit
// it is steered to have some all the time.
const calmed = 4

// observe learns the capacity while the engine has work waiting, and the share from what comes in: what was done, and by
// how much the work that waits has grown.
func (a *Admission) observe(t Tuning, r Reading, dt float64) {
	orders, pressure := float64(r.Orders)/dt, r.Pressure.Seconds()
	coming := orders + a.Capacity*(pressure-a.Pressure)/dt
	stalled := max(a.Pressure, pressure) >= t.Stall.Seconds() && orders < 0.2*a.Capacity
	a.Pressure = pressure
	if stalled {
		return // a stalled engine says nothing about what it manages otherwise, nor about what comes in
	}
	a.Ordering += (orders - a.Ordering) * fade(dt, 3)
	busy := r.Pressure > t.Target/2
	if a.Calm += dt; busy {
		a.Calm = 0
	}
	switch {
	case busy && a.Saturated:
		a.Capacity += (max(a.Ordering, 1) - a.Capacity) * fade(dt, 10)
	case busy:
		// Half at once and more if it stays busy: at opening the whole crowd makes the machine slow for some seconds, when hardly
		// anybody has ordered yet.
		a.Saturated, a.Capacity = true, max(a.Ordering, orders, a.Capacity/2, 1)
	case !a.Saturated && a.Ordering > 0.5*a.Capacity:
		a.Capacity *= 1 + dt // orders follow entries after Reaction: this overshoots by at most 1/0.5
	case a.Calm > calmed && a.Ordering > 0.8*a.Capacity:
		a.Capacity *= 1 + 0.1*dt // what made it busy has passed
	case a.Ordering > 0.93*a.Capacity:
		a.Capacity *= 1 + 0.02*dt
	}
	// While entries are being cut, those who entered before are most of those who order.
	if steady := a.Entries > 0.6*a.Entering; steady && a.Entering*a.Share > 1 {
		memory := 10.0 // seconds; a first idea is worth little
		if a.Saturated {
			memory = 30
		}
		a.Share += (coming/a.Entering - a.Share) * fade(dt, memory)
		a.Share = min(max(a.Share, 0.05), 1)
	}
}

// brake stops at a stall and lets go over eight seconds. Otherwise it steers for the target so gently that what waits too
// much is gone after twice the time in which the crowd reacts: faster would swing.
func (a *Admission) brake(t Tuning, r Reading, dt float64) {
	if r.Pressure >= t.Stall {
		a.Free, a.Brake = 0, 0
		return
	}
	a.Free = min(1, a.Free+dt/8)
	excess := (r.Pressure - t.Target).Seconds() / (2 * t.Reaction.Seconds())
	a.Brake = a.Free * (1 - excess)
}

// account remembers that n people entered for what comes later.
func (a *Admission) account(t Tuning, r Reading, n int64, dt float64) {
	entries := float64(n) / dt
	a.Entering += (entries - a.Entering) * fade(dt, t.Reaction.Seconds())
	a.Entries += (entries - a.Entries) * fade(dt, 1)
	// Who has not ordered after many times the usual delay is not expected any more.
	forgotten := a.Outstanding * fade(dt, 8*t.Reaction.Seconds())
	a.Outstanding = max(0, a.Outstanding-forgotten-float64(r.Orders)) + float64(n)*a.Share
}

// fade returns how much of a difference an average with that time constant makes up in dt, both in seconds.
func fade(dt, constant float64) float64 { return 1 - math.Exp(-dt/constant) }

package waitroom

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// engine is a crowd and an engine in steps of 100 ms: those who enter order after some seconds or not at all; the engine
// takes what it can, queues two seconds' worth and turns the rest away, which tries again after two to four seconds.
type engine struct {
	rng      *rand.Rand
	capacity func(at float64) float64 // orders a second
	orders   float64                  // share of entries that order
	queue    int64
	coming   []int64 // by step: how many will press the button
	step     int
	done     int64
	refused  int64
	stalled  float64 // seconds since the engine last did anything
	shown    float64 // orders a second that it has shown before the opening; 0: it has not
}

const stepSeconds = 0.1

func (e *engine) enter(n int64) {
	for range n {
		if e.rng.Float64() >= e.orders {
			continue
		}
		delay := 0.5 + e.rng.ExpFloat64()*3 // most have the form ready: one click; a few read first
		if e.rng.Float64() < 0.1 {
			delay += e.rng.ExpFloat64() * 20
		}
		e.after(delay, 1)
	}
}

func (e *engine) after(delay float64, n int64) {
	at := e.step + 1 + int(delay/stepSeconds)
	for len(e.coming) <= at {
		e.coming = append(e.coming, 0)
	}
	e.coming[at] += n
}

// tick moves the engine one step and returns the orders done in it and the pressure that it reports.
func (e *engine) tick() (int64, time.Duration) {
	capacity := e.capacity(float64(e.step) * stepSeconds)
	if e.step < len(e.coming) {
		arriving := e.coming[e.step]
		room := max(int64(2*max(capacity, 100))-e.queue, 0)
		accepted := min(arriving, room)
		e.queue += accepted
		for range arriving - accepted {
			e.refused++
			e.after(2+2*e.rng.Float64(), 1)
		}
	}
	e.step++
	done := min(e.queue, int64(capacity*stepSeconds*(0.95+0.1*e.rng.Float64())))
	e.queue -= done
	e.done += done
	if capacity == 0 {
		e.stalled += stepSeconds
		return done, time.Duration(e.stalled * float64(time.Second)) // the running commit
	}
	e.stalled = 0
	wait := float64(e.queue) / capacity
	return done, time.Duration(wait*float64(time.Second)) + 20*time.Millisecond
}

// trace is what happened in one second.
type trace struct {
	rate     float64 // orders a second
	pressure time.Duration
}

// simulate runs crowd and controller for some seconds; edit may change a reading before the controller sees it.
func simulate(e *engine, tuning Tuning, seconds int, edit func(at float64, r *Reading)) []trace {
	a := NewAdmission(tuning)
	a.Best = e.shown
	var traces []trace
	var orders, since int64
	var pressure, worst time.Duration
	for i := range seconds * 10 {
		done, p := e.tick()
		orders, since = orders+done, since+done
		pressure, worst = max(pressure, p), max(worst, p)
		if i%5 == 4 {
			r := Reading{Elapsed: tick, Pressure: pressure, Orders: orders, Waiting: 1 << 40, Remaining: -1}
			if edit != nil {
				edit(float64(i)*stepSeconds, &r)
			}
			var n int64
			a, n = a.Step(tuning, r)
			e.enter(n)
			orders, pressure = 0, 0
		}
		if i%10 == 9 {
			traces = append(traces, trace{rate: float64(since), pressure: worst})
			since, worst = 0, 0
		}
	}
	return traces
}

func newEngine(seed uint64, capacity, orders float64) *engine {
	return &engine{
		rng: rand.New(rand.NewPCG(seed, 1)), orders: orders,
		capacity: func(float64) float64 { return capacity },
	}
}

func summary(traces []trace) (mean, deviation float64, worst time.Duration) {
	for _, t := range traces {
		mean += t.rate / float64(len(traces))
		worst = max(worst, t.pressure)
	}
	for _, t := range traces {
		deviation += (t.rate - mean) * (t.rate - mean) / float64(len(traces))
	}
	return mean, math.Sqrt(deviation), worst
}

// From a wrong idea of the engine the controller must find at least 90% of what it manages within a minute, and then keep
// it: its queue never grows to a second, and the rate swings by at most 10% around its mean.
func TestAdmissionFindsTheEnginesRate(t *testing.T) {
	t.Parallel()
	for _, capacity := range []float64{200, 2000, 8000, 20000} {
		for _, orders := range []float64{0.4, 0.7, 0.95} {
			t.Run(fmt.Sprintf("%.0f a second, %.0f%% order", capacity, orders*100), func(t *testing.T) {
				t.Parallel()
				e := newEngine(uint64(capacity), capacity, orders)
				traces := simulate(e, DefaultTuning(), 240, nil)
				mean, deviation, worst := summary(traces[60:])
				t.Logf("mean %.1f%% of capacity, deviation %.1f%%, worst pressure %v; first minute worst: %v, refused %d",
					100*mean/capacity, 100*deviation/capacity, worst, maxPressure(traces[:60]), e.refused)
				if mean < 0.9*capacity {
					t.Errorf("only %.0f of %.0f orders a second", mean, capacity)
				}
				if deviation > 0.1*mean {
					t.Errorf("the rate swings by %.0f around %.0f", deviation, mean)
				}
				if worst > time.Second {
					t.Errorf("the engine's queue grew to %v", worst)
				}
			})
		}
	}
}

func maxPressure(traces []trace) time.Duration {
	_, _, worst := summary(traces)
	return worst
}

// The engine stands still for ten seconds in the middle of the crowd. Half a minute after it goes on the rate is back
// and steady.
func TestAdmissionRecoversFromAStall(t *testing.T) {
	t.Parallel()
	e := newEngine(3, 8000, 0.7)
	e.capacity = func(at float64) float64 {
		if at >= 100 && at < 110 {
			return 0
		}
		return 8000
	}
	traces := simulate(e, DefaultTuning(), 240, nil)
	mean, deviation, worst := summary(traces[140:])
	t.Logf("after the stall: mean %.1f%%, deviation %.1f%%, worst %v, refused %d", mean/80, deviation/80, worst, e.refused)
	if mean < 0.9*8000 || deviation > 0.1*mean || worst > time.Second {
		t.Errorf("mean %.0f, deviation %.0f, worst pressure %v", mean, deviation, worst)
	}
}

// The engine loses half its speed (a backup starts, a neighbour wakes up): the rate follows without a stall, and comes
// back when the engine does.
func TestAdmissionFollowsTheEngine(t *testing.T) {
	t.Parallel()
	e := newEngine(4, 0, 0.7)
	e.capacity = func(at float64) float64 {
		if at >= 90 && at < 180 {
			return 4000
		}
		return 8000
	}
	traces := simulate(e, DefaultTuning(), 300, nil)
	slow, _, _ := summary(traces[120:180])
	fast, _, worst := summary(traces[230:])
	t.Logf("slow %.0f of 4000, fast again %.0f of 8000, worst %v at the drop, refused %d", slow, fast, maxPressure(traces[88:120]), e.refused)
	if slow < 0.9*4000 || fast < 0.9*8000 || worst > time.Second {
		t.Errorf("slow %.0f of 4000, fast again %.0f of 8000, worst pressure %v", slow, fast, worst)
	}
}

// A crowd comes within four seconds to engines that have shown what they manage: nobody enters among those who arrive, and ten
// seconds later the engines have most of what they manage beside a line, without having been driven into waits.
func TestAdmissionBeginsWithWhatTheEnginesHaveShown(t *testing.T) {
	t.Parallel()
	for _, capacity := range []float64{1500, 2000, 6000} {
		e := newEngine(11, capacity, 0.95)
		e.shown = capacity * 1.5 // without a line
		var during int64
		line := int64(0)
		traces := simulate(e, DefaultTuning(), 60, func(at float64, r *Reading) {
			if at < 4 {
				line += int64(5 * capacity * tick.Seconds())
				during = e.done + e.queue
			}
			r.Line = line
		})
		soon, _, _ := summary(traces[14:24])
		mean, _, worst := summary(traces[4:])
		t.Logf("%.0f a second: %d during the storm, %.0f%% from 10 s after it, mean %.0f%%, worst pressure %v, refused %d",
			capacity, during, 100*soon/capacity, 100*mean/capacity, worst, e.refused)
		if float64(during) > capacity || soon < 0.75*capacity || worst > time.Second || e.refused > 0 {
			t.Errorf("of %.0f orders a second: %d during the storm, %.0f soon after, worst pressure %v, %d refused", capacity, during, soon, worst, e.refused)
		}
	}
}

// What engines have shown may be long ago, on a larger machine: then the rate is found as if nothing were known.
func TestAdmissionForgetsWhatIsTrueNoLonger(t *testing.T) {
	t.Parallel()
	for _, times := range []float64{0.1, 5} {
		e := newEngine(12, 2000, 0.7)
		e.shown = times * 2000
		traces := simulate(e, DefaultTuning(), 240, nil)
		mean, deviation, worst := summary(traces[90:])
		t.Logf("%g times as much: mean %.0f, deviation %.0f, worst %v, refused %d", times, mean, deviation, worst, e.refused)
		if mean < 0.9*2000 || deviation > 0.1*mean || worst > time.Second {
			t.Errorf("%g times as much: mean %.0f, deviation %.0f, worst pressure %v", times, mean, deviation, worst)
		}
	}
}

// Arrivals that never end are no storm: at last the line is let in beside them.
func TestAdmissionDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	e := newEngine(13, 2000, 0.95)
	e.shown = 3000
	line := int64(0)
	traces := simulate(e, DefaultTuning(), 60, func(_ float64, r *Reading) {
		line += 2000
		r.Line = line
	})
	before, _, _ := summary(traces[5:15])
	mean, _, worst := summary(traces[40:])
	t.Logf("at first %.0f, mean %.0f, worst %v", before, mean, worst)
	if before > 100 || mean < 1800 || worst > time.Second {
		t.Errorf("at first %.0f, mean %.0f of 2000 orders a second, worst pressure %v", before, mean, worst)
	}
}

// In the seconds of opening the crowd's arrival keeps the machine busy, when hardly anybody has ordered yet. That is not the
// engine's limit: once it has passed, the rate rises to what the engine manages.
func TestAdmissionForgetsTheStormOfAnOpening(t *testing.T) {
	t.Parallel()
	for _, capacity := range []float64{300, 2000, 6000} {
		e := newEngine(9, capacity, 0.95)
		traces := simulate(e, DefaultTuning(), 120, func(at float64, r *Reading) {
			if at < 4 {
				r.Pressure = max(r.Pressure, 300*time.Millisecond)
			}
		})
		early, _, _ := summary(traces[20:30])
		mean, _, worst := summary(traces[75:])
		t.Logf("%.0f a second: %.0f%% after 20 s, %.0f%% after 75 s, worst pressure then %v", capacity, 100*early/capacity, 100*mean/capacity, worst)
		if early < 0.1*capacity || mean < 0.85*capacity {
			t.Errorf("of %.0f orders a second only %.0f after 20 s and %.0f after 75 s", capacity, early, mean)
		}
	}
}

// As places run out entries stop, with few let in for nothing; when holds return, as many enter as there are places.
func TestAdmissionStopsWhenPlacesRunOut(t *testing.T) {
	t.Parallel()
	e := newEngine(5, 2000, 0.7)
	left := int64(50_000)
	var sold, orders, entered, enteredBefore int64
	a := NewAdmission(DefaultTuning())
	for i := range 6000 {
		done, pressure := e.tick()
		done = min(done, left) // the engine refuses the rest
		left, sold, orders = left-done, sold+done, orders+done
		if i == 4000 {
			left += 500 // holds return
			enteredBefore = entered
		}
		if i%5 != 4 {
			continue
		}
		var n int64
		a, n = a.Step(DefaultTuning(), Reading{
			Elapsed: tick, Pressure: pressure, Orders: orders, Waiting: 1 << 40, Remaining: left,
		})
		orders = 0
		entered += n
		e.enter(n)
	}
	const wanted = 50_500 * 10 / 7
	again := entered - enteredBefore
	t.Logf("%d entered for 50500 places (%d would have been enough), %d sold; %d after holds returned", entered, wanted, sold, again)
	if sold != 50_500 {
		t.Errorf("%d of 50500 places were sold", sold)
	}
	if entered > wanted*115/100 {
		t.Errorf("%d entered, %d would have been enough", entered, wanted)
	}
	if again < 500 || again > 1500 {
		t.Errorf("%d entered for 500 places that returned", again)
	}
}

// The leader dies while the last places are taken. What was ordered until another leads is not waited for: those who can still have
// a place are let in at once.
func TestAdmissionGoesOnAfterItsLeader(t *testing.T) {
	t.Parallel()
	tuning := DefaultTuning()
	for name, one := range map[string]struct {
		reading Reading
		least   int64
	}{
		"another process leads":   {Reading{Remaining: 1000, Anew: true}, 500},
		"the same, with no limit": {Reading{Remaining: -1, Anew: true}, 500},
		"it went on":              {Reading{Remaining: 1000}, 0},
	} {
		a := NewAdmission(tuning)
		a.Begun, a.Outstanding, a.Left = true, 2000, 3000 // all that are left are expected of those who have entered
		r := one.reading
		r.Elapsed, r.Waiting, r.Line = tick, 10_000, 10_000
		a.Line = r.Line
		_, n := a.Step(tuning, r)
		if n < one.least || one.least == 0 && n != 0 {
			t.Errorf("%s: %d entered for 1000 places, want %d", name, n, one.least)
		}
	}
}

// The leader's step may follow the opening by a millisecond, in which a few visitors came: that is no crowd.
func TestAdmissionTakesAFewForNoCrowd(t *testing.T) {
	t.Parallel()
	tuning := DefaultTuning()
	for arrived, want := range map[int64]bool{20: false, 5000: true} {
		a := NewAdmission(tuning)
		a.Best = 8000
		a, _ = a.Step(tuning, Reading{Elapsed: time.Millisecond, Remaining: -1})
		a, _ = a.Step(tuning, Reading{Elapsed: 2 * time.Millisecond, Line: arrived, Waiting: arrived, Remaining: -1})
		if a.Storming != want {
			t.Errorf("%d came within 2 ms: a crowd arrives: %v", arrived, a.Storming)
		}
	}
}

func TestAdmissionObeysTheOperator(t *testing.T) {
	t.Parallel()
	tuning := DefaultTuning()
	a := NewAdmission(tuning)
	r := Reading{Elapsed: time.Second, Waiting: 1000, Remaining: -1, Paused: true}
	if _, n := a.Step(tuning, r); n != 0 {
		t.Errorf("%d entered while paused", n)
	}
	r.Paused, r.Ceiling = false, 7.5
	total := int64(0)
	for range 10 {
		var n int64
		a, n = a.Step(tuning, r)
		total += n
	}
	if total != 75 {
		t.Errorf("%d entered in 10 s with a ceiling of 7.5 a second", total)
	}
	if _, n := a.Step(tuning, Reading{Elapsed: time.Hour, Waiting: 1000, Remaining: -1, Ceiling: 10}); n > 20 {
		t.Errorf("%d entered at once after the leader was away for an hour", n)
	}
	if _, n := a.Step(tuning, Reading{Elapsed: -time.Second, Waiting: 1000, Remaining: -1}); n != 0 {
		t.Errorf("%d entered when the clock went back", n)
	}
}

// An empty line lets newcomers walk through, but credit for the time in which nobody came does not pile up.
func TestAdmissionServesAheadByASecondOnly(t *testing.T) {
	t.Parallel()
	tuning := DefaultTuning()
	for ceiling, want := range map[float64]int64{100: 100, 0: int64(math.Ceil(tuning.Capacity / tuning.Share))} {
		a := NewAdmission(tuning)
		served, line := int64(0), int64(0)
		step := func() {
			var n int64
			a, n = a.Step(tuning, Reading{Elapsed: tick, Waiting: line - served, Remaining: -1, Ceiling: ceiling})
			served += n
		}
		for range 600 {
			step()
		}
		if ahead := served - line; ahead > want+want/20 || ahead < want-want/20 || a.Outstanding != 0 || a.Shown != 0 {
			t.Errorf("ceiling %g: %d places are served ahead of an empty line, want %d; %.1f orders are expected of nobody", ceiling, ahead, want, a.Outstanding)
		}
		line += 40 // who comes to an empty line walks through, and is expected to order
		if step(); served < line || math.Abs(a.Outstanding-40*a.Share) > 1 {
			t.Errorf("ceiling %g: 40 came, %d are served and %.1f orders expected", ceiling, served, a.Outstanding)
		}
	}
}

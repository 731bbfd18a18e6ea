package jobs

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// GuardLimits bound the calls to one provider from one process.
type GuardLimits struct {
	Rate     float64       // calls a second
	Burst    int           // calls at once
	Failures int           // in a row, until the breaker opens
	Open     time.Duration // for how long it opens first; it doubles with every probe that fails
	MaxOpen  time.Duration
}

// DefaultGuardLimits returns the limits for a provider. A breaker opens for 15 s at most: a probe costs one call, and behind it
// wait people who want to pay.
func DefaultGuardLimits(p Provider) GuardLimits {
	limits := GuardLimits{Rate: 50, Burst: 50, Failures: 5, Open: 2 * time.Second, MaxOpen: 15 * time.Second}
	if p == SMTP {
		limits.Rate, limits.Burst = 100, 100
	}
	return limits
}

// Verdict is what the end of a call tells about its provider.
type Verdict int

// What a call tells.
const (
	Answered Verdict = iota // it works, whatever it said
	Silent                  // it failed, or did not answer
	Unasked                 // nothing: the call was not made, or what failed was ours
)

// Pass lets one call through. Its end must be reported with Leave.
type Pass struct {
	Wait  time.Duration // to be waited before the call; without a pass: before asking again
	probe bool
}

// Guard is a provider's circuit breaker and token bucket. It is safe for concurrent use.
type Guard struct {
	limits GuardLimits
	random func(n int64) int64
	bucket *rate.Limiter

	mu        sync.Mutex
	failures  int
	open      time.Duration // zero: closed
	reopensAt time.Time     // then one call may probe
	probing   bool
}

// NewGuard returns a closed breaker and a full bucket.
func NewGuard(l GuardLimits, random func(n int64) int64) *Guard {
	return &Guard{limits: l, random: random, bucket: rate.NewLimiter(rate.Limit(l.Rate), l.Burst)}
}

// maxInPlace is the longest wait for the bucket that a worker sits out; a longer one sends the job back.
const maxInPlace = 2 * time.Second

// Enter asks to call the provider. If it may not be called now, the pass only says when to ask again: spread over a second
// interval of the same length, so that everything that waited does not fall on a provider that has just come back.
func (g *Guard) Enter(now time.Time) (p Pass, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open > 0 && (g.probing || now.Before(g.reopensAt)) {
		return Pass{Wait: max(g.reopensAt.Sub(now), 0) + g.spread(g.open)}, false
	}
	r := g.bucket.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > maxInPlace {
		r.CancelAt(now)
		return Pass{Wait: wait + g.spread(wait)}, false
	}
	g.probing = g.open > 0
	return Pass{Wait: wait, probe: g.probing}, true
}

func (g *Guard) spread(d time.Duration) time.Duration { return time.Duration(g.random(int64(d) + 1)) }

// Leave reports what a call told. Only the probe makes an open breaker wait longer: the calls that were under way when it
// opened fail together, and each would double the time.
func (g *Guard) Leave(now time.Time, p Pass, v Verdict) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p.probe {
		g.probing = false
	}
	switch {
	case v == Unasked:
		return
	case v == Answered:
		g.failures, g.open = 0, 0
		return
	case g.open > 0 && !p.probe:
		return
	case g.open > 0:
		g.open = min(2*g.open, g.limits.MaxOpen)
	default:
		if g.failures++; g.failures < g.limits.Failures {
			return
		}
		g.open = g.limits.Open
	}
	g.reopensAt = now.Add(g.open)
}

// Open reports whether the breaker is open.
func (g *Guard) Open() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open > 0
}

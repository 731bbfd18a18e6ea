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

// DefaultGuardLimits returns the limits for a provider.
func DefaultGuardLimits(p Provider) GuardLimits {
	limits := GuardLimits{Rate: 50, Burst: 50, Failures: 5, Open: 2 * time.Second, MaxOpen: time.Minute}
	if p == SMTP {
		limits.Rate, limits.Burst = 100, 100
	}
	return limits
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

// Enter asks to call the provider. If it may be called, then after wait, and how that ended must be reported with Leave. If
// not, wait says when to ask again: spread over a second interval of the same length, so that everything that waited does
// not fall on a provider that has just come back.
func (g *Guard) Enter(now time.Time) (wait time.Duration, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open > 0 && (g.probing || now.Before(g.reopensAt)) {
		return max(g.reopensAt.Sub(now), 0) + g.spread(g.open), false
	}
	r := g.bucket.ReserveN(now, 1)
	if wait = r.DelayFrom(now); wait > maxInPlace {
		r.CancelAt(now)
		return wait + g.spread(wait), false
	}
	g.probing = g.open > 0
	return wait, true
}

func (g *Guard) spread(d time.Duration) time.Duration { return time.Duration(g.random(int64(d) + 1)) }

// Leave reports how a call ended. An error with a delay of its own is no sign of trouble: the provider answered, or the
// moment had not come.
func (g *Guard) Leave(now time.Time, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.probing = false
	if err == nil || IsPermanent(err) || DelayOf(err) > 0 {
		g.failures, g.open = 0, 0
		return
	}
	g.failures++
	switch {
	case g.open > 0:
		g.open = min(2*g.open, g.limits.MaxOpen)
	case g.failures >= g.limits.Failures:
		g.open = g.limits.Open
	default:
		return
	}
	g.reopensAt = now.Add(g.open)
}

// Open reports whether the breaker is open.
func (g *Guard) Open() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open > 0
}

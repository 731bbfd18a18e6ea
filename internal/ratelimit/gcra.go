// Package ratelimit says who asks too often. The arithmetic is GCRA: per key one instant is kept, at which the key will be
// as good as new; there are no windows with edges to wait for. A tier in process sheds at almost no cost, a shared one
// holds a limit over several nodes, and where the shared one is slow or gone the local one goes on alone.
package ratelimit

import (
	"time"
)

// Limit allows Quota requests at once, and as many again over each Window, evenly: one every Window / Quota.
type Limit struct {
	Name   string        // the policy's name in the RateLimit headers: letters, digits, "-" and "_"
	Quota  int           // at least 1
	Window time.Duration // at least Quota microseconds
}

// spacing returns the nanoseconds that one request costs: whole microseconds, rounded up, because the shared tier counts
// in those (nanoseconds of today exceed what its numbers hold).
func (l Limit) spacing() int64 {
	per := int64(time.Microsecond) * int64(max(l.Quota, 1))
	return max((int64(l.Window)+per-1)/per, 1) * int64(time.Microsecond)
}

// Spacing returns how long one request takes to be forgotten.
func (l Limit) Spacing() time.Duration { return time.Duration(l.spacing()) }

// Burst returns how long a full quota takes to be forgotten: Window, but for rounding.
func (l Limit) Burst() time.Duration { return time.Duration(l.spacing() * int64(max(l.Quota, 1))) }

// Decision is what a limit says of one request.
type Decision struct {
	Allowed   bool
	Remaining int           // requests that would be allowed at once after this one
	Reset     time.Duration // until one more is allowed; 0 while Remaining is the quota
	Retry     time.Duration // until this one would be allowed; 0 if it is
}

// Take decides about one request at now for a key whose kept instant is tat (unix nanoseconds both; 0 for a key that was
// never seen), and returns the instant to keep. reserve requests of the quota are left untouched: a request that would
// need them is refused without being counted. A refused request costs nothing, so hammering does not lengthen the wait.
func (l Limit) Take(tat, now int64, reserve int) (int64, Decision) {
	spacing := l.spacing()
	burst := spacing * int64(max(l.Quota, 1))
	base := max(tat, now)
	// An instant further ahead than the burst cannot have come from this limit: the clock went back, or the limit
	// shrank. Nobody waits longer than one window for that.
	base = min(base, now+burst)
	next := base + spacing
	limit := now + burst - spacing*int64(min(max(reserve, 0), max(l.Quota, 1)))
	if next > limit {
		return base, Decision{
			Remaining: int((now + burst - base) / spacing),
			Reset:     reset(base, now, spacing),
			Retry:     time.Duration(next - limit),
		}
	}
	return next, Decision{
		Allowed:   true,
		Remaining: int((now + burst - next) / spacing),
		Reset:     reset(next, now, spacing),
	}
}

// reset returns the time until one more request fits: what is left of the last spacing.
func reset(tat, now, spacing int64) time.Duration {
	ahead := tat - now
	if ahead <= 0 {
		return 0
	}
	if rest := ahead % spacing; rest > 0 {
		return time.Duration(rest)
	}
	return time.Duration(spacing)
}

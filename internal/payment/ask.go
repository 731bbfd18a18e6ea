package payment

import "time"

// scheduled sets on every attempt in d when reconciliation asks about it next. A question that was due for another reason (a
// notification, say) and changed nothing leaves the schedule as it is.
func (d Decision) scheduled(c Case, now time.Time) Decision {
	for i, a := range d.Attempts {
		old, known := c.Attempt(a.N)
		if known && old.State == a.State && old.Asks == a.Asks && old.AskAt.After(now) {
			continue
		}
		d.Attempts[i].AskAt = AskAt(a, now)
	}
	return d
}

// AskAt returns when reconciliation asks the provider about the attempt unless a notification comes first; zero: never.
//
// While money may come: after 1, 2, 4, ... minutes, at most 30, and just after the provider's own end, for a day past that.
// A paid attempt: after 6 minutes, since a settlement is reversed within 5, and once more after a day. An ended one: after
// 10 minutes and after a day, for money that came while we gave it up.
func AskAt(a Attempt, now time.Time) time.Time {
	switch a.State {
	case AttemptPaid:
		return steps(a.Asks, now, 6*time.Minute, day)
	case AttemptDead, AttemptReversed:
		return steps(a.Asks, now, 10*time.Minute, day)
	}
	next := now.Add(doubling(a.Asks, 30*time.Minute))
	end := a.ExpiresAt.Add(30 * time.Second)
	switch {
	case a.ExpiresAt.IsZero():
		return next
	case now.Before(end) && next.After(end):
		return end
	case now.After(end.Add(day)):
		return time.Time{}
	}
	return next
}

func doubling(asks int, most time.Duration) time.Duration {
	return min(time.Minute<<min(max(asks, 0), 10), most)
}

func steps(asks int, now time.Time, after ...time.Duration) time.Time {
	if asks >= len(after) {
		return time.Time{}
	}
	return now.Add(after[asks])
}

// postpone counts a question that was not answered.
func postpone(c Case, n int, now time.Time) Decision {
	a, ok := c.Attempt(n)
	if !ok {
		return Decision{Ignored: IgnoredForeign}
	}
	a.AskAt = now.Add(doubling(a.Asks, 30*time.Minute))
	a.Asks++
	return Decision{Attempts: []Attempt{a}}
}

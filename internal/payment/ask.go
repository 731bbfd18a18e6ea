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
	case AttemptStarting, AttemptOpen, AttemptReview:
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

// silence is how long a provider that does not answer is left alone about one attempt.
const silence = 5 * time.Minute

// postponed is the bookkeeping after a question that was not answered. Not being answered does not count as asked, or an
// outage would use up the questions that a paid attempt has left.
func (a Attempt) postponed(now time.Time) AskedOf {
	return AskedOf{AskedAt: a.AskedAt, Asks: a.Asks, AskAt: now.Add(silence)}
}

// onlyAsked reports whether nothing in d changes but the bookkeeping of questions of one attempt, and returns that.
func (d Decision) onlyAsked(c Case) (AskedOf, bool) {
	if d.Order != "" || len(d.Refunds)+len(d.Entries)+len(d.Alerts) > 0 || len(d.Attempts) != 1 {
		return AskedOf{}, false
	}
	a := d.Attempts[0]
	k := AskedOf{AskedAt: a.AskedAt, Asks: a.Asks, AskAt: a.AskAt}
	old, known := c.Attempt(a.N)
	a.AskedAt, a.Asks, a.AskAt = old.AskedAt, old.Asks, old.AskAt
	return k, known && a == old
}

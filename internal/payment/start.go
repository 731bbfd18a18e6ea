package payment

import (
	"time"

	"gapura/internal/fault"
	"gapura/internal/registration"
)

// startRetry is what a client waits for while another request of the same order talks to the provider: a create call takes
// well under a second.
const startRetry = 2 * time.Second

// Start decides how paying an order goes on: by the attempt that is open, or by a new one (fresh), which must then be created
// at the provider and recorded with Opened. It returns a wrong_state fault if the order does not wait for money or its hold
// is about to end, and an overloaded fault with Retry-After while another request is creating an attempt or the provider did
// not answer the last ones.
func Start(c Case, now time.Time, p Policy) (d Decision, n int, fresh bool, err error) {
	if c.Order.Status != registration.AwaitingPayment {
		return Decision{}, 0, false, fault.New(fault.WrongState).With("status", c.Order.Status)
	}
	end := c.Order.ExpiresAt.Add(-p.Margin).Truncate(time.Second)
	for _, a := range c.Attempts {
		switch {
		case a.State == AttemptOpen && now.Before(a.ExpiresAt), a.State == AttemptReview:
			return Decision{}, a.N, false, nil
		case a.State == AttemptStarting && now.Before(a.StartedAt.Add(p.StartLease)):
			return Decision{}, 0, false, fault.New(fault.Overloaded).After(startRetry)
		}
	}
	if pause := c.nextStart(p).Sub(now); pause > 0 {
		return Decision{}, 0, false, fault.New(fault.Overloaded).After(pause)
	}
	if end.Sub(now) < p.MinToPay {
		return Decision{}, 0, false, fault.New(fault.WrongState).With("status", c.Order.Status).With("expires_at", c.Order.ExpiresAt)
	}
	f := newDraft(c, now)
	n = len(f.c.Attempts) + 1
	f.c.Attempts = append(f.c.Attempts, Attempt{
		N: n, ProviderID: ProviderID(c.Order.Number, n), Amount: c.Order.Total, State: AttemptStarting, StartedAt: now,
		ExpiresAt: end,
	})
	f.dirtyA[n] = true
	return f.decision().scheduled(c, now), n, true, nil
}

// nextStart is when another attempt may begin after some that the provider did not answer: two at once, the others after 2, 4,
// 8, ... seconds, at most StartLease. Each takes the event's lock twice, which an outage must not have spent on it.
func (c Case) nextStart(p Policy) time.Time {
	failed := 0
	for i := len(c.Attempts) - 1; i >= 0 && c.Attempts[i].State == AttemptDead && c.Attempts[i].Token == ""; i-- {
		failed++
	}
	if failed < 2 {
		return time.Time{}
	}
	return c.Attempts[len(c.Attempts)-1].StartedAt.Add(min(startRetry<<min(failed-2, 10), p.StartLease))
}

// Opened decides what the provider's page changes. An attempt that was closed meanwhile, because the hold ended, keeps its
// state: its page must be revoked (closed).
func Opened(c Case, n int, page Page, now time.Time) (d Decision, closed bool) {
	a, ok := c.Attempt(n)
	if !ok || a.State != AttemptStarting {
		return Decision{Ignored: IgnoredRepeated}, true
	}
	a.State, a.Token, a.RedirectURL, a.Asks = AttemptOpen, page.Token, page.RedirectURL, 0
	d = Decision{Attempts: []Attempt{a}}.scheduled(c, now)
	return d, c.Order.Status != registration.AwaitingPayment
}

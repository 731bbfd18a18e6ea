package payment

import (
	"time"

	"gapura/internal/registration"
)

// HoldStep says what comes next when a hold ends.
type HoldStep struct {
	Do      HoldAction
	Attempt int       // for HoldAsk, HoldCancel and HoldRevoke
	Until   time.Time // for HoldWait
}

// HoldAction is a kind of step.
type HoldAction string

// The actions at the end of a hold.
const (
	HoldNothing HoldAction = ""        // the order no longer waits for money
	HoldAsk     HoldAction = "ask"     // ask the provider about the attempt and apply the answer
	HoldCancel  HoldAction = "cancel"  // cancel the transaction at the provider, then ask
	HoldRevoke  HoldAction = "revoke"  // nobody chose a way to pay: cancel the page, so that nobody can
	HoldWait    HoldAction = "wait"    // the hold has not ended, or the provider does not answer
	HoldRelease HoldAction = "release" // no money can come any more, or the wait is over: let the places go
)

// Asked is what was learnt about one attempt while its hold was being ended.
type Asked struct {
	Answered bool // the provider answered since the last step that could have changed anything
	Missing  bool // the answer: it knows no transaction
	Tried    bool // cancelling or revoking was tried
	Failed   bool // the provider did not answer
}

// NextHoldStep decides how to end a hold: ask about every attempt, close at the provider what could still be paid, and only
// then release. When the provider does not answer, the hold waits for p.AskGrace and is released all the same, because a
// place must not hang on someone else's outage; money that comes after that is late money.
func NextHoldStep(c Case, asked map[int]Asked, now time.Time, p Policy) HoldStep {
	if c.Order.Status != registration.AwaitingPayment {
		return HoldStep{Do: HoldNothing}
	}
	if now.Before(c.Order.ExpiresAt) {
		return HoldStep{Do: HoldWait, Until: c.Order.ExpiresAt}
	}
	unsure := false // an attempt may still bring money: no answer, or still payable after we tried to close it
	for _, a := range c.Attempts {
		if !a.Payable() {
			continue
		}
		step, done := closeStep(a, asked[a.N])
		if !done {
			return step
		}
		unsure = unsure || asked[a.N].Failed || asked[a.N].Tried
	}
	if end := c.Order.ExpiresAt.Add(p.AskGrace); unsure && now.Before(end) {
		return HoldStep{Do: HoldWait, Until: end}
	}
	return HoldStep{Do: HoldRelease}
}

// closeStep decides what to do with one attempt that could be paid; done, if nothing more can be done now.
func closeStep(a Attempt, k Asked) (step HoldStep, done bool) {
	switch {
	case k.Failed:
		return HoldStep{}, true
	case !k.Answered:
		return HoldStep{Do: HoldAsk, Attempt: a.N}, false
	case k.Tried:
		return HoldStep{}, true
	case k.Missing && a.Token == "":
		return HoldStep{}, true
	case k.Missing:
		return HoldStep{Do: HoldRevoke, Attempt: a.N}, false
	}
	return HoldStep{Do: HoldCancel, Attempt: a.N}, false
}

// Release decides the end of a hold whose attempts are closed. It is decided again under the lock: an order that was paid in
// the meantime keeps its place.
func Release(c Case, now time.Time) Decision {
	if c.Order.Status != registration.AwaitingPayment || now.Before(c.Order.ExpiresAt) {
		return Decision{Ignored: IgnoredRepeated}
	}
	return Decision{Order: registration.Expired}
}

// NeverTried reports whether nobody began to pay the order: its hold can end without asking the provider.
func (c Case) NeverTried() bool { return len(c.Attempts) == 0 }

// CloseAttempt decides that no money can come through attempt n any more, because its page was revoked or never existed.
func CloseAttempt(c Case, n int, now time.Time) Decision {
	a, ok := c.Attempt(n)
	if !ok || !a.Payable() {
		return Decision{Ignored: IgnoredRepeated}
	}
	a.State, a.Provider, a.Asks = AttemptDead, TxCancel, 0
	return Decision{Attempts: []Attempt{a}}.scheduled(c, now)
}

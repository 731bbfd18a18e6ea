package payment

import (
	"time"

	"gapura/internal/fault"
	"gapura/internal/money"
	"gapura/internal/registration"
)

// refunded: money went back through the provider. Its sum is cumulative and each refund is told twice, so only what is new
// counts. Tasks are matched by key, then by amount (someone used the provider's dashboard instead of our button), then they
// shrink; what no task explains comes from the money that was kept.
func (f *draft) refunded(n int, s ProviderStatus, p Policy) Decision {
	if !f.ensureReceived(n, s, p) {
		return f.ignore(IgnoredRepeated)
	}
	a := f.attempt(n)
	delta := s.refundedSoFar(a.Received) - a.Refunded
	a.learn(s)
	if delta <= 0 {
		return f.ignore(IgnoredRepeated)
	}
	a.Asks = 0
	left := f.matchKeys(n, s.Refunds, delta)
	left = f.matchAmount(n, left)
	left = f.shrink(n, left)
	left = f.outside(n, left)
	a.Refunded += delta - left
	if left > 0 {
		f.alert(AlertTooMuchBack, n, left, "more went back than was held; a transfer by hand may have been recorded as well")
	}
	f.settleOrder()
	return f.decision()
}

// back books that the provider gave amount of a task back.
func (f *draft) back(attempt int, amount money.Rupiah, why Reason) {
	f.move(attempt, AccountOwed, AccountRefunded, amount, why)
}

func (f *draft) matchKeys(n int, list []ProviderRefund, left money.Rupiah) money.Rupiah {
	for _, told := range list {
		for _, r := range f.c.Refunds {
			if r.Attempt == n && r.Key == told.Key && r.State.Owed() && r.Amount <= left {
				f.refund(r.N).State = RefundDone
				f.back(n, r.Amount, ReasonRefund)
				left -= r.Amount
			}
		}
	}
	return left
}

func (f *draft) matchAmount(n int, left money.Rupiah) money.Rupiah {
	for _, state := range []RefundState{RefundSending, RefundManual, RefundOpen} {
		for _, r := range f.c.Refunds {
			if left > 0 && r.Attempt == n && r.State == state && r.Amount == left {
				f.refund(r.N).State = RefundDone
				f.back(n, left, ReasonRefund)
				left = 0
			}
		}
	}
	return left
}

func (f *draft) shrink(n int, left money.Rupiah) money.Rupiah {
	for _, state := range []RefundState{RefundManual, RefundOpen, RefundSending} {
		for _, r := range f.c.Refunds {
			if left == 0 || r.Attempt != n || r.State != state {
				continue
			}
			part := min(left, r.Amount)
			task := f.refund(r.N)
			if task.Amount -= part; task.Amount == 0 {
				task.Amount, task.State = part, RefundDone
			}
			f.back(n, part, ReasonOutside)
			left -= part
		}
	}
	return left
}

// outside takes a refund that nobody asked us for from the money that was kept. A confirmed order of which all was given
// back has lost its place.
func (f *draft) outside(n int, left money.Rupiah) money.Rupiah {
	part := min(left, f.c.SheetOf(n).Paid)
	if part == 0 {
		return left
	}
	f.move(n, AccountPaid, AccountRefunded, part, ReasonOutside)
	f.alert(AlertOutside, n, part, "")
	if f.c.Order.Status == registration.Confirmed && f.c.Sheet().Paid == 0 {
		f.order(registration.Refunding)
		if f.c.Sheet().Owed == 0 {
			f.order(registration.Refunded)
		}
	}
	return left - part
}

// RefundRequest is someone's decision to give money back.
type RefundRequest struct {
	Amount money.Rupiah // 0: everything, and the place with it
	By     string       // the account that decided
}

// RequestRefund decides a refund of a confirmed order. Everything: the place is given up and the order is refunding. A part:
// the place stays. An order without a place already has its tasks; asking for everything sends them without waiting for a
// place any longer. It returns a wrong_state or validation_failed fault.
func RequestRefund(c Case, r RefundRequest, now time.Time) (Decision, error) {
	f := newDraft(c, now)
	switch {
	case c.Order.Status == registration.PaidNoPlace && r.Amount == 0:
		f.hurry()
	case c.Order.Status != registration.Confirmed || c.Order.Total == 0:
		return Decision{}, fault.New(fault.WrongState).With("status", c.Order.Status)
	case r.Amount == 0:
		f.giveUp(r.By)
	case r.Amount < 0 || r.Amount >= c.Sheet().Paid:
		return Decision{}, &fault.Fault{Code: fault.ValidationFailed, Fields: []fault.Field{{
			Pointer: "/amount", Code: "refund_amount", Params: map[string]any{"below": c.Sheet().Paid},
		}}}
	default:
		f.giveBack(r.Amount, r.By)
	}
	return f.decision(), nil
}

func (f *draft) hurry() {
	for _, r := range f.c.Refunds {
		if r.State == RefundOpen && r.NotBefore.After(f.now) {
			f.refund(r.N).NotBefore = f.now
		}
	}
}

// giveUp returns all that was kept. After a chargeback nothing is left to return, and the order is only cancelled.
func (f *draft) giveUp(by string) {
	if paid := f.c.Sheet().Paid; paid > 0 {
		f.giveBack(paid, by)
	}
	f.order(registration.Refunding)
	f.settleOrder()
}

func (f *draft) giveBack(left money.Rupiah, by string) {
	for _, a := range f.c.Attempts {
		if part := min(left, f.c.SheetOf(a.N).Paid); part > 0 {
			f.move(a.N, AccountPaid, AccountOwed, part, ReasonRequested)
			f.owe(a.N, part, ReasonRequested, by, f.now)
			left -= part
		}
	}
}

// RefundStep says what to do with a refund next.
type RefundStep string

// The steps of a refund.
const (
	RefundNothing RefundStep = ""     // it is not owed, or it is with finance
	RefundWait    RefundStep = "wait" // until its NotBefore
	RefundSend    RefundStep = "send" // ask the provider
	RefundByHand  RefundStep = "hand" // give it to finance
)

// captureWait is how long a refund waits for a card payment to settle: banks settle once a day.
const captureWait = 6 * time.Hour

// NextRefund decides what to do with the refund of that key and marks it accordingly. It is asked again after a crash: a
// refund that is being sent is sent again with the same key, which the provider answers without paying twice for 7 days.
func NextRefund(c Case, key string, now time.Time) (RefundStep, Decision) {
	r, ok := c.Refund(key)
	if !ok || r.State != RefundOpen && r.State != RefundSending {
		return RefundNothing, Decision{}
	}
	if now.Before(r.NotBefore) {
		return RefundWait, Decision{}
	}
	f := newDraft(c, now)
	a := c.Attempts[r.Attempt-1]
	if a.Provider == TxCapture && r.State == RefundOpen {
		f.refund(r.N).NotBefore = now.Add(captureWait)
		return RefundWait, f.decision()
	}
	if why := a.Channel.cannotRefund(a, r, now); why != "" {
		return RefundByHand, f.toFinance(r, why)
	}
	f.refund(r.N).State = RefundSending
	f.refund(r.N).Tries++
	return RefundSend, f.decision()
}

func (f *draft) toFinance(r Refund, why string) Decision {
	f.refund(r.N).State = RefundManual
	f.alert(AlertManualRefund, r.Attempt, r.Amount, why)
	return f.decision()
}

// RefuseRefund decides what follows when the provider said no for good: finance takes over. A refund that the provider
// already has (code 406) is not refused; ask for the status instead.
func RefuseRefund(c Case, key, why string, now time.Time) Decision {
	r, ok := c.Refund(key)
	if !ok || r.State != RefundSending {
		return Decision{Ignored: IgnoredRepeated}
	}
	return newDraft(c, now).toFinance(r, why)
}

// stuckAfter tries, 17 hours, a person is told that a refund does not get through. It is not handed to finance by itself:
// the provider may have paid it.
const stuckAfter = 11

// RetryRefund decides when a refund is sent again that the provider could not take now: after a minute, doubling to six
// hours, or after what the provider asked for if that is longer.
func RetryRefund(c Case, key string, after time.Duration, now time.Time) Decision {
	r, ok := c.Refund(key)
	if !ok || r.State != RefundSending {
		return Decision{Ignored: IgnoredRepeated}
	}
	wait := min(time.Minute<<min(max(r.Tries-1, 0), 9), 6*time.Hour)
	f := newDraft(c, now)
	f.refund(r.N).NotBefore = now.Add(max(wait, after))
	if r.Tries == stuckAfter {
		f.alert(AlertRefundStuck, r.Attempt, r.Amount, "the provider has not taken a refund for hours")
	}
	return f.decision()
}

// RecordByHand decides what finance's record of a bank transfer changes. A refund that is being sent cannot be recorded: the
// provider may be paying it. It returns a wrong_state fault.
func RecordByHand(c Case, key, note, by string, now time.Time) (Decision, error) {
	r, ok := c.Refund(key)
	if !ok || r.State != RefundManual {
		return Decision{}, fault.New(fault.WrongState).With("status", r.State)
	}
	f := newDraft(c, now)
	task := f.refund(r.N)
	task.State, task.Note, task.By = RefundDone, note, by
	f.attempt(r.Attempt).ByHand += r.Amount
	f.back(r.Attempt, r.Amount, ReasonByHand)
	f.settleOrder()
	return f.decision(), nil
}

// WithdrawRefund takes back a partial refund that someone requested by mistake, as long as it was not sent. It returns a
// wrong_state fault.
func WithdrawRefund(c Case, key string, now time.Time) (Decision, error) {
	r, ok := c.Refund(key)
	if !ok || r.Reason != ReasonRequested || c.Order.Status != registration.Confirmed ||
		(r.State != RefundOpen && r.State != RefundManual) {
		return Decision{}, fault.New(fault.WrongState).With("status", r.State)
	}
	f := newDraft(c, now)
	f.refund(r.N).State = RefundWithdrawn
	f.move(r.Attempt, AccountOwed, AccountPaid, r.Amount, ReasonRefundWithdrawn)
	return f.decision(), nil
}

const day = 24 * time.Hour

// rule is what a channel allows in refunds through the provider.
type rule struct {
	window time.Duration // after payment; 0: the provider names none
	whole  bool          // partial refunds are impossible
}

// refundable lists the channels that can be refunded through the provider (Midtrans' documentation, 2026). Virtual accounts
// and convenience stores are not among them.
func refundable(ch Channel) (rule, bool) {
	switch ch.Type {
	case "credit_card", "akulaku":
		return rule{}, true
	case "qris":
		if ch.OnUs {
			return rule{window: 45 * day}, true
		}
		return rule{window: 7 * day}, true
	case "gopay", "dana":
		return rule{window: 45 * day}, true
	case "shopeepay":
		return rule{window: 365 * day, whole: true}, true
	case "ovo":
		return rule{window: 7 * day, whole: true}, true
	case "kredivo":
		return rule{window: 14 * day}, true
	}
	return rule{}, false
}

// cannotRefund returns why the provider cannot give r back, or nothing if it can.
func (ch Channel) cannotRefund(a Attempt, r Refund, now time.Time) string {
	can, ok := refundable(ch)
	switch {
	case !ok:
		return "the provider cannot refund " + ch.Type
	case can.window > 0 && now.Sub(a.PaidAt) >= can.window:
		return "the provider's window for " + ch.Type + " has passed"
	case can.whole && r.Amount != a.Received:
		return "the provider refunds " + ch.Type + " only as a whole"
	}
	return ""
}

package payment

import (
	"time"

	"gapura/internal/money"
	"gapura/internal/registration"
)

// Apply decides what the provider's answer about attempt n changes. The answer must come from a status call; a
// notification's own words are never applied.
func Apply(c Case, n int, s ProviderStatus, now time.Time, p Policy) Decision {
	a, ok := c.Attempt(n)
	if !ok || (!s.Missing && s.OrderID != a.ProviderID) {
		return Decision{Ignored: IgnoredForeign}
	}
	if s.AskedAt.Before(a.AskedAt) {
		return Decision{Ignored: IgnoredStale}
	}
	f := newDraft(c, now)
	d := f.apply(n, s, p)
	return d.scheduled(c, now)
}

func (f *draft) apply(n int, s ProviderStatus, p Policy) Decision {
	a := f.attempt(n)
	a.AskedAt = s.AskedAt
	if !f.now.Before(a.AskAt) {
		a.Asks++
	}
	if s.Currency != "" && s.Currency != "IDR" {
		f.alert(AlertContradiction, n, 0, "the currency is not IDR")
		return f.ignore(IgnoredUnknown)
	}
	switch s.verdict() {
	case missingVerdict:
		return f.missing(n)
	case waitingVerdict:
		return f.waiting(n, s, AttemptOpen)
	case reviewVerdict:
		return f.waiting(n, s, AttemptReview)
	case deadVerdict:
		return f.dead(n, s)
	case paidVerdict:
		return f.paid(n, s, p)
	case refundVerdict:
		return f.refunded(n, s, p)
	case chargebackVerdict:
		return f.chargedBack(n, s, p)
	case unknownVerdict:
	}
	f.alert(AlertContradiction, n, 0, "unknown status "+string(s.Status))
	return f.ignore(IgnoredUnknown)
}

// missing: nobody has chosen a way to pay. Once the page is past its end nobody can any more, and the provider sends no
// word about that.
func (f *draft) missing(n int) Decision {
	a := f.attempt(n)
	if a.State == AttemptPaid {
		f.alert(AlertContradiction, n, a.Received, "a paid transaction is gone")
		return f.ignore(IgnoredRepeated)
	}
	if a.Payable() && !a.ExpiresAt.IsZero() && f.now.After(a.ExpiresAt) {
		a.State, a.Provider, a.Asks = AttemptDead, TxExpire, 0
		return f.decision()
	}
	return f.ignore(IgnoredNotPaying)
}

// waiting: no money yet. It never undoes a payment; it does revive an attempt that was thought dead, since the provider
// still takes money for it.
func (f *draft) waiting(n int, s ProviderStatus, state AttemptState) Decision {
	a := f.attempt(n)
	if a.State == AttemptPaid || a.State == AttemptReversed || (a.State == state && a.Provider == s.Status) {
		return f.ignore(IgnoredRepeated)
	}
	a.State, a.Asks = state, 0
	a.learn(s)
	if state == AttemptReview {
		f.alert(AlertReview, n, s.Gross, "the provider has not decided on a card payment")
	}
	return f.decision()
}

// learn takes over what the answer tells of the transaction.
func (a *Attempt) learn(s ProviderStatus) {
	a.Provider, a.TransactionID = s.Status, s.TransactionID
	if s.Channel.Type != "" {
		a.Channel = s.Channel
	}
}

// dead: the transaction ended. Before payment that is the end of the attempt and of nothing else; the order may be paid by
// another. After payment a denial or cancellation of the same transaction takes the money back, and an expiry contradicts it.
func (f *draft) dead(n int, s ProviderStatus) Decision {
	a := f.attempt(n)
	switch a.State {
	case AttemptDead, AttemptReversed:
		return f.ignore(IgnoredRepeated)
	case AttemptPaid:
		if s.TransactionID != a.TransactionID {
			return f.ignore(IgnoredForeign)
		}
		if s.Status == TxExpire {
			f.alert(AlertContradiction, n, a.Received, "a paid transaction is said to be expired")
			return f.ignore(IgnoredUnknown)
		}
		return f.reverse(n, s)
	case AttemptStarting, AttemptOpen, AttemptReview:
	}
	a.State, a.Asks = AttemptDead, 0
	a.learn(s)
	return f.decision()
}

// paid: the provider holds the money.
func (f *draft) paid(n int, s ProviderStatus, p Policy) Decision {
	a := f.attempt(n)
	if a.State == AttemptPaid {
		a.learn(s) // capture becomes settlement: from then on it can be refunded
		return f.ignore(IgnoredRepeated)
	}
	f.receive(n, s, p)
	return f.decision()
}

// receive books money that came in and finds out what it is for. An attempt whose money was reversed and that is paid after
// all starts from nothing: what came and went is balanced in its ledger.
func (f *draft) receive(n int, s ProviderStatus, p Policy) {
	a := f.attempt(n)
	a.State, a.Asks, a.Received = AttemptPaid, 0, a.Received+s.Gross
	a.learn(s)
	if a.PaidAt = s.SettledAt; a.PaidAt.IsZero() {
		a.PaidAt = f.now
	}
	if s.Gross != a.Amount || s.Gross != f.c.Order.Total {
		f.move(n, AccountIn, AccountOwed, s.Gross, ReasonWrongAmount)
		f.owe(n, s.Gross, ReasonWrongAmount, "", f.now)
		f.alert(AlertWrongAmount, n, s.Gross, "the sum is not what the order costs")
		return
	}
	f.assign(n, s.Gross, p)
}

// assign gives the right sum to the order: for its place, for a place taken again, or to be sent back.
func (f *draft) assign(n int, sum money.Rupiah, p Policy) {
	switch f.c.Order.Status {
	case registration.AwaitingPayment:
		f.move(n, AccountIn, AccountPaid, sum, ReasonPayment)
		f.order(registration.Confirmed)
	case registration.Expired, registration.Cancelled, registration.PaidNoPlace:
		f.late(n, sum, p)
	default:
		f.move(n, AccountIn, AccountOwed, sum, ReasonSecondPayment)
		f.owe(n, sum, ReasonSecondPayment, "", f.now)
		f.alert(AlertSecondPayment, n, sum, "")
	}
}

func (f *draft) late(n int, sum money.Rupiah, p Policy) {
	if f.c.PlaceFree {
		f.move(n, AccountIn, AccountPaid, sum, ReasonLatePayment)
		f.order(registration.Confirmed)
		return
	}
	f.move(n, AccountIn, AccountOwed, sum, ReasonLatePayment)
	f.owe(n, sum, ReasonLatePayment, "", f.now.Add(p.WaitForPlace))
	f.order(registration.PaidNoPlace)
	f.alert(AlertNoPlace, n, sum, "paid after the place was gone")
}

// reverse: the provider took the money back as if it had never come, within minutes of the settlement. The place goes too,
// unless a second payment can stand in.
func (f *draft) reverse(n int, s ProviderStatus) Decision {
	a, sheet := f.attempt(n), f.c.SheetOf(n)
	f.move(n, AccountPaid, AccountIn, sheet.Paid, ReasonReversal)
	f.move(n, AccountOwed, AccountIn, sheet.Owed, ReasonReversal)
	f.withdraw(n)
	a.State, a.Asks, a.Reversed = AttemptReversed, 0, a.Reversed+sheet.Paid+sheet.Owed
	a.learn(s)
	f.alert(AlertReversal, n, sheet.Paid+sheet.Owed, string(s.Status))
	if sheet.Paid > 0 && f.c.Order.Status == registration.Confirmed && !f.standIn(ReasonSwapped) {
		f.order(registration.Cancelled)
	}
	f.settleOrder()
	return f.decision()
}

// standIn lets money that is owed pay for the place: the whole price in one attempt, of which nothing has been sent back or
// handed to finance.
func (f *draft) standIn(why Reason) bool {
	for _, r := range f.c.Refunds {
		if r.State != RefundOpen || r.Amount != f.c.Order.Total || f.c.Attempts[r.Attempt-1].State != AttemptPaid {
			continue
		}
		f.refund(r.N).State = RefundWithdrawn
		f.move(r.Attempt, AccountOwed, AccountPaid, r.Amount, why)
		return true
	}
	return false
}

// Reseat decides whether a late payment gets a place that came back.
func Reseat(c Case, now time.Time) Decision {
	if c.Order.Status != registration.PaidNoPlace || !c.PlaceFree {
		return Decision{Ignored: IgnoredRepeated}
	}
	f := newDraft(c, now)
	if !f.standIn(ReasonPlaceReturned) {
		return Decision{Ignored: IgnoredRepeated}
	}
	f.order(registration.Confirmed)
	return f.decision()
}

// chargedBack: the customer's bank took the money. The place stays until a person decides; a partial chargeback does not say
// how much, so it is only reported.
func (f *draft) chargedBack(n int, s ProviderStatus, p Policy) Decision {
	if !f.ensureReceived(n, s, p) {
		return f.ignore(IgnoredRepeated)
	}
	a, sheet := f.attempt(n), f.c.SheetOf(n)
	if a.Provider == s.Status && (s.Status == TxPartialChargeback || sheet.Paid+sheet.Owed == 0) {
		return f.ignore(IgnoredRepeated)
	}
	a.learn(s)
	a.Asks = 0
	f.alert(AlertChargeback, n, sheet.Paid+sheet.Owed, string(s.Status))
	if s.Status == TxPartialChargeback {
		return f.decision()
	}
	f.move(n, AccountPaid, AccountRefunded, sheet.Paid, ReasonChargeback)
	f.move(n, AccountOwed, AccountRefunded, sheet.Owed, ReasonChargeback)
	f.withdraw(n)
	a.ChargedBack += sheet.Paid + sheet.Owed
	f.settleOrder()
	return f.decision()
}

// ensureReceived books a payment that we hear of only when it is already going back. A reversed attempt has nothing to go
// back.
func (f *draft) ensureReceived(n int, s ProviderStatus, p Policy) bool {
	switch f.attempt(n).State {
	case AttemptPaid:
		return true
	case AttemptReversed:
		return false
	case AttemptStarting, AttemptOpen, AttemptReview, AttemptDead:
	}
	f.receive(n, s, p)
	return true
}

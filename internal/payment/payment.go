// Package payment decides what money means for an order: which attempts there are to pay it, what the provider's word about
// one of them changes, what is owed back, and whether the books balance.
//
// Deciding is pure: a function over a Case (the order, its attempts, refunds and ledger as they stand under the lock of the
// event) that returns a Decision. The Service asks the provider outside of any transaction and has the store make the
// decision durable inside one.
package payment

import (
	"fmt"
	"slices"
	"time"

	"gapura/internal/money"
	"gapura/internal/registration"
)

// Case is everything that is known about the payment of one order.
type Case struct {
	Order registration.Order
	// PlaceFree says that every place of the order could be taken again at this moment: quotas, option stocks and claims
	// allow it and the event has not begun. It has a meaning only while the order has no place.
	PlaceFree bool
	Attempts  []Attempt // by N, from 1, without gaps
	Refunds   []Refund  // by N, from 1, without gaps
	Entries   []Entry   // by N, from 1, without gaps
}

// AttemptState is where one attempt to pay stands, as far as we know.
type AttemptState string

// The states of an attempt.
const (
	AttemptStarting AttemptState = "starting" // its number is taken; the provider may or may not know it
	AttemptOpen     AttemptState = "open"     // its page was handed out and no money has come
	AttemptReview   AttemptState = "review"   // a card payment that the provider has not decided on; no money has come
	AttemptPaid     AttemptState = "paid"     // money came; what of it went back is in Refunded, ByHand and ChargedBack
	AttemptDead     AttemptState = "dead"     // expired, cancelled or denied before any money came
	AttemptReversed AttemptState = "reversed" // money came and the provider took it back
)

// Attempt is one transaction at the provider. An order has one for every time that paying was begun anew.
type Attempt struct {
	N             int
	ProviderID    string // the provider's order id: the order's number, a dash and N
	Amount        money.Rupiah
	State         AttemptState
	Token         string
	RedirectURL   string
	StartedAt     time.Time
	ExpiresAt     time.Time // when the provider stops taking money for it
	Provider      TransactionStatus
	TransactionID string
	Channel       Channel
	PaidAt        time.Time

	Received    money.Rupiah // what came in
	Reversed    money.Rupiah // of it, taken back by the provider as if it never came
	Refunded    money.Rupiah // of it, refunded through the provider, as the provider counts
	ByHand      money.Rupiah // of it, refunded by bank transfer, as finance recorded
	ChargedBack money.Rupiah // of it, taken back by the customer's bank

	AskedAt time.Time // when the last status call that was applied began
	Asks    int       // scheduled status calls since the state last changed
	AskAt   time.Time // when reconciliation asks again; zero: never
}

// ProviderID returns the provider's order id of attempt n. Order numbers have at most 40 characters, so it stays under the
// provider's limit of 50.
func ProviderID(number string, n int) string { return fmt.Sprintf("%s-%d", number, n) }

// Payable reports whether money may still come in through the attempt.
func (a Attempt) Payable() bool {
	return a.State == AttemptStarting || a.State == AttemptOpen || a.State == AttemptReview
}

// RefundState is where one refund stands.
type RefundState string

// The states of a refund.
const (
	RefundOpen      RefundState = "open"      // to be sent at NotBefore
	RefundSending   RefundState = "sending"   // the provider was or is being asked; repeated with the same key until it answers
	RefundManual    RefundState = "manual"    // finance must transfer the money by hand and record it
	RefundDone      RefundState = "done"      // the money went back
	RefundWithdrawn RefundState = "withdrawn" // no longer owed
)

// Owed reports whether the refund's money is still to go back.
func (s RefundState) Owed() bool {
	return s == RefundOpen || s == RefundSending || s == RefundManual
}

// Reason says why money moved or is owed. Reasons are part of exports: they are added, never changed.
type Reason string

// The reasons.
const (
	ReasonPayment         Reason = "payment"
	ReasonLatePayment     Reason = "late_payment"     // it came after the hold ended
	ReasonSecondPayment   Reason = "second_payment"   // the order was paid already
	ReasonWrongAmount     Reason = "wrong_amount"     // not what the order costs
	ReasonPlaceReturned   Reason = "place_returned"   // a place came back for a late payment
	ReasonSwapped         Reason = "swapped"          // a second payment took over from a reversed one
	ReasonRequested       Reason = "refund_requested" // someone with the right to do so decided it
	ReasonRefund          Reason = "refund"           // the provider gave it back
	ReasonByHand          Reason = "refund_by_hand"   // finance gave it back
	ReasonOutside         Reason = "refund_outside"   // given back in the provider's own dashboard
	ReasonChargeback      Reason = "chargeback"
	ReasonReversal        Reason = "reversal"
	ReasonRefundWithdrawn Reason = "refund_withdrawn"
)

// Refund is money of one attempt that is to go back, or went back.
type Refund struct {
	N         int
	Key       string // sent to the provider; the same on every repetition
	Attempt   int
	Amount    money.Rupiah
	Reason    Reason
	State     RefundState
	By        string // the account that asked for it; empty: the rules did
	Note      string // finance's reference, such as the number of a bank transfer
	CreatedAt time.Time
	NotBefore time.Time
	Tries     int
}

// AlertKind names what a person should look at.
type AlertKind string

// The kinds of alerts.
const (
	AlertNoPlace       AlertKind = "paid_no_place"
	AlertSecondPayment AlertKind = "second_payment"
	AlertWrongAmount   AlertKind = "wrong_amount"
	AlertReview        AlertKind = "card_review"
	AlertReversal      AlertKind = "payment_reversed"
	AlertChargeback    AlertKind = "chargeback"
	AlertOutside       AlertKind = "refund_outside"
	AlertManualRefund  AlertKind = "manual_refund"
	AlertContradiction AlertKind = "provider_contradicts_itself"
	AlertRefundStuck   AlertKind = "refund_stuck"
	AlertTooMuchBack   AlertKind = "refunded_too_much"
)

// Alert asks a person to look at an order. It carries no personal data.
type Alert struct {
	Kind    AlertKind
	Attempt int
	Amount  money.Rupiah
	Detail  string
}

// Ignored says why the provider's word changed nothing.
type Ignored string

// Why nothing changed.
const (
	IgnoredStale     Ignored = "stale"      // a later answer was applied already: ask again
	IgnoredRepeated  Ignored = "repeated"   // it was known
	IgnoredForeign   Ignored = "foreign"    // it speaks of another transaction
	IgnoredUnknown   Ignored = "unknown"    // a status that is in no contract
	IgnoredNotPaying Ignored = "not_paying" // nobody has chosen a way to pay
)

// Decision is what changes in a Case. Store writes all of it in one transaction, or nothing.
type Decision struct {
	Order    registration.Status // the order's new state; empty: unchanged
	Attempts []Attempt           // new or changed, whole, by N
	Refunds  []Refund            // new or changed, whole, by N
	Entries  []Entry             // new
	Alerts   []Alert
	Ignored  Ignored // why nothing of weight changed; only bookkeeping of questions may be in Attempts
}

// Empty reports whether there is nothing to write.
func (d Decision) Empty() bool {
	return d.Order == "" && len(d.Attempts) == 0 && len(d.Refunds) == 0 && len(d.Entries) == 0 && len(d.Alerts) == 0
}

// After returns the case as it stands once d is written. Places are the engine's: PlaceFree is false in the result.
func (c Case) After(d Decision) Case {
	out := c.Clone()
	for _, a := range d.Attempts {
		out.Attempts = put(out.Attempts, a.N, a)
	}
	for _, r := range d.Refunds {
		out.Refunds = put(out.Refunds, r.N, r)
	}
	out.Entries = append(out.Entries, d.Entries...)
	if d.Order != "" && d.Order != out.Order.Status {
		out.Order.Status = d.Order
		out.Order.Version++
		out.PlaceFree = false
	}
	return out
}

// put replaces the element numbered n, or appends it when it is the next one.
func put[T any](list []T, n int, v T) []T {
	if n == len(list)+1 {
		return append(list, v)
	}
	list[n-1] = v
	return list
}

// Clone returns a copy that shares nothing that a decision changes.
func (c Case) Clone() Case {
	c.Attempts = slices.Clone(c.Attempts)
	c.Refunds = slices.Clone(c.Refunds)
	c.Entries = slices.Clone(c.Entries)
	return c
}

// Attempt returns attempt n.
func (c Case) Attempt(n int) (Attempt, bool) {
	if n < 1 || n > len(c.Attempts) {
		return Attempt{}, false
	}
	return c.Attempts[n-1], true
}

// ByProviderID returns the attempt that the provider knows under that order id.
func (c Case) ByProviderID(providerID string) (Attempt, bool) {
	for _, a := range c.Attempts {
		if a.ProviderID == providerID {
			return a, true
		}
	}
	return Attempt{}, false
}

// Refund returns the refund with that key.
func (c Case) Refund(key string) (Refund, bool) {
	for _, r := range c.Refunds {
		if r.Key == key {
			return r, true
		}
	}
	return Refund{}, false
}

// ToClose returns the attempts through which money could still come although the order no longer waits for it.
func (c Case) ToClose() []Attempt {
	if c.Order.Status == registration.AwaitingPayment {
		return nil
	}
	var open []Attempt
	for _, a := range c.Attempts {
		if a.Payable() {
			open = append(open, a)
		}
	}
	return open
}

// Policy holds the times that payment keeps to.
type Policy struct {
	Margin       time.Duration // the provider stops taking money this long before the hold ends
	MinToPay     time.Duration // with less time than this left, no attempt is begun
	StartLease   time.Duration // an attempt that is still starting after this is given up; longer than the gateway's time-out
	AskGrace     time.Duration // a hold waits this long past its end for a provider that does not answer
	WaitForPlace time.Duration // late money waits this long for a place before it is sent back
}

// DefaultPolicy returns the times used in production. AskGrace is under the minute after which an order counts as stuck;
// WaitForPlace is well inside the shortest refund window (7 days).
func DefaultPolicy() Policy {
	return Policy{
		Margin:       time.Minute,
		MinToPay:     time.Minute,
		StartLease:   30 * time.Second,
		AskGrace:     40 * time.Second,
		WaitForPlace: 24 * time.Hour,
	}
}

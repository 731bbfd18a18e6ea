package conformance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"gapura/internal/clock"
	"gapura/internal/fault"
	"gapura/internal/id"
	"gapura/internal/jobs"
	"gapura/internal/money"
	"gapura/internal/payment"
	"gapura/internal/registration"
	"gapura/internal/store"
)

// Payments holds a database to what payment expects of it.
func Payments(t *testing.T, fresh func(t *testing.T) *Database) {
	tests := []struct {
		name string
		run  func(t *testing.T, p *till)
	}{
		{"a case is written and read whole", paymentsRoundTrip},
		{"what is written again replaces what was there", paymentsReplace},
		{"a decision is all or nothing", paymentsRollback},
		{"an order that is not there", paymentsUnknown},
		{"one change of an order at a time", paymentsExclusion},
		{"a change of state brings a job", paymentsChanged},
		{"the provider's order id has one attempt", paymentsProviderID},
		{"questions change only their bookkeeping", paymentsAsked},
		{"attempts that are due", paymentsDue},
		{"refunds that are due", paymentsRefunds},
		{"who waits for a place", paymentsUnplaced},
		{"a place that comes back", paymentsPlaceFree},
		{"a notification is kept once, with its job", paymentsKeep},
		{"who may be paying", paymentsPaying},
		{"the end of a hold is postponed", paymentsPostpone},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, openTill(t, fresh(t)))
		})
	}
}

// till is a store of payments with an engine, as the program has them, and the race that is paid for.
type till struct {
	*store.Payments
	database *Database
	clock    *clock.Manual
	eventID  int64
}

func openTill(t *testing.T, d *Database) *till {
	t.Helper()
	s := d.Store(t)
	p := &till{database: d, clock: clock.NewManual(Opening.Add(time.Minute)), eventID: Apply(t, s, Race(t, "till-race", 100))}
	engine, err := registration.Open(t.Context(), registration.Config{
		Store: s, Clock: p.clock, Log: slog.New(slog.DiscardHandler), Secrets: Secrets(),
	})
	must(t, err)
	t.Cleanup(func() { _ = engine.Stop(context.Background()) })
	p.Payments = &store.Payments{Store: s, Settler: engine}
	return p
}

// order writes unpaid order n.
func (p *till) order(t *testing.T, n int, change ...func(*registration.NewOrder)) registration.Order {
	t.Helper()
	o := NewOrder(p.eventID, n, change...)
	must(t, Write(t, p.Store, p.eventID, o))
	return *o.Order
}

// decide writes d, whatever the case is.
func (p *till) decide(t *testing.T, order id.ID, d payment.Decision) payment.Case {
	t.Helper()
	after, err := p.Change(t.Context(), order, func(payment.Case) (payment.Decision, error) { return d, nil })
	must(t, err)
	return after
}

func (p *till) read(t *testing.T, order id.ID) payment.Case {
	t.Helper()
	c, err := p.Case(t.Context(), order)
	must(t, err)
	return c
}

// attempt is attempt n of an order in the given state, every field of it filled.
func attempt(o registration.Order, n int, state payment.AttemptState) payment.Attempt {
	at := Opening.Add(time.Duration(n) * time.Second)
	return payment.Attempt{
		N: n, ProviderID: payment.ProviderID(o.Number, n), Amount: o.Total, State: state, Token: fmt.Sprintf("token-%d", n),
		RedirectURL: "https://provider.example/" + o.Number, StartedAt: at, ExpiresAt: at.Add(29 * time.Minute), Provider: payment.TxSettlement,
		TransactionID: "0b7f3f52-1e7c-4a6a-9f6e-2f6a4c1d8e90", Channel: payment.Channel{Type: "qris", OnUs: true}, PaidAt: at.Add(time.Minute),
		Received: 150_000, Reversed: 1, Refunded: 2, ByHand: 3, ChargedBack: 4, AskedAt: at.Add(2 * time.Minute), Asks: 5, AskAt: at.Add(time.Hour),
	}
}

// bare is attempt n as it begins: what is optional is not there.
func bare(o registration.Order, n int) payment.Attempt {
	return payment.Attempt{
		N: n, ProviderID: payment.ProviderID(o.Number, n), Amount: o.Total, State: payment.AttemptStarting, StartedAt: Opening,
		ExpiresAt: Opening.Add(29 * time.Minute),
	}
}

func entry(n int, amount money.Rupiah) payment.Entry {
	return payment.Entry{
		N: n, Attempt: 1, From: payment.AccountIn, To: payment.AccountPaid, Amount: amount, Reason: payment.ReasonPayment, At: Opening.Add(time.Minute),
	}
}

func refund(n int, state payment.RefundState, notBefore time.Time) payment.Refund {
	return payment.Refund{
		N: n, Key: fmt.Sprintf("rf-%d", n), Attempt: 1, Amount: 150_000, Reason: payment.ReasonRequested, State: state, By: "finance", Note: "BCA 李 1",
		CreatedAt: Opening, NotBefore: notBefore, Tries: 2,
	}
}

func paymentsRoundTrip(t *testing.T, p *till) {
	o := p.order(t, 1)
	if diff := gocmp.Diff(payment.Case{Order: o}, p.read(t, o.ID), sameOrder); diff != "" {
		t.Errorf("nobody has begun to pay (-want +got):\n%s", diff)
	}
	d := payment.Decision{
		Order: registration.Confirmed, Attempts: []payment.Attempt{attempt(o, 1, payment.AttemptPaid), bare(o, 2)},
		Refunds: []payment.Refund{refund(1, payment.RefundOpen, Opening.Add(time.Hour)), refund(2, payment.RefundDone, Opening)},
		Entries: []payment.Entry{entry(1, 150_000), entry(2, 1<<40)},
		Alerts:  []payment.Alert{{Kind: payment.AlertReview, Attempt: 1, Amount: 150_000, Detail: "ditinjau"}},
	}
	after := p.decide(t, o.ID, d)
	want := payment.Case{Order: o, Attempts: d.Attempts, Refunds: d.Refunds, Entries: d.Entries}
	want.Order.Status, want.Order.Version = registration.Confirmed, o.Version+1
	if diff := gocmp.Diff(want, after, sameOrder); diff != "" {
		t.Errorf("what Change returns (-want +got):\n%s", diff)
	}
	if diff := gocmp.Diff(want, p.read(t, o.ID), sameOrder); diff != "" {
		t.Errorf("what is read (-want +got):\n%s", diff)
	}
	if n := p.database.Number(t, "SELECT COUNT(*) FROM payment_alerts WHERE kind = 'card_review' AND amount = 150000 AND detail = 'ditinjau'"); n != 1 {
		t.Errorf("%d alerts", n)
	}
}

func paymentsReplace(t *testing.T, p *till) {
	o := p.order(t, 1)
	p.decide(t, o.ID, payment.Decision{
		Attempts: []payment.Attempt{attempt(o, 1, payment.AttemptOpen), attempt(o, 2, payment.AttemptOpen)},
		Refunds:  []payment.Refund{refund(1, payment.RefundOpen, Opening), refund(2, payment.RefundOpen, Opening)},
	})
	changed, sent := attempt(o, 1, payment.AttemptDead), refund(1, payment.RefundSending, Opening.Add(time.Hour))
	changed.PaidAt, changed.AskAt, changed.Token = time.Time{}, time.Time{}, ""
	p.decide(t, o.ID, payment.Decision{Attempts: []payment.Attempt{changed}, Refunds: []payment.Refund{sent}})
	c := p.read(t, o.ID)
	if diff := gocmp.Diff([]payment.Attempt{changed, attempt(o, 2, payment.AttemptOpen)}, c.Attempts); diff != "" {
		t.Errorf("attempts (-want +got):\n%s", diff)
	}
	if diff := gocmp.Diff([]payment.Refund{sent, refund(2, payment.RefundOpen, Opening)}, c.Refunds); diff != "" {
		t.Errorf("refunds (-want +got):\n%s", diff)
	}
}

func paymentsRollback(t *testing.T, p *till) {
	o := p.order(t, 1)
	before := p.decide(t, o.ID, payment.Decision{Attempts: []payment.Attempt{attempt(o, 1, payment.AttemptOpen)}, Entries: []payment.Entry{entry(1, 5)}})
	jobsBefore := p.database.Number(t, "SELECT COUNT(*) FROM outbox")
	refused := errors.New("refused")
	_, err := p.Change(t.Context(), o.ID, func(c payment.Case) (payment.Decision, error) {
		if diff := gocmp.Diff(before, c, sameOrder); diff != "" {
			t.Errorf("what is decided on (-want +got):\n%s", diff)
		}
		return payment.Decision{Order: registration.Confirmed}, refused
	})
	wantError(t, err, refused)
	_, err = p.Change(t.Context(), o.ID, func(payment.Case) (payment.Decision, error) {
		return payment.Decision{ // an entry of the ledger is never written over
			Order: registration.Confirmed, Attempts: []payment.Attempt{attempt(o, 2, payment.AttemptPaid)}, Entries: []payment.Entry{entry(2, 7), entry(1, 7)},
			Alerts: []payment.Alert{{Kind: payment.AlertReview}},
		}, nil
	})
	if err == nil {
		t.Error("an entry was written twice")
	}
	if diff := gocmp.Diff(before, p.read(t, o.ID), sameOrder); diff != "" {
		t.Errorf("something stayed (-want +got):\n%s", diff)
	}
	if n := p.database.Number(t, "SELECT COUNT(*) FROM outbox") - jobsBefore + p.database.Number(t, "SELECT COUNT(*) FROM payment_alerts"); n != 0 {
		t.Errorf("%d jobs and alerts stayed", n)
	}
}

func paymentsUnknown(t *testing.T, p *till) {
	_, err := p.Case(t.Context(), id.New())
	wantError(t, err, fault.New(fault.NoSuchOrder))
	_, err = p.Change(t.Context(), id.New(), func(payment.Case) (payment.Decision, error) {
		t.Error("something was decided")
		return payment.Decision{}, nil
	})
	wantError(t, err, fault.New(fault.NoSuchOrder))
	_, err = p.OrderOf(t.Context(), "RC1-000001-1")
	wantError(t, err, fault.New(fault.NoSuchOrder))
	must(t, p.Asked(t.Context(), payment.AttemptRef{Order: id.New(), N: 1}, payment.AskedOf{}))
	if _, err := p.Kept(t.Context(), "no such key"); err == nil {
		t.Error("a notification that was never kept was read")
	}
}

func paymentsExclusion(t *testing.T, p *till) {
	o := p.order(t, 1)
	const each, tellers = 5, 6
	var wg sync.WaitGroup
	for range tellers {
		wg.Go(func() {
			for range each {
				_, err := p.Change(t.Context(), o.ID, func(c payment.Case) (payment.Decision, error) {
					return payment.Decision{Entries: []payment.Entry{entry(len(c.Entries)+1, 1)}}, nil
				})
				if err != nil {
					t.Errorf("change: %v", err)
				}
			}
		})
	}
	wg.Wait()
	c := p.read(t, o.ID)
	if len(c.Entries) != each*tellers || c.Sheet().Paid != each*tellers {
		t.Errorf("%d entries, %d paid, want %d", len(c.Entries), c.Sheet().Paid, each*tellers)
	}
}

func paymentsChanged(t *testing.T, p *till) {
	o := p.order(t, 1)
	count := func() int {
		return p.database.Number(t, "SELECT COUNT(*) FROM outbox WHERE kind = 'order.changed' AND version = ?", o.Version+1)
	}
	p.decide(t, o.ID, payment.Decision{Attempts: []payment.Attempt{bare(o, 1)}})
	if n := count(); n != 0 {
		t.Errorf("%d jobs without a new state", n)
	}
	p.decide(t, o.ID, payment.Decision{Order: registration.Confirmed})
	if n := count(); n != 1 {
		t.Errorf("%d jobs of the new state", n)
	}
	if held := p.database.Number(t, "SELECT held FROM counters WHERE kind = 'quota' AND ref = 'total'"); held != 0 {
		t.Errorf("%d places are held", held)
	}
}

func paymentsProviderID(t *testing.T, p *till) {
	first, second := p.order(t, 1), p.order(t, 2)
	a := bare(first, 1)
	p.decide(t, first.ID, payment.Decision{Attempts: []payment.Attempt{a}})
	_, err := p.Change(t.Context(), second.ID, func(payment.Case) (payment.Decision, error) {
		return payment.Decision{Attempts: []payment.Attempt{a}}, nil
	})
	if err == nil {
		t.Error("two attempts have one id")
	}
	got, err := p.OrderOf(t.Context(), a.ProviderID)
	if err != nil || got != first.ID {
		t.Errorf("%s belongs to %s, %v", a.ProviderID, got, err)
	}
	lower := a
	lower.ProviderID = "rc" + a.ProviderID[2:]
	p.decide(t, second.ID, payment.Decision{Attempts: []payment.Attempt{lower}})
	if got, err := p.OrderOf(t.Context(), lower.ProviderID); err != nil || got != second.ID {
		t.Errorf("in lower case it belongs to %s, %v", got, err)
	}
}

func paymentsAsked(t *testing.T, p *till) {
	o := p.order(t, 1)
	a := attempt(o, 1, payment.AttemptOpen)
	p.decide(t, o.ID, payment.Decision{Attempts: []payment.Attempt{a, attempt(o, 2, payment.AttemptOpen)}})
	ref := payment.AttemptRef{Order: o.ID, N: 1}
	later := payment.AskedOf{AskedAt: a.AskedAt.Add(time.Minute), Asks: 6, AskAt: a.AskAt.Add(time.Hour)}
	must(t, p.Asked(t.Context(), ref, later))
	must(t, p.Asked(t.Context(), ref, payment.AskedOf{AskedAt: a.AskedAt, Asks: 1, AskAt: Opening})) // an answer that was overtaken
	a.AskedAt, a.Asks, a.AskAt = later.AskedAt, later.Asks, later.AskAt
	if diff := gocmp.Diff([]payment.Attempt{a, attempt(o, 2, payment.AttemptOpen)}, p.read(t, o.ID).Attempts); diff != "" {
		t.Errorf("after a question (-want +got):\n%s", diff)
	}
	must(t, p.Asked(t.Context(), ref, payment.AskedOf{AskedAt: later.AskedAt, Asks: 7}))
	if got := p.read(t, o.ID).Attempts[0]; got.Asks != 7 || !got.AskAt.IsZero() {
		t.Errorf("never again: %d, %s", got.Asks, got.AskAt)
	}
	never := bare(o, 3)
	p.decide(t, o.ID, payment.Decision{Attempts: []payment.Attempt{never}})
	must(t, p.Asked(t.Context(), payment.AttemptRef{Order: o.ID, N: 3}, payment.AskedOf{AskAt: Opening})) // the provider did not answer
	if got := p.read(t, o.ID).Attempts[2]; !got.AskedAt.IsZero() || !got.AskAt.Equal(Opening) {
		t.Errorf("not answered: asked %s, next %s", got.AskedAt, got.AskAt)
	}
}

func paymentsDue(t *testing.T, p *till) {
	var want []payment.AttemptRef
	for n := range 6 {
		o := p.order(t, n+1)
		a := attempt(o, 1, payment.AttemptOpen)
		switch a.AskAt = Opening.Add(-time.Duration(n) * time.Minute); n {
		case 4:
			a.AskAt = time.Time{}
		case 5:
			a.AskAt = Opening.Add(time.Millisecond)
		default:
			want = append(want, payment.AttemptRef{Order: o.ID, N: 1})
		}
		p.decide(t, o.ID, payment.Decision{Attempts: []payment.Attempt{a}})
	}
	slices.Reverse(want)
	for _, limit := range []int{1, 3, 100} {
		got, err := p.AttemptsToAsk(t.Context(), Opening, limit)
		if diff := gocmp.Diff(want[:min(limit, len(want))], got); diff != "" || err != nil {
			t.Errorf("%d of them: %v (-want +got):\n%s", limit, err, diff)
		}
	}
}

func paymentsRefunds(t *testing.T, p *till) {
	o := p.order(t, 1)
	p.decide(t, o.ID, payment.Decision{Refunds: []payment.Refund{
		refund(1, payment.RefundOpen, Opening), refund(2, payment.RefundSending, Opening.Add(-time.Hour)), refund(3, payment.RefundManual, Opening),
		refund(4, payment.RefundDone, Opening), refund(5, payment.RefundWithdrawn, Opening), refund(6, payment.RefundOpen, Opening.Add(time.Millisecond)),
	}})
	want := []payment.RefundRef{{Order: o.ID, Key: "rf-2"}, {Order: o.ID, Key: "rf-1"}}
	got, err := p.RefundsToSend(t.Context(), Opening, 100)
	if diff := gocmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if got, err := p.RefundsToSend(t.Context(), Opening, 1); err != nil || len(got) != 1 || got[0] != want[0] {
		t.Errorf("one of them: %v, %v", got, err)
	}
	p.decide(t, o.ID, payment.Decision{Refunds: []payment.Refund{refund(2, payment.RefundDone, Opening)}})
	if got, err := p.RefundsToSend(t.Context(), Opening, 100); err != nil || len(got) != 1 || got[0].Key != "rf-1" {
		t.Errorf("one was sent: %v, %v", got, err)
	}
}

func paymentsUnplaced(t *testing.T, p *till) {
	other := Apply(t, p.Store, Race(t, "other-race", 100))
	events := func() []int64 {
		all, err := p.EventsWithoutPlace(t.Context())
		must(t, err)
		return all
	}
	if got := events(); len(got) != 0 {
		t.Errorf("events at first: %v", got)
	}
	var waiting []id.ID
	for n := range 3 {
		o := p.order(t, n+1)
		p.decide(t, o.ID, payment.Decision{Order: registration.PaidNoPlace})
		p.clock.Advance(time.Second)
		waiting = append(waiting, o.ID)
	}
	wait := func(want []id.ID, limit int) {
		t.Helper()
		got, err := p.WithoutPlace(t.Context(), p.eventID, limit)
		if diff := gocmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
	wait(waiting, 100)
	wait(waiting[:2], 2)
	p.decide(t, waiting[0], payment.Decision{Alerts: []payment.Alert{{Kind: payment.AlertNoPlace}}}) // its state stays
	p.decide(t, waiting[1], payment.Decision{Order: registration.Refunded})
	wait([]id.ID{waiting[0], waiting[2]}, 100)
	if got, err := p.WithoutPlace(t.Context(), other, 100); err != nil || len(got) != 0 {
		t.Errorf("of another event: %v, %v", got, err)
	}
	if got := events(); !slices.Equal(got, []int64{p.eventID}) {
		t.Errorf("events: %v", got)
	}
	p.decide(t, waiting[0], payment.Decision{Order: registration.Confirmed})
	p.decide(t, waiting[2], payment.Decision{Order: registration.Confirmed})
	if got := events(); len(got) != 0 {
		t.Errorf("events at last: %v", got)
	}
}

// paymentsPlaceFree: an order without a place is told whether it could have one again, and taking it again counts.
func paymentsPlaceFree(t *testing.T, p *till) {
	o := p.order(t, 1)
	taken := func() int {
		return p.database.Number(t, "SELECT taken FROM counters WHERE kind = 'quota' AND ref = 'total'")
	}
	p.decide(t, o.ID, payment.Decision{Order: registration.Expired})
	if n := taken(); n != 0 {
		t.Errorf("%d places are taken", n)
	}
	asked := false
	_, err := p.Change(t.Context(), o.ID, func(c payment.Case) (payment.Decision, error) {
		asked = c.PlaceFree
		return payment.Decision{Order: registration.Confirmed}, nil
	})
	if n := taken(); err != nil || !asked || n != 1 {
		t.Errorf("free %t, %d taken, %v", asked, n, err)
	}
	p.decide(t, o.ID, payment.Decision{Order: registration.Expired})
	must(t, p.settleFree(t, o.ID, true))
	p.clock.Set(Opening.AddDate(0, 3, 0)) // the race has begun
	must(t, p.settleFree(t, o.ID, false))
}

func (p *till) settleFree(t *testing.T, order id.ID, want bool) error {
	t.Helper()
	_, err := p.Change(t.Context(), order, func(c payment.Case) (payment.Decision, error) {
		if c.PlaceFree != want {
			t.Errorf("the place is free: %t, want %t", c.PlaceFree, want)
		}
		return payment.Decision{}, nil
	})
	return err
}

func paymentsKeep(t *testing.T, p *till) {
	kept := payment.Kept{
		Key: "5f3a", ProviderID: "RC1-000001-1", Body: []byte(`{"order_id":"RC1-000001-1","name":"李小龍 \u0000 \\ ' ؟"}`), At: Opening,
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	fresh := 0
	for range 6 { // a provider repeats itself, also at the same moment
		wg.Go(func() {
			first, err := p.Keep(t.Context(), kept)
			if err != nil {
				t.Errorf("keep: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			if first {
				fresh++
			}
		})
	}
	wg.Wait()
	planned := p.database.Number(t, "SELECT COUNT(*) FROM outbox WHERE kind = ? AND arg = '5f3a'", string(jobs.PaymentConfirm))
	if fresh != 1 || planned != 1 {
		t.Errorf("%d times fresh, %d jobs", fresh, planned)
	}
	upper := kept
	upper.Key = "5F3A"
	if first, err := p.Keep(t.Context(), upper); err != nil || !first {
		t.Errorf("a key in upper case: %t, %v", first, err)
	}
	must(t, p.Judge(t.Context(), kept.Key, payment.VerdictApplied))
	kept.Verdict = payment.VerdictApplied
	for _, want := range []payment.Kept{kept, upper} {
		got, err := p.Kept(t.Context(), want.Key)
		if diff := gocmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
}

func paymentsPaying(t *testing.T, p *till) {
	states := []payment.AttemptState{
		payment.AttemptStarting, payment.AttemptOpen, payment.AttemptReview, payment.AttemptPaid, payment.AttemptDead, payment.AttemptReversed,
	}
	var all, want []id.ID
	for n, state := range states {
		o := p.order(t, n+1)
		p.decide(t, o.ID, payment.Decision{Attempts: []payment.Attempt{attempt(o, 1, payment.AttemptDead), attempt(o, 2, state)}})
		if all = append(all, o.ID); n < 4 {
			want = append(want, o.ID)
		}
	}
	all = append(all, p.order(t, 100).ID, id.New())
	got, err := p.Paying(t.Context(), all)
	byID := func(a, b id.ID) int { return cmp.Compare(a.String(), b.String()) }
	slices.SortFunc(got, byID)
	slices.SortFunc(want, byID)
	if diff := gocmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func paymentsPostpone(t *testing.T, p *till) {
	held, free := p.order(t, 1), p.order(t, 2, Free)
	until := Opening.Add(time.Hour)
	for _, o := range []registration.Order{held, free} {
		must(t, p.PostponeHold(t.Context(), o.ID, until))
		if got := p.read(t, o.ID).Order; !got.ExpiresAt.Equal(o.ExpiresAt) {
			t.Errorf("the order's own end is %s, was %s", got.ExpiresAt, o.ExpiresAt)
		}
	}
	if n := p.database.Number(t, "SELECT COUNT(*) FROM orders WHERE hold_until = ?", until.UnixMilli()); n != 1 {
		t.Errorf("%d holds end later", n)
	}
	if n := p.database.Number(t, "SELECT COUNT(*) FROM orders WHERE hold_until IS NOT NULL"); n != 1 {
		t.Errorf("%d holds in all", n)
	}
}

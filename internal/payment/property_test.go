package payment_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gapura/internal/clock"
	"gapura/internal/fault"
	"gapura/internal/id"
	"gapura/internal/money"
	"gapura/internal/payment"
	"gapura/internal/payment/paymenttest"
	"gapura/internal/registration"
)

const total = money.Rupiah(250_000)

var noon = time.Date(2026, 12, 1, 5, 0, 0, 0, time.UTC)

// world is one order, the provider and the rest of the crowd, who take and free places.
type world struct {
	clock   *clock.Manual
	store   *paymenttest.Store
	gateway *fakeGateway
	service *payment.Service
	order   registration.Order
	undone  bool // someone refunded, reversed or charged back: the order may rightly lose its place
}

func newWorld(seats int) *world {
	w := &world{clock: clock.NewManual(noon), store: paymenttest.NewStore(seats + 1), gateway: newFakeGateway()}
	w.service = &payment.Service{Store: w.store, Gateway: w.gateway, Clock: w.clock, Policy: payment.DefaultPolicy()}
	w.order = registration.Order{
		ID: id.New(), Number: "GNR27-000123", Status: registration.AwaitingPayment, Version: 1, Total: total,
		CreatedAt: noon, ExpiresAt: noon.Add(30 * time.Minute),
		Participants: []registration.Participant{{Position: 1, Category: "10k", Price: total}},
	}
	w.store.Add(w.order)
	return w
}

func (w *world) current(t failer) payment.Case {
	c, err := w.store.Case(context.Background(), w.order.ID)
	if err != nil {
		t.Fatalf("case: %v", err)
	}
	return c
}

type failer interface {
	Fatalf(format string, args ...any)
}

// must lets pass what a live system meets every day: a provider in trouble, an order that cannot be paid now.
func must(t failer, err error) {
	var refusal *fault.Fault
	var provider *payment.ProviderError
	if err != nil && !errors.As(err, &provider) && !errors.As(err, &refusal) {
		t.Fatalf("%v", err)
	}
}

func (w *world) deliver(t failer, body []byte) {
	ctx := context.Background()
	key, _, err := w.service.Receive(ctx, body)
	must(t, err)
	_, err = w.service.Confirm(ctx, key)
	must(t, err)
}

func (w *world) attemptID(n int) string { return payment.ProviderID(w.order.Number, n) }

func (w *world) expire(t failer) {
	_, err := w.service.ExpireHold(context.Background(), w.order.ID)
	must(t, err)
}

// settle lets everything that is due happen until nothing is: reconciliation, the end of the hold, refunds.
func (w *world) settle(t failer) {
	ctx := context.Background()
	w.gateway.down = nil
	for range 60 {
		w.clock.Advance(time.Hour)
		w.expire(t)
		_, err := w.service.Reconcile(ctx, 100)
		must(t, err)
		_, err = w.service.SendRefunds(ctx, 100)
		must(t, err)
	}
}

// actions are what can happen, in any order.
func (w *world) actions() map[string]func(*rapid.T) {
	ctx := context.Background()
	attempt := rapid.IntRange(1, 3)
	event := rapid.SampledFrom([]payment.TransactionStatus{payment.TxPending, payment.TxSettlement, payment.TxExpire, payment.TxDeny, payment.TxCancel, payment.TxChargeback})
	return map[string]func(*rapid.T){
		"pay page": func(t *rapid.T) { _, err := w.service.Attempt(ctx, w.order.ID, ""); must(t, err) },
		"outside": func(t *rapid.T) {
			to := event.Draw(t, "event")
			tx := w.gateway.txs[w.attemptID(attempt.Draw(t, "attempt"))]
			if tx == nil {
				return
			}
			paid := tx.captured > 0
			w.undone = w.gateway.happen(tx.status.OrderID, to, w.clock.Now()) && paid || w.undone
		},
		"dashboard refund": func(t *rapid.T) {
			tx := w.gateway.txs[w.attemptID(attempt.Draw(t, "attempt"))]
			part := money.Rupiah(rapid.IntRange(1, 5).Draw(t, "fifths")) * total / 5
			w.undone = tx != nil && w.gateway.refund(tx, "dashboard-"+w.clock.Now().String(), part) || w.undone
		},
		"notice": func(t *rapid.T) {
			// Any one, the latest or one from long ago: reordered, repeated, delayed; those never drawn are lost.
			if sent := w.gateway.outbox; len(sent) > 0 {
				w.deliver(t, sent[rapid.IntRange(0, len(sent)-1).Draw(t, "which")])
			}
		},
		"time":      func(t *rapid.T) { w.clock.Advance(time.Duration(rapid.IntRange(1, 1200).Draw(t, "s")) * time.Second) },
		"hold ends": func(t *rapid.T) { w.expire(t) },
		"crowd":     func(t *rapid.T) { w.store.Free(rapid.SampledFrom([]int{-1, 1}).Draw(t, "places")) },
		"reseat":    func(t *rapid.T) { _, err := w.service.Reseat(ctx, 0, 10); must(t, err) },
		"reconcile": func(t *rapid.T) { _, err := w.service.Reconcile(ctx, 10); must(t, err) },
		"refund": func(t *rapid.T) {
			part := money.Rupiah(rapid.IntRange(0, 4).Draw(t, "fifths")) * total / 5
			_, err := w.service.Refund(ctx, w.order.ID, payment.RefundRequest{Amount: part, By: "fin"})
			must(t, err)
			w.undone = w.undone || err == nil
		},
		"send refunds": func(t *rapid.T) { _, err := w.service.SendRefunds(ctx, 10); must(t, err) },
		"lose answer":  func(*rapid.T) { w.gateway.lose = true },
		"outage": func(t *rapid.T) {
			w.gateway.down = nil
			if rapid.Bool().Draw(t, "down") {
				w.gateway.down = &payment.ProviderError{Op: "any", Code: "500", Temporary: true}
			}
		},
	}
}

// TestMoneyAlwaysBalances plays anything in any order. After every step the books balance and a paid order has its place
// unless its own money went; in the end the ledger agrees with the provider, and no order or refund hangs.
func TestMoneyAlwaysBalances(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rapid.IntRange(0, 1).Draw(rt, "seats"))
		last := w.current(rt)
		actions := w.actions()
		actions[""] = func(rt *rapid.T) {
			c := w.current(rt)
			checkBooks(rt, c)
			if last.Order.Status == registration.Confirmed && c.Order.Status != registration.Confirmed && !w.undone {
				rt.Fatalf("a paid order became %s", c.Order.Status)
			}
			last = c
		}
		rt.Repeat(actions)
		w.settle(rt)
		w.checkEnd(rt)
	})
}

func checkBooks(t failer, c payment.Case) {
	if wrong := payment.Balance(c); len(wrong) > 0 {
		t.Fatalf("%v", wrong)
	}
}

func (w *world) checkEnd(t failer) {
	c := w.current(t)
	checkBooks(t, c)
	if c.Order.Status == registration.AwaitingPayment {
		t.Fatalf("stuck: %s", c.Order.Status)
	}
	for _, a := range c.Attempts {
		tx := w.gateway.txs[a.ProviderID]
		if a.Payable() {
			t.Fatalf("attempt %d is still %s", a.N, a.State)
		}
		if tx == nil {
			continue
		}
		s := c.SheetOf(a.N)
		if s.In != tx.captured && (tx.captured != 0 || a.State != payment.AttemptReversed) {
			t.Fatalf("attempt %d (%s): the provider took %d, the ledger has %d", a.N, tx.status.Status, tx.captured, s.In)
		}
		if tx.status.Status != payment.TxChargeback && s.In > 0 && s.Refunded != tx.status.RefundAmount {
			t.Fatalf("attempt %d: the provider gave %d back, the ledger has %d", a.N, tx.status.RefundAmount, s.Refunded)
		}
	}
	for _, r := range c.Refunds {
		if r.State == payment.RefundOpen || r.State == payment.RefundSending {
			t.Fatalf("refund %s is still %s", r.Key, r.State)
		}
	}
}

// TestOrderOfNoticesDoesNotMatter lets one history happen at the provider under two different deliveries: every
// notification at once, and a random selection, repeated and reordered, with reconciliation in the end. Both must end in the
// same order state and leave the same sums with us. (Hearing at once closes the second attempt before it is paid; hearing late
// pays it back.) A place is always to be had here, and nothing is reversed: who loses a place by that depends on when we hear
// of it, as it must.
func TestOrderOfNoticesDoesNotMatter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
			return step{
				attempt: rapid.IntRange(1, 2).Draw(t, "attempt"),
				to:      rapid.SampledFrom([]payment.TransactionStatus{payment.TxPending, payment.TxSettlement, payment.TxExpire, payment.TxDeny}).Draw(t, "to"),
				gap:     time.Duration(rapid.IntRange(1, 900).Draw(t, "gap")) * time.Second,
			}
		}), 1, 8).Draw(rt, "history")
		prompt, messy := newWorld(1), newWorld(1)
		for _, s := range steps {
			prompt.play(rt, s)
			for _, body := range prompt.gateway.outbox {
				prompt.deliver(rt, body)
			}
			messy.play(rt, s)
			if sent := messy.gateway.outbox; len(sent) > 0 {
				for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(sent)-1), 0, 3).Draw(rt, "delivered") {
					messy.deliver(rt, sent[i])
				}
			}
		}
		if a, b := prompt.end(rt), messy.end(rt); a != b {
			rt.Fatalf("heard at once: %+v; heard in disorder: %+v", a, b)
		}
	})
}

type step struct {
	attempt int
	to      payment.TransactionStatus
	gap     time.Duration
}

func (w *world) play(t failer, s step) {
	w.clock.Advance(s.gap)
	for n := 1; n <= 2; n++ { // both attempts exist in both worlds, whatever was heard
		if w.gateway.txs[w.attemptID(n)] == nil {
			w.force(t, n)
		}
	}
	if tx := w.gateway.txs[w.attemptID(s.attempt)]; tx.captured == 0 {
		w.gateway.happen(tx.status.OrderID, s.to, w.clock.Now())
	}
	w.expire(t)
}

// force opens attempt n beside the others, as a browser that kept an old page would.
func (w *world) force(t failer, n int) {
	_, err := w.gateway.Create(context.Background(), payment.Checkout{
		ProviderID: w.attemptID(n), Amount: total,
		ExpiresAt: w.order.ExpiresAt.Add(-time.Minute), Items: []payment.Item{{ID: "10k", Price: total, Quantity: 1}},
	})
	must(t, err)
	_, err = w.store.Change(context.Background(), w.order.ID, func(payment.Case) (payment.Decision, error) {
		return payment.Decision{Attempts: []payment.Attempt{{
			N: n, ProviderID: w.attemptID(n), Amount: total, State: payment.AttemptOpen, Token: w.attemptID(n), StartedAt: w.clock.Now(),
			ExpiresAt: w.order.ExpiresAt.Add(-time.Minute), AskAt: w.clock.Now().Add(time.Minute),
		}}}, nil
	})
	must(t, err)
}

// ending is what must not depend on the order in which the provider's words arrived.
type ending struct {
	status registration.Status
	sheet  payment.Sheet
}

func (w *world) end(t failer) ending {
	w.settle(t)
	c := w.current(t)
	checkBooks(t, c)
	sheet := c.Sheet()
	return ending{c.Order.Status, payment.Sheet{In: sheet.In - sheet.Refunded, Paid: sheet.Paid, Owed: sheet.Owed}}
}

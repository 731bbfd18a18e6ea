package payment_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"gapura/internal/fault"
	"gapura/internal/payment"
	"gapura/internal/registration"
)

func (w *world) open(t *testing.T) payment.Attempt {
	t.Helper()
	a, err := w.service.Attempt(context.Background(), w.order.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (w *world) expectStatus(t *testing.T, want registration.Status) {
	t.Helper()
	c := w.current(t)
	checkBooks(t, c)
	if c.Order.Status != want {
		t.Errorf("order is %s, want %s", c.Order.Status, want)
	}
}

func (w *world) holdEnds(t *testing.T, want payment.HoldAction) {
	t.Helper()
	step, err := w.service.ExpireHold(context.Background(), w.order.ID)
	if err != nil || step.Do != want {
		t.Errorf("step %q, %v; want %q", step.Do, err, want)
	}
}

func TestAttemptIsResumedAndEndsBeforeTheHold(t *testing.T) {
	t.Parallel()
	w := newWorld(0)
	a := w.open(t)
	if a.ProviderID != "GNR27-000123-1" || a.State != payment.AttemptOpen || a.RedirectURL == "" {
		t.Fatalf("%+v", a)
	}
	if got := w.order.ExpiresAt.Sub(a.ExpiresAt); got != time.Minute {
		t.Errorf("the provider ends %s before the hold", got)
	}
	if again := w.open(t); again.N != 1 {
		t.Errorf("resumed as attempt %d", again.N)
	}
	w.gateway.happen(a.ProviderID, payment.TxPending, w.clock.Now())
	w.gateway.happen(a.ProviderID, payment.TxDeny, w.clock.Now())
	w.deliver(t, w.gateway.outbox[1])
	if next := w.open(t); next.N != 2 {
		t.Errorf("after a denial: attempt %d", next.N)
	}
}

func TestNoAttemptShortlyBeforeTheHoldEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(0)
	w.clock.Set(w.order.ExpiresAt.Add(-119 * time.Second))
	if _, err := w.service.Attempt(context.Background(), w.order.ID, ""); fault.CodeOf(err) != fault.WrongState {
		t.Errorf("%v", err)
	}
}

func TestLostCreateAnswerIsGivenUpAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(0)
	w.gateway.lose = true
	if _, err := w.service.Attempt(context.Background(), w.order.ID, ""); !payment.Temporary(err) || waitOf(err) == 0 {
		t.Fatalf("%v", err)
	}
	if a := w.open(t); a.N != 2 {
		t.Errorf("attempt %d", a.N)
	}
	// The page of the first was made, and somebody pays there all the same.
	w.gateway.happen(w.attemptID(1), payment.TxSettlement, w.clock.Now())
	w.deliver(t, w.gateway.outbox[0])
	w.expectStatus(t, registration.Confirmed)
	if a := w.current(t).Attempts[1]; a.State != payment.AttemptDead {
		t.Errorf("the page that nobody needs is %s", a.State)
	}
}

// A process that died while it made a page leaves the attempt to its lease.
func TestAnAttemptWhoseMakerDiedWaitsForTheLease(t *testing.T) {
	t.Parallel()
	w := newWorld(0)
	w.force(t, 1)
	w.store.Edit(w.order.ID, func(c *payment.Case) {
		c.Attempts[0].State, c.Attempts[0].Token, c.Attempts[0].StartedAt = payment.AttemptStarting, "", w.clock.Now()
	})
	if _, err := w.service.Attempt(context.Background(), w.order.ID, ""); fault.CodeOf(err) != fault.Overloaded || waitOf(err) == 0 {
		t.Fatalf("within the lease: %v", err)
	}
	w.clock.Advance(w.service.Policy.StartLease)
	if a := w.open(t); a.N != 2 {
		t.Errorf("attempt %d", a.N)
	}
}

func waitOf(err error) time.Duration {
	var f *fault.Fault
	if errors.As(err, &f) {
		return f.RetryAfter
	}
	return 0
}

func TestAnOutageDoesNotSpendAttempts(t *testing.T) {
	t.Parallel()
	w := newWorld(0)
	w.gateway.down = &payment.ProviderError{Op: "create", Code: "503", Temporary: true}
	end := w.clock.Now().Add(10 * time.Minute)
	for w.clock.Now().Before(end) {
		if _, err := w.service.Attempt(context.Background(), w.order.ID, ""); err == nil {
			t.Fatal("an attempt without a provider")
		}
		w.clock.Advance(time.Second)
	}
	if n := len(w.current(t).Attempts); n < 20 || n > 30 { // 2 at once, 2, 4, 8, 16 s, then every 30
		t.Errorf("%d attempts in ten minutes", n)
	}
	w.gateway.down = nil
	w.clock.Advance(w.service.Policy.StartLease)
	w.open(t)
}

func TestRefusedCreateFreesTheWayAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(0)
	w.gateway.down = &payment.ProviderError{Op: "create", Code: "401"}
	if _, err := w.service.Attempt(context.Background(), w.order.ID, ""); payment.CodeOf(err) != "401" {
		t.Fatalf("%v", err)
	}
	w.gateway.down = nil
	if a := w.open(t); a.N != 2 {
		t.Errorf("attempt %d", a.N)
	}
}

func TestNotificationsWithBadIntent(t *testing.T) {
	t.Parallel()
	w := newWorld(0)
	ctx := context.Background()
	if _, _, err := w.service.Receive(ctx, []byte(`{"Broken":true}`)); fault.CodeOf(err) != fault.BadJSON {
		t.Errorf("broken: %v", err)
	}
	if _, _, err := w.service.Receive(ctx, []byte(`{"Forged":true}`)); fault.CodeOf(err) != fault.NotAllowed {
		t.Errorf("forged: %v", err)
	}
	key, _, err := w.service.Receive(ctx, []byte(`{"Order":"OTHER-1","Status":"settlement"}`))
	must(t, err)
	if verdict, err := w.service.Confirm(ctx, key); err != nil || verdict != payment.VerdictUnknownOrder {
		t.Errorf("unknown order: %q, %v", verdict, err)
	}
	w.open(t)
	// Signed for another moment: what it says is not what the provider says now.
	key, fresh, err := w.service.Receive(ctx, []byte(`{"Order":"GNR27-000123-1","Status":"settlement"}`))
	must(t, err)
	if verdict, err := w.service.Confirm(ctx, key); err != nil || !fresh || verdict != string(payment.IgnoredNotPaying) {
		t.Errorf("a lie: %q, %v", verdict, err)
	}
	w.expectStatus(t, registration.AwaitingPayment)
	asked := len(w.gateway.calls)
	if _, err := w.service.Confirm(ctx, key); err != nil || len(w.gateway.calls) != asked {
		t.Errorf("a judged notification is asked about again: %v", err)
	}
	if _, fresh, err = w.service.Receive(ctx, []byte(`{"Order":"GNR27-000123-1","Status":"settlement"}`)); err != nil || fresh {
		t.Errorf("a replay is fresh: %t, %v", fresh, err)
	}
	if w.store.Notifications() != 2 {
		t.Errorf("%d notifications kept", w.store.Notifications())
	}
}

func TestHoldEndAsksFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(0)
	a := w.open(t)
	w.gateway.happen(a.ProviderID, payment.TxSettlement, w.clock.Now()) // and the notification is lost
	w.holdEnds(t, payment.HoldWait)
	w.clock.Set(w.order.ExpiresAt)
	w.holdEnds(t, payment.HoldNothing)
	w.expectStatus(t, registration.Confirmed)
}

func TestHoldEndClosesThenReleases(t *testing.T) {
	t.Parallel()
	w := newWorld(0)
	a := w.open(t)
	w.gateway.happen(a.ProviderID, payment.TxPending, w.clock.Now())
	w.clock.Set(w.order.ExpiresAt)
	w.holdEnds(t, payment.HoldRelease)
	w.expectStatus(t, registration.Expired)
	if got := w.gateway.txs[a.ProviderID].status.Status; got != payment.TxCancel {
		t.Errorf("at the provider it is %s", got)
	}
	if w.store.Seats() != 1 {
		t.Errorf("%d places free", w.store.Seats())
	}
}

func TestHoldEndRevokesAPageNobodyUsed(t *testing.T) {
	t.Parallel()
	w := newWorld(0)
	a := w.open(t)
	w.store.Edit(w.order.ID, func(c *payment.Case) {
		c.Attempts[0].ExpiresAt = w.order.ExpiresAt.Add(time.Hour) // as if the provider ended later than we asked
	})
	w.clock.Set(w.order.ExpiresAt)
	w.holdEnds(t, payment.HoldRelease)
	if !w.gateway.txs[a.ProviderID].revoked {
		t.Error("the page can still be paid")
	}
}

func TestHoldEndWaitsForASilentProviderButNotForever(t *testing.T) {
	t.Parallel()
	w := newWorld(0)
	a := w.open(t)
	w.gateway.happen(a.ProviderID, payment.TxSettlement, w.clock.Now())
	w.gateway.down = &payment.ProviderError{Op: "status", Code: "503", Temporary: true}
	w.clock.Set(w.order.ExpiresAt)
	w.holdEnds(t, payment.HoldWait)
	w.clock.Advance(w.service.Policy.AskGrace)
	w.holdEnds(t, payment.HoldRelease)
	w.store.Free(-1) // someone else takes the place
	w.gateway.down = nil
	w.clock.Advance(time.Hour)
	if _, err := w.service.Reconcile(context.Background(), 10); err != nil {
		t.Fatal(err)
	}
	w.expectStatus(t, registration.PaidNoPlace)
	w.store.Free(1)
	if n, err := w.service.Reseat(context.Background(), 0, 10); n != 1 || err != nil {
		t.Fatalf("%d seated, %v", n, err)
	}
	w.expectStatus(t, registration.Confirmed)
}

func TestPayingClosesTheOtherAttempt(t *testing.T) {
	t.Parallel()
	w := newWorld(0)
	w.force(t, 1)
	w.force(t, 2)
	w.gateway.happen(w.attemptID(1), payment.TxPending, w.clock.Now())
	w.gateway.happen(w.attemptID(2), payment.TxSettlement, w.clock.Now())
	w.deliver(t, w.gateway.outbox[1])
	w.expectStatus(t, registration.Confirmed)
	if a := w.current(t).Attempts[0]; a.State != payment.AttemptDead || a.Provider != payment.TxCancel {
		t.Errorf("the other is %s (%s)", a.State, a.Provider)
	}
}

func TestRefundWhoseAnswerIsLostIsPaidOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(0)
	ctx := context.Background()
	a := w.open(t)
	w.gateway.happen(a.ProviderID, payment.TxSettlement, w.clock.Now())
	w.deliver(t, w.gateway.outbox[0])
	_, err := w.service.Refund(ctx, w.order.ID, payment.RefundRequest{})
	must(t, err)
	w.gateway.lose = true
	if _, err := w.service.SendRefunds(ctx, 10); !payment.Temporary(err) {
		t.Fatalf("%v", err)
	}
	w.expectStatus(t, registration.Refunding)
	w.clock.Advance(time.Minute)
	if _, err := w.service.SendRefunds(ctx, 10); err != nil {
		t.Fatal(err)
	}
	w.expectStatus(t, registration.Refunded)
	if got := len(w.gateway.txs[a.ProviderID].status.Refunds); got != 1 {
		t.Errorf("%d refunds at the provider", got)
	}
}

func TestRefundTheProviderRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(0)
	ctx := context.Background()
	a := w.open(t)
	w.gateway.happen(a.ProviderID, payment.TxSettlement, w.clock.Now())
	w.deliver(t, w.gateway.outbox[0])
	c, err := w.service.Refund(ctx, w.order.ID, payment.RefundRequest{By: "fin"})
	must(t, err)
	w.gateway.down = &payment.ProviderError{Op: "refund", Code: payment.CodeCannotModify}
	if _, err := w.service.SendRefunds(ctx, 10); err != nil {
		t.Fatal(err)
	}
	if r := w.current(t).Refunds[0]; r.State != payment.RefundManual {
		t.Fatalf("refund is %s", r.State)
	}
	if _, err := w.service.RecordByHand(ctx, w.order.ID, c.Refunds[0].Key, "BCA 1", "fin"); err != nil {
		t.Fatal(err)
	}
	w.expectStatus(t, registration.Refunded)
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	end := noon.Add(29 * time.Minute)
	open := payment.Attempt{State: payment.AttemptOpen, ExpiresAt: end}
	for _, k := range []struct {
		name string
		a    payment.Attempt
		now  time.Time
		want time.Time
	}{
		{"at first", open, noon, noon.Add(time.Minute)},
		{"just past the end", payment.Attempt{State: payment.AttemptOpen, ExpiresAt: end, Asks: 5}, noon.Add(20 * time.Minute), end.Add(30 * time.Second)},
		{"given up after a day", open, end.Add(25 * time.Hour), time.Time{}},
		{"paid: past the reversal", payment.Attempt{State: payment.AttemptPaid}, noon, noon.Add(6 * time.Minute)},
		{"paid: the day after", payment.Attempt{State: payment.AttemptPaid, Asks: 1}, noon, noon.Add(24 * time.Hour)},
		{"paid: enough", payment.Attempt{State: payment.AttemptPaid, Asks: 2}, noon, time.Time{}},
		{"dead", payment.Attempt{State: payment.AttemptDead}, noon, noon.Add(10 * time.Minute)},
	} {
		if got := payment.AskAt(k.a, k.now); !got.Equal(k.want) {
			t.Errorf("%s: %s, want %s", k.name, got, k.want)
		}
	}
}

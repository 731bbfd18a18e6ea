package payment

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"gapura/internal/fault"
	"gapura/internal/registration"
)

func (w *world) open(t *testing.T) Attempt {
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

func (w *world) holdEnds(t *testing.T, want HoldAction) {
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
	if a.ProviderID != "GNR27-000123-1" || a.State != AttemptOpen || a.RedirectURL == "" {
		t.Fatalf("%+v", a)
	}
	if got := w.order.ExpiresAt.Sub(a.ExpiresAt); got != time.Minute {
		t.Errorf("the provider ends %s before the hold", got)
	}
	if again := w.open(t); again.N != 1 {
		t.Errorf("resumed as attempt %d", again.N)
	}
	w.gateway.happen(a.ProviderID, TxPending, w.clock.Now())
	w.gateway.happen(a.ProviderID, TxDeny, w.clock.Now())
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

func TestLostCreateAnswerWaitsForTheLease(t *testing.T) {
	t.Parallel()
	w := newWorld(0)
	ctx := context.Background()
	w.gateway.lose = true
	if _, err := w.service.Attempt(ctx, w.order.ID, ""); !Temporary(err) {
		t.Fatalf("%v", err)
	}
	_, err := w.service.Attempt(ctx, w.order.ID, "")
	var f *fault.Fault
	if !errors.As(err, &f) || f.Code != fault.Overloaded || f.RetryAfter == 0 {
		t.Fatalf("within the lease: %v", err)
	}
	w.clock.Advance(w.service.Policy.StartLease)
	if a := w.open(t); a.N != 2 {
		t.Errorf("attempt %d", a.N)
	}
}

func TestRefusedCreateFreesTheWayAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(0)
	w.gateway.down = &ProviderError{Op: "create", Code: "401"}
	if _, err := w.service.Attempt(context.Background(), w.order.ID, ""); codeOf(err) != "401" {
		t.Fatalf("%v", err)
	}
	w.gateway.down = nil
	if a := w.open(t); a.N != 2 {
		t.Errorf("attempt %d", a.N)
	}
}

func TestBillHasALinePerCategoryAndNoNames(t *testing.T) {
	t.Parallel()
	s := &Service{ItemName: func(_ registration.Order, category string) string { return "Kategori " + category }}
	items := s.items(registration.Order{Total: 640_000, Participants: []registration.Participant{
		{Category: "10k", Price: 200_000, Name: "Siti"}, {Category: "10k", Price: 200_000}, {Category: "5k", Price: 250_000},
	}})
	want := []Item{
		{ID: "10k-200000", Name: "Kategori 10k", Price: 200_000, Quantity: 2},
		{ID: "5k-250000", Name: "Kategori 5k", Price: 250_000, Quantity: 1},
		{ID: "adjustment", Name: "Penyesuaian", Price: -10_000, Quantity: 1},
	}
	if !slices.Equal(items, want) {
		t.Errorf("%+v", items)
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
	if verdict, err := w.service.Confirm(ctx, key); err != nil || verdict != VerdictUnknownOrder {
		t.Errorf("unknown order: %q, %v", verdict, err)
	}
	w.open(t)
	// Signed for another moment: what it says is not what the provider says now.
	key, fresh, err := w.service.Receive(ctx, []byte(`{"Order":"GNR27-000123-1","Status":"settlement"}`))
	must(t, err)
	if verdict, err := w.service.Confirm(ctx, key); err != nil || !fresh || verdict != string(IgnoredNotPaying) {
		t.Errorf("a lie: %q, %v", verdict, err)
	}
	w.expectStatus(t, registration.AwaitingPayment)
	if _, fresh, err = w.service.Receive(ctx, []byte(`{"Order":"GNR27-000123-1","Status":"settlement"}`)); err != nil || fresh {
		t.Errorf("a replay is fresh: %t, %v", fresh, err)
	}
	if len(w.store.kept) != 2 {
		t.Errorf("%d notifications kept", len(w.store.kept))
	}
}

func TestHoldEndAsksFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(0)
	a := w.open(t)
	w.gateway.happen(a.ProviderID, TxSettlement, w.clock.Now()) // and the notification is lost
	w.holdEnds(t, HoldWait)
	w.clock.Set(w.order.ExpiresAt)
	w.holdEnds(t, HoldNothing)
	w.expectStatus(t, registration.Confirmed)
}

func TestHoldEndClosesThenReleases(t *testing.T) {
	t.Parallel()
	w := newWorld(0)
	a := w.open(t)
	w.gateway.happen(a.ProviderID, TxPending, w.clock.Now())
	w.clock.Set(w.order.ExpiresAt)
	w.holdEnds(t, HoldRelease)
	w.expectStatus(t, registration.Expired)
	if got := w.gateway.txs[a.ProviderID].status.Status; got != TxCancel {
		t.Errorf("at the provider it is %s", got)
	}
	if w.store.seats != 1 {
		t.Errorf("%d places free", w.store.seats)
	}
}

func TestHoldEndRevokesAPageNobodyUsed(t *testing.T) {
	t.Parallel()
	w := newWorld(0)
	a := w.open(t)
	c := w.current(t)
	c.Attempts[0].ExpiresAt = w.order.ExpiresAt.Add(time.Hour) // as if the provider ended later than we asked
	w.store.cases[w.order.ID] = c
	w.clock.Set(w.order.ExpiresAt)
	w.holdEnds(t, HoldRelease)
	if !w.gateway.txs[a.ProviderID].revoked {
		t.Error("the page can still be paid")
	}
}

func TestHoldEndWaitsForASilentProviderButNotForever(t *testing.T) {
	t.Parallel()
	w := newWorld(0)
	a := w.open(t)
	w.gateway.happen(a.ProviderID, TxSettlement, w.clock.Now())
	w.gateway.down = &ProviderError{Op: "status", Code: "503", Temporary: true}
	w.clock.Set(w.order.ExpiresAt)
	w.holdEnds(t, HoldWait)
	w.clock.Advance(w.service.Policy.AskGrace)
	w.holdEnds(t, HoldRelease)
	w.store.free(-1) // someone else takes the place
	w.gateway.down = nil
	w.clock.Advance(time.Hour)
	if _, err := w.service.Reconcile(context.Background(), 10); err != nil {
		t.Fatal(err)
	}
	w.expectStatus(t, registration.PaidNoPlace)
	w.store.free(1)
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
	w.gateway.happen(w.attemptID(1), TxPending, w.clock.Now())
	w.gateway.happen(w.attemptID(2), TxSettlement, w.clock.Now())
	w.deliver(t, w.gateway.outbox[1])
	w.expectStatus(t, registration.Confirmed)
	if a := w.current(t).Attempts[0]; a.State != AttemptDead || a.Provider != TxCancel {
		t.Errorf("the other is %s (%s)", a.State, a.Provider)
	}
}

func TestRefundWhoseAnswerIsLostIsPaidOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(0)
	ctx := context.Background()
	a := w.open(t)
	w.gateway.happen(a.ProviderID, TxSettlement, w.clock.Now())
	w.deliver(t, w.gateway.outbox[0])
	_, err := w.service.Refund(ctx, w.order.ID, RefundRequest{})
	must(t, err)
	w.gateway.lose = true
	if _, err := w.service.SendRefunds(ctx, 10); !Temporary(err) {
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
	w.gateway.happen(a.ProviderID, TxSettlement, w.clock.Now())
	w.deliver(t, w.gateway.outbox[0])
	c, err := w.service.Refund(ctx, w.order.ID, RefundRequest{By: "fin"})
	must(t, err)
	w.gateway.down = &ProviderError{Op: "refund", Code: CodeCannotModify}
	if _, err := w.service.SendRefunds(ctx, 10); err != nil {
		t.Fatal(err)
	}
	if r := w.current(t).Refunds[0]; r.State != RefundManual {
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
	open := Attempt{State: AttemptOpen, ExpiresAt: end}
	for _, k := range []struct {
		name string
		a    Attempt
		now  time.Time
		want time.Time
	}{
		{"at first", open, noon, noon.Add(time.Minute)},
		{"just past the end", Attempt{State: AttemptOpen, ExpiresAt: end, Asks: 5}, noon.Add(20 * time.Minute), end.Add(30 * time.Second)},
		{"given up after a day", open, end.Add(25 * time.Hour), time.Time{}},
		{"paid: past the reversal", Attempt{State: AttemptPaid}, noon, noon.Add(6 * time.Minute)},
		{"paid: the day after", Attempt{State: AttemptPaid, Asks: 1}, noon, noon.Add(day)},
		{"paid: enough", Attempt{State: AttemptPaid, Asks: 2}, noon, time.Time{}},
		{"dead", Attempt{State: AttemptDead}, noon, noon.Add(10 * time.Minute)},
	} {
		if got := AskAt(k.a, k.now); !got.Equal(k.want) {
			t.Errorf("%s: %s, want %s", k.name, got, k.want)
		}
	}
}

// A notification that repeats what is known must not use up the question that would find a reversal.
func TestRepeatedNoticeKeepsTheSchedule(t *testing.T) {
	t.Parallel()
	b := newBook(t, 1)
	b.hear(1, TxSettlement)
	due := b.c.Attempts[0].AskAt
	b.hear(1, TxSettlement)
	if got := b.c.Attempts[0].AskAt; !got.Equal(due) {
		t.Errorf("moved from %s to %s", due, got)
	}
	b.now = due
	b.hear(1, TxDeny, code("202"))
	b.expect(registration.Cancelled, 0, 0, 0)
}

package payment

import (
	"slices"
	"testing"
	"time"

	"gapura/internal/fault"
	"gapura/internal/id"
	"gapura/internal/money"
	"gapura/internal/registration"
)

const total = money.Rupiah(250_000)

var noon = time.Date(2026, 12, 1, 5, 0, 0, 0, time.UTC)

// book plays decisions on a case by hand.
type book struct {
	t   *testing.T
	c   Case
	now time.Time
	d   Decision // the last decision
}

func newBook(t *testing.T, attempts int) *book {
	t.Helper()
	b := &book{t: t, now: noon, c: Case{Order: registration.Order{
		ID: id.New(), Number: "GNR27-000123", Status: registration.AwaitingPayment, Version: 1, Total: total,
		CreatedAt: noon, ExpiresAt: noon.Add(30 * time.Minute),
		Participants: []registration.Participant{{Position: 1, Category: "10k", Price: total}},
	}}}
	for n := 1; n <= attempts; n++ {
		b.c.Attempts = append(b.c.Attempts, Attempt{
			N: n, ProviderID: ProviderID(b.c.Order.Number, n), Amount: total, State: AttemptOpen, Token: "t",
			StartedAt: noon, ExpiresAt: noon.Add(29 * time.Minute),
		})
	}
	return b
}

func (b *book) do(d Decision, err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	b.d, b.c = d, b.c.After(d)
	for _, breach := range Balance(b.c) {
		b.t.Errorf("books: %s", breach)
	}
}

// hear applies an answer about attempt n, a second after the one before.
func (b *book) hear(n int, s TransactionStatus, change ...func(*ProviderStatus)) {
	b.t.Helper()
	b.now = b.now.Add(time.Second)
	status := ProviderStatus{
		OrderID: b.c.Attempts[n-1].ProviderID, TransactionID: "tx-1", Status: s, StatusCode: "200", Gross: total,
		Currency: "IDR", Channel: Channel{Type: "qris"}, AskedAt: b.now,
	}
	if n > 1 {
		status.TransactionID = "tx-" + string(rune('0'+n))
	}
	for _, f := range change {
		f(&status)
	}
	b.do(Apply(b.c, n, status, b.now, DefaultPolicy()), nil)
}

func (b *book) expect(order registration.Status, paid, owed, refunded money.Rupiah) {
	b.t.Helper()
	s := b.c.Sheet()
	if b.c.Order.Status != order || s.Paid != paid || s.Owed != owed || s.Refunded != refunded {
		b.t.Errorf("order %s, sheet %+v; want %s, paid %d, owed %d, refunded %d", b.c.Order.Status, s, order, paid, owed, refunded)
	}
}

func (b *book) expectAlert(kind AlertKind) {
	b.t.Helper()
	for _, a := range b.d.Alerts {
		if a.Kind == kind {
			return
		}
	}
	b.t.Errorf("no alert %s in %+v", kind, b.d.Alerts)
}

func (b *book) expire() {
	b.t.Helper()
	b.now = b.c.Order.ExpiresAt
	b.do(Release(b.c, b.now), nil)
}

func code(c string) func(*ProviderStatus)  { return func(s *ProviderStatus) { s.StatusCode = c } }
func fraud(f string) func(*ProviderStatus) { return func(s *ProviderStatus) { s.Fraud = f } }
func back(sum money.Rupiah, list ...ProviderRefund) func(*ProviderStatus) {
	return func(s *ProviderStatus) { s.RefundAmount, s.Refunds = sum, list }
}

func via(channel string) func(*ProviderStatus) {
	return func(s *ProviderStatus) { s.Channel = Channel{Type: channel} }
}

func TestPaymentConfirms(t *testing.T) {
	t.Parallel()
	b := newBook(t, 1)
	b.hear(1, TxPending, code("201"))
	b.expect(registration.AwaitingPayment, 0, 0, 0)
	b.hear(1, TxSettlement)
	b.expect(registration.Confirmed, total, 0, 0)
	b.hear(1, TxSettlement)
	if b.d.Ignored != IgnoredRepeated || len(b.d.Entries) != 0 || b.d.Order != "" {
		t.Errorf("a repeated settlement did something: %+v", b.d)
	}
}

func TestOldAttemptNeverCancelsPaidOrder(t *testing.T) {
	t.Parallel()
	for _, end := range []TransactionStatus{TxExpire, TxCancel, TxDeny, TxFailure} {
		b := newBook(t, 2)
		b.hear(2, TxSettlement)
		b.hear(1, end, code("202"))
		b.expect(registration.Confirmed, total, 0, 0)
		b.hear(1, TxPending, code("201"))
		b.expect(registration.Confirmed, total, 0, 0)
	}
}

func TestSettlementThenPendingOrExpire(t *testing.T) {
	t.Parallel()
	b := newBook(t, 1)
	b.hear(1, TxSettlement)
	b.hear(1, TxPending, code("201"))
	b.expect(registration.Confirmed, total, 0, 0)
	b.hear(1, TxExpire, code("407"))
	b.expect(registration.Confirmed, total, 0, 0)
	b.expectAlert(AlertContradiction)
}

func TestAnswerThatWasOvertakenIsStale(t *testing.T) {
	t.Parallel()
	b := newBook(t, 1)
	b.hear(1, TxSettlement)
	b.hear(1, TxDeny, code("202"), func(s *ProviderStatus) { s.AskedAt = noon })
	b.expect(registration.Confirmed, total, 0, 0)
	if b.d.Ignored != IgnoredStale {
		t.Errorf("ignored as %q", b.d.Ignored)
	}
}

func TestDenialOfAnotherTransactionIsNoReversal(t *testing.T) {
	t.Parallel()
	b := newBook(t, 1)
	b.hear(1, TxCapture, fraud("accept"))
	b.hear(1, TxDeny, code("202"), func(s *ProviderStatus) { s.TransactionID = "the card that was tried first" })
	b.expect(registration.Confirmed, total, 0, 0)
}

func TestReversalTakesThePlace(t *testing.T) {
	t.Parallel()
	b := newBook(t, 1)
	b.hear(1, TxSettlement)
	b.hear(1, TxDeny, code("202"), fraud("accept"))
	b.expect(registration.Cancelled, 0, 0, 0)
	b.expectAlert(AlertReversal)
	b.hear(1, TxDeny, code("202"))
	if b.d.Ignored != IgnoredRepeated {
		t.Errorf("a repeated reversal: %+v", b.d)
	}
}

func TestSecondPaymentIsOwedAndStandsInForAReversal(t *testing.T) {
	t.Parallel()
	b := newBook(t, 2)
	b.hear(1, TxSettlement)
	b.hear(2, TxSettlement)
	b.expect(registration.Confirmed, total, total, 0)
	b.expectAlert(AlertSecondPayment)
	b.hear(1, TxDeny, code("202"))
	b.expect(registration.Confirmed, total, 0, 0)
	if b.c.Refunds[0].State != RefundWithdrawn {
		t.Errorf("the refund of the money in use is %s", b.c.Refunds[0].State)
	}
}

func TestChallengeIsReviewNotPaid(t *testing.T) {
	t.Parallel()
	b := newBook(t, 1)
	b.hear(1, TxCapture, code("201"), fraud("challenge"))
	b.expect(registration.AwaitingPayment, 0, 0, 0)
	b.expectAlert(AlertReview)
	b.hear(1, TxCapture, fraud("accept"))
	b.expect(registration.Confirmed, total, 0, 0)
}

func TestOnlyAcceptedMoneyWithCode200Pays(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*ProviderStatus){
		"code 201":      code("201"),
		"fraud deny":    fraud("deny"),
		"unknown fraud": fraud("perhaps"),
		"unknown word":  func(s *ProviderStatus) { s.Status = "settled" },
		"dollars":       func(s *ProviderStatus) { s.Currency = "USD" },
		"other order":   func(s *ProviderStatus) { s.OrderID = "GNR27-000124-1" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBook(t, 1)
			b.hear(1, TxSettlement, change)
			b.expect(registration.AwaitingPayment, 0, 0, 0)
		})
	}
}

func TestWrongAmountIsOwed(t *testing.T) {
	t.Parallel()
	b := newBook(t, 1)
	b.hear(1, TxSettlement, func(s *ProviderStatus) { s.Gross = 1000 })
	b.expect(registration.AwaitingPayment, 0, 1000, 0)
	b.expectAlert(AlertWrongAmount)
}

func TestLateMoney(t *testing.T) {
	t.Parallel()
	b := newBook(t, 1)
	b.expire()
	b.expect(registration.Expired, 0, 0, 0)
	b.c.PlaceFree = true
	b.hear(1, TxSettlement)
	b.expect(registration.Confirmed, total, 0, 0)
}

func TestLateMoneyWithoutPlaceWaitsForOne(t *testing.T) {
	t.Parallel()
	b := newBook(t, 1)
	b.expire()
	b.hear(1, TxSettlement)
	b.expect(registration.PaidNoPlace, 0, total, 0)
	b.expectAlert(AlertNoPlace)
	if step, _ := NextRefund(b.c, b.c.Refunds[0].Key, b.now.Add(23*time.Hour)); step != RefundWait {
		t.Errorf("the refund is %q within the wait", step)
	}
	b.do(Reseat(b.c, b.now), nil)
	b.expect(registration.PaidNoPlace, 0, total, 0)
	b.c.PlaceFree = true
	b.do(Reseat(b.c, b.now), nil)
	b.expect(registration.Confirmed, total, 0, 0)
	if step, _ := NextRefund(b.c, b.c.Refunds[0].Key, b.now.Add(48*time.Hour)); step != RefundNothing {
		t.Errorf("the withdrawn refund is %q", step)
	}
}

func TestNoPlaceOnceTheRefundIsSent(t *testing.T) {
	t.Parallel()
	b := newBook(t, 1)
	b.expire()
	b.hear(1, TxSettlement)
	b.now = b.now.Add(25 * time.Hour)
	key := b.c.Refunds[0].Key
	_, d := NextRefund(b.c, key, b.now)
	b.do(d, nil)
	b.c.PlaceFree = true
	b.do(Reseat(b.c, b.now), nil)
	b.expect(registration.PaidNoPlace, 0, total, 0)
	b.hear(1, TxRefund, back(total, ProviderRefund{Key: key, Amount: total}))
	b.expect(registration.Refunded, 0, 0, total)
}

func TestWholeRefund(t *testing.T) {
	t.Parallel()
	b := newBook(t, 1)
	b.hear(1, TxSettlement)
	b.do(RequestRefund(b.c, RefundRequest{By: "fin@example.id"}, b.now))
	b.expect(registration.Refunding, 0, total, 0)
	step, d := NextRefund(b.c, b.c.Refunds[0].Key, b.now)
	if step != RefundSend {
		t.Fatalf("step %q", step)
	}
	b.do(d, nil)
	told := ProviderRefund{Key: b.c.Refunds[0].Key, Amount: total}
	b.hear(1, TxRefund, back(total, told))
	b.expect(registration.Refunded, 0, 0, total)
	b.hear(1, TxRefund, back(total, told))
	if b.d.Ignored != IgnoredRepeated {
		t.Errorf("the second refund notice: %+v", b.d)
	}
}

func TestPartialRefundsAreCumulative(t *testing.T) {
	t.Parallel()
	b := newBook(t, 1)
	b.hear(1, TxSettlement)
	var list []ProviderRefund
	for i, part := range []money.Rupiah{50_000, 30_000} {
		b.do(RequestRefund(b.c, RefundRequest{Amount: part}, b.now))
		key := b.c.Refunds[i].Key
		_, d := NextRefund(b.c, key, b.now)
		b.do(d, nil)
		list = append(list, ProviderRefund{Key: key, Amount: part})
	}
	b.hear(1, TxPartialRefund, back(50_000, list[0]))
	b.expect(registration.Confirmed, 170_000, 30_000, 50_000)
	b.hear(1, TxPartialRefund, back(80_000, list...))
	b.expect(registration.Confirmed, 170_000, 0, 80_000)
	if _, err := RequestRefund(b.c, RefundRequest{Amount: 170_000}, b.now); fault.CodeOf(err) != fault.ValidationFailed {
		t.Errorf("a part that is the whole: %v", err)
	}
	b.do(RequestRefund(b.c, RefundRequest{}, b.now))
	b.expect(registration.Refunding, 0, 170_000, 80_000)
}

func TestRefundHeardBeforePayment(t *testing.T) {
	t.Parallel()
	b := newBook(t, 1)
	b.hear(1, TxPartialRefund, back(100_000))
	b.expect(registration.Confirmed, 150_000, 0, 100_000)
	b.expectAlert(AlertOutside)
}

func TestDashboardRefundOfEverything(t *testing.T) {
	t.Parallel()
	b := newBook(t, 1)
	b.hear(1, TxSettlement)
	b.hear(1, TxRefund)
	b.expect(registration.Refunded, 0, 0, total)
}

func TestDashboardRefundShrinksTheTask(t *testing.T) {
	t.Parallel()
	b := newBook(t, 2)
	b.hear(1, TxSettlement)
	b.hear(2, TxSettlement)
	b.hear(2, TxPartialRefund, back(100_000, ProviderRefund{Key: "dashboard", Amount: 100_000}))
	b.expect(registration.Confirmed, total, 150_000, 100_000)
}

func TestManualRefundWhereTheChannelCannot(t *testing.T) {
	t.Parallel()
	for _, channel := range []string{"bank_transfer", "echannel", "cstore"} {
		b := newBook(t, 1)
		b.hear(1, TxSettlement, via(channel))
		b.do(RequestRefund(b.c, RefundRequest{}, b.now))
		key := b.c.Refunds[0].Key
		if _, err := RecordByHand(b.c, key, "early", "fin", b.now); fault.CodeOf(err) != fault.WrongState {
			t.Errorf("recorded before it was finance's: %v", err)
		}
		step, d := NextRefund(b.c, key, b.now)
		b.do(d, nil)
		if step != RefundByHand {
			t.Fatalf("%s: step %q", channel, step)
		}
		b.expectAlert(AlertManualRefund)
		b.do(RecordByHand(b.c, key, "BCA 123", "fin@example.id", b.now))
		b.expect(registration.Refunded, 0, 0, total)
	}
}

func TestRefundWindows(t *testing.T) {
	t.Parallel()
	for _, k := range []struct {
		channel Channel
		after   time.Duration
		part    bool
		can     bool
	}{
		{Channel{Type: "credit_card"}, 300 * day, true, true},
		{Channel{Type: "qris"}, 7*day - 1, true, true},
		{Channel{Type: "qris"}, 7 * day, false, false},
		{Channel{Type: "qris", OnUs: true}, 44 * day, true, true},
		{Channel{Type: "gopay"}, 45 * day, false, false},
		{Channel{Type: "shopeepay"}, 364 * day, false, true},
		{Channel{Type: "shopeepay"}, day, true, false},
		{Channel{Type: "ovo"}, 6 * day, false, true},
		{Channel{Type: "kredivo"}, 14 * day, false, false},
		{Channel{Type: "bank_transfer"}, 0, false, false},
		{Channel{Type: "something new"}, 0, false, false},
	} {
		a := Attempt{Channel: k.channel, PaidAt: noon, Received: total}
		r := Refund{Amount: total}
		if k.part {
			r.Amount = 1000
		}
		if why := k.channel.cannotRefund(a, r, noon.Add(k.after)); (why == "") != k.can {
			t.Errorf("%+v after %s, part %t: %q", k.channel, k.after, k.part, why)
		}
	}
}

func TestCapturedCardIsRefundedAfterItSettled(t *testing.T) {
	t.Parallel()
	b := newBook(t, 1)
	b.hear(1, TxCapture, fraud("accept"), via("credit_card"))
	b.do(RequestRefund(b.c, RefundRequest{}, b.now))
	key := b.c.Refunds[0].Key
	step, d := NextRefund(b.c, key, b.now)
	b.do(d, nil)
	if step != RefundWait || !b.c.Refunds[0].NotBefore.Equal(b.now.Add(captureWait)) {
		t.Fatalf("step %q until %s", step, b.c.Refunds[0].NotBefore)
	}
	b.hear(1, TxSettlement, fraud("accept"), via("credit_card"))
	b.now = b.now.Add(captureWait)
	if step, _ = NextRefund(b.c, key, b.now); step != RefundSend {
		t.Errorf("after settlement: %q", step)
	}
}

func TestVoidedCardEndsTheRefund(t *testing.T) {
	t.Parallel()
	b := newBook(t, 1)
	b.hear(1, TxCapture, fraud("accept"), via("credit_card"))
	b.do(RequestRefund(b.c, RefundRequest{}, b.now))
	b.hear(1, TxCancel, via("credit_card"))
	b.expect(registration.Cancelled, 0, 0, 0)
}

func TestChargeback(t *testing.T) {
	t.Parallel()
	b := newBook(t, 1)
	b.hear(1, TxSettlement, via("credit_card"))
	b.hear(1, TxChargeback, via("credit_card"))
	b.expect(registration.Confirmed, 0, 0, total)
	b.expectAlert(AlertChargeback)
	b.hear(1, TxChargeback, via("credit_card"))
	if b.d.Ignored != IgnoredRepeated {
		t.Errorf("a repeated chargeback: %+v", b.d)
	}
	b.do(RequestRefund(b.c, RefundRequest{}, b.now))
	b.expect(registration.Refunded, 0, 0, total)
}

func TestWithdrawnPartialRefund(t *testing.T) {
	t.Parallel()
	b := newBook(t, 1)
	b.hear(1, TxSettlement)
	b.do(RequestRefund(b.c, RefundRequest{Amount: 10_000}, b.now))
	b.do(WithdrawRefund(b.c, b.c.Refunds[0].Key, b.now))
	b.expect(registration.Confirmed, total, 0, 0)
}

func TestOnlyRequestedRefundsCanBeWithdrawn(t *testing.T) {
	t.Parallel()
	b := newBook(t, 2)
	b.hear(1, TxSettlement)
	b.hear(2, TxSettlement)
	if _, err := WithdrawRefund(b.c, b.c.Refunds[0].Key, b.now); fault.CodeOf(err) != fault.WrongState {
		t.Errorf("a second payment was kept: %v", err)
	}
}

func TestReversedMoneyCannotAlsoBeRefunded(t *testing.T) {
	t.Parallel()
	b := newBook(t, 1)
	b.hear(1, TxSettlement)
	b.hear(1, TxDeny, code("202"))
	b.hear(1, TxRefund, back(total))
	b.expect(registration.Cancelled, 0, 0, 0)
	if b.d.Ignored != IgnoredRepeated || len(b.d.Alerts) != 0 {
		t.Errorf("%+v", b.d)
	}
}

// Two refunds of the same attempt: the key tells which of them was paid, although the other comes first and is as large.
func TestRefundIsMatchedByKey(t *testing.T) {
	t.Parallel()
	b := newBook(t, 1)
	b.hear(1, TxSettlement)
	b.do(RequestRefund(b.c, RefundRequest{Amount: 20_000}, b.now))
	b.do(RequestRefund(b.c, RefundRequest{Amount: 20_000}, b.now))
	b.hear(1, TxPartialRefund, back(20_000, ProviderRefund{Key: b.c.Refunds[1].Key, Amount: 20_000}))
	if b.c.Refunds[0].State != RefundOpen || b.c.Refunds[1].State != RefundDone {
		t.Errorf("%s, %s", b.c.Refunds[0].State, b.c.Refunds[1].State)
	}
}

func TestRefusedRefundGoesToFinance(t *testing.T) {
	t.Parallel()
	b := newBook(t, 1)
	b.hear(1, TxSettlement)
	b.do(RequestRefund(b.c, RefundRequest{}, b.now))
	key := b.c.Refunds[0].Key
	_, d := NextRefund(b.c, key, b.now)
	b.do(d, nil)
	b.do(RetryRefund(b.c, key, time.Hour, b.now), nil)
	if got := b.c.Refunds[0].NotBefore; !got.Equal(b.now.Add(time.Hour)) {
		t.Errorf("the provider asked for an hour, next try at %s", got)
	}
	b.do(RefuseRefund(b.c, key, "412", b.now), nil)
	if b.c.Refunds[0].State != RefundManual {
		t.Errorf("state %s", b.c.Refunds[0].State)
	}
}

func TestSilentPageExpiry(t *testing.T) {
	t.Parallel()
	b := newBook(t, 1)
	missing := func(s *ProviderStatus) { *s = ProviderStatus{Missing: true, AskedAt: s.AskedAt} }
	b.hear(1, "", missing)
	if b.c.Attempts[0].State != AttemptOpen || b.d.Ignored != IgnoredNotPaying {
		t.Errorf("before its end: %s, %q", b.c.Attempts[0].State, b.d.Ignored)
	}
	b.now = noon.Add(29*time.Minute + time.Second)
	b.hear(1, "", missing)
	if b.c.Attempts[0].State != AttemptDead {
		t.Errorf("after its end: %s", b.c.Attempts[0].State)
	}
}

func TestBalanceFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	paid := func() Case {
		b := newBook(t, 1)
		b.hear(1, TxSettlement)
		return b.c
	}
	for name, spoil := range map[string]func(*Case){
		"entry lost":           func(c *Case) { c.Entries = nil },
		"entry doubled":        func(c *Case) { c.Entries = append(c.Entries, c.Entries[0]) },
		"entry negative":       func(c *Case) { c.Entries[0].Amount = -1 },
		"unknown account":      func(c *Case) { c.Entries[0].To = "pocket" },
		"unknown attempt":      func(c *Case) { c.Entries[0].Attempt = 7 },
		"attempt without cash": func(c *Case) { c.Attempts[0].Received = 0 },
		"refund not booked":    func(c *Case) { c.Attempts[0].Refunded = 1 },
		"task without money":   func(c *Case) { c.Refunds = []Refund{{N: 1, Attempt: 1, Amount: 5, State: RefundOpen}} },
		"expired but paid":     func(c *Case) { c.Order.Status = registration.Expired },
		"confirmed for less":   func(c *Case) { c.Order.Total++ },
		"refunding nothing":    func(c *Case) { c.Order.Status = registration.Refunding },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := paid()
			if b := Balance(c); len(b) != 0 {
				t.Fatalf("sound books: %v", b)
			}
			spoil(&c)
			if len(Balance(c)) == 0 {
				t.Error("not found")
			}
		})
	}
}

// ending is what must not depend on the order in which the provider's words arrived.
type ending struct {
	status registration.Status
	sheet  Sheet
}

// TestReplayInAnyOrder applies the provider's final answers about two attempts in both orders, several times over.
func TestReplayInAnyOrder(t *testing.T) {
	t.Parallel()
	finals := []TransactionStatus{TxPending, TxSettlement, TxExpire, TxDeny, TxRefund}
	for _, first := range finals {
		for _, second := range finals {
			var ends []ending
			for _, order := range [][]int{{1, 2}, {2, 1}, {1, 1, 2, 2, 1}, {2, 1, 2, 1}} {
				b := newBook(t, 2)
				for _, n := range order {
					b.hear(n, []TransactionStatus{first, second}[n-1])
				}
				b.expire()
				b.c.PlaceFree = true
				ends = append(ends, ending{b.c.Order.Status, b.c.Sheet()})
			}
			for _, end := range ends {
				if end != ends[0] && !refundedFirst(first, second) {
					t.Errorf("%s and %s: %+v, %+v", first, second, ends[0], end)
				}
			}
		}
	}
}

// refundedFirst: one attempt was paid and wholly refunded in the provider's dashboard, the other holds money. Heard first, the
// refund ends the order; heard second, it is a second payment that went back. Finance caused it and is told either way.
func refundedFirst(a, b TransactionStatus) bool {
	return a == TxRefund && b == TxSettlement || a == TxSettlement && b == TxRefund
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

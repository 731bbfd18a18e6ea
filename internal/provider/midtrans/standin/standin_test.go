package standin_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gapura/internal/clock"
	"gapura/internal/fault"
	"gapura/internal/id"
	"gapura/internal/lifecycle"
	"gapura/internal/money"
	"gapura/internal/payment"
	"gapura/internal/payment/paymenttest"
	"gapura/internal/provider/midtrans"
	"gapura/internal/provider/midtrans/standin"
	"gapura/internal/registration"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	key   = "SB-Mid-server-TEST"
	total = money.Rupiah(250_000)
)

var noon = time.Date(2026, 12, 1, 5, 0, 0, 0, time.UTC)

// shop is a merchant with one order, the real client, and the stand-in, each behind real HTTP.
type shop struct {
	t        *testing.T
	clock    *clock.Manual
	provider *standin.Server
	client   *midtrans.Client
	store    *paymenttest.Store
	service  *payment.Service
	order    registration.Order
	front    string // the stand-in's address
	mu       sync.Mutex
	answer   int // what the webhook answers instead of the truth; 0: the truth
	heard    []string
	bodies   [][]byte
}

func newShop(t *testing.T, change ...func(*standin.Config)) *shop {
	t.Helper()
	s := &shop{t: t, clock: clock.NewManual(noon), store: paymenttest.NewStore(1)}
	hook := httptest.NewServer(http.HandlerFunc(s.webhook))
	t.Cleanup(hook.Close)
	cfg := standin.Config{ServerKey: key, NotifyURL: hook.URL, Control: true, Clock: s.clock}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	if s.provider, err = standin.New(cfg); err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(s.provider.Handler())
	t.Cleanup(front.Close)
	s.front = front.URL
	s.client, err = midtrans.New(midtrans.Config{
		ServerKey: key, BaseURL: front.URL, SnapURL: front.URL, FinishURL: "https://shop.example/pay/finish?lang=id", Timeout: 5 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.client.Close)
	s.service = &payment.Service{Store: s.store, Gateway: s.client, Clock: s.clock, Policy: payment.DefaultPolicy()}
	s.order = registration.Order{
		ID: id.New(), Number: "GNR27-000123", Status: registration.AwaitingPayment, Version: 1, Total: total, Locale: "id",
		CreatedAt: noon, ExpiresAt: noon.Add(30 * time.Minute),
		Contact:      registration.Contact{Name: "Siti Aminah", Email: "siti@example.id", Phone: "+628123456789"},
		Participants: []registration.Participant{{Position: 1, Category: "10k", Price: total}},
	}
	s.store.Add(s.order)
	t.Cleanup(s.provider.Close)
	return s
}

// webhook is the merchant's: verify, store, answer; the rest at once instead of in a job.
func (s *shop) webhook(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var said struct {
		Status string `json:"transaction_status"`
	}
	_ = json.Unmarshal(body, &said)
	s.mu.Lock()
	s.heard, s.bodies = append(s.heard, said.Status), append(s.bodies, body)
	answer := s.answer
	s.mu.Unlock()
	if answer != 0 {
		w.WriteHeader(answer)
		return
	}
	notification, _, err := s.service.Receive(r.Context(), body)
	switch fault.CodeOf(err) {
	case "":
		if _, err = s.service.Confirm(r.Context(), notification); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	case fault.NotAllowed:
		w.WriteHeader(http.StatusForbidden)
	default:
		w.WriteHeader(http.StatusBadRequest)
	}
}

func (s *shop) refuseNotifications(code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = code
}

func (s *shop) statuses() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.heard, " ")
}

// pass moves time on and lets what is due happen.
func (s *shop) pass(d time.Duration) {
	s.t.Helper()
	s.clock.Advance(d)
	s.provider.Tick(context.Background())
}

func (s *shop) attempt() payment.Attempt {
	s.t.Helper()
	a, err := s.service.Attempt(context.Background(), s.order.ID, "")
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

func (s *shop) do(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) current() payment.Case {
	s.t.Helper()
	c, err := s.store.Case(context.Background(), s.order.ID)
	s.do(err)
	for _, breach := range payment.Balance(c) {
		s.t.Error(breach)
	}
	return c
}

func (s *shop) expect(want registration.Status) {
	s.t.Helper()
	if got := s.current().Order.Status; got != want {
		s.t.Errorf("the order is %s, want %s; heard %s", got, want, s.statuses())
	}
}

func (s *shop) alerted(kind payment.AlertKind) {
	s.t.Helper()
	for _, a := range s.store.Alerts() {
		if a.Kind == kind {
			return
		}
	}
	s.t.Errorf("no alert %s", kind)
}

func TestEveryChannelCanBePaid(t *testing.T) {
	t.Parallel()
	for _, channel := range []string{
		"other_qris", "gopay", "shopeepay", "bca_va", "bni_va", "bri_va", "permata_va", "echannel", "credit_card", "indomaret", "alfamart",
	} {
		t.Run(channel, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			a := s.attempt()
			s.do(s.provider.Pay(a.ProviderID, channel))
			s.pass(0)
			s.expect(registration.Confirmed)
		})
	}
}

func TestStatusIsMissingUntilAWayIsChosen(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	a := s.attempt()
	ctx := context.Background()
	if status, err := s.client.Status(ctx, a.ProviderID); err != nil || !status.Missing {
		t.Fatalf("%+v, %v", status, err)
	}
	if err := s.client.Cancel(ctx, a.ProviderID); payment.CodeOf(err) != payment.CodeNotFound {
		t.Errorf("cancelled nothing: %v", err)
	}
	s.do(s.provider.Choose(a.ProviderID, "bca_va"))
	status, err := s.client.Status(ctx, a.ProviderID)
	if err != nil || status.Status != payment.TxPending || status.Gross != total || status.Channel.Type != "bank_transfer" {
		t.Fatalf("%+v, %v", status, err)
	}
	if byTransaction, err := s.client.Status(ctx, status.TransactionID); err != nil || byTransaction.OrderID != a.ProviderID {
		t.Errorf("by transaction id: %+v, %v", byTransaction, err)
	}
	s.do(s.client.Expire(ctx, a.ProviderID))
	if err := s.client.Expire(ctx, a.ProviderID); payment.CodeOf(err) != payment.CodeCannotModify {
		t.Errorf("expired twice: %v", err)
	}
	if status, err = s.client.Status(ctx, a.ProviderID); err != nil || status.Status != payment.TxExpire {
		t.Errorf("%+v, %v", status, err)
	}
}

func TestCreateRefusals(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	a := s.attempt()
	post := func(body, auth string) (int, string) {
		req, err := http.NewRequest(http.MethodPost, s.front+"/snap/v1/transactions", strings.NewReader(body))
		s.do(err)
		req.SetBasicAuth(auth, "")
		return s.fetch(http.DefaultClient, req)
	}
	s.do(s.provider.Choose(a.ProviderID, "bca_va"))
	for name, k := range map[string]struct {
		body, auth, want string
		code             int
	}{
		"wrong key": {`{}`, "other", "Access denied", 401},
		"no order":  {`{"transaction_details":{"gross_amount":1}}`, key, "order_id is required", 400},
		"sum": {
			`{"transaction_details":{"order_id":"a","gross_amount":3},"item_details":[{"id":"a","price":1,"quantity":2,"name":"x"}]}`, key,
			"not equal to the sum of item_details", 400,
		},
		"taken":    {`{"transaction_details":{"order_id":"` + a.ProviderID + `","gross_amount":3}}`, key, "has been paid and utilized", 400},
		"bad id":   {`{"transaction_details":{"order_id":"a b","gross_amount":3}}`, key, "invalid", 400},
		"not json": {`{`, key, "JSON", 400},
	} {
		if code, body := post(k.body, k.auth); code != k.code || !strings.Contains(body, k.want) {
			t.Errorf("%s: %d %s", name, code, body)
		}
	}
}

func (s *shop) fetch(c *http.Client, req *http.Request) (int, string) {
	s.t.Helper()
	res, err := c.Do(req)
	s.do(err)
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	s.do(err)
	return res.StatusCode, string(b)
}

func TestSameIdempotencyKeyReplaysThePage(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	k := payment.Checkout{
		ProviderID: "X-1", Amount: 5, Items: []payment.Item{{ID: "a", Name: "a", Price: 5, Quantity: 1}},
		StartsAt: noon, ExpiresAt: noon.Add(time.Hour),
	}
	first, err := s.client.Create(context.Background(), k)
	s.do(err)
	second, err := s.client.Create(context.Background(), k)
	s.do(err)
	s.clock.Advance(6 * time.Minute)
	third, err := s.client.Create(context.Background(), k)
	s.do(err)
	if first != second || first == third {
		t.Errorf("%v, %v, %v", first, second, third)
	}
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	ctx := context.Background()
	a := s.attempt()
	s.do(s.client.Revoke(ctx, a.Token))
	s.do(s.client.Revoke(ctx, a.Token)) // already canceled
	s.do(s.client.Revoke(ctx, "no-such-token"))
	if err := s.provider.Pay(a.ProviderID, "gopay"); err == nil {
		t.Error("a revoked page was paid")
	}
}

func TestDuplicatedAndReorderedNotifications(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.provider.SetTrouble(standin.Trouble{Duplicate: 2, Reorder: true})
	a := s.attempt()
	s.do(s.provider.Choose(a.ProviderID, "bca_va"))
	s.pass(time.Minute)
	if got := s.statuses(); got != "" {
		t.Fatalf("heard %s before its time", got)
	}
	s.do(s.provider.Pay(a.ProviderID, ""))
	s.pass(0)
	s.pass(time.Second)
	if got := s.statuses(); got != "settlement settlement settlement pending pending pending" {
		t.Errorf("heard %s", got)
	}
	s.expect(registration.Confirmed)
	if s.store.Notifications() != 2 {
		t.Errorf("%d notifications kept, want 2", s.store.Notifications())
	}
}

func TestForgedAndWrongAmountNotifications(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.provider.SetTrouble(standin.Trouble{BadSignature: 1, Duplicate: 0})
	a := s.attempt()
	s.do(s.provider.Pay(a.ProviderID, "credit_card"))
	s.pass(0)
	s.expect(registration.AwaitingPayment)
	if sent := s.provider.Sent(); len(sent) != 1 || sent[0].Code != http.StatusForbidden {
		t.Fatalf("%+v", sent)
	}
	// Signed for another sum: it is only a reason to ask, and the answer names the right one.
	s.provider.SetTrouble(standin.Trouble{WrongAmount: 1})
	s.do(s.provider.Settle(a.ProviderID))
	s.pass(0)
	s.expect(registration.Confirmed)
}

func TestLostNotificationIsFoundByReconciliation(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.provider.SetTrouble(standin.Trouble{DropAll: true})
	a := s.attempt()
	s.do(s.provider.Pay(a.ProviderID, "gopay"))
	s.pass(2 * time.Minute)
	s.expect(registration.AwaitingPayment)
	if n, err := s.service.Reconcile(context.Background(), 10); n != 1 || err != nil {
		t.Fatalf("%d asked, %v", n, err)
	}
	s.expect(registration.Confirmed)
}

func TestSettlementIsReversed(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.provider.SetTrouble(standin.Trouble{DenyAfterSettlement: 1})
	a := s.attempt()
	s.do(s.provider.Pay(a.ProviderID, "permata_va"))
	s.pass(0)
	s.expect(registration.Confirmed)
	s.pass(3 * time.Minute)
	s.expect(registration.Cancelled)
	s.alerted(payment.AlertReversal)
}

func TestSilentPageExpiry(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.attempt()
	s.pass(30 * time.Minute)
	if got := s.statuses(); got != "" {
		t.Errorf("heard %s", got)
	}
	if step, err := s.service.ExpireHold(context.Background(), s.order.ID); err != nil || step.Do != payment.HoldRelease {
		t.Fatalf("%+v, %v", step, err)
	}
	s.expect(registration.Expired)
}

func TestHoldEndCancelsAtTheProvider(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	a := s.attempt()
	// The provider takes longer to expire than it was asked to: the page still has its virtual account open.
	s.do(s.provider.Choose(a.ProviderID, "bca_va"))
	s.provider.SetTrouble(standin.Trouble{DropAll: true})
	s.store.Edit(s.order.ID, func(c *payment.Case) { c.Order.ExpiresAt = noon.Add(20 * time.Minute) })
	s.pass(20 * time.Minute)
	if step, err := s.service.ExpireHold(context.Background(), s.order.ID); err != nil || step.Do != payment.HoldRelease {
		t.Fatalf("%+v, %v", step, err)
	}
	s.expect(registration.Expired)
	if tx := s.provider.Transactions()[0]; tx.Status != "cancel" {
		t.Errorf("at the provider it is %q", tx.Status)
	}
}

func TestLateMoneyOverHTTP(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	ctx := context.Background()
	a := s.attempt()
	s.provider.SetTrouble(standin.Trouble{Broken: 100, DropAll: true})
	s.do(s.provider.Pay(a.ProviderID, "gopay"))
	s.pass(30 * time.Minute)
	if step, err := s.service.ExpireHold(ctx, s.order.ID); err != nil || step.Do != payment.HoldWait {
		t.Fatalf("%+v, %v", step, err)
	}
	s.pass(time.Minute)
	if step, err := s.service.ExpireHold(ctx, s.order.ID); err != nil || step.Do != payment.HoldRelease {
		t.Fatalf("%+v, %v", step, err)
	}
	s.store.Free(-1)
	s.provider.SetTrouble(standin.Trouble{})
	s.pass(time.Hour)
	_, err := s.service.Reconcile(ctx, 10)
	s.do(err)
	s.expect(registration.PaidNoPlace)
	s.alerted(payment.AlertNoPlace)
	s.pass(25 * time.Hour)
	_, err = s.service.SendRefunds(ctx, 10)
	s.do(err)
	s.expect(registration.Refunded)
}

func TestRefundIsToldTwiceAndCountedOnce(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	ctx := context.Background()
	a := s.attempt()
	s.do(s.provider.Choose(a.ProviderID, "gopay"))
	s.pass(0)
	s.do(s.provider.Pay(a.ProviderID, ""))
	s.pass(0)
	_, err := s.service.Refund(ctx, s.order.ID, payment.RefundRequest{Amount: 100_000})
	s.do(err)
	_, err = s.service.SendRefunds(ctx, 10)
	s.do(err)
	s.pass(0)
	s.pass(time.Minute)
	if got := s.statuses(); got != "pending settlement partial_refund partial_refund" {
		t.Errorf("heard %s", got)
	}
	if sheet := s.current().Sheet(); sheet.Refunded != 100_000 || sheet.Paid != 150_000 || sheet.Owed != 0 {
		t.Errorf("%+v", sheet)
	}
	first, second := s.bodies[2], s.bodies[3]
	if strings.Contains(string(first), "bank_confirmed_at") || !strings.Contains(string(second), "bank_confirmed_at") {
		t.Errorf("the bank's confirmation: %s, %s", first, second)
	}
}

func TestRefundRefusals(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	ctx := context.Background()
	a := s.attempt()
	refund := func(key string, amount money.Rupiah) string {
		return payment.CodeOf(s.client.Refund(ctx, payment.GatewayRefund{ProviderID: a.ProviderID, Key: key, Amount: amount, Reason: "r"}))
	}
	if got := refund("rf-1", 1); got != "404" {
		t.Errorf("nothing to refund: %s", got)
	}
	s.do(s.provider.Pay(a.ProviderID, "credit_card"))
	if got := refund("rf-1", 1); got != "412" {
		t.Errorf("before it settled: %s", got)
	}
	s.do(s.provider.Settle(a.ProviderID))
	if got := refund("rf-1", total+1); got != "414" {
		t.Errorf("too much: %s", got)
	}
	if got := refund("rf-1", 1); got != "" {
		t.Errorf("right: %s", got)
	}
	s.clock.Advance(6 * time.Minute)
	if got := refund("rf-1", 1); got != "406" {
		t.Errorf("same key: %s", got)
	}
}

func TestRefundByHandForAVirtualAccount(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	ctx := context.Background()
	a := s.attempt()
	s.do(s.provider.Pay(a.ProviderID, "bca_va"))
	s.pass(0)
	if err := s.client.Refund(ctx, payment.GatewayRefund{ProviderID: a.ProviderID, Key: "rf", Amount: total}); payment.CodeOf(err) != "412" {
		t.Errorf("the provider refunds a virtual account: %v", err)
	}
	c, err := s.service.Refund(ctx, s.order.ID, payment.RefundRequest{By: "fin"})
	s.do(err)
	_, err = s.service.SendRefunds(ctx, 10)
	s.do(err)
	s.alerted(payment.AlertManualRefund)
	_, err = s.service.RecordByHand(ctx, s.order.ID, c.Refunds[0].Key, "BCA 4711", "fin")
	s.do(err)
	s.expect(registration.Refunded)
}

func TestAnswersLostAfterTheyTookEffect(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	ctx := context.Background()
	s.provider.SetTrouble(standin.Trouble{LoseAnswer: 1})
	if _, err := s.service.Attempt(ctx, s.order.ID, ""); !payment.Temporary(err) {
		t.Fatalf("%v", err)
	}
	if n := len(s.provider.Transactions()); n != 1 {
		t.Fatalf("%d pages at the provider", n)
	}
	s.clock.Advance(s.service.Policy.StartLease)
	a := s.attempt()
	s.do(s.provider.Pay(a.ProviderID, "gopay"))
	s.pass(0)
	s.expect(registration.Confirmed)
	_, err := s.service.Refund(ctx, s.order.ID, payment.RefundRequest{})
	s.do(err)
	s.provider.SetTrouble(standin.Trouble{LoseAnswer: 1, DropAll: true})
	// On a connection that was used before, net/http itself repeats a request with an Idempotency-Key: then there is no error.
	if _, err = s.service.SendRefunds(ctx, 10); err != nil && !payment.Temporary(err) {
		t.Fatalf("%v", err)
	}
	s.clock.Advance(6 * time.Minute)
	_, err = s.service.SendRefunds(ctx, 10)
	s.do(err)
	s.expect(registration.Refunded)
	if tx := s.provider.Transactions()[0]; tx.Refunded != int64(total) {
		t.Errorf("the provider gave %d back", tx.Refunded)
	}
}

func TestTooManyRequests(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.provider.SetTrouble(standin.Trouble{TooMany: 1})
	_, err := s.client.Status(context.Background(), "x")
	if !payment.Temporary(err) || payment.CodeOf(err) != "429" || !strings.Contains(err.Error(), "backoff") {
		t.Errorf("%v", err)
	}
}

func TestRetrySchedule(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]int{200: 1, 204: 1, 301: 1, 500: 2, 400: 3, 404: 3, 503: 5, 502: 6, 403: 6} {
		s := newShop(t, func(c *standin.Config) { c.Scale = 60 })
		s.refuseNotifications(code)
		a := s.attempt()
		s.do(s.provider.Choose(a.ProviderID, "bca_va"))
		s.pass(0)
		for range 30 {
			s.pass(15 * time.Second) // six hours of the provider's schedule take six minutes here
		}
		if got := len(s.provider.Sent()); got != want {
			t.Errorf("after %d it was sent %d times, want %d", code, got, want)
		}
		if s.provider.Waiting() != 0 {
			t.Errorf("after %d %d are still waiting", code, s.provider.Waiting())
		}
	}
}

func TestRetriesKeepTheirGaps(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.refuseNotifications(http.StatusBadGateway)
	a := s.attempt()
	s.do(s.provider.Choose(a.ProviderID, "bca_va"))
	s.pass(0)
	for i, minutes := range []int{2, 10, 30, 90, 210} {
		gap := time.Duration(minutes) * time.Minute
		s.pass(gap - time.Second)
		before := len(s.provider.Sent())
		s.pass(gap/10 + time.Second)
		s.provider.Tick(context.Background())
		var tries int
		for _, sent := range s.provider.Sent() {
			if sent.Status == "pending" {
				tries = max(tries, sent.Try)
			}
		}
		if tries != i+2 || before > 2*len(s.provider.Sent()) {
			t.Errorf("after gap %d: try %d", i, tries)
		}
	}
}

func TestNotificationsGoNowhereElse(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"http://192.0.2.1/hook", "http://example.com/", "ftp://127.0.0.1/", "http://u@127.0.0.1/", "http://localhost.example.com/"} {
		if _, err := standin.New(standin.Config{ServerKey: key, NotifyURL: target, AppURL: "https://run.example.id"}); err == nil {
			t.Errorf("%s is allowed", target)
		}
	}
	if _, err := standin.New(standin.Config{ServerKey: key, NotifyURL: "https://run.example.id/webhooks/midtrans", AppURL: "https://run.example.id"}); err != nil {
		t.Errorf("the configured address: %v", err)
	}
	s := newShop(t)
	c, err := midtrans.New(midtrans.Config{ServerKey: key, BaseURL: s.front, SnapURL: s.front, NotifyURL: "http://192.0.2.1/"})
	s.do(err)
	defer c.Close()
	_, err = c.Create(context.Background(), payment.Checkout{
		ProviderID: "X-1", Amount: 5,
		Items: []payment.Item{{ID: "a", Name: "a", Price: 5, Quantity: 1}}, StartsAt: noon, ExpiresAt: noon.Add(time.Hour),
	})
	if payment.CodeOf(err) != "400" {
		t.Errorf("an override to elsewhere: %v", err)
	}
}

func TestRedirectsAreFollowedOnlyToAllowedTargets(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	var hits int
	hop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits++
		_, port, _ := strings.Cut(r.Host, ":")
		// An address that reaches this machine and is not spelt as loopback.
		http.Redirect(w, r, "http://0.0.0.0:"+port+"/", http.StatusTemporaryRedirect)
	}))
	defer hop.Close()
	c, err := midtrans.New(midtrans.Config{ServerKey: key, BaseURL: s.front, SnapURL: s.front, NotifyURL: hop.URL})
	s.do(err)
	defer c.Close()
	_, err = c.Create(context.Background(), payment.Checkout{
		ProviderID: "X-1", Amount: 5,
		Items: []payment.Item{{ID: "a", Name: "a", Price: 5, Quantity: 1}}, StartsAt: noon, ExpiresAt: noon.Add(time.Hour),
	})
	s.do(err)
	s.do(s.provider.Choose("X-1", "gopay"))
	s.pass(0)
	if sent := s.provider.Sent(); hits != 1 || len(sent) != 1 || sent[0].Code != 0 {
		t.Errorf("%d hits, %+v", hits, sent)
	}
}

func TestSnapshotSurvivesARestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "standin.json")
	s := newShop(t, func(c *standin.Config) { c.SnapshotPath = path })
	g := lifecycle.NewGroup(context.Background())
	s.provider.Start(g)
	s.refuseNotifications(http.StatusServiceUnavailable)
	a := s.attempt()
	s.do(s.provider.Pay(a.ProviderID, "gopay"))
	stop, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	s.do(g.Stop(stop))
	again, err := standin.New(standin.Config{ServerKey: key, SnapshotPath: path, Clock: s.clock})
	s.do(err)
	defer again.Close()
	if tx := again.Transactions(); len(tx) != 1 || tx[0].Status != "settlement" || again.Waiting() != 2 {
		t.Fatalf("%+v, %d waiting", tx, again.Waiting())
	}
	s.refuseNotifications(0)
	s.clock.Advance(3 * time.Minute)
	again.Tick(context.Background())
	s.expect(registration.Confirmed)
}

func (s *shop) browser() *http.Client {
	return &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// press posts a form and returns where the browser is sent, as the provider's page would resolve it.
func (s *shop) press(page string, form url.Values) *url.URL {
	s.t.Helper()
	res, err := s.browser().PostForm(page, form)
	s.do(err)
	_ = res.Body.Close()
	if res.StatusCode != http.StatusSeeOther {
		s.t.Fatalf("%s: %s", form.Encode(), res.Status)
	}
	at, err := res.Location()
	s.do(err)
	return at
}

func (s *shop) see(page string, want ...string) {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodGet, page, nil)
	s.do(err)
	_, body := s.fetch(http.DefaultClient, req)
	for _, w := range append(want, "Simulasi pembayaran - bukan uang sungguhan") {
		if !strings.Contains(body, w) {
			s.t.Errorf("%s does not show %q", page, w)
		}
	}
}

func TestPageFromChoiceToFinish(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	a := s.attempt()
	s.see(a.RedirectURL, "Rp250.000", "GNR27-000123-1", "QRIS", "BCA Virtual Account", "Indomaret", "12.29 WIB")
	at := s.press(a.RedirectURL, url.Values{"action": {"choose"}, "channel": {"other_qris"}})
	if at.String() != a.RedirectURL {
		t.Errorf("sent to %s", at)
	}
	s.see(a.RedirectURL, "<svg", "Bayar Rp250.000")
	at = s.press(a.RedirectURL, url.Values{"action": {"pay"}})
	if at.Host != "shop.example" || at.Query().Get("order_id") != a.ProviderID || at.Query().Get("status_code") != "200" ||
		at.Query().Get("transaction_status") != "settlement" || at.Query().Get("lang") != "id" {
		t.Errorf("sent to %s", at)
	}
	s.see(a.RedirectURL, "Pembayaran berhasil", "Kembali ke penyelenggara")
	s.pass(0)
	s.expect(registration.Confirmed)
	if at = s.press(a.RedirectURL, url.Values{"action": {"pay"}}); at.String() != a.RedirectURL {
		t.Errorf("paid twice: sent to %s", at)
	}
}

func TestCardPage(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	a := s.attempt()
	card := url.Values{"action": {"choose"}, "channel": {"credit_card"}}
	at := s.press(a.RedirectURL, card)
	s.see(at.String(), "Bank menolak", "Perlu ditinjau")
	at = s.press(a.RedirectURL, url.Values{"action": {"deny"}, "channel": {"credit_card"}})
	if at.Query().Get("transaction_status") != "deny" || at.Query().Get("status_code") != "202" {
		t.Errorf("sent to %s", at)
	}
	s.see(a.RedirectURL, "Pembayaran sebelumnya ditolak")
	s.press(a.RedirectURL, url.Values{"action": {"challenge"}, "channel": {"credit_card"}})
	s.pass(0)
	s.expect(registration.AwaitingPayment)
	s.alerted(payment.AlertReview)
	s.do(s.provider.Accept(a.ProviderID))
	s.pass(0)
	s.expect(registration.Confirmed)
}

func TestControlAPI(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	a := s.attempt()
	post := func(path, body string, header ...string) int {
		req, err := http.NewRequest(http.MethodPost, s.front+path, strings.NewReader(body))
		s.do(err)
		for i := 0; i+1 < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		code, _ := s.fetch(s.browser(), req)
		return code
	}
	if code := post("/control/trouble", `{"duplicate":3,"delay":1000000000}`); code != http.StatusNoContent || s.provider.Trouble().Duplicate != 3 {
		t.Errorf("trouble: %d, %+v", code, s.provider.Trouble())
	}
	if code := post("/control/trouble", `{"no_such":3}`); code != http.StatusBadRequest {
		t.Errorf("unknown trouble: %d", code)
	}
	form := "application/x-www-form-urlencoded"
	if code := post("/control/trouble", "duplicate=1&delay=2s&reorder=on", "Content-Type", form); code != http.StatusSeeOther ||
		s.provider.Trouble() != (standin.Trouble{Duplicate: 1, Delay: 2 * time.Second, Reorder: true}) {
		t.Errorf("form: %d, %+v", code, s.provider.Trouble())
	}
	if code := post("/control/transactions/"+a.ProviderID+"/pay?channel=gopay", ""); code != http.StatusNoContent {
		t.Errorf("pay: %d", code)
	}
	if code := post("/control/transactions/nobody/pay", ""); code != http.StatusNotFound {
		t.Errorf("unknown order: %d", code)
	}
	if code := post("/control/transactions/"+a.ProviderID+"/pay", "", "Sec-Fetch-Site", "cross-site"); code != http.StatusForbidden {
		t.Errorf("from another site: %d", code)
	}
	if code := post("/control/trouble", `{}`, "X-Forwarded-For", "203.0.113.1"); code != http.StatusForbidden {
		t.Errorf("through a proxy: %d", code)
	}
	req, err := http.NewRequest(http.MethodGet, s.front+"/control", nil)
	s.do(err)
	if code, body := s.fetch(http.DefaultClient, req); code != http.StatusOK || !strings.Contains(body, a.ProviderID) {
		t.Errorf("page: %d", code)
	}
}

package payment_test

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"gapura/internal/money"
	"gapura/internal/payment"
)

// fakeTx is the provider's truth about one attempt.
type fakeTx struct {
	status   payment.ProviderStatus
	revoked  bool
	ends     time.Time    // when the page ends; zero: never
	captured money.Rupiah // what the provider took and did not reverse
}

// fakeGateway is a provider whose truth the test sets. Every change of truth queues a notification body.
type fakeGateway struct {
	mu     sync.Mutex
	txs    map[string]*fakeTx
	outbox [][]byte
	down   error // answered to every call while it is set
	lose   bool  // the next create or refund takes effect, and its answer is lost
	calls  []string
}

func newFakeGateway() *fakeGateway { return &fakeGateway{txs: map[string]*fakeTx{}} }

type fakeNote struct {
	Order, Status, Tx string
	Serial            int
	Forged, Broken    bool
}

func (g *fakeGateway) ParseNotification(body []byte) (payment.Notification, error) {
	var n fakeNote
	if err := json.Unmarshal(body, &n); err != nil || n.Broken {
		return payment.Notification{}, payment.ErrBadNotification
	}
	if n.Forged {
		return payment.Notification{}, payment.ErrBadSignature
	}
	return payment.Notification{OrderID: n.Order, TransactionID: n.Tx, TransactionStatus: payment.TransactionStatus(n.Status)}, nil
}

func (g *fakeGateway) enter(op string) error {
	g.calls = append(g.calls, op)
	return g.down
}

var errLost = &payment.ProviderError{Op: "any", Message: "no answer", Temporary: true}

func (g *fakeGateway) lost() error {
	if g.lose {
		g.lose = false
		return errLost
	}
	return nil
}

func (g *fakeGateway) Create(_ context.Context, k payment.Checkout) (payment.Page, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.enter("create " + k.ProviderID); err != nil {
		return payment.Page{}, err
	}
	var sum money.Rupiah
	for _, i := range k.Items {
		sum += i.Price * money.Rupiah(i.Quantity)
	}
	if sum != k.Amount || g.txs[k.ProviderID] != nil {
		return payment.Page{}, &payment.ProviderError{Op: "create", Code: "400"}
	}
	g.txs[k.ProviderID] = &fakeTx{ends: k.ExpiresAt, status: payment.ProviderStatus{Missing: true, Gross: k.Amount, OrderID: k.ProviderID}}
	return payment.Page{Token: k.ProviderID, RedirectURL: "https://pay.example/" + k.ProviderID}, g.lost()
}

func (g *fakeGateway) Status(_ context.Context, ref string) (payment.ProviderStatus, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.enter("status " + ref); err != nil {
		return payment.ProviderStatus{}, err
	}
	tx := g.txs[ref]
	if tx == nil || tx.status.Missing {
		return payment.ProviderStatus{Missing: true}, nil
	}
	s := tx.status
	s.Refunds = slices.Clone(s.Refunds)
	return s, nil
}

func (g *fakeGateway) Cancel(_ context.Context, providerID string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.enter("cancel " + providerID); err != nil {
		return err
	}
	tx := g.txs[providerID]
	switch {
	case tx == nil || tx.status.Missing:
		return &payment.ProviderError{Op: "cancel", Code: payment.CodeNotFound}
	case tx.status.Status != payment.TxPending:
		return &payment.ProviderError{Op: "cancel", Code: payment.CodeCannotModify}
	}
	g.set(tx, payment.TxCancel)
	return nil
}

func (g *fakeGateway) Revoke(_ context.Context, token string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.enter("revoke " + token); err != nil {
		return err
	}
	tx := g.txs[token]
	if tx != nil && !tx.status.Missing {
		return &payment.ProviderError{Op: "revoke", Code: "400", Message: "Transaction is on progress"}
	}
	if tx != nil {
		tx.revoked = true
	}
	return nil
}

func (g *fakeGateway) Refund(_ context.Context, r payment.GatewayRefund) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.enter("refund " + r.Key); err != nil {
		return err
	}
	tx := g.txs[r.ProviderID]
	for _, done := range tx.status.Refunds {
		if done.Key == r.Key {
			return &payment.ProviderError{Op: "refund", Code: payment.CodeDuplicate}
		}
	}
	if !g.refund(tx, r.Key, r.Amount) {
		return &payment.ProviderError{Op: "refund", Code: payment.CodeCannotModify}
	}
	return g.lost()
}

// refund gives money back at the provider, with two notices.
func (g *fakeGateway) refund(tx *fakeTx, key string, amount money.Rupiah) bool {
	ok := tx.status.Status == payment.TxSettlement || tx.status.Status == payment.TxPartialRefund
	if !ok || tx.status.RefundAmount+amount > tx.captured {
		return false
	}
	tx.status.RefundAmount += amount
	tx.status.Refunds = append(tx.status.Refunds, payment.ProviderRefund{Key: key, Amount: amount})
	next := payment.TxPartialRefund
	if tx.status.RefundAmount == tx.captured {
		next = payment.TxRefund
	}
	g.set(tx, next)
	g.note(tx)
	return true
}

// set makes status the truth and queues a notification.
func (g *fakeGateway) set(tx *fakeTx, status payment.TransactionStatus) {
	s := &tx.status
	s.Missing, s.Status, s.StatusCode, s.Currency = false, status, "200", "IDR"
	s.TransactionID, s.Channel = "tx-"+s.OrderID, payment.Channel{Type: "qris"}
	switch status {
	case payment.TxPending:
		s.StatusCode = "201"
	case payment.TxSettlement:
		tx.captured = s.Gross
	case payment.TxDeny, payment.TxExpire, payment.TxCancel:
		s.StatusCode, tx.captured = "202", 0
	default:
	}
	g.note(tx)
}

func (g *fakeGateway) note(tx *fakeTx) {
	body, err := json.Marshal(fakeNote{
		Order: tx.status.OrderID, Status: string(tx.status.Status), Tx: tx.status.TransactionID, Serial: len(g.outbox),
	})
	if err != nil {
		panic(err)
	}
	g.outbox = append(g.outbox, body)
}

// happen is the outside world: the customer or the bank moves a transaction, if that is possible now. A page past its end
// takes nobody in, which the provider tells nobody.
func (g *fakeGateway) happen(providerID string, to payment.TransactionStatus, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	tx := g.txs[providerID]
	if tx == nil || tx.revoked || tx.status.Missing && !tx.ends.IsZero() && !now.Before(tx.ends) {
		return false
	}
	from := tx.status.Status
	possible := map[payment.TransactionStatus][]payment.TransactionStatus{
		"":                   {payment.TxPending, payment.TxSettlement},
		payment.TxPending:    {payment.TxSettlement, payment.TxExpire, payment.TxDeny, payment.TxCancel},
		payment.TxSettlement: {payment.TxDeny, payment.TxChargeback},
	}
	if !slices.Contains(possible[from], to) {
		return false
	}
	g.set(tx, to)
	return true
}

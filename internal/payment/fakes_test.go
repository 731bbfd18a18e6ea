package payment

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"gapura/internal/fault"
	"gapura/internal/id"
	"gapura/internal/money"
	"gapura/internal/registration"
)

// memStore keeps cases in memory. An order with a place takes one of seats.
type memStore struct {
	mu     sync.Mutex
	seats  int // free ones
	cases  map[id.ID]Case
	kept   map[string]Kept
	alerts []Alert
}

func newMemStore(seats int) *memStore {
	return &memStore{seats: seats, cases: map[id.ID]Case{}, kept: map[string]Kept{}}
}

func (m *memStore) add(o registration.Order) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seats--
	m.cases[o.ID] = Case{Order: o}
}

func (m *memStore) free(by int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seats = max(0, m.seats+by)
}

func (m *memStore) Change(_ context.Context, order id.ID, decide func(Case) (Decision, error)) (Case, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.cases[order]
	if !ok {
		return Case{}, fault.New(fault.NoSuchOrder)
	}
	wasLive := c.Order.Status.Live()
	c.PlaceFree = !wasLive && m.seats > 0
	d, err := decide(c)
	if err != nil {
		return Case{}, err
	}
	after := c.After(d)
	switch live := after.Order.Status.Live(); {
	case live && !wasLive:
		m.seats--
	case !live && wasLive:
		m.seats++
	}
	if m.seats < 0 {
		return Case{}, fmt.Errorf("a place was sold twice")
	}
	m.alerts = append(m.alerts, d.Alerts...)
	m.cases[order] = after
	return after, nil
}

func (m *memStore) Case(_ context.Context, order id.ID) (Case, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.cases[order]
	if !ok {
		return Case{}, fault.New(fault.NoSuchOrder)
	}
	return c.clone(), nil
}

func (m *memStore) OrderOf(_ context.Context, providerID string) (id.ID, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for order, c := range m.cases {
		if _, ok := c.ByProviderID(providerID); ok {
			return order, nil
		}
	}
	return id.Nil, fault.New(fault.NoSuchOrder)
}

func (m *memStore) AttemptsToAsk(_ context.Context, now time.Time, limit int) ([]AttemptRef, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var due []AttemptRef
	for order, c := range m.cases {
		for _, a := range c.Attempts {
			if !a.AskAt.IsZero() && !a.AskAt.After(now) {
				due = append(due, AttemptRef{Order: order, N: a.N})
			}
		}
	}
	return due[:min(limit, len(due))], nil
}

func (m *memStore) RefundsToSend(_ context.Context, now time.Time, limit int) ([]RefundRef, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var due []RefundRef
	for order, c := range m.cases {
		for _, r := range c.Refunds {
			if (r.State == RefundOpen || r.State == RefundSending) && !r.NotBefore.After(now) {
				due = append(due, RefundRef{Order: order, Key: r.Key})
			}
		}
	}
	return due[:min(limit, len(due))], nil
}

func (m *memStore) WithoutPlace(_ context.Context, _ int64, limit int) ([]id.ID, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var orders []id.ID
	for order, c := range m.cases {
		if c.Order.Status == registration.PaidNoPlace {
			orders = append(orders, order)
		}
	}
	return orders[:min(limit, len(orders))], nil
}

func (m *memStore) Keep(_ context.Context, n Kept) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.kept[n.Key]; known {
		return false, nil
	}
	m.kept[n.Key] = n
	return true, nil
}

func (m *memStore) Kept(_ context.Context, key string) (Kept, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kept[key], nil
}

func (m *memStore) Judge(_ context.Context, key, verdict string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.kept[key]
	n.Verdict = verdict
	m.kept[key] = n
	return nil
}

// fakeTx is the provider's truth about one attempt.
type fakeTx struct {
	status   ProviderStatus
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

func (g *fakeGateway) ParseNotification(body []byte) (Notification, error) {
	var n fakeNote
	if err := json.Unmarshal(body, &n); err != nil || n.Broken {
		return Notification{}, ErrBadNotification
	}
	if n.Forged {
		return Notification{}, ErrBadSignature
	}
	return Notification{OrderID: n.Order, TransactionID: n.Tx, TransactionStatus: TransactionStatus(n.Status)}, nil
}

func (g *fakeGateway) enter(op string) error {
	g.calls = append(g.calls, op)
	return g.down
}

var errLost = &ProviderError{Op: "any", Message: "no answer", Temporary: true}

func (g *fakeGateway) lost() error {
	if g.lose {
		g.lose = false
		return errLost
	}
	return nil
}

func (g *fakeGateway) Create(_ context.Context, k Checkout) (Page, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.enter("create " + k.ProviderID); err != nil {
		return Page{}, err
	}
	var sum money.Rupiah
	for _, i := range k.Items {
		sum += i.Price * money.Rupiah(i.Quantity)
	}
	if sum != k.Amount || g.txs[k.ProviderID] != nil {
		return Page{}, &ProviderError{Op: "create", Code: "400"}
	}
	g.txs[k.ProviderID] = &fakeTx{ends: k.ExpiresAt, status: ProviderStatus{Missing: true, Gross: k.Amount, OrderID: k.ProviderID}}
	return Page{Token: k.ProviderID, RedirectURL: "https://pay.example/" + k.ProviderID}, g.lost()
}

func (g *fakeGateway) Status(_ context.Context, ref string) (ProviderStatus, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.enter("status " + ref); err != nil {
		return ProviderStatus{}, err
	}
	tx := g.txs[ref]
	if tx == nil || tx.status.Missing {
		return ProviderStatus{Missing: true}, nil
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
		return &ProviderError{Op: "cancel", Code: CodeNotFound}
	case tx.status.Status != TxPending:
		return &ProviderError{Op: "cancel", Code: CodeCannotModify}
	}
	g.set(tx, TxCancel)
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
		return &ProviderError{Op: "revoke", Code: "400", Message: "Transaction is on progress"}
	}
	if tx != nil {
		tx.revoked = true
	}
	return nil
}

func (g *fakeGateway) Refund(_ context.Context, r GatewayRefund) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.enter("refund " + r.Key); err != nil {
		return err
	}
	tx := g.txs[r.ProviderID]
	for _, done := range tx.status.Refunds {
		if done.Key == r.Key {
			return &ProviderError{Op: "refund", Code: CodeDuplicate}
		}
	}
	if !g.refund(tx, r.Key, r.Amount) {
		return &ProviderError{Op: "refund", Code: CodeCannotModify}
	}
	return g.lost()
}

// refund gives money back at the provider, with two notices.
func (g *fakeGateway) refund(tx *fakeTx, key string, amount money.Rupiah) bool {
	ok := tx.status.Status == TxSettlement || tx.status.Status == TxPartialRefund
	if !ok || tx.status.RefundAmount+amount > tx.captured {
		return false
	}
	tx.status.RefundAmount += amount
	tx.status.Refunds = append(tx.status.Refunds, ProviderRefund{Key: key, Amount: amount})
	next := TxPartialRefund
	if tx.status.RefundAmount == tx.captured {
		next = TxRefund
	}
	g.set(tx, next)
	g.note(tx)
	return true
}

// set makes status the truth and queues a notification.
func (g *fakeGateway) set(tx *fakeTx, status TransactionStatus) {
	s := &tx.status
	s.Missing, s.Status, s.StatusCode, s.Currency = false, status, "200", "IDR"
	s.TransactionID, s.Channel = "tx-"+s.OrderID, Channel{Type: "qris"}
	switch status {
	case TxPending:
		s.StatusCode = "201"
	case TxSettlement:
		tx.captured = s.Gross
	case TxDeny, TxExpire, TxCancel:
		s.StatusCode, tx.captured = "202", 0
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
func (g *fakeGateway) happen(providerID string, to TransactionStatus, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	tx := g.txs[providerID]
	if tx == nil || tx.revoked || tx.status.Missing && !tx.ends.IsZero() && !now.Before(tx.ends) {
		return false
	}
	from := tx.status.Status
	possible := map[TransactionStatus][]TransactionStatus{
		"":           {TxPending, TxSettlement},
		TxPending:    {TxSettlement, TxExpire, TxDeny, TxCancel},
		TxSettlement: {TxDeny, TxChargeback},
	}
	if !slices.Contains(possible[from], to) {
		return false
	}
	g.set(tx, to)
	return true
}

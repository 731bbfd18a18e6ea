package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"gapura/internal/fault"
	"gapura/internal/id"
	"gapura/internal/jobs"
	"gapura/internal/money"
	"gapura/internal/payment"
	"gapura/internal/registration"
)

// Settler changes an order's state under its event's lock; the engine does.
type Settler interface {
	Settle(ctx context.Context, order id.ID,
		decide func(ctx context.Context, s registration.Settlement) (registration.Status, error)) (registration.Order, error)
}

// Payments keeps the cases of payment. What a decision changes about the order goes through the engine, because places and
// claims change only under the event's lock.
type Payments struct {
	Store   *Store
	Settler Settler
}

var _ payment.Store = (*Payments)(nil)

type (
	attemptRow struct {
		bun.BaseModel `bun:"table:payment_attempts"`

		OrderID       id.ID         `bun:"order_id,type:blob"`
		N             int           `bun:"n"`
		ProviderID    string        `bun:"provider_id"`
		Amount        int64         `bun:"amount"`
		State         string        `bun:"state"`
		Token         string        `bun:"token"`
		RedirectURL   string        `bun:"redirect_url"`
		StartedAt     int64         `bun:"started_at"`
		ExpiresAt     int64         `bun:"expires_at"`
		Provider      string        `bun:"provider"`
		TransactionID string        `bun:"transaction_id"`
		Channel       string        `bun:"channel"`
		OnUs          bool          `bun:"on_us"`
		PaidAt        sql.NullInt64 `bun:"paid_at"`
		Received      int64         `bun:"received"`
		Reversed      int64         `bun:"reversed"`
		Refunded      int64         `bun:"refunded"`
		ByHand        int64         `bun:"by_hand"`
		ChargedBack   int64         `bun:"charged_back"`
		AskedAt       sql.NullInt64 `bun:"asked_at"`
		Asks          int           `bun:"asks"`
		AskAt         sql.NullInt64 `bun:"ask_at"`
	}

	refundRow struct {
		bun.BaseModel `bun:"table:payment_refunds"`

		OrderID   id.ID         `bun:"order_id,type:blob"`
		N         int           `bun:"n"`
		RefundKey string        `bun:"refund_key"`
		Attempt   int           `bun:"attempt"`
		Amount    int64         `bun:"amount"`
		Reason    string        `bun:"reason"`
		State     string        `bun:"state"`
		AskedBy   string        `bun:"asked_by"`
		Note      string        `bun:"note"`
		CreatedAt int64         `bun:"created_at"`
		NotBefore int64         `bun:"not_before"`
		Tries     int           `bun:"tries"`
		SendAt    sql.NullInt64 `bun:"send_at"`
	}

	entryRow struct {
		bun.BaseModel `bun:"table:payment_entries"`

		OrderID     id.ID  `bun:"order_id,type:blob"`
		N           int    `bun:"n"`
		Attempt     int    `bun:"attempt"`
		FromAccount string `bun:"from_account"`
		ToAccount   string `bun:"to_account"`
		Amount      int64  `bun:"amount"`
		Reason      string `bun:"reason"`
		BookedAt    int64  `bun:"booked_at"`
	}

	alertRow struct {
		bun.BaseModel `bun:"table:payment_alerts"`

		OrderID   id.ID  `bun:"order_id,type:blob"`
		Kind      string `bun:"kind"`
		Attempt   int    `bun:"attempt"`
		Amount    int64  `bun:"amount"`
		Detail    string `bun:"detail"`
		CreatedAt int64  `bun:"created_at"`
	}
)

// Change implements payment.Store.
func (p *Payments) Change(ctx context.Context, order id.ID, decide func(payment.Case) (payment.Decision, error)) (payment.Case, error) {
	var after payment.Case
	_, err := p.Settler.Settle(ctx, order, func(ctx context.Context, s registration.Settlement) (registration.Status, error) {
		tx, ok := s.Tx.(*eventTx)
		if !ok {
			return "", errors.New("the transaction is another store's")
		}
		c, err := readCase(ctx, tx.tx, s.Order)
		if err != nil {
			return "", err
		}
		c.PlaceFree = s.PlaceFree
		d, err := decide(c)
		if err != nil {
			return "", err
		}
		after = c.After(d)
		return d.Order, writeDecision(ctx, tx.tx, s, d)
	})
	return after, err
}

// Case implements payment.Store.
func (p *Payments) Case(ctx context.Context, order id.ID) (payment.Case, error) {
	o, err := p.Store.Order(ctx, order)
	if errors.Is(err, registration.ErrNoOrder) {
		return payment.Case{}, fault.New(fault.NoSuchOrder)
	}
	if err != nil {
		return payment.Case{}, err
	}
	c, err := readCase(ctx, p.Store.reads, o)
	return c, p.Store.dialect.classify(err)
}

func readCase(ctx context.Context, db bun.IDB, o registration.Order) (payment.Case, error) {
	c := payment.Case{Order: o}
	var attempts []attemptRow
	var refunds []refundRow
	var entries []entryRow
	for _, read := range []struct {
		table string
		rows  any
	}{{"payment_attempts", &attempts}, {"payment_refunds", &refunds}, {"payment_entries", &entries}} {
		err := db.NewRaw("SELECT * FROM ? WHERE order_id = ? ORDER BY n", bun.Ident(read.table), o.ID).Scan(ctx, read.rows)
		if err != nil {
			return c, fmt.Errorf("read %s: %w", read.table, err)
		}
	}
	for i := range attempts {
		c.Attempts = append(c.Attempts, attempts[i].attempt())
	}
	for i := range refunds {
		c.Refunds = append(c.Refunds, refunds[i].refund())
	}
	for i := range entries {
		c.Entries = append(c.Entries, entries[i].entry())
	}
	return c, nil
}

func (r *attemptRow) attempt() payment.Attempt {
	return payment.Attempt{
		N: r.N, ProviderID: r.ProviderID, Amount: money.Rupiah(r.Amount), State: payment.AttemptState(r.State), Token: r.Token,
		RedirectURL: r.RedirectURL, StartedAt: fromMilliseconds(r.StartedAt), ExpiresAt: fromMilliseconds(r.ExpiresAt),
		Provider: payment.TransactionStatus(r.Provider), TransactionID: r.TransactionID, Channel: payment.Channel{Type: r.Channel, OnUs: r.OnUs},
		PaidAt: fromOptional(r.PaidAt), Received: money.Rupiah(r.Received), Reversed: money.Rupiah(r.Reversed),
		Refunded: money.Rupiah(r.Refunded), ByHand: money.Rupiah(r.ByHand), ChargedBack: money.Rupiah(r.ChargedBack),
		AskedAt: fromOptional(r.AskedAt), Asks: r.Asks, AskAt: fromOptional(r.AskAt),
	}
}

func newAttemptRow(order id.ID, a payment.Attempt) attemptRow {
	return attemptRow{
		OrderID: order, N: a.N, ProviderID: a.ProviderID, Amount: int64(a.Amount), State: string(a.State), Token: a.Token,
		RedirectURL: a.RedirectURL, StartedAt: milliseconds(a.StartedAt), ExpiresAt: milliseconds(a.ExpiresAt),
		Provider: string(a.Provider), TransactionID: a.TransactionID, Channel: a.Channel.Type, OnUs: a.Channel.OnUs, PaidAt: optional(a.PaidAt),
		Received: int64(a.Received), Reversed: int64(a.Reversed), Refunded: int64(a.Refunded), ByHand: int64(a.ByHand),
		ChargedBack: int64(a.ChargedBack), AskedAt: optional(a.AskedAt), Asks: a.Asks, AskAt: optional(a.AskAt),
	}
}

func (r *refundRow) refund() payment.Refund {
	return payment.Refund{
		N: r.N, Key: r.RefundKey, Attempt: r.Attempt, Amount: money.Rupiah(r.Amount), Reason: payment.Reason(r.Reason),
		State: payment.RefundState(r.State), By: r.AskedBy, Note: r.Note, CreatedAt: fromMilliseconds(r.CreatedAt),
		NotBefore: fromMilliseconds(r.NotBefore), Tries: r.Tries,
	}
}

func newRefundRow(order id.ID, r payment.Refund) refundRow {
	row := refundRow{
		OrderID: order, N: r.N, RefundKey: r.Key, Attempt: r.Attempt, Amount: int64(r.Amount), Reason: string(r.Reason),
		State: string(r.State), AskedBy: r.By, Note: r.Note, CreatedAt: milliseconds(r.CreatedAt),
		NotBefore: milliseconds(r.NotBefore), Tries: r.Tries,
	}
	if r.State == payment.RefundOpen || r.State == payment.RefundSending {
		row.SendAt = sql.NullInt64{Int64: row.NotBefore, Valid: true}
	}
	return row
}

func (r *entryRow) entry() payment.Entry {
	return payment.Entry{
		N: r.N, Attempt: r.Attempt, From: payment.Account(r.FromAccount), To: payment.Account(r.ToAccount),
		Amount: money.Rupiah(r.Amount), Reason: payment.Reason(r.Reason), At: fromMilliseconds(r.BookedAt),
	}
}

// writeDecision writes everything but the order's state, which the engine writes.
func writeDecision(ctx context.Context, tx bun.Tx, s registration.Settlement, d payment.Decision) error {
	for _, a := range d.Attempts {
		row := newAttemptRow(s.Order.ID, a)
		if err := replace(ctx, tx, "payment_attempts", s.Order.ID, a.N, &row); err != nil {
			return err
		}
	}
	for _, r := range d.Refunds {
		row := newRefundRow(s.Order.ID, r)
		if err := replace(ctx, tx, "payment_refunds", s.Order.ID, r.N, &row); err != nil {
			return err
		}
	}
	for _, e := range d.Entries {
		row := entryRow{
			OrderID: s.Order.ID, N: e.N, Attempt: e.Attempt, FromAccount: string(e.From), ToAccount: string(e.To),
			Amount: int64(e.Amount), Reason: string(e.Reason), BookedAt: milliseconds(e.At),
		}
		if _, err := tx.NewInsert().Model(&row).Exec(ctx); err != nil {
			return fmt.Errorf("book an entry: %w", err)
		}
	}
	for _, a := range d.Alerts {
		row := alertRow{
			OrderID: s.Order.ID, Kind: string(a.Kind), Attempt: a.Attempt, Amount: int64(a.Amount), Detail: a.Detail,
			CreatedAt: milliseconds(s.Now),
		}
		if _, err := tx.NewInsert().Model(&row).Exec(ctx); err != nil {
			return fmt.Errorf("raise an alert: %w", err)
		}
	}
	return noteUnplaced(ctx, tx, s, d.Order)
}

// replace writes row n of an order, which may exist. Under the event's lock nobody else writes it.
func replace(ctx context.Context, tx bun.Tx, table string, order id.ID, n int, row any) error {
	if _, err := tx.NewRaw("DELETE FROM ? WHERE order_id = ? AND n = ?", bun.Ident(table), order, n).Exec(ctx); err != nil {
		return fmt.Errorf("replace in %s: %w", table, err)
	}
	if _, err := tx.NewInsert().Model(row).Exec(ctx); err != nil {
		return fmt.Errorf("write %s: %w", table, err)
	}
	return nil
}

// noteUnplaced keeps the list of paid orders that wait for a place.
func noteUnplaced(ctx context.Context, tx bun.Tx, s registration.Settlement, to registration.Status) error {
	if to == "" {
		return nil
	}
	if to == registration.PaidNoPlace {
		_, err := tx.NewRaw("INSERT INTO payment_unplaced (event_id, since, order_id) VALUES (?, ?, ?)",
			s.Order.EventID, milliseconds(s.Now), s.Order.ID).Exec(ctx)
		if err != nil {
			return fmt.Errorf("note an order without place: %w", err)
		}
		return nil
	}
	if s.Order.Status != registration.PaidNoPlace {
		return nil
	}
	if _, err := tx.NewRaw("DELETE FROM payment_unplaced WHERE order_id = ?", s.Order.ID).Exec(ctx); err != nil {
		return fmt.Errorf("forget an order without place: %w", err)
	}
	return nil
}

// Asked implements payment.Store: without the event's lock, because nothing that it guards changes. What was decided after the
// question was asked stays.
func (p *Payments) Asked(ctx context.Context, ref payment.AttemptRef, a payment.AskedOf) error {
	asked := optional(a.AskedAt)
	_, err := p.Store.commits.NewRaw("UPDATE payment_attempts SET asked_at = ?, asks = ?, ask_at = ? "+
		"WHERE order_id = ? AND n = ? AND (asked_at IS NULL OR asked_at <= ?)", asked, a.Asks, optional(a.AskAt), ref.Order, ref.N, asked).Exec(ctx)
	if err != nil {
		return p.Store.dialect.classify(fmt.Errorf("note a question: %w", err))
	}
	return nil
}

// OrderOf implements payment.Store.
func (p *Payments) OrderOf(ctx context.Context, providerID string) (id.ID, error) {
	var order id.ID
	err := p.Store.reads.NewRaw("SELECT order_id FROM payment_attempts WHERE provider_id = ?", providerID).Scan(ctx, &order)
	if errors.Is(err, sql.ErrNoRows) {
		return id.Nil, fault.New(fault.NoSuchOrder)
	}
	return order, p.Store.dialect.classify(err)
}

// AttemptsToAsk implements payment.Store.
func (p *Payments) AttemptsToAsk(ctx context.Context, now time.Time, limit int) ([]payment.AttemptRef, error) {
	var rows []struct {
		OrderID id.ID
		N       int
	}
	err := p.Store.reads.NewRaw("SELECT order_id, n FROM payment_attempts WHERE ask_at <= ? ORDER BY ask_at LIMIT ?",
		milliseconds(now), limit).Scan(ctx, &rows)
	if err != nil {
		return nil, p.Store.dialect.classify(fmt.Errorf("attempts to ask: %w", err))
	}
	refs := make([]payment.AttemptRef, len(rows))
	for i, r := range rows {
		refs[i] = payment.AttemptRef{Order: r.OrderID, N: r.N}
	}
	return refs, nil
}

// RefundsToSend implements payment.Store.
func (p *Payments) RefundsToSend(ctx context.Context, now time.Time, limit int) ([]payment.RefundRef, error) {
	var rows []struct {
		OrderID   id.ID
		RefundKey string
	}
	err := p.Store.reads.NewRaw("SELECT order_id, refund_key FROM payment_refunds WHERE send_at <= ? ORDER BY send_at LIMIT ?",
		milliseconds(now), limit).Scan(ctx, &rows)
	if err != nil {
		return nil, p.Store.dialect.classify(fmt.Errorf("refunds to send: %w", err))
	}
	refs := make([]payment.RefundRef, len(rows))
	for i, r := range rows {
		refs[i] = payment.RefundRef{Order: r.OrderID, Key: r.RefundKey}
	}
	return refs, nil
}

// WithoutPlace implements payment.Store.
func (p *Payments) WithoutPlace(ctx context.Context, eventID int64, limit int) ([]id.ID, error) {
	var orders []id.ID
	err := p.Store.reads.NewRaw("SELECT order_id FROM payment_unplaced WHERE event_id = ? ORDER BY since, order_id LIMIT ?",
		eventID, limit).Scan(ctx, &orders)
	return orders, p.Store.dialect.classify(err)
}

// Keep implements payment.Store: the notification and the job that confirms it are one transaction.
func (p *Payments) Keep(ctx context.Context, n payment.Kept) (bool, error) {
	err := p.Store.transact(ctx, func(tx bun.Tx) error {
		_, err := tx.NewRaw("INSERT INTO payment_notifications (hash, provider_id, body, received_at, verdict) VALUES (?, ?, ?, ?, '')",
			n.Key, n.ProviderID, string(n.Body), milliseconds(n.At)).Exec(ctx)
		if err != nil {
			return fmt.Errorf("keep a notification: %w", err)
		}
		return addJobs(ctx, tx, n.At, []jobs.New{{Kind: jobs.PaymentConfirm, Arg: n.Key}})
	})
	if errors.Is(err, registration.ErrDuplicate) {
		return false, nil
	}
	return err == nil, err
}

// Kept implements payment.Store.
func (p *Payments) Kept(ctx context.Context, key string) (payment.Kept, error) {
	var row struct {
		ProviderID string
		Body       string
		ReceivedAt int64
		Verdict    string
	}
	err := p.Store.reads.NewRaw("SELECT provider_id, body, received_at, verdict FROM payment_notifications WHERE hash = ?", key).Scan(ctx, &row)
	if err != nil {
		return payment.Kept{}, p.Store.dialect.classify(fmt.Errorf("read a notification: %w", err))
	}
	return payment.Kept{
		Key: key, ProviderID: row.ProviderID, Body: []byte(row.Body), At: fromMilliseconds(row.ReceivedAt), Verdict: row.Verdict,
	}, nil
}

// Judge implements payment.Store.
func (p *Payments) Judge(ctx context.Context, key, verdict string) error {
	_, err := p.Store.commits.NewRaw("UPDATE payment_notifications SET verdict = ? WHERE hash = ?", verdict, key).Exec(ctx)
	return p.Store.dialect.classify(err)
}

// Paying returns those of the orders that have an attempt through which money may still come.
func (p *Payments) Paying(ctx context.Context, orders []id.ID) ([]id.ID, error) {
	var paying []id.ID
	err := p.Store.reads.NewRaw("SELECT DISTINCT order_id FROM payment_attempts WHERE order_id IN (?) AND state IN (?)",
		bun.List(rawIDs(orders)), bun.List([]string{
			string(payment.AttemptStarting), string(payment.AttemptOpen), string(payment.AttemptReview), string(payment.AttemptPaid),
		})).Scan(ctx, &paying)
	if err != nil {
		return nil, p.Store.dialect.classify(fmt.Errorf("find attempts: %w", err))
	}
	return paying, nil
}

// PostponeHold makes the end of an unpaid hold be looked at again at the given moment. The order's own end does not change.
func (p *Payments) PostponeHold(ctx context.Context, order id.ID, until time.Time) error {
	_, err := p.Store.commits.NewRaw("UPDATE orders SET hold_until = ? WHERE id = ? AND hold_until IS NOT NULL", milliseconds(until), order).
		Exec(ctx)
	if err != nil {
		return p.Store.dialect.classify(fmt.Errorf("postpone a hold: %w", err))
	}
	return nil
}

// EventsWithoutPlace returns the events in which somebody paid and waits for a place.
func (p *Payments) EventsWithoutPlace(ctx context.Context) ([]int64, error) {
	var events []int64
	err := p.Store.reads.NewRaw("SELECT DISTINCT event_id FROM payment_unplaced").Scan(ctx, &events)
	return events, p.Store.dialect.classify(err)
}

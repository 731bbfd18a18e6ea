package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/uptrace/bun"

	"gapura/internal/audit"
	"gapura/internal/id"
	"gapura/internal/money"
	"gapura/internal/registration"
)

// Audited is one snapshot of an event's rows, for the audit.
type Audited struct {
	tx      bun.Tx
	eventID int64
}

// Audit runs examine on one snapshot of the event.
func (s *Store) Audit(ctx context.Context, eventID int64, examine func(*Audited) error) error {
	return s.read(ctx, func(tx bun.Tx) error { return examine(&Audited{tx: tx, eventID: eventID}) })
}

// Ledger reads the event with its counters.
func (a *Audited) Ledger(ctx context.Context) (registration.Ledger, error) {
	state, err := readState(ctx, a.tx, a.eventID, "")
	if err != nil {
		return registration.Ledger{}, fmt.Errorf("event %d: %w", a.eventID, err)
	}
	return ledger(ctx, a.tx, a.eventID, state, nil)
}

// entryColumns are what an Entry is read from.
const entryColumns = "o.id, o.status, o.total, o.expires_at, o.hold_until, p.category, p.email, p.phone, p.answers, p.tier, p.price"

// Entries calls each with every participant, those of one order together.
func (a *Audited) Entries(ctx context.Context, each func(audit.Entry) error) error {
	rows, err := a.tx.QueryContext(ctx, "SELECT "+entryColumns+" FROM orders o JOIN participants p ON p.order_id = o.id "+
		"WHERE o.event_id = ? ORDER BY o.seq, p.position", a.eventID)
	if err != nil {
		return fmt.Errorf("entries: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		e, err := scanEntry(rows)
		if err != nil {
			return err
		}
		if err := each(e); err != nil {
			return err
		}
	}
	return rows.Err()
}

func scanEntry(rows *sql.Rows) (audit.Entry, error) {
	var order id.ID
	var status string
	var total int64
	var expires, hold sql.NullInt64
	var p participantRow
	err := rows.Scan(&order, &status, &total, &expires, &hold, &p.Category, &p.Email, &p.Phone, &p.Answers, &p.Tier, &p.Price)
	if err != nil {
		return audit.Entry{}, fmt.Errorf("entry: %w", err)
	}
	person, err := p.participant()
	return audit.Entry{
		Order: order, Status: registration.Status(status), Total: money.Rupiah(total), ExpiresAt: fromOptional(expires),
		Held: hold.Valid, Person: person,
	}, err
}

// Claims calls each with every claim of the event.
func (a *Audited) Claims(ctx context.Context, each func(registration.OwnedClaim)) error {
	rows, err := a.tx.QueryContext(ctx, "SELECT hash, order_id FROM claims WHERE event_id = ?", a.eventID)
	if err != nil {
		return fmt.Errorf("claims: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var hash []byte
	var order id.ID
	for rows.Next() {
		if err := rows.Scan(&hash, &order); err != nil {
			return fmt.Errorf("claim: %w", err)
		}
		each(registration.OwnedClaim{Claim: registration.Claim(hash), Order: order})
	}
	return rows.Err()
}

// Sequence returns how many orders there are and the highest number among them.
func (a *Audited) Sequence(ctx context.Context) (count, highest int64, err error) {
	err = a.tx.NewRaw("SELECT COUNT(*), COALESCE(MAX(seq), 0) FROM orders WHERE event_id = ?", a.eventID).Scan(ctx, &count, &highest)
	return count, highest, err
}

// SharedKeys returns how many idempotency keys have more than one order.
func (a *Audited) SharedKeys(ctx context.Context) (int, error) {
	return a.number(ctx, "SELECT COUNT(*) FROM (SELECT idem_key FROM orders WHERE event_id = ? GROUP BY idem_key HAVING COUNT(*) > 1) AS shared")
}

// Childless returns how many orders have no participant.
func (a *Audited) Childless(ctx context.Context) (int, error) {
	return a.number(ctx, "SELECT COUNT(*) FROM orders o WHERE o.event_id = ? AND NOT EXISTS (SELECT 1 FROM participants p WHERE p.order_id = o.id)")
}

func (a *Audited) number(ctx context.Context, query string) (int, error) {
	var n int
	err := a.tx.NewRaw(query, a.eventID).Scan(ctx, &n)
	return n, err
}

var (
	_ audit.Source  = (*Audited)(nil)
	_ audit.Effects = (*Audited)(nil)
)

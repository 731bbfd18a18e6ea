package store

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"gapura/internal/audit"
	"gapura/internal/id"
	"gapura/internal/jobs"
	"gapura/internal/money"
	"gapura/internal/payment"
	"gapura/internal/registration"
)

// Accounts calls each with what every order of the event has got.
func (a *Audited) Accounts(ctx context.Context, each func(audit.Account) error) error {
	const counts = "SELECT o.id, o.number, o.status, o.version, o.total, " +
		"(SELECT COUNT(*) FROM participants p WHERE p.order_id = o.id), " +
		"(SELECT COUNT(*) FROM tickets t WHERE t.order_id = o.id AND t.void = 0), " +
		"(SELECT COUNT(*) FROM tickets t WHERE t.order_id = o.id AND t.void = 0 AND NOT EXISTS " +
		"(SELECT 1 FROM participants p WHERE p.order_id = t.order_id AND p.position = t.position)), " +
		"(SELECT COUNT(*) FROM invoices i WHERE i.order_id = o.id), " +
		"(SELECT COUNT(*) FROM documents d WHERE d.order_id = o.id AND d.kind = 'tickets'), " +
		"(SELECT COUNT(*) FROM documents d WHERE d.order_id = o.id AND d.kind = 'invoice') " +
		"FROM orders o WHERE o.event_id = ? ORDER BY o.seq"
	rows, err := a.tx.QueryContext(ctx, counts, a.eventID)
	if err != nil {
		return fmt.Errorf("accounts: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var t audit.Account
		var status string
		var total int64
		var tickets, invoice int
		err := rows.Scan(&t.Order.ID, &t.Order.Number, &status, &t.Order.Version, &total, &t.People, &t.Tickets, &t.Stray, &t.Invoices,
			&tickets, &invoice)
		if err != nil {
			return fmt.Errorf("account: %w", err)
		}
		t.Order.Status, t.Order.Total = registration.Status(status), money.Rupiah(total)
		if tickets > 0 {
			t.Documents = append(t.Documents, "tickets")
		}
		if invoice > 0 {
			t.Documents = append(t.Documents, "invoice")
		}
		if err := each(t); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Cases calls each with the money of every order of the event that has a price.
func (a *Audited) Cases(ctx context.Context, each func(payment.Case) error) error {
	last := id.Nil
	for {
		var rows []orderRow
		err := a.tx.NewRaw("SELECT * FROM orders WHERE event_id = ? AND total > 0 AND id > ? ORDER BY id LIMIT ?", a.eventID, last, chunk).
			Scan(ctx, &rows)
		if err != nil {
			return fmt.Errorf("orders with a price: %w", err)
		}
		if len(rows) == 0 {
			return nil
		}
		cases, err := casesOf(ctx, a.tx, rows)
		if err != nil {
			return err
		}
		for i := range cases {
			if err := each(cases[i]); err != nil {
				return err
			}
		}
		last = rows[len(rows)-1].ID
	}
}

// casesOf reads the cases of many orders, without participants.
func casesOf(ctx context.Context, db bun.IDB, orders []orderRow) ([]payment.Case, error) {
	cases := make([]payment.Case, len(orders))
	at := make(map[id.ID]*payment.Case, len(orders))
	ids := make([]id.ID, len(orders))
	for i := range orders {
		cases[i].Order = orders[i].order()
		at[orders[i].ID], ids[i] = &cases[i], orders[i].ID
	}
	var attempts []attemptRow
	var refunds []refundRow
	var entries []entryRow
	for _, read := range []struct {
		table string
		rows  any
	}{{"payment_attempts", &attempts}, {"payment_refunds", &refunds}, {"payment_entries", &entries}} {
		err := db.NewRaw("SELECT * FROM ? WHERE order_id IN (?) ORDER BY order_id, n", bun.Ident(read.table), bun.List(rawIDs(ids))).
			Scan(ctx, read.rows)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", read.table, err)
		}
	}
	for i := range attempts {
		c := at[attempts[i].OrderID]
		c.Attempts = append(c.Attempts, attempts[i].attempt())
	}
	for i := range refunds {
		c := at[refunds[i].OrderID]
		c.Refunds = append(c.Refunds, refunds[i].refund())
	}
	for i := range entries {
		c := at[entries[i].OrderID]
		c.Entries = append(c.Entries, entries[i].entry())
	}
	return cases, nil
}

// Books returns every seller's years.
func (a *Audited) Books(ctx context.Context) ([]audit.Book, error) {
	rows, err := a.tx.QueryContext(ctx, "SELECT n.organiser, n.year, n.last, COUNT(i.number), COALESCE(MIN(i.number), 0), COALESCE(MAX(i.number), 0) "+
		"FROM invoice_numbers n LEFT JOIN invoices i ON i.organiser = n.organiser AND i.year = n.year GROUP BY n.organiser, n.year, n.last")
	if err != nil {
		return nil, fmt.Errorf("books: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var books []audit.Book
	for rows.Next() {
		var b audit.Book
		if err := rows.Scan(&b.Organiser, &b.Year, &b.Last, &b.Count, &b.First, &b.Latest); err != nil {
			return nil, fmt.Errorf("book: %w", err)
		}
		books = append(books, b)
	}
	return books, rows.Err()
}

// Orphans returns how many of the event's tickets, and how many invoices at all, belong to no order.
func (a *Audited) Orphans(ctx context.Context) (int, error) {
	tickets, err := a.number(ctx, "SELECT COUNT(*) FROM tickets t WHERE t.event_id = ? AND NOT EXISTS (SELECT 1 FROM orders o WHERE o.id = t.order_id)")
	if err != nil {
		return 0, err
	}
	var invoices int
	err = a.tx.NewRaw("SELECT COUNT(*) FROM invoices i WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.id = i.order_id)").Scan(ctx, &invoices)
	return tickets + invoices, err
}

// Waiting calls each with every job of the event and every one that belongs to none, dead letters included.
func (a *Audited) Waiting(ctx context.Context, each func(audit.Waiting)) error {
	rows, err := a.tx.QueryContext(ctx, "SELECT kind, order_id, arg, 0, 0 FROM outbox WHERE event_id IN (0, ?) UNION ALL "+
		"SELECT kind, order_id, arg, discarded_at IS NULL, discarded_at IS NOT NULL FROM dead_letters WHERE event_id IN (0, ?)", a.eventID, a.eventID)
	if err != nil {
		return fmt.Errorf("jobs: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var w audit.Waiting
		var kind string
		if err := rows.Scan(&kind, &w.Order, &w.Arg, &w.Dead, &w.Given); err != nil {
			return fmt.Errorf("job: %w", err)
		}
		w.Kind = jobs.Kind(kind)
		each(w)
	}
	return rows.Err()
}

// Mails calls each with the Message-ID of every message that has ended.
func (a *Audited) Mails(ctx context.Context, each func(messageID string)) error {
	rows, err := a.tx.QueryContext(ctx, "SELECT message_id FROM mail_deliveries")
	if err != nil {
		return fmt.Errorf("mails: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var messageID string
		if err := rows.Scan(&messageID); err != nil {
			return fmt.Errorf("mail: %w", err)
		}
		each(messageID)
	}
	return rows.Err()
}

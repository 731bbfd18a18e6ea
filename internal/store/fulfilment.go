package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"gapura/internal/event"
	"gapura/internal/fulfil"
	"gapura/internal/id"
	"gapura/internal/money"
	"gapura/internal/notify"
	"gapura/internal/registration"
)

var (
	_ fulfil.Store     = (*Store)(nil)
	_ fulfil.VoidStore = (*Store)(nil)
	_ notify.Ledger    = (*Store)(nil)
)

type (
	ticketRow struct {
		bun.BaseModel `bun:"table:tickets"`

		OrderID  id.ID `bun:"order_id,type:blob"`
		Position int   `bun:"position"`
		EventID  int64 `bun:"event_id"`
		Serial   int   `bun:"serial"`
		IssuedAt int64 `bun:"issued_at"`
		Void     bool  `bun:"void"`
	}

	invoiceRow struct {
		bun.BaseModel `bun:"table:invoices"`

		Organiser string `bun:"organiser"`
		Year      int    `bun:"year"`
		Number    int    `bun:"number"`
		OrderID   id.ID  `bun:"order_id,type:blob"`
		IssuedAt  int64  `bun:"issued_at"`
	}
)

func (r *ticketRow) ticket() fulfil.Ticket {
	return fulfil.Ticket{
		Order: r.OrderID, Position: r.Position, EventID: r.EventID, Serial: r.Serial, IssuedAt: fromMilliseconds(r.IssuedAt), Void: r.Void,
	}
}

// EventByID reads one event.
func (s *Store) EventByID(ctx context.Context, eventID int64) (*event.Event, error) {
	e, err := definition(ctx, s.reads, eventID)
	return e, s.dialect.classify(err)
}

func ticketsOf(ctx context.Context, db bun.IDB, orders []id.ID) (map[id.ID][]fulfil.Ticket, error) {
	var rows []ticketRow
	err := db.NewRaw("SELECT * FROM tickets WHERE order_id IN (?) ORDER BY order_id, position", bun.List(rawIDs(orders))).Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("read tickets: %w", err)
	}
	return ticketsByOrder(rows), nil
}

func ticketsByOrder(rows []ticketRow) map[id.ID][]fulfil.Ticket {
	all := map[id.ID][]fulfil.Ticket{}
	for i := range rows {
		all[rows[i].OrderID] = append(all[rows[i].OrderID], rows[i].ticket())
	}
	return all
}

// Tickets implements fulfil.Store.
func (s *Store) Tickets(ctx context.Context, order id.ID) ([]fulfil.Ticket, error) {
	all, err := ticketsOf(ctx, s.reads, []id.ID{order})
	return all[order], s.dialect.classify(err)
}

// VoidTickets implements fulfil.VoidStore: a reissued ticket makes the earlier ones void.
func (s *Store) VoidTickets(ctx context.Context, eventID int64) ([]fulfil.Voided, error) {
	var rows []ticketRow
	err := s.reads.NewRaw("SELECT * FROM tickets WHERE event_id = ? AND (void = 1 OR serial > 1)", eventID).Scan(ctx, &rows)
	if err != nil {
		return nil, s.dialect.classify(fmt.Errorf("read void tickets: %w", err))
	}
	void := make([]fulfil.Voided, len(rows))
	for i, r := range rows {
		void[i] = fulfil.Voided{Order: r.OrderID, Position: r.Position, Serial: r.Serial}
		if !r.Void {
			void[i].Serial--
		}
	}
	return void, nil
}

// NumberInvoices implements fulfil.Store. The rows of invoice_numbers are locked in one order, so that two processes wait
// for each other instead of deadlocking; a number is only used with its invoice, so none is ever missing.
func (s *Store) NumberInvoices(ctx context.Context, batch []fulfil.InvoiceNumber) ([]fulfil.InvoiceNumber, error) {
	var numbered []fulfil.InvoiceNumber
	err := s.rivalled(ctx, func(tx bun.Tx) error {
		numbered = slices.Clone(batch)
		last, err := s.lockNumbers(ctx, tx, batch)
		if err != nil {
			return err
		}
		known, err := invoicesOf(ctx, tx, batch)
		if err != nil {
			return err
		}
		var fresh []invoiceRow
		for i, in := range batch {
			if existing, ok := known[in.Order]; ok {
				numbered[i] = existing
				continue
			}
			book := book{in.Organiser, in.Year}
			last[book]++
			in.Number = last[book]
			numbered[i], known[in.Order] = in, in
			fresh = append(fresh, invoiceRow{
				Organiser: in.Organiser, Year: in.Year, Number: in.Number, OrderID: in.Order, IssuedAt: milliseconds(in.IssuedAt),
			})
		}
		return writeNumbers(ctx, tx, fresh, last)
	})
	return numbered, err
}

// rivalled is contended for work that writes the first row of its kind, unless another does at the same moment: then it is done
// again and finds that row.
func (s *Store) rivalled(ctx context.Context, work func(tx bun.Tx) error) error {
	var err error
	for range claimTries {
		if err = s.contended(ctx, work); !errors.Is(err, registration.ErrDuplicate) {
			return err
		}
	}
	return err
}

// book is a seller's year.
type book struct {
	organiser string
	year      int
}

func (s *Store) lockNumbers(ctx context.Context, tx bun.Tx, batch []fulfil.InvoiceNumber) (map[book]int, error) {
	var books []book
	last := map[book]int{}
	for _, in := range batch {
		b := book{in.Organiser, in.Year}
		if _, ok := last[b]; !ok {
			last[b] = 0
			books = append(books, b)
		}
	}
	slices.SortFunc(books, func(a, b book) int {
		if a.organiser != b.organiser {
			return slices.Compare([]byte(a.organiser), []byte(b.organiser))
		}
		return a.year - b.year
	})
	for _, b := range books {
		n, err := s.lockNumber(ctx, tx, b)
		if err != nil {
			return nil, err
		}
		last[b] = n
	}
	return last, nil
}

func (s *Store) lockNumber(ctx context.Context, tx bun.Tx, b book) (int, error) {
	var n int
	const query = "SELECT last FROM invoice_numbers WHERE organiser = ? AND year = ?"
	err := tx.NewRaw(query+s.dialect.forUpdate, b.organiser, b.year).Scan(ctx, &n)
	if errors.Is(err, sql.ErrNoRows) {
		_, err = tx.NewRaw("INSERT INTO invoice_numbers (organiser, year, last) VALUES (?, ?, 0)", b.organiser, b.year).Exec(ctx)
		n = 0
	}
	if err != nil {
		return 0, fmt.Errorf("lock the invoice numbers of %d: %w", b.year, err)
	}
	return n, nil
}

func invoicesOf(ctx context.Context, db bun.IDB, batch []fulfil.InvoiceNumber) (map[id.ID]fulfil.InvoiceNumber, error) {
	orders := make([]id.ID, len(batch))
	for i, in := range batch {
		orders[i] = in.Order
	}
	var rows []invoiceRow
	if err := db.NewRaw("SELECT * FROM invoices WHERE order_id IN (?)", bun.List(rawIDs(orders))).Scan(ctx, &rows); err != nil {
		return nil, fmt.Errorf("read invoices: %w", err)
	}
	known := map[id.ID]fulfil.InvoiceNumber{}
	for _, r := range rows {
		known[r.OrderID] = fulfil.InvoiceNumber{
			Order: r.OrderID, Organiser: r.Organiser, Year: r.Year, Number: r.Number, IssuedAt: fromMilliseconds(r.IssuedAt),
		}
	}
	return known, nil
}

func writeNumbers(ctx context.Context, tx bun.Tx, fresh []invoiceRow, last map[book]int) error {
	if len(fresh) == 0 {
		return nil
	}
	if _, err := tx.NewInsert().Model(&fresh).Exec(ctx); err != nil {
		return fmt.Errorf("number invoices: %w", err)
	}
	for b, n := range last {
		_, err := tx.NewRaw("UPDATE invoice_numbers SET last = ? WHERE organiser = ? AND year = ?", n, b.organiser, b.year).Exec(ctx)
		if err != nil {
			return fmt.Errorf("advance the invoice numbers of %d: %w", b.year, err)
		}
	}
	return nil
}

// Receipt implements fulfil.Store: the first attempt that brought the money is what the invoice names.
func (s *Store) Receipt(ctx context.Context, order id.ID) (fulfil.Receipt, error) {
	var rows []attemptRow
	err := s.reads.NewRaw("SELECT * FROM payment_attempts WHERE order_id = ? ORDER BY n", order).Scan(ctx, &rows)
	if err != nil {
		return fulfil.Receipt{}, s.dialect.classify(fmt.Errorf("read a receipt: %w", err))
	}
	var r fulfil.Receipt
	for i := range rows {
		a := &rows[i]
		r.Refunded += money.Rupiah(a.Refunded + a.ByHand)
		if r.PaidAt.IsZero() && a.PaidAt.Valid && a.Received > a.Reversed {
			r.Method, r.Reference, r.PaidAt = a.Channel, a.TransactionID, fromOptional(a.PaidAt)
		}
	}
	return r, nil
}

// documentKey names a document.
type documentKey struct {
	order id.ID
	kind  fulfil.DocumentKind
}

// KeepDocuments implements fulfil.Store. One that was rendered for an older state never replaces a newer one.
func (s *Store) KeepDocuments(ctx context.Context, kept []fulfil.Kept) error {
	sorted := slices.Clone(kept)
	slices.SortStableFunc(sorted, func(a, b fulfil.Kept) int { return bytes.Compare(a.Order[:], b.Order[:]) }) // one order of locks
	done := make([]int64, len(sorted))
	for i := range sorted {
		done[i] = sorted[i].Job.ID
	}
	return s.rivalled(ctx, func(tx bun.Tx) error {
		versions, err := s.lockDocuments(ctx, tx, sorted)
		if err != nil {
			return err
		}
		for i := range sorted {
			if err := keepDocument(ctx, tx, &sorted[i].Document, versions); err != nil {
				return fmt.Errorf("keep a document: %w", err)
			}
		}
		return finishJobs(ctx, tx, done, done)
	})
}

// lockDocuments returns the versions of those that exist.
func (s *Store) lockDocuments(ctx context.Context, tx bun.Tx, kept []fulfil.Kept) (map[documentKey]int, error) {
	orders := make([]id.ID, len(kept))
	for i := range kept {
		orders[i] = kept[i].Order
	}
	var rows []struct {
		OrderID id.ID
		Kind    string
		Version int
	}
	err := tx.NewRaw("SELECT order_id, kind, version FROM documents WHERE order_id IN (?) ORDER BY order_id"+s.dialect.forUpdate,
		bun.List(rawIDs(orders))).Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("look documents up: %w", err)
	}
	versions := make(map[documentKey]int, len(rows))
	for _, r := range rows {
		versions[documentKey{r.OrderID, fulfil.DocumentKind(r.Kind)}] = r.Version
	}
	return versions, nil
}

// keepDocument hands the content to the driver as it is: bun would write 20 kB as 40 kB of digits, and MariaDB take a millisecond
// to read them.
func keepDocument(ctx context.Context, tx bun.Tx, d *fulfil.Document, versions map[documentKey]int) error {
	key := documentKey{d.Order, d.Kind}
	version, exists := versions[key]
	if exists && version > d.Version {
		return nil
	}
	versions[key] = d.Version
	if exists {
		_, err := tx.Tx.ExecContext(ctx, "UPDATE documents SET version = ?, name = ?, content = ? WHERE order_id = ? AND kind = ?",
			d.Version, d.Name, d.Content, d.Order[:], string(d.Kind))
		return err
	}
	_, err := tx.Tx.ExecContext(ctx, "INSERT INTO documents (order_id, kind, version, name, content) VALUES (?, ?, ?, ?, ?)",
		d.Order[:], string(d.Kind), d.Version, d.Name, d.Content)
	return err
}

// Document implements fulfil.Store.
func (s *Store) Document(ctx context.Context, order id.ID, kind fulfil.DocumentKind) (fulfil.Document, error) {
	d := fulfil.Document{Order: order, Kind: kind}
	err := s.reads.NewRaw("SELECT version, name, content FROM documents WHERE order_id = ? AND kind = ?", order, string(kind)).
		Scan(ctx, &d.Version, &d.Name, &d.Content)
	if errors.Is(err, sql.ErrNoRows) {
		return d, fulfil.ErrNoDocument
	}
	return d, s.dialect.classify(err)
}

// Ended implements notify.Ledger.
func (s *Store) Ended(ctx context.Context, messageID string) (bool, error) {
	return s.exists(ctx, "SELECT 1 FROM mail_deliveries WHERE message_id = ?", messageID)
}

// Suppressed implements notify.Ledger.
func (s *Store) Suppressed(ctx context.Context, email string) (bool, error) {
	return s.exists(ctx, "SELECT 1 FROM mail_suppressions WHERE email = ?", email)
}

func (s *Store) exists(ctx context.Context, query string, arg any) (bool, error) {
	var one int
	err := s.reads.NewRaw(query, arg).Scan(ctx, &one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, s.dialect.classify(err)
}

// recordAgain is the pause between two tries to record a mail. A database that is started again is there in about a second.
const recordAgain = 100 * time.Millisecond

// Record implements notify.Ledger. It tries until ctx ends: the mail has left, and without its record it would leave again.
func (s *Store) Record(ctx context.Context, d notify.Delivery) error {
	for {
		err := s.insertOnce(ctx, "INSERT INTO mail_deliveries (message_id, kind, outcome, detail, ended_at) VALUES (?, ?, ?, ?, ?)",
			d.MessageID, string(d.Kind), string(d.Outcome), cut(d.Detail), milliseconds(d.At))
		if !errors.Is(err, registration.ErrUnavailable) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(recordAgain):
		}
	}
}

// Suppress implements notify.Ledger.
func (s *Store) Suppress(ctx context.Context, email, reason string) error {
	return s.insertOnce(ctx, "INSERT INTO mail_suppressions (email, reason, since) VALUES (?, ?, ?)",
		email, cut(reason), milliseconds(time.Now()))
}

func (s *Store) insertOnce(ctx context.Context, query string, args ...any) error {
	_, err := s.commits.NewRaw(query, args...).Exec(ctx)
	if err = s.dialect.classify(err); errors.Is(err, registration.ErrDuplicate) {
		return nil
	}
	return err
}

// cut keeps a server's reply within its column.
func cut(s string) string {
	const most = 200
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most])
	}
	return s
}

package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"gapura/internal/id"
	"gapura/internal/jobs"
	"gapura/internal/registration"
)

// maxStatement is how many bytes of rows one round trip carries. MariaDB takes packets of 16 MiB by default, and breaks the
// connection over a bigger one. An ordinary batch is far below.
const maxStatement = 4 << 20

// fixedSize is about what a row's numbers, ids and short names take in a statement.
const fixedSize = 300

// insertRows writes rows with as few statements as their size allows; escaping at most doubles the text.
func insertRows[T any](ctx context.Context, tx bun.Tx, table string, rows []T, size func(*T) int) error {
	for len(rows) > 0 {
		n, length := 0, 0
		for n < len(rows) && (n == 0 || length+size(&rows[n]) <= maxStatement) {
			length += size(&rows[n])
			n++
		}
		part := rows[:n]
		if _, err := tx.NewInsert().Model(&part).Exec(ctx); err != nil {
			return fmt.Errorf("insert %s: %w", table, err)
		}
		rows = rows[n:]
	}
	return nil
}

// Insert writes new orders with all that belongs to them, in one round trip: while a crowd is being answered, every wait for
// the database lasts until the processor is free again, and costs more than the rows.
func (e *eventTx) Insert(ctx context.Context, orders []registration.NewOrder) error {
	w := e.inserts(ctx, len(orders)*typicalOrder)
	defer func() { e.store.texts.Put(&w.text) }()
	w.into("orders (id, event_id, seq, number, status, version, total, contact_name, contact_email, contact_phone, locale, " +
		"idem_key, fingerprint, created_at, expires_at, hold_until)")
	for i := range orders {
		w.order(&orders[i])
	}
	w.into("participants (order_id, position, category, name, email, phone, birth_date, gender, answers, tier, price)")
	for i := range orders {
		for j := range orders[i].Order.Participants {
			w.participant(orders[i].Order.ID, &orders[i].Order.Participants[j])
		}
	}
	w.claims(e.eventID, ownedClaims(orders))
	w.into("outbox (queue, kind, event_id, order_id, version, created_at)")
	for i := range orders {
		o := orders[i].Order
		w.row().string(string(jobs.OrderPlaced.Queue())).string(string(jobs.OrderPlaced)).number(e.eventID).bytes(o.ID[:]).
			number(int64(o.Version)).number(milliseconds(o.CreatedAt)).end()
	}
	w.send()
	if w.err != nil {
		return fmt.Errorf("insert orders: %w", w.err)
	}
	return nil
}

// typicalOrder is about what an order of one participant takes with all its rows; more only grows the text.
const typicalOrder = 1200

func ownedClaims(orders []registration.NewOrder) []registration.OwnedClaim {
	claims := make([]registration.OwnedClaim, 0, 2*len(orders))
	for i := range orders {
		for _, own := range orders[i].Claims {
			for _, c := range own {
				claims = append(claims, registration.OwnedClaim{Claim: c, Order: orders[i].Order.ID})
			}
		}
	}
	return claims
}

// inserts writes INSERT statements as text. bun's models would do the same by reflection, for five times the processor's time,
// while everybody waits; the values are still written by bun's dialect. The first error stays, and ends the writing.
type inserts struct {
	together bool // whether several statements are one round trip; SQLite has none, and would read the first of several twice
	dialect  schema.Dialect
	exec     func(text string) error
	text     []byte
	head     string // the table and its columns
	rows     int    // of the statement that is being written
	err      error
}

func (e *eventTx) inserts(ctx context.Context, size int) inserts {
	text, ok := e.store.texts.Get().(*[]byte)
	if !ok || cap(*text) < size {
		room := make([]byte, 0, size)
		text = &room
	}
	return inserts{together: e.store.dialect.together, dialect: e.tx.Dialect(), text: (*text)[:0], exec: func(text string) error {
		_, err := e.tx.ExecContext(ctx, text)
		return err
	}}
}

// into begins the rows of another table.
func (w *inserts) into(tableAndColumns string) {
	if !w.together {
		w.send()
	}
	w.head, w.rows = tableAndColumns, 0
}

func (w *inserts) row() *inserts {
	switch {
	case w.rows > 0:
		w.text = append(w.text, ',')
	case len(w.text) > 0:
		w.text = append(w.text, ';')
		fallthrough
	default:
		w.text = append(w.text, "INSERT INTO "...)
		w.text = append(w.text, w.head...)
		w.text = append(w.text, " VALUES "...)
	}
	w.rows++
	w.text = append(w.text, '(')
	return w
}

func (w *inserts) end() {
	w.text[len(w.text)-1] = ')' // instead of the last comma
	if len(w.text) >= maxStatement {
		w.send()
	}
}

func (w *inserts) send() {
	if w.err == nil && len(w.text) > 0 {
		w.err = w.exec(string(w.text))
	}
	w.text, w.rows = w.text[:0], 0
}

func (w *inserts) string(s string) *inserts {
	w.text = append(w.dialect.AppendString(w.text, s), ',')
	return w
}

func (w *inserts) bytes(b []byte) *inserts {
	w.text = append(w.dialect.AppendBytes(w.text, b), ',')
	return w
}

func (w *inserts) number(n int64) *inserts {
	w.text = append(strconv.AppendInt(w.text, n, 10), ',')
	return w
}

// moment writes a time, or NULL for none.
func (w *inserts) moment(t time.Time) *inserts {
	if t.IsZero() {
		w.text = append(w.text, "NULL,"...)
		return w
	}
	return w.number(milliseconds(t))
}

func (w *inserts) order(n *registration.NewOrder) {
	o := n.Order
	var held time.Time
	if o.Status == registration.AwaitingPayment {
		held = o.ExpiresAt
	}
	w.row().bytes(o.ID[:]).number(o.EventID).number(o.Seq).string(o.Number).string(string(o.Status)).number(int64(o.Version)).
		number(int64(o.Total)).string(o.Contact.Name).string(o.Contact.Email).string(o.Contact.Phone).string(o.Locale).
		bytes(n.Key[:]).bytes(n.Fingerprint[:]).number(milliseconds(o.CreatedAt)).moment(o.ExpiresAt).moment(held).end()
}

// claims writes claims in key order, so that two nodes never wait for each other in a circle.
func (w *inserts) claims(eventID int64, claims []registration.OwnedClaim) {
	slices.SortFunc(claims, func(a, b registration.OwnedClaim) int { return bytes.Compare(a.Claim[:], b.Claim[:]) })
	w.into("claims (event_id, hash, order_id)")
	for i := range claims {
		w.row().number(eventID).bytes(claims[i].Claim[:]).bytes(claims[i].Order[:]).end()
	}
}

func (w *inserts) participant(order id.ID, p *registration.Participant) {
	answers := ""
	if len(p.Answers) > 0 {
		text, err := json.Marshal(p.Answers)
		if err != nil {
			w.err = fmt.Errorf("answers: %w", err)
		}
		answers = string(text)
	}
	w.row().bytes(order[:]).number(int64(p.Position)).string(p.Category).string(p.Name).string(p.Email).string(p.Phone).
		string(p.BirthDate).string(p.Gender).string(answers).number(int64(p.Tier)).number(int64(p.Price)).end()
}

package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"gapura/internal/fulfil"
	"gapura/internal/id"
	"gapura/internal/jobs"
	"gapura/internal/notify"
	"gapura/internal/registration"
)

// Broadcasts keeps mass mailings. The list of one is read from the participants themselves, in the order of their keys: it
// is never sorted, copied or held, and a page of it is one range of the primary key.
type Broadcasts struct {
	*Store
	// Unsubscribe is the address under which a participant stops mailings.
	Unsubscribe func(order id.ID, position int) string
}

var _ fulfil.BroadcastStore = (*Broadcasts)(nil)

// reachable is where a participant is written to: an event that is not unique by address need not ask for theirs.
const reachable = "CASE WHEN p.email = '' THEN o.contact_email ELSE p.email END"

// AddBroadcast implements fulfil.BroadcastStore.
func (b *Broadcasts) AddBroadcast(ctx context.Context, m fulfil.Broadcast) (int64, error) {
	var broadcast int64
	err := b.transact(ctx, func(tx bun.Tx) error {
		res, err := tx.NewRaw("INSERT INTO broadcasts (event_id, subject_id, subject_en, body_id, body_en, created_at) VALUES (?, ?, ?, ?, ?, ?)",
			m.EventID, m.Subject.ID, m.Subject.EN, m.Body.ID, m.Body.EN, milliseconds(m.CreatedAt)).Exec(ctx)
		if err != nil {
			return fmt.Errorf("keep a mailing: %w", err)
		}
		if broadcast, err = res.LastInsertId(); err != nil {
			return err
		}
		return addJobs(ctx, tx, m.CreatedAt, []jobs.New{{
			Kind: jobs.MailBroadcast, EventID: m.EventID, Arg: strconv.FormatInt(broadcast, 10),
		}})
	})
	return broadcast, err
}

// Broadcast implements fulfil.BroadcastStore.
func (b *Broadcasts) Broadcast(ctx context.Context, broadcast int64) (fulfil.Broadcast, error) {
	m := fulfil.Broadcast{ID: broadcast}
	var at int64
	err := b.reads.NewRaw("SELECT event_id, subject_id, subject_en, body_id, body_en, created_at FROM broadcasts WHERE id = ?", broadcast).
		Scan(ctx, &m.EventID, &m.Subject.ID, &m.Subject.EN, &m.Body.ID, &m.Body.EN, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return m, fulfil.ErrNoBroadcast
	}
	m.CreatedAt = fromMilliseconds(at)
	return m, b.dialect.classify(err)
}

// Recipients implements notify.Recipients: confirmed participants who did not opt out, by order and position. Somebody who is
// in several orders comes several times and is served once, by the message's name.
func (b *Broadcasts) Recipients(ctx context.Context, broadcast int64, after string, limit int) ([]notify.Recipient, error) {
	order, position, err := readCursor(after)
	if err != nil {
		return nil, err
	}
	var rows []struct {
		OrderID  id.ID
		Position int
		Name     string
		Email    string
		Locale   string
	}
	err = b.reads.NewRaw("SELECT p.order_id, p.position, p.name, "+reachable+" AS email, o.locale FROM participants p "+
		"JOIN orders o ON o.id = p.order_id JOIN broadcasts b ON b.event_id = o.event_id "+
		"WHERE b.id = ? AND o.status = ? AND p.order_id >= ? AND (p.order_id > ? OR p.position > ?) "+
		"AND NOT EXISTS (SELECT 1 FROM mail_optouts m WHERE m.event_id = o.event_id AND m.email = "+reachable+") "+
		"ORDER BY p.order_id, p.position LIMIT ?", broadcast, string(registration.Confirmed), order, order, position, limit).Scan(ctx, &rows)
	if err != nil {
		return nil, b.dialect.classify(fmt.Errorf("read recipients: %w", err))
	}
	page := make([]notify.Recipient, len(rows))
	for i, r := range rows {
		page[i] = notify.Recipient{
			Cursor: cursor(r.OrderID, r.Position), Name: r.Name, Email: r.Email, Locale: r.Locale, Unsubscribe: b.Unsubscribe(r.OrderID, r.Position),
		}
	}
	return page, nil
}

// cursor is a participant's place in the list, in the order of bytes too.
func cursor(order id.ID, position int) string {
	return hex.EncodeToString(order[:]) + fmt.Sprintf(".%05d", position)
}

func readCursor(text string) (order id.ID, position int, err error) {
	if text == "" {
		return id.Nil, 0, nil
	}
	head, tail, _ := strings.Cut(text, ".")
	raw, err := hex.DecodeString(head)
	if err == nil && len(raw) == len(order) {
		copy(order[:], raw)
		position, err = strconv.Atoi(tail)
		return order, position, err
	}
	return order, 0, fmt.Errorf("%q is no place in a list of recipients", text)
}

// Position implements notify.Plans.
func (b *Broadcasts) Position(ctx context.Context, broadcast int64) (string, error) {
	var position string
	err := b.reads.NewRaw("SELECT position FROM broadcasts WHERE id = ?", broadcast).Scan(ctx, &position)
	if errors.Is(err, sql.ErrNoRows) {
		return "", jobs.Permanent(fulfil.ErrNoBroadcast)
	}
	return position, b.dialect.classify(err)
}

// Add implements notify.Plans.
func (b *Broadcasts) Add(ctx context.Context, c notify.Chunk) error {
	return b.contended(ctx, func(tx bun.Tx) error {
		var position string
		var eventID int64
		var n int
		err := tx.NewRaw("SELECT position, event_id, chunks FROM broadcasts WHERE id = ?"+b.dialect.forUpdate, c.Campaign).
			Scan(ctx, &position, &eventID, &n)
		if err != nil {
			return fmt.Errorf("lock a mailing: %w", err)
		}
		if position != c.After {
			return errors.New("another process plans this mailing")
		}
		n++
		_, err = tx.NewRaw("INSERT INTO broadcast_chunks (broadcast_id, n, after_cursor, last_cursor, recipients) VALUES (?, ?, ?, ?, ?)",
			c.Campaign, n, c.After, c.Last, c.Count).Exec(ctx)
		if err != nil {
			return fmt.Errorf("keep a chunk: %w", err)
		}
		_, err = tx.NewRaw("UPDATE broadcasts SET position = ?, chunks = ?, planned = planned + ? WHERE id = ?", c.Last, n, c.Count, c.Campaign).
			Exec(ctx)
		if err != nil {
			return fmt.Errorf("advance a mailing: %w", err)
		}
		return addJobs(ctx, tx, time.Now(), []jobs.New{{Kind: jobs.MailBroadcast, EventID: eventID, Arg: fulfil.ChunkArg(c.Campaign, n)}})
	})
}

// Chunk implements fulfil.BroadcastStore.
func (b *Broadcasts) Chunk(ctx context.Context, broadcast int64, n int) (notify.Chunk, bool, error) {
	c := notify.Chunk{Campaign: broadcast}
	var done sql.NullInt64
	err := b.reads.NewRaw("SELECT after_cursor, last_cursor, recipients, done_at FROM broadcast_chunks WHERE broadcast_id = ? AND n = ?", broadcast, n).
		Scan(ctx, &c.After, &c.Last, &c.Count, &done)
	if errors.Is(err, sql.ErrNoRows) {
		return c, false, jobs.Permanent(errors.New("no such chunk of a mailing"))
	}
	return c, done.Valid, b.dialect.classify(err)
}

// FinishChunk implements fulfil.BroadcastStore.
func (b *Broadcasts) FinishChunk(ctx context.Context, now time.Time, broadcast int64, n int, t notify.Tally) error {
	return b.contended(ctx, func(tx bun.Tx) error {
		res, err := tx.NewRaw("UPDATE broadcast_chunks SET done_at = ? WHERE broadcast_id = ? AND n = ? AND done_at IS NULL",
			milliseconds(now), broadcast, n).Exec(ctx)
		if err != nil {
			return fmt.Errorf("end a chunk: %w", err)
		}
		if first, err := res.RowsAffected(); err != nil || first == 0 {
			return err
		}
		_, err = tx.NewRaw("UPDATE broadcasts SET sent = sent + ?, skipped = skipped + ?, bounced = bounced + ?, failed = failed + ? WHERE id = ?",
			t.Sent, t.Skipped, t.Bounced, t.Failed, broadcast).Exec(ctx)
		if err != nil {
			return fmt.Errorf("add a chunk up: %w", err)
		}
		return nil
	})
}

// OptOut ends mailings about the order's event to one of its participants.
func (s *Store) OptOut(ctx context.Context, now time.Time, order id.ID, position int) error {
	var eventID int64
	var email string
	err := s.reads.NewRaw("SELECT o.event_id, "+reachable+" FROM participants p JOIN orders o ON o.id = p.order_id WHERE p.order_id = ? AND p.position = ?",
		order, position).Scan(ctx, &eventID, &email)
	if errors.Is(err, sql.ErrNoRows) {
		return registration.ErrNoOrder
	}
	if err != nil {
		return s.dialect.classify(fmt.Errorf("find who opts out: %w", err))
	}
	return s.insertOnce(ctx, "INSERT INTO mail_optouts (event_id, email, since) VALUES (?, ?, ?)", eventID, email, milliseconds(now))
}

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"gapura/internal/event"
	"gapura/internal/registration"
)

// Apply writes an event under its lock: a new one, or a new revision of the one with the same slug. judge sees what is
// stored (nil for a new event) and what is sold, and refuses by returning an error. Nothing is written if it does.
func (s *Store) Apply(ctx context.Context, now time.Time, e *event.Event, judge func(old *event.Event, sold event.Sold) error) error {
	text, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode event %s: %w", e.Slug, err)
	}
	return s.transact(ctx, func(tx bun.Tx) error {
		var eventID int64
		err := tx.NewRaw("SELECT id FROM events WHERE slug = ?", e.Slug).Scan(ctx, &eventID)
		if errors.Is(err, sql.ErrNoRows) {
			return create(ctx, tx, now, e, string(text), judge)
		}
		if err != nil {
			return fmt.Errorf("look %s up: %w", e.Slug, err)
		}
		return s.revise(ctx, tx, now, eventID, e, string(text), judge)
	})
}

func create(ctx context.Context, tx bun.Tx, now time.Time, e *event.Event, text string, judge func(*event.Event, event.Sold) error) error {
	if err := judge(nil, event.Sold{}); err != nil {
		return err
	}
	at := milliseconds(now)
	if _, err := tx.NewRaw("INSERT INTO events (slug, code, definition, created_at, updated_at) VALUES (?, ?, ?, ?, ?)", e.Slug, e.Code, text, at, at).
		Exec(ctx); err != nil {
		return fmt.Errorf("insert event: %w", err)
	}
	var eventID int64
	if err := tx.NewRaw("SELECT id FROM events WHERE slug = ?", e.Slug).Scan(ctx, &eventID); err != nil {
		return fmt.Errorf("find the new event: %w", err)
	}
	_, err := tx.NewRaw("INSERT INTO event_state (event_id, revision, last_seq, touched) VALUES (?, 1, 0, 0)", eventID).Exec(ctx)
	if err != nil {
		return fmt.Errorf("insert event state: %w", err)
	}
	return setCounters(ctx, tx, eventID, e, nil)
}

func (s *Store) revise(
	ctx context.Context, tx bun.Tx, now time.Time, eventID int64, e *event.Event, text string,
	judge func(*event.Event, event.Sold) error,
) error {
	state, err := readState(ctx, tx, eventID, s.dialect.forUpdate)
	if err != nil {
		return fmt.Errorf("lock event %d: %w", eventID, err)
	}
	old, err := ledger(ctx, tx, eventID, state, nil)
	if errors.Is(err, registration.ErrUnreadable) {
		// The new definition replaces a damaged one: it is held to what is sold, as there is nothing else to compare it with.
		old, err = ledger(ctx, tx, eventID, state, &registration.Stored{Revision: state.Revision, Event: e})
	}
	if err != nil {
		return err
	}
	sold := event.Sold{}
	for counter, count := range old.Counters {
		sold[counter] = count.Taken
	}
	if err := judge(old.Event, sold); err != nil {
		return err
	}
	_, err = tx.NewRaw("UPDATE events SET definition = ?, updated_at = ? WHERE id = ?", text, milliseconds(now), eventID).Exec(ctx)
	if err != nil {
		return fmt.Errorf("update event: %w", err)
	}
	_, err = tx.NewRaw("UPDATE event_state SET revision = revision + 1, touched = touched + 1 WHERE event_id = ?", eventID).Exec(ctx)
	if err != nil {
		return fmt.Errorf("raise the revision: %w", err)
	}
	return setCounters(ctx, tx, eventID, e, old.Counters)
}

// setCounters makes the counters those of the event. One that the event lost is deleted only if nobody is counted by it.
func setCounters(ctx context.Context, tx bun.Tx, eventID int64, e *event.Event, old map[event.Counter]registration.Count) error {
	quotas := recounted(e, old)
	wanted := map[event.Counter]bool{}
	for _, c := range e.Counters() {
		wanted[c.Counter] = true
		count, existed := old[c.Counter]
		if c.Kind == event.CountQuota {
			count = quotas[c.Counter]
		}
		query := "INSERT INTO counters (size, taken, held, event_id, kind, ref) VALUES (?, ?, ?, ?, ?, ?)"
		if existed {
			query = "UPDATE counters SET size = ?, taken = ?, held = ? WHERE event_id = ? AND kind = ? AND ref = ?"
		}
		size := sql.NullInt64{Int64: int64(c.Limit), Valid: c.Limit != event.Unlimited}
		_, err := tx.NewRaw(query, size, count.Taken, count.Held, eventID, string(c.Kind), c.Ref).Exec(ctx)
		if err != nil {
			return fmt.Errorf("set counter %s: %w", c.Counter, err)
		}
	}
	for c := range old {
		if wanted[c] {
			continue
		}
		_, err := tx.NewRaw("DELETE FROM counters WHERE event_id = ? AND kind = ? AND ref = ? AND taken = 0",
			eventID, string(c.Kind), c.Ref).Exec(ctx)
		if err != nil {
			return fmt.Errorf("delete counter %s: %w", c, err)
		}
	}
	return nil
}

// recounted counts every quota anew from its categories: one may have come to cover a category that already sold.
func recounted(e *event.Event, counts map[event.Counter]registration.Count) map[event.Counter]registration.Count {
	all := make(map[event.Counter]registration.Count, len(e.Quotas))
	for i := range e.Quotas {
		q := &e.Quotas[i]
		all[event.QuotaCounter(q.ID)] = registration.Count{
			Taken: q.Sum(func(c event.Counter) int { return counts[c].Taken }),
			Held:  q.Sum(func(c event.Counter) int { return counts[c].Held }),
		}
	}
	return all
}

// Secret returns the sealed secret of that name, or stores seal's result first if there is none. Of two nodes that come at
// the same time one stores and both get the same.
func (s *Store) Secret(ctx context.Context, name string, seal func() ([]byte, error)) ([]byte, error) {
	for ctx.Err() == nil {
		var sealed []byte
		err := s.commits.NewRaw("SELECT sealed FROM secrets WHERE name = ?", name).Scan(ctx, &sealed)
		if err == nil {
			return sealed, nil
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return nil, s.dialect.classify(fmt.Errorf("read secret %s: %w", name, err))
		}
		fresh, err := seal()
		if err != nil {
			return nil, err
		}
		_, err = s.commits.NewRaw("INSERT INTO secrets (name, sealed) VALUES (?, ?)", name, fresh).Exec(ctx)
		err = s.dialect.classify(err)
		if err != nil && !errors.Is(err, registration.ErrDuplicate) && !errors.Is(err, registration.ErrContention) {
			return nil, fmt.Errorf("store secret %s: %w", name, err)
		}
	}
	return nil, fmt.Errorf("secret %s: %w", name, ctx.Err())
}

// Reseal replaces a sealed secret, after APP_KEY was rotated.
func (s *Store) Reseal(ctx context.Context, name string, sealed []byte) error {
	_, err := s.commits.NewRaw("UPDATE secrets SET sealed = ? WHERE name = ?", sealed, name).Exec(ctx)
	if err != nil {
		return s.dialect.classify(fmt.Errorf("reseal %s: %w", name, err))
	}
	return nil
}

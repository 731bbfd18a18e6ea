package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/uptrace/bun"

	"gapura/internal/jobs"
	"gapura/internal/registration"
	"gapura/internal/waitroom"
)

type confirmationRow struct {
	bun.BaseModel `bun:"table:waitroom_confirmations"`

	ID        []byte `bun:"id"`
	EventID   int64  `bun:"event_id"`
	Sealed    []byte `bun:"sealed"`
	Locale    string `bun:"locale"`
	Round     int    `bun:"round"`
	Sends     int    `bun:"sends"`
	SentAt    int64  `bun:"sent_at"`
	Attempts  int    `bun:"attempts"`
	ExpiresAt int64  `bun:"expires_at"`
}

func newConfirmationRow(c *waitroom.Confirmation) confirmationRow {
	return confirmationRow{
		ID: c.ID[:], EventID: c.EventID, Sealed: c.Sealed, Locale: c.Locale, Round: c.Round, Sends: c.Sends,
		SentAt: milliseconds(c.SentAt), Attempts: c.Attempts, ExpiresAt: milliseconds(c.Expires),
	}
}

func (r *confirmationRow) confirmation() waitroom.Confirmation {
	return waitroom.Confirmation{
		ID: waitroom.ConfirmationID(r.ID), EventID: r.EventID, Sealed: r.Sealed, Locale: r.Locale, Round: r.Round, Sends: r.Sends,
		SentAt: fromMilliseconds(r.SentAt), Attempts: r.Attempts, Expires: fromMilliseconds(r.ExpiresAt),
	}
}

// confirmationSize is what a row takes in a statement at most, in bytes: the longest address, sealed and in hexadecimal digits.
const confirmationSize = 900

// codes runs work in a transaction, again where another node wrote the same rows meanwhile.
func (w *Waitroom) codes(ctx context.Context, work func(tx bun.Tx) error) error {
	var err error
	for range claimTries {
		err = w.Store.contended(ctx, work)
		if !errors.Is(err, registration.ErrDuplicate) {
			return err
		}
	}
	return err
}

// lockConfirmations returns those of the ids that are kept, locked in the order of their key.
func (w *Waitroom) lockConfirmations(ctx context.Context, tx bun.Tx, ids []waitroom.ConfirmationID) (map[waitroom.ConfirmationID]waitroom.Confirmation, error) {
	sorted := slices.Clone(ids)
	slices.SortFunc(sorted, func(a, b waitroom.ConfirmationID) int { return bytes.Compare(a[:], b[:]) })
	kept := make(map[waitroom.ConfirmationID]waitroom.Confirmation, len(sorted))
	for part := range slices.Chunk(slices.Compact(sorted), chunk) {
		keys := make([][]byte, len(part))
		for i := range part {
			keys[i] = part[i][:]
		}
		var rows []confirmationRow
		err := tx.NewRaw("SELECT * FROM waitroom_confirmations WHERE id IN (?) ORDER BY id"+w.Store.dialect.forUpdate, bun.List(keys)).Scan(ctx, &rows)
		if err != nil {
			return nil, fmt.Errorf("look confirmations up: %w", err)
		}
		for i := range rows {
			c := rows[i].confirmation()
			kept[c.ID] = c
		}
	}
	return kept, nil
}

// AskConfirmations implements waitroom.Store.
func (w *Waitroom) AskConfirmations(ctx context.Context, asks []waitroom.Confirmation, now time.Time) (kept []waitroom.Confirmation, err error) {
	err = w.codes(ctx, func(tx bun.Tx) error {
		ids := make([]waitroom.ConfirmationID, len(asks))
		for i := range asks {
			ids[i] = asks[i].ID
		}
		known, err := w.lockConfirmations(ctx, tx, ids)
		if err != nil {
			return err
		}
		kept = slices.Clone(asks)
		var fresh []confirmationRow
		var mails []jobs.New
		for i := range kept {
			c, has := known[kept[i].ID]
			goes := !has
			if has {
				kept[i], goes = c.Again(now)
			} else {
				fresh = append(fresh, newConfirmationRow(&kept[i]))
			}
			if goes {
				mails = append(mails, confirmationMail(&kept[i]))
			}
			if has && goes {
				if err := keepConfirmation(ctx, tx, &kept[i]); err != nil {
					return err
				}
			}
		}
		slices.SortFunc(fresh, func(a, b confirmationRow) int { return bytes.Compare(a.ID, b.ID) })
		if err := insertRows(ctx, tx, "waitroom_confirmations", fresh, func(*confirmationRow) int { return confirmationSize }); err != nil {
			return err
		}
		return addJobs(ctx, tx, now, mails)
	})
	return kept, err
}

// confirmationMail is the job that sends a code. It has neither the code nor the address.
func confirmationMail(c *waitroom.Confirmation) jobs.New {
	return jobs.New{Kind: jobs.MailConfirm, EventID: c.EventID, Version: c.Sends, Arg: c.ID.String()}
}

func keepConfirmation(ctx context.Context, tx bun.Tx, c *waitroom.Confirmation) error {
	r := newConfirmationRow(c)
	_, err := tx.NewRaw("UPDATE waitroom_confirmations SET round = ?, sends = ?, sent_at = ?, attempts = ?, expires_at = ? WHERE id = ?",
		r.Round, r.Sends, r.SentAt, r.Attempts, r.ExpiresAt, r.ID).Exec(ctx)
	if err != nil {
		return fmt.Errorf("keep a confirmation: %w", err)
	}
	return nil
}

// TryCodes implements waitroom.Store.
func (w *Waitroom) TryCodes(ctx context.Context, eventID int64, tries []waitroom.Try, right func(c *waitroom.Confirmation, code string) bool, now time.Time) (outcomes []waitroom.TryOutcome, err error) {
	err = w.codes(ctx, func(tx bun.Tx) error {
		ids := make([]waitroom.ConfirmationID, len(tries))
		for i := range tries {
			ids[i] = tries[i].ID
		}
		known, err := w.lockConfirmations(ctx, tx, ids)
		if err != nil {
			return err
		}
		outcomes = make([]waitroom.TryOutcome, len(tries))
		changed := map[waitroom.ConfirmationID]bool{}
		for i, try := range tries {
			c, has := known[try.ID]
			if !has || c.EventID != eventID {
				outcomes[i].Err = waitroom.ErrCodeLapsed
				continue
			}
			next, err := c.Tried(right(&c, try.Code), now)
			outcomes[i] = waitroom.TryOutcome{Confirmation: next, Err: err}
			changed[try.ID] = changed[try.ID] || next.Attempts != c.Attempts
			known[try.ID] = next
		}
		for id, c := range known {
			if !changed[id] {
				continue
			}
			if err := keepConfirmation(ctx, tx, &c); err != nil {
				return err
			}
		}
		return nil
	})
	return outcomes, err
}

// ForgetConfirmations implements waitroom.Store.
func (w *Waitroom) ForgetConfirmations(ctx context.Context, eventID int64, before time.Time) error {
	for {
		var ids [][]byte
		err := w.Store.reads.NewRaw("SELECT id FROM waitroom_confirmations WHERE event_id = ? AND expires_at < ? ORDER BY expires_at LIMIT ?",
			eventID, milliseconds(before), chunk).Scan(ctx, &ids)
		if err != nil {
			return w.Store.dialect.classify(fmt.Errorf("look for lapsed confirmations: %w", err))
		}
		if len(ids) == 0 {
			return nil
		}
		err = w.codes(ctx, func(tx bun.Tx) error {
			_, err := tx.NewRaw("DELETE FROM waitroom_confirmations WHERE id IN (?) AND expires_at < ?", bun.List(ids), milliseconds(before)).Exec(ctx)
			return err
		})
		if err != nil {
			return fmt.Errorf("forget lapsed confirmations of event %s: %w", strconv.FormatInt(eventID, 10), err)
		}
	}
}

// Confirmation returns one for its mail; false if it has been forgotten.
func (w *Waitroom) Confirmation(ctx context.Context, id waitroom.ConfirmationID) (waitroom.Confirmation, bool, error) {
	var row confirmationRow
	err := w.Store.reads.NewRaw("SELECT * FROM waitroom_confirmations WHERE id = ?", id[:]).Scan(ctx, &row)
	if errors.Is(err, sql.ErrNoRows) {
		return waitroom.Confirmation{}, false, nil
	}
	if err != nil {
		return waitroom.Confirmation{}, false, w.Store.dialect.classify(fmt.Errorf("look a confirmation up: %w", err))
	}
	return row.confirmation(), true, nil
}

package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"gapura/internal/id"
	"gapura/internal/jobs"
)

// letterRow is a dead letter as it is read.
type letterRow struct {
	ID          int64
	Queue       string
	Kind        string
	EventID     int64
	OrderID     id.ID
	Version     int
	Arg         string
	CreatedAt   int64
	Sends       int
	Attempts    int
	DiedAt      int64
	DiscardedAt sql.NullInt64
	Reason      string
}

func (r *letterRow) record() jobs.Record {
	record := jobs.Record{
		Job: jobs.Job{
			ID: r.ID, Kind: jobs.Kind(r.Kind), EventID: r.EventID, Order: r.OrderID, Version: r.Version, Arg: r.Arg,
			Attempt: r.Attempts, Sends: r.Sends, Created: fromMilliseconds(r.CreatedAt),
		},
		State: jobs.Buried, Ended: fromMilliseconds(r.DiedAt), Reason: r.Reason,
	}
	if r.DiscardedAt.Valid {
		record.State, record.Ended = jobs.Discarded, fromMilliseconds(r.DiscardedAt.Int64)
	}
	return record
}

func (r *jobRow) record(now time.Time) jobs.Record {
	record := jobs.Record{Job: r.job(), State: jobs.Waiting}
	switch {
	case r.Leased:
		record.State, record.Next = jobs.Leased, fromMilliseconds(r.NextAt)
	case r.NextAt > milliseconds(now):
		record.State, record.Next = jobs.Delayed, fromMilliseconds(r.NextAt)
	}
	return record
}

// JobRecord returns a job that is not finished, or jobs.ErrNoJob.
func (s *Store) JobRecord(ctx context.Context, now time.Time, job int64) (jobs.Record, error) {
	var record jobs.Record
	err := s.read(ctx, func(tx bun.Tx) error {
		var err error
		if record, err = jobRecord(ctx, tx, now, job); err != nil {
			return err
		}
		record.Failures, err = failures(ctx, tx, job)
		return err
	})
	return record, err
}

func jobRecord(ctx context.Context, tx bun.Tx, now time.Time, job int64) (jobs.Record, error) {
	var row jobRow
	err := tx.NewRaw("SELECT "+jobColumns+" FROM outbox WHERE id = ?", job).Scan(ctx, &row)
	if err == nil {
		return row.record(now), nil
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return jobs.Record{}, fmt.Errorf("read job %d: %w", job, err)
	}
	var letter letterRow
	err = tx.NewRaw("SELECT * FROM dead_letters WHERE id = ?", job).Scan(ctx, &letter)
	if errors.Is(err, sql.ErrNoRows) {
		return jobs.Record{}, jobs.ErrNoJob
	}
	if err != nil {
		return jobs.Record{}, fmt.Errorf("read dead letter %d: %w", job, err)
	}
	return letter.record(), nil
}

func failures(ctx context.Context, tx bun.Tx, job int64) ([]jobs.Failure, error) {
	var rows []struct {
		Attempt int
		At      int64
		Text    string
	}
	err := tx.NewRaw("SELECT attempt, at, text FROM job_errors WHERE job_id = ? ORDER BY sends", job).Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("read the errors of job %d: %w", job, err)
	}
	all := make([]jobs.Failure, len(rows))
	for i, r := range rows {
		all[i] = jobs.Failure{At: fromMilliseconds(r.At), Attempt: r.Attempt, Text: r.Text}
	}
	return all, nil
}

// Letters returns at most limit dead letters, the oldest first, without their errors; of every kind if kind is empty.
func (s *Store) Letters(ctx context.Context, kind jobs.Kind, discarded bool, limit int) ([]jobs.Record, error) {
	query, args := "SELECT * FROM dead_letters WHERE discarded_at IS NULL", []any{}
	if discarded {
		query = "SELECT * FROM dead_letters WHERE discarded_at IS NOT NULL"
	}
	if kind != "" {
		query, args = query+" AND kind = ?", append(args, string(kind))
	}
	var rows []letterRow
	if err := s.reads.NewRaw(query+" ORDER BY id LIMIT ?", append(args, limit)...).Scan(ctx, &rows); err != nil {
		return nil, s.dialect.classify(fmt.Errorf("read dead letters: %w", err))
	}
	all := make([]jobs.Record, len(rows))
	for i := range rows {
		all[i] = rows[i].record()
	}
	return all, nil
}

// Backlog counts the jobs that are not finished, by kind. It reads the whole outbox.
func (s *Store) Backlog(ctx context.Context, now time.Time) ([]jobs.Backlog, error) {
	byKind := map[jobs.Kind]*jobs.Backlog{}
	of := func(queue, kind string) *jobs.Backlog {
		b := byKind[jobs.Kind(kind)]
		if b == nil {
			b = &jobs.Backlog{Queue: jobs.Queue(queue), Kind: jobs.Kind(kind)}
			byKind[b.Kind] = b
		}
		return b
	}
	err := s.read(ctx, func(tx bun.Tx) error {
		if err := liveBacklog(ctx, tx, now, of); err != nil {
			return err
		}
		return deadBacklog(ctx, tx, of)
	})
	if err != nil {
		return nil, err
	}
	all := make([]jobs.Backlog, 0, len(byKind))
	for _, b := range byKind {
		all = append(all, *b)
	}
	slices.SortFunc(all, func(a, b jobs.Backlog) int {
		return cmp.Or(slices.Index(jobs.Queues(), a.Queue)-slices.Index(jobs.Queues(), b.Queue), cmp.Compare(a.Kind, b.Kind))
	})
	return all, nil
}

func liveBacklog(ctx context.Context, tx bun.Tx, now time.Time, of func(queue, kind string) *jobs.Backlog) error {
	var rows []struct {
		Queue, Kind                  string
		Fresh, Leased, Later, Oldest int64 // DELAYED is a reserved word
	}
	err := tx.NewRaw("SELECT queue, kind, SUM(CASE WHEN leased = 0 AND next_at <= ? THEN 1 ELSE 0 END) AS fresh, "+
		"SUM(CASE WHEN leased = 1 THEN 1 ELSE 0 END) AS leased, SUM(CASE WHEN leased = 0 AND next_at > ? THEN 1 ELSE 0 END) AS later, "+
		"MIN(created_at) AS oldest FROM outbox GROUP BY queue, kind", milliseconds(now), milliseconds(now)).Scan(ctx, &rows)
	if err != nil {
		return fmt.Errorf("count jobs: %w", err)
	}
	for _, r := range rows {
		b := of(r.Queue, r.Kind)
		b.Waiting, b.Leased, b.Delayed = int(r.Fresh), int(r.Leased), int(r.Later)
		b.Oldest = fromMilliseconds(r.Oldest)
	}
	return nil
}

func deadBacklog(ctx context.Context, tx bun.Tx, of func(queue, kind string) *jobs.Backlog) error {
	var rows []struct {
		Queue, Kind     string
		Dead, Discarded int64
	}
	err := tx.NewRaw("SELECT queue, kind, SUM(CASE WHEN discarded_at IS NULL THEN 1 ELSE 0 END) AS dead, "+
		"SUM(CASE WHEN discarded_at IS NULL THEN 0 ELSE 1 END) AS discarded FROM dead_letters GROUP BY queue, kind").Scan(ctx, &rows)
	if err != nil {
		return fmt.Errorf("count dead letters: %w", err)
	}
	for _, r := range rows {
		b := of(r.Queue, r.Kind)
		b.Dead, b.Discarded = int(r.Dead), int(r.Discarded)
	}
	return nil
}

// RetryJob lets a job begin at once: a dead letter, discarded or not, with all its attempts before it again; a delayed one
// without its delay. Its errors so far are kept until it is done. It returns jobs.ErrNoJob if there is no such job, and
// false if it waits or is being done anyway.
func (s *Store) RetryJob(ctx context.Context, now time.Time, job int64) (changed bool, err error) {
	err = s.contended(ctx, func(tx bun.Tx) error {
		changed, err = hurry(ctx, tx, now, job)
		if err != nil || changed {
			return err
		}
		n, err := revive(ctx, tx, "id = ?", job)
		if changed = n > 0; err != nil || changed {
			return err
		}
		_, err = jobRecord(ctx, tx, now, job)
		return err
	})
	return changed, err
}

func hurry(ctx context.Context, tx bun.Tx, now time.Time, job int64) (bool, error) {
	res, err := tx.NewRaw("UPDATE outbox SET next_at = ? WHERE id = ? AND leased = 0 AND next_at > ?", milliseconds(now), job,
		milliseconds(now)).Exec(ctx)
	if err != nil {
		return false, fmt.Errorf("hurry job %d: %w", job, err)
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// revive moves dead letters back to the outbox.
func revive(ctx context.Context, tx bun.Tx, where string, arg any) (int, error) {
	_, err := tx.NewRaw("INSERT INTO outbox (id, queue, kind, event_id, order_id, version, arg, created_at, sends) "+
		"SELECT id, queue, kind, event_id, order_id, version, arg, created_at, sends FROM dead_letters WHERE "+where, arg).Exec(ctx)
	if err != nil {
		return 0, fmt.Errorf("retry dead letters: %w", err)
	}
	res, err := tx.NewRaw("DELETE FROM dead_letters WHERE "+where, arg).Exec(ctx)
	if err != nil {
		return 0, fmt.Errorf("retry dead letters: %w", err)
	}
	n, err := res.RowsAffected()
	return int(n), err
}

// RetryKind retries every dead letter of a kind that is not discarded, a chunk a transaction, and returns how many.
func (s *Store) RetryKind(ctx context.Context, kind jobs.Kind) (int, error) {
	retried := 0
	for {
		var ids []int64
		n := 0
		err := s.contended(ctx, func(tx bun.Tx) error {
			err := tx.NewRaw("SELECT id FROM dead_letters WHERE kind = ? AND discarded_at IS NULL ORDER BY id LIMIT ?"+s.dialect.forUpdate,
				string(kind), chunk).Scan(ctx, &ids)
			if err != nil || len(ids) == 0 {
				return err
			}
			n, err = revive(ctx, tx, "id IN (?)", bun.List(ids))
			return err
		})
		retried += n
		if err != nil || n == 0 {
			return retried, err
		}
	}
}

// EditLetter changes a dead letter and leaves it where it is. It returns jobs.ErrNoJob if there is none of that number: a
// job that still runs is not changed under its worker's hands.
func (s *Store) EditLetter(ctx context.Context, job int64, e jobs.Edit) error {
	return s.contended(ctx, func(tx bun.Tx) error {
		var letter letterRow
		err := tx.NewRaw("SELECT * FROM dead_letters WHERE id = ?"+s.dialect.forUpdate, job).Scan(ctx, &letter)
		if errors.Is(err, sql.ErrNoRows) {
			return jobs.ErrNoJob
		}
		if err != nil {
			return fmt.Errorf("read dead letter %d: %w", job, err)
		}
		if e.Arg != nil {
			letter.Arg = *e.Arg
		}
		if e.Version != nil {
			letter.Version = *e.Version
		}
		_, err = tx.NewRaw("UPDATE dead_letters SET arg = ?, version = ? WHERE id = ?", letter.Arg, letter.Version, job).Exec(ctx)
		if err != nil {
			return fmt.Errorf("edit dead letter %d: %w", job, err)
		}
		return nil
	})
}

// DiscardLetter gives a dead letter up and keeps it with the reason. It returns jobs.ErrNoJob if there is none of that
// number that is not discarded yet.
func (s *Store) DiscardLetter(ctx context.Context, now time.Time, job int64, reason string) error {
	return s.contended(ctx, func(tx bun.Tx) error {
		res, err := tx.NewRaw("UPDATE dead_letters SET discarded_at = ?, reason = ? WHERE id = ? AND discarded_at IS NULL",
			milliseconds(now), reason, job).Exec(ctx)
		if err != nil {
			return fmt.Errorf("discard dead letter %d: %w", job, err)
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return cmp.Or(err, jobs.ErrNoJob)
		}
		return nil
	})
}

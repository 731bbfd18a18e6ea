package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"gapura/internal/id"
	"gapura/internal/jobs"
	"gapura/internal/registration"
)

// plannedRow is a job as it is planned.
type plannedRow struct {
	bun.BaseModel `bun:"table:outbox"`

	Queue     string `bun:"queue"`
	Kind      string `bun:"kind"`
	EventID   int64  `bun:"event_id"`
	OrderID   id.ID  `bun:"order_id,type:blob"`
	Version   int    `bun:"version"`
	Arg       string `bun:"arg"`
	CreatedAt int64  `bun:"created_at"`
	NextAt    int64  `bun:"next_at"`
}

// addJobs plans jobs in the transaction of what they follow from, so that neither is there without the other.
func addJobs(ctx context.Context, tx bun.Tx, now time.Time, planned []jobs.New) error {
	for part := range slices.Chunk(planned, chunk) {
		rows := make([]plannedRow, len(part))
		for i, n := range part {
			rows[i] = plannedRow{
				Queue: string(n.Kind.Queue()), Kind: string(n.Kind), EventID: n.EventID, OrderID: n.Order, Version: n.Version,
				Arg: n.Arg, CreatedAt: milliseconds(now),
			}
			if n.NotBefore.After(now) {
				rows[i].NextAt = milliseconds(n.NotBefore)
			}
		}
		if _, err := tx.NewInsert().Model(&rows).Exec(ctx); err != nil {
			return fmt.Errorf("plan jobs: %w", err)
		}
	}
	return nil
}

// finishJobs ends jobs in the transaction of their effect. One that is already gone is no error: it was done twice. retried are
// those that may have errors to forget.
func finishJobs(ctx context.Context, tx bun.Tx, done, retried []int64) error {
	for part := range slices.Chunk(done, chunk) {
		if _, err := tx.NewRaw("DELETE FROM outbox WHERE id IN (?)", bun.List(part)).Exec(ctx); err != nil {
			return fmt.Errorf("finish jobs: %w", err)
		}
	}
	for part := range slices.Chunk(retried, chunk) {
		if _, err := tx.NewRaw("DELETE FROM job_errors WHERE job_id IN (?)", bun.List(part)).Exec(ctx); err != nil {
			return fmt.Errorf("forget a finished job's errors: %w", err)
		}
	}
	return nil
}

// jobRow is a job as it is read.
type jobRow struct {
	ID        int64
	Queue     string
	Kind      string
	EventID   int64
	OrderID   id.ID
	Version   int
	Arg       string
	CreatedAt int64
	NextAt    int64
	Sends     int
	Attempts  int
	Leased    bool
}

const jobColumns = "id, queue, kind, event_id, order_id, version, arg, created_at, next_at, sends, attempts, leased"

func (r *jobRow) job() jobs.Job {
	return jobs.Job{
		ID: r.ID, Kind: jobs.Kind(r.Kind), EventID: r.EventID, Order: r.OrderID, Version: r.Version, Arg: r.Arg,
		Attempt: r.Attempts + 1, Sends: r.Sends, Created: fromMilliseconds(r.CreatedAt),
	}
}

// sending is the job as it is sent, or was last sent, with its lease's end.
func (r *jobRow) sending(until time.Time) jobs.Sending {
	due := r.CreatedAt
	if r.NextAt > 0 {
		due = r.NextAt
	}
	return jobs.Sending{Job: r.job(), Due: fromMilliseconds(due), Until: until}
}

// skipLocked makes a SELECT lock its rows and pass over those that others have locked. SQLite has one writer, so there
// nobody else has.
func (d dialect) skipLocked() string {
	if d.forUpdate == "" {
		return ""
	}
	return d.forUpdate + " SKIP LOCKED"
}

// DueQueues implements jobs.Outbox. It locks nothing.
func (s *Store) DueQueues(ctx context.Context, now time.Time, queues []jobs.Queue) ([]jobs.Queue, error) {
	var query strings.Builder
	found := make([]any, len(queues))
	isDue := make([]bool, len(queues))
	args := make([]any, 0, 2*len(queues))
	for i, q := range queues {
		query.WriteString(", EXISTS (SELECT 1 FROM outbox WHERE queue = ? AND next_at <= ?)")
		args = append(args, string(q), milliseconds(now))
		found[i] = &isDue[i]
	}
	if len(queues) == 0 {
		return nil, nil
	}
	if err := s.reads.NewRaw("SELECT "+query.String()[2:], args...).Scan(ctx, found...); err != nil {
		return nil, s.dialect.classify(fmt.Errorf("look for due jobs: %w", err))
	}
	var due []jobs.Queue
	for i, q := range queues {
		if isDue[i] {
			due = append(due, q)
		}
	}
	return due, nil
}

// ClaimJobs implements jobs.Outbox. Delays and leases that have ended come before new jobs, so that a flood of new ones
// delays no retry.
func (s *Store) ClaimJobs(ctx context.Context, queue jobs.Queue, now, until time.Time, want jobs.Want) (jobs.Claims, error) {
	var claims jobs.Claims
	err := s.contended(ctx, func(tx bun.Tx) error {
		claims = jobs.Claims{}
		ended, err := s.lockJobs(ctx, tx, "next_at > 0 AND next_at <= ?", queue, milliseconds(now), want.Send+want.Check)
		if err != nil {
			return err
		}
		toSend, toCheck := splitEnded(ended, want.Send, want.Check)
		if room := want.Send - len(toSend); room > 0 && !want.Ended {
			fresh, err := s.lockJobs(ctx, tx, "next_at = ?", queue, 0, room)
			if err != nil {
				return err
			}
			toSend = append(toSend, fresh...)
		}
		if err := lease(ctx, tx, toSend, "next_at = ?, leased = 1, sends = sends + 1", until); err != nil {
			return err
		}
		if err := lease(ctx, tx, toCheck, "next_at = ?", until); err != nil {
			return err
		}
		claims = claimed(toSend, toCheck, until)
		return nil
	})
	return claims, err
}

func (s *Store) lockJobs(ctx context.Context, tx bun.Tx, where string, queue jobs.Queue, at int64, limit int) ([]jobRow, error) {
	var rows []jobRow
	err := tx.NewRaw("SELECT "+jobColumns+" FROM outbox WHERE queue = ? AND "+where+" ORDER BY next_at, id LIMIT ?"+
		s.dialect.skipLocked(), string(queue), at, limit).Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("claim jobs: %w", err)
	}
	return rows, nil
}

// splitEnded: a lease that has ended is looked after, a delay that has ended is sent.
func splitEnded(ended []jobRow, send, check int) (toSend, toCheck []jobRow) {
	for _, r := range ended {
		switch {
		case r.Leased && len(toCheck) < check:
			toCheck = append(toCheck, r)
		case !r.Leased && len(toSend) < send:
			toSend = append(toSend, r)
		}
	}
	return toSend, toCheck
}

func lease(ctx context.Context, tx bun.Tx, rows []jobRow, set string, until time.Time) error {
	for part := range slices.Chunk(rows, chunk) {
		ids := make([]int64, len(part))
		for i := range part {
			ids[i] = part[i].ID
		}
		_, err := tx.NewRaw("UPDATE outbox SET "+set+" WHERE id IN (?)", milliseconds(until), bun.List(ids)).Exec(ctx)
		if err != nil {
			return fmt.Errorf("lease jobs: %w", err)
		}
	}
	return nil
}

func claimed(toSend, toCheck []jobRow, until time.Time) jobs.Claims {
	c := jobs.Claims{Send: make([]jobs.Sending, len(toSend)), Check: make([]jobs.Sending, len(toCheck))}
	for i := range toSend {
		toSend[i].Sends++
		c.Send[i] = toSend[i].sending(until)
	}
	for i := range toCheck {
		c.Check[i] = toCheck[i].sending(until)
	}
	return c
}

// ResendJobs implements jobs.Outbox. A job that was finished, failed or claimed by another relay meanwhile is left out.
func (s *Store) ResendJobs(ctx context.Context, checked []jobs.Sending, until time.Time) ([]jobs.Sending, error) {
	return s.resend(ctx, checked, "next_at = ?, sends = sends + 1", until)
}

// PostponeJobs implements jobs.Outbox.
func (s *Store) PostponeJobs(ctx context.Context, checked []jobs.Sending, until time.Time) (int, error) {
	postponed, err := s.resend(ctx, checked, "next_at = ?, leased = 0, sends = sends + 1", until)
	return len(postponed), err
}

func (s *Store) resend(ctx context.Context, checked []jobs.Sending, set string, until time.Time) ([]jobs.Sending, error) {
	var again []jobs.Sending
	err := s.contended(ctx, func(tx bun.Tx) error {
		again = again[:0]
		for part := range slices.Chunk(checked, chunk) {
			rows, err := s.stillLeased(ctx, tx, part)
			if err != nil {
				return err
			}
			if err := lease(ctx, tx, rows, set, until); err != nil {
				return err
			}
			for i := range rows {
				rows[i].Sends++
				sending := rows[i].sending(until)
				sending.Due = dueOf(part, rows[i].ID)
				again = append(again, sending)
			}
		}
		return nil
	})
	return again, err
}

func dueOf(sendings []jobs.Sending, id int64) time.Time {
	i := slices.IndexFunc(sendings, func(s jobs.Sending) bool { return s.ID == id })
	return sendings[i].Due
}

// stillLeased locks those of checked jobs whose row is still as it was read.
func (s *Store) stillLeased(ctx context.Context, tx bun.Tx, checked []jobs.Sending) ([]jobRow, error) {
	want := make(map[int64]jobs.Sending, len(checked))
	ids := make([]int64, len(checked))
	for i, c := range checked {
		ids[i], want[c.ID] = c.ID, c
	}
	var rows []jobRow
	err := tx.NewRaw("SELECT "+jobColumns+" FROM outbox WHERE id IN (?) ORDER BY id"+s.dialect.forUpdate, bun.List(ids)).
		Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("check leases: %w", err)
	}
	return slices.DeleteFunc(rows, func(r jobRow) bool {
		c := want[r.ID]
		return !r.Leased || r.Sends != c.Sends || r.NextAt != milliseconds(c.Until)
	}), nil
}

// ClearLeases implements jobs.Outbox.
func (s *Store) ClearLeases(ctx context.Context, now time.Time, queues []jobs.Queue) (int, error) {
	cleared := 0
	for _, q := range queues {
		err := s.contended(ctx, func(tx bun.Tx) error {
			res, err := tx.NewRaw("UPDATE outbox SET next_at = ?, leased = 0 WHERE queue = ? AND next_at > 0 AND leased = 1",
				milliseconds(now), string(q)).Exec(ctx)
			if err != nil {
				return fmt.Errorf("clear leases: %w", err)
			}
			n, err := res.RowsAffected()
			cleared += int(n)
			return err
		})
		if err != nil {
			return cleared, err
		}
	}
	return cleared, nil
}

// CurrentSends returns how often each of the jobs that are not finished was sent.
func (s *Store) CurrentSends(ctx context.Context, ids []int64) (map[int64]int, error) {
	current := make(map[int64]int, len(ids))
	for part := range slices.Chunk(ids, chunk) {
		var rows []struct {
			ID    int64
			Sends int
		}
		if err := s.reads.NewRaw("SELECT id, sends FROM outbox WHERE id IN (?)", bun.List(part)).Scan(ctx, &rows); err != nil {
			return nil, s.dialect.classify(fmt.Errorf("look sendings up: %w", err))
		}
		for _, r := range rows {
			current[r.ID] = r.Sends
		}
	}
	return current, nil
}

// claimTries is how often a transaction of the queue is tried when it meets others: each holds its rows for milliseconds.
const claimTries = 4

// contended runs work in a transaction, again if another had the rows.
func (s *Store) contended(ctx context.Context, work func(tx bun.Tx) error) error {
	var err error
	for range claimTries {
		if err = s.transact(ctx, work); !errors.Is(err, registration.ErrContention) || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// Settle writes outcomes down in one transaction. Writing one down twice is the same as once.
func (s *Store) Settle(ctx context.Context, outcomes []jobs.Outcome) error {
	sorted := slices.Clone(outcomes)
	slices.SortStableFunc(sorted, func(a, b jobs.Outcome) int { return cmp.Compare(a.ID, b.ID) }) // one order of locks
	return s.contended(ctx, func(tx bun.Tx) error {
		if err := s.planNext(ctx, tx, sorted); err != nil {
			return err
		}
		if err := settleDone(ctx, tx, sorted); err != nil {
			return err
		}
		for i := range sorted {
			if err := settleOther(ctx, tx, &sorted[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// planNext plans what follows from jobs that are done, unless another sending of the same job has done so: then its row
// is gone.
func (s *Store) planNext(ctx context.Context, tx bun.Tx, outcomes []jobs.Outcome) error {
	planners := map[int64]*jobs.Outcome{}
	var ids []int64
	for i := range outcomes {
		if o := &outcomes[i]; o.End == jobs.Done && len(o.Then) > 0 {
			ids, planners[o.ID] = append(ids, o.ID), o
		}
	}
	for part := range slices.Chunk(ids, chunk) {
		var left []int64
		err := tx.NewRaw("SELECT id FROM outbox WHERE id IN (?) ORDER BY id"+s.dialect.forUpdate, bun.List(part)).Scan(ctx, &left)
		if err != nil {
			return fmt.Errorf("lock planning jobs: %w", err)
		}
		var planned []jobs.New
		var at time.Time
		for _, id := range left {
			planned, at = append(planned, planners[id].Then...), planners[id].At
		}
		if err := addJobs(ctx, tx, at, planned); err != nil {
			return err
		}
	}
	return nil
}

func settleDone(ctx context.Context, tx bun.Tx, outcomes []jobs.Outcome) error {
	var done, retried []int64
	for _, o := range outcomes {
		if o.End != jobs.Done {
			continue
		}
		done = append(done, o.ID)
		if o.Sends > 1 { // only then it may have failed before
			retried = append(retried, o.ID)
		}
	}
	return finishJobs(ctx, tx, done, retried)
}

// settleOther writes down what counts only for the sending it belongs to.
func settleOther(ctx context.Context, tx bun.Tx, o *jobs.Outcome) error {
	switch o.End {
	case jobs.Deferred:
		_, err := updateSending(ctx, tx, o, "next_at = ?, leased = 0", milliseconds(o.Next))
		return err
	case jobs.Failed:
		changed, err := updateSending(ctx, tx, o, "next_at = ?, leased = 0, attempts = attempts + 1", milliseconds(o.Next))
		if err != nil || !changed {
			return err
		}
		return addError(ctx, tx, o)
	case jobs.Dead:
		changed, err := updateSending(ctx, tx, o, "leased = 0, attempts = attempts + 1")
		if err != nil || !changed {
			return err
		}
		if err := addError(ctx, tx, o); err != nil {
			return err
		}
		return bury(ctx, tx, o)
	case jobs.Done: // whatever sending did it: see Settle
	}
	return nil
}

func updateSending(ctx context.Context, tx bun.Tx, o *jobs.Outcome, set string, args ...any) (changed bool, err error) {
	res, err := tx.NewRaw("UPDATE outbox SET "+set+" WHERE id = ? AND sends = ? AND leased = 1", append(args, o.ID, o.Sends)...).
		Exec(ctx)
	if err != nil {
		return false, fmt.Errorf("settle job %d: %w", o.ID, err)
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

func addError(ctx context.Context, tx bun.Tx, o *jobs.Outcome) error {
	_, err := tx.NewRaw("INSERT INTO job_errors (job_id, sends, attempt, at, text) VALUES (?, ?, ?, ?, ?)",
		o.ID, o.Sends, o.Attempt, milliseconds(o.At), o.Error).Exec(ctx)
	if err != nil {
		return fmt.Errorf("note the error of job %d: %w", o.ID, err)
	}
	if o.Attempt <= jobs.KeptFailures && o.Sends <= jobs.KeptFailures {
		return nil
	}
	_, err = tx.NewRaw("DELETE FROM job_errors WHERE job_id = ? AND sends <= (SELECT m FROM (SELECT sends AS m FROM job_errors "+
		"WHERE job_id = ? ORDER BY sends DESC LIMIT 1 OFFSET ?) AS kept)", o.ID, o.ID, jobs.KeptFailures).Exec(ctx)
	if err != nil {
		return fmt.Errorf("forget the oldest errors of job %d: %w", o.ID, err)
	}
	return nil
}

const letterColumns = "id, queue, kind, event_id, order_id, version, arg, created_at, sends, attempts"

// bury moves a job to the dead letters.
func bury(ctx context.Context, tx bun.Tx, o *jobs.Outcome) error {
	_, err := tx.NewRaw("INSERT INTO dead_letters ("+letterColumns+", died_at) SELECT "+letterColumns+", ? FROM outbox WHERE id = ?",
		milliseconds(o.At), o.ID).Exec(ctx)
	if err != nil {
		return fmt.Errorf("bury job %d: %w", o.ID, err)
	}
	if _, err := tx.NewRaw("DELETE FROM outbox WHERE id = ?", o.ID).Exec(ctx); err != nil {
		return fmt.Errorf("bury job %d: %w", o.ID, err)
	}
	return nil
}

var _ jobs.Outbox = (*Store)(nil)

// QueueLengths returns how many jobs of each queue are not finished.
func (s *Store) QueueLengths(ctx context.Context) (map[jobs.Queue]int, error) {
	var rows []struct {
		Queue string
		N     int
	}
	if err := s.reads.NewRaw("SELECT queue, COUNT(*) AS n FROM outbox GROUP BY queue").Scan(ctx, &rows); err != nil {
		return nil, s.dialect.classify(fmt.Errorf("count jobs: %w", err))
	}
	lengths := make(map[jobs.Queue]int, len(rows))
	for _, r := range rows {
		lengths[jobs.Queue(r.Queue)] = r.N
	}
	return lengths, nil
}

// PlanJobs plans jobs that follow from no other change.
func (s *Store) PlanJobs(ctx context.Context, now time.Time, planned []jobs.New) error {
	return s.transact(ctx, func(tx bun.Tx) error { return addJobs(ctx, tx, now, planned) })
}

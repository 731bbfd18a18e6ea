package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"gapura/internal/fulfil"
	"gapura/internal/id"
	"gapura/internal/jobs"
	"gapura/internal/money"
	"gapura/internal/registration"
)

// Follow implements fulfil.Store. It locks the orders and nothing else: an event's lock is for the opening.
func (s *Store) Follow(ctx context.Context, now time.Time, batch []jobs.Job, decide func(fulfil.Follow) fulfil.Plan) error {
	return s.contended(ctx, func(tx bun.Tx) error {
		follows, err := s.follows(ctx, tx, newestJobs(batch))
		if err != nil {
			return err
		}
		return planFor(now, batch, follows, false, decide).write(ctx, tx, now)
	})
}

// FollowNew implements fulfil.Store. The row of a job that is followed becomes the first job that follows from it, which spares
// a row's end and another's beginning.
func (s *Store) FollowNew(ctx context.Context, now time.Time, n int, decide func(fulfil.Follow) fulfil.Plan) ([]jobs.Job, error) {
	var batch []jobs.Job
	err := s.contended(ctx, func(tx bun.Tx) error {
		batch = nil
		rows, err := s.lockJobs(ctx, tx, "next_at = ?", jobs.Plan, 0, n)
		if err != nil || len(rows) == 0 {
			return err
		}
		batch = make([]jobs.Job, len(rows))
		for i := range rows {
			batch[i] = rows[i].job()
		}
		follows, err := s.follows(ctx, tx, newestJobs(batch))
		if err != nil {
			return err
		}
		return planFor(now, batch, follows, true, decide).write(ctx, tx, now)
	})
	if err != nil {
		return nil, err
	}
	return batch, nil
}

// newestJobs are those that plan: two jobs about one order, of two of its states, may come together.
func newestJobs(batch []jobs.Job) map[id.ID]jobs.Job {
	newest := make(map[id.ID]jobs.Job, len(batch))
	for _, j := range batch {
		if known, ok := newest[j.Order]; !ok || known.Version < j.Version {
			newest[j.Order] = j
		}
	}
	return newest
}

// followedRow is what planning needs of an order.
type followedRow struct {
	ID      id.ID
	EventID int64
	Status  string
	Version int
	Total   int64
}

// follows locks and reads the orders of those jobs that are still there: a second plan would make a second mail. Everything is
// asked for by the jobs' short numbers, because MariaDB spends more on reading a query's text than on finding the rows.
func (s *Store) follows(ctx context.Context, tx bun.Tx, newest map[id.ID]jobs.Job) ([]fulfil.Follow, error) {
	var follows []fulfil.Follow
	ids := make([]int64, 0, len(newest))
	for _, j := range newest {
		ids = append(ids, j.ID)
	}
	slices.Sort(ids)
	for part := range slices.Chunk(ids, chunk) {
		some, err := s.followsOf(ctx, tx, part, newest)
		if err != nil {
			return nil, err
		}
		follows = append(follows, some...)
	}
	return follows, nil
}

func (s *Store) followsOf(ctx context.Context, tx bun.Tx, ids []int64, newest map[id.ID]jobs.Job) ([]fulfil.Follow, error) {
	var rows []followedRow
	err := tx.NewRaw("SELECT o.id, o.event_id, o.status, o.version, o.total FROM outbox b JOIN orders o ON o.id = b.order_id "+
		"WHERE b.id IN (?) ORDER BY b.id"+s.dialect.forUpdate, bun.List(ids)).Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("lock orders: %w", err)
	}
	var at []struct {
		OrderID  id.ID
		Position int
	}
	err = tx.NewRaw("SELECT p.order_id, p.position FROM outbox b JOIN participants p ON p.order_id = b.order_id "+
		"WHERE b.id IN (?) ORDER BY b.id, p.position", bun.List(ids)).Scan(ctx, &at)
	if err != nil {
		return nil, fmt.Errorf("read positions: %w", err)
	}
	positions := make(map[id.ID][]int, len(rows))
	for _, p := range at {
		positions[p.OrderID] = append(positions[p.OrderID], p.Position)
	}
	var issued []ticketRow
	err = tx.NewRaw("SELECT t.* FROM outbox b JOIN tickets t ON t.order_id = b.order_id WHERE b.id IN (?) ORDER BY b.id, t.position",
		bun.List(ids)).Scan(ctx, &issued)
	if err != nil {
		return nil, fmt.Errorf("read tickets: %w", err)
	}
	tickets := ticketsByOrder(issued)
	follows := make([]fulfil.Follow, len(rows))
	for i, r := range rows {
		follows[i] = fulfil.Follow{Job: newest[r.ID], Tickets: tickets[r.ID], Order: fulfil.Order{
			ID: r.ID, EventID: r.EventID, Status: registration.Status(r.Status), Version: r.Version, Total: money.Rupiah(r.Total),
			Positions: positions[r.ID],
		}}
	}
	return follows, nil
}

// todo is what plans write.
type todo struct {
	jobs   []jobs.New
	turned map[turn][]int64 // jobs whose row becomes one that follows
	first  []int64          // jobs whose order gets its first ticket for every participant
	issue  []fulfil.Ticket  // the other tickets
	void   []id.ID          // orders whose tickets are void
	done   []int64          // jobs that end
}

// turn is what a job's row becomes.
type turn struct {
	kind jobs.Kind
	arg  string
}

// planFor plans what follows and ends the batch. With turning the row of a job becomes its first successor.
func planFor(now time.Time, batch []jobs.Job, follows []fulfil.Follow, turning bool, decide func(fulfil.Follow) fulfil.Plan) *todo {
	t := &todo{turned: map[turn][]int64{}}
	turned := map[int64]bool{}
	for _, f := range follows {
		plan := decide(f)
		next := plan.Jobs
		if turning && len(next) > 0 && canTurn(f.Job, next[0]) {
			to := turn{next[0].Kind, next[0].Arg}
			t.turned[to] = append(t.turned[to], f.Job.ID)
			turned[f.Job.ID] = true
			next = next[1:]
		}
		t.jobs = append(t.jobs, next...)
		if areFirst(now, f.Order, plan.Issue) {
			t.first = append(t.first, f.Job.ID)
		} else {
			t.issue = append(t.issue, plan.Issue...)
		}
		if plan.Void {
			t.void = append(t.void, f.Order.ID)
		}
	}
	for _, j := range batch {
		if !turned[j.ID] {
			t.done = append(t.done, j.ID)
		}
	}
	return t
}

func canTurn(j jobs.Job, next jobs.New) bool {
	return next.Order == j.Order && next.EventID == j.EventID && next.Version == j.Version && next.NotBefore.IsZero()
}

// areFirst reports whether issue is a first ticket for everybody in the order.
func areFirst(now time.Time, o fulfil.Order, issue []fulfil.Ticket) bool {
	if len(issue) == 0 || len(issue) != len(o.Positions) {
		return false
	}
	for i, t := range issue {
		if t.Order != o.ID || t.EventID != o.EventID || t.Position != o.Positions[i] || t.Serial != 1 || t.Void || !t.IssuedAt.Equal(now) {
			return false
		}
	}
	return true
}

// write writes tickets before jobs end or turn, because the first are found by the jobs' rows.
func (t *todo) write(ctx context.Context, tx bun.Tx, now time.Time) error {
	if err := issueFirst(ctx, tx, now, t.first); err != nil {
		return err
	}
	if err := issueTickets(ctx, tx, t.issue); err != nil {
		return err
	}
	if err := voidTickets(ctx, tx, t.void); err != nil {
		return err
	}
	for to, ids := range t.turned {
		if err := turnJobs(ctx, tx, now, to, ids); err != nil {
			return err
		}
	}
	if err := addJobs(ctx, tx, now, t.jobs); err != nil {
		return err
	}
	return finishJobs(ctx, tx, t.done, nil)
}

func issueFirst(ctx context.Context, tx bun.Tx, now time.Time, ids []int64) error {
	for part := range slices.Chunk(ids, chunk) {
		_, err := tx.NewRaw("INSERT INTO tickets (order_id, position, event_id, serial, issued_at, void) "+
			"SELECT p.order_id, p.position, b.event_id, 1, ?, 0 FROM outbox b JOIN participants p ON p.order_id = b.order_id WHERE b.id IN (?)",
			milliseconds(now), bun.List(part)).Exec(ctx)
		if err != nil {
			return fmt.Errorf("issue first tickets: %w", err)
		}
	}
	return nil
}

// turnJobs makes new jobs of rows whose job is done.
func turnJobs(ctx context.Context, tx bun.Tx, now time.Time, to turn, ids []int64) error {
	for part := range slices.Chunk(ids, chunk) {
		_, err := tx.NewRaw("UPDATE outbox SET queue = ?, kind = ?, arg = ?, created_at = ? WHERE id IN (?)",
			string(to.kind.Queue()), string(to.kind), to.arg, milliseconds(now), bun.List(part)).Exec(ctx)
		if err != nil {
			return fmt.Errorf("turn jobs: %w", err)
		}
	}
	return nil
}

// issueTickets writes tickets: those that are new in one statement, and reissues one by one, for they are rare.
func issueTickets(ctx context.Context, tx bun.Tx, issue []fulfil.Ticket) error {
	var fresh []ticketRow
	for _, t := range issue {
		if t.Serial == 1 {
			fresh = append(fresh, ticketRow{
				OrderID: t.Order, Position: t.Position, EventID: t.EventID, Serial: t.Serial, IssuedAt: milliseconds(t.IssuedAt),
			})
			continue
		}
		_, err := tx.NewRaw("UPDATE tickets SET serial = ?, issued_at = ?, void = 0 WHERE order_id = ? AND position = ?",
			t.Serial, milliseconds(t.IssuedAt), t.Order, t.Position).Exec(ctx)
		if err != nil {
			return fmt.Errorf("reissue a ticket: %w", err)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	if _, err := tx.NewInsert().Model(&fresh).Exec(ctx); err != nil {
		return fmt.Errorf("issue tickets: %w", err)
	}
	return nil
}

func voidTickets(ctx context.Context, tx bun.Tx, orders []id.ID) error {
	if len(orders) == 0 {
		return nil
	}
	if _, err := tx.NewRaw("UPDATE tickets SET void = 1 WHERE order_id IN (?)", bun.List(rawIDs(orders))).Exec(ctx); err != nil {
		return fmt.Errorf("void tickets: %w", err)
	}
	return nil
}

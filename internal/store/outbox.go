package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"gapura/internal/id"
	"gapura/internal/jobs"
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

// finishJob ends a job in the transaction of its effect. A job that is already gone is no error: it was done twice.
func finishJob(ctx context.Context, tx bun.Tx, jobID int64) error {
	return finishJobs(ctx, tx, []int64{jobID}, []int64{jobID})
}

// finishJobs ends jobs; retried are those of them that may have errors to forget.
func finishJobs(ctx context.Context, tx bun.Tx, done, retried []int64) error {
	for part := range slices.Chunk(done, chunk) {
		if _, err := tx.NewRaw("DELETE FROM outbox WHERE id IN (?)", bun.In(part)).Exec(ctx); err != nil {
			return fmt.Errorf("finish jobs: %w", err)
		}
	}
	for part := range slices.Chunk(retried, chunk) {
		if _, err := tx.NewRaw("DELETE FROM job_errors WHERE job_id IN (?)", bun.In(part)).Exec(ctx); err != nil {
			return fmt.Errorf("forget a finished job's errors: %w", err)
		}
	}
	return nil
}

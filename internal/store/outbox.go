package store

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"gapura/internal/jobs"
)

// jobRow is a row of the outbox as it is planned.
type jobRow struct {
	bun.BaseModel `bun:"table:outbox"`

	Queue     string `bun:"queue"`
	Kind      string `bun:"kind"`
	EventID   int64  `bun:"event_id"`
	OrderID   []byte `bun:"order_id"`
	Version   int    `bun:"version"`
	Arg       string `bun:"arg"`
	CreatedAt int64  `bun:"created_at"`
	NextAt    int64  `bun:"next_at"`
}

// addJobs plans jobs in the transaction of what they follow from.
func addJobs(ctx context.Context, tx bun.Tx, now time.Time, planned []jobs.New) error {
	if len(planned) == 0 {
		return nil
	}
	rows := make([]jobRow, len(planned))
	for i, p := range planned {
		rows[i] = jobRow{
			Queue: string(p.Kind.Queue()), Kind: string(p.Kind), EventID: p.EventID, OrderID: p.Order[:], Version: p.Version,
			Arg: p.Arg, CreatedAt: milliseconds(now),
		}
		if !p.NotBefore.IsZero() {
			rows[i].NextAt = milliseconds(p.NotBefore)
		}
	}
	if _, err := tx.NewInsert().Model(&rows).Exec(ctx); err != nil {
		return fmt.Errorf("plan %d jobs: %w", len(rows), err)
	}
	return nil
}

// finishJob deletes a job in the transaction of its effect.
func finishJob(ctx context.Context, tx bun.Tx, jobID int64) error {
	if _, err := tx.NewRaw("DELETE FROM outbox WHERE id = ?", jobID).Exec(ctx); err != nil {
		return fmt.Errorf("finish job %d: %w", jobID, err)
	}
	return nil
}

package worker

import (
	"context"
	"log/slog"
	"time"

	"gapura/internal/jobs"
)

// How long outcomes are kept for a database that is away. Then they are dropped: the jobs' leases have ended long before,
// and they are done again.
const (
	settleFor      = time.Minute
	settlePause    = 50 * time.Millisecond
	settlePauseMax = 2 * time.Second
)

// drain is how long the outcomes that are left may take when the program ends.
const drain = 5 * time.Second

// Work writes outcomes down until ctx ends, then those that are left. It is to outlive the calls of Do.
func (r *Runner) Work(ctx context.Context) {
	defer r.end()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(drain, r.end) })()
	r.outcomes.Work(ctx, drain)
}

// settle writes one batch down. It tries again as long as the database is away, and row by row when it is there and will
// not have them all: one that cannot be written must not keep the others.
func (r *Runner) settle(ctx context.Context, outcomes []jobs.Outcome) {
	defer r.release(len(outcomes))
	ctx, cancel := context.WithTimeout(ctx, settleFor)
	defer cancel()
	defer context.AfterFunc(r.ended, cancel)() //nolint:contextcheck // the runner's end is one more than ctx's
	pauseFor := settlePause
	for {
		err := r.cfg.Ledger.Settle(ctx, outcomes)
		if err == nil {
			r.tell(outcomes)
			return
		}
		if !r.away(ctx) {
			for i := range outcomes {
				r.settleOne(ctx, outcomes[i:i+1])
			}
			return
		}
		if !pause(ctx, pauseFor) {
			r.cfg.Log.Warn("outcomes of jobs could not be written down: the jobs will be done again", slog.Int("jobs", len(outcomes)), slog.Any("error", err))
			return
		}
		pauseFor = min(2*pauseFor, settlePauseMax)
	}
}

func (r *Runner) settleOne(ctx context.Context, one []jobs.Outcome) {
	if err := r.cfg.Ledger.Settle(ctx, one); err != nil {
		r.cfg.Log.Error("the outcome of a job could not be written down: it will be done again", slog.Any("job", one[0].ID),
			slog.Any("kind", one[0].Kind), slog.Any("error", err))
		return
	}
	r.tell(one)
}

// away reports whether the database does not even answer a question.
func (r *Runner) away(ctx context.Context) bool {
	_, err := r.cfg.Ledger.CurrentSends(ctx, []int64{0})
	return err != nil
}

func (r *Runner) tell(outcomes []jobs.Outcome) {
	if r.cfg.Settled == nil {
		return
	}
	for i := range outcomes {
		r.cfg.Settled(&outcomes[i])
	}
}

func (r *Runner) release(n int) {
	for range n {
		<-r.slots
	}
}

package worker

import (
	"context"
	"errors"
	"sync"
	"time"

	"gapura/internal/jobs"
)

// YieldEvery is how often Yield is to be called: the relay gives whoever does an older sending jobs.YieldWithin to stop.
const YieldEvery = time.Second

// errSuperseded ends an attempt whose job is to be sent again: the carrier had lost it.
var errSuperseded = errors.New("the job is sent again")

// underway are the attempts of exclusive kinds that run here.
type underway struct {
	mu  sync.Mutex
	all map[int64]*exclusive
}

type exclusive struct {
	sending jobs.Sending
	end     context.CancelCauseFunc
}

// begin notes an attempt, and returns its context and what forgets it.
func (u *underway) begin(ctx context.Context, s jobs.Sending) (attempt context.Context, over func()) {
	attempt, end := context.WithCancelCause(ctx)
	e := &exclusive{sending: s, end: end}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.all == nil {
		u.all = map[int64]*exclusive{}
	}
	if older := u.all[s.ID]; older != nil {
		older.end(errSuperseded)
	}
	u.all[s.ID] = e
	return attempt, func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		if u.all[s.ID] == e {
			delete(u.all, s.ID)
		}
		end(nil)
	}
}

// late are the jobs whose lease has ended: only those may have been sent again.
func (u *underway) late(now time.Time) []int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	var ids []int64
	for id, e := range u.all {
		if now.After(e.sending.Until) {
			ids = append(ids, id)
		}
	}
	return ids
}

func (u *underway) yield(ids []int64, current map[int64]int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, id := range ids {
		if e := u.all[id]; e != nil && current[id] != e.sending.Sends {
			e.end(errSuperseded)
		}
	}
}

// Yield ends the attempts of exclusive kinds whose job is to be sent again or is done.
func (r *Runner) Yield(ctx context.Context) {
	ids := r.underway.late(r.cfg.Clock.Now())
	if len(ids) == 0 {
		return
	}
	if current, err := r.cfg.Ledger.CurrentSends(ctx, ids); err == nil { // without a database nothing is sent again
		r.underway.yield(ids, current)
	}
}

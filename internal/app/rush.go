package app

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"gapura/internal/jobs"
	"gapura/internal/redisstore"
)

// busyFrom is how many registrations a second are a rush: a fortieth of what two processors can do, and many times what an
// ordinary day brings.
const busyFrom = 100

// stampedeFrom is how many registrations a second leave one process that does everything no room for what follows them: its
// one writer would spend every second millisecond on it. Payments go on; the rest waits in the outbox until the crowd has passed.
const stampedeFrom = 1000

// rush tells whether this process is busy with registrations. It is safe for concurrent use.
type rush struct {
	mu    sync.Mutex
	began time.Time // of the second that is being counted
	n     int
	last  int       // registrations in the second before
	late  time.Time // when a commit last found registrations that had waited for more than lateAfter
}

// lateAfter is how long registrations wait for a commit where the processor or the database has no room left. At 70% of the
// most they wait for 15 ms, and at the most for 60.
const lateAfter = 40 * time.Millisecond

// add counts the n registrations of a commit, the first of which had waited for so long.
func (r *rush) add(n int, waited time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	r.turn(now)
	r.n += n
	if waited > lateAfter {
		r.late = now
	}
}

// lateSince reports whether registrations had to wait after then.
func (r *rush) lateSince(then time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.late.After(then)
}

// demand is what the workers of other processes are told.
func (r *rush) demand() jobs.Demand {
	switch {
	case r.lateSince(time.Now().Add(-2 * rushEvery)):
		return jobs.Late
	case r.rate() >= stampedeFrom:
		return jobs.Busy
	}
	return jobs.Calm
}

// demandHere is what the jobs of the same process are told.
func (r *rush) demandHere() jobs.Demand {
	if r.rate() >= stampedeFrom {
		return jobs.Late
	}
	return jobs.Calm
}

func (r *rush) busy() bool { return r.rate() >= busyFrom }

// rate is about how many registrations came in the last second.
func (r *rush) rate() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn(time.Now())
	return max(r.n, r.last)
}

func (r *rush) turn(now time.Time) {
	passed := now.Sub(r.began)
	if passed < time.Second {
		return
	}
	if r.last = 0; passed < 2*time.Second {
		r.last = r.n
	}
	r.began, r.n = now, 0
}

// A node that serves says every rushEvery how much registrations need, and is believed for rushLasts.
const (
	rushEvery = 200 * time.Millisecond
	rushLasts = 500 * time.Millisecond
)

// announceRush tells the workers' processes when registrations keep the machine busy, or wait for the database. What follows a
// registration can wait; it would take from them the processor, if it runs here, and the database in any case. Workers that
// cannot be told do not wait.
func (n *node) announceRush() error {
	if n.program.cfg.QueueConnection != "redis" {
		return nil
	}
	client := n.guard.redis
	if client == nil {
		options, err := n.program.cfg.redisOptions()
		if err != nil {
			return err
		}
		client = newCacheClient(options)
		n.guard.rush = client
	}
	said := redisstore.NewRush(client)
	n.work.Every("rush", rushEvery, func(ctx context.Context) {
		if demand := n.telemetry.rush.demand(); demand != jobs.Calm {
			_ = said.Say(ctx, demand, rushLasts) // without Redis there are no jobs either
		}
	})
	return nil
}

// heedRush returns what the nodes that serve say.
func (n *node) heedRush(said *redisstore.Rush) func() jobs.Demand {
	var now atomic.Int64
	n.work.Every("rush", rushEvery, func(ctx context.Context) {
		demand, _ := said.Said(ctx) // calm without Redis: there are no jobs either
		now.Store(int64(demand))
	})
	return func() jobs.Demand { return jobs.Demand(now.Load()) }
}

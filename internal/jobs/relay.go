package jobs

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"gapura/internal/clock"
)

// Claims are rows of one queue that this relay alone may send for now.
type Claims struct {
	Send  []Sending // leased and counted as sent: to be sent
	Check []Sending // sent before, and their lease ended: to be sent again if the queue has lost them
}

// Want says which jobs are to be claimed.
type Want struct {
	Send  int  // at most so many that are to be sent
	Check int  // at most so many that were sent and whose lease has ended
	Ended bool // of those to be sent only such whose delay has ended: somebody else does the new ones
}

// Direct does at most n new jobs of a queue where it is called, all in one transaction, and returns them. It suits jobs that are
// nothing but a few rows: the way through the carrier costs each of them more than all that it does.
type Direct func(ctx context.Context, n int) ([]Job, error)

// Outbox is the truth about what is to be done.
type Outbox interface {
	// DueQueues returns those of queues that have a job whose moment has come.
	DueQueues(ctx context.Context, now time.Time, queues []Queue) ([]Queue, error)
	// ClaimJobs leases due jobs until then.
	ClaimJobs(ctx context.Context, queue Queue, now, until time.Time, want Want) (Claims, error)
	// ResendJobs counts another sending of checked jobs whose lease is still that one, and returns them as they are now.
	ResendJobs(ctx context.Context, checked []Sending, until time.Time) ([]Sending, error)
	// PostponeJobs counts a sending as ResendJobs does, and lets the jobs wait until then.
	PostponeJobs(ctx context.Context, checked []Sending, until time.Time) (int, error)
	// ClearLeases ends every lease at once and returns how many.
	ClearLeases(ctx context.Context, now time.Time, queues []Queue) (int, error)
}

// Carrier brings jobs to the workers. It may lose them.
type Carrier interface {
	// Look returns how many jobs wait in each queue, and whether the carrier had lost everything since somebody last looked.
	// Only one of several callers is told so.
	Look(ctx context.Context) (waiting map[Queue]int, wiped bool, err error)
	// Send hands jobs over. A second sending of the same ID and Sends changes nothing.
	Send(ctx context.Context, sendings []Sending) error
	// Alive tells which of the sendings still wait or are being done by a worker that shows signs of life, and removes what
	// is left of the others.
	Alive(ctx context.Context, sendings []Sending) ([]bool, error)
}

// RelayLimits bound a Relay.
type RelayLimits struct {
	Window int           // jobs of one queue that wait in the carrier; the rest waits in the outbox
	Heavy  int           // the same of tickets and mails, whose jobs take milliseconds each; 0: like any
	Busy   int           // the same of tickets and mails while registrations keep the machine busy
	Held   int           // jobs of any queue that can wait, while registrations wait
	Batch  int           // jobs in one claim
	Direct int           // jobs that are done in one pass instead of being sent
	Gentle int           // the same while registrations wait
	Lease  time.Duration // after which a sent job is looked for
	Idle   time.Duration // between two looks when there is nothing to do
}

// DefaultRelayLimits returns what serves a rush: a window of half a second's jobs a queue.
func DefaultRelayLimits() RelayLimits {
	return RelayLimits{
		Window: 2000, Heavy: 100, Busy: 5, Batch: 500, Direct: 500, Gentle: 250, Lease: 12 * time.Second, Idle: 100 * time.Millisecond,
	}
}

// Demand is how much registrations need the machine, and so how much of it is left for what follows them.
type Demand int

// The demands.
const (
	Calm Demand = iota
	Busy        // they keep it busy: what takes milliseconds of a processor goes on in small numbers
	Late        // they wait: next to nothing goes on that can wait
)

// Relay keeps a window of the outbox's jobs in the carrier. Several may run at once.
type Relay struct {
	Outbox  Outbox
	Carrier Carrier
	Queues  []Queue // those it serves, the most urgent first
	Clock   clock.Clock
	Log     *slog.Logger
	Meter   Meter
	Limits  RelayLimits
	Demand  func() Demand    // how much registrations need the machine now; nil: not at all
	Direct  map[Queue]Direct // queues whose new jobs are done here. Those that fail go through the carrier, each for itself
	Shared  bool             // workers of other processes may be doing what a carrier that was wiped had held

	trouble bool // was reported
}

// Meter receives what the queue does.
type Meter interface {
	JobsSent(queue Queue, n int, again bool)
	JobStarted(kind Kind, delay time.Duration)
	JobEnded(kind Kind, end End, took time.Duration)
	JobsWaiting(queue Queue, n int)
}

// maxPause is the longest wait between two tries when the carrier or the database is away.
const maxPause = 2 * time.Second

// Run relays until ctx ends.
func (r *Relay) Run(ctx context.Context) {
	pause := r.Limits.Idle
	for ctx.Err() == nil {
		more, err := r.Pass(ctx)
		r.report(ctx, err)
		switch {
		case err != nil:
			pause = min(2*pause, maxPause)
		case more:
			pause = r.Limits.Idle
			continue
		default:
			pause = r.Limits.Idle
		}
		wait(ctx, pause)
	}
}

// wait returns after d, or when ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// report says once that jobs wait, and once that they go on.
func (r *Relay) report(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil:
	case err != nil && !r.trouble:
		r.Log.Warn("jobs wait: the queue or the database cannot be reached; registrations go on, and so will the jobs", slog.Any("error", err))
		r.trouble = true
	case err == nil && r.trouble:
		r.Log.Info("jobs go on")
		r.trouble = false
	}
}

// Pass serves every queue once. It reports whether there is more to do at once.
func (r *Relay) Pass(ctx context.Context) (more bool, err error) {
	waiting, wiped, err := r.Carrier.Look(ctx)
	if err != nil {
		return false, err
	}
	if wiped {
		cleared, err := r.Outbox.ClearLeases(ctx, r.Clock.Now(), r.hasty())
		if err != nil {
			return false, err
		}
		if cleared > 0 {
			r.Log.Warn("the queue in Redis was empty: what it had lost is sent again", slog.Any("jobs", cleared))
		}
	}
	due, err := r.Outbox.DueQueues(ctx, r.Clock.Now(), r.Queues)
	if err != nil {
		return false, err
	}
	for _, queue := range due {
		demand := r.demandOn(queue)
		full, err := r.serve(ctx, queue, r.window(queue, demand)-waiting[queue], demand)
		if err != nil {
			return false, err
		}
		more = more || full && demand != Late // what trickles does so at the pace of Idle
	}
	return more, nil
}

// demandOn returns the demand that queue has to give way to.
func (r *Relay) demandOn(queue Queue) Demand {
	if r.Demand == nil || !queue.CanWait() {
		return Calm
	}
	return r.Demand()
}

func (r *Relay) window(queue Queue, demand Demand) int {
	heavy := r.Limits.Heavy > 0 && (queue == Ticket || queue == Mail)
	switch {
	case demand == Late:
		return r.Limits.Held
	case demand == Busy && heavy:
		return r.Limits.Busy
	case heavy:
		return min(r.Limits.Heavy, r.Limits.Window)
	}
	return r.Limits.Window
}

// hasty are the queues whose jobs are sent again at once after a wipe. A mail that a worker is just sending would arrive twice,
// so mails wait for the end of their lease.
func (r *Relay) hasty() []Queue {
	if !r.Shared {
		return r.Queues
	}
	return slices.DeleteFunc(slices.Clone(r.Queues), func(q Queue) bool { return q == Mail || q == Bulk })
}

// serve sends what queue has room for, and looks after what was sent before. It reports whether it found a full batch.
func (r *Relay) serve(ctx context.Context, queue Queue, room int, demand Demand) (full bool, err error) {
	now := r.Clock.Now()
	batch := max(min(room, r.Limits.Batch), 0)
	want := Want{Send: batch, Check: r.Limits.Batch}
	done, failed := 0, error(nil)
	if direct := r.Direct[queue]; direct != nil {
		done, failed = r.doDirectly(ctx, direct, demand)
		want.Ended = failed == nil
	}
	claims, err := r.Outbox.ClaimJobs(ctx, queue, now, now.Add(r.Limits.Lease), want)
	if err != nil {
		return false, err
	}
	if failed != nil { // with a database that is away the claim would have failed too
		r.Log.Warn("many jobs at once could not be done: they are done one by one", slog.Any("queue", queue), slog.Any("error", failed))
	}
	if err := r.send(ctx, queue, claims.Send, false); err != nil {
		return false, err
	}
	if err := r.check(ctx, queue, claims.Check); err != nil {
		return false, err
	}
	return (done > 0 && done == r.Limits.Direct) || (batch > 0 && len(claims.Send) == batch) || len(claims.Check) == r.Limits.Batch, nil
}

func (r *Relay) doDirectly(ctx context.Context, direct Direct, demand Demand) (int, error) {
	n := r.Limits.Direct
	if demand == Late {
		n = r.Limits.Gentle
	}
	if n == 0 {
		return 0, nil
	}
	begin := r.Clock.Now()
	done, err := direct(ctx, n)
	if err != nil {
		return 0, err
	}
	took := r.Clock.Now().Sub(begin)
	for i := range done {
		r.Meter.JobStarted(done[i].Kind, max(begin.Sub(done[i].Created), 0))
		r.Meter.JobEnded(done[i].Kind, Done, took)
	}
	return len(done), nil
}

func (r *Relay) send(ctx context.Context, queue Queue, sendings []Sending, again bool) error {
	if len(sendings) == 0 {
		return nil
	}
	r.Meter.JobsSent(queue, len(sendings), again)
	return r.Carrier.Send(ctx, sendings)
}

// check sends again what the carrier has lost.
func (r *Relay) check(ctx context.Context, queue Queue, sent []Sending) error {
	if len(sent) == 0 {
		return nil
	}
	alive, err := r.Carrier.Alive(ctx, sent)
	if err != nil {
		return err
	}
	var lost, exclusive []Sending
	for i := range sent {
		switch {
		case alive[i]:
		case sent[i].Kind.Policy().Exclusive:
			exclusive = append(exclusive, sent[i])
		default:
			lost = append(lost, sent[i])
		}
	}
	if len(exclusive) > 0 {
		if _, err := r.Outbox.PostponeJobs(ctx, exclusive, r.Clock.Now().Add(YieldWithin)); err != nil {
			return err
		}
	}
	if len(lost) == 0 {
		return nil
	}
	again, err := r.Outbox.ResendJobs(ctx, lost, r.Clock.Now().Add(r.Limits.Lease))
	if err != nil || len(again) == 0 { // none: they were finished between the lease's end and the look
		return err
	}
	r.Log.Info("jobs that the queue had lost are sent again", slog.Any("queue", queue), slog.Int("jobs", len(again)))
	return r.send(ctx, queue, again, true)
}

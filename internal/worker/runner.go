// Package worker runs jobs: it hands each to the handler of its kind, decides what an error means, and writes down how the
// attempts ended, many in one transaction.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"gapura/internal/clock"
	"gapura/internal/gather"
	"gapura/internal/jobs"
	"gapura/internal/registration"
)

// Handler does one job. Doing it twice must be harmless. A nil error ends the job; jobs.Permanent makes it a dead letter,
// jobs.After asks for a wait, jobs.Early for one that costs no attempt, as an unavailable database does; any other error lets
// it be tried again by its kind's policy. It must return soon after its context ends.
type Handler func(ctx context.Context, job jobs.Job) error

// Planning returns the handler of a job that only decides what is to be done next. What plan returns is planned in the
// transaction that ends the job: exactly once, however often plan ran.
func Planning(plan func(ctx context.Context, job jobs.Job) ([]jobs.New, error)) Handler {
	return func(ctx context.Context, job jobs.Job) error {
		planned, err := plan(ctx, job)
		if err == nil {
			*ctx.Value(followUps{}).(*[]jobs.New) = planned
		}
		return err
	}
}

// followUps is the context's key of what a Planning handler has planned.
type followUps struct{}

// Ledger is where outcomes are written down.
type Ledger interface {
	// Settle writes outcomes down, all or none; a second time changes nothing.
	Settle(ctx context.Context, outcomes []jobs.Outcome) error
	// CurrentSends returns how often each of the jobs that are not finished was sent.
	CurrentSends(ctx context.Context, ids []int64) (map[int64]int, error)
}

// Config is what a Runner needs.
type Config struct {
	Handlers map[jobs.Kind]Handler
	Ledger   Ledger
	Clock    clock.Clock
	Log      *slog.Logger
	Meter    jobs.Meter
	Random   func(n int64) int64                    // nil: jobs.Random
	Guards   func(p jobs.Provider) jobs.GuardLimits // nil: jobs.DefaultGuardLimits
	Policies func(k jobs.Kind) jobs.Policy          // nil: the kinds' own
	Settled  func(o *jobs.Outcome)                  // called when an outcome is written down; nil: not
}

// unsettled is how many jobs may be done or failed without that being written down yet. When the database is away no more
// than these are begun.
const unsettled = 4096

// settleBatch is how many outcomes go into one transaction: enough that a commit costs each next to nothing, few enough
// that its locks are short.
const settleBatch = 500

// Runner runs jobs. It is safe for concurrent use.
type Runner struct {
	cfg      Config
	slots    chan struct{}
	outcomes *gather.Gatherer[jobs.Outcome]
	kinds    map[jobs.Kind]*kind
	ended    context.Context // ends when outcomes can no longer be written down
	end      context.CancelFunc
	strange  sync.Map // kinds without a handler that were reported
	underway underway
}

// kind is what the runner knows about one.
type kind struct {
	handler Handler
	policy  jobs.Policy
	guard   *jobs.Guard   // nil: no provider
	running chan struct{} // nil: not limited
}

// New returns a runner. Its outcomes are written down while Work runs.
func New(cfg Config) *Runner {
	if cfg.Random == nil {
		cfg.Random = jobs.Random
	}
	if cfg.Guards == nil {
		cfg.Guards = jobs.DefaultGuardLimits
	}
	if cfg.Policies == nil {
		cfg.Policies = jobs.Kind.Policy
	}
	r := &Runner{cfg: cfg, slots: make(chan struct{}, unsettled), kinds: map[jobs.Kind]*kind{}}
	r.ended, r.end = context.WithCancel(context.Background())
	r.outcomes = gather.New(gather.Limits{Queue: unsettled, Batch: settleBatch}, r.settle)
	guards := map[jobs.Provider]*jobs.Guard{}
	for name, handler := range cfg.Handlers {
		k := &kind{handler: handler, policy: cfg.Policies(name)}
		if p := k.policy.Provider; p != jobs.NoProvider {
			if guards[p] == nil {
				guards[p] = jobs.NewGuard(cfg.Guards(p), cfg.Random)
			}
			k.guard = guards[p]
		}
		if k.policy.Concurrency > 0 {
			k.running = make(chan struct{}, k.policy.Concurrency)
		}
		r.kinds[name] = k
	}
	return r
}

// Do runs one sending and returns when its outcome is known, not when it is written down: a process that dies in between
// has the job done again.
func (r *Runner) Do(ctx context.Context, s jobs.Sending) {
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return // its lease ends, and it is sent again
	}
	outcome, ok := r.attempt(ctx, s)
	if ok && r.outcomes.Offer(outcome) == nil {
		return
	}
	<-r.slots
}

// attempt runs the sending if it counts and may run now; not ok means that there is nothing to write down.
func (r *Runner) attempt(ctx context.Context, s jobs.Sending) (outcome jobs.Outcome, ok bool) {
	if r.void(ctx, &s) {
		return outcome, false
	}
	k := r.kinds[s.Kind]
	if k == nil {
		return r.unknown(s), true
	}
	if k.running != nil {
		select {
		case k.running <- struct{}{}:
			defer func() { <-k.running }()
		case <-ctx.Done():
			return outcome, false
		}
	}
	if k.policy.Exclusive {
		var over func()
		ctx, over = r.underway.begin(ctx, s)
		defer over()
	}
	if k.guard == nil {
		return r.run(ctx, k, s, jobs.Pass{}), true
	}
	pass, may := k.guard.Enter(r.cfg.Clock.Now())
	if !may {
		return r.deferred(s, pass.Wait), true
	}
	if !pause(ctx, pass.Wait) {
		k.guard.Leave(r.cfg.Clock.Now(), pass, jobs.Unasked)
		return r.deferred(s, time.Second), true
	}
	return r.run(ctx, k, s, pass), true
}

// clockSkew is by how much the clocks of two machines may differ without a sending being taken for fresh that is not.
const clockSkew = 2 * time.Second

// void reports whether another sending has taken this one's place, or the job is done. As long as the lease lasts nobody
// has sent the job again, and no look is needed.
func (r *Runner) void(ctx context.Context, s *jobs.Sending) bool {
	if r.cfg.Clock.Now().Before(s.Until.Add(-clockSkew)) {
		return false
	}
	current, err := r.cfg.Ledger.CurrentSends(ctx, []int64{s.ID})
	return err != nil || current[s.ID] != s.Sends
}

// pause waits for d; false means that ctx ended before.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (r *Runner) deferred(s jobs.Sending, wait time.Duration) jobs.Outcome {
	now := r.cfg.Clock.Now()
	return jobs.Outcome{Sending: s, End: jobs.Deferred, At: now, Next: now.Add(wait)}
}

// unknownFor is how long a job waits whose kind nobody here knows: a newer program has planned it, and will do it.
const unknownFor = time.Minute

func (r *Runner) unknown(s jobs.Sending) jobs.Outcome {
	if _, told := r.strange.LoadOrStore(s.Kind, true); !told {
		r.cfg.Log.Error("no worker here knows a kind of job: it waits; are all programs of the same version?", slog.Any("kind", s.Kind))
	}
	return r.deferred(s, unknownFor)
}

func (r *Runner) run(ctx context.Context, k *kind, s jobs.Sending, pass jobs.Pass) jobs.Outcome {
	begin := r.cfg.Clock.Now()
	r.cfg.Meter.JobStarted(s.Kind, max(begin.Sub(s.Due), 0))
	var then []jobs.New
	within, cancel := context.WithTimeoutCause(context.WithValue(ctx, followUps{}, &then), k.policy.Timeout,
		fmt.Errorf("no end after %s", k.policy.Timeout))
	err := r.call(within, k.handler, s.Job)
	if err != nil && within.Err() != nil {
		err = errors.Join(context.Cause(within), err)
	}
	cancel()
	now := r.cfg.Clock.Now()
	stopped := err != nil && ctx.Err() != nil
	if k.guard != nil {
		k.guard.Leave(now, pass, verdict(err, stopped))
	}
	outcome := r.judge(k, s, now, err, stopped)
	outcome.Then = then
	r.cfg.Meter.JobEnded(s.Kind, outcome.End, now.Sub(begin))
	return outcome
}

// verdict says what a call's error tells about the provider. One with a delay of its own is the provider's word.
func verdict(err error, stopped bool) jobs.Verdict {
	switch {
	case stopped, jobs.IsEarly(err), ours(err):
		return jobs.Unasked
	case err == nil, jobs.IsPermanent(err), jobs.DelayOf(err) > 0:
		return jobs.Answered
	}
	return jobs.Silent
}

// ours reports whether what failed is this installation's: its database was away or busy, or too much waited for it.
func ours(err error) bool {
	return away(err) || errors.Is(err, registration.ErrContention)
}

// away reports an error that says nothing about the job: a database that cannot be reached, or a program that stops or is
// overloaded. However long that lasts, it uses up none of the job's attempts.
func away(err error) bool {
	for _, e := range []error{registration.ErrUnavailable, registration.ErrCommitUnknown, gather.ErrClosed, gather.ErrFull} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// awayFor is how long a job waits at least that met such an error: a database that is started again is there in about a
// second.
const awayFor = time.Second

// call turns a panic into an error that is tried again: the next version of the program may know better.
func (r *Runner) call(ctx context.Context, h Handler, job jobs.Job) (err error) {
	defer func() {
		if p := recover(); p != nil {
			r.cfg.Log.Error("a job panicked", slog.Any("job", job.ID), slog.Any("kind", job.Kind),
				slog.String("panic", fmt.Sprint(p)), slog.String("stack", string(debug.Stack())))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return h(ctx, job)
}

// judge says what an attempt's error means.
func (r *Runner) judge(k *kind, s jobs.Sending, now time.Time, err error, stopped bool) jobs.Outcome {
	o := jobs.Outcome{Sending: s, At: now, End: jobs.Done}
	switch {
	case err == nil:
		return o
	case jobs.IsPermanent(err):
	case jobs.IsEarly(err):
		return r.deferred(s, jobs.DelayOf(err))
	case stopped, away(err):
		return r.deferred(s, awayFor+time.Duration(r.cfg.Random(int64(awayFor)+1)))
	}
	o.Error = jobs.ErrorText(err)
	log := r.cfg.Log.With(slog.Any("job", s.ID), slog.Any("kind", s.Kind), slog.Int("attempt", s.Attempt), slog.String("error", o.Error))
	if jobs.IsPermanent(err) || s.Attempt >= k.policy.Limit {
		o.End = jobs.Dead
		log.Error("a job is a dead letter: see gapura queue show")
		return o
	}
	o.End = jobs.Failed
	o.Next = now.Add(k.policy.Backoff(s.Attempt, err, r.cfg.Random))
	log.Info("a job will be tried again", slog.Time("next", o.Next))
	return o
}

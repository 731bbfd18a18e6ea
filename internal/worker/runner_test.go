package worker_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"gapura/internal/clock"
	"gapura/internal/gather"
	"gapura/internal/jobs"
	"gapura/internal/lifecycle"
	"gapura/internal/registration"
	"gapura/internal/worker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// book is a Ledger that keeps what it is told.
type book struct {
	mu       sync.Mutex
	outcomes []jobs.Outcome
	batches  int
	current  map[int64]int
	refuse   func(outcomes []jobs.Outcome) error // of a write
	away     error                               // of everything
}

func (b *book) Settle(_ context.Context, outcomes []jobs.Outcome) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away != nil {
		return b.away
	}
	if b.refuse != nil {
		if err := b.refuse(outcomes); err != nil {
			return err
		}
	}
	b.outcomes = append(b.outcomes, outcomes...)
	b.batches++
	return nil
}

func (b *book) CurrentSends(context.Context, []int64) (map[int64]int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.current, b.away
}

func (b *book) set(job int64, sends int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.current = map[int64]int{job: sends}
}

func (b *book) setAway(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.away = err
}

type meter struct{}

func (meter) JobsSent(jobs.Queue, int, bool)              {}
func (meter) JobStarted(jobs.Kind, time.Duration)         {}
func (meter) JobEnded(jobs.Kind, jobs.End, time.Duration) {}
func (meter) JobsWaiting(jobs.Queue, int)                 {}

// bench is a runner in a bubble, with the highest of all random numbers.
type bench struct {
	*worker.Runner
	book *book
	log  *strings.Builder
}

// inBubble runs test with a runner whose only handler is of MailSend.
func inBubble(t *testing.T, h worker.Handler, test func(t *testing.T, b *bench), change ...func(*worker.Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{book: &book{}, log: &strings.Builder{}}
		cfg := worker.Config{
			Handlers: map[jobs.Kind]worker.Handler{jobs.MailSend: h}, Ledger: b.book, Clock: clock.System{}, Meter: meter{},
			Log: slog.New(slog.NewTextHandler(b.log, nil)), Random: func(n int64) int64 { return n - 1 },
			Policies: func(jobs.Kind) jobs.Policy {
				return jobs.Policy{Timeout: time.Minute, Limit: 4, Base: time.Second, Cap: 3 * time.Second}
			},
		}
		for _, c := range change {
			c(&cfg)
		}
		b.Runner = worker.New(cfg)
		group := lifecycle.NewGroup(context.Background())
		group.Go("outcomes", b.Work)
		test(t, b)
		if err := group.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// sending is the first sending of a job, fresh from the outbox.
func sending(change ...func(*jobs.Sending)) jobs.Sending {
	now := clock.System{}.Now()
	s := jobs.Sending{Job: jobs.Job{ID: 1, Kind: jobs.MailSend, Attempt: 1, Sends: 1, Created: now}, Due: now, Until: now.Add(10 * time.Second)}
	for _, c := range change {
		c(&s)
	}
	return s
}

// run has a sending done and returns its outcome.
func (b *bench) run(t *testing.T, s jobs.Sending) jobs.Outcome {
	t.Helper()
	b.Do(t.Context(), s)
	synctest.Wait()
	b.book.mu.Lock()
	defer b.book.mu.Unlock()
	if len(b.book.outcomes) == 0 {
		t.Fatal("no outcome")
	}
	return b.book.outcomes[len(b.book.outcomes)-1]
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	tests := map[string]struct {
		err     error
		attempt int
		end     jobs.End
		wait    time.Duration
		text    string
	}{
		"success":                         {nil, 1, jobs.Done, 0, ""},
		"the first failure":               {broken, 1, jobs.Failed, time.Second, "broken"},
		"the back-off doubles":            {broken, 2, jobs.Failed, 2 * time.Second, "broken"},
		"up to a ceiling":                 {broken, 3, jobs.Failed, 3 * time.Second, "broken"},
		"the last attempt":                {broken, 4, jobs.Dead, 0, "broken"},
		"a permanent error":               {fmt.Errorf("mail: %w", jobs.Permanent(broken)), 1, jobs.Dead, 0, "mail: broken"},
		"its source says when":            {jobs.After(broken, time.Hour), 1, jobs.Failed, time.Hour, "broken"},
		"sooner than the back-off":        {jobs.After(broken, time.Millisecond), 1, jobs.Failed, time.Second, "broken"},
		"no fault of the job: it is full": {fmt.Errorf("plan: %w", gather.ErrFull), 1, jobs.Deferred, 2 * time.Second, ""},
		"nor that the program stops":      {gather.ErrClosed, 4, jobs.Deferred, 2 * time.Second, ""},
		"nor that the database is away":   {fmt.Errorf("plan: %w", registration.ErrUnavailable), 4, jobs.Deferred, 2 * time.Second, ""},
		"nor that a commit is in doubt":   {fmt.Errorf("plan: %w", registration.ErrCommitUnknown), 4, jobs.Deferred, 2 * time.Second, ""},
		"nor that it comes too early":     {fmt.Errorf("start: %w", jobs.Early(broken, time.Minute)), 4, jobs.Deferred, time.Minute, ""},
		"a deadlock is an attempt":        {registration.ErrContention, 1, jobs.Failed, time.Second, "lock contention"},
		"personal data is not kept":       {errors.New("550 siti@example.id, 0812-3456-789: no"), 1, jobs.Failed, time.Second, "550 [address], [number]: no"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(context.Context, jobs.Job) error { return test.err }, func(t *testing.T, b *bench) {
				o := b.run(t, sending(func(s *jobs.Sending) { s.Attempt = test.attempt }))
				wait := time.Duration(0)
				if !o.Next.IsZero() {
					wait = o.Next.Sub(o.At)
				}
				if o.End != test.end || wait != test.wait || o.Error != test.text {
					t.Errorf("%s after %s: %q, want %s after %s: %q", o.End, wait, o.Error, test.end, test.wait, test.text)
				}
			})
		})
	}
}

func TestAPanicIsTriedAgain(t *testing.T) {
	t.Parallel()
	inBubble(t, func(context.Context, jobs.Job) error { panic("index 3") }, func(t *testing.T, b *bench) {
		if o := b.run(t, sending()); o.End != jobs.Failed || o.Error != "panic: index 3" {
			t.Errorf("%s: %q", o.End, o.Error)
		}
		if !strings.Contains(b.log.String(), "runner_test.go") {
			t.Errorf("the log has no stack:\n%s", b.log)
		}
	})
}

func TestATimeoutIsTriedAgain(t *testing.T) {
	t.Parallel()
	slow := func(ctx context.Context, _ jobs.Job) error { <-ctx.Done(); return ctx.Err() }
	inBubble(t, slow, func(t *testing.T, b *bench) {
		begin := time.Now()
		o := b.run(t, sending())
		if o.End != jobs.Failed || !strings.HasPrefix(o.Error, "no end after 1m0s") || time.Since(begin) != time.Minute {
			t.Errorf("%s after %s: %q", o.End, time.Since(begin), o.Error)
		}
	})
}

func TestAStopIsNoFailure(t *testing.T) {
	t.Parallel()
	inBubble(t, func(ctx context.Context, _ jobs.Job) error { <-ctx.Done(); return ctx.Err() }, func(t *testing.T, b *bench) {
		ctx, cut := context.WithTimeout(t.Context(), time.Second)
		defer cut()
		b.Do(ctx, sending())
		synctest.Wait()
		if len(b.book.outcomes) != 1 || b.book.outcomes[0].End != jobs.Deferred {
			t.Errorf("outcomes: %+v", b.book.outcomes)
		}
	})
}

func TestAnOldSendingIsVoid(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		current map[int64]int
		age     time.Duration
		runs    int
	}{
		"fresh: nobody is asked":        {map[int64]int{1: 9}, 7 * time.Second, 1},
		"late, and still the last":      {map[int64]int{1: 1}, time.Minute, 1},
		"late, and there is a newer":    {map[int64]int{1: 2}, time.Minute, 0},
		"late, and the job is finished": {nil, time.Minute, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runs := 0
			inBubble(t, func(context.Context, jobs.Job) error { runs++; return nil }, func(t *testing.T, b *bench) {
				b.book.current = test.current
				s := sending()
				time.Sleep(test.age)
				b.Do(t.Context(), s)
				synctest.Wait()
				if runs != test.runs || len(b.book.outcomes) != test.runs {
					t.Errorf("%d runs, %d outcomes, want %d", runs, len(b.book.outcomes), test.runs)
				}
			})
		})
	}
}

func TestAnUnknownKindWaits(t *testing.T) {
	t.Parallel()
	inBubble(t, nil, func(t *testing.T, b *bench) {
		for range 3 {
			o := b.run(t, sending(func(s *jobs.Sending) { s.Kind = "from.the.future" }))
			if o.End != jobs.Deferred || o.Next.Sub(o.At) != time.Minute {
				t.Errorf("%s until %s", o.End, o.Next)
			}
		}
		if n := strings.Count(b.log.String(), "from.the.future"); n != 1 {
			t.Errorf("it is reported %d times", n)
		}
	})
}

func TestAKindsConcurrency(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	now, most := 0, 0
	busy := func(context.Context, jobs.Job) error {
		mu.Lock()
		now++
		most = max(most, now)
		mu.Unlock()
		time.Sleep(time.Second)
		mu.Lock()
		now--
		mu.Unlock()
		return nil
	}
	inBubble(t, busy, func(t *testing.T, b *bench) {
		begin := time.Now()
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { b.Do(t.Context(), sending()) })
		}
		wg.Wait()
		if took := time.Since(begin); most != 2 || took != 5*time.Second {
			t.Errorf("%d at a time, %s in all", most, took)
		}
	}, func(c *worker.Config) {
		c.Policies = func(jobs.Kind) jobs.Policy { return jobs.Policy{Timeout: time.Minute, Limit: 2, Concurrency: 2} }
	})
}

// guarded gives the handler a provider that opens after two failures for ten seconds and takes five calls a second.
func guarded(c *worker.Config) {
	c.Policies = func(jobs.Kind) jobs.Policy {
		return jobs.Policy{Provider: jobs.SMTP, Timeout: time.Minute, Limit: 10, Base: time.Second, Cap: time.Second}
	}
	c.Guards = func(jobs.Provider) jobs.GuardLimits {
		return jobs.GuardLimits{Rate: 5, Burst: 2, Failures: 2, Open: 10 * time.Second, MaxOpen: 15 * time.Second}
	}
}

func TestAnOpenBreakerCostsNoAttempt(t *testing.T) {
	t.Parallel()
	calls, err := 0, errors.New("connection refused")
	inBubble(t, func(context.Context, jobs.Job) error { calls++; return err }, func(t *testing.T, b *bench) {
		b.run(t, sending())
		b.run(t, sending())
		o := b.run(t, sending())
		if calls != 2 || o.End != jobs.Deferred || o.Next.Sub(o.At) != 20*time.Second { // until it probes, and spread over as long again
			t.Errorf("open: %d calls, %s, wait %s", calls, o.End, o.Next.Sub(o.At))
		}
		time.Sleep(10 * time.Second)
		if o = b.run(t, sending()); calls != 3 || o.End != jobs.Failed {
			t.Errorf("the probe: %d calls, %s", calls, o.End)
		}
		if o = b.run(t, sending()); calls != 3 || o.Next.Sub(o.At) != 30*time.Second { // 15 s, at most, and spread
			t.Errorf("open again: %d calls, wait %s", calls, o.Next.Sub(o.At))
		}
		time.Sleep(15 * time.Second)
		err = nil
		b.run(t, sending())
		if o = b.run(t, sending()); calls != 5 || o.End != jobs.Done {
			t.Errorf("closed: %d calls, %s", calls, o.End)
		}
	}, guarded)
}

func TestOneProbeAtATime(t *testing.T) {
	t.Parallel()
	calls, fail := 0, true
	slow := func(context.Context, jobs.Job) error {
		calls++
		if fail {
			return errors.New("refused")
		}
		time.Sleep(time.Second)
		return nil
	}
	inBubble(t, slow, func(t *testing.T, b *bench) {
		b.run(t, sending())
		b.run(t, sending())
		time.Sleep(10 * time.Second)
		calls, fail = 0, false
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() { b.Do(t.Context(), sending()) })
		}
		wg.Wait()
		if calls != 1 {
			t.Errorf("%d probes at a time", calls)
		}
	}, guarded)
}

// Calls that were under way when the breaker opened fail together with those that opened it; each doubling the time would
// keep a provider closed for the longest time after one bad second.
func TestCallsUnderWayDoNotLengthenAnOutage(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	slow := func(context.Context, jobs.Job) error {
		calls.Add(1)
		time.Sleep(time.Second)
		return errors.New("refused")
	}
	inBubble(t, slow, func(t *testing.T, b *bench) {
		var wg sync.WaitGroup
		for range 8 { // two at once, five a second
			wg.Go(func() { b.Do(t.Context(), sending()) })
		}
		wg.Wait()
		time.Sleep(9 * time.Second) // ten after the first failures, which opened it
		before := calls.Load()
		if o := b.run(t, sending()); calls.Load() != before+1 || o.End != jobs.Failed {
			t.Errorf("%d calls before, %d after the probe, %s", before, calls.Load(), o.End)
		}
	}, guarded)
}

func TestAProbeThatAsksNobodyIsNone(t *testing.T) {
	t.Parallel()
	calls, err := 0, errors.New("refused")
	inBubble(t, func(context.Context, jobs.Job) error { calls++; return err }, func(t *testing.T, b *bench) {
		b.run(t, sending())
		b.run(t, sending())
		time.Sleep(10 * time.Second)
		err = registration.ErrUnavailable
		b.run(t, sending())
		err = nil
		b.run(t, sending())
		if o := b.run(t, sending()); calls != 5 || o.End != jobs.Done {
			t.Errorf("%d calls, %s", calls, o.End)
		}
	}, guarded)
}

func TestWhatIsNoSignOfTroubleKeepsTheBreakerClosed(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		jobs.Permanent(errors.New("no such mailbox")), jobs.After(errors.New("greylisted"), time.Minute),
		jobs.Early(errors.New("somebody else is at it"), time.Minute), registration.ErrUnavailable, registration.ErrContention,
	} {
		calls := 0
		inBubble(t, func(context.Context, jobs.Job) error { calls++; return err }, func(t *testing.T, b *bench) {
			for range 6 {
				b.run(t, sending())
			}
			if calls != 6 {
				t.Errorf("%v opened the breaker after %d calls", err, calls)
			}
		}, guarded)
	}
}

func TestTheTokenBucket(t *testing.T) {
	t.Parallel()
	calls := 0
	inBubble(t, func(context.Context, jobs.Job) error { calls++; return nil }, func(t *testing.T, b *bench) {
		begin := time.Now()
		for range 12 {
			b.run(t, sending())
		}
		if took := time.Since(begin); calls != 12 || took != 2*time.Second { // two at once, then five a second
			t.Errorf("%d calls in %s", calls, took)
		}
	}, guarded)
}

func exclusively(c *worker.Config) {
	c.Policies = func(jobs.Kind) jobs.Policy {
		return jobs.Policy{Timeout: time.Hour, Limit: 9, Base: time.Second, Cap: time.Second, Exclusive: true}
	}
}

// A carrier lost a job whose worker lives: when it is sent again the older sending is gone.
func TestANewerSendingTakesOver(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	atOnce, most, ended := 0, 0, 0
	long := func(ctx context.Context, _ jobs.Job) error {
		mu.Lock()
		atOnce++
		most = max(most, atOnce)
		mu.Unlock()
		defer func() { mu.Lock(); defer mu.Unlock(); atOnce-- }()
		select {
		case <-time.After(time.Minute):
			return nil
		case <-ctx.Done():
			mu.Lock()
			defer mu.Unlock()
			ended++
			return ctx.Err()
		}
	}
	inBubble(t, long, func(t *testing.T, b *bench) {
		watched, stop := context.WithCancel(t.Context())
		var all, watching sync.WaitGroup
		watching.Go(func() {
			for pauseIn(watched, worker.YieldEvery) {
				b.Yield(watched)
			}
		})
		b.book.set(1, 1)
		all.Go(func() { b.Do(t.Context(), sending()) })
		time.Sleep(15 * time.Second) // past its lease, which the relay goes on renewing
		mu.Lock()
		if ended != 0 {
			t.Error("an attempt that nobody replaced was ended")
		}
		mu.Unlock()
		b.book.set(1, 2)
		time.Sleep(jobs.YieldWithin) // as the relay waits
		all.Go(func() { b.Do(t.Context(), sending(func(s *jobs.Sending) { s.Sends = 2 })) })
		all.Wait()
		stop()
		watching.Wait()
		if most != 1 || ended != 1 {
			t.Errorf("%d at once, %d yielded", most, ended)
		}
		synctest.Wait()
		if last := b.book.outcomes[len(b.book.outcomes)-1]; last.End != jobs.Done || last.Sends != 2 {
			t.Errorf("at last sending %d is %s", last.Sends, last.End)
		}
	}, exclusively)
}

func pauseIn(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

func TestPlanningHandsOverWhatFollows(t *testing.T) {
	t.Parallel()
	var err error
	plan := worker.Planning(func(_ context.Context, job jobs.Job) ([]jobs.New, error) {
		return []jobs.New{{Kind: jobs.TicketRender, Order: job.Order}}, err
	})
	inBubble(t, plan, func(t *testing.T, b *bench) {
		if o := b.run(t, sending()); len(o.Then) != 1 || o.Then[0].Kind != jobs.TicketRender {
			t.Errorf("planned: %+v", o.Then)
		}
		err = errors.New("no database")
		if o := b.run(t, sending()); o.End != jobs.Failed || len(o.Then) != 0 {
			t.Errorf("planned in spite of an error: %+v", o)
		}
	})
}

func TestOutcomesWaitForTheDatabase(t *testing.T) {
	t.Parallel()
	inBubble(t, func(context.Context, jobs.Job) error { return nil }, func(t *testing.T, b *bench) {
		b.book.setAway(errors.New("connection refused"))
		for i := range 20 {
			b.Do(t.Context(), sending(func(s *jobs.Sending) { s.ID = int64(i) }))
		}
		time.Sleep(20 * time.Second)
		b.book.setAway(nil)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if len(b.book.outcomes) != 20 || b.book.batches > 3 {
			t.Errorf("%d outcomes in %d batches, want 20 in a few", len(b.book.outcomes), b.book.batches)
		}
	})
}

func TestNoMoreJobsBeginThanOutcomesCanWait(t *testing.T) {
	t.Parallel()
	var runs atomic.Int64
	inBubble(t, func(context.Context, jobs.Job) error { runs.Add(1); return nil }, func(t *testing.T, b *bench) {
		b.book.setAway(errors.New("connection refused"))
		ctx, cut := context.WithTimeout(t.Context(), 20*time.Second)
		defer cut()
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				for range 500 {
					b.Do(ctx, sending())
				}
			})
		}
		wg.Wait()
		if runs.Load() != 4096 {
			t.Errorf("%d jobs were begun without a database", runs.Load())
		}
		b.book.setAway(nil)
		time.Sleep(5 * time.Second)
	})
}

func TestAPoisonedOutcomeKeepsNobodyElse(t *testing.T) {
	t.Parallel()
	inBubble(t, func(context.Context, jobs.Job) error { return nil }, func(t *testing.T, b *bench) {
		b.book.refuse = func(outcomes []jobs.Outcome) error {
			for _, o := range outcomes {
				if o.ID == 3 {
					return errors.New("data too long")
				}
			}
			return nil
		}
		for i := range 10 {
			b.Do(t.Context(), sending(func(s *jobs.Sending) { s.ID = int64(i) }))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if len(b.book.outcomes) != 9 {
			t.Errorf("%d outcomes were written down, want 9", len(b.book.outcomes))
		}
	})
}

func TestTheLastOutcomesAreWrittenDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &book{}
		r := worker.New(worker.Config{
			Handlers: map[jobs.Kind]worker.Handler{jobs.Noop: func(context.Context, jobs.Job) error { return nil }},
			Ledger:   b, Clock: clock.System{}, Log: slog.New(slog.DiscardHandler), Meter: meter{},
		})
		for range 7 {
			r.Do(t.Context(), sending(func(s *jobs.Sending) { s.Kind = jobs.Noop }))
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		r.Work(ended)
		if len(b.outcomes) != 7 {
			t.Errorf("%d outcomes, want 7", len(b.outcomes))
		}
	})
}

func TestAStopDoesNotWaitForADatabaseThatIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &book{away: errors.New("connection refused")}
		r := worker.New(worker.Config{
			Handlers: map[jobs.Kind]worker.Handler{jobs.Noop: func(context.Context, jobs.Job) error { return nil }},
			Ledger:   b, Clock: clock.System{}, Log: slog.New(slog.DiscardHandler), Meter: meter{},
		})
		group := lifecycle.NewGroup(context.Background())
		group.Go("outcomes", r.Work)
		r.Do(t.Context(), sending(func(s *jobs.Sending) { s.Kind = jobs.Noop }))
		time.Sleep(3 * time.Second)
		begin := time.Now()
		if err := group.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took != 5*time.Second {
			t.Errorf("stopping took %s, want the 5 s that the database has to come back", took)
		}
	})
}

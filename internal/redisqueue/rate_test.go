package redisqueue_test

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"gapura/internal/clock"
	"gapura/internal/jobs"
	"gapura/internal/lifecycle"
	"gapura/internal/redisqueue"
	"gapura/internal/store"
	"gapura/internal/worker"
	"gapura/test/conformance"
	"gapura/test/peers"
)

// TestRate measures what docs/queue.md says about one worker process: no-op jobs a second out of a backlog, and the start
// delay while jobs come at a steady pace. The commits are durable.
func TestRate(t *testing.T) {
	peers.Long(t)
	t.Run("MariaDB and Redis", func(t *testing.T) {
		server := peers.Redis(t)
		options, err := redis.ParseURL(server.NewDatabase(t))
		if err != nil {
			t.Fatal(err)
		}
		options.PoolSize = 40
		client := redis.NewClient(options)
		defer func() { _ = client.Close() }()
		measure(t, conformance.MariaDB(t), load{overRedis(t, client), 40_000, 2000})
	})
	t.Run("SQLite, in process", func(t *testing.T) {
		d := &conformance.Database{Driver: store.DriverSQLite, DSN: t.TempDir() + "/gapura.db"} // on a real disk
		measure(t, d, load{inProcess(t), 40_000, 2000})
	})
}

// path is how jobs come from the relay to the workers: receive hands them to do until ctx ends.
type path struct {
	carrier jobs.Carrier
	receive func(ctx context.Context, do func(ctx context.Context, s jobs.Sending))
}

func overRedis(t *testing.T, client *redis.Client) path {
	return path{redisqueue.NewCarrier(client, clock.System{}), func(ctx context.Context, do func(context.Context, jobs.Sending)) {
		if err := redisqueue.Receive(ctx, client, redisqueue.DefaultLanes(), slog.New(slog.DiscardHandler), do); err != nil {
			t.Error(err)
		}
	}}
}

// inProcess has the workers that one process has which does everything.
func inProcess(t *testing.T) path {
	local := worker.NewLocal(slog.New(slog.DiscardHandler))
	return path{local, func(ctx context.Context, do func(context.Context, jobs.Sending)) {
		group := lifecycle.NewGroup(ctx)
		local.Receive(group, map[jobs.Queue]int{jobs.Bulk: 4}, do)
		<-ctx.Done()
		halt(t, group)
	}}
}

// delays is a meter of start delays.
type delays struct {
	meter
	mu  sync.Mutex
	all []time.Duration
}

func (d *delays) JobStarted(_ jobs.Kind, delay time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = append(d.all, delay)
}

// reset forgets what was measured.
func (d *delays) reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = nil
}

func (d *delays) quantile(q float64) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	slices.Sort(d.all)
	return d.all[int(q*float64(len(d.all)-1))]
}

// load is what one process gets to do, and with what.
type load struct {
	path    path
	backlog int // jobs that wait when it starts
	pace    int // jobs a second after that
}

func measure(t *testing.T, d *conformance.Database, l load) {
	t.Helper()
	s, backlog, pace := d.Store(t), l.backlog, l.pace
	m := &delays{}
	done := newCounter()
	plan(t, s, backlog)
	stop := work(t, s, l, m, done)
	defer stop()
	begin := time.Now()
	done.wait(t, backlog)
	took := time.Since(begin)
	t.Logf("out of a backlog of %d: %.0f no-op jobs a second", backlog, float64(backlog)/took.Seconds())

	m.reset()
	const seconds, beats = 5, 20
	tick := time.NewTicker(time.Second / beats)
	defer tick.Stop()
	for range seconds * beats {
		<-tick.C
		plan(t, s, pace/beats)
	}
	done.wait(t, backlog+seconds*pace)
	t.Logf("at %d a second: start delay p50 %s, p99 %s, most %s", pace, m.quantile(.5), m.quantile(.99), m.quantile(1))
	if p99 := m.quantile(.99); p99 > 5*time.Second {
		t.Errorf("start delay p99 is %s", p99)
	}
}

func plan(t *testing.T, s *store.Store, n int) {
	t.Helper()
	for ; n > 0; n -= 1000 {
		planned := make([]jobs.New, min(n, 1000))
		for i := range planned {
			planned[i] = jobs.New{Kind: jobs.Noop, EventID: 1, Version: 1}
		}
		if err := s.PlanJobs(t.Context(), time.Now(), planned); err != nil {
			t.Fatal(err)
		}
	}
}

// work runs one process with the product's own limits.
func work(t *testing.T, s *store.Store, l load, m jobs.Meter, done *counter) (stop func()) {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	relay := &jobs.Relay{
		Outbox: s, Carrier: l.path.carrier, Queues: jobs.Queues(), Clock: clock.System{}, Log: log, Meter: m, Limits: jobs.DefaultRelayLimits(),
	}
	runner := worker.New(worker.Config{
		Handlers: map[jobs.Kind]worker.Handler{jobs.Noop: func(context.Context, jobs.Job) error { return nil }},
		Ledger:   s, Clock: clock.System{}, Log: log, Meter: m, Settled: func(*jobs.Outcome) { done.add() },
	})
	outcomes, group := lifecycle.NewGroup(context.Background()), lifecycle.NewGroup(context.Background())
	outcomes.Go("outcomes", runner.Work)
	group.Go("relay", relay.Run)
	group.Go("workers", func(ctx context.Context) { l.path.receive(ctx, runner.Do) })
	return func() { halt(t, group); halt(t, outcomes) }
}

// counter tells when enough has happened.
type counter struct {
	mu      sync.Mutex
	n, want int
	reached chan struct{}
}

func newCounter() *counter { return &counter{want: -1} }

func (c *counter) add() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n++; c.n == c.want {
		close(c.reached)
	}
}

func (c *counter) wait(t *testing.T, n int) {
	t.Helper()
	c.mu.Lock()
	reached := make(chan struct{})
	c.want, c.reached = n, reached
	enough := c.n >= n
	c.mu.Unlock()
	if enough {
		return
	}
	select {
	case <-reached:
	case <-time.After(2 * patience):
		t.Fatalf("%d of %d jobs are done", c.n, n)
	}
}

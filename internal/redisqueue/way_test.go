package redisqueue_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"gapura/internal/clock"
	"gapura/internal/id"
	"gapura/internal/jobs"
	"gapura/internal/lifecycle"
	"gapura/internal/redisqueue"
	"gapura/internal/store"
	"gapura/internal/worker"
	"gapura/test/conformance"
	"gapura/test/peers"
)

func TestMain(m *testing.M) { peers.Main(m) }

// patience is how long a test waits for what is to happen within a second or two: the machine may be busy.
const patience = 2 * time.Minute

// lease is short, so that a test sees its end.
const lease = 1500 * time.Millisecond

// way is an outbox with everything behind it. Its effects are rows of a table of their own, one a job.
type way struct {
	t       *testing.T
	store   *store.Store
	options *redis.Options
	effects *sql.DB
	handle  worker.Handler // nil: only the effect
	carrier func(*redisqueue.Carrier) jobs.Carrier

	runs    atomic.Int64 // of handlers
	mu      sync.Mutex
	done    map[int64]bool
	dead    map[int64]bool
	planned int
	changed chan struct{} // closed and made anew with every outcome
}

func newWay(t *testing.T, d *conformance.Database, options *redis.Options) *way {
	t.Helper()
	w := &way{
		t: t, store: d.Store(t), options: options, effects: d.SQL(t), done: map[int64]bool{}, dead: map[int64]bool{},
		changed: make(chan struct{}), carrier: func(c *redisqueue.Carrier) jobs.Carrier { return c },
	}
	d.Exec(t, "CREATE TABLE effects (arg VARCHAR(40) NOT NULL PRIMARY KEY)")
	return w
}

// onEach runs test over a real Redis and over the one in the process.
func onEach(t *testing.T, test func(t *testing.T, w *way, wipe func())) {
	t.Helper()
	t.Run("Redis", func(t *testing.T) {
		t.Parallel()
		server := peers.PrivateRedis(t)
		options := &redis.Options{Addr: server.Address()}
		client := redis.NewClient(options)
		t.Cleanup(func() { _ = client.Close() })
		test(t, newWay(t, conformance.SQLite(t), options), func() {
			if err := client.FlushAll(context.Background()).Err(); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		group := lifecycle.NewGroup(context.Background())
		server, err := startEmbedded(group)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { halt(t, group); server.Close() })
		test(t, newWay(t, conformance.SQLite(t), server.Options()), server.Wipe)
	})
}

// plan plans n jobs that the handler makes an effect of.
func (w *way) plan(n int) {
	w.t.Helper()
	planned := make([]jobs.New, n)
	for i := range planned {
		kind := []jobs.Kind{jobs.Noop, jobs.MailSend, jobs.TicketRender, jobs.PaymentAsk}[i%4]
		planned[i] = jobs.New{Kind: kind, EventID: 1, Order: id.New(), Version: 1, Arg: strconv.Itoa(w.planned + i)}
	}
	w.planned += n
	if err := w.store.PlanJobs(w.t.Context(), time.Now(), planned); err != nil {
		w.t.Fatal(err)
	}
}

// work is the handler: the effect in the database, idempotent.
func (w *way) work(ctx context.Context, job jobs.Job) error {
	w.runs.Add(1)
	if w.handle != nil {
		if err := w.handle(ctx, job); err != nil {
			return err
		}
	}
	var n int
	if err := w.effects.QueryRowContext(ctx, "SELECT COUNT(*) FROM effects WHERE arg = ?", job.Arg).Scan(&n); err != nil || n > 0 {
		return err
	}
	if _, err := w.effects.ExecContext(ctx, "INSERT INTO effects (arg) VALUES (?)", job.Arg); err != nil {
		return fmt.Errorf("effect of %d: %w", job.ID, err)
	}
	return nil
}

func (w *way) settled(o *jobs.Outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch o.End {
	case jobs.Done:
		w.done[o.ID] = true
	case jobs.Dead:
		w.dead[o.ID] = true
	case jobs.Failed, jobs.Deferred:
	}
	close(w.changed)
	w.changed = make(chan struct{})
}

// until returns when ok holds, asked after every outcome.
func (w *way) until(what string, ok func() bool) {
	w.t.Helper()
	timeout := time.After(patience)
	for {
		w.mu.Lock()
		met, changed := ok(), w.changed
		w.mu.Unlock()
		if met {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			w.mu.Lock()
			defer w.mu.Unlock()
			w.t.Fatalf("no sign of %s: %d of %d jobs done, %d dead, %d runs", what, len(w.done), w.planned, len(w.dead), w.runs.Load())
		}
	}
}

func (w *way) someDone(n int) {
	w.t.Helper()
	w.until(fmt.Sprint(n, " jobs done"), func() bool { return len(w.done) >= n })
}

// allDone waits for every job and counts the effects: none is missing, none is doubled, nothing is left.
func (w *way) allDone() {
	w.t.Helper()
	w.someDone(w.planned)
	for query, want := range map[string]int{
		"SELECT COUNT(*) FROM effects": w.planned, "SELECT COUNT(*) FROM outbox": 0, "SELECT COUNT(*) FROM dead_letters": 0,
		"SELECT COUNT(*) FROM job_errors": 0,
	} {
		var n int
		if err := w.effects.QueryRowContext(context.Background(), query).Scan(&n); err != nil || n != want {
			w.t.Errorf("%s: %d (%v), want %d", query, n, err, want)
		}
	}
	if again := int(w.runs.Load()) - w.planned; again > 0 {
		w.t.Logf("%d of %d jobs were run a second time, without a second effect", again, w.planned)
	}
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// policy retries at once, so that a test does not wait for a back-off.
func policy(k jobs.Kind) jobs.Policy {
	p := k.Policy()
	p.Limit, p.Base, p.Cap, p.Provider = 10, 20*time.Millisecond, 20*time.Millisecond, jobs.NoProvider
	return p
}

type meter struct{}

func (meter) JobsSent(jobs.Queue, int, bool)              {}
func (meter) JobStarted(jobs.Kind, time.Duration)         {}
func (meter) JobEnded(jobs.Kind, jobs.End, time.Duration) {}
func (meter) JobsWaiting(jobs.Queue, int)                 {}

// process is a relay, or workers, or both, as one program has them.
type process struct {
	relay, workers bool
}

// start runs a process until the returned function is called, or the test ends.
func (w *way) start(p process) (stop func()) {
	w.t.Helper()
	client := redis.NewClient(w.options)
	log := slog.New(slog.NewTextHandler(w.t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
	group := lifecycle.NewGroup(context.Background())
	if p.relay {
		relay := &jobs.Relay{
			Outbox: w.store, Carrier: w.carrier(redisqueue.NewCarrier(client, clock.System{})), Queues: jobs.Queues(), Clock: clock.System{},
			Log: log, Meter: meter{}, Limits: jobs.RelayLimits{Window: 200, Batch: 50, Lease: lease, Idle: 20 * time.Millisecond},
		}
		group.Go("relay", relay.Run)
	}
	if p.workers {
		group.Go("workers", func(ctx context.Context) { w.receive(ctx, client, log) })
	}
	stop = sync.OnceFunc(func() { halt(w.t, group); _ = client.Close() })
	w.t.Cleanup(stop)
	return stop
}

func (w *way) receive(ctx context.Context, client *redis.Client, log *slog.Logger) {
	handlers := map[jobs.Kind]worker.Handler{}
	for _, k := range jobs.Kinds() {
		handlers[k] = w.work
	}
	runner := worker.New(worker.Config{
		Handlers: handlers, Ledger: w.store, Clock: clock.System{}, Log: log, Meter: meter{}, Policies: policy, Settled: w.settled,
	})
	outcomes := lifecycle.NewGroup(context.Background())
	outcomes.Go("outcomes", runner.Work)
	if err := redisqueue.Receive(ctx, client, redisqueue.DefaultLanes(), log, runner.Do); err != nil {
		w.t.Error(err)
	}
	halt(w.t, outcomes)
}

func halt(t *testing.T, group *lifecycle.Group) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := group.Stop(ctx); err != nil {
		t.Error(err)
	}
}

var all = process{relay: true, workers: true}

func TestTheWholeWay(t *testing.T) {
	t.Parallel()
	onEach(t, func(_ *testing.T, w *way, _ func()) {
		w.plan(400)
		w.start(all)
		w.someDone(100)
		w.plan(100) // while it runs
		w.allDone()
	})
}

func TestRedisIsWipedInTheMiddle(t *testing.T) {
	t.Parallel()
	onEach(t, func(_ *testing.T, w *way, wipe func()) {
		w.plan(600)
		w.start(all)
		w.someDone(100)
		wipe()
		w.someDone(300)
		wipe()
		w.allDone()
	})
}

func TestRedisIsKilledAndComesBack(t *testing.T) {
	t.Parallel()
	server := peers.PrivateRedis(t)
	w := newWay(t, conformance.SQLite(t), &redis.Options{Addr: server.Address()})
	w.plan(500)
	w.start(all)
	w.someDone(100)
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	w.plan(100) // registrations go on
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	w.allDone()
}

func TestTheDatabaseIsKilledAndComesBack(t *testing.T) {
	t.Parallel()
	database, server := peers.PrivateMariaDB(t), peers.PrivateRedis(t)
	w := newWay(t, conformance.On(t, database), &redis.Options{Addr: server.Address()})
	w.plan(400)
	w.start(all)
	w.someDone(50)
	if err := database.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := database.Start(); err != nil {
		t.Fatal(err)
	}
	w.allDone()
}

func TestSeveralRelaysAndWorkers(t *testing.T) {
	t.Parallel()
	server := peers.PrivateRedis(t)
	w := newWay(t, conformance.MariaDB(t), &redis.Options{Addr: server.Address()})
	w.plan(1000)
	for range 2 {
		w.start(process{relay: true})
	}
	for range 3 {
		w.start(process{workers: true})
	}
	w.allDone()
	if again := w.runs.Load() - int64(w.planned); again > int64(w.planned)/10 {
		t.Errorf("%d jobs were run again although nothing was lost", again)
	}
}

func TestWorkersComeAndGo(t *testing.T) {
	t.Parallel()
	server := peers.PrivateRedis(t)
	w := newWay(t, conformance.SQLite(t), &redis.Options{Addr: server.Address()})
	w.plan(400)
	stop := w.start(all)
	w.someDone(50)
	stop()
	stop = w.start(all)
	w.someDone(150)
	stop()
	w.start(all)
	w.allDone()
}

// TestTasksWithoutAWorker plants what trouble with Redis and killed workers leave behind.
func TestTasksWithoutAWorker(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *way, _ func()) {
		ctx := t.Context()
		client := redis.NewClient(w.options)
		defer client.Close()
		carrier := redisqueue.NewCarrier(client, clock.System{})
		w.plan(40)
		relay := &jobs.Relay{
			Outbox: w.store, Carrier: carrier, Queues: jobs.Queues(), Clock: clock.System{}, Log: discard(),
			Meter: meter{}, Limits: jobs.RelayLimits{Window: 200, Batch: 50, Lease: lease, Idle: time.Second},
		}
		if _, err := relay.Pass(ctx); err != nil {
			t.Fatal(err)
		}
		var planted []string
		for i := range 10 { // all of the mail queue's
			task, err := client.LMove(ctx, "asynq:{mail}:pending", "asynq:{mail}:active", "RIGHT", "LEFT").Result()
			if err != nil {
				t.Fatal(err)
			}
			planted = append(planted, "asynq:{mail}:t:"+task)
			if err := client.HSet(ctx, "asynq:{mail}:t:"+task, "state", "active").Err(); err != nil {
				t.Fatal(err)
			}
			if i%2 == 0 { // its worker died a while ago; the others have no lease at all
				died := redis.Z{Score: float64(time.Now().Add(10 * time.Second).Unix()), Member: task}
				if err := client.ZAdd(ctx, "asynq:{mail}:lease", died).Err(); err != nil {
					t.Fatal(err)
				}
			}
		}
		lost, err := client.LPop(ctx, "asynq:{bulk}:pending").Result()
		if err == nil {
			err = client.Del(ctx, "asynq:{bulk}:t:"+lost).Err()
		}
		if err != nil {
			t.Fatal(err)
		}
		w.start(all)
		w.allDone()
		if n, err := client.Exists(ctx, planted...).Result(); err != nil || n > 0 {
			t.Errorf("%d tasks without a worker are left in Redis (%v)", n, err)
		}
	})
}

func TestSweepRemovesWhatIsNobodys(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *way, _ func()) {
		ctx := t.Context()
		client := redis.NewClient(w.options)
		defer client.Close()
		now := time.Now().Unix()
		for _, plant := range []error{
			client.HSet(ctx, "asynq:{mail}:t:ob-1-1", "state", "active", "msg", "x").Err(), client.LPush(ctx, "asynq:{mail}:active", "ob-1-1").Err(),
			client.HSet(ctx, "asynq:{mail}:t:ob-2-1", "state", "archived", "msg", "x").Err(),
			client.ZAdd(ctx, "asynq:{mail}:archived", redis.Z{Score: float64(now), Member: "ob-2-1"}).Err(),
			client.HSet(ctx, "asynq:{mail}:t:ob-3-1", "state", "active", "msg", "x").Err(), client.LPush(ctx, "asynq:{mail}:active", "ob-3-1").Err(),
			client.ZAdd(ctx, "asynq:{mail}:lease", redis.Z{Score: float64(now + 30), Member: "ob-3-1"}).Err(),
		} {
			if plant != nil {
				t.Fatal(plant)
			}
		}
		swept, err := redisqueue.NewCarrier(client, clock.System{}).Sweep(ctx)
		if err != nil || swept != 2 {
			t.Errorf("swept %d (%v), want 2", swept, err)
		}
		keys, err := client.Keys(ctx, "asynq:{mail}:t:*").Result()
		if err != nil || len(keys) != 1 || keys[0] != "asynq:{mail}:t:ob-3-1" {
			t.Errorf("left: %v (%v), want only the one with a living worker", keys, err)
		}
	})
}

func TestFailuresAllTheWay(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *way, _ func()) {
		var mended atomic.Bool
		tries := sync.Map{}
		w.handle = func(_ context.Context, job jobs.Job) error {
			n, _ := tries.LoadOrStore(job.Arg, new(atomic.Int64))
			first := n.(*atomic.Int64).Add(1) == 1
			switch {
			case job.Arg == "1" && !mended.Load():
				return jobs.Permanent(errors.New("no such mailbox"))
			case job.Arg == "2" && !mended.Load():
				return errors.New("never works")
			case job.Arg == "3" && first:
				panic("once")
			case job.Arg == "4" && first:
				return errors.New("busy")
			}
			return nil
		}
		w.plan(8)
		w.start(all)
		w.until("two dead letters", func() bool { return len(w.dead) == 2 && len(w.done) == 6 })
		letters, err := w.store.Letters(t.Context(), "", false, 10)
		if err != nil || len(letters) != 2 {
			t.Fatalf("letters: %+v (%v)", letters, err)
		}
		for _, letter := range letters {
			r, err := w.store.JobRecord(t.Context(), time.Now(), letter.ID)
			want := map[string]int{"1": 1, "2": 10}[letter.Arg]
			if err != nil || len(r.Failures) != want {
				t.Errorf("letter %s has %d errors (%v), want %d", letter.Arg, len(r.Failures), err, want)
			}
		}
		mended.Store(true)
		for _, letter := range letters {
			if _, err := w.store.RetryKind(t.Context(), letter.Kind); err != nil {
				t.Fatal(err)
			}
		}
		w.allDone()
	})
}

// TestTheWindowIsBounded: what is in Redis never exceeds the window by more than a batch a queue.
func TestTheWindowIsBounded(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *way, _ func()) {
		client := redis.NewClient(w.options)
		defer client.Close()
		w.plan(800)
		relay := &jobs.Relay{
			Outbox: w.store, Carrier: redisqueue.NewCarrier(client, clock.System{}), Queues: jobs.Queues(), Clock: clock.System{},
			Log: discard(), Meter: meter{},
			Limits: jobs.RelayLimits{Window: 60, Batch: 50, Lease: time.Minute, Idle: time.Second},
		}
		for range 20 {
			if _, err := relay.Pass(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for _, q := range []string{"mail", "ticket", "bulk", "payment"} {
			if n := client.LLen(t.Context(), "asynq:{"+q+"}:pending").Val(); n != 60 {
				t.Errorf("%d jobs of queue %s are in Redis, want 60", n, q)
			}
		}
	})
}

package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"gapura/internal/clock"
	"gapura/internal/jobs"
	"gapura/internal/lifecycle"
	"gapura/internal/redisqueue"
	"gapura/internal/redisstore"
	"gapura/internal/worker"
)

// handlers are the jobs that this node can do. A kind that is missing waits in the outbox.
func (n *node) handlers() map[jobs.Kind]worker.Handler {
	all := map[jobs.Kind]worker.Handler{
		jobs.Noop: func(context.Context, jobs.Job) error { return nil },
	}
	maps.Copy(all, n.fulfilment.handlers())
	if n.payments != nil {
		maps.Copy(all, n.payments.handlers())
	}
	return all
}

// queue is the way of the jobs: through Redis, or inside this process.
type queue struct {
	client *redis.Client // nil: inside this process
	local  *worker.Local
}

// close ends the connections. Everything that uses them has ended.
func (q *queue) close() error {
	if q == nil || q.client == nil {
		return nil
	}
	return q.client.Close()
}

// localWorkers is how many jobs of each queue run at a time when one process does everything.
func localWorkers() map[jobs.Queue]int {
	return map[jobs.Queue]int{jobs.Plan: 4, jobs.Confirm: 16, jobs.Payment: 16, jobs.Ticket: 4, jobs.Mail: 4, jobs.Bulk: 4}
}

// openQueue connects to the Redis of the configuration, or carries jobs in this process. It does not ask whether Redis
// answers: registrations go on without it, and the jobs as soon as it is there.
func (n *node) openQueue() (*queue, error) {
	if n.program.cfg.QueueConnection == "redis" {
		options, err := n.program.cfg.redisOptions()
		if err != nil {
			return nil, err
		}
		return &queue{client: redis.NewClient(options)}, nil
	}
	if !n.program.embedded() {
		n.program.log.Warn("QUEUE_CONNECTION is memory: run no second gapura work beside this one, or set it to redis")
	}
	return &queue{local: worker.NewLocal(n.program.log)}, nil
}

// Connections to Redis: the relay's senders, one look a lane and the workers that report an end. A lane's subscription is
// apart from these.
const redisConnections = 40

// redisOptions say how to reach the Redis of the configuration.
func (c *Config) redisOptions() (*redis.Options, error) {
	options := &redis.Options{
		Addr: net.JoinHostPort(c.RedisHost, strconv.Itoa(c.RedisPort)), Username: c.RedisUsername, Password: c.RedisPassword, DB: c.RedisDB,
	}
	if c.RedisURL != "" {
		parsed, err := redis.ParseURL(c.RedisURL)
		if err != nil {
			// The parser's error repeats the address, which may hold a password.
			return nil, errors.New("REDIS_URL cannot be read: use an address such as redis://127.0.0.1:6379/0")
		}
		options = parsed
	}
	options.PoolSize = redisConnections
	return options, nil
}

const (
	// sweepQueueEvery is how often remains of lost jobs are removed from Redis. They only take room.
	sweepQueueEvery = 30 * time.Second
	// backlogEvery is how often the backlog is counted for the metrics.
	backlogEvery = 10 * time.Second
)

// localDirect is how many orders are planned in one transaction where SQLite's only writer is also the registrations': 5 ms.
const localDirect = 100

// heldJobs is how many jobs of a held queue may wait in Redis. The relay looks ten times a second, so this is a trickle that
// takes a thirtieth of a processor, and nothing waits for ever.
const heldJobs = 1

// startQueue runs the relay and the workers of every queue that this node has a handler for.
func (n *node) startQueue(handlers map[jobs.Kind]worker.Handler) error {
	q, err := n.openQueue()
	if err != nil {
		return err
	}
	n.queue = q
	runner := worker.New(worker.Config{
		Handlers: handlers, Ledger: n.store, Clock: clock.System{}, Log: n.program.log, Meter: n.telemetry,
		Guards: n.program.cfg.guards,
	})
	served := servedQueues(handlers)
	relay := &jobs.Relay{
		Outbox: n.store, Queues: served, Clock: clock.System{}, Log: n.program.log, Meter: n.telemetry, Limits: jobs.DefaultRelayLimits(),
		Direct: map[jobs.Queue]jobs.Direct{jobs.Plan: n.fulfilment.service.FollowNew},
	}
	if q.local != nil {
		relay.Carrier, relay.Limits.Direct, relay.Limits.Gentle = q.local, localDirect, 0
		relay.Demand = n.telemetry.rush.demandHere
		n.work.Go("workers", func(ctx context.Context) { n.workLocally(ctx, q.local, runner, served) })
	} else {
		carrier := redisqueue.NewCarrier(q.client, clock.System{})
		relay.Carrier, relay.Shared = carrier, true
		relay.Demand, relay.Limits.Held = n.heedRush(redisstore.NewRush(q.client)), heldJobs
		n.work.Go("workers", func(ctx context.Context) { n.receive(ctx, q.client, runner, served) })
		n.work.Every("queue sweep", sweepQueueEvery, func(ctx context.Context) { n.sweepQueue(ctx, carrier) })
	}
	n.work.Go("relay", relay.Run)
	n.work.Every("superseded jobs", worker.YieldEvery, runner.Yield)
	n.work.Every("backlog", backlogEvery, n.countBacklog)
	return nil
}

func (n *node) sweepQueue(ctx context.Context, carrier *redisqueue.Carrier) {
	if swept, err := carrier.Sweep(ctx); err == nil && swept > 0 { // an error is the relay's to report
		n.program.log.Info("remains of lost jobs were removed from Redis", slog.Any("tasks", swept))
	}
}

// guards are the limits of the calls to a provider, with the rate of the configuration.
func (c *Config) guards(p jobs.Provider) jobs.GuardLimits {
	limits := jobs.DefaultGuardLimits(p)
	rate := map[jobs.Provider]int{jobs.Midtrans: c.MidtransRate, jobs.SMTP: c.MailRate}[p]
	if rate > 0 {
		limits.Rate, limits.Burst = float64(rate), rate
	}
	return limits
}

// servedQueues are the queues of the kinds that somebody here can do, the most urgent first.
func servedQueues(handlers map[jobs.Kind]worker.Handler) []jobs.Queue {
	return slices.DeleteFunc(jobs.Queues(), func(q jobs.Queue) bool {
		for kind := range handlers {
			if kind.Queue() == q {
				return false
			}
		}
		return true
	})
}

// receive runs jobs out of Redis until ctx ends, and then writes the last outcomes down.
func (n *node) receive(ctx context.Context, client *redis.Client, runner *worker.Runner, served []jobs.Queue) {
	lanes := redisqueue.DefaultLanes()
	maps.DeleteFunc(lanes, func(name jobs.Queue, _ redisqueue.Lane) bool { return !slices.Contains(served, name) })
	n.withOutcomes(ctx, runner, func() {
		if err := redisqueue.Receive(ctx, client, lanes, n.program.log, runner.Do); err != nil {
			n.program.log.Error("the workers cannot start", slog.Any("error", err))
		}
	})
}

// localDrain is how long running jobs have when the program is told to stop.
const localDrain = 10 * time.Second

// workLocally runs jobs inside this process until ctx ends, and then writes the last outcomes down.
func (n *node) workLocally(ctx context.Context, local *worker.Local, runner *worker.Runner, served []jobs.Queue) {
	workers := localWorkers()
	maps.DeleteFunc(workers, func(name jobs.Queue, _ int) bool { return !slices.Contains(served, name) })
	n.withOutcomes(ctx, runner, func() {
		group := lifecycle.NewGroup(ctx)
		local.Receive(group, workers, runner.Do)
		<-ctx.Done()
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), localDrain)
		defer cancel()
		if err := group.Stop(drain); err != nil {
			n.program.log.Error("workers", slog.Any("error", err))
		}
	})
}

// withOutcomes writes outcomes down while work runs and after it.
func (n *node) withOutcomes(ctx context.Context, runner *worker.Runner, work func()) {
	outcomes := lifecycle.NewGroup(context.WithoutCancel(ctx))
	outcomes.Go("outcomes", runner.Work)
	work()
	if err := outcomes.Stop(context.WithoutCancel(ctx)); err != nil { // Work bounds its own end
		n.program.log.Error("workers", slog.Any("error", err))
	}
}

func (n *node) countBacklog(ctx context.Context) {
	waiting, err := n.store.QueueLengths(ctx)
	if err != nil {
		return // the relay reports that the database is away
	}
	for _, q := range jobs.Queues() {
		n.telemetry.JobsWaiting(q, waiting[q])
	}
}

// checkRedis finds a Redis that does not answer, or that would throw jobs away when its memory is full.
func checkRedis(ctx context.Context, p *program) (string, error) {
	if p.cfg.RedisHost == "" && p.cfg.RedisURL == "" {
		return "not used", nil
	}
	options, err := p.cfg.redisOptions()
	if err != nil {
		return "", err
	}
	client := redis.NewClient(options)
	defer func() { _ = client.Close() }()
	info, err := client.Info(ctx, "server", "memory").Result() // CONFIG is often forbidden
	if err != nil {
		return "", fmt.Errorf("does not answer: check the REDIS_ variables: %w", err)
	}
	policy, version := inInfo(info, "maxmemory_policy"), inInfo(info, "redis_version")
	if policy != "noeviction" && p.cfg.QueueConnection == "redis" {
		return "", warning(fmt.Sprintf("maxmemory-policy is %s: set it to noeviction, or full memory throws jobs away, which are then sent again %s late",
			policy, jobs.DefaultRelayLimits().Lease))
	}
	return fmt.Sprintf("%s, maxmemory-policy %s", version, policy), nil
}

// inInfo is the value of a field in Redis' answer to INFO.
func inInfo(info, field string) string {
	for line := range strings.Lines(info) {
		if value, found := strings.CutPrefix(line, field+":"); found {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

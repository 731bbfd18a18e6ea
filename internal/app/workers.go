package app

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"gapura/internal/clock"
	"gapura/internal/jobs"
	"gapura/internal/lifecycle"
	"gapura/internal/redisqueue"
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

// queue is the way of the jobs through Redis.
type queue struct {
	client   *redis.Client
	embedded *redisqueue.Embedded // nil: somebody else's Redis
}

// close ends the connections, and the server in this process if there is one. Everything that uses them has ended.
func (q *queue) close() error {
	if q == nil {
		return nil
	}
	err := q.client.Close()
	if q.embedded != nil {
		q.embedded.Close()
	}
	return err
}

// limits of the relay. The server in this process spends longer on a push the longer its lists are.
func (q *queue) limits() jobs.RelayLimits {
	limits := jobs.DefaultRelayLimits()
	if q.embedded != nil {
		limits.Window = 500
	}
	return limits
}

// lanes of the workers. The server in this process serves one call at a time: a second taker would only wait for the first.
func (q *queue) lanes() redisqueue.Lanes {
	lanes := redisqueue.DefaultLanes()
	if q.embedded == nil {
		return lanes
	}
	for name, lane := range lanes {
		lanes[name] = redisqueue.Lane{Takers: 1, Workers: lane.Takers * lane.Workers}
	}
	return lanes
}

// openQueue connects to the Redis of the configuration, or starts one in this process. It does not ask whether Redis
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
	server, err := redisqueue.StartEmbedded(n.work)
	if err != nil {
		return nil, err
	}
	return &queue{client: redis.NewClient(server.Options()), embedded: server}, nil
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
			return nil, fmt.Errorf("REDIS_URL cannot be read: use an address such as redis://127.0.0.1:6379/0")
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

// startQueue runs the relay and the workers of every queue that this node has a handler for.
func (n *node) startQueue(handlers map[jobs.Kind]worker.Handler) error {
	q, err := n.openQueue()
	if err != nil {
		return err
	}
	n.queue = q
	carrier := redisqueue.NewCarrier(q.client, clock.System{})
	runner := worker.New(worker.Config{
		Handlers: handlers, Ledger: n.store, Clock: clock.System{}, Log: n.program.log, Meter: n.telemetry,
		Guards: n.program.cfg.guards,
	})
	served := servedQueues(handlers)
	relay := &jobs.Relay{
		Outbox: n.store, Carrier: carrier, Queues: served, Clock: clock.System{}, Log: n.program.log, Meter: n.telemetry,
		Limits: q.limits(),
	}
	n.work.Go("relay", relay.Run)
	n.work.Go("workers", func(ctx context.Context) { n.receive(ctx, q, runner, served) })
	n.work.Every("queue sweep", sweepQueueEvery, func(ctx context.Context) {
		if swept, err := carrier.Sweep(ctx); err == nil && swept > 0 { // an error is the relay's to report
			n.program.log.Info("remains of lost jobs were removed from Redis", "tasks", swept)
		}
	})
	n.work.Every("backlog", backlogEvery, n.countBacklog)
	return nil
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

// receive runs jobs until ctx ends, and then writes the last outcomes down.
func (n *node) receive(ctx context.Context, q *queue, runner *worker.Runner, served []jobs.Queue) {
	outcomes := lifecycle.NewGroup(context.WithoutCancel(ctx))
	outcomes.Go("outcomes", runner.Work)
	lanes := q.lanes()
	maps.DeleteFunc(lanes, func(name jobs.Queue, _ redisqueue.Lane) bool { return !slices.Contains(served, name) })
	if err := redisqueue.Receive(ctx, q.client, lanes, n.program.log, runner.Do); err != nil {
		n.program.log.Error("the workers cannot start", "error", err)
	}
	if err := outcomes.Stop(context.WithoutCancel(ctx)); err != nil { // Work bounds its own end
		n.program.log.Error("workers", "error", err)
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

// Package redisqueue carries jobs from the outbox to the workers through asynq on Redis. It is never believed: what it
// loses is sent again, what it delivers twice is harmless.
package redisqueue

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"gapura/internal/clock"
	"gapura/internal/jobs"
)

// Keys of asynq 0.26, as far as they are needed: its Inspector asks task by task and will not touch an active one.
func pendingKey(q jobs.Queue) string  { return "asynq:{" + string(q) + "}:pending" }
func activeKey(q jobs.Queue) string   { return "asynq:{" + string(q) + "}:active" }
func leaseKey(q jobs.Queue) string    { return "asynq:{" + string(q) + "}:lease" }
func archivedKey(q jobs.Queue) string { return "asynq:{" + string(q) + "}:archived" }
func retryKey(q jobs.Queue) string    { return "asynq:{" + string(q) + "}:retry" }
func taskKey(q jobs.Queue, task string) string {
	return "asynq:{" + string(q) + "}:t:" + task
}

const (
	// markerKey is there as long as nobody has wiped this Redis.
	markerKey = "gapura:queue:marker"
	// queuesKey is asynq's list of queues; its client adds each only once in its life.
	queuesKey = "asynq:queues"

	// senders is how many enqueue at a time: asynq has no bulk call, and 16 reach what one Redis takes.
	senders = 16
	// taskTimeout is asynq's own bound of a task. It only must never come before a kind's own.
	taskTimeout = time.Hour

	// A worker that lives renews its tasks' leases to leaseTime every few seconds; one that has not for silence is dead.
	leaseTime = 30 * time.Second
	silence   = 14 * time.Second
)

// Carrier implements jobs.Carrier. It is safe for concurrent use.
type Carrier struct {
	redis  redis.UniversalClient
	client *asynq.Client
	clock  clock.Clock
}

// NewCarrier returns a carrier over client, which stays the caller's to close. The clock must be the machine's: asynq stamps its
// leases with it.
func NewCarrier(client redis.UniversalClient, c clock.Clock) *Carrier {
	return &Carrier{redis: client, client: asynq.NewClientFromRedisClient(&combining{UniversalClient: client}), clock: c}
}

// Look implements jobs.Carrier.
func (c *Carrier) Look(ctx context.Context) (waiting map[jobs.Queue]int, wiped bool, err error) {
	lengths := map[jobs.Queue]*redis.IntCmd{}
	var marked *redis.BoolCmd
	_, err = c.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		marked = p.SetNX(ctx, markerKey, rand.Text(), 0)
		for _, q := range jobs.Queues() {
			lengths[q] = p.LLen(ctx, pendingKey(q))
		}
		return nil
	})
	if err != nil {
		return nil, false, fmt.Errorf("look at the queue: %w", err)
	}
	waiting = make(map[jobs.Queue]int, len(lengths))
	for q, n := range lengths {
		waiting[q] = int(n.Val())
	}
	if marked.Val() {
		err = c.nameQueues(ctx)
	}
	return waiting, marked.Val(), err
}

func (c *Carrier) nameQueues(ctx context.Context) error {
	queues := jobs.Queues()
	names := make([]any, 0, len(queues))
	for _, q := range queues {
		names = append(names, string(q))
	}
	if err := c.redis.SAdd(ctx, queuesKey, names...).Err(); err != nil {
		return fmt.Errorf("name the queues: %w", err)
	}
	return nil
}

// Send implements jobs.Carrier.
func (c *Carrier) Send(ctx context.Context, sendings []jobs.Sending) error {
	g, ctx := errgroup.WithContext(ctx)
	each := (len(sendings) + senders - 1) / senders
	for begin := 0; begin < len(sendings); begin += each {
		part := sendings[begin:min(begin+each, len(sendings))]
		g.Go(func() error { return c.enqueue(ctx, part) })
	}
	return g.Wait()
}

func (c *Carrier) enqueue(ctx context.Context, sendings []jobs.Sending) error {
	for i := range sendings {
		s := &sendings[i]
		data, err := encode(s)
		if err != nil {
			return err
		}
		_, err = c.client.EnqueueContext(ctx, asynq.NewTask(string(s.Kind), data), asynq.TaskID(taskID(&s.Job)),
			asynq.Queue(string(s.Kind.Queue())), asynq.MaxRetry(0), asynq.Timeout(taskTimeout))
		if err != nil && !errors.Is(err, asynq.ErrTaskIDConflict) {
			return fmt.Errorf("send a job: %w", err)
		}
	}
	return nil
}

// Alive implements jobs.Carrier.
func (c *Carrier) Alive(ctx context.Context, sendings []jobs.Sending) ([]bool, error) {
	states := make([]*redis.StringCmd, len(sendings))
	leases := make([]*redis.FloatCmd, len(sendings))
	_, err := c.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range sendings {
			q, task := sendings[i].Kind.Queue(), taskID(&sendings[i].Job)
			states[i] = p.HGet(ctx, taskKey(q, task), "state")
			leases[i] = p.ZScore(ctx, leaseKey(q), task)
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("look after jobs: %w", err)
	}
	alive := make([]bool, len(sendings))
	left := map[jobs.Queue][]string{}
	for i := range sendings {
		state := states[i].Val()
		alive[i] = state == "pending" || state == "active" && c.renewed(leases[i])
		if !alive[i] && state != "" {
			q := sendings[i].Kind.Queue()
			left[q] = append(left[q], taskID(&sendings[i].Job))
		}
	}
	for q, tasks := range left {
		if err := c.forget(ctx, q, tasks); err != nil {
			return nil, err
		}
	}
	return alive, nil
}

// renewed reports whether a worker has renewed the lease lately. asynq leaves tasks without any after trouble with Redis.
func (c *Carrier) renewed(lease *redis.FloatCmd) bool {
	ends := time.Unix(int64(lease.Val()), 0)
	return lease.Err() == nil && ends.Add(silence-leaseTime).After(c.clock.Now())
}

// forget removes tasks in whatever state they are.
func (c *Carrier) forget(ctx context.Context, q jobs.Queue, tasks []string) error {
	_, err := c.redis.TxPipelined(ctx, func(p redis.Pipeliner) error {
		for _, task := range tasks {
			p.LRem(ctx, activeKey(q), 0, task)
			p.LRem(ctx, pendingKey(q), 0, task)
			for _, key := range []string{leaseKey(q), archivedKey(q), retryKey(q)} {
				p.ZRem(ctx, key, task)
			}
			p.Del(ctx, taskKey(q, task))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("forget lost jobs: %w", err)
	}
	return nil
}

// sweepBatch bounds what one Sweep takes from a queue.
const sweepBatch = 1000

// Sweep removes what asynq leaves behind of jobs that the outbox looks after: archived and retried tasks, and active ones
// without a living worker. It returns how many there were.
func (c *Carrier) Sweep(ctx context.Context) (int, error) {
	swept := 0
	for _, q := range jobs.Queues() {
		dead, err := c.remains(ctx, q)
		if err == nil && len(dead) > 0 {
			err = c.forget(ctx, q, dead)
		}
		if err != nil {
			return swept, err
		}
		swept += len(dead)
	}
	return swept, nil
}

func (c *Carrier) remains(ctx context.Context, q jobs.Queue) ([]string, error) {
	var dead []string
	for _, key := range []string{archivedKey(q), retryKey(q)} {
		tasks, err := c.redis.ZRange(ctx, key, 0, sweepBatch).Result()
		if err != nil {
			return nil, fmt.Errorf("sweep: %w", err)
		}
		dead = append(dead, tasks...)
	}
	active, err := c.redis.LRange(ctx, activeKey(q), 0, sweepBatch).Result()
	if err != nil {
		return nil, fmt.Errorf("sweep: %w", err)
	}
	for _, task := range active {
		lease := c.redis.ZScore(ctx, leaseKey(q), task)
		if err := lease.Err(); err != nil && !errors.Is(err, redis.Nil) {
			return nil, fmt.Errorf("sweep: %w", err)
		}
		if !c.renewed(lease) {
			dead = append(dead, task)
		}
	}
	return dead, nil
}

// Depth returns how many tasks wait and run in a queue, for people.
func (c *Carrier) Depth(ctx context.Context, q jobs.Queue) (waiting, active int, err error) {
	var w, a *redis.IntCmd
	_, err = c.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		w, a = p.LLen(ctx, pendingKey(q)), p.LLen(ctx, activeKey(q))
		return nil
	})
	if err != nil {
		return 0, 0, fmt.Errorf("depth of queue %s: %w", strconv.Quote(string(q)), err)
	}
	return int(w.Val()), int(a.Val()), nil
}

var _ jobs.Carrier = (*Carrier)(nil)

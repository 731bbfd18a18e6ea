package redisqueue

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"gapura/internal/jobs"
)

const (
	// checkEvery is how often an idle lane looks for a job.
	checkEvery = 100 * time.Millisecond
	// shutdownIn is how long running jobs have when the workers are told to stop; then they are cut off.
	shutdownIn = 10 * time.Second
)

// Lane is how one process serves a queue.
type Lane struct {
	Takers  int // each takes one job at a time out of Redis, which costs it a round trip
	Workers int // for each taker: jobs that run at the same time
}

// Lanes are the queues that a process serves.
type Lanes map[jobs.Queue]Lane

// DefaultLanes gives every queue workers of its own. Rejected: one asynq server with strict priorities. There a mass mailing
// that got all workers in a quiet moment keeps them when payments come, and each look for a job asks Redis queue by queue.
// Planning has few, because only what could not be planned together comes here; rendering has as many as share a transaction
// when their documents are stored. A taker alone reaches what one connection does, so the queues that must be fast have two.
func DefaultLanes() Lanes {
	return Lanes{
		jobs.Plan: {Takers: 1, Workers: 16}, jobs.Confirm: {Takers: 1, Workers: 24}, jobs.Payment: {Takers: 1, Workers: 24},
		jobs.Ticket: {Takers: 1, Workers: 16}, jobs.Mail: {Takers: 1, Workers: 8}, jobs.Bulk: {Takers: 2, Workers: 8},
	}
}

// Receive takes jobs from the lanes and hands each to do, until ctx ends; then it waits for those that run. Goroutines are
// asynq's: all have ended when Receive returns.
func Receive(ctx context.Context, client redis.UniversalClient, lanes Lanes, log *slog.Logger,
	do func(ctx context.Context, s jobs.Sending),
) error {
	running, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	h := &handler{do: do, log: log}
	var servers []*asynq.Server
	client = &combining{UniversalClient: client}
	for q, lane := range lanes {
		for range lane.Takers {
			server := newServer(running, client, q, lane.Workers, log)
			if err := server.Start(h); err != nil { // only a server that was started before refuses
				return fmt.Errorf("receive from %s: %w", q, err)
			}
			servers = append(servers, server)
		}
	}
	<-ctx.Done()
	timer := time.AfterFunc(shutdownIn, cut)
	defer timer.Stop()
	var g errgroup.Group
	for _, server := range servers {
		g.Go(func() error { server.Shutdown(); return nil })
	}
	_ = g.Wait() // its functions return no error
	cut()
	h.running.Wait()
	return nil
}

func newServer(base context.Context, client redis.UniversalClient, q jobs.Queue, workers int, log *slog.Logger) *asynq.Server {
	return asynq.NewServerFromRedisClient(client, asynq.Config{
		Concurrency: workers, Queues: map[string]int{string(q): 1}, BaseContext: func() context.Context { return base },
		TaskCheckInterval: checkEvery, ShutdownTimeout: shutdownIn, Logger: quiet{log}, LogLevel: asynq.InfoLevel,
	})
}

// handler counts what runs: when asynq gives a job up at shutdown it no longer waits for it.
type handler struct {
	do      func(ctx context.Context, s jobs.Sending)
	log     *slog.Logger
	running sync.WaitGroup
}

// ProcessTask implements asynq.Handler. It never returns an error: how an attempt ended is written down in the outbox, and
// asynq is to forget the task.
func (h *handler) ProcessTask(ctx context.Context, t *asynq.Task) error {
	h.running.Add(1)
	defer h.running.Done()
	s, err := decode(t.Payload())
	if err != nil {
		h.log.Error("a task that this program did not write is dropped", slog.Any("error", err))
		return nil
	}
	h.do(ctx, s)
	return nil
}

// quiet is asynq's logger. What it says, the relay says once and in our words; here it is only for debugging.
type quiet struct{ log *slog.Logger }

func (q quiet) Debug(args ...any) { q.log.Debug("asynq", slog.String("text", fmt.Sprint(args...))) }
func (q quiet) Info(args ...any)  { q.log.Debug("asynq", slog.String("text", fmt.Sprint(args...))) }
func (q quiet) Warn(args ...any)  { q.log.Debug("asynq", slog.String("text", fmt.Sprint(args...))) }
func (q quiet) Error(args ...any) { q.log.Debug("asynq", slog.String("text", fmt.Sprint(args...))) }
func (q quiet) Fatal(args ...any) { q.log.Error("asynq", slog.String("text", fmt.Sprint(args...))) }

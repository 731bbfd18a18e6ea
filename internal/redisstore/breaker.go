package redisstore

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"gapura/internal/clock"
)

// Breaker keeps requests from waiting, one after another, for a Redis that does not answer. It is a hook of a client whose
// answers are worth little; its own error comes at once.
type Breaker struct {
	clock    clock.Clock
	failures atomic.Int32
	restTill atomic.Int64 // unix nanoseconds
}

// NewBreaker returns a breaker that lets everything through.
func NewBreaker(c clock.Clock) *Breaker { return &Breaker{clock: c} }

// ErrResting is returned while Redis is left alone.
var ErrResting = errors.New("redis did not answer and is left alone for a moment")

const (
	restAfter = 5               // failures in a row
	restFor   = 2 * time.Second // then one command tries again
)

// DialHook implements redis.Hook.
func (b *Breaker) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		return next(ctx, network, address)
	}
}

// ProcessHook implements redis.Hook.
func (b *Breaker) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		if !b.allow() {
			command.SetErr(ErrResting)
			return ErrResting
		}
		err := next(ctx, command)
		b.report(err)
		return err
	}
}

// ProcessPipelineHook implements redis.Hook.
func (b *Breaker) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// allow reports whether to ask. After the rest exactly one caller tries; the others wait for its report.
func (b *Breaker) allow() bool {
	till := b.restTill.Load()
	if till == 0 {
		return true
	}
	now := b.clock.Now()
	return now.UnixNano() >= till && b.restTill.CompareAndSwap(till, now.Add(restFor).UnixNano())
}

// report counts what says that Redis is away or slow; an answer is one whatever it says.
func (b *Breaker) report(err error) {
	var answer redis.Error
	if err == nil || errors.As(err, &answer) {
		b.failures.Store(0)
		b.restTill.Store(0)
		return
	}
	if b.failures.Add(1) >= restAfter {
		b.restTill.Store(b.clock.Now().Add(restFor).UnixNano())
	}
}

var _ redis.Hook = (*Breaker)(nil)

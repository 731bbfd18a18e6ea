package redisqueue_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"gapura/internal/lifecycle"
)

// embedded is a Redis inside this process, for a program that is all there is. It listens on the loopback interface behind
// a password of its own, because others may have accounts on the machine, and it forgets everything when it ends: the
// outbox does not.
type embedded struct {
	server *miniredis.Miniredis
	secret string
}

// startEmbedded starts a server whose time goes on while group lives.
func startEmbedded(group *lifecycle.Group) (*embedded, error) {
	e := &embedded{server: miniredis.NewMiniRedis(), secret: rand.Text()}
	e.server.RequireAuth(e.secret)
	if err := e.server.Start(); err != nil {
		return nil, fmt.Errorf("the queue in this process: %w", err)
	}
	const second = time.Second // what a TTL is exact to; asynq's shortest is ten
	group.Every("queue clock", second, func(context.Context) { e.server.FastForward(second) })
	return e, nil
}

// Options say how to reach the server.
func (e *embedded) Options() *redis.Options {
	return &redis.Options{Addr: e.server.Addr(), Password: e.secret}
}

// Wipe forgets everything at once.
func (e *embedded) Wipe() { e.server.FlushAll() }

// Close ends the server.
func (e *embedded) Close() { e.server.Close() }

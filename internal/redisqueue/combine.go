package redisqueue

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"
)

// combining sends the scripts that many goroutines run at the same moment in one round trip: what comes while one is under way
// makes up the next. asynq runs one script a job to enqueue it, one to take it and one to finish it, and has no call for many.
// It is safe for concurrent use.
type combining struct {
	redis.UniversalClient

	mu      sync.Mutex
	waiting []*script
	sending bool
}

// script is one EVALSHA that waits for its answer.
type script struct {
	cmd  *redis.Cmd
	lead chan bool // true: send what waits, this script included; false: the answer is there
}

// maxCombined bounds one round trip: Redis answers nobody else while it runs them, at 20 us each.
const maxCombined = 64

// EvalSha implements redis.Scripter. An answer that Redis has lost the script comes back as ever, for redis.Script to load it.
func (c *combining) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	s := &script{cmd: evalSha(ctx, sha, keys, args), lead: make(chan bool, 1)}
	c.mu.Lock()
	c.waiting = append(c.waiting, s)
	leads := !c.sending
	c.sending = true
	c.mu.Unlock()
	if leads || <-s.lead {
		c.send(ctx, s)
	}
	return s.cmd
}

// send runs what waits, beginning with own, and makes who came meanwhile the next to send.
func (c *combining) send(ctx context.Context, own *script) {
	c.mu.Lock()
	n := min(len(c.waiting), maxCombined)
	batch := c.waiting[:n:n]
	c.waiting = c.waiting[n:]
	c.mu.Unlock()
	// The others' answers must not end with the context of the one who sends; the client's own timeouts bound it.
	ctx = context.WithoutCancel(ctx)
	// Each command has its own answer or error.
	_, _ = c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, s := range batch {
			_ = p.Process(ctx, s.cmd)
		}
		return nil
	})
	for _, s := range batch {
		if s != own {
			s.lead <- false
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sending = len(c.waiting) > 0; c.sending {
		c.waiting[0].lead <- true
	}
}

func evalSha(ctx context.Context, sha string, keys []string, args []any) *redis.Cmd {
	all := make([]any, 0, 3+len(keys)+len(args))
	all = append(all, "evalsha", sha, len(keys))
	for _, k := range keys {
		all = append(all, k)
	}
	return redis.NewCmd(ctx, append(all, args...)...)
}

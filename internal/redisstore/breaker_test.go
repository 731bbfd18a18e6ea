package redisstore

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"gapura/internal/clock"
)

// A Redis that hangs is asked five times, then by one command every two seconds; one that says no is there.
func TestARedisThatDoesNotAnswerIsLeftAlone(t *testing.T) {
	t.Parallel()
	manual := clock.NewManual(start)
	var asked int
	answer := context.DeadlineExceeded
	ask := NewBreaker(manual).ProcessHook(func(context.Context, redis.Cmder) error {
		asked++
		return answer
	})
	try := func(n int) (resting int) {
		for range n {
			if errors.Is(ask(t.Context(), redis.NewCmd(t.Context(), "get")), ErrResting) {
				resting++
			}
		}
		return resting
	}
	if resting := try(100); asked != restAfter || resting != 100-restAfter {
		t.Errorf("asked %d times", asked)
	}
	manual.Advance(restFor)
	if try(100); asked != restAfter+1 {
		t.Errorf("after the rest asked %d times", asked-restAfter)
	}
	manual.Advance(restFor)
	answer = redis.Nil
	if resting := try(100); resting != 0 {
		t.Errorf("it answers, and %d commands were not sent", resting)
	}
	manual.Advance(time.Hour)
	answer = errors.New("read: connection reset")
	if resting := try(restAfter); resting != 0 {
		t.Error("it was left alone too early")
	}
	if resting := try(1); resting != 1 {
		t.Error("it is not left alone")
	}
}

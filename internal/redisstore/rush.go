package redisstore

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"gapura/internal/jobs"
)

// Rush tells all processes how much registrations need the machine somewhere, and forgets it by itself.
type Rush struct {
	client redis.Cmdable
}

// NewRush returns a Rush kept by client.
func NewRush(client redis.Cmdable) *Rush { return &Rush{client: client} }

// Say says that there is demand for as long as ttl. Each demand has a key of its own: nodes that say different ones do not take
// back each other's word.
func (r *Rush) Say(ctx context.Context, demand jobs.Demand, ttl time.Duration) error {
	key := busyKey
	if demand == jobs.Late {
		key = rushKey
	}
	if err := r.client.Set(ctx, key, 1, ttl).Err(); err != nil {
		return fmt.Errorf("say that there is a rush: %w", err)
	}
	return nil
}

// Said returns the greatest demand that somebody has said; with an error jobs.Calm.
func (r *Rush) Said(ctx context.Context) (jobs.Demand, error) {
	said, err := r.client.MGet(ctx, rushKey, busyKey).Result()
	switch {
	case err != nil:
		return jobs.Calm, fmt.Errorf("ask whether there is a rush: %w", err)
	case said[0] != nil:
		return jobs.Late, nil
	case said[1] != nil:
		return jobs.Busy, nil
	}
	return jobs.Calm, nil
}

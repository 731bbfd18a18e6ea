package redisstore

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// Rush tells all processes that registrations wait for the database somewhere, and forgets it by itself.
type Rush struct {
	client redis.Cmdable
}

// NewRush returns a Rush kept by client.
func NewRush(client redis.Cmdable) *Rush { return &Rush{client: client} }

// Say says that there is a rush for as long as ttl.
func (r *Rush) Say(ctx context.Context, ttl time.Duration) error {
	if err := r.client.Set(ctx, rushKey, 1, ttl).Err(); err != nil {
		return fmt.Errorf("say that there is a rush: %w", err)
	}
	return nil
}

// Said reports whether somebody has said so.
func (r *Rush) Said(ctx context.Context) (bool, error) {
	n, err := r.client.Exists(ctx, rushKey).Result()
	if err != nil {
		return false, fmt.Errorf("ask whether there is a rush: %w", err)
	}
	return n > 0, nil
}

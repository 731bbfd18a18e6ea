package redisstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"gapura/internal/cache"
)

// Cache keeps finished documents for all nodes.
type Cache struct {
	client redis.Cmdable
}

// NewCache returns a cache kept by client.
func NewCache(client redis.Cmdable) *Cache { return &Cache{client: client} }

// Get implements cache.Store.
func (c *Cache) Get(ctx context.Context, name string) ([]byte, error) {
	value, err := c.client.Get(ctx, cacheKey(name)).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	return value, nil
}

// Set implements cache.Store.
func (c *Cache) Set(ctx context.Context, name string, value []byte, ttl time.Duration) error {
	if err := c.client.Set(ctx, cacheKey(name), value, ttl).Err(); err != nil {
		return fmt.Errorf("cache: %w", err)
	}
	return nil
}

var _ cache.Store = (*Cache)(nil)

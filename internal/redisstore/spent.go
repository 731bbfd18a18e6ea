package redisstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"gapura/internal/captcha"
	"gapura/internal/clock"
)

// Spent remembers used captcha answers for all nodes.
type Spent struct {
	client redis.Cmdable
	clock  clock.Clock
}

// NewSpent returns a set kept by client.
func NewSpent(client redis.Cmdable, c clock.Clock) *Spent { return &Spent{client: client, clock: c} }

// Spend implements captcha.Spent. It remembers for five minutes longer than until: nodes' clocks may be as far apart. Who
// comes first costs one round trip, everyone after two.
func (s *Spent) Spend(ctx context.Context, id, owner string, until time.Time) (bool, error) {
	const skew = 5 * time.Minute
	key, by := spentKey(hashed(id)), hashed(owner)
	ttl := max(until.Sub(s.clock.Now()), 0) + skew
	err := s.client.SetArgs(ctx, key, by, redis.SetArgs{Mode: "NX", TTL: ttl}).Err()
	if err == nil {
		return true, nil
	}
	if !errors.Is(err, redis.Nil) {
		return false, fmt.Errorf("used captcha answers: %w", err)
	}
	if owner == "" {
		return false, nil
	}
	first, err := s.client.Get(ctx, key).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return false, fmt.Errorf("used captcha answers: %w", err)
	}
	return first == by, nil
}

// hashed keeps what clients sent out of Redis, and keys short.
func hashed(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:16])
}

var _ captcha.Spent = (*Spent)(nil)

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

// Spend implements captcha.Spent. It remembers for five minutes longer than until: nodes' clocks may be as far apart.
func (s *Spent) Spend(ctx context.Context, id string, until time.Time) (bool, error) {
	const skew = 5 * time.Minute
	sum := sha256.Sum256([]byte(id))
	ttl := max(until.Sub(s.clock.Now()), 0) + skew
	err := s.client.SetArgs(ctx, spentKey(hex.EncodeToString(sum[:16])), "", redis.SetArgs{Mode: "NX", TTL: ttl}).Err()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("used captcha answers: %w", err)
	}
	return true, nil
}

var _ captcha.Spent = (*Spent)(nil)

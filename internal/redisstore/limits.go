package redisstore

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"gapura/internal/ratelimit"
)

// takeScript counts one request, by the arithmetic of ratelimit.Limit.Take in microseconds.
//
// KEYS[1]  limitKey
// ARGV[1]  what one request costs, in microseconds
// ARGV[2]  what a full quota costs
// ARGV[3]  what the reserve costs
// ARGV[4]  now in microseconds since 1970; 0: by Redis's own clock, which is the same for all nodes
//
// Returns what was kept before and now, from which the caller computes the decision: Lua's numbers hold microseconds of
// today exactly (2^53 is the year 2255), nanoseconds they do not.
var takeScript = redis.NewScript(`
local now = tonumber(ARGV[4])
if now == 0 then
  local t = redis.call('TIME')
  now = tonumber(t[1]) * 1000000 + tonumber(t[2])
end
local cost, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local kept = tonumber(redis.call('GET', KEYS[1]) or '0')
local base = math.min(math.max(kept, now), now + burst)
if base + cost <= now + burst - tonumber(ARGV[3]) then
  local left = math.ceil((base + cost - now) / 1000)
  redis.call('SET', KEYS[1], string.format('%.0f', base + cost), 'PX', string.format('%.0f', left))
end
return {kept, now}
`)

// Limits is the tier of the limits that all nodes share.
type Limits struct {
	client redis.Scripter
}

// NewLimits returns limits kept by client.
func NewLimits(client redis.Scripter) *Limits { return &Limits{client: client} }

// Take implements ratelimit.Shared, in one round trip.
func (l *Limits) Take(ctx context.Context, key string, limit ratelimit.Limit, reserve int) (ratelimit.Decision, error) {
	return l.takeAt(ctx, key, limit, reserve, 0)
}

func (l *Limits) takeAt(ctx context.Context, key string, limit ratelimit.Limit, reserve int, now int64) (ratelimit.Decision, error) {
	cost := limit.Spacing().Microseconds()
	kept, err := takeScript.Run(ctx, l.client, []string{limitKey(limit.Name, key)},
		cost, limit.Burst().Microseconds(), cost*int64(min(max(reserve, 0), limit.Quota)), now).Int64Slice()
	if err != nil {
		return ratelimit.Decision{}, fmt.Errorf("limit %s: %w", limit.Name, err)
	}
	if len(kept) != 2 {
		return ratelimit.Decision{}, fmt.Errorf("limit %s: the script returned %d values", limit.Name, len(kept))
	}
	micro := int64(time.Microsecond)
	_, decision := limit.Take(kept[0]*micro, kept[1]*micro, reserve)
	return decision, nil
}

var _ ratelimit.Shared = (*Limits)(nil)

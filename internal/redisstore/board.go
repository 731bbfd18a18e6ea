package redisstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"gapura/internal/waitroom"
)

const (
	boardTTL  = 3 * time.Second  // then followers ask the database: the leader is gone, or cannot reach Redis
	sampleTTL = 3 * time.Second  // then a node's sample says nothing any more
	nodeTTL   = 10 * time.Minute // then a node is gone for good
)

// postScript shows a record unless a newer one is shown: a leader that was overtaken must not take nodes back.
//
// KEYS[1]  roomKey
// ARGV[1]  when the record was made, in microseconds
// ARGV[2]  the record as JSON
// ARGV[3]  for how long it is shown, in milliseconds
var postScript = redis.NewScript(`
local shown = tonumber(redis.call('HGET', KEYS[1], 'at') or '-1')
if shown <= tonumber(ARGV[1]) then
  redis.call('HSET', KEYS[1], 'at', ARGV[1], 'body', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return 1
`)

// reportScript keeps a node's sample with Redis's own time.
//
// KEYS[1]  engineKey
// ARGV[1]  node
// ARGV[2]  the sample as JSON
// ARGV[3]  for how long the hash outlives its last report, in milliseconds
var reportScript = redis.NewScript(`
local t = redis.call('TIME')
local at = string.format('%.0f', tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000))
redis.call('HSET', KEYS[1], ARGV[1], at .. ' ' .. ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
`)

// Board shows the waiting rooms' records and the engines' samples to all nodes.
type Board struct {
	client redis.Cmdable
}

// NewBoard returns a board kept by client.
func NewBoard(client redis.Cmdable) *Board { return &Board{client: client} }

// Post implements waitroom.Board.
func (b *Board) Post(ctx context.Context, r waitroom.Record) error {
	body, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("waiting room record: %w", err)
	}
	err = postScript.Run(ctx, b.client, []string{roomKey(r.EventID)}, r.UpdatedAt.UnixMicro(), body, boardTTL.Milliseconds()).Err()
	if err != nil {
		return fmt.Errorf("post the waiting room: %w", err)
	}
	return nil
}

// Look implements waitroom.Board.
func (b *Board) Look(ctx context.Context, eventID int64) (waitroom.Record, bool, error) {
	var r waitroom.Record
	body, err := b.client.HGet(ctx, roomKey(eventID), "body").Bytes()
	if errors.Is(err, redis.Nil) {
		return r, false, nil
	}
	if err != nil {
		return r, false, fmt.Errorf("look at the waiting room: %w", err)
	}
	if err := json.Unmarshal(body, &r); err != nil {
		return r, false, fmt.Errorf("look at the waiting room: %w", err)
	}
	return r, r.EventID == eventID, nil
}

// Report implements waitroom.Board.
func (b *Board) Report(ctx context.Context, node string, s waitroom.Sample) error {
	body, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("engine sample: %w", err)
	}
	if err := reportScript.Run(ctx, b.client, []string{engineKey}, node, body, nodeTTL.Milliseconds()).Err(); err != nil {
		return fmt.Errorf("report the engine: %w", err)
	}
	return nil
}

// Samples implements waitroom.Board. It forgets nodes that are gone for good.
func (b *Board) Samples(ctx context.Context) (map[string]waitroom.Sample, error) {
	now, err := b.client.Time(ctx).Result()
	if err != nil {
		return nil, fmt.Errorf("engine samples: %w", err)
	}
	all, err := b.client.HGetAll(ctx, engineKey).Result()
	if err != nil {
		return nil, fmt.Errorf("engine samples: %w", err)
	}
	samples := make(map[string]waitroom.Sample, len(all))
	for node, text := range all {
		s, at, ok := parseSample(text)
		switch age := now.Sub(at); {
		case !ok || age > nodeTTL:
			_ = b.client.HDel(ctx, engineKey, node).Err() // the next look does it again
		case age <= sampleTTL:
			samples[node] = s
		}
	}
	return samples, nil
}

func parseSample(text string) (s waitroom.Sample, at time.Time, ok bool) {
	millis, body, found := strings.Cut(text, " ")
	ms, err := strconv.ParseInt(millis, 10, 64)
	if !found || err != nil || json.Unmarshal([]byte(body), &s) != nil {
		return s, at, false
	}
	return s, time.UnixMilli(ms), true
}

var _ waitroom.Board = (*Board)(nil)

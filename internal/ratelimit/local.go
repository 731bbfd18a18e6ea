package ratelimit

import (
	"hash/maphash"
	"sync"
	"time"
)

// Local is the tier in process: a fixed table, so a crowd of any size costs the memory it was given and no garbage. When
// a key finds its eight slots taken, the one that is closest to being as good as new is forgotten: usually that loses
// nothing, at worst somebody's count starts anew.
type Local struct {
	seed   maphash.Seed
	mask   uint64
	shards []shard
}

const ways = 8

// shard is a set of buckets under one lock, padded to keep neighbours' locks apart.
type shard struct {
	mu      sync.Mutex
	buckets [][ways]slot
	_       [32]byte
}

// slot is one key: its hash (0: free) and the instant at which it is as good as new, in unix nanoseconds.
type slot struct {
	key uint64
	tat int64
}

const shards = 64

// NewLocal returns a table for at least capacity keys, at 16 bytes each.
func NewLocal(capacity int) *Local {
	buckets := 1
	for buckets*ways*shards < capacity {
		buckets *= 2
	}
	l := &Local{seed: maphash.MakeSeed(), mask: uint64(buckets - 1), shards: make([]shard, shards)} //nolint:gosec // buckets is a power of two
	for i := range l.shards {
		l.shards[i].buckets = make([][ways]slot, buckets)
	}
	return l
}

// Take counts one request of key under limit, at now, leaving reserve requests untouched.
func (l *Local) Take(key string, limit Limit, now time.Time, reserve int) Decision {
	h := maphash.String(l.seed, key) ^ maphash.String(l.seed, limit.Name)*0x9e3779b97f4a7c15
	h = max(h, 1) // 0 means free
	s := &l.shards[h%shards]
	nanos := now.UnixNano()
	s.mu.Lock()
	defer s.mu.Unlock()
	at := find(&s.buckets[h/shards&l.mask], h)
	tat, d := limit.Take(at.tat, nanos, reserve)
	at.tat = tat
	return d
}

// find returns key's slot in the bucket, making one if there is none.
func find(bucket *[ways]slot, key uint64) *slot {
	oldest := &bucket[0]
	for i := range bucket {
		at := &bucket[i]
		if at.key == key {
			return at
		}
		if at.key == 0 || (oldest.key != 0 && at.tat < oldest.tat) {
			oldest = at
		}
	}
	*oldest = slot{key: key}
	return oldest
}

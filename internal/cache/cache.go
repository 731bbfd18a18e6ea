// Package cache shares finished documents between nodes, as far as that is quick. What is shared is a copy with a time after
// which it is gone; a store that is slow or away costs one short wait and then nothing for a while.
package cache

import (
	"context"
	"sync/atomic"
	"time"

	"gapura/internal/clock"
)

// Store keeps copies for all nodes.
type Store interface {
	// Get returns what is kept under name; nil: nothing.
	Get(ctx context.Context, name string) ([]byte, error)
	// Set keeps value for ttl. It must not change value.
	Set(ctx context.Context, name string, value []byte, ttl time.Duration) error
}

const (
	// within is how long a node waits for the store: making a document itself takes well below a millisecond.
	within = 20 * time.Millisecond
	// rest is how long a store that did not answer is left alone.
	rest = 2 * time.Second
)

// Shared is a Store that never fails and never makes anybody wait for long. A nil Shared keeps nothing.
type Shared struct {
	store    Store
	clock    clock.Clock
	restTill atomic.Int64 // unix nanoseconds
	hits     atomic.Int64
	misses   atomic.Int64
	failures atomic.Int64
}

// New returns a cache in front of store.
func New(store Store, c clock.Clock) *Shared { return &Shared{store: store, clock: c} }

// Get returns what another node or this one made, nil if there is nothing or the store does not answer in time.
func (s *Shared) Get(ctx context.Context, name string) []byte {
	if s == nil || s.resting() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	defer cancel()
	value, err := s.store.Get(ctx, name)
	s.report(err)
	switch {
	case err != nil:
		return nil
	case value == nil:
		s.misses.Add(1)
	default:
		s.hits.Add(1)
	}
	return value
}

// Set keeps value for the other nodes.
func (s *Shared) Set(ctx context.Context, name string, value []byte, ttl time.Duration) {
	if s == nil || s.resting() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	defer cancel()
	s.report(s.store.Set(ctx, name, value, ttl))
}

// Counts returns how often the store had what was asked for, had not, and did not answer.
func (s *Shared) Counts() (hits, misses, failures int64) {
	return s.hits.Load(), s.misses.Load(), s.failures.Load()
}

func (s *Shared) resting() bool { return s.clock.Now().UnixNano() < s.restTill.Load() }

func (s *Shared) report(err error) {
	if err == nil {
		return
	}
	s.failures.Add(1)
	s.restTill.Store(s.clock.Now().Add(rest).UnixNano())
}

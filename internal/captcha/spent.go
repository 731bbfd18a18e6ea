package captcha

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"gapura/internal/clock"
)

// LocalSpent remembers in process. It keeps two generations, so that forgetting costs nothing: what was used in the
// present or the previous generation is known.
type LocalSpent struct {
	clock    clock.Clock
	lifetime time.Duration
	largest  int
	mu       sync.Mutex
	began    time.Time
	present  map[[16]byte]struct{}
	previous map[[16]byte]struct{}
}

// ErrFull is returned when no more can be remembered. Only verified answers reach the set, so to fill it somebody must
// have solved that many captchas within a lifetime.
var ErrFull = errors.New("too many captcha answers to remember")

// NewLocalSpent returns a set that remembers for lifetime, which no answer may outlive, at most largest answers a
// generation, at some 40 bytes each.
func NewLocalSpent(c clock.Clock, lifetime time.Duration, largest int) *LocalSpent {
	return &LocalSpent{clock: c, lifetime: lifetime, largest: largest, present: map[[16]byte]struct{}{}}
}

// Spend implements Spent.
func (s *LocalSpent) Spend(_ context.Context, id string, until time.Time) (bool, error) {
	sum := sha256.Sum256([]byte(id))
	key := [16]byte(sum[:16])
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	if until.Sub(now) > s.lifetime {
		return false, errors.New("a captcha answer outlives the set that remembers it")
	}
	s.turn(now)
	if _, used := s.present[key]; used {
		return false, nil
	}
	if _, used := s.previous[key]; used {
		return false, nil
	}
	if len(s.present) >= s.largest {
		return false, ErrFull
	}
	s.present[key] = struct{}{}
	return true, nil
}

// turn starts a generation when the present one is as old as the longest-lived answer can get.
func (s *LocalSpent) turn(now time.Time) {
	switch age := now.Sub(s.began); {
	case age >= 2*s.lifetime:
		s.previous, s.present, s.began = nil, map[[16]byte]struct{}{}, now
	case age >= s.lifetime:
		s.previous, s.present, s.began = s.present, map[[16]byte]struct{}{}, now
	}
}

// TieredSpent remembers here and for all nodes. Where the shared set does not answer in time, an answer is used once on
// each node instead of once.
type TieredSpent struct {
	local   Spent
	shared  Spent
	timeout time.Duration
	misses  atomic.Int64
}

// NewTieredSpent returns a set that waits at most timeout for shared.
func NewTieredSpent(local, shared Spent, timeout time.Duration) *TieredSpent {
	return &TieredSpent{local: local, shared: shared, timeout: timeout}
}

// Misses returns how often the shared set did not answer.
func (t *TieredSpent) Misses() int64 { return t.misses.Load() }

// Spend implements Spent.
func (t *TieredSpent) Spend(ctx context.Context, id string, until time.Time) (bool, error) {
	first, err := t.local.Spend(ctx, id, until)
	if err != nil || !first {
		return first, err
	}
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	first, err = t.shared.Spend(ctx, id, until)
	if err != nil {
		t.misses.Add(1)
		return true, nil
	}
	return first, nil
}

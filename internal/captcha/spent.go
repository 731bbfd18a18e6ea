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
	present  map[digest]digest
	previous map[digest]digest
}

// digest stands for a name of any length: 128 bits, so that nobody finds two alike.
type digest [16]byte

func digestOf(s string) digest {
	sum := sha256.Sum256([]byte(s))
	return digest(sum[:16])
}

// ErrFull is returned when no more can be remembered. Only verified answers reach the set, so to fill it somebody must
// have solved that many captchas within a lifetime.
var ErrFull = errors.New("too many captcha answers to remember")

// NewLocalSpent returns a set that remembers for lifetime, which no answer may outlive, at most largest answers a
// generation, at some 80 bytes each.
func NewLocalSpent(c clock.Clock, lifetime time.Duration, largest int) *LocalSpent {
	return &LocalSpent{clock: c, lifetime: lifetime, largest: largest, present: map[digest]digest{}}
}

// Spend implements Spent.
func (s *LocalSpent) Spend(_ context.Context, id, owner string, until time.Time) (bool, error) {
	key, by := digestOf(id), digestOf(owner)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	if until.Sub(now) > s.lifetime {
		return false, errors.New("a captcha answer outlives the set that remembers it")
	}
	s.turn(now)
	if first, used := s.present[key]; used {
		return owner != "" && first == by, nil
	}
	if first, used := s.previous[key]; used {
		return owner != "" && first == by, nil
	}
	if len(s.present) >= s.largest {
		return false, ErrFull
	}
	s.present[key] = by
	return true, nil
}

// turn starts a generation when the present one is as old as the longest-lived answer can get.
func (s *LocalSpent) turn(now time.Time) {
	switch age := now.Sub(s.began); {
	case age >= 2*s.lifetime:
		s.previous, s.present, s.began = nil, map[digest]digest{}, now
	case age >= s.lifetime:
		s.previous, s.present, s.began = s.present, map[digest]digest{}, now
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
func (t *TieredSpent) Spend(ctx context.Context, id, owner string, until time.Time) (bool, error) {
	first, err := t.local.Spend(ctx, id, owner, until)
	if err != nil || !first {
		return first, err
	}
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	first, err = t.shared.Spend(ctx, id, owner, until)
	if err != nil {
		t.misses.Add(1)
		return true, nil
	}
	return first, nil
}

package cache_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"gapura/internal/cache"
	"gapura/internal/clock"
)

// shelf is a store that does as the test says.
type shelf struct {
	calls int
	value []byte
	err   error
	hang  bool
}

func (s *shelf) answer(ctx context.Context) error {
	s.calls++
	if s.hang {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.err
}

func (s *shelf) Get(ctx context.Context, _ string) ([]byte, error) { return s.value, s.answer(ctx) }

func (s *shelf) Set(ctx context.Context, _ string, value []byte, _ time.Duration) error {
	if err := s.answer(ctx); err != nil {
		return err
	}
	s.value = value
	return nil
}

func TestACopyIsFound(t *testing.T) {
	t.Parallel()
	s := cache.New(&shelf{}, clock.NewManual(time.Unix(1000, 0)))
	if got := s.Get(t.Context(), "a"); got != nil {
		t.Errorf("an empty store has %q", got)
	}
	s.Set(t.Context(), "a", []byte("x"), time.Second)
	if got := s.Get(t.Context(), "a"); string(got) != "x" {
		t.Errorf("got %q", got)
	}
	if hits, misses, failures := s.Counts(); hits != 1 || misses != 1 || failures != 0 {
		t.Error(hits, misses, failures)
	}
	var none *cache.Shared
	none.Set(t.Context(), "a", nil, 0)
	if none.Get(t.Context(), "a") != nil {
		t.Error("no cache has something")
	}
}

// A store that hangs or is gone costs one wait, then nothing until it is asked again.
func TestAStoreThatDoesNotAnswerIsLeftAlone(t *testing.T) {
	t.Parallel()
	for _, store := range []*shelf{{err: errors.New("connection refused"), value: []byte("x")}, {hang: true, value: []byte("x")}} {
		manual := clock.NewManual(time.Unix(1000, 0))
		s := cache.New(store, manual)
		for range 100 {
			if s.Get(t.Context(), "a") != nil {
				t.Error("a store that failed was believed")
			}
			s.Set(t.Context(), "a", nil, time.Second)
		}
		if store.calls != 1 {
			t.Errorf("asked %d times", store.calls)
		}
		store.err, store.hang = nil, false
		manual.Advance(2 * time.Second)
		if string(s.Get(t.Context(), "a")) != "x" {
			t.Error("it answers again, and is not asked")
		}
	}
}

package lifecycle

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStopEndsAndWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewGroup(t.Context())
		var ended atomic.Int64
		for range 3 {
			g.Go("worker", func(ctx context.Context) {
				<-ctx.Done()
				time.Sleep(time.Second) // it finishes what it has begun
				ended.Add(1)
			})
		}
		begin := time.Now()
		if err := g.Stop(t.Context()); err != nil || ended.Load() != 3 {
			t.Errorf("%d ended, %v", ended.Load(), err)
		}
		if took := time.Since(begin); took != time.Second {
			t.Errorf("stopped after %v", took)
		}
		if err := g.Stop(t.Context()); err != nil {
			t.Errorf("stopped twice: %v", err)
		}
	})
}

// TestStopNamesWhoIsLate, once each, and nobody who has ended.
func TestStopNamesWhoIsLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewGroup(t.Context())
		release := make(chan struct{})
		g.Go("punctual", func(ctx context.Context) { <-ctx.Done() })
		for range 2 {
			g.Go("stubborn", func(context.Context) { <-release })
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := g.Stop(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || strings.Count(err.Error(), "stubborn") != 1 || strings.Contains(err.Error(), "punctual") {
			t.Errorf("%v", err)
		}
		close(release)
		if err := g.Stop(t.Context()); err != nil {
			t.Errorf("after all have ended: %v", err)
		}
	})
}

func TestAGroupEndsWithItsParent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancel(t.Context())
		g := NewGroup(parent)
		ended := false
		g.Go("worker", func(ctx context.Context) {
			<-ctx.Done()
			ended = true
		})
		cancel()
		synctest.Wait()
		if !ended || g.Context().Err() == nil {
			t.Error("the parent has ended, the group has not")
		}
		if err := g.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestEveryRunsNowAndThen: at once, after every interval, and never two at a time.
func TestEveryRunsNowAndThen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewGroup(t.Context())
		begin := time.Now()
		var at []time.Duration
		busy := false
		g.Every("tick", time.Second, func(context.Context) {
			if busy {
				t.Error("two runs at a time")
			}
			busy = true
			at = append(at, time.Since(begin))
			if len(at) == 2 {
				time.Sleep(1500 * time.Millisecond) // a slow run delays the next
			}
			busy = false
		})
		time.Sleep(4500 * time.Millisecond)
		if err := g.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		want := []time.Duration{0, time.Second, 2500 * time.Millisecond, 3 * time.Second, 4 * time.Second}
		if len(at) != len(want) {
			t.Fatalf("ran at %v, want %v", at, want)
		}
		for i := range want {
			if at[i] != want[i] {
				t.Errorf("ran at %v, want %v", at, want)
				break
			}
		}
	})
}

package gather

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestEverythingAcceptedIsRunOnceInOrder(t *testing.T) {
	t.Parallel()
	var got []int
	g := New(Limits{Queue: 10_000, Batch: 7}, func(_ context.Context, items []int) {
		if len(items) > 7 {
			t.Errorf("a batch of %d, want at most 7", len(items))
		}
		got = append(got, items...)
	})
	for i := range 1000 {
		if err := g.Offer(i); err != nil {
			t.Fatal(err)
		}
	}
	g.Close()
	g.Work(t.Context(), time.Second)
	if len(got) != 1000 {
		t.Fatalf("ran %d items, want 1000", len(got))
	}
	for i, v := range got {
		if v != i {
			t.Fatalf("item %d came at place %d", v, i)
		}
	}
}

func TestWhatArrivesDuringARunIsTheNextRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sizes []int
		g := New(Limits{Queue: 100, Batch: 100}, func(_ context.Context, items []int) {
			sizes = append(sizes, len(items))
			time.Sleep(time.Second)
		})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { g.Work(ctx, time.Second) })
		_ = g.Offer(0)
		synctest.Wait()
		for i := range 50 {
			_ = g.Offer(i)
		}
		time.Sleep(3 * time.Second)
		cancel()
		wg.Wait()
		if len(sizes) != 2 || sizes[0] != 1 || sizes[1] != 50 {
			t.Fatalf("runs of %v, want [1 50]", sizes)
		}
	})
}

func TestFullAndClosedRefuseAtOnce(t *testing.T) {
	t.Parallel()
	g := New(Limits{Queue: 2, Batch: 2}, func(context.Context, []int) {})
	_, _ = g.Offer(1), g.Offer(2)
	if err := g.Offer(3); !errors.Is(err, ErrFull) || !g.Full() || g.Waiting() != 2 {
		t.Fatalf("third of two: %v", err)
	}
	g.Close()
	if err := g.Offer(4); !errors.Is(err, ErrClosed) {
		t.Fatalf("after close: %v", err)
	}
}

func TestStopDrainsWhatWasAccepted(t *testing.T) {
	t.Parallel()
	ran := 0
	g := New(Limits{Queue: 100, Batch: 10}, func(ctx context.Context, items []int) {
		if ctx.Err() != nil {
			t.Error("the drain runs under an ended context")
		}
		ran += len(items)
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range 35 {
		_ = g.Offer(i)
	}
	g.Close()
	g.drain(ctx, time.Second)
	if ran != 35 {
		t.Fatalf("ran %d, want 35", ran)
	}
}

func BenchmarkOffer(b *testing.B) {
	g := New(Limits{Queue: 1 << 30, Batch: 512}, func(context.Context, []int) {})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { g.Work(ctx, time.Second) })
	b.ReportAllocs()
	for i := range b.N {
		_ = g.Offer(i)
	}
	cancel()
	wg.Wait()
}

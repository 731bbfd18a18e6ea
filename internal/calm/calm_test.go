package calm_test

import (
	"sync"
	"testing"
	"time"

	"gapura/internal/calm"
)

func TestTheLeastImportantIsShedFirst(t *testing.T) {
	t.Parallel()
	// What is still let in with that many orders inside, of a hundred places.
	for _, test := range []struct {
		inside int
		in     []calm.Priority
		out    []calm.Priority
	}{
		{10, []calm.Priority{calm.Export, calm.Read, calm.Hold, calm.Admitted, calm.Payment, calm.Webhook}, nil},
		{20, []calm.Priority{calm.Read, calm.Hold}, []calm.Priority{calm.Export}},
		{60, []calm.Priority{calm.Hold, calm.Admitted}, []calm.Priority{calm.Export, calm.Read}},
		{80, []calm.Priority{calm.Admitted, calm.Payment}, []calm.Priority{calm.Hold, calm.Read}},
		{90, []calm.Priority{calm.Payment, calm.Webhook}, []calm.Priority{calm.Admitted, calm.Hold}},
		{95, []calm.Priority{calm.Webhook}, []calm.Priority{calm.Payment, calm.Admitted}},
		{100, nil, []calm.Priority{calm.Webhook}},
	} {
		g := calm.NewGate(calm.Limits{All: 100, Read: 50, Export: 2})
		for range test.inside {
			g.Enter(calm.Webhook)
		}
		for _, p := range test.in {
			if !g.Enter(p) {
				t.Errorf("%d inside: %s is kept out", test.inside, calm.Priorities()[p])
				continue
			}
			g.Leave(p)
		}
		for _, p := range test.out {
			if g.Enter(p) {
				t.Errorf("%d inside: %s is let in", test.inside, calm.Priorities()[p])
			}
			if g.Shed(p) != 1 {
				t.Errorf("%s: %d counted as shed", calm.Priorities()[p], g.Shed(p))
			}
		}
		if got := g.Inside(); got != int64(test.inside) {
			t.Errorf("%d inside, were %d", got, test.inside)
		}
	}
}

func TestReadsDoNotTakeEveryPlace(t *testing.T) {
	t.Parallel()
	g := calm.NewGate(calm.Limits{All: 1000, Read: 8, Export: 1})
	var crowd sync.WaitGroup
	var mu sync.Mutex
	in := 0
	for range 64 {
		crowd.Go(func() {
			if g.Enter(calm.Read) {
				mu.Lock()
				in++
				mu.Unlock()
			}
		})
	}
	crowd.Wait()
	if in > 8 || g.Inside() != int64(in) || !g.Enter(calm.Hold) {
		t.Errorf("%d reads are inside, %d in all", in, g.Inside())
	}
	var none *calm.Gate
	if !none.Enter(calm.Export) {
		t.Error("no gate keeps somebody out")
	}
	none.Leave(calm.Export)
}

func TestANodeDrownsAndRecoversSlowly(t *testing.T) {
	t.Parallel()
	var d calm.Depth
	now := time.Unix(1000, 0)
	// sample takes one every half second for as long as it says, and returns after how long the answer changed; -1: never.
	sample := func(wait, long time.Duration) time.Duration {
		before := d.Drowning()
		for at := time.Duration(0); at <= long; at += 500 * time.Millisecond {
			now = now.Add(500 * time.Millisecond)
			if d.Sample(now, wait) != before {
				return at
			}
		}
		return -1
	}
	if got := sample(1900*time.Millisecond, time.Minute); got != -1 {
		t.Errorf("a full queue is drowning after %v", got)
	}
	if got := sample(3*time.Second, 4*time.Second); got != -1 {
		t.Errorf("a hiccup is drowning after %v", got)
	}
	sample(0, 0)
	if got := sample(3*time.Second, time.Minute); got != calm.Patience {
		t.Errorf("drowning after %v", got)
	}
	for range 5 { // on the edge
		sample(400*time.Millisecond, 2*time.Second)
		if got := sample(time.Second, 10*time.Second); got != -1 {
			t.Errorf("not calm yet, and back after %v", got)
		}
	}
	if got := sample(0, time.Minute); got != calm.Patience || d.Drowning() {
		t.Errorf("calm again after %v", got)
	}
}

func BenchmarkEnter(b *testing.B) {
	g := calm.NewGate(calm.DefaultLimits())
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if g.Enter(calm.Hold) {
				g.Leave(calm.Hold)
			}
		}
	})
}

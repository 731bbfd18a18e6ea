package worker

import (
	"context"
	"log/slog"
	"sync"
	"testing"

	"gapura/internal/jobs"
	"gapura/internal/lifecycle"
)

func sending(n int64, sends int) jobs.Sending {
	return jobs.Sending{Job: jobs.Job{ID: n, Kind: jobs.Noop, Sends: sends}}
}

func TestLocalBringsEveryJobOnce(t *testing.T) {
	t.Parallel()
	l := NewLocal(slog.New(slog.DiscardHandler))
	if _, wiped, _ := l.Look(t.Context()); !wiped {
		t.Fatal("the first look does not say that a former process's jobs are lost")
	}
	if _, wiped, _ := l.Look(t.Context()); wiped {
		t.Fatal("the second look says that they are lost again")
	}
	const n = 1000
	var mu sync.Mutex
	done, all := map[int64]int{}, make(chan struct{})
	group := lifecycle.NewGroup(context.Background())
	l.Receive(group, map[jobs.Queue]int{jobs.Noop.Queue(): 8}, func(_ context.Context, s jobs.Sending) {
		mu.Lock()
		defer mu.Unlock()
		if done[s.ID]++; len(done) == n {
			close(all)
		}
	})
	for i := range int64(n) {
		if err := l.Send(t.Context(), []jobs.Sending{sending(i, 1)}); err != nil {
			t.Fatal(err)
		}
	}
	<-all
	if err := group.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for job, times := range done {
		if times != 1 {
			t.Fatalf("job %d was done %d times", job, times)
		}
	}
}

func TestLocalKnowsWhatIsStillThere(t *testing.T) {
	t.Parallel()
	l := NewLocal(slog.New(slog.DiscardHandler))
	_ = l.Send(t.Context(), []jobs.Sending{sending(1, 1), sending(1, 1), sending(2, 3)})
	waiting, _, _ := l.Look(t.Context())
	if waiting[jobs.Noop.Queue()] != 2 {
		t.Fatalf("%d wait, want 2: a second sending of the same job counts", waiting[jobs.Noop.Queue()])
	}
	alive, _ := l.Alive(t.Context(), []jobs.Sending{sending(1, 1), sending(1, 2), sending(2, 3)})
	if !alive[0] || alive[1] || !alive[2] {
		t.Fatalf("alive %v, want [true false true]", alive)
	}
	group := lifecycle.NewGroup(context.Background())
	var got sync.WaitGroup
	got.Add(2)
	l.Receive(group, map[jobs.Queue]int{jobs.Noop.Queue(): 1}, func(context.Context, jobs.Sending) { got.Done() })
	got.Wait()
	if err := group.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if alive, _ := l.Alive(t.Context(), []jobs.Sending{sending(1, 1)}); alive[0] {
		t.Fatal("a job that was done is still there")
	}
}

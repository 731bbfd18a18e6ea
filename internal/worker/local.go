package worker

import (
	"context"
	"log/slog"
	"sync"

	"gapura/internal/jobs"
	"gapura/internal/lifecycle"
)

// Local carries jobs from the relay to the workers of the same process, for a program that is all there is. Like Redis it is
// never believed: what it holds when the process ends is sent again. It costs microseconds a job, where asynq's scripts on a
// Redis inside this process took about 2 ms of processor time, which an opening needs for registrations.
type Local struct {
	log *slog.Logger

	mu     sync.Mutex
	looked bool
	lanes  map[jobs.Queue]chan jobs.Sending
	here   map[sendingKey]struct{} // waiting or being done
}

type sendingKey struct {
	job   int64
	sends int
}

// localRoom is how many jobs a lane holds, in 0.6 MB. The relay's window is below it, so a lane that is full has lost its workers.
const localRoom = 4096

// NewLocal returns a carrier without jobs.
func NewLocal(log *slog.Logger) *Local {
	l := &Local{log: log, lanes: map[jobs.Queue]chan jobs.Sending{}, here: map[sendingKey]struct{}{}}
	for _, q := range jobs.Queues() {
		l.lanes[q] = make(chan jobs.Sending, localRoom)
	}
	return l
}

// Look implements jobs.Carrier. The first look finds it empty: what a former process had taken is to be sent again.
func (l *Local) Look(context.Context) (waiting map[jobs.Queue]int, wiped bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	waiting = make(map[jobs.Queue]int, len(l.lanes))
	for q, lane := range l.lanes {
		waiting[q] = len(lane)
	}
	wiped, l.looked = !l.looked, true
	return waiting, wiped, nil
}

// Send implements jobs.Carrier.
func (l *Local) Send(_ context.Context, sendings []jobs.Sending) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range sendings {
		key := sendingKey{s.ID, s.Sends}
		if _, twice := l.here[key]; twice {
			continue
		}
		select {
		case l.lanes[s.Kind.Queue()] <- s:
			l.here[key] = struct{}{}
		default:
			l.log.Warn("a lane is full; the job waits for its lease to end", slog.Any("queue", s.Kind.Queue()))
		}
	}
	return nil
}

// Alive implements jobs.Carrier: here a worker dies only with the whole process.
func (l *Local) Alive(_ context.Context, sendings []jobs.Sending) ([]bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	alive := make([]bool, len(sendings))
	for i, s := range sendings {
		_, alive[i] = l.here[sendingKey{s.ID, s.Sends}]
	}
	return alive, nil
}

// Receive starts that many workers for each queue in group; each ends with it, after the job it is doing.
func (l *Local) Receive(group *lifecycle.Group, workers map[jobs.Queue]int, do func(ctx context.Context, s jobs.Sending)) {
	for q, n := range workers {
		for range n {
			group.Go("worker of "+string(q), func(ctx context.Context) { l.work(ctx, q, do) })
		}
	}
}

func (l *Local) work(ctx context.Context, q jobs.Queue, do func(ctx context.Context, s jobs.Sending)) {
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-l.lanes[q]:
			do(ctx, s)
			l.mu.Lock()
			delete(l.here, sendingKey{s.ID, s.Sends})
			l.mu.Unlock()
		}
	}
}

var _ jobs.Carrier = (*Local)(nil)

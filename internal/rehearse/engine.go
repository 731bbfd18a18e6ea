package rehearse

import (
	"container/heap"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"gapura/internal/lifecycle"
	"gapura/internal/rehearse/crowd"
)

// task is one request that is due.
type task struct {
	due     time.Duration // from the opening
	order   int32
	kind    Kind
	try     uint8
	receipt *Receipt // Cancel
}

// engine plays a crowd. The pacer is the only one that looks at the clock to send: it puts every task into the queue when it
// is due, whatever the server does, and the queue has room for all of them.
type engine struct {
	plan    *Plan
	target  *target
	crowd   *crowd.Crowd
	people  *crowd.People
	codes   *codeBook
	workers []*worker // the last ones carry bots' requests
	queue   chan task
	bots    chan task // bots have connections of their own, as they have elsewhere
	line    *line     // nil: there is no waiting room

	opening  time.Time
	begin    time.Time    // when the opening is to be; zero: at once
	pending  atomic.Int64 // tasks of people that are planned, queued or under way
	offered  atomic.Int64 // tasks of people that came due
	demands  atomic.Int64 // tasks of bots that came due
	answered atomic.Int64 // tasks of people that were carried out
	queued   atomic.Int64 // tasks that wait for a free connection
	acked    []atomic.Bool
	marks    []FaultMark
	marksMu  sync.Mutex

	mu    sync.Mutex
	later taskHeap // follow-ups

	redrawn, changed, notYet, disowned, tries atomic.Int64 // see judgeRoom
	breachesMu                                sync.Mutex
	breaches                                  Finding
}

// botConnections is how many requests of bots are under way at most.
const botConnections = 128

func newEngine(plan *Plan, t *target, c *crowd.Crowd, people *crowd.People) *engine {
	e := &engine{
		plan: plan, target: t, crowd: c, people: people, codes: newCodeBook(),
		// Every order has at most one planned visit or follow-up of each kind under way, so nothing can ever block here.
		queue: make(chan task, len(c.Orders)*2+len(c.Visits)),
		acked: make([]atomic.Bool, len(c.Orders)),
	}
	if q := plan.Crowd.Queue; q != nil {
		e.line = newLine(plan, t, c, q.Opens)
	}
	for range plan.Connections {
		e.workers = append(e.workers, newWorker(e, e.queue))
	}
	if c.Bots > 0 {
		e.bots = make(chan task, cap(e.queue))
		for range botConnections {
			e.workers = append(e.workers, newWorker(e, e.bots))
		}
	}
	return e
}

// breached notes that something made up was taken for true.
func (e *engine) breached(example string) {
	e.breachesMu.Lock()
	defer e.breachesMu.Unlock()
	e.breaches.broke(example)
}

// play runs the crowd to its end: every visit and its follow-ups done, or Drain passed since the last arrival, or ctx ended.
func (e *engine) play(ctx context.Context, watch func(ctx context.Context)) error {
	if err := e.connect(ctx); err != nil {
		return err
	}
	for _, v := range e.crowd.Visits {
		if !e.isBot(v.Order) {
			e.pending.Add(1)
		}
	}
	// A short lead lets the goroutines start before the first arrival is due.
	e.opening = time.Now().Add(100 * time.Millisecond)
	if !e.begin.IsZero() {
		e.opening = e.begin
	}
	helpers := lifecycle.NewGroup(ctx)
	visitors := lifecycle.NewGroup(ctx)
	for _, w := range e.workers {
		visitors.Go("visitor", w.run)
	}
	for i := range e.plan.Faults {
		helpers.Go("fault", func(ctx context.Context) { e.fail(ctx, &e.plan.Faults[i]) })
	}
	helpers.Every("sweeper", sweepEvery, e.sweep)
	helpers.Go("watch", watch)
	if e.line != nil {
		helpers.Go("captchas", e.solve)
		if e.line.post != nil {
			e.plan.Mail.Hand(e.mailed)
			defer e.plan.Mail.Hand(nil)
		}
	}
	e.pace(ctx)
	for _, w := range e.workers {
		w.quit.Store(true)
	}
	close(e.queue)
	if e.bots != nil {
		close(e.bots)
	}
	return e.stop(visitors, helpers) //nolint:contextcheck // stopping has a bound of its own: ctx may have ended
}

// stop ends all goroutines. Exchanges that are still under way are interrupted: they have had Drain.
func (e *engine) stop(visitors, helpers *lifecycle.Group) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for _, w := range e.workers {
		w.conn.Interrupt()
	}
	if err := visitors.Stop(ctx); err != nil {
		return fmt.Errorf("visitors: %w", err)
	}
	for _, w := range e.workers {
		w.conn.HangUp()
	}
	return helpers.Stop(ctx)
}

// connect opens all connections before the opening, so that the crowd does not begin with a storm of handshakes. For a waiting
// room, to which people come little by little, they are opened as people come.
func (e *engine) connect(ctx context.Context) error {
	if e.line != nil {
		return nil
	}
	for i, w := range e.workers {
		if err := w.conn.Dial(ctx); err != nil {
			for _, open := range e.workers[:i] {
				open.conn.HangUp()
			}
			return fmt.Errorf("connection %d of %d: %w", i+1, len(e.workers), err)
		}
	}
	return nil
}

// maxNap bounds how long the pacer sleeps: follow-ups are at least that far in the future when they are made.
const maxNap = 5 * time.Millisecond

// minNap is the pacer's step: at 20,000 arrivals a second it wakes 2,000 times, not 20,000, and an arrival is at most
// half a millisecond late, which its latency includes.
const minNap = 500 * time.Microsecond

// pace queues every task when it is due and returns when all are done, Drain has passed or ctx has ended.
func (e *engine) pace(ctx context.Context) {
	visits := e.crowd.Visits
	last := e.crowd.Visits[len(visits)-1].At
	if n := len(e.plan.Faults); n > 0 {
		for _, f := range e.plan.Faults {
			last = max(last, f.At)
		}
	}
	if e.line != nil {
		last = max(last, e.line.until)
	}
	nap := time.NewTimer(0)
	defer nap.Stop()
	for next := 0; ; {
		now := e.now()
		for next < len(visits) && visits[next].At <= now {
			v := visits[next]
			kind := First
			switch role := e.crowd.Orders[v.Order].Role; {
			case v.Double:
				kind = Double
			case role == crowd.Forger:
				kind = Prod
			case e.line != nil:
				kind = Look
			}
			e.offer(task{due: v.At, order: v.Order, kind: kind})
			next++
		}
		wait := e.followUps(now)
		if next < len(visits) {
			wait = min(wait, visits[next].At-now)
		} else if e.pending.Load() == 0 || now > last+e.plan.Drain {
			return
		}
		nap.Reset(max(wait, minNap))
		select {
		case <-ctx.Done():
			return
		case <-nap.C:
		}
	}
}

// followUps queues the follow-ups that are due and tells how long the pacer may sleep.
func (e *engine) followUps(now time.Duration) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.later) > 0 && e.later[0].due <= now {
		e.offer(heap.Pop(&e.later).(task))
	}
	if len(e.later) > 0 {
		return min(maxNap, e.later[0].due-now)
	}
	return maxNap
}

func (e *engine) offer(t task) {
	e.queued.Add(1)
	if e.isBot(t.order) {
		e.demands.Add(1)
		e.bots <- t
		return
	}
	e.offered.Add(1)
	e.queue <- t
}

// after plans a follow-up.
func (e *engine) after(wait time.Duration, t task) {
	t.due = e.now() + max(wait, 2*maxNap)
	if !e.isBot(t.order) {
		e.pending.Add(1)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	heap.Push(&e.later, t)
}

// now is the time since the opening.
func (e *engine) now() time.Duration { return time.Since(e.opening) }

// sweepEvery is how late a time-out may be noticed.
const sweepEvery = 250 * time.Millisecond

// sweep interrupts the exchanges that have taken longer than Timeout, and those that began while the run was being stopped.
func (e *engine) sweep(context.Context) {
	deadline := time.Now().Add(-e.plan.Timeout)
	for _, w := range e.workers {
		if w.quit.Load() || w.conn.Overdue(deadline) {
			w.conn.Interrupt()
		}
	}
}

// fail carries out one fault at its time.
func (e *engine) fail(ctx context.Context, f *Fault) {
	wait := time.NewTimer(time.Until(e.opening.Add(f.At)))
	defer wait.Stop()
	select {
	case <-ctx.Done():
		return
	case <-wait.C:
	}
	mark := FaultMark{Name: f.Name, At: e.now()}
	if err := f.Do(ctx); err != nil {
		mark.Err = err.Error()
	}
	mark.Took = e.now() - mark.At
	e.marksMu.Lock()
	defer e.marksMu.Unlock()
	e.marks = append(e.marks, mark)
}

// jitter spreads d evenly over half to one and a half of it.
func jitter(d time.Duration) time.Duration {
	return d/2 + time.Duration(rand.Int64N(int64(d)+1))
}

// taskHeap orders tasks by when they are due.
type taskHeap []task

func (h taskHeap) Len() int           { return len(h) }
func (h taskHeap) Less(i, j int) bool { return h[i].due < h[j].due }
func (h taskHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *taskHeap) Push(x any) { *h = append(*h, x.(task)) }

// Pop implements heap.Interface.
func (h *taskHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	*h = old[:len(old)-1]
	return t
}

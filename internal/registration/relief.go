package registration

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"gapura/internal/fault"
)

// errHangs is the cause of refusals while the database takes questions and does not answer.
var errHangs = fmt.Errorf("%w: it does not answer", ErrUnavailable)

// errAbandoned ends a transaction whose submissions were told that nothing is written: it must not commit any more.
var errAbandoned = errors.New("the database took too long")

// run is the batch that is being settled.
type run struct {
	began  time.Time
	cancel context.CancelFunc
	phase  atomic.Int32

	mu    sync.Mutex // held while somebody else than the committer looks at batch
	batch []*pending // nil: settled
}

// The phases of a run.
const (
	phaseOpen   int32 = iota // nothing can have been written
	phaseSealed              // COMMIT may have been sent
	phaseOver                // those who waited were answered without it
)

// seal is the last step before COMMIT. It fails if the submissions have been told that nothing is written.
func (r *run) seal() error {
	if !r.phase.CompareAndSwap(phaseOpen, phaseSealed) {
		return errAbandoned
	}
	return nil
}

// reopen begins an attempt; those before it wrote nothing.
func (r *run) reopen() error {
	r.phase.CompareAndSwap(phaseSealed, phaseOpen)
	if r.over() {
		return errAbandoned
	}
	return nil
}

func (r *run) over() bool { return r.phase.Load() == phaseOver }

// begin makes batch the run of the lane; end must be called when it has been settled.
func (l *lane) begin(ctx context.Context, batch []*pending, now time.Time) (running context.Context, end func()) {
	running, cancel := context.WithTimeout(ctx, commitFor)
	r := &run{began: now, cancel: cancel, batch: batch}
	l.run.Store(r)
	return running, func() {
		r.mu.Lock()
		r.batch = nil
		r.mu.Unlock()
		cancel()
	}
}

// relieveEvery is how often the engine looks for commits that hang.
const relieveEvery = 250 * time.Millisecond

// relieve answers those who wait for a commit that takes longer than the engine's patience, and shuts the door behind them.
// Waiting on would only make them learn it later: the committer itself stays with the database for commitFor.
func (e *Engine) relieve(context.Context) {
	patience := e.cfg.Limits.Patience
	now := e.cfg.Clock.Now()
	for _, l := range e.lanes.Load().byID {
		r := l.run.Load()
		if r != nil && now.Sub(r.began) > relieveEvery {
			l.wake()
		}
		if r != nil && patience > 0 && now.Sub(r.began) > patience {
			l.relieve(r)
		}
	}
}

func (l *lane) relieve(r *run) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.batch == nil {
		return
	}
	l.shut.Store(true)
	for _, p := range l.queue.Withdraw() {
		l.turnAway(p, l.overloaded(errAbandoned))
	}
	told := l.overloaded(errAbandoned)
	switch r.phase.Swap(phaseOver) {
	case phaseOver:
		return
	case phaseOpen:
		r.cancel()
	case phaseSealed:
		told = fault.Wrap(fault.OutcomeUnknown, fmt.Errorf("%w: %w", ErrCommitUnknown, errAbandoned)).After(jitter())
	}
	l.trouble("slow")
	for _, p := range r.batch {
		l.turnAway(p, told)
	}
	l.logOnceASecond("registrations are refused until the database answers again; check that it runs, that its disk is not stuck, "+
		"and that no other session holds a lock on the event", errAbandoned)
}

// shutLanes lists the lanes whose door was shut.
func (e *Engine) shutLanes() []*lane {
	var shut []*lane
	for _, l := range e.lanes.Load().byID {
		if l.shut.Load() {
			shut = append(shut, l)
		}
	}
	return shut
}

// reopen opens the door again, unless a commit still hangs.
func (l *lane) reopen() {
	if r := l.run.Load(); r != nil && r.over() && r.unsettled() {
		return
	}
	l.shut.Store(false)
}

func (r *run) unsettled() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.batch != nil
}

// condition remembers whether something is so.
type condition struct{ is atomic.Bool }

// turned notes how it is now and reports whether that is a change.
func (c *condition) turned(now bool) bool { return c.is.Swap(now) != now }

package waitroom

import (
	"context"
	"errors"
	"math"
	"time"
)

const (
	tick = 500 * time.Millisecond // how often the leader lets people in; a waiting page is told at most a second later

	// leaseTTL is for how long a dead leader stops entries at most. quietTTL is the same while nothing has changed for quietAfter
	// and nothing is due within quietBefore: a room lives for weeks, and each renewal is a commit.
	leaseTTL    = 3 * time.Second
	quietTTL    = 10 * time.Second
	quietAfter  = 30 * time.Second
	quietBefore = time.Minute

	askEvery       = 10 * time.Second // how often a node asks the database even if the board answers
	releaseTimeout = time.Second
)

// tenure is what a leading node remembers between two steps; the leading loop owns it.
type tenure struct {
	fence    int64    // 0: this node does not lead
	progress Progress // newer than what is kept, but only by what nobody can see
	kept     visible
	changed  time.Time // when that was last another
	anew     bool      // this node has let nobody in yet
}

// visible is the part of a Progress that visitors can see, or that must not be done twice. It is kept before it is shown; the
// rest, the memory of the admission, is kept along with it and with every renewal of the lease.
type visible struct {
	phase              Phase
	root, list         Hash
	closedAt, openedAt time.Time
	served, letIn      int64
	stock              Stock
	rate               float64
	delay              float64
}

func (p *Progress) visible() visible {
	return visible{p.Phase, p.Root, p.ListHash, p.ClosedAt, p.OpenedAt, p.Served, p.LetIn, p.Stock, p.rate(), p.Admission.delay()}
}

// rate is how many enter a second, to a tenth.
func (p *Progress) rate() float64 { return math.Round(p.Admission.Shown*10) / 10 }

// run keeps the room going until ctx ends, and then lets another node lead at once.
func (rm *room) run(ctx context.Context) {
	timer := time.NewTimer(tick)
	defer timer.Stop()
	next := rm.cfg.Clock.Now()
	for {
		rm.beat(ctx)
		now := rm.cfg.Clock.Now()
		if !now.Before(next) {
			next = latest(next.Add(tick), now) // what took too long is not made up for
		}
		timer.Reset(min(next.Sub(now), tick, rm.untilDue()))
		select {
		case <-timer.C:
		case <-ctx.Done():
			rm.release(ctx)
			return
		}
	}
}

func (rm *room) release(ctx context.Context) {
	if rm.tenure.fence == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	_, _ = rm.cfg.Store.Lease(ctx, rm.set.Load().EventID, rm.cfg.Node, 0) // otherwise it runs out
	if rm.cfg.Board != nil {
		r := rm.view.Load().record
		r.LeaseUntil = time.Time{}
		_ = rm.cfg.Board.Post(ctx, r) // so that other nodes ask the database at once
	}
}

// step reads how the room stands, moves it on if this node leads, and shows it. What it decides is durable before any visitor
// can see it, and a leader that was overtaken keeps nothing.
func (rm *room) step(ctx context.Context) error {
	eventID := rm.set.Load().EventID
	if rm.cfg.Board != nil {
		_ = rm.cfg.Board.Report(ctx, rm.cfg.Node, rm.cfg.Sample()) // without the board the leader goes by its own sample
	}
	if r, shown := rm.fromBoard(ctx); shown {
		return rm.show(ctx, r)
	}
	started := rm.cfg.Clock.Now()
	r, now, err := rm.cfg.Store.Load(ctx, eventID)
	if err != nil {
		return err
	}
	rm.setClock(started, now)
	led, err := rm.lead(ctx, &r, now)
	if err != nil {
		return errors.Join(err, rm.refresh(ctx))
	}
	if led && rm.cfg.Board != nil {
		_ = rm.cfg.Board.Post(ctx, r) // other nodes ask the database where the board shows nothing
	}
	if err := rm.show(ctx, r); err != nil {
		return err
	}
	if led || r.Phase == Ended { // then nobody leads, and what is kept must go all the same
		return rm.forget(ctx, now)
	}
	return nil
}

// fromBoard returns what another node that leads has shown, so that the database need not be asked.
func (rm *room) fromBoard(ctx context.Context) (Record, bool) {
	if rm.cfg.Board == nil || rm.tenure.fence != 0 || rm.cfg.Clock.Now().Sub(time.Unix(0, rm.asked.Load())) >= askEvery {
		return Record{}, false
	}
	r, shown, err := rm.cfg.Board.Look(ctx, rm.set.Load().EventID)
	return r, err == nil && shown && rm.now().Before(r.LeaseUntil)
}

// lead moves r on to now if this node leads, and reports whether it does.
func (rm *room) lead(ctx context.Context, r *Record, now time.Time) (bool, error) {
	held, err := rm.hold(ctx, r, now)
	if err != nil || !held {
		rm.tenure = tenure{}
		clear(rm.orders)
		return false, err
	}
	if err := rm.advance(ctx, r, now); err != nil {
		rm.tenure = tenure{} // what was kept is read again
		return false, err
	}
	return true, nil
}

// hold reports whether this node has the lease, taking it if nobody has, and puts what it remembers into r.
func (rm *room) hold(ctx context.Context, r *Record, now time.Time) (bool, error) {
	if alive := now.Before(r.LeaseUntil); r.Holder != rm.cfg.Node || !alive {
		if alive || r.Phase == Ended {
			return false, nil
		}
		lease, err := rm.cfg.Store.Lease(ctx, r.EventID, rm.cfg.Node, leaseTTL)
		if err != nil || !lease.Held {
			return false, err
		}
		r.Holder, r.Fence, r.LeaseUntil = rm.cfg.Node, lease.Fence, lease.Now.Add(leaseTTL)
	}
	if rm.tenure.fence == r.Fence {
		r.Progress = rm.tenure.progress
		return true, nil
	}
	rm.tenure = tenure{fence: r.Fence, progress: r.Progress, kept: r.visible(), changed: now, anew: true}
	return true, nil
}

// advance moves the room to now, and keeps where it stands if somebody could see the difference or the lease must be renewed.
func (rm *room) advance(ctx context.Context, r *Record, now time.Time) error {
	set := rm.set.Load()
	p := &r.Progress
	elapsed := now.Sub(p.UpdatedAt)
	before := p.Phase
	p.UpdatedAt = now
	p.Phase = nextPhase(*set, p, now)
	stock, remaining := rm.cfg.Left(set.EventID)
	p.Stock = stock
	p.Admission.Best = max(p.Admission.Best, rm.cfg.Sample().Best)
	switch {
	case p.Phase == Closed && before == Before:
		p.ClosedAt = now // from here on no draw is kept
	case p.Phase == Open && before != Open:
		p.OpenedAt = now
		p.Admission.Best = max(p.Admission.Best, rm.shown(ctx))
		rm.admit(ctx, r, now.Sub(set.OpensAt), remaining)
	case p.Phase == Open:
		rm.admit(ctx, r, elapsed, remaining)
	}
	if err := rm.keep(ctx, r, now); err != nil {
		return err
	}
	if p.Phase == Closed && p.Root.IsZero() {
		return rm.count(ctx, r, now)
	}
	return nil
}

// keep saves r's progress if that is due.
func (rm *room) keep(ctx context.Context, r *Record, now time.Time) error {
	seen, ttl := r.visible(), leaseTTL
	if seen == rm.tenure.kept && rm.quiet(now) {
		ttl = quietTTL
	}
	renew := now.Add(ttl/2).After(r.LeaseUntil) && r.Phase != Ended // after the end nobody needs to lead
	if seen != rm.tenure.kept || renew {
		if err := rm.cfg.Store.Save(ctx, r.EventID, r.Fence, r.Progress, ttl); err != nil {
			return err
		}
		r.LeaseUntil = now.Add(ttl) // or a little later
	}
	if seen != rm.tenure.kept {
		rm.tenure.changed = now
	}
	rm.tenure.kept, rm.tenure.progress = seen, r.Progress
	return nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// untilDue returns for how long nothing that has its own moment is due. At opening half a second is 15,000 visitors who were told
// that it has not begun and look again.
func (rm *room) untilDue() time.Duration {
	wait, now := time.Hour, rm.now()
	for _, due := range rm.set.Load().moments() {
		if until := due.Sub(now); until > 0 {
			wait = min(wait, until+time.Millisecond) // the database's clock is known to about that
		}
	}
	return wait
}

// quiet reports whether nothing has happened for a while and nothing is about to.
func (rm *room) quiet(now time.Time) bool {
	for _, due := range rm.set.Load().moments() {
		if until := due.Sub(now); until > 0 && until < quietBefore {
			return false
		}
	}
	return now.Sub(rm.tenure.changed) > quietAfter
}

// nextPhase returns the phase at now. The seed is revealed at opening, but never before the list's hash has stood for
// MinimumGap.
func nextPhase(set Settings, p *Progress, now time.Time) Phase {
	switch p.Phase {
	case Before:
		if set.Draw && !now.Before(set.DrawClosesAt()) {
			return Closed
		}
		if !set.Draw && !now.Before(set.OpensAt) {
			return Open
		}
	case Closed:
		if !p.Root.IsZero() && !now.Before(set.OpensAt) && !now.Before(p.ClosedAt.Add(MinimumGap)) {
			return Open
		}
	case Open:
		if !set.ClosesAt.IsZero() && !now.Before(set.ClosesAt) {
			return Ended
		}
	case Ended:
	}
	return p.Phase
}

// count hashes the closed list and keeps the hashes, which publishes them.
func (rm *room) count(ctx context.Context, r *Record, now time.Time) error {
	started := rm.cfg.Clock.Now()
	numbers, err := rm.cfg.Store.Numbers(ctx, r.EventID)
	if err != nil {
		return err
	}
	draw := CloseDraw(numbers)
	rm.closed.Store(draw)
	r.Drawn, r.Root, r.ListHash = int64(draw.Len()), draw.Root(), draw.ListHash()
	r.ClosedAt = rm.now()
	return rm.keep(ctx, r, now.Add(rm.cfg.Clock.Now().Sub(started)))
}

// admit lets in as many as the controller says, and those whom the organiser lets in by hand.
func (rm *room) admit(ctx context.Context, r *Record, elapsed time.Duration, remaining int64) {
	pressure, orders := rm.fared(ctx)
	if r.Stock == Held || r.Stock == SoldOut {
		remaining = 0
	}
	next, n := r.Admission.Step(rm.cfg.Tuning, Reading{
		Elapsed: elapsed, Pressure: pressure, Orders: orders, Line: r.Line(), Waiting: r.Line() - r.Served, Remaining: remaining,
		Paused: r.Operator.Paused, Ceiling: r.Operator.Ceiling, Anew: rm.tenure.anew,
	})
	rm.tenure.anew = false
	r.Admission = next
	r.Served += n
	if byHand := r.Operator.LetIn - r.LetIn; byHand > 0 {
		r.Served += min(byHand, max(r.Line()-r.Served, 0))
		r.LetIn = r.Operator.LetIn
	}
}

// fared returns the worst pressure of any node, and the orders of all since the last step.
func (rm *room) fared(ctx context.Context) (pressure time.Duration, orders int64) {
	for node, s := range rm.samples(ctx) {
		pressure = max(pressure, s.QueueWait, s.Commit)
		if last, known := rm.orders[node]; known && s.Orders > last {
			orders += s.Orders - last
		}
		rm.orders[node] = s.Orders
	}
	return pressure, orders
}

// shown returns what the engines of all nodes have shown together.
func (rm *room) shown(ctx context.Context) float64 {
	var best float64
	for _, s := range rm.samples(ctx) {
		best += s.Best
	}
	return best
}

// samples returns what every node says of its engine.
func (rm *room) samples(ctx context.Context) map[string]Sample {
	samples := map[string]Sample{}
	if rm.cfg.Board != nil {
		if all, err := rm.cfg.Board.Samples(ctx); err == nil {
			samples = all
		}
	}
	samples[rm.cfg.Node] = rm.cfg.Sample()
	return samples
}

package waitroom

import (
	"context"
	"time"
)

// lead takes one step as the room's leader, and reports whether this node is that. What it decides is durable before any
// visitor can see it, and a leader that was overtaken keeps nothing.
func (rm *room) lead(ctx context.Context) (bool, error) {
	eventID := rm.set.Load().EventID
	own := rm.cfg.Sample()
	if rm.cfg.Board != nil {
		_ = rm.cfg.Board.Report(ctx, rm.cfg.Node, own) // without the board the leader goes by its own sample
	}
	started := rm.cfg.Clock.Now()
	lease, err := rm.cfg.Store.Lease(ctx, eventID, rm.cfg.Node, leaseTTL)
	if err != nil || !lease.Held {
		clear(rm.orders)
		return false, err
	}
	rm.setClock(started, lease.Now)
	record, _, err := rm.cfg.Store.Load(ctx, eventID)
	if err != nil {
		return true, err
	}
	if err := rm.advance(ctx, &record, lease); err != nil {
		return true, err
	}
	if rm.cfg.Board != nil {
		_ = rm.cfg.Board.Post(ctx, record) // other nodes ask the database where the board shows nothing
	}
	return true, rm.show(ctx, record)
}

// advance moves the room to lease.Now and keeps where it stands.
func (rm *room) advance(ctx context.Context, r *Record, lease Lease) error {
	set := rm.set.Load()
	p := &r.Progress
	elapsed := lease.Now.Sub(p.UpdatedAt)
	before := p.Phase
	p.UpdatedAt = lease.Now
	p.Phase = nextPhase(*set, p, lease.Now)
	stock, remaining := rm.cfg.Left(set.EventID)
	p.Stock = stock
	switch {
	case p.Phase == Closed && before == Before:
		p.ClosedAt = lease.Now // from here on no draw is kept
	case p.Phase == Open && before != Open:
		p.OpenedAt = lease.Now
	case p.Phase == Open:
		rm.admit(ctx, r, elapsed, remaining)
	}
	if err := rm.cfg.Store.Save(ctx, r.EventID, lease.Fence, *p); err != nil {
		return err
	}
	if p.Phase == Closed && p.Root.IsZero() {
		return rm.count(ctx, r, lease)
	}
	return nil
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
	}
	return p.Phase
}

// count hashes the closed list and keeps the hashes, which publishes them.
func (rm *room) count(ctx context.Context, r *Record, lease Lease) error {
	numbers, err := rm.cfg.Store.Numbers(ctx, r.EventID)
	if err != nil {
		return err
	}
	draw := CloseDraw(numbers)
	rm.closed.Store(draw)
	r.Drawn, r.Root, r.ListHash = int64(draw.Len()), draw.Root(), draw.ListHash()
	r.ClosedAt = rm.now()
	return rm.cfg.Store.Save(ctx, r.EventID, lease.Fence, r.Progress)
}

// admit lets in as many as the controller says, and those whom the organiser lets in by hand.
func (rm *room) admit(ctx context.Context, r *Record, elapsed time.Duration, remaining int64) {
	pressure, orders := rm.fared(ctx)
	if r.Stock == Held || r.Stock == SoldOut {
		remaining = 0
	}
	next, n := r.Admission.Step(rm.cfg.Tuning, Reading{
		Elapsed: elapsed, Pressure: pressure, Orders: orders, Waiting: r.Line() - r.Served, Remaining: remaining,
		Paused: r.Operator.Paused, Ceiling: r.Operator.Ceiling,
	})
	r.Admission = next
	r.Served += n
	if byHand := r.Operator.LetIn - r.LetIn; byHand > 0 {
		r.Served += min(byHand, max(r.Line()-r.Served, 0))
		r.LetIn = r.Operator.LetIn
	}
}

// fared returns the worst pressure of any node, and the orders of all since the last step.
func (rm *room) fared(ctx context.Context) (pressure time.Duration, orders int64) {
	samples := map[string]Sample{}
	if rm.cfg.Board != nil {
		if all, err := rm.cfg.Board.Samples(ctx); err == nil {
			samples = all
		}
	}
	samples[rm.cfg.Node] = rm.cfg.Sample()
	for node, s := range samples {
		pressure = max(pressure, s.QueueWait, s.Commit)
		if last, known := rm.orders[node]; known && s.Orders > last {
			orders += s.Orders - last
		}
		rm.orders[node] = s.Orders
	}
	return pressure, orders
}

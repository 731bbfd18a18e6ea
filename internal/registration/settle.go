package registration

import (
	"context"
	"fmt"
	"time"

	"gapura/internal/event"
	"gapura/internal/fault"
	"gapura/internal/id"
)

// Settlement is one order under its event's lock, while somebody decides what becomes of it.
type Settlement struct {
	Tx    Tx
	Now   time.Time // the transaction's moment
	Order Order
	// PlaceFree says that every place of an order that has none could be taken again: quotas, option stocks and claims
	// allow it, and the race has not begun.
	PlaceFree bool
}

// Settle changes one order's state under its event's lock. decide sees the order as it stands and returns its new status,
// or "" to leave it; what it writes through the transaction is committed with the change. It must be repeatable: the
// transaction runs again after contention. A new status that has a place takes it again, one that has none gives it back.
// Settle returns the order as it stands afterwards, or a no_such_order fault.
func (e *Engine) Settle(ctx context.Context, order id.ID, decide func(ctx context.Context, s Settlement) (Status, error)) (Order, error) {
	known, err := e.cfg.Store.Order(ctx, order)
	if err != nil {
		return Order{}, publicError(err)
	}
	after := known
	err = e.inEvent(ctx, known.EventID, func(tx Tx, ledger *Ledger, now time.Time) error {
		orders, err := tx.Orders(ctx, []id.ID{order})
		if err != nil {
			return err
		}
		if len(orders) == 0 {
			return fault.New(fault.NoSuchOrder)
		}
		s := Settlement{Tx: tx, Now: now, Order: orders[0]}
		if s.PlaceFree, err = e.placeFree(ctx, tx, ledger, now, s.Order); err != nil {
			return err
		}
		status, err := decide(ctx, s)
		if err != nil {
			return err
		}
		after = s.Order
		if status == "" || status == after.Status {
			return nil
		}
		after.Status, after.Version = status, after.Version+1
		return e.move(ctx, tx, ledger, now, orders, status)
	})
	if err != nil {
		return known, publicError(err)
	}
	if after.Version != known.Version {
		e.hub.tell(Change{Order: order, Version: after.Version, Status: after.Status})
	}
	return after, nil
}

// placeFree reports whether an order without a place could have it again.
func (e *Engine) placeFree(ctx context.Context, tx Tx, ledger *Ledger, now time.Time, o Order) (bool, error) {
	if o.Status.Live() || !now.Before(ledger.Event.StartsAt) {
		return false, nil
	}
	wanted := map[event.Counter]int{}
	for i := range o.Participants {
		for _, c := range e.placesOf(ledger, &o.Participants[i]) {
			wanted[c]++
		}
	}
	for c, n := range wanted {
		if left := ledger.Counters[c].Left(); left >= 0 && left < n {
			return false, nil
		}
	}
	var claims []Claim
	for _, own := range e.claimsOf(ledger, o) {
		claims = append(claims, own.Claim)
	}
	taken, err := tx.Taken(ctx, claims)
	return len(taken) == 0, err
}

// placesOf lists the counters of a participant whose place is taken again. A tier is not among them: who paid late keeps the
// price that was promised, but others may have bought the tier's last places since.
func (e *Engine) placesOf(ledger *Ledger, p *Participant) []event.Counter {
	return ledger.Event.CountersOf(p.Category, p.Answers, -1)
}

// move writes a change of the orders' state with their places and claims.
func (e *Engine) move(ctx context.Context, tx Tx, ledger *Ledger, now time.Time, orders []Order, to Status) error {
	deltas := map[event.Counter]Count{}
	var given, taken []OwnedClaim
	ids := make([]id.ID, len(orders))
	for i := range orders {
		o := &orders[i]
		ids[i] = o.ID
		shift(deltas, ledger.Event, o, to)
		switch {
		case o.Status.Live() && !to.Live():
			given = append(given, e.claimsOf(ledger, *o)...)
		case !o.Status.Live() && to.Live():
			taken = append(taken, e.claimsOf(ledger, *o)...)
			if err := tx.LeaveTiers(ctx, o.ID); err != nil {
				return err
			}
		}
	}
	if err := tx.Release(ctx, given); err != nil {
		return err
	}
	if err := tx.Claim(ctx, taken); err != nil {
		return fmt.Errorf("take the place again: %w", err)
	}
	if err := tx.SetStatus(ctx, now, ids, to); err != nil {
		return err
	}
	return tx.Advance(ctx, ledger.LastSeq, deltas)
}

// shift adds to deltas what the counters change by when an order comes to that state. Who has had no place in between takes
// it again outside of the tiers.
func shift(deltas map[event.Counter]Count, e *event.Event, o *Order, to Status) {
	again := !o.Status.Live() && to.Live()
	for i := range o.Participants {
		p := &o.Participants[i]
		tier := p.Tier
		if again {
			tier = -1
		}
		for _, c := range e.CountersOf(p.Category, p.Answers, tier) {
			d := deltas[c]
			d.Taken += places(to) - places(o.Status)
			d.Held += holds(to) - holds(o.Status)
			deltas[c] = d
		}
	}
}

func places(s Status) int {
	if s.Live() {
		return 1
	}
	return 0
}

func holds(s Status) int {
	if s == AwaitingPayment {
		return 1
	}
	return 0
}

package registration

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gapura/internal/event"
	"gapura/internal/fault"
	"gapura/internal/id"
)

// Cancel gives the places of an unpaid or free order back.
func (e *Engine) Cancel(ctx context.Context, order id.ID) (Order, error) {
	o, err := e.cfg.Store.Order(ctx, order)
	if err != nil {
		return Order{}, publicError(err)
	}
	if !cancellable(o) {
		return o, fault.New(fault.WrongState).With("status", o.Status)
	}
	released, err := e.release(ctx, o.EventID, []id.ID{order}, Cancelled, cancellable)
	if err != nil {
		return o, publicError(err)
	}
	if released == 0 {
		return o, fault.New(fault.WrongState).With("status", o.Status)
	}
	return e.Order(ctx, order)
}

// cancellable: an order that is paid for is refunded instead.
func cancellable(o Order) bool {
	return o.Status == AwaitingPayment || (o.Status == Confirmed && o.Total == 0)
}

// expiryBatch is how many holds end in one transaction: at about 0.1 ms an order the event stays locked for 5 ms.
const expiryBatch = 50

// ExpireDue ends the holds whose time is over and returns how many places' orders it released. It works in small
// transactions, so that an opening beside it never waits long for the event's lock.
func (e *Engine) ExpireDue(ctx context.Context) (int, error) {
	total := 0
	for {
		now := e.cfg.Clock.Now()
		due, err := e.cfg.Store.DueHolds(ctx, now, expiryBatch)
		if err != nil {
			return total, fmt.Errorf("find ended holds: %w", err)
		}
		paying, err := e.closePaying(ctx, due)
		if err != nil {
			return total, err
		}
		ended := func(o Order) bool { return o.Status == AwaitingPayment && o.ExpiresAt.Before(now) && !paying[o.ID] }
		n := 0
		for eventID, orders := range byEvent(due) {
			released, err := e.release(ctx, eventID, orders, Expired, ended)
			if err != nil {
				return total, err
			}
			n += released
		}
		total += n
		if n+len(paying) == 0 || len(due) < expiryBatch {
			return total, nil
		}
	}
}

// closePaying hands the holds that may be paid at this moment to the closer and returns which they are.
func (e *Engine) closePaying(ctx context.Context, due []Due) (map[id.ID]bool, error) {
	if e.cfg.Closer == nil || len(due) == 0 {
		return nil, nil
	}
	orders := make([]id.ID, len(due))
	for i := range due {
		orders[i] = due[i].Order
	}
	paying, err := e.cfg.Closer.Paying(ctx, orders)
	if err != nil {
		return nil, fmt.Errorf("find holds that are being paid: %w", err)
	}
	known := make(map[id.ID]bool, len(paying))
	for _, order := range paying {
		known[order] = true
	}
	if len(paying) == 0 {
		return known, nil
	}
	return known, e.cfg.Closer.Close(ctx, paying)
}

func byEvent(due []Due) map[int64][]id.ID {
	all := map[int64][]id.ID{}
	for _, d := range due {
		all[d.EventID] = append(all[d.EventID], d.Order)
	}
	return all
}

// release moves those of the orders that still fit into status and gives their places back, in one transaction. It returns
// how many there were.
func (e *Engine) release(ctx context.Context, eventID int64, orders []id.ID, status Status, fits func(Order) bool) (int, error) {
	var changed []Order
	err := e.inEvent(ctx, eventID, func(tx Tx, ledger *Ledger, now time.Time) error {
		current, err := tx.Orders(ctx, orders)
		if err != nil {
			return err
		}
		changed = changed[:0]
		deltas := map[event.Counter]Count{}
		var claims []OwnedClaim
		var ids []id.ID
		for _, o := range current {
			if !fits(o) {
				continue
			}
			changed = append(changed, o)
			ids = append(ids, o.ID)
			subtract(deltas, ledger.Event, o)
			claims = append(claims, e.claimsOf(ledger, o)...)
		}
		if len(ids) == 0 {
			return ErrNothing
		}
		if err := tx.Release(ctx, claims); err != nil {
			return err
		}
		if err := tx.SetStatus(ctx, now, ids, status); err != nil {
			return err
		}
		return tx.Advance(ctx, ledger.LastSeq, deltas)
	})
	if err != nil {
		return 0, fmt.Errorf("release %d orders: %w", len(orders), err)
	}
	for _, o := range changed {
		e.hub.tell(Change{Order: o.ID, Version: o.Version + 1, Status: status})
	}
	return len(changed), nil
}

// inEvent runs work under the event's lock, again after contention, and shows the new state afterwards.
func (e *Engine) inEvent(ctx context.Context, eventID int64, work func(tx Tx, ledger *Ledger, now time.Time) error) error {
	l, ok := e.lanes.Load().byID[eventID]
	if !ok {
		return fmt.Errorf("event %d is not loaded", eventID)
	}
	var err error
	for attempt := range attempts {
		err = e.cfg.Store.InEvent(ctx, eventID, func(tx Tx) error {
			ledger, err := tx.Ledger(ctx, l.stored.Load())
			if err != nil {
				return err
			}
			return work(tx, &ledger, e.cfg.Clock.Now().Truncate(time.Millisecond))
		})
		if !errors.Is(err, ErrContention) {
			break
		}
		pause(ctx, attempt)
	}
	if errors.Is(err, ErrNothing) {
		return nil
	}
	if err == nil {
		// The new state shows at once; should this read fail, the next refresh brings it.
		_ = l.reload(ctx)
	}
	return err
}

func subtract(deltas map[event.Counter]Count, e *event.Event, o Order) {
	held := 0
	if o.Status == AwaitingPayment {
		held = 1
	}
	for i := range o.Participants {
		p := &o.Participants[i]
		for _, c := range e.CountersOf(p.Category, p.Answers, p.Tier) {
			d := deltas[c]
			d.Taken--
			d.Held -= held
			deltas[c] = d
		}
	}
}

func (e *Engine) claimsOf(ledger *Ledger, o Order) []OwnedClaim {
	var all []OwnedClaim
	for i := range o.Participants {
		for _, c := range e.cfg.Secrets.ClaimsOf(ledger.EventID, ledger.Event.Rules.UniqueBy, &o.Participants[i]) {
			all = append(all, OwnedClaim{Claim: c, Order: o.ID})
		}
	}
	return all
}

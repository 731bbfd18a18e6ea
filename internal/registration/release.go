package registration

import (
	"context"
	"errors"
	"fmt"
	"time"

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
		for _, o := range current {
			if fits(o) {
				changed = append(changed, o)
			}
		}
		if len(changed) == 0 {
			return ErrNothing
		}
		return e.move(ctx, tx, ledger, now, changed, status)
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

func (e *Engine) claimsOf(ledger *Ledger, o Order) []OwnedClaim {
	var all []OwnedClaim
	for i := range o.Participants {
		for _, c := range e.cfg.Secrets.ClaimsOf(ledger.EventID, ledger.Event.Rules.UniqueBy, &o.Participants[i]) {
			all = append(all, OwnedClaim{Claim: c, Order: o.ID})
		}
	}
	return all
}

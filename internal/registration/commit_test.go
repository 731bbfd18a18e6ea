package registration_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"gapura/internal/fault"
	"gapura/internal/registration"
	"gapura/test/conformance"
)

// TestALostCommitIsNotTakenForAnothersOrder: the connection is lost before COMMIT reaches the database, and before the
// outcome can be asked another node makes an order with the same key. That order is the answer, not the lost one.
func TestALostCommitIsNotTakenForAnothersOrder(t *testing.T) {
	t.Parallel()
	conformance.Each(t, func(t *testing.T, d *conformance.Database) {
		s := d.Store(t)
		eventID := conformance.Apply(t, s, conformance.Race(t, race, 10))
		other := start(t, d.Open(t))
		n := start(t, s)
		var elsewhere registration.Receipt
		n.calls.inEvent = func(ctx context.Context, eventID int64, work func(tx registration.Tx) error) error {
			n.calls.inEvent = nil // only the committer is here
			if err := s.InEvent(ctx, eventID, func(tx registration.Tx) error {
				must(t, work(tx))
				return registration.ErrNothing
			}); !errors.Is(err, registration.ErrNothing) {
				t.Error(err)
			}
			elsewhere = other.mustRegister(t, race, key(1), conformance.Request(1, "10k"))
			return fmt.Errorf("%w: connection reset", registration.ErrCommitUnknown)
		}
		mine, err := n.register(race, key(1), conformance.Request(1, "10k"))
		if err != nil || mine.Order.ID != elsewhere.Order.ID || !mine.Replayed {
			t.Errorf("told of order %s (replayed: %t, %v), want the one that exists, %s", mine.Order.ID, mine.Replayed, err, elsewhere.Order.ID)
		}
		auditClean(t, s, n.clock.Now(), eventID)
	})
}

// TestACancelWhoseCommitIsUnknown is no fault of the program.
func TestACancelWhoseCommitIsUnknown(t *testing.T) {
	t.Parallel()
	s := conformance.SQLite(t).Store(t)
	conformance.Apply(t, s, conformance.Race(t, race, 10))
	n := start(t, s)
	order := n.mustRegister(t, race, key(1), conformance.Request(1, "10k"))
	n.calls.inEvent = func(context.Context, int64, func(tx registration.Tx) error) error {
		return fmt.Errorf("%w: connection reset", registration.ErrCommitUnknown)
	}
	_, err := n.Cancel(t.Context(), order.Order.ID)
	want(t, err, fault.OutcomeUnknown)
}

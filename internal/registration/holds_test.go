package registration_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"gapura/internal/event"
	"gapura/internal/fault"
	"gapura/internal/id"
	"gapura/internal/registration"
	"gapura/test/conformance"
)

// TestEndedHoldsAreOnSaleAgain: what nobody paid can be bought by the next who asks, at the price of its tier, and the
// sold-out answer says from when on.
func TestEndedHoldsAreOnSaleAgain(t *testing.T) {
	t.Parallel()
	conformance.Each(t, func(t *testing.T, d *conformance.Database) {
		s := d.Store(t)
		const places = 120 // more than two batches of expiry
		eventID := conformance.Apply(t, s, conformance.Race(t, race, places))
		n, other := start(t, s), start(t, d.Open(t))
		ends := n.clock.Now().Add(30 * time.Minute)
		for i := range places {
			n.mustRegister(t, race, key(i), conformance.Request(i, "10k"))
		}
		_, err := n.register(race, key(places), conformance.Request(places, "10k"))
		want(t, err, fault.SoldOut)
		var refusal *fault.Fault
		errors.As(err, &refusal)
		if at, _ := refusal.Params["next_hold_ends_at"].(time.Time); refusal.Params["may_return"] != true || !at.Equal(ends) {
			t.Errorf("the refusal says %v, want holds that may return at %v", refusal.Params, ends)
		}
		must(t, other.Refresh(t.Context()))
		for name, node := range map[string]*node{"the node that sold": n, "the other": other} {
			live, err := node.Event(race)
			must(t, err)
			if level := live.Availability.Categories["10k"].Level; level != registration.Held || !live.NextExpiry.Equal(ends) {
				t.Errorf("%s shows %s until %v, want held until %v", name, level, live.NextExpiry, ends)
			}
		}
		for _, node := range []*node{n, other} {
			if ended, err := node.ExpireDue(t.Context()); err != nil || ended != 0 {
				t.Errorf("%d holds ended early, %v", ended, err)
			}
		}
		n.clock.Set(ends.Add(time.Millisecond))
		other.clock.Set(ends.Add(time.Millisecond))
		ended := expireOnBoth(t, n, other)
		if ended != places {
			t.Errorf("two nodes ended %d holds, want each of %d once", ended, places)
		}
		heard := newAnswers()
		crowd(2*places, func(i int) {
			receipt, err := n.insist(race, key(1000+i), conformance.Request(i, "10k"))
			heard.note(key(1000+i), receipt, err)
		})
		heard.check(t, s)
		if len(heard.orders) != places {
			t.Errorf("%d of %d returned places were sold: %v", len(heard.orders), places, heard.codes)
		}
		early := taken(t, s, eventID, event.TierCounter("10k", 0))
		if early.Taken != 5 {
			t.Errorf("%d early birds, want 5 again", early.Taken)
		}
		auditClean(t, s, n.clock.Now(), eventID)
	})
}

func expireOnBoth(t *testing.T, nodes ...*node) int {
	t.Helper()
	var mu sync.Mutex
	total := 0
	crowd(len(nodes), func(i int) {
		ended, err := nodes[i].ExpireDue(context.Background())
		mu.Lock()
		defer mu.Unlock()
		if total += ended; err != nil {
			t.Error(err)
		}
	})
	return total
}

// TestCancelGivesBack: the place, the option, the person and the key's answer.
func TestCancelGivesBack(t *testing.T) {
	t.Parallel()
	conformance.Each(t, func(t *testing.T, d *conformance.Database) {
		s := d.Store(t)
		eventID := conformance.Apply(t, s, conformance.Race(t, race, 2))
		n := start(t, s)
		r := conformance.Request(1, "10k")
		r.Participants = append(r.Participants, conformance.Person(2, "fun"))
		first := n.mustRegister(t, race, key(1), r)
		changes := n.Watch(t.Context(), first.Order.ID)
		cancelled, err := n.Cancel(t.Context(), first.Order.ID)
		if err != nil || cancelled.Status != registration.Cancelled || cancelled.Version != 2 {
			t.Fatalf("%s, version %d, %v", cancelled.Status, cancelled.Version, err)
		}
		for c := range changes {
			if c.Status == registration.Cancelled && c.Version == 2 {
				break // the watch may have told of version 1 before
			}
		}
		_, err = n.Cancel(t.Context(), first.Order.ID)
		want(t, err, fault.WrongState)
		_, err = n.Cancel(t.Context(), id.New())
		want(t, err, fault.NoSuchOrder)
		n.mustRegister(t, race, key(2), conformance.Request(1, "5k"))
		n.mustRegister(t, race, key(3), conformance.Request(2, "kids"))
		_, err = n.register(race, key(4), conformance.Request(4, "kids"))
		want(t, err, fault.SoldOut)
		auditClean(t, s, n.clock.Now(), eventID)
	})
}

// TestChurnSellsExactlyTheCapacity: people come, cancel, let holds end and come again, on two nodes at once.
func TestChurnSellsExactlyTheCapacity(t *testing.T) {
	t.Parallel()
	conformance.Each(t, func(t *testing.T, d *conformance.Database) {
		s := d.Store(t)
		const places = 50
		eventID := conformance.Apply(t, s, conformance.Race(t, race, places))
		nodes := []*node{start(t, s), start(t, d.Open(t))}
		for round := range 3 {
			crowd(200, func(i int) {
				n := nodes[i%2]
				receipt, err := n.register(race, key(round*1000+i), conformance.Request(i, []string{"10k", "fun"}[i%2]))
				if err == nil && i%3 == 0 {
					if _, err := n.Cancel(context.Background(), receipt.Order.ID); err != nil {
						t.Errorf("cancel: %v", err)
					}
				}
			})
			for _, n := range nodes {
				n.clock.Advance(31 * time.Minute)
			}
			expireOnBoth(t, nodes...)
			auditClean(t, s, nodes[0].clock.Now(), eventID)
		}
		heard := newAnswers()
		crowd(200, func(i int) {
			receipt, err := nodes[i%2].register(race, key(9000+i), conformance.Request(9000+i, "5k"))
			heard.note(key(9000+i), receipt, err)
		})
		heard.check(t, s)
		if got := taken(t, s, eventID, event.QuotaCounter("total")); got.Taken != places {
			t.Errorf("%d of %d places are taken", got.Taken, places)
		}
		auditClean(t, s, nodes[0].clock.Now(), eventID)
	})
}

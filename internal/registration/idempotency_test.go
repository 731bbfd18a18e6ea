package registration_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gapura/internal/event"
	"gapura/internal/fault"
	"gapura/internal/registration"
	"gapura/test/conformance"
)

const race = "first-race"

// sameAnswer fails the test unless the repeat is answered as the first request was.
func sameAnswer(t *testing.T, n *node, k string, r registration.Request, first registration.Receipt) {
	t.Helper()
	again, err := n.register(race, k, r)
	must(t, err)
	if !again.Replayed {
		t.Error("a repeat is not marked as one")
	}
	if diff := cmp.Diff(first.Order, again.Order, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("the repeat is answered differently (-first +repeat):\n%s", diff)
	}
}

// TestARepeatIsAnsweredLikeTheFirst, whatever has happened to the order, the event and the node since.
func TestARepeatIsAnsweredLikeTheFirst(t *testing.T) {
	t.Parallel()
	conformance.Each(t, func(t *testing.T, d *conformance.Database) {
		s := d.Store(t)
		eventID := conformance.Apply(t, s, conformance.Race(t, race, 2))
		n := start(t, s)
		paid, free := conformance.Request(1, "10k"), conformance.Request(2, "fun")
		one, two := n.mustRegister(t, race, key(1), paid), n.mustRegister(t, race, key(2), free)
		if one.Replayed || two.Replayed {
			t.Error("a first request is marked as a repeat")
		}
		all := func(n *node) {
			t.Helper()
			sameAnswer(t, n, key(1), paid, one)
			sameAnswer(t, n, key(2), free, two)
			_, err := n.register(race, key(1), free)
			want(t, err, fault.KeyReused)
		}
		all(n)
		fresh := func() *node {
			fresh := start(t, d.Open(t))
			fresh.clock.Set(n.clock.Now())
			return fresh
		}
		all(fresh())
		if _, err := n.Cancel(t.Context(), two.Order.ID); err != nil {
			t.Fatal(err)
		}
		n.clock.Advance(31 * time.Minute)
		if ended, err := n.ExpireDue(t.Context()); err != nil || ended != 1 {
			t.Fatalf("%d holds ended, %v", ended, err)
		}
		for _, order := range []registration.Receipt{one, two} {
			if now, err := n.Order(t.Context(), order.Order.ID); err != nil || now.Status.Live() {
				t.Fatalf("the order is still %s, %v", now.Status, err)
			}
		}
		all(n)
		all(fresh())
		n.clock.Set(conformance.Opening.AddDate(0, 2, 0)) // closed
		all(n)
		all(fresh())
		n.clock.Set(conformance.Opening.Add(-time.Hour)) // as if the opening had been moved
		all(n)
		all(fresh())
		n.clock.Set(conformance.Opening.Add(time.Hour))
		revised := conformance.Race(t, race, 2, func(e *event.Event) {
			e.Categories, e.Quotas[0].Categories, e.Quotas[1].Categories = e.Categories[1:2], []string{"5k"}, []string{"5k"}
		})
		conformance.Apply(t, s, revised) // the request would be invalid by now
		all(n)
		all(fresh())
		auditClean(t, s, n.clock.Now(), eventID)
	})
}

// TestARepeatOnANodeThatDoesNotKnowTheKey: the node was up before the order was made elsewhere, and the first thing that
// meets the repeat there would refuse it.
func TestARepeatOnANodeThatDoesNotKnowTheKey(t *testing.T) {
	t.Parallel()
	conformance.Each(t, func(t *testing.T, d *conformance.Database) {
		s := d.Store(t)
		conformance.Apply(t, s, conformance.Race(t, race, 1))
		tests := []struct {
			name    string
			prepare func(other *node)
		}{
			{"sold out", func(*node) {}},
			{"closed", func(other *node) { other.clock.Set(conformance.Opening.AddDate(0, 2, 0)) }},
			{"opening moved to later", func(other *node) { other.clock.Set(conformance.Opening.Add(-time.Hour)) }},
			{"the request became invalid", func(other *node) {
				conformance.Apply(t, s, conformance.Race(t, race, 1, func(e *event.Event) { e.Rules.MaxParticipants, e.Categories[0].MinAge = 1, 90 }))
				must(t, other.Refresh(t.Context()))
			}},
		}
		others := make([]*node, len(tests))
		for i := range tests {
			others[i] = start(t, d.Open(t))
		}
		r := conformance.Request(1, "10k")
		first := start(t, s).mustRegister(t, race, key(1), r)
		for i, test := range tests {
			must(t, others[i].Refresh(t.Context()))
			test.prepare(others[i])
			again, err := others[i].register(race, key(1), r)
			if err != nil || again.Order.ID != first.Order.ID || !again.Replayed {
				t.Errorf("%s: %v, %v", test.name, again.Order.Number, err)
			}
		}
	})
}

func TestARefusalBindsNothing(t *testing.T) {
	t.Parallel()
	conformance.Each(t, func(t *testing.T, d *conformance.Database) {
		s := d.Store(t)
		eventID := conformance.Apply(t, s, conformance.Race(t, race, 1))
		n := start(t, s)
		first := n.mustRegister(t, race, key(1), conformance.Request(1, "10k"))
		_, err := n.register(race, key(2), conformance.Request(2, "fun"))
		want(t, err, fault.SoldOut)
		_, err = n.register(race, key(3), conformance.Request(1, "fun"))
		want(t, err, fault.AlreadyRegistered)
		_, err = n.OrderByKey(t.Context(), key(2))
		want(t, err, fault.NoSuchOrder)
		_, err = n.Cancel(t.Context(), first.Order.ID)
		must(t, err)
		// Another payload under the refused key is a new request, and the person of the cancelled order may come again.
		second := n.mustRegister(t, race, key(2), conformance.Request(1, "fun"))
		if second.Replayed {
			t.Error("a refused key was replayed")
		}
		_, err = n.register(race, key(3), conformance.Request(1, "fun"))
		want(t, err, fault.AlreadyRegistered)
		auditClean(t, s, n.clock.Now(), eventID)
	})
}

// TestRepeatsInFlightShareOneResult holds the first request at the database while the others come.
func TestRepeatsInFlightShareOneResult(t *testing.T) {
	t.Parallel()
	s := conformance.SQLite(t).Store(t)
	conformance.Apply(t, s, conformance.Race(t, race, 100))
	n := start(t, s)
	arrived, gate := make(chan struct{}), make(chan struct{})
	var inserts atomic.Int64
	n.calls.inEvent = func(ctx context.Context, eventID int64, work func(tx registration.Tx) error) error {
		if inserts.Add(1) == 1 {
			close(arrived)
			<-gate
		}
		return s.InEvent(ctx, eventID, work)
	}
	r := conformance.Request(1, "10k")
	const repeats = 500
	heard := newAnswers()
	done := make(chan struct{})
	go func() {
		receipt, err := n.register(race, key(1), r)
		heard.note(key(1), receipt, err)
		close(done)
	}()
	<-arrived
	_, err := n.register(race, key(1), conformance.Request(2, "10k"))
	want(t, err, fault.KeyInFlight)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = n.Register(gone, race, key(1), r)
	want(t, err, fault.KeyInFlight)
	opened := make(chan struct{}, repeats)
	finished := make(chan struct{})
	go func() {
		crowd(repeats, func(int) {
			opened <- struct{}{}
			receipt, err := n.register(race, key(1), r)
			heard.note(key(1), receipt, err)
		})
		close(finished)
	}()
	for range repeats {
		<-opened
	}
	close(gate)
	<-done
	<-finished
	if heard.fresh != 1 || len(heard.codes) != 0 {
		t.Errorf("%d first answers, refusals %v", heard.fresh, heard.codes)
	}
	heard.check(t, s)
	if got := inserts.Load(); got != 1 {
		t.Errorf("%d transactions for one order", got)
	}
}

// TestAStormOfRepeatsCostsTheDatabaseNothing: 10,000 repeats of orders that the node knows, and of orders that it only
// finds in the database.
func TestAStormOfRepeatsCostsTheDatabaseNothing(t *testing.T) {
	t.Parallel()
	conformance.Each(t, func(t *testing.T, d *conformance.Database) {
		s := d.Store(t)
		conformance.Apply(t, s, conformance.Race(t, race, 100))
		before := start(t, s)
		const orders = 20
		for i := range orders {
			before.mustRegister(t, race, key(i), conformance.Request(i, "10k"))
		}
		for name, n := range map[string]*node{"a node that made them": before, "a fresh node": start(t, d.Open(t))} {
			n.calls.transactions.Store(0)
			heard := newAnswers()
			crowd(10_000, func(i int) {
				receipt, err := n.register(race, key(i%orders), conformance.Request(i%orders, "10k"))
				heard.note(key(i%orders), receipt, err)
			})
			heard.check(t, s)
			if heard.fresh != 0 || len(heard.codes) != 0 {
				t.Errorf("%s: %d answers that are no replay, refusals %v", name, heard.fresh, heard.codes)
			}
			asked := n.calls.transactions.Load() + n.calls.lookups.Load()
			if limit := int64(orders); asked > limit {
				t.Errorf("%s: 10,000 repeats were %d transactions and look-ups, want at most %d", name, asked, limit)
			}
			t.Logf("%s: %d transactions and look-ups", name, asked)
		}
	})
}

// TestARefusalIsNotCertainWithoutTheDatabase: a request that is invalid today may have an order from yesterday, so nothing
// is said about it while the database is away.
func TestARefusalIsNotCertainWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	s := conformance.SQLite(t).Store(t)
	conformance.Apply(t, s, conformance.Race(t, race, 1))
	n := start(t, s)
	n.calls.order = func() error { return errors.Join(registration.ErrUnavailable, errors.New("gone")) }
	_, err := n.register(race, key(1), registration.Request{})
	want(t, err, fault.Overloaded)
	n.calls.order = nil
	_, err = n.register(race, key(1), registration.Request{})
	want(t, err, fault.ValidationFailed)
}

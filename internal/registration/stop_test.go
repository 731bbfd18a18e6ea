package registration_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"gapura/internal/fault"
	"gapura/internal/registration"
	"gapura/test/conformance"
)

// TestStopAnswersWhatWasAccepted: everybody in the queue gets an answer from the database, whoever comes later is refused.
func TestStopAnswersWhatWasAccepted(t *testing.T) {
	t.Parallel()
	conformance.Each(t, func(t *testing.T, d *conformance.Database) {
		s := d.Store(t)
		eventID := conformance.Apply(t, s, conformance.Race(t, race, 1000))
		n := start(t, s, func(c *registration.Config) { c.Limits.Batch = 50 })
		g := newGate(n)
		heard := newAnswers()
		var all sync.WaitGroup
		come := func(i int) {
			all.Go(func() {
				receipt, err := n.register(race, key(i), conformance.Request(i, "10k"))
				heard.note(key(i), receipt, err)
			})
		}
		come(0)
		<-g.arrived
		const queue = 400
		for i := range queue {
			come(i + 1)
		}
		await(t, "everybody queues", func() bool { return n.Waiting(race) == queue })
		stopped := make(chan struct{})
		go func() {
			stop(t, n)
			close(stopped)
		}()
		await(t, "the door is shut", func() bool { return n.Shed(race, key(9000)) != nil })
		_, err := n.register(race, key(9000), conformance.Request(9000, "fun"))
		want(t, err, fault.Overloaded)
		close(g.open)
		<-stopped
		all.Wait()
		if len(heard.orders) != queue+1 || len(heard.codes) != 0 {
			t.Errorf("%d accepted, refusals %v, want %d", len(heard.orders), heard.codes, queue+1)
		}
		heard.check(t, s)
		auditClean(t, s, n.clock.Now(), eventID)
	})
}

// TestOverflowIsRefusedAtOnce: while the database is busy a full queue answers without waiting, and what waited too long is
// not begun any more.
func TestOverflowIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	s := conformance.SQLite(t).Store(t)
	eventID := conformance.Apply(t, s, conformance.Race(t, race, 1000))
	n := start(t, s, func(c *registration.Config) {
		c.Limits = registration.Limits{Queue: 10, Batch: 5, MaxWait: time.Second}
	})
	g := newGate(n)
	heard := newAnswers()
	var all sync.WaitGroup
	come := func(i int) {
		all.Go(func() {
			receipt, err := n.register(race, key(i), conformance.Request(i, "10k"))
			heard.note(key(i), receipt, err)
		})
	}
	come(0)
	<-g.arrived
	for i := range 10 {
		come(i + 1)
	}
	await(t, "the queue is full", func() bool { return n.Waiting(race) == 10 })
	_, err := n.register(race, key(100), conformance.Request(100, "10k")) // would hang here if it waited
	want(t, err, fault.Overloaded)
	var f *fault.Fault
	if !errors.As(err, &f) || f.RetryAfter < time.Second || f.RetryAfter > 4*time.Second {
		t.Errorf("retry after: %v", err)
	}
	if err := n.Shed(race, key(100)); fault.CodeOf(err) != fault.Overloaded {
		t.Errorf("a stranger is not shed: %v", err)
	}
	n.clock.Advance(2 * time.Second)
	close(g.open)
	all.Wait()
	if heard.acknowledged() != 1 || heard.codes[fault.Overloaded] != 10 {
		t.Errorf("%d accepted, refusals %v, want 1 and 10 overloaded", heard.acknowledged(), heard.codes)
	}
	if err := n.Shed(race, key(100)); err != nil {
		t.Errorf("shed without need: %v", err)
	}
	again, err := n.register(race, key(5), conformance.Request(5, "10k"))
	if err != nil || again.Replayed {
		t.Errorf("what was refused comes again: %v, %v", again.Replayed, err)
	}
	auditClean(t, s, n.clock.Now(), eventID)
}

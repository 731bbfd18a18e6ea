package registration_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gapura/internal/fault"
	"gapura/internal/registration"
	"gapura/internal/store"
	"gapura/test/conformance"
)

// times counts how often a text is in the log.
func (l *lines) times(text string) int { return strings.Count(l.String(), text) }

// TestAnUnreadableEventStopsNoOther: one event's definition is damaged before a node starts and another's while it runs. The
// rest opens, sells and is kept up to date, and the log says what to do, once.
func TestAnUnreadableEventStopsNoOther(t *testing.T) {
	t.Parallel()
	conformance.Each(t, func(t *testing.T, d *conformance.Database) {
		s := d.Store(t)
		damaged := conformance.Apply(t, s, conformance.Race(t, "damaged-race", 10))
		conformance.Apply(t, s, conformance.Race(t, race, 10))
		turns := conformance.Apply(t, s, conformance.Race(t, "third-race", 10))
		d.Exec(t, "UPDATE events SET definition = '{\"slug\":' WHERE id = ?", damaged)
		m := &meter{}
		n := start(t, s, metered(m))
		_, err := n.Event("damaged-race")
		want(t, err, fault.NoSuchEvent)
		n.mustRegister(t, race, key(1), conformance.Request(1, "10k"))
		n.mustRegister(t, "third-race", key(2), conformance.Request(2, "10k"))

		d.Exec(t, "UPDATE events SET definition = 'no JSON' WHERE id = ?", turns)
		d.Exec(t, "UPDATE event_state SET revision = revision + 1 WHERE event_id = ?", turns)
		good := conformance.Apply(t, s, conformance.Race(t, race, 20))
		for range 3 {
			must(t, n.Refresh(t.Context()))
		}
		live, err := n.Event(race)
		if err != nil || live.Availability.Places != 19 {
			t.Errorf("the good event has %d places, %v, want 19", live.Availability.Places, err)
		}
		n.mustRegister(t, race, key(3), conformance.Request(3, "10k"))
		_, err = n.register("third-race", key(4), conformance.Request(4, "10k"))
		want(t, err, fault.Overloaded)
		if n.logs.times("refused as overloaded until the database answers again; apply the event's file again") != 1 {
			t.Errorf("the log does not say what to do:\n%s", n.logs)
		}
		for _, eventID := range []int64{damaged, turns} {
			if got := n.logs.times(fmt.Sprintf("apply its file again: gapura event apply FILE\" event_id=%d ", eventID)); got != 1 {
				t.Errorf("event %d is complained of %d times, want once:\n%s", eventID, got, n.logs)
			}
		}
		if m.count("unreadable") != 2 {
			t.Errorf("troubles %v, want two unreadable events", m.all())
		}

		conformance.Apply(t, s, conformance.Race(t, "damaged-race", 10))
		conformance.Apply(t, s, conformance.Race(t, "third-race", 10))
		must(t, n.Refresh(t.Context()))
		n.mustRegister(t, "damaged-race", key(5), conformance.Request(5, "10k"))
		n.mustRegister(t, "third-race", key(4), conformance.Request(4, "10k"))
		if got := n.logs.times("an event can be read again"); got != 2 {
			t.Errorf("the log says %d times that an event can be read again, want 2", got)
		}
		for _, eventID := range []int64{damaged, good, turns} {
			auditClean(t, s, n.clock.Now(), eventID)
		}
	})
}

// TestAnEventThatKeepsItsHoldsStopsNoOther: the holds of one event, more of them than a round takes and the longest overdue,
// cannot be ended. Those of the others are, and the log says so once.
func TestAnEventThatKeepsItsHoldsStopsNoOther(t *testing.T) {
	t.Parallel()
	conformance.Each(t, func(t *testing.T, d *conformance.Database) {
		s := d.Store(t)
		const places = 60
		stuck := conformance.Apply(t, s, conformance.Race(t, "stuck-race", places))
		good := conformance.Apply(t, s, conformance.Race(t, race, places))
		m := &meter{}
		n := start(t, s, metered(m))
		for i := range places {
			n.mustRegister(t, "stuck-race", key(i), conformance.Request(i, "10k"))
		}
		n.clock.Advance(time.Second)
		for i := range places {
			n.mustRegister(t, race, key(1000+i), conformance.Request(i, "10k"))
		}
		n.clock.Advance(31 * time.Minute)
		release := keepHolds(t, d, stuck)
		for range 2 {
			begin := time.Now()
			if _, err := n.ExpireDue(t.Context()); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begin); took > 10*time.Second {
				t.Errorf("one event held a round up for %v", took)
			}
		}
		if left := d.Number(t, "SELECT COUNT(*) FROM orders WHERE hold_until IS NOT NULL AND event_id = ?", good); left > 0 {
			t.Errorf("%d ended holds of the good event are left", left)
		}
		if got := n.logs.times("ended holds of an event cannot be released"); got != 1 || m.count("expiry") != 2 {
			t.Errorf("logged %d times, want once; troubles %v, want two of expiry:\n%s", got, m.all(), n.logs)
		}
		release()
		if ended, err := n.ExpireDue(t.Context()); err != nil || ended != places {
			t.Errorf("%d holds ended afterwards, %v, want %d", ended, err, places)
		}
		if got := n.logs.times("ended holds are released again"); got != 1 {
			t.Errorf("the end of the trouble is logged %d times", got)
		}
		for _, eventID := range []int64{stuck, good} {
			auditClean(t, s, n.clock.Now(), eventID)
		}
	})
}

// keepHolds makes it impossible to end the holds of one event until the function it returns is called: on MariaDB another
// session holds its row, on SQLite, where a lock is everybody's, the row objects.
func keepHolds(t *testing.T, d *conformance.Database, eventID int64) (release func()) {
	t.Helper()
	if d.Driver == store.DriverSQLite {
		d.Exec(t, fmt.Sprintf("CREATE TRIGGER keep BEFORE UPDATE ON event_state WHEN NEW.event_id = %d BEGIN SELECT RAISE(ABORT, 'kept'); END", eventID))
		return func() { d.Exec(t, "DROP TRIGGER keep") }
	}
	c := session(t, d)
	lock(t, c, "SELECT * FROM event_state WHERE event_id = ?", eventID)
	return func() { execute(t, c, "ROLLBACK") }
}

// TestWhatAHangingCommitIsToldToThoseWhoWait: beyond the engine's patience a batch that is not yet sealed is overloaded and
// never written; one whose COMMIT is out is unknown, and the same key learns the truth. Those behind it and those who come
// meanwhile are overloaded at once, and the door opens again when the database answers.
func TestWhatAHangingCommitIsToldToThoseWhoWait(t *testing.T) {
	t.Parallel()
	for name, sealed := range map[string]bool{"before COMMIT": false, "at COMMIT": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conformance.Each(t, func(t *testing.T, d *conformance.Database) { hangs(t, d, sealed) })
		})
	}
}

func hangs(t *testing.T, d *conformance.Database, sealed bool) {
	s := d.Store(t)
	eventID := conformance.Apply(t, s, conformance.Race(t, race, 100))
	m := &meter{}
	n := start(t, s, metered(m), func(c *registration.Config) { c.Limits.Patience = 2 * time.Second })
	arrived, open := make(chan struct{}), make(chan struct{})
	n.calls.inEvent = func(ctx context.Context, eventID int64, work func(tx registration.Tx) error) error {
		n.calls.inEvent = nil
		err := s.InEvent(ctx, eventID, func(tx registration.Tx) error {
			if !sealed {
				close(arrived)
				<-open
			}
			return work(tx)
		})
		if sealed {
			close(arrived)
			<-open
		}
		return err
	}
	first, behind := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := n.register(race, key(1), conformance.Request(1, "10k"))
		first <- err
	}()
	<-arrived
	go func() {
		_, err := n.register(race, key(2), conformance.Request(2, "10k"))
		behind <- err
	}()
	await(t, "one waits behind the commit", func() bool { return n.Waiting(race) == 1 })
	n.clock.Advance(2100 * time.Millisecond)
	told := fault.Overloaded
	if sealed {
		told = fault.OutcomeUnknown
	}
	want(t, <-first, told)
	want(t, <-behind, fault.Overloaded)
	_, err := n.register(race, key(3), conformance.Request(3, "10k")) // would hang here if the door were open
	want(t, err, fault.Overloaded)
	if n.Shed(race, key(3)) == nil {
		t.Error("the door is open")
	}
	close(open)
	receipt, err := n.insist(race, key(1), conformance.Request(1, "10k"))
	if err != nil || receipt.Replayed != sealed {
		t.Errorf("the same key afterwards: replayed %t, %v, want %t", receipt.Replayed, err, sealed)
	}
	if m.count("slow") != 1 || n.logs.times("refused until the database answers") != 1 {
		t.Errorf("troubles %v, want one slow commit:\n%s", m.all(), n.logs)
	}
	orders := d.Number(t, "SELECT COUNT(*) FROM orders WHERE event_id = ?", eventID)
	if orders != 1 {
		t.Errorf("%d orders, want one", orders)
	}
	auditClean(t, s, n.clock.Now(), eventID)
}

// TestADatabaseThatDoesNotAnswerIsNotWaitedFor: when it takes a question and does not answer, reads and registrations are
// overloaded at once instead of waiting for it one by one.
func TestADatabaseThatDoesNotAnswerIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	s := conformance.SQLite(t).Store(t)
	conformance.Apply(t, s, conformance.Race(t, race, 10))
	mute := &muted{Store: s}
	n := start(t, s, func(c *registration.Config) {
		c.Store = mute
		c.Limits.Patience = 50 * time.Millisecond
	})
	order := n.mustRegister(t, race, key(1), conformance.Request(1, "10k"))
	mute.silence(true)
	await(t, "the engine notices", func() bool { return n.Shed(race, key(2)) != nil })
	for what, ask := range map[string]func() error{
		"an order":      func() error { _, err := n.Order(t.Context(), order.Order.ID); return err },
		"one by key":    func() error { _, err := n.OrderByKey(t.Context(), key(1)); return err },
		"a registering": func() error { _, err := n.register(race, key(2), conformance.Request(2, "10k")); return err },
	} {
		if err := ask(); fault.CodeOf(err) != fault.Overloaded || !errors.Is(err, registration.ErrUnavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if again := n.mustRegister(t, race, key(1), conformance.Request(1, "10k")); !again.Replayed {
		t.Error("a repeat that the node remembers needs no database")
	}
	mute.silence(false)
	await(t, "the engine notices", func() bool { return n.Shed(race, key(2)) == nil })
	n.mustRegister(t, race, key(2), conformance.Request(2, "10k"))
}

// muted is a store that can stop answering the question for news.
type muted struct {
	registration.Store

	silent atomic.Bool
}

func (m *muted) silence(silent bool) { m.silent.Store(silent) }

// Revisions implements registration.Store.
func (m *muted) Revisions(ctx context.Context) (map[int64]registration.Revision, error) {
	if m.silent.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return m.Store.Revisions(ctx)
}

package registration_test

import (
	"strconv"
	"strings"
	"testing"

	"gapura/internal/event"
	"gapura/internal/fault"
	"gapura/internal/registration"
	"gapura/test/conformance"
)

// with returns the same database, opened with an additional parameter of SQLite's.
func with(d *conformance.Database, parameter string) *conformance.Database {
	return &conformance.Database{Driver: d.Driver, DSN: d.DSN + "?" + parameter + "&ignored="}
}

// TestAFullDisk: SQLite's limit of pages ends in the same error as a disk without room, SQLITE_FULL.
func TestAFullDisk(t *testing.T) {
	t.Parallel()
	d := conformance.SQLite(t)
	s := d.Store(t)
	eventID := conformance.Apply(t, s, conformance.Race(t, race, 10_000))
	pages := d.Number(t, "PRAGMA page_count")
	n := start(t, with(d, "_pragma=max_page_count("+strconv.Itoa(pages+40)+")").Open(t))
	heard := newAnswers()
	refused := 0
	for i := 0; refused < 5; i++ {
		receipt, err := n.register(race, key(i), conformance.Request(i, "10k"))
		heard.note(key(i), receipt, err)
		if err != nil {
			want(t, err, fault.Overloaded)
			refused++
		}
		if i > 5000 {
			t.Fatal("the disk does not fill")
		}
	}
	if heard.acknowledged() == 0 {
		t.Fatal("nothing was accepted before the disk was full")
	}
	if !strings.Contains(n.logs.String(), "disk has room") {
		t.Errorf("the log does not say what to do:\n%s", n.logs)
	}
	heard.check(t, s)
	if got := taken(t, s, eventID, event.QuotaCounter("total")).Taken; got != heard.acknowledged() {
		t.Errorf("%d places are taken, %d were acknowledged", got, heard.acknowledged())
	}
	room := start(t, d.Open(t))
	room.mustRegister(t, race, key(5001), conformance.Request(5001, "10k"))
	auditClean(t, s, n.clock.Now(), eventID)
}

// TestAReadOnlyDatabase can be read and refuses registrations.
func TestAReadOnlyDatabase(t *testing.T) {
	t.Parallel()
	d := conformance.SQLite(t)
	s := d.Store(t)
	eventID := conformance.Apply(t, s, conformance.Race(t, race, 10))
	first := start(t, s).mustRegister(t, race, key(1), conformance.Request(1, "10k"))
	n := start(t, with(d, "mode=ro").Open(t))
	_, err := n.register(race, key(2), conformance.Request(2, "10k"))
	want(t, err, fault.Overloaded)
	if !strings.Contains(n.logs.String(), "writable") {
		t.Errorf("the log does not say what to do:\n%s", n.logs)
	}
	o, err := n.OrderByKey(t.Context(), key(1))
	if err != nil || o.ID != first.Order.ID || o.Status != registration.AwaitingPayment {
		t.Errorf("reading: %v, %v", o.Status, err)
	}
	_, err = n.Cancel(t.Context(), first.Order.ID)
	want(t, err, fault.Overloaded)
	auditClean(t, s, n.clock.Now(), eventID)
}

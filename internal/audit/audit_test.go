package audit_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"gapura/internal/audit"
	"gapura/internal/event"
	"gapura/internal/registration"
	"gapura/internal/store"
	"gapura/test/conformance"
	"gapura/test/peers"
)

func TestMain(m *testing.M) { peers.Main(m) }

// sold is a database with five unpaid and five free orders, as the engine writes them, some of them given back.
func sold(t *testing.T, d *conformance.Database) (*store.Store, int64) {
	t.Helper()
	s := d.Store(t)
	eventID := conformance.Apply(t, s, conformance.Race(t, "audited-race", 100))
	all := make([]registration.NewOrder, 10)
	for i := range all {
		all[i] = conformance.NewOrder(eventID, i+1)
		if i%2 == 1 {
			conformance.Free(&all[i])
		}
		p := &all[i].Order.Participants[0]
		p.Answers = map[string]string{"jersey": "S"}
		all[i].Claims = [][]registration.Claim{conformance.Secrets().ClaimsOf(eventID, uniqueBy, p)}
	}
	if err := conformance.Write(t, s, eventID, all...); err != nil {
		t.Fatal(err)
	}
	return s, eventID
}

var uniqueBy = []event.UniqueBy{event.UniqueByEmail, event.UniqueByPhone}

func examine(t *testing.T, s *store.Store, eventID int64, now time.Time) []audit.Finding {
	t.Helper()
	var findings []audit.Finding
	err := s.Audit(t.Context(), eventID, func(source *store.Audited) error {
		var err error
		findings, err = audit.Event(context.Background(), now, source, conformance.Secrets().ClaimsOf)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return findings
}

// plant is a fault in a clean database.
type plant struct {
	name   string
	now    time.Time
	plant  []string
	broken map[int]string // by invariant: what its line must say
}

const (
	firstOrder  = "(SELECT id FROM (SELECT id FROM orders WHERE seq = 1) AS o)"
	secondOrder = "(SELECT id FROM (SELECT id FROM orders WHERE seq = 3) AS o)"
)

// plantsInCounters are in what places are counted by, and whole orders that are gone.
func plantsInCounters() []plant {
	early := conformance.Opening.Add(time.Minute)
	return []plant{
		{"a clean database", early, nil, nil},
		{
			"an oversold quota", early,
			[]string{"UPDATE events SET definition = REPLACE(definition, '\"id\":\"total\",\"size\":100', '\"id\":\"total\",\"size\":9')"},
			map[int]string{1: "quota total: 10 live places of 9", 2: "quota total: the counter's limit is 100, the event's 9"},
		},
		{
			"a limit that the event does not know", early,
			[]string{"UPDATE counters SET size = 101 WHERE ref = 'total'"},
			map[int]string{2: "quota total: the counter's limit is 101, the event's 100"},
		},
		{
			"a wrong counter", early,
			[]string{"UPDATE counters SET taken = taken + 1 WHERE ref = 'total'"},
			map[int]string{2: "quota total: the counter says 11 taken and 5 unpaid, the rows 10 and 5"},
		},
		{
			"a wrong number of unpaid", early,
			[]string{"UPDATE counters SET held = 0 WHERE ref = 'jersey:S'"},
			map[int]string{2: "option jersey:S: the counter says 10 taken and 0 unpaid, the rows 10 and 5"},
		},
		{
			"a lost counter", early,
			[]string{"DELETE FROM counters WHERE ref = 'paid'"},
			map[int]string{2: "quota paid"},
		},
		{
			"a lost order", early,
			[]string{
				"DELETE FROM participants WHERE order_id = " + secondOrder, "DELETE FROM claims WHERE order_id = " + secondOrder, "DELETE FROM orders WHERE seq = 3",
			},
			map[int]string{2: "quota total", 5: "9 orders, highest number 10, last number given 10"},
		},
		{
			"the last order lost with its counts", early,
			[]string{
				"DELETE FROM participants WHERE order_id = (SELECT id FROM orders WHERE seq = 10)",
				"DELETE FROM claims WHERE order_id = (SELECT id FROM orders WHERE seq = 10)", "DELETE FROM orders WHERE seq = 10",
				"UPDATE counters SET taken = taken - 1 WHERE ref IN ('total', 'fun', 'jersey:S')",
			},
			map[int]string{5: "9 orders, highest number 9, last number given 10"},
		},
	}
}

// plantsInRows are in what belongs to an order.
func plantsInRows() []plant {
	early := conformance.Opening.Add(time.Minute)
	late := conformance.Opening.Add(32 * time.Minute)
	return []plant{
		{
			"lost participants", early,
			[]string{"DELETE FROM participants WHERE order_id = " + secondOrder},
			map[int]string{2: "quota total", 3: "2 stored for nobody", 5: "1 without participants"},
		},
		{
			"one person twice", early,
			[]string{
				"UPDATE participants SET email = 'pelari1@example.id' WHERE order_id = " + secondOrder,
			},
			map[int]string{3: "1 shared"},
		},
		{
			"a lost claim", early,
			[]string{"DELETE FROM claims WHERE order_id = " + firstOrder},
			map[int]string{3: "2 not stored"},
		},
		{
			"a claim of nobody", early,
			[]string{"INSERT INTO claims (event_id, hash, order_id) SELECT event_id, id, id FROM orders WHERE seq = 1"},
			map[int]string{3: "1 stored for nobody"},
		},
		{
			"a claim that was not released", early,
			[]string{
				"UPDATE orders SET status = 'cancelled', hold_until = NULL WHERE seq = 1",
				"UPDATE counters SET taken = taken - 1, held = held - 1 WHERE ref IN ('total', 'paid', '5k', 'jersey:S')",
			},
			map[int]string{3: "2 stored for nobody"},
		},
		{"a stuck hold", late, nil, map[int]string{9: "5 orders still unpaid a minute after their hold"}},
		{
			"a hold that nothing ends", early,
			[]string{"UPDATE orders SET hold_until = NULL WHERE seq = 1"},
			map[int]string{9: "1 that nothing will end"},
		},
		{
			"a hold that ended and is still looked at", early,
			[]string{"UPDATE orders SET hold_until = 1 WHERE seq = 2"},
			map[int]string{9: "1 with a hold that are not unpaid"},
		},
		{
			"a wrong total", early,
			[]string{"UPDATE orders SET total = 149999 WHERE seq = 1"},
			map[int]string{8: "1 orders whose total is not the sum of their prices"},
		},
		{
			"a wrong total of the last order", early,
			[]string{"UPDATE orders SET total = 1 WHERE seq = 10"},
			map[int]string{8: "1 orders whose total is not the sum of their prices"},
		},
	}
}

// TestWhatIsPlantedIsFound breaks one thing at a time in a clean database.
func TestWhatIsPlantedIsFound(t *testing.T) {
	t.Parallel()
	conformance.Each(t, func(t *testing.T, d *conformance.Database) {
		for _, test := range slices.Concat(plantsInCounters(), plantsInRows()) {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				d := fresh(t, d)
				s, eventID := sold(t, d)
				for _, statement := range test.plant {
					d.Exec(t, statement)
				}
				found(t, examine(t, s, eventID, test.now), test.broken)
			})
		}
	})
}

// TestAKeyWithTwoOrders needs a table without its unique key.
func TestAKeyWithTwoOrders(t *testing.T) {
	t.Parallel()
	d := conformance.MariaDB(t)
	s, eventID := sold(t, d)
	d.Exec(t, "ALTER TABLE orders DROP INDEX orders_idem_key")
	d.Exec(t, "UPDATE orders SET idem_key = (SELECT k FROM (SELECT idem_key AS k FROM orders WHERE seq = 1) AS o) WHERE seq = 2")
	found(t, examine(t, s, eventID, conformance.Opening), map[int]string{4: "1 keys with more than one order"})
}

// fresh is another database of the same kind.
func fresh(t *testing.T, like *conformance.Database) *conformance.Database {
	t.Helper()
	if like.Driver == store.DriverSQLite {
		return conformance.SQLite(t)
	}
	return conformance.MariaDB(t)
}

// found fails the test unless exactly the invariants in broken are, each with its line, and every other is reported whole.
func found(t *testing.T, findings []audit.Finding, broken map[int]string) {
	t.Helper()
	reported := map[int]bool{}
	said := map[int]string{}
	for _, f := range findings {
		if f.Event != "audited-race" {
			t.Errorf("a finding about %q", f.Event)
		}
		reported[f.Invariant] = true
		if f.Broken {
			said[f.Invariant] += f.Text + "\n"
		}
	}
	for invariant, text := range said {
		if want, ok := broken[invariant]; !ok || !strings.Contains(text, want) {
			t.Errorf("invariant %d: %swant %q", invariant, text, want)
		}
	}
	for invariant, want := range broken {
		if said[invariant] == "" {
			t.Errorf("invariant %d is not broken, want %q", invariant, want)
		}
	}
	for _, invariant := range []int{1, 2, 3, 4, 5, 8, 9} {
		if !reported[invariant] {
			t.Errorf("nothing is said about invariant %d", invariant)
		}
	}
}

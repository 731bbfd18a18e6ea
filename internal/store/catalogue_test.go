package store_test

import (
	"bytes"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gapura/internal/event"
	"gapura/internal/registration"
	"gapura/internal/store"
	"gapura/test/conformance"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestApplyKeepsWhatIsSold: an event that changes what its quotas cover counts anew from what was sold.
func TestApplyKeepsWhatIsSold(t *testing.T) {
	t.Parallel()
	conformance.Each(t, func(t *testing.T, d *conformance.Database) {
		s := d.Store(t)
		first := conformance.Race(t, "applied-race", 100)
		eventID := conformance.Apply(t, s, first)
		orders := conformance.Fill(t, s, eventID, 20) // 10 unpaid in 5k, 10 free in fun
		revised := conformance.Race(t, "applied-race", 200, func(e *event.Event) {
			e.Quotas[1] = event.Quota{ID: "free", Size: 60, Categories: []string{"fun", "kids"}}
			e.Quotas = append(e.Quotas, event.Quota{ID: "short", Size: 70, Categories: []string{"5k", "kids"}})
			e.Questions[0].Options = e.Questions[0].Options[:1] // nobody chose M
			e.Categories[0].Prices = nil
		})
		var judged event.Sold
		must(t, s.Apply(t.Context(), conformance.Opening, revised, func(old *event.Event, sold event.Sold) error {
			judged = sold
			if old.Quotas[1].ID != "paid" {
				t.Errorf("the old event has quota %s", old.Quotas[1].ID)
			}
			return nil
		}))
		if judged[event.QuotaCounter("paid")] != 10 || judged[event.CategoryCounter("fun")] != 10 {
			t.Errorf("judged by %v", judged)
		}
		l, err := s.Ledger(t.Context(), eventID)
		must(t, err)
		want := map[event.Counter]registration.Count{
			event.QuotaCounter("total"): {Taken: 20, Held: 10, Limit: 200}, event.QuotaCounter("free"): {Taken: 10, Limit: 60},
			event.QuotaCounter("short"): {Taken: 10, Held: 10, Limit: 70},
			// What nobody offers any more, but somebody has, is kept: it still counts.
			event.QuotaCounter("paid"):   {Taken: 10, Held: 10, Limit: 100},
			event.CategoryCounter("10k"): {Limit: -1}, event.CategoryCounter("5k"): {Taken: 10, Held: 10, Limit: -1},
			event.CategoryCounter("fun"): {Taken: 10, Limit: -1}, event.CategoryCounter("kids"): {Limit: -1},
			event.OptionCounter("jersey", "S"): {Limit: 1_000_000},
		}
		if diff := cmp.Diff(want, l.Counters); diff != "" {
			t.Errorf("counters (-want +got):\n%s", diff)
		}
		if l.Revision != 2 || len(l.Event.Quotas) != 3 || l.LastSeq != int64(len(orders)) {
			t.Errorf("revision %d, %d quotas, last number %d", l.Revision, len(l.Event.Quotas), l.LastSeq)
		}
	})
}

// TestApplyRefused leaves everything as it was.
func TestApplyRefused(t *testing.T) {
	t.Parallel()
	conformance.Each(t, func(t *testing.T, d *conformance.Database) {
		s := d.Store(t)
		refuse := errors.New("refused")
		e := conformance.Race(t, "applied-race", 100)
		err := s.Apply(t.Context(), conformance.Opening, e, func(old *event.Event, sold event.Sold) error {
			if old != nil || len(sold) != 0 {
				t.Errorf("a new event has %v, sold %v", old, sold)
			}
			return refuse
		})
		if all, _ := s.Events(t.Context()); !errors.Is(err, refuse) || len(all) != 0 {
			t.Errorf("%v, %d events", err, len(all))
		}
		eventID := conformance.Apply(t, s, e)
		conformance.Fill(t, s, eventID, 20)
		before, err := s.Ledger(t.Context(), eventID)
		must(t, err)
		small := conformance.Race(t, "applied-race", 10)
		if err := s.Apply(t.Context(), conformance.Opening, small, func(*event.Event, event.Sold) error { return refuse }); !errors.Is(err, refuse) {
			t.Errorf("refused by the judge: %v", err)
		}
		lenient := func(*event.Event, event.Sold) error { return nil }
		if err := s.Apply(t.Context(), conformance.Opening, small, lenient); !errors.Is(err, registration.ErrRejected) {
			t.Errorf("fewer places than are sold, past the judge: %v", err)
		}
		twin := conformance.Race(t, "another-race", 10, func(other *event.Event) { other.Code = e.Code })
		if err := s.Apply(t.Context(), conformance.Opening, twin, lenient); !errors.Is(err, registration.ErrDuplicate) {
			t.Errorf("a second event with the code: %v", err)
		}
		after, err := s.Ledger(t.Context(), eventID)
		must(t, err)
		if diff := cmp.Diff(before, after, cmpopts.IgnoreUnexported(event.Event{})); diff != "" {
			t.Errorf("the event changed (-before +after):\n%s", diff)
		}
	})
}

// TestSecretsAreMadeOnce: of two nodes that start together both get the same keys.
func TestSecretsAreMadeOnce(t *testing.T) {
	t.Parallel()
	conformance.Each(t, func(t *testing.T, d *conformance.Database) {
		nodes := []*store.Store{d.Store(t), d.Open(t), d.Open(t), d.Open(t)}
		got := make([][]byte, len(nodes))
		var made atomic.Int64
		var all sync.WaitGroup
		begin := make(chan struct{})
		for i, s := range nodes {
			all.Go(func() {
				<-begin
				var err error
				got[i], err = s.Secret(t.Context(), "claims", func() ([]byte, error) {
					return []byte{byte(made.Add(1)), 0, '\'', '\\', 0xff}, nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		close(begin)
		all.Wait()
		for _, secret := range got {
			if len(secret) != 5 || !bytes.Equal(secret, got[0]) {
				t.Fatalf("the nodes got %v", got)
			}
		}
		must(t, nodes[0].Reseal(t.Context(), "claims", []byte("sealed anew")))
		again, err := nodes[1].Secret(t.Context(), "claims", func() ([]byte, error) { t.Error("made again"); return nil, nil })
		if err != nil || string(again) != "sealed anew" {
			t.Errorf("%q, %v", again, err)
		}
		refuse := errors.New("no random bytes")
		if _, err := nodes[0].Secret(t.Context(), "other", func() ([]byte, error) { return nil, refuse }); !errors.Is(err, refuse) {
			t.Errorf("a secret that cannot be made: %v", err)
		}
	})
}

// TestMigrationsGoBothWays: up, all the way down, and up again.
func TestMigrationsGoBothWays(t *testing.T) {
	t.Parallel()
	conformance.Each(t, func(t *testing.T, d *conformance.Database) {
		s := d.Open(t)
		pending, err := s.Pending(t.Context())
		if err != nil || pending == 0 {
			t.Fatalf("%d pending in an empty database, %v", pending, err)
		}
		applied, err := s.Migrate(t.Context())
		if err != nil || len(applied) != pending {
			t.Fatalf("%d of %d applied, %v", len(applied), pending, err)
		}
		again, err := s.Migrate(t.Context())
		if err != nil || len(again) != 0 {
			t.Errorf("applied twice: %v, %v", again, err)
		}
		p, err := s.Provider()
		must(t, err)
		if _, err := p.DownTo(t.Context(), 0); err != nil {
			t.Fatalf("down: %v", err)
		}
		if tables := tablesOf(t, d); len(tables) != 0 {
			t.Errorf("left after going down: %v", tables)
		}
		if applied, err := s.Migrate(t.Context()); err != nil || len(applied) != pending {
			t.Fatalf("up again: %d of %d, %v", len(applied), pending, err)
		}
		eventID := conformance.Apply(t, s, conformance.Race(t, "migrated-race", 10))
		must(t, conformance.Write(t, s, eventID, conformance.NewOrder(eventID, 1)))
	})
}

// tablesOf lists the tables without goose's own.
func tablesOf(t testing.TB, d *conformance.Database) []string {
	t.Helper()
	query := "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name NOT LIKE 'goose%' AND table_type = 'BASE TABLE' ORDER BY 1"
	if d.Driver == store.DriverSQLite {
		query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'goose%' AND name NOT LIKE 'sqlite%' ORDER BY 1"
	}
	rows, err := d.SQL(t).QueryContext(t.Context(), query)
	must(t, err)
	defer rows.Close()
	var all []string
	for rows.Next() {
		var name string
		must(t, rows.Scan(&name))
		all = append(all, name)
	}
	must(t, rows.Err())
	return all
}

// TestNodesThatMigrateTogether: every one succeeds, each migration runs once.
func TestNodesThatMigrateTogether(t *testing.T) {
	t.Parallel()
	conformance.Each(t, func(t *testing.T, d *conformance.Database) {
		nodes := []*store.Store{d.Open(t), d.Open(t), d.Open(t)}
		want, err := nodes[0].Pending(t.Context())
		must(t, err)
		var applied atomic.Int64
		var all sync.WaitGroup
		begin := make(chan struct{})
		for i, s := range nodes {
			all.Go(func() {
				<-begin
				names, err := s.Migrate(t.Context())
				applied.Add(int64(len(names)))
				if err != nil {
					t.Errorf("node %d: %v", i, err)
				}
			})
		}
		close(begin)
		all.Wait()
		if got := applied.Load(); got != int64(want) {
			t.Errorf("%d migrations applied, want %d", got, want)
		}
		pending, err := nodes[1].Pending(t.Context())
		if err != nil || pending != 0 {
			t.Errorf("%d pending, %v", pending, err)
		}
	})
}

// TestHealth: the figures that an operator sees are measured.
func TestHealth(t *testing.T) {
	t.Parallel()
	conformance.Each(t, func(t *testing.T, d *conformance.Database) {
		h, err := d.Store(t).Health(t.Context())
		must(t, err)
		if h.Version == "" || h.Write <= 0 || h.Skew.Abs().Minutes() > 1 || h.Trouble != "" {
			t.Errorf("%+v", h)
		}
	})
}

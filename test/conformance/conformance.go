// Package conformance holds every database that Gapura runs on to what the product expects of it: the same suite, the same
// fixtures, on SQLite and on a real MariaDB.
package conformance

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql" // the suites look into MariaDB past the store

	"gapura/internal/event"
	"gapura/internal/registration"
	"gapura/internal/store"
	"gapura/test/peers"
)

// Database is an empty database of one test.
type Database struct {
	Driver string
	DSN    string
	once   sync.Once
	raw    *sql.DB
}

var observer atomic.Pointer[func(driver string, s *store.Store)]

// Observe shows every store that is opened from now on to f: for the TestMain of a package that looks at all its queries.
func Observe(f func(driver string, s *store.Store)) { observer.Store(&f) }

// Each runs test on every kind of database, beside each other. The package's TestMain must be peers.Main.
func Each(t *testing.T, test func(t *testing.T, d *Database)) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		test(t, SQLite(t))
	})
	t.Run("MariaDB", func(t *testing.T) {
		t.Parallel()
		test(t, MariaDB(t))
	})
}

// SQLite returns an empty SQLite database, in memory-backed storage where the machine has some: a test is about what is
// written, not about how fast a disk syncs.
func SQLite(t *testing.T) *Database {
	t.Helper()
	return &Database{Driver: store.DriverSQLite, DSN: filepath.Join(Dir(t), "gapura.db")}
}

// Dir returns a directory that is removed when the test ends.
func Dir(t *testing.T) string {
	t.Helper()
	const fast = "/dev/shm"
	if info, err := os.Stat(fast); err != nil || !info.IsDir() {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(fast, "gapura-test-") //nolint:usetesting // in memory, where t.TempDir is not
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// MariaDB returns an empty database of the server that all tests of the binary share.
func MariaDB(t *testing.T) *Database {
	t.Helper()
	return On(t, peers.MariaDB(t))
}

// On returns an empty database of that server.
func On(t *testing.T, server *peers.MariaDBServer) *Database {
	t.Helper()
	return &Database{Driver: store.DriverMySQL, DSN: server.NewDatabase(t)}
}

// Open opens another store on the database, as another node would; it is closed when the test ends.
func (d *Database) Open(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Driver: d.Driver, DSN: d.DSN, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatalf("open %s: %v", d.Driver, err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Logf("close: %v", err)
		}
	})
	if f := observer.Load(); f != nil {
		(*f)(d.Driver, s)
	}
	return s
}

// Store opens the database and brings its schema up to date.
func (d *Database) Store(t testing.TB) *store.Store {
	t.Helper()
	s := d.Open(t)
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatalf("migrate %s: %v", d.Driver, err)
	}
	return s
}

// SQL is the database beside the store: for what must be planted or seen without it.
func (d *Database) SQL(t testing.TB) *sql.DB {
	t.Helper()
	d.once.Do(func() { d.openRaw(t) })
	return d.raw
}

func (d *Database) openRaw(t testing.TB) {
	t.Helper()
	driver, dsn := "mysql", d.DSN
	if d.Driver == store.DriverSQLite {
		driver, dsn = "sqlite", "file:"+d.DSN+"?_pragma=busy_timeout(5000)"
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	d.raw = db
}

// Exec runs a statement beside the store.
func (d *Database) Exec(t testing.TB, query string, args ...any) {
	t.Helper()
	if _, err := d.SQL(t).ExecContext(t.Context(), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// Number reads one number beside the store.
func (d *Database) Number(t testing.TB, query string, args ...any) int {
	t.Helper()
	var n int
	if err := d.SQL(t).QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// Opening is when the fixture's events open. They stay open for a month.
var Opening = time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC)

// Race returns an event with two paid and two free categories, a quota over all of them, one over the paid, price tiers,
// and a question with stock. total is the size of the first quota.
func Race(t testing.TB, slug string, total int, change ...func(*event.Event)) *event.Event {
	t.Helper()
	few := 1_000_000
	e := &event.Event{
		Slug: slug, Code: "C" + fmt.Sprintf("%X", []byte(slug))[:8], Name: event.Text{ID: "Lomba", EN: "Race"}, Timezone: "Asia/Jakarta",
		StartsAt: Opening.AddDate(0, 3, 0), Venue: event.Venue{Name: "Gasibu", City: "Bandung"},
		Rules: event.Rules{
			OpensAt: Opening, ClosesAt: Opening.AddDate(0, 1, 0), Hold: 30 * time.Minute, MaxParticipants: 5,
			UniqueBy: []event.UniqueBy{event.UniqueByEmail, event.UniqueByPhone},
		},
		Categories: []event.Category{
			{ID: "10k", Price: 250_000, Prices: []event.Tier{{Name: "Early bird", Price: 200_000, First: 5, Until: Opening.AddDate(0, 0, 7)}}},
			{ID: "5k", Price: 150_000},
			{ID: "fun"},
			{ID: "kids"},
		},
		Quotas: []event.Quota{
			{ID: "total", Size: total, Categories: []string{"10k", "5k", "fun", "kids"}},
			{ID: "paid", Size: total, Categories: []string{"10k", "5k"}},
		},
		Questions: []event.Question{
			{ID: "jersey", Type: event.Choice, Options: []event.Option{{Value: "S", Stock: &few}, {Value: "M"}}},
			{ID: "note", Type: event.FreeText},
		},
	}
	for _, f := range change {
		f(e)
	}
	if err := e.Prepare(); err != nil {
		t.Fatal(err)
	}
	return e
}

// Apply writes the event and returns its id.
func Apply(t testing.TB, s *store.Store, e *event.Event) int64 {
	t.Helper()
	if err := s.Apply(t.Context(), Opening, e, func(*event.Event, event.Sold) error { return nil }); err != nil {
		t.Fatalf("apply %s: %v", e.Slug, err)
	}
	all, err := s.Events(t.Context())
	if err != nil && !errors.Is(err, registration.ErrUnreadable) {
		t.Fatal(err)
	}
	for _, stored := range all {
		if stored.Event.Slug == e.Slug {
			return stored.ID
		}
	}
	t.Fatalf("%s was applied and is not there", e.Slug)
	return 0
}

// Request returns what person n sends: a valid request for one place.
func Request(n int, category string) registration.Request {
	return registration.Request{
		Contact:      registration.ContactInput{Name: fmt.Sprintf("Pelari %d", n), Email: Email(n), Phone: Phone(n)},
		Participants: []registration.ParticipantInput{Person(n, category)},
	}
}

// Person returns participant n.
func Person(n int, category string) registration.ParticipantInput {
	return registration.ParticipantInput{
		Category: category, Name: fmt.Sprintf("Pelari %d", n), Email: Email(n), Phone: Phone(n), BirthDate: "1994-05-02", Gender: "female",
		Answers: map[string]string{"jersey": "M"},
	}
}

// Email is the address of person n.
func Email(n int) string { return fmt.Sprintf("pelari%d@example.id", n) }

// Phone is the number of person n.
func Phone(n int) string { return fmt.Sprintf("+62812%08d", n) }

// Secrets are the fixture's keys.
func Secrets() registration.Secrets {
	return registration.Secrets{Claims: []byte("claims of the tests"), Tokens: [][]byte{[]byte("tokens of the tests")}}
}

// must fails the test on an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// within runs work in a transaction under the event's lock.
func within(t testing.TB, s registration.Store, eventID int64, work func(ctx context.Context, tx registration.Tx) error) error {
	t.Helper()
	ctx := t.Context()
	return s.InEvent(ctx, eventID, func(tx registration.Tx) error { return work(ctx, tx) })
}

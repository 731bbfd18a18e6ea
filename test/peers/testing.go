package peers

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TB is the part of testing.TB that the wrappers need; a program may bring its own.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
}

// databaseTimeout is generous: creating a database waits for other tests' durable commits.
const databaseTimeout = 30 * time.Second

// shared holds at most one server of each kind for the test binary; Main stops them.
var (
	sharedMariaDB = shared[*MariaDBServer]{start: func() (*MariaDBServer, error) {
		if dsn := os.Getenv(MariaDBEnv); dsn != "" {
			return AttachMariaDB(dsn)
		}
		return StartMariaDB()
	}}
	sharedRedis = shared[*RedisServer]{start: func() (*RedisServer, error) {
		if url := os.Getenv(RedisEnv); url != "" {
			return AttachRedis(url)
		}
		return StartRedis()
	}}
)

type stopper interface {
	comparable
	Stop() error
}

type shared[S stopper] struct {
	start  func() (S, error)
	once   sync.Once
	server S
	err    error
}

func (s *shared[S]) get() (S, error) {
	s.once.Do(func() { s.server, s.err = s.start() })
	return s.server, s.err
}

func (s *shared[S]) stop() error {
	var none S
	if s.server == none {
		return nil
	}
	return s.server.Stop()
}

// MariaDB returns the server that all tests of the binary share; each takes a database of its own from NewDatabase. The
// package's TestMain must be Main, which stops it.
func MariaDB(t TB) *MariaDBServer {
	t.Helper()
	s, err := sharedMariaDB.get()
	if err != nil {
		t.Fatalf("MariaDB for tests: %v", err)
	}
	return s
}

// PrivateMariaDB starts a server for one test, which may kill it; it takes about a second.
func PrivateMariaDB(t TB) *MariaDBServer {
	t.Helper()
	s, err := StartMariaDB()
	if err != nil {
		t.Fatalf("private MariaDB: %v", err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

// NewDatabase returns the DSN of a fresh, empty utf8mb4 database, dropped when the test ends.
func (s *MariaDBServer) NewDatabase(t TB) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), databaseTimeout)
	defer cancel()
	name, err := s.CreateDatabase(ctx)
	if err != nil {
		t.Fatalf("new database: %v", err)
	}
	t.Cleanup(func() { s.drop(t, name) })
	return s.DSN(name)
}

func (s *MariaDBServer) drop(t TB, name string) {
	if s.process != nil && s.process.pid() == 0 {
		return // the test killed its server and left it so
	}
	ctx, cancel := context.WithTimeout(context.Background(), databaseTimeout)
	defer cancel()
	if err := s.DropDatabase(ctx, name); err != nil {
		t.Logf("drop %s: %v", name, err)
	}
}

// Redis returns the server that all tests of the binary share; each takes a database of its own from NewDatabase. The
// package's TestMain must be Main, which stops it.
func Redis(t TB) *RedisServer {
	t.Helper()
	s, err := sharedRedis.get()
	if err != nil {
		t.Fatalf("Redis for tests: %v", err)
	}
	return s
}

// PrivateRedis starts a server for one test, which may kill it or send FLUSHALL.
func PrivateRedis(t TB) *RedisServer {
	t.Helper()
	s, err := StartRedis()
	if err != nil {
		t.Fatalf("private Redis: %v", err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

// NewDatabase returns the redis:// URL of an empty database that no other test uses, emptied again when the test ends.
func (s *RedisServer) NewDatabase(t TB) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), databaseTimeout)
	defer cancel()
	database, err := s.CreateDatabase(ctx)
	if err != nil {
		t.Fatalf("new Redis database: %v", err)
	}
	t.Cleanup(func() { s.empty(t, database) })
	return s.URL(database)
}

func (s *RedisServer) empty(t TB, database int) {
	if s.process != nil && s.process.pid() == 0 {
		return // the test killed its server and left it so
	}
	ctx, cancel := context.WithTimeout(context.Background(), databaseTimeout)
	defer cancel()
	if err := s.EmptyDatabase(ctx, database); err != nil {
		t.Logf("empty Redis database %d: %v", database, err)
	}
}

func stop(t TB, s interface{ Stop() error }) {
	if err := s.Stop(); err != nil {
		t.Logf("stop: %v", err)
	}
}

// Main runs the tests, stops the shared servers and then fails if a goroutine is left. It is the TestMain of every package
// that uses this one:
//
//	func TestMain(m *testing.M) { peers.Main(m) }
func Main(m *testing.M, options ...goleak.Option) {
	MainThen(m, func() error { return nil }, options...)
}

// MainThen is Main with a last check, made when every test has ended and the services still run.
func MainThen(m *testing.M, check func() error, options ...goleak.Option) {
	code := m.Run()
	if err := check(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	for _, err := range []error{sharedMariaDB.stop(), sharedRedis.stop()} {
		if err != nil {
			fmt.Fprintln(os.Stderr, "stop:", err)
			code = max(code, 1)
		}
	}
	if code == 0 {
		if err := goleak.Find(options...); err != nil {
			fmt.Fprintln(os.Stderr, "a goroutine is left:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// LongEnv switches on the runs that are too long for every commit; `make long` sets it.
const LongEnv = "GAPURA_LONG"

// Long skips the test unless long runs are wanted.
func Long(t testing.TB) {
	t.Helper()
	if os.Getenv(LongEnv) == "" {
		t.Skip("a long run: make long")
	}
}

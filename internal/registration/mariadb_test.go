package registration_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"gapura/internal/event"
	"gapura/internal/fault"
	"gapura/internal/registration"
	"gapura/internal/store"
	"gapura/test/conformance"
	"gapura/test/peers"
)

// lone is a request that meets nobody else's.
func lone() registration.Request { return conformance.Request(9_999_999, "kids") }

// session is a competing connection with an open transaction.
func session(t testing.TB, d *conformance.Database) *sql.Conn {
	t.Helper()
	c, err := d.SQL(t).Conn(t.Context())
	must(t, err)
	t.Cleanup(func() { _ = c.Close() })
	execute(t, c, "START TRANSACTION")
	return c
}

func execute(t testing.TB, c *sql.Conn, query string, args ...any) {
	t.Helper()
	if _, err := c.ExecContext(context.Background(), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// lock runs a locking SELECT.
func lock(t testing.TB, c *sql.Conn, query string, args ...any) {
	t.Helper()
	rows, err := c.QueryContext(context.Background(), query+" FOR UPDATE", args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	for rows.Next() {
	}
	must(t, rows.Err())
}

// lockReport is how often the waiters may be asked for: InnoDB answers from a copy that is only renewed when nobody has
// looked for a tenth of a second.
const lockReport = 150 * time.Millisecond

// waiters lists the sessions of a database that wait for a row.
func waiters(t testing.TB, d *conformance.Database) []int64 {
	t.Helper()
	cfg, err := mysql.ParseDSN(d.DSN)
	must(t, err)
	rows, err := d.SQL(t).QueryContext(t.Context(), "SELECT p.id FROM information_schema.innodb_trx x JOIN information_schema.processlist p "+
		"ON p.id = x.trx_mysql_thread_id WHERE x.trx_state = 'LOCK WAIT' AND p.db = ?", cfg.DBName)
	must(t, err)
	defer rows.Close()
	var ids []int64
	for rows.Next() {
		var n int64
		must(t, rows.Scan(&n))
		ids = append(ids, n)
	}
	must(t, rows.Err())
	return ids
}

// requests are one-person requests of people first to first+n-1.
func requests(first, n int) []registration.Request {
	all := make([]registration.Request, n)
	for i := range all {
		all[i] = conformance.Request(first+i, "10k")
	}
	return all
}

// accepted fails the test unless everybody got a place.
func accepted(t testing.TB, errs ...error) {
	t.Helper()
	for i, err := range errs {
		if err != nil {
			t.Errorf("request %d: %v", i, err)
		}
	}
}

// TestADeadlockIsTriedAgain makes the committer the victim: its competitor has changed more rows.
func TestADeadlockIsTriedAgain(t *testing.T) {
	t.Parallel()
	d := conformance.MariaDB(t)
	s := d.Store(t)
	eventID := conformance.Apply(t, s, conformance.Race(t, race, 100))
	m := &meter{}
	n := start(t, s, metered(m))
	rival := session(t, d)
	execute(t, rival, "CREATE TEMPORARY TABLE heavy (n INT PRIMARY KEY) ENGINE=InnoDB")
	execute(t, rival, "INSERT INTO heavy SELECT seq FROM seq_1_to_5000")
	execute(t, rival, "UPDATE counters SET held = held WHERE event_id = ?", eventID)
	lock(t, rival, "SELECT * FROM counters WHERE event_id = ?", eventID)
	outcome := make(chan error)
	go func() {
		_, err := n.register(race, key(1), conformance.Request(1, "10k"))
		outcome <- err
	}()
	awaitEvery(t, lockReport, "the committer waits for the counters", func() bool { return len(waiters(t, d)) == 1 })
	lock(t, rival, "SELECT * FROM event_state WHERE event_id = ?", eventID)
	execute(t, rival, "ROLLBACK")
	accepted(t, <-outcome)
	if m.count("contention") == 0 {
		t.Errorf("no deadlock was met: %v", m.all())
	}
	auditClean(t, s, n.clock.Now(), eventID)
}

// TestALockedEventIsTriedAgain: a session holds the event's row for longer than one lock wait.
func TestALockedEventIsTriedAgain(t *testing.T) {
	t.Parallel()
	d := conformance.MariaDB(t)
	s := d.Store(t)
	eventID := conformance.Apply(t, s, conformance.Race(t, race, 100))
	m := &meter{}
	n := start(t, s, metered(m))
	holder := session(t, d)
	lock(t, holder, "SELECT * FROM event_state WHERE event_id = ?", eventID)
	outcome := make(chan error)
	go func() {
		_, err := n.register(race, key(1), conformance.Request(1, "10k"))
		outcome <- err
	}()
	await(t, "a lock wait times out", func() bool { return m.count("contention") > 0 })
	execute(t, holder, "ROLLBACK")
	accepted(t, <-outcome)
	auditClean(t, s, n.clock.Now(), eventID)
}

// TestAnEventThatStaysLockedIsOverloaded, for the whole batch at once and with advice in the log.
func TestAnEventThatStaysLockedIsOverloaded(t *testing.T) {
	t.Parallel()
	conformance.Each(t, func(t *testing.T, d *conformance.Database) {
		s := d.Store(t)
		eventID := conformance.Apply(t, s, conformance.Race(t, race, 100))
		n := start(t, s)
		holder := locked(t, d, eventID)
		begin := time.Now()
		crowd(20, func(i int) {
			if _, err := n.register(race, key(i), conformance.Request(i, "10k")); fault.CodeOf(err) != fault.Overloaded {
				t.Errorf("request %d: %v", i, err)
			}
		})
		if took := time.Since(begin); took > 20*time.Second {
			t.Errorf("refused after %v", took)
		}
		if !strings.Contains(n.logs.String(), "holds a lock") {
			t.Errorf("the log does not say what to do:\n%s", n.logs)
		}
		execute(t, holder, "ROLLBACK")
		n.mustRegister(t, race, key(1), conformance.Request(1, "10k"))
		auditClean(t, s, n.clock.Now(), eventID)
	})
}

// locked returns a session that holds what a committer needs first.
func locked(t testing.TB, d *conformance.Database, eventID int64) *sql.Conn {
	t.Helper()
	if d.Driver == store.DriverSQLite {
		c, err := d.SQL(t).Conn(t.Context())
		must(t, err)
		t.Cleanup(func() { _ = c.Close() })
		execute(t, c, "BEGIN IMMEDIATE")
		return c
	}
	c := session(t, d)
	lock(t, c, "SELECT * FROM event_state WHERE event_id = ?", eventID)
	return c
}

// plant writes an order behind the engine's back, with what another node would have written for that request.
func plant(t testing.TB, d *conformance.Database, k string, r registration.Request) registration.Receipt {
	t.Helper()
	return start(t, d.Open(t)).mustRegister(t, race, k, r)
}

// TestRowsWrittenElsewhere: a key and a person that the node cannot know are in the middle of a batch. Both learn the truth,
// the others get their places, and the batch is written together.
func TestRowsWrittenElsewhere(t *testing.T) {
	t.Parallel()
	conformance.Each(t, func(t *testing.T, d *conformance.Database) {
		s := d.Store(t)
		eventID := conformance.Apply(t, s, conformance.Race(t, race, 100))
		m := &meter{}
		n := start(t, s, metered(m))
		batch := requests(0, 20)
		planted := plant(t, d, key(3), batch[3])
		plant(t, d, "elsewhere", batch[7])
		plant(t, d, key(11), conformance.Request(500, "fun"))
		receipts, errs := oneBatch(t, n, race, batch)
		for i, err := range errs {
			switch i {
			case 3:
				if err != nil || !receipts[i].Replayed || receipts[i].Order.ID != planted.Order.ID {
					t.Errorf("the key that has an order: %v, %v", receipts[i].Order.Number, err)
				}
			case 7:
				want(t, err, fault.AlreadyRegistered)
			case 11:
				want(t, err, fault.KeyReused)
			default:
				accepted(t, err)
			}
		}
		if m.count("duplicate") != 1 || m.count("rejected") != 0 {
			t.Errorf("troubles %v, want one duplicate", m.all())
		}
		auditClean(t, s, n.clock.Now(), eventID)
	})
}

// TestAPoisonRowIsIsolated: one row that the database refuses takes nobody with it.
func TestAPoisonRowIsIsolated(t *testing.T) {
	t.Parallel()
	conformance.Each(t, func(t *testing.T, d *conformance.Database) {
		s := d.Store(t)
		eventID := conformance.Apply(t, s, conformance.Race(t, race, 1000))
		limit := "ALTER TABLE participants MODIFY name VARCHAR(20) NOT NULL"
		if d.Driver == store.DriverSQLite {
			limit = "CREATE TRIGGER short BEFORE INSERT ON participants WHEN length(NEW.name) > 20 BEGIN SELECT RAISE(ABORT, 'too long'); END"
		}
		d.Exec(t, limit)
		m := &meter{}
		n := start(t, s, metered(m))
		batch := requests(0, 300)
		batch[150].Participants[0].Name = strings.Repeat("Siti ", 20)
		_, errs := oneBatch(t, n, race, batch)
		for i, err := range errs {
			if i != 150 {
				accepted(t, err)
			}
		}
		want(t, errs[150], fault.ValidationFailed)
		if strings.Contains(n.logs.String(), "Siti") {
			t.Error("the log has a person's name")
		}
		transactions := n.calls.transactions.Load()
		t.Logf("%d transactions for a batch of %d", transactions, len(batch))
		if transactions > 30 {
			t.Errorf("%d transactions: one poisonous row makes the batch as slow as single requests", transactions)
		}
		auditClean(t, s, n.clock.Now(), eventID)
	})
}

// TestAKilledConnection: KILL CONNECTION in the middle of a transaction leaves nothing, and nobody hears of it twice.
func TestAKilledConnection(t *testing.T) {
	t.Parallel()
	d := conformance.MariaDB(t)
	s := d.Store(t)
	eventID := conformance.Apply(t, s, conformance.Race(t, race, 100))
	n := start(t, s)
	holder := session(t, d)
	lock(t, holder, "SELECT * FROM counters WHERE event_id = ?", eventID)
	outcome := make(chan error)
	go func() {
		_, err := n.register(race, key(1), conformance.Request(1, "10k"))
		outcome <- err
	}()
	awaitEvery(t, lockReport, "the committer waits for the counters", func() bool { return len(waiters(t, d)) == 1 })
	d.Exec(t, fmt.Sprintf("KILL CONNECTION %d", waiters(t, d)[0]))
	err := <-outcome
	execute(t, holder, "ROLLBACK")
	want(t, err, fault.Overloaded)
	if rows := d.Number(t, "SELECT (SELECT COUNT(*) FROM orders) + (SELECT COUNT(*) FROM claims) + (SELECT COUNT(*) FROM outbox)"); rows != 0 {
		t.Errorf("%d rows are left of it", rows)
	}
	n.mustRegister(t, race, key(1), conformance.Request(1, "10k"))
	auditClean(t, s, n.clock.Now(), eventID)
}

// TestALostConnectionAtCommit: the answer to COMMIT never comes. Whether it reached the server or not, everybody gets what
// is in the database, and nobody gets it twice.
func TestALostConnectionAtCommit(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]cut{"the commit was lost": beforeCommit, "only its answer was lost": afterCommit} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, p := proxied(t)
			s := d.Store(t)
			eventID := conformance.Apply(t, s, conformance.Race(t, race, 30))
			m := &meter{}
			n := start(t, s, metered(m))
			n.mustRegister(t, race, key(500), conformance.Request(500, "fun"))
			p.loseNext(at)
			heard := newAnswers()
			crowd(60, func(i int) {
				receipt, err := n.register(race, key(i), conformance.Request(i, "10k"))
				heard.note(key(i), receipt, err)
			})
			heard.check(t, s)
			if len(heard.orders) != 29 || heard.codes[fault.SoldOut] != 31 {
				t.Errorf("%d accepted, refusals %v, want 29 and 31 sold out", len(heard.orders), heard.codes)
			}
			if p.lost() != 1 || m.count("commit_unknown") != 1 {
				t.Errorf("%d commits were lost, the engine noticed %v", p.lost(), m.all())
			}
			auditClean(t, s, n.clock.Now(), eventID)
		})
	}
}

// proxied is a database behind a proxy of its own.
func proxied(t testing.TB) (*conformance.Database, *proxy) {
	t.Helper()
	server := peers.MariaDB(t)
	p := newProxy(t, server.Address())
	cfg, err := mysql.ParseDSN(server.NewDatabase(t))
	must(t, err)
	cfg.Addr = p.address()
	return &conformance.Database{Driver: store.DriverMySQL, DSN: cfg.FormatDSN()}, p
}

// TestADatabaseThatStaysAwayAfterCommit: the truth cannot be known, so the answer is that it is unknown; the same key learns
// it once the database is back.
func TestADatabaseThatStaysAwayAfterCommit(t *testing.T) {
	t.Parallel()
	d, p := proxied(t)
	s := d.Store(t)
	eventID := conformance.Apply(t, s, conformance.Race(t, race, 30))
	n := start(t, s)
	n.calls.inEvent = func(ctx context.Context, eventID int64, work func(tx registration.Tx) error) error {
		err := s.InEvent(ctx, eventID, work)
		if p.lost() == 1 {
			p.goDown(true)
		}
		return err
	}
	p.loseNext(afterCommit)
	_, err := n.register(race, key(1), conformance.Request(1, "10k"))
	want(t, err, fault.OutcomeUnknown)
	if !strings.Contains(n.logs.String(), "database") {
		t.Errorf("the log says nothing:\n%s", n.logs)
	}
	n.calls.inEvent = nil
	p.goDown(false)
	again, err := n.register(race, key(1), conformance.Request(1, "10k"))
	if err != nil || !again.Replayed {
		t.Errorf("the repeat: replayed %t, %v", again.Replayed, err)
	}
	auditClean(t, s, n.clock.Now(), eventID)
}

// TestMariaDBIsKilledUnderLoad: SIGKILL in the middle of a crowd that repeats until it is answered.
func TestMariaDBIsKilledUnderLoad(t *testing.T) {
	t.Parallel()
	server := peers.PrivateMariaDB(t)
	d := conformance.On(t, server)
	s := d.Store(t)
	const places = 300
	eventID := conformance.Apply(t, s, conformance.Race(t, race, places))
	n := start(t, s, func(c *registration.Config) { c.Limits.Batch = 16 })
	heard := newAnswers()
	var overloaded sync.Once
	killed, refused, back := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		await(t, "a few are acknowledged", func() bool { return heard.acknowledged() >= 20 })
		if err := server.Kill(); err != nil {
			t.Error(err)
		}
		close(killed)
	})
	crowd(2*places, func(i int) {
		if i >= places {
			<-killed // the second half comes when the database is gone
		}
		for {
			receipt, err := n.register(race, key(i), conformance.Request(i, "10k"))
			heard.note(key(i), receipt, err)
			code := fault.CodeOf(err)
			if code != fault.Overloaded && code != fault.OutcomeUnknown {
				return
			}
			overloaded.Do(func() {
				all.Go(func() {
					<-killed
					if err := server.Start(); err != nil {
						t.Error(err)
					}
					close(back)
				})
				close(refused)
			})
			<-back
		}
	})
	all.Wait()
	select {
	case <-refused:
	default:
		t.Error("nobody was refused while the database was gone")
	}
	heard.check(t, s)
	if got := taken(t, s, eventID, event.QuotaCounter("total")).Taken; got != places || heard.acknowledged() != places {
		t.Errorf("%d places are taken, %d acknowledged, want %d; refusals %v", got, heard.acknowledged(), places, heard.codes)
	}
	if heard.codes[fault.Internal] > 0 {
		t.Errorf("refusals %v", heard.codes)
	}
	if !strings.Contains(n.logs.String(), "check that it runs") {
		t.Errorf("the log does not say what to do:\n%s", n.logs)
	}
	auditClean(t, s, n.clock.Now(), eventID)
}

func (a *answers) acknowledged() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.orders)
}

// TestMariaDBHangs: a stopped process answers nothing and breaks no connection.
func TestMariaDBHangs(t *testing.T) {
	t.Parallel()
	server := peers.PrivateMariaDB(t)
	d := conformance.On(t, server)
	s := d.Store(t)
	eventID := conformance.Apply(t, s, conformance.Race(t, race, 30))
	n := start(t, s)
	n.mustRegister(t, race, key(0), conformance.Request(0, "10k"))
	process, err := os.FindProcess(server.PID())
	must(t, err)
	must(t, process.Signal(syscall.SIGSTOP))
	t.Cleanup(func() { _ = process.Signal(syscall.SIGCONT) })
	begin := time.Now()
	_, err = n.register(race, key(1), conformance.Request(1, "10k"))
	want(t, err, fault.Overloaded)
	t.Logf("overloaded after %v", time.Since(begin))
	if took := time.Since(begin); took > 25*time.Second {
		t.Errorf("refused after %v", took)
	}
	must(t, process.Signal(syscall.SIGCONT))
	n.mustRegister(t, race, key(1), conformance.Request(1, "10k"))
	auditClean(t, s, n.clock.Now(), eventID)
}

// TestMariaDBRefusesToWrite: read-only, then out of connections.
func TestMariaDBRefusesToWrite(t *testing.T) {
	t.Parallel()
	server := peers.PrivateMariaDB(t)
	d := conformance.On(t, server)
	s := d.Store(t)
	eventID := conformance.Apply(t, s, conformance.Race(t, race, 30))
	admin := &conformance.Database{Driver: store.DriverMySQL, DSN: server.AdminDSN("")}
	n := start(t, s)
	n.mustRegister(t, race, key(0), conformance.Request(0, "10k"))

	admin.Exec(t, "SET GLOBAL read_only = 1")
	_, err := n.register(race, key(1), conformance.Request(1, "10k"))
	want(t, err, fault.Overloaded)
	if !strings.Contains(n.logs.String(), "writable") {
		t.Errorf("the log does not say what to do:\n%s", n.logs)
	}
	if o, err := n.OrderByKey(t.Context(), key(0)); err != nil || o.Status != registration.AwaitingPayment {
		t.Errorf("reading: %v, %v", o.Status, err)
	}
	admin.Exec(t, "SET GLOBAL read_only = 0")
	n.mustRegister(t, race, key(1), conformance.Request(1, "10k"))

	fresh := d.Open(t)
	late := start(t, fresh)
	hogged := hog(t, d, admin)
	_, err = late.register(race, key(2), conformance.Request(2, "10k"))
	want(t, err, fault.Overloaded)
	hogged()
	late.mustRegister(t, race, key(2), conformance.Request(2, "10k"))
	auditClean(t, s, n.clock.Now(), eventID)
}

// hog takes every connection of the server, those of the engines included, and returns what gives them back.
func hog(t testing.TB, d, admin *conformance.Database) (giveBack func()) {
	t.Helper()
	boss, err := admin.SQL(t).Conn(t.Context()) // the one connection beyond the limit
	must(t, err)
	greedy := (&conformance.Database{Driver: d.Driver, DSN: d.DSN}).SQL(t)
	held := map[int64]*sql.Conn{}
	take := func() bool {
		c, err := greedy.Conn(context.Background())
		if err != nil {
			return false
		}
		var n int64
		must(t, c.QueryRowContext(t.Context(), "SELECT CONNECTION_ID()").Scan(&n))
		held[n] = c
		return true
	}
	execute(t, boss, "SET GLOBAL max_connections = 30")
	await(t, "every connection is taken", func() bool {
		for take() {
		}
		for _, n := range others(t, boss, held) {
			_, _ = boss.ExecContext(t.Context(), fmt.Sprintf("KILL CONNECTION %d", n))
		}
		for take() {
		}
		return len(others(t, boss, held)) == 0
	})
	return func() {
		execute(t, boss, "SET GLOBAL max_connections = 300")
		for _, c := range held {
			_ = c.Close()
		}
		_ = greedy.Close()
		_ = boss.Close()
	}
}

// others lists the application's connections that are not among held.
func others(t testing.TB, boss *sql.Conn, held map[int64]*sql.Conn) []int64 {
	t.Helper()
	rows, err := boss.QueryContext(t.Context(), "SELECT id FROM information_schema.processlist WHERE user = 'gapura'")
	must(t, err)
	defer rows.Close()
	var ids []int64
	for rows.Next() {
		var n int64
		must(t, rows.Scan(&n))
		if held[n] == nil {
			ids = append(ids, n)
		}
	}
	must(t, rows.Err())
	return ids
}

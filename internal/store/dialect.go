package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/pressly/goose/v3/database"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/mysqldialect"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"gapura/internal/registration"
)

// The drivers that Open knows.
const (
	DriverSQLite = "sqlite"
	DriverMySQL  = "mysql" // MySQL 8, MariaDB 10.6 and later
)

// dialect is everything in which the databases differ.
type dialect struct {
	name          string
	goose         database.Dialect
	isolation     sql.IsolationLevel // of transactions under an event's lock
	snapshot      sql.IsolationLevel // of several reads that must agree
	readOnly      bool               // whether a transaction can be declared so
	together      bool               // whether several statements go to the database at once
	forUpdate     string             // after a SELECT that locks the rows it reads
	open          func(dsn string, use use) (*bun.DB, error)
	kind          func(err error) error // the registration error that a driver's error stands for, or nil
	migrationLock bool                  // whether a lock of its own keeps two nodes from migrating together
	// commitUnknown: whether that error at COMMIT leaves the outcome open.
	commitUnknown func(err error) bool

	versionAndTime  string // a SELECT of both, the time in UTC
	nowMilliseconds string // an expression: the database's clock
	trouble         func(ctx context.Context, db *bun.DB) (string, error)
}

// use tells the pools apart.
type use int

const (
	writing use = iota
	reading
	migrating // an index on a large table takes minutes: no bounds
)

func dialectOf(name string) (dialect, error) {
	switch name {
	case DriverSQLite:
		return dialect{
			name: DriverSQLite, goose: database.DialectSQLite3, isolation: sql.LevelDefault,
			open: openSQLite, kind: sqliteKind, commitUnknown: sqliteCommitUnknown,
			nowMilliseconds: "CAST(ROUND(unixepoch('now', 'subsec') * 1000) AS INTEGER)",
			versionAndTime:  "SELECT 'SQLite ' || sqlite_version(), strftime('%Y-%m-%d %H:%M:%f', 'now')", trouble: sqliteTrouble,
		}, nil
	case DriverMySQL:
		return dialect{
			name: DriverMySQL, goose: database.DialectMySQL, isolation: sql.LevelReadCommitted,
			snapshot: sql.LevelRepeatableRead, readOnly: true, together: true, migrationLock: true, forUpdate: " FOR UPDATE",
			open: openMySQL, kind: mysqlKind, commitUnknown: mysqlCommitUnknown,
			nowMilliseconds: "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)",
			versionAndTime:  "SELECT VERSION(), CAST(UTC_TIMESTAMP(6) AS CHAR)", trouble: mysqlTrouble,
		}, nil
	}
	return dialect{}, fmt.Errorf("unknown database driver %q: use %s or %s", name, DriverSQLite, DriverMySQL)
}

// openSQLite: one writer, because SQLite has one; every commit synced (FULL), because an acknowledgement must survive a
// power cut; transactions take the write lock at once (immediate) instead of failing half-way.
func openSQLite(path string, u use) (*bun.DB, error) {
	q := url.Values{}
	for _, pragma := range []string{
		"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(5000)", "temp_store(MEMORY)",
		"wal_autocheckpoint(4000)",
	} {
		q.Add("_pragma", pragma)
	}
	if u == reading {
		q.Add("_pragma", "query_only(1)")
		q.Add("_pragma", "cache_size(-2048)") // KiB for each of eight; the system's cache has the pages, too
	} else {
		q.Set("_txlock", "immediate")
		q.Add("_pragma", "cache_size(-32768)")
	}
	db, err := sql.Open("sqlite", "file:"+path+"?"+q.Encode())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	limit := 1
	if u == reading {
		limit = readConnections
	}
	db.SetMaxOpenConns(limit)
	db.SetMaxIdleConns(limit)
	return bun.NewDB(db, sqlitedialect.New()), nil
}

// sqlMode is fixed, because bun writes values into statements: backslashes must escape, and a value that does not fit must
// be an error.
const sqlMode = "'STRICT_TRANS_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"

// answerWithin bounds one answer of the database; a rush's longest batch takes a tenth of a second.
const answerWithin = 10 * time.Second

// connectWithin bounds the way to the database.
const connectWithin = 3 * time.Second

func openMySQL(dsn string, u use) (*bun.DB, error) {
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		// The driver's error repeats the DSN, and the DSN holds the password.
		return nil, errors.New("the database address is malformed: check DB_HOST, DB_PORT, DB_SOCKET, DB_USERNAME and DB_DATABASE")
	}
	cfg.InterpolateParams, cfg.ParseTime = true, true
	cfg.MultiStatements = u == writing // a batch's inserts go together; readers and migrations send one statement at a time
	cfg.Logger = &mysql.NopLogger{}    // what it would print comes back as an error
	if cfg.Params == nil {
		cfg.Params = map[string]string{}
	}
	cfg.Timeout = connectWithin
	if u != migrating {
		cfg.ReadTimeout, cfg.WriteTimeout = answerWithin, answerWithin
		cfg.Params["innodb_lock_wait_timeout"] = "2" // seconds: a side path that holds the lock longer is in the way
	}
	cfg.Params["sql_mode"] = sqlMode
	cfg.Params["time_zone"] = "'+00:00'"
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	db := sql.OpenDB(connector)
	if u != reading { // bun asks for the version, and prints it when nobody answers
		ctx, cancel := context.WithTimeout(context.Background(), connectWithin)
		defer cancel()
		if err := db.PingContext(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("reach the database: %w: %w", registration.ErrUnavailable, err), db.Close())
		}
	}
	limit := commitConnections
	if u == reading {
		limit = readConnections
	}
	db.SetMaxOpenConns(limit)
	db.SetMaxIdleConns(limit)
	db.SetConnMaxLifetime(connectionsLive)
	return bun.NewDB(db, mysqldialect.New()), nil
}

// classify makes err wrap the registration error that it stands for.
func (d dialect) classify(err error) error {
	if err == nil || errors.Is(err, registration.ErrNothing) || errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if kind := d.kind(err); kind != nil {
		return fmt.Errorf("%w: %w", kind, err)
	}
	if connectionLost(err) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", registration.ErrUnavailable, err)
	}
	return err
}

func (d dialect) classifyCommit(err error) error {
	if d.commitUnknown(err) {
		return fmt.Errorf("%w: %w", registration.ErrCommitUnknown, err)
	}
	return d.classify(err)
}

func connectionLost(err error) bool {
	var network net.Error
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, mysql.ErrInvalidConn) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.As(err, &network)
}

// mysqlKind goes by number: the texts are translated and change.
func mysqlKind(err error) error {
	var e *mysql.MySQLError
	if !errors.As(err, &e) {
		return nil
	}
	switch e.Number {
	case 1062: // duplicate entry
		return registration.ErrDuplicate
	case 1205, 1213, 1020: // lock wait timeout, deadlock, record changed since last read
		return registration.ErrContention
	case 1406, 1366, 1264, 1048, 1265, 3819, 4025: // too long, bad string, out of range, null, truncated, check violated
		return registration.ErrRejected
	case 3, 1021, 1026, 1030, 1114, 1180, // cannot write, disk full, error writing, storage engine, table full
		1290, 1792, 1836, // read-only
		1040, 1203, 1226, // too many connections
		1044, 1045, 1049, // access denied, no such database
		1053, 1077, 1079, 1152, 1184, 1317, 1927: // shutting down, aborted, killed
		return registration.ErrUnavailable
	}
	return nil
}

// mysqlCommitUnknown: a server that is ended while it commits says so before or after it has written.
func mysqlCommitUnknown(err error) bool {
	var e *mysql.MySQLError
	if !errors.As(err, &e) {
		return connectionLost(err)
	}
	switch e.Number {
	case 1053, 1180, 1317, 1927: // shutting down, error during commit, interrupted, killed
		return true
	}
	return false
}

func sqliteKind(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return nil
	}
	switch e.Code() {
	case sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_ROWID:
		return registration.ErrDuplicate
	}
	switch e.Code() & 0xff { // the low byte is the primary code
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return registration.ErrContention
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH:
		return registration.ErrRejected
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOTADB,
		sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PERM:
		return registration.ErrUnavailable
	}
	return nil
}

// sqliteCommitUnknown: after a failed sync the frames may be in the log all the same. A full disk or a lock was noticed
// before the commit was written.
func sqliteCommitUnknown(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_IOERR
}

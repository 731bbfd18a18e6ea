// Package store is all SQL of Gapura, written once for SQLite and for MySQL and MariaDB. The few words that differ are in
// dialect.go, the two sets of migrations beside it.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/uptrace/bun"
)

//go:embed migrations
var migrations embed.FS

// Store is an open database with its connection pools. They are separate, because in a rush the time that a connection is
// held is what runs out: reads must not wait behind commits, nor commits behind reads.
type Store struct {
	dialect dialect
	commits *bun.DB // transactions under an event's lock
	reads   *bun.DB
	log     *slog.Logger
	dsn     string    // for the connections of a migration
	texts   sync.Pool // of *[]byte, for statements: a batch's is half a megabyte
}

// Options say which database to open.
type Options struct {
	Driver string // DriverSQLite or DriverMySQL
	DSN    string // a file's path, or go-sql-driver's form without parameters that Gapura sets itself
	Log    *slog.Logger
}

// Pool sizes. A committer holds one connection an event; the rest are expiry, payments and console.
const (
	commitConnections = 8
	readConnections   = 8
	connectionsLive   = 30 * time.Minute // so that a changed address of the database is noticed
)

// Open connects to the database. It does not change the schema: see Migrate.
func Open(ctx context.Context, o Options) (*Store, error) {
	d, err := dialectOf(o.Driver)
	if err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{dialect: d, log: o.Log, dsn: o.DSN}
	if s.commits, err = d.open(o.DSN, writing); err != nil {
		return nil, err
	}
	if s.reads, err = d.open(o.DSN, reading); err != nil {
		return nil, errors.Join(err, s.commits.Close())
	}
	if err := s.Ping(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.commits.PingContext(ctx); err != nil {
		return s.dialect.classify(fmt.Errorf("reach the database: %w", err))
	}
	return nil
}

// Close closes all connections.
func (s *Store) Close() error { return errors.Join(s.reads.Close(), s.commits.Close()) }

// Pending returns how many migrations are not applied yet.
func (s *Store) Pending(ctx context.Context) (int, error) {
	p, err := s.provider(s.commits.DB)
	if err != nil {
		return 0, err
	}
	states, err := p.Status(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the schema's version: %w", err)
	}
	pending := 0
	for _, state := range states {
		if state.State == goose.StatePending {
			pending++
		}
	}
	return pending, nil
}

// transact runs work in a transaction on the committing pool. An error at COMMIT that leaves the outcome open wraps
// registration.ErrCommitUnknown.
func (s *Store) transact(ctx context.Context, work func(tx bun.Tx) error) error {
	tx, err := s.commits.BeginTx(ctx, &sql.TxOptions{Isolation: s.dialect.isolation})
	if err != nil {
		return s.dialect.classify(err)
	}
	if err := work(tx); err != nil {
		// The error that matters is work's; a transaction that cannot be rolled back ends with its connection.
		_ = tx.Rollback()
		return s.dialect.classify(err)
	}
	if err := tx.Commit(); err != nil {
		_ = tx.Rollback()
		return s.dialect.classifyCommit(err)
	}
	return nil
}

// milliseconds is how times are stored.
func milliseconds(t time.Time) int64 { return t.UnixMilli() }

func fromMilliseconds(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// optional stores the zero time as NULL.
func optional(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.UnixMilli(), Valid: !t.IsZero()}
}

func fromOptional(ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return fromMilliseconds(ms.Int64)
}

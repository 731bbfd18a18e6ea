package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

// Migrate brings the schema up to date and returns the names of the migrations it applied. Of nodes that start together one
// applies them, the others wait for it.
func (s *Store) Migrate(ctx context.Context) ([]string, error) {
	db, err := s.dialect.open(s.dsn, migrating)
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	p, err := s.provider(db.DB)
	if err != nil {
		return nil, err
	}
	var applied []string
	// SQLite has no lock that outlives a transaction. Each migration is one, so whoever is overtaken has left nothing behind
	// and goes on from where the other is; it can be overtaken once a migration.
	for range len(p.ListSources()) + 1 {
		var names []string
		names, err = up(ctx, p)
		applied = append(applied, names...)
		if err == nil || s.dialect.migrationLock {
			break
		}
	}
	if err != nil {
		return applied, fmt.Errorf("migrate: %w", err)
	}
	return applied, nil
}

func up(ctx context.Context, p *goose.Provider) (applied []string, err error) {
	results, err := p.Up(ctx)
	var partial *goose.PartialError
	if errors.As(err, &partial) {
		results = partial.Applied
	}
	for _, r := range results {
		applied = append(applied, r.Source.Path)
	}
	return applied, err
}

func (s *Store) provider(db *sql.DB) (*goose.Provider, error) {
	dir, err := fs.Sub(migrations, "migrations/"+s.dialect.name)
	if err != nil {
		return nil, fmt.Errorf("migrations of %s: %w", s.dialect.name, err)
	}
	var options []goose.ProviderOption
	if s.dialect.migrationLock {
		options = append(options, goose.WithSessionLocker(namedLock{}))
	}
	p, err := goose.NewProvider(s.dialect.goose, db, dir, options...)
	if err != nil {
		return nil, fmt.Errorf("migrations of %s: %w", s.dialect.name, err)
	}
	return p, nil
}

// namedLock keeps two nodes from migrating one database at the same time: MySQL commits every statement that changes a
// schema, so two of them would meet half-way. The lock belongs to the connection and ends with it.
type namedLock struct{}

// The name is hashed because MySQL takes at most 64 characters, as many as the database's name alone may have.
const migrationLockName = "CONCAT('gapura-', MD5(DATABASE()))"

const (
	lockWait     = 5  // seconds a question for the lock waits
	lockAttempts = 60 // five minutes: an index on a large table takes its time
)

// SessionLock waits for the lock.
func (namedLock) SessionLock(ctx context.Context, conn *sql.Conn) error {
	for range lockAttempts {
		var got sql.NullInt64
		err := conn.QueryRowContext(ctx, "SELECT GET_LOCK("+migrationLockName+", ?)", lockWait).Scan(&got)
		if err != nil {
			return fmt.Errorf("ask for the migration lock: %w", err)
		}
		if got.Int64 == 1 {
			return nil
		}
	}
	return errors.New("another node has been migrating for five minutes: wait for it, or end its connection")
}

// SessionUnlock gives the lock back.
func (namedLock) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	var ignored sql.NullInt64
	if err := conn.QueryRowContext(ctx, "SELECT RELEASE_LOCK("+migrationLockName+")").Scan(&ignored); err != nil {
		return fmt.Errorf("give the migration lock back: %w", err)
	}
	return nil
}

package store

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"
)

// Health is what an operator wants to know of the database before an opening.
type Health struct {
	Version string
	Write   time.Duration // one durable write, the median of some
	Skew    time.Duration // the database's clock before ours
	Trouble string        // a setting that would lose acknowledged orders; empty: none
}

// Health measures the database and reads the settings that durability depends on.
func (s *Store) Health(ctx context.Context) (Health, error) {
	var h Health
	var now string
	begin := time.Now()
	if err := s.reads.NewRaw(s.dialect.versionAndTime).Scan(ctx, &h.Version, &now); err != nil {
		return h, s.dialect.classify(fmt.Errorf("ask the database for its version: %w", err))
	}
	took := time.Since(begin)
	if at, err := time.Parse("2006-01-02 15:04:05.999999", now); err == nil {
		h.Skew = at.Sub(begin.UTC().Add(took / 2))
	}
	var err error
	if h.Write, err = s.durableWrite(ctx); err != nil {
		return h, err
	}
	h.Trouble, err = s.dialect.trouble(ctx, s.reads)
	return h, s.dialect.classify(err)
}

// durableWrite commits a row that changes nothing anyone reads, a few times.
func (s *Store) durableWrite(ctx context.Context) (time.Duration, error) {
	const probes = 5
	begin := time.Now()
	for range probes {
		err := s.transact(ctx, func(tx bun.Tx) error {
			_, err := tx.NewRaw("INSERT INTO secrets (name, sealed) VALUES ('doctor', ?)", []byte{0}).Exec(ctx)
			if err == nil {
				_, err = tx.NewRaw("DELETE FROM secrets WHERE name = 'doctor'").Exec(ctx)
			}
			return err
		})
		if err != nil {
			return 0, fmt.Errorf("write to the database: %w", err)
		}
	}
	return time.Since(begin) / probes, nil
}

// sqliteTrouble: Open sets what durability needs itself.
func sqliteTrouble(context.Context, *bun.DB) (string, error) { return "", nil }

// mysqlTrouble finds settings under which a power cut loses what was acknowledged.
func mysqlTrouble(ctx context.Context, db *bun.DB) (string, error) {
	var flush int
	err := db.NewRaw("SELECT @@innodb_flush_log_at_trx_commit").Scan(ctx, &flush)
	if err != nil || flush == 1 {
		return "", err
	}
	return fmt.Sprintf("innodb_flush_log_at_trx_commit is %d: set it to 1, or a power cut loses acknowledged orders", flush), nil
}

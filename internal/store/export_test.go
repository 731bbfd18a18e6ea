package store

import (
	"github.com/pressly/goose/v3"
	"github.com/uptrace/bun"
)

// Hook shows every query of s to h.
func (s *Store) Hook(h bun.QueryHook) {
	s.commits = s.commits.WithQueryHook(h)
	s.reads = s.reads.WithQueryHook(h)
}

// Provider steps through the migrations.
func (s *Store) Provider() (*goose.Provider, error) { return s.provider(s.commits.DB) }

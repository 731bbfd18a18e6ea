package store

import "github.com/uptrace/bun"

// Hook shows every query of s to h.
func (s *Store) Hook(h bun.QueryHook) {
	s.commits.AddQueryHook(h)
	s.reads.AddQueryHook(h)
}

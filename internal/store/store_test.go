package store_test

import (
	"testing"

	"gapura/test/conformance"
	"gapura/test/peers"
)

func TestMain(m *testing.M) {
	p := &plans{seen: map[string]map[string]string{}}
	conformance.Observe(p.watch)
	peers.MainThen(m, p.check)
}

func TestStore(t *testing.T) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) { t.Parallel(); conformance.Store(t, conformance.SQLite) })
	t.Run("MariaDB", func(t *testing.T) { t.Parallel(); conformance.Store(t, conformance.MariaDB) })
}

func TestPayments(t *testing.T) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) { t.Parallel(); conformance.Payments(t, conformance.SQLite) })
	t.Run("MariaDB", func(t *testing.T) { t.Parallel(); conformance.Payments(t, conformance.MariaDB) })
}

func TestFulfilment(t *testing.T) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) { t.Parallel(); conformance.Fulfilment(t, conformance.SQLite) })
	t.Run("MariaDB", func(t *testing.T) { t.Parallel(); conformance.Fulfilment(t, conformance.MariaDB) })
}

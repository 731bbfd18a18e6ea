package smtp

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"gapura/internal/notify"
)

func enter(t *testing.T, g *gate, class notify.Class) {
	t.Helper()
	if err := g.enter(t.Context(), class); err != nil {
		t.Error(err)
	}
}

func TestConfirmationsPassNewsletters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(2)
		enter(t, g, notify.Bulk)
		enter(t, g, notify.Transactional) // the place that newsletters leave
		var order []string
		join := func(name string, class notify.Class) {
			go func() {
				enter(t, g, class)
				order = append(order, name)
			}()
			synctest.Wait()
		}
		join("newsletter 1", notify.Bulk)
		join("newsletter 2", notify.Bulk)
		join("confirmation 1", notify.Transactional)
		join("confirmation 2", notify.Transactional)
		if len(order) != 0 {
			t.Fatalf("%v passed a full gate", order)
		}
		for range 6 {
			g.leave()
			synctest.Wait()
		}
		want := []string{"confirmation 1", "confirmation 2", "newsletter 1", "newsletter 2"}
		if !slices.Equal(order, want) {
			t.Errorf("passed in the order %v", order)
		}
		if g.free != 2 {
			t.Errorf("%d places are free at the end", g.free)
		}
	})
}

func TestNewslettersLeaveAPlace(t *testing.T) {
	t.Parallel()
	g := newGate(3)
	enter(t, g, notify.Bulk)
	enter(t, g, notify.Bulk)
	full, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.enter(full, notify.Bulk); !errors.Is(err, context.Canceled) {
		t.Errorf("a third newsletter took the last place: %v", err)
	}
	enter(t, g, notify.Transactional)
	alone := newGate(1)
	enter(t, alone, notify.Bulk) // with one connection there is nothing to reserve
}

func TestWhoGivesUpHoldsNoPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1)
		enter(t, g, notify.Transactional)
		ctx, cancel := context.WithCancel(t.Context())
		got := make(chan error)
		go func() { got <- g.enter(ctx, notify.Transactional) }()
		synctest.Wait()
		entered := false
		go func() { enter(t, g, notify.Bulk); entered = true }()
		synctest.Wait()
		g.leave() // the turn goes to the first, which may give up in the same moment
		cancel()
		if err := <-got; err == nil {
			g.leave()
		}
		synctest.Wait()
		if !entered {
			t.Error("the place was lost")
		}
	})
}

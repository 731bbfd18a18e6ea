package store_test

import (
	"errors"
	"testing"
	"time"

	"gapura/internal/clock"
	"gapura/internal/store"
	"gapura/internal/waitroom"
	"gapura/internal/waitroom/waitroomtest"
	"gapura/test/conformance"
)

func TestWaitroom(t *testing.T) {
	for name, fresh := range map[string]func(t *testing.T) *conformance.Database{"SQLite": conformance.SQLite, "MariaDB": conformance.MariaDB} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			waitroomtest.Conform(t, func(t *testing.T) (waitroom.Store, *clock.Manual) {
				return &store.Waitroom{Store: fresh(t).Store(t)}, nil
			})
		})
	}
}

// A lease of no length has run out when the next node comes: so the database's own clock is tested without waiting for it.
func TestWaitroomLeaseIsTakenOver(t *testing.T) {
	t.Parallel()
	conformance.Each(t, func(t *testing.T, d *conformance.Database) {
		rooms := &store.Waitroom{Store: d.Store(t)}
		const eventID = 3
		if err := rooms.Create(t.Context(), waitroom.Record{EventID: eventID, Sealed: []byte("sealed"), Progress: waitroom.Progress{Phase: waitroom.Before}}); err != nil {
			t.Fatal(err)
		}
		lease := func(node string, ttl time.Duration) waitroom.Lease {
			t.Helper()
			l, err := rooms.Lease(t.Context(), eventID, node, ttl)
			if err != nil {
				t.Fatal(err)
			}
			if off := time.Since(l.Now).Abs(); off > time.Minute || l.Now.Location() != time.UTC {
				t.Errorf("the database's clock shows %v", l.Now)
			}
			return l
		}
		a := lease("a", 0)
		b := lease("b", time.Hour)
		if !a.Held || !b.Held || b.Fence != a.Fence+1 {
			t.Fatalf("%+v, then %+v", a, b)
		}
		if again := lease("a", time.Hour); again.Held || again.Fence != b.Fence {
			t.Errorf("the former leader got %+v while another leads", again)
		}
		if err := rooms.Save(t.Context(), eventID, a.Fence, waitroom.Progress{Phase: waitroom.Open}, time.Minute); !errors.Is(err, waitroom.ErrFenced) {
			t.Errorf("the former leader kept its progress: %v", err)
		}
	})
}

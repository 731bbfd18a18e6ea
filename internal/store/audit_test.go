package store_test

import (
	"testing"

	"gapura/internal/audit"
	"gapura/internal/registration"
	"gapura/internal/store"
	"gapura/test/conformance"
)

// TestAuditReadsEverything: the counts of a snapshot are those of the rows, for one event of two.
func TestAuditReadsEverything(t *testing.T) {
	t.Parallel()
	conformance.Each(t, func(t *testing.T, d *conformance.Database) {
		s := d.Store(t)
		eventID := conformance.Apply(t, s, conformance.Race(t, "audited-race", 1000))
		other := conformance.Apply(t, s, conformance.Race(t, "other-race", 1000))
		orders := conformance.Fill(t, s, eventID, 600)
		must(t, conformance.Write(t, s, other, conformance.NewOrder(other, 9000)))
		must(t, s.Audit(t.Context(), eventID, func(a *store.Audited) error {
			entries, held, claims := 0, 0, 0
			must(t, a.Entries(t.Context(), func(e audit.Entry) error {
				if want := orders[entries].Order; e.Order != want.ID || e.Status != want.Status || e.Total != want.Total || !e.ExpiresAt.Equal(want.ExpiresAt) {
					t.Fatalf("entry %d is %+v", entries, e)
				}
				if entries++; e.Held {
					held++
				}
				return nil
			}))
			must(t, a.Claims(t.Context(), func(registration.OwnedClaim) { claims++ }))
			if entries != 600 || held != 300 || claims != 1200 {
				t.Errorf("%d entries, %d held, %d claims", entries, held, claims)
			}
			count, highest, err := a.Sequence(t.Context())
			if err != nil || count != 600 || highest != 600 {
				t.Errorf("%d orders up to %d, %v", count, highest, err)
			}
			// Nothing has followed these orders yet but the jobs that plan it.
			findings, err := audit.Followed(t.Context(), "audited-race", a)
			for _, f := range findings {
				if f.Broken {
					t.Errorf("invariant %d: %s", f.Invariant, f.Text)
				}
			}
			childless, err2 := a.Childless(t.Context())
			shared, err3 := a.SharedKeys(t.Context())
			if childless != 0 || shared != 0 || err2 != nil || err3 != nil {
				t.Errorf("%d without participants (%v), %d shared keys (%v)", childless, err2, shared, err3)
			}
			return err
		}))
	})
}

package store_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"gapura/internal/clock"
	"gapura/internal/jobs"
	"gapura/internal/store"
	"gapura/internal/waitroom"
	"gapura/internal/waitroom/waitroomtest"
	"gapura/test/conformance"
)

func TestWaitroom(t *testing.T) {
	t.Parallel()
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

// A code is mailed by a job that is planned with it, once for every mail that goes out, and in the database there is neither the
// code nor the address.
func TestACodesMailIsPlannedWithIt(t *testing.T) {
	t.Parallel()
	conformance.Each(t, func(t *testing.T, d *conformance.Database) {
		s := d.Store(t)
		rooms := &store.Waitroom{Store: s}
		signer, err := waitroom.NewSigner(waitroom.Key{ID: 1, Secret: []byte("a secret of the waiting room")})
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now().Truncate(time.Millisecond)
		id := waitroom.ConfirmationID{7, 0xff, 0}
		asked := waitroom.Confirmation{
			ID: id, EventID: 3, Sealed: signer.SealAddress("siti@example.id", id), Locale: "id", Round: 1, Sends: 1, SentAt: now,
			Expires: now.Add(waitroom.CodeLife),
		}
		ask := func(at time.Time) {
			t.Helper()
			if _, err := rooms.AskConfirmations(t.Context(), []waitroom.Confirmation{asked}, at); err != nil {
				t.Fatal(err)
			}
		}
		ask(now)
		ask(now.Add(time.Second)) // too soon for another mail
		ask(now.Add(waitroom.ResendAfter))
		kept, found, err := rooms.Confirmation(t.Context(), id)
		if err != nil || !found || kept.Sends != 2 {
			t.Fatalf("%+v %t %v", kept, found, err)
		}
		if address, err := signer.Address(&kept); err != nil || address != "siti@example.id" {
			t.Errorf("address %q: %v", address, err)
		}
		if _, found, err := rooms.Confirmation(t.Context(), waitroom.ConfirmationID{8}); found || err != nil {
			t.Errorf("one that was never asked for: %t %v", found, err)
		}
		code, err := signer.Code(&kept)
		if err != nil || strings.Contains(string(kept.Sealed), "siti") || strings.Contains(string(kept.Sealed), code) {
			t.Errorf("the row tells the address or the code: %q %v", kept.Sealed, err)
		}
		claims, err := s.ClaimJobs(t.Context(), jobs.Mail, now.Add(time.Hour), now.Add(2*time.Hour), jobs.Want{Send: 10, Check: 10})
		if err != nil || len(claims.Send) != 2 {
			t.Fatalf("%d mails are planned: %v", len(claims.Send), err)
		}
		for i, job := range claims.Send {
			if job.Kind != jobs.MailConfirm || job.EventID != 3 || job.Version != i+1 || job.Arg != id.String() {
				t.Errorf("mail %d: %+v", i+1, job.Job)
			}
		}
	})
}

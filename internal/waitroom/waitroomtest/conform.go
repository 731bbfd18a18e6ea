package waitroomtest

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"gapura/internal/clock"
	"gapura/internal/waitroom"
)

// Conform holds a store to what waitroom.Store promises. make returns an empty store; the suite moves manual to let leases
// and passes expire, if make's store goes by it, and skips that part if make returns nil for it.
func Conform(t *testing.T, makeStore func(t *testing.T) (waitroom.Store, *clock.Manual)) {
	tests := []struct {
		name string
		run  func(t *testing.T, s waitroom.Store, manual *clock.Manual)
	}{
		{"create keeps what exists", conformCreate},
		{"draws are kept once and not after closing", conformDraws},
		{"places have no gaps and no doubles", conformPlaces},
		{"a person keeps one place", conformPersons},
		{"a pass is issued once", conformPasses},
		{"a pass is bound once", conformBindings},
		{"an old leader keeps nothing", conformFence},
		{"the operator and the leader do not overwrite each other", conformOperator},
		{"what is kept of the lease is what was taken", conformHolder},
		{"a code is asked for", conformAsks},
		{"a code is tried", conformTries},
		{"a lapsed code is forgotten", conformForgets},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			store, manual := makeStore(t)
			test.run(t, store, manual)
		})
	}
}

const eventID = 7

var start = time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC)

func create(t *testing.T, s waitroom.Store) waitroom.Record {
	t.Helper()
	seed := waitroom.Seed{1, 2, 3}
	r := waitroom.Record{
		EventID: eventID, Sealed: []byte("sealed"), Commitment: seed.Commitment(),
		Progress: waitroom.Progress{
			Phase: waitroom.Before, Stock: waitroom.InStock, Admission: waitroom.NewAdmission(waitroom.DefaultTuning()),
		},
	}
	must(t, s.Create(t.Context(), r))
	return r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, s waitroom.Store) waitroom.Record {
	t.Helper()
	r, _, err := s.Load(t.Context(), eventID)
	must(t, err)
	return r
}

// numbers returns n distinct numbers, scattered as real ones are.
func numbers(n int) []waitroom.Number {
	made := make([]waitroom.Number, n)
	for i := range made {
		made[i] = waitroom.Visitor{byte(i), byte(i >> 8), byte(i >> 16)}.Number(eventID)
	}
	return made
}

func conformCreate(t *testing.T, s waitroom.Store, _ *clock.Manual) {
	if _, _, err := s.Load(t.Context(), eventID); !errors.Is(err, waitroom.ErrNoRoom) {
		t.Fatalf("a room that was never created: %v", err)
	}
	first := create(t, s)
	second := first
	second.Commitment = waitroom.Hash{9}
	must(t, s.Create(t.Context(), second))
	got := load(t, s)
	if got.Commitment != first.Commitment || !slices.Equal(got.Sealed, first.Sealed) || got.Phase != waitroom.Before {
		t.Fatalf("a second create changed the room: %+v", got)
	}
}

func conformDraws(t *testing.T, s waitroom.Store, _ *clock.Manual) {
	create(t, s)
	drew := numbers(500)
	must(t, s.SaveDraws(t.Context(), eventID, drew[:400]))
	must(t, s.SaveDraws(t.Context(), eventID, drew[300:]))
	if r := load(t, s); r.Drawn != 500 {
		t.Fatalf("500 drew, %d are counted", r.Drawn)
	}
	lease, err := s.Lease(t.Context(), eventID, "a", time.Minute)
	must(t, err)
	p := load(t, s).Progress
	p.Phase = waitroom.Closed
	must(t, s.Save(t.Context(), eventID, lease.Fence, p, time.Minute))
	late := waitroom.Number{1}
	if err := s.SaveDraws(t.Context(), eventID, []waitroom.Number{late}); !errors.Is(err, waitroom.ErrListClosed) {
		t.Fatalf("a draw after closing: %v", err)
	}
	got, err := s.Numbers(t.Context(), eventID)
	must(t, err)
	slices.SortFunc(got, waitroom.Number.Compare)
	slices.SortFunc(drew, waitroom.Number.Compare)
	if !slices.Equal(got, drew) {
		t.Fatalf("%d numbers are listed, not the 500 that drew", len(got))
	}
}

func conformPlaces(t *testing.T, s waitroom.Store, _ *clock.Manual) {
	create(t, s)
	var mu sync.Mutex
	var all []int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			places, err := s.TakePlaces(t.Context(), eventID, make([]waitroom.Arrival, 25), start)
			if err != nil || !slices.IsSorted(places) {
				t.Errorf("places of one batch: %v %v", places, err)
			}
			mu.Lock()
			all = append(all, places...)
			mu.Unlock()
		})
	}
	wg.Wait()
	slices.Sort(all)
	for i, place := range all {
		if place != int64(i+1) {
			t.Fatalf("place %d of %d is %d", i+1, len(all), place)
		}
	}
	if r := load(t, s); r.Late != 200 || len(all) != 200 {
		t.Fatalf("200 came, %d are counted", r.Late)
	}
}

func take(t *testing.T, s waitroom.Store, now time.Time, n waitroom.Number) int64 {
	t.Helper()
	places, err := s.TakePlaces(t.Context(), eventID, []waitroom.Arrival{{Number: n, Person: true}}, now)
	must(t, err)
	return places[0]
}

func issue(t *testing.T, s waitroom.Store, now time.Time, row waitroom.PassRow) waitroom.PassRow {
	t.Helper()
	rows, err := s.IssuePasses(t.Context(), eventID, []waitroom.PassRow{row}, now)
	must(t, err)
	if !rows[0].Expires.Equal(rows[0].Expires.Truncate(time.Second)) {
		t.Fatalf("a pass expires at %v", rows[0].Expires)
	}
	return rows[0]
}

func conformPersons(t *testing.T, s waitroom.Store, _ *clock.Manual) {
	create(t, s)
	n := numbers(3)
	drew, late, other := n[0], n[1], n[2]
	must(t, s.SaveDraws(t.Context(), eventID, []waitroom.Number{drew}))
	for range 2 {
		if got := take(t, s, start, drew); got != 0 {
			t.Fatalf("who drew got place %d", got)
		}
		if got := take(t, s, start, late); got != 1 {
			t.Fatalf("the first late person got place %d", got)
		}
	}
	if got := take(t, s, start, other); got != 2 {
		t.Fatalf("the second late person got place %d", got)
	}
	expires := start.Add(time.Minute)
	issue(t, s, start, waitroom.PassRow{Number: drew, Expires: expires})
	issue(t, s, start, waitroom.PassRow{Number: late, Place: 1, Expires: expires})
	if got := take(t, s, start, late); got != 1 {
		t.Fatalf("with a valid pass the place became %d", got)
	}
	for i, person := range []waitroom.Number{drew, late} {
		for range 2 {
			if got := take(t, s, expires, person); got != int64(3+i) {
				t.Fatalf("with a lapsed pass the new place is %d", got)
			}
		}
	}
}

func conformPasses(t *testing.T, s waitroom.Store, _ *clock.Manual) {
	create(t, s)
	n := numbers(1)[0]
	row := waitroom.PassRow{Number: n, Place: 5, Key: waitroom.HashKey("k"), Expires: start.Add(time.Minute)}
	if got := issue(t, s, start, row); got != row {
		t.Fatalf("issued %+v instead of %+v", got, row)
	}
	again := waitroom.PassRow{Number: n, Place: 5, Key: waitroom.HashKey("other"), Expires: start.Add(time.Hour)}
	for _, now := range []time.Time{start, row.Expires} {
		if got := issue(t, s, now, again); got != row {
			t.Fatalf("the second pass for a place replaced the first: %+v", got)
		}
	}
	again.Place = 9
	if got := issue(t, s, start, again); got != row {
		t.Fatalf("a pass for a later place replaced a valid one: %+v", got)
	}
	if got := issue(t, s, row.Expires, again); got != again {
		t.Fatalf("a pass for a later place did not replace a lapsed one: %+v", got)
	}
	if got := issue(t, s, again.Expires, row); got != again {
		t.Fatalf("the ticket of an earlier place got a second pass: %+v", got)
	}
}

func conformBindings(t *testing.T, s waitroom.Store, _ *clock.Manual) {
	create(t, s)
	n := numbers(2)
	issue(t, s, start, waitroom.PassRow{Number: n[0], Expires: start.Add(time.Minute)})
	first, second := waitroom.HashKey("first"), waitroom.HashKey("second")
	for _, key := range []waitroom.KeyHash{first, second, first} {
		got, err := s.BindPasses(t.Context(), eventID, []waitroom.Binding{{Number: n[0], Key: key}, {Number: n[1], Key: key}})
		must(t, err)
		if got[0] != first || got[1] != (waitroom.KeyHash{}) {
			t.Fatalf("bound to %x", got)
		}
	}
	if got := issue(t, s, start, waitroom.PassRow{Number: n[0], Expires: start.Add(time.Hour)}); got.Key != first {
		t.Fatalf("the binding was forgotten: %+v", got)
	}
}

func conformFence(t *testing.T, s waitroom.Store, manual *clock.Manual) {
	create(t, s)
	a, err := s.Lease(t.Context(), eventID, "a", 3*time.Second)
	must(t, err)
	b, err := s.Lease(t.Context(), eventID, "b", 3*time.Second)
	must(t, err)
	if !a.Held || b.Held || a.Now.IsZero() {
		t.Fatalf("two leaders: %+v %+v", a, b)
	}
	if again, err := s.Lease(t.Context(), eventID, "a", 3*time.Second); err != nil || !again.Held || again.Fence != a.Fence {
		t.Fatalf("the leader could not renew: %+v %v", again, err)
	}
	if manual == nil {
		t.Skip("the store's clock cannot be moved")
	}
	manual.Advance(3 * time.Second)
	b, err = s.Lease(t.Context(), eventID, "b", 3*time.Second)
	must(t, err)
	if !b.Held || b.Fence <= a.Fence {
		t.Fatalf("nobody took over: %+v after %+v", b, a)
	}
	p := load(t, s).Progress
	p.Served = 10
	if err := s.Save(t.Context(), eventID, a.Fence, p, time.Minute); !errors.Is(err, waitroom.ErrFenced) {
		t.Fatalf("the old leader kept its progress: %v", err)
	}
	must(t, s.Save(t.Context(), eventID, b.Fence, p, time.Minute))
	if r := load(t, s); r.Served != 10 {
		t.Fatalf("served %d", r.Served)
	}
}

func conformOperator(t *testing.T, s waitroom.Store, _ *clock.Manual) {
	create(t, s)
	lease, err := s.Lease(t.Context(), eventID, "a", time.Minute)
	must(t, err)
	p := load(t, s).Progress
	must(t, s.Operate(t.Context(), eventID, func(o *waitroom.Operator) {
		*o = waitroom.Operator{Paused: true, Ceiling: 12.5, LetIn: 40, Groups: []int64{2, 3}}
	}))
	_, err = s.TakePlaces(t.Context(), eventID, make([]waitroom.Arrival, 3), start)
	must(t, err)
	p.Phase, p.Served, p.LetIn = waitroom.Open, 5, 4
	p.Root, p.ListHash, p.ClosedAt, p.OpenedAt, p.UpdatedAt = waitroom.Hash{1}, waitroom.Hash{2}, start, start, start
	p.Admission.Shown = 3.25
	must(t, s.Save(t.Context(), eventID, lease.Fence, p, time.Minute))
	r := load(t, s)
	if !r.Operator.Paused || r.Operator.Ceiling != 12.5 || r.Operator.LetIn != 40 || !slices.Equal(r.Operator.Groups, []int64{2, 3}) {
		t.Fatalf("the leader overwrote the operator: %+v", r.Operator)
	}
	if r.Late != 3 || r.Progress != p {
		t.Fatalf("kept %+v with %d late, not %+v", r.Progress, r.Late, p)
	}
}

func conformHolder(t *testing.T, s waitroom.Store, _ *clock.Manual) {
	create(t, s)
	if r := load(t, s); r.Holder != "" || r.Fence != 0 || r.LeaseUntil.After(time.Unix(0, 0).UTC()) && !r.LeaseUntil.IsZero() {
		t.Fatalf("nobody leads yet: %q %d %v", r.Holder, r.Fence, r.LeaseUntil)
	}
	lease, err := s.Lease(t.Context(), eventID, "a", time.Minute)
	must(t, err)
	r := load(t, s)
	if left := r.LeaseUntil.Sub(lease.Now); r.Holder != "a" || r.Fence != lease.Fence || left != time.Minute {
		t.Fatalf("held by %q with fence %d for %v", r.Holder, r.Fence, left)
	}
	must(t, s.Save(t.Context(), eventID, lease.Fence, r.Progress, time.Hour))
	if left := load(t, s).LeaseUntil.Sub(lease.Now); left < time.Hour || left > time.Hour+time.Minute {
		t.Fatalf("after it was renewed for an hour the lease lasts %v", left)
	}
}

func asked(n byte, locale string) waitroom.Confirmation {
	return waitroom.Confirmation{
		ID: waitroom.ConfirmationID{n}, EventID: eventID, Sealed: []byte{1, n, 0xff, 0, 0x80}, Locale: locale, Round: 1, Sends: 1,
		SentAt: start, Expires: start.Add(waitroom.CodeLife),
	}
}

func ask(t *testing.T, s waitroom.Store, now time.Time, asks ...waitroom.Confirmation) []waitroom.Confirmation {
	t.Helper()
	kept, err := s.AskConfirmations(t.Context(), asks, now)
	must(t, err)
	if len(kept) != len(asks) {
		t.Fatalf("%d were asked for, %d are kept", len(asks), len(kept))
	}
	return kept
}

func same(a, b waitroom.Confirmation) bool {
	return a.ID == b.ID && a.EventID == b.EventID && slices.Equal(a.Sealed, b.Sealed) && a.Locale == b.Locale && a.Round == b.Round &&
		a.Sends == b.Sends && a.SentAt.Equal(b.SentAt) && a.Attempts == b.Attempts && a.Expires.Equal(b.Expires)
}

func conformAsks(t *testing.T, s waitroom.Store, _ *clock.Manual) {
	create(t, s)
	first, second := asked(9, "id"), asked(3, "en")
	for i, got := range ask(t, s, start, first, second) {
		if want := []waitroom.Confirmation{first, second}[i]; !same(got, want) {
			t.Fatalf("kept %+v, not %+v", got, want)
		}
	}
	soon := start.Add(waitroom.ResendAfter - time.Millisecond)
	third := asked(5, "id")
	if got := ask(t, s, soon, third, first); !same(got[0], third) || !same(got[1], first) {
		t.Fatalf("asked again too soon: %+v", got)
	}
	later := start.Add(waitroom.ResendAfter)
	want, _ := first.Again(later)
	for range 2 {
		if got := ask(t, s, later, first); !same(got[0], want) || got[0].Sends != 2 || got[0].Round != 1 {
			t.Fatalf("asked again: %+v", got)
		}
	}
	lapsed := want.Expires
	if got := ask(t, s, lapsed, first); got[0].Round != 2 || got[0].Sends != 3 {
		t.Fatalf("asked after it has lapsed: %+v", got)
	}
}

func conformTries(t *testing.T, s waitroom.Store, _ *clock.Manual) {
	create(t, s)
	ask(t, s, start, asked(9, "id"), asked(3, "en"))
	right := func(c *waitroom.Confirmation, code string) bool { return code == "right "+c.ID.String()[:2] }
	try := func(event int64, now time.Time, tries ...waitroom.Try) []waitroom.TryOutcome {
		t.Helper()
		got, err := s.TryCodes(t.Context(), event, tries, right, now)
		must(t, err)
		return got
	}
	nine, three, none := waitroom.ConfirmationID{9}, waitroom.ConfirmationID{3}, waitroom.ConfirmationID{1}
	got := try(eventID, start, waitroom.Try{ID: nine, Code: "wrong"}, waitroom.Try{ID: three, Code: "right 03"},
		waitroom.Try{ID: nine, Code: "worse"}, waitroom.Try{ID: none, Code: "right 01"}, waitroom.Try{ID: nine, Code: "right 09"})
	for i, want := range []error{waitroom.ErrWrongCode, nil, waitroom.ErrWrongCode, waitroom.ErrCodeLapsed, nil} {
		if !errors.Is(got[i].Err, want) {
			t.Fatalf("try %d: %v, not %v", i+1, got[i].Err, want)
		}
	}
	if got[0].Confirmation.Attempts != 1 || got[2].Confirmation.Attempts != 2 || !slices.Equal(got[1].Confirmation.Sealed, asked(3, "").Sealed) {
		t.Fatalf("%+v", got)
	}
	if other := try(eventID+1, start, waitroom.Try{ID: three, Code: "right 03"}); !errors.Is(other[0].Err, waitroom.ErrCodeLapsed) {
		t.Fatalf("at another event: %+v", other)
	}
	var wg sync.WaitGroup
	for range 20 { // many at once have no more tries than one after the other
		wg.Go(func() {
			_, _ = s.TryCodes(t.Context(), eventID, []waitroom.Try{{ID: nine, Code: "wrong"}}, right, start)
		})
	}
	wg.Wait()
	locked := try(eventID, start, waitroom.Try{ID: nine, Code: "right 09"}, waitroom.Try{ID: three, Code: "right 03"})
	if !errors.Is(locked[0].Err, waitroom.ErrTooManyCodes) || locked[0].Confirmation.Attempts != 5 || locked[1].Err != nil {
		t.Fatalf("after many wrong codes: %+v", locked)
	}
	if lapsed := try(eventID, start.Add(waitroom.CodeLife), waitroom.Try{ID: three, Code: "right 03"}); !errors.Is(lapsed[0].Err, waitroom.ErrCodeLapsed) {
		t.Fatalf("half an hour later: %+v", lapsed)
	}
	again := ask(t, s, start.Add(waitroom.ResendAfter), asked(9, "id"))
	if again[0].Round != 2 || again[0].Attempts != 0 {
		t.Fatalf("a new code after too many wrong ones: %+v", again)
	}
}

func conformForgets(t *testing.T, s waitroom.Store, _ *clock.Manual) {
	create(t, s)
	other := asked(4, "id")
	other.EventID = eventID + 1
	ask(t, s, start, asked(9, "id"), other)
	late := asked(3, "id")
	late.Expires = late.Expires.Add(time.Minute)
	ask(t, s, start, late)
	must(t, s.ForgetConfirmations(t.Context(), eventID, start.Add(waitroom.CodeLife+time.Second)))
	always := func(*waitroom.Confirmation, string) bool { return true }
	for event, ids := range map[int64][]waitroom.ConfirmationID{eventID: {{9}, {3}}, eventID + 1: {{4}}} {
		for _, id := range ids {
			got, err := s.TryCodes(t.Context(), event, []waitroom.Try{{ID: id}}, always, start)
			must(t, err)
			if gone := errors.Is(got[0].Err, waitroom.ErrCodeLapsed); gone != (id[0] == 9) {
				t.Errorf("confirmation %d: %v", id[0], got[0].Err)
			}
		}
	}
}

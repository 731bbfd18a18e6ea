package conformance

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gapura/internal/event"
	"gapura/internal/id"
	"gapura/internal/registration"
	"gapura/internal/store"
)

// Store holds a database to what registration expects of it.
func Store(t *testing.T, fresh func(t *testing.T) *Database) {
	tests := []struct {
		name string
		run  func(t *testing.T, d *Database)
	}{
		{"what is written is read", storeRoundTrip},
		{"text survives in any script", storeText},
		{"identifiers differ by case", storeCase},
		{"unknown orders", storeUnknown},
		{"one transaction at a time", storeExclusion},
		{"work that fails leaves nothing", storeRollback},
		{"a key has one order", storeDuplicateKey},
		{"a claim has one holder", storeDuplicateClaim},
		{"the database refuses to oversell", storeOversell},
		{"a value that does not fit", storeRejects},
		{"look-ups of more than one chunk", storeChunks},
		{"claims are released by their holder only", storeRelease},
		{"a change of state", storeSetStatus},
		{"a place that is taken again", storeTakeAgain},
		{"holds that end", storeHolds},
		{"keys and claims of an event", storeHashes},
		{"revisions", storeRevisions},
		{"a big batch", storeBigBatch},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, fresh(t))
		})
	}
}

func opened(t *testing.T, d *Database) (*store.Store, int64) {
	t.Helper()
	s := d.Store(t)
	return s, Apply(t, s, Race(t, "conform-race", 10_000))
}

var sameOrder = cmp.Options{cmpopts.EquateEmpty()}

func storeRoundTrip(t *testing.T, d *Database) {
	s, eventID := opened(t, d)
	paid := NewOrder(eventID, 1, func(o *registration.NewOrder) {
		second := o.Order.Participants[0]
		second.Position, second.Category, second.Tier, second.Price = 2, "10k", 0, 200_000
		second.Email, second.Phone, second.Gender = "", "", "male"
		second.Answers = map[string]string{"jersey": "S", "note": "vegetarian"}
		o.Order.Participants = append(o.Order.Participants, second)
		o.Order.Total, o.Order.Locale = 350_000, "en"
		o.Claims = append(o.Claims, nil)
	})
	free := NewOrder(eventID, 2, Free)
	must(t, Write(t, s, eventID, paid, free))
	for _, want := range []registration.NewOrder{paid, free} {
		got, err := s.Order(t.Context(), want.Order.ID)
		must(t, err)
		if diff := cmp.Diff(*want.Order, got, sameOrder); diff != "" {
			t.Errorf("Order (-written +read):\n%s", diff)
		}
		keyed, err := s.OrderByKey(t.Context(), want.Key)
		must(t, err)
		if diff := cmp.Diff(registration.KeyedOrder{Fingerprint: want.Fingerprint, Order: *want.Order}, keyed, sameOrder); diff != "" {
			t.Errorf("OrderByKey (-written +read):\n%s", diff)
		}
	}
	wantError(t, within(t, s, eventID, func(ctx context.Context, tx registration.Tx) error {
		got, err := tx.Orders(ctx, []id.ID{free.Order.ID, paid.Order.ID, id.New()})
		if diff := cmp.Diff([]registration.Order{*paid.Order, *free.Order}, got, sameOrder); diff != "" {
			t.Errorf("Tx.Orders (-written +read):\n%s", diff)
		}
		return errors.Join(err, registration.ErrNothing)
	}), registration.ErrNothing)
}

// awkward is what a careless layer between Go and SQL breaks.
var awkward = []string{
	`O'Brien "Bo" \ back\\slash \' \0 \n`, "percent % _ underscore", "؟ محمد بن عبد الله", "李小龍", "ꦲꦏ꧀ꦱꦫꦗꦮ", "🏃‍♀️ 🇮🇩 👨‍👩‍👧", "𝔾𝕒𝕡𝕦𝕣𝕒",
	"é é", "$1 ?1 :name @x ??", "-- ; DROP TABLE orders /*", "x' OR '1'='1", "\u200bzero\u00a0width", "line\nbreak\ttab", "\u001a\u0008 controls",
	"trailing space ", " leading", strings.Repeat("字", 160),
}

func storeText(t *testing.T, d *Database) {
	s, eventID := opened(t, d)
	orders := make([]registration.NewOrder, len(awkward))
	for i, text := range awkward {
		orders[i] = NewOrder(eventID, i+1, func(o *registration.NewOrder) {
			o.Order.Contact.Name, o.Order.Participants[0].Name = text, text
			o.Order.Contact.Email, o.Order.Participants[0].Email = text, text
			o.Order.Participants[0].Answers = map[string]string{"note": text, "jersey": "M"}
		})
	}
	must(t, Write(t, s, eventID, orders...))
	for i, want := range orders {
		got, err := s.Order(t.Context(), want.Order.ID)
		must(t, err)
		if diff := cmp.Diff(*want.Order, got, sameOrder); diff != "" {
			t.Errorf("%q (-written +read):\n%s", awkward[i], diff)
		}
	}
}

// storeCase: two values that differ by case, accent or trailing space are two values, as names of counters and in columns
// that a query compares.
func storeCase(t *testing.T, d *Database) {
	s := d.Store(t)
	eventID := Apply(t, s, Race(t, "conform-race", 100, func(e *event.Event) {
		q := &e.Questions[0]
		for _, value := range []string{"s", "É", "E", "e", "é"} {
			q.Options = append(q.Options, event.Option{Value: value})
		}
	}))
	order := NewOrder(eventID, 1, func(o *registration.NewOrder) { o.Order.Participants[0].Answers = map[string]string{"jersey": "é"} })
	must(t, Write(t, s, eventID, order))
	l, err := s.Ledger(t.Context(), eventID)
	must(t, err)
	for value, want := range map[string]int{"S": 0, "s": 0, "É": 0, "E": 0, "e": 0, "é": 1} {
		if got := l.Counters[event.OptionCounter("jersey", value)].Taken; got != want {
			t.Errorf("option %q: %d taken, want %d", value, got, want)
		}
	}
	for email, want := range map[string]int{Email(1): 1, strings.ToUpper(Email(1)): 0, Email(1) + " ": 0} {
		if got := d.Number(t, "SELECT COUNT(*) FROM participants WHERE email = ?", email); got != want && (d.Driver == store.DriverSQLite || !strings.HasSuffix(email, " ")) {
			t.Errorf("%q: %d participants, want %d", email, got, want)
		}
	}
}

func storeUnknown(t *testing.T, d *Database) {
	s, eventID := opened(t, d)
	_, err := s.Order(t.Context(), id.New())
	wantError(t, err, registration.ErrNoOrder)
	_, err = s.OrderByKey(t.Context(), Hash("key", 1))
	wantError(t, err, registration.ErrNoOrder)
	states, err := s.States(t.Context(), []id.ID{id.New()})
	if err != nil || len(states) != 0 {
		t.Errorf("states of an unknown order: %v, %v", states, err)
	}
	if err := within(t, s, eventID+1, func(context.Context, registration.Tx) error { return nil }); err == nil {
		t.Error("an event that does not exist was locked")
	}
	if _, err := s.Ledger(t.Context(), eventID+1); err == nil {
		t.Error("an event that does not exist has a ledger")
	}
}

func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

// storeExclusion counts in memory without a lock: only the event's lock keeps two transactions apart. Two nodes take part.
func storeExclusion(t *testing.T, d *Database) {
	s, eventID := opened(t, d)
	nodes := []*store.Store{s, d.Open(t)}
	const turns, workers = 25, 8
	inside, most := 0, 0
	errs := make(chan error, workers)
	for w := range workers {
		node := nodes[w%len(nodes)]
		go func() {
			for range turns {
				err := turn(t.Context(), node, eventID, &inside, &most)
				if err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range workers {
		must(t, <-errs)
	}
	l, err := s.Ledger(t.Context(), eventID)
	must(t, err)
	if most != 1 || l.LastSeq != workers*turns {
		t.Errorf("%d transactions at a time, %d of %d increments kept", most, l.LastSeq, workers*turns)
	}
}

// turn reads and writes the last number, again after contention.
func turn(ctx context.Context, s *store.Store, eventID int64, inside, most *int) error {
	for {
		err := s.InEvent(ctx, eventID, func(tx registration.Tx) error {
			*inside++
			*most = max(*most, *inside)
			defer func() { *inside-- }()
			l, err := tx.Ledger(ctx, nil)
			if err != nil {
				return err
			}
			return tx.Advance(ctx, l.LastSeq+1, nil)
		})
		if !errors.Is(err, registration.ErrContention) {
			return err
		}
	}
}

func storeRollback(t *testing.T, d *Database) {
	s, eventID := opened(t, d)
	stop := errors.New("stop")
	for _, reason := range []error{stop, registration.ErrNothing} {
		o := NewOrder(eventID, 1)
		err := within(t, s, eventID, func(ctx context.Context, tx registration.Tx) error {
			must(t, tx.Insert(ctx, []registration.NewOrder{o}))
			must(t, tx.Advance(ctx, 1, map[event.Counter]registration.Count{event.QuotaCounter("total"): {Taken: 1, Held: 1}}))
			return reason
		})
		wantError(t, err, reason)
		_, err = s.Order(t.Context(), o.Order.ID)
		wantError(t, err, registration.ErrNoOrder)
	}
	for _, table := range []string{"orders", "participants", "claims", "outbox"} {
		if n := d.Number(t, "SELECT COUNT(*) FROM "+table); n != 0 {
			t.Errorf("%d rows in %s", n, table)
		}
	}
	l, err := s.Ledger(t.Context(), eventID)
	must(t, err)
	if l.LastSeq != 0 || l.Touched != 0 || l.Counters[event.QuotaCounter("total")].Taken != 0 {
		t.Errorf("the ledger changed: %+v", l)
	}
}

func storeDuplicateKey(t *testing.T, d *Database) {
	s, eventID := opened(t, d)
	other := Apply(t, s, Race(t, "other-event", 10))
	must(t, Write(t, s, eventID, NewOrder(eventID, 1)))
	again := func(o *registration.NewOrder) { o.Key = Hash("key", 1) }
	wantError(t, Write(t, s, eventID, NewOrder(eventID, 2, again)), registration.ErrDuplicate)
	wantError(t, Write(t, s, other, NewOrder(other, 1, again)), registration.ErrDuplicate)
	if n := d.Number(t, "SELECT COUNT(*) FROM orders"); n != 1 {
		t.Errorf("%d orders", n)
	}
}

func storeDuplicateClaim(t *testing.T, d *Database) {
	s, eventID := opened(t, d)
	other := Apply(t, s, Race(t, "other-event", 10))
	must(t, Write(t, s, eventID, NewOrder(eventID, 1)))
	same := func(o *registration.NewOrder) { o.Claims[0][1] = Hash("phone", 1) }
	wantError(t, Write(t, s, eventID, NewOrder(eventID, 2, same)), registration.ErrDuplicate)
	if err := Write(t, s, other, NewOrder(other, 2, same)); err != nil {
		t.Errorf("the same claim in another event: %v", err)
	}
}

func storeOversell(t *testing.T, d *Database) {
	s := d.Store(t)
	eventID := Apply(t, s, Race(t, "conform-race", 2))
	must(t, Write(t, s, eventID, NewOrder(eventID, 1), NewOrder(eventID, 2)))
	wantError(t, Write(t, s, eventID, NewOrder(eventID, 3)), registration.ErrRejected)
	wantError(t, within(t, s, eventID, func(ctx context.Context, tx registration.Tx) error {
		return tx.Advance(ctx, 2, map[event.Counter]registration.Count{event.QuotaCounter("total"): {Taken: -3}})
	}), registration.ErrRejected)
	l, err := s.Ledger(t.Context(), eventID)
	must(t, err)
	if got, want := l.Counters[event.QuotaCounter("total")], (registration.Count{Taken: 2, Held: 2, Limit: 2}); got != want {
		t.Errorf("counter %+v, want %+v", got, want)
	}
}

// storeRejects: SQLite has no lengths, so only a value that no table takes is tried there.
func storeRejects(t *testing.T, d *Database) {
	s, eventID := opened(t, d)
	if d.Driver == store.DriverSQLite {
		d.Exec(t, "CREATE TRIGGER strict BEFORE INSERT ON participants WHEN length(NEW.name) > 160 BEGIN SELECT RAISE(ABORT, 'too long'); END")
	}
	err := Write(t, s, eventID, NewOrder(eventID, 1), NewOrder(eventID, 2, func(o *registration.NewOrder) {
		o.Order.Participants[0].Name = strings.Repeat("x", 161)
	}))
	wantError(t, err, registration.ErrRejected)
	if n := d.Number(t, "SELECT COUNT(*) FROM orders"); n != 0 {
		t.Errorf("%d orders of a rejected batch", n)
	}
}

func storeChunks(t *testing.T, d *Database) {
	s, eventID := opened(t, d)
	orders := Fill(t, s, eventID, 1300)
	keys := []registration.Key{Hash("key", 0)}
	claims := []registration.Claim{Hash("email", 0)}
	ids := []id.ID{id.New()}
	for i := range orders {
		keys = append(keys, orders[i].Key)
		claims = append(claims, orders[i].Claims[0][0])
		ids = append(ids, orders[i].Order.ID)
	}
	wantError(t, within(t, s, eventID, func(ctx context.Context, tx registration.Tx) error {
		found, err := tx.OrdersByKey(ctx, keys)
		must(t, err)
		taken, err := tx.Taken(ctx, claims)
		must(t, err)
		if len(found) != len(orders) || len(taken) != len(orders) {
			t.Errorf("%d orders and %d claims found, want %d", len(found), len(taken), len(orders))
		}
		for i := range orders {
			if diff := cmp.Diff(*orders[i].Order, found[orders[i].Key].Order, sameOrder); diff != "" {
				t.Fatalf("order %d (-written +found):\n%s", i, diff)
			}
		}
		return registration.ErrNothing
	}), registration.ErrNothing)
	states, err := s.States(t.Context(), ids)
	must(t, err)
	if len(states) != len(orders) {
		t.Errorf("%d states, want %d", len(states), len(orders))
	}
}

func storeRelease(t *testing.T, d *Database) {
	s, eventID := opened(t, d)
	other := Apply(t, s, Race(t, "other-event", 10))
	one, two := NewOrder(eventID, 1), NewOrder(eventID, 2)
	must(t, Write(t, s, eventID, one, two))
	must(t, Write(t, s, other, NewOrder(other, 3, func(o *registration.NewOrder) { o.Claims = one.Claims })))
	must(t, within(t, s, eventID, func(ctx context.Context, tx registration.Tx) error {
		owned := []registration.OwnedClaim{
			{Claim: one.Claims[0][0], Order: one.Order.ID},
			{Claim: one.Claims[0][1], Order: one.Order.ID},
			{Claim: two.Claims[0][0], Order: id.New()}, // somebody else's by now
		}
		for i := range 600 { // more than a chunk
			owned = append(owned, registration.OwnedClaim{Claim: Hash("nobody", i), Order: one.Order.ID})
		}
		return tx.Release(ctx, owned)
	}))
	got := map[registration.Claim]bool{}
	must(t, s.Claims(t.Context(), eventID, func(c registration.Claim) { got[c] = true }))
	want := map[registration.Claim]bool{two.Claims[0][0]: true, two.Claims[0][1]: true}
	if !maps.Equal(got, want) {
		t.Errorf("%d claims are left, want both of the second order", len(got))
	}
	if n := d.Number(t, "SELECT COUNT(*) FROM claims WHERE event_id = ?", other); n != 2 {
		t.Errorf("%d claims of the other event, want 2", n)
	}
}

func storeSetStatus(t *testing.T, d *Database) {
	s, eventID := opened(t, d)
	orders := []registration.NewOrder{NewOrder(eventID, 1), NewOrder(eventID, 2), NewOrder(eventID, 3)}
	must(t, Write(t, s, eventID, orders...))
	now := Opening.Add(time.Hour)
	must(t, within(t, s, eventID, func(ctx context.Context, tx registration.Tx) error {
		return tx.SetStatus(ctx, now, []id.ID{orders[0].Order.ID, orders[2].Order.ID}, registration.Expired)
	}))
	states, err := s.States(t.Context(), []id.ID{orders[0].Order.ID, orders[1].Order.ID, orders[2].Order.ID})
	must(t, err)
	slices.SortFunc(states, func(a, b registration.Change) int { return strings.Compare(a.Order.String(), b.Order.String()) })
	want := []registration.Change{
		{Order: orders[0].Order.ID, Version: 2, Status: registration.Expired},
		{Order: orders[1].Order.ID, Version: 1, Status: registration.AwaitingPayment},
		{Order: orders[2].Order.ID, Version: 2, Status: registration.Expired},
	}
	if diff := cmp.Diff(want, states); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	if n := d.Number(t, "SELECT COUNT(*) FROM outbox WHERE kind = 'order.changed' AND version = 2 AND created_at = ?", now.UnixMilli()); n != 2 {
		t.Errorf("%d outbox rows of the change, want 2", n)
	}
	if n := d.Number(t, "SELECT COUNT(*) FROM outbox WHERE kind = 'order.placed' AND version = 1"); n != 3 {
		t.Errorf("%d outbox rows of new orders, want 3", n)
	}
	if n := d.Number(t, "SELECT COUNT(*) FROM orders WHERE hold_until IS NOT NULL"); n != 1 {
		t.Errorf("%d holds are left, want 1", n)
	}
}

// storeTakeAgain: what late money does to an order whose place was given away.
func storeTakeAgain(t *testing.T, d *Database) {
	s, eventID := opened(t, d)
	other := NewOrder(eventID, 2, func(o *registration.NewOrder) { o.Order.Participants[0].Tier = 0 })
	late := NewOrder(eventID, 1, func(o *registration.NewOrder) { o.Order.Participants[0].Tier, o.Claims[0] = 0, nil })
	must(t, Write(t, s, eventID, late, other))
	own := func(claim registration.Claim) []registration.OwnedClaim {
		return []registration.OwnedClaim{{Claim: Hash("second", 1), Order: late.Order.ID}, {Claim: claim, Order: late.Order.ID}}
	}
	take := func(claims []registration.OwnedClaim) error {
		return within(t, s, eventID, func(ctx context.Context, tx registration.Tx) error {
			return errors.Join(tx.LeaveTiers(ctx, late.Order.ID), tx.Claim(ctx, claims))
		})
	}
	wantError(t, take(own(other.Claims[0][0])), registration.ErrDuplicate)
	got, err := s.Order(t.Context(), late.Order.ID)
	if err != nil || got.Participants[0].Tier != 0 {
		t.Errorf("a refused claim changed the order: tier %d, %v", got.Participants[0].Tier, err)
	}
	must(t, take(own(Hash("email", 1))))
	must(t, take(nil))
	got, err = s.Order(t.Context(), late.Order.ID)
	if err != nil || got.Participants[0].Tier != -1 || got.Participants[0].Price != late.Order.Participants[0].Price {
		t.Errorf("tier %d for %v, %v", got.Participants[0].Tier, got.Participants[0].Price, err)
	}
	got, err = s.Order(t.Context(), other.Order.ID)
	if err != nil || got.Participants[0].Tier != 0 {
		t.Errorf("the other order: tier %d, %v", got.Participants[0].Tier, err)
	}
	if n := d.Number(t, "SELECT COUNT(*) FROM claims WHERE event_id = ?", eventID); n != 4 {
		t.Errorf("%d claims, want 4", n)
	}
}

func storeHolds(t *testing.T, d *Database) {
	s, eventID := opened(t, d)
	other := Apply(t, s, Race(t, "other-event", 10))
	ends := func(at time.Time) func(*registration.NewOrder) {
		return func(o *registration.NewOrder) { o.Order.ExpiresAt = at }
	}
	at := Opening.Add(time.Hour)
	late := NewOrder(eventID, 1, ends(at.Add(time.Millisecond)))
	first := NewOrder(eventID, 2, ends(at.Add(-time.Minute)))
	must(t, Write(t, s, eventID, late, first, NewOrder(eventID, 3, Free), NewOrder(eventID, 4, ends(at))))
	second := NewOrder(other, 5, ends(at.Add(-time.Second)))
	must(t, Write(t, s, other, second))
	due, err := s.DueHolds(t.Context(), at, nil, 10)
	must(t, err)
	want := []registration.Due{{Order: first.Order.ID, EventID: eventID}, {Order: second.Order.ID, EventID: other}}
	if diff := cmp.Diff(want, due); diff != "" {
		t.Errorf("due (-want +got):\n%s", diff)
	}
	due, err = s.DueHolds(t.Context(), at, nil, 1)
	if err != nil || len(due) != 1 || due[0].Order != first.Order.ID {
		t.Errorf("the longest overdue: %v, %v", due, err)
	}
	due, err = s.DueHolds(t.Context(), at, []int64{eventID, other + 1}, 10)
	if err != nil || len(due) != 1 || due[0].Order != second.Order.ID {
		t.Errorf("without the first event: %v, %v", due, err)
	}
	for event, want := range map[int64]time.Time{eventID: first.Order.ExpiresAt, other: second.Order.ExpiresAt, other + 1: {}} {
		if next, err := s.NextExpiry(t.Context(), event); err != nil || !next.Equal(want) {
			t.Errorf("next expiry of event %d: %v, %v, want %v", event, next, err, want)
		}
	}
}

func storeHashes(t *testing.T, d *Database) {
	s, eventID := opened(t, d)
	other := Apply(t, s, Race(t, "other-event", 10_000))
	must(t, Write(t, s, other, NewOrder(other, 99_999)))
	orders := Fill(t, s, eventID, 700)
	keys := map[registration.Key]bool{}
	must(t, s.Keys(t.Context(), eventID, func(k registration.Key) { keys[k] = true }))
	claims := map[registration.Claim]bool{}
	must(t, s.Claims(t.Context(), eventID, func(c registration.Claim) { claims[c] = true }))
	for _, o := range orders {
		if !keys[o.Key] || !claims[o.Claims[0][0]] || !claims[o.Claims[0][1]] {
			t.Fatalf("order %d is missing", o.Order.Seq)
		}
	}
	if len(keys) != len(orders) || len(claims) != 2*len(orders) {
		t.Errorf("%d keys and %d claims of %d orders", len(keys), len(claims), len(orders))
	}
}

func storeRevisions(t *testing.T, d *Database) {
	s, eventID := opened(t, d)
	other := Apply(t, s, Race(t, "other-event", 10))
	check := func(want map[int64]registration.Revision) {
		t.Helper()
		got, err := s.Revisions(t.Context())
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("revisions (-want +got):\n%s", diff)
		}
	}
	check(map[int64]registration.Revision{eventID: {Revision: 1}, other: {Revision: 1}})
	must(t, Write(t, s, eventID, NewOrder(eventID, 1)))
	check(map[int64]registration.Revision{eventID: {Revision: 1, Touched: 1}, other: {Revision: 1}})
	Apply(t, s, Race(t, "other-event", 20))
	check(map[int64]registration.Revision{eventID: {Revision: 1, Touched: 1}, other: {Revision: 2, Touched: 1}})
	wantError(t, within(t, s, eventID, func(ctx context.Context, tx registration.Tx) error {
		first, err := tx.Ledger(ctx, nil)
		must(t, err)
		known := &registration.Stored{ID: eventID, Revision: 1, Event: first.Event}
		again, err := tx.Ledger(ctx, known)
		if err != nil || again.Event != first.Event {
			t.Errorf("a known revision was loaded again: %v", err)
		}
		known.Revision = 0
		if fresh, err := tx.Ledger(ctx, known); err != nil || fresh.Event == first.Event {
			t.Errorf("another revision was not loaded: %v", err)
		}
		return registration.ErrNothing
	}), registration.ErrNothing)
}

// storeBigBatch: a full batch of the longest requests that the API takes is more than one packet of the database.
func storeBigBatch(t *testing.T, d *Database) {
	s, eventID := opened(t, d)
	text := strings.Repeat("字", 500)
	orders := make([]registration.NewOrder, 300)
	for i := range orders {
		orders[i] = NewOrder(eventID, i+1, func(o *registration.NewOrder) {
			first := o.Order.Participants[0]
			o.Order.Participants = nil
			for position := range 50 {
				p := first
				p.Position, p.Answers = position+1, map[string]string{"note": text}
				o.Order.Participants = append(o.Order.Participants, p)
				o.Claims = append(o.Claims, nil)
			}
		})
	}
	must(t, within(t, s, eventID, func(ctx context.Context, tx registration.Tx) error { return tx.Insert(ctx, orders) }))
	if n := d.Number(t, "SELECT COUNT(*) FROM participants"); n != 50*len(orders) {
		t.Errorf("%d participants, want %d", n, 50*len(orders))
	}
}

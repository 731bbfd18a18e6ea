package registration

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"gapura/internal/event"
	"gapura/internal/money"
)

// anyRace draws an event in which everything is scarce.
func anyRace(t *rapid.T) *event.Event {
	e := &event.Event{
		Slug: "race", Code: "RC", Timezone: "UTC", StartsAt: opening.AddDate(1, 0, 0),
		Rules: event.Rules{OpensAt: opening, ClosesAt: opening.AddDate(0, 1, 0), Hold: time.Hour, MaxParticipants: 4},
	}
	ids := []string{"a", "b", "c"}[:rapid.IntRange(1, 3).Draw(t, "categories")]
	for _, id := range ids {
		c := event.Category{ID: id, Price: money.Rupiah(rapid.SampledFrom([]int64{0, 300}).Draw(t, "price"))}
		for i := range rapid.IntRange(0, 2).Draw(t, "tiers") {
			tier := event.Tier{Price: money.Rupiah(100 + i), First: rapid.IntRange(0, 4).Draw(t, "first")}
			if rapid.Bool().Draw(t, "dated") {
				tier.Until = opening.Add(time.Duration(rapid.IntRange(0, 4).Draw(t, "until")) * time.Minute)
			}
			c.Prices = append(c.Prices, tier)
		}
		e.Categories = append(e.Categories, c)
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "quotas") {
		covers := rapid.SliceOfNDistinct(rapid.SampledFrom(ids), 1, len(ids), rapid.ID).Draw(t, "covers")
		e.Quotas = append(e.Quotas, event.Quota{ID: fmt.Sprint("q", i), Size: rapid.IntRange(0, 12).Draw(t, "size"), Categories: covers})
	}
	if rapid.Bool().Draw(t, "jersey") {
		q := event.Question{ID: "jersey", Type: event.Choice, Options: []event.Option{{Value: "M"}}}
		n := rapid.IntRange(0, 4).Draw(t, "stock")
		e.Questions = append(e.Questions, event.Question{ID: "jersey", Type: event.Choice, Options: append(q.Options, event.Option{Value: "S", Stock: &n})})
	}
	if err := e.Prepare(); err != nil {
		t.Fatal(err)
	}
	return e
}

// anySubmission draws from few keys and few people, so that both meet again and again.
func anySubmission(t *rapid.T, e *event.Event) *Submission {
	key := rapid.IntRange(0, 30).Draw(t, "key")
	s := &Submission{Key: Key(hashOf(strconv.Itoa(key)))}
	n := rapid.IntRange(1, e.Rules.MaxParticipants).Draw(t, "participants")
	// A key mostly comes with the same payload.
	s.Fingerprint = Fingerprint(hashOf(fmt.Sprint(key, rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(t, "payload"))))
	people := rapid.SliceOfNDistinct(rapid.IntRange(0, 40), n, n, rapid.ID).Draw(t, "people")
	for i, person := range people {
		p := Participant{Position: i + 1, Category: rapid.SampledFrom(e.Categories).Draw(t, "category").ID}
		if len(e.Questions) > 0 {
			if size := rapid.SampledFrom([]string{"", "S", "M"}).Draw(t, "size"); size != "" {
				p.Answers = map[string]string{"jersey": size}
			}
		}
		s.Participants = append(s.Participants, p)
		s.Claims = append(s.Claims, []Claim{Claim(hashOf(fmt.Sprint("email", person))), Claim(hashOf(fmt.Sprint("phone", person)))})
	}
	if rapid.IntRange(0, 9).Draw(t, "expects") == 0 {
		s.ExpectedTotal = rupiah(money.Rupiah(rapid.IntRange(0, 4).Draw(t, "total") * 100))
	}
	return s
}

// model decides naively: it keeps every order and counts all of them again for every question.
type model struct {
	event  *event.Event
	orders map[Key]*modelOrder
	rows   []*modelOrder
}

type modelOrder struct {
	submission *Submission
	tiers      []int
	prices     []money.Rupiah
	total      money.Rupiah
	live       bool
}

// left counts how many more of a limited thing there are, from the rows alone; tentative rows are counted too.
func (m *model) left(c event.CounterLimit, tentative *modelOrder) int {
	if c.Limit == event.Unlimited {
		return 1 << 30
	}
	return c.Limit - m.taken(c.Counter, tentative)
}

func (m *model) taken(c event.Counter, tentative *modelOrder) int {
	n := 0
	for _, o := range append(m.rows[:len(m.rows):len(m.rows)], tentative) {
		if o == nil || !o.live {
			continue
		}
		for i, tier := range o.tiers {
			p := o.submission.Participants[i]
			for _, mine := range m.event.CountersOf(p.Category, p.Answers, tier) {
				if mine == c {
					n++
				}
			}
		}
	}
	return n
}

func (m *model) decide(now time.Time, s *Submission) string {
	if o, ok := m.orders[s.Key]; ok {
		if o.submission.Fingerprint == s.Fingerprint {
			return "replay"
		}
		return "idempotency_key_reused"
	}
	if m.claimed(s) {
		return "already_registered"
	}
	o := &modelOrder{submission: s, live: true}
	for i := range s.Participants {
		if !m.addTo(o, now, &s.Participants[i]) {
			return "sold_out"
		}
	}
	if s.ExpectedTotal != nil && *s.ExpectedTotal != o.total {
		return "price_changed"
	}
	m.rows = append(m.rows, o)
	m.orders[s.Key] = o
	return "accepted"
}

func (m *model) claimed(s *Submission) bool {
	held := map[Claim]bool{}
	for _, o := range m.rows {
		for _, own := range o.submission.Claims {
			for _, c := range own {
				held[c] = held[c] || o.live
			}
		}
	}
	for _, own := range s.Claims {
		for _, c := range own {
			if held[c] {
				return true
			}
		}
	}
	return false
}

func (m *model) addTo(o *modelOrder, now time.Time, p *Participant) bool {
	c, _ := m.event.Category(p.Category)
	tier := c.Tier(now, func(i int) int { return m.taken(event.TierCounter(c.ID, i), o) })
	for _, limit := range m.event.Counters() {
		for _, mine := range m.event.CountersOf(p.Category, p.Answers, tier) {
			if mine == limit.Counter && m.left(limit, o) <= 0 {
				return false
			}
		}
	}
	o.tiers = append(o.tiers, tier)
	o.prices = append(o.prices, c.PriceOf(tier))
	o.total += c.PriceOf(tier)
	return true
}

// world carries the ledger as the database would, batch after batch.
type world struct {
	ledger *Ledger
	known  Known
	model  *model
	ids    map[*modelOrder]*Order
}

func newWorld(e *event.Event) *world {
	return &world{
		ledger: empty(e), ids: map[*modelOrder]*Order{},
		known: Known{Orders: map[Key]KeyedOrder{}, Taken: map[Claim]struct{}{}},
		model: &model{event: e, orders: map[Key]*modelOrder{}},
	}
}

// run decides one batch and holds it against the model, submission by submission.
func (w *world) run(t *rapid.T, now time.Time, batch []*Submission) {
	before := *w.ledger
	d := Decide(now, w.ledger, w.known, batch)
	if diff := cmp.Diff(before, *w.ledger, cmpopts.IgnoreFields(Ledger{}, "Event")); diff != "" {
		t.Fatalf("the ledger was changed:\n%s", diff)
	}
	sum := map[event.Counter]Count{}
	for i, s := range batch {
		want := w.model.decide(now, s)
		if got := told(d.Outcomes[i]); got != want {
			t.Fatalf("submission %d: got %s, the model says %s", i, got, want)
		}
		if o := d.Outcomes[i].Accepted; o != nil {
			w.accept(t, s, o, sum)
		}
		w.neverOversold(t)
	}
	if diff := cmp.Diff(sum, withoutZeroes(d.Deltas)); diff != "" {
		t.Fatalf("deltas are not what the accepted orders take (-orders +deltas):\n%s", diff)
	}
	after := w.ledger.after(d)
	if d.LastSeq != w.ledger.LastSeq+int64(accepted(d)) {
		t.Fatalf("last number %d after %d orders from %d", d.LastSeq, accepted(d), w.ledger.LastSeq)
	}
	w.ledger = &after
}

func (w *world) accept(t *rapid.T, s *Submission, o *Order, sum map[event.Counter]Count) {
	row := w.model.rows[len(w.model.rows)-1]
	w.ids[row] = o
	w.known.Orders[s.Key] = KeyedOrder{Fingerprint: s.Fingerprint, Order: *o}
	if o.Total != row.total || o.Seq != int64(len(w.model.rows)) || o.Number != Number("RC", o.Seq) {
		t.Fatalf("order %d of total %v, want %d of %v", o.Seq, o.Total, len(w.model.rows), row.total)
	}
	if (o.Status == AwaitingPayment) != (o.Total > 0) {
		t.Fatalf("total %v, status %s", o.Total, o.Status)
	}
	for i := range o.Participants {
		p := &o.Participants[i]
		if p.Tier != row.tiers[i] || p.Price != row.prices[i] {
			t.Fatalf("participant %d: tier %d for %v, want %d for %v", i, p.Tier, p.Price, row.tiers[i], row.prices[i])
		}
		for _, c := range w.model.event.CountersOf(p.Category, p.Answers, p.Tier) {
			n := sum[c]
			n.Taken++
			if o.Status == AwaitingPayment {
				n.Held++
			}
			sum[c] = n
		}
		for _, claim := range s.Claims[i] {
			w.known.Taken[claim] = struct{}{}
		}
	}
}

func (w *world) neverOversold(t *rapid.T) {
	for _, limit := range w.model.event.Counters() {
		if w.model.left(limit, nil) < 0 {
			t.Fatalf("%s is oversold", limit.Counter)
		}
	}
}

// release cancels one live order as the engine does.
func (w *world) release(row *modelOrder) {
	row.live = false
	deltas := map[event.Counter]Count{}
	shift(deltas, w.model.event, w.ids[row], Cancelled)
	after := w.ledger.after(Decision{Deltas: deltas, LastSeq: w.ledger.LastSeq})
	w.ledger = &after
	for _, own := range row.submission.Claims {
		for _, c := range own {
			delete(w.known.Taken, c)
		}
	}
}

func (w *world) countersEqualTheRows(t *rapid.T) {
	for c, count := range w.ledger.Counters {
		if want := w.model.taken(c, nil); count.Taken != want || count.Held < 0 || count.Held > count.Taken {
			t.Fatalf("%s: %+v, but %d rows", c, count, want)
		}
	}
}

func accepted(d Decision) int {
	n := 0
	for _, o := range d.Outcomes {
		if o.Accepted != nil {
			n++
		}
	}
	return n
}

func withoutZeroes(deltas map[event.Counter]Count) map[event.Counter]Count {
	out := map[event.Counter]Count{}
	for c, d := range deltas {
		if d != (Count{}) {
			out[c] = d
		}
	}
	return out
}

// TestDecideAgreesWithANaiveModel plays random batches, cancellations and passing time against a model that keeps no
// counter at all: never oversold at any prefix, all or none, the deltas are what the orders take, numbers have no gap, a
// refusal binds nothing.
func TestDecideAgreesWithANaiveModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := anyRace(t)
		w := newWorld(e)
		now := opening
		for range rapid.IntRange(1, 4).Draw(t, "batches") {
			n := rapid.IntRange(1, 25).Draw(t, "batch")
			batch := make([]*Submission, n)
			for i := range batch {
				batch[i] = anySubmission(t, e)
			}
			w.run(t, now, batch)
			for _, row := range w.model.rows {
				if row.live && rapid.IntRange(0, 3).Draw(t, "cancel") == 0 {
					w.release(row)
				}
			}
			w.countersEqualTheRows(t)
			now = now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "passes")) * time.Second)
		}
	})
}

// TestAnEarlierSubmissionIsNeverRefusedForALaterOne: once something is refused as sold out, nothing alike is sold later in
// the batch.
func TestAnEarlierSubmissionIsNeverRefusedForALaterOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := anyRace(t)
		batch := make([]*Submission, rapid.IntRange(1, 60).Draw(t, "batch"))
		for i := range batch {
			p := in(rapid.SampledFrom(e.Categories).Draw(t, "category").ID)
			if len(e.Questions) > 0 && rapid.Bool().Draw(t, "wears S") {
				p.Answers = map[string]string{"jersey": "S"}
			}
			batch[i] = sub(strconv.Itoa(i), p)
		}
		d := Decide(opening, empty(e), Known{}, batch)
		refused := map[string]int{}
		for i, o := range d.Outcomes {
			like := fmt.Sprint(batch[i].Participants[0].Category, batch[i].Participants[0].Answers)
			if first, ok := refused[like]; ok && o.Accepted != nil {
				t.Fatalf("submission %d got what %d was refused", i, first)
			}
			if o.Refusal != nil {
				refused[like] = i
			}
		}
	})
}

// TestExactlyTheCapacityIsSold: with single orders and more demand than places, not one place is left.
func TestExactlyTheCapacityIsSold(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		capacity := rapid.IntRange(0, 200).Draw(t, "capacity")
		e := &event.Event{
			Slug: "race", Code: "RC", Timezone: "UTC", Rules: event.Rules{OpensAt: opening, ClosesAt: opening.AddDate(0, 1, 0)},
			Categories: []event.Category{{ID: "a", Price: 100}, {ID: "b"}},
			Quotas:     []event.Quota{{ID: "all", Size: capacity, Categories: []string{"a", "b"}}},
		}
		if err := e.Prepare(); err != nil {
			t.Fatal(err)
		}
		l := empty(e)
		sold, n := 0, 0
		for n < capacity+rapid.IntRange(1, 100).Draw(t, "more") {
			batch := make([]*Submission, rapid.IntRange(1, 64).Draw(t, "batch"))
			for i := range batch {
				batch[i] = sub(strconv.Itoa(n), in(rapid.SampledFrom([]string{"a", "b"}).Draw(t, "category")))
				n++
			}
			d := Decide(opening, l, Known{}, batch)
			sold += accepted(d)
			next := l.after(d)
			l = &next
		}
		if sold != capacity || l.Counters[event.QuotaCounter("all")].Taken != capacity {
			t.Fatalf("%d of %d sold, the counter says %d", sold, capacity, l.Counters[event.QuotaCounter("all")].Taken)
		}
	})
}

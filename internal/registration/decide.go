package registration

import (
	"strconv"
	"time"

	"gapura/internal/event"
	"gapura/internal/fault"
	"gapura/internal/id"
	"gapura/internal/money"
)

// Count is what is taken of one limited thing.
type Count struct {
	Taken int // live places
	Held  int // those of them whose order is not paid yet
	Limit int // -1: none
}

// Left returns how many more can be taken, or -1 without a limit.
func (c Count) Left() int {
	if c.Limit < 0 {
		return -1
	}
	return max(0, c.Limit-c.Taken)
}

// Ledger is an event's state as read under its lock.
type Ledger struct {
	EventID  int64
	Revision int
	Event    *event.Event
	LastSeq  int64
	Touched  int64 // rises with every transaction that changes the counters
	Counters map[event.Counter]Count
}

// Known is what the database was asked about a batch: the orders behind the keys and the claims that are taken. Submissions
// that no filter suspected are not in it.
type Known struct {
	Orders map[Key]KeyedOrder
	Taken  map[Claim]struct{}
}

// KeyedOrder is an order with the request that made it.
type KeyedOrder struct {
	Fingerprint Fingerprint
	Order       Order
}

// Outcome is what was decided about one submission: exactly one of its fields is set.
type Outcome struct {
	Accepted *Order
	Replay   *Order
	Refusal  *fault.Fault
}

// Decision is what was decided about a batch.
type Decision struct {
	Outcomes []Outcome // of each submission, in order
	Deltas   map[event.Counter]Count
	LastSeq  int64
}

// decider carries a batch through: what earlier submissions took is gone for the later ones.
type decider struct {
	now    time.Time
	ledger *Ledger
	known  Known
	deltas map[event.Counter]Count
	seq    int64
	keys   map[Key]KeyedOrder
	claims map[Claim]struct{}

	scratch []event.Counter
}

// Decide decides a batch in the order of arrival. It is a function of its arguments alone, but for the fresh ids of orders;
// the ledger is not changed.
func Decide(now time.Time, ledger *Ledger, known Known, batch []*Submission) Decision {
	d := decider{
		now: now, ledger: ledger, known: known, seq: ledger.LastSeq,
		deltas: make(map[event.Counter]Count, len(ledger.Counters)),
		keys:   make(map[Key]KeyedOrder, len(batch)),
		claims: make(map[Claim]struct{}, 2*len(batch)),
	}
	outcomes := make([]Outcome, len(batch))
	for i, s := range batch {
		outcomes[i] = d.decide(s)
	}
	return Decision{Outcomes: outcomes, Deltas: d.deltas, LastSeq: d.seq}
}

func (d *decider) decide(s *Submission) Outcome {
	if existing, ok := d.order(s.Key); ok {
		return repeat(s, existing)
	}
	if s.Invalid != nil {
		return Outcome{Refusal: s.Invalid}
	}
	if refusal := window(d.ledger.Event, d.now); refusal != nil {
		return Outcome{Refusal: refusal}
	}
	if d.taken(s) {
		return Outcome{Refusal: fault.New(fault.AlreadyRegistered)}
	}
	order, refusal := d.place(s)
	if refusal != nil {
		return Outcome{Refusal: refusal}
	}
	d.accept(s, order)
	return Outcome{Accepted: order}
}

func (d *decider) order(key Key) (KeyedOrder, bool) {
	if existing, ok := d.known.Orders[key]; ok {
		return existing, true
	}
	existing, ok := d.keys[key]
	return existing, ok
}

func repeat(s *Submission, existing KeyedOrder) Outcome {
	if existing.Fingerprint != s.Fingerprint {
		return Outcome{Refusal: fault.New(fault.KeyReused)}
	}
	return Outcome{Replay: &existing.Order}
}

// window says whether the event registers at now.
func window(e *event.Event, now time.Time) *fault.Fault {
	switch {
	case now.Before(e.Rules.OpensAt):
		return fault.New(fault.NotOpen).With("opens_at", e.Rules.OpensAt).After(e.Rules.OpensAt.Sub(now))
	case !now.Before(e.Rules.ClosesAt):
		return fault.New(fault.Closed).With("closed_at", e.Rules.ClosesAt)
	}
	return nil
}

func (d *decider) taken(s *Submission) bool {
	for _, own := range s.Claims {
		for _, claim := range own {
			if _, ok := d.known.Taken[claim]; ok {
				return true
			}
			if _, ok := d.claims[claim]; ok {
				return true
			}
		}
	}
	return false
}

// place takes a place for every participant, or for none.
func (d *decider) place(s *Submission) (*Order, *fault.Fault) {
	participants := make([]Participant, len(s.Participants))
	var total money.Rupiah
	for i, p := range s.Participants {
		category, ok := d.ledger.Event.Category(p.Category)
		if !ok {
			d.giveBack(participants[:i])
			return nil, withdrawn(i)
		}
		p.Tier = category.Tier(d.now, func(tier int) int { return d.count(d.ledger.Event.TierCounter(category.ID, tier)).Taken })
		p.Price = category.PriceOf(p.Tier)
		if short, ok := d.take(&p); !ok {
			d.giveBack(participants[:i])
			return nil, d.soldOut(s, short)
		}
		participants[i] = p
		total += p.Price
	}
	if s.ExpectedTotal != nil && *s.ExpectedTotal != total {
		d.giveBack(participants)
		return nil, fault.New(fault.PriceChanged).With("total", total).With("expected_total", *s.ExpectedTotal)
	}
	return d.write(s, participants, total), nil
}

// withdrawn refuses a category that the event lost after the request was checked.
func withdrawn(participant int) *fault.Fault {
	return &fault.Fault{Code: fault.ValidationFailed, Fields: []fault.Field{{
		Pointer: "/participants/" + strconv.Itoa(participant) + "/category", Code: "unknown_category",
	}}}
}

// countersOf lists what p takes from; the list is valid until the next call.
func (d *decider) countersOf(p *Participant) []event.Counter {
	d.scratch = d.ledger.Event.AppendCounters(d.scratch[:0], p.Category, p.Answers, p.Tier)
	return d.scratch
}

func (d *decider) count(c event.Counter) Count {
	count, ok := d.ledger.Counters[c]
	if !ok {
		count.Limit = -1
	}
	delta := d.deltas[c]
	count.Taken += delta.Taken
	count.Held += delta.Held
	return count
}

// take takes one from every counter of p, or returns the first that has none left.
func (d *decider) take(p *Participant) (short event.Counter, ok bool) {
	counters := d.countersOf(p)
	for _, c := range counters {
		if d.count(c).Left() == 0 {
			return c, false
		}
	}
	for _, c := range counters {
		delta := d.deltas[c]
		delta.Taken++
		d.deltas[c] = delta
	}
	return event.Counter{}, true
}

func (d *decider) giveBack(participants []Participant) {
	for i := range participants {
		p := &participants[i]
		for _, c := range d.countersOf(p) {
			delta := d.deltas[c]
			delta.Taken--
			d.deltas[c] = delta
		}
	}
}

func (d *decider) soldOut(s *Submission, short event.Counter) *fault.Fault {
	f := fault.New(fault.SoldOut).
		With("categories", categoriesOf(s)).
		With("may_return", d.count(short).Held > 0)
	if short.Kind == event.CountQuota {
		return f.With("quota", short.Ref)
	}
	return f.With(string(short.Kind), short.Ref)
}

func categoriesOf(s *Submission) []string {
	var out []string
	seen := map[string]bool{}
	for i := range s.Participants {
		if c := s.Participants[i].Category; !seen[c] {
			seen[c] = true
			out = append(out, c)
		}
	}
	return out
}

func (d *decider) write(s *Submission, participants []Participant, total money.Rupiah) *Order {
	d.seq++
	o := &Order{
		ID:           id.New(),
		EventID:      d.ledger.EventID,
		Seq:          d.seq,
		Number:       Number(d.ledger.Event.Code, d.seq),
		Status:       Confirmed,
		Version:      1,
		Total:        total,
		Contact:      s.Contact,
		Locale:       s.Locale,
		CreatedAt:    d.now,
		Participants: participants,
	}
	if total > 0 {
		o.Status = AwaitingPayment
		o.ExpiresAt = d.now.Add(d.ledger.Event.Rules.Hold)
		d.hold(participants)
	}
	return o
}

func (d *decider) hold(participants []Participant) {
	for i := range participants {
		p := &participants[i]
		for _, c := range d.countersOf(p) {
			delta := d.deltas[c]
			delta.Held++
			d.deltas[c] = delta
		}
	}
}

func (d *decider) accept(s *Submission, o *Order) {
	d.keys[s.Key] = KeyedOrder{Fingerprint: s.Fingerprint, Order: *o}
	for _, own := range s.Claims {
		for _, claim := range own {
			d.claims[claim] = struct{}{}
		}
	}
}

// Number writes an order's number: the event's code and at least six digits.
func Number(code string, seq int64) string {
	digits := strconv.FormatInt(seq, 10)
	const width = 6
	if len(digits) < width {
		digits = "000000"[:width-len(digits)] + digits
	}
	return code + "-" + digits
}

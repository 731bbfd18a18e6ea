// Package audit checks the public invariants against the database: it counts again, row by row, what the engine says it has
// counted, and believes no counter.
package audit

import (
	"context"
	"fmt"
	"time"

	"gapura/internal/event"
	"gapura/internal/id"
	"gapura/internal/money"
	"gapura/internal/registration"
)

// Finding is what was found about one invariant of one event.
type Finding struct {
	Invariant int // its number in the public contract
	Event     string
	Broken    bool
	Text      string
}

// Entry is one participant with the order it belongs to.
type Entry struct {
	Order     id.ID
	Status    registration.Status
	Total     money.Rupiah
	ExpiresAt time.Time
	Held      bool // the order is among those whose hold will be ended
	Person    registration.Participant
}

// OwnedClaim is a stored claim.
type OwnedClaim = registration.OwnedClaim

// Source is one snapshot of an event's rows.
type Source interface {
	Ledger(ctx context.Context) (registration.Ledger, error)
	// Entries calls each with every participant, those of one order together.
	Entries(ctx context.Context, each func(Entry) error) error
	Claims(ctx context.Context, each func(OwnedClaim)) error
	// Sequence returns how many orders there are and the highest number among them.
	Sequence(ctx context.Context) (count, highest int64, err error)
	// SharedKeys returns how many idempotency keys have more than one order.
	SharedKeys(ctx context.Context) (int, error)
	// Childless returns how many orders have no participant.
	Childless(ctx context.Context) (int, error)
}

// Claimer computes the claims of a participant.
type Claimer func(eventID int64, by []event.UniqueBy, p *registration.Participant) []registration.Claim

// examiner counts while the rows go by.
type examiner struct {
	now     time.Time
	ledger  registration.Ledger
	claimer Claimer

	counts  map[event.Counter]registration.Count
	holders map[registration.Claim]id.ID // of live participants
	shared  int                          // live participants that share a claim
	stuck   int
	unheld  int // unpaid orders that nothing will end
	overdue int // orders that are looked at by expiry again and again although they are not unpaid
	lastID  id.ID
	sum     money.Rupiah
	total   money.Rupiah
	wrong   int // orders whose total is not the sum of their prices
}

// Event checks every invariant of one event. An error says that the check itself could not be made.
func Event(ctx context.Context, now time.Time, s Source, claimer Claimer) ([]Finding, error) {
	ledger, err := s.Ledger(ctx)
	if err != nil {
		return nil, err
	}
	x := &examiner{
		now: now, ledger: ledger, claimer: claimer,
		counts: map[event.Counter]registration.Count{}, holders: map[registration.Claim]id.ID{},
	}
	if err := s.Entries(ctx, x.enter); err != nil {
		return nil, fmt.Errorf("read participants: %w", err)
	}
	x.closeOrder()
	findings := append(x.inventory(), x.totals())
	claims, err := x.claims(ctx, s)
	if err != nil {
		return nil, err
	}
	orders, err := x.orders(ctx, s)
	return append(append(findings, claims), orders...), err
}

func (x *examiner) finding(invariant int, broken bool, format string, args ...any) Finding {
	return Finding{Invariant: invariant, Event: x.ledger.Event.Slug, Broken: broken, Text: fmt.Sprintf(format, args...)}
}

func (x *examiner) enter(e Entry) error {
	if e.Order != x.lastID {
		x.closeOrder()
		x.openOrder(e)
	}
	x.sum += e.Person.Price
	if !e.Status.Live() {
		return nil
	}
	x.count(e)
	for _, claim := range x.claimer(x.ledger.EventID, x.ledger.Event.Rules.UniqueBy, &e.Person) {
		if _, taken := x.holders[claim]; taken {
			x.shared++
		}
		x.holders[claim] = e.Order
	}
	return nil
}

// grace is how long after its end a hold may still stand (invariant 9).
const grace = time.Minute

func (x *examiner) openOrder(e Entry) {
	x.lastID, x.total, x.sum = e.Order, e.Total, 0
	if e.Status != registration.AwaitingPayment {
		if e.Held {
			x.overdue++
		}
		return
	}
	if x.now.Sub(e.ExpiresAt) > grace {
		x.stuck++
	}
	if !e.Held {
		x.unheld++
	}
}

func (x *examiner) closeOrder() {
	if !x.lastID.IsNil() && x.sum != x.total {
		x.wrong++
	}
}

func (x *examiner) count(e Entry) {
	for _, c := range x.ledger.Event.CountersOf(e.Person.Category, e.Person.Answers, e.Person.Tier) {
		n := x.counts[c]
		n.Taken++
		if e.Status == registration.AwaitingPayment {
			n.Held++
		}
		x.counts[c] = n
	}
}

// inventory checks 1 (nothing is oversold) and 2 (the counters equal the rows).
func (x *examiner) inventory() []Finding {
	var findings []Finding
	for _, limit := range x.ledger.Event.Counters() {
		taken := x.counts[limit.Counter].Taken
		if limit.Limit != event.Unlimited && taken > limit.Limit {
			findings = append(findings, x.finding(1, true, "%s: %d live places of %d", limit.Counter, taken, limit.Limit))
		}
	}
	if len(findings) == 0 {
		findings = append(findings, x.finding(1, false, "%d limits, none oversold", len(x.ledger.Event.Counters())))
	}
	return append(findings, x.counters()...)
}

func (x *examiner) counters() []Finding {
	var findings []Finding
	all := map[event.Counter]bool{}
	for c := range x.counts {
		all[c] = true
	}
	for c := range x.ledger.Counters {
		all[c] = true
	}
	for c := range all {
		stored, counted := x.ledger.Counters[c], x.counts[c]
		if stored.Taken != counted.Taken || stored.Held != counted.Held {
			findings = append(findings, x.finding(2, true, "%s: the counter says %d taken and %d unpaid, the rows %d and %d",
				c, stored.Taken, stored.Held, counted.Taken, counted.Held))
		}
	}
	findings = append(findings, x.limits()...)
	if len(findings) == 0 {
		findings = append(findings, x.finding(2, false, "%d counters equal the rows", len(all)))
	}
	return findings
}

// limits compares what the counters refuse beyond with what the event says: a larger limit would oversell, a smaller one
// leaves places unsold.
func (x *examiner) limits() []Finding {
	var findings []Finding
	for _, limit := range x.ledger.Event.Counters() {
		stored, ok := x.ledger.Counters[limit.Counter]
		switch {
		case !ok:
			findings = append(findings, x.finding(2, true, "%s: there is no counter", limit.Counter))
		case stored.Limit != limit.Limit:
			findings = append(findings, x.finding(2, true, "%s: the counter's limit is %d, the event's %d", limit.Counter, stored.Limit, limit.Limit))
		}
	}
	return findings
}

func (x *examiner) totals() Finding {
	return x.finding(8, x.wrong > 0, "%d orders whose total is not the sum of their prices", x.wrong)
}

// claims checks 3: live participants share none, each has its own, and nobody else's is left.
func (x *examiner) claims(ctx context.Context, s Source) (Finding, error) {
	wanted := len(x.holders)
	matched, stray := 0, 0
	err := s.Claims(ctx, func(c OwnedClaim) {
		if x.holders[c.Claim] == c.Order {
			matched++
			return
		}
		stray++
	})
	if err != nil {
		return Finding{}, fmt.Errorf("read claims: %w", err)
	}
	broken := x.shared > 0 || stray > 0 || matched != wanted
	return x.finding(3, broken, "%d claims of live participants: %d shared, %d not stored, %d stored for nobody",
		wanted, x.shared, wanted-matched, stray), nil
}

// orders checks 4 (one key, one order), 5 (no order is missing) and 9 (none is stuck).
func (x *examiner) orders(ctx context.Context, s Source) ([]Finding, error) {
	sharedKeys, err := s.SharedKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	count, highest, err := s.Sequence(ctx)
	if err != nil {
		return nil, fmt.Errorf("read numbers: %w", err)
	}
	childless, err := s.Childless(ctx)
	if err != nil {
		return nil, fmt.Errorf("read orders: %w", err)
	}
	last := x.ledger.LastSeq
	return []Finding{
		x.finding(4, sharedKeys > 0, "%d keys with more than one order", sharedKeys),
		x.finding(5, count != last || highest != last || childless > 0,
			"%d orders, highest number %d, last number given %d, %d without participants", count, highest, last, childless),
		x.finding(9, x.stuck+x.unheld+x.overdue > 0,
			"%d orders still unpaid a minute after their hold, %d that nothing will end, %d with a hold that are not unpaid",
			x.stuck, x.unheld, x.overdue),
	}, nil
}

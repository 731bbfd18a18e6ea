package waitroom

import (
	"context"
	"errors"
	"io"
	"time"

	"gapura/internal/fault"
)

// Page returns the prepared public state. It touches neither the database nor Redis.
func (rs *Rooms) Page(eventID int64) (Page, error) {
	rm, err := rs.room(eventID)
	if err != nil {
		return Page{}, err
	}
	return rm.view.Load().page, nil
}

// State returns the public state as a value, for pages made by the server.
func (rs *Rooms) State(eventID int64) (State, error) {
	rm, err := rs.room(eventID)
	if err != nil {
		return State{}, err
	}
	return rm.view.Load().state, nil
}

// Join gives v a place: in the draw while that is open, else at the end of the line. It returns once the place is
// durable. Whoever comes again with its ticket needs no other: see Find. A person gets the ticket it has, also when it
// lost it; once its pass has lapsed, a new one at the end of the line: see Confirm. Faults: closed, sold_out, overloaded,
// not_found, confirmation_required where one person draws once.
func (rs *Rooms) Join(ctx context.Context, eventID int64, v Visitor) (Ticket, string, error) {
	rm, err := rs.room(eventID)
	if err != nil {
		return Ticket{}, "", err
	}
	now := rm.view.Load()
	if err := now.takesNumbers(); err != nil {
		return Ticket{}, "", err
	}
	if rm.set.Load().Person {
		return Ticket{}, "", fault.New(fault.ConfirmationRequired).With("reason", "missing")
	}
	t, err := rm.join(ctx, &now.record, v, false)
	if err != nil {
		return Ticket{}, "", refusal(err)
	}
	return t, rm.cfg.Signer.Ticket(t), nil
}

// takesNumbers reports why nobody gets a number any more.
func (v *view) takesNumbers() error {
	switch {
	case v.record.Phase == Ended:
		return fault.New(fault.Closed)
	case v.record.Stock == SoldOut:
		return fault.New(fault.SoldOut)
	}
	return nil
}

func (rm *room) join(ctx context.Context, r *Record, v Visitor, person bool) (Ticket, error) {
	set := rm.set.Load()
	t := Ticket{Kind: Drawn, Person: person, EventID: set.EventID, Visitor: v, Issued: rm.now().Truncate(time.Second)}
	number := v.Number(set.EventID)
	if set.Draw && r.Phase == Before {
		_, err := rm.draws.do(ctx, number)
		if !errors.Is(err, ErrListClosed) {
			return t, err
		}
	}
	place, err := rm.places.do(ctx, Arrival{Number: number, Person: person})
	if place > 0 {
		t.Kind, t.Place = Late, place
	}
	return t, err
}

// Invite returns a ticket for v that the organiser can let in with its group, ahead of the line.
func (rs *Rooms) Invite(eventID int64, v Visitor, group int64) (string, error) {
	rm, err := rs.room(eventID)
	if err != nil {
		return "", err
	}
	return rm.cfg.Signer.Ticket(Ticket{Kind: Invited, EventID: eventID, Visitor: v, Place: group, Issued: rm.now()}), nil
}

// Found is where a ticket stands, with what a runner needs to check it.
type Found struct {
	Ticket   Ticket
	Number   Number
	Standing Standing
	Rank     Rank  // of a drawn ticket, from opening on
	Place    int64 // exact, from 1, in the whole line; 0 while it is not known
	Index    int   // of the number in the published list, from 0
	Path     []Hash
}

// Find reads a ticket and returns where it stands. It costs some microseconds and touches no database.
func (rs *Rooms) Find(eventID int64, text string) (Found, error) {
	rm, err := rs.room(eventID)
	if err != nil {
		return Found{}, err
	}
	t, err := rm.cfg.Signer.ReadTicket(text, eventID)
	if err != nil {
		return Found{}, refusal(err)
	}
	return rm.view.Load().find(t), nil
}

func (v *view) find(t Ticket) Found {
	f := Found{Ticket: t, Number: t.Visitor.Number(t.EventID)}
	if t.Kind == Late {
		f.Place = v.record.Drawn + t.Place
	}
	if t.Kind == Drawn && v.draw != nil {
		f.Rank = v.seed.Rank(f.Number)
		if place, drew := v.draw.Place(f.Number, v.seed); drew {
			f.Place = int64(place)
		}
	}
	f.Standing = v.state.Stand(t, f.Rank)
	return f
}

// Prove returns f with the path that proves its number is in the published list; unchanged if it did not draw. Hashing
// the path takes as long as hashing the list: limit who may ask how often.
func (rs *Rooms) Prove(ctx context.Context, eventID int64, f Found) (Found, error) {
	rm, err := rs.room(eventID)
	if err != nil {
		return f, err
	}
	draw, err := rm.list(ctx, &rm.view.Load().record)
	if err == nil && draw != nil {
		f.Index, f.Path, _ = draw.Proof(f.Number)
	}
	return f, err
}

// Exchange gives the pass for a ticket whose turn has come, once: whoever asks again, from another tab or after a lost
// answer, gets the same pass until it expires. With a key the pass serves the order with that idempotency key and no
// other, and checking it then costs no database.
//
// Faults: queue_pass_required with a reason (malformed, forged, foreign, not_yet, not_drawn, lapsed, used), sold_out,
// overloaded.
func (rs *Rooms) Exchange(ctx context.Context, eventID int64, text, key string) (Pass, string, error) {
	rm, err := rs.room(eventID)
	if err != nil {
		return Pass{}, "", err
	}
	t, err := rm.cfg.Signer.ReadTicket(text, eventID)
	if err != nil {
		return Pass{}, "", refusal(err)
	}
	if err := rm.view.Load().mayEnter(t); err != nil {
		return Pass{}, "", err
	}
	p, err := rm.issue(ctx, t, HashKey(key))
	if err != nil {
		return Pass{}, "", refusal(err)
	}
	return p, rm.cfg.Signer.Pass(p), nil
}

// mayEnter reports why t cannot be exchanged now.
func (v *view) mayEnter(t Ticket) error {
	f := v.find(t)
	switch {
	case v.record.Phase == Ended:
		return refusal(ErrEnded)
	case v.record.Stock == SoldOut:
		return fault.New(fault.SoldOut)
	case t.Kind == Drawn && v.record.Phase == Open && f.Place == 0:
		return refusal(ErrNotDrawn) // signed, but not in the list that was published
	case !f.Standing.Turn:
		return refusal(ErrNotYet).After(max(f.Standing.Wait, minPoll*time.Second))
	}
	return nil
}

func (rm *room) issue(ctx context.Context, t Ticket, key KeyHash) (Pass, error) {
	now := rm.now()
	number := t.Visitor.Number(t.EventID)
	row, err := rm.passes.do(ctx, PassRow{
		Number: number, Place: t.Place, Key: key, Expires: now.Add(PassLife).Truncate(time.Second),
	})
	if err != nil {
		return Pass{}, err
	}
	if !now.Before(row.Expires) {
		return Pass{}, ErrLapsed
	}
	if row.Key == (KeyHash{}) && key != (KeyHash{}) {
		if row.Key, err = rm.bindings.do(ctx, Binding{Number: number, Key: key}); err != nil {
			return Pass{}, err
		}
	}
	if key != (KeyHash{}) && row.Key != key {
		return Pass{}, ErrUsed
	}
	return Pass{Person: t.Person, EventID: t.EventID, Visitor: t.Visitor, Expires: row.Expires, Key: row.Key}, nil
}

// Check returns the pass of an order that is sent with that idempotency key; whose order that may be Theirs says. A pass that was exchanged with the key is
// checked by its signature alone; another is bound to the first key that comes, durably. Look for an order that the key
// already made before asking: such a repeat needs no pass any more.
//
// Faults: queue_pass_required with a reason (missing, malformed, forged, foreign, lapsed, used), overloaded.
func (rs *Rooms) Check(ctx context.Context, eventID int64, text, key string) (Pass, error) {
	rm, p, err := rs.readPass(eventID, text)
	if err != nil {
		return Pass{}, err
	}
	want := HashKey(key)
	bound := p.Key
	if bound == (KeyHash{}) {
		bound, err = rm.bindings.do(ctx, Binding{Number: p.Visitor.Number(eventID), Key: want})
		if err != nil {
			return Pass{}, refusal(err)
		}
	}
	if bound != want || want == (KeyHash{}) {
		return Pass{}, refusal(ErrUsed)
	}
	return p, nil
}

// Holder returns whose pass this is, by its draw number, or "" for a text that is none that counts now. It costs a signature and
// says nothing of the key that the pass is bound to.
func (rs *Rooms) Holder(eventID int64, text string) string {
	_, p, err := rs.readPass(eventID, text)
	if err != nil {
		return ""
	}
	return p.Visitor.Number(eventID).String()
}

// readPass returns an event's room and a pass to it that is signed and has not lapsed. Its faults are those of Check but used.
func (rs *Rooms) readPass(eventID int64, text string) (*room, Pass, error) {
	rm, err := rs.room(eventID)
	if err != nil {
		return nil, Pass{}, err
	}
	if text == "" {
		return nil, Pass{}, fault.New(fault.QueuePassRequired).With("reason", "missing")
	}
	p, err := rm.cfg.Signer.ReadPass(text, eventID, rm.now())
	if err != nil {
		return nil, Pass{}, refusal(err)
	}
	return rm, p, nil
}

// Operate changes what the organiser orders: pause, ceiling, entries by hand, groups. It takes effect within a second.
func (rs *Rooms) Operate(ctx context.Context, eventID int64, change func(*Operator)) error {
	rm, err := rs.room(eventID)
	if err != nil {
		return err
	}
	return rm.cfg.Store.Operate(ctx, eventID, change)
}

// Proof returns what is published about the draw so far.
func (rs *Rooms) Proof(eventID int64) (Proof, error) {
	rm, err := rs.room(eventID)
	if err != nil {
		return Proof{}, err
	}
	v := rm.view.Load()
	p := Proof{Event: rm.set.Load().Slug, Commitment: v.record.Commitment}
	if !v.record.Root.IsZero() {
		p.Count, p.Root, p.ListHash, p.ClosedAt = int(v.record.Drawn), &v.record.Root, &v.record.ListHash, &v.record.ClosedAt
	}
	if v.draw != nil {
		p.Seed, p.RevealedAt = v.seed.Hex(), &v.record.OpenedAt
	}
	return p, nil
}

// WriteList writes the closed list of draw numbers. Its fault is not_found before it is closed.
func (rs *Rooms) WriteList(ctx context.Context, eventID int64, w io.Writer) error {
	rm, err := rs.room(eventID)
	if err != nil {
		return err
	}
	draw, err := rm.list(ctx, &rm.view.Load().record)
	if err != nil {
		return err
	}
	if draw == nil {
		return fault.New(fault.NotFound)
	}
	_, err = draw.WriteList(w)
	return err
}

// refusals are the codes and reasons a client is told, by error.
var refusals = []struct {
	err    error
	code   fault.Code
	reason string
}{
	{ErrMalformed, fault.QueuePassRequired, "malformed"},
	{ErrForged, fault.QueuePassRequired, "forged"},
	{ErrForeign, fault.QueuePassRequired, "foreign"},
	{ErrLapsed, fault.QueuePassRequired, "lapsed"},
	{ErrNotYet, fault.QueuePassRequired, "not_yet"},
	{ErrNotDrawn, fault.QueuePassRequired, "not_drawn"},
	{ErrUsed, fault.QueuePassRequired, "used"},
	{ErrEnded, fault.QueuePassRequired, "ended"},
	{ErrWrongCode, fault.ConfirmationRequired, "wrong_code"},
	{ErrTooManyCodes, fault.ConfirmationRequired, "too_many"},
	{ErrCodeLapsed, fault.ConfirmationRequired, "lapsed"},
}

// refusal returns err as a fault: the one of refusals with its reason if it is one of the visitor's, overloaded if the
// store could not be reached, and the fault itself if it is one.
func refusal(err error) *fault.Fault {
	var f *fault.Fault
	if errors.As(err, &f) {
		return f
	}
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			return fault.Wrap(r.code, err).With("reason", r.reason)
		}
	}
	return fault.Wrap(fault.Overloaded, err).After(retryAfter())
}

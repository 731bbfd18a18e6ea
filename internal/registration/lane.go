package registration

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"gapura/internal/fault"
	"gapura/internal/gather"
)

// lane is one event's way through the engine: its queue, the committer behind it, and what this node remembers of it.
type lane struct {
	engine *Engine
	id     int64
	stored atomic.Pointer[Stored]
	keys   *filter
	claims *filter
	queue  *gather.Gatherer[*pending]
	began  atomic.Int64 // when the running commit began, in unix nanoseconds; 0: none runs
	run    atomic.Pointer[run]
	owed   owed
	shut   atomic.Bool // a commit hung, and the database has not answered since

	mu         sync.Mutex // orders the publications below
	ledger     Ledger
	nextExpiry time.Time
	lastLog    time.Time

	live    atomic.Pointer[Live]
	lookUps atomic.Int64 // keys that are being looked up outside of batches

	room atomic.Int64 // submissions that may wait: what the lane settles in Limits.AimedWait
}

// pending is a submission that waits for its commit.
type pending struct {
	request    *Request
	submission *Submission
	revision   int
	since      time.Time
	asked      bool // the database was asked for its key and claims
	told       atomic.Bool
	done       chan struct{}
	receipt    Receipt
	err        error
}

// owed are submissions whose answer stands and who were not woken yet.
//
// Waking five hundred requests keeps the processor busy for some 30 ms, and every answer of the database that comes meanwhile
// waits behind them: the next batch's first steps took 30 of its 80 ms. So a batch is woken when the next one's rows are on
// their way to the database, whose work it is then. If there is no next one, it is woken at once; if the next one comes to nothing
// or hangs, soon (see relieve).
type owed struct {
	mu      sync.Mutex
	waiting []*pending
}

func (l *lane) slug() string { return l.stored.Load().Event.Slug }

func (l *lane) log() *slog.Logger { return l.engine.cfg.Log.With(slog.String("event", l.slug())) }

// register checks a request and waits until the committer has answered it. It does not end with the caller's context: what
// was queued will be decided, and the same key learns the outcome.
func (l *lane) register(ctx context.Context, key Key, digest Fingerprint, request *Request, receipt *Receipt) (err error) {
	now := l.engine.cfg.Clock.Now()
	stored := l.stored.Load()
	if early := window(stored.Event, now); early != nil && early.Code == fault.NotOpen && !l.keys.mayHave(key) {
		*receipt, err = l.tooEarly(ctx, key, digest, early)
		return err
	}
	submission, invalid := check(now, stored.Event, l.id, l.engine.cfg.Secrets, request)
	if invalid != nil {
		*receipt, err = l.unlessKnown(ctx, key, digest, invalid)
		return err
	}
	submission.Key, submission.Fingerprint = key, digest
	p := &pending{request: request, submission: submission, revision: stored.Revision, since: now, done: make(chan struct{})}
	if l.full() {
		return l.refuse(l.overloaded(nil))
	}
	if err := l.queue.Offer(p); err != nil {
		return l.refuse(l.overloaded(err))
	}
	<-p.done
	*receipt = p.receipt
	return p.err
}

// tooEarly refuses without asking the database, because half the crowd comes before the opening. Only if the event has sold
// before, its opening having been moved, may the key have an order that another node made.
func (l *lane) tooEarly(ctx context.Context, key Key, digest Fingerprint, early *fault.Fault) (Receipt, error) {
	l.mu.Lock()
	sold := l.ledger.LastSeq > 0
	l.mu.Unlock()
	if sold {
		return l.unlessKnown(ctx, key, digest, early)
	}
	return Receipt{}, l.refuse(early)
}

// maxLookUps is how many keys an event looks up outside of batches at a time: as many as wait half a second at 1 ms each on
// the connections for reading, and more than a crowd of honest visitors makes typing errors.
const maxLookUps = 512

// lookUpFor bounds one look-up of a key outside a batch.
const lookUpFor = 5 * time.Second

// unlessKnown answers a refusal, unless the key has an order already: a request that was accepted once stays accepted, even
// if the event's rules have changed since. While the database is away nobody can tell.
//
// It does not end with the caller's context: a second request with the same key may wait for the same answer, and the first
// one's visitor being gone is none.
//
// Look-ups are few at a time: a flood of faulty requests is told that the server is full, not let through to the database.
func (l *lane) unlessKnown(ctx context.Context, key Key, digest Fingerprint, refusal error) (Receipt, error) {
	if l.lookUps.Add(1) > maxLookUps {
		l.lookUps.Add(-1)
		return Receipt{}, l.refuse(l.overloaded(nil))
	}
	defer l.lookUps.Add(-1)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookUpFor)
	defer cancel()
	existing, err := l.engine.cfg.Store.OrderByKey(ctx, key)
	switch {
	case errors.Is(err, ErrNoOrder):
		return Receipt{}, l.refuse(refusal)
	case err != nil:
		return Receipt{}, l.refuse(publicError(err))
	}
	return replay(existing, digest)
}

func (l *lane) refuse(err error) error {
	if m := l.engine.cfg.Meter; m != nil {
		m.Refused(l.slug(), fault.CodeOf(err))
	}
	return err
}

func (l *lane) overloaded(cause error) *fault.Fault {
	return fault.Wrap(fault.Overloaded, cause).After(jitter())
}

// commitFor bounds one batch with all its attempts; beyond it the database is as good as gone.
const commitFor = 15 * time.Second

// commit is the committer: it decides a batch, makes it durable and only then answers.
func (l *lane) commit(ctx context.Context, batch []*pending) {
	begin := l.engine.cfg.Clock.Now()
	l.began.Store(begin.UnixNano())
	defer l.began.Store(0)
	batch = l.dropStale(batch, begin)
	if len(batch) == 0 {
		l.wake()
		return
	}
	ctx, end := l.begin(ctx, batch, begin)
	defer end()
	accepted := l.settle(ctx, batch)
	if l.queue.Waiting() == 0 {
		l.wake()
	}
	l.learn(len(batch), l.engine.cfg.Clock.Now().Sub(begin))
	if m := l.engine.cfg.Meter; m != nil {
		end := l.engine.cfg.Clock.Now()
		m.Committed(l.slug(), len(batch), accepted, begin.Sub(batch[0].since), end.Sub(begin))
		m.Waiting(l.slug(), l.queue.Waiting())
	}
}

// minRoom is enough for any batch that a slow start may gather.
const minRoom = 512

// learn follows the rate at which submissions are settled, slowly enough that one odd commit does not open or shut the door.
func (l *lane) learn(settled int, took time.Duration) {
	aimed := l.engine.cfg.Limits.AimedWait
	if took <= 0 || aimed <= 0 {
		return
	}
	const weight = 0.1
	now := float64(settled) * aimed.Seconds() / took.Seconds()
	l.room.Store(int64((1-weight)*float64(l.room.Load()) + weight*now))
}

// full reports whether one more submission would have to wait too long.
func (l *lane) full() bool {
	if l.shut.Load() || l.queue.Full() {
		return true
	}
	return l.engine.cfg.Limits.AimedWait > 0 && int64(l.queue.Waiting()) >= max(minRoom, l.room.Load())
}

// dropStale answers what waited too long; its sender has given up or will ask again with the same key.
func (l *lane) dropStale(batch []*pending, now time.Time) []*pending {
	fresh := batch[:0]
	for _, p := range batch {
		if now.Sub(p.since) > l.engine.cfg.Limits.MaxWait {
			l.turnAway(p, l.overloaded(nil))
			continue
		}
		fresh = append(fresh, p)
	}
	return fresh
}

// answer wakes who waits, unless somebody else has answered before: a commit that took too long ends after its answers.
func (p *pending) answer(r Receipt, err error) (first bool) {
	if !p.decided(r, err) {
		return false
	}
	close(p.done)
	return true
}

// decided notes the answer, unless there is one already. Who noted it must close done.
func (p *pending) decided(r Receipt, err error) (first bool) {
	if !p.told.CompareAndSwap(false, true) {
		return false
	}
	p.receipt, p.err = r, err
	return true
}

// wakeLater answers p with the rest of its batch.
func (l *lane) wakeLater(p *pending, r Receipt) {
	if p.decided(r, nil) {
		l.owed.mu.Lock()
		l.owed.waiting = append(l.owed.waiting, p)
		l.owed.mu.Unlock()
	}
}

// wake wakes everybody whose answer stands.
func (l *lane) wake() {
	l.owed.mu.Lock()
	defer l.owed.mu.Unlock()
	for _, p := range l.owed.waiting {
		close(p.done)
	}
	clear(l.owed.waiting)
	l.owed.waiting = l.owed.waiting[:0]
}

func (l *lane) turnAway(p *pending, refusal *fault.Fault) {
	if p.answer(Receipt{}, refusal) {
		_ = l.refuse(refusal)
	}
}

// attempts is how often a batch is tried before it is cut in two to find what stands in its way.
const attempts = 4

// patience is how long a batch contends for a lock: who holds it longer holds it against everybody, and those who wait
// are better told so.
const patience = 5 * time.Second

// settle answers every submission of the batch and returns how many were accepted.
func (l *lane) settle(ctx context.Context, batch []*pending) int {
	patient, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	thorough := false
	var err error
	for attempt := range attempts {
		var t trial
		t, err = l.try(ctx, batch, thorough)
		if errors.Is(err, ErrCommitUnknown) {
			err = l.findOut(ctx, batch, t)
		}
		switch {
		case err == nil:
			return l.answer(batch, t)
		case errors.Is(err, ErrDuplicate):
			l.trouble("duplicate")
			thorough = true
		case errors.Is(err, ErrContention) && patient.Err() == nil && !l.run.Load().over():
			l.trouble("contention")
			pause(ctx, attempt)
		case errors.Is(err, ErrRejected):
			l.trouble("rejected")
			return l.apart(ctx, batch, err)
		default:
			l.giveUp(batch, err)
			return 0
		}
	}
	return l.apart(ctx, batch, err)
}

func (l *lane) trouble(kind string) {
	if m := l.engine.cfg.Meter; m != nil {
		m.Trouble(l.slug(), kind)
	}
}

// pause waits 2 to 20 ms: two nodes that met in a deadlock must not meet again.
func pause(ctx context.Context, attempt int) {
	timer := time.NewTimer(time.Duration(attempt+1)*2*time.Millisecond + rand.N(10*time.Millisecond))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// apart settles the halves of a batch on their own, so that a poisonous submission does not take the rest with it: among
// 512 it is found within 19 transactions.
func (l *lane) apart(ctx context.Context, batch []*pending, cause error) int {
	if len(batch) == 1 {
		l.poison(batch[0], cause)
		return 0
	}
	half := len(batch) / 2
	return l.settle(ctx, batch[:half]) + l.settle(ctx, batch[half:])
}

func (l *lane) poison(p *pending, cause error) {
	l.log().Error("a registration could not be stored", slog.Any("error", cause))
	if errors.Is(cause, ErrRejected) {
		l.turnAway(p, &fault.Fault{
			Code: fault.ValidationFailed, Cause: cause,
			Fields: []fault.Field{{Pointer: "", Code: "not_storable"}},
		})
		return
	}
	l.turnAway(p, l.overloaded(cause))
}

// giveUp answers a batch that the database could not take.
func (l *lane) giveUp(batch []*pending, cause error) {
	l.wake()
	l.trouble("unavailable")
	l.logOnceASecond("registrations are refused as overloaded until the database answers again; "+advice(cause), cause)
	for _, p := range batch {
		if errors.Is(cause, ErrCommitUnknown) {
			l.turnAway(p, fault.Wrap(fault.OutcomeUnknown, cause).After(jitter()))
			continue
		}
		l.turnAway(p, l.overloaded(cause))
	}
}

// advice says what the operator can do.
func advice(cause error) string {
	switch {
	case errors.Is(cause, ErrContention):
		return "another session holds a lock on the event: end its transaction"
	case errors.Is(cause, ErrUnreadable):
		return "apply the event's file again"
	}
	return "check that it runs, that its disk has room and that it is writable"
}

func (l *lane) logOnceASecond(message string, cause error) {
	l.mu.Lock()
	now := l.engine.cfg.Clock.Now()
	quiet := now.Sub(l.lastLog) < time.Second
	if !quiet {
		l.lastLog = now
	}
	l.mu.Unlock()
	if !quiet {
		//nolint:sloglint // one of a few sentences; the advice in it depends on the cause
		l.log().Error(message, slog.Any("error", cause))
	}
}

// trial is one attempt to decide and store a batch.
type trial struct {
	decision Decision
	ledger   Ledger
}

func (l *lane) try(ctx context.Context, batch []*pending, thorough bool) (trial, error) {
	var t trial
	r := l.run.Load()
	if err := r.reopen(); err != nil {
		return t, err
	}
	err := l.engine.cfg.Store.InEvent(ctx, l.id, func(tx Tx) error {
		ledger, err := tx.Ledger(ctx, l.stored.Load())
		if err != nil {
			return err
		}
		t = trial{ledger: ledger}
		l.recheck(ledger, batch)
		known, err := l.lookUp(ctx, tx, batch, thorough)
		if err != nil {
			return err
		}
		t.decision, err = l.decide(ctx, tx, &t, known, batch)
		if err != nil {
			return err
		}
		orders := t.accepted(batch)
		if len(orders) == 0 {
			return ErrNothing
		}
		l.wake() // those of the batch before, while the database has work
		if err := tx.Insert(ctx, orders); err != nil {
			return err
		}
		if err := tx.Advance(ctx, t.decision.LastSeq, t.decision.Deltas); err != nil {
			return err
		}
		return r.seal()
	})
	if errors.Is(err, ErrNothing) {
		err = nil
	}
	return t, err
}

// decide decides the batch; before any refusal stands, the database is asked whether its key has an order after all, made
// by another node. One that has turns the refusal into a repeat, so the batch is decided anew.
func (l *lane) decide(ctx context.Context, tx Tx, t *trial, known Known, batch []*pending) (Decision, error) {
	now := l.engine.cfg.Clock.Now().Truncate(time.Millisecond)
	submissions := make([]*Submission, len(batch))
	for i, p := range batch {
		submissions[i] = p.submission
	}
	d := Decide(now, &t.ledger, known, submissions)
	unasked := unaskedRefusals(batch, d.Outcomes)
	if len(unasked) == 0 {
		return d, nil
	}
	found, err := tx.OrdersByKey(ctx, unasked)
	if err != nil || len(found) == 0 {
		return d, err
	}
	for key, order := range found {
		known.Orders[key] = order
	}
	return Decide(now, &t.ledger, known, submissions), nil
}

func unaskedRefusals(batch []*pending, outcomes []Outcome) []Key {
	var keys []Key
	for i, p := range batch {
		if !p.asked && outcomes[i].Refusal != nil {
			keys = append(keys, p.submission.Key)
		}
	}
	return keys
}

// recheck checks submissions again that were checked against an older revision of the event.
func (l *lane) recheck(ledger Ledger, batch []*pending) {
	for _, p := range batch {
		if p.revision == ledger.Revision {
			continue
		}
		old := p.submission
		fresh, invalid := check(l.engine.cfg.Clock.Now(), ledger.Event, l.id, l.engine.cfg.Secrets, p.request)
		if invalid != nil {
			fresh = &Submission{Invalid: invalid}
		}
		fresh.Key, fresh.Fingerprint = old.Key, old.Fingerprint
		p.submission, p.revision = fresh, ledger.Revision
	}
}

// lookUp asks the database about the keys and claims that the filters suspect, or about all of them.
func (l *lane) lookUp(ctx context.Context, tx Tx, batch []*pending, thorough bool) (Known, error) {
	var keys []Key
	var claims []Claim
	for _, p := range batch {
		s := p.submission
		p.asked = thorough || l.keys.mayHave(s.Key)
		if p.asked {
			keys = append(keys, s.Key)
		}
		for _, own := range s.Claims {
			for _, c := range own {
				if thorough || l.claims.mayHave(c) {
					claims = append(claims, c)
				}
			}
		}
	}
	known := Known{Orders: map[Key]KeyedOrder{}}
	if len(keys) > 0 {
		found, err := tx.OrdersByKey(ctx, keys)
		if err != nil {
			return known, err
		}
		known.Orders = found
	}
	if len(claims) == 0 {
		return known, nil
	}
	taken, err := tx.Taken(ctx, claims)
	known.Taken = taken
	return known, err
}

// accepted lists what is to be written.
func (t *trial) accepted(batch []*pending) []NewOrder {
	orders := make([]NewOrder, 0, len(batch))
	for i, outcome := range t.decision.Outcomes {
		if outcome.Accepted != nil {
			s := batch[i].submission
			orders = append(orders, NewOrder{Order: outcome.Accepted, Key: s.Key, Fingerprint: s.Fingerprint, Claims: s.Claims})
		}
	}
	return orders
}

// findOut asks, on a new connection and under the event's lock, whether a transaction whose COMMIT got no answer is there.
// The lock waits for the old transaction to end, so the answer is final. Nil means it is durable; contention means it is
// not and may be tried again; commit-unknown means that the database stayed away.
func (l *lane) findOut(ctx context.Context, batch []*pending, t trial) error {
	l.trouble("commit_unknown")
	first := t.accepted(batch)[0]
	keys := []Key{first.Key}
	for attempt := 0; ; attempt++ {
		found := false
		err := l.engine.cfg.Store.InEvent(ctx, l.id, func(tx Tx) error {
			orders, err := tx.OrdersByKey(ctx, keys)
			// By its id: another node may have made an order with the same key in the meantime.
			found = orders[first.Key].Order.ID == first.Order.ID
			if err != nil {
				return err
			}
			return ErrNothing
		})
		switch {
		case errors.Is(err, ErrNothing) && found:
			return nil
		case errors.Is(err, ErrNothing):
			return fmt.Errorf("%w: the commit did not reach the database", ErrContention)
		case ctx.Err() != nil:
			return fmt.Errorf("%w: %w", ErrCommitUnknown, err)
		}
		pause(ctx, attempt*10)
	}
}

// answer tells everyone in the batch what became of them.
func (l *lane) answer(batch []*pending, t trial) int {
	accepted := 0
	l.wake()
	l.noteHolds(t.decision)
	l.publish(t.ledger.after(t.decision), t.ledger.Event)
	for i, outcome := range t.decision.Outcomes {
		p := batch[i]
		switch {
		case outcome.Replay != nil:
			l.remember(p, KeyedOrder{Fingerprint: p.submission.Fingerprint, Order: *outcome.Replay})
			l.wakeLater(p, Receipt{Order: outcome.Replay.asAnswered(), Replayed: true})
		case outcome.Refusal != nil:
			l.turnAway(p, l.complete(outcome.Refusal))
		default:
			accepted++
			l.remember(p, KeyedOrder{Fingerprint: p.submission.Fingerprint, Order: *outcome.Accepted})
			l.wakeLater(p, Receipt{Order: *outcome.Accepted})
		}
	}
	return accepted
}

// complete adds to a refusal what only the lane knows: when holds may return.
func (l *lane) complete(refusal *fault.Fault) *fault.Fault {
	if refusal.Code != fault.SoldOut || refusal.Params["may_return"] != true {
		return refusal
	}
	l.mu.Lock()
	at := l.nextExpiry
	l.mu.Unlock()
	if at.IsZero() {
		return refusal
	}
	return refusal.With("next_hold_ends_at", at)
}

func (l *lane) remember(p *pending, order KeyedOrder) {
	s := p.submission
	l.keys.add(s.Key)
	for _, own := range s.Claims {
		for _, c := range own {
			l.claims.add(c)
		}
	}
	l.engine.recent.put(s.Key, order)
}

package registration

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"gapura/internal/clock"
	"gapura/internal/fault"
	"gapura/internal/gather"
	"gapura/internal/id"
	"gapura/internal/lifecycle"
)

// Limits bound what the engine takes on.
type Limits struct {
	Queue   int           // submissions that may ever wait for a commit, per event; one more is overloaded
	Batch   int           // submissions in one transaction; 1 makes every request its own transaction
	MaxWait time.Duration // what waited longer is not begun any more

	// AimedWait is how long a submission may wait for its commit when the crowd is larger than what can be taken; 0: as long
	// as Queue allows. A longer queue would sell no more places, it would only make everybody wait; a shorter one would refuse
	// those who come back at once, and a refusal costs half an order: in a surge 250 ms were 7,500 orders a second and 400 ms 8,300.
	AimedWait time.Duration

	// Patience is how long a commit may run before those who wait for it are answered without it; 0: for ever. It is longer
	// than one wait for a lock, which may well end with it.
	Patience time.Duration
}

// DefaultLimits bound the memory that waiting takes to about 20 MB and a batch to some 50 ms.
func DefaultLimits() Limits {
	return Limits{Queue: 8192, Batch: 512, MaxWait: 5 * time.Second, AimedWait: 400 * time.Millisecond, Patience: 2500 * time.Millisecond}
}

// Config is what an Engine needs.
type Config struct {
	Store   Store
	Clock   clock.Clock
	Log     *slog.Logger
	Secrets Secrets
	Limits  Limits
	Meter   Meter  // nil: nothing is measured
	Closer  Closer // nil: an ended hold is released without asking anybody
}

// Closer ends the holds of orders for which somebody may be paying: it closes that elsewhere first and releases then.
type Closer interface {
	// Paying returns those of the orders that may not be released without it.
	Paying(ctx context.Context, orders []id.ID) ([]id.ID, error)
	// Close takes care of them; what could not be closed yet it postpones with PostponeHold.
	Close(ctx context.Context, orders []id.ID) error
}

// Meter is told how the engine does.
type Meter interface {
	Committed(event string, batch, accepted int, queued, took time.Duration)
	Refused(event string, code fault.Code)
	Waiting(event string, n int)
	Trouble(event, kind string)
}

// Engine is the registration desk of one node.
type Engine struct {
	cfg     Config
	recent  recent
	flights flights
	hub     hub
	work    *lifecycle.Group
	lanes   atomic.Pointer[laneSet]
	hangs   atomic.Bool // the database took a question and did not answer
	stale   condition   // the catalogue is not up to date
	blind   condition   // open pages are not told of changes

	mu     sync.Mutex // one change of lanes at a time
	broken map[int64]string
	stuck  stuckEvents
}

// laneSet is replaced as a whole whenever an event appears.
type laneSet struct {
	byID   map[int64]*lane
	bySlug map[string]*lane
}

// Open loads the catalogue and starts the engine's goroutines; Stop ends them.
func Open(ctx context.Context, cfg Config) (*Engine, error) {
	if cfg.Limits == (Limits{}) {
		cfg.Limits = DefaultLimits()
	}
	cfg.Secrets = cfg.Secrets.reusing()
	e := &Engine{cfg: cfg, work: lifecycle.NewGroup(context.WithoutCancel(ctx)), broken: map[int64]string{}}
	e.lanes.Store(&laneSet{})
	if err := e.Refresh(ctx); err != nil {
		return nil, errors.Join(err, e.Stop(ctx))
	}
	e.work.Every("catalogue", refreshEvery, e.refreshQuietly)
	e.work.Every("watch", watchEvery, e.pollWatched)
	e.work.Every("relief", relieveEvery, e.relieve)
	return e, nil
}

const (
	refreshEvery = 500 * time.Millisecond // so that what another node sold or gave back shows within a second
	watchEvery   = 2 * time.Second        // how late a change made by another node reaches an open page
	drainFor     = 10 * time.Second       // what was accepted before a stop is answered within this
)

// Stop refuses new submissions, answers what was accepted and waits for the goroutines to end.
func (e *Engine) Stop(ctx context.Context) error {
	for _, l := range e.lanes.Load().byID {
		l.queue.Close()
	}
	return e.work.Stop(ctx)
}

// Refresh brings events and availability up to date with the database. An event that cannot be read is logged once and left
// as it was, or out; the others go on. It fails only if the database does.
func (e *Engine) Refresh(ctx context.Context) error {
	shut := e.shutLanes()
	revisions, err := e.revisions(ctx)
	if err != nil {
		return err
	}
	for _, l := range shut {
		l.reopen()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for eventID, revision := range revisions {
		err := e.refreshEvent(ctx, eventID, revision)
		if err != nil && (ctx.Err() != nil || errors.Is(err, ErrUnavailable)) {
			return err
		}
		e.noteBroken(eventID, err)
	}
	return nil
}

// revisions asks the database for news. One that does not answer within the engine's patience hangs: nobody waits for it
// until it answers again.
func (e *Engine) revisions(ctx context.Context) (map[int64]Revision, error) {
	asked := ctx
	if patience := e.cfg.Limits.Patience; patience > 0 {
		var cancel context.CancelFunc
		asked, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	revisions, err := e.cfg.Store.Revisions(asked)
	e.hangs.Store(err != nil && asked.Err() != nil && ctx.Err() == nil)
	if err != nil {
		return nil, fmt.Errorf("read revisions: %w", err)
	}
	return revisions, nil
}

func (e *Engine) refreshEvent(ctx context.Context, eventID int64, revision Revision) error {
	l, known := e.lanes.Load().byID[eventID]
	if !known {
		return e.openLane(ctx, eventID)
	}
	if l.behind(revision) {
		return l.reload(ctx)
	}
	return nil
}

// noteBroken says once that an event cannot be read, and why, and once that it can be again.
func (e *Engine) noteBroken(eventID int64, err error) {
	before := e.broken[eventID]
	switch {
	case err == nil && before != "":
		delete(e.broken, eventID)
		e.cfg.Log.Info("an event can be read again", slog.Int64("event_id", eventID))
	case err != nil && before != err.Error():
		e.broken[eventID] = err.Error()
		e.cfg.Log.Error("an event cannot be read and does not sell; apply its file again: gapura event apply FILE",
			slog.Int64("event_id", eventID), slog.Any("error", err))
		e.trouble(eventID, "unreadable")
	}
}

// trouble counts what an event met, by its slug where that is known.
func (e *Engine) trouble(eventID int64, kind string) {
	if e.cfg.Meter == nil {
		return
	}
	name := fmt.Sprintf("id %d", eventID)
	if l, known := e.lanes.Load().byID[eventID]; known {
		name = l.slug()
	}
	e.cfg.Meter.Trouble(name, kind)
}

// refreshQuietly logs the first of the failures in a row.
func (e *Engine) refreshQuietly(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err := e.Refresh(ctx)
	if e.stale.turned(err != nil) && err != nil && !errors.Is(ctx.Err(), context.Canceled) {
		e.cfg.Log.Warn("the catalogue could not be refreshed; what is shown is out of date until the database answers", slog.Any("error", err))
	}
}

func (e *Engine) openLane(ctx context.Context, eventID int64) error {
	l := &lane{engine: e, id: eventID, keys: newFilter(), claims: newFilter()}
	if err := l.reload(ctx); err != nil {
		return err
	}
	store := e.cfg.Store
	if err := store.Keys(ctx, eventID, func(k Key) { l.keys.add(k) }); err != nil {
		return fmt.Errorf("load keys: %w", err)
	}
	if err := store.Claims(ctx, eventID, func(c Claim) { l.claims.add(c) }); err != nil {
		return fmt.Errorf("load claims: %w", err)
	}
	l.queue = gather.New(gather.Limits{Queue: e.cfg.Limits.Queue, Batch: e.cfg.Limits.Batch}, l.commit)
	e.work.Go("committer "+l.slug(), func(ctx context.Context) { l.queue.Work(ctx, drainFor) })
	e.addLane(l)
	return nil
}

func (e *Engine) addLane(l *lane) {
	old := e.lanes.Load()
	next := &laneSet{byID: map[int64]*lane{l.id: l}, bySlug: map[string]*lane{l.slug(): l}}
	for k, v := range old.byID {
		next.byID[k] = v
	}
	for k, v := range old.bySlug {
		next.bySlug[k] = v
	}
	e.lanes.Store(next)
}

// Events returns the published events, by start.
func (e *Engine) Events() []Live {
	lanes := e.lanes.Load().byID
	all := make([]Live, 0, len(lanes))
	for _, l := range lanes {
		all = append(all, l.view())
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Event.StartsAt.Before(all[j].Event.StartsAt) })
	return all
}

func (e *Engine) lane(slug string) (*lane, error) {
	l, ok := e.lanes.Load().bySlug[slug]
	if !ok {
		return nil, fault.New(fault.NoSuchEvent)
	}
	return l, nil
}

// Event returns the published event with that slug, or a no_such_event fault.
func (e *Engine) Event(slug string) (Live, error) {
	l, err := e.lane(slug)
	if err != nil {
		return Live{}, err
	}
	return l.view(), nil
}

// Definition returns the published event with that slug as its file says, or a no_such_event fault.
func (e *Engine) Definition(slug string) (Stored, error) {
	l, err := e.lane(slug)
	if err != nil {
		return Stored{}, err
	}
	return *l.stored.Load(), nil
}

// Shed returns the fault that a request with this key would meet before it is worth reading its body: the event's queue is
// full and the key has no order that this node remembers. Otherwise it returns nil.
func (e *Engine) Shed(slug, rawKey string) error {
	l, err := e.lane(slug)
	if err != nil || !l.full() && !e.hangs.Load() {
		return nil //nolint:nilerr // without an event the queue is no reason to refuse
	}
	if key, ok := KeyOf(rawKey); ok && e.recent.has(key) {
		return nil
	}
	return l.refuse(l.overloaded(nil))
}

// Register returns once the order is durable.
func (e *Engine) Register(ctx context.Context, slug, rawKey string, request Request) (receipt Receipt, err error) {
	key, ok := KeyOf(rawKey)
	if !ok {
		return receipt, fault.New(fault.KeyMissing)
	}
	l, err := e.lane(slug)
	if err != nil {
		return receipt, err
	}
	mark := fingerprint(slug, &request)
	if receipt, ok, err = e.repeat(key, mark); ok {
		return receipt, err
	}
	if e.hangs.Load() {
		return receipt, l.refuse(l.overloaded(errHangs))
	}
	f, leader := e.flights.join(key, mark)
	if !leader {
		return f.follow(ctx, mark)
	}
	defer e.flights.land(key, f)
	f.err = l.register(ctx, key, mark, &request, &f.receipt)
	return f.receipt, f.err
}

// repeat answers a request if its key has an order that this node remembers.
func (e *Engine) repeat(key Key, mark Fingerprint) (receipt Receipt, known bool, err error) {
	existing, known := e.recent.get(key)
	if known {
		receipt, err = replay(existing, mark)
	}
	return receipt, known, err
}

func replay(existing KeyedOrder, mark Fingerprint) (Receipt, error) {
	if existing.Fingerprint != mark {
		return Receipt{}, fault.New(fault.KeyReused)
	}
	return Receipt{Order: existing.Order.asAnswered(), Replayed: true}, nil
}

// asAnswered returns the order as the first answer showed it: a repeat of a request returns the same body, whatever
// happened to the order since.
func (o Order) asAnswered() Order {
	o.Version = 1
	o.Status = AwaitingPayment
	if o.Total == 0 {
		o.Status = Confirmed
	}
	return o
}

// Order returns an order as it stands.
func (e *Engine) Order(ctx context.Context, order id.ID) (Order, error) {
	if e.hangs.Load() {
		return Order{}, publicError(errHangs)
	}
	o, err := e.cfg.Store.Order(ctx, order)
	return o, publicError(err)
}

// OrderByKey returns the order that key made as it stands.
func (e *Engine) OrderByKey(ctx context.Context, rawKey string) (Order, error) {
	key, ok := KeyOf(rawKey)
	if !ok {
		return Order{}, fault.New(fault.NoSuchOrder)
	}
	if f, ok := e.flights.current(key); ok {
		f.wait(ctx)
	}
	if e.hangs.Load() {
		return Order{}, publicError(errHangs)
	}
	keyed, err := e.cfg.Store.OrderByKey(ctx, key)
	return keyed.Order, publicError(err)
}

// publicError turns a store's error into a fault.
func publicError(err error) error {
	var f *fault.Fault
	switch {
	case err == nil:
		return nil
	case errors.As(err, &f):
		return err
	case errors.Is(err, ErrNoOrder):
		return fault.New(fault.NoSuchOrder)
	case errors.Is(err, ErrCommitUnknown):
		return fault.Wrap(fault.OutcomeUnknown, err).After(jitter())
	case errors.Is(err, ErrUnavailable), errors.Is(err, ErrContention), errors.Is(err, context.DeadlineExceeded):
		return fault.Wrap(fault.Overloaded, err).After(jitter())
	}
	return fault.Wrap(fault.Internal, err)
}

// jitter spreads those who come back over 1 to 4 seconds: at the same moment they would be a second stampede.
func jitter() time.Duration {
	return time.Second + rand.N(3*time.Second)
}

// Token returns the order's access token.
func (e *Engine) Token(order id.ID) string { return e.cfg.Secrets.Token(order) }

// TokenValid reports, in constant time, whether token opens the order.
func (e *Engine) TokenValid(order id.ID, token string) bool {
	return e.cfg.Secrets.TokenValid(order, token)
}

var _ Desk = (*Engine)(nil)

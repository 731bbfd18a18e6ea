package waitroom

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"gapura/internal/clock"
	"gapura/internal/fault"
	"gapura/internal/lifecycle"
)

// Config is what the waiting rooms need.
type Config struct {
	Store  Store
	Board  Board // nil: this node is alone
	Signer *Signer
	// Persons keys who a person is, see PersonVisitor. It must stay the same for as long as any room is open.
	Persons []byte
	Clock   clock.Clock
	Node    string // this node's name, unlike any other's
	Tuning  Tuning
	Log     *slog.Logger
	// Sample tells how this node's engine fares.
	Sample func() Sample
	// Left tells what of an event can still be registered for: the stock and the number of places, -1 for no limit.
	Left func(eventID int64) (Stock, int64)
}

// Rooms are the waiting rooms of all events on one node.
type Rooms struct {
	cfg   Config
	group *lifecycle.Group
	mu    sync.RWMutex
	rooms map[int64]*room
}

// room is one event's waiting room on this node.
type room struct {
	cfg      *Config
	set      atomic.Pointer[Settings]
	view     atomic.Pointer[view]
	skew     atomic.Int64 // nanoseconds that the database's clock is ahead of this node's
	asked    atomic.Int64 // when the database was last asked, in unix nanoseconds of this node
	draws    *gatherer[Number, struct{}]
	places   *gatherer[Arrival, int64]
	passes   *gatherer[PassRow, PassRow]
	bindings *gatherer[Binding, KeyHash]
	asks     *gatherer[Confirmation, Confirmation]
	tries    *gatherer[Try, TryOutcome]
	forgot   time.Time        // when lapsed confirmations were last removed; the room's loop owns it
	orders   map[string]int64 // by node: what it had acknowledged at the last step; the leading loop owns it
	tenure   tenure
	closed   atomic.Pointer[Draw]
	listMu   sync.Mutex // one goroutine at a time loads the closed list
}

// view is what this node knows of a room; it is replaced, never changed.
type view struct {
	record Record
	draw   *Draw // from opening on, where there is a draw
	seed   Seed
	state  State
	page   Page
}

// New returns rooms that run in group. There are none until Open.
func New(cfg Config, group *lifecycle.Group) *Rooms {
	return &Rooms{cfg: cfg, group: group, rooms: map[int64]*room{}}
}

// Open makes an event's room known on this node, creating it if the database has none; called again it takes up changed
// settings. The draw's seed is drawn and committed to at creation, before anybody can have a ticket.
func (rs *Rooms) Open(ctx context.Context, set Settings) error {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rm, known := rs.rooms[set.EventID]; known {
		rm.set.Store(&set)
		return nil
	}
	seed := NewSeed()
	err := rs.cfg.Store.Create(ctx, Record{
		EventID: set.EventID, Sealed: rs.cfg.Signer.Seal(seed, set.EventID), Commitment: seed.Commitment(),
		Progress: Progress{Phase: Before, Stock: InStock, Admission: NewAdmission(rs.cfg.Tuning)},
	})
	if err != nil {
		return fmt.Errorf("create the waiting room of %s: %w", set.Slug, err)
	}
	rm := newRoom(&rs.cfg, set)
	if err := rm.refresh(ctx); err != nil {
		return fmt.Errorf("open the waiting room of %s: %w", set.Slug, err)
	}
	rs.rooms[set.EventID] = rm
	rm.start(rs.group)
	return nil
}

func newRoom(cfg *Config, set Settings) *room {
	rm := &room{cfg: cfg, orders: map[string]int64{}}
	rm.set.Store(&set)
	rm.draws = newGatherer(rm.saveDraws)
	rm.places = newGatherer(rm.takePlaces)
	rm.passes = newGatherer(rm.issuePasses)
	rm.bindings = newGatherer(rm.bindPasses)
	rm.asks = newGatherer(rm.askMany)
	rm.tries = newGatherer(rm.tryMany)
	return rm
}

func (rm *room) start(group *lifecycle.Group) {
	slug := rm.set.Load().Slug
	group.Go("waitroom draws "+slug, rm.draws.run)
	group.Go("waitroom places "+slug, rm.places.run)
	group.Go("waitroom passes "+slug, rm.passes.run)
	group.Go("waitroom bindings "+slug, rm.bindings.run)
	group.Go("waitroom asks "+slug, rm.asks.run)
	group.Go("waitroom tries "+slug, rm.tries.run)
	group.Go("waitroom "+slug, rm.run)
}

// beat does what is due now.
func (rm *room) beat(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, leaseTTL)
	defer cancel()
	if err := rm.step(ctx); err != nil && !errors.Is(err, context.Canceled) {
		rm.cfg.Log.Warn("waiting room stands still", slog.String("event", rm.set.Load().Slug), slog.Any("error", err))
	}
}

func (rs *Rooms) room(eventID int64) (*room, error) {
	rs.mu.RLock()
	defer rs.mu.RUnlock()
	if rm, known := rs.rooms[eventID]; known {
		return rm, nil
	}
	return nil, fault.Wrap(fault.NotFound, ErrNoRoom)
}

// now is the database's clock as this node knows it: right even where the node's own is minutes off.
func (rm *room) now() time.Time {
	return rm.cfg.Clock.Now().Add(time.Duration(rm.skew.Load()))
}

// setClock remembers that the database's clock showed now some time between asked and the present.
func (rm *room) setClock(asked, now time.Time) {
	present := rm.cfg.Clock.Now()
	middle := asked.Add(present.Sub(asked) / 2)
	rm.skew.Store(int64(now.Sub(middle)))
	rm.asked.Store(present.UnixNano())
}

// refresh takes up what the database has.
func (rm *room) refresh(ctx context.Context) error {
	started := rm.cfg.Clock.Now()
	r, now, err := rm.cfg.Store.Load(ctx, rm.set.Load().EventID)
	if err != nil {
		return err
	}
	rm.setClock(started, now)
	return rm.show(ctx, r)
}

// show makes r what this node knows, unless it knows something newer.
func (rm *room) show(ctx context.Context, r Record) error {
	old := rm.view.Load()
	if old != nil && r.UpdatedAt.Before(old.record.UpdatedAt) {
		return nil
	}
	next := &view{record: r}
	if old != nil {
		next.draw, next.seed = old.draw, old.seed
	}
	set := *rm.set.Load()
	if set.Draw && next.draw == nil && (r.Phase == Open || r.Phase == Ended) {
		if err := rm.reveal(ctx, next); err != nil {
			return err
		}
	}
	next.state = Describe(set, &next.record, next.draw, next.seed)
	next.page = next.state.Prepare()
	rm.view.Store(next)
	return nil
}

// ErrTampered is returned when the kept list is not the one whose hash was published.
var ErrTampered = errors.New("the list of draw numbers or the seed is not what was published")

// reveal puts the closed list into the seed's order. A list or a seed that is not the published one lets nobody in:
// better a standing line than a wrong one.
func (rm *room) reveal(ctx context.Context, v *view) error {
	seed, err := rm.cfg.Signer.Unseal(v.record.Sealed, v.record.EventID)
	if err != nil {
		return err
	}
	if seed.Commitment() != v.record.Commitment {
		return ErrTampered
	}
	draw, err := rm.list(ctx, &v.record)
	if err != nil {
		return err
	}
	v.draw, v.seed = draw.Reveal(seed), seed
	return nil
}

// list returns the closed list; this node loads it the first time that anyone asks. nil while it has not been hashed.
func (rm *room) list(ctx context.Context, r *Record) (*Draw, error) {
	if r.Root.IsZero() {
		return nil, nil
	}
	rm.listMu.Lock()
	defer rm.listMu.Unlock()
	if draw := rm.closed.Load(); draw != nil {
		return draw, nil
	}
	numbers, err := rm.cfg.Store.Numbers(ctx, r.EventID)
	if err != nil {
		return nil, err
	}
	draw := CloseDraw(numbers)
	if draw.Root() != r.Root {
		return nil, ErrTampered
	}
	rm.closed.Store(draw)
	return draw, nil
}

func (rm *room) saveDraws(ctx context.Context, numbers []Number) ([]struct{}, error) {
	same := func(n Number) Number { return n }
	return once(numbers, same, func(distinct []Number) ([]struct{}, error) {
		return make([]struct{}, len(distinct)), rm.cfg.Store.SaveDraws(ctx, rm.set.Load().EventID, distinct)
	})
}

func (rm *room) takePlaces(ctx context.Context, arrivals []Arrival) ([]int64, error) {
	number := func(a Arrival) Number { return a.Number }
	return once(arrivals, number, func(distinct []Arrival) ([]int64, error) {
		return rm.cfg.Store.TakePlaces(ctx, rm.set.Load().EventID, distinct, rm.now())
	})
}

func (rm *room) issuePasses(ctx context.Context, rows []PassRow) ([]PassRow, error) {
	number := func(p PassRow) Number { return p.Number }
	return once(rows, number, func(distinct []PassRow) ([]PassRow, error) {
		return rm.cfg.Store.IssuePasses(ctx, rm.set.Load().EventID, distinct, rm.now())
	})
}

func (rm *room) bindPasses(ctx context.Context, bindings []Binding) ([]KeyHash, error) {
	number := func(b Binding) Number { return b.Number }
	return once(bindings, number, func(distinct []Binding) ([]KeyHash, error) {
		return rm.cfg.Store.BindPasses(ctx, rm.set.Load().EventID, distinct)
	})
}

package app

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"gapura/internal/clock"
	"gapura/internal/event"
	"gapura/internal/id"
	"gapura/internal/redisstore"
	"gapura/internal/registration"
	"gapura/internal/store"
	"gapura/internal/waitroom"
)

// rooms are the waiting rooms of this node's events, by slug.
type rooms struct {
	*waitroom.Rooms

	engine *registration.Engine
	secret []byte
	board  *redis.Client // nil: this node is alone
	known  atomic.Pointer[knownRooms]
	failed map[int64]bool // rooms that could not be opened, so that the log says it once; the sync owns it
}

type knownRooms struct {
	bySlug map[string]int64
	slugs  map[int64]string
}

// syncRooms is how often events are looked through for rooms to open and settings that changed.
const syncRooms = 500 * time.Millisecond

// openRooms opens the rooms of the events that have one, and of those that come later.
func (n *node) openRooms(ctx context.Context) error {
	signer, secret, err := n.program.roomSigner(ctx, n.store)
	if err != nil {
		return err
	}
	r := &rooms{engine: n.engine, secret: secret, failed: map[int64]bool{}}
	r.known.Store(&knownRooms{})
	board, err := n.openBoard(r)
	if err != nil {
		return err
	}
	r.Rooms = waitroom.New(waitroom.Config{
		Store: &store.Waitroom{Store: n.store}, Board: board, Signer: signer, Clock: clock.System{}, Node: nodeName(),
		Persons: secret, Tuning: waitroom.DefaultTuning(), Log: n.program.log, Left: r.left,
		Sample: func() waitroom.Sample { now := time.Now(); return n.pulse.sample(now, n.engine.Committing(now)) },
	}, n.work)
	r.sync(ctx, n)
	n.work.Every("waiting rooms", syncRooms, func(ctx context.Context) { r.sync(ctx, n) })
	n.rooms = r
	return nil
}

// openBoard returns where nodes show each other how the rooms stand; nil where there is one node only.
func (n *node) openBoard(r *rooms) (waitroom.Board, error) {
	if n.program.cfg.CacheStore != "redis" {
		return nil, nil
	}
	options, err := n.program.cfg.redisOptions()
	if err != nil {
		return nil, err
	}
	// Twice a second a node asks; without an answer in time it goes by the database.
	const patience = 200 * time.Millisecond
	options.PoolSize, options.MaxRetries, options.ContextTimeoutEnabled = 4, -1, true
	options.DialTimeout, options.ReadTimeout, options.WriteTimeout, options.PoolTimeout = patience, patience, patience, patience
	r.board = redis.NewClient(options)
	return redisstore.NewBoard(r.board), nil
}

// close ends the connections to Redis.
func (r *rooms) close() error {
	if r == nil || r.board == nil {
		return nil
	}
	return r.board.Close()
}

// nodeName is unlike any other node's, and unlike this one's before a restart: a lease must not pass to a new process that
// knows nothing.
func nodeName() string {
	host, _ := os.Hostname()
	return fmt.Sprintf("%.60s-%s-%s", host, strconv.Itoa(os.Getpid()), id.New().String()[24:])
}

// sync opens what is new and takes up what changed. What could not be opened is tried again the next time; meanwhile orders
// of that event are answered as overloaded.
func (r *rooms) sync(ctx context.Context, n *node) {
	next := &knownRooms{bySlug: map[string]int64{}, slugs: map[int64]string{}}
	for _, live := range r.engine.Events() {
		if !live.Event.WaitingRoom.Enabled {
			continue
		}
		next.bySlug[live.Event.Slug], next.slugs[live.ID] = live.ID, live.Event.Slug
	}
	r.known.Store(next)
	for _, live := range r.engine.Events() {
		if !live.Event.WaitingRoom.Enabled {
			continue
		}
		err := r.Open(ctx, settings(live, n.program.cfg.DrawClosesBefore))
		if err != nil && !r.failed[live.ID] && ctx.Err() == nil {
			n.program.log.Error("a waiting room could not be opened; it is tried again, and until then nobody can order", slog.Any("error", err))
		}
		r.failed[live.ID] = err != nil
	}
}

func settings(live registration.Live, lead time.Duration) waitroom.Settings {
	e := live.Event
	return waitroom.Settings{
		EventID: live.ID, Slug: e.Slug, OpensAt: e.Rules.OpensAt, ClosesAt: e.Rules.ClosesAt, Draw: e.WaitingRoom.PreQueue == event.Draw,
		Lead: lead, Person: e.WaitingRoom.Person == event.ConfirmEmail,
	}
}

// Room implements httpapi.Queue.
func (r *rooms) Room(slug string) (int64, bool) {
	eventID, ok := r.known.Load().bySlug[slug]
	return eventID, ok
}

// Visitor implements httpapi.Queue.
func (r *rooms) Visitor(eventID int64, key string) waitroom.Visitor {
	return waitroom.PersonVisitor(r.secret, eventID, "key\x00"+key)
}

// left tells what can still be registered for, from what this node has in memory.
func (r *rooms) left(eventID int64) (waitroom.Stock, int64) {
	live, err := r.engine.Event(r.known.Load().slugs[eventID])
	if err != nil {
		return waitroom.InStock, -1 // the room outlived its event's own; nobody can order
	}
	return stockOf(live.Availability), int64(live.Availability.Places)
}

func stockOf(a registration.Availability) waitroom.Stock {
	stock := waitroom.SoldOut
	for _, c := range a.Categories {
		switch c.Level {
		case registration.Available, registration.Low:
			return waitroom.InStock
		case registration.Held:
			stock = waitroom.Held
		case registration.SoldOut:
		}
	}
	return stock
}

// pulse is how this node's engine fares. It is safe for concurrent use.
type pulse struct {
	mu     sync.Mutex
	queued time.Duration // how long the first of the last batch had waited
	took   time.Duration
	ended  time.Time
	orders int64
	record record
}

// record finds the most orders a second that were kept up for three seconds: in a shorter time a batch more or less would count.
type record struct {
	second int64    // the one that is being counted
	counts [4]int64 // of it and the three before, by second modulo 4
	best   float64
}

func (s *record) add(now time.Time, n int) {
	second := now.Unix()
	for ; s.second < second; s.second++ {
		if second-s.second > int64(len(s.counts)) {
			s.second, s.counts = second-int64(len(s.counts)), [4]int64{}
		}
		next := (s.second + 1) % int64(len(s.counts))
		s.best = max(s.best, float64(s.counts[0]+s.counts[1]+s.counts[2]+s.counts[3]-s.counts[next])/float64(len(s.counts)-1))
		s.counts[next] = 0
	}
	s.counts[second%int64(len(s.counts))] += int64(n)
}

// pulseFades is for how long the last commit says something: an engine without work has none.
const pulseFades = time.Second

func (p *pulse) beat(now time.Time, accepted int, queued, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queued, p.took, p.ended = queued, took, now
	p.orders += int64(accepted)
	p.record.add(now, accepted)
}

// sample returns the last commit, or the running one if that takes longer.
func (p *pulse) sample(now time.Time, running time.Duration) waitroom.Sample {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := waitroom.Sample{Commit: running, Orders: p.orders, Best: p.record.best}
	if now.Sub(p.ended) < pulseFades {
		s.QueueWait, s.Commit = p.queued, max(running, p.took)
	}
	return s
}

// meters tell the metrics and the waiting rooms how the engine does.
type meters struct {
	*telemetry

	pulse *pulse
}

// Committed implements registration.Meter.
func (m meters) Committed(event string, batch, accepted int, queued, took time.Duration) {
	m.telemetry.Committed(event, batch, accepted, queued, took)
	m.pulse.beat(time.Now(), accepted, queued, took)
}

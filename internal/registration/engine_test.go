package registration_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gapura/internal/audit"
	"gapura/internal/clock"
	"gapura/internal/event"
	"gapura/internal/fault"
	"gapura/internal/id"
	"gapura/internal/registration"
	"gapura/internal/store"
	"gapura/test/conformance"
	"gapura/test/peers"
)

func TestMain(m *testing.M) { peers.Main(m) }

// node is one engine with what a test may look at.
type node struct {
	*registration.Engine
	clock *clock.Manual
	logs  *lines
	calls *counted
}

// lines collects what is logged.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// counted counts what an engine asks its store because of requests; what its tickers ask is left out.
type counted struct {
	registration.Store

	transactions atomic.Int64
	lookups      atomic.Int64
	inEvent      func(ctx context.Context, eventID int64, work func(tx registration.Tx) error) error
	order        func() error // nil, or what a look-up by key meets first
}

func (c *counted) InEvent(ctx context.Context, eventID int64, work func(tx registration.Tx) error) error {
	c.transactions.Add(1)
	if c.inEvent != nil {
		return c.inEvent(ctx, eventID, work)
	}
	return c.Store.InEvent(ctx, eventID, work)
}

func (c *counted) OrderByKey(ctx context.Context, key registration.Key) (registration.KeyedOrder, error) {
	c.lookups.Add(1)
	if c.order != nil {
		if err := c.order(); err != nil {
			return registration.KeyedOrder{}, err
		}
	}
	return c.Store.OrderByKey(ctx, key)
}

// start starts an engine on s, a minute after the opening; it is stopped when the test ends.
func start(t testing.TB, s registration.Store, change ...func(*registration.Config)) *node {
	t.Helper()
	n := &node{clock: clock.NewManual(conformance.Opening.Add(time.Minute)), logs: &lines{}, calls: &counted{Store: s}}
	cfg := registration.Config{
		Store: n.calls, Clock: n.clock, Secrets: conformance.Secrets(), Log: slog.New(slog.NewTextHandler(n.logs, nil)),
		Limits: registration.Limits{Queue: 100_000, Batch: 512, MaxWait: time.Hour},
	}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	if n.Engine, err = registration.Open(t.Context(), cfg); err != nil {
		t.Fatalf("open the engine: %v", err)
	}
	t.Cleanup(func() { stop(t, n) })
	return n
}

func stop(t testing.TB, n *node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := n.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func (n *node) register(slug, key string, r registration.Request) (registration.Receipt, error) {
	return n.Register(context.Background(), slug, key, r)
}

// mustRegister registers and fails the test on a refusal.
func (n *node) mustRegister(t testing.TB, slug, key string, r registration.Request) registration.Receipt {
	t.Helper()
	receipt, err := n.register(slug, key, r)
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return receipt
}

func key(n int) string { return fmt.Sprintf("key-%d-of-a-visitor", n) }

func want(t testing.TB, err error, code fault.Code) {
	t.Helper()
	if got := fault.CodeOf(err); got != code {
		t.Fatalf("got %q (%v), want %q", got, err, code)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// auditClean fails the test if any invariant of an event is broken. now is the clock's.
func auditClean(t testing.TB, s *store.Store, now time.Time, eventIDs ...int64) {
	t.Helper()
	for _, eventID := range eventIDs {
		err := s.Audit(context.Background(), eventID, func(source *store.Audited) error {
			findings, err := audit.Event(context.Background(), now, source, conformance.Secrets().ClaimsOf)
			for _, f := range findings {
				if f.Broken {
					t.Errorf("%s: invariant %d: %s", f.Event, f.Invariant, f.Text)
				}
			}
			return err
		})
		must(t, err)
	}
}

func taken(t testing.TB, s *store.Store, eventID int64, c event.Counter) registration.Count {
	t.Helper()
	l, err := s.Ledger(context.Background(), eventID)
	must(t, err)
	return l.Counters[c]
}

// answers is what a crowd was told.
type answers struct {
	mu     sync.Mutex
	orders map[string]map[id.ID]int // by key: the orders it was told of
	codes  map[fault.Code]int
	fresh  int // receipts that were no replay
}

func newAnswers() *answers {
	return &answers{orders: map[string]map[id.ID]int{}, codes: map[fault.Code]int{}}
}

func (a *answers) note(key string, r registration.Receipt, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		a.codes[fault.CodeOf(err)]++
		return
	}
	if a.orders[key] == nil {
		a.orders[key] = map[id.ID]int{}
	}
	a.orders[key][r.Order.ID]++
	if !r.Replayed {
		a.fresh++
	}
}

// check finds keys with two orders, and acknowledged orders that do not exist.
func (a *answers) check(t testing.TB, s *store.Store) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	for key, orders := range a.orders {
		if len(orders) != 1 {
			t.Errorf("%s was told of %d orders", key, len(orders))
		}
		hashed, _ := registration.KeyOf(key)
		stored, err := s.OrderByKey(context.Background(), hashed)
		if err != nil {
			t.Errorf("%s was acknowledged: %v", key, err)
			continue
		}
		if orders[stored.Order.ID] == 0 {
			t.Errorf("%s was told of another order than it has", key)
		}
	}
}

// crowd runs work for 0 to n-1, all at once.
func crowd(n int, work func(i int)) {
	var all sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-begin
			work(i)
		})
	}
	close(begin)
	all.Wait()
}

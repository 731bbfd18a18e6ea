package waitroom_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gapura/internal/clock"
	"gapura/internal/fault"
	"gapura/internal/lifecycle"
	"gapura/internal/waitroom"
	"gapura/internal/waitroom/waitroomtest"
)

const eventID = 7

// house is a database, a board and the settings of one race; nodes come and go. Everything runs in a bubble of synctest,
// whose time starts in the year 2000 and passes only while everyone waits.
type house struct {
	t     *testing.T
	store *waitroomtest.Store
	board *board
	set   waitroom.Settings
	stock atomic.Value // waitroom.Stock
	fares waitroom.Sample
}

type bubbleClock struct{ skew time.Duration }

func (c bubbleClock) Now() time.Time { return time.Now().UTC().Add(c.skew) }

func newHouse(t *testing.T, change func(*waitroom.Settings)) *house {
	h := &house{t: t, store: waitroomtest.NewStore(bubbleClock{}), board: &board{}}
	h.stock.Store(waitroom.InStock)
	h.set = waitroom.Settings{EventID: eventID, Slug: "race", OpensAt: time.Now().UTC().Add(5 * time.Minute), Draw: true}
	if change != nil {
		change(&h.set)
	}
	return h
}

var _ clock.Clock = bubbleClock{}

// node starts one; it is stopped by the returned function.
func (h *house) node(name string, skew time.Duration) (*waitroom.Rooms, func()) {
	h.t.Helper()
	signer, err := waitroom.NewSigner(waitroom.Key{ID: 1, Secret: []byte("a secret of the waiting room")})
	if err != nil {
		h.t.Fatal(err)
	}
	tuning := waitroom.DefaultTuning()
	group := lifecycle.NewGroup(context.Background())
	rooms := waitroom.New(waitroom.Config{
		Store: h.store, Board: h.board, Signer: signer, Clock: bubbleClock{skew}, Node: name, Tuning: tuning,
		Log: slog.New(slog.DiscardHandler), Persons: []byte("a secret of the persons"),
		Sample: func() waitroom.Sample { return h.fares },
		Left:   func(int64) (waitroom.Stock, int64) { return h.stock.Load().(waitroom.Stock), -1 },
	}, group)
	if err := rooms.Open(h.t.Context(), h.set); err != nil {
		h.t.Fatal(err)
	}
	return rooms, func() {
		if err := group.Stop(context.Background()); err != nil {
			h.t.Error(err)
		}
	}
}

// until lets time pass up to d after opening.
func (h *house) until(d time.Duration) {
	time.Sleep(time.Until(h.set.OpensAt.Add(d)))
	synctest.Wait()
}

// board shows records in memory; wiped stands for a Redis that has lost everything, gone for one that does not answer.
type board struct {
	mu      sync.Mutex
	gone    bool
	records map[int64]waitroom.Record
	at      time.Time
	samples map[string]waitroom.Sample
}

var errGone = errors.New("no answer")

func (b *board) do(work func()) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gone {
		return errGone
	}
	if b.records == nil {
		b.records, b.samples = map[int64]waitroom.Record{}, map[string]waitroom.Sample{}
	}
	work()
	return nil
}

func (b *board) Post(_ context.Context, r waitroom.Record) error {
	return b.do(func() {
		if old, shown := b.records[r.EventID]; !shown || !r.UpdatedAt.Before(old.UpdatedAt) {
			b.records[r.EventID], b.at = r, time.Now()
		}
	})
}

func (b *board) Look(_ context.Context, id int64) (r waitroom.Record, shown bool, err error) {
	err = b.do(func() {
		r, shown = b.records[id]
		shown = shown && time.Since(b.at) < 3*time.Second
	})
	return r, shown, err
}

func (b *board) Report(_ context.Context, node string, s waitroom.Sample) error {
	return b.do(func() { b.samples[node] = s })
}

func (b *board) Samples(context.Context) (all map[string]waitroom.Sample, err error) {
	err = b.do(func() {
		all = map[string]waitroom.Sample{}
		for n, s := range b.samples {
			all[n] = s
		}
	})
	return all, err
}

func (b *board) wipe() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.records, b.samples = nil, nil
}

func join(t *testing.T, rs *waitroom.Rooms, v waitroom.Visitor) (waitroom.Ticket, string) {
	t.Helper()
	ticket, text, err := rs.Join(t.Context(), eventID, v)
	if err != nil {
		t.Fatal(err)
	}
	return ticket, text
}

func exchange(t *testing.T, rs *waitroom.Rooms, ticket, key string) (waitroom.Pass, string) {
	t.Helper()
	pass, text, err := rs.Exchange(t.Context(), eventID, ticket, key)
	if err != nil {
		t.Fatal(err)
	}
	return pass, text
}

// why returns the reason of a queue_pass_required fault, or the fault's code.
func why(err error) string {
	var f *fault.Fault
	if !errors.As(err, &f) {
		return fmt.Sprint(err)
	}
	if f.Code == fault.QueuePassRequired || f.Code == fault.ConfirmationRequired {
		return f.Params["reason"].(string)
	}
	return string(f.Code)
}

func bubble(t *testing.T, change func(*waitroom.Settings), test func(t *testing.T, h *house)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { test(t, newHouse(t, change)) })
}

func first[T any](v T, _ ...any) T { return v }

// A whole opening: 200 draw on two nodes, 50 come late, all enter in the order of the draw and then of arrival, nobody
// before opening, and the published documents prove it.
func TestAnOpening(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a, stopA := h.node("a", 0)
		defer stopA()
		b, stopB := h.node("b", 0)
		defer stopB()
		nodes := []*waitroom.Rooms{a, b}

		type entrant struct {
			visitor waitroom.Visitor
			ticket  string
		}
		var drawn, late []entrant
		for i := range 200 {
			v := waitroom.NewVisitor()
			ticket, text := join(t, nodes[i%2], v)
			if ticket.Kind != waitroom.Drawn {
				t.Fatalf("before closing a ticket is %s", ticket.Kind)
			}
			drawn = append(drawn, entrant{v, text})
		}
		before := proof(t, a)
		if before.Seed != "" || before.Root != nil || a.WriteList(t.Context(), eventID, &bytes.Buffer{}) == nil {
			t.Fatalf("told too early: %+v", before)
		}

		h.until(-waitroom.CloseLead + 2*time.Second)
		for i := range 50 {
			v := waitroom.NewVisitor()
			ticket, text := join(t, nodes[i%2], v)
			if ticket.Kind != waitroom.Late || ticket.Place != int64(i+1) {
				t.Fatalf("late arrival %d: %+v", i+1, ticket)
			}
			late = append(late, entrant{v, text})
		}
		closed := proof(t, b)
		if closed.Root == nil || closed.Seed != "" || closed.Count != 200 {
			t.Fatalf("closed: %+v", closed)
		}
		h.until(-time.Second)
		for _, e := range append(slices.Clone(drawn), late...) {
			if _, _, err := a.Exchange(t.Context(), eventID, e.ticket, ""); why(err) != "not_yet" {
				t.Fatalf("before opening: %v", err)
			}
		}

		// One at a time by hand: who may enter is exactly whose place was served.
		pause(t, a, true)
		h.until(2 * time.Second)
		order := append(slices.Clone(drawn), late...)
		slices.SortFunc(order, func(x, y entrant) int {
			fx, _ := a.Find(eventID, x.ticket)
			fy, _ := a.Find(eventID, y.ticket)
			return int(fx.Place - fy.Place)
		})
		for i := range 50 {
			if got := order[200+i]; got != late[i] {
				t.Fatalf("late arrival %d is not at place %d", i+1, 201+i)
			}
		}
		for served := range 250 {
			if served%50 == 0 {
				for i, e := range order {
					_, _, err := nodes[i%2].Exchange(t.Context(), eventID, e.ticket, "")
					if (err == nil) != (i < served) {
						t.Fatalf("%d served, place %d: %v", served, i+1, err)
					}
				}
			}
			letIn(t, a, 1)
			time.Sleep(1100 * time.Millisecond)
		}

		last := proof(t, b)
		var file bytes.Buffer
		if err := b.WriteList(t.Context(), eventID, &file); err != nil {
			t.Fatal(err)
		}
		list, hash, err := waitroom.ReadList(&file)
		if err != nil {
			t.Fatal(err)
		}
		own := order[16].visitor.Number(eventID)
		verdict := waitroom.Verify(waitroom.Evidence{
			Proof: last, List: list, ListHash: hash, Earlier: []waitroom.Proof{before, closed}, Own: &own,
		})
		if !verdict.OK() || verdict.Place != 17 {
			t.Errorf("place %d: %+v", verdict.Place, verdict.Checks)
		}
		found, _ := a.Find(eventID, order[16].ticket)
		found, err = a.Prove(t.Context(), eventID, found)
		if err != nil || waitroom.CheckProof(own, found.Index, last.Count, found.Path, *last.Root) != nil {
			t.Errorf("the path does not prove that number 17 drew: %v", err)
		}
	})
}

func proof(t *testing.T, rs *waitroom.Rooms) waitroom.Proof {
	t.Helper()
	p, err := rs.Proof(eventID)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func operate(t *testing.T, rs *waitroom.Rooms, change func(*waitroom.Operator)) {
	t.Helper()
	if err := rs.Operate(t.Context(), eventID, change); err != nil {
		t.Fatal(err)
	}
}

func pause(t *testing.T, rs *waitroom.Rooms, paused bool) {
	t.Helper()
	operate(t, rs, func(o *waitroom.Operator) { o.Paused = paused })
}

func letIn(t *testing.T, rs *waitroom.Rooms, n int64) {
	t.Helper()
	operate(t, rs, func(o *waitroom.Operator) { o.LetIn += n })
}

// A reload, a second tab, a lost answer: the same pass. Another key, another event, a lapsed pass: a clear refusal.
func TestAPass(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a, stop := h.node("a", 0)
		defer stop()
		_, bound := join(t, a, waitroom.NewVisitor())
		_, loose := join(t, a, waitroom.NewVisitor())
		h.until(3 * time.Second)

		pass, text := exchange(t, a, bound, "key-1")
		if again, same := exchange(t, a, bound, "key-1"); again != pass || same != text {
			t.Errorf("a reload got another pass: %+v and %+v", again, pass)
		}
		if again, _ := exchange(t, a, bound, ""); again != pass {
			t.Errorf("a second tab got another pass: %+v", again)
		}
		if _, _, err := a.Exchange(t.Context(), eventID, bound, "key-2"); why(err) != "used" {
			t.Errorf("a second order's pass: %v", err)
		}
		bindings := h.store.Calls("BindPasses")
		for range 3 {
			if got, err := a.Check(t.Context(), eventID, text, "key-1"); err != nil || got != pass {
				t.Errorf("%+v %v", got, err)
			}
		}
		if h.store.Calls("BindPasses") != bindings {
			t.Error("checking a bound pass asked the database")
		}
		for name, try := range map[string][2]string{
			"missing": {"", "key-1"}, "malformed": {bound, "key-1"}, "used": {text, "key-2"}, "forged": {flip(text), "key-1"},
		} {
			if _, err := a.Check(t.Context(), eventID, try[0], try[1]); why(err) != name {
				t.Errorf("%s: %v", name, err)
			}
		}

		_, open := exchange(t, a, loose, "")
		for i, key := range []string{"first", "second", "first"} {
			_, err := a.Check(t.Context(), eventID, open, key)
			if (key == "first") != (err == nil) || (err != nil && why(err) != "used") {
				t.Errorf("use %d: %v", i+1, err)
			}
		}
		if _, err := a.Check(t.Context(), eventID, open, ""); why(err) != "used" {
			t.Errorf("without a key: %v", err)
		}

		time.Sleep(waitroom.PassLife)
		if _, err := a.Check(t.Context(), eventID, text, "key-1"); why(err) != "lapsed" {
			t.Errorf("after its life: %v", err)
		}
		if _, _, err := a.Exchange(t.Context(), eventID, bound, "key-1"); why(err) != "lapsed" {
			t.Errorf("a ticket was exchanged twice: %v", err)
		}
	})
}

// flip changes the last byte of the signature's first half.
func flip(text string) string {
	at := len(text) - 12
	other := byte('A')
	if text[at] == other {
		other = 'B'
	}
	return text[:at] + string(other) + text[at+1:]
}

// A node dies, Redis is wiped, the database goes away: draws, served places and passes are still there, and only the
// entries pause.
func TestNothingIsLost(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a, stopA := h.node("a", 0)
		var tickets []string
		for range 50 {
			_, text := join(t, a, waitroom.NewVisitor())
			tickets = append(tickets, text)
		}
		stopA() // before closing
		b, stopB := h.node("b", 0)
		h.until(-10 * time.Second)
		pause(t, b, true)
		letIn(t, b, 20)
		h.until(3 * time.Second)
		served := first(b.State(eventID)).Served
		var entered []string
		for _, text := range tickets {
			if _, pass, err := b.Exchange(t.Context(), eventID, text, "k"); err == nil {
				entered = append(entered, pass)
			}
		}
		stopB()
		h.board.wipe()

		c, stopC := h.node("c", 0)
		defer stopC()
		time.Sleep(5 * time.Second)
		if got := first(c.State(eventID)).Served; got != served || served != 20 || len(entered) != 20 {
			t.Fatalf("served %d before and %d after the restart, %d entered", served, got, len(entered))
		}
		for _, pass := range entered {
			if _, err := c.Check(t.Context(), eventID, pass, "k"); err != nil {
				t.Errorf("a pass after the restart: %v", err)
			}
		}

		h.store.Interfere(func(string) error { return waitroomtest.ErrOutage })
		letInFails(t, c)
		time.Sleep(10 * time.Second)
		if got := first(c.State(eventID)).Served; got != served {
			t.Errorf("without a database %d are served", got)
		}
		if _, _, err := c.Join(t.Context(), eventID, waitroom.NewVisitor()); why(err) != "overloaded" {
			t.Errorf("without a database: %v", err)
		}
		h.store.Interfere(nil)
		letIn(t, c, 5)
		time.Sleep(5 * time.Second)
		if got := first(c.State(eventID)).Served; got != served+5 {
			t.Errorf("the database is back and %d are served", got)
		}
	})
}

func letInFails(t *testing.T, rs *waitroom.Rooms) {
	t.Helper()
	if err := rs.Operate(t.Context(), eventID, func(o *waitroom.Operator) { o.LetIn++ }); !errors.Is(err, waitroomtest.ErrOutage) {
		t.Errorf("%v", err)
	}
}

// Three nodes whose clocks are five minutes off, Redis gone: one leads at a time, nobody enters early, and a pass lives
// its five minutes on each.
func TestClocksMinutesApart(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		h.board.gone = true
		var nodes []*waitroom.Rooms
		for i, skew := range []time.Duration{5 * time.Minute, -5 * time.Minute, 0} {
			rooms, stop := h.node(fmt.Sprint("node ", i), skew)
			defer stop()
			nodes = append(nodes, rooms)
		}
		_, text := join(t, nodes[0], waitroom.NewVisitor())
		h.until(-1 * time.Second)
		for i, rs := range nodes {
			if state := first(rs.State(eventID)); state.Phase != waitroom.Closed || state.Seed != "" {
				t.Errorf("node %d: a second before opening it is %s", i, state.Phase)
			}
		}
		h.until(12 * time.Second)
		pass, passText := exchange(t, nodes[0], text, "k")
		if life := time.Until(pass.Expires); life < waitroom.PassLife-2*time.Second || life > waitroom.PassLife+time.Second {
			t.Errorf("the pass lives %v", life)
		}
		time.Sleep(waitroom.PassLife - 10*time.Second)
		for i, rs := range nodes {
			if _, err := rs.Check(t.Context(), eventID, passText, "k"); err != nil {
				t.Errorf("node %d before the pass lapses: %v", i, err)
			}
		}
		time.Sleep(20 * time.Second)
		for i, rs := range nodes {
			if _, err := rs.Check(t.Context(), eventID, passText, "k"); why(err) != "lapsed" {
				t.Errorf("node %d after the pass lapsed: %v", i, err)
			}
		}
	})
}

// The leader dies in the middle of the crowd: another takes over within the lease, no place is served twice or skipped,
// and what is served never goes back.
func TestTheLeaderDies(t *testing.T) {
	bubble(t, func(s *waitroom.Settings) { s.Draw = false }, func(t *testing.T, h *house) {
		a, stopA := h.node("a", 0)
		b, stopB := h.node("b", 0)
		defer stopB()
		for range 3000 {
			join(t, a, waitroom.NewVisitor())
		}
		operate(t, a, func(o *waitroom.Operator) { o.Ceiling = 100 })
		h.until(5 * time.Second)
		before := first(b.State(eventID)).Served
		h.store.Interfere(func(method string) error { // a dead node hands nothing over
			if method == "Lease" {
				return waitroomtest.ErrOutage
			}
			return nil
		})
		stopA()
		h.store.Interfere(nil)
		time.Sleep(10 * time.Second)
		after := first(b.State(eventID)).Served
		if before < 300 || before > 510 || after-before < 600 || after-before > 1010 {
			t.Errorf("served %d, and ten seconds after the leader died %d", before, after)
		}
	})
}

// Those who come to a room without a draw enter in the order in which they came.
func TestFirstComeFirstServed(t *testing.T) {
	bubble(t, func(s *waitroom.Settings) { s.Draw = false }, func(t *testing.T, h *house) {
		a, stop := h.node("a", 0)
		defer stop()
		var tickets []string
		for i := range 20 {
			ticket, text := join(t, a, waitroom.NewVisitor())
			if ticket.Kind != waitroom.Late || ticket.Place != int64(i+1) {
				t.Fatalf("arrival %d: %+v", i+1, ticket)
			}
			tickets = append(tickets, text)
		}
		pause(t, a, true)
		letIn(t, a, 7)
		h.until(2 * time.Second)
		for i, text := range tickets {
			if _, _, err := a.Exchange(t.Context(), eventID, text, ""); (err == nil) != (i < 7) {
				t.Errorf("7 are let in, arrival %d: %v", i+1, err)
			}
		}
	})
}

// Arrivals on several nodes keep their order but for those within one gatherer's commit of each other.
// What the engines have shown before opening, in a rehearsal say, is remembered over a restart, and the room begins with it.
func TestARoomBeginsWithWhatTheEnginesHaveShown(t *testing.T) {
	t.Parallel()
	for best, want := range map[float64]float64{0: 1176, 8500: 5000} { // 1,000 and half of it, divided by a share of 0.85
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(t, func(s *waitroom.Settings) { s.Draw = false })
			h.fares.Best = best
			before, stop := h.node("a", 0)
			for range 6000 {
				join(t, before, waitroom.NewVisitor())
			}
			h.until(-time.Minute)
			stop()
			h.fares.Best = 0
			after, stop := h.node("b", 0)
			defer stop()
			h.until(time.Second)
			if s := first(after.State(eventID)); math.Abs(s.Rate-want) > want/30 || s.Delay != 0 {
				t.Errorf("engines that have shown %.0f orders a second: %.1f enter a second after %.1f s, want %.1f", best, s.Rate, s.Delay, want)
			}
		})
	}
}

// A room closes its list and opens when it said, not at the next of the leader's steps, and lets the first in at once.
func TestARoomOpensAtItsMoment(t *testing.T) {
	t.Parallel()
	for name, draw := range map[string]bool{"with a draw": true, "without": false} {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(t, func(s *waitroom.Settings) {
				s.Draw, s.Lead = draw, 10*time.Second
				s.OpensAt = s.OpensAt.Add(123 * time.Millisecond) // steps are 500 ms apart
			})
			rooms, stop := h.node("a", 0)
			defer stop()
			moments := map[time.Duration]string{-2 * time.Millisecond: "before", 3 * time.Millisecond: "open", 700 * time.Millisecond: "open"}
			if draw {
				moments[-2*time.Millisecond] = "closed"
				moments[-10*time.Second-2*time.Millisecond], moments[-10*time.Second+3*time.Millisecond] = "before", "closed"
			}
			for _, at := range slices.Sorted(maps.Keys(moments)) {
				h.until(at)
				if s := first(rooms.State(eventID)); string(s.Phase) != moments[at] {
					t.Errorf("%s, %s from opening: %s, want %s", name, at, s.Phase, moments[at])
				}
			}
			if s := first(rooms.State(eventID)); s.Served < 400 {
				t.Errorf("%s: %d are served 0.7 s after opening", name, s.Served)
			}
		})
	}
}

// While a crowd arrives nobody enters, and pages are told that it takes a while yet.
func TestNobodyEntersWhileTheCrowdArrives(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, func(s *waitroom.Settings) { s.Draw = false })
		h.fares.Best = 8500
		rooms, stop := h.node("a", 0)
		defer stop()
		h.until(1250 * time.Millisecond) // between two steps of the leader
		served := first(rooms.State(eventID)).Served
		for range 6 {
			for range 2000 {
				join(t, rooms, waitroom.NewVisitor())
			}
			time.Sleep(500 * time.Millisecond)
		}
		s := first(rooms.State(eventID))
		if s.Served != served || s.Delay < 1 || s.Delay > 2 || s.Estimate == nil || *s.Estimate < int64(s.Delay)+(s.Late-s.Served)/int64(s.Rate) {
			t.Errorf("while 12,000 arrive: %+v, %d were served ahead of them", s, served)
		}
		time.Sleep(2 * time.Second)
		if s := first(rooms.State(eventID)); s.Served < 5000 || s.Delay != 0 {
			t.Errorf("afterwards: %+v", s)
		}
	})
}

func TestLateOrderOverSeveralNodes(t *testing.T) {
	bubble(t, func(s *waitroom.Settings) { s.Draw = false }, func(t *testing.T, h *house) {
		const commit = 30 * time.Millisecond
		h.store.Interfere(func(method string) error {
			if method == "TakePlaces" {
				time.Sleep(commit)
			}
			return nil
		})
		var nodes []*waitroom.Rooms
		for i := range 3 {
			rooms, stop := h.node(fmt.Sprint("node ", i), 0)
			defer stop()
			nodes = append(nodes, rooms)
		}
		const n = 600
		places := make([]int64, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				ticket, _, err := nodes[(i*7)%3].Join(t.Context(), eventID, waitroom.NewVisitor())
				if err != nil {
					t.Error(err)
				}
				places[i] = ticket.Place
			})
			time.Sleep(time.Millisecond)
		}
		wg.Wait()
		for i := range places {
			for j := i + 1; j < n; j++ {
				if places[i] > places[j] && time.Duration(j-i)*time.Millisecond > 2*commit {
					t.Fatalf("arrivals %d and %d, %d ms apart, changed places: %d and %d", i, j, j-i, places[i], places[j])
				}
			}
		}
		slices.Sort(places)
		for i, place := range places {
			if place != int64(i+1) {
				t.Fatalf("place %d is %d", i+1, place)
			}
		}
	})
}

// A crowd is kept in few transactions.
func TestDrawsAreGathered(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		h.store.Interfere(func(method string) error {
			if method == "SaveDraws" {
				time.Sleep(20 * time.Millisecond)
			}
			return nil
		})
		a, stop := h.node("a", 0)
		defer stop()
		const n = 20_000
		began := time.Now()
		var wg sync.WaitGroup
		for range n {
			wg.Go(func() {
				if _, _, err := a.Join(t.Context(), eventID, waitroom.NewVisitor()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if calls := h.store.Calls("SaveDraws"); calls > n/2000+3 {
			t.Errorf("%d draws took %d transactions", n, calls)
		}
		if took := time.Since(began); took > 400*time.Millisecond {
			t.Errorf("%d draws took %v with commits of 20 ms", n, took)
		}
	})
}

func TestInvitedGroups(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a, stop := h.node("a", 0)
		defer stop()
		pause(t, a, true)
		elite, err := a.Invite(eventID, waitroom.NewVisitor(), 1)
		if err != nil {
			t.Fatal(err)
		}
		press, err := a.Invite(eventID, waitroom.NewVisitor(), 2)
		if err != nil {
			t.Fatal(err)
		}
		operate(t, a, func(o *waitroom.Operator) { o.Groups = []int64{1} })
		h.until(-time.Second)
		if _, _, err := a.Exchange(t.Context(), eventID, elite, ""); why(err) != "not_yet" {
			t.Errorf("an invited group before opening: %v", err)
		}
		h.until(2 * time.Second)
		exchange(t, a, elite, "")
		if _, _, err := a.Exchange(t.Context(), eventID, press, ""); why(err) != "not_yet" {
			t.Errorf("a group that was not let in: %v", err)
		}
	})
}

func TestSoldOutAndHeld(t *testing.T) {
	bubble(t, func(s *waitroom.Settings) { s.Draw = false }, func(t *testing.T, h *house) {
		a, stop := h.node("a", 0)
		defer stop()
		var tickets []string
		for range 2000 {
			_, text := join(t, a, waitroom.NewVisitor())
			tickets = append(tickets, text)
		}
		operate(t, a, func(o *waitroom.Operator) { o.Ceiling = 10 })
		h.until(10 * time.Second)
		h.stock.Store(waitroom.Held)
		time.Sleep(2 * time.Second)
		held := first(a.State(eventID))
		time.Sleep(10 * time.Second)
		if later := first(a.State(eventID)); later.Stock != waitroom.Held || later.Served != held.Served {
			t.Errorf("places are held and %d entered: %+v", later.Served-held.Served, later)
		}
		h.stock.Store(waitroom.InStock)
		time.Sleep(10 * time.Second)
		if later := first(a.State(eventID)); later.Served < held.Served+80 {
			t.Errorf("holds returned and %d entered", later.Served-held.Served)
		}
		h.stock.Store(waitroom.SoldOut)
		time.Sleep(2 * time.Second)
		if _, _, err := a.Exchange(t.Context(), eventID, tickets[0], ""); why(err) != "sold_out" {
			t.Errorf("%v", err)
		}
		if _, _, err := a.Join(t.Context(), eventID, waitroom.NewVisitor()); why(err) != "sold_out" {
			t.Errorf("%v", err)
		}
	})
}

// A list that was changed in the database after its hash was published opens nothing.
func TestATamperedListOpensNothing(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a, stopA := h.node("a", 0)
		_, text := join(t, a, waitroom.NewVisitor())
		h.until(-30 * time.Second)
		stopA()
		h.store.Slip(eventID, waitroom.NewVisitor().Number(eventID))
		b, stopB := h.node("b", 0)
		defer stopB()
		h.until(time.Minute)
		if state := first(b.State(eventID)); state.Seed != "" || state.Threshold != "" {
			t.Errorf("opened with a number that was slipped in: %+v", state)
		}
		if _, _, err := b.Exchange(t.Context(), eventID, text, ""); err == nil {
			t.Error("somebody entered")
		}
	})
}

// The program was down when the list should have closed, or cannot hash it: registration opens late rather than before
// the list's hash has stood for a while.
func TestTheHashStandsBeforeTheSeed(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a, stopA := h.node("a", 0)
		join(t, a, waitroom.NewVisitor())
		stopA()
		h.until(time.Minute)
		h.store.Interfere(func(method string) error {
			if method == "Numbers" {
				return waitroomtest.ErrOutage
			}
			return nil
		})
		b, stopB := h.node("b", 0)
		defer stopB()
		time.Sleep(20 * time.Second)
		if p := proof(t, b); p.Root != nil || p.Seed != "" || first(b.State(eventID)).Phase != waitroom.Closed {
			t.Fatalf("without a hash: %+v", p)
		}
		h.store.Interfere(nil)
		time.Sleep(waitroom.MinimumGap - time.Second)
		if p := proof(t, b); p.Root == nil || p.Seed != "" {
			t.Fatalf("the hash does not stand alone: %+v", p)
		}
		time.Sleep(3 * time.Second)
		if p := proof(t, b); p.Seed == "" || p.RevealedAt.Sub(*p.ClosedAt) < waitroom.MinimumGap {
			t.Fatalf("the seed was not revealed, or too early: %+v", p)
		}
	})
}

// What was accepted before a stop is kept and answered; what comes afterwards is refused and not left waiting.
func TestStopAnswersWhatWasAccepted(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a, stop := h.node("a", 0)
		time.Sleep(100 * time.Millisecond)
		h.store.Interfere(func(method string) error {
			if method == "SaveDraws" {
				time.Sleep(100 * time.Millisecond)
			}
			return nil
		})
		var wg sync.WaitGroup
		var kept atomic.Int64
		for range 5000 { // several batches
			wg.Go(func() {
				if _, _, err := a.Join(context.Background(), eventID, waitroom.NewVisitor()); err == nil {
					kept.Add(1)
				}
			})
		}
		time.Sleep(50 * time.Millisecond)
		stop()
		wg.Wait()
		r, _, err := h.store.Load(t.Context(), eventID)
		if err != nil || kept.Load() != 5000 || r.Drawn != 5000 {
			t.Errorf("%d of 5000 were answered, %d are kept: %v", kept.Load(), r.Drawn, err)
		}
		if _, _, err := a.Join(t.Context(), eventID, waitroom.NewVisitor()); why(err) != "overloaded" {
			t.Errorf("after the stop: %v", err)
		}
	})
}

// A ticket that is signed but not in the published list, as a stolen key could make one, has no turn.
func TestASignatureAloneIsNoDraw(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a, stop := h.node("a", 0)
		defer stop()
		join(t, a, waitroom.NewVisitor())
		signer, err := waitroom.NewSigner(waitroom.Key{ID: 1, Secret: []byte("a secret of the waiting room")})
		if err != nil {
			t.Fatal(err)
		}
		made := signer.Ticket(waitroom.Ticket{Kind: waitroom.Drawn, EventID: eventID, Visitor: waitroom.NewVisitor()})
		h.until(3 * time.Second)
		if _, _, err := a.Exchange(t.Context(), eventID, made, ""); why(err) != "not_drawn" {
			t.Errorf("%v", err)
		}
	})
}

// Polling touches neither the database nor the board.
func TestPollsCostNothing(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house) {
		a, stop := h.node("a", 0)
		defer stop()
		_, text := join(t, a, waitroom.NewVisitor())
		h.until(3 * time.Second)
		h.store.Interfere(func(method string) error {
			t.Errorf("a poll called %s", method)
			return nil
		})
		for range 1000 {
			page, err := a.Page(eventID)
			if err != nil || len(page.Body) == 0 || !strings.HasPrefix(page.ETag, `"`) {
				t.Fatal(err)
			}
			if _, err := a.Find(eventID, text); err != nil {
				t.Fatal(err)
			}
		}
		h.store.Interfere(nil)
	})
}

func TestUnknownRoom(t *testing.T) {
	t.Parallel()
	rooms := waitroom.New(waitroom.Config{}, nil)
	if _, err := rooms.Page(1); why(err) != "not_found" {
		t.Errorf("%v", err)
	}
	if _, _, err := rooms.Join(t.Context(), 1, waitroom.NewVisitor()); why(err) != "not_found" {
		t.Errorf("%v", err)
	}
}

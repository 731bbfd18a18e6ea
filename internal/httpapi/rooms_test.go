package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"gapura/internal/clock"
	"gapura/internal/fault"
	"gapura/internal/lifecycle"
	"gapura/internal/waitroom"
	"gapura/internal/waitroom/waitroomtest"
)

// hall is the waiting rooms of the desk's one event, over a store that counts.
type hall struct {
	*waitroom.Rooms

	slug   string
	store  *waitroomtest.Store
	signer *waitroom.Signer
}

func (l *hall) Room(slug string) (int64, bool) { return 1, slug == l.slug }

func (l *hall) Visitor(eventID int64, key string) waitroom.Visitor {
	return waitroom.PersonVisitor([]byte("a secret of the visitors"), eventID, key)
}

// withRoom gives the fixture's event a waiting room that opened, first come, first served.
func (f *fixture) withRoom(t testing.TB, change ...func(*waitroom.Settings)) *hall {
	t.Helper()
	signer, err := waitroom.NewSigner(waitroom.Key{ID: 1, Secret: []byte("a secret of the waiting room")})
	if err != nil {
		t.Fatal(err)
	}
	e := *f.desk.live.Event
	e.WaitingRoom.Enabled = true
	f.desk.live.Event = &e
	l := &hall{slug: e.Slug, store: waitroomtest.NewStore(clock.System{}), signer: signer}
	group := lifecycle.NewGroup(context.Background())
	t.Cleanup(func() {
		if err := group.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	l.Rooms = waitroom.New(waitroom.Config{
		Store: l.store, Signer: signer, Persons: []byte("a secret of the persons"), Clock: clock.System{}, Node: "a", Tuning: waitroom.DefaultTuning(),
		Log: f.api.cfg.Log, Sample: func() waitroom.Sample { return waitroom.Sample{} },
		Left: func(int64) (waitroom.Stock, int64) { return waitroom.InStock, -1 },
	}, group)
	set := waitroom.Settings{EventID: 1, Slug: e.Slug, OpensAt: time.Now().Add(-time.Minute)}
	for _, edit := range change {
		edit(&set)
	}
	if err := l.Open(t.Context(), set); err != nil {
		t.Fatal(err)
	}
	config := f.api.cfg
	config.Queue = l
	f.api = New(config)
	return l
}

const queuePath = "/api/v1/events/night-run/queue"

// Everyone who waits polls: it makes no copy and asks neither the database nor, without a board, anything else.
func TestPollsAreAnsweredFromPreparedBytes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	l := f.withRoom(t)
	lookUps := f.desk.lookUps.Load()
	var calls int
	l.store.Interfere(func(string) error { calls++; return nil })
	first := f.ask("GET", queuePath, "")
	var s waitroom.State
	if err := json.Unmarshal(first.Body.Bytes(), &s); err != nil || first.Code != 200 || s.Event != l.slug || s.PollAfter < 1 {
		t.Fatalf("%d %s", first.Code, first.Body)
	}
	if got := first.Header().Get("Cache-Control"); got != "public, max-age=1" {
		t.Errorf("Cache-Control %q", got)
	}
	before := calls // what the room itself did twice a second since then
	begin := time.Now()
	for range 1000 {
		f.ask("GET", queuePath, "")
	}
	took := time.Since(begin)
	if own := 3 * int(took/(500*time.Millisecond)+1); calls-before > own {
		t.Errorf("1000 polls made %d calls to the store; the room's own are at most %d", calls-before, own)
	}
	if n := f.desk.lookUps.Load() - lookUps; n > 0 {
		t.Errorf("polls looked %d events up", n)
	}
	l.store.Interfere(nil)
	if w := f.ask("GET", queuePath, "", "If-None-Match", f.ask("GET", queuePath, "").Header().Get("ETag")); w.Code != http.StatusNotModified && w.Code != 200 {
		t.Errorf("with a known tag: %d", w.Code)
	}
}

func (f *fixture) reason(t *testing.T, pass string) string {
	t.Helper()
	w := f.ask("POST", ordersPath, goodOrder, "Content-Type", "application/json", "Idempotency-Key", "another-key", "Queue-Pass", pass)
	var problem struct{ Code, Reason, Tickets, Detail string }
	if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil || w.Code != http.StatusForbidden || problem.Code != "queue_pass_required" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if problem.Tickets != "https://daftar.example.id"+queuePath+"/tickets" || problem.Detail == "" {
		t.Errorf("the problem says neither what nor where: %s", w.Body)
	}
	return problem.Reason
}

// An order needs a pass, and every pass that is none says why.
func TestAnOrderNeedsAPass(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	l := f.withRoom(t)
	pass := func(p waitroom.Pass) string {
		if p.EventID == 0 {
			p.EventID = 1
		}
		if p.Expires.IsZero() {
			p.Expires = time.Now().Add(time.Minute)
		}
		return l.signer.Pass(p)
	}
	mine := waitroom.HashKey("my-key")
	stranger, err := waitroom.NewSigner(waitroom.Key{ID: 1, Secret: []byte("the secret of somebody else")})
	if err != nil {
		t.Fatal(err)
	}
	good := pass(waitroom.Pass{Key: mine})
	for reason, sent := range map[string]string{
		"missing": "", "malformed": good[:40], "forged": stranger.Pass(waitroom.Pass{EventID: 1, Expires: time.Now().Add(time.Minute), Key: mine}),
		"foreign": pass(waitroom.Pass{EventID: 2, Key: mine}), "lapsed": pass(waitroom.Pass{Key: mine, Expires: time.Now().Add(-time.Second)}),
		"used": good,
	} {
		if got := f.reason(t, sent); got != reason {
			t.Errorf("%s: %s", reason, got)
		}
	}
	if w := f.ask("POST", ordersPath, goodOrder, "Content-Type", "application/json", "Idempotency-Key", "my-key", "Queue-Pass", good); w.Code != http.StatusCreated {
		t.Fatalf("with a pass: %d %s", w.Code, w.Body)
	}
	if w := f.post("my-key", goodOrder); w.Code != http.StatusCreated || w.Header().Get("Idempotent-Replayed") != "true" {
		t.Errorf("a repeat without a pass: %d %s", w.Code, w.Body)
	}
	if w := f.post("", goodOrder); !strings.Contains(w.Body.String(), string(fault.KeyMissing)) {
		t.Errorf("without a key: %s", w.Body)
	}
}

// A ticket is drawn once for a key, and exchanged once.
func TestTicketsAndPasses(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.withRoom(t)
	draw := func(key string) TicketView {
		w := f.ask("POST", queuePath+"/tickets", `{}`, "Content-Type", "application/json", "Idempotency-Key", key)
		var v TicketView
		if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil || w.Code != http.StatusCreated || v.Number == "" {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		return v
	}
	first, again, other := draw("browser"), draw("browser"), draw("another")
	if first.Number != again.Number || first.Number == other.Number {
		t.Errorf("numbers %s, %s and %s", first.Number, again.Number, other.Number)
	}
	exchange := func(ticket, key string) (int, PassView, string) {
		body, err := json.Marshal(PassRequest{Ticket: ticket, Key: key})
		if err != nil {
			t.Fatal(err)
		}
		w := f.ask("POST", queuePath+"/passes", string(body), "Content-Type", "application/json")
		var v PassView
		_ = json.Unmarshal(w.Body.Bytes(), &v) // a problem has none of its members
		return w.Code, v, w.Body.String()
	}
	var pass PassView
	for until := time.Now().Add(10 * time.Second); pass.Pass == "" && time.Now().Before(until); <-time.After(10 * time.Millisecond) {
		_, pass, _ = exchange(first.Ticket, "order-1")
	}
	if !pass.Bound || pass.ExpiresAt.Before(time.Now()) {
		t.Fatalf("%+v", pass)
	}
	if _, second, _ := exchange(again.Ticket, "order-1"); second.Pass != pass.Pass {
		t.Error("the second tab got another pass")
	}
	for body, want := range map[string]string{
		`{"ticket":"` + first.Ticket + `","idempotency_key":"order-2"}`: `"used"`,
		`{"ticket":"` + first.Ticket[:30] + `"}`:                        `"malformed"`,
		`{"ticket":5}`:                                                  `"wrong_type"`,
		`{`:                                                             `"bad_json"`,
		`{"ticket":"` + strings.Repeat("x", maxPassBody) + `"}`: `"too_large"`,
		`{"ticket":"x","idempotency_key":"a b"}`:                `"idempotency_key_missing"`,
	} {
		w := f.ask("POST", queuePath+"/passes", body, "Content-Type", "application/json")
		if w.Code < 400 || w.Code >= 500 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%.40s: %d %s, want %s", body, w.Code, w.Body, want)
		}
	}
}

// The list is there once it is closed, and never changes.
func TestTheListOfADraw(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.withRoom(t)
	if w := f.ask("GET", queuePath+"/list", ""); w.Code != http.StatusNotFound {
		t.Errorf("a list of a room without a draw: %d", w.Code)
	}
	if w := f.ask("GET", queuePath+"/proof", ""); w.Code != 200 || !strings.Contains(w.Body.String(), `"commitment"`) {
		t.Errorf("proof: %d %s", w.Code, w.Body)
	}
	if w := f.ask("GET", "/api/v1/events/no-such/queue", ""); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "no_such_event") {
		t.Errorf("an unknown event: %d %s", w.Code, w.Body)
	}
}

var _ Queue = (*hall)(nil)

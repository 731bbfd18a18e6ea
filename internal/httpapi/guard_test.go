package httpapi

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"gapura/internal/calm"
	"gapura/internal/captcha"
	"gapura/internal/fault"
	"gapura/internal/gate"
	"gapura/internal/ratelimit"
	"gapura/internal/waitroom"
)

// puzzles makes captchas that need no work: the answer is the challenge.
type puzzles struct{}

func (puzzles) Challenge(action, host string) (ChallengeView, error) {
	return ChallengeView{Algorithm: "SHA-256", Challenge: action + "@" + host, MaxNumber: 1}, nil
}

// solved accepts answers of the form action@host#number.
type solved struct{ f *fixture }

func (s solved) Verify(_ context.Context, a captcha.Answer) (captcha.Solution, error) {
	rest, _, ok := strings.Cut(a.Token, "#")
	action, host, ok2 := strings.Cut(rest, "@")
	if !ok || !ok2 {
		return captcha.Solution{}, captcha.ErrInvalid
	}
	return captcha.Solution{ID: a.Token, Action: action, Host: host, Expires: s.f.clock.Now().Add(10 * 60e9)}, nil
}

// counts is a meter of a gate.
type counts struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counts) Limited(policy, outcome string) { c.add(policy + " " + outcome) }
func (c *counts) Captcha(action, outcome string) { c.add(action + " " + outcome) }
func (c *counts) add(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[what]++
}

// guarded is a fixture behind a gate that trusts proxies in 10.0.0.0/8.
func guarded(t testing.TB, mode gate.Mode, withCaptcha bool) (*fixture, *counts) {
	t.Helper()
	f := newFixture(t)
	proxies, err := ratelimit.ParseProxies("10.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	meter := &counts{}
	cfg := gate.Config{
		Mode: mode, Limiter: ratelimit.NewLimiter(ratelimit.NewLocal(1<<16), nil, f.clock), Proxies: proxies, Meter: meter,
	}
	if withCaptcha {
		cfg.Captcha = captcha.NewDesk(solved{f}, captcha.NewLocalSpent(f.clock, 10*60e9, 1000), f.clock, captcha.Refuse, 1e9)
	}
	f.api.cfg.Gate, f.api.cfg.Challenger = gate.New(cfg), puzzles{}
	return f, meter
}

func (f *fixture) from(peer, key, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, ordersPath, strings.NewReader(body))
	r.RemoteAddr = peer
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", key)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	f.api.ServeHTTP(w, r)
	return w
}

// body is an order of somebody with that captcha.
func body(who, answer string) string {
	return fmt.Sprintf(`{"contact":{"name":"Siti","email":%q,"phone":"0812-3456-789"},"participants":[],"captcha":%q}`, who, answer)
}

func problem(t testing.TB, w *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	var p map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	return p
}

func limitedBy(t testing.TB, w *httptest.ResponseRecorder, policy string) {
	t.Helper()
	p, h := problem(t, w), w.Header()
	if w.Code != http.StatusTooManyRequests || p["code"] != "rate_limited" || fmt.Sprint(p["violated-policies"]) != "["+policy+"]" {
		t.Fatalf("%d %s, want rate_limited by %s", w.Code, w.Body, policy)
	}
	if !strings.HasPrefix(h.Get("RateLimit"), `"`+policy+`";r=0;t=`) || !strings.HasPrefix(h.Get("RateLimit-Policy"), `"`+policy+`";q=`) {
		t.Errorf("headers %v", h)
	}
	var after, reset int
	if _, err := fmt.Sscan(h.Get("Retry-After"), &after); err != nil || after < 1 {
		t.Errorf("Retry-After %q", h.Get("Retry-After"))
	}
	_, text, _ := strings.Cut(h.Get("RateLimit"), ";t=")
	if _, err := fmt.Sscan(text, &reset); err != nil || after < reset {
		t.Errorf("Retry-After %d is before t=%d", after, reset)
	}
}

func TestAKeyThatHammersIsLimitedAndOthersAreNot(t *testing.T) {
	t.Parallel()
	f, meter := guarded(t, gate.On, false)
	for i := range 30 {
		w := f.from("203.0.113.1:1", "hammering-key-0123456789", body(fmt.Sprint(i, "@example.id"), ""))
		if w.Code != 201 {
			t.Fatalf("request %d: %d %s", i, w.Code, w.Body)
		}
		if told := w.Header().Get("RateLimit") != ""; told != (i >= 15-1) {
			t.Errorf("request %d: told how it stands: %t", i, told)
		}
	}
	limitedBy(t, f.from("203.0.113.1:1", "hammering-key-0123456789", body("a@example.id", "")), "orders-ticket")
	if w := f.from("203.0.113.1:1", "another-key-0123456789", body("b@example.id", "")); w.Code != 201 {
		t.Errorf("another key from the same address: %d", w.Code)
	}
	f.clock.Advance(2e9)
	if w := f.from("203.0.113.1:1", "hammering-key-0123456789", body("a@example.id", "")); w.Code != 201 {
		t.Errorf("after two seconds: %d", w.Code)
	}
	if meter.n["orders-ticket refused"] != 1 {
		t.Errorf("counted %v", meter.n)
	}
}

func TestAPersonIsLimitedUnderEveryKeyAndSpelling(t *testing.T) {
	t.Parallel()
	f, _ := guarded(t, gate.On, false)
	for i := range 30 {
		who := "Siti@Example.id"
		if i%2 == 0 {
			who = " siti@example.id"
		}
		if w := f.from(fmt.Sprintf("203.0.113.%d:1", i), fmt.Sprint("key-of-siti-0123456789-", i), body(who, "")); w.Code != 201 {
			t.Fatalf("request %d: %d %s", i, w.Code, w.Body)
		}
	}
	limitedBy(t, f.from("198.51.100.1:1", "key-of-siti-0123456789-x", body("siti@example.id", "")), "orders-person")
}

// crowd sends n orders of different people from the addresses that from makes and returns how many were accepted.
func crowd(f *fixture, n int, from func(i int) (peer string, header []string)) (accepted int, last *httptest.ResponseRecorder) {
	for i := range n {
		peer, header := from(i)
		last = f.from(peer, fmt.Sprint("crowd-key-0123456789-", i), body(fmt.Sprint(i, "@example.id"), ""), header...)
		if last.Code == 201 {
			accepted++
		}
	}
	return accepted, last
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	forwarded := func(lines ...string) []string {
		var header []string
		for _, l := range lines {
			header = append(header, "X-Forwarded-For", l)
		}
		return header
	}
	for _, test := range []struct {
		name string
		n    int
		from func(i int) (string, []string)
		want int
	}{
		{"a carrier's address carries thousands", 3050, func(int) (string, []string) { return "203.0.113.7:1", nil }, 3000},
		{"an IPv6 /64 is one household", 350, func(i int) (string, []string) { return fmt.Sprintf("[2001:db8:1:2::%x]:1", i+1), nil }, 300},
		{"many /64 are many", 350, func(i int) (string, []string) { return fmt.Sprintf("[2001:db8:1:%x::1]:1", i), nil }, 350},
		{"a spoofed header from a stranger changes nothing", 3050, func(i int) (string, []string) {
			return "203.0.113.8:1", forwarded(fmt.Sprintf("198.51.100.%d", i%250))
		}, 3000},
		{"what a client wrote before the proxy's own entry changes nothing", 3050, func(i int) (string, []string) {
			return "10.0.0.1:1", forwarded(fmt.Sprintf("198.51.%d.%d, 203.0.113.9", i/250, i%250))
		}, 3000},
		{"nor does a line of its own, nor pretending to be a proxy", 3050, func(i int) (string, []string) {
			return "10.0.0.1:1", forwarded(fmt.Sprintf("127.0.0.1, 198.51.%d.%d", i/250, i%250), "203.0.113.9, 10.0.0.2")
		}, 3000},
		{"clients behind a trusted proxy are told apart", 3050, func(i int) (string, []string) {
			return "10.0.0.1:1", forwarded(fmt.Sprintf("198.51.%d.%d", i/250, i%250))
		}, 3050},
		{"this machine is not limited", 3050, func(int) (string, []string) { return "127.0.0.1:1", nil }, 3050},
		{"a client that a proxy calls loopback is", 3050, func(int) (string, []string) {
			return "10.0.0.1:1", forwarded("127.0.0.1")
		}, 3000},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f, _ := guarded(t, gate.On, false)
			accepted, last := crowd(f, test.n, test.from)
			if accepted != test.want {
				t.Fatalf("%d of %d accepted, want %d", accepted, test.n, test.want)
			}
			if test.want < test.n {
				limitedBy(t, last, "orders")
			}
		})
	}
}

func TestShadowModeOnlyCounts(t *testing.T) {
	t.Parallel()
	f, meter := guarded(t, gate.Shadow, false)
	for i := range 40 {
		if w := f.from("203.0.113.1:1", "hammering-key-0123456789", body("a@example.id", "")); w.Code != 201 {
			t.Fatalf("request %d: %d %s", i, w.Code, w.Body)
		}
	}
	if meter.n["orders-ticket shadow"] != 10 || meter.n["orders-person shadow"] != 10 || len(meter.n) != 2 {
		t.Errorf("counted %v", meter.n)
	}
	off, meter := guarded(t, gate.Off, false)
	for range 40 {
		if w := off.from("203.0.113.1:1", "hammering-key-0123456789", body("a@example.id", "")); w.Code != 201 {
			t.Fatalf("switched off: %d", w.Code)
		}
	}
	if len(meter.n) != 0 {
		t.Errorf("switched off, it counted %v", meter.n)
	}
}

func refusedFor(t testing.TB, w *httptest.ResponseRecorder, reason string) {
	t.Helper()
	p := problem(t, w)
	if w.Code != 403 || p["code"] != "captcha_failed" || p["reason"] != reason || p["challenge"] != "/api/v1/captcha/challenge?action=register" {
		t.Fatalf("%d %s, want captcha_failed for %s", w.Code, w.Body, reason)
	}
}

func TestAnOrderNeedsACaptchaOfItsOwn(t *testing.T) {
	t.Parallel()
	f, meter := guarded(t, gate.On, true)
	var c ChallengeView
	if err := json.Unmarshal(f.ask("GET", "/api/v1/captcha/challenge", "").Body.Bytes(), &c); err != nil || c.Challenge != "register@example.com" {
		t.Fatalf("%+v %v", c, err)
	}
	post := func(key, answer string) *httptest.ResponseRecorder {
		return f.from("203.0.113.1:1", "captcha-key-0123456789-"+key, body(key+"@example.id", answer))
	}
	refusedFor(t, post("a", ""), "missing")
	refusedFor(t, post("a", "nonsense"), "invalid")
	refusedFor(t, post("a", "draw@example.com#1"), "other_action")
	refusedFor(t, post("a", "register@evil.example#1"), "other_host")
	if len(f.desk.byKey) != 0 {
		t.Fatal("a refused captcha bound the key")
	}
	first := post("a", c.Challenge+"#1")
	if first.Code != 201 {
		t.Fatalf("%d %s", first.Code, first.Body)
	}
	refusedFor(t, post("b", c.Challenge+"#1"), "used")
	for _, answer := range []string{c.Challenge + "#1", "", "nonsense"} { // the same request again, whatever has become of its captcha
		if again := post("a", answer); again.Code != 201 || again.Header().Get("Idempotent-Replayed") != "true" || !bytes.Equal(again.Body.Bytes(), first.Body.Bytes()) {
			t.Errorf("a repeat with captcha %q: %d %s", answer, again.Code, again.Body)
		}
	}
	if w := post("b", c.Challenge+"#2"); w.Code != 201 {
		t.Errorf("a fresh one: %d %s", w.Code, w.Body)
	}
	if meter.n["register ok"] != 3 || meter.n["register used"] != 1 || meter.n["register missing"] != 2 {
		t.Errorf("counted %v", meter.n)
	}
}

// A refusal of the desk uses the captcha up for every other key, but not for a repeat of the same request.
func TestARepeatAfterOverloadedBringsTheSameCaptcha(t *testing.T) {
	t.Parallel()
	f, _ := guarded(t, gate.On, true)
	f.desk.refusal = fault.New(fault.Overloaded)
	const answer = "register@example.com#1"
	if w := f.from("203.0.113.1:1", "patient-key-0123456789", body("a@example.id", answer)); w.Code != 503 {
		t.Fatalf("%d", w.Code)
	}
	f.desk.mu.Lock()
	f.desk.refusal = nil
	f.desk.mu.Unlock()
	refusedFor(t, f.from("203.0.113.1:1", "other-key-0123456789", body("a@example.id", answer)), "used")
	if w := f.from("203.0.113.1:1", "patient-key-0123456789", body("a@example.id", answer)); w.Code != 201 {
		t.Errorf("the repeat: %d %s", w.Code, w.Body)
	}
}

// Bots without captchas behind a shared address leave a third of its quota to those who solve them.
func TestBotsLeaveRoomForThoseWhoSolveCaptchas(t *testing.T) {
	t.Parallel()
	f, meter := guarded(t, gate.On, true)
	bots := func(int) (string, []string) { return "203.0.113.7:1", nil }
	if accepted, _ := crowd(f, 4000, bots); accepted != 0 {
		t.Fatalf("%d bots were accepted", accepted)
	}
	for i := range 1000 {
		who := fmt.Sprint("real-key-0123456789-", i)
		if w := f.from("203.0.113.7:2", who, body(who+"@example.id", fmt.Sprint("register@example.com#", i))); w.Code != 201 {
			t.Fatalf("real visitor %d: %d %s", i, w.Code, w.Body)
		}
	}
	limitedBy(t, f.from("203.0.113.7:2", "late-key-0123456789", body("late@example.id", "register@example.com#late")), "orders")
	if meter.n["orders challenged"] < 2000 {
		t.Errorf("counted %v", meter.n)
	}
}

func TestOtherCallsAreCounted(t *testing.T) {
	t.Parallel()
	f, _ := guarded(t, gate.On, false)
	o := f.anOrder(t, "an-order-0123456789-0123")
	token := f.desk.Token(o.ID)
	at := "/api/v1/orders/" + o.ID.String()
	for _, call := range []struct {
		method, path, token, policy string
		quota                       int
	}{
		{"GET", at, token, "reads-ticket", 120},
		{"POST", at + "/payments", token, "payments-ticket", 12},
		{"POST", at + "/cancel", token, "cancels-ticket", 12},
		{"HEAD", at + "/stream", token, "streams-ticket", 30},
		{"GET", "/api/v1/orders/by-key/asked-for-0123456789-0123", "", "reads-ticket", 120},
		{"POST", at + "/payments", "wrong", "payments", 1200 - 12}, // the address was counted above too
	} {
		var w *httptest.ResponseRecorder
		for i := range call.quota + 1 {
			w = f.ask(call.method, call.path, "", "Authorization", "Bearer "+call.token)
			if i < call.quota && w.Code == http.StatusTooManyRequests {
				t.Fatalf("%s %s: refused after %d", call.method, call.path, i)
			}
		}
		if call.method != "HEAD" {
			limitedBy(t, w, call.policy)
		} else if w.Code != http.StatusTooManyRequests {
			t.Errorf("%s %s: %d", call.method, call.path, w.Code)
		}
	}
	if w := f.ask("GET", "/api/v1/captcha/challenge?action=other", ""); w.Code != 404 {
		t.Errorf("a captcha for nothing: %d", w.Code)
	}
}

// What matters least is refused first: with a door of ten, eight orders inside keep reads out, and webhooks still come in.
func TestTheDoorShedsTheLeastFirst(t *testing.T) {
	t.Parallel()
	f, _ := guarded(t, gate.On, false)
	o := f.anOrder(t, "an-order-0123456789-0123")
	door := calm.NewGate(calm.Limits{All: 10, Read: 4, Export: 1})
	f.api.cfg.Calm = door
	for range 8 {
		if !door.Enter(calm.Hold) {
			t.Fatal("an order was kept out too early")
		}
	}
	read := func() int {
		return f.ask("GET", "/api/v1/orders/"+o.ID.String(), "", "Authorization", "Bearer "+f.desk.Token(o.ID)).Code
	}
	order := func(header ...string) *httptest.ResponseRecorder {
		return f.from("203.0.113.1:1", "door-key-0123456789", body("a@example.id", ""), header...)
	}
	w := order()
	if p := problem(t, w); w.Code != 503 || p["code"] != "overloaded" || w.Header().Get("Retry-After") == "" {
		t.Errorf("an order: %d %s", w.Code, w.Body)
	}
	if got := read(); got != 503 {
		t.Errorf("a read: %d", got)
	}
	if w := order("Queue-Pass", "x"); w.Code != 201 {
		t.Errorf("an order with a pass: %d", w.Code)
	}
	if w := f.ask("POST", "/webhooks/midtrans", "{}"); w.Code != 200 {
		t.Errorf("a webhook: %d", w.Code)
	}
	if w := f.ask("HEAD", "/api/v1/orders/"+o.ID.String()+"/stream", "", "Authorization", "Bearer "+f.desk.Token(o.ID)); w.Code != 503 {
		t.Errorf("a stream: %d", w.Code)
	}
	for range 8 {
		door.Leave(calm.Hold)
	}
	if got := read(); got != 200 || order().Code != 201 || door.Inside() != 0 {
		t.Errorf("afterwards: read %d, %d inside", got, door.Inside())
	}
	if door.Shed(calm.Hold) != 1 || door.Shed(calm.Read) != 2 {
		t.Errorf("shed %d orders and %d reads", door.Shed(calm.Hold), door.Shed(calm.Read))
	}
}

func TestStreamsAreBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	o := f.anOrder(t, "an-order-0123456789-0123")
	head := func() int {
		return f.ask("HEAD", "/api/v1/orders/"+o.ID.String()+"/stream", "", "Authorization", "Bearer "+f.desk.Token(o.ID)).Code
	}
	f.api.streams.Store(maxStreams - 1)
	if got := head(); got != 200 {
		t.Errorf("the last place: %d", got)
	}
	f.api.streams.Store(maxStreams)
	if got := head(); got != 503 || f.api.streams.Load() != maxStreams {
		t.Errorf("one more: %d, %d are open", got, f.api.streams.Load())
	}
}

// BenchmarkGate is what limits cost an order: its key, its address and its person.
func BenchmarkGate(b *testing.B) {
	f, _ := guarded(b, gate.On, false)
	keys, people, peers := make([]string, 1<<16), make([]string, 1<<16), make([]string, 1<<16)
	for i := range keys {
		keys[i] = "0198f1c2-7000-7000-8000-" + base64.RawURLEncoding.EncodeToString(fmt.Append(nil, i))
		people[i] = fmt.Sprint("somebody.", i, "@example.id")
		peers[i] = fmt.Sprintf("198.51.%d.%d:443", i>>8, i&255)
	}
	g, i := f.api.cfg.Gate, 0
	b.ReportAllocs()
	for b.Loop() {
		n := i & (1<<16 - 1)
		v := gate.Visit{Call: gate.Order, Ticket: keys[n], Address: g.Address(peers[n], nil), Host: "example.id"}
		s, err := g.Knock(b.Context(), &v)
		if err != nil {
			f.clock.Advance(60e9)
		}
		v.Person = people[n]
		if _, err := g.Admit(b.Context(), &v, s, nil); err != nil {
			f.clock.Advance(60e9)
		}
		i++
	}
}

// TestBotsBehindACarrierLeaveTheAdmittedAlone: orders with forged passes use up what the carrier's address may send; who was let
// in by the waiting room is counted by the pass, and cannot hammer with it either.
func TestBotsBehindACarrierLeaveTheAdmittedAlone(t *testing.T) {
	t.Parallel()
	f, _ := guarded(t, gate.On, false)
	l := f.withRoom(t)
	const carrier = "203.0.113.7:1"
	stranger, err := waitroom.NewSigner(waitroom.Key{ID: 1, Secret: []byte("the secret of somebody else")})
	if err != nil {
		t.Fatal(err)
	}
	pass := func(s *waitroom.Signer, who string) string {
		return s.Pass(waitroom.Pass{EventID: 1, Expires: time.Now().Add(time.Minute), Key: waitroom.HashKey(who), Visitor: l.Visitor(1, who)})
	}
	_, last := crowd(f, 3050, func(i int) (string, []string) {
		return carrier, []string{"Queue-Pass", pass(stranger, fmt.Sprint("crowd-key-0123456789-", i))}
	})
	limitedBy(t, last, "orders")
	const mine = "the-key-of-an-admitted-person"
	if w := f.from(carrier, mine, body("siti@example.id", ""), "Queue-Pass", pass(l.signer, mine)); w.Code != 201 {
		t.Errorf("with a pass that counts: %d %s", w.Code, w.Body)
	}
	for i := range 30 {
		last = f.from(carrier, fmt.Sprint("another-key-0123456789-", i), body("siti@example.id", ""), "Queue-Pass", pass(l.signer, mine))
	}
	limitedBy(t, last, "orders-ticket")
}

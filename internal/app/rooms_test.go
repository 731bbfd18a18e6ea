package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"gapura/internal/waitroom"
	"gapura/test/peers"
)

// roomEvent is an event with a waiting room that opens when it says.
func roomEvent(opens time.Time, preQueue string) string {
	jakarta := time.FixedZone("WIB", 7*3600)
	text := strings.Replace(eventText, "2020-12-01T10:00", opens.In(jakarta).Format("2006-01-02T15:04:05"), 1)
	return text + "waiting_room: {enabled: true, pre_queue: " + preQueue + "}\n"
}

// visitor is one browser of a waiting room.
type visitor struct {
	t    testing.TB
	base string
}

const eventPath = "/api/v1/events/night-run"

// call sends a request and returns status and answer.
func (v visitor) call(method, path string, body any, header ...string) (int, map[string]any) {
	v.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		v.t.Fatal(err)
	}
	request, err := http.NewRequest(method, v.base+path, bytes.NewReader(text))
	if err != nil {
		v.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		v.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(answer, &members); err != nil {
		v.t.Fatalf("%s %s: %s", method, path, answer)
	}
	return response.StatusCode, members
}

// draw returns a ticket and its number.
func (v visitor) draw(key string) (ticket, number string) {
	v.t.Helper()
	status, drawn := v.call("POST", eventPath+"/queue/tickets", nil, "Idempotency-Key", key)
	if status != http.StatusCreated {
		v.t.Fatalf("ticket: %d %v", status, drawn)
	}
	return drawn["ticket"].(string), drawn["number"].(string)
}

// pass waits for the ticket's turn and exchanges it.
func (v visitor) pass(ticket, key string) (pass string, at time.Time) {
	v.t.Helper()
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); <-time.After(20 * time.Millisecond) {
		status, answer := v.call("POST", eventPath+"/queue/passes", map[string]string{"ticket": ticket, "idempotency_key": key})
		if status == http.StatusCreated {
			return answer["pass"].(string), time.Now()
		}
		if answer["reason"] != "not_yet" {
			v.t.Fatalf("pass: %d %v", status, answer)
		}
	}
	v.t.Fatal("the turn never came")
	return "", time.Time{}
}

func (v visitor) order(key, pass string) (int, map[string]any) {
	v.t.Helper()
	contact := map[string]any{"name": "Siti Aminah", "email": key + "@example.id", "phone": phoneOf(key)}
	participant := map[string]any{"category": "fun", "birth_date": "1994-05-02", "gender": "female"}
	for name, value := range contact {
		participant[name] = value
	}
	headers := []string{"Idempotency-Key", key}
	if pass != "" {
		headers = append(headers, "Queue-Pass", pass)
	}
	return v.call("POST", eventPath+"/orders", map[string]any{"contact": contact, "participants": []any{participant}}, headers...)
}

// phoneOf makes a number of a key, the same for the same key.
func phoneOf(key string) string {
	n := 0
	for _, c := range key {
		n = (n*31 + int(c)) % 100_000_000
	}
	return fmt.Sprintf("0812%08d", n)
}

func (v visitor) state() map[string]any {
	v.t.Helper()
	_, state := v.call("GET", eventPath+"/queue", nil)
	return state
}

// until polls the state until a member has a value.
func (v visitor) until(member string, value any) map[string]any {
	v.t.Helper()
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); <-time.After(20 * time.Millisecond) {
		if state := v.state(); state[member] == value {
			return state
		}
	}
	v.t.Fatalf("%s never became %v: %v", member, value, v.state())
	return nil
}

// everyStore runs test on SQLite and on MariaDB.
func everyStore(t *testing.T, test func(t *testing.T, s *shell)) {
	t.Run("SQLite", func(t *testing.T) { t.Parallel(); test(t, newShell(t)) })
	t.Run("MariaDB", func(t *testing.T) {
		t.Parallel()
		s := newShell(t, mariaDB(t)...)
		s.must(t, "migrate")
		test(t, s)
	})
}

// opening is far enough away for a server to start and a few to draw.
func opening(after time.Duration) time.Time { return time.Now().Add(after).Truncate(time.Second) }

// Visitors draw, wait, enter in the order of the draw and order with their passes; nobody enters before opening, or twice.
func TestWaitingRoom(t *testing.T) {
	t.Parallel()
	everyStore(t, func(t *testing.T, s *shell) {
		s.environment = append(s.environment, "DRAW_CLOSES_BEFORE=6s", "RATE_LIMITS=off") // the test asks more often than a page
		opens := opening(18 * time.Second)
		s.must(t, "event", "apply", s.file(t, "room.yaml", roomEvent(opens, "draw")))
		v := visitor{t, s.serve(t, "serve").URL}
		a, number := v.draw("browser-a")
		b, _ := v.draw("browser-b")
		if _, again := v.draw("browser-a"); again != number {
			t.Error("a repeated draw got another number")
		}
		if status, problem := v.order("order-early", ""); status != 403 || problem["code"] != "queue_pass_required" || problem["reason"] != "missing" {
			t.Errorf("without a pass: %d %v", status, problem)
		}
		if state := v.until("drawn", 2.0); state["phase"] != "before" || state["seed"] != nil || state["commitment"] == nil {
			t.Errorf("before opening: %v", state)
		}
		passA, atA := v.pass(a, "order-a")
		passB, atB := v.pass(b, "order-b")
		if atA.Before(opens) || atB.Before(opens) {
			t.Errorf("let in at %v and %v, it opens at %v", atA, atB, opens)
		}
		v.refuses(t, a, passA)
		for key, pass := range map[string]string{"order-a": passA, "order-b": passB} {
			if status, order := v.order(key, pass); status != http.StatusCreated || order["status"] != "confirmed" {
				t.Errorf("%s: %d %v", key, status, order)
			}
			if status, order := v.order(key, ""); status != http.StatusCreated || order["status"] != "confirmed" {
				t.Errorf("a repeat of %s without a pass: %d %v", key, status, order)
			}
		}
		if again, _ := v.pass(a, "order-a"); again != passA {
			t.Error("the second tab got another pass")
		}
		v.verifies(t, s, number)
	})
}

// refuses sends what is no pass of that order.
func (v visitor) refuses(t *testing.T, ticket, pass string) {
	t.Helper()
	flipped := "A"
	if pass[len(pass)-30] == 'A' {
		flipped = "B"
	}
	for reason, sent := range map[string]string{
		"used": pass, "malformed": pass[:len(pass)-3], "forged": pass[:len(pass)-30] + flipped + pass[len(pass)-29:], "missing": "",
	} {
		status, problem := v.order("order-other", sent)
		if status != 403 || problem["code"] != "queue_pass_required" || problem["reason"] != reason || problem["tickets"] == nil {
			t.Errorf("%s: %d %v", reason, status, problem)
		}
	}
	if _, problem := v.order("order-other", ticket); problem["reason"] != "malformed" {
		t.Errorf("a ticket in place of a pass: %v", problem)
	}
	if status, problem := v.call("POST", eventPath+"/queue/passes", map[string]string{"ticket": ticket, "idempotency_key": "order-other"}); status != 403 || problem["reason"] != "used" {
		t.Errorf("a ticket exchanged for another order: %d %v", status, problem)
	}
}

// verifies checks the draw with the command, from the server and from a copy.
func (v visitor) verifies(t *testing.T, s *shell, number string) {
	t.Helper()
	_, proof := v.call("GET", eventPath+"/queue/proof", nil)
	if proof["seed"] == nil || proof["count"] != 2.0 {
		t.Errorf("proof: %v", proof)
	}
	said := s.must(t, "draw", "verify", v.base+"/e/night-run", "--number", number)
	for _, check := range []string{"commitment", "sequence", "count", "root", "list", "own"} {
		if !strings.Contains(said, "ok    "+check) {
			t.Errorf("%s is not verified:\n%s", check, said)
		}
	}
	proof["commitment"] = waitroom.Hash{1}.String()
	text, err := json.Marshal(proof)
	if err != nil {
		t.Fatal(err)
	}
	forged := s.file(t, "forged.json", string(text))
	code, said, _ := s.run(t, "draw", "verify", "--proof", forged, "--list", v.base+eventPath+"/queue/list")
	if code != exitNo || !strings.Contains(said, "FAIL  commitment") {
		t.Errorf("a changed commitment: exit %d\n%s", code, said)
	}
}

// Nodes share one line. A restart of all of them and a wiped Redis lose no ticket, no pass and no entry, and let nobody in
// twice.
func TestWaitingRoomSurvives(t *testing.T) {
	t.Parallel()
	server := peers.PrivateRedis(t)
	s := newShell(t, append(mariaDB(t), "RATE_LIMITS=off", "CACHE_STORE=redis", "REDIS_URL="+server.NewDatabase(t))...)
	s.must(t, "migrate")
	s.must(t, "event", "apply", s.file(t, "room.yaml", roomEvent(opening(2*time.Second), "fifo")))
	first, second := s.serve(t, "serve"), s.serve(t, "serve")
	a, b := visitor{t, first.URL}, visitor{t, second.URL}
	ticketA, _ := a.draw("browser-a")
	ticketB, _ := b.draw("browser-b")
	passA, _ := b.pass(ticketA, "order-a") // at the other node
	before := a.until("phase", "open")
	s.must(t, "room", "pause", "night-run")
	a.until("paused", true)
	first.end(t)
	second.end(t)
	client := redistest(t, server)
	if err := client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	again := visitor{t, s.serve(t, "serve").URL}
	after := again.until("phase", "open")
	for _, member := range []string{"served", "late", "drawn"} {
		if after[member].(float64) < before[member].(float64) {
			t.Errorf("%s was %v and is %v after the restart", member, before[member], after[member])
		}
	}
	if after["paused"] != true {
		t.Error("the pause was forgotten")
	}
	if pass, _ := again.pass(ticketA, "order-a"); pass != passA {
		t.Error("the ticket got another pass after the restart")
	}
	if status, problem := again.call("POST", eventPath+"/queue/passes", map[string]string{"ticket": ticketA, "idempotency_key": "order-b"}); problem["reason"] != "used" {
		t.Errorf("the ticket was exchanged twice: %d %v", status, problem)
	}
	if status, order := again.order("order-a", passA); status != http.StatusCreated {
		t.Errorf("the pass from before the restart: %d %v", status, order)
	}
	s.must(t, "room", "resume", "night-run")
	passB, _ := again.pass(ticketB, "order-b")
	if status, order := again.order("order-b", passB); status != http.StatusCreated {
		t.Errorf("the ticket from before the restart: %d %v", status, order)
	}
	if said := s.must(t, "room", "show", "night-run"); !strings.Contains(said, "phase    open") {
		t.Errorf("room show:\n%s", said)
	}
}

func redistest(t *testing.T, server *peers.RedisServer) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(server.URL(0))
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// An invited group enters when the organiser says, ahead of the line and in its own turn only.
func TestAnInvitedGroup(t *testing.T) {
	t.Parallel()
	s := newShell(t, "RATE_LIMITS=off")
	s.must(t, "event", "apply", s.file(t, "room.yaml", roomEvent(opening(time.Second), "fifo")))
	v := visitor{t, s.serve(t, "serve").URL}
	v.until("event", "night-run")
	s.must(t, "room", "pause", "night-run")
	v.until("paused", true)
	v.until("phase", "open")
	link := strings.TrimSpace(s.must(t, "room", "invite", "night-run", "3", "1"))
	_, ticket, found := strings.Cut(link, "?tiket=")
	if !found {
		t.Fatalf("invite printed %q", link)
	}
	if _, problem := v.call("POST", eventPath+"/queue/passes", map[string]string{"ticket": ticket}); problem["reason"] != "not_yet" {
		t.Errorf("before the group was let in: %v", problem)
	}
	s.must(t, "room", "let-in", "night-run", "--group", "3")
	pass, _ := v.pass(ticket, "order-elite")
	if status, order := v.order("order-elite", pass); status != http.StatusCreated {
		t.Errorf("%d %v", status, order)
	}
	for _, line := range []string{"room let-in night-run", "room let-in night-run 5 --group 1", "room ceiling night-run -1", "room invite night-run 0 1"} {
		if code, _, _ := s.run(t, strings.Fields(line)...); code == exitOK {
			t.Errorf("gapura %s was taken", line)
		}
	}
}

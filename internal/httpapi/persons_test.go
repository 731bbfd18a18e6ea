package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"gapura/internal/fulfil"
	"gapura/internal/gate"
	"gapura/internal/waitroom"
)

func persons(s *waitroom.Settings) { s.Person = true }

// code reads the newest mail.
func (l *hall) code(t testing.TB) string {
	t.Helper()
	mails := l.store.Mails()
	code, err := l.signer.Code(&mails[len(mails)-1])
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func (f *fixture) askCode(t testing.TB, address, key string) ConfirmationView {
	t.Helper()
	w := f.ask("POST", queuePath+"/confirmations", `{"email":"`+address+`","locale":"en"}`, "Content-Type", "application/json", "Idempotency-Key", key)
	var v ConfirmationView
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil || w.Code != http.StatusAccepted || v.Confirmation == "" || v.ExpiresAt.IsZero() {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return v
}

func (f *fixture) confirm(confirmation, code string) (int, string) {
	w := f.ask("POST", queuePath+"/tickets", fmt.Sprintf(`{"confirmation":%q,"code":%q}`, confirmation, code), "Content-Type", "application/json")
	return w.Code, w.Body.String()
}

func (f *fixture) ticketOf(t testing.TB, confirmation, code string) TicketView {
	t.Helper()
	var v TicketView
	status, body := f.confirm(confirmation, code)
	if err := json.Unmarshal([]byte(body), &v); err != nil || status != http.StatusCreated || v.Ticket == "" {
		t.Fatalf("%d %s", status, body)
	}
	return v
}

// A person gets one ticket from any browser, and its pass serves an order of that person's address only.
func TestOnePersonOneTicket(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	l := f.withRoom(t, persons)
	if w := f.ask("POST", queuePath+"/tickets", `{}`, "Content-Type", "application/json"); w.Code != http.StatusForbidden ||
		!strings.Contains(w.Body.String(), `"code":"confirmation_required"`) || !strings.Contains(w.Body.String(), queuePath+`/confirmations"`) {
		t.Fatalf("without a confirmation: %d %s", w.Code, w.Body)
	}
	if w := f.ask("POST", queuePath+"/tickets", "", "Idempotency-Key", "browser"); w.Code != http.StatusForbidden {
		t.Fatalf("without anything: %d %s", w.Code, w.Body)
	}
	first := f.askCode(t, "Siti@Example.id", "browser-a")
	code := l.code(t)
	if again := f.askCode(t, "siti@example.id", "browser-a"); again.Confirmation != first.Confirmation || len(l.store.Mails()) != 1 {
		t.Errorf("asked twice: %+v and %+v, %d mails", first, again, len(l.store.Mails()))
	}
	mine := f.ticketOf(t, first.Confirmation, code[:3]+" "+code[3:])
	second := f.askCode(t, "siti@example.id", "browser-b")
	if other := f.ticketOf(t, second.Confirmation, l.code(t)); other.Number != mine.Number || other.Place != mine.Place {
		t.Errorf("two browsers of one person have %s at %d and %s at %d", mine.Number, mine.Place, other.Number, other.Place)
	}
	pass := f.passOf(t, mine.Ticket, "order-1")
	stranger := strings.Replace(goodOrder, "siti@example.id", "budi@example.id", 1)
	w := f.ask("POST", ordersPath, stranger, "Content-Type", "application/json", "Idempotency-Key", "order-1", "Queue-Pass", pass)
	if w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), `"pointer":"/contact/email","code":"not_confirmed"`) {
		t.Errorf("somebody else's order: %d %s", w.Code, w.Body)
	}
	if w := f.ask("POST", ordersPath, goodOrder, "Content-Type", "application/json", "Idempotency-Key", "order-1", "Queue-Pass", pass); w.Code != http.StatusCreated {
		t.Errorf("the person's own order: %d %s", w.Code, w.Body)
	}
}

// passOf waits for the turn of a ticket.
func (f *fixture) passOf(t testing.TB, ticket, key string) string {
	t.Helper()
	for until := time.Now().Add(10 * time.Second); time.Now().Before(until); <-time.After(10 * time.Millisecond) {
		w := f.ask("POST", queuePath+"/passes", fmt.Sprintf(`{"ticket":%q,"idempotency_key":%q}`, ticket, key), "Content-Type", "application/json")
		var v PassView
		if err := json.Unmarshal(w.Body.Bytes(), &v); err == nil && v.Pass != "" {
			return v.Pass
		}
	}
	t.Fatal("the turn never came")
	return ""
}

// What is wrong with a code, and what with asking for one, is said in a problem document of its own.
func TestProblemsOfCodes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	l := f.withRoom(t, persons)
	asked := f.askCode(t, "siti@example.id", "browser")
	code := l.code(t)
	wrong := fmt.Sprintf("%d%s", (int(code[0]-'0')+1)%10, code[1:])
	for left := 4; left >= 0; left-- {
		if status, body := f.confirm(asked.Confirmation, wrong); status != 403 || !strings.Contains(body, `"reason":"wrong_code"`) ||
			!strings.Contains(body, fmt.Sprintf(`"attempts_left":%d`, left)) {
			t.Fatalf("a wrong code: %d %s", status, body)
		}
	}
	for what, want := range map[string][3]string{
		"too many":  {asked.Confirmation, code, "too_many"},
		"unknown":   {strings.Repeat("0", 32), code, "lapsed"},
		"truncated": {asked.Confirmation[:20], code, "lapsed"},
	} {
		if status, body := f.confirm(want[0], want[1]); status != 403 || !strings.Contains(body, `"reason":"`+want[2]+`"`) || !strings.Contains(body, `"confirmations":"https://`) {
			t.Errorf("%s: %d %s", what, status, body)
		}
	}
	for body, want := range map[string]string{
		`{"email":"siti"}`: `"pointer":"/email","code":"email_invalid"`, `{"email":5}`: `"wrong_type"`, `{`: `"bad_json"`,
		`{"email":"` + strings.Repeat("x", maxPassBody) + `"}`: `"too_large"`,
	} {
		if w := f.ask("POST", queuePath+"/confirmations", body, "Content-Type", "application/json"); !strings.Contains(w.Body.String(), want) {
			t.Errorf("%.40s: %d %s", body, w.Code, w.Body)
		}
	}
	if w := f.ask("POST", queuePath+"/confirmations", `{}`, "Content-Type", "application/json", "Idempotency-Key", "a b"); !strings.Contains(w.Body.String(), "idempotency_key_missing") {
		t.Errorf("a bad key: %d %s", w.Code, w.Body)
	}
	plain := newFixture(t)
	plain.withRoom(t)
	if w := plain.ask("POST", queuePath+"/confirmations", `{"email":"siti@example.id"}`, "Content-Type", "application/json"); w.Code != 404 {
		t.Errorf("where nothing is confirmed: %d %s", w.Code, w.Body)
	}
}

// Codes are limited by browser, by mailbox and by address; a captcha is solved once, for the mail.
func TestCodesAreLimited(t *testing.T) {
	t.Parallel()
	ask := func(f *fixture, peer, key, address, captcha string) (int, map[string]any) {
		t.Helper()
		r, w := requestOf(t, "POST", queuePath+"/confirmations", strings.NewReader(fmt.Sprintf(`{"email":%q,"captcha":%q}`, address, captcha)))
		r.RemoteAddr = peer
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", key)
		f.api.ServeHTTP(w, r)
		return w.Code, problem(t, w)
	}
	f, _ := guarded(t, gate.On, false)
	f.withRoom(t, persons)
	limited := map[string]bool{}
	for i := range 20 {
		status, p := ask(f, "203.0.113.7:99", fmt.Sprint("key-", i), fmt.Sprintf("Siti+%d@example.id", i), "")
		if status == http.StatusTooManyRequests {
			limited[fmt.Sprint(p["violated-policies"])] = true
		} else if i > 6 {
			t.Fatalf("mail %d to one mailbox: %d %v", i+1, status, p)
		}
	}
	for i := range 20 {
		if status, p := ask(f, "203.0.113.8:99", "one-key", fmt.Sprintf("runner%d@example.id", i), ""); status == http.StatusTooManyRequests {
			limited[fmt.Sprint(p["violated-policies"])] = true
		}
	}
	for i := range 40 {
		if status, p := ask(f, "[2001:db8::7]:99", fmt.Sprint("six", i), fmt.Sprintf("walker%d@example.id", i), ""); status == http.StatusTooManyRequests {
			limited[fmt.Sprint(p["violated-policies"])] = true
		}
	}
	if len(limited) != 3 || !limited["[codes-person]"] || !limited["[codes-ticket]"] || !limited["[codes]"] {
		t.Errorf("limited by %v", limited)
	}
	g, _ := guarded(t, gate.On, true)
	l := g.withRoom(t, persons)
	if status, p := ask(g, "203.0.113.7:99", "key", "siti@example.id", ""); status != http.StatusForbidden || p["code"] != "captcha_failed" || p["action"] != "draw" {
		t.Fatalf("without a captcha: %d %v", status, p)
	}
	status, p := ask(g, "203.0.113.7:99", "key", "siti@example.id", "draw@example.com#1")
	if status != http.StatusAccepted {
		t.Fatalf("with a captcha: %d %v", status, p)
	}
	if status, p := ask(g, "203.0.113.7:99", "another-key", "budi@example.id", "draw@example.com#1"); status != http.StatusForbidden || p["reason"] != "used" {
		t.Errorf("the captcha of another request: %d %v", status, p)
	}
	g.ticketOf(t, p["confirmation"].(string), l.code(t)) // no captcha for the code
}

// An order's files are counted with its other reads, by the order for its owner and by the address for everyone.
func TestFilesAreLimited(t *testing.T) {
	t.Parallel()
	f, _ := guarded(t, gate.On, false)
	o := f.anOrder(t, "key")
	get := func(token string) (int, string) {
		w := f.ask("GET", "/api/v1/orders/"+o.ID.String()+"/"+fulfil.CalendarFile, "", "Authorization", "Bearer "+token)
		return w.Code, w.Body.String()
	}
	if status, body := get("wrong"); status != http.StatusUnauthorized {
		t.Fatalf("with a wrong token: %d %s", status, body)
	}
	for i := range 1000 {
		status, body := get(f.desk.Token(o.ID))
		if status == http.StatusTooManyRequests {
			if i < 100 || !strings.Contains(body, "reads-ticket") {
				t.Errorf("limited after %d: %s", i, body)
			}
			return
		}
	}
	t.Error("a thousand files were handed out in a row")
}

package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// mailedCode is the code of a confirmation, as the mail to its address has it.
func (s *shell) mailedCode(t testing.TB, confirmation string) string {
	t.Helper()
	link := regexp.MustCompile(`kode=(\d{6})&konfirmasi=` + confirmation)
	folded := strings.NewReplacer("=\r\n", "", "=\n", "", "=3D", "=")
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); <-time.After(50 * time.Millisecond) {
		mails, err := filepath.Glob(filepath.Join(s.directory, "data", "mail", "*.eml"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range mails {
			text, err := os.ReadFile(path)
			if err != nil {
				continue // it was still being renamed
			}
			if found := link.FindStringSubmatch(folded.Replace(string(text))); found != nil {
				return found[1]
			}
		}
	}
	t.Fatal("no mail has the code")
	return ""
}

func (v visitor) ask(address, key string) string {
	v.t.Helper()
	status, asked := v.call("POST", eventPath+"/queue/confirmations", map[string]string{"email": address, "locale": "en"}, "Idempotency-Key", key)
	if status != http.StatusAccepted {
		v.t.Fatalf("a code for %s: %d %v", address, status, asked)
	}
	return asked["confirmation"].(string)
}

// One person confirms by a mail that the workers send, from two browsers, before and after the list has closed and after a
// restart, and has one number; the pass serves an order of that person.
func TestOnePersonConfirms(t *testing.T) {
	t.Parallel()
	everyStore(t, func(t *testing.T, s *shell) {
		s.environment = append(s.environment, "DRAW_CLOSES_BEFORE=6s", "RATE_LIMITS=off")
		opens := opening(20 * time.Second)
		s.must(t, "event", "apply", s.file(t, "room.yaml", strings.Replace(roomEvent(opens, "draw"), "pre_queue: draw", "pre_queue: draw, person: email", 1)))
		first := s.serve(t, "serve")
		v := visitor{t, first.URL}
		if v.until("event", "night-run")["person"] != "email" {
			t.Error("the state does not say what is confirmed")
		}
		s.workers(t)
		asked := v.ask("Order-A@example.id", "browser-a")
		code := s.mailedCode(t, asked)
		confirm := func(v visitor, confirmation, code string) (ticket, number string) {
			t.Helper()
			status, drawn := v.call("POST", eventPath+"/queue/tickets", map[string]string{"confirmation": confirmation, "code": code})
			if status != http.StatusCreated || drawn["kind"] != "drawn" {
				t.Fatalf("confirm: %d %v", status, drawn)
			}
			return drawn["ticket"].(string), drawn["number"].(string)
		}
		ticket, number := confirm(v, asked, code)
		other := v.ask("order-a@example.id", "browser-b")
		if _, again := confirm(v, other, s.mailedCode(t, other)); again != number {
			t.Errorf("another browser has number %s, the first %s", again, number)
		}
		first.end(t)
		v = visitor{t, s.serve(t, "serve").URL}
		v.until("phase", "closed")
		if _, again := confirm(v, asked, code); again != number {
			t.Errorf("after the restart and the closing the number is %s", again)
		}
		pass, _ := v.pass(ticket, "order-a")
		if state := v.state(); state["drawn"] != 1.0 {
			t.Errorf("one person drew, %v are counted", state["drawn"])
		}
		status, problem := v.orderFrom("order-b@example.id", "order-a", pass)
		if status != http.StatusUnprocessableEntity || !strings.Contains(fmt.Sprint(problem["errors"]), "not_confirmed") {
			t.Errorf("an order of somebody else: %d %v", status, problem)
		}
		if status, order := v.order("order-a", pass); status != http.StatusCreated {
			t.Errorf("the person's order: %d %v", status, order)
		}
		if said := s.must(t, "draw", "verify", v.base+"/e/night-run", "--number", number); strings.Contains(said, "FAIL") {
			t.Errorf("the draw does not verify:\n%s", said)
		}
	})
}

// workers runs gapura work until the test ends, where serve does not send mails itself.
func (s *shell) workers(t *testing.T) {
	if !slices.Contains(s.environment, "DB_CONNECTION=mariadb") {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	var errs bytes.Buffer
	go func() {
		ended <- Run(ctx, []string{"work"}, System{Out: io.Discard, Err: &errs, Environment: s.environment, Directory: s.directory})
	}()
	t.Cleanup(func() {
		stop()
		if code := <-ended; code != exitOK {
			t.Errorf("the workers ended with %d: %s", code, &errs)
		}
	})
}

// orderFrom orders with another contact than the key's.
func (v visitor) orderFrom(email, key, pass string) (int, map[string]any) {
	v.t.Helper()
	contact := map[string]any{"name": "Budi", "email": email, "phone": phoneOf(email)}
	participant := map[string]any{"category": "fun", "birth_date": "1994-05-02", "gender": "male"}
	for name, value := range contact {
		participant[name] = value
	}
	return v.call("POST", eventPath+"/orders", map[string]any{"contact": contact, "participants": []any{participant}}, "Idempotency-Key", key, "Queue-Pass", pass)
}

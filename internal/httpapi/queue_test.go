package httpapi

import (
	"context"
	"io"
	"strings"
	"testing"

	"gapura/internal/fault"
	"gapura/internal/waitroom"
)

// line is a waiting room in which the ticket "mine" has its turn.
type line struct{ refusal error }

func (l line) Room(slug string) (int64, bool) { return 1, slug == "night-run" }

func (l line) Visitor(int64, string) waitroom.Visitor { return waitroom.Visitor{1} }

func (l line) Page(int64) (waitroom.Page, error) {
	return waitroom.Page{Body: []byte(`{"phase":"open"}`), ETag: `"1"`}, l.refusal
}

func (l line) Join(context.Context, int64, waitroom.Visitor) (waitroom.Ticket, string, error) {
	return waitroom.Ticket{}, "mine", l.refusal
}

func (l line) Find(int64, string) (waitroom.Found, error) { return waitroom.Found{}, l.refusal }

func (l line) Exchange(_ context.Context, _ int64, ticket, _ string) (waitroom.Pass, string, error) {
	if ticket != "mine" {
		return waitroom.Pass{}, "", fault.New(fault.QueuePassRequired)
	}
	return waitroom.Pass{Expires: opened}, "pass", l.refusal
}

func (l line) Check(context.Context, int64, string, string) (waitroom.Pass, error) {
	return waitroom.Pass{}, l.refusal
}

func (l line) Holder(int64, string) string { return "" }

func (l line) State(int64) (waitroom.State, error) { return waitroom.State{}, l.refusal }

func (l line) Ask(context.Context, int64, string, string, string) (waitroom.Asked, error) {
	return waitroom.Asked{Expires: opened, Resend: opened}, l.refusal
}

func (l line) Confirm(context.Context, int64, string, string) (waitroom.Ticket, string, error) {
	return waitroom.Ticket{}, "mine", l.refusal
}

func (l line) Theirs(waitroom.Pass, string) bool { return true }

func (l line) Proof(int64) (waitroom.Proof, error) {
	return waitroom.Proof{Event: "night-run", Count: 1, ListHash: &waitroom.Hash{1}}, l.refusal
}

func (l line) WriteList(_ context.Context, _ int64, w io.Writer) error {
	_, err := io.WriteString(w, strings.Repeat("0", 2*len(waitroom.Number{}))+"\n")
	return err
}

func TestExchangingATicket(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const path = "/api/v1/events/night-run/queue/passes"
	for body, want := range map[string]string{
		`{"ticket":"mine"}`:                      `"pass":"pass"`,
		`{"ticket":"forged"}`:                    `"tickets":"https://daftar.example.id/api/v1/events/night-run/queue/tickets"`,
		`{"ticket":1}`:                           `{"pointer":"/ticket","code":"wrong_type"`,
		`{"ticket":"mine","idempotency_key":[]}`: `{"pointer":"/idempotency_key","code":"wrong_type"`,
		`[]`:                                     `{"pointer":"","code":"wrong_type"`,
		`{"ticket":"mine","idempotency_key":"a space"}`: `"code":"idempotency_key_missing"`,
		`{"ticket"`:                        `"code":"bad_json"`,
		"{\"ticket\":\"\xff\"}":            `"code":"bad_json"`,
		strings.Repeat(" ", maxPassBody+1): `"code":"too_large"`,
	} {
		if w := f.ask("POST", path, body, "Content-Type", "application/json"); !strings.Contains(w.Body.String(), want) {
			t.Errorf("%.40s: %d %s, want %s", body, w.Code, w.Body, want)
		}
	}
	if w := f.ask("POST", path, `{}`); w.Code != 415 {
		t.Errorf("without a type: %d", w.Code)
	}
	if w := f.ask("POST", "/api/v1/events/none/queue/passes", `{}`); w.Code != 404 || !strings.Contains(w.Body.String(), "no_such_event") {
		t.Errorf("of no event: %d %s", w.Code, w.Body)
	}
}

// A body that breaks off is not too large.
func TestATicketThatBreaksOff(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	r, w := requestOf(t, "POST", "/api/v1/events/night-run/queue/passes", io.MultiReader(strings.NewReader(`{"tick`), brokenReader{}))
	r.Header.Set("Content-Type", "application/json")
	f.api.ServeHTTP(w, r)
	if w.Code != 400 || !strings.Contains(w.Body.String(), "bad_json") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

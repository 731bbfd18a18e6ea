package httpapi

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"gapura/internal/waitroom"
)

// Every ticket that is none, or not yet, says why, and where another is drawn.
func TestTicketsThatAreNone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	l := f.withRoom(t, func(s *waitroom.Settings) { s.OpensAt = time.Now().Add(time.Hour) })
	stranger, err := waitroom.NewSigner(waitroom.Key{ID: 1, Secret: []byte("the secret of somebody else")})
	if err != nil {
		t.Fatal(err)
	}
	ticket := waitroom.Ticket{Kind: waitroom.Late, EventID: 1, Visitor: waitroom.NewVisitor(), Place: 1, Issued: time.Now()}
	foreign := ticket
	foreign.EventID = 2
	person := ticket
	person.Person = true
	good := l.signer.Ticket(ticket)
	for what, test := range map[string]struct{ sent, reason string }{
		"forged":                       {stranger.Ticket(ticket), "forged"},
		"of another event":             {l.signer.Ticket(foreign), "foreign"},
		"truncated":                    {good[:len(good)-1], "malformed"},
		"padded":                       {good + "=", "malformed"},
		"empty":                        {"", "malformed"},
		"a pass":                       {l.signer.Pass(waitroom.Pass{EventID: 1, Expires: time.Now().Add(time.Minute)}), "malformed"},
		"a person's with another kind": {good[:4] + l.signer.Ticket(person)[4:], "forged"},
		"before its turn":              {good, "not_yet"},
	} {
		w := f.ask("POST", queuePath+"/passes", fmt.Sprintf(`{"ticket":%q,"idempotency_key":"order-1"}`, test.sent), "Content-Type", "application/json")
		p := problem(t, w)
		if w.Code != http.StatusForbidden || p["code"] != "queue_pass_required" || p["reason"] != test.reason || p["tickets"] == nil || p["detail"] == "" {
			t.Errorf("%s: %d %s", what, w.Code, w.Body)
		}
		if retry := w.Header().Get("Retry-After"); (retry != "") != (test.reason == "not_yet") {
			t.Errorf("%s: Retry-After %q", what, retry)
		}
	}
}

// A ticket whose pass has lapsed or been used gets no other.
func TestTicketsThatAreSpent(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	l := f.withRoom(t)
	drawn := func() (waitroom.Ticket, string) {
		ticket, text, err := l.Join(t.Context(), 1, waitroom.NewVisitor())
		if err != nil {
			t.Fatal(err)
		}
		return ticket, text
	}
	late, lateText := drawn()
	_, usedText := drawn()
	f.passOf(t, usedText, "order-1")
	_, err := l.store.IssuePasses(t.Context(), 1, []waitroom.PassRow{{
		Number: late.Visitor.Number(1), Place: late.Place, Key: waitroom.HashKey("order-2"), Expires: time.Now().Add(-time.Second),
	}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for reason, ticket := range map[string]string{"lapsed": lateText, "used": usedText} {
		w := f.ask("POST", queuePath+"/passes", fmt.Sprintf(`{"ticket":%q,"idempotency_key":"order-2"}`, ticket), "Content-Type", "application/json")
		if p := problem(t, w); w.Code != http.StatusForbidden || p["reason"] != reason || p["tickets"] == nil {
			t.Errorf("%s: %d %s", reason, w.Code, w.Body)
		}
	}
}

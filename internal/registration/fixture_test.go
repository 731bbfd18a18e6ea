package registration

import (
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"gapura/internal/event"
	"gapura/internal/money"
)

// opening is when the events of these tests open; they stay open for a month.
var opening = time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC)

func stock(n int) *int { return &n }

// race is an event with what can be scarce: a quota that two categories share, one of its own, tiers by count and by date,
// and an option with stock.
func race(t testing.TB, change ...func(*event.Event)) *event.Event {
	t.Helper()
	e := &event.Event{
		Slug: "race", Code: "RC", Name: event.Text{ID: "Lomba", EN: "Race"}, Timezone: "Asia/Jakarta",
		StartsAt: opening.AddDate(0, 3, 0),
		Rules: event.Rules{
			OpensAt: opening, ClosesAt: opening.AddDate(0, 1, 0), Hold: 30 * time.Minute, MaxParticipants: 5,
			UniqueBy: []event.UniqueBy{event.UniqueByEmail, event.UniqueByPhone},
		},
		Categories: []event.Category{
			{ID: "10k", Price: 250_000, Prices: []event.Tier{
				{Name: "Early bird", Price: 200_000, First: 3, Until: opening.AddDate(0, 0, 7)},
				{Name: "Regular", Price: 220_000, First: 2},
			}},
			{ID: "fun", Price: 0},
		},
		Quotas: []event.Quota{
			{ID: "total", Size: 10, Categories: []string{"10k", "fun"}},
			{ID: "10k", Size: 8, Categories: []string{"10k"}},
		},
		Questions: []event.Question{{ID: "jersey", Type: event.Choice, Options: []event.Option{
			{Value: "S", Stock: stock(2)}, {Value: "M"},
		}}},
	}
	for _, f := range change {
		f(e)
	}
	if err := e.Prepare(); err != nil {
		t.Fatal(err)
	}
	return e
}

// empty is the ledger of an event that has sold nothing.
func empty(e *event.Event) *Ledger {
	l := &Ledger{EventID: 7, Revision: 1, Event: e, Counters: map[event.Counter]Count{}}
	for _, c := range e.Counters() {
		l.Counters[c.Counter] = Count{Limit: c.Limit}
	}
	return l
}

// sub is a checked submission with a key and, for each participant, one claim.
func sub(key string, participants ...Participant) *Submission {
	s := &Submission{
		Key: Key(hashOf(key)), Fingerprint: Fingerprint(hashOf("print of " + key)), Contact: Contact{Name: "C", Email: "c@example.id"},
		Locale: "id",
	}
	for i, p := range participants {
		p.Position = i + 1
		s.Participants = append(s.Participants, p)
		s.Claims = append(s.Claims, []Claim{Claim(hashOf(fmt.Sprintf("claim of %s %d", key, i)))})
	}
	return s
}

func in(category string, answers ...string) Participant {
	p := Participant{Category: category, Name: "P"}
	for i := 0; i < len(answers); i += 2 {
		if p.Answers == nil {
			p.Answers = map[string]string{}
		}
		p.Answers[answers[i]] = answers[i+1]
	}
	return p
}

func hashOf(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:16]
}

// told is the outcome as one word: accepted, replay, or the code of the refusal.
func told(o Outcome) string {
	switch {
	case o.Accepted != nil:
		return "accepted"
	case o.Replay != nil:
		return "replay"
	}
	return string(o.Refusal.Code)
}

func rupiah(n money.Rupiah) *money.Rupiah { return &n }

package registration

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"gapura/internal/event"
	"gapura/internal/id"
)

func TestKeyOf(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]bool{
		"": false, "a": true, "~!": true, strings.Repeat("k", 255): true, strings.Repeat("k", 256): false,
		"with space": false, "tab\t": false, "line\n": false, "\x7f": false, "kunci-é": false, "\x00": false,
	} {
		if _, ok := KeyOf(raw); ok != want {
			t.Errorf("KeyOf(%q) is %t, want %t", raw, ok, want)
		}
	}
	upper, _ := KeyOf("KEY")
	lower, _ := KeyOf("key")
	if upper == lower {
		t.Error("keys differ by case")
	}
}

// anyRequest draws strings that run into each other when they are joined carelessly.
func anyRequest(t *rapid.T) *Request {
	text := rapid.StringOfN(rapid.RuneFrom([]rune("ab\x00|")), 0, 3, -1)
	r := &Request{Contact: ContactInput{text.Draw(t, "name"), text.Draw(t, "email"), text.Draw(t, "phone")}}
	for range rapid.IntRange(0, 2).Draw(t, "participants") {
		p := ParticipantInput{Category: text.Draw(t, "category"), Name: text.Draw(t, "name"), Email: text.Draw(t, "email")}
		p.Answers = rapid.MapOfN(text, text, 0, 2).Draw(t, "answers")
		r.Participants = append(r.Participants, p)
	}
	return r
}

func sameRequest(a, b *Request) bool {
	if a.Contact != b.Contact || len(a.Participants) != len(b.Participants) {
		return false
	}
	for i := range a.Participants {
		p, q := a.Participants[i], b.Participants[i]
		if p.Category != q.Category || p.Name != q.Name || p.Email != q.Email || len(p.Answers) != len(q.Answers) {
			return false
		}
		for k, v := range p.Answers {
			if w, ok := q.Answers[k]; !ok || w != v {
				return false
			}
		}
	}
	return true
}

func TestFingerprintsAreEqualExactlyForEqualRequests(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyRequest(t), anyRequest(t)
		if same := fingerprint("s", a) == fingerprint("s", b); same != sameRequest(a, b) {
			t.Fatalf("fingerprints equal: %t\n%+v\n%+v", same, a, b)
		}
		if fingerprint("s", a) != fingerprint("s", a) || fingerprint("s", a) == fingerprint("t", a) { //nolint:staticcheck // it must not vary
			t.Fatal("a fingerprint depends on the request and the event, and on nothing else")
		}
		captcha := *a
		captcha.Captcha, captcha.ExpectedTotal = "solved again", rupiah(5)
		if fingerprint("s", a) != fingerprint("s", &captcha) {
			t.Fatal("a new captcha and a confirmed price are the same request")
		}
	})
}

func TestTokens(t *testing.T) {
	t.Parallel()
	one, other := id.New(), id.New()
	old := Secrets{Tokens: [][]byte{[]byte("old")}}
	rotated := Secrets{Tokens: [][]byte{[]byte("new"), []byte("old")}}
	for name, test := range map[string]struct {
		secrets Secrets
		order   id.ID
		token   string
		want    bool
	}{
		"its own":                    {old, one, old.Token(one), true},
		"of another order":           {old, other, old.Token(one), false},
		"made before a rotation":     {rotated, one, old.Token(one), true},
		"made after a rotation":      {rotated, one, rotated.Token(one), true},
		"of a key that nobody knows": {old, one, rotated.Token(one), false},
		"empty":                      {old, one, "", false},
		"cut":                        {old, one, old.Token(one)[:20], false},
		"longer":                     {old, one, old.Token(one) + "AA", false},
		"no base64":                  {old, one, "!!!!!!!!!!!!!!!!!!!!!!", false},
	} {
		if got := test.secrets.TokenValid(test.order, test.token); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	if n := len(old.Token(one)); n < 22 {
		t.Errorf("%d characters hold less than 128 bits", n)
	}
}

func TestClaimsKeepPeopleAndEventsApart(t *testing.T) {
	t.Parallel()
	s := Secrets{Claims: []byte("key")}
	both := []event.UniqueBy{event.UniqueByEmail, event.UniqueByPhone}
	p := &Participant{Email: "siti@example.id", Phone: "+628123456789"}
	seen := map[Claim]string{}
	add := func(what string, claims []Claim) {
		for _, c := range claims {
			if before, twice := seen[c]; twice {
				t.Errorf("%s and %s share a claim", before, what)
			}
			seen[c] = what
		}
	}
	add("event 1", s.ClaimsOf(1, both, p))
	add("event 11", s.ClaimsOf(11, both, p))
	add("another key", Secrets{Claims: []byte("other")}.ClaimsOf(1, both, p))
	add("address and number swapped", s.ClaimsOf(1, both, &Participant{Email: p.Phone, Phone: p.Email}))
	if len(seen) != 8 {
		t.Errorf("%d claims, want 8", len(seen))
	}
	if n := len(s.ClaimsOf(1, both, &Participant{Email: "a@b.id"})); n != 1 {
		t.Errorf("%d claims of a participant without a phone, want 1", n)
	}
	if n := len(s.ClaimsOf(1, nil, p)); n != 0 {
		t.Errorf("%d claims where nothing must be unique", n)
	}
}

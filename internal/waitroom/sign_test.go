package waitroom

import (
	"bytes"
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var (
	oldKey = Key{ID: 1, Secret: []byte("the old secret of the ring")}
	newKey = Key{ID: 2, Secret: []byte("the new secret of the ring")}
)

func newSigner(t testing.TB, keys ...Key) *Signer {
	t.Helper()
	s, err := NewSigner(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func anyTicket(t *rapid.T) Ticket {
	return Ticket{
		Kind:    rapid.SampledFrom([]Kind{Drawn, Late, Invited}).Draw(t, "kind"),
		EventID: rapid.Int64().Draw(t, "event"),
		Visitor: Visitor(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "visitor")),
		Place:   rapid.Int64().Draw(t, "place"),
		Issued:  time.Unix(int64(rapid.Uint32().Draw(t, "issued")), 0).UTC(),
	}
}

func anyPass(t *rapid.T) Pass {
	return Pass{
		EventID: rapid.Int64().Draw(t, "event"),
		Visitor: Visitor(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "visitor")),
		Expires: time.Unix(int64(rapid.Uint32Range(1, 1<<32-1).Draw(t, "expires")), 0).UTC(),
		Key:     HashKey(rapid.String().Draw(t, "key")),
	}
}

func TestTicketsAndPassesRoundTrip(t *testing.T) {
	t.Parallel()
	s := newSigner(t, newKey, oldKey)
	rapid.Check(t, func(t *rapid.T) {
		ticket := anyTicket(t)
		text := s.Ticket(ticket)
		if got, err := s.ReadTicket(text, ticket.EventID); err != nil || got != ticket || len(text) != TicketLength {
			t.Fatalf("%+v became %+v: %v", ticket, got, err)
		}
		if _, err := s.ReadTicket(text, ticket.EventID+1); !errors.Is(err, ErrForeign) {
			t.Fatalf("for another event: %v", err)
		}
		pass := anyPass(t)
		text = s.Pass(pass)
		if got, err := s.ReadPass(text, pass.EventID, pass.Expires.Add(-1)); err != nil || got != pass || len(text) != PassLength {
			t.Fatalf("%+v became %+v: %v", pass, got, err)
		}
		if _, err := s.ReadPass(text, pass.EventID, pass.Expires); !errors.Is(err, ErrLapsed) {
			t.Fatalf("an expired pass: %v", err)
		}
		if _, err := s.ReadPass(text, pass.EventID+1, pass.Expires.Add(-1)); !errors.Is(err, ErrForeign) {
			t.Fatalf("for another event: %v", err)
		}
	})
}

// Whatever is changed, in whatever place, is noticed; and no other text means the same ticket.
func TestForgeriesAreNoticed(t *testing.T) {
	t.Parallel()
	s := newSigner(t, newKey)
	rapid.Check(t, func(t *rapid.T) {
		ticket := anyTicket(t)
		text := []byte(s.Ticket(ticket))
		at := rapid.IntRange(0, len(text)-1).Draw(t, "at")
		other := rapid.Byte().Filter(func(b byte) bool { return b != text[at] }).Draw(t, "byte")
		changed := bytes.Clone(text)
		changed[at] = other
		cut := text[:rapid.IntRange(0, len(text)-1).Draw(t, "cut")]
		for _, forged := range [][]byte{changed, cut, append(bytes.Clone(text), 'A'), append(bytes.Clone(text), '=')} {
			if _, err := s.ReadTicket(string(forged), ticket.EventID); !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrForged) {
				t.Fatalf("%s passes: %v", forged, err)
			}
		}
	})
}

// The last character of either text carries unused bits: only one of its spellings is the ticket.
func TestOneTicketHasOneText(t *testing.T) {
	t.Parallel()
	s := newSigner(t, newKey)
	for _, text := range []string{s.Ticket(Ticket{EventID: 7}), s.Pass(Pass{EventID: 7, Expires: opening})} {
		accepted := 0
		for _, last := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
			spelt := text[:len(text)-1] + string(last)
			_, ticketErr := s.ReadTicket(spelt, 7)
			_, passErr := s.ReadPass(spelt, 7, opening.Add(-time.Second))
			if ticketErr == nil || passErr == nil {
				accepted++
			}
		}
		if accepted != 1 {
			t.Errorf("%s has %d spellings", text, accepted)
		}
	}
}

func TestATicketIsNoPass(t *testing.T) {
	t.Parallel()
	s := newSigner(t, newKey)
	if _, err := s.ReadPass(s.Ticket(Ticket{EventID: 7}), 7, opening); !errors.Is(err, ErrMalformed) {
		t.Errorf("a ticket as a pass: %v", err)
	}
	if _, err := s.ReadTicket(s.Pass(Pass{EventID: 7}), 7); !errors.Is(err, ErrMalformed) {
		t.Errorf("a pass as a ticket: %v", err)
	}
}

func TestKeysRotate(t *testing.T) {
	t.Parallel()
	text := newSigner(t, oldKey).Ticket(Ticket{EventID: 7})
	if _, err := newSigner(t, newKey, oldKey).ReadTicket(text, 7); err != nil {
		t.Errorf("signed with the old key: %v", err)
	}
	if _, err := newSigner(t, newKey).ReadTicket(text, 7); !errors.Is(err, ErrForged) {
		t.Errorf("signed with a key that is gone: %v", err)
	}
	stolen := Key{ID: newKey.ID, Secret: oldKey.Secret}
	if _, err := newSigner(t, newKey, oldKey).ReadTicket(newSigner(t, stolen).Ticket(Ticket{EventID: 7}), 7); !errors.Is(err, ErrForged) {
		t.Errorf("signed with another key under the same number: %v", err)
	}
	for _, keys := range [][]Key{nil, {{ID: 1, Secret: []byte("short")}}, {oldKey, oldKey}} {
		if _, err := NewSigner(keys...); err == nil {
			t.Errorf("ring %v was accepted", keys)
		}
	}
}

func TestSeals(t *testing.T) {
	t.Parallel()
	seed := Seed{1, 2, 3}
	old := newSigner(t, oldKey)
	sealed := old.Seal(seed, 7)
	if bytes.Contains(sealed, seed[:8]) || bytes.Equal(sealed, old.Seal(seed, 7)) {
		t.Error("the seal shows something")
	}
	if got, err := newSigner(t, newKey, oldKey).Unseal(sealed, 7); err != nil || got != seed {
		t.Errorf("after rotation: %v", err)
	}
	if _, err := old.Unseal(sealed, 8); !errors.Is(err, ErrForged) {
		t.Errorf("another event's seed: %v", err)
	}
	sealed[20] ^= 1
	for _, bad := range [][]byte{sealed, sealed[:5], nil, {99}} {
		if _, err := old.Unseal(bad, 7); err == nil {
			t.Errorf("%x was unsealed", bad)
		}
	}
}

func FuzzReadTicket(f *testing.F) {
	s := newSigner(f, newKey, oldKey)
	real := s.Ticket(Ticket{Kind: Late, EventID: 7, Place: 3})
	f.Add(real)
	f.Add(s.Pass(Pass{EventID: 7}))
	f.Add(base64.RawURLEncoding.EncodeToString(make([]byte, 55)))
	f.Add(real[:40] + "\n" + real[40:73])
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := s.ReadTicket(text, 7); err == nil && text != real {
			t.Fatalf("%q passes", text)
		}
	})
}

func FuzzReadPass(f *testing.F) {
	s := newSigner(f, newKey, oldKey)
	real := s.Pass(Pass{EventID: 7, Expires: opening})
	f.Add(real)
	f.Add(s.Ticket(Ticket{EventID: 7}))
	f.Add(base64.RawURLEncoding.EncodeToString(make([]byte, 62)))
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := s.ReadPass(text, 7, opening.Add(-time.Second)); err == nil && text != real {
			t.Fatalf("%q passes", text)
		}
	})
}

func BenchmarkReadPass(b *testing.B) {
	s := newSigner(b, newKey)
	text := s.Pass(Pass{EventID: 7, Expires: opening})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.ReadPass(text, 7, opening.Add(-time.Second)); err != nil {
			b.Fatal(err)
		}
	}
}

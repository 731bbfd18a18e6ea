package registration

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"slices"
	"strconv"
	"sync"

	"gapura/internal/event"
	"gapura/internal/id"
)

// Key is the stored form of an idempotency key: the first 16 bytes of its SHA-256. 128 bits keep two keys apart; the hash
// bounds what a client can make the database store.
type Key [16]byte

// Fingerprint is the stored form of a payload, by which a repeat is told from another request with the same key.
type Fingerprint [16]byte

// Claim is the stored form of what one person can hold only once in an event: a keyed hash of an e-mail address or phone
// number, so that the table of claims alone tells nobody's address.
type Claim [16]byte

// maxKeyLength is the contract's bound on an idempotency key, in bytes.
const maxKeyLength = 255

// KeyOf returns the stored form of an idempotency key, or false for one that is not 1 to 255 visible characters.
func KeyOf(raw string) (Key, bool) {
	if raw == "" || len(raw) > maxKeyLength {
		return Key{}, false
	}
	for i := range len(raw) {
		if raw[i] <= ' ' || raw[i] > '~' {
			return Key{}, false
		}
	}
	sum := sha256.Sum256([]byte(raw))
	return Key(sum[:16]), true
}

// secretKeyLength is from where on a key is taken for a secret: 20 random characters hold about 100 bits, a counter or a
// date does not reach it.
const secretKeyLength = 20

// KeyIsSecret reports whether knowing the key proves to be the one who chose it. An order is shown with its token and its
// names only to such a key; a guessable one learns the status alone.
func KeyIsSecret(raw string) bool { return len(raw) >= secretKeyLength }

// fingerprint hashes all that a request asks for. The captcha's answer and the expected total are left out: a retry brings
// a new captcha, and confirming a changed price must not look like another request under the same key.
func fingerprint(slug string, r *Request) Fingerprint {
	w := fieldHash{h: sha256.New()}
	w.field(slug)
	w.field(r.Contact.Name)
	w.field(r.Contact.Email)
	w.field(r.Contact.Phone)
	w.count(len(r.Participants))
	for i := range r.Participants {
		w.participant(&r.Participants[i])
	}
	var out Fingerprint
	copy(out[:], w.h.Sum(w.buf[:0]))
	return out
}

// fieldHash feeds fields with their lengths to a hash, so that no two lists of fields look alike.
type fieldHash struct {
	h   hash.Hash
	buf [64]byte
}

func (w *fieldHash) count(n int) { w.h.Write(binary.AppendUvarint(w.buf[:0], uint64(n))) } //nolint:gosec // n is a length or a count

func (w *fieldHash) field(s string) {
	w.count(len(s))
	for len(s) > 0 {
		n := copy(w.buf[:], s)
		w.h.Write(w.buf[:n])
		s = s[n:]
	}
}

func (w *fieldHash) participant(p *ParticipantInput) {
	for _, s := range [...]string{p.Category, p.Name, p.Email, p.Phone, p.BirthDate, p.Gender} {
		w.field(s)
	}
	w.count(len(p.Answers))
	questions := make([]string, 0, len(p.Answers))
	for q := range p.Answers {
		questions = append(questions, q)
	}
	slices.Sort(questions)
	for _, q := range questions {
		w.field(q)
		w.field(p.Answers[q])
	}
}

// Secrets are the keys registration works with.
type Secrets struct {
	Claims []byte   // keys the claims; must stay the same for as long as any event is live
	Tokens [][]byte // key the access tokens: the first makes them, all of them are accepted, so that keys can be rotated

	claims, tokens *macs // of Claims and of the first of Tokens; nil: every hash is set up anew
}

// reusing returns the same secrets for work by the thousand.
func (s Secrets) reusing() Secrets {
	s.claims = &macs{}
	s.tokens = &macs{}
	return s
}

// macs keeps keyed hashes, all with the same key: an order needs three, and to set one up allocates 600 bytes.
type macs struct{ pool sync.Pool }

// mac is a keyed hash and room for what goes into it and comes out of it.
type mac struct {
	hash.Hash
	text []byte
}

func (m *macs) get(key []byte) *mac {
	if m != nil {
		if used, ok := m.pool.Get().(*mac); ok {
			used.Reset()
			return used
		}
	}
	return &mac{Hash: hmac.New(sha256.New, key), text: make([]byte, 0, 128)}
}

func (m *macs) put(used *mac) {
	if m != nil {
		m.pool.Put(used)
	}
}

// ClaimsOf returns the claims of one participant under the event's rules.
func (s Secrets) ClaimsOf(eventID int64, by []event.UniqueBy, p *Participant) []Claim {
	claims := make([]Claim, 0, len(by))
	for _, property := range by {
		value := p.Email
		if property == event.UniqueByPhone {
			value = p.Phone
		}
		if value != "" {
			claims = append(claims, s.claim(eventID, property, value))
		}
	}
	return claims
}

func (s Secrets) claim(eventID int64, property event.UniqueBy, value string) Claim {
	m := s.claims.get(s.Claims)
	defer s.claims.put(m)
	m.text = strconv.AppendInt(m.text[:0], eventID, 10)
	m.text = append(append(m.text, '|'), property...)
	m.text = append(append(m.text, '|'), value...)
	m.Write(m.text)
	m.text = m.Sum(m.text[:0])
	return Claim(m.text[:len(Claim{})])
}

// tokenLength is in bytes: 16 are the 128 bits that the contract asks for.
const tokenLength = 16

// Token returns the order's access token. It is derived, not stored: a replay returns the same one, and a stolen table of
// orders opens none.
func (s Secrets) Token(order id.ID) string {
	m := s.tokens.get(s.Tokens[0])
	defer s.tokens.put(m)
	return base64.RawURLEncoding.EncodeToString(m.token(order))
}

// TokenValid reports whether token opens the order, in time that does not depend on where it differs.
func (s Secrets) TokenValid(order id.ID, given string) bool {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(given) // one spelling: 16 others would have the same 128 bits
	if err != nil {
		return false
	}
	valid := 0
	for _, key := range s.Tokens {
		valid |= subtle.ConstantTimeCompare((*macs)(nil).get(key).token(order), raw)
	}
	return valid == 1
}

// token is valid until m is used again.
func (m *mac) token(order id.ID) []byte {
	m.text = append(append(m.text[:0], "order-access|"...), order[:]...)
	m.Write(m.text)
	m.text = m.Sum(m.text[:0])
	return m.text[:tokenLength]
}

package waitroom

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// What is wrong with a ticket or a pass.
var (
	ErrMalformed = errors.New("not a ticket or pass") // truncated, padded, of another version, or of the other kind
	ErrForged    = errors.New("the signature is not ours")
	ErrForeign   = errors.New("made for another event")
	ErrLapsed    = errors.New("no longer valid")
	ErrNotYet    = errors.New("the turn has not come")
	ErrNotDrawn  = errors.New("not in the closed list of those who drew")
	ErrUsed      = errors.New("already used with another idempotency key")
	ErrEnded     = errors.New("nobody is let in any more")
)

// Key signs tickets and passes. A key that was replaced stays in the ring until what it signed has lapsed.
type Key struct {
	ID     byte
	Secret []byte // at least 16 bytes
}

// Kind is how a visitor came to its place.
type Kind byte

// The kinds of tickets.
const (
	Drawn   Kind = 1 // drew before the list closed: the place follows from the seed
	Late    Kind = 2 // came later, or the event has no draw: the place is in the ticket
	Invited Kind = 3 // belongs to a group that the organiser lets in: the group is in the place
)

// String returns drawn, late or invited.
func (k Kind) String() string {
	switch k {
	case Drawn:
		return "drawn"
	case Late:
		return "late"
	case Invited:
		return "invited"
	}
	return fmt.Sprintf("Kind(%d)", byte(k))
}

// Ticket is a place in one event's waiting room. The visitor holds it; losing it loses the place.
type Ticket struct {
	Kind    Kind
	Person  bool // the visitor is a person who confirmed an address, see Confirm
	EventID int64
	Visitor Visitor
	Place   int64     // Late: from 1, behind those who drew. Invited: the group's number. Drawn: 0
	Issued  time.Time // whole seconds
}

// Pass lets one visitor send one order of one event, until it expires.
type Pass struct {
	Person  bool // of a ticket of a person: only that person's order, see Rooms.Theirs
	EventID int64
	Visitor Visitor
	Expires time.Time // whole seconds
	Key     KeyHash   // the idempotency key of that order; zero: the first key that is used with it
}

// KeyHash is the first 16 bytes of the SHA-256 of an idempotency key.
type KeyHash [16]byte

// HashKey returns the hash of an idempotency key; that of the empty key is zero, which means none.
func HashKey(key string) KeyHash {
	if key == "" {
		return KeyHash{}
	}
	sum := sha256.Sum256([]byte(key))
	return KeyHash(sum[:16])
}

const (
	macSize    = 16 // 128 bits of HMAC-SHA256
	ticketSize = 1 + 1 + 1 + 8 + 16 + 8 + 4
	passSize   = 1 + 1 + 8 + 16 + 4 + 16

	ticketTag = 'T' // the first byte, and part of what is signed: neither can pass for the other, nor for another version
	passTag   = 'P'
	personTag = 'Q' // a pass of a person

	personBit = 0x80 // in the kind of a person's ticket
)

// TicketLength and PassLength are the sizes of the texts, in characters.
var (
	TicketLength = base64.RawURLEncoding.EncodedLen(ticketSize + macSize)
	PassLength   = base64.RawURLEncoding.EncodedLen(passSize + macSize)
)

// Signer makes and reads tickets and passes. It is safe for concurrent use.
type Signer struct {
	current byte
	keys    map[byte]signingKey
}

type signingKey struct {
	mac  []byte
	code []byte
	seal cipher.AEAD
}

// NewSigner returns a signer that signs with the first key and accepts all of them.
func NewSigner(keys ...Key) (*Signer, error) {
	if len(keys) == 0 {
		return nil, errors.New("a signer needs a key")
	}
	s := &Signer{current: keys[0].ID, keys: make(map[byte]signingKey, len(keys))}
	for _, k := range keys {
		if _, twice := s.keys[k.ID]; twice || len(k.Secret) < 16 {
			return nil, fmt.Errorf("key %d of the waiting room: its number must be its own and its secret 16 bytes or longer", k.ID)
		}
		sealing, err := newSeal(derive(k.Secret, "gapura waiting room seal v1"))
		if err != nil {
			return nil, err
		}
		s.keys[k.ID] = signingKey{
			mac: derive(k.Secret, "gapura waiting room ticket v1"), code: derive(k.Secret, "gapura waiting room code v1"), seal: sealing,
		}
	}
	return s, nil
}

func derive(secret []byte, purpose string) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(purpose))
	return mac.Sum(nil)
}

func newSeal(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("seal of the seeds: %w", err)
	}
	return cipher.NewGCM(block)
}

// Ticket returns t signed, as 74 URL-safe characters.
func (s *Signer) Ticket(t Ticket) string {
	kind := byte(t.Kind)
	if t.Person {
		kind |= personBit
	}
	b := append(make([]byte, 0, ticketSize+macSize), ticketTag, s.current, kind)
	b = binary.BigEndian.AppendUint64(b, uint64(t.EventID)) //nolint:gosec // the same bits both ways
	b = append(b, t.Visitor[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(t.Place))                    //nolint:gosec // the same bits both ways
	return s.sign(binary.BigEndian.AppendUint32(b, uint32(t.Issued.Unix()))) //nolint:gosec // 32 bits last until 2106
}

// ReadTicket returns a ticket that this signer signed for that event: ErrMalformed, ErrForged or ErrForeign otherwise.
func (s *Signer) ReadTicket(text string, eventID int64) (Ticket, error) {
	var space [ticketSize + macSize]byte
	b, err := s.open(space[:], text, ticketTag, ticketTag)
	if err != nil {
		return Ticket{}, err
	}
	t := Ticket{
		Kind:    Kind(b[2] &^ personBit),
		Person:  b[2]&personBit != 0,
		EventID: int64(binary.BigEndian.Uint64(b[3:])), //nolint:gosec // the same bits both ways
		Visitor: Visitor(b[11:27]),
		Place:   int64(binary.BigEndian.Uint64(b[27:])), //nolint:gosec // the same bits both ways
		Issued:  seconds(b[35:]),
	}
	if t.EventID != eventID {
		return Ticket{}, ErrForeign
	}
	return t, nil
}

// Pass returns p signed, as 83 URL-safe characters.
func (s *Signer) Pass(p Pass) string {
	tag := byte(passTag)
	if p.Person {
		tag = personTag
	}
	b := append(make([]byte, 0, passSize+macSize), tag, s.current)
	b = binary.BigEndian.AppendUint64(b, uint64(p.EventID)) //nolint:gosec // the same bits both ways
	b = append(b, p.Visitor[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(p.Expires.Unix())) //nolint:gosec // 32 bits last until 2106
	return s.sign(append(b, p.Key[:]...))
}

// ReadPass returns a pass that this signer signed for that event and that has not expired at now.
func (s *Signer) ReadPass(text string, eventID int64, now time.Time) (Pass, error) {
	var space [passSize + macSize]byte
	b, err := s.open(space[:], text, passTag, personTag)
	if err != nil {
		return Pass{}, err
	}
	p := Pass{
		Person:  b[0] == personTag,
		EventID: int64(binary.BigEndian.Uint64(b[2:])), //nolint:gosec // the same bits both ways
		Visitor: Visitor(b[10:26]),
		Expires: seconds(b[26:]),
		Key:     KeyHash(b[30:46]),
	}
	switch {
	case p.EventID != eventID:
		return Pass{}, ErrForeign
	case !now.Before(p.Expires):
		return p, ErrLapsed
	}
	return p, nil
}

func seconds(b []byte) time.Time { return time.Unix(int64(binary.BigEndian.Uint32(b)), 0).UTC() }

func (s *Signer) sign(b []byte) string {
	return base64.RawURLEncoding.EncodeToString(s.appendMAC(b, s.keys[s.current].mac))
}

func (s *Signer) appendMAC(b, key []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(b)
	var sum [sha256.Size]byte
	return append(b, mac.Sum(sum[:0])[:macSize]...)
}

// open decodes text into space, whose size is that of the whole message, and verifies the tag, one of the two, and signature.
func (s *Signer) open(space []byte, text string, tag, other byte) ([]byte, error) {
	if len(text) != base64.RawURLEncoding.EncodedLen(len(space)) {
		return nil, ErrMalformed
	}
	// Strict: the unused bits of the last character must be zero, so that one ticket has one text. The decoder skips
	// line breaks, which shortens what it writes.
	n, err := base64.RawURLEncoding.Strict().Decode(space, []byte(text))
	if err != nil || n != len(space) || (space[0] != tag && space[0] != other) {
		return nil, ErrMalformed
	}
	key, known := s.keys[space[1]]
	if !known {
		return nil, ErrForged
	}
	body := len(space) - macSize
	var whole [ticketSize + passSize + macSize]byte
	want := s.appendMAC(append(whole[:0], space[:body]...), key.mac)
	if !hmac.Equal(want[body:], space[body:]) {
		return nil, ErrForged
	}
	return space[:body], nil
}

// Seal encrypts a seed for keeping: whoever reads the database or a backup of it before opening learns nothing.
func (s *Signer) Seal(seed Seed, eventID int64) []byte {
	return s.seal(seed[:], binary.BigEndian.AppendUint64(nil, uint64(eventID))) //nolint:gosec // the bits of an id
}

// seal encrypts plain for one place, which what says.
func (s *Signer) seal(plain, what []byte) []byte {
	key := s.keys[s.current]
	nonce := make([]byte, key.seal.NonceSize())
	_, _ = rand.Read(nonce)
	sealed := append([]byte{s.current}, nonce...)
	return key.seal.Seal(sealed, nonce, plain, what)
}

// Unseal returns the seed that Seal encrypted for that event.
func (s *Signer) Unseal(sealed []byte, eventID int64) (Seed, error) {
	plain, err := s.unseal(sealed, binary.BigEndian.AppendUint64(nil, uint64(eventID))) //nolint:gosec // the bits of an id
	if err == nil && len(plain) != len(Seed{}) {
		err = ErrForged
	}
	if err != nil {
		return Seed{}, err
	}
	return Seed(plain), nil
}

func (s *Signer) unseal(sealed, what []byte) ([]byte, error) {
	if len(sealed) == 0 {
		return nil, ErrMalformed
	}
	key, known := s.keys[sealed[0]]
	if !known {
		return nil, fmt.Errorf("sealed with key %d of the waiting room, which is missing", sealed[0])
	}
	size := key.seal.NonceSize()
	if len(sealed) < 1+size {
		return nil, ErrMalformed
	}
	plain, err := key.seal.Open(nil, sealed[1:1+size], sealed[1+size:], what)
	if err != nil {
		return nil, ErrForged
	}
	return plain, nil
}

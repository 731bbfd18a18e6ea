// Package ticket makes what a participant carries and an organiser files: signed tickets that a gate checks without a
// network, the list of those that are void, and the ticket, invoice and calendar documents. Every document is a function
// of its input alone: the same input gives the same bytes, so a job that runs twice does no harm.
package ticket

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"gapura/internal/id"
)

// What is wrong with a ticket that was read at a gate.
var (
	ErrNotATicket = errors.New("not a ticket")
	ErrUnknownKey = errors.New("signed with a key that is not in the key ring")
	ErrForged     = errors.New("the signature is not of this content")
)

// Prefix starts the text of every ticket: the format and its version. It is part of what is signed.
const Prefix = "G1:"

// MaxCategory is the longest category id in bytes that a ticket carries; up to 14 the code stays at QR version 6.
const MaxCategory = 40

// Claim is what a ticket says: this participant of this order may enter this event in this category.
type Claim struct {
	Event    int64
	Order    id.ID
	Position int    // of the participant in the order, 1 to 255
	Category string // id of the category
	Serial   int    // 1 for the first ticket of a participant; a reissue has the next and voids the earlier ones
}

// KeyID names a public key inside a ticket: the first two bytes of its SHA-256.
type KeyID uint16

// KeyOf returns the name of key.
func KeyOf(key ed25519.PublicKey) KeyID {
	sum := sha256.Sum256(key)
	return KeyID(binary.BigEndian.Uint16(sum[:2]))
}

// DeriveKey makes the signing key of a generation from the installation's secret. A new generation is a new key: sign with
// it and keep the earlier ones in the key ring until the last event that uses them is over.
func DeriveKey(secret []byte, generation int) (ed25519.PrivateKey, error) {
	if len(secret) < 16 {
		return nil, errors.New("the secret for ticket keys has fewer than 16 bytes")
	}
	seed, err := hkdf.Key(sha256.New, secret, nil, fmt.Sprintf("gapura ticket key %d", generation), ed25519.SeedSize)
	if err != nil {
		return nil, fmt.Errorf("derive ticket key: %w", err)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// Signer makes tickets. It is safe for concurrent use.
type Signer struct {
	key ed25519.PrivateKey
	id  KeyID
}

// NewSigner returns a signer that uses key.
func NewSigner(key ed25519.PrivateKey) *Signer {
	return &Signer{key: key, id: KeyOf(publicOf(key))}
}

// Public returns the key that checks what the signer makes.
func (s *Signer) Public() ed25519.PublicKey { return publicOf(s.key) }

// Sign returns the text of the QR code for c. Signing is deterministic: the same claim always gives the same text.
func (s *Signer) Sign(c Claim) (string, error) {
	if err := c.check(); err != nil {
		return "", err
	}
	body := c.append(binary.BigEndian.AppendUint16(nil, uint16(s.id)))
	return Prefix + base45Encode(append(body, s.seal(Prefix, body)...)), nil
}

// seal signs body for the purpose that prefix names, so that a signature made for one thing is never valid for another.
func (s *Signer) seal(prefix string, body []byte) []byte {
	return ed25519.Sign(s.key, append([]byte(prefix), body...))
}

// Keyring holds the public keys that tickets may be signed with. It is safe for concurrent use.
type Keyring struct {
	keys map[KeyID]ed25519.PublicKey
}

// NewKeyring returns a ring of those keys. Two keys with the same KeyID are an error: derive another generation.
func NewKeyring(keys ...ed25519.PublicKey) (*Keyring, error) {
	ring := &Keyring{keys: make(map[KeyID]ed25519.PublicKey, len(keys))}
	for _, k := range keys {
		if len(k) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("a public key has %d bytes, not %d", ed25519.PublicKeySize, len(k))
		}
		if other, taken := ring.keys[KeyOf(k)]; taken && !other.Equal(k) {
			return nil, fmt.Errorf("two ticket keys have the id %04x", KeyOf(k))
		}
		ring.keys[KeyOf(k)] = k
	}
	return ring, nil
}

// Verify reads the text of a QR code and returns its claim if a key of the ring signed it; else ErrNotATicket,
// ErrUnknownKey or ErrForged. It needs no network. Whether the ticket is void or used is not asked here.
func (k *Keyring) Verify(text string) (Claim, error) {
	encoded, ok := strings.CutPrefix(text, Prefix)
	if !ok || len(encoded) > 3*(maxBody+ed25519.SignatureSize) {
		return Claim{}, ErrNotATicket
	}
	raw, ok := base45Decode(encoded)
	if !ok {
		return Claim{}, ErrNotATicket
	}
	body, err := k.open(Prefix, raw)
	if err != nil {
		return Claim{}, err
	}
	return readClaim(body)
}

// open checks the signature at the end of raw and returns what lies between it and the key id.
func (k *Keyring) open(prefix string, raw []byte) ([]byte, error) {
	end := len(raw) - ed25519.SignatureSize
	if end < 2 {
		return nil, ErrNotATicket
	}
	key, known := k.keys[KeyID(binary.BigEndian.Uint16(raw))]
	if !known {
		return nil, ErrUnknownKey
	}
	if !ed25519.Verify(key, append([]byte(prefix), raw[:end]...), raw[end:]) {
		return nil, ErrForged
	}
	return raw[2:end], nil
}

// maxBody is the most a claim takes: key, event, order, position, serial, category.
const maxBody = 2 + binary.MaxVarintLen64 + 16 + 1 + binary.MaxVarintLen64 + MaxCategory

func (c Claim) check() error {
	switch {
	case c.Event <= 0:
		return fmt.Errorf("event %d cannot have a ticket", c.Event)
	case c.Order.IsNil():
		return errors.New("a ticket needs an order")
	case c.Position < 1 || c.Position > 255:
		return fmt.Errorf("position %d is not 1 to 255", c.Position)
	case c.Serial < 1:
		return fmt.Errorf("serial %d is not positive", c.Serial)
	case len(c.Category) > MaxCategory || !utf8.ValidString(c.Category):
		return fmt.Errorf("category id of %d bytes does not fit a ticket", len(c.Category))
	}
	return nil
}

func (c Claim) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(c.Event)) //nolint:gosec // the same bits both ways, and signed
	b = append(b, c.Order[:]...)
	b = append(b, byte(c.Position))               //nolint:gosec // 1 to 255: see Claim.check
	b = binary.AppendUvarint(b, uint64(c.Serial)) //nolint:gosec // serials count from 0
	return append(b, c.Category...)
}

func readClaim(b []byte) (Claim, error) {
	r := reader{rest: b}
	c := Claim{Event: int64(r.uvarint())} //nolint:gosec // the same bits both ways, and signed
	copy(c.Order[:], r.take(len(c.Order)))
	c.Position = int(r.byte())
	c.Serial = int(r.uvarint()) //nolint:gosec // serials count from 0
	c.Category = string(r.rest)
	if r.short || c.check() != nil || string(c.append(nil)) != string(b) {
		return Claim{}, ErrNotATicket
	}
	return c, nil
}

// reader takes fields off the front of rest; after the first one that is missing, short is set and the rest are zero.
type reader struct {
	rest  []byte
	short bool
}

func (r *reader) take(n int) []byte {
	if r.short || len(r.rest) < n {
		r.short = true
		return nil
	}
	field := r.rest[:n]
	r.rest = r.rest[n:]
	return field
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.short = true
		return 0
	}
	r.take(n)
	return v
}

func publicOf(key ed25519.PrivateKey) ed25519.PublicKey {
	return key.Public().(ed25519.PublicKey)
}

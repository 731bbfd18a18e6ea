// Package waitroom decides who enters an event's registration, and when. Before opening, visitors draw: arrival does not
// matter, and a seed that was committed to beforehand orders them. Later ones queue behind, first in, first out. A visitor
// holds a signed ticket, the server publishes one small document, and waiting costs neither the database nor Redis
// anything. How many enter per second follows the engine.
package waitroom

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"math"
)

// Visitor is who waits, in one event: random, or the keyed hash of a confirmed address where one person draws once. It is
// carried in the ticket and never published.
type Visitor [16]byte

// NewVisitor returns a random visitor.
func NewVisitor() Visitor {
	var v Visitor
	_, _ = rand.Read(v[:]) // never fails: the runtime ends the program if the kernel has no randomness
	return v
}

// PersonVisitor returns the visitor of the person who confirmed address (an e-mail address or a phone number, normalised)
// for an event. Without secret nobody can tell which address it is.
func PersonVisitor(secret []byte, eventID int64, address string) Visitor {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("gapura visitor v1\x00"))
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(eventID))) //nolint:gosec // the bits of an id
	mac.Write([]byte(address))
	return Visitor(mac.Sum(nil)[:16])
}

// Number returns what is published of v: its entry in the list of those who drew. It is a hash, so the list tells nothing
// about who drew, and holding a number without the signed ticket is worth nothing.
func (v Visitor) Number(eventID int64) Number {
	b := append(make([]byte, 0, 48), "gapura draw number v1\x00"...)
	b = binary.BigEndian.AppendUint64(b, uint64(eventID)) //nolint:gosec // the bits of an id
	sum := sha256.Sum256(append(b, v[:]...))
	return Number(sum[:16])
}

// Number is a draw number: the hashed visitor, written as 32 hexadecimal digits.
type Number [16]byte

// ErrNumber is returned for text that is no draw number.
var ErrNumber = errors.New("a draw number is 32 hexadecimal digits in lower case")

// ParseNumber reads the 32 lower-case hexadecimal digits that String writes, and no other form.
func ParseNumber(s string) (Number, error) {
	var n Number
	if err := decodeHex(n[:], s); err != nil {
		return Number{}, ErrNumber
	}
	return n, nil
}

// String returns 32 hexadecimal digits.
func (n Number) String() string { return hex.EncodeToString(n[:]) }

// Compare orders numbers by their bytes, which is the order of their text as well.
func (n Number) Compare(other Number) int {
	for i := range n {
		if n[i] != other[i] {
			return int(n[i]) - int(other[i])
		}
	}
	return 0
}

// Seed is the secret that orders the draw. Its SHA-256 is published before anyone draws, the seed itself at opening.
type Seed [32]byte

// NewSeed returns a random seed.
func NewSeed() Seed {
	var s Seed
	_, _ = rand.Read(s[:])
	return s
}

// Commitment returns the SHA-256 of the 32 raw bytes of s.
func (s Seed) Commitment() Hash { return sha256.Sum256(s[:]) }

// String hides the seed: one that reached a log before opening would decide the draw for its reader.
func (s Seed) String() string { return "(seed)" }

// GoString hides the seed in %#v as well.
func (s Seed) GoString() string { return "(seed)" }

// Hex returns the seed as 64 hexadecimal digits, for publishing it.
func (s Seed) Hex() string { return hex.EncodeToString(s[:]) }

// ParseSeed reads 64 hexadecimal digits.
func ParseSeed(text string) (Seed, error) {
	var s Seed
	if err := decodeHex(s[:], text); err != nil {
		return Seed{}, fmt.Errorf("a seed is 64 hexadecimal digits: %w", err)
	}
	return s, nil
}

// Rank returns where n stands in the draw: lower enters earlier.
func (s Seed) Rank(n Number) Rank { return newRanker(s).rank(n) }

// Rank is the first 8 bytes of HMAC-SHA256(seed, number), big endian. It is uniform, so rank / 2^64 tells the share of
// those who drew that stand in front.
type Rank uint64

// String returns 16 hexadecimal digits; the order of the text is the order of the ranks, for languages whose numbers end
// at 2^53.
func (r Rank) String() string {
	return hex.EncodeToString(binary.BigEndian.AppendUint64(nil, uint64(r)))
}

// Share returns r as a share in [0, 1).
func (r Rank) Share() float64 { return float64(r>>11) / (1 << 53) }

// ParseRank reads 16 hexadecimal digits.
func ParseRank(text string) (Rank, error) {
	var b [8]byte
	if err := decodeHex(b[:], text); err != nil {
		return 0, fmt.Errorf("a rank is 16 hexadecimal digits: %w", err)
	}
	return Rank(binary.BigEndian.Uint64(b[:])), nil
}

// lastRank is the threshold that every drawn visitor has passed.
const lastRank = Rank(math.MaxUint64)

// ranker computes many ranks with one keyed hash, so that the key is not hashed again for each.
type ranker struct {
	mac hash.Hash
	sum [sha256.Size]byte
}

func newRanker(s Seed) *ranker { return &ranker{mac: hmac.New(sha256.New, s[:])} }

func (r *ranker) rank(n Number) Rank {
	r.mac.Reset()
	r.mac.Write(n[:])
	return Rank(binary.BigEndian.Uint64(r.mac.Sum(r.sum[:0])))
}

// Hash is a SHA-256 value, written as 64 hexadecimal digits.
type Hash [sha256.Size]byte

// String returns 64 hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// IsZero reports whether h has not been set.
func (h Hash) IsZero() bool { return h == Hash{} }

// MarshalText implements encoding.TextMarshaler.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hash) UnmarshalText(b []byte) error {
	if err := decodeHex(h[:], string(b)); err != nil {
		return fmt.Errorf("a hash is 64 hexadecimal digits: %w", err)
	}
	return nil
}

// decodeHex fills dst from exactly as many lower-case digits: one value has one text.
func decodeHex(dst []byte, s string) error {
	if len(s) != hex.EncodedLen(len(dst)) {
		return hex.ErrLength
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return hex.InvalidByteError(c)
		}
	}
	_, err := hex.Decode(dst, []byte(s))
	return err
}

package waitroom

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"gapura/internal/fault"
	"gapura/internal/person"
)

// Where one person draws once, a visitor first proves an e-mail address with a code from a mail. The code is worked out from
// the server's key, so it lies nowhere: not in the database, not in the queue of mails. The address lies sealed beside it, and
// only until the code has lapsed.

// ConfirmationID names what one browser asked for one address. Whoever knows it may try codes, so nobody can guess it.
type ConfirmationID [16]byte

// String returns 32 hexadecimal digits.
func (c ConfirmationID) String() string { return hex.EncodeToString(c[:]) }

// ParseConfirmation reads what String writes.
func ParseConfirmation(text string) (ConfirmationID, error) {
	var c ConfirmationID
	if err := decodeHex(c[:], text); err != nil {
		return c, fmt.Errorf("a confirmation is 32 hexadecimal digits: %w", err)
	}
	return c, nil
}

// Confirmation is a code that was sent, without the code.
type Confirmation struct {
	ID       ConfirmationID
	EventID  int64
	Sealed   []byte // the address, sealed by Signer
	Locale   string // of the mail: id or en
	Round    int    // from 1; another round has another code
	Sends    int    // mails so far
	SentAt   time.Time
	Attempts int // wrong codes in this round
	Expires  time.Time
}

const (
	// CodeLife is for how long a code can be used after its mail: a mail server that sees a sender for the first time keeps it
	// waiting for up to a quarter of an hour.
	CodeLife = 30 * time.Minute
	// ResendAfter is how long a browser waits before the mail is sent again.
	ResendAfter = time.Minute
	// maxAttempts makes a guessed code one in 200,000.
	maxAttempts = 5
	codeDigits  = 6
)

// What is wrong with a code.
var (
	ErrWrongCode    = errors.New("the code is not the one in the mail")
	ErrTooManyCodes = errors.New("too many wrong codes")
	ErrCodeLapsed   = errors.New("no such code, or no longer valid")
)

// Again returns what becomes of c when its browser asks again at now, and whether a mail goes out. While the code can still be
// used the mail has the same one, so that of two mails either will do.
func (c Confirmation) Again(now time.Time) (Confirmation, bool) {
	if now.Before(c.SentAt.Add(ResendAfter)) {
		return c, false
	}
	if !now.Before(c.Expires) || c.Attempts >= maxAttempts {
		c.Round, c.Attempts = c.Round+1, 0
	}
	c.Sends, c.SentAt, c.Expires = c.Sends+1, now, now.Add(CodeLife)
	return c, true
}

// Tried returns what becomes of c when a code is tried: ErrWrongCode, ErrTooManyCodes, ErrCodeLapsed, or nil for the right one,
// which changes nothing, so that it can be sent again after a lost answer.
func (c Confirmation) Tried(right bool, now time.Time) (Confirmation, error) {
	switch {
	case !now.Before(c.Expires):
		return c, ErrCodeLapsed
	case c.Attempts >= maxAttempts:
		return c, ErrTooManyCodes
	case right:
		return c, nil
	}
	c.Attempts++
	return c, ErrWrongCode
}

// Try is a code that somebody typed.
type Try struct {
	ID   ConfirmationID
	Code string
}

// TryOutcome is what it came to. The confirmation is the zero one if there is none of that ID.
type TryOutcome struct {
	Confirmation Confirmation
	Err          error
}

// Code returns the six digits of a confirmation. They follow from the key with which its address was sealed.
func (s *Signer) Code(c *Confirmation) (string, error) {
	if len(c.Sealed) == 0 {
		return "", ErrMalformed
	}
	key, known := s.keys[c.Sealed[0]]
	if !known {
		return "", fmt.Errorf("a confirmation is sealed with key %d, which is missing", c.Sealed[0])
	}
	mac := hmac.New(sha256.New, key.code)
	mac.Write(c.ID[:])
	mac.Write(binary.BigEndian.AppendUint32(nil, uint32(c.Round))) //nolint:gosec // rounds count from 0
	return fmt.Sprintf("%0*d", codeDigits, binary.BigEndian.Uint64(mac.Sum(nil))%1_000_000), nil
}

// right reports in constant time whether code is that of c.
func (s *Signer) right(c *Confirmation, code string) bool {
	want, err := s.Code(c)
	return err == nil && hmac.Equal([]byte(want), []byte(code))
}

// SealAddress encrypts an address for the time until its code has lapsed.
func (s *Signer) SealAddress(address string, id ConfirmationID) []byte {
	return s.seal([]byte(address), id[:])
}

// Address returns the address that a code was sent to.
func (s *Signer) Address(c *Confirmation) (string, error) {
	plain, err := s.unseal(c.Sealed, c.ID[:])
	return string(plain), err
}

// Asked is what a browser hears that asked for a code. It is the same for every address.
type Asked struct {
	ID      ConfirmationID
	Expires time.Time
	Resend  time.Time // from when on asking again sends another mail
}

// Ask has a code mailed to address. A browser that asks again with the same key has the same confirmation, and another mail
// only after ResendAfter; key may be empty. Faults: validation_failed, not_found where nothing is confirmed, closed, sold_out,
// overloaded.
func (rs *Rooms) Ask(ctx context.Context, eventID int64, address, locale, key string) (Asked, error) {
	rm, err := rs.room(eventID)
	if err != nil {
		return Asked{}, err
	}
	if !rm.set.Load().Person {
		return Asked{}, fault.New(fault.NotFound)
	}
	normal, ok := person.Email(address)
	if !ok {
		return Asked{}, &fault.Fault{Code: fault.ValidationFailed, Fields: []fault.Field{{Pointer: "/email", Code: "email_invalid"}}}
	}
	if err := rm.view.Load().takesNumbers(); err != nil {
		return Asked{}, err
	}
	if locale != "en" {
		locale = "id"
	}
	id, now := rs.confirmationID(eventID, normal, key), rm.now().Truncate(time.Millisecond)
	kept, err := rm.asks.do(ctx, Confirmation{
		ID: id, EventID: eventID, Sealed: rs.cfg.Signer.SealAddress(normal, id), Locale: locale, Round: 1, Sends: 1,
		SentAt: now, Expires: now.Add(CodeLife),
	})
	if err != nil {
		return Asked{}, refusal(err)
	}
	return Asked{ID: kept.ID, Expires: kept.Expires, Resend: kept.SentAt.Add(ResendAfter)}, nil
}

func (rs *Rooms) confirmationID(eventID int64, address, key string) ConfirmationID {
	if key == "" {
		return ConfirmationID(NewVisitor())
	}
	mac := hmac.New(sha256.New, rs.cfg.Persons)
	mac.Write([]byte("gapura confirmation v1\x00"))
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(eventID))) //nolint:gosec // the bits of an id
	mac.Write([]byte(address + "\x00" + key))
	return ConfirmationID(mac.Sum(nil)[:16])
}

// Confirm gives the person who has the code of a mail the place of Join, however often and from wherever they come: they have
// one number. Faults: confirmation_required with a reason (wrong_code, too_many, lapsed), and those of Join.
func (rs *Rooms) Confirm(ctx context.Context, eventID int64, confirmation, code string) (Ticket, string, error) {
	rm, err := rs.room(eventID)
	if err != nil {
		return Ticket{}, "", err
	}
	if err := rm.view.Load().takesNumbers(); err != nil {
		return Ticket{}, "", err
	}
	id, err := ParseConfirmation(confirmation)
	if err != nil {
		return Ticket{}, "", refusal(ErrCodeLapsed)
	}
	tried, err := rm.tries.do(ctx, Try{ID: id, Code: digits(code)})
	if err != nil {
		return Ticket{}, "", refusal(err)
	}
	if errors.Is(tried.Err, ErrWrongCode) {
		return Ticket{}, "", refusal(ErrWrongCode).With("attempts_left", max(maxAttempts-tried.Confirmation.Attempts, 0))
	}
	if tried.Err != nil {
		return Ticket{}, "", refusal(tried.Err)
	}
	address, err := rs.cfg.Signer.Address(&tried.Confirmation)
	if err != nil {
		return Ticket{}, "", err
	}
	t, err := rm.join(ctx, &rm.view.Load().record, rs.personOf(eventID, address), true)
	if err != nil {
		return Ticket{}, "", refusal(err)
	}
	return t, rs.cfg.Signer.Ticket(t), nil
}

// digits drops what people and their keyboards put between and around the digits of a code.
func digits(code string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '-' {
			return -1
		}
		return r
	}, code)
}

// Theirs reports whether a pass may be used by whoever has that e-mail address, or another of the same mailbox: always, unless it
// was given to a person.
func (rs *Rooms) Theirs(p Pass, address string) bool {
	if !p.Person {
		return true
	}
	normal, ok := person.Email(address)
	return ok && rs.personOf(p.EventID, normal) == p.Visitor
}

// personOf returns the visitor of whoever reads the mails to an address. With a number for every address of a mailbox (siti+1@,
// siti+2@) bots drew six again: a rehearsal's people had their places 1.9 holds later, and 0.8 with one.
func (rs *Rooms) personOf(eventID int64, address string) Visitor {
	return PersonVisitor(rs.cfg.Persons, eventID, person.Mailbox(address))
}

func (rm *room) askMany(ctx context.Context, asks []Confirmation) ([]Confirmation, error) {
	id := func(c Confirmation) ConfirmationID { return c.ID }
	return once(asks, id, func(distinct []Confirmation) ([]Confirmation, error) {
		return rm.cfg.Store.AskConfirmations(ctx, distinct, rm.now().Truncate(time.Millisecond))
	})
}

func (rm *room) tryMany(ctx context.Context, tries []Try) ([]TryOutcome, error) {
	same := func(t Try) Try { return t }
	return once(tries, same, func(distinct []Try) ([]TryOutcome, error) {
		return rm.cfg.Store.TryCodes(ctx, rm.set.Load().EventID, distinct, rm.cfg.Signer.right, rm.now())
	})
}

// forgetEvery is how often confirmations are looked through for those to forget, and keepLapsed how long they are kept after
// they have lapsed: their last mail may still be on its way, and finds nothing to say then.
const (
	forgetEvery = 10 * time.Minute
	keepLapsed  = time.Hour
)

// forget removes the addresses of those whose codes have lapsed.
func (rm *room) forget(ctx context.Context, now time.Time) error {
	if now.Sub(rm.forgot) < forgetEvery {
		return nil
	}
	if err := rm.cfg.Store.ForgetConfirmations(ctx, rm.set.Load().EventID, now.Add(-keepLapsed)); err != nil {
		return err
	}
	rm.forgot = now
	return nil
}

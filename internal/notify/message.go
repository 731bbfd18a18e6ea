// Package notify decides which message goes to whom, once: the mails that follow an order through its life and the
// newsletters to many. It writes subject, text and HTML in Indonesian and English; turning them into MIME and sending them
// is the business of a Sender.
package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/mail"
	"strconv"
	"strings"
	"time"
	"unicode"

	"gapura/internal/id"
)

// Kind is what a message is about.
type Kind string

// The kinds of messages.
const (
	OrderReceived  Kind = "order_received"  // a place is held; how to pay and until when
	OrderConfirmed Kind = "order_confirmed" // paid or free; the tickets
	OrderExpired   Kind = "order_expired"   // not paid in time
	OrderCancelled Kind = "order_cancelled"
	RefundDone     Kind = "refund_done"
	PaidNoPlace    Kind = "paid_no_place" // the money came after the place was gone
	Broadcast      Kind = "broadcast"     // an organiser writes to many
)

// OrderKinds lists the kinds that are about one order.
func OrderKinds() []Kind {
	return []Kind{OrderReceived, OrderConfirmed, OrderExpired, OrderCancelled, RefundDone, PaidNoPlace}
}

// Class says who goes first when connections are scarce.
type Class int

// The classes, in the order in which they are served.
const (
	Transactional Class = iota // someone is waiting for it
	Bulk                       // newsletters
)

// Address is a mailbox and whose it is.
type Address struct {
	Name  string
	Email string
}

// Attachment is a file that goes with a message.
type Attachment struct {
	Name    string // such as tiket-GNR27-000123.pdf
	Type    string // media type
	Content []byte
}

// Message is one mail to one person, independent of how it travels. Its strings are clean: header values are single lines.
type Message struct {
	ID          string // Message-ID without angle brackets; the same for every attempt to send the same message
	Kind        Kind
	Class       Class
	Locale      string // id or en
	From        Address
	ReplyTo     string // empty: From
	To          Address
	Subject     string
	Text        string
	HTML        string
	Attachments []Attachment
	Unsubscribe string // HTTPS address that takes a one-click POST (RFC 8058); only for Bulk
	Date        time.Time
}

// orderMessageID names the message of that kind about a state of an order. A repeated job makes the same name, by which the
// ledger knows that it was sent, and mail programs that it is the same mail.
func orderMessageID(order id.ID, kind Kind, version int, domain string) string {
	return order.String() + "." + string(kind) + "." + strconv.Itoa(version) + "@" + domain
}

// broadcastMessageID names a campaign's message to a recipient without telling the address to every server on the way.
func broadcastMessageID(campaign int64, email, domain string) string {
	sum := sha256.Sum256([]byte(email))
	return "broadcast." + strconv.FormatInt(campaign, 10) + "." + hex.EncodeToString(sum[:12]) + "@" + domain
}

// ErrNoAddress is returned for a recipient who cannot get mail.
var ErrNoAddress = errors.New("no valid mail address")

// check refuses what must not reach a mail server, whatever the caller did.
func (m Message) check() error {
	for _, email := range []string{m.From.Email, m.To.Email} {
		if !validEmail(email) {
			return fmt.Errorf("message %s: %w", m.ID, ErrNoAddress)
		}
	}
	if m.ReplyTo != "" && !validEmail(m.ReplyTo) {
		return fmt.Errorf("message %s: the reply address is not valid", m.ID)
	}
	for _, header := range []string{m.ID, m.Subject, m.From.Name, m.To.Name, m.Unsubscribe} {
		if strings.ContainsFunc(header, unicode.IsControl) {
			return fmt.Errorf("message %s: a header value has control characters", m.ID)
		}
	}
	if m.Class == Bulk && !strings.HasPrefix(m.Unsubscribe, "https://") && !strings.HasPrefix(m.Unsubscribe, "http://") {
		return fmt.Errorf("message %s: a newsletter needs an address to unsubscribe", m.ID)
	}
	return nil
}

// validEmail takes plain addresses only: no display name, no comment, no quoting, at most the 254 bytes of RFC 5321.
func validEmail(email string) bool {
	parsed, err := mail.ParseAddress(email)
	return err == nil && parsed.Address == email && parsed.Name == "" && len(email) <= 254 && !strings.ContainsAny(email, "\"<> ")
}

// longest is the most characters of a single-line value; names and subjects beyond it are cut.
const longest = 200

// clean makes one line of what a person typed: no line breaks, controls or invisible direction marks, so that it can be
// neither a second header nor a second paragraph.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > longest {
		s = string(runes[:longest-1]) + "…"
	}
	return s
}

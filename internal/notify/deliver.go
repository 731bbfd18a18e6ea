package notify

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"gapura/internal/clock"
)

// Fate is what a failed attempt to send means.
type Fate string

// The fates of a failed attempt.
const (
	Temporary Fate = "temporary" // nothing was accepted; try again later
	Ambiguous Fate = "ambiguous" // the connection ended after the whole message was sent: it may have arrived
	Bounced   Fate = "bounced"   // the mailbox does not take mail, and will not
	Rejected  Fate = "rejected"  // this message is refused for good, whoever it is for
)

// SendError is why a message was not sent. It never contains an address.
type SendError struct {
	Fate     Fate
	Code     int    // SMTP reply code; 0: there was no reply
	Enhanced string // RFC 3463 status such as 5.1.1; may be empty
	Stage    string // what was being done: connect, MAIL, RCPT, DATA, end of DATA
	Cause    error
}

// Error says what happened, for logs.
func (e *SendError) Error() string {
	s := string(e.Fate) + " at " + e.Stage
	if e.Code != 0 {
		s += ": reply " + strconv.Itoa(e.Code)
	}
	if e.Enhanced != "" {
		s += " " + e.Enhanced
	}
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *SendError) Unwrap() error { return e.Cause }

// FateOf returns the fate of a failed attempt; an error of unknown origin is temporary, so that nothing is dropped.
func FateOf(err error) Fate {
	var e *SendError
	if errors.As(err, &e) {
		return e.Fate
	}
	return Temporary
}

// Sender hands a message to a mail server. A nil error means that the server took responsibility; any other is a
// *SendError or a context's.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

// Outcome is how a message ended.
type Outcome string

// The ways a message ends.
const (
	Sent       Outcome = "sent"
	Bounce     Outcome = "bounced"    // and the address is suppressed from now on
	Suppressed Outcome = "suppressed" // not tried: mail to the address bounced before
	Refused    Outcome = "refused"    // a server refused the message for good; only in a chunk, where the others go on
	Repeated   Outcome = "repeated"   // it had ended before; nothing was done
)

// Delivery is the record of a message's end.
type Delivery struct {
	MessageID string
	Kind      Kind
	Outcome   Outcome
	Detail    string // for Bounce and Refused, the server's codes
	At        time.Time
}

// Ledger remembers what was sent and to whom nothing can be sent.
type Ledger interface {
	// Ended reports whether the message with that ID has a Delivery.
	Ended(ctx context.Context, messageID string) (bool, error)
	// Record stores a delivery; a second one for the same message changes nothing.
	Record(ctx context.Context, d Delivery) error
	// Suppressed reports whether mail to the address bounced.
	Suppressed(ctx context.Context, email string) (bool, error)
	// Suppress stores that it did, and why.
	Suppress(ctx context.Context, email, reason string) error
}

// recordTimeout bounds the bookkeeping after a message was sent, which must not end with the job's context: a message
// that was sent but not recorded is sent again.
const recordTimeout = 5 * time.Second

// Postman sends each message once. Between a server's acceptance and the record lies SMTP's own window: a crash there
// sends the message a second time, under the same Message-ID.
type Postman struct {
	sender Sender
	ledger Ledger
	clock  clock.Clock
}

// NewPostman returns a postman.
func NewPostman(sender Sender, ledger Ledger, c clock.Clock) *Postman {
	return &Postman{sender: sender, ledger: ledger, clock: c}
}

// Deliver sends m unless it was sent before or its address is known to bounce. A bounce is an end and no error: the address
// is suppressed. Errors are for a retry if FateOf says Temporary or Ambiguous, and for the dead letters if Rejected.
func (p *Postman) Deliver(ctx context.Context, m Message) (Outcome, error) {
	if err := m.check(); err != nil {
		return "", &SendError{Fate: Rejected, Stage: "compose", Cause: err}
	}
	ended, err := p.ledger.Ended(ctx, m.ID)
	if err != nil {
		return "", fmt.Errorf("delivery of %s: %w", m.ID, err)
	}
	if ended {
		return Repeated, nil
	}
	suppressed, err := p.ledger.Suppressed(ctx, m.To.Email)
	if err != nil {
		return "", fmt.Errorf("suppression for %s: %w", m.ID, err)
	}
	if suppressed {
		return p.end(ctx, m, Suppressed, "")
	}
	err = p.sender.Send(ctx, m)
	switch {
	case err == nil:
		return p.end(ctx, m, Sent, "")
	case FateOf(err) == Bounced:
		return p.bounced(ctx, m, err)
	default:
		return "", fmt.Errorf("send %s: %w", m.ID, err)
	}
}

func (p *Postman) bounced(ctx context.Context, m Message, cause error) (Outcome, error) {
	keep, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	reason := cause.Error()
	if err := p.ledger.Suppress(keep, m.To.Email, reason); err != nil {
		return "", fmt.Errorf("suppress the address of %s: %w", m.ID, err)
	}
	return p.end(keep, m, Bounce, reason)
}

func (p *Postman) end(ctx context.Context, m Message, outcome Outcome, detail string) (Outcome, error) {
	keep, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	d := Delivery{MessageID: m.ID, Kind: m.Kind, Outcome: outcome, Detail: detail, At: p.clock.Now()}
	if err := p.ledger.Record(keep, d); err != nil {
		return "", fmt.Errorf("record %s: %w", m.ID, err)
	}
	return outcome, nil
}

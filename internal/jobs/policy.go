package jobs

import (
	"math/rand/v2"
	"time"
)

// Provider is somebody else's service, with a circuit breaker and a limit of its own in every worker.
type Provider string

// The providers that jobs talk to.
const (
	NoProvider Provider = ""
	Midtrans   Provider = "midtrans"
	SMTP       Provider = "smtp"
)

// Policy is how a kind of job is tried.
type Policy struct {
	Provider    Provider
	Timeout     time.Duration // of one attempt
	Limit       int           // attempts; after the last the job is a dead letter
	Base, Cap   time.Duration // of the back-off between attempts
	Concurrency int           // attempts at the same time in one process; 0: as many as its queue has workers
	Exclusive   bool          // two attempts of one job never run beside each other, also after a carrier lost the first
}

// YieldWithin is how long a job of an exclusive kind waits before it is sent again: whoever may still be at it finds out and stops.
const YieldWithin = 3 * time.Second

// Policy returns how jobs of kind k are tried. A kind that asks somebody else is tried for hours, because their outages last
// hours; one that only computes is a fault of ours after a few minutes, and a person should see it.
func (k Kind) Policy() Policy {
	switch k {
	case PaymentStart:
		return Policy{Provider: Midtrans, Timeout: 30 * time.Second, Limit: 12, Base: time.Second, Cap: time.Minute}
	case PaymentConfirm, PaymentAsk, PaymentRefund:
		return Policy{Provider: Midtrans, Timeout: 30 * time.Second, Limit: 25, Base: 2 * time.Second, Cap: 15 * time.Minute}
	case MailSend:
		return Policy{Provider: SMTP, Timeout: time.Minute, Limit: 20, Base: 5 * time.Second, Cap: 30 * time.Minute, Exclusive: true}
	case MailConfirm: // a code that comes after half an hour is worth nothing
		return Policy{Provider: SMTP, Timeout: time.Minute, Limit: 12, Base: 2 * time.Second, Cap: 5 * time.Minute, Exclusive: true}
	case MailBroadcast:
		return Policy{Provider: SMTP, Timeout: 10 * time.Minute, Limit: 20, Base: 5 * time.Second, Cap: 30 * time.Minute, Concurrency: 2, Exclusive: true}
	case TicketRender, InvoiceRender: // as many as share a transaction; they are rendered one after the other
		return Policy{Timeout: time.Minute, Limit: 10, Base: time.Second, Cap: 5 * time.Minute, Concurrency: 16}
	case OrderPlaced, OrderChanged, Noop:
	}
	return Policy{Timeout: 30 * time.Second, Limit: 15, Base: 500 * time.Millisecond, Cap: 2 * time.Minute}
}

// Backoff returns how long to wait after attempt number attempt has failed with err: exponential with full jitter, so that
// jobs that failed together do not come back together, and at least as long as err asks for.
func (p Policy) Backoff(attempt int, err error, random func(n int64) int64) time.Duration {
	ceiling := p.Cap
	if shift := max(attempt-1, 0); p.Base <= p.Cap>>shift { // the other way round it could overflow
		ceiling = p.Base << shift
	}
	return max(time.Duration(random(int64(ceiling)+1)), DelayOf(err))
}

// Random returns a number in [0, n).
func Random(n int64) int64 { return rand.Int64N(n) }

// Package jobs is everything that happens after an acknowledgement: what there is to do, how often it is tried, and what
// becomes of what cannot be done. The database's outbox is the truth about it; the queue in Redis only carries it to the
// workers and may be wiped at any time.
package jobs

import (
	"errors"
	"time"

	"gapura/internal/id"
)

// Queue is a lane of its own, so that a flood of one kind never delays a more urgent one.
type Queue string

// The queues, the most urgent first. Planning is before all: a payment page that nobody has planned yet cannot wait for
// tickets to be rendered, nor for a provider's limit. Who has paid comes before those who want to: at an opening thousands of
// pages wait for the provider's 50 a second.
const (
	Plan    Queue = "plan"
	Confirm Queue = "confirm"
	Payment Queue = "payment"
	Ticket  Queue = "ticket"
	Mail    Queue = "mail"
	Bulk    Queue = "bulk"
)

// Queues lists the queues, the most urgent first.
func Queues() []Queue { return []Queue{Plan, Confirm, Payment, Ticket, Mail, Bulk} }

// CanWait reports whether q can wait while registrations need the machine. What has to do with money cannot.
func (q Queue) CanWait() bool { return q != Confirm && q != Payment }

// Kind says what is to be done.
type Kind string

// The kinds of jobs.
const (
	OrderPlaced    Kind = "order.placed"    // a new order: plan what follows from its first state
	OrderChanged   Kind = "order.changed"   // an order has a new state: plan what follows from it
	PaymentStart   Kind = "payment.start"   // make the provider's page for an unpaid order
	PaymentConfirm Kind = "payment.confirm" // Arg is a kept notification's key: ask the provider and apply its answer
	PaymentAsk     Kind = "payment.ask"     // ask the provider about an attempt, Arg is its number
	PaymentRefund  Kind = "payment.refund"  // Arg is the refund's key
	TicketRender   Kind = "ticket.render"   // render the order's ticket documents
	InvoiceRender  Kind = "invoice.render"  // number and render the order's invoice
	MailSend       Kind = "mail.send"       // Arg is the kind of the mail
	MailConfirm    Kind = "mail.confirm"    // Arg is a confirmation of a waiting room, Version counts its mails: send its code
	MailBroadcast  Kind = "mail.broadcast"  // Arg is the broadcast's id: send its next chunk
	Noop           Kind = "noop"            // nothing; to measure the way
)

// Kinds lists the kinds, in the order in which an order meets them.
func Kinds() []Kind {
	return []Kind{
		OrderPlaced, OrderChanged, PaymentStart, PaymentConfirm, PaymentAsk, PaymentRefund, TicketRender, InvoiceRender, MailSend,
		MailConfirm, MailBroadcast, Noop,
	}
}

// Queue returns the queue that a kind goes through.
func (k Kind) Queue() Queue {
	switch k {
	case OrderPlaced, OrderChanged:
		return Plan
	case PaymentConfirm:
		return Confirm
	case PaymentStart, PaymentAsk, PaymentRefund:
		return Payment
	case MailSend, MailConfirm:
		return Mail
	case MailBroadcast, Noop:
		return Bulk
	case TicketRender, InvoiceRender:
	}
	return Ticket
}

// Job is one thing to do. Doing it twice must be harmless: a worker that dies after the effect has it done again.
type Job struct {
	ID      int64 // the outbox row's
	Kind    Kind
	EventID int64
	Order   id.ID
	Version int // of the order, when it was planned
	Arg     string
	Attempt int // counts from 1
	Sends   int // how often it was sent to the queue; an older sending is void
	Created time.Time
}

// New is a job to be planned, in the transaction of what it follows from.
type New struct {
	Kind      Kind
	EventID   int64
	Order     id.ID
	Version   int
	Arg       string
	NotBefore time.Time // zero: at once
}

// permanent marks an error that trying again cannot mend.
type permanent struct{ error }

// Unwrap returns the cause.
func (p permanent) Unwrap() error { return p.error }

// Permanent sends the job to the dead letters at once.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanent{err}
}

// IsPermanent reports whether err is marked so.
func IsPermanent(err error) bool {
	var p permanent
	return errors.As(err, &p)
}

// delayed is a temporary error whose source said when to come back.
type delayed struct {
	error
	after time.Duration
}

// Unwrap returns the cause.
func (d delayed) Unwrap() error { return d.error }

// After makes the next attempt come no earlier than d from now.
func After(err error, d time.Duration) error { return delayed{err, d} }

// early is the error of a job whose moment has not come.
type early struct{ error }

// Unwrap returns the cause.
func (e early) Unwrap() error { return e.error }

// Early sends the job back for d at no cost of an attempt: nothing was tried yet, because somebody else is at it or something
// it needs is not there. The caller makes sure that this comes to an end.
func Early(err error, d time.Duration) error { return early{delayed{err, d}} }

// IsEarly reports whether err is marked so.
func IsEarly(err error) bool {
	var e early
	return errors.As(err, &e)
}

// DelayOf returns the wait that err asks for, or 0.
func DelayOf(err error) time.Duration {
	var d delayed
	if errors.As(err, &d) {
		return d.after
	}
	return 0
}

// Package fulfil is what follows an order's new state: tickets are issued or made void, invoices numbered, documents
// rendered and mails sent, each once, whatever crashes in between.
package fulfil

import (
	"time"

	"gapura/internal/id"
	"gapura/internal/jobs"
	"gapura/internal/money"
	"gapura/internal/notify"
	"gapura/internal/registration"
)

// Ticket is an issued ticket.
type Ticket struct {
	Order    id.ID
	Position int
	EventID  int64
	Serial   int // 1 for the first; a reissue has the next
	IssuedAt time.Time
	Void     bool
}

// Order is what a plan depends on. It is read for every order at the opening, so it leaves out who takes part.
type Order struct {
	ID        id.ID
	EventID   int64
	Status    registration.Status
	Version   int
	Total     money.Rupiah
	Positions []int // of the participants
}

// Follow is an order as it stands, with its tickets, and the job that asks what follows.
type Follow struct {
	Job     jobs.Job
	Order   Order
	Tickets []Ticket // by position
}

// Plan is what follows.
type Plan struct {
	Issue []Ticket // new, or a void one issued again
	Void  bool     // all tickets of the order
	Jobs  []jobs.New
}

// Decide plans what follows from the order's present state. It is safe to repeat: what exists is not planned again, and
// mails have a name by which a second one is recognised.
func Decide(now time.Time, f Follow) Plan {
	o := f.Order
	if f.Job.Version < o.Version {
		return Plan{} // a job of the newer state exists, in the transaction that made it
	}
	p := Plan{}
	switch o.Status {
	case registration.AwaitingPayment:
		p.add(o, jobs.PaymentStart, "")
		p.mail(o, notify.OrderReceived)
	case registration.Confirmed:
		p.Issue = missing(now, o, f.Tickets)
		p.add(o, jobs.TicketRender, "")
		if o.Total > 0 {
			p.add(o, jobs.InvoiceRender, "")
		}
		p.mail(o, notify.OrderConfirmed)
	case registration.Expired:
		p.mail(o, notify.OrderExpired)
	case registration.Cancelled:
		p.Void = true
		p.mail(o, notify.OrderCancelled)
	case registration.Refunding:
		p.Void = true
	case registration.Refunded:
		p.Void = true
		p.mail(o, notify.RefundDone)
	case registration.PaidNoPlace:
		p.mail(o, notify.PaidNoPlace)
	}
	return p
}

func (p *Plan) add(o Order, kind jobs.Kind, arg string) {
	p.Jobs = append(p.Jobs, jobs.New{Kind: kind, EventID: o.EventID, Order: o.ID, Version: o.Version, Arg: arg})
}

func (p *Plan) mail(o Order, kind notify.Kind) { p.add(o, jobs.MailSend, string(kind)) }

// missing lists the tickets that a confirmed order does not have.
func missing(now time.Time, o Order, have []Ticket) []Ticket {
	byPosition := map[int]Ticket{}
	for _, t := range have {
		byPosition[t.Position] = t
	}
	var issue []Ticket
	for _, position := range o.Positions {
		t, exists := byPosition[position]
		if exists && !t.Void {
			continue
		}
		issue = append(issue, Ticket{Order: o.ID, Position: position, EventID: o.EventID, Serial: t.Serial + 1, IssuedAt: now})
	}
	return issue
}

package audit

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"gapura/internal/id"
	"gapura/internal/jobs"
	"gapura/internal/notify"
	"gapura/internal/payment"
	"gapura/internal/registration"
)

// Account is everything that was made for one order after its acknowledgement.
type Account struct {
	Order     registration.Order // without participants
	People    int                // participants
	Tickets   int                // that are not void
	Stray     int                // not void, of a position that has no participant
	Invoices  int
	Documents []string // kinds: tickets, invoice
}

// Book is one seller's year of invoices.
type Book struct {
	Organiser     string
	Year          int
	Last          int // the last number given, as the row that numbering locks says
	Count         int
	First, Latest int // the lowest and the highest number among the invoices; 0 if there are none
}

// Waiting is a job that is not done.
type Waiting struct {
	Kind  jobs.Kind
	Order id.ID
	Arg   string
	Dead  bool // it waits for a person
	Given bool // up: a person has discarded it
}

// Effects is one snapshot of what follows the acknowledgements of an event.
type Effects interface {
	Accounts(ctx context.Context, each func(Account) error) error
	Cases(ctx context.Context, each func(payment.Case) error) error
	Books(ctx context.Context) ([]Book, error)
	// Orphans returns how many of the event's tickets, and how many invoices at all, belong to no order.
	Orphans(ctx context.Context) (int, error)
	// Waiting calls each with every job of the event and every one that belongs to none, dead letters included.
	Waiting(ctx context.Context, each func(Waiting)) error
	// Mails calls each with how every message of an order ended.
	Mails(ctx context.Context, each func(messageID string)) error
}

// mail names one message of an order.
type mail struct {
	order   id.ID
	kind    notify.Kind
	version string
}

// aftermath checks what followed.
type aftermath struct {
	waiting map[id.ID][]Waiting
	mails   map[mail]int
	queued  int
	dead    int

	late, forgotten int // orders whose effects are on their way; that wait for a person
	tickets         int // participants of confirmed orders without a ticket, or with one they should not have
	invoices        int // orders without the invoice they should have, or with one they should not have
	missing         int // effects that nothing will bring about
	doubled         int
	confirmed, paid int
}

// Followed checks invariants 7, 8 and 10 of one event. A job that still waits, or a dead letter, explains an effect that is
// missing: it is counted and not broken.
func Followed(ctx context.Context, slug string, s Effects) ([]Finding, error) {
	a := &aftermath{waiting: map[id.ID][]Waiting{}, mails: map[mail]int{}}
	if err := s.Waiting(ctx, a.wait); err != nil {
		return nil, fmt.Errorf("read jobs: %w", err)
	}
	if err := s.Mails(ctx, a.sent); err != nil {
		return nil, fmt.Errorf("read mails: %w", err)
	}
	if err := s.Accounts(ctx, a.order); err != nil {
		return nil, fmt.Errorf("read what orders have: %w", err)
	}
	books, err := s.Books(ctx)
	if err != nil {
		return nil, fmt.Errorf("read invoice numbers: %w", err)
	}
	orphans, err := s.Orphans(ctx)
	if err != nil {
		return nil, fmt.Errorf("look for orphans: %w", err)
	}
	a.tickets += orphans
	money, err := balances(ctx, s)
	if err != nil {
		return nil, err
	}
	findings := append(a.seventh(books), money, a.tenth())
	for i := range findings {
		findings[i].Event = slug
	}
	return findings, nil
}

func (a *aftermath) wait(w Waiting) {
	switch {
	case w.Dead:
		a.dead++
	case !w.Given:
		a.queued++
	}
	if !w.Order.IsNil() {
		a.waiting[w.Order] = append(a.waiting[w.Order], w)
	}
}

// sent reads a Message-ID, order.kind.version@domain; those of newsletters belong to no order.
func (a *aftermath) sent(messageID string) {
	name, _, _ := strings.Cut(messageID, "@")
	parts := strings.Split(name, ".")
	if len(parts) != 3 {
		return
	}
	if order, err := id.Parse(parts[0]); err == nil {
		a.mails[mail{order, notify.Kind(parts[1]), parts[2]}]++
	}
}

// state is what explains a missing effect.
type state int

const (
	unexplained state = iota
	onItsWay
	waitsForAPerson
)

// explained tells whether a job of one of the kinds, with that argument, is still to bring an effect about. A planning job
// explains every one.
func (a *aftermath) explained(order id.ID, arg string, kinds ...jobs.Kind) state {
	found := unexplained
	for _, w := range a.waiting[order] {
		plans := w.Kind == jobs.OrderPlaced || w.Kind == jobs.OrderChanged
		for _, kind := range kinds {
			plans = plans || w.Kind == kind && w.Arg == arg
		}
		switch {
		case plans && !w.Dead && !w.Given:
			return onItsWay
		case plans:
			found = waitsForAPerson
		}
	}
	return found
}

// need notes an effect that is not there; wrong counts it if nothing will bring it about.
func (a *aftermath) need(s state, wrong *int, n int) {
	switch s {
	case onItsWay:
		a.late++
	case waitsForAPerson:
		a.forgotten++
	default:
		*wrong += n
	}
}

func (a *aftermath) order(t Account) error {
	confirmed := t.Order.Status == registration.Confirmed
	owed := 0
	if confirmed {
		a.confirmed++
		owed = t.People
	}
	if t.Tickets != owed || t.Stray > 0 {
		a.need(a.explained(t.Order.ID, ""), &a.tickets, max(owed-t.Tickets, t.Tickets-owed)+t.Stray)
	}
	a.invoice(t, confirmed && t.Order.Total > 0)
	if confirmed && !has(t, "tickets") {
		a.need(a.explained(t.Order.ID, "", jobs.TicketRender), &a.missing, 1)
	}
	if kind := mailOf(t.Order.Status); kind != "" {
		switch n := a.mails[mail{t.Order.ID, kind, strconv.Itoa(t.Order.Version)}]; {
		case n > 1:
			a.doubled++
		case n == 0:
			a.need(a.explained(t.Order.ID, string(kind), jobs.MailSend), &a.missing, 1)
		}
	}
	return nil
}

// invoice: an order that was refunded keeps the one it had; one that never cost anything has none.
func (a *aftermath) invoice(t Account, owed bool) {
	if owed {
		a.paid++
	}
	switch {
	case owed && t.Invoices == 0:
		a.need(a.explained(t.Order.ID, "", jobs.InvoiceRender), &a.invoices, 1)
	case t.Invoices > 1, t.Invoices == 1 && !everPaid(t.Order):
		a.invoices++
	case owed && !has(t, "invoice"):
		a.need(a.explained(t.Order.ID, "", jobs.InvoiceRender), &a.missing, 1)
	}
}

// everPaid: an invoice is numbered for a confirmed order only; where it can stand afterwards is where its money went back.
func everPaid(o registration.Order) bool {
	return o.Total > 0 && o.Status != registration.AwaitingPayment && o.Status != registration.Expired
}

func has(t Account, kind string) bool {
	for _, d := range t.Documents {
		if d == kind {
			return true
		}
	}
	return false
}

// mailOf is the mail that an order in a state has got.
func mailOf(s registration.Status) notify.Kind {
	switch s {
	case registration.AwaitingPayment:
		return notify.OrderReceived
	case registration.Confirmed:
		return notify.OrderConfirmed
	case registration.Expired:
		return notify.OrderExpired
	case registration.Cancelled:
		return notify.OrderCancelled
	case registration.Refunded:
		return notify.RefundDone
	case registration.PaidNoPlace:
		return notify.PaidNoPlace
	case registration.Refunding: // the mail comes when the money has gone
	}
	return ""
}

func (a *aftermath) seventh(books []Book) []Finding {
	gaps := 0
	for _, b := range books {
		if b.Count != b.Last || b.Latest != b.Last || (b.Count > 0 && b.First != 1) {
			gaps++
		}
	}
	text := fmt.Sprintf("%d confirmed orders: %d tickets missing or too many; %d paid: %d invoices missing or too many, %d of %d books with a gap",
		a.confirmed, a.tickets, a.paid, a.invoices, gaps, len(books))
	return []Finding{{Invariant: 7, Broken: a.tickets > 0 || a.invoices > 0 || gaps > 0, Text: text}}
}

// balances checks every order's books, and their sum.
func balances(ctx context.Context, s Effects) (Finding, error) {
	var sum payment.Sheet
	orders, breached := 0, 0
	first := ""
	err := s.Cases(ctx, func(c payment.Case) error {
		orders++
		sum = sum.Plus(c.Sheet())
		if breaches := payment.Balance(c); len(breaches) > 0 {
			if breached++; first == "" {
				first = fmt.Sprintf(", such as %s: %s", c.Order.Number, breaches[0])
			}
		}
		return nil
	})
	if err != nil {
		return Finding{}, fmt.Errorf("read money: %w", err)
	}
	return Finding{Invariant: 8, Broken: breached > 0 || !sum.Balanced(), Text: fmt.Sprintf(
		"%d orders with a price: in %s = paid %s + owed %s + refunded %s; %d do not balance%s", orders, sum.In, sum.Paid, sum.Owed, sum.Refunded,
		breached, first)}, nil
}

func (a *aftermath) tenth() Finding {
	text := fmt.Sprintf("%d effects missing, %d doubled", a.missing, a.doubled)
	if a.queued > 0 {
		text += fmt.Sprintf("; %d jobs are waiting, %d effects with them", a.queued, a.late)
	}
	if a.dead > 0 {
		text += fmt.Sprintf("; %d dead letters wait for a person (gapura queue list), %d effects with them", a.dead, a.forgotten)
	}
	return Finding{Invariant: 10, Broken: a.missing > 0 || a.doubled > 0, Text: text}
}

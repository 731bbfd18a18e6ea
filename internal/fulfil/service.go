package fulfil

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"time"

	"gapura/internal/clock"
	"gapura/internal/event"
	"gapura/internal/gather"
	"gapura/internal/id"
	"gapura/internal/jobs"
	"gapura/internal/lifecycle"
	"gapura/internal/money"
	"gapura/internal/notify"
	"gapura/internal/registration"
	"gapura/internal/ticket"
)

// DocumentKind names a stored document of an order.
type DocumentKind string

// The documents of an order.
const (
	TicketsPDF DocumentKind = "tickets"
	InvoicePDF DocumentKind = "invoice"
)

// Document is a rendered file.
type Document struct {
	Order   id.ID
	Kind    DocumentKind
	Version int // of the order it was rendered for
	Name    string
	Content []byte
}

// Kept is a document to be stored, and the job that ends with it.
type Kept struct {
	Document
	Job jobs.Job
}

// InvoiceNumber is an order's place in the seller's books.
type InvoiceNumber struct {
	Order     id.ID
	Organiser string // who sells; empty: whoever runs the server
	Year      int    // by the event's zone
	Number    int    // counts from 1 without gaps per organiser and year
	IssuedAt  time.Time
}

// String writes the number as invoices show it.
func (n InvoiceNumber) String() string {
	return fmt.Sprintf("INV/%d/%06d", n.Year, n.Number)
}

// Receipt is how an order was paid.
type Receipt struct {
	Method    string // the provider's name of the channel
	Reference string // the provider's transaction id
	PaidAt    time.Time
	Refunded  money.Rupiah
}

// ErrNoDocument says that an order has no such document (yet).
var ErrNoDocument = errors.New("no such document")

// Store is what fulfilment needs of the database.
type Store interface {
	Order(ctx context.Context, order id.ID) (registration.Order, error)
	EventByID(ctx context.Context, eventID int64) (*event.Event, error)
	// Follow locks the orders of the jobs, has decide plan what follows from each, and writes the plans and the end of the
	// jobs in one transaction.
	Follow(ctx context.Context, now time.Time, batch []jobs.Job, decide func(Follow) Plan) error
	// FollowNew does the same with at most n new jobs of jobs.Plan that nobody has claimed, and returns them.
	FollowNew(ctx context.Context, now time.Time, n int, decide func(Follow) Plan) ([]jobs.Job, error)
	Tickets(ctx context.Context, order id.ID) ([]Ticket, error)
	// NumberInvoices gives every order of the batch its number, the same one if it has one, in one transaction.
	NumberInvoices(ctx context.Context, batch []InvoiceNumber) ([]InvoiceNumber, error)
	// Receipt returns how the order was paid; the zero Receipt if it was not.
	Receipt(ctx context.Context, order id.ID) (Receipt, error)
	// KeepDocuments stores documents, each in the place of an older one, and ends their jobs in the same transaction.
	KeepDocuments(ctx context.Context, kept []Kept) error
	Document(ctx context.Context, order id.ID, kind DocumentKind) (Document, error) // ErrNoDocument
}

// Links are the addresses that documents and mails lead to.
type Links struct {
	BaseURL func() string
	Token   func(order id.ID) string
}

func (l Links) order(order id.ID) string {
	return l.BaseURL() + "/orders/" + order.String() + "?token=" + l.Token(order)
}

func (l Links) document(order id.ID, file string) string {
	return l.BaseURL() + "/orders/" + order.String() + "/" + file + "?token=" + l.Token(order)
}

// Service carries fulfilment out. Its job methods return nil when the effect is in the database.
type Service struct {
	Store    Store
	Clock    clock.Clock
	Signer   *ticket.Signer
	Printer  *ticket.Printer
	Composer *notify.Composer
	Postman  *notify.Postman
	Links    Links
	// Busy reports whether registrations need the processor now; nil: never. Rendering then takes a fifth of one processor.
	Busy func() bool

	renderers chan struct{}
	invoices  *gather.Gatherer[*call[InvoiceNumber, InvoiceNumber]]
	documents *gather.Gatherer[*call[Kept, struct{}]]
}

// call is a job's part in a gathered transaction.
type call[In, Out any] struct {
	in   In
	out  Out
	err  error
	done chan struct{}
}

// gathered bounds one transaction of numbering: at 100 it takes about 10 ms.
const gathered = 100

// gatheredDocuments bounds one transaction of documents, of 20 kB each: most of what keeping one costs is the commit.
const gatheredDocuments = 16

// Start runs the gatherers in goroutines of g.
func (s *Service) Start(g *lifecycle.Group) {
	limits := gather.Limits{Queue: 10_000, Batch: gathered}
	s.renderers = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))
	s.invoices = gather.New(limits, s.numberMany)
	s.documents = gather.New(gather.Limits{Queue: limits.Queue, Batch: gatheredDocuments}, s.keepMany)
	g.Go("documents", func(ctx context.Context) { s.documents.Work(ctx, gatheredDrain) })
	g.Go("invoice numbers", func(ctx context.Context) { s.invoices.Work(ctx, gatheredDrain) })
}

// gatheredDrain is how long a stop waits for what was gathered; what does not end is done again by its job.
const gatheredDrain = 5 * time.Second

func join[In, Out any](g *gather.Gatherer[*call[In, Out]], in In) (Out, error) {
	c := &call[In, Out]{in: in, done: make(chan struct{})}
	if err := g.Offer(c); err != nil {
		return c.out, err
	}
	<-c.done
	return c.out, c.err
}

// Follow plans what follows from an order's new state, in a transaction of its own: what comes here could not be planned with
// others, and the one at fault must fail alone.
func (s *Service) Follow(ctx context.Context, j jobs.Job) error {
	now := s.Clock.Now()
	return s.Store.Follow(ctx, now, []jobs.Job{j}, func(f Follow) Plan { return Decide(now, f) })
}

// FollowNew implements jobs.Direct for jobs.Plan.
func (s *Service) FollowNew(ctx context.Context, n int) ([]jobs.Job, error) {
	now := s.Clock.Now()
	return s.Store.FollowNew(ctx, now, n, func(f Follow) Plan { return Decide(now, f) })
}

func (s *Service) numberMany(ctx context.Context, calls []*call[InvoiceNumber, InvoiceNumber]) {
	batch := make([]InvoiceNumber, len(calls))
	for i, c := range calls {
		batch[i] = c.in
	}
	numbered, err := s.Store.NumberInvoices(ctx, batch)
	for i, c := range calls {
		if c.err = err; err == nil {
			c.out = numbered[i]
		}
		close(c.done)
	}
}

func (s *Service) keep(j jobs.Job, d Document) error {
	_, err := join(s.documents, Kept{d, j})
	return err
}

// keepMany stores documents together, or one by one if one of them is refused: it must not keep the others. A database that is
// away is not asked again for each.
func (s *Service) keepMany(ctx context.Context, calls []*call[Kept, struct{}]) {
	kept := make([]Kept, len(calls))
	for i, c := range calls {
		kept[i] = c.in
	}
	err := s.Store.KeepDocuments(ctx, kept)
	for i, c := range calls {
		if c.err = err; err != nil && len(calls) > 1 && !isAway(err) {
			c.err = s.Store.KeepDocuments(ctx, kept[i:i+1])
		}
		close(c.done)
	}
}

// isAway reports an error that says nothing about what was to be written.
func isAway(err error) bool {
	return errors.Is(err, registration.ErrUnavailable) || errors.Is(err, registration.ErrCommitUnknown) || errors.Is(err, registration.ErrContention)
}

// RenderTickets renders and stores the order's tickets.
func (s *Service) RenderTickets(ctx context.Context, j jobs.Job) error {
	o, e, err := s.read(ctx, j)
	if err != nil {
		return err
	}
	issued, err := s.Store.Tickets(ctx, o.ID)
	if err != nil {
		return err
	}
	passes, err := s.passes(o, e, issued)
	if err != nil {
		return jobs.Permanent(err)
	}
	if len(passes) == 0 {
		return nil // the order lost its tickets since
	}
	content, err := s.render(ctx, func() ([]byte, error) { return s.Printer.Tickets(passes) })
	if err != nil {
		return fmt.Errorf("tickets of %s: %w", o.Number, err)
	}
	return s.keep(j, Document{
		Order: o.ID, Kind: TicketsPDF, Version: o.Version, Name: "tiket-" + o.Number + ".pdf", Content: content,
	})
}

// restFor is how many times as long as it rendered a renderer rests while registrations need the processor.
const restFor = 4

// render makes one document. Each costs a processor a millisecond, so at most half of them render at a time; what cannot be
// rendered now cannot be later.
func (s *Service) render(ctx context.Context, work func() ([]byte, error)) ([]byte, error) {
	select {
	case s.renderers <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-s.renderers }()
	begin := s.Clock.Now()
	content, err := work()
	if err != nil {
		return nil, jobs.Permanent(err)
	}
	if s.Busy != nil && s.Busy() {
		rest := time.NewTimer(restFor * s.Clock.Now().Sub(begin))
		defer rest.Stop()
		select {
		case <-rest.C:
		case <-ctx.Done():
		}
	}
	return content, nil
}

func (s *Service) read(ctx context.Context, j jobs.Job) (registration.Order, *event.Event, error) {
	o, err := s.Store.Order(ctx, j.Order)
	if errors.Is(err, registration.ErrNoOrder) {
		return o, nil, jobs.Permanent(err)
	}
	if err != nil {
		return o, nil, err
	}
	e, err := s.Store.EventByID(ctx, o.EventID)
	return o, e, err
}

func (s *Service) passes(o registration.Order, e *event.Event, issued []Ticket) ([]ticket.Pass, error) {
	var passes []ticket.Pass
	for _, t := range issued {
		if t.Void {
			continue
		}
		p, ok := participant(o, t.Position)
		if !ok {
			return nil, fmt.Errorf("order %s has no participant %d", o.Number, t.Position)
		}
		code, err := s.Signer.Sign(ticket.Claim{
			Event: o.EventID, Order: o.ID, Position: t.Position, Category: p.Category, Serial: t.Serial,
		})
		if err != nil {
			return nil, fmt.Errorf("sign ticket %d of %s: %w", t.Position, o.Number, err)
		}
		passes = append(passes, pass(o, e, p, t, code))
	}
	return passes, nil
}

func participant(o registration.Order, position int) (registration.Participant, bool) {
	for _, p := range o.Participants {
		if p.Position == position {
			return p, true
		}
	}
	return registration.Participant{}, false
}

func pass(o registration.Order, e *event.Event, p registration.Participant, t Ticket, code string) ticket.Pass {
	out := ticket.Pass{
		Locale: o.Locale, Event: e.Name, Organiser: e.Organiser.Name, StartsAt: e.StartsAt, Timezone: e.Location(),
		Venue: e.Venue.Name, City: e.Venue.City, Participant: p.Name, Category: categoryName(e, p.Category),
		OrderNumber: o.Number, Position: p.Position, Of: len(o.Participants), Code: code, IssuedAt: t.IssuedAt,
	}
	if c, ok := e.Category(p.Category); ok {
		out.Distance = c.DistanceM
	}
	for i := range e.Questions {
		q := &e.Questions[i]
		if value := p.Answers[q.ID]; q.Type == event.Choice && value != "" {
			out.Details = append(out.Details, ticket.Detail{Label: q.Label.In(o.Locale), Value: optionLabel(q, value, o.Locale)})
		}
	}
	return out
}

func optionLabel(q *event.Question, value, locale string) string {
	for i := range q.Options {
		if q.Options[i].Value == value && q.Options[i].Label.In(locale) != "" {
			return q.Options[i].Label.In(locale)
		}
	}
	return value
}

// categoryName survives a category that the event has lost.
func categoryName(e *event.Event, categoryID string) event.Text {
	if c, ok := e.Category(categoryID); ok {
		return c.Name
	}
	return event.Text{ID: categoryID, EN: categoryID}
}

// RenderInvoice numbers, renders and stores the order's invoice.
func (s *Service) RenderInvoice(ctx context.Context, j jobs.Job) error {
	o, e, err := s.read(ctx, j)
	if err != nil {
		return err
	}
	paid, err := s.Store.Receipt(ctx, o.ID)
	if err != nil {
		return err
	}
	if paid.PaidAt.IsZero() {
		return jobs.Permanent(fmt.Errorf("order %s is to be invoiced but was not paid", o.Number))
	}
	now := s.Clock.Now()
	number, err := join(s.invoices, InvoiceNumber{
		Order: o.ID, Organiser: e.Organiser.Name, Year: now.In(e.Location()).Year(), IssuedAt: now,
	})
	if err != nil {
		return err
	}
	content, err := s.render(ctx, func() ([]byte, error) { return s.Printer.Invoice(invoice(o, e, number, paid)) })
	if err != nil {
		return fmt.Errorf("invoice of %s: %w", o.Number, err)
	}
	return s.keep(j, Document{
		Order: o.ID, Kind: InvoicePDF, Version: o.Version, Name: "faktur-" + o.Number + ".pdf", Content: content,
	})
}

func invoice(o registration.Order, e *event.Event, number InvoiceNumber, paid Receipt) ticket.Invoice {
	in := ticket.Invoice{
		Locale: o.Locale, Number: number.String(), IssuedAt: number.IssuedAt, Timezone: e.Location(), Seller: e.Organiser,
		Buyer: ticket.Buyer{Name: o.Contact.Name, Email: o.Contact.Email, Phone: o.Contact.Phone},
		Event: e.Name, StartsAt: e.StartsAt, Place: e.Venue.Name + ", " + e.Venue.City, OrderNumber: o.Number, Total: o.Total, Tax: e.Tax,
		Payment: ticket.Payment{Method: methodName(paid.Method), Reference: paid.Reference, PaidAt: paid.PaidAt},
	}
	for _, p := range o.Participants {
		line := ticket.InvoiceLine{Category: categoryName(e, p.Category), Participant: p.Name, Price: p.Price}
		if c, ok := e.Category(p.Category); ok && p.Tier >= 0 && p.Tier < len(c.Prices) {
			line.Tier = c.Prices[p.Tier].Name
		}
		in.Lines = append(in.Lines, line)
	}
	return in
}

// methodName writes the provider's payment_type as people know it.
func methodName(channel string) string {
	names := map[string]string{ //nolint:gosec // names of ways to pay
		"qris": "QRIS", "gopay": "GoPay", "shopeepay": "ShopeePay", "dana": "DANA", "ovo": "OVO", "bank_transfer": "Virtual Account",
		"echannel": "Mandiri Bill", "credit_card": "Kartu kredit / Credit card", "cstore": "Gerai / Convenience store",
		"akulaku": "Akulaku", "kredivo": "Kredivo",
	}
	if name, ok := names[channel]; ok {
		return name
	}
	return channel
}

// SendMail sends the order's mail of the kind that the job names.
func (s *Service) SendMail(ctx context.Context, j jobs.Job) error {
	o, e, err := s.read(ctx, j)
	if err != nil {
		return err
	}
	kind := notify.Kind(j.Arg)
	if o.Version > j.Version {
		return nil // what it would say is not true any more; the newer state has a mail of its own
	}
	paid, err := s.Store.Receipt(ctx, o.ID)
	if err != nil {
		return err
	}
	message, err := s.Composer.Order(kind, s.letter(o, e, paid, j.Created))
	if err != nil {
		return jobs.Permanent(fmt.Errorf("mail %s of %s: %w", kind, o.Number, err))
	}
	_, err = s.Postman.Deliver(ctx, message)
	if err != nil && notify.FateOf(err) == notify.Rejected {
		return jobs.Permanent(err)
	}
	return err
}

func (s *Service) letter(o registration.Order, e *event.Event, paid Receipt, at time.Time) notify.Order {
	l := notify.Order{
		ID: o.ID, Number: o.Number, Version: o.Version, Locale: o.Locale, Contact: notify.Address{Name: o.Contact.Name, Email: o.Contact.Email},
		Event: e.Name, Organiser: e.Organiser.Name, ReplyTo: e.Organiser.Email, StartsAt: e.StartsAt, Timezone: e.Location(),
		Venue: e.Venue.Name, City: e.Venue.City, Total: o.Total, Refunded: paid.Refunded, ExpiresAt: o.ExpiresAt,
		StatusURL: s.Links.order(o.ID), TicketsURL: s.Links.document(o.ID, "tickets.pdf"), EventURL: s.Links.BaseURL() + "/e/" + e.Slug, At: at,
	}
	for _, p := range o.Participants {
		l.Participants = append(l.Participants, notify.Entry{Name: p.Name, Category: categoryName(e, p.Category)})
	}
	return l
}

// Calendar returns the race as a calendar file.
func (s *Service) Calendar(o registration.Order, e *event.Event) []byte {
	return ticket.Calendar(ticket.Appointment{
		UID: o.ID.String() + "@gapura", Locale: o.Locale, Event: e.Name, Note: o.Number + " (" + strconv.Itoa(len(o.Participants)) + ")",
		StartsAt: e.StartsAt, Venue: e.Venue.Name, City: e.Venue.City, URL: s.Links.order(o.ID), MadeAt: o.CreatedAt, Version: o.Version,
	})
}

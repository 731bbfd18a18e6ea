package notify

import (
	"embed"
	"fmt"
	htmltemplate "html/template"
	"net/url"
	"strings"
	texttemplate "text/template"
	"time"

	"gapura/internal/event"
	"gapura/internal/id"
	"gapura/internal/money"
	"gapura/internal/ticket"
)

//go:embed templates
var templateFiles embed.FS

// Letterhead is the sending side of every message.
type Letterhead struct {
	From    Address
	Domain  string // right side of Message-IDs
	SiteURL string // where the footer leads
	Site    string // name of the site
}

// Order is what the mails about an order say, copied from it when the message was due.
type Order struct {
	ID           id.ID
	Number       string
	Version      int
	Locale       string // id or en
	Contact      Address
	Event        event.Text
	Organiser    string // may be empty
	ReplyTo      string // the organiser's address; may be empty
	StartsAt     time.Time
	Timezone     *time.Location
	Venue        string
	City         string
	Total        money.Rupiah
	Refunded     money.Rupiah // RefundDone
	ExpiresAt    time.Time    // OrderReceived
	Participants []Entry
	StatusURL    string // the order's own page, with its access token
	PayURL       string // OrderReceived; empty: StatusURL
	TicketsURL   string // OrderConfirmed: all tickets in one PDF; empty: none
	EventURL     string // where one may register again
	At           time.Time
}

// Entry is one participant.
type Entry struct {
	Name      string
	Category  event.Text
	TicketURL string // OrderConfirmed; may be empty
}

// Composer writes messages. It is safe for concurrent use.
type Composer struct {
	head   Letterhead
	words  map[string]*texttemplate.Template // "id/order_received"
	text   *texttemplate.Template
	layout *htmltemplate.Template
}

// NewComposer reads the embedded templates.
func NewComposer(head Letterhead) (*Composer, error) {
	c := &Composer{head: head, words: map[string]*texttemplate.Template{}}
	c.head.From.Name, c.head.Site = clean(head.From.Name), clean(head.Site)
	if !validEmail(head.From.Email) {
		return nil, fmt.Errorf("sender: %w", ErrNoAddress)
	}
	for _, locale := range []string{"id", "en"} {
		for _, kind := range append(OrderKinds(), ConfirmAddress) {
			name := locale + "/" + string(kind)
			t, err := parseWords(name)
			if err != nil {
				return nil, err
			}
			c.words[name] = t
		}
	}
	var err error
	if c.text, err = texttemplate.ParseFS(templateFiles, "templates/layout.txt"); err != nil {
		return nil, fmt.Errorf("text layout: %w", err)
	}
	if c.layout, err = htmltemplate.ParseFS(templateFiles, "templates/layout.html"); err != nil {
		return nil, fmt.Errorf("HTML layout: %w", err)
	}
	return c, nil
}

// sheet is what both layouts show.
type sheet struct {
	Locale     string
	Subject    string
	Preheader  string // what mail programs show beside the subject
	Event      string
	When       string
	Where      string
	Heading    string
	Greeting   string
	Code       string // to be typed; large and by itself
	Paragraphs []string
	Body       htmltemplate.HTML // instead of Paragraphs, for newsletters; from safe Markdown only
	BodyText   string
	Button     button
	Facts      []fact
	Entries    []entry
	EntryLabel string
	Tickets    button
	Closing    []string // smaller, after everything
	Footer     string
	Site       string
	SiteURL    string
	Stop       button // unsubscribe
}

type button struct{ Label, URL string }

type fact struct{ Label, Value string }

type entry struct{ Name, Category, Link, URL string }

// Order writes the message of that kind. Its ID is a function of order, kind and version.
func (c *Composer) Order(kind Kind, o Order, attachments ...Attachment) (Message, error) {
	o = o.cleaned()
	words, ok := c.words[o.Locale+"/"+string(kind)]
	if !ok {
		return Message{}, fmt.Errorf("no template for %q", kind)
	}
	said, err := say(words, o.spoken())
	if err != nil {
		return Message{}, fmt.Errorf("template %s: %w", kind, err)
	}
	m := Message{
		ID: orderMessageID(o.ID, kind, o.Version, c.head.Domain), Kind: kind, Class: Transactional, Locale: o.Locale,
		From: c.head.From, ReplyTo: o.ReplyTo, To: o.Contact, Subject: said["subject"], Attachments: attachments, Date: o.At,
	}
	return c.render(m, c.orderSheet(kind, o, said))
}

// say runs the named blocks of a template.
func say(t *texttemplate.Template, facts any) (map[string]string, error) {
	said := map[string]string{}
	for _, block := range []string{"subject", "preheader", "heading", "body", "button", "closing", "footer"} {
		if t.Lookup(block) == nil {
			continue
		}
		var out strings.Builder
		if err := t.ExecuteTemplate(&out, block, facts); err != nil {
			return nil, err
		}
		said[block] = strings.TrimSpace(out.String())
	}
	return said, nil
}

// orderSheet puts what the kind's template says around the facts of the order.
func (c *Composer) orderSheet(kind Kind, o Order, said map[string]string) sheet {
	l := labelsFor(o.Locale)
	s := sheet{
		Locale: o.Locale, Subject: said["subject"], Preheader: said["preheader"], Heading: said["heading"],
		Event: o.Event.In(o.Locale), When: when(o.StartsAt, o.Timezone, o.Locale), Where: o.place(),
		Greeting: fmt.Sprintf(l.greeting, o.Contact.Name), Paragraphs: paragraphs(said["body"]), Closing: paragraphs(said["closing"]),
		EntryLabel: l.entries, Footer: footer(l, o.Organiser, o.Event.In(o.Locale)), Site: c.head.Site, SiteURL: c.head.SiteURL,
	}
	s.Facts = []fact{{l.order, o.Number}, {l.total, amount(o.Total, l)}}
	if kind == RefundDone {
		s.Facts = append(s.Facts, fact{l.refunded, o.Refunded.String()})
	}
	for _, p := range o.Participants {
		e := entry{Name: p.Name, Category: p.Category.In(o.Locale)}
		if kind == OrderConfirmed && p.TicketURL != "" {
			e.Link, e.URL = l.ticket, p.TicketURL
		}
		s.Entries = append(s.Entries, e)
	}
	s.Button = button{said["button"], o.target(kind)}
	if kind == OrderConfirmed && o.TicketsURL != "" {
		s.Tickets = button{l.allTickets, o.TicketsURL}
	}
	return s
}

// render fills text and HTML and checks the whole.
func (c *Composer) render(m Message, s sheet) (Message, error) {
	var text, html strings.Builder
	if err := c.text.Execute(&text, s); err != nil {
		return Message{}, fmt.Errorf("text of %s: %w", m.Kind, err)
	}
	if err := c.layout.Execute(&html, s); err != nil {
		return Message{}, fmt.Errorf("HTML of %s: %w", m.Kind, err)
	}
	m.Subject = clean(m.Subject)
	m.Text, m.HTML = text.String(), html.String()
	return m, m.check()
}

// cleaned returns o with every value that a person typed made a single line, and links that are links.
func (o Order) cleaned() Order {
	if o.Locale != "en" {
		o.Locale = "id"
	}
	for _, s := range []*string{&o.Number, &o.Contact.Name, &o.Event.ID, &o.Event.EN, &o.Organiser, &o.Venue, &o.City} {
		*s = clean(*s)
	}
	if !validEmail(o.ReplyTo) {
		o.ReplyTo = ""
	}
	for _, u := range []*string{&o.StatusURL, &o.PayURL, &o.TicketsURL, &o.EventURL} {
		*u = safeURL(*u)
	}
	entries := make([]Entry, len(o.Participants))
	for i, p := range o.Participants {
		entries[i] = Entry{clean(p.Name), event.Text{ID: clean(p.Category.ID), EN: clean(p.Category.EN)}, safeURL(p.TicketURL)}
	}
	o.Participants = entries
	return o
}

// safeURL returns u if it is an absolute web address without spaces or controls, else nothing.
func safeURL(u string) string {
	parsed, err := url.Parse(u)
	if err != nil || (parsed.Scheme != "https" && parsed.Scheme != "http") || parsed.Host == "" || strings.ContainsAny(u, " \t<>\"") {
		return ""
	}
	return u
}

// spoken is what the word templates may use.
func (o Order) spoken() map[string]any {
	count := len(o.Participants)
	facts := map[string]any{
		"Event": o.Event.In(o.Locale), "Number": o.Number, "Total": o.Total.String(), "Refunded": o.Refunded.String(),
		"Count": count, "Free": o.Total == 0, "Place": o.place(),
		"Day": ticket.Day(o.StartsAt, o.Timezone, o.Locale), "Hour": ticket.Hour(o.StartsAt, o.Timezone, o.Locale),
		"Deadline": "", "Partial": o.Refunded < o.Total,
	}
	if !o.ExpiresAt.IsZero() {
		facts["Deadline"] = when(o.ExpiresAt, o.Timezone, o.Locale)
	}
	return facts
}

func (o Order) place() string {
	if o.Venue == "" || o.City == "" {
		return o.Venue + o.City
	}
	return o.Venue + ", " + o.City
}

// target is where the message's button leads.
func (o Order) target(kind Kind) string {
	switch {
	case kind == OrderReceived && o.PayURL != "":
		return o.PayURL
	case (kind == OrderExpired || kind == OrderCancelled) && o.EventURL != "":
		return o.EventURL
	default:
		return o.StatusURL
	}
}

// labels are the fixed words of the layouts.
type labels struct {
	greeting, order, total, free, refunded, entries, ticket, allTickets, sent, sentBy, stop string
}

func labelsFor(locale string) labels {
	if locale == "en" {
		return labels{
			greeting: "Hello %s,", order: "Order", total: "Total", free: "Free", refunded: "Refunded", entries: "Participants",
			ticket: "Open ticket", allTickets: "All tickets (PDF)", sent: "You get this mail because of your order for %s.",
			sentBy: "You get this mail because of your order for %s, organised by %s.", stop: "Unsubscribe",
		}
	}
	return labels{
		greeting: "Halo %s,", order: "Pesanan", total: "Total", free: "Gratis", refunded: "Dikembalikan", entries: "Peserta",
		ticket: "Buka tiket", allTickets: "Semua tiket (PDF)", sent: "Email ini dikirim karena pesananmu untuk %s.",
		sentBy: "Email ini dikirim karena pesananmu untuk %s yang diselenggarakan oleh %s.", stop: "Berhenti berlangganan",
	}
}

func footer(l labels, organiser, name string) string {
	if organiser == "" {
		return fmt.Sprintf(l.sent, name)
	}
	return fmt.Sprintf(l.sentBy, name, organiser)
}

func amount(total money.Rupiah, l labels) string {
	if total == 0 {
		return l.free
	}
	return total.String()
}

func when(t time.Time, zone *time.Location, locale string) string {
	return ticket.Day(t, zone, locale) + ", " + ticket.Hour(t, zone, locale)
}

// paragraphs splits what a template said at its blank lines; a line break inside a paragraph is only the file's.
func paragraphs(body string) []string {
	var out []string
	for p := range strings.SplitSeq(body, "\n\n") {
		if p = strings.Join(strings.Fields(p), " "); p != "" {
			out = append(out, p)
		}
	}
	return out
}

package notify

import (
	"context"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"strings"
	"time"

	"gapura/internal/event"

	"github.com/yuin/goldmark"
)

// Campaign is one newsletter to the participants of an event.
type Campaign struct {
	ID        int64
	Subject   event.Text
	Body      event.Text // Markdown; raw HTML in it is left out
	Event     event.Text
	Organiser string
	ReplyTo   string
	At        time.Time // when it was released
}

// Recipient is one address of a campaign.
type Recipient struct {
	Cursor      string // its place in the order of the list; the normalised address is a good one
	Name        string
	Email       string
	Locale      string
	Unsubscribe string // address that takes the one-click POST of RFC 8058
}

// Newsletter is a campaign ready to be addressed: its Markdown is rendered once, not once for every recipient.
type Newsletter struct {
	composer *Composer
	campaign Campaign
	html     map[string]htmltemplate.HTML
}

// Newsletter prepares a campaign.
func (c *Composer) Newsletter(campaign Campaign) (*Newsletter, error) {
	n := &Newsletter{composer: c, campaign: campaign, html: map[string]htmltemplate.HTML{}}
	n.campaign.Organiser = clean(campaign.Organiser)
	for _, locale := range []string{"id", "en"} {
		if clean(campaign.Subject.In(locale)) == "" {
			return nil, errors.New("a newsletter needs a subject")
		}
		var out strings.Builder
		if err := goldmark.Convert([]byte(campaign.Body.In(locale)), &out); err != nil {
			return nil, fmt.Errorf("newsletter %d: %w", campaign.ID, err)
		}
		n.html[locale] = htmltemplate.HTML(inlineStyles().Replace(out.String())) //nolint:gosec // goldmark leaves raw HTML out
	}
	return n, nil
}

// inlineStyles dresses the tags that Markdown makes; many mail programs ignore style sheets. Text cannot match: its angle
// brackets are escaped.
func inlineStyles() *strings.Replacer {
	const text = `class="ink" style="margin:0 0 14px 0;font-size:16px;line-height:25px;color:#1f1a17;"`
	const head = `class="ink" style="margin:22px 0 10px 0;font-size:18px;line-height:25px;font-weight:700;color:#1f1a17;"`
	const list = `class="ink" style="margin:0 0 14px 0;padding-left:22px;font-size:16px;line-height:25px;color:#1f1a17;"`
	return strings.NewReplacer("<p>", "<p "+text+">", "<a href", `<a class="link" style="color:#8c2f22;font-weight:700;" href`,
		"<h1>", "<h2 "+head+">", "</h1>", "</h2>", "<h2>", "<h2 "+head+">", "<h3>", "<h3 "+head+">",
		"<ul>", "<ul "+list+">", "<ol>", "<ol "+list+">", "<img ", `<img style="max-width:100%;height:auto;" `)
}

// To addresses the newsletter.
func (n *Newsletter) To(r Recipient) (Message, error) {
	locale := r.Locale
	if locale != "en" {
		locale = "id"
	}
	l := labelsFor(locale)
	campaign, c := n.campaign, n.composer
	m := Message{
		ID: broadcastMessageID(campaign.ID, r.Email, c.head.Domain), Kind: Broadcast, Class: Bulk, Locale: locale, From: c.head.From,
		ReplyTo: campaign.ReplyTo, To: Address{clean(r.Name), r.Email}, Subject: clean(campaign.Subject.In(locale)),
		Unsubscribe: safeURL(r.Unsubscribe), Date: campaign.At,
	}
	if !validEmail(m.ReplyTo) {
		m.ReplyTo = ""
	}
	return c.render(m, sheet{
		Locale: locale, Subject: m.Subject, Heading: m.Subject, Event: clean(campaign.Event.In(locale)),
		Greeting: fmt.Sprintf(l.greeting, m.To.Name), Body: n.html[locale], BodyText: strings.TrimSpace(campaign.Body.In(locale)),
		Footer: footer(l, campaign.Organiser, clean(campaign.Event.In(locale))), Site: c.head.Site, SiteURL: c.head.SiteURL,
		Stop: button{l.stop, m.Unsubscribe},
	})
}

// Recipients is a campaign's list, read a page at a time, ordered by the bytes of the cursors. Someone who joins the list later may
// be left out; nobody comes twice.
type Recipients interface {
	Recipients(ctx context.Context, campaign int64, after string, limit int) ([]Recipient, error)
}

// Chunk is a stretch of a campaign's list: the Count recipients after After, up to and including Last. It is small enough for
// a queue, whatever it covers.
type Chunk struct {
	Campaign int64  `json:"campaign"`
	After    string `json:"after"`
	Last     string `json:"last"`
	Count    int    `json:"count"`
}

// Plans keeps how far a campaign is planned.
type Plans interface {
	// Position returns the Last of the newest chunk, "" before the first.
	Position(ctx context.Context, campaign int64) (string, error)
	// Add stores a chunk's job and the new position in one transaction; a chunk that does not follow the position is refused.
	Add(ctx context.Context, c Chunk) error
}

// ChunkSize is how many recipients one job serves: enough that planning is cheap, few enough that a job of 250 messages at
// ten a second ends before its lease.
const ChunkSize = 250

// Plan cuts what is left of a campaign's list into chunks and returns how many recipients they cover. It holds one page in
// memory and no transaction between pages, and goes on where a crash stopped it.
func Plan(ctx context.Context, campaign int64, list Recipients, plans Plans) (int, error) {
	after, err := plans.Position(ctx, campaign)
	if err != nil {
		return 0, fmt.Errorf("position of campaign %d: %w", campaign, err)
	}
	planned := 0
	for {
		page, err := list.Recipients(ctx, campaign, after, ChunkSize)
		if err != nil {
			return planned, fmt.Errorf("recipients of campaign %d: %w", campaign, err)
		}
		if len(page) == 0 {
			return planned, nil
		}
		chunk := Chunk{Campaign: campaign, After: after, Last: page[len(page)-1].Cursor, Count: len(page)}
		if chunk.Last <= after {
			return planned, fmt.Errorf("recipients of campaign %d are not in the order of their cursors", campaign)
		}
		if err := plans.Add(ctx, chunk); err != nil {
			return planned, fmt.Errorf("chunk of campaign %d: %w", campaign, err)
		}
		planned, after = planned+chunk.Count, chunk.Last
	}
}

// Tally counts how the messages of a chunk ended.
type Tally struct {
	Sent, Skipped, Bounced, Failed int
}

// SendChunk sends a newsletter to the recipients of a chunk. It stops at the first temporary trouble with its error; a
// repetition passes over those who were served. A recipient whose message can never be sent is counted and passed over.
func (p *Postman) SendChunk(ctx context.Context, n *Newsletter, c Chunk, list Recipients) (Tally, error) {
	var t Tally
	for after := c.After; after < c.Last; {
		page, err := list.Recipients(ctx, c.Campaign, after, ChunkSize)
		if err != nil {
			return t, fmt.Errorf("recipients of campaign %d: %w", c.Campaign, err)
		}
		if len(page) == 0 {
			return t, nil
		}
		if err := p.sendPage(ctx, n, page, c.Last, &t); err != nil {
			return t, err
		}
		after = page[len(page)-1].Cursor
	}
	return t, nil
}

// sendPage serves the recipients up to last. More may stand on the page: people who joined after the plan was made.
func (p *Postman) sendPage(ctx context.Context, n *Newsletter, page []Recipient, last string, t *Tally) error {
	for _, r := range page {
		if r.Cursor > last {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := p.sendOne(ctx, n, r, t); err != nil {
			return err
		}
	}
	return nil
}

func (p *Postman) sendOne(ctx context.Context, n *Newsletter, r Recipient, t *Tally) error {
	m, err := n.To(r)
	if errors.Is(err, ErrNoAddress) {
		t.Failed++
		return nil
	}
	if err != nil {
		return &SendError{Fate: Rejected, Stage: "compose", Cause: err}
	}
	outcome, err := p.Deliver(ctx, m)
	if err != nil && FateOf(err) == Rejected {
		outcome, err = p.end(ctx, m, Refused, err.Error())
	}
	if err != nil {
		return err
	}
	t.count(outcome)
	return nil
}

func (t *Tally) count(o Outcome) {
	switch o {
	case Sent:
		t.Sent++
	case Bounce:
		t.Bounced++
	case Refused:
		t.Failed++
	case Suppressed, Repeated:
		t.Skipped++
	}
}

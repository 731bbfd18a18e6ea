package notify

import (
	"fmt"
	"strconv"
	texttemplate "text/template"
	"time"

	"gapura/internal/event"
	"gapura/internal/ticket"
)

// ConfirmAddress is the kind of the mail that has a waiting room's code.
const ConfirmAddress Kind = "confirm_address"

// Confirmation is what the mail with a code says. It goes to an address of which nothing else is known, not even a name.
type Confirmation struct {
	ID        string // of the confirmation; names the message together with Send
	Send      int    // how many mails of it there were, this one included: each is a message of its own
	Locale    string // id or en
	Email     string
	Code      string
	Link      string // where a press confirms
	Event     event.Text
	Organiser string // may be empty
	ReplyTo   string // the organiser's address; may be empty
	StartsAt  time.Time
	Expires   time.Time
	Timezone  *time.Location
	Venue     string
	City      string
	At        time.Time
}

// Confirmation writes the message.
func (c *Composer) Confirmation(of Confirmation) (Message, error) {
	if of.Locale != "en" {
		of.Locale = "id"
	}
	for _, s := range []*string{&of.Event.ID, &of.Event.EN, &of.Organiser, &of.Venue, &of.City, &of.Code} {
		*s = clean(*s)
	}
	if !validEmail(of.ReplyTo) {
		of.ReplyTo = ""
	}
	words := c.words[of.Locale+"/"+string(ConfirmAddress)]
	facts := map[string]any{
		"Event": of.Event.In(of.Locale), "Code": of.Code, "Until": ticket.Hour(of.Expires, of.Timezone, of.Locale),
	}
	said, err := say(words, facts)
	if err != nil {
		return Message{}, fmt.Errorf("template %s: %w", ConfirmAddress, err)
	}
	m := Message{
		ID: "confirm." + of.ID + "." + strconv.Itoa(of.Send) + "@" + c.head.Domain, Kind: ConfirmAddress, Class: Transactional,
		Locale: of.Locale, From: c.head.From, ReplyTo: of.ReplyTo, To: Address{Email: of.Email}, Subject: said["subject"], Date: of.At,
	}
	place := Order{Venue: of.Venue, City: of.City}.place()
	return c.render(m, sheet{
		Locale: of.Locale, Subject: said["subject"], Preheader: said["preheader"], Heading: said["heading"], Code: of.Code,
		Event: of.Event.In(of.Locale), When: when(of.StartsAt, of.Timezone, of.Locale), Where: place,
		Paragraphs: paragraphs(said["body"]), Button: button{said["button"], safeURL(of.Link)}, Closing: paragraphs(said["closing"]),
		Footer: paragraphs(said["footer"])[0], Site: c.head.Site, SiteURL: c.head.SiteURL,
	})
}

// parseWords reads the words of a kind in a language.
func parseWords(name string) (*texttemplate.Template, error) {
	t, err := texttemplate.ParseFS(templateFiles, "templates/"+name+".tmpl")
	if err != nil {
		return nil, fmt.Errorf("template %s: %w", name, err)
	}
	return t.Option("missingkey=error"), nil
}

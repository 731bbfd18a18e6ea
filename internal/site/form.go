package site

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"gapura/internal/event"
	"gapura/internal/fault"
	"gapura/internal/money"
	"gapura/internal/registration"
)

// formView is the registration form. Inputs are named by JSON pointers into the body of POST /api/v1/events/{slug}/orders,
// so that a reported fault finds its input and the script finds its place in the request.
type formView struct {
	Slug, Name   string
	Start        moment
	Venue, City  string
	EventLink    string
	Action       string
	PlainLink    string // the form for browsers without script, with its key
	Plain        bool   // this is that form
	Key          string // only where Plain
	Expected     expectation
	Open         bool
	Upcoming     bool
	Room         bool   // it is sent in one's turn
	WaitingLink  string // where one waits for it
	Opens        moment
	Notice       string
	Shut         bool   // nothing can be registered and nothing was filled in: there is no form
	Returns      string // when places of a category may return
	Max          int
	Alert        *alert
	Contact      []field
	Participants []participantView
	Blank        participantView // what the script makes another participant from
	CanAdd       bool
	GroupID      string
	GroupError   string
	Summary      summaryView
	HoldNote     string
	Captcha      bool // a captcha must be solved, which takes script
}

// field is one labelled input.
type field struct {
	Name, ID, Label, Value string
	Type                   string // text, email, tel, date, choice, radio or checkbox
	Autocomplete           string
	InputMode              string
	Help, Error            string
	Required               bool // by the browser; what it cannot know the server checks
	Optional               string
	Max                    int
	Options                []option
	Only                   string // ids of the categories that are asked, separated by spaces; "" is all
	OnlyFor                string
	Choose                 string // what a choice says while none is made
}

type option struct {
	Value, Label   string
	Chosen, Closed bool
}

// participantView is one person of the form.
type participantView struct {
	Index, Number string
	ID            string
	Error         string
	Self          bool // may be the contact
	SelfChosen    bool
	Removable     bool
	CategoryName  string
	CategoryID    string
	CategoryError string
	Categories    []categoryChoice
	Own           []field // left out when the participant is the contact
	Fields        []field
	Questions     []field
}

type categoryChoice struct {
	categoryCard
	InputID string
	Chosen  bool
}

type summaryView struct {
	Lines []summaryLine
	Total string // "" while nothing is chosen
}

type summaryLine struct{ Text, Amount string }

// alert is the summary of what went wrong, at the top of the form.
type alert struct {
	Title, Text string
	Links       []alertLink
	Again       bool // the answers are good, only the moment was not: a button beside the sentence sends them again
}

type alertLink struct{ ID, Label, Text string }

// expectation is the sum the visitor was shown, for the refusal with price_changed.
type expectation struct {
	Total  string // of exactly the categories in For
	For    string
	Prices []shownPrice
}

type shownPrice struct{ Category, Price string }

// filled is a form as someone filled it in; the zero value is an empty one with one participant.
type filled struct {
	key     string
	request registration.Request
	self    bool
	refusal *fault.Fault
	blank   bool // nobody has filled it in yet
}

// maxForm is the most participants a form shows, whatever is posted.
const maxForm = 50

func blankForm() *filled {
	return &filled{self: true, blank: true, request: registration.Request{Participants: make([]registration.ParticipantInput, 1)}}
}

// form shows the empty form. The one that caches may keep carries no key; ?form=1 is for browsers without script, is never
// kept and carries a fresh one.
func (s *Site) form(w http.ResponseWriter, r *http.Request) error {
	live, err := s.config.Desk.Event(r.PathValue("slug"))
	if err != nil {
		return err
	}
	say := s.words(r)
	s.allowCaptcha(w.Header())
	if strings.Contains(r.URL.RawQuery, "form=1") {
		f := blankForm()
		f.key = rand.Text()
		return s.sendForm(w, http.StatusOK, say, live, f)
	}
	return s.servePrepared(w, r, preparedKey{"form", live.Event.Slug, say.lang}, func() (*view, error) {
		return s.formPage(say, live, blankForm()), nil
	})
}

// sendForm answers one visitor with their form, key included.
func (s *Site) sendForm(w http.ResponseWriter, status int, say words, live registration.Live, f *filled) error {
	s.allowCaptcha(w.Header())
	return s.send(w, status, s.formPage(say, live, f))
}

func (s *Site) formPage(say words, live registration.Live, f *filled) *view {
	e := live.Event
	var query url.Values
	if f.key != "" {
		query = url.Values{"form": {"1"}}
	}
	v := s.view(say, "form", "/e/"+e.Slug+"/daftar", query)
	v.Title = say.T("form.title_of", "event", e.Name.In(say.lang))
	v.Description = say.moment(e.StartsAt, e.Location()).Date() + ", " + e.Venue.Name + ", " + e.Venue.City
	body := s.formView(say, live, f)
	v.Body = body
	if !body.Plain && !body.Shut {
		v.NoScript, v.Refresh = true, "0;url="+body.PlainLink
	} else {
		v.NoIndex = true
	}
	v.Data = s.formData(say, live)
	return v
}

func (s *Site) formView(say words, live registration.Live, f *filled) formView {
	e, zone := live.Event, live.Event.Location()
	path := "/e/" + e.Slug + "/daftar"
	b := formBuilder{words: say, live: live, filled: f, cards: say.categoryCards(live, s.config.Clock.Now())}
	b.errors = b.sayFaults()
	view := formView{
		Slug: e.Slug, Name: e.Name.In(say.lang), Start: say.moment(e.StartsAt, zone), Venue: e.Venue.Name, City: e.Venue.City,
		EventLink: s.link(say.lang, "/e/"+e.Slug, nil), Action: s.link(say.lang, path, nil),
		PlainLink: s.link(say.lang, path, url.Values{"form": {"1"}}), Plain: f.key != "", Key: f.key,
		Open:     saleOf(live) == registration.StateOpen,
		Upcoming: live.Availability.State == registration.StateUpcoming,
		Room:     s.hasRoom(live), WaitingLink: s.entry(say, live),
		Opens: say.moment(e.Rules.OpensAt, zone), Notice: say.notice(live), Returns: say.returns(live), Max: max(e.Rules.MaxParticipants, 1),
		Contact: b.contact(), Blank: b.participant("__n__", nil), GroupID: pointerID("/participants"),
		GroupError: b.errors["/participants"], Alert: b.alert(), Summary: b.summary(),
	}
	view.Shut = view.Notice != "" && f.blank
	for i := range f.request.Participants {
		view.Participants = append(view.Participants, b.participant(strconv.Itoa(i), &f.request.Participants[i]))
	}
	view.CanAdd = len(view.Participants) < view.Max
	if view.Plain {
		view.Expected = b.expectation()
	}
	if hasPrice(e) {
		view.HoldNote = say.T("form.hold_note", "hold", say.holdFor(e.Rules.Hold))
	} else {
		view.HoldNote = say.T("form.free_note")
	}
	view.Captcha = s.config.Captcha.Provider != ""
	return view
}

// formBuilder makes the parts of a form view.
type formBuilder struct {
	words
	live   registration.Live
	filled *filled
	cards  []categoryCard
	errors map[string]string // sentence by pointer
}

func (b *formBuilder) field(pointer, label, kind, value string, required bool) field {
	f := field{
		Name: pointer, ID: pointerID(pointer), Label: b.T(label), Type: kind, Value: value, Required: required,
		Error: b.errors[pointer], Max: 120,
	}
	return f
}

func (b *formBuilder) contact() []field {
	c := b.filled.request.Contact
	name := b.field("/contact/name", "form.name", "text", c.Name, true)
	name.Autocomplete, name.Help = "name", b.T("form.name_help")
	email := b.field("/contact/email", "form.email", "email", c.Email, true)
	email.Autocomplete, email.Max = "email", 254
	phone := b.field("/contact/phone", "form.phone", "tel", c.Phone, true)
	phone.Autocomplete, phone.Help, phone.Max = "tel", b.T("form.phone_help"), 40
	return []field{name, email, phone}
}

func (b *formBuilder) participant(index string, in *registration.ParticipantInput) participantView {
	if in == nil {
		in = &registration.ParticipantInput{}
	}
	at := "/participants/" + index
	first := index == "0"
	p := participantView{
		Index: index, Number: index, ID: pointerID(at), Error: b.errors[at], Self: first,
		SelfChosen: first && b.filled.self, Removable: !first,
		CategoryName: at + "/category", CategoryID: pointerID(at + "/category"), CategoryError: b.errors[at+"/category"],
		Own: b.own(at, in, first), Fields: b.born(at, in), Questions: b.questions(at, in),
	}
	if n, err := strconv.Atoi(index); err == nil {
		p.Number = strconv.Itoa(n + 1)
	}
	for _, card := range b.cards {
		p.Categories = append(p.Categories, categoryChoice{
			categoryCard: card, Chosen: in.Category == card.ID, InputID: pointerID(at+"/category") + "-" + card.ID,
		})
	}
	return p
}

// own are the inputs that the contact can stand for. Those of the first participant may be hidden, so they stay empty then
// and have nothing that a browser checks: a hidden input that it refuses would block the form without a word.
func (b *formBuilder) own(at string, in *registration.ParticipantInput, first bool) []field {
	if first && b.filled.self {
		in = &registration.ParticipantInput{}
	}
	name := b.field(at+"/name", "form.name", "text", in.Name, !first)
	email := b.field(at+"/email", "form.email", "email", in.Email, !first && b.unique(event.UniqueByEmail))
	phone := b.field(at+"/phone", "form.phone", "tel", in.Phone, !first && b.unique(event.UniqueByPhone))
	email.Max, phone.Max = 254, 40
	if first {
		email.Type, email.InputMode = "text", "email"
	}
	if !b.unique(event.UniqueByEmail) {
		email.Optional = b.T("form.optional")
	}
	if !b.unique(event.UniqueByPhone) {
		phone.Optional = b.T("form.optional")
	}
	return []field{name, email, phone}
}

func (b *formBuilder) unique(property event.UniqueBy) bool {
	for _, by := range b.live.Event.Rules.UniqueBy {
		if by == property {
			return true
		}
	}
	return false
}

func (b *formBuilder) born(at string, in *registration.ParticipantInput) []field {
	birth := b.field(at+"/birth_date", "form.birth_date", "date", in.BirthDate, true)
	birth.Autocomplete, birth.Max = "off", 10
	gender := b.field(at+"/gender", "form.gender", "radio", in.Gender, true)
	for _, g := range []string{"female", "male"} {
		gender.Options = append(gender.Options, option{Value: g, Label: b.T("form." + g), Chosen: in.Gender == g})
	}
	return []field{birth, gender}
}

func (b *formBuilder) questions(at string, in *registration.ParticipantInput) []field {
	fields := make([]field, 0, len(b.live.Event.Questions))
	for i := range b.live.Event.Questions {
		q := &b.live.Event.Questions[i]
		fields = append(fields, b.question(at+"/answers/"+escapePointer(q.ID), q, in.Answers[q.ID]))
	}
	return fields
}

func (b *formBuilder) question(pointer string, q *event.Question, value string) field {
	f := field{
		Name: pointer, ID: pointerID(pointer), Label: q.Label.In(b.lang), Help: q.Help.In(b.lang), Value: value,
		Error: b.errors[pointer], Required: q.Required && len(q.Categories) == 0, Max: 500, Type: "text",
		Only: strings.Join(q.Categories, " "),
	}
	if !q.Required {
		f.Optional = b.T("form.optional")
	}
	if len(q.Categories) > 0 {
		f.OnlyFor = b.T("form.only_for", "categories", strings.Join(b.categoryNames(q.Categories), ", "))
	}
	switch q.Type {
	case event.Choice:
		f.Type, f.Options, f.Choose = "choice", b.options(q, value), b.T("form.choose")
	case event.Checkbox:
		f.Type = "checkbox"
	case event.FreeText:
	}
	return f
}

func (b *formBuilder) options(q *event.Question, value string) []option {
	out := make([]option, 0, len(q.Options))
	for _, o := range q.Options {
		label := o.Label.In(b.lang)
		if label == "" {
			label = o.Value
		}
		closed := false
		switch b.live.Availability.Options[q.ID][o.Value] {
		case registration.SoldOut, registration.Held:
			label, closed = b.T("form.option_gone", "option", label), true
		case registration.Low:
			label = b.T("form.option_low", "option", label)
		case registration.Available:
		}
		out = append(out, option{Value: o.Value, Label: label, Chosen: value == o.Value, Closed: closed && value != o.Value})
	}
	return out
}

func (b *formBuilder) categoryNames(ids []string) []string {
	out := make([]string, 0, len(ids))
	for _, categoryID := range ids {
		if c, ok := b.live.Event.Category(categoryID); ok {
			out = append(out, c.Name.In(b.lang))
		}
	}
	return out
}

// summary adds up what is chosen, at the prices of this moment.
func (b *formBuilder) summary() summaryView {
	var out summaryView
	var total money.Rupiah
	counts := map[string]int{}
	for _, p := range b.filled.request.Participants {
		counts[p.Category]++
	}
	for i := range b.live.Event.Categories {
		c := &b.live.Event.Categories[i]
		if n := counts[c.ID]; n > 0 {
			amount := priceNow(b.live, c) * money.Rupiah(n)
			total += amount
			out.Lines = append(out.Lines, summaryLine{
				Text: b.T("js.line", "n", n, "category", c.Name.In(b.lang)), Amount: b.price(amount),
			})
		}
	}
	if len(out.Lines) > 0 {
		out.Total = b.price(total)
	}
	return out
}

// expectation is what this page shows as prices, and after a refusal the sum that was named for exactly this order: a group
// that crosses the end of an early bird pays neither price times its size.
func (b *formBuilder) expectation() expectation {
	var e expectation
	for i := range b.live.Event.Categories {
		c := &b.live.Event.Categories[i]
		e.Prices = append(e.Prices, shownPrice{c.ID, strconv.FormatInt(int64(priceNow(b.live, c)), 10)})
	}
	if f := b.filled.refusal; f != nil && f.Code == fault.PriceChanged {
		if total, ok := rupiah(f.Params["total"]); ok {
			e.Total, e.For = strconv.FormatInt(int64(total), 10), composition(b.filled.request.Participants)
		}
	}
	return e
}

// composition names the categories of an order in its order.
func composition(participants []registration.ParticipantInput) string {
	names := make([]string, 0, len(participants))
	for _, p := range participants {
		names = append(names, p.Category)
	}
	return strings.Join(names, ",")
}

func rupiah(v any) (money.Rupiah, bool) {
	switch v := v.(type) {
	case money.Rupiah:
		return v, true
	case int64:
		return money.Rupiah(v), true
	case int:
		return money.Rupiah(v), true
	case float64:
		return money.Rupiah(v), true
	case json.Number:
		n, err := v.Int64()
		return money.Rupiah(n), err == nil
	}
	return 0, false
}

// escapePointer writes one step of a JSON pointer (RFC 6901).
func escapePointer(step string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(step)
}

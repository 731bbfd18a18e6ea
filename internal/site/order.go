package site

import (
	"maps"
	"net/http"
	"net/url"
	"strings"

	"gapura/internal/event"
	"gapura/internal/fault"
	"gapura/internal/id"
	"gapura/internal/registration"
)

// orderView is the page of one order: did I get in?
type orderView struct {
	ID, Token    string
	Slug         string
	Number       string
	Version      int
	Status       string // the code
	StatusText   string
	Tone         string // good, wait, off or warn
	Headline     string
	Lead         string
	Awaiting     bool
	Waiting      bool // the status may still change by itself
	Expires      moment
	Registered   moment
	Total        string
	ContactName  string
	ContactEmail string
	Participants []orderParticipant
	EventName    string
	EventLink    string
	FormLink     string
	Start        moment
	Venue, City  string
	CancelLink   string // "" if it cannot be cancelled
	Again        bool
	Action       string // of the cancel page
	BackLink     string
	PayAction    string // of the form that leads to the payment page; "" if there is nothing to pay
	Documents    []documentLink
	Count        int
	Note         string // why the visitor came here; "" if they meant to
}

type orderParticipant struct {
	Name, Category, Price, Place, Tone string
	Answers                            []answered
}

type answered struct{ Label, Value string }

// opened returns the order of a request whose token is right. Whoever has no right to it learns nothing, not even that it
// exists.
func (s *Site) opened(r *http.Request, token string) (registration.Order, error) {
	orderID, err := id.Parse(r.PathValue("id"))
	if err != nil || !s.config.Desk.TokenValid(orderID, token) {
		return registration.Order{}, fault.New(fault.NoSuchOrder)
	}
	return s.config.Desk.Order(r.Context(), orderID)
}

// eventOf finds the race of an order.
func (s *Site) eventOf(o registration.Order) (registration.Live, error) {
	for _, live := range s.config.Desk.Events() {
		if live.ID == o.EventID {
			return live, nil
		}
	}
	return registration.Live{}, fault.New(fault.NoSuchEvent)
}

// orderLink is the path of an order's page with its token, and with note where the page has something more to say.
func (s *Site) orderLink(lang string, o registration.Order, note url.Values) string {
	query := url.Values{"token": {s.config.Desk.Token(o.ID)}}
	maps.Copy(query, note)
	return s.link(lang, "/orders/"+o.ID.String(), query)
}

func (s *Site) order(w http.ResponseWriter, r *http.Request) error {
	return s.showOrder(w, r, "order", "/orders/"+r.PathValue("id"), r.URL.Query().Get("token"))
}

// confirmCancel asks before a place is given back.
func (s *Site) confirmCancel(w http.ResponseWriter, r *http.Request) error {
	return s.showOrder(w, r, "cancel", "/orders/"+r.PathValue("id")+"/cancel", r.URL.Query().Get("token"))
}

func (s *Site) showOrder(w http.ResponseWriter, r *http.Request, name, path, token string) error {
	o, err := s.opened(r, token)
	if err != nil {
		return err
	}
	live, err := s.eventOf(o)
	if err != nil {
		return err
	}
	say := s.words(r)
	body := s.orderView(say, live.Event, o)
	if name == "cancel" && body.CancelLink == "" {
		return s.toOrder(w, r, say, o, unchanged())
	}
	v := s.view(say, name, path, url.Values{"token": {token}})
	v.Title = say.T("order.title", "number", o.Number)
	body.Note = say.orderNote(r.URL.Query())
	v.NoIndex = true
	v.Data = map[string]any{"texts": say.subset("js.", "order.status.", "count.")}
	if body.Waiting {
		v.NoScript, v.Refresh = true, "15"
	}
	if name == "order" {
		body.PayAction, body.Documents = s.payPath(say, o), s.documents(say, o)
	}
	v.Body = body
	if body.PayAction != "" {
		w.Header().Set("Content-Security-Policy", s.paymentPolicy())
	}
	w.Header().Set("Referrer-Policy", referrerPolicy(name, body.PayAction != ""))
	return s.send(w, http.StatusOK, v)
}

// referrerPolicy keeps the token, which is in the address, out of every Referer header. A page that posts needs its origin
// known: under no-referrer browsers send "Origin: null" with a form, which the guard against foreign origins refuses where
// Sec-Fetch-Site is missing (plain HTTP, Safari before 16.4).
func referrerPolicy(page string, pays bool) string {
	if page == "order" && !pays {
		return "no-referrer"
	}
	return "strict-origin"
}

func (s *Site) cancel(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(w, r); err != nil {
		return err
	}
	o, err := s.opened(r, r.PostForm.Get("token"))
	if err != nil {
		return err
	}
	cancelled, err := s.config.Desk.Cancel(r.Context(), o.ID)
	if fault.CodeOf(err) == fault.WrongState {
		return s.toOrder(w, r, s.words(r), o, unchanged())
	}
	if err != nil {
		return err
	}
	return s.toOrder(w, r, s.words(r), cancelled, nil)
}

// unchanged marks a visit by someone who wanted to cancel what cannot be cancelled any more.
func unchanged() url.Values { return url.Values{"unchanged": {"1"}} }

// orderNote says why a visitor sees this order: the key of other answers had made it, or it could not be cancelled.
func (w words) orderNote(query url.Values) string {
	switch {
	case query.Get("earlier") == "1":
		return w.T("form.earlier")
	case query.Get("unchanged") == "1":
		return w.T("order.unchanged")
	default:
		return ""
	}
}

func (s *Site) orderView(say words, e *event.Event, o registration.Order) orderView {
	zone := e.Location()
	status := string(o.Status)
	link := s.orderLink(say.lang, o, nil)
	view := orderView{
		ID: o.ID.String(), Token: s.config.Desk.Token(o.ID), Slug: e.Slug, Number: o.Number, Version: o.Version,
		Status: status, StatusText: say.T("order.status." + status), Tone: orderTone(o.Status),
		Headline: say.T("order.headline." + status), Lead: say.T("order.lead."+status, "total", say.price(o.Total)),
		Awaiting: o.Status == registration.AwaitingPayment, Waiting: mayChange(o.Status),
		Expires: say.moment(o.ExpiresAt, zone), Registered: say.moment(o.CreatedAt, zone), Total: say.price(o.Total),
		ContactName: o.Contact.Name, ContactEmail: maskedEmail(o.Contact.Email), Count: len(o.Participants),
		EventName: e.Name.In(say.lang), EventLink: s.link(say.lang, "/e/"+e.Slug, nil),
		FormLink: s.link(say.lang, "/e/"+e.Slug+"/daftar", nil), Start: say.moment(e.StartsAt, zone),
		Venue: e.Venue.Name, City: e.Venue.City, BackLink: link,
		Action: s.link(say.lang, "/orders/"+o.ID.String()+"/cancel", nil),
		Again:  o.Status == registration.Expired || o.Status == registration.Cancelled,
	}
	if o.Status == registration.AwaitingPayment || (o.Status == registration.Confirmed && o.Total == 0) {
		view.CancelLink = strings.Replace(link, "?", "/cancel?", 1)
	}
	for _, p := range o.Participants {
		view.Participants = append(view.Participants, say.orderParticipant(e, o.Status, p))
	}
	return view
}

func (w words) orderParticipant(e *event.Event, status registration.Status, p registration.Participant) orderParticipant {
	place := status.Place()
	tones := map[registration.PlaceStatus]string{
		registration.PlaceHeld: "wait", registration.PlaceConfirmed: "good", registration.PlaceReleased: "off",
	}
	out := orderParticipant{
		Name: p.Name, Category: p.Category, Price: w.price(p.Price), Place: w.T("order.place." + string(place)),
		Tone: tones[place],
	}
	if c, ok := e.Category(p.Category); ok {
		out.Category = c.Name.In(w.lang)
	}
	for i := range e.Questions {
		q := &e.Questions[i]
		// The page's link travels; of the answers it shows what was chosen, never what was typed.
		if value := p.Answers[q.ID]; value != "" && q.Type == event.Choice {
			out.Answers = append(out.Answers, answered{q.Label.In(w.lang), value})
		}
	}
	return out
}

func orderTone(status registration.Status) string {
	switch status {
	case registration.Confirmed:
		return "good"
	case registration.AwaitingPayment, registration.Refunding:
		return "wait"
	case registration.PaidNoPlace:
		return "warn"
	default:
		return "off"
	}
}

// mayChange reports whether an order moves on without its owner doing anything here.
func mayChange(status registration.Status) bool {
	switch status {
	case registration.AwaitingPayment, registration.Refunding, registration.PaidNoPlace:
		return true
	default:
		return false
	}
}

// maskedEmail leaves enough of an address to recognise one's own: s***@example.id.
func maskedEmail(address string) string {
	name, domain, ok := strings.Cut(address, "@")
	if !ok || name == "" {
		return ""
	}
	return name[:1] + "***@" + domain
}

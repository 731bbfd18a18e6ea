package site

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gapura/internal/calm"
	"gapura/internal/fault"
	"gapura/internal/gate"
	"gapura/internal/person"
	"gapura/internal/registration"
	"gapura/internal/waitroom"
)

// Queue is what the pages ask of the waiting rooms.
type Queue interface {
	State(eventID int64) (waitroom.State, error)
	Proof(eventID int64) (waitroom.Proof, error)
	Visitor(eventID int64, key string) waitroom.Visitor
	Join(ctx context.Context, eventID int64, v waitroom.Visitor) (waitroom.Ticket, string, error)
	Ask(ctx context.Context, eventID int64, address, locale, key string) (waitroom.Asked, error)
	Confirm(ctx context.Context, eventID int64, confirmation, code string) (waitroom.Ticket, string, error)
	Theirs(p waitroom.Pass, address string) bool
	Find(eventID int64, ticket string) (waitroom.Found, error)
	Exchange(ctx context.Context, eventID int64, ticket, key string) (waitroom.Pass, string, error)
}

// ticketCookie holds a visitor's ticket. It is sent to the pages of its event only, so that polls stay small and a cache can
// answer them. The script reads it too: a page computes its own place. Whoever can run a script in the page can use the
// ticket there anyway, so hiding it from scripts would protect nothing.
const ticketCookie = "antre"

// ticketLife is longer than any pre-queue.
const ticketLife = 60 * 24 * time.Hour

// roomOf returns the event of a page that only events with a waiting room have.
func (s *Site) roomOf(r *http.Request) (registration.Live, error) {
	live, err := s.config.Desk.Event(r.PathValue("slug"))
	if err == nil && !s.hasRoom(live) {
		err = fault.New(fault.NotFound)
	}
	return live, err
}

func (s *Site) hasRoom(live registration.Live) bool {
	return live.Event.WaitingRoom.Enabled && s.config.Queue != nil
}

// entry is where a visitor who wants to register goes first.
func (s *Site) entry(say words, live registration.Live) string {
	page := "/daftar"
	if s.hasRoom(live) {
		page = "/antre"
	}
	return s.link(say.lang, "/e/"+live.Event.Slug+page, nil)
}

// waitingView is the page of a waiting room.
type waitingView struct {
	Slug, Name    string
	Draw          bool
	Opens, Closes moment // of registration, and of the draw's list
	OpensISO      string
	Commitment    string
	FormLink      string
	PlainLink     string // this page for browsers without script
	ProofLink     string
	EventLink     string
	Action        string
	Plain         bool
	Key           string // of a draw without script
	Place         placeView
	Person        *personView // nil: nothing is confirmed
}

// personView is the two steps to a number where one person has one. Without script one of them is shown; with it, it decides.
type personView struct {
	AsksAddress, AsksCode bool
	Key                   string // of the browser that asks
	Address, AddressError string
	Confirmation, Code    string
	CodeError             string
}

// placeView is how it stands for one visitor, or for nobody in the page that caches keep.
type placeView struct {
	Phase          string // of sentences waiting.<phase>
	Tone           string
	Badge          string
	Headline, Lead string
	Number, Kind   string // of the ticket
	Draws          bool   // may take a ticket
	Enters         bool   // may send the form
	Done           int    // percent of the line that was served
}

// waiting shows the waiting room. The page that caches keep belongs to nobody: its script finds the visitor's place. ?plain=1 is
// for browsers without script.
func (s *Site) waiting(w http.ResponseWriter, r *http.Request) error {
	live, err := s.roomOf(r)
	if err != nil {
		return err
	}
	say := s.words(r)
	query := r.URL.Query()
	if ticket := query.Get("tiket"); ticket != "" {
		return s.takeTicket(w, r, say, live, ticket)
	}
	if confirmation := query.Get("konfirmasi"); confirmation != "" {
		return s.waitingCode(w, say, live, personView{AsksCode: true, Confirmation: confirmation, Code: query.Get("kode")}, nil)
	}
	if query.Get("plain") != "" {
		return s.waitingPlain(w, r, say, live, nil)
	}
	s.allowCaptcha(w.Header())
	return s.servePrepared(w, r, preparedKey{"waiting", live.Event.Slug, say.lang}, func() (*view, error) {
		v, body, err := s.waitingPage(say, live, false)
		if err != nil {
			return nil, err
		}
		body.Place = say.place("loading", "soon", nil)
		v.NoScript, v.Refresh = true, "0;url="+body.PlainLink
		v.Data = s.waitingData(say, live)
		return v, nil
	})
}

func (s *Site) waitingPage(say words, live registration.Live, plain bool) (*view, *waitingView, error) {
	e := live.Event
	path := "/e/" + e.Slug + "/antre"
	state, err := s.config.Queue.State(live.ID)
	if err != nil {
		return nil, nil, roomTrouble(err)
	}
	v := s.view(say, "waiting", path, nil)
	v.Title = say.T("waiting.title", "event", e.Name.In(say.lang))
	v.Description, v.NoIndex = say.T("waiting.description"), true
	body := &waitingView{
		Slug: e.Slug, Name: e.Name.In(say.lang), Opens: say.moment(e.Rules.OpensAt, e.Location()),
		OpensISO: e.Rules.OpensAt.UTC().Format(time.RFC3339), FormLink: s.link(say.lang, "/e/"+e.Slug+"/daftar", nil),
		PlainLink: s.link(say.lang, path, url.Values{"plain": {"1"}}), ProofLink: s.link(say.lang, "/e/"+e.Slug+"/undian", nil),
		EventLink: s.link(say.lang, "/e/"+e.Slug, nil), Action: s.link(say.lang, path, nil), Plain: plain,
	}
	if state.Commitment != nil && state.DrawClosesAt != nil {
		body.Draw, body.Commitment = true, state.Commitment.String()
		body.Closes = say.moment(*state.DrawClosesAt, e.Location())
	}
	if state.Person != "" {
		body.Person = &personView{}
	}
	v.Body = body
	return v, body, nil
}

// roomTrouble makes of a room that is not there yet a page that comes again by itself.
func roomTrouble(err error) error {
	if fault.CodeOf(err) == fault.NotFound {
		return overloaded()
	}
	return err
}

// waitingData is what the page's script knows.
func (s *Site) waitingData(say words, live registration.Live) map[string]any {
	data := map[string]any{
		"slug": live.Event.Slug, "lang": say.lang, "formLink": s.link(say.lang, "/e/"+live.Event.Slug+"/daftar", nil),
		"texts": say.subset("waiting.", "count.", "js.captcha"),
	}
	if s.config.Captcha.Provider != "" {
		captcha := s.config.Captcha
		captcha.Action = gate.Draw.Action()
		data["captcha"] = captcha
	}
	return data
}

// takeTicket keeps a ticket that came as a link, as an organiser sends it to those who are invited.
func (s *Site) takeTicket(w http.ResponseWriter, r *http.Request, say words, live registration.Live, ticket string) error {
	if _, err := s.config.Queue.Find(live.ID, ticket); err != nil {
		return err
	}
	s.keepTicket(w, r, live.Event.Slug, ticket)
	return s.toWaiting(w, r, s.link(say.lang, "/e/"+live.Event.Slug+"/antre", nil))
}

func (s *Site) keepTicket(w http.ResponseWriter, _ *http.Request, slug, ticket string) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // the page reads it, and Secure goes by the address
		Name: ticketCookie, Value: ticket, Path: "/e/" + slug, MaxAge: int(ticketLife / time.Second), SameSite: http.SameSiteLaxMode,
		Secure: strings.HasPrefix(s.config.BaseURL, "https://"),
	})
}

func (s *Site) toWaiting(w http.ResponseWriter, r *http.Request, link string) error {
	w.Header().Set("Cache-Control", "private, no-store")
	http.Redirect(w, r, link, http.StatusSeeOther)
	return nil
}

// join draws a ticket for a browser without script.
func (s *Site) join(w http.ResponseWriter, r *http.Request) error {
	live, err := s.roomOf(r)
	if err != nil {
		return err
	}
	if err := parseForm(w, r); err != nil {
		return err
	}
	say := s.words(r)
	switch {
	case r.PostForm.Get("confirmation") != "":
		return s.confirm(w, r, say, live)
	case r.PostForm.Has("email"):
		return s.ask(w, r, say, live)
	}
	visit := s.visit(r, gate.Draw)
	visit.Ticket, visit.Captcha = r.PostForm.Get("key"), captchaOf(r.PostForm)
	if err := s.mayEnter(w, r, &visit); err != nil {
		return err
	}
	defer s.config.Calm.Leave(calm.Hold)
	visitor := waitroom.NewVisitor()
	if key := r.PostForm.Get("key"); key != "" {
		visitor = s.config.Queue.Visitor(live.ID, key)
	}
	_, ticket, err := s.config.Queue.Join(r.Context(), live.ID, visitor)
	if err != nil {
		return err
	}
	s.keepTicket(w, r, live.Event.Slug, ticket)
	return s.toWaiting(w, r, s.link(say.lang, "/e/"+live.Event.Slug+"/antre", url.Values{"plain": {"1"}}))
}

// mayEnter counts a visit, takes its captcha and lets it in, or says why not. One that is in must leave.
func (s *Site) mayEnter(w http.ResponseWriter, r *http.Request, visit *gate.Visit) error {
	standing, err := s.knock(w, r, visit)
	if err != nil {
		return err
	}
	if standing, err = s.config.Gate.Admit(r.Context(), visit, standing, nil); err != nil {
		return err
	}
	tell(w, standing)
	if !s.config.Calm.Wait(r.Context(), calm.Hold) {
		return overloaded()
	}
	return nil
}

// ask has a code mailed for a browser without script.
func (s *Site) ask(w http.ResponseWriter, r *http.Request, say words, live registration.Live) error {
	asks := personView{AsksAddress: true, Key: r.PostForm.Get("key"), Address: trimmed(r.PostForm, "email")}
	address, ok := person.Email(asks.Address)
	if !ok {
		asks.AddressError = say.T("waiting.email_invalid")
		return s.waitingCode(w, say, live, asks, fault.New(fault.ValidationFailed))
	}
	visit := s.visit(r, gate.Code)
	visit.Ticket, visit.Person, visit.Captcha = asks.Key, person.Mailbox(address), captchaOf(r.PostForm)
	if err := s.mayEnter(w, r, &visit); err != nil {
		return err
	}
	defer s.config.Calm.Leave(calm.Hold)
	asked, err := s.config.Queue.Ask(r.Context(), live.ID, address, say.lang, asks.Key)
	if err != nil {
		return err
	}
	return s.toWaiting(w, r, s.link(say.lang, "/e/"+live.Event.Slug+"/antre", url.Values{"konfirmasi": {asked.ID.String()}}))
}

// confirm takes a code, from a mail's link too: that one only fills it in, because programs that look at mails follow links.
func (s *Site) confirm(w http.ResponseWriter, r *http.Request, say words, live registration.Live) error {
	tried := personView{AsksCode: true, Confirmation: r.PostForm.Get("confirmation"), Code: trimmed(r.PostForm, "code")}
	visit := s.visit(r, gate.Try)
	visit.Ticket = tried.Confirmation
	if _, err := s.knock(w, r, &visit); err != nil {
		return err
	}
	_, ticket, err := s.config.Queue.Confirm(r.Context(), live.ID, tried.Confirmation, tried.Code)
	var refusal *fault.Fault
	if errors.As(err, &refusal) && refusal.Code == fault.ConfirmationRequired {
		tried.CodeError = say.codeError(refusal)
		return s.waitingCode(w, say, live, tried, refusal)
	}
	if err != nil {
		return err
	}
	s.keepTicket(w, r, live.Event.Slug, ticket)
	return s.toWaiting(w, r, s.link(say.lang, "/e/"+live.Event.Slug+"/antre", nil))
}

// codeError says what is wrong with a code.
func (w words) codeError(refusal *fault.Fault) string {
	left, _ := refusal.Params["attempts_left"].(int)
	switch reason := refusal.Params["reason"]; {
	case reason == "wrong_code" && left > 0:
		return w.T("waiting.wrong_code", "n", left)
	case reason == "lapsed":
		return w.T("waiting.code_lapsed")
	}
	return w.T("waiting.too_many")
}

// waitingCode shows one of the two steps to a number, for one visitor.
func (s *Site) waitingCode(w http.ResponseWriter, say words, live registration.Live, asks personView, refusal *fault.Fault) error {
	v, body, err := s.waitingPage(say, live, true)
	if err != nil {
		return err
	}
	if body.Person == nil {
		return fault.New(fault.NotFound)
	}
	phase, status := "none_person", http.StatusOK
	if asks.AsksCode {
		phase = "code_plain"
	}
	if refusal != nil {
		status = statusOf(refusal.Code)
	}
	body.Place, body.Person = say.place(phase, "soon", nil), &asks
	w.Header().Set("Referrer-Policy", "no-referrer") // the address may hold a code
	return s.send(w, status, v)
}

// waitingPlain shows one visitor their place and loads itself again when the script would have asked.
func (s *Site) waitingPlain(w http.ResponseWriter, r *http.Request, say words, live registration.Live, refusal *fault.Fault) error {
	v, body, err := s.waitingPage(say, live, true)
	if err != nil {
		return err
	}
	state, err := s.config.Queue.State(live.ID)
	if err != nil {
		return roomTrouble(err)
	}
	var found *waitroom.Found
	if ticket := s.ticketOf(r); ticket != "" {
		if f, err := s.config.Queue.Find(live.ID, ticket); err == nil {
			found = &f
		}
	}
	body.Place = say.placeOf(&state, found)
	if refusal != nil {
		body.Place = say.lost(refusal)
	}
	if body.Place.Draws {
		body.Key = rand.Text()
	}
	if body.Person != nil {
		body.Person.AsksAddress, body.Person.Key = body.Place.Draws, body.Key
	}
	var standing waitroom.Standing
	if found != nil {
		standing = found.Standing
		body.Place.Number, body.Place.Kind = found.Number.String(), found.Ticket.Kind.String()
	}
	if !body.Place.Draws && !body.Place.Enters && state.Phase != waitroom.Ended {
		wait := state.NextPoll(s.config.Clock.Now(), standing, 0.5)
		v.Refresh = strconv.Itoa(max(int(wait/time.Second), 3))
	}
	return s.send(w, http.StatusOK, v)
}

func (s *Site) ticketOf(r *http.Request) string {
	cookie, err := r.Cookie(ticketCookie)
	if err != nil {
		return ""
	}
	return cookie.Value
}

// place words a phase.
func (w words) place(phase, tone string, values []any) placeView {
	return placeView{
		Phase: phase, Tone: tone, Badge: w.T("waiting." + phase + ".badge"), Headline: w.T("waiting."+phase+".head", values...),
		Lead: w.T("waiting."+phase+".lead", values...),
	}
}

// placeOf is how it stands for a visitor with that ticket, or without one.
func (w words) placeOf(s *waitroom.State, f *waitroom.Found) placeView {
	switch {
	case s.Phase == waitroom.Ended:
		return w.place("ended", "off", nil)
	case s.Stock == waitroom.SoldOut:
		return w.place("sold_out", "off", nil)
	case f == nil && s.Phase == waitroom.Open && s.Stock == waitroom.Held:
		p := w.place("held", "wait", nil)
		p.Draws = true
		return p
	case f == nil:
		p := w.place(noTicket(s), "soon", nil)
		p.Draws = true
		return p
	case s.Phase == waitroom.Before || s.Phase == waitroom.Closed:
		phase := string(s.Phase)
		if s.Commitment == nil {
			phase = "before_fifo"
		}
		return w.place(phase, "soon", []any{"n", w.count(max(s.Drawn, 1))})
	case f.Standing.Turn:
		p := w.place("turn_plain", "good", nil)
		p.Enters = true
		return p
	}
	phase := "waiting"
	switch {
	case s.Stock == waitroom.Held:
		phase = "held"
	case s.Paused:
		phase = "paused"
	}
	p := w.place(phase, "wait", []any{"n", w.count(f.Standing.Ahead), "time", w.about2(f.Standing.Wait)})
	p.Done = served(s)
	return p
}

// noTicket names the page of somebody without a ticket: before a draw's list is closed, behind it, or where there is none.
func noTicket(s *waitroom.State) string {
	drawing := s.Phase == waitroom.Before && s.Commitment != nil
	switch {
	case drawing && s.Person != "":
		return "none_person"
	case s.Person != "":
		return "none_person_late"
	case drawing:
		return "none_draw"
	}
	return "none"
}

func served(s *waitroom.State) int {
	line := s.Drawn + s.Late
	if line <= 0 {
		return 100
	}
	return int(min(100*s.Served/line, 100))
}

// lost says what became of a pass.
func (w words) lost(refusal *fault.Fault) placeView {
	phase := "lapsed"
	if refusal.Params["reason"] == "used" {
		phase = "used"
	}
	p := w.place(phase, "off", nil)
	p.Draws = true
	return p
}

// count writes a number of people in the language's own way.
func (w words) count(n int64) string {
	if n < 0 {
		return w.T("waiting.some")
	}
	text, separator := strconv.FormatInt(n, 10), "."
	if w.lang == english {
		separator = ","
	}
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + separator + text[at:]
	}
	return text
}

// about2 writes how long a wait is, about.
func (w words) about2(d time.Duration) string {
	switch {
	case d < 0:
		return w.T("waiting.time_unknown")
	case d < time.Minute:
		return w.T("waiting.time_soon")
	case d < time.Hour:
		return w.T("waiting.time_minutes", "n", int((d+time.Minute-1)/time.Minute))
	}
	return w.T("waiting.time_hours", "n", int(d/time.Hour), "m", int(d%time.Hour/time.Minute))
}

// enter exchanges the ticket of a browser without script for the pass of the order that it sends now. One whose key has an
// order already needs none.
func (s *Site) enter(r *http.Request, live registration.Live, key, email string) error {
	if !live.Event.WaitingRoom.Enabled {
		return nil
	}
	if s.config.Queue == nil {
		return overloaded()
	}
	ticket := s.ticketOf(r)
	refusal := error(fault.New(fault.QueuePassRequired).With("reason", "missing"))
	if ticket != "" {
		var pass waitroom.Pass
		pass, _, refusal = s.config.Queue.Exchange(r.Context(), live.ID, ticket, key)
		if refusal == nil && !s.config.Queue.Theirs(pass, email) {
			return &fault.Fault{Code: fault.ValidationFailed, Fields: []fault.Field{{Pointer: "/contact/email", Code: "not_confirmed"}}}
		}
	}
	if refusal == nil {
		return nil
	}
	if _, err := s.config.Desk.OrderByKey(r.Context(), key); err == nil {
		return nil
	}
	return roomTrouble(refusal)
}

// drawView is the page on which anyone checks a draw.
type drawView struct {
	Name                string
	Proof               waitroom.Proof
	Commitment          string
	Root, ListHash      string
	Closed, Revealed    moment
	HasList, HasSeed    bool
	ListLink, ProofLink string
	WaitingLink         string
	Command             string
	Commands            string
}

// draw shows what is published about a draw, and checks a number in the browser.
func (s *Site) draw(w http.ResponseWriter, r *http.Request) error {
	live, err := s.roomOf(r)
	if err != nil {
		return err
	}
	say := s.words(r)
	return s.servePrepared(w, r, preparedKey{"draw", live.Event.Slug, say.lang}, func() (*view, error) {
		proof, err := s.config.Queue.Proof(live.ID)
		if err != nil {
			return nil, roomTrouble(err)
		}
		e := live.Event
		v := s.view(say, "draw", "/e/"+e.Slug+"/undian", nil)
		v.Title = say.T("draw.title", "event", e.Name.In(say.lang))
		v.Description = say.T("draw.lead")
		api := "/api/v1/events/" + e.Slug + "/queue/"
		body := drawView{
			Name: e.Name.In(say.lang), Proof: proof, Commitment: proof.Commitment.String(), HasSeed: proof.Seed != "",
			ListLink: api + "list", ProofLink: api + "proof", WaitingLink: s.link(say.lang, "/e/"+e.Slug+"/antre", nil),
			Command: "gapura draw verify " + s.config.BaseURL + "/e/" + e.Slug,
		}
		if proof.Root != nil {
			body.HasList, body.Root, body.ListHash = true, proof.Root.String(), proof.ListHash.String()
			body.Closed = say.moment(*proof.ClosedAt, e.Location())
		}
		if proof.RevealedAt != nil {
			body.Revealed = say.moment(*proof.RevealedAt, e.Location())
		}
		v.Body = body
		v.Data = map[string]any{"slug": e.Slug, "list": body.ListLink, "proof": body.ProofLink, "texts": say.subset("draw.")}
		return v, nil
	})
}

package site

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"gapura/internal/calm"
	"gapura/internal/event"
	"gapura/internal/fault"
	"gapura/internal/gate"
	"gapura/internal/money"
	"gapura/internal/registration"
)

// maxBody bounds a posted form: 50 participants with long answers stay below it.
const maxBody = 256 << 10

// submit takes the form from a browser without script. A refusal shows the form again, with the answers, the same key and
// every fault at its input.
func (s *Site) submit(w http.ResponseWriter, r *http.Request) error {
	live, err := s.config.Desk.Event(r.PathValue("slug"))
	if err != nil {
		return err
	}
	if err := parseForm(w, r); err != nil {
		return err
	}
	visit := s.visit(r, gate.Order)
	visit.Ticket = r.PostForm.Get("key")
	say := s.words(r)
	f := readForm(r.PostForm, live.Event)
	f.request.Locale = say.lang
	keyless := f.key == ""
	if keyless {
		f.key = rand.Text()
	}
	standing, err := s.knock(w, r, &visit)
	if err != nil {
		return s.refuse(w, r, say, live, f, err)
	}
	if !s.config.Calm.Wait(r.Context(), calm.Hold) {
		return s.refuse(w, r, say, live, f, overloaded())
	}
	defer s.config.Calm.Leave(calm.Hold)
	if action := r.PostForm.Get("action"); action != "" && action != "submit" {
		f.edit(action, live.Event.Rules.MaxParticipants)
		return s.sendForm(w, http.StatusOK, say, live, f)
	}
	if keyless {
		// The page came from a cache and its script did not run. This answer carries the key the next post needs.
		return s.refuse(w, r, say, live, f, fault.New(fault.KeyMissing))
	}
	if err := s.admit(w, r, &visit, standing, f); err != nil {
		return s.refuse(w, r, say, live, f, err)
	}
	if err := s.enter(r, live, f.key, f.request.Contact.Email); err != nil {
		return s.refuse(w, r, say, live, f, err)
	}
	f.request.ExpectedTotal = expectedTotal(r.PostForm, f.request.Participants)
	receipt, err := s.config.Desk.Register(r.Context(), live.Event.Slug, f.key, f.request)
	if err != nil {
		return s.refuse(w, r, say, live, f, err)
	}
	return s.toOrder(w, r, say, receipt.Order, nil)
}

// parseForm reads the body of a posted form into r.PostForm.
func parseForm(w http.ResponseWriter, r *http.Request) error {
	if typ := r.Header.Get("Content-Type"); !strings.HasPrefix(typ, "application/x-www-form-urlencoded") {
		return fault.New(fault.UnsupportedMediaType)
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	err := r.ParseForm()
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return fault.Wrap(fault.TooLarge, err)
	case err != nil:
		return fault.Wrap(fault.BadJSON, err)
	}
	return nil
}

// refuse shows the form with what is wrong. An order that the key already has is shown instead: the visitor is in.
func (s *Site) refuse(w http.ResponseWriter, r *http.Request, say words, live registration.Live, f *filled, err error) error {
	var refusal *fault.Fault
	if !errors.As(err, &refusal) {
		s.config.Log.Error("a registration failed", slog.String("event", live.Event.Slug), slog.Any("error", err))
		refusal = fault.Wrap(fault.Internal, err)
	}
	if refusal.Code == fault.KeyReused {
		if o, err := s.config.Desk.OrderByKey(r.Context(), f.key); err == nil {
			return s.toOrder(w, r, say, o, url.Values{"earlier": {"1"}})
		}
	}
	f.refusal = refusal
	setRetryAfter(w.Header(), refusal)
	return s.sendForm(w, statusOf(refusal.Code), say, live, f)
}

// toOrder sends the browser on to the order's page, where a reload repeats nothing.
func (s *Site) toOrder(w http.ResponseWriter, r *http.Request, say words, o registration.Order, note url.Values) error {
	w.Header().Set("Cache-Control", "private, no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, s.orderLink(say.lang, o, note), http.StatusSeeOther) //nolint:gosec // always a path of this site
	return nil
}

// readForm turns posted values into a request. Participants are counted from 0 and close ranks where one is missing.
func readForm(posted url.Values, e *event.Event) *filled {
	f := &filled{key: posted.Get("key"), self: posted.Get("self") == "0"}
	f.request.Contact = registration.ContactInput{
		Name: trimmed(posted, "/contact/name"), Email: trimmed(posted, "/contact/email"), Phone: trimmed(posted, "/contact/phone"),
	}
	indices := map[string]bool{}
	for name := range posted {
		if rest, ok := strings.CutPrefix(name, "/participants/"); ok {
			index, _, _ := strings.Cut(rest, "/")
			indices[index] = true
		}
	}
	for i := range maxForm {
		if index := strconv.Itoa(i); indices[index] {
			f.request.Participants = append(f.request.Participants, readParticipant(posted, "/participants/"+index, e))
		}
	}
	if len(f.request.Participants) == 0 {
		f.request.Participants = make([]registration.ParticipantInput, 1)
	}
	if f.self {
		first := &f.request.Participants[0]
		first.Name, first.Email, first.Phone = f.request.Contact.Name, f.request.Contact.Email, f.request.Contact.Phone
	}
	return f
}

func readParticipant(posted url.Values, at string, e *event.Event) registration.ParticipantInput {
	p := registration.ParticipantInput{
		Category: posted.Get(at + "/category"), Name: trimmed(posted, at+"/name"), Email: trimmed(posted, at+"/email"),
		Phone: trimmed(posted, at+"/phone"), BirthDate: trimmed(posted, at+"/birth_date"), Gender: posted.Get(at + "/gender"),
	}
	for i := range e.Questions {
		q := &e.Questions[i]
		value := trimmed(posted, at+"/answers/"+escapePointer(q.ID))
		// Without script the form shows every question; what the category is not asked is left out.
		if value == "" || !q.Asks(p.Category) {
			continue
		}
		if p.Answers == nil {
			p.Answers = map[string]string{}
		}
		p.Answers[q.ID] = strings.ReplaceAll(value, "\r\n", "\n")
	}
	return p
}

func trimmed(posted url.Values, name string) string { return strings.TrimSpace(posted.Get(name)) }

// edit changes the form itself: add a participant, or remove-3.
func (f *filled) edit(action string, limit int) {
	participants := f.request.Participants
	if action == "add" && len(participants) < min(max(limit, 1), maxForm) {
		f.request.Participants = append(participants, registration.ParticipantInput{})
		return
	}
	if which, ok := strings.CutPrefix(action, "remove-"); ok {
		if i, err := strconv.Atoi(which); err == nil && i > 0 && i < len(participants) {
			f.request.Participants = append(participants[:i:i], participants[i+1:]...)
		}
	}
}

// expectedTotal is the sum the form showed, or nil if it did not show the price of everything.
func expectedTotal(posted url.Values, participants []registration.ParticipantInput) *money.Rupiah {
	if posted.Get("expected_for") == composition(participants) {
		if total, err := strconv.ParseInt(posted.Get("expected_total"), 10, 64); err == nil {
			return new(money.Rupiah(total))
		}
	}
	var sum money.Rupiah
	for _, p := range participants {
		price, err := strconv.ParseInt(posted.Get("price:"+p.Category), 10, 64)
		if err != nil {
			return nil
		}
		sum += money.Rupiah(price)
	}
	return &sum
}

package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gapura/internal/fault"
	"gapura/internal/gate"
	"gapura/internal/person"
	"gapura/internal/registration"
	"gapura/internal/waitroom"
)

// Queue is what the API asks of the waiting rooms.
type Queue interface {
	// Room returns the event of that slug if it has a waiting room. It touches neither the database nor Redis.
	Room(slug string) (eventID int64, ok bool)
	// Visitor returns the visitor whom a key stands for, so that a repeated request is no second visitor.
	Visitor(eventID int64, key string) waitroom.Visitor
	Page(eventID int64) (waitroom.Page, error)
	// State returns the public state as a value.
	State(eventID int64) (waitroom.State, error)
	// Ask has a code mailed and Confirm takes it, where a person has one ticket.
	Ask(ctx context.Context, eventID int64, address, locale, key string) (waitroom.Asked, error)
	Confirm(ctx context.Context, eventID int64, confirmation, code string) (waitroom.Ticket, string, error)
	// Theirs reports whether a pass may be used by whoever has that address.
	Theirs(p waitroom.Pass, address string) bool
	Join(ctx context.Context, eventID int64, v waitroom.Visitor) (waitroom.Ticket, string, error)
	Find(eventID int64, ticket string) (waitroom.Found, error)
	Exchange(ctx context.Context, eventID int64, ticket, key string) (waitroom.Pass, string, error)
	Check(ctx context.Context, eventID int64, pass, key string) (waitroom.Pass, error)
	Holder(eventID int64, pass string) string
	Proof(eventID int64) (waitroom.Proof, error)
	WriteList(ctx context.Context, eventID int64, w io.Writer) error
}

// TicketRequest is what a draw may need: nothing, a captcha, or a confirmation with its code.
type TicketRequest struct {
	Captcha      string `json:"captcha,omitempty" doc:"solved for the action draw; not where a person is confirmed"`
	Confirmation string `json:"confirmation,omitempty" doc:"of queue/confirmations, where the state has a person"`
	Code         string `json:"code,omitempty" doc:"the six digits of its mail"`
}

// ConfirmationRequest asks for a code.
type ConfirmationRequest struct {
	Email   string `json:"email" doc:"the contact's address in the order later"`
	Captcha string `json:"captcha,omitempty" doc:"solved for the action draw"`
	Locale  string `json:"locale,omitempty" enum:"id,en"`
}

// ConfirmationView is the same for every address.
type ConfirmationView struct {
	Confirmation string    `json:"confirmation" doc:"send it with the code to queue/tickets; whoever has it may try codes"`
	ExpiresAt    time.Time `json:"expires_at"`
	ResendAt     time.Time `json:"resend_at" doc:"from then on asking again with the same Idempotency-Key sends the mail again"`
}

// TicketView is a drawn ticket as its visitor gets it.
type TicketView struct {
	Ticket string   `json:"ticket" doc:"keep it: whoever loses it loses the place"`
	Kind   string   `json:"kind" enum:"drawn,late,invited"`
	Number string   `json:"number" doc:"the draw number: what the published list has of this ticket"`
	Place  int64    `json:"place" doc:"among those who came late, from 1; 0 for a drawn ticket, whose place follows from the seed"`
	Turn   bool     `json:"turn" doc:"the ticket can be exchanged now"`
	Ahead  *int64   `json:"ahead,omitempty" doc:"how many enter before it, about; missing while it is not known"`
	Wait   *float64 `json:"wait_s,omitempty" doc:"for how long, in seconds to a tenth, at the present rate; missing while it is not known"`
}

// PassRequest exchanges a ticket.
type PassRequest struct {
	Ticket string `json:"ticket"`
	Key    string `json:"idempotency_key,omitempty" doc:"binds the pass to the order with this key"`
}

// PassView is a pass as its visitor gets it.
type PassView struct {
	Pass      string    `json:"pass" doc:"send it as Queue-Pass with the order"`
	ExpiresAt time.Time `json:"expires_at"`
	Bound     bool      `json:"bound" doc:"it serves the order with that idempotency key and no other"`
}

var (
	cacheQueue = []string{"public, max-age=" + strconv.Itoa(int(waitroom.MaxAge/time.Second))}
	cacheList  = []string{"public, max-age=31536000, immutable"}
	jsonType   = []string{"application/json"}
)

// room returns the event whose waiting room a request is about.
func (a *API) room(r *http.Request) (int64, error) {
	if a.cfg.Queue == nil {
		return 0, fault.New(fault.NotFound)
	}
	slug := r.PathValue("slug")
	if eventID, ok := a.cfg.Queue.Room(slug); ok {
		return eventID, nil
	}
	if _, err := a.cfg.Desk.Definition(slug); err != nil {
		return 0, err
	}
	return 0, fault.New(fault.NotFound)
}

// getQueue answers a poll with bytes that were prepared when the state last changed. Everyone who waits asks for it: it
// makes no copy, and asks neither the database nor Redis.
func (a *API) getQueue(w http.ResponseWriter, r *http.Request) error {
	eventID, err := a.room(r)
	if err != nil {
		return err
	}
	page, err := a.cfg.Queue.Page(eventID)
	if err != nil {
		return err
	}
	h := w.Header()
	h["Cache-Control"], h["Etag"] = cacheQueue, []string{page.ETag}
	if match := r.Header.Get("If-None-Match"); match != "" && strings.Contains(match, page.ETag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h["Content-Type"], h["Content-Length"] = jsonType, []string{strconv.Itoa(len(page.Body))}
	_, _ = w.Write(page.Body)
	return nil
}

// postTicket draws a ticket. A repeat with the same Idempotency-Key is the same visitor: in the draw it gets the same
// number again.
func (a *API) postTicket(w http.ResponseWriter, r *http.Request) error {
	eventID, err := a.room(r)
	if err != nil {
		return err
	}
	if state, err := a.cfg.Queue.State(eventID); err != nil || state.Person != "" {
		if err == nil {
			err = a.confirm(w, r, eventID)
		}
		return err
	}
	visitor, key := waitroom.NewVisitor(), idempotencyKey(r)
	if key != "" {
		if _, ok := registration.KeyOf(key); !ok {
			return fault.New(fault.KeyMissing)
		}
		visitor = a.cfg.Queue.Visitor(eventID, key)
	}
	ctx, cancel := a.readContext(r)
	defer cancel()
	if err := a.mayDraw(ctx, w, r, key); err != nil {
		return err
	}
	_, text, err := a.cfg.Queue.Join(ctx, eventID, visitor)
	return a.handOut(w, r, eventID, text, err)
}

// handOut answers with a ticket and where it stands.
func (a *API) handOut(w http.ResponseWriter, r *http.Request, eventID int64, text string, err error) error {
	if err != nil {
		return a.whereTo(r, err)
	}
	found, err := a.cfg.Queue.Find(eventID, text)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, ticketView(text, found))
	return nil
}

// confirm draws the ticket of the person who has the code of a mail, the same one however often and from wherever it is asked
// for. The captcha was solved for the mail.
func (a *API) confirm(w http.ResponseWriter, r *http.Request, eventID int64) error {
	var request TicketRequest
	if r.ContentLength != 0 {
		if err := a.decodeSmall(w, r, &request); err != nil {
			return err
		}
	}
	visit := a.visit(r, gate.Try, request.Confirmation)
	if _, err := a.knock(w, r, &visit); err != nil {
		return err
	}
	if request.Confirmation == "" {
		return a.whereTo(r, fault.New(fault.ConfirmationRequired).With("reason", "missing"))
	}
	ctx, cancel := a.readContext(r)
	defer cancel()
	_, text, err := a.cfg.Queue.Confirm(ctx, eventID, request.Confirmation, request.Code)
	return a.handOut(w, r, eventID, text, err)
}

// postConfirmation has a code mailed. The answer is the same whether anybody knows the address.
func (a *API) postConfirmation(w http.ResponseWriter, r *http.Request) error {
	eventID, err := a.room(r)
	if err != nil {
		return err
	}
	key := idempotencyKey(r)
	if _, ok := registration.KeyOf(key); !ok && key != "" {
		return fault.New(fault.KeyMissing)
	}
	visit := a.visit(r, gate.Code, key)
	standing, err := a.knock(w, r, &visit)
	if err != nil {
		return err
	}
	var request ConfirmationRequest
	if err := a.decodeSmall(w, r, &request); err != nil {
		return err
	}
	address, ok := person.Email(request.Email)
	if !ok {
		return &fault.Fault{Code: fault.ValidationFailed, Fields: []fault.Field{{Pointer: "/email", Code: "email_invalid"}}}
	}
	visit.Person, visit.Captcha = person.Mailbox(address), request.Captcha
	ctx, cancel := a.readContext(r)
	defer cancel()
	standing, err = a.cfg.Gate.Admit(ctx, &visit, standing, nil)
	tell(w, standing)
	if err != nil {
		return err
	}
	asked, err := a.cfg.Queue.Ask(ctx, eventID, address, request.Locale, key)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusAccepted, ConfirmationView{
		Confirmation: asked.ID.String(), ExpiresAt: asked.Expires, ResendAt: asked.Resend,
	})
	return nil
}

// mayDraw counts a draw and takes its captcha, where one is wanted.
func (a *API) mayDraw(ctx context.Context, w http.ResponseWriter, r *http.Request, key string) error {
	visit := a.visit(r, gate.Draw, key)
	standing, err := a.knock(w, r, &visit)
	if err != nil {
		return err
	}
	var request TicketRequest
	if r.ContentLength != 0 {
		if err := a.decodeSmall(w, r, &request); err != nil {
			return err
		}
	}
	visit.Captcha = request.Captcha
	standing, err = a.cfg.Gate.Admit(ctx, &visit, standing, nil)
	tell(w, standing)
	return err
}

func ticketView(text string, f waitroom.Found) TicketView {
	v := TicketView{
		Ticket: text, Kind: f.Ticket.Kind.String(), Number: f.Number.String(), Place: f.Ticket.Place, Turn: f.Standing.Turn,
	}
	if f.Standing.Ahead >= 0 {
		v.Ahead = &f.Standing.Ahead
	}
	if f.Standing.Wait >= 0 {
		seconds := math.Ceil(f.Standing.Wait.Seconds()*10) / 10
		v.Wait = &seconds
	}
	return v
}

// maxPassBody is many times a ticket and a key, or a solved captcha.
const maxPassBody = 8 << 10

// postPass exchanges a ticket whose turn has come.
func (a *API) postPass(w http.ResponseWriter, r *http.Request) error {
	eventID, err := a.room(r)
	if err != nil {
		return err
	}
	var request PassRequest
	if err := a.decodeSmall(w, r, &request); err != nil {
		return err
	}
	if _, ok := registration.KeyOf(request.Key); !ok && request.Key != "" {
		return fault.New(fault.KeyMissing)
	}
	visit := a.visit(r, gate.Enter, request.Ticket)
	if _, err := a.knock(w, r, &visit); err != nil {
		return err
	}
	ctx, cancel := a.readContext(r)
	defer cancel()
	pass, text, err := a.cfg.Queue.Exchange(ctx, eventID, request.Ticket, request.Key)
	if err != nil {
		return a.whereTo(r, err)
	}
	writeJSON(w, http.StatusCreated, PassView{
		Pass: text, ExpiresAt: pass.Expires, Bound: pass.Key != waitroom.KeyHash{},
	})
	return nil
}

func (a *API) decodeSmall(w http.ResponseWriter, r *http.Request, into any) error {
	if !isJSON(r.Header.Get("Content-Type")) {
		return fault.New(fault.UnsupportedMediaType)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPassBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return fault.New(fault.TooLarge).With("limit", maxPassBody)
	case err != nil:
		return fault.Wrap(fault.BadJSON, err)
	case !utf8.Valid(body):
		return fault.New(fault.BadJSON)
	}
	err = json.Unmarshal(body, into)
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		at := ""
		if wrong.Field != "" {
			at = "/" + strings.ReplaceAll(wrong.Field, ".", "/")
		}
		return &fault.Fault{Code: fault.ValidationFailed, Fields: []fault.Field{{Pointer: at, Code: "wrong_type"}}}
	}
	if err != nil {
		return fault.Wrap(fault.BadJSON, err)
	}
	return nil
}

// holder describes an order's visit to the gate. Who was let in by the waiting room is counted by the pass and not by the address:
// bots behind the same carrier, whose passes are forged, would use up the address's orders.
func (a *API) holder(r *http.Request, slug string, v gate.Visit) gate.Visit {
	pass := r.Header.Get("Queue-Pass")
	if pass == "" || a.cfg.Queue == nil {
		return v
	}
	known, err := a.cfg.Desk.Definition(slug)
	if err != nil || !known.Event.WaitingRoom.Enabled {
		return v
	}
	if number := a.cfg.Queue.Holder(known.ID, pass); number != "" {
		v.Ticket, v.Address = "pass "+number, netip.Addr{}
	}
	return v
}

// admitted reports why an order may not be sent now: its event has a waiting room and it carries no pass that counts. A key that
// has an order already needs none any more, and has the pass of nobody then. The pass is looked at first because that costs a
// signature; only who has none that counts makes the database look for the key.
func (a *API) admitted(r *http.Request, slug, key string) (pass waitroom.Pass, err error) {
	known, err := a.cfg.Desk.Definition(slug)
	if err != nil || !known.Event.WaitingRoom.Enabled {
		return pass, nil // that there is no such event is said by Register
	}
	if _, ok := registration.KeyOf(key); !ok {
		return pass, fault.New(fault.KeyMissing)
	}
	if a.cfg.Queue == nil {
		return pass, fault.New(fault.Overloaded).After(time.Second)
	}
	ctx, cancel := a.readContext(r)
	defer cancel()
	pass, refusal := a.cfg.Queue.Check(ctx, known.ID, r.Header.Get("Queue-Pass"), key)
	switch {
	case refusal == nil:
		return pass, nil
	case fault.CodeOf(refusal) == fault.NotFound: // the event is so new that its room is still being opened
		refusal = fault.Wrap(fault.Overloaded, refusal).After(time.Second)
	}
	switch _, err := a.cfg.Desk.OrderByKey(ctx, key); fault.CodeOf(err) {
	case "":
		return waitroom.Pass{}, nil
	case fault.NoSuchOrder:
		return waitroom.Pass{}, a.whereTo(r, refusal)
	default:
		return waitroom.Pass{}, err // whether the key has an order is not known now
	}
}

// theirs reports that a pass was given to a person with another address than the order's.
func (a *API) theirs(pass waitroom.Pass, email string) error {
	if !pass.Person || a.cfg.Queue.Theirs(pass, email) {
		return nil
	}
	return &fault.Fault{Code: fault.ValidationFailed, Fields: []fault.Field{{Pointer: "/contact/email", Code: "not_confirmed"}}}
}

// whereTo adds to a missing or worthless ticket, pass or code where another comes from.
func (a *API) whereTo(r *http.Request, err error) error {
	queue := a.cfg.BaseURL + "/api/v1/events/" + r.PathValue("slug") + "/queue/"
	switch fault.CodeOf(err) {
	case fault.QueuePassRequired:
		return asFault(err).With("tickets", queue+"tickets")
	case fault.ConfirmationRequired:
		return asFault(err).With("confirmations", queue+"confirmations")
	default:
		return err
	}
}

// getProof answers with what is published about the draw so far.
func (a *API) getProof(w http.ResponseWriter, r *http.Request) error {
	eventID, err := a.room(r)
	if err != nil {
		return err
	}
	return a.prepared.serve(w, r, "proof "+r.PathValue("slug"), a.cfg.Clock.Now(), cacheQueue, func() (any, error) {
		return a.cfg.Queue.Proof(eventID)
	})
}

// getList answers with the closed list of draw numbers, one a line. It never changes, so that a cache asks for it once.
func (a *API) getList(w http.ResponseWriter, r *http.Request) error {
	eventID, err := a.room(r)
	if err != nil {
		return err
	}
	proof, err := a.cfg.Queue.Proof(eventID)
	if err != nil {
		return err
	}
	if proof.ListHash == nil {
		return fault.New(fault.NotFound)
	}
	h := w.Header()
	h["Cache-Control"], h["Etag"] = cacheList, []string{`"` + proof.ListHash.String() + `"`}
	if strings.Contains(r.Header.Get("If-None-Match"), proof.ListHash.String()) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Type", "text/plain; charset=us-ascii")
	h.Set("Content-Disposition", `inline; filename="`+proof.Event+`-draw.txt"`)
	h.Set("Content-Length", strconv.Itoa(proof.Count*(2*len(waitroom.Number{})+1)))
	// Who went away half-way cannot be told; the store's trouble comes before the first byte, because the list is loaded whole.
	if err := a.cfg.Queue.WriteList(r.Context(), eventID, w); err != nil {
		for _, name := range []string{"Cache-Control", "Etag", "Content-Length", "Content-Disposition"} {
			h.Del(name)
		}
		return err
	}
	return nil
}

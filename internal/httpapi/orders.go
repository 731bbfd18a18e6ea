package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"gapura/internal/fault"
	"gapura/internal/gate"
	"gapura/internal/id"
	"gapura/internal/money"
	"gapura/internal/registration"
	"gapura/internal/waitroom"
)

// maxOrderBody is about fifty participants with long answers.
const maxOrderBody = 128 << 10

// OrderView is an order as clients see it.
type OrderView struct {
	ID           string            `json:"id"`
	Number       string            `json:"number"`
	Status       string            `json:"status" enum:"awaiting_payment,confirmed,expired,cancelled,refunding,refunded,paid_no_place"`
	Total        money.Rupiah      `json:"total" doc:"whole rupiah"`
	Currency     string            `json:"currency"`
	Version      int               `json:"version"`
	CreatedAt    time.Time         `json:"created_at"`
	ExpiresAt    *time.Time        `json:"expires_at,omitempty"`
	AccessToken  string            `json:"access_token,omitempty"`
	StatusURL    string            `json:"status_url,omitempty"`
	Documents    *DocumentsView    `json:"documents,omitempty" doc:"what a confirmed order has to take along"`
	Participants []ParticipantView `json:"participants,omitempty"`
}

// ParticipantView is a participant as clients see it.
type ParticipantView struct {
	ID       string       `json:"id"`
	Category string       `json:"category"`
	Name     string       `json:"name"`
	Price    money.Rupiah `json:"price" doc:"whole rupiah"`
	Status   string       `json:"status" enum:"held,confirmed,released"`
}

func (a *API) view(o registration.Order) OrderView {
	token := a.cfg.Desk.Token(o.ID)
	v := OrderView{
		ID: o.ID.String(), Number: o.Number, Status: string(o.Status), Total: o.Total, Currency: "IDR", Version: o.Version,
		CreatedAt: o.CreatedAt, AccessToken: token,
		Participants: make([]ParticipantView, len(o.Participants)),
	}
	v.StatusURL = a.cfg.BaseURL + "/orders/" + v.ID + "?token=" + token
	if !o.ExpiresAt.IsZero() {
		v.ExpiresAt = &o.ExpiresAt
	}
	v.Documents = a.documents(o, token)
	place := string(o.Status.Place())
	for i := range o.Participants {
		p := &o.Participants[i]
		v.Participants[i] = ParticipantView{
			ID: registration.ParticipantID(o.ID, p.Position), Category: p.Category, Name: p.Name, Price: p.Price, Status: place,
		}
	}
	return v
}

// orderBody is what a registration is read into.
type orderBody struct {
	bytes.Buffer

	scan memberScan
}

// bodies are reused: a stampede would otherwise spend its memory on reading.
type bodies struct{ pool sync.Pool }

func (b *bodies) get() *orderBody {
	if used, ok := b.pool.Get().(*orderBody); ok {
		used.Reset()
		return used
	}
	return &orderBody{Buffer: *bytes.NewBuffer(make([]byte, 0, 2048))}
}

func (b *bodies) put(used *orderBody) {
	if used.Cap() <= 16<<10 { // a rare large one would stay in memory for good
		b.pool.Put(used)
	}
}

// incoming is an order on its way in.
//
// It lives on the heap, and each step with it is a function of its own: a request's stack is 8 KiB as long as its deepest calls
// fit, which decoding and checking did by a hair not do below one large function. At 16 KiB, 4,096 connections took 33 MB more,
// and left as much less to garbage, which cost the collector a sixth of the processor.
type incoming struct {
	api       *API
	w         http.ResponseWriter
	r         *http.Request
	slug, key string
	visit     gate.Visit
	standing  gate.Standing
	pass      waitroom.Pass
	request   registration.Request
	receipt   registration.Receipt
}

// postOrder registers.
func (a *API) postOrder(w http.ResponseWriter, r *http.Request) error {
	in := &incoming{api: a, w: w, r: r, slug: r.PathValue("slug"), key: idempotencyKey(r)}
	if err := in.arrive(); err != nil {
		return err
	}
	priority := orderPriority(r)
	if !a.cfg.Calm.Wait(r.Context(), priority) {
		return fault.New(fault.Overloaded).After(shedFor())
	}
	defer a.cfg.Calm.Leave(priority)
	if err := a.cfg.Desk.Shed(in.slug, in.key); err != nil {
		a.refusals.linger(r.Context())
		return err
	}
	if err := in.read(); err != nil { //nolint:contextcheck // the request in it has the context
		return err
	}
	if err := in.register(); err != nil { //nolint:contextcheck // the request in it has the context
		if fault.CodeOf(err) == fault.Overloaded {
			a.refusals.linger(r.Context())
		}
		return err
	}
	in.answer()
	return nil
}

// arrive counts the request by what can be known without reading it.
func (in *incoming) arrive() (err error) {
	in.visit = in.api.visit(in.r, gate.Order, in.key)
	knocks := in.api.holder(in.r, in.slug, in.visit)
	in.standing, err = in.api.knock(in.w, in.r, &knocks)
	return err
}

// read reads the request and counts it by what it says.
func (in *incoming) read() (err error) {
	if in.pass, err = in.api.admitted(in.r, in.slug, in.key); err != nil {
		return err
	}
	if err := in.api.decode(in.w, in.r, &in.request); err != nil {
		return err
	}
	if err := in.api.theirs(in.pass, in.request.Contact.Email); err != nil {
		return err
	}
	in.visit.Person, in.visit.Captcha = personOf(in.request.Contact.Email), in.request.Captcha
	return in.api.admitOrder(in.w, in.r, &in.visit, in.standing)
}

func (in *incoming) register() (err error) {
	in.receipt, err = in.api.cfg.Desk.Register(in.r.Context(), in.slug, in.key, in.request)
	return err
}

func (in *incoming) answer() {
	h := in.w.Header()
	h["Location"] = []string{"/api/v1/orders/" + in.receipt.Order.ID.String()}
	if in.receipt.Replayed {
		h["Idempotent-Replayed"] = []string{"true"}
	}
	writeJSON(in.w, http.StatusCreated, in.api.view(in.receipt.Order))
}

// A refusal for want of room in a queue waits, because a client that hammers comes at the pace of the answers: refused at once,
// 4,096 connections came 20,000 times a second, and after 0.4 s still 10,000 times, which left the committer 0.55 of its rate. A
// refusal costs as much as half an order.
// The more wait, the longer each does, so that refusalsASecond are answered and a few have their answer soon.
const (
	refusalsASecond = 1000
	lingerAtLeast   = 100 * time.Millisecond
	lingerAtMost    = time.Second
)

// lingering counts the refusals that wait.
type lingering struct{ n atomic.Int64 }

func (l *lingering) linger(ctx context.Context) {
	n := l.n.Add(1)
	defer l.n.Add(-1)
	timer := time.NewTimer(min(max(time.Duration(n)*time.Second/refusalsASecond, lingerAtLeast), lingerAtMost))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// idempotencyKey accepts the quoted form of the standard's draft, the bare one and the old header.
func idempotencyKey(r *http.Request) string {
	key := r.Header.Get("Idempotency-Key")
	if key == "" {
		key = r.Header.Get("X-Idempotency-Key")
	}
	if len(key) >= 2 && key[0] == '"' && key[len(key)-1] == '"' {
		key = key[1 : len(key)-1]
	}
	return key
}

func (a *API) decode(w http.ResponseWriter, r *http.Request, request *registration.Request) error {
	if !isJSON(r.Header.Get("Content-Type")) {
		return fault.New(fault.UnsupportedMediaType)
	}
	buffer := a.bodies.get()
	defer a.bodies.put(buffer)
	if _, err := buffer.ReadFrom(http.MaxBytesReader(w, r.Body, maxOrderBody)); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return fault.New(fault.TooLarge).With("limit", maxOrderBody)
		}
		return fault.Wrap(fault.BadJSON, err)
	}
	return decodeRequest(buffer.Bytes(), request, &buffer.scan)
}

func isJSON(contentType string) bool {
	if contentType == "application/json" {
		return true
	}
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && (kind == "application/json" || strings.HasSuffix(kind, "+json"))
}

// decodeRequest reads a registration. Values of a wrong type are reported all at once, by place.
func decodeRequest(text []byte, request *registration.Request, scan *memberScan) error {
	if !utf8.Valid(text) {
		return fault.New(fault.BadJSON) // the decoder would put replacement characters into names
	}
	err := json.Unmarshal(text, request)
	if err == nil {
		return scan.repeatedMembers(text)
	}
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		if fields := wrongTypes(text); len(fields) > 0 {
			return &fault.Fault{Code: fault.ValidationFailed, Fields: fields}
		}
	}
	return fault.Wrap(fault.BadJSON, err)
}

// getOrder shows an order to whoever has its token.
func (a *API) getOrder(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := a.readContext(r)
	defer cancel()
	order, err := a.counted(w, r, gate.Read)
	if err != nil {
		return err
	}
	o, err := a.cfg.Desk.Order(ctx, order)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, a.view(o))
	return nil
}

// authorised returns the order's id if the request carries its token. An id that is none and a token that does not fit get
// the same answer, so that nobody learns which orders exist.
func (a *API) authorised(r *http.Request) (id.ID, error) {
	order, err := id.Parse(r.PathValue("id"))
	if err != nil {
		return id.Nil, fault.New(fault.NotAllowed)
	}
	if !a.cfg.Desk.TokenValid(order, tokenOf(r)) {
		return id.Nil, fault.New(fault.NotAllowed)
	}
	return order, nil
}

// counted is authorised for a call that is limited: by the order for those who may see it, by the address for everyone.
func (a *API) counted(w http.ResponseWriter, r *http.Request, call gate.Call) (id.ID, error) {
	order, refusal := a.authorised(r)
	visit := a.visit(r, call, "")
	if refusal == nil {
		visit.Ticket = r.PathValue("id")
	}
	if _, err := a.knock(w, r, &visit); err != nil {
		return id.Nil, err
	}
	return order, refusal
}

// tokenOf returns the token that a request carries. Another kind of Authorization is somebody else's, such as a proxy's that
// guards a test installation with a password.
func tokenOf(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	return r.URL.Query().Get("token")
}

// getOrderByKey answers "did I get in?". A key that could be guessed learns the status, but neither token nor names.
func (a *API) getOrderByKey(w http.ResponseWriter, r *http.Request, key string) error {
	visit := a.visit(r, gate.Read, key)
	if _, err := a.knock(w, r, &visit); err != nil {
		return err
	}
	ctx, cancel := a.readContext(r)
	defer cancel()
	o, err := a.cfg.Desk.OrderByKey(ctx, key)
	if err != nil {
		return err
	}
	v := a.view(o)
	if !registration.KeyIsSecret(key) {
		v.AccessToken, v.StatusURL, v.Documents, v.Participants = "", "", nil, nil
	}
	writeJSON(w, http.StatusOK, v)
	return nil
}

// cancelOrder gives the places back.
func (a *API) cancelOrder(w http.ResponseWriter, r *http.Request) error {
	order, err := a.counted(w, r, gate.Cancel)
	if err != nil {
		return err
	}
	ctx, cancel := a.readContext(r)
	defer cancel()
	o, err := a.cfg.Desk.Cancel(ctx, order)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, a.view(o))
	return nil
}

package httpapi

import (
	"net/http"
	"reflect"
	"slices"
	"strings"

	"gapura/internal/calm"
	"gapura/internal/fault"
	"gapura/internal/fulfil"
	"gapura/internal/registration"
	"gapura/internal/waitroom"
)

// route is a call of the public contract: how it is served and how it is documented, in one place.
type route struct {
	method, path string
	handler      http.Handler // nil: served by belowOrder
	id, summary  string
	request      reflect.Type
	response     reflect.Type // nil: none
	success      int
	contentType  string // application/json if empty
	secured      bool   // needs the order's token
	key          keyUse
	pass         bool // takes a Queue-Pass
	faults       []fault.Code
}

// keyUse says whether a call takes an Idempotency-Key.
type keyUse int

const (
	keyNone keyUse = iota
	keyOptional
	keyRequired
)

func (a *API) table() []route {
	return slices.Concat(a.eventRoutes(), a.queueRoutes(), a.orderRoutes(), a.serverRoutes())
}

func (a *API) queueRoutes() []route {
	return []route{
		{
			method: "GET", path: "/api/v1/events/{slug}/queue", handler: a.handle(a.getQueue), id: "getQueue",
			summary:  "The waiting room: how many were served, and when to ask again; small and cacheable",
			response: reflect.TypeFor[waitroom.State](), success: 200, faults: []fault.Code{fault.NoSuchEvent, fault.NotFound},
		},
		{
			method: "POST", path: "/api/v1/events/{slug}/queue/tickets", handler: a.handle(a.postTicket), id: "drawTicket",
			summary: "Draw a ticket: a number in the draw before its list closes, a place at the end of the line afterwards",
			request: reflect.TypeFor[TicketRequest](), response: reflect.TypeFor[TicketView](), success: 201, key: keyOptional,
			faults: []fault.Code{
				fault.BadJSON, fault.TooLarge, fault.UnsupportedMediaType, fault.KeyMissing, fault.CaptchaFailed, fault.RateLimited,
				fault.NoSuchEvent, fault.NotFound, fault.Closed, fault.SoldOut, fault.Overloaded, fault.ConfirmationRequired,
				fault.ValidationFailed,
			},
		},
		{
			method: "POST", path: "/api/v1/events/{slug}/queue/confirmations", handler: a.handle(a.calmly(calm.Hold, a.postConfirmation)),
			id:      "askForCode",
			summary: "Have a code mailed, where the queue's state has a person; the answer is the same for every address",
			request: reflect.TypeFor[ConfirmationRequest](), response: reflect.TypeFor[ConfirmationView](), success: 202, key: keyOptional,
			faults: []fault.Code{
				fault.BadJSON, fault.TooLarge, fault.UnsupportedMediaType, fault.ValidationFailed, fault.KeyMissing, fault.CaptchaFailed,
				fault.RateLimited, fault.NoSuchEvent, fault.NotFound, fault.Closed, fault.SoldOut, fault.Overloaded,
			},
		},
		{
			method: "POST", path: "/api/v1/events/{slug}/queue/passes", handler: a.handle(a.postPass), id: "exchangeTicket",
			summary: "Exchange a ticket whose turn has come, once; a repeat gets the same pass until it expires",
			request: reflect.TypeFor[PassRequest](), response: reflect.TypeFor[PassView](), success: 201,
			faults: []fault.Code{
				fault.BadJSON, fault.TooLarge, fault.UnsupportedMediaType, fault.ValidationFailed, fault.KeyMissing,
				fault.QueuePassRequired, fault.RateLimited, fault.NoSuchEvent, fault.NotFound, fault.SoldOut, fault.Overloaded,
			},
		},
		{
			method: "GET", path: "/api/v1/events/{slug}/queue/proof", handler: a.handle(a.getProof), id: "getDrawProof",
			summary:  "What is published about the draw: commitment, hashes of the closed list, and the seed from opening on",
			response: reflect.TypeFor[waitroom.Proof](), success: 200, faults: []fault.Code{fault.NoSuchEvent, fault.NotFound},
		},
		{
			method: "GET", path: "/api/v1/events/{slug}/queue/list", handler: a.handle(a.calmly(calm.Export, a.getList)), id: "getDrawList",
			summary: "The closed list of draw numbers, sorted, one a line", success: 200, contentType: "text/plain",
			faults: []fault.Code{fault.NoSuchEvent, fault.NotFound, fault.Overloaded},
		},
	}
}

func (a *API) eventRoutes() []route {
	return []route{
		{
			method: "GET", path: "/api/v1/events", handler: a.handle(a.listEvents), id: "listEvents",
			summary: "The published events, by start", response: reflect.TypeFor[EventList](), success: 200,
		},
		{
			method: "GET", path: "/api/v1/events/{slug}", handler: a.handle(a.getEvent), id: "getEvent",
			summary: "One event with categories, questions and the server's time", response: reflect.TypeFor[EventView](), success: 200,
			faults: []fault.Code{fault.NoSuchEvent},
		},
		{
			method: "GET", path: "/api/v1/events/{slug}/availability", handler: a.handle(a.getAvailability), id: "getAvailability",
			summary: "How each category sells; small and cacheable", response: reflect.TypeFor[AvailabilityView](), success: 200,
			faults: []fault.Code{fault.NoSuchEvent},
		},
		{
			method: "GET", path: "/api/v1/events/{slug}/schedule", handler: a.handle(a.getSchedule), id: "getSchedule",
			summary: "The programme of the event", response: reflect.TypeFor[ScheduleView](), success: 200,
			faults: []fault.Code{fault.NoSuchEvent},
		},
		{
			method: "GET", path: "/api/v1/events/{slug}/void-tickets", handler: a.handle(a.getVoidTickets), id: "getVoidTickets",
			summary: "The event's signed list of void tickets, for gates without a network", success: 200,
			contentType: "application/octet-stream", faults: []fault.Code{fault.NoSuchEvent, fault.Overloaded},
		},
		{
			method: "GET", path: "/api/v1/ticket-keys", handler: a.handle(a.getTicketKeys), id: "getTicketKeys",
			summary: "The public keys that tickets are checked with", response: reflect.TypeFor[TicketKeyList](), success: 200,
		},
	}
}

func (a *API) orderRoutes() []route {
	order := reflect.TypeFor[OrderView]()
	return []route{
		{
			method: "POST", path: "/api/v1/events/{slug}/orders", handler: a.handle(a.postOrder), id: "register",
			summary: "Register: all participants get a place, or none; answered after the order is durable",
			request: reflect.TypeFor[registration.Request](), response: order, success: 201, key: keyRequired, pass: true,
			faults: []fault.Code{
				fault.BadJSON, fault.TooLarge, fault.UnsupportedMediaType, fault.ValidationFailed, fault.KeyMissing, fault.KeyReused,
				fault.KeyInFlight, fault.SoldOut, fault.PriceChanged, fault.AlreadyRegistered, fault.NotOpen, fault.Closed,
				fault.QueuePassRequired, fault.CaptchaFailed, fault.RateLimited, fault.NoSuchEvent, fault.Overloaded,
				fault.OutcomeUnknown,
			},
		},
		{
			method: "GET", path: "/api/v1/orders/{id}", handler: a.handle(a.calmly(calm.Read, a.getOrder)), id: "getOrder", summary: "The order as it stands",
			response: order, success: 200, secured: true, faults: []fault.Code{fault.NotAllowed, fault.NoSuchOrder, fault.RateLimited, fault.Overloaded},
		},
		{
			method: "GET", path: "/api/v1/orders/by-key/{key}", id: "getOrderByKey",
			summary:  "Did I get in? The order that an idempotency key made; without token and names for a key shorter than 20 characters",
			response: order, success: 200, faults: []fault.Code{fault.NoSuchOrder, fault.RateLimited, fault.Overloaded},
		},
		{
			method: "POST", path: "/api/v1/orders/{id}/cancel", handler: a.handle(a.calmly(calm.Payment, a.cancelOrder)), id: "cancelOrder",
			summary: "Give the places of an unpaid or free order back", response: order, success: 200, secured: true,
			faults: []fault.Code{fault.NotAllowed, fault.NoSuchOrder, fault.WrongState, fault.RateLimited, fault.Overloaded},
		},
		{
			method: "POST", path: "/api/v1/orders/{id}/payments", handler: a.handle(a.calmly(calm.Payment, a.startPayment)), id: "startPayment",
			summary: "Start or resume paying", response: reflect.TypeFor[PaymentView](), success: 200, secured: true,
			faults: []fault.Code{fault.NotAllowed, fault.NoSuchOrder, fault.WrongState, fault.PaymentUnavailable, fault.RateLimited, fault.Overloaded},
		},
		{
			method: "POST", path: "/webhooks/midtrans", handler: a.handle(a.calmly(calm.Webhook, a.midtransWebhook)), id: "midtransWebhook",
			summary: "A notification of the payment provider; stored before it is answered, applied by a job", success: 200,
			faults: []fault.Code{fault.BadJSON, fault.TooLarge, fault.NotAllowed, fault.Overloaded},
		},
		{
			method: "GET", path: "/api/v1/orders/{id}/stream", id: "streamOrder",
			summary: "Server-sent events: `status` with the order's version and status", success: 200,
			contentType: "text/event-stream", secured: true, faults: []fault.Code{fault.NotAllowed, fault.NoSuchOrder, fault.RateLimited, fault.Overloaded},
		},
		fileRoute(fulfil.TicketsFile, "getTickets", "The tickets, a page a participant", "application/pdf"),
		fileRoute(fulfil.InvoiceFile, "getInvoice", "The invoice of a paid order", "application/pdf"),
		fileRoute(fulfil.CalendarFile, "getCalendar", "The race as a calendar entry", "text/calendar"),
	}
}

// fileRoute is that of a file of an order, which belowOrder serves.
func fileRoute(name, id, summary, contentType string) route {
	return route{
		method: "GET", path: "/api/v1/orders/{id}/" + name, id: id, summary: summary, success: 200, contentType: contentType, secured: true,
		faults: []fault.Code{fault.NotAllowed, fault.NoSuchOrder, fault.NotFound, fault.NotReady, fault.RateLimited, fault.Overloaded},
	}
}

// belowOrder serves by-key/{key}, {id}/stream and the order's files. A ServeMux takes the two patterns for ambiguous, and a key may hold a
// slash.
func (a *API) belowOrder(w http.ResponseWriter, r *http.Request) error {
	rest := r.PathValue("rest")
	switch {
	case r.PathValue("id") == "by-key":
		return a.calmly(calm.Read, func(w http.ResponseWriter, r *http.Request) error { return a.getOrderByKey(w, r, rest) })(w, r)
	case rest == "stream":
		return a.streamOrder(w, r)
	case isFile(rest):
		return a.calmly(calm.Read, func(w http.ResponseWriter, r *http.Request) error { return a.getFile(w, r, rest) })(w, r)
	}
	return a.nothing(w, r)
}

// nothing answers a request that no route takes. It names the methods that the address does take, if there are any.
func (a *API) nothing(w http.ResponseWriter, r *http.Request) error {
	allow := a.allowed(r)
	if allow == "" {
		return fault.New(fault.NotFound)
	}
	w.Header().Set("Allow", allow)
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return fault.New(fault.MethodNotAllowed)
}

func (a *API) allowed(r *http.Request) string {
	switch get, post := a.takes(r, http.MethodGet), a.takes(r, http.MethodPost); {
	case get && post:
		return "GET, HEAD, POST, OPTIONS"
	case get:
		return "GET, HEAD, OPTIONS"
	case post:
		return "POST, OPTIONS"
	}
	return ""
}

// takes reports whether a route serves the address of r with that method.
func (a *API) takes(r *http.Request, method string) bool {
	probe := *r
	probe.Method = method
	_, pattern := a.mux.Handler(&probe)
	if rest, ok := strings.CutPrefix(r.URL.Path, "/api/v1/orders/"); ok && strings.HasSuffix(pattern, "/{rest...}") {
		order, rest, _ := strings.Cut(rest, "/")
		return order == "by-key" || rest == "stream" || isFile(rest)
	}
	return strings.HasPrefix(pattern, method+" ")
}

func (a *API) serverRoutes() []route {
	return []route{
		{
			method: "GET", path: "/api/v1/captcha/challenge", handler: a.handle(a.getChallenge), id: "getChallenge",
			summary:  "A captcha to solve, for ?action=register (the default) or draw; not_found where none are made here",
			response: reflect.TypeFor[ChallengeView](), success: 200, faults: []fault.Code{fault.NotFound, fault.RateLimited},
		},
		{
			method: "GET", path: "/healthz", handler: http.HandlerFunc(a.healthz), id: "healthz", summary: "The process is alive",
			success: 200, contentType: "text/plain",
		},
		{
			method: "GET", path: "/readyz", handler: a.handle(a.readyz), id: "readyz", summary: "This node can take traffic",
			success: 200, contentType: "text/plain", faults: []fault.Code{fault.Overloaded},
		},
		{
			method: "GET", path: "/metrics", handler: a.cfg.Metrics, id: "metrics", summary: "Metrics in Prometheus' format",
			success: 200, contentType: "text/plain",
		},
		{
			method: "GET", path: problemPath + "{code}", handler: a.handle(a.getProblem), id: "getProblem",
			summary: "What a problem's type means and what to do about it, for people; a code with dashes", success: 200,
			contentType: "text/html", faults: []fault.Code{fault.NotFound},
		},
		{
			method: "GET", path: "/openapi.json", handler: http.HandlerFunc(a.getOpenAPI), id: "openapi", summary: "This document", success: 200,
		},
	}
}

func (a *API) healthz(w http.ResponseWriter, _ *http.Request) {
	writeBytes(w, http.StatusOK, "text/plain; charset=utf-8", []byte("ok\n"))
}

func (a *API) readyz(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := a.readContext(r)
	defer cancel()
	if err := a.cfg.Ready(ctx); err != nil {
		return fault.Wrap(fault.Overloaded, err).With("reason", err.Error())
	}
	writeBytes(w, http.StatusOK, "text/plain; charset=utf-8", []byte("ready\n"))
	return nil
}

func (a *API) getOpenAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header()["Cache-Control"] = cacheSchedule
	writeBytes(w, http.StatusOK, "application/json", a.openapi)
}

package httpapi

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"gapura/internal/calm"
	"gapura/internal/fault"
	"gapura/internal/gate"
)

// visit describes a request to the gate.
func (a *API) visit(r *http.Request, call gate.Call, ticket string) gate.Visit {
	return gate.Visit{
		Call: call, Ticket: ticket, Host: a.cfg.Gate.Host(r.Host),
		Address: a.cfg.Gate.Address(r.RemoteAddr, r.Header["X-Forwarded-For"]),
	}
}

// knock counts a request before anything of it is read, and says in its headers how it stands.
func (a *API) knock(w http.ResponseWriter, r *http.Request, v *gate.Visit) (gate.Standing, error) {
	s, err := a.cfg.Gate.Knock(r.Context(), v)
	tell(w, s)
	return s, err
}

// tell writes the headers of draft-ietf-httpapi-ratelimit-headers.
func tell(w http.ResponseWriter, s gate.Standing) {
	if s.State != nil {
		h := w.Header()
		h["Ratelimit-Policy"], h["Ratelimit"] = s.Policy, s.State
	}
}

// admitOrder takes the captcha of a registration and counts its contact. One whose key has an order already needs no fresh
// captcha: the answer to it may have been lost.
func (a *API) admitOrder(w http.ResponseWriter, r *http.Request, v *gate.Visit, s gate.Standing) error {
	s, err := a.cfg.Gate.Admit(r.Context(), v, s, func(ctx context.Context) bool { return a.hasOrder(ctx, v.Ticket) })
	tell(w, s)
	return err
}

func (a *API) hasOrder(ctx context.Context, key string) bool {
	if !a.cfg.Calm.Enter(calm.Read) {
		return false
	}
	defer a.cfg.Calm.Leave(calm.Read)
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	_, err := a.cfg.Desk.OrderByKey(ctx, key)
	return err == nil
}

// personOf is what a contact is counted under.
func personOf(email string) string { return strings.ToLower(strings.TrimSpace(email)) }

// orderPriority lets those go first who have waited in the room. The pass is checked later; a made-up one only gets as far
// as that.
func orderPriority(r *http.Request) calm.Priority {
	if len(r.Header["Queue-Pass"]) > 0 {
		return calm.Admitted
	}
	return calm.Hold
}

// shedFor asks those who were turned away at the door to come back a little later, each at another moment.
func shedFor() time.Duration { return time.Second + rand.N(3*time.Second) }

// calmly runs serve while there is room for it at its priority.
func (a *API) calmly(p calm.Priority, serve func(w http.ResponseWriter, r *http.Request) error) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		if !a.cfg.Calm.Wait(r.Context(), p) {
			return fault.New(fault.Overloaded).After(shedFor())
		}
		defer a.cfg.Calm.Leave(p)
		return serve(w, r)
	}
}

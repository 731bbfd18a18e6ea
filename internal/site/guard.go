package site

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gapura/internal/calm"
	"gapura/internal/fault"
	"gapura/internal/gate"
)

// Captcha is what the form asks visitors to solve.
type Captcha struct {
	Provider string `json:"provider"`          // altcha or turnstile
	SiteKey  string `json:"siteKey,omitempty"` // of Turnstile
	Action   string `json:"action"`
}

// limited puts the gate and the door before a page that reads the database. A visitor is told apart by the order's token,
// which only its owner has.
func (s *Site) limited(call gate.Call, p calm.Priority, serve func(http.ResponseWriter, *http.Request) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		v := s.visit(r, call)
		if token := r.URL.Query().Get("token"); token != "" {
			v.Ticket = r.PathValue("id") + " " + token
		}
		if _, err := s.knock(w, r, &v); err != nil {
			return err
		}
		if !s.config.Calm.Wait(r.Context(), p) {
			return overloaded()
		}
		defer s.config.Calm.Leave(p)
		return serve(w, r)
	}
}

// comeBack is when to try again after being turned away at the door.
const comeBack = 3 * time.Second

func overloaded() error { return fault.New(fault.Overloaded).After(comeBack) }

func (s *Site) visit(r *http.Request, call gate.Call) gate.Visit {
	return gate.Visit{
		Call: call, Host: s.config.Gate.Host(r.Host), Address: s.config.Gate.Address(r.RemoteAddr, r.Header["X-Forwarded-For"]),
	}
}

func (s *Site) knock(w http.ResponseWriter, r *http.Request, v *gate.Visit) (gate.Standing, error) {
	standing, err := s.config.Gate.Knock(r.Context(), v)
	tell(w, standing)
	return standing, err
}

// tell writes the headers of draft-ietf-httpapi-ratelimit-headers.
func tell(w http.ResponseWriter, standing gate.Standing) {
	if standing.State != nil {
		w.Header()["Ratelimit-Policy"], w.Header()["Ratelimit"] = standing.Policy, standing.State
	}
}

// admit lets a posted form through to registration, or says why not. A form whose key has an order already needs no captcha.
func (s *Site) admit(w http.ResponseWriter, r *http.Request, v *gate.Visit, standing gate.Standing, f *filled) error {
	v.Person, v.Captcha = strings.ToLower(f.request.Contact.Email), captchaOf(r.PostForm)
	standing, err := s.config.Gate.Admit(r.Context(), v, standing, func(ctx context.Context) bool {
		_, err := s.config.Desk.OrderByKey(ctx, f.key)
		return err == nil
	})
	tell(w, standing)
	return err
}

// captchaOf finds the answer under the name that each provider's widget gives it.
func captchaOf(posted url.Values) string {
	for _, name := range []string{"captcha", "altcha", "cf-turnstile-response"} {
		if answer := posted.Get(name); answer != "" {
			return answer
		}
	}
	return ""
}

// withTurnstile lets the form load Cloudflare's script and its frame. The frame asks its own server; only a pre-clearance
// cookie would be asked of ours.
var withTurnstile = contentSecurityPolicy + "; script-src 'self' https://challenges.cloudflare.com; frame-src https://challenges.cloudflare.com"

// allowCaptcha widens the policy of a page with a form, where the provider needs it.
func (s *Site) allowCaptcha(h http.Header) {
	if s.config.Captcha.Provider == "turnstile" {
		h.Set("Content-Security-Policy", withTurnstile)
	}
}

package site

import (
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	"gapura/internal/fault"
)

// problemView is a page that says why there is no other.
type problemView struct {
	Status          int
	Code            string
	Headline, Lead  string
	Retry           string // where to try again; "" if that does not help
	Seconds         int    // until the page does so by itself
	BackLink, Label string
}

// statusOf is the contract's status, but for a page without its token: a browser would answer 401 with a box for a password.
func statusOf(code fault.Code) int {
	if code == fault.NotAllowed {
		return http.StatusForbidden
	}
	return code.HTTPStatus()
}

func (s *Site) notFound(_ http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return fault.New(fault.MethodNotAllowed)
	}
	return fault.New(fault.NotFound)
}

// Fail answers with the page for err: not found, refused, overloaded (which tries again by itself), or broken. Middleware
// around the pages may call it too.
func (s *Site) Fail(w http.ResponseWriter, r *http.Request, err error) {
	refusal := fault.Wrap(fault.Internal, err)
	if !errors.As(err, &refusal) || refusal.Code == fault.Internal {
		s.config.Log.Error("a page failed", slog.String("path", r.URL.Path), slog.Any("error", err))
	}
	secure(w.Header())
	w.Header().Set("Referrer-Policy", "no-referrer") // the address may hold a token
	say := s.words(r)
	// The path may hold an order's id and the query its token: the page about a problem repeats neither in its links.
	v := s.view(say, "problem", "/", nil)
	body := s.problem(say, r, refusal)
	v.Title, v.NoIndex, v.Body = body.Headline, true, body
	if body.Seconds > 0 {
		v.Refresh = strconv.Itoa(body.Seconds)
	}
	setRetryAfter(w.Header(), refusal)
	if sendErr := s.send(w, body.Status, v); sendErr != nil {
		s.config.Log.Error("the page about a problem failed", slog.Any("error", sendErr))
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
	}
}

func (s *Site) problem(say words, r *http.Request, f *fault.Fault) problemView {
	status := statusOf(f.Code)
	key := "problem." + strconv.Itoa(status)
	body := problemView{Status: status, Code: string(f.Code), BackLink: s.link(say.lang, "/", nil), Label: say.T("nav.all")}
	if !say.has(key) {
		key = "problem.400"
	}
	body.Headline, body.Lead = say.T(key), say.about("fault", string(f.Code), nil)
	if say.has(key + "_lead") {
		body.Lead = say.T(key + "_lead")
	}
	switch f.Code {
	case fault.NoSuchEvent:
		body.Lead = say.T("problem.event_lead")
	case fault.NoSuchOrder:
		body.Lead = say.T("problem.order_lead")
	case fault.Overloaded, fault.OutcomeUnknown, fault.RateLimited:
		s.tryAgain(say, r, f, &body)
	case fault.Internal:
		if r.Method == http.MethodGet {
			body.Retry = r.URL.RequestURI()
		}
	case fault.PaymentUnavailable:
		body.Headline, body.Lead = say.T("problem.payment"), say.T("fault.payment_unavailable")
	case fault.NotReady:
		s.tryAgain(say, r, f, &body)
		body.Headline, body.Lead = say.T("problem.not_ready"), say.T("fault.not_ready")
	default:
	}
	return body
}

// tryAgain makes the page load itself again. A refused post is not repeated by itself: a browser would ask about it.
func (s *Site) tryAgain(say words, r *http.Request, f *fault.Fault, body *problemView) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		body.Lead = say.about("fault", string(f.Code), nil)
		return
	}
	body.Seconds = max(seconds(f.RetryAfter), 3)
	body.Retry = r.URL.RequestURI()
	if f.Code != fault.RateLimited {
		body.Lead = say.T("problem.503_lead", "n", body.Seconds)
	}
}

func setRetryAfter(h http.Header, f *fault.Fault) {
	if f.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(seconds(f.RetryAfter)))
	}
}

// seconds rounds up: a client that waits a little too short is refused again.
func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

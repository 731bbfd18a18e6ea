// Package httpapi is the JSON API of the public contract: a file per resource, and problem.go, the only place where errors
// become HTTP.
package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"gapura/internal/cache"
	"gapura/internal/calm"
	"gapura/internal/clock"
	"gapura/internal/gate"
	"gapura/internal/registration"
)

// Desk is what the API asks of registration: the whole desk, and early refusal.
type Desk interface {
	registration.Desk
	// Shed returns the fault that a registration with this key would meet before its body is worth reading, or nil.
	Shed(slug, key string) error
}

// Config is what the API needs.
type Config struct {
	Desk       Desk
	Cashier    Cashier       // nil: nothing can be paid here
	Files      Files         // nil: there are none
	Gates      Gates         // nil: no tickets are signed here
	Queue      Queue         // nil: no event has a waiting room
	Gate       *gate.Gate    // nil: nobody is limited, and no captcha is wanted
	Calm       *calm.Gate    // nil: nothing is shed at the door
	Challenger Challenger    // nil: captchas, if any, are not made here
	Cache      *cache.Shared // nil: prepared documents are not shared with other nodes
	Clock      clock.Clock
	Log        *slog.Logger
	Locale     string                          // id or en: the language of answers to those who prefer neither; id if empty
	BaseURL    string                          // without a slash at its end, such as https://daftar.example.id
	Ready      func(ctx context.Context) error // nil error: this node can take traffic
	Metrics    http.Handler                    // Prometheus' format
	Stopped    <-chan struct{}                 // closed when the server stops, so that streams end
}

// API answers the routes of the public contract.
type API struct {
	cfg      Config
	mux      *http.ServeMux
	routes   []route
	prepared prepared
	openapi  []byte
	bodies   bodies
	refusals lingering
	problems problems
	pages    map[string]*finished // of the problems
	streams  atomic.Int64         // open now
}

// New returns the API's handler. It answers every path below /api/, /webhooks/ and its own few others.
func New(cfg Config) *API {
	a := &API{cfg: cfg, mux: http.NewServeMux(), prepared: prepared{shared: cfg.Cache}}
	a.pages = problemPages(cfg.Locale)
	a.routes = a.table()
	for _, r := range a.routes {
		if r.handler != nil {
			a.mux.Handle(r.method+" "+r.path, r.handler)
		}
		if !below(r.path) {
			a.mux.Handle(r.path, a.handle(a.nothing))
		}
	}
	a.mux.Handle("GET /api/v1/orders/{id}/{rest...}", a.handle(a.belowOrder))
	a.mux.Handle("/api/", a.handle(a.nothing))
	a.openapi = document(cfg.BaseURL, a.routes)
	return a
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

// Patterns returns the patterns to mount the API under.
func (a *API) Patterns() []string {
	patterns := []string{"/api/"}
	for _, r := range a.routes {
		if !below(r.path) {
			patterns = append(patterns, r.path) // of any method: a wrong one gets a problem document too
		}
	}
	return patterns
}

func below(path string) bool { return strings.HasPrefix(path, "/api/") }

// handle turns a function that may fail into a handler.
func (a *API) handle(serve func(w http.ResponseWriter, r *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := serve(w, r); err != nil {
			a.fail(w, r, err)
		}
	})
}

// readWithin bounds one read from the database for a visitor.
const readWithin = 5 * time.Second

func (a *API) readContext(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(r.Context(), readWithin)
}

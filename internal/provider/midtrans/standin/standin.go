// Package standin behaves as Midtrans does, without money: Snap pages, Core calls and signed notifications with the real
// retry schedule. The demo pays with it when there are no keys, and tests use it as the peer, with switches for every trouble
// that the real one has.
//
// It shares no code with the client, so that a misreading of the contract in one is not repeated by the other.
package standin

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"gapura/internal/clock"
	"gapura/internal/lifecycle"
)

// Config says how a stand-in runs.
type Config struct {
	ServerKey    string      // which it expects from merchants and signs with
	PublicURL    string      // where browsers reach it, without a slash at the end; empty: as the merchant addressed it
	NotifyURL    string      // where notifications go unless a page overrides it
	AppURL       string      // the one address beside loopback that notifications may go to
	Scale        float64     // how much faster than the real one its own delays pass (retries, reversals); 0: 1
	SnapshotPath string      // where transactions are kept over a restart; empty: nowhere
	Control      bool        // serve the control page and its API, to loopback only
	Clock        clock.Clock // nil: the machine's
	Log          *slog.Logger
}

// Server is one stand-in. It is safe for concurrent use.
type Server struct {
	cfg     Config
	clock   clock.Clock
	log     *slog.Logger
	http    *http.Client
	wake    chan struct{}
	mu      sync.Mutex
	txs     map[string]*transaction // by order id
	tokens  map[string]string       // token to order id
	replays map[string]replay       // by Idempotency-Key
	queue   []*delivery
	trouble Trouble
	sent    []Sent
	serial  int64
	dirty   bool      // since the last snapshot
	saveAt  time.Time // when the next snapshot may be written, by the machine's clock
}

// New returns a stand-in with what its snapshot holds.
func New(cfg Config) (*Server, error) {
	if cfg.ServerKey == "" {
		return nil, errors.New("the stand-in needs a server key")
	}
	if cfg.Scale == 0 {
		cfg.Scale = 1
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.System{}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		cfg: cfg, clock: cfg.Clock, log: cfg.Log, wake: make(chan struct{}, 1),
		txs: map[string]*transaction{}, tokens: map[string]string{}, replays: map[string]replay{},
	}
	s.http = s.sender()
	if cfg.NotifyURL != "" {
		if err := s.checkTarget(cfg.NotifyURL); err != nil {
			return nil, err
		}
	}
	return s, s.load()
}

// Start delivers notifications, ends what expires and writes snapshots in goroutines of g until g stops.
func (s *Server) Start(g *lifecycle.Group) {
	g.Go("midtrans stand-in", s.run)
}

// Close drops idle connections to those who are notified.
func (s *Server) Close() { s.http.CloseIdleConnections() }

// run works off what is due. It looks at least four times a second, because an injected clock does not wake it.
func (s *Server) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			s.save(true)
			return
		case <-timer.C:
		case <-s.wake:
		}
		s.Tick(ctx)
		timer.Reset(s.untilNext())
	}
}

// Tick does everything that is due now: expiries, reversals, deliveries (it waits for them) and a snapshot.
func (s *Server) Tick(ctx context.Context) {
	s.mu.Lock()
	s.pass()
	due := s.takeDue()
	s.mu.Unlock()
	s.deliverAll(ctx, due)
	s.save(false)
}

func (s *Server) untilNext() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := 250 * time.Millisecond
	now := s.clock.Now()
	for _, d := range s.queue {
		next = min(next, max(d.due.Sub(now), 0))
	}
	return next
}

func (s *Server) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// scaled is a delay of the real provider on this stand-in's clock.
func (s *Server) scaled(d time.Duration) time.Duration {
	return time.Duration(float64(d) / s.cfg.Scale)
}

// Handler serves everything: the API for merchants, pages for browsers and, if configured, the controls.
func (s *Server) Handler() http.Handler {
	api := http.NewServeMux()
	api.HandleFunc("POST /snap/v1/transactions", s.create)
	api.HandleFunc("POST /snap/v1/transactions/{token}/cancel", s.revoke)
	api.HandleFunc("GET /v2/{order}/status", s.status)
	api.HandleFunc("POST /v2/{order}/cancel", s.cancel)
	api.HandleFunc("POST /v2/{order}/expire", s.expire)
	api.HandleFunc("POST /v2/{order}/refund", s.refund)
	mux := http.NewServeMux()
	mux.Handle("/snap/v1/", s.merchant(api))
	mux.Handle("/v2/", s.merchant(api))
	mux.HandleFunc("GET /snap/v3/redirection/{token}", s.page)
	mux.Handle("POST /snap/v3/redirection/{token}", sameOrigin(http.HandlerFunc(s.act)))
	mux.HandleFunc("GET /snap/v3/style.css", style)
	if s.cfg.Control {
		mux.Handle("/control", sameOrigin(s.local(http.HandlerFunc(s.control))))
		mux.Handle("/control/", sameOrigin(s.local(http.HandlerFunc(s.control))))
	}
	return mux
}

func sameOrigin(h http.Handler) http.Handler { return http.NewCrossOriginProtection().Handler(h) }

// merchant checks the key and meets the caller with the trouble that is switched on.
func (s *Server) merchant(h http.Handler) http.Handler {
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte(s.cfg.ServerKey+":"))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		if !s.meetTrouble(w, r) {
			return
		}
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte(want)) != 1 {
			refuse(w, r, http.StatusUnauthorized, "Access denied due to unauthorized transaction, please check client or server key")
			return
		}
		if s.takeLoss(r) {
			h.ServeHTTP(discard{header: http.Header{}}, r)
			s.poke()
			// What was asked has happened; the merchant never learns it.
			panic(http.ErrAbortHandler)
		}
		h.ServeHTTP(w, r)
		s.poke()
	})
}

// discard swallows an answer.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// newToken returns a random UUID, as the provider's tokens and transaction ids are.
func newToken() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// publicURL is where the browser finds the page, for the redirect_url.
func (s *Server) publicURL(r *http.Request) string {
	if s.cfg.PublicURL != "" {
		return s.cfg.PublicURL
	}
	return (&url.URL{Scheme: "http", Host: r.Host}).String()
}

// Transactions returns every transaction, newest first.
func (s *Server) Transactions() []View {
	s.mu.Lock()
	defer s.mu.Unlock()
	views := make([]View, 0, len(s.txs))
	for _, tx := range s.txs {
		views = append(views, tx.view())
	}
	slices.SortFunc(views, func(a, b View) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.OrderID, a.OrderID))
	})
	return views
}

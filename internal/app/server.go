package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"runtime/debug"
	"sync/atomic"
	"time"

	"gapura/internal/clock"
	"gapura/internal/httpapi"
	"gapura/internal/id"
	"gapura/internal/lifecycle"
	"gapura/internal/registration"
	"gapura/internal/site"
	"gapura/internal/store"
)

// node is one running server with everything it owns.
type node struct {
	program    *program
	store      *store.Store
	keyring    keyring
	engine     *registration.Engine
	payments   *payments // nil: nothing can be paid here
	fulfilment *fulfilment
	standinURL string // of the payment stand-in, if this process runs one
	telemetry  *telemetry
	pulse      *pulse
	rooms      *rooms // nil: this node serves nobody
	guard      *guard
	queue      *queue // nil: this node runs no jobs
	work       *lifecycle.Group
	stopping   atomic.Bool
	stopped    chan struct{}
}

// openStore opens the database; with migrate it also brings the schema up to date.
func (p *program) openStore(ctx context.Context, migrate bool) (*store.Store, error) {
	options, err := p.cfg.database(p.log)
	if err != nil {
		return nil, err
	}
	s, err := store.Open(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("the database does not answer: check that it runs and the DB_ variables (%w)", err)
	}
	if !migrate {
		return s, p.schemaIsCurrent(ctx, s)
	}
	if _, err := s.Migrate(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (p *program) schemaIsCurrent(ctx context.Context, s *store.Store) error {
	pending, err := s.Pending(ctx)
	if err == nil && pending > 0 {
		err = fmt.Errorf("the database's schema is %d migrations behind: run gapura migrate", pending)
	}
	if err != nil {
		return errors.Join(err, s.Close())
	}
	return nil
}

// openNode opens the store and the engine.
func (p *program) openNode(ctx context.Context) (*node, error) {
	s, err := p.openStore(ctx, p.embedded())
	if err != nil {
		return nil, err
	}
	n := &node{
		program: p, store: s, telemetry: newTelemetry(p.log), pulse: &pulse{},
		work: lifecycle.NewGroup(context.WithoutCancel(ctx)), stopped: make(chan struct{}),
	}
	if err := n.openEngine(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := n.openGuard(); err != nil {
		return nil, errors.Join(err, n.stop(nil)) //nolint:contextcheck // stopping has a bound of its own: ctx may have ended
	}
	return n, nil
}

func (n *node) openEngine(ctx context.Context) error {
	keys, err := appKeys(n.program.cfg)
	if err != nil {
		return err
	}
	n.keyring = keyring{keys}
	secrets, err := n.keyring.registration(ctx, n.store)
	if err != nil {
		return err
	}
	n.engine, err = registration.Open(ctx, registration.Config{
		Store: n.store, Clock: clock.System{}, Log: n.program.log, Secrets: secrets, Meter: meters{n.telemetry, n.pulse},
		Limits: n.program.limits(), Closer: n,
	})
	return err
}

// Paying implements registration.Closer.
func (n *node) Paying(ctx context.Context, orders []id.ID) ([]id.ID, error) {
	if n.payments == nil {
		return nil, nil
	}
	return n.payments.store.Paying(ctx, orders)
}

// Close implements registration.Closer.
func (n *node) Close(ctx context.Context, orders []id.ID) error {
	return n.payments.closeHolds(ctx, orders)
}

// embedded: one process on one machine does everything.
func (p *program) embedded() bool { return p.cfg.DBConnection == "sqlite" }

// limits are the engine's, with COMMIT_BATCH in place of its batch.
func (p *program) limits() registration.Limits {
	l := registration.DefaultLimits()
	if p.cfg.CommitBatch > 0 {
		l.Batch = p.cfg.CommitBatch
	}
	return l
}

// start opens what needs the server's own address, and with workers runs what does not belong to a request.
func (n *node) start(workers bool) error {
	var err error
	if n.payments, err = n.openPayments(); err != nil {
		return err
	}
	if n.fulfilment, err = n.openFulfilment(n.program.ctx); err != nil {
		return err
	}
	if !workers {
		return nil
	}
	n.fulfilment.service.Start(n.work)
	n.startWorkers()
	return n.startQueue(n.handlers())
}

// sweepEvery is how often payments are looked after: late money waits at most this long for a place that came back.
const sweepEvery = 5 * time.Second

func (n *node) startWorkers() {
	if n.payments != nil {
		n.work.Every("payments", sweepEvery, n.sweep)
	}
	const expiryEvery = 500 * time.Millisecond // a returned place is on sale within two seconds
	n.work.Every("expiry", expiryEvery, func(ctx context.Context) {
		if _, err := n.engine.ExpireDue(ctx); err != nil && ctx.Err() == nil {
			n.program.log.Warn("ended holds could not be released; they will be in the next round", slog.Any("error", err))
		}
	})
}

// api returns the JSON API.
func (n *node) api() *httpapi.API {
	return httpapi.New(httpapi.Config{
		Desk: n.engine, Queue: n.rooms, Cashier: n.cashier(), Files: n.fulfilment.service, Gates: n.fulfilment.gates, Clock: clock.System{}, Log: n.program.log, BaseURL: n.program.cfg.baseURL(), Locale: n.program.cfg.AppLocale, Ready: n.ready,
		Metrics: n.telemetry.handler(), Stopped: n.stopped,
		Gate: n.guard.gate, Calm: n.guard.calm, Challenger: n.guard.challenger, Cache: n.guard.cache,
	})
}

// handler joins pages and API.
func (n *node) handler(api *httpapi.API) (http.Handler, error) {
	pages, err := site.New(site.Config{
		Desk: n.engine, Queue: n.rooms, Cashier: n.siteCashier(), Files: n.fulfilment.service, Mailings: n.fulfilment.optOuts, PaymentHosts: n.paymentHosts(), Clock: clock.System{},
		BaseURL: n.program.cfg.baseURL(), Locale: n.program.cfg.AppLocale, Log: n.program.log,
		Gate: n.guard.gate, Calm: n.guard.calm, Captcha: n.program.cfg.captchaOfForm(), Cache: n.guard.cache,
	})
	if err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	mux := http.NewServeMux()
	for _, pattern := range api.Patterns() {
		mux.Handle(pattern, api)
	}
	pages.Register(mux)
	if n.fulfilment.mailbox != nil {
		mux.Handle(mailboxPath, n.fulfilment.mailbox)
		mux.Handle(mailboxPath+"/", n.fulfilment.mailbox)
	}
	origin := http.NewCrossOriginProtection()
	origin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		httpapi.WriteProblem(w, r, n.program.cfg.baseURL(), n.program.cfg.AppLocale, errCrossOrigin)
	}))
	return n.lastWords(n.telemetry.observe(n.ofAPath(origin.Handler(mux)))), nil
}

// cashier is nil where nothing can be paid; a nil *payments in the interface would not be.
func (n *node) cashier() httpapi.Cashier {
	if n.payments == nil {
		return nil
	}
	return n.payments
}

// siteCashier is the same for the pages.
func (n *node) siteCashier() site.Cashier {
	if n.payments == nil {
		return nil
	}
	return n.payments
}

// ofAPath refuses a request for * instead of a path: the mux would do so without a word.
func (n *node) ofAPath(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.RequestURI == "*" {
			w.Header()["Connection"] = closeConnection
			httpapi.WriteProblem(w, r, n.program.cfg.baseURL(), n.program.cfg.AppLocale, errNoPath)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// lastWords ends the connection with the answer while the node stops.
func (n *node) lastWords(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.stopping.Load() {
			w.Header()["Connection"] = closeConnection
		}
		next.ServeHTTP(w, r)
	})
}

var closeConnection = []string{"close"}

// drainFor is how long a node that was told to stop goes on answering. The server closes connections that it takes for idle,
// also one whose request has arrived and was not read yet: of 64 busy connections a dozen lost one so. Now those that are in
// use end with an answer first, and whoever asks readyz sees it coming.
const drainFor = 500 * time.Millisecond

func (n *node) drain(failed <-chan error) {
	n.stopping.Store(true)
	timer := time.NewTimer(drainFor)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-failed: //nolint:errcheck // the node is being stopped: why the server ended changes nothing any more
	}
}

// ready reports whether this node can take traffic: it is not stopping, and the database answers.
func (n *node) ready(ctx context.Context) error {
	if n.stopping.Load() {
		return errors.New("stopping")
	}
	if err := n.store.Ping(ctx); err != nil {
		return errors.New("the database does not answer")
	}
	if n.guard.depth.Drowning() {
		return errors.New("registrations wait too long")
	}
	return nil
}

// memoryEvery is how often the collector's goal follows what is in use. A crowd opens 9,000 connections within a second.
const memoryEvery = 100 * time.Millisecond

// Bounds of the HTTP server. A slow client is cut off; nothing it sent was taken before its body was whole.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	writeTimeout      = 30 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 16 << 10
	stopWithin        = 20 * time.Second
)

// serve answers on listener, and says that it is ready, until the program's context ends, then finishes what was accepted.
func (n *node) serve(listener net.Listener, ready func()) error {
	if err := n.openRooms(n.program.ctx); err != nil {
		if n.program.ctx.Err() != nil {
			err = nil // told to stop before it began
		}
		return errors.Join(err, listener.Close(), n.stop(nil))
	}
	api := n.api()
	handler, err := n.handler(api)
	if err != nil {
		return errors.Join(err, listener.Close(), n.stop(nil))
	}
	server := n.program.newServer(handler)
	server.ReadTimeout, server.WriteTimeout, server.IdleTimeout, server.MaxHeaderBytes = readTimeout, writeTimeout, idleTimeout, maxHeaderBytes
	if err := errors.Join(n.serveDebug(), n.announceRush()); err != nil {
		return errors.Join(err, listener.Close(), n.stop(nil))
	}
	lot := newParking(listener, n.work, crowded, parkAfter, idleTimeout, newPolls(api, n.telemetry, &n.stopping).answer)
	server.ConnState = lot.watch
	m := memory{connections: &lot.open}
	n.work.Every("memory", memoryEvery, m.tend)
	failed := make(chan error, 1)
	n.work.Go("http", func(context.Context) { failed <- server.Serve(lot) })
	debug.FreeOSMemory() // starting takes 20 MB that serving does not need
	ready()
	select {
	case err = <-failed:
	case <-n.program.ctx.Done():
		n.drain(failed)
	}
	return errors.Join(ignoreClosed(err), n.stop(server))
}

// serveDebug answers /debug/pprof/ and /metrics on an address of its own, which must be on this machine: profiles tell too much
// for the public one, and a worker has no other.
func (n *node) serveDebug() error {
	if n.program.cfg.DebugAddr == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(n.program.cfg.DebugAddr)
	if ip, parseErr := netip.ParseAddr(host); err != nil || parseErr != nil || !ip.IsLoopback() {
		return fmt.Errorf("DEBUG_ADDR is %q: use an address of this machine, such as 127.0.0.1:6060", n.program.cfg.DebugAddr)
	}
	listener, err := (&net.ListenConfig{}).Listen(n.program.ctx, "tcp", n.program.cfg.DebugAddr)
	if err != nil {
		return fmt.Errorf("cannot listen on DEBUG_ADDR: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.Handle("/metrics", n.telemetry.handler())
	server := n.program.newServer(mux)
	n.work.Go("debug", func(ctx context.Context) {
		stop := context.AfterFunc(ctx, func() { _ = server.Close() })
		defer stop()
		_ = server.Serve(listener)
	})
	return nil
}

// stop ends the node from the outside in: no new requests, then the engine's queue, then the workers, then the database.
func (n *node) stop(server *http.Server) error {
	n.stopping.Store(true)
	close(n.stopped)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(n.program.ctx), stopWithin)
	defer cancel()
	var err error
	if server != nil {
		err = server.Shutdown(ctx)
	}
	return errors.Join(err, n.engine.Stop(ctx), n.work.Stop(ctx), n.rooms.close(), n.queue.close(), n.guard.close(), n.store.Close())
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

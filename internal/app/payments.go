package app

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"time"

	"gapura/internal/clock"
	"gapura/internal/fault"
	"gapura/internal/httpapi"
	"gapura/internal/id"
	"gapura/internal/jobs"
	"gapura/internal/payment"
	"gapura/internal/provider/midtrans"
	"gapura/internal/provider/midtrans/standin"
	"gapura/internal/registration"
	"gapura/internal/store"
	"gapura/internal/worker"
)

// payments are the parts that money goes through.
type payments struct {
	service *payment.Service
	store   *store.Payments
	baseURL func() string
	token   func(order id.ID) string
}

// openPayments joins the provider, or the stand-in where no key is set; nil where neither is to be had.
func (n *node) openPayments() (*payments, error) {
	gateway, err := n.gateway()
	if err != nil || gateway == nil {
		return nil, err
	}
	kept := &store.Payments{Store: n.store, Settler: n.engine}
	return &payments{
		service: &payment.Service{
			Store: kept, Gateway: gateway, Clock: clock.System{}, Policy: payment.DefaultPolicy(), ItemName: n.itemName,
		},
		store: kept, baseURL: n.program.cfg.baseURL, token: n.engine.Token,
	}, nil
}

// gateway returns the client of the real provider or, where one process does everything and it is no production, of a
// stand-in that this process runs.
func (n *node) gateway() (payment.Gateway, error) {
	cfg := n.program.cfg
	if cfg.MidtransServerKey != "" {
		return midtrans.New(midtrans.Config{
			ServerKey: cfg.MidtransServerKey, Production: cfg.MidtransIsProduction, BaseURL: cfg.MidtransBaseURL,
			SnapURL: cfg.MidtransSnapURL, FinishURL: cfg.baseURL(),
		})
	}
	if cfg.AppEnv == "production" || !n.program.embedded() {
		n.program.log.Warn("MIDTRANS_SERVER_KEY is empty: paid orders cannot be paid here")
		return nil, nil
	}
	return n.startStandin()
}

// standinSpeed makes the stand-in's own delays, such as its first repetition after two minutes, short enough to watch.
const standinSpeed = 60

// startStandin runs the payment stand-in on a port of its own, so that its page is as foreign to ours as the real one.
func (n *node) startStandin() (payment.Gateway, error) {
	secret, err := n.keyring.lasting(n.program.ctx, n.store, "standin")
	if err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(n.program.ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("payment stand-in: %w", err)
	}
	key, address := "SB-Mid-server-"+hex.EncodeToString(secret[:12]), "http://"+listener.Addr().String()
	server, err := standin.New(standin.Config{
		ServerKey: key, PublicURL: address, NotifyURL: n.program.cfg.baseURL() + "/webhooks/midtrans", AppURL: n.program.cfg.baseURL(),
		Scale: standinSpeed, SnapshotPath: filepath.Join(n.program.cfg.DataDirectory, "standin.json"), Control: true, Log: n.program.log,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("payment stand-in: %w", err), listener.Close())
	}
	n.standinURL = address
	n.runStandin(server, listener)
	return midtrans.New(midtrans.Config{ServerKey: key, BaseURL: address, SnapURL: address, FinishURL: n.program.cfg.baseURL()})
}

func (n *node) runStandin(server *standin.Server, listener net.Listener) {
	server.Start(n.work)
	pages := n.program.newServer(server.Handler())
	n.work.Go("payment stand-in pages", func(ctx context.Context) {
		stop := context.AfterFunc(ctx, func() { _ = pages.Close(); server.Close() })
		defer stop()
		_ = pages.Serve(listener)
	})
}

// paymentHosts are where a form of ours may lead the browser to.
func (n *node) paymentHosts() []string {
	switch {
	case n.standinURL != "":
		return []string{n.standinURL}
	case n.program.cfg.MidtransSnapURL != "":
		return []string{n.program.cfg.MidtransSnapURL}
	}
	return []string{"https://app.sandbox.midtrans.com", "https://app.midtrans.com"}
}

func (n *node) itemName(o registration.Order, category string) string {
	for _, live := range n.engine.Events() {
		if live.ID != o.EventID {
			continue
		}
		if c, ok := live.Event.Category(category); ok {
			return c.Name.In(o.Locale)
		}
	}
	return category
}

// Start implements httpapi.Cashier.
func (p *payments) Start(ctx context.Context, order id.ID) (httpapi.PaymentPage, error) {
	a, err := p.service.Attempt(ctx, order, p.finishURL(order))
	if err != nil {
		return httpapi.PaymentPage{}, unavailable(err)
	}
	return httpapi.PaymentPage{Token: a.Token, URL: a.RedirectURL, Amount: a.Amount, ExpiresAt: a.ExpiresAt}, nil
}

// PayAt implements site.Cashier.
func (p *payments) PayAt(ctx context.Context, order id.ID) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, payWithin)
	defer cancel()
	page, err := p.Start(ctx, order)
	return page.URL, err
}

// payWithin bounds the wait for the provider while a visitor looks on.
const payWithin = 12 * time.Second

func (p *payments) finishURL(order id.ID) string {
	return p.baseURL() + "/orders/" + order.String() + "?token=" + p.token(order)
}

// unavailable turns the provider's trouble into a fault; the order keeps its place.
func unavailable(err error) error {
	var trouble *payment.ProviderError
	if errors.As(err, &trouble) || errors.Is(err, context.DeadlineExceeded) {
		return fault.Wrap(fault.PaymentUnavailable, err).After(5 * time.Second)
	}
	return err
}

// Notify implements httpapi.Cashier.
func (p *payments) Notify(ctx context.Context, body []byte) error {
	_, _, err := p.service.Receive(ctx, body)
	return err
}

// closeAgain is how long a hold waits when its end could not be settled for a reason that gives no time itself.
const closeAgain = 5 * time.Second

// closeHolds ends holds: the provider is asked first, then the place goes.
func (p *payments) closeHolds(ctx context.Context, orders []id.ID) error {
	var troubles error
	for _, order := range orders {
		step, err := p.service.SettleHold(ctx, order)
		again := step.Until
		if err != nil {
			troubles = errors.Join(troubles, err)
			again = time.Now().Add(closeAgain)
		}
		if again.IsZero() {
			continue
		}
		if err := p.store.PostponeHold(ctx, order, again); err != nil {
			return errors.Join(troubles, err)
		}
	}
	if troubles != nil && !payment.Temporary(troubles) {
		return troubles
	}
	return nil
}

// handlers are the jobs of payment.
func (p *payments) handlers() map[jobs.Kind]worker.Handler {
	return map[jobs.Kind]worker.Handler{
		jobs.PaymentStart: func(ctx context.Context, j jobs.Job) error {
			_, err := p.service.Attempt(ctx, j.Order, p.finishURL(j.Order))
			return startTrouble(err)
		},
		jobs.PaymentConfirm: func(ctx context.Context, j jobs.Job) error {
			_, err := p.service.Confirm(ctx, j.Arg)
			return jobTrouble(err)
		},
	}
}

// startTrouble: an order that needs no payment any more is no trouble.
func startTrouble(err error) error {
	if code := fault.CodeOf(err); code == fault.WrongState || code == fault.NoSuchOrder {
		return nil
	}
	var busy *fault.Fault
	if errors.As(err, &busy) && busy.Cause == nil && busy.RetryAfter > 0 {
		return jobs.Early(err, busy.RetryAfter) // somebody else is making the page, or was when it died: its lease ends
	}
	return jobTrouble(err)
}

func jobTrouble(err error) error {
	var trouble *payment.ProviderError
	if !errors.As(err, &trouble) {
		return err
	}
	if !trouble.Temporary {
		return jobs.Permanent(err)
	}
	if trouble.RetryAfter > 0 {
		return jobs.After(err, trouble.RetryAfter)
	}
	return err
}

// sweepSize is how many attempts or refunds one round takes on: at one call of 100 ms each a round lasts some seconds.
const sweepSize = 50

// sweep finds what a lost notification did not tell, sends refunds that are due and offers returned places to those who
// paid late.
func (n *node) sweep(ctx context.Context) {
	p := n.payments
	if _, err := p.service.Reconcile(ctx, sweepSize); err != nil {
		n.sweepTrouble(ctx, "reconciliation", err)
	}
	if _, err := p.service.SendRefunds(ctx, sweepSize); err != nil {
		n.sweepTrouble(ctx, "refunds", err)
	}
	events, err := p.store.EventsWithoutPlace(ctx)
	if err != nil {
		n.sweepTrouble(ctx, "late payments", err)
		return
	}
	for _, eventID := range events {
		if _, err := p.service.Reseat(ctx, eventID, sweepSize); err != nil {
			n.sweepTrouble(ctx, "late payments", err)
		}
	}
}

func (n *node) sweepTrouble(ctx context.Context, what string, err error) {
	if ctx.Err() == nil {
		n.program.log.Warn("payments could not be looked after completely; the next round continues", slog.String("what", what), slog.Any("error", err))
	}
}

package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	_ "time/tzdata" // events name their zone, and the machine may have no database of them

	"gapura/internal/clock"
	"gapura/internal/fulfil"
	"gapura/internal/jobs"
	"gapura/internal/notify"
	"gapura/internal/provider/smtp"
	"gapura/internal/provider/smtp/mailbox"
	"gapura/internal/ticket"
	"gapura/internal/worker"
)

// fulfilment is what follows an acknowledgement, besides money.
type fulfilment struct {
	service  *fulfil.Service
	gates    *fulfil.Gatekeeper
	mailings *fulfil.Mailings
	optOuts  *optOuts
	codes    *codes
	mailbox  http.Handler // nil: mails really leave, or somebody else could read them here
}

// ticketGeneration is that of the key that tickets are signed with.
const ticketGeneration = 1

// mailboxPath is where the mails of a machine without a mail server are read.
const mailboxPath = "/_mailbox"

// openFulfilment joins what renders, signs and sends. A node that does no jobs needs it too: it hands documents out.
func (n *node) openFulfilment(ctx context.Context) (*fulfilment, error) {
	secret, err := n.keyring.lasting(ctx, n.store, "tickets")
	if err != nil {
		return nil, err
	}
	key, err := ticket.DeriveKey(secret, ticketGeneration)
	if err != nil {
		return nil, err
	}
	printer, err := ticket.NewPrinter()
	if err != nil {
		return nil, fmt.Errorf("fonts of the documents: %w", err)
	}
	composer, err := n.composer()
	if err != nil {
		return nil, err
	}
	sender, err := n.program.sender()
	if err != nil {
		return nil, err
	}
	signer, postman := ticket.NewSigner(key), notify.NewPostman(sender, n.store, clock.System{})
	f := &fulfilment{
		service: &fulfil.Service{
			Store: n.store, Clock: clock.System{}, Signer: signer, Printer: printer, Composer: composer,
			Postman: postman,
			Links:   fulfil.Links{BaseURL: n.program.cfg.baseURL, Token: n.engine.Token},
			Busy:    n.telemetry.rush.busy,
		},
		gates: fulfil.NewGatekeeper(n.store, signer, clock.System{}),
	}
	f.mailings, f.optOuts = n.openMailings(composer, postman)
	visitors, _, err := n.program.roomSigner(ctx, n.store)
	if err != nil {
		return nil, err
	}
	f.codes = &codes{store: n.store, signer: visitors, composer: composer, postman: postman, baseURL: n.program.cfg.baseURL}
	f.mailbox, err = n.program.openMailbox()
	return f, err
}

// composer writes mails in the name of MAIL_FROM_ADDRESS, whose domain also names the messages.
func (n *node) composer() (*notify.Composer, error) {
	cfg := n.program.cfg
	_, domain, _ := strings.Cut(cfg.MailFromAddress, "@")
	site := cfg.baseURL()
	if _, host, ok := strings.Cut(site, "://"); ok {
		site = host
	}
	c, err := notify.NewComposer(notify.Letterhead{
		From: notify.Address{Name: cfg.MailFromName, Email: cfg.MailFromAddress}, Domain: domain, SiteURL: cfg.baseURL() + "/", Site: site,
	})
	if errors.Is(err, notify.ErrNoAddress) {
		return nil, fmt.Errorf("MAIL_FROM_ADDRESS is %q: use one plain address, such as noreply@example.id", cfg.MailFromAddress)
	}
	return c, err
}

// mailDirectory is where MAIL_MAILER=log writes mails.
func (c *Config) mailDirectory() string { return filepath.Join(c.DataDirectory, "mail") }

// sender is how mails leave.
func (p *program) sender() (notify.Sender, error) {
	if p.cfg.MailMailer == "log" {
		return smtp.NewDirectory(p.cfg.mailDirectory())
	}
	s, err := smtp.New(smtp.Config{
		Host: p.cfg.MailHost, Port: p.cfg.MailPort, Username: p.cfg.MailUsername, Password: p.cfg.MailPassword,
	})
	if err != nil {
		return nil, fmt.Errorf("MAIL_HOST or MAIL_PORT: %w", err)
	}
	return s, nil
}

// openMailbox serves the mails that were written to disk. Whoever reaches it reads everybody's mail, so there is none in
// production.
func (p *program) openMailbox() (http.Handler, error) {
	if p.cfg.MailMailer != "log" || p.cfg.AppEnv != "local" {
		return nil, nil
	}
	return mailbox.New(p.cfg.mailDirectory(), mailboxPath, p.cfg.AppLocale, p.log)
}

// mailboxURL is where the mails can be read, or that they really leave.
func (n *node) mailboxURL() string {
	if n.fulfilment.mailbox == nil {
		return "mails are sent through " + n.program.cfg.MailHost
	}
	return n.program.cfg.baseURL() + mailboxPath
}

// handlers are the jobs that follow an order.
func (f *fulfilment) handlers() map[jobs.Kind]worker.Handler {
	return map[jobs.Kind]worker.Handler{
		jobs.OrderPlaced:   f.service.Follow,
		jobs.OrderChanged:  f.service.Follow,
		jobs.TicketRender:  f.service.RenderTickets,
		jobs.InvoiceRender: f.service.RenderInvoice,
		jobs.MailSend:      f.service.SendMail,
		jobs.MailConfirm:   f.codes.send,
		jobs.MailBroadcast: f.mailings.Do,
	}
}

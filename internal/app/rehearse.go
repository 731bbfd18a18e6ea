package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"gapura/internal/event"
	"gapura/internal/registration"
	"gapura/internal/rehearse"
	"gapura/internal/rehearse/crowd"
	"gapura/internal/rehearse/inbox"
	"gapura/internal/store"
)

// rehearseCommand maps the command line to a plan. Whether values fit is for the plan to say.
type rehearseCommand struct {
	URL          string        `help:"The server, on this machine." default:"http://127.0.0.1:8080"`
	Event        string        `help:"The event's slug; the only open event if empty."`
	Curve        string        `help:"onsale: a real on-sale's demand; spike; constant; surge: constant with a much higher stretch." default:"onsale"`
	Scale        float64       `help:"onsale: times the published orders." default:"1"`
	Speed        float64       `help:"onsale: how many times as fast as it was." default:"1"`
	Orders       int           `help:"spike: how many orders." default:"5000"`
	Rate         float64       `help:"constant, surge: orders a second." default:"100"`
	For          time.Duration `help:"spike, constant, surge: how long." default:"30s"`
	Surge        float64       `help:"surge: times the rate." default:"3"`
	SurgeAt      time.Duration `help:"surge: when it begins." default:"10s"`
	SurgeFor     time.Duration `help:"surge: how long it lasts." default:"10s"`
	Pure         bool          `help:"One participant an order, no double clicks and the like: to measure rates."`
	Seed         uint64        `help:"The same seed makes the same crowd." default:"0"`
	Connections  int           `help:"Connections that carry requests." default:"256"`
	Idle         int           `help:"Further connections that are kept open." default:"0"`
	Polite       bool          `help:"Those who are told to wait come back after Retry-After."`
	Timeout      time.Duration `help:"How long a visitor waits for an answer." default:"30s"`
	Settle       time.Duration `help:"Wait this long before judging, for instance until holds have ended." default:"0s"`
	Verify       int           `help:"Ask again for at most so many acknowledged orders." default:"100000"`
	Forwarded    bool          `help:"Give each order an address of its own in X-Forwarded-For."`
	Lead         time.Duration `help:"Waiting room: visitors begin to come so long before opening." default:"90s"`
	Early        float64       `help:"Waiting room: share of them who come before the list of the draw closes." default:"0.85"`
	Patience     time.Duration `help:"Waiting room: how long after opening people wait." default:"10m"`
	Reaction     time.Duration `help:"Waiting room: from being let in to sending the form, on average." default:"4s"`
	Mail         string        `help:"Take the server's mail at this loopback address, for rooms with person: email; a scenario's room then asks for it. The server wants MAIL_MAILER=smtp, MAIL_HOST and MAIL_PORT." placeholder:"127.0.0.1:2525"`
	Scenario     string        `help:"With events of its own: bots (the same people without and with bots), opening (everybody in the first second)." enum:",bots,opening" default:""`
	People       int           `help:"Scenario: how many people; bots 3500, opening 50000 if 0." default:"0"`
	Places       int           `help:"Scenario: how many places; bots six for ten people, opening one for each if 0." default:"0"`
	BotShare     float64       `help:"Scenario bots: which part of the crowd are bots." default:"0.3"`
	BotAddresses int           `help:"Scenario bots with --mail: how many addresses (with a plus) a bot that redraws has confirmed for its one mailbox." default:"1"`
	Hold         time.Duration `help:"Scenario bots: how long an unpaid place is kept." default:"20s"`
	BestRate     float64       `help:"Scenario opening: orders a second that are offered to find the engine's best." default:"9000"`
	Out          string        `help:"Directory of the report; rehearsal-TIME if empty." type:"path"`
	NoAudit      bool          `help:"Do not audit the database afterwards: it is not the one in this environment."`
}

// Run plays the crowd, writes the report and audits.
func (c rehearseCommand) Run(p *program) error {
	switch c.Scenario {
	case "bots":
		if c.BotShare <= 0 || c.BotShare >= 1 {
			return fmt.Errorf("--bot-share is %g: use a share between 0 and 1", c.BotShare)
		}
		return c.bots(p)
	case "opening":
		return c.opening(p)
	}
	box, err := c.openMail(p)
	if err != nil {
		return err
	}
	defer closeMail(p, box)
	plan := c.plan()
	plan.Mail = box
	if !c.NoAudit {
		quotas, err := p.placesLeft(c.Event)
		if err != nil {
			return err
		}
		plan.Quotas = quotas
		plan.Auditors = []rehearse.Auditor{func(ctx context.Context) ([]rehearse.Finding, error) { return p.auditRehearsal(ctx, c.Event) }}
	}
	result, err := rehearse.Run(p.ctx, plan, p.system.Out)
	if err != nil {
		return err
	}
	if err := rehearse.WriteSummary(p.system.Out, result); err != nil {
		return err
	}
	return c.report(p, result)
}

// openMail opens the mail server of the rehearsal; nil if none is wanted.
func (c rehearseCommand) openMail(p *program) (*inbox.Box, error) {
	if c.Mail == "" {
		return nil, nil
	}
	return inbox.Open(p.ctx, c.Mail)
}

func closeMail(p *program, box *inbox.Box) {
	if box == nil {
		return
	}
	if err := box.Close(); err != nil {
		p.log.Warn("the mail server of the rehearsal did not end", slog.Any("error", err))
	}
}

// directory is where the report goes.
func (c rehearseCommand) directory() string {
	if c.Out != "" {
		return c.Out
	}
	return "rehearsal-" + time.Now().Format("20060102-150405")
}

// report writes the report of one crowd.
func (c rehearseCommand) report(p *program, result *rehearse.Result) error {
	out := c.directory()
	if err := rehearse.WriteReport(out, result); err != nil {
		return err
	}
	p.announce("report  %s", filepath.Join(out, "report.html"))
	if len(rehearse.Broken(result.Findings)) > 0 {
		return errNo
	}
	return nil
}

func (c rehearseCommand) plan() rehearse.Plan {
	plan := rehearse.DefaultPlan()
	plan.BaseURL, plan.Slug, plan.Polite, plan.Timeout = c.URL, c.Event, c.Polite, c.Timeout
	plan.Connections, plan.Idle = c.Connections, c.Idle
	plan.Settle, plan.VerifyLimit, plan.Forwarded = c.Settle, c.Verify, c.Forwarded
	plan.Room.Lead, plan.Room.Early, plan.Room.Patience, plan.Room.Reaction = c.Lead, c.Early, c.Patience, c.Reaction
	plan.Crowd.Pure, plan.Crowd.Seed = c.Pure, c.Seed
	if plan.Crowd.Seed == 0 {
		plan.Crowd.Seed = uint64(time.Now().UnixNano()) // other people than last time: they would be registered already
	}
	plan.Crowd.Demand = crowd.Demand{
		Curve: c.Curve, Scale: c.Scale, Speed: c.Speed, Orders: c.Orders, Rate: c.Rate, For: c.For,
		Surge: c.Surge, SurgeAt: c.SurgeAt, SurgeFor: c.SurgeFor,
	}
	return plan
}

// placesLeft tells the crowd by which limits its places are judged: what each quota has left before it comes.
func (p *program) placesLeft(slug string) ([]rehearse.Quota, error) {
	var quotas []rehearse.Quota
	err := p.withStore(p.ctx, func(ctx context.Context, s *store.Store) error {
		events, err := s.Events(ctx)
		if err != nil && !errors.Is(err, registration.ErrUnreadable) {
			return err
		}
		for _, stored := range events {
			if stored.Event.Slug != slug && (slug != "" || len(events) > 1) {
				continue
			}
			l, err := s.Ledger(ctx, stored.ID)
			if err != nil {
				return err
			}
			for _, q := range stored.Event.Quotas {
				left := l.Counters[event.QuotaCounter(q.ID)].Left()
				quotas = append(quotas, rehearse.Quota{ID: q.ID, Size: left, Categories: q.Categories})
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, errors.New("the database of this environment cannot be read: rehearse with the server's own .env, or with --no-audit"))
	}
	return quotas, nil
}

// auditRehearsal lets the server's own audit join the crowd's findings.
func (p *program) auditRehearsal(ctx context.Context, slug string) ([]rehearse.Finding, error) {
	var findings []rehearse.Finding
	err := p.withStore(ctx, func(ctx context.Context, s *store.Store) error {
		audited, err := p.audit(ctx, s, slug)
		for _, f := range audited {
			finding := rehearse.Finding{
				Check: fmt.Sprintf("invariant_%d", f.Invariant), Checked: 1, Note: rehearse.Text{ID: f.Text, EN: f.Text}, By: "audit",
				Title: rehearse.Text{
					ID: fmt.Sprintf("Invarian %d menurut basis data", f.Invariant),
					EN: fmt.Sprintf("Invariant %d by the database", f.Invariant),
				},
			}
			if f.Broken {
				finding.Broken, finding.Examples = 1, []string{f.Text}
			}
			findings = append(findings, finding)
		}
		return err
	})
	if err != nil {
		return nil, errors.Join(errors.New("the database of this environment could not be audited; --no-audit leaves it out"), err)
	}
	return findings, nil
}

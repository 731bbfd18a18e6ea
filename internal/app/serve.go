package app

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"gapura/internal/event"
	"gapura/internal/fault"
	"gapura/internal/registration"
	"gapura/internal/store"
)

var (
	errCrossOrigin = fault.New(fault.CrossOrigin)
	errNoPath      = fault.New(fault.BadRequest)
)

// reason is err without the path, for a sentence that names the file already.
func reason(err error) error {
	var of *fs.PathError
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}

type serveCommand struct{}

// Run serves until it is told to stop.
func (serveCommand) Run(p *program) error {
	return p.serve(p.embedded(), func(*node) { p.announce("Gapura serves %s", p.cfg.baseURL()) })
}

// serve runs a node with its server until it is told to stop, and calls ready when it answers.
func (p *program) serve(workers bool, ready func(*node)) error {
	n, err := p.openNode(p.ctx)
	if err != nil {
		return err
	}
	listener, err := p.listen()
	if err != nil {
		return errors.Join(err, n.stop(nil))
	}
	if err := n.start(workers); err != nil {
		return errors.Join(err, listener.Close(), n.stop(nil))
	}
	return n.serve(listener, func() { ready(n) })
}

func (p *program) listen() (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(p.ctx, "tcp", p.cfg.HTTPAddr)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: stop what uses the port, or set HTTP_ADDR (%w)", p.cfg.HTTPAddr, err)
	}
	if p.cfg.AppURL == "" {
		p.cfg.HTTPAddr = listener.Addr().String() // port 0 has become a real one
	}
	return p.refusals(listener), nil
}

func (p *program) announce(format string, args ...any) {
	_, _ = fmt.Fprintf(p.system.Out, format+"\n", args...)
}

type workCommand struct{}

// Run runs the workers until it is told to stop.
func (workCommand) Run(p *program) error {
	if p.embedded() {
		return errors.New("with SQLite gapura serve runs the workers itself: use gapura serve")
	}
	n, err := p.openNode(p.ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(n.start(true), n.serveDebug()); err != nil {
		return errors.Join(err, n.stop(nil))
	}
	p.announce("Gapura's workers run")
	<-p.ctx.Done()
	return n.stop(nil)
}

type migrateCommand struct{}

// Run applies what is missing.
func (migrateCommand) Run(p *program) error {
	options, err := p.cfg.database(p.log)
	if err != nil {
		return err
	}
	s, err := store.Open(p.ctx, options)
	if err != nil {
		return fmt.Errorf("the database does not answer: check that it runs and the DB_ variables (%w)", err)
	}
	applied, err := s.Migrate(p.ctx)
	for _, name := range applied {
		p.announce("applied %s", name)
	}
	if err == nil && len(applied) == 0 {
		p.announce("the schema is up to date")
	}
	return errors.Join(err, s.Close())
}

//go:embed demo/gapura-night-run.yaml
var demoEvent []byte

type demoCommand struct {
	Addr string `help:"Listen here instead of HTTP_ADDR, such as 127.0.0.1:0." placeholder:"HOST:PORT"`
}

// Run serves a demo event that opened a minute ago, on SQLite in the data directory.
func (c demoCommand) Run(p *program) error {
	if p.cfg.AppEnv == "production" {
		return errors.New("the demo does not run with APP_ENV=production: use gapura serve")
	}
	if !p.embedded() {
		return errors.New("the demo runs on SQLite: leave DB_CONNECTION empty, or use gapura serve")
	}
	if c.Addr != "" {
		p.cfg.HTTPAddr = c.Addr
	}
	if p.cfg.DBDatabase == "" {
		p.cfg.DataDirectory = filepath.Join(p.cfg.DataDirectory, "demo")
	}
	if err := p.applyDemo(); err != nil {
		return err
	}
	return p.serve(true, func(n *node) {
		p.announce("\n  Gapura demo\n\n  Buka / open      %s\n  Payment stand-in %s\n  Mailbox          %s\n  Data             %s\n  Stop             Ctrl+C\n",
			p.cfg.baseURL(), n.standinURL, n.mailboxURL(), p.cfg.DataDirectory)
	})
}

// applyDemo writes the demo event, opened a minute ago, unless an earlier demo has left one that still sells.
func (p *program) applyDemo() error {
	s, err := p.openStore(p.ctx, true)
	if err != nil {
		return err
	}
	e, err := event.Parse(demoEvent)
	if err != nil {
		return errors.Join(fmt.Errorf("the demo event: %w", err), s.Close())
	}
	now := time.Now().UTC().Truncate(time.Second)
	shift := now.Add(-time.Minute).Sub(e.Rules.OpensAt)
	moveEvent(e, shift)
	err = s.Apply(p.ctx, now, e, func(old *event.Event, _ event.Sold) error {
		if old != nil && now.Before(old.Rules.ClosesAt) && now.After(old.Rules.OpensAt) {
			return errKeep
		}
		return nil
	})
	if errors.Is(err, errKeep) {
		err = nil
	}
	return errors.Join(err, s.Close())
}

var errKeep = errors.New("keep the event as it is")

// moveEvent moves every date of an event by the same whole days, and its opening exactly.
func moveEvent(e *event.Event, shift time.Duration) {
	const day = 24 * time.Hour
	whole := (shift + day - 1).Truncate(day)
	e.Rules.OpensAt = e.Rules.OpensAt.Add(shift)
	e.Rules.ClosesAt = e.Rules.ClosesAt.Add(whole)
	e.StartsAt = e.StartsAt.Add(whole)
	for i := range e.Categories {
		for j := range e.Categories[i].Prices {
			if tier := &e.Categories[i].Prices[j]; !tier.Until.IsZero() {
				tier.Until = tier.Until.Add(whole)
			}
		}
	}
	for i := range e.Schedule {
		e.Schedule[i].At = e.Schedule[i].At.Add(whole)
	}
}

type eventCommand struct {
	Apply eventApplyCommand `cmd:"" help:"Create or update an event from an event file."`
	List  eventListCommand  `cmd:"" help:"List the events."`
	Show  eventShowCommand  `cmd:"" help:"Show an event and what it has sold."`
}

type eventApplyCommand struct {
	File string `arg:"" help:"The event file, YAML or JSON."`
}

// Run applies the file and prints what changed.
func (c eventApplyCommand) Run(p *program) error {
	data, err := os.ReadFile(c.File)
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", c.File, reason(err))
	}
	file, err := event.ParseFile(data)
	if err != nil {
		return inFile(c.File, err)
	}
	s, err := p.openStore(p.ctx, p.embedded())
	if err != nil {
		return err
	}
	var changes []string
	err = s.Apply(p.ctx, time.Now(), file.Event, func(old *event.Event, sold event.Sold) error {
		var err error
		changes, err = file.Compare(old, sold)
		return err
	})
	if errors.Is(err, registration.ErrDuplicate) {
		err = fmt.Errorf("another event has the code %s: give this one a code of its own with code: in the file", file.Event.Code)
	}
	if err = errors.Join(err, s.Close()); err != nil {
		return inFile(c.File, err)
	}
	for _, change := range changes {
		p.announce("%s", change)
	}
	for _, warning := range file.Warnings {
		p.announce("warning: %s", warning)
	}
	p.announce("%s/e/%s", p.cfg.baseURL(), file.Event.Slug)
	return nil
}

// inFile puts the file's name before each of its faults, as compilers do.
func inFile(name string, err error) error {
	var faults *event.FileError
	if !errors.As(err, &faults) {
		return err
	}
	lines := make([]string, len(faults.Faults))
	for i, f := range faults.Faults {
		lines[i] = fmt.Sprintf("%s:%s", name, strings.TrimPrefix(f.String(), "line "))
	}
	if faults.More > 0 {
		lines = append(lines, fmt.Sprintf("%s: and %d more faults", name, faults.More))
	}
	return errors.New(strings.Join(lines, "\n"))
}

type eventListCommand struct{}

// Run prints a line an event.
func (eventListCommand) Run(p *program) error {
	return p.withStore(p.ctx, func(ctx context.Context, s *store.Store) error {
		all, err := s.Events(ctx)
		if len(all) == 0 && err == nil {
			p.announce("there are no events yet: gapura event apply FILE makes one")
		}
		for _, stored := range all {
			e := stored.Event
			p.announce("%-40s %-6s opens %s  %s", e.Slug, e.Code, e.Rules.OpensAt.In(e.Location()).Format("2006-01-02 15:04 MST"), e.Name.In(p.cfg.AppLocale))
		}
		return damaged(err)
	})
}

// damaged says what to do about events that cannot be read.
func damaged(err error) error {
	if errors.Is(err, registration.ErrUnreadable) {
		return fmt.Errorf("apply the files of these events again: %w", err)
	}
	return err
}

type eventShowCommand struct {
	Slug string `arg:"" help:"The event's slug."`
}

// Run prints the event's counters.
func (c eventShowCommand) Run(p *program) error {
	return p.withStore(p.ctx, func(ctx context.Context, s *store.Store) error {
		eventID, e, err := findEvent(ctx, s, c.Slug)
		if err != nil {
			return err
		}
		return p.show(ctx, s, eventID, e)
	})
}

func (p *program) show(ctx context.Context, s *store.Store, eventID int64, e *event.Event) error {
	l, err := s.Ledger(ctx, eventID)
	if err != nil {
		return err
	}
	zone := e.Location()
	p.announce("%s (%s, revision %d)\n  registration  %s to %s\n  race          %s, %s %s\n", e.Name.In(p.cfg.AppLocale), e.Slug, l.Revision,
		e.Rules.OpensAt.In(zone).Format("2006-01-02 15:04 MST"), e.Rules.ClosesAt.In(zone).Format("2006-01-02 15:04 MST"),
		e.StartsAt.In(zone).Format("2006-01-02 15:04 MST"), e.Venue.Name, e.Venue.City)
	p.announce("  %-10s %-28s %8s %8s %8s", "counts", "", "taken", "unpaid", "limit")
	for _, limit := range e.Counters() {
		count := l.Counters[limit.Counter]
		size := "-"
		if limit.Limit != event.Unlimited {
			size = strconv.Itoa(limit.Limit)
		}
		p.announce("  %-10s %-28s %8d %8d %8s", limit.Kind, limit.Ref, count.Taken, count.Held, size)
	}
	return nil
}

func (p *program) withStore(ctx context.Context, work func(ctx context.Context, s *store.Store) error) error {
	s, err := p.openStore(ctx, p.embedded())
	if err != nil {
		return err
	}
	return errors.Join(work(ctx, s), s.Close())
}

package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gapura/internal/clock"
	"gapura/internal/jobs"
	"gapura/internal/store"
)

type queueCommand struct {
	List    queueListCommand    `cmd:"" help:"Count the jobs by kind, and list the dead letters."`
	Show    queueShowCommand    `cmd:"" help:"Show a job with every error it had."`
	Retry   queueRetryCommand   `cmd:"" help:"Try a dead letter again, or every one of a kind."`
	Edit    queueEditCommand    `cmd:"" help:"Change what a dead letter says, and try it again."`
	Discard queueDiscardCommand `cmd:"" help:"Give a dead letter up; it is kept with the reason."`
}

type queueListCommand struct {
	Kind      string `help:"Only dead letters of this kind." placeholder:"KIND"`
	Discarded bool   `help:"List the discarded letters instead of those that wait for a decision."`
	Limit     int    `help:"List at most so many letters." default:"20"`
}

// Run prints a line a kind and a line a letter.
func (c queueListCommand) Run(p *program) error {
	if c.Limit < 1 {
		return fmt.Errorf("--limit is %d: use 1 or more", c.Limit)
	}
	kind, err := kindNamed(c.Kind)
	if err != nil {
		return err
	}
	return p.withStore(p.ctx, func(ctx context.Context, s *store.Store) error {
		now := clock.System{}.Now()
		backlog, err := s.Backlog(ctx, now)
		if err != nil {
			return err
		}
		letters, err := s.Letters(ctx, kind, c.Discarded, c.Limit)
		if err != nil {
			return err
		}
		p.printBacklog(now, backlog)
		p.printLetters(now, letters)
		return nil
	})
}

func (p *program) printBacklog(now time.Time, backlog []jobs.Backlog) {
	if len(backlog) == 0 {
		p.announce("nothing is waiting, and there are no dead letters")
		return
	}
	p.announce("%-8s %-16s %8s %8s %8s %8s %10s  %s", "QUEUE", "KIND", "WAITING", "LEASED", "DELAYED", "DEAD", "DISCARDED", "OLDEST")
	for _, b := range backlog {
		oldest := "-"
		if !b.Oldest.IsZero() {
			oldest = age(now.Sub(b.Oldest))
		}
		p.announce("%-8s %-16s %8d %8d %8d %8d %10d  %s", b.Queue, b.Kind, b.Waiting, b.Leased, b.Delayed, b.Dead, b.Discarded, oldest)
	}
}

func (p *program) printLetters(now time.Time, letters []jobs.Record) {
	if len(letters) == 0 {
		return
	}
	p.announce("\n%-10s %-16s %-12s %8s  %s", "LETTER", "KIND", strings.ToUpper(string(letters[0].State)), "ATTEMPTS", "ABOUT")
	for i := range letters {
		l := &letters[i]
		p.announce("%-10d %-16s %-12s %8d  %s", l.ID, l.Kind, age(now.Sub(l.Ended))+" ago", l.Attempt, subject(l))
	}
	p.announce("\ngapura queue show LETTER tells why.")
}

// subject is what a job is about, in a line.
func subject(r *jobs.Record) string {
	var parts []string
	if !r.Order.IsNil() {
		parts = append(parts, "order "+r.Order.String())
	}
	if r.Arg != "" {
		parts = append(parts, r.Arg)
	}
	if r.Reason != "" {
		parts = append(parts, "("+r.Reason+")")
	}
	return strings.Join(parts, " ")
}

// age is a span in the two units that matter at its size.
func age(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Second:
		return "0s"
	case d < time.Hour:
		return d.Truncate(time.Second).String()
	case d < day:
		return strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s")
	}
	return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
}

type queueShowCommand struct {
	ID int64 `arg:"" help:"The job's number."`
}

// Run prints everything that is known about the job.
func (c queueShowCommand) Run(p *program) error {
	return p.withStore(p.ctx, func(ctx context.Context, s *store.Store) error {
		now := clock.System{}.Now()
		r, err := s.JobRecord(ctx, now, c.ID)
		if err != nil {
			return noJob(err, c.ID)
		}
		p.printRecord(&r)
		return nil
	})
}

// stamp is how moments are printed: in UTC, to the second, as logs have them.
const stamp = "2006-01-02 15:04:05Z"

func (p *program) printRecord(r *jobs.Record) {
	line := func(name, format string, args ...any) { p.announce("  %-9s "+format, append([]any{name}, args...)...) }
	p.announce("job %d  %s  %s", r.ID, r.Kind, r.State)
	line("queue", "%s", r.Kind.Queue())
	line("created", "%s", r.Created.Format(stamp))
	if !r.Next.IsZero() {
		line(map[jobs.State]string{jobs.Leased: "lease", jobs.Delayed: "next"}[r.State], "%s", r.Next.Format(stamp))
	}
	if !r.Ended.IsZero() {
		line(string(r.State), "%s", r.Ended.Format(stamp))
	}
	if r.Reason != "" {
		line("reason", "%s", r.Reason)
	}
	if !r.Order.IsNil() {
		line("order", "%s version %d", r.Order, r.Version)
	}
	if r.Arg != "" {
		line("arg", "%s", r.Arg)
	}
	made := r.Attempt
	if r.Ended.IsZero() {
		made-- // the next one is still to come
	}
	line("attempts", "%d of %d, sent %d times", made, r.Kind.Policy().Limit, r.Sends)
	for _, f := range r.Failures {
		p.announce("  %s  attempt %d  %s", f.At.Format(stamp), f.Attempt, f.Text)
	}
}

type queueRetryCommand struct {
	ID   int64  `arg:"" optional:"" help:"The job's number."`
	Kind string `help:"Retry the dead letters of this kind." placeholder:"KIND"`
	All  bool   `help:"All of them; needs --kind."`
}

// Run sends dead letters back to the outbox.
func (c queueRetryCommand) Run(p *program) error {
	kind, err := kindNamed(c.Kind)
	switch {
	case err != nil:
		return err
	case c.ID != 0 && (c.All || kind != ""):
		return errors.New("say either a job's number or --kind KIND --all, not both")
	case c.ID == 0 && (!c.All || kind == ""):
		return errors.New("say which: gapura queue retry ID, or gapura queue retry --kind KIND --all")
	}
	return p.withStore(p.ctx, func(ctx context.Context, s *store.Store) error {
		if kind != "" {
			n, err := s.RetryKind(ctx, kind)
			if err == nil {
				p.announce("%d dead letters of kind %s will be tried again", n, kind)
			}
			return err
		}
		return p.retry(ctx, s, c.ID)
	})
}

func (p *program) retry(ctx context.Context, s *store.Store, job int64) error {
	changed, err := s.RetryJob(ctx, clock.System{}.Now(), job)
	if err != nil {
		return noJob(err, job)
	}
	if !changed {
		p.announce("job %d waits for a worker or is being done already", job)
		return nil
	}
	p.announce("job %d will be tried again at once", job)
	return nil
}

type queueEditCommand struct {
	ID      int64   `arg:"" help:"The dead letter's number."`
	Arg     *string `help:"What the job is about within its order, such as the kind of a mail." placeholder:"TEXT"`
	Version *int    `help:"The order's version that the job was planned for." placeholder:"N"`
	NoRetry bool    `help:"Leave it among the dead letters."`
}

// maxArg is what the database keeps of an argument, in bytes.
const maxArg = 255

// Run changes a dead letter and tries it again.
func (c queueEditCommand) Run(p *program) error {
	switch {
	case c.Arg == nil && c.Version == nil:
		return errors.New("say what to change: --arg TEXT or --version N")
	case c.Arg != nil && len(*c.Arg) > maxArg:
		return fmt.Errorf("--arg has %d bytes: use at most %d", len(*c.Arg), maxArg)
	case c.Version != nil && *c.Version < 0:
		return fmt.Errorf("--version is %d: use 0 or more", *c.Version)
	}
	return p.withStore(p.ctx, func(ctx context.Context, s *store.Store) error {
		err := s.EditLetter(ctx, c.ID, jobs.Edit{Arg: c.Arg, Version: c.Version})
		if err != nil {
			return noLetter(err, c.ID)
		}
		if c.NoRetry {
			p.announce("dead letter %d is changed", c.ID)
			return nil
		}
		return p.retry(ctx, s, c.ID)
	})
}

type queueDiscardCommand struct {
	ID     int64  `arg:"" help:"The dead letter's number."`
	Reason string `required:"" help:"Why it need not be done." placeholder:"TEXT"`
}

// maxReason is what the database keeps of a reason, in characters.
const maxReason = 500

// Run gives a dead letter up.
func (c queueDiscardCommand) Run(p *program) error {
	reason := strings.TrimSpace(c.Reason)
	if reason == "" || len([]rune(reason)) > maxReason {
		return fmt.Errorf("--reason needs 1 to %d characters: those who look later want to know", maxReason)
	}
	return p.withStore(p.ctx, func(ctx context.Context, s *store.Store) error {
		if err := s.DiscardLetter(ctx, clock.System{}.Now(), c.ID, reason); err != nil {
			return noLetter(err, c.ID)
		}
		p.announce("dead letter %d is discarded; gapura queue list --discarded shows it, gapura queue retry %d brings it back", c.ID, c.ID)
		return nil
	})
}

// kindNamed checks a kind from the command line; empty stays empty.
func kindNamed(name string) (jobs.Kind, error) {
	if name == "" || slices.Contains(jobs.Kinds(), jobs.Kind(name)) {
		return jobs.Kind(name), nil
	}
	names := make([]string, 0, len(jobs.Kinds()))
	for _, k := range jobs.Kinds() {
		names = append(names, string(k))
	}
	return "", fmt.Errorf("there is no kind %q: use one of %s", name, strings.Join(names, ", "))
}

func noJob(err error, job int64) error {
	if errors.Is(err, jobs.ErrNoJob) {
		return fmt.Errorf("there is no job %d, or it is done: gapura queue list shows what is left", job)
	}
	return err
}

func noLetter(err error, job int64) error {
	if errors.Is(err, jobs.ErrNoJob) {
		return fmt.Errorf("there is no dead letter %d that waits for a decision: gapura queue list shows them", job)
	}
	return err
}

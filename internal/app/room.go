package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gapura/internal/event"
	"gapura/internal/store"
	"gapura/internal/waitroom"
)

// roomCommand is what an organiser may order in a waiting room. The server takes an order up within a second.
type roomCommand struct {
	Show    roomShowCommand    `cmd:"" help:"Show how a waiting room stands."`
	Pause   roomPauseCommand   `cmd:"" help:"Let nobody in until resumed."`
	Resume  roomResumeCommand  `cmd:"" help:"Let visitors in again."`
	Ceiling roomCeilingCommand `cmd:"" help:"Let in at most so many a second; 0 takes the ceiling away."`
	LetIn   roomLetInCommand   `cmd:"" name:"let-in" help:"Let in the next of the line beyond the rate, also while paused, or an invited group."`
	Invite  roomInviteCommand  `cmd:"" help:"Print links for a group of visitors that let-in --group lets in."`
}

type roomShowCommand struct {
	Slug string `arg:"" help:"The event's slug."`
}

// Run prints the room.
func (c roomShowCommand) Run(p *program) error {
	return p.withRoom(c.Slug, func(_ context.Context, _ *store.Waitroom, e *event.Event, r waitroom.Record) error {
		p.showRoom(e, &r)
		return nil
	})
}

func (p *program) showRoom(e *event.Event, r *waitroom.Record) {
	at := func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return t.In(e.Location()).Format("2006-01-02 15:04:05 MST")
	}
	p.announce("%s (%s)\n  phase    %s\n  stock    %s", e.Name.In(p.cfg.AppLocale), e.Slug, r.Phase, r.Stock)
	p.announce("  opens    %s\n  list     closed %s, %d drew, %d came later", at(e.Rules.OpensAt), at(r.ClosedAt), r.Drawn, r.Late)
	p.announce("  served   %d of %d, %.1f a second", r.Served, r.Line(), r.Admission.Shown)
	p.announce("  engines  %s", shownText(r.Admission.Best))
	o := r.Operator
	p.announce("  orders   paused: %t, ceiling: %s, let in by hand: %d, groups: %v", o.Paused, ceilingText(o.Ceiling), o.LetIn, o.Groups)
	p.announce("  seed     SHA-256 %s", r.Commitment)
	if !r.Root.IsZero() {
		p.announce("  list     SHA-256 %s", r.ListHash)
	}
	if !r.UpdatedAt.IsZero() {
		p.announce("  as of    %s", at(r.UpdatedAt))
	}
}

func shownText(best float64) string {
	if best == 0 {
		return "have shown nothing yet: rehearse on these servers, and the line begins at their rate"
	}
	return fmt.Sprintf("have shown %.0f orders a second", best)
}

func ceilingText(ceiling float64) string {
	if ceiling == 0 {
		return "none"
	}
	return fmt.Sprintf("%g a second", ceiling)
}

type roomPauseCommand struct {
	Slug string `arg:"" help:"The event's slug."`
}

// Run pauses.
func (c roomPauseCommand) Run(p *program) error {
	return p.operate(c.Slug, func(o *waitroom.Operator) { o.Paused = true }, "nobody enters %s until gapura room resume %[1]s")
}

type roomResumeCommand struct {
	Slug string `arg:"" help:"The event's slug."`
}

// Run resumes.
func (c roomResumeCommand) Run(p *program) error {
	return p.operate(c.Slug, func(o *waitroom.Operator) { o.Paused = false }, "visitors enter %s again")
}

type roomCeilingCommand struct {
	Slug string  `arg:"" help:"The event's slug."`
	Rate float64 `arg:"" help:"Entries a second; 0: no ceiling."`
}

// Run sets the ceiling.
func (c roomCeilingCommand) Run(p *program) error {
	if !(c.Rate >= 0) || c.Rate > 1e6 {
		return fmt.Errorf("%g entries a second is no ceiling: use 0 to 1000000", c.Rate)
	}
	return p.operate(c.Slug, func(o *waitroom.Operator) { o.Ceiling = c.Rate }, "the ceiling of %s is now: "+ceilingText(c.Rate))
}

type roomLetInCommand struct {
	Slug  string `arg:"" help:"The event's slug."`
	Count int64  `arg:"" optional:"" help:"How many of the line."`
	Group int64  `help:"The invited group that may enter now." placeholder:"NUMBER"`
}

// Run lets in.
func (c roomLetInCommand) Run(p *program) error {
	switch {
	case c.Count < 0 || c.Group < 0 || (c.Count == 0) == (c.Group == 0):
		return errors.New("say how many enter, or which group: gapura room let-in SLUG 50, or gapura room let-in SLUG --group 1")
	case c.Group > 0:
		return p.operate(c.Slug, func(o *waitroom.Operator) {
			if !slices.Contains(o.Groups, c.Group) {
				o.Groups = append(o.Groups, c.Group)
			}
		}, fmt.Sprintf("group %d may enter %%s", c.Group))
	}
	return p.operate(c.Slug, func(o *waitroom.Operator) { o.LetIn += c.Count }, fmt.Sprintf("%d more enter %%s", c.Count))
}

type roomInviteCommand struct {
	Slug  string `arg:"" help:"The event's slug."`
	Group int64  `arg:"" help:"The group's number, from 1."`
	Count int    `arg:"" help:"How many links."`
}

// maxInvited bounds the links of one call: more are no group but the crowd.
const maxInvited = 10_000

// Run prints a link a line. Each serves one visitor once.
func (c roomInviteCommand) Run(p *program) error {
	if c.Group < 1 || c.Count < 1 || c.Count > maxInvited {
		return fmt.Errorf("use a group from 1 on and 1 to %d links", maxInvited)
	}
	return p.withStore(p.ctx, func(ctx context.Context, s *store.Store) error {
		eventID, e, err := findEvent(ctx, s, c.Slug)
		if err != nil {
			return err
		}
		signer, _, err := p.roomSigner(ctx, s)
		if err != nil {
			return err
		}
		for range c.Count {
			ticket := signer.Ticket(waitroom.Ticket{
				Kind: waitroom.Invited, EventID: eventID, Visitor: waitroom.NewVisitor(), Place: c.Group, Issued: time.Now(),
			})
			p.announce("%s/e/%s/antre?tiket=%s", p.cfg.baseURL(), e.Slug, ticket)
		}
		return nil
	})
}

// roomSigner returns the signer of tickets and passes, and the secret that it was made from.
func (p *program) roomSigner(ctx context.Context, s *store.Store) (*waitroom.Signer, []byte, error) {
	keys, err := appKeys(p.cfg)
	if err != nil {
		return nil, nil, err
	}
	secret, err := keyring{keys}.lasting(ctx, s, "waiting room")
	if err != nil {
		return nil, nil, err
	}
	signer, err := waitroom.NewSigner(waitroom.Key{ID: 1, Secret: secret})
	return signer, secret, err
}

func findEvent(ctx context.Context, s *store.Store, slug string) (int64, *event.Event, error) {
	all, err := s.Events(ctx)
	for _, stored := range all {
		if stored.Event.Slug == slug {
			return stored.ID, stored.Event, nil // whatever else is damaged
		}
	}
	if err != nil {
		return 0, nil, err
	}
	return 0, nil, fmt.Errorf("there is no event %q: gapura event list shows them", slug)
}

func (p *program) withRoom(slug string, work func(context.Context, *store.Waitroom, *event.Event, waitroom.Record) error) error {
	return p.withStore(p.ctx, func(ctx context.Context, s *store.Store) error {
		eventID, e, err := findEvent(ctx, s, slug)
		if err != nil {
			return err
		}
		rooms := &store.Waitroom{Store: s}
		r, _, err := rooms.Load(ctx, eventID)
		if errors.Is(err, waitroom.ErrNoRoom) {
			return fmt.Errorf("%s has no waiting room yet: set waiting_room.enabled in its event file; the server makes one within a second", slug)
		}
		if err != nil {
			return err
		}
		return work(ctx, rooms, e, r)
	})
}

func (p *program) operate(slug string, change func(*waitroom.Operator), said string) error {
	return p.withRoom(slug, func(ctx context.Context, rooms *store.Waitroom, _ *event.Event, r waitroom.Record) error {
		if err := rooms.Operate(ctx, r.EventID, change); err != nil {
			return err
		}
		p.announce(said, slug)
		return nil
	})
}

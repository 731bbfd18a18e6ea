package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"gapura/internal/event"
	"gapura/internal/rehearse"
	"gapura/internal/rehearse/crowd"
	"gapura/internal/store"
)

// rehearsalTemplate is an event that is only there to be rehearsed. Paying is not played: in a crowd with bots whoever pays at
// once takes a free category and whoever never pays the other; both take from the same places.
const rehearsalTemplate = `
slug: %[1]s
code: %[2]s
name: {id: "Gladi bersih: %[3]s", en: "Rehearsal: %[4]s"}
timezone: Asia/Jakarta
starts_at: %[5]s
venue: {name: Gladi bersih, city: Bandung}
registration: {opens_at: 2026-01-01T00:00, closes_at: %[5]s, hold: 30m, max_participants: 5, unique_by: [email, phone]}
categories:
  - {id: dibayar, name: {id: Dibayar seketika, en: Paid at once}, distance_m: 10000, price: %[8]d}
  - {id: ditahan, name: {id: Tidak dibayar, en: Never paid}, distance_m: 10000, price: 150000}
quotas:
  - {id: total, size: %[6]d, categories: [dibayar, ditahan]}
waiting_room: {enabled: %[7]t, pre_queue: draw%[9]s}
`

// rehearsalEvent says how the event of one crowd differs from that of another.
type rehearsalEvent struct {
	name   rehearse.Text
	suffix string // of its slug and its code
	places int
	price  int // of the category that people want
	room   bool
	person bool // its visitors confirm an address
	opens  time.Time
	hold   time.Duration
}

// makeRehearsal publishes a fresh event and returns its slug. The server takes it up within half a second.
func (p *program) makeRehearsal(r rehearsalEvent) (string, error) {
	run := strings.ToUpper(strconv.FormatInt(time.Now().UnixMilli()/100, 36))
	run = run[len(run)-6:]
	slug := "gladi-" + strings.ToLower(run) + "-" + r.suffix
	race := time.Now().AddDate(0, 1, 0).Format("2006-01-02T15:04")
	person := ""
	if r.person {
		person = ", person: " + string(event.ConfirmEmail)
	}
	code := "G" + run + strings.ToUpper(r.suffix[:1])
	text := fmt.Sprintf(rehearsalTemplate, slug, code, r.name.ID, r.name.EN, race, r.places, r.room, r.price, person)
	e, err := event.Parse([]byte(text))
	if err != nil {
		return "", fmt.Errorf("the event of the rehearsal: %w", err)
	}
	e.Rules.OpensAt, e.Rules.Hold = r.opens.UTC().Truncate(time.Second), r.hold
	err = p.withStore(p.ctx, func(ctx context.Context, s *store.Store) error {
		return s.Apply(ctx, time.Now(), e, func(*event.Event, event.Sold) error { return nil })
	})
	if err != nil {
		return "", errors.Join(err, errors.New("a scenario makes events of its own: rehearse with the server's own .env"))
	}
	return slug, p.awaitEvent()
}

// awaitEvent returns when a running server must have taken a new event up.
func (p *program) awaitEvent() error {
	const takenUp = 2 * time.Second // half a second for the catalogue, half a second for the room, twice over
	pause := time.NewTimer(takenUp)
	defer pause.Stop()
	select {
	case <-pause.C:
		return nil
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
}

// crowdOf plays a plan against the event and audits it.
func (c rehearseCommand) crowdOf(p *program, slug string, plan rehearse.Plan) (*rehearse.Result, error) {
	quotas, err := p.placesLeft(slug)
	if err != nil {
		return nil, err
	}
	plan.Slug, plan.Quotas = slug, quotas
	plan.Auditors = []rehearse.Auditor{func(ctx context.Context) ([]rehearse.Finding, error) { return p.auditRehearsal(ctx, slug) }}
	result, err := rehearse.Run(p.ctx, plan, p.system.Out)
	if err != nil {
		return nil, err
	}
	if result.Interrupted {
		return nil, errors.New("interrupted: a scenario compares whole rehearsals")
	}
	return result, rehearse.WriteSummary(p.system.Out, result)
}

// bots plays the same people twice, without and with bots among them, each time against a fresh event.
func (c rehearseCommand) bots(p *program) error {
	people := orElse(c.People, 3500)
	places := orElse(c.Places, people*6/10)
	machines := int(float64(people)*c.BotShare/(1-c.BotShare) + 0.5)
	plan := c.plan()
	plan.Forwarded, plan.Crowd.Single = true, true
	plan.Crowd.Demand = crowd.Demand{Curve: crowd.CurveSpike, Orders: people, For: 10 * time.Second}
	plan.Room.Apart, plan.Room.Hold = true, c.Hold
	plan.Room.Aliases = c.BotAddresses
	box, err := c.openMail(p)
	if err != nil {
		return err
	}
	defer closeMail(p, box)
	plan.Mail = box
	var results [2]*rehearse.Result
	for i, r := range []rehearsalEvent{
		{name: rehearse.Text{ID: "tanpa bot", EN: "without bots"}, suffix: "orang"},
		{name: rehearse.Text{ID: "dengan bot", EN: "with bots"}, suffix: "bot"},
	} {
		r.places, r.room, r.hold, r.opens, r.person = places, true, c.Hold, time.Now().Add(c.Lead+4*time.Second), plan.Mail != nil
		slug, err := p.makeRehearsal(r)
		if err != nil {
			return err
		}
		if i == 1 {
			plan.Edition, plan.Room.Bots, plan.Room.Tickets = 1<<40, machines, results[0].Sample(100)
		}
		if results[i], err = c.crowdOf(p, slug, plan); err != nil {
			return err
		}
	}
	return c.contrast(p, &rehearse.Contrast{Without: results[0], With: results[1]})
}

// opening looks for the engine's best rate first, and then lets everybody come to a waiting room in the second in which it opens.
func (c rehearseCommand) opening(p *program) error {
	people := orElse(c.People, 50_000)
	places := orElse(c.Places, people)
	const measured = 12 * time.Second
	slug, err := p.makeRehearsal(rehearsalEvent{
		name: rehearse.Text{ID: "laju terbaik", EN: "best rate"}, suffix: "laju", places: 9_000_000, price: 150_000, opens: time.Now().Add(-time.Minute), hold: time.Hour,
	})
	if err != nil {
		return err
	}
	box, err := c.openMail(p)
	if err != nil {
		return err
	}
	defer closeMail(p, box)
	plan := c.plan()
	plan.Mail = box
	plan.Crowd.Pure, plan.VerifyLimit = true, min(c.Verify, 5000)
	plan.Crowd.Demand = crowd.Demand{Curve: crowd.CurveConstant, Rate: c.BestRate, For: measured}
	best, err := c.crowdOf(p, slug, plan)
	if err != nil {
		return err
	}
	if slug, err = p.makeRehearsal(rehearsalEvent{
		name: rehearse.Text{ID: "detik pembukaan", EN: "the second of opening"}, suffix: "buka", places: places, price: 150_000, room: true, person: plan.Mail != nil,
		opens: time.Now().Add(15 * time.Second), hold: time.Hour,
	}); err != nil {
		return err
	}
	plan.Forwarded, plan.Edition = true, 1<<40
	plan.Crowd.Demand = crowd.Demand{Curve: crowd.CurveConstant, Rate: float64(people), For: time.Second}
	plan.Room.Lead, plan.Room.Early, plan.Room.Best = 10*time.Second, 0, best.Rate.Median
	result, err := c.crowdOf(p, slug, plan)
	if err != nil {
		return err
	}
	return c.report(p, result)
}

func orElse(n, other int) int {
	if n > 0 {
		return n
	}
	return other
}

// contrast writes the reports of a scenario of two crowds.
func (c rehearseCommand) contrast(p *program, both *rehearse.Contrast) error {
	out := c.directory()
	if err := rehearse.WriteContrast(out, both); err != nil {
		return err
	}
	if err := both.WriteSummary(p.system.Out); err != nil {
		return err
	}
	p.announce("report  %s", filepath.Join(out, rehearse.ReportFile))
	if !both.Clean() {
		return errNo
	}
	return nil
}

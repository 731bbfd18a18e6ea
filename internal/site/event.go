package site

import (
	"html/template"
	"net/http"
	"strings"
	"time"

	"gapura/internal/event"
	"gapura/internal/registration"
)

// eventView is the page of one race.
type eventView struct {
	Slug        string
	Name        string
	Venue, City string
	Start       moment
	State       badge
	Upcoming    bool
	Open        bool
	Opens       moment
	Closes      moment
	Notice      string // what stands in the way of registering; "" if nothing does
	Returns     string // when places of a category may return while others are on sale
	FormLink    string // of the waiting room where there is one
	Room        bool
	Categories  []categoryCard
	About       template.HTML
	Schedule    []scheduleDay
	Rules       []string
}

// categoryCard is a category as a race bib.
type categoryCard struct {
	ID, Name  string
	Distance  string // "" if it has none
	Price     string
	Normal    string // the ordinary price while a lower one applies
	TierName  string // the price tier that applies now
	Tiers     []tierLine
	Level     badge
	Gone      bool
	Remaining string
	Ages      string
}

type tierLine struct {
	Name, Price, Ends string
	Now, Over         bool
}

type scheduleDay struct {
	Day   moment
	Lines []scheduleLine
}

type scheduleLine struct {
	At          moment
	What, Where string
}

func (s *Site) event(w http.ResponseWriter, r *http.Request) error {
	live, err := s.config.Desk.Event(r.PathValue("slug"))
	if err != nil {
		return err
	}
	say := s.words(r)
	return s.servePrepared(w, r, preparedKey{"event", live.Event.Slug, say.lang}, func() (*view, error) {
		e := live.Event
		v := s.view(say, "event", "/e/"+e.Slug, nil)
		v.Title = e.Name.In(say.lang)
		body, err := s.eventView(say, live)
		if err != nil {
			return nil, err
		}
		v.Description = body.Start.Date() + ", " + e.Venue.Name + ", " + e.Venue.City
		v.Body, v.JSONLD = body, s.sportsEvent(say, live)
		if body.Upcoming {
			v.Data = map[string]any{"texts": say.subset("count.")}
		}
		return v, nil
	})
}

func (s *Site) eventView(say words, live registration.Live) (eventView, error) {
	e, zone := live.Event, live.Event.Location()
	about, err := markdown(e.Description.In(say.lang))
	if err != nil {
		return eventView{}, err
	}
	state := saleOf(live)
	return eventView{
		Slug: e.Slug, Name: e.Name.In(say.lang), Venue: e.Venue.Name, City: e.Venue.City,
		Start: say.moment(e.StartsAt, zone), State: say.stateBadge(live),
		Upcoming: state == registration.StateUpcoming, Open: state == registration.StateOpen,
		Opens: say.moment(e.Rules.OpensAt, zone), Closes: say.moment(e.Rules.ClosesAt, zone),
		Notice: say.notice(live), Returns: say.returns(live), FormLink: s.entry(say, live), Room: s.hasRoom(live),
		Categories: say.categoryCards(live, s.config.Clock.Now()), About: about,
		Schedule: say.schedule(e), Rules: say.rules(e),
	}, nil
}

// notice says why nobody can register now, and until when; "" if everybody can.
func (w words) notice(live registration.Live) string {
	e := live.Event
	switch saleOf(live) {
	case registration.StateClosed:
		return w.T("event.closed_at", "when", w.moment(e.Rules.ClosesAt, e.Location()).Full()) + "."
	case registration.StateSoldOut:
		if !mayReturn(live) {
			return w.T("event.sold_out")
		}
		if live.NextExpiry.IsZero() {
			return w.T("event.held")
		}
		return w.T("event.held") + " " + w.T("event.held_until", "when", w.moment(live.NextExpiry, e.Location()).Full())
	default:
		return ""
	}
}

// returns says that some categories are sold out only until a hold ends; "" if none is, or if that is what the notice says.
func (w words) returns(live registration.Live) string {
	if saleOf(live) != registration.StateOpen || !mayReturn(live) {
		return ""
	}
	if live.NextExpiry.IsZero() {
		return w.T("event.held_some")
	}
	return w.T("event.held_some") + " " + w.T("event.held_until", "when", w.moment(live.NextExpiry, live.Event.Location()).Full())
}

func (w words) categoryCards(live registration.Live, now time.Time) []categoryCard {
	cards := make([]categoryCard, 0, len(live.Event.Categories))
	for i := range live.Event.Categories {
		cards = append(cards, w.categoryCard(live, &live.Event.Categories[i], now))
	}
	return cards
}

func (w words) categoryCard(live registration.Live, c *event.Category, now time.Time) categoryCard {
	known := live.Availability.Categories[c.ID]
	tier := tierNow(live, c)
	card := categoryCard{
		ID: c.ID, Name: c.Name.In(w.lang), Price: w.price(c.PriceOf(tier)), Ages: w.ages(c),
		Level: w.levelBadge(known.Level), Gone: gone(known.Level),
	}
	if live.Availability.State == registration.StateClosed {
		card.Level, card.Gone = badge{}, true // how many places were left matters to nobody now
	}
	if c.DistanceM > 0 {
		card.Distance = w.kilometres(c.DistanceM)
	}
	if tier >= 0 {
		card.TierName = c.Prices[tier].Name
		if c.PriceOf(tier) < c.Price {
			card.Normal = c.Price.String()
		}
	}
	if known.Level == registration.Low && known.Remaining > 0 && !card.Gone {
		card.Remaining = w.remaining(known.Remaining)
	}
	card.Tiers = w.tierLines(c, tier, live.Event.Location(), now)
	return card
}

func (w words) remaining(n int) string {
	if n == 1 {
		return w.T("event.remaining_one")
	}
	return w.T("event.remaining", "n", n)
}

// tierLines lists all prices of a category that has more than one to come or gone.
func (w words) tierLines(c *event.Category, current int, zone *time.Location, now time.Time) []tierLine {
	if len(c.Prices) == 0 {
		return nil
	}
	lines := make([]tierLine, 0, len(c.Prices)+1)
	for i, t := range c.Prices {
		over := (!t.Until.IsZero() && !now.Before(t.Until)) || current < 0 || i < current
		lines = append(lines, tierLine{
			Name: t.Name, Price: w.price(t.Price), Ends: w.tierEnds(t, zone), Now: i == current, Over: over,
		})
	}
	return append(lines, tierLine{Name: w.T("event.normal"), Price: w.price(c.Price), Now: current < 0})
}

func (w words) tierEnds(t event.Tier, zone *time.Location) string {
	var parts []string
	if t.First > 0 {
		parts = append(parts, w.T("event.tier_first", "n", t.First))
	}
	if !t.Until.IsZero() {
		parts = append(parts, w.T("event.tier_until", "when", w.untilDay(t.Until, zone)))
	}
	return strings.Join(parts, ", ")
}

// untilDay names the last moment before end: a price that ends at midnight ends with the day before.
func (w words) untilDay(end time.Time, zone *time.Location) string {
	local := end.In(zone)
	if local.Hour() == 0 && local.Minute() == 0 {
		return w.moment(end.Add(-time.Minute), zone).Day()
	}
	return w.moment(end, zone).Full()
}

func (w words) ages(c *event.Category) string {
	switch {
	case c.MinAge > 0 && c.MaxAge > 0:
		return w.T("event.age_between", "min", c.MinAge, "max", c.MaxAge)
	case c.MinAge > 0:
		return w.T("event.age_from", "min", c.MinAge)
	case c.MaxAge > 0:
		return w.T("event.age_to", "max", c.MaxAge)
	default:
		return ""
	}
}

func (w words) levelBadge(level registration.Level) badge {
	tones := map[registration.Level]string{
		registration.Available: "good", registration.Low: "warn", registration.Held: "warn", registration.SoldOut: "off",
	}
	if tones[level] == "" {
		return badge{}
	}
	return badge{w.T("level." + string(level)), tones[level]}
}

func (w words) schedule(e *event.Event) []scheduleDay {
	var days []scheduleDay
	for _, a := range e.Schedule {
		at := w.moment(a.At, e.Location())
		if n := len(days); n == 0 || days[n-1].Day.Day() != at.Day() {
			days = append(days, scheduleDay{Day: at})
		}
		day := &days[len(days)-1]
		day.Lines = append(day.Lines, scheduleLine{At: at, What: a.What.In(w.lang), Where: a.Where})
	}
	return days
}

// rules says in sentences what the event file sets.
func (w words) rules(e *event.Event) []string {
	out := []string{w.T("event.rule_group", "n", max(e.Rules.MaxParticipants, 1))}
	if e.Rules.MaxParticipants <= 1 {
		out = nil
	}
	if hasPrice(e) {
		out = append(out, w.T("event.rule_hold", "hold", w.holdFor(e.Rules.Hold)))
	}
	if len(e.Rules.UniqueBy) > 0 {
		by := make([]string, 0, len(e.Rules.UniqueBy))
		for _, property := range e.Rules.UniqueBy {
			by = append(by, w.T("event.by_"+string(property)))
		}
		out = append(out, w.T("event.rule_unique", "by", strings.Join(by, " "+w.T("unit.and")+" ")))
	}
	return out
}

// hasPrice reports whether anything costs money.
func hasPrice(e *event.Event) bool {
	for _, c := range e.Categories {
		if c.Price > 0 {
			return true
		}
	}
	return false
}

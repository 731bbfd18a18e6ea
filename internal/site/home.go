package site

import (
	"net/http"
	"slices"

	"gapura/internal/event"
	"gapura/internal/money"
	"gapura/internal/registration"
)

// homeView is the list of races.
type homeView struct {
	Races []raceCard
}

type raceCard struct {
	Name, City, Venue string
	Link              string
	Start             moment
	State             badge
	Distances         []string
	Prices            string // from the lowest to the highest
}

// badge is a short state with the tone it is shown in: good, warn, off or soon.
type badge struct{ Text, Tone string }

func (s *Site) home(w http.ResponseWriter, r *http.Request) error {
	say := s.words(r)
	return s.servePrepared(w, r, preparedKey{"home", "", say.lang}, func() (*view, error) {
		v := s.view(say, "home", "/", nil)
		v.Title, v.Description = say.T("home.title"), say.T("home.lead")
		body := homeView{}
		for _, live := range registeringFirst(s.config.Desk.Events()) {
			body.Races = append(body.Races, s.raceCard(say, live))
		}
		v.Body = body
		return v, nil
	})
}

// registeringFirst puts races whose registration has closed behind the others.
func registeringFirst(events []registration.Live) []registration.Live {
	closed := func(l registration.Live) int {
		if l.Availability.State == registration.StateClosed {
			return 1
		}
		return 0
	}
	events = slices.Clone(events)
	slices.SortStableFunc(events, func(a, b registration.Live) int { return closed(a) - closed(b) })
	return events
}

func (s *Site) raceCard(say words, live registration.Live) raceCard {
	e := live.Event
	card := raceCard{
		Name: e.Name.In(say.lang), City: e.Venue.City, Venue: e.Venue.Name,
		Link:  s.link(say.lang, "/e/"+e.Slug, nil),
		Start: say.moment(e.StartsAt, e.Location()), State: say.stateBadge(live),
	}
	prices := make([]money.Rupiah, 0, len(e.Categories))
	for i := range e.Categories {
		c := &e.Categories[i]
		card.Distances = append(card.Distances, c.Name.In(say.lang))
		prices = append(prices, priceNow(live, c))
	}
	if len(prices) > 0 {
		card.Prices = say.priceRange(slices.Min(prices), slices.Max(prices))
	}
	return card
}

func (w words) priceRange(lowest, highest money.Rupiah) string {
	if lowest == highest {
		return w.price(lowest)
	}
	return w.T("home.prices", "low", w.price(lowest), "high", w.price(highest))
}

func (w words) price(amount money.Rupiah) string {
	if amount == 0 {
		return w.T("price.free")
	}
	return amount.String()
}

// stateBadge says whether the race registers; one that is sold out only until holds return says so.
func (w words) stateBadge(live registration.Live) badge {
	switch saleOf(live) {
	case registration.StateUpcoming:
		return badge{w.T("state.upcoming"), "soon"}
	case registration.StateOpen:
		return badge{w.T("state.open"), "good"}
	case registration.StateSoldOut:
		if mayReturn(live) {
			return badge{w.T("state.held"), "warn"}
		}
		return badge{w.T("state.sold_out"), "off"}
	default:
		return badge{w.T("state.closed"), "off"}
	}
}

// saleOf is the state a visitor meets. The engine keeps a race open while a hold may end; for somebody who comes now it is sold
// out when no category has a place, and a form without a single choice would be an insult.
func saleOf(live registration.Live) registration.State {
	if live.Availability.State != registration.StateOpen {
		return live.Availability.State
	}
	for _, c := range live.Availability.Categories {
		if !gone(c.Level) {
			return registration.StateOpen
		}
	}
	return registration.StateSoldOut
}

// gone reports whether nobody can get a place now.
func gone(level registration.Level) bool {
	return level == registration.SoldOut || level == registration.Held
}

// mayReturn reports whether a category that is sold out now waits for holds.
func mayReturn(live registration.Live) bool {
	for _, c := range live.Availability.Categories {
		if c.Level == registration.Held {
			return true
		}
	}
	return false
}

// priceNow is what the next participant of c pays. A snapshot that does not know the category means the ordinary price.
func priceNow(live registration.Live, c *event.Category) money.Rupiah {
	return c.PriceOf(tierNow(live, c))
}

func tierNow(live registration.Live, c *event.Category) int {
	known, ok := live.Availability.Categories[c.ID]
	if !ok || known.Tier >= len(c.Prices) {
		return -1
	}
	return known.Tier
}

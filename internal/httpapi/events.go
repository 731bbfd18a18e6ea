package httpapi

import (
	"net/http"
	"time"

	"gapura/internal/event"
	"gapura/internal/money"
	"gapura/internal/registration"
)

// EventView is an event as clients see it.
type EventView struct {
	Slug         string             `json:"slug"`
	Name         event.Text         `json:"name"`
	Description  event.Text         `json:"description" doc:"Markdown"`
	Timezone     string             `json:"timezone" doc:"IANA name"`
	StartsAt     time.Time          `json:"starts_at"`
	Venue        event.Venue        `json:"venue"`
	Registration RegistrationView   `json:"registration"`
	Categories   []CategoryView     `json:"categories"`
	Questions    []QuestionView     `json:"questions"`
	Schedule     []event.Appearance `json:"schedule"`
	WaitingRoom  event.WaitingRoom  `json:"waiting_room"`
	ServerTime   time.Time          `json:"server_time"`
}

// RegistrationView says when and how one registers.
type RegistrationView struct {
	State           string           `json:"state" enum:"upcoming,open,closed,sold_out"`
	OpensAt         time.Time        `json:"opens_at"`
	ClosesAt        time.Time        `json:"closes_at"`
	HoldSeconds     int              `json:"hold_seconds" doc:"how long an unpaid place is kept"`
	MaxParticipants int              `json:"max_participants"`
	UniqueBy        []event.UniqueBy `json:"unique_by"`
}

// CategoryView is a category with what it costs now.
type CategoryView struct {
	ID           string       `json:"id"`
	Name         event.Text   `json:"name"`
	DistanceM    int          `json:"distance_m"`
	Price        money.Rupiah `json:"price" doc:"what the next participant pays, in whole rupiah"`
	NormalPrice  money.Rupiah `json:"normal_price"`
	Prices       []TierView   `json:"prices"`
	MinAge       int          `json:"min_age,omitempty"`
	MaxAge       int          `json:"max_age,omitempty"`
	Availability string       `json:"availability" enum:"available,low,held,sold_out"`
}

// TierView is a price that ends by date or by count, whichever comes first.
type TierView struct {
	Name    string       `json:"name"`
	Price   money.Rupiah `json:"price"`
	First   int          `json:"first,omitempty"`
	Until   *time.Time   `json:"until,omitempty"`
	Current bool         `json:"current"`
}

// QuestionView is a question with what can be answered.
type QuestionView struct {
	ID         string       `json:"id"`
	Type       string       `json:"type" enum:"choice,text,checkbox"`
	Required   bool         `json:"required"`
	Label      event.Text   `json:"label"`
	Help       event.Text   `json:"help"`
	Options    []OptionView `json:"options,omitempty"`
	Categories []string     `json:"categories,omitempty" doc:"asked of these only; of all if empty"`
}

// OptionView is one answer.
type OptionView struct {
	Value        string     `json:"value"`
	Label        event.Text `json:"label"`
	Availability string     `json:"availability" enum:"available,low,held,sold_out"`
}

// EventList is the published events.
type EventList struct {
	Events []EventView `json:"events"`
}

// ScheduleView is the programme of an event.
type ScheduleView struct {
	Schedule []event.Appearance `json:"schedule"`
}

// AvailabilityView is small, because a crowd polls it.
type AvailabilityView struct {
	State          string                 `json:"state" enum:"upcoming,open,closed,sold_out"`
	Categories     []CategoryAvailability `json:"categories"`
	NextHoldEndsAt *time.Time             `json:"next_hold_ends_at,omitempty" doc:"when the next held place may return"`
}

// CategoryAvailability is how one category sells.
type CategoryAvailability struct {
	ID     string       `json:"id"`
	Status string       `json:"status" enum:"available,low,held,sold_out"`
	Price  money.Rupiah `json:"price" doc:"what the next participant pays, in whole rupiah"`
}

// Cache-Control of what everybody reads, per document: a second is enough for a CDN to answer a stampede.
var (
	cacheAvailability = []string{"public, max-age=1, stale-while-revalidate=5"}
	cacheEvent        = []string{"public, max-age=5, stale-while-revalidate=30"}
	cacheSchedule     = []string{"public, max-age=60, stale-while-revalidate=300"}
)

func (a *API) listEvents(w http.ResponseWriter, r *http.Request) error {
	now := a.cfg.Clock.Now()
	return a.prepared.serve(w, r, "events", now, cacheEvent, func() (any, error) {
		list := EventList{Events: []EventView{}}
		for _, live := range a.cfg.Desk.Events() {
			list.Events = append(list.Events, eventView(live, now))
		}
		return list, nil
	})
}

func (a *API) getEvent(w http.ResponseWriter, r *http.Request) error {
	slug, now := r.PathValue("slug"), a.cfg.Clock.Now()
	return a.prepared.serve(w, r, "event "+slug, now, cacheEvent, func() (any, error) {
		live, err := a.cfg.Desk.Event(slug)
		if err != nil {
			return nil, err
		}
		return eventView(live, now), nil
	})
}

func (a *API) getAvailability(w http.ResponseWriter, r *http.Request) error {
	slug, now := r.PathValue("slug"), a.cfg.Clock.Now()
	return a.prepared.serve(w, r, "availability "+slug, now, cacheAvailability, func() (any, error) {
		live, err := a.cfg.Desk.Event(slug)
		if err != nil {
			return nil, err
		}
		return availabilityView(live), nil
	})
}

func (a *API) getSchedule(w http.ResponseWriter, r *http.Request) error {
	slug, now := r.PathValue("slug"), a.cfg.Clock.Now()
	return a.prepared.serve(w, r, "schedule "+slug, now, cacheSchedule, func() (any, error) {
		live, err := a.cfg.Desk.Event(slug)
		if err != nil {
			return nil, err
		}
		return ScheduleView{Schedule: listed(live.Event.Schedule)}, nil
	})
}

func availabilityView(live registration.Live) AvailabilityView {
	v := AvailabilityView{State: string(live.Availability.State), Categories: make([]CategoryAvailability, 0, len(live.Event.Categories))}
	for i := range live.Event.Categories {
		c := &live.Event.Categories[i]
		have := live.Availability.Categories[c.ID]
		v.Categories = append(v.Categories, CategoryAvailability{ID: c.ID, Status: string(have.Level), Price: c.PriceOf(have.Tier)})
	}
	if !live.NextExpiry.IsZero() {
		v.NextHoldEndsAt = &live.NextExpiry
	}
	return v
}

func eventView(live registration.Live, now time.Time) EventView {
	e := live.Event
	v := EventView{
		Slug: e.Slug, Name: e.Name, Description: e.Description, Timezone: e.Timezone, StartsAt: e.StartsAt.In(e.Location()),
		Venue: e.Venue, Schedule: listed(e.Schedule), WaitingRoom: e.WaitingRoom, ServerTime: now,
		Registration: RegistrationView{
			State: string(live.Availability.State), OpensAt: e.Rules.OpensAt, ClosesAt: e.Rules.ClosesAt,
			HoldSeconds: int(e.Rules.Hold / time.Second), MaxParticipants: e.Rules.MaxParticipants,
			UniqueBy: listed(e.Rules.UniqueBy),
		},
		Categories: []CategoryView{}, Questions: []QuestionView{},
	}
	for i := range e.Categories {
		v.Categories = append(v.Categories, categoryView(&e.Categories[i], live.Availability.Categories[e.Categories[i].ID]))
	}
	for i := range e.Questions {
		v.Questions = append(v.Questions, questionView(&e.Questions[i], live.Availability.Options[e.Questions[i].ID]))
	}
	return v
}

func categoryView(c *event.Category, have registration.CategoryAvailability) CategoryView {
	v := CategoryView{
		ID: c.ID, Name: c.Name, DistanceM: c.DistanceM, Price: c.PriceOf(have.Tier), NormalPrice: c.Price, MinAge: c.MinAge,
		MaxAge: c.MaxAge, Availability: string(have.Level), Prices: []TierView{},
	}
	for i, t := range c.Prices {
		tier := TierView{Name: t.Name, Price: t.Price, First: t.First, Current: i == have.Tier}
		if !t.Until.IsZero() {
			tier.Until = &t.Until
		}
		v.Prices = append(v.Prices, tier)
	}
	return v
}

func questionView(q *event.Question, levels map[string]registration.Level) QuestionView {
	v := QuestionView{ID: q.ID, Type: string(q.Type), Required: q.Required, Label: q.Label, Help: q.Help, Categories: q.Categories}
	for _, o := range q.Options {
		v.Options = append(v.Options, OptionView{Value: o.Value, Label: o.Label, Availability: string(levels[o.Value])})
	}
	return v
}

// listed makes an empty list of none: clients count on a list.
func listed[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}

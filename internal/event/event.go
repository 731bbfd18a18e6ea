// Package event is the catalogue: what a race is, what it sells and when. An Event is a value read from an event file; it
// is checked as a whole before it is used and never changed in place.
package event

import (
	"time"

	"gapura/internal/money"
)

// Text is a sentence in Indonesian and English. EN is never empty in a checked event: it falls back to ID.
type Text struct {
	ID string `json:"id" yaml:"id"`
	EN string `json:"en" yaml:"en"`
}

// In returns the text in locale "id" or "en".
func (t Text) In(locale string) string {
	if locale == "en" && t.EN != "" {
		return t.EN
	}
	return t.ID
}

// Event is a race with everything it sells. All times are instants in UTC; Timezone says how people read them.
type Event struct {
	Slug        string       `json:"slug"`
	Code        string       `json:"code"` // prefix of order numbers, such as GNR27; from the slug if the file has none
	Name        Text         `json:"name"`
	Description Text         `json:"description"` // Markdown
	Timezone    string       `json:"timezone"`    // IANA name
	StartsAt    time.Time    `json:"starts_at"`
	Venue       Venue        `json:"venue"`
	Rules       Rules        `json:"registration"`
	Categories  []Category   `json:"categories"`
	Quotas      []Quota      `json:"quotas"`
	Questions   []Question   `json:"questions"`
	WaitingRoom WaitingRoom  `json:"waiting_room"`
	Schedule    []Appearance `json:"schedule"`
	Tax         Tax          `json:"tax"`       // the zero Tax: none
	Organiser   Organiser    `json:"organiser"` // the zero Organiser: the file names none

	index *index // see Prepare
}

// Venue is where the race starts.
type Venue struct {
	Name string `json:"name"`
	City string `json:"city"`
}

// Tax is a tax that the prices already contain. Indonesian races fall under PPN (effective 11% since 2025), under a
// regional tax or under none, so the event file says which.
type Tax struct {
	Name        string `json:"name"`         // as printed on the invoice, such as PPN; empty: no tax
	BasisPoints int    `json:"basis_points"` // hundredths of a percent: 1100 is 11%
}

// Part returns how much of an amount that people pay is tax, rounded to the nearest rupiah.
func (t Tax) Part(paid money.Rupiah) money.Rupiah {
	rate := money.Rupiah(t.BasisPoints)
	whole := 10_000 + rate
	return (paid*rate + whole/2) / whole
}

// Organiser is who sells the places, as printed on invoices.
type Organiser struct {
	Name    string `json:"name"`
	Email   string `json:"email"`
	Address string `json:"address"`
	NPWP    string `json:"npwp"` // tax number, 15 or 16 digits
}

// UniqueBy names a property of which two live participants of one event may not share a value.
type UniqueBy string

// What a participant can be unique by.
const (
	UniqueByEmail UniqueBy = "email"
	UniqueByPhone UniqueBy = "phone"
)

// Rules say who may register, when, and for how long an unpaid place is kept.
type Rules struct {
	OpensAt         time.Time     `json:"opens_at"`
	ClosesAt        time.Time     `json:"closes_at"`
	Hold            time.Duration `json:"hold"`             // nanoseconds in JSON
	MaxParticipants int           `json:"max_participants"` // per order, 1 to 50
	UniqueBy        []UniqueBy    `json:"unique_by"`
}

// Category is one distance or class that a participant can enter.
type Category struct {
	ID        string       `json:"id"`
	Name      Text         `json:"name"`
	DistanceM int          `json:"distance_m"`
	Price     money.Rupiah `json:"price"`   // when no tier applies
	Prices    []Tier       `json:"prices"`  // the first tier that still applies wins
	MinAge    int          `json:"min_age"` // years on the day of the race; 0: no limit
	MaxAge    int          `json:"max_age"` // 0: no limit
}

// Tier is a price that ends by date or by count, whichever comes first.
type Tier struct {
	Name  string       `json:"name"`
	Price money.Rupiah `json:"price"`
	First int          `json:"first"` // places sold at this price; 0: no such limit
	Until time.Time    `json:"until"` // zero: no such limit
}

// Quota limits the live places of one or more categories together.
type Quota struct {
	ID         string   `json:"id"`
	Size       int      `json:"size"`
	Categories []string `json:"categories"`
}

// QuestionType is how a question is answered.
type QuestionType string

// The kinds of questions.
const (
	Choice   QuestionType = "choice"   // one of Options
	FreeText QuestionType = "text"     // at most 500 characters
	Checkbox QuestionType = "checkbox" // "true" or absent; required: must be "true"
)

// Question is asked of every participant of its Categories (of all, if it names none).
type Question struct {
	ID         string       `json:"id"`
	Type       QuestionType `json:"type"`
	Required   bool         `json:"required"`
	Label      Text         `json:"label"`
	Help       Text         `json:"help"`
	Options    []Option     `json:"options"`
	Categories []string     `json:"categories"`
}

// Option is one answer to a choice. Stock is a quota: how many live participants may have chosen it.
type Option struct {
	Value string `json:"value"`
	Label Text   `json:"label"` // Value if the file has none
	Stock *int   `json:"stock"` // nil: no limit
}

// PreQueue is how those who come before opening are ordered.
type PreQueue string

// The orders of a pre-queue.
const (
	Draw PreQueue = "draw" // by lot
	FIFO PreQueue = "fifo" // by arrival
)

// Confirmation is what visitors confirm before they get a number in a waiting room, so that a person has one.
type Confirmation string

// What can be confirmed.
const (
	ConfirmNothing Confirmation = ""      // one person may draw many numbers
	ConfirmEmail   Confirmation = "email" // one number an e-mail address
	confirmPhone   Confirmation = "phone" // refused: nothing here sends codes to phones
)

// WaitingRoom says whether visitors wait before they register.
type WaitingRoom struct {
	Enabled  bool         `json:"enabled"`
	PreQueue PreQueue     `json:"pre_queue"`
	Person   Confirmation `json:"person,omitempty"`
}

// Appearance is a line of the schedule.
type Appearance struct {
	At    time.Time `json:"at"`
	What  Text      `json:"what"`
	Where string    `json:"where"`
}

// Category returns the category with that id.
func (e *Event) Category(categoryID string) (*Category, bool) {
	if e.index != nil {
		i, ok := e.index.categories[categoryID]
		if !ok {
			return nil, false
		}
		return &e.Categories[i], true
	}
	for i := range e.Categories {
		if e.Categories[i].ID == categoryID {
			return &e.Categories[i], true
		}
	}
	return nil, false
}

// Location returns the event's time zone; a checked event always has one.
func (e *Event) Location() *time.Location {
	if e.index != nil && e.index.location != nil {
		return e.index.location
	}
	loc, err := time.LoadLocation(e.Timezone)
	if err != nil {
		return time.UTC
	}
	return loc
}

// Tier returns the index of the price tier that a participant of c who registers at now gets when soldAt(i) places were
// already sold at tier i, or -1 for the ordinary price.
func (c *Category) Tier(now time.Time, soldAt func(tier int) int) int {
	for i, t := range c.Prices {
		if !t.Until.IsZero() && !now.Before(t.Until) {
			continue
		}
		if t.First > 0 && soldAt(i) >= t.First {
			continue
		}
		return i
	}
	return -1
}

// PriceOf returns the price of tier, or the ordinary price for -1.
func (c *Category) PriceOf(tier int) money.Rupiah {
	if tier < 0 {
		return c.Price
	}
	return c.Prices[tier].Price
}

// Asks reports whether q is asked of participants of that category.
func (q *Question) Asks(categoryID string) bool {
	if len(q.Categories) == 0 {
		return true
	}
	for _, c := range q.Categories {
		if c == categoryID {
			return true
		}
	}
	return false
}

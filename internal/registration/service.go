package registration

import (
	"context"
	"time"

	"gapura/internal/event"
	"gapura/internal/id"
)

// Receipt is the answer to an accepted registration.
type Receipt struct {
	Order    Order
	Replayed bool // the key already had this order; Order shows it as it was first answered
}

// Availability tells how an event's categories sell. It may be some hundred milliseconds old.
type Availability struct {
	State      State
	Categories map[string]CategoryAvailability
	Options    map[string]map[string]Level // question id, option value
	Places     int                         // how many can be registered in all; -1: no limit
}

// CategoryAvailability tells how one category sells.
type CategoryAvailability struct {
	Level     Level
	Remaining int // -1: no limit
	Tier      int // the price tier the next participant gets, -1 for the ordinary price

	sold []int // live places at each tier
}

// State is whether an event registers.
type State string

// The states of registration.
const (
	StateUpcoming State = "upcoming"
	StateOpen     State = "open"
	StateClosed   State = "closed"
	StateSoldOut  State = "sold_out"
)

// Level is how much is left.
type Level string

// The levels of availability.
const (
	Available Level = "available"
	Low       Level = "low"      // a tenth or less is left
	Held      Level = "held"     // sold out for now; holds may return
	SoldOut   Level = "sold_out" // no hold can return
)

// Live is a published event as it stands now. The event must not be changed.
type Live struct {
	ID           int64
	Revision     int
	Event        *event.Event
	Availability Availability
	NextExpiry   time.Time // when the next hold ends; zero: none is known
}

// Change is a new state of an order, as told to those who watch it.
type Change struct {
	Order   id.ID
	Version int
	Status  Status
}

// Desk is what the edges may ask of registration.
type Desk interface {
	// Events returns the published events, by start.
	Events() []Live
	// Event returns the published event with that slug, or a no_such_event fault.
	Event(slug string) (Live, error)
	// Definition is Event without its availability, for those who ask with every order.
	Definition(slug string) (Stored, error)
	// Register returns once the order is durable. Its faults are those of POST /orders in the public contract.
	Register(ctx context.Context, slug, key string, request Request) (Receipt, error)
	// Order returns an order as it stands, or a no_such_order fault.
	Order(ctx context.Context, order id.ID) (Order, error)
	// OrderByKey returns the order that key made as it stands, or a no_such_order fault.
	OrderByKey(ctx context.Context, key string) (Order, error)
	// Cancel gives the places of an unpaid or free order back; wrong_state if it is neither.
	Cancel(ctx context.Context, order id.ID) (Order, error)
	// Watch sends every change of the order after it happened, at most some seconds late, until ctx ends.
	Watch(ctx context.Context, order id.ID) <-chan Change
	// Token returns the order's access token.
	Token(order id.ID) string
	// TokenValid reports, in constant time, whether token opens the order.
	TokenValid(order id.ID, token string) bool
}

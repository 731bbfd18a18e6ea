// Package registration takes the crowd: it checks what people send, decides who gets a place, keeps holds and gives places
// back. Deciding is pure; the committer feeds it with whatever arrived during the last commit and makes the outcome durable
// before anyone is told.
package registration

import (
	"time"

	"gapura/internal/id"
	"gapura/internal/money"
)

// Status is where an order stands.
type Status string

// The states of an order.
const (
	AwaitingPayment Status = "awaiting_payment"
	Confirmed       Status = "confirmed"
	Expired         Status = "expired"
	Cancelled       Status = "cancelled"
	Refunding       Status = "refunding"
	Refunded        Status = "refunded"
	PaidNoPlace     Status = "paid_no_place"
)

// Live reports whether the order's participants have a place.
func (s Status) Live() bool { return s == AwaitingPayment || s == Confirmed }

// PlaceStatus is where one participant's place stands.
type PlaceStatus string

// The states of a place.
const (
	PlaceHeld      PlaceStatus = "held"
	PlaceConfirmed PlaceStatus = "confirmed"
	PlaceReleased  PlaceStatus = "released"
)

// Place returns the state of the places of an order in state s.
func (s Status) Place() PlaceStatus {
	switch s {
	case AwaitingPayment:
		return PlaceHeld
	case Confirmed:
		return PlaceConfirmed
	default:
		return PlaceReleased
	}
}

// Contact is who answers for an order. Email is normalised, Phone in E.164.
type Contact struct {
	Name  string
	Email string
	Phone string
}

// Order is 1 to N participants who get their places together or not at all.
type Order struct {
	ID           id.ID
	EventID      int64
	Seq          int64  // counts the event's orders from 1, without gaps
	Number       string // what people read, such as GNR27-000123
	Status       Status
	Version      int // rises with every change of state
	Total        money.Rupiah
	Contact      Contact
	Locale       string // id or en
	CreatedAt    time.Time
	ExpiresAt    time.Time // when an unpaid hold ends; zero for a free order
	Participants []Participant
}

// Participant is one person's entry. Its place in the order, from 1, is its identity.
type Participant struct {
	Position  int
	Category  string
	Name      string
	Email     string // normalised; may be empty if the event is not unique by it
	Phone     string // E.164; may be empty likewise
	BirthDate string // YYYY-MM-DD
	Gender    string // female or male
	Answers   map[string]string
	Tier      int // index of the price tier, -1 for the ordinary price
	Price     money.Rupiah
}

// ParticipantID is the public identity of the participant at position: the order's id and the position, joined by a dash.
func ParticipantID(order id.ID, position int) string {
	b, _ := order.AppendText(make([]byte, 0, 40))
	b = append(b, '-')
	if position >= 10 {
		b = append(b, byte('0'+position/10)) //nolint:gosec // an order has far fewer than 100 places
	}
	return string(append(b, byte('0'+position%10)))
}

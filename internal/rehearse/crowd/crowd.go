// Package crowd decides, before a rehearsal begins, who comes when and wants what: the arrivals of a demand curve, the
// baskets, the people and their habits. It is a pure function of its settings and a seed, so that a run can be repeated and
// a late answer cannot change who comes next.
package crowd

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"
)

// Habit is what is special about an order.
type Habit uint8

// The habits.
const (
	Ordinary       Habit = iota
	DoubleClick          // sends the same request twice within milliseconds
	LosesLine            // the connection breaks before the answer; asks again with the same key
	AsksAgain            // repeats the request after it was acknowledged
	Cancels              // gives the place back after it was acknowledged
	SecondCategory       // a person who registered registers again for another category, with a new key
	ClosesPage           // in a waiting room: draws a ticket and never comes back
	LetsLapse            // in a waiting room: is let in and never sends the form
)

// Habits says which share of the orders (0 to 1) has a habit; what remains is ordinary: people who hold a place without
// paying. SecondCategory orders come on top of the curve's orders.
type Habits struct {
	DoubleClick, LosesLine, AsksAgain, Cancels, SecondCategory float64
	ClosesPage, LetsLapse                                      float64 // in a waiting room only
}

// DefaultHabits are shares that make every check meaningful in a crowd of a thousand; they are assumptions, not measured.
func DefaultHabits() Habits {
	return Habits{DoubleClick: 0.03, LosesLine: 0.01, AsksAgain: 0.02, Cancels: 0.01, SecondCategory: 0.01, ClosesPage: 0.02, LetsLapse: 0.02}
}

// MaxBasket is the largest number of participants in an order.
const MaxBasket = 5

// Order is one order that somebody will try to make.
type Order struct {
	At         time.Duration // of its first arrival, from the opening
	Person     int           // the first participant; the others have the following numbers
	Size       int           // participants, 1 to MaxBasket
	Categories [MaxBasket]uint8
	Habit      Habit
	Twin       int32 // SecondCategory: the index of the person's other order; else -1
	Role       Role
	Next       int32 // Holder: the order it makes after this one has lapsed; Sharer: whose ticket it uses; else -1
	Network    Network
	Mailbox    int // the person whose mailbox the contact's address leads to
	Alias      int // above 0: the contact's address has a plus and this number, and leads to the same mailbox
}

// Visit is one planned request.
type Visit struct {
	At     time.Duration
	Order  int32
	Double bool // the second click of a double click
}

// Settings say what crowd is wanted.
type Settings struct {
	Demand Demand
	Habits Habits
	Pure   bool // one participant an order, categories drawn evenly, no habits: for measuring rates
	Single bool // one participant an order
	Seed   uint64
	Queue  *Queue // of an event with a waiting room; nil: there is none
}

// Crowd is everything that is going to happen, as far as the server does not decide it.
type Crowd struct {
	Orders []Order
	Visits []Visit // by time
	People int
	Bots   int    // machines, each of which may make several orders
	Source string // of the demand curve's figures

	queue    *Queue
	carriers int // their addresses
}

// Gather makes the crowd for an event. Settings must have been checked.
func Gather(event *Event, s Settings) (*Crowd, error) {
	onsale, err := ReadOnsale()
	if err != nil {
		return nil, err
	}
	r := rand.New(rand.NewPCG(s.Seed, 0x6761707572610001))
	c := &Crowd{Source: onsale.Source, queue: s.Queue}
	if s.Demand.Curve != CurveOnsale {
		c.Source = ""
	}
	baskets := newBaskets(event, onsale, s)
	for _, at := range s.Demand.arrivals(r, onsale) {
		o := Order{At: at, Twin: -1, Next: -1}
		baskets.fill(r, &o)
		if !s.Pure {
			o.Habit = s.Habits.draw(r)
		}
		s.Queue.arrive(r, &o)
		c.add(o)
	}
	if !s.Pure {
		c.addSecondCategories(r, len(event.Categories), s.Habits.SecondCategory)
	}
	if s.Queue != nil {
		c.connect()
		c.addBots(event, s)
	}
	slices.SortStableFunc(c.Visits, func(a, b Visit) int { return cmp.Compare(a.At, b.At) })
	return c, nil
}

// add appends an order of new people with its planned visits.
func (c *Crowd) add(o Order) {
	c.reserve(o)
	c.Visits = append(c.Visits, Visit{At: o.At, Order: int32(len(c.Orders) - 1)}) //nolint:gosec // a crowd is far below 2^31 orders
	if o.Habit == DoubleClick && c.queue == nil {                                 // in a waiting room the clicks come when the visitor is let in
		// 1 to 4 ms: two click events of one mouse button that bounces.
		gap := time.Millisecond + time.Duration(len(c.Orders)%4)*time.Millisecond
		c.Visits = append(c.Visits, Visit{At: o.At + gap, Order: int32(len(c.Orders) - 1), Double: true}) //nolint:gosec // a crowd is far below 2^31 orders
	}
}

// secondThoughts is how soon at the latest a person tries another category: some while the first request is under way, most
// after it.
const secondThoughts = 1500 * time.Millisecond

// addSecondCategories lets a share of the people with an order of their own try another category soon after.
func (c *Crowd) addSecondCategories(r *rand.Rand, categories int, share float64) {
	if categories < 2 {
		return
	}
	for i, first := range c.Orders {
		// Someone who cancels may register anew, so that order would prove nothing.
		if first.Size != 1 || first.Habit == Cancels || r.Float64() >= share {
			continue
		}
		o := first
		o.At += time.Duration(r.Int64N(int64(secondThoughts)))
		o.Habit, o.Twin = SecondCategory, int32(i)
		o.Categories[0] = uint8((int(first.Categories[0]) + 1 + r.IntN(categories-1)) % categories) //nolint:gosec // an event has far fewer than 256 categories
		c.Orders = append(c.Orders, o)
		c.Visits = append(c.Visits, Visit{At: o.At, Order: int32(len(c.Orders) - 1)}) //nolint:gosec // a crowd is far below 2^31 orders
	}
}

// draw returns one order's habit.
func (h Habits) draw(r *rand.Rand) Habit {
	x := r.Float64()
	for _, s := range []struct {
		share float64
		habit Habit
	}{
		{h.DoubleClick, DoubleClick},
		{h.LosesLine, LosesLine},
		{h.AsksAgain, AsksAgain},
		{h.Cancels, Cancels},
		{h.ClosesPage, ClosesPage},
		{h.LetsLapse, LetsLapse},
	} {
		if x < s.share {
			return s.habit
		}
		x -= s.share
	}
	return Ordinary
}

// baskets fills orders as the on-sale's buyers did.
type baskets struct {
	pure, single bool
	categories   int
	size         picker
	category     picker
	mixed        float64 // share of the orders with participants in two categories
	ranked       []int   // category indices, the largest share first
}

func newBaskets(event *Event, o *Onsale, s Settings) baskets {
	sizes := o.quantities()
	limit := min(MaxBasket, len(sizes))
	if event.MaxParticipants > 0 {
		limit = min(limit, event.MaxParticipants)
	}
	ranked := event.bySize()
	if s.Queue != nil && s.Queue.Apart {
		ranked = event.priced(true)
	}
	return baskets{
		pure: s.Pure, single: s.Single, categories: len(event.Categories),
		size:     newPicker(sizes[:limit]),
		category: newPicker(spread(o.shares(), len(ranked))),
		mixed:    o.ProductsPerOrder["2"],
		ranked:   ranked,
	}
}

// spread maps the shares of products on n categories: the i-th largest on the i-th; further categories share the last one.
func spread(shares []float64, n int) []float64 {
	out := make([]float64, n)
	copy(out, shares)
	if extra := n - len(shares); extra > 0 {
		last := shares[len(shares)-1] / float64(extra+1)
		for i := len(shares) - 1; i < n; i++ {
			out[i] = last
		}
	}
	return out
}

func (b baskets) fill(r *rand.Rand, o *Order) {
	if b.pure {
		o.Size = 1
		o.Categories[0] = uint8(r.IntN(b.categories)) //nolint:gosec // an event has far fewer than 256 categories
		return
	}
	o.Size = b.size.pick(r) + 1
	if b.single {
		o.Size = 1
	}
	first := b.ranked[b.category.pick(r)]
	second := first
	if o.Size > 1 && r.Float64() < b.mixed {
		second = b.ranked[b.category.pick(r)]
	}
	for i := range o.Size {
		o.Categories[i] = uint8(first) //nolint:gosec // an event has far fewer than 256 categories
		if i%2 == 1 {
			o.Categories[i] = uint8(second) //nolint:gosec // an event has far fewer than 256 categories
		}
	}
}

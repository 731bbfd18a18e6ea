package crowd

import (
	"math"
	"math/rand/v2"
	"strconv"
	"time"
)

// Queue is what a crowd does because there is a waiting room. Times count from when the first visitors come.
type Queue struct {
	Opens  time.Duration // when registration opens; arrivals of the demand curve begin then
	Closes time.Duration // when the list of the draw closes; Opens without a draw
	Early  float64       // share of the people who come before Closes, most of them shortly before
	Bots   int           // machines that come as well
	Apart  bool          // people want free categories, as if they had paid at once; bots want the others and never pay
	Hold   time.Duration // how long an unpaid place is kept: then its bot queues again

	Confirmed bool // visitors confirm the address of their contact; each bot has one mailbox
	Aliases   int  // under how many addresses a bot that draws again and again confirms that mailbox, 1 if 0
}

// arrive moves an order's arrival to where the queue has it.
func (q *Queue) arrive(r *rand.Rand, o *Order) {
	switch {
	case q == nil:
	case r.Float64() < q.Early:
		// The density of arrivals rises with the square of the time: an eighth of them come in the first half.
		o.At = time.Duration(float64(q.Closes) * math.Cbrt(r.Float64()))
	default:
		o.At += q.Opens
	}
}

// Role is who makes an order.
type Role uint8

// The roles.
const (
	Person   Role = iota
	Sharer        // twenty bots share one ticket
	Forger        // sends tickets and passes that it made up, cut short, altered, or took from another event
	Hammerer      // asks for everything five times a second, before its turn and without captcha
	Redrawer      // draws again and again and uses every ticket
	Holder        // behaves like a person in a hurry who never pays, and queues again when the hold has ended
)

// IsBot reports whether r is not a person.
func (r Role) IsBot() bool { return r != Person }

// String returns the role's name in the raw results.
func (r Role) String() string {
	return [...]string{"person", "sharer", "forger", "hammerer", "redrawer", "holder"}[r]
}

// What bots do.
const (
	SharersOfATicket = 20
	Redraws          = 6 // tickets that a redrawer has
	Rejoins          = 4 // times that a holder holds a place
)

// roles is how many of a hundred bots have a role.
var roles = [...]struct {
	role  Role
	share int
}{{Sharer, 20}, {Forger, 15}, {Hammerer, 15}, {Redrawer, 25}, {Holder, 25}}

func roleOf(bot int) Role {
	// 37 has no common divisor with 100: any hundred bots in a row have the shares.
	at := bot * 37 % 100
	for _, r := range roles {
		if at < r.share {
			return r.role
		}
		at -= r.share
	}
	return Holder
}

// addBots lets the bots come, each with the orders that it may make.
func (c *Crowd) addBots(event *Event, s Settings) {
	q := s.Queue
	r := rand.New(rand.NewPCG(s.Seed, 0x6761707572610b07)) // of their own: the same people come with and without bots
	wanted := event.bySize()
	if q.Apart {
		wanted = event.priced(false)
	}
	leader, followers := int32(-1), 0
	for bot := range q.Bots {
		o := Order{Size: 1, Twin: -1, Next: -1, Role: roleOf(bot), Network: c.farm(bot)}
		o.At = time.Duration(float64(max(q.Closes, time.Second)) * 0.9 * r.Float64())
		o.Categories[0] = uint8(wanted[r.IntN(len(wanted))]) //nolint:gosec // an event has far fewer than 256 categories
		first := int32(len(c.Orders))                        //nolint:gosec // a crowd is far below 2^31 orders
		switch o.Role {
		case Redrawer:
			for i := range Redraws {
				again := o
				again.At = o.At + (q.Closes-o.At)*time.Duration(i)/Redraws
				c.add(again)
				c.share(q, first, i%max(q.Aliases, 1))
			}
		case Holder:
			c.add(o)
			for i := range Rejoins - 1 {
				c.Orders[first+int32(i)].Next = first + int32(i) + 1
				c.reserve(o)
				c.share(q, first, 0)
			}
		case Sharer:
			if followers%SharersOfATicket == 0 {
				leader = first
			}
			followers++
			o.Next = leader
			c.add(o)
			c.share(q, leader, 0)
		default:
			c.add(o)
		}
	}
	c.Bots = q.Bots
}

// share gives the last order the mailbox of another where addresses are confirmed: that is what a pass is good for.
func (c *Crowd) share(q *Queue, of int32, alias int) {
	if q.Confirmed {
		last := &c.Orders[len(c.Orders)-1]
		last.Mailbox, last.Alias = c.Orders[of].Person, alias
	}
}

// reserve appends an order of new people without a planned visit.
func (c *Crowd) reserve(o Order) {
	o.Person, o.Mailbox = c.People, c.People
	c.People += o.Size
	c.Orders = append(c.Orders, o)
}

// Network is where requests come from, as a proxy in front of the server reports it.
type Network struct {
	Kind   uint8
	Number uint16
}

// The kinds of networks.
const (
	Own     uint8 = iota // an IPv4 address of the visitor's own
	Carrier              // an IPv4 address that a mobile carrier gives to some two thousand
	Six                  // an IPv6 network of the visitor's own
	Farm                 // the four IPv4 addresses of a hundred bots
)

// behindCarrier is how many share an address of a carrier.
const behindCarrier = 2000

// connect puts six in ten people behind the addresses of carriers and gives the others one of their own, a third of them IPv6.
func (c *Crowd) connect() {
	for i := range c.Orders {
		o := &c.Orders[i]
		switch n := scatter(o.Person, 55) % 100; {
		case n < 60:
			o.Network = c.carrier(int(scatter(o.Person, 56) % math.MaxUint16))
		case n < 73:
			o.Network = Network{Kind: Six}
		}
	}
}

// carrier returns one of the carriers' addresses: as many as the crowd needs.
func (c *Crowd) carrier(n int) Network {
	addresses := max(len(c.Orders)*6/10/behindCarrier, 1)
	if c.carriers == 0 {
		c.carriers = addresses
	}
	return Network{Kind: Carrier, Number: uint16(n % c.carriers)} //nolint:gosec // a crowd needs far fewer than 65,536 networks
}

// farm returns where a bot is: one in five is a telephone behind a carrier, so that its requests count against people's address.
func (c *Crowd) farm(bot int) Network {
	if bot%5 == 4 {
		return c.carrier(bot)
	}
	return Network{Kind: Farm, Number: uint16(bot / 100)} //nolint:gosec // a crowd needs far fewer than 65,536 networks
}

// AppendNetwork appends the address that an order's requests come from; turn picks one of several. The addresses are of
// ranges that are reserved for tests and documentation.
func (p *People) AppendNetwork(b []byte, order int32, turn int) []byte {
	o := &p.crowd.Orders[order]
	n := uint64(o.Network.Number)
	switch o.Network.Kind {
	case Carrier:
		b = append(b, "198.18."...)
		b = strconv.AppendUint(b, n>>8, 10)
		return strconv.AppendUint(append(b, '.'), n&0xff, 10)
	case Six:
		person := uint64(o.Person) //nolint:gosec // people and orders are numbered from 0
		b = append(b, "2001:db8:"...)
		b = strconv.AppendUint(b, person>>16&0xffff, 16)
		b = strconv.AppendUint(append(b, ':'), person&0xffff, 16)
		return append(b, "::1"...)
	case Farm:
		b = append(b, "198.19."...)
		b = strconv.AppendUint(b, n&0xff, 10)
		return strconv.AppendInt(append(b, '.'), int64(turn&3+1), 10)
	}
	return p.AppendAddress(b, order)
}

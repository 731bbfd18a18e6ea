package gate

import (
	"cmp"
	"time"

	"gapura/internal/ratelimit"
)

// Call is what a visit asks for.
type Call int

// The calls that are counted. Pages and documents that are the same for everyone are not: answering one costs about as
// much as refusing it.
const (
	Order     Call = iota // register
	Draw                  // draw a ticket in a waiting room
	Code                  // have a code mailed, where a person has one ticket
	Try                   // try a code
	Enter                 // exchange a ticket for a pass
	Pay                   // start or resume paying
	Cancel                // give places back
	Read                  // an order, by its id or key
	Watch                 // an order's stream
	Challenge             // a captcha to solve
	calls
)

// Action returns what a captcha for this call is bound to, "" for a call that wants none.
func (c Call) Action() string {
	switch c {
	case Order:
		return "register"
	case Draw, Code: // one or the other leads to a ticket
		return "draw"
	default:
		return ""
	}
}

// quotas of one call. A quota of 0 is no limit; every window is a minute but that of persons.
type quotas struct {
	name           string
	ticket, person int
	v4, v6         int           // by IPv4 address, and by the /64 of an IPv6 address
	shared         bool          // the call is dear enough to hold tickets over all nodes
	window         time.Duration // of persons; 0: personWindow
}

// personWindow is long, because a person has few reasons to come back and many seconds to type.
const personWindow = 10 * time.Minute

// The numbers. An IPv4 address may be a carrier's or a campus', with thousands of runners behind it: 3,000 orders at once and
// 50 a second after that is more than 5% of an opening with 50,000 places, and half a percent of what one node takes. An IPv6
// /64 is one household or phone, at most a hall with a wireless network. A ticket is one browser: it repeats itself when an
// answer is lost, every few seconds and not for minutes. A person is someone who fills in a form, or registers a club. Codes go
// out by mail, to whoever is named: six an hour are a nuisance and no bombardment, and 600 a minute from one address let 36,000
// runners of one carrier confirm in an hour.
var table = [calls]quotas{
	Order:     {name: "orders", ticket: 30, person: 30, v4: 3000, v6: 300},
	Draw:      {name: "draws", ticket: 30, person: 30, v4: 6000, v6: 600},
	Code:      {name: "codes", ticket: 10, person: 6, v4: 600, v6: 30, window: time.Hour},
	Try:       {name: "code-tries", ticket: 20, v4: 6000, v6: 600},
	Enter:     {name: "passes", ticket: 60, v4: 6000, v6: 600},
	Pay:       {name: "payments", ticket: 12, v4: 1200, v6: 120, shared: true},
	Cancel:    {name: "cancels", ticket: 12, v4: 600, v6: 60, shared: true},
	Read:      {name: "reads", ticket: 120, v4: 12000, v6: 1200},
	Watch:     {name: "streams", ticket: 30, v4: 6000, v6: 600},
	Challenge: {name: "challenges", v4: 6000, v6: 600},
}

// lookUpRules bound the look-ups for requests whose captcha was refused.
var lookUpRules = []ratelimit.Rule{
	{Scope: ratelimit.ByTicket, Limit: ratelimit.Limit{Name: "lookups-ticket", Quota: 10, Window: time.Minute}},
	{Scope: ratelimit.ByAddress, Limit: ratelimit.Limit{Name: "lookups", Quota: 300, Window: time.Minute}},
}

// sharedAfter is how many requests of a key a node counts by itself: nearly everyone sends one or two, and these cost no
// round trip.
const sharedAfter = 2

func rulesOf(c Call, shadow bool) callRules {
	q := table[c]
	ticket := ratelimit.Rule{
		Scope: ratelimit.ByTicket, Limit: ratelimit.Limit{Name: q.name + "-ticket", Quota: q.ticket, Window: time.Minute},
		Shared: q.shared, SharedAfter: sharedAfter, Shadow: shadow,
	}
	address := func(quota int) ratelimit.Rule {
		r := ratelimit.Rule{
			Scope: ratelimit.ByAddress, Limit: ratelimit.Limit{Name: q.name, Quota: quota, Window: time.Minute}, Shadow: shadow,
		}
		if c.Action() != "" {
			r.Challenge = quota / 3 // bots without captchas leave this much of a shared address to those who solve them
		}
		return r
	}
	var rules callRules
	if q.ticket > 0 {
		rules.v4, rules.v6 = append(rules.v4, ticket), append(rules.v6, ticket)
	}
	rules.v4, rules.v6 = append(rules.v4, address(q.v4)), append(rules.v6, address(q.v6))
	if q.person > 0 {
		window := cmp.Or(q.window, personWindow)
		rules.person = []ratelimit.Rule{{
			Scope: ratelimit.ByPerson, Limit: ratelimit.Limit{Name: q.name + "-person", Quota: q.person, Window: window},
			Shared: true, SharedAfter: sharedAfter, Shadow: shadow,
		}}
	}
	return rules
}

// Package rehearse is the crowd of an opening day: it plays a demand curve against a running server over HTTP, as browsers
// would and without mercy, and then asks the server about everything it acknowledged. It judges from outside: it knows the
// public contract and nothing of the program behind it.
package rehearse

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"gapura/internal/rehearse/crowd"
	"gapura/internal/rehearse/inbox"
)

// Plan is one rehearsal.
type Plan struct {
	BaseURL string // of the server, http and loopback only
	Slug    string // of the event; empty: the only published one that is open
	Crowd   crowd.Settings

	Connections int           // that carry requests
	Idle        int           // further connections that are opened and kept without a request
	Timeout     time.Duration // for one answer, as a browser would wait
	Drain       time.Duration // how long to wait for answers after the last arrival

	Polite    bool          // those who hear overloaded or rate_limited come back after Retry-After
	Returns   int           // how often they come back
	RepeatFor time.Duration // how long someone without an answer goes on repeating with the same key

	OneProcessor bool    // the generator keeps to one processor meanwhile, for the whole process that it runs in
	Forwarded    bool    // give each order an address of its own in X-Forwarded-For, for a server that trusts this machine
	Faults       []Fault // what goes wrong, and when

	VerifyLimit int           // ask again for at most so many acknowledged orders; more are sampled
	Quotas      []Quota       // overrides the sizes that the event publishes
	Auditors    []Auditor     // further judges, such as the server's own audit; they run after Verify
	Settle      time.Duration // wait before verifying, for example until holds have expired

	// Edition sets the keys, addresses and numbers of people apart from those of another rehearsal with the same seed.
	Edition uint64

	Room RoomPlan   // what is different for an event with a waiting room
	Mail *inbox.Box // where the server's mails come; nil: nobody reads them
}

// RoomPlan says how a crowd comes to a waiting room.
type RoomPlan struct {
	Lead     time.Duration // visitors begin to come this long before opening
	Early    float64       // share of them who come before the list of the draw closes
	Patience time.Duration // how long after opening they wait
	Reaction time.Duration // from being let in to sending the form, on average; the quickest take a quarter of it
	Bots     int           // machines that come as well
	Apart    bool          // people take free places, as if they had paid at once; bots hold the others and never pay
	Hold     time.Duration // how long the event keeps an unpaid place
	Aliases  int           // addresses that a bot has confirmed for the one mailbox that it reads, 1 if 0
	Tickets  []string      // of another event, for forgers
	Best     float64       // orders a second that the engine acknowledged at best; 0: not measured
}

// Quota is a limit that the crowd's live places are judged by.
type Quota struct {
	ID         string
	Size       int // places the crowd may get: without those that were sold before
	Categories []string
}

// Fault is something that goes wrong during the rehearsal: Do runs once, At after the opening, for instance to kill the
// server and start it again. The rehearsal goes on when it returns an error; the report shows it.
type Fault struct {
	Name string
	At   time.Duration
	Do   func(ctx context.Context) error
}

// DefaultPlan returns a plan that can be run against a demo server.
func DefaultPlan() Plan {
	return Plan{
		BaseURL: "http://127.0.0.1:8080",
		Crowd: crowd.Settings{
			Demand: crowd.Demand{
				Curve: crowd.CurveOnsale, Scale: 1, Speed: 1,
				Orders: 5000, Rate: 100, For: 30 * time.Second,
				Surge: 3, SurgeAt: 10 * time.Second, SurgeFor: 10 * time.Second,
			},
			Habits: crowd.DefaultHabits(),
		},
		Connections: 256,
		Timeout:     30 * time.Second,
		Drain:       45 * time.Second,
		Returns:     5,
		// Beside the server at 15,000 requests a second one processor costs 14 us a request, two cost 27: idle threads look
		// for work. At saturation there is no difference.
		OneProcessor: true,
		RepeatFor:    2 * time.Minute,
		Room:         RoomPlan{Lead: 90 * time.Second, Early: 0.85, Patience: 10 * time.Minute, Reaction: 4 * time.Second, Hold: 30 * time.Minute},
		VerifyLimit:  100_000,
	}
}

// The largest sizes a plan may have: 28,000 local ports lead to one server address.
const (
	maxConnections = 20_000
	maxIdle        = 27_000
)

// check returns what is wrong with p, in one sentence, and the address to connect to.
func (p *Plan) check() (addr string, err error) {
	if err := p.Crowd.Demand.Check(); err != nil {
		return "", err
	}
	switch {
	case p.Connections < 1 || p.Connections > maxConnections:
		return "", fmt.Errorf("connections: %d is not between 1 and %d", p.Connections, maxConnections)
	case p.Idle < 0 || p.Idle+p.Connections > maxIdle:
		return "", fmt.Errorf("connections: more than %d in all do not fit one address", maxIdle)
	case p.Timeout <= 0 || p.Drain <= 0:
		return "", errors.New("timeout and drain must be above 0")
	case p.Room.Early < 0 || p.Room.Early > 1 || p.Room.Lead < 0 || p.Room.Patience <= 0 || p.Room.Reaction < 0 || p.Room.Bots < 0:
		return "", errors.New("waiting room: early is a share from 0 to 1, patience is above 0, and nothing is negative")
	}
	return loopback(p.BaseURL)
}

// loopback returns the host:port of base, or why it may not be loaded: a crowd against a machine that others use is an
// attack.
func loopback(base string) (string, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" || u.Hostname() == "" || u.Path != "" && u.Path != "/" {
		return "", fmt.Errorf("target %q: give the server's address as http://127.0.0.1:8080", base)
	}
	host, port := u.Hostname(), u.Port()
	if port == "" {
		port = "80"
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return "", fmt.Errorf("target %s is not this machine: a rehearsal only runs against a loopback address", u.Host)
	}
	return net.JoinHostPort(host, port), nil
}

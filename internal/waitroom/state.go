package waitroom

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"time"
)

// State is the public state of a room: the same for everyone, small, and all that a waiting page needs beside its own
// ticket. TypeScript reads it too; testdata/vectors.json holds both sides to the same arithmetic.
type State struct {
	Event        string     `json:"event"`
	Phase        Phase      `json:"phase"`
	Stock        Stock      `json:"stock"`
	Paused       bool       `json:"paused"`
	OpensAt      time.Time  `json:"opens_at"`
	DrawClosesAt *time.Time `json:"draw_closes_at,omitempty"`
	Drawn        int64      `json:"drawn"`     // how many drew
	Late         int64      `json:"late"`      // how many came behind them
	Served       int64      `json:"served"`    // places whose turn has come; with an empty line some are served ahead
	Threshold    string     `json:"threshold"` // drawn visitors whose rank is at most this have had their turn; "" for none
	Groups       []int64    `json:"groups,omitempty"`
	Rate         float64    `json:"rate"`                  // entries a second, smoothed
	Delay        float64    `json:"delay_s,omitempty"`     // nobody enters for so many seconds: the crowd is just arriving
	Estimate     *int64     `json:"estimate_s,omitempty"`  // seconds until the last in line enters, at that rate
	PollAfter    int64      `json:"poll_after_s"`          // ask again after this many seconds
	PollJitter   int64      `json:"poll_jitter_s"`         // plus up to this many, at random
	Commitment   *Hash      `json:"commitment,omitempty"`  // SHA-256 of the draw's seed
	Root         *Hash      `json:"root,omitempty"`        // Merkle root of the closed list
	ListHash     *Hash      `json:"list_sha256,omitempty"` // SHA-256 of the published list
	Seed         string     `json:"seed,omitempty"`        // from opening on
	Person       string     `json:"person,omitempty"`      // what is confirmed before a number is given: email; "" for nothing
}

// Bounds of polling: all who wait ask at most 5,000 times a second together, and nobody waits longer than 45 seconds to hear
// that the rate has changed. When a turn is due, its page asks in any case.
const (
	pollsPerSecond = 5000
	minPoll        = 2
	maxPoll        = 30
)

// Describe returns the public state of r. draw is the revealed draw, or nil before opening and where there is none.
func Describe(set Settings, r *Record, draw *Draw, seed Seed) State {
	s := State{
		Event: set.Slug, Phase: r.Phase, Stock: r.Stock, Paused: r.Operator.Paused, OpensAt: set.OpensAt,
		Drawn: r.Drawn, Late: r.Late, Served: r.Served, Groups: r.Operator.Groups,
		Rate: r.rate(),
	}
	if set.Person {
		s.Person = "email"
	}
	s.PollAfter, s.PollJitter = pollBounds(r.Line()-s.Served, r.Phase == Open)
	if r.Phase == Open {
		s.Delay = r.Admission.delay()
	}
	if waiting := r.Line() - s.Served; s.Rate > 0 && waiting > 0 {
		estimate := int64(math.Ceil(s.Delay + float64(waiting)/s.Rate))
		s.Estimate = &estimate
	}
	if set.Draw {
		s.describeDraw(set, r, draw, seed)
	}
	return s
}

func (s *State) describeDraw(set Settings, r *Record, draw *Draw, seed Seed) {
	closes := set.DrawClosesAt()
	s.DrawClosesAt, s.Commitment = &closes, &r.Commitment
	if !r.Root.IsZero() {
		s.Root, s.ListHash = &r.Root, &r.ListHash
	}
	if draw == nil || (r.Phase != Open && r.Phase != Ended) {
		return
	}
	s.Seed = seed.Hex()
	if threshold, begun := draw.Threshold(r.Served); begun {
		s.Threshold = threshold.String()
	}
}

// pollBounds spreads the polls. Those of a crowd that came within a second stay together unless the jitter is wide: at half of
// the wait, 50,000 asked 20,000 times a second every twelve seconds. Before opening it is narrow, for nobody knows yet whose turn
// comes first.
func pollBounds(waiting int64, open bool) (after, jitter int64) {
	after = min(max(waiting/pollsPerSecond, minPoll), maxPoll)
	if open {
		return max(after/2, minPoll), max(after, 1)
	}
	return after, max(after/2, 1)
}

// Standing is where one ticket stands.
type Standing struct {
	Turn  bool          // the ticket can be exchanged for a pass
	Ahead int64         // how many enter before it, about; -1: not known yet
	Wait  time.Duration // for how long, at the present rate; -1: not known
}

var unknown = Standing{Ahead: -1, Wait: -1}

// Stand returns where a ticket stands, from the ticket and the public state alone. rank is the ticket's rank in the draw;
// it counts for drawn tickets only. The standing of a drawn ticket is estimated from its rank: with N drawn it is off by
// at most about the square root of N, and exact when its turn comes.
func (s *State) Stand(t Ticket, rank Rank) Standing {
	if s.Phase != Open {
		return unknown
	}
	switch t.Kind {
	case Invited:
		for _, g := range s.Groups {
			if g == t.Place {
				return Standing{Turn: true}
			}
		}
		return unknown
	case Late:
		return s.behind(s.Drawn + t.Place - s.Served)
	case Drawn:
	}
	if s.Threshold == "" {
		return s.behind(1 + int64(rank.Share()*float64(s.Drawn)))
	}
	threshold, err := ParseRank(s.Threshold)
	if err != nil {
		return unknown
	}
	if rank <= threshold {
		return s.behind(0)
	}
	return s.behind(1 + int64((rank-threshold).Share()*float64(s.Drawn)))
}

func (s *State) behind(places int64) Standing {
	if places <= 0 {
		return Standing{Turn: true}
	}
	wait := time.Duration(-1)
	if s.Rate > 0 && !s.Paused {
		wait = time.Duration((s.Delay + float64(places)/s.Rate) * float64(time.Second))
	}
	return Standing{Ahead: places - 1, Wait: wait}
}

// NextPoll returns when a page should ask for the state again: when its turn is due, at the moment of opening (not
// before, and spread over the jitter), else as the state says. u is uniform in [0, 1).
func (s *State) NextPoll(now time.Time, st Standing, u float64) time.Duration {
	after := time.Duration(s.PollAfter) * time.Second
	jitter := time.Duration(u * float64(s.PollJitter) * float64(time.Second))
	if s.Phase == Before || s.Phase == Closed {
		if until := s.OpensAt.Sub(now); until > 0 && until < after {
			return until + jitter
		}
		return after + jitter
	}
	// Not more often the nearer the turn is: at 3,500 entries a second those near it asked 10,000 times a second and took the
	// processor from the orders.
	if st.Wait >= 0 && st.Wait < after+jitter {
		after = max(st.Wait, minPoll*time.Second)
		jitter = time.Duration(u * float64(after) / 16)
	}
	return after + jitter
}

// Page is a prepared answer: bytes that need no further work.
type Page struct {
	Body []byte // JSON
	ETag string // strong, quoted
}

// MaxAge is how long a cache may keep the state.
const MaxAge = time.Second

// Prepare returns the state as it is sent.
func (s *State) Prepare() Page {
	body, err := json.Marshal(s)
	if err != nil {
		panic("state of a waiting room: " + err.Error()) // only a Rate of NaN or infinity could do this
	}
	sum := sha256.Sum256(body)
	return Page{Body: body, ETag: `"` + hex.EncodeToString(sum[:8]) + `"`}
}

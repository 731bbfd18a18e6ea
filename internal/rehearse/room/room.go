// Package room is what a waiting page knows and does: it reads the public state of a waiting room, works its own place out
// from its own ticket, and says when to ask again. It follows the published contract and web/src/queue.ts, and shares no
// code with the server that it is used to judge.
package room

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// State is the public state of a waiting room, as far as a page needs it.
type State struct {
	Phase        string     `json:"phase"` // before, closed, open or ended
	Stock        string     `json:"stock"` // available, held or sold_out
	Paused       bool       `json:"paused"`
	OpensAt      time.Time  `json:"opens_at"`
	DrawClosesAt *time.Time `json:"draw_closes_at"`
	Drawn        int64      `json:"drawn"`
	Late         int64      `json:"late"`
	Served       int64      `json:"served"`
	ThresholdHex string     `json:"threshold"`
	Rate         float64    `json:"rate"`
	Delay        float64    `json:"delay_s"` // nobody enters for so many seconds
	PollAfter    int64      `json:"poll_after_s"`
	PollJitter   int64      `json:"poll_jitter_s"`
	SeedHex      string     `json:"seed"`
	Commitment   string     `json:"commitment"`
	Person       string     `json:"person"` // what a visitor must confirm before it gets a number; empty: nothing

	threshold uint64
	begun     bool // somebody of the draw has had a turn
	seed      []byte
}

// Read reads a state document.
func Read(body []byte) (*State, error) {
	s := &State{}
	if err := json.Unmarshal(body, s); err != nil {
		return nil, fmt.Errorf("state of the waiting room: %w", err)
	}
	if s.ThresholdHex != "" {
		b, err := hex.DecodeString(s.ThresholdHex)
		if err != nil || len(b) != 8 {
			return nil, fmt.Errorf("state of the waiting room: threshold %q is not 16 hexadecimal digits", s.ThresholdHex)
		}
		s.threshold, s.begun = binary.BigEndian.Uint64(b), true
	}
	if s.SeedHex != "" {
		b, err := hex.DecodeString(s.SeedHex)
		if err != nil || len(b) != sha256.Size {
			return nil, errors.New("state of the waiting room: the seed is not 64 hexadecimal digits")
		}
		s.seed = b
	}
	return s, nil
}

// Kept reports whether the published seed is the one that was committed to; true while there is none.
func (s *State) Kept() bool {
	if s.seed == nil {
		return true
	}
	sum := sha256.Sum256(s.seed)
	return hex.EncodeToString(sum[:]) == s.Commitment
}

// Waiting is how many places in line have not had their turn.
func (s *State) Waiting() int64 { return max(s.Drawn+s.Late-s.Served, 0) }

// Ticket is a visitor's own.
type Ticket struct {
	Text   string
	Drawn  bool  // its place follows from the seed; otherwise Place is behind those who drew
	Place  int64 // from 1
	Number []byte
	Wait   time.Duration // until its turn, as the answer to its draw said; -1: not known
}

// ReadTicket reads the answer to a draw.
func ReadTicket(body []byte) (*Ticket, error) {
	var doc struct {
		Ticket, Kind, Number string
		Place                int64
		Wait                 *float64 `json:"wait_s"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, fmt.Errorf("ticket: %w", err)
	}
	number, err := hex.DecodeString(doc.Number)
	if err != nil || len(number) != 16 || doc.Ticket == "" {
		return nil, errors.New("ticket: no ticket, or no draw number of 32 hexadecimal digits")
	}
	t := &Ticket{Text: doc.Ticket, Drawn: doc.Kind == "drawn", Place: doc.Place, Number: number, Wait: -1}
	if doc.Wait != nil {
		t.Wait = time.Duration(*doc.Wait * float64(time.Second))
	}
	return t, nil
}

// Rank is where a drawn ticket stands under the published seed: the lower, the earlier. False while there is no seed.
func (s *State) Rank(t *Ticket) (uint64, bool) {
	if s.seed == nil {
		return 0, false
	}
	mac := hmac.New(sha256.New, s.seed)
	mac.Write(t.Number)
	var sum [sha256.Size]byte
	return binary.BigEndian.Uint64(mac.Sum(sum[:0])), true
}

// Standing is where a ticket stands.
type Standing struct {
	Turn  bool
	Ahead int64         // how many enter before it, about; -1: not known
	Wait  time.Duration // at the present rate; -1: not known
}

var unknown = Standing{Ahead: -1, Wait: -1}

// Stand works out where t stands. rank is what Rank returned; it counts for drawn tickets only.
func (s *State) Stand(t *Ticket, rank uint64) Standing {
	switch {
	case s.Phase != "open":
		return unknown
	case !t.Drawn:
		return s.behind(s.Drawn + t.Place - s.Served)
	case !s.begun:
		return s.behind(1 + int64(share(rank)*float64(s.Drawn)))
	case rank <= s.threshold:
		return s.behind(0)
	}
	return s.behind(1 + int64(share(rank-s.threshold)*float64(s.Drawn)))
}

func share(rank uint64) float64 { return float64(rank>>11) / (1 << 53) }

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

// minPoll is how soon a page asks again at the earliest.
const minPoll = 2 * time.Second

// NextPoll is when the page asks again: when the turn is due, at the moment of opening and not before, else as the
// state says. u is uniform in [0, 1).
func (s *State) NextPoll(now time.Time, st Standing, u float64) time.Duration {
	after := time.Duration(s.PollAfter) * time.Second
	jitter := time.Duration(u * float64(s.PollJitter) * float64(time.Second))
	if s.Phase == "before" || s.Phase == "closed" {
		if until := s.OpensAt.Sub(now); until > 0 && until < after {
			return until + jitter
		}
		return after + jitter
	}
	if st.Wait >= 0 && st.Wait < after+jitter {
		after = max(st.Wait, minPoll)
		jitter = time.Duration(u * float64(after) / 16)
	}
	return after + jitter
}

// firstLook is how long a page with a new ticket relies on the wait that came with it: the state was seen before the crowd drew,
// and says how often those ask who are few.
const firstLook = 10 // seconds

// FirstPoll is when the page asks after it drew t, if it saw s shortly before.
func (s *State) FirstPoll(now time.Time, t *Ticket, u float64) time.Duration {
	seen := *s
	if seen.Phase == "open" && t.Wait >= 0 {
		seen.PollAfter, seen.PollJitter = max(s.PollAfter, firstLook), max(s.PollJitter, firstLook)
	}
	return seen.NextPoll(now, Standing{Wait: t.Wait}, u)
}

package rehearse

import (
	"time"

	"gapura/internal/rehearse/room"
	"gapura/internal/rehearse/wire"
)

// Step is one request of a visitor to the waiting room, and what came of it. Times count from when the first visitors come.
type Step struct {
	Visitor  int32 // the order that the visitor wants
	Kind     Kind
	Try      uint8
	Code     Code
	First    bool // the visitor's first request of all
	Status   int
	Intended time.Duration
	Start    time.Duration
	End      time.Duration
	Ticket   *room.Ticket // that a pass was given for
}

// tallyStep is the resolution of what is only counted.
const tallyStep = 250 * time.Millisecond

// Counted says what a number of requests have in common: polls, and everything that bots send, are not kept one by one.
type Counted struct {
	At   int32 // in steps of a quarter of a second
	Kind Kind
	Code Code
	Bot  bool
}

// keepStep counts a step and keeps those of people that are told about one by one.
func (w *worker) keepStep(s *Step) {
	bot := w.e.isBot(s.Visitor)
	w.count(s.Kind, s.Code, s.End, bot)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case bot:
	case (s.Kind == Look || s.Kind == Wait) && !s.First:
		w.looks = append(w.looks, float32(s.End-s.Intended))
	default:
		w.steps = append(w.steps, *s)
	}
}

func (w *worker) count(kind Kind, code Code, at time.Duration, bot bool) {
	w.tally[Counted{At: int32(max(at, 0) / tallyStep), Kind: kind, Code: code, Bot: bot}]++ //nolint:gosec // steps of one rehearsal
}

// readPass reads the pass of an answer.
func readPass(body []byte) string { return member(body, "pass") }

// problemReason reads why a problem document says no.
func problemReason(body []byte) string { return member(body, "reason") }

func member(body []byte, wanted string) string {
	found := ""
	wire.Members(body, func(name, value []byte) bool {
		if string(name) == wanted {
			found = string(value)
		}
		return found == ""
	})
	return found
}

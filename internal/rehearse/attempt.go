package rehearse

import (
	"sync"
	"time"
)

// Kind is why a request was sent.
type Kind uint8

// The kinds of requests.
const (
	First  Kind = iota // the first request for an order
	Double             // the second click of a double click
	Repeat             // the same key again after no answer, or an unclear one
	Return             // the same key again after overloaded or rate_limited
	Replay             // the same key again after the order was acknowledged
	Cancel             // gives an acknowledged order back
	Look               // reads the state of the waiting room
	Fetch              // asks for a captcha
	Draw               // draws a ticket
	Enter              // exchanges it for a pass
	Prod               // what only a bot sends
	Ask                // has a code mailed
	Wait               // reads the state while the mail is on its way
)

// String returns the name of the kind in the raw results.
func (k Kind) String() string {
	return [...]string{"first", "double", "repeat", "return", "replay", "cancel", "look", "captcha", "draw", "enter", "prod", "ask", "wait"}[k]
}

// Attempt is one request and what came of it. Times count from the opening.
type Attempt struct {
	Order    int32
	Kind     Kind
	Try      uint8 // repeats before this one
	Code     Code
	Replayed bool // the answer said Idempotent-Replayed
	Status   int  // HTTP; 0: no answer
	Intended time.Duration
	Start    time.Duration // when a connection was free
	End      time.Duration
	Receipt  Receipt // of an acknowledged order
}

// Latency is the time from the moment the visitor wanted to send until the answer was there: waiting for a free connection
// counts, as it does for a visitor.
func (a *Attempt) Latency() time.Duration { return a.End - a.Intended }

// Registers reports whether the request was for a place, not for a cancellation.
func (a *Attempt) Registers() bool { return a.Kind != Cancel }

// Acknowledged reports whether the visitor learned with this answer, for the first time, that the order exists.
func (a *Attempt) Acknowledged() bool { return a.Code == CodeAcknowledged }

// unclear reports whether the visitor cannot know what became of the request: there was no answer, the server says so
// itself, or it broke.
func (a *Attempt) unclear(code string) bool {
	return !a.Code.Answered() || code == "idempotency_in_flight" || code == "outcome_unknown" || a.Status >= 500 && a.Status != 503
}

// Receipt is what the server gives to whoever registered.
type Receipt struct {
	ID    string
	Token string
}

// Code is an answer's code as an index into a Result's Codes. The first ones are the generator's own; the rest are the
// problem codes in the order in which they were first seen.
type Code uint8

// The generator's own codes.
const (
	CodeAcknowledged Code = iota
	CodeReplayed
	CodeCancelled
	CodeRefusedConnection
	CodeLost
	CodeTimedOut
	CodeDropped
	CodeMalformed
	CodeState     // what a waiting room's state is answered with
	CodeUnchanged // the state is the one that the visitor has
	CodeCaptcha
	CodeTicket
	CodePass
	CodeAsked // a code will be mailed
	ownCodes  = iota
)

// codeBook numbers the codes of a run. Codes beyond the 255th share the last number: a server that invents so many is
// broken anyway, and the report says so.
type codeBook struct {
	mu     sync.RWMutex
	names  []string
	byName map[string]Code
}

func newCodeBook() *codeBook {
	b := &codeBook{byName: map[string]Code{}}
	for _, n := range [ownCodes]string{
		"acknowledged", "replayed", "cancelled", "connection_refused", "connection_lost",
		"timed_out", "dropped", "malformed", "state", "unchanged", "captcha", "ticket", "pass", "asked",
	} {
		b.code([]byte(n))
	}
	return b
}

// code returns the number of the code with that name.
func (b *codeBook) code(name []byte) Code {
	b.mu.RLock()
	c, ok := b.byName[string(name)]
	b.mu.RUnlock()
	if ok {
		return c
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if c, ok := b.byName[string(name)]; ok {
		return c
	}
	if len(b.names) == 256 {
		return 255
	}
	c = Code(len(b.names)) //nolint:gosec // fewer than 256: see above
	b.names = append(b.names, string(name))
	b.byName[string(name)] = c
	return c
}

// name returns the name of c.
func (b *codeBook) name(c Code) string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.names[c]
}

// list returns the names by number.
func (b *codeBook) list() []string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return append([]string(nil), b.names...)
}

// Answered reports whether the server gave an answer.
func (c Code) Answered() bool {
	return c < CodeRefusedConnection || c > CodeMalformed
}

package jobs

import (
	"errors"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// Sending is a job on its way to a worker.
type Sending struct {
	Job
	Due   time.Time // when it could have begun: the start delay counts from here
	Until time.Time // end of its lease; from then on it may have been sent again
}

// End says how an attempt ended.
type End int

// The ends of an attempt.
const (
	Done     End = iota
	Failed       // to be tried again
	Dead         // never to be tried again, unless a person says so
	Deferred     // not tried: its provider is away or busy, or nobody here knows the kind
)

// String is the end's name in metrics and logs.
func (e End) String() string { return [...]string{"done", "failed", "dead", "deferred"}[e] }

// Outcome is how an attempt ended and what is to be written down about it. Except for Done it only counts for the sending it
// belongs to.
type Outcome struct {
	Sending
	End   End
	At    time.Time
	Next  time.Time // Failed, Deferred: not before
	Error string    // Failed, Dead
	Then  []New     // Done: planned in the transaction that ends the job, once, however often the job was done
}

// Failure is one error of a job.
type Failure struct {
	At      time.Time
	Attempt int
	Text    string
}

// KeptFailures is how many errors of a job are kept, the latest.
const KeptFailures = 50

// State is where a job is.
type State string

// The states of a job that is not finished.
const (
	Waiting   State = "waiting"   // not sent yet
	Leased    State = "leased"    // sent to the queue, or being done
	Delayed   State = "delayed"   // not before Record.Next
	Buried    State = "dead"      // waits for a person
	Discarded State = "discarded" // a person has given it up
)

// ErrNoJob is returned for the number of a job that does not exist or is finished.
var ErrNoJob = errors.New("there is no such job")

// Record is all that is known about a job that is not finished.
type Record struct {
	Job      // Attempt is the number of the next one, or of the last one if it is dead
	State    State
	Next     time.Time // Leased: the lease's end; Delayed: when it may begin
	Ended    time.Time // Buried, Discarded: when it was
	Reason   string    // Discarded: why
	Failures []Failure // the oldest first
}

// Edit changes what a dead letter says before it is tried again; nil leaves a field as it is.
type Edit struct {
	Arg     *string
	Version *int
}

// Backlog counts the jobs of a kind.
type Backlog struct {
	Queue     Queue
	Kind      Kind
	Waiting   int // not sent yet
	Leased    int // sent to the queue or being done
	Delayed   int // to be tried again later, or planned for later
	Dead      int
	Discarded int
	Oldest    time.Time // creation of the oldest that is neither dead nor discarded; zero if there is none
}

// maxErrorText is what a database column holds, in bytes.
const maxErrorText = 500

// Personal data in an error's text: addresses of mails, and runs of digits as long as a phone number or longer, Unicode
// identifiers' parts excepted.
var (
	mailAddress = regexp.MustCompile(`[^\s<>()\[\]"':;,@]+@[^\s<>()\[\]"':;,@]+`)
	phoneNumber = regexp.MustCompile(`(^|[^0-9A-Za-z-])\+?[0-9][0-9 -]{7,16}[0-9]\b`)
)

// ErrorText returns an error's text as it may be kept: without addresses and numbers of people, and bounded.
func ErrorText(err error) string {
	text := strings.ToValidUTF8(err.Error(), "?")
	text = mailAddress.ReplaceAllString(text, "[address]")
	text = phoneNumber.ReplaceAllString(text, "$1[number]")
	if len(text) <= maxErrorText {
		return text
	}
	cut := maxErrorText - len("…")
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}

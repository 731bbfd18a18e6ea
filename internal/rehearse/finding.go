package rehearse

import (
	"context"
	"time"
)

// Finding is the verdict of one check.
type Finding struct {
	Check    string   `json:"check"`              // stable name, such as acknowledged_exists
	Title    Text     `json:"title"`              // what must be true
	Broken   int      `json:"broken"`             // how often it was not; 0: the check is passed
	Checked  int      `json:"checked"`            // how many cases were looked at
	Note     Text     `json:"note,omitzero"`      // for instance that only a sample was asked
	Examples []string `json:"examples,omitempty"` // at most five, without personal data
	Info     bool     `json:"info,omitempty"`     // worth telling, but never a fault
	By       string   `json:"by,omitempty"`       // the judge; empty: the crowd
}

// Text is a sentence in Indonesian and English.
type Text struct {
	ID string `json:"id"`
	EN string `json:"en"`
}

// Auditor is a further judge, such as an audit of the server's database. It runs when the crowd has gone.
type Auditor func(ctx context.Context) ([]Finding, error)

// maxExamples is how many examples a finding shows: enough to start looking, few enough to read.
const maxExamples = 5

// broke counts one broken case.
func (f *Finding) broke(example string) {
	f.Broken++
	if len(f.Examples) < maxExamples && example != "" {
		f.Examples = append(f.Examples, example)
	}
}

// FaultMark tells when a planned fault happened.
type FaultMark struct {
	Name string
	At   time.Duration // from the opening
	Took time.Duration
	Err  string // why the fault could not be carried out; empty: it was
}

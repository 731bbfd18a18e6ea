// Package captcha decides what a solved captcha is worth: each is used once, for the action and on the host it was made
// for, and what happens while the provider cannot be asked is a stated policy.
package captcha

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"gapura/internal/clock"
	"gapura/internal/fault"
)

// Answer is what a client sent, and what for.
type Answer struct {
	Token   string
	Action  string // what it is used for: at most 32 letters, digits, "-" and "_"
	Host    string // of the request; a port is ignored
	Address string // the client's; the provider may want it, "" otherwise
	// Owner is the one thing that this answer is used for, such as an idempotency key: a repeat of the same request may bring
	// the same answer again. "" lets it be used exactly once.
	Owner string
}

// Solution is what a provider says about a token that it accepts.
type Solution struct {
	ID      string // names the challenge, once and for all; "" if there is nothing to use up
	Action  string
	Host    string
	Expires time.Time
}

// Errors of a Verifier. Anything else counts as ErrUnavailable.
var (
	ErrInvalid     = errors.New("the captcha's answer is not valid")
	ErrExpired     = errors.New("the captcha's answer came too late")
	ErrUsed        = errors.New("the captcha's answer was used before")
	ErrUnavailable = errors.New("the captcha provider does not answer")
)

// Errors of the desk itself.
var (
	ErrMissing     = errors.New("no captcha answer")
	ErrOtherAction = errors.New("the captcha was solved for another action")
	ErrOtherHost   = errors.New("the captcha was solved on another host")
)

// Verifier asks a provider about an answer.
type Verifier interface {
	Verify(ctx context.Context, a Answer) (Solution, error)
}

// Spent remembers what was used.
type Spent interface {
	// Spend reports whether id is used for the first time, or again by the same owner, who is not "". It remembers both at
	// least until then.
	Spend(ctx context.Context, id, owner string, until time.Time) (bool, error)
}

// WhenDown is what happens to answers while the provider cannot be asked.
type WhenDown string

// The policies. Admit is the default for a provider outside: the waiting room and the limits still stand, and a fault of
// somebody else's must not close an event. Refuse asks clients to come again.
const (
	Admit  WhenDown = "admit"
	Refuse WhenDown = "refuse"
)

// Desk takes answers.
type Desk struct {
	verifier Verifier
	spent    Spent
	clock    clock.Clock
	whenDown WhenDown
	timeout  time.Duration
	failures atomic.Int32
	restTill atomic.Int64 // unix nanoseconds; until then the provider is left alone
	admitted atomic.Int64
}

const (
	restAfter = 5                // failures in a row
	restFor   = 10 * time.Second // then one answer tries again
)

// NewDesk returns a desk that waits at most timeout for the verifier.
func NewDesk(v Verifier, s Spent, c clock.Clock, whenDown WhenDown, timeout time.Duration) *Desk {
	return &Desk{verifier: v, spent: s, clock: c, whenDown: whenDown, timeout: timeout}
}

// AdmittedUnseen returns how many answers were let pass because the provider could not be asked.
func (d *Desk) AdmittedUnseen() int64 { return d.admitted.Load() }

// Check uses an answer up. Its faults are captcha_failed, with a reason (missing, invalid, expired, used, other_action,
// other_host), and overloaded while the provider is down and the policy says so.
func (d *Desk) Check(ctx context.Context, a Answer) error {
	solution, err := d.ask(ctx, a)
	if err == nil {
		err = d.use(ctx, a, solution)
	}
	for _, r := range reasons {
		if errors.Is(err, r.err) {
			return fault.Wrap(fault.CaptchaFailed, err).With("reason", r.reason)
		}
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("captcha: %w", ctx.Err())
	case d.whenDown == Admit:
		d.admitted.Add(1)
		return nil
	}
	return fault.Wrap(fault.Overloaded, err).After(restFor)
}

var reasons = []struct {
	err    error
	reason string
}{
	{ErrMissing, "missing"},
	{ErrInvalid, "invalid"},
	{ErrExpired, "expired"},
	{ErrUsed, "used"},
	{ErrOtherAction, "other_action"},
	{ErrOtherHost, "other_host"},
}

// ask has the answer verified. While the provider is down only one answer at a time waits for it.
func (d *Desk) ask(ctx context.Context, a Answer) (Solution, error) {
	if _, none := d.verifier.(None); a.Token == "" && !none {
		return Solution{}, ErrMissing
	}
	now := d.clock.Now()
	if till := d.restTill.Load(); till != 0 {
		if now.UnixNano() < till || !d.restTill.CompareAndSwap(till, now.Add(restFor).UnixNano()) {
			return Solution{}, ErrUnavailable
		}
	}
	asked, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	solution, err := d.verifier.Verify(asked, a)
	answered := err == nil || errors.Is(err, ErrInvalid) || errors.Is(err, ErrExpired) || errors.Is(err, ErrUsed)
	switch {
	case answered:
		d.failures.Store(0)
		d.restTill.Store(0)
	case ctx.Err() == nil && d.failures.Add(1) >= restAfter: // a client that left says nothing about the provider
		d.restTill.Store(d.clock.Now().Add(restFor).UnixNano())
	}
	return solution, err
}

// use checks what the solution is bound to, before it is used up: a mistake costs the client nothing.
func (d *Desk) use(ctx context.Context, a Answer, s Solution) error {
	if s.ID == "" {
		return nil
	}
	now := d.clock.Now()
	switch {
	case s.Action != a.Action:
		return ErrOtherAction
	case !sameHost(s.Host, a.Host):
		return ErrOtherHost
	case !now.Before(s.Expires):
		return ErrExpired
	}
	first, err := d.spent.Spend(ctx, s.ID, a.Owner, s.Expires)
	if err != nil {
		return fmt.Errorf("%w: spent set: %w", ErrUnavailable, err)
	}
	if !first {
		return ErrUsed
	}
	return nil
}

// sameHost compares host names without ports and regardless of case.
func sameHost(a, b string) bool { return hostName(a) == hostName(b) }

func hostName(s string) string {
	if end := strings.LastIndexByte(s, ']'); strings.HasPrefix(s, "[") && end > 0 {
		s = s[1:end] // an IPv6 address stands in brackets
	} else if strings.Count(s, ":") == 1 {
		s, _, _ = strings.Cut(s, ":")
	}
	return strings.ToLower(strings.TrimSuffix(s, "."))
}

// None is the provider of a site that asks no captcha: every answer is as good as none.
type None struct{}

// Verify accepts everything.
func (None) Verify(context.Context, Answer) (Solution, error) { return Solution{}, nil }

package ratelimit

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"gapura/internal/clock"
)

// Scope is what a rule counts by.
type Scope int

// The scopes, in the order in which rules are applied: whoever can be told apart is, before an address that thousands may
// share is held against anyone.
const (
	ByTicket  Scope = iota // the waiting-room ticket or pass
	ByPerson               // the contact's e-mail address or phone number, or the account
	ByAddress              // the network address
)

// Rule limits one endpoint by one scope.
type Rule struct {
	Scope  Scope
	Limit  Limit
	Shared bool // hold it over all nodes, for calls worth a round trip
	// SharedAfter is how many requests of a key this node counts before it asks the shared tier: a crowd in which everyone
	// asks once costs no round trips, and each node allows so many more than the quota at worst.
	SharedAfter int
	// Challenge is how many requests at the end of the quota need a solved captcha; 0: none.
	Challenge int
	// Shadow counts and reports, and never refuses.
	Shadow bool
}

// Request is who asks. An empty key means that this is not known; rules by it are skipped.
type Request struct {
	Ticket  string
	Person  string // a keyed hash, not the address itself: keys reach Redis
	Address netip.Addr
	Solved  bool // a captcha was solved for this request
}

// Outcome is what happens to a request.
type Outcome int

// The outcomes.
const (
	Allow     Outcome = iota
	Challenge         // ask for a captcha and come again
	Refuse
)

// Verdict is what the rules say together.
type Verdict struct {
	Outcome  Outcome
	Rule     *Rule // the rule that refuses or asks; else the one with the least left; nil if none applied
	Decision Decision
	Shadowed *Rule // the last rule in shadow mode that would have refused or asked; nil if none would
}

// Shared is a tier that holds limits over several nodes.
type Shared interface {
	// Take is Local.Take by the tier's own clock.
	Take(ctx context.Context, key string, limit Limit, reserve int) (Decision, error)
}

// Limiter applies rules.
type Limiter struct {
	local   *Local
	shared  Shared
	clock   clock.Clock
	breaker breaker
	misses  atomic.Int64
}

// SharedTimeout is how long a request waits for the shared tier. One that needs longer is in trouble, and the
// request has better to do.
const SharedTimeout = 20 * time.Millisecond

// NewLimiter returns a limiter with a local table, and a shared tier or nil.
func NewLimiter(local *Local, shared Shared, c clock.Clock) *Limiter {
	return &Limiter{local: local, shared: shared, clock: c}
}

// SharedMisses returns how often the shared tier did not answer in time since the start.
func (l *Limiter) SharedMisses() int64 { return l.misses.Load() }

// Check counts a request under rules, which must be sorted by scope, and stops at the first that objects. What it was
// already counted under stays counted.
func (l *Limiter) Check(ctx context.Context, rules []Rule, r Request) Verdict {
	var v Verdict
	least := 2.0
	for i := range rules {
		rule := &rules[i]
		key := r.key(rule.Scope)
		if key == "" {
			continue
		}
		outcome, d := l.apply(ctx, rule, key, r.Solved)
		if outcome != Allow && rule.Shadow {
			v.Shadowed = rule
			continue
		}
		if outcome != Allow {
			return Verdict{Outcome: outcome, Rule: rule, Decision: d, Shadowed: v.Shadowed}
		}
		if left := float64(d.Remaining) / float64(rule.Limit.Quota); left < least {
			least, v.Rule, v.Decision = left, rule, d
		}
	}
	return v
}

func (r Request) key(s Scope) string {
	switch s {
	case ByTicket:
		return r.Ticket
	case ByPerson:
		return r.Person
	case ByAddress:
	}
	if !r.Address.IsValid() {
		return ""
	}
	return AddressKey(r.Address)
}

func (l *Limiter) apply(ctx context.Context, rule *Rule, key string, solved bool) (Outcome, Decision) {
	reserve := rule.Challenge
	if solved {
		reserve = 0
	}
	d := l.take(ctx, rule, key, reserve)
	switch {
	case d.Allowed:
		return Allow, d
	case !solved && d.Remaining > 0:
		return Challenge, d
	}
	return Refuse, d
}

// take asks the local tier first: what it refuses costs no round trip.
func (l *Limiter) take(ctx context.Context, rule *Rule, key string, reserve int) Decision {
	now := l.clock.Now()
	d := l.local.Take(key, rule.Limit, now, reserve)
	if !d.Allowed || !rule.Shared || l.shared == nil || rule.Limit.Quota-d.Remaining <= rule.SharedAfter || !l.breaker.allow(now) {
		return d
	}
	ctx, cancel := context.WithTimeout(ctx, SharedTimeout)
	defer cancel()
	shared, err := l.shared.Take(ctx, key, rule.Limit, reserve)
	l.breaker.report(l.clock.Now(), err == nil)
	if err != nil {
		l.misses.Add(1)
		return d
	}
	return shared
}

// breaker keeps requests from waiting, one after another, for a tier that does not answer.
type breaker struct {
	failures atomic.Int32
	openTill atomic.Int64 // unix nanoseconds
}

const (
	breakAfter = 5               // misses in a row
	breakFor   = 2 * time.Second // then one request tries again
)

// allow reports whether to ask. After the break exactly one caller tries; the others wait for its report.
func (b *breaker) allow(now time.Time) bool {
	till := b.openTill.Load()
	if till == 0 {
		return true
	}
	if now.UnixNano() < till {
		return false
	}
	return b.openTill.CompareAndSwap(till, now.Add(breakFor).UnixNano())
}

func (b *breaker) report(now time.Time, ok bool) {
	if ok {
		b.failures.Store(0)
		b.openTill.Store(0)
		return
	}
	if b.failures.Add(1) >= breakAfter {
		b.openTill.Store(now.Add(breakFor).UnixNano())
	}
}

// Package gate stands before the calls that cost something. It counts how often their sender comes, by what tells senders
// apart first and by their address last, and takes the captcha answers of the calls that want one.
package gate

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/netip"

	"gapura/internal/captcha"
	"gapura/internal/fault"
	"gapura/internal/ratelimit"
)

// Mode is whether limits refuse.
type Mode string

// The modes.
const (
	On     Mode = "on"
	Shadow Mode = "shadow" // count and report, refuse nothing
	Off    Mode = "off"
)

// Meter is told what the gate does. Outcomes of limits are refused, challenged and shadow; those of captchas ok, and the
// reason of a refusal.
type Meter interface {
	Limited(policy, outcome string)
	Captcha(action, outcome string)
}

// Config is what a gate needs.
type Config struct {
	Mode    Mode
	Limiter *ratelimit.Limiter
	Proxies ratelimit.Proxies
	Captcha *captcha.Desk // nil: no call wants a captcha
	Host    string        // where captchas are solved; the host that a request was sent to if empty
	Meter   Meter         // nil: nothing is counted
}

// Gate is safe for concurrent use. A nil Gate lets everyone pass.
type Gate struct {
	cfg   Config
	rules [calls]callRules
}

// callRules are the rules of one call, in the order they are applied. Those by person come after the captcha, or anybody
// could use up the limit of a person whose address they know.
type callRules struct{ v4, v6, person []ratelimit.Rule }

// New returns a gate.
func New(cfg Config) *Gate {
	g := &Gate{cfg: cfg}
	for call := range calls {
		g.rules[call] = rulesOf(call, cfg.Mode == Shadow)
	}
	return g
}

// Visit is one request for a call.
type Visit struct {
	Call    Call
	Ticket  string     // the idempotency key, order id or queue ticket; "" if there is none
	Person  string     // the contact's e-mail address in its normal form; "" if nobody is named
	Address netip.Addr // of Gate.Address; not counted if it is not valid
	Host    string     // of Gate.Host
	Captcha string     // the answer that came with it
}

// Standing is how a visit stands with its limits: the values of the headers RateLimit-Policy and RateLimit, nil while more
// than half of every quota is left.
type Standing struct {
	Policy, State []string
	wanted        bool // a limit is near its end: only a solved captcha goes on
}

// Address returns the address to hold a request to, which is not valid if none should be. peer is the connection's other end,
// forwarded the values of X-Forwarded-For. A loopback peer that no trusted proxy speaks for is this machine itself, a
// rehearsal or a proxy that nobody configured: limiting it would limit everyone at once.
func (g *Gate) Address(peer string, forwarded []string) netip.Addr {
	if g == nil || g.cfg.Mode == Off {
		return netip.Addr{}
	}
	client, ok := g.cfg.Proxies.Client(peer, forwarded)
	if !ok || (client.IsLoopback() && (len(forwarded) == 0 || len(g.cfg.Proxies) == 0)) {
		return netip.Addr{}
	}
	return client
}

// Host returns the name that captchas are bound to: the public one, since a proxy may ask this server under another.
func (g *Gate) Host(requested string) string {
	if g == nil || g.cfg.Host == "" {
		return requested
	}
	return g.cfg.Host
}

// WantsCaptcha reports whether call is refused without a captcha.
func (g *Gate) WantsCaptcha(call Call) bool {
	return g != nil && g.cfg.Captcha != nil && call.Action() != ""
}

// Knock counts a visit by its ticket and its address, before anything of it is read. Its fault is rate_limited.
func (g *Gate) Knock(ctx context.Context, v *Visit) (Standing, error) {
	if g == nil || g.cfg.Mode == Off {
		return Standing{}, nil
	}
	rules := g.rules[v.Call].v4
	if v.Address.Is6() {
		rules = g.rules[v.Call].v6
	}
	// Where no captcha can be asked for, the part of a quota that is kept for solved ones is for everyone.
	return g.check(ctx, rules, v, !g.WantsCaptcha(v.Call))
}

// Admit takes the visit's captcha answer and counts the visit by its person. Its faults are captcha_failed, overloaded while a
// provider is down and the policy says so, and rate_limited.
//
// known is asked when the answer is refused, and bounded in how often: a request that has its order already is let pass
// whatever captcha it brings. It may be nil.
func (g *Gate) Admit(ctx context.Context, v *Visit, s Standing, known func(ctx context.Context) bool) (Standing, error) {
	if g == nil {
		return s, nil
	}
	if g.WantsCaptcha(v.Call) {
		if err := g.captcha(ctx, v); err != nil {
			if known != nil && fault.CodeOf(err) == fault.CaptchaFailed && g.mayLookUp(ctx, v) && known(ctx) {
				return s, nil
			}
			return s, err
		}
	}
	if g.cfg.Mode == Off {
		return s, nil
	}
	if s.wanted {
		again, err := g.check(ctx, g.solvedRules(v), v, true)
		if err != nil {
			return again, err
		}
	}
	rules := g.rules[v.Call].person
	if len(rules) == 0 || v.Person == "" {
		return s, nil
	}
	byPerson, err := g.check(ctx, rules, v, true)
	if err != nil || s.State == nil {
		return byPerson, err
	}
	return s, nil
}

// solvedRules are the rules that a visit was not counted under because it had not shown its captcha.
func (g *Gate) solvedRules(v *Visit) []ratelimit.Rule {
	rules := g.rules[v.Call].v4
	if v.Address.Is6() {
		rules = g.rules[v.Call].v6
	}
	for i := range rules {
		if rules[i].Scope == ratelimit.ByAddress {
			return rules[i:]
		}
	}
	return nil
}

func (g *Gate) captcha(ctx context.Context, v *Visit) error {
	action := v.Call.Action()
	answer := captcha.Answer{Token: v.Captcha, Action: action, Host: v.Host}
	if v.Address.IsValid() {
		answer.Address = v.Address.String()
	}
	if v.Ticket != "" {
		answer.Owner = action + " " + v.Ticket
	}
	err := g.cfg.Captcha.Check(ctx, answer)
	outcome := "ok"
	var f *fault.Fault
	if errors.As(err, &f) && f.Code == fault.CaptchaFailed {
		outcome, _ = f.Params["reason"].(string)
		err = f.With("action", action).With("challenge", "/api/v1/captcha/challenge?action="+action)
	} else if err != nil {
		outcome = "unavailable"
	}
	if g.cfg.Meter != nil {
		g.cfg.Meter.Captcha(action, outcome)
	}
	return err
}

// mayLookUp bounds what refused captchas may cost the database.
func (g *Gate) mayLookUp(ctx context.Context, v *Visit) bool {
	if g.cfg.Mode == Off {
		return true
	}
	verdict := g.cfg.Limiter.Check(ctx, lookUpRules, ratelimit.Request{Ticket: v.Ticket, Address: v.Address})
	return verdict.Outcome == ratelimit.Allow
}

func (g *Gate) check(ctx context.Context, rules []ratelimit.Rule, v *Visit, solved bool) (Standing, error) {
	verdict := g.cfg.Limiter.Check(ctx, rules, ratelimit.Request{
		Ticket: v.Ticket, Person: v.Person, Address: v.Address, Solved: solved,
	})
	g.count(verdict.Shadowed, "shadow")
	if verdict.Rule == nil {
		return Standing{}, nil
	}
	limit, d := verdict.Rule.Limit, verdict.Decision
	if verdict.Outcome == ratelimit.Allow && d.Remaining > limit.Quota/2 {
		return Standing{}, nil
	}
	standing := Standing{
		Policy: []string{ratelimit.PolicyHeader(limit)}, State: []string{ratelimit.StateHeader(limit, d)},
		wanted: verdict.Outcome == ratelimit.Challenge,
	}
	switch verdict.Outcome {
	case ratelimit.Refuse:
		g.count(verdict.Rule, "refused")
		return standing, fault.New(fault.RateLimited).With("violated-policies", []string{limit.Name}).After(d.Retry)
	case ratelimit.Challenge:
		g.count(verdict.Rule, "challenged")
	case ratelimit.Allow:
	}
	return standing, nil
}

func (g *Gate) count(rule *ratelimit.Rule, outcome string) {
	if g.cfg.Meter != nil && rule != nil {
		g.cfg.Meter.Limited(rule.Limit.Name, outcome)
	}
}

// Hidden wraps a shared tier so that it never sees a key: keys are e-mail addresses, network addresses and tokens.
func Hidden(shared ratelimit.Shared, secret []byte) ratelimit.Shared { return hidden{shared, secret} }

type hidden struct {
	shared ratelimit.Shared
	secret []byte
}

// Take implements ratelimit.Shared.
func (h hidden) Take(ctx context.Context, key string, limit ratelimit.Limit, reserve int) (ratelimit.Decision, error) {
	mac := hmac.New(sha256.New, h.secret)
	mac.Write([]byte(key))
	return h.shared.Take(ctx, hex.EncodeToString(mac.Sum(nil)[:16]), limit, reserve)
}

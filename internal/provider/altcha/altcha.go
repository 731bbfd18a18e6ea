// Package altcha makes and verifies proof-of-work captchas that need nobody outside: protocol version 1 of
// altcha-lib-go, which the widget speaks up to its version 2.
package altcha

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	lib "github.com/altcha-org/altcha-lib-go"

	"gapura/internal/captcha"
	"gapura/internal/clock"
)

// Provider makes challenges and verifies their solutions.
type Provider struct {
	keys      []string
	clock     clock.Clock
	maxNumber int64
}

const (
	// DefaultMaxNumber makes a browser try 25,000 hashes on average: a few tenths of a second on a cheap phone.
	DefaultMaxNumber = 50_000
	// Lifetime of a challenge: time to fill a form, since the widget may solve it when the page opens.
	Lifetime = 10 * time.Minute

	maxToken = 2048 // a real one has some 400 characters
	maxSalt  = 512
)

// New returns a provider that signs with the first key and accepts what any of them signed; keys have at least 16
// characters. maxNumber is the difficulty: twice the hashes that a client tries on average.
func New(c clock.Clock, maxNumber int64, keys ...string) (*Provider, error) {
	if len(keys) == 0 || maxNumber < 1 {
		return nil, errors.New("altcha needs a key and a difficulty")
	}
	for _, k := range keys {
		if len(k) < 16 {
			return nil, errors.New("a key of altcha has at least 16 characters")
		}
	}
	return &Provider{keys: keys, clock: c, maxNumber: maxNumber}, nil
}

// Challenge is what the widget gets.
type Challenge = lib.Challenge

// Challenge returns a new challenge for an action on a host. Both, and the expiry, are part of the salt and so of what
// is signed.
func (p *Provider) Challenge(action, host string) (Challenge, error) {
	expires := p.clock.Now().Add(Lifetime)
	c, err := lib.CreateChallenge(lib.ChallengeOptions{
		Algorithm: lib.SHA256, MaxNumber: p.maxNumber, HMACKey: p.keys[0], Expires: &expires,
		Params: url.Values{"action": {action}, "host": {host}},
	})
	if err != nil {
		return Challenge{}, fmt.Errorf("altcha challenge: %w", err)
	}
	return c, nil
}

// Verify implements captcha.Verifier. It asks nobody and is never unavailable.
func (p *Provider) Verify(_ context.Context, a captcha.Answer) (captcha.Solution, error) {
	payload, err := decode(a.Token)
	if err != nil || !p.signed(payload) {
		return captcha.Solution{}, captcha.ErrInvalid
	}
	// The library takes a challenge without an expiry for one that never ends, and reads the time by itself: both are
	// done here instead.
	params := lib.ExtractParams(payload)
	unix, err := strconv.ParseInt(params.Get("expires"), 10, 64)
	if err != nil {
		return captcha.Solution{}, captcha.ErrInvalid
	}
	expires := time.Unix(unix, 0).UTC()
	if !p.clock.Now().Before(expires) {
		return captcha.Solution{}, captcha.ErrExpired
	}
	return captcha.Solution{
		ID: "altcha:" + payload.Challenge, Action: params.Get("action"), Host: params.Get("host"), Expires: expires,
	}, nil
}

func (p *Provider) signed(payload lib.Payload) bool {
	for _, key := range p.keys {
		if ok, err := lib.VerifySolutionSafe(payload, key, false); err == nil && ok {
			return true
		}
	}
	return false
}

// decode reads a token and refuses what the widget never sends: the algorithm is ours to choose, not the client's.
func decode(token string) (lib.Payload, error) {
	var payload lib.Payload
	if len(token) > maxToken {
		return payload, captcha.ErrInvalid
	}
	raw, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		return payload, err
	}
	if err := json.Unmarshal(raw, &payload); err != nil {
		return payload, err
	}
	if payload.Algorithm != string(lib.SHA256) || len(payload.Salt) > maxSalt || payload.Number < 0 {
		return payload, captcha.ErrInvalid
	}
	return payload, nil
}

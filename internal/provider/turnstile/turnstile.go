// Package turnstile verifies tokens of Cloudflare Turnstile.
// Source: Cloudflare's documentation, "Server-side validation".
package turnstile

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gapura/internal/captcha"
	"gapura/internal/clock"
	"gapura/internal/id"
)

// Endpoint is Cloudflare's.
const Endpoint = "https://challenges.cloudflare.com/turnstile/v0/siteverify"

// Lifetime of a token, by the documentation. A token can be verified once; Cloudflare keeps count.
const Lifetime = 300 * time.Second

const (
	maxToken  = 2048
	maxAnswer = 64 << 10
	tries     = 2
	// TryTimeout bounds one try; the desk's own timeout bounds both.
	TryTimeout = 2 * time.Second
)

// Config says whom to ask, and as whom.
type Config struct {
	SiteKey    string
	Secret     string
	Endpoint   string // Cloudflare's if empty
	Production bool   // refuse Cloudflare's test keys, which accept everything
	Client     *http.Client
	Clock      clock.Clock
}

// Client verifies tokens.
type Client struct {
	cfg Config
}

// ErrTestKey is returned for Cloudflare's test keys in production: with them every visitor passes.
var ErrTestKey = errors.New("TURNSTILE_SITE_KEY or TURNSTILE_SECRET_KEY is one of Cloudflare's test keys, which accept or refuse everyone; " +
	"create a widget at dash.cloudflare.com and set its keys, or set CAPTCHA_PROVIDER=altcha")

// New returns a client. It refuses empty keys, and test keys in production.
func New(cfg Config) (*Client, error) {
	if cfg.SiteKey == "" || cfg.Secret == "" {
		return nil, errors.New("CAPTCHA_PROVIDER=turnstile needs TURNSTILE_SITE_KEY and TURNSTILE_SECRET_KEY")
	}
	if cfg.Production && (TestKey(cfg.SiteKey) || TestKey(cfg.Secret)) {
		return nil, ErrTestKey
	}
	if cfg.Endpoint == "" {
		cfg.Endpoint = Endpoint
	}
	if cfg.Client == nil {
		cfg.Client = &http.Client{}
	}
	return &Client{cfg: cfg}, nil
}

// TestKey reports whether key is one of the documented test site keys or test secrets: a digit, "x", zeros and two
// letters.
func TestKey(key string) bool {
	key = strings.TrimSpace(key)
	if len(key) < 4 || key[0] < '1' || key[0] > '3' || (key[1] != 'x' && key[1] != 'X') {
		return false
	}
	return strings.Trim(key[2:len(key)-2], "0") == ""
}

// verdict is siteverify's answer.
type verdict struct {
	Success    bool     `json:"success"`
	Hostname   string   `json:"hostname"`
	ErrorCodes []string `json:"error-codes"`
	Action     string   `json:"action"`
}

// Verify implements captcha.Verifier. A try that went wrong is repeated once under the same idempotency key, so that a
// token whose first answer was lost does not count as used.
func (c *Client) Verify(ctx context.Context, a captcha.Answer) (captcha.Solution, error) {
	if len(a.Token) > maxToken {
		return captcha.Solution{}, captcha.ErrInvalid
	}
	form := url.Values{"secret": {c.cfg.Secret}, "response": {a.Token}, "idempotency_key": {repeatKey(a)}}
	if a.Address != "" {
		form.Set("remoteip", a.Address)
	}
	var err error
	for range tries {
		var v verdict
		if v, err = c.ask(ctx, form); err == nil {
			return v.solution(a.Token, c.cfg.Clock.Now().Add(Lifetime))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return captcha.Solution{}, fmt.Errorf("%w: turnstile: %w", captcha.ErrUnavailable, err)
}

// repeatKey names one use of a token: under the same name Cloudflare gives the same verdict again, so what lost its first
// answer, or comes again for the same owner, does not find its token used.
func repeatKey(a captcha.Answer) string {
	if a.Owner == "" {
		return id.New().String()
	}
	sum := sha256.Sum256([]byte(a.Owner + "\x00" + a.Token))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80 // a UUID of version 8, whose bits are the maker's own
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// ask makes one try. Its error means that asking again may help.
func (c *Client) ask(ctx context.Context, form url.Values) (verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, TryTimeout)
	defer cancel()
	var v verdict
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.Endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return v, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := c.cfg.Client.Do(request)
	if err != nil {
		return v, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return v, err
	}
	if response.StatusCode >= 500 || response.StatusCode == http.StatusTooManyRequests {
		return v, fmt.Errorf("status %d", response.StatusCode)
	}
	if err := json.Unmarshal(body, &v); err != nil {
		return v, fmt.Errorf("status %d: %w", response.StatusCode, err)
	}
	if slices.Contains(v.ErrorCodes, "internal-error") {
		return v, errors.New("internal-error")
	}
	return v, nil
}

// solution says what a verdict means. A wrong secret is the operator's fault and not the visitor's: it counts as a
// provider that cannot be asked. The token's age is Cloudflare's to judge: by this node's clock, which may be off, it is only
// remembered for as long as it could live.
func (v verdict) solution(token string, expires time.Time) (captcha.Solution, error) {
	for _, code := range v.ErrorCodes {
		switch code {
		case "missing-input-secret", "invalid-input-secret", "bad-request":
			return captcha.Solution{}, fmt.Errorf("%w: turnstile: %s", captcha.ErrUnavailable, code)
		case "timeout-or-duplicate":
			return captcha.Solution{}, fmt.Errorf("%w: turnstile: %s", captcha.ErrUsed, code)
		}
	}
	if !v.Success {
		return captcha.Solution{}, fmt.Errorf("%w: turnstile: %s", captcha.ErrInvalid, strings.Join(v.ErrorCodes, " "))
	}
	return captcha.Solution{
		ID: "turnstile:" + token, Action: v.Action, Host: v.Hostname, Expires: expires,
	}, nil
}

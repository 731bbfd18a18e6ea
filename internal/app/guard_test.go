package app

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"gapura/test/peers"
)

const anAppKey = "APP_KEY=base64:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

// asked is an answer with its body read.
type asked struct {
	status int
	header http.Header
	body   string
	took   time.Duration
}

func (a asked) member(t testing.TB, name string) string {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	return fmt.Sprint(doc[name])
}

func (s *server) ask(t testing.TB, method, path, body string, header ...string) asked {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	begin := time.Now()
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return asked{answer.StatusCode, answer.Header, string(text), time.Since(begin)}
}

// register posts an order of person n under key.
func (s *server) register(t testing.TB, key string, n int, captcha string) asked {
	t.Helper()
	who := fmt.Sprintf(`"name":"Siti Aminah","email":"siti%d@example.id","phone":"0812%08d"`, n, n)
	return s.ask(t, "POST", "/api/v1/events/night-run/orders", fmt.Sprintf(
		`{"contact":{%s},"participants":[{"category":"fun",%s,"birth_date":"1994-05-02","gender":"female"}],"captcha":%q}`, who, who, captcha),
		"Content-Type", "application/json", "Idempotency-Key", key)
}

// solve does what the widget does in a browser.
func (s *server) solve(t testing.TB) string {
	t.Helper()
	var c struct {
		Algorithm string `json:"algorithm"`
		Challenge string `json:"challenge"`
		MaxNumber int    `json:"maxNumber"`
		Number    int    `json:"number"`
		Salt      string `json:"salt"`
		Signature string `json:"signature"`
	}
	if err := json.Unmarshal([]byte(s.ask(t, "GET", "/api/v1/captcha/challenge?action=register", "").body), &c); err != nil {
		t.Fatal(err)
	}
	for ; c.Number <= c.MaxNumber; c.Number++ {
		sum := sha256.Sum256(fmt.Append([]byte(c.Salt), c.Number))
		if hex.EncodeToString(sum[:]) == c.Challenge {
			text, err := json.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			return base64.StdEncoding.EncodeToString(text)
		}
	}
	t.Fatal("the challenge has no solution")
	return ""
}

// Production asks for a captcha that needs nobody outside, unless it is told otherwise.
func TestProductionAsksForACaptcha(t *testing.T) {
	t.Parallel()
	sh := newShell(t, "APP_ENV=production", anAppKey)
	sh.must(t, "event", "apply", sh.file(t, "event.yaml", eventText))
	s := sh.serve(t, "serve")
	if a := s.register(t, "first-key-0123456789-0123", 1, ""); a.status != 403 || a.member(t, "reason") != "missing" {
		t.Fatalf("without a captcha: %d %s", a.status, a.body)
	}
	token := s.solve(t)
	first := s.register(t, "first-key-0123456789-0123", 1, token)
	if first.status != 201 {
		t.Fatalf("with a captcha: %d %s", first.status, first.body)
	}
	if again := s.register(t, "first-key-0123456789-0123", 1, token); again.body != first.body || again.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("the same request again: %d %s", again.status, again.body)
	}
	if a := s.register(t, "other-key-0123456789-0123", 2, token); a.status != 403 || a.member(t, "reason") != "used" {
		t.Errorf("a used captcha: %d %s", a.status, a.body)
	}
	if again := s.register(t, "first-key-0123456789-0123", 1, "nonsense"); again.body != first.body {
		t.Errorf("a repeat whose captcha was lost: %d %s", again.status, again.body)
	}
	page := s.ask(t, "GET", "/e/night-run/daftar", "")
	if !strings.Contains(page.body, `"captcha":{"provider":"altcha","action":"register"}`) || !strings.Contains(page.body, `id="captcha"`) ||
		strings.Contains(page.header.Get("Content-Security-Policy"), "cloudflare") {
		t.Errorf("the form: %s %s", page.header.Get("Content-Security-Policy"), page.body)
	}
	posted := s.ask(t, "POST", "/e/night-run/daftar", "key=plain-key-0123456789-01&action=submit&/contact/email=a@example.id",
		"Content-Type", "application/x-www-form-urlencoded")
	if posted.status != 403 || !strings.Contains(posted.body, "JavaScript") {
		t.Errorf("the form without script: %d", posted.status)
	}
}

func TestCaptchaConfiguration(t *testing.T) {
	t.Parallel()
	const testSecret, testSite = "TURNSTILE_SECRET_KEY=1x0000000000000000000000000000000AA", "TURNSTILE_SITE_KEY=1x00000000000000000000AA"
	said := newShell(t, "APP_ENV=production", anAppKey, "CAPTCHA_PROVIDER=turnstile", testSite, testSecret).refused(t, exitNo, "serve")
	if !strings.Contains(said, "TURNSTILE_SECRET_KEY") || strings.Contains(said, "1x0000") {
		t.Errorf("test keys in production: %s", said)
	}
	newShell(t, "CAPTCHA_PROVIDER=turnstile").refused(t, exitNo, "serve")
	newShell(t, "RATE_LIMITS=maybe").refused(t, exitUsage, "doctor")
	sh := newShell(t, "CAPTCHA_PROVIDER=turnstile", testSite, testSecret)
	sh.must(t, "event", "apply", sh.file(t, "event.yaml", eventText))
	s := sh.serve(t, "serve")
	page := s.ask(t, "GET", "/e/night-run/daftar", "")
	if policy := page.header.Get("Content-Security-Policy"); !strings.Contains(policy, "frame-src https://challenges.cloudflare.com") ||
		!strings.Contains(page.body, `"siteKey":"1x00000000000000000000AA"`) || strings.Contains(page.body, "1x0000000000000000000000000000000AA") {
		t.Errorf("the form with Turnstile: %s", policy)
	}
	if policy := s.ask(t, "GET", "/e/night-run", "").header.Get("Content-Security-Policy"); strings.Contains(policy, "cloudflare") {
		t.Errorf("a page without a form: %s", policy)
	}
	if a := s.ask(t, "GET", "/api/v1/captcha/challenge", ""); a.status != 404 {
		t.Errorf("a challenge where Turnstile makes them: %d", a.status)
	}
}

// A header that a client writes itself gets it no further, in front of the proxy's entry or without a proxy; and this machine
// is not limited at all.
func TestSpoofedForwardedFor(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, proxies string
		forwarded     func(i int) string
		limited       bool
	}{
		{"before the proxy's entry", "TRUSTED_PROXIES=127.0.0.1", func(i int) string { return fmt.Sprintf("198.51.%d.%d, 203.0.113.9", i/250, i%250) }, true},
		{"many clients of a proxy", "TRUSTED_PROXIES=127.0.0.1", func(i int) string { return fmt.Sprintf("198.51.%d.%d", i/250, i%250) }, false},
		{"nobody is trusted", "TRUSTED_PROXIES=", func(int) string { return "203.0.113.9" }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newShell(t, test.proxies).serve(t, "serve")
			asks := 601 // one more than an address may cancel in a minute
			if test.limited {
				asks = 6000 // a slow machine gets ten a second back while it asks
			}
			var last asked
			for i := 0; i < asks && last.status != http.StatusTooManyRequests; i++ {
				last = s.ask(t, "POST", "/api/v1/orders/0198f1c2-0000-7000-8000-000000000000/cancel", "", "X-Forwarded-For", test.forwarded(i))
			}
			if (last.status == http.StatusTooManyRequests) != test.limited {
				t.Errorf("the last is answered with %d %s", last.status, last.body)
			}
		})
	}
}

// Redis is killed in the middle: limits, captchas and prepared documents go on from this node alone, at once, and it is used
// again when it is back.
func TestRedisIsKilled(t *testing.T) {
	t.Parallel()
	redis := peers.PrivateRedis(t)
	sh := newShell(t, "CACHE_STORE=redis", "REDIS_URL="+redis.URL(0), "CAPTCHA_PROVIDER=altcha")
	sh.must(t, "event", "apply", sh.file(t, "event.yaml", eventText))
	s := sh.serve(t, "serve")
	n := 0
	order := func() asked {
		n++
		return s.register(t, fmt.Sprintf("redis-key-0123456789-%04d", n), n, s.solve(t))
	}
	if a := order(); a.status != 201 {
		t.Fatalf("with Redis: %d %s", a.status, a.body)
	}
	if err := redis.Kill(); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if a := order(); a.status != 201 || a.took > time.Second {
			t.Fatalf("without Redis: %d after %v: %s", a.status, a.took, a.body)
		}
		if a := s.ask(t, "GET", "/api/v1/events/night-run/availability", ""); a.status != 200 || a.took > time.Second {
			t.Fatalf("a read without Redis: %d after %v", a.status, a.took)
		}
	}
	token := s.solve(t)
	if a := s.register(t, "spent-key-0123456789-0001", 101, token); a.status != 201 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := s.register(t, "spent-key-0123456789-0002", 102, token); a.status != 403 {
		t.Errorf("a captcha used twice without Redis: %d", a.status)
	}
	limited := false
	for i := 0; i < 1000 && !limited; i++ {
		limited = s.register(t, "spent-key-0123456789-0001", 101, token).status == http.StatusTooManyRequests
	}
	if !limited {
		t.Error("without Redis nobody is limited")
	}
	if a := s.ask(t, "GET", "/readyz", ""); a.status != 200 {
		t.Errorf("a node without Redis is taken out: %d %s", a.status, a.body)
	}
	if err := redis.Start(); err != nil {
		t.Fatal(err)
	}
	if a := order(); a.status != 201 {
		t.Errorf("Redis is back: %d %s", a.status, a.body)
	}
}

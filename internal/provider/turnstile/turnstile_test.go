package turnstile_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gapura/internal/captcha"
	"gapura/internal/clock"
	"gapura/internal/provider/turnstile"
	"gapura/internal/provider/turnstile/fake"
)

var start = time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC)

const secret = "0x4AAAAAAAsecretsecretsecretsecret"

type setup struct {
	clock  *clock.Manual
	server *fake.Server
	client *turnstile.Client
}

func newSetup(t *testing.T, secretOfClient string) setup {
	t.Helper()
	manual := clock.NewManual(start)
	server := fake.New(secret, manual)
	web := httptest.NewServer(server)
	t.Cleanup(web.Close)
	client, err := turnstile.New(turnstile.Config{
		SiteKey: "0x4AAAAAAAsite", Secret: secretOfClient, Endpoint: web.URL, Client: web.Client(), Clock: manual,
	})
	if err != nil {
		t.Fatal(err)
	}
	return setup{manual, server, client}
}

func (s setup) verify(t *testing.T, token string) (captcha.Solution, error) {
	t.Helper()
	return s.client.Verify(t.Context(), captcha.Answer{Token: token, Address: "203.0.113.7"})
}

func TestATokenCountsOnce(t *testing.T) {
	t.Parallel()
	s := newSetup(t, secret)
	token := s.server.Solve("gapura.example", "order", "")
	got, err := s.verify(t, token)
	want := captcha.Solution{ID: "turnstile:" + token, Action: "order", Host: "gapura.example", Expires: start.Add(turnstile.Lifetime)}
	if err != nil || got != want {
		t.Fatalf("%+v %v", got, err)
	}
	if _, err := s.verify(t, token); !errors.Is(err, captcha.ErrUsed) {
		t.Errorf("a second time: %v", err)
	}
	late := s.server.Solve("gapura.example", "order", "")
	s.clock.Advance(turnstile.Lifetime)
	if _, err := s.verify(t, late); !errors.Is(err, captcha.ErrUsed) {
		t.Errorf("after five minutes: %v", err)
	}
	if _, err := s.verify(t, "made up"); !errors.Is(err, captcha.ErrInvalid) {
		t.Errorf("a made-up token: %v", err)
	}
	asked := s.server.Requests()
	if _, err := s.verify(t, strings.Repeat("x", 2049)); !errors.Is(err, captcha.ErrInvalid) || s.server.Requests() != asked {
		t.Errorf("a token that is too long: %v", err)
	}
}

// An answer that got lost must not make the visitor's only token look used.
func TestARetryIsSafe(t *testing.T) {
	t.Parallel()
	for _, trouble := range []fake.Trouble{fake.InternalError, fake.BadGateway, fake.LostAnswer} {
		s := newSetup(t, secret)
		token := s.server.Solve("gapura.example", "order", "")
		s.server.Expect(trouble)
		if _, err := s.verify(t, token); err != nil {
			t.Errorf("trouble %d: %v", trouble, err)
		}
		if s.server.Requests() != 2 {
			t.Errorf("trouble %d: %d requests", trouble, s.server.Requests())
		}
	}
}

func TestTheProviderIsDown(t *testing.T) {
	t.Parallel()
	s := newSetup(t, secret)
	s.server.Expect(fake.BadGateway, fake.InternalError)
	if _, err := s.verify(t, s.server.Solve("h", "a", "")); !errors.Is(err, captcha.ErrUnavailable) {
		t.Errorf("two troubles: %v", err)
	}
	s.server.Expect(fake.Hang)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.client.Verify(ctx, captcha.Answer{Token: s.server.Solve("h", "a", "")}); !errors.Is(err, captcha.ErrUnavailable) {
		t.Errorf("no answer: %v", err)
	}
}

func TestAWrongSecretIsNotTheVisitorsFault(t *testing.T) {
	t.Parallel()
	s := newSetup(t, "0x4AAAAAAAanothersecretanothersecre")
	if _, err := s.verify(t, s.server.Solve("h", "a", "")); !errors.Is(err, captcha.ErrUnavailable) {
		t.Errorf("%v", err)
	}
}

func TestTestKeys(t *testing.T) {
	t.Parallel()
	tests := []string{
		"1x00000000000000000000AA", "2x00000000000000000000AB", "1x00000000000000000000BB", "2x00000000000000000000BB",
		"3x00000000000000000000FF", fake.SecretPass, fake.SecretFail, fake.SecretSpent,
	}
	for _, key := range tests {
		for _, cfg := range []turnstile.Config{{SiteKey: key, Secret: secret}, {SiteKey: "0x4AAA", Secret: " " + key}} {
			if _, err := turnstile.New(cfg); err != nil {
				t.Errorf("%s on a developer's machine: %v", key, err)
			}
			cfg.Production = true
			if _, err := turnstile.New(cfg); !errors.Is(err, turnstile.ErrTestKey) {
				t.Errorf("%s booted in production", key)
			}
		}
	}
	if _, err := turnstile.New(turnstile.Config{SiteKey: "0x4AAA", Secret: secret, Production: true}); err != nil {
		t.Errorf("real keys: %v", err)
	}
	if _, err := turnstile.New(turnstile.Config{SiteKey: "0x4AAA"}); err == nil {
		t.Error("an empty secret was accepted")
	}
}

func TestTestSecretsBehaveAsDocumented(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]error{fake.SecretPass: nil, fake.SecretFail: captcha.ErrInvalid, fake.SecretSpent: captcha.ErrUsed} {
		if _, err := newSetup(t, key).verify(t, fake.DummyToken); !errors.Is(err, want) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func TestTheFakeTakesJSON(t *testing.T) {
	t.Parallel()
	server := fake.New(secret, clock.NewManual(start))
	body := `{"secret":"` + secret + `","response":"` + server.Solve("h", "a", "c") + `"}`
	for _, want := range []string{`"success":true`, "timeout-or-duplicate"} {
		request := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		request.Header.Set("Content-Type", "application/json")
		response := httptest.NewRecorder()
		server.ServeHTTP(response, request)
		if !strings.Contains(response.Body.String(), want) {
			t.Errorf("%s, want %s", response.Body, want)
		}
	}
}

// Whatever a provider says, nothing but a clear success passes.
func FuzzVerdict(f *testing.F) {
	f.Add(200, `{"success":true,"hostname":"h","action":"a"}`)
	f.Add(200, `{"success":false,"error-codes":["bad-request"]}`)
	f.Add(502, `<html>`)
	f.Add(200, `{"success":"true"}`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 599 {
			t.Skip()
		}
		client, err := turnstile.New(turnstile.Config{
			SiteKey: "0x4AAA", Secret: secret, Clock: clock.NewManual(start),
			Client: &http.Client{Transport: canned{status, body}},
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Verify(t.Context(), captcha.Answer{Token: "t"})
		if err == nil && (status >= 500 || !strings.Contains(strings.ToLower(body), "success")) {
			t.Fatalf("status %d and %q passed", status, body)
		}
	})
}

type canned struct {
	status int
	body   string
}

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	w.WriteHeader(c.status)
	_, _ = w.WriteString(c.body)
	response := w.Result()
	response.Request = r
	return response, nil
}

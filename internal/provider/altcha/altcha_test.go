package altcha_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	lib "github.com/altcha-org/altcha-lib-go"

	"gapura/internal/captcha"
	"gapura/internal/clock"
	"gapura/internal/provider/altcha"
)

var start = time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC)

const key = "a key of sufficient length"

func newProvider(t testing.TB, c clock.Clock, keys ...string) *altcha.Provider {
	t.Helper()
	p, err := altcha.New(c, 500, keys...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// solve does what the widget does.
func solve(t testing.TB, c altcha.Challenge) lib.Payload {
	t.Helper()
	s, err := lib.SolveChallenge(c.Challenge, c.Salt, lib.SHA256, int(c.MaxNumber), 0, nil)
	if err != nil || s == nil {
		t.Fatalf("no solution: %v", err)
	}
	return lib.Payload{Algorithm: c.Algorithm, Challenge: c.Challenge, Number: int64(s.Number), Salt: c.Salt, Signature: c.Signature}
}

func encode(p lib.Payload) string {
	raw, _ := json.Marshal(p)
	return base64.StdEncoding.EncodeToString(raw)
}

func challenge(t testing.TB, p *altcha.Provider) altcha.Challenge {
	t.Helper()
	c, err := p.Challenge("order", "gapura.example")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestASolutionSaysWhatItIsFor(t *testing.T) {
	t.Parallel()
	manual := clock.NewManual(start)
	p := newProvider(t, manual, key)
	c := challenge(t, p)
	got, err := p.Verify(t.Context(), captcha.Answer{Token: encode(solve(t, c))})
	want := captcha.Solution{ID: "altcha:" + c.Challenge, Action: "order", Host: "gapura.example", Expires: start.Add(altcha.Lifetime)}
	if err != nil || got != want {
		t.Fatalf("%+v %v, want %+v", got, err, want)
	}
	manual.Advance(altcha.Lifetime)
	if _, err := p.Verify(t.Context(), captcha.Answer{Token: encode(solve(t, c))}); !errors.Is(err, captcha.ErrExpired) {
		t.Errorf("after its lifetime: %v", err)
	}
}

// The vector of the protocol's description, computed with its own library: key k, number 4321.
func TestProtocolVector(t *testing.T) {
	t.Parallel()
	ok, err := lib.VerifySolutionSafe(lib.Payload{
		Algorithm: "SHA-256", Number: 4321, Salt: "a1b2c3d4e5f6a1b2c3d4e5f6?expires=1795000000&",
		Challenge: "fbeccac918063e35cf369b25aec827b71a1f759d9e79c57dbb03c50e9fdeaacd",
		Signature: "865eadf0da564d5aaa12c75ea8e35cb83330646075f04d575a5d6e379a441070",
	}, "k", false)
	if err != nil || !ok {
		t.Errorf("%v %v", ok, err)
	}
}

func TestForgeriesAreInvalid(t *testing.T) {
	t.Parallel()
	p := newProvider(t, clock.NewManual(start), key)
	good := solve(t, challenge(t, p))
	with := func(change func(*lib.Payload)) string { c := good; change(&c); return encode(c) }
	endless, err := lib.CreateChallenge(lib.ChallengeOptions{HMACKey: key, MaxNumber: 100})
	if err != nil {
		t.Fatal(err)
	}
	foreign := newProvider(t, clock.NewManual(start), "another key, long enough")
	tests := map[string]string{
		"another number":       with(func(p *lib.Payload) { p.Number++ }),
		"a negative number":    with(func(p *lib.Payload) { p.Number = -1 }),
		"another action":       with(func(p *lib.Payload) { p.Salt = strings.Replace(p.Salt, "order", "ticket", 1) }),
		"a later expiry":       with(func(p *lib.Payload) { p.Salt = strings.Replace(p.Salt, "expires=1", "expires=9", 1) }),
		"digits moved":         with(func(p *lib.Payload) { p.Salt += "1"; p.Number %= 10 }),
		"another algorithm":    with(func(p *lib.Payload) { p.Algorithm = "SHA-1" }),
		"another signature":    with(func(p *lib.Payload) { p.Signature = strings.Repeat("0", 64) }),
		"a challenge for ever": encode(solve(t, endless)),
		"a stranger's key":     encode(solve(t, challenge(t, foreign))),
		"no base64":            "???",
		"no JSON":              base64.StdEncoding.EncodeToString([]byte("{")),
		"nothing":              base64.StdEncoding.EncodeToString([]byte("{}")),
		"too long":             strings.Repeat("A", 4096),
	}
	for name, token := range tests {
		if _, err := p.Verify(t.Context(), captcha.Answer{Token: token}); !errors.Is(err, captcha.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// One solution has many spellings; all of them are the same one.
func TestSpellingsShareAnIdentity(t *testing.T) {
	t.Parallel()
	p := newProvider(t, clock.NewManual(start), key)
	good := solve(t, challenge(t, p))
	trimmed := good
	trimmed.Salt = strings.TrimSuffix(good.Salt, "&")
	raw, _ := json.Marshal(good)
	spaced := base64.StdEncoding.EncodeToString(append([]byte("  "), raw...))
	want, err := p.Verify(t.Context(), captcha.Answer{Token: encode(good)})
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{encode(trimmed), spaced, encode(good)[:8] + "\n" + encode(good)[8:]} {
		if got, err := p.Verify(t.Context(), captcha.Answer{Token: token}); err == nil && got.ID != want.ID {
			t.Errorf("a second identity: %s and %s", got.ID, want.ID)
		}
	}
}

func TestKeysRotate(t *testing.T) {
	t.Parallel()
	manual := clock.NewManual(start)
	old := newProvider(t, manual, key)
	token := encode(solve(t, challenge(t, old)))
	if _, err := newProvider(t, manual, "the new key, also long", key).Verify(t.Context(), captcha.Answer{Token: token}); err != nil {
		t.Errorf("signed with the old key: %v", err)
	}
	for _, keys := range [][]string{nil, {"short"}} {
		if _, err := altcha.New(manual, 500, keys...); err == nil {
			t.Errorf("keys %q were accepted", keys)
		}
	}
}

func FuzzVerify(f *testing.F) {
	p := newProvider(f, clock.NewManual(start), key)
	// Every process of the fuzzer must know the same challenge.
	number := int64(77)
	c, err := lib.CreateChallenge(lib.ChallengeOptions{
		HMACKey: key, MaxNumber: 500, Number: &number, Salt: "000102030405060708090a0b?action=order&expires=9000000000&host=h&",
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(encode(solve(f, c)))
	f.Add("")
	f.Add(base64.StdEncoding.EncodeToString([]byte(`{"algorithm":"SHA-256","number":1e99}`)))
	f.Fuzz(func(t *testing.T, token string) {
		got, err := p.Verify(t.Context(), captcha.Answer{Token: token})
		if err == nil && got.ID != "altcha:"+c.Challenge {
			t.Fatalf("a forgery passed: %+v", got)
		}
		if err != nil && !errors.Is(err, captcha.ErrInvalid) && !errors.Is(err, captcha.ErrExpired) {
			t.Fatalf("%v", err)
		}
	})
}

package captcha_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"gapura/internal/captcha"
	"gapura/internal/clock"
	"gapura/internal/fault"
)

var start = time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC)

// provider is a verifier that does as the test says.
type provider struct {
	mu     sync.Mutex
	calls  int
	answer func(ctx context.Context, a captcha.Answer) (captcha.Solution, error)
}

func (p *provider) Verify(ctx context.Context, a captcha.Answer) (captcha.Solution, error) {
	p.mu.Lock()
	p.calls++
	p.mu.Unlock()
	return p.answer(ctx, a)
}

func accept(_ context.Context, a captcha.Answer) (captcha.Solution, error) {
	return captcha.Solution{ID: a.Token, Action: "order", Host: "gapura.example", Expires: start.Add(time.Minute)}, nil
}

func fail(err error) func(context.Context, captcha.Answer) (captcha.Solution, error) {
	return func(context.Context, captcha.Answer) (captcha.Solution, error) { return captcha.Solution{}, err }
}

func newDesk(p captcha.Verifier, c clock.Clock, down captcha.WhenDown) *captcha.Desk {
	return captcha.NewDesk(p, captcha.NewLocalSpent(c, 10*time.Minute, 1000), c, down, time.Second)
}

func reason(t *testing.T, err error) string {
	t.Helper()
	var f *fault.Fault
	if !errors.As(err, &f) || f.Code != fault.CaptchaFailed {
		t.Fatalf("%v is not captcha_failed", err)
	}
	return f.Params["reason"].(string)
}

func TestAnAnswerCountsOnceForItsActionAndHost(t *testing.T) {
	t.Parallel()
	good := captcha.Answer{Token: "a", Action: "order", Host: "GAPURA.example:8443"}
	with := func(change func(*captcha.Answer)) captcha.Answer { a := good; change(&a); return a }
	tests := []struct {
		name   string
		answer captcha.Answer
		at     time.Duration
		reason string
	}{
		{"nothing sent", with(func(a *captcha.Answer) { a.Token = "" }), 0, "missing"},
		{"another action", with(func(a *captcha.Answer) { a.Action = "ticket" }), 0, "other_action"},
		{"another host", with(func(a *captcha.Answer) { a.Host = "gapura.example.evil" }), 0, "other_host"},
		{"late", good, time.Minute, "expired"},
	}
	for _, test := range tests {
		manual := clock.NewManual(start.Add(test.at))
		desk := newDesk(&provider{answer: accept}, manual, captcha.Refuse)
		if got := reason(t, desk.Check(t.Context(), test.answer)); got != test.reason {
			t.Errorf("%s: %s, want %s", test.name, got, test.reason)
		}
		manual.Set(start)
		if err := desk.Check(t.Context(), good); err != nil {
			t.Errorf("%s used the answer up: %v", test.name, err)
		}
		if got := reason(t, desk.Check(t.Context(), good)); got != "used" {
			t.Errorf("used twice: %s", got)
		}
	}
}

func TestTheProvidersRefusalsAreTheVisitorsFault(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]string{
		captcha.ErrInvalid: "invalid", captcha.ErrExpired: "expired", fmt.Errorf("x: %w", captcha.ErrUsed): "used",
	} {
		p := &provider{answer: fail(err)}
		desk := newDesk(p, clock.NewManual(start), captcha.Admit)
		for range 20 {
			if got := reason(t, desk.Check(t.Context(), captcha.Answer{Token: "a"})); got != want {
				t.Errorf("%v: %s", err, got)
			}
		}
		if p.calls != 20 {
			t.Errorf("wrong answers made the desk leave the provider alone after %d", p.calls)
		}
	}
}

func TestTheProviderIsDown(t *testing.T) {
	t.Parallel()
	for _, policy := range []captcha.WhenDown{captcha.Admit, captcha.Refuse} {
		manual := clock.NewManual(start)
		p := &provider{answer: fail(errors.New("connection refused"))}
		desk := newDesk(p, manual, policy)
		for i := range 50 {
			err := desk.Check(t.Context(), captcha.Answer{Token: strconv.Itoa(i)})
			if (policy == captcha.Admit) != (err == nil) {
				t.Fatalf("%s: %v", policy, err)
			}
			var f *fault.Fault
			if err != nil && (!errors.As(err, &f) || f.Code != fault.Overloaded || f.RetryAfter <= 0) {
				t.Fatalf("%s: %v", policy, err)
			}
		}
		if p.calls != 5 {
			t.Errorf("%s: the dead provider was asked %d times before it was left alone", policy, p.calls)
		}
		if policy == captcha.Admit && desk.AdmittedUnseen() != 50 {
			t.Errorf("%d admitted unseen are counted", desk.AdmittedUnseen())
		}
		p.answer = accept
		manual.Advance(10 * time.Second)
		answer := captcha.Answer{Token: "later", Action: "order", Host: "gapura.example"}
		if err := desk.Check(t.Context(), answer); err != nil || p.calls != 6 {
			t.Errorf("%s: it is back: %v", policy, err)
		}
		if got := reason(t, desk.Check(t.Context(), captcha.Answer{Token: "x", Action: "other"})); got != "other_action" {
			t.Errorf("%s: it is back and not asked: %s", policy, got)
		}
	}
}

func TestAHangingProviderIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	p := &provider{answer: func(ctx context.Context, _ captcha.Answer) (captcha.Solution, error) {
		<-ctx.Done()
		return captcha.Solution{}, ctx.Err()
	}}
	manual := clock.NewManual(start)
	desk := captcha.NewDesk(p, captcha.NewLocalSpent(manual, time.Minute, 10), manual, captcha.Admit, time.Millisecond)
	if err := desk.Check(t.Context(), captcha.Answer{Token: "a"}); err != nil {
		t.Errorf("%v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := desk.Check(gone, captcha.Answer{Token: "b"}); !errors.Is(err, context.Canceled) || desk.AdmittedUnseen() != 1 {
		t.Errorf("a client that left was admitted: %v", err)
	}
}

func TestNoneAsksNothing(t *testing.T) {
	t.Parallel()
	desk := newDesk(captcha.None{}, clock.NewManual(start), captcha.Refuse)
	for range 3 {
		if err := desk.Check(t.Context(), captcha.Answer{}); err != nil {
			t.Errorf("%v", err)
		}
	}
}

func TestLocalSpentRemembersForItsLifetime(t *testing.T) {
	t.Parallel()
	manual := clock.NewManual(start)
	spent := captcha.NewLocalSpent(manual, time.Minute, 100)
	spend := func(i int) bool {
		first, err := spent.Spend(t.Context(), strconv.Itoa(i), "", manual.Now().Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		return first
	}
	for i := range 100 { // every 7 s a new answer, and the one of 56 s ago once more
		if !spend(i) {
			t.Fatalf("answer %d is new", i)
		}
		if i >= 8 && spend(i-8) {
			t.Fatalf("answer %d of 56 s ago is forgotten", i-8)
		}
		manual.Advance(7 * time.Second)
	}
	if _, err := spent.Spend(t.Context(), "long", "", manual.Now().Add(time.Hour)); err == nil {
		t.Error("an answer that outlives the set was accepted")
	}
}

func TestLocalSpentIsBounded(t *testing.T) {
	t.Parallel()
	manual := clock.NewManual(start)
	spent := captcha.NewLocalSpent(manual, time.Minute, 3)
	for i := range 5 {
		_, err := spent.Spend(t.Context(), strconv.Itoa(i), "", start.Add(time.Minute))
		if errors.Is(err, captcha.ErrFull) != (i >= 3) {
			t.Fatalf("answer %d: %v", i, err)
		}
	}
}

type spent func() (bool, error)

func (s spent) Spend(context.Context, string, string, time.Time) (bool, error) { return s() }

func TestTieredSpent(t *testing.T) {
	t.Parallel()
	manual := clock.NewManual(start)
	until := start.Add(time.Minute)
	elsewhere := captcha.NewTieredSpent(captcha.NewLocalSpent(manual, time.Hour, 10), spent(func() (bool, error) { return false, nil }), time.Second)
	if first, err := elsewhere.Spend(t.Context(), "a", "", until); first || err != nil {
		t.Errorf("used on another node: %v %v", first, err)
	}
	gone := captcha.NewTieredSpent(captcha.NewLocalSpent(manual, time.Hour, 10), spent(func() (bool, error) { return false, errors.New("gone") }), time.Second)
	for i, want := range []bool{true, false} {
		if first, err := gone.Spend(t.Context(), "a", "", until); first != want || err != nil {
			t.Errorf("use %d with the shared set gone: %v %v", i+1, first, err)
		}
	}
	if gone.Misses() != 1 {
		t.Errorf("%d misses are counted", gone.Misses())
	}
}

func TestOneOfManyAtOnceIsFirst(t *testing.T) {
	t.Parallel()
	desk := newDesk(&provider{answer: accept}, clock.NewManual(start), captcha.Refuse)
	var wg sync.WaitGroup
	passed := make(chan struct{}, 100)
	for range 100 {
		wg.Go(func() {
			if desk.Check(t.Context(), captcha.Answer{Token: "a", Action: "order", Host: "gapura.example"}) == nil {
				passed <- struct{}{}
			}
		})
	}
	wg.Wait()
	if len(passed) != 1 {
		t.Errorf("one answer passed %d times", len(passed))
	}
}

func TestARepeatOfTheSameRequestMayBringTheSameAnswer(t *testing.T) {
	t.Parallel()
	manual := clock.NewManual(start)
	desk := newDesk(&provider{answer: accept}, manual, captcha.Refuse)
	by := func(owner string) captcha.Answer {
		return captcha.Answer{Token: "a", Action: "order", Host: "gapura.example", Owner: owner}
	}
	for range 3 {
		if err := desk.Check(t.Context(), by("key one")); err != nil {
			t.Fatalf("the first owner: %v", err)
		}
	}
	for _, other := range []string{"key two", ""} {
		if got := reason(t, desk.Check(t.Context(), by(other))); got != "used" {
			t.Errorf("owner %q: %s", other, got)
		}
	}
}

package fault

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestFaultsMatchByCode(t *testing.T) {
	t.Parallel()
	cause := errors.New("disk full")
	err := fmt.Errorf("register: %w", Wrap(Overloaded, cause).After(time.Second))
	if !errors.Is(err, New(Overloaded)) || errors.Is(err, New(SoldOut)) {
		t.Error("a fault matches its own code, and no other")
	}
	if !errors.Is(err, cause) {
		t.Error("the cause is lost")
	}
	if errors.Is(New(Overloaded), cause) {
		t.Error("a fault without a cause matches one")
	}
}

func TestCodeOf(t *testing.T) {
	t.Parallel()
	inner := Wrap(Closed, New(SoldOut))
	for want, err := range map[Code]error{
		"": nil, Internal: errors.New("a mistake"), SoldOut: New(SoldOut), Closed: fmt.Errorf("decide: %w", inner),
		KeyReused: errors.Join(errors.New("one"), New(KeyReused)),
	} {
		if got := CodeOf(err); got != want {
			t.Errorf("%v is %q, want %q", err, got, want)
		}
	}
}

// TestCopiesAreIndependent: a fault that is shared must not learn another request's parameters.
func TestCopiesAreIndependent(t *testing.T) {
	t.Parallel()
	base := New(SoldOut).With("quota", "total")
	one, two := base.With("left", 1), base.With("left", 2).After(time.Minute)
	if len(base.Params) != 1 || base.RetryAfter != 0 || one.Params["left"] != 1 || two.Params["left"] != 2 || one.RetryAfter != 0 {
		t.Errorf("%v, %v, %v", base, one, two)
	}
	if one.Params["quota"] != "total" || two.RetryAfter != time.Minute {
		t.Errorf("%v, %v", one, two)
	}
}

// TestTheTextIsForLogs: it names inputs and the cause, and never what a person typed.
func TestTheTextIsForLogs(t *testing.T) {
	t.Parallel()
	f := &Fault{
		Code: ValidationFailed, Cause: errors.New("cause"), Params: map[string]any{"given": "siti@example.id"},
		Fields: []Field{{"/contact/email", "email_invalid", map[string]any{"given": "siti@"}}, {"/contact/phone", "required", nil}},
	}
	if want := "validation_failed /contact/email:email_invalid /contact/phone:required: cause"; f.Error() != want {
		t.Errorf("%q, want %q", f.Error(), want)
	}
	if strings.Contains(f.Error(), "siti") {
		t.Error("the text has a person's input")
	}
}

func TestCodesAreUnique(t *testing.T) {
	t.Parallel()
	seen := map[Code]bool{}
	for _, c := range Codes() {
		if seen[c] || c == "" || strings.ToLower(string(c)) != string(c) || strings.ContainsAny(string(c), " -") {
			t.Errorf("code %q", c)
		}
		seen[c] = true
	}
}

package jobs_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"gapura/internal/jobs"
)

// TestKindsIsComplete reads the constants from the source: a kind that is missing could not be retried from the command line.
func TestKindsIsComplete(t *testing.T) {
	t.Parallel()
	f, err := parser.ParseFile(token.NewFileSet(), "jobs.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "Kind" {
			return true
		}
		found++
		name, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil || !slices.Contains(jobs.Kinds(), jobs.Kind(name)) {
			t.Errorf("%s is not among Kinds", spec.Names[0].Name)
		}
		return true
	})
	if found != len(jobs.Kinds()) {
		t.Errorf("%d constants, %d kinds", found, len(jobs.Kinds()))
	}
}

func TestEveryKindHasAQueueAndAPolicy(t *testing.T) {
	t.Parallel()
	for _, k := range jobs.Kinds() {
		p := k.Policy()
		if !slices.Contains(jobs.Queues(), k.Queue()) || p.Timeout <= 0 || p.Limit < 2 || p.Base <= 0 || p.Cap < p.Base {
			t.Errorf("%s: queue %s, policy %+v", k, k.Queue(), p)
		}
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := jobs.Policy{
			Base: time.Duration(rapid.Int64Range(1, int64(time.Minute)).Draw(t, "base")),
			Cap:  time.Duration(rapid.Int64Range(int64(time.Minute), int64(24*time.Hour)).Draw(t, "cap")),
		}
		attempt := rapid.IntRange(1, 70).Draw(t, "attempt")
		floor := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "after"))
		got := p.Backoff(attempt, jobs.After(errors.New("busy"), floor), jobs.Random)
		if got < floor || got > max(p.Cap, floor) {
			t.Fatalf("%s is not in [%s, %s]", got, floor, max(p.Cap, floor))
		}
		most := p.Backoff(attempt, nil, func(n int64) int64 { return n - 1 })
		if want := min(p.Cap, p.Base<<min(attempt-1, 26)); attempt <= 20 && most != want {
			t.Fatalf("at most %s after attempt %d, want %s", most, attempt, want)
		}
		if least := p.Backoff(attempt, nil, func(int64) int64 { return 0 }); least != 0 {
			t.Fatalf("jitter begins at %s, want 0", least)
		}
	})
}

func TestErrorTextHasNoPersonalData(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"550 <siti.aminah+run@example.co.id>: no such user": "550 <[address]>: no such user",
		"call +62 812-3456-789 failed":                      "call [number] failed",
		"08123456789":                                       "[number]",
		"dial tcp 127.0.0.1:3306: connection refused":       "dial tcp 127.0.0.1:3306: connection refused",
		"order GNR27-000123 in state 2":                     "order GNR27-000123 in state 2",
		"attempt 0198f1c2-93a7-7c3e-8a51-2f1b1f0a9c11-1":    "attempt 0198f1c2-93a7-7c3e-8a51-2f1b1f0a9c11-1",
		"bad \xff byte":                                     "bad ? byte",
	} {
		if got := jobs.ErrorText(errors.New(text)); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func FuzzErrorText(f *testing.F) {
	f.Add("550 siti@example.id " + strings.Repeat("é", 400))
	f.Fuzz(func(t *testing.T, text string) {
		got := jobs.ErrorText(errors.New(text))
		if len(got) > 500 || !utf8.ValidString(got) {
			t.Errorf("%d bytes, valid %t", len(got), utf8.ValidString(got))
		}
	})
}

func TestMarkedErrorsStayThemselves(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	err := fmt.Errorf("outer: %w", jobs.Permanent(fmt.Errorf("inner: %w", cause)))
	if !jobs.IsPermanent(err) || !errors.Is(err, cause) || jobs.Permanent(nil) != nil || jobs.IsPermanent(cause) {
		t.Error("a permanent error is not what it says")
	}
	late := fmt.Errorf("outer: %w", jobs.After(cause, time.Minute))
	if jobs.DelayOf(late) != time.Minute || !errors.Is(late, cause) || jobs.DelayOf(cause) != 0 {
		t.Error("a delayed error is not what it says")
	}
}

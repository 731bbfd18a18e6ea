// Package ratelimittest is the conformance suite of everything that holds a limit.
package ratelimittest

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"gapura/internal/ratelimit"
)

// Take counts one request at now.
type Take func(key string, limit ratelimit.Limit, now time.Time, reserve int) (ratelimit.Decision, error)

var start = time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC)

// Conform holds take to the arithmetic of Limit.Take. Keys are unlike those of other runs if prefix is.
func Conform(t *testing.T, prefix string, take Take) {
	t.Run("a burst, then evenly", func(t *testing.T) { burst(t, prefix+"burst", take) })
	t.Run("keys and limits do not mix", func(t *testing.T) { separate(t, prefix+"separate", take) })
	t.Run("the reserve stays", func(t *testing.T) { reserve(t, prefix+"reserve", take) })
	t.Run("any sequence decides as the arithmetic does", func(t *testing.T) { sequence(t, prefix+"sequence", take) })
}

func must(t *testing.T, take Take, key string, l ratelimit.Limit, now time.Time, reserve int) ratelimit.Decision {
	t.Helper()
	d, err := take(key, l, now, reserve)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func burst(t *testing.T, key string, take Take) {
	l := ratelimit.Limit{Name: "burst", Quota: 3, Window: 30 * time.Second}
	for i := range 3 {
		if d := must(t, take, key, l, start, 0); !d.Allowed || d.Remaining != 2-i {
			t.Fatalf("request %d: %+v", i+1, d)
		}
	}
	for range 2 {
		if d := must(t, take, key, l, start, 0); d.Allowed || d.Remaining != 0 || d.Retry != 10*time.Second || d.Reset != d.Retry {
			t.Fatalf("the fourth: %+v", d)
		}
	}
	if d := must(t, take, key, l, start.Add(10*time.Second-time.Microsecond), 0); d.Allowed {
		t.Fatalf("a moment too early: %+v", d)
	}
	if d := must(t, take, key, l, start.Add(10*time.Second), 0); !d.Allowed {
		t.Fatalf("when told to come again: %+v", d)
	}
	if d := must(t, take, key, l, start.Add(time.Hour), 0); !d.Allowed || d.Remaining != 2 {
		t.Fatalf("after a long pause: %+v", d)
	}
}

func separate(t *testing.T, key string, take Take) {
	one := ratelimit.Limit{Name: "one", Quota: 1, Window: time.Minute}
	other := ratelimit.Limit{Name: "other", Quota: 1, Window: time.Minute}
	for _, l := range []ratelimit.Limit{one, other} {
		for i := range 2 {
			if d := must(t, take, fmt.Sprint(key, i), l, start, 0); !d.Allowed {
				t.Fatalf("limit %s, key %d: %+v", l.Name, i, d)
			}
		}
	}
}

func reserve(t *testing.T, key string, take Take) {
	l := ratelimit.Limit{Name: "reserve", Quota: 5, Window: time.Minute}
	for range 3 {
		if d := must(t, take, key, l, start, 2); !d.Allowed {
			t.Fatalf("%+v", d)
		}
	}
	if d := must(t, take, key, l, start, 2); d.Allowed || d.Remaining != 2 {
		t.Fatalf("the reserve was touched: %+v", d)
	}
	for range 2 {
		if d := must(t, take, key, l, start, 0); !d.Allowed {
			t.Fatalf("the reserve was not there: %+v", d)
		}
	}
	if d := must(t, take, key, l, start, 0); d.Allowed {
		t.Fatalf("more than the quota: %+v", d)
	}
}

func sequence(t *testing.T, key string, take Take) {
	rng := rand.New(rand.NewPCG(1, 2))
	for run := range 5 {
		l := ratelimit.Limit{Name: "sequence", Quota: 1 + rng.IntN(20), Window: time.Duration(1+rng.IntN(60)) * time.Second}
		k, now, tat := fmt.Sprint(key, run), start, int64(0)
		for i := range 200 {
			now = now.Add(time.Duration(rng.ExpFloat64()*0.8*float64(l.Spacing()/time.Microsecond)) * time.Microsecond)
			keep := rng.IntN(3)
			var want ratelimit.Decision
			tat, want = l.Take(tat, now.UnixNano(), keep)
			if got := must(t, take, k, l, now, keep); got != want {
				t.Fatalf("run %d, request %d: %+v, the arithmetic says %+v", run, i, got, want)
			}
		}
	}
}

package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gapura/internal/clock"
	"gapura/internal/ratelimit"
	"gapura/internal/ratelimit/ratelimittest"
)

var start = time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC)

func TestLocalConforms(t *testing.T) {
	t.Parallel()
	local := ratelimit.NewLocal(10_000)
	ratelimittest.Conform(t, "", func(key string, l ratelimit.Limit, now time.Time, reserve int) (ratelimit.Decision, error) {
		return local.Take(key, l, now, reserve), nil
	})
}

// Over any stretch of time no more is allowed than the quota and what comes back meanwhile; and whoever waits as long as
// it was told is let in.
func TestGCRAHoldsItsPromise(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := ratelimit.Limit{
			Quota:  rapid.IntRange(1, 50).Draw(t, "quota"),
			Window: time.Duration(rapid.IntRange(50, 10_000_000).Draw(t, "window")) * time.Microsecond,
		}
		now, tat := start.UnixNano(), int64(0)
		var allowed []int64
		for range rapid.IntRange(1, 200).Draw(t, "requests") {
			now += rapid.Int64Range(0, int64(2*l.Spacing())).Draw(t, "pause")
			next, d := l.Take(tat, now, 0)
			if d.Allowed {
				allowed = append(allowed, now)
			} else if _, again := l.Take(next, now+int64(d.Retry), 0); !again.Allowed || d.Retry <= 0 {
				t.Fatalf("told to wait %v, and refused again", d.Retry)
			}
			if d.Remaining < 0 || d.Remaining > l.Quota || d.Reset < 0 || d.Reset > l.Spacing() {
				t.Fatalf("%+v", d)
			}
			tat = next
		}
		for i, from := range allowed {
			for j := i; j < len(allowed); j++ {
				most := int64(l.Quota) + (allowed[j]-from)/int64(l.Spacing())
				if got := int64(j - i + 1); got > most {
					t.Fatalf("%d allowed in %v, at most %d may", got, time.Duration(allowed[j]-from), most)
				}
			}
		}
	})
}

// A clock that jumps, in either direction, locks nobody out for longer than one window.
func TestGCRASurvivesAClockThatJumps(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := ratelimit.Limit{Quota: rapid.IntRange(1, 10).Draw(t, "quota"), Window: time.Minute}
		tat := rapid.Int64Range(-1<<62, 1<<62).Draw(t, "tat")
		_, d := l.Take(tat, start.UnixNano(), 0)
		if d.Retry > l.Burst() {
			t.Fatalf("locked out for %v", d.Retry)
		}
	})
}

func TestLocalForgetsTheLeastLoss(t *testing.T) {
	t.Parallel()
	local := ratelimit.NewLocal(1)
	l := ratelimit.Limit{Name: "orders", Quota: 2, Window: time.Hour}
	for range 3 {
		local.Take("offender", l, start, 0)
	}
	for i := range 100_000 {
		local.Take(fmt.Sprint("passer-by ", i), l, start, 0)
	}
	if d := local.Take("offender", l, start, 0); d.Allowed {
		t.Errorf("100,000 other keys in a table of 512 washed an exhausted one out: %+v", d)
	}
}

func TestLocalCountsExactlyUnderContention(t *testing.T) {
	t.Parallel()
	local := ratelimit.NewLocal(1000)
	l := ratelimit.Limit{Name: "orders", Quota: 500, Window: time.Hour}
	var wg sync.WaitGroup
	var mu sync.Mutex
	allowed := 0
	for range 8 {
		wg.Go(func() {
			mine := 0
			for range 200 {
				if local.Take("one", l, start, 0).Allowed {
					mine++
				}
			}
			mu.Lock()
			allowed += mine
			mu.Unlock()
		})
	}
	wg.Wait()
	if allowed != 500 {
		t.Errorf("%d of 1600 allowed, the quota is 500", allowed)
	}
}

func TestLocalMakesNoGarbage(t *testing.T) {
	local := ratelimit.NewLocal(1000)
	l := ratelimit.Limit{Name: "orders", Quota: 5, Window: time.Minute}
	if n := testing.AllocsPerRun(1000, func() { local.Take("203.0.113.7", l, start, 0) }); n != 0 {
		t.Errorf("%v allocations for each request", n)
	}
}

func BenchmarkLocalTake(b *testing.B) {
	local := ratelimit.NewLocal(1 << 20)
	l := ratelimit.Limit{Name: "orders", Quota: 5, Window: time.Minute}
	keys := make([]string, 1<<16)
	for i := range keys {
		keys[i] = fmt.Sprint("203.0.113.", i)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		local.Take(keys[i&(1<<16-1)], l, start, 0)
		i++
	}
}

// tier is a shared tier that does as the test says.
type tier struct {
	calls int
	take  func(ctx context.Context) (ratelimit.Decision, error)
}

func (s *tier) Take(ctx context.Context, _ string, _ ratelimit.Limit, _ int) (ratelimit.Decision, error) {
	s.calls++
	return s.take(ctx)
}

var orders = ratelimit.Limit{Name: "orders", Quota: 4, Window: time.Minute}

func TestSharedTierDecides(t *testing.T) {
	t.Parallel()
	shared := &tier{take: func(context.Context) (ratelimit.Decision, error) {
		return ratelimit.Decision{Retry: time.Second}, nil
	}}
	limiter := ratelimit.NewLimiter(ratelimit.NewLocal(100), shared, clock.NewManual(start))
	rules := []ratelimit.Rule{{Scope: ratelimit.ByPerson, Limit: orders, Shared: true}}
	if v := limiter.Check(t.Context(), rules, ratelimit.Request{Person: "p"}); v.Outcome != ratelimit.Refuse {
		t.Errorf("other nodes used the quota up, and still: %+v", v)
	}
}

func TestSharedTierGoneMeansLocalLimits(t *testing.T) {
	t.Parallel()
	manual := clock.NewManual(start)
	gone := errors.New("connection refused")
	shared := &tier{take: func(context.Context) (ratelimit.Decision, error) { return ratelimit.Decision{}, gone }}
	limiter := ratelimit.NewLimiter(ratelimit.NewLocal(1000), shared, manual)
	rules := []ratelimit.Rule{{Scope: ratelimit.ByPerson, Limit: orders, Shared: true}}
	for i := range 100 {
		person := ratelimit.Request{Person: strconv.Itoa(i)}
		if v := limiter.Check(t.Context(), rules, person); v.Outcome != ratelimit.Allow {
			t.Fatalf("an outage: %+v", v)
		}
	}
	if shared.calls != 5 {
		t.Errorf("the dead tier was asked %d times before it was left alone", shared.calls)
	}
	for range 4 {
		limiter.Check(t.Context(), rules, ratelimit.Request{Person: "greedy"})
	}
	if v := limiter.Check(t.Context(), rules, ratelimit.Request{Person: "greedy"}); v.Outcome != ratelimit.Refuse {
		t.Errorf("the local tier does not hold the limit: %+v", v)
	}
	shared.take = func(context.Context) (ratelimit.Decision, error) {
		return ratelimit.Decision{Allowed: true, Remaining: 3}, nil
	}
	manual.Advance(3 * time.Second)
	for i := range 10 {
		limiter.Check(t.Context(), rules, ratelimit.Request{Person: fmt.Sprint("later ", i)})
	}
	if shared.calls != 15 {
		t.Errorf("the tier is back and was asked %d times of 10", shared.calls-5)
	}
}

// After a break one request tries; those that come while it waits do not.
func TestOneRequestTriesAfterABreak(t *testing.T) {
	t.Parallel()
	manual := clock.NewManual(start)
	shared := &tier{take: func(context.Context) (ratelimit.Decision, error) { return ratelimit.Decision{}, errors.New("gone") }}
	limiter := ratelimit.NewLimiter(ratelimit.NewLocal(1000), shared, manual)
	rules := []ratelimit.Rule{{Scope: ratelimit.ByPerson, Limit: orders, Shared: true}}
	check := func(i int) { limiter.Check(t.Context(), rules, ratelimit.Request{Person: strconv.Itoa(i)}) }
	for i := range 10 {
		check(i)
	}
	manual.Advance(3 * time.Second)
	shared.calls = 0
	shared.take = func(context.Context) (ratelimit.Decision, error) {
		check(100) // another request, while this one waits
		return ratelimit.Decision{Allowed: true}, nil
	}
	check(11)
	if shared.calls != 1 {
		t.Errorf("%d requests tried at once", shared.calls)
	}
}

func TestSharedTierSlowIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	shared := &tier{take: func(ctx context.Context) (ratelimit.Decision, error) {
		deadline, ok := ctx.Deadline()
		if !ok || time.Until(deadline) > ratelimit.SharedTimeout {
			return ratelimit.Decision{}, errors.New("no deadline")
		}
		<-ctx.Done()
		return ratelimit.Decision{}, ctx.Err()
	}}
	limiter := ratelimit.NewLimiter(ratelimit.NewLocal(1000), shared, clock.NewManual(start))
	rules := []ratelimit.Rule{{Scope: ratelimit.ByPerson, Limit: orders, Shared: true}}
	if v := limiter.Check(t.Context(), rules, ratelimit.Request{Person: "p"}); v.Outcome != ratelimit.Allow {
		t.Errorf("%+v", v)
	}
	if limiter.SharedMisses() != 1 {
		t.Errorf("%d misses are counted", limiter.SharedMisses())
	}
}

func TestCaptchaBeforeRefusal(t *testing.T) {
	t.Parallel()
	limiter := ratelimit.NewLimiter(ratelimit.NewLocal(100), nil, clock.NewManual(start))
	rules := []ratelimit.Rule{{Scope: ratelimit.ByPerson, Limit: orders, Challenge: 2}}
	plain := ratelimit.Request{Person: "p"}
	solved := ratelimit.Request{Person: "p", Solved: true}
	steps := []struct {
		request ratelimit.Request
		want    ratelimit.Outcome
	}{
		{plain, ratelimit.Allow},
		{plain, ratelimit.Allow},
		{plain, ratelimit.Challenge},
		{plain, ratelimit.Challenge},
		{solved, ratelimit.Allow},
		{solved, ratelimit.Allow},
		{solved, ratelimit.Refuse},
		{plain, ratelimit.Refuse},
	}
	for i, step := range steps {
		if v := limiter.Check(t.Context(), rules, step.request); v.Outcome != step.want {
			t.Fatalf("request %d: %+v, want %v", i+1, v, step.want)
		}
	}
}

// Ten thousand runners behind one carrier's address enter by their tickets; one greedy ticket among them does not.
func TestTicketBeforeAddress(t *testing.T) {
	t.Parallel()
	limiter := ratelimit.NewLimiter(ratelimit.NewLocal(100_000), nil, clock.NewManual(start))
	rules := []ratelimit.Rule{
		{Scope: ratelimit.ByTicket, Limit: ratelimit.Limit{Name: "ticket", Quota: 2, Window: time.Minute}},
		{Scope: ratelimit.ByAddress, Limit: ratelimit.Limit{Name: "address", Quota: 20_000, Window: time.Minute}},
	}
	carrier := netip.MustParseAddr("203.0.113.7")
	for i := range 10_000 {
		r := ratelimit.Request{Ticket: strconv.Itoa(i), Address: carrier}
		if v := limiter.Check(t.Context(), rules, r); v.Outcome != ratelimit.Allow {
			t.Fatalf("runner %d: %+v", i, v)
		}
	}
	greedy := ratelimit.Request{Ticket: "greedy", Address: carrier}
	for i := range 10_000 {
		if v := limiter.Check(t.Context(), rules, greedy); i >= 2 && v.Outcome != ratelimit.Refuse {
			t.Fatalf("greedy request %d: %+v", i, v)
		}
	}
	if v := limiter.Check(t.Context(), rules, ratelimit.Request{Ticket: "last", Address: carrier}); v.Outcome != ratelimit.Allow {
		t.Errorf("the greedy one used up everybody's address: %+v", v)
	}
}

func TestShadowOnlyCounts(t *testing.T) {
	t.Parallel()
	limiter := ratelimit.NewLimiter(ratelimit.NewLocal(100), nil, clock.NewManual(start))
	rules := []ratelimit.Rule{{Scope: ratelimit.ByPerson, Limit: orders, Shadow: true}}
	for i := range 10 {
		v := limiter.Check(t.Context(), rules, ratelimit.Request{Person: "p"})
		if v.Outcome != ratelimit.Allow || (v.Shadowed != nil) != (i >= 4) {
			t.Fatalf("request %d: %+v", i+1, v)
		}
	}
}

func TestUnknownKeysAreSkipped(t *testing.T) {
	t.Parallel()
	limiter := ratelimit.NewLimiter(ratelimit.NewLocal(100), nil, clock.NewManual(start))
	rules := []ratelimit.Rule{{Scope: ratelimit.ByTicket, Limit: orders}, {Scope: ratelimit.ByAddress, Limit: orders}}
	for range 10 {
		if v := limiter.Check(t.Context(), rules, ratelimit.Request{}); v.Outcome != ratelimit.Allow || v.Rule != nil {
			t.Fatalf("strangers share a count: %+v", v)
		}
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	l := ratelimit.Limit{Name: "burst", Quota: 100, Window: time.Minute}
	d := ratelimit.Decision{Reset: 29*time.Second + 1, Retry: 29*time.Second + 1}
	got := []string{ratelimit.PolicyHeader(l), ratelimit.StateHeader(l, d), ratelimit.RetryAfter(d), ratelimit.RetryAfter(ratelimit.Decision{})}
	want := []string{`"burst";q=100;w=60`, `"burst";r=0;t=30`, "30", "1"}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%s, want %s", got[i], want[i])
		}
	}
}

func TestClientAddress(t *testing.T) {
	t.Parallel()
	proxies, err := ratelimit.ParseProxies("127.0.0.1, ::1 10.0.0.0/8,::ffff:172.16.0.0/108")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, peer string
		forwarded  []string
		want       string
	}{
		{"no proxy", "198.51.100.4:1234", nil, "198.51.100.4"},
		{"an untrusted peer claims to be another", "198.51.100.4:1234", []string{"203.0.113.7"}, "198.51.100.4"},
		{"one proxy", "127.0.0.1:1234", []string{"203.0.113.7"}, "203.0.113.7"},
		{"the client wrote an entry of its own", "127.0.0.1:1", []string{"1.2.3.4, 203.0.113.7"}, "203.0.113.7"},
		{"the client claims to be a proxy", "127.0.0.1:1", []string{"10.0.0.1, 203.0.113.7"}, "203.0.113.7"},
		{"two proxies", "127.0.0.1:1", []string{"1.2.3.4,203.0.113.7, 10.1.2.3"}, "203.0.113.7"},
		{"two headers", "127.0.0.1:1", []string{"1.2.3.4", "203.0.113.7", "10.1.2.3"}, "203.0.113.7"},
		{"everyone is trusted", "127.0.0.1:1", []string{"10.0.0.9, 10.0.0.1"}, "10.0.0.9"},
		{"garbage ends the walk", "127.0.0.1:1", []string{"203.0.113.7, unknown, 10.0.0.1"}, "10.0.0.1"},
		{"empty", "127.0.0.1:1", []string{""}, "127.0.0.1"},
		{"with a port", "127.0.0.1:1", []string{"203.0.113.7:4711"}, "203.0.113.7"},
		{"IPv6 in brackets with a port", "[::1]:1", []string{"[2001:db8::1]:4711"}, "2001:db8::1"},
		{"IPv6 in brackets", "[::1]:1", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"a mapped proxy", "[::ffff:10.0.0.1]:1", []string{"203.0.113.7"}, "203.0.113.7"},
		{"a mapped network", "172.16.0.9:1", []string{"203.0.113.7"}, "203.0.113.7"},
		{"a mapped client", "127.0.0.1:1", []string{"::ffff:203.0.113.7"}, "203.0.113.7"},
		{"a zone is the sender's own idea", "127.0.0.1:1", []string{"fe80::1%x"}, "fe80::1"},
	}
	for _, test := range tests {
		got, ok := proxies.Client(test.peer, test.forwarded)
		if !ok || got.String() != test.want {
			t.Errorf("%s: %v, want %s", test.name, got, test.want)
		}
	}
	if _, ok := proxies.Client("@", nil); ok {
		t.Error("a peer without an address has one")
	}
	for _, bad := range []string{"10.0.0.0/33", "proxy", "10.0.0", "fe80::1%eth0"} {
		if _, err := ratelimit.ParseProxies(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestAddressKey(t *testing.T) {
	t.Parallel()
	same := [][2]string{
		{"2001:db8:1:2::1", "2001:db8:1:2:ffff::9"},
		{"203.0.113.7", "::ffff:203.0.113.7"},
	}
	for _, pair := range same {
		if a, b := ratelimit.AddressKey(netip.MustParseAddr(pair[0])), ratelimit.AddressKey(netip.MustParseAddr(pair[1])); a != b {
			t.Errorf("%s is counted under %s, %s under %s", pair[0], a, pair[1], b)
		}
	}
	if a, b := ratelimit.AddressKey(netip.MustParseAddr("2001:db8:1:2::1")), ratelimit.AddressKey(netip.MustParseAddr("2001:db8:1:3::1")); a == b {
		t.Errorf("two networks are both counted under %s", a)
	}
}

// Whatever is left of what the last trusted proxy wrote changes nothing.
func FuzzClientAddress(f *testing.F) {
	f.Add("1.2.3.4, 10.0.0.1")
	f.Add("[::1]:x,,, ,\x00")
	f.Add(strings.Repeat("10.0.0.1,", 100))
	proxies, err := ratelimit.ParseProxies("127.0.0.1 10.0.0.0/8")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, claimed string) {
		if got, ok := proxies.Client("198.51.100.4:1", []string{claimed}); !ok || got.String() != "198.51.100.4" {
			t.Fatalf("a stranger became %v", got)
		}
		got, ok := proxies.Client("127.0.0.1:1", []string{claimed + ", 203.0.113.7"})
		if !ok || got.String() != "203.0.113.7" {
			t.Fatalf("the proxy's entry was overruled: %v", got)
		}
		if got, ok := proxies.Client("127.0.0.1:1", []string{claimed}); !ok || !got.IsValid() || got.Zone() != "" {
			t.Fatalf("client %v", got)
		}
	})
}

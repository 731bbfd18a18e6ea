package redisstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"gapura/internal/captcha"
	"gapura/internal/clock"
	"gapura/internal/jobs"
	"gapura/internal/ratelimit"
	"gapura/internal/ratelimit/ratelimittest"
	"gapura/internal/waitroom"
)

var start = time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC)

// server is a Redis of this test run.
type server struct {
	client *redis.Client
	pass   func(time.Duration) // lets the server's time pass
	now    func() time.Time
}

// private is the one redis-server of the run; TestMain stops it.
var private struct {
	address string
	reason  string // why there is none
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "gapura-redis")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	stop, err := startRedis(dir)
	if err != nil {
		private.reason = err.Error()
		return m.Run()
	}
	defer stop()
	return m.Run()
}

// startRedis starts a private server on a Unix socket, which cannot be taken by anyone else between choosing and binding.
func startRedis(dir string) (stop func(), err error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errors.New("redis-server is not installed (Debian: apt-get install redis-server)")
	}
	private.address = filepath.Join(dir, "s")
	server := exec.Command(program, "--port", "0", "--unixsocket", private.address, "--dir", dir, "--save", "", "--appendonly", "no")
	if err := server.Start(); err != nil {
		return nil, err
	}
	stop = func() { _ = server.Process.Kill(); _ = server.Wait() }
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if c, err := net.Dial("unix", private.address); err == nil {
			_ = c.Close()
			return stop, nil
		}
		<-time.After(5 * time.Millisecond) // the socket appears when the server listens
	}
	stop()
	return nil, errors.New("redis-server did not listen within 10 s")
}

// onEach runs test against miniredis and against a real Redis.
func onEach(t *testing.T, test func(t *testing.T, s server)) {
	t.Run("miniredis", func(t *testing.T) {
		mini := miniredis.RunT(t)
		now := start
		mini.SetTime(now)
		client := redis.NewClient(&redis.Options{Addr: mini.Addr()})
		t.Cleanup(func() { _ = client.Close() })
		test(t, server{client, func(d time.Duration) {
			now = now.Add(d)
			mini.SetTime(now)
			mini.FastForward(d)
		}, func() time.Time { return now }})
	})
	t.Run("redis", func(t *testing.T) {
		if private.reason != "" {
			if os.Getenv("CI") != "" {
				t.Fatal(private.reason)
			}
			t.Skip(private.reason)
		}
		client := redis.NewClient(&redis.Options{Network: "unix", Addr: private.address})
		t.Cleanup(func() { _ = client.Close() })
		if err := client.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		test(t, server{client, nil, time.Now})
	})
}

func TestLimitsConform(t *testing.T) {
	onEach(t, func(t *testing.T, s server) {
		limits := NewLimits(s.client)
		ratelimittest.Conform(t, "conform:", func(key string, l ratelimit.Limit, now time.Time, reserve int) (ratelimit.Decision, error) {
			return limits.takeAt(t.Context(), key, l, reserve, now.UnixMicro())
		})
	})
}

// By the server's own clock, and from several nodes at once, exactly the quota is allowed; nothing is kept for longer
// than it matters.
func TestLimitsOfSeveralNodes(t *testing.T) {
	onEach(t, func(t *testing.T, s server) {
		l := ratelimit.Limit{Name: "orders", Quota: 40, Window: time.Hour}
		allowed := make(chan bool, 100)
		var nodes sync.WaitGroup
		for range 4 {
			nodes.Go(func() {
				limits := NewLimits(s.client)
				for range 25 {
					d, err := limits.Take(t.Context(), "person", l, 0)
					if err != nil {
						t.Error(err)
					}
					if d.Allowed {
						allowed <- true
					}
				}
			})
		}
		nodes.Wait()
		if len(allowed) != 40 {
			t.Errorf("%d of 100 allowed, the quota is 40", len(allowed))
		}
		ttl := s.client.PTTL(t.Context(), limitKey("orders", "person")).Val()
		if ttl <= 59*time.Minute || ttl > time.Hour {
			t.Errorf("kept for %v", ttl)
		}
	})
}

func TestLimitsSurviveForeignValues(t *testing.T) {
	onEach(t, func(t *testing.T, s server) {
		l := ratelimit.Limit{Name: "orders", Quota: 2, Window: time.Minute}
		limits := NewLimits(s.client)
		s.client.HSet(t.Context(), limitKey("orders", "hash"), "a", "b")
		if _, err := limits.Take(t.Context(), "hash", l, 0); err == nil {
			t.Error("a value of another type is no error")
		}
		s.client.Set(t.Context(), limitKey("orders", "far"), "99999999999999999", 0)
		if d, err := limits.Take(t.Context(), "far", l, 0); err != nil || d.Retry > l.Burst() {
			t.Errorf("an instant far ahead: %+v %v", d, err)
		}
	})
}

func TestSpent(t *testing.T) {
	onEach(t, func(t *testing.T, s server) {
		spent := NewSpent(s.client, clock.NewManual(start))
		for i, want := range []bool{true, false, false} {
			if first, err := spent.Spend(t.Context(), "altcha:a", "", start.Add(time.Minute)); err != nil || first != want {
				t.Errorf("use %d: %v %v", i+1, first, err)
			}
		}
		if first, err := spent.Spend(t.Context(), "altcha:b", "", start.Add(-time.Minute)); err != nil || !first {
			t.Errorf("another: %v %v", first, err)
		}
		for _, key := range s.client.Keys(t.Context(), "*").Val() {
			if ttl := s.client.PTTL(t.Context(), key).Val(); ttl <= 0 || ttl > 6*time.Minute {
				t.Errorf("%s is kept for %v", key, ttl)
			}
		}
	})
}

func TestBoard(t *testing.T) {
	onEach(t, func(t *testing.T, s server) {
		board := NewBoard(s.client)
		if _, shown, err := board.Look(t.Context(), 7); shown || err != nil {
			t.Fatalf("an empty board: %v %v", shown, err)
		}
		record := waitroom.Record{
			EventID: 7, Sealed: []byte{1, 2}, Commitment: waitroom.Hash{3}, Drawn: 4, Late: 5,
			Operator: waitroom.Operator{Paused: true, Ceiling: 1.5, Groups: []int64{9}},
			Progress: waitroom.Progress{
				Phase: waitroom.Open, Served: 6, Stock: waitroom.Held, UpdatedAt: start,
				Admission: waitroom.NewAdmission(waitroom.DefaultTuning()),
			},
		}
		post(t, board, record)
		look(t, board, record)
		older := record
		older.UpdatedAt, older.Served = start.Add(-time.Millisecond), 5
		post(t, board, older)
		look(t, board, record)
		newer := record
		newer.UpdatedAt, newer.Served = start.Add(time.Millisecond), 8
		post(t, board, newer)
		look(t, board, newer)
		if ttl := s.client.PTTL(t.Context(), roomKey(7)).Val(); ttl <= 0 || ttl > boardTTL {
			t.Errorf("shown for %v", ttl)
		}
		if s.pass != nil {
			s.pass(boardTTL)
			if _, shown, err := board.Look(t.Context(), 7); shown || err != nil {
				t.Errorf("a dead leader's record is still shown: %v", err)
			}
		}
	})
}

func post(t *testing.T, b *Board, r waitroom.Record) {
	t.Helper()
	if err := b.Post(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

func look(t *testing.T, b *Board, want waitroom.Record) {
	t.Helper()
	got, shown, err := b.Look(t.Context(), want.EventID)
	if err != nil || !shown || !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v %v %v, want %+v", got, shown, err, want)
	}
}

func TestSamples(t *testing.T) {
	onEach(t, func(t *testing.T, s server) {
		board := NewBoard(s.client)
		want := map[string]waitroom.Sample{
			"a": {QueueWait: time.Millisecond, Commit: 2 * time.Millisecond, Orders: 3},
			"b": {Orders: 4},
		}
		for node, sample := range want {
			if err := board.Report(t.Context(), node, sample); err != nil {
				t.Fatal(err)
			}
		}
		gone := s.now().Add(-time.Hour).UnixMilli()
		s.client.HSet(t.Context(), engineKey, "old", fmt.Sprint(gone, " {}"), "garbage", "x")
		got, err := board.Samples(t.Context())
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v %v", got, err)
		}
		if n := s.client.HLen(t.Context(), engineKey).Val(); n != 2 {
			t.Errorf("%d nodes are remembered", n)
		}
		if s.pass != nil {
			s.pass(sampleTTL + time.Second)
			if got, err := board.Samples(t.Context()); err != nil || len(got) != 0 {
				t.Errorf("samples that say nothing any more: %+v %v", got, err)
			}
		}
	})
}

// A Redis that is gone, or does not answer, means local limits and answers used once a node: never an outage.
func TestRedisGone(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	client := redis.NewClient(&redis.Options{Addr: silent.Addr().String(), ContextTimeoutEnabled: true, MaxRetries: -1})
	t.Cleanup(func() { _ = client.Close() })
	manual := clock.NewManual(start)

	limiter := ratelimit.NewLimiter(ratelimit.NewLocal(100), NewLimits(client), manual)
	rules := []ratelimit.Rule{{Scope: ratelimit.ByPerson, Shared: true, Limit: ratelimit.Limit{Name: "orders", Quota: 20, Window: time.Minute}}}
	began := time.Now()
	for i := range 30 {
		want := ratelimit.Allow
		if i >= 20 {
			want = ratelimit.Refuse
		}
		if v := limiter.Check(t.Context(), rules, ratelimit.Request{Person: "p"}); v.Outcome != want {
			t.Fatalf("request %d: %+v", i+1, v)
		}
	}
	if took := time.Since(began); took > 2*time.Second || limiter.SharedMisses() != 5 {
		t.Errorf("30 requests took %v with %d misses", took, limiter.SharedMisses())
	}

	spent := captcha.NewTieredSpent(captcha.NewLocalSpent(manual, time.Hour, 10), NewSpent(client, manual), 20*time.Millisecond)
	for i, want := range []bool{true, false} {
		if first, err := spent.Spend(context.Background(), "a", "", start.Add(time.Minute)); first != want || err != nil {
			t.Errorf("use %d: %v %v", i+1, first, err)
		}
	}
}

func TestCache(t *testing.T) {
	onEach(t, func(t *testing.T, s server) {
		c := NewCache(s.client)
		if got, err := c.Get(t.Context(), "page"); got != nil || err != nil {
			t.Errorf("an empty cache has %q, %v", got, err)
		}
		if err := c.Set(t.Context(), "page", []byte("\x00<p>"), 500*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		if got, err := c.Get(t.Context(), "page"); string(got) != "\x00<p>" || err != nil {
			t.Errorf("%q %v", got, err)
		}
		if ttl := s.client.PTTL(t.Context(), cacheKey("page")).Val(); ttl <= 0 || ttl > 500*time.Millisecond {
			t.Errorf("kept for %v", ttl)
		}
		if s.pass != nil {
			s.pass(500 * time.Millisecond)
			if got, err := c.Get(t.Context(), "page"); got != nil || err != nil {
				t.Errorf("after its time: %q %v", got, err)
			}
		}
	})
}

// A rush is over by itself when nobody says any more that there is one.
func TestARushEnds(t *testing.T) {
	onEach(t, func(t *testing.T, s server) {
		r := NewRush(s.client)
		is := func(want jobs.Demand) {
			t.Helper()
			if said, err := r.Said(t.Context()); err != nil || said != want {
				t.Errorf("the demand is %v, %v; want %v", said, err, want)
			}
		}
		say := func(demand jobs.Demand, ttl time.Duration) {
			t.Helper()
			if err := r.Say(t.Context(), demand, ttl); err != nil {
				t.Fatal(err)
			}
		}
		is(jobs.Calm)
		say(jobs.Busy, time.Minute)
		is(jobs.Busy)
		say(jobs.Late, time.Second)
		is(jobs.Late)
		say(jobs.Busy, time.Minute) // another node, where nobody waits
		is(jobs.Late)
		if left := s.client.PTTL(t.Context(), rushKey).Val(); left <= 0 || left > time.Second {
			t.Errorf("it lasts %v", left)
		}
		if s.pass != nil {
			s.pass(2 * time.Second)
			is(jobs.Busy)
			s.pass(time.Minute)
			is(jobs.Calm)
		}
	})
}

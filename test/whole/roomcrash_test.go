package whole

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"gapura/internal/waitroom"
	"gapura/test/peers"
)

// hall is a waiting room whose program is killed and whose Redis is wiped while visitors come, are drawn and enter.
type hall struct {
	t      *testing.T
	i      *installation
	n      *node
	redis  *redis.Client
	client *http.Client
	opens  time.Time
}

// A kill -9 together with a wiped Redis in the pre-queue, at the draw, at opening and while people enter: every ticket and every
// pass counts afterwards, nobody enters twice, and what was published or served never changes or goes back.
func TestARoomThroughKills(t *testing.T) {
	t.Parallel()
	const visitors = 120
	h := openHall(t, 2*visitors) // a kill loses count of the orders that were expected, and the last places wait for them
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
	defer cancel()
	watched, watch := context.WithCancel(ctx)
	seen := make(chan error, 1)
	go func() { seen <- h.watch(watched) }()

	came := h.all(ctx, visitors, func(ctx context.Context, v *comer) error { return v.draw(ctx) }, visitors/3, "in the pre-queue")
	if drawn := h.i.count(t, "SELECT COUNT(*) FROM waitroom_draws"); drawn != visitors {
		t.Errorf("%d have tickets, %d drew", visitors, drawn)
	}
	h.i.must(t, "room", "ceiling", "night-run", "80")
	h.until(ctx, waitroom.Closed)
	h.disaster("when the list has closed")
	h.until(ctx, waitroom.Open)
	h.disaster("at opening")
	h.each(ctx, came, func(ctx context.Context, v *comer) error { return v.enter(ctx) }, visitors/3, "while they enter")
	h.each(ctx, came, func(ctx context.Context, v *comer) error { return v.again(ctx) }, -1, "")

	watch()
	if err := <-seen; err != nil {
		t.Error(err)
	}
	for what, query := range map[string]string{
		"passes": "SELECT COUNT(*) FROM waitroom_passes", "orders": "SELECT COUNT(*) FROM orders", "numbers": "SELECT COUNT(*) FROM waitroom_draws",
	} {
		if n := h.i.count(t, query); n != visitors {
			t.Errorf("%d visitors have %d %s", visitors, n, what)
		}
	}
	if said := h.i.must(t, "draw", "verify", h.n.url()+"/e/night-run", "--number", came[0].number); strings.Contains(said, "FAIL") {
		t.Errorf("the draw does not verify:\n%s", said)
	}
	h.i.clean(t)
}

func openHall(t *testing.T, places int) *hall {
	t.Helper()
	if _, err := program(); err != nil { // built before the clock starts
		t.Fatal(err)
	}
	server := peers.PrivateRedis(t)
	i := onMariaDB(t, peers.MariaDB(t))
	url := server.NewDatabase(t)
	i.environment = append(i.environment, "RATE_LIMITS=off", "DRAW_CLOSES_BEFORE=6s", "CACHE_STORE=redis", "REDIS_URL="+url)
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	h := &hall{t: t, i: i, redis: redis.NewClient(options), opens: time.Now().Add(16 * time.Second).Truncate(time.Second)}
	h.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: 10 * time.Second}
	t.Cleanup(func() { h.client.CloseIdleConnections(); _ = h.redis.Close() })
	race := time.Now().AddDate(0, 6, 0)
	text := fmt.Sprintf(eventText, race.Format(time.DateOnly), race.AddDate(0, 0, -7).Format(time.DateOnly), places)
	text = strings.Replace(text, "2020-12-01T10:00", h.opens.In(time.FixedZone("WIB", 7*3600)).Format("2006-01-02T15:04:05"), 1)
	path := filepath.Join(i.directory, "room.yaml")
	if err := os.WriteFile(path, []byte(text+"waiting_room: {enabled: true, pre_queue: draw}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	i.must(t, "event", "apply", path)
	h.n = i.serve(t)
	return h
}

// disaster wipes Redis, kills the program, wipes Redis again and starts the program.
func (h *hall) disaster(when string) {
	h.t.Helper()
	wipe := func() error { return h.redis.FlushAll(context.Background()).Err() }
	if err := errors.Join(wipe(), h.n.kill(), wipe(), h.n.start()); err != nil {
		h.t.Fatalf("kill -9 and FLUSHALL %s: %v", when, err)
	}
}

// all makes visitors and lets each do work at the same time; once some are done comes a disaster.
func (h *hall) all(ctx context.Context, n int, work func(context.Context, *comer) error, some int, when string) []*comer {
	h.t.Helper()
	came := make([]*comer, n)
	for i := range came {
		came[i] = &comer{hall: h, n: i, key: fmt.Sprintf("visitor-of-the-hall-%d", i)}
	}
	h.each(ctx, came, work, some, when)
	return came
}

func (h *hall) each(ctx context.Context, came []*comer, work func(context.Context, *comer) error, some int, when string) {
	h.t.Helper()
	var wg sync.WaitGroup
	var done atomic.Int64
	half := make(chan struct{})
	for _, v := range came {
		wg.Go(func() {
			if err := work(ctx, v); err != nil {
				h.t.Errorf("visitor %d: %v", v.n, err)
			}
			if done.Add(1) == int64(some) {
				close(half)
			}
		})
	}
	if some > 0 {
		<-half
		h.disaster(when)
	}
	wg.Wait()
	if h.t.Failed() {
		h.t.FailNow()
	}
}

// state is false while the program does not answer.
func (h *hall) state(ctx context.Context) (s waitroom.State, ok bool) {
	status, err := h.call(ctx, "GET", "/queue", "", "", &s)
	return s, err == nil && status == http.StatusOK
}

func (h *hall) until(ctx context.Context, phase waitroom.Phase) {
	h.t.Helper()
	for ctx.Err() == nil {
		if s, ok := h.state(ctx); ok && s.Phase == phase {
			return
		}
		wait(ctx, 20*time.Millisecond)
	}
	h.t.Fatalf("the room was never %s", phase)
}

// watch polls until ctx ends and reports what changed that must not.
func (h *hall) watch(ctx context.Context) error {
	var last waitroom.State
	for ; ctx.Err() == nil; wait(ctx, 20*time.Millisecond) {
		s, ok := h.state(ctx)
		if !ok {
			continue
		}
		switch {
		case s.Served < last.Served || s.Drawn < last.Drawn:
			return fmt.Errorf("served went from %d to %d, drawn from %d to %d", last.Served, s.Served, last.Drawn, s.Drawn)
		case last.Commitment != nil && *s.Commitment != *last.Commitment, last.Root != nil && (s.Root == nil || *s.Root != *last.Root),
			last.Seed != "" && s.Seed != last.Seed:
			return fmt.Errorf("what was published changed from %+v to %+v", last, s)
		case s.Seed != "" && time.Now().Before(h.opens):
			return fmt.Errorf("the seed was published %v before opening", time.Until(h.opens))
		}
		last = s
	}
	return nil
}

// call asks once; body may be empty.
func (h *hall) call(ctx context.Context, method, path, key, body string, into any, header ...string) (int, error) {
	r, err := http.NewRequestWithContext(ctx, method, h.n.url()+"/api/v1/events/night-run"+path, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w, err := h.client.Do(r)
	if err != nil {
		return 0, err
	}
	defer func() { _ = w.Body.Close() }()
	return w.StatusCode, json.NewDecoder(w.Body).Decode(into)
}

// comer is one visitor, who tries again as a page does.
type comer struct {
	*hall

	n                         int
	key, ticket, number, pass string
}

// roomAnswer is what any of the calls may say.
type roomAnswer struct{ Ticket, Number, Kind, Pass, Code, Reason string }

// persist repeats a call until it is answered by want, over lost connections, refusals for want of room and until the turn has come.
func (v *comer) persist(ctx context.Context, path, body string, want int, header ...string) (a roomAnswer, err error) {
	for ; ctx.Err() == nil; wait(ctx, 300*time.Millisecond) {
		a = roomAnswer{}
		status, err := v.call(ctx, "POST", path, v.key, body, &a, header...)
		switch {
		case err != nil, status == http.StatusServiceUnavailable, a.Reason == "not_yet", a.Code == "idempotency_in_flight", a.Code == "not_open":
			continue
		case status != want:
			return a, fmt.Errorf("%s: %d %+v", path, status, a)
		}
		return a, nil
	}
	return a, fmt.Errorf("%s: no answer: %w", path, ctx.Err())
}

func (v *comer) draw(ctx context.Context) error {
	a, err := v.persist(ctx, "/queue/tickets", "", http.StatusCreated)
	if err == nil && a.Kind != "drawn" {
		err = fmt.Errorf("a ticket that is %s: the machine was too slow for this test", a.Kind)
	}
	v.ticket, v.number = a.Ticket, a.Number
	return err
}

func (v *comer) exchange(key string) string {
	return fmt.Sprintf(`{"ticket":%q,"idempotency_key":%q}`, v.ticket, key)
}

func (v *comer) enter(ctx context.Context) error {
	a, err := v.persist(ctx, "/queue/passes", v.exchange(v.key), http.StatusCreated)
	if err != nil {
		return err
	}
	if time.Now().Before(v.opens) {
		return fmt.Errorf("entered %v before opening", time.Until(v.opens))
	}
	v.pass = a.Pass
	_, err = v.persist(ctx, "/orders", order(v.n, "Siti Aminah"), http.StatusCreated, "Queue-Pass", v.pass)
	return err
}

// again asks for a second entry with everything that was used for the first.
func (v *comer) again(ctx context.Context) error {
	a, err := v.persist(ctx, "/queue/passes", v.exchange(v.key), http.StatusCreated)
	if err != nil || a.Pass != v.pass {
		return fmt.Errorf("the pass became another: %w", err)
	}
	if a, err = v.persist(ctx, "/queue/passes", v.exchange("another-"+v.key), http.StatusForbidden); err != nil || a.Reason != "used" {
		return fmt.Errorf("a second pass for the ticket: %+v %w", a, err)
	}
	first := v.key
	v.key = "another-" + first
	a, err = v.persist(ctx, "/orders", order(1000+v.n, "Siti Aminah"), http.StatusForbidden, "Queue-Pass", v.pass)
	v.key = first
	if err != nil || a.Reason != "used" {
		return fmt.Errorf("a second order with the pass: %+v %w", a, err)
	}
	return nil
}

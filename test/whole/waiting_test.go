package whole

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"gapura/internal/waitroom"
	"gapura/test/peers"
)

// A hundred thousand visitors draw, then wait and poll as their pages do. Polls must cost at most half a core and 256 MB, and
// the database nothing.
func TestAHundredThousandWait(t *testing.T) {
	peers.Long(t)
	t.Run("sqlite", func(t *testing.T) { wait100k(t, onSQLite(t), nil) })
	t.Run("mariadb and redis", func(t *testing.T) {
		i := onMariaDB(t, peers.MariaDB(t))
		url := peers.PrivateRedis(t).NewDatabase(t)
		i.environment = append(i.environment, "CACHE_STORE=redis", "REDIS_URL="+url)
		options, err := redis.ParseURL(url)
		if err != nil {
			t.Fatal(err)
		}
		client := redis.NewClient(options)
		t.Cleanup(func() { _ = client.Close() })
		wait100k(t, i, map[string]func() int{
			"database": func() int { return i.statements(t) }, "Redis": func() int { return commands(t, client) },
		})
	})
}

// commands counts what Redis has been asked so far, this question included.
func commands(t *testing.T, client *redis.Client) int {
	t.Helper()
	said, err := client.Info(t.Context(), "stats").Result()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(said, "total_commands_processed:")
	n, err := strconv.Atoi(strings.TrimSpace(strings.SplitN(rest, "\n", 2)[0]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

const waiters = 100_000

// wait100k counts what the peers are asked while people poll.
func wait100k(t *testing.T, i *installation, asked map[string]func() int) {
	i.environment = append(i.environment, "RATE_LIMITS=off")
	race := time.Now().AddDate(0, 6, 0)
	text := fmt.Sprintf(eventText, race.Format(time.DateOnly), race.AddDate(0, 0, -7).Format(time.DateOnly), 1000)
	text = strings.Replace(text, "2020-12-01T10:00", time.Now().AddDate(0, 0, 2).Format("2006-01-02T15:04"), 1)
	path := filepath.Join(i.directory, "room.yaml")
	if err := os.WriteFile(path, []byte(text+"waiting_room: {enabled: true, pre_queue: draw}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	i.must(t, "event", "apply", path)
	n := i.serve(t)
	// No more connections than are kept: with more, a machine that is slow for a moment runs out of ports.
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1024, MaxConnsPerHost: 1024}, Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	queue := n.url() + "/api/v1/events/night-run/queue"

	began, cpu := time.Now(), n.cpu(t)
	drawn := many(512, waiters, func() bool { return answers(client, "POST", queue+"/tickets", http.StatusCreated) })
	took := time.Since(began)
	t.Logf("%d of %d drew in %v: %.0f a second, %.2f cores", drawn, waiters, took.Round(time.Millisecond), float64(drawn)/took.Seconds(),
		(n.cpu(t)-cpu).Seconds()/took.Seconds())
	if drawn != waiters || i.count(t, "SELECT COUNT(*) FROM waitroom_draws") != waiters {
		t.Errorf("%d were answered, %d are kept", drawn, i.count(t, "SELECT COUNT(*) FROM waitroom_draws"))
	}
	rate := pollRate(t, client, queue)
	before := map[string]int{}
	for peer, count := range asked {
		before[peer] = count()
	}
	const length = 15 * time.Second
	began, cpu = time.Now(), n.cpu(t)
	polls := paced(rate, length, func() bool { return answers(client, "GET", queue, http.StatusOK) })
	took = time.Since(began)
	cores := (n.cpu(t) - cpu).Seconds() / took.Seconds()
	t.Logf("%d waiting poll %.0f times a second, %d were answered in %v: %.3f cores, %d MB", waiters, rate, polls, took.Round(time.Millisecond),
		cores, n.memory(t)>>20)
	if float64(polls) < 0.95*rate*length.Seconds() {
		t.Errorf("only %d polls were answered", polls)
	}
	if cores > 0.5 || n.memory(t) > 256<<20 {
		t.Errorf("%.3f cores and %d MB, the most is half a core and 256 MB", cores, n.memory(t)>>20)
	}
	for peer, count := range asked {
		during := count() - before[peer]
		t.Logf("%s was asked %d times in that time, %.4f times a poll", peer, during, float64(during)/float64(polls))
		if own := int(took.Seconds()) * 60; during > own { // what the program does by itself, whoever polls
			t.Errorf("%s was asked %d times for %d polls", peer, during, polls)
		}
	}
}

// pollRate is how often all who wait ask together, by what the state tells their pages.
func pollRate(t *testing.T, client *http.Client, queue string) float64 {
	t.Helper()
	for until := time.Now().Add(10 * time.Second); time.Now().Before(until); <-time.After(100 * time.Millisecond) {
		response, err := client.Get(queue)
		if err != nil {
			t.Fatal(err)
		}
		var state struct {
			Drawn  int     `json:"drawn"`
			After  float64 `json:"poll_after_s"`
			Jitter float64 `json:"poll_jitter_s"`
		}
		err = json.NewDecoder(response.Body).Decode(&state)
		_ = response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if state.Drawn == waiters {
			return waiters / (state.After + state.Jitter/2)
		}
	}
	t.Fatal("the state never showed everyone who drew")
	return 0
}

func answers(client *http.Client, method, address string, want int) bool {
	request, err := http.NewRequestWithContext(context.Background(), method, address, http.NoBody)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err == nil && response.Body.Close() == nil && response.StatusCode == want
}

// many runs work n times, so many at once, and returns how often it went well.
func many(atOnce, n int, work func() bool) int {
	var left, good atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	for range atOnce {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if work() {
					good.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return int(good.Load())
}

// paced begins work rate times a second whether or not earlier ones have ended, a hundred times a second some.
func paced(rate float64, length time.Duration, work func() bool) int {
	var good atomic.Int64
	var wg sync.WaitGroup
	begin, sent := time.Now(), 0
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for passed := time.Duration(0); passed < length; passed = time.Since(begin) {
		for due := int(rate * passed.Seconds()); sent < due; sent++ {
			wg.Go(func() {
				if work() {
					good.Add(1)
				}
			})
		}
		<-tick.C
	}
	wg.Wait()
	return int(good.Load())
}

// statements counts what the database server has been asked so far, this question included.
func (i *installation) statements(t *testing.T) int {
	t.Helper()
	db := i.open(t)
	defer func() { _ = db.Close() }()
	var name string
	var n int
	if err := db.QueryRowContext(t.Context(), "SHOW GLOBAL STATUS LIKE 'Questions'").Scan(&name, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// cpu is the processor time that the node has used. The kernel counts it in hundredths of a second.
func (n *node) cpu(t *testing.T) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", n.process.Pid))
	if err != nil {
		t.Skip("processor time is read from /proc, which only Linux has")
	}
	_, rest, _ := bytes.Cut(text, []byte(") "))
	fields := strings.Fields(string(rest))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// memory is what the node has in RAM, in bytes.
func (n *node) memory(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", n.process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	pages, _ := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// Ten thousand draw, and enter after opening in the order of the draw: whoever is let in stands at or before the published
// threshold, and all those in front of it have been let in too.
func TestTenThousandEnterInTheOrderOfTheDraw(t *testing.T) { //nolint:tparallel // its load would starve whatever else is timed
	peers.Long(t)
	databases(t, func(t *testing.T, i *installation) {
		const visitors = 10_000
		i.environment = append(i.environment, "RATE_LIMITS=off", "DRAW_CLOSES_BEFORE=6s")
		if _, err := program(); err != nil { // built before the clock starts
			t.Fatal(err)
		}
		opens := time.Now().Add(40 * time.Second).Truncate(time.Second)
		race := time.Now().AddDate(0, 6, 0)
		text := fmt.Sprintf(eventText, race.Format(time.DateOnly), race.AddDate(0, 0, -7).Format(time.DateOnly), visitors)
		text = strings.Replace(text, "2020-12-01T10:00", opens.In(time.FixedZone("WIB", 7*3600)).Format("2006-01-02T15:04:05"), 1)
		path := filepath.Join(i.directory, "room.yaml")
		if err := os.WriteFile(path, []byte(text+"waiting_room: {enabled: true, pre_queue: draw}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		i.must(t, "event", "apply", path)
		n := i.serve(t)
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}, Timeout: 30 * time.Second}
		defer client.CloseIdleConnections()
		queue := n.url() + "/api/v1/events/night-run/queue"
		drawn := make(chan drawnTicket, visitors)
		if got := many(128, visitors, func() bool { return draw(client, queue, drawn) }); got != visitors {
			t.Fatalf("%d of %d drew", got, visitors)
		}
		close(drawn)
		i.must(t, "room", "ceiling", "night-run", "2500")
		waiting := entering(t, client, queue, drawn, opens)
		if entered := waiting.follow(t); entered != visitors {
			t.Errorf("%d of %d entered", entered, visitors)
		}
	})
}

type drawnTicket struct{ Ticket, Number, Kind string }

func draw(client *http.Client, queue string, into chan<- drawnTicket) bool {
	response, err := client.Post(queue+"/tickets", "application/json", strings.NewReader("{}"))
	if err != nil {
		return false
	}
	defer func() { _ = response.Body.Close() }()
	var d drawnTicket
	if json.NewDecoder(response.Body).Decode(&d) != nil || response.StatusCode != http.StatusCreated || d.Kind != "drawn" {
		return false // a late one has a place behind the draw: the machine was too slow for this test
	}
	into <- d
	return true
}

// entry is a line of visitors who wait for their turn, by rank once the seed is known.
type entry struct {
	client *http.Client
	queue  string
	opens  time.Time
	line   []ranked
}

type ranked struct {
	rank   waitroom.Rank
	ticket string
}

// entering waits for the seed and ranks the visitors as anyone can.
func entering(t *testing.T, client *http.Client, queue string, drawn <-chan drawnTicket, opens time.Time) *entry {
	t.Helper()
	e := &entry{client: client, queue: queue, opens: opens}
	for time.Since(opens) < 30*time.Second {
		if s := e.state(t); s.Seed != "" {
			if time.Now().Before(opens) {
				t.Errorf("the seed was published %v before opening", time.Until(opens))
			}
			seed, err := waitroom.ParseSeed(s.Seed)
			if err != nil {
				t.Fatal(err)
			}
			for d := range drawn {
				number, err := waitroom.ParseNumber(d.Number)
				if err != nil {
					t.Fatal(err)
				}
				e.line = append(e.line, ranked{seed.Rank(number), d.Ticket})
			}
			slices.SortFunc(e.line, func(a, b ranked) int { return cmp.Compare(a.rank, b.rank) })
			return e
		}
		<-time.After(50 * time.Millisecond) // a poll
	}
	t.Fatal("the seed was never published")
	return nil
}

func (e *entry) state(t *testing.T) (s waitroom.State) {
	t.Helper()
	response, err := e.client.Get(e.queue)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if err := json.NewDecoder(response.Body).Decode(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

// follow lets everyone enter whose turn the state says has come, and tries the one behind them, who must not.
func (e *entry) follow(t *testing.T) (entered int) {
	t.Helper()
	for until := time.Now().Add(time.Minute); entered < len(e.line) && time.Now().Before(until); <-time.After(100 * time.Millisecond) {
		s := e.state(t)
		turn := int(min(s.Served, int64(len(e.line))))
		if turn < entered {
			t.Errorf("the line went back from %d to %d", entered, turn)
		}
		next := e.line[entered:max(turn, entered)]
		var at atomic.Int64
		good := many(32, len(next), func() bool { return e.exchange(next[at.Add(1)-1].ticket) == http.StatusCreated })
		if good != len(next) {
			t.Errorf("%d of the %d whose turn had come were let in", good, len(next))
		}
		entered = max(turn, entered)
		if after := e.state(t); entered < len(e.line) && after.Served == s.Served && e.exchange(e.line[len(e.line)-1].ticket) == http.StatusCreated &&
			e.state(t).Served < int64(len(e.line)) {
			t.Error("the last of the draw was let in before its turn")
		}
	}
	return entered
}

func (e *entry) exchange(ticket string) int {
	response, err := e.client.Post(e.queue+"/passes", "application/json", strings.NewReader(`{"ticket":"`+ticket+`"}`))
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	return response.StatusCode
}

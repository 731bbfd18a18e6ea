package whole

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gapura/test/peers"
)

// A hundred thousand visitors draw, then wait and poll as their pages do. Polls must cost at most half a core and 256 MB, and
// the database nothing.
func TestAHundredThousandWait(t *testing.T) {
	peers.Long(t)
	t.Run("sqlite", func(t *testing.T) { wait100k(t, onSQLite(t), nil) })
	t.Run("mariadb", func(t *testing.T) {
		i := onMariaDB(t, peers.MariaDB(t))
		wait100k(t, i, func() int { return i.statements(t) })
	})
}

const waiters = 100_000

func wait100k(t *testing.T, i *installation, statements func() int) {
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
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1024}, Timeout: 30 * time.Second}
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
	before := 0
	if statements != nil {
		before = statements()
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
	if statements != nil {
		during := statements() - before
		t.Logf("the database was asked %d times in that time, %.4f times a poll", during, float64(during)/float64(polls))
		if own := int(took.Seconds()) * 60; during > own { // what the program does by itself, whoever polls
			t.Errorf("%d statements for %d polls", during, polls)
		}
	}
}

// pollRate is how often all who wait ask together, by what the state tells their pages.
func pollRate(t *testing.T, client *http.Client, queue string) float64 {
	t.Helper()
	for until := time.Now().Add(10 * time.Second); time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
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

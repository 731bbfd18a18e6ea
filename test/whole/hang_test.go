package whole

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gapura/test/peers"
)

// toldWithin is how long anybody waits for an answer while the database does not give one: the engine's patience of 2.5 s with
// some for a busy machine.
const toldWithin = 5 * time.Second

// A database that dies or hangs in the middle of a crowd: whoever waits is told within seconds, whoever comes meanwhile at once,
// and everything that was acknowledged is there when it is back.
func TestNobodyWaitsForALostDatabase(t *testing.T) {
	t.Parallel()
	t.Run("killed", func(t *testing.T) {
		t.Parallel()
		database := peers.PrivateMariaDB(t)
		lostDatabase(t, database, database.Kill, database.Start)
	})
	t.Run("stopped", func(t *testing.T) {
		t.Parallel()
		database := peers.PrivateMariaDB(t)
		signal := func(s os.Signal) func() error {
			return func() error {
				process, err := os.FindProcess(database.PID())
				if err != nil {
					return err
				}
				return process.Signal(s)
			}
		}
		t.Cleanup(func() { _ = signal(syscall.SIGCONT)() })
		lostDatabase(t, database, signal(syscall.SIGSTOP), signal(syscall.SIGCONT))
	})
}

func lostDatabase(t *testing.T, database *peers.MariaDBServer, lose, giveBack func() error) {
	t.Helper()
	i := onMariaDB(t, database)
	i.environment = append(i.environment, "LOG_LEVEL=debug", "RATE_LIMITS=off")
	i.apply(t, 1_000_000)
	n := i.serve(t)
	visitors := newVisitors(n, 32)
	if err := eventually(t.Context(), func() bool { return visitors.acknowledged() >= 200 }); err != nil {
		t.Fatal(err)
	}
	if err := lose(); err != nil {
		t.Fatal(err)
	}
	lost := time.Now()
	away := time.NewTimer(8 * time.Second)
	<-away.C
	refused := visitors.seen(http.StatusServiceUnavailable)
	if err := giveBack(); err != nil {
		t.Fatal(err)
	}
	back, before := time.Now(), visitors.acknowledged()
	if err := eventually(t.Context(), func() bool { return visitors.acknowledged() >= before+200 }); err != nil {
		t.Errorf("it does not go on by itself: %v", err)
	}
	resumed := time.Since(back)
	keys, waits := visitors.stop()
	slowest := slices.Max(waits)
	t.Logf("away for %s: the slowest of %d answers took %s, %d were refused meanwhile, 200 more were taken %s after it was back; answers %v",
		back.Sub(lost).Round(time.Millisecond), len(waits), slowest.Round(time.Millisecond), refused, resumed.Round(time.Millisecond), visitors.answers)
	if slowest > toldWithin {
		t.Errorf("somebody waited %s for an answer", slowest)
	}
	if refused < 100 {
		t.Errorf("only %d were refused while it was away: who comes meanwhile waits", refused)
	}
	for status := range visitors.answers {
		if status != http.StatusCreated && status != http.StatusServiceUnavailable {
			t.Errorf("%d answers were %d", visitors.answers[status], status)
		}
	}
	if found := i.count(t, "SELECT COUNT(*) FROM orders"); found < len(keys) {
		t.Errorf("%d orders were acknowledged, %d are there", len(keys), found)
	}
	i.clean(t)
	if err := n.stop(); err != nil {
		t.Error(err)
	}
	n.everyLineIsJSON(t)
}

// everyLineIsJSON: whoever collects the log can read all of it, libraries included.
func (n *node) everyLineIsJSON(t *testing.T) {
	t.Helper()
	lines := 0
	for line := range strings.Lines(n.log.String()) {
		lines++
		var entry struct{ Time, Level, Msg string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Time == "" || entry.Level == "" || entry.Msg == "" {
			t.Errorf("a line of the log is no record: %q", line)
		}
	}
	if lines == 0 {
		t.Error("nothing was logged")
	}
}

// visitors register one after the other, each with a new key when it was taken and the same one when it was not.
type visitors struct {
	cancel context.CancelFunc
	all    sync.WaitGroup

	mu      sync.Mutex
	answers map[int]int
	keys    map[string]bool
	waits   []time.Duration
}

func newVisitors(n *node, count int) *visitors {
	ctx, cancel := context.WithCancel(context.Background())
	v := &visitors{cancel: cancel, answers: map[int]int{}, keys: map[string]bool{}}
	for k := range count {
		v.all.Go(func() { v.register(ctx, n, k) })
	}
	return v
}

func (v *visitors) register(ctx context.Context, n *node, number int) {
	client := &http.Client{Transport: &http.Transport{}, Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	for k := 0; ctx.Err() == nil; {
		key := fmt.Sprintf("visitor-%d-registration-%d", number, k)
		r, err := http.NewRequest(http.MethodPost, n.url()+path, strings.NewReader(order(number*20_000+k, "Siti Aminah")))
		if err != nil {
			return
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", key)
		begin := time.Now()
		status := 0
		if w, err := client.Do(r); err == nil {
			status = w.StatusCode
			_ = w.Body.Close()
		}
		v.note(key, status, time.Since(begin))
		if status == http.StatusCreated {
			k++
		}
	}
}

func (v *visitors) note(key string, status int, took time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.answers[status]++
	v.waits = append(v.waits, took)
	if status == http.StatusCreated {
		v.keys[key] = true
	}
}

func (v *visitors) acknowledged() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.keys)
}

func (v *visitors) seen(status int) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.answers[status]
}

// stop waits for the last answers and returns the keys that were acknowledged and how long every answer took.
func (v *visitors) stop() (keys []string, waits []time.Duration) {
	v.cancel()
	v.all.Wait()
	return slices.Collect(maps.Keys(v.keys)), v.waits
}

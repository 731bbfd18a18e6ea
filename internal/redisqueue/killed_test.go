package redisqueue_test

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"gapura/internal/jobs"
	"gapura/test/conformance"
	"gapura/test/peers"
)

// victimEnv holds the driver, the database and the Redis of a worker process that is going to be killed.
const victimEnv = "GAPURA_TEST_VICTIM"

// hangs tells whether the victim never comes back from a job: before its effect, or after it.
func hangs(arg string) (before, after bool) {
	return strings.HasSuffix(arg, "0"), strings.HasSuffix(arg, "5")
}

// TestVictim is the other process of TestAWorkerIsKilled: it tells of every job it hangs in, and waits for its end.
func TestVictim(t *testing.T) {
	settings := strings.Split(os.Getenv(victimEnv), " ")
	if len(settings) != 3 {
		t.Skip("only as the other process of TestAWorkerIsKilled")
	}
	d := &conformance.Database{Driver: settings[0], DSN: settings[1]}
	w := &way{
		t: t, store: d.Open(t), options: &redis.Options{Addr: settings[2]}, effects: d.SQL(t), done: map[int64]bool{},
		dead: map[int64]bool{}, changed: make(chan struct{}),
	}
	w.handle = func(_ context.Context, job jobs.Job) error {
		before, after := hangs(job.Arg)
		if after {
			if err := effect(w.effects, job.Arg); err != nil {
				return err
			}
		}
		if before || after {
			fmt.Println("hangs in", job.Arg)
			select {}
		}
		return nil
	}
	client := redis.NewClient(w.options)
	w.receive(context.Background(), client, discard())
}

func effect(db *sql.DB, arg string) error {
	_, err := db.Exec("INSERT INTO effects (arg) VALUES (?)", arg)
	return err
}

// TestAWorkerIsKilled: jobs that died with their process are done by another within half a minute, also those whose effect
// was there already.
func TestAWorkerIsKilled(t *testing.T) {
	t.Parallel()
	server := peers.PrivateRedis(t)
	d := conformance.SQLite(t)
	w := newWay(t, d, &redis.Options{Addr: server.Address()})
	w.plan(40)
	victim := exec.Command(os.Args[0], "-test.run=^TestVictim$", "-test.v")
	victim.Env = append(os.Environ(), victimEnv+"="+d.Driver+" "+d.DSN+" "+server.Address())
	out, err := victim.StdoutPipe()
	if err == nil {
		err = victim.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	w.start(process{relay: true})
	hanging := 0
	for lines := bufio.NewScanner(out); hanging < 8 && lines.Scan(); {
		if strings.Contains(lines.Text(), "hangs in") {
			hanging++
		}
	}
	if hanging < 8 {
		t.Errorf("the victim hangs in %d jobs, want 8", hanging)
	}
	if err := victim.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = victim.Wait() // it was killed
	w.start(process{workers: true})
	w.until("every job's end", func() bool {
		var left int
		err := w.effects.QueryRow("SELECT COUNT(*) FROM outbox").Scan(&left)
		return err == nil && left == 0
	})
	var n int
	if err := w.effects.QueryRow("SELECT COUNT(*) FROM effects").Scan(&n); err != nil || n != 40 {
		t.Errorf("%d effects (%v), want 40", n, err)
	}
}

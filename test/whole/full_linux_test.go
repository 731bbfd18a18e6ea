package whole

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// smallDisk is a file system with room for size bytes.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	directory := t.TempDir()
	if err := syscall.Mount("tmpfs", directory, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("a disk that fills up needs the right to mount one: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(directory, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return directory
}

// The disk of a SQLite database fills up in the middle of a crowd: orders are told to come back, the log says what to do,
// nothing that was acknowledged is lost, and it goes on by itself when there is room again.
func TestAFullDisk(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, "24m")
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, bytes.Repeat([]byte("x"), 14<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	i := onSQLite(t)
	i.environment = append(i.environment, "DATA_DIRECTORY="+disk, "RATE_LIMITS=off")
	i.dsn = "file:" + filepath.Join(disk, "gapura.db") + "?_pragma=busy_timeout(5000)"
	i.apply(t, 1_000_000)
	n := i.serve(t)
	visitors := newVisitors(n, 32)
	full := time.NewTimer(2 * time.Minute)
	defer full.Stop()
	for tick := time.NewTicker(20 * time.Millisecond); visitors.seen(http.StatusServiceUnavailable) < 50; {
		select {
		case <-tick.C:
		case <-full.C:
			t.Fatalf("the disk does not fill up: answers %v", visitors.answers)
		}
	}
	before := visitors.acknowledged()
	if before == 0 {
		t.Error("the disk was full before anybody was taken")
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := eventually(t.Context(), func() bool { return visitors.acknowledged() > before+200 }); err != nil {
		t.Errorf("it does not go on when there is room: %v", err)
	}
	keys, _ := visitors.stop()
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
	if !strings.Contains(n.log.String(), "check that it runs, that its disk has room and that it is writable") {
		t.Errorf("the log does not say what to do:\n%.4000s", n.log)
	}
	n.everyLineIsJSON(t)
}

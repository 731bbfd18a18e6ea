// Package whole drives the built program as its users do: over the command line, HTTP and signals. Nothing in it knows the
// program's inside; what is in the database is read from the database.
package whole

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the driver of the program's own database

	"gapura/test/peers"
)

func TestMain(m *testing.M) { peers.Main(m) }

// program builds the program, once a test run. It lies in the cache directory, which make clean removes.
var program = sync.OnceValues(func() (string, error) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		return "", err
	}
	binary := filepath.Join(root, ".cache", "whole", "gapura")
	build := exec.Command("go", "build", "-o", binary, "./cmd/gapura")
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return binary, nil
})

// installation is a database, and the environment in which the program uses it.
type installation struct {
	environment []string
	driver, dsn string
	directory   string
}

func onSQLite(t testing.TB) *installation {
	t.Helper()
	directory := t.TempDir()
	return &installation{
		environment: []string{"DATA_DIRECTORY=" + directory, "LOG_LEVEL=error"},
		driver:      "sqlite", dsn: "file:" + filepath.Join(directory, "gapura.db") + "?_pragma=busy_timeout(5000)", directory: directory,
	}
}

// onMariaDB uses a new database of server.
func onMariaDB(t testing.TB, server *peers.MariaDBServer) *installation {
	t.Helper()
	dsn := server.NewDatabase(t)
	name, _, _ := strings.Cut(dsn[strings.LastIndex(dsn, "/")+1:], "?")
	host, port, err := net.SplitHostPort(server.Address())
	if err != nil {
		t.Fatal(err)
	}
	i := &installation{
		environment: []string{
			"DB_CONNECTION=mariadb", "DB_HOST=" + host, "DB_PORT=" + port, "DB_DATABASE=" + name, "DB_USERNAME=" + server.Username(),
			"DB_PASSWORD=" + server.Password(), "APP_KEY=base64:" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32))), "LOG_LEVEL=error",
		},
		driver: "mysql", dsn: dsn, directory: t.TempDir(),
	}
	i.must(t, "migrate")
	return i
}

// databases runs a test on both.
func databases(t *testing.T, test func(t *testing.T, i *installation)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); test(t, onSQLite(t)) })
	t.Run("mariadb", func(t *testing.T) { t.Parallel(); test(t, onMariaDB(t, peers.MariaDB(t))) })
}

// must runs a command that succeeds and returns what it says.
func (i *installation) must(t testing.TB, args ...string) string {
	t.Helper()
	binary, err := program()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, binary, args...)
	command.Env, command.Dir = i.environment, i.directory
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("gapura %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// apply publishes an event with that many places in all.
func (i *installation) apply(t testing.TB, places int) {
	t.Helper()
	race := time.Now().AddDate(0, 6, 0)
	text := fmt.Sprintf(eventText, race.Format(time.DateOnly), race.AddDate(0, 0, -7).Format(time.DateOnly), places)
	path := filepath.Join(i.directory, "event.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	i.must(t, "event", "apply", path)
}

const eventText = `slug: night-run
name: {id: Lari Malam, en: Night Run}
timezone: Asia/Jakarta
starts_at: %sT18:00
venue: {name: Lapangan Gasibu, city: Bandung}
registration: {opens_at: 2020-12-01T10:00, closes_at: %sT23:59, hold: 30m, max_participants: 5, unique_by: [email, phone]}
categories:
  - {id: half, name: {id: Half, en: Half}, distance_m: 21098, price: 450000}
  - {id: 10k, name: {id: 10 K, en: 10 K}, distance_m: 10000, price: 250000, prices: [{name: Early bird, price: 200000, first: 50}]}
  - {id: 5k, name: {id: 5 K, en: 5 K}, distance_m: 5000, price: 150000}
  - {id: fun, name: {id: Fun Run, en: Fun Run}, distance_m: 3000, price: 0}
quotas:
  - {id: total, size: %d, categories: [half, 10k, 5k, fun]}
questions:
  - {id: jersey, type: choice, required: true, label: {id: Jersey, en: Jersey}, options: [{value: S}, {value: M}, {value: L}], categories: [half, 10k]}
  - {id: note, type: text, label: {id: Catatan, en: Note}}
  - {id: fit, type: checkbox, label: {id: Sehat, en: Fit}}
`

// count runs a query that returns one number.
func (i *installation) count(t testing.TB, query string) int {
	t.Helper()
	db := i.open(t)
	defer func() { _ = db.Close() }()
	var n int
	if err := db.QueryRowContext(context.Background(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func (i *installation) open(t testing.TB) *sql.DB {
	t.Helper()
	db, err := sql.Open(i.driver, i.dsn)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// places counts the live ones.
func (i *installation) places(t testing.TB) int {
	t.Helper()
	return i.count(t, "SELECT COUNT(*) FROM participants p JOIN orders o ON o.id = p.order_id WHERE o.status IN ('awaiting_payment', 'confirmed')")
}

// clean runs the audit and fails on any line that is not ok.
func (i *installation) clean(t testing.TB) {
	t.Helper()
	for line := range strings.Lines(i.must(t, "audit", "night-run")) {
		if !strings.HasPrefix(line, "ok ") {
			t.Errorf("audit: %s", line)
		}
	}
}

// node is one running `gapura serve`.
type node struct {
	installation *installation
	address      string
	process      *os.Process
	ended        chan struct{}
	code         int
	log          *bytes.Buffer // to be read when it has ended
}

func (n *node) url() string { return "http://" + n.address }

// serve starts a node on a free port and returns when it answers.
func (i *installation) serve(t testing.TB) *node {
	t.Helper()
	n := &node{installation: i, address: "127.0.0.1:0"}
	if err := n.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if n.running() {
			_ = n.process.Kill()
			<-n.ended
		}
		if t.Failed() && n.log.Len() > 0 {
			t.Logf("the node's log ends with\n%s", n.log.Bytes()[max(0, n.log.Len()-4000):])
		}
	})
	return n
}

// start starts the node, also one that was killed: on the same port and database. The thread that forked must live as long
// as the program, because the kernel's parent-death signal follows it.
func (n *node) start() error {
	binary, err := program()
	if err != nil {
		return err
	}
	command := exec.Command(binary, "serve")
	command.Env = append([]string{"HTTP_ADDR=" + n.address}, n.installation.environment...)
	command.Dir, command.SysProcAttr = n.installation.directory, orphanless()
	n.log = &bytes.Buffer{}
	command.Stderr = n.log
	out, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	started, ended := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(ended)
		err := command.Start()
		started <- err
		if err == nil {
			<-started // all of its output was read
			_ = command.Wait()
			n.code = command.ProcessState.ExitCode()
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	n.process, n.ended = command.Process, ended
	if err := n.await(out, started); err != nil {
		return err
	}
	// The address is known a moment before the first answer.
	return eventually(context.Background(), func() bool { return status(n, "/readyz") == http.StatusOK || !n.running() })
}

// await reads the program's output until it says where it serves.
func (n *node) await(out io.Reader, read chan error) error {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, address, ok := strings.Cut(lines.Text(), "Gapura serves http://"); ok {
			n.address = address
			go func() { _, _ = io.Copy(io.Discard, out); read <- nil }()
			return nil
		}
	}
	read <- nil
	<-n.ended
	return fmt.Errorf("gapura serve ended with %d: %s", n.code, n.log)
}

func (n *node) running() bool {
	select {
	case <-n.ended:
		return false
	default:
		return true
	}
}

// kill ends the node as a power cut would.
func (n *node) kill() error {
	if !n.running() {
		return errors.New("the node has ended by itself")
	}
	err := n.process.Kill()
	<-n.ended
	return err
}

// stop asks the node to end and returns when it has.
func (n *node) stop() error {
	if err := n.process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-n.ended:
	case <-time.After(30 * time.Second):
		return errors.New("still running 30 s after SIGTERM")
	}
	if n.code != 0 {
		return fmt.Errorf("stopped with %d: %s", n.code, n.log)
	}
	return nil
}

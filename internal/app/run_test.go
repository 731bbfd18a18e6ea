package app

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gapura/test/peers"
)

func TestMain(m *testing.M) { peers.Main(m) }

// shell is an environment in which commands are run.
type shell struct {
	directory   string
	environment []string
}

// newShell has a data directory of its own and SQLite in it.
func newShell(t testing.TB, environment ...string) *shell {
	t.Helper()
	directory := t.TempDir()
	return &shell{directory: directory, environment: append([]string{
		"DATA_DIRECTORY=" + filepath.Join(directory, "data"), "HTTP_ADDR=127.0.0.1:0", "LOG_LEVEL=error",
	}, environment...)}
}

// mariaDB is the environment of an empty database.
func mariaDB(t testing.TB) []string {
	t.Helper()
	server := peers.MariaDB(t)
	dsn := server.NewDatabase(t)
	host, port, _ := strings.Cut(server.Address(), ":")
	name, _, _ := strings.Cut(dsn[strings.LastIndex(dsn, "/")+1:], "?")
	return []string{
		"DB_CONNECTION=mariadb", "DB_HOST=" + host, "DB_PORT=" + port, "DB_DATABASE=" + name, "DB_USERNAME=" + server.Username(),
		"DB_PASSWORD=" + server.Password(),
	}
}

// run runs one command line to its end.
func (s *shell) run(t testing.TB, args ...string) (code int, out, errs string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	code = Run(ctx, args, System{Out: &stdout, Err: &stderr, Environment: s.environment, Directory: s.directory})
	return code, stdout.String(), stderr.String()
}

// must runs a command that succeeds and returns what it says.
func (s *shell) must(t testing.TB, args ...string) string {
	t.Helper()
	code, out, errs := s.run(t, args...)
	if code != exitOK || errs != "" {
		t.Fatalf("gapura %v: exit %d\n%s%s", args, code, out, errs)
	}
	return out
}

// refused runs a command that fails with one line on stderr and nothing on stdout.
func (s *shell) refused(t testing.TB, want int, args ...string) string {
	t.Helper()
	code, out, errs := s.run(t, args...)
	if code != want || out != "" || strings.Count(errs, "\n") != 1 || !strings.HasPrefix(errs, "gapura: ") {
		t.Errorf("gapura %v: exit %d, want %d and one sentence\nstdout %q\nstderr %q", args, code, want, out, errs)
	}
	return strings.TrimSuffix(strings.TrimPrefix(errs, "gapura: "), "\n")
}

// file writes a file and returns its path.
func (s *shell) file(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(s.directory, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// server is a command that serves until it is stopped.
type server struct {
	URL   string
	stop  context.CancelFunc
	ended chan int
	errs  *bytes.Buffer // to be read when it has ended
}

// serve starts a command and waits until it has printed its address.
func (s *shell) serve(t testing.TB, args ...string) *server {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	reader, writer := io.Pipe()
	started := &server{stop: cancel, ended: make(chan int, 1), errs: &bytes.Buffer{}}
	go func() {
		code := Run(ctx, args, System{Out: writer, Err: started.errs, Environment: s.environment, Directory: s.directory})
		_ = writer.Close()
		started.ended <- code
	}()
	lines := bufio.NewScanner(reader)
	for started.URL == "" && lines.Scan() {
		if at := strings.Index(lines.Text(), "http://"); at >= 0 {
			started.URL = lines.Text()[at:]
		}
	}
	go func() { _, _ = io.Copy(io.Discard, reader) }()
	if started.URL == "" {
		cancel()
		t.Fatalf("gapura %v: exit %d: %s", args, <-started.ended, started.errs)
	}
	t.Cleanup(func() { started.end(t) })
	return started
}

// end stops the server and waits until it has.
func (s *server) end(t testing.TB) {
	t.Helper()
	s.stop()
	if code := <-s.ended; code != exitOK {
		t.Errorf("stopped with %d: %s", code, s.errs)
	}
	s.ended <- exitOK // so that it can be ended again
}

const eventText = `slug: night-run
name: {id: Lari Malam, en: Night Run}
timezone: Asia/Jakarta
starts_at: 2098-03-07T18:00
venue: {name: Lapangan Gasibu, city: Bandung}
registration: {opens_at: 2020-12-01T10:00, closes_at: 2098-02-20T23:59, hold: 30m, max_participants: 5, unique_by: [email, phone]}
categories:
  - {id: 10k, name: {id: 10 K, en: 10 K}, distance_m: 10000, price: 250000}
  - {id: fun, name: {id: Fun Run, en: Fun Run}, distance_m: 5000, price: 0}
quotas:
  - {id: total, size: 50, categories: [10k, fun]}
`

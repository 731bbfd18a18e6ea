package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"

	"gapura/internal/event"
	"gapura/internal/id"
	"gapura/internal/registration"
	"gapura/internal/store"
	"gapura/test/peers"
)

const benchSlug = "bench-2027"

// benchTemplate has four categories, two claims a participant, and more places than any run takes.
const benchTemplate = `
slug: bench-2027
name: {id: Bench 2027, en: Bench 2027}
timezone: Asia/Jakarta
starts_at: %[2]s
venue: {name: Lapangan Gasibu, city: Bandung}
registration: {opens_at: %[1]s, closes_at: %[2]s, hold: 60m, max_participants: 5, unique_by: [email, phone]}
categories:
  - {id: half, name: Half, distance_m: 21097, price: 350000}
  - {id: 10k, name: 10 K, distance_m: 10000, price: 250000, prices: [{name: Early bird, price: 200000, first: 20000}]}
  - {id: 5k, name: 5 K, distance_m: 5000, price: 150000}
  - {id: fun, name: Fun Run, distance_m: 5000, price: 0}
quotas:
  - {id: total, size: 9000000, categories: [half, 10k, 5k, fun]}
  - {id: 10k, size: 9000000, categories: [10k]}
`

// benchEvent is open now; the race is in a hundred days.
func benchEvent() []byte {
	const local = "2006-01-02T15:04"
	now := time.Now()
	return fmt.Appendf(nil, benchTemplate, now.Add(-48*time.Hour).Format(local), now.Add(100*24*time.Hour).Format(local))
}

// database is a private database with a fresh schema for every server.
type database struct {
	name      string
	directory string
	mariadb   *peers.MariaDBServer
	current   string // MariaDB's database of this server
}

func openDatabase(_ context.Context, name string) (*database, error) {
	directory, err := os.MkdirTemp("/var/tmp", "gapura-bench-")
	if err != nil {
		return nil, err
	}
	d := &database{name: name, directory: directory}
	if name == "mariadb" {
		if d.mariadb, err = peers.StartMariaDB(); err != nil {
			return nil, errors.Join(err, os.RemoveAll(directory))
		}
	}
	return d, nil
}

func (d *database) close() {
	if d.mariadb != nil {
		_ = d.mariadb.Stop()
	}
	_ = os.RemoveAll(d.directory)
}

// fresh makes an empty database and returns the program's environment for it.
func (d *database) fresh(ctx context.Context) ([]string, error) {
	data := filepath.Join(d.directory, uuid.NewString())
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, err
	}
	environment := []string{"DATA_DIRECTORY=" + data, "APP_ENV=local", "LOG_LEVEL=warn", "PATH=" + os.Getenv("PATH")}
	if d.mariadb == nil {
		return environment, nil
	}
	if d.current != "" {
		if err := d.mariadb.DropDatabase(ctx, d.current); err != nil {
			return nil, err
		}
	}
	var err error
	if d.current, err = d.mariadb.CreateDatabase(ctx); err != nil {
		return nil, err
	}
	return append(environment, "DB_CONNECTION=mariadb", "DB_SOCKET="+d.mariadb.Socket(), "DB_DATABASE="+d.current,
		"DB_USERNAME="+d.mariadb.Username(), "DB_PASSWORD="+d.mariadb.Password()), nil
}

// server is a running gapura serve.
type server struct {
	url     string
	process *exec.Cmd
	ended   chan error
}

// within bounds starting and stopping.
const within = 30 * time.Second

func (s settings) start(ctx context.Context, d *database, more []string) (*server, error) {
	environment, err := d.fresh(ctx)
	if err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	environment = append(append(environment, "HTTP_ADDR="+address), more...)
	file := filepath.Join(d.directory, "event.yaml")
	if err := os.WriteFile(file, benchEvent(), 0o600); err != nil {
		return nil, err
	}
	for _, args := range [][]string{{"migrate"}, {"event", "apply", file}} {
		if out, err := command(ctx, s.binary, environment, args...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("gapura %s: %w: %s", strings.Join(args, " "), err, out)
		}
	}
	log, err := os.Create(filepath.Join(d.directory, "serve.log"))
	if err != nil {
		return nil, err
	}
	running := &server{url: "http://" + address, process: command(ctx, s.binary, environment, "serve"), ended: make(chan error, 1)}
	running.process.Stdout, running.process.Stderr = log, log
	if err := running.process.Start(); err != nil {
		return nil, err
	}
	go func() { running.ended <- running.process.Wait() }()
	return running, running.awaitReady(ctx)
}

func command(ctx context.Context, binary string, environment []string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, binary, args...)
	c.Env = environment
	return c
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func (s *server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if response, err := http.Get(s.url + "/readyz"); err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return errors.New("the server did not become ready")
		case err := <-s.ended:
			return fmt.Errorf("the server ended: %w", err)
		case <-tick.C:
		}
	}
}

func (s *server) stop() {
	_ = s.process.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(within):
		_ = s.process.Process.Kill()
	}
}

func (s *server) crashed() bool {
	select {
	case err := <-s.ended:
		s.ended <- err
		return true
	default:
		return false
	}
}

// memory is in megabytes of 10^6 bytes.
type memory struct{ resident, peak float64 }

// memory reads what the kernel accounts to the process.
func (s *server) memory() (memory, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.process.Process.Pid))
	if err != nil {
		return memory{}, err
	}
	var m memory
	for _, line := range strings.Split(string(text), "\n") {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		kib, _ := strconv.ParseFloat(fields[1], 64)
		switch fields[0] {
		case "VmRSS:":
			m.resident = kib * 1024 / 1e6
		case "VmHWM:":
			m.peak = kib * 1024 / 1e6
		}
	}
	return m, nil
}

// rawBatch is about what a batch holds at the best rate.
const rawBatch = 256

// insertRows inserts the rows of ready orders through the store alone, for about that long, and returns the rate.
func insertRows(ctx context.Context, d *database, length time.Duration) (float64, error) {
	s, eventID, err := d.rawStore(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = s.Close() }()
	e, err := event.Parse(benchEvent())
	if err != nil {
		return 0, err
	}
	seq, begin := int64(0), time.Now()
	for time.Since(begin) < length {
		batch, deltas := rawOrders(e, eventID, seq)
		seq += rawBatch
		err := s.InEvent(ctx, eventID, func(tx registration.Tx) error {
			if err := tx.Insert(ctx, batch); err != nil {
				return err
			}
			return tx.Advance(ctx, seq, deltas)
		})
		if err != nil {
			return 0, err
		}
	}
	return float64(seq) / time.Since(begin).Seconds(), nil
}

func (d *database) rawStore(ctx context.Context) (*store.Store, int64, error) {
	environment, err := d.fresh(ctx)
	if err != nil {
		return nil, 0, err
	}
	options := store.Options{Driver: store.DriverSQLite, DSN: filepath.Join(strings.TrimPrefix(environment[0], "DATA_DIRECTORY="), "gapura.db")}
	if d.mariadb != nil {
		options = store.Options{Driver: store.DriverMySQL, DSN: d.mariadb.DSN(d.current)}
	}
	s, err := store.Open(ctx, options)
	if err != nil {
		return nil, 0, err
	}
	if _, err := s.Migrate(ctx); err != nil {
		return nil, 0, err
	}
	e, err := event.Parse(benchEvent())
	if err != nil {
		return nil, 0, err
	}
	if err := s.Apply(ctx, time.Now(), e, func(*event.Event, event.Sold) error { return nil }); err != nil {
		return nil, 0, err
	}
	revisions, err := s.Revisions(ctx)
	for eventID := range revisions {
		return s, eventID, err
	}
	return nil, 0, errors.Join(err, errors.New("the event is not there"))
}

// rawOrders makes orders as the program would have decided them.
func rawOrders(e *event.Event, eventID, seq int64) ([]registration.NewOrder, map[event.Counter]registration.Count) {
	orders := make([]registration.NewOrder, rawBatch)
	deltas := map[event.Counter]registration.Count{}
	now := time.Now().UTC()
	for i := range orders {
		c := &e.Categories[i%len(e.Categories)]
		n := seq + int64(i) + 1
		person := registration.Participant{
			Position: 1, Category: c.ID, Name: "Siti Aminah " + strconv.FormatInt(n, 10), Email: fmt.Sprintf("siti.aminah.%d@example.id", n),
			Phone: fmt.Sprintf("+62812%08d", n), BirthDate: "1994-05-02", Gender: "female", Tier: -1, Price: c.Price,
		}
		o := &registration.Order{
			ID: id.New(), EventID: eventID, Seq: n, Number: registration.Number(e.Code, n), Status: registration.AwaitingPayment, Version: 1,
			Total: c.Price, Contact: registration.Contact{Name: person.Name, Email: person.Email, Phone: person.Phone}, Locale: "id",
			CreatedAt: now, ExpiresAt: now.Add(time.Hour), Participants: []registration.Participant{person},
		}
		orders[i] = registration.NewOrder{Order: o, Claims: [][]registration.Claim{{{}, {}}}}
		for _, random := range [][]byte{orders[i].Key[:], orders[i].Fingerprint[:], orders[i].Claims[0][0][:], orders[i].Claims[0][1][:]} {
			_, _ = rand.Read(random)
		}
		for _, counter := range e.CountersOf(c.ID, nil, -1) {
			delta := deltas[counter]
			delta.Taken, delta.Held = delta.Taken+1, delta.Held+1
			deltas[counter] = delta
		}
	}
	return orders, deltas
}

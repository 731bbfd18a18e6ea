// Command bench measures what docs/performance.md reports, as ratios within one run: the whole program over HTTP beside the
// same rows inserted without it, and beside the same program with one transaction a request. It starts its own services and
// servers, loads loopback only and ends by itself.
//
//	go run ./test/cmd/bench [-gapura bin/gapura] [-database mariadb|sqlite] [-length 10s] [-offered 11000]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"gapura/internal/rehearse"
	"gapura/internal/rehearse/crowd"
)

// settings of a run.
type settings struct {
	binary   string
	database string
	length   time.Duration // of each measurement under load
	offered  float64       // orders a second when looking for the best rate
	out      io.Writer
}

func main() {
	var s settings
	flag.StringVar(&s.binary, "gapura", "bin/gapura", "the program")
	flag.StringVar(&s.database, "database", "", "mariadb or sqlite; both if empty")
	flag.DurationVar(&s.length, "length", 10*time.Second, "how long each load lasts")
	flag.Float64Var(&s.offered, "offered", 11000, "orders a second that are offered to find the best rate")
	flag.Parse()
	s.out = os.Stdout
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := s.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (s settings) run(ctx context.Context) error {
	for _, name := range []string{"mariadb", "sqlite"} {
		if s.database != "" && s.database != name {
			continue
		}
		if err := s.measure(ctx, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// report is one database's figures.
type report struct {
	raw, best, single float64 // orders a second
	steady            *rehearse.Result
	surge             *rehearse.Result
	idle, busy        memory
}

func (s settings) measure(ctx context.Context, name string) error {
	d, err := openDatabase(ctx, name)
	if err != nil {
		return err
	}
	defer d.close()
	var r report
	for _, step := range []func(context.Context, *database, *report) error{s.raw, s.best, s.steady, s.surge, s.memory, s.single} {
		began := readProcessors()
		if err := step(ctx, d, &r); err != nil {
			return err
		}
		if taken := readProcessors().takenSince(began); taken >= 0.01 {
			s.note("  other machines took %.0f%% of the processors meanwhile", 100*taken)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	r.print(s.out, name)
	return nil
}

// raw inserts the rows of ready orders in batches of 256 without HTTP, checks or decisions.
func (s settings) raw(ctx context.Context, d *database, r *report) error {
	rate, err := insertRows(ctx, d, s.length/2)
	r.raw = rate
	s.note("rows alone, batches of %d: %.0f orders/s", rawBatch, rate)
	return err
}

// best offers more than the program can take and counts what it acknowledges.
func (s settings) best(ctx context.Context, d *database, r *report) error {
	result, _, err := s.load(ctx, d, load{demand: constant(s.offered, s.length), connections: crowdConnections})
	if err != nil {
		return err
	}
	r.best = result.Rate.Median
	s.note("over HTTP, %.0f offered: median %.0f/s, best second %d", s.offered, result.Rate.Median, result.Rate.Peak)
	return nil
}

func (s settings) steady(ctx context.Context, d *database, r *report) error {
	result, _, err := s.load(ctx, d, load{demand: constant(0.7*r.best, s.length), connections: crowdConnections})
	r.steady = result
	if err == nil {
		s.note("at 70%%: p50 %s, p99 %s", result.Latency.P50, result.Latency.P99)
	}
	return err
}

// surge runs at half the best rate and offers three times the best rate for ten seconds in the middle.
func (s settings) surge(ctx context.Context, d *database, r *report) error {
	demand := constant(0.5*r.best, 25*time.Second)
	demand.Curve, demand.Surge, demand.SurgeAt, demand.SurgeFor = crowd.CurveSurge, 6, 5*time.Second, 10*time.Second
	result, _, err := s.load(ctx, d, load{demand: demand, connections: 4 * crowdConnections})
	r.surge = result
	return err
}

// memory is taken idle, and at 70% of the best rate with 10,000 open connections.
func (s settings) memory(ctx context.Context, d *database, r *report) error {
	_, m, err := s.load(ctx, d, load{demand: constant(0.7*r.best, s.length), connections: 1000, idle: 9000})
	r.idle, r.busy = m.idle, m.busy
	return err
}

// single is the same program with one transaction a request.
func (s settings) single(ctx context.Context, d *database, r *report) error {
	result, _, err := s.load(ctx, d, load{demand: constant(s.offered/2, s.length), connections: crowdConnections, environment: []string{"COMMIT_BATCH=1"}})
	if err == nil {
		r.single = result.Rate.Median
		s.note("one transaction a request: %.0f/s", r.single)
	}
	return err
}

func (s settings) note(format string, args ...any) {
	_, _ = fmt.Fprintf(s.out, "  "+format+"\n", args...)
}

// crowdConnections are enough that a batch is not limited by how many can be under way.
const crowdConnections = 1024

func constant(rate float64, length time.Duration) crowd.Demand {
	return crowd.Demand{Curve: crowd.CurveConstant, Rate: rate, For: length}
}

// load is one crowd against a fresh server.
type load struct {
	demand            crowd.Demand
	connections, idle int
	environment       []string
}

// taken is the server's memory before and at the end of a load.
type taken struct{ idle, busy memory }

func (s settings) load(ctx context.Context, d *database, l load) (*rehearse.Result, taken, error) {
	var t taken
	server, err := s.start(ctx, d, l.environment)
	if err != nil {
		return nil, t, err
	}
	defer server.stop()
	if t.idle, err = server.memory(); err != nil {
		return nil, t, err
	}
	plan := rehearse.DefaultPlan()
	plan.BaseURL, plan.Slug = server.url, benchSlug
	plan.Crowd = crowd.Settings{Demand: l.demand, Pure: true, Seed: uint64(time.Now().UnixNano())}
	plan.VerifyLimit = 2000
	if l.connections > 0 {
		plan.Connections, plan.Idle = l.connections, l.idle
	}
	plan.Auditors = []rehearse.Auditor{func(context.Context) ([]rehearse.Finding, error) {
		t.busy, err = server.memory()
		return nil, err
	}}
	result, err := rehearse.Run(ctx, plan, io.Discard)
	if err != nil {
		return nil, t, err
	}
	if broken := rehearse.Broken(result.Findings); len(broken) > 0 {
		return nil, t, fmt.Errorf("the crowd found a fault: %s: %v %v", broken[0].Title.EN, broken[0].Examples, result.ByCode)
	}
	if server.crashed() {
		return nil, t, errors.New("the server ended by itself; its last words are in " + filepath.Join(d.directory, "serve.log"))
	}
	return result, t, nil
}

func (r *report) print(w io.Writer, name string) {
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
	line("\n%s", name)
	line("  rows alone                          %8.0f orders/s", r.raw)
	line("  over HTTP, durable                  %8.0f orders/s   %.2f of the rows alone", r.best, r.best/r.raw)
	line("  one transaction a request           %8.0f orders/s   batches are %.1f times as fast", r.single, r.best/r.single)
	line("  at 70%% of the best                  p50 %s  p90 %s  p99 %s", r.steady.Latency.P50, r.steady.Latency.P90, r.steady.Latency.P99)
	before, during, after := phases(r.surge)
	line("  offered in the surge                %8.0f orders/s   %.1f times the best", during.offered, during.offered/r.best)
	line("  acknowledged in the surge           %8.0f orders/s   %.2f of the best", during.acknowledged, during.acknowledged/r.best)
	line("  refused in the surge                p50 %s  p99 %s", r.surge.Refusal.P50, r.surge.Refusal.P99)
	line("  before and after the surge          %8.0f and %.0f orders/s acknowledged, p99 %s and %s", before.acknowledged, after.acknowledged, before.p99, after.p99)
	for _, recovery := range r.surge.Recoveries {
		line("  normal again after %s", recovery.Took)
	}
	line("  resident memory, idle               %8.0f MB", r.idle.resident)
	line("  with 10,000 connections under load  %8.0f MB, at most %.0f MB", r.busy.resident, r.busy.peak)
}

// phase sums up some seconds.
type phase struct {
	offered, acknowledged float64
	p99                   time.Duration
}

// phases returns the seconds before the surge, in it, and from five seconds after it.
func phases(r *rehearse.Result) (before, during, after phase) {
	return phaseOf(r, 1, 5), phaseOf(r, 5, 15), phaseOf(r, 20, 25)
}

func phaseOf(r *rehearse.Result, from, to int) phase {
	var p phase
	n := 0.0
	for i := from; i < to && i < len(r.Seconds); i++ {
		p.offered += float64(r.Seconds[i].Offered)
		p.acknowledged += float64(r.Seconds[i].Acknowledged)
		p.p99 = max(p.p99, r.Seconds[i].P99)
		n++
	}
	p.offered, p.acknowledged = p.offered/n, p.acknowledged/n
	return p
}

package rehearse

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"gapura/internal/rehearse/crowd"
)

// benchServer makes the test binary a server, so that the two sides' processor time can be told apart.
const benchServer = "GAPURA_REHEARSE_BENCH_SERVER"

// serveBench answers every registration at once until its standard input closes.
func serveBench() {
	runtime.GOMAXPROCS(1)
	body := []byte(`{"id":"0198f1c2-0000-7000-8000-000000000001","number":"GNR27-000123","status":"awaiting_payment","total":250000,` +
		`"currency":"IDR","version":1,"expires_at":"2026-12-01T03:30:00Z","access_token":"abcdefghijklmnopqrstuvwxyzABCDEFGHIJ",` +
		`"participants":[{"id":"0198f1c2-0000-7000-8000-000000000001-1","category":"10k","name":"Siti Aminah","status":"held"}]}`)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/events/night-run/orders", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(body)
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = l.Close()
	}()
	_ = http.Serve(l, mux) // ends when the listener is closed
}

// BenchmarkGenerator tells how many requests a second the generator manages when all of them are due at once, and what a
// request costs either side in processor time. The server is a bare net/http handler in a process of its own.
func BenchmarkGenerator(b *testing.B) {
	server := exec.Command(os.Args[0], "-test.run=^$")
	server.Env = append(os.Environ(), benchServer+"=1")
	in, err := server.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := server.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := server.Start(); err != nil {
		b.Fatal(err)
	}
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	e := benchEngine(b, strings.TrimSpace(addr))
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	before := processorTime(b)
	b.ResetTimer()
	if err := e.play(context.Background(), func(ctx context.Context) { <-ctx.Done() }); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	client := processorTime(b) - before
	for _, w := range e.workers {
		for _, a := range w.take(nil) {
			if a.Status != http.StatusCreated {
				b.Fatalf("status %d, code %d", a.Status, a.Code)
			}
		}
	}
	_ = in.Close()
	_ = server.Wait()
	handler := server.ProcessState.UserTime() + server.ProcessState.SystemTime()
	perRequest := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(b.N) }
	b.ReportMetric(perRequest(client), "client-us/op")
	b.ReportMetric(perRequest(handler), "server-us/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}

func benchEngine(b *testing.B, addr string) *engine {
	b.Helper()
	p := DefaultPlan()
	p.Crowd.Pure = true
	p.Crowd.Demand = crowd.Demand{Curve: crowd.CurveSpike, Orders: b.N, For: time.Millisecond}
	t := &target{addr: addr, event: &crowd.Event{Slug: "night-run", Categories: []crowd.Category{{ID: "10k"}, {ID: "fun"}}}}
	c, err := crowd.Gather(t.event, p.Crowd)
	if err != nil {
		b.Fatal(err)
	}
	return newEngine(&p, t, c, crowd.NewPeople(t.event, c, 1))
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

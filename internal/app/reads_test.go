package app

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// reader asks for one path over and over on one connection, as fast as the answers come, and parses as little as it can: what
// it costs is taken from the server on the same processors.
type reader struct {
	conn    net.Conn
	in      *bufio.Reader
	request []byte
}

func newReader(t testing.TB, address, path string) *reader {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &reader{conn: conn, in: bufio.NewReaderSize(conn, 64<<10), request: []byte(
		"GET " + path + " HTTP/1.1\r\nHost: " + address + "\r\nAccept-Encoding: gzip\r\nUser-Agent: reads\r\n\r\n")}
}

// once returns the status and how many bytes the body had.
func (r *reader) once() (status, length int, err error) {
	if _, err := r.conn.Write(r.request); err != nil {
		return 0, 0, err
	}
	for first := true; ; first = false {
		line, err := r.in.ReadSlice('\n')
		switch {
		case err != nil:
			return 0, 0, err
		case first:
			status, _ = strconv.Atoi(string(line[9:12]))
		case len(line) == 2:
			_, err = r.in.Discard(length)
			return status, length, err
		case len(line) > 16 && strings.EqualFold(string(line[:15]), "Content-Length:"):
			length, _ = strconv.Atoi(strings.TrimSpace(string(line[15:])))
		}
	}
}

// readsFor returns how many answers a second a crowd of connections gets from address.
func readsFor(t testing.TB, address, path string, d time.Duration) float64 {
	t.Helper()
	const connections = 32
	var count atomic.Int64
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var crowd sync.WaitGroup
	begin := time.Now()
	for range connections {
		r := newReader(t, address, path)
		crowd.Go(func() {
			for ctx.Err() == nil {
				if status, _, err := r.once(); err != nil || status != http.StatusOK {
					t.Errorf("%s: %d %v", path, status, err)
					return
				}
				count.Add(1)
			}
		})
	}
	crowd.Wait()
	return float64(count.Load()) / time.Since(begin).Seconds()
}

// bare is a net/http server that writes the answer of url, headers included, and does nothing else.
func bare(t testing.TB, url string) *httptest.Server {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept-Encoding", "gzip") // set by hand, the client leaves the body as it came
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v", url, answer.StatusCode, err)
	}
	header := answer.Header.Clone()
	header.Del("Date")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		for name, values := range header {
			h[name] = values
		}
		_, _ = w.Write(body)
	}))
	t.Cleanup(server.Close)
	return server
}

// TestPreparedReads holds every prepared read of a whole server, with its middleware, to six tenths of what a bare net/http
// handler does that writes the same bytes, measured by turns in the same run.
func TestPreparedReads(t *testing.T) {
	if os.Getenv("GAPURA_LONG") == "" {
		t.Skip("GAPURA_LONG is not set: 20 s of load")
	}
	sh := newShell(t)
	sh.must(t, "event", "apply", sh.file(t, "event.yaml", eventText))
	server := sh.serve(t, "serve")
	address := strings.TrimPrefix(server.URL, "http://")
	for _, path := range []string{
		"/api/v1/events/night-run", "/api/v1/events/night-run/availability", "/e/night-run", "/e/night-run/daftar",
	} {
		t.Run(path, func(t *testing.T) {
			other := strings.TrimPrefix(bare(t, server.URL+path).URL, "http://")
			var best, ours float64
			for range 3 {
				best = max(best, readsFor(t, other, path, 700*time.Millisecond))
				ours = max(ours, readsFor(t, address, path, 700*time.Millisecond))
			}
			share := ours / best
			t.Logf("%.0f reads/s of %.0f: %.0f%%", ours, best, 100*share)
			if share < 0.6 {
				t.Errorf("%.0f%% of a bare handler, want 60%%", 100*share)
			}
		})
	}
}

// TestPollsTakeTheShortWay holds polls of a waiting room to more than a bare net/http handler does that writes the same bytes. With a
// query the same handler answers through net/http, which is what the short way saves.
func TestPollsTakeTheShortWay(t *testing.T) {
	if os.Getenv("GAPURA_LONG") == "" {
		t.Skip("GAPURA_LONG is not set: 8 s of load")
	}
	sh := newShell(t)
	sh.must(t, "event", "apply", sh.file(t, "event.yaml", eventText+"\nwaiting_room:\n  enabled: true\n"))
	server := sh.serve(t, "serve")
	address := strings.TrimPrefix(server.URL, "http://")
	const path = "/api/v1/events/night-run/queue"
	other := strings.TrimPrefix(bare(t, server.URL+path).URL, "http://")
	var handler, long, short float64
	for range 3 {
		handler = max(handler, readsFor(t, other, path, 700*time.Millisecond))
		long = max(long, readsFor(t, address, path+"?long", 700*time.Millisecond))
		short = max(short, readsFor(t, address, path, 700*time.Millisecond))
	}
	t.Logf("%.0f polls/s, through net/http %.0f, a bare handler %.0f: %.2f and %.2f", short, long, handler, short/long, short/handler)
	if short < 1.2*handler {
		t.Errorf("%.0f%% of a bare handler, want 120%%", 100*short/handler)
	}
}

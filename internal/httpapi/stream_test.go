package httpapi

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gapura/internal/id"
	"gapura/internal/registration"
)

// listener reads a stream over real HTTP.
type listener struct {
	lines  *bufio.Scanner
	cancel context.CancelFunc
	closed func() error
}

func listen(t *testing.T, server *httptest.Server, f *fixture, order id.ID) *listener {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/api/v1/orders/"+order.String()+"/stream?token="+f.desk.Token(order), nil)
	if err != nil {
		t.Fatal(err)
	}
	w, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = w.Body.Close() })
	if w.StatusCode != http.StatusOK || w.Header.Get("Content-Type") != "text/event-stream" || w.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v", w.StatusCode, w.Header)
	}
	return &listener{lines: bufio.NewScanner(w.Body), cancel: cancel, closed: w.Body.Close}
}

// next returns the next event's lines, or "" at the end of the stream.
func (l *listener) next() string {
	var event []string
	for l.lines.Scan() {
		if l.lines.Text() == "" {
			break
		}
		event = append(event, l.lines.Text())
	}
	return strings.Join(event, "|")
}

func TestAStreamTellsTheStateAndEveryChange(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	server := httptest.NewServer(f.api)
	t.Cleanup(server.Close)
	o := f.anOrder(t, "a-key-of-twenty-or-more")
	first := listen(t, server, f, o.ID)
	if got := first.next(); got != `event: status|id: 1|data: {"version":1,"status":"awaiting_payment"}` {
		t.Errorf("first state: %s", got)
	}
	f.desk.change(o.ID, registration.Confirmed)
	const confirmed = `event: status|id: 2|data: {"version":2,"status":"confirmed"}`
	if got := first.next(); got != confirmed {
		t.Errorf("change: %s", got)
	}
	first.cancel()
	// Whoever reconnects gets the state of that moment.
	if got := listen(t, server, f, o.ID).next(); got != confirmed {
		t.Errorf("after reconnecting: %s", got)
	}
}

func TestAStreamOutlivesTheServersTimeouts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	server := httptest.NewUnstartedServer(f.api)
	server.Config.ReadTimeout, server.Config.WriteTimeout = 150*time.Millisecond, 150*time.Millisecond
	ended := make(chan struct{})
	inner := server.Config.Handler
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner.ServeHTTP(w, r)
		close(ended)
	})
	server.Start()
	t.Cleanup(server.Close)
	o := f.anOrder(t, "a-key-of-twenty-or-more")
	l := listen(t, server, f, o.ID)
	l.next()
	select {
	case <-ended:
		t.Fatal("the server's timeouts ended the stream")
	case <-time.After(600 * time.Millisecond):
	}
	f.desk.change(o.ID, registration.Confirmed)
	if got := l.next(); !strings.Contains(got, "confirmed") {
		t.Errorf("after the timeouts: %q", got)
	}
	l.cancel()
	<-ended // and it ends with its visitor
}

func TestStoppingTheServerEndsStreams(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	server := httptest.NewServer(f.api)
	t.Cleanup(server.Close)
	o := f.anOrder(t, "a-key-of-twenty-or-more")
	l := listen(t, server, f, o.ID)
	l.next()
	close(f.stopped)
	if got := l.next(); got != "" || l.lines.Err() != nil {
		t.Errorf("%q, %v", got, l.lines.Err())
	}
}

func TestASilentStreamHasAHeartbeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		o := f.anOrder(t, "a-key-of-twenty-or-more")
		ctx, cancel := context.WithTimeout(t.Context(), 3*heartbeat+time.Second)
		defer cancel()
		w := httptest.NewRecorder()
		f.api.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/api/v1/orders/"+o.ID.String()+"/stream?token="+f.desk.Token(o.ID), nil))
		if n := strings.Count(w.Body.String(), ": still here\n\n"); n != 3 || !w.Flushed {
			t.Errorf("%d heartbeats in %s: %s", n, 3*heartbeat, w.Body)
		}
	})
}

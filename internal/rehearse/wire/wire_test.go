package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

func open(t *testing.T, handler http.HandlerFunc) *Conn {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	c := NewConn(s.Listener.Addr().String())
	t.Cleanup(c.HangUp)
	return c
}

func TestAnswersAreReadFromARealServer(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789", 5000)
	c := open(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.Header().Set("Idempotent-Replayed", "true")
		w.Header().Set("ETag", `"17"`)
		switch r.URL.Path {
		case "/long":
			w.Header().Set("Content-Length", "50000")
			_, _ = w.Write([]byte(long))
		case "/chunked":
			for i := range 10 {
				_, _ = w.Write([]byte(long[i*5000 : (i+1)*5000]))
				_ = http.NewResponseController(w).Flush()
			}
		case "/empty":
			w.WriteHeader(http.StatusNoContent)
		default:
			w.WriteHeader(http.StatusTeapot)
			_, _ = w.Write([]byte(`{"code":"no"}`))
		}
	})
	for path, want := range map[string]struct {
		status int
		body   string
	}{"/": {418, `{"code":"no"}`}, "/long": {200, long}, "/chunked": {200, long}, "/empty": {204, ""}} {
		for range 2 {
			var a Answer
			if err := c.Do(t.Context(), []byte("GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"), &a); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			if a.Status != want.status || string(a.Body) != want.body || a.RetryAfter != 7 || !a.Replayed || string(a.ETag) != `"17"` {
				t.Errorf("%s: status %d, %d bytes, retry after %d, replayed %v, tag %s", path, a.Status, len(a.Body), a.RetryAfter, a.Replayed, a.ETag)
			}
		}
	}
	if c.Dials() != 1 {
		t.Errorf("dialled %d times: the connection is not kept", c.Dials())
	}
}

func TestAClosedConnectionIsOpenedAgain(t *testing.T) {
	t.Parallel()
	c := open(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") })
	for range 3 {
		var a Answer
		if err := c.Do(t.Context(), []byte(get), &a); err != nil || a.Status != 200 {
			t.Fatal(a.Status, err)
		}
	}
	if c.Dials() != 3 {
		t.Errorf("dialled %d times", c.Dials())
	}
}

func TestWhatGoesWrongHasAName(t *testing.T) {
	t.Parallel()
	reply := func(t *testing.T, text string) *Conn {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		served := make(chan struct{})
		t.Cleanup(func() { <-served })
		go func() {
			defer close(served)
			nc, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = nc.Read(make([]byte, 1000))
			_, _ = nc.Write([]byte(text))
			_ = nc.Close()
		}()
		return NewConn(l.Addr().String())
	}
	for text, want := range map[string]error{
		"": ErrLost, "HTTP/1.1 200 OK\r\nContent-Le": ErrLost, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab": ErrLost,
		"SSH-2.0-OpenSSH_9.2 Debian\r\n\r\n": ErrMalformed, "HTTP/1.1 200 OK\r\n\r\n": ErrMalformed,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n": ErrMalformed,
	} {
		var a Answer
		if err := reply(t, text).Do(t.Context(), []byte(get), &a); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if err := NewConn(l.Addr().String()).Do(t.Context(), []byte(get), new(Answer)); !errors.Is(err, ErrRefused) {
		t.Errorf("nobody listens: %v", err)
	}
}

func TestAnOverdueExchangeIsInterrupted(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	c := open(t, func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	})
	failed := make(chan error)
	go func() { failed <- c.Do(context.Background(), []byte(get), new(Answer)) }()
	<-arrived
	if c.Overdue(time.Now().Add(-time.Hour)) || !c.Overdue(time.Now()) {
		t.Error("an exchange that just began is not told from one that is overdue")
	}
	c.Interrupt()
	if err := <-failed; !errors.Is(err, ErrTimedOut) {
		t.Errorf("%v, want a time-out", err)
	}
}

func TestAliveTellsAnOpenConnectionFromAClosedOne(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	c := NewConn(s.Listener.Addr().String())
	defer c.HangUp()
	if c.Alive() {
		t.Error("alive before it was dialled")
	}
	if err := c.Do(t.Context(), []byte(get), new(Answer)); err != nil || !c.Alive() {
		t.Fatal("not alive after an exchange", err)
	}
	s.CloseClientConnections()
	if c.Alive() {
		t.Error("alive after the server closed it")
	}
}

func TestMembers(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"id":"a","n":12,"o":{"id":"x","l":[1,"}"]},"s":"q\"u","last":true}`: `id=a n=12 o={"id":"x","l":[1,"}"]} s=q\"u last=true `,
		` { "id" : "a" , "b" : [ ] } `:                                        `id=a b=[ ] `, //nolint:gocritic // the spaces are what is tested
		`{}`:                                                                  ``, `[]`: ``, ``: ``, `{"a":`: ``, `{"a"`: ``, `{"a":"b`: ``, `{"a":}`: ``, `{"a":1`: ``, `{"a":[1`: ``,
	} {
		got := ""
		Members([]byte(body), func(name, value []byte) bool {
			got += fmt.Sprintf("%s=%s ", name, value)
			return true
		})
		if got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

func FuzzMembers(f *testing.F) {
	f.Add([]byte(`{"id":"a","participants":[{"id":"b"}]}`))
	f.Fuzz(func(_ *testing.T, body []byte) {
		Members(body, func([]byte, []byte) bool { return true }) // must neither panic nor hang
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		var a Answer
		_, _ = a.parse(b) // must neither panic nor read beyond b
	})
}

package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"gapura/internal/lifecycle"
	"gapura/internal/waitroom"
)

// still is a queue whose one room never changes.
type still struct{ Queue }

func (still) Room(slug string) (int64, bool) { return 1, slug == "night-run" }

func (still) Page(int64) (waitroom.Page, error) {
	return waitroom.Page{Body: []byte(`{"event":"night-run","served":12}`), ETag: `"0123456789abcdef"`}, nil
}

// pollServer is net/http with the same API, to compare.
type pollServer struct {
	api   *API
	conns chan net.Conn
	done  chan struct{}
}

func newPollServer(tb testing.TB) *pollServer {
	tb.Helper()
	config := newFixture(tb).api.cfg
	config.Queue = still{}
	s := &pollServer{api: New(config), conns: make(chan net.Conn), done: make(chan struct{})}
	server := &http.Server{Handler: s.api, ReadHeaderTimeout: 5 * time.Second}
	group := lifecycle.NewGroup(context.Background())
	group.Go("http", func(context.Context) { _ = server.Serve(s) })
	tb.Cleanup(func() {
		_ = server.Close()
		if err := group.Stop(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// Accept, Close and Addr implement net.Listener.
func (s *pollServer) Accept() (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case <-s.done:
		return nil, net.ErrClosed
	}
}

func (s *pollServer) Close() error   { close(s.done); return nil }
func (s *pollServer) Addr() net.Addr { return &net.TCPAddr{} }

// ask returns what net/http answers to those bytes, and what it says to a request behind them on the same connection.
func (s *pollServer) ask(tb testing.TB, request []byte) (first, second *http.Response) {
	tb.Helper()
	client, server := net.Pipe()
	defer func() { _ = client.Close() }()
	_ = client.SetDeadline(time.Now().Add(5 * time.Second))
	s.conns <- server
	const next = "GET /api/v1/events/night-run HTTP/1.1\r\nHost: x\r\n\r\n"
	written := lifecycle.NewGroup(context.Background())
	written.Go("write", func(context.Context) { _, _ = io.WriteString(client, string(request)+next) })
	answers := bufio.NewReader(client)
	for _, r := range []**http.Response{&first, &second} {
		response, err := http.ReadResponse(answers, nil)
		if err != nil {
			tb.Fatalf("net/http does not answer %q: %v", request, err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body = io.NopCloser(bytes.NewReader(body))
		*r = response
	}
	_ = client.Close()
	if err := written.Stop(context.Background()); err != nil {
		tb.Error(err)
	}
	return first, second
}

// compare asks both for the answer and reports whether the short way gives one.
func (s *pollServer) compare(tb testing.TB, request []byte) bool {
	tb.Helper()
	prefix := []byte("before")
	answer, status := s.api.AppendPoll(prefix, request, time.Now())
	if status == 0 {
		if !bytes.Equal(answer, prefix) {
			tb.Fatalf("%q: no answer, but %q", request, answer)
		}
		return false
	}
	got, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(answer[len(prefix):])), nil)
	if err != nil {
		tb.Fatalf("%q: %v", request, err)
	}
	body, _ := io.ReadAll(got.Body)
	want, behind := s.ask(tb, request)
	wanted, _ := io.ReadAll(want.Body)
	if got.StatusCode != want.StatusCode || status != want.StatusCode || got.Proto != want.Proto || !bytes.Equal(body, wanted) {
		tb.Errorf("%q: %s %q, net/http says %s %q", request, got.Status, body, want.Status, wanted)
	}
	got.Header.Del("Date")
	want.Header.Del("Date") // the second may have changed
	if len(got.Header) != len(want.Header) {
		tb.Errorf("%q: %v, net/http says %v", request, got.Header, want.Header)
	}
	for name, values := range want.Header {
		if strings.Join(got.Header[name], "\n") != strings.Join(values, "\n") {
			tb.Errorf("%q: %s is %q, net/http says %q", request, name, got.Header[name], values)
		}
	}
	if behind.StatusCode != http.StatusOK || want.Close {
		tb.Errorf("%q: net/http does not take what comes behind it: %s", request, behind.Status)
	}
	return true
}

const plainPoll = "GET /api/v1/events/night-run/queue HTTP/1.1\r\nHost: daftar.example.id\r\n\r\n"

// What browsers, proxies and the rehearsal send is answered on the short way.
func TestPollsAreAnsweredAsNetHTTPDoes(t *testing.T) {
	t.Parallel()
	s := newPollServer(t)
	with := func(headers string) string { return strings.TrimSuffix(plainPoll, "\r\n") + headers + "\r\n" }
	for _, request := range []string{
		plainPoll,
		with("If-None-Match: \"0123456789abcdef\"\r\n"),
		with("If-None-Match: W/\"0123456789abcdef\"\r\n"),
		with("if-none-match: \"another\"\r\nIF-NONE-MATCH: \"0123456789abcdef\"\r\n"),
		with("If-None-Match:\r\n"),
		with("Connection: keep-alive\r\nX-Forwarded-For: 203.0.113.9\r\n"),
		with("User-Agent: Mozilla/5.0 (Linux; Android 10; K)\r\nAccept: */*\r\nCookie: a=b; c=\"\xc3\xa9\"\r\nSec-Fetch-Site: same-origin\r\nAccept-Encoding: gzip, deflate, br\r\n"),
		"GET /api/v1/events/night-run/queue HTTP/1.1\r\nhost:[::1]:8080\r\n\r\n",
	} {
		if !s.compare(t, []byte(request)) {
			t.Errorf("%q is not answered", request)
		}
	}
}

// The metrics count both ways of answering under one route.
func TestPollsAreCountedUnderTheirRoute(t *testing.T) {
	t.Parallel()
	for _, r := range newFixture(t).api.routes {
		if r.method+" "+r.path == PollRoute && r.id == "getQueue" {
			return
		}
	}
	t.Errorf("no route is %s", PollRoute)
}

// Everything else is left to net/http: what it would refuse, what it would answer otherwise, and what is not plainly one poll.
func TestWhatIsNotPlainlyAPollIsLeft(t *testing.T) {
	t.Parallel()
	s := newPollServer(t)
	with := func(headers string) string { return strings.TrimSuffix(plainPoll, "\r\n") + headers + "\r\n" }
	requests := []string{
		"", "GET", strings.Replace(plainPoll, "GET", "HEAD", 1), strings.Replace(plainPoll, "GET", "get", 1),
		strings.Replace(plainPoll, "HTTP/1.1", "HTTP/1.0", 1), strings.Replace(plainPoll, "/queue", "/queue?x=1", 1),
		strings.Replace(plainPoll, "night-run", "night%2Drun", 1), strings.Replace(plainPoll, "night-run", "other", 1),
		strings.Replace(plainPoll, "/queue", "/queue/", 1), strings.ReplaceAll(plainPoll, "\r\n", "\n"),
		strings.Replace(plainPoll, "Host: daftar.example.id\r\n", "", 1), with("Host: other\r\n"),
		strings.Replace(plainPoll, "daftar.example.id", "", 1), strings.Replace(plainPoll, "daftar.example.id", "a/b", 1),
		plainPoll + plainPoll, plainPoll + "G", plainPoll + "\r\n", "\r\n" + plainPoll,
		with("Connection: close\r\n"), with("Connection: keep-alive, Upgrade\r\nUpgrade: h2c\r\n"), with("Upgrade: websocket\r\n"),
		with("Content-Length: 0\r\n"), with("content-length: 5\r\n") + "12345", with("Transfer-Encoding: chunked\r\n") + "0\r\n\r\n",
		with("Expect: 100-continue\r\n"), with("Trailer: x\r\n"), with(" folded: x\r\n"), with("A B: x\r\n"), with(": x\r\n"), with("no colon\r\n"),
		with("X: a\x00b\r\n"), with("X: a\rb\r\n"), with("X : a\r\n"), with("X: a\n"), with("X: \x7f\r\n"),
	}
	for cut := range plainPoll {
		requests = append(requests, plainPoll[:cut])
	}
	for _, request := range requests {
		if answer, status := s.api.AppendPoll(nil, []byte(request), time.Now()); status != 0 || answer != nil {
			t.Errorf("%q is answered: %s", request, answer)
		}
	}
}

// FuzzPoll: what the short way answers, net/http answers the same, and takes what comes behind it as another request.
func FuzzPoll(f *testing.F) {
	f.Add([]byte(plainPoll))
	f.Add([]byte(strings.TrimSuffix(plainPoll, "\r\n") + "If-None-Match: \"0123456789abcdef\"\r\nConnection: keep-alive\r\n\r\n"))
	f.Add([]byte(strings.TrimSuffix(plainPoll, "\r\n") + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"))
	s := newPollServer(f)
	f.Fuzz(func(t *testing.T, request []byte) { s.compare(t, request) })
}

func BenchmarkPoll(b *testing.B) {
	config := newFixture(b).api.cfg
	config.Queue = still{}
	api := New(config)
	request := []byte("GET /api/v1/events/night-run/queue HTTP/1.1\r\nHost: daftar.example.id\r\nUser-Agent: Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36\r\n" +
		"Accept: */*\r\nAccept-Encoding: gzip, deflate, br\r\nAccept-Language: id,en;q=0.8\r\nIf-None-Match: \"ffffffffffffffff\"\r\n\r\n")
	var answer []byte
	b.ReportAllocs()
	for b.Loop() {
		answer, _ = api.AppendPoll(answer[:0], request, time.Now())
	}
	b.SetBytes(int64(len(answer)))
}

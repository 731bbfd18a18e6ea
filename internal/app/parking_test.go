package app

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gapura/internal/lifecycle"
)

// lot is a server that answers with what it was sent, and parks idle connections at once.
type lot struct {
	*parking
	server *http.Server
	work   *lifecycle.Group
	quick  atomic.Int64 // what the shortcut has answered
}

// shortly is a shortcut for GET /quick, with whatever headers.
func (l *lot) shortly(request []byte, conn net.Conn) (bool, error) {
	if !bytes.HasPrefix(request, []byte("GET /quick ")) || !bytes.HasSuffix(request, []byte("\r\n\r\n")) {
		return false, nil
	}
	l.quick.Add(1)
	_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nquick")
	return true, err
}

func openLot(t *testing.T, from int64, idle time.Duration) *lot {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &lot{work: lifecycle.NewGroup(t.Context())}
	l.parking = newParking(listener, l.work, from, 5*time.Millisecond, idle, l.shortly)
	l.server = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			_, _ = fmt.Fprintf(w, "%s %s", r.URL.Path, body)
		}),
		ReadHeaderTimeout: 5 * time.Second, IdleTimeout: idle, ConnState: l.watch,
	}
	l.work.Go("http", func(context.Context) { _ = l.server.Serve(l.parking) })
	t.Cleanup(func() { l.stop(t) })
	return l
}

func (l *lot) stop(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 5*time.Second)
	defer cancel()
	if err := l.server.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if err := l.work.Stop(ctx); err != nil {
		t.Error(err)
	}
	if open := l.open.Load(); open != 0 || l.Parked() != 0 {
		t.Errorf("%d connections are open and %d parked after the end", open, l.Parked())
	}
}

// awaitParked waits until n connections are parked.
func (l *lot) awaitParked(t *testing.T, n int) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); l.Parked() != n; {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections are parked, not %d", l.Parked(), n)
		}
		<-time.After(time.Millisecond)
	}
}

// client is one connection that writes bytes as it likes.
type client struct {
	net.Conn
	answers *bufio.Reader
}

func (l *lot) dial(t *testing.T) *client {
	t.Helper()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	return &client{Conn: conn, answers: bufio.NewReader(conn)}
}

func (c *client) send(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

func (c *client) expect(t *testing.T, want string) {
	t.Helper()
	response, err := http.ReadResponse(c.answers, nil)
	if err != nil {
		t.Fatalf("instead of %q: %v", want, err)
	}
	body, _ := io.ReadAll(response.Body)
	if string(body) != want {
		t.Errorf("the answer is %q, not %q", body, want)
	}
}

const plainGet = "GET /%d HTTP/1.1\r\nHost: x\r\n\r\n"

func TestAParkedConnectionGoesOn(t *testing.T) {
	t.Parallel()
	l := openLot(t, 1, time.Minute)
	c := l.dial(t)
	for i := range 5 {
		c.send(t, fmt.Sprintf("POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", i))
		c.expect(t, fmt.Sprintf("/%d abc", i))
		l.awaitParked(t, 1)
	}
	if open := l.open.Load(); open != 1 {
		t.Errorf("%d connections are open", open)
	}
}

// TestNothingSentEarlyIsLost sends a request's first bytes along with the one before: they are in net/http's buffer while the
// connection is idle.
func TestNothingSentEarlyIsLost(t *testing.T) {
	t.Parallel()
	l := openLot(t, 1, time.Minute)
	second := fmt.Sprintf(plainGet, 2)
	for early := range len(second) { // also where a line of it ends, and net/http's buffer is empty in the middle of the request
		c := l.dial(t)
		c.send(t, "POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"+second[:early])
		c.expect(t, "/1 abc")
		<-time.After(20 * time.Millisecond) // four times as long as an idle connection waits to be parked
		c.send(t, second[early:])
		c.expect(t, "/2 ")
		_ = c.Close()
	}
}

// TestARequestMayComeByteByByte: the first of them wakes a parked connection, the rest must find it.
func TestARequestMayComeByteByByte(t *testing.T) {
	t.Parallel()
	l := openLot(t, 1, time.Minute)
	c := l.dial(t)
	c.send(t, fmt.Sprintf(plainGet, 1))
	c.expect(t, "/1 ")
	l.awaitParked(t, 1)
	for _, b := range fmt.Sprintf(plainGet, 2) {
		c.send(t, string(b))
		<-time.After(time.Millisecond)
	}
	c.expect(t, "/2 ")
}

func TestFewConnectionsAreNotParked(t *testing.T) {
	t.Parallel()
	l := openLot(t, 2, time.Minute)
	c := l.dial(t)
	c.send(t, fmt.Sprintf(plainGet, 1))
	c.expect(t, "/1 ")
	<-time.After(30 * time.Millisecond)
	if n := l.Parked(); n != 0 {
		t.Errorf("%d connections are parked", n)
	}
	second := l.dial(t)
	second.send(t, fmt.Sprintf(plainGet, 1))
	second.expect(t, "/1 ")
	l.awaitParked(t, 1) // the first one waits in an ordinary read and stays
	c.send(t, fmt.Sprintf(plainGet, 2))
	c.expect(t, "/2 ")
	l.awaitParked(t, 2)
}

func TestAParkedConnectionEndsInTime(t *testing.T) {
	t.Parallel()
	l := openLot(t, 1, 60*time.Millisecond)
	c := l.dial(t)
	c.send(t, fmt.Sprintf(plainGet, 1))
	c.expect(t, "/1 ")
	l.awaitParked(t, 1)
	if _, err := c.answers.ReadByte(); err != io.EOF {
		t.Errorf("after the idle timeout: %v", err)
	}
	l.awaitParked(t, 0)
}

func TestAParkedConnectionThatIsLeftIsForgotten(t *testing.T) {
	t.Parallel()
	l := openLot(t, 1, time.Minute)
	for range 10 {
		c := l.dial(t)
		c.send(t, fmt.Sprintf(plainGet, 1))
		c.expect(t, "/1 ")
		l.awaitParked(t, 1)
		_ = c.Close()
		l.awaitParked(t, 0)
	}
}

// TestACrowdComesAndGoes has many connections parked and woken while the server stops in the middle; the clean-up counts them.
func TestACrowdComesAndGoes(t *testing.T) {
	t.Parallel()
	l := openLot(t, 1, time.Minute)
	crowd := lifecycle.NewGroup(t.Context())
	for i := range 50 {
		c := l.dial(t)
		crowd.Go("client", func(ctx context.Context) {
			for n := 0; ctx.Err() == nil; n++ {
				body := strings.Repeat("x", n)
				if _, err := fmt.Fprintf(c, "POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", i, n, body); err != nil {
					return
				}
				response, err := http.ReadResponse(c.answers, nil)
				if err != nil {
					return // the server has ended
				}
				if said, _ := io.ReadAll(response.Body); string(said) != fmt.Sprintf("/%d %s", i, body) {
					t.Errorf("client %d got %q for its request %d", i, said, n)
				}
				<-time.After(time.Duration(n%4) * 3 * time.Millisecond)
				if _, err := io.WriteString(c, quickGet); err != nil {
					return
				}
				if response, err = http.ReadResponse(c.answers, nil); err != nil {
					return
				}
				if said, _ := io.ReadAll(response.Body); string(said) != "quick" && string(said) != "/quick " {
					t.Errorf("client %d got %q on the short way", i, said)
				}
			}
		})
	}
	<-time.After(200 * time.Millisecond)
	l.stop(t)
	if err := crowd.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

const quickGet = "GET /quick HTTP/1.1\r\nHost: x\r\n\r\n"

// expectAny reads an answer that is one of those. net/http reads one byte ahead while it answers: a client that is quick enough
// gets its next answer from there too.
func (c *client) expectAny(t *testing.T, wanted ...string) {
	t.Helper()
	response, err := http.ReadResponse(c.answers, nil)
	if err != nil {
		t.Fatalf("instead of %q: %v", wanted, err)
	}
	body, _ := io.ReadAll(response.Body)
	if !slices.Contains(wanted, string(body)) {
		t.Errorf("the answer is %q, not one of %q", body, wanted)
	}
}

// TestAShortcutAnswersBetweenRequests: on a new connection, after a request, on a parked one, and back.
func TestAShortcutAnswersBetweenRequests(t *testing.T) {
	t.Parallel()
	for name, from := range map[string]int64{"few are open": 1000, "many are open": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := openLot(t, from, time.Minute)
			for _, begin := range []string{quickGet, fmt.Sprintf(plainGet, 7)} {
				c := l.dial(t)
				before := l.quick.Load()
				c.send(t, begin)
				c.expectAny(t, "quick", "/7 ")
				for i := range 5 {
					c.send(t, quickGet)
					c.expectAny(t, "quick", "/quick ")
					// Its body comes later than all deadlines that were set for the requests before.
					c.send(t, fmt.Sprintf("POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n", i))
					<-time.After(20 * time.Millisecond)
					c.send(t, "abc")
					c.expect(t, fmt.Sprintf("/%d abc", i))
					c.send(t, quickGet)
					c.expectAny(t, "quick", "/quick ")
					<-time.After(time.Duration(i) * 4 * time.Millisecond) // from the second on it is parked, where many are open
				}
				if n := l.quick.Load() - before; n < 5 {
					t.Errorf("the shortcut has answered %d requests of 10", n)
				}
				_ = c.Close()
			}
		})
	}
}

// TestTheMiddleOfARequestIsNoBeginning: bytes that look like a request, but come in the middle of another, are not one. Behind a
// proxy that sends many visitors' requests on one connection, an answer to them would go to somebody else.
func TestTheMiddleOfARequestIsNoBeginning(t *testing.T) {
	t.Parallel()
	l := openLot(t, 1000, time.Minute)
	const post = "POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
	for name, pieces := range map[string][]string{
		"in the body":                  {"POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: " + strconv.Itoa(len(quickGet)) + "\r\n\r\n", quickGet},
		"in a header":                  {"GET /1 HTTP/1.1\r\nHost: x\r\nX: ", quickGet},
		"behind a line":                {"GET /1 HTTP/1.1\r\n", quickGet},
		"behind a request and a line":  {post + "GET /1 HTTP/1.1\r\n", quickGet},
		"behind a request and a piece": {post + "GET /1 HTTP/1.1\r\nHost: x\r\nX: ", quickGet},
		"behind a request and a byte":  {post + "G", quickGet},
		"behind a few bytes":           {"GE", quickGet},
	} {
		c := l.dial(t)
		for _, piece := range pieces {
			c.send(t, piece)
			<-time.After(20 * time.Millisecond)
		}
		_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond)) // some are answered, some wait for more
		if said, _ := io.ReadAll(c.answers); bytes.Contains(said, []byte("\r\n\r\nquick")) {
			t.Errorf("%s: %q", name, said)
		}
		_ = c.Close()
	}
	if n := l.quick.Load(); n != 0 {
		t.Errorf("the shortcut has answered %d of them", n)
	}
}

// TestAQuickRequestMayComeInPieces: then it goes to net/http, which answers it in its own way, unless only its first byte came alone.
func TestAQuickRequestMayComeInPieces(t *testing.T) {
	t.Parallel()
	l := openLot(t, 1, time.Minute)
	c := l.dial(t)
	for cut := 1; cut < len(quickGet); cut++ {
		c.send(t, quickGet[:cut])
		<-time.After(3 * time.Millisecond)
		c.send(t, quickGet[cut:])
		if cut == 1 {
			c.expectAny(t, "quick", "/quick ")
		} else {
			c.expect(t, "/quick ")
		}
		if cut%2 == 0 {
			l.awaitParked(t, 1)
		}
	}
}

// TestAnIdleConnectionEndsAfterAShortcut: the idle timeout counts from the last answer.
func TestAnIdleConnectionEndsAfterAShortcut(t *testing.T) {
	t.Parallel()
	for _, from := range []int64{1, 1000} {
		l := openLot(t, from, 100*time.Millisecond)
		c := l.dial(t)
		for range 4 {
			c.send(t, quickGet)
			c.expect(t, "quick")
			<-time.After(50 * time.Millisecond)
		}
		if _, err := c.answers.ReadByte(); err != io.EOF {
			t.Errorf("after the idle timeout: %v", err)
		}
	}
}

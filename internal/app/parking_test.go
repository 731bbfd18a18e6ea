package app

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"gapura/internal/lifecycle"
)

// lot is a server that answers with what it was sent, and parks idle connections at once.
type lot struct {
	*parking
	server *http.Server
	work   *lifecycle.Group
}

func openLot(t *testing.T, from int64, idle time.Duration) *lot {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &lot{work: lifecycle.NewGroup(t.Context())}
	l.parking = newParking(listener, l.work, from, 5*time.Millisecond)
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
	for early := range 20 {
		second := fmt.Sprintf(plainGet, 2)
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
			}
		})
	}
	<-time.After(200 * time.Millisecond)
	l.stop(t)
	if err := crowd.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

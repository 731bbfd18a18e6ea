// Package wire is a small HTTP/1.1 client for loopback: it sends request bytes that the caller built and reads as little of
// the answer as it needs, so that a load generator leaves the machine to the server it judges. One connection carries one
// request at a time; nothing is pipelined, redirected or decompressed.
package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// What can go wrong with an exchange. Every other error is a broken connection.
var (
	// ErrRefused means that nobody listened: the request was not sent.
	ErrRefused = errors.New("connection refused")
	// ErrTimedOut means that the answer did not come in time; the request may have been carried out.
	ErrTimedOut = errors.New("timed out")
	// ErrLost means that the connection ended before the answer was complete; the request may have been carried out.
	ErrLost = errors.New("connection lost")
	// ErrMalformed means that the answer is not HTTP/1.1 as this package reads it.
	ErrMalformed = errors.New("malformed answer")
)

// dialTimeout bounds connecting: on loopback a connection that takes longer than 5 s is waiting in a full accept queue.
const dialTimeout = 5 * time.Second

// Conn is one persistent connection, dialled when first needed and again after it broke. Do and HangUp belong to one
// goroutine; Overdue and Interrupt may be called from any.
type Conn struct {
	addr  string
	buf   []byte
	mu    sync.Mutex // guards nc against Interrupt
	nc    net.Conn
	since atomic.Int64 // when the exchange that is under way began, Unix nanoseconds; 0: idle
	used  time.Time    // when the last exchange ended
	dials int
}

// idleFor is how long a connection is used again after an exchange. A browser sees at once that a server has closed an idle
// connection, and opens another; whoever only looks when it writes would lose the request.
const idleFor = 3 * time.Second

// NewConn returns a connection to addr (host:port) that is not open yet.
func NewConn(addr string) *Conn { return &Conn{addr: addr, buf: make([]byte, 4096)} }

// NewSmallConn returns a connection that starts with a small buffer, for thousands that hardly ever read.
func NewSmallConn(addr string) *Conn { return &Conn{addr: addr, buf: make([]byte, 512)} }

// Alive reports whether the connection is open and the other side has not closed it. It must not be called during Do.
func (c *Conn) Alive() bool {
	if c.nc == nil {
		return false
	}
	// 1 ms: what the other side sent before is read at once, so only a connection that is still open waits.
	_ = c.nc.SetReadDeadline(time.Now().Add(time.Millisecond)) // fails only on a closed connection; so does Read
	var b [1]byte
	_, err := c.nc.Read(b[:])
	_ = c.nc.SetReadDeadline(time.Time{})
	return errors.Is(err, os.ErrDeadlineExceeded)
}

// Dial opens the connection unless it is open.
func (c *Conn) Dial(ctx context.Context) error {
	if c.nc != nil {
		return nil
	}
	d := net.Dialer{Timeout: dialTimeout, KeepAlive: -1}
	nc, err := d.DialContext(ctx, "tcp", c.addr)
	if err != nil {
		return dialError(err)
	}
	c.mu.Lock()
	c.nc = nc
	c.mu.Unlock()
	c.used = time.Now()
	c.dials++
	return nil
}

// Addr returns the host:port that the connection leads to.
func (c *Conn) Addr() string { return c.addr }

// Dials tells how often the connection was opened.
func (c *Conn) Dials() int { return c.dials }

// Do sends request and reads its answer into a, whose Body is valid until the next call. After an error the connection is
// closed and the next Do opens a new one.
func (c *Conn) Do(ctx context.Context, request []byte, a *Answer) error {
	now := time.Now()
	c.since.Store(now.UnixNano())
	defer c.since.Store(0)
	if c.nc != nil && now.Sub(c.used) > idleFor {
		c.HangUp()
	}
	if err := c.Dial(ctx); err != nil {
		return err
	}
	if _, err := c.nc.Write(request); err != nil {
		c.HangUp()
		return ioError(err)
	}
	if err := c.read(a); err != nil {
		c.HangUp()
		return err
	}
	c.used = time.Now()
	if a.close {
		c.HangUp()
	}
	return nil
}

// Abandon sends request and closes the connection without waiting for the answer, as a phone in a tunnel does.
func (c *Conn) Abandon(ctx context.Context, request []byte) error {
	if err := c.Dial(ctx); err != nil {
		return err
	}
	_, err := c.nc.Write(request)
	c.HangUp()
	if err != nil {
		return ioError(err)
	}
	return nil
}

// HangUp closes the connection if it is open.
func (c *Conn) HangUp() {
	c.mu.Lock()
	nc := c.nc
	c.nc = nil
	c.mu.Unlock()
	if nc != nil {
		_ = nc.Close() // nothing is buffered on this side: there is nothing a failed close could lose
	}
}

// Overdue reports whether the exchange that is under way began before deadline.
func (c *Conn) Overdue(deadline time.Time) bool {
	since := c.since.Load()
	return since != 0 && since < deadline.UnixNano()
}

// Interrupt makes the exchange that is under way fail with ErrTimedOut. One sweeper that calls it for overdue connections
// costs less than a read deadline for every request.
func (c *Conn) Interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.nc != nil {
		_ = c.nc.SetDeadline(time.Unix(1, 0)) // fails only on a closed connection, which is interrupted already
	}
}

// read collects bytes until the answer is complete.
func (c *Conn) read(a *Answer) error {
	n := 0
	for {
		if n == len(c.buf) {
			c.buf = append(c.buf, make([]byte, len(c.buf))...)
		}
		m, err := c.nc.Read(c.buf[n:])
		n += m
		if m > 0 {
			done, perr := a.parse(c.buf[:n])
			if perr != nil || done {
				return perr
			}
		}
		if err != nil {
			return ioError(err)
		}
		if n > maxAnswer {
			return fmt.Errorf("%w: longer than %d bytes", ErrMalformed, maxAnswer)
		}
	}
}

func dialError(err error) error {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return ErrRefused
	}
	return ioError(err)
}

func ioError(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ErrTimedOut
	}
	if errors.Is(err, io.EOF) {
		return ErrLost
	}
	return fmt.Errorf("%w: %w", ErrLost, err)
}

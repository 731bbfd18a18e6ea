package smtp

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// errDeadline is how a connection fails that a message's time ran out on.
var errDeadline = os.ErrDeadlineExceeded

// boundedConn is a connection with a deadline that the SMTP library cannot push out, and a memory of why it failed.
type boundedConn struct {
	net.Conn

	mu    sync.Mutex
	limit time.Time
	err   error
}

// bound sets the latest deadline from now on.
func (c *boundedConn) bound(limit time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limit = limit
	_ = c.Conn.SetDeadline(limit)
}

// expire ends whatever the connection waits for.
func (c *boundedConn) expire() { c.bound(time.Unix(1, 0)) }

// SetDeadline sets the deadline to t, or to the bound if that is earlier.
func (c *boundedConn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.limit.IsZero() && (t.IsZero() || t.After(c.limit)) {
		t = c.limit
	}
	return c.Conn.SetDeadline(t)
}

func (c *boundedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.note(err)
	return n, err
}

func (c *boundedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.note(err)
	return n, err
}

func (c *boundedConn) note(err error) {
	if err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

// failure returns the last error of the connection.
func (c *boundedConn) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		return errors.New("the server broke the protocol")
	}
	return c.err
}

package app

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"gapura/internal/lifecycle"
)

// crowded is how many open connections have idle ones parked.
const crowded = 2000

// parkAfter is how long a connection is idle before it leaves net/http, where it costs 17 kB. Whoever sends order after order,
// or polls every second, does not come to it.
const parkAfter = time.Second

// parking is a listener that takes idle connections out of net/http and keeps them with a goroutine of 2 kB and one byte to
// read into; with its next request's first byte a connection is accepted anew. It does so only while many are open: the way
// back costs a few microseconds. It is safe for concurrent use.
//
// net/http does not know. It sees an idle connection end, gives its two buffers of 4 KiB and its stack of 8 KiB back, and
// closes what it takes for the connection.
type parking struct {
	net.Listener

	from  int64         // open connections from which on idle ones are parked
	after time.Duration // how long one is idle before
	work  *lifecycle.Group
	next  chan arrival
	done  chan struct{}
	open  atomic.Int64 // all connections, parked or not

	mu     sync.Mutex
	parked map[net.Conn]struct{}
	closed bool
}

// arrival is what Accept returns next.
type arrival struct {
	conn net.Conn
	err  error
}

// newParking accepts from listener in a goroutine of work; Close ends it.
func newParking(listener net.Listener, work *lifecycle.Group, from int64, after time.Duration) *parking {
	p := &parking{
		Listener: listener, from: from, after: after, work: work,
		next: make(chan arrival), done: make(chan struct{}), parked: map[net.Conn]struct{}{},
	}
	work.Go("accept", func(context.Context) { p.accept() })
	return p
}

func (p *parking) accept() {
	for {
		conn, err := p.Listener.Accept()
		if err == nil {
			p.open.Add(1)
			conn = &parkable{Conn: conn, parking: p}
		}
		if !p.offer(arrival{conn, err}) || errors.Is(err, net.ErrClosed) {
			return
		}
	}
}

// offer hands an arrival to Accept, or closes it if nobody accepts any more.
func (p *parking) offer(a arrival) bool {
	select {
	case p.next <- a:
		return true
	case <-p.done:
		if a.conn != nil {
			_ = a.conn.Close()
		}
		return false
	}
}

// Accept waits for a new connection, or for the next request on a parked one.
func (p *parking) Accept() (net.Conn, error) {
	select {
	case a := <-p.next:
		return a.conn, a.err
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// Close ends accepting and closes the parked connections: on none of them is a request under way.
func (p *parking) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return net.ErrClosed
	}
	p.closed = true
	for conn := range p.parked {
		_ = conn.SetReadDeadline(time.Unix(1, 0)) // its goroutine wakes and closes it
	}
	p.mu.Unlock()
	close(p.done)
	return p.Listener.Close()
}

// Parked returns how many connections are parked.
func (p *parking) Parked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.parked)
}

// park keeps conn until its client sends something, ends it, or until comes.
func (p *parking) park(conn net.Conn, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || conn.SetReadDeadline(until) != nil {
		p.end(conn)
		return
	}
	p.parked[conn] = struct{}{}
	p.work.Go("idle connection", func(context.Context) { p.await(conn) })
}

func (p *parking) await(conn net.Conn) {
	first := make([]byte, 1)
	n, _ := conn.Read(first)
	p.mu.Lock()
	delete(p.parked, conn)
	p.mu.Unlock()
	if n == 0 {
		p.end(conn)
		return
	}
	_ = conn.SetReadDeadline(time.Time{}) // net/http sets its own
	p.offer(arrival{conn: &parkable{Conn: conn, parking: p, first: first}})
}

func (p *parking) end(conn net.Conn) {
	p.open.Add(-1)
	_ = conn.Close()
}

// watch tells a connection whether it is idle; it is part of the server's ConnState.
func (p *parking) watch(conn net.Conn, state http.ConnState) {
	if c, ok := conn.(*parkable); ok {
		c.idle.Store(state == http.StateIdle)
	}
}

// What Close does to a parkable connection.
const (
	closes int32 = iota
	parks        // the last Read told net/http that the connection has ended
	gone         // it is parked or closed; to close it again does nothing
)

// parkable is a connection as net/http has it, from one return out of the parking to the next.
type parkable struct {
	net.Conn
	parking *parking
	first   []byte // what was read while it was parked
	full    int    // the size of net/http's empty buffer
	until   time.Time
	idle    atomic.Bool
	closing atomic.Int32
}

// Read reads, unless nothing comes for a while on an idle connection: then it says that the connection has ended, and Close
// parks it. Only with an empty buffer, which is seen by the size of p: the first bytes of a request that a client has sent
// along with the one before would be lost.
func (c *parkable) Read(p []byte) (int, error) {
	if c.full == 0 {
		c.full = len(p)
	}
	if len(c.first) > 0 {
		n := copy(p, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	if !c.idle.Load() || len(p) < c.full || c.parking.open.Load() < c.parking.from {
		return c.Conn.Read(p)
	}
	return c.readIdle(p)
}

func (c *parkable) readIdle(p []byte) (int, error) {
	soon := time.Now().Add(c.parking.after)
	if !c.until.IsZero() && c.until.Before(soon) {
		return c.Conn.Read(p)
	}
	if err := c.Conn.SetReadDeadline(soon); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && c.closing.CompareAndSwap(closes, parks) {
		return 0, io.EOF
	}
	c.idle.Store(false) // should these be less than the four bytes net/http waits for, the next Read must not park them
	if again := c.Conn.SetReadDeadline(c.until); err == nil && n == 0 {
		err = again
	}
	return n, err
}

// SetReadDeadline sets and notes the deadline, which is the idle timeout's end on an idle connection.
func (c *parkable) SetReadDeadline(t time.Time) error {
	c.until = t
	return c.Conn.SetReadDeadline(t)
}

// Close parks a connection that Read has declared ended, and closes any other.
func (c *parkable) Close() error {
	switch c.closing.Swap(gone) {
	case parks:
		c.parking.park(c.Conn, c.until)
		return nil
	case gone:
		return nil
	}
	c.parking.open.Add(-1)
	return c.Conn.Close()
}

package app

import (
	"bytes"
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
// read into; with its next request a connection is accepted anew. It does so only while many are open: the way
// back costs a few microseconds. It is safe for concurrent use.
//
// net/http does not know. It sees an idle connection end, gives its two buffers of 4 KiB and its stack of 8 KiB back, and
// closes what it takes for the connection.
//
// A request that the shortcut answers never comes to net/http at all, whether its connection is parked or not.
type parking struct {
	net.Listener

	from     int64         // open connections from which on idle ones are parked
	after    time.Duration // how long one is idle before
	idle     time.Duration // how long a connection is kept after a request that the shortcut has answered
	shortcut shortcut      // nil: net/http answers everything
	work     *lifecycle.Group
	next     chan arrival
	done     chan struct{}
	open     atomic.Int64 // all connections, parked or not
	buffers  sync.Pool    // for what parked connections are sent

	mu     sync.Mutex
	parked map[net.Conn]struct{}
	closed bool
}

// shortcut writes the answer to a request, which is all that a client has sent since its last one, and reports whether it did;
// an error is one of writing.
type shortcut func(request []byte, conn net.Conn) (answered bool, err error)

// arrival is what Accept returns next.
type arrival struct {
	conn net.Conn
	err  error
}

// newParking accepts from listener in a goroutine of work; Close ends it.
func newParking(listener net.Listener, work *lifecycle.Group, from int64, after, idle time.Duration, answer shortcut) *parking {
	p := &parking{
		Listener: listener, from: from, after: after, idle: idle, shortcut: answer, work: work,
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
			conn = newParkable(conn, p, nil)
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

// park keeps conn until its client sends something that is not answered here, ends it, or until comes.
func (p *parking) park(conn net.Conn, until time.Time) {
	if !p.wait(conn, until) {
		p.end(conn)
		return
	}
	p.work.Go("idle connection", func(context.Context) { p.await(conn) })
}

// wait makes conn one of the parked until that time, and reports false if parking is closed or the connection has ended.
func (p *parking) wait(conn net.Conn, until time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || conn.SetReadDeadline(until) != nil {
		return false
	}
	p.parked[conn] = struct{}{}
	return true
}

func (p *parking) await(conn net.Conn) {
	for {
		first := [1]byte{}
		n, _ := conn.Read(first[:])
		p.mu.Lock()
		delete(p.parked, conn)
		p.mu.Unlock()
		if n == 0 {
			break
		}
		arrived, answered := p.wake(conn, first[0])
		if !answered {
			_ = conn.SetReadDeadline(time.Time{}) // net/http sets its own
			p.offer(arrival{conn: newParkable(conn, p, arrived)})
			return
		}
		if !p.wait(conn, time.Now().Add(p.idle)) {
			break
		}
	}
	p.end(conn)
}

// restWithin is how long the second byte of a request may take before net/http waits for it instead.
const restWithin = 200 * time.Millisecond

// wake reads what has come along with the first byte on a parked connection, and reports whether the shortcut has answered it. If
// not, what was read is for net/http.
func (p *parking) wake(conn net.Conn, first byte) (arrived []byte, answered bool) {
	if p.shortcut == nil {
		return []byte{first}, false
	}
	buffer, ok := p.buffers.Get().(*[4096]byte)
	if !ok {
		buffer = new([4096]byte)
	}
	defer p.buffers.Put(buffer)
	buffer[0] = first
	// The rest of a small request is there already. A byte that comes alone must not keep a buffer while its client thinks.
	_ = conn.SetReadDeadline(time.Now().Add(restWithin))
	n, _ := conn.Read(buffer[1:])
	answered, err := p.answer(conn, buffer[:1+n])
	if answered || err != nil {
		return nil, answered
	}
	return bytes.Clone(buffer[:1+n]), false
}

// answer has the shortcut answer, with as much time to write as net/http gives.
func (p *parking) answer(conn net.Conn, request []byte) (bool, error) {
	if p.shortcut == nil {
		return false, nil
	}
	if err := conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return false, err
	}
	return p.shortcut(request, conn)
}

func (p *parking) end(conn net.Conn) {
	p.open.Add(-1)
	_ = conn.Close()
}

// watch tells a connection that a request has ended; it is the server's ConnState.
func (p *parking) watch(conn net.Conn, state http.ConnState) {
	if c, ok := conn.(*parkable); ok && state == http.StateIdle {
		c.stage.Store(answeredStage)
	}
}

// Where a connection is between two requests. A Read that begins a request must be told from one in the middle of it: the first
// bytes of a request that a client has sent along with the one before are in net/http's buffer, and what comes next is not the
// beginning of anything, even if it looks like it.
//
// net/http tells that a request has ended, sets the idle timeout, and reads if its buffer has not four bytes. If it has, it sets
// the deadline of the request under way, which is how that is known here.
const (
	withinStage   int32 = iota // a request is under way, or some of its bytes are in net/http's buffer
	newStage                   // nothing was ever read
	answeredStage              // net/http has told that a request has ended
	waitingStage               // and that it waits for the next
)

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
	stage   atomic.Int32
	closing atomic.Int32
}

func newParkable(conn net.Conn, p *parking, first []byte) *parkable {
	c := &parkable{Conn: conn, parking: p, first: first}
	if len(first) == 0 {
		c.stage.Store(newStage)
	}
	return c
}

// Read reads. Between two requests, and with net/http's buffer empty, it first lets the shortcut answer; and if nothing comes
// for a while there, it says that the connection has ended, and Close parks it.
func (c *parkable) Read(p []byte) (int, error) {
	if c.full == 0 {
		c.full = len(p)
	}
	if len(c.first) > 0 {
		n := copy(p, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	// Less than a whole buffer: some of the next request's bytes are in it.
	if stage := c.stage.Load(); len(p) == c.full && (stage == newStage || stage == waitingStage) {
		return c.begin(p)
	}
	return c.Conn.Read(p)
}

// begin reads the first bytes of a request that is not answered on the way.
func (c *parkable) begin(p []byte) (int, error) {
	for {
		n, err := c.next(p)
		if n == 0 {
			return 0, err
		}
		answered, failed := c.parking.answer(c, p[:n])
		if failed != nil {
			return 0, failed
		}
		if !answered {
			c.stage.Store(withinStage)
			return n, err
		}
		c.until = time.Now().Add(c.parking.idle)
		if c.stage.Load() == newStage {
			return c.leave() // net/http has set the deadlines of what it takes for this connection's first request
		}
		if err := c.Conn.SetReadDeadline(c.until); err != nil {
			return 0, err
		}
	}
}

// leave tells net/http that the connection has ended, so that Close parks it.
func (c *parkable) leave() (int, error) {
	c.closing.CompareAndSwap(closes, parks)
	return 0, io.EOF
}

// next reads, or has the connection parked after a while.
func (c *parkable) next(p []byte) (int, error) {
	soon := time.Now().Add(c.parking.after)
	if c.stage.Load() == newStage || c.parking.open.Load() < c.parking.from || !c.until.IsZero() && c.until.Before(soon) {
		return c.Conn.Read(p)
	}
	if err := c.Conn.SetReadDeadline(soon); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		return c.leave()
	}
	if n < peeked {
		if again := c.Conn.SetReadDeadline(c.until); err == nil {
			err = again
		}
	}
	return n, err
}

// peeked is for how many bytes net/http waits before it sets the deadline of the request that they begin.
const peeked = 4

// SetReadDeadline sets and notes the deadline, which is the idle timeout's end on an idle connection.
func (c *parkable) SetReadDeadline(t time.Time) error {
	if !c.stage.CompareAndSwap(answeredStage, waitingStage) {
		c.stage.CompareAndSwap(waitingStage, withinStage)
	}
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

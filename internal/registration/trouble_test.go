package registration_test

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net"
	"sync"
	"testing"
	"time"

	"gapura/internal/fault"
	"gapura/internal/registration"
)

// meter counts the kinds of trouble that an engine met.
type meter struct {
	mu       sync.Mutex
	troubles map[string]int
	batches  []int
}

func (m *meter) Committed(_ string, batch, _ int, _, _ time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.batches = append(m.batches, batch)
}

func (*meter) Refused(string, fault.Code) {}
func (*meter) Waiting(string, int)        {}

func (m *meter) Trouble(_, kind string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.troubles == nil {
		m.troubles = map[string]int{}
	}
	m.troubles[kind]++
}

func (m *meter) count(kind string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.troubles[kind]
}

func (m *meter) all() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.troubles)
}

func metered(m *meter) func(*registration.Config) {
	return func(c *registration.Config) { c.Meter = m }
}

// await polls what no signal tells of, such as another session's state, for as long as a busy machine may need.
func await(t testing.TB, what string, happened func() bool) {
	t.Helper()
	awaitEvery(t, 5*time.Millisecond, what, happened)
}

func awaitEvery(t testing.TB, interval time.Duration, what string, happened func() bool) {
	t.Helper()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	limit := time.NewTimer(30 * time.Second)
	defer limit.Stop()
	for !happened() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("in vain: %s", what)
		}
	}
}

// gate holds the committer before its first transaction.
type gate struct {
	arrived chan struct{}
	open    chan struct{}
	once    sync.Once
}

func newGate(n *node) *gate {
	g := &gate{arrived: make(chan struct{}), open: make(chan struct{})}
	n.calls.inEvent = func(ctx context.Context, eventID int64, work func(tx registration.Tx) error) error {
		g.once.Do(func() {
			close(g.arrived)
			<-g.open
		})
		return n.calls.Store.InEvent(ctx, eventID, work)
	}
	return g
}

// oneBatch registers all requests so that they meet in one batch, behind a first that holds the committer up: that of
// person 9,999,999. Their keys are key(i).
func oneBatch(t testing.TB, n *node, slug string, requests []registration.Request) ([]registration.Receipt, []error) {
	t.Helper()
	g := newGate(n)
	receipts, errs := make([]registration.Receipt, len(requests)), make([]error, len(requests))
	var all sync.WaitGroup
	all.Go(func() { _, _ = n.register(slug, key(9_999_999), lone()) })
	<-g.arrived
	for i := range requests {
		all.Go(func() { receipts[i], errs[i] = n.register(slug, key(i), requests[i]) })
	}
	await(t, "everybody queues", func() bool { return n.Waiting(slug) == len(requests) })
	close(g.open)
	all.Wait()
	return receipts, errs
}

// proxy stands between an engine and its database and cuts connections where a test wants it.
type proxy struct {
	listener net.Listener
	server   string

	mu    sync.Mutex
	at    cut
	down  bool
	conns map[net.Conn]struct{}
	cuts  int
	all   sync.WaitGroup
}

// cut is where the next COMMIT is lost.
type cut int

const (
	nowhere cut = iota
	beforeCommit
	afterCommit
)

func newProxy(t testing.TB, server string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &proxy{listener: listener, server: server, conns: map[net.Conn]struct{}{}}
	p.all.Go(p.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		p.goDown(true)
		p.all.Wait()
	})
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

// loseNext loses the next COMMIT; stay says whether the database is gone from then on.
func (p *proxy) loseNext(at cut) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at = at
}

func (p *proxy) lost() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cuts
}

// goDown cuts every connection and refuses new ones, or accepts them again.
func (p *proxy) goDown(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
	for c := range p.conns {
		_ = c.Close()
	}
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.all.Go(func() { p.serve(client) })
	}
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer server.Close()
	if !p.enter(client, server) {
		return
	}
	defer p.leave(client, server)
	drop := make(chan struct{}) // closed: the server's next answer is lost
	var answers sync.WaitGroup
	answers.Go(func() {
		defer client.Close()
		_, _ = io.Copy(client, &until{server, drop})
	})
	p.forward(client, server, drop)
	answers.Wait()
	_ = server.Close()
}

func (p *proxy) enter(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		p.conns[c] = struct{}{}
	}
	return !p.down
}

func (p *proxy) leave(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		delete(p.conns, c)
	}
}

// forward passes on what the client sends, up to the COMMIT that is to be lost.
func (p *proxy) forward(client, server net.Conn, drop chan struct{}) {
	buf := make([]byte, 1<<16)
	for {
		n, err := client.Read(buf)
		if err != nil {
			_ = server.Close()
			return
		}
		switch p.decide(buf[:n]) {
		case beforeCommit:
			_ = server.Close()
			return
		case afterCommit:
			close(drop)
			_, _ = server.Write(buf[:n])
			return // the answer ends the other direction, and with it the connection
		case nowhere:
		}
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
	}
}

// decide recognises COM_QUERY (3) with the text COMMIT.
func (p *proxy) decide(packet []byte) cut {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at == nowhere || !bytes.HasSuffix(packet, []byte("\x03COMMIT")) {
		return nowhere
	}
	at := p.at
	p.at = nowhere
	p.cuts++
	return at
}

// until reads from a server until the answer that is to be lost has come.
type until struct {
	server net.Conn
	drop   chan struct{}
}

func (u *until) Read(b []byte) (int, error) {
	n, err := u.server.Read(b)
	select {
	case <-u.drop:
		return 0, io.EOF // the server has answered: what it did is durable
	default:
		return n, err
	}
}

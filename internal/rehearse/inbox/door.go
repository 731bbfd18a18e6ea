package inbox

import (
	"net"
	"sync"
)

// door is a listener that lets so many in at once; the next ones wait in the kernel's queue. When it is closed everybody inside is
// shown out, those too whom the mail server does not know yet.
type door struct {
	net.Listener
	places chan struct{}
	closed chan struct{}
	left   sync.WaitGroup

	mu     sync.Mutex
	inside map[*guest]struct{} // nil: closed
}

func newDoor(l net.Listener, places int) *door {
	return &door{Listener: l, places: make(chan struct{}, places), closed: make(chan struct{}), inside: map[*guest]struct{}{}}
}

// Accept implements net.Listener.
func (d *door) Accept() (net.Conn, error) {
	select {
	case d.places <- struct{}{}:
	case <-d.closed:
		return nil, net.ErrClosed
	}
	c, err := d.Listener.Accept()
	if err != nil {
		<-d.places
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inside == nil {
		_ = c.Close()
		return nil, net.ErrClosed
	}
	g := &guest{Conn: c, door: d}
	d.inside[g] = struct{}{}
	d.left.Add(1)
	return g, nil
}

// Close implements net.Listener.
func (d *door) Close() error {
	d.mu.Lock()
	inside := d.inside
	d.inside = nil
	d.mu.Unlock()
	if inside == nil {
		return nil
	}
	close(d.closed)
	err := d.Listener.Close()
	for g := range inside {
		_ = g.Close()
	}
	return err
}

// wait returns when the last has left.
func (d *door) wait() { d.left.Wait() }

// guest is a connection that gives its place back.
type guest struct {
	net.Conn
	door *door
	once sync.Once
}

// Close implements net.Conn.
func (g *guest) Close() error {
	err := g.Conn.Close()
	g.once.Do(func() {
		g.door.mu.Lock()
		delete(g.door.inside, g) // of a nil map too
		g.door.mu.Unlock()
		<-g.door.places
		g.door.left.Done()
	})
	return err
}

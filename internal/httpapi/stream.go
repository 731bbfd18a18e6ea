package httpapi

import (
	"fmt"
	"net/http"
	"time"

	"gapura/internal/calm"
	"gapura/internal/fault"
	"gapura/internal/gate"
	"gapura/internal/id"
	"gapura/internal/registration"
)

// heartbeat keeps mobile carriers' proxies, which drop silent connections after half a minute or so, from closing a stream.
const heartbeat = 20 * time.Second

// maxStreams bounds the open streams of a node: each keeps a connection and its buffers for minutes.
const maxStreams = 20_000

// streamOrder sends the order's status as it changes, as server-sent events. A client that reconnects gets the state of
// that moment first, so it misses nothing.
func (a *API) streamOrder(w http.ResponseWriter, r *http.Request) error {
	order, err := a.counted(w, r, gate.Watch)
	if err != nil {
		return err
	}
	if a.streams.Add(1) > maxStreams {
		a.streams.Add(-1)
		return fault.New(fault.Overloaded).After(shedFor())
	}
	defer a.streams.Add(-1)
	changes := a.cfg.Desk.Watch(r.Context(), order)
	o, err := a.readCalmly(r, order)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would hold the events back
	if r.Method == http.MethodHead {
		return nil
	}
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Time{}) // a recorder in a test has none; a stream outlives the server's usual limit
	s := stream{w: w, control: control}
	if s.status(o.Version, o.Status) != nil {
		return nil
	}
	s.follow(r, changes, a.cfg.Stopped)
	return nil
}

// readCalmly reads an order if there is room for a read. A stream itself lasts for minutes and costs memory only.
func (a *API) readCalmly(r *http.Request, order id.ID) (registration.Order, error) {
	if !a.cfg.Calm.Wait(r.Context(), calm.Read) {
		return registration.Order{}, fault.New(fault.Overloaded).After(shedFor())
	}
	defer a.cfg.Calm.Leave(calm.Read)
	ctx, cancel := a.readContext(r)
	defer cancel()
	return a.cfg.Desk.Order(ctx, order) //nolint:contextcheck // readContext is the request's
}

type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	version int
}

func (s *stream) follow(r *http.Request, changes <-chan registration.Change, stopped <-chan struct{}) {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		var err error
		select {
		case <-r.Context().Done():
			return
		case <-stopped:
			return
		case <-beat.C:
			err = s.send(": still here\n\n")
		case c, open := <-changes:
			if !open {
				return
			}
			err = s.status(c.Version, c.Status)
		}
		if err != nil {
			return
		}
	}
}

func (s *stream) status(version int, status registration.Status) error {
	if version <= s.version {
		return nil
	}
	s.version = version
	return s.send(fmt.Sprintf("event: status\nid: %d\ndata: {\"version\":%d,\"status\":%q}\n\n", version, version, status))
}

func (s *stream) send(text string) error {
	if _, err := s.w.Write([]byte(text)); err != nil {
		return err
	}
	return s.control.Flush()
}

package rehearse

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"gapura/internal/rehearse/crowd"
	"gapura/internal/rehearse/wire"
)

// worker carries one request at a time over its connection. Each keeps its own results, so that workers share nothing on the
// hot path but the queue.
type worker struct {
	e      *engine
	conn   *wire.Conn
	answer wire.Answer
	head   []byte // the request line and the header fields that never change
	body   []byte
	out    []byte
	quit   atomic.Bool

	mu   sync.Mutex // against the collector
	done []Attempt
}

func newWorker(e *engine) *worker {
	head := "POST /api/v1/events/" + e.target.event.Slug + "/orders HTTP/1.1\r\nHost: " + e.target.addr +
		"\r\nContent-Type: application/json\r\nIdempotency-Key: "
	return &worker{e: e, conn: wire.NewConn(e.target.addr), head: []byte(head)}
}

// run carries out tasks until the queue is closed. Once quit is set what is left in the queue is dropped: nobody waited
// longer for it than Drain.
func (w *worker) run(ctx context.Context) {
	for t := range w.e.queue {
		w.e.queued.Add(-1)
		if w.quit.Load() || ctx.Err() != nil {
			continue
		}
		w.carry(ctx, t)
		w.e.pending.Add(-1)
	}
}

// carry sends one request, keeps what came of it and plans what its visitor does next.
func (w *worker) carry(ctx context.Context, t task) {
	a := Attempt{Order: t.order, Kind: t.kind, Try: t.try, Intended: t.due, Start: w.e.now()}
	var err error
	if t.kind == First && w.e.crowd.Orders[t.order].Habit == crowd.LosesLine {
		if err = w.conn.Abandon(ctx, w.request(t)); err == nil {
			err = errDropped
		}
	} else {
		err = w.conn.Do(ctx, w.request(t), &w.answer)
	}
	a.End = w.e.now()
	if err != nil {
		a.Code = errorCode(err)
	} else {
		w.understand(&a)
	}
	w.mu.Lock()
	w.done = append(w.done, a)
	w.mu.Unlock()
	if !w.quit.Load() {
		w.next(&t, &a)
	}
}

// errDropped marks a request whose connection this side closed on purpose.
var errDropped = errors.New("dropped on purpose")

func errorCode(err error) Code {
	switch {
	case errors.Is(err, errDropped):
		return CodeDropped
	case errors.Is(err, wire.ErrRefused):
		return CodeRefusedConnection
	case errors.Is(err, wire.ErrTimedOut):
		return CodeTimedOut
	case errors.Is(err, wire.ErrMalformed):
		return CodeMalformed
	default:
		return CodeLost
	}
}

// request builds the bytes of a task's request; they are valid until the next call.
func (w *worker) request(t task) []byte {
	if t.kind == Cancel {
		return w.cancelRequest(t)
	}
	p := w.e.people
	w.body = p.AppendBody(w.body[:0], t.order)
	b := append(w.out[:0], w.head...)
	b = p.AppendKey(b, t.order)
	if w.e.plan.Forwarded {
		b = append(b, "\r\nX-Forwarded-For: "...)
		b = p.AppendAddress(b, t.order)
	}
	b = append(b, "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(w.body)), 10)
	b = append(b, "\r\n\r\n"...)
	w.out = append(b, w.body...)
	return w.out
}

func (w *worker) cancelRequest(t task) []byte {
	b := append(w.out[:0], "POST /api/v1/orders/"...)
	b = append(b, t.receipt.ID...)
	b = append(b, "/cancel HTTP/1.1\r\nHost: "...)
	b = append(b, w.e.target.addr...)
	b = append(b, "\r\nAuthorization: Bearer "...)
	b = append(b, t.receipt.Token...)
	w.out = append(b, "\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"...)
	return w.out
}

// understand reads the answer into a.
func (w *worker) understand(a *Attempt) {
	r := &w.answer
	a.Status, a.Replayed = r.Status, r.Replayed
	if r.Status/100 != 2 {
		a.Code = w.problemCode(r)
		return
	}
	if a.Kind == Cancel {
		a.Code = CodeCancelled
		return
	}
	a.Receipt = readReceipt(r.Body)
	switch {
	case a.Receipt.ID == "":
		a.Code = CodeMalformed
	case w.e.acked[a.Order].Swap(true):
		a.Code = CodeReplayed
	default:
		a.Code = CodeAcknowledged
	}
}

// problemCode returns the code of a problem document, or http_NNN if there is none.
func (w *worker) problemCode(r *wire.Answer) Code {
	var code []byte
	wire.Members(r.Body, func(name, value []byte) bool {
		if string(name) == "code" {
			code = value
		}
		return code == nil
	})
	if len(code) == 0 || len(code) > 64 {
		code = strconv.AppendInt([]byte("http_"), int64(r.Status), 10)
	}
	return w.e.codes.code(code)
}

// readReceipt reads the id and the token of an order.
func readReceipt(body []byte) Receipt {
	var id, token []byte
	wire.Members(body, func(name, value []byte) bool {
		switch string(name) {
		case "id":
			id = value
		case "access_token":
			token = value
		}
		return id == nil || token == nil
	})
	both := string(id) + string(token) // one allocation for the two
	return Receipt{ID: both[:len(id)], Token: both[len(id):]}
}

// How long people take before they act again.
const (
	repeatWait  = 200 * time.Millisecond // doubled with every repeat
	repeatLimit = 3 * time.Second
	replayWait  = 500 * time.Millisecond
	cancelWait  = time.Second
)

// next plans what the visitor does after the attempt.
func (w *worker) next(t *task, a *Attempt) {
	switch {
	case a.Code == CodeAcknowledged:
		w.afterAcknowledged(t, a)
	case a.Code == CodeReplayed || t.kind == Double:
		// Whoever has the order is done, and whoever clicked twice waits for the answer to the first click.
	case a.unclear(w.e.codes.name(a.Code)):
		w.repeat(t)
	case a.Status == 503 || a.Status == 429:
		w.comeBack(t)
	}
}

func (w *worker) afterAcknowledged(t *task, a *Attempt) {
	switch w.e.crowd.Orders[t.order].Habit {
	case crowd.AsksAgain:
		w.e.after(jitter(replayWait), task{order: t.order, kind: Replay})
	case crowd.Cancels:
		receipt := a.Receipt
		w.e.after(jitter(cancelWait), task{order: t.order, kind: Cancel, receipt: &receipt})
	}
}

// repeat asks again with the same key, with growing pauses, until RepeatFor has passed since the order's first arrival.
func (w *worker) repeat(t *task) {
	if w.e.now()-w.e.crowd.Orders[t.order].At > w.e.plan.RepeatFor {
		return
	}
	again := *t
	if t.kind != Cancel {
		again.kind = Repeat
	}
	wait := min(repeatWait<<min(t.try, 10), repeatLimit)
	again.try = min(t.try, 254) + 1
	w.e.after(jitter(wait), again)
}

// comeBack asks again after the server was too busy, if visitors are polite.
func (w *worker) comeBack(t *task) {
	if !w.e.plan.Polite || int(t.try) >= w.e.plan.Returns {
		return
	}
	again := *t
	if t.kind != Cancel {
		again.kind = Return
	}
	again.try++
	wait := time.Duration(max(w.answer.RetryAfter, 1)) * time.Second
	// Never earlier than the server asked for, and up to as long again, so that those refused together part.
	w.e.after(wait/2+jitter(wait), again)
}

// take hands over the attempts since the last call.
func (w *worker) take(spare []Attempt) []Attempt {
	w.mu.Lock()
	defer w.mu.Unlock()
	taken := w.done
	w.done = spare
	return taken
}

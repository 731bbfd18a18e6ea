package rehearse

import (
	"bytes"
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
	queue  chan task
	conn   *wire.Conn
	answer wire.Answer
	head   []byte // the request line and the header fields that never change
	body   []byte
	out    []byte
	quit   atomic.Bool
	tally  map[Counted]int // read when the worker has ended

	mu    sync.Mutex // against the collector
	done  []Attempt
	steps []Step
	looks []float32 // how long polls took, nanoseconds
}

func newWorker(e *engine, queue chan task) *worker {
	head := "POST /api/v1/events/" + e.target.event.Slug + "/orders HTTP/1.1\r\nHost: " + e.target.addr +
		"\r\nContent-Type: application/json\r\nIdempotency-Key: "
	return &worker{e: e, queue: queue, conn: wire.NewConn(e.target.addr), head: []byte(head), tally: map[Counted]int{}}
}

// run carries out tasks until the queue is closed. Once quit is set what is left in the queue is dropped: nobody waited
// longer for it than Drain.
func (w *worker) run(ctx context.Context) {
	for t := range w.queue {
		w.e.queued.Add(-1)
		if w.quit.Load() || ctx.Err() != nil {
			continue
		}
		if t.kind > Cancel {
			w.step(ctx, t)
		} else {
			w.carry(ctx, t)
		}
		if !w.e.isBot(t.order) {
			w.e.answered.Add(1)
		}
		w.e.done(t.order)
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
	w.keep(&a)
	if !w.quit.Load() {
		w.next(&t, &a)
	}
}

// keep keeps what came of a request. Of bots, which send many, only what may have made an order.
func (w *worker) keep(a *Attempt) {
	if w.e.line != nil {
		w.count(a.Kind, a.Code, a.End, w.e.isBot(a.Order))
	}
	if w.e.isBot(a.Order) && a.Receipt.ID == "" && !a.unclear(w.e.codes.name(a.Code)) {
		return
	}
	w.mu.Lock()
	w.done = append(w.done, *a)
	w.mu.Unlock()
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
		b = p.AppendNetwork(b, t.order, int(t.try))
	}
	if w.e.line != nil {
		b = w.sign(b, t.order)
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
	if w.e.line != nil && t.kind != Cancel && a.Receipt.ID == "" {
		w.nextInLine(t, a)
		return
	}
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
	o := &w.e.crowd.Orders[t.order]
	if o.Role == crowd.Holder && o.Next >= 0 {
		w.e.bequeath(t.order, o.Next)
		w.e.after(w.e.plan.Room.Hold+time.Second, task{order: o.Next, kind: Look})
	}
	switch o.Habit {
	case crowd.AsksAgain:
		w.e.after(jitter(replayWait), task{order: t.order, kind: Replay})
	case crowd.Cancels:
		receipt := a.Receipt
		w.e.after(jitter(cancelWait), task{order: t.order, kind: Cancel, receipt: &receipt})
	default:
	}
}

// repeat asks again with the same key, with growing pauses, until RepeatFor has passed since the order's first arrival; in a
// waiting room until patience ends.
func (w *worker) repeat(t *task) {
	switch line := w.e.line; {
	case line != nil && w.e.now() > line.until:
		return
	case line == nil && w.e.now()-w.e.crowd.Orders[t.order].At > w.e.plan.RepeatFor:
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
	if w.e.line == nil && (!w.e.plan.Polite || int(t.try) >= w.e.plan.Returns) {
		return
	}
	again := *t
	if t.kind != Cancel {
		again.kind = Return
	}
	again.try = min(t.try, 254) + 1
	wait := time.Duration(max(w.answer.RetryAfter, 1)) * time.Second
	// Never earlier than the server asked for, and up to as long again, so that those refused together part.
	w.e.after(wait/2+jitter(wait), again)
}

// How long people wait before they try for a place that may come back.
const returnWait = 10 * time.Second

// nextInLine plans what a visitor with a pass does when it was not answered with an order.
func (w *worker) nextInLine(t *task, a *Attempt) {
	code := w.e.codes.name(a.Code)
	v := &w.e.line.visitors[t.order]
	v.mu.Lock()
	defer v.mu.Unlock()
	bot := w.e.isBot(t.order)
	again := task{order: t.order, kind: Return, try: min(t.try, 254) + 1}
	switch {
	case t.kind == Double || t.kind == Replay:
		// Whoever clicked twice waits for the answer to the first click.
	case a.unclear(code):
		w.repeat(t)
	case bot && (a.Status == 503 || a.Status == 429):
		w.later(jitter(snatchEvery), again, v)
	case a.Status == 503 || a.Status == 429:
		w.comeBack(t)
	case code == "sold_out" && bytes.Contains(w.answer.Body, []byte(`"may_return":true`)):
		wait := jitter(returnWait)
		if bot {
			wait = jitter(snatchEvery)
		}
		w.later(wait, again, v)
	case code == "sold_out":
		w.leave(v, SoldOut)
	case code == "captcha_failed":
		v.signed = ""
		w.later(jitter(clickWait), task{order: t.order, kind: Fetch}, v)
	case code == "queue_pass_required":
		w.unturned(t, v, problemReason(w.answer.Body))
	default:
		w.leave(v, Refused)
	}
}

// take hands over the attempts since the last call.
func (w *worker) take(spare []Attempt) []Attempt {
	w.mu.Lock()
	defer w.mu.Unlock()
	taken := w.done
	w.done = spare
	return taken
}

package rehearse

import (
	"context"
	"math/rand/v2"
	"strconv"
	"time"

	"gapura/internal/rehearse/crowd"
	"gapura/internal/rehearse/room"
)

// How often bots ask.
const (
	botLook     = time.Second
	forgeEvery  = 500 * time.Millisecond
	hammerEvery = 200 * time.Millisecond
	snatchEvery = 500 * time.Millisecond // for a place that may have come back
)

// draws reports whether a visitor without a ticket draws one: of those who share, one does.
func (w *worker) draws(order int32) bool {
	o := &w.e.crowd.Orders[order]
	return o.Role != crowd.Sharer || o.Next == order
}

// ticketOf is the visitor's own ticket, or the one it shares.
func (w *worker) ticketOf(order int32, v *visitor) *room.Ticket {
	if own := v.ticket.Load(); own != nil {
		return own
	}
	if o := &w.e.crowd.Orders[order]; o.Role == crowd.Sharer {
		if shared := w.e.line.visitors[o.Next].ticket.Load(); shared != nil {
			v.ticket.Store(shared)
			return shared
		}
	}
	return nil
}

// prod sends what only a bot sends. Whatever it is answered, the bot goes on.
func (w *worker) prod(ctx context.Context, t task, v *visitor) {
	s := Step{Visitor: t.order, Kind: Prod, Try: t.try, Intended: t.due, Start: w.e.now()}
	forger := w.e.crowd.Orders[t.order].Role == crowd.Forger
	person := w.e.line.post != nil
	request, wrong := w.hammer(t, v), t.try%4 == 1 || person && t.try%4 == 3
	switch {
	case forger && person && t.try%(forgeries+1) == forgeries:
		request, wrong = w.guess(t, v), true
	case forger:
		request, wrong = w.forge(t, v), true
	}
	err := w.conn.Do(ctx, request, &w.answer)
	s.End = w.e.now()
	s.Code = w.stepCode(&s, err)
	w.keepStep(&s)
	if wrong && w.e.tried(s.Status == 201) {
		w.e.breached("the request with which " + w.e.crowd.Orders[t.order].Role.String() + "s try their luck, number " + strconv.Itoa(int(t.try)%forgeries))
	}
	every := hammerEvery
	if forger {
		every = forgeEvery
	}
	t.try++
	if t.kind = w.guessed(&s, v); !w.quit.Load() {
		w.e.after(jitter(every), t)
	}
}

// tried counts what must not succeed, and returns whether it did.
func (e *engine) tried(succeeded bool) bool {
	e.tries.Add(1)
	return succeeded
}

// forgeries is how many kinds of them there are.
const forgeries = 6

// forge makes a ticket or a pass up, or takes one that is not for this.
func (w *worker) forge(t task, v *visitor) []byte {
	switch t.try % forgeries {
	case 0:
		return w.exchange(t, random(74))
	case 1:
		return w.exchange(t, altered(w.anyTicket(t.order, v)))
	case 2:
		return w.exchange(t, shortened(w.anyTicket(t.order, v)))
	case 3:
		return w.exchange(t, w.foreign())
	case 4:
		return w.orderWith(t, random(83))
	default:
		return w.orderWith(t, w.anyTicket(t.order, v)) // a ticket is no pass
	}
}

// hammer asks for what its sender has no right to yet.
func (w *worker) hammer(t task, v *visitor) []byte {
	switch t.try % 4 {
	case 0:
		w.out = append(w.open("GET", w.e.line.path, t.order, int(t.try)), "\r\n"...)
		return w.out
	case 1:
		return w.orderWith(t, "")
	case 2:
		if own := v.ticket.Load(); own == nil { // it cannot be another bot's, whose turn that would take
			return w.exchange(t, random(74))
		}
		return w.exchange(t, w.anyTicket(t.order, v))
	default: // a code that is guessed, or
		if w.e.line.post != nil {
			return w.guess(t, v)
		}
		// without a captcha, and a further ticket where none is asked for
		w.body = append(w.body[:0], "{}"...)
		return w.close(w.open("POST", w.e.line.path+"/tickets", t.order, int(t.try)))
	}
}

// exchange asks for a pass that is bound to no order of the crowd's.
func (w *worker) exchange(t task, ticket string) []byte {
	w.body = append(append(w.body[:0], `{"ticket":"`...), ticket...)
	w.body = append(append(w.body, `","idempotency_key":"`...), random(24)...)
	w.body = append(w.body, `"}`...)
	return w.close(w.open("POST", w.e.line.path+"/passes", t.order, int(t.try)))
}

// orderWith sends the bot's order with whatever pass.
func (w *worker) orderWith(t task, pass string) []byte {
	w.body = w.e.people.AppendBody(w.body[:0], t.order)
	b := w.open("POST", "/api/v1/events/"+w.e.target.event.Slug+"/orders", t.order, int(t.try))
	b = append(append(b, "Idempotency-Key: "...), random(24)...)
	if pass != "" {
		b = append(append(b, "\r\nQueue-Pass: "...), pass...)
	}
	return w.close(append(b, "\r\n"...))
}

// anyTicket is the bot's ticket; a forger takes another bot's, or makes one up while there is none.
func (w *worker) anyTicket(order int32, v *visitor) string {
	if own := v.ticket.Load(); own != nil {
		return own.Text
	}
	for back := int32(1); back <= 8 && order-back >= 0 && w.e.isBot(order-back); back++ {
		if near := w.e.line.visitors[order-back].ticket.Load(); near != nil {
			return near.Text
		}
	}
	return random(74)
}

func (w *worker) foreign() string {
	if n := len(w.e.line.stolen); n > 0 {
		return w.e.line.stolen[rand.IntN(n)]
	}
	return random(74)
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

func random(length int) string { return drawnFrom(letters, length) }

func drawnFrom(letters string, length int) string {
	b := make([]byte, length)
	for i := range b {
		b[i] = letters[rand.IntN(len(letters))]
	}
	return string(b)
}

// altered changes one character in the middle of a ticket: its place or its visitor.
func altered(ticket string) string {
	b := []byte(ticket)
	at := len(b)/4 + rand.IntN(len(b)/2)
	if b[at] == 'A' {
		b[at] = 'B'
	} else {
		b[at] = 'A'
	}
	return string(b)
}

func shortened(ticket string) string { return ticket[:len(ticket)-1-rand.IntN(len(ticket)/2)] }

package rehearse

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"gapura/internal/rehearse/wire"
)

// asked is what the server says about an order when it is asked again.
type asked struct {
	byID, byKey  int // HTTP status; 0: not asked or no answer
	found        bool
	id           string // as the order's own page says
	keyID        string // as the key says
	status       string
	participants int
	expires      time.Time
	err          error // why there is no answer
}

func (a *asked) live() bool { return a.status == "awaiting_payment" || a.status == "confirmed" }

// lost reports whether the server says clearly that there is no such order.
func (a *asked) lost() bool { return a.err == nil && !a.found }

// askers is how many questions are under way at once: enough to keep two processors busy, few enough not to be a crowd.
const askers = 32

// askAll asks about the orders with those numbers and keeps the answers in the ledger.
func askAll(ctx context.Context, r *Result, ledger []entry, orders []int32) {
	var next, unanswered atomic.Int64
	var wg sync.WaitGroup
	for range min(askers, len(orders)) {
		wg.Go(func() {
			q := &asker{r: r, conn: wire.NewConn(r.target.addr), unanswered: &unanswered}
			defer q.conn.HangUp()
			for {
				i := int(next.Add(1)) - 1
				if i >= len(orders) || ctx.Err() != nil || unanswered.Load() >= giveUp {
					return
				}
				order := orders[i]
				ledger[order].asked = q.ask(ctx, order, &ledger[order])
			}
		})
	}
	wg.Wait()
}

// giveUp is after how many unanswered questions in a row nothing more is asked: the server is gone, and waiting for each of
// 100,000 orders would take hours.
const giveUp = askers

// asker asks one question at a time.
type asker struct {
	r          *Result
	conn       *wire.Conn
	answer     wire.Answer
	buf        []byte
	unanswered *atomic.Int64 // in a row, of all askers
}

// order is what an order's document says, as far as it is checked.
type order struct {
	ID           string     `json:"id"`
	Status       string     `json:"status"`
	ExpiresAt    *time.Time `json:"expires_at"`
	Participants []struct{} `json:"participants"`
}

// ask looks the order up by its id, if it was acknowledged, and by its key.
func (q *asker) ask(ctx context.Context, number int32, n *entry) *asked {
	var a asked
	var doc order
	if n.known {
		if a.byID, a.err = q.get(ctx, "/api/v1/orders/"+n.receipt.ID, n.receipt.Token, &doc); a.err != nil {
			return &a
		}
		a.take(a.byID, &doc)
	}
	var byKey order
	if a.byKey, a.err = q.get(ctx, "/api/v1/orders/by-key/"+q.r.people.Key(number), "", &byKey); a.err != nil {
		return &a
	}
	if a.byKey == 200 {
		a.keyID = byKey.ID
		if !n.known {
			a.take(a.byKey, &byKey)
		}
	}
	return &a
}

func (a *asked) take(status int, doc *order) {
	if status != 200 {
		return
	}
	a.found, a.id, a.status, a.participants = true, doc.ID, doc.Status, len(doc.Participants)
	if doc.ExpiresAt != nil {
		a.expires = *doc.ExpiresAt
	}
}

// askTries bounds how often a question is repeated while the server is away or busy: about 10 s in all.
const askTries = 12

// get reads a document. A status other than 200 is an answer too, except those that say "later".
func (q *asker) get(ctx context.Context, path, token string, into *order) (int, error) {
	var err error
	for try := range askTries {
		if try > 0 {
			if err := pause(ctx, jitter(min(100*time.Millisecond<<try, time.Second))); err != nil {
				return 0, err
			}
		}
		q.buf = getRequest(q.buf[:0], q.r.target.addr, path, token)
		if err = q.exchange(ctx); err != nil {
			continue
		}
		switch s := q.answer.Status; {
		case s == 200:
			q.unanswered.Store(0)
			if err := json.Unmarshal(q.answer.Body, into); err != nil {
				return 0, fmt.Errorf("GET of an order: %w", err)
			}
			return s, nil
		case s == 429 || s >= 500:
			err = fmt.Errorf("GET of an order: status %d", s)
		default:
			q.unanswered.Store(0)
			return s, nil
		}
	}
	q.unanswered.Add(1)
	return 0, err
}

// exchange bounds one question to the plan's time-out, at most 10 s: nobody is in a rush any more, so a server that needs
// longer is stuck.
func (q *asker) exchange(ctx context.Context) error {
	late := time.AfterFunc(min(q.r.Plan.Timeout, 10*time.Second), q.conn.Interrupt)
	defer late.Stop()
	return q.conn.Do(ctx, q.buf, &q.answer)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

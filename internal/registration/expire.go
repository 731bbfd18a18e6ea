package registration

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"gapura/internal/id"
)

// expiryBatch is how many holds end in one transaction: at about 0.1 ms an order the event stays locked for 5 ms.
const expiryBatch = 50

// expiryPatience is how long one event may keep a round of expiry: about as long as one wait for a lock. The holds of an event
// that is locked longer end later, those of the others do not.
const expiryPatience = 2500 * time.Millisecond

// ExpireDue ends the holds whose time is over and returns how many orders it released. It works in small transactions, so
// that an opening beside it never waits long for the event's lock. An event whose holds cannot be ended is logged once and
// left for the next round; only a database that does not answer ends this one.
func (e *Engine) ExpireDue(ctx context.Context) (int, error) {
	total := 0
	var failed []int64
	for {
		now := e.cfg.Clock.Now()
		due, err := e.cfg.Store.DueHolds(ctx, now, failed, expiryBatch)
		if err != nil {
			return total, fmt.Errorf("find ended holds: %w", err)
		}
		moved := false
		for eventID, orders := range byEvent(due) {
			released, paying, err := e.expire(ctx, now, eventID, orders)
			total += released
			if ctx.Err() != nil {
				return total, fmt.Errorf("end holds: %w", ctx.Err())
			}
			if e.noteStuck(eventID, err); err != nil {
				failed = append(failed, eventID)
			}
			moved = moved || released+paying > 0 || err != nil
		}
		if !moved || len(due) < expiryBatch {
			return total, nil
		}
	}
}

// expire ends holds of one event. Those that may be paid at this moment are left to the closer.
func (e *Engine) expire(ctx context.Context, now time.Time, eventID int64, orders []id.ID) (released, paying int, err error) {
	known, err := e.closePaying(ctx, orders)
	if err != nil {
		return 0, len(known), err
	}
	ctx, cancel := context.WithTimeout(ctx, expiryPatience)
	defer cancel()
	released, err = e.release(ctx, eventID, orders, Expired, func(o Order) bool {
		return o.Status == AwaitingPayment && o.ExpiresAt.Before(now) && !known[o.ID]
	})
	return released, len(known), err
}

// closePaying hands the holds that may be paid at this moment to the closer and returns which they are.
func (e *Engine) closePaying(ctx context.Context, orders []id.ID) (map[id.ID]bool, error) {
	if e.cfg.Closer == nil {
		return nil, nil
	}
	paying, err := e.cfg.Closer.Paying(ctx, orders)
	if err != nil {
		return nil, fmt.Errorf("find holds that are being paid: %w", err)
	}
	known := make(map[id.ID]bool, len(paying))
	for _, order := range paying {
		known[order] = true
	}
	if len(paying) == 0 {
		return known, nil
	}
	return known, e.cfg.Closer.Close(ctx, paying)
}

func byEvent(due []Due) map[int64][]id.ID {
	all := map[int64][]id.ID{}
	for _, d := range due {
		all[d.EventID] = append(all[d.EventID], d.Order)
	}
	return all
}

// stuckEvents remembers the events whose holds could not be ended.
type stuckEvents struct {
	mu  sync.Mutex
	all map[int64]bool
}

// turned notes how it is with an event now and reports whether that is a change.
func (s *stuckEvents) turned(eventID int64, now bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all[eventID] == now {
		return false
	}
	if s.all == nil {
		s.all = map[int64]bool{}
	}
	s.all[eventID] = now
	return true
}

// noteStuck says once that an event keeps its ended holds, and once that it does no more.
func (e *Engine) noteStuck(eventID int64, err error) {
	if err != nil {
		e.trouble(eventID, "expiry")
	}
	if !e.stuck.turned(eventID, err != nil) {
		return
	}
	if err == nil {
		e.cfg.Log.Info("ended holds are released again", slog.Int64("event_id", eventID))
		return
	}
	advice := "they are tried again twice a second"
	if errors.Is(err, ErrContention) || errors.Is(err, context.DeadlineExceeded) {
		advice = "another session holds a lock on the event: end its transaction"
	}
	e.cfg.Log.Warn("ended holds of an event cannot be released, the others' are",
		slog.String("advice", advice), slog.Int64("event_id", eventID), slog.Any("error", err))
}

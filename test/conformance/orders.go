package conformance

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"gapura/internal/event"
	"gapura/internal/id"
	"gapura/internal/money"
	"gapura/internal/registration"
)

// Hash returns 16 bytes that depend on what and n.
func Hash(what string, n int) [16]byte {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(what), uint64(n)))
	return [16]byte(sum[:16])
}

// NewOrder returns order n of an event as the engine would write it: unpaid, one participant in 5k, two claims.
func NewOrder(eventID int64, n int, change ...func(*registration.NewOrder)) registration.NewOrder {
	at := Opening.Add(time.Duration(n) * time.Millisecond)
	o := registration.NewOrder{
		Order: &registration.Order{
			ID: id.New(), EventID: eventID, Seq: int64(n), Number: fmt.Sprintf("RC%d-%06d", eventID, n), Status: registration.AwaitingPayment,
			Version: 1, Total: 150_000, Contact: registration.Contact{Name: "Siti", Email: Email(n), Phone: Phone(n)}, Locale: "id",
			CreatedAt: at, ExpiresAt: at.Add(30 * time.Minute),
			Participants: []registration.Participant{{
				Position: 1, Category: "5k", Name: "Siti", Email: Email(n), Phone: Phone(n), BirthDate: "1994-05-02", Gender: "female",
				Tier: -1, Price: 150_000,
			}},
		},
		Key: Hash("key", n), Fingerprint: Hash("print", n),
		Claims: [][]registration.Claim{{Hash("email", n), Hash("phone", n)}},
	}
	for _, f := range change {
		f(&o)
	}
	return o
}

// Free makes an order free and confirmed.
func Free(o *registration.NewOrder) {
	o.Order.Status, o.Order.Total, o.Order.ExpiresAt = registration.Confirmed, 0, time.Time{}
	for i := range o.Order.Participants {
		o.Order.Participants[i].Category, o.Order.Participants[i].Price = "fun", money.Rupiah(0)
	}
}

// Write inserts orders and advances the counters in one transaction, as the engine does.
func Write(t testing.TB, s registration.Store, eventID int64, orders ...registration.NewOrder) error {
	t.Helper()
	return within(t, s, eventID, func(ctx context.Context, tx registration.Tx) error {
		l, err := tx.Ledger(ctx, nil)
		if err != nil {
			return err
		}
		if err := tx.Insert(ctx, orders); err != nil {
			return err
		}
		deltas := map[event.Counter]registration.Count{}
		for i := range orders {
			add(deltas, l.Event, orders[i].Order, 1)
		}
		return tx.Advance(ctx, max(l.LastSeq, orders[len(orders)-1].Order.Seq), deltas)
	})
}

func add(deltas map[event.Counter]registration.Count, e *event.Event, o *registration.Order, n int) {
	for i := range o.Participants {
		p := &o.Participants[i]
		for _, c := range e.CountersOf(p.Category, p.Answers, p.Tier) {
			d := deltas[c]
			d.Taken += n
			if o.Status == registration.AwaitingPayment {
				d.Held += n
			}
			deltas[c] = d
		}
	}
}

// Fill writes n orders in batches of 500, every second one free.
func Fill(t testing.TB, s registration.Store, eventID int64, n int) []registration.NewOrder {
	t.Helper()
	all := make([]registration.NewOrder, 0, n)
	for i := range n {
		o := NewOrder(eventID, i+1)
		if i%2 == 1 {
			Free(&o)
		}
		all = append(all, o)
	}
	for from := 0; from < n; from += 500 {
		must(t, Write(t, s, eventID, all[from:min(n, from+500)]...))
	}
	return all
}

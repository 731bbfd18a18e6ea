// Package paymenttest keeps payment's cases in memory, for tests of whatever stands around payment. What its Store does with
// Change is what every store must do.
package paymenttest

import (
	"context"
	"errors"
	"sync"
	"time"

	"gapura/internal/fault"
	"gapura/internal/id"
	"gapura/internal/payment"
	"gapura/internal/registration"
)

var _ payment.Store = (*Store)(nil)

// Store keeps cases in memory. An order with a place takes one of its seats. It is safe for concurrent use.
type Store struct {
	mu     sync.Mutex
	seats  int // free ones
	cases  map[id.ID]payment.Case
	kept   map[string]payment.Kept
	alerts []payment.Alert
}

// NewStore returns a store with that many free seats.
func NewStore(seats int) *Store {
	return &Store{seats: seats, cases: map[id.ID]payment.Case{}, kept: map[string]payment.Kept{}}
}

// Add stores an order that has a place and no attempt.
func (m *Store) Add(o registration.Order) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seats--
	m.cases[o.ID] = payment.Case{Order: o}
}

// Free changes how many seats are free, as the crowd takes and returns them; never below none.
func (m *Store) Free(by int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seats = max(0, m.seats+by)
}

// Change implements payment.Store.
func (m *Store) Change(_ context.Context, order id.ID, decide func(payment.Case) (payment.Decision, error)) (payment.Case, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.cases[order]
	if !ok {
		return payment.Case{}, fault.New(fault.NoSuchOrder)
	}
	wasLive := c.Order.Status.Live()
	c.PlaceFree = !wasLive && m.seats > 0
	d, err := decide(c)
	if err != nil {
		return payment.Case{}, err
	}
	after := c.After(d)
	switch live := after.Order.Status.Live(); {
	case live && !wasLive:
		m.seats--
	case !live && wasLive:
		m.seats++
	}
	if m.seats < 0 {
		return payment.Case{}, errors.New("a place was sold twice")
	}
	m.alerts = append(m.alerts, d.Alerts...)
	m.cases[order] = after
	return after, nil
}

// Case implements payment.Store.
func (m *Store) Case(_ context.Context, order id.ID) (payment.Case, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.cases[order]
	if !ok {
		return payment.Case{}, fault.New(fault.NoSuchOrder)
	}
	return c.Clone(), nil
}

// Asked implements payment.Store.
func (m *Store) Asked(_ context.Context, ref payment.AttemptRef, k payment.AskedOf) error {
	m.Edit(ref.Order, func(c *payment.Case) {
		a := &c.Attempts[ref.N-1]
		if a.AskedAt.After(k.AskedAt) {
			return
		}
		a.AskedAt, a.Asks, a.AskAt = k.AskedAt, k.Asks, k.AskAt
	})
	return nil
}

// OrderOf implements payment.Store.
func (m *Store) OrderOf(_ context.Context, providerID string) (id.ID, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for order, c := range m.cases {
		if _, ok := c.ByProviderID(providerID); ok {
			return order, nil
		}
	}
	return id.Nil, fault.New(fault.NoSuchOrder)
}

// AttemptsToAsk implements payment.Store.
func (m *Store) AttemptsToAsk(_ context.Context, now time.Time, limit int) ([]payment.AttemptRef, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var due []payment.AttemptRef
	for order, c := range m.cases {
		for _, a := range c.Attempts {
			if !a.AskAt.IsZero() && !a.AskAt.After(now) {
				due = append(due, payment.AttemptRef{Order: order, N: a.N})
			}
		}
	}
	return due[:min(limit, len(due))], nil
}

// RefundsToSend implements payment.Store.
func (m *Store) RefundsToSend(_ context.Context, now time.Time, limit int) ([]payment.RefundRef, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var due []payment.RefundRef
	for order, c := range m.cases {
		for _, r := range c.Refunds {
			if (r.State == payment.RefundOpen || r.State == payment.RefundSending) && !r.NotBefore.After(now) {
				due = append(due, payment.RefundRef{Order: order, Key: r.Key})
			}
		}
	}
	return due[:min(limit, len(due))], nil
}

// WithoutPlace implements payment.Store.
func (m *Store) WithoutPlace(_ context.Context, _ int64, limit int) ([]id.ID, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var orders []id.ID
	for order, c := range m.cases {
		if c.Order.Status == registration.PaidNoPlace {
			orders = append(orders, order)
		}
	}
	return orders[:min(limit, len(orders))], nil
}

// Keep implements payment.Store.
func (m *Store) Keep(_ context.Context, n payment.Kept) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.kept[n.Key]; known {
		return false, nil
	}
	m.kept[n.Key] = n
	return true, nil
}

// Kept implements payment.Store.
func (m *Store) Kept(_ context.Context, key string) (payment.Kept, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kept[key], nil
}

// Judge implements payment.Store.
func (m *Store) Judge(_ context.Context, key, verdict string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.kept[key]
	n.Verdict = verdict
	m.kept[key] = n
	return nil
}

// Seats returns how many are free.
func (m *Store) Seats() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seats
}

// Notifications returns how many were kept.
func (m *Store) Notifications() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.kept)
}

// Alerts returns every alert that was raised, oldest first.
func (m *Store) Alerts() []payment.Alert {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]payment.Alert(nil), m.alerts...)
}

// Edit changes a stored case in place, for what no decision would do.
func (m *Store) Edit(order id.ID, change func(*payment.Case)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.cases[order].Clone()
	change(&c)
	m.cases[order] = c
}

// Package waitroomtest holds what tests of waiting rooms share: a store in memory and the conformance suite that every
// store must pass.
package waitroomtest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"gapura/internal/clock"
	"gapura/internal/waitroom"
)

// Store keeps rooms in memory and behaves as a database would, outages included.
type Store struct {
	Clock clock.Clock

	mu     sync.Mutex
	before func(method string) error
	rooms  map[int64]*kept
	calls  map[string]int
	codes  map[waitroom.ConfirmationID]waitroom.Confirmation
	mails  []waitroom.Confirmation
}

type kept struct {
	record  waitroom.Record
	draws   map[waitroom.Number]bool
	persons map[waitroom.Number]int64
	passes  map[waitroom.Number]waitroom.PassRow
	holder  string
	until   time.Time
	fence   int64
}

// NewStore returns an empty store whose database clock is c.
func NewStore(c clock.Clock) *Store {
	return &Store{
		Clock: c, rooms: map[int64]*kept{}, calls: map[string]int{},
		codes: map[waitroom.ConfirmationID]waitroom.Confirmation{},
	}
}

// Interfere has before called ahead of every transaction; an error stands for an outage. nil ends it.
func (s *Store) Interfere(before func(method string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = before
}

// ErrOutage is an outage for Interfere.
var ErrOutage = errors.New("the database does not answer")

// Calls returns how often a method was called.
func (s *Store) Calls(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[method]
}

// do runs work on a room as one transaction.
func (s *Store) do(ctx context.Context, method string, eventID int64, work func(k *kept) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	before := s.before
	s.mu.Unlock()
	if before != nil {
		if err := before(method); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[method]++
	k, known := s.rooms[eventID]
	if !known {
		return waitroom.ErrNoRoom
	}
	return work(k)
}

// Create implements waitroom.Store.
func (s *Store) Create(_ context.Context, r waitroom.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.rooms[r.EventID]; !known {
		s.rooms[r.EventID] = &kept{
			record: r, draws: map[waitroom.Number]bool{}, persons: map[waitroom.Number]int64{},
			passes: map[waitroom.Number]waitroom.PassRow{},
		}
	}
	return nil
}

// Load implements waitroom.Store.
func (s *Store) Load(ctx context.Context, eventID int64) (r waitroom.Record, now time.Time, err error) {
	err = s.do(ctx, "Load", eventID, func(k *kept) error {
		r, now = k.record, s.Clock.Now()
		r.Holder, r.LeaseUntil, r.Fence = k.holder, k.until, k.fence
		r.Operator.Groups = slices.Clone(r.Operator.Groups)
		return nil
	})
	return r, now, err
}

// SaveDraws implements waitroom.Store.
func (s *Store) SaveDraws(ctx context.Context, eventID int64, numbers []waitroom.Number) error {
	return s.do(ctx, "SaveDraws", eventID, func(k *kept) error {
		if k.record.Phase != waitroom.Before {
			return waitroom.ErrListClosed
		}
		for _, n := range numbers {
			if !k.draws[n] {
				k.draws[n] = true
				k.record.Drawn++
			}
		}
		return nil
	})
}

// Numbers implements waitroom.Store.
func (s *Store) Numbers(ctx context.Context, eventID int64) (numbers []waitroom.Number, err error) {
	err = s.do(ctx, "Numbers", eventID, func(k *kept) error {
		for n := range k.draws {
			numbers = append(numbers, n)
		}
		return nil
	})
	return numbers, err
}

// TakePlaces implements waitroom.Store.
func (s *Store) TakePlaces(ctx context.Context, eventID int64, arrivals []waitroom.Arrival, now time.Time) (places []int64, err error) {
	err = s.do(ctx, "TakePlaces", eventID, func(k *kept) error {
		for _, a := range arrivals {
			places = append(places, k.place(a, now))
		}
		return nil
	})
	return places, err
}

func (k *kept) place(a waitroom.Arrival, now time.Time) int64 {
	if a.Person {
		place, has := k.persons[a.Number]
		pass, passed := k.passes[a.Number]
		lapsed := passed && pass.Place == place && !now.Before(pass.Expires)
		if (has || k.draws[a.Number]) && !lapsed {
			return place
		}
	}
	k.record.Late++
	if a.Person {
		k.persons[a.Number] = k.record.Late
	}
	return k.record.Late
}

// IssuePasses implements waitroom.Store.
func (s *Store) IssuePasses(ctx context.Context, eventID int64, passes []waitroom.PassRow, now time.Time) (rows []waitroom.PassRow, err error) {
	err = s.do(ctx, "IssuePasses", eventID, func(k *kept) error {
		for _, p := range passes {
			old, has := k.passes[p.Number]
			if !has || (!now.Before(old.Expires) && p.Place > old.Place) {
				k.passes[p.Number] = p
			}
			rows = append(rows, k.passes[p.Number])
		}
		return nil
	})
	return rows, err
}

// BindPasses implements waitroom.Store.
func (s *Store) BindPasses(ctx context.Context, eventID int64, bindings []waitroom.Binding) (keys []waitroom.KeyHash, err error) {
	err = s.do(ctx, "BindPasses", eventID, func(k *kept) error {
		for _, b := range bindings {
			row, has := k.passes[b.Number]
			if has && row.Key == (waitroom.KeyHash{}) {
				row.Key = b.Key
				k.passes[b.Number] = row
			}
			keys = append(keys, row.Key)
		}
		return nil
	})
	return keys, err
}

// Lease implements waitroom.Store.
func (s *Store) Lease(ctx context.Context, eventID int64, node string, ttl time.Duration) (lease waitroom.Lease, err error) {
	err = s.do(ctx, "Lease", eventID, func(k *kept) error {
		now := s.Clock.Now()
		if k.holder != node {
			if now.Before(k.until) {
				lease = waitroom.Lease{Fence: k.fence, Now: now}
				return nil
			}
			k.holder = node
			k.fence++
		}
		k.until = now.Add(ttl)
		lease = waitroom.Lease{Held: true, Fence: k.fence, Now: now}
		return nil
	})
	return lease, err
}

// Save implements waitroom.Store.
func (s *Store) Save(ctx context.Context, eventID int64, fence int64, p waitroom.Progress, ttl time.Duration) error {
	return s.do(ctx, "Save", eventID, func(k *kept) error {
		if fence != k.fence {
			return waitroom.ErrFenced
		}
		k.record.Progress, k.until = p, s.Clock.Now().Add(ttl)
		return nil
	})
}

// anyRoom is no room: what is about none is counted and interfered with all the same.
const anyRoom = 0

// AskConfirmations implements waitroom.Store.
func (s *Store) AskConfirmations(ctx context.Context, asks []waitroom.Confirmation, now time.Time) (kept []waitroom.Confirmation, err error) {
	err = s.doAnywhere(ctx, "AskConfirmations", func() {
		for _, c := range asks {
			old, has := s.codes[c.ID]
			goes := !has
			if has {
				c, goes = old.Again(now)
			}
			s.codes[c.ID] = c
			if goes {
				s.mails = append(s.mails, c)
			}
			kept = append(kept, c)
		}
	})
	return kept, err
}

// TryCodes implements waitroom.Store.
func (s *Store) TryCodes(ctx context.Context, eventID int64, tries []waitroom.Try, right func(c *waitroom.Confirmation, code string) bool, now time.Time) (outcomes []waitroom.TryOutcome, err error) {
	err = s.doAnywhere(ctx, "TryCodes", func() {
		for _, try := range tries {
			c, has := s.codes[try.ID]
			if !has || c.EventID != eventID {
				outcomes = append(outcomes, waitroom.TryOutcome{Err: waitroom.ErrCodeLapsed})
				continue
			}
			c, err := c.Tried(right(&c, try.Code), now)
			s.codes[try.ID] = c
			outcomes = append(outcomes, waitroom.TryOutcome{Confirmation: c, Err: err})
		}
	})
	return outcomes, err
}

// ForgetConfirmations implements waitroom.Store.
func (s *Store) ForgetConfirmations(ctx context.Context, eventID int64, before time.Time) error {
	return s.doAnywhere(ctx, "ForgetConfirmations", func() {
		for id, c := range s.codes {
			if c.EventID == eventID && c.Expires.Before(before) {
				delete(s.codes, id)
			}
		}
	})
}

// Mails returns the confirmations whose mails went out so far, in order.
func (s *Store) Mails() []waitroom.Confirmation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mails)
}

// Confirmations returns how many are kept.
func (s *Store) Confirmations() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.codes)
}

// doAnywhere is do for what locks no room.
func (s *Store) doAnywhere(ctx context.Context, method string, work func()) error {
	err := s.do(ctx, method, anyRoom, func(*kept) error { return nil })
	if !errors.Is(err, waitroom.ErrNoRoom) {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	work()
	return nil
}

// Operate implements waitroom.Store.
func (s *Store) Operate(ctx context.Context, eventID int64, change func(*waitroom.Operator)) error {
	return s.do(ctx, "Operate", eventID, func(k *kept) error {
		changed := k.record.Operator
		changed.Groups = slices.Clone(changed.Groups)
		change(&changed)
		k.record.Operator = changed
		return nil
	})
}

var _ waitroom.Store = (*Store)(nil)

// Slip puts a number into a list behind the store's back, as somebody with access to the database could.
func (s *Store) Slip(eventID int64, n waitroom.Number) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rooms[eventID].draws[n] = true
}

package registration

import (
	"context"
	"fmt"
	"maps"
	"time"

	"gapura/internal/event"
	"gapura/internal/fault"
)

// after returns the ledger as the decision left it.
func (l Ledger) after(d Decision) Ledger {
	if len(d.Deltas) == 0 {
		return l
	}
	next := l
	next.LastSeq = d.LastSeq
	next.Touched++
	next.Counters = maps.Clone(l.Counters)
	for counter, delta := range d.Deltas {
		c, ok := next.Counters[counter]
		if !ok {
			c.Limit = event.Unlimited
		}
		c.Taken += delta.Taken
		c.Held += delta.Held
		next.Counters[counter] = c
	}
	return next
}

// publish shows a newer state of the event; an older one, read before a commit and brought here after it, is dropped.
func (l *lane) publish(ledger Ledger, e *event.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.live.Load() != nil && !ledger.newer(l.ledger) {
		return
	}
	l.ledger = ledger
	if stored := l.stored.Load(); stored == nil || stored.Revision != ledger.Revision {
		l.stored.Store(&Stored{ID: l.id, Revision: ledger.Revision, Event: e})
	}
	l.live.Store(&Live{
		ID: l.id, Revision: ledger.Revision, Event: e, NextExpiry: l.nextExpiry,
		Availability: Availability{Categories: ledger.categories(), Options: ledger.options(), Places: ledger.places()},
	})
}

func (l Ledger) newer(than Ledger) bool {
	return l.Revision > than.Revision || (l.Revision == than.Revision && l.Touched > than.Touched)
}

func (l *lane) behind(r Revision) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return r.Revision > l.ledger.Revision || r.Touched > l.ledger.Touched
}

// reload reads the event's state from the database.
func (l *lane) reload(ctx context.Context) error {
	store := l.engine.cfg.Store
	ledger, err := store.Ledger(ctx, l.id)
	if err != nil {
		return fmt.Errorf("load event %d: %w", l.id, err)
	}
	var next time.Time
	if ledger.anyHeld() {
		if next, err = store.NextExpiry(ctx, l.id); err != nil {
			return fmt.Errorf("load the next expiry of event %d: %w", l.id, err)
		}
	}
	l.mu.Lock()
	if !l.ledger.newer(ledger) { // otherwise a commit has overtaken these reads
		l.nextExpiry = next
	}
	l.mu.Unlock()
	l.publish(ledger, ledger.Event)
	return nil
}

// noteHolds learns from a decision when its holds end, without asking the database.
func (l *lane) noteHolds(d Decision) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, outcome := range d.Outcomes {
		if o := outcome.Accepted; o != nil && !o.ExpiresAt.IsZero() && (l.nextExpiry.IsZero() || o.ExpiresAt.Before(l.nextExpiry)) {
			l.nextExpiry = o.ExpiresAt
		}
	}
}

func (l Ledger) anyHeld() bool {
	for _, c := range l.Counters {
		if c.Held > 0 {
			return true
		}
	}
	return false
}

// view completes what was published with what depends on the hour.
func (l *lane) view() Live {
	v := *l.live.Load()
	now := l.engine.cfg.Clock.Now()
	v.Availability.State = v.state(now)
	categories := make(map[string]CategoryAvailability, len(v.Availability.Categories))
	for categoryID, a := range v.Availability.Categories {
		if c, ok := v.Event.Category(categoryID); ok {
			a.Tier = c.Tier(now, func(tier int) int { return a.sold[tier] })
		}
		categories[categoryID] = a
	}
	v.Availability.Categories = categories
	return v
}

func (v *Live) state(now time.Time) State {
	if f := window(v.Event, now); f != nil {
		if f.Code == fault.NotOpen {
			return StateUpcoming
		}
		return StateClosed
	}
	for _, a := range v.Availability.Categories {
		if a.Level != SoldOut {
			return StateOpen
		}
	}
	return StateSoldOut
}

func (l Ledger) categories() map[string]CategoryAvailability {
	all := make(map[string]CategoryAvailability, len(l.Event.Categories))
	for i := range l.Event.Categories {
		c := &l.Event.Categories[i]
		a := l.category(c.ID)
		for t := range c.Prices {
			a.sold = append(a.sold, l.Counters[l.Event.TierCounter(c.ID, t)].Taken)
		}
		all[c.ID] = a
	}
	return all
}

// category looks at every quota that the category takes from; the scarcest decides.
func (l Ledger) category(categoryID string) CategoryAvailability {
	a := CategoryAvailability{Level: Available, Remaining: -1}
	for _, q := range l.Event.QuotasOf(categoryID) {
		c := l.Counters[q]
		left := c.Left()
		if left < 0 {
			continue
		}
		if a.Remaining < 0 || left < a.Remaining {
			a.Remaining = left
		}
		a.Level = worse(a.Level, levelOf(c))
	}
	return a
}

func (l Ledger) options() map[string]map[string]Level {
	all := map[string]map[string]Level{}
	for i := range l.Event.Questions {
		q := &l.Event.Questions[i]
		if q.Type != event.Choice {
			continue
		}
		levels := make(map[string]Level, len(q.Options))
		for _, o := range q.Options {
			levels[o.Value] = levelOf(l.Counters[event.OptionCounter(q.ID, o.Value)])
		}
		all[q.ID] = levels
	}
	return all
}

// levelOf: a tenth or less of the limit is low.
func levelOf(c Count) Level {
	left := c.Left()
	switch {
	case left < 0:
		return Available
	case left == 0 && c.Held > 0:
		return Held
	case left == 0:
		return SoldOut
	case left*10 <= c.Limit:
		return Low
	}
	return Available
}

// worse returns the level that promises less. SoldOut wins over Held: of two full quotas the one without holds decides.
func worse(a, b Level) Level {
	rank := map[Level]int{Available: 0, Low: 1, Held: 2, SoldOut: 3}
	if rank[b] > rank[a] {
		return b
	}
	return a
}

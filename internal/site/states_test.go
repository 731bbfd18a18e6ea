package site

import (
	"testing"
	"time"

	"gapura/internal/event"
	"gapura/internal/registration"
)

// demoState is the demo event selling in another way.
type demoState struct {
	slug   string
	event  event.Event
	change func(*registration.Live)
}

func demoStates(t testing.TB) []demoState {
	t.Helper()
	var out []demoState
	add := func(slug, name string, shift time.Duration, change func(*registration.Live)) {
		e := *demoEvent(t)
		e.Slug, e.Name = slug, event.Text{ID: name, EN: name}
		e.StartsAt = e.StartsAt.Add(shift)
		e.Rules.OpensAt = time.Now().Add(26 * time.Hour)
		out = append(out, demoState{slug, e, change})
	}
	day := 24 * time.Hour
	add("borobudur-10k", "Borobudur 10K", 40*day, func(l *registration.Live) { l.Availability.State = registration.StateUpcoming })
	add("ubud-trail", "Ubud Trail", 70*day, func(l *registration.Live) {
		l.Availability.State, l.NextExpiry = registration.StateSoldOut, time.Now().Add(9*time.Minute)
		for k := range l.Availability.Categories {
			l.Availability.Categories[k] = registration.CategoryAvailability{Level: registration.Held, Tier: -1}
		}
	})
	add("jakarta-malam", "Jakarta Malam", 90*day, func(l *registration.Live) {
		l.Availability.State = registration.StateSoldOut
		for k := range l.Availability.Categories {
			l.Availability.Categories[k] = registration.CategoryAvailability{Level: registration.SoldOut, Tier: -1}
		}
	})
	add("makassar-run", "Makassar Run", -30*day, func(l *registration.Live) { l.Availability.State = registration.StateClosed })
	add("lomba-ramai", "Lomba Ramai", 110*day, func(l *registration.Live) {
		l.Availability.Categories["10k"] = registration.CategoryAvailability{Level: registration.Low, Remaining: 37, Tier: -1}
		l.Availability.Categories["5k"] = registration.CategoryAvailability{Level: registration.SoldOut, Tier: -1}
		l.Availability.Options = map[string]map[string]registration.Level{"jersey": {"XXL": registration.SoldOut, "S": registration.Low}}
	})
	return out
}

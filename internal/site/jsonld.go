package site

import (
	"time"

	"gapura/internal/event"
	"gapura/internal/registration"
)

// sportsEvent describes the race to search engines: schema.org SportsEvent.
func (s *Site) sportsEvent(say words, live registration.Live) map[string]any {
	e, zone := live.Event, live.Event.Location()
	page := s.config.BaseURL + s.link(say.lang, "/e/"+e.Slug, nil)
	offers := make([]map[string]any, 0, len(e.Categories))
	for i := range e.Categories {
		offers = append(offers, s.offer(say, live, &e.Categories[i]))
	}
	return map[string]any{
		"@context": "https://schema.org", "@type": "SportsEvent", "sport": "Running",
		"name": e.Name.In(say.lang), "url": page, "inLanguage": say.lang,
		"startDate":           e.StartsAt.In(zone).Format(time.RFC3339),
		"eventStatus":         "https://schema.org/EventScheduled",
		"eventAttendanceMode": "https://schema.org/OfflineEventAttendanceMode",
		"location": map[string]any{
			"@type": "Place", "name": e.Venue.Name,
			"address": map[string]any{"@type": "PostalAddress", "addressLocality": e.Venue.City, "addressCountry": "ID"},
		},
		"organizer": map[string]any{"@type": "Organization", "name": s.organiser(e), "url": s.config.BaseURL + "/"},
		"offers":    offers,
	}
}

func (s *Site) offer(say words, live registration.Live, c *event.Category) map[string]any {
	availability := "https://schema.org/InStock"
	switch level := live.Availability.Categories[c.ID].Level; {
	case live.Availability.State == registration.StateClosed, gone(level):
		availability = "https://schema.org/SoldOut"
	case level == registration.Low:
		availability = "https://schema.org/LimitedAvailability"
	}
	e := live.Event
	return map[string]any{
		"@type": "Offer", "name": c.Name.In(say.lang), "price": int64(priceNow(live, c)), "priceCurrency": "IDR",
		"availability": availability, "url": s.config.BaseURL + s.link(say.lang, "/e/"+e.Slug+"/daftar", nil),
		"validFrom": e.Rules.OpensAt.In(e.Location()).Format(time.RFC3339),
	}
}

func (s *Site) organiser(e *event.Event) string {
	if e.Organiser.Name != "" {
		return e.Organiser.Name
	}
	return s.config.Organiser
}

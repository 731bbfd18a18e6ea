package site

import (
	"maps"
	"time"

	"gapura/internal/money"
	"gapura/internal/registration"
)

// formData is what the form's script knows. It is part of a page that caches keep: nothing in it belongs to one visitor.
type formData struct {
	Slug       string            `json:"slug"`
	Lang       string            `json:"lang"`
	Max        int               `json:"max"`
	OpensAt    string            `json:"opensAt"`
	Open       bool              `json:"open"`
	Categories []categoryData    `json:"categories"`
	Questions  []questionData    `json:"questions"`
	Captcha    *Captcha          `json:"captcha,omitempty"`
	Room       bool              `json:"room,omitempty"` // one sends the form in one's turn
	Texts      map[string]string `json:"texts"`
}

type categoryData struct {
	ID    string       `json:"id"`
	Name  string       `json:"name"`
	Price money.Rupiah `json:"price"`
}

type questionData struct {
	ID       string   `json:"id"`
	Label    string   `json:"label"`
	Required bool     `json:"required,omitempty"`
	Only     []string `json:"only,omitempty"`
}

// formData needs no sentence of a page that the script cannot show.
func (s *Site) formData(say words, live registration.Live) formData {
	e := live.Event
	data := formData{
		Slug: e.Slug, Lang: say.lang, Max: max(e.Rules.MaxParticipants, 1), OpensAt: e.Rules.OpensAt.UTC().Format(time.RFC3339),
		Open: live.Availability.State != registration.StateUpcoming,
		Texts: say.subset("js.", "fault.", "field.", "count.", "event.held_until", "form.contact", "form.errors", "form.not_sent",
			"form.participant", "form.remove_n", "form.total"),
	}
	if data.Room = s.hasRoom(live); data.Room {
		maps.Copy(data.Texts, say.subset("waiting."))
	}
	if s.config.Captcha.Provider != "" {
		data.Captcha = &s.config.Captcha
	}
	for i := range e.Categories {
		c := &e.Categories[i]
		data.Categories = append(data.Categories, categoryData{c.ID, c.Name.In(say.lang), priceNow(live, c)})
	}
	for _, q := range e.Questions {
		data.Questions = append(data.Questions, questionData{q.ID, q.Label.In(say.lang), q.Required, q.Categories})
	}
	return data
}

package registration

import (
	"gapura/internal/money"
)

// Request is a registration as someone sent it; nothing in it has been checked.
type Request struct {
	Contact       ContactInput       `json:"contact"`
	Participants  []ParticipantInput `json:"participants"`
	Locale        string             `json:"locale,omitempty"`         // id or en; id if empty
	Captcha       string             `json:"captcha,omitempty"`        // not part of the fingerprint: a retry solves a new one
	ExpectedTotal *money.Rupiah      `json:"expected_total,omitempty"` // refuse with price_changed rather than charge another sum
}

// ContactInput is who sent the request.
type ContactInput struct {
	Name  string `json:"name"`
	Email string `json:"email"`
	Phone string `json:"phone"`
}

// ParticipantInput is one person to be registered.
type ParticipantInput struct {
	Category  string            `json:"category"`
	Name      string            `json:"name"`
	Email     string            `json:"email,omitempty"`
	Phone     string            `json:"phone,omitempty"`
	BirthDate string            `json:"birth_date"`
	Gender    string            `json:"gender"`
	Answers   map[string]string `json:"answers,omitempty"`
}

package standin

import (
	"net/http"
	"strconv"
	"time"
)

// Trouble is what goes wrong. Counts go down as trouble strikes; switches stay. The zero value is a provider in good health.
type Trouble struct {
	TooMany             int           `json:"too_many"`              // the next calls are answered 429 with Retry-After: 1
	Broken              int           `json:"broken"`                // the next calls are answered 500
	LoseAnswer          int           `json:"lose_answer"`           // the next writing calls take effect, and the connection is cut
	Latency             time.Duration `json:"latency"`               // before every call, in nanoseconds
	Drop                int           `json:"drop"`                  // the next notifications are never sent
	DropAll             bool          `json:"drop_all"`              // none is
	Duplicate           int           `json:"duplicate"`             // every notification is sent this many times more
	Reorder             bool          `json:"reorder"`               // pending comes after what follows it
	Delay               time.Duration `json:"delay"`                 // before every notification, in nanoseconds
	Shuffle             time.Duration `json:"shuffle"`               // a random delay up to this on top, in nanoseconds
	BadSignature        int           `json:"bad_signature"`         // the next notifications are signed wrongly
	WrongAmount         int           `json:"wrong_amount"`          // the next notifications name another sum, signed rightly
	DenyAfterSettlement int           `json:"deny_after_settlement"` // the next settlements are reversed 3 minutes later
}

// SetTrouble replaces what goes wrong.
func (s *Server) SetTrouble(t Trouble) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = t
}

// Trouble returns what goes wrong from here on.
func (s *Server) Trouble() Trouble {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trouble
}

// strike uses up one of a count.
func strike(count *int) bool {
	if *count <= 0 {
		return false
	}
	*count--
	return true
}

func (t *Trouble) dropped() bool { return t.DropAll || strike(&t.Drop) }

func (t *Trouble) spoil(m map[string]any, sign func(order, code, gross string) string) {
	order, _ := m["order_id"].(string)
	code, _ := m["status_code"].(string)
	if strike(&t.WrongAmount) {
		m["gross_amount"] = "1.00"
		m["signature_key"] = sign(order, code, "1.00")
	}
	if strike(&t.BadSignature) {
		m["signature_key"] = sign(order, code, "forged")
	}
}

// meetTrouble reports whether the call goes on.
func (s *Server) meetTrouble(w http.ResponseWriter, r *http.Request) bool {
	s.mu.Lock()
	latency, tooMany, broken := s.trouble.Latency, strike(&s.trouble.TooMany), false
	if !tooMany {
		broken = strike(&s.trouble.Broken)
	}
	s.mu.Unlock()
	if latency > 0 {
		select {
		case <-time.After(latency):
		case <-r.Context().Done():
			return false
		}
	}
	switch {
	case tooMany:
		w.Header().Set("Retry-After", strconv.Itoa(1))
		refuse(w, r, http.StatusTooManyRequests, "Too many requests, implement exponential backoff")
	case broken:
		refuse(w, r, http.StatusInternalServerError, "Sorry, we encountered internal server error. We will fix this soon.")
	}
	return !tooMany && !broken
}

func (s *Server) takeLoss(r *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return r.Method == http.MethodPost && strike(&s.trouble.LoseAnswer)
}

package httpapi

import (
	"net/http"

	"gapura/internal/fault"
	"gapura/internal/gate"
)

// ChallengeView is a proof of work for a client to solve: a number from 0 to maxNumber for which the SHA-256 of salt and
// number is challenge. The answer is base64 of the JSON {algorithm, challenge, number, salt, signature}.
type ChallengeView struct {
	Algorithm string `json:"algorithm" enum:"SHA-256"`
	Challenge string `json:"challenge" doc:"hexadecimal"`
	MaxNumber int64  `json:"maxNumber"`
	Salt      string `json:"salt" doc:"carries expiry, action and host; part of what is signed"`
	Signature string `json:"signature"`
}

// Challenger makes captchas.
type Challenger interface {
	// Challenge returns one that only answers for action on host.
	Challenge(action, host string) (ChallengeView, error)
}

// getChallenge makes a captcha for ?action=register, which is the default, or draw.
func (a *API) getChallenge(w http.ResponseWriter, r *http.Request) error {
	if a.cfg.Challenger == nil {
		return fault.New(fault.NotFound)
	}
	action := r.URL.Query().Get("action")
	switch action {
	case "":
		action = gate.Order.Action()
	case gate.Order.Action(), gate.Draw.Action():
	default:
		return fault.New(fault.NotFound)
	}
	v := a.visit(r, gate.Challenge, "")
	if _, err := a.knock(w, r, &v); err != nil {
		return err
	}
	challenge, err := a.cfg.Challenger.Challenge(action, v.Host)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, challenge)
	return nil
}

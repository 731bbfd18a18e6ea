package room

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// Work is an ALTCHA challenge: find the number from 0 to MaxNumber for which the SHA-256 of salt and number is Challenge.
type Work struct {
	Algorithm string `json:"algorithm"`
	Challenge string `json:"challenge"`
	MaxNumber int64  `json:"maxNumber"`
	Salt      string `json:"salt"`
	Signature string `json:"signature"`
}

// ReadWork reads a challenge.
func ReadWork(body []byte) (*Work, error) {
	w := &Work{}
	if err := json.Unmarshal(body, w); err != nil {
		return nil, fmt.Errorf("captcha: %w", err)
	}
	if w.Algorithm != "SHA-256" || len(w.Challenge) != 2*sha256.Size || w.MaxNumber < 1 {
		return nil, fmt.Errorf("captcha: algorithm %q with %d digits: only SHA-256 is spoken", w.Algorithm, len(w.Challenge))
	}
	return w, nil
}

// ErrUnsolvable means that no number up to MaxNumber is the answer.
var ErrUnsolvable = errors.New("the captcha has no answer")

// Solve does the work and returns what a page sends. rest is called after every thousand tries, some 0.2 ms, so that others
// get the processor; Solve ends early when it returns false.
func (w *Work) Solve(rest func() bool) (string, error) {
	want, err := hex.DecodeString(w.Challenge)
	if err != nil {
		return "", fmt.Errorf("captcha: %w", err)
	}
	target := [sha256.Size]byte(want)
	text := []byte(w.Salt)
	for n := int64(0); n <= w.MaxNumber; n++ {
		if sha256.Sum256(strconv.AppendInt(text[:len(w.Salt)], n, 10)) == target {
			return w.answer(n)
		}
		if n%1000 == 999 && !rest() {
			return "", ErrUnsolvable
		}
	}
	return "", ErrUnsolvable
}

func (w *Work) answer(number int64) (string, error) {
	b, err := json.Marshal(map[string]any{
		"algorithm": w.Algorithm, "challenge": w.Challenge, "number": number, "salt": w.Salt, "signature": w.Signature,
	})
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(b), nil
}

// Package fake answers as Cloudflare Turnstile's siteverify does, for tests and rehearsals without the outside world.
package fake

import (
	"crypto/rand"
	"encoding/json"
	"mime"
	"net/http"
	"sync"
	"time"

	"gapura/internal/clock"
)

// Cloudflare's documented test secrets and the one token that works with them.
const (
	SecretPass  = "1x0000000000000000000000000000000AA"
	SecretFail  = "2x0000000000000000000000000000000AA"
	SecretSpent = "3x0000000000000000000000000000000AA"
	DummyToken  = "XXXX.DUMMY.TOKEN.XXXX"
)

const lifetime = 300 * time.Second

// Server is a Turnstile with one widget. It is an http.Handler for siteverify.
type Server struct {
	secret string
	clock  clock.Clock

	mu       sync.Mutex
	tokens   map[string]*token
	replays  map[string]replay // by idempotency key
	trouble  []Trouble
	requests int
}

type token struct {
	action, hostname, cdata string
	issued                  time.Time
	used                    bool
}

type replay struct {
	token  string
	answer answer
}

// Trouble is something that goes wrong with one request.
type Trouble int

// The troubles.
const (
	Fine          Trouble = iota
	InternalError         // the documented code: ask again
	BadGateway            // 502 with a page of HTML
	LostAnswer            // the token is used up and the connection breaks
	Hang                  // no answer until the client gives up
)

type answer struct {
	Success     bool     `json:"success"`
	ChallengeTS string   `json:"challenge_ts,omitempty"`
	Hostname    string   `json:"hostname,omitempty"`
	ErrorCodes  []string `json:"error-codes"`
	Action      string   `json:"action,omitempty"`
	CData       string   `json:"cdata,omitempty"`
}

// New returns a server whose widget has that secret.
func New(secret string, c clock.Clock) *Server {
	return &Server{secret: secret, clock: c, tokens: map[string]*token{}, replays: map[string]replay{}}
}

// Solve returns a token, as the widget hands it out on hostname for an action.
func (s *Server) Solve(hostname, action, cdata string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := "0." + rand.Text() + rand.Text()
	s.tokens[text] = &token{action: action, hostname: hostname, cdata: cdata, issued: s.clock.Now()}
	return text
}

// Expect lets the next requests run into trouble, one each.
func (s *Server) Expect(trouble ...Trouble) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = append(s.trouble, trouble...)
}

// Requests returns how many requests came.
func (s *Server) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// ServeHTTP answers POST siteverify with a form or JSON.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	fields, ok := read(r)
	switch s.next() {
	case InternalError:
		send(w, refuse("internal-error"))
	case BadGateway:
		http.Error(w, "<html><h1>502 Bad Gateway</h1></html>", http.StatusBadGateway)
	case LostAnswer:
		s.verify(fields)
		panic(http.ErrAbortHandler)
	case Hang:
		<-r.Context().Done()
	default:
		if !ok {
			send(w, refuse("bad-request"))
			return
		}
		send(w, s.verify(fields))
	}
}

func (s *Server) next() Trouble {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	if len(s.trouble) == 0 {
		return Fine
	}
	t := s.trouble[0]
	s.trouble = s.trouble[1:]
	return t
}

func read(r *http.Request) (map[string]string, bool) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, false
	}
	if kind == "application/json" {
		var fields map[string]string
		err := json.NewDecoder(r.Body).Decode(&fields)
		return fields, err == nil
	}
	if err := r.ParseForm(); err != nil {
		return nil, false
	}
	fields := map[string]string{}
	for name := range r.PostForm {
		fields[name] = r.PostForm.Get(name)
	}
	return fields, true
}

// verify decides as the documentation says: a token counts once, unless the repeat carries the same idempotency key.
func (s *Server) verify(fields map[string]string) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	secret, response, key := fields["secret"], fields["response"], fields["idempotency_key"]
	if a, ok := s.missing(secret, response); ok {
		return a
	}
	if secret != s.secret {
		return s.testSecret(secret, response)
	}
	if old, known := s.replays[key]; known && key != "" && old.token == response {
		return old.answer
	}
	t, known := s.tokens[response]
	switch {
	case !known:
		return refuse("invalid-input-response")
	case t.used, s.clock.Now().Sub(t.issued) >= lifetime:
		return refuse("timeout-or-duplicate")
	}
	t.used = true
	a := s.accept(t)
	s.replays[key] = replay{token: response, answer: a}
	return a
}

func (s *Server) missing(secret, response string) (answer, bool) {
	switch {
	case secret == "":
		return refuse("missing-input-secret"), true
	case response == "":
		return refuse("missing-input-response"), true
	case len(response) > 2048:
		return refuse("invalid-input-response"), true
	}
	return answer{}, false
}

// testSecret answers for Cloudflare's test secrets, which take the dummy token only.
func (s *Server) testSecret(secret, response string) answer {
	switch {
	case secret != SecretPass && secret != SecretFail && secret != SecretSpent:
		return refuse("invalid-input-secret")
	case response != DummyToken || secret == SecretFail:
		return refuse("invalid-input-response")
	case secret == SecretSpent:
		return refuse("timeout-or-duplicate")
	}
	return s.accept(&token{hostname: "localhost", issued: s.clock.Now()})
}

func (s *Server) accept(t *token) answer {
	return answer{
		Success: true, ChallengeTS: t.issued.UTC().Format("2006-01-02T15:04:05.000Z"), Hostname: t.hostname,
		ErrorCodes: []string{}, Action: t.action, CData: t.cdata,
	}
}

func refuse(code string) answer { return answer{ErrorCodes: []string{code}} }

func send(w http.ResponseWriter, a answer) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(a) // the client may have gone
}

package rehearse

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeServer keeps orders in memory and can be made to sin. Without sins it does what the contract says.
type fakeServer struct {
	*httptest.Server
	sins sins

	mu     sync.Mutex
	size   int // of the one quota, over all categories
	taken  int
	byKey  map[string]*fakeOrder
	byID   map[string]*fakeOrder
	emails map[string]bool
	posts  int
}

// sins are the ways in which a server can be wrong.
type sins struct {
	oversells       bool          // ignores the quota
	loses           int           // forgets every n-th acknowledged order
	twoOrders       bool          // ignores that a key has an order
	twoPlaces       bool          // ignores that a person has a place
	silentReplay    bool          // does not mark replays
	forgetsPerson   int           // keeps one participant too few in every n-th order
	refusesStranger int           // says already_registered to every n-th newcomer
	writesRefused   bool          // keeps an order that it refused as sold out
	sameOrder       int           // gives every n-th visitor the order of the one before
	fails           int           // answers every n-th with a plain 500
	overloadEvery   int           // refuses every n-th as overloaded
	slow            time.Duration // waits before it answers
	neverCancels    bool
	sellsBack       bool // sells a cancelled place again, as it should
}

type fakeOrder struct {
	ID           string            `json:"id"`
	Status       string            `json:"status"`
	Token        string            `json:"access_token"`
	Participants []fakeParticipant `json:"participants"`
	emails       []string
}

type fakeParticipant struct {
	ID       string `json:"id"`
	Category string `json:"category"`
}

const fakeEvent = `{"slug":"night-run","name":{"id":"Lari Malam","en":"Night Run"},"starts_at":"2027-03-07T11:00:00Z",
"registration":{"state":"open","max_participants":5},
"categories":[{"id":"10k","min_age":15},{"id":"fun"},{"id":"hm","min_age":17,"max_age":40}],
"questions":[{"id":"jersey","type":"choice","required":true,"options":[{"value":"S"},{"value":"M"}]},
{"id":"consent","type":"checkbox","required":true,"categories":["hm"]},{"id":"club","type":"text","required":false}]}`

func newFakeServer(t testing.TB, size int, s sins) *fakeServer {
	t.Helper()
	f := &fakeServer{sins: s, size: size, byKey: map[string]*fakeOrder{}, byID: map[string]*fakeOrder{}, emails: map[string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/events", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"events":[%s]}`, fakeEvent)
	})
	mux.HandleFunc("GET /api/v1/events/night-run", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, fakeEvent)
	})
	mux.HandleFunc("GET /api/v1/events/night-run/availability", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, "{}")
	})
	mux.HandleFunc("POST /api/v1/events/night-run/orders", f.register)
	mux.HandleFunc("GET /api/v1/orders/{id}", f.order)
	mux.HandleFunc("GET /api/v1/orders/by-key/{key}", f.orderByKey)
	mux.HandleFunc("POST /api/v1/orders/{id}/cancel", f.cancel)
	f.Server = httptest.NewServer(mux)
	t.Cleanup(f.Close)
	return f
}

type fakeRequest struct {
	Participants []struct {
		Category, Name, Email, Phone, Gender string
		BirthDate                            string            `json:"birth_date"`
		Answers                              map[string]string `json:"answers"`
	} `json:"participants"`
}

func (f *fakeServer) register(w http.ResponseWriter, r *http.Request) {
	select { // being slow is what is tested: nothing is waited for
	case <-time.After(f.sins.slow):
	case <-r.Context().Done():
	}
	var body fakeRequest
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		problem(w, 400, "bad_json")
		return
	}
	for _, p := range body.Participants {
		if !sound(p.Category, p.Name, p.Phone, p.BirthDate, p.Answers) {
			problem(w, 422, "validation_failed")
			return
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.posts++
	key := r.Header.Get("Idempotency-Key")
	if o := f.byKey[key]; o != nil && !f.sins.twoOrders {
		if !f.sins.silentReplay {
			w.Header().Set("Idempotent-Replayed", "true")
		}
		answer(w, 201, o)
		return
	}
	if code, status := f.refuses(&body); status != 0 {
		if f.sins.writesRefused {
			f.add(key, &body)
		}
		problem(w, status, code)
		return
	}
	answer(w, 201, f.add(key, &body))
}

// sound does the checks that the generator's requests must pass anywhere.
func sound(category, name, phone, birth string, answers map[string]string) bool {
	born, err := time.Parse("2006-01-02", birth)
	age := 2027 - born.Year()
	return err == nil && len(name) > 5 && strings.HasPrefix(phone, "+628") && len(phone) == 15 &&
		(answers["jersey"] == "S" || answers["jersey"] == "M") && (category != "hm" || answers["consent"] == "true") &&
		age >= 17 && (category != "hm" || age <= 40)
}

// refuses returns the code and status of a refusal; status 0: it is not refused.
func (f *fakeServer) refuses(body *fakeRequest) (string, int) {
	nth := func(n int) bool { return n > 0 && f.posts%n == 0 }
	switch {
	case nth(f.sins.fails):
		return "", 500
	case nth(f.sins.overloadEvery):
		return "overloaded", 503
	case nth(f.sins.refusesStranger):
		return "already_registered", 409
	}
	for _, p := range body.Participants {
		if f.emails[p.Email] && !f.sins.twoPlaces && !f.sins.twoOrders {
			return "already_registered", 409
		}
	}
	if f.taken+len(body.Participants) > f.size && !f.sins.oversells {
		return "sold_out", 409
	}
	return "", 0
}

func (f *fakeServer) add(key string, body *fakeRequest) *fakeOrder {
	n := len(f.byID) + 1
	o := &fakeOrder{ID: fmt.Sprintf("0198f1c2-0000-7000-8000-%012d", n), Status: "confirmed", Token: "token-" + key}
	if s := f.sins.sameOrder; s > 0 && n%s == 0 {
		o.ID = fmt.Sprintf("0198f1c2-0000-7000-8000-%012d", n-1)
	}
	for i, p := range body.Participants {
		f.emails[p.Email] = true
		f.taken++
		o.Participants = append(o.Participants, fakeParticipant{ID: fmt.Sprint(o.ID, "-", i), Category: p.Category})
		o.emails = append(o.emails, p.Email)
	}
	if s := f.sins.loses; s > 0 && n%s == 0 {
		f.byID["lost"+o.ID] = nil
		return o
	}
	f.byKey[key], f.byID[o.ID] = o, o
	if s := f.sins.forgetsPerson; s > 0 && n%s == 0 {
		kept := *o
		kept.Participants = kept.Participants[1:]
		f.byKey[key], f.byID[o.ID] = &kept, &kept
	}
	return o
}

func (f *fakeServer) order(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o := f.byID[r.PathValue("id")]
	if o == nil || r.Header.Get("Authorization") != "Bearer "+o.Token {
		problem(w, 404, "no_such_order")
		return
	}
	answer(w, 200, o)
}

func (f *fakeServer) orderByKey(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if o := f.byKey[r.PathValue("key")]; o != nil {
		answer(w, 200, o)
		return
	}
	problem(w, 404, "no_such_order")
}

func (f *fakeServer) cancel(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o := f.byID[r.PathValue("id")]
	if o == nil || r.Header.Get("Authorization") != "Bearer "+o.Token {
		problem(w, 404, "no_such_order")
		return
	}
	if !f.sins.neverCancels {
		o.Status = "cancelled"
	}
	if f.sins.sellsBack {
		f.taken -= len(o.Participants)
	}
	for _, e := range o.emails {
		delete(f.emails, e)
	}
	answer(w, 200, o)
}

func answer(w http.ResponseWriter, status int, o *fakeOrder) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(o)
}

func problem(w http.ResponseWriter, status int, code string) {
	if code == "" {
		http.Error(w, "broken", status)
		return
	}
	w.Header().Set("Content-Type", "application/problem+json")
	if status == 503 {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"type":"about:blank","title":"no","status":%d,"code":%q}`, status, code)
}

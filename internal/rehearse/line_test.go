package rehearse

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gapura/internal/rehearse/crowd"
)

// fakeRoom is a waiting room in front of a fake server. It draws like the real one, lets everybody in who drew as soon as it is
// open and later ones in order, and can be made to sin.
type fakeRoom struct {
	sins  roomSins
	inner http.Handler
	opens time.Time
	seed  []byte

	mu      sync.Mutex
	tickets map[string]string // the number of each, by its text
	drawn   map[string]bool   // numbers
	byKey   map[string]string // the ticket of a draw's key
	passes  map[string]string // the key of each
	used    map[string]string // the pass of a ticket
	stamp   int
	desk    *fakeDesk // nil: nobody confirms an address
}

// roomSins are the ways in which a waiting room can be wrong.
type roomSins struct {
	early    bool // lets in before opening
	overtake bool // lets in whoever asks
	forged   bool // takes made-up tickets
	renumber bool // a repeated draw gets another number
	disowns  bool // says forged to a true ticket
	reseeds  bool // publishes another seed
	shares   bool // gives every sharer of a ticket a pass
	closed   bool // says not_yet although the state says otherwise
	fails    bool // answers a draw with a plain 500 now and then

	person string // no sin: what visitors must confirm
	desk   deskSins
}

func newFakeRoom(t *testing.T, opensIn time.Duration, places int, s roomSins) *httptest.Server {
	t.Helper()
	inner := newFakeServer(t, places, sins{})
	f := &fakeRoom{
		sins: s, inner: inner.Config.Handler, opens: time.Now().Add(opensIn), seed: []byte(strings.Repeat("s", 32)),
		tickets: map[string]string{}, drawn: map[string]bool{}, byKey: map[string]string{}, passes: map[string]string{}, used: map[string]string{},
	}
	mux := http.NewServeMux()
	const event = "/api/v1/events/night-run"
	mux.HandleFunc("GET "+event, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, strings.Replace(fakeEvent, `"slug"`, `"waiting_room":{"enabled":true},"slug"`, 1))
	})
	mux.HandleFunc("GET "+event+"/queue", f.state)
	mux.HandleFunc("POST "+event+"/queue/tickets", f.draw)
	mux.HandleFunc("POST "+event+"/queue/passes", f.exchange)
	mux.HandleFunc("POST "+event+"/orders", f.order)
	if s.person != "" {
		f.desk = newFakeDesk(t, s.desk)
		mux.HandleFunc("POST "+event+"/queue/confirmations", f.desk.ask)
	}
	mux.Handle("/", f.inner)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

func (f *fakeRoom) open() bool { return !time.Now().Before(f.opens) }

func (f *fakeRoom) state(w http.ResponseWriter, _ *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stamp++
	commitment := sha256.Sum256(f.seed)
	doc := map[string]any{
		"phase": "before", "stock": "available", "opens_at": f.opens, "drawn": len(f.drawn), "served": 0, "threshold": "", "rate": 100, "person": f.sins.person,
		"poll_after_s": 1, "poll_jitter_s": 1, "commitment": hex.EncodeToString(commitment[:]),
	}
	if f.open() {
		seed := f.seed
		if f.sins.reseeds {
			seed = []byte(strings.Repeat("t", 32))
		}
		doc["phase"], doc["seed"], doc["threshold"], doc["served"] = "open", hex.EncodeToString(seed), "ffffffffffffffff", len(f.drawn)
		if f.sins.overtake {
			doc["threshold"] = "4000000000000000" // one in four
		}
	}
	w.Header().Set("ETag", fmt.Sprintf(`"%d"`, f.stamp))
	_ = json.NewEncoder(w).Encode(doc)
}

func (f *fakeRoom) draw(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := r.Header.Get("Idempotency-Key")
	if f.desk != nil {
		address, reason := f.desk.confirm(r)
		if reason != "" {
			refuseCode(w, reason)
			return
		}
		key = address
	}
	text, known := f.byKey[key]
	if !known || f.sins.renumber {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", key, len(f.tickets)))
		text = hex.EncodeToString(sum[:]) + "0123456789" // 74 characters, as long as a true one
		f.byKey[key], f.tickets[text] = text, text[:32]
		f.drawn[text[:32]] = true
	}
	if f.sins.fails && len(f.tickets)%10 == 5 {
		http.Error(w, "broken", http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusCreated)
	_, _ = fmt.Fprintf(w, `{"ticket":%q,"kind":"drawn","number":%q,"place":0}`, text, f.tickets[text])
}

func refuse(w http.ResponseWriter, reason string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(http.StatusForbidden)
	_, _ = fmt.Fprintf(w, `{"code":"queue_pass_required","reason":%q}`, reason)
}

func (f *fakeRoom) exchange(w http.ResponseWriter, r *http.Request) {
	var request struct {
		Ticket string `json:"ticket"`
		Key    string `json:"idempotency_key"`
	}
	_ = json.NewDecoder(r.Body).Decode(&request)
	f.mu.Lock()
	defer f.mu.Unlock()
	_, genuine := f.tickets[request.Ticket]
	holder, taken := f.used[request.Ticket]
	switch {
	case !genuine && !f.sins.forged, f.sins.disowns:
		refuse(w, "forged")
		return
	case !f.open() && !f.sins.early, f.sins.closed:
		refuse(w, "not_yet")
		return
	case taken && holder != request.Key && !f.sins.shares:
		refuse(w, "used")
		return
	}
	f.used[request.Ticket] = request.Key
	mac := hmac.New(sha256.New, f.seed)
	_, _ = fmt.Fprint(mac, request.Ticket, request.Key)
	pass := hex.EncodeToString(mac.Sum(nil))
	f.passes[pass] = request.Key
	w.WriteHeader(http.StatusCreated)
	_, _ = fmt.Fprintf(w, `{"pass":%q,"expires_at":%q,"bound":true}`, pass, time.Now().Add(5*time.Minute).Format(time.RFC3339))
}

func (f *fakeRoom) order(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	key, known := f.passes[r.Header.Get("Queue-Pass")]
	f.mu.Unlock()
	if f.desk != nil && known && !f.desk.theirs(r) {
		problem(w, http.StatusUnprocessableEntity, "validation_failed")
		return
	}
	if !known || key != r.Header.Get("Idempotency-Key") {
		refuse(w, "forged")
		return
	}
	f.inner.ServeHTTP(w, r)
}

// roomPlan brings people, and bots, to a room that opens soon.
func roomPlan(url string, people, bots int) Plan {
	p := testPlan(url, people, 500*time.Millisecond)
	p.Crowd.Single = true
	p.Crowd.Habits = crowd.Habits{DoubleClick: 0.1, AsksAgain: 0.2, Cancels: 0.05, ClosesPage: 0.05, LetsLapse: 0.05}
	p.Room = RoomPlan{Lead: time.Second, Early: 0.7, Patience: 6 * time.Second, Reaction: 100 * time.Millisecond, Bots: bots, Hold: time.Second}
	return p
}

func TestAnHonestWaitingRoomPassesEveryCheck(t *testing.T) {
	t.Parallel()
	s := newFakeRoom(t, 2500*time.Millisecond, 10_000, roomSins{})
	r := run(t, roomPlan(s.URL, 200, 60))
	if got := brokenChecks(r); len(got) > 0 {
		t.Fatalf("broken: %v\n%+v", got, Broken(r.Findings))
	}
	for _, f := range r.Findings {
		if strings.HasPrefix(f.Check, "room_") && f.Checked == 0 {
			t.Errorf("check %s looked at nothing", f.Check)
		}
	}
	rr := r.Room
	if rr.Sold.Had != rr.Sold.Wanted || rr.Sold.Wanted < 150 || len(rr.Sold.At) != rr.Sold.Had {
		t.Errorf("%d of %d people have an order", rr.Sold.Had, rr.Sold.Wanted)
	}
	if rr.Outcomes[ClosedPage] == 0 || rr.Outcomes[LetLapse] == 0 || rr.Outcomes[Impatient] != 0 {
		t.Errorf("outcomes %v", rr.named())
	}
	if rr.Bots.Orders == 0 || rr.Bots.Requests < 200 || rr.First.Count == 0 || rr.Looks.Count == 0 {
		t.Errorf("bots %+v, %d first answers, %d polls", rr.Bots, rr.First.Count, rr.Looks.Count)
	}
	if rr.Opens < 900*time.Millisecond || rr.Opens > time.Second {
		t.Errorf("opened %v after the first came", rr.Opens)
	}
}

func TestEverySinOfAWaitingRoomIsFound(t *testing.T) {
	t.Parallel()
	for check, s := range map[string]roomSins{
		"room_nobody_early":     {early: true, overtake: true},
		"room_nothing_forged":   {forged: true},
		"room_ticket_stays":     {renumber: true},
		"room_ticket_known":     {disowns: true},
		"room_seed_kept":        {reseeds: true},
		"room_ticket_once":      {shares: true},
		"room_turn_kept":        {closed: true},
		"room_answers_expected": {fails: true},
	} {
		t.Run(check, func(t *testing.T) {
			t.Parallel()
			server := newFakeRoom(t, 2500*time.Millisecond, 10_000, s)
			p := roomPlan(server.URL, 60, 60)
			p.Room.Patience = 2500 * time.Millisecond
			if check == "room_nobody_early" {
				p.Room.Bots, p.Room.Lead = 100, 2*time.Second // people do not ask before their turn; hammerers do
			}
			if got := brokenChecks(run(t, p)); !slices.Contains(got, check) {
				t.Errorf("%s is not broken; broken: %v", check, got)
			}
		})
	}
}

func TestARoomThatOpensMuchLaterIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	s := newFakeRoom(t, time.Hour, 10, roomSins{})
	if _, err := Run(t.Context(), roomPlan(s.URL, 10, 0), t.Output()); err == nil || !strings.Contains(err.Error(), "rehearse with a copy") {
		t.Errorf("%v", err)
	}
}

func TestTheContrastSaysHowPeopleFared(t *testing.T) {
	t.Parallel()
	with := func(had, wanted int) *Result {
		r := &Result{Room: &RoomResult{Sold: Success{Had: had, Wanted: wanted}}}
		for i := range had {
			r.Room.Sold.At = append(r.Room.Sold.At, time.Duration(i)*time.Second)
		}
		return r
	}
	c := &Contrast{Without: with(60, 100), With: with(58, 100)}
	if fall := c.Fall(); fall < 0.033 || fall > 0.034 || !c.Clean() {
		t.Errorf("a fall of %v, clean %v", fall, c.Clean())
	}
	if late, known := c.Delay(); !known || late != 0 {
		t.Errorf("later by %v, %v", late, known)
	}
	c.With = with(50, 100)
	if c.Clean() {
		t.Error("a fall of a sixth is within the tolerance")
	}
	if _, known := c.Delay(); known {
		t.Error("people never had 95% of the orders")
	}
	c.With = with(60, 100)
	c.With.Findings = []Finding{{Check: "x", Checked: 1, Broken: 1}}
	if c.Clean() {
		t.Error("a broken check is clean")
	}
}

func TestThePlateauLeavesTheEndsOut(t *testing.T) {
	t.Parallel()
	seconds := []Second{{}, {Acknowledged: 5}, {Acknowledged: 20}, {Acknowledged: 30}, {Acknowledged: 25}, {Acknowledged: 15}, {Acknowledged: 5}}
	got := plateau(seconds)
	if got.Full != 4 || got.Mean != 22.5 || got.Peak != 30 || got.PeakAt != 3 {
		t.Errorf("%+v", got)
	}
}

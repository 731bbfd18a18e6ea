package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gapura/internal/clock"
	"gapura/internal/event"
	"gapura/internal/fault"
	"gapura/internal/id"
	"gapura/internal/registration"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var opened = time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC)

// memoryDesk keeps orders in memory and refuses what it is told to refuse.
type memoryDesk struct {
	live    registration.Live
	lookUps atomic.Int64  // of events
	gate    chan struct{} // if there is one, a look-up waits for it

	mu       sync.Mutex
	refusal  error
	shed     error
	byKey    map[string]registration.Order
	byID     map[id.ID]registration.Order
	watchers map[id.ID][]chan registration.Change
	last     registration.Request
}

func newDesk(t testing.TB) *memoryDesk {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "event.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	e, err := event.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return &memoryDesk{
		live: registration.Live{ID: 1, Revision: 1, Event: e, Availability: registration.Availability{
			State: registration.StateOpen,
			Categories: map[string]registration.CategoryAvailability{
				"10k": {Level: registration.Low, Remaining: 12, Tier: 0}, "fun": {Level: registration.Available, Remaining: -1, Tier: -1},
			},
			Options: map[string]map[string]registration.Level{"jersey": {"S": registration.Held, "M": registration.Available, "L": registration.SoldOut}},
		}},
		byKey: map[string]registration.Order{}, byID: map[id.ID]registration.Order{}, watchers: map[id.ID][]chan registration.Change{},
	}
}

func (d *memoryDesk) Events() []registration.Live { return []registration.Live{d.live} }

func (d *memoryDesk) Event(slug string) (registration.Live, error) {
	d.lookUps.Add(1)
	if d.gate != nil {
		<-d.gate
	}
	if slug != d.live.Event.Slug {
		return registration.Live{}, fault.New(fault.NoSuchEvent)
	}
	return d.live, nil
}

func (d *memoryDesk) Shed(string, string) error { return d.shed }

func (d *memoryDesk) Register(_ context.Context, slug, key string, r registration.Request) (registration.Receipt, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = r
	if _, ok := registration.KeyOf(key); !ok {
		return registration.Receipt{}, fault.New(fault.KeyMissing)
	}
	if slug != d.live.Event.Slug {
		return registration.Receipt{}, fault.New(fault.NoSuchEvent)
	}
	if d.refusal != nil {
		return registration.Receipt{}, d.refusal
	}
	if o, ok := d.byKey[key]; ok {
		return registration.Receipt{Order: o, Replayed: true}, nil
	}
	o := registration.Order{
		ID: id.New(), Number: "GNR27-000001", Status: registration.AwaitingPayment, Version: 1, Total: 200000, Locale: "id",
		CreatedAt: opened, ExpiresAt: opened.Add(30 * time.Minute),
	}
	for i, p := range r.Participants {
		o.Participants = append(o.Participants, registration.Participant{Position: i + 1, Category: p.Category, Name: p.Name, Price: 200000})
	}
	d.byKey[key], d.byID[o.ID] = o, o
	return registration.Receipt{Order: o}, nil
}

func (d *memoryDesk) Order(_ context.Context, order id.ID) (registration.Order, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	o, ok := d.byID[order]
	if !ok {
		return o, fault.New(fault.NoSuchOrder)
	}
	return o, nil
}

func (d *memoryDesk) OrderByKey(_ context.Context, key string) (registration.Order, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	o, ok := d.byKey[key]
	if !ok {
		return o, fault.New(fault.NoSuchOrder)
	}
	return o, nil
}

func (d *memoryDesk) Cancel(_ context.Context, order id.ID) (registration.Order, error) {
	d.mu.Lock()
	o, ok := d.byID[order]
	d.mu.Unlock()
	if !ok || o.Status != registration.AwaitingPayment {
		return o, fault.New(fault.WrongState)
	}
	return d.change(order, registration.Cancelled), nil
}

// change moves an order on and tells those who watch it.
func (d *memoryDesk) change(order id.ID, status registration.Status) registration.Order {
	d.mu.Lock()
	defer d.mu.Unlock()
	o := d.byID[order]
	o.Version++
	o.Status = status
	d.byID[order] = o
	for _, w := range d.watchers[order] {
		w <- registration.Change{Order: order, Version: o.Version, Status: status}
	}
	return o
}

func (d *memoryDesk) Watch(_ context.Context, order id.ID) <-chan registration.Change {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := make(chan registration.Change, 16)
	d.watchers[order] = append(d.watchers[order], w)
	return w
}

func (d *memoryDesk) Definition(slug string) (registration.Stored, error) {
	live, err := d.Event(slug)
	return registration.Stored{ID: live.ID, Revision: live.Revision, Event: live.Event}, err
}

func (d *memoryDesk) Token(order id.ID) string {
	sum := sha256.Sum256(order[:])
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

func (d *memoryDesk) TokenValid(order id.ID, token string) bool { return token == d.Token(order) }

// till is a cashier that takes what it is given.
type till struct {
	refusal  error
	notified [][]byte
}

func (c *till) Start(_ context.Context, order id.ID) (PaymentPage, error) {
	return PaymentPage{Token: "snap", URL: "https://pay.example.id/" + order.String(), Amount: 200000, ExpiresAt: opened.Add(time.Hour)}, c.refusal
}

func (c *till) Notify(_ context.Context, body []byte) error {
	c.notified = append(c.notified, body)
	return c.refusal
}

// fixture is an API over a desk in memory.
type fixture struct {
	api     *API
	desk    *memoryDesk
	till    *till
	shelf   *shelf
	clock   *clock.Manual
	stopped chan struct{}
	ready   error
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{desk: newDesk(t), till: &till{}, shelf: &shelf{}, clock: clock.NewManual(opened), stopped: make(chan struct{})}
	f.api = New(Config{
		Desk: f.desk, Cashier: f.till, Files: f.shelf, Gates: booth{}, Queue: line{}, Challenger: puzzles{}, Clock: f.clock, Log: slog.New(slog.DiscardHandler), BaseURL: "https://daftar.example.id", Stopped: f.stopped,
		Ready:   func(context.Context) error { return f.ready },
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "up 1\n") }),
	})
	return f
}

// ask sends a request; header is name, value, name, value.
func (f *fixture) ask(method, target, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	f.api.ServeHTTP(w, r)
	return w
}

// brokenReader is a connection that was lost.
type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func requestOf(t testing.TB, method, target string, body io.Reader) (*http.Request, *httptest.ResponseRecorder) {
	t.Helper()
	return httptest.NewRequest(method, target, body), httptest.NewRecorder()
}

const goodOrder = `{"contact":{"name":"Siti Aminah","email":"siti@example.id","phone":"0812-3456-789"},
 "participants":[{"category":"10k","name":"Siti Aminah","email":"siti@example.id","phone":"0812-3456-789",
                  "birth_date":"1994-05-02","gender":"female","answers":{"jersey":"M"}}],
 "captcha":"...","locale":"id"}`

const ordersPath = "/api/v1/events/night-run/orders"

func (f *fixture) post(key, body string) *httptest.ResponseRecorder {
	return f.ask("POST", ordersPath, body, "Content-Type", "application/json", "Idempotency-Key", key)
}

// anOrder registers under key and returns what was stored.
func (f *fixture) anOrder(t testing.TB, key string) registration.Order {
	t.Helper()
	if w := f.post(key, goodOrder); w.Code != http.StatusCreated {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	o, err := f.desk.OrderByKey(context.Background(), key)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

var errPlanted = errors.New("planted")

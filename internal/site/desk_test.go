package site

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gapura/internal/clock"
	"gapura/internal/event"
	"gapura/internal/fault"
	"gapura/internal/id"
	"gapura/internal/money"
	"gapura/internal/registration"
)

// desk is registration in memory: the same promises as the engine, one participant's checks reduced to what is absent.
type desk struct {
	clock *clock.Manual

	mu       sync.Mutex
	live     map[string]*registration.Live
	orders   map[id.ID]*registration.Order
	byKey    map[string]id.ID
	prints   map[string]string
	watchers map[id.ID][]chan registration.Change
	refuse   func(slug, key string, r registration.Request) error // asked before anything else
	calls    int
}

func newDesk(c *clock.Manual, events ...*event.Event) *desk {
	d := &desk{
		clock: c, live: map[string]*registration.Live{}, orders: map[id.ID]*registration.Order{}, byKey: map[string]id.ID{},
		prints: map[string]string{}, watchers: map[id.ID][]chan registration.Change{},
	}
	for i, e := range events {
		d.live[e.Slug] = &registration.Live{ID: int64(i + 1), Revision: 1, Event: e, Availability: availability(e)}
	}
	return d
}

func availability(e *event.Event) registration.Availability {
	a := registration.Availability{
		State: registration.StateOpen, Categories: map[string]registration.CategoryAvailability{},
		Options: map[string]map[string]registration.Level{},
	}
	for _, c := range e.Categories {
		tier := -1
		if len(c.Prices) > 0 {
			tier = 0
		}
		a.Categories[c.ID] = registration.CategoryAvailability{Level: registration.Available, Remaining: 500, Tier: tier}
	}
	return a
}

func (d *desk) Events() []registration.Live {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []registration.Live
	for _, slug := range slices.Sorted(maps.Keys(d.live)) {
		out = append(out, *d.live[slug])
	}
	slices.SortStableFunc(out, func(a, b registration.Live) int { return a.Event.StartsAt.Compare(b.Event.StartsAt) })
	return out
}

func (d *desk) Event(slug string) (registration.Live, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	live, ok := d.live[slug]
	if !ok {
		return registration.Live{}, fault.New(fault.NoSuchEvent)
	}
	return *live, nil
}

// set changes how an event sells.
func (d *desk) set(slug string, change func(*registration.Live)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	next := *d.live[slug]
	next.Availability.Categories = maps.Clone(next.Availability.Categories)
	next.Availability.Options = maps.Clone(next.Availability.Options)
	change(&next)
	d.live[slug] = &next
}

func (d *desk) Register(_ context.Context, slug, key string, r registration.Request) (registration.Receipt, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls++
	sent := fmt.Sprint(slug, r.Contact, r.Participants)
	if orderID, ok := d.byKey[key]; ok {
		if d.prints[key] != sent {
			return registration.Receipt{}, fault.New(fault.KeyReused)
		}
		return registration.Receipt{Order: *d.orders[orderID], Replayed: true}, nil
	}
	if d.refuse != nil {
		if err := d.refuse(slug, key, r); err != nil {
			return registration.Receipt{}, err
		}
	}
	live := d.live[slug]
	if live == nil {
		return registration.Receipt{}, fault.New(fault.NoSuchEvent)
	}
	o, err := d.decide(live, r)
	if err != nil {
		return registration.Receipt{}, err
	}
	d.orders[o.ID], d.byKey[key], d.prints[key] = o, o.ID, sent
	return registration.Receipt{Order: *o}, nil
}

func (d *desk) decide(live *registration.Live, r registration.Request) (*registration.Order, error) {
	now := d.clock.Now()
	if live.Availability.State == registration.StateUpcoming {
		return nil, fault.New(fault.NotOpen).With("opens_at", live.Event.Rules.OpensAt)
	}
	if fields := missing(live.Event, r); len(fields) > 0 {
		return nil, &fault.Fault{Code: fault.ValidationFailed, Fields: fields}
	}
	o := &registration.Order{
		ID: id.New(), EventID: live.ID, Seq: int64(len(d.orders) + 1), Version: 1, Locale: r.Locale, CreatedAt: now,
		Contact: registration.Contact(r.Contact), Status: registration.Confirmed,
	}
	o.Number = fmt.Sprintf("%s-%06d", live.Event.Code, o.Seq)
	for i, p := range r.Participants {
		c, _ := live.Event.Category(p.Category)
		tier := live.Availability.Categories[c.ID].Tier
		o.Participants = append(o.Participants, registration.Participant{
			Position: i + 1, Category: c.ID, Name: p.Name, Email: p.Email, Phone: p.Phone, BirthDate: p.BirthDate,
			Gender: p.Gender, Answers: p.Answers, Tier: tier, Price: c.PriceOf(tier),
		})
		o.Total += c.PriceOf(tier)
	}
	if r.ExpectedTotal != nil && *r.ExpectedTotal != o.Total {
		return nil, fault.New(fault.PriceChanged).With("total", o.Total).With("expected_total", *r.ExpectedTotal)
	}
	if o.Total > 0 {
		o.Status, o.ExpiresAt = registration.AwaitingPayment, now.Add(live.Event.Rules.Hold)
	}
	return o, nil
}

func missing(e *event.Event, r registration.Request) []fault.Field {
	var out []fault.Field
	need := func(pointer, value string) {
		if value == "" {
			out = append(out, fault.Field{Pointer: pointer, Code: "required"})
		}
	}
	need("/contact/name", r.Contact.Name)
	need("/contact/phone", r.Contact.Phone)
	if need("/contact/email", r.Contact.Email); r.Contact.Email != "" && !strings.Contains(r.Contact.Email, "@") {
		out = append(out, fault.Field{Pointer: "/contact/email", Code: "email_invalid"})
	}
	for i, p := range r.Participants {
		at := fmt.Sprintf("/participants/%d", i)
		if _, ok := e.Category(p.Category); !ok {
			out = append(out, fault.Field{Pointer: at + "/category", Code: cmp.Or(map[bool]string{true: "required"}[p.Category == ""], "unknown_category")})
		}
		need(at+"/name", p.Name)
		need(at+"/birth_date", p.BirthDate)
		need(at+"/gender", p.Gender)
		for _, q := range e.Questions {
			if q.Required && q.Asks(p.Category) {
				need(at+"/answers/"+q.ID, p.Answers[q.ID])
			}
		}
	}
	return out
}

func (d *desk) Order(_ context.Context, orderID id.ID) (registration.Order, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if o, ok := d.orders[orderID]; ok {
		return *o, nil
	}
	return registration.Order{}, fault.New(fault.NoSuchOrder)
}

func (d *desk) OrderByKey(ctx context.Context, key string) (registration.Order, error) {
	d.mu.Lock()
	orderID, ok := d.byKey[key]
	d.mu.Unlock()
	if !ok {
		return registration.Order{}, fault.New(fault.NoSuchOrder)
	}
	return d.Order(ctx, orderID)
}

func (d *desk) Cancel(ctx context.Context, orderID id.ID) (registration.Order, error) {
	o, err := d.Order(ctx, orderID)
	if err != nil {
		return o, err
	}
	if o.Status != registration.AwaitingPayment && (o.Status != registration.Confirmed || o.Total > 0) {
		return o, fault.New(fault.WrongState).With("status", o.Status)
	}
	return d.move(orderID, registration.Cancelled), nil
}

// move puts an order into another state and tells who watches.
func (d *desk) move(orderID id.ID, to registration.Status) registration.Order {
	d.mu.Lock()
	defer d.mu.Unlock()
	o := d.orders[orderID]
	o.Status, o.Version = to, o.Version+1
	for _, w := range d.watchers[orderID] {
		w <- registration.Change{Order: orderID, Version: o.Version, Status: to}
	}
	return *o
}

func (d *desk) Watch(_ context.Context, orderID id.ID) <-chan registration.Change {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := make(chan registration.Change, 16)
	d.watchers[orderID] = append(d.watchers[orderID], w)
	return w
}

func (d *desk) Definition(slug string) (registration.Stored, error) {
	live, err := d.Event(slug)
	return registration.Stored{ID: live.ID, Revision: live.Revision, Event: live.Event}, err
}

func (d *desk) Token(orderID id.ID) string {
	m := hmac.New(sha256.New, []byte("the desk's own secret"))
	m.Write(orderID[:])
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil)[:16])
}

func (d *desk) TokenValid(orderID id.ID, token string) bool {
	return hmac.Equal([]byte(token), []byte(d.Token(orderID)))
}

// demoEvent is the event that the demo opens: the pages are tested on what visitors see.
func demoEvent(t testing.TB) *event.Event {
	t.Helper()
	file, err := os.ReadFile("../app/demo/gapura-night-run.yaml")
	if err != nil {
		t.Fatal(err)
	}
	e, err := event.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// opening is a moment at which the demo event registers.
var opening = time.Date(2026, 12, 2, 3, 0, 0, 0, time.UTC)

func newSite(t testing.TB, change ...func(*Config)) (*Site, *desk) {
	t.Helper()
	c := clock.NewManual(opening)
	d := newDesk(c, demoEvent(t))
	config := Config{Desk: d, Clock: c, BaseURL: "https://daftar.example.id", Log: slog.New(slog.DiscardHandler)}
	for _, f := range change {
		f(&config)
	}
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return s, d
}

const slug = "gapura-night-run-2027"

// order makes an order in the desk, of that total and state.
func (d *desk) order(total money.Rupiah, status registration.Status, names ...string) registration.Order {
	d.mu.Lock()
	defer d.mu.Unlock()
	o := &registration.Order{
		ID: id.New(), EventID: 1, Seq: int64(len(d.orders) + 1), Status: status, Version: 1, Total: total, Locale: "id",
		CreatedAt: d.clock.Now(), ExpiresAt: d.clock.Now().Add(30 * time.Minute),
		Contact: registration.Contact{Name: "Siti Aminah", Email: "siti@example.id", Phone: "+628123456789"},
	}
	o.Number = fmt.Sprintf("GNR27-%06d", o.Seq)
	for i, name := range names {
		o.Participants = append(o.Participants, registration.Participant{
			Position: i + 1, Category: "10k", Name: name, Price: total / money.Rupiah(len(names)), Tier: 0,
			Answers: map[string]string{"jersey": "M", "emergency-contact": "Budi 0812"},
		})
	}
	d.orders[o.ID] = o
	return *o
}

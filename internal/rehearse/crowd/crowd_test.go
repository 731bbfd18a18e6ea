package crowd

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func testEvent() *Event {
	return &Event{
		Slug: "night-run", StartsAt: time.Date(2027, 3, 7, 11, 0, 0, 0, time.UTC), MaxParticipants: 5,
		Categories: []Category{{ID: "fun", Size: 500}, {ID: "10k", Size: 3000, MinAge: 15}, {ID: "hm", MinAge: 17, MaxAge: 30, Size: 1000}},
		Questions: []Question{
			{ID: "jersey", Type: "choice", Required: true, Options: []string{"S", `M "slim"`}},
			{ID: "consent", Type: "checkbox", Required: true, Categories: []string{"hm"}},
		},
	}
}

func onsaleSettings(scale float64) Settings {
	return Settings{Demand: Demand{Curve: CurveOnsale, Scale: scale, Speed: 1}, Habits: DefaultHabits(), Seed: 3}
}

func gather(t testing.TB, s Settings) *Crowd {
	t.Helper()
	if err := s.Demand.Check(); err != nil {
		t.Fatal(err)
	}
	c, err := Gather(testEvent(), s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheOnsaleHasItsPublishedShape(t *testing.T) {
	t.Parallel()
	s := onsaleSettings(10)
	s.Habits = Habits{}
	c := gather(t, s)
	minutes, seconds := make([]int, 6), make([]int, 60)
	for _, o := range c.Orders {
		minutes[int(o.At.Minutes())]++
		if o.At < time.Minute {
			seconds[int(o.At.Seconds())]++
		}
	}
	if want := []int{19920, 5120, 1020, 410, 450, 510}; !slices.Equal(minutes, want) {
		t.Errorf("orders per minute %v, want %v", minutes, want)
	}
	near := func(second int, want float64) {
		// Three standard deviations of a Poisson count.
		if got := float64(seconds[second]); math.Abs(got-want) > 3*math.Sqrt(want) {
			t.Errorf("second %d: %.0f orders, want about %.0f", second, got, want)
		}
	}
	near(0, 400)
	near(15, 610)
	near(29, 410)
	near(59, 56)
}

func TestBasketsAreThoseOfTheOnsale(t *testing.T) {
	t.Parallel()
	s := onsaleSettings(20)
	s.Habits = Habits{}
	c := gather(t, s)
	sizes, first := make([]float64, MaxBasket+1), make([]float64, 3)
	for _, o := range c.Orders {
		sizes[o.Size]++
		first[o.Categories[0]]++
	}
	total := float64(len(c.Orders))
	for size, want := range []float64{0, 496, 586, 267, 163, 205} {
		if got := sizes[size] / total; math.Abs(got-want/1717) > 0.01 {
			t.Errorf("orders of %d: share %.3f, want %.3f", size, got, want/1717)
		}
	}
	// The largest category gets the share of the product that most people wanted.
	if want := 1717.0 / (1717 + 266 + 178); math.Abs(first[1]/total-want) > 0.01 {
		t.Errorf("share of the largest category %.3f, want %.3f", first[1]/total, want)
	}
}

func TestEveryCrowdIsInOrderAndRepeatable(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		s := Settings{
			Demand: Demand{
				Curve: rapid.SampledFrom(Curves()).Draw(rt, "curve"), Scale: rapid.Float64Range(0.01, 0.2).Draw(rt, "scale"),
				Speed: rapid.Float64Range(0.5, 100).Draw(rt, "speed"), Orders: rapid.IntRange(1, 300).Draw(rt, "orders"),
				Rate: rapid.Float64Range(1, 100).Draw(rt, "rate"), For: 3 * time.Second, Surge: 3, SurgeAt: time.Second, SurgeFor: time.Second,
			},
			Habits: Habits{DoubleClick: 0.2, LosesLine: 0.2, AsksAgain: 0.2, Cancels: 0.2, SecondCategory: 0.5},
			Pure:   rapid.Bool().Draw(rt, "pure"), Seed: rapid.Uint64().Draw(rt, "seed"),
		}
		c, err := Gather(testEvent(), s)
		if err != nil {
			rt.Fatal(err)
		}
		if again, _ := Gather(testEvent(), s); !reflect.DeepEqual(c, again) {
			rt.Fatal("the same seed makes another crowd")
		}
		if !slices.IsSortedFunc(c.Visits, func(a, b Visit) int { return int(a.At - b.At) }) {
			rt.Fatal("visits are out of order")
		}
		visits := make([]int, len(c.Orders))
		for _, v := range c.Visits {
			visits[v.Order]++
		}
		for i, o := range c.Orders {
			want := 1
			if o.Habit == DoubleClick {
				want = 2
			}
			if visits[i] != want || o.Size < 1 || o.Size > MaxBasket || o.At < 0 {
				rt.Fatalf("order %d: %d visits, %+v", i, visits[i], o)
			}
			if o.Twin >= 0 && (c.Orders[o.Twin].Person != o.Person || c.Orders[o.Twin].Categories[0] == o.Categories[0]) {
				rt.Fatalf("order %d is not the same person in another category: %+v", i, o)
			}
			if s.Pure && (o.Habit != Ordinary || o.Size != 1) {
				rt.Fatalf("a pure crowd has %+v", o)
			}
		}
	})
}

func TestPeopleAreValidAndTheirOwn(t *testing.T) {
	t.Parallel()
	s := onsaleSettings(3)
	s.Habits = Habits{}
	c := gather(t, s)
	event := testEvent()
	people := NewPeople(event, c, 99)
	seen := map[string]bool{}
	fresh := func(kind, value string) {
		if seen[kind+value] {
			t.Fatalf("two %ss are %s", kind, value)
		}
		seen[kind+value] = true
	}
	for i, o := range c.Orders {
		body := people.AppendBody(nil, int32(i))
		if string(body) != string(people.AppendBody(nil, int32(i))) {
			t.Fatal("a repeat has other bytes")
		}
		var doc struct {
			Contact      struct{ Name, Email, Phone string }
			Participants []struct {
				Category, Name, Email, Phone, Gender string
				BirthDate                            string `json:"birth_date"`
				Answers                              map[string]string
			}
		}
		if err := json.Unmarshal(body, &doc); err != nil {
			t.Fatalf("%v in %s", err, body)
		}
		if len(doc.Participants) != o.Size {
			t.Fatalf("%d participants, want %d", len(doc.Participants), o.Size)
		}
		fresh("key", people.Key(int32(i)))
		for j, p := range doc.Participants {
			fresh("name", p.Name)
			fresh("email", p.Email)
			fresh("phone", p.Phone)
			category := event.Categories[o.Categories[j]]
			born, err := time.Parse("2006-01-02", p.BirthDate)
			if err != nil {
				t.Fatal(err)
			}
			age := event.StartsAt.Year() - born.Year()
			if age < max(category.MinAge, youngest) || category.MaxAge > 0 && age > category.MaxAge {
				t.Fatalf("%d years old in %s", age, category.ID)
			}
			if p.Category != category.ID || p.Answers["jersey"] == "" || (p.Answers["consent"] == "true") != (category.ID == "hm") {
				t.Fatalf("%+v", p)
			}
			if !strings.HasPrefix(p.Phone, "+6281") || len(p.Phone) != 15 || p.Gender != "female" && p.Gender != "male" {
				t.Fatalf("%+v", p)
			}
		}
	}
}

func TestRunsDoNotMeet(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for seed := range uint64(10_000) {
		name := runName(seed)
		if len(name) != 8 || names[name] {
			t.Fatalf("seed %d: run %q is not its own", seed, name)
		}
		names[name] = true
	}
}

func BenchmarkBody(b *testing.B) {
	s := onsaleSettings(1)
	s.Pure = true
	c := gather(b, s)
	people := NewPeople(testEvent(), c, 1)
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		buf = people.AppendBody(buf[:0], int32(i%len(c.Orders)))
	}
}

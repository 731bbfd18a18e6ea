package event

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gapura/internal/money"
)

func TestParseReadsEveryKey(t *testing.T) {
	t.Parallel()
	e := mustParse(t, readFile(t, "testdata", "good", "full.yaml"))
	none := 0
	makassar := func(text string) time.Time {
		at, err := time.ParseInLocation(time.DateTime, text, e.Location())
		if err != nil {
			t.Fatal(err)
		}
		return at.UTC()
	}
	same := func(s string) Text { return Text{s, s} }
	want := Event{
		Slug: "bali-10k", Code: "BALI", Name: same("Bali 10 K"), Description: same("Baris satu\n\n\tbaris dua"),
		Timezone: "Asia/Makassar", StartsAt: makassar("2027-07-17 05:00:30"), Venue: Venue{"Pantai: Sanur # timur", "Denpasar"},
		Rules: Rules{OpensAt: makassar("2027-03-01 11:00:00"), ClosesAt: makassar("2027-07-01 08:00:00"), Hold: 90 * time.Minute, MaxParticipants: 50},
		Categories: []Category{
			{
				ID: "a", Name: same("10 K"), DistanceM: 10000, Price: 1, MinAge: 17, MaxAge: 60,
				Prices: []Tier{{Name: "One", First: 3}, {Name: "Two", Until: makassar("2027-05-01 00:00:00")}},
			},
			{ID: "b", Name: same("yes"), Price: 1_000_000_000_000},
		},
		Quotas: []Quota{{"q", 0, []string{"a", "b"}}, {"r", 10_000_000, []string{"b"}}},
		Questions: []Question{
			{
				ID: "shoe", Type: Choice, Label: same("Sepatu"), Categories: []string{"b"},
				Options: []Option{{"38", same("38"), &none}, {"NO", same("Tidak"), nil}, {"~", same("~"), nil}},
			},
			{ID: "note", Type: FreeText, Label: same("Catatan")},
			{ID: "ok", Type: Checkbox, Required: true, Label: Text{"Setuju", "Agree"}},
		},
		WaitingRoom: WaitingRoom{true, FIFO, ConfirmEmail},
		Schedule:    []Appearance{{makassar("2027-07-16 05:00:00"), same("Ambil"), "A"}, {makassar("2027-07-17 05:00:00"), same("Start"), ""}},
		Tax:         Tax{"PPN", 1105},
		Organiser:   Organiser{"PT Lari", "a@example.id", "Jl. 1", "012345678901000"},
	}
	got := *e
	got.index = nil
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Event{})); diff != "" {
		t.Error(diff)
	}
}

func TestParseFillsInDefaults(t *testing.T) {
	t.Parallel()
	f, err := ParseFile(readFile(t, "testdata", "good", "minimal.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	want := Rules{OpensAt: f.Event.Rules.OpensAt, ClosesAt: f.Event.Rules.ClosesAt, Hold: 30 * time.Minute, MaxParticipants: 5, UniqueBy: []UniqueBy{UniqueByEmail}}
	if diff := cmp.Diff(want, f.Event.Rules); diff != "" {
		t.Error(diff)
	}
	if f.Event.Code != "DT" || f.Event.WaitingRoom != (WaitingRoom{PreQueue: Draw}) {
		t.Errorf("code %s, waiting room %+v", f.Event.Code, f.Event.WaitingRoom)
	}
	if len(f.Warnings) != 1 || f.Warnings[0].Line != 7 || !strings.Contains(f.Warnings[0].Reason, "no quota") {
		t.Errorf("warnings: %v", f.Warnings)
	}
}

func TestParseReadsJSONEscapesAndOffsets(t *testing.T) {
	t.Parallel()
	e := mustParse(t, readFile(t, "testdata", "good", "tabs.json"))
	if want := `Lari 🏃 \ud83c\udfc3`; e.Name.ID != want || e.Venue.Name != "Parké" {
		t.Errorf("name %q, want %q; venue %q", e.Name.ID, want, e.Venue.Name)
	}
	if gap := e.StartsAt.Sub(e.Rules.ClosesAt); gap != time.Hour {
		t.Errorf("the repeated hour of New York: closes %s before the start, want 1h", gap)
	}
	if e.Rules.Hold != 7*24*time.Hour {
		t.Errorf("hold: %s", e.Rules.Hold)
	}
}

func TestParseRefusesLargeFiles(t *testing.T) {
	t.Parallel()
	data := readFile(t, "testdata", "good", "minimal.yaml")
	padded := append(data, bytes.Repeat([]byte("#\n"), (MaxFileSize-len(data))/2)...)
	mustParse(t, padded)
	_, err := Parse(append(padded, "##"...))
	if err == nil || !strings.Contains(err.Error(), "the most is 1048576") {
		t.Errorf("a file beyond the limit: %v", err)
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	f, err := ParseFile([]byte(strings.NewReplacer("[email, phone]", "[]", "price: 225000", "price: 250000", ", categories: [10k, 5k]", ", categories: [10k]").Replace(compareBase)))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"line 8: categories[0].prices[1].price: is not below the ordinary price Rp250.000",
		`line 9: categories[1]: no quota covers the category "5k", so it sells without limit`,
		"line 6: registration.unique_by: is empty, so one person can register any number of times",
	}
	got := make([]string, len(f.Warnings))
	for i, w := range f.Warnings {
		got[i] = w.String()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDefaultCode(t *testing.T) {
	t.Parallel()
	for slug, want := range map[string]string{
		"gapura-night-run-2027": "GNR27", "borobudur": "BOR", "a": "AX", "ab": "AB", "borobudur-2027": "BOR27", "10k-bandung": "1B",
		"a-b-c-d-e-f-g-h-i-j-2031": "ABCDEFGH31", "run-1234": "R1", "2027": "20227",
	} {
		if got := defaultCode(slug); got != want {
			t.Errorf("defaultCode(%s) = %s, want %s", slug, got, want)
		}
	}
}

func TestCountersOfAParticipant(t *testing.T) {
	t.Parallel()
	e := mustParse(t, []byte(compareBase))
	for _, c := range []struct {
		category string
		answers  map[string]string
		tier     int
		want     string
	}{
		{"10k", map[string]string{"jersey": "S", "club": "X"}, 1, "[quota total quota long category 10k option jersey:S tier 10k:1]"},
		{"5k", nil, -1, "[quota total category 5k]"},
		{"5k", map[string]string{"jersey": "XS"}, 4, "[quota total category 5k]"},
		{"42k", map[string]string{"jersey": "S"}, 0, "[]"},
	} {
		if got := fmt.Sprint(e.CountersOf(c.category, c.answers, c.tier)); got != c.want {
			t.Errorf("%s %v tier %d: %s, want %s", c.category, c.answers, c.tier, got, c.want)
		}
	}
	if got := fmt.Sprint(e.QuotasOf("10k"), e.QuotasOf("42k"), e.TierCounter("10k", 1), e.TierCounter("5k", 1)); got != "[quota total quota long] [] tier 10k:1 tier 5k:1" {
		t.Error(got)
	}
}

func TestCountersWithTheirLimits(t *testing.T) {
	t.Parallel()
	want := []CounterLimit{
		{QuotaCounter("total"), 1000},
		{QuotaCounter("long"), 300},
		{CategoryCounter("10k"), Unlimited},
		{CategoryCounter("5k"), Unlimited},
		{OptionCounter("jersey", "S"), 50},
		{OptionCounter("jersey", "M"), Unlimited},
		{OptionCounter("jersey", "L"), Unlimited},
		{TierCounter("10k", 0), 200},
		{TierCounter("10k", 1), Unlimited},
	}
	if diff := cmp.Diff(want, mustParse(t, []byte(compareBase)).Counters()); diff != "" {
		t.Error(diff)
	}
}

func TestAnUnpreparedEventAnswersTheSame(t *testing.T) {
	t.Parallel()
	e := mustParse(t, []byte(compareBase))
	raw := *e
	raw.index = nil
	answers := map[string]string{"jersey": "M"}
	if !slices.Equal(e.CountersOf("10k", answers, 0), raw.CountersOf("10k", answers, 0)) || !slices.Equal(e.Counters(), raw.Counters()) {
		t.Error("counters differ")
	}
	if _, ok := raw.Category("5k"); !ok || raw.Location().String() != "Asia/Jakarta" {
		t.Error("look-ups differ")
	}
}

func TestCountersOfIsLight(t *testing.T) {
	e := mustParse(t, []byte(compareBase))
	answers := map[string]string{"jersey": "S", "club": "X"}
	if n := testing.AllocsPerRun(100, func() { e.CountersOf("10k", answers, 1) }); n > 1 {
		t.Errorf("%v allocations, want only the slice", n)
	}
	buffer := make([]Counter, 0, 8)
	if n := testing.AllocsPerRun(100, func() { buffer = e.AppendCounters(buffer[:0], "10k", answers, 1) }); n > 0 {
		t.Errorf("%v allocations into a buffer, want none", n)
	}
}

func TestDecodeRefusesWhatContradictsItself(t *testing.T) {
	t.Parallel()
	for _, stored := range []string{
		`{"slug": 5}`, `{`, `{"categories":[{"id":"a"},{"id":"a"}]}`, `{"quotas":[{"id":"q","size":1,"categories":["a"]}]}`,
	} {
		if e, err := Decode([]byte(stored)); err == nil {
			t.Errorf("%s became %+v", stored, e)
		}
	}
}

func TestTaxPart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		tax  Tax
		paid money.Rupiah
		want money.Rupiah
	}{
		{Tax{}, 250_000, 0},
		{Tax{"PPN", 1100}, 250_000, 24_775}, // 24,774.77
		{Tax{"PPN", 1100}, 111_000, 11_000},
		{Tax{"PPN", 10_000}, 3, 2}, // 1.5 is rounded up
		{Tax{"PPN", 1100}, 50 * maxPrice, 4_954_954_954_955},
	} {
		if got := c.tax.Part(c.paid); got != c.want {
			t.Errorf("%+v of %d: %d, want %d", c.tax, c.paid, got, c.want)
		}
	}
}

func TestTierAppliesByDateAndCount(t *testing.T) {
	t.Parallel()
	c := &Category{Price: 300, Prices: []Tier{
		{Name: "both", Price: 100, First: 10, Until: time.Unix(1000, 0)}, {Name: "date", Price: 200, Until: time.Unix(2000, 0)},
	}}
	for _, x := range []struct {
		now   int64
		sold  int
		tier  int
		price money.Rupiah
	}{{0, 9, 0, 100}, {0, 10, 1, 200}, {999, 0, 0, 100}, {1000, 0, 1, 200}, {1999, 10, 1, 200}, {2000, 0, -1, 300}} {
		tier := c.Tier(time.Unix(x.now, 0), func(int) int { return x.sold })
		if tier != x.tier || c.PriceOf(tier) != x.price {
			t.Errorf("at %d with %d sold: tier %d, %d; want %d, %d", x.now, x.sold, tier, c.PriceOf(tier), x.tier, x.price)
		}
	}
}

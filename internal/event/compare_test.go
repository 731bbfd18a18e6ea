package event

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const compareBase = `slug: run-2027
name: Run
timezone: Asia/Jakarta
starts_at: 2027-03-07T18:00
venue: {name: Gasibu, city: Bandung}
registration: {opens_at: 2026-12-01T10:00, closes_at: 2027-02-20T23:59, unique_by: [email, phone]}
categories:
  - {id: 10k, name: 10 K, price: 250000, prices: [{name: Early, price: 200000, first: 200}, {name: Presale, price: 225000, until: 2027-01-01T00:00}]}
  - {id: 5k, name: 5 K, price: 150000}
quotas:
  - {id: total, size: 1000, categories: [10k, 5k]}
  - {id: long, size: 300, categories: [10k]}
questions:
  - {id: jersey, type: choice, label: Jersey, options: [{value: S, stock: 50}, {value: M}, {value: L}]}
  - {id: club, type: text, label: Club, categories: [5k]}
schedule: [{at: 2027-03-07T16:00, what: Bibs}, {at: 2027-03-07T18:00, what: Start}]
`

// compareSold: 120 in 10k (100 early, 20 presale), 1 in 5k; 40 S, 81 M.
func compareSold() Sold {
	return Sold{
		QuotaCounter("total"): 121, QuotaCounter("long"): 120,
		CategoryCounter("10k"): 120, CategoryCounter("5k"): 1,
		OptionCounter("jersey", "S"): 40, OptionCounter("jersey", "M"): 81,
		TierCounter("10k", 0): 100, TierCounter("10k", 1): 20,
	}
}

func compareWith(t *testing.T, sold Sold, edits ...string) ([]string, error) {
	t.Helper()
	text := compareBase
	for i := 0; i < len(edits); i += 2 {
		if !strings.Contains(text, edits[i]) {
			t.Fatalf("the base has no %q", edits[i])
		}
		text = strings.Replace(text, edits[i], edits[i+1], 1)
	}
	f, err := ParseFile([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f.Compare(mustParse(t, []byte(compareBase)), sold)
}

func TestCompareSaysWhatChanged(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		edits []string
		want  []string
	}{
		{"nothing", nil, nil},
		{
			"values",
			[]string{"starts_at: 2027-03-07T18:00", "starts_at: 2027-03-07T19:00", "price: 150000", "price: 160000", "size: 1000", "size: 1200", "{value: M}", "{value: M, stock: 81}"},
			[]string{
				"starts_at: 2027-03-07T18:00 is now 2027-03-07T19:00", "categories[5k].price: 150000 is now 160000",
				"quotas[total].size: 1000 is now 1200", "questions[jersey].options[M].stock: added, 81",
			},
		},
		{
			"things",
			[]string{"quotas:\n", "  - {id: fun, name: Fun, price: 0}\nquotas:\n", "what: Bibs}, {at: 2027-03-07T18:00, what: Start}", "what: Bibs}"},
			[]string{"categories[fun]: added", "schedule[2027-03-07T18:00]: removed"},
		},
		{
			"order",
			[]string{"{value: S, stock: 50}, {value: M}, {value: L}", "{value: L}, {value: M}, {value: S, stock: 50}"},
			[]string{"questions[jersey].options: in another order"},
		},
		{"long text", []string{"name: Run\n", "name: Run\ndescription: " + strings.Repeat("a", 70) + "\n"}, []string{"description: added"}},
		{"languages", []string{"name: Run\n", "name: {id: Lari, en: Run}\n"}, []string{"name: changed"}},
		{"coverage", []string{"size: 300, categories: [10k]", "size: 300, categories: [10k, 5k]"}, []string{"quotas[long].categories[5k]: added"}},
		{
			"what nobody took",
			[]string{", {value: L}", "", "[{value: S", "[{value: XS}, {value: S"},
			[]string{"questions[jersey].options[XS]: added", "questions[jersey].options[L]: removed"},
		},
		{
			"renamed tier",
			[]string{"name: Early, ", "name: Early bird, "},
			[]string{"categories[10k].prices[Early bird]: added", "categories[10k].prices[Early]: removed"},
		},
		{
			"to exactly what is sold",
			[]string{"first: 200", "first: 100", "size: 300", "size: 120", "stock: 50", "stock: 40"},
			[]string{"categories[10k].prices[Early].first: 200 is now 100", "quotas[long].size: 300 is now 120", "questions[jersey].options[S].stock: 50 is now 40"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := compareWith(t, compareSold(), c.edits...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCompareRefusesWhatBreaksAPromise(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		edits []string
		want  string
	}{
		{"quota", []string{"size: 300", "size: 119"}, `line 12: quotas[1].size: must be at least 120, because that many are sold in its categories`},
		{"coverage", []string{"size: 300, categories: [10k]", "size: 120, categories: [10k, 5k]"}, `line 12: quotas[1].size: must be at least 121, because that many are sold in its categories`},
		{"new quota", []string{"questions:\n", "  - {id: new, size: 0, categories: [5k]}\nquestions:\n"}, `line 13: quotas[2].size: must be at least 1, because that many are sold in its categories`},
		{"quota gone", []string{"  - {id: long, size: 300, categories: [10k]}\n", ""}, `line 10: quotas: must keep the quota "long", from which 120 participants took a place; make it larger instead`},
		{"stock", []string{"stock: 50", "stock: 39"}, `line 14: questions[0].options[0].stock: must be at least 40, because that many chose "S"`},
		{"new stock", []string{"{value: M}", "{value: M, stock: 80}"}, `line 14: questions[0].options[1].stock: must be at least 81, because that many chose "M"`},
		{"option gone", []string{"{value: M}, ", ""}, `line 14: questions[0].options: must keep the option "M", which 81 participants chose`},
		{"question gone", []string{"  - {id: club, type: text, label: Club, categories: [5k]}\n", ""}, `line 13: questions: must keep the question "club", which 1 participant may have answered`},
		{"question type", []string{"type: text", "type: checkbox"}, `line 15: questions[1].type: must stay text, because 1 participant may have answered`},
		{"choice type", []string{"type: choice, label: Jersey, options: [{value: S, stock: 50}, {value: M}, {value: L}]", "type: text, label: Jersey"}, `line 14: questions[0].type: must stay choice, because 121 participants may have answered`},
		{"category gone", []string{"  - {id: 5k, name: 5 K, price: 150000}\n", "", "[10k, 5k]", "[10k]", ", categories: [5k]}", "}"}, `line 7: categories: must keep the category "5k", which 1 participant entered`},
		{"first", []string{"first: 200", "first: 99"}, `line 8: categories[0].prices[0].first: must be at least 100, because that many are sold at the tier "Early"`},
		{"tier gone", []string{", {name: Presale, price: 225000, until: 2027-01-01T00:00}", ""}, `line 8: categories[0].prices: must keep the tier "Presale" as number 2, because 20 participants bought at it; add tiers below it and end it by until`},
		{"unique", []string{"[email, phone]", "[email]"}, `line 6: registration.unique_by: must stay [email, phone], because 121 participants already registered under that rule`},
		{"slug", []string{"slug: run-2027", "slug: run-2028"}, `line 1: slug: must stay "run-2027": the slug is the event's address; apply another slug as a new event`},
		{"code", []string{"slug: run-2027", "slug: run-2027\ncode: RN"}, `line 2: code: must stay RUN27, because order numbers begin with it; write code: RUN27`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			changes, err := compareWith(t, compareSold(), c.edits...)
			var refusal *FileError
			if !errors.As(err, &refusal) || changes != nil {
				t.Fatalf("allowed: %v, %v", changes, err)
			}
			if len(refusal.Faults) != 1 || refusal.Faults[0].String() != c.want {
				t.Errorf("got  %v\nwant %s", refusal.Faults, c.want)
			}
		})
	}
}

func TestCompareRefusesReorderedTiersThatSold(t *testing.T) {
	t.Parallel()
	edits := []string{
		"[{name: Early, price: 200000, first: 200}, {name: Presale, price: 225000, until: 2027-01-01T00:00}]",
		"[{name: Presale, price: 225000, until: 2027-01-01T00:00}, {name: Early, price: 200000, first: 200}]",
	}
	_, err := compareWith(t, compareSold(), edits...)
	var refusal *FileError
	if !errors.As(err, &refusal) || len(refusal.Faults) == 0 {
		t.Errorf("allowed: %v", err)
	}
	if _, err := compareWith(t, nil, edits...); err != nil {
		t.Errorf("nothing is sold, yet: %v", err)
	}
}

func TestCompareAllowsEverythingButIdentityBeforeSales(t *testing.T) {
	t.Parallel()
	changes, err := compareWith(t, nil, "size: 300", "size: 0", "[email, phone]", "[]", "  - {id: 5k, name: 5 K, price: 150000}\n", "",
		"[10k, 5k]", "[10k]", "  - {id: club, type: text, label: Club, categories: [5k]}\n", "")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(changes, "categories[5k]: removed") {
		t.Errorf("changes: %q", changes)
	}
}

// TestAQuotaIsTheSumOfItsCategories: however a crowd registers, Sum of the category counters is the counter of the quota.
func TestAQuotaIsTheSumOfItsCategories(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		e, sold := anyEvent(rt), Sold{}
		for range rapid.IntRange(0, 30).Draw(rt, "crowd") {
			for _, c := range e.CountersOf(rapid.SampledFrom(e.Categories).Draw(rt, "category").ID, nil, -1) {
				sold[c]++
			}
		}
		for _, q := range e.Quotas {
			if n := q.Sum(func(c Counter) int { return sold[c] }); n != sold[QuotaCounter(q.ID)] {
				rt.Fatalf("quota %s: sum %d, counted %d", q.ID, n, sold[QuotaCounter(q.ID)])
			}
		}
	})
}

func TestCompareWithNothing(t *testing.T) {
	t.Parallel()
	f, err := ParseFile([]byte(compareBase))
	if err != nil {
		t.Fatal(err)
	}
	changes, err := f.Compare(nil, nil)
	if err != nil || !slices.Equal(changes, []string{"event run-2027: new"}) {
		t.Errorf("changes %q, error %v", changes, err)
	}
}

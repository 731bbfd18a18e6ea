package event

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gapura/internal/money"
)

// anyText draws what a careful parser lets through: trimmed, without controls, otherwise anything.
func anyText(t *rapid.T, label string) string {
	alphabet := []rune("aZ0 :#-?&*!|>'\"%@`{}[],~é李ر🏃\u00a0\\")
	return "x" + rapid.StringOfN(rapid.RuneFrom(alphabet), 0, 12, -1).Draw(t, label) + "x"
}

func anyBody(t *rapid.T, label string) string {
	return "x" + rapid.StringOfN(rapid.RuneFrom([]rune("ab \n\t#-:é")), 0, 20, -1).Draw(t, label) + "x"
}

func anyID(t *rapid.T, label string) string {
	return rapid.StringMatching(`[a-z0-9]{1,8}(-[a-z0-9]{1,5})?`).Draw(t, label)
}

func anyIDs(t *rapid.T, label string, least, most int) []string {
	return rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z0-9]{1,6}`), least, most, rapid.ID).Draw(t, label)
}

func anyBilingual(t *rapid.T, label string) Text {
	id := anyText(t, label)
	if rapid.Bool().Draw(t, label+" in one language") {
		return Text{id, id}
	}
	return Text{id, anyText(t, label+" in English")}
}

// anyEvent draws events that Parse could return.
func anyEvent(t *rapid.T) *Event {
	opens := time.Unix(rapid.Int64Range(1_700_000_000, 1_900_000_000).Draw(t, "opens"), 0).UTC()
	closes := opens.Add(time.Duration(rapid.IntRange(60, 10_000_000).Draw(t, "open for")) * time.Second)
	e := &Event{
		Slug: anyID(t, "slug"), Code: rapid.StringMatching(`[A-Z0-9]{2,10}`).Draw(t, "code"), Name: anyBilingual(t, "name"),
		Timezone: rapid.SampledFrom([]string{"Asia/Jakarta", "UTC", "America/New_York", "Australia/Lord_Howe"}).Draw(t, "zone"),
		StartsAt: closes, Venue: Venue{Name: anyText(t, "venue")},
		Rules: Rules{
			OpensAt: opens, ClosesAt: closes, Hold: time.Duration(rapid.IntRange(60, 604_800).Draw(t, "hold")) * time.Second,
			MaxParticipants: rapid.IntRange(1, 50).Draw(t, "participants"),
			UniqueBy:        rapid.SampledFrom([][]UniqueBy{nil, {UniqueByEmail}, {UniqueByPhone, UniqueByEmail}}).Draw(t, "unique"),
		},
		WaitingRoom: WaitingRoom{
			Enabled: rapid.Bool().Draw(t, "room"), PreQueue: rapid.SampledFrom([]PreQueue{Draw, FIFO}).Draw(t, "order"),
			Person: rapid.SampledFrom([]Confirmation{ConfirmNothing, ConfirmEmail}).Draw(t, "confirmed"),
		},
	}
	if rapid.Bool().Draw(t, "described") {
		body := anyBody(t, "description")
		e.Description = Text{body, body + "x"}
	}
	ids := anyIDs(t, "categories", 1, 4)
	for i, id := range ids {
		e.Categories = append(e.Categories, anyCategory(t, id, strconv.Itoa(i), closes))
	}
	for _, id := range anyIDs(t, "quotas", 0, 3) {
		e.Quotas = append(e.Quotas, Quota{id, rapid.IntRange(0, 50).Draw(t, "size"), slices.Clone(ids[:rapid.IntRange(1, len(ids)).Draw(t, "covers")])})
	}
	for _, id := range anyIDs(t, "questions", 0, 3) {
		e.Questions = append(e.Questions, anyQuestion(t, id))
	}
	if rapid.Bool().Draw(t, "taxed") {
		e.Tax = Tax{anyText(t, "tax"), rapid.IntRange(1, 10_000).Draw(t, "rate")}
		e.Organiser = Organiser{Name: anyText(t, "organiser"), NPWP: "012345678901000"}
	}
	if err := e.Prepare(); err != nil {
		t.Fatal(err)
	}
	return e
}

func anyCategory(t *rapid.T, id, n string, closes time.Time) Category {
	c := Category{
		ID: id, Name: anyBilingual(t, "category"+n), Price: money.Rupiah(rapid.Int64Range(0, maxPrice).Draw(t, "price")),
		DistanceM: rapid.IntRange(0, 42195).Draw(t, "distance"), MaxAge: rapid.IntRange(0, 99).Draw(t, "max age"),
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "tiers") {
		c.Prices = append(c.Prices, Tier{Name: strconv.Itoa(i) + anyText(t, "tier"), Price: 1, First: rapid.IntRange(1, 9).Draw(t, "first")})
	}
	if len(c.Prices) > 0 && rapid.Bool().Draw(t, "dated") {
		c.Prices[0].Until = closes
		c.Prices[0].First = rapid.IntRange(0, 9).Draw(t, "first of dated")
	}
	return c
}

func anyQuestion(t *rapid.T, id string) Question {
	q := Question{
		ID: id, Type: rapid.SampledFrom([]QuestionType{Choice, FreeText, Checkbox}).Draw(t, "type"),
		Required: rapid.Bool().Draw(t, "required"), Label: anyBilingual(t, "label"),
	}
	if q.Type != Choice {
		return q
	}
	for i := range rapid.IntRange(1, 3).Draw(t, "options") {
		o := Option{Value: strconv.Itoa(i) + anyText(t, "value")}
		o.Label = Text{o.Value, o.Value}
		if rapid.Bool().Draw(t, "stocked") {
			stock := rapid.IntRange(0, 9).Draw(t, "stock")
			o.Stock = &stock
		}
		q.Options = append(q.Options, o)
	}
	return q
}

func TestEveryEventSurvivesTheDatabaseAndItsFile(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) { checkRoundTrips(rt, anyEvent(rt)) })
}

func TestAParticipantTakesOnlyFromListedCountersAndFromEachOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		e := anyEvent(rt)
		listed := map[Counter]int{}
		for i, c := range e.Counters() {
			if _, twice := listed[c.Counter]; twice {
				rt.Fatalf("%s is listed twice", c)
			}
			listed[c.Counter] = i
		}
		c := rapid.SampledFrom(e.Categories).Draw(rt, "category")
		answers := map[string]string{}
		for _, q := range e.Questions {
			if q.Type == Choice {
				answers[q.ID] = rapid.SampledFrom(q.Options).Draw(rt, "answer").Value
			}
		}
		tier := rapid.IntRange(-1, len(c.Prices)-1).Draw(rt, "tier")
		last := -1
		taken := e.CountersOf(c.ID, answers, tier)
		for _, counter := range taken {
			at, ok := listed[counter]
			if !ok || at <= last {
				rt.Fatalf("%s of %v is unlisted, doubled or out of order", counter, taken)
			}
			last = at
		}
		want := len(e.QuotasOf(c.ID)) + 1 + len(answers)
		if tier >= 0 {
			want++
		}
		if len(taken) != want {
			rt.Fatalf("takes from %v, want %d counters", taken, want)
		}
	})
}

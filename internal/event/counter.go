package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// CounterKind says what a counter counts the live participants of.
type CounterKind string

// The kinds of counters.
const (
	CountQuota    CounterKind = "quota"    // Ref is the quota's id
	CountCategory CounterKind = "category" // Ref is the category's id
	CountOption   CounterKind = "option"   // Ref is the question's id, a colon and the option's value
	CountTier     CounterKind = "tier"     // Ref is the category's id, a colon and the tier's index from 0
)

// Counter names one number that the engine and the store keep beside the participants: how many of them live and belong
// to Ref. Ids never contain a colon, so a Ref is unambiguous.
type Counter struct {
	Kind CounterKind
	Ref  string
}

// String is for logs and for the lines of an audit.
func (c Counter) String() string { return string(c.Kind) + " " + c.Ref }

// Unlimited is the limit of a counter that only counts.
const Unlimited = -1

// CounterLimit is a counter and the most it may reach, or Unlimited.
type CounterLimit struct {
	Counter
	Limit int
}

// Sold is how many live participants each counter has; a counter that is absent has none.
type Sold map[Counter]int

// QuotaCounter names the counter of a quota.
func QuotaCounter(quotaID string) Counter { return Counter{CountQuota, quotaID} }

// CategoryCounter names the counter of a category.
func CategoryCounter(categoryID string) Counter { return Counter{CountCategory, categoryID} }

// OptionCounter names the counter of an option of a choice.
func OptionCounter(questionID, value string) Counter {
	return Counter{CountOption, questionID + ":" + value}
}

// TierCounter names the counter of a price tier. It concatenates: on the hot path use (*Event).TierCounter.
func TierCounter(categoryID string, tier int) Counter {
	return Counter{CountTier, categoryID + ":" + strconv.Itoa(tier)}
}

// index is what Prepare computes once, so that a participant costs look-ups instead of concatenations.
type index struct {
	categories map[string]int // position in Event.Categories
	quotas     [][]Counter    // by category position: the quotas it takes from, in file order, then the category itself
	tiers      [][]Counter    // by category position, then tier
	choices    []choice
	limits     []CounterLimit
	location   *time.Location // nil: the zone does not exist
}

// choice is a question whose options are counted.
type choice struct {
	question string
	options  map[string]Counter
}

// Prepare builds the look-up tables that Category, CountersOf and Counters use, and must be called before the event is
// shared between goroutines. Parse and Decode call it. An event that was never prepared answers the same, slowly. The
// error says what an unchecked event contradicts itself in.
func (e *Event) Prepare() error {
	e.index = nil
	x := buildIndex(e)
	if err := x.check(e); err != nil {
		return fmt.Errorf("event %q: %w", e.Slug, err)
	}
	e.index = x
	return nil
}

// Decode reads an event that was stored with json.Marshal and prepares it.
func Decode(data []byte) (*Event, error) {
	var e Event
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, fmt.Errorf("decode stored event: %w", err)
	}
	if err := e.Prepare(); err != nil {
		return nil, err
	}
	return &e, nil
}

func (e *Event) lookup() *index {
	if e.index != nil {
		return e.index
	}
	return buildIndex(e)
}

func buildIndex(e *Event) *index {
	x := &index{categories: make(map[string]int, len(e.Categories))}
	for i := range e.Categories {
		x.addCategory(e, i)
	}
	for i := range e.Questions {
		x.addChoice(&e.Questions[i])
	}
	x.limits = counterLimits(e)
	x.location, _ = time.LoadLocation(e.Timezone)
	return x
}

func (x *index) addCategory(e *Event, i int) {
	c := &e.Categories[i]
	x.categories[c.ID] = i
	var taken []Counter
	for j := range e.Quotas {
		if e.Quotas[j].Covers(c.ID) {
			taken = append(taken, QuotaCounter(e.Quotas[j].ID))
		}
	}
	x.quotas = append(x.quotas, append(taken, CategoryCounter(c.ID)))
	tiers := make([]Counter, len(c.Prices))
	for t := range tiers {
		tiers[t] = TierCounter(c.ID, t)
	}
	x.tiers = append(x.tiers, tiers)
}

func (x *index) addChoice(q *Question) {
	if q.Type != Choice {
		return
	}
	options := make(map[string]Counter, len(q.Options))
	for _, o := range q.Options {
		options[o.Value] = OptionCounter(q.ID, o.Value)
	}
	x.choices = append(x.choices, choice{question: q.ID, options: options})
}

func counterLimits(e *Event) []CounterLimit {
	var all []CounterLimit
	for _, q := range e.Quotas {
		all = append(all, CounterLimit{QuotaCounter(q.ID), q.Size})
	}
	for _, c := range e.Categories {
		all = append(all, CounterLimit{CategoryCounter(c.ID), Unlimited})
	}
	for _, q := range e.Questions {
		if q.Type != Choice {
			continue
		}
		for _, o := range q.Options {
			all = append(all, CounterLimit{OptionCounter(q.ID, o.Value), stockLimit(o.Stock)})
		}
	}
	for _, c := range e.Categories {
		for i, t := range c.Prices {
			all = append(all, CounterLimit{TierCounter(c.ID, i), tierLimit(t.First)})
		}
	}
	return all
}

func stockLimit(stock *int) int {
	if stock == nil {
		return Unlimited
	}
	return *stock
}

func tierLimit(first int) int {
	if first == 0 {
		return Unlimited
	}
	return first
}

// check finds what would make counters ambiguous or point nowhere.
func (x *index) check(e *Event) error {
	var problems []error
	seen := make(map[Counter]bool, len(x.limits))
	for _, l := range x.limits {
		if seen[l.Counter] {
			problems = append(problems, fmt.Errorf("%s exists twice", l.Counter))
		}
		seen[l.Counter] = true
	}
	for _, q := range e.Quotas {
		for _, c := range q.Categories {
			if _, ok := x.categories[c]; !ok {
				problems = append(problems, fmt.Errorf("quota %s covers category %q, which does not exist", q.ID, c))
			}
		}
	}
	return errors.Join(problems...)
}

// Covers reports whether participants of that category take from q.
func (q *Quota) Covers(categoryID string) bool {
	for _, c := range q.Categories {
		if c == categoryID {
			return true
		}
	}
	return false
}

// Sum adds up the counters of the categories that q covers. Every participant is in one category, so the sum is what counts
// against q, also when q did not exist or covered others while they registered.
func (q *Quota) Sum(of func(Counter) int) int {
	n := 0
	for _, id := range q.Categories {
		n += of(CategoryCounter(id))
	}
	return n
}

// Counters lists every counter of the event with its limit: quotas, categories, options, tiers, each in file order.
// The slice is shared: do not change it.
func (e *Event) Counters() []CounterLimit { return e.lookup().limits }

// CountersOf lists the counters that one participant takes from, each once, in the order of Counters: the quotas of the
// category, the category, the chosen options, the tier (none for -1). Options count by what was answered, whether or not
// the question is still asked of the category, so that a place is given back exactly as it was taken. It returns nil for
// a category that does not exist.
func (e *Event) CountersOf(categoryID string, answers map[string]string, tier int) []Counter {
	x := e.lookup()
	i, ok := x.categories[categoryID]
	if !ok {
		return nil
	}
	return x.appendCounters(make([]Counter, 0, len(x.quotas[i])+len(x.choices)+1), i, answers, tier)
}

// AppendCounters appends what CountersOf returns to dst; with enough capacity it allocates nothing.
func (e *Event) AppendCounters(dst []Counter, categoryID string, answers map[string]string, tier int) []Counter {
	x := e.lookup()
	i, ok := x.categories[categoryID]
	if !ok {
		return dst
	}
	return x.appendCounters(dst, i, answers, tier)
}

func (x *index) appendCounters(dst []Counter, category int, answers map[string]string, tier int) []Counter {
	dst = append(dst, x.quotas[category]...)
	for _, c := range x.choices {
		if counter, ok := c.options[answers[c.question]]; ok {
			dst = append(dst, counter)
		}
	}
	if tier >= 0 && tier < len(x.tiers[category]) {
		dst = append(dst, x.tiers[category][tier])
	}
	return dst
}

// TierCounter names the counter of a price tier without allocating.
func (e *Event) TierCounter(categoryID string, tier int) Counter {
	x := e.lookup()
	if i, ok := x.categories[categoryID]; ok && tier >= 0 && tier < len(x.tiers[i]) {
		return x.tiers[i][tier]
	}
	return TierCounter(categoryID, tier)
}

// QuotasOf lists the quota counters that a participant of the category takes from, in file order, without allocating.
// The slice is shared: do not change it.
func (e *Event) QuotasOf(categoryID string) []Counter {
	x := e.lookup()
	i, ok := x.categories[categoryID]
	if !ok {
		return nil
	}
	taken := x.quotas[i]
	return taken[: len(taken)-1 : len(taken)-1]
}

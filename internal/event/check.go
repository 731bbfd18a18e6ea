package event

import (
	"fmt"
	"slices"
	"time"
)

// check finds what the parts of an event contradict each other in. Values that could not be read are skipped: they
// already have their fault.
func (r *reader) check(e *Event) {
	r.checkTimes(e)
	known := r.checkCategories(e)
	r.checkQuotas(e, known)
	r.checkQuestions(e, known)
	r.checkUniqueBy(e)
	slices.SortStableFunc(e.Schedule, func(a, b Appearance) int { return a.At.Compare(b.At) })
}

func (r *reader) checkTimes(e *Event) {
	opens, closes := e.Rules.OpensAt, e.Rules.ClosesAt
	if set(opens, closes) && !opens.Before(closes) {
		r.fault("registration.closes_at", "must be after opens_at, which is %s", r.clock(opens))
	}
	if set(closes, e.StartsAt) && closes.After(e.StartsAt) {
		r.fault("registration.closes_at", "must not be after the start, which is %s", r.clock(e.StartsAt))
	}
}

func set(times ...time.Time) bool {
	return !slices.ContainsFunc(times, time.Time.IsZero)
}

func (r *reader) clock(t time.Time) string {
	if r.zone.loc == nil {
		return t.Format(localLayouts[0])
	}
	return r.zone.format(t)
}

// unique refuses ids that were already used in the same list.
func (r *reader) unique(seen map[string]string, value, path, what string) {
	if value == "" {
		return
	}
	if first, twice := seen[value]; twice {
		r.fault(path, "the %s %s is already used in line %d", what, quoted(value), lineOf(r.lines, first))
		return
	}
	seen[value] = path
}

// checkCategories returns the ids of the categories.
func (r *reader) checkCategories(e *Event) map[string]string {
	known := map[string]string{}
	if len(e.Categories) == 0 {
		r.fault("categories", "must name at least one category")
	}
	for i := range e.Categories {
		c := &e.Categories[i]
		path := fmt.Sprintf("categories[%d]", i)
		r.unique(known, c.ID, path+".id", "category id")
		if c.MaxAge > 0 && c.MinAge > c.MaxAge {
			r.fault(path+".max_age", "must not be below min_age, which is %d", c.MinAge)
		}
		r.checkTiers(e, c, path)
	}
	return known
}

func (r *reader) checkTiers(e *Event, c *Category, path string) {
	names := map[string]string{}
	for i := range c.Prices {
		t := &c.Prices[i]
		at := fmt.Sprintf("%s.prices[%d]", path, i)
		r.unique(names, t.Name, at+".name", "tier name")
		r.checkTierEnds(e, t, at)
		if i > 0 {
			r.checkTierOrder(&c.Prices[i-1], t, at)
		}
	}
}

func (r *reader) checkTierEnds(e *Event, t *Tier, at string) {
	if t.Until.IsZero() {
		if t.First == 0 && !r.bad[at+".until"] && !r.bad[at+".first"] {
			r.fault(at, "must end by first, by until or by both; otherwise the ordinary price would never apply")
		}
		return
	}
	if set(e.Rules.ClosesAt) && t.Until.After(e.Rules.ClosesAt) {
		r.fault(at+".until", "must not be after registration closes, which is %s", r.clock(e.Rules.ClosesAt))
	}
	if set(e.Rules.OpensAt) && !t.Until.After(e.Rules.OpensAt) {
		r.fault(at+".until", "must be after registration opens, which is %s; otherwise this price never applies", r.clock(e.Rules.OpensAt))
	}
}

// checkTierOrder refuses a tier that ends before the one above it: the first tier that applies wins, so either it never
// applies or the list is in the wrong order.
func (r *reader) checkTierOrder(above, t *Tier, at string) {
	if !set(above.Until, t.Until) {
		return
	}
	if t.Until.Before(above.Until) || t.Until.Equal(above.Until) && above.First == 0 {
		r.fault(at+".until", "must be after the until of the tier above, which is %s; the first tier that applies wins", r.clock(above.Until))
	}
}

// checkReferences refuses unknown and repeated category ids.
func (r *reader) checkReferences(ids []string, path string, known map[string]string) {
	seen := map[string]string{}
	for i, id := range ids {
		at := fmt.Sprintf("%s[%d]", path, i)
		if _, ok := known[id]; !ok && id != "" && !r.bad["categories"] {
			r.fault(at, "there is no category %s", quoted(id))
			continue
		}
		r.unique(seen, id, at, "category")
	}
}

func (r *reader) checkQuotas(e *Event, known map[string]string) {
	ids := map[string]string{}
	for i := range e.Quotas {
		q := &e.Quotas[i]
		path := fmt.Sprintf("quotas[%d]", i)
		r.unique(ids, q.ID, path+".id", "quota id")
		if len(q.Categories) == 0 {
			r.fault(path+".categories", "must name at least one category")
		}
		r.checkReferences(q.Categories, path+".categories", known)
	}
}

func (r *reader) checkQuestions(e *Event, known map[string]string) {
	ids := map[string]string{}
	for i := range e.Questions {
		q := &e.Questions[i]
		path := fmt.Sprintf("questions[%d]", i)
		r.unique(ids, q.ID, path+".id", "question id")
		r.checkReferences(q.Categories, path+".categories", known)
		r.checkOptions(q, path)
	}
}

func (r *reader) checkOptions(q *Question, path string) {
	if q.Type == Choice && len(q.Options) == 0 {
		r.fault(path+".options", "must offer at least one option, because the question is a choice")
	}
	if q.Type != Choice && q.Type != "" && len(q.Options) > 0 {
		r.fault(path+".options", "are only for questions of type choice; this one is of type %s", q.Type)
	}
	values := map[string]string{}
	for i, o := range q.Options {
		r.unique(values, o.Value, fmt.Sprintf("%s.options[%d].value", path, i), "option")
	}
}

func (r *reader) checkUniqueBy(e *Event) {
	seen := map[string]string{}
	for i, by := range e.Rules.UniqueBy {
		r.unique(seen, string(by), fmt.Sprintf("registration.unique_by[%d]", i), "property")
	}
}

// warnings tells what is allowed and yet probably a mistake.
func (r *reader) warnings(e *Event) []FileFault {
	var all []FileFault
	warn := func(path, format string, args ...any) {
		all = append(all, FileFault{Line: lineOf(r.lines, path), Path: path, Reason: fmt.Sprintf(format, args...)})
	}
	for i := range e.Categories {
		c := &e.Categories[i]
		path := fmt.Sprintf("categories[%d]", i)
		if len(e.QuotasOf(c.ID)) == 0 {
			warn(path, "no quota covers the category %s, so it sells without limit", quoted(c.ID))
		}
		for j, t := range c.Prices {
			if t.Price >= c.Price {
				warn(fmt.Sprintf("%s.prices[%d].price", path, j), "is not below the ordinary price %s", c.Price)
			}
		}
	}
	if len(e.Rules.UniqueBy) == 0 {
		warn("registration.unique_by", "is empty, so one person can register any number of times")
	}
	return all
}

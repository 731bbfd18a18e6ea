package event

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Compare says in words what the file changes about old, the event it replaces (nil for a new event), given what is sold,
// and refuses with a *FileError what would break a promise to someone who has a place: less of a quota, stock or early
// price than is sold, the removal of what was chosen, another meaning of a price tier, other rules of uniqueness. Without
// changes both results are nil.
//
// Quotas may begin or cease to cover a category that sold. Whoever stores the file must therefore set the counter of every
// quota to its Sum in the same transaction.
func (f *File) Compare(old *Event, sold Sold) (changes []string, err error) {
	if old == nil {
		return []string{"event " + f.Event.Slug + ": new"}, nil
	}
	c := &comparison{file: f, old: old, new: f.Event, sold: sold}
	c.identity()
	c.categories()
	c.quotas()
	c.questions()
	if len(c.faults) > 0 {
		slices.SortStableFunc(c.faults, func(a, b FileFault) int { return a.Line - b.Line })
		return nil, &FileError{Faults: c.faults}
	}
	return differences(old, f.Event), nil
}

// comparison collects what a new version of an event may not do.
type comparison struct {
	file     *File
	old, new *Event
	sold     Sold
	faults   []FileFault
}

func (c *comparison) fault(path, format string, args ...any) {
	c.faults = append(c.faults, FileFault{Line: c.file.Line(path), Path: path, Reason: fmt.Sprintf(format, args...)})
}

func (c *comparison) identity() {
	if c.new.Slug != c.old.Slug {
		c.fault("slug", "must stay %q: the slug is the event's address; apply another slug as a new event", c.old.Slug)
	} else if c.new.Code != c.old.Code {
		c.fault("code", "must stay %s, because order numbers begin with it; write code: %s", c.old.Code, c.old.Code)
	}
	if c.total() > 0 && !sameSet(c.old.Rules.UniqueBy, c.new.Rules.UniqueBy) {
		c.fault("registration.unique_by", "must stay [%s], because %s already registered under that rule",
			joined(c.old.Rules.UniqueBy), people(c.total()))
	}
}

func (c *comparison) total() int {
	n := 0
	for _, category := range c.old.Categories {
		n += c.sold[CategoryCounter(category.ID)]
	}
	return n
}

func sameSet[T comparable](a, b []T) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(v T) bool { return !slices.Contains(b, v) })
}

func (c *comparison) categories() {
	for i := range c.old.Categories {
		was := &c.old.Categories[i]
		at := slices.IndexFunc(c.new.Categories, func(n Category) bool { return n.ID == was.ID })
		if at >= 0 {
			c.tiers(was, &c.new.Categories[at], fmt.Sprintf("categories[%d].prices", at))
			continue
		}
		if n := c.sold[CategoryCounter(was.ID)]; n > 0 {
			c.fault("categories", "must keep the category %q, which %s entered", was.ID, people(n))
		}
	}
}

// tiers holds the tiers that sold in their places: a participant's tier is its index.
func (c *comparison) tiers(was, now *Category, path string) {
	for i := range was.Prices {
		n := c.sold[TierCounter(was.ID, i)]
		if n == 0 {
			continue
		}
		name := was.Prices[i].Name
		if i >= len(now.Prices) || !sameTier(was.Prices, now.Prices, i) {
			c.fault(path, "must keep the tier %q as number %d, because %s bought at it; add tiers below it and end it by until", name, i+1, people(n))
			continue
		}
		if first := now.Prices[i].First; first > 0 && first < n {
			c.fault(fmt.Sprintf("%s[%d].first", path, i), "must be at least %d, because that many are sold at the tier %q", n, name)
		}
	}
}

// sameTier reports whether tier i is still the same: it kept its name, or it was renamed at the same price to a name
// that no tier had.
func sameTier(was, now []Tier, i int) bool {
	if was[i].Name == now[i].Name {
		return true
	}
	named := func(tiers []Tier, name string) bool {
		return slices.ContainsFunc(tiers, func(t Tier) bool { return t.Name == name })
	}
	return was[i].Price == now[i].Price && !named(was, now[i].Name) && !named(now, was[i].Name)
}

func (c *comparison) quotas() {
	for i, q := range c.new.Quotas {
		if n := q.Sum(func(counter Counter) int { return c.sold[counter] }); n > q.Size {
			c.fault(fmt.Sprintf("quotas[%d].size", i), "must be at least %d, because that many are sold in its categories", n)
		}
	}
	for _, was := range c.old.Quotas {
		kept := slices.ContainsFunc(c.new.Quotas, func(q Quota) bool { return q.ID == was.ID })
		if n := c.sold[QuotaCounter(was.ID)]; n > 0 && !kept {
			c.fault("quotas", "must keep the quota %q, from which %s took a place; make it larger instead", was.ID, people(n))
		}
	}
}

func (c *comparison) questions() {
	for i := range c.old.Questions {
		was := &c.old.Questions[i]
		answered := c.answered(was)
		at := slices.IndexFunc(c.new.Questions, func(q Question) bool { return q.ID == was.ID })
		switch {
		case at < 0 && answered > 0:
			c.fault("questions", "must keep the question %q, which %s may have answered", was.ID, people(answered))
		case at >= 0 && answered > 0 && c.new.Questions[at].Type != was.Type:
			c.fault(fmt.Sprintf("questions[%d].type", at), "must stay %s, because %s may have answered", was.Type, people(answered))
		case at >= 0 && c.new.Questions[at].Type == Choice:
			c.options(was, &c.new.Questions[at], fmt.Sprintf("questions[%d].options", at))
		}
	}
}

// answered is how many live participants chose an option of q, or, where answers are not counted, were asked.
func (c *comparison) answered(q *Question) int {
	n := 0
	if q.Type == Choice {
		for _, o := range q.Options {
			n += c.sold[OptionCounter(q.ID, o.Value)]
		}
		return n
	}
	for _, category := range c.old.Categories {
		if q.Asks(category.ID) {
			n += c.sold[CategoryCounter(category.ID)]
		}
	}
	return n
}

func (c *comparison) options(was, now *Question, path string) {
	for _, o := range was.Options {
		n := c.sold[OptionCounter(was.ID, o.Value)]
		if n == 0 {
			continue
		}
		at := slices.IndexFunc(now.Options, func(x Option) bool { return x.Value == o.Value })
		switch {
		case at < 0:
			c.fault(path, "must keep the option %q, which %s chose", o.Value, people(n))
		case now.Options[at].Stock != nil && *now.Options[at].Stock < n:
			c.fault(fmt.Sprintf("%s[%d].stock", path, at), "must be at least %d, because that many chose %q", n, o.Value)
		}
	}
}

func people(n int) string {
	if n == 1 {
		return "1 participant"
	}
	return fmt.Sprintf("%d participants", n)
}

// differences lists what changed, in the order of the file: values by path, and the things of a list by their id.
func differences(old, now *Event) []string {
	d := &difference{}
	d.node("", tree(old), tree(now))
	return d.changes
}

type difference struct{ changes []string }

func (d *difference) say(format string, args ...any) {
	d.changes = append(d.changes, fmt.Sprintf(format, args...))
}

// node compares the values at one path; either may be nil.
func (d *difference) node(path string, was, now *yaml.Node) {
	switch {
	case was == nil && now == nil:
	case was == nil:
		d.say("%s: added%s", path, value(path, now))
	case now == nil:
		d.say("%s: removed%s", path, value(path, was))
	case was.Kind != now.Kind:
		d.say("%s: changed", path)
	case was.Kind == yaml.MappingNode:
		d.members(path, keyed(was), keyed(now), join)
	case was.Kind == yaml.SequenceNode:
		d.list(path, was, now)
	case was.Value != now.Value:
		d.scalar(path, was.Value, now.Value)
	}
}

func (d *difference) scalar(path, was, now string) {
	if len(was) > 60 || len(now) > 60 || strings.Contains(was+now, "\n") {
		d.say("%s: changed, %d characters before, %d now", path, len([]rune(was)), len([]rune(now)))
		return
	}
	d.say("%s: %s is now %s", path, was, now)
}

// value ends the sentence with a short value, unless the path already ends with it.
func value(path string, n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode || strings.HasSuffix(path, "["+n.Value+"]") || len(n.Value) > 60 || strings.Contains(n.Value, "\n") {
		return ""
	}
	return ", " + n.Value
}

// member is a value and the name by which the other version has it too.
type member struct {
	name string
	node *yaml.Node
}

func keyed(n *yaml.Node) []member {
	all := make([]member, 0, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		all = append(all, member{n.Content[i].Value, n.Content[i+1]})
	}
	return all
}

// members compares in the order of now; what only was had follows.
func (d *difference) members(path string, was, now []member, join func(path, name string) string) {
	for _, m := range now {
		d.node(join(path, m.name), find(was, m.name), m.node)
	}
	for _, m := range was {
		if find(now, m.name) == nil {
			d.node(join(path, m.name), m.node, nil)
		}
	}
}

func find(all []member, name string) *yaml.Node {
	for _, m := range all {
		if m.name == name {
			return m.node
		}
	}
	return nil
}

func (d *difference) list(path string, was, now *yaml.Node) {
	before, after := named(was), named(now)
	d.members(path, before, after, func(path, name string) string { return path + "[" + name + "]" })
	if kept := common(before, after); !slices.Equal(kept, common(after, before)) {
		d.say("%s: in another order", path)
	}
}

// common lists the names of a that b has, in the order of a.
func common(a, b []member) []string {
	var names []string
	for _, m := range a {
		if find(b, m.name) != nil {
			names = append(names, m.name)
		}
	}
	return names
}

// named names the items of a list by what identifies them: id, value, name, or time and text; a plain item by itself.
// Schedule lines may agree in all of that, so repeats are counted.
func named(n *yaml.Node) []member {
	all := make([]member, 0, len(n.Content))
	for _, item := range n.Content {
		name := identity(item)
		for i := 2; find(all, name) != nil; i++ {
			name = fmt.Sprintf("%s #%d", identity(item), i)
		}
		all = append(all, member{name, item})
	}
	return all
}

func identity(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode {
		return n.Value
	}
	keys := keyed(n)
	for _, key := range []string{"id", "value", "name", "at"} {
		if v := find(keys, key); v != nil {
			return v.Value
		}
	}
	return ""
}

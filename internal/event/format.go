package event

import (
	"bytes"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Format writes a checked event as an event file in YAML that Parse reads back as the same event. It shows what every
// default became.
func Format(e *Event) ([]byte, error) {
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(tree(e)); err != nil {
		return nil, err
	}
	if err := encoder.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// tree is the event as the nodes of its file.
func tree(e *Event) *yaml.Node {
	z := zone{e.Location()}
	root := mapping()
	add(root, "slug", word(e.Slug))
	add(root, "code", word(e.Code))
	add(root, "name", textNode(e.Name))
	addText(root, "description", e.Description)
	add(root, "timezone", word(e.Timezone))
	add(root, "starts_at", plain(z.format(e.StartsAt)))
	add(root, "venue", venueNode(e.Venue))
	add(root, "registration", rulesNode(e.Rules, z))
	add(root, "categories", sequence(e.Categories, func(c Category) *yaml.Node { return categoryNode(c, z) }))
	addList(root, "quotas", sequence(e.Quotas, quotaNode))
	addList(root, "questions", sequence(e.Questions, questionNode))
	add(root, "waiting_room", flow(waitingRoomNode(e.WaitingRoom)))
	addList(root, "schedule", sequence(e.Schedule, func(a Appearance) *yaml.Node { return appearanceNode(a, z) }))
	if e.Tax != (Tax{}) {
		add(root, "tax", flow(taxNode(e.Tax)))
	}
	if e.Organiser != (Organiser{}) {
		add(root, "organiser", organiserNode(e.Organiser))
	}
	return root
}

func venueNode(v Venue) *yaml.Node {
	n := mapping()
	add(n, "name", word(v.Name))
	addWord(n, "city", v.City)
	return n
}

func rulesNode(r Rules, z zone) *yaml.Node {
	n := mapping()
	add(n, "opens_at", plain(z.format(r.OpensAt)))
	add(n, "closes_at", plain(z.format(r.ClosesAt)))
	add(n, "hold", plain(span(r.Hold)))
	add(n, "max_participants", integer(int64(r.MaxParticipants)))
	add(n, "unique_by", flow(sequence(r.UniqueBy, func(by UniqueBy) *yaml.Node { return word(string(by)) })))
	return n
}

func categoryNode(c Category, z zone) *yaml.Node {
	n := mapping()
	add(n, "id", word(c.ID))
	add(n, "name", textNode(c.Name))
	addInt(n, "distance_m", c.DistanceM)
	add(n, "price", integer(int64(c.Price)))
	addList(n, "prices", sequence(c.Prices, func(t Tier) *yaml.Node { return tierNode(t, z) }))
	addInt(n, "min_age", c.MinAge)
	addInt(n, "max_age", c.MaxAge)
	return n
}

func tierNode(t Tier, z zone) *yaml.Node {
	n := mapping()
	add(n, "name", word(t.Name))
	add(n, "price", integer(int64(t.Price)))
	addInt(n, "first", t.First)
	if !t.Until.IsZero() {
		add(n, "until", plain(z.format(t.Until)))
	}
	return flow(n)
}

func quotaNode(q Quota) *yaml.Node {
	n := mapping()
	add(n, "id", word(q.ID))
	add(n, "size", integer(int64(q.Size)))
	add(n, "categories", sequence(q.Categories, word))
	return flow(n)
}

func questionNode(q Question) *yaml.Node {
	n := mapping()
	add(n, "id", word(q.ID))
	add(n, "type", word(string(q.Type)))
	add(n, "required", boolean(q.Required))
	add(n, "label", textNode(q.Label))
	addText(n, "help", q.Help)
	addList(n, "options", sequence(q.Options, optionNode))
	addList(n, "categories", flow(sequence(q.Categories, word)))
	return n
}

func optionNode(o Option) *yaml.Node {
	n := mapping()
	add(n, "value", word(o.Value))
	if o.Label != (Text{ID: o.Value, EN: o.Value}) {
		add(n, "label", textNode(o.Label))
	}
	if o.Stock != nil {
		add(n, "stock", integer(int64(*o.Stock)))
	}
	return flow(n)
}

func waitingRoomNode(w WaitingRoom) *yaml.Node {
	n := mapping()
	add(n, "enabled", boolean(w.Enabled))
	add(n, "pre_queue", word(string(w.PreQueue)))
	addWord(n, "person", string(w.Person))
	return n
}

func appearanceNode(a Appearance, z zone) *yaml.Node {
	n := mapping()
	add(n, "at", plain(z.format(a.At)))
	add(n, "what", textNode(a.What))
	addWord(n, "where", a.Where)
	return n
}

func taxNode(t Tax) *yaml.Node {
	n := mapping()
	add(n, "name", word(t.Name))
	add(n, "percent", plain(percentText(t.BasisPoints)))
	return n
}

func percentText(points int) string {
	s := strconv.Itoa(points / 100)
	if points%100 == 0 {
		return s
	}
	return s + "." + strconv.Itoa(points%100/10) + strconv.Itoa(points%10)
}

func organiserNode(o Organiser) *yaml.Node {
	n := mapping()
	add(n, "name", word(o.Name))
	addWord(n, "email", o.Email)
	addWord(n, "address", o.Address)
	addWord(n, "npwp", o.NPWP)
	return n
}

func textNode(t Text) *yaml.Node {
	if t.ID == t.EN {
		return word(t.ID)
	}
	n := mapping()
	add(n, "id", word(t.ID))
	add(n, "en", word(t.EN))
	return n
}

func mapping() *yaml.Node { return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"} }

func sequence[T any](items []T, node func(T) *yaml.Node) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	for _, item := range items {
		n.Content = append(n.Content, node(item))
	}
	return n
}

// flow puts a short value on one line.
func flow(n *yaml.Node) *yaml.Node {
	n.Style = yaml.FlowStyle
	return n
}

// word is a text; paragraphs become a block, whatever a reader could take for a number or a date gets quotes.
func word(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	if strings.ContainsAny(s, "\t\u0085\u00a0\ufeff") || strings.Contains(s, " \n") || strings.Contains(s, "\n ") {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// plain is a time, a span or a decimal, which are read as written.
func plain(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: s} }

func integer(v int64) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.FormatInt(v, 10)}
}

func boolean(v bool) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(v)}
}

func add(n *yaml.Node, key string, value *yaml.Node) {
	n.Content = append(n.Content, plain(key), value)
}

func addWord(n *yaml.Node, key, value string) {
	if value != "" {
		add(n, key, word(value))
	}
}

func addText(n *yaml.Node, key string, value Text) {
	if value != (Text{}) {
		add(n, key, textNode(value))
	}
}

func addInt(n *yaml.Node, key string, value int) {
	if value != 0 {
		add(n, key, integer(int64(value)))
	}
}

func addList(n *yaml.Node, key string, value *yaml.Node) {
	if len(value.Content) > 0 {
		add(n, key, value)
	}
}

package event

import (
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"gapura/internal/person"
)

// The most of each thing that an event may have. They bound what a page shows and what a transaction locks.
const (
	maxCategories = 100
	maxQuotas     = 200
	maxTiers      = 20
	maxQuestions  = 50
	maxOptions    = 200
	maxSchedule   = 500

	maxIDLength     = 40
	maxSlugLength   = 60
	maxNameLength   = 200
	maxLabelLength  = 300
	maxHelpLength   = 1000
	maxOptionLength = 100
	maxDescription  = 20_000
	maxPlaces       = 10_000_000
)

const (
	defaultHold = 30 * time.Minute
	minHold     = time.Minute
	maxHold     = 7 * 24 * time.Hour

	defaultParticipants = 5
	maxParticipants     = 50
)

// event reads the whole file.
func (r *reader) event(f *File, n *yaml.Node) {
	e := f.Event
	*e = Event{
		Rules:       Rules{Hold: defaultHold, MaxParticipants: defaultParticipants, UniqueBy: []UniqueBy{UniqueByEmail}},
		WaitingRoom: WaitingRoom{PreQueue: Draw},
	}
	r.readZoneFirst(n)
	r.object(n, "",
		must("slug", r.idValue(&e.Slug, maxSlugLength)),
		may("code", r.code(&e.Code)),
		must("name", r.text(&e.Name, maxNameLength, false)),
		may("description", r.text(&e.Description, maxDescription, true)),
		must("timezone", r.timezone(&e.Timezone)),
		must("starts_at", r.instant(&e.StartsAt)),
		must("venue", func(n *yaml.Node, path string) {
			r.object(n, path, must("name", r.line(&e.Venue.Name, maxNameLength)), may("city", r.line(&e.Venue.City, maxNameLength)))
		}),
		must("registration", func(n *yaml.Node, path string) { r.rules(&e.Rules, n, path) }),
		must("categories", list(r, &e.Categories, maxCategories, r.category)),
		may("quotas", list(r, &e.Quotas, maxQuotas, r.quota)),
		may("questions", list(r, &e.Questions, maxQuestions, r.question)),
		may("waiting_room", func(n *yaml.Node, path string) {
			r.object(n, path, may("enabled", r.flag(&e.WaitingRoom.Enabled)), may("pre_queue", oneOf(r, &e.WaitingRoom.PreQueue, Draw, FIFO)),
				may("person", r.confirmation(&e.WaitingRoom.Person)))
		}),
		may("schedule", list(r, &e.Schedule, maxSchedule, r.appearance)),
		may("tax", func(n *yaml.Node, path string) { r.tax(&e.Tax, n, path) }),
		may("organiser", func(n *yaml.Node, path string) { r.organiser(&e.Organiser, n, path) }),
	)
	if e.Code == "" {
		e.Code = defaultCode(e.Slug)
	}
}

// readZoneFirst finds the zone before any time is read, wherever in the file it stands.
func (r *reader) readZoneFirst(n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == "timezone" && n.Content[i+1].Kind == yaml.ScalarNode {
			if loc, ok := loadZone(n.Content[i+1].Value); ok {
				r.zone = zone{loc}
			}
			return
		}
	}
}

// confirmation names what is missing for phones: the word is in the contract, and a general refusal would look like a mistake.
func (r *reader) confirmation(to *Confirmation) read {
	return func(n *yaml.Node, path string) {
		if n.Kind == yaml.ScalarNode && Confirmation(n.Value) == confirmPhone {
			r.fault(path, "cannot be phone: a code would have to go out by SMS or WhatsApp, and no such channel is built in; use email")
			return
		}
		oneOf(r, to, ConfirmEmail)(n, path)
	}
}

func (r *reader) rules(to *Rules, n *yaml.Node, path string) {
	r.object(n, path,
		must("opens_at", r.instant(&to.OpensAt)),
		must("closes_at", r.instant(&to.ClosesAt)),
		may("hold", r.duration(&to.Hold, minHold, maxHold)),
		may("max_participants", r.number(&to.MaxParticipants, 1, maxParticipants)),
		may("unique_by", list(r, &to.UniqueBy, 2, func(to *UniqueBy, n *yaml.Node, path string) {
			oneOf(r, to, UniqueByEmail, UniqueByPhone)(n, path)
		})),
	)
}

func (r *reader) category(to *Category, n *yaml.Node, path string) {
	r.object(n, path,
		must("id", r.idValue(&to.ID, maxIDLength)),
		must("name", r.text(&to.Name, maxNameLength, false)),
		may("distance_m", r.number(&to.DistanceM, 0, 10_000_000)),
		must("price", r.rupiah(&to.Price)),
		may("prices", list(r, &to.Prices, maxTiers, r.tier)),
		may("min_age", r.number(&to.MinAge, 0, 120)),
		may("max_age", r.number(&to.MaxAge, 0, 120)),
	)
}

func (r *reader) tier(to *Tier, n *yaml.Node, path string) {
	r.object(n, path,
		must("name", r.line(&to.Name, maxNameLength)),
		must("price", r.rupiah(&to.Price)),
		may("first", r.number(&to.First, 1, maxPlaces)),
		may("until", r.instant(&to.Until)),
	)
}

func (r *reader) quota(to *Quota, n *yaml.Node, path string) {
	r.object(n, path,
		must("id", r.idValue(&to.ID, maxIDLength)),
		must("size", r.number(&to.Size, 0, maxPlaces)),
		must("categories", r.categoryIDs(&to.Categories)),
	)
}

func (r *reader) categoryIDs(dst *[]string) read {
	return list(r, dst, maxCategories, func(to *string, n *yaml.Node, path string) {
		r.idValue(to, maxIDLength)(n, path)
	})
}

func (r *reader) question(to *Question, n *yaml.Node, path string) {
	r.object(n, path,
		must("id", r.idValue(&to.ID, maxIDLength)),
		must("type", oneOf(r, &to.Type, Choice, FreeText, Checkbox)),
		may("required", r.flag(&to.Required)),
		must("label", r.text(&to.Label, maxLabelLength, false)),
		may("help", r.text(&to.Help, maxHelpLength, true)),
		may("options", list(r, &to.Options, maxOptions, r.option)),
		may("categories", r.categoryIDs(&to.Categories)),
	)
}

func (r *reader) option(to *Option, n *yaml.Node, path string) {
	r.object(n, path,
		must("value", r.line(&to.Value, maxOptionLength)),
		may("label", r.text(&to.Label, maxLabelLength, false)),
		may("stock", func(n *yaml.Node, path string) {
			to.Stock = new(int)
			r.number(to.Stock, 0, maxPlaces)(n, path)
		}),
	)
	if to.Label.ID == "" {
		to.Label = Text{ID: to.Value, EN: to.Value}
	}
}

func (r *reader) appearance(to *Appearance, n *yaml.Node, path string) {
	r.object(n, path,
		must("at", r.instant(&to.At)),
		must("what", r.text(&to.What, maxLabelLength, false)),
		may("where", r.line(&to.Where, maxNameLength)),
	)
}

func (r *reader) tax(to *Tax, n *yaml.Node, path string) {
	inclusive := true
	r.object(n, path,
		must("name", r.line(&to.Name, maxIDLength)),
		must("percent", r.percent(&to.BasisPoints)),
		may("inclusive", r.flag(&inclusive)),
	)
	if !inclusive {
		r.fault(join(path, "inclusive"), "must be true: a price is what people pay, tax included")
	}
}

func (r *reader) organiser(to *Organiser, n *yaml.Node, path string) {
	r.object(n, path,
		must("name", r.line(&to.Name, maxNameLength)),
		may("email", r.email(&to.Email)),
		may("address", r.line(&to.Address, 500)),
		may("npwp", r.npwp(&to.NPWP)),
	)
}

func (r *reader) email(dst *string) read {
	return func(n *yaml.Node, path string) {
		s, ok := r.scalar(n, path, "an e-mail address")
		if !ok {
			return
		}
		if *dst, ok = person.Email(s); !ok {
			r.fault(path, "must be an e-mail address; it is %s", quoted(s))
		}
	}
}

// npwp reads an Indonesian tax number: 15 digits, or 16 since 2024, with the dots and dashes people write.
func (r *reader) npwp(dst *string) read {
	return func(n *yaml.Node, path string) {
		s, ok := r.scalar(n, path, "a tax number")
		if !ok {
			return
		}
		digits := strings.NewReplacer(".", "", "-", "", " ", "").Replace(s)
		if !isNumeral(digits) || len(digits) != 15 && len(digits) != 16 {
			r.fault(path, "must be a tax number of 15 or 16 digits; it is %s", quoted(s))
			return
		}
		*dst = digits
	}
}

// code reads the prefix of order numbers.
func (r *reader) code(dst *string) read {
	return func(n *yaml.Node, path string) {
		s, ok := r.scalar(n, path, "a code")
		if !ok {
			return
		}
		if len(s) < 2 || len(s) > 10 || strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
			r.fault(path, "must be 2 to 10 capital letters and digits, such as GNR27; it is %s", quoted(s))
			return
		}
		*dst = s
	}
}

// defaultCode shortens a slug to the prefix of its order numbers: the initials of the words and the last two digits of
// a year, so gapura-night-run-2027 becomes GNR27. A single word gives its first three letters. It depends on the slug
// alone, so that moving the race to another year does not change numbers that people already have.
func defaultCode(slug string) string {
	var initials, year string
	words := strings.Split(slug, "-")
	for _, w := range words {
		if len(w) == 4 && isNumeral(w) && (w[:2] == "19" || w[:2] == "20") {
			year = w[2:]
		} else if w != "" && len(initials) < 8 {
			initials += w[:1]
		}
	}
	if len(initials) < 2 {
		initials = words[0][:min(3, len(words[0]))]
	}
	if len(initials+year) < 2 {
		initials += "X" // a slug of one letter
	}
	return strings.ToUpper(initials + year)
}

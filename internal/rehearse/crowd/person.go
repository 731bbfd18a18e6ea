package crowd

import (
	"encoding/json"
	"strconv"
	"time"
)

// People makes the synthetic people of one run and the requests they send. The same number is always the same person, so
// that a repeat has the same bytes as the request it repeats. It is safe for concurrent use.
type People struct {
	event   *Event
	crowd   *Crowd
	run     string // 8 letters or digits: sets the keys and addresses of this run apart from those of others
	phone   uint64
	born    []int        // by category: the first birth year that is admitted
	years   []int        // by category: how many birth years are
	answers [][]answerer // by category
}

// answerer writes one member of "answers".
type answerer struct {
	prefix  []byte   // "id":
	choices [][]byte // JSON strings
}

// NewPeople returns the people of the run with that seed.
func NewPeople(event *Event, c *Crowd, seed uint64) *People {
	p := &People{event: event, crowd: c, run: runName(seed), phone: seed % phoneRange}
	for i := range event.Categories {
		p.addCategory(&event.Categories[i])
	}
	return p
}

// runName returns 8 letters and digits that depend on the whole seed.
func runName(seed uint64) string {
	mixed := seed * 0x9e3779b97f4a7c15
	s := strconv.FormatUint(mixed>>23|1<<40, 36)
	return s[len(s)-8:]
}

// Run returns the name of the run, which begins every key and e-mail address.
func (p *People) Run() string { return p.run }

// The ages of the synthetic people, years on the day of the race.
const youngest, oldest = 18, 60

func (p *People) addCategory(c *Category) {
	low, high := youngest, oldest
	if c.MinAge > low || c.MaxAge != 0 && c.MaxAge < low {
		low = c.MinAge
	}
	if c.MaxAge != 0 && c.MaxAge < high {
		high = c.MaxAge
	}
	low, high = max(low, 1), max(high, low)
	starts := p.event.StartsAt
	if starts.IsZero() {
		starts = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	// Birthdays are in January, so whoever was born in year y is StartsAt.Year()-y on the day of the race unless that day is
	// in January too: one year off both ends keeps clear of that.
	if high-low >= 2 {
		low++
	}
	born, years := starts.Year()-high, max(high-low, 1)
	if today := p.event.Today; !today.IsZero() {
		// Of a race decades ahead some runners are not born yet. Nobody is born this year, so that no birthday is still to come.
		last := today.Year() - 1
		born = min(born, last)
		years = min(years, last-born+1)
	}
	p.born = append(p.born, born)
	p.years = append(p.years, years)
	p.answers = append(p.answers, answerersFor(p.event, c.ID))
}

func answerersFor(event *Event, category string) []answerer {
	var out []answerer
	for i := range event.Questions {
		q := &event.Questions[i]
		if !q.asks(category) || !q.Required && q.Type != "choice" {
			continue
		}
		a := answerer{prefix: append(quoted(q.ID), ':')}
		switch q.Type {
		case "choice":
			for _, o := range q.Options {
				a.choices = append(a.choices, quoted(o))
			}
		case "checkbox":
			a.choices = [][]byte{[]byte(`"true"`)}
		default:
			a.choices = [][]byte{[]byte(`"Bandung"`)}
		}
		if len(a.choices) > 0 {
			out = append(out, a)
		}
	}
	return out
}

func quoted(s string) []byte {
	b, _ := json.Marshal(s) // a string always has a JSON form
	return b
}

// AppendKey appends the idempotency key of an order. It has 21 characters: a server shows the people in an order only to a
// key of 20 or more, because a shorter one can be guessed.
func (p *People) AppendKey(b []byte, order int32) []byte {
	b = append(b, p.run...)
	b = append(b, '-')
	return appendPadded(b, uint64(order), 12) //nolint:gosec // people and orders are numbered from 0
}

// Key returns the idempotency key of an order.
func (p *People) Key(order int32) string { return string(p.AppendKey(nil, order)) }

// AppendBody appends the JSON body of an order.
func (p *People) AppendBody(b []byte, order int32) []byte {
	o := &p.crowd.Orders[order]
	b = append(b, `{"contact":{"name":"`...)
	b = p.appendName(b, o.Person)
	b = append(b, `","email":"`...)
	b = p.AppendContact(b, order)
	b = append(b, `","phone":"`...)
	b = p.appendPhone(b, o.Person)
	b = append(b, `"},"participants":[`...)
	for i := range o.Size {
		if i > 0 {
			b = append(b, ',')
		}
		b = p.appendParticipant(b, o.Person+i, int(o.Categories[i]))
	}
	return append(b, `],"locale":"id"}`...)
}

func (p *People) appendParticipant(b []byte, person, category int) []byte {
	b = append(b, `{"category":"`...)
	b = append(b, p.event.Categories[category].ID...) // ids are letters, digits and dashes
	b = append(b, `","name":"`...)
	b = p.appendName(b, person)
	b = append(b, `","email":"`...)
	b = p.appendEmail(b, person)
	b = append(b, `","phone":"`...)
	b = p.appendPhone(b, person)
	b = append(b, `","birth_date":"`...)
	b = p.appendBirthDate(b, person, category)
	if person%2 == 0 {
		b = append(b, `","gender":"female"`...)
	} else {
		b = append(b, `","gender":"male"`...)
	}
	return append(p.appendAnswers(b, person, category), '}')
}

func (p *People) appendAnswers(b []byte, person, category int) []byte {
	answers := p.answers[category]
	if len(answers) == 0 {
		return b
	}
	b = append(b, `,"answers":{`...)
	for i, a := range answers {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, a.prefix...)
		b = append(b, a.choices[scatter(person, i)%uint64(len(a.choices))]...)
	}
	return append(b, '}')
}

var (
	firstNames = [...]string{
		"Siti", "Budi", "Dewi", "Agus", "Putri", "Rizky", "Ayu", "Dimas", "Nur", "Eko", "Rina", "Fajar",
		"Indah", "Yusuf", "Maya", "Bayu", "Lestari", "Hendra", "Wulan", "Arif", "Ratna", "Joko", "Citra", "Galih", "Intan", "Reza",
		"Kartika", "Teguh", "Sari", "Andi", "Melati", "Made",
	}
	lastNames = [...]string{
		"Aminah", "Santoso", "Lestari", "Wijaya", "Rahayu", "Pratama", "Kusuma", "Hidayat", "Nugroho",
		"Saputra", "Handayani", "Setiawan", "Maharani", "Siregar", "Nasution", "Simanjuntak", "Wibowo", "Permata", "Gunawan",
		"Suryani", "Halim", "Hartono", "Puspita", "Ramadhan", "Utami", "Firmansyah", "Anggraini", "Purnama", "Susanti", "Mahendra",
		"Safitri", "Yulianto",
	}
	syllables = [...]string{
		"ba", "da", "ga", "ja", "ka", "la", "ma", "na", "pa", "ra", "sa", "ta", "wa", "ya", "bi", "di", "gi",
		"ji", "ki", "li", "mi", "ni", "pi", "ri", "si", "ti", "wi", "yu", "bu", "du", "gu", "ku",
	}
)

// appendName appends a name that no other person of the run has: its last word spells the person's number.
func (p *People) appendName(b []byte, person int) []byte {
	n := scatter(person, 101)
	b = append(b, firstNames[n%32]...)
	b = append(b, ' ')
	b = append(b, lastNames[n/32%32]...)
	b = append(b, ' ')
	start := len(b)
	for v := person; ; v /= 32 {
		b = append(b, syllables[v%32]...)
		if v < 32 {
			break
		}
	}
	b[start] -= 'a' - 'A'
	return b
}

// appendEmail appends an address under example.id, which no one can receive.
func (p *People) appendEmail(b []byte, person int) []byte { return p.appendAlias(b, person, 0) }

// AppendContact appends the e-mail address of an order's contact.
func (p *People) AppendContact(b []byte, order int32) []byte {
	o := &p.crowd.Orders[order]
	return p.appendAlias(b, o.Mailbox, o.Alias)
}

func (p *People) appendAlias(b []byte, person, alias int) []byte {
	b = append(b, p.run...)
	b = append(b, '.')
	b = strconv.AppendUint(b, uint64(person), 10) //nolint:gosec // people and orders are numbered from 0
	if alias > 0 {
		b = strconv.AppendInt(append(b, '+'), int64(alias), 10)
	}
	return append(b, "@example.id"...)
}

// phoneRange is how many numbers begin with +6281 and have ten more digits.
const phoneRange = 10_000_000_000

func (p *People) appendPhone(b []byte, person int) []byte {
	b = append(b, "+6281"...)
	return appendPadded(b, (p.phone+uint64(person))%phoneRange, 10) //nolint:gosec // people and orders are numbered from 0
}

func (p *People) appendBirthDate(b []byte, person, category int) []byte {
	year := p.born[category] + int(scatter(person, 7)%uint64(p.years[category])) //nolint:gosec // a category spans some years of birth
	b = strconv.AppendInt(b, int64(year), 10)
	b = append(b, "-01-"...)
	return appendPadded(b, 2+scatter(person, 8)%27, 2)
}

// AppendAddress appends a private IPv4 address that is the order's own, as a proxy would report it.
func (p *People) AppendAddress(b []byte, order int32) []byte {
	n := uint64(p.crowd.Orders[order].Person) + p.phone //nolint:gosec // people and orders are numbered from 0
	b = append(b, "10."...)
	b = strconv.AppendUint(b, n>>16&0xff, 10)
	b = append(b, '.')
	b = strconv.AppendUint(b, n>>8&0xff, 10)
	b = append(b, '.')
	return strconv.AppendUint(b, n&0xff, 10)
}

// scatter turns a person's number and a salt into a number that looks random.
func scatter(person, salt int) uint64 {
	x := uint64(person)*0x9e3779b97f4a7c15 + uint64(salt)*0xbf58476d1ce4e5b9 //nolint:gosec // people and orders are numbered from 0
	x ^= x >> 31
	x *= 0x94d049bb133111eb
	return x ^ x>>29
}

func appendPadded(b []byte, v uint64, digits int) []byte {
	start := len(b)
	for range digits {
		b = append(b, '0')
	}
	for i := len(b) - 1; i >= start && v > 0; i-- {
		b[i] = byte('0' + v%10)
		v /= 10
	}
	return b
}

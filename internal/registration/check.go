package registration

import (
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"gapura/internal/event"
	"gapura/internal/fault"
	"gapura/internal/money"
	"gapura/internal/person"
)

// Submission is a request that was checked and waits to be decided.
type Submission struct {
	Key           Key
	Fingerprint   Fingerprint
	Contact       Contact
	Locale        string
	Participants  []Participant // tier and price are decided later, under the lock
	Claims        [][]Claim     // of each participant
	ExpectedTotal *money.Rupiah

	// Invalid is set when the event changed after the check and the request does not fit it any more.
	Invalid *fault.Fault
}

// maxFreeText bounds the answer to a free question, in characters.
const maxFreeText = 500

// checker collects every fault of a request at once, so that nobody has to send a form five times.
type checker struct {
	event  *event.Event
	now    time.Time
	race   time.Time // the race's day where it is run, for ages
	faults []fault.Field
}

// check turns a request into a submission, or returns a validation_failed fault that names every faulty input.
func check(now time.Time, e *event.Event, eventID int64, secrets Secrets, r *Request) (*Submission, *fault.Fault) {
	c := checker{event: e, now: now, race: e.StartsAt.In(e.Location())}
	s := &Submission{
		Contact:       c.contact(&r.Contact),
		Locale:        c.locale(r.Locale),
		ExpectedTotal: r.ExpectedTotal,
	}
	if c.count(len(r.Participants)) {
		s.Participants = make([]Participant, len(r.Participants))
		s.Claims = make([][]Claim, len(r.Participants))
		for i := range r.Participants {
			s.Participants[i] = c.participant(i, &r.Participants[i])
			s.Claims[i] = secrets.ClaimsOf(eventID, e.Rules.UniqueBy, &s.Participants[i])
		}
		c.distinct(s.Claims)
	}
	if len(c.faults) > 0 {
		return nil, &fault.Fault{Code: fault.ValidationFailed, Fields: c.faults}
	}
	return s, nil
}

func (c *checker) fail(pointer, code string, params map[string]any) {
	c.faults = append(c.faults, fault.Field{Pointer: pointer, Code: code, Params: params})
}

func (c *checker) locale(given string) string {
	switch given {
	case "":
		return "id"
	case "id", "en":
		return given
	}
	c.fail("/locale", "unknown_option", map[string]any{"allowed": []string{"id", "en"}})
	return ""
}

func (c *checker) contact(in *ContactInput) Contact {
	return Contact{
		Name:  c.name("/contact/name", in.Name),
		Email: c.email("/contact/email", in.Email, true),
		Phone: c.phone("/contact/phone", in.Phone, true),
	}
}

func (c *checker) count(n int) bool {
	limit := c.event.Rules.MaxParticipants
	switch {
	case n == 0:
		c.fail("/participants", "required", nil)
	case n > limit:
		c.fail("/participants", "too_many_participants", map[string]any{"max": limit})
	default:
		return true
	}
	return false
}

func (c *checker) participant(i int, in *ParticipantInput) Participant {
	at := "/participants/" + strconv.Itoa(i)
	p := Participant{
		Position:  i + 1,
		Category:  in.Category,
		Name:      c.name(at+"/name", in.Name),
		Email:     c.email(at+"/email", in.Email, c.uniqueBy(event.UniqueByEmail)),
		Phone:     c.phone(at+"/phone", in.Phone, c.uniqueBy(event.UniqueByPhone)),
		BirthDate: in.BirthDate,
		Gender:    c.gender(at+"/gender", in.Gender),
	}
	category, known := c.event.Category(in.Category)
	if !known {
		c.unknownCategory(at+"/category", in.Category)
	}
	c.birthDate(at+"/birth_date", in.BirthDate, category)
	p.Answers = c.answers(at+"/answers", in.Category, in.Answers)
	return p
}

func (c *checker) unknownCategory(pointer, given string) {
	if given == "" {
		c.fail(pointer, "required", nil)
		return
	}
	c.fail(pointer, "unknown_category", nil)
}

func (c *checker) uniqueBy(property event.UniqueBy) bool {
	for _, by := range c.event.Rules.UniqueBy {
		if by == property {
			return true
		}
	}
	return false
}

func (c *checker) name(pointer, given string) string {
	clean, problem := person.Name(given)
	if problem != "" {
		c.fail(pointer, problem, map[string]any{"max": person.MaxNameLength})
	}
	return clean
}

func (c *checker) email(pointer, given string, required bool) string {
	if given == "" {
		return c.absent(pointer, required)
	}
	clean, ok := person.Email(given)
	if !ok {
		c.fail(pointer, "email_invalid", nil)
	}
	return clean
}

func (c *checker) phone(pointer, given string, required bool) string {
	if given == "" {
		return c.absent(pointer, required)
	}
	clean, ok := person.Phone(given)
	if !ok {
		c.fail(pointer, "phone_invalid", nil)
	}
	return clean
}

func (c *checker) absent(pointer string, required bool) string {
	if required {
		c.fail(pointer, "required", nil)
	}
	return ""
}

func (c *checker) gender(pointer, given string) string {
	switch given {
	case "female", "male":
		return given
	case "":
		c.fail(pointer, "required", nil)
	default:
		c.fail(pointer, "unknown_option", map[string]any{"allowed": []string{"female", "male"}})
	}
	return ""
}

func (c *checker) birthDate(pointer, given string, category *event.Category) {
	problem := person.BirthDate(given, c.now)
	if problem != "" {
		c.fail(pointer, problem, nil)
		return
	}
	if category == nil {
		return
	}
	age := person.AgeOn(given, c.race)
	if category.MinAge > 0 && age < category.MinAge {
		c.fail(pointer, "too_young", map[string]any{"min_age": category.MinAge})
	}
	if category.MaxAge > 0 && age > category.MaxAge {
		c.fail(pointer, "too_old", map[string]any{"max_age": category.MaxAge})
	}
}

// answers keeps the answers to the questions that the category asks; an answer to a question that is not asked is a fault,
// because it would be lost silently.
func (c *checker) answers(at, category string, given map[string]string) map[string]string {
	var kept map[string]string
	asked := 0
	for i := range c.event.Questions {
		q := &c.event.Questions[i]
		if !q.Asks(category) {
			continue
		}
		value, answered := given[q.ID]
		if answered {
			asked++
		}
		if value = c.answer(at+"/"+q.ID, q, value); value != "" {
			if kept == nil {
				kept = make(map[string]string, len(given))
			}
			kept[q.ID] = value
		}
	}
	if asked != len(given) {
		c.strayAnswers(at, category, given)
	}
	return kept
}

func (c *checker) strayAnswers(at, category string, given map[string]string) {
	known := map[string]bool{}
	for i := range c.event.Questions {
		known[c.event.Questions[i].ID] = c.event.Questions[i].Asks(category)
	}
	for question := range given {
		if !known[question] {
			c.fail(at, "unknown_question", nil)
			return
		}
	}
}

func (c *checker) answer(pointer string, q *event.Question, value string) string {
	if value == "" || (q.Type == event.Checkbox && value == "false") {
		if q.Required {
			c.fail(pointer, "required", nil)
		}
		return ""
	}
	switch q.Type {
	case event.Choice:
		for i := range q.Options {
			if q.Options[i].Value == value {
				return value
			}
		}
		c.fail(pointer, "unknown_option", nil)
	case event.Checkbox:
		if value == "true" {
			return value
		}
		c.fail(pointer, "unknown_option", map[string]any{"allowed": []string{"true", "false"}})
	case event.FreeText:
		if problem := textProblem(value); problem != "" {
			c.fail(pointer, problem, map[string]any{"max": maxFreeText})
			return ""
		}
		return value
	}
	return ""
}

func textProblem(s string) string {
	if !utf8.ValidString(s) {
		return "control_character"
	}
	if utf8.RuneCountInString(s) > maxFreeText {
		return "too_long"
	}
	for _, r := range s {
		if r != '\n' && unicode.IsControl(r) {
			return "control_character"
		}
	}
	return ""
}

// distinct refuses one person twice in one order: the fault would otherwise be reported as somebody else's registration.
func (c *checker) distinct(claims [][]Claim) {
	seen := map[Claim]int{}
	for i, own := range claims {
		for _, claim := range own {
			if first, twice := seen[claim]; twice {
				c.fail("/participants/"+strconv.Itoa(i), "duplicate_participant", map[string]any{"same_as": first + 1})
				break
			}
			seen[claim] = i
		}
	}
}

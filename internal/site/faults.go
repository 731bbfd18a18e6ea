package site

import (
	"strconv"
	"strings"
	"time"

	"gapura/internal/fault"
)

// sayFaults returns the sentence for each faulty input. What the contact stands for is reported at the contact.
func (b *formBuilder) sayFaults() map[string]string {
	out := map[string]string{}
	f := b.filled.refusal
	if f == nil {
		return out
	}
	for _, field := range f.Fields {
		pointer := b.shownAt(field.Pointer)
		if out[pointer] == "" {
			out[pointer] = b.about("field", field.Code, field.Params)
		}
	}
	if ref, ok := f.Params["option"].(string); ok && f.Code == fault.SoldOut {
		for _, pointer := range b.askedFor(ref) {
			out[pointer] = b.T("field.option_sold_out")
		}
	}
	return out
}

// shownAt returns where a pointer's input is on the page.
func (b *formBuilder) shownAt(pointer string) string {
	if b.filled.self {
		for _, name := range []string{"name", "email", "phone"} {
			if pointer == "/participants/0/"+name {
				return "/contact/" + name
			}
		}
	}
	return pointer
}

// askedFor returns the inputs that chose an option, given as question:value.
func (b *formBuilder) askedFor(ref string) []string {
	question, value, _ := strings.Cut(ref, ":")
	var out []string
	for i, p := range b.filled.request.Participants {
		if p.Answers[question] == value {
			out = append(out, "/participants/"+strconv.Itoa(i)+"/answers/"+escapePointer(question))
		}
	}
	return out
}

// alert sums up a refusal with links to the faulty inputs, in the order of the page.
func (b *formBuilder) alert() *alert {
	f := b.filled.refusal
	if f == nil {
		return nil
	}
	a := &alert{Title: b.T("form.not_sent"), Text: b.refusal(f), Again: passes(f.Code)}
	said := map[string]bool{}
	add := func(pointer string) {
		if text := b.errors[pointer]; text != "" && !said[pointer] {
			said[pointer] = true
			a.Links = append(a.Links, alertLink{ID: b.target(pointer), Label: b.label(pointer), Text: text})
		}
	}
	for _, field := range f.Fields {
		add(b.shownAt(field.Pointer))
	}
	if ref, ok := f.Params["option"].(string); ok {
		for _, pointer := range b.askedFor(ref) {
			add(pointer)
		}
	}
	if f.Code == fault.ValidationFailed {
		a.Text, a.Title = "", b.T("form.errors_many", "n", len(a.Links))
		if len(a.Links) == 1 {
			a.Title = b.T("form.errors_one")
		}
	}
	return a
}

// passes reports whether sending the same form again may succeed by itself.
func passes(code fault.Code) bool {
	switch code {
	case fault.Overloaded, fault.OutcomeUnknown, fault.RateLimited, fault.KeyInFlight, fault.Internal:
		return true
	default:
		return false
	}
}

// target is the id of the nearest thing on the page that a pointer can lead to.
func (b *formBuilder) target(pointer string) string {
	steps := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	if steps[0] == "participants" && len(steps) >= 2 {
		last := steps[len(steps)-1]
		switch {
		case last == "answers" || len(steps) == 2:
			return pointerID("/participants/" + steps[1])
		case last == "category" && len(b.cards) > 0:
			return pointerID(pointer) + "-" + b.cards[0].ID
		case last == "gender":
			return pointerID(pointer) + "-female"
		}
	}
	return pointerID(pointer)
}

// label names the input of a pointer: "Peserta 2, Tanggal lahir".
func (b *formBuilder) label(pointer string) string {
	steps := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	if steps[0] == "contact" && len(steps) == 2 {
		return b.T("form.contact") + ", " + b.T("form."+steps[1])
	}
	if steps[0] != "participants" || len(steps) < 2 {
		return b.T("form.participants")
	}
	index, _ := strconv.Atoi(steps[1])
	who := b.T("form.participant_n", "n", index+1)
	switch {
	case len(steps) == 4:
		for i := range b.live.Event.Questions {
			if q := &b.live.Event.Questions[i]; escapePointer(q.ID) == steps[3] {
				return who + ", " + q.Label.In(b.lang)
			}
		}
	case len(steps) == 3 && b.has("form."+steps[2]):
		return who + ", " + b.T("form."+steps[2])
	}
	return who
}

// refusal says a fault in one sentence, with what it is about.
func (b *formBuilder) refusal(f *fault.Fault) string {
	switch f.Code {
	case fault.PriceChanged:
		if total, ok := rupiah(f.Params["total"]); ok {
			return b.T("form.price_changed", "total", b.price(total))
		}
	case fault.SoldOut:
		return b.soldOut(f)
	case fault.CaptchaFailed:
		if b.filled.key != "" && f.Params["reason"] == "missing" {
			return b.T("form.captcha_noscript")
		}
	case fault.QueuePassRequired:
		if reason, ok := f.Params["reason"].(string); ok && b.has("waiting."+reason+".lead") {
			return b.T("waiting." + reason + ".lead")
		}
	case fault.Overloaded:
		if f.RetryAfter > 0 {
			return b.T("form.overloaded", "n", seconds(f.RetryAfter))
		}
	case fault.RateLimited:
		if f.RetryAfter > 0 {
			return b.T("form.rate_limited", "n", seconds(f.RetryAfter))
		}
	case fault.NotOpen:
		return b.T("fault.not_open") + " " + b.T("event.opens_at", "when", b.moment(b.live.Event.Rules.OpensAt, b.live.Event.Location()).Full()) + "."
	default:
	}
	return b.about("fault", string(f.Code), nil)
}

func (b *formBuilder) soldOut(f *fault.Fault) string {
	if _, ok := f.Params["option"]; ok {
		return b.T("fault.sold_out.option")
	}
	if f.Params["may_return"] == true {
		if at, ok := f.Params["next_hold_ends_at"].(time.Time); ok {
			return b.T("fault.sold_out.held") + " " + b.T("event.held_until", "when", b.moment(at, b.live.Event.Location()).Full())
		}
		return b.T("fault.sold_out.held")
	}
	if ids, ok := f.Params["categories"].([]string); ok && len(ids) > 0 {
		return b.T("fault.sold_out.of", "categories", strings.Join(b.categoryNames(ids), ", "))
	}
	return b.T("fault.sold_out")
}

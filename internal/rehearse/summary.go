package rehearse

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"gapura/internal/rehearse/crowd"
)

// WriteSummary writes what came of the rehearsal for a terminal that is 80 columns wide. It colours nothing: the text is
// also read in logs.
func WriteSummary(w io.Writer, r *Result) error {
	s := &summary{}
	s.head(r)
	s.numbers(r)
	s.room(r)
	s.codes(r)
	s.verdicts(r)
	_, err := io.WriteString(w, s.b.String())
	return err
}

type summary struct{ b strings.Builder }

func (s *summary) line(format string, args ...any) { fmt.Fprintf(&s.b, format+"\n", args...) }

// labelWidth holds the longest label and a gap.
const labelWidth = 24

func (s *summary) row(label, format string, args ...any) {
	s.line("  %s%s", pad(label, labelWidth), fmt.Sprintf(format, args...))
}

func (s *summary) title(text string) { s.line("\n%s\n%s", text, strings.Repeat("─", 78)) }

// pad fills s with spaces up to width characters.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(width-utf8.RuneCountInString(s), 0))
}

func (s *summary) head(r *Result) {
	s.title("Rehearsal of " + r.Title)
	s.row("demand", "%s", describe(r.Plan.Crowd.Demand))
	s.row("crowd", "%s orders, %s people, run %s", grouped(int64(len(r.Orders))), grouped(int64(r.People)), r.Run)
	s.row("opened", "%s", r.Started.Format("2006-01-02 15:04:05 UTC"))
	if r.Interrupted {
		s.row("interrupted", "after %s; only what happened until then is judged", wholeSeconds(r.End))
	}
	for _, f := range r.Faults {
		outcome := "took " + shortDuration(f.Took)
		if f.Err != "" {
			outcome = "could not be carried out: " + f.Err
		}
		s.row("fault", "%s at %s, %s", f.Name, shortDuration(f.At), outcome)
	}
}

// describe says in words what demand was played.
func describe(d crowd.Demand) string {
	switch d.Curve {
	case crowd.CurveOnsale:
		return fmt.Sprintf("on-sale of 2026 × %g, at %g × its speed", d.Scale, d.Speed)
	case crowd.CurveSpike:
		return fmt.Sprintf("spike of %s orders in %s", grouped(int64(d.Orders)), d.For)
	case crowd.CurveSurge:
		return fmt.Sprintf("%s orders/s for %s, × %g from %s for %s", grouped(int64(d.Rate)), d.For, d.Surge, d.SurgeAt, d.SurgeFor)
	default:
		return fmt.Sprintf("%s orders/s for %s", grouped(int64(d.Rate)), d.For)
	}
}

func (s *summary) numbers(r *Result) {
	s.title("What the server did")
	s.row("acknowledged", "%s orders, %s places, of which %s were given back", grouped(int64(r.Acknowledged)),
		grouped(int64(r.Places)), grouped(int64(r.GivenBack)))
	if r.Rate.Full > 0 {
		s.row("acknowledged per second", "median %s, mean %s, best %s (of %d full seconds)",
			grouped(int64(r.Rate.Median)), grouped(int64(r.Rate.Mean)), grouped(int64(r.Rate.Peak)), r.Rate.Full)
	} else {
		s.row("acknowledged per second", "best %s", grouped(int64(r.Rate.Peak)))
	}
	if r.Unanswered > 0 {
		s.row("given up", "%s requests had no answer when the rehearsal ended", grouped(int64(r.Unanswered)))
	}
	s.line("")
	s.line("  %s%9s %9s %9s %9s %9s", pad("", labelWidth), "p50", "p90", "p99", "p99.9", "max")
	s.latency("acknowledged", r.Latency)
	s.latency("  client queue in it", r.ClientQueue)
	s.latency("overloaded", r.Refusal)
	if r.Journey.Count > 0 && r.Journey.P999 != r.Latency.P999 {
		s.latency("visit, with repeats", r.Journey)
	}
	for _, rec := range r.Recoveries {
		if rec.Took < 0 {
			s.row("recovery", "not back to 90%% of %s/s after %s", grouped(int64(rec.Before)), rec.After)
			continue
		}
		s.row("recovery", "%.1f s after %s: 90%% of %s/s again", rec.Took.Seconds(), rec.After, grouped(int64(rec.Before)))
	}
	if r.Plan.Idle > 0 {
		s.row("idle connections", "%s of %s still open", grouped(int64(r.IdleOpen)), grouped(int64(r.Plan.Idle)))
	}
}

// room says what happened in the waiting room.
func (s *summary) room(r *Result) {
	rr := r.Room
	if rr == nil {
		return
	}
	n := func(v int) string { return grouped(int64(v)) }
	s.title("The waiting room")
	s.row("opened", "%s after the first visitors came", wholeSeconds(rr.Opens))
	if rr.Offered > 0 {
		s.row("first second", "%s people came, %s were served by the generator in it", n(rr.Offered), n(rr.Sent))
	}
	s.row("people", "%s wanted an order, %s have one: %.1f%%", n(rr.Sold.Wanted), n(rr.Sold.Had), 100*rr.Sold.Share())
	s.row("without one", "%s", rr.outcomes())
	if rr.Bots.Number > 0 {
		s.row("bots", "%s: %s requests, %s tickets, %s passes, %s orders", n(rr.Bots.Number), n(rr.Bots.Requests), n(rr.Bots.Tickets),
			n(rr.Bots.Passes), n(rr.Bots.Orders))
	}
	if m := rr.Mail; m != nil {
		s.row("codes for people", "%s", m.People.text())
		if rr.Bots.Number > 0 {
			s.row("codes for bots", "%s", m.Bots.text())
		}
		s.row("mails with a code", "%s, %s of them asked for again", n(m.People.Mailed+m.Bots.Mailed), n(m.People.Again+m.Bots.Again))
	}
	if rr.Best > 0 {
		s.row("of the engine’s best", "%.0f%% of %s/s while the line was let in", 100*r.Rate.Mean/rr.Best, n(int(rr.Best)))
	}
	if lost := rr.broken(); lost > 0 {
		s.row("without an answer", "%s requests of people", n(lost))
	}
	s.line("")
	s.line("  %s%9s %9s %9s %9s %9s", pad("", labelWidth), "p50", "p90", "p99", "p99.9", "max")
	s.latency("first answer", rr.First)
	if rr.Mail != nil {
		s.latency("code, since asked for", rr.Mail.Wait)
	}
	s.latency("ticket", rr.Tickets)
	s.latency("poll", rr.Looks)
	s.latency("pass", rr.Passes)
}

var outcomeNames = [numOutcomes]Text{
	{"tanpa jawaban akhir", "undecided at the end"},
	{"tempat habis", "told sold out"},
	{"kehabisan sabar", "out of patience"},
	{"menutup halaman", "closed the page"},
	{"membiarkan izinnya hangus", "let the pass lapse"},
	{"ditolak karena hal lain", "refused otherwise"},
}

// outcomes lists how those without an order fared.
func (rr *RoomResult) outcomes() string {
	var parts []string
	for o, n := range rr.Outcomes {
		if n > 0 {
			parts = append(parts, grouped(int64(n))+" "+outcomeNames[o].EN)
		}
	}
	return cmp.Or(strings.Join(parts, ", "), "nobody")
}

// broken counts the requests of people that ended without an answer that they had not hung up on themselves.
func (rr *RoomResult) broken() int {
	lost := 0
	for c, n := range rr.Counts {
		if !c.Bot && !c.Code.Answered() && c.Code != CodeDropped {
			lost += n
		}
	}
	return lost
}

func (s *summary) latency(label string, l Latency) {
	if l.Count == 0 {
		return
	}
	s.line("  %s%9s %9s %9s %9s %9s", pad(label, labelWidth), shortDuration(l.P50), shortDuration(l.P90),
		shortDuration(l.P99), shortDuration(l.P999), shortDuration(l.Max))
}

func (s *summary) codes(r *Result) {
	s.title("Answers")
	total := len(r.Attempts)
	for _, code := range codesByCount(r) {
		n := r.ByCode[code]
		share := float64(n) / float64(total)
		bar := cmp.Or(strings.Repeat("▇", int(share*24+0.5)), "▏")
		s.line("  %s%10s %6.2f%%  %s", pad(code, labelWidth), grouped(int64(n)), share*100, bar)
	}
}

// codesByCount returns the codes, the most frequent first.
func codesByCount(r *Result) []string {
	return slices.SortedFunc(maps.Keys(r.ByCode), func(a, b string) int {
		return cmp.Or(cmp.Compare(r.ByCode[b], r.ByCode[a]), cmp.Compare(a, b))
	})
}

func (s *summary) verdicts(r *Result) {
	s.title("Verdict")
	for _, f := range r.Findings {
		mark := "✓"
		switch {
		case f.Broken > 0 && !f.Info:
			mark = "✗"
		case f.Info:
			mark = "·"
		case f.Checked == 0:
			mark = "–"
		}
		s.line("  %s %s %s", mark, pad(cmp.Or(f.Title.EN, f.Check), 56), tally(f))
		if f.Note.EN != "" {
			s.line("      %s", f.Note.EN)
		}
		for _, example := range f.Examples {
			s.line("      %s", example)
		}
	}
	s.line("")
	if broken := Broken(r.Findings); len(broken) > 0 {
		s.line("%d of %d checks are broken.", len(broken), len(r.Findings))
		return
	}
	s.line("Everything that was acknowledged is there, once. (%s)", wholeSeconds(r.End))
}

// tally says how many cases were looked at and how many were broken.
func tally(f Finding) string {
	switch {
	case f.Checked == 0:
		return "nothing to check"
	case f.Broken > 0:
		return fmt.Sprintf("%s of %s broken", grouped(int64(f.Broken)), grouped(int64(f.Checked)))
	default:
		return grouped(int64(f.Checked)) + " checked"
	}
}

func wholeSeconds(d time.Duration) string { return d.Round(time.Second).String() }

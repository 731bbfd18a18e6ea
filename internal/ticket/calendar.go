package ticket

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gapura/internal/event"
)

// Appointment is the race as a calendar entry.
type Appointment struct {
	UID      string // stable, such as <order>@<host>, so that importing twice makes one entry
	Locale   string // id or en
	Event    event.Text
	Note     string
	StartsAt time.Time
	Length   time.Duration // 0: the entry has a start only
	Venue    string
	City     string
	URL      string    // of the order; may be empty
	MadeAt   time.Time // when the order was confirmed
	Version  int       // of the order: a calendar replaces an entry by one with a higher number
}

// Calendar returns a as an iCalendar file (RFC 5545). Times are in UTC: every calendar shows them in its owner's zone, and
// none depends on a definition of Asia/Jakarta.
func Calendar(a Appointment) []byte {
	const stamp = "20060102T150405Z"
	lines := []string{
		"BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Gapura//Ticket//EN", "CALSCALE:GREGORIAN", "METHOD:PUBLISH", "BEGIN:VEVENT",
		"UID:" + escapeICS(a.UID),
		"DTSTAMP:" + a.MadeAt.UTC().Format(stamp),
		"DTSTART:" + a.StartsAt.UTC().Format(stamp),
	}
	if a.Length > 0 {
		lines = append(lines, "DTEND:"+a.StartsAt.Add(a.Length).UTC().Format(stamp))
	}
	lines = append(lines, "SUMMARY:"+escapeICS(a.Event.In(a.Locale)))
	lines = append(lines, "SEQUENCE:"+strconv.Itoa(a.Version))
	for _, p := range [][2]string{{"LOCATION", joined(a.Venue, a.City)}, {"DESCRIPTION", a.Note}} {
		if p[1] != "" {
			lines = append(lines, p[0]+":"+escapeICS(p[1]))
		}
	}
	if a.URL != "" {
		lines = append(lines, "URL:"+strings.Map(dropControls, a.URL))
	}
	lines = append(lines, "STATUS:CONFIRMED", "TRANSP:OPAQUE", "END:VEVENT", "END:VCALENDAR")
	var out strings.Builder
	for _, l := range lines {
		foldICS(&out, l)
	}
	return []byte(out.String())
}

// escapeICS writes s as an RFC 5545 TEXT value.
func escapeICS(s string) string {
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s)
	s = strings.NewReplacer(`\`, `\\`, ";", `\;`, ",", `\,`, "\n", `\n`).Replace(s)
	return strings.Map(dropControls, s)
}

func dropControls(r rune) rune {
	if r < ' ' || r == 0x7f || r == utf8.RuneError {
		return -1
	}
	return r
}

// foldICS writes a line in pieces of at most 75 octets, never inside a character.
func foldICS(out *strings.Builder, line string) {
	room := 75
	for len(line) > room {
		cut := room
		for !utf8.RuneStart(line[cut]) {
			cut--
		}
		out.WriteString(line[:cut] + "\r\n ")
		line, room = line[cut:], 74
	}
	out.WriteString(line + "\r\n")
}

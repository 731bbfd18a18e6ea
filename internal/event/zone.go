package event

import (
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// zone reads the wall clock of the event's time zone; loc is nil when the file's zone is unknown.
type zone struct{ loc *time.Location }

// indonesian maps what people write to what the zone database calls it.
var indonesian = map[string]string{"WIB": "Asia/Jakarta", "WITA": "Asia/Makassar", "WIT": "Asia/Jayapura"}

// loadZone accepts names of the IANA database only: "Local" and the host's own spellings would differ between machines.
func loadZone(name string) (*time.Location, bool) {
	if name != "UTC" && !strings.Contains(name, "/") || len(name) > 64 ||
		strings.HasPrefix(name, "posix/") || strings.HasPrefix(name, "right/") {
		return nil, false
	}
	loc, err := time.LoadLocation(name)
	return loc, err == nil
}

func (r *reader) timezone(dst *string) read {
	return func(n *yaml.Node, path string) {
		s, ok := r.scalar(n, path, "an IANA time zone such as Asia/Jakarta")
		if !ok {
			return
		}
		loc, ok := loadZone(s)
		if !ok {
			hint := ""
			if name, known := indonesian[strings.ToUpper(s)]; known {
				hint = "; did you mean " + name + "?"
			}
			r.fault(path, "must be an IANA time zone such as Asia/Jakarta; it is %s%s", quoted(s), hint)
			return
		}
		*dst, r.zone = s, zone{loc}
	}
}

// The layouts of an instant: minutes or seconds, without an offset (local to the zone) or with one.
var (
	localLayouts  = []string{"2006-01-02T15:04", "2006-01-02T15:04:05"}
	offsetLayouts = []string{"2006-01-02T15:04Z07:00", "2006-01-02T15:04:05Z07:00"}
)

func (r *reader) instant(dst *time.Time) read {
	return func(n *yaml.Node, path string) {
		const want = "a time such as 2027-03-07T18:00"
		s, ok := r.scalar(n, path, want)
		if !ok {
			return
		}
		t, problem := r.zone.parse(s)
		if problem == "" && (t.Year() < 2000 || t.Year() > 2199) {
			problem = "must be in the years 2000 to 2199"
		}
		if problem != "" {
			r.fault(path, "%s; it is %s", problem, quoted(s))
			return
		}
		*dst = t.UTC()
	}
}

// parse returns the instant s names, or a problem. Without a known zone a local time is checked for form only.
func (z zone) parse(s string) (time.Time, string) {
	if len(s) > 10 && s[10] == ' ' {
		s = s[:10] + "T" + s[11:]
	}
	for _, layout := range offsetLayouts {
		if t, err := time.Parse(layout, s); err == nil && t.Nanosecond() == 0 {
			return t, ""
		}
	}
	loc := z.loc
	if loc == nil {
		loc = time.UTC
	}
	for _, layout := range localLayouts {
		t, err := time.ParseInLocation(layout, s, loc)
		if err == nil && t.Nanosecond() == 0 {
			return t, ambiguity(t, layout, s)
		}
	}
	return time.Time{}, "must be a time such as 2027-03-07T18:00 (local to timezone) or 2027-03-07T18:00+07:00"
}

// ambiguity finds wall clock times that a change of the clocks skips or repeats.
func ambiguity(t time.Time, layout, s string) string {
	if t.Format(layout) != s {
		return "does not exist in this time zone, because the clocks skip it; add an offset such as +07:00"
	}
	_, offset := t.Zone()
	for _, near := range []time.Time{t.Add(-24 * time.Hour), t.Add(24 * time.Hour)} {
		_, other := near.Zone()
		twin := t.Add(time.Duration(offset-other) * time.Second)
		if !twin.Equal(t) && twin.Format(layout) == s {
			return "happens twice in this time zone, because the clocks go back; add an offset such as +07:00"
		}
	}
	return ""
}

// format writes t as parse reads it back: local without an offset where that is certain.
func (z zone) format(t time.Time) string {
	local := t.In(z.loc)
	layout := 0
	if local.Second() != 0 {
		layout = 1
	}
	s := local.Format(localLayouts[layout])
	if back, problem := z.parse(s); problem == "" && back.Equal(t) {
		return s
	}
	return local.Format(offsetLayouts[layout])
}

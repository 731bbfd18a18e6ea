package site

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// monthsID and weekdaysID are how Indonesians write dates; the standard library knows English only.
func monthID(m time.Month) string {
	return [...]string{
		"Januari", "Februari", "Maret", "April", "Mei", "Juni", "Juli", "Agustus", "September", "Oktober", "November",
		"Desember",
	}[m-1]
}

func weekdayID(d time.Weekday) string {
	return [...]string{"Minggu", "Senin", "Selasa", "Rabu", "Kamis", "Jumat", "Sabtu"}[d]
}

// moment writes an instant for people in one language and one event's zone.
type moment struct {
	at   time.Time
	lang string
}

func (w words) moment(at time.Time, zone *time.Location) moment {
	return moment{at: at.In(zone), lang: w.lang}
}

// ISO is the machine's form, with the zone's offset.
func (m moment) ISO() string { return m.at.Format(time.RFC3339) }

// Date is "Minggu, 7 Maret 2027".
func (m moment) Date() string {
	if m.lang == english {
		return m.at.Format("Monday, 2 January 2006")
	}
	return weekdayID(m.at.Weekday()) + ", " + m.Day()
}

// Day is "7 Maret 2027".
func (m moment) Day() string {
	if m.lang == english {
		return m.at.Format("2 January 2006")
	}
	return fmt.Sprintf("%d %s %d", m.at.Day(), monthID(m.at.Month()), m.at.Year())
}

// FullSeconds is Full with seconds, where they matter.
func (m moment) FullSeconds() string {
	clock, link := m.at.Format("15.04.05"), " pukul "
	if m.lang == english {
		clock, link = m.at.Format("15:04:05"), ", "
	}
	return m.Day() + link + clock + " " + zoneName(m.at)
}

// DayOfMonth is "7".
func (m moment) DayOfMonth() string { return strconv.Itoa(m.at.Day()) }

// MonthShort is "Mar".
func (m moment) MonthShort() string {
	if m.lang == english {
		return m.at.Format("Jan")
	}
	return monthID(m.at.Month())[:3]
}

// Year is "2027".
func (m moment) Year() string { return strconv.Itoa(m.at.Year()) }

// Clock is "18.00 WIB"; Indonesian separates hours and minutes with a dot.
func (m moment) Clock() string { return m.Time() + " " + zoneName(m.at) }

// Time is the clock without its zone.
func (m moment) Time() string {
	if m.lang == english {
		return m.at.Format("15:04")
	}
	return m.at.Format("15.04")
}

// Full is "7 Maret 2027 pukul 18.00 WIB".
func (m moment) Full() string {
	if m.lang == english {
		return m.Day() + ", " + m.Clock()
	}
	return m.Day() + " pukul " + m.Clock()
}

// zoneName returns WIB, WITA or WIT in Indonesia and the zone's own abbreviation elsewhere.
func zoneName(t time.Time) string {
	switch t.Location().String() {
	case "Asia/Jakarta", "Asia/Pontianak":
		return "WIB"
	case "Asia/Makassar", "Asia/Ujung_Pandang":
		return "WITA"
	case "Asia/Jayapura":
		return "WIT"
	}
	name, _ := t.Zone()
	if strings.HasPrefix(name, "+") || strings.HasPrefix(name, "-") {
		return "UTC" + name
	}
	return name
}

// kilometres writes a distance as people say it: 10, 21,1 or 42,2.
func (w words) kilometres(metres int) string {
	s := strconv.FormatFloat(math.Round(float64(metres)/100)/10, 'f', -1, 64)
	if w.lang == indonesian {
		s = strings.Replace(s, ".", ",", 1)
	}
	return s
}

// holdFor writes how long a place is kept: "30 menit", "2 jam".
func (w words) holdFor(d time.Duration) string {
	if d >= 2*time.Hour && d%time.Hour == 0 {
		return w.T("event.hours", "n", int(d/time.Hour))
	}
	return w.T("event.minutes", "n", int(d.Round(time.Minute)/time.Minute))
}

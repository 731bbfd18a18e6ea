package ticket

import (
	"fmt"
	"time"
)

var (
	daysID   = [...]string{"Minggu", "Senin", "Selasa", "Rabu", "Kamis", "Jumat", "Sabtu"}
	monthsID = [...]string{
		"Januari", "Februari", "Maret", "April", "Mei", "Juni", "Juli", "Agustus", "September", "Oktober", "November", "Desember",
	}
)

// Day writes the date of t in zone for readers of locale "id" or "en": Minggu, 7 Maret 2027.
func Day(t time.Time, zone *time.Location, locale string) string {
	t = t.In(zone)
	if locale == "en" {
		return t.Format("Monday, 2 January 2006")
	}
	return fmt.Sprintf("%s, %s", daysID[t.Weekday()], Date(t, zone, locale))
}

// Date writes the date of t in zone without the weekday: 7 Maret 2027.
func Date(t time.Time, zone *time.Location, locale string) string {
	t = t.In(zone)
	if locale == "en" {
		return t.Format("2 January 2006")
	}
	return fmt.Sprintf("%d %s %d", t.Day(), monthsID[t.Month()-1], t.Year())
}

// Hour writes the time of day of t in zone with the zone's name: 18.00 WIB, or 18:00 WIB in English.
func Hour(t time.Time, zone *time.Location, locale string) string {
	if locale == "en" {
		return t.In(zone).Format("15:04 MST")
	}
	return t.In(zone).Format("15.04 MST")
}

package person

import "time"

// firstYear bounds typing errors: nobody born before it runs.
const firstYear = 1900

// BirthDate checks a date of birth, written YYYY-MM-DD, against the day that now is in its location. It returns "" or a
// problem: Required, DateInvalid (another form, a day that does not exist, or before 1900) or DateInFuture.
func BirthDate(s string, now time.Time) (problem string) {
	if s == "" {
		return Required
	}
	year, month, day, ok := date(s)
	if !ok || year < firstYear {
		return DateInvalid
	}
	y, m, d := now.Date()
	if before(y, int(m), d, year, month, day) {
		return DateInFuture
	}
	return ""
}

// AgeOn returns the age in whole years on the day that at is in its location, or -1 if birth is not a date or later.
// Someone born on 29 February is a year older on 1 March in years without that day.
func AgeOn(birth string, at time.Time) int {
	year, month, day, ok := date(birth)
	y, m, d := at.Date()
	if !ok || before(y, int(m), d, year, month, day) {
		return -1
	}
	age := y - year
	if before(y, int(m), d, y, month, day) {
		age--
	}
	return age
}

// before reports whether the first date comes before the second.
func before(y1, m1, d1, y2, m2, d2 int) bool {
	if y1 != y2 {
		return y1 < y2
	}
	if m1 != m2 {
		return m1 < m2
	}
	return d1 < d2
}

// date reads exactly YYYY-MM-DD and only days that exist.
func date(s string) (year, month, day int, ok bool) {
	if len(s) != 10 || s[4] != '-' || s[7] != '-' {
		return 0, 0, 0, false
	}
	year, ok1 := decimal(s[:4])
	month, ok2 := decimal(s[5:7])
	day, ok3 := decimal(s[8:])
	if !ok1 || !ok2 || !ok3 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return 0, 0, 0, false
	}
	return year, month, day, true
}

func decimal(s string) (int, bool) {
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = 10*n + int(s[i]-'0')
	}
	return n, true
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

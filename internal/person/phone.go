package person

import "strings"

// Phone returns the number in E.164, such as +628123456789, and whether it can be one. Indonesian mobile numbers may be
// written with 0, 62, +62 or nothing in front; foreign numbers need their + and country code. Spaces, dots, dashes,
// brackets and the invisible marks that address books paste are dropped.
func Phone(s string) (e164 string, ok bool) {
	if isIndonesianMobile(s) {
		return s, true
	}
	var buffer [maxDigits]byte
	digits, plus, ok := phoneDigits(buffer[:0], s)
	if !ok {
		return "", false
	}
	if !plus {
		return indonesian(digits)
	}
	if len(digits) >= 2 && digits[0] == '6' && digits[1] == '2' {
		return indonesian(digits)
	}
	if len(digits) < minDigits || len(digits) > maxDigits || digits[0] == '0' {
		return "", false
	}
	return "+" + string(digits), true
}

// The digits of an E.164 number, country code included. Fewer than eight is a short code or a typing error.
const (
	minDigits = 8
	maxDigits = 15
)

// isIndonesianMobile reports whether s is already normalised, which is how a number comes back from the database.
func isIndonesianMobile(s string) bool {
	return strings.HasPrefix(s, "+62") && isNational(s[3:])
}

// isNational reports whether s is 8[1-35-9] and seven to ten further digits.
func isNational[T string | []byte](s T) bool {
	if len(s) < 9 || len(s) > 12 || s[0] != '8' || s[1] == '0' || s[1] == '4' {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// indonesian completes the digits of an Indonesian mobile number: 8..., 08..., 628... or, as people often write, 6208...
func indonesian(digits []byte) (string, bool) {
	if len(digits) > 2 && digits[0] == '6' && digits[1] == '2' {
		digits = digits[2:]
	}
	if len(digits) > 0 && digits[0] == '0' {
		digits = digits[1:]
	}
	if !isNational(digits) {
		return "", false
	}
	return "+62" + string(digits), true
}

// phoneDigits appends the digits of s to dst and reports a leading plus; false if s has anything that no number has, or
// more digits than any number.
func phoneDigits(dst []byte, s string) (digits []byte, plus, ok bool) {
	for _, c := range s {
		switch {
		case c >= '0' && c <= '9':
			if len(dst) == maxDigits {
				return nil, false, false
			}
			dst = append(dst, byte(c))
		case c == '+' && !plus && len(dst) == 0:
			plus = true
		case !isPhoneFiller(c):
			return nil, false, false
		}
	}
	return dst, plus, true
}

// isPhoneFiller covers what is written between digits, and the direction marks that iOS puts around a copied number.
func isPhoneFiller(c rune) bool {
	switch c {
	case ' ', '.', '-', '(', ')', '\t', '\u00a0', '\u2007', '\u202f', '\u2010', '\u2011', '\u2012', '\u2013', '\u2212',
		'\u200e', '\u200f', '\u202a', '\u202c', '\u202d', '\u2066', '\u2068', '\u2069':
		return true
	}
	return false
}

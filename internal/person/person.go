// Package person checks and normalises what people type about themselves: name, e-mail address, phone number and date of
// birth. Two spellings of the same address or number normalise to the same string, because "one person, one place" is
// decided by comparing them. Normalising is idempotent: a normalised value normalises to itself, without allocating.
package person

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The problems a value can have. They are the codes of faulty fields in the public contract: added, never changed.
const (
	Required         = "required"
	TooLong          = "too_long"
	ControlCharacter = "control_character"
	NameInvalid      = "name_invalid"
	EmailInvalid     = "email_invalid"
	PhoneInvalid     = "phone_invalid"
	DateInvalid      = "date_invalid"
	DateInFuture     = "date_in_future"
)

// MaxNameLength is the most characters of a name.
const MaxNameLength = 120

// maxNameBytes is beyond any name of MaxNameLength characters, also before its accents are composed: more is refused
// before work is spent on it.
const maxNameBytes = 12 * MaxNameLength

// Name returns the name trimmed, in NFC and with single spaces inside, and "" or a problem: Required, TooLong,
// ControlCharacter (controls, line breaks and invisible formatting such as a change of direction) or NameInvalid (no
// letter, or not text at all). Names of any script pass.
func Name(s string) (clean, problem string) {
	s = strings.TrimSpace(s)
	if s == "" {
		return "", Required
	}
	if len(s) > maxNameBytes {
		return "", TooLong
	}
	if plainName(s) {
		if len(s) > MaxNameLength {
			return "", TooLong
		}
		return s, ""
	}
	return composedName(s)
}

// plainName reports whether s is ASCII letters with single spaces, dots, dashes and apostrophes inside, which needs no
// further work. s is trimmed.
func plainName(s string) bool {
	letters := false
	for i := range len(s) {
		switch c := s[i]; {
		case c|0x20 >= 'a' && c|0x20 <= 'z':
			letters = true
		case c == '.' || c == '-' || c == '\'':
		case c == ' ' && s[i-1] != ' ':
		default:
			return false
		}
	}
	return letters
}

func composedName(s string) (clean, problem string) {
	if !utf8.ValidString(s) {
		return "", NameInvalid
	}
	s = strings.Join(strings.FieldsFunc(norm.NFC.String(s), isBlank), " ")
	letters, before := false, rune(0)
	for _, c := range s {
		if isHidden(c) && !joins(before, c) {
			return "", ControlCharacter
		}
		if c == utf8.RuneError || unicode.Is(unicode.Co, c) {
			return "", NameInvalid
		}
		letters = letters || unicode.IsLetter(c)
		before = c
	}
	switch {
	case s == "":
		return "", Required
	case !letters:
		return "", NameInvalid
	case utf8.RuneCountInString(s) > MaxNameLength:
		return "", TooLong
	}
	return s, ""
}

// isBlank covers what separates the words of a name. A tab comes from a spreadsheet and is a space; a line break is not.
func isBlank(c rune) bool { return c == '\t' || unicode.Is(unicode.Zs, c) }

// isHidden covers controls, line and paragraph separators and invisible formatting.
func isHidden(c rune) bool {
	return unicode.IsControl(c) || c == '\u2028' || c == '\u2029' || unicode.Is(unicode.Cf, c)
}

// joins reports whether c is a joiner that Persian, Hindi or Sinhala spelling needs after the letter or sign before.
func joins(before, c rune) bool {
	return (c == '\u200c' || c == '\u200d') && before > unicode.MaxASCII && (unicode.IsLetter(before) || unicode.IsMark(before))
}

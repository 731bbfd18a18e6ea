package person

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The limits of RFC 5321.
const (
	maxEmail  = 254
	maxLocal  = 64
	maxDomain = 253
	maxLabel  = 63
)

// Email returns the address trimmed, in NFC and in lower case, and whether it can be one: a dotted local part, one @ and
// a domain of at least two labels in ASCII (an international domain is written as xn--). Quoted local parts and address
// literals, which no registration form sees from a person, are refused. That mail arrives there is for a mail to prove.
func Email(s string) (normalised string, ok bool) {
	s = strings.TrimSpace(s)
	if len(s) > 4*maxEmail {
		return "", false
	}
	s, ok = fold(s)
	if !ok || len(s) > maxEmail {
		return "", false
	}
	at := strings.IndexByte(s, '@')
	if at < 1 || at > maxLocal || !validLocal(s[:at]) || !validDomain(s[at+1:]) {
		return "", false
	}
	return s, true
}

// fold lower-cases s; it allocates only if that changes something.
func fold(s string) (string, bool) {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return norm.NFC.String(strings.ToLower(norm.NFC.String(s))), utf8.ValidString(s)
		}
	}
	return strings.ToLower(s), true
}

// validLocal follows the dot-atom of RFC 5322, with letters and digits of any script as in RFC 6531.
func validLocal(s string) bool {
	dot := true // a dot may not come first, last or twice
	for _, c := range s {
		if c == '.' {
			if dot {
				return false
			}
			dot = true
			continue
		}
		dot = false
		if !isAtom(c) {
			return false
		}
	}
	return !dot
}

func isAtom(c rune) bool {
	if c < utf8.RuneSelf {
		return isAlphanumeric(byte(c)) || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", byte(c)) >= 0 //nolint:gosec // c is ASCII here
	}
	return c != utf8.RuneError && (unicode.IsLetter(c) || unicode.IsMark(c) || unicode.IsDigit(c))
}

func isAlphanumeric(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }

// validDomain follows RFC 1123; the last label needs a letter, so that an IP address is none.
func validDomain(s string) bool {
	if len(s) > maxDomain {
		return false
	}
	labels := 0
	for rest, more := s, true; more; labels++ {
		var label string
		label, rest, more = strings.Cut(rest, ".")
		if !validLabel(label) || !more && (len(label) < 2 || strings.Trim(label, "0123456789") == "") {
			return false
		}
	}
	return labels >= 2
}

func validLabel(s string) bool {
	if s == "" || len(s) > maxLabel || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if !isAlphanumeric(s[i]) && s[i] != '-' {
			return false
		}
	}
	return true
}

// Mailbox returns the mailbox that an address of Email most likely leads to: without what follows a plus in its local part,
// which many servers ignore. It is for counting mails and for one number a person in a waiting room; registrations tell people
// apart by their whole address.
func Mailbox(address string) string {
	local, domain, _ := strings.Cut(address, "@")
	local, _, _ = strings.Cut(local, "+")
	return local + "@" + domain
}

package person

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

func TestName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, clean, problem string }{
		{"Siti Aminah", "Siti Aminah", ""},
		{"  Siti \t  Aminah ", "Siti Aminah", ""},
		{"Siti\u00a0Aminah", "Siti Aminah", ""},
		{"Ma'ruf O'Neil-Prasetyo, S.Kom.", "Ma'ruf O'Neil-Prasetyo, S.Kom.", ""},
		{"I", "I", ""},
		{"Jose\u0301", "José", ""},
		{"李小龍", "李小龍", ""},
		{"محمد", "محمد", ""},
		{"می\u200cخواهم", "می\u200cخواهم", ""},
		{"ශ්\u200dරී", "ශ්\u200dරී", ""},
		{"Nguyễn Thị Ánh", "Nguyễn Thị Ánh", ""},
		{"Budi 2", "Budi 2", ""},
		{strings.Repeat("a", 120), strings.Repeat("a", 120), ""},
		{strings.Repeat("é", 120), strings.Repeat("é", 120), ""},
		{strings.Repeat("e\u0301", 120), strings.Repeat("é", 120), ""},
		{"", "", Required},
		{" \t\n ", "", Required},
		{"12345", "", NameInvalid},
		{"...", "", NameInvalid},
		{"Siti\xff", "", NameInvalid},
		{"Siti \ue000", "", NameInvalid},
		{"Siti\ufffd", "", NameInvalid},
		{"Siti\nBcc: a@b.id", "", ControlCharacter},
		{"Siti\x00", "", ControlCharacter},
		{"Siti\x1b[31m", "", ControlCharacter},
		{"Siti\u202egnp.exe", "", ControlCharacter},
		{"Siti\u200bAminah", "", ControlCharacter},
		{"Siti\u200dAminah", "", ControlCharacter},
		{"Siti\u2028Aminah", "", ControlCharacter},
		{strings.Repeat("a", 121), "", TooLong},
		{strings.Repeat("é", 121), "", TooLong},
		{strings.Repeat("x", 10_000), "", TooLong},
	} {
		clean, problem := Name(c.in)
		if clean != c.clean || problem != c.problem {
			t.Errorf("Name(%q) = %q, %q; want %q, %q", c.in, clean, problem, c.clean, c.problem)
		}
	}
}

func TestEmail(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"siti@example.id":                       "siti@example.id",
		" Siti.Aminah+run@Example.CO.ID ":       "siti.aminah+run@example.co.id",
		"o'neil_99@sub.example-mail.com":        "o'neil_99@sub.example-mail.com",
		"JOSÉ@example.com":                      "josé@example.com",
		"jose\u0301@example.com":                "josé@example.com",
		"a@xn--bcher-kva.example":               "a@xn--bcher-kva.example",
		"1@2.io":                                "1@2.io",
		strings.Repeat("a", 64) + "@a.id":       strings.Repeat("a", 64) + "@a.id",
		"":                                      "",
		"siti":                                  "",
		"@example.id":                           "",
		"siti@":                                 "",
		"siti@example":                          "",
		"siti@@example.id":                      "",
		"siti@a@example.id":                     "",
		"si ti@example.id":                      "",
		"siti@exa mple.id":                      "",
		"siti@example.id\nBcc: x@y.id":          "",
		"siti\x00@example.id":                   "",
		"siti\xff@example.id":                   "",
		"si\u200bti@example.id":                 "",
		"siti@example..id":                      "",
		"siti@.example.id":                      "",
		"siti@example.id.":                      "",
		"siti@-example.id":                      "",
		"siti@example-.id":                      "",
		"siti@127.0.0.1":                        "",
		"siti@[127.0.0.1]":                      "",
		"siti@example.i":                        "",
		"siti@bücher.example":                   "",
		".siti@example.id":                      "",
		"siti.@example.id":                      "",
		"si..ti@example.id":                     "",
		`"siti"@example.id`:                     "",
		"Siti <siti@example.id>":                "",
		"siti@example.id,budi@example.id":       "",
		strings.Repeat("a", 65) + "@a.id":       "",
		"a@" + strings.Repeat("b", 64) + ".c":   "",
		"a@" + strings.Repeat("b.", 130) + "id": "",
		strings.Repeat("a", 10_000) + "@a.id":   "",
	} {
		got, ok := Email(in)
		if got != want || ok != (want != "") {
			t.Errorf("Email(%q) = %q, %t; want %q", in, got, ok, want)
		}
	}
}

func TestPhone(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"0812-3456-789":                          "+628123456789",
		"08123456789":                            "+628123456789",
		"8123456789":                             "+628123456789",
		"628123456789":                           "+628123456789",
		"+628123456789":                          "+628123456789",
		"+62 (0) 812.3456.789":                   "+628123456789",
		"62 0812 3456 789":                       "+628123456789",
		"\u202a+62 812\u20113456\u2011789\u202c": "+628123456789",
		"0812\u00a03456\u00a0789":                "+628123456789",
		"081234567":                              "",
		"0812345678":                             "+62812345678",
		"081234567890":                           "+6281234567890",
		"0812345678901":                          "+62812345678901",
		"+6208123456789012":                      "",
		"08123456789012":                         "",
		"0801234567890":                          "",
		"0841234567890":                          "",
		"021-5551234":                            "",
		"+62215551234":                           "",
		"+6591234567":                            "+6591234567",
		"+1 (415) 555-2671":                      "+14155552671",
		"+12345678":                              "+12345678",
		"+1234567":                               "",
		"+123456789012345":                       "+123456789012345",
		"+1234567890123456":                      "",
		"+01234567890":                           "",
		"6591234567":                             "",
		"006591234567":                           "",
		"":                                       "",
		"+":                                      "",
		"++628123456789":                         "",
		"62+8123456789":                          "",
		"0812 3456 789 ext 4":                    "",
		"08123456789x":                           "",
		"0812345678\u0669":                       "",
		"０８１２３４５６７８９":                            "",
		"08123456789\x00":                        "",
		"08123456789\n":                          "",
		strings.Repeat("0", 10_000):              "",
		strings.Repeat(" ", 10_000):              "",
	} {
		got, ok := Phone(in)
		if got != want || ok != (want != "") {
			t.Errorf("Phone(%q) = %q, %t; want %q", in, got, ok, want)
		}
	}
}

func TestBirthDate(t *testing.T) {
	t.Parallel()
	jakarta := time.FixedZone("WIB", 7*3600)
	now := time.Date(2026, 11, 30, 20, 0, 0, 0, time.UTC).In(jakarta) // already 1 December there
	for in, want := range map[string]string{
		"1994-05-02":            "",
		"2026-12-01":            "",
		"1900-01-01":            "",
		"2000-02-29":            "",
		"2026-12-02":            DateInFuture,
		"2027-01-01":            DateInFuture,
		"9999-12-31":            DateInFuture,
		"":                      Required,
		"1899-12-31":            DateInvalid,
		"1900-02-29":            DateInvalid,
		"2001-02-29":            DateInvalid,
		"2000-04-31":            DateInvalid,
		"2000-13-01":            DateInvalid,
		"2000-00-01":            DateInvalid,
		"2000-01-00":            DateInvalid,
		"2000-1-01":             DateInvalid,
		"02-05-1994":            DateInvalid,
		"1994/05/02":            DateInvalid,
		"1994-05-02T00:00":      DateInvalid,
		" 1994-05-02":           DateInvalid, //nolint:gocritic // the space is what is tested
		"-994-05-02":            DateInvalid,
		"1994-05-0\u0662":       DateInvalid,
		"19940502--":            DateInvalid,
		strings.Repeat("1", 99): DateInvalid,
	} {
		if got := BirthDate(in, now); got != want {
			t.Errorf("BirthDate(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestBirthDateAgreesWithTheStandardLibrary(t *testing.T) {
	t.Parallel()
	for year := 1896; year <= 2104; year++ {
		for month := 1; month <= 13; month++ {
			for day := range 33 {
				s := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC).Format("2006") + "-" + two(month) + "-" + two(day)
				_, err := time.Parse(time.DateOnly, s)
				if _, _, _, ok := date(s); ok != (err == nil) {
					t.Fatalf("date(%q): %t, time.Parse says %v", s, ok, err)
				}
			}
		}
	}
}

func two(n int) string { return string([]byte{byte('0' + n/10), byte('0' + n%10)}) }

func TestAgeOn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		birth, on string
		age       int
	}{
		{"2000-03-07", "2027-03-06", 26},
		{"2000-03-07", "2027-03-07", 27},
		{"2004-02-29", "2027-02-28", 22},
		{"2004-02-29", "2027-03-01", 23},
		{"2004-02-29", "2028-02-29", 24},
		{"2027-03-07", "2027-03-07", 0},
		{"2027-03-08", "2027-03-07", -1},
		{"yesterday", "2027-03-07", -1},
	} {
		on, err := time.Parse(time.DateOnly, c.on)
		if err != nil {
			t.Fatal(err)
		}
		if got := AgeOn(c.birth, on); got != c.age {
			t.Errorf("AgeOn(%s, %s) = %d, want %d", c.birth, c.on, got, c.age)
		}
	}
}

func TestNormalisedValuesCostNothing(t *testing.T) {
	now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	if n := testing.AllocsPerRun(100, func() {
		Name("Siti Aminah")
		Email("siti@example.id")
		Phone("+628123456789")
		BirthDate("1994-05-02", now)
		AgeOn("1994-05-02", now)
	}); n > 0 {
		t.Errorf("%v allocations for values that are already normalised, want none", n)
	}
	if n := testing.AllocsPerRun(100, func() { Phone("0812-3456-789") }); n > 1 {
		t.Errorf("%v allocations for a phone number, want the result only", n)
	}
}

func FuzzName(f *testing.F) {
	for _, s := range []string{"Siti Aminah", "  e\u0301  ", "می\u200cخواهم", "a\u202eb", "\xff", "١", "a\u3000b", "\u1100\u1161"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		clean, problem := Name(s)
		if problem != "" {
			if clean != "" {
				t.Fatalf("Name(%q) refuses with %s and returns %q", s, problem, clean)
			}
			return
		}
		if !norm.NFC.IsNormalString(clean) || utf8.RuneCountInString(clean) > MaxNameLength || strings.ContainsAny(clean, "\n\r\x00") {
			t.Fatalf("Name(%q) = %q", s, clean)
		}
		if again, problem := Name(clean); again != clean || problem != "" {
			t.Fatalf("Name(%q) = %q, then %q, %q", s, clean, again, problem)
		}
	})
}

func FuzzEmail(f *testing.F) {
	for _, s := range []string{"Siti@Example.ID", "jose\u0301@a.id", "İ@a.id", "ß@a.id", "a@b@c.id", "\u1e9e\u0323@a.id", "ǅ@a.id"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		normalised, ok := Email(s)
		if !ok {
			if normalised != "" {
				t.Fatalf("Email(%q) refuses and returns %q", s, normalised)
			}
			return
		}
		if len(normalised) > maxEmail || strings.Count(normalised, "@") != 1 || strings.ContainsAny(normalised, " \r\n\t\x00<>,\"") {
			t.Fatalf("Email(%q) = %q", s, normalised)
		}
		if again, ok := Email(normalised); again != normalised || !ok {
			t.Fatalf("Email(%q) = %q, then %q, %t", s, normalised, again, ok)
		}
	})
}

func FuzzPhone(f *testing.F) {
	for _, s := range []string{"0812-3456-789", "+62 0812 3456 789", "+6591234567", "8123456789", "++1", "+62"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e164, ok := Phone(s)
		if !ok {
			if e164 != "" {
				t.Fatalf("Phone(%q) refuses and returns %q", s, e164)
			}
			return
		}
		if e164[0] != '+' || len(e164) < 9 || len(e164) > 16 || strings.Trim(e164[1:], "0123456789") != "" {
			t.Fatalf("Phone(%q) = %q", s, e164)
		}
		if again, ok := Phone(e164); again != e164 || !ok {
			t.Fatalf("Phone(%q) = %q, then %q, %t", s, e164, again, ok)
		}
	})
}

func TestEveryCharacterNormalisesOnce(t *testing.T) {
	t.Parallel()
	for c := rune(1); c <= utf8.MaxRune; c++ {
		s := "a" + string(c) + "b"
		if clean, problem := Name(s); problem == "" {
			if again, problem := Name(clean); again != clean || problem != "" {
				t.Errorf("Name(%q) = %q, then %q, %q", s, clean, again, problem)
			}
		}
		if email, ok := Email(s + "@a.id"); ok {
			if again, ok := Email(email); again != email || !ok {
				t.Errorf("Email(%q) = %q, then %q, %t", s+"@a.id", email, again, ok)
			}
		}
	}
}

func TestMailbox(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"siti@example.id": "siti@example.id", "siti+lari@example.id": "siti@example.id", "a+b+c@example.id": "a@example.id",
	} {
		if got := Mailbox(address); got != want {
			t.Errorf("%s leads to %s", address, got)
		}
	}
}

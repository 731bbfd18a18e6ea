package ticket

import (
	"bytes"
	"compress/zlib"
	"io"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"gapura/internal/event"
	"gapura/internal/money"
)

// inflate returns the PDF with every compressed stream unpacked.
func inflate(t *testing.T, pdf []byte) []byte {
	t.Helper()
	var out []byte
	for {
		start := bytes.Index(pdf, []byte("stream\n"))
		if start < 0 {
			return append(out, pdf...)
		}
		body := pdf[start+len("stream\n"):]
		if r, err := zlib.NewReader(bytes.NewReader(body)); err == nil {
			plain, _ := io.ReadAll(r)
			out = append(out, plain...)
		}
		pdf = body
	}
}

func TestAmountsInWords(t *testing.T) {
	t.Parallel()
	for amount, want := range map[money.Rupiah][2]string{
		0:                 {"nol", "zero"},
		7:                 {"tujuh", "seven"},
		10:                {"sepuluh", "ten"},
		11:                {"sebelas", "eleven"},
		15:                {"lima belas", "fifteen"},
		21:                {"dua puluh satu", "twenty-one"},
		100:               {"seratus", "one hundred"},
		111:               {"seratus sebelas", "one hundred and eleven"},
		999:               {"sembilan ratus sembilan puluh sembilan", "nine hundred and ninety-nine"},
		1000:              {"seribu", "one thousand"},
		1001:              {"seribu satu", "one thousand and one"},
		11_000:            {"sebelas ribu", "eleven thousand"},
		101_000:           {"seratus satu ribu", "one hundred and one thousand"},
		250_000:           {"dua ratus lima puluh ribu", "two hundred and fifty thousand"},
		1_001_500:         {"satu juta seribu lima ratus", "one million one thousand five hundred"},
		2_000_000_000:     {"dua miliar", "two billion"},
		1_000_000_000_000: {"satu triliun", "one trillion"},
		-5:                {"minus lima", "minus five"},
	} {
		for i, locale := range []string{"id", "en"} {
			if got := InWords(amount, locale); got != want[i]+" rupiah" {
				t.Errorf("%d in %s: %q, want %q", amount, locale, got, want[i]+" rupiah")
			}
		}
	}
	for _, extreme := range []money.Rupiah{math.MaxInt64, math.MinInt64} {
		if got := InWords(extreme, "id"); !strings.Contains(got, "kuintiliun") {
			t.Errorf("%d: %q", extreme, got)
		}
	}
}

func TestMoments(t *testing.T) {
	t.Parallel()
	at := time.Date(2027, 3, 7, 18, 30, 0, 0, time.UTC) // Monday already in Jakarta
	zone := jakarta(t)
	for _, test := range [][2]string{
		{Day(at, zone, "id"), "Senin, 8 Maret 2027"},
		{Day(at, zone, "en"), "Monday, 8 March 2027"},
		{Date(at, zone, "id"), "8 Maret 2027"},
		{Hour(at, zone, "id"), "01.30 WIB"},
		{Hour(at, zone, "en"), "01:30 WIB"},
		{percent(1100, "id"), "11%"},
		{percent(750, "id"), "7,5%"},
		{percent(750, "en"), "7.5%"},
		{npwp("0123456789012345"), "0123456789012345"},
	} {
		if test[0] != test[1] {
			t.Errorf("%q, want %q", test[0], test[1])
		}
	}
}

func TestCalendar(t *testing.T) {
	t.Parallel()
	got := string(Calendar(Appointment{
		UID: "0198f1c2@run.example", Locale: "id", Event: event.Text{ID: "Lari, Malam; Bandung", EN: "Night Run"},
		Note: "Bawa KTP.\r\nPintu A\\B", StartsAt: time.Date(2027, 3, 7, 18, 0, 0, 0, jakarta(t)), Length: 3 * time.Hour,
		Venue: "Lapangan Gasibu", City: "Bandung", URL: "https://run.example/orders/1", Version: 2,
		MadeAt: time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC),
	}))
	want := strings.Join([]string{
		"BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Gapura//Ticket//EN", "CALSCALE:GREGORIAN", "METHOD:PUBLISH", "BEGIN:VEVENT",
		"UID:0198f1c2@run.example", "DTSTAMP:20261201T030000Z", "DTSTART:20270307T110000Z", "DTEND:20270307T140000Z",
		`SUMMARY:Lari\, Malam\; Bandung`, "SEQUENCE:2", `LOCATION:Lapangan Gasibu\, Bandung`, `DESCRIPTION:Bawa KTP.\nPintu A\\B`,
		"URL:https://run.example/orders/1", "STATUS:CONFIRMED", "TRANSP:OPAQUE", "END:VEVENT", "END:VCALENDAR", "",
	}, "\r\n")
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestCalendarFoldsAndHoldsItsLines(t *testing.T) {
	t.Parallel()
	got := string(Calendar(Appointment{
		UID: "x", Locale: "id", Event: event.Text{ID: strings.Repeat("マラソン", 40) + "\r\nATTENDEE:mailto:evil@example.com\x00"},
		URL: "https://run.example/\r\nX-EVIL:1", StartsAt: time.Unix(0, 0), MadeAt: time.Unix(0, 0),
	}))
	unfolded := strings.ReplaceAll(got, "\r\n ", "")
	for line := range strings.SplitSeq(unfolded, "\r\n") {
		if strings.HasPrefix(line, "ATTENDEE") || strings.HasPrefix(line, "X-EVIL") {
			t.Errorf("input became a line of its own: %q", line)
		}
	}
	for line := range strings.SplitSeq(got, "\r\n") {
		if len(line) > 75 || !utf8.ValidString(line) {
			t.Errorf("a line of %d octets, valid UTF-8: %v", len(line), utf8.ValidString(line))
		}
	}
	if !strings.Contains(unfolded, strings.Repeat("マラソン", 40)) {
		t.Error("folding lost a character")
	}
}

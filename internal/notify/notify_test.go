package notify

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gapura/internal/event"
	"gapura/internal/id"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s changed (-want +got); run with -update if it should:\n%s", name, diff)
	}
}

func testComposer(t testing.TB) *Composer {
	t.Helper()
	c, err := NewComposer(Letterhead{
		From: Address{"Gapura", "tiket@run.example"}, Domain: "run.example", SiteURL: "https://run.example/", Site: "run.example",
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func testOrder(t testing.TB, locale string) Order {
	t.Helper()
	order, err := id.Parse("0198f1c2-7a4b-7cde-8f01-23456789abcd")
	if err != nil {
		t.Fatal(err)
	}
	zone, err := time.LoadLocation("Asia/Jakarta")
	if err != nil {
		t.Fatal(err)
	}
	const page = "https://run.example/orders/0198f1c2-7a4b-7cde-8f01-23456789abcd?token=abc"
	return Order{
		ID: order, Number: "GNR27-000123", Version: 2, Locale: locale, Contact: Address{"Siti Aminah", "siti@example.id"},
		Event: event.Text{ID: "Gapura Lari Malam 2027", EN: "Gapura Night Run 2027"}, Organiser: "Yayasan Lari Bandung",
		ReplyTo: "halo@laribandung.example", StartsAt: time.Date(2027, 3, 7, 11, 0, 0, 0, time.UTC), Timezone: zone,
		Venue: "Lapangan Gasibu", City: "Bandung", Total: 450000, Refunded: 200000,
		ExpiresAt: time.Date(2026, 12, 1, 3, 30, 0, 0, time.UTC), StatusURL: page, PayURL: page + "&pay=1",
		TicketsURL: "https://run.example/orders/0198f1c2/tickets.pdf?token=abc", EventURL: "https://run.example/e/gapura-night-run-2027",
		Participants: []Entry{
			{"Siti Aminah", event.Text{ID: "10 K", EN: "10 K"}, "https://run.example/t/1?token=abc"},
			{"محمد عبد الله", event.Text{ID: "Lari Santai", EN: "Fun Run"}, "https://run.example/t/2?token=abc"},
		},
		At: time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC),
	}
}

func testConfirmation(t testing.TB, locale string) Confirmation {
	t.Helper()
	o := testOrder(t, locale)
	return Confirmation{
		ID: "0f1e2d3c4b5a69788796a5b4c3d2e1f0", Send: 1, Locale: locale, Email: "siti@example.id", Code: "048213",
		Link:  "https://run.example/e/gapura-night-run-2027/antre?konfirmasi=0f1e2d3c4b5a69788796a5b4c3d2e1f0&kode=048213",
		Event: o.Event, Organiser: o.Organiser, ReplyTo: o.ReplyTo, StartsAt: o.StartsAt, Expires: o.ExpiresAt, Timezone: o.Timezone,
		Venue: o.Venue, City: o.City, At: o.At,
	}
}

func testCampaign() Campaign {
	return Campaign{
		ID: 7, Subject: event.Text{ID: "Pengambilan nomor dada", EN: "Bib pick-up"},
		Body: event.Text{
			ID: "Ambil nomor dada **Sabtu, 6 Maret** di *Gate A*.\n\n- Bawa KTP\n- Tunjukkan [tiket](https://run.example/t)\n\n<script>alert(1)</script>",
			EN: "Pick up your bib on **Saturday, 6 March** at *Gate A*.\n\n- Bring an identity card\n- Show your [ticket](https://run.example/t)",
		},
		Event: event.Text{ID: "Gapura Lari Malam 2027", EN: "Gapura Night Run 2027"}, Organiser: "Yayasan Lari Bandung",
		ReplyTo: "halo@laribandung.example", At: time.Date(2027, 3, 1, 3, 0, 0, 0, time.UTC),
	}
}

func testNewsletter(t testing.TB) *Newsletter {
	t.Helper()
	n, err := testComposer(t).Newsletter(testCampaign())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func testRecipient(locale string) Recipient {
	return Recipient{
		Cursor: "siti@example.id", Name: "Siti Aminah", Email: "siti@example.id", Locale: locale, Unsubscribe: "https://run.example/u/xyz",
	}
}

// formal is how no page of the site addresses its reader.
var formal = regexp.MustCompile(`(?i)\banda\b`)

func TestGoldenMails(t *testing.T) {
	t.Parallel()
	composer, newsletter := testComposer(t), testNewsletter(t)
	for _, locale := range []string{"id", "en"} {
		messages := map[Kind]Message{}
		for _, kind := range OrderKinds() {
			m, err := composer.Order(kind, testOrder(t, locale))
			if err != nil {
				t.Fatal(err)
			}
			messages[kind] = m
		}
		m, err := newsletter.To(testRecipient(locale))
		if err != nil {
			t.Fatal(err)
		}
		messages[Broadcast] = m
		if messages[ConfirmAddress], err = composer.Confirmation(testConfirmation(t, locale)); err != nil {
			t.Fatal(err)
		}
		for kind, m := range messages {
			head := "Message-ID: " + m.ID + "\nFrom: " + m.From.Name + " <" + m.From.Email + ">\nReply-To: " + m.ReplyTo +
				"\nTo: " + m.To.Name + " <" + m.To.Email + ">\nSubject: " + m.Subject + "\nUnsubscribe: " + m.Unsubscribe + "\n\n"
			golden(t, string(kind)+"."+locale+".txt", head+m.Text)
			golden(t, string(kind)+"."+locale+".html", m.HTML)
			if formal.MatchString(m.Subject + m.Text + m.HTML) {
				t.Errorf("%s addresses the reader as Anda; the pages say kamu", kind)
			}
		}
	}
}

func TestFreeOrderOfOneSpeaksOfNoMoney(t *testing.T) {
	t.Parallel()
	for _, locale := range []string{"id", "en"} {
		o := testOrder(t, locale)
		o.Total, o.Refunded, o.Participants = 0, 0, o.Participants[:1]
		m, err := testComposer(t).Order(OrderConfirmed, o)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(m.Text+m.HTML, "Rp") {
			t.Errorf("%s: a free order names an amount:\n%s", locale, m.Text)
		}
	}
}

func TestAHostileNameStaysAName(t *testing.T) {
	t.Parallel()
	const hostile = "Eve\r\nBcc: all@example.com\r\n\r\n<script>alert(1)</script>\u202e \"quoted\" <b>"
	for _, kind := range OrderKinds() {
		o := testOrder(t, "id")
		o.Contact.Name, o.Participants[0].Name, o.Event.ID, o.Venue, o.Organiser, o.Number = hostile, hostile, hostile, hostile, hostile, hostile
		o.StatusURL, o.PayURL, o.Participants[0].TicketURL = "javascript:alert(1)", "https://run.example/\r\nX: y", "data:text/html,x"
		m, err := testComposer(t).Order(kind, o)
		if err != nil {
			t.Fatal(err)
		}
		for _, header := range []string{m.Subject, m.To.Name, m.From.Name, m.ID, m.ReplyTo} {
			if strings.ContainsAny(header, "\r\n\u202e") {
				t.Errorf("%s: a header has a line break: %q", kind, header)
			}
		}
		for _, bad := range []string{"<script", "<b>", "javascript:", "data:text"} {
			if strings.Contains(m.HTML, bad) {
				t.Errorf("%s: the HTML contains %q", kind, bad)
			}
		}
		for line := range strings.SplitSeq(m.Text, "\n") {
			if strings.HasPrefix(line, "Bcc:") {
				t.Errorf("%s: a name became a line of its own", kind)
			}
		}
	}
}

func TestNewsletterLeavesRawHTMLOut(t *testing.T) {
	t.Parallel()
	m, err := testNewsletter(t).To(testRecipient("id"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(m.HTML, "<script") {
		t.Error("a script of the campaign's body is in the mail")
	}
	if m.Class != Bulk || m.Unsubscribe == "" || !strings.Contains(m.Text, m.Unsubscribe) || !strings.Contains(m.HTML, m.Unsubscribe) {
		t.Errorf("class %d, unsubscribe %q must be in header, text and HTML", m.Class, m.Unsubscribe)
	}
	if strings.Contains(m.ID, "siti") {
		t.Errorf("the Message-ID tells the address: %s", m.ID)
	}
}

func TestMessageIDsAreStableAndDistinct(t *testing.T) {
	t.Parallel()
	c := testComposer(t)
	seen := map[string]bool{}
	for _, kind := range OrderKinds() {
		for version := range 3 {
			o := testOrder(t, "id")
			o.Version = version
			first, err := c.Order(kind, o)
			if err != nil {
				t.Fatal(err)
			}
			o.Contact.Name = "Another Name" // a repetition after an edit is still the same message
			again, err := c.Order(kind, o)
			if err != nil {
				t.Fatal(err)
			}
			if first.ID != again.ID || seen[first.ID] {
				t.Errorf("%s version %d: %s, then %s; used before: %v", kind, version, first.ID, again.ID, seen[first.ID])
			}
			seen[first.ID] = true
		}
	}
}

func TestAddressesThatCannotGetMail(t *testing.T) {
	t.Parallel()
	for _, email := range []string{
		"", "siti", "siti@", "@example.id", "Siti <siti@example.id>", "siti@example.id\r\nBcc: x@example.id", "a b@example.id",
		`"a b"@example.id`, strings.Repeat("a", 250) + "@example.id", "siti@example.id, x@example.id",
	} {
		o := testOrder(t, "id")
		o.Contact.Email = email
		if m, err := testComposer(t).Order(OrderReceived, o); !errors.Is(err, ErrNoAddress) {
			t.Errorf("%q: composed to %q, %v", email, m.To.Email, err)
		}
	}
}

func TestWhatCannotBeComposed(t *testing.T) {
	t.Parallel()
	c := testComposer(t)
	if _, err := c.Order(Broadcast, testOrder(t, "id")); err == nil {
		t.Error("an order mail of kind broadcast was composed")
	}
	if _, err := c.Newsletter(Campaign{}); err == nil {
		t.Error("a newsletter without a subject was prepared")
	}
	r := testRecipient("id")
	r.Unsubscribe = "mailto:stop@run.example"
	if _, err := testNewsletter(t).To(r); err == nil {
		t.Error("a newsletter without one-click unsubscribing was composed")
	}
	if _, err := NewComposer(Letterhead{From: Address{"x", "nobody"}}); err == nil {
		t.Error("a sender without an address was accepted")
	}
}

func TestUnknownLocaleIsIndonesian(t *testing.T) {
	t.Parallel()
	o := testOrder(t, "de")
	m, err := testComposer(t).Order(OrderReceived, o)
	if err != nil || m.Locale != "id" || !strings.Contains(m.Text, "Halo Siti") {
		t.Errorf("locale %q, %v", m.Locale, err)
	}
}

func FuzzClean(f *testing.F) {
	f.Add("Siti\r\nBcc: x")
	f.Add("\u202e\xff\x00")
	f.Fuzz(func(t *testing.T, s string) {
		got := clean(s)
		if strings.ContainsAny(got, "\r\n\x00\u2028\u2029") || len([]rune(got)) > longest || clean(got) != got {
			t.Errorf("clean(%q) = %q, clean again = %q", s, got, clean(got))
		}
	})
}

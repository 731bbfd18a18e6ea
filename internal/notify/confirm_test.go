package notify

import (
	"errors"
	"strings"
	"testing"
)

// The mail goes to whoever was named, so what it says of the event is all that a stranger can put into it.
func TestAConfirmationSaysNothingOfWhoAsked(t *testing.T) {
	t.Parallel()
	const hostile = "Run\r\nBcc: all@example.com\r\n\r\n<script>alert(1)</script>"
	c := testConfirmation(t, "id")
	c.Event.ID, c.Venue, c.Organiser, c.Link, c.ReplyTo = hostile, hostile, hostile, "javascript:alert(1)", "x\r\ny"
	m, err := testComposer(t).Confirmation(c)
	if err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(m.Subject+m.To.Name+m.ReplyTo+m.ID, "\r\n") || strings.Contains(m.HTML, "<script") || strings.Contains(m.HTML, "javascript:") {
		t.Errorf("%q\n%s", m.Subject, m.HTML)
	}
	if m.To.Email != "siti@example.id" || m.To.Name != "" || m.Class != Transactional || !strings.Contains(m.Subject, c.Code) {
		t.Errorf("%+v", m)
	}
	for _, locale := range []string{"id", "en", "fr"} {
		c := testConfirmation(t, locale)
		if m, err = testComposer(t).Confirmation(c); err != nil || !strings.Contains(m.Text, c.Code) || !strings.Contains(m.Text, c.Link) {
			t.Errorf("%s: %v\n%s", locale, err, m.Text)
		}
	}
	first, _ := testComposer(t).Confirmation(testConfirmation(t, "id"))
	c = testConfirmation(t, "id")
	c.Send = 2
	if m, _ = testComposer(t).Confirmation(c); m.ID == first.ID {
		t.Error("a second mail would be taken for the first")
	}
	c.Email = "nobody"
	if _, err := testComposer(t).Confirmation(c); !errors.Is(err, ErrNoAddress) {
		t.Errorf("%v", err)
	}
}

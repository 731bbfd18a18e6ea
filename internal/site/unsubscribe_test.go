package site

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"gapura/internal/fault"
	"gapura/internal/id"
)

// optOut is who has stopped mailings.
type optOut struct {
	order    id.ID
	position int
}

// leavers are those who have; one key fits everybody.
type leavers struct{ gone []optOut }

func (l *leavers) OptOut(_ context.Context, order id.ID, position int, key string) error {
	if key != "the-key" {
		return fault.New(fault.NoSuchOrder)
	}
	l.gone = append(l.gone, optOut{order, position})
	return nil
}

func TestUnsubscribing(t *testing.T) {
	t.Parallel()
	l := &leavers{}
	s, _ := newSite(t, func(c *Config) { c.Mailings = l })
	order := id.New()
	path := "/unsubscribe/" + order.String() + "/2?key=the-key"
	w := get(t, s, path) // programs that check a mail's links do this
	want(t, w, 200, `action="`+path+`"`, "Berhenti menerima kabar lomba ini?", `name="robots" content="noindex`)
	if len(l.gone) != 0 {
		t.Fatal("looking at the page has stopped mailings")
	}
	if got := w.Header().Get("Referrer-Policy"); got != "strict-origin" {
		t.Errorf("the key may be sent on: Referrer-Policy %q", got)
	}
	want(t, post(t, s, path, url.Values{}), 200, "Sudah berhenti.")
	// A mail program's button, RFC 8058: no page, no cookie, no language.
	want(t, post(t, s, path, url.Values{"List-Unsubscribe": {"One-Click"}}), 200)
	if len(l.gone) != 2 || l.gone[0] != (optOut{order, 2}) || l.gone[1] != l.gone[0] {
		t.Errorf("stopped: %v", l.gone)
	}
	want(t, get(t, s, path+"&lang=en"), 200, "Stop mailings about this race?", `key=the-key&amp;lang=en"`)
}

func TestUnsubscribingWithTheWrongLink(t *testing.T) {
	t.Parallel()
	l := &leavers{}
	s, _ := newSite(t, func(c *Config) { c.Mailings = l })
	order := id.New().String()
	for _, path := range []string{
		"/unsubscribe/" + order + "/2", "/unsubscribe/" + order + "/2?key=another", "/unsubscribe/" + order + "/x?key=the-key",
		"/unsubscribe/" + strings.Repeat("z", 36) + "/1?key=the-key", "/unsubscribe/" + order + "/99999999999999999999?key=the-key",
	} {
		want(t, post(t, s, path, url.Values{}), 404)
	}
	without, _ := newSite(t)
	want(t, post(t, without, "/unsubscribe/"+order+"/1?key=the-key", url.Values{}), 404)
	if len(l.gone) != 0 {
		t.Errorf("stopped: %v", l.gone)
	}
}

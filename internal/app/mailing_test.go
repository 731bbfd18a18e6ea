package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gapura/internal/fault"
	"gapura/internal/id"
	"gapura/test/conformance"
)

// linked takes the parts out of an address to unsubscribe.
func linked(t *testing.T, link string) (path, key string) {
	t.Helper()
	path, key, found := strings.Cut(link, "?key=")
	if !found || !strings.HasPrefix(path, "https://run.example/unsubscribe/") {
		t.Fatalf("the link is %s", link)
	}
	return path, key
}

func TestLinksToUnsubscribe(t *testing.T) {
	t.Parallel()
	s := conformance.SQLite(t).Store(t)
	eventID := conformance.Apply(t, s, conformance.Race(t, "mailing-race", 100))
	o := conformance.NewOrder(eventID, 1, conformance.Free)
	if err := conformance.Write(t, s, eventID, o); err != nil {
		t.Fatal(err)
	}
	address := func() string { return "https://run.example" }
	before := &optOuts{store: s, keys: [][]byte{[]byte("former key")}, baseURL: address}
	now := &optOuts{store: s, keys: [][]byte{[]byte("present key"), []byte("former key")}, baseURL: address}
	foreign := &optOuts{store: s, keys: [][]byte{[]byte("another installation")}, baseURL: address}
	stranger := id.New()
	path, old := linked(t, before.link(o.Order.ID, 1))
	if strings.Contains(path, "@") || !strings.HasSuffix(path, o.Order.ID.String()+"/1") {
		t.Errorf("the link names %s", path)
	}
	_, present := linked(t, now.link(o.Order.ID, 1))
	_, strange := linked(t, foreign.link(o.Order.ID, 1))
	_, nobody := linked(t, now.link(o.Order.ID, 2))
	_, unknown := linked(t, now.link(stranger, 1))
	_, trial := linked(t, now.link(id.Nil, 1))
	for name, test := range map[string]struct {
		order    id.ID
		position int
		key      string
		want     fault.Code
	}{
		"the present key":                {o.Order.ID, 1, present, ""},
		"a key from before the rotation": {o.Order.ID, 1, old, ""},
		"another installation's key":     {o.Order.ID, 1, strange, fault.NoSuchOrder},
		"no key":                         {o.Order.ID, 1, "", fault.NoSuchOrder},
		"another participant's key":      {o.Order.ID, 1, nobody, fault.NoSuchOrder},
		"a participant who is not there": {o.Order.ID, 2, nobody, fault.NoSuchOrder},
		"an order that is not there":     {stranger, 1, unknown, fault.NoSuchOrder},
		"the link of a trial":            {id.Nil, 1, trial, ""},
	} {
		if got := fault.CodeOf(now.OptOut(t.Context(), test.order, test.position, test.key)); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestTheTextOfAMailing(t *testing.T) {
	t.Parallel()
	write := func(text string) string {
		path := filepath.Join(t.TempDir(), "news.md")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	one, err := broadcastCommand{SubjectID: "Kabar", Body: write("Halo")}.read()
	if err != nil || one.Subject.EN != "Kabar" || one.Body.EN != "Halo" || one.CreatedAt.IsZero() {
		t.Errorf("in one language: %+v, %v", one, err)
	}
	both, err := broadcastCommand{SubjectID: "Kabar", SubjectEN: "News", Body: write("Halo"), BodyEN: write("Hello")}.read()
	if err != nil || both.Subject.EN != "News" || both.Body.ID != "Halo" || both.Body.EN != "Hello" {
		t.Errorf("in both: %+v, %v", both, err)
	}
	for _, c := range []broadcastCommand{{Body: "no/such/file.md"}, {Body: write("Halo"), BodyEN: "no/such/file.md"}} {
		if _, err := c.read(); err == nil || !strings.Contains(err.Error(), "cannot read no/such/file.md") {
			t.Errorf("a file that is not there: %v", err)
		}
	}
}

package event

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func readFile(t testing.TB, parts ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func mustParse(t testing.TB, data []byte) *Event {
	t.Helper()
	e, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestParseTheDemoEvent(t *testing.T) {
	t.Parallel()
	f, err := ParseFile(readFile(t, "..", "app", "demo", "gapura-night-run.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Warnings) > 0 {
		t.Errorf("warnings: %v", f.Warnings)
	}
	e := f.Event
	if want := time.Date(2027, 3, 6, 11, 30, 0, 0, time.UTC); !e.StartsAt.Equal(want) {
		t.Errorf("starts at %s, want %s", e.StartsAt, want)
	}
	if e.Name.EN != "Gapura Night Run 2027" || !strings.Contains(e.Description.EN, "Gedung Sate") {
		t.Errorf("texts: %q, %q", e.Name, e.Description.EN)
	}
	if c, ok := e.Category("10k"); !ok || c.Prices[0].First != 200 || c.Price != 275000 {
		t.Errorf("10k: %+v", c)
	}
}

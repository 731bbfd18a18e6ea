package event

import (
	"errors"
	"strings"
	"testing"
)

// TestTheReferenceIsTrue reads the examples of docs/event-file.md: the file must parse without a warning, and the refusal
// must be the one that such a file gets.
func TestTheReferenceIsTrue(t *testing.T) {
	t.Parallel()
	page := string(readFile(t, "..", "..", "docs", "event-file.md"))
	example := fenced(t, page, "```yaml\n")
	f, err := ParseFile([]byte(example))
	if err != nil || len(f.Warnings) > 0 {
		t.Fatalf("%v, warnings %v", err, f)
	}
	if code := defaultCode(f.Event.Slug); code != f.Event.Code {
		t.Errorf("the page says that %s gives %s; it gives %s", f.Event.Slug, f.Event.Code, code)
	}
	bad := "slug: run\nname: Run\ntimezone: WIB\nstarts_at: 2027-03-07T18:00\n" +
		"registration: {opens_at: 2026-12-01T10:00, closes_at: 2027-02-20T23:59, max_participant: 5}\n" +
		"venue: {name: Gasibu}\ncategories: [{id: a, name: A, price: 250.000}]\n"
	_, err = Parse([]byte(bad))
	var refusal *FileError
	if !errors.As(err, &refusal) || refusal.Error() != strings.TrimSpace(fenced(t, page, "```text\n")) {
		t.Errorf("refused by\n%v", err)
	}
}

// fenced returns the only block that opens with fence.
func fenced(t *testing.T, page, fence string) string {
	t.Helper()
	_, after, opened := strings.Cut(page, "\n"+fence)
	text, rest, closed := strings.Cut(after, "\n```\n")
	if !opened || !closed || strings.Contains(rest, fence) {
		t.Fatalf("the page must have exactly one block that opens with %q", fence)
	}
	return text + "\n"
}

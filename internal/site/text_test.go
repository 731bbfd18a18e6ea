package site

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gapura/internal/fault"
	"gapura/internal/registration"
)

func placeholders(text string) []string {
	found := regexp.MustCompile(`\{\w+\}`).FindAllString(text, -1)
	slices.Sort(found)
	return slices.Compact(found)
}

func TestBothLanguagesSayEverything(t *testing.T) {
	t.Parallel()
	texts := sentences()
	for _, key := range keys(texts) {
		text := texts[key]
		if strings.TrimSpace(text.ID) == "" || strings.TrimSpace(text.EN) == "" {
			t.Errorf("%s: %q, %q", key, text.ID, text.EN)
		}
		if id, en := placeholders(text.ID), placeholders(text.EN); !slices.Equal(id, en) {
			t.Errorf("%s names %v in Indonesian and %v in English", key, id, en)
		}
	}
}

func TestEveryCodeHasASentence(t *testing.T) {
	t.Parallel()
	texts := sentences()
	for _, code := range fault.Codes() {
		if _, ok := texts["fault."+string(code)]; !ok {
			t.Errorf("fault %s", code)
		}
	}
	for _, code := range fieldCodes() {
		text, ok := texts["field."+code]
		if !ok {
			t.Errorf("field %s", code)
		}
		if _, plain := texts["field."+code+".plain"]; len(placeholders(text.ID)) > 0 && !plain {
			t.Errorf("field %s has placeholders and no plain sentence", code)
		}
	}
	for _, status := range allStatuses() {
		for _, part := range []string{"status", "headline", "lead"} {
			if _, ok := texts["order."+part+"."+string(status)]; !ok {
				t.Errorf("order.%s.%s", part, status)
			}
		}
	}
}

// fieldCodes are the codes that checks of a registration report at its fields.
func fieldCodes() []string {
	return []string{
		"required", "too_long", "control_character", "email_invalid", "phone_invalid", "date_invalid", "date_in_future",
		"name_invalid", "duplicate_participant", "unknown_category", "unknown_option", "unknown_question",
		"too_many_participants", "too_young", "too_old", "option_sold_out",
	}
}

// The checks of a registration report no code that has no sentence.
func TestCodesOfTheChecksAreKnown(t *testing.T) {
	t.Parallel()
	texts := sentences()
	reported := regexp.MustCompile(`(?:fail\([^"\n]*|return "", |return |Code: )"([a-z]+_[a-z_]+|required)"`)
	var seen []string
	for _, pattern := range []string{"../registration/*.go", "../person/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			for _, match := range reported.FindAllStringSubmatch(read(t, file), -1) {
				if _, ok := texts["field."+match[1]]; ok {
					seen = append(seen, match[1])
				} else if filepath.Base(file) == "check.go" || strings.Contains(file, "person") {
					t.Errorf("%s reports %q, which the pages cannot say", file, match[1])
				}
			}
		}
	}
	if len(seen) < 10 {
		t.Errorf("only %d codes were found in the checks: the pattern is out of date", len(seen))
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEverythingThatIsSaidIsInTheCatalogue(t *testing.T) {
	t.Parallel()
	texts := sentences()
	used := map[string]bool{}
	for pattern, said := range map[string]*regexp.Regexp{
		"pages/*.html":       regexp.MustCompile(`\.T "([a-z0-9_.]+)"`),
		"*.go":               regexp.MustCompile(`\.T\("([a-z0-9_.]+)"[,)]`),
		"../../web/src/*.ts": regexp.MustCompile(`say\('([a-z0-9_.]+)'`),
	} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, file := range files {
			for _, match := range said.FindAllStringSubmatch(read(t, file), -1) {
				used[match[1]] = true
				if _, ok := texts[match[1]]; !ok {
					t.Errorf("%s says %s", file, match[1])
				}
			}
		}
	}
	// Keys that are put together from a part and a code.
	composed := regexp.MustCompile(`^(fault|field|order\.(status|headline|lead|place|file)|waiting|draw|level|count|problem\.\d|event\.by_|js\.(stopped|sending|unknown|offline|busy|limited|in_flight|unreachable))`)
	field := regexp.MustCompile(`^form\.(name|email|phone|birth_date|gender|category|female|male)$`)
	for _, key := range keys(texts) {
		if !used[key] && !composed.MatchString(key) && !field.MatchString(key) && !usedAsLabel(t, key) {
			t.Errorf("nobody says %s", key)
		}
	}
}

// usedAsLabel finds keys that are handed on as a label before they are said.
func usedAsLabel(t *testing.T, key string) bool {
	t.Helper()
	return strings.Contains(read(t, "form.go"), `"`+key+`"`)
}

func TestNothingTheScriptSaysIsMissingFromThePage(t *testing.T) {
	t.Parallel()
	s, d := newSite(t)
	live, _ := d.Event(slug)
	data := s.formData(words{lang: "id", texts: s.texts}, live)
	for _, file := range []string{"form.ts", "people.ts", "errors.ts"} {
		source := read(t, "../../web/src/"+file)
		for _, match := range regexp.MustCompile(`say\('([a-z0-9_.]+)'`).FindAllStringSubmatch(source, -1) {
			if _, ok := data.Texts[match[1]]; !ok && !strings.HasPrefix(match[1], "waiting.") { // those come with a waiting room
				t.Errorf("%s says %s, which the page does not carry", file, match[1])
			}
		}
	}
}

func allStatuses() []registration.Status {
	return []registration.Status{
		registration.AwaitingPayment, registration.Confirmed, registration.Expired, registration.Cancelled,
		registration.Refunding, registration.Refunded, registration.PaidNoPlace,
	}
}

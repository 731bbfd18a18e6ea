package httpapi

import (
	"context"
	"encoding/json"
	"flag"
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"gapura/internal/fault"
	"gapura/internal/money"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestEveryCodeHasAStatusAndSentences(t *testing.T) {
	t.Parallel()
	for _, code := range fault.Codes() {
		if status := statusOf(code); status == http.StatusInternalServerError && code != fault.Internal {
			t.Errorf("%s falls through to 500", code)
		}
		p, ok := problemPhrases[code]
		if !ok {
			t.Errorf("%s has no phrase", code)
		}
		for _, text := range []string{p.title.id, p.title.en, p.detail.id, p.detail.en} {
			if text == "" {
				t.Errorf("%s lacks a title or a sentence: %+v", code, p)
			}
		}
		if p.title.id == p.title.en || p.detail.id == p.detail.en {
			t.Errorf("%s says the same in both languages", code)
		}
	}
	if len(problemPhrases) != len(fault.Codes()) {
		t.Errorf("%d phrases for %d codes", len(problemPhrases), len(fault.Codes()))
	}
}

// The codes of faulty fields are literals in the checks; whoever adds one there must add its phrase here.
func TestEveryFieldCodeHasAPhrase(t *testing.T) {
	t.Parallel()
	found := map[string]bool{}
	for pattern, expression := range map[string]string{
		"../registration/*.go": `(?:\.fail\([^"]*?(?:"[^"]*")?[^"]*?, |Code: |return )"([a-z]+_?[a-z_]*)"`,
		"../person/person.go":  `= "([a-z_]+)"`,
		"*.go":                 `Code: "([a-z_]+)"`,
	} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, match := range regexp.MustCompile(expression).FindAllStringSubmatch(string(source), -1) {
				found[match[1]] = true
			}
		}
	}
	for _, elsewhere := range []string{"id", "en", "male", "female"} {
		delete(found, elsewhere)
	}
	if len(found) < 18 {
		t.Errorf("the sources seem to know only %d codes: %v", len(found), found)
	}
	for code := range found {
		if p := fieldPhrases[code]; p.id == "" || p.en == "" || p.id == p.en {
			t.Errorf("%s: %+v", code, p)
		}
	}
	for code := range fieldPhrases {
		if !found[code] {
			t.Errorf("nothing produces %s", code)
		}
	}
}

// faults are one of each code with what it carries in life.
func faults() map[fault.Code]*fault.Fault {
	all := map[fault.Code]*fault.Fault{}
	for _, code := range fault.Codes() {
		all[code] = fault.Wrap(code, errPlanted)
	}
	all[fault.ValidationFailed].Fields = []fault.Field{
		{Pointer: "/contact/name", Code: "required"},
		{Pointer: "/participants/1/birth_date", Code: "too_young", Params: map[string]any{"min_age": 17}},
	}
	all[fault.SoldOut] = fault.New(fault.SoldOut).With("categories", []string{"10k"}).With("quota", "total").With("may_return", true).
		With("next_hold_ends_at", opened.Add(time.Minute))
	all[fault.PriceChanged] = fault.New(fault.PriceChanged).With("total", money.Rupiah(450000)).With("expected_total", money.Rupiah(200000))
	all[fault.NotOpen] = fault.New(fault.NotOpen).With("opens_at", opened).After(90*time.Second + time.Millisecond)
	all[fault.Overloaded] = fault.New(fault.Overloaded).After(2300 * time.Millisecond)
	all[fault.TooLarge] = fault.New(fault.TooLarge).With("limit", maxOrderBody)
	return all
}

func TestProblemDocuments(t *testing.T) {
	t.Parallel()
	for code, refusal := range faults() {
		for _, locale := range []string{"id", "en"} {
			f := newFixture(t)
			f.desk.refusal = refusal
			w := f.ask("POST", ordersPath, goodOrder, "Content-Type", "application/json", "Idempotency-Key", "golden-golden-golden", "Accept-Language", locale)
			if w.Code != statusOf(code) || w.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s: status %d, %s", code, w.Code, w.Header().Get("Content-Type"))
			}
			if strings.Contains(w.Body.String(), "planted") {
				t.Errorf("%s shows its cause: %s", code, w.Body)
			}
			golden(t, string(code)+"."+locale+".json", w.Body.Bytes())
		}
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	var document any
	if err := json.Unmarshal(got, &document); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	text, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "problems", name)
	if *update {
		if err := os.WriteFile(path, append(text, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != string(text)+"\n" {
		t.Errorf("%s is\n%s\nwant\n%s", name, text, want)
	}
}

func TestRetryAfterIsRoundedUp(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.desk.refusal = fault.New(fault.Overloaded).After(2300 * time.Millisecond)
	if got := f.post("k", goodOrder).Header().Get("Retry-After"); got != "3" {
		t.Errorf("Retry-After %q, want 3", got)
	}
}

func TestAMistakeOfOursIsA500WithoutItsCause(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.desk.refusal = errPlanted
	w := f.post("k", goodOrder)
	if w.Code != 500 || strings.Contains(w.Body.String(), "planted") || !strings.Contains(w.Body.String(), `"code":"internal"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestLocale(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"": "id", "id": "id", "id-ID,id;q=0.9,en;q=0.8": "id", "en": "en", "en-US,en;q=0.9,id;q=0.8": "en", "EN": "en",
		"fr-CH, fr;q=0.9, en;q=0.8, *;q=0.5": "en", "de": "id", "*": "id", "en;q=0.2, id;q=0.9": "id", "en;q=0": "id",
		"id;q=0.4,en;q=0.5": "en", "enx": "id", "en;q=broken": "id", ",,;;q=,": "id", " en ": "en",
	} {
		r, err := http.NewRequest(http.MethodGet, "/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept-Language", header)
		if got := localeOf(r, "id"); got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
		if got := localeOf(r, "en"); got != want && strings.Contains(header, want) {
			t.Errorf("%q where English is the default: %s, want %s", header, got, want)
		}
	}
}

// A visitor who hung up is no failure of ours, neither in the metrics nor in the log.
func TestAVisitorWhoHungUpIsNoError(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.desk.refusal = fault.Wrap(fault.Internal, context.Canceled)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(gone, "POST", ordersPath, strings.NewReader(goodOrder))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", "k")
	w := httptest.NewRecorder()
	f.api.ServeHTTP(w, r)
	if w.Code != statusClientGone || w.Body.Len() > 0 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := f.post("k", goodOrder); w.Code != http.StatusInternalServerError {
		t.Errorf("cancelled by ourselves while the visitor waits: %d", w.Code)
	}
}

// The type of every problem leads to a page that says in both languages what it means and what to do.
func TestEveryCodeHasAPage(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	said := map[string]fault.Code{}
	for _, code := range fault.Codes() {
		path := strings.TrimPrefix(problemBody(fault.New(code), "https://daftar.example.id", "id")["type"].(string), "https://daftar.example.id")
		w := f.ask("GET", path, "")
		if w.Code != 200 || w.Header().Get("Content-Type") != "text/html; charset=utf-8" || w.Header().Get("Cache-Control") == "no-store" {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
		act := problemActs[code]
		for _, text := range []string{string(code), strconv.Itoa(statusOf(code)), titleOf(code, "id"), titleOf(code, "en"), meaningOf(code, "id"), meaningOf(code, "en"), act.id, act.en} {
			if text == "" || !strings.Contains(html.UnescapeString(w.Body.String()), text) {
				t.Errorf("%s does not say %q", path, text)
			}
		}
		if other, again := said[act.en]; again || act.id == act.en || strings.Contains(w.Body.String(), "%!") {
			t.Errorf("%s says the same as %s, or in both languages", code, other)
		}
		said[act.en] = code
		if w := f.ask("GET", path, "", "If-None-Match", w.Header().Get("Etag")); w.Code != http.StatusNotModified || w.Body.Len() > 0 {
			t.Errorf("%s again: %d", path, w.Code)
		}
	}
	if len(problemActs) != len(fault.Codes()) {
		t.Errorf("%d explanations for %d codes", len(problemActs), len(fault.Codes()))
	}
	if w := f.ask("GET", "/problems/no-such-code", ""); w.Code != 404 || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("an unknown code: %d %v", w.Code, w.Header())
	}
}

// Where APP_LOCALE is en, those who prefer neither language are answered in English, and pages begin with it.
func TestTheDefaultLanguage(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	english := New(Config{Desk: f.desk, Clock: f.clock, Log: slog.New(slog.DiscardHandler), Locale: "en"})
	for header, want := range map[string]string{"": "No such event", "fr": "No such event", "id": "Acara tidak ditemukan"} {
		r := httptest.NewRequest(http.MethodGet, "/api/v1/events/none", nil)
		r.Header.Set("Accept-Language", header)
		w := httptest.NewRecorder()
		english.ServeHTTP(w, r)
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("Accept-Language %q: %s", header, w.Body)
		}
	}
	w := httptest.NewRecorder()
	english.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/problems/overloaded", nil))
	if !strings.Contains(w.Body.String(), `<html lang="en">`) || !strings.Contains(w.Body.String(), "<h1>Overloaded</h1>") {
		t.Errorf("the page: %.200s", w.Body)
	}
}

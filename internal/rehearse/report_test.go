package rehearse

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// judgedRun is a small run with something of everything. Every seventh order is lost, because the runner of a single lost one
// may have hung up before the answer came, and then nothing acknowledged is missing.
func judgedRun(t *testing.T) *Result {
	t.Helper()
	f := newFakeServer(t, 150, sins{loses: 7, overloadEvery: 30})
	p := testPlan(f.URL, 150, 300*time.Millisecond)
	p.Quotas = []Quota{{ID: "total", Size: 150, Categories: []string{"10k", "fun", "hm"}}}
	r := run(t, p)
	r.Title = `Lari <Malam> & "Siang"`
	return r
}

func TestTheReportHoldsEverythingAndLoadsNothing(t *testing.T) {
	t.Parallel()
	r := judgedRun(t)
	dir := filepath.Join(t.TempDir(), "new", "report")
	if err := WriteReport(dir, r); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(dir, ReportFile))
	if err != nil {
		t.Fatal(err)
	}
	if m := regexp.MustCompile(`(?i)(\ssrc\s*=|href\s*=|@import|url\(|fetch\()`).Find(page); m != nil {
		t.Errorf("the page refers to something: %s", m)
	}
	if strings.Contains(string(page), "<Malam>") || strings.Contains(string(page), "ZgotmplZ") || strings.Contains(string(page), "NaN") {
		t.Error("the page is not escaped or has no number somewhere")
	}
	for _, want := range []string{"Gladi bersih hari pembukaan", "Opening-day rehearsal", "sold_out", "Every acknowledged order exists", "status 404"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if n := strings.Count(string(page), "<svg"); n != 4 {
		t.Errorf("%d plots, want 4", n)
	}
	checkAttempts(t, filepath.Join(dir, AttemptsFile), r)
	checkSummary(t, filepath.Join(dir, SummaryFile), r)
}

// checkAttempts reads the raw results back.
func checkAttempts(t *testing.T, path string, r *Result) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	if err != nil || len(rows) != len(r.Attempts)+1 {
		t.Fatalf("%d rows for %d attempts, %v", len(rows), len(r.Attempts), err)
	}
	acknowledged := 0
	for _, row := range rows[1:] {
		if row[6] == "acknowledged" {
			acknowledged++
		}
	}
	if acknowledged != r.Acknowledged {
		t.Errorf("%d acknowledged rows, want %d", acknowledged, r.Acknowledged)
	}
	if bytes.Contains(b, []byte("example.id")) || bytes.Contains(b, []byte("+6281")) || bytes.Contains(b, []byte("token-")) {
		t.Error("the raw results hold personal data or a token")
	}
}

func checkSummary(t *testing.T, path string, r *Result) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Acknowledged int
		Clean        bool
		Findings     []Finding
		Answers      map[string]int
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Acknowledged != r.Acknowledged || doc.Clean || len(doc.Findings) != len(r.Findings) || doc.Answers["sold_out"] == 0 {
		t.Errorf("%+v", doc)
	}
}

func TestTheSummaryFitsATerminal(t *testing.T) {
	t.Parallel()
	r := judgedRun(t)
	var b strings.Builder
	if err := WriteSummary(&b, r); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > 80 && !strings.HasPrefix(line, "      ") {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	for _, want := range []string{"acknowledged", "p99.9", "✗ Every acknowledged order exists", "checks are broken"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the summary lacks %q:\n%s", want, b.String())
		}
	}
}

func TestNumbersAreWrittenForPeople(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		grouped(1234567): "1,234,567", grouped(-1000): "-1,000", grouped(999): "999",
		whole(12345): "12\u202f345", number(12.34): "12,3", number(1.5): "1,5", number(0): "0", number(1234.6): "1\u202f235",
		duration(1500 * time.Microsecond): "1,5\u202fms", duration(90 * time.Second): "90\u202fs", percent(0.999): "99,9\u202f%",
		shortDuration(12345 * time.Microsecond): "12.3 ms", shortDuration(0): "–",
		indonesianDate(time.Date(2026, 12, 1, 3, 30, 0, 0, time.UTC)): "1 Desember 2026, 10.30 WIB",
		english("0,5 s of 1\u202f234,5, then"):                        "0.5 s of 1\u202f234.5, then",
		minutes(65.2, true):                                           "1:05,2", minutes(125, false): "2:05",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestRateCountsFullSecondsOnly(t *testing.T) {
	t.Parallel()
	second := func(n int) Second { return Second{Acknowledged: n} }
	got := rateOf([]Second{second(10), second(100), second(120), second(110), second(900)}, 4*time.Second)
	if want := (Rate{Median: 110, Mean: 110, Peak: 900, PeakAt: 4, Full: 3}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestRecoveryIsTheReturnToAnEvenRate(t *testing.T) {
	t.Parallel()
	// 100 a step for 5 s, silence for 2 s, a burst of what was missed, then normal.
	var acknowledged []int
	add := func(steps, n int) {
		for range steps {
			acknowledged = append(acknowledged, n)
		}
	}
	add(50, 100)
	add(20, 0)
	add(2, 1000)
	add(50, 100)
	rec := recovery("kill", acknowledged, 5*time.Second, 5*time.Second, 12*time.Second)
	if rec.Before != 1000 || (rec.Took-2*time.Second).Abs() > time.Duration(part)*step {
		t.Errorf("%+v, want 1000/s and 2 s to a fifth of a second", rec)
	}
	if rec := recovery("kill", acknowledged[:70], 5*time.Second, 5*time.Second, 7*time.Second); rec.Took != -1 {
		t.Errorf("%+v, want no recovery", rec)
	}
}

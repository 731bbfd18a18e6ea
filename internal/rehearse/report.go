package rehearse

import (
	"bufio"
	"embed"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// pages are the report of one crowd, that of two, and what they share.
//
//go:embed report.html.tmpl contrast.html.tmpl parts.html.tmpl
var pages embed.FS

// The files that WriteReport writes.
const (
	ReportFile   = "report.html"
	AttemptsFile = "attempts.csv"
	SummaryFile  = "summary.json"
)

// WriteReport writes the report, a page that loads nothing from elsewhere, the raw results and a summary for programs into
// dir, which is made if it does not exist. None of them holds personal data or a token.
func WriteReport(dir string, r *Result) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // a report is for others to read, and holds nothing personal
		return fmt.Errorf("report: %w", err)
	}
	for name, write := range map[string]func(io.Writer, *Result) error{
		ReportFile: writePage, AttemptsFile: writeAttempts, SummaryFile: writeSummaryJSON,
	} {
		if err := writeFile(filepath.Join(dir, name), func(w io.Writer) error { return write(w, r) }); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	return nil
}

func writeFile(path string, write func(io.Writer) error) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 1<<16)
	if err := write(w); err != nil {
		return err
	}
	return w.Flush()
}

// writePage writes the report.
func writePage(w io.Writer, r *Result) error {
	return render(w, "report.html.tmpl", newPage(r))
}

func render(w io.Writer, name string, data any) error {
	all, err := template.New(name).Funcs(template.FuncMap{"en": english}).ParseFS(pages, "*.tmpl")
	if err != nil {
		return err
	}
	return all.ExecuteTemplate(w, name, data)
}

// attemptColumns are the columns of the raw results. Times are milliseconds from the opening.
var attemptColumns = []string{
	"intended_ms", "start_ms", "end_ms", "kind", "try", "status", "code", "replayed", "order_id", "key",
	"participants", "categories",
}

// writeAttempts writes every request as a line, by the moment it was meant for.
func writeAttempts(w io.Writer, r *Result) error {
	out := csv.NewWriter(w)
	if err := out.Write(attemptColumns); err != nil {
		return err
	}
	for i := range r.Attempts {
		a := &r.Attempts[i]
		o := &r.Orders[a.Order]
		distinct := map[uint8]bool{}
		for _, c := range o.Categories[:o.Size] {
			distinct[c] = true
		}
		err := out.Write([]string{
			milliseconds(a.Intended), milliseconds(a.Start), milliseconds(a.End), a.Kind.String(), strconv.Itoa(int(a.Try)),
			strconv.Itoa(a.Status), r.Codes[a.Code], strconv.FormatBool(a.Replayed), a.Receipt.ID, r.people.Key(a.Order),
			strconv.Itoa(o.Size), strconv.Itoa(len(distinct)),
		})
		if err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 3, 64)
}

// writeSummaryJSON writes the figures for programs. Durations are milliseconds.
func writeSummaryJSON(w io.Writer, r *Result) error {
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	latency := func(l Latency) map[string]any {
		return map[string]any{
			"count": l.Count, "mean": ms(l.Mean), "p50": ms(l.P50), "p90": ms(l.P90), "p99": ms(l.P99),
			"p999": ms(l.P999), "max": ms(l.Max),
		}
	}
	recoveries := make([]map[string]any, 0, len(r.Recoveries))
	for _, rec := range r.Recoveries {
		recoveries = append(recoveries, map[string]any{
			"after": rec.After, "at_ms": ms(rec.At), "before_per_second": rec.Before,
			"took_ms": ms(rec.Took), "recovered": rec.Took >= 0,
		})
	}
	doc := map[string]any{
		"event": r.Slug, "run": r.Run, "seed": r.Plan.Crowd.Seed, "started": r.Started, "demand": describe(r.Plan.Crowd.Demand),
		"source": r.Source, "connections": r.Plan.Connections, "orders": len(r.Orders), "people": r.People,
		"offered": r.Offered, "unanswered": r.Unanswered, "acknowledged": r.Acknowledged, "places": r.Places, "places_given_back": r.GivenBack,
		"length_ms": ms(r.Length), "end_ms": ms(r.End),
		"acknowledged_per_second": map[string]any{
			"median": r.Rate.Median, "mean": r.Rate.Mean, "peak": r.Rate.Peak,
			"peak_at_second": r.Rate.PeakAt, "full_seconds": r.Rate.Full,
		},
		"latency_ms": latency(r.Latency), "client_queue_ms": latency(r.ClientQueue), "journey_ms": latency(r.Journey),
		"overloaded_ms": latency(r.Refusal), "answers": r.ByCode, "places_by_category": r.ByCategory,
		"recoveries": recoveries, "idle_open": r.IdleOpen, "findings": r.Findings, "clean": r.Clean(),
	}
	if rr := r.Room; rr != nil {
		doc["waiting_room"] = map[string]any{
			"opens_ms": ms(rr.Opens), "wanted": rr.Sold.Wanted, "had": rr.Sold.Had, "success": rr.Sold.Share(), "outcomes": rr.named(),
			"came_in_first_second": rr.Offered, "sent_in_first_second": rr.Sent, "unanswered": rr.broken(), "best_per_second": rr.Best,
			"first_answer_ms": latency(rr.First), "ticket_ms": latency(rr.Tickets), "poll_ms": latency(rr.Looks), "pass_ms": latency(rr.Passes),
			"bots": map[string]any{
				"number": rr.Bots.Number, "requests": rr.Bots.Requests, "tickets": rr.Bots.Tickets,
				"passes": rr.Bots.Passes, "orders": rr.Bots.Orders,
			},
		}
		if rr.Mail != nil {
			doc["mail"] = map[string]any{"people": rr.Mail.People, "bots": rr.Mail.Bots, "code_ms": latency(rr.Mail.Wait)}
		}
	}
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	return out.Encode(doc)
}

// named returns how those without an order fared, by name.
func (rr *RoomResult) named() map[string]int {
	named := map[string]int{}
	for o, n := range rr.Outcomes {
		named[strings.ReplaceAll(outcomeNames[o].EN, " ", "_")] = n
	}
	return named
}

package rehearse

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"gapura/internal/rehearse/chart"
	"gapura/internal/rehearse/crowd"
)

// page is what the report shows. Numbers are written as the SI does it, in groups of three with a narrow space and, as in
// Indonesian, a decimal comma: that cannot be misread in either language.
type page struct {
	Title, Slug, Run, Date string
	Demand, DemandEN       string
	Source                 string
	Clean                  bool
	Interrupted            bool
	Broken, Checks         int
	Tiles                  []tile
	Arrivals, Latencies    template.HTML
	Answers, Distribution  template.HTML
	Step                   string
	ArrivalKeys            []legend
	AnswerKeys             []legend
	Codes                  []codeRow
	Rows                   []latencyRow
	Categories             []categoryRow
	Findings               []findingRow
	Events                 []eventRow
	Seed                   string
	Connections            string
	Room                   *roomPage // nil: the event has no waiting room
}

type tile struct{ Value, Unit, Label, LabelEN, Class string }

type legend struct{ Class, Name string }

type codeRow struct {
	Class, Code, Count, Share, Meaning, MeaningEN string
	Width                                         template.CSS
}

type latencyRow struct{ Label, LabelEN, P50, P90, P99, P999, Max string }

type categoryRow struct {
	ID, Places string
	Width      template.CSS
}

type findingRow struct {
	Class, Mark, Title, TitleEN, Tally, By string
	Note                                   Text
	Examples                               []string
}

type eventRow struct{ What, Detail string }

func newPage(r *Result) *page {
	t := cut(r)
	p := &page{
		Title: r.Title, Slug: r.Slug, Run: r.Run, Date: indonesianDate(r.Started), Source: r.Source, Clean: r.Clean(), Interrupted: r.Interrupted,
		Broken: len(Broken(r.Findings)), Checks: judged(r.Findings), Tiles: tiles(r), Step: number(t.step.Seconds()),
		Seed: strconv.FormatUint(r.Plan.Crowd.Seed, 10), Connections: whole(r.Plan.Connections), Rows: latencyRows(r),
		Categories: categoryRows(r), Findings: findingRows(r), Events: eventRows(r),
	}
	p.Demand, p.DemandEN = demandText(r.Plan.Crowd.Demand)
	p.DemandEN = english(p.DemandEN)
	marks := marksOf(r)
	p.Arrivals, p.ArrivalKeys = arrivalsPlot(t, marks)
	p.Latencies = latencyPlot(t, marks)
	p.Answers, p.AnswerKeys = answersPlot(r, t, marks)
	p.Distribution = distributionPlot(r)
	p.Codes = codeRows(r)
	if p.Room = newRoomPage(r); p.Room != nil {
		p.Tiles = p.Room.Tiles
		p.Demand, p.DemandEN = crowdText(r, p.Demand, p.DemandEN)
	}
	return p
}

// judged counts the checks that looked at something.
func judged(findings []Finding) int {
	n := 0
	for _, f := range findings {
		if f.Checked > 0 && !f.Info {
			n++
		}
	}
	return n
}

func tiles(r *Result) []tile {
	rate := tile{whole(r.Rate.Peak), "/s", "pesanan per detik, terbaik", "orders per second, best", ""}
	if r.Rate.Full > 0 && r.Plan.Crowd.Demand.Curve == crowd.CurveConstant {
		rate = tile{whole(int(r.Rate.Median)), "/s", "pesanan per detik, median", "orders per second, median", ""}
	}
	value, unit := splitDuration(r.Latency.P99)
	p99 := tile{value, unit, "99 dari 100 menunggu paling lama", "99 in 100 waited at most", ""}
	busy, soldOut := r.ByCode["overloaded"]+r.ByCode["rate_limited"], r.ByCode["sold_out"]
	refused := tile{whole(busy), "", "kali diminta kembali sebentar lagi", "times asked to come back shortly", ""}
	if soldOut > busy {
		refused = tile{whole(soldOut), "", "kali dijawab tempat habis", "times answered sold out", ""}
	}
	return []tile{
		{whole(r.Acknowledged), "", "pesanan diterima", "orders acknowledged", "good"},
		{whole(r.Places - r.GivenBack), "", "tempat terisi, tanpa yang dibatalkan", "places taken, without those given back", ""},
		rate, p99, refused,
	}
}

func latencyRows(r *Result) []latencyRow {
	var out []latencyRow
	add := func(label, english string, l Latency) {
		if l.Count > 0 {
			out = append(out, latencyRow{label, english, duration(l.P50), duration(l.P90), duration(l.P99), duration(l.P999), duration(l.Max)})
		}
	}
	add("Sampai pesanan diterima", "Until the order was acknowledged", r.Latency)
	add("Termasuk antre di sisi penguji", "Of that, waiting in the load generator", r.ClientQueue)
	add("Kunjungan seutuhnya, dengan ulangan", "The whole visit, with repeats", r.Journey)
	add("Sampai jawaban “overloaded”", "Until the answer “overloaded”", r.Refusal)
	return out
}

func categoryRows(r *Result) []categoryRow {
	most := 1
	for _, n := range r.ByCategory {
		most = max(most, n)
	}
	out := make([]categoryRow, 0, len(r.target.event.Categories))
	for _, c := range r.target.event.Categories {
		n := r.ByCategory[c.ID]
		out = append(out, categoryRow{c.ID, whole(n), barWidth(n, most)})
	}
	return out
}

// barWidth is the length of a bar in a table, as a share of the largest.
func barWidth(n, most int) template.CSS {
	return template.CSS(fmt.Sprintf("width:%.1f%%", 100*float64(n)/float64(max(most, 1)))) //nolint:gosec // a number
}

func findingRows(r *Result) []findingRow {
	out := make([]findingRow, 0, len(r.Findings))
	for _, f := range r.Findings {
		row := findingRow{Class: "good", Mark: "✓", Title: f.Title.ID, TitleEN: f.Title.EN, Note: f.Note, Examples: f.Examples, By: f.By}
		switch {
		case f.Info:
			row.Class, row.Mark = "info", "i"
		case f.Broken > 0:
			row.Class, row.Mark = "bad", "✗"
		case f.Checked == 0:
			row.Class, row.Mark = "info", "–"
		}
		if row.Title == "" {
			row.Title = cmp.Or(f.Title.EN, f.Check)
		}
		row.Tally = whole(f.Checked)
		if f.Broken > 0 {
			row.Tally = whole(f.Broken) + " / " + whole(f.Checked)
		}
		out = append(out, row)
	}
	// What is broken comes first; otherwise the order is that of the judges.
	slices.SortStableFunc(out, func(a, b findingRow) int { return cmp.Compare(rankOf(a.Class), rankOf(b.Class)) })
	return out
}

func rankOf(class string) int { return slices.Index([]string{"bad", "good", "info"}, class) }

func eventRows(r *Result) []eventRow {
	out := make([]eventRow, 0, len(r.Faults)+len(r.Recoveries))
	for _, f := range r.Faults {
		detail := fmt.Sprintf("pada detik ke-%s · at second %[1]s (%s)", number(f.At.Seconds()), duration(f.Took))
		if f.Err != "" {
			detail += ": " + f.Err
		}
		out = append(out, eventRow{f.Name, detail})
	}
	for _, rec := range r.Recoveries {
		detail := fmt.Sprintf("pulih dalam %s s ke 90%% dari %s/s · recovered in %s s", number(rec.Took.Seconds()), whole(int(rec.Before)), number(rec.Took.Seconds()))
		if rec.Took < 0 {
			detail = "belum pulih sampai kurva berakhir · not recovered before the curve ended"
		}
		out = append(out, eventRow{rec.After, detail})
	}
	return out
}

func demandText(d crowd.Demand) (indonesian, english string) {
	switch d.Curve {
	case crowd.CurveOnsale:
		return fmt.Sprintf("Kurva permintaan nyata dari pembukaan penjualan tahun 2026, dikali %s, diputar %s× lebih cepat",
				number(d.Scale), number(d.Speed)),
			fmt.Sprintf("The real demand curve of a 2026 on-sale, times %s, played %s× as fast", number(d.Scale), number(d.Speed))
	case crowd.CurveSpike:
		return fmt.Sprintf("Lonjakan: %s pesanan dalam %s detik", whole(d.Orders), number(d.For.Seconds())),
			fmt.Sprintf("A spike: %s orders in %s s", whole(d.Orders), number(d.For.Seconds()))
	case crowd.CurveSurge:
		return fmt.Sprintf("%s pesanan per detik selama %s detik; %s× lipat selama %s detik", whole(int(d.Rate)), number(d.For.Seconds()), number(d.Surge), number(d.SurgeFor.Seconds())),
			fmt.Sprintf("%s orders a second for %s s; %s times that for %s s", whole(int(d.Rate)), number(d.For.Seconds()), number(d.Surge), number(d.SurgeFor.Seconds()))
	default:
		return fmt.Sprintf("%s pesanan per detik selama %s detik", whole(int(d.Rate)), number(d.For.Seconds())),
			fmt.Sprintf("%s orders a second for %s s", whole(int(d.Rate)), number(d.For.Seconds()))
	}
}

// crowdText says how the crowd came to the waiting room.
func crowdText(r *Result, indonesian, english string) (id, en string) {
	q := r.Plan.Crowd.Queue
	if q.Early > 0 {
		early := comma(100*q.Early, 0) + narrow + "%"
		indonesian += ", sesudah " + early + " datang lebih awal"
		english += ", after " + early + " came early"
	}
	if q.Bots > 0 {
		indonesian += "; dan " + whole(q.Bots) + " bot"
		english += "; and " + whole(q.Bots) + " bots"
	}
	return indonesian, english
}

// marksOf returns the surge and the faults for the plots.
func marksOf(r *Result) []chart.Mark {
	var marks []chart.Mark
	if d := r.Plan.Crowd.Demand; d.Curve == crowd.CurveSurge {
		marks = append(marks, chart.Mark{At: d.SurgeAt.Seconds(), Until: (d.SurgeAt + d.SurgeFor).Seconds(), Label: number(d.Surge) + "×"})
	}
	if r.Room != nil {
		marks = append(marks, chart.Mark{At: r.Room.Opens.Seconds(), Label: "dibuka · opens"})
	}
	for _, f := range r.Faults {
		marks = append(marks, chart.Mark{At: f.At.Seconds(), Label: f.Name})
	}
	return marks
}

// timePlot is a plot over the time of the rehearsal.
func timePlot(t *timeline, label, unit string, marks []chart.Mark, format func(float64) string) chart.Plot {
	x := make([]float64, len(t.first))
	for i := range x {
		x[i] = float64(i) * t.step.Seconds()
	}
	return chart.Plot{
		Label: label, X: x, XTicks: timeTicks, XTitle: "menit:detik sejak pembukaan · minutes:seconds since the opening",
		XName: func(x float64) string { return minutes(x, t.step < time.Second) }, YTitle: unit, Format: format, Marks: marks,
	}
}

func timeTicks(low, high float64) []chart.Tick {
	span := high - low
	step := 3600.0
	for _, s := range []float64{0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800} {
		if span/s <= 10 {
			step = s
			break
		}
	}
	var ticks []chart.Tick
	for x := math.Ceil(low/step) * step; x <= high; x += step {
		ticks = append(ticks, chart.Tick{At: x, Label: minutes(x, step < 1)})
	}
	return ticks
}

// minutes writes seconds as minutes and seconds, with a tenth if fine.
func minutes(seconds float64, fine bool) string {
	m := int(seconds+0.0001) / 60
	rest := seconds - float64(m)*60
	if fine {
		return fmt.Sprintf("%d:%s", m, strings.Replace(fmt.Sprintf("%04.1f", rest), ".", ",", 1))
	}
	return fmt.Sprintf("%d:%02d", m, int(rest+0.5))
}

func arrivalsPlot(t *timeline, marks []chart.Mark) (template.HTML, []legend) {
	p := timePlot(t, "Kedatangan dan pesanan yang diterima per detik", "per detik · per second", marks, number)
	p.Series = []chart.Series{
		{Name: "datang pertama kali · first visits", Class: "c-arrive", Style: chart.Stack, Values: perSecond(t.first, t.step)},
		{Name: "datang lagi · came again", Class: "c-again", Style: chart.Stack, Values: perSecond(t.again, t.step)},
		{Name: "diterima · acknowledged", Class: "c-ack", Values: perSecond(t.acknowledged, t.step)},
	}
	return svg(p), legendOf(p)
}

func latencyPlot(t *timeline, marks []chart.Mark) template.HTML {
	p := timePlot(t, "Waktu tunggu sampai pesanan diterima", "waktu tunggu · waiting time", marks, func(v float64) string {
		return duration(time.Duration(v * float64(time.Second)))
	})
	p.Log = true
	for i, name := range []string{"p50", "p90", "p99"} {
		p.Series = append(p.Series, chart.Series{Name: name, Class: "c-" + name, Values: seconds(t.latency[i])})
	}
	return svg(p)
}

func answersPlot(r *Result, t *timeline, marks []chart.Mark) (template.HTML, []legend) {
	p := timePlot(t, "Jawaban per detik menurut kode", "per detik · per second", marks, number)
	for _, name := range codesByCount(r) {
		i := slices.Index(r.Codes, name)
		p.Series = append(p.Series, chart.Series{Name: name, Class: codeClass(name), Style: chart.Stack, Values: perSecond(t.codes[i], t.step)})
	}
	return svg(p), legendOf(p)
}

// distributionPlot shows the waiting time of every share of the visitors; the axis stretches towards the unluckiest.
func distributionPlot(r *Result) template.HTML {
	if r.Latency.Count == 0 {
		return ""
	}
	position := func(share float64) float64 { return -math.Log10(1 - min(share, 0.99995)) }
	p := chart.Plot{
		Label: "Sebaran waktu tunggu", YTitle: "waktu tunggu · waiting time", Log: true,
		XTitle: "bagian pengunjung · share of visitors",
		Format: func(v float64) string { return duration(time.Duration(v * float64(time.Second))) },
	}
	names := map[float64]string{}
	p.XName = func(x float64) string { return names[x] }
	p.XTicks = func(float64, float64) []chart.Tick {
		shares := []float64{0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 0.9999}
		ticks := make([]chart.Tick, len(shares))
		for i, s := range shares {
			ticks[i] = chart.Tick{At: position(s), Label: percent(s)}
		}
		return ticks
	}
	all, queue := []float64{}, []float64{}
	for i, q := range r.Latency.Quantiles {
		if q.Share == 0 || q.Share == 1 {
			continue // single visitors, who would only stretch the axes
		}
		x := position(q.Share)
		names[x] = percent(q.Share)
		p.X = append(p.X, x)
		all = append(all, q.Value.Seconds())
		queue = append(queue, r.ClientQueue.Quantiles[i].Value.Seconds())
	}
	p.Series = []chart.Series{
		{Name: "waktu tunggu · waiting time", Class: "c-p99", Values: all},
		{Name: "antre di penguji · in the generator", Class: "c-p50", Values: queue},
	}
	return svg(p)
}

func svg(p chart.Plot) template.HTML { return template.HTML(p.SVG()) } //nolint:gosec // the chart escapes what it is given

func legendOf(p chart.Plot) []legend {
	out := make([]legend, len(p.Series))
	for i, s := range p.Series {
		out[i] = legend{s.Class, s.Name}
	}
	return out
}

func perSecond(counts []int, step time.Duration) []float64 {
	out := make([]float64, len(counts))
	for i, n := range counts {
		out[i] = float64(n) / step.Seconds()
	}
	return out
}

// seconds turns durations into numbers; a negative one becomes a gap.
func seconds(ds []time.Duration) []float64 {
	out := make([]float64, len(ds))
	for i, d := range ds {
		out[i] = d.Seconds()
		if d < 0 {
			out[i] = math.NaN()
		}
	}
	return out
}

// codeMeaning explains a code in a word.
type codeMeaning struct{ class, id, en string }

var codeMeanings = map[string]codeMeaning{
	"acknowledged":          {"c-ack", "pesanan diterima", "the order was acknowledged"},
	"replayed":              {"c-replay", "jawaban yang sama untuk kunci yang sama", "the same answer for the same key"},
	"cancelled":             {"c-cancel", "pesanan dibatalkan oleh pengunjung", "given back by the visitor"},
	"sold_out":              {"c-sold", "tempat habis", "no place left"},
	"already_registered":    {"c-already", "orang ini sudah terdaftar", "this person has a place"},
	"overloaded":            {"c-over", "terlalu ramai, silakan kembali", "too busy, come back"},
	"rate_limited":          {"c-over", "terlalu sering", "too often"},
	"idempotency_in_flight": {"c-replay", "permintaan yang sama sedang diproses", "the same request is under way"},
	"dropped":               {"c-dropped", "pengunjung memutus sambungan dengan sengaja", "the visitor hung up on purpose"},
	"connection_lost":       {"c-lost", "sambungan putus", "the connection broke"},
	"connection_refused":    {"c-bad", "server tidak ada", "nobody listened"},
	"timed_out":             {"c-bad", "tidak ada jawaban pada waktunya", "no answer in time"},
	"state":                 {"c-arrive", "keadaan antrean", "the state of the line"},
	"unchanged":             {"c-unchanged", "keadaan antrean belum berubah", "the state of the line has not changed"},
	"captcha":               {"c-captcha", "soal captcha", "a captcha to solve"},
	"ticket":                {"c-ticket", "tiket antrean", "a ticket"},
	"asked":                 {"c-cancel", "kode akan dikirim lewat email", "a code will be mailed"},
	"confirmation_required": {"c-dropped", "tanpa kode yang benar", "without the right code"},
	"pass":                  {"c-p90", "izin masuk", "a pass"},
	"queue_pass_required":   {"c-refused", "tanpa izin masuk yang berlaku", "without a pass that counts"},
	"captcha_failed":        {"c-lost", "tanpa captcha yang terjawab", "without a solved captcha"},
}

func codeClass(code string) string {
	if m, ok := codeMeanings[code]; ok {
		return m.class
	}
	return "c-bad"
}

func codeRows(r *Result) []codeRow {
	codes := codesByCount(r)
	out := make([]codeRow, 0, len(codes))
	for _, code := range codes {
		n, m := r.ByCode[code], codeMeanings[code]
		out = append(out, codeRow{
			Class: codeClass(code), Code: code, Count: whole(n), Share: percentOf(n, len(r.Attempts)), Meaning: m.id, MeaningEN: m.en,
			Width: barWidth(n, r.ByCode[codes[0]]),
		})
	}
	return out
}

// narrow is the narrow no-break space between groups of digits.
const narrow = "\u202f"

func whole(n int) string { return groupedBy(int64(n), narrow) }

// number writes v with at most three significant digits behind the comma and none where they do not matter.
func number(v float64) string {
	switch a := math.Abs(v); {
	case a >= 100 || v == math.Trunc(v):
		return whole(int(math.Round(v)))
	case a >= 10:
		return comma(v, 1)
	default:
		return comma(v, 2)
	}
}

func comma(v float64, digits int) string {
	s := strconv.FormatFloat(v, 'f', digits, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return strings.Replace(s, ".", ",", 1)
}

// english writes figures with the decimal point of an English sentence. Groups of digits have a space between them in both
// languages, so every comma between digits is one.
func english(s string) string {
	b := []byte(s)
	for i := 1; i+1 < len(b); i++ {
		if b[i] == ',' && isDigit(b[i-1]) && isDigit(b[i+1]) {
			b[i] = '.'
		}
	}
	return string(b)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func percent(share float64) string { return comma(share*100, 3) + narrow + "%" }

func percentOf(n, total int) string {
	if total == 0 {
		return ""
	}
	return comma(100*float64(n)/float64(total), 2) + narrow + "%"
}

func duration(d time.Duration) string {
	value, unit := splitDuration(d)
	return value + narrow + unit
}

// splitDuration writes d in the unit that fits.
func splitDuration(d time.Duration) (value, unit string) {
	switch {
	case d < time.Millisecond:
		return number(float64(d) / float64(time.Microsecond)), "µs"
	case d < time.Second:
		return number(float64(d) / float64(time.Millisecond)), "ms"
	default:
		return number(d.Seconds()), "s"
	}
}

var months = [...]string{
	"Januari", "Februari", "Maret", "April", "Mei", "Juni", "Juli", "Agustus", "September", "Oktober",
	"November", "Desember",
}

// indonesianDate writes t as people in Jakarta do; Indonesia has had no summer time since 1964.
func indonesianDate(t time.Time) string {
	wib := t.In(time.FixedZone("WIB", 7*60*60))
	return fmt.Sprintf("%d %s %d, %s WIB", wib.Day(), months[wib.Month()-1], wib.Year(), wib.Format("15.04"))
}

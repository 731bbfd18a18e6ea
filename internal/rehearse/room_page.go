package rehearse

import (
	"cmp"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"time"

	"gapura/internal/rehearse/chart"
)

// roomPage is what the report shows of a waiting room.
type roomPage struct {
	Opens              string
	Tiles              []tile
	Flow, Success      template.HTML
	FlowKeys           []legend
	People, Bots       template.HTML
	PeopleKeys         []legend
	BotKeys            []legend
	Rows               []latencyRow
	Outcomes           []outcomeRow
	Mails              []mailRow // empty: nobody had to confirm an address
	BotNumber, BotText string
	BotTextEN          string
}

type outcomeRow struct {
	What, WhatEN, Count, Share string
	Width                      template.CSS
	Class                      string
}

func newRoomPage(r *Result) *roomPage {
	rr := r.Room
	if rr == nil {
		return nil
	}
	t := newGrid(r)
	p := &roomPage{Opens: number(rr.Opens.Seconds()), Tiles: roomTiles(r), Outcomes: outcomeRows(rr)}
	p.Flow, p.FlowKeys = t.flow(r)
	p.Success = t.success([]named{{r, "c-ack", "orang yang mendapat pesanan · people who have an order"}})
	p.People, p.PeopleKeys = t.answers(r, false)
	if rr.Bots.Number > 0 {
		p.Bots, p.BotKeys = t.answers(r, true)
		p.BotText = fmt.Sprintf("%s bot mengirim %s permintaan: %s tiket, %s izin masuk, %s pesanan yang tidak pernah dibayar.",
			whole(rr.Bots.Number), whole(rr.Bots.Requests), whole(rr.Bots.Tickets), whole(rr.Bots.Passes), whole(rr.Bots.Orders))
		p.BotTextEN = fmt.Sprintf("%s bots sent %s requests: %s tickets, %s passes, %s orders that were never paid.",
			whole(rr.Bots.Number), whole(rr.Bots.Requests), whole(rr.Bots.Tickets), whole(rr.Bots.Passes), whole(rr.Bots.Orders))
	}
	add := func(label, english string, l Latency) {
		if l.Count > 0 {
			p.Rows = append(p.Rows, latencyRow{label, english, duration(l.P50), duration(l.P90), duration(l.P99), duration(l.P999), duration(l.Max)})
		}
	}
	add("Jawaban pertama", "First answer", rr.First)
	if rr.Mail != nil {
		add("Kode lewat email, sejak diminta", "Code by mail, since it was asked for", rr.Mail.Wait)
		p.Mails = mailRows(rr)
	}
	add("Tiket", "Ticket", rr.Tickets)
	add("Melihat antrean", "Looking at the line", rr.Looks)
	add("Izin masuk", "Pass", rr.Passes)
	return p
}

func roomTiles(r *Result) []tile {
	rr := r.Room
	out := []tile{
		{comma(100*rr.Sold.Share(), 1), "%", "orang mendapat pesanan", "of the people have an order", "good"},
		{whole(rr.Sold.Had), "", "dari " + whole(rr.Sold.Wanted) + " orang yang menginginkannya", "of " + whole(rr.Sold.Wanted) + " people who wanted one", ""},
	}
	if q := r.Plan.Crowd.Queue; q.Early == 0 && rr.Offered > 0 { // else the second of opening is nothing special
		value, unit := splitDuration(rr.First.P99)
		out = append(out, tile{whole(rr.Offered), "", "orang datang pada detik pembukaan", "people came in the second of opening", ""},
			tile{value, unit, "99 dari 100 mendapat jawaban pertama paling lama", "99 in 100 had a first answer within", ""})
	}
	if rr.Best > 0 {
		out = append(out, tile{comma(100*r.Rate.Mean/rr.Best, 0), "%", "dari laju terbaik mesin, " + whole(int(rr.Best)) + "/s", "of the engine’s best rate", ""})
	}
	if value, unit := splitDuration(rr.Looks.P99); rr.Looks.Count > 0 && len(out) < 5 {
		out = append(out, tile{value, unit, "99 dari 100 kali melihat antrean paling lama", "99 in 100 looks at the line took at most", ""})
	}
	if rr.Bots.Number > 0 {
		out = append(out, tile{whole(rr.Bots.Number), "", "bot di tengah keramaian", "bots in the crowd", ""})
	}
	return out
}

func outcomeRows(rr *RoomResult) []outcomeRow {
	most, all := rr.Sold.Had, rr.Sold.Had
	for _, n := range rr.Outcomes {
		most, all = max(most, n), all+n
	}
	rows := []outcomeRow{{"mendapat pesanan", "have an order", whole(rr.Sold.Had), percentOf(rr.Sold.Had, all), barWidth(rr.Sold.Had, most), "c-ack"}}
	for o, n := range rr.Outcomes {
		if n == 0 {
			continue
		}
		class := [numOutcomes]string{"c-bad", "c-sold", "c-over", "c-dropped", "c-dropped", "c-already"}[o]
		rows = append(rows, outcomeRow{outcomeNames[o].ID, outcomeNames[o].EN, whole(n), percentOf(n, all), barWidth(n, most), class})
	}
	return rows
}

// grid cuts the time of one or more rehearsals into equal steps for plots.
type grid struct {
	step  time.Duration
	n     int
	opens time.Duration
}

// newGrid covers the longest of the rehearsals, from when the first visitors came.
func newGrid(results ...*Result) *grid {
	end := time.Duration(0)
	for _, r := range results {
		end = max(end, r.End)
	}
	g := &grid{step: time.Hour, opens: results[0].Room.Opens}
	for _, s := range steps {
		if s >= tallyStep && s%tallyStep == 0 && end/s < maxSteps {
			g.step = s
			break
		}
	}
	g.n = int(end/g.step) + 2 // the last point lies behind the end
	return g
}

func (g *grid) plot(label, unit string, format func(float64) string) chart.Plot {
	t := &timeline{step: g.step, first: make([]int, g.n)}
	p := timePlot(t, label, unit, []chart.Mark{{At: g.opens.Seconds(), Label: "dibuka · opens"}}, format)
	p.XTitle = "menit:detik sejak yang pertama datang · minutes:seconds since the first came"
	return p
}

func (g *grid) at(t time.Duration) int { return min(max(int(t/g.step), 0), g.n-1) }

// count sums up what was counted under some condition, by step.
func (g *grid) count(r *Result, want func(c Counted) bool) []int {
	out := make([]int, g.n)
	for c, n := range r.Room.Counts {
		if want(c) {
			out[g.at(time.Duration(c.At)*tallyStep)] += n
		}
	}
	return out
}

// arrivals are the moments at which people, or bots, came.
func (g *grid) arrivals(r *Result, bots bool) []int {
	out := make([]int, g.n)
	for i := range r.Orders {
		if o := &r.Orders[i]; o.Role.IsBot() == bots && o.At <= r.End {
			out[g.at(o.At)]++
		}
	}
	return out
}

// flow shows who comes, who is let in and who has an order.
func (g *grid) flow(r *Result) (template.HTML, []legend) {
	p := g.plot("Datang, masuk dan memesan per detik", "per detik · per second", number)
	p.Series = []chart.Series{
		{Name: "orang datang · people come", Class: "c-arrive", Style: chart.Area, Values: perSecond(g.arrivals(r, false), g.step)},
		{Name: "masuk · let in", Class: "c-p90", Values: perSecond(g.count(r, func(c Counted) bool { return c.Code == CodePass }), g.step)},
		{Name: "memesan · orders", Class: "c-ack", Values: perSecond(g.count(r, func(c Counted) bool { return c.Code == CodeAcknowledged }), g.step)},
	}
	return svg(p), legendOf(p)
}

// named is a rehearsal in a plot of several.
type named struct {
	result      *Result
	class, name string
}

// success shows which part of the people has an order by when.
func (g *grid) success(all []named) template.HTML {
	p := g.plot("Bagian orang yang sudah mendapat pesanan", "bagian · share", func(v float64) string { return comma(100*v, 1) + narrow + "%" })
	for _, one := range all {
		sold := one.result.Room.Sold
		values := make([]float64, g.n)
		for i, next := 0, 0; i < g.n; i++ {
			for next < len(sold.At) && sold.At[next] <= time.Duration(i)*g.step {
				next++
			}
			values[i] = float64(next) / float64(max(sold.Wanted, 1))
		}
		p.Series = append(p.Series, chart.Series{Name: one.name, Class: one.class, Values: values})
	}
	return svg(p)
}

// answers shows what people, or bots, were answered.
func (g *grid) answers(r *Result, bots bool) (template.HTML, []legend) {
	who := "orang"
	if bots {
		who = "bot"
	}
	p := g.plot("Jawaban kepada "+who+" per detik", "per detik · per second", number)
	totals := map[Code]int{}
	for c, n := range r.Room.Counts {
		if c.Bot == bots {
			totals[c.Code] += n
		}
	}
	codes := slices.SortedFunc(maps.Keys(totals), func(a, b Code) int { return cmp.Or(totals[b]-totals[a], int(a)-int(b)) })
	for _, code := range codes {
		values := perSecond(g.count(r, func(c Counted) bool { return c.Bot == bots && c.Code == code }), g.step)
		name := r.Codes[code]
		p.Series = append(p.Series, chart.Series{Name: name + " (" + whole(totals[code]) + ")", Class: codeClass(name), Style: chart.Stack, Values: values})
	}
	return svg(p), legendOf(p)
}

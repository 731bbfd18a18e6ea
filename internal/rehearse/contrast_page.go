package rehearse

import (
	"fmt"
	"html/template"
	"strconv"
	"time"

	"gapura/internal/rehearse/crowd"
)

// contrastPage is what the report of two crowds shows.
type contrastPage struct {
	Date                     string
	People, PeopleEN         string
	Bots, BotsEN             string
	Good                     bool
	Reason                   Text
	With, Without, Tolerance string
	Tiles                    []tile
	Hold                     string
	Success                  template.HTML
	Compared                 []comparedRow
	Sides                    []side
	Roles                    []roleRow
	Findings                 []findingRow
	Runs, Seed               string
}

type comparedRow struct{ Label, LabelEN, Without, With string }

// side is one of the two crowds.
type side struct {
	Name                          Text
	Flow, People, Bots            template.HTML
	FlowKeys, PeopleKeys, BotKeys []legend
	BotArrivals                   bool
}

type roleRow struct {
	Name, Number, Orders string
	What                 Text
}

func newContrastPage(c *Contrast) *contrastPage {
	a, b := c.Without.Room, c.With.Room
	share := func(s Success) string { return comma(100*s.Share(), 1) + narrow + "%" }
	p := &contrastPage{
		Date: indonesianDate(c.Without.Started), Good: c.Clean(), Reason: c.reason(), With: share(b.Sold), Without: share(a.Sold),
		Tolerance: percent(Tolerance), Hold: number(c.With.Plan.Room.Hold.Seconds()), Tiles: c.tiles(), Compared: c.compared(), Roles: c.roles(),
		Findings: findingRows(c.With), Runs: c.Without.Run + ", " + c.With.Run, Seed: strconv.FormatUint(c.With.Plan.Crowd.Seed, 10),
	}
	p.People = whole(a.Sold.Wanted) + " orang, orang yang sama dua kali"
	p.PeopleEN = whole(a.Sold.Wanted) + " people, the same ones twice"
	part := comma(100*float64(b.Bots.Number)/float64(max(b.Bots.Number+len(peopleOf(c.With)), 1)), 0) + narrow + "%"
	p.Bots = fmt.Sprintf("%s bot, %s dari keramaian", whole(b.Bots.Number), part)
	p.BotsEN = fmt.Sprintf("%s bots, %s of the crowd", whole(b.Bots.Number), part)
	g := newGrid(c.Without, c.With)
	p.Success = g.success([]named{{c.Without, "c-ack", "tanpa bot · without bots"}, {c.With, "c-p99", "dengan bot · with bots"}})
	p.Sides = []side{
		c.side(g, c.Without, Text{"Tanpa bot", "Without bots"}), c.side(g, c.With, Text{"Dengan bot", "With bots"}),
	}
	return p
}

func (c *Contrast) side(g *grid, r *Result, name Text) side {
	own := *g
	own.opens = r.Room.Opens
	s := side{Name: name, BotArrivals: r.Room.Bots.Number > 0}
	s.Flow, s.FlowKeys = own.flow(r)
	s.People, s.PeopleKeys = own.answers(r, false)
	if s.BotArrivals {
		s.Bots, s.BotKeys = own.answers(r, true)
	}
	return s
}

// peopleOf lists the orders that people want.
func peopleOf(r *Result) []int32 {
	var out []int32
	for i := range r.Orders {
		if o := &r.Orders[i]; !o.Role.IsBot() && o.Habit != crowd.SecondCategory {
			out = append(out, int32(i))
		}
	}
	return out
}

// reason says what is wrong.
func (c *Contrast) reason() Text {
	if fall := c.Fall(); fall > Tolerance {
		return Text{
			ID: "Keberhasilan orang turun " + comma(100*fall, 1) + narrow + "% karena bot.",
			EN: english("People’s success falls by " + comma(100*fall, 1) + narrow + "% because of bots; the target is at most " + percent(Tolerance) + "."),
		}
	}
	broken := len(Broken(c.Without.Findings)) + len(Broken(c.With.Findings))
	return Text{
		ID: whole(broken) + " pemeriksaan tidak lolos.", EN: whole(broken) + " checks are broken.",
	}
}

func (c *Contrast) tiles() []tile {
	a, b := c.Without.Room, c.With.Room
	out := []tile{
		{comma(100*b.Sold.Share(), 1), "%", "orang mendapat pesanan di antara bot", "of the people have an order among bots", "good"},
		{comma(100*a.Sold.Share(), 1), "%", "tanpa bot", "without bots", ""},
		{whole(b.Bots.Requests), "", "permintaan dari bot", "requests of bots", ""},
		{whole(b.Bots.Orders), "", "pesanan bot, tidak satu pun dibayar", "orders of bots, none of them paid", ""},
	}
	if late, known := c.Delay(); known {
		out = append(out, tile{
			comma(late/c.With.Plan.Room.Hold.Seconds(), 1), "×",
			"masa tahan lebih lambat orang memegang 95% dari tempat itu", "hold times later people have 95% of those places", "",
		})
	}
	return out
}

// Delay is by how many seconds later people had 95% of the orders that they had without bots; false if they never had.
func (c *Contrast) Delay() (float64, bool) {
	a, b := c.Without.Room, c.With.Room
	n := int(float64(a.Sold.Had)*(1-Tolerance) + 0.999)
	if n == 0 || len(b.Sold.At) < n {
		return 0, false
	}
	return ((b.Sold.At[n-1] - b.Opens) - (a.Sold.At[n-1] - a.Opens)).Seconds(), true
}

func (c *Contrast) compared() []comparedRow {
	a, b := c.Without, c.With
	count := func(label, english string, of func(r *Result) int) comparedRow {
		return comparedRow{label, english, whole(of(a)), whole(of(b))}
	}
	median := func(r *Result) string {
		if sold := r.Room.Sold; sold.Had > 0 {
			return duration((sold.At[sold.Had/2] - r.Room.Opens).Round(100 * time.Millisecond))
		}
		return "–"
	}
	rows := []comparedRow{
		count("orang yang menginginkan pesanan", "people who wanted an order", func(r *Result) int { return r.Room.Sold.Wanted }),
		count("orang yang mendapatnya", "people who have one", func(r *Result) int { return r.Room.Sold.Had }),
		{"separuh dari mereka mendapatnya dalam", "half of them had it within", median(a), median(b)},
		{"jawaban pertama, p99", "first answer, p99", duration(a.Room.First.P99), duration(b.Room.First.P99)},
		{"melihat antrean, p99", "looking at the line, p99", duration(a.Room.Looks.P99), duration(b.Room.Looks.P99)},
		{"pesanan, p99", "order, p99", duration(a.Latency.P99), duration(b.Latency.P99)},
	}
	rows = append(rows, c.mailRows()...)
	for o := range a.Room.Outcomes {
		if a.Room.Outcomes[o]+b.Room.Outcomes[o] > 0 {
			rows = append(rows, comparedRow{outcomeNames[o].ID, outcomeNames[o].EN, whole(a.Room.Outcomes[o]), whole(b.Room.Outcomes[o])})
		}
	}
	return rows
}

// behaviour explains the roles of bots.
var behaviour = []struct {
	role crowd.Role
	name string
	what Text
}{
	{crowd.Sharer, "berbagi · sharers", Text{
		fmt.Sprintf("sampai %d bot memakai satu tiket, masing-masing dengan kunci sendiri, dan saling meminjamkan izin masuk", crowd.SharersOfATicket),
		fmt.Sprintf("up to %d bots use one ticket, each with a key of its own, and lend each other the pass", crowd.SharersOfATicket),
	}},
	{crowd.Forger, "memalsukan · forgers", Text{
		"tiket dan izin karangan, yang diubah, dipotong, dari acara lain, dan tiket sebagai izin, dua kali tiap detik",
		"tickets and passes that are made up, altered, cut short, of another event, and tickets as passes, twice a second",
	}},
	{crowd.Hammerer, "menggedor · hammerers", Text{
		"lima permintaan tiap detik: memesan tanpa izin, masuk sebelum giliran, mengambil tiket tanpa captcha",
		"five requests a second: orders without a pass, entering before the turn, tickets without a captcha",
	}},
	{crowd.Redrawer, "mengundi ulang · redrawers", Text{
		fmt.Sprintf("%d tiket masing-masing, dan setiap tiket dipakai menahan tempat", crowd.Redraws),
		fmt.Sprintf("%d tickets each, and every ticket is used to hold a place", crowd.Redraws),
	}},
	{crowd.Holder, "menahan · holders", Text{
		fmt.Sprintf("seperti orang yang tergesa, tetapi tidak pernah membayar; mengantre lagi begitu masa tahan berakhir, sampai %d kali", crowd.Rejoins),
		fmt.Sprintf("like a person in a hurry, but never pay; queue again when the hold has ended, up to %d times", crowd.Rejoins),
	}},
}

func (c *Contrast) roles() []roleRow {
	number, orders := map[crowd.Role]int{}, map[crowd.Role]int{}
	r := c.With
	for i := range r.Orders {
		number[r.Orders[i].Role]++
	}
	number[crowd.Redrawer] /= crowd.Redraws
	number[crowd.Holder] /= crowd.Rejoins
	for i := range r.Attempts {
		if a := &r.Attempts[i]; a.Acknowledged() {
			orders[r.Orders[a.Order].Role]++
		}
	}
	rows := make([]roleRow, 0, len(behaviour))
	for _, b := range behaviour {
		what := b.what
		if confirmed, differs := c.confirmedBehaviour()[b.role]; differs && r.Room.Mail != nil {
			what = confirmed
		}
		rows = append(rows, roleRow{b.name, whole(number[b.role]), whole(orders[b.role]), what})
	}
	return rows
}

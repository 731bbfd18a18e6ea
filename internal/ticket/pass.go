package ticket

import (
	"errors"
	"fmt"
	"time"

	"gapura/internal/event"
)

// Pass is what one page of a ticket document shows. It is a copy of everything it needs: a later change of the event or
// the order changes no document that was made before.
type Pass struct {
	Locale      string // id or en
	Event       event.Text
	Organiser   string // may be empty
	StartsAt    time.Time
	Timezone    *time.Location
	Venue       string
	City        string
	Participant string
	Category    event.Text
	Distance    int    // metres; 0: not shown
	OrderNumber string // such as GNR27-000123
	Position    int    // of the participant in the order, from 1
	Of          int    // participants in the order
	Details     []Detail
	Code        string    // the signed text
	IssuedAt    time.Time // when the order was confirmed
}

// Detail is an answer that matters at the pick-up, such as the jersey size.
type Detail struct {
	Label string
	Value string
}

// passWords are the fixed words of a ticket.
type passWords struct {
	kind, participant, category, order, place, of, hint, note, issued string
}

func wordsOfPass(locale string) passWords {
	if locale == "en" {
		return passWords{
			kind: "RACE TICKET", participant: "PARTICIPANT", category: "CATEGORY", order: "ORDER", place: "TICKET", of: "%d of %d",
			hint: "Show this code at bib pick-up and bring your identity card.",
			note: "One code, one person. Do not post a picture of it.", issued: "Issued %s",
		}
	}
	return passWords{
		kind: "TIKET LOMBA", participant: "PESERTA", category: "KATEGORI", order: "PESANAN", place: "TIKET", of: "%d dari %d",
		hint: "Tunjukkan kode ini saat mengambil nomor dada dan bawa kartu identitas.",
		note: "Satu kode untuk satu orang. Jangan unggah fotonya.", issued: "Diterbitkan %s",
	}
}

// Measures of a ticket page, A5 upright, in mm.
const (
	passWidth  = 148.0
	passHeight = 210.0
	passMargin = 13.0
	passInner  = passWidth - 2*passMargin
	passHeader = 60.0
	passQR     = 82.0
)

// Tickets returns a PDF with an A5 page for every pass.
func (p *Printer) Tickets(passes []Pass) ([]byte, error) {
	if len(passes) == 0 {
		return nil, errors.New("a ticket document needs a pass")
	}
	first := passes[0]
	title := fmt.Sprintf("%s %s", first.Event.In(first.Locale), first.OrderNumber)
	doc, err := p.newPage(sheetA5, title, first.Locale, first.IssuedAt)
	if err != nil {
		return nil, err
	}
	for _, pass := range passes {
		code, err := QR(pass.Code)
		if err != nil {
			return nil, err
		}
		doc.pdf.addPage()
		doc.pass(pass, code)
	}
	return doc.bytes()
}

func (p *page) pass(pass Pass, code Symbol) {
	words := wordsOfPass(pass.Locale)
	p.fill(paper)
	p.box(0, 0, passWidth, passHeight)
	p.passHeader(pass, words)
	below := p.passHolder(pass, words)
	p.passFacts(pass, words, below)
	p.perforation(passHeader + 48)
	p.passCode(pass, words, code)
}

func (p *page) passHeader(pass Pass, words passWords) {
	p.fill(brick)
	p.box(0, 0, passWidth, passHeader)
	p.pdf.clipped(0, 0, passWidth, passHeader, func() { p.gate(passWidth-25, passHeader, 52, brickLow) })
	p.fill(marigold)
	p.box(0, passHeader, passWidth, 1.4)
	p.write(words.kind, style{7.5, true, marigold}, passMargin, 13.5, 60)
	p.right(pass.Organiser, style{7.5, false, white}, passWidth-passMargin, 13.5, 70)
	p.paragraph(p.roomy(pass.Event.In(pass.Locale), style{23, true, white}, passInner, 2, 16), passMargin, 26)
	when := Day(pass.StartsAt, pass.Timezone, pass.Locale) + "  ·  " + Hour(pass.StartsAt, pass.Timezone, pass.Locale)
	p.write(when, style{10, true, white}, passMargin, passHeader-13, passInner)
	p.write(joined(pass.Venue, pass.City), style{10, false, white}, passMargin, passHeader-7, passInner)
}

// passHolder prints who may enter and returns where the next row starts.
func (p *page) passHolder(pass Pass, words passWords) float64 {
	p.label(words.participant, passMargin, passHeader+11)
	name := p.roomy(pass.Participant, style{20, true, dark}, passInner, 1, 15)
	p.paragraph(name, passMargin, passHeader+22.5-2.5*float64(len(name)))
	return passHeader + 33
}

func (p *page) passFacts(pass Pass, words passWords, y float64) {
	category := pass.Category.In(pass.Locale)
	facts := append([]Detail{
		{words.category, category},
		{words.order, pass.OrderNumber},
		{words.place, fmt.Sprintf(words.of, pass.Position, pass.Of)},
	}, pass.Details[:min(len(pass.Details), 1)]...)
	// The order number is the widest of them.
	shares := []float64{0.31, 0.31, 0.19, 0.19}
	if len(facts) == 3 {
		shares = []float64{0.4, 0.36, 0.24}
	}
	x := passMargin
	for i, f := range facts {
		width := shares[i] * passInner
		p.paragraph(p.fit(f.Label, style{6.5, true, muted}, width-4, 1, 5), x, y)
		p.paragraph(p.roomy(f.Value, style{12, true, dark}, width-4, 1, 9), x, y+6)
		x += width
	}
}

// perforation suggests where a ticket is torn: a dashed line between two notches.
func (p *page) perforation(y float64) {
	p.fill(white)
	p.pdf.circle(0, y, 3.6)
	p.pdf.circle(passWidth, y, 3.6)
	p.pdf.stroke(hairline, 0.35)
	p.pdf.dashed(7, y, passWidth-7, y, 1.6)
}

func (p *page) passCode(pass Pass, words passWords, code Symbol) {
	top := passHeader + 52.5
	left := (passWidth - passQR) / 2
	p.symbol(code, left, top, passQR)
	under := top + passQR + 4.6
	p.center(words.hint, style{7.5, true, dark}, passWidth/2, under, passInner)
	issued := fmt.Sprintf(words.issued, Date(pass.IssuedAt, pass.Timezone, pass.Locale))
	p.center(words.note+"  ·  "+issued, style{7, false, muted}, passWidth/2, under+4.2, passInner)
}

func (p *page) label(s string, x, y float64) {
	p.write(s, style{6.5, true, muted}, x, y, 80)
}

func joined(parts ...string) string {
	out := ""
	for _, p := range parts {
		if p != "" && out != "" {
			out += ", "
		}
		out += p
	}
	return out
}

package ticket

import (
	"fmt"
	"sync"
	"time"
)

// The documents' colours: brick and marigold of a Balinese split gate, on paper.
var (
	black    = ink{0, 0, 0}
	white    = ink{255, 255, 255}
	dark     = ink{31, 26, 23}
	muted    = ink{112, 101, 94}
	hairline = ink{222, 213, 203}
	paper    = ink{250, 246, 240}
	brick    = ink{140, 47, 34}
	brickLow = ink{122, 38, 27}
	marigold = ink{245, 184, 73}
)

// Printer makes PDF documents. It is safe for concurrent use and holds the fonts it has opened: about 4 MB after the first
// document, 38 MB after names in 28 scripts.
type Printer struct {
	fonts *fontLibrary
	desks sync.Pool // of *page: what a document needs while it is made, 1.3 MB, serves many; 5 MB after every script
}

// NewPrinter returns a printer.
func NewPrinter() (*Printer, error) {
	fonts, err := newFontLibrary()
	if err != nil {
		return nil, err
	}
	return &Printer{fonts: fonts}, nil
}

// page is a document under construction, in mm from the top left.
type page struct {
	*typesetter
	pdf           *pdfFile
	printer       *Printer
	title, locale string
	made          time.Time
}

// newPage starts a document of that size whose metadata depend on nothing but the arguments.
func (p *Printer) newPage(size sheet, title, locale string, made time.Time) (*page, error) {
	doc, ok := p.desks.Get().(*page)
	if !ok {
		set, err := newTypesetter(p.fonts)
		if err != nil {
			return nil, err
		}
		doc = &page{typesetter: set, pdf: set.pdf, printer: p}
	}
	doc.title, doc.locale, doc.made = title, locale, made
	doc.err = nil
	doc.pdf.reset(size)
	return doc, nil
}

// bytes ends the document. After it p is another's.
func (p *page) bytes() ([]byte, error) {
	if p.err != nil {
		return nil, p.err
	}
	out, err := p.pdf.bytes(p.title, p.locale, p.made)
	if err != nil {
		return nil, fmt.Errorf("write PDF: %w", err)
	}
	p.printer.desks.Put(p)
	return out, nil
}

// write sets text on one line, its baseline at y.
func (p *page) write(s string, st style, x, y, width float64) {
	if lines := p.fit(s, st, width, 1, st.size*0.7); len(lines) > 0 {
		p.draw(lines[0], x, y)
	}
}

// right sets text on one line that ends at x.
func (p *page) right(s string, st style, x, y, width float64) {
	for _, l := range p.fit(s, st, width, 1, st.size*0.7) {
		p.draw(l, x-l.width(), y)
	}
}

// center sets text on one line around x.
func (p *page) center(s string, st style, x, y, width float64) {
	for _, l := range p.fit(s, st, width, 1, st.size*0.7) {
		p.draw(l, x-l.width()/2, y)
	}
}

// paragraph sets lines below each other, the first baseline at y, and returns the baseline after the last.
func (p *page) paragraph(lines []line, x, y float64) float64 {
	for _, l := range lines {
		p.draw(l, x, y)
		y += l.style.leading()
	}
	return y
}

// roomy sets text in limit lines if it is readable there at least points large, else in one line more and smaller.
func (p *page) roomy(s string, st style, width float64, limit int, least float64) []line {
	for size := st.size; size >= least; size -= 0.5 {
		set := p.lines(s, style{size, st.bold, st.color}, width, limit+1)
		if len(set) <= limit && widest(set) <= width {
			return set
		}
	}
	return p.fit(s, style{least - 1, st.bold, st.color}, width, limit+1, least*0.6)
}

func (p *page) fill(c ink)             { p.pdf.fill(c) }
func (p *page) box(x, y, w, h float64) { p.pdf.box(x, y, w, h) }

// rule draws a thin horizontal line from margin to margin.
func (p *page) rule(y float64, c ink) {
	p.pdf.stroke(c, 0.2)
	p.pdf.line(sheetMargin, y, sheetMargin+sheetInner, y)
}

// symbol draws a QR code of side mm with its quiet zone inside, as one path: separate squares would show seams.
func (p *page) symbol(s Symbol, x, y, side float64) {
	p.fill(white)
	p.box(x, y, side, side)
	p.fill(black)
	module := side / float64(s.Size+2*QuietZone)
	p.pdf.grid(x+QuietZone*module, y+QuietZone*module, module, func() {
		s.runs(func(mx, my, n int) { p.pdf.op(mx, " ", my, " ", n, " 1 re") })
		p.pdf.op(filled)
	})
}

// gate draws the house mark, a split gate: two stepped halves that face each other, height mm tall around x.
func (p *page) gate(x, bottom, height float64, c ink) {
	p.fill(c)
	// Steps of one half as shares of the height: how far from the middle, how high.
	steps := [...][2]float64{{0.08, 1}, {0.17, 1}, {0.17, 0.86}, {0.26, 0.86}, {0.26, 0.7}, {0.36, 0.7}, {0.36, 0.52}, {0.48, 0.52}, {0.48, 0.3}, {0.6, 0.3}, {0.6, 0}, {0.08, 0}}
	for _, side := range []float64{-1, 1} {
		points := steps
		for i, s := range steps {
			points[i] = [2]float64{x + side*s[0]*height, bottom - s[1]*height}
		}
		p.pdf.polygon(points[:])
	}
}

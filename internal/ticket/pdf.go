package ticket

import (
	"bytes"
	"fmt"
	"strings"
	"time"
	"unicode/utf16"

	"codeberg.org/go-pdf/fpdf"
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
// document, up to 30 MB once every font was needed.
type Printer struct {
	fonts *fontLibrary
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
	pdf *fpdf.Fpdf
}

// newPage starts a document of that size whose metadata depend on nothing but the arguments.
func (p *Printer) newPage(size, title, locale string, made time.Time) *page {
	pdf := fpdf.New("P", "mm", size, "")
	pdf.SetCatalogSort(true)
	pdf.SetCreationDate(made.UTC())
	pdf.SetModificationDate(made.UTC())
	pdf.SetTitle(title, true)
	pdf.SetProducer("gapura", true)
	pdf.SetLang(locale)
	pdf.SetAutoPageBreak(false, 0)
	pdf.SetMargins(0, 0, 0)
	return &page{typesetter: newTypesetter(pdf, p.fonts), pdf: pdf}
}

// bytes ends the document.
func (p *page) bytes() ([]byte, error) {
	if p.err != nil {
		return nil, p.err
	}
	var out bytes.Buffer
	if err := p.pdf.Output(&out); err != nil {
		return nil, fmt.Errorf("write PDF: %w", err)
	}
	return out.Bytes(), nil
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

func (p *page) fill(c ink)             { p.pdf.SetFillColor(c.r, c.g, c.b) }
func (p *page) box(x, y, w, h float64) { p.pdf.Rect(x, y, w, h, "F") }

// rule draws a thin horizontal line from margin to margin.
func (p *page) rule(y float64, c ink) {
	p.pdf.SetDrawColor(c.r, c.g, c.b)
	p.pdf.SetLineWidth(0.2)
	p.pdf.Line(sheetMargin, y, sheetMargin+sheetInner, y)
}

// symbol draws a QR code of side mm with its quiet zone inside, as one path: separate squares would show seams.
func (p *page) symbol(s Symbol, x, y, side float64) {
	p.fill(white)
	p.box(x, y, side, side)
	p.fill(black)
	module := side / float64(s.Size+2*QuietZone)
	k := p.pdf.GetConversionRatio()
	_, height := p.pdf.GetPageSize()
	var path strings.Builder
	s.runs(func(mx, my, n int) {
		left, bottom := x+float64(mx+QuietZone)*module, y+float64(my+QuietZone+1)*module
		fmt.Fprintf(&path, "%.3f %.3f %.3f %.3f re\n", left*k, (height-bottom)*k, float64(n)*module*k, module*k)
	})
	p.pdf.RawWriteStr(path.String() + "f")
}

// gate draws the house mark, a split gate: two stepped halves that face each other, height mm tall around x.
func (p *page) gate(x, bottom, height float64, c ink) {
	p.fill(c)
	// Steps of one half as shares of the height: how far from the middle, how high.
	steps := [][2]float64{{0.08, 1}, {0.17, 1}, {0.17, 0.86}, {0.26, 0.86}, {0.26, 0.7}, {0.36, 0.7}, {0.36, 0.52}, {0.48, 0.52}, {0.48, 0.3}, {0.6, 0.3}, {0.6, 0}, {0.08, 0}}
	for _, side := range []float64{-1, 1} {
		points := make([]fpdf.PointType, len(steps))
		for i, s := range steps {
			points[i] = fpdf.PointType{X: x + side*s[0]*height, Y: bottom - s[1]*height}
		}
		p.pdf.Polygon(points, "F")
	}
}

func utf16Hex(s string) string {
	var out strings.Builder
	out.WriteString("FEFF")
	for _, u := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&out, "%04X", u)
	}
	return out.String()
}

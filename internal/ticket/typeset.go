package ticket

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-text/typesetting/di"
	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/font/opentype"
	"github.com/go-text/typesetting/language"
	"github.com/go-text/typesetting/shaping"
	"golang.org/x/image/math/fixed"
	"golang.org/x/text/unicode/bidi"
	"golang.org/x/text/unicode/norm"
)

// em is the size at which text is shaped: with a thousand units an em no advance is rounded visibly.
const em = 1000

// mmPerPoint converts type sizes to the page's unit.
const mmPerPoint = 25.4 / 72

// ink is a colour on paper.
type ink struct{ r, g, b int }

// style is how text is set.
type style struct {
	size  float64 // points
	bold  bool
	color ink
}

// leading is the distance from one baseline to the next in mm.
func (s style) leading() float64 { return s.size * mmPerPoint * 1.28 }

// line is shaped text that fits between two margins, its runs from left to right.
type line struct {
	runs  []run
	style style
}

// run is a stretch of one font and direction.
type run struct {
	shaping.Output
	text string
	base *subset // set if each character is a glyph of this font, from left to right, none moved; else the run is drawn
}

// width returns the line's width in mm.
func (l line) width() float64 {
	var total fixed.Int26_6
	for _, r := range l.runs {
		total += r.Advance
	}
	return units(total) / em * l.style.size * mmPerPoint
}

// typesetter sets text of any script on a page. What is one glyph a character from left to right is selectable text in an
// embedded font; whatever joins, stacks, reorders or runs from right to left is drawn as outlines, with its characters
// beside it for search and copying. Of names in Latin letters nothing is shaped at all: their glyphs are looked up. It
// serves one document after the other and keeps what shaping has prepared for each font.
type typesetter struct {
	pdf     *pdfFile
	fonts   *fontLibrary
	faces   map[string]*font.Face
	bold    bool
	script  language.Script
	seg     shaping.Segmenter
	shaper  shaping.HarfbuzzShaper
	wrapper shaping.LineWrapper
	last    shapedText
	err     error // the first font that could not be opened
}

// shapedText is text as it was shaped last: fitting it asks for the same again in every size.
type shapedText struct {
	text      string
	bold      bool
	runes     []rune
	direction di.Direction
	runs      []shaping.Output
	ellipsis  shaping.Output
}

func newTypesetter(fonts *fontLibrary) (*typesetter, error) {
	pdf := &pdfFile{deflater: &deflater{}}
	for i, name := range []string{regularFont, boldFont} {
		opened, err := fonts.typeface(name)
		if err != nil {
			return nil, err
		}
		pdf.fonts[i] = &subset{baseFont: opened.base, codes: map[rune]uint16{}}
	}
	return &typesetter{pdf: pdf, fonts: fonts, faces: map[string]*font.Face{}}, nil
}

// SetScript implements shaping.FontmapScript.
func (t *typesetter) SetScript(s language.Script) { t.script = s }

// ResolveFace implements shaping.Fontmap: the script's own font, the document's, then those with the widest coverage.
func (t *typesetter) ResolveFace(r rune) *font.Face {
	for _, name := range t.candidates() {
		if face := t.face(name); face != nil {
			if _, has := face.NominalGlyph(r); has {
				return face
			}
		}
	}
	return t.face(t.baseFont())
}

func (t *typesetter) candidates() []string {
	last := []string{t.baseFont(), eastAsian, bitmapBMP, bitmapAbove}
	if own, ok := scriptFonts[t.script]; ok {
		return append([]string{own}, last...)
	}
	return last
}

func (t *typesetter) baseFont() string {
	if t.bold {
		return boldFont
	}
	return regularFont
}

func (t *typesetter) face(name string) *font.Face {
	if face, ok := t.faces[name]; ok {
		return face
	}
	opened, err := t.fonts.typeface(name)
	if err != nil {
		t.err = err
		return nil
	}
	t.faces[name] = font.NewFace(opened.font)
	return t.faces[name]
}

// baseOf returns the document's own font that face is, or nil.
func (t *typesetter) baseOf(face *font.Face) *subset {
	for _, base := range t.pdf.fonts {
		if base.font == face.Font {
			return base
		}
	}
	return nil
}

// base returns the font of the document's own text.
func (t *typesetter) base() *subset {
	if t.bold {
		return t.pdf.fonts[1]
	}
	return t.pdf.fonts[0]
}

// printable is text as it can be set on one line: composed, without controls that a reader cannot see (they could turn a
// name around), and with the code point in brackets where no font has a glyph.
func (t *typesetter) printable(text string) []rune {
	out := make([]rune, 0, len(text))
	for _, r := range norm.NFC.String(strings.Join(strings.Fields(text), " ")) {
		switch {
		case r == '\u200c', r == '\u200d', unicode.Is(unicode.Variation_Selector, r):
			out = append(out, r)
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r):
		case t.has(r):
			out = append(out, r)
		default:
			out = append(out, []rune(fmt.Sprintf("[U+%04X]", r))...)
		}
	}
	return out
}

func (t *typesetter) has(r rune) bool {
	t.script = language.LookupScript(r)
	for _, name := range t.candidates() {
		if face := t.face(name); face != nil {
			if _, ok := face.NominalGlyph(r); ok {
				return true
			}
		}
	}
	return false
}

// lines breaks text into at most limit lines of width mm; what does not fit ends in an ellipsis.
func (t *typesetter) lines(text string, s style, width float64, limit int) []line {
	t.bold = s.bold
	text = strings.Join(strings.Fields(text), " ")
	if text == "" {
		return nil
	}
	room := fixed.Int26_6(width / mmPerPoint / s.size * em * 64)
	if l, ok := t.plainLine(text, s); ok && l.runs[0].Advance <= room {
		return []line{l}
	}
	return t.wrapped(text, s, room, limit)
}

// wrapped breaks text where its language allows into at most limit lines of room thousandths of an em.
func (t *typesetter) wrapped(text string, s style, room fixed.Int26_6, limit int) []line {
	shaped := t.shaped(text)
	if len(shaped.runes) == 0 {
		return nil
	}
	wrap := shaping.WrapConfig{Direction: shaped.direction, TruncateAfterLines: limit, Truncator: shaped.ellipsis}
	wrapped, cut := t.wrapper.WrapParagraphF(wrap, room, shaped.runes, shaping.NewSliceIterator(copied(shaped.runs)))
	out := make([]line, 0, len(wrapped))
	for i, w := range wrapped {
		out = append(out, line{runs: t.visual(w, shaped.runes, cut > 0 && i == len(wrapped)-1), style: s})
	}
	return out
}

// plainLine sets text without the shaper if that gives the same.
func (t *typesetter) plainLine(text string, s style) (line, bool) {
	base := t.base()
	advance, ok := base.measure(text)
	return line{runs: []run{{Output: shaping.Output{Advance: fixed.I(advance)}, text: text, base: base}}, style: s}, ok
}

// fit sets text as large as fits into limit lines of width mm, from style's size down to least points.
func (t *typesetter) fit(text string, s style, width float64, limit int, least float64) []line {
	for ; s.size > least; s.size -= 0.5 {
		if l := t.lines(text, s, width, limit+1); len(l) <= limit && widest(l) <= width {
			return l
		}
	}
	return t.lines(text, s, width, limit)
}

// shaped returns text as shaped in the font that is set, bold or not.
func (t *typesetter) shaped(text string) *shapedText {
	if t.last.text != text || t.last.bold != t.bold {
		runes := t.printable(text)
		direction := baseDirection(runes)
		t.last = shapedText{text: text, bold: t.bold, runes: runes, direction: direction}
		if len(runes) > 0 {
			t.last.runs, t.last.ellipsis = t.shape(runes, direction), t.ellipsis(direction)
		}
	}
	return &t.last
}

// copied returns runs with glyphs of their own: the wrapper takes away the advance of a space that ends a line.
func copied(runs []shaping.Output) []shaping.Output {
	runs = slices.Clone(runs)
	for i := range runs {
		runs[i].Glyphs = slices.Clone(runs[i].Glyphs)
	}
	return runs
}

func (t *typesetter) shape(text []rune, direction di.Direction) []shaping.Output {
	runs := t.seg.Split(shaping.Input{
		Text: text, RunEnd: len(text), Direction: direction, Size: fixed.I(em), Language: language.NewLanguage("id"),
	}, t)
	out := make([]shaping.Output, 0, len(runs))
	for _, run := range runs {
		if t.baseOf(run.Face) != nil {
			run.FontFeatures = plainFeatures() // a glyph a character, so that it can stay text
		}
		out = append(out, t.shaper.Shape(run))
	}
	return out
}

func (t *typesetter) ellipsis(direction di.Direction) shaping.Output {
	dots := []rune("…")
	return t.shaper.Shape(shaping.Input{
		Text: dots, RunEnd: 1, Direction: direction, Size: fixed.I(em), Face: t.face(t.baseFont()), Script: language.Latin,
		Language: language.NewLanguage("id"),
	})
}

func plainFeatures() []shaping.FontFeature {
	return []shaping.FontFeature{
		{Tag: opentype.MustNewTag("kern"), Value: 0}, {Tag: opentype.MustNewTag("liga"), Value: 0},
	}
}

// visual returns the runs of a wrapped line in the order of the page, copied, because the wrapper reuses its memory. If
// the line was cut, its last run is the ellipsis.
func (t *typesetter) visual(wrapped shaping.Line, text []rune, cut bool) []run {
	runs := make([]run, 0, len(wrapped))
	for i, w := range wrapped {
		r := run{Output: w, text: "…"}
		if !cut || i < len(wrapped)-1 {
			r.text = string(text[w.Runes.Offset : w.Runes.Offset+w.Runes.Count])
		}
		r.Glyphs = slices.Clone(w.Glyphs)
		if r.plain() {
			r.base = t.baseOf(r.Face)
		}
		runs = append(runs, r)
	}
	slices.SortFunc(runs, func(a, b run) int { return int(a.VisualIndex - b.VisualIndex) })
	return runs
}

// baseDirection is that of the first character that has one.
func baseDirection(text []rune) di.Direction {
	for _, r := range text {
		p, _ := bidi.LookupRune(r)
		switch p.Class() {
		case bidi.R, bidi.AL:
			return di.DirectionRTL
		case bidi.L:
			return di.DirectionLTR
		default: // no strong direction
		}
	}
	return di.DirectionLTR
}

func widest(lines []line) float64 {
	w := 0.0
	for _, l := range lines {
		w = max(w, l.width())
	}
	return w
}

// draw puts l on the page with its left end at x and its baseline at y, in mm from the top left.
func (t *typesetter) draw(l line, x, y float64) {
	for _, r := range l.runs {
		if r.base != nil {
			t.pdf.fill(l.style.color)
			t.pdf.text(r.base, l.style.size, x, y, r.text)
		} else {
			t.pdf.instead(r.text, func() { t.outline(r, l.style, x, y) })
		}
		x += units(r.Advance) / em * l.style.size * mmPerPoint
	}
}

// plain reports whether the characters of r, each with its glyph and advance, give what was shaped: from the left, none moved.
func (r run) plain() bool {
	if r.Direction != di.DirectionLTR || len(r.Glyphs) != utf8.RuneCountInString(r.text) {
		return false
	}
	for _, g := range r.Glyphs {
		if g.XOffset != 0 || g.YOffset != 0 || g.GlyphID == 0 {
			return false
		}
	}
	return !strings.ContainsFunc(r.text, func(c rune) bool { return unicode.Is(unicode.Mn, c) || c > 0xffff })
}

// outline draws the glyphs of r as filled paths. The fonts of other scripts have one weight: bold is a thin outline.
func (t *typesetter) outline(r run, s style, x, y float64) {
	t.pdf.fill(s.color)
	mode := filled
	if s.bold && t.baseOf(r.Face) == nil {
		t.pdf.stroke(s.color, s.size*mmPerPoint*0.028)
		mode = filledStroked
	}
	scale := s.size * mmPerPoint / float64(r.Face.Upem())
	shift := s.size * mmPerPoint / em
	for _, g := range r.Glyphs {
		if shape, ok := r.Face.GlyphDataOutline(g.GlyphID); ok {
			t.path(shape.Segments, x+units(g.XOffset)*shift, y-units(g.YOffset)*shift, scale, mode)
		}
		x += units(g.Advance) * shift
	}
}

// path draws one glyph, its origin at x, y and scale mm a font unit.
func (t *typesetter) path(segments []opentype.Segment, x, y, scale float64, mode string) {
	if len(segments) == 0 {
		return
	}
	at := func(p opentype.SegmentPoint) (float64, float64) {
		return x + float64(p.X)*scale, y - float64(p.Y)*scale
	}
	var penX, penY float64
	for i, s := range segments {
		toX, toY := at(s.Args[max(len(s.ArgsSlice())-1, 0)])
		switch s.Op {
		case opentype.SegmentOpMoveTo:
			if i > 0 {
				t.pdf.op("h")
			}
			t.pdf.moveTo(toX, toY)
		case opentype.SegmentOpLineTo:
			t.pdf.lineTo(toX, toY)
		case opentype.SegmentOpQuadTo:
			// PDF has cubic curves only; raised by degree the curve is the same.
			cx, cy := at(s.Args[0])
			t.pdf.curveTo(penX+(cx-penX)*2/3, penY+(cy-penY)*2/3, toX+(cx-toX)*2/3, toY+(cy-toY)*2/3, toX, toY)
		case opentype.SegmentOpCubeTo:
			c0x, c0y := at(s.Args[0])
			c1x, c1y := at(s.Args[1])
			t.pdf.curveTo(c0x, c0y, c1x, c1y, toX, toY)
		}
		penX, penY = toX, toY
	}
	t.pdf.op("h")
	t.pdf.op(mode)
}

func units(v fixed.Int26_6) float64 { return float64(v) / 64 }

package ticket

import "math"

// How a path is painted.
const (
	filled         = "f"
	stroked        = "S"
	filledStroked  = "B"
	roundness      = 4.0 / 3 * (math.Sqrt2 - 1) // of a quarter circle as one Bézier curve
	circleSegments = 6
)

// x and y convert mm from the top left to points from the bottom left.
func (f *pdfFile) x(mm float64) float64 { return mm * pointsPerMM }
func (f *pdfFile) y(mm float64) float64 { return f.height - mm*pointsPerMM }

// fill sets what areas and text are filled with.
func (f *pdfFile) fill(c ink) {
	if f.pen.fill != c {
		f.pen.fill = c
		f.color(c, "rg")
	}
}

// stroke sets the colour and the width in mm of lines.
func (f *pdfFile) stroke(c ink, width float64) {
	if f.pen.stroke != c {
		f.pen.stroke = c
		f.color(c, "RG")
	}
	if f.pen.width != width {
		f.pen.width = width
		f.op(width*pointsPerMM, " w")
	}
}

func (f *pdfFile) color(c ink, operator string) {
	for _, part := range []int{c.r, c.g, c.b} {
		f.content = append(appendDecimal(f.content, float64(part)/255, 3), ' ')
	}
	f.op(operator)
}

func (f *pdfFile) rectangle(x, y, w, h float64) {
	f.op(f.x(x), " ", f.y(y), " ", w*pointsPerMM, " ", -h*pointsPerMM, " re")
}

// box fills a rectangle.
func (f *pdfFile) box(x, y, w, h float64) {
	f.rectangle(x, y, w, h)
	f.op(filled)
}

// line draws a straight line.
func (f *pdfFile) line(x1, y1, x2, y2 float64) {
	f.moveTo(x1, y1)
	f.lineTo(x2, y2)
	f.op(stroked)
}

// dashed draws a straight line of dashes and gaps, both length mm long.
func (f *pdfFile) dashed(x1, y1, x2, y2, length float64) {
	f.op("[", length*pointsPerMM, "] 0 d")
	f.line(x1, y1, x2, y2)
	f.op("[] 0 d")
}

// polygon fills what lies between the points.
func (f *pdfFile) polygon(points [][2]float64) {
	for i, p := range points {
		if i == 0 {
			f.moveTo(p[0], p[1])
		} else {
			f.lineTo(p[0], p[1])
		}
	}
	f.op(filled)
}

// circle fills a circle around x, y. Six curves err by a hundred-thousandth of the radius.
func (f *pdfFile) circle(x, y, r float64) {
	const step = 2 * math.Pi / circleSegments
	reach := 4.0 / 3 * math.Tan(step/4) * r
	f.moveTo(x+r, y)
	for i := range circleSegments {
		sin0, cos0 := math.Sincos(float64(i) * step)
		sin1, cos1 := math.Sincos(float64(i+1) * step)
		f.curveTo(x+r*cos0-reach*sin0, y-r*sin0-reach*cos0, x+r*cos1+reach*sin1, y-r*sin1+reach*cos1, x+r*cos1, y-r*sin1)
	}
	f.op(filled)
}

// frame draws the outline of a rectangle with round corners.
func (f *pdfFile) frame(x, y, w, h, r float64) {
	c := r * (1 - roundness) // how far a control point is from the corner
	right, bottom := x+w, y+h
	f.moveTo(x+r, y)
	f.lineTo(right-r, y)
	f.curveTo(right-c, y, right, y+c, right, y+r)
	f.lineTo(right, bottom-r)
	f.curveTo(right, bottom-c, right-c, bottom, right-r, bottom)
	f.lineTo(x+r, bottom)
	f.curveTo(x+c, bottom, x, bottom-c, x, bottom-r)
	f.lineTo(x, y+r)
	f.curveTo(x, y+c, x+c, y, x+r, y)
	f.op(stroked)
}

func (f *pdfFile) moveTo(x, y float64) { f.point(x, y, "m\n") }
func (f *pdfFile) lineTo(x, y float64) { f.point(x, y, "l\n") }

func (f *pdfFile) curveTo(x1, y1, x2, y2, x, y float64) {
	f.point(x1, y1, "")
	f.point(x2, y2, "")
	f.point(x, y, "c\n")
}

// point writes a position to a thousandth of a point, finer than the grid of a font at the largest size in use.
func (f *pdfFile) point(x, y float64, operator string) {
	f.content = append(appendDecimal(f.content, f.x(x), 3), ' ')
	f.content = append(append(appendDecimal(f.content, f.y(y), 3), ' '), operator...)
}

// clipped paints only what falls into a rectangle.
func (f *pdfFile) clipped(x, y, w, h float64, paint func()) {
	f.op("q")
	f.rectangle(x, y, w, h)
	f.op("W n")
	paint()
	f.op("Q")
	f.forget()
}

// turned paints around x, y, turned by that many degrees against the clock.
func (f *pdfFile) turned(degrees, x, y float64, paint func()) {
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	px, py := f.x(x), f.y(y)
	f.op("q")
	for _, v := range []float64{cos, sin, -sin, cos, px + sin*py - cos*px, py - cos*py - sin*px} {
		f.content = append(appendDecimal(f.content, v, 5), ' ')
	}
	f.op("cm")
	paint()
	f.op("Q")
	f.forget()
}

// grid paints in whole units of side mm that count from x, y to the right and down.
func (f *pdfFile) grid(x, y, side float64, paint func()) {
	f.op("q")
	for _, v := range []float64{side * pointsPerMM, 0, 0, -side * pointsPerMM, f.x(x), f.y(y)} {
		f.content = append(appendDecimal(f.content, v, 5), ' ')
	}
	f.op("cm")
	paint()
	f.op("Q")
	f.forget()
}

// text writes a line in one of the base fonts, size points large, its first glyph at x and its baseline at y.
func (f *pdfFile) text(font *subset, size, x, y float64, text string) {
	number := 0
	if font == f.fonts[1] {
		number = 1
	}
	f.content = appendParts(f.content, []any{"BT/F", number, " ", size, " Tf ", f.x(x), " ", f.y(y), " Td<"})
	for _, r := range text {
		f.content = appendHex(f.content, font.code(r))
	}
	f.op(">Tj ET")
}

// instead paints what stands for text that is searched, copied and read aloud.
func (f *pdfFile) instead(text string, paint func()) {
	f.op("/Span<</ActualText<", utf16Hex(text), ">>>BDC")
	paint()
	f.op("EMC")
}

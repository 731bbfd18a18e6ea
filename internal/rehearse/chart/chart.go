// Package chart draws time series as SVG that needs nothing but the page's style sheet: colours are classes, so that one
// drawing serves light and dark pages, and the values travel with it for a script that shows them under the pointer.
package chart

import (
	"encoding/json"
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
)

// The drawing's size in its own units; the page scales it.
const (
	width, height            = 960.0, 300.0
	left, right, top, bottom = 64.0, 16.0, 22.0, 40.0
	plotWidth, plotHeight    = width - left - right, height - top - bottom
)

// Style is how a series is drawn.
type Style int

// The styles.
const (
	Line  Style = iota
	Area        // filled down to the axis
	Stack       // filled down to the stacked series before it
)

// Series is one quantity. NaN values are gaps.
type Series struct {
	Name   string
	Class  string // of the style sheet; decides the colour
	Style  Style
	Values []float64
}

// Mark is a moment worth a line, or a period worth a band if Until is larger than At.
type Mark struct {
	At, Until float64
	Label     string
}

// Plot is a drawing. X rises.
type Plot struct {
	Label  string // what a screen reader says
	X      []float64
	XTicks func(low, high float64) []Tick
	XTitle string
	XName  func(x float64) string // the heading of the values under the pointer
	YTitle string                 // with its unit
	Log    bool                   // logarithmic Y
	Format func(y float64) string
	Series []Series
	Marks  []Mark
}

// Tick is a labelled position on an axis.
type Tick struct {
	At    float64
	Label string
}

// SVG returns the drawing.
func (p Plot) SVG() string {
	c := p.scale()
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="plot" viewBox="0 0 %g %g" role="img" aria-label="%s" data-plot="%s">`,
		width, height, html.EscapeString(p.Label), html.EscapeString(p.data(c)))
	p.axes(&b, c)
	p.bands(&b, c)
	stacked := make([]float64, len(p.X))
	for _, s := range p.Series {
		p.series(&b, c, s, stacked)
	}
	p.lines(&b, c)
	b.WriteString(`<line class="cross" y1="22" y2="260"/></svg>`)
	return b.String()
}

// scale maps values to positions.
type scale struct {
	x0, x1, y0, y1 float64
	log            bool
	ticks          []Tick
}

func (c scale) x(v float64) float64 {
	if c.x1 == c.x0 {
		return left
	}
	return left + (v-c.x0)/(c.x1-c.x0)*plotWidth
}

func (c scale) y(v float64) float64 {
	if c.log {
		v = math.Log10(max(v, c.y0))
		return top + plotHeight - (v-math.Log10(c.y0))/(math.Log10(c.y1)-math.Log10(c.y0))*plotHeight
	}
	return top + plotHeight - (v-c.y0)/(c.y1-c.y0)*plotHeight
}

// scale fits the axes to the values.
func (p Plot) scale() scale {
	low, high := p.extent()
	c := scale{x0: p.X[0], x1: p.X[len(p.X)-1], log: p.Log}
	if p.Log {
		c.y0, c.y1, c.ticks = decades(low, high, p.Format)
		return c
	}
	step := Nice(high / 5)
	c.y1 = math.Ceil(high/step) * step
	if c.y1 == 0 {
		c.y1, step = 1, 1
	}
	for v := 0.0; v <= c.y1+step/2; v += step {
		c.ticks = append(c.ticks, Tick{v, p.Format(v)})
	}
	return c
}

// extent returns the smallest positive and the largest value, sums included where series are stacked.
func (p Plot) extent() (low, high float64) {
	low = math.Inf(1)
	sums := make([]float64, len(p.X))
	for _, s := range p.Series {
		for i, v := range s.Values {
			if math.IsNaN(v) {
				continue
			}
			if s.Style == Stack {
				sums[i] += v
				v = sums[i]
			}
			high = max(high, v)
			if v > 0 {
				low = min(low, v)
			}
		}
	}
	return low, high
}

// decades returns the bounds and ticks of a logarithmic axis: 1, 2 and 5 times powers of ten, fewer when the range is wide.
func decades(low, high float64, format func(float64) string) (y0, y1 float64, ticks []Tick) {
	if high <= 0 {
		low, high = 1, 10
	}
	first, last := math.Floor(math.Log10(low)), math.Ceil(math.Log10(high))
	if first == last {
		last++
	}
	digits := []float64{1}
	if last-first <= 3 {
		digits = []float64{1, 2, 5}
	}
	for e := first; e <= last; e++ {
		for _, d := range digits {
			if v := d * math.Pow(10, e); v <= math.Pow(10, last)*1.0001 {
				ticks = append(ticks, Tick{v, format(v)})
			}
		}
	}
	return math.Pow(10, first), math.Pow(10, last), ticks
}

// Nice returns the smallest of 1, 2, 2.5 and 5 times a power of ten that is at least v.
func Nice(v float64) float64 {
	if v <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 2.5, 5} {
		if v <= m*power*1.000001 {
			return m * power
		}
	}
	return 10 * power
}

func (p Plot) axes(b *strings.Builder, c scale) {
	for _, t := range c.ticks {
		y := c.y(t.At)
		fmt.Fprintf(b, `<line class="grid" x1="%g" x2="%g" y1="%.1f" y2="%.1f"/>`, left, width-right, y, y)
		fmt.Fprintf(b, `<text class="tick" x="%g" y="%.1f" text-anchor="end">%s</text>`, left-8, y+4, html.EscapeString(t.Label))
	}
	for _, t := range p.XTicks(c.x0, c.x1) {
		x := c.x(t.At)
		fmt.Fprintf(b, `<line class="axis" x1="%.1f" x2="%.1f" y1="%g" y2="%g"/>`, x, x, top+plotHeight, top+plotHeight+4)
		anchor := "middle"
		if x > width-2*right {
			anchor, x = "end", width-2
		}
		fmt.Fprintf(b, `<text class="tick" x="%.1f" y="%g" text-anchor="%s">%s</text>`, x, top+plotHeight+17, anchor, html.EscapeString(t.Label))
	}
	fmt.Fprintf(b, `<line class="axis" x1="%g" x2="%g" y1="%g" y2="%g"/>`, left, width-right, top+plotHeight, top+plotHeight)
	fmt.Fprintf(b, `<text class="unit" x="%g" y="12">%s</text>`, 4.0, html.EscapeString(p.YTitle))
	fmt.Fprintf(b, `<text class="unit" x="%g" y="%g" text-anchor="end">%s</text>`, width-right, height-5, html.EscapeString(p.XTitle))
}

// bands draws the periods, below the series.
func (p Plot) bands(b *strings.Builder, c scale) {
	for _, m := range p.Marks {
		if m.Until <= m.At {
			continue
		}
		fmt.Fprintf(b, `<rect class="band" x="%.1f" y="%g" width="%.1f" height="%g"/>`, c.x(m.At), top, c.x(m.Until)-c.x(m.At), plotHeight)
		fmt.Fprintf(b, `<text class="mark" x="%.1f" y="%g">%s</text>`, c.x(m.At)+5, top+13, html.EscapeString(m.Label))
	}
}

// lines draws the moments, above the series.
func (p Plot) lines(b *strings.Builder, c scale) {
	for _, m := range p.Marks {
		if m.Until > m.At || m.At < c.x0 || m.At > c.x1 {
			continue
		}
		x := c.x(m.At)
		fmt.Fprintf(b, `<line class="moment" x1="%.1f" x2="%.1f" y1="%g" y2="%g"/>`, x, x, top, top+plotHeight)
		anchor, shift := "start", 5.0
		if x > width*0.8 {
			anchor, shift = "end", -5.0
		}
		fmt.Fprintf(b, `<text class="mark" x="%.1f" y="%g" text-anchor="%s">%s</text>`, x+shift, top+13, anchor, html.EscapeString(m.Label))
	}
}

// series draws one series; stacked is the sum of the stacked ones before it.
func (p Plot) series(b *strings.Builder, c scale, s Series, stacked []float64) {
	for from := 0; from < len(s.Values); {
		if math.IsNaN(s.Values[from]) {
			from++
			continue
		}
		to := from
		for to < len(s.Values) && !math.IsNaN(s.Values[to]) {
			to++
		}
		p.run(b, c, s, stacked, from, to)
		from = to
	}
}

// run draws the values from..to-1, among which is no gap.
func (p Plot) run(b *strings.Builder, c scale, s Series, stacked []float64, from, to int) {
	var upper, lower strings.Builder
	base := make([]float64, to)
	for i := from; i < to; i++ {
		base[i] = c.y0
		v := s.Values[i]
		if s.Style == Stack {
			base[i] = stacked[i]
			v += stacked[i]
			stacked[i] = v
		}
		point(&upper, c.x(p.X[i]), c.y(v))
	}
	for i := to - 1; i >= from; i-- {
		point(&lower, c.x(p.X[i]), c.y(base[i]))
	}
	switch s.Style {
	case Line:
		if to-from == 1 { // a lone value would be invisible as a line
			fmt.Fprintf(b, `<circle class="line %s dot" cx="%.1f" cy="%.1f" r="2"/>`, s.Class, c.x(p.X[from]), c.y(s.Values[from]))
			return
		}
		fmt.Fprintf(b, `<polyline class="line %s" points="%s"/>`, s.Class, upper.String())
	case Area:
		fmt.Fprintf(b, `<polygon class="area %s" points="%s%s"/>`, s.Class, upper.String(), lower.String())
		fmt.Fprintf(b, `<polyline class="line thin %s" points="%s"/>`, s.Class, upper.String())
	case Stack:
		fmt.Fprintf(b, `<polygon class="stack %s" points="%s%s"/>`, s.Class, upper.String(), lower.String())
	}
}

func point(b *strings.Builder, x, y float64) {
	b.WriteString(strconv.FormatFloat(x, 'f', 1, 64))
	b.WriteByte(',')
	b.WriteString(strconv.FormatFloat(y, 'f', 1, 64))
	b.WriteByte(' ')
}

// data is what the page's script needs to show values under the pointer: positions and formatted values.
func (p Plot) data(c scale) string {
	type row struct {
		N string   `json:"n"`
		C string   `json:"c"`
		V []string `json:"v"`
	}
	d := struct {
		X []float64 `json:"x"` // share of the drawing's width
		T []string  `json:"t"`
		S []row     `json:"s"`
	}{}
	for _, x := range p.X {
		d.X = append(d.X, math.Round(c.x(x)/width*1e4)/1e4)
		d.T = append(d.T, p.XName(x))
	}
	for _, s := range p.Series {
		r := row{N: s.Name, C: s.Class}
		for _, v := range s.Values {
			if math.IsNaN(v) {
				r.V = append(r.V, "")
				continue
			}
			r.V = append(r.V, p.Format(v))
		}
		d.S = append(d.S, r)
	}
	b, _ := json.Marshal(d) // strings and finite numbers always have a JSON form
	return string(b)
}

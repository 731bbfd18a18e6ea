package chart

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// elements reads an SVG document and returns the attributes of every element of that name.
func elements(t *testing.T, svg, name string) []map[string]string {
	t.Helper()
	var out []map[string]string
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("%v in %s", err, svg)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == name {
			attributes := map[string]string{}
			for _, a := range e.Attr {
				attributes[a.Name.Local] = a.Value
			}
			out = append(out, attributes)
		}
	}
}

func plot(series ...Series) Plot {
	format := func(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }
	return Plot{
		Label: `<"label">`, X: []float64{0, 1, 2, 3}, YTitle: "a & b", Format: format, XName: format, Series: series,
		XTicks: func(low, high float64) []Tick { return []Tick{{low, "first"}, {high, "last"}} },
	}
}

func TestAGapBreaksTheLine(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	p := plot(Series{Name: "x", Class: "c", Values: []float64{1, 2, nan, 4}})
	if got := len(elements(t, p.SVG(), "polyline")); got != 1 {
		t.Errorf("%d lines, want 1", got)
	}
	if got := elements(t, p.SVG(), "circle"); len(got) != 1 || got[0]["cx"] != "944.0" {
		t.Errorf("a lone value is not a dot at the right end: %v", got)
	}
}

func TestStackedSeriesLieOnEachOther(t *testing.T) {
	t.Parallel()
	p := plot(
		Series{Name: "a", Class: "c", Style: Stack, Values: []float64{10, 20, 30, 40}},
		Series{Name: "b", Class: "c", Style: Stack, Values: []float64{5, 5, 5, 60}})
	areas := elements(t, p.SVG(), "polygon")
	if len(areas) != 2 {
		t.Fatalf("%d areas", len(areas))
	}
	lower, upper := strings.Fields(areas[0]["points"]), strings.Fields(areas[1]["points"])
	// The upper edge of the first, left to right, is the lower edge of the second, right to left.
	for i := range 4 {
		if lower[i] != upper[7-i] {
			t.Errorf("point %d: %s above %s", i, upper[7-i], lower[i])
		}
	}
	if top := strings.Split(upper[3], ",")[1]; top != "22.0" {
		t.Errorf("the sum of 100 is drawn at %s, not at the top", top)
	}
}

func TestTheValuesTravelWithTheDrawing(t *testing.T) {
	t.Parallel()
	p := plot(Series{Name: `"a" <b>`, Class: "c", Values: []float64{1, math.NaN(), 3, 4}})
	var d struct {
		X []float64
		T []string
		S []struct {
			N string
			V []string
		}
	}
	if err := json.Unmarshal([]byte(elements(t, p.SVG(), "svg")[0]["data-plot"]), &d); err != nil {
		t.Fatal(err)
	}
	if len(d.X) != 4 || d.S[0].N != `"a" <b>` || fmt.Sprint(d.S[0].V) != "[1  3 4]" {
		t.Errorf("%+v", d)
	}
}

func TestLogarithmicAxisHoldsEveryValue(t *testing.T) {
	t.Parallel()
	p := plot(Series{Name: "x", Class: "c", Values: []float64{0.0007, 0.02, 3, 0.5}})
	p.Log = true
	low, high, ticks := decades(0.0007, 3, p.Format)
	if low > 0.0007 || high < 3 || len(ticks) < 4 {
		t.Errorf("%g to %g with %d ticks", low, high, len(ticks))
	}
}

var coordinate = regexp.MustCompile(`[-0-9.]+,[-0-9.]+`)

func TestNothingIsDrawnOutsideThePlot(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		value := rapid.Float64Range(0, 1e6)
		p := plot(
			Series{Name: "a", Class: "c", Style: rapid.SampledFrom([]Style{Line, Area, Stack}).Draw(rt, "style"), Values: rapid.SliceOfN(value, 4, 4).Draw(rt, "a")},
			Series{Name: "b", Class: "c", Style: Stack, Values: rapid.SliceOfN(value, 4, 4).Draw(rt, "b")})
		p.Log = rapid.Bool().Draw(rt, "log")
		svg := p.SVG()
		for _, e := range append(elements(t, svg, "polyline"), elements(t, svg, "polygon")...) {
			for _, at := range coordinate.FindAllString(e["points"], -1) {
				var x, y float64
				if _, err := fmt.Sscanf(at, "%f,%f", &x, &y); err != nil {
					rt.Fatal(err)
				}
				if x < left-0.1 || x > width-right+0.1 || y < top-0.1 || y > top+plotHeight+0.1 {
					rt.Fatalf("%s lies outside", at)
				}
			}
		}
	})
}

func TestNice(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]float64{0: 1, 0.3: 0.5, 1: 1, 1.2: 2, 2.4: 2.5, 3: 5, 7: 10, 1234: 2000} {
		if got := Nice(v); got != want {
			t.Errorf("Nice(%g) = %g, want %g", v, got, want)
		}
	}
}

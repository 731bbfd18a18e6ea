package ticket

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/font/opentype"
	"golang.org/x/image/math/fixed"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

// everyPair is a text in which each of runes stands before and behind each other.
func everyPair(runes []rune) string {
	var out strings.Builder
	for i, a := range runes {
		for _, b := range runes[i:] {
			out.WriteRune(a)
			out.WriteRune(b)
		}
	}
	return out.String()
}

func plainRunes(b *baseFont) []rune {
	var all []rune
	for r, advance := range b.plain {
		if advance > 0 {
			all = append(all, rune(r))
		}
	}
	return all
}

// What is set without the shaper is what the shaper would set: the glyph and the advance of each character, in one run.
func TestPlainTextIsSetAsTheShaperWould(t *testing.T) {
	t.Parallel()
	doc := testPage(t)
	for _, bold := range []bool{false, true} {
		doc.bold = bold
		base := doc.base()
		all := plainRunes(base.baseFont)
		if len(all) < 500 {
			t.Fatalf("only %d characters are plain", len(all))
		}
		for _, must := range "Siti Aminah 10–27, «Nguyễn Phương» Łódź ŞĞİışğ …·" {
			if base.plain[must] == 0 {
				t.Errorf("%q is shaped", must)
			}
		}
		common := all[:min(len(all), 360)] // ASCII, Latin-1 and Extended-A: 130,000 pairs
		for _, text := range []string{string(all), everyPair(common)} {
			runes := []rune(text)
			want, ok := base.measure(text)
			if !ok {
				t.Fatal("plain characters together are not plain")
			}
			var got fixed.Int26_6
			for _, run := range doc.shape(runes, baseDirection(runes)) {
				if doc.baseOf(run.Face) != base || len(run.Glyphs) != run.Runes.Count {
					t.Fatalf("%d characters are %d glyphs", run.Runes.Count, len(run.Glyphs))
				}
				for i, g := range run.Glyphs {
					r := runes[run.Runes.Offset+i]
					if gid, _ := base.font.Cmap.Lookup(r); g.GlyphID != gid || g.XOffset != 0 || g.YOffset != 0 {
						t.Fatalf("%q behind %q is glyph %d, alone %d", r, runes[max(run.Runes.Offset+i-1, 0)], g.GlyphID, gid)
					}
				}
				got += run.Advance
			}
			if got != fixed.I(want) {
				t.Errorf("%d characters are %v wide, shaped %v", len(runes), fixed.I(want), got)
			}
		}
	}
}

func TestTextIsShapedWhereItMatters(t *testing.T) {
	t.Parallel()
	base := testPage(t).base()
	for _, text := range []string{"Zoe\u0308", "1\u20442", "a\u200db", "Алла", "שרה", "王", "\u202eevil", "a\x00b", "\xff", "A\u212b"} {
		if _, ok := base.measure(text); ok {
			t.Errorf("%q is not shaped", text)
		}
	}
}

func TestPlainLinesBreakAsWrappedOnes(t *testing.T) {
	t.Parallel()
	doc := testPage(t)
	all := plainRunes(doc.base().baseFont)
	rapid.Check(t, func(r *rapid.T) {
		words := rapid.SliceOfN(rapid.StringOfN(rapid.SampledFrom(all), 1, 9, -1), 1, 5).Draw(r, "words")
		text := strings.Join(strings.Fields(strings.Join(words, " ")), " ")
		if text == "" {
			return
		}
		st := style{12, rapid.Bool().Draw(r, "bold"), dark}
		doc.bold = st.bold
		quick, ok := doc.plainLine(text, st)
		if !ok {
			r.Fatalf("%q is not plain", text)
		}
		slow := doc.wrapped(text, st, quick.runs[0].Advance, 3)
		if len(slow) != 1 || slow[0].width() != quick.width() {
			r.Fatalf("%q is one line of %v, wrapped %d", text, quick.width(), len(slow))
		}
		said := ""
		for _, run := range slow[0].runs {
			if run.base != quick.runs[0].base {
				r.Fatalf("%q is drawn", run.text)
			}
			said += run.text
		}
		if said != text {
			r.Fatalf("%q became %q", text, said)
		}
		if narrow := doc.wrapped(text, st, quick.runs[0].Advance-1, 3); len([]rune(text)) > 1 && len(narrow) == 1 && narrow[0].runs[0].Advance == quick.runs[0].Advance {
			r.Fatalf("%q fits where it is too wide", text)
		}
	})
}

// unpackFont returns the tables of a subset as a viewer reads them.
func unpackFont(t *testing.T, s *subset) map[string][]byte {
	t.Helper()
	packed, length, err := s.appendFile(nil, &deflater{})
	if err != nil {
		t.Fatal(err)
	}
	reader, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	file, err := io.ReadAll(reader) // its check sum too
	if err != nil || len(file) != length {
		t.Fatalf("%d of %d bytes: %v", len(file), length, err)
	}
	if sum := checksum(file); sum != 0xB1B0AFBA {
		t.Errorf("the words of the file add up to %08X", sum)
	}
	loader, err := opentype.NewLoader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	tables := map[string][]byte{}
	for _, tag := range loader.Tables() {
		if tables[tag.String()], err = loader.RawTable(tag); err != nil {
			t.Fatal(err)
		}
	}
	return tables
}

// parts returns the bytes of a glyph with the outlines of its parts in place of their numbers.
func parts(outline func(int) []byte, number int) []byte {
	glyph := bytes.Clone(outline(number))
	if len(glyph) < 10 || i16(glyph, 0) >= 0 {
		return glyph
	}
	var joined []byte
	for at := 10; ; {
		flags := u16(glyph, at)
		joined = append(joined, parts(outline, int(u16(glyph, at+2)))...)
		copy(glyph[at+2:at+4], "..")
		if flags&morePartsCome == 0 {
			return append(glyph, joined...)
		}
		at += partSize(flags)
	}
}

func TestSubsetHasTheGlyphsOfTheFullFont(t *testing.T) {
	t.Parallel()
	doc := testPage(t)
	for _, s := range doc.pdf.fonts {
		const text = "Nguyễn Thị Phương Thảo — Łódź, Александр Σωκράτης ﬁ½ŐÅ 0123456789"
		for i, r := range []rune(norm.NFC.String(text)) {
			if c := s.code(r); s.code(r) != c || s.runes[c-1] != r || int(c) > i+1 {
				t.Errorf("%q has the codes %d and %d", r, c, s.code(r))
			}
		}
		tables := unpackFont(t, s)
		for _, tag := range constantTables {
			if len(tables[tag]) == 0 {
				t.Errorf("%s: no table %q", s.name, tag)
			}
		}
		count := int(u16(tables["maxp"], 4))
		if count <= len(s.runes) || u16(tables["hhea"], 34) != uint16(count) || len(tables["hmtx"]) != 4*count || len(tables["loca"]) != 4*count+4 {
			t.Fatalf("%s: %d glyphs of %d characters, %d in hmtx", s.name, count, len(s.runes), len(tables["hmtx"])/4)
		}
		own := func(n int) []byte {
			from, to := binary.BigEndian.Uint32(tables["loca"][4*n:]), binary.BigEndian.Uint32(tables["loca"][4*n+4:])
			return tables["glyf"][from:to]
		}
		full := func(n int) []byte { return s.outline(font.GID(n)) }
		for code, r := range append([]rune{0}, s.runes...) {
			gid, _ := s.font.Cmap.Lookup(r)
			if code == 0 {
				gid = 0 // what stands for a missing character
			}
			want := parts(full, int(gid))
			if got := parts(own, code); !bytes.Equal(bytes.TrimRight(got, "\x00"), bytes.TrimRight(want, "\x00")) {
				t.Errorf("%s: %q has another outline", s.name, r)
			}
			if u16(tables["hmtx"], 4*code) != s.advance(gid) || u16(tables["hmtx"], 4*code+2) != s.bearing(gid) {
				t.Errorf("%s: %q has another width", s.name, r)
			}
		}
	}
}

// A damaged font is an error when it is opened and no crash in a document.
func TestDamagedBaseFont(t *testing.T) {
	t.Parallel()
	base := testPage(t).base().baseFont
	if _, err := newBaseFont("x", []byte("no font"), base.font); err == nil {
		t.Error("text was taken for a font")
	}
	if _, err := readLoca([]byte{0, 0}, false, 1, 10); err == nil {
		t.Error("loca with an entry too few")
	}
	if _, err := readLoca([]byte{0, 0, 0, 9}, false, 1, 10); err == nil {
		t.Error("loca behind the end of glyf")
	}
	if got, err := readLoca([]byte{0, 0, 0, 5}, false, 1, 10); err != nil || got[1] != 10 {
		t.Errorf("short loca: %v, %v", got, err)
	}
}

func TestDecimals(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{
		0: "0", 1: "1", -1: "-1", 0.5: "0.5", -0.25: "-0.25", 12.345: "12.35", 0.004: "0", -0.004: "0", 9.999: "10", 1.05: "1.05", 841.89: "841.89",
	} {
		if got := string(appendDecimal(nil, v, 2)); got != want {
			t.Errorf("%v is written %s, want %s", v, got, want)
		}
	}
	rapid.Check(t, func(r *rapid.T) {
		v, decimals := rapid.Float64Range(-2000, 2000).Draw(r, "v"), rapid.IntRange(0, 5).Draw(r, "decimals")
		text := string(appendDecimal(nil, v, decimals))
		back, err := strconv.ParseFloat(text, 64)
		if err != nil || math.Abs(back-v) > 0.5000001*math.Pow10(-decimals) {
			r.Fatalf("%v is written %s", v, text)
		}
	})
}

var (
	indexEntry   = regexp.MustCompile(`(?m)^(\d{10}) \d{5} ([nf]) $`)
	streamLength = regexp.MustCompile(`/Length (\d+)[^\n]*>>\nstream\n`)
)

// Viewers repair a file whose index is wrong, and some mail scanners refuse it.
func TestFileIsWellFormed(t *testing.T) {
	t.Parallel()
	pdf, err := testPrinter(t).Invoice(testInvoice(t, 40))
	if err != nil {
		t.Fatal(err)
	}
	index := bytes.LastIndex(pdf, []byte("\nxref\n")) + 1
	if !bytes.HasSuffix(pdf, fmt.Appendf(nil, "startxref\n%d\n%%%%EOF\n", index)) {
		t.Errorf("the file does not end in the place of its index: %q", pdf[len(pdf)-40:])
	}
	entries := indexEntry.FindAllSubmatch(pdf[index:], -1)
	for number, e := range entries {
		at, _ := strconv.Atoi(string(e[1]))
		if used := string(e[2]) == "n"; used != (number > 0) || (used && !bytes.HasPrefix(pdf[at:], fmt.Appendf(nil, "%d 0 obj\n", number))) {
			t.Errorf("object %d is not at %d", number, at)
		}
	}
	if !bytes.Contains(pdf[index:], fmt.Appendf(nil, "/Size %d/", len(entries))) || len(entries) < 12 {
		t.Errorf("%d objects", len(entries))
	}
	streams := streamLength.FindAllSubmatchIndex(pdf, -1)
	for _, s := range streams {
		length, _ := strconv.Atoi(string(pdf[s[2]:s[3]]))
		if !bytes.HasPrefix(pdf[s[1]+length:], []byte("\nendstream\nendobj\n")) {
			t.Errorf("the stream at %d has not %d bytes", s[1], length)
		}
	}
	if len(streams) < 7 { // three pages, two fonts and what their codes mean
		t.Errorf("%d streams", len(streams))
	}
}

// More characters than one group of the map from codes to characters holds come back as they were printed.
func TestManyCharactersStayText(t *testing.T) {
	t.Parallel()
	doc := testPage(t)
	doc.pdf.addPage()
	var want []string
	for i := rune(0); i < 8; i++ {
		var row []rune
		for r := 0x21 + 40*i; r < 0x21+40*(i+1); r++ {
			if int(r) < plainEnd && doc.base().plain[r] > 0 {
				row = append(row, r)
			}
		}
		want = append(want, string(row))
		doc.write(string(row), style{7, i%2 == 1, dark}, 5, 10+5*float64(i), 140)
	}
	pdf, err := doc.bytes()
	if err != nil {
		t.Fatal(err)
	}
	var complaints bytes.Buffer
	command := exec.CommandContext(t.Context(), tool(t, "pdftotext"), write(t, "many.pdf", pdf), "-")
	command.Stderr = &complaints
	text, err := command.Output()
	if err != nil || complaints.Len() > 0 {
		t.Fatalf("%v: %s", err, complaints.String())
	}
	for _, row := range want {
		if !strings.Contains(norm.NFC.String(string(text)), row) {
			t.Errorf("the page does not say %q:\n%s", row, text)
		}
	}
}

// A worker prints hundreds a second beside registrations: what a ticket allocates is garbage that they pay for. Nothing
// else may run meanwhile, so the test is not parallel.
//
//nolint:paralleltest // counts what the whole process allocates
func TestATicketAllocatesLittle(t *testing.T) {
	printer := testPrinter(t)
	pass := testPass(t, "Siti Aminah", sign(t, testSigner(t, 1), testClaim(t)))
	got := testing.AllocsPerRun(20, func() {
		if _, err := printer.Tickets([]Pass{pass}); err != nil {
			t.Fatal(err)
		}
	})
	// 281, and where a race is looked for and the pool forgets every fourth, 320; with a font read anew it was 18,000.
	if got > 2000 {
		t.Errorf("a ticket allocates %.0f times", got)
	}
}

package ticket

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"hash/adler32"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf16"
)

// pdfFile writes a PDF with pages of one size and text in the two base fonts. Positions are in mm from the top left. It is
// no library because of the fonts: go-pdf/fpdf reads, hashes and cuts them anew for each document, 13 MB and nine tenths of
// the time of a ticket, and signintech/gopdf shares them but takes no operators of ours, which drawn scripts need.
type pdfFile struct {
	width, height float64 // of every page, in points
	out           []byte
	offsets       []int  // of each object in out, by its number
	content       []byte // of the page under construction
	pages         []int  // the objects of the pages that are finished
	open          bool   // a page is under construction
	fonts         [2]*subset
	pen           pen
	deflater      *deflater
	err           error
}

// pen is what the page under construction paints with, so that it is said only when it changes.
type pen struct {
	fill, stroke ink
	width        float64
}

// Objects whose numbers are known before they are written.
const (
	catalogObject = 1 + iota
	pagesObject
	infoObject
	resourcesObject
	regularObject
	boldObject
	firstFree
)

// sheet is the size of a page in points.
type sheet struct{ width, height float64 }

var (
	sheetA4 = sheet{595.28, 841.89}
	sheetA5 = sheet{419.53, 595.28}
)

// pointsPerMM converts positions on a page to the file's unit.
const pointsPerMM = 1 / mmPerPoint

// reset starts a file. What was written before is gone, except what bytes returned.
func (f *pdfFile) reset(size sheet) {
	f.width, f.height = size.width, size.height
	// 1.7 has everything used here; the bytes above 127 tell who transports the file that it is not text.
	f.out = append(f.out[:0], "%PDF-1.7\n%\xc2\xb5\xc2\xb6\n"...)
	f.offsets = append(f.offsets[:0], make([]int, firstFree)...)
	f.content, f.pages, f.open, f.err = f.content[:0], f.pages[:0], false, nil
	for _, s := range f.fonts {
		s.reset()
	}
}

// addPage ends the page under construction and starts another.
func (f *pdfFile) addPage() {
	f.endPage()
	f.content, f.open = f.content[:0], true
	f.forget()
}

// forget says that what is painted with is not known: at the start of a page and after a state was restored.
func (f *pdfFile) forget() {
	none := ink{-1, -1, -1}
	f.pen = pen{none, none, -1}
}

func (f *pdfFile) endPage() {
	if !f.open {
		return
	}
	content := f.putStream("/Filter/FlateDecode", f.packed(f.content))
	page := f.begin(f.next())
	f.say("<</Type/Page/Parent ", pagesObject, " 0 R/Resources ", resourcesObject, " 0 R/Contents ", content, " 0 R>>")
	f.end()
	f.pages = append(f.pages, page)
	f.open = false
}

// bytes ends the file.
func (f *pdfFile) bytes(title, locale string, made time.Time) ([]byte, error) {
	f.endPage()
	f.putFonts()
	f.begin(pagesObject)
	f.say("<</Type/Pages/Count ", len(f.pages), "/MediaBox[0 0 ", f.width, " ", f.height, "]/Kids[")
	for _, p := range f.pages {
		f.say(p, " 0 R ")
	}
	f.say("]>>")
	f.end()
	f.begin(infoObject)
	date := made.UTC().Format("(D:20060102150405+00'00')")
	f.say("<</Producer<", utf16Hex("gapura"), ">/Title<", utf16Hex(title), ">/CreationDate", date, "/ModDate", date, ">>")
	f.end()
	f.begin(catalogObject)
	f.say("<</Type/Catalog/Pages ", pagesObject, " 0 R/Lang<", utf16Hex(locale), ">>>")
	f.end()
	f.putIndex()
	return bytes.Clone(f.out), f.err
}

// putIndex writes where each object starts, in lines of 20 bytes.
func (f *pdfFile) putIndex() {
	start := len(f.out)
	f.say("xref\n0 ", len(f.offsets), "\n")
	for number, at := range f.offsets {
		kind := " 00000 n \n"
		if at == 0 {
			kind = " 00000 f \n"
			if number == 0 {
				kind = " 65535 f \n"
			}
		}
		f.out = append(fmt.Appendf(f.out, "%010d", at), kind...)
	}
	f.say("trailer\n<</Size ", len(f.offsets), "/Root ", catalogObject, " 0 R/Info ", infoObject, " 0 R>>\nstartxref\n", start, "\n%%EOF\n")
}

// putFonts writes the fonts that text was set in and the resources that name them.
func (f *pdfFile) putFonts() {
	for i, s := range f.fonts {
		if len(s.runes) > 0 {
			f.putFont(regularObject+i, s)
		}
	}
	f.begin(resourcesObject)
	f.say("<</ProcSet[/PDF/Text]/Font<<")
	for i, s := range f.fonts {
		if len(s.runes) > 0 {
			f.say("/F", i, " ", regularObject+i, " 0 R")
		}
	}
	f.say(">>>>")
	f.end()
}

func (f *pdfFile) putFont(object int, s *subset) {
	name := s.tag()
	file := f.putFontFile(s)
	unicodes := f.putStream("", s.appendUnicodes(nil))
	descriptor := f.begin(f.next())
	f.say("<</Type/FontDescriptor/FontName/", name, s.described, "/FontFile2 ", file, " 0 R>>")
	f.end()
	descendant := f.begin(f.next())
	f.say("<</Type/Font/Subtype/CIDFontType2/BaseFont/", name, "/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>",
		"/FontDescriptor ", descriptor, " 0 R/CIDToGIDMap/Identity/DW ", s.width(0), "/W[1[")
	for _, gid := range s.glyphs[1 : len(s.runes)+1] {
		f.say(s.width(gid), " ")
	}
	f.say("]]>>")
	f.end()
	f.begin(object)
	f.say("<</Type/Font/Subtype/Type0/BaseFont/", name, "/Encoding/Identity-H/DescendantFonts[", descendant, " 0 R]/ToUnicode ", unicodes,
		" 0 R>>")
	f.end()
}

func (f *pdfFile) putFontFile(s *subset) int {
	packed, length, err := s.appendFile(f.deflater.scratch[:0], f.deflater)
	if err != nil {
		f.err = err
		return 0
	}
	f.deflater.scratch = packed
	return f.putStream("/Filter/FlateDecode/Length1 "+strconv.Itoa(length), packed)
}

// appendUnicodes writes which character each code of s is, in groups of at most 100, as the format of such maps demands.
// It is not compressed: that would save 0.5 kB a font and take a tenth of the time of a ticket.
func (s *subset) appendUnicodes(b []byte) []byte {
	b = append(b, "/CIDInit/ProcSet findresource begin 12 dict begin begincmap/CIDSystemInfo<</Registry(Adobe)/Ordering(UCS)/Supplement 0>>def"+
		"/CMapName/Adobe-Identity-UCS def/CMapType 2 def 1 begincodespacerange<0000><FFFF>endcodespacerange\n"...)
	code := 1
	for group := range slices.Chunk(s.runes, 100) {
		b = append(strconv.AppendInt(b, int64(len(group)), 10), " beginbfchar\n"...)
		for _, r := range group {
			b = append(appendHex(append(b, '<'), uint16(code)), "><"...) //nolint:gosec // not more than the font has characters
			for _, u := range utf16.AppendRune(nil, r) {
				b = appendHex(b, u)
			}
			b = append(b, ">\n"...)
			code++
		}
		b = append(b, "endbfchar\n"...)
	}
	return append(b, "endcmap CMapName currentdict/CMap defineresource pop end end"...)
}

// next returns the number of a new object.
func (f *pdfFile) next() int {
	f.offsets = append(f.offsets, 0)
	return len(f.offsets) - 1
}

func (f *pdfFile) begin(object int) int {
	f.offsets[object] = len(f.out)
	f.say(object, " 0 obj\n")
	return object
}

func (f *pdfFile) end() { f.say("\nendobj\n") }

// packed returns data compressed, valid until the next call.
func (f *pdfFile) packed(data []byte) []byte {
	out, err := f.deflater.zlib(data)
	if err != nil {
		f.err = err
	}
	return out
}

// putStream writes data with those entries as a new object and returns its number.
func (f *pdfFile) putStream(entries string, data []byte) int {
	object := f.begin(f.next())
	f.say("<</Length ", len(data), entries, ">>\nstream\n")
	f.out = append(f.out, data...)
	f.say("\nendstream")
	f.end()
	return object
}

// say writes words and numbers into the file.
func (f *pdfFile) say(parts ...any) { f.out = appendParts(f.out, parts) }

// op writes operands and an operator into the page.
func (f *pdfFile) op(parts ...any) { f.content = append(appendParts(f.content, parts), '\n') }

func appendParts(b []byte, parts []any) []byte {
	for _, p := range parts {
		switch v := p.(type) {
		case string:
			b = append(b, v...)
		case int:
			b = strconv.AppendInt(b, int64(v), 10)
		case float64:
			b = appendDecimal(b, v, 2)
		}
	}
	return b
}

// appendDecimal writes v with at most that many decimals. It is ten times as fast as strconv, whose exact conversion was 8%
// of a page.
func appendDecimal(b []byte, v float64, decimals int) []byte {
	scale := int64(1)
	for range decimals {
		scale *= 10
	}
	n := int64(math.Round(v * float64(scale)))
	if n < 0 {
		b, n = append(b, '-'), -n
	}
	b = strconv.AppendInt(b, n/scale, 10)
	if n %= scale; n == 0 {
		return b
	}
	b = append(b, '.')
	for n > 0 {
		scale /= 10
		b = append(b, '0'+byte(n/scale)) //nolint:gosec // one digit
		n %= scale
	}
	return b
}

func appendHex(b []byte, v uint16) []byte {
	const digits = "0123456789ABCDEF"
	return append(b, digits[v>>12], digits[v>>8&15], digits[v>>4&15], digits[v&15])
}

// utf16Hex is s as a PDF's hexadecimal string of UTF-16, without its brackets.
func utf16Hex(s string) string {
	out := append(make([]byte, 0, 4+4*len(s)), "FEFF"...)
	for _, u := range utf16.Encode([]rune(s)) {
		out = appendHex(out, u)
	}
	return string(out)
}

// deflater compresses with the same working memory again and again: a writer of compress/flate has 800 kB. Of the levels
// the fastest, 0.65 ms for a ticket of 20.6 kB: with level 4 it is 0.9 ms and 19.9 kB, with Huffman codes alone 0.45 and 23.3.
type deflater struct {
	writer  *flate.Writer
	out     []byte
	scratch []byte
}

// Write implements io.Writer.
func (d *deflater) Write(p []byte) (int, error) {
	d.out = append(d.out, p...)
	return len(p), nil
}

// append compresses parts as one stream behind out.
func (d *deflater) append(out []byte, parts ...[]byte) ([]byte, error) {
	d.out = out
	if d.writer == nil {
		w, err := flate.NewWriter(d, flate.BestSpeed)
		if err != nil {
			return nil, fmt.Errorf("compress: %w", err)
		}
		d.writer = w
	} else {
		d.writer.Reset(d)
	}
	for _, p := range parts {
		if _, err := d.writer.Write(p); err != nil {
			return nil, fmt.Errorf("compress: %w", err)
		}
	}
	if err := d.writer.Close(); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return d.out, nil
}

// zlib compresses data in the format of RFC 1950. The result is valid until the next call.
func (d *deflater) zlib(data []byte) ([]byte, error) {
	packed, err := d.append(append(d.scratch[:0], 0x78, 0x01), data)
	if err != nil {
		return nil, err
	}
	d.scratch = binary.BigEndian.AppendUint32(packed, adler32.Checksum(data))
	return d.scratch, nil
}

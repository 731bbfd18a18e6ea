package ticket

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/adler32"
	"slices"
	"unicode"

	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/font/opentype"
	"github.com/go-text/typesetting/language"
	"golang.org/x/text/unicode/norm"
)

// baseFont is what documents need of one of their own two fonts, read once: which glyph and width a character has, the
// outlines, and the tables that every subset holds unchanged, compressed ahead. It is never changed.
type baseFont struct {
	font      *font.Font
	name      string // in the PDF, without the tag of a subset
	perEm     int
	head      []byte
	hhea      []byte
	maxp      []byte
	loca      []uint32 // where each glyph starts in glyf, and where the last one ends
	glyf      []byte
	hmtx      []byte
	metrics   int // glyphs with an advance of their own in hmtx
	constant  []sfntTable
	deflated  []byte   // the constant tables, as blocks of a deflate stream that ends at a byte
	described string   // the descriptor's entries that are the same in every document
	plain     []uint16 // by character, the advance of those that the shaper sets alike whatever stands beside them; else 0
}

// sfntTable is a table of a TrueType file, filled up to a multiple of four bytes.
type sfntTable struct {
	tag    string
	data   []byte
	length int // without what fills it up
}

// plainEnd is where looking for plain characters ends: behind Latin with all accents of Vietnamese (U+1EFF) and the
// punctuation of U+2000. The two fonts together list 2,000 of them.
const plainEnd = 0x2200

// The hinting programs stay: they are a fifth of a document, but without them small type on a coarse screen looks different.
var constantTables = []string{"cvt ", "fpgm", "gasp", "prep"}

func newBaseFont(name string, file []byte, opened *font.Font) (*baseFont, error) {
	loader, err := opentype.NewLoader(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	table := func(tag string) []byte {
		data, problem := loader.RawTable(opentype.MustNewTag(tag))
		err = errors.Join(err, problem)
		return data
	}
	b := &baseFont{
		font: opened, name: name,
		head: table("head"), hhea: table("hhea"), maxp: table("maxp"), glyf: table("glyf"), hmtx: table("hmtx"),
	}
	loca, os2, post := table("loca"), table("OS/2"), table("post")
	for _, tag := range constantTables {
		b.constant = append(b.constant, newTable(tag, table(tag)))
	}
	if err != nil {
		return nil, err
	}
	if len(b.head) < 54 || len(b.hhea) < 36 || len(b.maxp) < 6 || len(os2) < 90 || len(post) < 16 {
		return nil, errors.New("a table is too short")
	}
	b.perEm = int(u16(b.head, 18))
	b.metrics = int(u16(b.hhea, 34))
	if b.loca, err = readLoca(loca, u16(b.head, 50) == 1, int(u16(b.maxp, 4)), len(b.glyf)); err != nil {
		return nil, err
	}
	if b.metrics < 1 || len(b.hmtx) < 2*b.metrics+2*(len(b.loca)-1) {
		return nil, errors.New("hmtx is too short")
	}
	b.described = b.describe(os2, post)
	if b.deflated, err = deflateConstant(b.constant); err != nil {
		return nil, err
	}
	b.plain = b.findPlain()
	return b, nil
}

func readLoca(raw []byte, long bool, glyphs, end int) ([]uint32, error) {
	size := 2
	if long {
		size = 4
	}
	if len(raw) < size*(glyphs+1) {
		return nil, errors.New("loca is too short")
	}
	loca := make([]uint32, glyphs+1)
	for i := range loca {
		if long {
			loca[i] = binary.BigEndian.Uint32(raw[4*i:])
		} else {
			loca[i] = 2 * uint32(u16(raw, 2*i))
		}
		if loca[i] > uint32(end) || (i > 0 && loca[i] < loca[i-1]) { //nolint:gosec // a table is smaller than 4 GB
			return nil, errors.New("loca points outside of glyf")
		}
	}
	return loca, nil
}

// describe writes what a viewer wants to know before it reads the font: measures in thousandths of an em.
func (b *baseFont) describe(os2, post []byte) string {
	scaled := func(table []byte, at int) int { return int(i16(table, at)) * em / b.perEm }
	weight := float64(u16(os2, 4))
	flags := 4 // symbolic: its characters are not those of Adobe's standard Latin set
	if weight >= 600 {
		flags |= 1 << 18
	}
	return fmt.Sprintf("/Ascent %d/Descent %d/CapHeight %d/Flags %d/FontBBox[%d %d %d %d]/ItalicAngle %d/StemV %d/MissingWidth %d",
		scaled(b.hhea, 4), scaled(b.hhea, 6), scaled(os2, 88), flags,
		scaled(b.head, 36), scaled(b.head, 38), scaled(b.head, 40), scaled(b.head, 42),
		i16(post, 4), 50+int(weight*weight/(65*65)), b.width(0))
}

// deflateConstant compresses what is in every subset once: 4 of its 12 kB.
func deflateConstant(tables []sfntTable) ([]byte, error) {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	for _, t := range tables {
		if _, err := w.Write(t.data); err != nil {
			return nil, err
		}
	}
	if err := w.Flush(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// findPlain lists the characters of Latin text for which shaping is looking up a glyph: letters that are composed already,
// digits, signs and the space. The shaper makes a fraction of what surrounds U+2044, and joins signs that modify a letter.
func (b *baseFont) findPlain() []uint16 {
	plain := make([]uint16, plainEnd)
	for r := rune(' '); r < plainEnd; r++ {
		script := language.LookupScript(r)
		gid, has := b.font.Cmap.Lookup(r)
		if !has || gid == 0 || (script != language.Latin && script != language.Common) || !norm.NFC.IsNormalString(string(r)) {
			continue
		}
		if r == ' ' || (unicode.In(r, unicode.L, unicode.Nd, unicode.P, unicode.S) && r != '\u2044' && !unicode.In(r, unicode.Lm, unicode.Sk)) {
			plain[r] = b.advance(gid)
		}
	}
	return plain
}

// measure returns the advance of text in thousandths of an em if all of it is plain.
func (b *baseFont) measure(text string) (units int, ok bool) {
	for _, r := range text {
		if r >= plainEnd || b.plain[r] == 0 {
			return 0, false
		}
		units += int(b.plain[r])
	}
	return units * em / b.perEm, true
}

func (b *baseFont) advance(gid font.GID) uint16 {
	return u16(b.hmtx, 4*min(int(gid), b.metrics-1))
}

// width is an advance in thousandths of an em, as a PDF has it.
func (b *baseFont) width(gid font.GID) int {
	return (int(b.advance(gid))*em + b.perEm/2) / b.perEm
}

// bearing returns the left side bearing of a glyph, as hmtx has it.
func (b *baseFont) bearing(gid font.GID) uint16 {
	if int(gid) < b.metrics {
		return u16(b.hmtx, 4*int(gid)+2)
	}
	return u16(b.hmtx, 4*b.metrics+2*(int(gid)-b.metrics))
}

func (b *baseFont) outline(gid font.GID) []byte {
	if int(gid)+1 >= len(b.loca) {
		return nil
	}
	return b.glyf[b.loca[gid]:b.loca[gid+1]]
}

// subset is the part of a base font that one document uses. The glyph of the first character is 1, that of the next new
// one 2, and so on: 0 stands for what is missing. The numbers are also the codes of the text in the document.
type subset struct {
	*baseFont
	codes  map[rune]uint16
	runes  []rune     // by code, from 1
	glyphs []font.GID // in the full font, by glyph of the subset; behind the characters the parts of composed ones
}

// reset empties s for another document.
func (s *subset) reset() {
	clear(s.codes)
	s.runes = s.runes[:0]
	s.glyphs = append(s.glyphs[:0], 0)
}

// code returns the glyph of r and takes it into the subset. One page has some 60; a document with 65,534 is not one of ours.
func (s *subset) code(r rune) uint16 {
	if c, ok := s.codes[r]; ok {
		return c
	}
	gid, _ := s.font.Cmap.Lookup(r)
	c := uint16(len(s.glyphs)) //nolint:gosec // not more than the font has characters
	s.codes[r] = c
	s.runes = append(s.runes, r)
	s.glyphs = append(s.glyphs, gid)
	return c
}

// tag names the subset: viewers that keep fonts by name must not take it for that of another document.
func (s *subset) tag() string {
	hash := uint64(14695981039346656037) // FNV-1a
	for _, r := range s.runes {
		hash = (hash ^ uint64(r)) * 1099511628211 //nolint:gosec // a character is not negative
	}
	letters := make([]byte, 6)
	for i := range letters {
		letters[i] = 'A' + byte(hash%26)
		hash /= 26
	}
	return string(letters) + "+" + s.name
}

// Flags of a part of a composed glyph (TrueType, table glyf).
const (
	partHasWords  = 1 << 0
	partHasScale  = 1 << 3
	morePartsCome = 1 << 5
	partHasScales = 1 << 6
	partHasMatrix = 1 << 7
)

// outlines returns glyf and loca, with long entries, of the subset. Parts of composed glyphs join s.glyphs behind the characters.
func (s *subset) outlines() (glyf, loca []byte) {
	for i := 0; i < len(s.glyphs); i++ { //nolint:intrange // it grows meanwhile
		loca = binary.BigEndian.AppendUint32(loca, uint32(len(glyf))) //nolint:gosec // a table is smaller than 4 GB
		start := len(glyf)
		glyf = append(glyf, s.outline(s.glyphs[i])...)
		s.renumberParts(glyf[start:])
		for len(glyf)%4 != 0 {
			glyf = append(glyf, 0)
		}
	}
	return glyf, binary.BigEndian.AppendUint32(loca, uint32(len(glyf))) //nolint:gosec // a table is smaller than 4 GB
}

// renumberParts lets a composed glyph refer to its parts by their numbers in the subset.
func (s *subset) renumberParts(glyph []byte) {
	if len(glyph) < 10 || i16(glyph, 0) >= 0 {
		return
	}
	for at := 10; at+4 <= len(glyph); {
		flags := u16(glyph, at)
		part := font.GID(u16(glyph, at+2))
		number := slices.Index(s.glyphs[len(s.runes)+1:], part)
		if number < 0 {
			number = len(s.glyphs) - len(s.runes) - 1
			s.glyphs = append(s.glyphs, part)
		}
		binary.BigEndian.PutUint16(glyph[at+2:], uint16(number+len(s.runes)+1)) //nolint:gosec // not more than the font has glyphs
		if flags&morePartsCome == 0 {
			return
		}
		at += partSize(flags)
	}
}

func partSize(flags uint16) int {
	size := 6
	if flags&partHasWords != 0 {
		size += 2
	}
	switch {
	case flags&partHasScale != 0:
		size += 2
	case flags&partHasScales != 0:
		size += 4
	case flags&partHasMatrix != 0:
		size += 8
	}
	return size
}

// tables returns what differs from subset to subset.
func (s *subset) tables() []sfntTable {
	glyf, loca := s.outlines()
	count := uint16(len(s.glyphs)) //nolint:gosec // not more than the font has
	hmtx := make([]byte, 0, 4*len(s.glyphs))
	for _, gid := range s.glyphs {
		hmtx = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(hmtx, s.advance(gid)), s.bearing(gid))
	}
	head, hhea, maxp := bytes.Clone(s.head[:54]), bytes.Clone(s.hhea[:36]), bytes.Clone(s.maxp)
	clear(head[8:12])                        // the file's check sum, set when the file is whole
	binary.BigEndian.PutUint16(head[50:], 1) // loca has long entries
	binary.BigEndian.PutUint16(hhea[34:], count)
	binary.BigEndian.PutUint16(maxp[4:], count)
	return []sfntTable{
		newTable("glyf", glyf), newTable("head", head), newTable("hhea", hhea), newTable("hmtx", hmtx), newTable("loca", loca),
		newTable("maxp", maxp),
	}
}

// appendFile appends the subset as a compressed TrueType file and returns it with its length before compression: the
// directory stored, the constant tables as they were compressed ahead, then the rest.
func (s *subset) appendFile(out []byte, d *deflater) (file []byte, length int, err error) {
	changing := s.tables()
	directory := fontDirectory(s.constant, changing)
	sum := adler32.New()
	_, _ = sum.Write(directory)
	size := uint16(len(directory))   //nolint:gosec // 172 bytes
	out = append(out, 0x78, 0x01, 0) // the format, and the start of a stored block: its length and the complement
	out = binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(out, size), ^size)
	out = append(out, directory...)
	out = append(out, s.deflated...)
	length = len(directory)
	for _, t := range s.constant {
		_, _ = sum.Write(t.data)
		length += len(t.data)
	}
	parts := make([][]byte, len(changing))
	for i, t := range changing {
		_, _ = sum.Write(t.data)
		length += len(t.data)
		parts[i] = t.data
	}
	if out, err = d.append(out, parts...); err != nil {
		return nil, 0, err
	}
	return binary.BigEndian.AppendUint32(out, sum.Sum32()), length, nil
}

// fontDirectory returns the head of a TrueType file with these tables, in this order, and sets the check sum in their head.
func fontDirectory(groups ...[]sfntTable) []byte {
	var tables []sfntTable
	for _, g := range groups {
		tables = append(tables, g...)
	}
	power, log := 1, 0
	for power*2 <= len(tables) {
		power, log = power*2, log+1
	}
	out := []byte{0, 1, 0, 0}
	for _, v := range []int{len(tables), power * 16, log, (len(tables) - power) * 16} {
		out = binary.BigEndian.AppendUint16(out, uint16(v)) //nolint:gosec // there are ten tables
	}
	out = append(out, make([]byte, 16*len(tables))...)
	order := slices.Clone(tables)
	slices.SortFunc(order, func(a, b sfntTable) int { return bytes.Compare([]byte(a.tag), []byte(b.tag)) })
	at, whole := len(out), uint32(0)
	var head []byte
	for _, t := range tables {
		sum := checksum(t.data)
		entry := out[12+16*slices.IndexFunc(order, func(o sfntTable) bool { return o.tag == t.tag }):]
		copy(entry, t.tag)
		binary.BigEndian.PutUint32(entry[4:], sum)
		binary.BigEndian.PutUint32(entry[8:], uint32(at))        //nolint:gosec // a font is smaller than 4 GB
		binary.BigEndian.PutUint32(entry[12:], uint32(t.length)) //nolint:gosec // a font is smaller than 4 GB
		whole += sum
		at += len(t.data)
		if t.tag == "head" {
			head = t.data
		}
	}
	if head != nil {
		binary.BigEndian.PutUint32(head[8:], 0xB1B0AFBA-(whole+checksum(out)))
	}
	return out
}

func newTable(tag string, data []byte) sfntTable {
	t := sfntTable{tag: tag, data: data, length: len(data)}
	for len(t.data)%4 != 0 {
		t.data = append(t.data, 0)
	}
	return t
}

// checksum adds up the words of data, which has a multiple of four bytes.
func checksum(data []byte) uint32 {
	var sum uint32
	for ; len(data) >= 4; data = data[4:] {
		sum += binary.BigEndian.Uint32(data)
	}
	return sum
}

func u16(b []byte, at int) uint16 { return binary.BigEndian.Uint16(b[at:]) }
func i16(b []byte, at int) int16  { return int16(u16(b, at)) } //nolint:gosec // the same bits

package ticket

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gapura/internal/event"
	"gapura/internal/money"

	"github.com/go-text/typesetting/language"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

// names are people's names, one for every writing system that has a font of its own or is likely in Indonesia.
var names = map[string]string{
	"latin": "Siti Aminah", "vietnamese": "Nguyễn Thị Phương Thảo", "cyrillic": "Александр Пушкин", "greek": "Σωκράτης Παπαδόπουλος",
	"arabic": "محمد عبد الله الحسيني", "hebrew": "שרה כהן", "thai": "สมชาย ใจดี", "lao": "ສົມຊາຍ", "khmer": "សុខា ចាន់",
	"myanmar": "အောင်ဆန်း", "devanagari": "अमिताभ श्रीवास्तव", "bengali": "রবীন্দ্রনাথ", "tamil": "முருகன்", "telugu": "శ్రీనివాస్",
	"sinhala": "ශ්\u200dරී", "han": "王小明", "kana": "たなかハナコ", "hangul": "김철수 뷁", "georgian": "შოთა", "armenian": "Արամ",
	"ethiopic": "አበበ", "javanese": "ꦱꦶꦠꦶ ꦄꦩꦶꦤꦃ", "balinese": "ᬰ᭄ᬭᬷ ᬓᬺᬱ᭄ᬡ", "sundanese": "ᮃᮏᮤ", "batak": "ᯅᯖᯂ᯲", "buginese": "ᨒᨁᨒᨗᨁᨚ",
	"emoji": "Zoë 🏃", "decomposed": "Zoe\u0308 N\u0303andu\u0301",
}

// onePrinter is shared: opening the fonts anew for every test takes a minute under the race detector.
var onePrinter = sync.OnceValues(NewPrinter)

func testPrinter(t testing.TB) *Printer {
	t.Helper()
	p, err := onePrinter()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func testPage(t testing.TB) *page {
	t.Helper()
	doc, err := testPrinter(t).newPage(sheetA5, "t", "id", time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func jakarta(t testing.TB) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Jakarta")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func testPass(t testing.TB, name, code string) Pass {
	t.Helper()
	return Pass{
		Locale: "id", Event: event.Text{ID: "Gapura Lari Malam 2027", EN: "Gapura Night Run 2027"}, Organiser: "Yayasan Lari Bandung",
		StartsAt: time.Date(2027, 3, 7, 11, 0, 0, 0, time.UTC), Timezone: jakarta(t), Venue: "Lapangan Gasibu", City: "Bandung",
		Participant: name, Category: event.Text{ID: "10 K", EN: "10 K"}, OrderNumber: "GNR27-000123", Position: 1, Of: 2,
		Details: []Detail{{"UKURAN JERSEY", "M"}}, Code: code, IssuedAt: time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC),
	}
}

func testInvoice(t testing.TB, lines int) Invoice {
	t.Helper()
	in := Invoice{
		Locale: "id", Number: "YLB/2026/000123", IssuedAt: time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC), Timezone: jakarta(t),
		Seller: event.Organiser{Name: "Yayasan Lari Bandung", Address: "Jl. Diponegoro 22, Bandung", NPWP: "012345678901234"},
		Buyer:  Buyer{Name: "Siti Aminah", Email: "siti@example.id", Phone: "+628123456789"},
		Event:  event.Text{ID: "Gapura Lari Malam 2027", EN: "Gapura Night Run 2027"}, StartsAt: time.Date(2027, 3, 7, 11, 0, 0, 0, time.UTC),
		Place: "Lapangan Gasibu, Bandung", OrderNumber: "GNR27-000123", Tax: event.Tax{Name: "PPN", BasisPoints: 1100},
		Payment: Payment{Method: "QRIS", Reference: "0b7f3f52-1e7c", PaidAt: time.Date(2026, 12, 1, 2, 59, 0, 0, time.UTC)},
	}
	for range lines {
		in.Lines = append(in.Lines, InvoiceLine{Category: event.Text{ID: "10 K"}, Tier: "Early bird", Participant: "Budi", Price: 200000})
		in.Total += 200000
	}
	return in
}

func write(t *testing.T, file string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), file)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func run1(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), tool(t, name), args...).Output()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return string(out)
}

// pageImage renders the first page of a PDF at dpi.
func pageImage(t *testing.T, pdf []byte, dpi string) *image.RGBA {
	t.Helper()
	source := write(t, "page.pdf", pdf)
	target := strings.TrimSuffix(source, ".pdf")
	run1(t, "pdftoppm", "-r", dpi, "-png", "-singlefile", source, target)
	file, err := os.Open(target + ".png")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	decoded, err := png.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	picture := image.NewRGBA(decoded.Bounds())
	draw.Draw(picture, picture.Bounds(), decoded, image.Point{}, draw.Src)
	return picture
}

func scan(t *testing.T, picture image.Image) string {
	t.Helper()
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		t.Fatal(err)
	}
	// Without a bus of the desktop zbar complains on standard error only.
	return strings.TrimRight(run1(t, "zbarimg", "-q", "--raw", write(t, "scan.png", out.Bytes())), "\n")
}

func TestPrintedCodeIsReadByAScanner(t *testing.T) {
	t.Parallel()
	signer := testSigner(t, 1)
	code := sign(t, signer, testClaim(t))
	pdf, err := testPrinter(t).Tickets([]Pass{testPass(t, "Siti Aminah", code)})
	if err != nil {
		t.Fatal(err)
	}
	picture := pageImage(t, pdf, "100")
	if got := scan(t, picture); got != code {
		t.Fatalf("the scanner read %q, printed was %q", got, code)
	}
	crack(picture)
	got := scan(t, picture)
	if claim, err := testRing(t, signer).Verify(got); err != nil || claim != testClaim(t) {
		t.Errorf("behind a cracked glass the scanner read %q: %v", got, err)
	}
}

// crack draws two white cracks, 2 pixels wide, across the code, and a splinter as large as 13
// modules. (Through one of the three corner marks a crack defeats zbar, whatever the level.)
func crack(picture *image.RGBA) {
	b := picture.Bounds()
	for x := b.Min.X; x < b.Max.X; x++ {
		for _, y := range []int{b.Max.Y*66/100 + x/6, b.Max.Y*84/100 - x/6} {
			picture.Set(x, y, color.White)
			picture.Set(x, y+1, color.White)
		}
	}
	splinter := image.Rect(b.Max.X*6/10, b.Max.Y*7/10, b.Max.X*6/10+24, b.Max.Y*7/10+24)
	draw.Draw(picture, splinter, image.Black, image.Point{}, draw.Src)
}

func TestSymbolFormsAgree(t *testing.T) {
	t.Parallel()
	code := sign(t, testSigner(t, 1), testClaim(t))
	symbol, err := QR(code)
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(symbol.PNG()))
	if err != nil {
		t.Fatal(err)
	}
	if got := scan(t, picture); got != code {
		t.Errorf("PNG reads %q, want %q", got, code)
	}
	if svg := symbol.SVG(); !strings.Contains(svg, `viewBox="0 0 49 49"`) || strings.Contains(svg, "<script") {
		t.Errorf("a version 6 symbol with its quiet zone is 49 wide: %.120s", svg)
	}
	if _, err := QR(strings.Repeat("x", 5000)); err == nil {
		t.Error("5,000 characters made a QR code")
	}
}

func TestEveryScriptHasGlyphs(t *testing.T) {
	t.Parallel()
	for script, name := range names {
		doc := testPage(t)
		for _, bold := range []bool{false, true} {
			for _, l := range doc.lines(name, style{20, bold, dark}, 300, 1) {
				for _, r := range l.runs {
					for _, g := range r.Glyphs {
						if g.GlyphID == 0 {
							t.Errorf("%s: no glyph in %q, bold %v", script, r.text, bold)
						}
					}
				}
			}
		}
		if doc.err != nil {
			t.Errorf("%s: %v", script, doc.err)
		}
	}
}

func TestEveryFontOpensAndIsUsed(t *testing.T) {
	t.Parallel()
	lib, err := newFontLibrary()
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{regularFont: true, boldFont: true, eastAsian: true, hangul: true, bitmapBMP: true, bitmapAbove: true}
	for script, name := range scriptFonts {
		used[name] = true
		if _, ok := lib.open[name]; !ok {
			t.Errorf("%s: font %s is not embedded", script, name)
		}
	}
	for name := range lib.open {
		if !used[name] {
			t.Errorf("font %s is embedded and no script uses it", name)
		}
		if _, err := lib.typeface(name); err != nil {
			t.Error(err)
		}
	}
	if _, err := lib.typeface("Comic"); err == nil {
		t.Error("a font that is not embedded was opened")
	}
}

func TestWhatIsPrinted(t *testing.T) {
	t.Parallel()
	doc := testPage(t)
	for in, want := range map[string]string{
		"  Siti \n Aminah\t":        "Siti Aminah",
		"a\x00b\x1b[31mc":           "ab[31mc",
		"\u202eevil\u202c":          "evil", // an override would print the name backwards
		"Zoe\u0308":                 "Zoë",
		"𠮷野":                        "[U+20BB7]野",
		"می\u200cخواهم":             "می\u200cخواهم", // Persian needs its non-joiner
		"\xff":                      "\ufffd",
		strings.Repeat("\u200b", 9): "",
	} {
		if got := string(doc.printable(in)); got != want {
			t.Errorf("printable(%q) = %q, want %q", in, got, want)
		}
	}
}

// The characters of a name stay in the document, for search, copying and reading aloud, also where they are drawn.
func TestNamesStayText(t *testing.T) {
	t.Parallel()
	printer := testPrinter(t)
	code := sign(t, testSigner(t, 1), testClaim(t))
	for script, name := range names {
		pdf, err := printer.Tickets([]Pass{testPass(t, name, code)})
		if err != nil {
			t.Fatalf("%s: %v", script, err)
		}
		doc := testPage(t)
		for _, l := range doc.lines(name, style{20, true, dark}, 300, 1) {
			for _, r := range l.runs {
				if r.base == nil && !bytes.Contains(inflate(t, pdf), []byte(utf16Hex(r.text))) {
					t.Errorf("%s: %q is drawn without its characters", script, r.text)
				}
			}
		}
	}
	pdf, err := printer.Tickets([]Pass{testPass(t, names["vietnamese"], code)})
	if err != nil {
		t.Fatal(err)
	}
	text := norm.NFC.String(run1(t, "pdftotext", write(t, "t.pdf", pdf), "-"))
	for _, want := range []string{names["vietnamese"], "Minggu, 7 Maret 2027", "18.00 WIB", "GNR27-000123", "1 dari 2", "Lapangan Gasibu, Bandung"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q:\n%s", want, text)
		}
	}
}

func TestDocumentsAreDeterministicAlsoConcurrently(t *testing.T) {
	t.Parallel()
	code := sign(t, testSigner(t, 1), testClaim(t))
	render := func(p *Printer) string {
		var all []byte
		for _, script := range []string{"latin", "arabic", "hangul", "emoji"} {
			pdf, err := p.Tickets([]Pass{testPass(t, names[script], code)})
			if err != nil {
				t.Error(err)
			}
			all = append(all, pdf...)
		}
		invoice, err := p.Invoice(testInvoice(t, 3))
		if err != nil {
			t.Error(err)
		}
		return string(append(all, invoice...))
	}
	fresh, err := NewPrinter()
	if err != nil {
		t.Fatal(err)
	}
	want, shared := render(fresh), testPrinter(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if render(shared) != want {
				t.Error("the same input gave other bytes")
			}
		})
	}
	wg.Wait()
}

func TestTicketSizeAndFailures(t *testing.T) {
	t.Parallel()
	printer := testPrinter(t)
	pdf, err := printer.Tickets([]Pass{testPass(t, "Siti Aminah", sign(t, testSigner(t, 1), testClaim(t)))})
	if err != nil {
		t.Fatal(err)
	}
	if len(pdf) > 25_000 {
		t.Errorf("a ticket has %d bytes; with 5,000 attached to mails it should stay below 25,000", len(pdf))
	}
	if _, err := printer.Tickets(nil); err == nil {
		t.Error("a document without a ticket")
	}
	if _, err := printer.Tickets([]Pass{testPass(t, "Siti", strings.Repeat("x", 5000))}); err == nil {
		t.Error("a code that fits no QR symbol was printed")
	}
}

func TestLongNamesEndInAnEllipsis(t *testing.T) {
	t.Parallel()
	doc := testPage(t)
	for _, name := range []string{strings.Repeat("Kusumaningrat ", 40), strings.Repeat("W", 400), strings.Repeat("محمد ", 100), strings.Repeat("王", 300)} {
		lines := doc.fit(name, style{20, true, dark}, 100, 2, 9)
		if len(lines) > 2 || widest(lines) > 100.5 {
			t.Errorf("%.12q takes %d lines of %.1f mm", name, len(lines), widest(lines))
		}
		last := ""
		for _, r := range lines[len(lines)-1].runs {
			last += r.text
		}
		if !strings.Contains(last, "…") {
			t.Errorf("%.12q is cut without a sign: %q", name, last)
		}
	}
}

func TestInvoiceSaysWhatWasSold(t *testing.T) {
	t.Parallel()
	pdf, err := testPrinter(t).Invoice(testInvoice(t, 2))
	if err != nil {
		t.Fatal(err)
	}
	text := run1(t, "pdftotext", "-layout", write(t, "i.pdf", pdf), "-")
	for _, want := range []string{
		"YLB/2026/000123", "1 Desember 2026", "Yayasan Lari Bandung", "NPWP 01.234.567.8-901.234", "Siti Aminah", "Early bird",
		"Rp200.000", "PPN 11% (sudah termasuk)", "Rp39.640", "Rp360.360", "Rp400.000", "empat ratus ribu rupiah", "QRIS", "LUNAS",
		"0b7f3f52-1e7c", "1 Desember 2026, 09.59 WIB", "Halaman 1 dari 1",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the invoice does not say %q:\n%s", want, text)
		}
	}
}

func TestInvoiceInEnglishWithoutTax(t *testing.T) {
	t.Parallel()
	in := testInvoice(t, 1)
	in.Locale, in.Tax, in.Seller = "en", event.Tax{}, event.Organiser{}
	pdf, err := testPrinter(t).Invoice(in)
	if err != nil {
		t.Fatal(err)
	}
	text := run1(t, "pdftotext", "-layout", write(t, "i.pdf", pdf), "-")
	for _, want := range []string{"Invoice", "Gapura Night Run 2027", "two hundred thousand rupiah", "PAID", "Rp200.000"} {
		if !strings.Contains(text, want) {
			t.Errorf("the invoice does not say %q:\n%s", want, text)
		}
	}
	for _, never := range []string{"tax", "NPWP"} {
		if strings.Contains(text, never) {
			t.Errorf("an invoice without tax speaks of %q", never)
		}
	}
}

func TestInvoiceThatDoesNotAddUp(t *testing.T) {
	t.Parallel()
	printer := testPrinter(t)
	wrong := testInvoice(t, 2)
	wrong.Total++
	if _, err := printer.Invoice(wrong); err == nil {
		t.Error("an invoice whose total is not the sum of its lines was printed")
	}
	if _, err := printer.Invoice(testInvoice(t, 0)); err == nil {
		t.Error("an invoice without a line was printed")
	}
}

func TestPagesHoldEveryLineAndTheTotals(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		lines := make([]InvoiceLine, rapid.IntRange(1, 120).Draw(r, "lines"))
		for i := range lines {
			lines[i].Price = money.Rupiah(i)
		}
		var seen []InvoiceLine
		pages := paginate(lines)
		for i, page := range pages {
			top, room := tableNext, lastRow
			if i == 0 {
				top = tableFirst
			}
			if i == len(pages)-1 {
				room = sheetFoot - closing
			}
			if bottom := top + float64(len(page))*rowHeight; bottom > room {
				r.Fatalf("page %d of %d ends at %.0f mm, below %.0f", i+1, len(pages), bottom, room)
			}
			seen = append(seen, page...)
		}
		if len(seen) != len(lines) || seen[len(seen)-1] != lines[len(lines)-1] {
			r.Fatalf("%d of %d lines are printed", len(seen), len(lines))
		}
	})
}

func TestScriptsOfIndonesiaHaveTheirOwnFont(t *testing.T) {
	t.Parallel()
	for _, s := range []language.Script{language.Javanese, language.Balinese, language.Sundanese, language.Batak, language.Buginese, language.Rejang} {
		if scriptFonts[s] == "" {
			t.Errorf("%s has no font of its own", s)
		}
	}
}

// FuzzLines looks for text that the shaper cannot take: a name that panics would stop its job for ever.
func FuzzLines(f *testing.F) {
	for _, name := range names {
		f.Add(name, true)
	}
	f.Add("\u202e\u0300\u200d\ufe0f\U000e0001\xff", false)
	f.Fuzz(func(t *testing.T, name string, bold bool) {
		if len(name) > 400 {
			return
		}
		doc := testPage(t)
		doc.pdf.addPage()
		for _, l := range doc.fit(name, style{20, bold, dark}, 60, 2, 9) {
			if l.width() > 60*1.5 {
				t.Errorf("%q: a line of %.0f mm in 60", name, l.width())
			}
			doc.draw(l, 10, 10)
		}
		if _, err := doc.bytes(); err != nil {
			t.Error(err)
		}
	})
}

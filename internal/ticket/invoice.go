package ticket

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"gapura/internal/event"
	"gapura/internal/money"
)

// Invoice is what an invoice shows, copied when it was made: the document stays as it was if the event or the organiser
// changes later.
type Invoice struct {
	Locale      string // id or en
	Number      string // without gaps per organiser and year, given by the store
	IssuedAt    time.Time
	Timezone    *time.Location
	Seller      event.Organiser
	Buyer       Buyer
	Event       event.Text
	StartsAt    time.Time
	Place       string
	OrderNumber string
	Lines       []InvoiceLine
	Total       money.Rupiah // the sum of the lines
	Tax         event.Tax    // contained in the prices; the zero Tax: none
	Payment     Payment
}

// Buyer is who ordered.
type Buyer struct {
	Name  string
	Email string
	Phone string
}

// InvoiceLine is one participant's entry.
type InvoiceLine struct {
	Category    event.Text
	Tier        string // name of the price tier; empty: the ordinary price
	Participant string
	Price       money.Rupiah
}

// Payment is how and when the order was paid.
type Payment struct {
	Method    string // such as QRIS or BCA Virtual Account
	Reference string // the provider's transaction id
	PaidAt    time.Time
}

// invoiceWords are the fixed words of an invoice.
type invoiceWords struct {
	title, number, date, order, from, to, entry, price, base, tax, total, words, payment, method, reference, paidAt, paid,
	npwp, page, generated, ordinary string
}

func wordsOfInvoice(locale string) invoiceWords {
	if locale == "en" {
		return invoiceWords{ //nolint:gosec // words of a page
			title: "Invoice", number: "NUMBER", date: "DATE", order: "ORDER", from: "FROM", to: "BILLED TO", entry: "ENTRY",
			price: "PRICE", base: "Price before tax", tax: "%s %s (included)", total: "Total", words: "In words", payment: "PAYMENT",
			method: "Method", reference: "Reference", paidAt: "Paid on", paid: "PAID", npwp: "Tax number (NPWP)",
			page: "Page %d of %d", generated: "This invoice was made by a computer and is valid without a signature.",
			ordinary: "Ordinary price",
		}
	}
	return invoiceWords{
		title: "Faktur", number: "NOMOR", date: "TANGGAL", order: "PESANAN", from: "DARI", to: "DITAGIHKAN KEPADA", entry: "PESERTA",
		price: "HARGA", base: "Harga sebelum pajak", tax: "%s %s (sudah termasuk)", total: "Total", words: "Terbilang",
		payment: "PEMBAYARAN", method: "Metode", reference: "Referensi", paidAt: "Dibayar pada", paid: "LUNAS", npwp: "NPWP",
		page: "Halaman %d dari %d", generated: "Faktur ini dibuat oleh komputer dan sah tanpa tanda tangan.",
		ordinary: "Harga normal",
	}
}

// Measures of an invoice page, A4 upright, in mm.
const (
	sheetWidth  = 210.0
	sheetMargin = 20.0
	sheetInner  = sheetWidth - 2*sheetMargin
	sheetFoot   = 297.0 - 16
	rowHeight   = 12.0
	tableFirst  = 118.0                    // where rows start on the first page
	tableNext   = 34.0                     // and on the others
	closing     = 84.0                     // what totals and payment need below the rows
	lastRow     = sheetFoot - 8            // where rows end on a full page
	amountRight = sheetWidth - sheetMargin // where amounts end
)

// Invoice returns the PDF of in, as many A4 pages as its lines need. A total that is not the sum of the lines is an error.
func (p *Printer) Invoice(in Invoice) ([]byte, error) {
	var sum money.Rupiah
	for _, l := range in.Lines {
		sum += l.Price
	}
	if sum != in.Total || len(in.Lines) == 0 {
		return nil, fmt.Errorf("invoice %s: %d lines come to %s, the total is %s", in.Number, len(in.Lines), sum, in.Total)
	}
	words := wordsOfInvoice(in.Locale)
	doc, err := p.newPage(sheetA4, words.title+" "+in.Number, in.Locale, in.IssuedAt)
	if err != nil {
		return nil, err
	}
	pages := paginate(in.Lines)
	for i, rows := range pages {
		doc.pdf.addPage()
		y := tableNext
		if i == 0 {
			doc.invoiceHead(in, words)
			y = tableFirst
		} else {
			doc.write(words.title+" "+in.Number, style{9, true, dark}, sheetMargin, 20, sheetInner)
		}
		y = doc.rows(in, rows, words, y)
		if i == len(pages)-1 {
			y = doc.totals(in, words, y)
			doc.payment(in, words, y)
		}
		doc.invoiceFoot(words, i+1, len(pages))
	}
	return doc.bytes()
}

// paginate shares the lines out so that the last page has room for the totals.
func paginate(lines []InvoiceLine) [][]InvoiceLine {
	var pages [][]InvoiceLine
	top := tableFirst
	for {
		full := int((lastRow - top) / rowHeight)
		if last := int((sheetFoot - closing - top) / rowHeight); len(lines) <= last {
			return append(pages, lines)
		}
		n := min(full, len(lines))
		pages = append(pages, lines[:n])
		lines, top = lines[n:], tableNext
	}
}

func (p *page) invoiceHead(in Invoice, words invoiceWords) {
	p.fill(brick)
	p.box(0, 0, sheetWidth, 5)
	p.fill(marigold)
	p.box(0, 5, sheetWidth, 1)
	p.write(words.title, style{26, true, dark}, sheetMargin, 29, 90)
	p.write(in.Event.In(in.Locale), style{10.5, true, brick}, sheetMargin, 37, 105)
	held := joined(Day(in.StartsAt, in.Timezone, in.Locale), in.Place)
	p.write(held, style{9, false, muted}, sheetMargin, 42.5, 105)
	facts := []Detail{
		{words.number, in.Number}, {words.date, Date(in.IssuedAt, in.Timezone, in.Locale)}, {words.order, in.OrderNumber},
	}
	for i, f := range facts {
		y := 22 + float64(i)*10
		p.right(f.Label, style{6.5, true, muted}, amountRight, y, 70)
		p.right(f.Value, style{10.5, true, dark}, amountRight, y+4.8, 70)
	}
	p.rule(55, hairline)
	seller := in.Seller.Name
	if seller == "" {
		seller = in.Event.In(in.Locale) // the event file names no organiser
	}
	p.party(words.from, seller, []string{in.Seller.Address, in.Seller.Email, labelled(words.npwp, npwp(in.Seller.NPWP))}, sheetMargin)
	p.party(words.to, in.Buyer.Name, []string{in.Buyer.Email, in.Buyer.Phone}, sheetMargin+sheetInner/2+4)
	p.fill(paper)
	p.box(sheetMargin, tableFirst-13, sheetInner, 9)
	p.write(words.entry, style{6.5, true, muted}, sheetMargin+4, tableFirst-7.3, 80)
	p.right(words.price, style{6.5, true, muted}, amountRight-4, tableFirst-7.3, 60)
}

// party prints a block with the name of one side and what identifies it.
func (p *page) party(label, name string, details []string, x float64) {
	const width = sheetInner/2 - 6
	p.write(label, style{6.5, true, muted}, x, 63, width)
	y := p.paragraph(p.fit(name, style{11, true, dark}, width, 2, 8), x, 69)
	for _, d := range details {
		y = p.paragraph(p.fit(d, style{9, false, dark}, width, 2, 7), x, y)
	}
}

func (p *page) rows(in Invoice, lines []InvoiceLine, words invoiceWords, y float64) float64 {
	const width = sheetInner - 48
	for _, l := range lines {
		tier := l.Tier
		if tier == "" {
			tier = words.ordinary
		}
		p.write(l.Participant, style{10, true, dark}, sheetMargin+4, y+2, width)
		p.write(l.Category.In(in.Locale)+"  ·  "+tier, style{8.5, false, muted}, sheetMargin+4, y+6.6, width)
		p.right(l.Price.String(), style{10, false, dark}, amountRight-4, y+2, 44)
		p.rule(y+rowHeight-2.6, hairline)
		y += rowHeight
	}
	return y
}

func (p *page) totals(in Invoice, words invoiceWords, y float64) float64 {
	const left = sheetMargin + sheetInner/2 - 10
	y += 4
	if in.Tax.Name != "" {
		part := in.Tax.Part(in.Total)
		rate := fmt.Sprintf(words.tax, in.Tax.Name, percent(in.Tax.BasisPoints, in.Locale))
		for _, f := range []Detail{{words.base, (in.Total - part).String()}, {rate, part.String()}} {
			p.write(f.Label, style{9, false, muted}, left, y, 50)
			p.right(f.Value, style{9.5, false, dark}, amountRight-4, y, 40)
			y += 6
		}
	}
	p.fill(brick)
	p.box(left-5, y-2, amountRight-left+5, 13)
	p.write(words.total, style{11, true, white}, left, y+6.2, 30)
	p.right(in.Total.String(), style{15, true, white}, amountRight-4, y+6.6, 60)
	y += 19
	spelled := p.fit(words.words+": "+InWords(in.Total, in.Locale), style{8.5, false, muted}, sheetInner, 2, 7)
	return p.paragraph(spelled, sheetMargin, y)
}

func (p *page) payment(in Invoice, words invoiceWords, y float64) {
	y += 3
	p.rule(y, hairline)
	p.write(words.payment, style{6.5, true, muted}, sheetMargin, y+7, 60)
	paidAt := Date(in.Payment.PaidAt, in.Timezone, in.Locale) + ", " + Hour(in.Payment.PaidAt, in.Timezone, in.Locale)
	facts := []Detail{{words.method, in.Payment.Method}, {words.reference, in.Payment.Reference}, {words.paidAt, paidAt}}
	row := y + 13
	for _, f := range facts {
		p.write(f.Label, style{9, false, muted}, sheetMargin, row, 30)
		p.write(f.Value, style{9, false, dark}, sheetMargin+30, row, 85)
		row += 5.6
	}
	p.stamp(words.paid, amountRight-26, y+16)
}

// stamp prints a word in a tilted frame around x, y.
func (p *page) stamp(word string, x, y float64) {
	st := style{19, true, brick}
	l := p.lines(word, st, 60, 1)
	half := l[0].width()/2 + 5
	p.pdf.turned(8, x, y, func() {
		p.pdf.stroke(brick, 0.9)
		p.pdf.frame(x-half, y-6.2, 2*half, 12.4, 2)
		p.draw(l[0], x-l[0].width()/2, y+2.4)
	})
}

func (p *page) invoiceFoot(words invoiceWords, number, of int) {
	p.rule(sheetFoot, hairline)
	p.write(words.generated, style{7.5, false, muted}, sheetMargin, sheetFoot+5, 130)
	p.right(fmt.Sprintf(words.page, number, of), style{7.5, false, muted}, amountRight, sheetFoot+5, 40)
}

func labelled(label, value string) string {
	if value == "" {
		return ""
	}
	return label + " " + value
}

// npwp groups the old 15-digit number as tax offices write it, 01.234.567.8-901.234; the 16-digit one has no dots.
func npwp(n string) string {
	if len(n) != 15 || strings.Trim(n, "0123456789") != "" {
		return n
	}
	return n[:2] + "." + n[2:5] + "." + n[5:8] + "." + n[8:9] + "-" + n[9:12] + "." + n[12:]
}

// percent writes hundredths of a percent: 11%, 7,5% in Indonesian and 7.5% in English.
func percent(basisPoints int, locale string) string {
	s := strconv.FormatFloat(float64(basisPoints)/100, 'f', -1, 64)
	if locale != "en" {
		s = strings.Replace(s, ".", ",", 1)
	}
	return s + "%"
}

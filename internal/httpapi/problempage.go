package httpapi

import (
	"bytes"
	"html/template"
	"net/http"
	"strings"
	"time"

	"gapura/internal/fault"
)

// problemPath is where a problem's type leads to.
const problemPath = "/problems/"

// slugOf writes a code as addresses do.
func slugOf(code fault.Code) string { return strings.ReplaceAll(string(code), "_", "-") }

// problemActs say what to do about a code, for people who have followed a problem's type.
var problemActs = map[fault.Code]phrase{
	fault.BadRequest: {
		"Periksa baris permintaan dan header. Pakai pustaka HTTP yang lazim dan jangan menyusun permintaan dengan tangan.",
		"Check the request line and the headers. Use an ordinary HTTP library rather than writing requests by hand.",
	},
	fault.HeaderTooLarge: {
		"Kirim lebih sedikit header: jumlahnya paling banyak 16 KiB. Di peramban, hapus cookie situs ini lalu muat ulang.",
		"Send fewer headers: they may have 16 KiB in all. In a browser, delete this site's cookies and reload.",
	},
	fault.BadJSON: {
		"Periksa isi permintaan dengan pembaca JSON: satu dokumen, UTF-8, tanpa koma di akhir.",
		"Check the body with a JSON parser: one document, UTF-8, no trailing commas.",
	},
	fault.TooLarge: {
		"Kirim isi yang lebih kecil; anggota limit menyebut batasnya dalam byte. Bagi rombongan besar menjadi beberapa pesanan.",
		"Send a smaller body; the member limit has the bound in bytes. Split a large group into several orders.",
	},
	fault.UnsupportedMediaType: {"Kirim header Content-Type: application/json.", "Send the header Content-Type: application/json."},
	fault.ValidationFailed: {
		"Perbaiki setiap isian dalam errors; pointer menunjukkan tempatnya. Kirim lagi dengan Idempotency-Key yang sama.",
		"Mend every input in errors; its pointer says where it is. Send again with the same Idempotency-Key.",
	},
	fault.KeyMissing: {
		"Buat satu UUID acak untuk setiap pendaftaran dan kirim di header Idempotency-Key; pakai yang sama saat mengulang.",
		"Make one random UUID for each registration and send it in the header Idempotency-Key; use the same one when you repeat.",
	},
	fault.KeyReused: {
		"Kunci ini sudah punya pesanan dengan isi lain. Buat kunci baru untuk pendaftaran yang baru.",
		"The key has an order with another content. Make a new key for a new registration.",
	},
	fault.KeyInFlight: {
		"Tunggu selama Retry-After lalu kirim permintaan yang sama lagi: jawabannya akan sama.",
		"Wait for Retry-After and send the same request again: it will get the same answer.",
	},
	fault.SoldOut: {
		"Pilih kategori atau pilihan lain. Bila may_return bernilai true, tempat yang belum dibayar dapat kembali pada next_hold_ends_at.",
		"Choose another category or option. If may_return is true, unpaid places may come back at next_hold_ends_at.",
	},
	fault.PriceChanged: {
		"Tunjukkan harga baru di total kepada pendaftar, lalu kirim lagi dengan expected_total yang baru.",
		"Show the new price in total to the person who registers, and send again with the new expected_total.",
	},
	fault.AlreadyRegistered: {
		"Setiap orang mendapat satu tempat. Cari e-mail konfirmasi yang dulu, atau hubungi panitia bila itu bukan kamu.",
		"Everybody gets one place. Look for the earlier confirmation mail, or ask the organiser if that was not you.",
	},
	fault.NotOpen: {
		"Kembali pada waktu yang disebut opens_at; jam server ada di server_time acara.",
		"Come back at the time in opens_at; the event's server_time has the server's clock.",
	},
	fault.Closed: {
		"Pendaftaran tidak menerima pesanan lagi. Hubungi panitia untuk kemungkinan lain.",
		"Registration takes no more orders. Ask the organiser what else is possible.",
	},
	fault.QueuePassRequired: {
		"Ambil nomor di ruang tunggu, tunggu giliran, dan kirim izin masuk di header Queue-Pass.",
		"Draw a ticket in the waiting room, wait for your turn, and send the pass in the header Queue-Pass.",
	},
	fault.ConfirmationRequired: {"Buka tautan yang dikirim lewat email, lalu ambil nomor lagi.", "Open the link that was sent by e-mail, then draw again."},
	fault.CaptchaFailed: {
		"Minta soal baru dan kirim jawabannya; setiap jawaban hanya berlaku sekali dan beberapa menit.",
		"Ask for a fresh challenge and send its answer; every answer counts once and for some minutes.",
	},
	fault.RateLimited: {
		"Tunggu selama Retry-After. Header RateLimit menyebut sisa jatah dan kapan kembali penuh.",
		"Wait for Retry-After. The header RateLimit says what is left and when it is full again.",
	},
	fault.Overloaded: {
		"Tunggu selama Retry-After, lalu kirim lagi dengan Idempotency-Key yang sama. Tidak ada yang tersimpan, dan tidak ada yang hilang.",
		"Wait for Retry-After and send again with the same Idempotency-Key. Nothing was stored, and nothing is lost.",
	},
	fault.OutcomeUnknown: {
		"Jangan membuat kunci baru. Kirim lagi dengan kunci yang sama, atau tanyakan /api/v1/orders/by-key/{kunci}: pesanan tidak akan ganda.",
		"Do not make a new key. Send again with the same one, or ask /api/v1/orders/by-key/{key}: there will be no second order.",
	},
	fault.NoSuchEvent: {"Periksa alamat acara; /api/v1/events menyebut yang terbit.", "Check the event's address; /api/v1/events lists those that are published."},
	fault.NoSuchOrder: {
		"Kunci ini belum punya pesanan: permintaan boleh dikirim lagi dengan kunci yang sama.",
		"The key has no order: the request may be sent again with the same key.",
	},
	fault.NotAllowed: {
		"Buka pesanan dari tautan di email konfirmasi, atau kirim access_token sebagai Authorization: Bearer.",
		"Open the order by the link in its confirmation mail, or send its access_token as Authorization: Bearer.",
	},
	fault.WrongState: {"Baca pesanan lagi: anggota status menyebut keadaannya sekarang.", "Read the order again: the member status says how it stands."},
	fault.PaymentUnavailable: {
		"Tunggu selama Retry-After lalu coba bayar lagi; tempat disimpan sampai expires_at.",
		"Wait for Retry-After and try to pay again; the place is kept until expires_at.",
	},
	fault.NotReady: {"Tunggu selama Retry-After lalu minta dokumen itu lagi.", "Wait for Retry-After and ask for the document again."},
	fault.CrossOrigin: {
		"Kirim formulir dari situs ini sendiri. Program tanpa peramban tidak perlu mengirim header Origin.",
		"Post from this site itself. Programs other than browsers need no Origin header.",
	},
	fault.NotFound:         {"Periksa alamatnya; /openapi.json menyebut semua alamat API.", "Check the address; /openapi.json lists those of the API."},
	fault.MethodNotAllowed: {"Header Allow menyebut metode yang diterima alamat ini.", "The header Allow lists the methods that this address takes."},
	fault.Internal: {
		"Coba lagi sebentar dengan kunci yang sama. Bila tetap gagal, beri tahu panitia beserta waktunya.",
		"Try again shortly with the same key. If it keeps failing, tell the organiser when it happened.",
	},
}

// problemPages are finished when the API is made: they never change.
func problemPages(locale string) map[string]*finished {
	pages := make(map[string]*finished, len(problemPhrases))
	order := []string{"id", "en"}
	if locale == "en" {
		order = []string{"en", "id"}
	}
	for _, code := range fault.Codes() {
		p := problemPage{Code: code, Status: statusOf(code), Language: order[0]}
		for _, language := range order {
			p.Sections = append(p.Sections, problemSection{
				Language: language, Title: titleOf(code, language), Means: meaningOf(code, language), Act: problemActs[code].in(language),
				Do: phrase{"Yang bisa dilakukan", "What to do"}.in(language),
			})
		}
		var text bytes.Buffer
		if problemTemplate.Execute(&text, p) != nil {
			continue // TestEveryCodeHasAPage notices
		}
		if f, err := finish(text.Bytes(), time.Time{}); err == nil {
			pages[slugOf(code)] = f
		}
	}
	return pages
}

// meaningOf is the sentence of a code without what belongs to one request.
func meaningOf(code fault.Code, locale string) string {
	if code == fault.PriceChanged {
		return phrase{"Total sekarang lain daripada yang disetujui.", "The total is no longer the one that was agreed to."}.in(locale)
	}
	return problemPhrases[code].detail.in(locale)
}

type problemPage struct {
	Code     fault.Code
	Status   int
	Language string
	Sections []problemSection
}

type problemSection struct{ Language, Title, Means, Do, Act string }

// problemTemplate has its few rules within: the page must be whole when nothing else of the server is.
var problemTemplate = template.Must(template.New("problem").Parse(`<!doctype html>
<html lang="{{.Language}}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{{(index .Sections 0).Title}} · {{.Code}}</title>
<style>
:root{color-scheme:light dark;--paper:#f3f4f8;--card:#fff;--ink:#10142b;--soft:#545a75;--line:#d5d9e6;--mark:#3a3bb0}
@media (prefers-color-scheme:dark){:root{--paper:#0a0d1d;--card:#141932;--ink:#eef0fa;--soft:#a9b0cc;--line:#2b3153;--mark:#b9baff}}
*{box-sizing:border-box}
body{margin:0;padding:6vh 1.25rem;background:var(--paper);color:var(--ink);font:1.0625rem/1.6 system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',Arial,sans-serif}
main{max-width:40rem;margin:0 auto}
.code{display:flex;flex-wrap:wrap;gap:.5rem 1rem;align-items:baseline;margin:0 0 1rem;color:var(--soft);font-family:ui-monospace,'SF Mono',Menlo,Consolas,'DejaVu Sans Mono',monospace;overflow-wrap:anywhere}
.code strong{color:var(--mark);font-size:1.25rem}
section{margin:0 0 1rem;padding:1.5rem;background:var(--card);border:1px solid var(--line);border-radius:14px}
h1,h2{margin:0 0 .5rem;font-size:1.5rem;line-height:1.25}
h3{margin:1.25rem 0 .25rem;font-size:.875rem;color:var(--soft)}
p{margin:0}
</style>
</head>
<body>
<main>
<p class="code"><strong>{{.Code}}</strong> <span>HTTP {{.Status}}</span></p>
{{range $i, $s := .Sections}}<section lang="{{.Language}}">
{{if $i}}<h2>{{.Title}}</h2>{{else}}<h1>{{.Title}}</h1>{{end}}
<p>{{.Means}}</p>
<h3>{{.Do}}</h3>
<p>{{.Act}}</p>
</section>
{{end}}</main>
</body>
</html>
`))

var (
	htmlType     = []string{"text/html; charset=utf-8"}
	cacheProblem = []string{"public, max-age=3600"}
	pagePolicy   = []string{"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"}
	nosniff      = []string{"nosniff"}
)

// getProblem explains a problem's type to people.
func (a *API) getProblem(w http.ResponseWriter, r *http.Request) error {
	page, ok := a.pages[r.PathValue("code")]
	if !ok {
		return fault.New(fault.NotFound)
	}
	h := w.Header()
	h["Cache-Control"], h["Content-Security-Policy"], h["X-Content-Type-Options"] = cacheProblem, pagePolicy, nosniff
	page.write(w, r, htmlType)
	return nil
}

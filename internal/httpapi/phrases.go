package httpapi

import (
	"fmt"
	"strings"

	"gapura/internal/fault"
)

// phrase is a sentence in Indonesian and English.
type phrase struct{ id, en string }

func (p phrase) in(locale string) string {
	if locale == "en" {
		return p.en
	}
	return p.id
}

// problemPhrase has the title and the sentence of a code.
type problemPhrase struct{ title, detail phrase }

// problemPhrases and fieldPhrases are made once and never written to: at an opening tens of thousands of refusals a second
// are looked up in them.
var problemPhrases = map[fault.Code]problemPhrase{
	fault.BadRequest: {
		phrase{"Permintaan tidak terbaca", "Malformed request"},
		phrase{"Ini bukan permintaan HTTP yang benar.", "This is not a correct HTTP request."},
	},
	fault.HeaderTooLarge: {
		phrase{"Header terlalu besar", "Headers too large"},
		phrase{"Alamat dan header permintaan melebihi batas.", "The request's address and headers exceed the limit."},
	},
	fault.BadJSON: {
		phrase{"JSON tidak terbaca", "Malformed JSON"},
		phrase{"Isi permintaan bukan JSON yang benar.", "The request body is not valid JSON."},
	},
	fault.TooLarge: {
		phrase{"Terlalu besar", "Too large"},
		phrase{"Isi permintaan melebihi batas.", "The request body exceeds the limit."},
	},
	fault.UnsupportedMediaType: {
		phrase{"Jenis isi tidak didukung", "Unsupported media type"},
		phrase{"Kirim isi sebagai application/json.", "Send the body as application/json."},
	},
	fault.ValidationFailed: {
		phrase{"Data belum benar", "Validation failed"},
		phrase{"Periksa isian yang ditandai.", "Check the inputs listed in errors."},
	},
	fault.KeyMissing: {
		phrase{"Idempotency-Key tidak ada", "Idempotency key missing"},
		phrase{"Sertakan header Idempotency-Key berisi 1 sampai 255 karakter.", "Send the header Idempotency-Key with 1 to 255 visible characters."},
	},
	fault.KeyReused: {
		phrase{"Idempotency-Key sudah dipakai", "Idempotency key reused"},
		phrase{"Kunci ini sudah dipakai untuk pendaftaran lain; pakai kunci baru.", "This key belongs to another request; use a new one."},
	},
	fault.KeyInFlight: {
		phrase{"Sedang diproses", "Still in progress"},
		phrase{"Permintaan dengan kunci ini sedang diproses; coba lagi sebentar.", "A request with this key is being processed; ask again shortly."},
	},
	fault.SoldOut: {
		phrase{"Kuota habis", "Sold out"},
		phrase{"Tempat di kategori ini sudah habis.", "There are no places left in this category."},
	},
	fault.PriceChanged: {
		phrase{"Harga berubah", "Price changed"},
		phrase{"Total sekarang %[1]s. Setujui lalu kirim lagi.", "The total is now %[1]s. Confirm it and send again."},
	},
	fault.AlreadyRegistered: {
		phrase{"Sudah terdaftar", "Already registered"},
		phrase{"Salah satu peserta sudah terdaftar di acara ini.", "One of the participants is already registered for this event."},
	},
	fault.NotOpen: {
		phrase{"Belum dibuka", "Not open yet"},
		phrase{"Pendaftaran belum dibuka.", "Registration has not opened yet."},
	},
	fault.Closed: {
		phrase{"Sudah ditutup", "Closed"},
		phrase{"Pendaftaran sudah ditutup.", "Registration has closed."},
	},
	fault.QueuePassRequired: {
		phrase{"Perlu giliran", "Queue pass required"},
		phrase{"Ambil nomor antrean dulu dan tunggu giliran.", "Draw a ticket first and wait for your turn."},
	},
	fault.ConfirmationRequired: {
		phrase{"Perlu konfirmasi", "Confirmation required"},
		phrase{"Konfirmasi alamat email dulu; satu orang mendapat satu nomor.", "Confirm an e-mail address first; one person gets one number."},
	},
	fault.CaptchaFailed: {
		phrase{"Captcha gagal", "Captcha failed"},
		phrase{"Selesaikan captcha yang baru lalu kirim lagi.", "Solve a fresh captcha and send again."},
	},
	fault.RateLimited: {
		phrase{"Terlalu sering", "Too many requests"},
		phrase{"Tunggu sebentar sebelum mencoba lagi.", "Wait before you try again."},
	},
	fault.Overloaded: {
		phrase{"Server sedang penuh", "Overloaded"},
		phrase{"Belum ada yang tersimpan; coba lagi dengan kunci yang sama.", "Nothing was written; try again with the same key."},
	},
	fault.OutcomeUnknown: {
		phrase{"Hasil belum diketahui", "Outcome unknown"},
		phrase{"Pendaftaran mungkin sudah tersimpan; tanyakan lagi dengan kunci yang sama.", "The registration may have been stored; ask again with the same key."},
	},
	fault.NoSuchEvent: {
		phrase{"Acara tidak ditemukan", "No such event"},
		phrase{"Tidak ada acara dengan nama itu.", "No event has that slug."},
	},
	fault.NoSuchOrder: {
		phrase{"Pesanan tidak ditemukan", "No such order"},
		phrase{"Tidak ada pesanan seperti itu.", "There is no such order."},
	},
	fault.NotAllowed: {
		phrase{"Tidak diizinkan", "Not allowed"},
		phrase{"Token pesanan tidak ada atau salah.", "The order's token is missing or wrong."},
	},
	fault.PaymentUnavailable: {
		phrase{"Pembayaran belum tersedia", "Payment unavailable"},
		phrase{"Penyedia pembayaran sedang tidak menjawab; tempatmu tetap tersimpan.", "The payment provider does not answer now; your place stays reserved."},
	},
	fault.NotReady: {
		phrase{"Sedang disiapkan", "Being prepared"},
		phrase{"Dokumen ini sedang disiapkan; coba lagi sebentar.", "This document is being prepared; ask again shortly."},
	},
	fault.WrongState: {
		phrase{"Tidak bisa sekarang", "Wrong state"},
		phrase{"Status pesanan tidak mengizinkan ini.", "The order's status does not allow this."},
	},
	fault.CrossOrigin: {
		phrase{"Asal permintaan ditolak", "Cross-origin request refused"},
		phrase{"Permintaan dari situs lain ditolak.", "Requests from other sites are refused."},
	},
	fault.NotFound: {
		phrase{"Tidak ditemukan", "Not found"},
		phrase{"Alamat ini tidak ada.", "There is nothing at this address."},
	},
	fault.MethodNotAllowed: {
		phrase{"Metode tidak didukung", "Method not allowed"},
		phrase{"Alamat ini tidak mendukung metode itu.", "This address does not support that method."},
	},
	fault.Internal: {
		phrase{"Kesalahan server", "Internal error"},
		phrase{"Ada kesalahan di pihak kami.", "Something went wrong on our side."},
	},
}

var fieldPhrases = map[string]phrase{
	"required":              {"Wajib diisi.", "This is required."},
	"too_long":              {"Terlalu panjang.", "This is too long."},
	"control_character":     {"Mengandung karakter yang tidak diperbolehkan.", "This contains a character that is not allowed."},
	"name_invalid":          {"Nama tidak valid.", "This is not a name."},
	"email_invalid":         {"Alamat email tidak valid.", "This is not an e-mail address."},
	"phone_invalid":         {"Nomor telepon tidak valid.", "This is not a phone number."},
	"date_invalid":          {"Tanggal tidak valid; pakai TTTT-BB-HH.", "This is not a date; use YYYY-MM-DD."},
	"date_in_future":        {"Tanggal lahir di masa depan.", "The birth date lies in the future."},
	"unknown_category":      {"Kategori ini tidak ada.", "There is no such category."},
	"unknown_option":        {"Pilihan ini tidak ada.", "There is no such option."},
	"unknown_question":      {"Pertanyaan ini tidak ada untuk kategorinya.", "This category asks no such question."},
	"too_many_participants": {"Terlalu banyak peserta dalam satu pesanan.", "Too many participants in one order."},
	"too_young":             {"Belum cukup umur untuk kategori ini.", "Too young for this category."},
	"too_old":               {"Melebihi batas umur kategori ini.", "Too old for this category."},
	"duplicate_participant": {"Orang yang sama disebut dua kali.", "The same person is listed twice."},
	"wrong_type":            {"Jenis nilainya salah.", "The value has the wrong type."},
	"not_storable":          {"Isian ini tidak dapat disimpan.", "This input cannot be stored."},
	"not_confirmed":         {"Pakai alamat email yang kamu konfirmasi di antrean.", "Use the e-mail address that you confirmed in the queue."},
	"repeated_member":       {"Isian ini disebut dua kali.", "This member is given twice."},
}

// passPhrases say what is wrong with a ticket or a pass, by the problem's reason.
var passPhrases = map[string]phrase{
	"missing":   {"Ambil nomor antrean dulu dan tunggu giliran; kirim izin masuk di header Queue-Pass.", "Draw a ticket first and wait for your turn; send the pass in the header Queue-Pass."},
	"malformed": {"Ini bukan tiket atau izin masuk yang utuh.", "This is no complete ticket or pass."},
	"forged":    {"Tiket atau izin masuk ini tidak kami keluarkan.", "This ticket or pass was not issued here."},
	"foreign":   {"Tiket atau izin masuk ini untuk acara lain.", "This ticket or pass is for another event."},
	"lapsed":    {"Izin masuk sudah lewat waktu; ambil nomor antrean baru.", "The pass has expired; draw a new ticket."},
	"not_yet":   {"Giliranmu belum tiba.", "Your turn has not come yet."},
	"not_drawn": {"Nomor ini tidak ada di daftar undian yang sudah ditutup.", "This number is not in the closed list of the draw."},
	"used":      {"Izin masuk ini sudah dipakai untuk pesanan lain.", "This pass has been used for another order."},
	"ended":     {"Antrean sudah ditutup.", "The queue has ended."},
}

// codePhrases say what is wrong with a code, by the problem's reason.
var codePhrases = map[string]phrase{
	"missing":    {"Minta kode untuk alamat emailmu dulu, lalu kirim kode itu bersama konfirmasinya.", "Ask for a code for your e-mail address first, then send it with its confirmation."},
	"wrong_code": {"Kodenya bukan yang ada di email.", "The code is not the one in the mail."},
	"too_many":   {"Terlalu banyak kode yang salah; minta kode baru.", "Too many wrong codes; ask for a new one."},
	"lapsed":     {"Kode ini tidak ada atau sudah lewat waktu; minta kode baru.", "There is no such code, or it has expired; ask for a new one."},
}

func titleOf(code fault.Code, locale string) string { return problemPhrases[code].title.in(locale) }

func detailOf(f *fault.Fault, locale string) string {
	text := problemPhrases[f.Code].detail.in(locale)
	if reason, ok := f.Params["reason"].(string); ok {
		phrases := map[fault.Code]map[string]phrase{fault.QueuePassRequired: passPhrases, fault.ConfirmationRequired: codePhrases}[f.Code]
		if p, ok := phrases[reason]; ok {
			text = p.in(locale)
		}
	}
	if strings.Contains(text, "%") {
		return fmt.Sprintf(text, rupiah(f.Params["total"]))
	}
	return text
}

func fieldDetail(f fault.Field, locale string) string {
	p, ok := fieldPhrases[f.Code]
	if !ok {
		p = phrase{"Isian tidak valid.", "This input is not valid."}
	}
	return p.in(locale)
}

package site

import (
	"maps"

	"gapura/internal/event"
)

// sentences returns everything the pages and their script say, in both languages. Keys that begin with "js." are said by
// the script alone; "fault." and "field." are followed by the codes of package fault.
func sentences() map[string]event.Text {
	all := map[string]event.Text{}
	for _, part := range []map[string]event.Text{
		commonSentences(), eventSentences(), formSentences(), orderSentences(), problemSentences(), faultSentences(),
		fieldSentences(), scriptSentences(),
	} {
		maps.Copy(all, part)
	}
	return all
}

func commonSentences() map[string]event.Text {
	return map[string]event.Text{
		"nav.skip":        {ID: "Langsung ke isi", EN: "Skip to content"},
		"nav.home":        {ID: "Gapura, ke daftar lomba", EN: "Gapura, to the list of races"},
		"nav.language":    {ID: "Bahasa", EN: "Language"},
		"nav.back":        {ID: "Kembali ke halaman lomba", EN: "Back to the race"},
		"nav.all":         {ID: "Semua lomba", EN: "All races"},
		"footer.note":     {ID: "Setiap tempat yang kami nyatakan sudah didapat, tercatat permanen sebelum kamu diberi tahu.", EN: "Every place we say you have is on permanent record before we tell you."},
		"footer.made":     {ID: "Ditenagai Gapura", EN: "Powered by Gapura"},
		"home.title":      {ID: "Lomba lari", EN: "Running events"},
		"home.headline":   {ID: "Gerbang menuju garis start.", EN: "The gate to the start line."},
		"home.lead":       {ID: "Pilih lombamu, daftar dalam semenit, dan tahu dengan pasti apakah kamu dapat tempat.", EN: "Pick your race, register in a minute, and know for certain whether you are in."},
		"home.list":       {ID: "Lomba yang akan datang", EN: "Upcoming races"},
		"home.empty":      {ID: "Belum ada lomba yang diumumkan.", EN: "No races have been announced yet."},
		"home.empty_more": {ID: "Begitu penyelenggara menerbitkannya, lomba akan muncul di sini.", EN: "As soon as an organiser publishes one, it appears here."},
		"home.prices":     {ID: "{low} sampai {high}", EN: "{low} to {high}"},
		"price.free":      {ID: "Gratis", EN: "Free"},
		"unit.km":         {ID: "km", EN: "km"},
		"unit.and":        {ID: "dan", EN: "and"},
		"state.upcoming":  {ID: "Segera dibuka", EN: "Opening soon"},
		"state.open":      {ID: "Pendaftaran dibuka", EN: "Registration open"},
		"state.closed":    {ID: "Pendaftaran ditutup", EN: "Registration closed"},
		"state.sold_out":  {ID: "Tempat habis", EN: "Sold out"},
		"state.held":      {ID: "Habis untuk sementara", EN: "Sold out for now"},
		"level.available": {ID: "Tersedia", EN: "Available"},
		"level.low":       {ID: "Hampir habis", EN: "Almost gone"},
		"level.held":      {ID: "Habis sementara", EN: "Sold out for now"},
		"level.sold_out":  {ID: "Habis", EN: "Sold out"},
		"count.days":      {ID: "hari", EN: "days"},
		"count.hours":     {ID: "jam", EN: "hours"},
		"count.minutes":   {ID: "menit", EN: "min"},
		"count.seconds":   {ID: "detik", EN: "sec"},
	}
}

func eventSentences() map[string]event.Text {
	return map[string]event.Text{
		"event.start":          {ID: "Start", EN: "Start"},
		"event.venue":          {ID: "Lokasi", EN: "Venue"},
		"event.date":           {ID: "Tanggal", EN: "Date"},
		"event.register":       {ID: "Daftar sekarang", EN: "Register now"},
		"event.prepare":        {ID: "Siapkan formulirmu", EN: "Prepare your form"},
		"event.opens_at":       {ID: "Pendaftaran dibuka {when}", EN: "Registration opens {when}"},
		"event.closes_at":      {ID: "Pendaftaran sampai {when}", EN: "Registration until {when}"},
		"event.closed_at":      {ID: "Pendaftaran ditutup {when}", EN: "Registration closed {when}"},
		"event.sold_out":       {ID: "Semua tempat sudah terisi.", EN: "Every place is taken."},
		"event.held":           {ID: "Semua tempat sedang terisi, sebagian masih menunggu pembayaran. Bila ada yang tidak dibayar, tempatnya langsung dibuka lagi.", EN: "Every place is taken, some still wait for payment. Any that stay unpaid are on sale again at once."},
		"event.held_until":     {ID: "Tempat berikutnya paling cepat kembali {when}.", EN: "The next place may return {when} at the earliest."},
		"event.categories":     {ID: "Kategori dan harga", EN: "Categories and prices"},
		"event.categories_sub": {ID: "Harga yang berlaku saat ini. Sudah termasuk pajak, tanpa biaya tambahan.", EN: "Prices as they stand now. Tax included, nothing added later."},
		"event.normal_price":   {ID: "Harga normal {price}", EN: "Regular price {price}"},
		"event.tier_until":     {ID: "sampai {when}", EN: "until {when}"},
		"event.tier_first":     {ID: "{n} pendaftar pertama", EN: "first {n} entries"},
		"event.tier_over":      {ID: "berakhir", EN: "ended"},
		"event.normal":         {ID: "Normal", EN: "Regular"},
		"event.tier_now":       {ID: "berlaku sekarang", EN: "now"},
		"event.age_from":       {ID: "Usia minimal {min} tahun", EN: "Aged {min} or over"},
		"event.age_between":    {ID: "Usia {min} sampai {max} tahun", EN: "Aged {min} to {max}"},
		"event.age_to":         {ID: "Usia maksimal {max} tahun", EN: "Aged {max} or under"},
		"event.remaining":      {ID: "Sisa {n} tempat", EN: "{n} places left"},
		"event.about":          {ID: "Tentang lomba", EN: "About the race"},
		"event.schedule":       {ID: "Jadwal", EN: "Schedule"},
		"event.rules":          {ID: "Sebelum mendaftar", EN: "Before you register"},
		"event.rule_hold":      {ID: "Tempatmu ditahan selama {hold} sambil menunggu pembayaran.", EN: "Your place is held for {hold} while we wait for payment."},
		"event.rule_group":     {ID: "Satu pendaftaran bisa untuk sampai {n} orang: semuanya dapat tempat, atau tidak sama sekali.", EN: "One registration takes up to {n} people: all of them get a place, or none."},
		"event.rule_unique":    {ID: "Satu orang, satu tempat. Kami mencocokkan {by}.", EN: "One person, one place. We compare {by}."},
		"event.by_email":       {ID: "alamat email", EN: "e-mail addresses"},
		"event.by_phone":       {ID: "nomor HP", EN: "mobile numbers"},
		"event.minutes":        {ID: "{n} menit", EN: "{n} minutes"},
		"event.hours":          {ID: "{n} jam", EN: "{n} hours"},
	}
}

func formSentences() map[string]event.Text {
	return map[string]event.Text{
		"form.title_of":        {ID: "Daftar {event}", EN: "Register for {event}"},
		"form.contact":         {ID: "Kontak", EN: "Contact"},
		"form.contact_sub":     {ID: "Ke sinilah kami kirim konfirmasi. Kontak tidak harus ikut lari.", EN: "This is where the confirmation goes. The contact need not run."},
		"form.participants":    {ID: "Peserta", EN: "Participants"},
		"form.participants_up": {ID: "Sampai {n} orang dalam satu pendaftaran. Semuanya dapat tempat, atau tidak sama sekali.", EN: "Up to {n} people in one registration. All get a place, or none."},
		"form.participant_n":   {ID: "Peserta {n}", EN: "Participant {n}"},
		"form.name":            {ID: "Nama lengkap", EN: "Full name"},
		"form.name_help":       {ID: "Seperti di kartu identitas.", EN: "As on your identity card."},
		"form.email":           {ID: "Email", EN: "E-mail"},
		"form.phone":           {ID: "Nomor HP", EN: "Mobile number"},
		"form.phone_help":      {ID: "Contoh 0812-3456-789. Nomor luar negeri diawali +.", EN: "Such as 0812-3456-789. Foreign numbers start with +."},
		"form.birth_date":      {ID: "Tanggal lahir", EN: "Date of birth"},
		"form.gender":          {ID: "Jenis kelamin", EN: "Gender"},
		"form.female":          {ID: "Perempuan", EN: "Female"},
		"form.male":            {ID: "Laki-laki", EN: "Male"},
		"form.category":        {ID: "Kategori", EN: "Category"},
		"form.self":            {ID: "Saya sendiri yang ikut lari", EN: "I am running myself"},
		"form.self_help":       {ID: "Nama, email, dan nomor HP diambil dari kontak.", EN: "Name, e-mail and number are taken from the contact."},
		"form.optional":        {ID: "opsional", EN: "optional"},
		"form.option_gone":     {ID: "{option} (habis)", EN: "{option} (gone)"},
		"form.option_low":      {ID: "{option} (hampir habis)", EN: "{option} (almost gone)"},
		"form.only_for":        {ID: "Hanya untuk {categories}.", EN: "Only for {categories}."},
		"form.add":             {ID: "Tambah peserta", EN: "Add a participant"},
		"form.remove":          {ID: "Hapus", EN: "Remove"},
		"form.remove_n":        {ID: "Hapus peserta {n}", EN: "Remove participant {n}"},
		"form.summary":         {ID: "Ringkasan", EN: "Summary"},
		"form.total":           {ID: "Total", EN: "Total"},
		"form.total_none":      {ID: "Pilih kategori untuk melihat total.", EN: "Choose a category to see the total."},
		"form.quote":           {ID: "Hitung total", EN: "Work out the total"},
		"form.hold_note":       {ID: "Setelah dikirim, tempat ditahan {hold} untuk pembayaran.", EN: "Once sent, the places are held for {hold} for payment."},
		"form.free_note":       {ID: "Pendaftaran gratis langsung terkonfirmasi.", EN: "A free registration is confirmed at once."},
		"form.consent":         {ID: "Dengan mengirim, kamu menyatakan data ini benar, sudah disetujui semua peserta, dan boleh dipakai penyelenggara untuk menjalankan lomba ini.", EN: "By sending you confirm that these details are true, that every participant agrees, and that the organiser may use them to run this race."},
		"form.submit":          {ID: "Kirim pendaftaran", EN: "Send registration"},
		"form.upcoming":        {ID: "Pendaftaran belum dibuka. Isi dulu dari sekarang: jawabanmu tersimpan di perangkat ini, dan tombol kirim aktif saat pendaftaran dibuka.", EN: "Registration is not open yet. Fill in the form now: your answers stay on this device, and the send button works once registration opens."},
		"form.upcoming_plain":  {ID: "Pendaftaran belum dibuka. Kembali lagi {when}.", EN: "Registration is not open yet. Come back {when}."},
		"form.noscript":        {ID: "JavaScript tidak aktif. Tidak apa-apa, formulir ini tetap bisa dipakai.", EN: "JavaScript is off. That is fine, the form works without it."},
		"form.noscript_go":     {ID: "Buka formulir tanpa JavaScript", EN: "Open the form without JavaScript"},
		"form.errors_one":      {ID: "Ada 1 hal yang perlu diperbaiki", EN: "There is 1 thing to correct"},
		"form.errors_many":     {ID: "Ada {n} hal yang perlu diperbaiki", EN: "There are {n} things to correct"},
		"form.not_sent":        {ID: "Pendaftaran belum terkirim", EN: "Not registered yet"},
		"form.price_changed":   {ID: "Harga berubah selagi kamu mengisi. Total sekarang {total}. Kirim sekali lagi bila setuju.", EN: "The price changed while you were filling in the form. The total is now {total}. Send again if you agree."},
		"form.earlier":         {ID: "Pendaftaranmu tadi ternyata sudah masuk. Ini hasilnya.", EN: "Your earlier registration did arrive. Here it is."},
	}
}

func orderSentences() map[string]event.Text {
	return map[string]event.Text{
		"order.title":                     {ID: "Pendaftaran {number}", EN: "Registration {number}"},
		"order.number":                    {ID: "Nomor pendaftaran", EN: "Registration number"},
		"order.participants":              {ID: "Peserta", EN: "Participants"},
		"order.contact":                   {ID: "Kontak", EN: "Contact"},
		"order.registered":                {ID: "Didaftarkan", EN: "Registered"},
		"order.total":                     {ID: "Total", EN: "Total"},
		"order.hold_left":                 {ID: "Tempatmu ditahan selama", EN: "Your place is held for"},
		"order.hold_until":                {ID: "sampai {when}", EN: "until {when}"},
		"order.keep":                      {ID: "Simpan tautan halaman ini. Siapa pun yang memegangnya bisa melihat dan membatalkan pendaftaran ini.", EN: "Keep the link to this page. Whoever has it can see and cancel this registration."},
		"order.live":                      {ID: "Halaman ini memperbarui diri sendiri.", EN: "This page updates itself."},
		"order.reload":                    {ID: "Halaman ini dimuat ulang tiap 15 detik.", EN: "This page reloads every 15 seconds."},
		"order.cancel":                    {ID: "Batalkan pendaftaran", EN: "Cancel the registration"},
		"order.cancel_title":              {ID: "Batalkan pendaftaran {number}?", EN: "Cancel registration {number}?"},
		"order.cancel_lead":               {ID: "Tempat untuk {n} peserta langsung dibuka bagi orang lain dan tidak bisa diminta kembali.", EN: "The places of {n} participants go on sale again at once. They cannot be taken back."},
		"order.cancel_yes":                {ID: "Ya, batalkan", EN: "Yes, cancel"},
		"order.cancel_no":                 {ID: "Tidak, simpan tempatku", EN: "No, keep my place"},
		"order.again":                     {ID: "Daftar lagi", EN: "Register again"},
		"order.see_race":                  {ID: "Lihat halaman lomba", EN: "See the race page"},
		"order.place.held":                {ID: "Ditahan", EN: "Held"},
		"order.place.confirmed":           {ID: "Terkonfirmasi", EN: "Confirmed"},
		"order.place.released":            {ID: "Dilepas", EN: "Released"},
		"order.status.confirmed":          {ID: "Terkonfirmasi", EN: "Confirmed"},
		"order.status.awaiting_payment":   {ID: "Menunggu pembayaran", EN: "Awaiting payment"},
		"order.status.expired":            {ID: "Kedaluwarsa", EN: "Expired"},
		"order.status.cancelled":          {ID: "Dibatalkan", EN: "Cancelled"},
		"order.status.refunding":          {ID: "Pengembalian dana diproses", EN: "Refund in progress"},
		"order.status.refunded":           {ID: "Dana dikembalikan", EN: "Refunded"},
		"order.status.paid_no_place":      {ID: "Dibayar, tempat habis", EN: "Paid, no place"},
		"order.headline.confirmed":        {ID: "Kamu dapat tempat.", EN: "You are in."},
		"order.headline.awaiting_payment": {ID: "Tempatmu kami tahan.", EN: "Your place is held."},
		"order.headline.expired":          {ID: "Waktu pembayaran habis.", EN: "The time to pay ran out."},
		"order.headline.cancelled":        {ID: "Pendaftaran dibatalkan.", EN: "Registration cancelled."},
		"order.headline.refunding":        {ID: "Danamu sedang dikembalikan.", EN: "Your money is on its way back."},
		"order.headline.refunded":         {ID: "Danamu sudah dikembalikan.", EN: "Your money has been returned."},
		"order.headline.paid_no_place":    {ID: "Sudah dibayar, tempat habis.", EN: "Paid, but no place left."},
		"order.lead.confirmed":            {ID: "Semua peserta di bawah ini terdaftar. Sampai jumpa di garis start.", EN: "Everyone listed below is registered. See you at the start line."},
		"order.lead.awaiting_payment":     {ID: "Belum terkonfirmasi sampai {total} dibayar. Lewat dari batas waktu, tempat dibuka lagi untuk orang lain.", EN: "Not confirmed until {total} is paid. After the deadline the place goes on sale again."},
		"order.lead.expired":              {ID: "Tempat sudah dilepas untuk orang lain, dan tidak ada yang ditagih. Kalau masih ada tempat, kamu bisa mendaftar lagi.", EN: "The place went back on sale and nothing was charged. If places remain, you can register again."},
		"order.lead.cancelled":            {ID: "Tempat sudah dilepas untuk orang lain.", EN: "The place went back on sale."},
		"order.lead.refunding":            {ID: "Pendaftaran ini tidak berlaku lagi. Pengembalian {total} sedang diproses; lamanya tergantung bank atau dompet digitalmu.", EN: "This registration is no longer valid. The refund of {total} is being processed; how long it takes depends on your bank or wallet."},
		"order.lead.refunded":             {ID: "Pendaftaran ini tidak berlaku lagi. {total} sudah dikirim kembali ke sumber pembayaranmu.", EN: "This registration is no longer valid. {total} has gone back to where you paid from."},
		"order.lead.paid_no_place":        {ID: "Uangmu aman. {total} tiba setelah tempat dilepas. Kalau ada tempat yang kembali, kamu langsung dikonfirmasi; kalau tidak, uangmu kami kembalikan penuh. Kamu tidak perlu melakukan apa pun.", EN: "Your money is safe. {total} arrived after the place was released. If a place returns you are confirmed at once; otherwise you get all of it back. There is nothing you need to do."},
	}
}

func problemSentences() map[string]event.Text {
	return map[string]event.Text{
		"problem.404":        {ID: "Jalur ini buntu.", EN: "This path leads nowhere."},
		"problem.404_lead":   {ID: "Halaman yang kamu cari tidak ada, atau tautannya tidak lengkap.", EN: "The page does not exist, or the link is incomplete."},
		"problem.event_lead": {ID: "Lomba ini tidak ada atau belum diterbitkan.", EN: "This race does not exist or is not published yet."},
		"problem.order_lead": {ID: "Kami tidak menemukan pendaftaran dengan tautan ini. Buka lagi tautan lengkap dari email konfirmasi atau riwayat perambanmu.", EN: "We find no registration under this link. Open the complete link from your confirmation e-mail or your browser's history."},
		"problem.500":        {ID: "Ada yang salah di pihak kami.", EN: "Something broke on our side."},
		"problem.500_lead":   {ID: "Kesalahan ini sudah tercatat. Coba muat ulang; pendaftaran yang sudah masuk tetap aman.", EN: "It has been recorded. Try to reload; registrations that arrived are safe."},
		"problem.503":        {ID: "Gerbang sedang penuh.", EN: "The gate is crowded."},
		"problem.503_lead":   {ID: "Server sedang sangat ramai. Halaman ini mencoba lagi sendiri dalam {n} detik; kamu tidak perlu menekan apa pun.", EN: "The server is very busy. This page tries again by itself in {n} seconds; there is nothing to press."},
		"problem.403":        {ID: "Permintaan ini ditolak.", EN: "This request was refused."},
		"problem.405":        {ID: "Halaman ini tidak menerima permintaan itu.", EN: "This page does not take that kind of request."},
		"problem.413":        {ID: "Isiannya terlalu besar.", EN: "Too much was sent."},
		"problem.413_lead":   {ID: "Formulir yang dikirim melebihi 256 KB.", EN: "The form that was sent exceeds 256 KB."},
		"problem.400":        {ID: "Permintaan ini tidak bisa dibaca.", EN: "This request cannot be read."},
		"problem.409":        {ID: "Keadaannya sudah berubah.", EN: "Things have changed."},
		"problem.429":        {ID: "Terlalu cepat.", EN: "Too fast."},
		"problem.retry":      {ID: "Coba sekarang", EN: "Try now"},
		"order.unchanged":    {ID: "Pendaftaran ini tidak bisa dibatalkan lagi karena statusnya sudah berubah.", EN: "This registration can no longer be cancelled because its status has changed."},
		"problem.code":       {ID: "Kode {code}", EN: "Code {code}"},
	}
}

// faultSentences has one sentence for every code of fault.Codes.
func faultSentences() map[string]event.Text {
	return map[string]event.Text{
		"fault.unknown":                 {ID: "Pendaftaran ditolak. Coba sekali lagi.", EN: "The registration was refused. Please try again."},
		"fault.bad_json":                {ID: "Data yang dikirim tidak bisa dibaca. Muat ulang halaman lalu coba lagi.", EN: "What was sent cannot be read. Reload the page and try again."},
		"fault.too_large":               {ID: "Isian terlalu besar untuk dikirim.", EN: "The form is too large to send."},
		"fault.unsupported_media_type":  {ID: "Format kiriman tidak didukung. Muat ulang halaman lalu coba lagi.", EN: "That format is not supported. Reload the page and try again."},
		"fault.validation_failed":       {ID: "Beberapa isian perlu diperbaiki.", EN: "Some answers need correcting."},
		"fault.idempotency_key_missing": {ID: "Isianmu aman, tetapi formulir belum siap dikirim. Kirim sekali lagi.", EN: "Your answers are safe, but the form was not ready. Send it once more."},
		"fault.idempotency_key_reused":  {ID: "Formulir ini sudah pernah terkirim dengan isian lain.", EN: "This form was already sent with other answers."},
		"fault.idempotency_in_flight":   {ID: "Kirimanmu masih diproses. Tunggu sebentar, lalu kirim lagi dengan isian yang sama.", EN: "Your registration is still being processed. Wait a moment, then send the same answers again."},
		"fault.sold_out":                {ID: "Tempatnya sudah habis. Tidak ada yang terdaftar dari kiriman ini.", EN: "The places are gone. Nobody in this form has been registered."},
		"fault.sold_out.held":           {ID: "Habis untuk sementara: semua tempat sedang ditahan menunggu pembayaran. Tempat bisa kembali, jadi coba lagi nanti.", EN: "Sold out for now: every place is held for payment. Places may return, so try again later."},
		"fault.sold_out.option":         {ID: "Salah satu pilihan sudah habis. Ganti pilihan itu, lalu kirim lagi.", EN: "One of the options is gone. Choose another one and send again."},
		"fault.sold_out.of":             {ID: "Tempat untuk {categories} sudah habis. Tidak ada yang terdaftar dari kiriman ini.", EN: "The places for {categories} are gone. Nobody in this form has been registered."},
		"fault.price_changed":           {ID: "Harga berubah selagi kamu mengisi. Periksa totalnya, lalu kirim lagi.", EN: "The price changed while you filled in the form. Check the total, then send again."},
		"fault.already_registered":      {ID: "Email atau nomor HP salah satu peserta sudah terdaftar di lomba ini. Satu orang hanya mendapat satu tempat.", EN: "The e-mail or number of one participant is already registered for this race. One person gets one place."},
		"fault.not_open":                {ID: "Pendaftaran belum dibuka. Isianmu tetap tersimpan.", EN: "Registration is not open yet. Your answers are kept."},
		"fault.closed":                  {ID: "Pendaftaran sudah ditutup.", EN: "Registration has closed."},
		"fault.queue_pass_required":     {ID: "Giliranmu belum tiba. Ambil nomor antrean dulu di halaman lomba.", EN: "It is not your turn yet. Draw a queue ticket on the race page first."},
		"fault.captcha_failed":          {ID: "Pemeriksaan keamanan tidak berhasil. Coba lagi.", EN: "The security check did not succeed. Try again."},
		"fault.rate_limited":            {ID: "Terlalu banyak percobaan. Tunggu sebentar, lalu coba lagi.", EN: "Too many attempts. Wait a moment, then try again."},
		"fault.overloaded":              {ID: "Server sedang penuh dan tempatmu belum terpesan. Isianmu aman; tunggu beberapa detik, lalu kirim lagi.", EN: "The server is full and your place is not booked yet. Your answers are safe; wait a few seconds, then send again."},
		"fault.outcome_unknown":         {ID: "Kami belum tahu apakah pendaftaranmu masuk. Kirim lagi tanpa mengubah isian: kamu tidak akan terdaftar dua kali.", EN: "We do not know yet whether your registration arrived. Send again without changing anything: you will not be registered twice."},
		"fault.no_such_event":           {ID: "Lomba ini tidak ditemukan.", EN: "This race was not found."},
		"fault.no_such_order":           {ID: "Pendaftaran ini tidak ditemukan.", EN: "This registration was not found."},
		"fault.not_allowed":             {ID: "Kamu tidak berhak melakukan ini.", EN: "You are not allowed to do this."},
		"fault.payment_unavailable":     {ID: "Halaman pembayaran sedang tidak bisa dibuka. Tempatmu tetap tersimpan; coba lagi sebentar.", EN: "The payment page cannot be opened right now. Your place stays reserved; try again shortly."},
		"fault.wrong_state":             {ID: "Status pendaftaran sudah berubah, jadi ini tidak bisa dilakukan lagi.", EN: "The registration's status has changed, so this is no longer possible."},
		"fault.cross_origin":            {ID: "Kiriman dari situs lain ditolak. Buka formulir langsung dari halaman lomba.", EN: "Requests from other sites are refused. Open the form from the race page."},
		"fault.not_found":               {ID: "Halaman tidak ditemukan.", EN: "Page not found."},
		"fault.method_not_allowed":      {ID: "Permintaan jenis ini tidak diterima.", EN: "This kind of request is not accepted."},
		"fault.internal":                {ID: "Ada kesalahan di pihak kami. Kirim lagi tanpa mengubah isian: kamu tidak akan terdaftar dua kali.", EN: "Something broke on our side. Send again without changing anything: you will not be registered twice."},
	}
}

// fieldSentences has one sentence for every code that a field of the form can get. A sentence with placeholders has a
// plain form beside it, for a report without the values.
func fieldSentences() map[string]event.Text {
	return map[string]event.Text{
		"field.unknown":               {ID: "Periksa lagi isian ini.", EN: "Check this answer."},
		"field.required":              {ID: "Bagian ini wajib diisi.", EN: "This is required."},
		"field.too_long":              {ID: "Terlalu panjang, maksimal {max} karakter.", EN: "Too long, at most {max} characters."},
		"field.too_long.plain":        {ID: "Isian ini terlalu panjang.", EN: "This is too long."},
		"field.control_character":     {ID: "Ada karakter tersembunyi. Ketik ulang isian ini.", EN: "There is a hidden character in it. Please retype this."},
		"field.email_invalid":         {ID: "Alamat email ini tidak lengkap atau salah ketik.", EN: "This e-mail address is incomplete or mistyped."},
		"field.phone_invalid":         {ID: "Nomor HP ini tidak dikenali. Contoh: 0812-3456-789.", EN: "This number is not recognised. Such as 0812-3456-789."},
		"field.date_invalid":          {ID: "Tanggal ini tidak ada. Tulis seperti 1994-05-02.", EN: "There is no such date. Write it like 1994-05-02."},
		"field.date_in_future":        {ID: "Tanggal lahir tidak bisa di masa depan.", EN: "A date of birth cannot be in the future."},
		"field.name_invalid":          {ID: "Tulis nama dengan huruf, seperti di kartu identitas.", EN: "Write the name in letters, as on the identity card."},
		"field.duplicate_participant": {ID: "Peserta ini memakai email atau nomor HP yang sama dengan peserta lain di formulir ini.", EN: "This participant has the same e-mail or number as another one in this form."},
		"field.unknown_category":      {ID: "Kategori ini tidak ada. Pilih yang lain.", EN: "There is no such category. Choose another."},
		"field.unknown_option":        {ID: "Pilihan ini tidak ada. Pilih yang lain.", EN: "There is no such option. Choose another."},
		"field.unknown_question":      {ID: "Pertanyaan ini tidak ada di lomba ini.", EN: "This race does not ask that."},
		"field.too_many_participants": {ID: "Terlalu banyak peserta, maksimal {max} dalam satu pendaftaran.", EN: "Too many participants, at most {max} in one registration."},

		"field.too_many_participants.plain": {ID: "Terlalu banyak peserta dalam satu pendaftaran.", EN: "Too many participants in one registration."},

		"field.too_young":       {ID: "Usia minimal untuk kategori ini {min_age} tahun pada hari lomba.", EN: "This category is for those aged {min_age} or over on race day."},
		"field.too_young.plain": {ID: "Peserta terlalu muda untuk kategori ini.", EN: "Too young for this category."},
		"field.too_old":         {ID: "Usia maksimal untuk kategori ini {max_age} tahun pada hari lomba.", EN: "This category is for those aged {max_age} or under on race day."},
		"field.too_old.plain":   {ID: "Peserta melewati batas usia kategori ini.", EN: "Too old for this category."},
		"field.option_sold_out": {ID: "Pilihan ini sudah habis. Pilih yang lain.", EN: "This option is gone. Choose another."},
	}
}

func scriptSentences() map[string]event.Text {
	return map[string]event.Text{
		"js.sending":         {ID: "Mengirim pendaftaranmu…", EN: "Sending your registration…"},
		"js.busy":            {ID: "Server penuh, mencoba lagi dalam {n} detik. Tempatmu belum terpesan.", EN: "The server is full, trying again in {n} s. Your place is not booked yet."},
		"js.limited":         {ID: "Terlalu banyak percobaan dari jaringan ini, mencoba lagi dalam {n} detik. Tempatmu belum terpesan.", EN: "Too many attempts from this network, trying again in {n} s. Your place is not booked yet."},
		"js.in_flight":       {ID: "Kirimanmu sedang diproses, memeriksa lagi dalam {n} detik.", EN: "Your registration is being processed, checking again in {n} s."},
		"js.unknown":         {ID: "Koneksi terputus. Kami belum tahu apakah pendaftaranmu masuk, sedang memeriksa.", EN: "The connection broke. We do not know yet whether your registration arrived, checking now."},
		"js.offline":         {ID: "Perangkatmu sedang offline. Begitu tersambung lagi, kami periksa dan lanjutkan. Kamu tidak akan terdaftar dua kali.", EN: "Your device is offline. Once it is back we check and carry on. You will not be registered twice."},
		"js.unreachable":     {ID: "Server belum bisa dihubungi, mencoba lagi dalam {n} detik. Kamu tidak akan terdaftar dua kali.", EN: "The server cannot be reached, trying again in {n} s. You will not be registered twice."},
		"js.stop":            {ID: "Berhenti mencoba", EN: "Stop trying"},
		"js.stopped":         {ID: "Berhenti mencoba. Kami belum tahu apakah pendaftaranmu masuk. Kirim lagi kapan saja: kamu tidak akan terdaftar dua kali.", EN: "Stopped. We do not know whether your registration arrived. Send again any time: you will not be registered twice."},
		"js.stopped_clear":   {ID: "Berhenti mencoba. Tidak ada yang terdaftar dari kiriman ini.", EN: "Stopped. Nothing was registered."},
		"js.got_it":          {ID: "Pendaftaranmu tercatat. Membuka halamannya…", EN: "Your registration is on record. Opening its page…"},
		"js.checking":        {ID: "Sebentar, kami periksa dulu apakah kirimanmu tadi sudah masuk…", EN: "One moment, we check whether your earlier attempt arrived…"},
		"js.found":           {ID: "Kirimanmu tadi sudah masuk: {number}.", EN: "Your earlier attempt did arrive: {number}."},
		"js.found_go":        {ID: "Lihat pendaftaran", EN: "See the registration"},
		"js.found_other":     {ID: "Daftarkan orang lain", EN: "Register someone else"},
		"js.not_found":       {ID: "Kirimanmu tadi belum masuk, jadi belum ada yang terdaftar.", EN: "Your earlier attempt did not arrive, so nothing is registered yet."},
		"js.draft":           {ID: "Isian terakhirmu masih tersimpan di perangkat ini.", EN: "Your last answers are still on this device."},
		"js.draft_use":       {ID: "Pakai lagi", EN: "Use them"},
		"js.draft_drop":      {ID: "Hapus", EN: "Delete"},
		"js.draft_back":      {ID: "Isianmu dipulihkan.", EN: "Your answers are back."},
		"js.draft_clear":     {ID: "Mulai dari kosong", EN: "Start over"},
		"js.price_changed":   {ID: "Harga berubah dari {old} menjadi {new} selagi kamu mengisi. Kirim dengan total {new}?", EN: "The price changed from {old} to {new} while you filled in the form. Send with {new}?"},
		"js.price_yes":       {ID: "Ya, kirim", EN: "Yes, send"},
		"js.price_no":        {ID: "Tidak, jangan kirim", EN: "No, do not send"},
		"js.open_now":        {ID: "Pendaftaran sudah dibuka.", EN: "Registration is open."},
		"js.changed":         {ID: "Status berubah: {status}", EN: "Status changed: {status}"},
		"js.reconnecting":    {ID: "Menyambung kembali…", EN: "Reconnecting…"},
		"js.hold_over":       {ID: "Batas waktu lewat, sedang memeriksa status…", EN: "The deadline has passed, checking the status…"},
		"js.added":           {ID: "Peserta {n} ditambahkan.", EN: "Participant {n} added."},
		"js.removed":         {ID: "Peserta {n} dihapus.", EN: "Participant {n} removed."},
		"js.storage_blocked": {ID: "Perambanmu melarang penyimpanan. Jangan muat ulang halaman ini sebelum selesai.", EN: "Your browser blocks storage. Do not reload this page before you are done."},
		"js.line":            {ID: "{n} × {category}", EN: "{n} × {category}"},
		"js.free":            {ID: "Gratis", EN: "Free"},
	}
}

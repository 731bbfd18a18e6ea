package site

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gapura/internal/fault"
	"gapura/internal/registration"
)

func TestStatesOfARace(t *testing.T) {
	t.Parallel()
	all := func(level registration.Level, state registration.State) func(*registration.Live) {
		return func(l *registration.Live) {
			l.Availability.State = state
			for k := range l.Availability.Categories {
				l.Availability.Categories[k] = registration.CategoryAvailability{Level: level, Tier: -1}
			}
		}
	}
	upcoming := func(l *registration.Live) { l.Availability.State = registration.StateUpcoming }
	closed := func(l *registration.Live) { l.Availability.State = registration.StateClosed }
	low := func(l *registration.Live) {
		l.Availability.Categories["10k"] = registration.CategoryAvailability{Level: registration.Low, Remaining: 37, Tier: -1}
	}
	some := func(l *registration.Live) {
		l.Availability.Categories["10k"] = registration.CategoryAvailability{Level: registration.Held, Tier: -1}
		l.NextExpiry = time.Date(2026, 12, 2, 4, 7, 0, 0, time.UTC)
	}
	for name, c := range map[string]struct {
		change      func(*registration.Live)
		event, form []string
	}{
		"open":     {func(*registration.Live) {}, []string{"Daftar sekarang", "20 Februari 2027 pukul 23.59 WIB"}, []string{`id="send"`}},
		"upcoming": {upcoming, []string{"Segera dibuka", "1 Desember 2026 pukul 10.00 WIB", `data-until="2026-12-01T10:00:00&#43;07:00"`}, []string{`id="upcoming"`, `id="send"`}},
		"closed":   {closed, []string{"Pendaftaran ditutup"}, []string{"Pendaftaran ditutup 20 Februari 2027"}},
		"sold out": {all(registration.SoldOut, registration.StateSoldOut), []string{"Semua tempat sudah terisi.", "schema.org/SoldOut"}, []string{"Semua tempat sudah terisi."}},
		"held":     {all(registration.Held, registration.StateSoldOut), []string{"Habis untuk sementara", "langsung dibuka lagi"}, []string{"langsung dibuka lagi"}},
		"full":     {all(registration.Held, registration.StateOpen), []string{"Habis untuk sementara", "langsung dibuka lagi"}, []string{`id="shut"`}},
		"some":     {some, []string{"Pendaftaran dibuka", "paling cepat kembali 2 Desember 2026 pukul 11.07 WIB"}, []string{"paling cepat kembali", `id="send"`}},
		"low":      {low, []string{"Hampir habis", "Sisa 37 tempat", "LimitedAvailability"}, []string{"Sisa 37 tempat"}},
	} {
		s, d := newSite(t)
		d.set(slug, c.change)
		want(t, get(t, s, "/e/"+slug), http.StatusOK, c.event...)
		want(t, get(t, s, formPath()), http.StatusOK, c.form...)
		if t.Failed() {
			t.Fatal(name)
		}
	}
}

func TestARaceThatRegistersNobodyOffersNoForm(t *testing.T) {
	t.Parallel()
	s, d := newSite(t)
	d.set(slug, func(l *registration.Live) {
		for k := range l.Availability.Categories {
			l.Availability.Categories[k] = registration.CategoryAvailability{Level: registration.Held, Tier: -1}
		}
	})
	for path, never := range map[string][]string{
		"/e/" + slug:              {"Daftar sekarang", `class="dock"`},
		formPath():                {`id="form"`, "http-equiv"},
		formPath() + "?form=1":    {`id="form"`},
		"/e/" + slug + "?lang=en": {"Register now"},
	} {
		w := get(t, s, path)
		want(t, w, http.StatusOK)
		for _, text := range never {
			if strings.Contains(w.Body.String(), text) {
				t.Errorf("%s has %q", path, text)
			}
		}
	}
	// Who sent the form keeps their answers.
	d.refuseWith(fault.New(fault.SoldOut).With("may_return", true))
	want(t, post(t, s, formPath(), siti()), http.StatusConflict, `value="Siti Aminah"`, `id="send"`)

	d.set(slug, func(l *registration.Live) {
		l.Availability = availability(l.Event)
		l.Availability.State = registration.StateClosed
	})
	if body := get(t, s, "/e/"+slug).Body.String(); strings.Contains(body, "Tersedia") {
		t.Error("a race whose registration has closed offers places")
	}
}

func TestTheListOfRaces(t *testing.T) {
	t.Parallel()
	s, d := newSite(t)
	for i, state := range demoStates(t) {
		d.live[state.slug] = &registration.Live{ID: int64(i + 2), Event: &state.event, Availability: availability(&state.event)}
		d.set(state.slug, state.change)
	}
	body := get(t, s, "/").Body.String()
	closed, last := strings.Index(body, "Makassar Run"), strings.Index(body, "Lomba Ramai")
	if closed < last || last < strings.Index(body, "Gapura Night Run") {
		t.Error("races are by start, those that have closed behind")
	}
	for _, says := range []string{"Pendaftaran dibuka", "Segera dibuka", "Habis untuk sementara", "Tempat habis", "Pendaftaran ditutup", "Gratis sampai Rp350.000"} {
		if !strings.Contains(body, says) {
			t.Errorf("%q is not on the list", says)
		}
	}
	empty, none := newSite(t)
	delete(none.live, slug)
	want(t, get(t, empty, "/"), http.StatusOK, "Belum ada lomba yang diumumkan.")
}

func TestPricesOfARace(t *testing.T) {
	t.Parallel()
	s, d := newSite(t)
	want(t, get(t, s, "/e/"+slug), http.StatusOK, "Rp350.000", "Rp450.000", "150 pendaftar pertama, sampai 14 Desember 2026", "Gratis")
	d.set(slug, func(l *registration.Live) {
		l.Availability.Categories["half"] = registration.CategoryAvailability{Level: registration.Available, Remaining: -1, Tier: 1}
	})
	d.clock.Advance(time.Second)
	want(t, get(t, s, "/e/"+slug+"?lang=en"), http.StatusOK, `<li class="over"><span>Early bird <small>first 150 entries`, `<li class="now"><span>Presale`)
}

func TestStructuredData(t *testing.T) {
	t.Parallel()
	s, _ := newSite(t)
	raw := between(get(t, s, "/e/"+slug).Body.String(), `<script type="application/ld+json">`, `</script>`)
	var data struct {
		Type      string `json:"@type"`
		Name      string
		StartDate string
		Location  struct {
			Address struct{ AddressLocality string }
		}
		Organizer struct{ Name string }
		Offers    []struct {
			Price         int
			PriceCurrency string
			Availability  string
			URL           string
			ValidFrom     string
		}
	}
	if err := json.Unmarshal([]byte(raw), &data); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	if data.Type != "SportsEvent" || data.StartDate != "2027-03-06T18:30:00+07:00" || data.Location.Address.AddressLocality != "Bandung" ||
		data.Organizer.Name != "Yayasan Gapura Lari Nusantara" || len(data.Offers) != 4 {
		t.Errorf("%+v", data)
	}
	if o := data.Offers[0]; o.Price != 350000 || o.PriceCurrency != "IDR" || o.Availability != "https://schema.org/InStock" ||
		o.URL != "https://daftar.example.id/e/"+slug+"/daftar" || o.ValidFrom != "2026-12-01T10:00:00+07:00" {
		t.Errorf("%+v", o)
	}
}

func TestLanguages(t *testing.T) {
	t.Parallel()
	s, _ := newSite(t)
	want(t, get(t, s, "/e/"+slug), http.StatusOK, `<html lang="id"`, `hreflang="en" href="https://daftar.example.id/e/`+slug+`?lang=en"`, "Sabtu, 6 Maret 2027", "18.30 WIB")
	en := get(t, s, "/e/"+slug+"?lang=en")
	want(t, en, http.StatusOK, `<html lang="en"`, `href="/e/`+slug+`/daftar?lang=en"`, "Saturday, 6 March 2027", "18:30 WIB")
	w := post(t, s, formPath()+"?lang=en", siti())
	if !strings.Contains(w.Header().Get("Location"), "lang=en") {
		t.Errorf("the language is lost: %s", w.Header().Get("Location"))
	}
	inEnglish, _ := newSite(t, func(c *Config) { c.Locale = "en" })
	want(t, get(t, inEnglish, "/"), http.StatusOK, `<html lang="en"`, `href="/?lang=id"`)
	if _, err := New(Config{Locale: "fr"}); err == nil {
		t.Error("a language without sentences was taken")
	}
}

func TestZonesOfIndonesia(t *testing.T) {
	t.Parallel()
	at := time.Date(2027, 3, 6, 11, 30, 0, 0, time.UTC)
	for zone, says := range map[string]string{
		"Asia/Jakarta": "18.30 WIB", "Asia/Pontianak": "18.30 WIB", "Asia/Makassar": "19.30 WITA", "Asia/Jayapura": "20.30 WIT",
		"Asia/Tokyo": "20.30 JST", "Asia/Dubai": "15.30 UTC+04",
	} {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		if got := (words{lang: "id"}).moment(at, loc).Clock(); got != says {
			t.Errorf("%s: %s, want %s", zone, got, says)
		}
	}
}

func TestDescriptionsAreSafe(t *testing.T) {
	t.Parallel()
	html, err := markdown("# Judul\n\n### Dalam\n\n<script>alert(1)</script> <img src=x onerror=alert(1)>\n\n[a](javascript:alert(1)) [b](https://example.id)\n\n## Lagi")
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<script", "onerror", "javascript:", "<h1", "<h2"} {
		if strings.Contains(string(html), bad) {
			t.Errorf("%s in %s", bad, html)
		}
	}
	for _, good := range []string{"<h3>Judul", "<h4>Dalam", "<h4>Lagi", `href="https://example.id" rel="nofollow noopener"`} {
		if !strings.Contains(string(html), good) {
			t.Errorf("%s is missing in %s", good, html)
		}
	}
}

func TestEveryStatusOfAnOrder(t *testing.T) {
	t.Parallel()
	for _, status := range allStatuses() {
		s, d := newSite(t)
		o := d.order(400000, status, "Siti Aminah", "I Wayan Sudarsana")
		w := get(t, s, s.orderLink("id", o, nil))
		say := words{lang: "id", texts: s.texts}
		want(t, w, http.StatusOK, say.T("order.headline."+string(status)), say.T("order.lead."+string(status), "total", "Rp400.000"),
			`data-status="`+string(status)+`"`, "GNR27-000001", "I Wayan Sudarsana", "Ukuran jersey: M", "s***@example.id")
		if cancel := strings.Contains(w.Body.String(), "/cancel?"); cancel != (status == registration.AwaitingPayment) {
			t.Errorf("%s: can be cancelled: %v", status, cancel)
		}
		if reload := strings.Contains(w.Body.String(), `<noscript><meta http-equiv="refresh" content="15">`); reload != mayChange(status) {
			t.Errorf("%s: reloads: %v", status, reload)
		}
		if strings.Contains(w.Body.String(), "Budi 0812") || strings.Contains(w.Body.String(), "3456789") {
			t.Errorf("%s shows what only the organiser needs", status)
		}
	}
}

func TestAnOrderPageIsPrivate(t *testing.T) {
	t.Parallel()
	s, d := newSite(t)
	o := d.order(0, registration.Confirmed, "Siti Aminah")
	w := get(t, s, s.orderLink("id", o, nil))
	for name, value := range map[string]string{"Cache-Control": "private, no-store", "Referrer-Policy": "no-referrer"} {
		if w.Header().Get(name) != value {
			t.Errorf("%s: %q", name, w.Header().Get(name))
		}
	}
	want(t, w, http.StatusOK, `<meta name="robots" content="noindex">`)
	other := d.order(0, registration.Confirmed, "Orang Lain")
	for _, path := range []string{
		"/orders/" + o.ID.String(), "/orders/" + o.ID.String() + "?token=", "/orders/" + o.ID.String() + "?token=" + d.Token(other.ID),
		"/orders/nonsense?token=x", "/orders/" + o.ID.String() + "/cancel?token=wrong",
	} {
		w := get(t, s, path)
		want(t, w, http.StatusNotFound, "tautan lengkap")
		if strings.Contains(w.Body.String(), "Siti") || w.Header().Get("Cache-Control") != "private, no-store" {
			t.Errorf("%s tells about an order, or is kept", path)
		}
	}
}

func TestCancellingAsksFirst(t *testing.T) {
	t.Parallel()
	s, d := newSite(t)
	o := d.order(200000, registration.AwaitingPayment, "Siti Aminah")
	page := strings.Replace(s.orderLink("id", o, nil), "?", "/cancel?", 1)
	w := get(t, s, page)
	want(t, w, http.StatusOK, "Batalkan pendaftaran GNR27-000001?", `method="post" action="/orders/`+o.ID.String()+`/cancel"`)
	if w.Header().Get("Referrer-Policy") != "strict-origin" {
		t.Error("a form of this page would be sent without its origin")
	}
	action := "/orders/" + o.ID.String() + "/cancel"
	want(t, post(t, s, action, url.Values{"token": {"wrong"}}), http.StatusNotFound)
	if now, _ := d.Order(t.Context(), o.ID); now.Status != registration.AwaitingPayment {
		t.Fatal("cancelled without the token")
	}
	w = post(t, s, action, url.Values{"token": {d.Token(o.ID)}})
	want(t, w, http.StatusSeeOther)
	want(t, get(t, s, w.Header().Get("Location")), http.StatusOK, "Pendaftaran dibatalkan.", "Daftar lagi")
	for _, again := range []string{post(t, s, action, url.Values{"token": {d.Token(o.ID)}}).Header().Get("Location"), get(t, s, page).Header().Get("Location")} {
		want(t, get(t, s, again), http.StatusOK, "tidak bisa dibatalkan lagi")
	}
}

func TestProblemPages(t *testing.T) {
	t.Parallel()
	s, _ := newSite(t)
	want(t, get(t, s, "/nowhere"), http.StatusNotFound, "Jalur ini buntu.")
	want(t, get(t, s, "/e/nothing?lang=en"), http.StatusNotFound, "not published yet")
	fail := func(err error) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.Fail(w, r, err) })
	}
	w := get(t, fail(fault.New(fault.Overloaded).After(4200*time.Millisecond)), "/e/x?token=secret")
	want(t, w, http.StatusServiceUnavailable, `<meta http-equiv="refresh" content="5">`, "5 detik", `href="/e/x?token=secret"`)
	if w.Header().Get("Retry-After") != "5" || w.Header().Get("Cache-Control") != "private, no-store" || w.Header().Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("%v", w.Header())
	}
	for _, code := range fault.Codes() {
		w := get(t, fail(fault.New(code)), "/")
		want(t, w, statusOf(code), string(code), "<h1>")
		if strings.Contains(w.Body.String(), ">problem.") || strings.Contains(w.Body.String(), ">fault.") {
			t.Errorf("%s has no sentence", code)
		}
	}
	want(t, get(t, fail(errors.New("the disk is on fire")), "/"), http.StatusInternalServerError, "Ada yang salah di pihak kami.")
}

func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	s, _ := newSite(t)
	for _, path := range append(cacheable(), "/nowhere", formPath()+"?form=1") {
		w := get(t, s, path)
		csp := w.Header().Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'self'") || strings.Contains(csp, "unsafe") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s: %q", path, csp)
		}
		if w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%s: %v", path, w.Header())
		}
		body := w.Body.String()
		for _, inline := range []string{"<script>", "style=", "onclick", "<style", "javascript:"} {
			if strings.Contains(body, inline) {
				t.Errorf("%s has %s, which the policy stops", path, inline)
			}
		}
	}
}

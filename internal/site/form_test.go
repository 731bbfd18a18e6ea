package site

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gapura/internal/fault"
	"gapura/internal/money"
	"gapura/internal/registration"
)

func formPath() string { return "/e/" + slug + "/daftar" }

// refuse makes the desk answer every registration with err.
func (d *desk) refuseWith(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refuse = func(string, string, registration.Request) error { return err }
}

func TestEveryFaultIsShownWithTheAnswersAndTheKey(t *testing.T) {
	t.Parallel()
	for _, code := range fault.Codes() {
		s, d := newSite(t)
		d.refuseWith(fault.New(code).After(2500 * time.Millisecond))
		w := post(t, s, formPath(), siti())
		want(t, w, statusOf(code), `id="alert"`, `value="Siti Aminah"`, `value="a-key-of-this-visitor"`)
		if !strings.Contains(w.Body.String(), `role="alert"><h2>`) {
			t.Errorf("%s: the alert is empty", code)
		}
		if w.Header().Get("Retry-After") != "3" || w.Header().Get("Cache-Control") != "private, no-store" {
			t.Errorf("%s: %v", code, w.Header())
		}
	}
}

func TestEveryFieldCodeIsShownAtItsInput(t *testing.T) {
	t.Parallel()
	params := map[string]any{"max": 5, "min_age": 17, "max_age": 40}
	for _, code := range fieldCodes() {
		for _, pointer := range []string{
			"/contact/name", "/contact/email", "/participants", "/participants/0", "/participants/0/category",
			"/participants/0/birth_date", "/participants/0/gender", "/participants/0/answers/fit", "/participants/0/answers/jersey",
		} {
			s, d := newSite(t)
			d.refuseWith(&fault.Fault{Code: fault.ValidationFailed, Fields: []fault.Field{{Pointer: pointer, Code: code, Params: params}}})
			w := post(t, s, formPath(), siti())
			sentence := words{lang: "id", texts: s.texts}.about("field", code, params)
			want(t, w, http.StatusUnprocessableEntity, "Ada 1 hal yang perlu diperbaiki",
				`id="`+pointerID(pointer)+`-error">`+sentence)
			target := between(w.Body.String(), `<ul><li><a href="#`, `"`)
			if !strings.Contains(w.Body.String(), `id="`+target+`"`) {
				t.Errorf("%s at %s: the summary leads to #%s, which is not there", code, pointer, target)
			}
		}
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	s, d := newSite(t)
	form := siti()
	form.Del("/contact/name")
	form.Del("/participants/0/birth_date")
	form.Set("/contact/email", "siti at example")
	w := post(t, s, formPath(), form)
	want(t, w, http.StatusUnprocessableEntity, "Ada 3 hal", `value="siti at example"`, `aria-invalid="true"`,
		`<b>Peserta 1, Tanggal lahir:</b>`, `<b>Kontak, Email:</b>`)
	if len(d.orders) != 0 {
		t.Error("somebody was registered")
	}
}

// The first participant is the contact: a fault in what they share is shown where it can be corrected.
func TestFaultsOfTheContactWhoRuns(t *testing.T) {
	t.Parallel()
	s, d := newSite(t)
	d.refuseWith(&fault.Fault{Code: fault.ValidationFailed, Fields: []fault.Field{
		{Pointer: "/contact/phone", Code: "phone_invalid"}, {Pointer: "/participants/0/phone", Code: "phone_invalid"},
	}})
	w := post(t, s, formPath(), siti())
	want(t, w, http.StatusUnprocessableEntity, "Ada 1 hal", `href="#f-contact-phone"`)
	if strings.Contains(w.Body.String(), `name="/participants/0/phone" id="f-participants-0-phone" value="0812`) {
		t.Error("the hidden input has a value that a browser could refuse")
	}
}

func TestAFormFromACacheIsAskedForOnceMore(t *testing.T) {
	t.Parallel()
	s, d := newSite(t)
	form := siti()
	form.Del("key")
	w := post(t, s, formPath(), form)
	want(t, w, http.StatusBadRequest, "Kirim sekali lagi", `value="Siti Aminah"`)
	if d.calls != 0 {
		t.Error("sent without a key")
	}
	form.Set("key", between(w.Body.String(), `name="key" value="`, `"`))
	want(t, post(t, s, formPath(), form), http.StatusSeeOther)
}

func TestTheSameFormTwiceIsOneOrder(t *testing.T) {
	t.Parallel()
	s, d := newSite(t)
	first, second := post(t, s, formPath(), siti()), post(t, s, formPath(), siti())
	if first.Header().Get("Location") != second.Header().Get("Location") || len(d.orders) != 1 {
		t.Errorf("%d orders: %v, %v", len(d.orders), first.Header(), second.Header())
	}
	other := siti()
	other.Set("/contact/name", "Orang Lain")
	w := post(t, s, formPath(), other)
	want(t, w, http.StatusSeeOther)
	want(t, get(t, s, w.Header().Get("Location")), http.StatusOK, "ternyata sudah masuk", "Siti Aminah")
}

func TestParticipantsAreAddedAndRemovedWithoutScript(t *testing.T) {
	t.Parallel()
	s, d := newSite(t)
	form := siti()
	form.Set("action", "add")
	w := post(t, s, formPath(), form)
	want(t, w, http.StatusOK, `id="f-participants-1"`, `value="a-key-of-this-visitor"`, `value="Siti Aminah"`)
	for i, name := range []string{"Kedua", "Ketiga", "Keempat", "Kelima"} {
		form.Set("/participants/"+string(rune('1'+i))+"/name", name)
	}
	w = post(t, s, formPath(), form)
	if strings.Contains(w.Body.String(), `id="f-participants-5"`) {
		t.Error("more participants than one order may have")
	}
	form.Set("action", "remove-2")
	w = post(t, s, formPath(), form)
	want(t, w, http.StatusOK, `name="/participants/2/name" id="f-participants-2-name" value="Keempat"`)
	if strings.Contains(w.Body.String(), "Ketiga") || d.calls != 0 {
		t.Error("the participant is still there, or the form was sent")
	}
	for _, action := range []string{"remove-0", "remove-9", "remove-x", "dance"} {
		form.Set("action", action)
		want(t, post(t, s, formPath(), form), http.StatusOK, "Kelima")
	}
}

func TestTheTotalIsWorkedOutAndAgreedTo(t *testing.T) {
	t.Parallel()
	s, d := newSite(t)
	form := siti()
	form.Set("/participants/0/category", "10k")
	form.Set("/participants/0/answers/jersey", "M")
	form.Set("action", "quote")
	want(t, post(t, s, formPath(), form), http.StatusOK, "1 × 10 K", "Rp200.000")

	form.Set("action", "submit")
	form.Set("price:10k", "150000")
	w := post(t, s, formPath(), form)
	want(t, w, http.StatusConflict, "Total sekarang Rp200.000", `name="expected_total" value="200000"`, `name="expected_for" value="10k"`)
	form.Set("expected_total", "200000")
	form.Set("expected_for", "10k")
	want(t, post(t, s, formPath(), form), http.StatusSeeOther)
	if len(d.orders) != 1 {
		t.Errorf("%d orders", len(d.orders))
	}
}

func TestExpectedTotal(t *testing.T) {
	t.Parallel()
	of := func(ids ...string) (out []registration.ParticipantInput) {
		for _, c := range ids {
			out = append(out, registration.ParticipantInput{Category: c})
		}
		return out
	}
	shown := url.Values{"price:10k": {"200000"}, "price:fun": {"0"}, "expected_total": {"475000"}, "expected_for": {"10k,10k"}}
	for _, c := range []struct {
		of   []registration.ParticipantInput
		want any
	}{
		{of("10k"), money.Rupiah(200000)},
		{of("10k", "fun"), money.Rupiah(200000)},
		{of("fun"), money.Rupiah(0)},
		{of("10k", "10k"), money.Rupiah(475000)},
		{of("10k", "half"), nil},
	} {
		got := expectedTotal(shown, c.of)
		if (got == nil) != (c.want == nil) || got != nil && *got != c.want {
			t.Errorf("%v: %v, want %v", c.of, got, c.want)
		}
	}
}

func TestARefusalThatPassesIsSentAgainFromWhereItIsRead(t *testing.T) {
	t.Parallel()
	for code, says := range map[fault.Code]string{
		fault.Overloaded: "tunggu 7 detik", fault.RateLimited: "tunggu 7 detik", fault.OutcomeUnknown: "Kirim lagi tanpa mengubah isian", fault.SoldOut: "",
	} {
		s, d := newSite(t)
		d.refuseWith(fault.New(code).After(6500 * time.Millisecond))
		w := post(t, s, formPath(), siti())
		alert := between(w.Body.String(), `role="alert">`, "</div>")
		if !strings.Contains(alert, says) || strings.Contains(alert, `value="submit"`) != (says != "") {
			t.Errorf("%s: %s", code, alert)
		}
	}
}

func TestSoldOutSaysWhetherPlacesReturn(t *testing.T) {
	t.Parallel()
	soon := time.Date(2026, 12, 2, 4, 7, 0, 0, time.UTC)
	for _, c := range []struct {
		refusal *fault.Fault
		says    string
	}{
		{fault.New(fault.SoldOut).With("may_return", true).With("next_hold_ends_at", soon), "2 Desember 2026 pukul 11.07 WIB"},
		{fault.New(fault.SoldOut).With("may_return", true), "Habis untuk sementara"},
		{fault.New(fault.SoldOut).With("may_return", false).With("categories", []string{"10k"}), "Tempat untuk 10 K sudah habis"},
		{fault.New(fault.SoldOut).With("option", "jersey:M"), `id="f-participants-0-answers-jersey-error">Pilihan ini sudah habis`},
		{fault.New(fault.NotOpen), "1 Desember 2026 pukul 10.00 WIB"},
	} {
		s, d := newSite(t)
		d.refuseWith(c.refusal)
		form := siti()
		form.Set("/participants/0/category", "10k")
		form.Set("/participants/0/answers/jersey", "M")
		want(t, post(t, s, formPath(), form), statusOf(c.refusal.Code), c.says)
	}
}

func TestAnAnswerThatIsNotAskedIsLeftOut(t *testing.T) {
	t.Parallel()
	s, d := newSite(t)
	form := siti() // a fun run, which has no jersey
	form.Set("/participants/0/answers/jersey", "M")
	want(t, post(t, s, formPath(), form), http.StatusSeeOther)
	for _, o := range d.orders {
		if _, ok := o.Participants[0].Answers["jersey"]; ok {
			t.Error("the answer was sent")
		}
	}
}

func TestWhatIsTypedStaysText(t *testing.T) {
	t.Parallel()
	s, _ := newSite(t)
	form := siti()
	form.Set("/contact/name", `"><script>alert(1)</script>`)
	form.Del("/participants/0/gender")
	w := post(t, s, formPath(), form)
	if strings.Contains(w.Body.String(), "<script>alert") {
		t.Error("a name became markup")
	}
}

func TestBadPosts(t *testing.T) {
	t.Parallel()
	s, d := newSite(t)
	form := siti()
	form.Set("/contact/name", strings.Repeat("x", maxBody))
	want(t, post(t, s, formPath(), form), http.StatusRequestEntityTooLarge, "256 KB")
	want(t, post(t, s, formPath(), siti(), "Content-Type", "application/json"), http.StatusUnsupportedMediaType)
	want(t, post(t, s, "/e/no-such-race/daftar", siti()), http.StatusNotFound)
	want(t, post(t, s, formPath(), url.Values{}), http.StatusBadRequest)
	want(t, post(t, s, "/", siti()), http.StatusMethodNotAllowed)
	if d.calls != 0 {
		t.Error("something was sent")
	}
}

func TestPostsFromOtherSitesAreRefused(t *testing.T) {
	t.Parallel()
	s, d := newSite(t)
	guarded := http.NewCrossOriginProtection().Handler(s)
	for _, header := range [][2]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://elsewhere.example"}} {
		want(t, post(t, guarded, "https://daftar.example.id"+formPath(), siti(), header[0], header[1]), http.StatusForbidden)
	}
	if d.calls != 0 {
		t.Error("a foreign post was taken")
	}
	want(t, post(t, guarded, "https://daftar.example.id"+formPath(), siti(), "Sec-Fetch-Site", "same-origin"), http.StatusSeeOther)
}

func TestAnUnexpectedErrorKeepsTheAnswers(t *testing.T) {
	t.Parallel()
	s, d := newSite(t)
	d.refuseWith(errors.New("the disk is on fire"))
	w := post(t, s, formPath(), siti())
	want(t, w, http.StatusInternalServerError, "tidak akan terdaftar dua kali", `value="Siti Aminah"`)
	if strings.Contains(w.Body.String(), "fire") {
		t.Error("the cause is shown")
	}
}

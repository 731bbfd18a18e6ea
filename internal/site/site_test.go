package site

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func get(t testing.TB, h http.Handler, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func post(t testing.TB, h http.Handler, path string, values url.Values, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(values.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func want(t testing.TB, w *httptest.ResponseRecorder, status int, parts ...string) {
	t.Helper()
	if w.Code != status {
		t.Fatalf("status %d, want %d\n%s", w.Code, status, w.Body)
	}
	for _, part := range parts {
		if !strings.Contains(w.Body.String(), part) {
			t.Errorf("%q is not on the page:\n%s", part, w.Body)
		}
	}
}

// siti is a form for one free place that has no fault.
func siti() url.Values {
	return url.Values{
		"/contact/name": {"Siti Aminah"}, "/contact/email": {"siti@example.id"}, "/contact/phone": {"0812-3456-789"},
		"/participants/0/category": {"fun-run"}, "self": {"0"}, "/participants/0/birth_date": {"1994-05-02"},
		"/participants/0/gender": {"female"}, "/participants/0/answers/emergency-contact": {"Budi 0812"},
		"/participants/0/answers/fit": {"true"}, "key": {"a-key-of-this-visitor"}, "action": {"submit"},
	}
}

func TestFromTheRaceToTheOrderWithoutScript(t *testing.T) {
	t.Parallel()
	s, _ := newSite(t)
	want(t, get(t, s, "/"), http.StatusOK, `href="/e/`+slug+`"`)
	want(t, get(t, s, "/e/"+slug), http.StatusOK, `href="/e/`+slug+`/daftar"`, "Gapura Night Run 2027")
	want(t, get(t, s, "/e/"+slug+"/daftar"), http.StatusOK, `url=/e/`+slug+`/daftar?form=1`)
	want(t, get(t, s, "/e/"+slug+"/daftar?form=1"), http.StatusOK, `name="key"`)
	w := post(t, s, "/e/"+slug+"/daftar", siti())
	want(t, w, http.StatusSeeOther)
	want(t, get(t, s, w.Header().Get("Location")), http.StatusOK, "Kamu dapat tempat.", "GNR27-000001", "Siti Aminah")
}

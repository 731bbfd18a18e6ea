package site

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/andybalholm/brotli"

	"gapura/internal/registration"
)

func cacheable() []string {
	return []string{"/", "/e/" + slug, "/e/" + slug + "/daftar", "/?lang=en", "/e/" + slug + "?lang=en", "/e/" + slug + "/daftar?lang=en"}
}

func TestPagesThatCachesKeepSayForHowLong(t *testing.T) {
	t.Parallel()
	s, _ := newSite(t)
	for _, path := range cacheable() {
		w := get(t, s, path)
		want(t, w, http.StatusOK)
		if got := w.Header().Get("Cache-Control"); got != "public, max-age=5, stale-while-revalidate=30" {
			t.Errorf("%s: Cache-Control %q", path, got)
		}
		again := get(t, s, path, "If-None-Match", w.Header().Get("ETag"))
		if again.Code != http.StatusNotModified || again.Body.Len() != 0 {
			t.Errorf("%s: %d with %d bytes for a known tag", path, again.Code, again.Body.Len())
		}
		if w.Header().Get("Set-Cookie") != "" || w.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: depends on more than its address: %v", path, w.Header())
		}
	}
}

// Whoever asks for a page that caches keep gets the same bytes: nothing of one visitor is in it, however often it is made.
func TestPagesThatCachesKeepBelongToNobody(t *testing.T) {
	t.Parallel()
	s, d := newSite(t)
	first := map[string]string{}
	for range 3 {
		for _, path := range cacheable() {
			body := get(t, s, path, "Cookie", "session=a-visitor", "User-Agent", "one", "Authorization", "Bearer secret").Body.String()
			if before, ok := first[path]; ok && before != body {
				t.Errorf("%s differs from one visitor to the next", path)
			}
			first[path] = body
			for _, private := range []string{`name="key"`, `name="token"`, "token=", "expected_total"} {
				if strings.Contains(body, private) {
					t.Errorf("%s carries %s", path, private)
				}
			}
		}
		d.clock.Advance(2 * time.Second) // so that it is rendered anew
	}
}

func TestTheFormWithAKeyIsNeverKept(t *testing.T) {
	t.Parallel()
	s, _ := newSite(t)
	seen := map[string]bool{}
	for range 3 {
		w := get(t, s, "/e/"+slug+"/daftar?form=1", "Accept-Encoding", "gzip, br")
		if got := w.Header().Get("Cache-Control"); got != "private, no-store" {
			t.Fatalf("Cache-Control %q", got)
		}
		key := between(w.Body.String(), `name="key" value="`, `"`)
		if len(key) < 26 || seen[key] {
			t.Errorf("key %q is short or used twice", key)
		}
		seen[key] = true
	}
}

func between(s, before, after string) string {
	_, s, _ = strings.Cut(s, before)
	s, _, _ = strings.Cut(s, after)
	return s
}

func TestCompressedPagesAreThePage(t *testing.T) {
	t.Parallel()
	s, _ := newSite(t)
	plain := get(t, s, "/e/"+slug).Body.String()
	for accepts, open := range map[string]func(io.Reader) (io.Reader, error){
		"gzip":           func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
		"gzip, br;q=0.9": func(r io.Reader) (io.Reader, error) { return brotli.NewReader(r), nil },
		"br;q=0, gzip":   func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
	} {
		w := get(t, s, "/e/"+slug, "Accept-Encoding", accepts)
		r, err := open(w.Body)
		if err != nil {
			t.Fatalf("%s: %v", accepts, err)
		}
		got, err := io.ReadAll(r)
		if err != nil || string(got) != plain {
			t.Errorf("%s (%s): %v, not the page", accepts, w.Header().Get("Content-Encoding"), err)
		}
	}
	if got := get(t, s, "/e/"+slug, "Accept-Encoding", "identity").Header().Get("Content-Encoding"); got != "" {
		t.Errorf("encoded as %q for a client that takes none", got)
	}
}

// A crowd costs one rendering a second; what changed shows after it.
func TestAPageIsRenderedAtMostOnceASecond(t *testing.T) {
	t.Parallel()
	s, d := newSite(t)
	before := get(t, s, "/e/"+slug).Body.String()
	d.set(slug, func(l *registration.Live) { l.Availability.State = registration.StateClosed })
	if get(t, s, "/e/"+slug).Body.String() != before {
		t.Error("rendered again within the second")
	}
	d.clock.Advance(time.Second)
	want(t, get(t, s, "/e/"+slug), http.StatusOK, "Pendaftaran ditutup")
}

func TestACrowdOnAColdPageRendersItOnce(t *testing.T) {
	t.Parallel()
	e := &prepared{}
	renders, release := 0, make(chan struct{})
	var crowd sync.WaitGroup
	for range 50 {
		crowd.Go(func() {
			b, err := e.get(opening, func() ([]byte, error) {
				renders++ // under the building lock
				<-release
				return []byte("page"), nil
			})
			if err != nil || string(b.plain) != "page" {
				t.Errorf("%v, %v", b, err)
			}
		})
	}
	close(release)
	crowd.Wait()
	if renders != 1 {
		t.Errorf("rendered %d times", renders)
	}
}

// While one request renders, the others get the last page instead of waiting.
func TestNobodyWaitsForARendering(t *testing.T) {
	t.Parallel()
	e := &prepared{}
	if _, err := e.get(opening, func() ([]byte, error) { return []byte("old"), nil }); err != nil {
		t.Fatal(err)
	}
	later := opening.Add(time.Minute)
	rendering, release := make(chan struct{}), make(chan struct{})
	var slow sync.WaitGroup
	slow.Go(func() {
		_, _ = e.get(later, func() ([]byte, error) { close(rendering); <-release; return []byte("new"), nil })
	})
	<-rendering
	b, err := e.get(later, func() ([]byte, error) { t.Error("rendered twice"); return nil, nil })
	if err != nil || string(b.plain) != "old" {
		t.Errorf("%v, %v", b, err)
	}
	close(release)
	slow.Wait()
	if string(e.last().plain) != "new" {
		t.Error("the new page was not kept")
	}
}

func TestUnknownRacesLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	s, _ := newSite(t)
	for _, path := range []string{"/e/no-such-race", "/e/no-such-race/daftar", "/e/..%2f..%2fetc", "/e/" + slug + "/daftar?lang=xx"} {
		get(t, s, path)
	}
	for key := range s.prepared.byKey {
		if key.slug != slug {
			t.Errorf("kept %v", key)
		}
	}
}

func builtFiles() fstest.MapFS {
	return fstest.MapFS{
		".vite/manifest.json":  {Data: []byte(`{"src/main.ts":{"file":"main-BNYUHRyb.js","css":["main-Dxq_7-1a.css"]}}`)},
		"main-BNYUHRyb.js":     {Data: []byte("export {}")},
		"main-BNYUHRyb.js.br":  {Data: []byte("as brotli")},
		"main-BNYUHRyb.js.gz":  {Data: []byte("as gzip")},
		"main-Dxq_7-1a.css":    {Data: []byte("a{}")},
		"icon.svg":             {Data: []byte("<svg/>")},
		"main-BNYUHRyb.js.map": {Data: []byte("{}")},
	}
}

func TestAssets(t *testing.T) {
	t.Parallel()
	s, _ := newSite(t, func(c *Config) { c.Assets = builtFiles() })
	want(t, get(t, s, "/"), http.StatusOK, `src="/assets/main-BNYUHRyb.js"`, `href="/assets/main-Dxq_7-1a.css"`, `href="/assets/icon.svg"`)
	forever, day := "public, max-age=31536000, immutable", "public, max-age=86400"
	for _, c := range []struct{ path, accepts, typ, encoding, body, cache string }{
		{"main-BNYUHRyb.js", "gzip, br", "text/javascript; charset=utf-8", "br", "as brotli", forever},
		{"main-BNYUHRyb.js", "gzip", "text/javascript; charset=utf-8", "gzip", "as gzip", forever},
		{"main-BNYUHRyb.js", "", "text/javascript; charset=utf-8", "", "export {}", forever},
		{"main-Dxq_7-1a.css", "br", "text/css; charset=utf-8", "", "a{}", forever},
		{"icon.svg", "br", "image/svg+xml", "", "<svg/>", day},
	} {
		w := get(t, s, "/assets/"+c.path, "Accept-Encoding", c.accepts)
		h := w.Header()
		if h.Get("Content-Type") != c.typ || h.Get("Content-Encoding") != c.encoding || w.Body.String() != c.body ||
			h.Get("Cache-Control") != c.cache || h.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s for %q: %v %q", c.path, c.accepts, h, w.Body)
		}
		if again := get(t, s, "/assets/"+c.path, "If-None-Match", h.Get("ETag")); again.Code != http.StatusNotModified {
			t.Errorf("%s: %d for a known tag", c.path, again.Code)
		}
	}
	for _, path := range []string{"nothing.js", ".vite/manifest.json", "main-BNYUHRyb.js.br", "../site.go", ""} {
		if w := get(t, s, "/assets/"+path); w.Code == http.StatusOK {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestABrokenFrontEndIsRefusedAtStart(t *testing.T) {
	t.Parallel()
	for name, manifest := range map[string]string{"no JSON": "{", "no entry": "{}"} {
		if _, err := loadAssets(fstest.MapFS{".vite/manifest.json": {Data: []byte(manifest)}}); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

// Without the built front end the pages come without style and script, and work.
func TestPagesWithoutAFrontEnd(t *testing.T) {
	t.Parallel()
	s, _ := newSite(t, func(c *Config) { c.Assets = fstest.MapFS{} })
	w := get(t, s, "/e/"+slug+"/daftar")
	want(t, w, http.StatusOK, `id="form"`)
	if strings.Contains(w.Body.String(), "/assets/") {
		t.Error("the page asks for files that are not there")
	}
}

// maxFirstVisit is the budget of the form page: everything a first visitor loads, compressed with gzip.
const maxFirstVisit = 60 << 10

func TestTheFirstVisitOfTheFormIsLight(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("assets/dist/.vite/manifest.json"); err != nil {
		t.Skip("the front end is not built")
	}
	s, _ := newSite(t)
	page := get(t, s, "/e/"+slug+"/daftar")
	total := transferred(get(t, s, "/e/"+slug+"/daftar", "Accept-Encoding", "gzip"))
	files := 0
	for _, part := range strings.Split(page.Body.String(), `"`) {
		if strings.HasPrefix(part, "/assets/") {
			w := get(t, s, part, "Accept-Encoding", "gzip")
			want(t, w, http.StatusOK)
			total += transferred(w)
			files++
		}
	}
	t.Logf("%d bytes in the page and %d files", total, files)
	if files < 3 || total > maxFirstVisit {
		t.Errorf("%d bytes in %d files, want style, script and icon in at most %d", total, files, maxFirstVisit)
	}
}

// transferred counts an answer with its header.
func transferred(w *httptest.ResponseRecorder) int {
	n := w.Body.Len()
	for name, values := range w.Header() {
		for _, value := range values {
			n += len(name) + len(value) + 4
		}
	}
	return n
}

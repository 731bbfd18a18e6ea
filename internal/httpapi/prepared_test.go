package httpapi

import (
	"compress/gzip"
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andybalholm/brotli"

	"gapura/internal/cache"
	"gapura/internal/registration"
)

func TestPreparedDocumentsAreValidated(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const path = "/api/v1/events/night-run"
	w := f.ask("GET", path, "")
	etag := w.Header().Get("Etag")
	if w.Code != 200 || !strings.HasPrefix(etag, `W/"`) || w.Header().Get("Cache-Control") != cacheEvent[0] || w.Header().Get("Vary") != "Accept-Encoding" {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	for match, want := range map[string]int{
		etag: 304, strings.TrimPrefix(etag, "W/"): 304, `"other", ` + etag: 304, `"other"`: 200, "": 200, strings.Trim(etag, `W/"`): 200,
	} {
		w := f.ask("GET", path, "", "If-None-Match", match)
		if w.Code != want || (want == 304) != (w.Body.Len() == 0) || w.Header().Get("Etag") != etag {
			t.Errorf("If-None-Match %s: %d, %d bytes", match, w.Code, w.Body.Len())
		}
	}
	f.clock.Advance(freshFor)
	if again := f.ask("GET", path, "", "If-None-Match", etag); again.Code != 200 {
		t.Errorf("server_time moved on, and the answer is %d", again.Code)
	}
	availability := f.ask("GET", path+"/availability", "")
	f.clock.Advance(freshFor)
	if again := f.ask("GET", path+"/availability", "", "If-None-Match", availability.Header().Get("Etag")); again.Code != 304 {
		t.Errorf("nothing changed, and the answer is %d", again.Code)
	}
}

func TestPreparedDocumentsAreCompressed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	plain := f.ask("GET", "/api/v1/events/night-run", "").Body.String()
	for accept, allowed := range map[string]string{
		"gzip": "gzip", "gzip, deflate, br": "gzip br", "br;q=1.0, gzip;q=0.8": "gzip br", "": "", "deflate": "", "gzip;q=0": "",
		"gzip; q=0.000, identity": "", "notgzip": "", "identity": "", "br;q=0, gzip": "gzip",
	} {
		w := f.ask("GET", "/api/v1/events/night-run", "", "Accept-Encoding", accept)
		coding := w.Header().Get("Content-Encoding")
		if (coding == "") != (allowed == "") || !strings.Contains(allowed, coding) {
			t.Errorf("%q: coding %q", accept, coding)
		}
		text, err := io.ReadAll(unpacked(t, coding, w.Body))
		if err != nil || string(text) != plain {
			t.Errorf("%q: another document: %v", accept, err)
		}
	}
}

func unpacked(t *testing.T, coding string, body io.Reader) io.Reader {
	t.Helper()
	switch coding {
	case "br":
		return brotli.NewReader(body)
	case "gzip":
		r, err := gzip.NewReader(body)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	return body
}

// A crowd that meets a document nobody has made yet must cost one look-up, not one each.
func TestAColdDocumentIsMadeOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.desk.gate = make(chan struct{})
	var crowd sync.WaitGroup
	for range 64 {
		crowd.Go(func() {
			if w := f.ask("GET", "/api/v1/events/night-run/availability", ""); w.Code != 200 {
				t.Errorf("status %d", w.Code)
			}
		})
	}
	f.desk.gate <- struct{}{} // a second look-up would wait here for ever
	crowd.Wait()
	if n := f.desk.lookUps.Load(); n != 1 {
		t.Errorf("%d look-ups for one document", n)
	}
}

// While an old document is made anew, everybody else gets the old one at once.
func TestAnOldDocumentIsServedWhileItIsMadeAnew(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const path = "/api/v1/events/night-run/availability"
	old := f.ask("GET", path, "").Body.String()
	f.desk.live.Availability.State = registration.StateSoldOut
	f.desk.gate = make(chan struct{})
	f.clock.Advance(freshFor)
	slow := make(chan string)
	go func() { slow <- f.ask("GET", path, "").Body.String() }()
	for f.desk.lookUps.Load() < 2 { // the slow one is inside
		f.ask("GET", "/healthz", "")
	}
	for range 100 {
		if got := f.ask("GET", path, "").Body.String(); got != old {
			t.Fatalf("not the old document: %s", got)
		}
	}
	close(f.desk.gate)
	if made := <-slow; !strings.Contains(made, "sold_out") {
		t.Errorf("the new document is %s", made)
	}
	if got := f.ask("GET", path, "").Body.String(); !strings.Contains(got, "sold_out") {
		t.Errorf("afterwards it is still %s", got)
	}
}

func TestUnknownEventsDoNotFillTheMemory(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var crowd sync.WaitGroup
	for n := range 16 {
		crowd.Go(func() {
			for i := range 200 {
				path := "/api/v1/events/" + strings.Repeat("x", n+i)
				for _, below := range []string{"y", "y/availability", "y/schedule"} {
					if w := f.ask("GET", path+below, ""); w.Code != 404 {
						t.Errorf("%s: %d", path+below, w.Code)
					}
				}
			}
		})
	}
	crowd.Wait()
	kept := 0
	f.api.prepared.documents.Range(func(any, any) bool { kept++; return true })
	if kept > 0 {
		t.Errorf("%d documents of events that do not exist are kept", kept)
	}
}

// shelfOfBytes is the cache that two nodes share.
type shelfOfBytes struct {
	mu   sync.Mutex
	kept map[string][]byte
	gone bool
	asks []string
}

func (s *shelfOfBytes) Get(_ context.Context, name string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asks = append(s.asks, name)
	if s.gone {
		return nil, errPlanted
	}
	return s.kept[name], nil
}

func (s *shelfOfBytes) Set(_ context.Context, name string, value []byte, _ time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return errPlanted
	}
	s.kept[name] = value
	return nil
}

// Nodes answer with the same bytes while they share a cache; without it each makes its own, and names that somebody thinks up
// never reach it.
func TestNodesShareDocuments(t *testing.T) {
	t.Parallel()
	shared := &shelfOfBytes{kept: map[string][]byte{}}
	one, two := newFixture(t), newFixture(t)
	for _, f := range []*fixture{one, two} {
		f.api.prepared.shared = cache.New(shared, f.clock)
	}
	const path = "/api/v1/events/night-run/availability"
	two.ask("GET", path, "")
	one.desk.live.Availability.State = registration.StateSoldOut
	one.ask("GET", path, "")
	two.clock.Advance(freshFor)
	if a, b := one.ask("GET", path, ""), two.ask("GET", path, ""); a.Body.String() != b.Body.String() || a.Header().Get("Etag") != b.Header().Get("Etag") {
		t.Errorf("two nodes answer\n%s\n%s", a.Body, b.Body)
	}
	if w := two.ask("GET", "/api/v1/events/made-up/availability", ""); w.Code != 404 || len(shared.kept) != 1 || len(shared.asks) != 1 {
		t.Errorf("%d; asked for %v, kept %d", w.Code, shared.asks, len(shared.kept))
	}
	shared.mu.Lock()
	shared.gone = true
	shared.mu.Unlock()
	two.desk.live.Availability.State = registration.StateClosed
	two.clock.Advance(freshFor)
	if w := two.ask("GET", path, ""); w.Code != 200 || !strings.Contains(w.Body.String(), "closed") {
		t.Errorf("without the cache: %d %s", w.Code, w.Body)
	}
}

func TestListsAreNeverNull(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.desk.live.Event.Schedule, f.desk.live.Event.Rules.UniqueBy, f.desk.live.Event.Questions = nil, nil, nil
	for _, path := range []string{"/api/v1/events", "/api/v1/events/night-run", "/api/v1/events/night-run/schedule"} {
		if body := f.ask("GET", path, "").Body.String(); strings.Contains(body, "null") {
			t.Errorf("%s: %s", path, body)
		}
	}
}

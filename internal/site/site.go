// Package site is the public web pages: the list of races, a race, its registration form and an order. They are rendered
// here and work without script; the script in web/ improves them over the JSON API. The product is reached through
// registration.Desk alone.
package site

import (
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"

	"gapura/internal/cache"
	"gapura/internal/calm"
	"gapura/internal/clock"
	"gapura/internal/event"
	"gapura/internal/gate"
	"gapura/internal/registration"
)

// Config is what the pages need from outside.
type Config struct {
	Desk     registration.Desk
	Cashier  Cashier  // nil: nothing can be paid here
	Files    Files    // nil: there are none
	Queue    Queue    // nil: no event has a waiting room
	Mailings Mailings // nil: there are none to stop
	// PaymentHosts are where a form may lead the browser to, such as https://app.midtrans.com.
	PaymentHosts []string
	Gate         *gate.Gate    // nil: nobody is limited, and no captcha is wanted
	Calm         *calm.Gate    // nil: nothing is shed at the door
	Cache        *cache.Shared // nil: prepared pages are not shared with other nodes
	Captcha      Captcha       // what the form shows; without a provider nothing
	Clock        clock.Clock
	BaseURL      string       // how the world reaches the pages, such as https://daftar.example.id; no slash at the end
	Locale       string       // the language of a page that is asked for without ?lang=: id (if empty) or en
	Organiser    string       // named to search engines where an event file names none; Gapura if empty
	Log          *slog.Logger // the default logger if nil
	Assets       fs.FS        // the built front end; the embedded one if nil
}

// Site serves the pages. It is safe for concurrent use.
type Site struct {
	config   Config
	texts    map[string]event.Text
	pages    *pages
	assets   *assets
	prepared preparedPages
	mux      *http.ServeMux
}

// New returns a Site, or an error that names the page or asset that cannot be read.
func New(config Config) (*Site, error) {
	config.BaseURL = strings.TrimRight(config.BaseURL, "/")
	if config.Locale == "" {
		config.Locale = indonesian
	}
	if config.Locale != indonesian && config.Locale != english {
		return nil, fmt.Errorf("locale %q: the pages speak id and en", config.Locale)
	}
	if config.Organiser == "" {
		config.Organiser = "Gapura"
	}
	if config.Log == nil {
		config.Log = slog.Default()
	}
	if config.Assets == nil {
		config.Assets = builtAssets()
	}
	s := &Site{config: config, texts: sentences(), mux: http.NewServeMux()}
	var err error
	if s.pages, err = parsePages(); err != nil {
		return nil, err
	}
	if s.assets, err = loadAssets(config.Assets); err != nil {
		return nil, err
	}
	s.Register(s.mux)
	return s, nil
}

// Register adds the pages to mux. "/" takes whatever no other pattern takes and answers with the 404 page.
func (s *Site) Register(mux *http.ServeMux) {
	page := func(pattern string, serve func(http.ResponseWriter, *http.Request) error) {
		mux.Handle(pattern, s.page(serve))
	}
	page("GET /{$}", s.home)
	page("GET /e/{slug}", s.event)
	page("GET /e/{slug}/daftar", s.form)
	page("POST /e/{slug}/daftar", s.submit)
	page("GET /e/{slug}/antre", s.waiting)
	page("POST /e/{slug}/antre", s.join)
	page("GET /e/{slug}/undian", s.draw)
	page("GET /orders/{id}", s.limited(gate.Read, calm.Read, s.order))
	page("POST /orders/{id}/pay", s.limited(gate.Pay, calm.Payment, s.pay))
	page("GET /orders/{id}/{file}", s.limited(gate.Read, calm.Read, s.file))
	page("GET /orders/{id}/cancel", s.limited(gate.Read, calm.Read, s.confirmCancel))
	page("POST /orders/{id}/cancel", s.limited(gate.Cancel, calm.Payment, s.cancel))
	page("GET /unsubscribe/{id}/{position}", s.unsubscribe)
	page("POST /unsubscribe/{id}/{position}", s.stopMailings) // mail services send many from one address: not limited by it
	page("/", s.notFound)
	mux.Handle("GET /assets/", http.StripPrefix("/assets/", s.assets))
	mux.HandleFunc("GET /robots.txt", robots)
}

// ServeHTTP serves the pages alone, without anything beside them.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// page wraps a handler that may fail: the error becomes the page that says so.
func (s *Site) page(serve func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header())
		if err := serve(w, r); err != nil {
			s.Fail(w, r, err)
		}
	})
}

// contentSecurityPolicy lets a page load from its own server only and run no script or style written into it. Data blocks
// such as JSON-LD are not script and pass.
const contentSecurityPolicy = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; " +
	"form-action 'self'; frame-ancestors 'none'"

func secure(h http.Header) {
	h.Set("Content-Security-Policy", contentSecurityPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "strict-origin-when-cross-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
}

// words returns the language a request asks for.
func (s *Site) words(r *http.Request) words {
	lang := s.config.Locale
	// The raw query is searched first because parsing it costs more than everything else a prepared page does.
	if strings.Contains(r.URL.RawQuery, "lang=") {
		if asked := r.URL.Query().Get("lang"); asked == indonesian || asked == english {
			lang = asked
		}
	}
	return words{lang: lang, texts: s.texts}
}

func robots(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=86400")
	_, _ = w.Write([]byte("User-agent: *\nDisallow: /orders/\nDisallow: /api/\n"))
}

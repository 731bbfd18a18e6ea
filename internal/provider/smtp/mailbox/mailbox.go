// Package mailbox shows the messages that a program without a mail server has written into a directory: what a runner would
// find in their inbox, on a page of the demo. It is for machines that nobody else can reach; whoever sees it reads all mail.
package mailbox

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

//go:embed templates
var templateFiles embed.FS

// listed is how many messages the list shows: reading the heads of more takes longer than a page may.
const listed = 200

// pagePolicy lets a page load nothing but its own styles and its own frame.
const pagePolicy = "default-src 'none'; style-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// framePolicy is for a mail's HTML: no scripts, nothing from other hosts, an origin of its own. Links open new windows.
const framePolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; " +
	"sandbox allow-popups allow-popups-to-escape-sandbox"

// Handler serves the mailbox below a prefix.
type Handler struct {
	dir    string
	prefix string
	locale string
	log    *slog.Logger
	pages  *template.Template
	mux    *http.ServeMux
}

// New returns a handler for the .eml files in dir. It is mounted at prefix, such as /_mailbox, without stripping it; locale
// is that of its own words, id or en.
func New(dir, prefix, locale string, log *slog.Logger) (*Handler, error) {
	h := &Handler{dir: dir, prefix: strings.TrimSuffix(prefix, "/"), locale: locale, log: log, mux: http.NewServeMux()}
	pages, err := template.New("").Funcs(template.FuncMap{"when": when, "initial": initial}).ParseFS(templateFiles, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("mailbox pages: %w", err)
	}
	h.pages = pages
	h.mux.HandleFunc("GET "+h.prefix, h.list)
	h.mux.HandleFunc("GET "+h.prefix+"/{$}", h.list)
	h.mux.HandleFunc("GET "+h.prefix+"/style.css", h.style)
	h.mux.HandleFunc("GET "+h.prefix+"/{name}", h.message)
	h.mux.HandleFunc("GET "+h.prefix+"/{name}/html", h.html)
	h.mux.HandleFunc("GET "+h.prefix+"/{name}/raw", h.raw)
	h.mux.HandleFunc("GET "+h.prefix+"/{name}/files/{number}", h.file)
	return h, nil
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", pagePolicy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer") // the address of a message is nobody's business
	header.Set("Cache-Control", "no-store")
	header.Set("X-Robots-Tag", "noindex")
	h.mux.ServeHTTP(w, r)
}

// view is what the templates see.
type view struct {
	Prefix  string
	Locale  string
	Words   words
	Query   string
	Total   int
	List    []summary
	Message message
	Text    bool // show the text part
}

func (h *Handler) list(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query().Get("q")
	found, total, err := list(h.dir, query, listed)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.page(w, r, "list.html", view{Query: query, List: found, Total: total})
}

func (h *Handler) message(w http.ResponseWriter, r *http.Request) {
	m, err := read(h.dir, r.PathValue("name"))
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.page(w, r, "message.html", view{Message: m, Text: r.URL.Query().Has("text") || m.HTML == ""})
}

// html serves the HTML part for the frame.
func (h *Handler) html(w http.ResponseWriter, r *http.Request) {
	m, err := read(h.dir, r.PathValue("name"))
	if err != nil {
		h.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Security-Policy", framePolicy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	// The doctype first, or the frame renders in quirks mode; the base makes every link leave the frame.
	h.write(w, r, []byte(`<!doctype html><base target="_blank">`+m.HTML))
}

func (h *Handler) raw(w http.ResponseWriter, r *http.Request) {
	file, err := open(h.dir, r.PathValue("name"))
	if err != nil {
		h.fail(w, r, err)
		return
	}
	defer func() { _ = file.Close() }()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	http.ServeContent(w, r, "", time.Time{}, file)
}

func (h *Handler) file(w http.ResponseWriter, r *http.Request) {
	m, err := read(h.dir, r.PathValue("name"))
	if err != nil {
		h.fail(w, r, err)
		return
	}
	number, err := strconv.Atoi(r.PathValue("number"))
	if err != nil || number < 1 || number > len(m.Attachments) {
		h.fail(w, r, errNoMessage)
		return
	}
	a := m.Attachments[number-1]
	kind := "application/octet-stream"
	if a.Type == "application/pdf" || a.Type == "text/calendar" {
		kind = a.Type
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": path.Base(a.Name)}))
	h.write(w, r, a.Content)
}

func (h *Handler) style(w http.ResponseWriter, r *http.Request) {
	css, err := templateFiles.ReadFile("templates/style.css")
	if err != nil {
		h.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	h.write(w, r, css)
}

func (h *Handler) page(w http.ResponseWriter, r *http.Request, name string, v view) {
	v.Prefix, v.Locale, v.Words = h.prefix, h.locale, wordsFor(h.locale)
	var out bytes.Buffer
	if err := h.pages.ExecuteTemplate(&out, name, v); err != nil {
		h.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	h.write(w, r, out.Bytes())
}

func (h *Handler) write(w http.ResponseWriter, r *http.Request, body []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if _, err := w.Write(body); err != nil {
		h.log.DebugContext(r.Context(), "mailbox: the reader went away", slog.Any("error", err))
	}
}

func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, errNoMessage) {
		http.Error(w, wordsFor(h.locale).Missing, http.StatusNotFound)
		return
	}
	h.log.ErrorContext(r.Context(), "mailbox", slog.Any("error", err))
	http.Error(w, wordsFor(h.locale).Broken, http.StatusInternalServerError)
}

func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

// initial is the letter in front of a line of the list.
func initial(name string) string {
	for _, r := range strings.ToUpper(name) {
		return string(r)
	}
	return "·"
}

// words are the pages' own.
type words struct {
	Title, Note, Search, Empty, None, Back, From, To, Reply, Date, Unsubscribe, Formatted, Text, Raw, Files, Shown, Missing, Broken string
}

func wordsFor(locale string) words {
	if locale == "en" {
		return words{
			Title: "Mailbox", Note: "No mail leaves this machine: what would have been sent is here.", Search: "Search subject or address",
			Empty: "No mail yet. Register for the demo event and the first one appears here.", None: "Nothing matches.",
			Back: "All mail", From: "From", To: "To", Reply: "Reply to", Date: "Date", Unsubscribe: "Unsubscribe", Formatted: "Formatted",
			Text: "Plain text", Raw: "Source", Files: "Attachments", Shown: "%d of %d", Missing: "There is no such message.",
			Broken: "The mailbox cannot be read; the log says why.",
		}
	}
	return words{
		Title: "Kotak surat", Note: "Tidak ada email yang keluar dari mesin ini: yang seharusnya dikirim ada di sini.",
		Search: "Cari subjek atau alamat", Empty: "Belum ada email. Daftar di acara demo dan email pertama muncul di sini.",
		None: "Tidak ada yang cocok.", Back: "Semua email", From: "Dari", To: "Kepada", Reply: "Balas ke", Date: "Tanggal",
		Unsubscribe: "Berhenti berlangganan", Formatted: "Tampilan", Text: "Teks biasa", Raw: "Sumber", Files: "Lampiran", Shown: "%d dari %d",
		Missing: "Email itu tidak ada.", Broken: "Kotak surat tidak dapat dibaca; alasannya ada di log.",
	}
}

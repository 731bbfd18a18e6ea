package site

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

//go:embed pages/*.html
var pageFiles embed.FS

// pages are the parsed templates, one set a page: layout.html and parts.html with the page's own file.
type pages struct {
	byName map[string]*template.Template
}

func parsePages() (*pages, error) {
	p := &pages{byName: map[string]*template.Template{}}
	shared, err := template.New("").Funcs(template.FuncMap{"pair": func(v *view, part any) paired { return paired{v, part} }}).
		ParseFS(pageFiles, "pages/layout.html", "pages/parts.html")
	if err != nil {
		return nil, fmt.Errorf("page layout: %w", err)
	}
	for _, name := range []string{"home", "event", "form", "order", "cancel", "problem", "unsubscribe", "waiting", "draw"} {
		own, err := shared.Clone()
		if err != nil {
			return nil, fmt.Errorf("page %s: %w", name, err)
		}
		if p.byName[name], err = own.ParseFS(pageFiles, "pages/"+name+".html"); err != nil {
			return nil, fmt.Errorf("page %s: %w", name, err)
		}
	}
	return p, nil
}

// view is what every page shows around its own part.
type view struct {
	words
	Name        string // of the page's template; the script looks at it
	Title       string
	Description string
	Path        string // without the language
	Locale      string // the language that needs no ?lang=
	Home        string // the language's list of races
	Link        string // this page in this language
	Alternates  []alternate
	Canonical   string
	NoIndex     bool
	Refresh     string // seconds, or seconds;url=...; for <meta http-equiv=refresh>
	NoScript    bool   // Refresh only where script is off
	Styles      []string
	Scripts     []string
	Icon        string
	JSONLD      any
	Data        any // for the script, as JSON
	Body        any
}

// paired hands a part of a page and the page itself to a template that takes one value.
type paired struct {
	View *view
	Part any
}

type alternate struct {
	Lang, Name, Link, Absolute string
	Current                    bool
}

// view starts the view of a page. Query holds what its own links keep besides the language.
func (s *Site) view(w words, name, path string, query url.Values) *view {
	v := &view{
		words: w, Name: name, Path: path, Locale: s.config.Locale, Home: s.link(w.lang, "/", nil), Link: s.link(w.lang, path, query),
		Styles: s.assets.styles, Scripts: s.assets.scripts, Icon: s.assets.icon,
	}
	for _, lang := range []struct{ code, name string }{{indonesian, "Indonesia"}, {english, "English"}} {
		link := s.link(lang.code, path, query)
		v.Alternates = append(v.Alternates, alternate{
			Lang: lang.code, Name: lang.name, Link: link, Absolute: s.config.BaseURL + link, Current: lang.code == w.lang,
		})
	}
	v.Canonical = s.config.BaseURL + s.link(w.lang, path, nil)
	return v
}

// Lang is the language of the page.
func (v *view) Lang() string { return v.lang }

// Default is where a search engine sends people of another language.
func (v *view) Default() string { return v.Alternates[0].Absolute }

// link returns path in a language; the site's own needs no mark.
func (s *Site) link(lang, path string, query url.Values) string {
	if lang != s.config.Locale {
		kept := url.Values{"lang": {lang}}
		for key, values := range query {
			kept[key] = values
		}
		query = kept
	}
	if len(query) == 0 {
		return path
	}
	return path + "?" + query.Encode()
}

// render executes a page. Nothing is sent before it is whole, so a fault in a template is a clean 500.
func (s *Site) render(v *view) ([]byte, error) {
	var b bytes.Buffer
	if err := s.pages.byName[v.Name].ExecuteTemplate(&b, "layout", v); err != nil {
		return nil, fmt.Errorf("page %s: %w", v.Name, err)
	}
	return squeeze(b.Bytes()), nil
}

// squeeze drops the indentation and empty lines of the templates: a tenth of the bytes before compression. No page has
// preformatted text.
func squeeze(page []byte) []byte {
	out := make([]byte, 0, len(page))
	for line := range bytes.Lines(page) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			out = append(append(out, line...), '\n')
		}
	}
	return out
}

// send answers with a page that belongs to one visitor: no cache may keep it.
func (s *Site) send(w http.ResponseWriter, status int, v *view) error {
	page, err := s.render(v)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "private, no-store")
	h.Set("Content-Language", v.lang)
	h.Set("Content-Length", strconv.Itoa(len(page)))
	w.WriteHeader(status)
	_, _ = w.Write(page)
	return nil
}

// pointerID turns a JSON pointer into the id of its input: /participants/0/name is f-participants-0-name.
func pointerID(pointer string) string {
	return "f" + strings.ReplaceAll(pointer, "/", "-")
}

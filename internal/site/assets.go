package site

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"strconv"
	"strings"
)

//go:embed all:assets
var embedded embed.FS

// builtAssets returns the embedded front end; it is empty where it was not built.
func builtAssets() fs.FS {
	dist, err := fs.Sub(embedded, "assets/dist")
	if err != nil {
		return embedded // unreachable: the path is valid
	}
	return dist
}

// assets serves the built front end from memory. Compressed forms lie beside the files as .br and .gz, made at build time.
type assets struct {
	files   map[string]*asset
	styles  []string
	scripts []string
	icon    string
}

type asset struct {
	typ, cache, tag string
	plain, br, gz   []byte
}

// hashedName recognises the names that the build makes from content: main-BxQ3z1aP.js.
var hashedName = regexp.MustCompile(`-[A-Za-z0-9_-]{8}\.[a-z0-9]+$`)

func loadAssets(dist fs.FS) (*assets, error) {
	a := &assets{files: map[string]*asset{}}
	err := fs.WalkDir(dist, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || isHidden(name) || isCompressed(name) {
			return err
		}
		a.files[name], err = readAsset(dist, name)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil // not built: pages come without style and script
	}
	if err != nil {
		return nil, fmt.Errorf("front end: %w", err)
	}
	return a, a.readManifest(dist)
}

// isHidden leaves out Vite's manifest and placeholders.
func isHidden(name string) bool { return strings.HasPrefix(name, ".") }

func isCompressed(name string) bool {
	return strings.HasSuffix(name, ".br") || strings.HasSuffix(name, ".gz")
}

func readAsset(dist fs.FS, name string) (*asset, error) {
	plain, err := fs.ReadFile(dist, name)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(plain)
	a := &asset{
		typ: contentType(name), plain: plain, cache: "public, max-age=86400",
		tag: `W/"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`,
	}
	if hashedName.MatchString(name) {
		a.cache = "public, max-age=31536000, immutable"
	}
	// Small files and pictures have no compressed form.
	a.br, _ = fs.ReadFile(dist, name+".br")
	a.gz, _ = fs.ReadFile(dist, name+".gz")
	return a, nil
}

// contentType names the types the build makes; guessing from content would get SVG wrong.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".png":
		return "image/png"
	case ".webp":
		return "image/webp"
	case ".json":
		return "application/json"
	case ".txt":
		return "text/plain; charset=utf-8"
	default:
		return "application/octet-stream"
	}
}

// readManifest finds the entry of the public pages in Vite's manifest.
func (a *assets) readManifest(dist fs.FS) error {
	raw, err := fs.ReadFile(dist, ".vite/manifest.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("front end: %w", err)
	}
	var manifest map[string]struct {
		File string   `json:"file"`
		CSS  []string `json:"css"`
	}
	if err := json.Unmarshal(raw, &manifest); err != nil {
		return fmt.Errorf("front end manifest: %w", err)
	}
	entry, ok := manifest["src/main.ts"]
	if !ok {
		return errors.New("front end manifest: src/main.ts is missing; build web/ again")
	}
	a.scripts = []string{"/assets/" + entry.File}
	for _, file := range entry.CSS {
		a.styles = append(a.styles, "/assets/"+file)
	}
	if _, ok := a.files["icon.svg"]; ok {
		a.icon = "/assets/icon.svg"
	}
	return nil
}

// ServeHTTP answers with a file; its path comes without /assets/.
func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	file, ok := a.files[r.URL.Path]
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	if !ok {
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNotFound)
		return
	}
	file.serve(w, r)
}

func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", a.typ)
	h.Set("Cache-Control", a.cache)
	h.Set("ETag", a.tag)
	h.Set("Vary", "Accept-Encoding")
	if matches(r.Header.Get("If-None-Match"), a.tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body, encoding := a.plain, negotiate(r, a.br != nil, a.gz != nil)
	switch encoding {
	case "br":
		body = a.br
	case "gzip":
		body = a.gz
	}
	if encoding != "" {
		h.Set("Content-Encoding", encoding)
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}

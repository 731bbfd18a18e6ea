package httpapi

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/andybalholm/brotli"

	"gapura/internal/cache"
)

// prepared keeps the documents that everyone reads as finished bytes. One is made anew at most every freshFor, by one of
// those who ask for it while the others get the one before, so that a stampede costs one encoding and no look-up.
type prepared struct {
	documents sync.Map
	shared    *cache.Shared // nil: every node makes its own
}

// freshFor is how old a document may be: half a second is below what a visitor can tell, and a thousandth of the encodings
// at 2,000 reads a second.
const freshFor = 500 * time.Millisecond

type preparedDocument struct {
	making  sync.Mutex
	current atomic.Pointer[finished]
}

type finished struct {
	plain, gzip, br packed   // those without a body are not at hand
	etag            []string // weak: the bytes differ when compressed
	madeAt          time.Time
}

// packed is a body with the headers that go with it, made once: at 50,000 reads a second they would be most of the garbage.
type packed struct {
	body             []byte
	encoding, length []string
}

func pack(body []byte, encoding string) packed {
	p := packed{body: body, length: []string{strconv.Itoa(len(body))}}
	if encoding != "" {
		p.encoding = []string{encoding}
	}
	return p
}

// serve answers with the document of that name, made by build when it is missing or old. maxAge is in seconds.
func (p *prepared) serve(w http.ResponseWriter, r *http.Request, name string, now time.Time, cacheControl []string, build func() (any, error)) error {
	f, err := p.get(r.Context(), name, now, build)
	if err != nil {
		return err
	}
	w.Header()["Cache-Control"] = cacheControl
	f.write(w, r, jsonType)
	return nil
}

// write answers with the document, or says that the client has it already.
func (f *finished) write(w http.ResponseWriter, r *http.Request, contentType []string) {
	h := w.Header()
	h["Etag"] = f.etag
	h["Vary"] = varyEncoding
	if match := r.Header.Get("If-None-Match"); match != "" && strings.Contains(match, f.etag[0][len("W/"):]) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := f.choose(r.Header.Get("Accept-Encoding"))
	if body.encoding != nil {
		h["Content-Encoding"] = body.encoding
	}
	h["Content-Type"], h["Content-Length"] = contentType, body.length
	// A client that is gone cannot be told so.
	_, _ = w.Write(body.body)
}

// choose returns the smallest form that the client takes.
func (f *finished) choose(accepts string) *packed {
	switch {
	case f.br.body != nil && acceptsCoding(accepts, "br"):
		return &f.br
	case f.gzip.body != nil && acceptsCoding(accepts, "gzip"):
		return &f.gzip
	}
	return &f.plain
}

func acceptsCoding(header, wanted string) bool {
	for coding := range strings.SplitSeq(header, ",") {
		name, weight, _ := strings.Cut(coding, ";")
		if strings.TrimSpace(name) == wanted {
			return !refusesWeight(weight)
		}
	}
	return false
}

// refusesWeight reports whether a parameter such as q=0 or q=0.000 says "not this one".
func refusesWeight(parameter string) bool {
	name, value, _ := strings.Cut(parameter, "=")
	return strings.TrimSpace(name) == "q" && strings.Trim(strings.TrimSpace(value), "0.") == ""
}

var varyEncoding = []string{"Accept-Encoding"}

func (p *prepared) get(ctx context.Context, name string, now time.Time, build func() (any, error)) (*finished, error) {
	entry, ok := p.documents.Load(name)
	if !ok {
		entry, _ = p.documents.LoadOrStore(name, &preparedDocument{})
	}
	d := entry.(*preparedDocument)
	current := d.current.Load()
	if current != nil && now.Sub(current.madeAt) < freshFor {
		return current, nil
	}
	if current != nil && !d.making.TryLock() {
		return current, nil
	}
	if current == nil {
		d.making.Lock()
	}
	defer d.making.Unlock()
	if newer := d.current.Load(); newer != nil && now.Sub(newer.madeAt) < freshFor {
		return newer, nil
	}
	body, err := p.make(ctx, name, current != nil, build)
	if err != nil {
		p.documents.Delete(name) // names of events that do not exist must not fill the memory
		return nil, err
	}
	f, err := finish(body, now)
	if err == nil {
		d.current.Store(f)
	}
	return f, err
}

// make returns the document's text. One that this node knows may come from another node; one that it does not is made here,
// so that names which somebody thinks up never reach the shared cache.
func (p *prepared) make(ctx context.Context, name string, known bool, build func() (any, error)) ([]byte, error) {
	if known {
		if body := p.shared.Get(ctx, name); body != nil {
			return body, nil
		}
	}
	value, err := build()
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	p.shared.Set(ctx, name, body, freshFor)
	return body, nil
}

// gzipFrom is the size from which compressing saves a packet.
const gzipFrom = 1024

// brotliLevel is within some percent of the best and 40 times as fast: documents with the server's time are packed twice a
// second.
const brotliLevel = 5

func finish(body []byte, now time.Time) (*finished, error) {
	sum := sha256.Sum256(body)
	f := &finished{plain: pack(body, ""), etag: []string{`W/"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}, madeAt: now}
	if len(body) < gzipFrom {
		return f, nil
	}
	gz, err := compress(body, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
	if err != nil {
		return nil, err
	}
	br, err := compress(body, func(w io.Writer) io.WriteCloser { return brotli.NewWriterLevel(w, brotliLevel) })
	if err != nil {
		return nil, err
	}
	f.gzip, f.br = pack(gz, "gzip"), pack(br, "br")
	return f, nil
}

func compress(body []byte, to func(io.Writer) io.WriteCloser) ([]byte, error) {
	var out bytes.Buffer
	z := to(&out)
	if _, err := z.Write(body); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return out.Bytes(), nil
}

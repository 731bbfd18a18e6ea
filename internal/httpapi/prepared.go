package httpapi

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// prepared keeps the documents that everyone reads as finished bytes. One is made anew at most every freshFor, by one of
// those who ask for it while the others get the one before, so that a stampede costs one encoding and no look-up.
type prepared struct{ documents sync.Map }

// freshFor is how old a document may be: half a second is below what a visitor can tell, and a thousandth of the encodings
// at 2,000 reads a second.
const freshFor = 500 * time.Millisecond

type preparedDocument struct {
	making  sync.Mutex
	current atomic.Pointer[finished]
}

type finished struct {
	body, gzipped []byte
	etag          []string // weak: the bytes differ when compressed
	madeAt        time.Time
}

// serve answers with the document of that name, made by build when it is missing or old. maxAge is in seconds.
func (p *prepared) serve(w http.ResponseWriter, r *http.Request, name string, now time.Time, cacheControl []string, build func() (any, error)) error {
	f, err := p.get(name, now, build)
	if err != nil {
		return err
	}
	h := w.Header()
	h["Cache-Control"] = cacheControl
	h["Etag"] = f.etag
	h["Vary"] = varyEncoding
	if match := r.Header.Get("If-None-Match"); match != "" && strings.Contains(match, f.etag[0][len("W/"):]) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	body := f.body
	if f.gzipped != nil && acceptsGzip(r.Header.Get("Accept-Encoding")) {
		h["Content-Encoding"] = gzipEncoding
		body = f.gzipped
	}
	writeBytes(w, http.StatusOK, "application/json", body)
	return nil
}

func acceptsGzip(header string) bool {
	for coding := range strings.SplitSeq(header, ",") {
		name, weight, _ := strings.Cut(coding, ";")
		if strings.TrimSpace(name) == "gzip" {
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

var (
	varyEncoding = []string{"Accept-Encoding"}
	gzipEncoding = []string{"gzip"}
)

func (p *prepared) get(name string, now time.Time, build func() (any, error)) (*finished, error) {
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
	value, err := build()
	if err != nil {
		p.documents.Delete(name) // names of events that do not exist must not fill the memory
		return nil, err
	}
	f, err := finish(value, now)
	if err == nil {
		d.current.Store(f)
	}
	return f, err
}

// gzipFrom is the size from which compressing saves a packet.
const gzipFrom = 1024

func finish(value any, now time.Time) (*finished, error) {
	body, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	sum := sha256.Sum256(body)
	f := &finished{body: body, etag: []string{`W/"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}, madeAt: now}
	if len(body) < gzipFrom {
		return f, nil
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(body); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	f.gzipped = packed.Bytes()
	return f, nil
}

package httpapi

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"gapura/internal/fault"
	"gapura/internal/fulfil"
	"gapura/internal/registration"
)

// shelf has the files of confirmed orders; those in making are not ready yet.
type shelf struct{ making []string }

func (s *shelf) File(_ context.Context, o registration.Order, name string) (fulfil.File, error) {
	if !slices.Contains(fulfil.FilesOf(o.Status, o.Total == 0), name) {
		return fulfil.File{}, fault.New(fault.NotFound)
	}
	if slices.Contains(s.making, name) {
		return fulfil.File{}, fault.New(fault.NotReady).After(fulfil.RenderedIn)
	}
	return fulfil.File{Name: "tiket-\"1\".pdf", MediaType: "application/pdf", Content: []byte("%PDF-1.3 " + name)}, nil
}

// booth is a gate's server side.
type booth struct{}

func (booth) Keys() map[string]ed25519.PublicKey {
	return map[string]ed25519.PublicKey{"0a1b": ed25519.PublicKey(strings.Repeat("k", ed25519.PublicKeySize))}
}

func (booth) Revocations(context.Context, int64) ([]byte, error) { return []byte("signed"), nil }

func TestFilesOfAnOrder(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.shelf.making = []string{fulfil.InvoiceFile}
	o := f.anOrder(t, "a-key-of-twenty-or-more")
	token := f.desk.Token(o.ID)
	path := "/api/v1/orders/" + o.ID.String()
	if w := f.ask("GET", path+"/tickets.pdf?token="+token, ""); w.Code != http.StatusNotFound {
		t.Errorf("an unpaid order has tickets: %d %s", w.Code, w.Body)
	}
	f.desk.change(o.ID, registration.Confirmed)
	for _, c := range []struct {
		file, token string
		status      int
	}{
		{"tickets.pdf", token, 200},
		{"calendar.ics", token, 200},
		{"invoice.pdf", token, 503},
		{"tickets.pdf", "wrong", 401},
		{"tickets.pdf", "", 401},
		{"tickets.exe", token, 404},
		{"tickets.pdf/x", token, 404},
	} {
		w := f.ask("GET", path+"/"+c.file+"?token="+c.token, "")
		if w.Code != c.status {
			t.Errorf("%s with %q: %d %s", c.file, c.token, w.Code, w.Body)
		}
		if c.status == 503 && (w.Header().Get("Retry-After") != "3" || !strings.Contains(w.Body.String(), `"not_ready"`)) {
			t.Errorf("a file in the making: %v %s", w.Header(), w.Body)
		}
	}
	w := f.ask("GET", path+"/tickets.pdf", "", "Authorization", "Bearer "+token)
	for name, value := range map[string]string{
		"Content-Type": "application/pdf", "Cache-Control": "private, no-store", "Content-Disposition": `attachment; filename="tiket-\"1\".pdf"`,
	} {
		if w.Header().Get(name) != value {
			t.Errorf("%s: %q, want %q", name, w.Header().Get(name), value)
		}
	}
	var v OrderView
	if err := json.Unmarshal(f.ask("GET", path+"?token="+token, "").Body.Bytes(), &v); err != nil || v.Documents == nil {
		t.Fatalf("%v: %+v", err, v)
	}
	if want := "https://daftar.example.id/orders/" + o.ID.String() + "/tickets.pdf?token=" + token; v.Documents.Tickets != want {
		t.Errorf("%s, want %s", v.Documents.Tickets, want)
	}
}

func TestWhatGatesNeed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	w := f.ask("GET", "/api/v1/ticket-keys", "")
	if w.Code != 200 || !strings.Contains(w.Body.String(), `"id":"0a1b","algorithm":"Ed25519"`) || w.Header().Get("Cache-Control") != "public, max-age=300" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if w := f.ask("GET", "/api/v1/events/night-run/void-tickets", ""); w.Code != 200 || w.Body.String() != "signed" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := f.ask("GET", "/api/v1/events/none/void-tickets", ""); w.Code != 404 || !strings.Contains(w.Body.String(), `"no_such_event"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

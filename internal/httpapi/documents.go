package httpapi

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"mime"
	"net/http"
	"slices"

	"gapura/internal/fault"
	"gapura/internal/fulfil"
	"gapura/internal/gate"
	"gapura/internal/registration"
)

// Files are what an order's owner may take along.
type Files interface {
	// File returns one: a not_found fault if there is none of that name, not_ready while it is made.
	File(ctx context.Context, o registration.Order, name string) (fulfil.File, error)
}

// Gates is what gates check tickets with.
type Gates interface {
	Keys() map[string]ed25519.PublicKey
	Revocations(ctx context.Context, eventID int64) ([]byte, error)
}

// DocumentsView has the addresses of an order's files, with the order's token in them.
type DocumentsView struct {
	Tickets  string `json:"tickets,omitempty" doc:"PDF, a page a participant; 503 not_ready while it is rendered"`
	Invoice  string `json:"invoice,omitempty" doc:"PDF; 503 not_ready while it is rendered"`
	Calendar string `json:"calendar,omitempty" doc:"iCalendar"`
}

// TicketKeyList has the keys that tickets are signed with.
type TicketKeyList struct {
	Keys []TicketKey `json:"keys"`
}

// TicketKey is one public key.
type TicketKey struct {
	ID        string `json:"id" doc:"the name that tickets give the key: four hexadecimal digits"`
	Algorithm string `json:"algorithm" enum:"Ed25519"`
	PublicKey string `json:"public_key" doc:"32 bytes, base64"`
}

// isFile reports whether a path below an order is that of a file.
func isFile(name string) bool {
	return name == fulfil.TicketsFile || name == fulfil.InvoiceFile || name == fulfil.CalendarFile
}

// documents lists the addresses of an order's files; nil if it has none.
func (a *API) documents(o registration.Order, token string) *DocumentsView {
	names := fulfil.FilesOf(o.Status, o.Total == 0)
	if a.cfg.Files == nil || len(names) == 0 {
		return nil
	}
	address := func(name string) string {
		if !slices.Contains(names, name) {
			return ""
		}
		return a.cfg.BaseURL + "/orders/" + o.ID.String() + "/" + name + "?token=" + token
	}
	return &DocumentsView{
		Tickets: address(fulfil.TicketsFile), Invoice: address(fulfil.InvoiceFile), Calendar: address(fulfil.CalendarFile),
	}
}

// getFile hands one of an order's files to whoever has its token.
func (a *API) getFile(w http.ResponseWriter, r *http.Request, name string) error {
	if a.cfg.Files == nil {
		return fault.New(fault.NotFound)
	}
	ctx, cancel := a.readContext(r)
	defer cancel()
	order, err := a.counted(w, r, gate.Read)
	if err != nil {
		return err
	}
	o, err := a.cfg.Desk.Order(ctx, order)
	if err != nil {
		return err
	}
	f, err := a.cfg.Files.File(ctx, o, name)
	if err != nil {
		return err
	}
	h := w.Header()
	h["Cache-Control"] = privateNoStore
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": f.Name}))
	h.Set("X-Content-Type-Options", "nosniff")
	writeBytes(w, http.StatusOK, f.MediaType, f.Content)
	return nil
}

var (
	privateNoStore = []string{"private, no-store"}
	cacheKeys      = []string{"public, max-age=300"}
	cacheVoid      = []string{"public, max-age=15"}
)

// getTicketKeys lists the public keys, for gates.
func (a *API) getTicketKeys(w http.ResponseWriter, _ *http.Request) error {
	list := TicketKeyList{Keys: []TicketKey{}}
	if a.cfg.Gates != nil {
		for name, key := range a.cfg.Gates.Keys() {
			list.Keys = append(list.Keys, TicketKey{ID: name, Algorithm: "Ed25519", PublicKey: base64.StdEncoding.EncodeToString(key)})
		}
	}
	w.Header()["Cache-Control"] = cacheKeys
	writeJSON(w, http.StatusOK, list)
	return nil
}

// getVoidTickets hands out an event's signed list of void tickets. It names orders and positions, and nobody.
func (a *API) getVoidTickets(w http.ResponseWriter, r *http.Request) error {
	if a.cfg.Gates == nil {
		return fault.New(fault.NotFound)
	}
	live, err := a.cfg.Desk.Event(r.PathValue("slug"))
	if err != nil {
		return err
	}
	ctx, cancel := a.readContext(r)
	defer cancel()
	list, err := a.cfg.Gates.Revocations(ctx, live.ID)
	if err != nil {
		return err
	}
	w.Header()["Cache-Control"] = cacheVoid
	writeBytes(w, http.StatusOK, "application/octet-stream", list)
	return nil
}

package site

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"gapura/internal/fault"
	"gapura/internal/id"
	"gapura/internal/registration"
)

// TestPreview serves the pages over the desk in memory, with as much of the API as the script asks for, on the address in
// GAPURA_SITE_PREVIEW until it is killed: for work on the pages without a database. A contact whose name is the code of a
// fault is refused with it, and /preview/problems/{code} is the page of one.
func TestPreview(t *testing.T) {
	addr := os.Getenv("GAPURA_SITE_PREVIEW")
	if addr == "" {
		t.Skip("GAPURA_SITE_PREVIEW names no address")
	}
	s, d := newSite(t, func(c *Config) {
		c.BaseURL = "http://" + addr
		if dist := os.Getenv("GAPURA_SITE_DIST"); dist != "" {
			c.Assets = os.DirFS(dist)
		}
	})
	d.clock.Set(time.Now())
	for i, e := range demoStates(t) {
		d.live[e.slug] = &registration.Live{ID: int64(i + 2), Event: &e.event, Availability: availability(&e.event)}
		d.set(e.slug, e.change)
	}
	d.refuse = func(_, _ string, r registration.Request) error {
		if slices.Contains(fault.Codes(), fault.Code(r.Contact.Name)) {
			return fault.New(fault.Code(r.Contact.Name)).After(7 * time.Second)
		}
		return nil
	}
	mux := http.NewServeMux()
	s.Register(mux)
	previewAPI(mux, d)
	mux.HandleFunc("/preview/problems/{code}", func(w http.ResponseWriter, r *http.Request) {
		s.Fail(w, r, fault.New(fault.Code(r.PathValue("code"))).After(7*time.Second))
	})
	for _, status := range []registration.Status{
		registration.Confirmed, registration.AwaitingPayment, registration.Expired, registration.Cancelled,
		registration.Refunding, registration.Refunded, registration.PaidNoPlace,
	} {
		o := d.order(400000, status, "Siti Aminah", "I Wayan Sudarsana")
		t.Logf("%s http://%s%s", status, addr, s.orderLink("id", o, nil))
		fmt.Printf("%s http://%s%s\n", status, addr, s.orderLink("id", o, nil))
	}
	t.Fatal(http.ListenAndServe(addr, http.NewCrossOriginProtection().Handler(mux)))
}

func previewAPI(mux *http.ServeMux, d *desk) {
	answer := func(w http.ResponseWriter, status int, o registration.Order) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{
			"id": o.ID, "number": o.Number, "status": o.Status, "version": o.Version, "total": o.Total,
			"access_token": d.Token(o.ID), "status_url": "http://elsewhere.example/orders/" + o.ID.String() + "?token=" + d.Token(o.ID),
		})
	}
	refuse := func(w http.ResponseWriter, err error) {
		var f *fault.Fault
		_ = errors.As(err, &f)
		body := map[string]any{"code": f.Code, "status": statusOf(f.Code), "title": f.Code}
		var fields []map[string]any
		for _, field := range f.Fields {
			fields = append(fields, map[string]any{"pointer": field.Pointer, "code": field.Code, "detail": field.Code})
		}
		body["errors"] = fields
		for k, v := range f.Params {
			body[k] = v
		}
		setRetryAfter(w.Header(), f)
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(statusOf(f.Code))
		_ = json.NewEncoder(w).Encode(body)
	}
	mux.HandleFunc("POST /api/v1/events/{slug}/orders", func(w http.ResponseWriter, r *http.Request) {
		var request registration.Request
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			refuse(w, fault.New(fault.BadJSON))
			return
		}
		receipt, err := d.Register(r.Context(), r.PathValue("slug"), strings.Trim(r.Header.Get("Idempotency-Key"), `"`), request)
		if err != nil {
			refuse(w, err)
			return
		}
		answer(w, http.StatusCreated, receipt.Order)
	})
	byKey := func(w http.ResponseWriter, r *http.Request) {
		o, err := d.OrderByKey(r.Context(), r.PathValue("what"))
		if err != nil {
			refuse(w, err)
			return
		}
		answer(w, http.StatusOK, o)
	}
	// One pattern, because by-key/{key} and {id}/stream would both match by-key/stream.
	mux.HandleFunc("GET /api/v1/orders/{id}/{what}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") == "by-key" {
			byKey(w, r)
			return
		}
		orderID, _ := id.Parse(r.PathValue("id"))
		changes := d.Watch(r.Context(), orderID)
		w.Header().Set("Content-Type", "text/event-stream")
		for {
			_ = http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
				return
			case c := <-changes:
				_, _ = fmt.Fprintf(w, "event: status\ndata: {\"version\":%d,\"status\":%q}\n\n", c.Version, c.Status)
			}
		}
	})
	mux.HandleFunc("POST /preview/orders/{id}/{status}", func(_ http.ResponseWriter, r *http.Request) {
		orderID, _ := id.Parse(r.PathValue("id"))
		d.move(orderID, registration.Status(r.PathValue("status")))
	})
}

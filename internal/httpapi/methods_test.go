package httpapi

import (
	"net/http"
	"strings"
	"testing"
)

func TestAWrongMethodGetsAProblemDocumentWithAllow(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const order = "/api/v1/orders/0198f1c2-0000-7000-8000-000000000001"
	for path, allow := range map[string]string{
		"/api/v1/events": "GET, HEAD, OPTIONS", "/api/v1/events/night-run": "GET, HEAD, OPTIONS",
		"/api/v1/events/night-run/availability": "GET, HEAD, OPTIONS", "/api/v1/events/night-run/schedule": "GET, HEAD, OPTIONS",
		ordersPath: "POST, OPTIONS", order: "GET, HEAD, OPTIONS", order + "/cancel": "POST, OPTIONS", order + "/stream": "GET, HEAD, OPTIONS",
		"/api/v1/orders/by-key/some-key": "GET, HEAD, OPTIONS", "/api/v1/orders/by-key/a/b": "GET, HEAD, OPTIONS",
		order + "/payments": "POST, OPTIONS", "/webhooks/midtrans": "POST, OPTIONS",
		"/healthz": "GET, HEAD, OPTIONS", "/readyz": "GET, HEAD, OPTIONS", "/metrics": "GET, HEAD, OPTIONS", "/openapi.json": "GET, HEAD, OPTIONS",
	} {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"} {
			if strings.Contains(allow, method) {
				continue
			}
			w := f.ask(method, path, "")
			if w.Code != 405 || w.Header().Get("Allow") != allow || !strings.Contains(w.Body.String(), `"code":"method_not_allowed"`) {
				t.Errorf("%s %s: %d, Allow %q, %s", method, path, w.Code, w.Header().Get("Allow"), w.Body)
			}
		}
		if w := f.ask("OPTIONS", path, ""); w.Code != http.StatusNoContent || w.Header().Get("Allow") != allow {
			t.Errorf("OPTIONS %s: %d, Allow %q", path, w.Code, w.Header().Get("Allow"))
		}
	}
}

func TestAnUnknownAddressGetsAProblemDocument(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, path := range []string{
		"/api/", "/api/v1/", "/api/v2/events", "/api/v1/events/", "/api/v1/orders", "/api/v1/orders/x/unknown", "/api/v1/orders/x/stream/y",
		"/api/v1/orders/x/cancel/y", "/api/v1/events/night-run/orders/x",
	} {
		for _, method := range []string{"GET", "POST", "DELETE", "OPTIONS"} {
			if w := f.ask(method, path, ""); w.Code != 404 || !strings.Contains(w.Body.String(), `"code":"not_found"`) {
				t.Errorf("%s %s: %d %s", method, path, w.Code, w.Body)
			}
		}
	}
}

func TestHeadAnswersLikeGetAndEnds(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	o := f.anOrder(t, "a-key-of-twenty-or-more")
	query := "?token=" + f.desk.Token(o.ID)
	for _, path := range []string{
		"/api/v1/events", "/api/v1/events/night-run", "/api/v1/events/none", "/api/v1/orders/" + o.ID.String() + query,
		"/api/v1/orders/" + o.ID.String(), "/healthz", "/readyz", "/openapi.json",
	} {
		get, head := f.ask("GET", path, ""), f.ask("HEAD", path, "")
		if get.Code != head.Code || get.Header().Get("Content-Length") != head.Header().Get("Content-Length") {
			t.Errorf("%s: GET %d, HEAD %d", path, get.Code, head.Code)
		}
	}
	// A stream would never end.
	if w := f.ask("HEAD", "/api/v1/orders/"+o.ID.String()+"/stream"+query, ""); w.Code != 200 || w.Header().Get("Content-Type") != "text/event-stream" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if w := f.ask("GET", "/readyz", ""); w.Code != 200 {
		t.Errorf("ready: %d", w.Code)
	}
	f.ready = errPlanted
	if w := f.ask("GET", "/readyz", ""); w.Code != 503 || !strings.Contains(w.Body.String(), `"reason":"planted"`) {
		t.Errorf("not ready: %d %s", w.Code, w.Body)
	}
	if w := f.ask("GET", "/healthz", ""); w.Code != 200 || w.Body.String() != "ok\n" {
		t.Errorf("alive: %d %s", w.Code, w.Body)
	}
}

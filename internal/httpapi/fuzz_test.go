package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"gapura/internal/fault"
	"gapura/internal/registration"
)

// FuzzDecodeRequest: whatever is sent decodes or is refused as the client's fault, and wrong types come with their places.
func FuzzDecodeRequest(f *testing.F) {
	for _, seed := range []string{
		goodOrder, ``, `null`, `[]`, `{"contact":1}`, `{"participants":[null,1,{"answers":{"a":1}}]}`, `{"expected_total":1e400}`,
		`{"locale":"\ud800"}`, "{\"locale\":\"\xff\"}", `{"a":1,"A":2}`, `{"":{"":[[[]]]}}`, `{"contact":5,"contact":{}}`, `{"captcha":"\\\""}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var request registration.Request
		err := decodeRequest(text, &request, &memberScan{})
		if err == nil {
			if !json.Valid(text) {
				t.Fatalf("accepted what is no JSON: %q", text)
			}
			return
		}
		var refusal *fault.Fault
		if !errors.As(err, &refusal) || statusOf(refusal.Code)/100 != 4 {
			t.Fatalf("%q: %v", text, err)
		}
		if refusal.Code == fault.ValidationFailed && len(refusal.Fields) == 0 {
			t.Fatalf("%q: validation_failed without a place", text)
		}
		for _, field := range refusal.Fields {
			if _, ok := fieldPhrases[field.Code]; !ok || (field.Pointer != "" && field.Pointer[0] != '/') {
				t.Fatalf("%q: %+v", text, field)
			}
		}
	})
}

// FuzzHandler sends anything to any address: never a panic, never a 5xx, and every refusal is a problem document.
func FuzzHandler(f *testing.F) {
	f.Add("POST", ordersPath, "application/json", "key", "", []byte(goodOrder))
	f.Add("GET", "/api/v1/orders/by-key/key", "", "", "", []byte(nil))
	f.Add("GET", "/api/v1/orders/0198f1c2-0000-7000-8000-000000000001?token=x", "", "", "Bearer x", []byte(nil))
	f.Add("GET", "/api/v1/orders/0198f1c2-0000-7000-8000-000000000001/stream", "", "", "", []byte(nil))
	f.Add("POST", "/api/v1/orders/x/cancel", "text/plain; =", `"quoted"`, "basic", []byte("\x00"))
	f.Add("OPTIONS", "/api/v1/events/%2e%2e/availability", "", "", "", []byte(nil))
	f.Add("HEAD", "/api/v1/events//night-run", "", "", "", []byte(nil))
	one := newFixture(f)
	f.Fuzz(func(t *testing.T, method, target, contentType, key, authorization string, body []byte) {
		u, err := url.ParseRequestURI(target)
		if err != nil || !strings.HasPrefix(target, "/") {
			return
		}
		r := httptest.NewRequest(http.MethodGet, "/", strings.NewReader(string(body)))
		r.Method, r.URL, r.RequestURI = method, u, target
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("Idempotency-Key", key)
		r.Header.Set("Authorization", authorization)
		w := httptest.NewRecorder()
		one.api.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Fatalf("%s %s: %d %s", method, target, w.Code, w.Body)
		}
		if w.Code >= 400 && w.Header().Get("Content-Type") != "application/problem+json" {
			t.Fatalf("%s %s: %d as %s: %s", method, target, w.Code, w.Header().Get("Content-Type"), w.Body)
		}
	})
}

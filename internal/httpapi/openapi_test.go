package httpapi

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gapura/internal/fault"
)

// contract is the published document, read as a client would.
type contract map[string]any

func readContract(t *testing.T, f *fixture) contract {
	t.Helper()
	w := f.ask("GET", "/openapi.json", "")
	var c contract
	if err := json.Unmarshal(w.Body.Bytes(), &c); err != nil || w.Code != 200 || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("%d %v %v", w.Code, w.Header(), err)
	}
	return c
}

// at follows names into nested objects.
func at(value any, names ...string) any {
	for _, name := range names {
		object, _ := value.(map[string]any)
		if o, ok := value.(contract); ok {
			object = o
		}
		value = object[name]
	}
	return value
}

// faults returns what keeps value from satisfying a schema of the document.
func (c contract) faults(schema any, value any, path string) []string {
	s, ok := schema.(map[string]any)
	if !ok {
		return []string{path + ": no schema"}
	}
	if ref, ok := s["$ref"].(string); ok {
		return c.faults(at(c, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...), value, path)
	}
	var found []string
	fail := func(format string, args ...any) { found = append(found, path+": "+fmt.Sprintf(format, args...)) }
	if types := s["type"]; types != nil && !hasType(types, value) {
		fail("%v is no %v", value, types)
		return found
	}
	if enum, ok := s["enum"].([]any); ok && !slices.Contains(enum, value) {
		fail("%v is none of %v", value, enum)
	}
	switch v := value.(type) {
	case string:
		if _, err := time.Parse(time.RFC3339, v); s["format"] == "date-time" && err != nil {
			fail("%v", err)
		}
		if u, err := url.Parse(v); s["format"] == "uri" && (err != nil || u.Scheme == "") {
			fail("%q is no URI", v)
		}
	case []any:
		for i, element := range v {
			found = append(found, c.faults(s["items"], element, fmt.Sprint(path, "/", i))...)
		}
	case map[string]any:
		found = append(found, c.memberFaults(s, v, path)...)
	}
	return found
}

func (c contract) memberFaults(s, object map[string]any, path string) []string {
	var found []string
	required, _ := s["required"].([]any)
	for _, name := range required {
		if _, ok := object[name.(string)]; !ok {
			found = append(found, fmt.Sprintf("%s: %s is missing", path, name))
		}
	}
	properties, _ := s["properties"].(map[string]any)
	for name, value := range object {
		schema, known := properties[name]
		if !known {
			if schema = s["additionalProperties"]; schema == nil || schema == true {
				continue
			}
		}
		found = append(found, c.faults(schema, value, path+"/"+name)...)
	}
	return found
}

func hasType(types, value any) bool {
	if list, ok := types.([]any); ok {
		return slices.ContainsFunc(list, func(one any) bool { return hasType(one, value) })
	}
	switch v := value.(type) {
	case nil:
		return types == "null"
	case bool:
		return types == "boolean"
	case string:
		return types == "string"
	case float64:
		return types == "number" || (types == "integer" && v == math.Trunc(v))
	case []any:
		return types == "array"
	}
	return types == "object"
}

func TestTheOpenAPIDocumentIsWellFormed(t *testing.T) {
	t.Parallel()
	c := readContract(t, newFixture(t))
	if c["openapi"] != "3.1.0" || at(c, "info", "title") == "" || at(c, "info", "version") == "" {
		t.Errorf("openapi %v, info %v", c["openapi"], c["info"])
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile(`"\$ref":"([^"]+)"`).FindAllStringSubmatch(string(text), -1) {
		if at(c, strings.Split(strings.TrimPrefix(match[1], "#/"), "/")...) == nil {
			t.Errorf("%s leads nowhere", match[1])
		}
	}
	if strings.Contains(string(text), `"nullable"`) {
		t.Error("nullable is OpenAPI 3.0; 3.1 writes type: [x, null]")
	}
	ids := map[any]bool{}
	for path, item := range c["paths"].(map[string]any) {
		for method, operation := range item.(map[string]any) {
			c.checkOperation(t, strings.ToUpper(method)+" "+path, path, operation.(map[string]any), ids)
		}
	}
	if len(ids) < 13 {
		t.Errorf("only %d operations", len(ids))
	}
}

func (c contract) checkOperation(t *testing.T, name, path string, operation map[string]any, ids map[any]bool) {
	t.Helper()
	id := operation["operationId"]
	if id == nil || ids[id] {
		t.Errorf("%s: operationId %v is missing or taken", name, id)
	}
	ids[id] = true
	declared := map[string]bool{}
	parameters, _ := operation["parameters"].([]any)
	for _, p := range parameters {
		if at(p, "in") == "path" {
			declared["{"+at(p, "name").(string)+"}"] = at(p, "required") == true
		}
	}
	inPath := regexp.MustCompile(`\{[^}]+\}`).FindAllString(path, -1)
	for _, parameter := range inPath {
		if !declared[parameter] {
			t.Errorf("%s does not declare %s", name, parameter)
		}
	}
	if len(inPath) != len(declared) {
		t.Errorf("%s declares %v", name, declared)
	}
	responses := operation["responses"].(map[string]any)
	if len(responses) == 0 {
		t.Errorf("%s has no response", name)
	}
	for status, response := range responses {
		if at(response, "description") == nil || !regexp.MustCompile(`^[1-5]\d\d$`).MatchString(status) {
			t.Errorf("%s: response %s: %v", name, status, response)
		}
	}
}

// Every route that is mounted is documented, and every documented one answers.
func TestTheDocumentAndTheRoutesAgree(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	c := readContract(t, f)
	documented := 0
	for path, item := range c["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			documented++
			target := strings.NewReplacer("{slug}", "night-run", "{id}", "0198f1c2-0000-7000-8000-000000000001", "{key}", "some-key", "{code}", "sold-out").Replace(path)
			w := f.ask(strings.ToUpper(method), target, "{}", "Content-Type", "application/json")
			if w.Code == 405 || strings.Contains(w.Body.String(), `"not_found"`) {
				t.Errorf("%s %s is documented and answers %d", method, path, w.Code)
			}
			if at(item, method, "responses", strconv.Itoa(w.Code)) == nil {
				t.Errorf("%s %s answers %d, which is not documented", method, path, w.Code)
			}
		}
	}
	if documented != len(f.api.routes) {
		t.Errorf("%d operations for %d routes", documented, len(f.api.routes))
	}
	for _, path := range []string{"/api/v1/events/{slug}/orders", "/api/v1/orders/{id}", "/api/v1/orders/{id}/stream", "/metrics"} {
		if at(c, "paths", path) == nil {
			t.Errorf("%s is missing", path)
		}
	}
}

func TestResponsesSatisfyTheirSchemas(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	c := readContract(t, f)
	o := f.anOrder(t, "a-key-of-twenty-or-more")
	f.anOrder(t, "short")
	query := "?token=" + f.desk.Token(o.ID)
	for _, call := range []struct{ method, path, target, body string }{
		{"get", "/api/v1/events", "/api/v1/events", ""},
		{"get", "/api/v1/events/{slug}", "/api/v1/events/night-run", ""},
		{"get", "/api/v1/events/{slug}", "/api/v1/events/none", ""},
		{"get", "/api/v1/events/{slug}/availability", "/api/v1/events/night-run/availability", ""},
		{"get", "/api/v1/events/{slug}/schedule", "/api/v1/events/night-run/schedule", ""},
		{"post", "/api/v1/events/{slug}/orders", ordersPath, goodOrder},
		{"post", "/api/v1/events/{slug}/orders", ordersPath, `{"contact":1}`},
		{"get", "/api/v1/orders/{id}", "/api/v1/orders/" + o.ID.String() + query, ""},
		{"get", "/api/v1/orders/{id}", "/api/v1/orders/" + o.ID.String(), ""},
		{"get", "/api/v1/orders/by-key/{key}", "/api/v1/orders/by-key/a-key-of-twenty-or-more", ""},
		{"get", "/api/v1/orders/by-key/{key}", "/api/v1/orders/by-key/short", ""},
		{"post", "/api/v1/orders/{id}/payments", "/api/v1/orders/" + o.ID.String() + "/payments" + query, ""},
		{"post", "/api/v1/orders/{id}/payments", "/api/v1/orders/" + o.ID.String() + "/payments", ""},
		{"post", "/api/v1/orders/{id}/cancel", "/api/v1/orders/" + o.ID.String() + "/cancel" + query, ""},
		{"post", "/api/v1/orders/{id}/cancel", "/api/v1/orders/" + o.ID.String() + "/cancel" + query, ""},
	} {
		w := f.ask(strings.ToUpper(call.method), call.target, call.body, "Content-Type", "application/json", "Idempotency-Key", "another-key-of-twenty")
		schema := at(c, "paths", call.path, call.method, "responses", strconv.Itoa(w.Code), "content", w.Header().Get("Content-Type"), "schema")
		var body any
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			t.Errorf("%s: %v", call.target, err)
		}
		for _, fault := range c.faults(schema, body, "") {
			t.Errorf("%s %s %d %s", call.method, call.target, w.Code, fault)
		}
	}
}

func TestProblemsSatisfyTheirSchema(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	c := readContract(t, f)
	for code, refusal := range faults() {
		f.desk.refusal = refusal
		w := f.post("a-key-of-twenty-or-more", goodOrder)
		var body any
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			t.Fatal(err)
		}
		for _, fault := range c.faults(map[string]any{"$ref": "#/components/schemas/Problem"}, body, "") {
			t.Errorf("%s%s", code, fault)
		}
	}
}

// The codes of the public contract are documented where they can be met.
func TestTheDocumentNamesTheCodesOfRegistering(t *testing.T) {
	t.Parallel()
	responses := at(readContract(t, newFixture(t)), "paths", "/api/v1/events/{slug}/orders", "post", "responses")
	for _, code := range []fault.Code{
		fault.KeyMissing, fault.KeyReused, fault.KeyInFlight, fault.ValidationFailed, fault.SoldOut, fault.AlreadyRegistered,
		fault.NotOpen, fault.Closed, fault.Overloaded, fault.TooLarge, fault.UnsupportedMediaType, fault.BadJSON,
	} {
		description, _ := at(responses, strconv.Itoa(statusOf(code)), "description").(string)
		if !strings.Contains(description, "`"+string(code)+"`") {
			t.Errorf("%s is not named at %d: %q", code, statusOf(code), description)
		}
	}
}

// The request in the contract's own example satisfies the published schema, and the checks of the document can fail.
func TestTheExampleRequestSatisfiesItsSchema(t *testing.T) {
	t.Parallel()
	c := readContract(t, newFixture(t))
	schema := at(c, "paths", "/api/v1/events/{slug}/orders", "post", "requestBody", "content", "application/json", "schema")
	for body, good := range map[string]bool{
		goodOrder: true, `{}`: false, strings.Replace(goodOrder, `"locale":"id"`, `"locale":1`, 1): false,
		strings.Replace(goodOrder, `"birth_date"`, `"birthday"`, 1): false, `[]`: false,
	} {
		var value any
		if err := json.Unmarshal([]byte(body), &value); err != nil {
			t.Fatal(err)
		}
		if found := c.faults(schema, value, ""); (len(found) == 0) != good {
			t.Errorf("%s: %v", body, found)
		}
	}
	if w := newFixture(t).ask("POST", ordersPath, goodOrder, "Content-Type", "application/json"); w.Code != http.StatusBadRequest {
		t.Errorf("the header that the document requires is optional: %d", w.Code)
	}
}

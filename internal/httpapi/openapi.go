package httpapi

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"gapura/internal/fault"
)

// document writes the OpenAPI 3.1 document of the routes; its schemas come from the Go types that the handlers encode.
func document(baseURL string, routes []route) []byte {
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	api := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title: "Gapura", Version: "1",
			Description: "Registration for running events. Errors are RFC 9457 problem documents with a stable `code`. Amounts are whole rupiah.",
		},
		Components: &huma.Components{
			Schemas: registry,
			SecuritySchemes: map[string]*huma.SecurityScheme{
				"orderToken": {Type: "http", Scheme: "bearer", Description: "the order's access_token; ?token= is accepted too"},
			},
		},
		Paths: map[string]*huma.PathItem{},
	}
	if baseURL != "" {
		api.Servers = []*huma.Server{{URL: baseURL}}
	}
	problem := registry.Schema(reflect.TypeFor[Problem](), true, "Problem")
	for _, r := range routes {
		addOperation(api, registry, problem, r)
	}
	open(registry)
	text, err := json.MarshalIndent(api, "", " ")
	if err != nil {
		return []byte(`{}`) // the document is made of our own types; TestOpenAPI notices
	}
	return text
}

// open lets every object have further members: problems carry some that depend on their code, what is added to the contract
// later must not break clients that check, and of requests the server ignores what it does not know.
func open(registry huma.Registry) {
	for _, schema := range registry.Map() {
		if schema.AdditionalProperties == false {
			schema.AdditionalProperties = nil
		}
	}
}

// Problem is the document that every error is answered with.
type Problem struct {
	Type   string         `json:"type" format:"uri"`
	Title  string         `json:"title"`
	Status int            `json:"status"`
	Code   string         `json:"code" doc:"stable; what to program against"`
	Detail string         `json:"detail" doc:"for people, in the language of Accept-Language (id or en)"`
	Errors []fieldProblem `json:"errors,omitempty" doc:"every faulty input at once"`
}

func addOperation(api *huma.OpenAPI, registry huma.Registry, problem *huma.Schema, r route) {
	op := &huma.Operation{
		OperationID: r.id, Method: r.method, Path: r.path, Summary: r.summary, Responses: map[string]*huma.Response{},
	}
	for _, name := range pathParameters(r.path) {
		op.Parameters = append(op.Parameters, &huma.Param{Name: name, In: "path", Required: true, Schema: &huma.Schema{Type: "string"}})
	}
	if r.key != keyNone {
		longest := 255
		op.Parameters = append(op.Parameters, &huma.Param{
			Name: "Idempotency-Key", In: "header", Required: r.key == keyRequired, Schema: &huma.Schema{Type: "string", MaxLength: &longest},
			Description: "1 to 255 visible characters, best a random UUID; the same key always gets the same answer",
		})
	}
	if r.pass {
		op.Parameters = append(op.Parameters, &huma.Param{
			Name: "Queue-Pass", In: "header", Schema: &huma.Schema{Type: "string"},
			Description: "the pass of the visitor whose turn has come; needed where the event has a waiting room",
		})
	}
	if r.request != nil {
		op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
			"application/json": {Schema: registry.Schema(r.request, true, r.id+"Request")},
		}}
	}
	if r.secured {
		op.Security = []map[string][]string{{"orderToken": {}}}
	}
	op.Responses[strconv.Itoa(r.success)] = success(registry, r)
	for _, code := range r.faults {
		addFault(op, problem, code)
	}
	api.AddOperation(op)
}

func success(registry huma.Registry, r route) *huma.Response {
	contentType := r.contentType
	if contentType == "" {
		contentType = "application/json"
	}
	media := &huma.MediaType{}
	if r.response != nil {
		media.Schema = registry.Schema(r.response, true, r.id+"Response")
	}
	return &huma.Response{Description: r.summary, Content: map[string]*huma.MediaType{contentType: media}}
}

func addFault(op *huma.Operation, problem *huma.Schema, code fault.Code) {
	status := strconv.Itoa(statusOf(code))
	if existing, ok := op.Responses[status]; ok {
		existing.Description += ", `" + string(code) + "`"
		return
	}
	op.Responses[status] = &huma.Response{
		Description: "`" + string(code) + "`",
		Content:     map[string]*huma.MediaType{"application/problem+json": {Schema: problem}},
	}
}

func pathParameters(path string) []string {
	var names []string
	for _, part := range strings.Split(path, "/") {
		if strings.HasPrefix(part, "{") && strings.HasSuffix(part, "}") {
			names = append(names, strings.Trim(part, "{}."))
		}
	}
	return names
}

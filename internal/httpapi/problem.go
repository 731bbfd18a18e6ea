package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"gapura/internal/fault"
	"gapura/internal/money"
)

// statusOf is the HTTP status of every code.
func statusOf(code fault.Code) int { return code.HTTPStatus() }

// statusClientGone is nginx's word for a visitor who hung up before the answer. Nobody reads it but the metrics, which would
// count a failure of ours otherwise.
const statusClientGone = 499

// fieldProblem is one member of "errors".
type fieldProblem struct {
	Pointer string         `json:"pointer" doc:"JSON pointer into the request body"`
	Code    string         `json:"code"`
	Detail  string         `json:"detail"`
	Params  map[string]any `json:"params,omitempty"`
}

// fail answers err as a problem document (RFC 9457) and logs what a person must look at.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		w.WriteHeader(statusClientGone)
		return
	}
	writeProblem(w, r, asFault(err), func(f *fault.Fault, locale string) []byte { return a.problems.encode(f, a.cfg.BaseURL, locale) }, a.cfg.Locale)
	if status := statusOf(fault.CodeOf(err)); status == http.StatusInternalServerError {
		a.cfg.Log.LogAttrs(r.Context(), slog.LevelError, "a request failed",
			slog.String("route", r.Pattern), slog.Any("error", err))
	}
}

// WriteProblem answers err as a problem document in the language of the request, or in locale if it has none.
func WriteProblem(w http.ResponseWriter, r *http.Request, baseURL, locale string, err error) {
	writeProblem(w, r, asFault(err), func(f *fault.Fault, locale string) []byte { return encodeProblem(f, baseURL, locale) }, locale)
}

// ProblemText returns the problem document for what is no request: nobody can tell its language. status replaces the code's own.
func ProblemText(code fault.Code, status int, baseURL, locale string) []byte {
	body := problemBody(fault.New(code), baseURL, locale)
	body["status"] = status
	return encodeBody(body)
}

func writeProblem(w http.ResponseWriter, r *http.Request, f *fault.Fault, encode func(f *fault.Fault, locale string) []byte, otherwise string) {
	h := w.Header()
	if f.RetryAfter > 0 {
		h["Retry-After"] = []string{retryAfter(f.RetryAfter)}
	}
	if f.Code == fault.NotAllowed {
		h.Set("WWW-Authenticate", "Bearer")
	}
	writeBytes(w, statusOf(f.Code), "application/problem+json", encode(f, localeOf(r, otherwise)))
}

// problems keeps the documents that differ in nothing but code and language. A stampede is mostly refused with one of them,
// so they are encoded once.
type problems struct{ plain sync.Map }

type plainProblem struct {
	code   fault.Code
	locale string
}

func (p *problems) encode(f *fault.Fault, baseURL, locale string) []byte {
	if len(f.Params) > 0 || len(f.Fields) > 0 {
		return encodeProblem(f, baseURL, locale)
	}
	key := plainProblem{f.Code, locale}
	if text, ok := p.plain.Load(key); ok {
		return text.([]byte)
	}
	text := encodeProblem(f, baseURL, locale)
	p.plain.Store(key, text)
	return text
}

func encodeProblem(f *fault.Fault, baseURL, locale string) []byte {
	return encodeBody(problemBody(f, baseURL, locale))
}

func encodeBody(body map[string]any) []byte {
	text, err := json.Marshal(body)
	if err != nil {
		return []byte(`{"code":"internal","status":500}`) // only our own types are encoded here
	}
	return text
}

func problemBody(f *fault.Fault, baseURL, locale string) map[string]any {
	body := make(map[string]any, len(f.Params)+8)
	for k, v := range f.Params {
		body[k] = v
	}
	body["type"] = baseURL + problemPath + slugOf(f.Code)
	body["title"] = titleOf(f.Code, locale)
	body["status"] = statusOf(f.Code)
	body["code"] = f.Code
	body["detail"] = detailOf(f, locale)
	if len(f.Fields) > 0 {
		body["errors"] = fieldProblems(f.Fields, locale)
	}
	return body
}

func asFault(err error) *fault.Fault {
	var f *fault.Fault
	if !errors.As(err, &f) {
		f = fault.Wrap(fault.Internal, err)
	}
	return f
}

// retryAfter rounds up: a client that comes a moment too early comes twice.
func retryAfter(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

func fieldProblems(fields []fault.Field, locale string) []fieldProblem {
	out := make([]fieldProblem, len(fields))
	for i, f := range fields {
		out[i] = fieldProblem{Pointer: f.Pointer, Code: f.Code, Params: f.Params, Detail: fieldDetail(f, locale)}
	}
	return out
}

// localeOf returns the language that Accept-Language prefers of the two; otherwise, if it has neither; the first of them, if it
// likes both as much.
func localeOf(r *http.Request, otherwise string) string {
	best, locale := 0.0, "id"
	if otherwise == "en" {
		locale = "en"
	}
	for asked := range strings.SplitSeq(r.Header.Get("Accept-Language"), ",") {
		tag, parameter, _ := strings.Cut(asked, ";")
		tag, _, _ = strings.Cut(strings.ToLower(strings.TrimSpace(tag)), "-")
		if weight := weightOf(parameter); (tag == "en" || tag == "id") && weight > best {
			best, locale = weight, tag
		}
	}
	return locale
}

// weightOf reads a parameter such as q=0.8; without one it is 1.
func weightOf(parameter string) float64 {
	value, ok := strings.CutPrefix(strings.TrimSpace(parameter), "q=")
	if !ok {
		return 1
	}
	weight, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return 0
	}
	return weight
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		// Only our own types are encoded here, so this is a mistake in the program.
		text, status = []byte(`{"code":"internal","status":500}`), http.StatusInternalServerError
	}
	writeBytes(w, status, "application/json", text)
}

func writeBytes(w http.ResponseWriter, status int, contentType string, text []byte) {
	h := w.Header()
	h["Content-Type"] = []string{contentType}
	h["Content-Length"] = []string{strconv.Itoa(len(text))}
	if len(h["Cache-Control"]) == 0 {
		h["Cache-Control"] = noStore
	}
	w.WriteHeader(status)
	// A client that is gone cannot be told so.
	_, _ = w.Write(text)
}

var noStore = []string{"no-store"}

// rupiah writes the amounts that sentences mention.
func rupiah(v any) string {
	if amount, ok := v.(money.Rupiah); ok {
		return amount.String()
	}
	return ""
}

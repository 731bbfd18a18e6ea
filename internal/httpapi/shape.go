package httpapi

import (
	"bytes"
	"encoding/json"
	"sort"
	"strconv"
	"strings"

	"gapura/internal/fault"
)

// shape is what a JSON value must be: a scalar kind, an object with members, or a list of one shape. The standard decoder
// stops at the first wrong type and does not say which element of a list it was in; this walk finds them all, and is only
// taken when the decoder objected.
type shape struct {
	kind    string // string, integer, object, list, strings (an object of strings)
	members map[string]shape
	element *shape
}

func requestShape() shape {
	text := shape{kind: "string"}
	contact := shape{kind: "object", members: map[string]shape{"name": text, "email": text, "phone": text}}
	participant := shape{kind: "object", members: map[string]shape{
		"category": text, "name": text, "email": text, "phone": text, "birth_date": text, "gender": text,
		"answers": {kind: "strings"},
	}}
	return shape{kind: "object", members: map[string]shape{
		"contact": contact, "participants": {kind: "list", element: &participant}, "locale": text, "captcha": text,
		"expected_total": {kind: "integer"},
	}}
}

// wrongTypes lists every value of a registration that has the wrong type.
func wrongTypes(text []byte) []fault.Field {
	var value any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber() // 1e400 is a number, of a size that no type holds
	if err := decoder.Decode(&value); err != nil {
		return nil
	}
	var fields []fault.Field
	requestShape().check("", value, &fields)
	sort.Slice(fields, func(i, j int) bool { return fields[i].Pointer < fields[j].Pointer })
	return fields
}

func (s shape) check(at string, value any, fields *[]fault.Field) {
	if value == nil {
		return // null is absent
	}
	ok := false
	switch s.kind {
	case "string":
		_, ok = value.(string)
	case "integer":
		var number json.Number
		if number, ok = value.(json.Number); ok {
			_, err := number.Int64()
			ok = err == nil
		}
	case "list":
		var list []any
		if list, ok = value.([]any); ok {
			for i, element := range list {
				s.element.check(at+"/"+strconv.Itoa(i), element, fields)
			}
		}
	case "object", "strings":
		var object map[string]any
		if object, ok = value.(map[string]any); ok {
			s.checkMembers(at, object, fields)
		}
	}
	if !ok {
		*fields = append(*fields, fault.Field{Pointer: at, Code: "wrong_type", Params: map[string]any{"expected": s.expected()}})
	}
}

func (s shape) checkMembers(at string, object map[string]any, fields *[]fault.Field) {
	for name, value := range object {
		member, known := s.member(name)
		if known {
			member.check(at+"/"+escapePointer(name), value, fields)
		}
	}
}

// member finds a member as the decoder does, which ignores case.
func (s shape) member(name string) (shape, bool) {
	if s.kind == "strings" {
		return shape{kind: "string"}, true
	}
	if member, ok := s.members[name]; ok {
		return member, true
	}
	for known, member := range s.members {
		if strings.EqualFold(known, name) {
			return member, true
		}
	}
	return shape{}, false
}

func (s shape) expected() string {
	if s.kind == "strings" {
		return "object"
	}
	return s.kind
}

// escapePointer writes a member's name as RFC 6901 asks.
func escapePointer(name string) string {
	out := make([]byte, 0, len(name))
	for i := range len(name) {
		switch name[i] {
		case '~':
			out = append(out, "~0"...)
		case '/':
			out = append(out, "~1"...)
		default:
			out = append(out, name[i])
		}
	}
	return string(out)
}

package httpapi

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"gapura/internal/fault"
)

// repeatedMembers refuses objects in which a member comes twice: the decoder would mix the two, the name of one participant
// and the address of another. It ignores case as the decoder does. text has been decoded, so it is well-formed and not deep.
func (s *memberScan) repeatedMembers(text []byte) error {
	*s = memberScan{text: text, names: s.names[:0], path: s.path[:0]}
	s.value()
	s.text = nil
	if len(s.repeated) == 0 {
		return nil
	}
	return &fault.Fault{Code: fault.ValidationFailed, Fields: s.repeated}
}

// memberScan walks a JSON text and notes the names in the objects around it. It is used again and allocates nothing, because
// every registration passes here.
type memberScan struct {
	text     []byte
	at       int
	names    [][]byte // of the members so far, of all objects that are open
	path     []step
	repeated []fault.Field
}

// step is one part of a JSON pointer: a member's name, or without one an index.
type step struct {
	name  []byte
	index int
}

func (s *memberScan) value() {
	switch s.next() {
	case '{':
		s.object()
	case '[':
		s.list()
	case '"':
		s.str()
	default:
		for s.at < len(s.text) && strings.IndexByte(",]} \t\r\n", s.text[s.at]) < 0 {
			s.at++
		}
	}
}

// next returns the next byte that is no white space, without taking it.
func (s *memberScan) next() byte {
	for {
		switch c := s.text[s.at]; c {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return c
		}
	}
}

// more takes the comma before a further element, or the end.
func (s *memberScan) more(end byte) bool {
	c := s.next()
	s.at++
	return c != end
}

func (s *memberScan) object() {
	own := len(s.names)
	s.at++
	if s.next() == '}' {
		s.at++
		return
	}
	for again := true; again; again = s.more('}') {
		s.next()
		name := s.str()
		s.next()
		s.at++ // the colon
		s.path = append(s.path, step{name: name})
		s.note(own, name)
		s.value()
		s.path = s.path[:len(s.path)-1]
	}
	s.names = s.names[:own]
}

// maxMembers is above the questions an event may ask, and low enough to compare every name with every other.
const maxMembers = 128

func (s *memberScan) note(own int, name []byte) {
	switch n := len(s.names) - own; {
	case n > maxMembers:
		return
	case n == maxMembers:
		s.repeated = append(s.repeated, fault.Field{Pointer: s.pointer(), Code: "too_long"})
	}
	for _, earlier := range s.names[own:] {
		if bytes.EqualFold(earlier, name) {
			s.repeated = append(s.repeated, fault.Field{Pointer: s.pointer(), Code: "repeated_member"})
			return
		}
	}
	s.names = append(s.names, name)
}

func (s *memberScan) list() {
	s.at++
	if s.next() == ']' {
		s.at++
		return
	}
	for i, again := 0, true; again; i, again = i+1, s.more(']') {
		s.path = append(s.path, step{index: i})
		s.value()
		s.path = s.path[:len(s.path)-1]
	}
}

// str takes a string and returns what it says.
func (s *memberScan) str() []byte {
	begin, escaped := s.at, false
	for s.at++; s.text[s.at] != '"'; s.at++ {
		if s.text[s.at] == '\\' {
			escaped = true
			s.at++
		}
	}
	s.at++
	if !escaped {
		return s.text[begin+1 : s.at-1]
	}
	var plain string
	_ = json.Unmarshal(s.text[begin:s.at], &plain) // it was decoded before
	return []byte(plain)
}

func (s *memberScan) pointer() string {
	var out []byte
	for _, part := range s.path {
		out = append(out, '/')
		if part.name == nil {
			out = strconv.AppendInt(out, int64(part.index), 10)
		} else {
			out = append(out, escapePointer(string(part.name))...)
		}
	}
	return string(out)
}

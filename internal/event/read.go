package event

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a container without zone files must read the same instants
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"gapura/internal/money"
)

// read takes the value n, which stands at path, into some part of the event.
type read func(n *yaml.Node, path string)

// field is a key that an object may have.
type field struct {
	key      string
	required bool
	read     read
}

func must(key string, to read) field { return field{key, true, to} }
func may(key string, to read) field  { return field{key, false, to} }

// object reads a mapping with exactly these keys.
func (r *reader) object(n *yaml.Node, path string, fields ...field) {
	r.lines[path] = n.Line
	if n.Kind != yaml.MappingNode {
		r.fault(path, "must be an object with the keys %s, not %s", keysOf(fields), kindOf(n))
		return
	}
	given := make(map[string]int, len(fields))
	for i := 0; i+1 < len(n.Content); i += 2 {
		r.member(n.Content[i], n.Content[i+1], path, fields, given)
	}
	for _, f := range fields {
		if _, ok := given[f.key]; f.required && !ok {
			r.faultAt(n.Line, join(path, f.key), "is missing")
		}
	}
}

// member reads one key and its value. A value left empty counts as absent.
func (r *reader) member(key, value *yaml.Node, path string, fields []field, given map[string]int) {
	at := join(path, shown(key.Value))
	if first, twice := given[key.Value]; twice {
		r.faultAt(key.Line, at, "is given twice, first in line %d", first)
		return
	}
	i := slices.IndexFunc(fields, func(f field) bool { return f.key == key.Value })
	if i < 0 || key.Kind != yaml.ScalarNode {
		r.faultAt(key.Line, at, "is not a known key%s", suggest(key.Value, fields))
		return
	}
	given[key.Value] = key.Line
	r.lines[at] = key.Line
	if isEmpty(value) {
		if fields[i].required {
			r.fault(at, "is empty")
		}
		return
	}
	fields[i].read(value, at)
}

// list reads a sequence of at most most items.
func list[T any](r *reader, dst *[]T, most int, item func(to *T, n *yaml.Node, path string)) read {
	return func(n *yaml.Node, path string) {
		if n.Kind != yaml.SequenceNode {
			r.fault(path, "must be a list, not %s", kindOf(n))
			return
		}
		if len(n.Content) > most {
			r.fault(path, "has %d entries; the most is %d", len(n.Content), most)
			return
		}
		if len(n.Content) == 0 {
			*dst = nil // an empty list is stored like an absent one
			return
		}
		*dst = make([]T, len(n.Content))
		for i, child := range n.Content {
			at := path + "[" + strconv.Itoa(i) + "]"
			r.lines[at] = child.Line
			item(&(*dst)[i], child, at)
		}
	}
}

// scalar returns the text of a single value as written.
func (r *reader) scalar(n *yaml.Node, path, want string) (string, bool) {
	if n.Kind != yaml.ScalarNode || isNull(n) {
		r.fault(path, "must be %s, not %s", want, kindOf(n))
		return "", false
	}
	return n.Value, true
}

// idValue reads an identifier: lower-case letters, digits and single dashes.
func (r *reader) idValue(dst *string, most int) read {
	return func(n *yaml.Node, path string) {
		s, ok := r.scalar(n, path, "an id")
		if !ok {
			return
		}
		if len(s) > most || !isID(s) {
			r.fault(path, "must be 1 to %d lower-case letters, digits and dashes between them, such as 10k-early; it is %s", most, quoted(s))
			return
		}
		*dst = s
	}
}

func isID(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		case c == '-' && i > 0 && i < len(s)-1 && s[i-1] != '-':
		default:
			return false
		}
	}
	return s != ""
}

// line reads a text of one line, at most most characters.
func (r *reader) line(dst *string, most int) read {
	return func(n *yaml.Node, path string) {
		s, ok := r.scalar(n, path, "a text")
		if !ok {
			return
		}
		*dst = strings.TrimSpace(s)
		r.checkText(*dst, path, most, false)
	}
}

// text reads a Text: one string for both languages, or {id, en}.
func (r *reader) text(dst *Text, most int, paragraphs bool) read {
	one := func(to *string) read {
		return func(n *yaml.Node, path string) {
			if s, ok := r.scalar(n, path, "a text"); ok {
				*to = strings.TrimSpace(s)
				r.checkText(*to, path, most, paragraphs)
			}
		}
	}
	return func(n *yaml.Node, path string) {
		if n.Kind == yaml.ScalarNode {
			one(&dst.ID)(n, path)
		} else {
			r.object(n, path, must("id", one(&dst.ID)), may("en", one(&dst.EN)))
		}
		if dst.EN == "" {
			dst.EN = dst.ID
		}
	}
}

func (r *reader) checkText(s, path string, most int, paragraphs bool) {
	if s == "" {
		r.fault(path, "is empty")
		return
	}
	if n := utf8.RuneCountInString(s); n > most {
		r.fault(path, "has %d characters; the most is %d", n, most)
		return
	}
	for _, c := range s {
		if paragraphs && (c == '\n' || c == '\t') {
			continue
		}
		if c == '\n' {
			r.fault(path, "must be a single line")
			return
		}
		if isControl(c) || isBidiControl(c) {
			r.fault(path, "has the control character %U, which is not allowed", c)
			return
		}
	}
}

// isControl covers what neither a person nor a file may hold: controls, and characters that end lines in some programs.
func isControl(c rune) bool {
	return unicode.IsControl(c) || c == '\u2028' || c == '\u2029' || c == '\ufffe' || c == '\uffff'
}

// isBidiControl covers the characters that make a text look other than it is.
func isBidiControl(c rune) bool {
	return c >= '\u202a' && c <= '\u202e' || c >= '\u2066' && c <= '\u2069'
}

// number reads a whole number from lo to hi.
func (r *reader) number(dst *int, lo, hi int) read {
	return func(n *yaml.Node, path string) {
		if v, ok := r.whole(n, path, "a whole number", int64(lo), int64(hi)); ok {
			*dst = int(v)
		}
	}
}

// maxPrice is a million million rupiah: no race costs it, and fifty of them still add up without overflow.
const maxPrice = 1_000_000_000_000

func (r *reader) rupiah(dst *money.Rupiah) read {
	return func(n *yaml.Node, path string) {
		if v, ok := r.whole(n, path, "whole rupiah without dots, such as 250000", 0, maxPrice); ok {
			*dst = money.Rupiah(v)
		}
	}
}

func (r *reader) whole(n *yaml.Node, path, want string, lo, hi int64) (int64, bool) {
	s, ok := r.scalar(n, path, want)
	if !ok {
		return 0, false
	}
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil || strings.HasPrefix(s, "+") {
		if isNumeral(s) {
			v = math.MaxInt64
		} else {
			r.fault(path, "must be %s; it is %s", want, quoted(s))
			return 0, false
		}
	}
	if v < lo || v > hi {
		r.fault(path, "must be from %d to %d; it is %s", lo, hi, quoted(s))
		return 0, false
	}
	return v, true
}

func isNumeral(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func (r *reader) flag(dst *bool) read {
	return func(n *yaml.Node, path string) {
		s, ok := r.scalar(n, path, "true or false")
		if !ok {
			return
		}
		switch s {
		case "true":
			*dst = true
		case "false":
			*dst = false
		default:
			r.fault(path, "must be true or false; it is %s", quoted(s))
		}
	}
}

// oneOf reads one of a few words.
func oneOf[T ~string](r *reader, dst *T, allowed ...T) read {
	return func(n *yaml.Node, path string) {
		s, ok := r.scalar(n, path, "one of "+joined(allowed))
		if !ok {
			return
		}
		if !slices.Contains(allowed, T(s)) {
			r.fault(path, "must be one of %s; it is %s", joined(allowed), quoted(s))
			return
		}
		*dst = T(s)
	}
}

func joined[T ~string](words []T) string {
	s := make([]string, len(words))
	for i, w := range words {
		s[i] = string(w)
	}
	return strings.Join(s, ", ")
}

// duration reads a span such as 30m, 2h or 7d, in whole seconds.
func (r *reader) duration(dst *time.Duration, lo, hi time.Duration) read {
	return func(n *yaml.Node, path string) {
		s, ok := r.scalar(n, path, "a duration such as 30m, 2h or 1d")
		if !ok {
			return
		}
		d, ok := parseSpan(s)
		if !ok {
			r.fault(path, "must be a duration such as 30m, 2h or 1d; it is %s", quoted(s))
			return
		}
		if d < lo || d > hi {
			r.fault(path, "must be from %s to %s; it is %s", span(lo), span(hi), quoted(s))
			return
		}
		*dst = d
	}
}

func parseSpan(s string) (time.Duration, bool) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 0 || n > 10_000 {
			return 0, false
		}
		return time.Duration(n) * 24 * time.Hour, true
	}
	d, err := time.ParseDuration(s)
	return d, err == nil && d%time.Second == 0
}

// span writes a duration as parseSpan reads it, in the largest unit that fits.
func span(d time.Duration) string {
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}} {
		if d >= unit.size && d%unit.size == 0 {
			return strconv.FormatInt(int64(d/unit.size), 10) + unit.name
		}
	}
	return strconv.FormatInt(int64(d/time.Second), 10) + "s"
}

// percent reads 11 or 11.5 as basis points; more than two decimals would not fit.
func (r *reader) percent(dst *int) read {
	return func(n *yaml.Node, path string) {
		s, ok := r.scalar(n, path, "a percentage such as 11 or 11.5")
		if !ok {
			return
		}
		whole, part, dot := strings.Cut(s, ".")
		if !isNumeral(whole) || len(whole) > 3 || dot && (!isNumeral(part) || len(part) > 2) {
			r.fault(path, "must be a percentage from 0.01 to 100 such as 11 or 11.5; it is %s", quoted(s))
			return
		}
		points, _ := strconv.Atoi(whole + (part + "00")[:2])
		if points < 1 || points > 10_000 {
			r.fault(path, "must be a percentage from 0.01 to 100; it is %s", quoted(s))
			return
		}
		*dst = points
	}
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func isEmpty(n *yaml.Node) bool {
	return isNull(n) || n.Kind == yaml.ScalarNode && strings.TrimSpace(n.Value) == ""
}

func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "an object"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind == yaml.AliasNode:
		return "an alias"
	case isNull(n):
		return "nothing"
	default:
		return "the value " + quoted(n.Value)
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// shown shortens a value so that it fits in a sentence.
func shown(s string) string {
	if utf8.RuneCountInString(s) <= 40 {
		return s
	}
	return string([]rune(s)[:40]) + "..."
}

func quoted(s string) string { return fmt.Sprintf("%q", shown(s)) }

func keysOf(fields []field) string {
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.key
	}
	return strings.Join(keys, ", ")
}

// suggest ends the sentence about an unknown key with the known key it resembles, or with all of them.
func suggest(key string, fields []field) string {
	best, nearest := "", 1+max(1, min(3, len(key)/2))
	if len(key) <= 40 {
		for _, f := range fields {
			if d := distance(key, f.key); d < nearest {
				best, nearest = f.key, d
			}
		}
	}
	if best != "" {
		return fmt.Sprintf("; did you mean %s?", best)
	}
	return "; the keys here are " + keysOf(fields)
}

// distance is how many letters must be changed, added or removed to turn a into b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := diagonal
			if a[i-1] != b[j-1] {
				change++
			}
			diagonal = row[j]
			row[j] = min(change, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}

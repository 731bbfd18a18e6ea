package site

import (
	"fmt"
	"sort"
	"strings"

	"gapura/internal/event"
)

// The languages of the pages.
const (
	indonesian = "id"
	english    = "en"
)

// words speaks one language: the sentences of the pages with their placeholders filled.
type words struct {
	lang  string
	texts map[string]event.Text
}

// T returns the sentence under key. Pairs are names and values for the placeholders, such as "n", 3 for {n}. A key that
// has no sentence is returned itself; a test proves that no page, script or fault code needs one.
func (w words) T(key string, pairs ...any) string {
	text, ok := w.texts[key]
	if !ok {
		return key
	}
	return fill(text.In(w.lang), pairs)
}

// has reports whether there is a sentence under key.
func (w words) has(key string) bool {
	_, ok := w.texts[key]
	return ok
}

// about returns the sentence for a code with the values it was reported with, or the plain sentence if one is missing.
func (w words) about(group, code string, params map[string]any) string {
	key := group + "." + code
	if !w.has(key) {
		return w.T(group + ".unknown")
	}
	pairs := make([]any, 0, 2*len(params))
	for name, value := range params {
		pairs = append(pairs, name, value)
	}
	said := w.T(key, pairs...)
	if strings.ContainsRune(said, '{') && w.has(key+".plain") {
		return w.T(key + ".plain")
	}
	return said
}

// subset returns the sentences whose keys start with one of prefixes, for the page's script.
func (w words) subset(prefixes ...string) map[string]string {
	out := map[string]string{}
	for key, text := range w.texts {
		for _, prefix := range prefixes {
			if strings.HasPrefix(key, prefix) {
				out[key] = text.In(w.lang)
			}
		}
	}
	return out
}

func fill(text string, pairs []any) string {
	if len(pairs) == 0 {
		return text
	}
	replace := make([]string, 0, len(pairs))
	for i := 0; i+1 < len(pairs); i += 2 {
		replace = append(replace, "{"+fmt.Sprint(pairs[i])+"}", fmt.Sprint(pairs[i+1]))
	}
	return strings.NewReplacer(replace...).Replace(text)
}

// keys lists the catalogue in order.
func keys(texts map[string]event.Text) []string {
	out := make([]string, 0, len(texts))
	for key := range texts {
		out = append(out, key)
	}
	sort.Strings(out)
	return out
}

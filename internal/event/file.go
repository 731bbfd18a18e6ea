package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// MaxFileSize is the most bytes an event file may have: 1 MB, a hundred times a rich event.
const MaxFileSize = 1 << 20

// maxFaults bounds how many faults are told at once; the rest is counted.
const maxFaults = 100

// File is an event with what only its file knows: the line of every value.
type File struct {
	Event    *Event
	Warnings []FileFault // allowed, but probably not meant

	lines map[string]int
}

// FileFault is one thing wrong in an event file.
type FileFault struct {
	Line   int    // from 1
	Path   string // such as categories[0].price; empty for the file as a whole
	Reason string // one sentence
}

// String is the fault as a person reads it.
func (f FileFault) String() string {
	if f.Path == "" {
		return fmt.Sprintf("line %d: %s", f.Line, f.Reason)
	}
	return fmt.Sprintf("line %d: %s: %s", f.Line, f.Path, f.Reason)
}

// FileError refuses an event file and says everything that is wrong with it, by line.
type FileError struct {
	Faults []FileFault
	More   int // faults beyond the first hundred
}

// Error lists the faults, a line each.
func (e *FileError) Error() string {
	var b strings.Builder
	total := len(e.Faults) + e.More
	if total == 1 {
		b.WriteString("the event file has 1 fault")
	} else {
		fmt.Fprintf(&b, "the event file has %d faults", total)
	}
	for _, f := range e.Faults {
		b.WriteString("\n  ")
		b.WriteString(f.String())
	}
	if e.More > 0 {
		fmt.Fprintf(&b, "\n  and %d more", e.More)
	}
	return b.String()
}

// Parse reads an event file, YAML or JSON, and returns a checked and prepared event, or a *FileError with every fault.
func Parse(data []byte) (*Event, error) {
	f, err := ParseFile(data)
	if err != nil {
		return nil, err
	}
	return f.Event, nil
}

// ParseFile is Parse for those who also want warnings or will Compare the file with the event it replaces.
func ParseFile(data []byte) (*File, error) {
	root, faults := document(data)
	if faults != nil {
		return nil, &FileError{Faults: faults}
	}
	r := &reader{lines: map[string]int{}, bad: map[string]bool{}}
	r.refuseIndirection(root)
	f := &File{Event: &Event{}, lines: r.lines}
	r.event(f, root)
	if root.Kind == yaml.MappingNode {
		r.check(f.Event)
	}
	if len(r.faults) > 0 {
		return nil, r.err()
	}
	if err := f.Event.Prepare(); err != nil {
		return nil, err
	}
	f.Warnings = r.warnings(f.Event)
	return f, nil
}

// Line returns the line of the value at path, or of the nearest enclosing value that the file has.
func (f *File) Line(path string) int { return lineOf(f.lines, path) }

func lineOf(lines map[string]int, path string) int {
	for path != "" {
		if n, ok := lines[path]; ok {
			return n
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return max(1, lines[""])
}

// document returns the only document of the file.
func document(data []byte) (*yaml.Node, []FileFault) {
	if len(data) > MaxFileSize {
		return nil, []FileFault{{Line: 1, Reason: fmt.Sprintf("the file has %d bytes; the most is %d", len(data), MaxFileSize)}}
	}
	if fault, ok := rawFault(data); !ok {
		return nil, []FileFault{fault}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(joinSurrogates(data)))
	var first, second yaml.Node
	switch err := decoder.Decode(&first); {
	case errors.Is(err, io.EOF):
		return nil, []FileFault{{Line: 1, Reason: "the file is empty"}}
	case err != nil:
		return nil, []FileFault{syntaxFault(err)}
	}
	switch err := decoder.Decode(&second); {
	case err == nil:
		return nil, []FileFault{{Line: second.Line, Reason: "a second document begins here; an event file holds one event"}}
	case !errors.Is(err, io.EOF):
		return nil, []FileFault{syntaxFault(err)}
	}
	return first.Content[0], nil
}

// rawFault finds bytes that no event file may have. The YAML reader also refuses them, but cannot say where they are.
func rawFault(data []byte) (FileFault, bool) {
	line := 1
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == '\n':
			line++
		case r == utf8.RuneError && size == 1:
			return FileFault{Line: line, Reason: fmt.Sprintf("byte 0x%02x is not UTF-8; save the file as UTF-8", data[i])}, false
		case r != '\t' && r != '\r' && isControl(r):
			return FileFault{Line: line, Reason: fmt.Sprintf("control character %U is not allowed", r)}, false
		}
		i += size
	}
	return FileFault{}, true
}

var surrogatePair = regexp.MustCompile(`(?i)\\+u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})`)

// joinSurrogates replaces the surrogate pairs by which JSON escapes characters beyond U+FFFF; YAML has no such escape.
func joinSurrogates(data []byte) []byte {
	if !bytes.Contains(data, []byte(`\u`)) || !json.Valid(data) {
		return data
	}
	return surrogatePair.ReplaceAllFunc(data, func(pair []byte) []byte {
		backslashes := bytes.IndexAny(pair, "uU")
		if backslashes%2 == 0 { // an escaped backslash followed by the letter u
			return pair
		}
		var s string
		if json.Unmarshal([]byte(`"`+string(pair[backslashes-1:])+`"`), &s) != nil {
			return pair
		}
		return append(bytes.Repeat([]byte(`\`), backslashes-1), s...)
	})
}

var (
	syntaxLine = regexp.MustCompile(`^line (\d+): `)
	// yaml.v3 counts lines from 0 where its parser complains and from 1 where its scanner does; these are the parser's.
	countsFromZero = regexp.MustCompile(`^did not find expected (node content|key|'-' indicator|',' or|<)`)
)

func syntaxFault(err error) FileFault {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	fault := FileFault{Line: 1}
	if m := syntaxLine.FindStringSubmatch(message); m != nil {
		fault.Line, _ = strconv.Atoi(m[1])
		message = message[len(m[0]):]
		if countsFromZero.MatchString(message) {
			fault.Line++
		}
	}
	fault.Reason = "this is not valid YAML or JSON: " + message
	return fault
}

// reader walks the file's nodes into an Event and collects every fault on the way.
type reader struct {
	faults []FileFault
	more   int
	lines  map[string]int
	bad    map[string]bool // paths that already have a fault: one is enough
	zone   zone
}

func (r *reader) err() error {
	slices.SortStableFunc(r.faults, func(a, b FileFault) int { return a.Line - b.Line })
	return &FileError{Faults: r.faults, More: r.more}
}

// fault records what is wrong at path, at most once for a path.
func (r *reader) fault(path, format string, args ...any) {
	r.faultAt(lineOf(r.lines, path), path, format, args...)
}

func (r *reader) faultAt(line int, path, format string, args ...any) {
	if r.bad[path] {
		return
	}
	r.bad[path] = true
	if len(r.faults) == maxFaults {
		r.more++
		return
	}
	r.faults = append(r.faults, FileFault{Line: max(1, line), Path: path, Reason: fmt.Sprintf(format, args...)})
}

// refuseIndirection refuses what lets a small file stand for a huge one, or a value for something else.
func (r *reader) refuseIndirection(n *yaml.Node) {
	switch {
	case n.Kind == yaml.AliasNode:
		r.faultAt(n.Line, "*"+n.Value, "YAML aliases are not allowed; write the value out")
		return
	case n.Anchor != "":
		r.faultAt(n.Line, "&"+n.Anchor, "YAML anchors are not allowed; write the value out")
	case n.Style&yaml.TaggedStyle != 0:
		r.faultAt(n.Line, n.Tag, "YAML tags are not allowed; write the plain value")
	}
	for _, child := range n.Content {
		r.refuseIndirection(child)
	}
}

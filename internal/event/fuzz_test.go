package event

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"unicode/utf8"
)

// FuzzParse: no file crashes the reader, every refusal says where and why, and what was read survives the database and
// its own file.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/bad/*.yaml", "testdata/bad/*.json", "testdata/good/*", "../app/demo/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range files {
			data, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := Parse(data)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		checkRoundTrips(t, e)
	})
}

func checkRefusal(t *testing.T, err error) {
	t.Helper()
	var refusal *FileError
	if !errors.As(err, &refusal) || len(refusal.Faults) == 0 || !utf8.ValidString(err.Error()) {
		t.Fatalf("refused by %T %q", err, err)
	}
	for _, fault := range refusal.Faults {
		if fault.Line < 1 || fault.Reason == "" {
			t.Fatalf("fault without a place or a reason: %+v", fault)
		}
	}
}

func checkRoundTrips(t failer, e *Event) {
	t.Helper()
	stored, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := Decode(stored)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(loaded, e) {
		t.Fatalf("stored as %s\nloaded as %+v\nwas %+v", stored, loaded, e)
	}
	text, err := Format(e)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse(text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if !reflect.DeepEqual(again, e) {
		t.Fatalf("formatted as %s\nread as %+v\nwas %+v", text, again, e)
	}
}

func TestRoundTripsOfTheDemoEvent(t *testing.T) {
	t.Parallel()
	checkRoundTrips(t, mustParse(t, readFile(t, "..", "app", "demo", "gapura-night-run.yaml")))
}

// failer is what the helpers need of *testing.T and *rapid.T.
type failer interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func TestRoundTripsOfGoodFiles(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"minimal.yaml", "full.yaml", "tabs.json"} {
		checkRoundTrips(t, mustParse(t, readFile(t, "testdata", "good", name)))
	}
}

package event

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what the golden files should hold")

// TestBadFilesAreRefusedWithEveryFault compares the whole refusal of each file in testdata/bad with the .txt beside it.
func TestBadFilesAreRefusedWithEveryFault(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "bad", "*.[yj]*"))
	if err != nil || len(files) < 15 {
		t.Fatalf("%d files, error %v", len(files), err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			_, err := Parse(readFile(t, name))
			if err == nil {
				t.Fatal("accepted")
			}
			compareGolden(t, strings.TrimSuffix(name, filepath.Ext(name))+".txt", err.Error()+"\n")
		})
	}
}

func compareGolden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if want := string(readFile(t, name)); got != want {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

package peers

import (
	"os"
	"testing"
	"time"
)

func TestOnlyAbandonedDirectoriesAreSwept(t *testing.T) {
	t.Setenv(DirEnv, t.TempDir())
	used, err := newDir()
	if err != nil {
		t.Fatal(err)
	}
	defer used.remove()
	abandoned, err := newDir()
	if err != nil {
		t.Fatal(err)
	}
	if err := abandoned.lock.Close(); err != nil { // as the kernel does for a killed owner
		t.Fatal(err)
	}
	old := time.Now().Add(-2 * unlockedFor)
	for _, d := range []*dataDir{used, abandoned} {
		if err := os.Chtimes(d.path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	next, err := newDir()
	if err != nil {
		t.Fatal(err)
	}
	defer next.remove()
	if _, err := os.Stat(abandoned.path); !os.IsNotExist(err) {
		t.Errorf("the abandoned directory is still there: %v", err)
	}
	if _, err := os.Stat(used.path); err != nil {
		t.Errorf("a directory in use was removed: %v", err)
	}
}

package house

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// importExceptions are imports that a rule forbids and a reason allows.
var importExceptions = []Exception{}

// sourceExceptions are constructs that a rule forbids and a reason allows.
var sourceExceptions = []Exception{}

func modulePackages(t *testing.T) []Package {
	t.Helper()
	packages, err := List(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) < 10 {
		t.Fatalf("go list sees only %d packages", len(packages))
	}
	return packages
}

func TestImports(t *testing.T) {
	t.Parallel()
	for _, v := range CheckImports(modulePackages(t), importExceptions) {
		t.Error(v)
	}
}

func TestSource(t *testing.T) {
	t.Parallel()
	found, err := CheckSource(modulePackages(t), sourceExceptions)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range found {
		t.Error(v)
	}
}

func TestEveryExceptionHasAReason(t *testing.T) {
	t.Parallel()
	for _, e := range append(importExceptions, sourceExceptions...) {
		if strings.TrimSpace(e.Reason) == "" {
			t.Errorf("%s, %s: why?", e.Where, e.What)
		}
	}
}

func TestImportRules(t *testing.T) {
	t.Parallel()
	tests := []struct {
		from, to string
		allowed  bool
	}{
		{"internal/clock", "time", true},
		{"internal/lifecycle", "internal/clock", true},
		{"internal/clock", "internal/event", false},
		{"internal/registration", "internal/event", true},
		{"internal/registration", "net/url", true},
		{"internal/registration", "github.com/google/uuid", true},
		{"internal/registration", "net/http", false},
		{"internal/registration", "net/http/httptest", false},
		{"internal/registration", "database/sql", false},
		{"internal/registration", "os", false},
		{"internal/registration", "os/exec", false},
		{"internal/registration", "github.com/redis/go-redis/v9", false},
		{"internal/registration", "github.com/hibiken/asynq", false},
		{"internal/registration", "internal/store", false},
		{"internal/registration", "internal/app", false},
		{"internal/registration", "internal/rehearse", false},
		{"internal/brandnew", "net/http", false},
		{"pkg/brandnew", "os", false},
		{"internal/store", "database/sql", true},
		{"internal/store", "internal/registration", true},
		{"internal/store", "internal/store/migrations", true},
		{"internal/store", "internal/redisstore", false},
		{"internal/httpapi", "internal/site", false},
		{"internal/httpapi", "internal/app", false},
		{"internal/provider/midtrans", "internal/provider/midtrans/fake", true},
		{"internal/provider/midtrans", "internal/provider/smtp", false},
		{"internal/rehearse", "net/http", true},
		{"internal/rehearse/crowd", "internal/rehearse/wire", true},
		{"internal/rehearse", "internal/event", true},
		{"internal/rehearse", "internal/store", false},
		{"internal/rehearse", "internal/app", false},
		{"internal/app", "internal/store", true},
		{"internal/app", "internal/rehearse", true},
		{"internal/app", "test/peers", false},
		{"internal/app", "cmd/gapura", false},
		{"cmd/gapura", "internal/app", true},
		{"cmd/gapura", "internal/store", false},
		{"test/peers", "internal/store", true},
		{"test/cmd/withpeers", "test/peers", true},
	}
	for _, test := range tests {
		found := CheckImports([]Package{{ImportPath: full(test.from), Imports: []string{full(test.to)}}}, nil)
		if allowed := len(found) == 0; allowed != test.allowed {
			t.Errorf("%s imports %s: allowed %t, want %t (%v)", test.from, test.to, allowed, test.allowed, found)
		}
	}
}

// full completes the paths of this module, which begin with one of its folders.
func full(importPath string) string {
	switch top, _, _ := strings.Cut(importPath, "/"); top {
	case "internal", "cmd", "test", "pkg":
		return Module + "/" + importPath
	}
	return importPath
}

func TestSourceRules(t *testing.T) {
	t.Parallel()
	long := "func f() {\n" + strings.Repeat("_ = 1\n", MaxFunctionLines) + "}"
	tests := []struct{ pkg, source, want string }{
		{"internal/event", `func init() {}`, "init"},
		{"internal/event", `type t struct{}; func (t) init() {}`, ""},
		{"internal/store", `func f() { go f() }`, "go statement"},
		{"internal/lifecycle", `func f() { go f() }`, ""},
		{"test/peers", `func f() { go f() }`, ""},
		{"internal/app", `import "os"; func f() { os.Exit(1) }`, "os.Exit"},
		{"internal/app", `import "log"; func f() { log.Fatalf("") }`, "log.Fatalf"},
		{"cmd/gapura", `import "os"; func f() { os.Exit(1) }`, ""},
		{"internal/store", `import "os"; func f() { os.Getenv("") }`, "os.Getenv"},
		{"internal/store", `import renamed "os"; func f() { renamed.LookupEnv("") }`, "os.LookupEnv"},
		{"internal/app", `import "os"; func f() { os.Getenv("") }`, ""},
		{"internal/event", `import "time"; func f() { time.Now() }`, "time.Now"},
		{"internal/event", `import "time"; var f = time.Now`, "time.Now"},
		{"internal/event", `import "time"; func f(t time.Time) { time.Since(t) }`, "time.Since"},
		{"internal/clock", `import "time"; func f() { time.Now() }`, ""},
		{"internal/httpapi", `import "time"; func f() { time.Now() }`, ""},
		{"internal/store", `import "time"; func f() { time.Sleep(1) }`, "time.Sleep"},
		{"internal/event", long, "f"},
		{"test/peers", long, ""},
	}
	for _, test := range tests {
		f, err := parseFile(full(test.pkg), "x.go", "x.go", "package x\n"+test.source)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if found := f.check(); len(found) > 0 {
			got = found[0].What
		}
		if got != test.want {
			t.Errorf("%s: %.60q: found %q, want %q", test.pkg, test.source, got, test.want)
		}
	}
}

func TestATestSleepsOnlyInABubble(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]int{
		`import "time"; func f() { time.Sleep(1) }`:                          1,
		`import ("time"; "testing/synctest"); func f() { time.Sleep(1) }`:    0,
		`import "time"; func f() { time.AfterFunc(1, nil); other.Sleep(1) }`: 0,
	} {
		f, err := parseFile(full("internal/event"), "x_test.go", "x_test.go", "package x\n"+source)
		if err != nil {
			t.Fatal(err)
		}
		if found := f.checkTest(); len(found) != want {
			t.Errorf("%s: found %v", source, found)
		}
	}
}

// TestAPlantedViolationIsFound runs the whole way, go list included, over a module with one sin of each kind.
func TestAPlantedViolationIsFound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plant(t, dir, "go.mod", "module gapura\n\ngo 1.26\n")
	plant(t, dir, "internal/store/store.go", "// Package store is documented.\npackage store\n")
	plant(t, dir, "internal/sneaky/sneaky.go", `package sneaky

import (
	_ "gapura/internal/store"
	"net/http"
	"time"
)

var _ = http.StatusOK

func f() { _ = time.Now() }
`)
	packages, err := List(dir)
	if err != nil {
		t.Fatal(err)
	}
	found, err := CheckSource(packages, nil)
	if err != nil {
		t.Fatal(err)
	}
	found = append(found, CheckImports(packages, nil)...)
	want := []string{
		"internal/sneaky: every package says in its doc comment what it is for",
		"internal/sneaky/sneaky.go:11: time.Now: the product takes the time from a clock.Clock",
		"internal/sneaky: internal/store: the product imports only the kit and other product packages",
		"internal/sneaky: net/http: the product does not reach the network, a database, Redis or the operating system: " +
			"take a small interface instead",
	}
	if got := text(found); got != strings.Join(want, "\n") {
		t.Errorf("found:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
	}
}

func plant(t *testing.T, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func text(found []Violation) string {
	lines := make([]string, len(found))
	for i, v := range found {
		lines[i] = v.String()
	}
	return strings.Join(lines, "\n")
}

func TestAnExceptionAllowsExactlyOneThingAndMustBeNeeded(t *testing.T) {
	t.Parallel()
	packages := []Package{{ImportPath: full("internal/event"), Imports: []string{"os", "net/http"}}}
	found := CheckImports(packages, []Exception{
		{Where: "internal/event", What: "os", Reason: "planted"},
		{Where: "internal/event", What: "os/exec", Reason: "planted"},
	})
	if len(found) != 2 || found[0].What != "net/http" || found[1].What != "os/exec" {
		t.Errorf("found:\n%s", text(found))
	}
}

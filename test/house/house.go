// Package house holds the rules that keep the code what docs/architecture.md says it is: who may import whom, and the few
// things that only one place may do. Its test runs them over the whole module.
package house

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
)

// Module is the path of the module the rules are for.
const Module = "gapura"

// Package is what `go list -json` says about one package, as far as the rules need it. The imports of test files are left
// out on purpose: they may import anything.
type Package struct {
	Dir          string
	ImportPath   string
	GoFiles      []string
	TestGoFiles  []string
	XTestGoFiles []string
	Imports      []string
}

// Violation is one broken rule.
type Violation struct {
	Where string // a package's path in the module, or file:line
	What  string // the offending import or construct; empty: Rule says it
	Rule  string // one sentence
}

// String is one line for a test's output.
func (v Violation) String() string {
	if v.What == "" {
		return v.Where + ": " + v.Rule
	}
	return v.Where + ": " + v.What + ": " + v.Rule
}

// Exception allows one package (or file) one thing that a rule forbids.
type Exception struct {
	Where  string // a package's path in the module; for source rules the file's
	What   string // as in Violation
	Reason string
}

// List returns the packages under dir, broken ones included: that they compile is the compiler's business.
func List(dir string) ([]Package, error) {
	cmd := exec.Command("go", "list", "-e", "-json=Dir,ImportPath,GoFiles,TestGoFiles,XTestGoFiles,Imports", "./...")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var packages []Package
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p Package
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages, nil
		} else if err != nil {
			return nil, err
		}
		packages = append(packages, p)
	}
}

// A layer is a set of packages under the same rules.
type layer int

const (
	outside layer = iota // not of this module
	kit
	product
	edge
	rehearsal
	root
	command
	trial // test/
)

// Folders of internal/ that are not the product. A folder that is missing here is product, the strictest layer, so that a
// forgotten entry fails instead of slipping through.
var (
	kitFolders  = []string{"clock", "fault", "gather", "id", "lifecycle", "money"}
	edgeFolders = []string{"httpapi", "provider", "redisqueue", "redisstore", "site", "store", "worker"}
)

func layerOf(importPath string) layer {
	inside, ok := strings.CutPrefix(importPath, Module+"/")
	if !ok {
		return outside
	}
	top, rest, _ := strings.Cut(inside, "/")
	if top == "cmd" {
		return command
	}
	if top == "test" {
		return trial
	}
	folder, _, _ := strings.Cut(rest, "/")
	switch {
	case top != "internal":
		return product
	case folder == "app":
		return root
	case folder == "rehearse":
		return rehearsal
	case slices.Contains(kitFolders, folder):
		return kit
	case slices.Contains(edgeFolders, folder):
		return edge
	}
	return product
}

// edgeName is the unit that must not know others: a provider is one for itself, every other edge is its folder.
func edgeName(importPath string) string {
	parts := strings.Split(strings.TrimPrefix(importPath, Module+"/internal/"), "/")
	if parts[0] == "provider" && len(parts) > 1 {
		return path.Join(parts[:2]...)
	}
	return parts[0]
}

// Packages through which the world gets in. The product decides, it does not talk: it is given what it needs by small
// interfaces and can be tested with values alone.
var worldly = []string{
	"database/sql", "net", "os", "syscall",
	"github.com/go-sql-driver/mysql", "github.com/hibiken/asynq", "github.com/pressly/goose", "github.com/redis",
	"github.com/uptrace/bun", "modernc.org/sqlite",
}

// worldlyButPure are beneath worldly paths, but only parse.
var worldlyButPure = []string{"net/mail", "net/netip", "net/url"}

func isWorldly(importPath string) bool {
	if slices.Contains(worldlyButPure, importPath) {
		return false
	}
	return slices.ContainsFunc(worldly, func(w string) bool {
		return importPath == w || strings.HasPrefix(importPath, w+"/")
	})
}

// CheckImports returns every import that breaks a rule and is no exception, and every exception that allows nothing any more.
func CheckImports(packages []Package, exceptions []Exception) []Violation {
	var found []Violation
	for _, p := range packages {
		for _, imported := range p.Imports {
			if rule := importRule(p.ImportPath, imported); rule != "" {
				found = append(found, Violation{Where: inModule(p.ImportPath), What: inModule(imported), Rule: rule})
			}
		}
	}
	return except(found, exceptions)
}

// importRule returns the rule that from breaks by importing to, or nothing.
func importRule(from, to string) string {
	importer, imported := layerOf(from), layerOf(to)
	if importer == trial {
		return ""
	}
	if imported == trial {
		return "nothing outside test/ imports test/"
	}
	if imported == command {
		return "nothing imports a command"
	}
	switch importer {
	case kit:
		return when(imported != outside && imported != kit, "the kit imports only the kit: everything else stands on it")
	case product:
		return productRule(to, imported)
	case edge:
		return edgeRule(from, to, imported)
	case rehearsal:
		return when(imported == edge || imported == root,
			"the rehearsal sees the server from outside, as a visitor does: it imports no edge and not the root")
	case command:
		return when(imported != outside && imported != root && imported != kit, "a command only calls internal/app")
	default: // the root imports everything
		return ""
	}
}

func productRule(to string, imported layer) string {
	if imported == outside && isWorldly(to) {
		return "the product does not reach the network, a database, Redis or the operating system: take a small interface instead"
	}
	return when(imported != outside && imported != kit && imported != product,
		"the product imports only the kit and other product packages")
}

func edgeRule(from, to string, imported layer) string {
	if imported == edge && edgeName(from) != edgeName(to) {
		return "an edge imports no other edge: internal/app joins them"
	}
	return when(imported == root || imported == rehearsal, "an edge imports only the product and the kit: internal/app joins them")
}

func when(broken bool, rule string) string {
	if broken {
		return rule
	}
	return ""
}

func inModule(importPath string) string { return strings.TrimPrefix(importPath, Module+"/") }

// except removes what is allowed and adds the exceptions that are not needed.
func except(found []Violation, exceptions []Exception) []Violation {
	var left []Violation
	used := make([]bool, len(exceptions))
	for _, v := range found {
		i := slices.IndexFunc(exceptions, func(e Exception) bool { return e.covers(v) })
		if i < 0 {
			left = append(left, v)
			continue
		}
		used[i] = true
	}
	for i, e := range exceptions {
		if !used[i] {
			left = append(left, Violation{Where: e.Where, What: e.What, Rule: "this exception is not needed any more: remove it"})
		}
	}
	return left
}

// covers compares without the line number, which moves.
func (e Exception) covers(v Violation) bool {
	file, _, _ := strings.Cut(v.Where, ":")
	return e.Where == file && e.What == v.What
}

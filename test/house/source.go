package house

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// MaxFunctionLines is the length above which a function needs an exception; the median is to be 8 to 12.
const MaxFunctionLines = 80

// CheckSource returns every construct that breaks a rule and is no exception, and every exception that allows nothing any
// more.
func CheckSource(packages []Package, exceptions []Exception) ([]Violation, error) {
	var found []Violation
	for _, p := range packages {
		if !strings.HasPrefix(p.ImportPath, Module+"/") {
			continue
		}
		files, err := parse(p, p.GoFiles)
		if err != nil {
			return nil, err
		}
		tests, err := parse(p, slices.Concat(p.TestGoFiles, p.XTestGoFiles))
		if err != nil {
			return nil, err
		}
		found = append(found, checkDoc(p, files)...)
		for _, f := range files {
			found = append(found, f.check()...)
		}
		for _, f := range tests {
			found = append(found, f.checkTest()...)
		}
	}
	return except(found, exceptions), nil
}

// file is one parsed source file of a package.
type file struct {
	set     *token.FileSet
	syntax  *ast.File
	layer   layer
	pkg     string            // the package's path in the module
	name    string            // the file's path in the module
	imports map[string]string // local name to import path
}

func parse(p Package, names []string) ([]*file, error) {
	files := make([]*file, 0, len(names))
	for _, name := range names {
		f, err := parseFile(p.ImportPath, name, filepath.Join(p.Dir, name), nil)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

func parseFile(importPath, name, filename string, source any) (*file, error) {
	set := token.NewFileSet()
	syntax, err := parser.ParseFile(set, filename, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	f := &file{set: set, syntax: syntax, layer: layerOf(importPath), pkg: inModule(importPath), imports: map[string]string{}}
	f.name = path.Join(f.pkg, name)
	for _, spec := range syntax.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		local := path.Base(imported)
		if spec.Name != nil {
			local = spec.Name.Name
		}
		f.imports[local] = imported
	}
	return f, nil
}

func checkDoc(p Package, files []*file) []Violation {
	documented := slices.ContainsFunc(files, func(f *file) bool {
		doc := f.syntax.Doc.Text()
		return strings.HasPrefix(doc, "Package "+f.syntax.Name.Name+" ") || strings.HasPrefix(doc, "Command "+path.Base(p.ImportPath)+" ")
	})
	if documented || len(files) == 0 {
		return nil
	}
	return []Violation{{Where: inModule(p.ImportPath), Rule: "every package says in its doc comment what it is for"}}
}

func (f *file) check() []Violation {
	var found []Violation
	report := func(node ast.Node, what, rule string) { found = append(found, f.violation(node, what, rule)) }
	ast.Inspect(f.syntax, func(node ast.Node) bool {
		switch n := node.(type) {
		case *ast.FuncDecl:
			f.checkFunction(n, report)
		case *ast.GoStmt:
			if f.layer != trial && f.pkg != "internal/lifecycle" {
				report(n, "go statement", "goroutines start in internal/lifecycle, which names them and waits for them")
			}
		case *ast.SelectorExpr:
			if what, rule := f.selectorRule(n); rule != "" {
				report(n, what, rule)
			}
		}
		return true
	})
	return found
}

// checkTest holds the one rule for test files. In a synctest bubble sleeping costs nothing and is exact.
func (f *file) checkTest() []Violation {
	var found []Violation
	for _, imported := range f.imports {
		if imported == "testing/synctest" {
			return nil
		}
	}
	ast.Inspect(f.syntax, func(node ast.Node) bool {
		if s, ok := node.(*ast.SelectorExpr); ok && f.selected(s) == "time.Sleep" {
			found = append(found, f.violation(s, "time.Sleep", "a test waits on a signal: sleeping is slow or flaky, and often both"))
		}
		return true
	})
	return found
}

func (f *file) violation(node ast.Node, what, rule string) Violation {
	return Violation{Where: f.name + ":" + strconv.Itoa(f.set.Position(node.Pos()).Line), What: what, Rule: rule}
}

func (f *file) checkFunction(function *ast.FuncDecl, report func(ast.Node, string, string)) {
	name := function.Name.Name
	if name == "init" && function.Recv == nil {
		report(function, "init", "no package does anything by being imported: no init functions")
	}
	lines := f.set.Position(function.End()).Line - f.set.Position(function.Pos()).Line + 1
	if f.layer != trial && lines > MaxFunctionLines {
		report(function, name, fmt.Sprintf("a function has at most %d lines", MaxFunctionLines))
	}
}

// selected is the import path and name behind a package.Name expression, empty for any other selector.
func (f *file) selected(s *ast.SelectorExpr) string {
	qualifier, ok := s.X.(*ast.Ident)
	if !ok {
		return ""
	}
	return f.imports[qualifier.Name] + "." + s.Sel.Name
}

func (f *file) selectorRule(s *ast.SelectorExpr) (what, rule string) {
	what = f.selected(s)
	switch what {
	case "os.Exit", "log.Fatal", "log.Fatalf", "log.Fatalln":
		return what, when(f.layer != command && f.layer != trial, "only a command ends the process: return an error")
	case "os.Getenv", "os.LookupEnv", "os.Environ":
		return what, when(f.layer != root && f.layer != trial, "only internal/app reads the environment: take a value")
	case "time.Now", "time.Since", "time.Until":
		owned := f.layer == product || f.layer == kit && f.pkg != "internal/clock"
		return what, when(owned, "the product takes the time from a clock.Clock")
	case "time.Sleep":
		return what, when(f.layer != trial, "waiting is a timer in a select, which a context can end")
	}
	return "", ""
}

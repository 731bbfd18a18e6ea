package store_test

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/uptrace/bun"

	"gapura/internal/store"
	"gapura/test/peers"
)

// plans records every query that any test of this package runs, and explains each of them on tables of filled rows when the
// tests have ended. What is written in the package and was run by no test is an error too, so that nothing escapes.
type plans struct {
	mu      sync.Mutex
	seen    map[string]map[string]string // by driver and shape: one query
	written []writtenQuery
}

// filled is how many rows every large table gets; a plan that reads more than a tenth of them is a full scan.
const filled = 20_000

// small are the tables that stay short however many people register, so that reading them whole is right.
var small = map[string]bool{"events": true, "event_state": true, "counters": true, "secrets": true, "broadcasts": true, "waitroom_rooms": true, "invoice_numbers": true}

// whole are queries that read a large table from end to end, with the reason why they may.
var whole = []struct{ pattern, reason string }{
	{`FROM outbox GROUP BY`, "for an operator and for metrics; the table holds only what still waits"},
	{`FROM dead_letters GROUP BY`, "for an operator, who keeps the table short"},
	{`SELECT kind, order_id, arg, .* FROM outbox WHERE event_id IN`, "the audit reads what still waits"},
	{`SELECT DISTINCT event_id FROM payment_unplaced`, "the table holds only orders whose money came too late"},
	{`SELECT message_id FROM mail_deliveries`, "the audit reads everything"},
	{`FROM invoices i WHERE NOT EXISTS`, "the audit reads everything"},
	{`FROM invoice_numbers n LEFT JOIN invoices`, "the audit reads everything"},
}

// unrun are parts of queries that no test of this package runs, with the reason.
var unrun = map[string]string{
	"GET_LOCK":     "asked on a connection of goose's, which the hook does not see; TestNodesThatMigrateTogether needs it",
	"RELEASE_LOCK": "as GET_LOCK",

	"INSERT INTO documents": "goes to the driver past the hook; an insert has no plan",
	"UPDATE documents":      "as the insert; it finds its row by the primary key, as the look-up before it does",
}

func (p *plans) watch(driver string, s *store.Store) { s.Hook(&hook{plans: p, driver: driver}) }

type hook struct {
	plans  *plans
	driver string
}

func (h *hook) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context { return ctx }

func (h *hook) AfterQuery(_ context.Context, e *bun.QueryEvent) {
	if e.Err == nil || errors.Is(e.Err, sql.ErrNoRows) {
		h.plans.note(h.driver, e.Query)
	}
}

var (
	literals = regexp.MustCompile(`(?s)X'[0-9a-fA-F]*'|'(?:[^'\\]|''|\\.)*'|\b\d+\b`)
	lists    = regexp.MustCompile(`\?(?:, ?\?)+`)
	rows     = regexp.MustCompile(`\(\?\)(?:, ?\(\?\))+`)
)

// shape is a query without its values, so that one of a thousand alike is explained.
func shape(query string) string {
	return rows.ReplaceAllString(lists.ReplaceAllString(literals.ReplaceAllString(query, "?"), "?"), "(?)")
}

func (p *plans) note(driver, query string) {
	if len(query) > 1<<16 {
		return // an INSERT of many rows
	}
	s := shape(query)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen[driver] == nil {
		p.seen[driver] = map[string]string{}
	}
	if _, ok := p.seen[driver][s]; !ok {
		p.seen[driver][s] = query
	}
}

// check runs after all tests, unless only some of them were asked for.
func (p *plans) check() error {
	if flag.Lookup("test.run").Value.String() != "" || flag.Lookup("test.list").Value.String() != "" {
		return nil
	}
	var err error
	if p.written, err = writtenQueries("."); err != nil {
		return err
	}
	errs := []error{p.everyQueryRan()}
	for driver, open := range map[string]func() (*filledDatabase, error){store.DriverSQLite: filledSQLite, store.DriverMySQL: filledMariaDB} {
		errs = append(errs, p.explain(driver, open))
	}
	return errors.Join(errs...)
}

func (p *plans) explain(driver string, open func() (*filledDatabase, error)) error {
	db, err := open()
	if err != nil {
		return fmt.Errorf("plans of %s: %w", driver, err)
	}
	defer db.drop()
	errs := []error{db.fill()}
	for _, s := range slices.Sorted(maps.Keys(p.seen[driver])) {
		if !explainable.MatchString(s) {
			continue
		}
		plan, bad, err := db.plan(p.seen[driver][s])
		if testing.Verbose() {
			fmt.Printf("%s: %s\n%s", driver, cut(s), plan)
		}
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: %w\n\t%s", driver, err, cut(s)))
		case bad && !allowed(s):
			errs = append(errs, fmt.Errorf("%s reads a whole table:\n\t%s\n%s", driver, cut(s), plan))
		}
	}
	return errors.Join(errs...)
}

// explainable: an INSERT of values has no plan.
var explainable = regexp.MustCompile(`(?is)^\s*(SELECT .* FROM|UPDATE|DELETE|WITH|INSERT INTO .* SELECT)\b`)

func cut(s string) string {
	const most = 400
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

func allowed(shape string) bool {
	return slices.ContainsFunc(whole, func(w struct{ pattern, reason string }) bool {
		return w.reason != "" && regexp.MustCompile(w.pattern).MatchString(shape)
	})
}

// filledDatabase is a migrated database in which every large table has rows.
type filledDatabase struct {
	driver string
	db     *sql.DB
	drop   func()
	large  []string
}

func migrated(driver, dsn, raw string, drop func()) (*filledDatabase, error) {
	ctx := context.Background()
	s, err := store.Open(ctx, store.Options{Driver: driver, DSN: dsn})
	if err != nil {
		return nil, err
	}
	_, err = s.Migrate(ctx)
	if err := errors.Join(err, s.Close()); err != nil {
		return nil, err
	}
	db, err := sql.Open(driver, raw)
	if err != nil {
		return nil, err
	}
	return &filledDatabase{driver: driver, db: db, drop: func() {
		_ = db.Close()
		drop()
	}}, nil
}

func filledSQLite() (*filledDatabase, error) {
	dir, err := os.MkdirTemp("", "gapura-plans-")
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "plans.db")
	return migrated(store.DriverSQLite, path, "file:"+path+"?_pragma=synchronous(OFF)", func() { _ = os.RemoveAll(dir) })
}

// afterTests is what peers ask of a test.
type afterTests struct{ cleanup []func() }

func (*afterTests) Helper()                   {}
func (*afterTests) Logf(string, ...any)       {}
func (a *afterTests) Cleanup(f func())        { a.cleanup = append(a.cleanup, f) }
func (*afterTests) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }

func filledMariaDB() (*filledDatabase, error) {
	t := &afterTests{}
	dsn := peers.MariaDB(t).NewDatabase(t)
	return migrated(store.DriverMySQL, dsn, dsn, func() {
		for _, f := range t.cleanup {
			f()
		}
	})
}

// column is what a value is made from.
type column struct {
	name, kind string
	length     int
	nullable   bool
}

func (d *filledDatabase) fill() error {
	tables, err := d.strings("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
		"SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'")
	if err != nil {
		return err
	}
	for _, table := range tables {
		if small[table] || strings.HasPrefix(table, "goose") {
			continue
		}
		d.large = append(d.large, table)
		if err := d.fillTable(table); err != nil {
			return fmt.Errorf("fill %s: %w", table, err)
		}
	}
	return nil
}

func (d *filledDatabase) strings(sqlite, mariadb string, args ...any) ([]string, error) {
	query := mariadb
	if d.driver == store.DriverSQLite {
		query = sqlite
	}
	found, err := d.db.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	var all []string
	for found.Next() {
		var s string
		if err := found.Scan(&s); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, found.Err()
}

func (d *filledDatabase) fillTable(table string) error {
	described, err := d.strings("SELECT name || ' ' || type || ' 0 ' || CASE WHEN \"notnull\" = 0 AND pk = 0 THEN 'YES' ELSE 'NO' END FROM pragma_table_info(?)",
		"SELECT CONCAT_WS(' ', column_name, data_type, COALESCE(character_maximum_length, 0), is_nullable) FROM information_schema.columns "+
			"WHERE table_schema = DATABASE() AND table_name = ? ORDER BY ordinal_position", table)
	if err != nil {
		return err
	}
	var names, values []string
	for _, line := range described {
		var c column
		var nullable string
		if _, err := fmt.Sscan(line, &c.name, &c.kind, &c.length, &nullable); err != nil {
			return fmt.Errorf("%s: %w", line, err)
		}
		c.nullable = nullable == "YES"
		names = append(names, c.name)
		values = append(values, c.value(d.driver))
	}
	numbers := fmt.Sprintf("(SELECT seq AS n FROM seq_1_to_%d) AS s", filled)
	if d.driver == store.DriverSQLite {
		numbers = fmt.Sprintf("(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < %d) SELECT n FROM s)", filled)
	}
	statement := fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM %s", table, strings.Join(names, ", "), strings.Join(values, ", "), numbers)
	if _, err := d.db.Exec(statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	if d.driver == store.DriverMySQL {
		_, err = d.strings("", "ANALYZE TABLE "+table+" PERSISTENT FOR COLUMNS () INDEXES ()")
		if err != nil && strings.Contains(err.Error(), "expected") {
			err = nil // it answers with four columns; that it ran is enough
		}
	}
	return err
}

// value is an expression over n that gives the column what it would have: few kinds and states, fifty events, most times in
// the future, optional ones mostly absent.
func (c column) value(driver string) string {
	kind := strings.ToLower(c.kind)
	binary, text := "CAST(printf('%016d', n) AS BLOB)", fmt.Sprintf("'%.3s' || n", c.name)
	if driver == store.DriverMySQL {
		binary, text = "CAST(LPAD(n, 16, '0') AS BINARY)", fmt.Sprintf("CONCAT('%.3s', n)", c.name)
	}
	v := "n"
	switch {
	case c.name == "event_id":
		v = "1 + n % 50"
	case strings.HasSuffix(c.name, "_at") || strings.HasSuffix(c.name, "until"):
		v = "CASE n % 100 WHEN 0 THEN 1700000000000 ELSE 1900000000000 END + n"
	case strings.Contains(kind, "blob"), strings.Contains(kind, "binary"):
		v = binary
	case slices.Contains([]string{"status", "kind", "queue", "locale", "gender", "category", "channel", "state", "verdict"}, c.name):
		v = "'v' || (n % 5)"
		if driver == store.DriverMySQL {
			v = "CONCAT('v', n % 5)"
		}
	case strings.Contains(kind, "char"), strings.Contains(kind, "text"):
		v = text
	case slices.Contains([]string{"version", "position", "attempts", "sends", "tier", "leased", "attempt", "shadow"}, c.name), kind == "tinyint":
		v = "n % 5"
	}
	if c.nullable {
		return "CASE n % 10 WHEN 0 THEN " + v + " END"
	}
	return v
}

// plan explains a query; bad says that it reads a large table from end to end.
func (d *filledDatabase) plan(query string) (text string, bad bool, err error) {
	prefix := "EXPLAIN "
	if d.driver == store.DriverSQLite {
		prefix = "EXPLAIN QUERY PLAN "
	}
	found, err := d.db.Query(prefix + query)
	if err != nil {
		return "", false, err
	}
	defer found.Close()
	names, err := found.Columns()
	if err != nil {
		return "", false, err
	}
	var out strings.Builder
	for found.Next() {
		step, err := scanStep(found, names)
		if err != nil {
			return "", false, err
		}
		bad = bad || d.reads(step, query)
		fmt.Fprintf(&out, "\t\t%s\n", step.String())
	}
	return out.String(), bad, found.Err()
}

// step is one line of a plan, by the names of its columns.
type step map[string]string

func (s step) String() string {
	var parts []string
	for _, name := range []string{"detail", "table", "type", "key", "rows", "Extra"} {
		if s[name] != "" {
			parts = append(parts, name+"="+s[name])
		}
	}
	return strings.Join(parts, " ")
}

func scanStep(found *sql.Rows, names []string) (step, error) {
	values := make([]sql.NullString, len(names))
	targets := make([]any, len(names))
	for i := range values {
		targets[i] = &values[i]
	}
	if err := found.Scan(targets...); err != nil {
		return nil, err
	}
	s := step{}
	for i, name := range names {
		s[name] = values[i].String
	}
	return s, nil
}

var (
	scanned = regexp.MustCompile(`^SCAN (\w+)`)
	limited = regexp.MustCompile(`(?is)\bLIMIT \d+\s*(?:FOR UPDATE.*|\))?\s*$`)
)

func (d *filledDatabase) reads(s step, query string) bool {
	if d.driver == store.DriverMySQL {
		n, _ := strconv.Atoi(s["rows"])
		return (s["type"] == "ALL" || s["type"] == "index") && n > filled/10
	}
	m := scanned.FindStringSubmatch(s["detail"])
	return m != nil && d.isLarge(m[1], query) && !limited.MatchString(query) // in the order of a key the limit ends it early
}

// isLarge resolves an alias; the name of a subquery is none.
func (d *filledDatabase) isLarge(name, query string) bool {
	for _, table := range d.large {
		if table == name || regexp.MustCompile(`\b`+table+`"?\s+(?:AS\s+)?"?`+name+`\b`).MatchString(query) {
			return true
		}
	}
	return false
}

// everyQueryRan compares the queries that are written in the package with those that ran.
func (p *plans) everyQueryRan() error {
	var errs []error
	for _, w := range p.written {
		if reason(w.text) != "" || p.ran(w) {
			continue
		}
		errs = append(errs, fmt.Errorf("no test of this package runs the query at %s:\n\t%s", w.at, cut(w.text)))
	}
	return errors.Join(errs...)
}

func reason(text string) string {
	for part, why := range unrun {
		if strings.Contains(text, part) {
			return why
		}
	}
	return ""
}

func (p *plans) ran(w writtenQuery) bool {
	for _, queries := range p.seen {
		for s := range queries {
			if w.pattern.MatchString(s) {
				return true
			}
		}
	}
	return false
}

type writtenQuery struct {
	at, text string
	pattern  *regexp.Regexp // of the shapes that it can have
}

var startsQuery = regexp.MustCompile(`^\s*(SELECT|UPDATE|DELETE FROM|INSERT INTO|WITH) `)

// writtenQueries lists the string expressions in a package's source that begin like a query.
func writtenQueries(dir string) ([]writtenQuery, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	var all []writtenQuery
	set := token.NewFileSet()
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			return nil, err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			e, ok := n.(ast.Expr)
			if !ok {
				return true
			}
			text, isString := flatten(e)
			if !isString {
				return true
			}
			if startsQuery.MatchString(text) {
				all = append(all, writtenQuery{at: set.Position(e.Pos()).String(), text: text, pattern: patternOf(text)})
			}
			return false
		})
	}
	return all, nil
}

// hole stands for what an expression puts in at run time.
const hole = "\x00"

// flatten joins the literals of a concatenation, with holes between them.
func flatten(e ast.Expr) (text string, isString bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return "", false
		}
		text, err := strconv.Unquote(e.Value)
		return text, err == nil
	case *ast.BinaryExpr:
		left, leftOK := flatten(e.X)
		right, rightOK := flatten(e.Y)
		if e.Op != token.ADD || (!leftOK && !rightOK) {
			return "", false
		}
		if !leftOK {
			left = hole
		}
		if !rightOK {
			right = hole
		}
		return left + right, true
	}
	return "", false
}

var placeholders = regexp.MustCompile(`\\\?|` + hole + `|%[a-z]`)

func patternOf(text string) *regexp.Regexp {
	return regexp.MustCompile(`(?s)` + placeholders.ReplaceAllString(regexp.QuoteMeta(shape(text)), `.*`))
}

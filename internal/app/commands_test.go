package app

import (
	"context"
	"database/sql"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"gapura/test/peers"
)

func TestEveryCommandHasHelp(t *testing.T) {
	t.Parallel()
	s := newShell(t, "APP_ENV=wrong") // help must not need a configuration
	for _, command := range []string{
		"", "demo", "serve", "work", "migrate", "event", "event apply", "event list", "event show", "audit", "rehearse", "doctor",
	} {
		out := s.must(t, append(strings.Fields(command), "--help")...)
		if !strings.Contains(out, "Usage: gapura "+command) {
			t.Errorf("gapura %s --help:\n%s", command, out)
		}
	}
	if out := s.must(t); !strings.Contains(out, "Usage: gapura") {
		t.Errorf("gapura alone:\n%s", out)
	}
}

func TestAWrongCommandLineIsOneSentenceAndExit2(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	for _, line := range []string{
		"serv", "serve --port=1", "serve now", "event", "event appy x", "event apply", "event show", "event apply a b", "demo --addr",
		"rehearse --scale=much", "rehearse --for=long", "--version", "audit a b", "rehearse --connections=1.5",
	} {
		if sentence := s.refused(t, exitUsage, strings.Fields(line)...); !strings.Contains(sentence, "see gapura --help") {
			t.Errorf("gapura %s: %s", line, sentence)
		}
	}
	for _, line := range []string{"serve", "event list", "doctor"} {
		wrong := newShell(t, "DB_PORT=x")
		if sentence := wrong.refused(t, exitUsage, strings.Fields(line)...); sentence != `DB_PORT is "x": use a whole number` {
			t.Errorf("gapura %s: %s", line, sentence)
		}
	}
}

// databases runs a test on SQLite and on MariaDB.
func databases(t *testing.T, test func(t *testing.T, s *shell)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); test(t, newShell(t)) })
	t.Run("mariadb", func(t *testing.T) {
		t.Parallel()
		s := newShell(t, append(mariaDB(t), "APP_KEY="+goodKey)...)
		s.must(t, "migrate")
		test(t, s)
	})
}

func TestAnEventIsAppliedListedAndShown(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, s *shell) {
		if out := s.must(t, "event", "list"); !strings.Contains(out, "there are no events yet") {
			t.Errorf("before: %s", out)
		}
		file := s.file(t, "event.yaml", eventText)
		out := s.must(t, "event", "apply", file)
		if !strings.Contains(out, "night-run") || !strings.Contains(out, "/e/night-run") {
			t.Errorf("apply: %s", out)
		}
		if again := s.must(t, "event", "apply", file); strings.Contains(again, "quota") {
			t.Errorf("the same again changes something: %s", again)
		}
		bigger := s.file(t, "bigger.yaml", strings.Replace(eventText, "size: 50", "size: 75", 1))
		if out := s.must(t, "event", "apply", bigger); !strings.Contains(out, "75") {
			t.Errorf("a bigger quota: %s", out)
		}
		if out := s.must(t, "event", "list"); strings.Count(out, "\n") != 1 || !strings.Contains(out, "night-run") || !strings.Contains(out, "2020-12-01 10:00 WIB") {
			t.Errorf("list: %s", out)
		}
		if out := s.must(t, "event", "show", "night-run"); !strings.Contains(out, "Lari Malam") || !strings.Contains(out, "75") || !strings.Contains(out, "total") {
			t.Errorf("show: %s", out)
		}
		if sentence := s.refused(t, exitNo, "event", "show", "none"); sentence != `there is no event "none": gapura event list shows them` {
			t.Error(sentence)
		}
		if sentence := s.refused(t, exitNo, "audit", "none"); sentence != "there is no such event: gapura event list shows them" {
			t.Error(sentence)
		}
		clash := s.file(t, "clash.yaml", strings.Replace(eventText, "slug: night-run", "slug: night-run-2\ncode: NR", 1))
		if sentence := s.refused(t, exitNo, "event", "apply", clash); !strings.Contains(sentence, "another event has the code NR") {
			t.Error(sentence)
		}
	})
}

func TestABadEventFileIsRefusedWithTheLine(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	file := s.file(t, "event.yaml", strings.Replace(eventText, "distance_m: 10000, price: 250000", "distance_m: -1, price: lots", 1))
	code, out, errs := s.run(t, "event", "apply", file)
	lines := strings.Split(strings.TrimSpace(errs), "\n")
	if code != exitNo || out != "" || len(lines) != 2 {
		t.Fatalf("%d %q %q", code, out, errs)
	}
	for _, line := range lines {
		if !strings.HasPrefix(line, "gapura: "+file+":8: ") {
			t.Errorf("not FILE:LINE: REASON: %s", line)
		}
	}
	if sentence := s.refused(t, exitNo, "event", "apply", filepath.Join(s.directory, "none.yaml")); !strings.HasPrefix(sentence, "cannot read") || strings.Count(sentence, "none.yaml") != 1 {
		t.Error(sentence)
	}
	if out := s.must(t, "event", "list"); !strings.Contains(out, "no events yet") {
		t.Errorf("a refused file left %s", out)
	}
	withoutQuotas, _, _ := strings.Cut(eventText, "quotas:")
	unlimited := s.file(t, "unlimited.yaml", withoutQuotas)
	if out := s.must(t, "event", "apply", unlimited); !strings.Contains(out, "warning: ") {
		t.Errorf("no warning about missing quotas: %s", out)
	}
}

// register sends one order and returns its status and document.
func register(t *testing.T, server *server, key, name string) (int, map[string]any) {
	t.Helper()
	body := `{"contact":{"name":"` + name + `","email":"` + key + `@example.id","phone":"0812-3456-789"},"participants":[{"category":"fun","name":"` +
		name + `","email":"` + key + `@example.id","phone":"08123` + strings.Repeat("0", 6-len(key)) + key + `","birth_date":"1994-05-02","gender":"female"}]}`
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/api/v1/events/night-run/orders", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", key)
	r.Close = true
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Body.Close() }()
	var document map[string]any
	if err := json.NewDecoder(w.Body).Decode(&document); err != nil {
		t.Fatal(err)
	}
	return w.StatusCode, document
}

func TestWhatIsSoldIsCountedAuditedAndKept(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, s *shell) {
		s.must(t, "event", "apply", s.file(t, "event.yaml", eventText))
		server := s.serve(t, "serve")
		for _, key := range []string{"1", "2", "3"} {
			if status, document := register(t, server, key, "Siti Aminah"); status != 201 || document["status"] != "confirmed" {
				t.Fatalf("%d %v", status, document)
			}
		}
		shrunk := s.file(t, "shrunk.yaml", strings.Replace(eventText, "size: 50", "size: 2", 1))
		sentence := s.refused(t, exitNo, "event", "apply", shrunk)
		if !strings.HasPrefix(sentence, shrunk+":11: ") || !strings.Contains(sentence, "3") {
			t.Errorf("shrinking below what is sold: %s", sentence)
		}
		server.end(t)
		out := s.must(t, "audit")
		for _, invariant := range []string{" 1 ", " 2 ", " 3 ", " 4 ", " 5 ", " 8 ", " 9 "} {
			if !strings.Contains(out, "ok      "+invariant) {
				t.Errorf("invariant %s is not checked:\n%s", invariant, out)
			}
		}
		plant(t, s, "UPDATE counters SET taken = taken + 1 WHERE kind = 'quota'")
		code, out, errs := s.run(t, "audit", "night-run")
		if code != exitNo || errs != "" || strings.Count(out, "BROKEN") != 1 || !strings.Contains(out, "BROKEN   2 ") {
			t.Errorf("a wrong counter: exit %d\n%s%s", code, out, errs)
		}
		plant(t, s, "UPDATE counters SET taken = taken - 1 WHERE kind = 'quota'")
		s.must(t, "audit")
		plant(t, s, "DELETE FROM participants")
		if code, out, _ := s.run(t, "audit"); code != exitNo || !strings.Contains(out, "BROKEN   5 ") {
			t.Errorf("an order without participants: exit %d\n%s", code, out)
		}
	})
}

// TestADamagedEventIsNamedAndMended: the list and the audit show the others and say what to do; applying the file again mends it.
func TestADamagedEventIsNamedAndMended(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, s *shell) {
		other := strings.NewReplacer("night-run", "other-run", "code: NR", "code: OR").Replace(eventText)
		file := s.file(t, "event.yaml", eventText)
		s.must(t, "event", "apply", file)
		s.must(t, "event", "apply", s.file(t, "other.yaml", other))
		plant(t, s, "UPDATE events SET definition = 'no JSON' WHERE slug = 'night-run'")
		for _, command := range [][]string{{"event", "list"}, {"audit"}} {
			code, out, errs := s.run(t, command...)
			if code != exitNo || !strings.Contains(out, "other-run") || !strings.Contains(errs, "apply the files of these events again: event ") {
				t.Errorf("%v: exit %d\n%s%s", command, code, out, errs)
			}
		}
		s.must(t, "event", "show", "other-run")
		s.must(t, "event", "apply", file)
		s.must(t, "audit")
		s.must(t, "event", "show", "night-run")
	})
}

// plant runs a statement in the shell's database, as no part of the program would.
func plant(t *testing.T, s *shell, statement string) {
	t.Helper()
	cfg, err := loadConfig(s.environment, s.directory)
	if err != nil {
		t.Fatal(err)
	}
	options, err := cfg.database(nil)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open(options.Driver, options.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func TestMariaDBIsMigratedByItsOwnCommandOnly(t *testing.T) {
	t.Parallel()
	s := newShell(t, append(mariaDB(t), "APP_KEY="+goodKey)...)
	for _, line := range []string{"serve", "work", "event list", "audit"} {
		if sentence := s.refused(t, exitNo, strings.Fields(line)...); !strings.HasSuffix(sentence, "behind: run gapura migrate") {
			t.Errorf("gapura %s: %s", line, sentence)
		}
	}
	if code, out, _ := s.run(t, "doctor"); code != exitNo || !strings.Contains(out, "run gapura migrate") {
		t.Errorf("doctor: %d\n%s", code, out)
	}
	if out := s.must(t, "migrate"); !strings.Contains(out, "applied 00001_registration.sql") {
		t.Errorf("first: %s", out)
	}
	if out := s.must(t, "migrate"); out != "the schema is up to date\n" {
		t.Errorf("second: %s", out)
	}
	if sentence := s.refused(t, exitNo, "demo"); !strings.Contains(sentence, "the demo runs on SQLite") {
		t.Error(sentence)
	}
}

func TestDoctor(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, s *shell) {
		_, out, errs := s.run(t, "doctor") // the machine's own limits are not this test's
		for _, check := range []string{"configuration", "database", "keys", "clock"} {
			if !strings.Contains(out, "ok    "+check) {
				t.Errorf("%s is not ok:\n%s%s", check, out, errs)
			}
		}
		for _, check := range []string{"disk", "open files", "connection backlog"} {
			if !strings.Contains(out, check) {
				t.Errorf("%s is not checked:\n%s", check, out)
			}
		}
		if code, _, _ := s.run(t, "doctor"); (code == exitNo) != strings.Contains(out, "FAIL") {
			t.Errorf("exit %d with\n%s", code, out)
		}
	})
	t.Run("nothing listens", func(t *testing.T) {
		t.Parallel()
		s := newShell(t, "DB_CONNECTION=mariadb", "DB_PORT=1", "DB_DATABASE=x", "DB_USERNAME=x")
		code, out, _ := s.run(t, "doctor")
		if code != exitNo || !strings.Contains(out, "FAIL  database") || !strings.Contains(out, "the DB_ variables") {
			t.Errorf("%d\n%s", code, out)
		}
	})
	t.Run("production", func(t *testing.T) {
		t.Parallel()
		for settings, want := range map[string]string{
			"APP_URL=http://daftar.example.id":  "APP_URL is not https",
			"APP_URL=https://daftar.example.id": "DB_CONNECTION is sqlite",
		} {
			s := newShell(t, "APP_ENV=production", "APP_KEY="+goodKey, settings)
			if code, out, _ := s.run(t, "doctor"); code != exitNo || !strings.Contains(out, want) {
				t.Errorf("%s: %d\n%s", settings, code, out)
			}
		}
	})
	t.Run("a server that could lose commits", func(t *testing.T) {
		t.Parallel()
		private := peers.PrivateMariaDB(t)
		name, err := private.CreateDatabase(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		host, port, err := net.SplitHostPort(private.Address())
		if err != nil {
			t.Fatal(err)
		}
		s := newShell(t, "APP_KEY="+goodKey, "DB_CONNECTION=mariadb", "DB_HOST="+host, "DB_PORT="+port, "DB_DATABASE="+name,
			"DB_USERNAME="+private.Username(), "DB_PASSWORD="+private.Password())
		s.must(t, "migrate")
		admin, err := sql.Open("mysql", private.AdminDSN(""))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = admin.Close() }()
		if _, err := admin.ExecContext(t.Context(), "SET GLOBAL innodb_flush_log_at_trx_commit = 2"); err != nil {
			t.Fatal(err)
		}
		if code, out, _ := s.run(t, "doctor"); code != exitNo || !strings.Contains(out, "innodb_flush_log_at_trx_commit is 2: set it to 1") {
			t.Errorf("%d\n%s", code, out)
		}
	})
}

func get(t *testing.T, address string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Body.Close() }()
	text, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.StatusCode, string(text)
}

func TestTheDemoRunsTwiceInOneDirectory(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	first := s.serve(t, "demo", "--addr", "127.0.0.1:0")
	const event = "/api/v1/events/gapura-night-run-2027"
	if status, text := get(t, first.URL+event); status != 200 || !strings.Contains(text, `"state":"open"`) {
		t.Errorf("%d %s", status, text)
	}
	address := strings.TrimPrefix(first.URL, "http://")
	if sentence := s.refused(t, exitNo, "demo", "--addr", address); !strings.Contains(sentence, "cannot listen on "+address+": stop what uses the port") {
		t.Errorf("the port is in use: %s", sentence)
	}
	second := s.serve(t, "demo", "--addr", "127.0.0.1:0")
	for _, running := range []*server{first, second} {
		if status, _ := get(t, running.URL+event); status != 200 {
			t.Errorf("%s: %d", running.URL, status)
		}
	}
	first.end(t)
	second.end(t)
	third := s.serve(t, "demo", "--addr", "127.0.0.1:0")
	if status, text := get(t, third.URL+"/api/v1/events"); status != 200 || strings.Count(text, `"slug"`) != 1 {
		t.Errorf("%d %s", status, text)
	}
}

func TestServeSaysWhyItDoesNot(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	s := newShell(t, "HTTP_ADDR="+taken.Addr().String())
	if sentence := s.refused(t, exitNo, "serve"); !strings.Contains(sentence, "stop what uses the port, or set HTTP_ADDR") {
		t.Error(sentence)
	}
	s = newShell(t, "DB_CONNECTION=mariadb", "DB_PORT=1", "DB_DATABASE=x", "DB_USERNAME=x")
	if sentence := s.refused(t, exitNo, "serve"); !strings.Contains(sentence, "the database does not answer: check that it runs and the DB_ variables") {
		t.Error(sentence)
	}
	s = newShell(t)
	if sentence := s.refused(t, exitNo, "work"); sentence != "with SQLite gapura serve runs the workers itself: use gapura serve" {
		t.Error(sentence)
	}
	s = newShell(t, "APP_ENV=production", "APP_KEY="+goodKey)
	if sentence := s.refused(t, exitNo, "demo"); sentence != "the demo does not run with APP_ENV=production: use gapura serve" {
		t.Error(sentence)
	}
	notADirectory := s.file(t, "file", "")
	s = newShell(t, "DATA_DIRECTORY="+notADirectory)
	if sentence := s.refused(t, exitNo, "serve"); !strings.Contains(sentence, "make the data directory") {
		t.Error(sentence)
	}
}

func TestRehearseRefusesForeignMachines(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	if sentence := s.refused(t, exitNo, "rehearse", "--url", "http://daftar.example.id", "--no-audit"); !strings.Contains(sentence, "is not this machine") {
		t.Error(sentence)
	}
	if sentence := s.refused(t, exitNo, "rehearse", "--mail", "0.0.0.0:2525", "--no-audit"); !strings.Contains(sentence, "use a loopback address") {
		t.Error(sentence)
	}
}

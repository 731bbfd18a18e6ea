package app

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"gapura/internal/event"
	"gapura/internal/id"
	"gapura/internal/registration"
)

func keyOf(letter string) string {
	return "base64:" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(letter, 32)))
}

// secretsOf opens the shell's database as serve does and returns what registration would work with.
func secretsOf(t *testing.T, s *shell) (registration.Secrets, error) {
	t.Helper()
	cfg, err := loadConfig(s.environment, s.directory)
	if err != nil {
		t.Fatal(err)
	}
	p := &program{ctx: t.Context(), cfg: cfg}
	opened, err := p.openStore(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = opened.Close() }()
	keys, err := appKeys(cfg)
	if err != nil {
		return registration.Secrets{}, err
	}
	return keyring{keys}.registration(t.Context(), opened)
}

// Rotating APP_KEY must leave every order link and every claim as it was; forgetting the old key must be noticed.
func TestRotatingTheKey(t *testing.T) {
	t.Parallel()
	for name, database := range map[string][]string{"sqlite": nil, "mariadb": mariaDB(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShell(t, database...)
			with := func(settings ...string) (registration.Secrets, error) {
				changed := *s
				changed.environment = append(append([]string{}, s.environment...), settings...)
				return secretsOf(t, &changed)
			}
			old, err := with("APP_KEY=" + keyOf("a"))
			if err != nil {
				t.Fatal(err)
			}
			order := id.New()
			person := &registration.Participant{Email: "siti@example.id", Phone: "+628123456789"}
			by := []event.UniqueBy{event.UniqueByEmail, event.UniqueByPhone}
			claims, token := old.ClaimsOf(7, by, person), old.Token(order)

			if _, err := with("APP_KEY=" + keyOf("b")); err == nil || !strings.Contains(err.Error(), "put the former key into APP_PREVIOUS_KEYS") {
				t.Errorf("a wrong key: %v", err)
			}
			rotated, err := with("APP_KEY="+keyOf("b"), "APP_PREVIOUS_KEYS="+keyOf("x")+","+keyOf("a"))
			if err != nil {
				t.Fatal(err)
			}
			if got := rotated.ClaimsOf(7, by, person); len(got) != 2 || got[0] != claims[0] || got[1] != claims[1] {
				t.Error("a rotated key makes other claims: everybody could register again")
			}
			if !rotated.TokenValid(order, token) || rotated.Token(order) == token {
				t.Error("a link of the old key must open, and new links must be the new key's")
			}
			// It was sealed anew, so the old key may now be forgotten, which ends the old links.
			forgotten, err := with("APP_KEY=" + keyOf("b"))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(forgotten.Claims, old.Claims) || forgotten.TokenValid(order, token) || !forgotten.TokenValid(order, rotated.Token(order)) {
				t.Error("without the old key: the same claims, and only the new key's links")
			}
		})
	}
}

func TestAWrongKeyIsRefusedInOneSentence(t *testing.T) {
	t.Parallel()
	s := newShell(t, "APP_KEY="+keyOf("a"))
	s.must(t, "audit")
	s.environment = append(s.environment, "APP_KEY="+keyOf("b"))
	for _, command := range []string{"serve", "audit"} {
		if sentence := s.refused(t, exitNo, command); !strings.Contains(sentence, "APP_KEY does not open the database's secret") {
			t.Errorf("%s: %s", command, sentence)
		}
	}
	if code, out, _ := s.run(t, "doctor"); code != exitNo || !strings.Contains(out, "FAIL  keys ") {
		t.Errorf("doctor: %d\n%s", code, out)
	}
}

func TestProcessesThatStartTogetherMakeOneKey(t *testing.T) {
	t.Parallel()
	for range 20 {
		cfg := &Config{DataDirectory: filepath.Join(t.TempDir(), "new", "data")}
		var made sync.Map
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				keys, err := appKeys(cfg)
				if err != nil {
					t.Error(err)
					return
				}
				made.Store(string(keys[0]), true)
			})
		}
		all.Wait()
		n := 0
		made.Range(func(any, any) bool { n++; return true })
		files, err := os.ReadDir(cfg.DataDirectory)
		if n != 1 || err != nil || len(files) != 1 {
			t.Fatalf("%d keys, %d files, %v", n, len(files), err)
		}
		if info, err := files[0].Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("%v, %v", info, err)
		}
	}
}

func TestADamagedKeyFileIsNotReplaced(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.must(t, "audit")
	path := filepath.Join(s.directory, "data", appKeyFile)
	for _, content := range []string{"", "base64:", "base64:c2hvcnQ=", "garbage"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if sentence := s.refused(t, exitNo, "audit"); !strings.Contains(sentence, "is damaged: restore it from a backup, or set APP_KEY") {
			t.Errorf("%q: %s", content, sentence)
		}
		if kept, err := os.ReadFile(path); err != nil || string(kept) != content {
			t.Errorf("%q became %q", content, kept)
		}
	}
}

package app

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var goodKey = "base64:" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))

func TestAWrongValueIsNamedWithWhatIsAllowed(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]string{
		"APP_ENV=staging":              `APP_ENV is "staging": use local or production`,
		"APP_LOCALE=fr":                `APP_LOCALE is "fr": use id or en`,
		"LOG_LEVEL=loud":               `LOG_LEVEL is "loud": use debug or info or warn or error`,
		"DB_CONNECTION=pgsql":          `DB_CONNECTION is "pgsql": use sqlite or mysql or mariadb`,
		"CACHE_STORE=file":             `CACHE_STORE is "file": use memory or redis`,
		"MAIL_MAILER=ses":              `MAIL_MAILER is "ses": use log or smtp`,
		"CAPTCHA_PROVIDER=re":          `CAPTCHA_PROVIDER is "re": use none or altcha or turnstile`,
		"DB_PORT=mysql":                `DB_PORT is "mysql": use a whole number`,
		"DB_PORT=70000":                `DB_PORT is 70000: use a port from 1 to 65535`,
		"DRAW_CLOSES_BEFORE=5s":        `DRAW_CLOSES_BEFORE is 5s: use 6s to 24h`,
		"COMMIT_BATCH=-1":              `COMMIT_BATCH is -1: use 1 or more, or leave it empty`,
		"REDIS_DB=-1":                  `REDIS_DB is -1: use 0 or more`,
		"MIDTRANS_IS_PRODUCTION=ya":    `MIDTRANS_IS_PRODUCTION is "ya": use true or false`,
		"HTTP_ADDR=8080":               `HTTP_ADDR is "8080": use host:port, such as 127.0.0.1:8080`,
		"APP_URL=daftar.example.id":    `APP_URL is "daftar.example.id": use an address such as https://daftar.example.id`,
		"APP_URL=ftp://x":              `APP_URL is "ftp://x": use an address such as https://daftar.example.id`,
		"TRUSTED_PROXIES=10.0.0.0/8,*": `TRUSTED_PROXIES has "*": use addresses or ranges such as 10.0.0.0/8`,
		"DB_CONNECTION=mariadb":        `DB_DATABASE or DB_USERNAME is empty: mariadb needs both`,
		"QUEUE_CONNECTION=redis":       `REDIS_HOST and REDIS_URL are empty: CACHE_STORE, QUEUE_CONNECTION or SESSION_DRIVER ask for redis`,
		"APP_ENV=production":           `APP_KEY is empty: production needs one, such as base64:$(openssl rand -base64 32)`,
		"APP_KEY=short":                `APP_KEY has 5 bytes: use at least 32, such as base64:$(openssl rand -base64 32)`,
		"APP_KEY=base64:???":           `APP_KEY is not base64: make one with base64:$(openssl rand -base64 32)`,
		"APP_PREVIOUS_KEYS=base64:??":  `APP_PREVIOUS_KEYS is not base64: make one with base64:$(openssl rand -base64 32)`,
	} {
		if _, err := loadConfig([]string{setting}, t.TempDir()); err == nil || err.Error() != want {
			t.Errorf("%s:\n%v\nwant\n%s", setting, err, want)
		}
	}
}

func TestEveryWrongValueIsNamedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := loadConfig([]string{"DB_PORT=x", "REDIS_DB=y"}, t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "DB_PORT") || !strings.Contains(err.Error(), "REDIS_DB") {
		t.Errorf("unreadable: %v", err)
	}
	_, err = loadConfig([]string{"APP_ENV=x", "LOG_LEVEL=y", "HTTP_ADDR=z"}, t.TempDir())
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("not allowed: %v", err)
	}
}

func TestASecretIsNeverPrinted(t *testing.T) {
	t.Parallel()
	const secret = "hunter2hunter2"
	config := reflect.TypeFor[Config]()
	tried := 0
	for i := range config.NumField() {
		field := config.Field(i)
		name := field.Tag.Get("env")
		secretive := regexp.MustCompile(`(KEY|KEYS|PASSWORD|SECRET|DSN|URL)$`).MatchString(name) &&
			!slices.Contains([]string{
				"APP_URL", "MIDTRANS_BASE_URL", "MIDTRANS_SNAP_URL", "FIREBASE_DATABASE_URL", "MIDTRANS_CLIENT_KEY", "TURNSTILE_SITE_KEY",
			}, name)
		if marked := field.Tag.Get("secret") == "true"; marked != secretive {
			t.Errorf("%s: marked as a secret: %t", name, marked)
		}
		if field.Tag.Get("secret") != "true" {
			continue
		}
		tried++
		for _, value := range []string{secret, "base64:" + secret + "!", "\x00" + secret} {
			// A second fault makes sure that there is an error to look at.
			if _, err := loadConfig([]string{name + "=" + value, "DB_PORT=x"}, t.TempDir()); err == nil || strings.Contains(err.Error(), secret) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if tried < 8 {
		t.Errorf("only %d secrets", tried)
	}
	s := newShell(t)
	for _, broken := range []string{"DB_PASSWORD=\"" + secret, "DB_PASSWORD='" + secret + "\nX=1", "DB!PASSWORD=" + secret} {
		s.file(t, ".env", broken)
		if sentence := s.refused(t, exitUsage, "event", "list"); strings.Contains(sentence, secret) || !strings.Contains(sentence, ".env") {
			t.Errorf("%q: %s", broken, sentence)
		}
	}
}

func TestTheDatabasesPasswordIsNotPrintedWhenItIsWrong(t *testing.T) {
	t.Parallel()
	s := newShell(t, append(mariaDB(t), "DB_PASSWORD=hunter2hunter2")...)
	if sentence := s.refused(t, exitNo, "event", "list"); strings.Contains(sentence, "hunter2") || !strings.Contains(sentence, "check that it runs and the DB_ variables") {
		t.Error(sentence)
	}
}

func TestTheEnvironmentWinsOverTheFile(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	text := "APP_LOCALE=en\nLOG_LEVEL=debug # a remark\nAPP_URL=\"https://daftar.example.id\"\nMAIL_FROM_NAME='Gapura Run'\nREDIS_PASSWORD=null\nDB_SOCKET=(null)\nREDIS_HOST=\nexport MAIL_HOST=mail.example.id\n"
	if err := os.WriteFile(filepath.Join(directory, ".env"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := loadConfig([]string{"LOG_LEVEL=warn", "PATH=/bin", "NOT_A_PAIR", "APP_LOCALE="}, directory)
	if err != nil {
		t.Fatal(err)
	}
	// An empty variable counts as not set, as an unset one in a container's environment would be: the default applies.
	if cfg.LogLevel != "warn" || cfg.AppLocale != "id" || cfg.AppURL != "https://daftar.example.id" || cfg.MailFromName != "Gapura Run" ||
		cfg.RedisPassword != "" || cfg.DBSocket != "" || cfg.RedisHost != "" || cfg.MailHost != "mail.example.id" {
		t.Errorf("%+v", cfg)
	}
	if level := cfg.level().String(); level != "WARN" {
		t.Errorf("level %s", level)
	}
}

func TestKeysInEveryForm(t *testing.T) {
	t.Parallel()
	raw := strings.Repeat("r", 32)
	cfg, err := loadConfig([]string{"APP_KEY=" + goodKey, "APP_PREVIOUS_KEYS=" + raw + ", " + goodKey + " ,"}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	keys, err := cfg.keys()
	k := strings.Repeat("k", 32)
	if err != nil || len(keys) != 3 || string(keys[0]) != k || string(keys[1]) != raw || string(keys[2]) != k {
		t.Errorf("%q, %v", keys, err)
	}
}

func TestBaseURL(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{
		{"", "127.0.0.1:8080", "http://127.0.0.1:8080"},
		{"", ":8080", "http://localhost:8080"},
		{"", "0.0.0.0:80", "http://localhost:80"},
		{"", "[::]:8080", "http://localhost:8080"},
		{"", "[::1]:8080", "http://[::1]:8080"},
		{"https://daftar.example.id/", ":80", "https://daftar.example.id"},
	} {
		if got := (&Config{AppURL: c[0], HTTPAddr: c[1]}).baseURL(); got != c[2] {
			t.Errorf("%v: %s", c, got)
		}
	}
}

// .env.example is where an operator looks: every variable with its default, or commented out.
func TestTheExampleAndTheConfigAgree(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", ".env.example"))
	if err != nil {
		t.Fatal(err)
	}
	example := map[string]string{}
	for _, match := range regexp.MustCompile(`(?m)^(#? ?)([A-Z_]+)=(.*)$`).FindAllStringSubmatch(string(text), -1) {
		// What is set twice, once commented out as an example for another database, counts where it is set.
		if _, twice := example[match[2]]; !twice || match[1] == "" {
			example[match[2]] = match[3]
		}
	}
	config := reflect.TypeFor[Config]()
	illustrations := map[string]bool{ // values that say how, beside an empty default
		"APP_URL": true, "DB_DATABASE": true, "DB_USERNAME": true, "DB_SOCKET": true, "REDIS_HOST": true, "REDIS_URL": true,
		"COMMIT_BATCH": true, "DEBUG_ADDR": true, "REDIS_DB": true, "MIDTRANS_IS_PRODUCTION": true,
	}
	for i := range config.NumField() {
		name, value := config.Field(i).Tag.Get("env"), config.Field(i).Tag.Get("envDefault")
		given, ok := example[name]
		if !ok {
			t.Errorf("%s is not in .env.example", name)
		}
		if given != value && (!illustrations[name] || value != "") {
			t.Errorf("%s is %q in .env.example and %q without it", name, given, value)
		}
		delete(example, name)
	}
	for name := range example {
		t.Errorf("%s is in .env.example and read by nobody", name)
	}
	s := newShell(t)
	s.file(t, ".env", string(text))
	s.must(t, "event", "list")
}

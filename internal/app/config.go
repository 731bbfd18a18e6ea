package app

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/go-sql-driver/mysql"
	"github.com/joho/godotenv"

	"gapura/internal/store"
	"gapura/internal/waitroom"
)

// Config is the environment as it was read once at start. Its names are those of the team's Laravel .env.
type Config struct {
	AppEnv          string   `env:"APP_ENV" envDefault:"local" allowed:"local,production"`
	AppKey          string   `env:"APP_KEY" secret:"true"`
	AppPreviousKeys []string `env:"APP_PREVIOUS_KEYS" secret:"true"`
	AppURL          string   `env:"APP_URL"`
	AppLocale       string   `env:"APP_LOCALE" envDefault:"id" allowed:"id,en"`
	HTTPAddr        string   `env:"HTTP_ADDR" envDefault:"127.0.0.1:8080"`
	TrustedProxies  []string `env:"TRUSTED_PROXIES"`
	RateLimits      string   `env:"RATE_LIMITS" envDefault:"on" allowed:"on,shadow,off"`
	LogLevel        string   `env:"LOG_LEVEL" envDefault:"info" allowed:"debug,info,warn,error"`
	DataDirectory   string   `env:"DATA_DIRECTORY" envDefault:"data"`
	DebugAddr       string   `env:"DEBUG_ADDR"`   // where Go's profiles and a worker's metrics are served; nowhere if empty
	CommitBatch     int      `env:"COMMIT_BATCH"` // registrations in one transaction; 1 is for measurements

	// How long before opening the list of a draw closes: long enough to save the published hash before the seed is out.
	DrawClosesBefore time.Duration `env:"DRAW_CLOSES_BEFORE" envDefault:"1m"`

	DBConnection string `env:"DB_CONNECTION" envDefault:"sqlite" allowed:"sqlite,mysql,mariadb"`
	DBHost       string `env:"DB_HOST" envDefault:"127.0.0.1"`
	DBPort       int    `env:"DB_PORT" envDefault:"3306"`
	DBDatabase   string `env:"DB_DATABASE"`
	DBUsername   string `env:"DB_USERNAME"`
	DBPassword   string `env:"DB_PASSWORD" secret:"true"`
	DBSocket     string `env:"DB_SOCKET"`

	RedisHost     string `env:"REDIS_HOST"`
	RedisPort     int    `env:"REDIS_PORT" envDefault:"6379"`
	RedisUsername string `env:"REDIS_USERNAME"`
	RedisPassword string `env:"REDIS_PASSWORD" secret:"true"`
	RedisDB       int    `env:"REDIS_DB"`
	RedisURL      string `env:"REDIS_URL" secret:"true"`

	CacheStore      string `env:"CACHE_STORE" envDefault:"memory" allowed:"memory,redis"`
	QueueConnection string `env:"QUEUE_CONNECTION" envDefault:"memory" allowed:"memory,redis"`
	SessionDriver   string `env:"SESSION_DRIVER" envDefault:"memory" allowed:"memory,redis"`

	MailMailer      string `env:"MAIL_MAILER" envDefault:"log" allowed:"log,smtp"`
	MailHost        string `env:"MAIL_HOST" envDefault:"127.0.0.1"`
	MailPort        int    `env:"MAIL_PORT" envDefault:"587"`
	MailUsername    string `env:"MAIL_USERNAME"`
	MailPassword    string `env:"MAIL_PASSWORD" secret:"true"`
	MailFromAddress string `env:"MAIL_FROM_ADDRESS" envDefault:"noreply@example.id"`
	MailFromName    string `env:"MAIL_FROM_NAME" envDefault:"Gapura"`
	MailRate        int    `env:"MAIL_RATE" envDefault:"100"` // mails a second from one process

	MidtransServerKey    string `env:"MIDTRANS_SERVER_KEY" secret:"true"`
	MidtransClientKey    string `env:"MIDTRANS_CLIENT_KEY"`
	MidtransIsProduction bool   `env:"MIDTRANS_IS_PRODUCTION"`
	MidtransBaseURL      string `env:"MIDTRANS_BASE_URL"`
	MidtransSnapURL      string `env:"MIDTRANS_SNAP_URL"`
	MidtransRate         int    `env:"MIDTRANS_RATE" envDefault:"50"` // calls a second from one process

	CaptchaProvider    string `env:"CAPTCHA_PROVIDER" allowed:"none,altcha,turnstile"` // empty: altcha in production, none elsewhere
	TurnstileSiteKey   string `env:"TURNSTILE_SITE_KEY"`
	TurnstileSecretKey string `env:"TURNSTILE_SECRET_KEY" secret:"true"`

	FirebaseCredentials string `env:"FIREBASE_CREDENTIALS"`
	FirebaseDatabaseURL string `env:"FIREBASE_DATABASE_URL"`
	StravaClientID      string `env:"STRAVA_CLIENT_ID"`
	StravaClientSecret  string `env:"STRAVA_CLIENT_SECRET" secret:"true"`
	SentryDSN           string `env:"SENTRY_DSN" secret:"true"`
	OTLPEndpoint        string `env:"OTEL_EXPORTER_OTLP_ENDPOINT"`
}

// loadConfig reads .env in directory, if there is one, and the environment, which wins.
func loadConfig(environment []string, directory string) (*Config, error) {
	values, err := godotenv.Read(filepath.Join(directory, ".env"))
	if errors.Is(err, fs.ErrNotExist) {
		values, err = map[string]string{}, nil
	}
	if err != nil {
		// godotenv's error repeats the line, which may hold a secret.
		return nil, errors.New(".env cannot be read: write one NAME=value a line, with quotes around a value that has spaces or #")
	}
	for _, pair := range environment {
		name, value, _ := strings.Cut(pair, "=")
		values[name] = value
	}
	for name, value := range values {
		if value == "" || value == "null" || value == "(null)" { // Laravel writes null for what is not set
			delete(values, name)
		}
	}
	cfg := &Config{}
	if err := env.ParseWithOptions(cfg, env.Options{Environment: values}); err != nil {
		return nil, wrongValues(err, values)
	}
	if cfg.CaptchaProvider == "" {
		cfg.CaptchaProvider = defaultCaptcha(cfg.AppEnv)
	}
	trim(cfg.TrustedProxies)
	trim(cfg.AppPreviousKeys)
	if err := errors.Join(allowedValues(cfg), cfg.check()); err != nil {
		return nil, err
	}
	return cfg, nil
}

// defaultCaptcha is the one that needs nobody outside, where there is a public to ask.
func defaultCaptcha(env string) string {
	if env == "production" {
		return "altcha"
	}
	return "none"
}

// trim removes the spaces that people write after the commas of a list.
func trim(list []string) {
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
}

// wrongValues says which variables cannot be read, without the parser's own words: they repeat the values.
func wrongValues(err error, values map[string]string) error {
	all := []error{err}
	if several := (env.AggregateError{}); errors.As(err, &several) {
		all = several.Errors
	}
	var faults []error
	for _, one := range all {
		var parse env.ParseError
		if !errors.As(one, &parse) {
			return errors.New("the environment cannot be read: compare it with .env.example")
		}
		faults = append(faults, wrongValue(parse, values))
	}
	return errors.Join(faults...)
}

func wrongValue(parse env.ParseError, values map[string]string) error {
	field, _ := reflect.TypeFor[Config]().FieldByName(parse.Name)
	name := field.Tag.Get("env")
	wanted := "a whole number"
	switch {
	case field.Type == reflect.TypeFor[time.Duration]():
		wanted = "a time such as 90s or 1m"
	case field.Type != nil && field.Type.Kind() == reflect.Bool:
		wanted = "true or false"
	}
	return fmt.Errorf("%s is %q: use %s", name, shown(field, values[name]), wanted)
}

// allowedValues checks every variable that has a list of values.
func allowedValues(cfg *Config) error {
	var faults []error
	v := reflect.ValueOf(cfg).Elem()
	for i := range v.NumField() {
		field := v.Type().Field(i)
		allowed := field.Tag.Get("allowed")
		if allowed == "" || slices.Contains(strings.Split(allowed, ","), v.Field(i).String()) {
			continue
		}
		faults = append(faults, fmt.Errorf("%s is %q: use %s", field.Tag.Get("env"), shown(field, v.Field(i).String()),
			strings.ReplaceAll(allowed, ",", " or ")))
	}
	return errors.Join(faults...)
}

func shown(field reflect.StructField, value string) string {
	if field.Tag.Get("secret") == "true" {
		return "(a secret)"
	}
	return value
}

// check finds what contradicts itself.
func (c *Config) check() error {
	var faults []error
	fail := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.AppEnv == "production" && c.AppKey == "" {
		fail("APP_KEY is empty: production needs one, such as base64:$(openssl rand -base64 32)")
	}
	if _, err := c.keys(); err != nil {
		faults = append(faults, err)
	}
	if _, _, err := net.SplitHostPort(c.HTTPAddr); err != nil {
		fail("HTTP_ADDR is %q: use host:port, such as 127.0.0.1:8080", c.HTTPAddr)
	}
	if u, err := url.Parse(c.AppURL); err != nil || (c.AppURL != "" && (u.Host == "" || (u.Scheme != "http" && u.Scheme != "https"))) {
		fail("APP_URL is %q: use an address such as https://daftar.example.id", c.AppURL)
	}
	for _, port := range []struct {
		name  string
		value int
	}{{"DB_PORT", c.DBPort}, {"REDIS_PORT", c.RedisPort}, {"MAIL_PORT", c.MailPort}} {
		if port.value < 1 || port.value > 65535 {
			fail("%s is %d: use a port from 1 to 65535", port.name, port.value)
		}
	}
	for _, rate := range []struct {
		name  string
		value int
	}{{"MAIL_RATE", c.MailRate}, {"MIDTRANS_RATE", c.MidtransRate}} {
		if rate.value < 1 {
			fail("%s is %d: use 1 or more a second", rate.name, rate.value)
		}
	}
	if c.CommitBatch < 0 {
		fail("COMMIT_BATCH is %d: use 1 or more, or leave it empty", c.CommitBatch)
	}
	// Later, and the hash of the list would not have stood for long enough at opening: the room would open late.
	if c.DrawClosesBefore < waitroom.MinimumGap+time.Second || c.DrawClosesBefore > 24*time.Hour {
		fail("DRAW_CLOSES_BEFORE is %s: use %s to 24h", c.DrawClosesBefore, waitroom.MinimumGap+time.Second)
	}
	if c.RedisDB < 0 {
		fail("REDIS_DB is %d: use 0 or more", c.RedisDB)
	}
	if (c.DBConnection == "mysql" || c.DBConnection == "mariadb") && (c.DBDatabase == "" || c.DBUsername == "") {
		fail("DB_DATABASE or DB_USERNAME is empty: %s needs both", c.DBConnection)
	}
	for _, proxy := range c.TrustedProxies {
		if _, err := proxyPrefix(proxy); err != nil {
			fail("TRUSTED_PROXIES has %q: use addresses or ranges such as 10.0.0.0/8", proxy)
		}
	}
	if (c.CacheStore == "redis" || c.QueueConnection == "redis" || c.SessionDriver == "redis") && c.RedisHost == "" && c.RedisURL == "" {
		fail("REDIS_HOST and REDIS_URL are empty: CACHE_STORE, QUEUE_CONNECTION or SESSION_DRIVER ask for redis")
	}
	return errors.Join(faults...)
}

func proxyPrefix(text string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	return netip.ParsePrefix(text)
}

// minKeyBytes is 256 bits, what Laravel's key:generate makes.
const minKeyBytes = 32

// keys returns APP_KEY and the previous ones as bytes; none if APP_KEY is empty.
func (c *Config) keys() ([][]byte, error) {
	var all [][]byte
	for i, text := range append([]string{c.AppKey}, c.AppPreviousKeys...) {
		name := "APP_KEY"
		if i > 0 {
			name = "APP_PREVIOUS_KEYS"
		}
		if text == "" {
			continue
		}
		raw := []byte(text)
		if encoded, ok := strings.CutPrefix(text, "base64:"); ok {
			var err error
			if raw, err = base64.StdEncoding.DecodeString(encoded); err != nil {
				return nil, fmt.Errorf("%s is not base64: make one with base64:$(openssl rand -base64 32)", name)
			}
		}
		if len(raw) < minKeyBytes {
			return nil, fmt.Errorf("%s has %d bytes: use at least %d, such as base64:$(openssl rand -base64 32)", name, len(raw), minKeyBytes)
		}
		all = append(all, raw)
	}
	return all, nil
}

// level returns LOG_LEVEL for slog.
func (c *Config) level() slog.Level {
	var level slog.Level
	// allowedValues has checked the name.
	_ = level.UnmarshalText([]byte(c.LogLevel))
	return level
}

// baseURL is how the world reaches this server.
func (c *Config) baseURL() string {
	if c.AppURL != "" {
		return strings.TrimRight(c.AppURL, "/")
	}
	host, port, err := net.SplitHostPort(c.HTTPAddr)
	if address, parseErr := netip.ParseAddr(host); err == nil && (host == "" || parseErr == nil && address.IsUnspecified()) {
		return "http://" + net.JoinHostPort("localhost", port) // listening on every address is none that a browser can open
	}
	return "http://" + c.HTTPAddr
}

// database returns what the store needs. For SQLite it makes the data directory.
func (c *Config) database(log *slog.Logger) (store.Options, error) {
	if c.DBConnection == "sqlite" {
		path := c.DBDatabase
		if path == "" {
			path = filepath.Join(c.DataDirectory, "gapura.db")
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return store.Options{}, fmt.Errorf("cannot make the data directory: name one that can be written in DATA_DIRECTORY (%w)", err)
		}
		return store.Options{Driver: store.DriverSQLite, DSN: path, Log: log}, nil
	}
	dsn := mysql.NewConfig()
	dsn.User, dsn.Passwd, dsn.DBName = c.DBUsername, c.DBPassword, c.DBDatabase
	dsn.Net, dsn.Addr = "tcp", net.JoinHostPort(c.DBHost, strconv.Itoa(c.DBPort))
	if c.DBSocket != "" {
		dsn.Net, dsn.Addr = "unix", c.DBSocket
	}
	return store.Options{Driver: store.DriverMySQL, DSN: dsn.FormatDSN(), Log: log}, nil
}

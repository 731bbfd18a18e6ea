package peers

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

// MariaDBEnv names a server that is already running (a go-sql-driver DSN without a database); the shared instance is then
// that one. Its account needs every right on databases named gapura_%.
const MariaDBEnv = "GAPURA_TEST_MARIADB"

const (
	databasePrefix = "gapura_"
	appUser        = "gapura"
	appPassword    = "gapura" // the server listens on loopback only and lives for minutes
	mariadbHint    = "apt-get install mariadb-server, or make setup"
)

// MariaDBServer is a MariaDB that commits durably: its redo log is flushed at every commit.
type MariaDBServer struct {
	app, admin *mysql.Config
	dir        *dataDir
	socket     string
	process    *process // nil when the server belongs to somebody else
}

// StartMariaDB starts a private server with empty data on a free port. Stop ends it and removes the data.
func StartMariaDB() (*MariaDBServer, error) {
	program, err := find(mariadbHint, "mariadbd", "mysqld")
	if err != nil {
		return nil, err
	}
	dir, err := newDir()
	if err != nil {
		return nil, err
	}
	s := &MariaDBServer{dir: dir, socket: dir.join("socket")}
	if err := s.install(program); err != nil {
		return nil, errors.Join(err, dir.remove())
	}
	return s, nil
}

func (s *MariaDBServer) install(program string) error {
	if err := installData(s.data(), s.dir.path); err != nil {
		return err
	}
	err := onFreePort(func(port int) error { return s.startOn(program, port) })
	if err != nil {
		return err
	}
	if err := s.createAppUser(); err != nil {
		s.process.stop()
		return err
	}
	return nil
}

func (s *MariaDBServer) data() string { return s.dir.join("data") }

// installData fills data. Temporary tables get a directory of their own: a server that starts clears the one it uses, and
// with it the tables of another that is being installed at the same moment.
func installData(data, temporary string) error {
	installer, err := find(mariadbHint, "mariadb-install-db", "mysql_install_db")
	if err != nil {
		return err
	}
	args := []string{
		"--no-defaults", "--datadir=" + data, "--tmpdir=" + temporary, "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve",
		"--innodb-log-file-size=4M",
	}
	out, err := exec.Command(installer, append(args, asRoot()...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("mariadb-install-db: %w:\n%s", err, out)
	}
	return nil
}

// asRoot lets the server run as root, which it otherwise refuses; a container's only user is often root.
func asRoot() []string {
	if os.Geteuid() != 0 {
		return nil
	}
	return []string{"--user=root"}
}

func (s *MariaDBServer) startOn(program string, port int) error {
	address := "127.0.0.1:" + strconv.Itoa(port)
	s.admin = connection("root", "", address)
	s.app = connection(appUser, appPassword, address)
	s.process = &process{
		name: "MariaDB", path: program, log: s.dir.join("log"), ready: s.ping,
		args: append([]string{
			"--no-defaults",
			"--datadir=" + s.data(),
			"--tmpdir=" + s.dir.path,
			"--socket=" + s.socket,
			"--pid-file=" + s.dir.join("pid"),
			"--bind-address=127.0.0.1",
			"--port=" + strconv.Itoa(port),
			"--skip-name-resolve",
			"--skip-log-bin",
			"--performance-schema=OFF",
			"--character-set-server=utf8mb4",
			"--innodb-flush-log-at-trx-commit=1",
			"--innodb-buffer-pool-size=256M",
			"--innodb-log-file-size=256M",
			"--max-connections=300",
		}, asRoot()...),
	}
	return s.process.start()
}

func connection(account, password, address string) *mysql.Config {
	c := mysql.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr = account, password, "tcp", address
	c.ParseTime, c.Loc = true, time.UTC
	c.Params = map[string]string{"time_zone": "'+00:00'"}
	_ = c.Apply(mysql.Charset("utf8mb4", "")) // Charset cannot fail
	return c
}

func (s *MariaDBServer) ping(ctx context.Context) error {
	return execute(ctx, s.admin, "DO 1")
}

// createAppUser makes the account that tests use: like the product's own, it may do anything in its databases and is no
// superuser, so that read_only and max_connections mean something.
func (s *MariaDBServer) createAppUser() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	account := "'" + appUser + "'@'%'"
	return execute(ctx, s.admin,
		"CREATE USER "+account+" IDENTIFIED BY '"+appPassword+"'",
		"GRANT ALL PRIVILEGES ON `"+strings.ReplaceAll(databasePrefix, "_", `\_`)+"%`.* TO "+account,
		"GRANT PROCESS ON *.* TO "+account,
	)
}

// execute runs statements on one short-lived connection.
func execute(ctx context.Context, config *mysql.Config, statements ...string) error {
	quiet := config.Clone()
	quiet.Logger = &mysql.NopLogger{} // a server that is just starting breaks connections; the error returned says so
	connector, err := mysql.NewConnector(quiet)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, statement := range statements {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// AttachMariaDB uses a running server; Kill, Start and Stop of such a server are refused.
func AttachMariaDB(dsn string) (*MariaDBServer, error) {
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", MariaDBEnv, err)
	}
	c := connection(config.User, config.Passwd, config.Addr)
	c.Net = config.Net
	return &MariaDBServer{app: c, admin: c}, nil
}

// DSN is the go-sql-driver data source name of database, which may be empty: utf8mb4, times parsed and in UTC.
func (s *MariaDBServer) DSN(database string) string { return withDatabase(s.app, database) }

// AdminDSN is DSN for the superuser, for tests that set global variables. Only on a server of their own.
func (s *MariaDBServer) AdminDSN(database string) string { return withDatabase(s.admin, database) }

func withDatabase(config *mysql.Config, database string) string {
	c := config.Clone()
	c.DBName = database
	return c.FormatDSN()
}

// Address is host:port.
func (s *MariaDBServer) Address() string { return s.app.Addr }

// Username is the account in DSN.
func (s *MariaDBServer) Username() string { return s.app.User }

// Password is the password in DSN.
func (s *MariaDBServer) Password() string { return s.app.Passwd }

// Socket is the path of the server's Unix socket, empty for a server of somebody else.
func (s *MariaDBServer) Socket() string { return s.socket }

// PID is the server's process id, 0 when it does not run or belongs to somebody else. MariaDB runs as one process.
func (s *MariaDBServer) PID() int {
	if s.process == nil {
		return 0
	}
	return s.process.pid()
}

// CreateDatabase makes an empty utf8mb4 database with a random name and returns the name.
func (s *MariaDBServer) CreateDatabase(ctx context.Context) (string, error) {
	name := databasePrefix + strings.ToLower(rand.Text()[:12])
	return name, execute(ctx, s.app, "CREATE DATABASE `"+name+"` CHARACTER SET utf8mb4")
}

// DropDatabase removes a database with everything in it.
func (s *MariaDBServer) DropDatabase(ctx context.Context, name string) error {
	return execute(ctx, s.app, "DROP DATABASE IF EXISTS `"+name+"`")
}

// Kill ends the server as a power cut would (SIGKILL) and returns when it is gone. Its data stays for Start.
func (s *MariaDBServer) Kill() error {
	if s.process == nil {
		return errNotOurs
	}
	return s.process.kill()
}

// Start starts a killed server again on the same data and port and returns when it answers.
func (s *MariaDBServer) Start() error {
	if s.process == nil {
		return errNotOurs
	}
	return s.process.start()
}

// Stop ends the server and removes its data. A server of somebody else is left alone.
func (s *MariaDBServer) Stop() error {
	if s.process == nil {
		return nil
	}
	// The data is thrown away in a moment: flushing it first would only cost time.
	_ = s.process.kill()
	return s.dir.remove()
}

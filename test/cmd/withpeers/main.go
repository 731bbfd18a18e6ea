// Command withpeers runs a command beside a private MariaDB and Redis with temporary data:
//
//	withpeers [-mariadb] [-redis] [-app] -- command [argument...]
//
// Without -mariadb and -redis both are started. The command finds them in GAPURA_TEST_MARIADB and GAPURA_TEST_REDIS, with
// -app also under the names of the program's own configuration (DB_HOST, REDIS_HOST and so on). A service whose variable
// is set already is used as it is. Its exit code is the command's; SIGINT and SIGTERM are passed on to the command, then
// the services are stopped.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"gapura/test/peers"
)

const (
	exitUsage   = 2
	exitSetup   = 3 // not 1, which is what a failing test gives
	exitSignal  = 128
	databaseFor = 30 * time.Second
	// patience is how long a command may take to end after a signal: the program's own graceful stop takes up to 25 s.
	patience = 30 * time.Second
)

type choice struct {
	mariadb, redis, app bool
	command             []string
}

func main() { os.Exit(run()) }

func run() int {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	c, err := parse(os.Args[1:])
	if err != nil {
		return exitUsage
	}
	environment, stop, err := startServices(c)
	defer stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "withpeers:", err)
		return exitSetup
	}
	return runCommand(c.command, environment, signals)
}

func parse(arguments []string) (choice, error) {
	var c choice
	flags := flag.NewFlagSet("withpeers", flag.ContinueOnError)
	flags.BoolVar(&c.mariadb, "mariadb", false, "start MariaDB")
	flags.BoolVar(&c.redis, "redis", false, "start Redis")
	flags.BoolVar(&c.app, "app", false, "also set DB_CONNECTION, DB_HOST, REDIS_HOST and so on, with a fresh database")
	if err := flags.Parse(arguments); err != nil {
		return c, err
	}
	if !c.mariadb && !c.redis {
		c.mariadb, c.redis = true, true
	}
	if c.command = flags.Args(); len(c.command) == 0 {
		fmt.Fprintln(os.Stderr, "usage: withpeers [-mariadb] [-redis] [-app] -- command [argument...]")
		return c, errors.New("no command")
	}
	return c, nil
}

// startServices returns the command's additional environment and what stops the services; stop is never nil.
func startServices(c choice) (environment []string, stop func(), err error) {
	var stops []func() error
	stop = func() {
		for _, s := range stops {
			if err := s(); err != nil {
				fmt.Fprintln(os.Stderr, "withpeers: stop:", err)
			}
		}
	}
	if c.mariadb {
		server, err := mariaDB()
		if err != nil {
			return nil, stop, err
		}
		stops = append(stops, server.Stop)
		variables, err := mariaDBEnvironment(server, c.app)
		if err != nil {
			return nil, stop, err
		}
		environment = append(environment, variables...)
	}
	if c.redis {
		server, err := redisServer()
		if err != nil {
			return nil, stop, err
		}
		stops = append(stops, server.Stop)
		environment = append(environment, redisEnvironment(server, c.app)...)
	}
	return environment, stop, nil
}

func mariaDB() (*peers.MariaDBServer, error) {
	if dsn := os.Getenv(peers.MariaDBEnv); dsn != "" {
		return peers.AttachMariaDB(dsn)
	}
	return peers.StartMariaDB()
}

func redisServer() (*peers.RedisServer, error) {
	if url := os.Getenv(peers.RedisEnv); url != "" {
		return peers.AttachRedis(url)
	}
	return peers.StartRedis()
}

func mariaDBEnvironment(server *peers.MariaDBServer, app bool) ([]string, error) {
	environment := []string{peers.MariaDBEnv + "=" + server.DSN("")}
	if !app {
		return environment, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), databaseFor)
	defer cancel()
	database, err := server.CreateDatabase(ctx)
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(server.Address())
	if err != nil {
		return nil, err
	}
	return append(environment,
		"DB_CONNECTION=mariadb", "DB_HOST="+host, "DB_PORT="+port, "DB_DATABASE="+database,
		"DB_USERNAME="+server.Username(), "DB_PASSWORD="+server.Password(), "DB_SOCKET="), nil
}

func redisEnvironment(server *peers.RedisServer, app bool) []string {
	environment := []string{peers.RedisEnv + "=" + server.URL(0)}
	if !app {
		return environment
	}
	host, port, _ := net.SplitHostPort(server.Address()) // an address we dialled already
	return append(environment,
		"REDIS_HOST="+host, "REDIS_PORT="+port, "REDIS_URL=", "REDIS_USERNAME=", "REDIS_PASSWORD=", "REDIS_DB=0",
		"CACHE_STORE=redis", "QUEUE_CONNECTION=redis", "SESSION_DRIVER=redis")
}

// runCommand gives the command a process group of its own, so that one signal reaches everything it started and the
// terminal's Ctrl-C does not arrive twice.
func runCommand(command, environment []string, signals <-chan os.Signal) int {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), environment...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "withpeers:", err)
		return exitSetup
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var late <-chan time.Time
	for {
		select {
		case s := <-signals:
			signalGroup(cmd, s.(syscall.Signal))
			late = time.After(patience)
		case <-late:
			signalGroup(cmd, syscall.SIGKILL)
		case err := <-ended:
			return exitCode(err)
		}
	}
}

// signalGroup ignores errors: the group may be gone already, which the next event tells.
func signalGroup(cmd *exec.Cmd, s syscall.Signal) { _ = syscall.Kill(-cmd.Process.Pid, s) }

// exitCode follows the shell: the command's own code, 128 plus the signal's number where a signal ended it.
func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case !errors.As(err, &exit):
		fmt.Fprintln(os.Stderr, "withpeers:", err)
		return exitSetup
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return exitSignal + int(status.Signal())
	}
	return exit.ExitCode()
}

package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"gapura/internal/store"
)

type doctorCommand struct{}

// check is one line of the doctor's.
type check struct {
	name string
	run  func(ctx context.Context, p *program) (verdict string, err error)
}

// Run prints a line a check and fails if one would fail on opening day.
func (doctorCommand) Run(p *program) error {
	failed := false
	for _, c := range []check{
		{"configuration", checkConfiguration},
		{"database", checkDatabase},
		{"keys", checkKeys},
		{"clock", checkClock},
		{"disk", checkDisk},
		{"redis", checkRedis},
		{"open files", checkFiles},
		{"connection backlog", checkBacklog},
	} {
		ctx, cancel := context.WithTimeout(p.ctx, 10*time.Second)
		verdict, err := c.run(ctx, p)
		cancel()
		var doubt warning
		switch {
		case errors.As(err, &doubt):
			p.announce("warn  %-20s %s", c.name, err)
		case err != nil:
			failed = true
			p.announce("FAIL  %-20s %s", c.name, err)
		default:
			p.announce("ok    %-20s %s", c.name, verdict)
		}
	}
	if failed {
		return errNo
	}
	return nil
}

// warning is what costs time on opening day, and nothing else.
type warning string

// Error implements error.
func (w warning) Error() string { return string(w) }

func checkConfiguration(_ context.Context, p *program) (string, error) {
	if p.cfg.AppEnv == "production" && strings.HasPrefix(p.cfg.baseURL(), "http://") {
		return "", errors.New("APP_URL is not https: order links would travel in the clear")
	}
	if p.cfg.AppEnv == "production" && p.embedded() {
		return "", errors.New("DB_CONNECTION is sqlite: one machine's disk is then the only copy; use mariadb, or accept it by APP_ENV=local")
	}
	return fmt.Sprintf("APP_ENV=%s, %s", p.cfg.AppEnv, p.cfg.baseURL()), nil
}

func checkDatabase(ctx context.Context, p *program) (string, error) {
	s, err := p.openStore(ctx, p.embedded()) // serve brings SQLite's schema up to date itself: a new one is no fault
	if err != nil {
		return "", err
	}
	verdict, err := examineDatabase(ctx, s)
	return verdict, errors.Join(err, s.Close())
}

func examineDatabase(ctx context.Context, s *store.Store) (string, error) {
	health, err := s.Health(ctx)
	if err != nil {
		return "", err
	}
	if health.Trouble != "" {
		return "", errors.New(health.Trouble)
	}
	return fmt.Sprintf("%s, a durable write takes %s", health.Version, health.Write.Round(10*time.Microsecond)), nil
}

// checkKeys finds an APP_KEY that is not the one the database was used with.
func checkKeys(ctx context.Context, p *program) (string, error) {
	verdict := "APP_KEY is set"
	if p.cfg.AppKey == "" {
		verdict = "kept in " + filepath.Join(p.cfg.DataDirectory, appKeyFile) + ": back it up with the database"
	}
	return verdict, p.withStore(ctx, func(ctx context.Context, s *store.Store) error {
		keys, err := appKeys(p.cfg)
		if err == nil {
			_, err = keyring{keys}.registration(ctx, s)
		}
		return err
	})
}

// maxSkew is how far this machine's clock may be from the database's: orders open and expire by the clock.
const maxSkew = time.Second

func checkClock(ctx context.Context, p *program) (string, error) {
	var skew time.Duration
	err := p.withStore(ctx, func(ctx context.Context, s *store.Store) error {
		health, err := s.Health(ctx)
		skew = health.Skew
		return err
	})
	if err != nil {
		return "", err
	}
	if skew.Abs() > maxSkew {
		return "", fmt.Errorf("differs from the database's by %s: synchronise both with NTP", skew.Round(time.Millisecond))
	}
	return fmt.Sprintf("%s off the database's", skew.Abs().Round(time.Millisecond)), nil
}

// minDisk is about two million orders.
const minDisk = 2 << 30

func checkDisk(_ context.Context, p *program) (string, error) {
	var disk syscall.Statfs_t
	directory := p.cfg.DataDirectory
	if _, err := os.Stat(directory); err != nil {
		directory = "."
	}
	if err := syscall.Statfs(directory, &disk); err != nil {
		return "", fmt.Errorf("cannot look at %s: %w", directory, err)
	}
	free := disk.Bavail * uint64(disk.Bsize) //nolint:gosec // a block has a positive size
	if free < minDisk {
		return "", fmt.Errorf("%.1f GB free in %s: make room for at least 2 GB", float64(free)/1e9, directory)
	}
	return fmt.Sprintf("%.0f GB free in %s", float64(free)/1e9, directory), nil
}

// minFiles: every visitor is an open file, and 10,000 of them are planned for.
const minFiles = 16_384

func checkFiles(context.Context, *program) (string, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return "", err
	}
	if limit.Cur < minFiles {
		return "", fmt.Errorf("the limit is %d: raise it with ulimit -n or LimitNOFILE to %d or more", limit.Cur, minFiles)
	}
	return strconv.FormatUint(limit.Cur, 10), nil
}

// minBacklog is how many connections may arrive between two looks of the server; 50,000 come in the first second.
const minBacklog = 1024

func checkBacklog(context.Context, *program) (string, error) {
	text, err := os.ReadFile("/proc/sys/net/core/somaxconn")
	if err != nil {
		return "unknown on this system", nil //nolint:nilerr // only Linux has the file, and its absence is no fault
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err == nil && n < minBacklog {
		return "", fmt.Errorf("net.core.somaxconn is %d: raise it with sysctl to %d or more", n, minBacklog)
	}
	return strconv.Itoa(n), err
}

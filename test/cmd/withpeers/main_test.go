package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gapura/test/peers"
)

func TestMain(m *testing.M) { peers.Main(m) }

func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "withpeers")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// command runs withpeers without the servers of the surrounding run, so that it starts its own.
func command(t *testing.T, binary string, arguments ...string) (cmd *exec.Cmd, dir string) {
	t.Helper()
	dir = t.TempDir()
	cmd = exec.Command(binary, arguments...)
	cmd.Env = append(os.Environ(), peers.MariaDBEnv+"=", peers.RedisEnv+"=", peers.DirEnv+"="+dir)
	return cmd, dir
}

func code(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if exit == nil {
		return 0
	}
	return exit.ExitCode()
}

func mustBeEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 0 {
		t.Errorf("data is left in %s: %v, %v", dir, entries, err)
	}
}

func TestTheCommandSeesTheServicesAndItsExitCodeIsPassedOn(t *testing.T) {
	t.Parallel()
	cmd, dir := command(t, build(t), "-app", "--", "sh", "-c", `
		[ -n "$GAPURA_TEST_MARIADB" ] && [ "$DB_CONNECTION" = mariadb ] && [ "$DB_HOST" = 127.0.0.1 ] &&
		[ "${GAPURA_TEST_REDIS%/0}" = "redis://$REDIS_HOST:$REDIS_PORT" ] && exit 7`)
	out, err := cmd.CombinedOutput()
	if got := code(t, err); got != 7 {
		t.Fatalf("exit code %d, want 7\n%s", got, out)
	}
	mustBeEmpty(t, dir)
}

func TestASignalEndsTheCommandAndTheServices(t *testing.T) {
	t.Parallel()
	cmd, dir := command(t, build(t), "-redis", "--", "sh", "-c", `trap 'echo told; exit 5' TERM; echo ready; while :; do sleep 0.05; done`)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stuck := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer stuck.Stop()
	ready := make([]byte, len("ready\n"))
	if _, err := out.Read(ready); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	var rest bytes.Buffer
	if _, err := rest.ReadFrom(out); err != nil {
		t.Fatal(err)
	}
	if got := code(t, cmd.Wait()); got != 5 || !strings.Contains(rest.String(), "told") {
		t.Errorf("exit code %d, output %q; want 5 and told", got, rest.String())
	}
	mustBeEmpty(t, dir)
}

func TestNoCommandIsAUsageError(t *testing.T) {
	t.Parallel()
	cmd, _ := command(t, build(t), "-redis")
	if out, err := cmd.CombinedOutput(); code(t, err) != exitUsage || !bytes.Contains(out, []byte("usage: withpeers")) {
		t.Errorf("%v\n%s", err, out)
	}
}

// Package peers starts the real services that tests, benchmarks and rehearsals talk to: MariaDB and Redis, private
// instances on free loopback ports with temporary data, gone when their owner ends. It never touches a service that somebody
// else started, unless an environment variable names one (see MariaDBEnv and RedisEnv).
//
// Everything here returns errors; the thin wrappers in testing.go turn them into test failures.
package peers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

const (
	// startTimeout is generous: a cold MariaDB on a busy 2-core machine needs up to 10 s.
	startTimeout = 60 * time.Second
	// stopTimeout is how long an orderly stop may take before SIGKILL; a loaded InnoDB flushes for a few seconds.
	stopTimeout = 20 * time.Second
	// pollInterval is how often a starting service is asked whether it is ready.
	pollInterval = 20 * time.Millisecond
	// startAttempts covers the moment between finding a free port and binding it, in which somebody else may take it.
	startAttempts = 3
)

// process is one service program: started, killed and started again with the same arguments.
type process struct {
	name string
	path string
	args []string
	log  string
	// ready says whether the service answers; it is asked until it returns nil.
	ready func(ctx context.Context) error

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{}
}

// start runs the program and returns when it answers.
func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running() {
		return fmt.Errorf("%s is already running", p.name)
	}
	if err := p.launch(); err != nil {
		return err
	}
	if err := p.awaitReady(); err != nil {
		p.end(syscall.SIGKILL)
		return err
	}
	return nil
}

// launch starts and waits for the program in a goroutine that keeps its thread: the kernel's parent-death signal, which
// makes sure that no service outlives a killed test binary, follows the thread that forked and not the process.
func (p *process) launch() error {
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	cmd := exec.Command(p.path, p.args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = ownGroup()
	started, done := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(done)
		defer out.Close()
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how a killed service ended says nothing
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	p.cmd, p.done = cmd, done
	return nil
}

func (p *process) awaitReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		err := p.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended while starting:\n%s", p.name, p.logTail())
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer after %s (%w):\n%s", p.name, startTimeout, err, p.logTail())
		case <-tick.C:
		}
	}
}

// stop ends the program in an orderly way; stopping one that does not run is no error.
func (p *process) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end(syscall.SIGTERM)
}

// kill ends the program as a power cut would and returns when the kernel has buried it.
func (p *process) kill() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running() {
		return fmt.Errorf("%s is not running", p.name)
	}
	p.end(syscall.SIGKILL)
	return nil
}

func (p *process) end(signal os.Signal) {
	if !p.running() {
		return
	}
	_ = p.cmd.Process.Signal(signal) // it may have ended by itself just now
	patience := time.NewTimer(stopTimeout)
	defer patience.Stop()
	select {
	case <-p.done:
		return
	case <-patience.C:
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

func (p *process) running() bool {
	if p.done == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// pid is the process id of the running program, 0 when it does not run.
func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running() {
		return 0
	}
	return p.cmd.Process.Pid
}

func (p *process) logTail() []byte {
	content, err := os.ReadFile(p.log)
	if err != nil {
		return []byte(err.Error())
	}
	const tail = 4 << 10
	return bytes.TrimSpace(content[max(0, len(content)-tail):])
}

// find looks for the first of names in PATH and in the system directories that an ordinary user's PATH leaves out.
func find(hint string, names ...string) (string, error) {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
		for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin"} {
			if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("%s is not installed: %s", names[0], hint)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// onFreePort runs start with fresh ports until it succeeds or startAttempts are spent.
func onFreePort(start func(port int) error) error {
	var errs []error
	for range startAttempts {
		port, err := freePort()
		if err != nil {
			return err
		}
		if err = start(port); err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

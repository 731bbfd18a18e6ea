package peers

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// DirEnv names the directory that holds the services' temporary data.
const DirEnv = "GAPURA_TEST_DIR"

const (
	dirPrefix = "gapura-peer-"
	lockFile  = "lock"
	// unlockedFor is how old a directory must be before it counts as abandoned: its owner locks it right after making it.
	unlockedFor = time.Minute
)

// dataDir is a service's temporary directory. Its lock, which the kernel opens when the owner dies, tells a directory in use
// from one that a killed test binary left.
type dataDir struct {
	path string
	lock *os.File
}

// newDir makes a data directory and removes abandoned ones beside it.
func newDir() (*dataDir, error) {
	parent := dirParent()
	sweep(parent)
	path, err := os.MkdirTemp(parent, dirPrefix)
	if err != nil {
		return nil, err
	}
	lock, err := lockDir(path)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(path))
	}
	return &dataDir{path: path, lock: lock}, nil
}

// dirParent is on a disk: a durable commit measured on a memory file system would be no commit. /var/tmp outlives a reboot
// by definition, whereas /tmp is in memory on many machines. It is short too: a socket's path is limited to 107 bytes.
func dirParent() string {
	if dir := os.Getenv(DirEnv); dir != "" {
		return dir
	}
	if info, err := os.Stat("/var/tmp"); err == nil && info.IsDir() {
		return "/var/tmp"
	}
	return os.TempDir()
}

func lockDir(path string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(path, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// sweep ignores what it cannot remove: it may belong to another user.
func sweep(parent string) {
	paths, _ := filepath.Glob(filepath.Join(parent, dirPrefix+"*"))
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil || time.Since(info.ModTime()) < unlockedFor {
			continue
		}
		if lock, err := lockDir(path); err == nil {
			_ = os.RemoveAll(path)
			_ = lock.Close()
		}
	}
}

func (d *dataDir) join(name string) string { return filepath.Join(d.path, name) }

func (d *dataDir) remove() error {
	return errors.Join(os.RemoveAll(d.path), d.lock.Close())
}

package peers

import "syscall"

// ownGroup keeps the terminal's Ctrl-C away from a service, so that its owner stops it in order, and lets the kernel kill it
// when the owner dies first.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

//go:build unix && !linux

package peers

import "syscall"

// ownGroup keeps the terminal's Ctrl-C away from a service, so that its owner stops it in order.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

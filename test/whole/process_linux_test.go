package whole

import "syscall"

// orphanless lets the kernel kill a program when the test binary dies first.
func orphanless() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

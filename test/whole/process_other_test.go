//go:build unix && !linux

package whole

import "syscall"

func orphanless() *syscall.SysProcAttr { return nil }

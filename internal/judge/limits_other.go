//go:build !linux

package judge

import "syscall"

// ownGroup makes the process the head of a group that can be killed as a whole.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// limit bounds what it can: without Linux's limits, memory is only collected more often near its
// limit, and the time is enforced by whoever started the process.
func limit(p preamble) error {
	softLimits(p)
	return nil
}

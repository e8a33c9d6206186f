package judge

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ownGroup makes the process the head of a group that can be killed as a whole, and lets the kernel
// kill it when the server is gone.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// limit takes from this process what evaluating needs none of, and bounds the rest.
func limit(p preamble) error {
	softLimits(p)
	// Go reserves address space that it doesn't use, so the limit is on what comes on top. On
	// RLIMIT_DATA, which leaves reservations out, the runtime dies in too many ways to recognise.
	size, err := addressSpace()
	if err != nil {
		return err
	}
	files, err := openFiles()
	if err != nil {
		return err
	}
	for _, l := range []struct {
		resource int
		value    uint64
	}{
		{unix.RLIMIT_CORE, 0},
		{unix.RLIMIT_FSIZE, 0},
		{unix.RLIMIT_NOFILE, files},
		{unix.RLIMIT_CPU, uint64(p.CPU)},
		{unix.RLIMIT_AS, size + uint64(p.Memory)},
	} {
		if err := lower(l.resource, l.value); err != nil {
			return fmt.Errorf("limit resource %d to %d: %w", l.resource, l.value, err)
		}
	}
	return nil
}

// lower sets a limit, unless the server itself has a lower one, which only root may raise.
func lower(resource int, value uint64) error {
	var now unix.Rlimit
	if err := unix.Getrlimit(resource, &now); err != nil {
		return err
	}
	value = min(value, now.Max)
	return unix.Setrlimit(resource, &unix.Rlimit{Cur: value, Max: value})
}

// addressSpace is the size of this process's address space in bytes.
func addressSpace() (uint64, error) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, fmt.Errorf("read the size of this process: %w", err)
	}
	var pages uint64
	if _, err := fmt.Sscan(string(text), &pages); err != nil {
		return 0, fmt.Errorf("read the size of this process: %w", err)
	}
	return pages * uint64(os.Getpagesize()), nil
}

// openFiles is a limit that leaves no number for another descriptor, and so no way to open a file or
// a connection. What is open stays open.
func openFiles() (uint64, error) {
	// The runtime opens what it needs for itself when the first timer starts.
	time.AfterFunc(time.Hour, func() {}).Stop()
	next, err := unix.Dup(0)
	if err != nil {
		return 0, fmt.Errorf("count open files: %w", err)
	}
	return uint64(next), unix.Close(next)
}

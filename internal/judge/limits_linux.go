package judge

import (
	"fmt"
	"os"
	"syscall"

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
	for _, l := range []struct {
		resource int
		value    uint64
	}{
		{unix.RLIMIT_CORE, 0},
		{unix.RLIMIT_FSIZE, 0},
		{unix.RLIMIT_NOFILE, 16},
		{unix.RLIMIT_CPU, uint64(p.CPU)},
		{unix.RLIMIT_AS, size + uint64(p.Memory)},
	} {
		if err := unix.Setrlimit(l.resource, &unix.Rlimit{Cur: l.value, Max: l.value}); err != nil {
			return fmt.Errorf("limit resource %d to %d: %w", l.resource, l.value, err)
		}
	}
	return nil
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

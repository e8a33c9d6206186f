package workspace

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// secretFile holds a secret that a child process may open as often as it likes, as childPath.
// It has no name in any directory, so a crash leaves nothing behind, and unlike an argument or
// an environment variable it shows in no process listing and passes to nobody but git's helpers.
func secretFile(_, content string) (*os.File, func(), error) {
	fd, err := unix.MemfdCreate("git-config", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, nil, fmt.Errorf("create a memory file: %w", err)
	}
	file := os.NewFile(uintptr(fd), "git-config")
	if _, err := file.WriteString(content); err != nil {
		_ = file.Close()
		return nil, nil, fmt.Errorf("write a memory file: %w", err)
	}
	return file, func() { _ = file.Close() }, nil
}

// childPath is how the child sees the secret file, given as its first extra file.
func childPath(*os.File) string { return "/proc/self/fd/3" }

// limitFileSize ends the process, or any that it starts from now on, when it writes a longer file.
func limitFileSize(pid int, size int64) {
	limit := unix.Rlimit{Cur: uint64(size), Max: uint64(size)}
	_ = unix.Prlimit(pid, unix.RLIMIT_FSIZE, &limit, nil) // best effort: it may have ended already
}

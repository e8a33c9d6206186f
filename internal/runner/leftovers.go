package runner

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Runner and command lead process groups of their own. What a command starts, providers and
// provisioners above all, does not: when both are killed it goes on without them, for ever if it is
// a provider, and keeps the lock. Nothing here relies on a process id from a file: holders are found
// by the lock itself. Where the system does not tell, nobody is found, and nothing is ended.

// holders are the processes, other than this one, that hold the lock of a runner's directory.
// Whoever only looks at it has another open file.
func holders(dir string) (pids []int) {
	lock, err := os.Stat(filepath.Join(dir, lockName))
	if err != nil {
		return nil
	}
	entries, _ := os.ReadDir("/proc") // without it there are none
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err == nil && pid != os.Getpid() && holds(pid, lock) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func holds(pid int, lock os.FileInfo) bool {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid)) // somebody else's, or gone
	return slices.ContainsFunc(entries, func(fd os.DirEntry) bool {
		file, err := os.Stat(fmt.Sprintf("/proc/%d/fd/%s", pid, fd.Name()))
		if err != nil || !os.SameFile(file, lock) {
			return false
		}
		info, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%s", pid, fd.Name()))
		return err == nil && strings.Contains(string(info), "FLOCK") && strings.Contains(string(info), "WRITE")
	})
}

// leads reports whether a process leads its group. One that has just gone counts as if it did.
func leads(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	// The name, in brackets, may hold anything; state, parent and group follow.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	return len(fields) < 3 || fields[2] == strconv.Itoa(pid)
}

// abandoned reports whether only what a command has started holds the lock. A room ends by itself
// with what it was made for.
func abandoned(dir string) bool {
	spec, err := readSpec(dir)
	if err != nil || spec.Room != nil {
		return false
	}
	left := holders(dir)
	return len(left) > 0 && !slices.ContainsFunc(left, leads)
}

// endLeftovers kills whoever holds the lock. The id of a process that ends is soon another's, so
// each is looked at again once there is a handle to it.
func endLeftovers(dir string) {
	lock, err := os.Stat(filepath.Join(dir, lockName))
	if err != nil {
		return
	}
	for _, pid := range holders(dir) {
		if p, err := os.FindProcess(pid); err == nil && holds(pid, lock) {
			_ = p.Kill() // it may have ended
		}
	}
}

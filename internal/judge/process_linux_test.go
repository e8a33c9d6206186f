package judge_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Covers: T61
func TestProcessHasWhatItNeedsOnly(t *testing.T) {
	t.Setenv("CANARY", canary)
	// Time zones are files, but not for a process that can open none.
	src := rule(t, "set", `time.clock([1767323045000000000, "Asia/Tokyo"]) == [12, 4, 5]`)
	r, err := newJudge(t, limits("inspected")).Plan(t.Context(), sets(src), strings.NewReader(plan))
	wantNo(t, r, err)
}

func TestProcessEndsWithTheServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "plan"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "plan", "x.rego"), []byte("package x\n\ndeny contains \"no\" if "+forever+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(os.Args[0], "server", dir)
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "started\n" {
		t.Fatalf("the server says %q, %v", line, err)
	}
	pid, child := childOf(t, parent.Process.Pid)
	// Deep in its loop it says no more, and so cannot notice by itself that nobody listens.
	for clockTicks(t, pid) < 50 {
		if ended(t, child, 50*time.Millisecond) {
			t.Fatal("the process ended before the server")
		}
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	if !ended(t, child, 10*time.Second) {
		t.Error("the process lives on without the server")
	}
}

// clockTicks is the processor time that a process has used, in hundredths of a second.
func clockTicks(t *testing.T, pid int) int {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, fields, _ := strings.Cut(string(stat), ") ")
	ticks, err := strconv.Atoi(strings.Fields(fields)[11])
	if err != nil {
		t.Fatal(err)
	}
	return ticks
}

// childOf returns the only child of a process, and a handle on it.
func childOf(t *testing.T, pid int) (child, pidfd int) {
	t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // a thread that has ended
		}
		if _, err := fmt.Sscan(string(text), &child); err != nil {
			continue
		}
		fd, err := unix.PidfdOpen(child, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(fd) })
		return child, fd
	}
	t.Fatal("the server has no child")
	return 0, -1
}

// ended waits for the end of a process.
func ended(t *testing.T, pidfd int, patience time.Duration) bool {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int(max(0, time.Until(deadline).Milliseconds())))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		return n == 1
	}
}

package enginetest_test

import (
	"errors"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tollgate/tollgate/internal/engine/enginetest"
)

// smallDisk plays in a world part of whose directory is a disk of a few megabytes, which play can fill and empty. A
// disk is mounted in a name space that only a new process can have, so this one runs the test once more.
func smallDisk(t *testing.T, part string, play func(t *testing.T, w *enginetest.World, fill, empty func())) {
	t.Helper()
	const inside = "TOLLGATE_TEST_SMALL_DISK"
	if os.Getenv(inside) == "" {
		t.Parallel()
		self, err := os.Executable()
		must(t, err)
		again := exec.Command(self, "-test.run=^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$", "-test.v")
		again.Env = append(os.Environ(), inside+"=yes")
		mine := func(id int) []syscall.SysProcIDMap {
			return []syscall.SysProcIDMap{{ContainerID: 0, HostID: id, Size: 1}}
		}
		again.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS, UidMappings: mine(os.Getuid()), GidMappings: mine(os.Getgid())}
		if out, err := again.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
			t.Fatalf("in a name space: %v\n%s", err, out)
		}
		return
	}
	p, err := parts()
	must(t, err)
	dir := t.TempDir()
	disk := filepath.Join(dir, part)
	must(t, os.MkdirAll(disk, 0o700))
	must(t, syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=8m"))
	t.Cleanup(func() { must(t, syscall.Unmount(disk, syscall.MNT_DETACH)) })
	filler := filepath.Join(disk, "filler")
	fill := func() {
		f, err := os.Create(filler)
		must(t, err)
		for err == nil {
			_, err = f.Write(make([]byte, 4096))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		must(t, f.Close())
	}
	synctest.Test(t, func(t *testing.T) {
		w := enginetest.New(t, p, dir, slog.New(slog.DiscardHandler))
		defer func() { must(t, w.Close()) }()
		play(t, w, fill, func() { must(t, os.Remove(filler)) })
	})
}

// A disk is full when a plan is made: the check never is green, and says why as soon as that can be written down.
// When there is room again and somebody asks, it is planned and applied.
//
// Covers: R28
func TestDiskIsFullWhileItPlans(t *testing.T) {
	for _, part := range []string{".", "artifacts"} {
		t.Run(part, func(t *testing.T) {
			smallDisk(t, part, func(t *testing.T, w *enginetest.World, fill, empty func()) {
				begun, planning := make(chan struct{}, 9), make(chan struct{})
				w.Cloud.Planning = func() { begun <- struct{}{}; <-planning }
				p := propose(t, w)
				w.Let(10 * time.Second)
				if len(begun) != 1 {
					t.Fatal("nothing is planned")
				}
				fill()
				close(planning)
				w.Let(5 * time.Minute)
				if got := conclusion(w, p, "tollgate"); got == "completed success" {
					t.Errorf("on a full disk, the check is %q", got)
				}
				empty()
				settled(t, w)
				check, _ := w.Repo.CheckRun(p.Info().HeadSHA, "tollgate")
				if check.Conclusion != "failure" || !strings.Contains(check.Summary, "disk of Tollgate's server is full") {
					t.Errorf("the check is %s and does not say why:\n%s", check.Conclusion, check.Summary)
				}
				applies(t, w, p)
			})
		})
	}
}

// A disk is full when something is to be applied: the apply is not begun. When there is room again it is, unless the
// plan was claimed and a new one is needed.
//
// Covers: R28
func TestDiskIsFullBeforeAnApply(t *testing.T) {
	for part, alone := range map[string]bool{".": true, "executions": true, "artifacts": false, "fences": false} {
		t.Run(part, func(t *testing.T) {
			smallDisk(t, part, func(t *testing.T, w *enginetest.World, fill, empty func()) {
				p := approved(t, w)
				hook := caught(t, w, "issue_comment", commented(p, enginetest.Ada, "/apply"))
				fill()
				status := http.StatusAccepted
				if part == "." { // with the database
					status = http.StatusServiceUnavailable
				}
				if got := w.Hooks.Deliver(hook); got != status {
					t.Errorf("a webhook is answered with %d, want %d", got, status)
				}
				w.Let(5 * time.Minute)
				if n := len(w.Cloud.Applies()); n != 0 {
					t.Fatalf("%d applies are begun on a full disk", n)
				}
				empty()
				w.Hooks.Deliver(hook)
				settled(t, w)
				if n := len(w.Cloud.Applies()); (n == 1) != alone {
					t.Errorf("%d applies once there is room\n%s", n, texts(p))
				}
				if !alone {
					if got := conclusion(w, p, "tollgate/apply: app"); got != "completed failure" {
						t.Errorf("the check is %q", got)
					}
					applies(t, w, p)
				}
			})
		})
	}
}

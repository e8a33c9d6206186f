package workspace

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	keepUnused  = 14 * 24 * time.Hour // merged trees and refs nobody asked for are kept so long
	packsToTidy = 32                  // so many packs slow every look-up down noticeably
)

// mirror is the bare repository of one GitHub repository. The id is its name because the
// repository's own name can change hands.
func (w *Workspace) mirror(repoID int64) string {
	return filepath.Join(w.cfg.Dir, strconv.FormatInt(repoID, 10)+".git")
}

// merged holds the objects that merges create, apart from what was fetched, so that they can be
// dropped by age without asking git what is still reachable.
func merged(mirror string) string { return filepath.Join(mirror, "merged") }

// lock serialises everything that writes to a mirror. The file's lock is inherited by the git
// process that does the writing: should the server be killed, the mirror stays locked until that
// git has ended too, so whoever holds the lock knows that a leftover *.lock belongs to nobody.
func (w *Workspace) lock(ctx context.Context, repoID int64) (*os.File, func(), error) {
	w.mu.Lock()
	slot, ok := w.locks[repoID]
	if !ok {
		slot = make(chan struct{}, 1)
		w.locks[repoID] = slot
	}
	w.mu.Unlock()

	select {
	case slot <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, fmt.Errorf("wait for the mirror: %w", context.Cause(ctx))
	}
	file, err := lockFile(ctx, strings.TrimSuffix(w.mirror(repoID), ".git")+".lock")
	if err != nil {
		<-slot
		return nil, nil, err
	}
	return file, func() { _ = file.Close(); <-slot }, nil
}

// lockFile waits for a lock that another process may hold. The operating system has no way to
// wait for one and a context at once, hence the polling, which only a second server or an
// orphaned git ever causes.
func lockFile(ctx context.Context, path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the mirror's lock: %w", err)
	}
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return file, nil
		}
		if err != syscall.EWOULDBLOCK && err != syscall.EINTR {
			_ = file.Close()
			return nil, fmt.Errorf("lock the mirror: %w", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			_ = file.Close()
			return nil, fmt.Errorf("wait for the mirror: %w", context.Cause(ctx))
		}
	}
}

// skeleton is an empty bare repository. Written here, it costs no process and holds no template's
// hooks.
var skeleton = map[string]string{
	"HEAD":   "ref: refs/heads/none\n",
	"config": "[core]\n\trepositoryformatversion = 0\n\tbare = true\n\tlogAllRefUpdates = false\n",
}

// prepare makes sure that a whole, if perhaps empty, mirror exists. It appears at once or not at all.
func prepare(mirror string) error {
	if whole(mirror) {
		return nil
	}
	fresh := mirror + ".new"
	for _, dir := range []string{fresh, mirror} {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("clear the mirror: %w", err)
		}
	}
	for _, dir := range []string{"objects/pack", "refs/heads", "merged/pack"} {
		if err := os.MkdirAll(filepath.Join(fresh, dir), 0o700); err != nil {
			return fmt.Errorf("create the mirror: %w", err)
		}
	}
	for name, content := range skeleton {
		if err := os.WriteFile(filepath.Join(fresh, name), []byte(content), 0o600); err != nil {
			return fmt.Errorf("create the mirror: %w", err)
		}
	}
	if err := os.Rename(fresh, mirror); err != nil {
		return fmt.Errorf("create the mirror: %w", err)
	}
	return nil
}

// whole reports whether the mirror's own files are as prepare wrote them.
func whole(mirror string) bool {
	for name, content := range skeleton {
		if got, err := os.ReadFile(filepath.Join(mirror, name)); err != nil || string(got) != content {
			return false
		}
	}
	for _, dir := range []string{"objects", "refs", "merged"} {
		if info, err := os.Lstat(filepath.Join(mirror, dir)); err != nil || !info.IsDir() {
			return false
		}
	}
	return true
}

// discard removes a mirror, so that the next fetch starts over.
func (w *Workspace) discard(repoID int64) error {
	w.dropIdle(repoID)
	mirror := w.mirror(repoID)
	trash := mirror + ".trash"
	if err := os.RemoveAll(trash); err != nil {
		return fmt.Errorf("discard the mirror: %w", err)
	}
	if err := os.Rename(mirror, trash); err != nil {
		return fmt.Errorf("discard the mirror: %w", err)
	}
	if err := os.RemoveAll(trash); err != nil {
		return fmt.Errorf("discard the mirror: %w", err)
	}
	return nil
}

func suspectFile(mirror string) string { return filepath.Join(mirror, "suspect") }

// suspect notes that git could not read what the mirror should hold. The next fetch looks into it.
func (w *Workspace) suspect(repoID int64) {
	w.dropIdle(repoID)
	_ = os.WriteFile(suspectFile(w.mirror(repoID)), nil, 0o600) // best effort: the mirror may be gone
}

// sound reads every object of the mirror.
func (w *Workspace) sound(ctx context.Context, mirror string) bool {
	_, err := w.run(ctx, mirror, "fsck", "--full", "--no-dangling", "--no-progress")
	return err == nil
}

// sweep removes what an interrupted git leaves behind. It reports whether there was any, and the
// size of the largest file that was not finished. Only the holder of the lock may call it.
func sweep(mirror string) (found bool, largest int64) {
	remove := func(path string) {
		info, err := os.Lstat(path)
		if err == nil && os.Remove(path) == nil {
			found, largest = true, max(largest, info.Size())
		}
	}
	for _, pattern := range []string{"*.lock", "objects/pack/tmp_*", "objects/pack/.tmp-*", "objects/tmp_*"} {
		names, _ := filepath.Glob(filepath.Join(mirror, pattern))
		for _, name := range names {
			remove(name)
		}
	}
	_ = filepath.WalkDir(filepath.Join(mirror, "refs"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".lock") {
			remove(path)
		}
		return nil
	})
	return found, largest
}

// tidy keeps a mirror quick: it joins small packs once there are many, and drops what nobody has
// asked for in a long time. Its cost follows what was fetched since the last time, not the
// repository's size.
func (w *Workspace) tidy(ctx context.Context, repoID int64, now time.Time) error {
	mirror := w.mirror(repoID)
	packs, err := filepath.Glob(filepath.Join(mirror, "objects/pack/*.pack"))
	if err != nil || len(packs) < packsToTidy {
		return err
	}
	for _, dir := range []string{merged(mirror), filepath.Join(mirror, "refs/tollgate")} {
		removeOlder(dir, now.Add(-keepUnused))
	}
	if _, err := w.run(ctx, mirror, "repack", "--geometric=2", "-d", "-q"); err != nil {
		return fmt.Errorf("join the mirror's packs: %w", err)
	}
	w.dropIdle(repoID) // it would keep the joined packs' space
	return nil
}

func removeOlder(dir string, limit time.Time) {
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil && info.ModTime().Before(limit) {
			_ = os.Remove(path)
		}
		return nil
	})
}

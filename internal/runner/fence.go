package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// ErrOvertaken says that the fence stands at a later claim already.
var ErrOvertaken = errors.New("somebody else has taken over")

// Token is what a fence file holds for the claim of this number.
func Token(n int64) string { return strconv.FormatInt(n, 10) + "\n" }

// RaiseFence makes the claim of this number the only one whose runner may start, and survives a loss of
// power. It never lowers a fence: a claim that comes late gets ErrOvertaken.
func RaiseFence(file string, n int64) error {
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("create fences: %w", err)
	}
	// A lock beside it, since the file itself is replaced.
	lock, err := os.OpenFile(file+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("lock fence: %w", err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock fence: %w", err)
	}
	now, err := ReadFence(file)
	if err != nil {
		return err
	}
	if now > n {
		return fmt.Errorf("claim %d: %w with claim %d", n, ErrOvertaken, now)
	}
	f, err := os.OpenFile(file+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("raise fence: %w", err)
	}
	_, err = f.WriteString(Token(n))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("raise fence: %w", err)
	}
	if err := errors.Join(os.Rename(file+".new", file), syncDir(dir)); err != nil {
		return fmt.Errorf("raise fence: %w", err)
	}
	return nil
}

// ReadFence returns the number of the claim that the fence stands at, 0 if there is no fence yet.
func ReadFence(file string) (int64, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read fence: %w", err)
	}
	n, err := strconv.ParseInt(strings.TrimSuffix(string(text), "\n"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read fence %s: %w", file, err)
	}
	return n, nil
}

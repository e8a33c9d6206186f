package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// ownLock takes the lock for Start or Seal, or returns nil if a runner or its command holds it.
// Readers hold it shared, and only for a moment.
func ownLock(dir string) (*os.File, error) {
	for {
		lock, err := openLock(dir, os.O_RDONLY|os.O_CREATE, syscall.LOCK_EX)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return lock, err
		}
		reader, err := openLock(dir, os.O_RDONLY, syscall.LOCK_SH)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, nil
		}
		if err := errors.Join(err, reader.Close()); err != nil {
			return nil, err
		}
	}
}

// openLock opens the lock file and takes the lock, or fails with EWOULDBLOCK.
func openLock(dir string, flags, how int) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), flags, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open runner's lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("take runner's lock: %w", err), f.Close())
	}
	return f, nil
}

func has(dir, name string) (bool, error) {
	_, err := os.Lstat(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// writeDurably writes a value as JSON so that after a loss of power the file is whole or absent.
func writeDurably(dir, name string, v any) error {
	f, err := os.OpenFile(filepath.Join(dir, name+".new"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return finish(f, dir, name, v)
}

// finish writes a value into an open file, over what it holds, and gives it its name.
func finish(f *os.File, dir, name string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return errors.Join(err, f.Close())
	}
	_, err = f.WriteAt(data, 0)
	if err := errors.Join(err, f.Truncate(int64(len(data))), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), filepath.Join(dir, name)); err != nil {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

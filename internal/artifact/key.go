package artifact

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tollgate/tollgate/internal/fault"
)

// loadKey reads the key, and makes it if the store is still empty.
func loadKey(store *os.Root, file string) ([]byte, error) {
	key, err := readKey(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	used, err := fs.ReadDir(store.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("list artifacts: %w", err)
	}
	if len(used) == 0 {
		if err := makeKey(file); err != nil {
			return nil, fmt.Errorf("make artifact key: %w", err)
		}
	}
	// Also with artifacts there, since another process may have made the key since the first look.
	key, err = readKey(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New("The key of the stored plans is missing.",
			"There are stored plans, and another key cannot read them.",
			"Restore the key file from your backup. If it is lost, empty the artifact directory: open pull requests then need a new plan.")
	}
	return key, err
}

// CheckKey reports whether a key file can be used. It is fs.ErrNotExist if there is none yet.
func CheckKey(file string) error {
	_, err := readKey(file)
	return err
}

func readKey(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("open artifact key: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("examine artifact key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fault.New("The key of the stored plans can be read by other users of this machine.",
			"Plans hold secrets in clear; the key opens all of them.", "Set the mode of the key file to 0600.")
	}
	text, err := io.ReadAll(io.LimitReader(f, 1024))
	if err != nil {
		return nil, fmt.Errorf("read artifact key: %w", err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != keySize {
		return nil, fault.New("The key of the stored plans is malformed.", "No stored plan can be read or written.",
			fmt.Sprintf("The key file holds %d hexadecimal digits; restore it from your backup.", 2*keySize))
	}
	return key, nil
}

// makeKey generates a key. If another process was faster, its key stays.
func makeKey(file string) error {
	key := make([]byte, keySize)
	rand.Read(key) // never fails, says its documentation
	dir, err := os.OpenRoot(filepath.Dir(file))
	if err != nil {
		return err
	}
	defer dir.Close()
	tmp := filepath.Base(file) + "." + rand.Text()
	if err := writeFile(dir, tmp, []byte(hex.EncodeToString(key)+"\n")); err != nil {
		return err
	}
	defer dir.Remove(tmp)
	if err := dir.Link(tmp, filepath.Base(file)); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(dir)
}

// writeDurably writes a file so that after a loss of power it is whole or absent.
func writeDurably(dir *os.Root, name string, data []byte) error {
	tmp := name + ".new"
	if err := writeFile(dir, tmp, data); err != nil {
		return errors.Join(err, dir.Remove(tmp))
	}
	if err := dir.Rename(tmp, name); err != nil {
		return errors.Join(err, dir.Remove(tmp))
	}
	return syncDir(dir)
}

func writeFile(dir *os.Root, name string, data []byte) error {
	f, err := dir.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(dir *os.Root) error {
	d, err := dir.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

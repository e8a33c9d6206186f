package workspace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/tollgate/tollgate/internal/fault"
)

// Checkout is what was written to disk.
type Checkout struct {
	Files int
	Bytes int64
	// LFSPointers are files whose content lies in Git LFS and was not fetched. Whoever reads them
	// gets a few lines of text instead of the content.
	LFSPointers []string
}

// Checkout writes a tree or commit to dest, which must not exist, and nowhere else. Files are
// read-only; directories are not, because Terraform saves a state that it could not upload
// beside the configuration. What was written before an error is removed again.
func (w *Workspace) Checkout(ctx context.Context, repoID int64, treeish, dest string) (Checkout, error) {
	var done Checkout
	if err := os.Mkdir(dest, 0o700); err != nil {
		return Checkout{}, fmt.Errorf("create the checkout's directory: %w", err)
	}
	err := w.withCat(ctx, repoID, func(c *catFile) error {
		entries, err := c.list(treeish, w.cfg.MaxEntries)
		if err != nil {
			return err
		}
		if err := checkModes(entries); err != nil {
			return err
		}
		links, err := c.readLinks(entries)
		if err != nil {
			return err
		}
		if err := links.check(); err != nil {
			return err
		}
		done, err = c.checkout(entries, links, dest, w.cfg.MaxBytes)
		return err
	})
	if err != nil {
		return Checkout{}, errors.Join(err, os.RemoveAll(dest))
	}
	return done, nil
}

// checkout writes directories and files, and links last, so that nothing is ever written through
// a link. The root keeps every path inside dest whatever its name.
func (c *catFile) checkout(entries []entry, links linkMap, dest string, max int64) (Checkout, error) {
	root, err := os.OpenRoot(dest)
	if err != nil {
		return Checkout{}, fmt.Errorf("open the checkout's directory: %w", err)
	}
	defer root.Close()
	var files []entry
	for _, e := range entries {
		if e.mode == modeTree {
			if err := root.Mkdir(filepath.FromSlash(e.path), 0o755); err != nil {
				return Checkout{}, writeFault(err)
			}
		} else if e.regular() {
			files = append(files, e)
		}
	}
	done, err := c.writeFiles(root, files, max)
	if err != nil {
		return Checkout{}, err
	}
	for name, target := range links {
		if err := root.Symlink(target, filepath.FromSlash(name)); err != nil {
			return Checkout{}, writeFault(err)
		}
	}
	return done, nil
}

// writeFiles asks for all sizes before it writes the first byte: a small pack can hold a huge file.
func (c *catFile) writeFiles(root *os.Root, files []entry, max int64) (Checkout, error) {
	done := Checkout{Files: len(files)}
	ids := make([]string, len(files))
	for i, f := range files {
		ids[i] = f.id
	}
	err := c.ask("info", ids, func(o object, _ io.Reader) error {
		if o.kind != "blob" {
			return &brokenError{fmt.Errorf("object %s: a %s instead of a file", ids[o.index], o.kind)}
		}
		if done.Bytes += o.size; done.Bytes > max {
			return tooMuch(max)
		}
		return nil
	})
	if err != nil {
		return Checkout{}, err
	}
	buf := make([]byte, 64<<10)
	err = c.ask("contents", ids, func(o object, body io.Reader) error {
		f := files[o.index]
		pointer, err := writeFile(root, f, body, buf)
		if pointer {
			done.LFSPointers = append(done.LFSPointers, f.path)
		}
		return err
	})
	return done, err
}

var lfsPrefix = []byte("version https://git-lfs.github.com/spec/")

// writeFile writes one file and reports whether it is a Git LFS pointer.
func writeFile(root *os.Root, f entry, body io.Reader, buf []byte) (pointer bool, err error) {
	mode := os.FileMode(0o444)
	if f.mode == modeExec {
		mode = 0o555
	}
	file, err := root.OpenFile(filepath.FromSlash(f.path), os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return false, writeFault(err)
	}
	defer func() {
		if closeErr := file.Close(); err == nil && closeErr != nil {
			err = writeFault(closeErr)
		}
	}()
	for first := true; ; first = false {
		n, readErr := body.Read(buf)
		if first {
			pointer = bytes.HasPrefix(buf[:n], lfsPrefix)
		}
		if _, err := file.Write(buf[:n]); err != nil {
			return pointer, writeFault(err)
		}
		if readErr == io.EOF {
			return pointer, nil
		}
		if readErr != nil {
			return pointer, &brokenError{fmt.Errorf("read file: %w", readErr)}
		}
	}
}

// writeFault explains a tree that a disk cannot hold: two names that are one to it, or no space.
func writeFault(err error) error {
	if errors.Is(err, os.ErrExist) || strings.Contains(err.Error(), "escapes") {
		return fault.Wrap(err, "The repository holds two files that are one on disk.", "",
			"Rename one of the files that differ only in case.")
	}
	return fmt.Errorf("write the checkout: %w", err)
}

package workspace

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path"
	"slices"
)

// Entry is what a tree holds under one name that is no directory.
type Entry struct {
	Path   string
	Kind   string // file, link, submodule, or other for what git has no word for
	Size   int64  // of a file
	ID     string // of the content
	Target string // of a link, as written
	Leads  string // where a link ends inside the tree; empty if it leaves it, or goes round for ever
	// Pointer says that Git LFS keeps the content elsewhere.
	Pointer bool
}

// List returns everything in a tree or commit but its directories. Nothing is laid out on disk, and a
// tree with too many entries is refused before it is held in memory.
func (w *Workspace) List(ctx context.Context, repoID int64, treeish string) ([]Entry, error) {
	var all []Entry
	err := w.withCat(ctx, repoID, func(c *catFile) error {
		entries, err := c.list(treeish, w.cfg.MaxEntries)
		if err != nil {
			return err
		}
		links, err := c.readLinks(entries)
		if err != nil {
			return err
		}
		var files []int // in all
		var ids []string
		for _, e := range entries {
			if e.mode == modeTree {
				continue
			}
			found := Entry{Path: e.path, Kind: kindOf(e), ID: e.id}
			if e.regular() {
				files, ids = append(files, len(all)), append(ids, e.id)
			}
			if e.mode == modeLink {
				found.Target = links[e.path]
				if leads, ok := links.resolve(e.path); ok {
					found.Leads = leads
				}
			}
			all = append(all, found)
		}
		err = c.ask("info", ids, func(o object, _ io.Reader) error {
			if o.kind != "blob" {
				return &brokenError{fmt.Errorf("object %s: a %s instead of a file", ids[o.index], o.kind)}
			}
			all[files[o.index]].Size = o.size
			return nil
		})
		if err != nil {
			return err
		}
		return c.findPointers(all)
	})
	return all, err
}

// The size of a Git LFS pointer: its fields with the shortest values, and the limit of its specification.
const (
	minPointer = 100
	maxPointer = 1024
)

// findPointers marks the files of which Git LFS keeps the content, in repositories that have to do with
// it at all.
func (c *catFile) findPointers(all []Entry) error {
	usesLFS := slices.ContainsFunc(all, func(e Entry) bool {
		name := path.Base(e.Path)
		return name == ".gitattributes" || name == ".lfsconfig"
	})
	if !usesLFS {
		return nil
	}
	var small []int
	var ids []string
	for i, e := range all {
		if e.Kind == "file" && e.Size >= minPointer && e.Size <= maxPointer {
			small, ids = append(small, i), append(ids, e.ID)
		}
	}
	return c.ask("contents", ids, func(o object, body io.Reader) error {
		start := make([]byte, len(lfsPrefix))
		if _, err := io.ReadFull(body, start); err != nil {
			return &brokenError{fmt.Errorf("read file: %w", err)}
		}
		all[small[o.index]].Pointer = bytes.Equal(start, lfsPrefix)
		return nil
	})
}

func kindOf(e entry) string {
	switch {
	case e.regular():
		return "file"
	case e.mode == modeLink:
		return "link"
	case e.mode == modeSub:
		return "submodule"
	}
	return "other"
}

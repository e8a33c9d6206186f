package workspace

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/tollgate/tollgate/internal/fault"
)

// The modes that git writes for the entries of a tree.
const (
	modeTree     = "40000"
	modeLink     = "120000"
	modeSub      = "160000"
	modeExec     = "100755"
	modeFile     = "100644"
	modeOldGroup = "100664" // written by git before 2005, and still met
)

const maxPath = 4096 // bytes; what Linux accepts

// entry is one name of a tree.
type entry struct {
	path string
	mode string
	id   string
}

func (e entry) name() string { return path.Base(e.path) }
func (e entry) regular() bool {
	return e.mode == modeFile || e.mode == modeExec || e.mode == modeOldGroup
}

// readTree reads the entries of one directory.
func (c *catFile) readTree(dir entry) ([]entry, error) {
	var entries []entry
	err := c.readTrees([]entry{dir}, func(_ int, found []entry) error { entries = found; return nil })
	return entries, err
}

// readTrees reads many directories in one go.
func (c *catFile) readTrees(dirs []entry, fn func(i int, entries []entry) error) error {
	ids := make([]string, len(dirs))
	for i, d := range dirs {
		ids[i] = d.id
	}
	return c.ask("contents", ids, func(o object, body io.Reader) error {
		if o.kind != "tree" || o.size > maxTree {
			return &brokenError{fmt.Errorf("object %s: a %s of %d bytes instead of a tree", ids[o.index], o.kind, o.size)}
		}
		raw := make([]byte, o.size)
		if _, err := io.ReadFull(body, raw); err != nil {
			return &brokenError{fmt.Errorf("read tree: %w", err)}
		}
		entries, err := parseTree(dirs[o.index].path, raw, len(ids[o.index])/2)
		if err != nil {
			return err
		}
		return fn(o.index, entries)
	})
}

const maxTree = 256 << 20 // bytes of one directory's entries

// parseTree decodes a tree object, whose entries are "mode name\0id", and refuses names that mean
// something else to a file system than to git.
func parseTree(dir string, raw []byte, idLen int) ([]entry, error) {
	var entries []entry
	for len(raw) > 0 {
		mode, rest, ok := bytes.Cut(raw, []byte{' '})
		name, tail, ok2 := bytes.Cut(rest, []byte{0})
		if !ok || !ok2 || len(tail) < idLen {
			return nil, &brokenError{fmt.Errorf("tree of %s is malformed", dir)}
		}
		full := path.Join(dir, string(name))
		if unsafeName(string(name)) || len(full) > maxPath {
			return nil, refuse("A file of the repository has a name that is not safe to write to disk.", full, "Rename the file.")
		}
		entries = append(entries, entry{full, string(mode), hex.EncodeToString(tail[:idLen])})
		raw = tail[idLen:]
	}
	return entries, nil
}

// unsafeName knows the names under which some file system would reach a directory's parent, or
// git's own directory.
func unsafeName(name string) bool {
	if name == "" || name == "." || name == ".." || len(name) > 255 || strings.ContainsAny(name, "/\x00") {
		return true
	}
	lower := strings.ToLower(strings.TrimRight(name, ". "))
	return lower == ".git" || lower == "git~1"
}

func refuse(what, path, fix string) error {
	return fault.New(what, fmt.Sprintf("It is %q.", path), fix)
}

// list walks a whole tree, level by level, and refuses one with more entries than the limit
// before it is held in memory: a few kilobytes of git can unfold to millions of files.
func (c *catFile) list(treeish string, max int) ([]entry, error) {
	root, err := c.treeOf(treeish)
	if err != nil {
		return nil, err
	}
	var all []entry
	for level := []entry{{path: ".", mode: modeTree, id: root}}; len(level) > 0; {
		var next []entry
		err := c.readTrees(level, func(_ int, entries []entry) error {
			if len(all)+len(entries) > max {
				return fault.New("The repository has too many files.",
					fmt.Sprintf("At most %d files and directories are accepted.", max),
					"Split the repository, or raise the server's limit.")
			}
			all = append(all, entries...)
			for _, e := range entries {
				if e.mode == modeTree {
					next = append(next, e)
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		level = next
	}
	return all, nil
}

// ChangedFiles returns the paths of all files that differ between two trees or commits, sorted:
// both names of a renamed file, and, for a file that a symbolic link of the new tree leads to,
// the name under which the link shows it.
func (w *Workspace) ChangedFiles(ctx context.Context, repoID int64, from, to string) ([]string, error) {
	var changed []string
	err := w.withCat(ctx, repoID, func(c *catFile) error {
		var err error
		if changed, err = c.diff(from, to, w.cfg.MaxEntries); err != nil || len(changed) == 0 {
			return err
		}
		links, err := c.links(to, w.cfg.MaxEntries)
		changed = append(changed, links.aliases(changed)...)
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(changed)
	return slices.Compact(changed), nil
}

// pair is a directory on both sides of a comparison; the id of an absent side is empty.
type pair struct{ path, from, to string }

// diff compares two trees and reads only directories that differ.
func (c *catFile) diff(from, to string, max int) ([]string, error) {
	a, err := c.treeOf(from)
	if err != nil {
		return nil, err
	}
	b, err := c.treeOf(to)
	if err != nil || a == b {
		return nil, err
	}
	var changed []string
	seen := 0
	for level := []pair{{".", a, b}}; len(level) > 0; {
		sides, err := c.readSides(level)
		if err != nil {
			return nil, err
		}
		var next []pair
		for i := range level {
			files, dirs := compare(sides[2*i], sides[2*i+1])
			changed = append(changed, files...)
			next = append(next, dirs...)
			seen += len(sides[2*i]) + len(sides[2*i+1])
		}
		if seen > 2*max {
			return nil, fault.New("The change touches too many files.",
				fmt.Sprintf("At most %d files and directories are accepted.", max), "Split the change.")
		}
		level = next
	}
	return changed, nil
}

// readSides returns the entries of both sides of every pair, two by two.
func (c *catFile) readSides(level []pair) ([][]entry, error) {
	sides := make([][]entry, 2*len(level))
	var dirs []entry
	var places []int
	for i, p := range level {
		for j, id := range []string{p.from, p.to} {
			if id != "" {
				dirs = append(dirs, entry{path: p.path, mode: modeTree, id: id})
				places = append(places, 2*i+j)
			}
		}
	}
	err := c.readTrees(dirs, func(i int, entries []entry) error { sides[places[i]] = entries; return nil })
	return sides, err
}

// compare returns the files that differ between two listings of one directory, and the
// subdirectories to compare further.
func compare(from, to []entry) (files []string, dirs []pair) {
	old := make(map[string]entry, len(from))
	for _, e := range from {
		old[e.path] = e
	}
	add := func(e entry, side func(*pair) *string) {
		if e.mode == modeTree {
			p := pair{path: e.path}
			*side(&p) = e.id
			dirs = append(dirs, p)
		} else if e.mode != "" {
			files = append(files, e.path)
		}
	}
	fromSide, toSide := func(p *pair) *string { return &p.from }, func(p *pair) *string { return &p.to }
	for _, e := range to {
		before := old[e.path]
		delete(old, e.path)
		switch {
		case before.mode == e.mode && before.id == e.id:
		case before.mode == modeTree && e.mode == modeTree:
			dirs = append(dirs, pair{e.path, before.id, e.id})
		case before.mode != modeTree && before.mode != "" && e.mode != modeTree:
			files = append(files, e.path)
		default:
			add(before, fromSide)
			add(e, toSide)
		}
	}
	for _, e := range old {
		add(e, fromSide)
	}
	return files, dirs
}

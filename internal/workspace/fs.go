package workspace

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/fault"
)

// FS returns the regular files below subdir of a tree or commit, "." being all, in memory and
// without further need of the mirror. keep, given the path below subdir, chooses which files are
// read; nil reads all. Files behind symbolic links that stay in the tree appear at both places.
// A subdir that does not exist is an empty file system.
func (w *Workspace) FS(ctx context.Context, repoID int64, treeish, subdir string, keep func(path string) bool) (fs.FS, error) {
	if !fs.ValidPath(subdir) {
		return nil, &fs.PathError{Op: "open", Path: subdir, Err: fs.ErrInvalid}
	}
	var files *memFS
	err := w.withCat(ctx, repoID, func(c *catFile) error {
		entries, err := c.list(treeish, w.cfg.MaxEntries)
		if err != nil {
			return err
		}
		links, err := c.readLinks(entries)
		if err != nil {
			return err
		}
		wanted := choose(links.follow(entries), subdir, keep)
		files, err = c.load(wanted, min(w.cfg.MaxBytes, maxInMemory))
		return err
	})
	if err != nil {
		return nil, err
	}
	return files, nil
}

// follow adds an entry for each regular file that links show, under the name that they show. It
// does not look for links behind links to directories, which could go round for ever.
func (l linkMap) follow(entries []entry) []entry {
	all := slices.Clone(entries)
	for link := range l {
		target, ok := l.resolve(link)
		if !ok {
			continue
		}
		for _, e := range entries {
			if rest, ok := below(target, e.path); ok && e.regular() {
				all = append(all, entry{path.Join(link, rest), e.mode, e.id})
			}
		}
	}
	return all
}

// choose keeps the regular files below a directory and makes their paths relative to it.
func choose(entries []entry, subdir string, keep func(string) bool) []entry {
	var chosen []entry
	for _, e := range entries {
		rest, ok := below(subdir, e.path)
		if ok && rest != "" && e.regular() && (keep == nil || keep(rest)) {
			chosen = append(chosen, entry{rest, e.mode, e.id})
		}
	}
	return chosen
}

// maxInMemory bounds what FS holds of a repository, in bytes: a small pack can hold a huge file.
const maxInMemory = 256 << 20

// load reads the content of files, refusing more than max bytes in all.
func (c *catFile) load(files []entry, max int64) (*memFS, error) {
	ids := make([]string, len(files))
	for i, f := range files {
		ids[i] = f.id
	}
	m := newMemFS()
	var total int64
	err := c.ask("contents", ids, func(o object, body io.Reader) error {
		if total += o.size; total > max {
			return tooMuch(max)
		}
		content := make([]byte, o.size)
		if _, err := io.ReadFull(body, content); err != nil {
			return &brokenError{fmt.Errorf("read file: %w", err)}
		}
		m.add(files[o.index].path, content)
		return nil
	})
	m.sort()
	return m, err
}

func tooMuch(max int64) error {
	return fault.New("The repository's files are too large.",
		fmt.Sprintf("All together they may have at most %d MiB.", max>>20),
		"Keep large files out of the repository, or raise the server's limit.")
}

// memFS is a read-only tree of files in memory.
type memFS struct {
	files map[string]*memFile // and directories
}

type memFile struct {
	name     string // last element
	content  []byte
	dir      bool
	children []fs.DirEntry // of a directory, sorted by name
}

func newMemFS() *memFS { return &memFS{map[string]*memFile{".": {name: ".", dir: true}}} }

// add places a file. Of two at one path, which links can cause, the first stays.
func (m *memFS) add(name string, content []byte) {
	if _, ok := m.files[name]; ok {
		return
	}
	f := &memFile{name: path.Base(name), content: content}
	m.files[name] = f
	for child := f; name != "."; {
		name = path.Dir(name)
		parent, ok := m.files[name]
		if !ok {
			parent = &memFile{name: path.Base(name), dir: true}
			m.files[name] = parent
		}
		parent.children = append(parent.children, fs.FileInfoToDirEntry(memInfo{child}))
		if ok {
			return
		}
		child = parent
	}
}

func (m *memFS) sort() {
	for _, f := range m.files {
		slices.SortFunc(f.children, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	}
}

func (m *memFS) find(op, name string) (*memFile, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	f, ok := m.files[name]
	if !ok {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return f, nil
}

func (m *memFS) Open(name string) (fs.File, error) {
	f, err := m.find("open", name)
	if err != nil {
		return nil, err
	}
	return &openFile{file: f, path: name, Reader: bytes.NewReader(f.content)}, nil
}

// ReadFile saves callers the copy through Open; the bytes are theirs.
func (m *memFS) ReadFile(name string) ([]byte, error) {
	f, err := m.find("read", name)
	if err != nil {
		return nil, err
	}
	if f.dir {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrInvalid}
	}
	return bytes.Clone(f.content), nil
}

func (m *memFS) ReadDir(name string) ([]fs.DirEntry, error) {
	f, err := m.find("readdir", name)
	if err != nil {
		return nil, err
	}
	if !f.dir {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrInvalid}
	}
	return slices.Clone(f.children), nil
}

type memInfo struct{ f *memFile }

func (i memInfo) Name() string       { return i.f.name }
func (i memInfo) Size() int64        { return int64(len(i.f.content)) }
func (i memInfo) ModTime() time.Time { return time.Time{} }
func (i memInfo) IsDir() bool        { return i.f.dir }
func (i memInfo) Sys() any           { return nil }
func (i memInfo) Mode() fs.FileMode {
	if i.f.dir {
		return fs.ModeDir | 0o555
	}
	return 0o444
}

// openFile is a file or a directory being read.
type openFile struct {
	*bytes.Reader
	file *memFile
	path string
	next int // child to return next
}

func (o *openFile) Stat() (fs.FileInfo, error) { return memInfo{o.file}, nil }
func (o *openFile) Close() error               { return nil }

func (o *openFile) Read(p []byte) (int, error) {
	if o.file.dir {
		return 0, &fs.PathError{Op: "read", Path: o.path, Err: fs.ErrInvalid}
	}
	return o.Reader.Read(p)
}

func (o *openFile) ReadDir(n int) ([]fs.DirEntry, error) {
	if !o.file.dir {
		return nil, &fs.PathError{Op: "readdir", Path: o.path, Err: fs.ErrInvalid}
	}
	left := o.file.children[o.next:]
	if n > 0 && len(left) == 0 {
		return nil, io.EOF
	}
	if n > 0 && n < len(left) {
		left = left[:n]
	}
	o.next += len(left)
	return slices.Clone(left), nil
}

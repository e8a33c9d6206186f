package ghsim

import (
	"cmp"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// memory is a repository without a process or a file: objects under the ids that git gives them.
// The caller holds the world's lock.
type memory struct {
	heads   map[string]string // by ref
	commits map[string]commit
	depths  map[string]int    // of commits: one more than the deepest parent's
	trees   map[string]tree   // of whole commits
	blobs   map[string]string // content by id
}

// tree is all files of a commit by path.
type tree map[string]treeFile

type treeFile struct{ mode, sha string }

var _ git = (*memory)(nil)

func newMemory() *memory {
	return &memory{heads: map[string]string{}, commits: map[string]commit{}, depths: map[string]int{}, trees: map[string]tree{}, blobs: map[string]string{}}
}

func (m *memory) dir() string { return "" }

func (m *memory) ref(name string) string {
	if sha, ok := m.heads[name]; ok {
		return sha
	}
	return m.commits[name].sha
}

func (m *memory) refs(prefix string) (map[string]string, error) {
	refs := maps.Clone(m.heads)
	maps.DeleteFunc(refs, func(name, _ string) bool { return !strings.HasPrefix(name, prefix) })
	return refs, nil
}

func (m *memory) setRefs(refs map[string]string) error {
	for name, sha := range refs {
		if sha == "" {
			delete(m.heads, name)
			continue
		}
		if m.commits[sha].sha == "" {
			return fmt.Errorf("no commit %s", sha)
		}
		m.heads[name] = sha
	}
	return nil
}

func (m *memory) commitFiles(ref, parent, message string, author, committer ident, files []blob, deleted []string) (string, error) {
	t, parents := tree{}, []string(nil)
	if parent != "" {
		at, err := m.commitObject(parent)
		if err != nil {
			return "", err
		}
		t, parents = maps.Clone(m.trees[at.tree]), []string{at.sha}
	}
	for _, name := range deleted {
		delete(t, name)
	}
	for _, f := range files {
		id := string(f.data)
		if f.mode != submodule {
			id = objectID("blob", string(f.data))
			m.blobs[id] = string(f.data)
		}
		t[f.path] = treeFile{f.mode, id}
	}
	sha, err := m.commitTree(m.keep(t), parents, message, author, committer)
	if err != nil {
		return "", err
	}
	return sha, m.setRefs(map[string]string{ref: sha})
}

func (m *memory) applyPatch(string, string, string, string, ident, ident) (string, error) {
	return "", errors.New("a repository in memory takes no patches")
}

func (m *memory) commitTree(tree string, parents []string, message string, author, committer ident) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "tree %s\n", tree)
	depth := 0
	for _, p := range parents {
		fmt.Fprintf(&b, "parent %s\n", p)
		depth = max(depth, m.depths[p]+1)
	}
	fmt.Fprintf(&b, "author %s\ncommitter %s\n\n%s", author, committer, message)
	sha := objectID("commit", b.String())
	m.commits[sha] = commit{sha: sha, tree: tree, parents: slices.Clone(parents), author: author, committer: committer, message: strings.TrimSuffix(message, "\n")}
	m.depths[sha] = depth
	return sha, nil
}

func (m *memory) mergeTree(base, head string) (string, bool, error) {
	ancestor, err := m.mergeBase(base, head)
	if err != nil {
		return "", false, err
	}
	merged, ok := merge(m.treeOf(ancestor), m.treeOf(base), m.treeOf(head))
	if !ok {
		return "", false, nil
	}
	return m.keep(merged), true, nil
}

// merge takes each file from the side that has changed it.
func merge(ancestor, ours, theirs tree) (tree, bool) {
	merged := maps.Clone(ours)
	for name := range maps.Collect(joined(ancestor, theirs)) {
		switch was, our, their := ancestor[name], ours[name], theirs[name]; {
		case their == was || their == our:
		case our != was:
			return nil, false
		case their == treeFile{}:
			delete(merged, name)
		default:
			merged[name] = their
		}
	}
	return merged, true
}

func joined(a, b tree) func(func(string, treeFile) bool) {
	return func(yield func(string, treeFile) bool) {
		for _, t := range []tree{a, b} {
			for name, f := range t {
				if !yield(name, f) {
					return
				}
			}
		}
	}
}

func (m *memory) rebase(base, head string, committer ident) (string, error) {
	commits, err := m.between(base, head)
	if err != nil {
		return "", err
	}
	at := base
	for _, c := range commits {
		if len(c.parents) != 1 {
			continue
		}
		t, ok := merge(m.treeOf(c.parents[0]), m.treeOf(at), m.treeOf(c.sha))
		if !ok {
			return "", fmt.Errorf("rebase %s onto %s: conflict", head, base)
		}
		if at, err = m.commitTree(m.keep(t), []string{at}, c.message, c.author, committer); err != nil {
			return "", err
		}
	}
	return at, nil
}

func (m *memory) commitObject(rev string) (commit, error) {
	c, ok := m.commits[m.ref(rev)]
	if !ok {
		return commit{}, fmt.Errorf("no commit %s", rev)
	}
	return c, nil
}

func (m *memory) between(from, to string) ([]commit, error) {
	known := m.history(from)
	var list []commit
	for sha := range m.history(to) {
		if !known[sha] {
			list = append(list, m.commits[sha])
		}
	}
	slices.SortFunc(list, func(a, b commit) int {
		return cmp.Or(cmp.Compare(m.depths[a.sha], m.depths[b.sha]), strings.Compare(a.sha, b.sha))
	})
	return list, nil
}

// history is a commit with all its ancestors.
func (m *memory) history(sha string) map[string]bool {
	seen := map[string]bool{}
	for todo := []string{sha}; len(todo) > 0; {
		at := todo[0]
		if todo = todo[1:]; at == "" || seen[at] {
			continue
		}
		seen[at] = true
		todo = append(todo, m.commits[at].parents...)
	}
	return seen
}

func (m *memory) mergeBase(a, b string) (string, error) {
	theirs, best := m.history(b), ""
	for sha := range m.history(a) {
		deeper := best == "" || m.depths[sha] > m.depths[best] || m.depths[sha] == m.depths[best] && sha < best
		if theirs[sha] && deeper {
			best = sha
		}
	}
	if best == "" {
		return "", fmt.Errorf("%s and %s have nothing in common", a, b)
	}
	return best, nil
}

func (m *memory) diff(from, to string) ([]fileChange, error) {
	before, after := m.treeOf(from), m.treeOf(to)
	var list []fileChange
	for name := range maps.Collect(joined(before, after)) {
		was, is := before[name], after[name]
		if was == is {
			continue
		}
		c := fileChange{sha: cmp.Or(is.sha, was.sha), path: name, status: "modified",
			additions: lines(m.blobs[is.sha]), deletions: lines(m.blobs[was.sha])}
		switch {
		case was.sha == "":
			c.status = "added"
		case is.sha == "":
			c.status = "removed"
		}
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b fileChange) int { return strings.Compare(a.path, b.path) })
	return list, nil
}

func lines(text string) int { return strings.Count(text, "\n") }

func (m *memory) list(rev, dir string) ([]treeEntry, error) {
	prefix := strings.TrimPrefix(dir+"/", "/")
	entries := map[string]treeEntry{}
	t := m.treeOf(m.ref(rev))
	for name, f := range t {
		rest, below := strings.CutPrefix(name, prefix)
		if !below {
			continue
		}
		child, _, deeper := strings.Cut(rest, "/")
		e := treeEntry{f.mode, "blob", f.sha, prefix + child, len(m.blobs[f.sha])}
		if deeper {
			e = treeEntry{"040000", "tree", treeID(t, prefix+child+"/"), prefix + child, 0}
		}
		entries[child] = e
	}
	list := slices.Collect(maps.Values(entries))
	slices.SortFunc(list, func(a, b treeEntry) int { return strings.Compare(a.path, b.path) })
	return list, nil
}

func (m *memory) files(treeish string) (map[string]string, error) {
	t, ok := m.trees[cmp.Or(m.commits[m.ref(treeish)].tree, treeish)]
	if !ok {
		return nil, fmt.Errorf("no commit or tree %s", treeish)
	}
	files := map[string]string{}
	for name, f := range t {
		files[name] = m.blobs[f.sha]
	}
	return files, nil
}

func (m *memory) blob(spec string) (string, error) {
	id := spec
	if rev, name, ok := strings.Cut(spec, ":"); ok {
		id = m.treeOf(m.ref(rev))[name].sha
	}
	data, ok := m.blobs[id]
	if !ok {
		return "", fmt.Errorf("no file %s", spec)
	}
	return data, nil
}

// fetch copies commits from another repository in memory. A * at the end of both names stands for
// the same in both.
func (m *memory) fetch(from git, remote, local string) error {
	other, ok := from.(*memory)
	if !ok {
		return errors.New("a repository in memory fetches from others in memory only")
	}
	maps.Copy(m.commits, other.commits)
	maps.Copy(m.depths, other.depths)
	maps.Copy(m.trees, other.trees)
	maps.Copy(m.blobs, other.blobs)
	prefix, many := strings.CutSuffix(remote, "*")
	if !many {
		return m.setRefs(map[string]string{local: other.ref(remote)})
	}
	refs, err := other.refs(prefix)
	if err != nil {
		return err
	}
	for name, sha := range refs {
		m.heads[strings.TrimSuffix(local, "*")+strings.TrimPrefix(name, prefix)] = sha
	}
	return nil
}

func (m *memory) treeOf(sha string) tree { return m.trees[m.commits[sha].tree] }

func (m *memory) keep(t tree) string {
	id := treeID(t, "")
	m.trees[id] = t
	return id
}

// treeID is git's id of the part of a tree below a prefix that ends in a slash or is empty.
func treeID(t tree, prefix string) string {
	type entry struct{ order, mode, name, id string }
	var entries []entry
	dirs := map[string]bool{}
	for file, f := range t {
		rest, below := strings.CutPrefix(file, prefix)
		name, _, deeper := strings.Cut(rest, "/")
		switch {
		case !below || dirs[name]:
		case deeper:
			dirs[name] = true
			// git sorts a directory as if its name ended in a slash
			entries = append(entries, entry{name + "/", "40000", name, treeID(t, prefix+name+"/")})
		default:
			entries = append(entries, entry{name, f.mode, path.Base(file), f.sha})
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.order, b.order) })
	var b strings.Builder
	for _, e := range entries {
		raw, _ := hex.DecodeString(e.id) // ids are our own hexadecimal
		fmt.Fprintf(&b, "%s %s\x00%s", e.mode, e.name, raw)
	}
	return objectID("tree", b.String())
}

// objectID is git's name for an object.
func objectID(kind, content string) string {
	h := sha1.New()
	fmt.Fprintf(h, "%s %d\x00%s", kind, len(content), content)
	return hex.EncodeToString(h.Sum(nil))
}

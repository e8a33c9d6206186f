package enginetest

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing/fstest"

	"github.com/tollgate/tollgate/internal/engine"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/workspace"
)

// Git reads the stand-in's repositories without a copy of its own.
type Git struct {
	github *ghsim.Server
	cloud  *Cloud
	reads  func(what string)
}

func (g Git) repo(id int64) *ghsim.Repo {
	all := g.github.Repos()
	return all[slices.IndexFunc(all, func(r *ghsim.Repo) bool { return r.ID() == id })]
}

var _ engine.Git = Git{}

// Fetch resolves what is asked for, as it is now.
func (g Git) Fetch(_ context.Context, f workspace.Fetch) (c workspace.Commits, err error) {
	repo := g.repo(f.RepoID)
	g.reads(repo.FullName() + ": fetch")
	get := func(rev string) string {
		at, e := repo.Commit(rev)
		if e != nil {
			err = fault.Wrap(e, "The commit is gone.", "", "")
		}
		return at.SHA
	}
	if f.Pull != 0 {
		c.Head = get(fmt.Sprintf("refs/pull/%d/head", f.Pull))
	}
	if f.BaseRef != "" {
		c.Base = get("refs/heads/" + f.BaseRef)
	}
	if f.Commit != "" {
		c.Commit = get(f.Commit)
	}
	return c, err
}

// Merge merges whole files.
func (g Git) Merge(_ context.Context, repoID int64, base, head string) (workspace.Merge, error) {
	tree, ok, err := g.repo(repoID).MergeTree(base, head)
	if err == nil && !ok {
		return workspace.Merge{Conflicts: []string{"a file"}}, nil
	}
	return workspace.Merge{Tree: tree}, err
}

// Tree is the tree of a commit.
func (g Git) Tree(_ context.Context, repoID int64, commit string) (string, error) {
	c, err := g.repo(repoID).Commit(commit)
	return c.Tree, err
}

// FirstParent is a commit's first parent.
func (g Git) FirstParent(_ context.Context, repoID int64, commit string) (string, error) {
	c, err := g.repo(repoID).Commit(commit)
	if err == nil && len(c.Parents) == 0 {
		err = fmt.Errorf("%s has no parent", commit)
	}
	if err != nil {
		return "", err
	}
	return c.Parents[0], nil
}

// IsAncestor reports whether one commit is in the history of the other.
func (g Git) IsAncestor(_ context.Context, repoID int64, ancestor, commit string) (bool, error) {
	return g.repo(repoID).IsAncestor(ancestor, commit), nil
}

// ChangedFiles compares whole files.
func (g Git) ChangedFiles(_ context.Context, repoID int64, before, after string) ([]string, error) {
	was, err := g.repo(repoID).Files(before)
	if err != nil {
		return nil, err
	}
	is, err := g.repo(repoID).Files(after)
	if err != nil {
		return nil, err
	}
	var out []string
	for name, text := range is {
		if old, ok := was[name]; !ok || old != text {
			out = append(out, name)
		}
	}
	for name := range was {
		if _, ok := is[name]; !ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out, nil
}

// List lists whole files.
func (g Git) List(_ context.Context, repoID int64, tree string) ([]workspace.Entry, error) {
	files, err := g.repo(repoID).Files(tree)
	if err != nil {
		return nil, err
	}
	var out []workspace.Entry
	for name, text := range files {
		out = append(out, workspace.Entry{Path: name, Kind: "file", Size: int64(len(text))})
	}
	slices.SortFunc(out, func(a, b workspace.Entry) int { return strings.Compare(a.Path, b.Path) })
	return out, nil
}

// ReadFile reads one file.
func (g Git) ReadFile(_ context.Context, repoID int64, commit, file string, _ int64) ([]byte, error) {
	files, err := g.repo(repoID).Files(commit)
	if err != nil {
		return nil, err
	}
	text, ok := files[file]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return []byte(text), nil
}

// FS shows the files below a directory.
func (g Git) FS(_ context.Context, repoID int64, commit, dir string, want func(string) bool) (fs.FS, error) {
	files, err := g.repo(repoID).Files(commit)
	if err != nil {
		return nil, err
	}
	out := fstest.MapFS{}
	for name, text := range files {
		rest, below := strings.CutPrefix(name, dir+"/")
		if dir == "." {
			rest, below = name, true
		}
		if below && (want == nil || want(name)) {
			out[rest] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
		}
	}
	return out, nil
}

// Checkout remembers which tree was put where.
func (g Git) Checkout(_ context.Context, repoID int64, tree, dir string) (workspace.Checkout, error) {
	files, err := g.repo(repoID).Files(tree)
	if err != nil {
		return workspace.Checkout{}, err
	}
	g.cloud.checkOut(dir, files)
	return workspace.Checkout{Files: len(files)}, nil
}

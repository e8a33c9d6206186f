package workspace

import (
	"context"
	"fmt"
	"strings"

	"github.com/tollgate/tollgate/internal/fault"
)

// Merge is the result of merging two commits without a work tree.
type Merge struct {
	Tree      string   // id of the merged tree; empty when there are conflicts
	Conflicts []string // paths that cannot be merged, in git's order
}

// Merge merges head into base as GitHub would and returns the tree. Conflicts are a result, not
// an error.
func (w *Workspace) Merge(ctx context.Context, repoID int64, base, head string) (Merge, error) {
	if err := checkOIDs(base, head); err != nil {
		return Merge{}, err
	}
	mirror, err := w.existing(repoID)
	if err != nil {
		return Merge{}, err
	}
	cmd := w.command(ctx, mirror, "merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", base, head)
	cmd.Env = append(cmd.Env, "GIT_OBJECT_DIRECTORY="+merged(mirror), "GIT_ALTERNATE_OBJECT_DIRECTORIES="+mirror+"/objects")
	out, err := finish(ctx, cmd, "merge-tree", nil)
	conflicted := exitCode(err) == 1
	if err != nil && !conflicted {
		return Merge{}, w.mergeFault(repoID, err)
	}
	tree, rest, _ := strings.Cut(string(out), "\x00")
	if err := checkOIDs(tree); err != nil {
		return Merge{}, fmt.Errorf("read the merge: %w", err)
	}
	if !conflicted {
		return Merge{Tree: tree}, nil
	}
	return Merge{Conflicts: strings.Split(strings.TrimRight(rest, "\x00"), "\x00")}, nil
}

func (w *Workspace) mergeFault(repoID int64, err error) error {
	if exitCode(err) < 0 {
		return err
	}
	if strings.Contains(err.Error(), "unrelated histories") {
		return fault.Wrap(err, "The pull request shares no history with its base branch.",
			"There is no merge result to plan.", "Rebase it onto the base branch.")
	}
	w.suspect(repoID)
	return w.missing(repoID, err)
}

// IsAncestor reports whether a commit is the other or one of its ancestors.
func (w *Workspace) IsAncestor(ctx context.Context, repoID int64, ancestor, descendant string) (bool, error) {
	if err := checkOIDs(ancestor, descendant); err != nil {
		return false, err
	}
	mirror, err := w.existing(repoID)
	if err != nil {
		return false, err
	}
	_, err = w.run(ctx, mirror, "merge-base", "--is-ancestor", ancestor, descendant)
	switch exitCode(err) {
	case 1:
		return false, nil
	case -1:
		return err == nil, err
	}
	w.suspect(repoID)
	return false, w.missing(repoID, err)
}

// FirstParent returns the first parent of a commit: for a merge or a squash, what the branch was
// before it. Of a pull request that was rebased onto the branch it is the last but one of its own
// commits.
func (w *Workspace) FirstParent(ctx context.Context, repoID int64, commit string) (string, error) {
	if err := checkOIDs(commit); err != nil {
		return "", err
	}
	var parent string
	err := w.withCat(ctx, repoID, func(c *catFile) (err error) {
		parent, err = c.commitHeader(commit, "parent")
		return err
	})
	if err == nil && parent == "" {
		return "", fmt.Errorf("commit %s has no parent", commit)
	}
	return parent, err
}

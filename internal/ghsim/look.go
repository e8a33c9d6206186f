package ghsim

// Commit is a commit for a witness that wants to look without a git of its own.
type Commit struct {
	SHA, Tree string
	Parents   []string
}

// Commit finds a commit by its id or by a full ref name.
func (r *Repo) Commit(rev string) (Commit, error) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	c, err := r.r.git.commitObject(rev)
	return Commit{c.sha, c.tree, c.parents}, err
}

// Files returns all files of a commit or tree by path.
func (r *Repo) Files(treeish string) (map[string]string, error) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return r.r.git.files(treeish)
}

// MergeTree merges two commits into a tree, which no commit has yet. It reports false if they conflict.
func (r *Repo) MergeTree(base, head string) (tree string, ok bool, err error) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return r.r.git.mergeTree(base, head)
}

// IsAncestor reports whether a commit is in the history of another, or is the other.
func (r *Repo) IsAncestor(ancestor, commit string) bool {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return r.s.isAncestor(r.r, ancestor, commit)
}

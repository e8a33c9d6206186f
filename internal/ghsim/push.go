package ghsim

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Push is one commit pushed to one branch.
type Push struct {
	Branch string
	// From is what a new branch starts from: a branch or a SHA, the default branch if empty. On
	// an existing branch it makes the push a forced one.
	From string
	By   string // login of who pushes
	// Author is the login of the commit's author if that is somebody else.
	Author  string
	Message string
	Files   map[string]string // path → new content
	// Modes are git's modes of files that are not 100644: 100755 for a program, 120000 for a link to
	// what the content says, 160000 for a submodule at the commit that it says.
	Modes  map[string]string
	Delete []string // paths
	Patch  string   // a unified diff, instead of Files and Delete
}

// Push makes a commit with the real git, moves the branch and sends the webhooks that follow. It
// returns the commit's SHA.
func (r *Repo) Push(p Push) (string, error) {
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	by, err := s.person(p.By)
	if err != nil {
		return "", err
	}
	if !r.r.canWrite(by) {
		return "", fmt.Errorf("%s may not push to %s", p.By, r.r.fullName())
	}
	return s.push(r.r, by, p)
}

func (s *Server) push(r *repo, by *account, p Push) (string, error) {
	ref := "refs/heads/" + p.Branch
	before := r.git.ref(ref)
	parent := before
	if p.From != "" || parent == "" {
		parent = s.resolve(r, cmp.Or(p.From, r.defaultBranch))
	}
	author := by
	if p.Author != "" {
		var err error
		if author, err = s.person(p.Author); err != nil {
			return "", err
		}
	}
	sha, err := s.makeCommit(r, ref, parent, p, author.ident(s.now()), by.ident(s.now()))
	if err != nil {
		return "", fmt.Errorf("push to %s: %w", p.Branch, err)
	}
	return sha, s.refChanged(r, by, ref, before, sha)
}

func (s *Server) makeCommit(r *repo, ref, parent string, p Push, author, committer ident) (string, error) {
	message := cmp.Or(p.Message, "Update "+p.Branch)
	if p.Patch != "" {
		return r.git.applyPatch(ref, parent, message, p.Patch, author, committer)
	}
	var files []blob
	for _, path := range slices.Sorted(maps.Keys(p.Files)) {
		files = append(files, blob{path, cmp.Or(p.Modes[path], "100644"), []byte(p.Files[path])})
	}
	return r.git.commitFiles(ref, parent, message, author, committer, files, p.Delete)
}

// resolve turns a branch, a full ref or a SHA into a SHA; "" if there is none.
func (s *Server) resolve(r *repo, rev string) string {
	if sha := r.git.ref("refs/heads/" + rev); sha != "" {
		return sha
	}
	if sha := r.git.ref("refs/tags/" + rev); sha != "" {
		return sha
	}
	if strings.HasPrefix(rev, "refs/") || isSHA(rev) {
		return r.git.ref(rev)
	}
	return ""
}

// isSHA reports whether a revision is a full or abbreviated commit id and nothing else: names
// such as HEAD~1 are git's, not GitHub's.
func isSHA(rev string) bool {
	return len(rev) >= 7 && len(rev) <= 40 && strings.Trim(rev, "0123456789abcdef") == ""
}

// SetBranch moves a branch to an existing commit, as a forced push does; "" deletes it.
func (r *Repo) SetBranch(branch, sha, by string) error {
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	who, err := s.person(by)
	if err != nil {
		return err
	}
	ref := "refs/heads/" + branch
	before := r.r.git.ref(ref)
	if err := r.r.git.setRefs(map[string]string{ref: sha}); err != nil {
		return err
	}
	return s.refChanged(r.r, who, ref, before, sha)
}

// refChanged does what follows on a branch that has moved: webhooks, check suites, and the pull
// requests that the branch is the head or the base of. Empty SHAs stand for "does not exist".
func (s *Server) refChanged(r *repo, by *account, ref, before, after string) error {
	branch, isBranch := strings.CutPrefix(ref, "refs/heads/")
	r.pushed = s.now()
	s.recordActivity(r, by, ref, before, after)
	s.emitPush(r, by, ref, before, after)
	if !isBranch {
		return nil
	}
	if after != "" {
		s.requestSuites(r, by, branch, before, after)
	}
	return errors.Join(s.headMoved(r, by, branch, before, after), s.baseMoved(r, by, branch))
}

// headMoved updates the pull requests, also those of the repository it was forked from, whose
// head is the branch.
func (s *Server) headMoved(r *repo, by *account, branch, before, after string) error {
	for _, target := range byID(s.repos) {
		for _, p := range target.pulls() {
			if !p.open() || p.headRepo != r || p.headRef != branch {
				continue
			}
			if after == "" {
				s.closePull(p, by)
				continue
			}
			p.headSHA, p.baseSHA, p.updated = after, target.git.ref("refs/heads/"+p.baseRef), s.now()
			if err := s.refreshPull(p); err != nil {
				return err
			}
			s.emitPull(p, by, "synchronize", obj{"before": before, "after": after})
		}
	}
	return nil
}

// baseMoved computes the test merges anew. GitHub sends nothing and leaves base.sha as it was;
// only a pull request whose commits have all arrived on the base counts as merged.
func (s *Server) baseMoved(r *repo, by *account, branch string) error {
	tip := r.git.ref("refs/heads/" + branch)
	for _, p := range r.pulls() {
		if !p.open() || p.baseRef != branch || tip == "" {
			continue
		}
		if s.isAncestor(r, p.headSHA, tip) {
			s.markMerged(p, by, tip)
			continue
		}
		if err := s.refreshPull(p); err != nil {
			return err
		}
	}
	return nil
}

// refreshPull writes refs/pull/N/head and, if the branches merge, refs/pull/N/merge.
func (s *Server) refreshPull(p *pull) error {
	g, head := p.repo.git, fmt.Sprintf("refs/pull/%d/head", p.number)
	if p.headRepo != p.repo {
		if err := g.fetch(p.headRepo.git, p.headSHA, head); err != nil {
			return err
		}
	}
	tip := g.ref("refs/heads/" + p.baseRef)
	tree, ok, err := g.mergeTree(tip, p.headSHA)
	if err != nil {
		return err
	}
	p.mergeable, p.mergeSHA = ok, ""
	if ok {
		github := ident{"GitHub", "noreply@github.com", s.now()}
		message := fmt.Sprintf("Merge %s into %s", p.headSHA, tip)
		if p.mergeSHA, err = g.commitTree(tree, []string{tip, p.headSHA}, message, p.author.ident(s.now()), github); err != nil {
			return err
		}
	}
	refs := map[string]string{head: p.headSHA}
	merge := fmt.Sprintf("refs/pull/%d/merge", p.number)
	if ok || g.ref(merge) != "" {
		refs[merge] = p.mergeSHA
	}
	return g.setRefs(refs)
}

// pushedCommits lists what a push brought, oldest first.
func (s *Server) pushedCommits(r *repo, before, after string) []commit {
	if after == "" {
		return nil
	}
	if tip := r.git.ref("refs/heads/" + r.defaultBranch); before == "" && tip != after {
		before = tip
	}
	commits, err := r.git.between(before, after)
	if err != nil {
		s.cfg.Logger.Error("list pushed commits", "repository", r.fullName(), "error", err)
	}
	return commits[max(0, len(commits)-2048):]
}

func (s *Server) emitPush(r *repo, by *account, ref, before, after string) {
	rendered := []obj{}
	for _, c := range s.pushedCommits(r, before, after) {
		rendered = append(rendered, s.pushCommit(r, c))
	}
	var head any
	if len(rendered) > 0 {
		head = rendered[len(rendered)-1]
	} else if after != "" {
		if c, err := s.commit(r, after); err == nil {
			head = s.pushCommit(r, c)
		}
	}
	forced := before != "" && after != "" && !s.isAncestor(r, before, after)
	s.emit(r, by, "push", "", obj{
		"ref": ref, "before": cmp.Or(before, zeroSHA), "after": cmp.Or(after, zeroSHA), "base_ref": nil,
		"created": before == "", "deleted": after == "", "forced": forced,
		"compare": fmt.Sprintf("%s/compare/%.12s...%.12s", s.htmlRepo(r), cmp.Or(before, zeroSHA), cmp.Or(after, zeroSHA)),
		"commits": rendered, "head_commit": head,
		"pusher":     obj{"name": by.login, "email": by.ident(s.now()).email},
		"repository": s.pushRepository(r),
	})
}

func (s *Server) isAncestor(r *repo, a, b string) bool {
	return r.mergeBase(a, b) == a
}

// mergeBase is the best common ancestor of two commits; "" if there is none.
func (r *repo) mergeBase(a, b string) string {
	key := [2]string{a, b}
	if base, ok := r.bases[key]; ok {
		return base
	}
	base, err := r.git.mergeBase(a, b)
	if err != nil {
		return ""
	}
	r.bases[key] = base
	return base
}

// commit reads a commit object through the cache.
func (s *Server) commit(r *repo, sha string) (commit, error) {
	if c, ok := r.commits[sha]; ok {
		return c, nil
	}
	c, err := r.git.commitObject(sha)
	if err == nil {
		r.commits[c.sha] = c
	}
	return c, err
}

// diff reads a diff through the cache.
func (s *Server) diff(r *repo, from, to string) ([]fileChange, error) {
	key := [2]string{from, to}
	if d, ok := r.diffs[key]; ok {
		return d, nil
	}
	d, err := r.git.diff(from, to)
	if err == nil {
		r.diffs[key] = d
	}
	return d, err
}

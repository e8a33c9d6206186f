package ghsim

import (
	"fmt"
	"net/http"
	"strings"
)

// MergeMethod is how a pull request gets onto its base branch.
type MergeMethod string

// The merge methods.
const (
	Merge  MergeMethod = "merge"
	Squash MergeMethod = "squash"
	Rebase MergeMethod = "rebase"
)

// Merge merges the pull request and returns the commit it became.
func (p *Pull) Merge(by string, method MergeMethod) (string, error) {
	var sha string
	err := p.as(by, func(by *account) *reply {
		var fault *reply
		sha, fault = p.s.merge(p.p, by, mergeOptions{method: method})
		return fault
	})
	return sha, err
}

// mergeOptions is the body of a merge request.
type mergeOptions struct {
	method         MergeMethod
	title, message string
	sha            string // must be the head if set
}

func (s *Server) merge(p *pull, by *account, o mergeOptions) (string, *reply) {
	switch {
	case !p.repo.mayEdit(by, nil):
		return "", forbidden()
	case p.merged || !p.open() || p.draft:
		return "", fail(http.StatusMethodNotAllowed, "Pull Request is not mergeable")
	case o.sha != "" && o.sha != p.headSHA:
		return "", fail(http.StatusConflict, "Head branch was modified. Review and try the merge again.")
	case !p.mergeable:
		return "", fail(http.StatusMethodNotAllowed, "Pull Request is not mergeable")
	}
	if why := s.blockedBy(p); why != "" {
		return "", fail(http.StatusMethodNotAllowed, why)
	}
	ref := "refs/heads/" + p.baseRef
	tip := p.repo.git.ref(ref)
	sha, err := s.mergeCommit(p, by, tip, o)
	if err == nil {
		err = p.repo.git.setRefs(map[string]string{ref: sha})
	}
	if err != nil {
		return "", fail(http.StatusMethodNotAllowed, err.Error())
	}
	s.markMerged(p, by, sha)
	if err := s.refChanged(p.repo, by, ref, tip, sha); err != nil {
		return "", fail(http.StatusInternalServerError, err.Error())
	}
	return sha, nil
}

func (s *Server) mergeCommit(p *pull, by *account, tip string, o mergeOptions) (string, error) {
	github := ident{"GitHub", "noreply@github.com", s.now()}
	if o.method == Rebase {
		return p.repo.git.rebase(tip, p.headSHA, by.ident(s.now()))
	}
	tree, ok, err := p.repo.git.mergeTree(tip, p.headSHA)
	if err != nil || !ok {
		return "", fmt.Errorf("merge conflict in #%d: %v", p.number, err)
	}
	parents, author := []string{tip, p.headSHA}, by
	message := fmt.Sprintf("Merge pull request #%d from %s/%s\n\n%s", p.number, p.headRepo.owner.login, p.headRef, p.title)
	if o.method == Squash {
		parents, author = []string{tip}, p.author
		message = fmt.Sprintf("%s (#%d)", p.title, p.number)
	}
	if o.title != "" {
		message = o.title
	}
	if o.message != "" {
		title, _, _ := strings.Cut(message, "\n")
		message = title + "\n\n" + o.message
	}
	return p.repo.git.commitTree(tree, parents, message+"\n", author.ident(s.now()), github)
}

func (s *Server) markMerged(p *pull, by *account, sha string) {
	now := s.now()
	p.state, p.merged, p.mergedAt, p.mergedBy, p.mergeSHA = "closed", true, now, by, sha
	p.closed, p.closedBy, p.updated = now, by, now
	s.dropMergeRef(p)
	s.emitPull(p, by, "closed", nil)
}

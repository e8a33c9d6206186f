package ghsim

import (
	"net/http"
	"slices"
	"strings"
)

// GitHub lists no more than this, whatever the pages.
const (
	maxPullFiles   = 3000
	maxPullCommits = 250
)

var pullRoutes = []route{
	{"GET /repos/{owner}/{repo}/pulls", "pull_requests:read", (*Server).listPulls},
	{"POST /repos/{owner}/{repo}/pulls", "pull_requests:write", (*Server).createPull},
	{"GET /repos/{owner}/{repo}/pulls/{pull_number}", "pull_requests:read", pullOp((*Server).getPull)},
	{"PATCH /repos/{owner}/{repo}/pulls/{pull_number}", "pull_requests:write", pullOp((*Server).patchPull)},
	{"GET /repos/{owner}/{repo}/pulls/{pull_number}/files", "pull_requests:read", pullOp((*Server).listFiles)},
	{"GET /repos/{owner}/{repo}/pulls/{pull_number}/commits", "pull_requests:read", pullOp((*Server).listCommits)},
	{"GET /repos/{owner}/{repo}/pulls/{pull_number}/reviews", "pull_requests:read", pullOp((*Server).listReviews)},
	{"POST /repos/{owner}/{repo}/pulls/{pull_number}/reviews", "pull_requests:write", pullOp((*Server).createReview)},
	{"GET /repos/{owner}/{repo}/pulls/{pull_number}/reviews/{review_id}", "pull_requests:read", pullOp((*Server).getReview)},
	{"PUT /repos/{owner}/{repo}/pulls/{pull_number}/reviews/{review_id}/dismissals", "pull_requests:write", pullOp((*Server).dismissReview)},
	{"GET /repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers", "pull_requests:read", pullOp((*Server).requestedReviewers)},
	{"GET /repos/{owner}/{repo}/pulls/{pull_number}/merge", "contents:read", pullOp((*Server).isMerged)},
	{"PUT /repos/{owner}/{repo}/pulls/{pull_number}/merge", "contents:write", pullOp((*Server).mergePull)},
}

// pullOp finds the pull request that a route is about.
func pullOp(handle func(*Server, *call, *pull) *reply) func(*Server, *call) *reply {
	return func(s *Server, c *call) *reply {
		p := c.repo.pull(int(c.number("pull_number")))
		if p == nil {
			return notFound()
		}
		return handle(s, c, p)
	}
}

func (s *Server) listPulls(c *call) *reply {
	state := c.query("state")
	if state == "" {
		state = "open"
	}
	pulls := c.repo.pulls() // by number, which is by creation
	descending := c.query("direction") == "desc"
	if c.query("sort") == "updated" {
		slices.SortStableFunc(pulls, func(a, b *pull) int { return a.updated.Compare(b.updated) })
	} else {
		descending = c.query("direction") != "asc"
	}
	var items []obj
	for _, p := range pulls {
		head := p.headRepo.owner.login + ":" + p.headRef
		switch {
		case state != "all" && p.state != state,
			c.query("base") != "" && c.query("base") != p.baseRef,
			c.query("head") != "" && c.query("head") != head:
			continue
		}
		items = append(items, s.pullSimple(p))
	}
	if descending {
		slices.Reverse(items)
	}
	return paged(s, c, items)
}

func (s *Server) createPull(c *call) *reply {
	var in struct {
		Title, Head, Base, Body string
		Draft                   bool
	}
	if fault := c.decode(&in); fault != nil {
		return fault
	}
	from, branch := c.repo, in.Head
	if owner, name, found := strings.Cut(in.Head, ":"); found {
		branch = name
		if from = s.forkOf(c.repo, owner); from == nil {
			return invalid("PullRequest", "head", "invalid", "")
		}
	}
	p, fault := s.openPull(c.repo, c.actor.user, from, OpenPull{Head: branch, Base: in.Base, Title: in.Title, Body: in.Body, Draft: in.Draft})
	if fault != nil {
		return fault
	}
	return created(s.pullFull(p))
}

func (s *Server) forkOf(r *repo, owner string) *repo {
	for _, f := range byID(s.repos) {
		if strings.EqualFold(f.owner.login, owner) && (f == r || f.parent == r) {
			return f
		}
	}
	return nil
}

func (s *Server) getPull(_ *call, p *pull) *reply { return ok(s.pullFull(p)) }

func (s *Server) patchPull(c *call, p *pull) *reply {
	var in struct {
		PullEdit
		State *string
	}
	if fault := c.decode(&in); fault != nil {
		return fault
	}
	if fault := s.editPull(p, c.actor.user, in.PullEdit); fault != nil {
		return fault
	}
	if in.State != nil {
		if fault := s.setPullState(p, c.actor.user, *in.State); fault != nil {
			return fault
		}
	}
	return ok(s.pullFull(p))
}

func (s *Server) listFiles(c *call, p *pull) *reply {
	changes, err := s.files(p)
	if err != nil {
		return fail(http.StatusInternalServerError, err.Error())
	}
	items, _, _ := s.fileShapes(p.repo, p.headSHA, changes[:min(len(changes), maxPullFiles)])
	return paged(s, c, items)
}

func (s *Server) listCommits(c *call, p *pull) *reply {
	commits, err := s.commitsOf(p)
	if err != nil {
		return fail(http.StatusInternalServerError, err.Error())
	}
	var items []obj
	for _, k := range commits[:min(len(commits), maxPullCommits)] {
		items = append(items, s.commitShape(p.repo, k))
	}
	return paged(s, c, items)
}

func (s *Server) listReviews(c *call, p *pull) *reply {
	var items []obj
	for _, v := range p.reviews {
		items = append(items, s.review(p, v))
	}
	return paged(s, c, items)
}

func (s *Server) createReview(c *call, p *pull) *reply {
	var in struct {
		Body, Event string
		CommitID    string `json:"commit_id"`
	}
	if fault := c.decode(&in); fault != nil {
		return fault
	}
	v, fault := s.addReview(p, c.actor.user, NewReview{State: in.Event, Body: in.Body, Commit: in.CommitID})
	if fault != nil {
		return fault
	}
	return ok(s.review(p, v))
}

func (s *Server) getReview(c *call, p *pull) *reply {
	for _, v := range p.reviews {
		if v.id == c.number("review_id") {
			return ok(s.review(p, v))
		}
	}
	return notFound()
}

func (s *Server) dismissReview(c *call, p *pull) *reply {
	var in struct{ Message string }
	if fault := c.decode(&in); fault != nil {
		return fault
	}
	if fault := s.dismiss(p, c.actor.user, c.number("review_id"), in.Message); fault != nil {
		return fault
	}
	return s.getReview(c, p)
}

func (s *Server) requestedReviewers(*call, *pull) *reply {
	return ok(obj{"users": []obj{}, "teams": []obj{}})
}

func (s *Server) isMerged(_ *call, p *pull) *reply {
	if p.merged {
		return noContent()
	}
	return notFound()
}

func (s *Server) mergePull(c *call, p *pull) *reply {
	var in struct {
		CommitTitle   string      `json:"commit_title"`
		CommitMessage string      `json:"commit_message"`
		SHA           string      `json:"sha"`
		Method        MergeMethod `json:"merge_method"`
	}
	if fault := c.decode(&in); fault != nil {
		return fault
	}
	if in.Method == "" {
		in.Method = Merge
	}
	if !slices.Contains([]MergeMethod{Merge, Squash, Rebase}, in.Method) {
		return invalid("PullRequest", "merge_method", "invalid", "")
	}
	sha, fault := s.merge(p, c.actor.user, mergeOptions{in.Method, in.CommitTitle, in.CommitMessage, in.SHA})
	if fault != nil {
		return fault
	}
	return ok(obj{"sha": sha, "merged": true, "message": "Pull Request successfully merged"})
}

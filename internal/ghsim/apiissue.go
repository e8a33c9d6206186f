package ghsim

import (
	"cmp"
	"slices"
	"time"
)

// A comment on a pull request is a comment on an issue; Apps may write it with either permission.
const (
	readTalk  = "issues:read|pull_requests:read"
	writeTalk = "issues:write|pull_requests:write"
)

var issueRoutes = []route{
	{"GET /repos/{owner}/{repo}/issues", readTalk, (*Server).listIssues},
	{"POST /repos/{owner}/{repo}/issues", "issues:write", (*Server).createIssue},
	{"GET /repos/{owner}/{repo}/issues/{issue_number}", readTalk, issueOp((*Server).getIssue)},
	{"PATCH /repos/{owner}/{repo}/issues/{issue_number}", writeTalk, issueOp((*Server).patchIssue)},
	{"GET /repos/{owner}/{repo}/issues/{issue_number}/comments", readTalk, issueOp((*Server).listComments)},
	{"POST /repos/{owner}/{repo}/issues/{issue_number}/comments", writeTalk, issueOp((*Server).createComment)},
	{"GET /repos/{owner}/{repo}/issues/comments/{comment_id}", readTalk, commentOp((*Server).getComment)},
	{"PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}", writeTalk, commentOp((*Server).patchComment)},
	{"DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}", writeTalk, commentOp((*Server).removeComment)},
	{"GET /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions", readTalk, commentOp((*Server).listReactions)},
	{"POST /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions", writeTalk, commentOp((*Server).createReaction)},
	{"DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions/{reaction_id}", writeTalk, commentOp((*Server).removeReaction)},
}

// via is the App in whose name an installation acts, or nil.
func (a actor) via() *app {
	if a.kind == "installation" {
		return a.app
	}
	return nil
}

func issueOp(handle func(*Server, *call, *issue) *reply) func(*Server, *call) *reply {
	return func(s *Server, c *call) *reply {
		i := c.repo.issues[int(c.number("issue_number"))]
		if i == nil {
			return notFound()
		}
		return handle(s, c, i)
	}
}

func commentOp(handle func(*Server, *call, *comment) *reply) func(*Server, *call) *reply {
	return func(s *Server, c *call) *reply {
		at := c.repo.comments[c.number("comment_id")]
		if at == nil {
			return notFound()
		}
		return handle(s, c, at)
	}
}

func (s *Server) listIssues(c *call) *reply {
	state := cmp.Or(c.query("state"), "open")
	var items []obj
	for n := c.repo.lastNumber; n > 0; n-- { // newest first
		if i := c.repo.issues[n]; i != nil && (state == "all" || i.state == state) {
			items = append(items, s.issue(i))
		}
	}
	return paged(s, c, items)
}

func (s *Server) createIssue(c *call) *reply {
	var in struct {
		Title  string
		Body   string
		Labels []string
	}
	if fault := c.decode(&in); fault != nil {
		return fault
	}
	if in.Title == "" {
		return missing("title")
	}
	if len(in.Body) > 0 {
		if fault := checkBody(in.Body); fault != nil {
			return fault
		}
	}
	c.repo.lastNumber++
	i := &issue{
		id: s.id(), repo: c.repo, number: c.repo.lastNumber, title: in.Title, body: in.Body, author: c.actor.user,
		app: c.actor.via(), state: "open", created: s.now(), updated: s.now(), labels: in.Labels,
	}
	c.repo.issues[i.number] = i
	s.emit(c.repo, i.author, "issues", "opened", obj{"issue": s.hookIssue(i)})
	return created(s.issue(i))
}

func (s *Server) getIssue(_ *call, i *issue) *reply { return ok(s.issue(i)) }

func (s *Server) patchIssue(c *call, i *issue) *reply {
	var in struct {
		Title, Body, State *string
		StateReason        *string `json:"state_reason"`
	}
	if fault := c.decode(&in); fault != nil {
		return fault
	}
	if i.pull != nil {
		edit := PullEdit{Title: in.Title, Body: in.Body}
		if fault := s.editPull(i.pull, c.actor.user, edit); fault != nil {
			return fault
		}
		if in.State != nil {
			if fault := s.setPullState(i.pull, c.actor.user, *in.State); fault != nil {
				return fault
			}
		}
		return ok(s.issue(i))
	}
	set(&i.title, in.Title)
	set(&i.body, in.Body)
	i.updated = s.now()
	if in.State != nil && *in.State != i.state {
		s.setIssueState(i, c.actor.user, *in.State, cmp.Or(deref(in.StateReason), "completed"))
	}
	return ok(s.issue(i))
}

func (s *Server) setIssueState(i *issue, by *account, state, reason string) {
	i.state, i.reason = state, reason
	i.closed, i.closedBy = s.now(), by
	action := "closed"
	if state == "open" {
		i.reason, i.closed, i.closedBy, action = "reopened", time.Time{}, nil, "reopened"
	}
	s.emit(i.repo, by, "issues", action, obj{"issue": s.hookIssue(i)})
}

func (s *Server) listComments(c *call, i *issue) *reply {
	since, err := time.Parse(time.RFC3339, c.query("since"))
	var items []obj
	for _, k := range i.comments() {
		if err == nil && k.updated.Before(since) {
			continue
		}
		items = append(items, s.comment(k))
	}
	return paged(s, c, items)
}

type bodyInput struct{ Body string }

func (s *Server) createComment(c *call, i *issue) *reply {
	var in bodyInput
	if fault := c.decode(&in); fault != nil {
		return fault
	}
	k, fault := s.addComment(i, c.actor.user, c.actor.via(), in.Body)
	if fault != nil {
		return fault
	}
	return created(s.comment(k))
}

func (s *Server) getComment(_ *call, k *comment) *reply { return ok(s.comment(k)) }

func (s *Server) patchComment(c *call, k *comment) *reply {
	var in bodyInput
	if fault := c.decode(&in); fault != nil {
		return fault
	}
	if fault := s.editComment(k, c.actor.user, in.Body); fault != nil {
		return fault
	}
	return ok(s.comment(k))
}

func (s *Server) removeComment(c *call, k *comment) *reply {
	if fault := s.deleteComment(k, c.actor.user); fault != nil {
		return fault
	}
	return noContent()
}

func (s *Server) listReactions(c *call, k *comment) *reply {
	var items []obj
	for _, r := range k.reactions {
		if want := c.query("content"); want == "" || want == r.content {
			items = append(items, s.reaction(r))
		}
	}
	return paged(s, c, items)
}

func (s *Server) createReaction(c *call, k *comment) *reply {
	var in struct{ Content string }
	if fault := c.decode(&in); fault != nil {
		return fault
	}
	r, isNew, fault := s.react(k, c.actor.user, in.Content)
	switch {
	case fault != nil:
		return fault
	case isNew:
		return created(s.reaction(r))
	}
	return ok(s.reaction(r))
}

func (s *Server) removeReaction(c *call, k *comment) *reply {
	n := len(k.reactions)
	k.reactions = slices.DeleteFunc(k.reactions, func(r *reaction) bool { return r.id == c.number("reaction_id") })
	if len(k.reactions) == n {
		return notFound()
	}
	s.touch()
	return noContent()
}

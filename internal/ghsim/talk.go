package ghsim

import (
	"fmt"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"
)

// maxComment is GitHub's limit for a comment, in characters.
const maxComment = 65536

// CommentInfo is a comment at one moment.
type CommentInfo struct {
	ID               int64
	Author, Body     string
	Created, Updated time.Time
	Reactions        []string // contents such as eyes or +1, oldest first
}

// Comments lists the conversation, oldest first.
func (p *Pull) Comments() []CommentInfo {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	var list []CommentInfo
	for _, c := range p.p.issue.comments() {
		info := CommentInfo{ID: c.id, Author: c.author.login, Body: c.body, Created: c.created, Updated: c.updated}
		for _, r := range c.reactions {
			info.Reactions = append(info.Reactions, r.content)
		}
		list = append(list, info)
	}
	return list
}

func (i *issue) comments() []*comment {
	var list []*comment
	for _, c := range byID(i.repo.comments) {
		if c.issue == i {
			list = append(list, c)
		}
	}
	return list
}

// Comment adds a comment and returns its id.
func (p *Pull) Comment(by, body string) (int64, error) {
	var id int64
	err := p.as(by, func(by *account) *reply {
		c, fault := p.s.addComment(p.p.issue, by, nil, body)
		if fault == nil {
			id = c.id
		}
		return fault
	})
	return id, err
}

// EditComment changes a comment's body.
func (p *Pull) EditComment(by string, id int64, body string) error {
	return p.as(by, func(by *account) *reply {
		c := p.p.repo.comments[id]
		if c == nil {
			return notFound()
		}
		return p.s.editComment(c, by, body)
	})
}

// DeleteComment removes a comment.
func (p *Pull) DeleteComment(by string, id int64) error {
	return p.as(by, func(by *account) *reply {
		c := p.p.repo.comments[id]
		if c == nil {
			return notFound()
		}
		return p.s.deleteComment(c, by)
	})
}

func checkBody(body string) *reply {
	if n := utf8.RuneCountInString(body); n > maxComment {
		return invalid("IssueComment", "data", "unprocessable", "Body is too long (maximum is 65536 characters)")
	}
	if body == "" {
		return invalid("IssueComment", "data", "unprocessable", "Body cannot be blank")
	}
	return nil
}

func (s *Server) addComment(i *issue, by *account, via *app, body string) (*comment, *reply) {
	if fault := checkBody(body); fault != nil {
		return nil, fault
	}
	c := &comment{id: s.id(), issue: i, author: by, app: via, body: body, created: s.now(), updated: s.now()}
	i.repo.comments[c.id] = c
	i.updated = s.now()
	s.emit(i.repo, by, "issue_comment", "created", obj{"issue": s.hookIssue(i), "comment": s.comment(c)})
	return c, nil
}

func (s *Server) editComment(c *comment, by *account, body string) *reply {
	if !c.issue.repo.mayEdit(by, c.author) {
		return forbidden()
	}
	if fault := checkBody(body); fault != nil {
		return fault
	}
	from := c.body
	c.body, c.updated = body, s.now()
	s.emit(c.issue.repo, by, "issue_comment", "edited", obj{
		"issue": s.hookIssue(c.issue), "comment": s.comment(c), "changes": obj{"body": obj{"from": from}},
	})
	return nil
}

func (s *Server) deleteComment(c *comment, by *account) *reply {
	if !c.issue.repo.mayEdit(by, c.author) {
		return forbidden()
	}
	delete(c.issue.repo.comments, c.id)
	s.emit(c.issue.repo, by, "issue_comment", "deleted", obj{"issue": s.hookIssue(c.issue), "comment": s.comment(c)})
	return nil
}

var reactionContents = []string{"+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"}

// react adds a reaction; the second return value is false if it was there already.
func (s *Server) react(c *comment, by *account, content string) (*reaction, bool, *reply) {
	if !slices.Contains(reactionContents, content) {
		return nil, false, invalid("Reaction", "content", "invalid", "")
	}
	for _, r := range c.reactions {
		if r.user == by && r.content == content {
			return r, false, nil
		}
	}
	r := &reaction{id: s.id(), user: by, content: content, created: s.now()}
	c.reactions = append(c.reactions, r)
	s.touch()
	return r, true, nil
}

// ReviewInfo is a review at one moment.
type ReviewInfo struct {
	ID                          int64
	Author, State, Body, Commit string // State: APPROVED, CHANGES_REQUESTED, COMMENTED or DISMISSED
	Submitted                   time.Time
}

// Reviews lists the reviews, oldest first.
func (p *Pull) Reviews() []ReviewInfo {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	var list []ReviewInfo
	for _, v := range p.p.reviews {
		list = append(list, ReviewInfo{v.id, v.author.login, v.state, v.body, v.commit, v.submitted})
	}
	return list
}

// NewReview is a review to be submitted.
type NewReview struct {
	By     string
	State  string // APPROVE, REQUEST_CHANGES or COMMENT
	Body   string
	Commit string // the head if empty
}

// Review submits a review and returns its id.
func (p *Pull) Review(n NewReview) (int64, error) {
	var id int64
	err := p.as(n.By, func(by *account) *reply {
		v, fault := p.s.addReview(p.p, by, n)
		if fault == nil {
			id = v.id
		}
		return fault
	})
	return id, err
}

// Approve approves the present head.
func (p *Pull) Approve(by string) error {
	_, err := p.Review(NewReview{By: by, State: "APPROVE"})
	return err
}

func (s *Server) addReview(p *pull, by *account, n NewReview) (*review, *reply) {
	words := map[string]string{"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}
	state := words[n.State]
	switch {
	case state == "":
		return nil, invalid("PullRequestReview", "event", "invalid", "")
	case by == p.author && state != "COMMENTED":
		verb := map[string]string{"APPROVED": "approve", "CHANGES_REQUESTED": "request changes on"}[state]
		return nil, &reply{status: http.StatusUnprocessableEntity, body: obj{
			"message": "Unprocessable Entity", "documentation_url": docs,
			"errors": []string{fmt.Sprintf("Review Can not %s your own pull request", verb)},
		}}
	case n.Body == "" && state != "APPROVED":
		return nil, invalid("PullRequestReview", "body", "missing_field", "")
	}
	sha := p.headSHA
	if n.Commit != "" {
		if sha = s.resolve(p.repo, n.Commit); sha == "" {
			return nil, invalid("PullRequestReview", "commit_id", "invalid", "")
		}
	}
	v := &review{id: s.id(), author: by, state: state, body: n.Body, commit: sha, submitted: s.now()}
	p.reviews = append(p.reviews, v)
	p.updated = s.now()
	s.emitReview(p, v, by, "submitted")
	return v, nil
}

// Dismiss takes the effect off a review.
func (p *Pull) Dismiss(by string, reviewID int64, message string) error {
	return p.as(by, func(by *account) *reply { return p.s.dismiss(p.p, by, reviewID, message) })
}

func (s *Server) dismiss(p *pull, by *account, id int64, message string) *reply {
	i := slices.IndexFunc(p.reviews, func(v *review) bool { return v.id == id })
	switch {
	case i < 0:
		return notFound()
	case !p.repo.mayEdit(by, nil):
		return forbidden()
	case message == "":
		return invalid("PullRequestReview", "message", "missing_field", "")
	case p.reviews[i].state == "COMMENTED" || p.reviews[i].state == "DISMISSED":
		return fail(http.StatusUnprocessableEntity, "Can not dismiss a commented pull request review")
	}
	p.reviews[i].state = "DISMISSED"
	s.emitReview(p, p.reviews[i], by, "dismissed")
	return nil
}

func (s *Server) emitReview(p *pull, v *review, by *account, action string) {
	s.emit(p.repo, by, "pull_request_review", action, obj{
		"pull_request": s.pullSimple(p), "review": s.hookReview(p, v),
	})
}

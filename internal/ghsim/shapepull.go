package ghsim

import (
	"fmt"
	"maps"
)

// association says in GitHub's word how an account stands to a repository.
func association(r *repo, a *account) string {
	switch {
	case a == r.owner:
		return "OWNER"
	case r.roles[a.id] != "" && r.owner.kind == "Organization":
		return "MEMBER"
	case r.roles[a.id] != "":
		return "COLLABORATOR"
	}
	return "NONE"
}

// pullSimple is a pull request in lists and in review webhooks.
func (s *Server) pullSimple(p *pull) obj {
	api, html := fmt.Sprintf("%s/pulls/%d", s.apiRepo(p.repo), p.number), s.htmlPull(p)
	issueURL := fmt.Sprintf("%s/issues/%d", s.apiRepo(p.repo), p.number)
	href := func(u string) obj { return obj{"href": u} }
	statuses := s.apiRepo(p.repo) + "/statuses/" + p.headSHA
	return obj{
		"url": api, "id": p.pullID, "node_id": nodeID("PullRequest", p.pullID), "html_url": html,
		"diff_url": html + ".diff", "patch_url": html + ".patch", "issue_url": issueURL, "commits_url": api + "/commits",
		"review_comments_url": api + "/comments", "review_comment_url": s.apiRepo(p.repo) + "/pulls/comments{/number}",
		"comments_url": issueURL + "/comments", "statuses_url": statuses, "number": p.number, "state": p.state,
		"locked": false, "title": p.title, "user": s.user(p.author), "body": orNull(p.body), "labels": []obj{},
		"milestone": nil, "active_lock_reason": nil, "created_at": stamp(p.created), "updated_at": stamp(p.updated),
		"closed_at": stamp(p.closed), "merged_at": stamp(p.mergedAt), "merge_commit_sha": orNull(p.mergeSHA),
		"assignee": nil, "assignees": []obj{}, "requested_reviewers": []obj{}, "requested_teams": []obj{},
		"head": s.pullSide(p.headRepo, p.headRef, p.headSHA), "base": s.pullSide(p.repo, p.baseRef, p.baseSHA),
		"_links": obj{
			"self": href(api), "html": href(html), "issue": href(issueURL), "comments": href(issueURL + "/comments"),
			"review_comments": href(api + "/comments"), "review_comment": href(s.apiRepo(p.repo) + "/pulls/comments{/number}"),
			"commits": href(api + "/commits"), "statuses": href(statuses),
		},
		"author_association": association(p.repo, p.author), "auto_merge": nil, "draft": p.draft,
	}
}

func (s *Server) pullSide(r *repo, ref, sha string) obj {
	return obj{
		"label": r.owner.login + ":" + ref, "ref": ref, "sha": sha, "user": s.user(r.owner), "repo": s.repository(r),
	}
}

// pullFull is one pull request by itself, with the numbers that lists leave out.
func (s *Server) pullFull(p *pull) obj {
	o := s.pullSimple(p)
	var mergeable any
	if p.open() {
		mergeable = p.mergeable
	}
	commits, err := s.commitsOf(p)
	if err != nil {
		s.cfg.Logger.Error("list commits of a pull request", "number", p.number, "error", err)
	}
	files, err := s.files(p)
	if err != nil {
		s.cfg.Logger.Error("diff a pull request", "number", p.number, "error", err)
	}
	additions, deletions := 0, 0
	for _, f := range files {
		additions, deletions = additions+f.additions, deletions+f.deletions
	}
	maps.Copy(o, obj{
		"merged": p.merged, "mergeable": mergeable, "rebaseable": mergeable, "mergeable_state": s.mergeableState(p),
		"merged_by": s.maybeUser(p.mergedBy), "comments": len(p.issue.comments()), "review_comments": 0,
		"maintainer_can_modify": false, "commits": len(commits), "additions": additions, "deletions": deletions,
		"changed_files": len(files),
	})
	return o
}

// pullRef is the little that checks say of a pull request.
func (s *Server) pullRef(p *pull) obj {
	side := func(r *repo, ref, sha string) obj {
		return obj{"ref": ref, "sha": sha, "repo": obj{"id": r.id, "url": s.apiRepo(r), "name": r.name}}
	}
	return obj{
		"id": p.pullID, "number": p.number, "url": fmt.Sprintf("%s/pulls/%d", s.apiRepo(p.repo), p.number),
		"head": side(p.headRepo, p.headRef, p.headSHA), "base": side(p.repo, p.baseRef, p.baseSHA),
	}
}

func (s *Server) issue(i *issue) obj {
	api := fmt.Sprintf("%s/issues/%d", s.apiRepo(i.repo), i.number)
	html := fmt.Sprintf("%s/issues/%d", s.htmlRepo(i.repo), i.number)
	labels := []obj{}
	for _, l := range i.labels {
		labels = append(labels, obj{
			"id": i.id, "node_id": nodeID("Label", i.id), "url": s.apiRepo(i.repo) + "/labels/" + l, "name": l,
			"description": nil, "color": "ededed", "default": false,
		})
	}
	o := obj{
		"url": api, "repository_url": s.apiRepo(i.repo), "labels_url": api + "/labels{/name}",
		"comments_url": api + "/comments", "events_url": api + "/events", "html_url": html, "id": i.id,
		"node_id": nodeID("Issue", i.id), "number": i.number, "title": i.title, "user": s.user(i.author), "labels": labels,
		"state": i.state, "locked": false, "assignee": nil, "assignees": []obj{}, "milestone": nil,
		"comments": len(i.comments()), "created_at": stamp(i.created), "updated_at": stamp(i.updated),
		"closed_at": stamp(i.closed), "author_association": association(i.repo, i.author), "active_lock_reason": nil,
		"body": orNull(i.body), "closed_by": s.maybeUser(i.closedBy), "timeline_url": api + "/timeline",
		"performed_via_github_app": s.via(i.app), "state_reason": orNull(i.reason), "reactions": s.reactions(api, nil),
	}
	if p := i.pull; p != nil {
		html := s.htmlPull(p)
		o["html_url"], o["draft"] = html, p.draft
		o["pull_request"] = obj{
			"url": fmt.Sprintf("%s/pulls/%d", s.apiRepo(i.repo), i.number), "html_url": html, "diff_url": html + ".diff",
			"patch_url": html + ".patch", "merged_at": stamp(p.mergedAt),
		}
	}
	return o
}

// hookIssue is an issue in webhooks, which don't say who closed it.
func (s *Server) hookIssue(i *issue) obj {
	o := s.issue(i)
	delete(o, "closed_by")
	return o
}

func (s *Server) comment(c *comment) obj {
	api := fmt.Sprintf("%s/issues/comments/%d", s.apiRepo(c.issue.repo), c.id)
	page := fmt.Sprintf("%s/issues/%d", s.htmlRepo(c.issue.repo), c.issue.number)
	if c.issue.pull != nil {
		page = s.htmlPull(c.issue.pull)
	}
	return obj{
		"url": api, "html_url": fmt.Sprintf("%s#issuecomment-%d", page, c.id),
		"issue_url": fmt.Sprintf("%s/issues/%d", s.apiRepo(c.issue.repo), c.issue.number), "id": c.id,
		"node_id": nodeID("IssueComment", c.id), "user": s.user(c.author), "created_at": stamp(c.created),
		"updated_at": stamp(c.updated), "author_association": association(c.issue.repo, c.author), "body": c.body,
		"reactions": s.reactions(api, c.reactions), "performed_via_github_app": s.via(c.app),
	}
}

func (s *Server) reactions(api string, given []*reaction) obj {
	o := obj{"url": api + "/reactions", "total_count": len(given)}
	for _, content := range reactionContents {
		o[content] = 0
	}
	for _, r := range given {
		o[r.content] = o[r.content].(int) + 1
	}
	return o
}

func (s *Server) reaction(r *reaction) obj {
	return obj{
		"id": r.id, "node_id": nodeID("Reaction", r.id), "user": s.user(r.user), "content": r.content,
		"created_at": stamp(r.created),
	}
}

func (s *Server) review(p *pull, v *review) obj {
	api := fmt.Sprintf("%s/pulls/%d", s.apiRepo(p.repo), p.number)
	html := fmt.Sprintf("%s#pullrequestreview-%d", s.htmlPull(p), v.id)
	return obj{
		"id": v.id, "node_id": nodeID("PullRequestReview", v.id), "user": s.user(v.author), "body": v.body,
		"state": v.state, "html_url": html, "pull_request_url": api, "author_association": association(p.repo, v.author),
		"_links":       obj{"html": obj{"href": html}, "pull_request": obj{"href": api}},
		"submitted_at": stamp(v.submitted), "commit_id": v.commit,
	}
}

// hookReview is a review in webhooks, where the state is spelled in lower case.
func (s *Server) hookReview(p *pull, v *review) obj {
	o := s.review(p, v)
	words := map[string]string{
		"APPROVED": "approved", "CHANGES_REQUESTED": "changes_requested", "COMMENTED": "commented", "DISMISSED": "dismissed",
	}
	o["state"], o["body"], o["updated_at"] = words[v.state], orNull(v.body), stamp(v.submitted)
	return o
}

package ghsim

import "fmt"

// checkRun is a check run; webhooks carry the whole suite in it, answers only its id.
func (s *Server) checkRun(x *run, inHook bool) obj {
	api := fmt.Sprintf("%s/check-runs/%d", s.apiRepo(x.repo), x.id)
	html := fmt.Sprintf("%s/runs/%d", s.htmlRepo(x.repo), x.id)
	details := x.details
	if details == "" {
		details = s.url
	}
	o := obj{
		"id": x.id, "node_id": nodeID("CheckRun", x.id), "head_sha": x.headSHA, "external_id": x.externalID, "url": api,
		"html_url": html, "details_url": details, "status": x.status, "conclusion": orNull(x.conclusion),
		"started_at": stamp(x.started), "completed_at": stamp(x.completed), "name": x.name,
		"check_suite": obj{"id": x.suite.id}, "app": s.appShape(x.suite.app), "pull_requests": s.pullRefs(x.repo, x.headSHA),
		"output": obj{
			"title": orNull(x.title), "summary": orNull(x.summary), "text": orNull(x.text),
			"annotations_count": len(x.annotations), "annotations_url": api + "/annotations",
		},
	}
	if inHook {
		o["check_suite"] = s.checkSuite(x.suite)
	}
	return o
}

func (s *Server) pullRefs(r *repo, sha string) []obj {
	refs := []obj{}
	for _, p := range s.pullsAt(r, sha) {
		refs = append(refs, s.pullRef(p))
	}
	return refs
}

// checkSuite is the part of a suite that everything shows.
func (s *Server) checkSuite(x *suite) obj {
	status, conclusion := x.state()
	return obj{
		"id": x.id, "node_id": nodeID("CheckSuite", x.id), "head_branch": orNull(x.branch), "head_sha": x.headSHA,
		"status": status, "conclusion": orNull(conclusion), "url": fmt.Sprintf("%s/check-suites/%d", s.apiRepo(x.repo), x.id),
		"before": orNull(x.before), "after": x.headSHA, "pull_requests": s.pullRefs(x.repo, x.headSHA),
		"app": s.appShape(x.app), "created_at": stamp(x.created), "updated_at": stamp(x.updated),
	}
}

// hookSuite is a suite in its own webhooks.
func (s *Server) hookSuite(x *suite) obj {
	o := s.checkSuite(x)
	o["rerequestable"], o["runs_rerequestable"] = true, true
	o["latest_check_runs_count"] = len(x.runs())
	o["check_runs_url"] = fmt.Sprintf("%s/check-suites/%d/check-runs", s.apiRepo(x.repo), x.id)
	if c, err := s.commit(x.repo, x.headSHA); err == nil {
		o["head_commit"] = s.simpleCommit(c)
	}
	return o
}

// fullSuite is a suite in answers.
func (s *Server) fullSuite(x *suite) obj {
	o := s.hookSuite(x)
	o["repository"] = s.repository(x.repo)
	return o
}

func (s *Server) simpleCommit(c commit) obj {
	return obj{
		"id": c.sha, "tree_id": c.tree, "message": c.message, "timestamp": stamp(c.committer.when),
		"author":    obj{"name": c.author.name, "email": c.author.email},
		"committer": obj{"name": c.committer.name, "email": c.committer.email},
	}
}

func (s *Server) annotation(x *run, a Annotation) obj {
	return obj{
		"path": a.Path, "start_line": a.StartLine, "end_line": a.EndLine, "start_column": a.StartColumn,
		"end_column": a.EndColumn, "annotation_level": a.Level, "title": orNull(a.Title), "message": a.Message,
		"raw_details": orNull(a.RawDetails), "blob_href": fmt.Sprintf("%s/blob/%s/%s", s.htmlRepo(x.repo), x.headSHA, a.Path),
	}
}

func (s *Server) statusShape(r *repo, x *status) obj {
	return obj{
		"url": s.apiRepo(r) + "/statuses/" + x.sha, "avatar_url": s.user(x.creator)["avatar_url"], "id": x.id,
		"node_id": nodeID("Status", x.id), "state": x.state, "description": orNull(x.description),
		"target_url": orNull(x.target), "context": x.context, "created_at": stamp(x.created), "updated_at": stamp(x.updated),
		"creator": s.user(x.creator),
	}
}

func (s *Server) deployment(d *deployment) obj {
	api := fmt.Sprintf("%s/deployments/%d", s.apiRepo(d.repo), d.id)
	return obj{
		"url": api, "id": d.id, "node_id": nodeID("Deployment", d.id), "sha": d.sha, "ref": d.ref, "task": d.task,
		"payload": d.payload, "original_environment": d.environment, "environment": d.environment,
		"description": orNull(d.description), "creator": s.user(d.creator), "created_at": stamp(d.created),
		"updated_at": stamp(d.updated), "statuses_url": api + "/statuses", "repository_url": s.apiRepo(d.repo),
		"transient_environment": d.transient, "production_environment": d.production,
		"performed_via_github_app": s.via(d.app),
	}
}

func (s *Server) deploymentStatus(d *deployment, x *deploymentStatus) obj {
	api := fmt.Sprintf("%s/deployments/%d", s.apiRepo(d.repo), d.id)
	return obj{
		"url": fmt.Sprintf("%s/statuses/%d", api, x.id), "id": x.id, "node_id": nodeID("DeploymentStatus", x.id),
		"state": x.state, "creator": s.user(x.creator), "description": x.description, "environment": x.env,
		"target_url": x.logURL, "created_at": stamp(x.created), "updated_at": stamp(x.created), "deployment_url": api,
		"repository_url": s.apiRepo(d.repo), "environment_url": x.envURL, "log_url": x.logURL,
		"performed_via_github_app": s.via(x.app),
	}
}

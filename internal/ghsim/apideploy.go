package ghsim

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
)

var deployRoutes = []route{
	{"GET /repos/{owner}/{repo}/deployments", "deployments:read", (*Server).listDeployments},
	{"POST /repos/{owner}/{repo}/deployments", "deployments:write", (*Server).createDeployment},
	{"GET /repos/{owner}/{repo}/deployments/{deployment_id}", "deployments:read", deploymentOp((*Server).getDeployment)},
	{"GET /repos/{owner}/{repo}/deployments/{deployment_id}/statuses", "deployments:read", deploymentOp((*Server).listDeploymentStatuses)},
	{"POST /repos/{owner}/{repo}/deployments/{deployment_id}/statuses", "deployments:write", deploymentOp((*Server).createDeploymentStatus)},
	{"POST /repos/{owner}/{repo}/statuses/{sha}", "statuses:write", (*Server).createStatus},
	{"GET /repos/{owner}/{repo}/commits/{ref}/statuses", "statuses:read", (*Server).listStatuses},
	{"GET /repos/{owner}/{repo}/commits/{ref}/status", "statuses:read", (*Server).combinedStatus},
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// DeploymentInfo is a deployment at one moment.
type DeploymentInfo struct {
	ID                          int64
	SHA, Ref, Environment, Task string
	Description, Creator        string
	States                      []string // oldest first
	LastDescription, LastLogURL string
	ProductionEnvironment       bool
}

// Deployments lists the repository's deployments, oldest first.
func (r *Repo) Deployments() []DeploymentInfo {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	var list []DeploymentInfo
	for _, d := range byID(r.r.deployments) {
		info := DeploymentInfo{
			ID: d.id, SHA: d.sha, Ref: d.ref, Environment: d.environment, Task: d.task, Description: d.description,
			Creator: d.creator.login, ProductionEnvironment: d.production,
		}
		for _, x := range d.statuses {
			info.States = append(info.States, x.state)
			info.LastDescription, info.LastLogURL = x.description, x.logURL
		}
		list = append(list, info)
	}
	return list
}

func deploymentOp(handle func(*Server, *call, *deployment) *reply) func(*Server, *call) *reply {
	return func(s *Server, c *call) *reply {
		d := c.repo.deployments[c.number("deployment_id")]
		if d == nil {
			return notFound()
		}
		return handle(s, c, d)
	}
}

func (s *Server) listDeployments(c *call) *reply {
	var items []obj
	for _, d := range slices.Backward(byID(c.repo.deployments)) {
		if matches(c, "sha", d.sha) && matches(c, "ref", d.ref) && matches(c, "task", d.task) && matches(c, "environment", d.environment) {
			items = append(items, s.deployment(d))
		}
	}
	return paged(s, c, items)
}

// matches applies a filter of the query, if it is there.
func matches(c *call, key, value string) bool { return c.query(key) == "" || c.query(key) == value }

// createDeployment refuses, as GitHub does, while a commit status of the ref has not succeeded,
// unless the request says which contexts count.
func (s *Server) createDeployment(c *call) *reply {
	var in struct {
		Ref              *string
		Task             *string
		AutoMerge        *bool     `json:"auto_merge"`
		RequiredContexts *[]string `json:"required_contexts"`
		Payload          any
		Environment      *string
		Description      *string
		Transient        bool  `json:"transient_environment"`
		Production       *bool `json:"production_environment"`
	}
	if fault := c.decode(&in); fault != nil {
		return fault
	}
	if in.Ref == nil {
		return missing("ref")
	}
	sha := s.resolve(c.repo, *in.Ref)
	if sha == "" {
		return fail(http.StatusUnprocessableEntity, "No ref found for: "+*in.Ref)
	}
	if failed := s.unmetContext(c.repo, sha, in.RequiredContexts); failed != "" {
		return &reply{status: http.StatusConflict, body: obj{
			"message":           fmt.Sprintf("Conflict: Commit status checks failed for %s.", *in.Ref),
			"documentation_url": docs, "status": "409",
			"errors": []obj{{"contexts": []obj{{"context": failed, "state": "pending"}}, "resource": "Deployment", "field": "required_contexts", "code": "invalid"}},
		}}
	}
	env := cmp.Or(deref(in.Environment), "production")
	if in.Payload == nil {
		in.Payload = ""
	}
	d := &deployment{
		id: s.id(), repo: c.repo, sha: sha, ref: *in.Ref, task: cmp.Or(deref(in.Task), "deploy"), environment: env,
		description: deref(in.Description), payload: in.Payload, creator: c.actor.user, app: c.actor.via(),
		transient: in.Transient, production: env == "production", created: s.now(), updated: s.now(),
	}
	set(&d.production, in.Production)
	c.repo.deployments[d.id] = d
	s.emit(c.repo, d.creator, "deployment", "created", obj{"deployment": s.deployment(d), "workflow": nil, "workflow_run": nil})
	return created(s.deployment(d))
}

// unmetContext names the first check or status that keeps a deployment from being made. Without
// a list of its own, a request asks for all that there are.
func (s *Server) unmetContext(r *repo, sha string, required *[]string) string {
	if required != nil {
		for _, name := range *required {
			if !s.checkPassed(r, sha, name) {
				return name
			}
		}
		return ""
	}
	for _, x := range s.latestRuns(r, sha) {
		if !s.checkPassed(r, sha, x.name) {
			return x.name
		}
	}
	for _, x := range r.statuses {
		if x.sha == sha && !s.checkPassed(r, sha, x.context) {
			return x.context
		}
	}
	return ""
}

func (s *Server) getDeployment(_ *call, d *deployment) *reply { return ok(s.deployment(d)) }

func (s *Server) listDeploymentStatuses(c *call, d *deployment) *reply {
	var items []obj
	for _, x := range slices.Backward(d.statuses) {
		items = append(items, s.deploymentStatus(d, x))
	}
	return paged(s, c, items)
}

var deploymentStates = []string{"error", "failure", "inactive", "in_progress", "queued", "pending", "success"}

func (s *Server) createDeploymentStatus(c *call, d *deployment) *reply {
	var in struct {
		State, Description, Environment string
		TargetURL                       string `json:"target_url"`
		LogURL                          string `json:"log_url"`
		EnvironmentURL                  string `json:"environment_url"`
		AutoInactive                    *bool  `json:"auto_inactive"`
	}
	if fault := c.decode(&in); fault != nil {
		return fault
	}
	if !slices.Contains(deploymentStates, in.State) {
		return invalid("DeploymentStatus", "state", "invalid", "")
	}
	if fault := atMost(140, &in.Description); fault != nil {
		return invalid("DeploymentStatus", "description", "custom", "description is too long (maximum is 140 characters)")
	}
	x := &deploymentStatus{
		id: s.id(), state: in.State, description: in.Description, logURL: cmp.Or(in.LogURL, in.TargetURL),
		envURL: in.EnvironmentURL, env: cmp.Or(in.Environment, d.environment), creator: c.actor.user, app: c.actor.via(), created: s.now(),
	}
	d.statuses, d.updated = append(d.statuses, x), s.now()
	if in.State == "success" && (in.AutoInactive == nil || *in.AutoInactive) {
		s.retireOthers(c, d)
	}
	s.emit(c.repo, x.creator, "deployment_status", "created", obj{
		"deployment": s.deployment(d), "deployment_status": s.deploymentStatus(d, x), "check_run": nil, "workflow": nil, "workflow_run": nil,
	})
	return created(s.deploymentStatus(d, x))
}

// retireOthers makes earlier successful deployments to the environment inactive; production and
// transient ones are left alone, as on GitHub.
func (s *Server) retireOthers(c *call, d *deployment) {
	for _, o := range byID(c.repo.deployments) {
		last := len(o.statuses) - 1
		if o.id < d.id && o.environment == d.environment && !o.transient && !o.production && last >= 0 && o.statuses[last].state == "success" {
			o.statuses = append(o.statuses, &deploymentStatus{id: s.id(), state: "inactive", env: o.environment, creator: c.actor.user, created: s.now()})
		}
	}
}

func (s *Server) createStatus(c *call) *reply {
	var in struct {
		State, Description, Context string
		TargetURL                   string `json:"target_url"`
	}
	if fault := c.decode(&in); fault != nil {
		return fault
	}
	sha := c.r.PathValue("sha")
	switch {
	case !slices.Contains([]string{"error", "failure", "pending", "success"}, in.State):
		return invalid("Status", "state", "invalid", "")
	case len(in.Description) > 140:
		return invalid("Status", "description", "custom", "description is too long (maximum is 140 characters)")
	case len(sha) != 40 || !isSHA(sha) || c.repo.git.ref(sha) == "":
		return fail(http.StatusUnprocessableEntity, "No commit found for SHA: "+sha)
	}
	x := &status{
		id: s.id(), sha: sha, state: in.State, target: in.TargetURL, context: cmp.Or(in.Context, "default"),
		description: in.Description, creator: c.actor.user, created: s.now(), updated: s.now(),
	}
	c.repo.statuses = append(c.repo.statuses, x)
	s.emitStatus(c.repo, x)
	return created(s.statusShape(c.repo, x))
}

func (s *Server) emitStatus(r *repo, x *status) {
	at, err := s.commit(r, x.sha)
	if err != nil {
		s.cfg.Logger.Error("read the commit of a status", "error", err)
	}
	s.emit(r, x.creator, "status", "", obj{
		"id": x.id, "sha": x.sha, "name": r.fullName(), "avatar_url": s.user(x.creator)["avatar_url"],
		"target_url": orNull(x.target), "context": x.context, "description": orNull(x.description), "state": x.state,
		"commit": s.commitShape(r, at), "branches": []obj{}, "created_at": stamp(x.created), "updated_at": stamp(x.updated),
	})
}

// statusesOf lists a commit's statuses, newest first.
func (s *Server) statusesOf(r *repo, sha string) []*status {
	var list []*status
	for _, x := range slices.Backward(r.statuses) {
		if x.sha == sha {
			list = append(list, x)
		}
	}
	return list
}

func (s *Server) listStatuses(c *call) *reply {
	sha := s.resolve(c.repo, c.r.PathValue("ref"))
	if sha == "" {
		return notFound()
	}
	var items []obj
	for _, x := range s.statusesOf(c.repo, sha) {
		items = append(items, s.statusShape(c.repo, x))
	}
	return paged(s, c, items)
}

func (s *Server) combinedStatus(c *call) *reply {
	sha := s.resolve(c.repo, c.r.PathValue("ref"))
	if sha == "" {
		return notFound()
	}
	state, seen, items := "success", map[string]bool{}, []obj{}
	for _, x := range s.statusesOf(c.repo, sha) {
		if seen[x.context] {
			continue
		}
		seen[x.context] = true
		o := s.statusShape(c.repo, x)
		delete(o, "creator")
		items = append(items, o)
		switch {
		case x.state == "failure" || x.state == "error":
			state = "failure"
		case x.state == "pending" && state == "success":
			state = "pending"
		}
	}
	if len(items) == 0 {
		state = "pending"
	}
	return ok(obj{
		"state": state, "statuses": items, "sha": sha, "total_count": len(items), "repository": s.repository(c.repo),
		"commit_url": s.apiRepo(c.repo) + "/commits/" + sha, "url": s.apiRepo(c.repo) + "/commits/" + sha + "/status",
	})
}

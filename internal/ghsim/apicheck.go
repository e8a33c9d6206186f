package ghsim

import (
	"net/http"
)

var checkRoutes = []route{
	{"POST /repos/{owner}/{repo}/check-runs", "checks:write", (*Server).createCheckRun},
	{"GET /repos/{owner}/{repo}/check-runs/{check_run_id}", "checks:read", runOp((*Server).getCheckRun)},
	{"PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}", "checks:write", runOp((*Server).patchCheckRun)},
	{"GET /repos/{owner}/{repo}/check-runs/{check_run_id}/annotations", "checks:read", runOp((*Server).listAnnotations)},
	{"POST /repos/{owner}/{repo}/check-runs/{check_run_id}/rerequest", "checks:write", runOp((*Server).rerequestCheckRun)},
	{"GET /repos/{owner}/{repo}/commits/{ref}/check-runs", "checks:read", (*Server).runsOfCommit},
	{"GET /repos/{owner}/{repo}/commits/{ref}/check-suites", "checks:read", (*Server).suitesOfCommit},
	{"POST /repos/{owner}/{repo}/check-suites", "checks:write", (*Server).createSuite},
	{"GET /repos/{owner}/{repo}/check-suites/{check_suite_id}", "checks:read", suiteOp((*Server).getSuite)},
	{"GET /repos/{owner}/{repo}/check-suites/{check_suite_id}/check-runs", "checks:read", suiteOp((*Server).runsOfSuite)},
	{"POST /repos/{owner}/{repo}/check-suites/{check_suite_id}/rerequest", "checks:write", suiteOp((*Server).rerequestCheckSuite)},
}

func runOp(handle func(*Server, *call, *run) *reply) func(*Server, *call) *reply {
	return func(s *Server, c *call) *reply {
		x := c.repo.runs[c.number("check_run_id")]
		if x == nil {
			return notFound()
		}
		return handle(s, c, x)
	}
}

func suiteOp(handle func(*Server, *call, *suite) *reply) func(*Server, *call) *reply {
	return func(s *Server, c *call) *reply {
		x := c.repo.suites[c.number("check_suite_id")]
		if x == nil {
			return notFound()
		}
		return handle(s, c, x)
	}
}

func (s *Server) createCheckRun(c *call) *reply {
	if c.actor.kind != "installation" {
		return fail(http.StatusForbidden, "You must authenticate via a GitHub App.")
	}
	var in runInput
	if fault := firstFault(noNulls(c.body), c.decode(&in)); fault != nil {
		return fault
	}
	x, fault := s.createRun(c.repo, c.actor.app, in)
	if fault != nil {
		return fault
	}
	return created(s.checkRun(x, false))
}

func (s *Server) getCheckRun(_ *call, x *run) *reply { return ok(s.checkRun(x, false)) }

func (s *Server) patchCheckRun(c *call, x *run) *reply {
	if c.actor.app != x.suite.app {
		return fail(http.StatusForbidden, "Invalid app_id `"+x.suite.app.slug+"` - check run can only be modified by the GitHub App that created it.")
	}
	var in runInput
	if fault := firstFault(noNulls(c.body), c.decode(&in)); fault != nil {
		return fault
	}
	if fault := s.updateRun(x, in); fault != nil {
		return fault
	}
	return ok(s.checkRun(x, false))
}

func (s *Server) listAnnotations(c *call, x *run) *reply {
	var items []obj
	for _, a := range x.annotations {
		items = append(items, s.annotation(x, a))
	}
	return paged(s, c, items)
}

func (s *Server) rerequestCheckRun(c *call, x *run) *reply {
	s.rerequestRun(x, c.actor.user)
	return created(obj{})
}

func (s *Server) runsOfCommit(c *call) *reply {
	sha := s.resolve(c.repo, c.r.PathValue("ref"))
	if sha == "" {
		return fail(http.StatusUnprocessableEntity, "No commit found for SHA: "+c.r.PathValue("ref"))
	}
	var runs []*run
	if c.query("filter") == "all" {
		for _, x := range byID(c.repo.runs) {
			if x.headSHA == sha {
				runs = append(runs, x)
			}
		}
	} else {
		runs = s.latestRuns(c.repo, sha)
	}
	return s.listRuns(c, runs)
}

func (s *Server) runsOfSuite(c *call, suite *suite) *reply {
	if c.query("filter") != "all" {
		return s.listRuns(c, suite.runs())
	}
	var runs []*run
	for _, x := range byID(c.repo.runs) {
		if x.suite == suite {
			runs = append(runs, x)
		}
	}
	return s.listRuns(c, runs)
}

func (s *Server) listRuns(c *call, runs []*run) *reply {
	var items []obj
	for _, x := range runs {
		switch {
		case c.query("check_name") != "" && c.query("check_name") != x.name,
			c.query("status") != "" && c.query("status") != x.status,
			c.query("app_id") != "" && c.query("app_id") != itoa(x.suite.app.id):
			continue
		}
		items = append(items, s.checkRun(x, false))
	}
	return counted(s, c, "check_runs", items)
}

func (s *Server) suitesOfCommit(c *call) *reply {
	sha := s.resolve(c.repo, c.r.PathValue("ref"))
	if sha == "" {
		return fail(http.StatusUnprocessableEntity, "No commit found for SHA: "+c.r.PathValue("ref"))
	}
	var items []obj
	for _, x := range byID(c.repo.suites) {
		if x.headSHA == sha && (c.query("app_id") == "" || c.query("app_id") == itoa(x.app.id)) {
			items = append(items, s.fullSuite(x))
		}
	}
	return counted(s, c, "check_suites", items)
}

func (s *Server) createSuite(c *call) *reply {
	if c.actor.kind != "installation" {
		return fail(http.StatusForbidden, "You must authenticate via a GitHub App.")
	}
	var in struct {
		HeadSHA *string `json:"head_sha"`
	}
	if fault := c.decode(&in); fault != nil {
		return fault
	}
	if in.HeadSHA == nil {
		return missing("head_sha")
	}
	if s.resolve(c.repo, *in.HeadSHA) != *in.HeadSHA {
		return fail(http.StatusUnprocessableEntity, "No commit found for SHA: "+*in.HeadSHA)
	}
	x := s.suiteFor(c.repo, c.actor.app, *in.HeadSHA, s.branchOf(c.repo, *in.HeadSHA))
	s.touch()
	return created(s.fullSuite(x))
}

func (s *Server) getSuite(_ *call, x *suite) *reply { return ok(s.fullSuite(x)) }

func (s *Server) rerequestCheckSuite(c *call, x *suite) *reply {
	s.rerequestSuite(x, c.actor.user)
	return created(obj{})
}

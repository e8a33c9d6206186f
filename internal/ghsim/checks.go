package ghsim

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Annotation is a remark on lines of a file.
type Annotation struct {
	Path        string `json:"path"`
	StartLine   int    `json:"start_line"`
	EndLine     int    `json:"end_line"`
	StartColumn *int   `json:"start_column"`
	EndColumn   *int   `json:"end_column"`
	Level       string `json:"annotation_level"` // notice, warning or failure
	Message     string `json:"message"`
	Title       string `json:"title"`
	RawDetails  string `json:"raw_details"`
}

// Action is a button on a check run.
type Action struct {
	Label       string `json:"label"`
	Description string `json:"description"`
	Identifier  string `json:"identifier"`
}

// CheckRun is a check run at one moment.
type CheckRun struct {
	ID                   int64
	SuiteID              int64
	App                  string // slug
	Name, HeadSHA        string
	Status, Conclusion   string
	ExternalID           string
	DetailsURL           string
	Started, Completed   time.Time
	Title, Summary, Text string
	Annotations          []Annotation
	Actions              []Action
}

// CheckRuns lists all check runs of a commit, oldest first, superseded ones included.
func (r *Repo) CheckRuns(sha string) []CheckRun {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	var list []CheckRun
	for _, x := range byID(r.r.runs) {
		if x.headSHA == sha {
			list = append(list, x.export())
		}
	}
	return list
}

// CheckRun returns the newest check run of a name on a commit.
func (r *Repo) CheckRun(sha, name string) (CheckRun, bool) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	for _, x := range r.s.latestRuns(r.r, sha) {
		if x.name == name {
			return x.export(), true
		}
	}
	return CheckRun{}, false
}

func (x *run) export() CheckRun {
	return CheckRun{
		ID: x.id, SuiteID: x.suite.id, App: x.suite.app.slug, Name: x.name, HeadSHA: x.headSHA, Status: x.status,
		Conclusion: x.conclusion, ExternalID: x.externalID, DetailsURL: x.details, Started: x.started, Completed: x.completed,
		Title: x.title, Summary: x.summary, Text: x.text,
		Annotations: slices.Clone(x.annotations), Actions: slices.Clone(x.actions),
	}
}

// RequestAction presses a button of a check run.
func (r *Repo) RequestAction(by string, runID int64, identifier string) error {
	return r.onRun(by, runID, func(by *account, x *run) error {
		if !slices.ContainsFunc(x.actions, func(a Action) bool { return a.Identifier == identifier }) {
			return fmt.Errorf("check run %d has no action %q", runID, identifier)
		}
		r.s.emitRunTo(x, by, "requested_action", obj{"requested_action": obj{"identifier": identifier}})
		return nil
	})
}

// RerequestCheckRun presses Re-run on a check run. The run itself stays as it is: what happens is
// the App's business.
func (r *Repo) RerequestCheckRun(by string, runID int64) error {
	return r.onRun(by, runID, func(by *account, x *run) error {
		r.s.rerequestRun(x, by)
		return nil
	})
}

func (s *Server) rerequestRun(x *run, by *account) {
	x.suite.reset = true
	s.emitRunTo(x, by, "rerequested", nil)
}

func (r *Repo) onRun(login string, id int64, act func(*account, *run) error) error {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	by, err := r.s.person(login)
	if err != nil {
		return err
	}
	x := r.r.runs[id]
	if x == nil {
		return notFound()
	}
	if !r.r.canWrite(by) {
		return forbidden()
	}
	return act(by, x)
}

// RerequestCheckSuite presses "Re-run all checks".
func (r *Repo) RerequestCheckSuite(by string, suiteID int64) error {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	who, err := r.s.person(by)
	if err != nil {
		return err
	}
	x := r.r.suites[suiteID]
	if x == nil {
		return notFound()
	}
	if !r.r.canWrite(who) {
		return forbidden()
	}
	r.s.rerequestSuite(x, who)
	return nil
}

func (s *Server) rerequestSuite(x *suite, by *account) {
	x.reset = true
	s.emitSuiteTo(x, by, "rerequested")
}

// requestSuites makes the suites that GitHub creates at each push for Apps that write checks.
func (s *Server) requestSuites(r *repo, by *account, branch, before, after string) {
	for _, inst := range byID(s.installations) {
		if !inst.covers(r) || !allows(inst.app.permissions, "checks:write") {
			continue
		}
		x := s.suiteFor(r, inst.app, after, branch)
		x.before = before
		s.emitSuiteTo(x, by, "requested")
	}
}

// suiteFor finds or makes the suite of an App on a commit.
func (s *Server) suiteFor(r *repo, a *app, sha, branch string) *suite {
	for _, x := range byID(r.suites) {
		if x.app == a && x.headSHA == sha {
			if x.branch == "" {
				x.branch = branch
			}
			return x
		}
	}
	x := &suite{id: s.id(), repo: r, app: a, headSHA: sha, branch: branch, created: s.now(), updated: s.now()}
	r.suites[x.id] = x
	return x
}

// branchOf finds a branch, or the open pull request's head branch, that a commit is the tip of.
func (s *Server) branchOf(r *repo, sha string) string {
	for _, p := range r.pulls() {
		if p.headRepo == r && p.headSHA == sha {
			return p.headRef
		}
	}
	refs, err := r.git.refs("refs/heads/")
	if err != nil {
		return ""
	}
	for name, at := range refs {
		if at == sha {
			return name[len("refs/heads/"):]
		}
	}
	return ""
}

// latestRuns is the newest run of each name of each App on a commit, oldest first.
func (s *Server) latestRuns(r *repo, sha string) []*run {
	newest := map[[2]any]*run{}
	var list []*run
	for _, x := range byID(r.runs) {
		if x.headSHA != sha {
			continue
		}
		key := [2]any{x.suite.app, x.name}
		if old := newest[key]; old != nil {
			list = slices.DeleteFunc(list, func(o *run) bool { return o == old })
		}
		newest[key] = x
		list = append(list, x)
	}
	return list
}

// state rolls a suite's runs up: it is done when all are, and as bad as the worst.
func (x *suite) state() (status, conclusion string) {
	runs := x.runs()
	switch {
	case x.reset || len(runs) == 0:
		return "queued", ""
	case slices.ContainsFunc(runs, func(r *run) bool { return r.status == "in_progress" }):
		return "in_progress", ""
	case slices.ContainsFunc(runs, func(r *run) bool { return r.status != "completed" }):
		return "queued", ""
	}
	order := []string{"failure", "timed_out", "action_required", "cancelled", "stale", "success", "neutral", "skipped"}
	worst := slices.MinFunc(runs, func(a, b *run) int {
		return cmp.Compare(slices.Index(order, a.conclusion), slices.Index(order, b.conclusion))
	})
	return "completed", worst.conclusion
}

// runs is the newest run of each name in the suite.
func (x *suite) runs() []*run {
	var list []*run
	for _, r := range byID(x.repo.runs) {
		if r.suite == x {
			list = slices.DeleteFunc(list, func(o *run) bool { return o.name == r.name })
			list = append(list, r)
		}
	}
	return list
}

// pullsAt lists the open pull requests whose head is a commit. Those from forks are left out, as
// GitHub leaves them out of checks.
func (s *Server) pullsAt(r *repo, sha string) []*pull {
	var list []*pull
	for _, p := range r.pulls() {
		if p.headSHA == sha && p.headRepo == r && p.open() {
			list = append(list, p)
		}
	}
	return list
}

// emitRun tells subscribers of a change to a check run.
func (s *Server) emitRun(x *run, action string) {
	s.emit(x.repo, x.suite.app.bot, "check_run", action, obj{"check_run": s.checkRun(x, true)})
}

// emitRunTo asks the App that owns a check run for something; nobody else hears it.
func (s *Server) emitRunTo(x *run, by *account, action string, extra obj) {
	about := obj{"check_run": s.checkRun(x, true)}
	for k, v := range extra {
		about[k] = v
	}
	if inst := s.installationOf(x.suite.app, x.repo); inst != nil {
		s.emitTo(inst, x.repo, by, "check_run", action, about)
	}
	s.touch()
}

func (s *Server) emitSuiteTo(x *suite, by *account, action string) {
	about := obj{"check_suite": s.hookSuite(x)}
	if inst := s.installationOf(x.app, x.repo); inst != nil {
		s.emitTo(inst, x.repo, by, "check_suite", action, about)
	}
	s.touch()
}

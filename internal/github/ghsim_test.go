package github_test

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/ghsim/contract"
	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/redact"
)

// company is a repository on the stand-in: ann and bob may write, eve may read.
type company struct {
	*ghsim.Server
	app    *github.App
	simApp ghsim.App
	repo   change.Repo
	sim    *ghsim.Repo
	people map[string]change.User
}

// newCompany checks at the end that every request was as GitHub describes its API.
func newCompany(t *testing.T) *company {
	t.Helper()
	checker, err := contract.New()
	must(t, err)
	srv, err := ghsim.New(ghsim.Config{Dir: t.TempDir(), Observe: checker.Exchange})
	must(t, err)
	t.Cleanup(func() {
		must(t, srv.Close())
		for _, d := range checker.Differences() {
			if d.Side == contract.Request {
				t.Error(d)
			}
		}
	})
	c := &company{Server: srv, people: map[string]change.User{}}
	for _, login := range []string{"ann", "bob", "eve"} {
		u, err := srv.CreateUser(ghsim.User{Login: login, Email: login + "@example.com"})
		must(t, err)
		c.people[login] = change.User{ID: u.ID, Login: login}
	}
	c.sim, err = srv.CreateRepo(ghsim.NewRepo{
		Owner: "acme", Name: "shop", Private: true, Author: "ann", Files: fstest.MapFS{"main.tf": {Data: []byte("# empty\n")}},
		Roles: map[string]string{"ann": "write", "bob": "maintain", "eve": "read"},
	})
	must(t, err)
	permissions := map[string]string{"checks": "write", "contents": "read", "pull_requests": "write", "issues": "write", "deployments": "write"}
	c.simApp, err = srv.CreateApp(ghsim.NewApp{Slug: "tollgate", Owner: "acme", Permissions: permissions, Key: privateKey()})
	must(t, err)
	installation, err := srv.Install(c.simApp.ID, "acme")
	must(t, err)
	c.repo = change.Repo{ID: c.sim.ID(), InstallationID: installation, Owner: "acme", Name: "shop"}
	c.app, err = github.New(github.Config{URL: srv.URL(), AppID: c.simApp.ID, Key: redact.New(c.simApp.PrivateKey)})
	must(t, err)
	return c
}

func (c *company) pull(t *testing.T) *ghsim.Pull {
	t.Helper()
	_, err := c.sim.Push(ghsim.Push{Branch: "topic", By: "ann", Message: "one", Files: map[string]string{"main.tf": "# one\n"}})
	must(t, err)
	_, err = c.sim.Push(ghsim.Push{Branch: "topic", By: "ann", Message: "two", Files: map[string]string{"main.tf": "# two\n"}})
	must(t, err)
	p, err := c.sim.OpenPull(ghsim.OpenPull{By: "ann", Head: "topic", Title: "Two"})
	must(t, err)
	return p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestFactsOnTheWire(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	p := c.pull(t)
	must(t, p.Approve("bob"))
	must(t, p.Approve("eve"))

	self, err := c.app.Self(t.Context())
	must(t, err)
	if self.Login != c.simApp.BotLogin {
		t.Errorf("self %+v", self)
	}
	pull, err := c.app.Pull(t.Context(), c.repo, p.Number())
	must(t, err)
	if pull.HeadSHA != p.Info().HeadSHA || pull.Author != c.people["ann"] || !pull.Open || pull.Fork || pull.Commits != 2 || pull.MergeSHA != "" {
		t.Errorf("pull %+v", pull)
	}
	commits, err := c.app.Commits(t.Context(), c.repo, p.Number())
	must(t, err)
	must(t, github.CheckCommits(pull, commits))
	if commits[0].Author != c.people["ann"] {
		t.Errorf("commits %+v", commits)
	}
	reviews, err := c.app.Reviews(t.Context(), c.repo, p.Number())
	must(t, err)
	got := map[change.User]change.Permission{}
	for _, r := range reviews {
		if got[r.Author] = r.Permission; r.State != "approved" || r.CommitSHA != pull.HeadSHA {
			t.Errorf("review %+v", r)
		}
	}
	if diff := cmp.Diff(map[change.User]change.Permission{c.people["bob"]: "write", c.people["eve"]: "read"}, got); diff != "" {
		t.Errorf("reviewers (-want +got):\n%s", diff)
	}
	open, err := c.app.OpenPulls(t.Context(), c.repo)
	must(t, err)
	if len(open) != 1 || open[0].Number != p.Number() {
		t.Errorf("open pull requests %+v", open)
	}
	installations, err := c.app.Installations(t.Context())
	must(t, err)
	repos, err := c.app.Repositories(t.Context(), installations[0].ID)
	must(t, err)
	if diff := cmp.Diff([]change.Repo{c.repo}, repos); diff != "" {
		t.Errorf("repositories (-want +got):\n%s", diff)
	}

	_, err = p.Merge("bob", "squash")
	must(t, err)
	if pull, err = c.app.Pull(t.Context(), c.repo, p.Number()); err != nil || !pull.Merged || pull.MergedBy != c.people["bob"] || len(pull.MergeSHA) != 40 {
		t.Errorf("merged: %+v, %v", pull, err)
	}
}

func TestIdentityOnTheWire(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	permission := func() change.Permission {
		p, err := c.app.Permission(t.Context(), c.repo, c.people["bob"])
		must(t, err)
		return p
	}
	if got := permission(); got != "write" {
		t.Errorf("bob has %q", got)
	}
	must(t, c.RenameUser("bob", "robert"))
	if got := permission(); got.CanWrite() {
		t.Errorf("a login that nobody has holds %q", got)
	}
	_, err := c.CreateUser(ghsim.User{Login: "bob"})
	must(t, err)
	must(t, c.sim.Grant("bob", "admin"))
	if got := permission(); got.CanWrite() {
		t.Errorf("the new bob passes for the old one with %q", got)
	}

	other, err := c.CreateRepo(ghsim.NewRepo{Owner: "rival", Name: "shop", Author: "ann", Files: fstest.MapFS{"a": {Data: []byte("a")}}})
	must(t, err)
	crossed := change.Repo{ID: other.ID(), InstallationID: c.repo.InstallationID, Owner: "rival", Name: "shop"}
	_, err = c.app.Pull(t.Context(), crossed, 1)
	wantFault(t, err, github.ErrNotFound)
	_, err = lent(t, c.app, crossed)
	wantFault(t, err, github.ErrNotFound)
}

// Covers: T08
func TestTokenOnTheWire(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	var token redact.Secret
	get := func(path string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.URL()+path, nil)
		must(t, err)
		req.SetBasicAuth("x-access-token", string(token.Reveal()))
		resp, err := http.DefaultClient.Do(req)
		must(t, err)
		must(t, resp.Body.Close())
		return resp.StatusCode
	}
	clone := strings.TrimPrefix(c.app.CloneURL(c.repo), c.URL()) + "/info/refs?service=git-upload-pack"
	must(t, c.app.WithToken(t.Context(), c.repo, func(lent redact.Secret) error {
		token = lent
		if got := get(clone); got != http.StatusOK {
			t.Errorf("git with the token: status %d", got)
		}
		if got := get("/api/v3/repos/acme/shop/pulls"); got == http.StatusOK {
			t.Errorf("pull requests with git's token: status %d", got)
		}
		return nil
	}))
	if got := get(clone); got != http.StatusUnauthorized {
		t.Errorf("git with the token that was given back: status %d", got)
	}
}

func TestChecksOnTheWire(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	p := c.pull(t)
	check := checkWith(0)
	check.HeadSHA, check.Status, check.Conclusion, check.Title, check.Summary, check.Buttons = p.Info().HeadSHA, "queued", "", "Queued", "Waits", nil
	id, err := c.app.CreateCheck(t.Context(), c.repo, check)
	must(t, err)
	check.Status = "in_progress"
	must(t, c.app.UpdateCheck(t.Context(), c.repo, id, check))

	// The second of three requests is carried out, but its answer is lost.
	done := checkWith(120)
	done.HeadSHA = check.HeadSHA
	c.Inject(ghsim.Match{Method: "PATCH", Path: "/repos/*/*/check-runs/*"}, ghsim.Fault{Cut: true, After: true, Skip: 1, Times: 1})
	wantFault(t, c.app.UpdateCheck(t.Context(), c.repo, id, done), github.ErrUnavailable)
	if run, _ := c.sim.CheckRun(check.HeadSHA, check.Name); run.Status == "completed" || len(run.Annotations) != 100 {
		t.Errorf("after the interruption: %s with %d annotations", run.Status, len(run.Annotations))
	}
	again, err := c.app.ResumeCheck(t.Context(), c.repo, done)
	must(t, err)
	run, _ := c.sim.CheckRun(check.HeadSHA, check.Name)
	lines := map[int]bool{}
	for _, a := range run.Annotations {
		lines[a.StartLine] = true
	}
	if again != id || run.Conclusion != "failure" || len(run.Annotations) != 120 || len(lines) != 120 || len(c.sim.CheckRuns(check.HeadSHA)) != 1 {
		t.Errorf("resumed as %d: %s with %d annotations on %d lines", again, run.Conclusion, len(run.Annotations), len(lines))
	}

	c.Inject(ghsim.Match{Method: "POST", Path: "/repos/*/*/check-runs"}, ghsim.Fault{Status: 502, After: true, Times: 1})
	done.Name, done.ExternalID = "tollgate", "run-2"
	_, err = c.app.CreateCheck(t.Context(), c.repo, done)
	wantFault(t, err, github.ErrUnavailable)
	if _, err = c.app.ResumeCheck(t.Context(), c.repo, done); err != nil || len(c.sim.CheckRuns(check.HeadSHA)) != 2 {
		t.Errorf("%v, %d check runs, want 2", err, len(c.sim.CheckRuns(check.HeadSHA)))
	}
}

func TestCommentsOnTheWire(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	p := c.pull(t)
	asked, err := p.Comment("bob", "/apply")
	must(t, err)
	_, err = p.Comment("bob", marker+" mine")
	must(t, err)
	comment, err := c.app.Comment(t.Context(), c.repo, asked)
	must(t, err)
	if comment.Body != "/apply" || comment.Author != c.people["bob"] || comment.Edited || comment.Pull != p.Number() || comment.AppID != 0 {
		t.Errorf("comment %+v", comment)
	}
	must(t, errors.Join(c.app.React(t.Context(), c.repo, asked, "eyes"), c.app.React(t.Context(), c.repo, asked, "eyes")))
	if found, err := c.app.FindComments(t.Context(), c.repo, p.Number(), marker); err != nil || len(found) != 0 {
		t.Errorf("found comments that are not ours: %d, %v", found, err)
	}
	id, err := c.app.CreateComment(t.Context(), c.repo, p.Number(), marker+"\nSummary")
	must(t, err)
	found, err := c.app.FindComments(t.Context(), c.repo, p.Number(), marker)
	if err != nil || !slices.Equal(found, []int64{id}) {
		t.Errorf("found %d, %v, want %d", found, err, id)
	}
	must(t, c.app.UpdateComment(t.Context(), c.repo, id, marker+"\nNew"))
	comments := p.Comments()
	if !slices.Equal(comments[0].Reactions, []string{"eyes"}) || comments[2].Body != marker+"\nNew" || comments[2].Author != c.simApp.BotLogin {
		t.Errorf("comments %+v", comments)
	}
	if own, err := c.app.Comment(t.Context(), c.repo, id); err != nil || own.AppID != c.simApp.ID || !own.Author.Bot {
		t.Errorf("our own comment %+v, %v", own, err)
	}
	must(t, p.DeleteComment("bob", asked))
	_, err = c.app.Comment(t.Context(), c.repo, asked)
	wantFault(t, err, github.ErrNotFound)
}

func TestDeploymentsOnTheWire(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	p := c.pull(t)
	d := github.Deployment{SHA: p.Info().HeadSHA, Environment: "production", Production: true, Description: "payments", ExecutionID: "e1"}
	id, err := c.app.CreateDeployment(t.Context(), c.repo, d)
	must(t, err)
	found, ok, err := c.app.FindDeployment(t.Context(), c.repo, d)
	if err != nil || !ok || found != id {
		t.Errorf("found %d, %t, %v", found, ok, err)
	}
	for _, state := range []string{"queued", "in_progress", "success"} {
		must(t, c.app.SetDeploymentStatus(t.Context(), c.repo, id, github.DeploymentStatus{State: state, LogURL: "https://t/1"}))
	}
	if got := c.sim.Deployments(); len(got) != 1 {
		t.Errorf("deployments %+v", got)
	}
}

// From an event to a finished check, the requests that this package adds are these and no others.
func TestRequestsOfARun(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	p := c.pull(t)
	_, err := lent(t, c.app, c.repo)
	must(t, err)
	_, err = c.app.Pull(t.Context(), c.repo, p.Number())
	must(t, err)
	before := len(c.Requests())

	pull, err := c.app.Pull(t.Context(), c.repo, p.Number())
	must(t, err)
	_, err = lent(t, c.app, c.repo)
	must(t, err)
	check := checkWith(4)
	check.HeadSHA = pull.HeadSHA
	id, err := c.app.CreateCheck(t.Context(), c.repo, check)
	must(t, err)
	must(t, c.app.UpdateCheck(t.Context(), c.repo, id, check))
	_, err = c.app.CreateComment(t.Context(), c.repo, p.Number(), marker)
	must(t, err)

	got := map[string]int{}
	for _, r := range c.Requests()[before:] {
		got[r.Method]++
	}
	if want := map[string]int{"GET": 1, "POST": 3, "PATCH": 1, "DELETE": 1}; !maps.Equal(want, got) {
		t.Errorf("requests %v, want %v", got, want)
	}
}

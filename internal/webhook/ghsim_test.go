package webhook_test

import (
	"net/http/httptest"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/github"
)

// Everything that the stand-in sends in the life of a pull request arrives as what it is.
func TestLifeOfAPullRequest(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	receiver := httptest.NewServer(s.handler)
	defer receiver.Close()
	sim, err := ghsim.New(ghsim.Config{Dir: t.TempDir()})
	must(t, err)
	defer func() { must(t, sim.Close()) }()
	for _, login := range []string{"ann", "bob"} {
		_, err := sim.CreateUser(ghsim.User{Login: login, Email: login + "@example.com"})
		must(t, err)
	}
	repo, err := sim.CreateRepo(ghsim.NewRepo{Owner: "acme", Name: "shop", Author: "ann",
		Files: fstest.MapFS{"main.tf": {Data: []byte("# empty\n")}}, Roles: map[string]string{"ann": "write", "bob": "write"}})
	must(t, err)
	app, err := sim.CreateApp(ghsim.NewApp{Slug: "tollgate", Owner: "acme", WebhookURL: receiver.URL, WebhookSecret: secret,
		Permissions: map[string]string{"checks": "write", "contents": "read", "pull_requests": "write", "issues": "write"},
		Events:      []string{"push", "pull_request", "pull_request_review", "issue_comment", "check_run", "check_suite"}})
	must(t, err)
	_, err = sim.Install(app.ID, "acme")
	must(t, err)

	_, err = repo.Push(ghsim.Push{Branch: "topic", By: "ann", Message: "one", Files: map[string]string{"main.tf": "# one\n"}})
	must(t, err)
	p, err := repo.OpenPull(ghsim.OpenPull{By: "ann", Head: "topic", Title: "One"})
	must(t, err)
	_, err = repo.Push(ghsim.Push{Branch: "topic", By: "ann", Message: "two", Files: map[string]string{"main.tf": "# two\n"}})
	must(t, err)
	comment, err := p.Comment("bob", "/plan")
	must(t, err)
	must(t, p.EditComment("bob", comment, "/apply"))
	must(t, p.Approve("bob"))
	_, err = p.Merge("bob", "squash")
	must(t, err)
	must(t, sim.WaitDelivered(t.Context(), app.ID))

	got := s.kinds()
	for _, want := range []string{"installation created", "push ", "pull_request opened", "pull_request synchronize",
		"issue_comment created", "pull_request_review submitted", "pull_request closed"} {
		if !slices.Contains(got, want) {
			t.Errorf("no %q among %q", want, got)
		}
	}
	if slices.ContainsFunc(s.jobs, func(e github.Event) bool { return e.CommentBody == "/apply" }) {
		t.Error("an edited comment became a command")
	}

	// Sent once more, nothing has an effect; and nothing was refused the first time.
	before := len(s.jobs)
	for _, d := range sim.Deliveries(app.ID) {
		if d.StatusCode != 202 {
			t.Errorf("%s %s: status %d %s", d.Event, d.Action, d.StatusCode, d.Answer)
		}
		must(t, sim.Redeliver(app.ID, d.ID))
	}
	must(t, sim.WaitDelivered(t.Context(), app.ID))
	if len(s.jobs) != before {
		t.Errorf("%d jobs after everything was sent again, %d before", len(s.jobs), before)
	}
}

func (b *book) kinds() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []string
	for _, e := range b.jobs {
		list = append(list, string(e.Kind)+" "+e.Action)
	}
	return list
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

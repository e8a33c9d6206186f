package ghsim_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-github/v60/github"

	"github.com/tollgate/tollgate/internal/ghsim"
)

type body = map[string]any

// TestEveryOperationAndEventIsAsGitHubDescribesIt uses each operation and causes each event at
// least once. The comparison with GitHub's description happens in the fixture.
func TestEveryOperationAndEventIsAsGitHubDescribesIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ok(t, b.srv.CreateOrganization("umbrella"))
	_, err := b.srv.Install(b.app.ID, "mallory")
	ok(t, err)
	spare, err := b.srv.Install(b.app.ID, "umbrella")
	ok(t, err)
	ok(t, b.srv.Suspend(spare, true))
	ok(t, b.srv.Suspend(spare, false))
	ok(t, b.srv.Uninstall(spare))
	b.useSelection(t)
	b.repo.Protect("main", ghsim.Protection{Checks: []string{"tollgate"}, Approvals: 1})

	b.useApp(t)
	b.useSignIn(t)
	number := b.usePulls(t)
	b.useIssues(t, number)
	sha := b.repo.Pull(number).Info().HeadSHA
	b.useChecks(t, sha)
	b.useDeployments(t, sha)
	b.useRepo(t, sha)
	b.useGit(t, sha)
	b.useMerge(t, number)
	b.useQueue(t)
	b.settle(t)

	checked := b.check.Checked()
	for _, name := range append(ghsim.Routes(), ghsim.Events()...) {
		if checked[name] == 0 {
			t.Errorf("%s was never used", name)
		}
	}
}

func (b *bundle) useSelection(t *testing.T) {
	t.Helper()
	for _, name := range []string{"one", "two"} {
		_, err := b.srv.CreateRepo(ghsim.NewRepo{Owner: "initech", Name: name})
		ok(t, err)
	}
	inst, err := b.srv.Install(b.app.ID, "initech", "initech/one")
	ok(t, err)
	ok(t, b.srv.Select(inst, "initech/two", true))
	ok(t, b.srv.Repo("initech/two").Rename("ada", "three"))
	ok(t, b.srv.Select(inst, "initech/three", false))
}

func (b *bundle) useApp(t *testing.T) {
	t.Helper()
	app := b.appClient(t)
	for _, path := range []string{
		"app", "app/installations?per_page=1", fmt.Sprintf("app/installations/%d", b.inst), "app/hook/config",
		"app/hook/deliveries?per_page=1", "repos/acme/payments/installation", "orgs/acme/installation",
		"users/mallory/installation", "rate_limit", "meta",
	} {
		b.do(t, app, "GET", path, nil, nil)
	}
	id := b.srv.Deliveries(b.app.ID)[0].ID
	b.do(t, app, "GET", fmt.Sprintf("app/hook/deliveries/%d", id), nil, nil)
	req, err := app.NewRequest("POST", fmt.Sprintf("app/hook/deliveries/%d/attempts", id), nil)
	ok(t, err)
	if resp, _ := app.Do(b.ctx, req, nil); resp.StatusCode != http.StatusAccepted { // go-github calls a 202 an error
		t.Errorf("redelivery answered %d", resp.StatusCode)
	}
	b.do(t, b.client, "GET", "installation/repositories", nil, nil)
	var user github.User
	b.do(t, b.client, "GET", "users/ada", nil, &user)
	b.do(t, b.client, "GET", fmt.Sprintf("user/%d", user.GetID()), nil, nil)
	once := b.installationClient(t, &github.InstallationTokenOptions{RepositoryIDs: []int64{b.repo.ID()}})
	b.do(t, once, "DELETE", "installation/token", nil, nil)
}

func (b *bundle) usePulls(t *testing.T) int {
	t.Helper()
	b.openPull(t, "other")
	b.push(t, "feature", "new.txt", "new\n")
	var p github.PullRequest
	b.do(t, b.client, "POST", "repos/acme/payments/pulls", body{"title": "New", "head": "feature", "base": "main", "body": "B", "draft": true}, &p)
	n := p.GetNumber()
	pull := b.repo.Pull(n)
	ok(t, pull.ReadyForReview("ada"))
	ok(t, pull.ConvertToDraft("ada"))
	ok(t, pull.ReadyForReview("ada"))
	ok(t, pull.Close("bob"))
	ok(t, pull.Reopen("bob"))
	b.push(t, "feature", "new.txt", "newer\n")
	_, err := b.repo.Push(ghsim.Push{Branch: "next", From: "main", By: "ada", Files: map[string]string{"n": "n"}})
	ok(t, err)
	ok(t, pull.UpdateBase("ada", "next"))
	ok(t, pull.UpdateBase("ada", "main"))
	at := fmt.Sprintf("repos/acme/payments/pulls/%d", n)
	b.do(t, b.client, "PATCH", at, body{"title": "Newer", "body": "C"}, nil)
	for _, rest := range []string{"", "/files?per_page=1", "/commits?per_page=1", "/reviews", "/requested_reviewers"} {
		b.do(t, b.client, "GET", at+rest, nil, nil)
	}
	b.do(t, b.client, "GET", "repos/acme/payments/pulls?state=all&per_page=1&page=2", nil, nil)
	var v github.PullRequestReview
	ok(t, pull.Approve("bob"))
	id, err := pull.Review(ghsim.NewReview{By: "eve", State: "REQUEST_CHANGES", Body: "No."})
	ok(t, err)
	_, err = pull.Review(ghsim.NewReview{By: "eve", State: "COMMENT", Body: "Hm."})
	ok(t, err)
	p2 := b.repo.Pull(1)
	b.do(t, b.client, "POST", fmt.Sprintf("repos/acme/payments/pulls/%d/reviews", p2.Number()), body{"event": "COMMENT", "body": "x"}, &v)
	b.do(t, b.client, "GET", fmt.Sprintf("%s/reviews/%d", at, id), nil, nil)
	b.do(t, b.client, "PUT", fmt.Sprintf("%s/reviews/%d/dismissals", at, id), body{"message": "done"}, nil)
	return n
}

func (b *bundle) useIssues(t *testing.T, number int) {
	t.Helper()
	var i github.Issue
	b.do(t, b.client, "POST", "repos/acme/payments/issues", body{"title": "Drift", "body": "x", "labels": []string{"drift"}}, &i)
	at := fmt.Sprintf("repos/acme/payments/issues/%d", i.GetNumber())
	b.do(t, b.client, "PATCH", at, body{"state": "closed", "state_reason": "completed"}, nil)
	b.do(t, b.client, "PATCH", at, body{"state": "open"}, nil)
	b.do(t, b.client, "GET", "repos/acme/payments/issues?state=all", nil, nil)
	at = fmt.Sprintf("repos/acme/payments/issues/%d", number)
	b.do(t, b.client, "GET", at, nil, nil)
	var c github.IssueComment
	b.do(t, b.client, "POST", at+"/comments", body{"body": "hello"}, &c)
	b.do(t, b.client, "GET", at+"/comments?per_page=100", nil, nil)
	one := fmt.Sprintf("repos/acme/payments/issues/comments/%d", c.GetID())
	b.do(t, b.client, "GET", one, nil, nil)
	b.do(t, b.client, "PATCH", one, body{"body": "hello again"}, nil)
	var r github.Reaction
	b.do(t, b.client, "POST", one+"/reactions", body{"content": "eyes"}, &r)
	b.do(t, b.client, "POST", one+"/reactions", body{"content": "eyes"}, nil)
	b.do(t, b.client, "GET", one+"/reactions", nil, nil)
	b.do(t, b.client, "DELETE", fmt.Sprintf("%s/reactions/%d", one, r.GetID()), nil, nil)
	b.do(t, b.client, "DELETE", one, nil, nil)
}

func (b *bundle) useChecks(t *testing.T, sha string) {
	t.Helper()
	var run github.CheckRun
	b.do(t, b.client, "POST", "repos/acme/payments/check-runs", body{"name": "tollgate", "head_sha": sha, "status": "in_progress"}, &run)
	at := fmt.Sprintf("repos/acme/payments/check-runs/%d", run.GetID())
	b.do(t, b.client, "PATCH", at, body{
		"conclusion": "success", "output": body{"title": "T", "summary": "S", "annotations": []body{
			{"path": "new.txt", "start_line": 1, "end_line": 1, "annotation_level": "notice", "message": "m"},
		}}, "actions": []body{{"label": "Re-plan", "description": "Plan again", "identifier": "replan"}},
	}, nil)
	for _, path := range []string{at, at + "/annotations", "repos/acme/payments/commits/" + sha + "/check-runs?filter=all", "repos/acme/payments/commits/feature/check-suites"} {
		b.do(t, b.client, "GET", path, nil, nil)
	}
	b.do(t, b.client, "POST", at+"/rerequest", nil, nil)
	ok(t, b.repo.RequestAction("bob", run.GetID(), "replan"))
	other := b.repo.Pull(1).Info().HeadSHA
	var suite github.CheckSuite
	b.do(t, b.client, "POST", "repos/acme/payments/check-suites", body{"head_sha": other}, &suite)
	suiteAt := fmt.Sprintf("repos/acme/payments/check-suites/%d", suite.GetID())
	b.do(t, b.client, "GET", suiteAt, nil, nil)
	b.do(t, b.client, "GET", suiteAt+"/check-runs", nil, nil)
	b.do(t, b.client, "POST", suiteAt+"/rerequest", nil, nil)
	b.do(t, b.client, "POST", "repos/acme/payments/statuses/"+sha, body{"state": "success", "context": "ci", "description": "d", "target_url": "http://x"}, nil)
	b.do(t, b.client, "GET", "repos/acme/payments/commits/"+sha+"/statuses", nil, nil)
	b.do(t, b.client, "GET", "repos/acme/payments/commits/"+sha+"/status", nil, nil)
}

func (b *bundle) useDeployments(t *testing.T, sha string) {
	t.Helper()
	var d github.Deployment
	b.do(t, b.client, "POST", "repos/acme/payments/deployments", body{
		"ref": sha, "environment": "production", "auto_merge": false, "required_contexts": []string{}, "payload": body{"plan": "p"},
	}, &d)
	at := fmt.Sprintf("repos/acme/payments/deployments/%d", d.GetID())
	b.do(t, b.client, "POST", at+"/statuses", body{"state": "in_progress", "log_url": "http://x/log"}, nil)
	b.do(t, b.client, "POST", at+"/statuses", body{"state": "success", "description": "done"}, nil)
	for _, path := range []string{at, at + "/statuses", "repos/acme/payments/deployments?environment=production"} {
		b.do(t, b.client, "GET", path, nil, nil)
	}
}

func (b *bundle) useRepo(t *testing.T, sha string) {
	t.Helper()
	for _, rest := range []string{
		"", "/collaborators/ada", "/collaborators/eve/permission", "/branches", "/branches/main", "/branches/main/protection",
		"/commits/" + sha, "/commits/" + sha + "/pulls", "/compare/main...feature", "/contents/infrastructure",
		"/contents/infrastructure/main.tf?ref=feature", "/activity?ref=refs/heads/feature&per_page=100",
	} {
		b.do(t, b.client, "GET", "repos/acme/payments"+rest, nil, nil)
	}
	ok(t, b.srv.SetTeam("acme/platform", "ada"))
	for _, rest := range []string{"/memberships/ada", "/members?per_page=1"} {
		b.do(t, b.client, "GET", "orgs/acme/teams/platform"+rest, nil, nil)
	}
}

func (b *bundle) useGit(t *testing.T, sha string) {
	t.Helper()
	secret, err := b.srv.UserToken("ada")
	ok(t, err)
	ada := b.enterprise(t, bearer(secret))
	var tree struct{ SHA string }
	for _, path := range []string{"git/ref/heads/feature", "git/matching-refs/heads/fea", "git/commits/" + sha} {
		b.do(t, ada, "GET", "repos/acme/payments/"+path, nil, nil)
	}
	b.do(t, ada, "GET", "repos/acme/payments/contents/README.md", nil, &tree)
	b.do(t, ada, "GET", "repos/acme/payments/git/blobs/"+tree.SHA, nil, nil)
	b.do(t, ada, "POST", "repos/acme/payments/git/refs", body{"ref": "refs/heads/made", "sha": b.repo.Ref("refs/heads/main")}, nil)
	b.do(t, ada, "PATCH", "repos/acme/payments/git/refs/heads/made", body{"sha": sha}, nil)
	b.do(t, ada, "DELETE", "repos/acme/payments/git/refs/heads/made", nil, nil)
}

func (b *bundle) useMerge(t *testing.T, number int) {
	t.Helper()
	secret, err := b.srv.UserToken("bob")
	ok(t, err)
	bob := b.enterprise(t, bearer(secret))
	at := fmt.Sprintf("repos/acme/payments/pulls/%d/merge", number)
	b.do(t, bob, "PUT", at, body{"merge_method": "squash", "sha": b.repo.Pull(number).Info().HeadSHA}, nil)
	b.do(t, bob, "GET", at, nil, nil)
}

func (b *bundle) useQueue(t *testing.T) {
	t.Helper()
	_, err := b.repo.Push(ghsim.Push{Branch: "queued", By: "ada", Files: map[string]string{"queued": "yes\n"}})
	ok(t, err)
	p, err := b.repo.OpenPull(ghsim.OpenPull{By: "ada", Head: "queued"})
	ok(t, err)
	g, err := p.Enqueue("bob", ghsim.Squash)
	ok(t, err)
	ok(t, g.Drop())
}

// bearer sends a personal access token.
type bearer string

func (token bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(token))
	return http.DefaultTransport.RoundTrip(r)
}

package ghsim_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-github/v60/github"

	"github.com/tollgate/tollgate/internal/ghsim"
)

func (b *bundle) createRun(t *testing.T, o github.CreateCheckRunOptions) (*github.CheckRun, error) {
	t.Helper()
	run, _, err := b.client.Checks.CreateCheckRun(b.ctx, "acme", "payments", o)
	return run, err
}

func TestCheckRunThroughItsLife(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.openPull(t, "change")
	sha := p.Info().HeadSHA
	run, err := b.createRun(t, github.CreateCheckRunOptions{Name: "tollgate", HeadSHA: sha, Status: github.String("queued"), ExternalID: github.String("r1")})
	ok(t, err)
	if n := len(run.PullRequests); n != 1 || run.PullRequests[0].GetNumber() != p.Number() {
		t.Errorf("the run names %d pull requests", n)
	}
	update := func(o github.UpdateCheckRunOptions) *github.CheckRun {
		t.Helper()
		o.Name = "tollgate"
		run, _, err := b.client.Checks.UpdateCheckRun(b.ctx, "acme", "payments", run.GetID(), o)
		ok(t, err)
		return run
	}
	annotated := func(n int) *github.CheckRunOutput {
		o := &github.CheckRunOutput{Title: github.String("T"), Summary: github.String("S")}
		for i := range n {
			o.Annotations = append(o.Annotations, &github.CheckRunAnnotation{
				Path: github.String("infrastructure/main.tf"), StartLine: github.Int(i + 1), EndLine: github.Int(i + 1),
				AnnotationLevel: github.String("failure"), Message: github.String(fmt.Sprint("finding ", i)),
			})
		}
		return o
	}
	update(github.UpdateCheckRunOptions{Status: github.String("in_progress"), Output: annotated(50)})
	got := update(github.UpdateCheckRunOptions{Conclusion: github.String("failure"), Output: annotated(7)})
	if got.GetStatus() != "completed" || got.CompletedAt == nil || got.GetOutput().GetAnnotationsCount() != 57 {
		t.Errorf("status %s, %d annotations", got.GetStatus(), got.GetOutput().GetAnnotationsCount())
	}
	page, resp, err := b.client.Checks.ListCheckRunAnnotations(b.ctx, "acme", "payments", run.GetID(), &github.ListOptions{PerPage: 50, Page: 2})
	ok(t, err)
	if len(page) != 7 || resp.PrevPage != 1 {
		t.Errorf("%d annotations on page 2", len(page))
	}
	b.settle(t)
	want := []string{"check_run.created", "check_run.completed", "check_suite.completed"}
	if diff := cmp.Diff(want, b.hooks.names()[3:]); diff != "" {
		t.Error(diff)
	}
}

func TestNewestRunOfANameCounts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	sha := b.openPull(t, "change").Info().HeadSHA
	for _, conclusion := range []string{"failure", "success"} {
		_, err := b.createRun(t, github.CreateCheckRunOptions{Name: "tollgate", HeadSHA: sha, Conclusion: github.String(conclusion)})
		ok(t, err)
	}
	list, _, err := b.client.Checks.ListCheckRunsForRef(b.ctx, "acme", "payments", "change", &github.ListCheckRunsOptions{CheckName: github.String("tollgate")})
	ok(t, err)
	if list.GetTotal() != 1 || list.CheckRuns[0].GetConclusion() != "success" {
		t.Errorf("got %v", list.CheckRuns)
	}
	all, _, err := b.client.Checks.ListCheckRunsForRef(b.ctx, "acme", "payments", sha, &github.ListCheckRunsOptions{Filter: github.String("all")})
	ok(t, err)
	if all.GetTotal() != 2 || len(b.repo.CheckRuns(sha)) != 2 {
		t.Errorf("%d of all", all.GetTotal())
	}
}

func TestLimitsOfACheckRun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	sha := b.openPull(t, "change").Info().HeadSHA
	long := strings.Repeat
	out := func(summary, text string) *github.CheckRunOutput {
		return &github.CheckRunOutput{Title: github.String("T"), Summary: &summary, Text: &text}
	}
	notes := func(n int) *github.CheckRunOutput {
		o := out("S", "")
		for range n {
			o.Annotations = append(o.Annotations, &github.CheckRunAnnotation{
				Path: github.String("a"), StartLine: github.Int(1), EndLine: github.Int(1),
				AnnotationLevel: github.String("notice"), Message: github.String("m"),
			})
		}
		return o
	}
	button := func(label, description, id string) *github.CheckRunAction {
		return &github.CheckRunAction{Label: label, Description: description, Identifier: id}
	}
	fits := button(long("l", 20), long("d", 40), long("i", 20))
	cases := map[string]struct {
		change func(*github.CreateCheckRunOptions)
		want   string // of the refusal; "" passes
	}{
		"full texts":            {func(o *github.CreateCheckRunOptions) { o.Output = out(long("s", 65535), long("t", 65535)) }, ""},
		"summary too long":      {func(o *github.CreateCheckRunOptions) { o.Output = out(long("s", 65536), "") }, "Only 65535 characters are allowed; 65536 were supplied."},
		"text too long":         {func(o *github.CreateCheckRunOptions) { o.Output = out("", long("t", 65536)) }, "Only 65535 characters are allowed; 65536 were supplied."},
		"summary, wide letters": {func(o *github.CreateCheckRunOptions) { o.Output = out(long("€", 21846), "") }, "summary exceeds a maximum bytesize of 65535"},
		"50 annotations":        {func(o *github.CreateCheckRunOptions) { o.Output = notes(50) }, ""},
		"51 annotations":        {func(o *github.CreateCheckRunOptions) { o.Output = notes(51) }, "No more than 50 items are allowed; 51 were supplied."},
		"full buttons":          {func(o *github.CreateCheckRunOptions) { o.Actions = []*github.CheckRunAction{fits, fits, fits} }, ""},
		"four buttons":          {func(o *github.CreateCheckRunOptions) { o.Actions = []*github.CheckRunAction{fits, fits, fits, fits} }, "No more than 3 items"},
		"long label": {func(o *github.CreateCheckRunOptions) {
			o.Actions = []*github.CheckRunAction{button(long("l", 21), "d", "i")}
		}, "Only 20 characters"},
		"long description": {func(o *github.CreateCheckRunOptions) {
			o.Actions = []*github.CheckRunAction{button("l", long("d", 41), "i")}
		}, "Only 40 characters"},
		"long identifier": {func(o *github.CreateCheckRunOptions) {
			o.Actions = []*github.CheckRunAction{button("l", "d", long("i", 21))}
		}, "Only 20 characters"},
		"completed, no verdict": {func(o *github.CreateCheckRunOptions) { o.Status = github.String("completed") }, `"conclusion" wasn't supplied`},
		"a verdict completes":   {func(o *github.CreateCheckRunOptions) { o.Conclusion = github.String("neutral") }, ""},
		"stale is GitHub's own": {func(o *github.CreateCheckRunOptions) { o.Conclusion = github.String("stale") }, "is not a member of"},
		"unknown status":        {func(o *github.CreateCheckRunOptions) { o.Status = github.String("done") }, "is not a member of"},
		"unknown commit":        {func(o *github.CreateCheckRunOptions) { o.HeadSHA = long("0", 40) }, "No commit found for SHA"},
		"a branch for a commit": {func(o *github.CreateCheckRunOptions) { o.HeadSHA = "change" }, "No commit found for SHA"},
		"a column of two lines": {func(o *github.CreateCheckRunOptions) {
			o.Output = notes(1)
			o.Output.Annotations[0].EndLine = github.Int(2)
			columns(o)
		}, "CheckRun"},
		"a column of one line": {func(o *github.CreateCheckRunOptions) { o.Output = notes(1); columns(o) }, ""},
		"line 0": {func(o *github.CreateCheckRunOptions) {
			o.Output = notes(1)
			o.Output.Annotations[0].StartLine = github.Int(0)
		}, "annotations"},
		"a page of another kind": {func(o *github.CreateCheckRunOptions) { o.DetailsURL = github.String("ftp://x") }, "http or https"},
	}
	for name, c := range cases {
		o := github.CreateCheckRunOptions{Name: name, HeadSHA: sha}
		c.change(&o)
		if _, err := b.createRun(t, o); c.want == "" {
			ok(t, err)
		} else {
			refused(t, err, c.want)
		}
	}
}

func columns(o *github.CreateCheckRunOptions) {
	for _, a := range o.Output.Annotations {
		a.StartColumn, a.EndColumn = github.Int(1), github.Int(2)
	}
}

func TestNullIsNotAbsent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	sha := b.openPull(t, "change").Info().HeadSHA
	for text, want := range map[string]int{`{"name": "x", "head_sha": "` + sha + `"}`: 201, `{"name": "x", "head_sha": "` + sha + `", "conclusion": null}`: 422} {
		req, err := b.client.NewRequest("POST", "repos/acme/payments/check-runs", json.RawMessage(text))
		ok(t, err)
		if resp, err := b.client.Do(b.ctx, req, nil); resp.StatusCode != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestCompletedStaysCompleted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	sha := b.openPull(t, "change").Info().HeadSHA
	run, err := b.createRun(t, github.CreateCheckRunOptions{Name: "tollgate", HeadSHA: sha, Conclusion: github.String("failure")})
	ok(t, err)
	for _, o := range []github.UpdateCheckRunOptions{{Status: github.String("in_progress")}, {Conclusion: github.String("success")}} {
		o.Name = "tollgate"
		run, _, err = b.client.Checks.UpdateCheckRun(b.ctx, "acme", "payments", run.GetID(), o)
		ok(t, err)
		want := "failure"
		if o.Conclusion != nil {
			want = "success"
		}
		if run.GetStatus() != "completed" || run.GetConclusion() != want {
			t.Errorf("%s, %s; want %s", run.GetStatus(), run.GetConclusion(), want)
		}
	}
}

func TestButtonsAndRerun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	sha := b.openPull(t, "change").Info().HeadSHA
	run, err := b.createRun(t, github.CreateCheckRunOptions{
		Name: "tollgate", HeadSHA: sha, Conclusion: github.String("failure"),
		Actions: []*github.CheckRunAction{{Label: "Re-plan", Description: "Plan again", Identifier: "replan"}},
	})
	ok(t, err)
	refused(t, b.repo.RequestAction("ada", run.GetID(), "apply"), "no action")
	refused(t, b.repo.RequestAction("eve", run.GetID(), "replan"), "403")
	ok(t, b.repo.RequestAction("ada", run.GetID(), "replan"))
	ok(t, b.repo.RerequestCheckRun("bob", run.GetID()))
	ok(t, b.repo.RerequestCheckSuite("bob", run.GetCheckSuite().GetID()))
	b.settle(t)
	e, err := github.ParseWebHook("check_run", b.hooks.last(t, "check_run", "requested_action").body)
	ok(t, err)
	pressed := e.(*github.CheckRunEvent)
	if pressed.GetRequestedAction().Identifier != "replan" || pressed.GetSender().GetLogin() != "ada" || pressed.GetInstallation().GetID() != b.inst {
		t.Errorf("unexpected event %v", pressed)
	}
	b.hooks.last(t, "check_run", "rerequested")
	b.hooks.last(t, "check_suite", "rerequested")
	if again, _ := b.repo.CheckRun(sha, "tollgate"); again.Conclusion != "failure" {
		t.Errorf("a re-run changed the run to %q", again.Conclusion)
	}
}

func TestOnlyItsOwnerChangesACheckRun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	sha := b.openPull(t, "change").Info().HeadSHA
	run, err := b.createRun(t, github.CreateCheckRunOptions{Name: "tollgate", HeadSHA: sha})
	ok(t, err)
	other, err := b.srv.CreateApp(ghsim.NewApp{Slug: "other", Owner: "acme", Permissions: permissions, Key: key()})
	ok(t, err)
	inst, err := b.srv.Install(other.ID, "acme")
	ok(t, err)
	b.app, b.inst = other, inst
	stranger := b.installationClient(t, &github.InstallationTokenOptions{})
	_, _, err = stranger.Checks.UpdateCheckRun(b.ctx, "acme", "payments", run.GetID(), github.UpdateCheckRunOptions{Name: "tollgate", Conclusion: github.String("success")})
	refused(t, err, "403")
	secret, err := b.srv.UserToken("bob")
	ok(t, err)
	_, _, err = b.enterprise(t, bearer(secret)).Checks.CreateCheckRun(b.ctx, "acme", "payments", github.CreateCheckRunOptions{Name: "x", HeadSHA: sha})
	refused(t, err, "403 You must authenticate via a GitHub App")
}

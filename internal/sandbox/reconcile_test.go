package sandbox_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/sandbox"
)

// metric is a line of the server's metrics that begins so, or empty.
func metric(t *testing.T, w *sandbox.World, begin string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.Bot.URL+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, begin) {
			return line
		}
	}
	return ""
}

func checksNamed(w *sandbox.World, sha, name string) (n int) {
	for _, c := range w.Repo.CheckRuns(sha) {
		if c.Name == name {
			n++
		}
	}
	return n
}

// A whole life of a pull request without one webhook; then all of them at once, hours late.
//
// Covers: R19, R18
func TestNoWebhookArrives(t *testing.T) {
	t.Parallel()
	w := startSmall(t, one, "--reconcile-every=1s")
	w.GitHub.PauseDeliveries(w.App.ID)
	p := propose(t, w, "two", map[string]string{"app/main.tf": strings.Replace(one, "one", "two", 1)})
	want(t, w, p.Info().HeadSHA, "tollgate", "success")
	push(t, w, "two", "app/main.tf", strings.Replace(one, "one", "three", 1))
	head := p.Info().HeadSHA
	want(t, w, head, "tollgate", "success")
	approve(t, p)
	eventually(t, "the approval is seen", func() bool {
		c, _ := w.Repo.CheckRun(head, "tollgate/plan: app")
		return slices.ContainsFunc(c.Actions, func(a ghsim.Action) bool { return a.Identifier == "apply" })
	})
	written, err := p.Comment(sandbox.Author, "/apply")
	if err != nil {
		t.Fatal(err)
	}
	want(t, w, head, "tollgate/apply: app", "success")
	draft, err := w.Repo.Push(ghsim.Push{Branch: "draft", By: sandbox.Author, Files: map[string]string{"app/d.tf": "resource \"terraform_data\" \"d\" {}\n"}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := w.Repo.OpenPull(ghsim.OpenPull{By: sandbox.Author, Head: "draft", Title: "Draft", Draft: true})
	if err != nil {
		t.Fatal(err)
	}
	want(t, w, draft, "tollgate", "action_required")
	if err := d.ReadyForReview(sandbox.Author); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is planned once it is ready", func() bool {
		c, _ := w.Repo.CheckRun(draft, "tollgate")
		return c.Conclusion == "success"
	})
	first, _ := w.Repo.CheckRun(draft, "tollgate/plan: app")
	if _, err := p.Merge(sandbox.Author, ghsim.Squash); err != nil {
		t.Fatal(err)
	}
	replanned(t, w, first) // the base moved, and the draft no longer undoes what was applied
	approve(t, d)
	if _, err := d.Merge(sandbox.Author, ghsim.Squash); err != nil {
		t.Fatal(err)
	}
	want(t, w, draft, "tollgate/apply: app", "success")
	for _, event := range []string{"pull_request", "pull_request_review", "issue_comment", "push"} {
		if metric(t, w, `tollgate_webhooks_missed_total{event="`+event+`"}`) == "" {
			t.Errorf("nothing counts the lost %s events", event)
		}
	}
	w.GitHub.ResumeDeliveries(w.App.ID)
	if err := w.GitHub.WaitDelivered(t.Context(), w.App.ID); err != nil {
		t.Fatal(err)
	}
	// A new one, behind all that is old: when it is answered, what came before was dealt with.
	if _, err := d.Comment(sandbox.Author, "/help"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a command is answered", func() bool { return strings.Contains(comments(d), "/plan [NAME]") })
	for _, sha := range []string{head, draft} {
		if n := checksNamed(w, sha, "tollgate/apply: app"); n != 1 {
			t.Errorf("%d applies of %.7s, want one", n, sha)
		}
	}
	for _, c := range p.Comments() {
		if c.ID == written && !slices.Contains(c.Reactions, "rocket") || strings.Contains(c.Body, "**Refused:**") {
			t.Errorf("the command was not carried out once: %s %v", c.Body, c.Reactions)
		}
	}
}

// comments are all of a pull request, in one text.
func comments(p *ghsim.Pull) string {
	var all []string
	for _, c := range p.Comments() {
		all = append(all, c.Body)
	}
	return strings.Join(all, "\n")
}

// GitHub could not deliver a button, which nothing but its list of deliveries tells of.
//
// Covers: R19
func TestFailedDeliveriesAreAskedForAgain(t *testing.T) {
	t.Parallel()
	w := startSmall(t, one, "--reconcile-every=1s")
	p := propose(t, w, "two", map[string]string{"app/main.tf": strings.Replace(one, "one", "two", 1)})
	head := p.Info().HeadSHA
	want(t, w, head, "tollgate", "success")
	approve(t, p)
	w.GitHub.PauseDeliveries(w.App.ID)
	pressApply(t, w, head)
	if err := w.Bot.Kill(); err != nil {
		t.Fatal(err)
	}
	w.GitHub.ResumeDeliveries(w.App.ID)
	if err := w.GitHub.WaitDelivered(t.Context(), w.App.ID); err != nil {
		t.Fatal(err)
	}
	if err := w.Bot.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(t, w, head, "tollgate/apply: app", "success")
}

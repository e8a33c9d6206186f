package sandbox_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/sandbox"
	"github.com/tollgate/tollgate/internal/toolchain"
)

// shared calls a module that lies beside it.
const shared = `module "a" {
  source = "../lib"
}
`

// startTwo is a repository with two projects, of which one is made of a module too.
func startTwo(t *testing.T) *sandbox.World {
	t.Helper()
	found := parts(t, toolchain.Terraform, toolchain.Git)
	return start(t, sandbox.Config{Terraform: found.Terraform, Files: fstest.MapFS{
		"app/main.tf": {Data: []byte(shared)}, "lib/main.tf": {Data: []byte(one)}, "other/main.tf": {Data: []byte(one)}}})
}

// replanned waits until a plan newer than this one has passed, and returns its check.
func replanned(t *testing.T, w *sandbox.World, than ghsim.CheckRun) (c ghsim.CheckRun) {
	t.Helper()
	eventually(t, "it is planned again", func() bool {
		c, _ = w.Repo.CheckRun(than.HeadSHA, than.Name)
		gate, _ := w.Repo.CheckRun(than.HeadSHA, "tollgate")
		return c.ID > than.ID && c.Conclusion == "success" && gate.Conclusion == "success"
	})
	return c
}

func planChecks(w *sandbox.World, sha string) (n int) {
	for _, c := range w.Repo.CheckRuns(sha) {
		if c.Name == "tollgate/plan: app" {
			n++
		}
	}
	return n
}

func apply(t *testing.T, w *sandbox.World, p *ghsim.Pull) {
	t.Helper()
	if _, err := p.Comment(sandbox.Author, "/apply"); err != nil {
		t.Fatal(err)
	}
	want(t, w, p.Info().HeadSHA, "tollgate/apply: app", "success")
}

// What the plan is made of moves under an approved pull request. Another project's files are none of
// its business, the same effect keeps the approval, and another effect loses it.
//
// Covers: T22, T24
func TestBaseMovesUnderAnApprovedPullRequest(t *testing.T) {
	t.Parallel()
	w := startTwo(t)
	p := propose(t, w, "b", map[string]string{"app/b.tf": "resource \"terraform_data\" \"b\" {}\n"})
	head := p.Info().HeadSHA
	first := want(t, w, head, "tollgate/plan: app", "success")
	want(t, w, head, "tollgate", "success")
	approve(t, p)
	push(t, w, "main", "other/main.tf", "# Of no interest.\n"+one)
	eventually(t, "the other project's push is delivered", func() bool { return w.GitHub.WaitDelivered(t.Context(), w.App.ID) == nil })
	push(t, w, "main", "lib/main.tf", "# The same.\n"+one)
	second := replanned(t, w, first)
	if n := planChecks(w, head); n != 2 {
		t.Errorf("%d plans for a push that matters and one that does not, want 2", n)
	}
	if !strings.Contains(second.Summary, "the base branch moved") || !strings.Contains(second.Summary, "approvals of it stand") {
		t.Errorf("the check does not say that approvals stand:\n%s", second.Summary)
	}
	apply(t, w, p) // on the approval of the first plan

	q := propose(t, w, "c", map[string]string{"app/c.tf": "resource \"terraform_data\" \"c\" {}\n"})
	head = q.Info().HeadSHA
	first = want(t, w, head, "tollgate/plan: app", "success")
	want(t, w, head, "tollgate", "success")
	approve(t, q)
	waitASecond(t, q)
	push(t, w, "main", "lib/d.tf", "resource \"terraform_data\" \"d\" {\n  count = 3\n}\n")
	second = replanned(t, w, first)
	for what, text := range map[string]string{"check": second.Summary, "comment": comment(q)} {
		if !strings.Contains(text, "The plan has changed") || !strings.Contains(text, "4 to create now") {
			t.Errorf("the %s does not say what has changed:\n%s", what, text)
		}
	}
	refused(t, q, sandbox.Author, "/apply", "are older than this plan")
	notApplied(t, w, q)
	approve(t, q)
	apply(t, w, q)
}

// comment is the summary comment.
func comment(p *ghsim.Pull) string {
	for _, c := range p.Comments() {
		if strings.HasPrefix(c.Body, "<!-- tollgate:summary -->") {
			return c.Body
		}
	}
	return ""
}

// An apply makes the plans of others stale that are of the same state, and only these.
func TestApplyMakesPlansOfTheSameStateAgain(t *testing.T) {
	t.Parallel()
	w := startTwo(t)
	p := propose(t, w, "b", map[string]string{"app/b.tf": "resource \"terraform_data\" \"b\" {}\n"})
	q := propose(t, w, "c", map[string]string{"app/c.tf": "resource \"terraform_data\" \"c\" {}\n"})
	r := propose(t, w, "d", map[string]string{"other/d.tf": "resource \"terraform_data\" \"d\" {}\n"})
	want(t, w, p.Info().HeadSHA, "tollgate", "success")
	first := want(t, w, q.Info().HeadSHA, "tollgate/plan: app", "success")
	want(t, w, r.Info().HeadSHA, "tollgate", "success")
	approve(t, p)
	apply(t, w, p)
	second := replanned(t, w, first)
	if !strings.Contains(second.Summary, "another apply changed the state") || !strings.Contains(second.Summary, "1 to delete") {
		t.Errorf("the check does not say what the apply changed:\n%s", second.Summary)
	}
	for _, c := range w.Repo.CheckRuns(r.Info().HeadSHA) {
		if strings.Contains(c.Summary, "planned again") {
			t.Errorf("%q of another state was made again", c.Name)
		}
	}
}

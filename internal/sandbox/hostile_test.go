package sandbox_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/sandbox"
	"github.com/tollgate/tollgate/internal/toolchain"
)

// refused comments a command and waits until it is refused for one of the reasons.
func refused(t *testing.T, p *ghsim.Pull, by, command string, reasons ...string) {
	t.Helper()
	before := len(p.Comments())
	if _, err := p.Comment(by, command); err != nil {
		t.Fatal(err)
	}
	eventually(t, fmt.Sprintf("%s is refused with one of %q", command, reasons), func() bool {
		return slices.ContainsFunc(p.Comments()[before:], func(c ghsim.CommentInfo) bool {
			return strings.Contains(c.Body, "**Refused:**") && slices.ContainsFunc(reasons, func(r string) bool { return strings.Contains(c.Body, r) })
		})
	})
}

func notApplied(t *testing.T, w *sandbox.World, p *ghsim.Pull) {
	t.Helper()
	if c, ok := w.Repo.CheckRun(p.Info().HeadSHA, "tollgate/apply: app"); ok {
		t.Fatalf("it was applied: %s", c.Title)
	}
}

func push(t *testing.T, w *sandbox.World, branch, file, text string) string {
	t.Helper()
	sha, err := w.Repo.Push(ghsim.Push{Branch: branch, By: sandbox.Author, Message: "Change " + file, Files: map[string]string{file: text}})
	if err != nil {
		t.Fatal(err)
	}
	return sha
}

func approve(t *testing.T, p *ghsim.Pull) {
	t.Helper()
	if err := p.Approve(sandbox.Reviewer); err != nil {
		t.Fatal(err)
	}
}

// A denied plan stays denied, whichever of several runs of one tree the apply finds.
func TestDeniedPlanIsNeverApplied(t *testing.T) {
	t.Parallel()
	found := parts(t, toolchain.Terraform, toolchain.Git)
	w := start(t, sandbox.Config{Terraform: found.Terraform, Files: fstest.MapFS{
		"app/main.tf": {Data: []byte(one)}, "README.md": {Data: []byte("0\n")}, "policies/plan/house.rego": {Data: []byte(house)}}})
	p := propose(t, w, "two", map[string]string{"app/main.tf": strings.Replace(one, "one", "two", 1)})
	want(t, w, p.Info().HeadSHA, "tollgate", "failure")
	approve(t, p)
	for _, text := range []string{"1\n", "2\n", "1\n"} {
		push(t, w, "main", "README.md", text)
		refused(t, p, sandbox.Author, "/apply", "may not be applied")
	}
	notApplied(t, w, p)
}

// Covers: T12
func TestEditedCommentIsNoCommand(t *testing.T) {
	t.Parallel()
	w := startSmall(t, one)
	p := propose(t, w, "two", map[string]string{"app/main.tf": strings.Replace(one, "one", "two", 1)})
	want(t, w, p.Info().HeadSHA, "tollgate", "success")
	approve(t, p)
	w.GitHub.PauseDeliveries(w.App.ID)
	id, err := p.Comment(sandbox.Author, "/apply")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.EditComment(sandbox.Author, id, "never mind"); err != nil {
		t.Fatal(err)
	}
	before := len(p.Comments())
	w.GitHub.ResumeDeliveries(w.App.ID)
	eventually(t, "the edited comment is refused", func() bool { return len(p.Comments()) > before })
	notApplied(t, w, p)
	written, err := p.Comment(sandbox.Author, "/apply")
	if err != nil {
		t.Fatal(err)
	}
	// A command that is obeyed gets a rocket at its end: the new comment must, the edited one must not.
	reactions := func(comment int64) []string {
		for _, c := range p.Comments() {
			if c.ID == comment {
				return c.Reactions
			}
		}
		return nil
	}
	eventually(t, "the new comment is obeyed to its end", func() bool { return slices.Contains(reactions(written), "rocket") })
	want(t, w, p.Info().HeadSHA, "tollgate/apply: app", "success")
	if got := reactions(id); len(got) != 0 {
		t.Errorf("the edited comment was obeyed: %v", got)
	}
}

// An approval is of what could be seen: a plan with another effect needs another one.
func TestApprovalIsOfAnEffect(t *testing.T) {
	t.Parallel()
	w := startSmall(t, one)
	p := propose(t, w, "b", map[string]string{"app/b.tf": "resource \"terraform_data\" \"b\" {}\n"})
	head := p.Info().HeadSHA
	first := want(t, w, head, "tollgate/plan: app", "success")
	want(t, w, head, "tollgate", "success")
	approve(t, p)
	push(t, w, "main", "app/c.tf", "resource \"terraform_data\" \"c\" {\n  count = 7\n}\n")
	// GitHub tells the time of a review in whole seconds.
	waitASecond(t, p)
	if _, err := p.Comment(sandbox.Author, "/plan"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is planned again", func() bool {
		c, _ := w.Repo.CheckRun(head, "tollgate/plan: app")
		return c.ID > first.ID && c.Conclusion == "success"
	})
	refused(t, p, sandbox.Author, "/apply", "approval")
	notApplied(t, w, p)
	approve(t, p)
	if _, err := p.Comment(sandbox.Author, "/apply"); err != nil {
		t.Fatal(err)
	}
	want(t, w, head, "tollgate/apply: app", "success")
}

func TestNothingIsGreenWithoutAVerdict(t *testing.T) {
	t.Parallel()
	w := startSmall(t, "terraform {\n  backend \"local\" {}\n}\n\n"+one)
	for name, text := range map[string]string{
		"removed": "removed {\n  from = terraform_data.a\n  lifecycle {\n    destroy = false\n  }\n}\n",
		"rubbish": "this is not HCL {{{\n",
		"empty":   "",
	} {
		p := propose(t, w, name, map[string]string{"app/main.tf": text})
		c := await(t, w, p.Info().HeadSHA, "tollgate")
		if _, planned := w.Repo.CheckRun(p.Info().HeadSHA, "tollgate/plan: app"); !planned {
			t.Errorf("%s: %s without a plan: %s", name, c.Conclusion, c.Title)
		}
	}
	if _, err := w.Repo.Push(ghsim.Push{Branch: "gone", By: sandbox.Author, Message: "Delete", Delete: []string{"app/main.tf"}, Files: map[string]string{"README.md": "# gone\n"}}); err != nil {
		t.Fatal(err)
	}
	gone, err := w.Repo.OpenPull(ghsim.OpenPull{By: sandbox.Author, Head: "gone", Title: "Delete"})
	if err != nil {
		t.Fatal(err)
	}
	want(t, w, gone.Info().HeadSHA, "tollgate", "failure")
}

// An approval is used up by the apply that it allowed, however that ended.
//
// Covers: R13
func TestFailedApplyIsNotRepeatedByTheMerge(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	marks := filepath.Join(dir, "marks")
	code := func(count int) string {
		return fmt.Sprintf("resource \"terraform_data\" \"a\" {\n  count = %d\n  provisioner \"local-exec\" {\n    when    = destroy\n    command = \"echo x >> %s; exit 1\"\n  }\n}\n", count, marks)
	}
	w := startSmall(t, code(0), lenient(t, dir)...)
	w.Repo.Protect("main", ghsim.Protection{})
	first := propose(t, w, "make", map[string]string{"app/main.tf": code(1)})
	want(t, w, first.Info().HeadSHA, "tollgate", "success")
	approve(t, first)
	if _, err := first.Merge(sandbox.Author, ghsim.Squash); err != nil {
		t.Fatal(err)
	}
	want(t, w, first.Info().HeadSHA, "tollgate/apply: app", "success")
	p := propose(t, w, "unmake", map[string]string{"app/main.tf": code(0)})
	head := p.Info().HeadSHA
	want(t, w, head, "tollgate", "success")
	approve(t, p)
	if _, err := p.Comment(sandbox.Author, "/apply"); err != nil {
		t.Fatal(err)
	}
	want(t, w, head, "tollgate/apply: app", "failure")
	push(t, w, "main", "README.md", "# Unrelated\n")
	before := len(p.Comments())
	if _, err := p.Merge(sandbox.Author, ghsim.Merge); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the merge is refused", func() bool {
		all := p.Comments()
		return len(all) > before && strings.Contains(all[len(all)-1].Body, "applied already")
	})
	if b, err := os.ReadFile(marks); err != nil || string(b) != "x\n" {
		t.Errorf("marks of the apply: %q, %v; want one", b, err)
	}
}

// A branch of one's own with lax settings does not loosen those of the default branch.
//
// Covers: T59
func TestSettingsOfTheDefaultBranchHoldForEveryBase(t *testing.T) {
	t.Parallel()
	found := parts(t, toolchain.Terraform, toolchain.Git)
	w := start(t, sandbox.Config{Terraform: found.Terraform, Files: fstest.MapFS{
		"app/main.tf": {Data: []byte(one)}, "policies/plan/house.rego": {Data: []byte(house)}}})
	if _, err := w.Repo.Push(ghsim.Push{Branch: "lax", By: sandbox.Author, Message: "Lax", Delete: []string{"policies/plan/house.rego"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Repo.Push(ghsim.Push{Branch: "two", From: "lax", By: sandbox.Author, Message: "Two", Files: map[string]string{"app/main.tf": strings.Replace(one, "one", "two", 1)}}); err != nil {
		t.Fatal(err)
	}
	p, err := w.Repo.OpenPull(ghsim.OpenPull{By: sandbox.Author, Head: "two", Base: "lax", Title: "Two"})
	if err != nil {
		t.Fatal(err)
	}
	want(t, w, p.Info().HeadSHA, "tollgate/plan: app", "failure")
	// What the default branch allows is allowed on the other base too.
	push(t, w, "two", "app/main.tf", strings.Replace(one, "one", "three", 1))
	want(t, w, p.Info().HeadSHA, "tollgate", "success")
}

// A run that was cancelled before anything was judged is no ground for an apply, nor for green.
func TestCancelledRunIsNoVerdict(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	w := startSmall(t, one, lenient(t, g.url)...)
	p := propose(t, w, "slow", map[string]string{"app/main.tf": fmt.Sprintf(waiting, g.url)})
	head := p.Info().HeadSHA
	<-g.reached
	if _, err := p.Comment(sandbox.Author, "/cancel"); err != nil {
		t.Fatal(err)
	}
	cancelled := want(t, w, head, "tollgate", "cancelled")
	approve(t, p)
	refused(t, p, sandbox.Author, "/apply", "no plan of the newest commit")
	notApplied(t, w, p)
	if c, _ := w.Repo.CheckRun(head, "tollgate"); c.ID != cancelled.ID || c.Conclusion != "cancelled" {
		t.Errorf("the check became %q without a verdict", c.Conclusion)
	}
	close(g.open)
	if _, err := p.Comment(sandbox.Author, "/plan"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is planned after all", func() bool {
		c, _ := w.Repo.CheckRun(head, "tollgate")
		return c.Conclusion == "success"
	})
	approve(t, p)
	if _, err := p.Comment(sandbox.Author, "/apply"); err != nil {
		t.Fatal(err)
	}
	want(t, w, head, "tollgate/apply: app", "success")
}

func TestMergedPullRequestCanBePlannedAgain(t *testing.T) {
	t.Parallel()
	w := startSmall(t, one)
	w.Repo.Protect("main", ghsim.Protection{})
	p := propose(t, w, "two", map[string]string{"app/main.tf": strings.Replace(one, "one", "two", 1)})
	head := p.Info().HeadSHA
	first := want(t, w, head, "tollgate/plan: app", "success")
	want(t, w, head, "tollgate", "success")
	if _, err := p.Merge(sandbox.Author, ghsim.Squash); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the merge without approval is refused", func() bool { return len(p.Comments()) > 1 })
	if _, err := p.Comment(sandbox.Author, "/plan"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is planned again", func() bool {
		c, _ := w.Repo.CheckRun(head, "tollgate/plan: app")
		return c.ID > first.ID && c.Conclusion == "success" && strings.Contains(c.Title, "1 to create")
	})
	approve(t, p)
	if _, err := p.Comment(sandbox.Author, "/apply"); err != nil {
		t.Fatal(err)
	}
	want(t, w, head, "tollgate/apply: app", "success")
}

// waitASecond waits until the last review is older than what is allowed for a difference of clocks.
func waitASecond(t *testing.T, p *ghsim.Pull) {
	t.Helper()
	reviews := p.Reviews()
	last := reviews[len(reviews)-1].Submitted.Unix()
	eventually(t, "the approval is older than any difference of clocks", func() bool { return nowUnix() > last+4 })
}

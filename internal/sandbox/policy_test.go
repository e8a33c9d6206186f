package sandbox_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/sandbox"
	"github.com/tollgate/tollgate/internal/toolchain"
)

// house is a policy as people write them for conftest.
const house = `package main

deny contains msg if {
	some r in input.resource_changes
	r.change.after.input == "two"
	msg := sprintf("%s: two is not allowed here", [r.address])
}
`

// Covers: T60
func TestRepositorysOwnPoliciesComeFromTheBase(t *testing.T) {
	t.Parallel()
	found := parts(t, toolchain.Terraform, toolchain.Git)
	w := start(t, sandbox.Config{Terraform: found.Terraform, Files: fstest.MapFS{
		"app/main.tf": {Data: []byte(one)}, "policies/plan/house.rego": {Data: []byte(house)}}})
	two := strings.Replace(one, "one", "two", 1)
	plain := propose(t, w, "plain", map[string]string{"app/main.tf": two})
	c := want(t, w, plain.Info().HeadSHA, "tollgate/plan: app", "failure")
	if !strings.Contains(c.Summary, "two is not allowed here") {
		t.Errorf("the check does not say why:\n%s", c.Summary)
	}
	// Taking the policy away, or the approvals down, takes effect after the merge and not before.
	weaker := propose(t, w, "weaker", map[string]string{"app/main.tf": two, "policies/plan/house.rego": strings.Replace(house, `"two"`, `"never"`, 1)})
	want(t, w, weaker.Info().HeadSHA, "tollgate/plan: app", "failure")
	fine := propose(t, w, "fine", map[string]string{"app/main.tf": strings.Replace(one, "one", "three", 1)})
	want(t, w, fine.Info().HeadSHA, "tollgate", "success")
}

// Covers: T33
func TestMergeThatSkipsTheGateIsNotApplied(t *testing.T) {
	t.Parallel()
	w := startSmall(t, one)
	w.Repo.Protect("main", ghsim.Protection{}) // as an administrator who bypasses it
	p := propose(t, w, "two", map[string]string{"app/main.tf": strings.Replace(one, "one", "two", 1)})
	head := p.Info().HeadSHA
	want(t, w, head, "tollgate", "success")
	before := len(p.Comments())
	if _, err := p.Merge(sandbox.Author, ghsim.Merge); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the refusal is told", func() bool { return len(p.Comments()) > before })
	if _, ok := w.Repo.CheckRun(head, "tollgate/apply: app"); ok {
		t.Fatal("a merge without approval was applied")
	}
	// What is merged can still be approved, and then applied.
	if err := p.Approve(sandbox.Reviewer); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Comment(sandbox.Author, "/apply"); err != nil {
		t.Fatal(err)
	}
	want(t, w, head, "tollgate/apply: app", "success")
}

func TestBaseThatMovesIsPlannedAgain(t *testing.T) {
	t.Parallel()
	w := startSmall(t, one)
	same := propose(t, w, "same", map[string]string{"app/main.tf": strings.Replace(one, "one", "two", 1)})
	want(t, w, same.Info().HeadSHA, "tollgate", "success")
	if err := same.Approve(sandbox.Reviewer); err != nil {
		t.Fatal(err)
	}
	// The base moves without changing what the plan does: the approval holds.
	if _, err := w.Repo.Push(ghsim.Push{Branch: "main", By: sandbox.Author, Message: "Docs", Files: map[string]string{"README.md": "# Docs\n"}}); err != nil {
		t.Fatal(err)
	}
	plans := count(processes(t, w), "plan")
	if _, err := same.Comment(sandbox.Author, "/apply"); err != nil {
		t.Fatal(err)
	}
	want(t, w, same.Info().HeadSHA, "tollgate/apply: app", "success")
	if n := count(processes(t, w), "plan"); n != plans+2 {
		t.Errorf("%d plans after the base had moved, want one before the apply and one after it", n-plans)
	}
	// The base moves so that the plan does something else: the approval is lost.
	other := propose(t, w, "other", map[string]string{"app/b.tf": "resource \"terraform_data\" \"b\" {}\n"})
	want(t, w, other.Info().HeadSHA, "tollgate", "success")
	approve(t, other)
	waitASecond(t, other)
	push(t, w, "main", "app/c.tf", "resource \"terraform_data\" \"c\" {}\n")
	// Whether the push has been heard of by then decides what it is refused for.
	refused(t, other, sandbox.Author, "/apply", "another effect", "are older than this plan")
	if _, ok := w.Repo.CheckRun(other.Info().HeadSHA, "tollgate/apply: app"); ok {
		t.Fatal("a plan with another effect was applied")
	}
}

// Covers: T38
func TestForkIsPlannedOnlyOnAMaintainersWord(t *testing.T) {
	t.Parallel()
	w := startSmall(t, one)
	if _, err := w.GitHub.CreateUser(ghsim.User{Login: "stranger", Name: "A Stranger"}); err != nil {
		t.Fatal(err)
	}
	if err := w.Repo.Grant("stranger", "read"); err != nil {
		t.Fatal(err)
	}
	fork, err := w.Repo.Fork("stranger")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fork.Push(ghsim.Push{Branch: "fix", By: "stranger", Message: "Fix", Files: map[string]string{"app/main.tf": strings.Replace(one, "one", "two", 1)}}); err != nil {
		t.Fatal(err)
	}
	p, err := w.Repo.OpenPull(ghsim.OpenPull{By: "stranger", Head: "fix", HeadRepo: fork, Title: "Fix"})
	if err != nil {
		t.Fatal(err)
	}
	head := p.Info().HeadSHA
	want(t, w, head, "tollgate", "action_required")
	if n := count(processes(t, w), "plan"); n != 0 {
		t.Fatalf("%d plans of a fork", n)
	}
	if _, err := p.Comment(sandbox.Author, "/plan"); err != nil {
		t.Fatal(err)
	}
	want(t, w, head, "tollgate/plan: app", "success")
}

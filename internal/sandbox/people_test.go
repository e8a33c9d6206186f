package sandbox_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/sandbox"
)

// settings are a repository's with one section below apply.
func settings(apply string) string { return "version: 1\napply:\n" + apply }

// hire gives further people write permission.
func hire(t *testing.T, w *sandbox.World, logins ...string) {
	t.Helper()
	for _, login := range logins {
		if _, err := w.GitHub.CreateUser(ghsim.User{Login: login, Name: strings.ToUpper(login), Email: login + "@example.com"}); err != nil {
			t.Fatal(err)
		}
		if err := w.Repo.Grant(login, "write"); err != nil {
			t.Fatal(err)
		}
	}
}

func approveAs(t *testing.T, p *ghsim.Pull, login string) {
	t.Helper()
	if err := p.Approve(login); err != nil {
		t.Fatal(err)
	}
}

func command(t *testing.T, p *ghsim.Pull, by, text string) {
	t.Helper()
	if _, err := p.Comment(by, text); err != nil {
		t.Fatal(err)
	}
}

func applied(t *testing.T, w *sandbox.World, p *ghsim.Pull) ghsim.CheckRun {
	t.Helper()
	return want(t, w, p.Info().HeadSHA, "tollgate/apply: app", "success")
}

// Who had a hand in the newest commit is not its second pair of eyes, and neither is who may not write.
// Covers: T25
func TestWhoCanApprove(t *testing.T) {
	t.Parallel()
	w := startSmall(t, one)
	hire(t, w, "bob", "cid")
	two := strings.Replace(one, "one", "two", 1)
	if _, err := w.Repo.Push(ghsim.Push{Branch: "two", By: "ada", Author: "cid", Message: "Two\n\nCo-authored-by: Bob <bob@example.com>", Files: map[string]string{"app/main.tf": two}}); err != nil {
		t.Fatal(err)
	}
	p, err := w.Repo.OpenPull(ghsim.OpenPull{By: sandbox.Author, Head: "two", Title: "Two"})
	if err != nil {
		t.Fatal(err)
	}
	want(t, w, p.Info().HeadSHA, "tollgate", "success")
	approveAs(t, p, "cid")
	refused(t, p, sandbox.Author, "/apply", "cid made the change")
	// GitHub does not tell whose the co-author's address is, so one approval could be that person's own.
	approveAs(t, p, "bob")
	refused(t, p, sandbox.Author, "/apply", "one more approval is needed")
	approveAs(t, p, sandbox.Reviewer)
	command(t, p, sandbox.Author, "/apply")
	applied(t, w, p)

	// Grace pushes a commit that somebody else wrote: she has decided what is in it.
	const file = "app/three.tf"
	sha, err := w.Repo.Push(ghsim.Push{Branch: "parked", By: sandbox.Author, Message: "Three", Files: map[string]string{file: "resource \"terraform_data\" \"three\" {}\n"}})
	if err != nil {
		t.Fatal(err)
	}
	p = propose(t, w, "three", map[string]string{file: "# To come.\n"})
	want(t, w, p.Info().HeadSHA, "tollgate", "success")
	if err := w.Repo.SetBranch("three", sha, sandbox.Reviewer); err != nil {
		t.Fatal(err)
	}
	want(t, w, sha, "tollgate", "success")
	approveAs(t, p, sandbox.Reviewer)
	refused(t, p, sandbox.Author, "/apply", "grace pushed last")
	notApplied(t, w, p)
	approveAs(t, p, "bob")
	if err := w.Repo.Grant("bob", "read"); err != nil {
		t.Fatal(err)
	}
	refused(t, p, sandbox.Author, "/apply", "bob may not write")
	notApplied(t, w, p)
	if err := w.Repo.Grant("bob", "write"); err != nil {
		t.Fatal(err)
	}
	command(t, p, sandbox.Author, "/apply")
	applied(t, w, p)
}

// A GitHub without the list of who pushed blocks nobody; a stumbling one does.
// Covers: T25
func TestWhoPushedIsAskedOfGitHub(t *testing.T) {
	t.Parallel()
	w := startSmall(t, one)
	hire(t, w, "bob")
	p := propose(t, w, "two", map[string]string{"app/main.tf": strings.Replace(one, "one", "two", 1)})
	want(t, w, p.Info().HeadSHA, "tollgate", "success")
	approve(t, p)
	w.GitHub.Inject(ghsim.Match{Method: http.MethodGet, Path: "/repos/acme/payments/activity"}, ghsim.Fault{Status: http.StatusNotFound})
	command(t, p, sandbox.Author, "/apply")
	applied(t, w, p)
}

// An old approval, one that was taken back, and one that was given before there was a plan are none.
// Covers: T19, T26, T28
func TestApprovalsThatAreNone(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	w := startSmall(t, one, lenient(t, g.url)...)
	p := propose(t, w, "two", map[string]string{"app/main.tf": fmt.Sprintf(waiting, g.url)})
	<-g.reached
	approve(t, p) // blind: the plan is not there yet
	waitASecond(t, p)
	command(t, p, sandbox.Author, "/apply")
	before := len(p.Comments())
	close(g.open)
	want(t, w, p.Info().HeadSHA, "tollgate", "success")
	eventually(t, "the waiting request is refused", func() bool {
		return slices.ContainsFunc(p.Comments()[before:], func(c ghsim.CommentInfo) bool { return strings.Contains(c.Body, "older than this plan") })
	})
	approve(t, p) // of this commit
	old := p.Info().HeadSHA
	push(t, w, "two", "app/main.tf", strings.Replace(one, "one", "three", 1))
	want(t, w, p.Info().HeadSHA, "tollgate", "success")
	if p.Info().HeadSHA == old {
		t.Fatal("nothing was pushed")
	}
	refused(t, p, sandbox.Author, "/apply", "older than this plan")
	approve(t, p)
	id, err := p.Review(ghsim.NewReview{By: sandbox.Reviewer, State: "REQUEST_CHANGES", Body: "Wait."})
	if err != nil {
		t.Fatal(err)
	}
	refused(t, p, sandbox.Author, "/apply", "Changes were requested by grace")
	if err := p.Dismiss(sandbox.Reviewer, id, "fine"); err != nil {
		t.Fatal(err)
	}
	refused(t, p, sandbox.Author, "/apply", "0 of 1 approvals")
	notApplied(t, w, p)
	approve(t, p)
	command(t, p, sandbox.Author, "/apply")
	applied(t, w, p)
}

// Owners stand in the CODEOWNERS of the base, by the old and the new name of a file.
// Covers: T27
func TestCodeowners(t *testing.T) {
	t.Parallel()
	w := startWith(t, map[string]string{"app/main.tf": one, "app/guarded/x.txt": "long enough to be found again\n", ".github/CODEOWNERS": "/app/guarded/ @bob @acme/platform\n"})
	hire(t, w, "bob", "cid")
	if err := w.GitHub.SetTeam("acme/platform", "cid"); err != nil {
		t.Fatal(err)
	}
	// The pull request renames an owned file out of the owners' reach, and takes CODEOWNERS away.
	if _, err := w.Repo.Push(ghsim.Push{Branch: "move", By: sandbox.Author, Message: "Move", Delete: []string{"app/guarded/x.txt"}, Files: map[string]string{
		"app/x.txt": "long enough to be found again\n", "app/main.tf": strings.Replace(one, "one", "two", 1), ".github/CODEOWNERS": "# Nobody.\n"}}); err != nil {
		t.Fatal(err)
	}
	p, err := w.Repo.OpenPull(ghsim.OpenPull{By: sandbox.Author, Head: "move", Title: "Move"})
	if err != nil {
		t.Fatal(err)
	}
	want(t, w, p.Info().HeadSHA, "tollgate", "success")
	approve(t, p)
	refused(t, p, sandbox.Author, "/apply", "app/guarded/x.txt has to be approved by")
	notApplied(t, w, p)
	plan := func() string {
		c, _ := w.Repo.CheckRun(p.Info().HeadSHA, "tollgate/plan: app")
		return c.Summary
	}
	eventually(t, "the check lists the owners", func() bool { return strings.Contains(plan(), "⬜ An owner of app/guarded/x.txt") })
	approveAs(t, p, "cid") // of the team
	eventually(t, "the check ticks the owners off", func() bool { return strings.Contains(plan(), "✅ An owner of app/guarded/x.txt") })
	command(t, p, sandbox.Author, "/apply")
	applied(t, w, p)

	// A file that is not sound owns everything, and nobody speaks for it.
	push(t, w, "main", ".github/CODEOWNERS", "/app/ @bob\n/app/guarded/ bob\n")
	p = propose(t, w, "three", map[string]string{"app/main.tf": strings.Replace(one, "one", "three", 1)})
	want(t, w, p.Info().HeadSHA, "tollgate", "success")
	approveAs(t, p, "bob")
	refused(t, p, sandbox.Author, "/apply", "which is not sound: line 2")
	push(t, w, "main", ".github/CODEOWNERS", "/app/ @acme/nosuch\n")
	refused(t, p, sandbox.Author, "/apply", "GitHub knows no such team")
	notApplied(t, w, p)
	push(t, w, "main", ".github/CODEOWNERS", "/app/ @bob\n")
	command(t, p, sandbox.Author, "/apply")
	applied(t, w, p)
}

// Teams have a say, and more of it in what takes something away.
// Covers: T25
func TestTeamsAndWhatDestroys(t *testing.T) {
	t.Parallel()
	w := startWith(t, map[string]string{"app/main.tf": one + "\nresource \"terraform_data\" \"b\" {}\n",
		".tollgate.yaml": settings("  teams: [acme/platform]\n  approver_may_apply: false\n  destructive: {approvals: 2, teams: [acme/dba]}\n")})
	hire(t, w, "bob", "cid")
	for team, member := range map[string]string{"acme/platform": "bob", "acme/dba": "cid"} {
		if err := w.GitHub.SetTeam(team, member); err != nil {
			t.Fatal(err)
		}
	}
	p := propose(t, w, "make", map[string]string{"app/c.tf": "resource \"terraform_data\" \"c\" {}\n"})
	want(t, w, p.Info().HeadSHA, "tollgate", "success")
	approve(t, p)
	refused(t, p, sandbox.Author, "/apply", "Nobody of the team acme/platform approved")
	notApplied(t, w, p)
	approveAs(t, p, "bob")
	command(t, p, sandbox.Author, "/apply")
	applied(t, w, p)

	p = propose(t, w, "unmake", map[string]string{"app/main.tf": one, "app/c.tf": "resource \"terraform_data\" \"c\" {}\n"})
	want(t, w, p.Info().HeadSHA, "tollgate", "success")
	approveAs(t, p, "bob")
	refused(t, p, sandbox.Author, "/apply", "1 of 2 approvals")
	approve(t, p)
	refused(t, p, sandbox.Author, "/apply", "Nobody of the team acme/dba approved")
	notApplied(t, w, p)
	approveAs(t, p, "cid")
	// Of the three, the one who asks does not count.
	command(t, p, sandbox.Reviewer, "/apply")
	applied(t, w, p)
}

// The time has to be right, by the settings of the base.
func TestWindowsAndFreezes(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC()
	day := func(d int) string { return strings.ToLower(now.AddDate(0, 0, d).Format("Mon")) }
	date := func(d int) string { return now.AddDate(0, 0, d).Format(time.DateOnly) }
	window := func(days ...string) string {
		return settings(fmt.Sprintf("  windows:\n    - {days: [%s], from: 00:00, to: 24:00, zone: Europe/Berlin}\n", strings.Join(days, ", ")))
	}
	freeze := func(from, until int) string {
		return settings(fmt.Sprintf("  freezes:\n    - {from: %s, until: %s, reason: The great sale}\n", date(from), date(until)))
	}
	w := startWith(t, map[string]string{"app/main.tf": one, ".tollgate.yaml": window(day(3))})
	p := propose(t, w, "two", map[string]string{"app/main.tf": strings.Replace(one, "one", "two", 1)})
	want(t, w, p.Info().HeadSHA, "tollgate", "success")
	approve(t, p)
	refused(t, p, sandbox.Author, "/apply", "No change window is open")
	push(t, w, "main", ".tollgate.yaml", freeze(-1, 1))
	refused(t, p, sandbox.Author, "/apply", "The great sale")
	notApplied(t, w, p)
	push(t, w, "main", ".tollgate.yaml", freeze(-20, -10))
	push(t, w, "main", ".tollgate.yaml", window(day(-1), day(0), day(1)))
	command(t, p, sandbox.Author, "/apply")
	applied(t, w, p)
}

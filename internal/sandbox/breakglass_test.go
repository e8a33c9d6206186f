package sandbox_test

import (
	"encoding/json"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/sandbox"
)

var planID = regexp.MustCompile("plan `([0-9a-f]{8})`")

// shownID is the short id of the plan, as the check shows it.
func shownID(t *testing.T, w *sandbox.World, p *ghsim.Pull) string {
	t.Helper()
	c, _ := w.Repo.CheckRun(p.Info().HeadSHA, "tollgate/plan: app")
	m := planID.FindStringSubmatch(c.Summary)
	if m == nil {
		t.Fatalf("the check shows no id of the plan:\n%s", c.Summary)
	}
	return m[1]
}

// issues are the open issues that are no pull requests.
func issues(t *testing.T, w *sandbox.World) (bodies []string) {
	t.Helper()
	token, err := w.GitHub.UserToken(sandbox.Author)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.GitHub.URL()+"/api/v3/repos/acme/payments/issues?per_page=100", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("User-Agent", "test")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var all []struct {
		Title, Body string
		Pull        *struct{} `json:"pull_request"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		if i.Pull == nil {
			bodies = append(bodies, i.Title+"\n"+i.Body)
		}
	}
	return bodies
}

// ledger is everything that the server has written down.
func ledger(t *testing.T, w *sandbox.World) string {
	t.Helper()
	dir := w.Bot.Args[slices.Index(w.Bot.Args, "--data-dir")+1]
	out, err := exec.CommandContext(t.Context(), w.Bot.Program, "audit", "export", "--data-dir", dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func answered(t *testing.T, p *ghsim.Pull, by, text, words string) {
	t.Helper()
	before := len(p.Comments())
	command(t, p, by, text)
	eventually(t, text+" is answered with "+words, func() bool {
		for _, c := range p.Comments()[before:] {
			if strings.Contains(c.Body, words) {
				return true
			}
		}
		return false
	})
}

// In an emergency two people, a reason, an issue and the ledger stand in for the approvals, the owners,
// the time and what a waiver could cover; once, and for this plan only.
// Covers: T64, T77
func TestBreakGlass(t *testing.T) {
	t.Parallel()
	w := startWith(t, map[string]string{"app/main.tf": one, "policies/plan/house.rego": named, "CODEOWNERS": "* @acme/nosuch\n",
		".tollgate.yaml": settings("  teams: [acme/platform]\n  freezes:\n    - {from: 2020-01-01, until: 2100-01-01, reason: for ever}\n")})
	hire(t, w, "bob")
	p := propose(t, w, "two", map[string]string{"app/main.tf": strings.Replace(one, "one", "two", 1)})
	want(t, w, p.Info().HeadSHA, "tollgate/plan: app", "failure")
	id := shownID(t, w, p)
	for _, words := range []string{"for ever", "Nobody of the team acme/platform approved", "GitHub knows no such team", "of the policies block the plan", "0 of 1 approvals"} {
		refused(t, p, sandbox.Author, "/apply", words)
	}
	// Nobody has asked; one person is not two; a reader is nobody; and the plan is this one.
	refused(t, p, sandbox.Reviewer, "/break-glass app@"+id, "Nobody has asked to break the glass")
	answered(t, p, sandbox.Author, "/break-glass app Payments are down: #911 <b>@acme/all</b>", "asks to break the glass")
	refused(t, p, sandbox.Author, "/break-glass app@"+id, "It takes two people")
	refused(t, p, sandbox.Reviewer, "/break-glass app@00000000", "not 00000000")
	if err := w.Repo.Grant("bob", "read"); err != nil {
		t.Fatal(err)
	}
	refused(t, p, "bob", "/break-glass app@"+id, "write permission")
	notApplied(t, w, p)

	// Where nobody can be told of it, nothing runs.
	fault := w.GitHub.Inject(ghsim.Match{Method: http.MethodPost, Path: "/repos/acme/payments/issues"}, ghsim.Fault{Status: http.StatusForbidden})
	refused(t, p, sandbox.Reviewer, "/break-glass app@"+id, "open an issue")
	notApplied(t, w, p)
	fault.Clear()

	answered(t, p, sandbox.Reviewer, "/break-glass app@"+id, "The glass is broken")
	c := applied(t, w, p)
	for _, words := range []string{"Without approvals", "`ada` broke the glass", "`grace` confirmed it", "`Payments are down: #911 <b>@acme/all</b>`"} {
		if !strings.Contains(c.Summary, words) {
			t.Errorf("the check does not say %q:\n%s", words, c.Summary)
		}
	}
	told := issues(t, w)
	if len(told) != 1 {
		t.Fatalf("%d issues tell of it: %q", len(told), told)
	}
	for _, words := range []string{"Break-glass: app", "`ada`", "`grace`", "`" + id + "`", "`Payments are down: #911 <b>@acme/all</b>`"} {
		if !strings.Contains(told[0], words) {
			t.Errorf("the issue does not say %q:\n%s", words, told[0])
		}
	}
	// The word of both stands in the ledger before the apply does.
	rows := ledger(t, w)
	asked, broken, began := strings.Index(rows, `"action":"break-glass.ask"`), strings.Index(rows, `"action":"break-glass","outcome":"allowed"`), strings.Index(rows, `"action":"apply","outcome":"allowed"`)
	if asked < 0 || broken < asked || began < broken || !strings.Contains(rows[broken:began], "Payments are down") {
		t.Errorf("the ledger has it at %d, %d and %d:\n%s", asked, broken, began, rows)
	}
	refused(t, p, sandbox.Reviewer, "/break-glass app@"+id, "It was confirmed already")

	// The next plan needs approvals again.
	push(t, w, "two", "app/b.tf", "resource \"terraform_data\" \"b\" {}\n")
	want(t, w, p.Info().HeadSHA, "tollgate", "success")
	refused(t, p, sandbox.Reviewer, "/apply", "0 of 1 approvals")
	notApplied(t, w, p)
}

// What no waiver covers, not even two people can lift, nor somebody's objection.
// Covers: T64, T77
func TestBreakGlassHasLimits(t *testing.T) {
	t.Parallel()
	kept := strings.Replace(named, "deny contains", "# METADATA\n# custom:\n#   id: no-two\n#   waivable: false\ndeny contains", 1)
	w := startWith(t, map[string]string{"app/main.tf": one, "policies/plan/house.rego": kept})
	hire(t, w, "bob")
	p := propose(t, w, "two", map[string]string{"app/main.tf": strings.Replace(one, "one", "two", 1)})
	want(t, w, p.Info().HeadSHA, "tollgate/plan: app", "failure")
	answered(t, p, sandbox.Author, "/break-glass app Payments are down", "asks to break the glass")
	refused(t, p, sandbox.Reviewer, "/break-glass app@"+shownID(t, w, p), "of the policies block the plan")
	notApplied(t, w, p)

	push(t, w, "two", "app/main.tf", strings.Replace(one, "one", "three", 1))
	want(t, w, p.Info().HeadSHA, "tollgate/plan: app", "success")
	id, err := p.Review(ghsim.NewReview{By: "bob", State: "REQUEST_CHANGES", Body: "No."})
	if err != nil {
		t.Fatal(err)
	}
	answered(t, p, sandbox.Author, "/break-glass app Payments are down", "asks to break the glass")
	refused(t, p, sandbox.Reviewer, "/break-glass app@"+shownID(t, w, p), "Changes were requested by bob")
	notApplied(t, w, p)
	if err := p.Dismiss("bob", id, "It burns."); err != nil {
		t.Fatal(err)
	}
	answered(t, p, sandbox.Author, "/break-glass app Payments are down", "asks to break the glass")
	answered(t, p, sandbox.Reviewer, "/break-glass app@"+shownID(t, w, p), "The glass is broken")
	applied(t, w, p)
}

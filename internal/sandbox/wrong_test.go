package sandbox_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/sandbox"
	"github.com/tollgate/tollgate/internal/toolchain"
)

func TestWhatIsWrongIsSaid(t *testing.T) {
	t.Parallel()
	w := startSmall(t, one)
	for _, c := range []struct {
		name  string
		files map[string]string
		check string // that says it
		words []string
	}{
		{"syntax", map[string]string{"app/main.tf": "resource \"terraform_data\" \"a\" {\n  input = \n}\n"}, "tollgate/plan: app", []string{"app/main.tf", "2"}},
		{"provider", map[string]string{"app/main.tf": "terraform {\n  required_providers {\n    nosuch = {\n      source  = \"tollgate-example/nosuch\"\n      version = \"1.0.0\"\n    }\n  }\n}\n\nresource \"nosuch_thing\" \"a\" {}\n"}, "tollgate/plan: app", []string{"tollgate-example/nosuch"}},
		{"reference", map[string]string{"app/main.tf": one + "output \"x\" {\n  value = terraform_data.nosuch.id\n}\n"}, "tollgate/plan: app", []string{"nosuch"}},
	} {
		p := propose(t, w, c.name, c.files)
		head := p.Info().HeadSHA
		check := want(t, w, head, c.check, "failure")
		want(t, w, head, "tollgate", "failure")
		for _, word := range c.words {
			if !strings.Contains(check.Title+check.Summary+check.Text, word) {
				t.Errorf("%s: the check does not say %q:\n%s\n%s\n%s", c.name, word, check.Title, check.Summary, check.Text)
			}
		}
		// Nothing is lost: the same pull request, mended, is planned.
		if _, err := w.Repo.Push(ghsim.Push{Branch: c.name, By: sandbox.Author, Message: "Mend", Files: map[string]string{"app/main.tf": strings.Replace(one, "one", c.name, 1)}}); err != nil {
			t.Fatal(err)
		}
		want(t, w, p.Info().HeadSHA, "tollgate", "success")
	}
}

func TestWrongConfigurationIsSaid(t *testing.T) {
	t.Parallel()
	found := parts(t, toolchain.Terraform, toolchain.Git)
	w := start(t, sandbox.Config{Terraform: found.Terraform, Files: fstest.MapFS{
		"app/main.tf": {Data: []byte(one)}, ".tollgate.yaml": {Data: []byte("version: 1\naproval: 3\n")}}})
	p := propose(t, w, "two", map[string]string{"app/main.tf": strings.Replace(one, "one", "two", 1)})
	c := want(t, w, p.Info().HeadSHA, "tollgate", "failure")
	if !strings.Contains(c.Title+c.Summary, "aproval") || !strings.Contains(c.Summary, "2") {
		t.Errorf("the check does not name the unknown key and its line:\n%s\n%s", c.Title, c.Summary)
	}
}

func TestConflictDraftAndNothingAffected(t *testing.T) {
	t.Parallel()
	w := startSmall(t, one)
	none := propose(t, w, "docs", map[string]string{"README.md": "# Nothing to plan\n"})
	if c := want(t, w, none.Info().HeadSHA, "tollgate", "success"); !strings.Contains(strings.ToLower(c.Title), "no") {
		t.Errorf("title = %q", c.Title)
	}
	both := propose(t, w, "ours", map[string]string{"app/main.tf": strings.Replace(one, "one", "ours", 1)})
	want(t, w, both.Info().HeadSHA, "tollgate", "success")
	if _, err := w.Repo.Push(ghsim.Push{Branch: "main", By: sandbox.Author, Message: "Theirs", Files: map[string]string{"app/main.tf": strings.Replace(one, "one", "theirs", 1)}}); err != nil {
		t.Fatal(err)
	}
	conflict, err := w.Repo.Push(ghsim.Push{Branch: "ours", By: sandbox.Author, Message: "More", Files: map[string]string{"app/main.tf": strings.Replace(one, "one", "more", 1)}})
	if err != nil {
		t.Fatal(err)
	}
	c := await(t, w, conflict, "tollgate")
	if c.Conclusion == "success" || !strings.Contains(c.Title+c.Summary, "conflict") {
		t.Errorf("conflict: %s, %s\n%s", c.Conclusion, c.Title, c.Summary)
	}
	if _, err := w.Repo.Push(ghsim.Push{Branch: "draft", By: sandbox.Author, Message: "Draft", Files: map[string]string{"app/b.tf": "# b\n"}}); err != nil {
		t.Fatal(err)
	}
	draft, err := w.Repo.OpenPull(ghsim.OpenPull{By: sandbox.Author, Head: "draft", Title: "Draft", Draft: true})
	if err != nil {
		t.Fatal(err)
	}
	head := draft.Info().HeadSHA
	want(t, w, head, "tollgate", "action_required")
	if err := draft.ReadyForReview(sandbox.Author); err != nil {
		t.Fatal(err)
	}
	want(t, w, head, "tollgate/plan: app", "success")
}

// Covers: R14, T58
func TestStateLockedByAnother(t *testing.T) {
	t.Parallel()
	found := parts(t, toolchain.Terraform, toolchain.Git, toolchain.Moto)
	main := "terraform {\n  backend \"s3\" {\n    use_lockfile = true\n  }\n}\n\n" + one
	w := start(t, sandbox.Config{Terraform: found.Terraform, Python: found.Python, Files: small(main)})
	lock := w.Emulator.URL + "/payments-terraform-state/demo/app.tfstate.tflock"
	put(t, http.MethodPut, lock, `{"ID":"11111111-2222-3333-4444-555555555555","Operation":"OperationTypeApply","Info":"","Who":"alan@example","Version":"1.11.4","Created":"2026-01-02T03:04:05Z","Path":"payments-terraform-state/demo/app.tfstate"}`)
	p := propose(t, w, "two", map[string]string{"app/main.tf": strings.Replace(main, "one", "two", 1)})
	head := p.Info().HeadSHA
	eventually(t, "Terraform waits for the lock", func() bool {
		c, ok := w.Repo.CheckRun(head, "tollgate/plan: app")
		return ok && c.Status == "in_progress"
	})
	check := await(t, w, head, "tollgate/plan: app")
	if check.Conclusion != "failure" || !strings.Contains(check.Title+check.Summary+check.Text, "alan@example") {
		t.Errorf("the check does not say who holds the lock: %s\n%s\n%s\n%s", check.Conclusion, check.Title, check.Summary, check.Text)
	}
	put(t, http.MethodDelete, lock, "")
	if _, err := p.Comment(sandbox.Author, "/plan"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the plan succeeds once the lock is gone", func() bool {
		c, _ := w.Repo.CheckRun(head, "tollgate/plan: app")
		return c.ID != check.ID && c.Conclusion == "success"
	})
}

func put(t *testing.T, method, url, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	// The emulator reads who asks, and checks no signature.
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=emulator/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=none")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		t.Fatalf("%s %s: %s", method, url, resp.Status)
	}
}

// Covers: R21
func TestGitHubDownLosesNothing(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	w := startSmall(t, one, lenient(t, g.url)...)
	down := w.GitHub.Inject(ghsim.Match{Path: "/**"}, ghsim.Fault{Status: http.StatusInternalServerError})
	p := propose(t, w, "two", map[string]string{"app/main.tf": strings.Replace(one, "one", "two", 1)})
	head := p.Info().HeadSHA
	reached, until := down.Hits(), time.Now().Add(10*time.Second)
	eventually(t, "GitHub is asked in vain for a while", func() bool { return time.Now().After(until) && down.Hits() > reached })
	down.Clear()
	want(t, w, head, "tollgate", "success")
	// And while a plan is under way: the result is reported when GitHub is back.
	if _, err := w.Repo.Push(ghsim.Push{Branch: "two", By: sandbox.Author, Message: "Slow", Files: map[string]string{"app/main.tf": strings.Replace(waiting, "%q", `"`+g.url+`"`, 1)}}); err != nil {
		t.Fatal(err)
	}
	<-g.reached
	down = w.GitHub.Inject(ghsim.Match{Path: "/repos/**"}, ghsim.Fault{Status: http.StatusBadGateway, Body: "<html>Bad gateway</html>"})
	close(g.open)
	eventually(t, "the report fails", func() bool { return down.Hits() > 3 })
	down.Clear()
	head = p.Info().HeadSHA
	want(t, w, head, "tollgate", "success")
	n := 0
	for _, c := range w.Repo.CheckRuns(head) {
		if c.Name == "tollgate" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("the outage left %d checks of one name on one commit, want 1", n)
	}
}

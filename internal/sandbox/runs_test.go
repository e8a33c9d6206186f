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
	"github.com/tollgate/tollgate/internal/toolchain"
)

// waiting is a plan that waits at a data source until the test lets it go on.
const waiting = `data "terraform_remote_state" "gate" {
  backend = "http"
  config  = { address = %q }
}

resource "terraform_data" "a" {
  input = "one"
}
`

// gate is a web server at which plans wait.
type gate struct {
	*hold
	url string
}

type hold struct {
	reached chan struct{} // receives once per plan that arrives
	open    chan struct{} // closed to let all plans go on
}

func newGate(t *testing.T) gate {
	t.Helper()
	h := &hold{make(chan struct{}, 64), make(chan struct{})}
	srv := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		h.reached <- struct{}{}
		select {
		case <-h.open:
		case <-r.Context().Done():
		}
		fmt.Fprint(w, `{"version":4,"terraform_version":"1.11.0","serial":1,"lineage":"x","outputs":{},"resources":[]}`)
	})
	return gate{h, srv}
}

// Covers: R32
func TestPushDuringPlanSupersedesIt(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	w := startSmall(t, one, lenient(t, g.url)...)
	p := propose(t, w, "slow", map[string]string{"app/main.tf": fmt.Sprintf(waiting, g.url)})
	old := p.Info().HeadSHA
	<-g.reached // the plan is under way
	if _, err := w.Repo.Push(ghsim.Push{Branch: "slow", By: sandbox.Author, Message: "Faster", Files: map[string]string{"app/main.tf": strings.Replace(one, "one", "three", 1)}}); err != nil {
		t.Fatal(err)
	}
	head := p.Info().HeadSHA
	want(t, w, head, "tollgate", "success")
	want(t, w, old, "tollgate", "cancelled")
	want(t, w, old, "tollgate/plan: app", "cancelled")
}

// Covers: R33
func TestCloseCancelsAndReopenPlansAgain(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	w := startSmall(t, one, lenient(t, g.url)...)
	p := propose(t, w, "slow", map[string]string{"app/main.tf": fmt.Sprintf(waiting, g.url)})
	head := p.Info().HeadSHA
	<-g.reached
	if err := p.Close(sandbox.Author); err != nil {
		t.Fatal(err)
	}
	want(t, w, head, "tollgate", "cancelled")
	close(g.open)
	if err := p.Reopen(sandbox.Author); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is planned again", func() bool {
		c, _ := w.Repo.CheckRun(head, "tollgate")
		return c.Conclusion == "success"
	})
}

// Covers: R03, R10
func TestServerKilledDuringAPlanMakesItAgain(t *testing.T) {
	t.Parallel()
	g, second := newGate(t), newGate(t)
	w := startSmall(t, one, lenient(t, g.url, second.url)...)
	p := propose(t, w, "slow", map[string]string{"app/main.tf": fmt.Sprintf(waiting, g.url)})
	<-g.reached
	if err := w.Bot.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := w.Bot.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(g.open)
	head := p.Info().HeadSHA
	want(t, w, head, "tollgate", "success")
	for _, name := range []string{"tollgate", "tollgate/plan: app"} {
		n := 0
		for _, c := range w.Repo.CheckRuns(head) {
			if c.Name == name {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d checks %q, want 1", n, name)
		}
	}
	// An orderly stop does the same.
	g = second
	p = propose(t, w, "slower", map[string]string{"app/main.tf": fmt.Sprintf(waiting, g.url)})
	<-g.reached
	if err := w.Bot.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := w.Bot.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(g.open)
	want(t, w, p.Info().HeadSHA, "tollgate", "success")
}

// Covers: R32
func TestTwentyPushesInTenSeconds(t *testing.T) {
	t.Parallel()
	w := startSmall(t, one)
	p := propose(t, w, "busy", map[string]string{"app/main.tf": one + "# 0\n"})
	heads := []string{p.Info().HeadSHA}
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for i := range 19 {
		<-tick.C
		sha, err := w.Repo.Push(ghsim.Push{Branch: "busy", By: sandbox.Author, Message: "Again",
			Files: map[string]string{"app/main.tf": fmt.Sprintf("%s# %d\n", one, i+1)}})
		if err != nil {
			t.Fatal(err)
		}
		heads = append(heads, sha)
	}
	want(t, w, heads[19], "tollgate", "success")
	n := count(processes(t, w), "plan")
	t.Logf("%d plans for twenty pushes", n)
	if n > 3 {
		t.Errorf("%d plans for twenty pushes, want at most 3", n)
	}
	for _, sha := range heads[:19] {
		if c := await(t, w, sha, "tollgate"); c.Conclusion != "cancelled" && c.Conclusion != "success" {
			t.Errorf("check of an older commit concluded %q: %s\n%s\n%s", c.Conclusion, c.Title, c.Summary, c.Text)
		}
	}
}

func TestEachFamilyIsFoundOnItsLine(t *testing.T) {
	t.Parallel()
	found := parts(t, toolchain.Terraform, toolchain.Git, toolchain.Moto)
	w := start(t, sandbox.Config{Terraform: found.Terraform, Python: found.Python})
	pull, err := w.ProposeBreaks()
	if err != nil {
		t.Fatal(err)
	}
	head := pull.Info().HeadSHA
	want(t, w, head, "tollgate", "failure")
	c := want(t, w, head, "tollgate/plan: "+sandbox.Project, "failure")
	for _, b := range sandbox.Breaks {
		text, err := w.Repo.File(head, b.File)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(text, "\n")
		ok := false
		for _, a := range c.Annotations {
			if a.Path != b.File || a.Level != "failure" {
				continue
			}
			t.Logf("%s: %s:%d %q", b.Policy, a.Path, a.StartLine, lines[a.StartLine-1])
			line := strings.TrimSpace(lines[a.StartLine-1])
			ok = ok || line != "" && (strings.Contains(b.After, line) || strings.Contains(line, b.After))
		}
		if !ok {
			t.Errorf("%s: no annotation on the line that breaks it: %+v", b.Policy, c.Annotations)
		}
	}
}

func TestRerunAndButtons(t *testing.T) {
	t.Parallel()
	w := startSmall(t, one)
	p := propose(t, w, "two", map[string]string{"app/main.tf": strings.Replace(one, "one", "two", 1)})
	head := p.Info().HeadSHA
	first := want(t, w, head, "tollgate/plan: app", "success")
	want(t, w, head, "tollgate", "success")
	if err := w.Repo.RerequestCheckRun(sandbox.Author, first.ID); err != nil {
		t.Fatal(err)
	}
	newer := func(than ghsim.CheckRun) func() bool {
		return func() bool {
			c, _ := w.Repo.CheckRun(head, "tollgate/plan: app")
			return c.ID > than.ID && c.Status == "completed"
		}
	}
	eventually(t, "the plan is made again", newer(first))
	second, _ := w.Repo.CheckRun(head, "tollgate/plan: app")
	if err := w.Repo.RequestAction(sandbox.Author, second.ID, "replan"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the button plans again", newer(second))
	if err := p.Approve(sandbox.Reviewer); err != nil {
		t.Fatal(err)
	}
	// An approver who lost the right to approve is noticed although no webhook tells of it.
	eventually(t, "there is an Apply button", func() bool {
		c, _ := w.Repo.CheckRun(head, "tollgate/plan: app")
		return slices.ContainsFunc(c.Actions, func(a ghsim.Action) bool { return a.Identifier == "apply" })
	})
	if err := w.Repo.Grant(sandbox.Reviewer, "read"); err != nil {
		t.Fatal(err)
	}
	pressed := pressApply(t, w, head)
	eventually(t, "the press is refused and can be repeated", newer(pressed))
	if _, ok := w.Repo.CheckRun(head, "tollgate/apply: app"); ok {
		t.Fatal("an apply began on the word of somebody without write permission")
	}
	if err := w.Repo.Grant(sandbox.Reviewer, "write"); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Comment(sandbox.Author, "/apply"); err != nil {
		t.Fatal(err)
	}
	want(t, w, head, "tollgate/apply: app", "success")
}

// pressApply presses the Apply button as soon as it is there.
func pressApply(t *testing.T, w *sandbox.World, head string) (pressed ghsim.CheckRun) {
	t.Helper()
	eventually(t, "there is an Apply button", func() bool {
		c, ok := w.Repo.CheckRun(head, "tollgate/plan: app")
		pressed = c
		return ok && w.Repo.RequestAction(sandbox.Author, c.ID, "apply") == nil
	})
	return pressed
}

func TestCommandsAreSeenAndAnswered(t *testing.T) {
	t.Parallel()
	w := startSmall(t, one)
	if _, err := w.GitHub.CreateUser(ghsim.User{Login: "mallory", Name: "Mallory"}); err != nil {
		t.Fatal(err)
	}
	if err := w.Repo.Grant("mallory", "read"); err != nil {
		t.Fatal(err)
	}
	p := propose(t, w, "two", map[string]string{"app/main.tf": strings.Replace(one, "one", "two", 1)})
	want(t, w, p.Info().HeadSHA, "tollgate", "success")
	for _, c := range []struct{ by, command, answer string }{
		{sandbox.Author, "/help", "/plan [NAME]"},
		{sandbox.Author, "/cancel", "Nothing to cancel"},
		{sandbox.Author, "/unlock app", "Nothing holds a lock"},
		{sandbox.Author, "/apply nosuch", "No project of that name"},
		{"mallory", "/plan", "write permission"},
		{"mallory", "/apply", "write permission"},
	} {
		before := len(p.Comments())
		id, err := p.Comment(c.by, c.command)
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, c.command+" is answered", func() bool { return len(p.Comments()) == before+2 })
		all := p.Comments()
		if answer := all[len(all)-1].Body; !strings.Contains(answer, c.answer) {
			t.Errorf("%s by %s was answered with %q, want %q in it", c.command, c.by, answer, c.answer)
		}
		for _, info := range all {
			if info.ID == id && len(info.Reactions) == 0 {
				t.Errorf("%s by %s has no reaction", c.command, c.by)
			}
		}
	}
	plans := count(processes(t, w), "plan")
	if _, err := p.Comment(sandbox.Author, "/plan"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "/plan plans again", func() bool { return count(processes(t, w), "plan") > plans })
}

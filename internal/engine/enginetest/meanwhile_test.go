package enginetest_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/engine"
	"github.com/tollgate/tollgate/internal/engine/enginetest"
	"github.com/tollgate/tollgate/internal/ghsim"
)

// meanwhile is what becomes of a pull request while something of it is under way, and how the run ends
// that was under way.
var meanwhile = map[string]struct {
	happens func(w *enginetest.World, p *ghsim.Pull) error
	run     change.RunState
}{
	"nothing":      {func(*enginetest.World, *ghsim.Pull) error { return nil }, change.RunPassed},
	"it is closed": {func(_ *enginetest.World, p *ghsim.Pull) error { return p.Close(enginetest.Ada) }, change.RunCancelled},
	"it is merged": {func(_ *enginetest.World, p *ghsim.Pull) error {
		_, err := p.Merge(enginetest.Ada, ghsim.Squash)
		return err
	}, change.RunCancelled},
	"its branch goes":  {func(w *enginetest.World, _ *ghsim.Pull) error { return w.Repo.SetBranch("topic", "", enginetest.Ada) }, change.RunCancelled},
	"a push is forced": {forcePush, change.RunSuperseded},
	"it gets another base": {func(w *enginetest.World, p *ghsim.Pull) error {
		if err := w.Repo.SetBranch("dev", w.Repo.Ref("refs/heads/main"), enginetest.Ada); err != nil {
			return err
		}
		return p.UpdateBase(enginetest.Ada, "dev")
	}, change.RunSuperseded},
	"it becomes a draft":        {func(_ *enginetest.World, p *ghsim.Pull) error { return p.ConvertToDraft(enginetest.Ada) }, change.RunSuperseded},
	"the repository is renamed": {func(w *enginetest.World, _ *ghsim.Pull) error { return w.Repo.Rename(enginetest.Ada, "renamed") }, change.RunPassed},
}

// forcePush replaces the commits of the topic.
func forcePush(w *enginetest.World, _ *ghsim.Pull) error {
	file, text := enginetest.Resource("other", "1")
	other, err := w.Repo.Push(ghsim.Push{Branch: "aside", From: "main", By: enginetest.Ada, Files: map[string]string{file: text}})
	if err != nil {
		return err
	}
	return w.Repo.SetBranch("topic", other, enginetest.Ada)
}

// told fails the test if anything of ours on a commit is said to be going on.
func told(t *testing.T, w *enginetest.World, sha string) {
	t.Helper()
	for _, c := range w.Repo.CheckRuns(sha) {
		if c.Status != "completed" {
			t.Errorf("%s is left %s", c.Name, c.Status)
		}
	}
}

// Whatever becomes of a pull request while it is planned: the plan of what it was ends, as what it is, and leaves
// nothing green behind that is not true.
//
// Covers: R33
func TestWhatHappensDuringAPlan(t *testing.T) {
	for name, c := range meanwhile {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *enginetest.World) {
				planned, on := make(chan struct{}), make(chan struct{})
				w.OnPoint(engine.PlanMade, func() {
					w.OnPoint(engine.PlanMade, nil)
					close(planned)
					<-on
				})
				p := propose(t, w)
				head := p.Info().HeadSHA
				w.Let(10 * time.Second)
				select {
				case <-planned:
				default:
					t.Fatal("no plan is made")
				}
				must(t, c.happens(w, p))
				w.Let(10 * time.Second) // it is known by now
				close(on)
				settled(t, w)
				runs, err := w.Runs(p.Number())
				must(t, err)
				if first := runs[len(runs)-1]; first.HeadSHA != head || first.State != c.run {
					t.Errorf("the run of %s is %s, want %s", first.HeadSHA, first.State, c.run)
				}
				told(t, w, head)
				if check, _ := w.Repo.CheckRun(head, "tollgate"); c.run != change.RunPassed && p.Info().HeadSHA != head && check.Conclusion == "success" {
					t.Errorf("what nobody planned to its end is green: %+v", check)
				}
				again := slices.Contains([]string{"a push is forced", "it gets another base"}, name)
				if got := conclusion(w, p, "tollgate"); (again || c.run == change.RunPassed) != (got == "completed success") {
					t.Errorf("the check of what it is now is %q", got)
				}
				if n := len(w.Cloud.Applies()); n != 0 {
					t.Errorf("%d applies", n)
				}
			})
		})
	}
}

// Whatever becomes of a pull request while it is applied: the apply ends, once, and is told of on the
// commit that it is of.
//
// Covers: R33
func TestWhatHappensDuringAnApply(t *testing.T) {
	for name, c := range meanwhile {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *enginetest.World) {
				p := approved(t, w)
				head := p.Info().HeadSHA
				w.Cloud.Next(enginetest.Held)
				_, err := p.Comment(enginetest.Ada, "/apply")
				must(t, err)
				w.Let(10 * time.Second)
				if !w.Cloud.Holding() {
					t.Fatalf("nothing is applied\n%s", texts(p))
				}
				must(t, c.happens(w, p))
				w.Let(time.Minute)
				if check, _ := w.Repo.CheckRun(head, "tollgate/apply: app"); check.Status != "in_progress" {
					t.Errorf("while it runs, the check is %s %s", check.Status, check.Conclusion)
				}
				w.Cloud.EndHeld(enginetest.Well)
				settled(t, w)
				all, err := w.Executions(p.Number())
				must(t, err)
				if len(all) != 1 || all[0].State != change.ExecApplied || all[0].HeadSHA != head {
					t.Fatalf("executions %+v\n%s", all, texts(p))
				}
				if check, _ := w.Repo.CheckRun(head, "tollgate/apply: app"); check.Conclusion != "success" || strings.Contains(check.Summary, "could not be looked at") {
					t.Errorf("the check of the apply is %s %s:\n%s", check.Status, check.Conclusion, check.Summary)
				}
				told(t, w, head)
				told(t, w, p.Info().HeadSHA)
				if got := effects(w); !slices.Equal(got, []string{`first: "" -> "1"`, `second: "" -> "2"`}) {
					t.Errorf("applied %q", got)
				}
			})
		})
	}
}

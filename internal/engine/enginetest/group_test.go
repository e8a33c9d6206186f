package enginetest_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/engine/enginetest"
	"github.com/tollgate/tollgate/internal/ghsim"
)

// A merge queue of three, of which the second is refused by policy and dropped: each group has checks
// on its own commit, the one behind it is built and checked anew, and what lands is applied in order
// with the effect that was approved.
//
// Covers: T33
func TestMergeQueue(t *testing.T) {
	inWorld(t, func(t *testing.T, w *enginetest.World) {
		reconciling(t, w)
		begun(t, w)
		w.Repo.Protect("main", ghsim.Protection{Checks: []string{"tollgate"}, Approvals: 1})
		var pulls []*ghsim.Pull
		for n := range 3 {
			pulls = append(pulls, numbered(t, w, n+1))
		}
		w.Let(time.Minute)
		var groups []*ghsim.Group
		for i, p := range pulls {
			must(t, p.Approve(enginetest.Grace))
			if i == 1 { // what is wrong with it comes out in the queue
				file, text := enginetest.Resource("r2", "forbidden")
				_, err := w.Repo.Push(ghsim.Push{Branch: "r2", By: enginetest.Ada, Files: map[string]string{file: text}})
				must(t, err)
			}
			g, err := p.Enqueue(enginetest.Grace, ghsim.Squash)
			must(t, err)
			groups = append(groups, g)
		}
		w.Let(time.Minute)
		concluded := func(sha string) string {
			c, _ := w.Repo.CheckRun(sha, "tollgate")
			return c.Conclusion
		}
		for i, want := range []string{"success", "failure", "failure"} { // the third holds the second's change
			if got := concluded(groups[i].HeadSHA()); got != want {
				t.Errorf("group of #%d: %q, want %q", pulls[i].Number(), got, want)
			}
			if c, ok := w.Repo.CheckRun(groups[i].HeadSHA(), "tollgate/plan: "+enginetest.Project); !ok || len(c.Actions) != 0 {
				t.Errorf("group of #%d: plan %t with the buttons %v", pulls[i].Number(), ok, c.Actions)
			}
		}
		must(t, groups[0].Land())
		if groups[1].Land() == nil {
			t.Fatal("a group landed that was refused")
		}
		must(t, groups[1].Drop())
		w.Let(time.Minute)
		if got := concluded(groups[2].HeadSHA()); got != "success" {
			t.Fatalf("without the one that was dropped: %q", got)
		}
		must(t, groups[2].Land())
		w.Let(2 * time.Minute)
		must(t, w.Settle(10*time.Minute))
		want := []string{`first: "" -> "1"`, `r0: "" -> "1"`, `r1: "" -> "1"`, `r3: "" -> "1"`}
		if got := effects(w); !slices.Equal(got, want) {
			t.Errorf("applied %q, want %q\n%s\n%s", got, want, texts(pulls[0]), texts(pulls[2]))
		}
		if strings.Contains(texts(pulls[0])+texts(pulls[2]), "Nothing was applied") {
			t.Error("a merge was refused")
		}
	})
}

// A group that is taken back while it is planned ends its checks, and does not touch the pull request's own.
func TestMergeGroupIsDestroyedWhileItIsPlanned(t *testing.T) {
	inWorld(t, func(t *testing.T, w *enginetest.World) {
		p := numbered(t, w, 1)
		w.Let(time.Minute)
		g, err := p.Enqueue(enginetest.Grace, ghsim.Merge)
		must(t, err)
		sha := g.HeadSHA()
		must(t, g.Drop())
		w.Let(time.Minute)
		must(t, w.Settle(10*time.Minute))
		if c, ok := w.Repo.CheckRun(sha, "tollgate"); ok && c.Status != "completed" {
			t.Errorf("the group's check is %s", c.Status)
		}
		if got := conclusion(w, p, "tollgate"); got != "completed success" {
			t.Errorf("the pull request's check is %q", got)
		}
	})
}

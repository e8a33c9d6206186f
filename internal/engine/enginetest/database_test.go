package enginetest_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/engine"
	"github.com/tollgate/tollgate/internal/engine/enginetest"
	"github.com/tollgate/tollgate/internal/ghsim"
)

// A webhook that cannot be kept is not acknowledged, and counts when GitHub sends it again.
//
// Covers: R24
func TestWebhookWithoutADatabase(t *testing.T) {
	inWorld(t, func(t *testing.T, w *enginetest.World) {
		p := approved(t, w)
		hook := caught(t, w, "issue_comment", commented(p, enginetest.Ada, "/apply"))
		before := traces(t, w, p)
		release, err := w.LockDatabase()
		must(t, err)
		if status := w.Hooks.Deliver(hook); status != http.StatusServiceUnavailable {
			t.Errorf("answered with %d, want 503", status)
		}
		release()
		settled(t, w)
		if diff := cmp.Diff(before, traces(t, w, p)); diff != "" {
			t.Fatalf("what was not acknowledged has an effect (-before +after):\n%s", diff)
		}
		if status := w.Hooks.Deliver(hook); status != http.StatusAccepted {
			t.Errorf("answered with %d, want 202", status)
		}
		settled(t, w)
		if n := len(w.Cloud.Applies()); n != 1 {
			t.Errorf("%d applies, want 1", n)
		}
	})
}

// The database is gone for three minutes, from each point of the way on. Before the claim nothing is started; after
// it the apply goes on. When the database is back, all is carried on with and told, and nothing happens twice.
//
// Covers: R24
func TestDatabaseIsGoneForAWhile(t *testing.T) {
	for _, point := range []engine.Point{engine.AcceptAfterCommit, engine.TaskBegins, engine.PlanMade, engine.RunEnded, engine.ClaimBefore, engine.ClaimAfter,
		engine.StartAfter, engine.EndBefore, engine.EndAfter, engine.ReportAfter} {
		t.Run(string(point), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *enginetest.World) {
				var release func()
				w.OnPoint(point, func() {
					w.OnPoint(point, nil)
					var err error
					release, err = w.LockDatabase()
					must(t, err)
				})
				settle := func() {
					t.Helper()
					w.Let(10 * time.Second)
					if release != nil {
						w.Let(3 * time.Minute)
						if n := len(w.Cloud.Applies()); n != 0 && point == engine.ClaimBefore {
							t.Error("an apply was started without its claim")
						}
						release()
						release = nil
						must(t, w.Redeliver())
					}
					must(t, w.Settle(10*time.Minute))
				}
				p := propose(t, w)
				settle()
				must(t, p.Approve(enginetest.Grace))
				settle()
				_, err := p.Comment(enginetest.Grace, "/apply")
				must(t, err)
				settle()
				all, err := w.Executions(p.Number())
				must(t, err)
				if len(all) != 1 || all[0].State != change.ExecApplied {
					t.Errorf("executions %+v\n%s", all, texts(p))
				}
				if got := effects(w); !slices.Equal(got, []string{`first: "" -> "1"`, `second: "" -> "2"`}) {
					t.Errorf("applied %q", got)
				}
				told(t, w, p.Info().HeadSHA)
				for _, name := range []string{"tollgate/plan: app", "tollgate/apply: app"} {
					if got := conclusion(w, p, name); got != "completed success" {
						t.Errorf("%s is %q", name, got)
					}
				}
			})
		})
	}
}

// A run that waits for a further push begins once the database is back.
//
// Covers: R24
func TestDatabaseIsGoneBeforeARunBegins(t *testing.T) {
	inWorld(t, func(t *testing.T, w *enginetest.World) {
		p := propose(t, w)
		w.Let(time.Second)
		file, text := enginetest.Resource("third", "3")
		_, err := w.Repo.Push(ghsim.Push{Branch: "topic", By: enginetest.Ada, Files: map[string]string{file: text}})
		must(t, err)
		w.Let(time.Second)
		release, err := w.LockDatabase()
		must(t, err)
		w.Let(time.Minute)
		runs := w.Cloud.Plans()
		release()
		settled(t, w)
		if got := conclusion(w, p, "tollgate"); got != "completed success" || w.Cloud.Plans() != runs+1 {
			t.Errorf("the check is %q after %d plans more", got, w.Cloud.Plans()-runs)
		}
	})
}

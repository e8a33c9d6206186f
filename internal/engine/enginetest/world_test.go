package enginetest_test

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/engine"
	"github.com/tollgate/tollgate/internal/engine/enginetest"
	"github.com/tollgate/tollgate/internal/ghsim"
)

var parts = sync.OnceValues(enginetest.NewParts)

// inWorld plays in a world of its own.
func inWorld(t *testing.T, play func(*testing.T, *enginetest.World)) {
	t.Helper()
	t.Parallel()
	world(t, play)
}

// world is inWorld for a test that plays in several, one after the other.
func world(t *testing.T, play func(*testing.T, *enginetest.World)) {
	t.Helper()
	p, err := parts()
	must(t, err)
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := enginetest.New(t, p, dir, slog.New(slog.DiscardHandler))
		defer func() { must(t, w.Close()) }()
		play(t, w)
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// propose opens a pull request with one resource more.
func propose(t *testing.T, w *enginetest.World) *ghsim.Pull {
	t.Helper()
	file, text := enginetest.Resource("second", "2")
	_, err := w.Repo.Push(ghsim.Push{Branch: "topic", By: enginetest.Ada, Files: map[string]string{file: text}})
	must(t, err)
	pull, err := w.Repo.OpenPull(ghsim.OpenPull{By: enginetest.Ada, Head: "topic", Title: "Second"})
	must(t, err)
	return pull
}

func conclusion(w *enginetest.World, pull *ghsim.Pull, name string) string {
	run, ok := w.Repo.CheckRun(pull.Info().HeadSHA, name)
	if !ok {
		return "none"
	}
	return run.Status + " " + run.Conclusion
}

// A server that ends anywhere on the way of a change, and is started again, ends in the same as one
// that never did, or says that the apply was not started; nothing happens twice, and no plan is left in clear.
//
// Covers: R01, R04, R07, R08
func TestServerEndsAnywhere(t *testing.T) {
	t.Parallel()
	notStarted := []engine.Point{engine.ClaimAfter}
	for _, point := range []engine.Point{engine.AcceptBeforeCommit, engine.AcceptAfterCommit, engine.ClaimBefore, engine.ClaimAfter,
		engine.StartAfter, engine.EndBefore, engine.EndAfter, engine.ReportAfter} {
		for nth := range 3 {
			t.Run(fmt.Sprint(point, nth), func(t *testing.T) {
				inWorld(t, func(t *testing.T, w *enginetest.World) {
					if nth > 0 {
						w.CrashAt(point, nth)
					}
					crashed := false
					settle := func() {
						t.Helper()
						w.Let(10 * time.Second)
						if w.Server() == nil {
							crashed = true
							must(t, w.Boot())
							must(t, w.Redeliver())
						}
						must(t, w.Settle(5*time.Minute))
					}
					pull := propose(t, w)
					settle()
					must(t, pull.Approve(enginetest.Grace))
					settle()
					_, err := pull.Comment(enginetest.Grace, "/apply")
					must(t, err)
					settle()

					if nth == 1 && !crashed {
						t.Error("the point was never passed")
					}
					execs, err := w.Executions(pull.Number())
					must(t, err)
					if len(execs) != 1 {
						t.Fatalf("%d executions", len(execs))
					}
					want, check, effects := change.ExecApplied, "completed success", []enginetest.Step{{Name: "first", After: "1"}, {Name: "second", After: "2"}}
					if nth == 1 && slices.Contains(notStarted, point) {
						want, check, effects = change.ExecFailedClean, "completed failure", nil
					}
					var done []enginetest.Step
					for _, a := range w.Cloud.Applies() {
						done = append(done, a.Effects...)
					}
					if execs[0].State != want || !slices.Equal(done, effects) {
						t.Errorf("%s with effects %v, want %s with %v", execs[0].State, done, want, effects)
					}
					if got := conclusion(w, pull, "tollgate/apply: "+enginetest.Project); got != check {
						t.Errorf("check %q, want %q", got, check)
					}
					if left := w.Plans(); len(left) > 0 {
						t.Errorf("plans are left in clear: %q", left)
					}
				})
			})
		}
	}
}

package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/store"
)

func run(t *testing.T, db *store.DB, id string) store.Run {
	t.Helper()
	return read(t, db, func(ctx context.Context, tx *store.Tx) (store.Run, error) { return tx.Run(ctx, id) })
}

func TestOneActiveRunPerPullRequest(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	add := func(id string, repoID int64, number int) error {
		return db.Write(t.Context(), func(tx *store.Tx) error {
			return tx.AddRun(t.Context(), &store.Run{ID: id, RepoID: repoID, Number: number})
		})
	}
	addRun(t, db, 7, "first")
	if err := add("while it is queued", repo, 7); !errors.Is(err, store.ErrConflict) {
		t.Errorf("a second run while one is queued: %v", err)
	}
	if err := errors.Join(add("of another pull request", repo, 8), add("of another repository", repo+1, 7)); err != nil {
		t.Error(err)
	}
	moveRun(t, db, "first", change.RunRunning)
	if err := add("while it is running", repo, 7); !errors.Is(err, store.ErrConflict) {
		t.Errorf("a second run while one is running: %v", err)
	}
	moveRun(t, db, "first", change.RunSuperseded)
	if err := add("second", repo, 7); err != nil {
		t.Errorf("a run after the end of the first: %v", err)
	}
	moveRun(t, db, "second", change.RunCancelled)
	if err := add("first", repo, 7); !errors.Is(err, store.ErrConflict) {
		t.Errorf("a second run of the same id: %v", err)
	}
}

// everyRunState has a way from queued to each state.
var everyRunState = map[change.RunState][]change.RunState{
	change.RunQueued: nil, change.RunRunning: {change.RunRunning},
	change.RunPassed: {change.RunRunning, change.RunPassed}, change.RunFailed: {change.RunRunning, change.RunFailed},
	change.RunErrored: {change.RunRunning, change.RunErrored}, change.RunCancelled: {change.RunCancelled}, change.RunSuperseded: {change.RunSuperseded},
}

func TestMoveRunKeepsToTheMachine(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	number := 0
	for from, way := range everyRunState {
		for to := range everyRunState {
			number++
			id := string(from + " to " + to)
			addRun(t, db, number, id)
			moveRun(t, db, id, way...)
			before := run(t, db, id)
			err := db.Write(t.Context(), func(tx *store.Tx) error { return tx.MoveRun(t.Context(), id, to, fault.New("What.", "", "")) })
			allowed := change.CheckRun(from, to) == nil
			switch after := run(t, db, id); {
			case allowed && (err != nil || after.State != to || after.Fault == nil):
				t.Errorf("%s: error %v, now %+v", id, err, after)
			case allowed && to.Done() == after.FinishedAt.IsZero():
				t.Errorf("%s: it ended at %v", id, after.FinishedAt)
			case !allowed && err == nil:
				t.Errorf("%s is let through", id)
			case !allowed:
				same(t, before, after)
			}
		}
	}
	err := db.Write(t.Context(), func(tx *store.Tx) error { return tx.MoveRun(t.Context(), "unknown", change.RunRunning, nil) })
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown run: %v", err)
	}
}

func TestTheTimesOfARun(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	addRun(t, db, 7, "r")
	moveRun(t, db, "r", change.RunRunning, change.RunPassed)
	r := run(t, db, "r")
	if r.CreatedAt.IsZero() || r.StartedAt.Before(r.CreatedAt) || r.FinishedAt.Before(r.StartedAt) || time.Since(r.CreatedAt) > time.Hour {
		t.Errorf("created %v, started %v, finished %v", r.CreatedAt, r.StartedAt, r.FinishedAt)
	}
}

func TestRunsAreFoundInOrder(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	for _, id := range []string{"a", "b", "c"} { // c stays active
		if id != "a" {
			moveRun(t, db, string(id[0]-1), change.RunCancelled)
		}
		addRun(t, db, 7, id)
	}
	addRun(t, db, 8, "z")
	ids := func(f func(context.Context, *store.Tx) ([]store.Run, error)) (out []string) {
		for _, r := range read(t, db, f) {
			out = append(out, r.ID)
		}
		return out
	}
	same(t, []string{"c", "b", "a"}, ids(func(ctx context.Context, tx *store.Tx) ([]store.Run, error) { return tx.RunsOf(ctx, repo, 7, 9) }))
	same(t, []string{"c", "b"}, ids(func(ctx context.Context, tx *store.Tx) ([]store.Run, error) { return tx.RunsOf(ctx, repo, 7, 2) }))
	same(t, []string{"z", "c"}, ids(func(ctx context.Context, tx *store.Tx) ([]store.Run, error) { return tx.RecentRuns(ctx, 2) }))
	same(t, []string{"c", "z"}, ids(func(ctx context.Context, tx *store.Tx) ([]store.Run, error) { return tx.ActiveRuns(ctx) }))
	same(t, "c", read(t, db, func(ctx context.Context, tx *store.Tx) (store.Run, error) { return tx.LatestRun(ctx, repo, 7) }).ID)
	_, err := store.Read(t.Context(), db, func(tx *store.Tx) (store.Run, error) { return tx.LatestRun(t.Context(), repo, 99) })
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the newest run where there is none: %v", err)
	}
}

func TestWhatIsSetOnARun(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	addRun(t, db, 7, "old")
	moveRun(t, db, "old", change.RunCancelled)
	want := addRun(t, db, 7, "new")
	want.BaseSHA, want.Tree, want.PolicyDigest, want.Config = "base", "tree", "sha256:1", `{"Version":1}`
	old := run(t, db, "old")
	write(t, db, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.BeginAttempt(ctx, "new", "boot-2")
		return errors.Join(tx.SetRunInputs(ctx, want), err)
	})
	want.Owner, want.CreatedAt = "boot-2", want.CreatedAt.Truncate(time.Millisecond)
	same(t, want, run(t, db, "new"))
	same(t, old, run(t, db, "old"))
}

func TestCountPress(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	for _, id := range []string{"old", "new"} {
		addRun(t, db, 7, id)
		moveRun(t, db, id, change.RunRunning, change.RunFailed)
	}
	addRun(t, db, 8, "of another pull request")
	for range 2 {
		write(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.CountPress(ctx, repo, 7) })
	}
	for id, want := range map[string]int{"old": 0, "new": 2, "of another pull request": 0} {
		if got := run(t, db, id).Presses; got != want {
			t.Errorf("run %s: %d presses, want %d", id, got, want)
		}
	}
}

func TestPlansOfARun(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	addRun(t, db, 7, "r")
	plan := func(id, project string) store.Plan {
		return store.Plan{ID: id, RunID: "r", Project: change.Project{Name: project}, State: change.RunPassed, Excerpt: "Warning: old", Text: "~ update", Artifacts: "{}",
			Summary: change.PlanSummary{Counts: change.Counts{Update: 2}}, Findings: []change.Finding{{Rule: "r"}}, StateKey: "k " + project, Judged: 4}
	}
	network, payments := plan("p2", "network"), plan("p1", "payments")
	write(t, db, func(ctx context.Context, tx *store.Tx) error {
		return errors.Join(tx.PutPlan(ctx, payments), tx.PutPlan(ctx, network))
	})
	of := func(id string, whole bool) []store.Plan {
		return read(t, db, func(ctx context.Context, tx *store.Tx) ([]store.Plan, error) { return tx.PlansOf(ctx, id, whole) })
	}
	same(t, []store.Plan{network, payments}, of("r", true))
	same(t, nil, of("another", true))
	for _, p := range []*store.Plan{&network, &payments} {
		p.Excerpt, p.Text, p.Findings = "", "", nil
	}
	same(t, []store.Plan{network, payments}, of("r", false))
}

func TestPutPlanAgain(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	p := addPlan(t, db, 7, "p")
	p.State, p.Fault, p.Text, p.Judged, p.Findings = change.RunErrored, fault.New("What.", "", ""), "text", 5, []change.Finding{{Rule: "r"}}
	p.Artifacts, p.Summary.EffectDigest, p.FinishedAt = `{"plan":{}}`, "sha256:1", time.UnixMilli(9).UTC()
	write(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.PutPlan(ctx, p) })
	same(t, p, read(t, db, func(ctx context.Context, tx *store.Tx) (store.Plan, error) { return tx.Plan(ctx, "p") }))
	p.ID = "another plan of the same project in the same run"
	err := db.Write(t.Context(), func(tx *store.Tx) error { return tx.PutPlan(t.Context(), p) })
	if !errors.Is(err, store.ErrConflict) {
		t.Errorf("two plans of one project in one run: %v", err)
	}
}

func TestLatestPlans(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	put := func(number int, id, name string, state change.RunState, artifacts string) {
		run := addRun(t, db, number, "run of "+id)
		write(t, db, func(ctx context.Context, tx *store.Tx) error {
			return tx.PutPlan(ctx, store.Plan{ID: id, RunID: run.ID, Project: change.Project{Name: name}, State: state, Artifacts: artifacts})
		})
	}
	put(1, "old", "payments", change.RunPassed, `{"json":1}`)
	put(2, "new", "payments", change.RunFailed, `{"json":1}`)
	put(3, "errored", "payments", change.RunErrored, "")
	put(4, "without artifacts", "payments", change.RunPassed, "{}")
	put(5, "other", "network", change.RunPassed, `{"json":1}`)
	var got []string
	write(t, db, func(ctx context.Context, tx *store.Tx) error {
		plans, runs, err := tx.LatestPlans(ctx, repo)
		for i, p := range plans {
			got = append(got, fmt.Sprintf("%s of %s in %d", p.ID, p.Project.Name, runs[i].Number))
		}
		return err
	})
	same(t, []string{"new of payments in 2", "other of network in 5"}, got)
	write(t, db, func(ctx context.Context, tx *store.Tx) error {
		plans, _, err := tx.LatestPlans(ctx, repo+1)
		same(t, 0, len(plans))
		return err
	})
}

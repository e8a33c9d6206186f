package store_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/store"
)

// claim consumes a plan of addPlan.
func claim(t *testing.T, db *store.DB, id string, p store.Plan) error {
	t.Helper()
	return db.Write(t.Context(), func(tx *store.Tx) error {
		return tx.Claim(t.Context(), &store.Execution{Execution: change.Execution{ID: id, PlanID: p.ID, Project: p.Project, Trigger: "comment"}, RepoID: repo, Number: 7, StateKey: p.StateKey})
	})
}

func moveExecution(t *testing.T, db *store.DB, id string, states ...change.ExecutionState) {
	t.Helper()
	for _, s := range states {
		write(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.MoveExecution(ctx, id, s, nil, "") })
	}
}

func execution(t *testing.T, db *store.DB, id string) store.Execution {
	t.Helper()
	return read(t, db, func(ctx context.Context, tx *store.Tx) (store.Execution, error) { return tx.Execution(ctx, id) })
}

// holder is the id of the execution that locks a state, or "".
func holder(t *testing.T, db *store.DB, stateKey string) string {
	t.Helper()
	x, err := store.Read(t.Context(), db, func(tx *store.Tx) (store.Execution, error) { return tx.Holder(t.Context(), stateKey) })
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	return x.ID
}

// Two programs on one file stand for two servers that both hear the same comment.
//
// Covers: T37
func TestOneOfManyClaimsConsumesThePlan(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tollgate.db")
	servers := []*store.DB{open(t, file), open(t, file)}
	p := addPlan(t, servers[0], 7, "p")
	const claims = 50
	errs := make([]error, claims)
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for i := range claims {
		wg.Go(func() {
			<-begin
			errs[i] = claim(t, servers[i%2], fmt.Sprint("x", i), p)
		})
	}
	close(begin)
	wg.Wait()
	winner := ""
	for i, err := range errs {
		switch {
		case err == nil && winner != "":
			t.Errorf("%s and x%d both consumed the plan", winner, i)
		case err == nil:
			winner = fmt.Sprint("x", i)
		case !errors.Is(err, store.ErrConflict):
			t.Errorf("claim %d: %v", i, err)
		}
	}
	found := read(t, servers[1], func(ctx context.Context, tx *store.Tx) ([]store.Execution, error) {
		return tx.ExecutionsOf(ctx, repo, 7)
	})
	if len(found) != 1 || found[0].ID != winner || found[0].State != change.ExecClaimed {
		t.Errorf("winner %q, executions %+v", winner, found)
	}
}

func TestAPlanIsConsumedForEver(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	for i, end := range []change.ExecutionState{change.ExecApplied, change.ExecFailedClean, change.ExecFailedPartial, change.ExecUnknown} {
		p := addPlan(t, db, 100+i, "plan that is "+string(end))
		id := "first for " + string(end)
		if err := claim(t, db, id, p); err != nil {
			t.Fatal(err)
		}
		moveExecution(t, db, id, change.ExecRunning, end)
		if end == change.ExecUnknown {
			write(t, db, func(ctx context.Context, tx *store.Tx) error {
				return tx.Resolve(ctx, id, change.Resolved{As: change.ResolvedReleased, By: change.User{Login: "ada"}})
			})
		}
		if err := claim(t, db, "second for "+string(end), p); !errors.Is(err, store.ErrConflict) {
			t.Errorf("a plan that %s, claimed again: %v", end, err)
		}
	}
}

func TestClaimOfAnUnknownPlan(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	if err := claim(t, db, "x", store.Plan{ID: "nobody made it", StateKey: "k"}); err == nil || errors.Is(err, store.ErrConflict) {
		t.Errorf("error = %v", err)
	}
	if err := claim(t, db, "x", addPlan(t, db, 7, "p")); err != nil {
		t.Error(err)
	}
}

// Covers: T36
func TestTheLockOnAState(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		way    []change.ExecutionState
		locked bool
	}{
		"claimed":                 {nil, true},
		"running":                 {[]change.ExecutionState{change.ExecRunning}, true},
		"applied":                 {[]change.ExecutionState{change.ExecRunning, change.ExecApplied}, false},
		"failed clean":            {[]change.ExecutionState{change.ExecRunning, change.ExecFailedClean}, false},
		"failed before it ran":    {[]change.ExecutionState{change.ExecFailedClean}, false},
		"failed partial":          {[]change.ExecutionState{change.ExecRunning, change.ExecFailedPartial}, false},
		"unknown":                 {[]change.ExecutionState{change.ExecRunning, change.ExecUnknown}, true},
		"unknown whether it runs": {[]change.ExecutionState{change.ExecUnknown}, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := fresh(t)
			first, second, elsewhere := addPlan(t, db, 1, "first"), addPlan(t, db, 2, "second"), addPlan(t, db, 3, "elsewhere")
			second.StateKey = first.StateKey
			if err := claim(t, db, "x1", first); err != nil {
				t.Fatal(err)
			}
			moveExecution(t, db, "x1", c.way...)
			wantHolder := ""
			if c.locked {
				wantHolder = "x1"
			}
			same(t, wantHolder, holder(t, db, first.StateKey))
			if err := claim(t, db, "x2", second); errors.Is(err, store.ErrConflict) != c.locked || err != nil && !c.locked {
				t.Errorf("a second claim on the state: %v", err)
			}
			if err := claim(t, db, "x3", elsewhere); err != nil {
				t.Errorf("a claim on another state: %v", err)
			}
		})
	}
}

func TestRelease(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	first, second := addPlan(t, db, 1, "first"), addPlan(t, db, 2, "second")
	second.StateKey = first.StateKey
	release := func(id, by string) error {
		return db.Write(t.Context(), func(tx *store.Tx) error {
			return tx.Resolve(t.Context(), id, change.Resolved{As: change.ResolvedReleased, By: change.User{Login: by}})
		})
	}
	if err := claim(t, db, "x1", first); err != nil {
		t.Fatal(err)
	}
	for _, s := range []change.ExecutionState{change.ExecClaimed, change.ExecRunning} {
		if s != change.ExecClaimed {
			moveExecution(t, db, "x1", s)
		}
		if err := release("x1", "ada"); !errors.Is(err, store.ErrNotFound) || holder(t, db, first.StateKey) != "x1" {
			t.Errorf("release of an apply that is %s: %v", s, err)
		}
	}
	moveExecution(t, db, "x1", change.ExecUnknown)
	if err := claim(t, db, "x2", second); !errors.Is(err, store.ErrConflict) {
		t.Errorf("a claim on a frozen state: %v", err)
	}
	if err := release("x1", "ada"); err != nil {
		t.Fatal(err)
	}
	if err := release("x1", "eve"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a second release: %v", err)
	}
	if x := execution(t, db, "x1"); x.ReleasedBy != "ada" || x.State != change.ExecUnknown {
		t.Errorf("after the release: %+v", x)
	}
	if err := claim(t, db, "x2", second); err != nil || holder(t, db, first.StateKey) != "x2" {
		t.Errorf("a claim after the release: %v", err)
	}
}

// everyExecutionState has a way from claimed to each state that a row can have.
var everyExecutionState = map[change.ExecutionState][]change.ExecutionState{
	change.ExecClaimed: nil, change.ExecRunning: {change.ExecRunning}, change.ExecApplied: {change.ExecRunning, change.ExecApplied},
	change.ExecFailedClean: {change.ExecFailedClean}, change.ExecFailedPartial: {change.ExecRunning, change.ExecFailedPartial},
	change.ExecUnknown: {change.ExecUnknown},
}

func TestMoveExecutionKeepsToTheMachine(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	number := 0
	for from, way := range everyExecutionState {
		for to := range everyExecutionState {
			number++
			id := string(from + " to " + to)
			if err := claim(t, db, id, addPlan(t, db, number, id)); err != nil {
				t.Fatal(err)
			}
			moveExecution(t, db, id, way...)
			before := execution(t, db, id)
			err := db.Write(t.Context(), func(tx *store.Tx) error {
				return tx.MoveExecution(t.Context(), id, to, fault.New("What.", "", ""), store.CauseStale)
			})
			allowed := change.CheckExecution(from, to) == nil
			switch after := execution(t, db, id); {
			case allowed && (err != nil || after.State != to || after.Fault == nil || after.Cause != store.CauseStale):
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
	err := db.Write(t.Context(), func(tx *store.Tx) error {
		return tx.MoveExecution(t.Context(), "unheard of", change.ExecRunning, nil, "")
	})
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown execution: %v", err)
	}
}

func TestActiveExecutions(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	number := 0
	for state, way := range everyExecutionState {
		number++
		if err := claim(t, db, string(state), addPlan(t, db, number, string(state))); err != nil {
			t.Fatal(err)
		}
		moveExecution(t, db, string(state), way...)
	}
	got := map[string]bool{}
	for _, x := range read(t, db, func(ctx context.Context, tx *store.Tx) ([]store.Execution, error) { return tx.ActiveExecutions(ctx) }) {
		got[x.ID] = true
	}
	same(t, map[string]bool{"claimed": true, "running": true}, got)
}

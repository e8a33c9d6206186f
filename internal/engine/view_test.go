package engine

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/store"
)

// aRun is a run of the head "head" and the tree "tree".
func aRun(id, reason string, state change.RunState) store.Run {
	return store.Run{ID: id, HeadSHA: "head", Tree: "tree", Reason: reason, State: state}
}

// aPlan is a plan that would update one resource.
func aPlan(id, project string, state change.RunState) store.Plan {
	return store.Plan{ID: id, Project: change.Project{Name: project}, State: state,
		Summary: change.PlanSummary{Counts: change.Counts{Update: 1}, EffectDigest: "sha256:effect"}}
}

func empty(p store.Plan) store.Plan {
	p.Summary = change.PlanSummary{EffectDigest: "sha256:nothing"}
	return p
}

func consumed(planID string, state change.ExecutionState, cause store.Cause) store.Execution {
	return store.Execution{Execution: change.Execution{ID: "x of " + planID, PlanID: planID, State: state}, Cause: cause}
}

// sees is a view of the head "head".
func sees(runs []store.Run, plans map[string][]store.Plan, executions ...store.Execution) view {
	return view{pull: store.Pull{Pull: change.Pull{HeadSHA: "head", Open: true}}, runs: runs, plans: plans, executions: executions}
}

func TestReviewed(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reasons []string // newest first
		want    string
	}{
		"no run":                          {nil, ""},
		"the only one":                    {[]string{"opened"}, "opened"},
		"the newest":                      {[]string{"/plan", "opened"}, "/plan"},
		"not one that an apply asked for": {[]string{reasonMerged, reasonMoved, "/plan", "opened"}, "/plan"},
		"one that people asked for after a merge": {[]string{reasonMergedAgain, reasonMerged, "opened"}, reasonMergedAgain},
		"nothing but what applies asked for":      {[]string{reasonMoved}, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var v view
			for _, r := range c.reasons {
				v.runs = append(v.runs, aRun(r, r, change.RunPassed))
			}
			if got := v.reviewed().ID; got != c.want {
				t.Errorf("reviewed() = %q, want %q", got, c.want)
			}
		})
	}
}

func TestRunOf(t *testing.T) {
	t.Parallel()
	other := func(f func(*store.Run)) store.Run {
		r := aRun("other", "opened", change.RunPassed)
		f(&r)
		return r
	}
	plans := map[string][]store.Plan{"old": {aPlan("p-old", "a", change.RunPassed)}, "new": {aPlan("p-new-a", "a", change.RunPassed), aPlan("p-new-b", "b", change.RunPassed)}}
	old, newer := aRun("old", "opened", change.RunPassed), aRun("new", reasonMoved, change.RunPassed)
	cases := map[string]struct {
		runs       []store.Run
		executions []store.Execution
		want       string
		ok         bool
	}{
		"none":                             {nil, nil, "", false},
		"passed":                           {[]store.Run{old}, nil, "old", true},
		"failed has plans too":             {[]store.Run{aRun("f", "opened", change.RunFailed)}, nil, "f", true},
		"errored has no verdict":           {[]store.Run{aRun("e", "opened", change.RunErrored)}, nil, "", false},
		"running has none yet":             {[]store.Run{aRun("r", "opened", change.RunRunning)}, nil, "", false},
		"cancelled, with one before it":    {[]store.Run{aRun("c", "/plan", change.RunCancelled), old}, nil, "old", true},
		"of another head":                  {[]store.Run{other(func(r *store.Run) { r.HeadSHA = "older" })}, nil, "", false},
		"of another tree":                  {[]store.Run{other(func(r *store.Run) { r.Tree = "moved" })}, nil, "", false},
		"the newest of two":                {[]store.Run{newer, old}, nil, "new", true},
		"consumed well":                    {[]store.Run{newer}, []store.Execution{consumed("p-new-a", change.ExecApplied, "")}, "new", true},
		"consumed, and failed":             {[]store.Run{newer}, []store.Execution{consumed("p-new-b", change.ExecFailedPartial, "")}, "new", true},
		"a plan of it was stale":           {[]store.Run{newer, old}, []store.Execution{consumed("p-new-b", change.ExecFailedClean, store.CauseStale)}, "new", false},
		"a plan of an older one was stale": {[]store.Run{newer, old}, []store.Execution{consumed("p-old", change.ExecFailedClean, store.CauseStale)}, "new", true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := sees(c.runs, plans, c.executions...).runOf("tree")
			if got.ID != c.want || ok != c.ok {
				t.Errorf("runOf() = %q, %v, want %q, %v", got.ID, ok, c.want, c.ok)
			}
		})
	}
}

func TestShown(t *testing.T) {
	t.Parallel()
	for state, want := range map[change.RunState]bool{change.RunPassed: true, change.RunFailed: true, change.RunErrored: false,
		change.RunQueued: false, change.RunRunning: false} {
		v := sees([]store.Run{aRun("moved", reasonMoved, change.RunPassed), aRun("seen", "opened", change.RunPassed)}, map[string][]store.Plan{
			"moved": {aPlan("unseen", "a", change.RunPassed)},
			"seen":  {aPlan("other", "b", change.RunPassed), aPlan("p", "a", state)}})
		if got, ok := v.shown("a"); ok != want || ok && got.ID != "p" {
			t.Errorf("a plan that %s: shown() = %q, %v", state, got.ID, ok)
		}
		if _, ok := v.shown("c"); ok {
			t.Error("a project that was not planned is shown")
		}
	}
}

// Covers: R13
func TestWaitsFor(t *testing.T) {
	t.Parallel()
	run := aRun("r", "opened", change.RunPassed)
	cases := map[string]struct {
		plan       store.Plan
		executions []store.Execution
		want       bool
	}{
		"not consumed":         {aPlan("p", "a", change.RunPassed), nil, true},
		"denied":               {aPlan("p", "a", change.RunFailed), nil, true},
		"running":              {aPlan("p", "a", change.RunPassed), []store.Execution{consumed("p", change.ExecRunning, "")}, true},
		"failed":               {aPlan("p", "a", change.RunPassed), []store.Execution{consumed("p", change.ExecFailedClean, "")}, true},
		"unknown":              {aPlan("p", "a", change.RunPassed), []store.Execution{consumed("p", change.ExecUnknown, "")}, true},
		"resolved as applied":  {aPlan("p", "a", change.RunPassed), []store.Execution{resolvedAs("p", change.ResolvedApplied)}, false},
		"resolved as not":      {aPlan("p", "a", change.RunPassed), []store.Execution{resolvedAs("p", change.ResolvedReconcile)}, true},
		"applied":              {aPlan("p", "a", change.RunPassed), []store.Execution{consumed("p", change.ExecApplied, "")}, false},
		"another plan applied": {aPlan("p", "a", change.RunPassed), []store.Execution{consumed("q", change.ExecApplied, "")}, true},
		"nothing to do":        {empty(aPlan("p", "a", change.RunPassed)), nil, false},
		"of another project":   {aPlan("p", "b", change.RunPassed), nil, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := sees([]store.Run{run}, map[string][]store.Plan{"r": {c.plan}}, c.executions...)
			after := aPlan("after", "after", change.RunPassed)
			after.Project.DependsOn = []string{"a"}
			if got := v.waitsFor(after, run); (got == "a") != c.want || got != "" && got != "a" {
				t.Errorf("waitsFor() = %q", got)
			}
		})
	}
}

func TestBusy(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		v    view
		want bool
	}{
		"nothing yet":        {sees(nil, nil), false},
		"all ended":          {sees([]store.Run{aRun("r", "opened", change.RunPassed)}, nil, consumed("p", change.ExecUnknown, "")), false},
		"queued":             {sees([]store.Run{aRun("r", "opened", change.RunQueued)}, nil), true},
		"an older one runs":  {sees([]store.Run{aRun("r", "opened", change.RunPassed), aRun("s", "opened", change.RunRunning)}, nil), true},
		"an apply may start": {sees(nil, nil, consumed("p", change.ExecClaimed, "")), true},
		"an apply runs":      {sees(nil, nil, consumed("p", change.ExecApplied, ""), consumed("q", change.ExecRunning, "")), true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.v.busy(); got != c.want {
				t.Errorf("busy() = %v", got)
			}
		})
	}
}

func TestUnfinishedChecks(t *testing.T) {
	t.Parallel()
	run := aRun("r", "opened", change.RunSuperseded)
	gate := externalID(view{}, run, "tollgate")
	cases := map[string]struct {
		checks map[string]store.Check
		want   bool
	}{
		"GitHub knows none":                  {nil, false},
		"last told that it goes on":          {map[string]store.Check{gate: {Sent: "0123"}}, true},
		"not told for certain":               {map[string]store.Check{gate: {Sent: ""}}, true},
		"last told that it ended":            {map[string]store.Check{gate: {Sent: "0123" + completed}}, false},
		"ended, but something may come late": {map[string]store.Check{gate: {Sent: "0123" + completed, Doubt: time.Unix(1, 0)}}, true},
		"ended, with annotations":            {map[string]store.Check{gate: {Sent: "0123" + completed + annotated}}, false},
		"another run's whose id is similar":  {map[string]store.Check{"rr/tollgate": {Sent: "0123"}}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := view{checks: c.checks}
			if v.unfinished(run) != c.want || v.unsettled(gate) != c.want {
				t.Errorf("unfinished() = %v, unsettled() = %v, want %v", v.unfinished(run), v.unsettled(gate), c.want)
			}
		})
	}
}

func TestDifference(t *testing.T) {
	t.Parallel()
	summary := func(c change.Counts, changes ...change.ResourceChange) change.PlanSummary {
		return change.PlanSummary{Counts: c, Changes: changes}
	}
	a, b := change.ResourceChange{Address: `aws_sqs_queue.q["a"]`, Action: change.Update}, change.ResourceChange{Address: "aws_sqs_queue.b", Action: change.Update}
	replaced := a
	replaced.Action = change.Replace
	one := change.Counts{Update: 1}
	cases := map[string]struct {
		was, is change.PlanSummary
		want    string
	}{
		"other numbers": {summary(one), summary(change.Counts{Create: 1, Update: 2, Replace: 3, Delete: 4}),
			"1 to update before, 4 to delete, 3 to replace, 1 to create, 2 to update now"},
		"another resource":  {summary(one, a), summary(one, b), "`aws_sqs_queue.b` is new in it"},
		"another action":    {summary(one, a), summary(one, replaced), "`" + a.Address + "` is new in it"},
		"only other values": {summary(one, a, b), summary(one, b, a), "the same resources, but with other values"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := difference(c.was, c.is); got != c.want {
				t.Errorf("difference() = %q, want %q", got, c.want)
			}
		})
	}
}

// isFault reports an error unless err is a fault, if one is wanted, that says so.
func isFault(t *testing.T, err error, want string) {
	t.Helper()
	var flt *fault.Error
	switch {
	case want == "" && err != nil:
		t.Errorf("refused: %v", err)
	case want == "":
	case !errors.As(err, &flt):
		t.Errorf("error = %v, want a fault with %q", err, want)
	case !strings.Contains(flt.Text(), want):
		t.Errorf("fault = %q, want %q in it", flt.Text(), want)
	}
}

func same[T any](t *testing.T, what string, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

package engine

import (
	"errors"
	"fmt"
	"testing"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/gate"
	"github.com/tollgate/tollgate/internal/store"
)

func TestDue(t *testing.T) {
	t.Parallel()
	run := aRun("r", "opened", change.RunPassed)
	after := func(p store.Plan, names ...string) store.Plan {
		p.Project.DependsOn = names
		return p
	}
	network, app := aPlan("n", "network", change.RunPassed), after(aPlan("p", "app", change.RunPassed), "network")
	alone := aPlan("s", "alone", change.RunPassed)
	cases := map[string]struct {
		plans      []store.Plan
		executions []store.Execution
		project    string
		want       []string
		fault      string
	}{
		"no plans":                           {},
		"independent ones at once":           {plans: []store.Plan{network, alone}, want: []string{"n", "s"}},
		"what depends on another waits":      {plans: []store.Plan{app, network}, want: []string{"n"}},
		"what depends on another follows":    {plans: []store.Plan{app, network, alone}, executions: []store.Execution{consumed("n", change.ExecApplied, ""), consumed("s", change.ExecApplied, "")}, want: []string{"p"}},
		"a dependency that is not planned":   {plans: []store.Plan{app}, want: []string{"p"}},
		"a dependency with nothing to do":    {plans: []store.Plan{app, empty(network)}, want: []string{"p"}},
		"all applied":                        {plans: []store.Plan{app, network}, executions: []store.Execution{consumed("n", change.ExecApplied, ""), consumed("p", change.ExecApplied, "")}},
		"nothing to do":                      {plans: []store.Plan{empty(network)}},
		"nothing to do, but denied":          {plans: []store.Plan{empty(aPlan("d", "denied", change.RunFailed))}, want: []string{"d"}},
		"denied: the gate says why":          {plans: []store.Plan{aPlan("d", "denied", change.RunFailed)}, want: []string{"d"}},
		"one project":                        {plans: []store.Plan{network, alone}, project: "alone", want: []string{"s"}},
		"one project that waits":             {plans: []store.Plan{network, app}, project: "app"},
		"one project beside one that failed": {plans: []store.Plan{network, alone}, executions: []store.Execution{consumed("n", change.ExecFailedPartial, "")}, project: "alone", want: []string{"s"}},
		"one that failed":                    {plans: []store.Plan{network}, executions: []store.Execution{consumed("n", change.ExecFailedClean, "")}, fault: "The apply of network did not end well."},
		"one whose end is unknown":           {plans: []store.Plan{alone, network}, executions: []store.Execution{consumed("n", change.ExecUnknown, "")}, fault: "The apply of network did not end well."},
		"an execution of a plan of before":   {plans: []store.Plan{network}, executions: []store.Execution{consumed("older", change.ExecFailedClean, "")}, want: []string{"n"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := due(applyRequest{Project: c.project}, sees([]store.Run{run}, map[string][]store.Plan{"r": c.plans}, c.executions...), run)
			isFault(t, err, c.fault)
			var ids []string
			for _, p := range got {
				ids = append(ids, p.ID)
			}
			same(t, "due", c.want, ids)
		})
	}
}

func TestSameEffect(t *testing.T) {
	t.Parallel()
	other := func(p store.Plan) store.Plan {
		p.Summary.EffectDigest, p.Summary.Counts = "sha256:other", change.Counts{Update: 1, Delete: 1}
		return p
	}
	now := aPlan("now", "a", change.RunPassed)
	cases := map[string]struct {
		shown      []store.Plan
		executions []store.Execution
		plan       store.Plan
		fault      string
	}{
		"the plan that was shown":             {shown: []store.Plan{now}, plan: now},
		"planned again, with the same effect": {shown: []store.Plan{aPlan("then", "a", change.RunPassed)}, plan: now},
		"denied then, the same now":           {shown: []store.Plan{aPlan("then", "a", change.RunFailed)}, plan: now},
		"another effect": {shown: []store.Plan{aPlan("then", "a", change.RunPassed)}, plan: other(now),
			fault: "has another effect than the one that was looked at: 1 to update before, 1 to delete, 1 to update now."},
		"nothing was shown":       {plan: now, fault: "There was no finished plan of a to look at before."},
		"it was not finished":     {shown: []store.Plan{aPlan("then", "a", change.RunErrored)}, plan: now, fault: "There was no finished plan of a"},
		"another project's shown": {shown: []store.Plan{aPlan("then", "b", change.RunPassed)}, plan: now, fault: "There was no finished plan of a"},
		"what was shown is applied": {shown: []store.Plan{aPlan("then", "a", change.RunPassed)}, executions: []store.Execution{consumed("then", change.ExecApplied, "")},
			plan: now, fault: "The plan of a was applied already"},
		"what was shown changed nothing": {shown: []store.Plan{aPlan("then", "a", change.RunPassed)},
			executions: []store.Execution{consumed("then", change.ExecFailedClean, store.CauseStale)}, plan: now},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runs := []store.Run{aRun("moved", reasonMoved, change.RunPassed), aRun("seen", "opened", change.RunPassed)}
			v := sees(runs, map[string][]store.Plan{"moved": {c.plan}, "seen": c.shown}, c.executions...)
			isFault(t, sameEffect(v, c.plan), c.fault)
		})
	}
}

func TestPrecondition(t *testing.T) {
	t.Parallel()
	type situation struct {
		req applyRequest
		f   facts
		v   view
	}
	cases := map[string]struct {
		change func(*situation)
		fault  string
	}{
		"as it should be":          {func(*situation) {}, ""},
		"the head moved":           {func(s *situation) { s.f.pull.HeadSHA = "newer" }, "The head of the pull request moved"},
		"asked for another":        {func(s *situation) { s.req.HeadSHA = "older" }, "The head of the pull request moved"},
		"asked for none":           {func(s *situation) { s.req.HeadSHA = "" }, "The head of the pull request moved"},
		"never planned":            {func(s *situation) { s.v.runs = nil }, "There is no plan of the newest commit yet."},
		"planned before only":      {func(s *situation) { s.v.runs[0].HeadSHA = "older" }, "There is no plan of the newest commit yet."},
		"planned for applies only": {func(s *situation) { s.v.runs[0].Reason = reasonMoved }, "There is no plan of the newest commit yet."},
		"a draft":                  {func(s *situation) { s.f.pull.Draft = true }, "The pull request is a draft."},
		"a draft, by button":       {func(s *situation) { s.f.pull.Draft, s.req.Trigger = true, triggerButton }, "The pull request is a draft."},
		"closed":                   {func(s *situation) { s.f.pull.Open = false }, "The pull request is closed."},
		"merged, by comment":       {func(s *situation) { s.f.pull.Open, s.f.pull.Merged = false, true }, ""},
		"merged, on merge":         {func(s *situation) { s.f.pull.Open, s.f.pull.Merged, s.req.Trigger = false, true, triggerMerge }, ""},
		"a known project":          {func(s *situation) { s.req.Project = "a" }, ""},
		"an unknown project":       {func(s *situation) { s.req.Project = "b" }, "No project of that name is affected"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := situation{req: applyRequest{Trigger: triggerComment, HeadSHA: "head"},
				v: sees([]store.Run{aRun("r", "opened", change.RunPassed)}, map[string][]store.Plan{"r": {aPlan("p", "a", change.RunPassed)}})}
			s.f.pull = s.v.pull
			c.change(&s)
			if flt := precondition(s.req, s.f, s.v); flt != nil {
				isFault(t, flt, c.fault)
			} else {
				isFault(t, nil, c.fault)
			}
		})
	}
}

func TestApplyRequest(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		req                applyRequest
		action, origin, on string
	}{
		"a comment":         {applyRequest{Trigger: triggerComment, CommentID: 12, Command: "/apply"}, "apply", "comment 12", "comment"},
		"with a project":    {applyRequest{Trigger: triggerComment, CommentID: 12, Command: "/unlock payments"}, "unlock", "comment 12", "comment"},
		"an edited comment": {applyRequest{Trigger: triggerComment, CommentID: 12, Command: "command"}, "apply", "comment 12", "comment"},
		"a merge":           {applyRequest{Trigger: triggerMerge}, "apply", "merge", "merge"},
		"a button":          {applyRequest{Trigger: triggerButton, Command: "the Apply button"}, "apply", "button", "comment"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			same(t, "action", c.action, c.req.action())
			same(t, "origin", c.origin, c.req.origin())
			same(t, "on", c.on, c.req.on())
		})
	}
}

func TestRefusalNamesEveryReasonOnce(t *testing.T) {
	t.Parallel()
	err := refusal("payments", gate.Decision{
		Denials:      []gate.Denial{{Rule: "a", Message: "the plan is denied"}, {Rule: "b", Message: "the actor may not"}, {Rule: "c", Message: "the plan is denied"}},
		Requirements: []gate.Requirement{{Text: "an approval"}, {Text: "write permission", Met: true}}})
	isFault(t, err, "The plan of payments may not be applied.")
	var refused *refusedError
	if !errors.As(fmt.Errorf("apply: %w", err), &refused) {
		t.Fatalf("error = %v", err)
	}
	same(t, "reasons", []string{"still needed: an approval", "the actor may not", "the plan is denied"}, refused.reasons)
}

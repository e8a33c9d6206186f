package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/gate"
	"github.com/tollgate/tollgate/internal/github"
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
		left       []string // parts of what is said of those that are not due
	}{
		"no plans":                           {},
		"independent ones at once":           {plans: []store.Plan{network, alone}, want: []string{"n", "s"}},
		"what depends on another waits":      {plans: []store.Plan{app, network}, want: []string{"n"}, left: []string{"app was not applied: it depends on network"}},
		"what depends on another follows":    {plans: []store.Plan{app, network, alone}, executions: []store.Execution{consumed("n", change.ExecApplied, ""), consumed("s", change.ExecApplied, "")}, want: []string{"p"}},
		"a dependency that is not planned":   {plans: []store.Plan{app}, want: []string{"p"}},
		"a dependency with nothing to do":    {plans: []store.Plan{app, empty(network)}, want: []string{"p"}},
		"all applied":                        {plans: []store.Plan{app, network}, executions: []store.Execution{consumed("n", change.ExecApplied, ""), consumed("p", change.ExecApplied, "")}},
		"nothing to do":                      {plans: []store.Plan{empty(network)}},
		"nothing to do, but denied":          {plans: []store.Plan{empty(aPlan("d", "denied", change.RunFailed))}, want: []string{"d"}},
		"denied: the gate says why":          {plans: []store.Plan{aPlan("d", "denied", change.RunFailed)}, want: []string{"d"}},
		"one project":                        {plans: []store.Plan{network, alone}, project: "alone", want: []string{"s"}},
		"one project that waits":             {plans: []store.Plan{network, app}, project: "app", left: []string{"app was not applied: it depends on network"}},
		"one project beside one that failed": {plans: []store.Plan{network, alone}, executions: []store.Execution{consumed("n", change.ExecFailedPartial, "")}, project: "alone", want: []string{"s"}},
		"one that failed":                    {plans: []store.Plan{network}, executions: []store.Execution{consumed("n", change.ExecFailedClean, "")}, left: []string{"network was not applied to its end: its apply failed, and changed nothing"}},
		"one whose end is unknown": {plans: []store.Plan{alone, network}, executions: []store.Execution{consumed("n", change.ExecUnknown, "")}, want: []string{"s"},
			left: []string{"network was not applied to its end: its apply has an unknown outcome"}},
		"one that a person resolved as applied": {plans: []store.Plan{app, network}, executions: []store.Execution{resolvedAs("n", change.ResolvedApplied)}, want: []string{"p"}},
		"one that a person resolved otherwise": {plans: []store.Plan{app, network}, executions: []store.Execution{resolvedAs("n", change.ResolvedReconcile)},
			left: []string{"app was not applied: it depends on network", "network was not applied to its end"}},
		"a failure stops what depends on it, and nothing else": {plans: []store.Plan{alone, app, network}, executions: []store.Execution{consumed("n", change.ExecFailedPartial, "")}, want: []string{"s"},
			left: []string{"app was not applied: it depends on network", "network was not applied to its end: its apply failed midway"}},
		"an execution of a plan of before": {plans: []store.Plan{network}, executions: []store.Execution{consumed("older", change.ExecFailedClean, "")}, want: []string{"n"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, left := due(applyRequest{Project: c.project}, sees([]store.Run{run}, map[string][]store.Plan{"r": c.plans}, c.executions...), run)
			var ids []string
			for _, p := range got {
				ids = append(ids, p.ID)
			}
			same(t, "due", c.want, ids)
			if len(left) != len(c.left) {
				t.Fatalf("left: %q, want %q", left, c.left)
			}
			for i, words := range c.left {
				if !strings.HasPrefix(left[i], words) {
					t.Errorf("left: %q, want %q", left[i], words)
				}
			}
		})
	}
}

func resolvedAs(planID string, as change.Resolution) store.Execution {
	x := consumed(planID, change.ExecUnknown, "")
	x.ReleasedBy, x.Resolved.As = "ada", as
	return x
}

// Covers: T24
func TestPinned(t *testing.T) {
	t.Parallel()
	p := aPlan("p", "a", change.RunPassed)
	p.Summary.EffectDigest = "sha256:0a1b2c3d4e5f"
	other := aPlan("o", "b", change.RunPassed)
	for name, c := range map[string]struct {
		req   applyRequest
		fault string
	}{
		"no plan is named":    {applyRequest{Project: "a"}, ""},
		"the current one":     {applyRequest{Project: "a", Plan: "0a1b2c3d"}, ""},
		"another one":         {applyRequest{Project: "a", Plan: "ffffffff"}, "The current plan of a is 0a1b2c3d, not ffffffff."},
		"a plan of another's": {applyRequest{Project: "b", Plan: "0a1b2c3d"}, "The current plan of b is"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			isFault(t, pinned(c.req, []store.Plan{p, other}), c.fault)
		})
	}
}

// Covers: T20, T23, T26
func TestFlipped(t *testing.T) {
	t.Parallel()
	same := facts{pull: store.Pull{Pull: change.Pull{HeadSHA: "head", BaseRef: "main", DefaultRef: "main", Open: true, Title: "One"}},
		reviews:    []change.Review{{ID: 1, State: "approved", Permission: "write"}, {ID: 2, State: "commented"}},
		commits:    []change.Commit{{SHA: "head"}},
		permission: "write", comment: github.Comment{Body: "/apply"}}
	for name, c := range map[string]struct {
		flip func(*facts)
		want string
	}{
		"nothing":                     {func(*facts) {}, ""},
		"the title":                   {func(f *facts) { f.pull.Title = "Two" }, ""},
		"another comment in a review": {func(f *facts) { f.reviews = append(f.reviews, change.Review{ID: 3, State: "commented"}) }, ""},
		"the head":                    {func(f *facts) { f.pull.HeadSHA = "newer" }, "the head of the pull request"},
		"the base":                    {func(f *facts) { f.pull.BaseRef = "dev" }, "the base of the pull request"},
		"the default branch":          {func(f *facts) { f.pull.DefaultRef = "dev" }, "the base of the pull request"},
		"closed":                      {func(f *facts) { f.pull.Open = false }, "the state of the pull request"},
		"merged":                      {func(f *facts) { f.pull.Open, f.pull.Merged, f.pull.MergeSHA = false, true, "m" }, "the state of the pull request"},
		"a draft":                     {func(f *facts) { f.pull.Draft = true }, "the state of the pull request"},
		"a review dismissed":          {func(f *facts) { f.reviews[0].State = "dismissed" }, "a review, or what a reviewer may do,"},
		"changes requested":           {func(f *facts) { f.reviews = append(f.reviews, change.Review{ID: 3, State: "changes_requested"}) }, "a review, or what a reviewer may do,"},
		"a reviewer's permission":     {func(f *facts) { f.reviews[0].Permission = "read" }, "a review, or what a reviewer may do,"},
		"another author":              {func(f *facts) { f.commits[0].Author.ID = 7 }, "the list of its commits"},
		"the actor's permission":      {func(f *facts) { f.permission = "read" }, "what you may do in this repository"},
		"somebody pushed it too":      {func(f *facts) { f.say.people.LastPushers = []change.User{{ID: 7}} }, "who is known to have pushed last"},
		"somebody left a team":        {func(f *facts) { f.say.people.Teams = []change.Team{{Name: "o/t"}} }, "who is in a team"},
		"the glass":                   {func(f *facts) { f.glass = &gate.BreakGlass{AskedPermission: "read"} }, "what those may do who broke the glass"},
		"the comment":                 {func(f *facts) { f.comment.Edited = true }, "your comment"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			is := same
			is.reviews, is.commits = slices.Clone(same.reviews), slices.Clone(same.commits)
			c.flip(&is)
			if got := flipped(same, is); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
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
			same(t, "people are told to plan anew", c.fault != "", len(v.newPlan(c.plan)) == 1)
		})
	}
}

// Nobody is told that all is met when the plan can't be applied.
func TestAUsedPlanAsksForANewOne(t *testing.T) {
	t.Parallel()
	for state, want := range map[change.ExecutionState]int{change.ExecRunning: 0, change.ExecApplied: 0, change.ExecFailedClean: 1, change.ExecFailedPartial: 1, change.ExecUnknown: 1} {
		p := aPlan("p", "a", change.RunPassed)
		v := sees([]store.Run{aRun("r", "opened", change.RunPassed)}, map[string][]store.Plan{"r": {p}}, consumed("p", state, ""))
		same(t, string(state), want, len(v.newPlan(p)))
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
		"by an unchanged comment":  {func(s *situation) { s.req.CommentID, s.req.Command, s.f.comment.Body = 7, "/apply", "/apply\r\n" }, ""},
		"by an edited comment": {func(s *situation) {
			s.req.CommentID, s.req.Command, s.f.comment = 7, "/apply", github.Comment{Body: "/apply", Edited: true}
		}, "The comment was edited."},
		"by another comment": {func(s *situation) { s.req.CommentID, s.req.Command, s.f.comment.Body = 7, "/apply", "never mind" }, "The comment was edited."},
		"by another's comment": {func(s *situation) {
			s.req.CommentID, s.req.Command, s.f.comment = 7, "/apply", github.Comment{Body: "/apply", Author: change.User{ID: 5}}
		}, "The comment was edited."},
		"an unknown project": {func(s *situation) { s.req.Project = "b" }, "No project of that name is affected"},
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

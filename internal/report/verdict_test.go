package report_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/report"
)

// with returns a plan that is allowed, changed by f.
func with(f func(*report.Plan)) report.Plan {
	p := passed()
	f(&p)
	return p
}

func only(fs ...change.Finding) func(*report.Plan) {
	return func(p *report.Plan) { p.Findings = fs }
}

func state(s change.RunState) func(*report.Plan) {
	return func(p *report.Plan) { p.State = s }
}

func TestPlanCheckTellsTheTruth(t *testing.T) {
	t.Parallel()
	deny := change.Finding{Policy: "p", Verdict: change.Fail, Severity: change.Deny, Message: "m"}
	unknown, warn, waived := deny, deny, deny
	unknown.Verdict, warn.Severity, waived.Verdict = change.Undetermined, change.Warn, change.Waived
	for name, tc := range map[string]struct {
		plan report.Plan
		want [2]string
	}{
		"passed":                   {passed(), [2]string{"completed", "success"}},
		"passed with warning":      {with(only(warn)), [2]string{"completed", "success"}},
		"passed with waiver":       {with(only(waived)), [2]string{"completed", "success"}},
		"denied, said to pass":     {with(only(deny)), [2]string{"completed", "failure"}},
		"undetermined, to pass":    {with(only(unknown)), [2]string{"completed", "failure"}},
		"pass with a fault":        {with(func(p *report.Plan) { p.Fault = fault.New("w", "", "") }), [2]string{"completed", "failure"}},
		"pass without policies":    {with(func(p *report.Plan) { p.PolicyDigest = "" }), [2]string{"completed", "failure"}},
		"failed, nothing found":    {with(state(change.RunFailed)), [2]string{"completed", "failure"}},
		"errored":                  {with(state(change.RunErrored)), [2]string{"completed", "failure"}},
		"state that nobody set":    {with(state("")), [2]string{"completed", "failure"}},
		"state that nobody knows":  {with(state("fine")), [2]string{"completed", "failure"}},
		"queued":                   {with(state(change.RunQueued)), [2]string{"queued", ""}},
		"running":                  {with(state(change.RunRunning)), [2]string{"in_progress", ""}},
		"cancelled":                {with(state(change.RunCancelled)), [2]string{"completed", "cancelled"}},
		"superseded by a new push": {with(state(change.RunSuperseded)), [2]string{"completed", "cancelled"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := report.PlanCheck(tc.plan)
			within(t, c)
			if got := [2]string{c.Status, c.Conclusion}; got != tc.want {
				t.Errorf("%s, titled %q; want %s", got, c.Title, tc.want)
			}
		})
	}
}

func TestGateIsGreenOnlyWhenAllIsJudgedAndAllowed(t *testing.T) {
	t.Parallel()
	set := func(p report.Pull, f func(*report.Pull)) report.Pull { f(&p); return p }
	for name, tc := range map[string]struct {
		pull report.Pull
		want string
	}{
		"one allowed":               {gate(change.RunPassed, passed()), "success"},
		"two allowed":               {gate(change.RunPassed, passed(), passed()), "success"},
		"none affected":             {gate(change.RunPassed), "success"},
		"one denied":                {gate(change.RunPassed, passed(), denied()), "failure"},
		"one without verdict":       {gate(change.RunPassed, passed(), errored()), "failure"},
		"one still running":         {gate(change.RunPassed, passed(), with(state(change.RunRunning))), "failure"},
		"one superseded":            {gate(change.RunPassed, passed(), with(state(change.RunSuperseded))), "failure"},
		"run failed, plans allowed": {gate(change.RunFailed, passed()), "failure"},
		"run errored, no plans":     {gate(change.RunErrored), "failure"},
		"run of unknown state":      {gate("", passed()), "failure"},
		"running":                   {gate(change.RunRunning, passed()), ""},
		"queued":                    {gate(change.RunQueued), ""},
		"cancelled":                 {gate(change.RunCancelled, passed()), "cancelled"},
		"superseded":                {gate(change.RunSuperseded, passed()), "cancelled"},
		"wrong configuration":       {set(gate(change.RunPassed), func(p *report.Pull) { p.Fault = fault.New("w", "", "") }), "failure"},
		"draft":                     {set(gate(change.RunPassed), func(p *report.Pull) { p.Stop = report.StopDraft }), "action_required"},
		"fork":                      {set(gate(change.RunPassed), func(p *report.Pull) { p.Stop = report.StopFork }), "action_required"},
		"conflict":                  {set(gate(change.RunPassed), func(p *report.Pull) { p.Stop = report.StopConflict }), "action_required"},
		"unknown stop":              {set(gate(change.RunPassed), func(p *report.Pull) { p.Stop = "moon" }), "action_required"},
		"apply of unknown end": {set(gate(change.RunPassed, passed()), func(p *report.Pull) {
			p.Applies = []report.Apply{apply(change.ExecUnknown)}
		}), "action_required"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := report.GateCheck(tc.pull)
			within(t, c)
			if c.Conclusion != tc.want {
				t.Errorf("%s %q, titled %q; want %q", c.Status, c.Conclusion, c.Title, tc.want)
			}
		})
	}
}

func TestApplyCheckTellsTheTruth(t *testing.T) {
	t.Parallel()
	for s, want := range map[change.ExecutionState][2]string{
		change.ExecPlanned:       {"queued", ""},
		change.ExecAuthorised:    {"queued", ""},
		change.ExecClaimed:       {"queued", ""},
		change.ExecRunning:       {"in_progress", ""},
		change.ExecApplied:       {"completed", "success"},
		change.ExecFailedClean:   {"completed", "failure"},
		change.ExecFailedPartial: {"completed", "failure"},
		change.ExecUnknown:       {"completed", "action_required"},
		"":                       {"completed", "failure"},
	} {
		c := report.ApplyCheck(apply(s))
		within(t, c)
		if got := [2]string{c.Status, c.Conclusion}; got != want {
			t.Errorf("%q is %s; want %s", s, got, want)
		}
	}
}

func TestApplyButtonOnlyWhenEverythingIsMet(t *testing.T) {
	t.Parallel()
	ready := with(func(p *report.Plan) { p.Requirements[1].Met = true })
	empty := with(func(p *report.Plan) { p.Summary.Counts = change.Counts{}; p.Requirements = nil })
	failing := ready
	failing.Findings = findings()
	began := gate(change.RunPassed, ready)
	began.Applies = []report.Apply{apply(change.ExecRunning)}
	again := ready
	again.PlanID = "a plan made since"
	replanned, consumed := gate(change.RunPassed, again), gate(change.RunPassed, again)
	replanned.Applies = []report.Apply{apply(change.ExecFailedPartial)}
	consumed.Applies = []report.Apply{apply(change.ExecFailedPartial)}
	consumed.Applies[0].Execution.PlanID = again.PlanID
	for name, tc := range map[string]struct {
		check change.Check
		want  []string
	}{
		"gate, planned again":   {report.GateCheck(replanned), []string{report.ButtonReplan, report.ButtonApply}},
		"gate, plan consumed":   {report.GateCheck(consumed), []string{report.ButtonReplan}},
		"plan, all met":         {report.PlanCheck(ready), []string{report.ButtonReplan, report.ButtonApply}},
		"plan, approval misses": {report.PlanCheck(passed()), []string{report.ButtonReplan}},
		"plan, denied":          {report.PlanCheck(failing), []string{report.ButtonReplan}},
		"plan, nothing to do":   {report.PlanCheck(empty), []string{report.ButtonReplan}},
		"plan, running":         {report.PlanCheck(with(state(change.RunRunning))), nil},
		"gate, all met":         {report.GateCheck(gate(change.RunPassed, ready, empty)), []string{report.ButtonReplan, report.ButtonApply}},
		"gate, one not met":     {report.GateCheck(gate(change.RunPassed, ready, passed())), []string{report.ButtonReplan}},
		"gate, apply began":     {report.GateCheck(began), []string{report.ButtonReplan}},
		"gate, none affected":   {report.GateCheck(gate(change.RunPassed)), []string{report.ButtonReplan}},
		"gate, running":         {report.GateCheck(gate(change.RunRunning, ready)), nil},
	} {
		var got []string
		for _, b := range tc.check.Buttons {
			got = append(got, b.Identifier)
		}
		if d := cmp.Diff(tc.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func TestAnnotationsOfOneRuleAtOneLineAreOne(t *testing.T) {
	t.Parallel()
	c := report.PlanCheck(denied())
	got := map[string]string{}
	for _, a := range c.Annotations {
		got[a.Path] = a.Level
	}
	want := map[string]string{
		"infrastructure/modules/service/main.tf": "failure",
		"infrastructure/alb.tf":                  "failure",
		"infrastructure/logs.tf":                 "warning",
		"infrastructure/legacy.tf":               "warning",
		"infrastructure/new.tf":                  "warning",
	}
	if d := cmp.Diff(want, got); d != "" || len(c.Annotations) != len(want) {
		t.Errorf("%d annotations (-want +got):\n%s", len(c.Annotations), d)
	}
}

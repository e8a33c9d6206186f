package report_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/report"
)

// Policies that would refuse every plan once they are merged, or whose own tests fail, keep the gate closed.
func TestUnsoundPoliciesKeepTheGateClosed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*change.Preview)
		want   string
	}{
		"sound":               {func(*change.Preview) {}, "success"},
		"no tests":            {func(v *change.Preview) { v.Tests.Passed = 0 }, "success"},
		"a test fails":        {func(v *change.Preview) { v.Tests.Failed = []string{"x"} }, "failure"},
		"tests were not run":  {func(v *change.Preview) { v.Tests.Fault = fault.New("They took too long.", "", "") }, "failure"},
		"a plan is too large": {func(v *change.Preview) { v.Projects[0].Fault = fault.New("The plan is too large.", "", "") }, "success"},
		"they cannot judge": {func(v *change.Preview) {
			v.Projects[0].Fault, v.Projects[0].Broken = fault.New("A rule fails.", "", ""), true
		}, "failure"},
		"they do not load": {func(v *change.Preview) { v.Fault = fault.New("A file does not parse.", "", "") }, "failure"},
	} {
		for _, pull := range []report.Pull{gate(change.RunPassed, passed()), gate(change.RunPassed)} {
			pull.Preview = preview()
			c.change(pull.Preview)
			if got := report.GateCheck(pull).Conclusion; got != c.want {
				t.Errorf("%s, %d plans: conclusion = %s, want %s", name, len(pull.Plans), got, c.want)
			}
		}
	}
}

func TestAnApplyWhoseResultBreaksAPolicyIsNoSuccess(t *testing.T) {
	t.Parallel()
	for verdict, want := range map[change.Verdict]string{change.Pass: "success", change.Undetermined: "success", "": "success", change.Fail: "failure"} {
		a := apply(change.ExecApplied)
		a.Proof = &change.Proof{Obligations: []change.Obligation{obligation(verdict)}}
		if got := report.ApplyCheck(a).Conclusion; got != want {
			t.Errorf("after %q: conclusion = %s, want %s", verdict, got, want)
		}
	}
	for open, want := range map[int]string{0: "success", 1: "action_required"} {
		a := apply(change.ExecApplied)
		a.Proof = &change.Proof{Fault: fault.New("It took too long.", "", ""), Obligations: make([]change.Obligation, open)}
		if got := report.ApplyCheck(a).Conclusion; got != want {
			t.Errorf("%d policies left open and nothing judged: conclusion = %s, want %s", open, got, want)
		}
	}
}

// However much the policies of a pull request say, what a reviewer needs stays.
func TestThePreviewPushesNothingOut(t *testing.T) {
	t.Parallel()
	pull := gate(change.RunFailed, denied())
	pull.Preview = preview()
	var many []change.Finding
	for i := range 50 {
		many = append(many, change.Finding{Policy: "p", Rule: "r", Address: fmt.Sprint("a.b", i), Verdict: change.Fail, Severity: change.Deny, Message: strings.Repeat("x", 500)})
	}
	without := report.GateCheck(pull).Summary
	for range 20 {
		pull.Preview.Projects = append(pull.Preview.Projects, change.ProjectPreview{Project: "p", Denied: change.Comparison{Resources: 50, Findings: many}})
	}
	with := report.GateCheck(pull).Summary
	head, _, _ := strings.Cut(without, "#### Policies in this pull request")
	if !strings.HasPrefix(with, head) || !strings.Contains(head, "Denied") {
		t.Errorf("the preview pushes something out:\n%s", with[:2000])
	}
}

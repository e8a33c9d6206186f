package report_test

import (
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
		"sound":              {func(*change.Preview) {}, "success"},
		"no tests":           {func(v *change.Preview) { v.Tests.Passed = 0 }, "success"},
		"a test fails":       {func(v *change.Preview) { v.Tests.Failed = []string{"x"} }, "failure"},
		"tests were not run": {func(v *change.Preview) { v.Tests.Fault = fault.New("They took too long.", "", "") }, "failure"},
		"they do not load":   {func(v *change.Preview) { v.Fault = fault.New("A file does not parse.", "", "") }, "failure"},
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
}

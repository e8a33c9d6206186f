package change_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
)

func TestCompareDenials(t *testing.T) {
	t.Parallel()
	finding := func(address string, v change.Verdict, s change.Severity) change.Finding {
		return change.Finding{Policy: "plan.x", Rule: "r", Address: address, Verdict: v, Severity: s}
	}
	noop := func(address string, ifTouched change.Severity) change.Finding {
		f := finding(address, change.Fail, change.Warn)
		f.NoOp, f.IfTouched = true, ifTouched
		return f
	}
	before := []change.Finding{finding("a.stays", change.Fail, change.Deny), finding("a.mended", change.Undetermined, change.Deny),
		finding("a.warned", change.Fail, change.Warn), finding("a.waived", change.Waived, change.Deny)}
	after := []change.Finding{finding("a.stays", change.Undetermined, change.Deny), finding("a.mended", change.Pass, change.Deny),
		finding("a.warned", change.Fail, change.Warn), finding("a.waived", change.Fail, change.Deny),
		noop("a.old", change.Deny), noop("a.mild", change.Warn)}
	denied, allowed := change.CompareDenials(before, after)
	if diff := cmp.Diff(change.Comparison{Resources: 2, Findings: []change.Finding{after[3], after[4]}}, denied); diff != "" {
		t.Errorf("denied (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(change.Comparison{Resources: 1, Findings: []change.Finding{before[1]}}, allowed); diff != "" {
		t.Errorf("allowed (-want +got):\n%s", diff)
	}
}

func TestAPreviewIsSoundOnlyIfNothingIsWrong(t *testing.T) {
	t.Parallel()
	wrong := fault.New("No.", "", "")
	for name, c := range map[string]struct {
		preview *change.Preview
		want    bool
	}{
		"policies are not changed": {nil, true},
		"no tests":                 {&change.Preview{}, true},
		"tests pass":               {&change.Preview{Tests: change.PolicyTests{Passed: 3}}, true},
		"a test fails":             {&change.Preview{Tests: change.PolicyTests{Passed: 3, Failed: []string{"x"}}}, false},
		"tests were not run":       {&change.Preview{Tests: change.PolicyTests{Fault: wrong}}, false},
		"a plan is not judged":     {&change.Preview{Projects: []change.ProjectPreview{{Fault: wrong}}}, true},
		"no longer judged":         {&change.Preview{Projects: []change.ProjectPreview{{}, {Fault: wrong, Broken: true}}}, false},
		"policies do not load":     {&change.Preview{Fault: wrong}, false},
	} {
		if got := c.preview.Sound(); got != c.want {
			t.Errorf("%s: sound = %t", name, got)
		}
	}
}

func TestAComparisonIsBounded(t *testing.T) {
	t.Parallel()
	var many []change.Finding
	for i := range 1000 {
		many = append(many, change.Finding{Policy: "p", Rule: "r", Address: fmt.Sprint("a.b", i/2), Verdict: change.Fail, Severity: change.Deny, Message: strings.Repeat("é", 1000), Attribute: fmt.Sprint(i)})
	}
	denied, _ := change.CompareDenials(nil, many)
	if denied.Resources != 500 || len(denied.Findings) != 50 || len(denied.Findings[0].Message) > 500 || !utf8.ValidString(denied.Findings[0].Message) {
		t.Errorf("%d resources, %d findings, the first with %d bytes", denied.Resources, len(denied.Findings), len(denied.Findings[0].Message))
	}
	if few, _ := change.CompareDenials(nil, many[:3]); few.Resources != 2 || len(few.Findings) != 3 {
		t.Errorf("of three: %d resources, %d findings", few.Resources, len(few.Findings))
	}
}

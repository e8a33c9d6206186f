package change_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/change"
)

func TestObligations(t *testing.T) {
	t.Parallel()
	finding := func(address string, v change.Verdict, s change.Severity) change.Finding {
		return change.Finding{Policy: "plan.x", Rule: "r", Address: address, Verdict: v, Severity: s}
	}
	untouched := finding("a.untouched", change.Undetermined, change.Warn)
	untouched.NoOp = true
	before := []change.Finding{
		finding("a.passes", change.Undetermined, change.Warn),
		finding("a.passes", change.Undetermined, change.Warn),
		finding("a.fails", change.Undetermined, change.Warn),
		finding("a.hidden", change.Undetermined, change.Warn),
		finding("a.gone", change.Undetermined, change.Warn),
		finding("a.known", change.Fail, change.Warn),
		finding("a.blocks", change.Undetermined, change.Deny),
		{Policy: "plan.x", Rule: "r", Address: "a.waived", Verdict: change.Waived, Was: change.Undetermined, Severity: change.Deny},
		{Policy: "plan.x", Rule: "r", Address: "a.forgiven", Verdict: change.Waived, Was: change.Fail, Severity: change.Deny},
		untouched,
	}
	broken := finding("a.fails", change.Fail, change.Warn)
	broken.Message = "It is public."
	after := []change.Finding{
		finding("a.passes", change.Pass, change.Deny),
		finding("a.fails", change.Undetermined, change.Warn), broken, finding("a.fails", change.Pass, change.Deny),
		finding("a.hidden", change.Undetermined, change.Warn),
		{Policy: "plan.y", Rule: "r", Address: "a.gone", Verdict: change.Pass},
	}
	want := []change.Obligation{
		{Finding: before[0], Verdict: change.Pass},
		{Finding: before[2], Verdict: change.Fail, Message: "It is public."},
		{Finding: before[3], Verdict: change.Undetermined},
		{Finding: before[4]},
		{Finding: before[7]},
	}
	got := change.Obligations(before, after)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("obligations (-want +got):\n%s", diff)
	}
	if broken := (&change.Proof{Obligations: got}).Broken(); len(broken) != 1 || broken[0].Finding.Address != "a.fails" {
		t.Errorf("broken = %v", broken)
	}
	var open []string
	for _, o := range got {
		if o.Open() {
			open = append(open, o.Finding.Address)
		}
	}
	if diff := cmp.Diff([]string{"a.fails", "a.hidden", "a.gone", "a.waived"}, open); diff != "" {
		t.Errorf("open (-want +got):\n%s", diff)
	}
}

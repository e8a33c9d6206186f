package change_test

import (
	"testing"

	"github.com/tollgate/tollgate/internal/change"
)

func TestFindingBlocks(t *testing.T) {
	t.Parallel()
	cases := []struct {
		severity change.Severity
		verdict  change.Verdict
		want     bool
	}{
		{change.Deny, change.Pass, false},
		{change.Deny, change.Fail, true},
		{change.Deny, change.Undetermined, true},
		{change.Deny, change.Waived, false},
		{change.Deny, "", true}, // no verdict is no pass
		{change.Deny, "unheard of", true},
		{change.Warn, change.Pass, false},
		{change.Warn, change.Fail, false},
		{change.Warn, change.Undetermined, false},
		{change.Warn, change.Waived, false},
	}
	for _, c := range cases {
		if got := (change.Finding{Severity: c.severity, Verdict: c.verdict}).Blocks(); got != c.want {
			t.Errorf("severity %q, verdict %q: Blocks() = %v", c.severity, c.verdict, got)
		}
	}
}

func TestCountsEmpty(t *testing.T) {
	t.Parallel()
	if !(change.Counts{}).Empty() {
		t.Error("nothing at all is not empty")
	}
	for name, c := range map[string]change.Counts{"create": {Create: 1}, "update": {Update: 1}, "replace": {Replace: 1}, "delete": {Delete: 1},
		"forget": {Forget: 1}, "import": {Import: 1}, "move": {Move: 1}, "outputs": {Outputs: 1}} {
		if c.Empty() {
			t.Errorf("a plan with one %s is taken for empty", name)
		}
	}
}

func TestPermissionCanWrite(t *testing.T) {
	t.Parallel()
	for permission, want := range map[change.Permission]bool{"admin": true, "maintain": true, "write": true,
		"triage": false, "read": false, "none": false, "": false, "Admin": false} {
		if permission.CanWrite() != want {
			t.Errorf("permission %q: CanWrite() = %v", permission, !want)
		}
	}
}

func TestRepoFullName(t *testing.T) {
	t.Parallel()
	if got := (change.Repo{ID: 7, Owner: "acme", Name: "payments"}).FullName(); got != "acme/payments" {
		t.Errorf("FullName() = %q", got)
	}
}

package gate_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/gate"
)

func TestRules(t *testing.T) {
	t.Parallel()
	content := map[string]string{
		"plan/x.rego": `# METADATA
# title: About the package
package x

# METADATA
# title: Nothing is bad
# description: |
#   Bad things hurt.
# custom:
#   id: bad
#   severity: deny
#   remediation: Make it good.
# related_resources:
# - ref: https://example.com/a
#   description: The standard
# - ref: https://example.com/b
deny contains "bad" if input.bad

# METADATA
# title: Nothing is odd
warn contains "odd" if input.odd

# METADATA
# title: A helper is no rule
helper := 1
`,
		"apply/y.rego": "# METADATA\n# title: Of another gate\npackage y\n\ndeny contains \"y\" if input.y\n",
		"lib/z.rego":   "# METADATA\n# title: A library\npackage z\n\nz := 1\n",
	}
	rules := func() ([]change.Rule, error) {
		src, err := gate.Read("set", files(content))
		if err != nil {
			t.Fatal(err)
		}
		return gate.Rules(src, gate.ForPlans)
	}
	got, err := rules()
	if err != nil {
		t.Fatal(err)
	}
	want := []change.Rule{
		{Policy: "x", Title: "About the package", File: "plan/x.rego"},
		{
			Policy: "x", ID: "bad", Title: "Nothing is bad", Description: "Bad things hurt.", Severity: change.Deny, Remediation: "Make it good.",
			References: []change.Reference{{Text: "The standard", URL: "https://example.com/a"}, {URL: "https://example.com/b"}}, File: "plan/x.rego",
		},
		{Policy: "x", ID: "warn", Title: "Nothing is odd", File: "plan/x.rego"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	content["plan/x.rego"] = "package x\n\ndeny contains"
	_, err = rules()
	wantFault(t, err, "set/plan/x.rego of the policies does not parse")
}

package change

import (
	"cmp"
	"slices"
	"strings"

	"github.com/tollgate/tollgate/internal/fault"
)

// Preview is what the policies of a pull request would change if they held already. Nothing is
// decided by it, but the gate stays closed on policies that do not load, cannot judge, or whose tests
// fail: merged, they would refuse every plan, or judge other than their author believes.
type Preview struct {
	Dir      string           `json:"dir"`             // the policies' folder
	Fault    *fault.Error     `json:"fault,omitempty"` // why they cannot be used at all
	Rules    bool             `json:"rules"`           // the folder holds rules, and not waivers only
	Tests    PolicyTests      `json:"tests"`
	Projects []ProjectPreview `json:"projects,omitempty"`
}

// Sound reports whether the policies load, their tests pass, and they can judge what the present ones
// can. There may be no tests.
func (p *Preview) Sound() bool {
	if p == nil {
		return true
	}
	broken := slices.ContainsFunc(p.Projects, func(v ProjectPreview) bool { return v.Broken })
	return p.Fault == nil && p.Tests.Fault == nil && len(p.Tests.Failed) == 0 && !broken
}

// PolicyTests is how the tests in Rego beside the policies ended.
type PolicyTests struct {
	Passed   int          `json:"passed"`
	Skipped  int          `json:"skipped,omitempty"` // named todo_test_…, so not run
	Failed   []string     `json:"failed,omitempty"`  // a line for each, with its name and where it stands; not all if there are many
	Coverage float64      `json:"coverage"`          // of the policies' lines by their tests, in percent
	Fault    *fault.Error `json:"fault,omitempty"`   // why they were not run
}

// ProjectPreview is what would change for the resources in one project's latest plan.
type ProjectPreview struct {
	Project string       `json:"project"`
	Number  int          `json:"number"` // the pull request that the plan was made for
	Denied  Comparison   `json:"denied"`
	Allowed Comparison   `json:"allowed"`
	Fault   *fault.Error `json:"fault,omitempty"`  // why the plan was not judged
	Broken  bool         `json:"broken,omitempty"` // the present policies can judge it, and those of the pull request cannot
}

// Comparison is the resources whose verdict would change in one way.
type Comparison struct {
	Resources int       `json:"resources"`          // how many
	Findings  []Finding `json:"findings,omitempty"` // not all if there are many
}

// Denies reports whether the finding keeps a change of its resource from being applied, also if
// this very plan does not touch it.
func (f Finding) Denies() bool {
	if f.NoOp {
		f.Severity = cmp.Or(f.IfTouched, f.Severity)
	}
	return f.Blocks()
}

// The preview is kept and shown, and what it says is the author's: so much of it helps to see what
// would change.
const (
	maxCompared     = 50
	maxInComparison = 500 // bytes of a text
)

// CompareDenials returns what after denies and before did not, and what before denied and after
// does not, by policy, rule and address.
func CompareDenials(before, after []Finding) (denied, allowed Comparison) {
	return compared(without(after, before)), compared(without(before, after))
}

func compared(findings []Finding) Comparison {
	addresses := map[string]bool{}
	for _, f := range findings {
		addresses[f.Address] = true
	}
	c := Comparison{Resources: len(addresses), Findings: slices.Clone(findings[:min(len(findings), maxCompared)])}
	for i := range c.Findings {
		f := &c.Findings[i]
		for _, text := range []*string{&f.Policy, &f.Rule, &f.Address, &f.Attribute, &f.Message, &f.Remediation, &f.Reference} {
			*text = strings.ToValidUTF8((*text)[:min(len(*text), maxInComparison)], "")
		}
	}
	return c
}

func without(from, known []Finding) []Finding {
	type subject struct{ policy, rule, address string }
	of := func(f Finding) subject { return subject{f.Policy, f.Rule, f.Address} }
	seen := map[subject]bool{}
	for _, f := range known {
		if f.Denies() {
			seen[of(f)] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(from), func(f Finding) bool { return !f.Denies() || seen[of(f)] })
}

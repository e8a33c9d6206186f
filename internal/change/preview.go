package change

import (
	"cmp"
	"slices"

	"github.com/tollgate/tollgate/internal/fault"
)

// Preview is what the policies of a pull request would change if they held already. Nothing is
// decided by it, but the gate stays closed on policies that do not load or whose tests fail: merged,
// they would refuse every plan, or judge other than their author believes.
type Preview struct {
	Dir      string           `json:"dir"`             // the policies' folder
	Fault    *fault.Error     `json:"fault,omitempty"` // why they cannot be used at all
	Rules    bool             `json:"rules"`           // the folder holds rules, and not waivers only
	Tests    PolicyTests      `json:"tests"`
	Projects []ProjectPreview `json:"projects,omitempty"`
}

// Sound reports whether the policies load and their tests pass. There may be no tests.
func (p *Preview) Sound() bool {
	return p == nil || p.Fault == nil && p.Tests.Fault == nil && len(p.Tests.Failed) == 0
}

// PolicyTests is how the tests in Rego beside the policies ended.
type PolicyTests struct {
	Passed   int          `json:"passed"`
	Failed   []string     `json:"failed,omitempty"` // a line for each, with its name and where it stands
	Coverage float64      `json:"coverage"`         // of the policies' lines by their tests, in percent
	Fault    *fault.Error `json:"fault,omitempty"`  // why they were not run
}

// ProjectPreview is what would change for the resources in one project's latest plan.
type ProjectPreview struct {
	Project string       `json:"project"`
	Number  int          `json:"number"` // the pull request that the plan was made for
	Denied  []Finding    `json:"denied,omitempty"`
	Allowed []Finding    `json:"allowed,omitempty"`
	Fault   *fault.Error `json:"fault,omitempty"` // why the plan was not judged
}

// Denies reports whether the finding keeps a change of its resource from being applied, also if
// this very plan does not touch it.
func (f Finding) Denies() bool {
	if f.NoOp {
		f.Severity = cmp.Or(f.IfTouched, f.Severity)
	}
	return f.Blocks()
}

// CompareDenials returns what after denies and before did not, and what before denied and after
// does not, by policy, rule and address.
func CompareDenials(before, after []Finding) (denied, allowed []Finding) {
	return without(after, before), without(before, after)
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

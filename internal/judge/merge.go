package judge

import (
	"cmp"
	"slices"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/gate"
)

// together adds results about one plan up. A finding that several sets share is reported once.
func together(results []gate.Result) *gate.Result {
	if len(results) == 1 {
		return &results[0]
	}
	all := &gate.Result{}
	seen := map[change.Finding]bool{}
	for _, r := range results {
		all.ResourcesJudged = max(all.ResourcesJudged, r.ResourcesJudged)
		all.Unwaivable = addNew(all.Unwaivable, r.Unwaivable)
		for _, f := range r.Findings {
			if !seen[f] {
				seen[f] = true
				all.Findings = append(all.Findings, f)
			}
		}
	}
	slices.Sort(all.Unwaivable)
	return all
}

// strictest adds decisions up. What several sets say is said once.
func strictest(decisions []gate.Decision) *gate.Decision {
	all := &gate.Decision{Allowed: true}
	for _, d := range decisions {
		all.Allowed = all.Allowed && d.Allowed
		all.Denials = addNew(all.Denials, d.Denials)
		all.Requirements = addNew(all.Requirements, d.Requirements)
		all.Warnings = addNew(all.Warnings, d.Warnings)
	}
	slices.SortStableFunc(all.Requirements, func(a, b gate.Requirement) int {
		return cmp.Compare(rank(a.Met), rank(b.Met))
	})
	return all
}

func addNew[T comparable](to, from []T) []T {
	for _, v := range from {
		if !slices.Contains(to, v) {
			to = append(to, v)
		}
	}
	return to
}

// rank puts what is still needed first.
func rank(met bool) int {
	if met {
		return 1
	}
	return 0
}

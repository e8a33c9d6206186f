package waiver

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/change"
)

// The kinds of notices.
const (
	Expired   = "expired"
	Orphaned  = "orphaned"
	OverBroad = "over-broad"
	Forbidden = "not-waivable"
)

// Apply waives what the list covers among the findings of one plan; unwaivable names the rules that
// no waiver covers, as the gate reports them. It is pure, and changes none of its arguments. A
// finding that names no resource cannot be waived.
//
// Call it again at the apply, on the findings as the gate gave them: a waiver may have expired since.
func (l List) Apply(findings []change.Finding, unwaivable []string, now time.Time) Outcome {
	out := Outcome{Findings: slices.Clone(findings)}
	hits := l.hits(findings)
	for i, w := range l.waivers {
		if len(hits[i]) == 0 {
			continue
		}
		out.Matched = append(out.Matched, w.id())
		if d := w.defect(now, slices.Contains(unwaivable, w.Rule), resources(findings, hits[i])); d != nil {
			out.Notices = append(out.Notices, l.notice(w, d, len(hits[i])))
			continue
		}
		for _, f := range hits[i] {
			if found := &out.Findings[f]; found.Verdict != change.Waived { // the first waiver speaks
				found.Was, found.Verdict, found.Message = found.Verdict, change.Waived, w.message(found.Message)
			}
		}
	}
	return out
}

// hits returns for each waiver the indexes of the findings that it matches.
func (l List) hits(findings []change.Finding) [][]int {
	byRule := map[string][]int{}
	for i, w := range l.waivers {
		byRule[w.Rule] = append(byRule[w.Rule], i)
	}
	hits := make([][]int, len(l.waivers))
	for i, f := range findings {
		candidates := byRule[f.Policy+"/"+f.Rule]
		if len(candidates) == 0 || f.Verdict != change.Fail && f.Verdict != change.Undetermined {
			continue
		}
		address, ok := parseAddress(f.Address)
		for _, c := range candidates {
			if ok && l.waivers[c].pattern.matches(address) {
				hits[c] = append(hits[c], i)
			}
		}
	}
	return hits
}

func resources(findings []change.Finding, indexes []int) int {
	seen := map[string]bool{}
	for _, i := range indexes {
		seen[findings[i].Address] = true
	}
	return len(seen)
}

// defect is why a waiver does not hold.
type defect struct{ kind, why, fix string }

// defect says why the waiver does not hold although it matches so many resources, or nothing.
func (w Waiver) defect(now time.Time, forbidden bool, resources int) *defect {
	today := now.UTC().Truncate(24 * time.Hour)
	switch broad := w.pattern.broad(); {
	case w.Expires.Before(today):
		return &defect{Expired, "expired on " + w.Expires.Format(time.DateOnly),
			"Mend the resource and remove the waiver; or let its owner say why it is still needed, with a new date."}
	case forbidden:
		return &defect{Forbidden, "is of a rule whose METADATA says that it cannot be waived",
			"Mend the resource and remove the waiver."}
	case broad != "":
		return &defect{OverBroad, "is too broad: " + broad,
			"Write the type in full and the name at least in part; better, the whole address."}
	case w.Expires.After(today.AddDate(horizonYears, 0, 0)):
		return &defect{OverBroad, "is to hold until " + w.Expires.Format(time.DateOnly) + ", more than a year ahead",
			"Give a date within a year. When it comes, somebody looks again."}
	case resources > maxResources:
		return &defect{OverBroad, fmt.Sprintf("is too broad: it matches %d resources of this plan, more than %d", resources, maxResources),
			"Name fewer resources with each waiver; or change the rule's parameters, if it does not fit."}
	}
	return nil
}

func (w Waiver) message(found string) string {
	found = strings.TrimRight(found, ". ")
	return fmt.Sprintf("%s. Waived until %s by %s: %s", found, w.Expires.Format(time.DateOnly), w.Owner, w.Reason)
}

func (l List) notice(w Waiver, d *defect, findings int) change.Notice {
	count := fmt.Sprintf("%d findings count", findings)
	if findings == 1 {
		count = "its finding counts"
	}
	return change.Notice{
		Kind: d.kind, File: l.file, Line: w.Line,
		What: fmt.Sprintf("The waiver of %s for %s, which %s answers for, %s.", w.Rule, w.Address, w.Owner, d.why),
		Why:  "It does not hold, so " + count + " as without it.",
		Fix:  d.fix,
	}
}

// Orphans returns a notice for each waiver that no plan needs; matched is what Apply returned for
// the latest plans of all projects together. With the plans of some projects only, it would blame
// the waivers of the others.
func (l List) Orphans(matched []string) []change.Notice {
	var notices []change.Notice
	for _, w := range l.waivers {
		if slices.Contains(matched, w.id()) {
			continue
		}
		notices = append(notices, change.Notice{
			Kind: Orphaned, File: l.file, Line: w.Line,
			What: fmt.Sprintf("The waiver of %s for %s, which %s answers for, matches no finding.", w.Rule, w.Address, w.Owner),
			Why:  "It would let through whatever comes to match it until " + w.Expires.Format(time.DateOnly) + ".",
			Fix:  "Remove it if the resource is mended or gone; otherwise correct its rule or its address.",
		})
	}
	return notices
}

// id names a waiver within its list: no two have the same rule and address.
func (w Waiver) id() string { return w.Rule + " " + w.Address }

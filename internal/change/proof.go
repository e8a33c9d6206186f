package change

import "github.com/tollgate/tollgate/internal/fault"

// Obligation is a rule that could not judge a resource before the apply, and what it says of the
// real one afterwards.
type Obligation struct {
	Finding Finding `json:"finding"` // as it was before the apply: undetermined
	// Verdict is what the rule says now; empty if it no longer judges the resource.
	Verdict Verdict `json:"verdict,omitempty"`
	Message string  `json:"message,omitempty"`
}

// Open reports whether the obligation is not met: the rule is broken, or nobody can tell yet.
func (o Obligation) Open() bool { return o.Verdict != Pass && o.Verdict != Waived }

// Proof is what a second plan showed right after an apply. There are no changes in it if the
// infrastructure is as the code says.
type Proof struct {
	Counts      Counts       `json:"counts"`
	Obligations []Obligation `json:"obligations,omitempty"`
	// Fault says why there is no second plan, or no verdict on it. No obligation has a verdict then.
	Fault *fault.Error `json:"fault,omitempty"`
}

// Broken returns the obligations whose rule the real infrastructure breaks.
func (p *Proof) Broken() []Obligation {
	if p == nil {
		return nil
	}
	var out []Obligation
	for _, o := range p.Obligations {
		if o.Verdict == Fail {
			out = append(out, o)
		}
	}
	return out
}

// Unproven reports whether policies that the plan left open were not judged on the result.
func (p *Proof) Unproven() bool { return p != nil && p.Fault != nil && len(p.Obligations) > 0 }

// Obliges reports whether the finding has to be looked at again after an apply: the plan could not
// tell, and did not have to, or somebody let it pass.
func (f Finding) Obliges() bool {
	open := f.Verdict == Undetermined && f.Severity == Warn
	return (open || f.Verdict == Waived && f.Was == Undetermined) && !f.NoOp
}

// Obligations pairs what a plan left open with what the rules say after its apply.
func Obligations(before, after []Finding) []Obligation {
	type subject struct{ policy, rule, address string }
	now := map[subject]Finding{}
	for _, f := range after {
		s := subject{f.Policy, f.Rule, f.Address}
		if old, ok := now[s]; !ok || worse(f.Verdict, old.Verdict) {
			now[s] = f
		}
	}
	var out []Obligation
	seen := map[subject]bool{}
	for _, f := range before {
		s := subject{f.Policy, f.Rule, f.Address}
		if !f.Obliges() || seen[s] {
			continue
		}
		seen[s] = true
		out = append(out, Obligation{Finding: f, Verdict: now[s].Verdict, Message: now[s].Message})
	}
	return out
}

// worse orders the verdicts of one rule on one resource: several findings are as bad as the worst.
func worse(a, b Verdict) bool {
	rank := map[Verdict]int{Pass: 0, Waived: 1, Undetermined: 2, Fail: 3}
	return rank[a] > rank[b]
}

package gate

import (
	"cmp"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/tollgate/tollgate/internal/change"
)

// decide turns the answers of the apply gate into a decision.
func (p *program) decide(answers []answer) (Decision, error) {
	var d Decision
	for _, a := range answers {
		for _, member := range a.members {
			if err := p.weigh(&d, a.question, member); err != nil {
				return Decision{}, err
			}
		}
	}
	slices.SortFunc(d.Denials, func(a, b Denial) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Message, b.Message))
	})
	slices.SortFunc(d.Requirements, func(a, b Requirement) int {
		return cmp.Or(cmp.Compare(rank(a.Met), rank(b.Met)), cmp.Compare(a.Text, b.Text))
	})
	unmet := func(r Requirement) bool { return !r.Met }
	d.Allowed = len(d.Denials) == 0 && !slices.ContainsFunc(d.Requirements, unmet)
	return d, nil
}

func (p *program) weigh(d *Decision, q question, member *ast.Term) error {
	switch {
	case q.name == "requirements":
		words, ok1 := get(member, "text").(ast.String)
		met, ok2 := get(member, "met").(ast.Boolean)
		if !ok1 || !ok2 {
			return p.broken(q.ref + " has a member without text and met")
		}
		d.Requirements = append(d.Requirements, Requirement{Text: string(words), Met: bool(met)})
	case verdictRule.MatchString(q.name):
		f, err := p.finding(q, member, resources{})
		if err != nil {
			return err
		}
		if f.Severity == change.Warn {
			d.Warnings = append(d.Warnings, f.Message)
			return nil
		}
		d.Denials = append(d.Denials, Denial{Rule: f.Rule, Message: f.Message})
	}
	return nil
}

func rank(met bool) int {
	if met {
		return 1
	}
	return 0
}

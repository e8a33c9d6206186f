package gate

import (
	"fmt"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/tollgate/tollgate/internal/change"
)

// findings turns the answers of the plan gate into findings, adding a pass for whatever a rule
// has judged and found nothing wrong with. It also names the rules among them that no waiver covers.
func (p *program) findings(answers []answer, res resources) (out []change.Finding, unwaivable []string, err error) {
	type subject struct{ policy, rule, address string }
	found := map[subject]bool{}
	excepted := exceptions(answers)
	for _, a := range answers {
		if !verdictRule.MatchString(a.name) {
			continue
		}
		for _, member := range a.members {
			f, err := p.finding(a.question, member, res)
			if err != nil {
				return nil, nil, err
			}
			if p.kept.has(a.question, f.Rule) {
				unwaivable = append(unwaivable, f.Policy+"/"+f.Rule)
			} else if excepted[subjectName{a.policy, a.suffix()}] {
				f.Verdict = change.Waived
			}
			found[subject{f.Policy, f.Rule, f.Address}] = true
			out = append(out, f)
		}
	}
	for _, a := range answers {
		if a.name != "judged" {
			continue
		}
		for _, member := range a.members {
			rule, address := text(member, "rule"), text(member, "address")
			if rule == "" || address == "" {
				return nil, nil, p.broken(a.ref + " has a member without rule and address")
			}
			if !found[subject{a.policy, rule, address}] {
				out = append(out, p.pass(a.policy, rule, address, res))
			}
		}
	}
	sortFindings(out)
	slices.Sort(unwaivable)
	return slices.Compact(out), slices.Compact(unwaivable), nil
}

func (p *program) finding(q question, term *ast.Term, res resources) (change.Finding, error) {
	f := change.Finding{Policy: q.policy, Rule: q.name, Verdict: change.Fail, Severity: change.Deny}
	object, ok := term.Value.(ast.Object)
	if !ok {
		object = ast.NewObject(ast.Item(ast.InternedTerm("msg"), term))
	}
	fields := []struct {
		key string
		to  *string
	}{
		{"msg", &f.Message}, {"rule", &f.Rule}, {"address", &f.Address}, {"attribute", &f.Attribute},
		{"remediation", &f.Remediation}, {"verdict", (*string)(&f.Verdict)},
	}
	for _, field := range fields {
		value := object.Get(ast.InternedTerm(field.key))
		if value == nil {
			continue
		}
		text, ok := value.Value.(ast.String)
		if !ok {
			return f, p.broken(fmt.Sprintf("%s has a member whose %s is no string", q.ref, field.key))
		}
		*field.to = string(text)
	}
	if f.Message == "" {
		return f, p.broken(q.ref + " has a member that is neither a string nor an object with msg")
	}
	if f.Verdict != change.Fail && f.Verdict != change.Undetermined {
		return f, p.broken(fmt.Sprintf("%s has a member with the verdict %q", q.ref, f.Verdict))
	}
	if p.gate == ForSources {
		if err := p.place(&f, q, object); err != nil {
			return f, err
		}
	}
	p.describe(&f)
	if p.gate == ForPlans { // an apply is denied or not, whatever the plan touches
		f.NoOp = res.noOp[f.Address]
		if touched, ok := get(term, "touched").(ast.Boolean); ok {
			f.NoOp = !bool(touched)
		}
	}
	if q.kind() == "warn" {
		f.Severity = change.Warn
	}
	p.levels.rate(&f)
	return f, nil
}

// place takes over where in the code a finding is.
func (p *program) place(f *change.Finding, q question, object ast.Object) error {
	file, line := object.Get(ast.InternedTerm("file")), object.Get(ast.InternedTerm("line"))
	if file == nil && line == nil {
		return nil
	}
	name, ok := ast.String(""), file != nil
	if ok {
		name, ok = file.Value.(ast.String)
	}
	number := 0
	if ok && line != nil {
		n, isNumber := line.Value.(ast.Number)
		number, ok = n.Int()
		ok = ok && isNumber && number > 0
	}
	if !ok {
		return p.broken(q.ref + " has a member whose file is no string, or whose line is no positive number")
	}
	f.File, f.Line, f.EndLine = string(name), number, number
	return nil
}

// describe fills in what the METADATA of the rule says.
func (p *program) describe(f *change.Finding) {
	n := p.notes.find(f.Policy, f.Rule)
	if n.severity != "" {
		f.Severity = n.severity
	}
	if f.Remediation == "" {
		f.Remediation = n.remediation
	}
	f.Reference = n.reference
}

func (p *program) pass(policy, rule, address string, res resources) change.Finding {
	f := change.Finding{
		Policy: policy, Rule: rule, Address: address, Verdict: change.Pass, Severity: change.Deny,
		Message: p.notes.find(policy, rule).title, NoOp: res.noOp[address],
	}
	p.describe(&f)
	f.Remediation = ""
	return f
}

// subjectName is a package and the suffix of one of its rule sets.
type subjectName struct{ policy, suffix string }

// exceptions reads conftest's exceptions: each member is an array of suffixes, "" for the bare name.
func exceptions(answers []answer) map[subjectName]bool {
	excepted := map[subjectName]bool{}
	for _, a := range answers {
		if a.name != "exception" {
			continue
		}
		for _, member := range a.members {
			for s := range elements(member) {
				if suffix, ok := s.Value.(ast.String); ok {
					excepted[subjectName{a.policy, string(suffix)}] = true
				}
			}
		}
	}
	return excepted
}

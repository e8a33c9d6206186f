package gate

import (
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/tollgate/tollgate/internal/change"
)

// Rules reads what the policies of a gate, ForPlans or ForApplies, say of their rules, by file and
// place in it. It compiles nothing. A file that does not parse is a *fault.Error.
func Rules(src *Source, gate string) ([]change.Rule, error) {
	var rules []change.Rule
	for _, f := range src.Files {
		if gateOf(f.Name) != gate || !isPolicy(f.Name) || isTest(f.Name) {
			continue
		}
		parsed, err := parse(src.Name, f)
		if err != nil {
			return nil, err
		}
		rules = append(rules, rulesOf(f.Name, parsed.(*ast.Module))...)
	}
	return rules, nil
}

func rulesOf(file string, m *ast.Module) []change.Rule {
	var rules []change.Rule
	for _, a := range m.Annotations {
		for _, id := range noteIDs(m, a) {
			_, named := a.Custom["id"].(string)
			if !named && id != "" && !verdictRule.MatchString(id) {
				continue // a helper
			}
			n := newNote(a)
			rules = append(rules, change.Rule{
				Policy: packageName(m), ID: id, Title: n.title, Description: strings.TrimSpace(a.Description),
				Severity: n.severity, Remediation: n.remediation, References: references(a), File: file,
			})
		}
	}
	return rules
}

func references(a *ast.Annotations) []change.Reference {
	var refs []change.Reference
	for _, r := range a.RelatedResources {
		refs = append(refs, change.Reference{Text: strings.TrimSpace(r.Description), URL: r.Ref.String()})
	}
	return refs
}

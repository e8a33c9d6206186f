package gate

import (
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/tollgate/tollgate/internal/change"
)

// note is what the METADATA of a rule says about its findings.
type note struct {
	title       string
	severity    change.Severity // empty unless given as deny or warn
	remediation string
	reference   string
}

// notes holds the notes of a program by package and then by rule id; "" is the package's own note.
type notes map[string]map[string]note

// find returns the note of a rule, or of the package if the rule has none.
func (n notes) find(policy, rule string) note {
	if found, ok := n[policy][rule]; ok {
		return found
	}
	return n[policy][""]
}

func readNotes(modules map[string]*ast.Module) notes {
	all := notes{}
	for _, file := range keys(modules) {
		m := modules[file]
		policy := packageName(m)
		if all[policy] == nil {
			all[policy] = map[string]note{}
		}
		for _, a := range m.Annotations {
			for _, id := range noteIDs(m, a) {
				all[policy][id] = newNote(a)
			}
		}
	}
	return all
}

// noteIDs are the rule ids that an annotation describes: its custom.id, else the name of the rule
// set if the package annotates that name once, so that it cannot mean another rule.
func noteIDs(m *ast.Module, a *ast.Annotations) []string {
	if id, ok := a.Custom["id"].(string); ok {
		return []string{id}
	}
	if a.Scope == "package" {
		return []string{""}
	}
	target := a.GetTargetPath().String()
	same := 0
	for _, other := range m.Annotations {
		if other.GetTargetPath().String() == target {
			same++
		}
	}
	if same != 1 {
		return nil
	}
	return []string{strings.TrimPrefix(target, m.Package.Path.String()+".")}
}

func newNote(a *ast.Annotations) note {
	n := note{title: a.Title}
	switch s, _ := a.Custom["severity"].(string); change.Severity(s) {
	case change.Deny, change.Warn:
		n.severity = change.Severity(s)
	}
	n.remediation, _ = a.Custom["remediation"].(string)
	n.remediation = strings.TrimSpace(n.remediation)
	var refs []string
	for _, r := range references(a) {
		refs = append(refs, r.String())
	}
	n.reference = strings.Join(refs, "; ")
	return n
}

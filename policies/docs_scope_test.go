package policies_test

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/tollgate/tollgate/internal/change"
)

// scope is what a rule looks at.
type scope struct {
	attributes map[string][]string // by type
	parameters map[string]any      // that are no tables of types, by name
	taggable   int                 // types, if the rule looks at everything that can carry tags
}

// scopeOf reads what a rule looks at from the code: the parameters that its clauses use, directly or
// through other rules of the package, and from the family's list in testdata/schema what the code
// names itself.
func scopeOf(t *testing.T, r change.Rule) scope {
	t.Helper()
	family := path.Base(path.Dir(r.File))
	s := scope{attributes: map[string][]string{}, parameters: map[string]any{}}
	data := familyData(t, family)
	var lists map[string]schemaList
	readYAML(t, path.Join("testdata", "schema", family+".yaml"), &lists)
	for _, name := range parametersOf(t, r, family) {
		for _, content := range data {
			parameters, _ := content["parameters"].(map[string]any)
			value, ok := parameters[name]
			if !ok {
				continue
			}
			if slices.Contains(lists[family].Tables, name) {
				s.add(attributesInTables(map[string]map[string]any{"": {"parameters": parameters}}, []string{name}, ""))
			} else {
				s.parameters[name] = value
			}
		}
	}
	for kind, attributes := range lists[family].Judged {
		for attribute, rule := range attributes {
			if rule == r.ID {
				s.add(namedAttributes{kind + "." + attribute: ""})
			}
		}
	}
	if taggable, ok := data["taggable.yaml"]; ok && r.ID == "tags" {
		s.taggable = countLeaves(taggable)
	}
	for kind := range s.attributes {
		slices.Sort(s.attributes[kind])
		s.attributes[kind] = slices.Compact(s.attributes[kind])
	}
	return s
}

func (s scope) add(named namedAttributes) {
	for name := range named {
		kind, attribute, _ := strings.Cut(name, ".")
		s.attributes[kind] = append(s.attributes[kind], attribute)
	}
}

func countLeaves(value any) int {
	n := 0
	switch v := value.(type) {
	case map[string]any:
		for key, item := range v {
			if _, list := item.([]any); !list && strings.HasPrefix(key, "aws_") {
				n++
				continue
			}
			n += countLeaves(item)
		}
	case []any:
		n += len(v)
	}
	return n
}

// parametersOf are the parameters of the family that a rule uses, sorted.
func parametersOf(t *testing.T, r change.Rule, family string) []string {
	t.Helper()
	rules := map[string][]*ast.Rule{}
	var clauses []*ast.Rule
	for name, text := range sources(t) {
		if path.Dir(name) != path.Dir(r.File) || path.Ext(name) != ".rego" {
			continue
		}
		m, err := ast.ParseModule(name, string(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, rule := range m.Rules {
			name := string(rule.Head.Ref()[0].Value.(ast.Var))
			switch name {
			case "deny", "warn", "violation", "judged":
				clauses = append(clauses, rule)
			default:
				rules[name] = append(rules[name], rule)
			}
		}
	}
	used := map[string]bool{}
	seen := map[string]bool{}
	var visit func(rule *ast.Rule)
	visit = func(rule *ast.Rule) {
		ast.WalkTerms(rule, func(term *ast.Term) bool {
			switch v := term.Value.(type) {
			case ast.Ref:
				if parameter, ok := parameter(v, family); ok {
					used[parameter] = true
				}
			case ast.Var:
				if name := string(v); !seen[name] {
					seen[name] = true
					for _, other := range rules[name] {
						visit(other)
					}
				}
			}
			return false
		})
	}
	for _, rule := range clauses {
		if says(rule, r.ID, rules, map[string]bool{}) {
			visit(rule)
		}
	}
	return slices.Sorted(maps.Keys(used))
}

// says reports whether a clause, or a rule that it uses, holds the id of a rule.
func says(rule *ast.Rule, id string, rules map[string][]*ast.Rule, seen map[string]bool) bool {
	found := false
	ast.WalkTerms(rule, func(term *ast.Term) bool {
		switch v := term.Value.(type) {
		case ast.String:
			found = found || string(v) == id
		case ast.Var:
			if name := string(v); !seen[name] {
				seen[name] = true
				for _, other := range rules[name] {
					found = found || says(other, id, rules, seen)
				}
			}
		}
		return found
	})
	return found
}

// parameter is the name of the parameter that a reference leads to.
func parameter(r ast.Ref, family string) (string, bool) {
	prefix := ast.MustParseRef("data.plan." + family + ".parameters")
	switch {
	case len(r) > 1 && r[0].Equal(ast.VarTerm("parameters")):
		r = r[1:]
	case len(r) > len(prefix) && r.HasPrefix(prefix):
		r = r[len(prefix):]
	default:
		return "", false
	}
	name, ok := r[0].Value.(ast.String)
	return string(name), ok
}

// maxListed is how many lines a page shows of a parameter.
const maxListed = 12

func (s scope) write(p *page, r change.Rule) {
	p.text("## What it looks at")
	if s.taggable > 0 {
		p.text(fmt.Sprintf("Every resource that can carry tags: %d types of the AWS provider, listed in [taggable.yaml](../../../policies/%s).", s.taggable, path.Join(path.Dir(r.File), "taggable.yaml")))
	}
	if len(s.attributes) > 0 {
		p.text("| resource | attribute |\n|---|---|")
		for _, kind := range slices.Sorted(maps.Keys(s.attributes)) {
			fmt.Fprintf(p, "| `%s` | `%s` |\n", kind, strings.Join(s.attributes[kind], "`, `"))
		}
	}
	if len(s.parameters) == 0 {
		return
	}
	p.text("## Parameters", "In [parameters.yaml](../../../policies/"+path.Join(path.Dir(r.File), "parameters.yaml")+"), which says what each of them means.")
	var values strings.Builder
	for _, name := range slices.Sorted(maps.Keys(s.parameters)) {
		values.WriteString(shownValue(map[string]any{name: s.parameters[name]}))
	}
	p.text("```yaml\n" + values.String() + "```")
}

// shownValue is a value as YAML, its beginning only if it is long.
func shownValue(value any) string {
	text, err := yaml.Marshal(value)
	if err != nil {
		return err.Error()
	}
	all := strings.SplitAfter(strings.TrimRight(string(text), "\n")+"\n", "\n")
	all = all[:len(all)-1]
	if more := len(all) - maxListed; more > 1 {
		all = append(all[:maxListed:maxListed], fmt.Sprintf("# … and %d lines more\n", more))
	}
	return strings.Join(all, "")
}

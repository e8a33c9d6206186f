package gate

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// kept holds what METADATA with custom.waivable: false says.
type kept struct {
	ids   subjects // rules that no waiver covers, by package and id; "" is all of the package
	sets  subjects // rule sets that hold such a rule, by package and name; "" is all of the package
	named subjects // rules that METADATA describes, by package and "set id"; without a set for all of them
}

// subjects are parts of packages.
type subjects map[string]map[string]bool

func (s subjects) add(policy, part string) {
	if s[policy] == nil {
		s[policy] = map[string]bool{}
	}
	s[policy][part] = true
}

// has reports whether no waiver covers a finding of the rule set. Under an id that no METADATA
// describes, it may be of any rule of the set.
func (k kept) has(q question, rule string) bool {
	if k.ids[q.policy][""] || k.ids[q.policy][rule] {
		return true
	}
	held := k.sets[q.policy][q.name] || k.sets[q.policy][""]
	return held && !k.named[q.policy][q.name+" "+rule] && !k.named[q.policy][" "+rule]
}

// readKept refuses a word that is neither true nor false, one that is said of no rule in particular,
// and one in a package that finds nothing: its author believes that the rule cannot be waived.
func readKept(set string, modules map[string]*ast.Module, asked []question) (kept, error) {
	k := kept{subjects{}, subjects{}, subjects{}}
	for _, file := range keys(modules) {
		m := modules[file]
		for _, a := range m.Annotations {
			ids := noteIDs(m, a)
			for _, id := range ids {
				k.named.add(packageName(m), ruleSet(m, a)+" "+id)
			}
			value, given := a.Custom["waivable"]
			waivable, ok := value.(bool)
			finds := func(q question) bool { return q.policy == packageName(m) && verdictRule.MatchString(q.name) }
			switch {
			case given && !ok:
				return kept{}, unusable(set, file, "has METADATA with custom.waivable that is neither true nor false", nil)
			case !given || waivable:
			case len(ids) == 0:
				return kept{}, unusable(set, file, "says custom.waivable: false of a rule without custom.id, which other METADATA describes as well", nil)
			case a.Scope == "subpackages":
				k.addBelow(packageName(m), modules)
			case !slices.ContainsFunc(asked, finds):
				return kept{}, unusable(set, file, "says custom.waivable: false, but its package has no deny, violation or warn rule", nil)
			default:
				k.sets.add(packageName(m), ruleSet(m, a))
				for _, id := range ids {
					k.ids.add(packageName(m), id)
				}
			}
		}
	}
	return k, nil
}

// ruleSet is the rule set with a verdict that the METADATA is of, or "" if it is of the package or of
// a helper, which can serve each of them.
func ruleSet(m *ast.Module, a *ast.Annotations) string {
	target := a.GetTargetPath()
	if len(target) <= len(m.Package.Path) {
		return ""
	}
	if name, ok := target[len(m.Package.Path)].Value.(ast.String); ok && verdictRule.MatchString(string(name)) {
		return string(name)
	}
	return ""
}

// addBelow keeps everything in a package and in the packages below it.
func (k kept) addBelow(policy string, modules map[string]*ast.Module) {
	for _, m := range modules {
		if name := packageName(m); name == policy || strings.HasPrefix(name, policy+".") {
			k.ids.add(name, "")
		}
	}
}

package gate

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/tollgate/tollgate/internal/change"
)

// kept holds the rules whose METADATA says custom.waivable: false, by package; "" is all of them.
type kept map[string]map[string]bool

func (k kept) has(policy, rule string) bool { return k[policy][""] || k[policy][rule] }

// among returns those of the findings' rules that no waiver covers, as "policy/rule", sorted.
func (k kept) among(findings []change.Finding) []string {
	var names []string
	for _, f := range findings {
		if f.Verdict != change.Pass && k.has(f.Policy, f.Rule) {
			names = append(names, f.Policy+"/"+f.Rule)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// readKept refuses a word that is neither true nor false, and one that is said of no rule in
// particular: its author believes that the rule cannot be waived.
func readKept(set string, modules map[string]*ast.Module) (kept, error) {
	k := kept{}
	for _, file := range keys(modules) {
		m := modules[file]
		for _, a := range m.Annotations {
			value, given := a.Custom["waivable"]
			waivable, ok := value.(bool)
			if given && !ok {
				return nil, unusable(set, file, "has METADATA with custom.waivable that is neither true nor false", nil)
			}
			if !given || waivable {
				continue
			}
			ids := noteIDs(m, a)
			if len(ids) == 0 {
				return nil, unusable(set, file, "says custom.waivable: false of a rule without custom.id, which other METADATA describes as well", nil)
			}
			k.add(packageName(m), ids, a.Scope == "subpackages", modules)
		}
	}
	return k, nil
}

// add keeps the rules of a package; with below, everything in it and in the packages below it.
func (k kept) add(policy string, ids []string, below bool, modules map[string]*ast.Module) {
	keep := func(policy, id string) {
		if k[policy] == nil {
			k[policy] = map[string]bool{}
		}
		k[policy][id] = true
	}
	if !below {
		for _, id := range ids {
			keep(policy, id)
		}
		return
	}
	for _, m := range modules {
		if name := packageName(m); name == policy || strings.HasPrefix(name, policy+".") {
			keep(name, "")
		}
	}
}

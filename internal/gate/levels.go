package gate

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
)

// levelsKey is the key of a data file that says how serious the rules beside it are.
const levelsKey = "levels"

// level is how serious the findings of a rule are. What is empty stays as the rule has it.
type level struct {
	fail, undetermined change.Severity
	untouched          change.Severity // Deny: what the plan does not touch blocks like the rest
}

// levels holds what data files say, by package and rule id.
type levels map[string]map[string]level

// rate gives the finding the severity that the data files say, and lowers it for what the plan does
// not touch.
func (l levels) rate(f *change.Finding) {
	said := l[f.Policy][f.Rule]
	switch {
	case f.Verdict == change.Fail && said.fail != "":
		f.Severity = said.fail
	case f.Verdict == change.Undetermined && said.undetermined != "":
		f.Severity = said.undetermined
	}
	if f.NoOp {
		f.IfTouched = f.Severity
		if said.untouched != change.Deny {
			f.Severity = change.Warn
		}
	}
}

// readLevels reads the levels beside the packages of a gate. They are looked up where data is mounted,
// because a bundle may have moved them to a file in its root.
func readLevels(src *sources, gate string, modules map[string]*ast.Module, data map[string]any) (levels, error) {
	rules := map[string]map[string][]string{} // by folder and package, the ids
	for file, m := range modules {
		if gateOf(file) != gate {
			continue
		}
		dir, pkg := path.Dir(file), packageName(m)
		if rules[dir] == nil {
			rules[dir] = map[string][]string{}
		}
		rules[dir][pkg] = append(rules[dir][pkg], ruleIDs(file, m)...)
	}
	all := levels{}
	for dir, packages := range rules {
		value, has := lookUp(data, strings.Split(path.Join(dir, levelsKey), "/"))
		if !has {
			continue
		}
		if err := all.add(value, packages); err != nil {
			return nil, fault.Wrap(err,
				"The levels in the data beside "+path.Join(src.name, dir)+" cannot be used: "+err.Error()+".",
				"A level that is misspelt would leave its rule as it was, while its author believes otherwise.",
				"Write the id of a rule, and deny or warn, or a mapping with fail, undetermined and untouched.")
		}
	}
	return all, nil
}

// everyLevelRead refuses levels that are beside no policy of a gate, where nothing reads them: those of a
// data file, and deeper in one what has their form, as a bundle may have moved them to its root.
func everyLevelRead(src *sources, gate string) error {
	folders := map[string]bool{} // that hold policies
	for file := range src.modules {
		folders[path.Dir(file)] = true
	}
	for _, file := range keys(src.data) {
		doc, _ := src.data[file].(map[string]any)
		_, has := doc[levelsKey]
		switch dir, root := path.Dir(file), gateOf(file); {
		case root != "" && root != gate:
		case has && (root == "" || !folders[dir]):
			return unread(src.name, file, "has levels, but no policy of a gate lies beside it")
		case !holdsPolicies(folders, dir):
			if stray := strayLevels(dir, doc, gate, folders); stray != "" {
				return unread(src.name, file, "has levels for "+stray+", but no policy lies there")
			}
		}
	}
	return nil
}

// holdsPolicies reports whether the folder or one that it lies in holds policies, whose own data may
// have any form.
func holdsPolicies(folders map[string]bool, dir string) bool {
	for ; dir != "."; dir = path.Dir(dir) {
		if folders[dir] {
			return true
		}
	}
	return false
}

// strayLevels returns the path below dir at which there are levels without policies, or "".
func strayLevels(dir string, doc map[string]any, gate string, folders map[string]bool) string {
	for _, key := range keys(doc) {
		at := strings.TrimPrefix(dir+"/"+key, "./")
		below, ok := doc[key].(map[string]any)
		if !ok || folders[at] || dir == "." && gates[key] && key != gate {
			continue
		}
		if areLevels(below[levelsKey]) {
			return at
		}
		if stray := strayLevels(at, below, gate, folders); stray != "" {
			return stray
		}
	}
	return ""
}

func areLevels(value any) bool {
	said, _ := value.(map[string]any)
	for _, word := range said {
		if _, err := parseLevel(word); err != nil {
			return false
		}
	}
	return len(said) > 0
}

func unread(set, file, what string) error {
	return fault.New("The file "+path.Join(set, file)+" of the policies "+what+".",
		"A level that nothing reads would leave its rule as it was, while its author believes otherwise.",
		"Put it in a data file in the folder of the rule, such as plan/tls/levels.yaml; call other data by another name.")
}

// ruleIDs are the ids that a file's rules go by: those in the METADATA, and the names of rule sets.
func ruleIDs(file string, m *ast.Module) []string {
	var ids []string
	for _, r := range rulesOf(file, m) {
		ids = append(ids, r.ID)
	}
	for _, r := range m.Rules {
		if name := ruleName(r); verdictRule.MatchString(name) {
			ids = append(ids, name)
		}
	}
	return ids
}

// add reads the levels of one folder, which hold for all packages in it that have the rule.
func (l levels) add(value any, packages map[string][]string) error {
	said, ok := value.(map[string]any)
	if !ok {
		return errors.New("they are no mapping of rule ids to levels")
	}
	for _, id := range keys(said) {
		parsed, err := parseLevel(said[id])
		if err != nil {
			return fmt.Errorf("the rule %s %w", id, err)
		}
		known := false
		for pkg, ids := range packages {
			if id == "" || !slices.Contains(ids, id) {
				continue
			}
			known = true
			if l[pkg] == nil {
				l[pkg] = map[string]level{}
			}
			l[pkg][id] = parsed
		}
		if !known {
			ids := slices.Concat(slices.Collect(maps.Values(packages))...)
			slices.Sort(ids)
			return fmt.Errorf("there is no rule %q; the rules are %s", id, strings.Join(slices.Compact(ids), ", "))
		}
	}
	return nil
}

func parseLevel(value any) (level, error) {
	if word, ok := severity(value); ok {
		return level{fail: word, undetermined: word}, nil
	}
	said, ok := value.(map[string]any)
	if !ok {
		return level{}, fmt.Errorf("has the level %v, which is neither deny nor warn", value)
	}
	var l level
	to := map[string]*change.Severity{"fail": &l.fail, "undetermined": &l.undetermined, "untouched": &l.untouched}
	for _, key := range keys(said) {
		word, ok := severity(said[key])
		if to[key] == nil || !ok {
			return level{}, fmt.Errorf("has %s: %v, which is no level", key, said[key])
		}
		*to[key] = word
	}
	return l, nil
}

func severity(value any) (change.Severity, bool) {
	word, _ := value.(string)
	s := change.Severity(word)
	return s, s == change.Deny || s == change.Warn
}

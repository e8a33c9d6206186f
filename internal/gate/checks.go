package gate

import (
	"path"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/tollgate/tollgate/internal/fault"
)

// These checks find what the engine takes as "undefined", which no deny rule survives: a rule under a
// name that nothing asks for, and a reference to something that is not there.

// noVerdictInTests refuses a test file with a rule that could say no: most likely it is a policy whose
// name happens to end like a test's, such as latest_test.rego.
func noVerdictInTests(src *Source, wanted func(file string) bool) error {
	for _, f := range src.Files {
		if !isPolicy(f.Name) || !isTest(f.Name) || inTestdata(f.Name) || !wanted(f.Name) || !verdictLine.Match(f.Content) {
			continue
		}
		parsed, err := parse(src.Name, f)
		if err != nil {
			return err
		}
		for _, rule := range parsed.(*ast.Module).Rules {
			if name := ruleName(rule); verdictRule.MatchString(name) {
				return fault.New("The file "+path.Join(src.Name, f.Name)+" of the policies defines "+name+", but its name makes it a test.",
					"Tests judge nothing, so what the rule is to find would pass.",
					"Rename the file so that it does not end in _test.rego; if it is a test, rename the rule.")
			}
		}
	}
	return nil
}

// everyPackageUsed refuses a package of the gate that has no verdict and that nothing refers to:
// most likely its rule or its package is misspelled, and its author believes to be protected.
func everyPackageUsed(set, gate string, c *ast.Compiler, asked []question) error {
	judging := map[string]bool{}
	for _, q := range asked {
		if verdictRule.MatchString(q.name) {
			judging["data."+q.policy] = true
		}
	}
	var refs []ast.Ref
	for _, m := range c.Modules {
		for _, ref := range dataRefs(m) {
			if !ref.HasPrefix(m.Package.Path) {
				refs = append(refs, ref)
			}
		}
	}
	for _, file := range keys(c.Modules) {
		pkg := c.Modules[file].Package.Path
		refers := func(r ast.Ref) bool { return r.HasPrefix(pkg) || pkg.HasPrefix(r) }
		if gateOf(file) == gate && !judging[pkg.String()] && !slices.ContainsFunc(refs, refers) {
			return unusable(set, file, "defines no deny, violation or warn rule, and no other file uses it", nil)
		}
	}
	return nil
}

// everyReferenceDefined refuses a reference to data that neither a rule nor a data file defines: a
// parameter that is misspelled, or whose file was removed, would switch its rules off.
func everyReferenceDefined(set string, c *ast.Compiler, data map[string]any) error {
	for _, file := range keys(c.Modules) {
		for _, ref := range dataRefs(c.Modules[file]) {
			if !isRule(c.RuleTree, ref) && !isDefined(data, ref) {
				return unusable(set, file, "refers to "+ref.String()+", which neither a rule nor a data file defines", nil)
			}
		}
	}
	return nil
}

// dataRefs are the fixed parts of all references below data.
func dataRefs(m *ast.Module) []ast.Ref {
	var refs []ast.Ref
	ast.WalkRefs(m, func(r ast.Ref) bool {
		if r.HasPrefix(ast.DefaultRootRef) {
			refs = append(refs, r.GroundPrefix())
		}
		return false
	})
	return refs
}

// isRule reports whether the path leads to a rule, into one, or to a package.
func isRule(node *ast.TreeNode, ref ast.Ref) bool {
	for _, term := range ref {
		if len(node.Values) > 0 {
			return true
		}
		if node = node.Child(term.Value); node == nil {
			return false
		}
	}
	return true
}

// isDefined reports whether the path leads to a value in the data files.
func isDefined(data map[string]any, ref ast.Ref) bool {
	path := make([]string, 0, len(ref))
	for _, term := range ref[1:] {
		key, ok := term.Value.(ast.String)
		if !ok {
			return false
		}
		path = append(path, string(key))
	}
	return has(data, path)
}

// has reports whether the data document has a value at the path.
func has(data map[string]any, path []string) bool {
	_, ok := lookUp(data, path)
	return ok
}

// lookUp returns the value at the path of the data document.
func lookUp(data map[string]any, path []string) (any, bool) {
	var at any = data
	for _, key := range path {
		object, ok := at.(map[string]any)
		if !ok {
			return nil, false
		}
		if at, ok = object[key]; !ok {
			return nil, false
		}
	}
	return at, true
}

package gate

import "github.com/open-policy-agent/opa/v1/ast"

// needs says which top-level parts of the input rules can look at.
type needs struct {
	all   bool
	names map[string]bool
}

// ownNeeds is what the gate itself looks at in a plan. Of planned_values it asks only whether it is there.
var ownNeeds = map[string]bool{"format_version": true, "resource_changes": true, "errored": true, "complete": true}

// readNeeds finds the references to the input. One that does not name a part, such as input itself or
// input[x], means all of it.
func readNeeds(c *ast.Compiler) needs {
	n := needs{names: map[string]bool{}}
	for _, m := range c.Modules {
		ast.WalkTerms(m, func(t *ast.Term) bool {
			switch v := t.Value.(type) {
			case ast.Var:
				n.all = n.all || v.Equal(ast.InputRootDocument.Value)
			case ast.Ref:
				if v[0].Equal(ast.InputRootDocument) {
					return n.see(v)
				}
			}
			return false
		})
	}
	return n
}

// see reports whether the reference needs no further look: nothing is computed in its indexes.
func (n *needs) see(ref ast.Ref) bool {
	if len(ref) < 2 {
		n.all = true
		return true
	}
	name, ok := ref[1].Value.(ast.String)
	n.names[string(name)] = true
	n.all = n.all || !ok
	for _, t := range ref[2:] {
		switch t.Value.(type) {
		case ast.Var, ast.String, ast.Number, ast.Boolean, ast.Null:
		default:
			n.all = true
		}
	}
	return true
}

func (n *needs) add(other needs) {
	n.all = n.all || other.all
	for name := range other.names {
		n.names[name] = true
	}
}

func (n needs) cover(other needs) bool {
	if n.all || other.all {
		return n.all
	}
	for name := range other.names {
		if !n.names[name] {
			return false
		}
	}
	return true
}

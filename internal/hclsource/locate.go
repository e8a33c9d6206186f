package hclsource

import (
	"slices"

	"github.com/hashicorp/hcl/v2"
)

// Locate returns the lines that a value of the plan comes from, the innermost first: the
// attribute in the resource's block, then the argument of the module call and the local value or
// variable that it refers to, level by level, out to the value that the root module is given. An
// attribute that is not written leads to the header of the block that lacks it; a tag that the
// resource does not set, to the provider's default_tags. attribute is a path such as
// network_configuration[0].assign_public_ip or tags["Team"], or empty for the resource itself.
//
// A resource of a module that is not in the repository leads to the module call. The result is
// empty when not even that is found.
func (m *Module) Locate(address, attribute string) []Location {
	a, err := ParseAddress(address)
	if err != nil {
		return nil
	}
	frame, complete := m.frame(a.Modules)
	if !complete || a.Mode == "" {
		return frame.callers()
	}
	blocks := frame.dir.resources[resourceKey{a.Mode, a.Type, a.Name}]
	if len(blocks) == 0 {
		return frame.callers()
	}
	path, ok := parsePath(attribute)
	if !ok {
		return append([]Location{headerOf(blocks[0])}, frame.callers()...)
	}
	s := scope{frame: frame, key: a.Key}
	s.forEach, _ = find(blocks, "for_each")
	if path[0].isName("tags") || path[0].isName("tags_all") {
		return m.locateTags(s, a, blocks, path[1:])
	}
	t := tracer{m: m}
	t.block(blocks, path, s)
	return t.found
}

// frame is a module as called, which is a place in the tree of calls.
type frame struct {
	dir    *directory
	call   *moduleCall // nil for the root
	key    Key         // of the call
	caller *frame
}

// frame walks down the calls. It reports false, with the innermost frame that it knows, when one
// of the modules is not in the repository.
func (m *Module) frame(modules []Instance) (*frame, bool) {
	f := &frame{dir: m.dirs[m.dir]}
	for _, instance := range modules {
		call := f.dir.calls[instance.Name]
		if call == nil {
			return f, false
		}
		dir := m.dirs[call.dir]
		if !call.local || dir == nil {
			return &frame{call: call, caller: f}, false
		}
		f = &frame{dir, call, instance.Key, f}
	}
	return f, true
}

// callers returns the module calls from the frame outwards.
func (f *frame) callers() []Location {
	var out []Location
	for ; f != nil && f.call != nil; f = f.caller {
		out = append(out, f.call.location())
	}
	return out
}

// scope is where an expression is evaluated: what each.value and a dynamic block's iterator mean.
type scope struct {
	frame     *frame
	forEach   *hcl.Attribute // of the resource or module call; nil without
	key       Key
	iterators map[string]*hcl.Attribute // for_each of the dynamic blocks around, by iterator
}

// outer is the scope of the arguments of the frame's module call.
func (f *frame) outer() scope {
	s := scope{frame: f.caller, key: f.key}
	s.forEach, _ = find(f.call.blocks, "for_each")
	return s
}

// locateTags looks for a tag where it can be written: in the resource or in the provider's
// default_tags. The place that names the tag comes first; of two that do not, the resource.
func (m *Module) locateTags(s scope, a Address, blocks []*hcl.Block, key []step) []Location {
	own, defaults := tracer{m: m}, tracer{m: m}
	own.block(blocks, append([]step{{text: "tags"}}, key...), s)
	if provider, scope := s.frame.provider(a.Type, blocks); provider != nil {
		defaults.block(provider, append([]step{{text: "default_tags"}, {text: "tags"}}, key...), scope)
	}
	first, second := own.found, defaults.found
	switch {
	case own.exact && len(key) > 0:
		return first // it hides the default
	case defaults.exact && !own.exact:
		first, second = second, first
	}
	for _, l := range second {
		if !slices.Contains(first, l) {
			first = append(first, l)
		}
	}
	return first
}

// provider finds the configuration of the provider that a resource uses: in its own module or,
// passed on or inherited, in one of the callers.
func (f *frame) provider(kind string, blocks []*hcl.Block) ([]*hcl.Block, scope) {
	name, alias := implied(kind), ""
	if attr, ok := find(blocks, "provider"); ok {
		if n, al, ok := providerRef(attr.Expr); ok {
			name, alias = n, al
		}
	}
	for ; f != nil && f.dir != nil; f = f.caller {
		var found []*hcl.Block
		for _, b := range f.dir.providers[name] {
			if providerAlias(b) == alias {
				found = append(found, b)
			}
		}
		if found != nil {
			return found, scope{frame: f}
		}
		if f.call == nil {
			break
		}
		var ok bool
		if name, alias, ok = f.call.passed(name, alias); !ok {
			break
		}
	}
	return nil, scope{}
}

// passed translates a provider's name inside a module to its name outside. Only the default
// configuration is inherited without being passed.
func (c *moduleCall) passed(name, alias string) (string, string, bool) {
	inside := name
	if alias != "" {
		inside += "." + alias
	}
	if attr, ok := find(c.blocks, "providers"); ok {
		items, _ := hcl.ExprMap(attr.Expr)
		for _, item := range items {
			if n, al, ok := providerRef(item.Key); ok && (n+"."+al == inside || al == "" && n == inside) {
				return providerRef(item.Value)
			}
		}
	}
	return name, "", alias == ""
}

func providerAlias(b *hcl.Block) string {
	attr, _ := lookup(b.Body, "alias")
	if attr == nil {
		return ""
	}
	alias, _ := literal(attr.Expr)
	return alias
}

// providerRef reads a reference such as aws or aws.west.
func providerRef(expr hcl.Expression) (name, alias string, ok bool) {
	traversal, diags := hcl.AbsTraversalForExpr(expr)
	if diags.HasErrors() {
		return "", "", false
	}
	steps, ok := traversalSteps(traversal)
	switch {
	case !ok || len(steps) > 2:
		return "", "", false
	case len(steps) == 2:
		alias = steps[1].text
	}
	return steps[0].text, alias, true
}

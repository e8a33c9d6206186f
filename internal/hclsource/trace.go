package hclsource

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// tracer follows a value from where it is used to where it is written, and notes the lines on the
// way. Nothing is evaluated: at a fork, such as a conditional, it follows every branch.
type tracer struct {
	m     *Module
	found []Location
	exact bool // some line found is that of the very attribute or key, not of what lacks it
	depth int
	work  int
}

const (
	maxFound = 32   // lines; more would help nobody
	maxDepth = 64   // expressions followed one inside the other
	maxWork  = 1000 // expressions followed in all: each fork may lead to the next fork
)

func (t *tracer) note(l Location) {
	if len(t.found) < maxFound && !slices.Contains(t.found, l) {
		t.found = append(t.found, l)
	}
}

// block looks a path up in a block. Of several, which are the block and its overrides, the last
// that has it holds.
func (t *tracer) block(blocks []*hcl.Block, path []step, s scope) {
	if len(path) == 0 {
		t.exact = true
		t.note(headerOf(blocks[0]))
		return
	}
	for _, b := range slices.Backward(blocks) {
		attr, nested := lookup(b.Body, path[0].text)
		if attr != nil {
			t.attribute(attr, path[1:], s)
			return
		}
		if len(nested) > 0 {
			t.nested(nested, path[1:], s)
			return
		}
	}
	t.note(headerOf(blocks[0]))
}

// nested goes on in the n-th of several blocks. A dynamic block stands for any number of them.
func (t *tracer) nested(blocks []*hcl.Block, path []step, s scope) {
	n := 0
	if len(path) > 0 && path[0].number {
		n, _ = strconv.Atoi(path[0].text)
		path = path[1:]
	}
	chosen := blocks[min(max(n, 0), len(blocks)-1)]
	for _, b := range blocks[:min(max(n, 0)+1, len(blocks))] {
		if b.Type == "dynamic" {
			chosen = b
			break
		}
	}
	if chosen.Type == "dynamic" {
		t.dynamic(chosen, path, s)
		return
	}
	t.block([]*hcl.Block{chosen}, path, s)
}

// dynamic goes on in the content of a dynamic block, whose iterator stands for an element of its
// for_each.
func (t *tracer) dynamic(block *hcl.Block, path []step, s scope) {
	iterator := block.Labels[0]
	if attr, _ := lookup(block.Body, "iterator"); attr != nil {
		if word := hcl.ExprAsKeyword(attr.Expr); word != "" {
			iterator = word
		}
	}
	forEach, _ := lookup(block.Body, "for_each")
	iterators := maps.Clone(s.iterators)
	if iterators == nil {
		iterators = map[string]*hcl.Attribute{}
	}
	iterators[iterator] = forEach
	s.iterators = iterators
	content := nestedBlocks(block.Body, "content")
	if len(content) == 0 || len(path) == 0 {
		t.block([]*hcl.Block{block}, nil, s)
	} else {
		t.block(content, path, s)
	}
	if forEach != nil {
		t.attribute(forEach, nil, s)
	}
}

// attribute notes the lines of an attribute, or of the part of it that the path leads to, and
// follows what it refers to.
func (t *tracer) attribute(attr *hcl.Attribute, path []step, s scope) {
	rng, expr, rest := narrow(attr.Range, attr.Expr, path)
	if len(rest) == 0 && (len(path) > 0 || len(t.found) == 0) {
		t.exact = true
	}
	t.note(locationOf(rng))
	t.expression(expr, rest, s)
}

// narrow follows a path through objects and lists that are written out, as far as they are.
func narrow(rng hcl.Range, expr hcl.Expression, path []step) (hcl.Range, hcl.Expression, []step) {
	for len(path) > 0 {
		if items, diags := hcl.ExprMap(expr); !diags.HasErrors() {
			item, ok := itemOf(items, path[0].text)
			switch {
			case ok:
				rng, expr, path = hcl.RangeBetween(item.Key.Range(), item.Value.Range()), item.Value, path[1:]
			case path[0].number: // in JSON a single block may be written without a list around it
				path = path[1:]
			default:
				return rng, expr, path
			}
			continue
		}
		elements, diags := hcl.ExprList(expr)
		n, err := strconv.Atoi(path[0].text)
		if diags.HasErrors() || err != nil || n < 0 || n >= len(elements) {
			return rng, expr, path
		}
		rng, expr, path = elements[n].Range(), elements[n], path[1:]
	}
	return rng, expr, path
}

// itemOf finds the item of a key. The last of several holds.
func itemOf(items []hcl.KeyValuePair, key string) (hcl.KeyValuePair, bool) {
	for _, item := range slices.Backward(items) {
		if k, ok := itemKey(item); ok && k == key {
			return item, true
		}
	}
	return hcl.KeyValuePair{}, false
}

// transparent are functions whose result holds what their arguments hold, at the same path.
var transparent = []string{"merge", "coalesce", "try", "tomap", "tolist", "toset", "sensitive", "nonsensitive", "one"}

// expression follows what an expression refers to. path leads to the part of its value that
// matters; it is empty when that is all of it, or no longer known.
func (t *tracer) expression(expr hcl.Expression, path []step, s scope) {
	if t.depth >= maxDepth || t.work >= maxWork || len(t.found) >= maxFound {
		return
	}
	t.depth++
	t.work++
	defer func() { t.depth-- }()

	if len(path) > 0 {
		if rng, inner, rest := narrow(expr.Range(), expr, path); len(rest) < len(path) {
			t.exact = t.exact || len(rest) == 0
			t.note(locationOf(rng))
			t.expression(inner, rest, s)
			return
		}
		if _, diags := hcl.ExprMap(expr); !diags.HasErrors() {
			return // other keys' values do not matter
		}
	}
	if steps, ok := staticPath(expr); ok {
		t.reference(steps, path, s)
		return
	}
	if call, diags := hcl.ExprCall(expr); !diags.HasErrors() && slices.Contains(transparent, call.Name) {
		t.call(call, path, s)
		return
	}
	if t.native(expr, path, s) {
		return
	}
	for _, traversal := range expr.Variables() {
		if steps, ok := traversalSteps(traversal); ok {
			t.reference(steps, nil, s)
		}
	}
}

// call follows the arguments of a transparent function, the last first: of those of merge, it
// holds.
func (t *tracer) call(call *hcl.StaticCall, path []step, s scope) {
	for _, arg := range slices.Backward(call.Arguments) {
		t.expression(arg, path, s)
		if _, _, rest := narrow(arg.Range(), arg, path); call.Name == "merge" && len(rest) < len(path) {
			return
		}
	}
}

// native follows the forms that only native syntax can tell apart.
func (t *tracer) native(expr hcl.Expression, path []step, s scope) bool {
	switch e := expr.(type) {
	case *hclsyntax.ParenthesesExpr:
		t.expression(e.Expression, path, s)
	case *hclsyntax.TemplateWrapExpr:
		t.expression(e.Wrapped, path, s)
	case *hclsyntax.ConditionalExpr:
		t.expression(e.TrueResult, path, s)
		t.expression(e.FalseResult, path, s)
		t.expression(e.Condition, nil, s)
	case *hclsyntax.IndexExpr:
		if key, ok := s.index(e.Key); ok {
			t.expression(e.Collection, append([]step{key}, path...), s)
		} else {
			t.expression(e.Collection, nil, s)
		}
	case *hclsyntax.RelativeTraversalExpr:
		steps, ok := traversalSteps(e.Traversal)
		if !ok {
			return false
		}
		t.expression(e.Source, append(steps, path...), s)
	case *hclsyntax.ForExpr:
		t.expression(e.CollExpr, forPath(e, path), s)
	default:
		return false
	}
	return true
}

// forPath translates a path into the result of a for expression to one into what it goes over,
// where the keys stay as they are.
func forPath(e *hclsyntax.ForExpr, path []step) []step {
	if e.KeyExpr == nil || len(path) == 0 || hcl.ExprAsKeyword(e.KeyExpr) != e.KeyVar {
		return nil
	}
	if hcl.ExprAsKeyword(e.ValExpr) == e.ValVar {
		return path
	}
	return path[:1]
}

// index is the step that an index expression takes, when it is fixed for the instance.
func (s scope) index(key hcl.Expression) (step, bool) {
	if steps, ok := staticPath(key); ok && len(steps) == 2 && s.key.Present {
		if steps[0].text == "each" && steps[1].text == "key" || steps[0].text == "count" && steps[1].text == "index" {
			return step{s.key.Text, true, s.key.Number}, true
		}
	}
	text, ok := literal(key)
	return step{text: text, key: true}, ok
}

// reference follows a reference to a value that is given somewhere else in the configuration.
func (t *tracer) reference(steps, path []step, s scope) {
	if len(steps) == 0 {
		return
	}
	path = slices.Concat(steps[min(2, len(steps)):], path)
	name := ""
	if len(steps) > 1 {
		name = steps[1].text
	}
	switch steps[0].text {
	case "var":
		t.variable(name, path, s.frame)
	case "local":
		if attr := s.frame.dir.locals[name]; attr != nil {
			t.attribute(attr, path, scope{frame: s.frame})
		}
	case "each":
		if s.forEach != nil && s.key.Present {
			t.element(s.forEach, step{s.key.Text, true, s.key.Number}, name, path, s)
		}
	default:
		if forEach := s.iterators[steps[0].text]; forEach != nil && name == "value" {
			t.attribute(forEach, nil, s)
		}
	}
}

// element follows each.value to the element of for_each that has the instance's key.
func (t *tracer) element(forEach *hcl.Attribute, key step, name string, path []step, s scope) {
	inner := []step{key}
	if name == "value" {
		inner = append(inner, path...)
	}
	s.forEach = nil // for_each cannot refer to each
	t.attribute(forEach, inner, s)
}

// variable follows a variable to the argument of the module call or, in the root module, to the
// file of values or the default.
func (t *tracer) variable(name string, path []step, f *frame) {
	if f.call != nil {
		if attr, ok := find(f.call.blocks, name); ok {
			t.attribute(attr, path, f.outer())
			return
		}
	} else if attr := t.m.tfvars[name]; attr != nil {
		t.attribute(attr, path, scope{frame: f})
		return
	}
	blocks := f.dir.variables[name]
	if len(blocks) == 0 {
		return
	}
	if attr, ok := find(blocks, "default"); ok {
		t.attribute(attr, path, scope{frame: f})
		return
	}
	t.note(headerOf(blocks[0]))
}

// staticPath reads an expression that is nothing but a reference, in either syntax.
func staticPath(expr hcl.Expression) ([]step, bool) {
	if native, ok := expr.(hclsyntax.Expression); ok {
		if _, ok := native.(*hclsyntax.ScopeTraversalExpr); !ok {
			return nil, false
		}
	} else if !isJSONReference(expr) {
		return nil, false
	}
	vars := expr.Variables()
	if len(vars) != 1 {
		return nil, false
	}
	return traversalSteps(vars[0])
}

// isJSONReference reports whether a JSON string is one whole interpolation of one reference. Its
// source is not at hand, so the lengths have to tell.
func isJSONReference(expr hcl.Expression) bool {
	vars := expr.Variables()
	if len(vars) != 1 {
		return false
	}
	whole, inner := expr.Range(), vars[0].SourceRange()
	return strings.HasSuffix(whole.Filename, ".json") && whole.Start.Line == whole.End.Line &&
		whole.End.Byte-whole.Start.Byte == inner.End.Byte-inner.Start.Byte+len(`"${}"`)
}

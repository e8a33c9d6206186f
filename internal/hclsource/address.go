package hclsource

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// Address is a resource address of a plan, taken apart.
type Address struct {
	Modules []Instance
	Mode    string // resource, data or ephemeral; empty for the address of a module
	Type    string
	Instance
}

// Instance is a name and, when the block repeats, its key.
type Instance struct {
	Name string
	Key  Key
}

// Key is the instance key of count or for_each.
type Key struct {
	Present bool
	Text    string // of for_each, or the decimal digits of count
	Number  bool   // it is of count
}

// ParseAddress takes an address such as module.a["k"].aws_lb.x[0] apart. Keys may hold any
// characters, quoted as Terraform quotes them.
func ParseAddress(address string) (Address, error) {
	bad := func() (Address, error) { return Address{}, fmt.Errorf("%q is not a resource address", address) }
	steps, ok := parsePath(address)
	if !ok {
		return bad()
	}
	var a Address
	for len(steps) > 0 && steps[0].isName("module") {
		if len(steps) < 2 || steps[1].key {
			return bad()
		}
		var m Instance
		m, steps = takeInstance(steps[1:])
		a.Modules = append(a.Modules, m)
	}
	if len(steps) == 0 {
		return a, nil
	}
	a.Mode = "resource"
	if steps[0].isName("data") || steps[0].isName("ephemeral") {
		a.Mode, steps = steps[0].text, steps[1:]
	}
	if len(steps) < 2 || steps[0].key || steps[1].key {
		return bad()
	}
	a.Type = steps[0].text
	a.Instance, steps = takeInstance(steps[1:])
	if len(steps) > 0 {
		return bad()
	}
	return a, nil
}

// takeInstance takes a name and the key behind it.
func takeInstance(steps []step) (Instance, []step) {
	i := Instance{Name: steps[0].text}
	steps = steps[1:]
	if len(steps) > 0 && steps[0].key {
		i.Key = Key{true, steps[0].text, steps[0].number}
		steps = steps[1:]
	}
	return i, steps
}

// step is one step of a path into a value.
type step struct {
	text   string
	key    bool // written in brackets
	number bool // a number in brackets
}

func (s step) isName(name string) bool { return !s.key && s.text == name }

const maxAddress = 64 << 10 // bytes; a for_each key can be long, but not that long

// parsePath parses names joined by dots, and keys in brackets.
func parsePath(path string) ([]step, bool) {
	if len(path) > maxAddress || strings.TrimSpace(path) != path {
		return nil, false
	}
	traversal, diags := hclsyntax.ParseTraversalAbs([]byte(path), "", hcl.InitialPos)
	if diags.HasErrors() {
		return nil, false
	}
	return traversalSteps(traversal)
}

// traversalSteps is false for a path with a step that is not fixed.
func traversalSteps(traversal hcl.Traversal) ([]step, bool) {
	steps := make([]step, 0, len(traversal))
	for _, t := range traversal {
		switch t := t.(type) {
		case hcl.TraverseRoot:
			steps = append(steps, step{text: t.Name})
		case hcl.TraverseAttr:
			steps = append(steps, step{text: t.Name})
		case hcl.TraverseIndex:
			text, ok := asText(t.Key)
			number := t.Key.Type() == cty.Number
			if _, err := strconv.ParseUint(text, 10, 63); !ok || number && err != nil {
				return nil, false
			}
			steps = append(steps, step{text, true, number})
		default:
			return nil, false
		}
	}
	return steps, true
}

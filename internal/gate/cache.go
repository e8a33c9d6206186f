package gate

import (
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// callSlots bounds how many results of function calls are remembered.
const callSlots = 1 << 15

// cache remembers what rules and functions gave. The engine's own cache keeps the result of every
// call for ever, as a tree with a map at each argument: most of the memory and a third of the time of a
// large plan. Here rules are remembered for ever as well, but calls in a table of fixed size. To forget
// one costs time but no correctness: the engine asks again.
type cache struct{ frames []*frame }

var _ topdown.VirtualCache = (*cache)(nil)

// frame is what holds for the input and data of one level of "with".
type frame struct {
	rules map[uint64][]*entry
	calls []entry // allocated when the first call is remembered
}

type entry struct {
	ref   ast.Ref
	value *ast.Term // nil for undefined
	used  bool      // since it was put here or last spared
}

func newCache() *cache { return &cache{frames: []*frame{newFrame()}} }

func newFrame() *frame { return &frame{rules: map[uint64][]*entry{}} }

// Push begins a frame that knows nothing.
func (c *cache) Push() { c.frames = append(c.frames, newFrame()) }

// Pop forgets the newest frame.
func (c *cache) Pop() { c.frames = c.frames[:len(c.frames)-1] }

func (c *cache) top() *frame { return c.frames[len(c.frames)-1] }

// Get returns the value of a rule or call, or true if it is known to be undefined.
func (c *cache) Get(ref ast.Ref) (*ast.Term, bool) {
	if found := c.top().find(ref); found != nil {
		return found.value, found.value == nil
	}
	return nil, false
}

func (f *frame) find(ref ast.Ref) *entry {
	hash := hashOf(ref)
	if !isCall(ref) {
		return findIn(f.rules[hash], ref)
	}
	if f.calls == nil {
		return nil
	}
	if found := &f.calls[hash%callSlots]; sameRef(found.ref, ref) {
		found.used = true
		return found
	}
	return nil
}

func findIn(entries []*entry, ref ast.Ref) *entry {
	for _, e := range entries {
		if sameRef(e.ref, ref) {
			return e
		}
	}
	return nil
}

// Put remembers a value, nil for undefined. The engine reuses ref.
func (c *cache) Put(ref ast.Ref, value *ast.Term) {
	f, hash := c.top(), hashOf(ref)
	if !isCall(ref) {
		if known := findIn(f.rules[hash], ref); known != nil {
			known.value = value
			return
		}
		f.rules[hash] = append(f.rules[hash], &entry{ref: append(ast.Ref(nil), ref...), value: value})
		return
	}
	if f.calls == nil {
		f.calls = make([]entry, callSlots)
	}
	at := &f.calls[hash%callSlots]
	if at.used && !sameRef(at.ref, ref) {
		at.used = false // what was asked for again is spared once
		return
	}
	at.ref, at.value, at.used = append(at.ref[:0], ref...), value, false
}

// Keys lists what is remembered.
func (c *cache) Keys() []ast.Ref {
	var refs []ast.Ref
	for _, entries := range c.top().rules {
		for _, e := range entries {
			refs = append(refs, e.ref)
		}
	}
	for _, e := range c.top().calls {
		if e.ref != nil {
			refs = append(refs, e.ref)
		}
	}
	return refs
}

// isCall tells the call of a function, which begins with the function's own reference, from a rule.
func isCall(ref ast.Ref) bool {
	_, nested := ref[0].Value.(ast.Ref)
	return nested
}

func hashOf(ref ast.Ref) uint64 {
	hash := uint64(len(ref))
	for _, t := range ref {
		hash = mix(hash, uint64(t.Hash()))
	}
	return hash
}

func sameRef(a, b ast.Ref) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !a[i].Equal(b[i]) {
			return false
		}
	}
	return true
}

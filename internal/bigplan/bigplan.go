// Package bigplan makes large Terraform plans out of small real ones, to measure with.
//
// The root module of each seed becomes a module that a new root module calls several times, with
// for_each. The parts of plan JSON grow as Terraform's would: one configuration per call, and changes,
// planned values and prior state per instance. Ids and names differ between the instances. The same
// seeds and size always give the same plan.
package bigplan

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// keys is the number of instances of each call. They are few, as the configuration has to grow, too.
const keys = 5

// Write writes a plan with at least as many resource changes as asked for, made of whole copies of
// the seeds, which are outputs of "terraform show -json PLAN".
func Write(w io.Writer, resources int, seeds ...[]byte) error {
	return write(w, func(_, changes int) bool { return changes < resources }, seeds)
}

// WriteCalls writes a plan in which the root module calls modules as often as asked for; each call
// makes five instances of a seed, and the seeds take turns.
func WriteCalls(w io.Writer, calls int, seeds ...[]byte) error {
	return write(w, func(made, _ int) bool { return made < calls }, seeds)
}

func write(w io.Writer, more func(calls, changes int) bool, seeds [][]byte) error {
	var parsed []*seed
	for i, content := range seeds {
		s, err := parse(content)
		if err != nil {
			return fmt.Errorf("read seed %d: %w", i, err)
		}
		parsed = append(parsed, s)
	}
	buffered := bufio.NewWriter(w)
	p := &plan{w: buffered}
	p.write(instances(parsed, more))
	if p.err != nil {
		return fmt.Errorf("write the plan: %w", p.err)
	}
	return buffered.Flush()
}

// instance is one copy of a seed.
type instance struct {
	seed *seed
	call string // name of the module call
	key  string
	own  *strings.Replacer // makes ids and names differ from those of other instances
}

// instances takes each seed in turn: all instances of a call, then those of the next seed's call.
func instances(seeds []*seed, more func(calls, changes int) bool) []instance {
	var all []instance
	for n, changes := 0, 0; more(n, changes); n++ {
		s := seeds[n%len(seeds)]
		for k := range keys {
			in := instance{seed: s, call: fmt.Sprintf("stack_%03d", n), key: fmt.Sprintf("team-%02d", k)}
			in.own = s.replacer(fmt.Sprintf("%d%02d", n, k))
			all = append(all, in)
			changes += len(s.plan.ResourceChanges)
		}
	}
	return all
}

// address is where the instance's module stands.
func (in instance) address() string { return fmt.Sprintf("module.%s[%q]", in.call, in.key) }

// inside moves an address of the seed into the instance.
func (in instance) inside(raw json.RawMessage) json.RawMessage {
	var address string
	if err := json.Unmarshal(raw, &address); err != nil || address == "" {
		return quoted(in.address())
	}
	return quoted(in.address() + "." + address)
}

func (in instance) replace(raw json.RawMessage) json.RawMessage {
	if raw == nil {
		return json.RawMessage("{}")
	}
	return json.RawMessage(in.own.Replace(string(raw)))
}

func quoted(s string) json.RawMessage {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings can always be written
	}
	return text
}

// calls are the instances that have a call of their own: the first of each.
func calls(all []instance) []instance {
	return slices.CompactFunc(slices.Clone(all), func(a, b instance) bool { return a.call == b.call })
}

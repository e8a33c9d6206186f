package enginetest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/engine"
	"github.com/tollgate/tollgate/internal/terraform"
)

// Cloud is all that lives outside of servers and outlives them: states, the processes of applies, and
// the ledger of their effects.
type Cloud struct {
	// Starting, if not nil, is called when an apply is about to start, before it has any effect.
	Starting func(Apply)
	// Launching, if not nil, is called when a server has asked for an apply, before its process looks at the fence.
	Launching func()
	// Planning, if not nil, is called when a plan is about to be made.
	Planning func()

	mu        sync.Mutex
	states    map[string]*state            // by the file or key of the state
	checkouts map[string]map[string]string // files by directory
	plans     int
	processes map[string]*process // by the runner's directory
	script    []Ending
	applies   []*Apply
	changed   chan struct{} // closed, and replaced, at each change
}

// state is what Terraform knows of resources, and the world itself.
type state struct {
	serial int
	values map[string]string // by resource
}

// Apply is one start of Terraform's apply, in the ledger that the product cannot see.
type Apply struct {
	Execution string            // as the server calls it
	Plan      int               // which plan
	Files     map[string]string // of the tree that it runs in
	Steps     []Step            // of the plan
	Effects   []Step            // what it has done
	Ending    Ending            // empty until it has ended; Stale if Terraform refused the plan
}

// Ending is how an apply goes.
type Ending string

// The endings.
const (
	Well    Ending = "well"
	Clean   Ending = "clean"   // Terraform refuses before it begins
	Partial Ending = "partial" // the first effect happens, the second fails
	Killed  Ending = "killed"  // the first effect happens, and nobody is left to tell
	Unborn  Ending = "unborn"  // no process comes to life
	Held    Ending = "held"    // it goes on until EndHeld
	Stale   Ending = "stale"   // Terraform refuses, because the state has moved
)

func newCloud() *Cloud {
	return &Cloud{states: map[string]*state{}, checkouts: map[string]map[string]string{}, processes: map[string]*process{}, changed: make(chan struct{})}
}

// wake lets those who watch look again.
func (c *Cloud) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.touch()
}

func (c *Cloud) touch() {
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *Cloud) checkOut(dir string, files map[string]string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.checkouts[dir] = files
}

// Next makes the next applies end so, in this order; after them, applies end well.
func (c *Cloud) Next(endings ...Ending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.script = append(c.script, endings...)
}

// Forget drops what Next has asked for.
func (c *Cloud) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.script = nil
}

// Plans is how many plans were made.
func (c *Cloud) Plans() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.plans
}

// Applies are all that were started, in order.
func (c *Cloud) Applies() []Apply {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []Apply
	for _, a := range c.applies {
		copied := *a
		copied.Effects = slices.Clone(a.Effects)
		out = append(out, copied)
	}
	return out
}

// Values are the resources of the one state that there is, by name.
func (c *Cloud) Values() map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.states {
		return maps.Clone(s.values)
	}
	return nil
}

// Change gives resources other values behind the product's back: "" removes one.
func (c *Cloud) Change(name, value string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.states {
		s.set(name, value)
		s.serial++
	}
}

func (s *state) set(name, value string) {
	if value == "" {
		delete(s.values, name)
		return
	}
	s.values[name] = value
}

// Step is one change of a plan.
type Step struct {
	Name   string `json:"name"`
	Before string `json:"before"`
	After  string `json:"after"`
}

func (s Step) action() change.Action {
	switch {
	case s.Before == "":
		return change.Create
	case s.After == "":
		return change.Delete
	}
	return change.Update
}

// saved is a plan file.
type saved struct {
	Plan   int    `json:"plan"`
	State  string `json:"state"`
	Serial int    `json:"serial"`
	Steps  []Step `json:"steps"`
}

// Terraform knows one kind of resource, which has one value.
type Terraform struct {
	cloud *Cloud
	alive func() bool // the server's that runs it
}

var _ engine.Terraform = Terraform{}

var errDead = errors.New("the server is dead")

var resource = regexp.MustCompile(`(?s)resource "terraform_data" "([a-z0-9_]+)" \{\s*input = "([^"]*)"\s*\}`)

// Plan compares the files with the state.
func (t Terraform) Plan(ctx context.Context, m terraform.Module, to terraform.PlanTo) (*terraform.Plan, error) {
	if !t.alive() {
		return nil, errDead
	}
	c := t.cloud
	if c.Planning != nil {
		c.Planning()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	files, ok := c.checkouts[m.Root]
	if !ok {
		return nil, fmt.Errorf("nothing was checked out to %s", m.Root)
	}
	key := cmp.Or(m.StatePath, m.Key)
	s := c.states[key]
	if s == nil {
		s = &state{values: map[string]string{}}
		c.states[key] = s
	}
	c.plans++
	p := saved{Plan: c.plans, State: key, Serial: s.serial, Steps: Difference(s.values, files)}
	file, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	_, _ = io.WriteString(to.Log, "Terraform will perform the following actions:\n")
	return &terraform.Plan{JSON: p.show(), Summary: p.summary()}, os.WriteFile(to.File, file, 0o600)
}

// Difference is what Terraform would do to make the resources what the files say.
func Difference(is, files map[string]string) []Step {
	want := map[string]string{}
	for name, text := range files {
		if strings.HasPrefix(name, Dir+"/") {
			for _, r := range resource.FindAllStringSubmatch(text, -1) {
				want[r[1]] = r[2]
			}
		}
	}
	var steps []Step
	for name, after := range want {
		if is[name] != after {
			steps = append(steps, Step{name, is[name], after})
		}
	}
	for name, before := range is {
		if _, ok := want[name]; !ok {
			steps = append(steps, Step{name, before, ""})
		}
	}
	slices.SortFunc(steps, func(a, b Step) int { return strings.Compare(a.Name, b.Name) })
	return steps
}

// show is the plan as "terraform show -json" would print it.
func (p saved) show() []byte {
	type object = map[string]any
	value := func(v string) any {
		if v == "" {
			return nil
		}
		return object{"input": v}
	}
	changes := []object{}
	for _, s := range p.Steps {
		changes = append(changes, object{"address": "terraform_data." + s.Name, "mode": "managed", "type": "terraform_data", "name": s.Name,
			"provider_name": "terraform.io/builtin/terraform", "change": object{"actions": []string{string(s.action())}, "before": value(s.Before), "after": value(s.After)}})
	}
	b, err := json.Marshal(object{"format_version": "1.2", "terraform_version": "1.11.4", "complete": true, "errored": false,
		"planned_values": object{"root_module": object{}}, "resource_changes": changes})
	if err != nil {
		panic(err) // strings always encode
	}
	return b
}

func (p saved) summary() change.PlanSummary {
	s := change.PlanSummary{TerraformVersion: "1.11.4", EffectDigest: Effect(p.Steps)}
	for _, x := range p.Steps {
		switch x.action() {
		case change.Create:
			s.Counts.Create++
		case change.Delete:
			s.Counts.Delete++
		default:
			s.Counts.Update++
		}
		s.Changes = append(s.Changes, change.ResourceChange{Address: "terraform_data." + x.Name, Type: "terraform_data", Action: x.action(), Attributes: []string{"input"}})
	}
	return s
}

// ApplyCommand is what the runner is to run.
func (t Terraform) ApplyCommand(_ context.Context, m terraform.Module, planFile string, _ io.Writer) (terraform.Command, error) {
	return terraform.Command{Path: "terraform", Args: []string{"apply", planFile}, Dir: m.Root}, nil
}

// Effect is the digest of what a plan does.
func Effect(steps []Step) string {
	b, err := json.Marshal(steps)
	if err != nil {
		panic(err) // strings always encode
	}
	h := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(h[:])
}

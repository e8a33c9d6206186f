package enginetest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"slices"
	"sync"
	"testing/fstest"

	"github.com/tollgate/tollgate/internal/engine"
	"github.com/tollgate/tollgate/internal/gate"
	"github.com/tollgate/tollgate/internal/judge"
	"github.com/tollgate/tollgate/policies"
)

// rule is the one rule of the plan gate in these worlds.
const rule = `# METADATA
# title: Nothing forbidden
package plan.words

deny contains {"rule": "words", "address": r.address, "msg": "it is forbidden"} if {
	some r in input.resource_changes
	startswith(r.change.after.input, "forbidden")
}
`

// sourceRule is the one rule of the source gate.
const sourceRule = `# METADATA
# title: Nothing is called refused
package source.words

deny contains {"rule": "words", "address": r.address, "file": r.file, "line": r.line, "msg": "it is refused"} if {
	some r in input.resources
	r.name == "refused"
}
`

// builtIn are the product's own rules for applies, and a simple one each for code and plans.
func builtIn() (*gate.Source, error) {
	files := fstest.MapFS{"source/words/words.rego": {Data: []byte(sourceRule)}, "plan/words/words.rego": {Data: []byte(rule)}}
	err := fs.WalkDir(policies.Files, "apply", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := policies.Files.ReadFile(name)
		files[name] = &fstest.MapFile{Data: b}
		return err
	})
	if err != nil {
		return nil, err
	}
	return gate.Read("built in", files)
}

// Judge evaluates the real gate in this process, and compiles each set once.
type Judge struct{ sets sync.Map }

var _ engine.Judge = (*Judge)(nil)

func (j *Judge) compiled(src *gate.Source) (*gate.Set, error) {
	if set, ok := j.sets.Load(src.Digest); ok {
		return set.(*gate.Set), nil
	}
	set, err := gate.Compile(src, gate.ForSources, gate.ForPlans, gate.ForApplies)
	if err == nil {
		j.sets.Store(src.Digest, set)
	}
	return set, err
}

// Prepare has nothing to prepare.
func (j *Judge) Prepare(_ context.Context, sets []*gate.Source) (judge.Pending, error) {
	return pending{j, sets}, nil
}

type pending struct {
	judge *Judge
	sets  []*gate.Source
}

func (pending) Close() {}

func (p pending) Plan(ctx context.Context, plan io.Reader) (gate.Result, error) {
	return p.judge.Plan(ctx, p.sets, plan)
}

// PrepareSources has nothing to prepare.
func (j *Judge) PrepareSources(_ context.Context, sets []*gate.Source) (judge.PendingSources, error) {
	return pending{j, sets}, nil
}

// Sources judges by every set that has rules for code.
func (p pending) Sources(ctx context.Context, documents []json.RawMessage) ([]gate.Result, error) {
	out := make([]gate.Result, len(documents))
	n := 0
	for _, src := range p.sets {
		set, err := p.judge.compiled(src)
		if err != nil {
			return nil, err
		}
		if !set.JudgesSources() {
			continue
		}
		n++
		for i, d := range documents {
			r, err := set.JudgeSource(ctx, d)
			if err != nil {
				return nil, err
			}
			out[i].Findings = append(out[i].Findings, r.Findings...)
		}
	}
	if n == 0 {
		return nil, errors.New("no set judges code")
	}
	return out, nil
}

// Plan judges by every set that has rules for plans.
func (j *Judge) Plan(ctx context.Context, sets []*gate.Source, plan io.Reader) (gate.Result, error) {
	b, err := io.ReadAll(plan)
	if err != nil {
		return gate.Result{}, err
	}
	var all gate.Result
	n := 0
	for _, src := range sets {
		set, err := j.compiled(src)
		if err != nil {
			return gate.Result{}, err
		}
		if !set.JudgesPlans() {
			continue
		}
		r, err := set.JudgePlan(ctx, b)
		if err != nil {
			return gate.Result{}, err
		}
		n++
		all.ResourcesJudged = max(all.ResourcesJudged, r.ResourcesJudged)
		all.Findings = append(all.Findings, r.Findings...)
		all.Unwaivable = append(all.Unwaivable, r.Unwaivable...)
	}
	slices.Sort(all.Unwaivable)
	if n == 0 {
		return gate.Result{}, errors.New("no set judges plans")
	}
	return all, nil
}

// Apply asks every set that has rules for applies.
func (j *Judge) Apply(ctx context.Context, sets []*gate.Source, in gate.ApplyInput) (gate.Decision, error) {
	all, n := gate.Decision{Allowed: true}, 0
	for _, src := range sets {
		set, err := j.compiled(src)
		if err != nil {
			return gate.Decision{}, err
		}
		if !set.JudgesApplies() {
			continue
		}
		d, err := set.JudgeApply(ctx, in)
		if err != nil {
			return gate.Decision{}, err
		}
		n++
		all.Allowed = all.Allowed && d.Allowed
		all.Denials = append(all.Denials, d.Denials...)
		all.Requirements = append(all.Requirements, d.Requirements...)
	}
	if n == 0 {
		return gate.Decision{}, errors.New("no set judges applies")
	}
	return all, nil
}

// Check compiles the sets.
func (j *Judge) Check(_ context.Context, sets []*gate.Source) ([]judge.Judges, error) {
	var out []judge.Judges
	for _, src := range sets {
		set, err := j.compiled(src)
		if err != nil {
			return nil, err
		}
		out = append(out, judge.Judges{Plans: set.JudgesPlans(), Applies: set.JudgesApplies()})
	}
	return out, nil
}

// Test runs the tests of a set.
func (j *Judge) Test(ctx context.Context, src *gate.Source) (gate.TestResult, error) {
	return gate.Test(ctx, src)
}

// Package judge evaluates policies in a process of their own, because rules are programs that other
// people write: one that never ends, eats all memory or crashes the engine must not take the server
// along, and must never become a verdict.
//
// The process is "bot judge". It gets the policies and the document to be judged on its standard
// input and answers on its standard output; it has no arguments, no environment, no other files and no
// network. Whatever it does but to answer completely is an error, and an error is never a verdict.
package judge

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/gate"
)

// The limits of one evaluation, unless Config says otherwise.
const (
	DefaultTime   = 60 * time.Second
	DefaultMemory = 2 << 30 // bytes
)

// Config is what New needs.
type Config struct {
	// Command starts the process: a program and its arguments, such as ["/usr/bin/bot", "judge"].
	Command []string
	// Time is how long one evaluation may take, compiling included; 0 means DefaultTime.
	Time time.Duration
	// Memory is what one evaluation may use beyond the program itself, in bytes; 0 means
	// DefaultMemory. The kernel enforces it on Linux; elsewhere it only makes the process collect
	// garbage more often.
	Memory int64
}

// Judge starts a process per evaluation. It is safe for concurrent use.
type Judge struct{ cfg Config }

// New returns a Judge.
func New(cfg Config) (*Judge, error) {
	if cfg.Time == 0 {
		cfg.Time = DefaultTime
	}
	if cfg.Memory == 0 {
		cfg.Memory = DefaultMemory
	}
	if len(cfg.Command) == 0 || cfg.Time < 0 || cfg.Memory < 0 {
		return nil, fmt.Errorf("judge needs a command and positive limits, has %q, %v, %d bytes", cfg.Command, cfg.Time, cfg.Memory)
	}
	return &Judge{cfg: cfg}, nil
}

// Judges is what a policy set has rules for.
type Judges struct{ Sources, Plans, Applies bool }

// Check compiles the sets and says of each, in their order, what it judges. It returns a
// *fault.Error for the first set that cannot be used.
func (j *Judge) Check(ctx context.Context, sets []*gate.Source) ([]Judges, error) {
	a, err := j.ask(ctx, request{Op: opCheck, Sets: sets})
	if err != nil {
		return nil, err
	}
	if err := accounted(sets, a); err != nil {
		return nil, err
	}
	out := make([]Judges, len(sets))
	for i, s := range a.Sets {
		out[i] = Judges{Sources: s.Sources, Plans: s.Plans, Applies: s.Applies}
	}
	return out, nil
}

// Plan judges the output of "terraform show -json" by every set that has rules for plans. A finding
// that sets share is reported once. The time limit runs while plan is read, so it should be at
// hand; after an error a Read of it may still be under way. It returns a *fault.Error, and no
// verdict, unless every one of these sets has judged the whole plan, and at least one has.
func (j *Judge) Plan(ctx context.Context, sets []*gate.Source, plan io.Reader) (gate.Result, error) {
	p, err := j.Prepare(ctx, sets)
	if err != nil {
		return gate.Result{}, err
	}
	defer p.Close()
	return p.Plan(ctx, plan)
}

// Pending is a judgement that waits for its plan. Plan can be called once, and the time limit begins
// with it; the caller must call Close.
type Pending interface {
	Plan(ctx context.Context, plan io.Reader) (gate.Result, error)
	Close()
}

// prepared is a process that has compiled its sets, or is about to.
type prepared struct {
	judge *Judge
	sets  []*gate.Source
	child *child
}

// Prepare starts what Plan needs before there is a plan, so that compiling costs no time when it
// arrives. The caller must call Close; the process ends with ctx at the latest. Policies that
// cannot be used are an error of Plan.
func (j *Judge) Prepare(ctx context.Context, sets []*gate.Source) (Pending, error) {
	c, err := j.start(ctx, request{Op: opPlan, Sets: sets})
	if err != nil {
		return nil, err
	}
	return &prepared{judge: j, sets: sets, child: c}, nil
}

// Plan is Judge.Plan. It can be called once; the time limit begins anew.
func (p *prepared) Plan(ctx context.Context, plan io.Reader) (gate.Result, error) {
	a, err := p.child.finish(ctx, plan)
	if err != nil {
		return gate.Result{}, err
	}
	if err := judged(p.sets, a, func(s setAnswer) bool { return s.Plans }); err != nil {
		return gate.Result{}, err
	}
	if a.Result == nil || len(a.Result.Findings) != a.Findings {
		return gate.Result{}, incomplete()
	}
	return *a.Result, nil
}

// Close ends the process, if it has not ended, and frees what belongs to it.
func (p *prepared) Close() { p.child.close() }

// PendingSources is a judgement that waits for the code. Sources can be called once, and the time limit
// begins with it; the caller must call Close.
type PendingSources interface {
	Sources(ctx context.Context, documents []json.RawMessage) ([]gate.Result, error)
	Close()
}

// PrepareSources is Prepare for code, which is read while the rules are compiled.
func (j *Judge) PrepareSources(ctx context.Context, sets []*gate.Source) (PendingSources, error) {
	c, err := j.start(ctx, request{Op: opSource, Sets: sets})
	if err != nil {
		return nil, err
	}
	return &prepared{judge: j, sets: sets, child: c}, nil
}

// Sources judges the code of projects by every set that has rules for code, and gives a result for each
// document, in their order. It returns a *fault.Error, and no verdict, unless every one of these sets
// has judged every document, and at least one set has.
func (p *prepared) Sources(ctx context.Context, documents []json.RawMessage) ([]gate.Result, error) {
	input, err := json.Marshal(documents)
	if err != nil {
		return nil, fault.Wrap(err, "The description of the code cannot be judged.", whyNoVerdict, "")
	}
	a, err := p.child.finish(ctx, bytes.NewReader(input))
	if err != nil {
		return nil, err
	}
	if err := judged(p.sets, a, func(s setAnswer) bool { return s.Sources }); err != nil {
		return nil, err
	}
	if len(a.Sources) != len(documents) {
		return nil, incomplete()
	}
	return a.Sources, nil
}

// Apply asks every set that has rules for applies. The decision is the strictest of theirs: what one
// of them denies or requires, is denied or required.
func (j *Judge) Apply(ctx context.Context, sets []*gate.Source, in gate.ApplyInput) (gate.Decision, error) {
	input, err := json.Marshal(in)
	if err != nil {
		return gate.Decision{}, fault.Wrap(err, "The facts about the pull request cannot be judged.", whyNoVerdict, "")
	}
	a, err := j.ask(ctx, request{Op: opApply, Sets: sets, Input: input})
	if err != nil {
		return gate.Decision{}, err
	}
	if err := judged(sets, a, func(s setAnswer) bool { return s.Applies }); err != nil {
		return gate.Decision{}, err
	}
	if a.Decision == nil {
		return gate.Decision{}, incomplete()
	}
	return *a.Decision, nil
}

// Test runs the tests of a set that gate.ReadWithTests has read. A test that fails is no error.
func (j *Judge) Test(ctx context.Context, set *gate.Source) (gate.TestResult, error) {
	sets := []*gate.Source{set}
	a, err := j.ask(ctx, request{Op: opTest, Sets: sets})
	if err != nil {
		return gate.TestResult{}, err
	}
	if err := accounted(sets, a); err != nil {
		return gate.TestResult{}, err
	}
	if a.Test == nil {
		return gate.TestResult{}, incomplete()
	}
	return *a.Test, nil
}

// ask is a whole conversation with a process that needs no plan.
func (j *Judge) ask(ctx context.Context, req request) (*answer, error) {
	c, err := j.start(ctx, req)
	if err != nil {
		return nil, err
	}
	defer c.close()
	return c.finish(ctx, nil)
}

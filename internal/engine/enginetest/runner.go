package enginetest

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/tollgate/tollgate/internal/engine"
	"github.com/tollgate/tollgate/internal/runner"
)

// Runner starts the processes of applies, which know nothing of the server that asked for them.
type Runner struct {
	cloud *Cloud
	alive func() bool // the server's that asks
}

var _ engine.Runner = Runner{}

// process is an apply, or a directory in which none may start any more.
type process struct {
	status runner.Status // the zero process may not start any more
	ending Ending
	plan   saved
	log    *Apply
}

// Start is runner.Start: a directory serves once.
func (r Runner) Start(dir string, spec runner.Spec) error {
	if !r.alive() {
		return errDead
	}
	c := r.cloud
	if c.Launching != nil {
		c.Launching()
	}
	if reason := overtaken(spec.Fence); reason != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.processes[dir] = &process{status: runner.Status{State: runner.NotStarted, Reason: reason.Error()}}
		return nil
	}
	p, err := c.fork(dir, spec)
	if err != nil {
		return err
	}
	if c.Starting != nil {
		c.Starting(*p.log)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end(dir, p, p.ending)
	c.touch()
	return nil
}

// overtaken says why a runner does not start that its fence keeps back, or nil.
func overtaken(f *runner.Fence) error {
	if f == nil {
		return nil
	}
	token, err := os.ReadFile(f.File)
	if err == nil && string(token) != f.Token {
		return runner.ErrOvertaken
	}
	return err
}

// Overtake raises the fences of all states, as another server does that has taken over.
func (w *World) Overtake() error {
	files, err := filepath.Glob(filepath.Join(w.dir, "fences", "*.lock"))
	for _, file := range files {
		file = strings.TrimSuffix(file, ".lock")
		n, e := runner.ReadFence(file)
		err = errors.Join(err, e, runner.RaiseFence(file, n+10))
	}
	return err
}

// fork makes a process that has done nothing yet.
func (c *Cloud) fork(dir string, spec runner.Spec) (*process, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.processes[dir] != nil {
		return nil, runner.ErrUsed
	}
	ending := Well
	if len(c.script) > 0 {
		ending, c.script = c.script[0], c.script[1:]
	}
	if ending == Unborn {
		return nil, errors.New("fork: resource temporarily unavailable")
	}
	p := &process{status: runner.Status{State: runner.Running}, ending: ending}
	b, err := os.ReadFile(spec.Args[len(spec.Args)-1])
	if err == nil {
		err = json.Unmarshal(b, &p.plan)
	}
	if err != nil {
		return nil, err
	}
	p.log = &Apply{Execution: spec.ID, Plan: p.plan.Plan, Steps: p.plan.Steps, Files: c.checkouts[spec.Dir]}
	c.processes[dir], c.applies = p, append(c.applies, p.log)
	return p, nil
}

// end lets a process do what it does before it ends so.
func (c *Cloud) end(dir string, p *process, how Ending) {
	if how == Held {
		return
	}
	s := c.states[p.plan.State]
	p.log.Ending = how
	writes := func(output string) {
		_ = os.MkdirAll(dir, 0o700)
		_ = os.WriteFile(runner.OutputFile(dir), []byte(output), 0o600) // without it, the product has to believe the worst
	}
	exit := func(code int, output string) {
		p.status = runner.Status{State: runner.Exited, Exit: runner.Exit{Code: code}}
		writes(output)
	}
	switch {
	case how == Clean:
		exit(1, "Error: Error acquiring the state lock\n\nError message: it is held.\n")
		return
	case s.serial != p.plan.Serial:
		p.log.Ending = Stale
		exit(1, "Error: Saved plan is stale\n\nThe given plan file can no longer be applied because the state was changed by\nanother operation after the plan was created.\n")
		return
	}
	for i, x := range p.plan.Steps {
		if i > 0 && how == Partial {
			break
		}
		p.log.Effects = append(p.log.Effects, x)
		if how == Killed {
			p.status = runner.Status{State: runner.Lost}
			writes("terraform_data.first: Creating...\n")
			return // the state knows nothing of it
		}
		s.set(x.Name, x.After)
	}
	s.serial++
	if how == Partial {
		exit(1, "terraform_data.x: Creating...\n\nError: creating terraform_data\n\n  with terraform_data.y,\n\nIt was refused.\n")
		return
	}
	exit(0, "Apply complete!\n")
}

// EndHeld ends the applies that are held, and reports how many they were.
func (c *Cloud) EndHeld(how Ending) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for dir, p := range c.processes {
		if p.status.State == runner.Running {
			c.end(dir, p, how)
			n++
		}
	}
	c.touch()
	return n
}

// Holding reports whether an apply is under way.
func (c *Cloud) Holding() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.processes {
		if p.status.State == runner.Running {
			return true
		}
	}
	return false
}

// Seal is runner.Seal.
func (r Runner) Seal(dir string) (runner.Status, error) {
	if !r.alive() {
		return runner.Status{}, errDead
	}
	c := r.cloud
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.processes[dir]
	if p == nil {
		p = &process{status: runner.Status{State: runner.NotStarted}}
		c.processes[dir] = p
	}
	return p.status, nil
}

// Watch is runner.Watch.
func (r Runner) Watch(ctx context.Context, dir string) (runner.Status, error) {
	for {
		r.cloud.mu.Lock()
		p, changed := r.cloud.processes[dir], r.cloud.changed
		status := runner.Status{State: runner.NotStarted}
		if p != nil {
			status = p.status
		}
		r.cloud.mu.Unlock()
		switch {
		case !r.alive():
			return runner.Status{}, errDead
		case status.State != runner.Running:
			return status, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return status, ctx.Err()
		}
	}
}

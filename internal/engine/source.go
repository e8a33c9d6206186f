package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/hclsource"
	"github.com/tollgate/tollgate/internal/judge"
	"github.com/tollgate/tollgate/internal/store"
)

// failing are the findings without what passes.
func (v verdict) failing() []change.Finding {
	return slices.DeleteFunc(slices.Clone(v.findings), func(f change.Finding) bool { return f.Verdict == change.Pass })
}

func (v verdict) blocks() bool { return slices.ContainsFunc(v.findings, change.Finding.Blocks) }

// refuseCode judges the code of every project before anything is laid out or run, and ends the plans of
// those that are refused.
func (e *Engine) refuseCode(ctx context.Context, j *job, pending judge.PendingSources) error {
	var projects []change.Project
	for _, p := range j.plans {
		projects = append(projects, p.Project)
	}
	var err error
	if j.code, err = e.judgeCode(ctx, j, pending, projects); err != nil {
		return err
	}
	for i := range j.plans {
		p := &j.plans[i]
		v := j.code[p.Project.Name]
		if !v.blocks() {
			continue
		}
		p.State, p.Refused, p.PolicyDigest = change.RunFailed, true, j.run.PolicyDigest
		p.Findings, p.Notices, p.Waivers = v.failing(), v.notices, v.waivers
		p.StartedAt, p.FinishedAt = time.Now(), time.Now()
		if err := e.record(ctx, *p); err != nil {
			return err
		}
		e.cfg.Logger.Info("the code is refused", "run", j.run.ID, "project", p.Project.Name, "findings", len(p.Findings))
	}
	return nil
}

// nothingToRun reports whether the code of every project is refused.
func (j *job) nothingToRun() bool {
	return !slices.ContainsFunc(j.plans, func(p store.Plan) bool { return !p.Refused })
}

// judgeCode judges the code of projects in the tree of a run, by name.
func (e *Engine) judgeCode(ctx context.Context, j *job, pending judge.PendingSources, projects []change.Project) (map[string]verdict, error) {
	head, base, err := e.trees(ctx, j)
	if err != nil {
		return nil, err
	}
	var documents []json.RawMessage
	for _, p := range projects {
		d, err := json.Marshal(hclsource.Describe(hclsource.DocumentRoot{Name: p.Name, Dir: p.Dir, Workspace: p.Workspace}, head, &base))
		if err != nil {
			return nil, fmt.Errorf("describe the code of %s: %w", p.Name, err)
		}
		documents = append(documents, d)
	}
	results, err := pending.Sources(ctx, documents)
	if err != nil {
		return nil, err
	}
	verdicts := map[string]verdict{}
	for i, p := range projects {
		verdicts[p.Name] = waive(j.rules.waivers, results[i], time.Now())
	}
	return verdicts, nil
}

// trees are the tree of a run, and the one that it changes. Nothing of them is on disk.
func (e *Engine) trees(ctx context.Context, j *job) (head, base hclsource.Tree, err error) {
	entries, err := e.cfg.Git.List(ctx, j.run.RepoID, j.run.Tree)
	if err != nil {
		return head, base, err
	}
	for _, entry := range entries {
		head.Files = append(head.Files, hclsource.File(entry))
	}
	if head.FS = j.tree; head.FS == nil {
		if head.FS, err = e.cfg.Git.FS(ctx, j.run.RepoID, j.run.Tree, ".", hclsource.Reads); err != nil {
			return head, base, err
		}
	}
	before, err := e.before(ctx, j)
	if err != nil {
		return head, base, err
	}
	base.FS, err = e.cfg.Git.FS(ctx, j.run.RepoID, before, ".", hclsource.Reads)
	return head, base, err
}

// codeAllowed judges the code of plans again, by the rules as they are now, and refuses if any of it may
// not be run.
func (e *Engine) codeAllowed(ctx context.Context, j *job, plans []store.Plan) error {
	var projects []change.Project
	for _, p := range plans {
		projects = append(projects, p.Project)
	}
	pending, err := e.cfg.Judge.PrepareSources(ctx, j.rules.sets)
	if err != nil {
		return err
	}
	defer pending.Close()
	verdicts, err := e.judgeCode(ctx, j, pending, projects)
	if err != nil {
		return err
	}
	for _, p := range plans {
		if v := verdicts[p.Project.Name]; v.blocks() {
			return codeRefused(p.Project.Name, v)
		}
		if p.Refused {
			return fault.New("There is no plan of "+p.Project.Name+": its code was refused when it was looked at.", "By the policies as they are now it may be run.",
				"Comment `/plan`, look at the plan, have it approved, then comment `/apply`.")
		}
	}
	return nil
}

func codeRefused(name string, v verdict) error {
	var reasons []string
	for _, f := range v.findings {
		if f.Blocks() {
			reasons = append(reasons, fmt.Sprintf("%s:%d: %s (%s/%s)", f.File, f.Line, f.Message, f.Policy, f.Rule))
		}
	}
	slices.Sort(reasons)
	return &refusedError{fault.New("The code of "+name+" is refused, so nothing of it is run.", "It was judged by the policies as they are now.",
		"Push a change that mends it; the check of the plan shows the lines."), slices.Compact(reasons)}
}

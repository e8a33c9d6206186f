package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/artifact"
	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/cloud"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/gate"
	"github.com/tollgate/tollgate/internal/hclsource"
	"github.com/tollgate/tollgate/internal/project"
	"github.com/tollgate/tollgate/internal/redact"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/terraform"
)

// stored says where the artifacts of a plan are.
type stored struct {
	Plan   artifact.Ref      `json:"plan"`
	JSON   artifact.Ref      `json:"json"`
	Module *terraform.Module `json:"module"` // how it was planned; Root is set anew for an apply
	Maker  string            `json:"maker"`  // Config.Maker of the server that made it
}

// planLimit ends a plan that hangs, so that no check stays in progress for ever.
const planLimit = time.Hour

// planOne plans and judges one project and records the result, whatever it is.
func (e *Engine) planOne(ctx context.Context, j *job, p *store.Plan) {
	p.StartedAt = time.Now()
	var secrets []redact.Secret
	defer func() { e.sealPlanLog(j.run, *p, e.cfg.Known.With(secrets...)) }()
	err := e.survive(func() (err error) { secrets, err = e.planAndJudge(ctx, j, p); return err })
	if ctx.Err() != nil {
		e.dropArtifacts(*p)
		return
	}
	p.FinishedAt = time.Now()
	p.ShownAt = e.githubs(p.FinishedAt)
	if err != nil {
		e.cfg.Logger.Warn("plan ended without a verdict", "run", j.run.ID, "project", p.Project.Name, "error", err)
		p.State, p.Fault = change.RunErrored, fault.Public(err)
		p.Excerpt = excerpt(err)
	}
	veil(p, e.cfg.Known.With(secrets...))
	if err := e.record(ctx, *p); err != nil {
		e.cfg.Logger.Error("record plan", "run", j.run.ID, "error", err)
		p.State = change.RunErrored
	}
}

// excerpt is what Terraform itself said was wrong.
func excerpt(err error) string {
	var failed *terraform.Failure
	if !errors.As(err, &failed) {
		return ""
	}
	var b strings.Builder
	for _, d := range failed.Diagnostics {
		fmt.Fprintf(&b, "%s\n", d.Summary)
		if d.File != "" {
			fmt.Fprintf(&b, "  on %s line %d\n", d.File, d.Line)
		}
		fmt.Fprintf(&b, "%s\n\n", d.Detail)
	}
	return strings.TrimSpace(b.String())
}

func (e *Engine) record(ctx context.Context, p store.Plan) error {
	return patiently(ctx, func() error {
		return e.cfg.Store.Write(ctx, func(tx *store.Tx) error { return tx.PutPlan(ctx, p) })
	})
}

// veil masks the secrets in what people are shown of a plan.
func veil(p *store.Plan, known *redact.Known) {
	p.Text, p.Excerpt = known.Text(p.Text), known.Text(p.Excerpt)
	if p.Fault != nil {
		p.Fault = fault.Wrap(p.Fault.Err, known.Text(p.Fault.What), known.Text(p.Fault.Why), known.Text(p.Fault.Fix))
	}
	for i := range p.Findings {
		f := &p.Findings[i]
		f.Message, f.Remediation = known.Text(f.Message), known.Text(f.Remediation)
	}
}

// planAndJudge returns the values that the plan calls sensitive.
func (e *Engine) planAndJudge(ctx context.Context, j *job, p *store.Plan) (secrets []redact.Secret, err error) {
	source, err := hclsource.Load(j.tree, p.Project.Dir)
	if err != nil {
		return secrets, err
	}
	if p.Project.Engine != "" && p.Project.Engine != "terraform" {
		return nil, fault.New("The engine "+p.Project.Engine+" is not supported yet.", "Terraform would be run in its place, and the two read different lock files.", "Remove `engine` from "+project.File+", or plan this project elsewhere.")
	}
	if err := wholeFiles(j.pointers, source.Dirs()); err != nil {
		return secrets, err
	}
	repo := fmt.Sprint(j.run.RepoID)
	m, key, err := e.cfg.Environment.Module(j.root, p.Project, source, repo, filepath.Join(e.cfg.DataDir, "states", repo))
	if err != nil {
		return secrets, err
	}
	p.StateKey = key
	if err := e.awaitApply(ctx, key); err != nil {
		return secrets, err
	}
	giveBack, err := e.slots.take(ctx, tenantOf(j.pull.Repo))
	if err != nil {
		return secrets, err
	}
	defer giveBack()
	p.State, p.StartedAt = change.RunRunning, time.Now()
	if err := e.record(ctx, *p); err != nil {
		return secrets, err
	}
	e.reportSoon(keyOf(j.pull.Pull))
	prepared, err := e.cfg.Judge.Prepare(ctx, j.rules.sets) // compiles while Terraform plans
	if err != nil {
		return secrets, err
	}
	defer prepared.Close()
	if m.Environ, err = e.mint(ctx, cloud.Plan, j.pull.Repo, j.run.Number, j.run.HeadSHA, *p); err != nil {
		return secrets, err
	}
	result, file, err := e.terraformPlan(ctx, j, p, m)
	if err != nil {
		return secrets, err
	}
	p.Summary = result.Summary
	if secrets, err = terraform.Secrets(result.JSON); err != nil {
		return nil, err
	}
	judged, err := prepared.Plan(ctx, bytes.NewReader(result.JSON))
	if err != nil {
		return secrets, err
	}
	j.conclude(p, source, judged)
	e.cfg.At(PlanMade)
	return secrets, e.keep(ctx, j, p, m, file, result.JSON)
}

// wholeFiles refuses a module with files whose content is not in the repository: Terraform would
// read the pointers to them in their place.
func wholeFiles(pointers, dirs []string) error {
	for _, f := range pointers {
		for _, d := range dirs {
			if d == "." || strings.HasPrefix(f, d+"/") {
				return fault.New("A file of the project is kept by Git LFS: "+f+".", "Its content is not in the repository, and would be planned as the text of a pointer.",
					"Commit the file itself.")
			}
		}
	}
	return nil
}

// terraformPlan runs Terraform with its output in the log that people can follow.
func (e *Engine) terraformPlan(ctx context.Context, j *job, p *store.Plan, m terraform.Module) (*terraform.Plan, string, error) {
	logFile, err := create(e.LogPath(p.ID))
	if err != nil {
		return nil, "", err
	}
	defer logFile.Close()
	file := filepath.Join(e.workDir(j.run.ID), p.ID+".tfplan")
	text := &strings.Builder{}
	limited, cancel := context.WithTimeout(ctx, planLimit)
	defer cancel()
	result, err := e.cfg.Terraform.Plan(limited, m, terraform.PlanTo{File: file, Log: io.MultiWriter(logFile, text)})
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		err = fault.Wrap(err, fmt.Sprintf("The plan took longer than %s and was stopped.", planLimit), "A provider or a data source hangs, or waits for input.",
			"The live log shows where; comment `/plan` when that is mended.")
	}
	p.Text = description(text.String())
	return result, file, err
}

// description cuts Terraform's progress lines off its description of the plan.
func description(text string) string {
	for _, start := range []string{"Terraform used the selected providers", "No changes.", "Changes to Outputs:", "Terraform will perform"} {
		if i := strings.Index(text, start); i >= 0 {
			return text[i:]
		}
	}
	return text
}

// conclude makes the verdict of what the policies said, and points the findings to the lines that
// cause them.
func (j *job) conclude(p *store.Plan, source *hclsource.Module, judged gate.Result) {
	v := waive(j.rules.waivers, judged, time.Now())
	code := j.code[p.Project.Name]
	p.State, p.Judged, p.PolicyDigest, p.Findings = change.RunPassed, v.judged, j.run.PolicyDigest, code.failing()
	p.Notices, p.Waivers = append(code.notices, v.notices...), append(code.waivers, v.waivers...)
	for _, f := range v.findings {
		if f.Verdict == change.Pass {
			continue
		}
		if f.Blocks() {
			p.State = change.RunFailed
		}
		p.Findings = append(p.Findings, locate(f, source, j.changed))
	}
}

// locate points to the cause: the innermost place inside the pull request, or else the innermost.
func locate(f change.Finding, source *hclsource.Module, changed map[string]bool) change.Finding {
	places := source.Locate(f.Address, f.Attribute)
	if len(places) == 0 {
		return f
	}
	best := places[0]
	for _, l := range places {
		if changed[l.File] {
			best = l
			break
		}
	}
	f.File, f.Line, f.EndLine = best.File, best.Line, best.EndLine
	return f
}

// keep encrypts the plan and its JSON and binds them to this very plan.
func (e *Engine) keep(ctx context.Context, j *job, p *store.Plan, m terraform.Module, file string, planJSON []byte) error {
	plan, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read plan file: %w", err)
	}
	s := stored{Module: &m, Maker: e.cfg.Maker}
	s.Module.Root = ""
	if s.Plan, err = e.cfg.Artifacts.Put(ctx, e.binding(j.run, *p, artifact.PlanFile), plan); err != nil {
		return fmt.Errorf("keep plan: %w", err)
	}
	if s.JSON, err = e.cfg.Artifacts.Put(ctx, e.binding(j.run, *p, artifact.PlanJSON), planJSON); err != nil {
		return fmt.Errorf("keep plan JSON: %w", err)
	}
	b, err := json.Marshal(s)
	p.Artifacts = string(b)
	return err
}

func (e *Engine) binding(run store.Run, p store.Plan, kind artifact.Kind) artifact.Binding {
	return artifact.Binding{RepoID: run.RepoID, Pull: run.Number, HeadSHA: run.HeadSHA, Project: p.Project.Name, RunID: run.ID, Kind: kind}
}

// madeHere reports whether the plans of a run that are still to be applied are there, and were made by this
// version of the product and of Terraform. What another meant by a plan, this one may not.
func (e *Engine) madeHere(v view, r store.Run) bool {
	return !slices.ContainsFunc(v.plans[r.ID], func(p store.Plan) bool {
		var s stored
		if p.Artifacts == "" && !p.DiscardedAt.IsZero() && v.execution(p.ID).ID == "" {
			return true
		}
		if p.Artifacts == "" || json.Unmarshal([]byte(p.Artifacts), &s) != nil || s.Module == nil {
			return false // refused before it was made, or unreadable: what follows says so
		}
		return v.execution(p.ID).ID == "" && (s.Maker != e.cfg.Maker || !p.DiscardedAt.IsZero())
	})
}

// awaitApply waits until no apply changes the state: a plan made meanwhile would be stale at once.
func (e *Engine) awaitApply(ctx context.Context, stateKey string) error {
	for {
		var holder store.Execution
		err := patiently(ctx, func() (err error) {
			holder, err = store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (store.Execution, error) { return tx.Holder(ctx, stateKey) })
			return err
		})
		if errors.Is(err, store.ErrNotFound) || holder.State == change.ExecUnknown {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case <-time.After(e.cfg.Pace.ApplyPoll):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func create(file string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	return os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
}

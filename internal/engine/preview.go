package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/gate"
	"github.com/tollgate/tollgate/internal/hclsource"
	"github.com/tollgate/tollgate/internal/project"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/terraform"
	"github.com/tollgate/tollgate/internal/waiver"
)

const (
	// maxPreviewed bounds how many projects' plans changed policies are tried on.
	maxPreviewed = 100
	// previewLimit bounds the whole of it, since the run waits: the policies are somebody's who may
	// want it to take long.
	previewLimit = 2 * time.Minute
	// maxFailedTests of the policies are named.
	maxFailedTests = 50
)

// preview tries the policies of the pull request, if it changes any: do they load, do their tests
// pass, and whose verdict would change? They decide nothing before they are merged.
func (e *Engine) preview(ctx context.Context, j *job) *change.Preview {
	dir := e.policyDirAfter(ctx, j)
	if servesApply(j.run) || ofMerge(j.run) || !changesBelow(j.changed, j.config.Policies.Dir) && !changesBelow(j.changed, dir) && dir == j.config.Policies.Dir {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, previewLimit)
	defer cancel()
	v := &change.Preview{Dir: dir}
	if giveBack, err := e.previews.take(ctx, tenantOf(j.pull.Repo)); err == nil { // else whatever comes next says so
		defer giveBack()
	}
	after, own, err := e.rulesAfter(ctx, j, dir)
	if err == nil {
		_, err = e.cfg.Judge.Check(ctx, after.sets)
	}
	if err != nil {
		e.cfg.Logger.Info("the policies of a pull request cannot be used", "run", j.run.ID, "error", err)
		v.Fault = fault.Public(err)
		return v
	}
	if own.judges {
		v.Rules, v.Tests = true, e.testPolicies(ctx, j, dir)
	}
	v.Projects = e.compareAll(ctx, j, after)
	return v
}

// policyDirAfter is the policy folder as the pull request leaves it. Settings that cannot be read are told
// of elsewhere, once they are on the base branch.
func (e *Engine) policyDirAfter(ctx context.Context, j *job) string {
	if !j.changed[project.File] {
		return j.config.Policies.Dir
	}
	cfg, err := e.repoConfig(ctx, j.run.RepoID, j.run.Tree)
	if err != nil {
		return j.config.Policies.Dir
	}
	return cfg.Policies.Dir
}

func changesBelow(changed map[string]bool, dir string) bool {
	for file := range changed {
		if dir == "." || strings.HasPrefix(file, dir+"/") {
			return true
		}
	}
	return false
}

// rulesAfter are the rules that would hold if the pull request were merged, and what its own folder holds.
func (e *Engine) rulesAfter(ctx context.Context, j *job, dir string) (after rules, own policies, err error) {
	// Not remembered: many a tree may come, and each as large as its author likes.
	if own, err = e.readPoliciesAt(ctx, j.run.RepoID, j.run.Tree, dir); err != nil {
		return rules{}, policies{}, err
	}
	after = e.base().and(own)
	if j.run.ProtectedSHA == "" {
		return after, own, nil
	}
	cfg, err := e.repoConfig(ctx, j.run.RepoID, j.run.ProtectedSHA)
	if err != nil {
		return rules{}, policies{}, err
	}
	after, err = e.with(ctx, after, j.run.RepoID, j.run.ProtectedSHA, cfg.Policies.Dir)
	return after, own, err
}

// testPolicies runs the policies' own tests.
func (e *Engine) testPolicies(ctx context.Context, j *job, dir string) change.PolicyTests {
	result, err := func() (gate.TestResult, error) {
		fsys, err := e.cfg.Git.FS(ctx, j.run.RepoID, j.run.Tree, dir, nil)
		if err != nil {
			return gate.TestResult{}, fmt.Errorf("read policies: %w", err)
		}
		source, err := gate.ReadWithTests(dir, fsys)
		if err != nil {
			return gate.TestResult{}, err
		}
		return e.cfg.Judge.Test(ctx, source)
	}()
	if err != nil {
		e.cfg.Logger.Info("the tests of policies were not run", "run", j.run.ID, "error", err)
		return change.PolicyTests{Fault: fault.Public(err)}
	}
	t := change.PolicyTests{Passed: result.Passed, Skipped: result.Skipped, Coverage: result.Coverage}
	for _, f := range result.Failures[:min(len(result.Failures), maxFailedTests)] {
		t.Failed = append(t.Failed, fmt.Sprintf("%s (%s:%d) %s", f.Name, f.File, f.Line, f.Message))
	}
	return t
}

// compareAll judges every project's latest plan by the rules as they are and as they would be.
func (e *Engine) compareAll(ctx context.Context, j *job, after rules) []change.ProjectPreview {
	plans, runs, err := e.latestPlans(ctx, j)
	if err != nil {
		return []change.ProjectPreview{{Project: "all projects", Fault: fault.Public(err)}}
	}
	var out []change.ProjectPreview
	for i, p := range plans[:min(len(plans), maxPreviewed)] {
		v := change.ProjectPreview{Project: p.Project.Name, Number: runs[i].Number}
		e.compare(ctx, j, runs[i], p, after, &v)
		out = append(out, v)
	}
	return out
}

// compare judges one plan by the rules as they are and as they would be.
func (e *Engine) compare(ctx context.Context, j *job, run store.Run, p store.Plan, after rules, v *change.ProjectPreview) {
	before, err := e.judgeShown(ctx, run, p, j.rules)
	var then []change.Finding
	if err == nil {
		then, err = e.judgeShown(ctx, run, p, after)
		v.Broken = err != nil && ctx.Err() == nil
	}
	if err != nil {
		e.cfg.Logger.Info("policies were not tried on a plan", "plan", p.ID, "error", err)
		v.Fault = fault.Public(err)
		return
	}
	v.Denied, v.Allowed = change.CompareDenials(before, then)
	e.locateAll(j, p.Project.Dir, v.Denied.Findings, v.Allowed.Findings)
}

// latestPlans are the latest plans of the projects that the repository still has, and their runs.
func (e *Engine) latestPlans(ctx context.Context, j *job) (plans []store.Plan, runs []store.Run, err error) {
	type latest struct {
		plans []store.Plan
		runs  []store.Run
	}
	l, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (l latest, err error) {
		l.plans, l.runs, err = tx.LatestPlans(ctx, j.run.RepoID)
		return l, err
	})
	for i, p := range l.plans {
		if slices.ContainsFunc(j.projects, func(q project.Project) bool { return q.Name == p.Project.Name }) {
			plans, runs = append(plans, p), append(runs, l.runs[i])
		}
	}
	return plans, runs, err
}

// judgeShown judges a stored plan without its secrets: nobody has reviewed the new rules, and what they
// say is shown to whoever may read the repository.
func (e *Engine) judgeShown(ctx context.Context, run store.Run, p store.Plan, r rules) ([]change.Finding, error) {
	planJSON, err := e.storedJSON(ctx, run, p)
	if err != nil {
		return nil, fault.Wrap(err, "The stored plan cannot be read.", "Without it nobody can say what would change.", "Plan the project again.")
	}
	if planJSON, err = terraform.WithoutSecrets(planJSON); err != nil {
		return nil, err
	}
	v, err := e.judgePlan(ctx, r, planJSON)
	return v.findings, err
}

// locateAll points findings to the lines of the tree as far as they are in it.
func (e *Engine) locateAll(j *job, dir string, lists ...[]change.Finding) {
	source, err := hclsource.Load(j.tree, dir)
	if err != nil {
		return
	}
	for _, findings := range lists {
		for i, f := range findings {
			findings[i] = locate(f, source, j.changed)
		}
	}
}

// orphans reports the waivers that no project needs. That can be told only when every project of
// the repository has been planned.
func (e *Engine) orphans(ctx context.Context, j *job) []change.Notice {
	if servesApply(j.run) || !slices.ContainsFunc(j.rules.waivers, func(l waiver.List) bool { return len(l.Waivers()) > 0 }) {
		return nil
	}
	matched, complete, err := e.matchedWaivers(ctx, j)
	if err != nil {
		e.cfg.Logger.Warn("look for waivers that nobody needs", "run", j.run.ID, "error", err)
	}
	if err != nil || !complete {
		return nil
	}
	var out []change.Notice
	for _, l := range j.rules.waivers {
		out = append(out, l.Orphans(matched)...)
	}
	return uniqueNotices(out)
}

// matchedWaivers are the waivers that match something in the newest plans of all projects. A plan that
// is older than a waiver was not compared with it, so its findings are looked at again.
func (e *Engine) matchedWaivers(ctx context.Context, j *job) (matched []string, complete bool, err error) {
	plans, _, err := e.latestPlans(ctx, j)
	if err != nil {
		return nil, false, err
	}
	newest := map[string]store.Plan{}
	for _, p := range plans {
		if newest[p.Project.Name], err = store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (store.Plan, error) { return tx.Plan(ctx, p.ID) }); err != nil {
			return nil, false, err
		}
	}
	for _, p := range j.plans {
		if p.State == change.RunPassed || p.State == change.RunFailed {
			newest[p.Project.Name] = p
		}
	}
	for _, p := range newest {
		matched = append(matched, p.Waivers...)
		matched = append(matched, waive(j.rules.waivers, gate.Result{Findings: p.Findings}, j.run.CreatedAt).waivers...)
	}
	complete = !slices.ContainsFunc(j.projects, func(p project.Project) bool { _, ok := newest[p.Name]; return !ok })
	return matched, complete, nil
}

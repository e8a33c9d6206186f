package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/hclsource"
	"github.com/tollgate/tollgate/internal/project"
	"github.com/tollgate/tollgate/internal/redact"
	"github.com/tollgate/tollgate/internal/report"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/workspace"
)

// A plan is of a merge result and of a state. When either moves, the plans that people look at are
// made again by themselves. An effect that stays the same keeps its approvals.

// Reasons of runs that nobody asked for.
const (
	reasonBaseMoved  = "the base branch moved"
	reasonStateMoved = "another apply changed the state"
	reasonPushed     = "the head or the base was changed and changed back"
)

// madeAgain reports whether the run looks again at a head that was planned before, because
// something else moved.
func madeAgain(r store.Run) bool {
	return r.Reason == reasonBaseMoved || r.Reason == reasonStateMoved
}

// settleLimit is how long a branch that never rests is waited for.
const settleLimit = 30 * time.Second

// branchKey identifies a branch.
type branchKey struct {
	Repo change.Repo `json:"repo"`
	Ref  string      `json:"ref"`
}

// lockKey leaves out what may be renamed.
func (k branchKey) lockKey() any { return [2]any{k.Repo.ID, k.Ref} }

// pushed answers a push. Pull requests hear of pushes to their heads by events of their own.
func (e *Engine) pushed(ctx context.Context, ev github.Event) error {
	if branch, ok := strings.CutPrefix(ev.Ref, "refs/heads/"); ok {
		return e.baseMoved(ctx, branchKey{ev.Repo, branch})
	}
	return nil
}

// baseMoved has a branch looked at once it rests, if any pull request depends on it.
func (e *Engine) baseMoved(ctx context.Context, b branchKey) error {
	return e.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		guarded, err := tx.Guarded(ctx, b.Repo.ID, b.Ref)
		if err != nil || !guarded {
			return err
		}
		if err := tx.MoveBranch(ctx, b.Repo.ID, b.Ref); err != nil {
			return err
		}
		return e.queue.Put(ctx, tx, taskBranch, b, tx.Now.Add(e.cfg.Pace.SettlePause))
	})
}

// settleBranch deals with all moves of a branch since the last time. Each push has a task; only that
// of the last one in a row finds the branch at rest.
func (e *Engine) settleBranch(ctx context.Context, b branchKey) error {
	unlock := e.branches.lock(b.lockKey())
	defer unlock()
	row, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (store.Branch, error) { return tx.Branch(ctx, b.Repo.ID, b.Ref) })
	if err != nil || row.MovedSince.IsZero() {
		return err
	}
	if time.Since(row.MovedAt) < e.cfg.Pace.SettlePause && time.Since(row.MovedSince) < settleLimit {
		return nil
	}
	tip, err := e.fetchBranch(ctx, b)
	if err != nil {
		return err
	}
	err = e.walk(ctx, b, tip)
	early := errors.Is(err, errUnmapped)
	if err != nil && !early {
		return err
	}
	numbers, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) ([]int, error) { return tx.PullsUnder(ctx, b.Repo.ID, b.Ref) })
	if err != nil {
		return err
	}
	for _, n := range numbers {
		wait, err := e.planOnto(ctx, pullKey{b.Repo.ID, n}, b.Ref, tip)
		if err != nil {
			return err
		}
		early = early || wait
	}
	return e.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		if early {
			return e.queue.Put(ctx, tx, taskBranch, b, tx.Now.Add(e.cfg.Pace.SettlePause))
		}
		return tx.SettleBranch(ctx, b.Repo.ID, b.Ref, tip, row.MovedAt)
	})
}

// fetchBranch brings a branch here and returns its head.
func (e *Engine) fetchBranch(ctx context.Context, b branchKey) (head string, err error) {
	err = e.cfg.GitHub.WithToken(ctx, b.Repo, func(token redact.Secret) error {
		c, err := e.cfg.Git.Fetch(ctx, workspace.Fetch{RepoID: b.Repo.ID, URL: e.cfg.GitHub.CloneURL(b.Repo), Token: string(token.Reveal()), BaseRef: b.Ref})
		if err != nil {
			return fmt.Errorf("fetch %s: %w", b.Ref, err)
		}
		head = c.Base
		return nil
	})
	return head, err
}

// planOnto plans a pull request again if what its projects are made of is not what it was at its last
// plan. It reports true if a run is only just finding out what it is made of.
func (e *Engine) planOnto(ctx context.Context, key pullKey, ref, tip string) (early bool, err error) {
	unlock := e.decisions.lock(key)
	defer unlock()
	v, err := e.view(ctx, key)
	if err != nil {
		return false, err
	}
	last := v.reviewed()
	switch {
	case !v.mayPlanAgain(), last.HeadSHA != v.pull.HeadSHA:
		return false, nil
	case !last.State.Done() && last.Tree == "":
		return true, nil
	}
	moved, err := e.concerned(ctx, v, last, ref, tip)
	if err != nil || !moved {
		return false, err
	}
	return false, e.planAgain(ctx, v.pull, reasonBaseMoved)
}

// mayPlanAgain reports whether the pull request is planned by itself, and nothing of it is being
// applied or planned for an apply: that looks at the facts by itself.
func (v view) mayPlanAgain() bool {
	applying := slices.ContainsFunc(v.executions, func(x store.Execution) bool { return !x.State.Done() })
	return v.pull.Open && v.pull.Note == nil && v.reviewed().ID != "" && !applying && (v.newest().State.Done() || !servesApply(v.newest()))
}

// planAgain starts a run that nobody asked for, unless the pull request is not what it was known to be:
// what moved the branch may be its own merge. The caller holds the decision lock.
func (e *Engine) planAgain(ctx context.Context, p store.Pull, reason string) error {
	now, err := e.read(ctx, p.Repo, p.Number)
	if errors.Is(err, github.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if untold(p, store.Run{HeadSHA: p.HeadSHA}, now.Pull, false) != "" {
		return e.put(ctx, taskEvent, github.Event{Kind: github.KindPullRequest, InstallationID: p.Repo.InstallationID, Repo: p.Repo, Pull: p.Number, Action: actionReconcile}, time.Time{})
	}
	if err := e.startRun(ctx, p, reason); err != nil {
		return err
	}
	e.reportSoon(keyOf(p.Pull))
	return nil
}

// concerned reports whether the move of a branch to tip changes what a run was made of.
func (e *Engine) concerned(ctx context.Context, v view, last store.Run, ref, tip string) (bool, error) {
	cfg, err := configOf(last)
	if err != nil {
		return false, err
	}
	if ref != last.BaseRef {
		if last.ProtectedSHA == "" {
			return false, nil
		}
		files, err := e.cfg.Git.ChangedFiles(ctx, last.RepoID, last.ProtectedSHA, tip)
		return slices.ContainsFunc(files, isSetting(cfg)), err
	}
	merge, err := e.cfg.Git.Merge(ctx, last.RepoID, tip, last.HeadSHA)
	switch {
	case err != nil:
		return false, err
	case last.Tree == "" || len(merge.Conflicts) > 0:
		return (last.Tree == "") != (len(merge.Conflicts) > 0), nil
	case merge.Tree == last.Tree:
		return false, nil
	}
	files, err := e.cfg.Git.ChangedFiles(ctx, last.RepoID, last.Tree, merge.Tree)
	if err != nil || slices.ContainsFunc(files, isSetting(cfg)) {
		return true, err
	}
	own, err := e.cfg.Git.ChangedFiles(ctx, last.RepoID, tip, merge.Tree)
	if err != nil {
		return false, err
	}
	tree, err := e.cfg.Git.FS(ctx, last.RepoID, merge.Tree, ".", hclsource.Reads)
	if err != nil {
		return false, err
	}
	found, err := hclsource.Scan(tree)
	if err != nil {
		return false, err
	}
	deps := func(dir string) ([]string, bool) { return hclsource.Closure(found, dir) }
	projects := projectsOf(cfg, found)
	var planned []string
	for _, p := range v.plans[last.ID] {
		planned = append(planned, p.Project.Name)
	}
	slices.Sort(planned)
	if !slices.Equal(planned, names(project.Affected(projects, own, deps))) {
		return true, nil // the base made more or fewer projects depend on what the pull request changes
	}
	for _, name := range names(project.Affected(projects, files, deps)) {
		if slices.Contains(planned, name) {
			return true, nil
		}
	}
	return false, nil
}

// isSetting tells the files that decide how a pull request is judged.
func isSetting(cfg project.Config) func(file string) bool {
	return func(file string) bool {
		return file == project.File || cfg.Policies.Dir != "" && strings.HasPrefix(file, cfg.Policies.Dir+"/")
	}
}

// names are the names of projects, sorted.
func names(projects []change.Project) (out []string) {
	for _, p := range projects {
		out = append(out, p.Name)
	}
	slices.Sort(out)
	return out
}

// configOf is the configuration that a run went by; the default before it was read.
func configOf(r store.Run) (project.Config, error) {
	var cfg project.Config
	if err := json.Unmarshal([]byte(r.Config), &cfg); err != nil {
		return cfg, fmt.Errorf("decode settings: %w", err)
	}
	if cfg.Version == 0 {
		return project.Default(), nil
	}
	return cfg, nil
}

// appliedState names an apply that may have changed a state.
type appliedState struct {
	Execution string `json:"execution"`
}

// stateMoved plans the pull requests again whose plans were made before an apply changed their state.
func (e *Engine) stateMoved(ctx context.Context, a appliedState) error {
	var x store.Execution
	others, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (out []store.PullRef, err error) {
		if x, err = tx.Execution(ctx, a.Execution); err != nil {
			return nil, err
		}
		return tx.PullsOfState(ctx, x.StateKey, x.FinishedAt)
	})
	if err != nil {
		return err
	}
	for _, p := range others {
		if key := (pullKey{p.RepoID, p.Number}); key != (pullKey{x.RepoID, x.Number}) {
			if err := e.planOnState(ctx, key, x); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *Engine) planOnState(ctx context.Context, key pullKey, x store.Execution) error {
	unlock := e.decisions.lock(key)
	defer unlock()
	v, err := e.view(ctx, key)
	if err != nil {
		return err
	}
	stale := func(p store.Plan) bool { return p.StateKey == x.StateKey && p.StartedAt.Before(x.FinishedAt) }
	if !v.mayPlanAgain() || !slices.ContainsFunc(v.plans[v.reviewed().ID], stale) {
		return nil
	}
	return e.planAgain(ctx, v.pull, reasonStateMoved)
}

// clockSkew is how far GitHub's clock may be ahead of the server's before a webhook is taken for news.
const clockSkew = 2 * time.Second

// another reports whether a webhook tells of a change after the newest run was made that led back to
// the very head and base of it, whose time is GitHub's. What was approved before it is not approved any more.
func another(ev github.Event, last store.Run, p store.Pull) bool {
	changed := ev.Action == "synchronize" || ev.BaseChanged
	return changed && last.HeadSHA == p.HeadSHA && last.BaseRef == p.BaseRef && ev.UpdatedAt.After(last.CreatedAt.Add(clockSkew))
}

// replanned says of a plan that was made again what became of its effect.
func (v view) replanned(r store.Run, p store.Plan) *report.Replanned {
	if !madeAgain(r) {
		return nil
	}
	out := &report.Replanned{Why: r.Reason}
	if p.State != change.RunPassed && p.State != change.RunFailed {
		return out
	}
	before, ok := v.shownBefore(r, p.Project.Name)
	if ok && before.Summary.EffectDigest != p.Summary.EffectDigest {
		out.Differs = difference(before.Summary, p.Summary)
	}
	return out
}

// shownBefore is the finished plan of a project that people could look at before a run.
func (v view) shownBefore(than store.Run, project string) (store.Plan, bool) {
	for _, r := range v.runs {
		if r.Seq >= than.Seq || servesApply(r) {
			continue
		}
		if r.HeadSHA != than.HeadSHA || r.BaseRef != than.BaseRef {
			break
		}
		for _, p := range v.plans[r.ID] {
			if p.Project.Name == project && (p.State == change.RunPassed || p.State == change.RunFailed) {
				return p, true
			}
		}
	}
	return store.Plan{}, false
}

package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/store"
)

// How many runs of a pull request are looked at; older ones have been concluded long ago.
const runsInView = 40

// groupsInView is how many merge groups of a pull request are looked at.
const groupsInView = 3

// view is all that the store knows of one pull request, read in one transaction.
type view struct {
	pull       store.Pull
	runs       []store.Run // newest first
	groups     []store.Run // of merge groups that it was in lately, newest first
	plans      map[string][]store.Plan
	executions []store.Execution
	checks     map[string]store.Check
	glasses    []store.Glass // newest first
}

func (e *Engine) view(ctx context.Context, key pullKey) (view, error) {
	return store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (v view, err error) {
		if v.pull, err = tx.Pull(ctx, key.Repo, key.Number); errors.Is(err, store.ErrNotFound) {
			return v, fault.Wrap(err, "Tollgate has not seen this pull request yet.", "Its webhook may have been lost.", "Comment `/plan`.")
		} else if err != nil {
			return v, err
		}
		if v.runs, err = tx.RunsOf(ctx, key.Repo, key.Number, runsInView); err != nil {
			return v, err
		}
		if v.executions, err = tx.ExecutionsOf(ctx, key.Repo, key.Number); err != nil {
			return v, err
		}
		if v.checks, err = tx.Checks(ctx, key.Repo, key.Number); err != nil {
			return v, err
		}
		if v.glasses, err = tx.GlassesOf(ctx, key.Repo, key.Number); err != nil {
			return v, err
		}
		v.plans = map[string][]store.Plan{}
		if v.groups, err = tx.GroupRuns(ctx, key.Repo, key.Number, groupsInView); err != nil {
			return v, err
		}
		if err := v.addUnsettled(ctx, tx); err != nil {
			return v, err
		}
		for _, r := range v.groups {
			if v.plans[r.ID], err = tx.PlansOf(ctx, r.ID, true); err != nil {
				return v, err
			}
		}
		reviewed := true // or may be what is reviewed
		for i, r := range v.runs {
			// Texts and findings are megabytes; only what may still be shown needs them.
			whole := i == 0 || reviewed && !servesApply(r) || v.unfinished(r)
			reviewed = reviewed && (servesApply(r) || madeAgain(r))
			if v.plans[r.ID], err = tx.PlansOf(ctx, r.ID, whole); err != nil {
				return v, err
			}
		}
		return v, nil
	})
}

// busy reports whether a plan or an apply of the pull request is under way.
func (v view) busy() bool {
	return slices.ContainsFunc(v.runs, func(r store.Run) bool { return !r.State.Done() }) ||
		slices.ContainsFunc(v.executions, func(x store.Execution) bool { return !x.State.Done() })
}

// newest is the newest run, or a zero one.
func (v view) newest() store.Run {
	if len(v.runs) == 0 {
		return store.Run{}
	}
	return v.runs[0]
}

// reviewed is the newest run that people could look at before they approved: one that was not
// made to serve an apply. One that was made again by itself and has no plan, or was stopped, such as
// by the merge, hides nothing of what they saw before.
func (v view) reviewed() store.Run {
	for _, r := range v.runs {
		stopped := r.State == change.RunCancelled || r.State == change.RunSuperseded
		void := stopped || r.State.Done() && len(v.plans[r.ID]) == 0
		if !servesApply(r) && !(void && madeAgain(r)) {
			return r
		}
	}
	return store.Run{}
}

func servesApply(r store.Run) bool {
	return r.Reason == reasonMerged || r.Reason == reasonMoved
}

// ofMerge reports whether the run is of the commit that the pull request became.
func ofMerge(r store.Run) bool {
	return r.Reason == reasonMerged || r.Reason == reasonMergedAgain
}

// shown is the finished plan of a project that people could look at.
func (v view) shown(project string) (store.Plan, bool) {
	for _, p := range v.plans[v.reviewed().ID] {
		if p.Project.Name == project && (p.State == change.RunPassed || p.State == change.RunFailed) {
			return p, true
		}
	}
	return store.Plan{}, false
}

// lookedAt are the plans that people looked at last, also if a later run found nothing.
func (v view) lookedAt() []store.Plan {
	for _, r := range v.runs {
		if !servesApply(r) && len(v.plans[r.ID]) > 0 && r.HeadSHA == v.pull.HeadSHA {
			return v.plans[r.ID]
		}
	}
	return nil
}

// appliedSince reports whether an apply of the project may have changed something since the plan
// was shown, by this plan or by one that served an apply.
func (v view) appliedSince(shown store.Plan) bool {
	return slices.ContainsFunc(v.executions, func(x store.Execution) bool {
		// By time, and by the order of the runs: the clock may have been set back in between.
		later := !x.CreatedAt.Before(shown.FinishedAt) || v.seqOf(x.PlanID) > v.seqOf(shown.ID)
		mine := x.PlanID == shown.ID || x.Project.Name == shown.Project.Name && later
		return mine && x.State != change.ExecFailedClean
	})
}

// seqOf is the place of a plan's run among the runs in view, or 0.
func (v view) seqOf(planID string) int64 {
	for _, r := range v.runs {
		if slices.ContainsFunc(v.plans[r.ID], func(p store.Plan) bool { return p.ID == planID }) {
			return r.Seq
		}
	}
	return 0
}

// baseBeforeMerge are the base commits that people looked at the change on, the last of them from
// before the merge: after a rebase, the merge commit's parent is the pull request's own.
func (v view) baseBeforeMerge() []string {
	out := []string{v.reviewed().BaseSHA}
	for _, r := range v.runs {
		if !ofMerge(r) && r.HeadSHA == v.pull.HeadSHA && r.BaseSHA != "" {
			return append(out, r.BaseSHA)
		}
	}
	return out
}

// shownSince is when people could first see the plan of a project with the effect that it has
// now: an approval that is older is of something else. A plan of another effect, head or base in
// between ends the time in which it was seen.
func (v view) shownSince(project string) time.Time {
	now, ok := v.shown(project)
	if !ok {
		return time.Now()
	}
	since := shownAt(now)
	for _, r := range v.runs {
		if servesApply(r) {
			continue
		}
		if r.HeadSHA != v.reviewed().HeadSHA || r.BaseRef != v.reviewed().BaseRef || r.CreatedAt.Before(v.pull.PushedAt) {
			break
		}
		for _, p := range v.plans[r.ID] {
			if p.Project.Name != project || p.State != change.RunPassed && p.State != change.RunFailed {
				continue
			}
			if p.Summary.EffectDigest != now.Summary.EffectDigest || p.ID != now.ID && v.appliedSince(p) {
				return since // another effect, or an approval that was used
			}
			since = shownAt(p)
		}
	}
	return since
}

// shownAt is when a plan was finished by GitHub's clock, which approvals go by. Plans of versions
// before know it by ours only.
func shownAt(p store.Plan) time.Time {
	if p.ShownAt.IsZero() {
		return p.FinishedAt
	}
	return p.ShownAt
}

// addUnsettled adds the runs that are too old for the view but not for GitHub.
func (v *view) addUnsettled(ctx context.Context, tx *store.Tx) error {
	missing, err := tx.RunsUnheard(ctx, v.pull.Repo.ID, v.pull.Number)
	if err != nil {
		return err
	}
	for external := range v.checks {
		id, _, ofRun := strings.Cut(external, "/")
		if !ofRun || !v.unsettled(external) {
			continue
		}
		r, err := tx.Run(ctx, id)
		if errors.Is(err, store.ErrNotFound) {
			continue // it is of a commit that had no run
		}
		if err != nil {
			return err
		}
		if r.GroupSHA != "" {
			v.groups = append(v.groups, r)
			continue
		}
		missing = append(missing, r)
	}
	v.runs, v.groups = newestFirst(append(v.runs, missing...)), newestFirst(v.groups)
	return nil
}

// newestFirst sorts runs and names each once.
func newestFirst(runs []store.Run) []store.Run {
	slices.SortFunc(runs, func(a, b store.Run) int { return cmp.Compare(b.Seq, a.Seq) })
	return slices.CompactFunc(runs, func(a, b store.Run) bool { return a.ID == b.ID })
}

// unsettled reports whether GitHub was last told that a check goes on, or may show something else
// than it was last told.
func (v view) unsettled(externalID string) bool {
	c, ok := v.checks[externalID]
	return ok && (!strings.Contains(c.Sent, completed) || !c.Doubt.IsZero())
}

// unfinished reports whether any check of the run is unsettled.
func (v view) unfinished(r store.Run) bool {
	for id := range v.checks {
		if strings.HasPrefix(id, r.ID+"/") && v.unsettled(id) {
			return true
		}
	}
	return false
}

// unheardOf reports whether GitHub has no check of ours on the commit of an overtaken run.
func (v view) unheardOf(r store.Run) bool {
	if r.HeadSHA == v.pull.HeadSHA {
		return false
	}
	for _, c := range v.checks {
		if c.HeadSHA == r.HeadSHA {
			return false
		}
	}
	return true
}

// runOf is the newest finished run of exactly this tree, unless Terraform refused one of its
// plans because the state had moved.
func (v view) runOf(tree string) (store.Run, bool) {
	for _, r := range v.runs {
		if r.HeadSHA == v.pull.HeadSHA && r.Tree == tree && (r.State == change.RunPassed || r.State == change.RunFailed) {
			return r, !slices.ContainsFunc(v.plans[r.ID], func(p store.Plan) bool { return v.execution(p.ID).Cause == store.CauseStale })
		}
	}
	return store.Run{}, false
}

// previewOf is what the policies of the pull request would do. A run that serves an apply doesn't ask
// again, but must not make them look sound.
func (v view) previewOf(r store.Run) *change.Preview {
	if r.Reason == reasonMoved && r.HeadSHA == v.reviewed().HeadSHA {
		return v.reviewed().Preview
	}
	return r.Preview
}

// execution is what consumed a plan, or a zero one.
func (v view) execution(planID string) store.Execution {
	for _, x := range v.executions {
		if x.PlanID == planID {
			return x
		}
	}
	return store.Execution{}
}

// waitsFor names a project that the plan depends on and that has a plan in the run which is still to be
// applied; empty if there is none.
func (v view) waitsFor(p store.Plan, run store.Run) string {
	for _, name := range p.Project.DependsOn {
		for _, q := range v.plans[run.ID] {
			if q.Project.Name == name && !q.Summary.Counts.Empty() && !v.execution(q.ID).Applied() {
				return name
			}
		}
	}
	return ""
}

// difference says in a few words how two effects differ.
func difference(was, is change.PlanSummary) string {
	if was.Counts != is.Counts {
		return fmt.Sprintf("%s before, %s now", counts(was.Counts), counts(is.Counts))
	}
	before := map[string]change.ResourceChange{}
	for _, c := range was.Changes {
		before[c.Address] = c
	}
	for _, c := range is.Changes {
		if b, ok := before[c.Address]; !ok || b.Action != c.Action {
			return "`" + c.Address + "` is new in it"
		}
	}
	return "the same resources, but with other values"
}

func counts(c change.Counts) string {
	var parts []string
	for _, p := range []struct {
		n    int
		word string
	}{{c.Delete, "to delete"}, {c.Replace, "to replace"}, {c.Forget, "to forget"}, {c.Create, "to create"}, {c.Update, "to update"},
		{c.Import, "to import"}, {c.Move, "to move"}, {c.Outputs, "outputs to change"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.word))
		}
	}
	if len(parts) == 0 {
		return "no changes"
	}
	return strings.Join(parts, ", ")
}

package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tollgate/tollgate/internal/audit"
	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/hclsource"
	"github.com/tollgate/tollgate/internal/project"
	"github.com/tollgate/tollgate/internal/store"
)

// What was merged is applied in the order in which it came onto the branch, whichever webhooks tell of
// it and when: the order is that of the branch's own history.

// maxWalk is how many commits of a branch are read back until one is known.
const maxWalk = 500

// settle notes that what a merge asked for has come to its end, and why it was not applied, if so.
func (e *Engine) settle(ctx context.Context, req applyRequest, why *fault.Error) error {
	return e.cfg.Store.Write(ctx, func(tx *store.Tx) error { return tx.Settle(ctx, req.Repo.ID, req.Number, why) })
}

// beginHistory takes down where a branch stood when it was first met: what came before is nobody's
// business any more.
func (e *Engine) beginHistory(ctx context.Context, b branchKey, tip string) error {
	return e.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		last, err := tx.LastLanding(ctx, b.Repo.ID, b.Ref)
		if err != nil || last.SHA != "" {
			return err
		}
		return tx.AddLanding(ctx, b.Repo.ID, b.Ref, store.Landing{Seq: 1, SHA: tip, Number: store.LandingStart})
	})
}

// errUnmapped says that GitHub may just not have said yet which pull request a commit came from.
var errUnmapped = errors.New("where a commit of the base branch came from is not known yet")

// walk takes down in order what has come onto a branch, and where from. A merge that no webhook told
// of is found here, and so is what nobody has approved.
func (e *Engine) walk(ctx context.Context, b branchKey, tip string) error {
	unlock := e.walks.lock(b.lockKey())
	defer unlock()
	last, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (store.Landing, error) { return tx.LastLanding(ctx, b.Repo.ID, b.Ref) })
	if err != nil {
		return err
	}
	if last.SHA == "" {
		return e.beginHistory(ctx, b, tip)
	}
	known := func(sha string) (l store.Landing, err error) {
		return store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (store.Landing, error) { return tx.Landing(ctx, b.Repo.ID, b.Ref, sha) })
	}
	var fresh []string // the newest first
	for sha := tip; ; {
		l, err := known(sha)
		if err == nil {
			last = l
			break
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		fresh = append(fresh, sha)
		parent, err := e.cfg.Git.FirstParent(ctx, b.Repo.ID, sha)
		if err != nil || len(fresh) == maxWalk {
			e.cfg.Logger.Warn("the history of a base branch is not the one that was known; it begins anew", "repository", b.Repo.ID, "branch", b.Ref, "commit", tip)
			return e.cfg.Store.Write(ctx, func(tx *store.Tx) error {
				if err := tx.CutLandings(ctx, b.Repo.ID, b.Ref, 0); err != nil {
					return err
				}
				return tx.AddLanding(ctx, b.Repo.ID, b.Ref, store.Landing{Seq: 1, SHA: tip, Number: store.LandingStart})
			})
		}
		sha = parent
	}
	if err := e.cfg.Store.Write(ctx, func(tx *store.Tx) error { return tx.CutLandings(ctx, b.Repo.ID, b.Ref, last.Seq) }); err != nil {
		return err // what a forced push took away
	}
	for i, sha := range slices.Backward(fresh) {
		parent := last.SHA
		if i+1 < len(fresh) {
			parent = fresh[i+1]
		}
		last.Seq++
		if err := e.land(ctx, b, store.Landing{Seq: last.Seq, SHA: sha}, parent); err != nil {
			return err
		}
	}
	return nil
}

// land takes down one commit that came onto a branch after parent.
func (e *Engine) land(ctx context.Context, b branchKey, l store.Landing, parent string) error {
	pull, err := e.cameFrom(ctx, b, l.SHA)
	if err != nil {
		return err
	}
	var affected []string
	if pull == 0 {
		if e.mayAppear(l.SHA) {
			return errUnmapped
		}
		if affected, err = e.projectsTouched(ctx, b.Repo.ID, parent, l.SHA); err != nil {
			return err
		}
	}
	l.Number = pull
	err = e.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		if err := tx.AddLanding(ctx, b.Repo.ID, b.Ref, l); err != nil {
			return err
		}
		if pull != 0 {
			return e.hearOfMerge(ctx, tx, b.Repo, pull)
		}
		if len(affected) == 0 {
			return nil
		}
		return audit.Append(ctx, tx, audit.Entry{Action: "base.unmanaged", Outcome: "refused", Origin: "branch " + b.Ref,
			Subject: map[string]any{"repository": b.Repo.ID, "commit": l.SHA, "projects": affected}})
	})
	if err == nil && len(affected) > 0 {
		e.cfg.Unmanaged("push")
		e.cfg.Logger.Error("a change came onto a base branch without a pull request; it is not applied",
			"repository", b.Repo.ID, "branch", b.Ref, "commit", l.SHA, "projects", affected)
	}
	return err
}

// hearOfMerge has a merge looked at of which nobody has told yet.
func (e *Engine) hearOfMerge(ctx context.Context, tx *store.Tx, repo change.Repo, number int) error {
	known, err := tx.Pull(ctx, repo.ID, number)
	if err != nil && !errors.Is(err, store.ErrNotFound) || !known.LandedAt.IsZero() {
		return err
	}
	ev := github.Event{Kind: github.KindPullRequest, InstallationID: repo.InstallationID, Repo: repo, Pull: number, Action: actionReconcile}
	return e.queue.Put(ctx, tx, taskEvent, ev, time.Time{})
}

// cameFrom is the number of the merged pull request that a commit of the branch came from, or 0.
func (e *Engine) cameFrom(ctx context.Context, b branchKey, sha string) (int, error) {
	number, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (int, error) { return tx.PullMergedAs(ctx, b.Repo.ID, b.Ref, sha) })
	if err != nil || number != 0 {
		return number, err
	}
	pulls, err := e.cfg.GitHub.PullsOf(ctx, b.Repo, sha)
	if err != nil {
		return 0, err
	}
	for _, p := range pulls {
		if p.Merged && p.BaseRef == b.Ref {
			return p.Number, nil
		}
	}
	return 0, nil
}

// mayAppear reports whether it is too early to say that a commit came from nowhere.
func (e *Engine) mayAppear(sha string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	first, ok := e.nowhere[sha]
	if !ok {
		e.nowhere[sha] = time.Now()
		return true
	}
	if time.Since(first) < e.cfg.Pace.Lag[1] {
		return true
	}
	delete(e.nowhere, sha)
	return false
}

// projectsTouched are the names of the projects that a change of a branch touches.
func (e *Engine) projectsTouched(ctx context.Context, repoID int64, before, after string) ([]string, error) {
	files, err := e.cfg.Git.ChangedFiles(ctx, repoID, before, after)
	if err != nil || len(files) == 0 {
		return nil, err
	}
	cfg, err := e.repoConfig(ctx, repoID, before)
	if err != nil {
		return []string{project.File}, nil // nobody can tell, so it counts
	}
	tree, err := e.cfg.Git.FS(ctx, repoID, after, ".", hclsource.Reads)
	if err != nil {
		return nil, err
	}
	found, err := hclsource.Scan(tree)
	if err != nil {
		return nil, err
	}
	deps := func(dir string) ([]string, bool) { return hclsource.Closure(found, dir) }
	touched := names(project.Affected(projectsOf(cfg, found), files, deps))
	if slices.ContainsFunc(files, isSetting(cfg)) {
		touched = append(touched, "settings and policies")
	}
	return touched, nil
}

// history brings the order of a branch up to date. Whoever is told that it is not known yet has to ask again.
func (e *Engine) history(ctx context.Context, b branchKey) error {
	tip, err := e.fetchBranch(ctx, b)
	if err != nil {
		return err
	}
	return e.walk(ctx, b, tip)
}

// waitsForEarlier reports whether something was merged before the pull request that touches the same and
// has not come to its end.
func (e *Engine) waitsForEarlier(ctx context.Context, v view) (bool, error) {
	p := v.pull
	if !p.Merged || p.MergeSHA == "" {
		return false, nil
	}
	mine := func() (store.Landing, error) {
		return store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (store.Landing, error) {
			return tx.Landing(ctx, p.Repo.ID, p.BaseRef, p.MergeSHA)
		})
	}
	l, err := mine()
	if errors.Is(err, store.ErrNotFound) {
		switch err := e.history(ctx, branchKey{p.Repo, p.BaseRef}); {
		case errors.Is(err, errUnmapped):
			return true, nil
		case err != nil:
			return false, err
		}
		l, err = mine()
	}
	if errors.Is(err, store.ErrNotFound) {
		return false, nil // it is not on the branch, which whoever applies it finds out
	}
	if err != nil {
		return false, err
	}
	earlier, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) ([]int, error) {
		return tx.UnsettledBefore(ctx, p.Repo.ID, p.BaseRef, l.Seq, time.Now().Add(-e.cfg.Pace.ApplyPatience))
	})
	if err != nil {
		return false, err
	}
	for _, n := range earlier {
		if n == p.Number {
			continue
		}
		other, err := e.view(ctx, pullKey{p.Repo.ID, n})
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return false, fmt.Errorf("look at #%d, which was merged before: %w", n, err)
		}
		if err != nil || v.touches(other) {
			return true, nil
		}
	}
	return false, nil
}

// touches reports whether two pull requests have a state or a project in common, as far as anybody
// knows; one of which no plan is known could touch anything.
func (v view) touches(other view) bool {
	mine, theirs := v.lookedAt(), other.lookedAt()
	if len(mine) == 0 || len(theirs) == 0 {
		return true
	}
	return slices.ContainsFunc(mine, func(p store.Plan) bool {
		return slices.ContainsFunc(theirs, func(q store.Plan) bool {
			return p.Project.Name == q.Project.Name || p.StateKey != "" && p.StateKey == q.StateKey
		})
	})
}

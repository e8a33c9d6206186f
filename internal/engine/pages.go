package engine

import (
	"context"
	"errors"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/report"
	"github.com/tollgate/tollgate/internal/store"
)

// RunReport is a run as its page shows it.
type RunReport struct {
	Run    store.Run
	Report report.Pull
	Plans  []store.Plan
}

// Run returns one run for its page, or store.ErrNotFound.
func (e *Engine) Run(ctx context.Context, id string) (RunReport, error) {
	r, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (store.Run, error) { return tx.Run(ctx, id) })
	if err != nil {
		return RunReport{}, err
	}
	v, err := e.view(ctx, pullKey{r.RepoID, r.Number})
	if err != nil {
		return RunReport{}, err
	}
	// The view may hold it without its texts, or be too short for it.
	if v.plans[r.ID], err = store.Read(ctx, e.cfg.Store, func(tx *store.Tx) ([]store.Plan, error) { return tx.PlansOf(ctx, id, true) }); err != nil {
		return RunReport{}, err
	}
	return RunReport{Run: r, Report: e.pullReport(v, r, r.ID == v.newest().ID), Plans: v.plans[r.ID]}, nil
}

// lookBack is how many of the newest runs are looked through for those of some repositories.
const lookBack = 1000

// Runs returns the newest runs of the pull requests of repositories for which within is true.
func (e *Engine) Runs(ctx context.Context, limit int, within func(change.Repo) (bool, error)) ([]RunReport, error) {
	runs, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) ([]store.Run, error) { return tx.RecentRuns(ctx, lookBack) })
	if err != nil {
		return nil, err
	}
	var out []RunReport
	wanted := map[int64]bool{}
	for _, r := range runs {
		if len(out) == limit {
			break
		}
		want, asked := wanted[r.RepoID]
		if !asked {
			pull, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (store.Pull, error) { return tx.Pull(ctx, r.RepoID, r.Number) })
			if err != nil {
				return nil, err
			}
			if want, err = within(pull.Repo); err != nil {
				return nil, err
			}
			wanted[r.RepoID] = want
		}
		if !want {
			continue
		}
		full, err := e.Run(ctx, r.ID)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		out = append(out, full)
	}
	return out, nil
}

// Execution returns one apply for its page, with the pull request and the run that made its plan,
// or store.ErrNotFound.
func (e *Engine) Execution(ctx context.Context, id string) (x store.Execution, a report.Apply, p change.Pull, runID string, err error) {
	var plan store.Plan
	x, err = store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (store.Execution, error) {
		x, err := tx.Execution(ctx, id)
		if err == nil {
			plan, err = tx.Plan(ctx, x.PlanID)
		}
		return x, err
	})
	if err != nil {
		return x, a, p, "", err
	}
	v, err := e.view(ctx, pullKey{x.RepoID, x.Number})
	if err != nil {
		return x, a, p, "", err
	}
	return x, e.applyReport(v, x), v.pull.Pull, plan.RunID, nil
}

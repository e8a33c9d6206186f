package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/tollgate/tollgate/internal/artifact"
	"github.com/tollgate/tollgate/internal/store"
)

// What is kept, and for how long: a plan until it is applied or its pull request is closed; its JSON and the logs for
// Limits.Keep, or until a pull request is closed that was not applied; a state that could not be saved until somebody
// has resolved what happened, and for Limits.Keep. Rows, claims and the ledger stay.

// expirePause is how often is looked for what is too old.
const expirePause = time.Hour

// expireBatch bounds the plans that are looked at in one transaction.
const expireBatch = 100

// discard deletes what is stored of the plans of a pull request that was closed.
func (e *Engine) discard(ctx context.Context, key pullKey) error {
	if err := e.cfg.Store.Write(ctx, func(tx *store.Tx) error { return tx.DiscardPlans(ctx, key.Repo, key.Number) }); err != nil {
		return fmt.Errorf("give up plans: %w", err)
	}
	return e.eraseDiscarded(ctx)
}

// discarded reports whether plans of the run are not stored any more, so that it has to be made again.
func (e *Engine) discarded(ctx context.Context, r store.Run) (bool, error) {
	plans, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) ([]store.Plan, error) { return tx.PlansOf(ctx, r.ID, false) })
	return slices.ContainsFunc(plans, func(p store.Plan) bool { return !p.DiscardedAt.IsZero() }), err
}

// eraseDiscarded deletes the files of plans that were given up, also by an earlier process.
func (e *Engine) eraseDiscarded(ctx context.Context) error {
	plans, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) ([]store.Plan, error) { return tx.DiscardedPlans(ctx) })
	if err != nil {
		return fmt.Errorf("look for plans that were given up: %w", err)
	}
	for _, p := range plans {
		if err := e.deleteArtifacts(ctx, p); err != nil {
			return err
		}
		if err := e.cfg.Store.Write(ctx, func(tx *store.Tx) error { return tx.ForgetArtifacts(ctx, p.ID) }); err != nil {
			return fmt.Errorf("note that a plan is deleted: %w", err)
		}
	}
	return nil
}

func (e *Engine) deleteArtifacts(ctx context.Context, p store.Plan) error {
	if p.Artifacts == "" || p.Artifacts == "{}" {
		return nil
	}
	var s stored
	if err := json.Unmarshal([]byte(p.Artifacts), &s); err != nil {
		return fmt.Errorf("decode artifacts: %w", err)
	}
	return errors.Join(e.cfg.Artifacts.Delete(ctx, s.Plan), e.cfg.Artifacts.Delete(ctx, s.JSON))
}

// forgetInterrupted deletes what an interrupted attempt at a run has left: its plans get other ids now.
func (e *Engine) forgetInterrupted(ctx context.Context, r store.Run) error {
	plans, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) ([]store.Plan, error) { return tx.PlansOf(ctx, r.ID, false) })
	for _, p := range plans {
		err = errors.Join(err, e.deleteArtifacts(ctx, p), e.deletePlanLog(p.ID))
	}
	return err
}

// dropArtifacts deletes what was stored of a plan that was cancelled before it could be recorded.
func (e *Engine) dropArtifacts(p store.Plan) {
	if err := e.deleteArtifacts(context.WithoutCancel(e.life), p); err != nil {
		e.cfg.Logger.Error("delete a plan that nobody waits for", "plan", p.ID, "error", err)
	}
}

// expireForever deletes what is too old.
func (e *Engine) expireForever() {
	for {
		if err := e.survive(func() error { return e.expire(e.life) }); err != nil && e.life.Err() == nil {
			e.cfg.Logger.Error("delete old logs and plans; it will be tried again", "error", err)
		}
		e.rest(expirePause, nil)
		if e.life.Err() != nil {
			return
		}
	}
}

func (e *Engine) expire(ctx context.Context) error {
	before := e.cfg.Now().Add(-e.cfg.Limits.Keep)
	for {
		plans, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) ([]store.Plan, error) { return tx.PlansBefore(ctx, before, expireBatch) })
		if err != nil {
			return fmt.Errorf("look for old plans: %w", err)
		}
		for _, p := range plans {
			if err := e.expirePlan(ctx, p); err != nil {
				return err
			}
		}
		if len(plans) < expireBatch {
			break
		}
	}
	execs, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) ([]store.Execution, error) { return tx.ExecutionsBefore(ctx, before) })
	if err != nil {
		return fmt.Errorf("look for old applies: %w", err)
	}
	for _, x := range execs {
		if err := e.expireExecution(ctx, x); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) expirePlan(ctx context.Context, p store.Plan) error {
	if err := e.deleteArtifacts(ctx, p); err != nil {
		return err
	}
	if err := e.deletePlanLog(p.ID); err != nil {
		return err
	}
	return e.cfg.Store.Write(ctx, func(tx *store.Tx) error { return tx.ExpirePlan(ctx, p.ID) })
}

func (e *Engine) deletePlanLog(id string) error {
	for _, file := range []string{e.LogPath(id), e.LogPath(id) + sealedSuffix} {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("delete a log: %w", err)
		}
	}
	return nil
}

func (e *Engine) expireExecution(ctx context.Context, x store.Execution) error {
	if x.ErroredState != "" {
		var ref artifact.Ref
		if err := json.Unmarshal([]byte(x.ErroredState), &ref); err != nil {
			return fmt.Errorf("decode reference: %w", err)
		}
		if err := e.cfg.Artifacts.Delete(ctx, ref); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(e.ExecutionDir(x.ID)); err != nil {
		return fmt.Errorf("delete an old log: %w", err)
	}
	return e.cfg.Store.Write(ctx, func(tx *store.Tx) error { return tx.ExpireExecution(ctx, x.ID) })
}

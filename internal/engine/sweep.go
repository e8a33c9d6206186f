package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/runner"
	"github.com/tollgate/tollgate/internal/store"
)

// Names in the directory of an execution. What looks at the result has directories of its own.
const (
	planFile    = "plan.tfplan"
	treeDir     = "tree"
	proofDir    = "proof"
	evidenceDir = "evidence"
)

// passing is what must not outlast an apply: plans hold values in clear.
var passing = []string{planFile, treeDir, proofDir, evidenceDir}

// sweep removes what a process that was killed could not: what must not outlast applies that have ended, and
// whatever was laid out for an apply that was never claimed.
func (e *Engine) sweep(ctx context.Context) error {
	entries, err := os.ReadDir(filepath.Join(e.cfg.DataDir, "executions"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for what an earlier process left: %w", err)
	}
	for _, entry := range entries {
		id := entry.Name()
		if !e.unswept(id) {
			continue
		}
		x, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (store.Execution, error) { return tx.Execution(ctx, id) })
		switch {
		case err == nil && x.State.Done():
			err = e.clear(ctx, x)
		case errors.Is(err, store.ErrNotFound):
			err = e.removeUnclaimed(id)
		}
		if err != nil {
			return fmt.Errorf("remove what an earlier process left: %w", err)
		}
	}
	return nil
}

func (e *Engine) unswept(id string) bool {
	if _, err := os.Lstat(e.OutputPath(id)); err == nil {
		return true
	}
	for _, name := range passing {
		if _, err := os.Lstat(filepath.Join(e.ExecutionDir(id), name)); err == nil {
			return true
		}
	}
	return false
}

func (e *Engine) clear(ctx context.Context, x store.Execution) error {
	var errs []error
	if !x.Frozen() { // else people look at what there is
		// First, since what is removed below is what tells the next start that there is something to do.
		if err := e.forgetPlan(ctx, x); err != nil {
			return err
		}
	}
	writes, err := e.mayWrite(x)
	if !writes {
		err = e.sealLog(applyLogBinding(x), e.OutputPath(x.ID), e.cfg.Known)
	}
	errs = append(errs, err)
	for _, name := range passing {
		errs = append(errs, os.RemoveAll(filepath.Join(e.ExecutionDir(x.ID), name)))
	}
	return errors.Join(errs...)
}

// mayWrite reports whether the process of an execution that counts as ended may go on: one that nobody could follow, or
// that only its claim tells of.
func (e *Engine) mayWrite(x store.Execution) (bool, error) {
	if x.State != change.ExecUnknown {
		return false, nil
	}
	s, err := e.cfg.Runner.Seal(e.runnerDir(x.ID))
	return err != nil || s.State == runner.Running, err
}

// forgetPlan deletes the plan that an execution has consumed: nobody will read it again. Its claim stays, and so does the
// JSON, on which changed policies are tried.
func (e *Engine) forgetPlan(ctx context.Context, x store.Execution) error {
	p, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (store.Plan, error) { return tx.Plan(ctx, x.PlanID) })
	if errors.Is(err, store.ErrNotFound) || err == nil && p.Artifacts == "" {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find the plan of an apply: %w", err)
	}
	var s stored
	if err := json.Unmarshal([]byte(p.Artifacts), &s); err != nil {
		return fmt.Errorf("decode artifacts: %w", err)
	}
	return e.cfg.Artifacts.Delete(ctx, s.Plan)
}

// removeUnclaimed removes all of a directory that no apply was claimed for. One that has had a runner is of a
// database that has come back from a backup: its apply may go on.
func (e *Engine) removeUnclaimed(id string) error {
	if _, err := os.Lstat(e.runnerDir(id)); err == nil {
		return nil
	}
	return os.RemoveAll(e.ExecutionDir(id))
}

package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

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
			err = e.clear(id)
		case errors.Is(err, store.ErrNotFound):
			err = e.discard(id)
		}
		if err != nil {
			return fmt.Errorf("remove what an earlier process left: %w", err)
		}
	}
	return nil
}

func (e *Engine) unswept(id string) bool {
	for _, name := range passing {
		if _, err := os.Lstat(filepath.Join(e.ExecutionDir(id), name)); err == nil {
			return true
		}
	}
	return false
}

func (e *Engine) clear(id string) error {
	var errs []error
	for _, name := range passing {
		errs = append(errs, os.RemoveAll(filepath.Join(e.ExecutionDir(id), name)))
	}
	return errors.Join(errs...)
}

// discard removes all of a directory that no apply was claimed for. One that has had a runner is of a
// database that has come back from a backup: its apply may go on.
func (e *Engine) discard(id string) error {
	if _, err := os.Lstat(e.runnerDir(id)); err == nil {
		return nil
	}
	return os.RemoveAll(e.ExecutionDir(id))
}

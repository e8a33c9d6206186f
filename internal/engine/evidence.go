package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tollgate/tollgate/internal/artifact"
	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/store"
)

// gather plans once more, in the background, what an apply of unknown end was to do, and attaches to
// its check what is left to change. It changes nothing, and waits for Terraform's lock as every plan does: if
// the apply has left that behind, the evidence says who holds it.
func (e *Engine) gather(x store.Execution) {
	e.wg.Go(func() {
		err := e.attach(e.life, x.ID)
		if err != nil && e.life.Err() == nil {
			e.cfg.Logger.Error("no evidence of an apply whose end is unknown", "execution", x.ID, "error", err)
		}
	})
}

func (e *Engine) attach(ctx context.Context, id string) error {
	var x store.Execution
	var p store.Plan
	attempt := 0
	err := e.cfg.Store.Write(ctx, func(tx *store.Tx) (err error) {
		if x, err = tx.Execution(ctx, id); err != nil || !x.Frozen() || x.Evidence != nil {
			return err
		}
		if p, err = tx.Plan(ctx, x.PlanID); err != nil {
			return err
		}
		attempt, err = tx.BeginEvidence(ctx, id)
		return err
	})
	if err != nil || attempt == 0 {
		return err
	}
	v := &change.Evidence{}
	if attempt > maxProofs { // looking may be what ends the server
		v.Fault = fault.New("The server ended each time while it looked.", "", "Compare the infrastructure with the plan yourself.")
	} else if v, err = e.evidence(ctx, x, p); err != nil {
		return err
	}
	err = e.cfg.Store.Write(ctx, func(tx *store.Tx) error { return tx.SetEvidence(ctx, x.ID, v) })
	if err != nil {
		return fmt.Errorf("record evidence: %w", err)
	}
	e.reportSoon(pullKey{x.RepoID, x.Number})
	return nil
}

// evidence fails only if ctx ends; then the next start looks again.
func (e *Engine) evidence(ctx context.Context, x store.Execution, p store.Plan) (*change.Evidence, error) {
	limited, cancel := context.WithTimeout(ctx, proofLimit)
	defer cancel()
	run, err := store.Read(limited, e.cfg.Store, func(tx *store.Tx) (store.Run, error) { return tx.Run(limited, p.RunID) })
	if err == nil && (p.Artifacts == "" || run.Tree == "") {
		err = fault.New("The database has lost the plan.", "So there is nothing to compare with.", "Compare the infrastructure with the pull request yourself.")
	}
	if err == nil {
		result, err := e.planApplied(limited, x, run, p, evidenceDir)
		if err == nil {
			return &change.Evidence{Counts: result.Summary.Counts, Changes: result.Summary.Changes}, nil
		}
		return &change.Evidence{Fault: fault.Public(err)}, ctx.Err()
	}
	return &change.Evidence{Fault: fault.Public(err)}, ctx.Err()
}

// erroredStateFile is what Terraform leaves when it cannot save the state: the only record of what was done.
func (e *Engine) erroredStateFile(x store.Execution) string {
	return filepath.Join(e.ExecutionDir(x.ID), treeDir, filepath.FromSlash(x.Project.Dir), "errored.tfstate")
}

func (e *Engine) hasErroredState(x store.Execution) bool {
	_, err := os.Lstat(e.erroredStateFile(x))
	return err == nil
}

// keepErroredState encrypts a state that Terraform could not save, bound to its execution, and returns where it is; empty if
// there is none.
func (e *Engine) keepErroredState(ctx context.Context, x store.Execution) (string, error) {
	state, err := os.ReadFile(e.erroredStateFile(x))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the state that was not saved: %w", err)
	}
	ref, err := e.cfg.Artifacts.Put(ctx, erroredStateBinding(x), state)
	if err != nil {
		return "", fmt.Errorf("keep the state that was not saved: %w", err)
	}
	b, err := json.Marshal(ref)
	return string(b), err
}

func erroredStateBinding(x store.Execution) artifact.Binding {
	return artifact.Binding{RepoID: x.RepoID, Pull: x.Number, HeadSHA: x.HeadSHA, Project: x.Project.Name, RunID: x.ID, Kind: artifact.ErroredState}
}

// ReadErroredState returns the state that an apply could not save.
func ReadErroredState(ctx context.Context, db *store.DB, artifacts *artifact.Store, id string) ([]byte, error) {
	x, err := store.Read(ctx, db, func(tx *store.Tx) (store.Execution, error) { return tx.Execution(ctx, id) })
	if err != nil {
		return nil, fmt.Errorf("find execution %s: %w", id, err)
	}
	if x.ErroredState == "" {
		return nil, fault.New("Execution "+id+" left no state that could not be saved.", "", "The state is where the backend keeps it.")
	}
	var ref artifact.Ref
	if err := json.Unmarshal([]byte(x.ErroredState), &ref); err != nil {
		return nil, fmt.Errorf("decode reference: %w", err)
	}
	return artifacts.Get(ctx, erroredStateBinding(x), ref)
}

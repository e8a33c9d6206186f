package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/tollgate/tollgate/internal/audit"
	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/cloud"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/terraform"
)

const (
	// proofLimit ends a second plan that hangs; until then nobody else can apply to the state.
	proofLimit = 10 * time.Minute
	// maxProofs bounds how often a result is looked at, if the server ends meanwhile: looking may be what ends it.
	maxProofs = 2
)

// prove plans once more what was just applied and judges the result, while the execution still
// holds the state: is anything left to change, and what do the policies say that the plan left open?
// It fails only if ctx ends; then the next start proves again. Everything else that goes wrong is
// the proof's own fault, since the apply itself is done.
func (e *Engine) prove(ctx context.Context, x store.Execution) (*change.Proof, error) {
	p, attempt, err := e.beginProof(ctx, x)
	if err != nil {
		return nil, err
	}
	e.reportSoon(pullKey{x.RepoID, x.Number})
	if attempt > maxProofs {
		err = fault.New("The server ended each time while it looked at the result.", "", "Comment `/plan "+x.Project.Name+"` to see whether anything is left to change.")
		return &change.Proof{Fault: fault.Public(err), Obligations: change.Obligations(p.Findings, nil)}, nil
	}
	limited, cancel := context.WithTimeout(ctx, proofLimit)
	defer cancel()
	proof, err := e.proof(limited, x, p)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err == nil {
		return proof, nil
	}
	e.cfg.Logger.Warn("an apply is not proven", "execution", x.ID, "project", x.Project.Name, "error", err)
	if limited.Err() != nil {
		err = fault.Wrap(err, fmt.Sprintf("The second plan took longer than %s and was stopped.", proofLimit), "",
			"Comment `/plan "+x.Project.Name+"` to see whether anything is left to change.")
	}
	return &change.Proof{Fault: fault.Public(err), Obligations: change.Obligations(p.Findings, nil)}, nil
}

// beginProof counts the attempt, and with the first one writes into the ledger that Terraform has
// ended well: that is known from now on, whatever becomes of the proof.
func (e *Engine) beginProof(ctx context.Context, x store.Execution) (p store.Plan, attempt int, err error) {
	err = e.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		if p, err = tx.Plan(ctx, x.PlanID); err != nil {
			return err
		}
		if attempt, err = tx.BeginProof(ctx, x.ID); err != nil || attempt > 1 {
			return err
		}
		return about(ctx, tx, x.ID, ending(x, audit.ActionApplyEnd, audit.Succeeded, nil))
	})
	if err != nil {
		return p, 0, fmt.Errorf("record that an apply has ended: %w", err)
	}
	return p, attempt, nil
}

func (e *Engine) proof(ctx context.Context, x store.Execution, p store.Plan) (*change.Proof, error) {
	j, err := e.applied(ctx, x, p)
	if err != nil {
		return nil, err
	}
	result, err := e.planApplied(ctx, x, j.run, p, proofDir)
	if err != nil {
		return nil, err
	}
	v, err := e.judgePlan(ctx, j.rules, result.JSON)
	if err != nil {
		return nil, err
	}
	return &change.Proof{Counts: result.Summary.Counts, Obligations: change.Obligations(p.Findings, v.findings)}, nil
}

// planApplied plans the tree of an apply once more, in a directory of that name. It changes nothing.
func (e *Engine) planApplied(ctx context.Context, x store.Execution, run store.Run, p store.Plan, name string) (*terraform.Plan, error) {
	var s stored
	if err := json.Unmarshal([]byte(p.Artifacts), &s); err != nil {
		return nil, fmt.Errorf("decode artifacts: %w", err)
	}
	dir := filepath.Join(e.ExecutionDir(x.ID), name)
	if err := os.RemoveAll(dir); err != nil { // of an earlier attempt
		return nil, err
	}
	defer os.RemoveAll(dir)
	// A fresh checkout: what was applied could have left something in the other.
	m := *s.Module
	m.Root = filepath.Join(dir, treeDir)
	pull, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (store.Pull, error) { return tx.Pull(ctx, x.RepoID, x.Number) })
	if err != nil {
		return nil, fmt.Errorf("read pull request: %w", err)
	}
	if m.Environ, err = e.mint(ctx, cloud.Plan, pull.Repo, x.Number, x.CommitSHA, p); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if _, err := e.cfg.Git.Checkout(ctx, run.RepoID, run.Tree, m.Root); err != nil {
		return nil, err
	}
	// Its output is for nobody: what it found is shown, and why it failed is in the error.
	return e.cfg.Terraform.Plan(ctx, m, terraform.PlanTo{File: filepath.Join(dir, "plan"), Log: io.Discard})
}

// applied finds the run that an applied plan is of, and the rules that it was judged by.
func (e *Engine) applied(ctx context.Context, x store.Execution, p store.Plan) (*job, error) {
	j := &job{}
	err := e.cfg.Store.Write(ctx, func(tx *store.Tx) (err error) {
		if j.run, err = tx.Run(ctx, p.RunID); err != nil {
			return err
		}
		j.pull, err = tx.Pull(ctx, x.RepoID, x.Number)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read what was applied: %w", err)
	}
	return j, e.settings(ctx, j)
}

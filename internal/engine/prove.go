package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/terraform"
)

// proofLimit ends a second plan that hangs; until then nobody else can apply to the state.
const proofLimit = 30 * time.Minute

// prove plans once more what was just applied and judges the result, while the execution still
// holds the state: is anything left to change, and what do the policies say that the plan left open?
// It fails only if ctx ends; then the next start proves again. Everything else that goes wrong is
// the proof's own fault, since the apply itself is done.
func (e *Engine) prove(ctx context.Context, x store.Execution) (*change.Proof, error) {
	limited, cancel := context.WithTimeout(ctx, proofLimit)
	defer cancel()
	proof, err := e.proof(limited, x)
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
	return &change.Proof{Fault: fault.Public(err)}, nil
}

func (e *Engine) proof(ctx context.Context, x store.Execution) (*change.Proof, error) {
	p, j, err := e.applied(ctx, x)
	if err != nil {
		return nil, err
	}
	var s stored
	if err := json.Unmarshal([]byte(p.Artifacts), &s); err != nil {
		return nil, fmt.Errorf("decode artifacts: %w", err)
	}
	dir := filepath.Join(e.ExecutionDir(x.ID), "proof")
	if err := os.RemoveAll(dir); err != nil { // of an earlier attempt
		return nil, err
	}
	defer os.RemoveAll(dir)
	// A fresh checkout: what was applied could have left something in the other.
	m := *s.Module
	m.Root = filepath.Join(dir, "tree")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if _, err := e.cfg.Git.Checkout(ctx, j.run.RepoID, j.run.Tree, m.Root); err != nil {
		return nil, err
	}
	log, err := create(filepath.Join(e.ExecutionDir(x.ID), "proof.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	result, err := e.cfg.Terraform.Plan(ctx, m, terraform.PlanTo{File: filepath.Join(dir, "plan"), Log: log})
	if err != nil {
		return nil, err
	}
	v, err := e.judgePlan(ctx, j.rules, result.JSON)
	if err != nil {
		return nil, err
	}
	return &change.Proof{Counts: result.Summary.Counts, Obligations: change.Obligations(p.Findings, v.findings)}, nil
}

// applied reads the plan that an execution consumed, and the rules that it was judged by.
func (e *Engine) applied(ctx context.Context, x store.Execution) (store.Plan, *job, error) {
	j := &job{}
	p, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (p store.Plan, err error) {
		if p, err = tx.Plan(ctx, x.PlanID); err != nil {
			return p, err
		}
		if j.run, err = tx.Run(ctx, p.RunID); err != nil {
			return p, err
		}
		j.pull, err = tx.Pull(ctx, x.RepoID, x.Number)
		return p, err
	})
	if err != nil {
		return p, nil, fmt.Errorf("read what was applied: %w", err)
	}
	return p, j, e.settings(ctx, j)
}

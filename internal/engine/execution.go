package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/tollgate/tollgate/internal/artifact"
	"github.com/tollgate/tollgate/internal/audit"
	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/livelog"
	"github.com/tollgate/tollgate/internal/runner"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/terraform"
)

const (
	startLimit = 5 * time.Minute  // facts older than this no longer justify an apply
	applyLimit = 6 * time.Hour    // ends an apply that hangs; providers' own time-outs are far shorter
	applyGrace = 30 * time.Minute // for the resources under way when an apply is asked to stop
)

// tailBytes of an apply's output are shown in its check.
const tailBytes = 16 << 10

// claim consumes the plan, locks the state and writes the ledger's row in one transaction, and
// only then starts the process that applies.
func (e *Engine) claim(ctx context.Context, req applyRequest, f facts, j *job, p store.Plan) error {
	x := store.Execution{Execution: change.Execution{ID: store.NewID(), PlanID: p.ID, Project: p.Project, Trigger: req.Trigger,
		Actor: req.Actor, CommitSHA: f.pull.HeadSHA}, RepoID: req.Repo.ID, Number: req.Number, HeadSHA: f.pull.HeadSHA, StateKey: p.StateKey}
	if f.pull.Merged {
		x.CommitSHA = f.pull.MergeSHA
	}
	if _, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (store.Execution, error) { return tx.Holder(ctx, p.StateKey) }); err == nil {
		return e.locked(ctx, p)
	}
	// All that can fail without consequence comes before the claim.
	spec, err := e.layOut(ctx, x, j, p)
	if err != nil {
		return errors.Join(err, os.RemoveAll(e.ExecutionDir(x.ID)))
	}
	e.cfg.At(ClaimBefore)
	err = e.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		if err := tx.Claim(ctx, &x); err != nil {
			return err
		}
		return audit.Append(ctx, tx, e.authorisation(req, f, j, p, x))
	})
	switch {
	case err == nil:
	case errors.Is(err, store.ErrConflict):
		_ = os.RemoveAll(e.ExecutionDir(x.ID))
		return e.locked(ctx, p)
	default:
		// A commit whose answer is lost may have happened; then there is no way back.
		_, known := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (store.Execution, error) { return tx.Execution(ctx, x.ID) })
		if errors.Is(known, store.ErrNotFound) {
			_ = os.RemoveAll(e.ExecutionDir(x.ID))
		}
		if known != nil {
			return errors.Join(err, known)
		}
	}
	e.cfg.At(ClaimAfter)
	e.reportSoon(keyOf(f.pull.Pull))
	if err := e.cfg.Runner.Start(e.runnerDir(x.ID), spec); err != nil {
		// Whether a process came to life, follow finds out, and forbids a late start.
		e.cfg.Logger.Error("start apply", "execution", x.ID, "error", err)
	}
	e.cfg.At(StartAfter)
	e.watch(x)
	return nil
}

// authorisation is the ledger's row: who let what be applied, and on which grounds.
func (e *Engine) authorisation(req applyRequest, f facts, j *job, p store.Plan, x store.Execution) audit.Entry {
	var approvers []change.User
	for _, r := range f.reviews {
		if r.State == "approved" && r.CommitSHA == f.pull.HeadSHA {
			approvers = append(approvers, r.Author)
		}
	}
	return audit.Entry{Actor: req.Actor, Action: "apply", Outcome: "allowed", Origin: req.origin(), Subject: map[string]any{
		"execution": x.ID, "repository": req.Repo.ID, "pull": req.Number, "project": p.Project.Name,
		"head": f.pull.HeadSHA, "base": j.run.BaseSHA, "commit": x.CommitSHA, "tree": j.run.Tree, "plan": p.ID,
		"effect": p.Summary.EffectDigest, "policies": j.rules.digest(), "approvers": approvers}}
}

// errStateBusy says that another apply of the same state has to end first.
var errStateBusy = errors.New("another apply holds the state")

// locked says who holds the state, or that it is worth waiting.
func (e *Engine) locked(ctx context.Context, p store.Plan) error {
	holder, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (store.Execution, error) { return tx.Holder(ctx, p.StateKey) })
	if errors.Is(err, store.ErrNotFound) {
		return errStateBusy // the holder has just ended, or the plan is consumed: the next look tells
	}
	if err != nil {
		return err
	}
	if holder.State == change.ExecUnknown {
		return fault.New(fmt.Sprintf("The state of %s is frozen: how its last apply ended, from pull request #%d, is unknown.", p.Project.Name, holder.Number),
			"Applying on top of it could do things twice.", "Find out what was applied, then release it with `/unlock "+p.Project.Name+"`.")
	}
	return errStateBusy
}

// layOut puts a fresh checkout and the decrypted plan where the apply runs. Nothing of the
// directory in which the plan was made is used again: code could have been left in it.
func (e *Engine) layOut(ctx context.Context, x store.Execution, j *job, p store.Plan) (runner.Spec, error) {
	var s stored
	if err := json.Unmarshal([]byte(p.Artifacts), &s); err != nil {
		return runner.Spec{}, fmt.Errorf("decode artifacts: %w", err)
	}
	plan, err := e.cfg.Artifacts.Get(ctx, e.binding(j.run, p, artifact.PlanFile), s.Plan)
	if err != nil {
		return runner.Spec{}, err
	}
	dir := e.ExecutionDir(x.ID)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return runner.Spec{}, err
	}
	m := *s.Module
	m.Root = filepath.Join(dir, "tree")
	if _, err := e.cfg.Git.Checkout(ctx, j.run.RepoID, j.run.Tree, m.Root); err != nil {
		return runner.Spec{}, err
	}
	file := filepath.Join(dir, "plan.tfplan")
	if err := os.WriteFile(file, plan, 0o600); err != nil {
		return runner.Spec{}, err
	}
	cmd, err := e.cfg.Terraform.ApplyCommand(ctx, m, file, io.Discard)
	if err != nil {
		return runner.Spec{}, err
	}
	return runner.Spec{ID: x.ID, Path: cmd.Path, Args: cmd.Args, Env: cmd.Env, Dir: cmd.Dir,
		Scratch: cmd.Scratch, Room: cmd.Room, NotAfter: time.Now().Add(startLimit), Limit: applyLimit, Grace: applyGrace}, nil
}

// storedJSON decrypts the plan's JSON.
func (e *Engine) storedJSON(ctx context.Context, run store.Run, p store.Plan) ([]byte, error) {
	var s stored
	if err := json.Unmarshal([]byte(p.Artifacts), &s); err != nil {
		return nil, fmt.Errorf("decode artifacts: %w", err)
	}
	return e.cfg.Artifacts.Get(ctx, e.binding(run, p, artifact.PlanJSON), s.JSON)
}

// watch follows an execution to its end in the background, also one of an earlier process.
func (e *Engine) watch(x store.Execution) {
	e.mu.Lock()
	e.applying[x.ID] = true
	e.mu.Unlock()
	e.wg.Go(func() {
		defer func() {
			e.mu.Lock()
			delete(e.applying, x.ID)
			e.mu.Unlock()
		}()
		for e.life.Err() == nil {
			err := e.follow(e.life, x)
			if err == nil {
				return
			}
			e.cfg.Logger.Error("follow apply; trying again", "execution", x.ID, "project", x.Project.Name, "error", err)
			select {
			case <-time.After(e.cfg.Pace.FollowPause):
			case <-e.life.Done():
			}
		}
	})
}

func (e *Engine) follow(ctx context.Context, x store.Execution) error {
	x, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (store.Execution, error) { return tx.Execution(ctx, x.ID) })
	if err != nil || x.State.Done() {
		return err
	}
	if x.State == change.ExecClaimed {
		status, err := e.cfg.Runner.Seal(e.runnerDir(x.ID))
		if err != nil {
			return err
		}
		if status.State == runner.NotStarted {
			return e.finish(ctx, x, change.ExecFailedClean, fault.New("Terraform was not started.",
				"The server stopped, or could not start a process, after the plan was claimed. Nothing was changed.", "Comment `/plan` for a new plan."), "")
		}
		if err := e.move(ctx, x, change.ExecRunning); err != nil {
			return err
		}
		e.reportSoon(pullKey{x.RepoID, x.Number})
	}
	status, err := e.cfg.Runner.Watch(ctx, e.runnerDir(x.ID))
	if err != nil {
		return err
	}
	state, flt, cause := e.judgeExit(x, status)
	if state == change.ExecApplied {
		if x.Proof, err = e.prove(ctx, x); err != nil {
			return err
		}
	}
	return e.finish(ctx, x, state, flt, cause)
}

func (e *Engine) move(ctx context.Context, x store.Execution, to change.ExecutionState) error {
	return e.cfg.Store.Write(ctx, func(tx *store.Tx) error { return tx.MoveExecution(ctx, x.ID, to, nil, "") })
}

// judgeExit says how an apply ended. Only what is proven clean is called so.
func (e *Engine) judgeExit(x store.Execution, s runner.Status) (change.ExecutionState, *fault.Error, store.Cause) {
	switch {
	case s.State == runner.NotStarted:
		return change.ExecFailedClean, fault.New("Terraform was not started.", "Nothing was changed. "+s.Reason, "Comment `/plan` for a new plan."), ""
	case s.State != runner.Exited, s.Exit.Killed, s.Exit.Code < 0:
		return change.ExecUnknown, fault.New("Nobody can tell how the apply ended.",
			"The process was killed, so a part of the change may have been made. Nothing is tried again, and the project is frozen.",
			"Compare the infrastructure with the state, release Terraform's state lock if it is left, then comment `/unlock "+x.Project.Name+"`."), ""
	case s.Exit.Code == 0:
		return change.ExecApplied, nil, ""
	}
	output, err := os.ReadFile(e.OutputPath(x.ID))
	if err != nil {
		e.cfg.Logger.Error("read the output of an apply", "execution", x.ID, "error", err)
	}
	err = terraform.Explain(output, s.Exit.Code)
	var failure *terraform.Failure
	switch {
	case errors.Is(err, terraform.ErrStateNotSaved), errors.Is(err, terraform.ErrCrashed):
		// The state does not know of what was done, so another apply would do it again.
		return change.ExecUnknown, fault.Public(err), ""
	case !errors.As(err, &failure) || !failure.Untouched:
		return change.ExecFailedPartial, fault.Public(err), ""
	case errors.Is(err, terraform.ErrStale):
		return change.ExecFailedClean, fault.Public(err), store.CauseStale
	}
	return change.ExecFailedClean, fault.Public(err), ""
}

// finish records how an execution ended, with its row in the ledger, and clears what is secret.
func (e *Engine) finish(ctx context.Context, x store.Execution, state change.ExecutionState, flt *fault.Error, cause store.Cause) error {
	entry := ending(x, "apply.end", "failed", nil)
	switch state {
	case change.ExecUnknown:
		entry.Outcome = "unknown"
	case change.ExecApplied:
		entry = ending(x, "apply.proof", proofOutcome(x.Proof), x.Proof)
	}
	entry.Subject["state"] = state
	e.cfg.At(EndBefore)
	err := e.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		if err := tx.MoveExecution(ctx, x.ID, state, flt, cause); err != nil {
			return err
		}
		if x.Proof != nil {
			if err := tx.SetProof(ctx, x.ID, x.Proof); err != nil {
				return err
			}
		}
		if state != change.ExecFailedClean {
			if err := e.queue.Put(ctx, tx, taskState, appliedState{x.ID}, time.Time{}); err != nil {
				return err
			}
		}
		return audit.Append(ctx, tx, entry)
	})
	if err != nil {
		return fmt.Errorf("record the end of an apply: %w", err)
	}
	e.cfg.At(EndAfter)
	e.cfg.Ended("apply", string(state))
	e.cfg.Logger.Info("apply ended", "execution", x.ID, "project", x.Project.Name, "state", state)
	dir := e.ExecutionDir(x.ID)
	_ = os.Remove(filepath.Join(dir, "plan.tfplan"))
	if state == change.ExecApplied || state == change.ExecFailedClean {
		// After any other end the tree may hold errored.tfstate, the only record of what was done.
		_ = os.RemoveAll(filepath.Join(dir, "tree"))
	}
	e.reportNow(ctx, pullKey{x.RepoID, x.Number})
	return nil
}

// ending is the ledger's row about the end of an apply, or about the look at its result.
func ending(x store.Execution, action, outcome string, p *change.Proof) audit.Entry {
	subject := map[string]any{"execution": x.ID, "repository": x.RepoID, "pull": x.Number, "project": x.Project.Name}
	if p != nil && p.Fault == nil {
		subject["nothing_left"], subject["left_open"], subject["broken"] = p.Counts.Empty(), len(p.Obligations), len(p.Broken())
	}
	return audit.Entry{Actor: x.Actor, Action: action, Outcome: outcome, Origin: "execution " + x.ID, Subject: subject}
}

func proofOutcome(p *change.Proof) string {
	switch {
	case p == nil || p.Fault != nil:
		return "unknown"
	case len(p.Broken()) > 0:
		return "failed"
	}
	return "succeeded"
}

// runnerDir belongs to the runner; it tells how far an apply got.
func (e *Engine) runnerDir(id string) string { return filepath.Join(e.ExecutionDir(id), "run") }

// OutputPath is the file that the output of an execution is written to.
func (e *Engine) OutputPath(id string) string { return runner.OutputFile(e.runnerDir(id)) }

// tail is the end of an execution's output.
func (e *Engine) tail(id string) string {
	b, _, err := livelog.Tail(e.OutputPath(id), tailBytes)
	if err != nil {
		return ""
	}
	return string(b)
}

package engine

import (
	"bytes"
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
	"github.com/tollgate/tollgate/internal/cloud"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/livelog"
	"github.com/tollgate/tollgate/internal/runner"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/terraform"
)

// startLimit is how long facts justify an apply.
const startLimit = 5 * time.Minute

// tailBytes of an apply's output are shown in its check.
const tailBytes = 16 << 10

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
			"Applying on top of it could do things twice.", "Find out what was applied, then say so with `/resolve "+p.Project.Name+" applied REASON` or `/resolve "+p.Project.Name+" reconcile REASON`.")
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
	m.Root = filepath.Join(dir, treeDir)
	// What is done before the claim only reads.
	if m.Environ, err = e.mint(ctx, cloud.Plan, j.pull.Repo, x.Number, x.CommitSHA, p); err != nil {
		return runner.Spec{}, err
	}
	if _, err := e.cfg.Git.Checkout(ctx, j.run.RepoID, j.run.Tree, m.Root); err != nil {
		return runner.Spec{}, err
	}
	file := filepath.Join(dir, planFile)
	if err := os.WriteFile(file, plan, 0o600); err != nil {
		return runner.Spec{}, err
	}
	cmd, err := e.cfg.Terraform.ApplyCommand(ctx, m, file, io.Discard)
	if err != nil {
		return runner.Spec{}, err
	}
	return runner.Spec{ID: x.ID, Path: cmd.Path, Args: cmd.Args, Env: cmd.Env, Dir: cmd.Dir,
		Scratch: cmd.Scratch, Room: cmd.Room, NotAfter: time.Now().Add(startLimit), Limit: e.cfg.Limits.Apply, Grace: e.cfg.Limits.Grace}, nil
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
		for panics := 0; e.life.Err() == nil; {
			err := e.survive(func() error { return e.follow(e.life, x) })
			if errors.Is(err, errPanic) {
				panics++
			}
			if panics == maxPanics { // no check stays in progress because nobody can follow
				err = e.finish(e.life, x, change.ExecUnknown, fault.Public(err), "")
			}
			if err == nil {
				e.gather(x)
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
	return e.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		if err := tx.MoveExecution(ctx, x.ID, to, nil, ""); err != nil {
			return err
		}
		return about(ctx, tx, x.ID, ending(x, audit.ActionApplyStart, audit.Succeeded, nil))
	})
}

// judgeExit says how an apply ended. Only what is proven clean is called so.
func (e *Engine) judgeExit(x store.Execution, s runner.Status) (change.ExecutionState, *fault.Error, store.Cause) {
	resolve := "`/resolve " + x.Project.Name + " applied REASON` if all of it is there, or `/resolve " + x.Project.Name + " reconcile REASON` if not."
	switch {
	case s.State == runner.NotStarted:
		return change.ExecFailedClean, fault.New("Terraform was not started.", "Nothing was changed. "+s.Reason, "Comment `/plan` for a new one."), ""
	case s.State != runner.Exited, s.Exit.Killed, s.Exit.Code < 0:
		return change.ExecUnknown, fault.New("Nobody can tell how the apply ended."+e.why(s),
			"The process was killed, so a part of the change may have been made. Nothing is tried again, and the project is frozen.",
			"Compare the infrastructure with the state, release Terraform's state lock if it is left, then comment "+resolve), ""
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
	case errors.Is(err, terraform.ErrStateNotSaved), e.hasErroredState(x):
		// The state does not know of what was done, so another apply would do it again.
		return change.ExecUnknown, fault.New("Terraform has changed resources but could not save the new state.",
			"The state no longer describes what exists; another apply now could create everything twice. Nothing is tried again, and the project is frozen.",
			"Get the state that was not saved with the command below and push it with `terraform state push`, then comment "+resolve), ""
	case !errors.As(err, &failure) || !failure.Untouched:
		flt := fault.Public(err)
		if why := e.why(s); why != "" {
			flt = fault.Wrap(err, flt.What+why, flt.Why, flt.Fix)
		}
		return change.ExecFailedPartial, flt, ""
	case errors.Is(err, terraform.ErrStale):
		return change.ExecFailedClean, fault.Public(err), store.CauseStale
	case errors.Is(err, terraform.ErrLocked):
		return change.ExecFailedClean, fault.Public(err), store.CauseLocked
	}
	return change.ExecFailedClean, fault.Public(err), ""
}

// why says what made an apply stop that did not stop by itself, with a space before it.
func (e *Engine) why(s runner.Status) string {
	switch {
	case s.State != runner.Exited || s.Exit.Stop == "":
		return ""
	case s.Exit.Stop == runner.StopLimit && s.Exit.Killed:
		return fmt.Sprintf(" It took longer than %s, did not stop within %s when it was asked to, and was killed.", e.cfg.Limits.Apply, e.cfg.Limits.Grace)
	case s.Exit.Stop == runner.StopLimit:
		return fmt.Sprintf(" It took longer than %s and was asked to stop.", e.cfg.Limits.Apply)
	}
	return " It was asked to stop from outside (" + s.Exit.Stop + ")."
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
	errored, err := e.keepErroredState(ctx, x)
	if err != nil {
		return err
	}
	e.cfg.At(EndBefore)
	err = e.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		if err := tx.MoveExecution(ctx, x.ID, state, flt, cause); err != nil {
			return err
		}
		if errored != "" {
			if err := tx.SetErroredState(ctx, x.ID, errored); err != nil {
				return err
			}
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
		return about(ctx, tx, x.ID, entry)
	})
	if err != nil {
		return fmt.Errorf("record the end of an apply: %w", err)
	}
	e.cfg.At(EndAfter)
	e.cfg.Ended("apply", string(state))
	e.cfg.Logger.Info("apply ended", "execution", x.ID, "project", x.Project.Name, "state", state)
	// A state that was not saved is kept encrypted by now.
	x.State = state
	if err := e.clear(ctx, x); err != nil {
		e.cfg.Logger.Error("remove what an apply has left; the next start tries again", "execution", x.ID, "error", err)
	}
	e.reportSoon(pullKey{x.RepoID, x.Number})
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
func (e *Engine) tail(x store.Execution) string {
	if sealed, err := e.ApplyLog(x); sealed != nil || err != nil {
		if cut := len(sealed) - tailBytes; cut > 0 {
			sealed = sealed[cut:]
			sealed = sealed[bytes.IndexByte(sealed, '\n')+1:]
		}
		return string(sealed)
	}
	b, start, err := livelog.Tail(e.OutputPath(x.ID), int64(tailBytes+e.cfg.Known.Reach()))
	if err != nil {
		return ""
	}
	e.cfg.Known.Fill(b)
	if start > 0 { // a secret may have begun before it
		b = b[min(e.cfg.Known.Reach(), len(b)):]
		b = b[bytes.IndexByte(b, '\n')+1:]
	}
	return string(b)
}

package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/queue"
	"github.com/tollgate/tollgate/internal/store"
)

const (
	// maxAttempts bounds how often a plan is begun by servers that end meanwhile: it may be what ends them.
	maxAttempts = 3
	// maxPanics bounds how often a task is tried again that panics. It will most likely always.
	maxPanics = 3
)

// errPanic stands behind the fault that a panic becomes.
var errPanic = errors.New("panic")

// survive turns a panic in f into an error, so that what one pull request triggers does not end the
// work on all others, and does not end it again after each start.
func (e *Engine) survive(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			e.cfg.Logger.Error("panic", "value", fmt.Sprint(v), "trace", string(debug.Stack()))
			err = fault.Wrap(errPanic, "Tollgate failed at this: it has a defect.", "So there is no verdict, and nothing is applied.",
				"Its log says where. Report it, and comment `/plan` to try again.")
		}
	}()
	return f()
}

// quarantine ends what has panicked each time that it was tried, and says so where people look.
func (e *Engine) quarantine(ctx context.Context, t queue.Task, cause error) error {
	e.cfg.Logger.Error("a task is given up because it panics", "task", t.Name, "attempts", t.Attempt)
	switch t.Name {
	case taskEvent:
		var ev github.Event
		if err := json.Unmarshal(t.Body, &ev); err != nil || ev.Pull == 0 {
			return err
		}
		return e.blame(ctx, change.Pull{Repo: ev.Repo, Number: ev.Pull}, cause)
	case taskApply:
		var req applyRequest
		if err := json.Unmarshal(t.Body, &req); err != nil {
			return err
		}
		return e.refuse(ctx, req, cause)
	}
	return nil
}

// blame gives the newest commit of a pull request a failed run, unless it has a run already.
func (e *Engine) blame(ctx context.Context, p change.Pull, cause error) error {
	unlock := e.decisions.lock(keyOf(p))
	defer unlock()
	pull, err := e.read(ctx, p.Repo, p.Number)
	if err != nil {
		return err
	}
	if err := e.save(ctx, pull); err != nil {
		return err
	}
	last, err := e.latest(ctx, keyOf(p))
	if err != nil || !pull.Open || last.HeadSHA == pull.HeadSHA && last.State != change.RunSuperseded {
		return err
	}
	if err := e.cancelActive(ctx, keyOf(p), change.RunSuperseded, errSuperseded); err != nil {
		return err
	}
	run := store.Run{ID: store.NewID(), RepoID: p.Repo.ID, Number: p.Number, HeadSHA: pull.HeadSHA, BaseRef: pull.BaseRef, Reason: "panic", Owner: e.boot}
	err = e.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		if err := tx.AddRun(ctx, &run); err != nil {
			return err
		}
		return tx.MoveRun(ctx, run.ID, change.RunErrored, fault.Public(cause))
	})
	if err != nil {
		return fmt.Errorf("record a run that cannot be made: %w", err)
	}
	e.reportSoon(keyOf(p))
	return nil
}

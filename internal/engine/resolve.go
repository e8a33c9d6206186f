package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/queue"
	"github.com/tollgate/tollgate/internal/report"
	"github.com/tollgate/tollgate/internal/store"
)

// resolve records what a person found out about an apply of unknown end, or only releases its project.
// Terraform's own lock is not touched: whoever knows that nothing runs can release it with Terraform.
func (e *Engine) resolve(ctx context.Context, ev github.Event, cmd github.Command) error {
	unlock := e.decisions.lock(pullKey{ev.Repo.ID, ev.Pull})
	defer unlock()
	v, err := e.view(ctx, pullKey{ev.Repo.ID, ev.Pull})
	if err != nil {
		return err
	}
	key := ""
	for _, p := range v.plans[v.newest().ID] {
		if p.Project.Name == cmd.Project {
			key = p.StateKey
		}
	}
	for _, x := range v.executions { // also when the newest run has no plan
		if x.Project.Name == cmd.Project && x.Frozen() {
			key = x.StateKey
		}
	}
	holder, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (store.Execution, error) { return tx.Holder(ctx, key) })
	if errors.Is(err, store.ErrNotFound) && cmd.Name == "unlock" {
		return fault.New("Nothing holds a lock on "+cmd.Project+".", "Plans lock nothing; only an apply does.", "")
	}
	if errors.Is(err, store.ErrNotFound) {
		return fault.New("There is nothing to resolve on "+cmd.Project+".", "Only an apply whose end nobody knows has to be resolved.", "")
	}
	if err != nil {
		return err
	}
	r := change.Resolved{As: change.Resolution(cmd.Resolution), By: ev.Sender, Reason: cmd.Reason}
	if cmd.Name == "unlock" {
		r.As = change.ResolvedReleased
	}
	if err := resolveIn(ctx, e.cfg.Store, e.queue, holder.ID, r, fmt.Sprintf("comment %d", ev.CommentID)); err != nil {
		return err
	}
	held := fmt.Sprintf("an apply of pull request #%d whose outcome is unknown", holder.Number)
	if cmd.Name == "unlock" {
		return e.answer(ctx, ev, report.AnswerUnlock(cmd.Project, held))
	}
	return e.answer(ctx, ev, report.AnswerResolve(cmd.Project, held, r.As))
}

// ResolveBeside resolves an execution in the database of a server that may be running: that follows up by itself. It
// returns the execution as it was.
func ResolveBeside(ctx context.Context, db *store.DB, log *slog.Logger, id string, r change.Resolved) error {
	q, err := queue.Open(ctx, db, queue.Config{Logger: log})
	if err != nil {
		return err
	}
	return resolveIn(ctx, db, q, id, r, "bot resolve")
}

// resolveIn records a resolution and its row in the ledger, and leaves what follows from it to a task.
func resolveIn(ctx context.Context, db *store.DB, q *queue.Queue, id string, r change.Resolved, origin string) error {
	return db.Write(ctx, func(tx *store.Tx) error {
		x, err := tx.Execution(ctx, id)
		if errors.Is(err, store.ErrNotFound) {
			return fault.New("There is no execution "+id+".", "Nothing was resolved.", "The check of the apply names its execution.")
		}
		if err != nil {
			return err
		}
		if !x.State.Done() {
			return fault.New(fmt.Sprintf("An apply of pull request #%d is running.", x.Number), "Its lock protects the state.", "Wait until it has ended.")
		}
		if !x.Frozen() {
			return fault.New("There is nothing to resolve on "+x.Project.Name+".", "How that apply ended is known, or somebody has resolved it already.", "")
		}
		if err := tx.Resolve(ctx, id, r); err != nil {
			return err
		}
		action := "resolve"
		if r.As == change.ResolvedReleased {
			action = "unlock"
		}
		entry := ending(x, action, "allowed", nil)
		entry.Actor, entry.Origin = r.By, origin
		entry.Subject["as"], entry.Subject["reason"] = r.As, r.Reason
		if err := about(ctx, tx, id, entry); err != nil {
			return err
		}
		return q.Put(ctx, tx, taskResolved, id, time.Time{})
	})
}

// resolved reports a resolution, and plans again what is left if not all of the change is there.
func (e *Engine) resolved(ctx context.Context, id string) error {
	x, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (store.Execution, error) { return tx.Execution(ctx, id) })
	if err != nil {
		return err
	}
	if err := e.clear(ctx, x); err != nil {
		e.cfg.Logger.Error("remove what an apply has left; the next start tries again", "execution", x.ID, "error", err)
	}
	key := pullKey{x.RepoID, x.Number}
	if x.Resolved.As == change.ResolvedReconcile {
		if err := e.planWhatIsLeft(ctx, key); err != nil {
			return err
		}
	}
	e.reportSoon(key)
	return nil
}

func (e *Engine) planWhatIsLeft(ctx context.Context, key pullKey) error {
	unlock := e.decisions.lock(key)
	defer unlock()
	known, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (store.Pull, error) { return tx.Pull(ctx, key.Repo, key.Number) })
	if err != nil {
		return err
	}
	pull, err := e.read(ctx, known.Repo, key.Number)
	if err != nil {
		return err
	}
	if pull.Note = stopped(pull); pull.Note != nil || !pull.Open && !pull.Merged {
		return nil // whoever wants to go on with it asks for a plan
	}
	if err := e.save(ctx, pull); err != nil {
		return err
	}
	reason := "/resolve"
	if pull.Merged {
		reason = reasonMergedAgain
	}
	return e.startRun(ctx, pull, reason)
}

package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tollgate/tollgate/internal/audit"
	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/gate"
	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/report"
	"github.com/tollgate/tollgate/internal/store"
)

// Breaking the glass: one person asks and says why, a second one confirms for the very plan, and then
// one apply may start without approvals before the box is over. What exactly it may go without is for
// the policies in policies/apply to say; here it is seen to that everybody hears of it first.

// breakGlass carries out both halves of it. The caller has asked for the write permission of the sender.
func (e *Engine) breakGlass(ctx context.Context, ev github.Event, cmd github.Command, comment github.Comment) error {
	key := pullKey{ev.Repo.ID, ev.Pull}
	unlock := e.decisions.lock(key)
	defer unlock()
	pull, err := e.read(ctx, ev.Repo, ev.Pull)
	if err != nil {
		return err
	}
	v, err := e.view(ctx, key)
	if err != nil {
		return err
	}
	p, ok := v.shown(cmd.Project)
	if !ok || v.reviewed().HeadSHA != pull.HeadSHA {
		return fault.New("There is no judged plan of "+cmd.Project+" at the newest commit.", "Also in an emergency only a plan that people could see is applied.",
			"Comment `/plan`, look at the plan, then ask again.")
	}
	if cmd.Plan == "" {
		return e.askBreakGlass(ctx, ev, cmd, comment, p, pull)
	}
	return e.confirmBreakGlass(ctx, ev, cmd, v, p, pull)
}

// askBreakGlass records the first half and tells how to confirm it.
func (e *Engine) askBreakGlass(ctx context.Context, ev github.Event, cmd github.Command, comment github.Comment, p store.Plan, pull store.Pull) error {
	// The box begins when the comment was written, also if its webhook comes late.
	asked := e.cfg.Now().UTC().Truncate(time.Millisecond)
	if comment.CreatedAt.Before(asked) {
		asked = comment.CreatedAt.UTC()
	}
	g := store.Glass{ID: store.NewID(), RepoID: ev.Repo.ID, Number: ev.Pull, Project: cmd.Project, HeadSHA: pull.HeadSHA, EffectDigest: p.Summary.EffectDigest,
		Glass: change.Glass{AskedBy: ev.Sender, Reason: cmd.Reason, AskedAt: asked}}
	body := report.AnswerGlassAsked(g.Project, shortEffect(g.EffectDigest), g.Glass)
	return e.answerWith(ctx, ev, body, func(tx *store.Tx) error {
		if err := tx.AddGlass(ctx, g); err != nil {
			return err
		}
		return audit.Append(ctx, tx, glassEntry(ev, "break-glass.ask", g))
	})
}

// confirmBreakGlass takes the word of the second person, tells everybody by an issue, writes it to the
// ledger, and only then asks for the apply.
func (e *Engine) confirmBreakGlass(ctx context.Context, ev github.Event, cmd github.Command, v view, p store.Plan, pull store.Pull) error {
	now := e.cfg.Now()
	g, flt := v.openGlass(cmd, p, pull, ev.Sender, now)
	if flt != nil {
		return flt
	}
	g.ConfirmedBy = ev.Sender
	title, body := report.GlassIssue(pull.Pull, g.Project, shortEffect(g.EffectDigest), g.Glass)
	var err error
	if g.Issue, err = e.cfg.GitHub.CreateIssue(ctx, pull.Repo, title, body); err != nil {
		return err
	}
	req := applyRequest{Repo: pull.Repo, Number: ev.Pull, Project: cmd.Project, Trigger: triggerComment, Actor: ev.Sender, CommentID: ev.CommentID,
		HeadSHA: pull.HeadSHA, Asked: now, Command: cmd.String(), Glass: g.ID}
	return e.answerWith(ctx, ev, report.AnswerGlassBroken(g.Project, g.Glass), func(tx *store.Tx) error {
		if err := tx.ConfirmGlass(ctx, g); err != nil {
			return err
		}
		if err := audit.Append(ctx, tx, glassEntry(ev, "break-glass", g)); err != nil {
			return err
		}
		return e.queue.Put(ctx, tx, taskApply, req, time.Time{})
	})
}

// openGlass is what the person may confirm, or why there is nothing.
func (v view) openGlass(cmd github.Command, p store.Plan, pull store.Pull, by change.User, now time.Time) (store.Glass, *fault.Error) {
	if id := shortEffect(p.Summary.EffectDigest); id != cmd.Plan {
		return store.Glass{}, fault.New("The current plan of "+cmd.Project+" is "+id+", not "+cmd.Plan+".", "The word of two people is of one plan.",
			"Look at the current plan, and ask anew with `/break-glass "+cmd.Project+" REASON`.")
	}
	const again = "Ask anew with `/break-glass PROJECT REASON`; a second person confirms."
	why := fault.New("Nobody has asked to break the glass for this plan.", "It takes two people.", again)
	for _, g := range v.glasses {
		switch {
		case g.Project != cmd.Project || g.EffectDigest != p.Summary.EffectDigest || g.HeadSHA != pull.HeadSHA:
			continue
		case g.ConfirmedBy.ID != 0:
			why = fault.New("It was confirmed already.", "The word of two people is for one apply.", again)
		case !now.Before(g.Until()):
			why = fault.New("The time to confirm it is over.", "It was asked for at "+g.AskedAt.Format("15:04:05 MST")+".", again)
		case g.AskedAt.Before(v.pull.CancelledAt):
			why = fault.New("It was cancelled.", "", again)
		case g.AskedBy.ID == by.ID:
			why = fault.New("You have asked for it yourself.", "It takes two people.", "Somebody else with write permission confirms it.")
		default:
			return g, nil
		}
		return store.Glass{}, why // the newest one decides
	}
	return store.Glass{}, why
}

// broken is what the gate sees of the broken glass that a request refers to. Both permissions are asked
// for anew.
func (e *Engine) broken(ctx context.Context, req applyRequest) (*gate.BreakGlass, error) {
	if req.Glass == "" {
		return nil, nil
	}
	g, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (store.Glass, error) { return tx.Glass(ctx, req.Glass) })
	if err != nil {
		return nil, fmt.Errorf("read the broken glass: %w", err)
	}
	b := &gate.BreakGlass{AskedBy: g.AskedBy, ConfirmedBy: g.ConfirmedBy, Reason: g.Reason, HeadSHA: g.HeadSHA, EffectDigest: g.EffectDigest,
		AskedAt: g.AskedAt, Until: g.Until(), Issue: g.Issue}
	if b.AskedPermission, err = e.cfg.GitHub.Permission(ctx, req.Repo, g.AskedBy); err != nil {
		return nil, err
	}
	b.ConfirmedPermission, err = e.cfg.GitHub.Permission(ctx, req.Repo, g.ConfirmedBy)
	return b, err
}

// spend uses the broken glass up for the apply that is about to be claimed, in the claim's transaction.
func (e *Engine) spend(ctx context.Context, tx *store.Tx, req applyRequest, executionID string) error {
	if req.Glass == "" {
		return nil
	}
	g, err := tx.Glass(ctx, req.Glass)
	if err != nil {
		return err
	}
	if e.cfg.Now().After(g.Until()) {
		return fault.New("The time in which an apply may start without approvals is over.", "", "Ask anew with `/break-glass PROJECT REASON`.")
	}
	if err := tx.SpendGlass(ctx, g.ID, executionID); errors.Is(err, store.ErrNotFound) {
		return fault.New("The glass that was broken was used already.", "The word of two people is for one apply.", "Ask anew with `/break-glass PROJECT REASON`.")
	} else if err != nil {
		return err
	}
	return nil
}

// glassOf is the broken glass that let an execution start, or nil.
func (v view) glassOf(executionID string) *change.Glass {
	for _, g := range v.glasses {
		if g.ExecutionID == executionID {
			return &g.Glass
		}
	}
	return nil
}

// glassEntry is the ledger's row about one half of it.
func glassEntry(ev github.Event, action string, g store.Glass) audit.Entry {
	return audit.Entry{Actor: ev.Sender, Action: action, Outcome: "allowed", Origin: fmt.Sprintf("comment %d", ev.CommentID), Subject: map[string]any{
		"break_glass": g.ID, "repository": g.RepoID, "pull": g.Number, "project": g.Project, "head": g.HeadSHA, "effect": g.EffectDigest,
		"asked_by": g.AskedBy, "confirmed_by": g.ConfirmedBy, "reason": g.Reason, "until": g.Until(), "issue": g.Issue}}
}

package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tollgate/tollgate/internal/audit"
	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/report"
	"github.com/tollgate/tollgate/internal/store"
)

// command carries out a comment that is a command.
func (e *Engine) command(ctx context.Context, ev github.Event) error {
	if ev.Sender.Bot || ev.CommentAppID != 0 {
		return nil // a robot that quotes us must not drive us
	}
	cmd, ok, hint := github.ParseCommand(ev.CommentBody)
	if !ok && hint == "" {
		return nil
	}
	if many, err := e.tooMany(ctx, ev, ok); err != nil || many {
		return err
	}
	if !ok {
		return e.answer(ctx, ev, report.AnswerRefused(report.Refusal{Command: "comment", Fault: fault.New("This looks like a command but is not one.", "", hint)}))
	}
	comment, ok, err := e.sameComment(ctx, ev)
	if err != nil || !ok {
		return err
	}
	e.react(ctx, ev.Repo, ev.CommentID, "eyes")
	err = e.obey(ctx, ev, cmd, comment)
	var flt *fault.Error
	if err != nil && !unreachable(err) && errors.As(err, &flt) {
		return e.refuse(ctx, applyRequest{Repo: ev.Repo, Number: ev.Pull, Project: cmd.Project, Trigger: triggerComment, Actor: ev.Sender, CommentID: ev.CommentID, Command: cmd.String()}, err)
	}
	return err
}

// react shows that a comment was seen. Nothing depends on it.
func (e *Engine) react(ctx context.Context, repo change.Repo, comment int64, content string) {
	if err := e.cfg.GitHub.React(ctx, repo, comment, content); err != nil {
		e.cfg.Logger.Info("react to a comment", "comment", comment, "error", err)
	}
}

// sameComment reads the comment again, for the webhook's text could be old, or edited by another.
// It reports whether it still is what the webhook said; if not, the person has been told.
func (e *Engine) sameComment(ctx context.Context, ev github.Event) (github.Comment, bool, error) {
	c, err := e.cfg.GitHub.Comment(ctx, ev.Repo, ev.CommentID)
	if err != nil {
		return c, false, fmt.Errorf("read comment: %w", err)
	}
	if c.Body != ev.CommentBody || c.Author.ID != ev.Sender.ID || c.Edited || c.Pull != ev.Pull {
		return c, false, e.refuse(ctx, applyRequest{Repo: ev.Repo, Number: ev.Pull, Trigger: triggerComment, Actor: ev.Sender, CommentID: ev.CommentID, Command: "command"},
			fault.New("The comment was edited.", "Others can edit a comment, so only an unchanged one is a command.", "Write a new comment."))
	}
	return c, true, nil
}

func (e *Engine) obey(ctx context.Context, ev github.Event, cmd github.Command, comment github.Comment) error {
	if err := e.mayCommand(ctx, ev.Repo, ev.Sender); err != nil {
		return err
	}
	switch cmd.Name {
	case "plan":
		if err := e.knownProject(ctx, ev, cmd.Project); err != nil {
			return err
		}
		if err := e.replan(ctx, ev.Repo, ev.Pull, ev.Sender, reasonCommand, seen{at: comment.CreatedAt}); err != nil {
			return err
		}
		e.react(ctx, ev.Repo, ev.CommentID, "rocket")
		return nil
	case "apply":
		return e.askApply(ctx, ev, cmd)
	case "unlock", "resolve":
		return e.resolve(ctx, ev, cmd)
	case "break-glass":
		return e.breakGlass(ctx, ev, cmd, comment)
	case "cancel":
		return e.cancel(ctx, ev)
	}
	names, err := e.projectNames(ctx, pullKey{ev.Repo.ID, ev.Pull})
	if err != nil {
		return err
	}
	return e.answer(ctx, ev, report.AnswerHelp(names))
}

// knownProject refuses a name that no plan of the pull request has. All projects are planned
// together even if one is named: what is approved is the whole change.
func (e *Engine) knownProject(ctx context.Context, ev github.Event, name string) error {
	if name == "" {
		return nil
	}
	names, err := e.projectNames(ctx, pullKey{ev.Repo.ID, ev.Pull})
	if err != nil || slices.Contains(names, name) {
		return err
	}
	return fault.New("No project of that name is affected by this pull request.", "Nothing was planned.", "The summary comment lists the projects; `/plan` plans them all.")
}

// askApply turns the comment into a durable request for the head that GitHub has now.
func (e *Engine) askApply(ctx context.Context, ev github.Event, cmd github.Command) error {
	pull, err := e.cfg.GitHub.Pull(ctx, ev.Repo, ev.Pull)
	if err != nil {
		return err
	}
	return e.put(ctx, taskApply, applyRequest{Repo: pull.Repo, Number: ev.Pull, Project: cmd.Project, Plan: cmd.Plan, Trigger: triggerComment,
		Actor: ev.Sender, CommentID: ev.CommentID, HeadSHA: pull.HeadSHA, Asked: e.cfg.Now(), Command: cmd.String()}, time.Time{})
}

// nothingLeft ends a request when all that it asked for has been done, or can be. left says what
// could not, and why.
func (e *Engine) nothingLeft(ctx context.Context, req applyRequest, v view, left []string) error {
	if len(left) > 0 {
		return e.refuse(ctx, req, notAll(req, v, left))
	}
	done := false
	for _, x := range v.executions {
		done = done || x.CreatedAt.After(req.Asked.Add(-time.Second))
	}
	if req.Trigger == triggerMerge || done && v.pull.Unapplied != nil {
		if err := e.settle(ctx, req, nil); err != nil || req.Trigger == triggerMerge {
			return err
		}
		e.reportSoon(keyOf(v.pull.Pull))
	}
	if done && req.CommentID == 0 {
		return nil
	}
	if done {
		e.react(ctx, req.Repo, req.CommentID, "rocket")
		return nil
	}
	return e.refuse(ctx, req, fault.New("There is nothing to apply now.",
		"Every plan that was asked for is empty, was applied before, or depends on a project that is not applied yet.", ""))
}

// notAll says of every project of a request whether it was applied.
func notAll(req applyRequest, v view, left []string) error {
	var reasons []string
	for _, x := range v.executions {
		if x.Applied() && !x.CreatedAt.Before(req.Asked.Add(-time.Second)) {
			reasons = append(reasons, x.Project.Name+" was applied")
		}
	}
	what := "Not everything was applied."
	if len(reasons) == 0 {
		what = "Nothing can be applied now."
	}
	return &refusedError{fault.New(what, "A project is applied only after all that it depends on, and each plan at most once.", ""), append(reasons, left...)}
}

// cancel stops the plans of a pull request. An apply is not stopped: half of it would stay.
func (e *Engine) cancel(ctx context.Context, ev github.Event) error {
	key := pullKey{ev.Repo.ID, ev.Pull}
	unlock := e.decisions.lock(key)
	defer unlock()
	v, err := e.view(ctx, key)
	if err != nil {
		return err
	}
	// Requests to apply that wait for a plan or for another apply end as well.
	v.pull.CancelledAt = time.Now()
	if err := e.save(ctx, v.pull); err != nil {
		return err
	}
	if err := e.recordAsked(ctx, audit.ActionCancel, fmt.Sprintf("comment %d", ev.CommentID), ev.Sender, ev.Repo, ev.Pull, map[string]any{"head": v.pull.HeadSHA, "run": v.newest().ID}); err != nil {
		return err
	}
	var names []string
	if v.newest().ID != "" && !v.newest().State.Done() {
		for _, p := range v.plans[v.newest().ID] {
			names = append(names, p.Project.Name)
		}
		if err := e.cancelActive(ctx, key, change.RunCancelled, errCancelled); err != nil {
			return err
		}
		e.reportSoon(key)
	}
	return e.answer(ctx, ev, report.AnswerCancel(names))
}

func (e *Engine) projectNames(ctx context.Context, key pullKey) ([]string, error) {
	v, err := e.view(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, p := range v.plans[v.newest().ID] {
		names = append(names, p.Project.Name)
	}
	return names, nil
}

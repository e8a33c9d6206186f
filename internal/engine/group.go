package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/workspace"
)

// A merge queue asks for the checks of a group: the commit that the base branch would have if a pull
// request was merged behind all that waits before it. A run of a group is of that commit and its
// checks are on it; it is beside the runs of the pull request, and nobody approves it. When the
// group lands, the pull request is merged as any other.

// reasonGroup is of runs of merge groups.
const reasonGroup = "merge group"

// mergeGroup answers an event of a merge queue.
func (e *Engine) mergeGroup(ctx context.Context, ev github.Event) error {
	if ev.Pull == 0 {
		e.cfg.Logger.Error("a merge group does not name its pull request", "repository", ev.Repo.ID, "head", ev.HeadSHA)
		return nil
	}
	key := pullKey{ev.Repo.ID, ev.Pull}
	unlock := e.decisions.lock(key)
	defer unlock()
	run, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (store.Run, error) { return tx.GroupRun(ctx, key.Repo, key.Number, ev.HeadSHA) })
	known := err == nil
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if ev.Action == "destroyed" {
		if known && !run.State.Done() {
			err = e.cancelRun(ctx, run, change.RunCancelled, errCancelled)
			e.reportSoon(key)
		}
		return err
	}
	if known {
		return nil
	}
	pull, err := e.read(ctx, ev.Repo, ev.Pull)
	if err != nil {
		return err
	}
	pull.Note = stopped(pull)
	if err := e.save(ctx, pull); err != nil {
		return err
	}
	run = store.Run{ID: store.NewID(), RepoID: key.Repo, Number: key.Number, HeadSHA: ev.HeadSHA, GroupSHA: ev.HeadSHA,
		BaseRef: pull.BaseRef, BaseSHA: ev.BeforeSHA, Reason: reasonGroup, Owner: e.boot}
	if err := e.cfg.Store.Write(ctx, func(tx *store.Tx) error { return tx.AddRun(ctx, &run) }); err != nil {
		return fmt.Errorf("record the run of a group: %w", err)
	}
	e.begin(run, tenantOf(pull.Repo), 0)
	e.reportSoon(key)
	return nil
}

// fetchGroup brings the commit of a merge group here. Its base may hold what is not merged yet, so the
// settings of the base branch hold as well.
func (e *Engine) fetchGroup(ctx context.Context, j *job, f workspace.Fetch) error {
	f.Pull, f.Commit = 0, j.run.GroupSHA
	commits, err := e.cfg.Git.Fetch(ctx, f)
	if err != nil {
		return err
	}
	if err := e.beginHistory(ctx, branchKey{j.pull.Repo, j.run.BaseRef}, commits.Base); err != nil {
		return err
	}
	j.run.ProtectedSHA = commits.Base
	if j.run.BaseSHA == "" {
		if j.run.BaseSHA, err = e.cfg.Git.FirstParent(ctx, j.run.RepoID, j.run.GroupSHA); err != nil {
			return err
		}
	}
	for _, base := range []string{j.run.BaseSHA, commits.Base} {
		under, err := e.cfg.Git.IsAncestor(ctx, j.run.RepoID, base, j.run.GroupSHA)
		if err != nil {
			return err
		}
		if !under {
			return fault.New("The merge group is not on top of its base branch.", "What it would become is not what the branch would hold.", "Put the pull request into the queue again.")
		}
	}
	j.run.Tree, err = e.cfg.Git.Tree(ctx, j.run.RepoID, j.run.GroupSHA)
	return err
}

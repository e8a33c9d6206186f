package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tollgate/tollgate/internal/audit"
	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/store"
)

// installation notes that the App came to repositories or lost them. An apply that runs goes on: it
// needs nothing of GitHub. What couldn't be told meanwhile is told when the App is back.
func (e *Engine) installation(ctx context.Context, ev github.Event) error {
	gone := slices.Contains([]string{"deleted", "suspend", "removed"}, ev.Action)
	if gone {
		e.cfg.Logger.Error("the App has lost access on GitHub", "installation", ev.InstallationID, "action", ev.Action, "by", ev.Sender.Login)
	}
	return e.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		repos, err := covered(ctx, tx, ev)
		if err != nil {
			return err
		}
		if !gone {
			for _, id := range repos {
				if err := e.lookAtUntold(ctx, tx, ev.InstallationID, id); err != nil {
					return err
				}
			}
		}
		return audit.Append(ctx, tx, audit.Entry{Actor: ev.Sender, Action: "installation." + ev.Action, Outcome: "succeeded", Origin: "webhook",
			Subject: map[string]any{"installation": ev.InstallationID, "repositories": repos}})
	})
}

// covered are the repositories that the event is about. Where it names none, it is about all.
func covered(ctx context.Context, tx *store.Tx, ev github.Event) ([]int64, error) {
	if len(ev.Repos) == 0 {
		return tx.ReposOf(ctx, ev.InstallationID)
	}
	var out []int64
	for _, r := range ev.Repos {
		out = append(out, r.ID)
	}
	return out, nil
}

// lookAtUntold has the pull requests of which GitHub does not know all read through the
// installation, which may be a new one, and then told. That it reaches them is for GitHub to say.
func (e *Engine) lookAtUntold(ctx context.Context, tx *store.Tx, installation, repoID int64) error {
	keys, err := tx.UntoldOf(ctx, repoID)
	if err != nil {
		return err
	}
	for _, k := range keys {
		p, err := tx.Pull(ctx, k.RepoID, k.Number)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read pull request: %w", err)
		}
		repo := change.Repo{ID: repoID, InstallationID: installation, Owner: p.Repo.Owner, Name: p.Repo.Name}
		ev := github.Event{Kind: github.KindReview, Action: actionLookAgain, InstallationID: installation, Repo: repo, Pull: k.Number}
		if err := e.queue.Put(ctx, tx, taskEvent, ev, time.Time{}); err != nil {
			return err
		}
	}
	return nil
}

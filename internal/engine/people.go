package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/codeowners"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/gate"
	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/project"
	"github.com/tollgate/tollgate/internal/store"
)

// brought keeps who brought a head to a pull request. It only ever takes a right away, so the word of
// a signed webhook is enough. Whoever reopens a pull request has pushed nothing, unless its head is
// new: then somebody pushed while it was closed, of which no webhook tells.
func (e *Engine) brought(ctx context.Context, ev github.Event) error {
	if ev.HeadSHA == "" || ev.Sender.ID == 0 || !slices.Contains([]string{"opened", "synchronize", "reopened"}, ev.Action) {
		return nil
	}
	return e.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		if ev.Action == "reopened" {
			known, err := tx.Pushers(ctx, ev.Repo.ID, ev.Pull, ev.HeadSHA)
			if err != nil || len(known) > 0 {
				return err
			}
		}
		return tx.AddPusher(ctx, ev.Repo.ID, ev.Pull, ev.HeadSHA, ev.Sender)
	})
}

// lastPushers are all who are known to have pushed the head, by webhooks and by what GitHub says now.
func (e *Engine) lastPushers(ctx context.Context, p change.Pull) ([]change.User, error) {
	told, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) ([]change.User, error) {
		return tx.Pushers(ctx, p.Repo.ID, p.Number, p.HeadSHA)
	})
	if err != nil || p.Fork { // whose branch lies where the App may not look, and is never applied
		return list(told), err
	}
	asked, err := e.cfg.GitHub.LastPushers(ctx, p.Repo, p.HeadRef, p.HeadSHA)
	if err != nil {
		return nil, err
	}
	for _, u := range asked {
		if !slices.ContainsFunc(told, func(known change.User) bool { return known.ID == u.ID }) {
			told = append(told, u)
		}
	}
	return list(told), nil
}

// say is who has a say beside the reviewers: whose files are changed, and who speaks for the teams.
type say struct {
	owners []gate.Owners
	people change.People
}

// whoHasSay finds out what settings and CODEOWNERS ask for, and asks GitHub for the teams that they name.
func (e *Engine) whoHasSay(ctx context.Context, v view, r store.Run, cfg project.Apply, reviews []change.Review) (say, error) {
	var s say
	var err error
	if cfg.Codeowners {
		if s.owners, err = e.ownersOf(ctx, v, r); err != nil {
			return say{}, err
		}
	}
	s.people.Teams, err = e.teams(ctx, v.pull.Repo, teamsOf(cfg, s.owners), reviews)
	return s, err
}

// teams asks which of the approvers are in these teams, side by side.
func (e *Engine) teams(ctx context.Context, repo change.Repo, names []string, reviews []change.Review) ([]change.Team, error) {
	out := make([]change.Team, len(names))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i, name := range names {
		g.Go(func() (err error) { out[i], err = e.cfg.GitHub.Team(gctx, repo, name, approvers(reviews)); return err })
	}
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("read the teams: %w", err)
	}
	return out, nil
}

func namesOf(teams []change.Team) []string {
	var out []string
	for _, t := range teams {
		out = append(out, t.Name)
	}
	return out
}

// approvers are the people with write permission who approved anything. Reviews has found their ids
// and logins to belong together.
func approvers(reviews []change.Review) []change.User {
	var out []change.User
	for _, r := range reviews {
		if r.State == "approved" && r.Permission.CanWrite() && !slices.Contains(out, r.Author) {
			out = append(out, r.Author)
		}
	}
	return out
}

// teamsOf are the teams whose word may be needed.
func teamsOf(cfg project.Apply, owners []gate.Owners) []string {
	names := slices.Concat(cfg.Teams, cfg.Destructive.Teams)
	for _, file := range owners {
		for _, rule := range file.Rules {
			for _, o := range rule.Owners {
				if name, ok := strings.CutPrefix(o, "@"); ok && strings.Contains(name, "/") {
					names = append(names, name)
				}
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// ownersOf is what the CODEOWNERS of every commit that holds says of the files that the pull request
// changes. Of the base after a merge it is not asked: what the pull request itself says of owners
// holds from the next one on.
func (e *Engine) ownersOf(ctx context.Context, v view, r store.Run) ([]gate.Owners, error) {
	commits, spans, err := e.scope(ctx, v, r)
	if err != nil {
		return nil, err
	}
	key := fmt.Sprint(r.RepoID, commits, spans)
	e.mu.Lock()
	known, ok := e.owners[key]
	e.mu.Unlock()
	if ok {
		return known, nil
	}
	var paths []string
	for _, s := range spans {
		changed, err := e.cfg.Git.ChangedFiles(ctx, r.RepoID, s.before, s.tree)
		if err != nil {
			return nil, fmt.Errorf("read the changed files: %w", err)
		}
		paths = append(paths, changed...)
	}
	slices.Sort(paths)
	paths = slices.Compact(paths)
	var out []gate.Owners
	for _, c := range commits {
		o, err := e.ownersAt(ctx, r.RepoID, c, paths)
		if err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.owners) >= maxPolicies {
		clear(e.owners)
	}
	e.owners[key] = out
	return out, nil
}

// span is a commit and a tree between which the files of a pull request change.
type span struct{ before, tree string }

// scope is whose CODEOWNERS hold for a run, and between what the files change. Of a merge it is what
// the merge commit did and what people looked at: after a rebase the commit's parent is one of the
// pull request's own.
func (e *Engine) scope(ctx context.Context, v view, r store.Run) (commits []string, spans []span, err error) {
	before := r.BaseSHA
	if ofMerge(r) {
		if before, err = e.cfg.Git.FirstParent(ctx, r.RepoID, v.pull.MergeSHA); err != nil {
			return nil, nil, err
		}
	}
	commits, spans = []string{before}, []span{{before, r.Tree}}
	if ofMerge(r) {
		for _, looked := range v.runs {
			if !ofMerge(looked) && looked.HeadSHA == v.pull.HeadSHA && looked.Tree != "" {
				commits, spans = append(commits, looked.BaseSHA), append(spans, span{looked.BaseSHA, looked.Tree})
				break
			}
		}
	}
	if r.ProtectedSHA != "" {
		commits = append(commits, r.ProtectedSHA)
	}
	slices.Sort(commits)
	return slices.Compact(commits), spans, nil
}

// ownersAt reads CODEOWNERS where GitHub would, and says which of its lines decide about the paths.
func (e *Engine) ownersAt(ctx context.Context, repoID int64, commit string, paths []string) (gate.Owners, error) {
	out := gate.Owners{Commit: commit, Rules: []gate.Owned{}}
	for _, place := range codeowners.Places {
		text, err := e.cfg.Git.ReadFile(ctx, repoID, commit, place, codeowners.MaxSize)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		out.File = place
		var flt *fault.Error
		if errors.As(err, &flt) && !unreachable(err) {
			out.Problem = strings.TrimRight(flt.What, ".")
			return out, nil
		}
		if err != nil {
			return gate.Owners{}, fmt.Errorf("read %s: %w", place, err)
		}
		rules, err := codeowners.Decide(text, paths)
		if err != nil {
			out.Problem = err.Error()
		}
		for _, rule := range rules {
			out.Rules = append(out.Rules, gate.Owned(rule))
		}
		return out, nil
	}
	return out, nil
}

// readPeople reads, for people to look at, who has a say in the newest run that they could look at.
func (e *Engine) readPeople(ctx context.Context, p store.Pull, reviews []change.Review) (change.People, error) {
	pushers, err := e.lastPushers(ctx, p.Pull)
	if err != nil {
		return change.People{}, err
	}
	known := change.People{LastPushers: pushers}
	v, err := e.view(ctx, keyOf(p.Pull))
	if err != nil {
		return known, err
	}
	r := v.reviewed()
	var cfg project.Config
	if r.Tree == "" || json.Unmarshal([]byte(r.Config), &cfg) != nil {
		return known, nil
	}
	s, err := e.whoHasSay(ctx, v, r, cfg.Apply, reviews)
	known.Teams = s.people.Teams
	return known, err
}

// applyConfig is what the gate sees of the settings.
func applyConfig(a project.Apply) gate.ApplyConfig {
	c := gate.ApplyConfig{Approvals: a.Approvals, On: list(a.On), ApproverMayApply: a.ApproverMayApply, Teams: list(a.Teams), Codeowners: a.Codeowners,
		Destructive: gate.Destructive{Approvals: a.Destructive.Approvals, Teams: list(a.Destructive.Teams)}, Windows: [][]gate.Window{}, Freezes: []gate.Freeze{}}
	for _, windows := range a.Windows {
		set := []gate.Window{}
		for _, w := range windows {
			set = append(set, gate.Window(w))
		}
		c.Windows = append(c.Windows, set)
	}
	for _, f := range a.Freezes {
		c.Freezes = append(c.Freezes, gate.Freeze(f))
	}
	return c
}

// list is never null in JSON, which a rule takes for "nobody looked".
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

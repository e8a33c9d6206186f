package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/store"
)

// GitHub delivers a webhook once. Whatever one of them failed to tell, the reconciler finds by
// comparing what GitHub lists with what the store knows, and makes the event that was missing of it.
// An unchanged repository costs a request that GitHub does not count.

const (
	// fullLook is how often all open pull requests are compared, and not only those that changed.
	fullLook = 5 * time.Minute
	// onTheWay is how long a webhook may be under way before it counts as lost.
	onTheWay = 10 * time.Second
	// commandAge is how old a command may be that is found without a webhook.
	commandAge = time.Hour
	// redeliveryAge is how long GitHub keeps deliveries.
	redeliveryAge = 3 * 24 * time.Hour
	// redeliveries bounds how often one webhook is asked for again, and how many in one look.
	redeliveries, redeliveriesAtOnce = 3, 30
	// redeliveryPause is how long after that another attempt is worth while.
	redeliveryPause = 3 * time.Minute
	// reposAtOnce bounds the repositories compared side by side.
	reposAtOnce = 4
)

// actionReconcile marks an event that the reconciler found.
const actionReconcile = "reconcile"

// compared is what the reconciler remembers between two looks. It may be lost.
type compared struct {
	mu    sync.Mutex
	tags  map[int64]string // of the last list of pull requests
	full  map[int64]time.Time
	seen  map[pullKey]time.Time // pull requests by when they last changed
	asked map[string]asked      // webhooks that were asked for again
	asof  time.Time             // when deliveries were last looked at
}

// asked says how often a webhook was asked for again, and when last.
type asked struct {
	times int
	at    time.Time
}

func (c *compared) tag(repo int64) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tags[repo]
}

func (c *compared) setTag(repo int64, tag string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tags == nil {
		c.tags = map[int64]string{}
	}
	c.tags[repo] = tag
}

// fresh reports whether the pull request has changed since it was last asked about.
func (c *compared) fresh(p change.Pull) bool {
	key := keyOf(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil {
		c.seen = map[pullKey]time.Time{}
	}
	if c.seen[key].Equal(p.UpdatedAt) {
		return false
	}
	c.seen[key] = p.UpdatedAt
	return true
}

// dueInFull reports whether all open pull requests of the repository are to be compared now.
func (c *compared) dueInFull(repo int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.full == nil {
		c.full = map[int64]time.Time{}
	}
	if time.Since(c.full[repo]) < fullLook {
		return false
	}
	c.full[repo] = time.Now()
	return true
}

// reconcileForever compares with GitHub until the engine stops.
func (e *Engine) reconcileForever() {
	for {
		if err := e.reconcile(e.life); err != nil && e.life.Err() == nil {
			e.cfg.Logger.Warn("compare with GitHub", "error", err)
		}
		pause := e.cfg.Reconcile - rand.N(e.cfg.Reconcile/10+1) // jitter is no secret
		select {
		case <-time.After(pause):
		case <-e.life.Done():
			return
		}
	}
}

// reconcile compares everything once. A repository or installation that fails does not stop the others.
func (e *Engine) reconcile(ctx context.Context) error {
	installations, err := e.cfg.GitHub.Installations(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, i := range installations {
		if i.Suspended {
			continue
		}
		repos, err := e.cfg.GitHub.Activities(ctx, i.ID)
		errs = append(errs, err)
		var g errgroup.Group
		g.SetLimit(reposAtOnce)
		for _, r := range repos {
			g.Go(func() error {
				if err := e.reconcileRepo(ctx, r); err != nil {
					return fmt.Errorf("repository %d: %w", r.Repo.ID, err)
				}
				return nil
			})
		}
		errs = append(errs, g.Wait())
	}
	return errors.Join(append(errs, e.redeliver(ctx))...)
}

func (e *Engine) reconcileRepo(ctx context.Context, a github.Activity) error {
	repo := a.Repo
	mark, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (store.Reconciled, error) { return tx.Reconciled(ctx, repo.ID) })
	if err != nil {
		return err
	}
	pulls, tag, err := e.changedPulls(ctx, repo, mark.PullsAt)
	if err != nil {
		return err
	}
	next, settled := mark, e.cfg.GitHub.Now().Add(-min(onTheWay, e.cfg.Reconcile))
	if next.PullsAt.IsZero() {
		next.PullsAt = settled
	}
	for _, p := range slices.Backward(pulls) { // the oldest change first
		if p.UpdatedAt.After(settled) {
			tag = "" // a webhook may tell of it yet, so look at the same list again
			continue
		}
		if err := e.comparePull(ctx, p, mark.PullsAt); err != nil {
			return err
		}
		if p.UpdatedAt.After(next.PullsAt) {
			next.PullsAt = p.UpdatedAt
		}
	}
	if a.PushedAt.IsZero() || a.PushedAt.After(mark.PushedAt) && !a.PushedAt.After(settled) {
		if err := e.comparePushes(ctx, repo); err != nil {
			return err
		}
		next.PushedAt = a.PushedAt
	}
	if next != mark {
		if err := e.cfg.Store.Write(ctx, func(tx *store.Tx) error { return tx.SetReconciled(ctx, repo.ID, next) }); err != nil {
			return err
		}
	}
	e.compared.setTag(repo.ID, tag)
	return nil
}

// changedPulls lists what changed since a time, and now and then all that is open: an event may
// have been given up although its webhook came.
func (e *Engine) changedPulls(ctx context.Context, repo change.Repo, since time.Time) (pulls []change.Pull, tag string, err error) {
	if !since.IsZero() {
		if pulls, tag, err = e.cfg.GitHub.RecentPulls(ctx, repo, since, e.compared.tag(repo.ID)); err != nil {
			return nil, "", err
		}
	}
	if !e.compared.dueInFull(repo.ID) {
		return pulls, tag, nil
	}
	open, err := e.cfg.GitHub.OpenPulls(ctx, repo)
	for _, p := range open {
		if !slices.ContainsFunc(pulls, func(q change.Pull) bool { return q.Number == p.Number }) {
			pulls = append(pulls, p)
		}
	}
	slices.SortFunc(pulls, func(a, b change.Pull) int { return b.UpdatedAt.Compare(a.UpdatedAt) })
	return pulls, tag, err
}

// comparePull makes the events that are missing of one pull request.
func (e *Engine) comparePull(ctx context.Context, p change.Pull, since time.Time) error {
	changed := e.compared.fresh(p) && !since.IsZero() && !p.UpdatedAt.Before(since)
	var latest store.Run
	known, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (store.Pull, error) {
		known, err := tx.Pull(ctx, p.Repo.ID, p.Number)
		if err != nil {
			return known, err
		}
		if latest, err = tx.LatestRun(ctx, p.Repo.ID, p.Number); errors.Is(err, store.ErrNotFound) {
			err = nil
		}
		return known, err
	})
	missing := errors.Is(err, store.ErrNotFound)
	if err != nil && !missing {
		return err
	}
	if missing && !p.Open || older(p, known.Pull) {
		return nil // closed before it was ever seen, or news that is none
	}
	ev := github.Event{Kind: github.KindPullRequest, InstallationID: p.Repo.InstallationID, Repo: p.Repo, Pull: p.Number, Action: actionReconcile}
	if what := untold(known, latest, p, missing); what != "" {
		if p.Open && !missing && !known.Open {
			ev.Action = "reopened"
		}
		e.missed(ev, what)
		if err := e.put(ctx, taskEvent, ev, time.Time{}); err != nil {
			return err
		}
	}
	if !changed {
		return nil
	}
	if p.Open {
		ev.Kind, ev.Action = github.KindReview, actionReconcile
		if err := e.put(ctx, taskEvent, ev, time.Time{}); err != nil {
			return err
		}
	}
	return e.compareComments(ctx, p, since)
}

// untold says what of a pull request no webhook told, or nothing.
func untold(known store.Pull, latest store.Run, p change.Pull, missing bool) string {
	switch {
	case missing:
		return "a pull request"
	case known.HeadSHA != p.HeadSHA:
		return "a push"
	case known.BaseRef != p.BaseRef:
		return "another base"
	case p.Merged && known.LandedAt.IsZero():
		return "a merge"
	case known.Open != p.Open:
		return "that it was closed or opened again"
	case known.Draft != p.Draft:
		return "that it became ready, or a draft"
	case p.Open && known.Note == nil && latest.HeadSHA != p.HeadSHA:
		return "a commit that was never planned"
	}
	return ""
}

// compareComments finds commands that no webhook told. The meaning of the event is that of the
// webhook, so that a command runs once whoever tells of it first.
func (e *Engine) compareComments(ctx context.Context, p change.Pull, since time.Time) error {
	if limit := e.cfg.GitHub.Now().Add(-commandAge); since.Before(limit) {
		since = limit
	}
	comments, err := e.cfg.GitHub.CommentsSince(ctx, p.Repo, p.Number, since)
	if err != nil {
		return err
	}
	for _, c := range comments {
		if c.Author.Bot || c.AppID != 0 || c.Edited || c.CreatedAt.Before(since) {
			continue
		}
		if _, ok, _ := github.ParseCommand(c.Body); !ok {
			continue
		}
		ev := github.Event{Kind: github.KindComment, Action: "created", InstallationID: p.Repo.InstallationID, Repo: p.Repo, Sender: c.Author,
			Pull: p.Number, CommentID: c.ID, CommentBody: c.Body}
		fresh, err := e.Accept(ctx, "reconciled-"+store.NewID(), ev.Meaning(), ev)
		if err != nil {
			return err
		}
		if fresh {
			e.missed(ev, "a command")
		}
	}
	return nil
}

// comparePushes finds branches that moved without a word.
func (e *Engine) comparePushes(ctx context.Context, repo change.Repo) error {
	branches, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) ([]string, error) { return tx.GuardedBranches(ctx, repo.ID) })
	if err != nil {
		return err
	}
	for _, ref := range branches {
		b := branchKey{repo, ref}
		row, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (store.Branch, error) { return tx.Branch(ctx, repo.ID, ref) })
		if err != nil {
			return err
		}
		if !row.MovedSince.IsZero() {
			continue // it is about to be looked at
		}
		tip, err := e.fetchBranch(ctx, b)
		if unreachable(err) {
			return err
		}
		if err != nil || tip == row.SHA {
			continue // nobody has to be told of a branch that is gone
		}
		if row.SHA != "" {
			e.missed(github.Event{Kind: github.KindPush, Repo: repo}, "a push to "+ref)
		}
		if err := e.baseMoved(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// missed counts and logs what no webhook told: many of them mean that webhooks do not arrive.
func (e *Engine) missed(ev github.Event, what string) {
	e.cfg.Missed(string(ev.Kind))
	e.cfg.Logger.Warn("no webhook told of "+what, "event", ev.Kind, "repository", ev.Repo.ID, "pull", ev.Pull)
}

// sameReviews reports whether two lists hold the same reviews in the same states.
func sameReviews(a, b []change.Review) bool {
	return slices.EqualFunc(a, b, func(x, y change.Review) bool { return x.ID == y.ID && x.State == y.State })
}

// redeliver asks GitHub again for the webhooks that it could not deliver.
func (e *Engine) redeliver(ctx context.Context) error {
	now := e.cfg.GitHub.Now()
	list, err := e.cfg.GitHub.Deliveries(ctx, e.compared.deliveriesSince(now))
	if err != nil {
		return err
	}
	told := map[string]bool{} // by this or a newer attempt
	n := 0
	for _, d := range list {
		if told[d.GUID] {
			continue
		}
		told[d.GUID] = true
		old := github.Kind(d.Event) == github.KindComment && now.Sub(d.At) > commandAge
		if d.OK || old || now.Sub(d.At) < min(onTheWay, e.cfg.Reconcile) || delivered(list, d.GUID) || !e.compared.ask(d.GUID) {
			continue
		}
		if err := e.cfg.GitHub.Redeliver(ctx, d.ID); err != nil {
			return err
		}
		e.cfg.Missed("delivery")
		e.cfg.Logger.Warn("a webhook that could not be delivered is asked for again", "event", d.Event, "delivery", d.GUID, "at", d.At)
		if n++; n == redeliveriesAtOnce {
			return nil
		}
	}
	return nil
}

// delivered reports whether any attempt at a webhook succeeded.
func delivered(list []github.Delivery, guid string) bool {
	return slices.ContainsFunc(list, func(d github.Delivery) bool { return d.GUID == guid && d.OK })
}

// deliveriesSince is where to begin to look at deliveries, with an hour in which they may have failed again.
func (c *compared) deliveriesSince(now time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	since := now.Add(-redeliveryAge)
	if t := c.asof.Add(-time.Hour); t.After(since) {
		since = t
	}
	c.asof = now
	return since
}

// ask counts a request for a webhook, and reports false if it was asked for often enough, or just now.
func (c *compared) ask(guid string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked == nil || len(c.asked) > 10_000 {
		c.asked = map[string]asked{}
	}
	last := c.asked[guid]
	if last.times == redeliveries || time.Since(last.at) < redeliveryPause {
		return false
	}
	c.asked[guid] = asked{last.times + 1, time.Now()}
	return true
}

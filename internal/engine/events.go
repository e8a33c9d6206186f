package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/audit"
	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/report"
	"github.com/tollgate/tollgate/internal/store"
)

var (
	errSuperseded = errors.New("superseded by a newer commit")
	errCancelled  = errors.New("cancelled on request")
)

// event carries out what a webhook hints at.
func (e *Engine) event(ctx context.Context, ev github.Event) error {
	switch ev.Kind {
	case github.KindPullRequest:
		return e.sync(ctx, ev)
	case github.KindComment:
		return e.command(ctx, ev)
	case github.KindReview:
		return e.refresh(ctx, ev)
	case github.KindCheckRun:
		return e.pressed(ctx, ev)
	case github.KindCheckSuite:
		return e.rerun(ctx, ev)
	case github.KindInstallation, github.KindRepositories:
		return e.installation(ctx, ev)
	case github.KindPush:
		return e.pushed(ctx, ev)
	case github.KindMergeGroup:
		return e.mergeGroup(ctx, ev)
	}
	return nil
}

// read asks GitHub for the pull request and merges the answer into what the store knows.
func (e *Engine) read(ctx context.Context, repo change.Repo, number int) (store.Pull, error) {
	facts, err := e.cfg.GitHub.Pull(ctx, repo, number)
	if err != nil {
		return store.Pull{}, fmt.Errorf("read pull request: %w", err)
	}
	known, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (store.Pull, error) {
		return tx.Pull(ctx, facts.Repo.ID, number)
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return store.Pull{}, err
	}
	if older(facts, known.Pull) {
		return store.Pull{}, errOldAnswer
	}
	if known.HeadSHA != facts.HeadSHA {
		known.PushedAt = time.Now()
	}
	known.Pull, known.Note = facts, nil
	return known, nil
}

// older reports whether GitHub answered with what it knew before the answer that is known: a replica
// of its database may lag behind.
func older(answer, known change.Pull) bool { return answer.UpdatedAt.Before(known.UpdatedAt) }

// errOldAnswer is mended by asking again.
var errOldAnswer = fault.Wrap(github.ErrUnavailable, "GitHub answered with an older state of the pull request than it showed before.",
	"Nothing is decided on old news.", "Tollgate asks again by itself.")

func (e *Engine) save(ctx context.Context, p store.Pull) error {
	return e.cfg.Store.Write(ctx, func(tx *store.Tx) error { return tx.PutPull(ctx, p) })
}

// sync brings the runs of a pull request in line with its head commit.
func (e *Engine) sync(ctx context.Context, ev github.Event) error {
	key := pullKey{ev.Repo.ID, ev.Pull}
	unlock := e.decisions.lock(key)
	defer unlock()
	if err := e.brought(ctx, ev); err != nil {
		return err
	}
	pull, err := e.read(ctx, ev.Repo, ev.Pull)
	if err != nil {
		return err
	}
	if err := e.lookAgain(ctx, ev, pull); err != nil {
		return err
	}
	defer e.reportSoon(key) // whatever comes of it
	pull.Note = stopped(pull)
	last, err := e.latest(ctx, key)
	if err != nil {
		return err
	}
	last.CreatedAt = e.githubs(last.CreatedAt)
	again := another(ev, last, pull)
	if again {
		pull.PushedAt = time.Now()
	}
	if err := e.save(ctx, pull); err != nil {
		return err
	}
	switch {
	case !pull.Open:
		if err := e.cancelActive(ctx, key, change.RunCancelled, errCancelled); err != nil {
			return err
		}
		if pull.Merged {
			return errors.Join(e.merged(ctx, pull), e.baseMoved(ctx, branchKey{pull.Repo, pull.BaseRef}))
		}
		return e.discard(ctx, key)
	case pull.Note != nil:
		if err := e.cancelActive(ctx, key, change.RunSuperseded, errSuperseded); err != nil {
			return err
		}
	case again:
		if err := e.startRun(ctx, pull, reasonPushed); err != nil {
			return err
		}
	default:
		return e.ensureRun(ctx, pull, ev.Action)
	}
	return nil
}

// lookAgain puts further looks at a pull request whose webhook names a head that GitHub does not
// show and that was never planned: either the answer is old, or the webhook is. What turns out to
// have been overtaken before anybody looked has a check that says so.
func (e *Engine) lookAgain(ctx context.Context, ev github.Event, p store.Pull) error {
	if ev.Action == "closed" && p.Open {
		ev.Action = actionLookAgain
		return e.put(ctx, taskEvent, ev, time.Now().Add(e.cfg.Pace.Lag[0]))
	}
	if ev.Action == actionLookAgain && ev.BeforeSHA != "" && ev.BeforeSHA != p.HeadSHA {
		return e.overtaken(ctx, p, ev.BeforeSHA)
	}
	if ev.HeadSHA == "" || ev.HeadSHA == p.HeadSHA {
		return nil
	}
	v, err := e.view(ctx, keyOf(p.Pull))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	planned := func(sha string) bool {
		return slices.ContainsFunc(v.runs, func(r store.Run) bool { return r.HeadSHA == sha })
	}
	if planned(ev.HeadSHA) {
		return nil // the webhook is old
	}
	if !planned(p.HeadSHA) {
		return e.overtaken(ctx, p, ev.HeadSHA) // GitHub's answer is news of its own
	}
	ev.BeforeSHA, ev.HeadSHA, ev.Action = ev.HeadSHA, "", actionLookAgain
	return e.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		for _, d := range e.cfg.Pace.Lag {
			if err := e.queue.Put(ctx, tx, taskEvent, ev, time.Now().Add(d)); err != nil {
				return err
			}
		}
		return nil
	})
}

// overtaken notes that a commit was the head of the pull request, and isn't any more.
func (e *Engine) overtaken(ctx context.Context, p store.Pull, sha string) error {
	return e.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		return tx.AddOvertaken(ctx, store.Check{ExternalID: externalID(view{pull: p}, store.Run{HeadSHA: sha}, report.GateName),
			RepoID: p.Repo.ID, Number: p.Number, HeadSHA: sha, Name: report.GateName})
	})
}

// actionLookAgain marks an event of our own.
const actionLookAgain = "look again"

// stopped says why a pull request is not planned by itself, or nil.
func stopped(p store.Pull) *fault.Error {
	switch {
	case p.Open && p.Draft:
		return fault.New("This pull request is a draft.", "Drafts are not planned.", "Mark it ready for review.")
	case p.Open && p.Fork && p.AllowedSHA != p.HeadSHA:
		return fault.New("This pull request comes from a fork.",
			"A plan runs code of the pull request with the credentials of this repository.",
			"Someone with write permission reads the change and comments `/plan` to allow this one commit.")
	}
	return nil
}

// ensureRun starts a run unless the newest one is of this very head and base.
func (e *Engine) ensureRun(ctx context.Context, p store.Pull, reason string) error {
	last, err := e.latest(ctx, keyOf(p.Pull))
	if err != nil {
		return err
	}
	if last.HeadSHA == p.HeadSHA && last.BaseRef == p.BaseRef && last.State != change.RunSuperseded {
		// Closing a pull request cancels its run; whoever cancelled one otherwise meant it.
		again := last.State == change.RunCancelled && reason == "reopened" ||
			last.State == change.RunErrored && (reason == "reopened" || reason == actionLookAgain)
		if !again {
			if again, err = e.discarded(ctx, last); err != nil || !again {
				return err
			}
		}
	}
	return e.startRun(ctx, p, reason)
}

// latest returns the newest run, or a zero one.
func (e *Engine) latest(ctx context.Context, key pullKey) (store.Run, error) {
	run, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (store.Run, error) {
		return tx.LatestRun(ctx, key.Repo, key.Number)
	})
	if errors.Is(err, store.ErrNotFound) {
		return store.Run{}, nil
	}
	return run, err
}

// startRun supersedes the active run and begins a new one. The caller holds the decision lock.
func (e *Engine) startRun(ctx context.Context, p store.Pull, reason string) error {
	key := keyOf(p.Pull)
	before, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) ([]store.Run, error) { return tx.RunsOf(ctx, key.Repo, key.Number, runsInView) })
	if err != nil {
		return err
	}
	last := view{runs: before}.newest()
	if err := e.cancelActive(ctx, key, change.RunSuperseded, errSuperseded); err != nil {
		return err
	}
	run := store.Run{ID: store.NewID(), RepoID: key.Repo, Number: key.Number, HeadSHA: p.HeadSHA,
		BaseRef: p.BaseRef, Reason: reason, Owner: e.boot}
	if err := e.cfg.Store.Write(ctx, func(tx *store.Tx) error { return tx.AddRun(ctx, &run) }); err != nil {
		return fmt.Errorf("record run: %w", err)
	}
	var pause time.Duration
	if last.HeadSHA != "" && last.HeadSHA != p.HeadSHA && run.CreatedAt.Sub(last.CreatedAt) < e.cfg.Pace.SettleWindow {
		pause = e.cfg.Pace.SettlePause
	}
	if byPeople(reason) {
		pause = max(pause, replanPause(before, run.CreatedAt))
	}
	e.begin(run, tenantOf(p.Repo), pause)
	return nil
}

// cancelActive ends the active run of a pull request, if there is one.
func (e *Engine) cancelActive(ctx context.Context, key pullKey, to change.RunState, cause error) error {
	last, err := e.latest(ctx, key)
	if err != nil || last.ID == "" || last.State.Done() {
		return err
	}
	return e.cancelRun(ctx, last, to, cause)
}

func (e *Engine) cancelRun(ctx context.Context, run store.Run, to change.RunState, cause error) error {
	if err := e.cfg.Store.Write(ctx, func(tx *store.Tx) error { return tx.MoveRun(ctx, run.ID, to, nil) }); err != nil {
		return fmt.Errorf("end run: %w", err)
	}
	e.mu.Lock()
	cancel := e.active[run.ID]
	e.mu.Unlock()
	if cancel != nil {
		cancel(cause)
	}
	return nil
}

// refresh reads the reviews again, so that the check says what is still needed.
func (e *Engine) refresh(ctx context.Context, ev github.Event) error {
	unlock := e.decisions.lock(pullKey{ev.Repo.ID, ev.Pull})
	defer unlock()
	pull, err := e.read(ctx, ev.Repo, ev.Pull)
	if err != nil {
		return err
	}
	pull.Note = stopped(pull)
	before := pull.Reviews
	if pull.Reviews, err = e.cfg.GitHub.Reviews(ctx, ev.Repo, ev.Pull); err != nil {
		return fmt.Errorf("read reviews: %w", err)
	}
	if ev.Action == actionReconcile && !sameReviews(before, pull.Reviews) {
		e.missed(ev, "a review")
	}
	if pull.People, err = e.readPeople(ctx, pull, pull.Reviews); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err := e.save(ctx, pull); err != nil {
		return err
	}
	e.reportSoon(keyOf(pull.Pull))
	return nil
}

// pressed answers a button of one of our checks, or a re-run of it from GitHub's own page.
func (e *Engine) pressed(ctx context.Context, ev github.Event) error {
	if ev.AppID != e.cfg.GitHub.ID() || ev.Sender.Bot {
		return nil
	}
	check, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (store.Check, error) { return tx.Check(ctx, ev.ExternalID) })
	if errors.Is(err, store.ErrNotFound) || err == nil && check.RepoID != ev.Repo.ID {
		return nil // of a data directory that is gone
	}
	if err != nil {
		return err
	}
	if ev.ButtonIdentifier == report.ButtonApply {
		name, _ := strings.CutPrefix(check.Name, report.PlanPrefix)
		if name == report.GateName {
			name = ""
		}
		return e.put(ctx, taskApply, applyRequest{Repo: ev.Repo, Number: check.Number, Project: name, Trigger: triggerButton, Actor: ev.Sender,
			HeadSHA: check.HeadSHA, Asked: time.Now(), Command: "the Apply button", Occasion: occasionOf(ev)}, time.Time{})
	}
	if ev.Action == "rerequested" && strings.HasPrefix(check.Name, report.ApplyPrefix) {
		return nil // an apply is never repeated by re-running its check
	}
	return e.replanFor(ctx, ev, check.Number)
}

// rerun answers a request to run all our checks of a commit again.
func (e *Engine) rerun(ctx context.Context, ev github.Event) error {
	if ev.AppID != e.cfg.GitHub.ID() || ev.Sender.Bot {
		return nil
	}
	numbers, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) ([]int, error) {
		return tx.OpenPullsAt(ctx, ev.Repo.ID, ev.HeadSHA)
	})
	if err != nil {
		return err
	}
	for _, n := range numbers {
		if err := e.replanFor(ctx, ev, n); err != nil {
			return err
		}
	}
	return nil
}

// replanButton names the button in answers and in the ledger.
const replanButton = "the Re-plan button"

// replanFor plans again on a press, and tells the person why if it does not.
func (e *Engine) replanFor(ctx context.Context, ev github.Event, number int) error {
	err := e.replan(ctx, ev.Repo, number, ev.Sender, reasonPress, seen{head: ev.HeadSHA})
	return e.unlessTransient(ctx, applyRequest{Repo: ev.Repo, Number: number, Trigger: triggerButton, Actor: ev.Sender, HeadSHA: ev.HeadSHA, Command: replanButton, Occasion: occasionOf(ev)}, err)
}

// seen is what a person can have looked at when asking for a plan.
type seen struct {
	head string    // the commit of the check whose button was pressed, or
	at   time.Time // when the comment was written
}

// covers reports whether the person can have seen the head that the pull request has now.
func (s seen) covers(known, now store.Pull, skew time.Duration) bool {
	if s.head != "" {
		return s.head == now.HeadSHA
	}
	// GitHub tells times in whole seconds.
	return known.HeadSHA == now.HeadSHA && !known.PushedAt.Add(skew).Truncate(time.Second).After(s.at)
}

// replan plans the head again because a person with write permission asked for it.
func (e *Engine) replan(ctx context.Context, repo change.Repo, number int, actor change.User, reason string, s seen) error {
	unlock := e.decisions.lock(pullKey{repo.ID, number})
	defer unlock()
	if err := e.mayCommand(ctx, repo, actor); err != nil {
		return err
	}
	known, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (store.Pull, error) { return tx.Pull(ctx, repo.ID, number) })
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	pull, err := e.read(ctx, repo, number)
	if err != nil {
		return err
	}
	switch {
	case !pull.Open && !pull.Merged:
		return fault.New("The pull request is closed.", "Only what can still be merged is planned.", "Reopen it first.")
	case pull.Merged:
		reason = reasonMergedAgain
	case pull.Fork && !s.covers(known, pull, e.cfg.GitHub.Skew()):
		pull.Note = stopped(pull)
		if err := e.save(ctx, pull); err != nil { // so that asking again can succeed
			return err
		}
		return fault.New("The fork's head moved while you looked.", "A plan runs its code, so only a commit that you can have read is planned.", "Read the new commit and ask again.")
	case pull.Fork:
		if err := e.allowFork(ctx, pull, actor); err != nil {
			return err
		}
		pull.AllowedSHA = pull.HeadSHA
	}
	if pull.Note = stopped(pull); pull.Note != nil && !pull.Draft {
		return pull.Note
	}
	if err := e.recordAsked(ctx, audit.ActionPlan, reason, actor, pull.Repo, pull.Number, map[string]any{"head": pull.HeadSHA}); err != nil {
		return err
	}
	pull.Note = nil // whoever asks for the plan of a draft gets it
	if err := e.save(ctx, pull); err != nil {
		return err
	}
	last, err := e.latest(ctx, keyOf(pull.Pull))
	if err != nil {
		return err
	}
	if !joins(last, pull, reason) {
		if err := e.startRun(ctx, pull, reason); err != nil {
			return err
		}
	}
	e.reportSoon(keyOf(pull.Pull))
	return nil
}

// allowFork writes to the ledger who let code from outside be planned.
func (e *Engine) allowFork(ctx context.Context, p store.Pull, actor change.User) error {
	return e.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		return audit.Append(ctx, tx, audit.Entry{Actor: actor, Action: audit.ActionPlanFork, Outcome: audit.Allowed, Origin: "pull request",
			Subject: of(p.Repo, p.Number, map[string]any{"head": p.HeadSHA})})
	})
}

// mayCommand asks GitHub, live, whether the person has write permission.
func (e *Engine) mayCommand(ctx context.Context, repo change.Repo, actor change.User) error {
	p, err := e.cfg.GitHub.Permission(ctx, repo, actor)
	if err != nil {
		return fmt.Errorf("read permission of %s: %w", actor.Login, err)
	}
	if !p.CanWrite() {
		return fault.New("You need write permission on this repository.", "Commands spend credentials and change infrastructure.", "Ask someone who has it.")
	}
	return nil
}

package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tollgate/tollgate/internal/audit"
	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/gate"
	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/project"
	"github.com/tollgate/tollgate/internal/report"
	"github.com/tollgate/tollgate/internal/store"
)

// What may ask for an apply.
const (
	triggerMerge   = project.OnMerge
	triggerComment = project.OnComment
	triggerButton  = "button"
)

// Reasons of runs that serve an apply: they look again at what people saw before.
const (
	reasonMerged = "merged"
	reasonMoved  = "moved"
	// reasonMergedAgain is of a run that people asked for after the merge, to look at before /apply.
	reasonMergedAgain = "merged, /plan"
	// reasonRestored is of a run that the database has lost, and that an apply's claim tells of.
	reasonRestored = "restored"
	// Reasons of runs that people asked for otherwise.
	reasonCommand = "/plan"
	reasonPress   = "re-run"
)

// maxReplans bounds how often a request plans again: a state that moves more often is somebody
// else's at work.
const maxReplans = 2

// applyRequest asks for the apply of a pull request's plans. It is a durable task that looks at
// the facts anew at every step: which plan is approved, what ran already, what may start now.
type applyRequest struct {
	Repo      change.Repo `json:"repo"`
	Number    int         `json:"number"`
	Project   string      `json:"project,omitempty"` // empty: all
	Plan      string      `json:"plan,omitempty"`    // short id of the one plan that is meant; empty: the current one
	Trigger   string      `json:"trigger"`
	Actor     change.User `json:"actor"`
	CommentID int64       `json:"comment_id,omitempty"`
	HeadSHA   string      `json:"head_sha"` // what the actor saw; another head refuses
	Asked     time.Time   `json:"asked"`
	Replans   int         `json:"replans"`
	Command   string      `json:"command,omitempty"`  // as written; empty for a merge
	Glass     string      `json:"glass,omitempty"`    // id of the broken glass that it is asked for by
	Occasion  string      `json:"occasion,omitempty"` // what asked for it, if it is no comment: it is answered once
}

// action names what was asked for in the ledger.
func (r applyRequest) action() string {
	if name, ok := strings.CutPrefix(r.Command, "/"); ok {
		name, _, _ = strings.Cut(name, " ")
		return name
	}
	if r.Command == replanButton {
		return audit.ActionPlan
	}
	return audit.ActionApply
}

// on is the name of the trigger in the repository's configuration.
func (r applyRequest) on() string {
	if r.Trigger == triggerButton {
		return triggerComment
	}
	return r.Trigger
}

func (r applyRequest) origin() string {
	if r.CommentID != 0 {
		return fmt.Sprintf("comment %d", r.CommentID)
	}
	return r.Trigger
}

// merged asks for the apply of a pull request that was just merged. The caller holds the decision lock.
func (e *Engine) merged(ctx context.Context, p store.Pull) error {
	if !p.LandedAt.IsZero() {
		return nil // it was asked for before
	}
	last, err := e.latest(ctx, keyOf(p.Pull))
	if err != nil {
		return err
	}
	cfg, err := configOf(last)
	if err != nil {
		return err
	}
	return e.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		if err := tx.Land(ctx, p.Repo.ID, p.Number); err != nil {
			return err
		}
		if last.ID == "" || !slices.Contains(cfg.Apply.On, triggerMerge) {
			return tx.Settle(ctx, p.Repo.ID, p.Number, nil) // of no interest, so not worth a refusal
		}
		return e.queue.Put(ctx, tx, taskApply, applyRequest{Repo: p.Repo, Number: p.Number, Trigger: triggerMerge, Actor: p.MergedBy,
			HeadSHA: p.HeadSHA, Asked: time.Now()}, time.Time{})
	})
}

// again puts the request back to look at it once more later.
func (e *Engine) again(ctx context.Context, req applyRequest) error {
	return e.put(ctx, taskApply, req, time.Now().Add(e.cfg.Pace.ApplyPoll))
}

// applyStep takes the next step of an apply request, or ends it.
func (e *Engine) applyStep(ctx context.Context, req applyRequest) error {
	key := pullKey{req.Repo.ID, req.Number}
	unlock := e.decisions.lock(key)
	defer unlock()
	v, err := e.view(ctx, key)
	if err != nil {
		return e.unlessTransient(ctx, req, err)
	}
	switch {
	case req.Asked.Before(v.pull.CancelledAt):
		return e.settle(ctx, req, nil)
	case e.cfg.Now().Sub(req.Asked) > e.cfg.Pace.ApplyPatience:
		return e.refuse(ctx, req, fault.New("The request to apply is too old.", "Facts and approvals may have changed since.", "Ask again with `/apply`."))
	case v.busy():
		return e.again(ctx, req) // a plan or an apply of this pull request is under way
	}
	if err := e.held(ctx); err != nil {
		return e.unlessTransient(ctx, req, err)
	}
	if wait, err := e.waitsForEarlier(ctx, v); err != nil || wait {
		if wait {
			return e.again(ctx, req)
		}
		return e.unlessTransient(ctx, req, err)
	}
	f, err := e.facts(ctx, req, v.pull.Pull)
	if err != nil {
		return e.unlessTransient(ctx, req, err)
	}
	known := v.pull
	known.Pull, known.Reviews, known.Authors = f.pull.Pull, f.reviews, f.commits
	f.pull = known
	if err := e.save(ctx, f.pull); err != nil {
		return err
	}
	learnt := f.pull.Merged && !v.pull.Merged
	v.pull = f.pull
	if learnt {
		return e.again(ctx, req) // something may have been merged before it
	}
	if flt := precondition(req, f, v); flt != nil {
		return e.refuse(ctx, req, flt)
	}
	return e.unlessTransient(ctx, req, e.applyNext(ctx, req, f, v))
}

// unlessTransient answers the person when an error cannot be mended by trying again.
func (e *Engine) unlessTransient(ctx context.Context, req applyRequest, err error) error {
	if err == nil || unreachable(err) {
		return err
	}
	var flt *fault.Error
	if errors.As(err, &flt) {
		return e.refuse(ctx, req, err)
	}
	return err
}

// facts are what GitHub says at the moment of the decision.
type facts struct {
	pull       store.Pull
	reviews    []change.Review
	commits    []change.Commit
	permission change.Permission
	comment    github.Comment // that asked, if one did
	say        say
	glass      *gate.BreakGlass // that the request refers to, or nil
}

// facts asks GitHub for everything that the decision rests on, side by side.
func (e *Engine) facts(ctx context.Context, req applyRequest, known change.Pull) (facts, error) {
	var f facts
	var err error
	if f.pull.Pull, err = e.cfg.GitHub.Pull(ctx, req.Repo, req.Number); err != nil {
		return facts{}, fmt.Errorf("read pull request: %w", err)
	}
	if older(f.pull.Pull, known) {
		return facts{}, errOldAnswer
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { f.reviews, err = e.cfg.GitHub.Reviews(gctx, req.Repo, req.Number); return err })
	g.Go(func() error {
		cs, err := e.cfg.GitHub.Commits(gctx, req.Repo, req.Number)
		for _, c := range cs {
			f.commits = append(f.commits, change.Commit(c))
		}
		if err == nil {
			err = github.CheckCommits(f.pull.Pull, cs)
		}
		return err
	})
	g.Go(func() (err error) {
		f.permission, err = e.cfg.GitHub.Permission(gctx, req.Repo, req.Actor)
		return err
	})
	if req.CommentID != 0 {
		g.Go(func() (err error) { f.comment, err = e.cfg.GitHub.Comment(gctx, req.Repo, req.CommentID); return err })
	}
	g.Go(func() (err error) { f.glass, err = e.broken(gctx, req); return err })
	g.Go(func() (err error) { f.say.people.LastPushers, err = e.lastPushers(gctx, f.pull.Pull); return err })
	if err := g.Wait(); err != nil {
		return facts{}, fmt.Errorf("read the facts: %w", err)
	}
	return f, nil
}

// precondition says why the request is refused before any plan is looked at, or nil.
func precondition(req applyRequest, f facts, v view) *fault.Error {
	if c := f.comment; req.CommentID != 0 && (c.Edited || c.Author.ID != req.Actor.ID || strings.TrimRight(c.Body, "\r\n") != req.Command) {
		return fault.New("The comment was edited.", "Others can edit a comment, so only an unchanged one is a command.", "Write a new comment.")
	}
	if f.pull.HeadSHA != req.HeadSHA {
		return fault.New("The head of the pull request moved since the apply was asked for.", "What would be applied is not what was looked at.", "Look at the new plan and ask again.")
	}
	if r := v.reviewed(); r.HeadSHA != f.pull.HeadSHA || r.State != change.RunPassed && r.State != change.RunFailed {
		return fault.New("There is no plan of the newest commit yet.", "Only what was planned, judged and approved is applied.", "Comment `/plan`, then ask again.")
	}
	if req.Trigger != triggerMerge {
		if f.pull.Draft {
			return fault.New("The pull request is a draft.", "A draft is not ready to be applied.", "Mark it ready for review.")
		}
		if !f.pull.Open && !f.pull.Merged {
			return fault.New("The pull request is closed.", "Only open or merged pull requests are applied.", "Reopen it.")
		}
	}
	if req.Project != "" && !slices.ContainsFunc(v.plans[v.reviewed().ID], func(p store.Plan) bool { return p.Project.Name == req.Project }) {
		return fault.New("No project of that name is affected by this pull request.", "Nothing was applied.", "The summary comment lists the projects.")
	}
	return nil
}

// applyNext plans again if what was planned is not what would be applied, and otherwise claims
// and starts what may start now.
func (e *Engine) applyNext(ctx context.Context, req applyRequest, f facts, v view) error {
	j := &job{pull: f.pull, run: store.Run{RepoID: req.Repo.ID, Number: req.Number, HeadSHA: f.pull.HeadSHA, BaseRef: f.pull.BaseRef, Reason: reasonMoved}}
	if f.pull.Merged {
		j.run.Reason = reasonMerged
	}
	if err := e.fetch(ctx, j); err != nil {
		return err
	}
	current, ok := v.runOf(j.run.Tree)
	if !ok || !e.madeHere(v, current) {
		return e.planForApply(ctx, req, f, j.run.Reason)
	}
	if err := pinned(req, v.plans[current.ID]); err != nil {
		return err
	}
	plans, left := due(req, v, current)
	if len(plans) == 0 {
		return e.nothingLeft(ctx, req, v, left)
	}
	if e.tooOld(plans) {
		return e.planForApply(ctx, req, f, j.run.Reason)
	}
	current.BaseSHA, current.ProtectedSHA, current.Reason = j.run.BaseSHA, j.run.ProtectedSHA, j.run.Reason
	j.run = current
	var further []string
	if f.pull.Merged {
		// What held before it, and what holds by now: nobody merges rules away.
		further = append(v.baseBeforeMerge(), j.run.BaseSHA)
	}
	if err := e.settings(ctx, j, further...); err != nil {
		return err
	}
	if !slices.Contains(j.config.Apply.On, req.on()) {
		return fault.New("This repository is not applied on "+req.on()+".", "Its "+project.File+" says so under `apply.on`.", "Use one of: "+strings.Join(j.config.Apply.On, ", ")+".")
	}
	s, err := e.whoHasSay(ctx, v, j.run, j.config.Apply, f.reviews)
	if err != nil {
		return err
	}
	f.say.owners, f.say.people.Teams = s.owners, s.people.Teams
	if err := e.codeAllowed(ctx, j, plans); err != nil {
		return err
	}
	// All are judged before the first is claimed: a change is not applied by halves.
	var ready []authorised
	for _, p := range plans {
		a, err := e.authorise(ctx, req, f, v, j, p)
		if err != nil {
			return err
		}
		ready = append(ready, a)
	}
	pause := e.cfg.Pace.ApplyPoll
	for _, a := range ready {
		err := e.claim(ctx, req, f, a, j)
		switch {
		case errors.Is(err, errStateBusy):
			pause = e.cfg.Pace.BusyPoll
		case errors.Is(err, errBaseMoved):
			return e.again(ctx, req)
		case err != nil:
			return err
		}
	}
	return e.put(ctx, taskApply, req, time.Now().Add(pause))
}

// planForApply plans what would be applied now, and looks at the request again afterwards.
func (e *Engine) planForApply(ctx context.Context, req applyRequest, f facts, reason string) error {
	if req.Replans++; req.Replans > maxReplans {
		return fault.New("The change could not be planned again as it would be applied now.", "Base or state moved each time, or the plan failed.", "Look at the newest plan, then comment `/apply`.")
	}
	if err := e.startRun(ctx, f.pull, reason); err != nil {
		return err
	}
	e.reportSoon(keyOf(f.pull.Pull))
	return e.again(ctx, req)
}

// pinned refuses a request for one plan if another is current.
func pinned(req applyRequest, plans []store.Plan) error {
	for _, p := range plans {
		if id := shortEffect(p.Summary.EffectDigest); req.Plan != "" && p.Project.Name == req.Project && id != req.Plan {
			return fault.New("The current plan of "+p.Project.Name+" is "+id+", not "+req.Plan+".", "Only the plan that you named would have been applied.",
				"Look at the current plan, then comment `/apply "+p.Project.Name+"@"+id+"`.")
		}
	}
	return nil
}

// tooOld reports whether a plan has aged so much that the world may have changed under it.
func (e *Engine) tooOld(plans []store.Plan) bool {
	return slices.ContainsFunc(plans, func(p store.Plan) bool { return e.cfg.Now().Sub(p.FinishedAt) > e.cfg.Limits.PlanAge })
}

// due returns the plans that may be applied now: not consumed, and with all that they depend on
// applied; and of the others, why each is not.
func due(req applyRequest, v view, current store.Run) (plans []store.Plan, left []string) {
	for _, p := range v.plans[current.ID] {
		if req.Project != "" && p.Project.Name != req.Project {
			continue
		}
		x := v.execution(p.ID)
		switch waits := v.waitsFor(p, current); {
		case x.Applied(), x.ID == "" && p.State == change.RunPassed && p.Summary.Counts.Empty():
		case x.ID != "":
			left = append(left, p.Project.Name+" was not applied to its end: its apply "+endedHow[x.State]+". A plan is applied at most once; look at the check, then comment `/plan`")
		case waits != "":
			left = append(left, p.Project.Name+" was not applied: it depends on "+waits+", which is not applied")
		default:
			plans = append(plans, p)
		}
	}
	return plans, left
}

// endedHow says how an execution ended that did not end well.
var endedHow = map[change.ExecutionState]string{
	change.ExecFailedClean: "failed, and changed nothing", change.ExecFailedPartial: "failed midway",
	change.ExecUnknown: "has an unknown outcome", change.ExecClaimed: "has only begun", change.ExecRunning: "is under way",
}

// authorised is a plan that the apply gate let pass, and the facts that it rests on.
type authorised struct {
	facts facts
	plan  store.Plan
}

// authorise takes one plan through the apply gate.
func (e *Engine) authorise(ctx context.Context, req applyRequest, f facts, v view, j *job, p store.Plan) (authorised, error) {
	if err := sameEffect(v, p); err != nil {
		return authorised{}, err
	}
	// The view leaves the findings of some runs out; a decision rests on the whole plan.
	p, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (store.Plan, error) { return tx.Plan(ctx, p.ID) })
	if err != nil {
		return authorised{}, fmt.Errorf("read plan: %w", err)
	}
	findings, unwaivable, err := e.judgeAgain(ctx, j, p)
	if err != nil {
		return authorised{}, err
	}
	all, since := f.reviews, v.shownSince(p.Project.Name)
	f.reviews = ofEffect(all, since)
	in := f.input(p, findings, j.config)
	in.Actor, in.ActorPermission, in.Trigger, in.Now = req.Actor, f.permission, req.Trigger, e.cfg.Now()
	in.Unwaivable, in.BreakGlass = list(unwaivable), f.glass
	d, err := e.judgeApply(ctx, j.rules, in)
	if err != nil {
		return authorised{}, err
	}
	if !d.Allowed {
		return authorised{}, refusal(p.Project.Name, d, approvedBefore(all, f.reviews, since)...)
	}
	return authorised{f, p}, nil
}

// approvedBefore says that approvals were left out because they are older than the plan.
func approvedBefore(all, counted []change.Review, since time.Time) []string {
	n := len(all) - len(counted)
	if n == 0 {
		return nil
	}
	return []string{fmt.Sprintf("approvals that are older than this plan, of %s, do not count: %d. Approve again", since.UTC().Format("15:04:05 MST"), n)}
}

// ofEffect leaves out the approvals that were given before the plan with this effect could be seen, by
// GitHub's clock. It tells times in whole seconds, so one of the same second counts.
func ofEffect(reviews []change.Review, since time.Time) []change.Review {
	return slices.DeleteFunc(slices.Clone(reviews), func(r change.Review) bool {
		return r.State == "approved" && r.SubmittedAt.Before(since.Truncate(time.Second))
	})
}

// input is what the apply gate sees of a plan.
func (f facts) input(p store.Plan, findings []change.Finding, cfg project.Config) gate.ApplyInput {
	var commits []gate.Commit
	for _, c := range f.commits {
		c.CoAuthors = list(c.CoAuthors)
		commits = append(commits, gate.Commit(c))
	}
	pull := f.pull.Pull
	pull.UpdatedAt = time.Time{} // every comment changes it, and it decides nothing
	return gate.ApplyInput{Pull: pull, Reviews: list(f.reviews), Commits: list(commits), LastPushers: list(f.say.people.LastPushers),
		Plan: p.Summary, Findings: list(findings), Unwaivable: []string{}, Teams: list(f.say.people.Teams), Owners: list(f.say.owners),
		PlanComplete: p.State == change.RunPassed || p.State == change.RunFailed, Config: applyConfig(cfg.Apply)}
}

// sameEffect refuses a plan that does something else than the one that people looked at.
func sameEffect(v view, p store.Plan) error {
	shown, ok := v.shown(p.Project.Name)
	if !ok {
		return fault.New("There was no finished plan of "+p.Project.Name+" to look at before.", "An approval is of a plan that people could see.",
			"Comment `/plan`, look at the plan, then comment `/apply`.")
	}
	if v.appliedSince(shown) {
		return fault.New("The plan of "+p.Project.Name+" was applied already, wholly or in part, and what it would do now was never looked at.",
			"It is now: "+counts(p.Summary.Counts)+".", "Comment `/plan`, look at the new plan, have it approved, then comment `/apply`.")
	}
	if shown.ID == p.ID {
		return nil
	}
	if shown.Summary.EffectDigest != p.Summary.EffectDigest {
		return fault.New("The plan of "+p.Project.Name+" has another effect than the one that was looked at: "+difference(shown.Summary, p.Summary)+".",
			"Base or state moved since, and an approval is of an effect.", "Comment `/plan`, look at the new plan, have it approved, then comment `/apply`.")
	}
	return nil
}

// judgeAgain judges the stored plan by the rules as they are now: policies may be stricter than when
// the check became green, and a waiver may have expired.
func (e *Engine) judgeAgain(ctx context.Context, j *job, p store.Plan) (findings []change.Finding, unwaivable []string, err error) {
	planJSON, err := e.storedJSON(ctx, j.run, p)
	if err != nil {
		return nil, nil, err
	}
	v, err := e.judgePlan(ctx, j.rules, planJSON)
	// What passes is most of a large plan, and of no interest to whoever decides.
	return slices.DeleteFunc(v.findings, func(f change.Finding) bool { return f.Verdict == change.Pass }), v.unwaivable, err
}

// refusedError is a refusal by the apply gate, with every reason that it gave.
type refusedError struct {
	fault   *fault.Error
	reasons []string
}

func (e *refusedError) Error() string { return e.fault.Error() + " " + strings.Join(e.reasons, "; ") }
func (e *refusedError) Unwrap() error { return e.fault }

func refusal(name string, d gate.Decision, reasons ...string) error {
	for _, x := range d.Denials {
		reasons = append(reasons, x.Message)
	}
	for _, r := range d.Requirements {
		if !r.Met {
			reasons = append(reasons, "still needed: "+r.Text)
		}
	}
	slices.Sort(reasons)
	return &refusedError{fault.New("The plan of "+name+" may not be applied.", "", "When that has changed, comment `/apply`."), slices.Compact(reasons)}
}

// refuse records a refusal in the ledger, and has the person told.
func (e *Engine) refuse(ctx context.Context, req applyRequest, err error) error {
	r := report.Refusal{Command: req.Command, Fault: fault.Public(err)}
	var refused *refusedError
	if errors.As(err, &refused) {
		r.Denials = refused.reasons
	}
	body := report.AnswerRefused(r)
	err = e.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		if req.Trigger == triggerMerge {
			if err := tx.Settle(ctx, req.Repo.ID, req.Number, r.Fault); err != nil {
				return err
			}
		}
		fresh, err := tx.AddAnswer(ctx, req.Repo, req.Number, req.occasion(body), body)
		if err != nil || !fresh {
			return err // this was refused before a crash
		}
		if req.Trigger == triggerButton {
			if err := tx.CountPress(ctx, req.Repo.ID, req.Number); err != nil {
				return err
			}
		}
		return audit.Append(ctx, tx, audit.Entry{Actor: req.Actor, Action: req.action(), Outcome: audit.Refused, Origin: req.origin(),
			Subject: of(req.Repo, req.Number, map[string]any{"head": req.HeadSHA, "project": req.Project, "reason": r.Fault.Text(), "denials": r.Denials})})
	})
	if err != nil {
		return err
	}
	if req.Trigger == triggerMerge {
		e.cfg.Unmanaged("merge")
		e.cfg.Logger.Error("a merged pull request is not applied", "repository", req.Repo.ID, "pull", req.Number, "reason", r.Fault.Text())
	}
	e.reportSoon(pullKey{req.Repo.ID, req.Number})
	return nil
}

package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tollgate/tollgate/internal/artifact"
	"github.com/tollgate/tollgate/internal/audit"
	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/cloud"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/runner"
	"github.com/tollgate/tollgate/internal/store"
)

// claim consumes the plan, locks the state and writes the ledger's row in one transaction, and
// only then starts the process that applies.
//
// Three things keep a plan from being applied twice, each where another could fail: the row in the
// database; a claim next to the stored plan, for a database that comes back from a backup; and the fence, for a
// server that was overtaken between its row and its runner.
func (e *Engine) claim(ctx context.Context, req applyRequest, f facts, a authorised, j *job) error {
	p := a.plan
	x := store.Execution{Execution: change.Execution{ID: store.NewID(), PlanID: p.ID, Project: p.Project, Trigger: req.Trigger,
		Actor: req.Actor, CommitSHA: f.pull.HeadSHA}, RepoID: req.Repo.ID, Number: req.Number, HeadSHA: f.pull.HeadSHA, StateKey: p.StateKey}
	if f.pull.Merged {
		x.CommitSHA = f.pull.MergeSHA
	}
	if _, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (store.Execution, error) { return tx.Holder(ctx, p.StateKey) }); err == nil {
		return e.locked(ctx, p)
	}
	if err := e.unclaimed(ctx, p); err != nil {
		return err
	}
	// All that can fail without consequence comes before the claim.
	spec, err := e.layOut(ctx, x, j, p)
	if err == nil {
		x.Fence, err = runner.ReadFence(e.fenceFile(p.StateKey))
	}
	if err == nil {
		err = e.asBefore(ctx, req, f, j)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(e.ExecutionDir(x.ID)))
	}
	e.cfg.At(ClaimBefore)
	var row audit.Row
	err = e.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		if err := tx.Claim(ctx, &x); err != nil {
			return err
		}
		if err := e.spend(ctx, tx, req, x.ID); err != nil {
			return err
		}
		if err := about(ctx, tx, x.ID, e.authorisation(req, a.facts, j, p, x)); err != nil {
			return err
		}
		row, err = audit.Last(ctx, tx)
		return err
	})
	switch {
	case err == nil:
	case errors.Is(err, store.ErrConflict):
		_ = os.RemoveAll(e.ExecutionDir(x.ID))
		return e.locked(ctx, p)
	default:
		// A commit whose answer is lost may have happened; then there is no way back.
		_, known := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (store.Execution, error) { return tx.Execution(ctx, x.ID) })
		if errors.Is(known, store.ErrNotFound) {
			_ = os.RemoveAll(e.ExecutionDir(x.ID))
		}
		if known != nil {
			return errors.Join(err, known)
		}
	}
	e.cfg.At(ClaimAfter)
	e.reportSoon(keyOf(f.pull.Pull))
	e.launch(ctx, x, req.Repo, j.run, p, row, spec)
	e.cfg.At(StartAfter)
	e.watch(x)
	return nil
}

// launch starts what was claimed, once the claim stands outside of the database as well. After an error nothing
// is started, or nobody knows: follow finds out, and forbids a late start.
func (e *Engine) launch(ctx context.Context, x store.Execution, repo change.Repo, run store.Run, p store.Plan, row audit.Row, spec runner.Spec) {
	fence := e.fenceFile(x.StateKey)
	spec.Fence = &runner.Fence{File: fence, Token: runner.Token(x.Fence)}
	err := e.putClaim(ctx, x, repo, run, p, row)
	if err == nil {
		err = runner.RaiseFence(fence, x.Fence)
	}
	if err == nil {
		var env []string
		env, err = e.mint(ctx, cloud.Apply, repo, x.Number, x.CommitSHA, p)
		spec.Env = append(spec.Env, env...)
	}
	if err == nil {
		err = e.cfg.Runner.Start(e.runnerDir(x.ID), spec)
	}
	if err != nil {
		e.cfg.Logger.Error("start apply", "execution", x.ID, "error", err)
	}
}

// fenceFile is where the runners of a state look whether they were overtaken.
func (e *Engine) fenceFile(stateKey string) string {
	sum := sha256.Sum256([]byte(stateKey))
	return filepath.Join(e.cfg.DataDir, "fences", hex.EncodeToString(sum[:16]))
}

// asBefore reads everything again that the decision rests on, immediately before the claim. Whatever
// is not as it was ends the request; only a base that moved is worth another look. The pull request comes last once
// more, since most of what can change under us is in it.
func (e *Engine) asBefore(ctx context.Context, req applyRequest, was facts, j *job) error {
	again := &job{pull: was.pull, run: store.Run{RepoID: j.run.RepoID, Number: j.run.Number, HeadSHA: was.pull.HeadSHA, BaseRef: was.pull.BaseRef, Reason: j.run.Reason}}
	var is facts
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return e.fetch(gctx, again) })
	g.Go(func() (err error) { is, err = e.facts(gctx, req, was.pull.Pull); return err })
	if err := g.Wait(); err != nil {
		return err
	}
	if again.run.Tree != j.run.Tree || again.run.BaseSHA != j.run.BaseSHA || again.run.ProtectedSHA != j.run.ProtectedSHA {
		return errBaseMoved
	}
	var err error
	if is.say.people.Teams, err = e.teams(ctx, was.pull.Repo, namesOf(was.say.people.Teams), is.reviews); err != nil {
		return err
	}
	what := flipped(was, is)
	if what == "" {
		if is.pull.Pull, err = e.cfg.GitHub.Pull(ctx, req.Repo, req.Number); err != nil {
			return fmt.Errorf("read pull request: %w", err)
		}
		if older(is.pull.Pull, was.pull.Pull) {
			return errOldAnswer
		}
		what = flipped(was, is)
	}
	if what == "" {
		return nil
	}
	return fault.New("While it was decided whether to apply, "+what+" changed.", "What is applied has to be what was decided on, so nothing was applied.",
		"Look at the pull request, and ask again with `/apply`.")
}

// errBaseMoved says that what would be applied has to be looked at anew.
var errBaseMoved = errors.New("the base moved while it was decided whether to apply")

// flipped names the first of the facts of a decision that is not as it was; empty if all are.
func flipped(was, is facts) string {
	decisive := func(reviews []change.Review) []change.Review {
		return slices.DeleteFunc(slices.Clone(reviews), func(r change.Review) bool { return r.State == "commented" || r.State == "pending" })
	}
	a, b := was.pull.Pull, is.pull.Pull
	switch {
	case a.HeadSHA != b.HeadSHA:
		return "the head of the pull request"
	case a.BaseRef != b.BaseRef || a.DefaultRef != b.DefaultRef:
		return "the base of the pull request"
	case a.Open != b.Open || a.Merged != b.Merged || a.MergeSHA != b.MergeSHA || a.Draft != b.Draft || a.Fork != b.Fork || a.Author != b.Author:
		return "the state of the pull request"
	case !reflect.DeepEqual(was.commits, is.commits):
		return "the list of its commits"
	case !reflect.DeepEqual(decisive(was.reviews), decisive(is.reviews)):
		return "a review, or what a reviewer may do,"
	case !reflect.DeepEqual(was.say.people.LastPushers, is.say.people.LastPushers):
		return "who is known to have pushed last"
	case !reflect.DeepEqual(was.say.people.Teams, is.say.people.Teams):
		return "who is in a team"
	case !reflect.DeepEqual(was.glass, is.glass):
		return "what those may do who broke the glass"
	case was.permission != is.permission:
		return "what you may do in this repository"
	case was.comment != is.comment:
		return "your comment"
	}
	return ""
}

// authorisation is the ledger's row: who let what be applied, and on which grounds.
func (e *Engine) authorisation(req applyRequest, f facts, j *job, p store.Plan, x store.Execution) audit.Entry {
	subject := of(req.Repo, req.Number, map[string]any{"execution": x.ID, "project": p.Project.Name, "approvers": approvals(f), "title": f.pull.Title, "author": f.pull.Author,
		"break_glass": req.Glass, "plan": p.ID, "plan_made": p.FinishedAt, "state_key": x.StateKey, "fence": x.Fence, "maker": e.cfg.Maker})
	for name, value := range grounds(j, p, x) {
		subject[name] = value
	}
	return audit.Entry{Actor: req.Actor, Action: audit.ActionApply, Outcome: audit.Allowed, Origin: req.origin(), Subject: subject}
}

// grounds are everything that an approval is of: what would be applied, to what, judged by what.
func grounds(j *job, p store.Plan, x store.Execution) map[string]any {
	return map[string]any{
		"head": x.HeadSHA, "base": j.run.BaseSHA, "protected": j.run.ProtectedSHA, "commit": x.CommitSHA, "tree": j.run.Tree,
		"effect": p.Summary.EffectDigest, "state": p.Summary.State, "lock_file": p.Summary.LockDigest, "terraform": p.Summary.TerraformVersion,
		"policies": j.rules.digest(), "policies_at_plan": p.PolicyDigest, "waivers": p.Waivers}
}

// claimed is what the claim next to a stored plan holds: enough to freeze the project, and to find the
// row in the ledger, if the database knows nothing of it.
type claimed struct {
	Execution change.Execution `json:"execution"`
	Repo      change.Repo      `json:"repo"`
	Number    int              `json:"number"`
	HeadSHA   string           `json:"head_sha"`
	StateKey  string           `json:"state_key"`
	Fence     int64            `json:"fence"`
	RunID     string           `json:"run_id"`
	BaseRef   string           `json:"base_ref"`
	Row       audit.Row        `json:"row"`
}

func (e *Engine) putClaim(ctx context.Context, x store.Execution, repo change.Repo, run store.Run, p store.Plan, row audit.Row) error {
	ref, err := planRef(p)
	if err != nil {
		return err
	}
	content, err := json.Marshal(claimed{x.Execution, repo, x.Number, x.HeadSHA, x.StateKey, x.Fence, run.ID, run.BaseRef, row})
	if err != nil {
		return fmt.Errorf("encode claim: %w", err)
	}
	return e.cfg.Artifacts.Claim(ctx, ref, content)
}

func planRef(p store.Plan) (artifact.Ref, error) {
	var s stored
	if err := json.Unmarshal([]byte(p.Artifacts), &s); err != nil {
		return artifact.Ref{}, fmt.Errorf("decode artifacts: %w", err)
	}
	return s.Plan, nil
}

// unclaimed refuses a plan that was consumed, although the database does not know of it, and freezes its
// project.
func (e *Engine) unclaimed(ctx context.Context, p store.Plan) error {
	ref, err := planRef(p)
	if err != nil {
		return err
	}
	content, err := e.cfg.Artifacts.Claimed(ctx, ref)
	if err != nil || content == nil {
		return err
	}
	if err := e.freeze(ctx, content); err != nil {
		return err
	}
	return restored(p.Project.Name)
}

func restored(project string) *fault.Error {
	return fault.New("The database was restored: it knows nothing of an apply of "+project+" that left its claim on disk.",
		"What that apply did is not known here, so nothing is applied to this state before a person has looked.",
		"Compare the infrastructure with the plan, then comment `/resolve "+project+" applied REASON` if all of it is there, or `/resolve "+project+" reconcile REASON` if not.")
}

// rediscover looks for applies that the database knows nothing of, because it was restored from a backup, and
// freezes their projects.
func (e *Engine) rediscover(ctx context.Context) error {
	return e.cfg.Artifacts.Claims(ctx, func(content []byte, err error) error {
		if err != nil {
			// Its plan is refused when it is its turn.
			e.cfg.Logger.Error("a claim cannot be read", "error", err)
			return nil
		}
		return e.freeze(ctx, content)
	})
}

// freeze adds an execution that only its claim tells of to the database, with an unknown end, unless it is known.
func (e *Engine) freeze(ctx context.Context, content []byte) error {
	var c claimed
	if err := json.Unmarshal(content, &c); err != nil {
		return fmt.Errorf("decode claim: %w", err)
	}
	x := store.Execution{Execution: c.Execution, RepoID: c.Repo.ID, Number: c.Number, HeadSHA: c.HeadSHA, StateKey: c.StateKey, Fence: c.Fence, Fault: restored(c.Execution.Project.Name)}
	found := false
	err := e.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		found = false
		if _, err := tx.Execution(ctx, x.ID); err == nil || !errors.Is(err, store.ErrNotFound) {
			return err
		}
		found, x.CreatedAt = true, tx.Now
		run := store.Run{ID: c.RunID, RepoID: c.Repo.ID, Number: c.Number, HeadSHA: c.HeadSHA, BaseRef: c.BaseRef, Reason: reasonRestored}
		if err := tx.Rediscover(ctx, x, run); err != nil {
			return err
		}
		// GitHub tells what the database may have forgotten of the pull request; the report follows.
		if err := e.queue.Put(ctx, tx, taskEvent, github.Event{Kind: github.KindPullRequest, Repo: c.Repo, Pull: c.Number, Action: actionLookAgain}, time.Time{}); err != nil {
			return err
		}
		if err := tx.AddUntold(ctx, store.PullKey{RepoID: c.Repo.ID, Number: c.Number}); err != nil {
			return err
		}
		entry := ending(x, "apply.found", "unknown", nil)
		entry.Subject["state"], entry.Subject["lost_row"], entry.Subject["lost_hash"] = change.ExecUnknown, c.Row.Seq, c.Row.Hash
		return about(ctx, tx, x.ID, entry)
	})
	if errors.Is(err, store.ErrConflict) {
		// Something else holds the state by now, so nothing is applied to it before that has ended and this is found again.
		e.cfg.Logger.Error("an apply that the database has lost", "execution", x.ID, "project", x.Project.Name, "error", err)
		return nil
	}
	if err == nil && found {
		e.cfg.Logger.Error("the database was restored: an apply is known from its claim only", "execution", x.ID, "project", x.Project.Name)
	}
	return err
}

package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/gate"
	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/project"
	"github.com/tollgate/tollgate/internal/report"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/workspace"
)

// Reporting is level-triggered: what GitHub should show is rendered from the store, compared with
// what it was last told, and only the difference is sent. So a report may be asked for at any
// time, twice, or again after a crash or an outage, and ends in the same. Who asks for one, and how
// often it is tried, is in outbox.go.

// report tells GitHub what it does not know yet of one pull request, and says when it has to be
// looked at again although all was sent. Only keepTelling calls it.
func (e *Engine) report(ctx context.Context, key pullKey) (again time.Time, err error) {
	v, err := e.view(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return e.sendAnswers(ctx, key, change.Repo{}) // nothing is known of it but what was asked
	}
	if err != nil {
		return time.Time{}, err
	}
	var next soonest
	part := func(f func() (time.Time, error)) func() error {
		return func() error {
			at, err := f()
			next.add(at)
			return err
		}
	}
	var g errgroup.Group // one that fails must not stop the others
	g.SetLimit(8)
	for _, c := range e.checks(v) {
		g.Go(part(func() (time.Time, error) { return e.sendCheck(ctx, v, c) }))
	}
	g.Go(part(func() (time.Time, error) { return e.sendComment(ctx, v) }))
	g.Go(part(func() (time.Time, error) { return e.sendAnswers(ctx, key, v.pull.Repo) }))
	for _, x := range v.executions {
		g.Go(func() error { return e.showDeployment(ctx, v, x) })
	}
	err = g.Wait()
	return next.at, err
}

// checks are all checks that GitHub should show: those of the newest run, those of older runs
// that it may still show as unfinished, and those of the applies. A commit that was overtaken before
// anybody could report on it has one all the same.
func (e *Engine) checks(v view) []change.Check {
	var out []change.Check
	for i, r := range v.runs {
		current := i == 0
		if current || v.unsettled(externalID(v, r, report.GateName)) || v.unheardOf(r) {
			out = append(out, report.GateCheck(e.pullReport(v, r, current)))
		}
		for _, p := range v.plans[r.ID] {
			if current || v.unsettled(externalID(v, r, report.PlanPrefix+p.Project.Name)) {
				out = append(out, report.PlanCheck(e.planReport(v, r, p)))
			}
		}
	}
	for external, c := range v.checks {
		if v.ofOvertaken(external, c.HeadSHA) && v.unsettled(external) {
			out = append(out, report.GateCheck(e.pullReport(v, store.Run{HeadSHA: c.HeadSHA, State: change.RunSuperseded}, false)))
		}
	}
	if len(v.runs) == 0 && v.pull.Note != nil && v.pull.Open {
		out = append(out, report.GateCheck(e.pullReport(v, store.Run{HeadSHA: v.pull.HeadSHA}, true)))
	}
	for _, r := range v.groups {
		group := []change.Check{report.GateCheck(e.pullReport(v, r, false))}
		for _, p := range v.plans[r.ID] {
			group = append(group, report.PlanCheck(e.planReport(v, r, p)))
		}
		for _, c := range group {
			c.Buttons = nil // what would be applied is the pull request, once it has landed
			out = append(out, c)
		}
	}
	for _, x := range v.executions {
		out = append(out, report.ApplyCheck(e.applyReport(v, x)))
	}
	return out
}

// ofOvertaken reports whether the check is of an earlier head that has no run.
func (v view) ofOvertaken(external, sha string) bool {
	return sha != v.pull.HeadSHA && external == externalID(v, store.Run{HeadSHA: sha}, report.GateName)
}

// externalID names a check of a run: a new run makes new checks, since GitHub only ever adds
// annotations to an existing one.
func externalID(v view, r store.Run, name string) string {
	if r.ID == "" {
		return fmt.Sprintf("%d/%s/%s", v.pull.Number, r.HeadSHA, name)
	}
	if r.Presses > 0 {
		// After a button that was refused. GitHub's event of the next press looks the same but for
		// the check's id, and would otherwise be taken for a repetition of the first.
		return fmt.Sprintf("%s/%s/%d", r.ID, name, r.Presses)
	}
	return r.ID + "/" + name
}

func (e *Engine) pullReport(v view, r store.Run, current bool) report.Pull {
	p := report.Pull{Pull: v.pull.Pull, State: r.State, Fault: r.Fault, Preview: v.previewOf(r), Notices: r.Notices, ExternalID: externalID(v, r, report.GateName), DetailsURL: e.url("/runs/" + r.ID)}
	p.Pull.HeadSHA = r.HeadSHA
	if r.ID == "" {
		p.DetailsURL = e.url("/")
	}
	if current {
		p.Stop, p.Unapplied = stopOf(v), v.pull.Unapplied
		for _, x := range v.executions {
			p.Applies = append(p.Applies, e.applyReport(v, x))
		}
		// A head that is not planned has a check that says so. Any other head that the run is not of
		// has none yet: it must not inherit the verdict of another.
		if p.Stop != report.StopNone && r.HeadSHA != v.pull.HeadSHA {
			p.Pull.HeadSHA, p.ExternalID = v.pull.HeadSHA, externalID(v, store.Run{HeadSHA: v.pull.HeadSHA}, report.GateName)
		}
	}
	for _, pl := range v.plans[r.ID] {
		p.Plans = append(p.Plans, e.planReport(v, r, pl))
	}
	return p
}

// stopOf says why the newest head is not planned.
func stopOf(v view) report.Stop {
	switch {
	case v.pull.Note == nil:
		return report.StopNone
	case v.pull.Draft:
		return report.StopDraft
	}
	return report.StopFork
}

func (e *Engine) planReport(v view, r store.Run, p store.Plan) report.Plan {
	state, flt := p.State, p.Fault
	if r.State.Done() && !state.Done() {
		state, flt = r.State, r.Fault // the run ended before this plan did
	}
	elapsed := time.Duration(0)
	if !p.FinishedAt.IsZero() {
		elapsed = p.FinishedAt.Sub(p.StartedAt)
	}
	pull := v.pull.Pull
	pull.HeadSHA = r.HeadSHA
	return report.Plan{Pull: pull, Project: p.Project, State: state, Refused: p.Refused, HeadSHA: r.HeadSHA, BaseSHA: r.BaseSHA,
		Summary: p.Summary, Findings: p.Findings, Judged: p.Judged, Text: p.Text, Fault: flt, Excerpt: p.Excerpt,
		Notices: p.Notices, Replanned: v.replanned(r, p), Requirements: e.requirements(v, r, p), PolicyDigest: p.PolicyDigest, ID: shortEffect(p.Summary.EffectDigest), PlanID: p.ID,
		ExternalID: externalID(v, r, report.PlanPrefix+p.Project.Name), DetailsURL: e.url("/runs/" + r.ID), Elapsed: elapsed}
}

func shortEffect(digest string) string {
	digest = strings.TrimPrefix(digest, "sha256:")
	return digest[:min(8, len(digest))]
}

func (e *Engine) applyReport(v view, x store.Execution) report.Apply {
	a := report.Apply{Execution: x.Execution, Glass: v.glassOf(x.ID), HeadSHA: x.HeadSHA, Fault: x.Fault, Proof: x.Proof, ExternalID: x.ID,
		DetailsURL: e.url("/executions/" + x.ID), Ended: x.Proofs > 0, Blocked: x.Cause == store.CauseLocked,
		Resolved: x.Resolved, Evidence: x.Evidence, Unsaved: x.ErroredState != "", LedgerRow: x.Ledger.Seq, LedgerHash: x.Ledger.Hash}
	if a.Fault != nil && x.Resolved.As != "" { // somebody has done what was to do
		a.Fault = fault.Wrap(a.Fault.Err, a.Fault.What, a.Fault.Why, "")
	}
	for _, plans := range v.plans {
		for _, p := range plans {
			if p.ID == x.PlanID {
				a.Summary = p.Summary
			}
		}
	}
	if x.State.Done() {
		a.Tail, a.Elapsed = e.tail(x), x.FinishedAt.Sub(x.CreatedAt)
	}
	return a
}

// digest of what would be sent.
func digest(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:12])
}

// What GitHub has, behind the digest of a check as last sent.
const (
	completed = "+completed"
	annotated = "+annotations"
)

// sendCheck creates or updates one check if it differs from what GitHub was last told, and says
// when to look at it again. The row is written before the first request, so that after a crash the
// check is looked for, not made twice.
func (e *Engine) sendCheck(ctx context.Context, v view, c change.Check) (again time.Time, err error) {
	sent := digest(c)
	if c.Status == "completed" {
		sent += completed
	}
	if len(c.Annotations) > 0 {
		sent += annotated
	}
	row, known := v.checks[c.ExternalID]
	doubt := row.Doubt
	if past(doubt) {
		row.Sent, doubt = "", time.Time{} // what arrived last counts, so look
	}
	if known && row.Sent == sent {
		return doubt, nil
	}
	repo := v.pull.Repo
	put := func(id int64, sent string) error {
		row = store.Check{ExternalID: c.ExternalID, RepoID: repo.ID, Number: v.pull.Number, HeadSHA: c.HeadSHA, Name: c.Name, GitHubID: id, Sent: sent, Doubt: doubt}
		return e.cfg.Store.Write(ctx, func(tx *store.Tx) error { return tx.PutCheck(ctx, row) })
	}
	id := row.GitHubID
	switch {
	case !known:
		if err = put(0, ""); err == nil {
			id, err = e.cfg.GitHub.CreateCheck(ctx, repo, c)
		}
	case id == 0 || row.Sent == "":
		id, err = e.cfg.GitHub.ResumeCheck(ctx, repo, c)
	default:
		if strings.HasSuffix(row.Sent, annotated) {
			c.Annotations = nil // GitHub would show them twice
		}
		err = e.cfg.GitHub.UpdateCheck(ctx, repo, id, c)
	}
	if errors.Is(err, github.ErrRejected) && v.ofOvertaken(c.ExternalID, c.HeadSHA) {
		return time.Time{}, put(0, sent) // there is no such commit, or not any more
	}
	if err != nil {
		// How much of it arrived is unknown: the next attempt looks.
		doubt = later(doubt, doubted(err))
		return time.Time{}, errors.Join(fmt.Errorf("report check %q: %w", c.Name, err), put(id, ""))
	}
	e.cfg.At(ReportAfter)
	return doubt, put(id, sent)
}

// sending stands for the digest of a comment while nobody knows what GitHub has.
const sending = "sending"

// sendComment keeps the one summary comment up to date, and says when to look at it again.
func (e *Engine) sendComment(ctx context.Context, v view) (again time.Time, err error) {
	if len(v.runs) == 0 && v.pull.Note == nil {
		return time.Time{}, nil
	}
	body := report.Comment(e.pullReport(v, v.newest(), true))
	repo, number, id := v.pull.Repo, v.pull.Number, v.pull.CommentID
	was, sent, doubt := v.pull.CommentDigest, digest(body), v.pull.CommentDoubt
	if past(doubt) {
		was, doubt = sending, time.Time{}
	}
	if was == sent {
		return doubt, nil
	}
	set := func(sent string) error {
		return e.cfg.Store.Write(ctx, func(tx *store.Tx) error { return tx.SetComment(ctx, repo.ID, number, id, sent, doubt) })
	}
	if was == sending {
		if id, err = e.onlyComment(ctx, repo, number, report.Marker); err != nil {
			return time.Time{}, fmt.Errorf("report comment: %w", err)
		}
	}
	if id != 0 {
		if err = e.cfg.GitHub.UpdateComment(ctx, repo, id, body); errors.Is(err, github.ErrNotFound) {
			id, err = 0, nil // somebody deleted it
		}
	}
	if id == 0 {
		if err = set(sending); err == nil {
			id, err = e.cfg.GitHub.CreateComment(ctx, repo, number, body)
		}
	}
	if err != nil {
		doubt = later(doubt, doubted(err))
		return time.Time{}, errors.Join(fmt.Errorf("report comment: %w", err), set(sending))
	}
	return doubt, set(sent)
}

// deploymentState is GitHub's word for the state of an execution.
var deploymentState = map[change.ExecutionState]string{
	change.ExecClaimed: "queued", change.ExecRunning: "in_progress", change.ExecApplied: "success",
	change.ExecFailedClean: "failure", change.ExecFailedPartial: "failure", change.ExecUnknown: "error",
}

// showDeployment is best effort where GitHub refuses deployments to the App: the check tells all.
func (e *Engine) showDeployment(ctx context.Context, v view, x store.Execution) error {
	err := e.sendDeployment(ctx, v, x)
	if errors.Is(err, github.ErrForbidden) || errors.Is(err, github.ErrNotFound) || errors.Is(err, github.ErrRejected) {
		e.cfg.Logger.Warn("deployment is not shown", "execution", x.ID, "error", err)
		return nil
	}
	return err
}

// sendDeployment shows an execution as a deployment of its environment.
func (e *Engine) sendDeployment(ctx context.Context, v view, x store.Execution) error {
	want := deploymentState[x.State]
	if want == x.DeploymentState {
		return nil
	}
	repo := v.pull.Repo
	set := func(id int64, state string) error {
		return e.cfg.Store.Write(ctx, func(tx *store.Tx) error { return tx.SetDeployment(ctx, x.ID, id, state) })
	}
	id, err := x.Deployment, error(nil)
	if id == 0 {
		d := github.Deployment{SHA: x.CommitSHA, Environment: x.Project.Environment, Production: x.Project.Environment == "production",
			Description: "Terraform apply of " + x.Project.Name, ExecutionID: x.ID}
		if len(d.Description) > 140 {
			d.Description = "Terraform apply"
		}
		found := false
		if x.DeploymentState == "sending" {
			id, found, err = e.cfg.GitHub.FindDeployment(ctx, repo, d)
		}
		if err == nil && !found {
			if err = set(0, "sending"); err == nil {
				id, err = e.cfg.GitHub.CreateDeployment(ctx, repo, d)
			}
		}
		if err != nil {
			return fmt.Errorf("report deployment: %w", err)
		}
		if err := set(id, "created"); err != nil {
			return err
		}
	}
	if err := e.cfg.GitHub.SetDeploymentStatus(ctx, repo, id, github.DeploymentStatus{State: want, LogURL: e.url("/executions/" + x.ID)}); err != nil {
		return fmt.Errorf("report deployment status: %w", err)
	}
	return set(id, want)
}

// unreachable reports whether trying again later may help.
func unreachable(err error) bool {
	var limited *github.RateLimitError
	return errors.Is(err, github.ErrUnavailable) || errors.Is(err, workspace.ErrTemporary) || errors.Is(err, store.ErrUnavailable) || errors.As(err, &limited) || errors.Is(err, context.DeadlineExceeded)
}

// requirements are what the apply gate still asks for, by the facts that were read last. They
// are for people to look at; an apply asks anew.
func (e *Engine) requirements(v view, r store.Run, p store.Plan) []report.Requirement {
	var cfg project.Config
	if !p.State.Done() || r.ID != v.reviewed().ID && r.ID != v.newest().ID || json.Unmarshal([]byte(r.Config), &cfg) != nil {
		return nil
	}
	f := facts{pull: v.pull, reviews: ofEffect(v.pull.Reviews, v.shownSince(p.Project.Name)), commits: v.pull.Authors, say: say{people: v.pull.People}}
	if cfg.Apply.Codeowners {
		var err error
		if f.say.owners, err = e.ownersOf(e.life, v, r); err != nil {
			return unevaluated(e, r, err)
		}
	}
	in := f.input(p, p.Findings, cfg)
	rules := e.base()
	for _, commit := range commitsOf(r) {
		var err error
		if rules, err = e.with(e.life, rules, r.RepoID, commit, cfg.Policies.Dir); err != nil {
			return unevaluated(e, r, err)
		}
	}
	d, err := e.askedLately(digest([]any{rules.digest(), in}), func() (gate.Decision, error) {
		in.Now = time.Now()
		return e.judgeApply(e.life, rules, in)
	})
	if err != nil {
		return unevaluated(e, r, err)
	}
	var out []report.Requirement
	for _, q := range d.Requirements {
		out = append(out, report.Requirement(q))
	}
	return append(out, v.newPlan(p)...)
}

// newPlan is asked for where an apply would refuse the plan whoever approved it: because it is used up, or has another
// effect than the one that people were asked to look at.
func (v view) newPlan(p store.Plan) []report.Requirement {
	x := v.execution(p.ID)
	usable := x.ID == "" && sameEffect(v, p) == nil || x.ID != "" && (x.Applied() || !x.State.Done())
	if usable || p.State != change.RunPassed && p.State != change.RunFailed {
		return nil
	}
	return []report.Requirement{{Text: "A new plan, because this one cannot be applied any more: comment `/plan`"}}
}

// askAgain is how long an answer of the apply gate is shown. One report needs it several times, every
// page that is looked at does, and each question is a process.
const askAgain = 30 * time.Second

type shownAnswer struct {
	decision gate.Decision
	at       time.Time
}

// askedLately asks once for all who ask the same at the same time, and remembers the answer for a while.
func (e *Engine) askedLately(question string, ask func() (gate.Decision, error)) (gate.Decision, error) {
	d, err, _ := e.asking.Do(question, func() (any, error) {
		e.mu.Lock()
		known := e.asked[question]
		e.mu.Unlock()
		if time.Since(known.at) < askAgain {
			return known.decision, nil
		}
		d, err := ask()
		if err != nil {
			return gate.Decision{}, err
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		maps.DeleteFunc(e.asked, func(_ string, a shownAnswer) bool { return time.Since(a.at) >= askAgain })
		e.asked[question] = shownAnswer{d, time.Now()}
		return d, nil
	})
	return d.(gate.Decision), err
}

// unevaluated keeps the plan from looking ready when nobody knows what is missing.
func unevaluated(e *Engine, r store.Run, err error) []report.Requirement {
	e.cfg.Logger.Warn("ask the apply gate what is missing", "run", r.ID, "error", err)
	return []report.Requirement{{Text: "The policies for applying can be evaluated"}}
}

// commitsOf are the commits whose policies a run was judged by.
func commitsOf(r store.Run) []string {
	if r.ProtectedSHA == "" {
		return []string{r.BaseSHA}
	}
	return []string{r.BaseSHA, r.ProtectedSHA}
}

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
	"github.com/tollgate/tollgate/internal/gate"
	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/project"
	"github.com/tollgate/tollgate/internal/report"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/workspace"
)

// Reporting is level-triggered: what GitHub should show is rendered from the store, compared with
// what it was last told, and only the difference is sent. So a report may be asked for at any
// time, twice, or again after a crash or an outage, and ends in the same.

// reportSoon reports in the background.
func (e *Engine) reportSoon(key pullKey) {
	e.wg.Go(func() { _ = e.survive(func() error { e.reportNow(e.life, key); return nil }) })
}

// reportNow reports, and leaves it to a durable task if GitHub does not take it.
func (e *Engine) reportNow(ctx context.Context, key pullKey) {
	err := e.report(ctx, key)
	if err == nil || e.life.Err() != nil {
		return
	}
	e.cfg.Logger.Warn("report to GitHub; it will be tried again", "pull", key.Number, "error", err)
	if err := e.put(context.WithoutCancel(ctx), taskReport, key, time.Now().Add(e.cfg.Pace.ReportPause)); err != nil {
		e.cfg.Logger.Error("keep the report for later", "pull", key.Number, "error", err)
	}
}

// report tells GitHub what it does not know yet of one pull request.
func (e *Engine) report(ctx context.Context, key pullKey) error {
	unlock := e.reports.lock(key)
	defer unlock()
	v, err := e.view(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return nil // nothing is known of it, so there is nothing to show
	}
	if err != nil {
		return err
	}
	var g errgroup.Group // one that fails must not stop the others
	g.SetLimit(8)
	for _, c := range e.checks(v) {
		g.Go(func() error { return e.sendCheck(ctx, v, c) })
	}
	g.Go(func() error { return e.sendComment(ctx, v) })
	for _, x := range v.executions {
		g.Go(func() error { return e.showDeployment(ctx, v, x) })
	}
	return g.Wait()
}

// checks are all checks that GitHub should show: those of the newest run, those of older runs
// that it still shows as unfinished, and those of the applies.
func (e *Engine) checks(v view) []change.Check {
	var out []change.Check
	for i, r := range v.runs {
		current := i == 0
		if current || v.goesOn(externalID(v, r, report.GateName)) {
			out = append(out, report.GateCheck(e.pullReport(v, r, current)))
		}
		for _, p := range v.plans[r.ID] {
			if current || v.goesOn(externalID(v, r, report.PlanPrefix+p.Project.Name)) {
				out = append(out, report.PlanCheck(e.planReport(v, r, p)))
			}
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

// goesOn reports whether GitHub knows the check and was last told that it is not completed.
func (v view) goesOn(externalID string) bool {
	c, ok := v.checks[externalID]
	return ok && !strings.Contains(c.Sent, completed)
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
	state := p.State
	if r.State.Done() && !state.Done() {
		state = r.State // the run ended before this plan did
	}
	elapsed := time.Duration(0)
	if !p.FinishedAt.IsZero() {
		elapsed = p.FinishedAt.Sub(p.StartedAt)
	}
	pull := v.pull.Pull
	pull.HeadSHA = r.HeadSHA
	return report.Plan{Pull: pull, Project: p.Project, State: state, Refused: p.Refused, HeadSHA: r.HeadSHA, BaseSHA: r.BaseSHA,
		Summary: p.Summary, Findings: p.Findings, Judged: p.Judged, Text: p.Text, Fault: p.Fault, Excerpt: p.Excerpt,
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
	for _, plans := range v.plans {
		for _, p := range plans {
			if p.ID == x.PlanID {
				a.Summary = p.Summary
			}
		}
	}
	if x.State.Done() {
		a.Tail, a.Elapsed = e.tail(x.ID), x.FinishedAt.Sub(x.CreatedAt)
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

// sendCheck creates or updates one check if it differs from what GitHub was last told. The row is
// written before the first request, so that after a crash the check is looked for, not made twice.
func (e *Engine) sendCheck(ctx context.Context, v view, c change.Check) error {
	sent := digest(c)
	if c.Status == "completed" {
		sent += completed
	}
	if len(c.Annotations) > 0 {
		sent += annotated
	}
	row, known := v.checks[c.ExternalID]
	if known && row.Sent == sent {
		return nil
	}
	repo := v.pull.Repo
	put := func(id int64, sent string) error {
		row = store.Check{ExternalID: c.ExternalID, RepoID: repo.ID, Number: v.pull.Number, HeadSHA: c.HeadSHA, Name: c.Name, GitHubID: id, Sent: sent}
		return e.cfg.Store.Write(ctx, func(tx *store.Tx) error { return tx.PutCheck(ctx, row) })
	}
	var err error
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
	if err != nil {
		// How much of it arrived is unknown: the next attempt looks.
		return errors.Join(fmt.Errorf("report check %q: %w", c.Name, err), put(id, ""))
	}
	e.cfg.At(ReportAfter)
	return put(id, sent)
}

// sendComment keeps the one summary comment up to date.
func (e *Engine) sendComment(ctx context.Context, v view) error {
	if len(v.runs) == 0 && v.pull.Note == nil {
		return nil
	}
	body := report.Comment(e.pullReport(v, v.newest(), true))
	sent := digest(body)
	if sent == v.pull.CommentDigest {
		return nil
	}
	repo, id, err := v.pull.Repo, v.pull.CommentID, error(nil)
	if id == 0 && v.pull.CommentDigest != "" { // an attempt whose outcome is unknown
		id, _, err = e.cfg.GitHub.FindComment(ctx, repo, v.pull.Number, report.Marker)
	}
	set := func(id int64, sent string) error {
		return e.cfg.Store.Write(ctx, func(tx *store.Tx) error { return tx.SetComment(ctx, repo.ID, v.pull.Number, id, sent) })
	}
	if err == nil && id == 0 {
		if err = set(0, "sending"); err == nil {
			id, err = e.cfg.GitHub.CreateComment(ctx, repo, v.pull.Number, body)
		}
	} else if err == nil {
		if err = e.cfg.GitHub.UpdateComment(ctx, repo, id, body); errors.Is(err, github.ErrNotFound) {
			id, err = e.cfg.GitHub.CreateComment(ctx, repo, v.pull.Number, body) // somebody deleted it
		}
	}
	if err != nil {
		return fmt.Errorf("report comment: %w", err)
	}
	return set(id, sent)
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
	return errors.Is(err, github.ErrUnavailable) || errors.Is(err, workspace.ErrTemporary) || errors.As(err, &limited) || errors.Is(err, context.DeadlineExceeded)
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
	return out
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

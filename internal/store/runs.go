package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
)

// Run is a row of runs: one attempt to plan one head commit.
type Run struct {
	ID           string
	Seq          int64 // grows with every run
	RepoID       int64
	Number       int
	HeadSHA      string
	GroupSHA     string // of a run of a merge group, which is beside the runs of the pull request itself: HeadSHA again
	BaseRef      string
	BaseSHA      string
	Tree         string // the merge result of head and base
	ProtectedSHA string // the commit of the default branch whose settings hold as well, if the base is another branch
	State        change.RunState
	Reason       string // what asked for it
	Fault        *fault.Error
	PolicyDigest string
	Config       string          // the settings from the base branch, as JSON
	Owner        string          // the server process that works on it
	Presses      int             // buttons that were refused
	Preview      *change.Preview // what the policies of the pull request would change, or nil
	Notices      []change.Notice // what somebody has to look at, about the repository as a whole
	CreatedAt    time.Time
	StartedAt    time.Time
	FinishedAt   time.Time
}

const runColumns = `id, seq, repo_id, number, head_sha, group_sha, base_ref, base_sha, tree, protected_sha, state, reason, fault, policy_digest, config, owner, presses, preview, notices, created_at, started_at, finished_at`

type scanner interface{ Scan(...any) error }

func scanRun(row scanner) (Run, error) {
	var r Run
	var flt, preview, notices string
	var created, started, finished int64
	err := row.Scan(&r.ID, &r.Seq, &r.RepoID, &r.Number, &r.HeadSHA, &r.GroupSHA, &r.BaseRef, &r.BaseSHA, &r.Tree, &r.ProtectedSHA, &r.State, &r.Reason,
		&flt, &r.PolicyDigest, &r.Config, &r.Owner, &r.Presses, &preview, &notices, &created, &started, &finished)
	if err != nil {
		return Run{}, notFound(err)
	}
	r.CreatedAt, r.StartedAt, r.FinishedAt = fromMillis(created), fromMillis(started), fromMillis(finished)
	return r, decode("run", flt, &r.Fault, preview, &r.Preview, notices, &r.Notices)
}

func (tx *Tx) queryRuns(ctx context.Context, where string, args ...any) ([]Run, error) {
	rows, err := tx.SQL.QueryContext(ctx, `select `+runColumns+` from runs `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read runs: %w", err)
	}
	defer rows.Close()
	var out []Run
	for rows.Next() {
		r, err := scanRun(rows)
		if err != nil {
			return nil, fmt.Errorf("read runs: %w", err)
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// AddRun inserts a queued run and fills in its Seq and times. ErrConflict means that the pull
// request has an active run already.
func (tx *Tx) AddRun(ctx context.Context, r *Run) error {
	r.State, r.CreatedAt = change.RunQueued, tx.Now
	err := tx.SQL.QueryRowContext(ctx, `select coalesce(max(seq), 0) + 1 from runs`).Scan(&r.Seq)
	if err != nil {
		return fmt.Errorf("number the run: %w", err)
	}
	_, err = exec(ctx, tx, `insert into runs (id, seq, repo_id, number, head_sha, group_sha, base_ref, base_sha, state, reason, owner, created_at)
		values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.ID, r.Seq, r.RepoID, r.Number, r.HeadSHA, r.GroupSHA, r.BaseRef, r.BaseSHA, r.State, r.Reason, r.Owner, millis(r.CreatedAt))
	return err
}

// MoveRun takes the run to another state if the state machine allows it from the state that the
// database has now; otherwise nothing is written.
func (tx *Tx) MoveRun(ctx context.Context, id string, to change.RunState, flt *fault.Error) error {
	r, err := tx.Run(ctx, id)
	if err != nil {
		return err
	}
	if err := change.CheckRun(r.State, to); err != nil {
		return err
	}
	set := `update runs set state = ?, fault = ?, `
	if to.Done() {
		set += `finished_at = ?`
	} else {
		set += `started_at = ?`
	}
	return one(ctx, tx, set+` where id = ?`, to, faultJSON(flt), millis(tx.Now), id)
}

// SetRunInputs records what the run is made from, and forgets the plans of an attempt at it that
// was interrupted.
func (tx *Tx) SetRunInputs(ctx context.Context, r Run) error {
	if _, err := exec(ctx, tx, `delete from plans where run_id = ?`, r.ID); err != nil {
		return err
	}
	return one(ctx, tx, `update runs set base_sha = ?, tree = ?, protected_sha = ?, policy_digest = ?, config = ? where id = ?`,
		r.BaseSHA, r.Tree, r.ProtectedSHA, r.PolicyDigest, r.Config, r.ID)
}

// SetPreview records what the policies of the pull request would change.
func (tx *Tx) SetPreview(ctx context.Context, id string, p *change.Preview) error {
	return one(ctx, tx, `update runs set preview = ? where id = ?`, toJSON(p), id)
}

// SetNotices records what somebody has to look at, about the repository as a whole.
func (tx *Tx) SetNotices(ctx context.Context, id string, notices []change.Notice) error {
	return one(ctx, tx, `update runs set notices = ? where id = ?`, toJSON(notices), id)
}

// BeginAttempt makes a server process the owner of the run, and returns which attempt at it begins.
func (tx *Tx) BeginAttempt(ctx context.Context, id, owner string) (attempt int, err error) {
	err = tx.SQL.QueryRowContext(ctx, `update runs set owner = ?, attempts = attempts + 1 where id = ? returning attempts`, owner, id).Scan(&attempt)
	return attempt, notFound(err)
}

// ForgetAttempt takes an attempt back that ended through no fault of the run.
func (tx *Tx) ForgetAttempt(ctx context.Context, id string) error {
	return one(ctx, tx, `update runs set attempts = attempts - 1 where id = ?`, id)
}

// CountPress counts a button that was refused on the newest run, if it has ended.
func (tx *Tx) CountPress(ctx context.Context, repoID int64, number int) error {
	_, err := exec(ctx, tx, `update runs set presses = presses + 1 where seq = (select max(seq) from runs where repo_id = ? and number = ? and group_sha = '')
		and state not in ('queued', 'running')`, repoID, number)
	return err
}

// Run returns one run, or ErrNotFound.
func (tx *Tx) Run(ctx context.Context, id string) (Run, error) {
	return scanRun(tx.SQL.QueryRowContext(ctx, `select `+runColumns+` from runs where id = ?`, id))
}

// LatestRun returns the newest run of a pull request itself, or ErrNotFound.
func (tx *Tx) LatestRun(ctx context.Context, repoID int64, number int) (Run, error) {
	return scanRun(tx.SQL.QueryRowContext(ctx, `select `+runColumns+` from runs where repo_id = ? and number = ? and group_sha = '' order by seq desc limit 1`, repoID, number))
}

// RunsOf returns the runs of a pull request itself, newest first.
func (tx *Tx) RunsOf(ctx context.Context, repoID int64, number, limit int) ([]Run, error) {
	return tx.queryRuns(ctx, `where repo_id = ? and number = ? and group_sha = '' order by seq desc limit ?`, repoID, number, limit)
}

// GroupRuns returns the newest runs of merge groups that a pull request was in, newest first.
func (tx *Tx) GroupRuns(ctx context.Context, repoID int64, number, limit int) ([]Run, error) {
	return tx.queryRuns(ctx, `where repo_id = ? and number = ? and group_sha <> '' order by seq desc limit ?`, repoID, number, limit)
}

// GroupRun returns the run of a merge group, or ErrNotFound.
func (tx *Tx) GroupRun(ctx context.Context, repoID int64, number int, groupSHA string) (Run, error) {
	return scanRun(tx.SQL.QueryRowContext(ctx, `select `+runColumns+` from runs where repo_id = ? and number = ? and group_sha = ? order by seq desc limit 1`, repoID, number, groupSHA))
}

// RunsUnheard returns the runs of a pull request of whose commits GitHub has no check, newest first.
func (tx *Tx) RunsUnheard(ctx context.Context, repoID int64, number int) ([]Run, error) {
	return tx.queryRuns(ctx, `where repo_id = ?1 and number = ?2 and seq in (select max(seq) from runs where repo_id = ?1 and number = ?2 and group_sha = ''
		and head_sha not in (select head_sha from checks where repo_id = ?1 and number = ?2) group by head_sha) order by seq desc`, repoID, number)
}

// RecentRuns returns the newest runs of all pull requests, newest first.
func (tx *Tx) RecentRuns(ctx context.Context, limit int) ([]Run, error) {
	return tx.queryRuns(ctx, `order by seq desc limit ?`, limit)
}

// ActiveRuns returns the runs that have not ended.
func (tx *Tx) ActiveRuns(ctx context.Context) ([]Run, error) {
	return tx.queryRuns(ctx, `where state in ('queued', 'running') order by seq`)
}

// Plan is a row of plans: the plan of one project in one run.
type Plan struct {
	ID           string
	RunID        string
	Project      change.Project
	State        change.RunState
	Refused      bool // its code, before anything ran: there is no plan
	Fault        *fault.Error
	Excerpt      string // Terraform's own diagnostics
	Text         string // Terraform's description of the plan
	Summary      change.PlanSummary
	Findings     []change.Finding // without passes
	Notices      []change.Notice  // about the waivers that it needs
	Waivers      []string         // those that matched something, whether they hold or not
	PolicyDigest string
	Judged       int    // resources judged
	Artifacts    string // references to the stored plan, as JSON
	StateKey     string // identity of the Terraform state: what an apply locks
	StartedAt    time.Time
	FinishedAt   time.Time
	ShownAt      time.Time // FinishedAt by GitHub's clock, for comparison with its times; zero in rows of before
	DiscardedAt  time.Time // what was stored of it is given up; see DiscardPlans
	ExpiredAt    time.Time // nothing is kept of it but its row
}

const planColumns = `id, run_id, project, state, fault, excerpt, text, summary, findings, notices, waivers, policy_digest, judged, artifacts, state_key, started_at, finished_at, refused, shown_at, discarded_at, expired_at`

func scanPlan(row scanner) (Plan, error) {
	var p Plan
	var project, flt, summary, findings, notices, waivers string
	var started, finished, shown, discarded, expired int64
	err := row.Scan(&p.ID, &p.RunID, &project, &p.State, &flt, &p.Excerpt, &p.Text, &summary, &findings, &notices, &waivers,
		&p.PolicyDigest, &p.Judged, &p.Artifacts, &p.StateKey, &started, &finished, &p.Refused, &shown, &discarded, &expired)
	if err != nil {
		return Plan{}, notFound(err)
	}
	p.StartedAt, p.FinishedAt, p.ShownAt = fromMillis(started), fromMillis(finished), fromMillis(shown)
	p.DiscardedAt, p.ExpiredAt = fromMillis(discarded), fromMillis(expired)
	return p, decode("plan", project, &p.Project, flt, &p.Fault, summary, &p.Summary, findings, &p.Findings,
		notices, &p.Notices, waivers, &p.Waivers)
}

// PutPlan writes a plan, new or known.
func (tx *Tx) PutPlan(ctx context.Context, p Plan) error {
	_, err := exec(ctx, tx, `insert into plans (id, run_id, name, project, state, fault, excerpt, text, summary, findings,
		notices, waivers, policy_digest, judged, artifacts, state_key, started_at, finished_at, refused, shown_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		on conflict (id) do update set state = excluded.state, fault = excluded.fault, excerpt = excluded.excerpt, text = excluded.text,
		summary = excluded.summary, findings = excluded.findings, notices = excluded.notices, waivers = excluded.waivers, policy_digest = excluded.policy_digest, judged = excluded.judged,
		artifacts = excluded.artifacts, state_key = excluded.state_key, started_at = excluded.started_at, finished_at = excluded.finished_at, refused = excluded.refused, shown_at = excluded.shown_at`,
		p.ID, p.RunID, p.Project.Name, toJSON(p.Project), p.State, faultJSON(p.Fault), p.Excerpt, p.Text, toJSON(p.Summary), toJSON(p.Findings),
		toJSON(p.Notices), toJSON(p.Waivers), p.PolicyDigest, p.Judged, p.Artifacts, p.StateKey, millis(p.StartedAt), millis(p.FinishedAt), p.Refused, millis(p.ShownAt))
	return err
}

// LatestPlans returns the newest finished plan of each project of a repository, by name and without
// texts and findings, and the runs that they belong to.
func (tx *Tx) LatestPlans(ctx context.Context, repoID int64) ([]Plan, []Run, error) {
	runs, err := tx.queryRuns(ctx, `where seq in (select max(r.seq) from plans p join runs r on r.id = p.run_id
		where r.repo_id = ? and r.group_sha = '' and p.state in ('passed', 'failed') and p.artifacts <> '{}' and p.artifacts <> '' and p.discarded_at = 0 group by p.name) order by seq`, repoID)
	if err != nil {
		return nil, nil, err
	}
	newest := map[string]int{}
	var plans []Plan
	var of []Run
	for _, r := range runs {
		found, err := tx.PlansOf(ctx, r.ID, false)
		if err != nil {
			return nil, nil, err
		}
		for _, p := range found {
			if p.Artifacts == "" || p.Artifacts == "{}" || !p.DiscardedAt.IsZero() || p.State != change.RunPassed && p.State != change.RunFailed {
				continue
			}
			if i, ok := newest[p.Project.Name]; ok {
				plans[i], of[i] = p, r // runs come oldest first
				continue
			}
			newest[p.Project.Name] = len(plans)
			plans, of = append(plans, p), append(of, r)
		}
	}
	return plans, of, nil
}

// Plan returns one plan, or ErrNotFound.
func (tx *Tx) Plan(ctx context.Context, id string) (Plan, error) {
	return scanPlan(tx.SQL.QueryRowContext(ctx, `select `+planColumns+` from plans where id = ?`, id))
}

// PlansOf returns the plans of a run by project name, whole or without their texts and findings.
func (tx *Tx) PlansOf(ctx context.Context, runID string, whole bool) ([]Plan, error) {
	columns := planColumns
	if !whole {
		columns = withoutTexts()
	}
	return tx.queryPlans(ctx, columns, `where run_id = ? order by name`, runID)
}

// withoutTexts are the columns of a plan without its texts and findings.
func withoutTexts() string {
	return strings.NewReplacer("excerpt, text,", "'', '',", "findings,", "'',").Replace(planColumns)
}

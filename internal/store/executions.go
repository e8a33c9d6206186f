package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
)

// Cause says for programs why an execution changed nothing.
type Cause string

// CauseStale means that the state had moved since the plan was made, so Terraform refused it;
// CauseLocked that somebody else held the state for longer than was worth waiting.
const (
	CauseStale  Cause = "stale"
	CauseLocked Cause = "locked"
)

// Execution is a row of executions: one consumption of one plan.
type Execution struct {
	change.Execution
	RepoID          int64
	Number          int
	HeadSHA         string
	StateKey        string
	Fault           *fault.Error
	Cause           Cause
	Fence           int64  // grows with every claim of the state: an older one may not start
	ReleasedBy      string // who unfroze the project after an unknown outcome, or empty
	Resolved        change.Resolved
	Evidence        *change.Evidence // what a plan showed after an unknown outcome, or nil
	ErroredState    string           // reference to the state that Terraform could not save, as JSON, or empty
	Deployment      int64            // GitHub's id, 0 until created
	DeploymentState string           // as last sent
	Proof           *change.Proof    // what a second plan showed after the apply, or nil
	Proofs          int              // how often the result was looked at; above 0, Terraform has ended well
	Ledger          Head             // the newest row of the ledger about it
	CreatedAt       time.Time
	FinishedAt      time.Time
	ExpiredAt       time.Time // nothing is kept of it but its row
}

const execColumns = `id, plan_id, repo_id, number, head_sha, commit_sha, project, state_key, state, trigger, actor, fault, cause, released_by, deployment, deployment_state, proof, proofs, fence, resolved, evidence, errored_state, ledger_seq, ledger_hash, created_at, finished_at, expired_at`

// Applied reports whether all of the plan is known to be there: Terraform said so, or a person did.
func (e Execution) Applied() bool {
	return e.State == change.ExecApplied || e.Resolved.As == change.ResolvedApplied
}

// Frozen reports whether a person has to find out how the execution ended.
func (e Execution) Frozen() bool { return e.State == change.ExecUnknown && e.ReleasedBy == "" }

func scanExecution(row scanner) (Execution, error) {
	var e Execution
	var project, actor, flt, proof, resolved, evidence string
	var created, finished, expired int64
	err := row.Scan(&e.ID, &e.PlanID, &e.RepoID, &e.Number, &e.HeadSHA, &e.CommitSHA, &project, &e.StateKey, &e.State, &e.Trigger,
		&actor, &flt, &e.Cause, &e.ReleasedBy, &e.Deployment, &e.DeploymentState, &proof, &e.Proofs, &e.Fence, &resolved, &evidence, &e.ErroredState, &e.Ledger.Seq, &e.Ledger.Hash, &created, &finished, &expired)
	if err != nil {
		return Execution{}, notFound(err)
	}
	e.CreatedAt, e.FinishedAt, e.ExpiredAt = fromMillis(created), fromMillis(finished), fromMillis(expired)
	return e, decode("execution", project, &e.Project, actor, &e.Actor, flt, &e.Fault, proof, &e.Proof, resolved, &e.Resolved, evidence, &e.Evidence)
}

func (tx *Tx) queryExecutions(ctx context.Context, where string, args ...any) ([]Execution, error) {
	rows, err := tx.SQL.QueryContext(ctx, `select `+execColumns+` from executions `+where+` order by created_at, id`, args...)
	if err != nil {
		return nil, fmt.Errorf("read executions: %w", err)
	}
	defer rows.Close()
	var out []Execution
	for rows.Next() {
		e, err := scanExecution(rows)
		if err != nil {
			return nil, fmt.Errorf("read executions: %w", err)
		}
		out = append(out, e)
	}
	return out, rows.Err()
}

// Claim inserts an execution as claimed: the plan is consumed and the state locked from the
// commit on. ErrConflict means that the plan was consumed before or that the state is locked. The
// execution gets a fence that is greater than the one it brings and than all before it.
func (tx *Tx) Claim(ctx context.Context, e *Execution) error {
	e.State, e.CreatedAt = change.ExecClaimed, tx.Now
	err := tx.SQL.QueryRowContext(ctx, `insert into fences (state_key, token) values (?, ?)
		on conflict (state_key) do update set token = max(token + 1, excluded.token) returning token`, e.StateKey, e.Fence+1).Scan(&e.Fence)
	if err != nil {
		return fmt.Errorf("raise the fence: %w", err)
	}
	return tx.addExecution(ctx, *e)
}

func (tx *Tx) addExecution(ctx context.Context, e Execution) error {
	_, err := exec(ctx, tx, `insert into executions (id, plan_id, repo_id, number, head_sha, commit_sha, project, state_key, state, trigger, actor, fault, fence, created_at, finished_at)
		values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		e.ID, e.PlanID, e.RepoID, e.Number, e.HeadSHA, e.CommitSHA, toJSON(e.Project), e.StateKey, e.State, e.Trigger, toJSON(e.Actor), faultJSON(e.Fault), e.Fence,
		millis(e.CreatedAt), millis(e.FinishedAt))
	return err
}

// Rediscover adds an execution that left its traces elsewhere and that this database has lost. How
// it ended is unknown. Its run and its plan may be lost as well; then they are added as ended. ErrConflict
// means that something else holds the state.
func (tx *Tx) Rediscover(ctx context.Context, e Execution, r Run) error {
	if _, err := tx.Plan(ctx, e.PlanID); errors.Is(err, ErrNotFound) {
		if _, err := tx.Run(ctx, r.ID); errors.Is(err, ErrNotFound) {
			_, err = exec(ctx, tx, `insert into runs (id, seq, repo_id, number, head_sha, base_ref, state, reason, fault, created_at, finished_at)
				values (?, coalesce((select max(seq) from runs), 0) + 1, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
				r.ID, r.RepoID, r.Number, r.HeadSHA, r.BaseRef, change.RunErrored, r.Reason, faultJSON(e.Fault), millis(e.CreatedAt), millis(tx.Now))
			if err != nil {
				return err
			}
		}
		err := tx.PutPlan(ctx, Plan{ID: e.PlanID, RunID: r.ID, Project: e.Project, State: change.RunErrored, Fault: e.Fault, StateKey: e.StateKey, FinishedAt: tx.Now})
		if err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	e.State, e.FinishedAt = change.ExecUnknown, tx.Now
	return tx.addExecution(ctx, e)
}

// MoveExecution takes an execution to another state if the state machine allows it.
func (tx *Tx) MoveExecution(ctx context.Context, id string, to change.ExecutionState, flt *fault.Error, cause Cause) error {
	e, err := tx.Execution(ctx, id)
	if err != nil {
		return err
	}
	if err := change.CheckExecution(e.State, to); err != nil {
		return err
	}
	var finished time.Time
	if to.Done() {
		finished = tx.Now
	}
	return one(ctx, tx, `update executions set state = ?, fault = ?, cause = ?, finished_at = ? where id = ?`,
		to, faultJSON(flt), cause, millis(finished), id)
}

// BeginProof counts an attempt to look at the result of an apply that has ended well, and returns
// which one it is.
func (tx *Tx) BeginProof(ctx context.Context, id string) (attempt int, err error) {
	err = tx.SQL.QueryRowContext(ctx, `update executions set proofs = proofs + 1 where id = ? returning proofs`, id).Scan(&attempt)
	return attempt, notFound(err)
}

// SetProof records what a second plan showed after the apply.
func (tx *Tx) SetProof(ctx context.Context, id string, p *change.Proof) error {
	return one(ctx, tx, `update executions set proof = ? where id = ?`, toJSON(p), id)
}

// Resolve records what a person found out about an execution whose outcome is unknown, which unfreezes its
// project. ErrNotFound means that there is nothing to resolve.
func (tx *Tx) Resolve(ctx context.Context, id string, r change.Resolved) error {
	r.At = tx.Now
	return one(ctx, tx, `update executions set released_by = ?, resolved = ? where id = ? and state = 'unknown' and released_by = ''`, r.By.Login, toJSON(r), id)
}

// BeginEvidence counts an attempt to look at what an execution of unknown outcome left, and returns
// which one it is.
func (tx *Tx) BeginEvidence(ctx context.Context, id string) (attempt int, err error) {
	err = tx.SQL.QueryRowContext(ctx, `update executions set evidences = evidences + 1 where id = ? returning evidences`, id).Scan(&attempt)
	return attempt, notFound(err)
}

// SetEvidence records what a plan showed after an unknown outcome.
func (tx *Tx) SetEvidence(ctx context.Context, id string, v *change.Evidence) error {
	return one(ctx, tx, `update executions set evidence = ? where id = ?`, toJSON(v), id)
}

// SetErroredState records where the state is that Terraform could not save.
func (tx *Tx) SetErroredState(ctx context.Context, id, ref string) error {
	return one(ctx, tx, `update executions set errored_state = ? where id = ?`, ref, id)
}

// SetDeployment remembers GitHub's deployment and the state that it was told.
func (tx *Tx) SetDeployment(ctx context.Context, id string, deployment int64, state string) error {
	return one(ctx, tx, `update executions set deployment = ?, deployment_state = ? where id = ?`, deployment, state, id)
}

// Execution returns one execution, or ErrNotFound.
func (tx *Tx) Execution(ctx context.Context, id string) (Execution, error) {
	return scanExecution(tx.SQL.QueryRowContext(ctx, `select `+execColumns+` from executions where id = ?`, id))
}

// ExecutionsOf returns the executions of a pull request, oldest first.
func (tx *Tx) ExecutionsOf(ctx context.Context, repoID int64, number int) ([]Execution, error) {
	return tx.queryExecutions(ctx, `where repo_id = ? and number = ?`, repoID, number)
}

// ActiveExecutions returns the executions that have not ended.
func (tx *Tx) ActiveExecutions(ctx context.Context) ([]Execution, error) {
	return tx.queryExecutions(ctx, `where state in ('claimed', 'running')`)
}

// FrozenExecutions returns the executions whose outcome nobody has resolved yet.
func (tx *Tx) FrozenExecutions(ctx context.Context) ([]Execution, error) {
	return tx.queryExecutions(ctx, `where state = 'unknown' and released_by = ''`)
}

// Holder returns the execution that locks a Terraform state, or ErrNotFound.
func (tx *Tx) Holder(ctx context.Context, stateKey string) (Execution, error) {
	found, err := tx.queryExecutions(ctx, `where state_key = ? and (state in ('claimed', 'running') or (state = 'unknown' and released_by = ''))`, stateKey)
	if err != nil {
		return Execution{}, err
	}
	if len(found) == 0 {
		return Execution{}, ErrNotFound
	}
	return found[0], nil
}

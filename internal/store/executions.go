package store

import (
	"context"
	"fmt"
	"time"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
)

// Cause says for programs why an execution changed nothing.
type Cause string

// CauseStale means that the state had moved since the plan was made, so Terraform refused it.
const CauseStale Cause = "stale"

// Execution is a row of executions: one consumption of one plan.
type Execution struct {
	change.Execution
	RepoID          int64
	Number          int
	HeadSHA         string
	StateKey        string
	Fault           *fault.Error
	Cause           Cause
	ReleasedBy      string        // who unfroze the project after an unknown outcome, or empty
	Deployment      int64         // GitHub's id, 0 until created
	DeploymentState string        // as last sent
	Proof           *change.Proof // what a second plan showed after the apply, or nil
	Proofs          int           // how often the result was looked at; above 0, Terraform has ended well
	CreatedAt       time.Time
	FinishedAt      time.Time
}

const execColumns = `id, plan_id, repo_id, number, head_sha, commit_sha, project, state_key, state, trigger, actor, fault, cause, released_by, deployment, deployment_state, proof, proofs, created_at, finished_at`

func scanExecution(row scanner) (Execution, error) {
	var e Execution
	var project, actor, flt, proof string
	var created, finished int64
	err := row.Scan(&e.ID, &e.PlanID, &e.RepoID, &e.Number, &e.HeadSHA, &e.CommitSHA, &project, &e.StateKey, &e.State, &e.Trigger,
		&actor, &flt, &e.Cause, &e.ReleasedBy, &e.Deployment, &e.DeploymentState, &proof, &e.Proofs, &created, &finished)
	if err != nil {
		return Execution{}, notFound(err)
	}
	e.CreatedAt, e.FinishedAt = fromMillis(created), fromMillis(finished)
	return e, decode("execution", project, &e.Project, actor, &e.Actor, flt, &e.Fault, proof, &e.Proof)
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
// commit on. ErrConflict means that the plan was consumed before or that the state is locked.
func (tx *Tx) Claim(ctx context.Context, e *Execution) error {
	e.State, e.CreatedAt = change.ExecClaimed, tx.Now
	_, err := exec(ctx, tx, `insert into executions (id, plan_id, repo_id, number, head_sha, commit_sha, project, state_key, state, trigger, actor, created_at)
		values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		e.ID, e.PlanID, e.RepoID, e.Number, e.HeadSHA, e.CommitSHA, toJSON(e.Project), e.StateKey, e.State, e.Trigger, toJSON(e.Actor), millis(e.CreatedAt))
	return err
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

// Release unfreezes the project of an execution whose outcome is unknown.
func (tx *Tx) Release(ctx context.Context, id, by string) error {
	return one(ctx, tx, `update executions set released_by = ? where id = ? and state = 'unknown' and released_by = ''`, by, id)
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

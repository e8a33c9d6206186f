package store

import (
	"context"
	"fmt"
	"time"
)

// DiscardPlans gives up what is stored of the plans of a pull request, except of those that were consumed.
func (tx *Tx) DiscardPlans(ctx context.Context, repoID int64, number int) error {
	_, err := exec(ctx, tx, `update plans set discarded_at = ? where discarded_at = 0 and artifacts not in ('', '{}')
		and run_id in (select id from runs where repo_id = ? and number = ?) and id not in (select plan_id from executions)`, millis(tx.Now), repoID, number)
	return err
}

// DiscardedPlans returns the plans that were given up and of which something is still stored.
func (tx *Tx) DiscardedPlans(ctx context.Context) ([]Plan, error) {
	return tx.queryPlans(ctx, withoutTexts(), `where discarded_at > 0 and artifacts not in ('', '{}')`)
}

// ForgetArtifacts notes that nothing is stored of a plan any more.
func (tx *Tx) ForgetArtifacts(ctx context.Context, id string) error {
	return one(ctx, tx, `update plans set artifacts = '', discarded_at = iif(discarded_at > 0, discarded_at, ?) where id = ?`, millis(tx.Now), id)
}

// PlansBefore returns up to so many of the plans that ended before a time, have not expired, and of which no apply is
// under way or has an end that nobody knows.
func (tx *Tx) PlansBefore(ctx context.Context, before time.Time, limit int) ([]Plan, error) {
	return tx.queryPlans(ctx, withoutTexts(), `where expired_at = 0 and finished_at > 0 and finished_at < ? and id not in (select plan_id from executions
		where state in ('claimed', 'running') or state = 'unknown' and released_by = '') order by finished_at limit ?`, millis(before), limit)
}

// ExecutionsBefore is PlansBefore for executions.
func (tx *Tx) ExecutionsBefore(ctx context.Context, before time.Time) ([]Execution, error) {
	return tx.queryExecutions(ctx, `where expired_at = 0 and finished_at > 0 and finished_at < ? and not (state = 'unknown' and released_by = '')`, millis(before))
}

// ExpirePlan notes that of a plan nothing is kept but its row.
func (tx *Tx) ExpirePlan(ctx context.Context, id string) error {
	if err := tx.ForgetArtifacts(ctx, id); err != nil {
		return err
	}
	return one(ctx, tx, `update plans set expired_at = ? where id = ?`, millis(tx.Now), id)
}

// ExpireExecution is ExpirePlan for an execution.
func (tx *Tx) ExpireExecution(ctx context.Context, id string) error {
	return one(ctx, tx, `update executions set expired_at = ?, errored_state = '' where id = ?`, millis(tx.Now), id)
}

func (tx *Tx) queryPlans(ctx context.Context, columns, where string, args ...any) ([]Plan, error) {
	rows, err := tx.SQL.QueryContext(ctx, `select `+columns+` from plans `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read plans: %w", err)
	}
	defer rows.Close()
	var out []Plan
	for rows.Next() {
		p, err := scanPlan(rows)
		if err != nil {
			return nil, fmt.Errorf("read plans: %w", err)
		}
		out = append(out, p)
	}
	return out, rows.Err()
}

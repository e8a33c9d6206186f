package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Branch is a row of branches: a branch that pull requests go to, or that the settings of others
// are read from.
type Branch struct {
	MovedSince time.Time // the first move that is not dealt with, or zero
	MovedAt    time.Time // the last move
}

// Guarded reports whether a pull request is known that goes to the branch or takes settings from it.
func (tx *Tx) Guarded(ctx context.Context, repoID int64, ref string) (bool, error) {
	var n int
	err := tx.SQL.QueryRowContext(ctx, `select count(*) from pulls where repo_id = ?
		and (json_extract(facts, '$.base_ref') = ? or json_extract(facts, '$.default_ref') = ?)`, repoID, ref, ref).Scan(&n)
	return n > 0, err
}

// Branch returns what is known of a branch; the zero value if it has never moved.
func (tx *Tx) Branch(ctx context.Context, repoID int64, ref string) (Branch, error) {
	var since, at int64
	err := tx.SQL.QueryRowContext(ctx, `select moved_since, moved_at from branches where repo_id = ? and ref = ?`, repoID, ref).Scan(&since, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return Branch{}, nil
	}
	return Branch{fromMillis(since), fromMillis(at)}, err
}

// MoveBranch notes that a branch has moved.
func (tx *Tx) MoveBranch(ctx context.Context, repoID int64, ref string) error {
	_, err := exec(ctx, tx, `insert into branches (repo_id, ref, moved_since, moved_at) values (?, ?, ?, ?) on conflict (repo_id, ref) do update
		set moved_since = iif(moved_since = 0, excluded.moved_since, moved_since), moved_at = excluded.moved_at`, repoID, ref, millis(tx.Now), millis(tx.Now))
	return err
}

// SettleBranch notes that the moves up to this one have been dealt with.
func (tx *Tx) SettleBranch(ctx context.Context, repoID int64, ref string, moved time.Time) error {
	_, err := exec(ctx, tx, `update branches set moved_since = 0 where repo_id = ? and ref = ? and moved_at = ?`, repoID, ref, millis(moved))
	return err
}

// PullsUnder returns the numbers of the open pull requests that go to a branch or take settings from it.
func (tx *Tx) PullsUnder(ctx context.Context, repoID int64, ref string) ([]int, error) {
	return tx.numbers(ctx, `select number from pulls where repo_id = ? and json_extract(facts, '$.open')
		and (json_extract(facts, '$.base_ref') = ? or json_extract(facts, '$.default_ref') = ?) order by number`, repoID, ref, ref)
}

func (tx *Tx) numbers(ctx context.Context, query string, args ...any) (out []int, err error) {
	rows, err := tx.SQL.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read pull requests: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var n int
		if err := rows.Scan(&n); err != nil {
			return nil, fmt.Errorf("read pull requests: %w", err)
		}
		out = append(out, n)
	}
	return out, rows.Err()
}

// PullRef names a pull request.
type PullRef struct {
	RepoID int64
	Number int
}

// PullsOfState returns the open pull requests whose newest run has a finished plan of the state that
// was begun before the given time.
func (tx *Tx) PullsOfState(ctx context.Context, stateKey string, before time.Time) (out []PullRef, err error) {
	rows, err := tx.SQL.QueryContext(ctx, `select distinct r.repo_id, r.number from plans p join runs r on r.id = p.run_id
		join pulls l on l.repo_id = r.repo_id and l.number = r.number
		where p.state_key = ? and p.started_at < ? and p.state in ('passed', 'failed') and json_extract(l.facts, '$.open')
		and r.seq = (select max(seq) from runs n where n.repo_id = r.repo_id and n.number = r.number and n.group_sha = '') order by 1, 2`, stateKey, millis(before))
	if err != nil {
		return nil, fmt.Errorf("read pull requests: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var p PullRef
		if err := rows.Scan(&p.RepoID, &p.Number); err != nil {
			return nil, fmt.Errorf("read pull requests: %w", err)
		}
		out = append(out, p)
	}
	return out, rows.Err()
}

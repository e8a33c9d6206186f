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
	SHA        string    // the head that was dealt with last
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
	var b Branch
	err := tx.SQL.QueryRowContext(ctx, `select sha, moved_since, moved_at from branches where repo_id = ? and ref = ?`, repoID, ref).Scan(&b.SHA, &since, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return Branch{}, nil
	}
	b.MovedSince, b.MovedAt = fromMillis(since), fromMillis(at)
	return b, err
}

// MoveBranch notes that a branch has moved.
func (tx *Tx) MoveBranch(ctx context.Context, repoID int64, ref string) error {
	_, err := exec(ctx, tx, `insert into branches (repo_id, ref, moved_since, moved_at) values (?, ?, ?, ?) on conflict (repo_id, ref) do update
		set moved_since = iif(moved_since = 0, excluded.moved_since, moved_since), moved_at = excluded.moved_at`, repoID, ref, millis(tx.Now), millis(tx.Now))
	return err
}

// SettleBranch notes that the moves up to this one, which led to this head, have been dealt with.
func (tx *Tx) SettleBranch(ctx context.Context, repoID int64, ref, sha string, moved time.Time) error {
	return one(ctx, tx, `update branches set sha = ?, moved_since = iif(moved_at = ?, 0, moved_since) where repo_id = ? and ref = ?`, sha, millis(moved), repoID, ref)
}

// GuardedBranches returns the branches that open pull requests go to or take settings from, and those
// that have moved before.
func (tx *Tx) GuardedBranches(ctx context.Context, repoID int64) (out []string, err error) {
	rows, err := tx.SQL.QueryContext(ctx, `select json_extract(facts, '$.base_ref') from pulls where repo_id = ?1 and json_extract(facts, '$.open')
		union select json_extract(facts, '$.default_ref') from pulls where repo_id = ?1 and json_extract(facts, '$.open')
		union select ref from branches where repo_id = ?1 order by 1`, repoID)
	if err != nil {
		return nil, fmt.Errorf("read branches: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var ref string
		if err := rows.Scan(&ref); err != nil {
			return nil, fmt.Errorf("read branches: %w", err)
		}
		if ref != "" {
			out = append(out, ref)
		}
	}
	return out, rows.Err()
}

// Reconciled says how far a repository was compared with GitHub.
type Reconciled struct {
	PullsAt  time.Time // pull requests that changed before need no look; zero: none was ever looked at
	PushedAt time.Time // the last push that was looked into
}

// Reconciled returns how far a repository was compared with GitHub.
func (tx *Tx) Reconciled(ctx context.Context, repoID int64) (Reconciled, error) {
	var pulls, pushed int64
	err := tx.SQL.QueryRowContext(ctx, `select pulls_at, pushed_at from reconciled where repo_id = ?`, repoID).Scan(&pulls, &pushed)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return Reconciled{fromMillis(pulls), fromMillis(pushed)}, err
}

// SetReconciled notes how far a repository was compared with GitHub.
func (tx *Tx) SetReconciled(ctx context.Context, repoID int64, r Reconciled) error {
	_, err := exec(ctx, tx, `insert into reconciled (repo_id, pulls_at, pushed_at) values (?, ?, ?)
		on conflict (repo_id) do update set pulls_at = excluded.pulls_at, pushed_at = excluded.pushed_at`, repoID, millis(r.PullsAt), millis(r.PushedAt))
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

// Landing is a commit that came onto a branch.
type Landing struct {
	Seq    int64
	SHA    string
	Number int // the pull request that it came from; 0: none
}

// LandingStart is in place of a pull request where the history of a branch begins.
const LandingStart = -1

// Landing returns a commit of a branch, or ErrNotFound.
func (tx *Tx) Landing(ctx context.Context, repoID int64, ref, sha string) (l Landing, err error) {
	err = tx.SQL.QueryRowContext(ctx, `select seq, sha, number from landings where repo_id = ? and ref = ? and sha = ?`, repoID, ref, sha).Scan(&l.Seq, &l.SHA, &l.Number)
	return l, notFound(err)
}

// LastLanding returns the last commit of a branch, or the zero value.
func (tx *Tx) LastLanding(ctx context.Context, repoID int64, ref string) (l Landing, err error) {
	err = tx.SQL.QueryRowContext(ctx, `select seq, sha, number from landings where repo_id = ? and ref = ? order by seq desc limit 1`, repoID, ref).Scan(&l.Seq, &l.SHA, &l.Number)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return l, err
}

// AddLanding takes down a commit of a branch.
func (tx *Tx) AddLanding(ctx context.Context, repoID int64, ref string, l Landing) error {
	_, err := exec(ctx, tx, `insert into landings (repo_id, ref, seq, sha, number, at) values (?, ?, ?, ?, ?, ?)`, repoID, ref, l.Seq, l.SHA, l.Number, millis(tx.Now))
	return err
}

// CutLandings forgets what came onto a branch after seq.
func (tx *Tx) CutLandings(ctx context.Context, repoID int64, ref string, seq int64) error {
	_, err := exec(ctx, tx, `delete from landings where repo_id = ? and ref = ? and seq > ?`, repoID, ref, seq)
	return err
}

// UnsettledBefore returns the numbers of the pull requests that came onto a branch before seq, not longer
// ago than since, and of which it is not known that what their merges asked for has ended.
func (tx *Tx) UnsettledBefore(ctx context.Context, repoID int64, ref string, seq int64, since time.Time) ([]int, error) {
	return tx.numbers(ctx, `select distinct l.number from landings l left join pulls p on p.repo_id = l.repo_id and p.number = l.number
		where l.repo_id = ? and l.ref = ? and l.seq < ? and l.at > ? and l.number > 0 and coalesce(p.settled_at, 0) = 0 order by 1`, repoID, ref, seq, millis(since))
}

// PullMergedAs returns the number of the pull request that became this commit of the branch, or 0.
func (tx *Tx) PullMergedAs(ctx context.Context, repoID int64, ref, sha string) (int, error) {
	found, err := tx.numbers(ctx, `select number from pulls where repo_id = ? and json_extract(facts, '$.merged')
		and json_extract(facts, '$.base_ref') = ? and json_extract(facts, '$.merge_sha') = ? limit 1`, repoID, ref, sha)
	if err != nil || len(found) == 0 {
		return 0, err
	}
	return found[0], nil
}

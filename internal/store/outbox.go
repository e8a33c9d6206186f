package store

import (
	"context"
	"fmt"
	"time"

	"github.com/tollgate/tollgate/internal/change"
)

// PullKey names a pull request.
type PullKey struct {
	RepoID int64
	Number int
}

// AddUntold remembers that GitHub does not know all of a pull request.
func (tx *Tx) AddUntold(ctx context.Context, k PullKey) error {
	_, err := exec(ctx, tx, `insert into untold (repo_id, number) values (?, ?)
		on conflict (repo_id, number) do update set changes = changes + 1`, k.RepoID, k.Number)
	return err
}

// Untold returns how many changes GitHub may not know of, or ErrNotFound.
func (tx *Tx) Untold(ctx context.Context, k PullKey) (changes int, err error) {
	err = tx.SQL.QueryRowContext(ctx, `select changes from untold where repo_id = ? and number = ?`, k.RepoID, k.Number).Scan(&changes)
	return changes, notFound(err)
}

// SetTold forgets the row, unless there were further changes.
func (tx *Tx) SetTold(ctx context.Context, k PullKey, changes int) error {
	_, err := exec(ctx, tx, `delete from untold where repo_id = ? and number = ? and changes = ?`, k.RepoID, k.Number, changes)
	return err
}

// AllUntold returns the pull requests of which GitHub may not know all: those that are marked, those
// with an answer that waits, and those with a check that does not bear the mark of an end in what was
// last sent.
func (tx *Tx) AllUntold(ctx context.Context, mark string) ([]PullKey, error) {
	return pullKeys(ctx, tx, `select repo_id, number from untold
		union select repo_id, number from answers where sent_at = 0 or doubt > 0
		union select repo_id, number from checks where instr(sent, ?) = 0`, mark)
}

// UntoldOf returns those of the repository that are marked.
func (tx *Tx) UntoldOf(ctx context.Context, repoID int64) ([]PullKey, error) {
	return pullKeys(ctx, tx, `select repo_id, number from untold where repo_id = ? order by number`, repoID)
}

func pullKeys(ctx context.Context, tx *Tx, query string, args ...any) ([]PullKey, error) {
	rows, err := tx.SQL.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read pull requests: %w", err)
	}
	defer rows.Close()
	var out []PullKey
	for rows.Next() {
		var k PullKey
		if err := rows.Scan(&k.RepoID, &k.Number); err != nil {
			return nil, fmt.Errorf("read pull requests: %w", err)
		}
		out = append(out, k)
	}
	return out, rows.Err()
}

// ReposOf returns the repositories whose pull requests were last read through the installation.
func (tx *Tx) ReposOf(ctx context.Context, installationID int64) ([]int64, error) {
	keys, err := pullKeys(ctx, tx, `select distinct repo_id, 0 from pulls where json_extract(facts, '$.repo.installation_id') = ?`, installationID)
	var out []int64
	for _, k := range keys {
		out = append(out, k.RepoID)
	}
	return out, err
}

// Answer is a row of answers.
type Answer struct {
	Seq   int64
	Repo  change.Repo
	Body  string
	Mark  string    // of the comment that carries it, or empty before the first attempt
	Sent  bool      // GitHub has answered
	Doubt time.Time // zero, or until when GitHub may carry out an attempt that it has not answered
}

// AddAnswer keeps an answer, and reports false if the occasion was answered before.
func (tx *Tx) AddAnswer(ctx context.Context, repo change.Repo, number int, occasion, body string) (fresh bool, err error) {
	n, err := exec(ctx, tx, `insert into answers (occasion, repo_id, number, repo, body) values (?, ?, ?, ?, ?) on conflict do nothing`,
		occasion, repo.ID, number, toJSON(repo), body)
	return n == 1, err
}

// OpenAnswers returns the answers that are not sent, or about which there is doubt, in their order.
func (tx *Tx) OpenAnswers(ctx context.Context, k PullKey) ([]Answer, error) {
	rows, err := tx.SQL.QueryContext(ctx, `select seq, repo, body, mark, sent_at > 0, doubt from answers
		where repo_id = ? and number = ? and (sent_at = 0 or doubt > 0) order by seq`, k.RepoID, k.Number)
	if err != nil {
		return nil, fmt.Errorf("read answers: %w", err)
	}
	defer rows.Close()
	var out []Answer
	for rows.Next() {
		var a Answer
		var repo string
		var doubt int64
		if err := rows.Scan(&a.Seq, &repo, &a.Body, &a.Mark, &a.Sent, &doubt); err != nil {
			return nil, fmt.Errorf("read answers: %w", err)
		}
		if err := decode("answer", repo, &a.Repo); err != nil {
			return nil, err
		}
		a.Doubt = fromMillis(doubt)
		out = append(out, a)
	}
	return out, rows.Err()
}

// AnsweredSince returns when the comments with answers since a time were sent, the oldest first.
func (tx *Tx) AnsweredSince(ctx context.Context, k PullKey, since time.Time) ([]time.Time, error) {
	rows, err := tx.SQL.QueryContext(ctx, `select min(sent_at) from answers where repo_id = ? and number = ? and sent_at > ?
		group by mark order by 1`, k.RepoID, k.Number, millis(since))
	if err != nil {
		return nil, fmt.Errorf("read answers: %w", err)
	}
	defer rows.Close()
	var out []time.Time
	for rows.Next() {
		var at int64
		if err := rows.Scan(&at); err != nil {
			return nil, fmt.Errorf("read answers: %w", err)
		}
		out = append(out, fromMillis(at))
	}
	return out, rows.Err()
}

// MarkAnswer says which comment is about to carry an answer.
func (tx *Tx) MarkAnswer(ctx context.Context, seq int64, mark string) error {
	return one(ctx, tx, `update answers set mark = ? where seq = ?`, mark, seq)
}

// SetAnswered says what became of all answers with the mark; sent ones keep their time.
func (tx *Tx) SetAnswered(ctx context.Context, mark string, sent bool, doubt time.Time) error {
	_, err := exec(ctx, tx, `update answers set sent_at = case when sent_at = 0 and ? then ? else sent_at end, doubt = ? where mark = ?`,
		sent, millis(tx.Now), millis(doubt), mark)
	return err
}

// CountCommand decides, once for each comment, whether a person's command on a pull request is
// obeyed: at most limit of them in the window.
func (tx *Tx) CountCommand(ctx context.Context, k PullKey, commentID, userID int64, limit int, window time.Duration) (obeyed bool, err error) {
	if _, err := exec(ctx, tx, `delete from commands where at <= ?`, millis(tx.Now.Add(-max(window, time.Hour)))); err != nil {
		return false, err
	}
	_, err = exec(ctx, tx, `insert into commands (comment_id, repo_id, number, user_id, obeyed, at)
		select ?1, ?2, ?3, ?4, count(*) < ?5, ?6 from commands where repo_id = ?2 and number = ?3 and user_id = ?4 and obeyed and at > ?7
		on conflict do nothing`, commentID, k.RepoID, k.Number, userID, limit, millis(tx.Now), millis(tx.Now.Add(-window)))
	if err != nil {
		return false, err
	}
	err = tx.SQL.QueryRowContext(ctx, `select obeyed from commands where comment_id = ?`, commentID).Scan(&obeyed)
	return obeyed, notFound(err)
}

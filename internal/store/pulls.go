package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
)

// Pull is a row of pulls.
type Pull struct {
	change.Pull
	Reviews       []change.Review
	Authors       []change.Commit // of all commits, as last read
	People        change.People   // as last read
	PushedAt      time.Time       // when the newest head commit was first seen
	CancelledAt   time.Time       // when somebody last cancelled what was waiting
	AllowedSHA    string          // head commit of a fork that a maintainer let be planned
	Note          *fault.Error    // concerns the pull request as a whole
	CommentID     int64           // the summary comment, or 0
	CommentDigest string          // of the summary comment as last sent
	CommentDoubt  time.Time       // zero, or until when GitHub may carry out a request that it has not answered
	LandedAt      time.Time       // when the apply of its merge was asked for
	SettledAt     time.Time       // when that came to its end, whatever it is
	Unapplied     *fault.Error    // why a merged pull request was not applied, or nil
}

// AddDelivery records a webhook and reports whether it is new. A delivery id or a meaning that is
// known already makes it a repetition.
func (tx *Tx) AddDelivery(ctx context.Context, id, meaning, event string) (bool, error) {
	n, err := exec(ctx, tx, `insert into deliveries (id, meaning, event, received_at) values (?, ?, ?, ?) on conflict do nothing`,
		id, meaning, event, millis(tx.Now))
	return n == 1, err
}

// Pull returns one pull request, or ErrNotFound.
func (tx *Tx) Pull(ctx context.Context, repoID int64, number int) (Pull, error) {
	row := tx.SQL.QueryRowContext(ctx, `select facts, reviews, authors, people, pushed_at, cancelled_at, allowed, note, comment_id, comment, comment_doubt, landed_at, settled_at, unapplied
		from pulls where repo_id = ? and number = ?`, repoID, number)
	var p Pull
	var facts, reviews, authors, people, note, unapplied string
	var pushed, cancelled, landed, settled, doubt int64
	if err := row.Scan(&facts, &reviews, &authors, &people, &pushed, &cancelled, &p.AllowedSHA, &note, &p.CommentID, &p.CommentDigest, &doubt, &landed, &settled, &unapplied); err != nil {
		return Pull{}, notFound(err)
	}
	p.PushedAt, p.CancelledAt, p.CommentDoubt = fromMillis(pushed), fromMillis(cancelled), fromMillis(doubt)
	p.LandedAt, p.SettledAt = fromMillis(landed), fromMillis(settled)
	return p, decode("pull request", facts, &p.Pull, reviews, &p.Reviews, authors, &p.Authors, people, &p.People, note, &p.Note, unapplied, &p.Unapplied)
}

// PutPull writes the facts, reviews and note of a pull request. What was sent to GitHub, and what
// became of its merge, is left alone.
func (tx *Tx) PutPull(ctx context.Context, p Pull) error {
	_, err := exec(ctx, tx, `insert into pulls (repo_id, number, facts, reviews, authors, people, pushed_at, cancelled_at, allowed, note) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		on conflict (repo_id, number) do update set facts = excluded.facts, reviews = excluded.reviews, authors = excluded.authors, people = excluded.people,
		pushed_at = excluded.pushed_at, cancelled_at = excluded.cancelled_at, allowed = excluded.allowed, note = excluded.note`,
		p.Repo.ID, p.Number, toJSON(p.Pull), toJSON(p.Reviews), toJSON(p.Authors), toJSON(p.People), millis(p.PushedAt), millis(p.CancelledAt), p.AllowedSHA, faultJSON(p.Note))
	return err
}

// Land notes that the apply of a merge is asked for.
func (tx *Tx) Land(ctx context.Context, repoID int64, number int) error {
	return one(ctx, tx, `update pulls set landed_at = ? where repo_id = ? and number = ?`, millis(tx.Now), repoID, number)
}

// Settle notes that what a merge asked for has come to its end, and why it was not applied, if it was not.
func (tx *Tx) Settle(ctx context.Context, repoID int64, number int, why *fault.Error) error {
	return one(ctx, tx, `update pulls set settled_at = ?, unapplied = ? where repo_id = ? and number = ?`, millis(tx.Now), faultJSON(why), repoID, number)
}

// SetApprovals writes who reviewed, who wrote, and who has a further say in a pull request.
func (tx *Tx) SetApprovals(ctx context.Context, repoID int64, number int, reviews []change.Review, authors []change.Commit, people change.People) error {
	return one(ctx, tx, `update pulls set reviews = ?, authors = ?, people = ? where repo_id = ? and number = ?`,
		toJSON(reviews), toJSON(authors), toJSON(people), repoID, number)
}

// OpenPullsAt returns the numbers of the open pull requests of a repository with this head commit.
func (tx *Tx) OpenPullsAt(ctx context.Context, repoID int64, headSHA string) ([]int, error) {
	return tx.numbers(ctx, `select number from pulls where repo_id = ?
		and json_extract(facts, '$.head_sha') = ? and json_extract(facts, '$.open') order by number`, repoID, headSHA)
}

// SetComment remembers the summary comment, the digest of its text, and until when there is doubt about it.
func (tx *Tx) SetComment(ctx context.Context, repoID int64, number int, id int64, digest string, doubt time.Time) error {
	return one(ctx, tx, `update pulls set comment_id = ?, comment = ?, comment_doubt = ? where repo_id = ? and number = ?`, id, digest, millis(doubt), repoID, number)
}

// Check is what GitHub was last told of one check.
type Check struct {
	ExternalID string
	RepoID     int64
	Number     int
	HeadSHA    string
	Name       string
	GitHubID   int64     // 0 until GitHub has answered
	Sent       string    // digest of the check as last sent
	Doubt      time.Time // zero, or until when GitHub may carry out a request that it has not answered
}

// Checks returns the checks of a pull request by external id.
func (tx *Tx) Checks(ctx context.Context, repoID int64, number int) (map[string]Check, error) {
	rows, err := tx.SQL.QueryContext(ctx, `select external_id, repo_id, number, head_sha, name, github_id, sent, doubt
		from checks where repo_id = ? and number = ?`, repoID, number)
	if err != nil {
		return nil, fmt.Errorf("read checks: %w", err)
	}
	defer rows.Close()
	out := map[string]Check{}
	for rows.Next() {
		var c Check
		var doubt int64
		if err := rows.Scan(&c.ExternalID, &c.RepoID, &c.Number, &c.HeadSHA, &c.Name, &c.GitHubID, &c.Sent, &doubt); err != nil {
			return nil, fmt.Errorf("read checks: %w", err)
		}
		c.Doubt = fromMillis(doubt)
		out[c.ExternalID] = c
	}
	return out, rows.Err()
}

// Check returns one check by its external id, or ErrNotFound.
func (tx *Tx) Check(ctx context.Context, externalID string) (Check, error) {
	var c Check
	err := tx.SQL.QueryRowContext(ctx, `select external_id, repo_id, number, head_sha, name, github_id, sent from checks where external_id = ?`, externalID).
		Scan(&c.ExternalID, &c.RepoID, &c.Number, &c.HeadSHA, &c.Name, &c.GitHubID, &c.Sent)
	return c, notFound(err)
}

// PutCheck writes what GitHub was told of a check.
func (tx *Tx) PutCheck(ctx context.Context, c Check) error {
	_, err := exec(ctx, tx, `insert into checks (external_id, repo_id, number, head_sha, name, github_id, sent, doubt) values (?, ?, ?, ?, ?, ?, ?, ?)
		on conflict (external_id) do update set github_id = excluded.github_id, sent = excluded.sent, doubt = excluded.doubt`,
		c.ExternalID, c.RepoID, c.Number, c.HeadSHA, c.Name, c.GitHubID, c.Sent, millis(c.Doubt))
	return err
}

// AddOvertaken keeps a check that GitHub has not been told of, unless its commit has a check or a run.
func (tx *Tx) AddOvertaken(ctx context.Context, c Check) error {
	_, err := exec(ctx, tx, `insert into checks (external_id, repo_id, number, head_sha, name) select ?1, ?2, ?3, ?4, ?5
		where not exists (select 1 from checks where repo_id = ?2 and number = ?3 and head_sha = ?4)
		and not exists (select 1 from runs where repo_id = ?2 and number = ?3 and head_sha = ?4)`, c.ExternalID, c.RepoID, c.Number, c.HeadSHA, c.Name)
	return err
}

// decode reads pairs of JSON text and target; empty text leaves its target alone.
func decode(what string, pairs ...any) error {
	for i := 0; i < len(pairs); i += 2 {
		text := pairs[i].(string)
		if text == "" {
			continue
		}
		if err := json.Unmarshal([]byte(text), pairs[i+1]); err != nil {
			return fmt.Errorf("decode %s: %w", what, err)
		}
	}
	return nil
}

// faultJSON keeps the public part of a fault; its cause stays in the operator's log.
func faultJSON(e *fault.Error) string {
	if e == nil {
		return ""
	}
	return toJSON(fault.Public(e))
}

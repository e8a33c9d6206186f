package store

import (
	"context"
	"fmt"

	"github.com/tollgate/tollgate/internal/change"
)

// AddPusher records who brought a head commit to a pull request.
func (tx *Tx) AddPusher(ctx context.Context, repoID int64, number int, headSHA string, person change.User) error {
	_, err := exec(ctx, tx, `insert into pushers (repo_id, number, head_sha, user_id, person) values (?, ?, ?, ?, ?) on conflict do nothing`,
		repoID, number, headSHA, person.ID, toJSON(person))
	return err
}

// Pushers returns everybody who is known to have brought a head commit to a pull request.
func (tx *Tx) Pushers(ctx context.Context, repoID int64, number int, headSHA string) ([]change.User, error) {
	rows, err := tx.SQL.QueryContext(ctx, `select person from pushers where repo_id = ? and number = ? and head_sha = ? order by user_id`, repoID, number, headSHA)
	if err != nil {
		return nil, fmt.Errorf("read pushers: %w", err)
	}
	defer rows.Close()
	var out []change.User
	for rows.Next() {
		var text string
		var person change.User
		if err := rows.Scan(&text); err != nil {
			return nil, fmt.Errorf("read pushers: %w", err)
		}
		if err := decode("pusher", text, &person); err != nil {
			return nil, err
		}
		out = append(out, person)
	}
	return out, rows.Err()
}

// Glass is a row of glasses.
type Glass struct {
	change.Glass
	ID           string
	RepoID       int64
	Number       int
	Project      string
	HeadSHA      string
	EffectDigest string // of the plan that people could see
	ExecutionID  string // the one apply that it was used for, or empty
}

const glassColumns = `id, repo_id, number, project, head_sha, effect, glass, execution`

func scanGlass(row scanner) (Glass, error) {
	var g Glass
	var text string
	if err := row.Scan(&g.ID, &g.RepoID, &g.Number, &g.Project, &g.HeadSHA, &g.EffectDigest, &text, &g.ExecutionID); err != nil {
		return Glass{}, notFound(err)
	}
	return g, decode("glass", text, &g.Glass)
}

// AddGlass records that somebody asks to break the glass.
func (tx *Tx) AddGlass(ctx context.Context, g Glass) error {
	_, err := exec(ctx, tx, `insert into glasses (id, repo_id, number, project, head_sha, effect, glass, asked_at) values (?, ?, ?, ?, ?, ?, ?, ?)`,
		g.ID, g.RepoID, g.Number, g.Project, g.HeadSHA, g.EffectDigest, toJSON(g.Glass), millis(g.AskedAt))
	return err
}

// ConfirmGlass records who confirmed it and the issue that tells of it, once.
func (tx *Tx) ConfirmGlass(ctx context.Context, g Glass) error {
	return one(ctx, tx, `update glasses set glass = ?, confirmed = 1 where id = ? and confirmed = 0`, toJSON(g.Glass), g.ID)
}

// SpendGlass uses a confirmed glass up for an execution. ErrNotFound means that it was used before.
func (tx *Tx) SpendGlass(ctx context.Context, id, executionID string) error {
	return one(ctx, tx, `update glasses set execution = ? where id = ? and confirmed = 1 and execution = ''`, executionID, id)
}

// Glass returns one glass, or ErrNotFound.
func (tx *Tx) Glass(ctx context.Context, id string) (Glass, error) {
	return scanGlass(tx.SQL.QueryRowContext(ctx, `select `+glassColumns+` from glasses where id = ?`, id))
}

// GlassesOf returns the glasses of a pull request, newest first.
func (tx *Tx) GlassesOf(ctx context.Context, repoID int64, number int) ([]Glass, error) {
	rows, err := tx.SQL.QueryContext(ctx, `select `+glassColumns+` from glasses where repo_id = ? and number = ? order by asked_at desc, id`, repoID, number)
	if err != nil {
		return nil, fmt.Errorf("read glasses: %w", err)
	}
	defer rows.Close()
	var out []Glass
	for rows.Next() {
		g, err := scanGlass(rows)
		if err != nil {
			return nil, fmt.Errorf("read glasses: %w", err)
		}
		out = append(out, g)
	}
	return out, rows.Err()
}

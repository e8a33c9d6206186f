package store

import (
	"context"
	"time"

	"github.com/tollgate/tollgate/internal/change"
)

// BeginSession notes that a person has signed in, under the digest of the token that says so, and
// forgets sessions that are over.
func (tx *Tx) BeginSession(ctx context.Context, digest string, person change.User, until time.Time) error {
	if _, err := exec(ctx, tx, `delete from sessions where ends_at <= ?`, millis(tx.Now)); err != nil {
		return err
	}
	return one(ctx, tx, `insert into sessions (token_sha256, user_id, login, ends_at) values (?, ?, ?, ?)`, digest, person.ID, person.Login, millis(until))
}

// Session returns who signed in, or ErrNotFound if nobody did or the session is over.
func (tx *Tx) Session(ctx context.Context, digest string) (change.User, error) {
	var who change.User
	err := tx.SQL.QueryRowContext(ctx, `select user_id, login from sessions where token_sha256 = ? and ends_at > ?`, digest, millis(tx.Now)).Scan(&who.ID, &who.Login)
	return who, notFound(err)
}

// EndSession signs a person out. A session that is over is no error.
func (tx *Tx) EndSession(ctx context.Context, digest string) error {
	_, err := exec(ctx, tx, `delete from sessions where token_sha256 = ?`, digest)
	return err
}

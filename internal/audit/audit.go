// Package audit is the ledger: every decision and every refusal, append-only and hash-chained, so
// that a year later anyone can show that no row was changed, removed, put between or cut off.
//
// Each row holds the hash of the one before, a table beside it holds the end, and a file outside
// the database, the anchor, holds every end there ever was. Whoever can write all three can forge
// a ledger; but not one that agrees with the hashes that GitHub's checks show.
package audit

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/store"
)

// Outcomes of entries.
const (
	Allowed   = "allowed"
	Refused   = "refused"
	Succeeded = "succeeded"
	Failed    = "failed"
	Unknown   = "unknown"
)

// Entry is one row: who did what, when, from where, to what, and how it ended (PCI DSS 10.2.2).
type Entry struct {
	Actor   change.User    // an account of GitHub, unless Kind says otherwise
	Kind    string         // ActorApp, ActorOS or empty
	Action  string         // such as apply.end
	Outcome string         // allowed, refused, succeeded, failed or unknown
	Origin  string         // such as comment 123 or merge
	Subject map[string]any // repository, pull request, commits, digests
}

// Who acts besides people on GitHub.
const (
	ActorApp = "app" // Tollgate itself, by the id of the GitHub App
	ActorOS  = "os"  // an account of the machine, by its user id
)

// Row is an entry as it stands in the ledger.
type Row struct {
	Seq     int64  `json:"seq"`
	Version int64  `json:"version"` // how Hash is made
	At      string `json:"at"`      // RFC 3339, UTC
	Actor   string `json:"actor"`
	Action  string `json:"action"`
	Outcome string `json:"outcome"`
	Origin  string `json:"origin"`
	Subject string `json:"subject"`
	Prev    string `json:"prev"`
	Hash    string `json:"hash"`
}

// version is how new rows are hashed.
const version = 2

// skewLimit is how far our clock may be from GitHub's before rows are marked.
const skewLimit = time.Minute

// Append writes one entry inside the caller's transaction, so that the step it records cannot be
// committed without it.
func Append(ctx context.Context, tx *store.Tx, e Entry) error {
	end, at, err := end(ctx, tx)
	if err != nil {
		return err
	}
	subject := map[string]any{}
	for k, v := range e.Subject {
		subject[k] = v
	}
	if tx.Skew.Abs() >= skewLimit {
		subject["clock_skew"] = tx.Skew.Round(time.Second).String()
	}
	if before, err := time.Parse(time.RFC3339Nano, at); err == nil && before.Sub(tx.Now) >= skewLimit {
		subject["clock_went_back"] = before.Sub(tx.Now).Round(time.Second).String()
	}
	row := Row{Seq: end.Seq + 1, Version: version, At: tx.Now.Format(time.RFC3339Nano), Action: plain(e.Action), Outcome: plain(e.Outcome),
		Origin: plain(e.Origin), Prev: end.Hash}
	if row.Actor, err = encode(actor{e.Actor, e.Kind}); err != nil {
		return fmt.Errorf("encode actor: %w", err)
	}
	if row.Subject, err = encode(subject); err != nil {
		return fmt.Errorf("encode subject: %w", err)
	}
	row.Hash = row.sum()
	_, err = tx.SQL.ExecContext(ctx, `insert into audit (seq, version, at, actor, action, outcome, origin, subject, prev, hash) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		row.Seq, row.Version, row.At, row.Actor, row.Action, row.Outcome, row.Origin, row.Subject, row.Prev, row.Hash)
	if err != nil {
		return fmt.Errorf("append to the ledger: %w", err)
	}
	return tx.SetLedgerHead(ctx, store.Head{Seq: row.Seq, Hash: row.Hash})
}

// Last returns the newest row.
func Last(ctx context.Context, tx *store.Tx) (r Row, err error) {
	err = tx.SQL.QueryRowContext(ctx, `select seq, version, at, actor, action, outcome, origin, subject, prev, hash from audit order by seq desc limit 1`).Scan(
		&r.Seq, &r.Version, &r.At, &r.Actor, &r.Action, &r.Outcome, &r.Origin, &r.Subject, &r.Prev, &r.Hash)
	if err != nil {
		return Row{}, fmt.Errorf("read the end of the ledger: %w", err)
	}
	return r, nil
}

type actor struct {
	change.User
	Kind string `json:"kind,omitempty"`
}

// end is the last row, which has to be the one that was written last. Nothing is put behind a
// ledger that was cut off: it would soon look whole again.
func end(ctx context.Context, tx *store.Tx) (h store.Head, at string, err error) {
	var last store.Head
	err = tx.SQL.QueryRowContext(ctx, `select seq, hash, at from audit order by seq desc limit 1`).Scan(&last.Seq, &last.Hash, &at)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return h, "", fmt.Errorf("read the end of the ledger: %w", err)
	}
	if h, err = tx.LedgerHead(ctx); err != nil {
		return h, "", err
	}
	if h != last {
		return h, "", fault.New(fmt.Sprintf("The ledger ends with row %d, but row %d was written last.", last.Seq, h.Seq),
			"Somebody changed the database, and nothing is decided without a ledger.",
			"`bot audit verify` says more. Restore the database, or accept it as it is with `bot audit acknowledge`.")
	}
	return h, at, nil
}

// body hashes the content. JSON makes the borders between fields unambiguous.
func (r Row) body() string {
	return hashOf(r.Seq, r.Version, r.At, r.Actor, r.Action, r.Outcome, r.Origin, r.Subject)
}

// sum is the hash that the row has to have: of its content and the hash of the row before it.
func (r Row) sum() string {
	if r.Version == 1 {
		return hashOf(r.Seq, r.At, r.Actor, r.Action, r.Outcome, r.Origin, r.Subject, r.Prev)
	}
	return link(r.Prev, r.body())
}

// link is the hash of a row of version 2, made without its content.
func link(prev, body string) string { return hashOf(prev, body) }

func hashOf(fields ...any) string {
	b, err := json.Marshal(fields)
	if err != nil {
		panic(err) // integers and strings always encode
	}
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// Each calls f for every row, oldest first. A row that is not of the types that were written is
// passed on with the version -1, which no hash fits.
func Each(ctx context.Context, tx *store.Tx, f func(Row) error) error {
	rows, err := tx.SQL.QueryContext(ctx, `select seq, iif(typeof(version) = 'integer' and typeof(at) || typeof(actor) || typeof(action) || typeof(outcome)
		|| typeof(origin) || typeof(subject) || typeof(prev) || typeof(hash) = 'texttexttexttexttexttexttexttext', version, -1),
		at, actor, action, outcome, origin, subject, prev, hash from audit order by seq`)
	if err != nil {
		return fmt.Errorf("read the ledger: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var r Row
		if err := rows.Scan(&r.Seq, &r.Version, &r.At, &r.Actor, &r.Action, &r.Outcome, &r.Origin, &r.Subject, &r.Prev, &r.Hash); err != nil {
			return fmt.Errorf("read the ledger: %w", err)
		}
		if err := f(r); err != nil {
			return err
		}
	}
	return rows.Err()
}

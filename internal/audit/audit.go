// Package audit is the ledger: every decision and every refusal, append-only and hash-chained, so
// that a year later anyone can show that no row was changed, removed or put between.
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
	"github.com/tollgate/tollgate/internal/store"
)

// Entry is one row: who did what, when, from where, to what, and how it ended (PCI DSS 10.2.2).
type Entry struct {
	Actor   change.User    `json:"actor"`
	Action  string         `json:"action"`  // such as apply.authorise
	Outcome string         `json:"outcome"` // allowed, refused, succeeded, failed or unknown
	Origin  string         `json:"origin"`  // such as comment 123 or merge
	Subject map[string]any `json:"subject"` // repository, pull request, commits, digests
}

// Row is an entry as it stands in the ledger.
type Row struct {
	Seq     int64  `json:"seq"`
	At      string `json:"at"` // RFC 3339, UTC
	Actor   string `json:"actor"`
	Action  string `json:"action"`
	Outcome string `json:"outcome"`
	Origin  string `json:"origin"`
	Subject string `json:"subject"`
	Prev    string `json:"prev"`
	Hash    string `json:"hash"`
}

// Append writes one entry inside the caller's transaction, so that the step it records cannot be
// committed without it.
func Append(ctx context.Context, tx *store.Tx, e Entry) error {
	actor, err := json.Marshal(e.Actor)
	if err != nil {
		return fmt.Errorf("encode actor: %w", err)
	}
	subject, err := json.Marshal(e.Subject)
	if err != nil {
		return fmt.Errorf("encode subject: %w", err)
	}
	row := Row{At: tx.Now.Format(time.RFC3339Nano), Actor: string(actor), Action: e.Action,
		Outcome: e.Outcome, Origin: e.Origin, Subject: string(subject)}
	err = tx.SQL.QueryRowContext(ctx, `select seq, hash from audit order by seq desc limit 1`).Scan(&row.Seq, &row.Prev)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("read the end of the ledger: %w", err)
	}
	row.Seq++
	row.Hash = row.sum()
	_, err = tx.SQL.ExecContext(ctx, `insert into audit (seq, at, actor, action, outcome, origin, subject, prev, hash) values (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		row.Seq, row.At, row.Actor, row.Action, row.Outcome, row.Origin, row.Subject, row.Prev, row.Hash)
	if err != nil {
		return fmt.Errorf("append to the ledger: %w", err)
	}
	return nil
}

// Last returns the newest row.
func Last(ctx context.Context, tx *store.Tx) (r Row, err error) {
	err = tx.SQL.QueryRowContext(ctx, `select seq, at, actor, action, outcome, origin, subject, prev, hash from audit order by seq desc limit 1`).Scan(
		&r.Seq, &r.At, &r.Actor, &r.Action, &r.Outcome, &r.Origin, &r.Subject, &r.Prev, &r.Hash)
	if err != nil {
		return Row{}, fmt.Errorf("read the end of the ledger: %w", err)
	}
	return r, nil
}

// sum hashes the row with the hash before it. JSON makes the borders between fields unambiguous.
func (r Row) sum() string {
	b, err := json.Marshal([]any{r.Seq, r.At, r.Actor, r.Action, r.Outcome, r.Origin, r.Subject, r.Prev})
	if err != nil {
		panic(err) // integers and strings always encode
	}
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// Each calls f for every row, oldest first.
func Each(ctx context.Context, tx *store.Tx, f func(Row) error) error {
	rows, err := tx.SQL.QueryContext(ctx, `select seq, at, actor, action, outcome, origin, subject, prev, hash from audit order by seq`)
	if err != nil {
		return fmt.Errorf("read the ledger: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var r Row
		if err := rows.Scan(&r.Seq, &r.At, &r.Actor, &r.Action, &r.Outcome, &r.Origin, &r.Subject, &r.Prev, &r.Hash); err != nil {
			return fmt.Errorf("read the ledger: %w", err)
		}
		if err := f(r); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Verify reads the whole ledger and returns how many rows hold. The error names the first row
// that does not.
func Verify(ctx context.Context, tx *store.Tx) (int64, error) {
	var good int64
	prev := ""
	err := Each(ctx, tx, func(r Row) error {
		if r.Seq != good+1 || r.Prev != prev || r.Hash != r.sum() {
			return fmt.Errorf("row %d does not continue row %d: the ledger was changed here", r.Seq, good)
		}
		good, prev = r.Seq, r.Hash
		return nil
	})
	return good, err
}

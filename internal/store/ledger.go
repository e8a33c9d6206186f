package store

import (
	"context"
	"fmt"
	"time"
)

// Head is a place in the ledger: the number of a row and its hash.
type Head struct {
	Seq  int64
	Hash string
}

// Witness keeps the end of the ledger outside the database.
type Witness interface {
	// Ready fails while the witness could not take down another row. Then none is written.
	Ready() error
	// Saw is told of the new end right after it was committed.
	Saw(Head)
}

// Attend has the witness told of every new end of the ledger from now on.
func (d *DB) Attend(w Witness) { d.witness.Store(&w) }

// GoBy makes skew, GitHub's clock minus ours, known to the transactions. They still go by our clock.
func (d *DB) GoBy(skew func() time.Duration) { d.skew.Store(&skew) }

// LedgerHead is where the ledger ends, as it was written down beside the rows.
func (tx *Tx) LedgerHead(ctx context.Context) (h Head, err error) {
	if err := tx.SQL.QueryRowContext(ctx, `select seq, hash from audit_head`).Scan(&h.Seq, &h.Hash); err != nil {
		return h, fmt.Errorf("read the end of the ledger: %w", notFound(err))
	}
	return h, nil
}

// SetLedgerHead writes down where the ledger ends, in the transaction of the row itself.
func (tx *Tx) SetLedgerHead(ctx context.Context, h Head) error {
	if w := tx.db.witness.Load(); w != nil {
		if err := (*w).Ready(); err != nil {
			return err
		}
	}
	tx.head = h
	return one(ctx, tx, `update audit_head set seq = ?, hash = ?`, h.Seq, h.Hash)
}

// Anchored reports whether the ledger's end was ever written down outside the database.
func (tx *Tx) Anchored(ctx context.Context) (yes bool, err error) {
	err = tx.SQL.QueryRowContext(ctx, `select anchored from audit_head`).Scan(&yes)
	return yes, notFound(err)
}

// SetAnchored remembers that it was.
func (tx *Tx) SetAnchored(ctx context.Context) error {
	return one(ctx, tx, `update audit_head set anchored = 1`)
}

// SchemaVersions are the version that the ledger last told of, 0 for none, and the present one.
func (tx *Tx) SchemaVersions(ctx context.Context) (told, now int64, err error) {
	if err := tx.SQL.QueryRowContext(ctx, `select schema_version, (select max(version_id) from goose_db_version where is_applied = 1) from audit_head`).Scan(&told, &now); err != nil {
		return 0, 0, fmt.Errorf("read the schema's version: %w", err)
	}
	return told, now, nil
}

// ToldSchemaVersion remembers what the ledger told of.
func (tx *Tx) ToldSchemaVersion(ctx context.Context, version int64) error {
	return one(ctx, tx, `update audit_head set schema_version = ?`, version)
}

// SetExecutionLedger remembers the ledger's newest row as the one about this execution. It is
// called in the transaction that wrote the row.
func (tx *Tx) SetExecutionLedger(ctx context.Context, id string) error {
	return one(ctx, tx, `update executions set ledger_seq = h.seq, ledger_hash = h.hash from audit_head h where executions.id = ?`, id)
}

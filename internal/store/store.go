// Package store keeps what Tollgate must not forget: deliveries, pull requests, runs, plans,
// executions and what GitHub was told, in one SQLite file.
//
// Every write happens in a transaction that is committed before the step it records is taken.
package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tollgate/tollgate/internal/fault"
)

//go:embed migrations/*.sql
var migrations embed.FS

// ErrNotFound is returned when no row matches.
var ErrNotFound = errors.New("not found")

// ErrConflict is returned when a uniqueness rule refuses a row: the plan is consumed already, the
// state is locked, or the pull request has an active run.
var ErrConflict = errors.New("conflicts with a row that exists")

// ErrUnavailable is returned when the database cannot be used as it is now, which may pass: another program has
// locked it, its disk is full, or it can't be written.
var ErrUnavailable = errors.New("the database is not available")

// DB is the store. It is safe for concurrent use and owned by its opener.
type DB struct {
	sql     *sql.DB
	witness atomic.Pointer[Witness]
	skew    atomic.Pointer[func() time.Duration]
}

// Open opens or creates the SQLite file and brings its schema up to date. A file made by a newer
// version is refused.
func Open(ctx context.Context, file string) (*DB, error) {
	pool, err := openPool(file, url.Values{"_txlock": {"immediate"}, "_pragma": {
		"journal_mode(wal)", "synchronous(full)", "busy_timeout(10000)", "foreign_keys(1)"}})
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, pool); err != nil {
		return nil, errors.Join(unopened(file, err), pool.Close())
	}
	return &DB{sql: pool}, nil
}

// OpenToRead opens a file that another program may be working on, and changes nothing in it.
func OpenToRead(ctx context.Context, file string) (*DB, error) {
	pool, err := openPool(file, url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(10000)", "query_only(1)"}})
	if err != nil {
		return nil, err
	}
	p, err := provider(pool)
	if err == nil {
		err = current(ctx, p)
	}
	if err != nil {
		return nil, errors.Join(unopened(file, err), pool.Close())
	}
	return &DB{sql: pool}, nil
}

func openPool(file string, q url.Values) (*sql.DB, error) {
	c, err := newConnector("file:" + (&url.URL{Path: file}).EscapedPath() + "?" + q.Encode())
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	pool := sql.OpenDB(c)
	pool.SetMaxOpenConns(1) // SQLite has one writer; a pool of several only meets SQLITE_BUSY
	return pool, nil
}

func unopened(file string, err error) error {
	var flt *fault.Error
	if errors.As(err, &flt) {
		return err
	}
	return fault.Wrap(err, "The database "+file+" cannot be opened.",
		"Without it no webhook can be kept and nothing is applied.",
		"Check that the directory exists, is writable by this user and has free space.")
}

// Examine has SQLite look for damage.
func (d *DB) Examine(ctx context.Context) error {
	var found string
	if err := d.sql.QueryRowContext(ctx, "pragma quick_check(1)").Scan(&found); err != nil {
		return fmt.Errorf("examine database: %w", err)
	}
	if found != "ok" {
		return fault.New("The database is damaged: "+found+".", "What it says of approvals and applies cannot be relied on.", "Stop the server, and restore the database from a backup.")
	}
	return nil
}

// Pool is the connection pool, for the queue, which shares transactions with the store.
func (d *DB) Pool() *sql.DB { return d.sql }

// Close closes the store.
func (d *DB) Close() error { return d.sql.Close() }

// Ping reports whether the store can be written.
func (d *DB) Ping(ctx context.Context) error {
	return d.Write(ctx, func(*Tx) error { return nil })
}

// Tx is one transaction. Its methods are in the files named after the tables.
type Tx struct {
	SQL  *sql.Tx
	Now  time.Time     // the time of the transaction, the same for all its rows
	Skew time.Duration // GitHub's clock minus ours, as far as is known

	db   *DB
	head Head // where the ledger ends, if this transaction wrote to it
}

// Write runs f in a transaction and commits it, or rolls all of it back if f returns an error.
func (d *DB) Write(ctx context.Context, f func(*Tx) error) error {
	tx, err := d.sql.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin transaction: %w", passing(err))
	}
	defer func() { _ = tx.Rollback() }() // a no-op after Commit
	t := &Tx{SQL: tx, Now: time.Now().UTC(), db: d}
	if skew := d.skew.Load(); skew != nil {
		t.Skew = (*skew)()
	}
	if err := f(t); err != nil {
		return passing(err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", passing(err))
	}
	if w := d.witness.Load(); w != nil && t.head.Seq > 0 {
		(*w).Saw(t.head)
	}
	return nil
}

// passing marks the errors of SQLite that are about its file, and not about what was asked.
func passing(err error) error {
	var se *sqlite.Error
	if !errors.As(err, &se) {
		return err
	}
	switch se.Code() & 0xff { // the rest says more of it
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN:
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}

// Read runs f in a transaction and returns what it returns. SQLite's single connection makes it
// as strict as Write; the name tells the reader that nothing is changed.
func Read[T any](ctx context.Context, d *DB, f func(*Tx) (T, error)) (out T, err error) {
	err = d.Write(ctx, func(tx *Tx) error { out, err = f(tx); return err })
	return out, err
}

// NewID returns 128 random bits in hexadecimal: an id that cannot be guessed.
func NewID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails
	return hex.EncodeToString(b[:])
}

func exec(ctx context.Context, tx *Tx, query string, args ...any) (int64, error) {
	res, err := tx.SQL.ExecContext(ctx, query, args...)
	if err != nil {
		var se *sqlite.Error
		if errors.As(err, &se) && (se.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || se.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY) {
			return 0, fmt.Errorf("%w: %v", ErrConflict, err)
		}
		return 0, fmt.Errorf("%s: %w", verb(query), err)
	}
	return res.RowsAffected()
}

// one runs an update that must change exactly one row.
func one(ctx context.Context, tx *Tx, query string, args ...any) error {
	n, err := exec(ctx, tx, query, args...)
	if err == nil && n != 1 {
		return fmt.Errorf("%s: %w", verb(query), ErrNotFound)
	}
	return err
}

func verb(query string) string {
	words := strings.Fields(query)
	return strings.Join(words[:min(3, len(words))], " ")
}

func toJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("encode %T: %v", v, err)) // our own types always encode
	}
	return string(b)
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func notFound(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

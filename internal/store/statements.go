package store

import (
	"context"
	"database/sql/driver"
	"regexp"

	"modernc.org/sqlite"
)

// The store and the queue ask the same few hundred questions all the time, and SQLite takes as long to
// read a question as to answer it. So each connection keeps its statements.

// keptStatements bounds them: River composes some from what they are about.
const keptStatements = 400

// worthKeeping are questions and changes of rows. River puts a comment in front.
var worthKeeping = regexp.MustCompile(`(?i)^\s*(--.*\n\s*)*(select|insert|update|delete|with)\b`)

// connector opens connections that keep their statements.
type connector struct{ driver.Connector }

func newConnector(dsn string) (driver.Connector, error) {
	c, err := sqlite.NewConnector(dsn)
	return connector{c}, err
}

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &keeper{wide: conn.(wide), kept: map[string]*kept{}}, nil
}

// wide is what database/sql uses of a connection of the driver.
type wide interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// keeper is a connection with its statements. Like every connection it is used by one at a time, but
// rows may stay open while it answers others.
type keeper struct {
	wide
	kept map[string]*kept
}

type kept struct {
	driver.Stmt
	busy bool // its rows are being read
}

// statement returns one that is free, or nil if the question is better asked without: another reads
// rows of it, or it changes tables, which happens once.
func (k *keeper) statement(ctx context.Context, query string) (*kept, error) {
	if s := k.kept[query]; s != nil {
		if s.busy {
			return nil, nil
		}
		return s, nil
	}
	if !worthKeeping.MatchString(query) {
		return nil, nil
	}
	if len(k.kept) >= keptStatements {
		k.forget()
	}
	s, err := k.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	k.kept[query] = &kept{Stmt: s}
	return k.kept[query], nil
}

// forget closes all statements that nobody uses.
func (k *keeper) forget() {
	for query, s := range k.kept {
		if !s.busy {
			_ = s.Close() // SQLite repeats the error of the last use, which was told then
			delete(k.kept, query)
		}
	}
}

// ExecContext implements driver.ExecerContext.
func (k *keeper) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	s, err := k.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return k.wide.ExecContext(ctx, query, args)
	}
	return s.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
}

// QueryContext implements driver.QueryerContext.
func (k *keeper) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := k.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return k.wide.QueryContext(ctx, query, args)
	}
	rows, err := s.Stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
	if err != nil {
		return nil, err
	}
	s.busy = true
	return &keptRows{rows, s}, nil
}

// Close closes the statements too: SQLite keeps the file open until they are.
func (k *keeper) Close() error {
	for _, s := range k.kept {
		_ = s.Close()
	}
	k.kept = nil
	return k.wide.Close()
}

// keptRows are rows of a statement that goes on to be used.
type keptRows struct {
	driver.Rows
	of *kept
}

func (r *keptRows) Close() error {
	r.of.busy = false
	return r.Rows.Close()
}

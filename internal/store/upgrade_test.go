package store_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"modernc.org/sqlite"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/store"
)

// watched opens SQLite and calls before ahead of every statement and every commit.
type watched struct {
	file   string
	before func(query string)
}

func (w watched) Driver() driver.Driver { return &sqlite.Driver{} }
func (w watched) Connect(context.Context) (driver.Conn, error) {
	c, err := (&sqlite.Driver{}).Open("file:" + w.file + "?_txlock=immediate&_pragma=journal_mode(wal)&_pragma=foreign_keys(1)")
	if err != nil {
		return nil, err
	}
	return watchedConn{c, w.before}, nil
}

type watchedConn struct {
	driver.Conn
	before func(string)
}

func (c watchedConn) ExecContext(ctx context.Context, q string, args []driver.NamedValue) (driver.Result, error) {
	c.before(q)
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, q, args)
}

func (c watchedConn) QueryContext(ctx context.Context, q string, args []driver.NamedValue) (driver.Rows, error) {
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, q, args)
}

func (c watchedConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	tx, err := c.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
	return watchedTx{tx, c.before}, err
}

type watchedTx struct {
	driver.Tx
	before func(string)
}

func (t watchedTx) Commit() error {
	t.before("commit")
	return t.Tx.Commit()
}

func pool(t *testing.T, file string, before func(string)) *sql.DB {
	t.Helper()
	p := sql.OpenDB(watched{file, before})
	p.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func unwatched(string) {}

// image copies a database with the files beside it: what a kill leaves behind, since the kernel
// keeps what was written.
func image(file, dir string) error {
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(file + suffix)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err := errors.Join(err, os.WriteFile(filepath.Join(dir, "tollgate.db"+suffix), b, 0o600)); err != nil {
			return err
		}
	}
	return nil
}

// filled has rows in all tables of the first version, among them an apply that is under way.
func filled(t *testing.T, p *sql.DB) {
	t.Helper()
	for _, s := range []string{
		`insert into deliveries values ('d1', 'm1', 'push', 5)`,
		`insert into pulls (repo_id, number, facts) values (11, 7, '{"number":7,"head_sha":"h","open":true}')`,
		`insert into runs (id, seq, repo_id, number, head_sha, base_ref, state, reason, created_at) values ('r1', 1, 11, 7, 'h', 'main', 'passed', 'opened', 5)`,
		`insert into plans (id, run_id, name, project, state, state_key, finished_at) values ('p1', 'r1', 'app', '{"name":"app","dir":"app"}', 'passed', 'k', 9)`,
		`insert into executions (id, plan_id, repo_id, number, head_sha, commit_sha, project, state_key, state, trigger, actor, created_at)
			values ('x1', 'p1', 11, 7, 'h', 'h', '{"name":"app"}', 'k', 'running', 'comment', '{"id":1,"login":"ada"}', 5)`,
		`insert into checks (external_id, repo_id, number, head_sha, name) values ('r1/tollgate', 11, 7, 'h', 'tollgate')`,
		`insert into audit (seq, at, actor, action, outcome, origin, subject, prev, hash) values (1, '2026-01-01T00:00:00Z', '{}', 'apply', 'allowed', 'merge', '{}', '', 'h1'),
			(2, '2026-01-01T00:00:01Z', '{}', 'apply.end', 'succeeded', 'merge', '{}', 'h1', 'h2')`,
	} {
		if _, err := p.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// upgraded checks that nothing of filled is lost after Open, and that the apply still holds its state.
func upgraded(t *testing.T, file, when string) {
	t.Helper()
	db, err := store.Open(t.Context(), file)
	if err != nil {
		t.Errorf("%s: the next start fails: %v", when, err)
		return
	}
	defer db.Close()
	err = db.Write(t.Context(), func(tx *store.Tx) error {
		ctx := t.Context()
		active, err := tx.ActiveExecutions(ctx)
		if err != nil || len(active) != 1 || active[0].ID != "x1" || active[0].State != change.ExecRunning {
			t.Errorf("%s: applies under way: %+v, %v", when, active, err)
		}
		p, perr := tx.Plan(ctx, "p1")
		r, rerr := tx.Run(ctx, "r1")
		pl, plerr := tx.Pull(ctx, 11, 7)
		c, cerr := tx.Check(ctx, "r1/tollgate")
		h, herr := tx.LedgerHead(ctx)
		if err := errors.Join(perr, rerr, plerr, cerr, herr); err != nil || p.StateKey != "k" || r.State != change.RunPassed || pl.HeadSHA != "h" || c.Name != "tollgate" || h != (store.Head{Seq: 2, Hash: "h2"}) {
			t.Errorf("%s: %+v %+v %+v %+v %+v: %v", when, p, r, pl, c, h, err)
		}
		if fresh, err := tx.AddDelivery(ctx, "d1", "m1", "push"); fresh || err != nil {
			t.Errorf("%s: a delivery is forgotten: %v", when, err)
		}
		if err := tx.MoveExecution(ctx, "x1", change.ExecApplied, nil, ""); err != nil {
			t.Errorf("%s: the apply cannot end: %v", when, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// A database of every older version, with rows in all tables and an apply under way, becomes one of
// this version with nothing lost.
//
// Covers: R35
func TestEveryOlderVersionIsUpgraded(t *testing.T) {
	t.Parallel()
	versions, err := store.Versions(pool(t, filepath.Join(t.TempDir(), "x.db"), unwatched))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range versions[:len(versions)-1] {
		t.Run(fmt.Sprint(v), func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "tollgate.db")
			p := pool(t, file, unwatched)
			if err := store.MigrateTo(t.Context(), p, 1); err != nil {
				t.Fatal(err)
			}
			filled(t, p)
			if err := errors.Join(store.MigrateTo(t.Context(), p, v), p.Close()); err != nil {
				t.Fatal(err)
			}
			if _, err := store.OpenToRead(t.Context(), file); err == nil || !strings.Contains(err.Error(), "The database is of an older version") {
				t.Errorf("who only reads: %v", err)
			}
			upgraded(t, file, fmt.Sprintf("from version %d", v))
		})
	}
}

// A kill before each statement of the whole upgrade, and before each commit, leaves a database that
// the next start finishes.
//
// Covers: R35
func TestAnUpgradeThatIsKilledIsFinished(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "tollgate.db")
	images, on := map[string]string{}, false
	var order []string
	p := pool(t, file, func(query string) {
		if !on {
			return
		}
		to := filepath.Join(dir, fmt.Sprintf("killed-%03d", len(order)))
		if err := errors.Join(os.Mkdir(to, 0o700), image(file, to)); err != nil {
			t.Error(err)
		}
		order = append(order, to)
		images[to] = strings.Join(strings.Fields(query), " ")
	})
	if err := store.MigrateTo(t.Context(), p, 1); err != nil {
		t.Fatal(err)
	}
	filled(t, p)
	on = true
	if err := store.Migrate(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	on = false
	if len(order) < 20 {
		t.Fatalf("only %d statements were seen", len(order))
	}
	for _, to := range order {
		upgraded(t, filepath.Join(to, "tollgate.db"), fmt.Sprintf("killed before %.80q", images[to]))
	}
	upgraded(t, file, "not killed")
}

// Two servers that start at once on one file both find it upgraded.
//
// Covers: R35
func TestTwoUpgradeAtOnce(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tollgate.db")
	p := pool(t, file, unwatched)
	if err := store.MigrateTo(t.Context(), p, 1); err != nil {
		t.Fatal(err)
	}
	filled(t, p)
	_ = p.Close()
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		wg.Go(func() {
			db, err := store.Open(t.Context(), file)
			if err == nil {
				err = db.Close()
			}
			errs[i] = err
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	upgraded(t, file, "by four at once")
}

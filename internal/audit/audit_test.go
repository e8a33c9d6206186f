package audit_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/audit"
	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/store"
)

func fresh(t *testing.T) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "tollgate.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func entry(n int) audit.Entry {
	return audit.Entry{Actor: change.User{ID: int64(n), Login: "ada"}, Action: "apply", Outcome: "allowed", Origin: fmt.Sprintf("comment %d", n),
		Subject: map[string]any{"pull": n, "approvers": []string{"bob", "Zoë"}, "reason": `"quoted", and <b>`}}
}

// ledger has rows 1 to n.
func ledger(t *testing.T, n int) *store.DB {
	t.Helper()
	db := fresh(t)
	for i := range n {
		if err := appendTo(t, db, entry(i+1)); err != nil {
			t.Fatal(err)
		}
	}
	return db
}

func appendTo(t *testing.T, db *store.DB, e audit.Entry) error {
	t.Helper()
	return db.Write(t.Context(), func(tx *store.Tx) error { return audit.Append(t.Context(), tx, e) })
}

func rows(t *testing.T, db *store.DB) []audit.Row {
	t.Helper()
	out, err := store.Read(t.Context(), db, func(tx *store.Tx) (out []audit.Row, err error) {
		return out, audit.Each(t.Context(), tx, func(r audit.Row) error { out = append(out, r); return nil })
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func verify(t *testing.T, db *store.DB) (int64, error) {
	t.Helper()
	return store.Read(t.Context(), db, func(tx *store.Tx) (int64, error) { return audit.Verify(t.Context(), tx) })
}

func execute(t *testing.T, db *store.DB, statements ...string) error {
	t.Helper()
	return db.Write(t.Context(), func(tx *store.Tx) error {
		for _, s := range statements {
			if _, err := tx.SQL.ExecContext(t.Context(), s); err != nil {
				return err
			}
		}
		return nil
	})
}

func TestAppendChains(t *testing.T) {
	t.Parallel()
	db := ledger(t, 3)
	got := rows(t, db)
	if len(got) != 3 {
		t.Fatalf("%d rows", len(got))
	}
	prev := ""
	for i, r := range got {
		if r.Seq != int64(i+1) || r.Prev != prev || len(r.Hash) != 64 || r.Hash == prev {
			t.Errorf("row %d does not continue row %d: %+v", i+1, i, r)
		}
		if at, err := time.Parse(time.RFC3339Nano, r.At); err != nil || at.Location() != time.UTC || time.Since(at) > time.Hour {
			t.Errorf("row %d was written at %q: %v", i+1, r.At, err)
		}
		prev = r.Hash
	}
	r := got[1]
	r.At, r.Prev, r.Hash = "", "", ""
	want := audit.Row{Seq: 2, Actor: `{"id":2,"login":"ada"}`, Action: "apply", Outcome: "allowed", Origin: "comment 2",
		Subject: `{"approvers":["bob","Zoë"],"pull":2,"reason":"\"quoted\", and \u003cb\u003e"}`}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("row 2 (-want +got):\n%s", diff)
	}
}

func TestRowsOfOneTransactionChain(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	err := db.Write(t.Context(), func(tx *store.Tx) error {
		return errors.Join(audit.Append(t.Context(), tx, entry(1)), audit.Append(t.Context(), tx, entry(2)))
	})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := verify(t, db); n != 2 || err != nil {
		t.Errorf("%d rows hold, error %v", n, err)
	}
}

func TestVerifyAnEmptyLedger(t *testing.T) {
	t.Parallel()
	if n, err := verify(t, fresh(t)); n != 0 || err != nil {
		t.Errorf("%d rows hold, error %v", n, err)
	}
}

// What an owner of the database could do, who begins by dropping the triggers.
func TestVerifyFindsTampering(t *testing.T) {
	t.Parallel()
	swap := func(column string) string {
		return fmt.Sprintf(`update audit set %[1]s = (select a.%[1]s from audit a where a.seq = 5 - audit.seq) where seq in (2, 3)`, column)
	}
	cases := map[string]struct {
		statements []string
		good       int64 // rows before the first that does not hold
	}{
		"nothing but the triggers":    {nil, 5},
		"a time changed":              {[]string{`update audit set at = '2020-01-01T00:00:00Z' where seq = 3`}, 2},
		"an actor changed":            {[]string{`update audit set actor = '{"id":9,"login":"eve"}' where seq = 3`}, 2},
		"an action changed":           {[]string{`update audit set action = 'unlock' where seq = 3`}, 2},
		"an outcome changed":          {[]string{`update audit set outcome = 'refused' where seq = 5`}, 4},
		"an origin changed":           {[]string{`update audit set origin = 'merge' where seq = 1`}, 0},
		"a subject changed":           {[]string{`update audit set subject = '{}' where seq = 3`}, 2},
		"a hash changed":              {[]string{`update audit set hash = upper(hash) where seq = 3`}, 2},
		"a link changed":              {[]string{`update audit set prev = '' where seq = 3`}, 2},
		"text moved to the next cell": {[]string{`update audit set outcome = outcome || origin, origin = '' where seq = 3`}, 2},
		"the first row removed":       {[]string{`delete from audit where seq = 1`}, 0},
		"a row removed":               {[]string{`delete from audit where seq = 3`}, 2},
		"a row removed and the others moved up": {[]string{`delete from audit where seq = 3`,
			`update audit set seq = seq - 1 where seq = 4`, `update audit set seq = seq - 1 where seq = 5`}, 2},
		"two rows swapped": {[]string{swap("at"), swap("actor"), swap("origin"), swap("subject"), swap("prev"), swap("hash")}, 1},
		"the numbers of two rows swapped": {[]string{`update audit set seq = -1 where seq = 2`, `update audit set seq = 2 where seq = 3`,
			`update audit set seq = 3 where seq = -1`}, 1},
		"a row put between": {[]string{`update audit set seq = 6 where seq = 5`, `update audit set seq = 5 where seq = 4`,
			`insert into audit select 4, at, actor, action, outcome, origin, subject, prev, hash from audit where seq = 3`}, 3},
		"a row appended": {[]string{`insert into audit select 6, at, actor, action, outcome, origin, subject, hash, hash from audit where seq = 5`}, 5},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := ledger(t, 5)
			statements := append([]string{`drop trigger audit_no_update`, `drop trigger audit_no_delete`}, c.statements...)
			if err := execute(t, db, statements...); err != nil {
				t.Fatal(err)
			}
			n, err := verify(t, db)
			if n != c.good || (err != nil) != (c.statements != nil) {
				t.Errorf("%d rows hold, want %d; error %v", n, c.good, err)
			}
			if want := fmt.Sprintf("does not continue row %d", c.good); err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("error = %v, want %q in it", err, want)
			}
		})
	}
}

func TestTheTriggersRefuse(t *testing.T) {
	t.Parallel()
	for name, statement := range map[string]string{
		"an update":                 `update audit set outcome = 'refused' where seq = 2`,
		"an update of nothing":      `update audit set outcome = outcome`,
		"a removal":                 `delete from audit where seq = 2`,
		"the removal of everything": `delete from audit`,
		"an update on conflict": `insert into audit (seq, at, actor, action, outcome, origin, subject, prev, hash)
			values (2, '', '', '', '', '', '', '', '') on conflict (seq) do update set outcome = 'refused'`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := ledger(t, 3)
			before := rows(t, db)
			if err := execute(t, db, statement); err == nil || !strings.Contains(err.Error(), "the audit ledger is append-only") {
				t.Errorf("error = %v", err)
			}
			if diff := cmp.Diff(before, rows(t, db)); diff != "" {
				t.Errorf("the ledger changed:\n%s", diff)
			}
			if err := appendTo(t, db, entry(4)); err != nil {
				t.Errorf("the ledger takes no more rows: %v", err)
			}
		})
	}
}

func TestAStepIsNotTakenWithoutItsRow(t *testing.T) {
	t.Parallel()
	full := []string{`create trigger full before insert on audit begin select raise(abort, 'disk full'); end`}
	cases := map[string]struct {
		statements []string
		entry      audit.Entry
		kept       bool
	}{
		"a ledger that takes it":           {nil, entry(3), true},
		"a ledger that is full":            {full, entry(3), false},
		"a ledger that is gone":            {[]string{`drop table audit`}, entry(3), false},
		"a subject that cannot be written": {nil, audit.Entry{Action: "apply", Subject: map[string]any{"oops": make(chan int)}}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := ledger(t, 2)
			if err := execute(t, db, c.statements...); err != nil {
				t.Fatal(err)
			}
			err := db.Write(t.Context(), func(tx *store.Tx) error {
				if _, err := tx.AddDelivery(t.Context(), "d", "m", "push"); err != nil {
					return err
				}
				return audit.Append(t.Context(), tx, c.entry)
			})
			if (err == nil) != c.kept {
				t.Errorf("error = %v", err)
			}
			isNew, err := store.Read(t.Context(), db, func(tx *store.Tx) (bool, error) { return tx.AddDelivery(t.Context(), "d", "m", "push") })
			if err != nil || isNew == c.kept {
				t.Errorf("the caller's step was taken: %v, error %v", !isNew, err)
			}
		})
	}
}

func TestEachEndsWithTheFirstError(t *testing.T) {
	t.Parallel()
	db := ledger(t, 3)
	no, n := errors.New("no"), 0
	_, err := store.Read(t.Context(), db, func(tx *store.Tx) (int, error) {
		return 0, audit.Each(t.Context(), tx, func(audit.Row) error { n++; return no })
	})
	if !errors.Is(err, no) || n != 1 {
		t.Errorf("error %v after %d rows", err, n)
	}
}

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

// verify looks at the database alone.
func verify(t *testing.T, db *store.DB) audit.Report {
	t.Helper()
	return verifyWith(t, db, "")
}

func verifyWith(t *testing.T, db *store.DB, dir string) audit.Report {
	t.Helper()
	r, err := store.Read(t.Context(), db, func(tx *store.Tx) (audit.Report, error) { return audit.Verify(t.Context(), tx, dir) })
	if err != nil {
		t.Fatal(err)
	}
	return r
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
	want := audit.Row{Seq: 2, Version: 2, Actor: `{"id":2,"login":"ada"}`, Action: "apply", Outcome: "allowed", Origin: "comment 2",
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
	if r := verify(t, db); r.Rows != 2 || r.Flaw != nil {
		t.Errorf("%d rows hold, flaw %v", r.Rows, r.Flaw)
	}
}

func TestVerifyAnEmptyLedger(t *testing.T) {
	t.Parallel()
	if r := verify(t, fresh(t)); r.Rows != 0 || r.Flaw != nil {
		t.Errorf("%d rows hold, flaw %v", r.Rows, r.Flaw)
	}
}

// What an owner of the database could do, who begins by dropping the triggers.
//
// Covers: T76
func TestVerifyNamesTheFirstBadRow(t *testing.T) {
	t.Parallel()
	swap := func(column string) string {
		return fmt.Sprintf(`update audit set %[1]s = (select a.%[1]s from audit a where a.seq = 5 - audit.seq) where seq in (2, 3)`, column)
	}
	cases := map[string]struct {
		statements []string
		seq        int64
		kind       audit.Kind
	}{
		"nothing but the triggers":    {},
		"a time changed":              {[]string{`update audit set at = '2020-01-01T00:00:00Z' where seq = 3`}, 3, audit.Changed},
		"an actor changed":            {[]string{`update audit set actor = '{"id":9,"login":"eve"}' where seq = 3`}, 3, audit.Changed},
		"an action changed":           {[]string{`update audit set action = 'unlock' where seq = 3`}, 3, audit.Changed},
		"an outcome changed":          {[]string{`update audit set outcome = 'refused' where seq = 5`}, 5, audit.Changed},
		"an origin changed":           {[]string{`update audit set origin = 'merge' where seq = 1`}, 1, audit.Changed},
		"a subject changed":           {[]string{`update audit set subject = '{}' where seq = 3`}, 3, audit.Changed},
		"a hash changed":              {[]string{`update audit set hash = upper(hash) where seq = 3`}, 3, audit.Changed},
		"a link changed":              {[]string{`update audit set prev = '' where seq = 3`}, 3, audit.Changed},
		"a version changed":           {[]string{`update audit set version = 1 where seq = 3`}, 3, audit.Changed},
		"text made bytes":             {[]string{`update audit set subject = cast(subject as blob) where seq = 3`}, 3, audit.Changed},
		"text moved to the next cell": {[]string{`update audit set outcome = outcome || origin, origin = '' where seq = 3`}, 3, audit.Changed},
		"the first row removed":       {[]string{`delete from audit where seq = 1`}, 1, audit.Missing},
		"a row removed":               {[]string{`delete from audit where seq = 3`}, 3, audit.Missing},
		"the last row removed":        {[]string{`delete from audit where seq = 5`}, 5, audit.TailCut},
		"all rows removed":            {[]string{`delete from audit`}, 1, audit.TailCut},
		"a row removed and the others moved up": {[]string{`delete from audit where seq = 3`,
			`update audit set seq = seq - 1 where seq = 4`, `update audit set seq = seq - 1 where seq = 5`}, 3, audit.Swapped},
		"two rows swapped": {[]string{swap("at"), swap("actor"), swap("origin"), swap("subject"), swap("prev"), swap("hash")}, 2, audit.Swapped},
		"the numbers of two rows swapped": {[]string{`update audit set seq = -1 where seq = 2`, `update audit set seq = 2 where seq = 3`,
			`update audit set seq = 3 where seq = -1`}, 2, audit.Swapped},
		"a row put between": {[]string{`update audit set seq = 6 where seq = 5`, `update audit set seq = 5 where seq = 4`,
			`insert into audit select 4, at, actor, action, outcome, origin, subject, prev, hash, version from audit where seq = 3`}, 4, audit.Swapped},
		"a row put before": {[]string{`insert into audit select 0, at, actor, action, outcome, origin, subject, prev, hash, version from audit where seq = 3`}, 0, audit.Added},
		"a row appended":   {[]string{`insert into audit select 6, at, actor, action, outcome, origin, subject, hash, hash, version from audit where seq = 5`}, 6, audit.Changed},
		"the end moved":    {[]string{`update audit_head set seq = 4, hash = (select hash from audit where seq = 4)`}, 5, audit.Added},
		"the end lost":     {[]string{`drop trigger audit_head_no_delete`, `delete from audit_head`}, 0, audit.TailCut},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := ledger(t, 5)
			statements := append([]string{`drop trigger audit_no_update`, `drop trigger audit_no_delete`}, c.statements...)
			if err := execute(t, db, statements...); err != nil {
				t.Fatal(err)
			}
			r := verify(t, db)
			switch {
			case c.statements == nil && (r.Flaw != nil || r.Rows != 5):
				t.Errorf("%d rows hold, flaw %v", r.Rows, r.Flaw)
			case c.statements != nil && (r.Flaw == nil || r.Flaw.Seq != c.seq || r.Flaw.Kind != c.kind):
				t.Errorf("flaw = %+v, want row %d %s", r.Flaw, c.seq, c.kind)
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
		"the removal of the end":    `delete from audit_head`,
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

// Covers: R41
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

package audit_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/audit"
	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/store"
)

// backup copies the database, as it is now, to bring it back later.
func backup(t *testing.T, db *store.DB, dir string) (restore func() *store.DB) {
	t.Helper()
	file := filepath.Join(dir, "tollgate.db")
	copied := filepath.Join(t.TempDir(), "backup.db")
	if _, err := db.Pool().ExecContext(t.Context(), `vacuum into ?`, copied); err != nil {
		t.Fatal(err)
	}
	return func() *store.DB {
		t.Helper()
		_ = db.Close()
		b, err := os.ReadFile(copied)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range []string{file + "-wal", file + "-shm"} {
			_ = os.Remove(f)
		}
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		again, err := store.Open(t.Context(), file)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = again.Close() })
		return again
	}
}

func hold(t *testing.T, db *store.DB, dir string) (*audit.Anchor, *audit.Flaw) {
	t.Helper()
	a, err := audit.Hold(t.Context(), db, dir)
	if err != nil {
		t.Fatal(err)
	}
	flaw, err := a.Held(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return a, flaw
}

func acknowledge(t *testing.T, db *store.DB, dir string) *audit.Flaw {
	t.Helper()
	flaw, err := audit.Acknowledge(t.Context(), db, dir, audit.Entry{Actor: change.User{ID: 1000, Login: "ada"}, Kind: audit.ActorOS,
		Action: audit.ActionAcknowledge, Outcome: audit.Allowed, Origin: "terminal", Subject: map[string]any{"by": "Ada", "reason": "disk broke"}})
	if err != nil {
		t.Fatal(err)
	}
	return flaw
}

// A backup is noticed by the next start and by verify, also when the server has written on top of
// it, until a person has said that it is known. What they said stays in the ledger.
//
// Covers: R36, T76
func TestARestoredDatabaseIsNoticed(t *testing.T) {
	t.Parallel()
	db, dir := anchored(t, 4)
	restore := backup(t, db, dir)
	if _, flaw := hold(t, db, dir); flaw != nil {
		t.Fatalf("before anything was restored: %v", flaw)
	}
	for n := range 3 {
		if err := appendTo(t, db, entry(n)); err != nil {
			t.Fatal(err)
		}
	}
	db = restore()
	if r := verifyWith(t, db, dir); r.Flaw == nil || r.Flaw.Kind != audit.Older || !strings.Contains(r.Flaw.Text, "row 7") {
		t.Errorf("verify: %+v", r.Flaw)
	}
	a, flaw := hold(t, db, dir)
	if flaw == nil || flaw.Kind != audit.Older {
		t.Fatalf("start: %+v", flaw)
	}
	for n := range 5 { // past row 7, to be mistaken for it
		if err := appendTo(t, db, entry(n+100)); err != nil {
			t.Fatal(err)
		}
	}
	if _, flaw := hold(t, db, dir); flaw == nil || flaw.Kind != audit.Older {
		t.Errorf("start after more rows: %+v", flaw)
	}
	if r := verifyWith(t, db, dir); r.Flaw == nil || r.Flaw.Seq != 5 {
		t.Errorf("verify after more rows: %+v", r.Flaw)
	}
	if flaw := acknowledge(t, db, dir); flaw == nil || flaw.Kind != audit.Older {
		t.Errorf("acknowledged: %+v", flaw)
	}
	if flaw, err := a.Held(t.Context()); flaw != nil || err != nil {
		t.Errorf("the server that runs still refuses: %v, %v", flaw, err)
	}
	if err := appendTo(t, db, entry(9)); err != nil {
		t.Fatal(err)
	}
	r := verifyWith(t, db, dir)
	if r.Flaw != nil || r.Rows != 11 || len(r.Back) != 1 || !strings.Contains(r.Back[0].Subject, "disk broke") || !strings.Contains(r.Back[0].Subject, `"anchor_row":7`) {
		t.Errorf("after the acknowledgement: %+v", r)
	}
	if flaw := acknowledge(t, db, dir); flaw != nil {
		t.Errorf("there was nothing to acknowledge, but %v", flaw)
	}
	// What was anchored before the backup is anchored still.
	if err := execute(t, db, `drop trigger audit_no_delete`, `delete from audit where seq > 3`, `update audit_head set seq = 3, hash = (select hash from audit where seq = 3)`); err != nil {
		t.Fatal(err)
	}
	if _, flaw := hold(t, db, dir); flaw == nil {
		t.Error("a second restoration is not noticed")
	}
}

// Covers: R36, T76
func TestWhatTheAnchorNotices(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		do   func(t *testing.T, db *store.DB, dir string) error
		kind audit.Kind
	}{
		"nothing":                           {func(*testing.T, *store.DB, string) error { return nil }, ""},
		"a torn line, as a crash leaves it": {func(_ *testing.T, _ *store.DB, dir string) error { return appendFile(dir, `{"seq":9,"ha`) }, ""},
		"the anchor removed": {func(_ *testing.T, _ *store.DB, dir string) error {
			return os.Remove(filepath.Join(dir, "ledger.anchor"))
		}, audit.AnchorGone},
		"a line that somebody else wrote": {func(_ *testing.T, _ *store.DB, dir string) error {
			return appendFile(dir, `{"seq":9,"hash":"x","at":"2026-01-01T00:00:00Z","mac":"00"}`+"\n")
		}, audit.AnchorForged},
		"a line changed": {func(_ *testing.T, _ *store.DB, dir string) error {
			file := filepath.Join(dir, "ledger.anchor")
			b, err := os.ReadFile(file)
			return errors.Join(err, os.WriteFile(file, bytes.Replace(b, []byte(`"seq":3`), []byte(`"seq":2`), 1), 0o600))
		}, audit.AnchorForged},
		"the end cut off": {func(t *testing.T, db *store.DB, _ string) error {
			return execute(t, db, `drop trigger audit_no_delete`, `delete from audit where seq > 2`)
		}, audit.TailCut},
		"a new database": {func(t *testing.T, db *store.DB, _ string) error {
			return execute(t, db, `drop trigger audit_no_delete`, `delete from audit`, `update audit_head set seq = 0, hash = '', anchored = 0`)
		}, audit.Older},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, dir := anchored(t, 3)
			if err := c.do(t, db, dir); err != nil {
				t.Fatal(err)
			}
			_, flaw := hold(t, db, dir)
			if c.kind == "" {
				if flaw != nil {
					t.Fatalf("held: %v", flaw)
				}
			} else {
				if flaw == nil || flaw.Kind != c.kind {
					t.Fatalf("flaw = %+v, want %s", flaw, c.kind)
				}
				if r := verifyWith(t, db, dir); r.Flaw == nil {
					t.Error("verify does not see it")
				}
				if flaw := acknowledge(t, db, dir); flaw == nil || flaw.Kind != c.kind {
					t.Errorf("acknowledged: %+v", flaw)
				}
			}
			if err := appendTo(t, db, entry(9)); err != nil {
				t.Errorf("the ledger takes no more rows: %v", err)
			}
			if _, flaw := hold(t, db, dir); flaw != nil {
				t.Errorf("afterwards: %v", flaw)
			}
			if r := verifyWith(t, db, dir); r.Flaw != nil || r.Since != 0 {
				t.Errorf("verify afterwards: %+v", r)
			}
		})
	}
}

func appendFile(dir, text string) error {
	f, err := os.OpenFile(filepath.Join(dir, "ledger.anchor"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// A ledger of before there were anchors gets one with the first start.
func TestAnOlderLedgerGetsAnAnchor(t *testing.T) {
	t.Parallel()
	db := ledger(t, 3)
	dir := t.TempDir()
	if _, flaw := hold(t, db, dir); flaw != nil {
		t.Fatal(flaw)
	}
	if r := verifyWith(t, db, dir); r.Flaw != nil || r.Anchored != 1 || r.Since != 0 {
		t.Errorf("%+v", r)
	}
}

// The row after one that could not be marked is refused, until the mark could be made up for:
// else a cut would hide as many rows as the disk was full for.
//
// Covers: R28
func TestNoRowWithoutItsMark(t *testing.T) {
	t.Parallel()
	db, dir := anchored(t, 2)
	file := filepath.Join(dir, "ledger.anchor")
	kept, err := os.ReadFile(file)
	if err == nil {
		err = errors.Join(os.Remove(file), os.Mkdir(file, 0o700)) // nothing can be written there, not even by root
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := appendTo(t, db, entry(3)); err != nil {
		t.Errorf("the row that meets the fault: %v", err)
	}
	if err := appendTo(t, db, entry(4)); err == nil || !strings.Contains(err.Error(), "The ledger's anchor cannot be written") {
		t.Errorf("the next: %v", err)
	}
	if got := len(rows(t, db)); got != 3 {
		t.Errorf("%d rows", got)
	}
	if err := errors.Join(os.Remove(file), os.WriteFile(file, kept, 0o600), appendTo(t, db, entry(4))); err != nil {
		t.Error(err)
	}
	if r := verifyWith(t, db, dir); r.Flaw != nil || r.Anchored != 4 {
		t.Errorf("%+v", r)
	}
}

// A transaction that is not committed leaves no mark, and what is read leaves none either.
func TestOnlyWhatWasCommittedIsMarked(t *testing.T) {
	t.Parallel()
	db, dir := anchored(t, 2)
	no := errors.New("no")
	err := db.Write(t.Context(), func(tx *store.Tx) error { return errors.Join(audit.Append(context.Background(), tx, entry(3)), no) })
	if !errors.Is(err, no) {
		t.Fatal(err)
	}
	if r := verifyWith(t, db, dir); r.Flaw != nil || r.Rows != 2 || r.Since != 0 {
		t.Errorf("%+v", r)
	}
	if err := appendTo(t, db, entry(3)); err != nil {
		t.Fatal(err)
	}
	if r := verifyWith(t, db, dir); r.Flaw != nil || r.Rows != 3 || r.Since != 0 {
		t.Errorf("%+v", r)
	}
}

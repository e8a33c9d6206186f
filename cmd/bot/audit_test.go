package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/audit"
	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/store"
)

// ledger makes a data directory whose ledger has three rows, and runs statements on it as someone
// who owns the database could.
func ledger(t *testing.T, statements ...string) string {
	t.Helper()
	dir := t.TempDir()
	db, err := store.Open(t.Context(), filepath.Join(dir, "tollgate.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Write(t.Context(), func(tx *store.Tx) error {
		for _, action := range []string{"apply", "apply.end", "unlock"} {
			e := audit.Entry{Actor: change.User{ID: 1, Login: "ada"}, Action: action, Outcome: "allowed", Origin: "merge", Subject: map[string]any{"pull": 7}}
			if err := audit.Append(t.Context(), tx, e); err != nil {
				return err
			}
		}
		for _, s := range statements {
			if _, err := tx.SQL.ExecContext(t.Context(), s); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestAuditVerify(t *testing.T) {
	t.Parallel()
	const unlocked = `drop trigger audit_no_update`
	cases := map[string]struct {
		statements []string
		status     int
		want       string
	}{
		"as it was written":    {nil, 0, "The ledger holds: 3 rows, each continuing the one before."},
		"without its triggers": {[]string{unlocked}, 0, "The ledger holds: 3 rows"},
		"with an outcome changed": {[]string{unlocked, `update audit set outcome = 'refused' where seq = 2`}, 1,
			"The ledger does not hold: row 2 does not continue row 1: the ledger was changed here."},
		"with a row removed": {[]string{`drop trigger audit_no_delete`, `delete from audit where seq = 1`}, 1, "row 2 does not continue row 0"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := ledger(t, c.statements...)
			got := call{}.bot(t, "audit", "verify", "--data-dir", dir)
			got.expect(t, c.status, c.want)
			if got.stderr != "" || strings.Count(got.stdout, "\n") != 1 {
				t.Errorf("stdout %q, stderr %q", got.stdout, got.stderr)
			}
			call{environ: []string{"TOLLGATE_DATA_DIR=" + dir}}.bot(t, "audit", "verify").expect(t, c.status, c.want)
		})
	}
}

func TestAuditExport(t *testing.T) {
	t.Parallel()
	got := call{}.bot(t, "audit", "export", "--data-dir", ledger(t))
	got.expect(t, 0)
	var actions []string
	prev := ""
	for line := range strings.Lines(got.stdout) {
		var r audit.Row
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if r.Prev != prev || r.Actor != `{"id":1,"login":"ada"}` || r.Subject != `{"pull":7}` {
			t.Errorf("row %+v", r)
		}
		actions, prev = append(actions, r.Action), r.Hash
	}
	if text := strings.Join(actions, " "); text != "apply apply.end unlock" {
		t.Errorf("actions = %s", text)
	}
}

func TestAuditWithoutADatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, command := range []string{"verify", "export"} {
		got := call{}.bot(t, "audit", command, "--data-dir", dir)
		got.expect(t, 2, "Error: There is no database in the data directory.", "Give the server's directory with --data-dir.")
		if got.stdout != "" {
			t.Errorf("stdout = %q", got.stdout)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
		t.Errorf("a question made %v, %v", left, err)
	}
}

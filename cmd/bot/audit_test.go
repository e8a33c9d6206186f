package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
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

func appendTo(t *testing.T, dir string, e audit.Entry) {
	t.Helper()
	db, err := store.Open(t.Context(), filepath.Join(dir, "tollgate.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Write(t.Context(), func(tx *store.Tx) error { return audit.Append(t.Context(), tx, e) }); err != nil {
		t.Fatal(err)
	}
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
		"without its triggers": {[]string{unlocked}, 0, "Last row 3: sha256 "},
		"with an outcome changed": {[]string{unlocked, `update audit set outcome = 'refused' where seq = 2`}, 1,
			"The ledger does not hold: row 2 was changed: its hash does not fit its content.\nRows 1 to 1 hold, until "},
		"with a row removed":     {[]string{`drop trigger audit_no_delete`, `delete from audit where seq = 1`}, 1, "row 1 is missing: row 0 is followed by row 2."},
		"with its end cut off":   {[]string{`drop trigger audit_no_delete`, `delete from audit where seq = 3`}, 1, "the end was cut off: row 3 was written last"},
		"with another last hash": {[]string{`update audit_head set hash = 'x'`}, 1, "row 3, the last, was changed and hashed again"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := ledger(t, c.statements...)
			got := call{}.bot(t, "audit", "verify", "--data-dir", dir)
			got.expect(t, c.status, c.want)
			if got.stderr != "" {
				t.Errorf("stderr %q", got.stderr)
			}
			call{environ: []string{"TOLLGATE_DATA_DIR=" + dir}}.bot(t, "audit", "verify").expect(t, c.status, c.want)
			moved := filepath.Join(t.TempDir(), "elsewhere.db")
			if err := os.Rename(filepath.Join(dir, "tollgate.db"), moved); err != nil {
				t.Fatal(err)
			}
			call{}.bot(t, "audit", "verify", "--data-dir", dir, "--database", "sqlite:"+moved).expect(t, c.status, c.want)
		})
	}
}

// An export is checked where there is nothing but the file, and so is an extract, which says what
// it proves. That it was made stands in the ledger.
func TestAuditExport(t *testing.T) {
	t.Parallel()
	dir := ledger(t)
	for name, c := range map[string]struct {
		flags []string
		want  string
		rows  []string
	}{
		"whole":   {nil, "It proves itself only.", []string{"apply", "apply.end", "unlock"}},
		"extract": {[]string{"--pull", "8", "--since", "2020-01-01"}, "It is an extract (pull request 8, since 2020-01-01T00:00:00Z)", nil},
	} {
		got := call{}.bot(t, append([]string{"audit", "export", "--data-dir", dir}, c.flags...)...)
		got.expect(t, 0)
		var actions []string
		for line := range strings.Lines(got.stdout) {
			var x struct{ Row *audit.Row }
			if err := json.Unmarshal([]byte(line), &x); err != nil {
				t.Fatalf("%s: %q: %v", name, line, err)
			}
			if x.Row != nil && x.Row.Action != audit.ActionExport {
				actions = append(actions, x.Row.Action)
			}
		}
		if !slices.Equal(actions, c.rows) {
			t.Errorf("%s: actions = %s", name, actions)
		}
		file := filepath.Join(t.TempDir(), "ledger.jsonl")
		if err := os.WriteFile(file, []byte(got.stdout), 0o600); err != nil {
			t.Fatal(err)
		}
		call{}.bot(t, "audit", "verify", file).expect(t, 0, "The ledger holds: ", c.want)
		if err := os.WriteFile(file, []byte(strings.Replace(got.stdout, `"seq":2`, `"seq":3`, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		call{}.bot(t, "audit", "verify", file).expect(t, 1, "row 2 is missing")
	}
	call{}.bot(t, "audit", "verify", "--data-dir", dir).expect(t, 0, "5 rows", "The anchor confirms it up to the last row.")
	call{}.bot(t, "audit", "export", "--data-dir", dir, "--since", "yesterday").expect(t, 2, `The flag --since is no day and no time: "yesterday".`)
}

func TestAuditShow(t *testing.T) {
	t.Parallel()
	dir := ledger(t)
	appendTo(t, dir, audit.Entry{Actor: change.User{ID: 1, Login: "ada"}, Action: audit.ActionApply, Outcome: audit.Allowed, Origin: "comment 5",
		Subject: map[string]any{"execution": "x1", "repository": 11, "name": "acme/shop", "pull": 7, "project": "payments", "commit": "c0ffee", "policies": "sha256:rules",
			"approvers": []audit.Approver{{ID: 2, Login: "bob", Review: 31, At: "2026-01-02T03:04:05Z"}}}})
	want := []string{"payments of pull request #7 in acme/shop", "ada (1), comment 5", "bob (2), review 31 at 2026-01-02T03:04:05Z", "c0ffee", "sha256:rules", "rows 4; "}
	call{}.bot(t, "audit", "show", "--data-dir", dir, "--repo", "acme/shop", "--pull", "7").expect(t, 0, want...)
	call{}.bot(t, "audit", "show", "--data-dir", dir, "--project", "network").expect(t, 0, "No apply matches.")
	call{}.bot(t, "audit", "show", "--data-dir", dir, "--format", "json").expect(t, 0, `"execution":"x1"`, `"approvers":[{"id":2,"login":"bob"`)
	file := filepath.Join(t.TempDir(), "ledger.jsonl")
	if err := os.WriteFile(file, []byte(call{}.bot(t, "audit", "export", "--data-dir", dir).stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	call{}.bot(t, "audit", "show", file).expect(t, 0, want...)
}

// Covers: R36
func TestAuditAcknowledge(t *testing.T) {
	t.Parallel()
	dir := ledger(t)
	call{}.bot(t, "audit", "acknowledge", "--data-dir", dir, "--by", "Ada", "--reason", "none").expect(t, 0, "There is nothing to acknowledge")
	call{}.bot(t, "audit", "acknowledge", "--data-dir", dir, "--by", "Ada").expect(t, 2, "Give --by NAME and --reason TEXT.")
	kept, err := os.ReadFile(filepath.Join(dir, "tollgate.db"))
	if err != nil {
		t.Fatal(err)
	}
	call{}.bot(t, "audit", "export", "--data-dir", dir).expect(t, 0)
	if err := os.WriteFile(filepath.Join(dir, "tollgate.db"), kept, 0o600); err != nil {
		t.Fatal(err)
	}
	call{}.bot(t, "audit", "verify", "--data-dir", dir).expect(t, 1, "The ledger does not hold: the database is older than its anchor: row 4 ")
	call{}.bot(t, "audit", "acknowledge", "--data-dir", dir, "--by", "Ada", "--reason", "the disk broke").expect(t, 0, "Acknowledged: the database is older than its anchor")
	call{}.bot(t, "audit", "verify", "--data-dir", dir).expect(t, 0, "The ledger holds: 4 rows", "a database that was older than the anchor was accepted", "the disk broke")
}

func TestAuditWithoutADatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, command := range []string{"verify", "export", "show"} {
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

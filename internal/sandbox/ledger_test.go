package sandbox_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/tollgate/tollgate/internal/audit"
	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/sandbox"
	"github.com/tollgate/tollgate/internal/toolchain"
)

// dataDir is the server's data directory.
func dataDir(w *sandbox.World) string {
	return w.Bot.Args[slices.Index(w.Bot.Args, "--data-dir")+1]
}

// bot runs a command of the program on the server's data directory.
func bot(t testing.TB, w *sandbox.World, status int, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), w.Bot.Program, append(args, "--data-dir", dataDir(w))...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run()
	if got := cmd.ProcessState.ExitCode(); got != status {
		t.Fatalf("%v: exit status %d, want %d\n%s%s", args, got, status, &out, &errs)
	}
	return out.String()
}

// onDatabase runs statements as somebody who owns the database could, while the server runs.
func onDatabase(t testing.TB, w *sandbox.World, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dataDir(w), "tollgate.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// ledgerOf reads the server's ledger through an export that has to prove itself.
func ledgerOf(t testing.TB, w *sandbox.World) (out []audit.Row) {
	t.Helper()
	r, _, err := audit.VerifyExport(strings.NewReader(bot(t, w, 0, "audit", "export")), func(r audit.Row) error { out = append(out, r); return nil })
	if err != nil || r.Flaw != nil {
		t.Fatalf("the export does not hold: %v, %v", err, r.Flaw)
	}
	return out
}

// A day with a server, and every decision of it has a row with who, what, when, whether it was
// allowed, from where, and to what. While a row cannot be written nothing runs; afterwards the same
// request does. The check of the apply names the ledger's row and its hash.
//
// Covers: T76, T75
func TestEveryDecisionHasItsRow(t *testing.T) {
	t.Parallel()
	w := startSmall(t, one)
	if _, err := w.GitHub.CreateUser(ghsim.User{Login: "mallory", Name: "Mallory"}); err != nil {
		t.Fatal(err)
	}
	if err := w.Repo.Grant("mallory", "read"); err != nil {
		t.Fatal(err)
	}
	p := propose(t, w, "two", map[string]string{"app/main.tf": strings.Replace(one, "one", "two", 1)})
	head := p.Info().HeadSHA
	want(t, w, head, "tollgate", "success")
	answered(t, p, "mallory", "/apply", "write permission")
	answered(t, p, sandbox.Author, "/apply", "may not be applied")
	answered(t, p, sandbox.Author, "/cancel", "Nothing to cancel")
	if _, err := p.Comment(sandbox.Author, "/plan"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a second verdict is in the ledger", func() bool { return len(actions(ledgerOf(t, w))["plan.verdict allowed"]) == 2 })
	if err := p.Approve(sandbox.Reviewer); err != nil {
		t.Fatal(err)
	}
	onDatabase(t, w, `create trigger audit_is_full before insert on audit when new.action = 'apply' begin select raise(abort, 'the disk is full'); end`)
	if _, err := p.Comment(sandbox.Author, "/apply"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the apply fails for want of a row", func() bool {
		log, _ := os.ReadFile(w.Bot.Log)
		return bytes.Contains(log, []byte("the disk is full"))
	})
	if n := len(startedApplies(t, w)); n > 0 {
		t.Fatalf("%d executions without a row in the ledger", n)
	}
	onDatabase(t, w, `drop trigger audit_is_full`)
	c := want(t, w, head, "tollgate/apply: app", "success")
	if n := len(startedApplies(t, w)); n != 1 {
		t.Errorf("%d executions", n)
	}
	if err := w.Bot.Stop(); err != nil {
		t.Fatal(err)
	}
	rows := ledgerOf(t, w)
	got := actions(rows)
	for _, action := range []string{"server.start succeeded", "schema.upgrade succeeded", "plan.verdict allowed", "apply refused", "cancel allowed", "plan allowed",
		"apply allowed", "apply.start succeeded", "apply.end succeeded", "apply.proof succeeded", "audit.export allowed", "server.stop succeeded"} {
		if len(got[action]) == 0 {
			t.Errorf("no row says %s", action)
		}
	}
	last := got["apply.proof succeeded"][0]
	if line := fmt.Sprintf("ledger row %d, sha256 `%s`", last.Seq, last.Hash); !strings.Contains(c.Summary, line) {
		t.Errorf("the check does not say %q:\n%s", line, c.Summary)
	}
	show := bot(t, w, 0, "audit", "show", "--repo", "acme/payments", "--pull", fmt.Sprint(p.Number()))
	for _, text := range []string{"app of pull request #", sandbox.Author, sandbox.Reviewer, "review ", "succeeded", last.Hash} {
		if !strings.Contains(show, text) {
			t.Errorf("bot audit show does not say %q:\n%s", text, show)
		}
	}
	t.Logf("bot audit verify:\n%s\nbot audit show:\n%s", bot(t, w, 0, "audit", "verify"), show)
}

// actions are the rows by what they say happened. Each has the six fields of PCI DSS 10.2.2.
func actions(rows []audit.Row) map[string][]audit.Row {
	out := map[string][]audit.Row{}
	for _, r := range rows {
		var who struct {
			ID    int64
			Login string
			Kind  string
		}
		var what map[string]any
		key := r.Action + " " + r.Outcome
		if json.Unmarshal([]byte(r.Actor), &who) != nil || who.Login == "" || who.ID == 0 && who.Kind != audit.ActorOS ||
			json.Unmarshal([]byte(r.Subject), &what) != nil || len(what) == 0 || r.At == "" || r.Action == "" || r.Outcome == "" || r.Origin == "" {
			key = "incomplete: " + key
		}
		out[key] = append(out[key], r)
	}
	return out
}

// startedApplies are the executions that the server's data directory has traces of.
func startedApplies(t testing.TB, w *sandbox.World) []string {
	t.Helper()
	started, err := filepath.Glob(filepath.Join(dataDir(w), "executions", "*", "run", "started.json"))
	if err != nil {
		t.Fatal(err)
	}
	return started
}

// A database from before the apply does not know of it. The server says so and applies nothing,
// not even what it was asked for anew, until a person has acknowledged it.
//
// Covers: R36
func TestARestoredDatabaseAppliesNothing(t *testing.T) {
	t.Parallel()
	found := parts(t, toolchain.Terraform, toolchain.Git)
	w, witness := startUnjudged(t, sandbox.Config{Terraform: found.Terraform, Files: small(one)})
	// The row of the apply is lost with the database, and so is how it ended.
	witness.expected = []string{"O3: check \"tollgate/apply: app\"", "O4: Terraform applied"}
	t.Cleanup(func() { witness.judge(t, w) })
	p := propose(t, w, "two", map[string]string{"app/main.tf": strings.Replace(one, "one", "two", 1)})
	head := p.Info().HeadSHA
	want(t, w, head, "tollgate", "success")
	if err := p.Approve(sandbox.Reviewer); err != nil {
		t.Fatal(err)
	}
	if err := w.Bot.Stop(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dataDir(w), "tollgate.db")
	kept := filepath.Join(t.TempDir(), "backup.db")
	onDatabase(t, w, `vacuum into '`+kept+`'`)
	start := func() {
		t.Helper()
		if err := w.Bot.Start(context.WithoutCancel(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	start()
	if _, err := p.Comment(sandbox.Author, "/apply"); err != nil {
		t.Fatal(err)
	}
	want(t, w, head, "tollgate/apply: app", "success")
	if err := w.Bot.Stop(); err != nil {
		t.Fatal(err)
	}
	backup, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = os.Remove(file+"-wal"), os.Remove(file+"-shm")
	if err := os.WriteFile(file, backup, 0o600); err != nil {
		t.Fatal(err)
	}
	if out := bot(t, w, 1, "audit", "verify"); !strings.Contains(out, "the database is older than its anchor") {
		t.Errorf("verify says %s", out)
	}
	start()
	if log, _ := os.ReadFile(w.Bot.Log); !bytes.Contains(log, []byte("NOTHING IS APPLIED until a person has looked")) {
		t.Error("the server's log does not say so")
	}
	answered(t, p, sandbox.Author, "/apply", "the database of this server was restored from a backup")
	if n := len(startedApplies(t, w)); n != 1 {
		t.Fatalf("%d executions, want the one of before", n)
	}
	bot(t, w, 0, "audit", "acknowledge", "--by", "Ada", "--reason", "the disk broke; the apply was looked at")
	answered(t, p, sandbox.Author, "/resolve app applied The apply was looked at.", "is resolved as applied")
	// The twin: now another change is planned and applied.
	q := propose(t, w, "three", map[string]string{"app/main.tf": strings.Replace(one, "one", "three", 1)})
	want(t, w, q.Info().HeadSHA, "tollgate", "success")
	if err := q.Approve(sandbox.Reviewer); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Comment(sandbox.Author, "/apply"); err != nil {
		t.Fatal(err)
	}
	want(t, w, q.Info().HeadSHA, "tollgate/apply: app", "success")
	if got := actions(ledgerOf(t, w)); len(got["audit.restored refused"]) != 1 || len(got["audit.acknowledge allowed"]) != 1 {
		t.Errorf("the ledger does not tell of it: %v", got)
	}
	bot(t, w, 0, "audit", "verify")
}

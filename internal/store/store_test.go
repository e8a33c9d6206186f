package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/store"
)

func open(t *testing.T, file string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func fresh(t *testing.T) *store.DB {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "tollgate.db"))
}

// write runs f in a transaction that must be committed.
func write(t *testing.T, db *store.DB, f func(context.Context, *store.Tx) error) {
	t.Helper()
	if err := db.Write(t.Context(), func(tx *store.Tx) error { return f(t.Context(), tx) }); err != nil {
		t.Fatal(err)
	}
}

// read returns what f finds.
func read[T any](t *testing.T, db *store.DB, f func(context.Context, *store.Tx) (T, error)) T {
	t.Helper()
	out, err := store.Read(t.Context(), db, func(tx *store.Tx) (T, error) { return f(t.Context(), tx) })
	if err != nil {
		t.Fatal(err)
	}
	return out
}

const repo = 11

// addRun adds a run of a pull request that has none that is active.
func addRun(t *testing.T, db *store.DB, number int, id string) store.Run {
	t.Helper()
	r := store.Run{ID: id, RepoID: repo, Number: number, HeadSHA: "head of " + id, BaseRef: "main", Reason: "opened", Owner: "boot-1"}
	write(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.AddRun(ctx, &r) })
	return r
}

func moveRun(t *testing.T, db *store.DB, id string, states ...change.RunState) {
	t.Helper()
	for _, s := range states {
		write(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.MoveRun(ctx, id, s, nil) })
	}
}

// addPlan adds a run of its own pull request with one plan.
func addPlan(t *testing.T, db *store.DB, number int, id string) store.Plan {
	t.Helper()
	run := addRun(t, db, number, "run of "+id)
	p := store.Plan{ID: id, RunID: run.ID, Project: change.Project{Name: "payments", Dir: "infrastructure"}, State: change.RunPassed, StateKey: "s3/bucket/" + id}
	write(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.PutPlan(ctx, p) })
	return p
}

func pull(number int, head string, isOpen bool) store.Pull {
	return store.Pull{Pull: change.Pull{Repo: change.Repo{ID: repo, InstallationID: 3, Owner: "acme", Name: "shop"}, Number: number,
		Title: "Say “hello”", Author: change.User{ID: 1, Login: "ada"}, Open: isOpen, HeadSHA: head, BaseRef: "main", Commits: 2}}
}

func TestAFileKeepsEverything(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "a directory with spaces & 100% signs?", "toll#gate.db")
	if err := os.Mkdir(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	db := open(t, file)
	p := pull(7, "c0ffee", true)
	p.Reviews = []change.Review{{ID: 5, Author: change.User{ID: 2, Login: "bob"}, State: "approved", CommitSHA: "c0ffee", Permission: "write"}}
	p.Authors = []change.Commit{{SHA: "c0ffee", Author: change.User{ID: 1, Login: "ada"}}}
	p.PushedAt, p.AllowedSHA, p.Note = time.UnixMilli(1_700_000_000_123).UTC(), "c0ffee", fault.New("What.", "Why.", "Fix.")
	run := addRun(t, db, 7, "r1")
	plan := store.Plan{ID: "p1", RunID: "r1", Project: change.Project{Name: "payments", Dir: "infrastructure", DependsOn: []string{"network"}},
		State: change.RunFailed, Fault: fault.New("What.", "", ""), Excerpt: "Error: no", Text: "~ update", Judged: 3, PolicyDigest: "sha256:1", Artifacts: `{"a":1}`, StateKey: "s3/b/k",
		Summary:  change.PlanSummary{Counts: change.Counts{Update: 1}, EffectDigest: "sha256:2", TerraformVersion: "1.11.4"},
		Findings: []change.Finding{{Policy: "plan.tls", Rule: "old", Address: `aws_lb.a["k"]`, Verdict: change.Fail, Severity: change.Deny, Line: 4}},
		Notices:  []change.Notice{{Kind: "expired", What: "It is over."}}, Waivers: []string{"plan.tls/old aws_lb.a"},
		StartedAt: time.UnixMilli(1_700_000_000_000).UTC(), FinishedAt: time.UnixMilli(1_700_000_001_000).UTC()}
	x := store.Execution{Execution: change.Execution{ID: "x1", PlanID: "p1", Project: plan.Project, Trigger: "comment", Actor: change.User{ID: 2, Login: "bob"}, CommitSHA: "c0ffee"},
		RepoID: repo, Number: 7, HeadSHA: "c0ffee", StateKey: "s3/b/k"}
	proof := &change.Proof{Counts: change.Counts{Update: 1}, Obligations: []change.Obligation{{Finding: plan.Findings[0], Verdict: change.Pass}}}
	preview := &change.Preview{Dir: "policies", Tests: change.PolicyTests{Passed: 3, Coverage: 97.5}}
	check := store.Check{ExternalID: "r1/tollgate", RepoID: repo, Number: 7, HeadSHA: "c0ffee", Name: "tollgate", GitHubID: 99, Sent: "digest"}
	begin := func(ctx context.Context, tx *store.Tx, want int) error {
		got, err := tx.BeginProof(ctx, "x1")
		if err == nil && got != want {
			err = fmt.Errorf("attempt %d, want %d", got, want)
		}
		return err
	}
	write(t, db, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.AddDelivery(ctx, "d1", "m1", "push")
		return errors.Join(err, tx.PutPull(ctx, p), tx.SetComment(ctx, repo, 7, 42, "sent", time.Time{}), tx.PutPlan(ctx, plan), tx.Claim(ctx, &x),
			tx.SetDeployment(ctx, "x1", 77, "queued"),
			tx.SetProof(ctx, "x1", proof), begin(ctx, tx, 1), begin(ctx, tx, 2), tx.SetPreview(ctx, "r1", preview), tx.SetNotices(ctx, "r1", plan.Notices), tx.PutCheck(ctx, check))
	})
	x.Proofs = 2
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	db = open(t, file)
	p.CommentID, p.CommentDigest = 42, "sent"
	run.CreatedAt = run.CreatedAt.Truncate(time.Millisecond)
	run.Config, run.Preview, run.Notices, x.Proof = "{}", preview, plan.Notices, proof
	x.CreatedAt, x.Deployment, x.DeploymentState = x.CreatedAt.Truncate(time.Millisecond), 77, "queued"
	same(t, p, read(t, db, func(ctx context.Context, tx *store.Tx) (store.Pull, error) { return tx.Pull(ctx, repo, 7) }))
	same(t, run, read(t, db, func(ctx context.Context, tx *store.Tx) (store.Run, error) { return tx.Run(ctx, "r1") }))
	same(t, plan, read(t, db, func(ctx context.Context, tx *store.Tx) (store.Plan, error) { return tx.Plan(ctx, "p1") }))
	same(t, x, read(t, db, func(ctx context.Context, tx *store.Tx) (store.Execution, error) { return tx.Execution(ctx, "x1") }))
	same(t, check, read(t, db, func(ctx context.Context, tx *store.Tx) (store.Check, error) { return tx.Check(ctx, "r1/tollgate") }))
	if read(t, db, func(ctx context.Context, tx *store.Tx) (bool, error) { return tx.AddDelivery(ctx, "d1", "m1", "push") }) {
		t.Error("the delivery is forgotten")
	}
}

func same[T any](t *testing.T, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%T (-want +got):\n%s", want, diff)
	}
}

func TestTheCauseOfAFaultIsNotKept(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	p := pull(1, "a", true)
	p.Note = fault.Wrap(errors.New("token=hunter2"), "What.", "Why.", "Fix.")
	write(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.PutPull(ctx, p) })
	got := read(t, db, func(ctx context.Context, tx *store.Tx) (store.Pull, error) { return tx.Pull(ctx, repo, 1) })
	same(t, fault.New("What.", "Why.", "Fix."), got.Note)
}

func TestAFailedTransactionLeavesNothing(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	no := errors.New("no")
	put := func(fail error) error {
		return db.Write(t.Context(), func(tx *store.Tx) error {
			return errors.Join(tx.PutPull(t.Context(), pull(1, "a", true)), fail)
		})
	}
	find := func() error {
		_, err := store.Read(t.Context(), db, func(tx *store.Tx) (store.Pull, error) { return tx.Pull(t.Context(), repo, 1) })
		return err
	}
	if err := put(no); !errors.Is(err, no) {
		t.Fatal(err)
	}
	if err := find(); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("after a transaction that failed: %v", err)
	}
	if err := errors.Join(put(nil), find()); err != nil {
		t.Errorf("after one that did not: %v", err)
	}
}

// raw runs a statement past the store, as someone with the file could.
func raw(t *testing.T, file, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func TestANewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tollgate.db")
	db := open(t, file)
	addRun(t, db, 1, "r1")
	_ = db.Close()
	raw(t, file, `insert into goose_db_version (version_id, is_applied) values (999, 1)`)
	var flt *fault.Error
	if _, err := store.Open(t.Context(), file); !errors.As(err, &flt) {
		t.Fatalf("error = %v, want a fault", err)
	}
	if flt.Err == nil || !strings.HasPrefix(flt.Err.Error(), "schema version 999 is newer than ") {
		t.Errorf("cause = %v", flt.Err)
	}
	raw(t, file, `delete from goose_db_version where version_id = 999`)
	same(t, "r1", read(t, open(t, file), func(ctx context.Context, tx *store.Tx) (store.Run, error) { return tx.Run(ctx, "r1") }).ID)
}

func TestAFileThatCannotBeOpenedIsAFault(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("This is not a database, however long one looks at it."), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]string{
		"the directory is missing":           filepath.Join(dir, "missing", "tollgate.db"),
		"the directory is a file":            filepath.Join(text, "tollgate.db"),
		"the directory is not to be written": "/proc/tollgate.db",
		"the file is a directory":            dir,
		"the file is something else":         text,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := store.Open(t.Context(), file)
			var flt *fault.Error
			if !errors.As(err, &flt) {
				t.Fatalf("error = %v, want a fault", err)
			}
			if flt.Err == nil || !strings.Contains(flt.What, file) || flt.Fix == "" {
				t.Errorf("the fault does not help: %+v", flt)
			}
		})
	}
	open(t, filepath.Join(dir, "tollgate.db"))
}

func TestPing(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	if err := db.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	_ = db.Close()
	if err := db.Ping(t.Context()); err == nil {
		t.Error("a closed database is said to be ready")
	}
}

func TestNewID(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		id := store.NewID()
		if len(id) != 32 || seen[id] {
			t.Fatalf("id %q: not 128 bits, or given twice", id)
		}
		seen[id] = true
	}
}

// What is wrong with the file may pass; what is wrong with a row does not.
//
// Covers: R24
func TestWhatMayPassIsToldFromWhatDoesNot(t *testing.T) {
	t.Parallel()
	for pragma, back := range map[string]string{"query_only = on": "query_only = off", "max_page_count = 1": "max_page_count = 1000000"} {
		db := fresh(t)
		set := func(pragma string) {
			t.Helper()
			if _, err := db.Pool().ExecContext(t.Context(), "pragma "+pragma); err != nil {
				t.Fatal(err)
			}
		}
		add := func(id string) error {
			return db.Write(t.Context(), func(tx *store.Tx) error {
				return tx.AddRun(t.Context(), &store.Run{ID: id, RepoID: repo, Number: 7, HeadSHA: strings.Repeat("x", 100_000), BaseRef: "main", Reason: "opened"})
			})
		}
		set(pragma)
		if err := add("a"); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: %v", pragma, err)
		}
		set(back)
		if err := add("a"); err != nil {
			t.Errorf("%s: %v", back, err)
		}
		if err := add("b"); !errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrUnavailable) {
			t.Errorf("a second run: %v", err)
		}
	}
}

// A claim that has been forgotten by a database from a backup is still behind the fence, and so is the next one.
//
// Covers: R25
func TestFenceOfAStateOnlyGrows(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	claim := func(number int, seen int64) int64 {
		t.Helper()
		p := addPlan(t, db, number, fmt.Sprint("p", number))
		x := store.Execution{Execution: change.Execution{ID: "x" + p.ID, PlanID: p.ID, Project: p.Project}, RepoID: repo, Number: number, StateKey: "k", Fence: seen}
		write(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.Claim(ctx, &x) })
		moveExecution(t, db, x.ID, change.ExecRunning, change.ExecApplied)
		return execution(t, db, x.ID).Fence
	}
	for i, c := range []struct{ seen, want int64 }{{0, 1}, {1, 2}, {0, 3}, {9, 10}, {2, 11}} {
		if got := claim(i, c.seen); got != c.want {
			t.Errorf("claim %d, whose server has seen %d, is number %d, want %d", i, c.seen, got, c.want)
		}
	}
}

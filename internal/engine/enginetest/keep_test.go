package enginetest_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tollgate/tollgate/internal/audit"
	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/engine"
	"github.com/tollgate/tollgate/internal/engine/enginetest"
	"github.com/tollgate/tollgate/internal/store"
)

// inDir is inWorld for a test that looks at the server's files.
func inDir(t *testing.T, play func(*testing.T, *enginetest.World, string)) {
	t.Helper()
	parts, err := parts()
	must(t, err)
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := enginetest.New(t, parts, dir, slog.New(slog.DiscardHandler))
		defer func() { must(t, w.Close()) }()
		play(t, w, dir)
	})
}

// files are the names of files by a pattern.
func files(t *testing.T, dir, pattern string) (out []string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	must(t, err)
	for _, f := range found {
		out = append(out, filepath.Base(f))
	}
	return out
}

// stored are the plans and their JSON, without claims.
func stored(t *testing.T, dir string) []string {
	t.Helper()
	return slices.DeleteFunc(files(t, dir, "artifacts/*"), func(f string) bool { return strings.HasSuffix(f, ".claim") })
}

// What is stored of plans goes when their pull request is closed, also if the server dies before it is all gone. When it
// is open again, it is planned again, and that is applied; the twin, which stays open, needs no other plan.
//
// Covers: T54
func TestNothingIsStoredOfAClosedPullRequest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ closed, dies bool }{"open": {}, "closed": {closed: true}, "the server dies": {dies: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inDir(t, func(t *testing.T, w *enginetest.World, dir string) {
				p := propose(t, w)
				settled(t, w)
				if n := len(stored(t, dir)); n != 2 {
					t.Fatalf("%d files of one plan, want the plan and its JSON", n)
				}
				wantPlan := 1
				switch {
				case c.closed:
					must(t, p.Close(enginetest.Ada))
					settled(t, w)
				case c.dies: // when it has only made up its mind
					w.Crash()
					db, err := store.Open(context.Background(), filepath.Join(dir, "tollgate.db"))
					must(t, err)
					must(t, db.Write(context.Background(), func(tx *store.Tx) error { return tx.DiscardPlans(context.Background(), w.Repo.ID(), p.Number()) }))
					must(t, db.Close())
					must(t, w.Boot())
				}
				if c.closed || c.dies {
					wantPlan = 2
					if left := stored(t, dir); len(left) > 0 {
						t.Errorf("still stored: %q", left)
					}
				}
				if c.closed {
					must(t, p.Reopen(enginetest.Ada))
					settled(t, w)
					if n := w.Cloud.Plans(); n != wantPlan {
						t.Errorf("%d plans after it was reopened, want %d", n, wantPlan)
					}
				}
				must(t, p.Approve(enginetest.Grace))
				settled(t, w)
				_, err := p.Comment(enginetest.Ada, "/apply")
				must(t, err)
				settled(t, w)
				applies := w.Cloud.Applies()
				if len(applies) != 1 || applies[0].Plan != wantPlan || applies[0].Ending != enginetest.Well {
					t.Errorf("applies: %+v, want one of plan %d\n%s", applies, wantPlan, texts(p))
				}
			})
		})
	}
}

// The log of an apply whose end nobody knows is encrypted as any other, and readable; its plan is deleted when somebody
// has resolved what happened.
//
// Covers: T54
func TestTheLogOfAnApplyOfUnknownEndIsEncrypted(t *testing.T) {
	t.Parallel()
	inDir(t, func(t *testing.T, w *enginetest.World, dir string) {
		w.Cloud.Next(enginetest.Killed)
		p := approved(t, w)
		_, err := p.Comment(enginetest.Ada, "/apply")
		must(t, err)
		settled(t, w)
		x := execution(t, w, p, 0)
		if x.State != change.ExecUnknown || x.Evidence == nil {
			t.Fatalf("the apply ended as %s, evidence %v", x.State, x.Evidence)
		}
		if clear := files(t, dir, "executions/*/run/output.log"); len(clear) > 0 {
			t.Error("the log is in clear")
		}
		if log, err := w.Server().Engine.ApplyLog(x); err != nil || string(log) != "terraform_data.first: Creating...\n" {
			t.Errorf("the log: %q, %v", log, err)
		}
		if n := len(stored(t, dir)); n != 2 {
			t.Errorf("%d files are stored before it is resolved, want the plan and its JSON", n)
		}
		_, err = p.Comment(enginetest.Grace, "/resolve app applied I have looked.")
		must(t, err)
		settled(t, w)
		if n := len(stored(t, dir)); n != 1 {
			t.Errorf("%d files are stored after that, want the JSON", n)
		}
	})
}

// A server that starts encrypts the logs that one before it left in clear, deletes those of no plan, and keeps none of a
// plan that it makes again.
//
// Covers: T54
func TestLogsThatAreLeftInClear(t *testing.T) {
	t.Parallel()
	inDir(t, func(t *testing.T, w *enginetest.World, dir string) {
		p := propose(t, w)
		settled(t, w)
		w.CrashAt(engine.PlanMade, 1)
		_, err := p.Comment(enginetest.Ada, "/plan")
		must(t, err)
		w.Let(10 * time.Second)
		if w.Server() != nil {
			t.Fatal("the server lives")
		}
		sealed := files(t, dir, "logs/*.sealed")
		for _, name := range append(sealed, "OF-NO-PLAN.log") {
			plain := filepath.Join(dir, "logs", strings.TrimSuffix(name, ".sealed"))
			must(t, os.WriteFile(plain, []byte("Terraform says.\n"), 0o600))
			_ = os.Remove(plain + ".sealed")
		}
		must(t, w.Boot())
		settled(t, w)
		var want []string
		runs, err := w.Runs(p.Number())
		must(t, err)
		for i, r := range runs {
			plans, err := store.Read(context.Background(), w.Server().DB, func(tx *store.Tx) ([]store.Plan, error) { return tx.PlansOf(context.Background(), r.ID, false) })
			must(t, err)
			want = append(want, plans[0].ID+".log.sealed")
			log, err := w.Server().Engine.PlanLog(r, plans[0])
			text := "Terraform will perform the following actions:\n"
			if i == len(runs)-1 {
				text = "Terraform says.\n"
			}
			if err != nil || string(log) != text {
				t.Errorf("log of run %d: %q, %v", len(runs)-i, log, err)
			}
		}
		slices.Sort(want)
		if got := files(t, dir, "logs/*"); !slices.Equal(got, want) {
			t.Errorf("logs %q, want %q", got, want)
		}
	})
}

// What is older than the time for which things are kept is deleted, and nothing else: not what is younger, not what
// belongs to an apply that nobody has resolved, no claim, and no row of the ledger.
//
// Covers: T54
func TestWhatIsOldIsDeleted(t *testing.T) {
	t.Parallel()
	inDir(t, func(t *testing.T, w *enginetest.World, dir string) {
		w.Crash()
		w.Keep = 6 * time.Hour
		must(t, w.Boot())
		begun(t, w) // is applied
		applied := execution(t, w, w.Repo.Pull(1), 0)
		w.Cloud.Next(enginetest.Killed)
		lost := numbered(t, w, 1)
		settled(t, w)
		must(t, lost.Approve(enginetest.Grace))
		settled(t, w)
		_, err := lost.Comment(enginetest.Ada, "/apply")
		must(t, err)
		settled(t, w)
		unknown := execution(t, w, lost, 0)
		old := numbered(t, w, 2)
		w.Let(4 * time.Hour)
		young := numbered(t, w, 3)
		settled(t, w)
		rows, claims := ledgerRows(t, w), len(files(t, dir, "artifacts/*.claim"))
		count := func() string {
			return fmt.Sprintf("%d stored, %d logs of plans, applies %v", len(stored(t, dir)), len(files(t, dir, "logs/*")), files(t, dir, "executions/*"))
		}
		both := []string{applied.ID, unknown.ID}
		slices.Sort(both)
		// Of the applied one the JSON is stored, of the others the plan as well.
		if got, want := count(), fmt.Sprintf("7 stored, 4 logs of plans, applies %v", both); got != want {
			t.Errorf("before: %s, want %s", got, want)
		}
		w.Let(3*time.Hour + time.Minute)
		if got, want := count(), fmt.Sprintf("4 stored, 2 logs of plans, applies [%s]", unknown.ID); got != want {
			t.Errorf("after: %s, want %s", got, want)
		}
		if n := len(files(t, dir, "artifacts/*.claim")); n != claims {
			t.Errorf("%d claims, want %d", n, claims)
		}
		if n := ledgerRows(t, w); n != rows {
			t.Errorf("%d rows in the ledger, want %d", n, rows)
		}
		for p, want := range map[int]bool{old.Number(): false, young.Number(): true} {
			runs, err := w.Runs(p)
			must(t, err)
			plans, err := store.Read(context.Background(), w.Server().DB, func(tx *store.Tx) ([]store.Plan, error) {
				return tx.PlansOf(context.Background(), runs[0].ID, false)
			})
			must(t, err)
			if log, err := w.Server().Engine.PlanLog(runs[0], plans[0]); err != nil || (log != nil) != want || plans[0].ExpiredAt.IsZero() != want {
				t.Errorf("log of #%d: %q, %v, expired at %s", p, log, err, plans[0].ExpiredAt)
			}
		}
	})
}

func ledgerRows(t *testing.T, w *enginetest.World) (n int) {
	t.Helper()
	must(t, w.Server().DB.Write(context.Background(), func(tx *store.Tx) error {
		return audit.Each(context.Background(), tx, func(audit.Row) error { n++; return nil })
	}))
	return n
}

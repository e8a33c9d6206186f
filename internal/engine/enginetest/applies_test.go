package enginetest_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/engine/enginetest"
	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/store"
)

// settled lets everything come to its end.
func settled(t *testing.T, w *enginetest.World) {
	t.Helper()
	w.Let(10 * time.Second)
	must(t, w.Settle(time.Hour))
}

// approved is a pull request with one resource more that Grace has approved.
func approved(t *testing.T, w *enginetest.World) *ghsim.Pull {
	t.Helper()
	p := propose(t, w)
	settled(t, w)
	must(t, p.Approve(enginetest.Grace))
	settled(t, w)
	return p
}

// says comments, and returns the comments that follow until all is settled.
func says(t *testing.T, w *enginetest.World, p *ghsim.Pull, by, command string) string {
	t.Helper()
	before := len(p.Comments())
	_, err := p.Comment(by, command)
	must(t, err)
	settled(t, w)
	var answers []string
	for _, c := range p.Comments()[before+1:] {
		answers = append(answers, c.Body)
	}
	return strings.Join(answers, "\n")
}

func refuses(t *testing.T, w *enginetest.World, p *ghsim.Pull, by, command, words string) {
	t.Helper()
	if got := says(t, w, p, by, command); !strings.Contains(got, "**Refused:**") || !strings.Contains(got, words) {
		t.Fatalf("%s by %s is answered with %q, want a refusal with %q", command, by, got, words)
	}
}

func execution(t *testing.T, w *enginetest.World, p *ghsim.Pull, i int) store.Execution {
	t.Helper()
	all, err := w.Executions(p.Number())
	must(t, err)
	if len(all) <= i {
		t.Fatalf("%d executions, want more than %d", len(all), i)
	}
	return all[i]
}

// applies plans once more and applies that, and fails the test if it is not the first apply of all.
func applies(t *testing.T, w *enginetest.World, p *ghsim.Pull) {
	t.Helper()
	says(t, w, p, enginetest.Ada, "/plan")
	must(t, p.Approve(enginetest.Linus))
	settled(t, w)
	says(t, w, p, enginetest.Ada, "/apply")
	if n := len(w.Cloud.Applies()); n != 1 {
		t.Errorf("planned and approved once more, it makes %d applies, want 1\n%s", n, texts(p))
	}
}

// Covers: T24
func TestApplyOfOnePlanByItsID(t *testing.T) {
	inWorld(t, func(t *testing.T, w *enginetest.World) {
		p := approved(t, w)
		check, _ := w.Repo.CheckRun(p.Info().HeadSHA, "tollgate/plan: "+enginetest.Project)
		_, rest, _ := strings.Cut(check.Summary, "plan `")
		id, _, ok := strings.Cut(rest, "`")
		if !ok || len(id) != 8 {
			t.Fatalf("the check shows no id:\n%s", check.Summary)
		}
		refuses(t, w, p, enginetest.Ada, "/apply app@00000000", "The current plan of app is "+id)
		if n := len(w.Cloud.Applies()); n != 0 {
			t.Fatalf("%d applies of a plan that is not current", n)
		}
		says(t, w, p, enginetest.Ada, "/apply app@"+id)
		if n := len(w.Cloud.Applies()); n != 1 {
			t.Errorf("%d applies of the plan that was named, want 1", n)
		}
	})
}

// A plan may wait for hours. One that is a day old is made again, and the same effect keeps its approval.
//
// Covers: R40
func TestOldPlanIsMadeAgain(t *testing.T) {
	for wait, runs := range map[time.Duration]int{23 * time.Hour: 1, 25 * time.Hour: 2} {
		t.Run(wait.String(), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *enginetest.World) {
				p := approved(t, w)
				// The queue looks for tasks five times a second, which makes a day in the bubble a long one.
				must(t, w.Server().DB.Write(t.Context(), func(tx *store.Tx) error {
					_, err := tx.SQL.Exec(`update plans set finished_at = finished_at - ?`, wait.Milliseconds())
					return err
				}))
				says(t, w, p, enginetest.Ada, "/apply")
				made, err := w.Runs(p.Number())
				must(t, err)
				if len(made) != runs {
					t.Errorf("%d runs, want %d", len(made), runs)
				}
				if n := len(w.Cloud.Applies()); n != 1 {
					t.Errorf("%d applies, want 1", n)
				}
			})
		})
	}
}

// An approval that is dismissed while the request waits does not count when it is its turn.
//
// Covers: R40, T26
func TestApprovalDismissedWhileItWaits(t *testing.T) {
	inWorld(t, func(t *testing.T, w *enginetest.World) {
		w.Cloud.Next(enginetest.Held)
		first := approved(t, w)
		_, err := first.Comment(enginetest.Ada, "/apply")
		must(t, err)
		w.Let(10 * time.Second)
		file, text := enginetest.Resource("third", "3")
		_, err = w.Repo.Push(ghsim.Push{Branch: "waits", By: enginetest.Ada, From: "main", Files: map[string]string{file: text}})
		must(t, err)
		second, err := w.Repo.OpenPull(ghsim.OpenPull{By: enginetest.Ada, Head: "waits", Title: "Third"})
		must(t, err)
		w.Let(10 * time.Second)
		must(t, second.Approve(enginetest.Grace))
		_, err = second.Comment(enginetest.Ada, "/apply")
		must(t, err)
		w.Let(time.Minute)
		must(t, second.Dismiss(enginetest.Linus, second.Reviews()[0].ID, "No."))
		w.Cloud.EndHeld(enginetest.Well)
		settled(t, w)
		if all, err := w.Executions(second.Number()); err != nil || len(all) != 0 {
			t.Errorf("%d executions, %v: it was applied without an approval", len(all), err)
		}
		if x := execution(t, w, first, 0); x.State != change.ExecApplied {
			t.Errorf("the first ended as %s", x.State)
		}
	})
}

// Fifty ask at once, the merge asks as well, and GitHub tells everything twice: one effect.
//
// Covers: T37, R17
func TestManyAskAtOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *enginetest.World) {
		p := approved(t, w)
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				_, err := p.Comment([]string{enginetest.Ada, enginetest.Grace, enginetest.Linus}[i%3], "/apply")
				must(t, err)
			})
		}
		wg.Go(func() {
			_, err := p.Merge(enginetest.Ada, ghsim.Squash)
			must(t, err)
		})
		wg.Wait()
		w.Let(time.Second)
		for _, d := range w.GitHub.Deliveries(w.App.ID) {
			must(t, w.GitHub.Redeliver(w.App.ID, d.ID))
		}
		settled(t, w)
		if n := len(w.Cloud.Applies()); n != 1 {
			t.Errorf("%d applies, want 1", n)
		}
	})
}

// An apply whose end nobody knows freezes its project, with what a plan shows beside it, until a person
// says how it ended.
//
// Covers: R06, T36
func TestUnknownEndIsResolvedByAPerson(t *testing.T) {
	for _, as := range []change.Resolution{change.ResolvedApplied, change.ResolvedReconcile} {
		t.Run(string(as), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *enginetest.World) {
				p := approved(t, w)
				w.Cloud.Next(enginetest.Killed)
				says(t, w, p, enginetest.Ada, "/apply")
				head := p.Info().HeadSHA
				check, _ := w.Repo.CheckRun(head, "tollgate/apply: app")
				if x := execution(t, w, p, 0); x.State != change.ExecUnknown || check.Conclusion != "action_required" {
					t.Fatalf("it ended as %s, %s", x.State, check.Conclusion)
				}
				for _, words := range []string{"What a plan shows now", "/resolve app applied REASON"} {
					if !strings.Contains(check.Summary, words) {
						t.Errorf("the check does not say %q:\n%s", words, check.Summary)
					}
				}
				refuses(t, w, p, enginetest.Eve, "/resolve app "+string(as)+" I looked", "write permission")
				refuses(t, w, p, enginetest.Grace, "/resolve nosuch "+string(as)+" I looked", "nothing to resolve")
				says(t, w, p, enginetest.Ada, "/apply")
				if n := len(w.Cloud.Applies()); n != 1 {
					t.Fatalf("%d applies of a frozen project, want 1", n)
				}

				says(t, w, p, enginetest.Grace, "/resolve app "+string(as)+" I looked at it")
				x := execution(t, w, p, 0)
				if x.Frozen() || x.Resolved.By.Login != enginetest.Grace || x.Resolved.Reason != "I looked at it" {
					t.Errorf("resolved: %+v", x.Resolved)
				}
				check, _ = w.Repo.CheckRun(head, "tollgate/apply: app")
				if want := map[change.Resolution]string{change.ResolvedApplied: "success", change.ResolvedReconcile: "failure"}[as]; check.Conclusion != want ||
					!strings.Contains(check.Summary, "`grace`") || strings.Contains(check.Summary, "/resolve app applied REASON") || x.Resolved.At.IsZero() {
					t.Errorf("the check is %s, want %s:\n%s", check.Conclusion, want, check.Summary)
				}
				refuses(t, w, p, enginetest.Grace, "/resolve app "+string(as)+" again", "nothing to resolve")
				if as == change.ResolvedApplied {
					return
				}
				// What is left was planned again. The approval was for the whole, and is used up.
				refuses(t, w, p, enginetest.Ada, "/apply", "may not be applied")
				must(t, p.Approve(enginetest.Linus))
				settled(t, w)
				says(t, w, p, enginetest.Ada, "/apply")
				if x := execution(t, w, p, 1); x.State != change.ExecApplied {
					t.Errorf("what is left ended as %s", x.State)
				}
			})
		})
	}
}

// Nothing is resolved or released while the apply runs.
//
// Covers: T36
func TestNothingIsResolvedWhileItRuns(t *testing.T) {
	inWorld(t, func(t *testing.T, w *enginetest.World) {
		p := approved(t, w)
		w.Cloud.Next(enginetest.Held)
		_, err := p.Comment(enginetest.Ada, "/apply")
		must(t, err)
		w.Let(10 * time.Second)
		for _, command := range []string{"/resolve app applied it looks so", "/unlock app"} {
			before := len(p.Comments())
			_, err := p.Comment(enginetest.Grace, command)
			must(t, err)
			w.Let(10 * time.Second)
			all := p.Comments()
			if len(all) != before+2 || !strings.Contains(all[len(all)-1].Body, "is running") {
				t.Errorf("%s is not refused: %q", command, all[len(all)-1].Body)
			}
		}
		must(t, p.Close(enginetest.Ada))
		w.Let(time.Minute)
		w.Cloud.EndHeld(enginetest.Well)
		settled(t, w)
		if x := execution(t, w, p, 0); x.State != change.ExecApplied {
			t.Errorf("it ended as %s", x.State)
		}
	})
}

// A database that comes back from a backup has forgotten an apply. Its claim tells of it, so the project is frozen
// and nothing happens twice, whether the backup is of before or after the plan was made.
//
// Covers: R36
func TestDatabaseIsRestored(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"before the plan", "after the plan"} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			p, err := parts()
			must(t, err)
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				restore(t, enginetest.New(t, p, dir, slog.New(slog.DiscardHandler)), dir, when == "before the plan")
			})
		})
	}
}

func restore(t *testing.T, w *enginetest.World, dir string, early bool) {
	defer func() { must(t, w.Close()) }()
	files := []string{"tollgate.db", "tollgate.db-wal", "tollgate.db-shm"}
	backup := map[string][]byte{}
	save := func() {
		w.Crash()
		for _, f := range files {
			b, err := os.ReadFile(filepath.Join(dir, f))
			if err == nil {
				backup[f] = b
			}
		}
		must(t, w.Boot())
		settled(t, w)
	}
	if early {
		save()
	}
	p := approved(t, w)
	if !early {
		save()
	}
	says(t, w, p, enginetest.Ada, "/apply")
	if n := len(w.Cloud.Applies()); n != 1 {
		t.Fatalf("%d applies, want 1", n)
	}
	w.Crash()
	for _, f := range files {
		must(t, os.RemoveAll(filepath.Join(dir, f)))
		if b, ok := backup[f]; ok {
			must(t, os.WriteFile(filepath.Join(dir, f), b, 0o600))
		}
	}
	must(t, w.Boot())
	settled(t, w)
	x := execution(t, w, p, 0)
	check, _ := w.Repo.CheckRun(p.Info().HeadSHA, "tollgate/apply: app")
	if !x.Frozen() || x.Fault == nil || !strings.Contains(x.Fault.What, "database was restored") || check.Conclusion != "action_required" {
		t.Fatalf("after the database was restored: %s, %v; check %s", x.State, x.Fault, check.Conclusion)
	}
	if lost := x.Evidence != nil && x.Evidence.Fault != nil && strings.Contains(x.Evidence.Fault.What, "has lost the plan"); lost != early {
		t.Errorf("evidence %+v", x.Evidence)
	}
	says(t, w, p, enginetest.Ada, "/apply")
	for _, d := range w.GitHub.Deliveries(w.App.ID) {
		must(t, w.GitHub.Redeliver(w.App.ID, d.ID))
	}
	settled(t, w)
	if n := len(w.Cloud.Applies()); n != 1 {
		t.Fatalf("%d applies after the database was restored, want 1", n)
	}
	says(t, w, p, enginetest.Grace, "/resolve app applied it is all there")
	file, text := enginetest.Resource("third", "3")
	_, err := w.Repo.Push(ghsim.Push{Branch: "later", By: enginetest.Ada, From: "topic", Files: map[string]string{file: text}})
	must(t, err)
	later, err := w.Repo.OpenPull(ghsim.OpenPull{By: enginetest.Ada, Head: "later", Title: "Third"})
	must(t, err)
	settled(t, w)
	must(t, later.Approve(enginetest.Grace))
	settled(t, w)
	says(t, w, later, enginetest.Ada, "/apply")
	if n := len(w.Cloud.Applies()); n != 2 {
		t.Errorf("%d applies after it was resolved, want 2: %s", n, fmt.Sprint(later.Comments()))
	}
	// The database has forgotten how far it had counted.
	if next := execution(t, w, later, 0); next.Fence <= x.Fence {
		t.Errorf("the fence of the next apply is %d, that of the forgotten one was %d", next.Fence, x.Fence)
	}
}

package enginetest_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tollgate/tollgate/internal/audit"
	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/engine"
	"github.com/tollgate/tollgate/internal/engine/enginetest"
	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/store"
)

// next opens a pull request with one resource of this name that Grace has approved.
func next(t *testing.T, w *enginetest.World, name string) *ghsim.Pull {
	t.Helper()
	file, text := enginetest.Resource(name, "1")
	_, err := w.Repo.Push(ghsim.Push{Branch: name, From: "main", By: enginetest.Ada, Files: map[string]string{file: text}})
	must(t, err)
	p, err := w.Repo.OpenPull(ghsim.OpenPull{By: enginetest.Ada, Head: name, Title: name})
	must(t, err)
	w.Let(10 * time.Second)
	must(t, p.Approve(enginetest.Grace))
	w.Let(10 * time.Second)
	return p
}

// A server stalls between its claim and its runner while another takes over: its runner does not start. What nobody
// overtakes does.
//
// Covers: R25, T37
func TestAnOvertakenClaimStartsNothing(t *testing.T) {
	for name, overtake := range map[string]func(w *enginetest.World, f func()){
		"before its fence": func(w *enginetest.World, f func()) { w.OnPoint(engine.ClaimAfter, f) },
		"after its fence":  func(w *enginetest.World, f func()) { w.Cloud.Launching = f },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *enginetest.World) {
				p := approved(t, w)
				says(t, w, p, enginetest.Ada, "/apply")
				if n := len(w.Cloud.Applies()); n != 1 {
					t.Fatalf("%d applies, want 1\n%s", n, texts(p))
				}
				_, err := p.Merge(enginetest.Ada, ghsim.Squash)
				must(t, err)
				settled(t, w)
				second := next(t, w, "third")
				overtake(w, func() { must(t, w.Overtake()) })
				says(t, w, second, enginetest.Ada, "/apply")
				if x := execution(t, w, second, 0); x.State != change.ExecFailedClean || len(w.Cloud.Applies()) != 1 {
					t.Errorf("it ended as %s, after %d applies", x.State, len(w.Cloud.Applies()))
				}
				if got := conclusion(w, second, "tollgate/apply: app"); got != "completed failure" {
					t.Errorf("the check is %q", got)
				}
			})
		})
	}
}

// A server dies while it starts a runner, and the next one says that nothing was started: a runner that comes late must not.
//
// Covers: R04
func TestALateRunnerDoesNotStart(t *testing.T) {
	inWorld(t, func(t *testing.T, w *enginetest.World) {
		p := approved(t, w)
		late, over := make(chan struct{}), make(chan struct{})
		w.Cloud.Launching = func() { <-late }
		_, err := p.Comment(enginetest.Ada, "/apply")
		must(t, err)
		w.Let(10 * time.Second)
		w.Crash()
		w.OnPoint(engine.EndAfter, func() { // the plan still lies there
			w.OnPoint(engine.EndAfter, nil)
			close(late)
			<-over
		})
		must(t, w.Boot())
		w.Let(10 * time.Second)
		if n := len(w.Cloud.Applies()); n != 0 {
			t.Errorf("%d applies that were said not to have started", n)
		}
		close(over)
		settled(t, w)
		if x := execution(t, w, p, 0); x.State != change.ExecFailedClean {
			t.Fatalf("what was not started is %s", x.State)
		}
		applies(t, w, p)
	})
}

// What a plan shows after an unknown end is looked at once, also after further starts; a server that dies each time that it
// looks gives up. After an end that is known nothing is looked at.
//
// Covers: R06, R27
func TestEvidenceIsGatheredOnce(t *testing.T) {
	for name, c := range map[string]struct {
		ending enginetest.Ending
		crash  engine.Point // the server dies here first
		deaths int          // and then when it looks
		words  string
	}{
		"in order":                 {enginetest.Killed, "", 0, "What a plan shows now"},
		"the server dies first":    {enginetest.Killed, engine.EndAfter, 0, "What a plan shows now"},
		"it dies when it looks":    {enginetest.Killed, "", 1, "What a plan shows now"},
		"it dies whenever it does": {enginetest.Killed, "", 2, "The server ended each time while it looked"},
		"the end is known":         {enginetest.Partial, "", 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *enginetest.World) {
				p := approved(t, w)
				w.Cloud.Next(c.ending)
				if c.crash != "" {
					w.CrashAt(c.crash, 1)
				}
				left := c.deaths
				if left > 0 {
					w.Cloud.Planning = func() {
						if left--; left >= 0 {
							w.Crash()
						}
					}
				}
				_, err := p.Comment(enginetest.Ada, "/apply")
				must(t, err)
				for range 4 {
					w.Let(time.Minute)
					if w.Server() == nil {
						must(t, w.Boot())
					}
				}
				settled(t, w)
				check, _ := w.Repo.CheckRun(p.Info().HeadSHA, "tollgate/apply: app")
				x := execution(t, w, p, 0)
				if c.words == "" && x.Evidence != nil || !strings.Contains(check.Summary, c.words) {
					t.Errorf("evidence %+v, and the check says:\n%s", x.Evidence, check.Summary)
				}
				if left > 0 {
					t.Error("the server has not died as it should")
				}
				plans := w.Cloud.Plans()
				w.Crash()
				must(t, w.Boot())
				settled(t, w)
				if n := w.Cloud.Plans() - plans; n != 0 {
					t.Errorf("%d plans more after another start", n)
				}
			})
		})
	}
}

// A plan that ends its server each time is given up after three; a stop in good order does not count.
//
// Covers: R03, R10, R27
func TestAPlanIsBegunThreeTimes(t *testing.T) {
	for name, c := range map[string]struct {
		deaths, stops int
		made          bool
	}{"two deaths": {2, 0, true}, "two deaths and two stops": {2, 2, true}, "three deaths": {3, 0, false}} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *enginetest.World) {
				begun, on := make(chan struct{}, 10), make(chan struct{})
				w.Cloud.Planning = func() { begun <- struct{}{}; <-on }
				p := propose(t, w)
				for range c.deaths {
					w.Let(10 * time.Second)
					w.Crash()
					must(t, w.Boot())
				}
				for range c.stops {
					w.Let(10 * time.Second)
					stopped := make(chan error)
					go func() { stopped <- w.Stop() }()
					w.Let(time.Second)
					for range len(begun) { // also what dead servers have begun
						<-begun
						on <- struct{}{}
					}
					must(t, <-stopped)
					must(t, w.Boot())
				}
				close(on)
				settled(t, w)
				check, _ := w.Repo.CheckRun(p.Info().HeadSHA, "tollgate")
				if made := check.Conclusion == "success"; made != c.made || !made && !strings.Contains(check.Summary, "The server ended 3 times") {
					t.Errorf("the check is %s:\n%s", check.Conclusion, check.Summary)
				}
			})
		})
	}
}

// What panics is tried three times, and then a check or an answer says so. An apply that cannot be followed is of unknown
// end.
//
// Covers: R27
func TestWhatPanicsIsGivenUp(t *testing.T) {
	for name, c := range map[string]struct {
		point engine.Point
		check string
		want  string
	}{
		"a task":   {engine.TaskBegins, "tollgate", "completed failure"},
		"a plan":   {engine.PlanMade, "tollgate", "completed failure"},
		"an apply": {engine.EndBefore, "tollgate/apply: app", "completed action_required"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *enginetest.World) {
				var p *ghsim.Pull
				if c.point == engine.EndBefore {
					p = approved(t, w)
				}
				panics := 0
				w.OnPoint(c.point, func() {
					if panics++; panics <= 3 || c.point == engine.TaskBegins {
						panic("a test's")
					}
				})
				if p == nil {
					p = propose(t, w)
				} else {
					_, err := p.Comment(enginetest.Ada, "/apply")
					must(t, err)
				}
				w.Let(10 * time.Minute)
				n := panics // of each of the webhooks, if it is tasks that panic
				w.Let(10 * time.Minute)
				w.OnPoint(c.point, nil)
				settled(t, w)
				if got := conclusion(w, p, c.check); got != c.want || panics != n {
					t.Errorf("after %d panics, %d of them late, the check is %q, want %q", panics, panics-n, got, c.want)
				}
				check, _ := w.Repo.CheckRun(p.Info().HeadSHA, c.check)
				if !strings.Contains(check.Summary, "it has a defect") {
					t.Errorf("the check does not say why:\n%s", check.Summary)
				}
			})
		})
	}
}

// The state moves whenever a plan is about to be applied: Tollgate plans again twice, and then says so.
func TestAStateThatNeverRests(t *testing.T) {
	for moves, applied := range map[int]bool{2: true, 100: false} {
		t.Run(fmt.Sprint(moves), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *enginetest.World) {
				p := approved(t, w)
				starts := 0
				w.Cloud.Starting = func(enginetest.Apply) {
					if starts++; starts <= moves {
						w.Cloud.Change("nothing", "") // which only counts
					}
				}
				answer := says(t, w, p, enginetest.Ada, "/apply")
				if done := len(effects(w)) > 0; done != applied || starts != 3 {
					t.Errorf("started %d times, with effects %q", starts, effects(w))
				}
				if told := strings.Contains(answer, "could not be planned again"); told == applied {
					t.Errorf("answered with %q", answer)
				}
			})
		})
	}
}

// Nobody is told that an approval is all that is missing when the plan is used up.
func TestAUsedPlanIsSaidToNeedANewOne(t *testing.T) {
	for ending, used := range map[enginetest.Ending]bool{enginetest.Partial: true, enginetest.Well: false} {
		t.Run(string(ending), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *enginetest.World) {
				p := approved(t, w)
				w.Cloud.Next(ending)
				says(t, w, p, enginetest.Ada, "/apply")
				check, _ := w.Repo.CheckRun(p.Info().HeadSHA, "tollgate/plan: app")
				if got := strings.Contains(check.Summary+check.Text, "A new plan, because this one cannot be applied any more"); got != used {
					t.Errorf("after an apply that ends %s the check says:\n%s", ending, check.Summary)
				}
			})
		})
	}
}

// A request that waits while the server is down for hours is not carried out by the next one.
//
// Covers: R40
func TestARequestGetsTooOld(t *testing.T) {
	for down, applied := range map[time.Duration]bool{time.Hour: true, 3 * time.Hour: false} {
		t.Run(down.String(), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *enginetest.World) {
				p := approved(t, w)
				w.CrashAt(engine.ClaimBefore, 1)
				_, err := p.Comment(enginetest.Ada, "/apply")
				must(t, err)
				w.Let(10 * time.Second)
				if w.Server() != nil {
					t.Fatal("the server lives")
				}
				w.Let(down)
				must(t, w.Boot())
				settled(t, w)
				if n := len(w.Cloud.Applies()); (n == 1) != applied || strings.Contains(texts(p), "request to apply is too old") == applied {
					t.Errorf("%d applies\n%s", n, texts(p))
				}
			})
		})
	}
}

// What waits for another's apply can be cancelled.
func TestARequestThatWaitsIsCancelled(t *testing.T) {
	for name, cancelled := range map[string]bool{"cancelled": true, "not cancelled": false} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *enginetest.World) {
				first, second := approved(t, w), next(t, w, "third")
				w.Cloud.Next(enginetest.Held)
				_, err := first.Comment(enginetest.Ada, "/apply")
				must(t, err)
				w.Let(10 * time.Second)
				_, err = second.Comment(enginetest.Ada, "/apply")
				must(t, err)
				w.Let(30 * time.Second)
				if cancelled {
					_, err = second.Comment(enginetest.Ada, "/cancel")
					must(t, err)
					w.Let(30 * time.Second)
				}
				w.Cloud.EndHeld(enginetest.Clean)
				settled(t, w)
				all, err := w.Executions(second.Number())
				must(t, err)
				if (len(all) == 0) != cancelled {
					t.Errorf("%d executions\n%s", len(all), texts(second))
				}
			})
		})
	}
}

// A repository says when it is applied.
func TestWhenARepositoryIsApplied(t *testing.T) {
	for on, applies := range map[string][2]int{"[merge]": {0, 1}, "[comment]": {1, 1}, "[merge, comment]": {1, 1}} {
		t.Run(on, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *enginetest.World) {
				_, err := w.Repo.Push(ghsim.Push{Branch: "main", By: enginetest.Ada,
					Files: map[string]string{".tollgate.yaml": strings.Replace(enginetest.Settings(1), "[merge, comment]", on, 1)}})
				must(t, err)
				p := approved(t, w)
				answer := says(t, w, p, enginetest.Ada, "/apply")
				if n := len(w.Cloud.Applies()); n != applies[0] || strings.Contains(answer, "is not applied on comment") == (n == 1) {
					t.Errorf("%d applies after /apply: %q", n, answer)
				}
				_, err = p.Merge(enginetest.Ada, ghsim.Squash)
				must(t, err)
				settled(t, w)
				if n := len(w.Cloud.Applies()); n != applies[1] {
					t.Errorf("%d applies after the merge\n%s", n, texts(p))
				}
				if on != "[comment]" {
					return
				}
				unasked := next(t, w, "third")
				_, err = unasked.Merge(enginetest.Ada, ghsim.Squash)
				must(t, err)
				settled(t, w)
				if n := len(w.Cloud.Applies()); n != applies[1] {
					t.Errorf("%d applies after a merge that asks for none\n%s", n, texts(unasked))
				}
			})
		})
	}
}

// A plan that another version has made is made again before it is applied.
//
// Covers: R35
func TestAPlanOfAnotherVersionIsMadeAgain(t *testing.T) {
	for maker, runs := range map[string]int{"1": 1, "2": 2} {
		t.Run(maker, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *enginetest.World) {
				w.Crash()
				w.Maker = "1"
				must(t, w.Boot())
				p := approved(t, w)
				w.Crash()
				w.Maker = maker
				must(t, w.Boot())
				says(t, w, p, enginetest.Ada, "/apply")
				made, err := w.Runs(p.Number())
				must(t, err)
				if n := len(w.Cloud.Applies()); len(made) != runs || n != 1 {
					t.Errorf("%d runs and %d applies, want %d and 1\n%s", len(made), n, runs, texts(p))
				}
			})
		})
	}
}

// The merge was taken off the base branch again before it was applied.
//
// Covers: T32
func TestAMergeThatTheBranchDoesNotHold(t *testing.T) {
	for name, gone := range map[string]bool{"taken off": true, "still there": false} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *enginetest.World) {
				p := approved(t, w)
				before := w.Repo.Ref("refs/heads/main")
				w.Hooks.Hold()
				_, err := p.Merge(enginetest.Ada, ghsim.Squash)
				must(t, err)
				if gone {
					must(t, w.Repo.SetBranch("main", before, enginetest.Ada))
				}
				w.Let(time.Second)
				hooks := w.Hooks.Take()
				w.Hooks.Release()
				for _, h := range hooks {
					w.Hooks.Deliver(h)
				}
				settled(t, w)
				if n := len(w.Cloud.Applies()); (n == 0) != gone || strings.Contains(texts(p), "is not on the base branch") != gone {
					t.Errorf("%d applies\n%s", n, texts(p))
				}
			})
		})
	}
}

// The database forgets an apply of unknown end while the server runs. Its claim freezes the project when the plan is to be
// applied again.
//
// Covers: R36, T37
func TestAClaimTheDatabaseForgetsIsFound(t *testing.T) {
	inWorld(t, func(t *testing.T, w *enginetest.World) {
		p := approved(t, w)
		w.Cloud.Next(enginetest.Killed)
		says(t, w, p, enginetest.Ada, "/apply")
		must(t, w.Server().DB.Write(t.Context(), func(tx *store.Tx) error {
			_, err := tx.SQL.Exec(`delete from executions`)
			return err
		}))
		refuses(t, w, p, enginetest.Ada, "/apply", "The database was restored")
		if x := execution(t, w, p, 0); !x.Frozen() || len(w.Cloud.Applies()) != 1 {
			t.Errorf("%s after %d applies", x.State, len(w.Cloud.Applies()))
		}
	})
}

// What a server that was killed has left is removed by the next, at the latest when the plan that it was making is made
// anew. What may be of an apply that goes on stays.
//
// Covers: T54
func TestWhatAServerLeftIsRemoved(t *testing.T) {
	t.Parallel()
	p, err := parts()
	must(t, err)
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := enginetest.New(t, p, dir, slog.New(slog.DiscardHandler))
		defer func() { must(t, w.Close()) }()
		leave := func(names ...string) string {
			path := filepath.Join(append([]string{dir}, names...)...)
			must(t, os.MkdirAll(filepath.Dir(path), 0o700))
			must(t, os.WriteFile(path, []byte("x"), 0o600))
			return path
		}
		begun := make(chan struct{})
		w.Cloud.Planning = func() { <-begun }
		propose(t, w)
		w.Let(10 * time.Second)
		runs, err := w.Runs(1)
		must(t, err)
		plans, err := store.Read(t.Context(), w.Server().DB, func(tx *store.Tx) ([]store.Plan, error) { return tx.PlansOf(t.Context(), runs[0].ID, false) })
		must(t, err)
		w.Crash()
		close(begun)
		w.Let(time.Second) // the goroutines of the dead do what a kill would have kept them from
		gone := []string{leave("logs", plans[0].ID+".log"), leave("logs", "forgotten.log"), leave("work", "another", "run", "tree", "main.tf"), leave("executions", "unclaimed", "plan.tfplan")}
		stays := leave("executions", "forgotten", "run", "output.log")
		must(t, w.Boot())
		settled(t, w)
		for _, path := range gone {
			if _, err := os.Lstat(path); !os.IsNotExist(err) {
				t.Errorf("%s: %v", path, err)
			}
		}
		if _, err := os.Lstat(stays); err != nil {
			t.Error(err)
		}
	})
}

// Nothing is applied while the ledger has a flaw.
//
// Covers: T76
func TestAFlawOfTheLedgerHoldsApplies(t *testing.T) {
	inWorld(t, func(t *testing.T, w *enginetest.World) {
		p := approved(t, w)
		w.Flaw = &audit.Flaw{}
		says(t, w, p, enginetest.Ada, "/apply")
		if n := len(w.Cloud.Applies()); n != 0 {
			t.Errorf("%d applies", n)
		}
		w.Flaw = nil
		says(t, w, p, enginetest.Ada, "/apply")
		if n := len(w.Cloud.Applies()); n != 1 {
			t.Errorf("%d applies without a flaw\n%s", n, texts(p))
		}
	})
}

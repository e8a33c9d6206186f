package enginetest_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/audit"
	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/engine/enginetest"
	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/store"
)

// reconciling starts the server again as one that compares with GitHub once a minute.
func reconciling(t *testing.T, w *enginetest.World) {
	t.Helper()
	w.Crash()
	w.Reconcile = time.Minute
	must(t, w.Boot())
}

// begun applies what the repository holds at first, so that plans are of their own resource only.
func begun(t *testing.T, w *enginetest.World) {
	t.Helper()
	p := numbered(t, w, 0)
	w.Let(time.Minute)
	must(t, p.Approve(enginetest.Grace))
	_, err := p.Merge(enginetest.Grace, ghsim.Squash)
	must(t, err)
	w.Let(time.Minute)
	must(t, w.Settle(5*time.Minute))
}

// numbered opens a pull request with one resource of its own.
func numbered(t *testing.T, w *enginetest.World, n int) *ghsim.Pull {
	t.Helper()
	name := fmt.Sprintf("r%d", n)
	file, text := enginetest.Resource(name, "1")
	_, err := w.Repo.Push(ghsim.Push{Branch: name, By: enginetest.Ada, Files: map[string]string{file: text}})
	must(t, err)
	pull, err := w.Repo.OpenPull(ghsim.OpenPull{By: enginetest.Ada, Head: name, Title: name})
	must(t, err)
	return pull
}

// effects are what all applies did, in their order.
func effects(w *enginetest.World) (out []string) {
	for _, a := range w.Cloud.Applies() {
		for _, s := range a.Effects {
			out = append(out, fmt.Sprintf("%s: %q -> %q", s.Name, s.Before, s.After))
		}
	}
	return out
}

func closing(h enginetest.Hook) bool {
	return h.Event() == "pull_request" && strings.Contains(h.Body(), `"action":"closed"`)
}

// Five pull requests of one state are merged at once. Whatever becomes of the webhooks, each is applied,
// after those that were merged before it, with the effect that was approved: an apply out of turn
// would have the effect of several.
//
// Covers: R34, R17
func TestMergesAreAppliedInTheirOrder(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *enginetest.World) {
				rng := rand.New(rand.NewPCG(seed, 34))
				reconciling(t, w)
				begun(t, w)
				var pulls []*ghsim.Pull
				for n := range 5 {
					pulls = append(pulls, numbered(t, w, n+1))
				}
				w.Let(time.Minute)
				for _, p := range pulls {
					must(t, p.Approve(enginetest.Grace))
				}
				w.Let(time.Minute)
				w.Hooks.Hold()
				for _, p := range pulls {
					_, err := p.Merge(enginetest.Grace, []ghsim.MergeMethod{ghsim.Merge, ghsim.Squash}[rng.IntN(2)])
					must(t, err)
				}
				w.Let(time.Second)
				hooks := w.Hooks.Take()
				w.Hooks.Release()
				lost := 0
				hooks = slices.DeleteFunc(hooks, func(h enginetest.Hook) bool {
					if closing(h) && lost < 2 && rng.IntN(2) == 0 {
						lost++
						return true
					}
					return false
				})
				hooks = append(hooks, hooks...)
				rng.Shuffle(len(hooks), func(i, j int) { hooks[i], hooks[j] = hooks[j], hooks[i] })
				for _, h := range hooks {
					w.Hooks.Deliver(h)
				}
				w.Let(5 * time.Minute)
				must(t, w.Settle(10*time.Minute))
				want := []string{`first: "" -> "1"`, `r0: "" -> "1"`, `r1: "" -> "1"`, `r2: "" -> "1"`, `r3: "" -> "1"`, `r4: "" -> "1"`, `r5: "" -> "1"`}
				if got := effects(w); !slices.Equal(got, want) {
					t.Errorf("applied %q, want %q", got, want)
				}
				for _, p := range pulls {
					if got := conclusion(w, p, "tollgate/apply: "+enginetest.Project); got != "completed success" {
						t.Errorf("#%d: %s\n%s", p.Number(), got, texts(p))
					}
				}
			})
		})
	}
}

// texts are the comments of a pull request.
func texts(p *ghsim.Pull) string {
	var out []string
	for _, c := range p.Comments() {
		out = append(out, c.Author+": "+c.Body)
	}
	return strings.Join(out, "\n---\n")
}

// ledger are the rows of an action.
func ledger(t *testing.T, w *enginetest.World, action string) (out []audit.Row) {
	t.Helper()
	rows, err := store.Read(context.Background(), w.Server().DB, func(tx *store.Tx) (out []audit.Row, err error) {
		err = audit.Each(context.Background(), tx, func(r audit.Row) error { out = append(out, r); return nil })
		return out, err
	})
	must(t, err)
	return slices.DeleteFunc(rows, func(r audit.Row) bool { return r.Action != action })
}

// What came onto the branch without an approved pull request is told and never applied; what was
// approved on top of it, as people saw it, is.
//
// Covers: T33
func TestUnmanagedChangesAreToldAndNotApplied(t *testing.T) {
	inWorld(t, func(t *testing.T, w *enginetest.World) {
		reconciling(t, w)
		bypass, good := numbered(t, w, 1), numbered(t, w, 2)
		w.Let(time.Minute)
		_, err := bypass.Merge(enginetest.Ada, ghsim.Squash) // the branch is not protected
		must(t, err)
		w.Let(time.Minute)
		file, text := enginetest.Resource("direct", "1")
		_, err = w.Repo.Push(ghsim.Push{Branch: "main", By: enginetest.Ada, Files: map[string]string{file: text, "README.md": "Hello."}})
		must(t, err)
		w.Let(2 * time.Minute)
		if got := effects(w); len(got) != 0 {
			t.Fatalf("applied %q", got)
		}
		if got := conclusion(w, bypass, "tollgate"); got != "completed failure" || !strings.Contains(texts(bypass), "Nothing was applied on the merge") {
			t.Errorf("the merge without approvals has the check %q", got)
		}
		rows := ledger(t, w, "base.unmanaged")
		if len(rows) != 1 || !strings.Contains(rows[0].Subject, enginetest.Project) {
			t.Errorf("the ledger has %+v of the push", rows)
		}
		if pushes, merges := w.Alarms("unmanaged push"), w.Alarms("unmanaged merge"); pushes != 1 || merges != 1 {
			t.Errorf("alarms of %d pushes and %d merges, want 1 and 1", pushes, merges)
		}
		must(t, good.Approve(enginetest.Grace))
		w.Let(time.Minute)
		_, err = good.Merge(enginetest.Grace, ghsim.Squash)
		must(t, err)
		w.Let(2 * time.Minute)
		must(t, w.Settle(10*time.Minute))
		if got := conclusion(w, good, "tollgate/apply: "+enginetest.Project); got != "completed success" || len(effects(w)) != 4 {
			t.Errorf("what was approved on top of it: %s, %q\n%s", got, effects(w), texts(good))
		}
	})
}

// A commit that changes nothing of any project is no alarm.
func TestAPushOfNoInterestIsNoAlarm(t *testing.T) {
	inWorld(t, func(t *testing.T, w *enginetest.World) {
		numbered(t, w, 1)
		w.Let(time.Minute)
		_, err := w.Repo.Push(ghsim.Push{Branch: "main", By: enginetest.Ada, Files: map[string]string{"README.md": "Hello."}})
		must(t, err)
		w.Let(time.Minute)
		must(t, w.Settle(10*time.Minute))
		if rows := ledger(t, w, "base.unmanaged"); len(rows) != 0 {
			t.Errorf("the ledger has %+v", rows)
		}
		if n := w.Alarms("unmanaged push"); n != 0 {
			t.Errorf("%d alarms", n)
		}
	})
}

// The branch was changed and changed back, and so was the base: an approval from before counts only when
// it is given again.
//
// Covers: T21, T23
func TestChangedAndChangedBack(t *testing.T) {
	for name, there := range map[string]func(*testing.T, *enginetest.World, *ghsim.Pull){
		"head": func(t *testing.T, w *enginetest.World, p *ghsim.Pull) {
			before := p.Info().HeadSHA
			_, err := w.Repo.Push(ghsim.Push{Branch: "r1", By: enginetest.Ada, Files: map[string]string{"app/evil.tf": "# evil\n"}})
			must(t, err)
			must(t, w.Repo.SetBranch("r1", before, enginetest.Ada))
		},
		"base": func(t *testing.T, w *enginetest.World, p *ghsim.Pull) {
			must(t, w.Repo.SetBranch("dev", w.Repo.Ref("refs/heads/main"), enginetest.Ada))
			must(t, p.UpdateBase(enginetest.Ada, "dev"))
			must(t, p.UpdateBase(enginetest.Ada, "main"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *enginetest.World) {
				p := numbered(t, w, 1)
				w.Let(time.Minute)
				must(t, p.Approve(enginetest.Grace))
				w.Let(time.Minute)
				w.Hooks.Hold() // so that the server sees the end of it only
				there(t, w, p)
				w.Let(time.Second)
				hooks := w.Hooks.Take()
				w.Hooks.Release()
				for _, h := range hooks {
					w.Hooks.Deliver(h)
				}
				w.Let(3 * time.Minute)
				_, err := p.Comment(enginetest.Grace, "/apply")
				must(t, err)
				w.Let(time.Minute)
				if got := effects(w); len(got) != 0 || !strings.Contains(texts(p), "older than this plan") {
					t.Fatalf("applied %q\n%s", got, texts(p))
				}
				must(t, p.Approve(enginetest.Grace))
				_, err = p.Comment(enginetest.Grace, "/apply")
				must(t, err)
				w.Let(time.Minute)
				execs, err := w.Executions(p.Number())
				must(t, err)
				if len(execs) != 1 || execs[0].State != change.ExecApplied {
					t.Errorf("approved again, it is not applied: %+v\n%s", execs, texts(p))
				}
			})
		})
	}
}

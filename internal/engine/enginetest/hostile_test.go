package enginetest_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/engine/enginetest"
	"github.com/tollgate/tollgate/internal/ghsim"
)

// The pull request lands with something in the merge that nobody saw: what is merged is not what was
// approved. The twin lands as it was.
//
// Covers: T32
func TestAMergeWithMoreInItIsNotApplied(t *testing.T) {
	for name, extra := range map[string]map[string]string{
		"as it was":            nil,
		"with a resource more": {"app/evil.tf": "resource \"terraform_data\" \"evil\" {\n  input = \"1\"\n}\n"},
		"with another value":   {"app/second.tf": "resource \"terraform_data\" \"second\" {\n  input = \"evil\"\n}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *enginetest.World) {
				p := approved(t, w)
				tip := p.Info().HeadSHA
				if extra != nil {
					var err error
					tip, err = w.Repo.Push(ghsim.Push{Branch: "by-hand", From: p.Info().HeadSHA, By: enginetest.Ada, Message: "Merge", Files: extra})
					must(t, err)
				}
				must(t, w.Repo.SetBranch("main", tip, enginetest.Ada))
				settled(t, w)
				if state := p.Info(); !state.Merged {
					t.Fatalf("GitHub does not take it for merged: %+v", state)
				}
				n := len(w.Cloud.Applies())
				if extra == nil {
					if n != 1 {
						t.Errorf("the twin makes %d applies\n%s", n, texts(p))
					}
					return
				}
				if n != 0 {
					t.Fatalf("applied %q", effects(w))
				}
				if !strings.Contains(texts(p), "Nothing was applied on the merge") {
					t.Errorf("nobody is told:\n%s", texts(p))
				}
			})
		})
	}
}

// Commands count where a pull request is open and ready, and by people. Each that does not is answered, or is
// none of ours.
//
// Covers: T17
func TestCommandsWhereTheyDoNotCount(t *testing.T) {
	for name, c := range map[string]struct {
		before func(*enginetest.World, *ghsim.Pull) error
		after  func(*enginetest.World, *ghsim.Pull) error
		words  string
	}{
		"closed": {
			func(_ *enginetest.World, p *ghsim.Pull) error { return p.Close(enginetest.Ada) },
			func(_ *enginetest.World, p *ghsim.Pull) error { return p.Reopen(enginetest.Ada) }, "closed",
		},
		"a draft": {
			func(_ *enginetest.World, p *ghsim.Pull) error { return p.ConvertToDraft(enginetest.Ada) },
			func(_ *enginetest.World, p *ghsim.Pull) error { return p.ReadyForReview(enginetest.Ada) }, "draft",
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *enginetest.World) {
				p := approved(t, w)
				must(t, c.before(w, p))
				settled(t, w)
				refuses(t, w, p, enginetest.Ada, "/apply", c.words)
				if n := len(w.Cloud.Applies()); n != 0 {
					t.Fatalf("%d applies", n)
				}
				must(t, c.after(w, p))
				settled(t, w)
				must(t, p.Approve(enginetest.Linus))
				settled(t, w)
				says(t, w, p, enginetest.Ada, "/apply")
				if n := len(w.Cloud.Applies()); n != 1 {
					t.Errorf("the twin makes %d applies\n%s", n, texts(p))
				}
			})
		})
	}
}

// A program echoes what we write, and what we write may begin with a command: programs are not heard.
//
// Covers: T15
func TestProgramsAreNotHeard(t *testing.T) {
	inWorld(t, func(t *testing.T, w *enginetest.World) {
		_, err := w.GitHub.CreateApp(ghsim.NewApp{Slug: "echo", Owner: "acme", WebhookURL: "http://echo.example/", WebhookSecret: "not a secret: another program's, 32 bytes",
			Permissions: map[string]string{"issues": "write", "pull_requests": "write"}})
		must(t, err)
		must(t, w.Repo.Grant("echo[bot]", "write"))
		must(t, w.Repo.Grant("tollgate[bot]", "write"))
		p := approved(t, w)
		before := len(p.Comments())
		for range 30 {
			_, err := p.Comment("echo[bot]", "/apply")
			must(t, err)
			_, err = p.Comment("tollgate[bot]", "/plan")
			must(t, err)
		}
		settled(t, w)
		if n := len(p.Comments()) - before; n != 60 {
			t.Errorf("%d answers to programs", n-60)
		}
		runs, err := w.Runs(p.Number())
		must(t, err)
		if n := len(w.Cloud.Applies()); n != 0 || len(runs) != 1 {
			t.Fatalf("%d applies and %d runs", n, len(runs))
		}
		says(t, w, p, enginetest.Ada, "/apply")
		if n := len(w.Cloud.Applies()); n != 1 {
			t.Errorf("the twin makes %d applies\n%s", n, texts(p))
		}
	})
}

// Grace renames her account after she approved, and somebody else registers her old name: the approval stays hers,
// the name's new owner has no say.
//
// Covers: T11
func TestANameThatHasAnotherOwner(t *testing.T) {
	inWorld(t, func(t *testing.T, w *enginetest.World) {
		p := propose(t, w)
		settled(t, w)
		must(t, w.GitHub.RenameUser(enginetest.Grace, "gracia"))
		_, err := w.GitHub.CreateUser(ghsim.User{Login: enginetest.Grace, Email: "new@example.com"})
		must(t, err)
		must(t, w.Repo.Grant(enginetest.Grace, "read"))
		must(t, p.Approve(enginetest.Grace))
		settled(t, w)
		refuses(t, w, p, enginetest.Ada, "/apply", "may not be applied")
		refuses(t, w, p, enginetest.Grace, "/apply", "write permission")
		must(t, p.Approve("gracia"))
		settled(t, w)
		says(t, w, p, enginetest.Ada, "/apply")
		if n := len(w.Cloud.Applies()); n != 1 {
			t.Errorf("the twin makes %d applies\n%s", n, texts(p))
		}
	})
}

// GitHub tells of a pull request that its API does not know yet: it is planned once it does.
//
// Covers: R20
func TestGitHubKnowsLater(t *testing.T) {
	inWorld(t, func(t *testing.T, w *enginetest.World) {
		late := w.GitHub.Inject(readsPull, ghsim.Fault{Status: http.StatusNotFound, Times: 4})
		p := propose(t, w)
		w.Let(10 * time.Minute)
		must(t, w.Settle(time.Hour))
		if late.Hits() != 4 {
			t.Fatalf("asked %d times while it was not known", late.Hits())
		}
		if got := conclusion(w, p, "tollgate"); got != "completed success" {
			t.Fatalf("the check is %q", got)
		}
	})
}

var readsPull = ghsim.Match{Method: http.MethodGet, Path: "/repos/*/*/pulls/*"}

// For a while after a push GitHub's API shows yesterday's head, which was approved. Nothing is applied on that
// look, and the new head has its plan in the end.
//
// Covers: R20, T20
func TestGitHubShowsYesterdaysHead(t *testing.T) {
	inWorld(t, func(t *testing.T, w *enginetest.World) {
		p := approved(t, w)
		reads := w.GitHub.RequestsTo(readsPull)
		if len(reads) == 0 {
			t.Fatal("the pull request was never read")
		}
		yesterday := reads[len(reads)-1].Answer
		stale := w.GitHub.Inject(readsPull, ghsim.Fault{Do: func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "application/json; charset=utf-8")
			_, _ = rw.Write(yesterday)
		}})
		file, text := enginetest.Resource("third", "3")
		_, err := w.Repo.Push(ghsim.Push{Branch: "topic", By: enginetest.Ada, Files: map[string]string{file: text}})
		must(t, err)
		_, err = p.Comment(enginetest.Ada, "/apply")
		must(t, err)
		w.Let(10 * time.Second)
		if stale.Hits() == 0 {
			t.Fatal("nobody looked")
		}
		stale.Clear()
		settled(t, w)
		if n := len(w.Cloud.Applies()); n != 0 {
			t.Fatalf("applied %q\n%s", effects(w), texts(p))
		}
		if got := conclusion(w, p, "tollgate"); got != "completed success" {
			t.Fatalf("the new head's check is %q", got)
		}
		must(t, p.Approve(enginetest.Grace))
		settled(t, w)
		says(t, w, p, enginetest.Ada, "/apply")
		if n := len(w.Cloud.Applies()); n != 1 {
			t.Errorf("the twin makes %d applies\n%s", n, texts(p))
		}
	})
}

// Another App reports checks of our names, all green, on a plan that is denied: they open nothing, and ours stays
// what it is. The twin is allowed, and their red ones close nothing either.
//
// Covers: T34
func TestChecksOfOurNameByOthers(t *testing.T) {
	for name, c := range map[string]struct{ value, theirs, ours string }{
		"denied":  {"forbidden1", "success", "failure"},
		"allowed": {"2", "failure", "success"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *enginetest.World) {
				others, err := w.NewForeign("others")
				must(t, err)
				file, text := enginetest.Resource("second", c.value)
				head, err := w.Repo.Push(ghsim.Push{Branch: "topic", By: enginetest.Ada, Files: map[string]string{file: text}})
				must(t, err)
				p, err := w.Repo.OpenPull(ghsim.OpenPull{By: enginetest.Ada, Head: "topic", Title: "Second"})
				must(t, err)
				settled(t, w)
				var ours []int64
				for _, r := range w.Repo.CheckRuns(head) {
					ours = append(ours, r.ID)
				}
				for range 20 {
					for _, name := range []string{"tollgate", "tollgate/plan: app", "tollgate/apply: app"} {
						must(t, others.Check(t.Context(), change.Check{Name: name, HeadSHA: head, Status: "completed", Conclusion: c.theirs, Title: "All is well", Summary: "."}))
					}
				}
				must(t, p.Approve(enginetest.Grace))
				settled(t, w)
				says(t, w, p, enginetest.Ada, "/apply")
				if n, applied := len(w.Cloud.Applies()), c.ours == "success"; n > 1 || (n == 1) != applied {
					t.Errorf("%d applies of a plan that is %s\n%s", n, name, texts(p))
				}
				for _, r := range w.Repo.CheckRuns(head) {
					if slices.Contains(ours, r.ID) && r.Name == "tollgate" && r.Conclusion != c.ours {
						t.Errorf("our check is %s, want %s", r.Conclusion, c.ours)
					}
				}
			})
		})
	}
}

// A comment that a program writes in a person's name, and buttons that a program presses or that are another App's, are
// not heard either; the person's own are.
//
// Covers: T15, T34
func TestProgramsInAPersonsNameAreNotHeard(t *testing.T) {
	type act = func(w *enginetest.World, p *ghsim.Pull, check ghsim.CheckRun, by string) error
	comment := func(_ *enginetest.World, p *ghsim.Pull, _ ghsim.CheckRun, by string) error {
		_, err := p.Comment(by, "/apply")
		return err
	}
	press := func(w *enginetest.World, _ *ghsim.Pull, check ghsim.CheckRun, by string) error {
		return w.Repo.RequestAction(by, check.ID, "apply")
	}
	suite := func(w *enginetest.World, _ *ghsim.Pull, check ghsim.CheckRun, by string) error {
		return w.Repo.RerequestCheckSuite(by, check.SuiteID)
	}
	run := func(w *enginetest.World, _ *ghsim.Pull, check ghsim.CheckRun, by string) error {
		return w.Repo.RerequestCheckRun(by, check.ID)
	}
	part := func(b map[string]any, names ...string) map[string]any {
		for _, name := range names {
			b = b[name].(map[string]any)
		}
		return b
	}
	for name, c := range map[string]struct {
		event  string
		does   act
		forged func(map[string]any)
		twin   act
		runs   int // after it
	}{
		"a comment by means of an App": {"issue_comment", comment, func(b map[string]any) {
			part(b, "comment")["performed_via_github_app"] = map[string]any{"id": 99, "slug": "other"}
		}, comment, 1},
		"a program presses Apply":   {"check_run", press, func(b map[string]any) { part(b, "sender")["type"] = "Bot" }, press, 1},
		"the button is another's":   {"check_run", press, func(b map[string]any) { part(b, "check_run", "app")["id"] = 99 }, press, 1},
		"a program asks for a plan": {"check_suite", suite, func(b map[string]any) { part(b, "sender")["type"] = "Bot" }, run, 2},
		"the checks are another's":  {"check_suite", suite, func(b map[string]any) { part(b, "check_suite", "app")["id"] = 99 }, run, 2},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *enginetest.World) {
				p := approved(t, w)
				check, _ := w.Repo.CheckRun(p.Info().HeadSHA, "tollgate")
				hook := caught(t, w, c.event, func() error { return c.does(w, p, check, enginetest.Linus) })
				before := traces(t, w, p)
				forged, err := hook.With("00000000-0000-4000-8000-000000000000", c.forged)
				must(t, err)
				if status := w.Hooks.Deliver(forged); status != http.StatusAccepted {
					t.Errorf("answered with %d", status)
				}
				settled(t, w)
				if diff := cmp.Diff(before, traces(t, w, p)); diff != "" {
					t.Fatalf("it has an effect (-before +after):\n%s", diff)
				}
				must(t, c.twin(w, p, check, enginetest.Grace)) // another, so that it is no repetition
				settled(t, w)
				runs, err := w.Runs(p.Number())
				must(t, err)
				if n := len(w.Cloud.Applies()); len(runs) != c.runs || n != 2-c.runs {
					t.Errorf("%d runs and %d applies after a person did so\n%s", len(runs), n, texts(p))
				}
			})
		})
	}
}

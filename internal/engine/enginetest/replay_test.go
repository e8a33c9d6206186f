package enginetest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/engine/enginetest"
	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/store"
)

// caught holds GitHub's webhooks back while something happens, and returns those of one kind.
func caught(t *testing.T, w *enginetest.World, event string, happens func() error) enginetest.Hook {
	t.Helper()
	w.Hooks.Hold()
	must(t, happens())
	w.Let(time.Second)
	hooks := w.Hooks.Take()
	w.Hooks.Release()
	i := slices.IndexFunc(hooks, func(h enginetest.Hook) bool { return h.Event() == event })
	if i < 0 {
		t.Fatalf("GitHub tells of no %s", event)
	}
	return hooks[i]
}

func commented(p *ghsim.Pull, by, text string) func() error {
	return func() error { _, err := p.Comment(by, text); return err }
}

// world's traces of the pull request: what a webhook that has no effect leaves as it is.
func traces(t *testing.T, w *enginetest.World, p *ghsim.Pull) map[string]string {
	t.Helper()
	runs, err := w.Runs(p.Number())
	must(t, err)
	execs, err := w.Executions(p.Number())
	must(t, err)
	out := map[string]string{"applies": fmt.Sprint(len(w.Cloud.Applies())), "comments": fmt.Sprint(len(p.Comments())), "executions": fmt.Sprint(len(execs))}
	for _, r := range runs {
		out["run "+r.ID] = string(r.State)
	}
	for _, c := range w.Repo.CheckRuns(p.Info().HeadSHA) {
		out[fmt.Sprintf("check %d", c.ID)] = c.Name + " " + c.Status + " " + c.Conclusion
	}
	return out
}

// A recorded `/apply` is played again: under its own id, under others, after a crash, after a day.
//
// Covers: T03
func TestReplaysApplyNothingTwice(t *testing.T) {
	inWorld(t, func(t *testing.T, w *enginetest.World) {
		p := approved(t, w)
		hook := caught(t, w, "issue_comment", commented(p, enginetest.Ada, "/apply"))
		if n := len(w.Cloud.Applies()); n != 0 {
			t.Fatalf("%d applies before the webhook", n)
		}
		if status := w.Hooks.Deliver(hook.As("", "")); status != 202 {
			t.Fatalf("the webhook is answered with %d", status)
		}
		settled(t, w)
		if n := len(w.Cloud.Applies()); n != 1 {
			t.Fatalf("%d applies, want 1", n)
		}
		before := traces(t, w, p)
		for round, prepare := range []func(){
			func() {},
			func() { w.Crash(); must(t, w.Boot()) },
			func() { w.Crash(); w.Let(25 * time.Hour); must(t, w.Boot()) },
		} {
			prepare()
			settled(t, w)
			for i := range 10 {
				id := ""
				if i%2 == 1 {
					id = fmt.Sprintf("00000000-0000-4000-8000-%06d%06d", round, i)
				}
				if status := w.Hooks.Deliver(hook.As("", id)); status >= 300 {
					t.Errorf("a repetition is answered with %d", status)
				}
			}
			settled(t, w)
			if diff := cmp.Diff(before, traces(t, w, p)); diff != "" {
				t.Errorf("round %d leaves traces (-before +after):\n%s", round, diff)
			}
		}
		// The twin: a new comment is heard.
		if got := says(t, w, p, enginetest.Ada, "/apply"); !strings.Contains(got, "nothing to apply") {
			t.Errorf("a new /apply is answered with %q", got)
		}
	})
}

// Every webhook that is recorded is sent under the name of every other.
//
// Covers: T04
func TestBodiesUnderOtherNames(t *testing.T) {
	inWorld(t, func(t *testing.T, w *enginetest.World) {
		p := approved(t, w)
		check, _ := w.Repo.CheckRun(p.Info().HeadSHA, "tollgate")
		recorded := map[string]enginetest.Hook{}
		for event, happens := range map[string]func() error{
			"issue_comment":       commented(p, enginetest.Ada, "/apply"),
			"pull_request_review": func() error { return p.Approve(enginetest.Linus) },
			"check_run":           func() error { return w.Repo.RerequestCheckRun(enginetest.Ada, check.ID) },
			"check_suite":         func() error { return w.Repo.RerequestCheckSuite(enginetest.Ada, check.SuiteID) },
			"push": func() error {
				_, err := w.Repo.Push(ghsim.Push{Branch: "other", By: enginetest.Ada, Files: map[string]string{"README.md": "x"}})
				return err
			},
			"pull_request": func() error {
				return p.Edit(enginetest.Ada, ghsim.PullEdit{Title: ptr("Other")})
			},
		} {
			recorded[event] = caught(t, w, event, happens)
		}
		settled(t, w)
		before := traces(t, w, p)
		n := 0
		names := []string{"issue_comment", "pull_request_review", "check_run", "check_suite", "push", "pull_request", "merge_group", "installation", "installation_repositories",
			"ping", "issues", "pull_request_review_comment", "commit_comment", "discussion_comment", "workflow_run"}
		for event, hook := range recorded {
			for _, name := range names {
				if name == event {
					continue
				}
				n++
				if status := w.Hooks.Deliver(hook.As(name, fmt.Sprintf("00000000-0000-4000-8000-%012d", n))); status == 0 || status >= 500 {
					t.Errorf("%s as %s is answered with %d", event, name, status)
				}
			}
		}
		settled(t, w)
		if diff := cmp.Diff(before, traces(t, w, p)); diff != "" {
			t.Errorf("a body under another name has an effect (-before +after):\n%s", diff)
		}
		// The twin: under its own name it has.
		if status := w.Hooks.Deliver(recorded["issue_comment"]); status != 202 {
			t.Errorf("answered with %d", status)
		}
		settled(t, w)
		if len(w.Cloud.Applies()) != 1 {
			t.Error("the comment under its own name applies nothing")
		}
	})
}

func ptr[T any](v T) *T { return &v }

// Webhooks that are signed, but tell what GitHub's API does not confirm, lead to nothing.
//
// Covers: T05, T06
func TestForgedPayloadsApplyNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *enginetest.World) {
		must(t, w.GitHub.CreateOrganization("evil"))
		elsewhere, err := w.GitHub.Install(w.App.ID, "evil")
		must(t, err)
		settled(t, w)
		p := propose(t, w)
		settled(t, w)
		pullHook := caught(t, w, "pull_request", func() error { return p.ConvertToDraft(enginetest.Ada) })
		must(t, p.ReadyForReview(enginetest.Ada))
		settled(t, w)
		byEve := caught(t, w, "issue_comment", commented(p, enginetest.Eve, "/apply"))
		asked := caught(t, w, "issue_comment", commented(p, enginetest.Grace, "Shall we?"))
		byAda := caught(t, w, "issue_comment", commented(p, enginetest.Ada, "/apply"))
		must(t, p.Approve(enginetest.Grace))
		settled(t, w)
		var grace any
		_, err = asked.With("", func(b map[string]any) { grace = b["sender"] })
		must(t, err)
		pull := func(body map[string]any) map[string]any { return body["pull_request"].(map[string]any) }
		for i, forged := range []struct {
			name   string
			hook   enginetest.Hook
			change func(map[string]any)
		}{
			{"merged", pullHook, func(b map[string]any) {
				b["action"], pull(b)["state"], pull(b)["merged"], pull(b)["merge_commit_sha"] = "closed", "closed", true, p.Info().HeadSHA
			}},
			{"another head", pullHook, func(b map[string]any) {
				b["action"], pull(b)["head"].(map[string]any)["sha"] = "synchronize", strings.Repeat("ab", 20)
			}},
			{"somebody else's comment", byEve, func(b map[string]any) {
				b["sender"], b["comment"].(map[string]any)["user"] = grace, grace
			}},
			{"another text", asked, func(b map[string]any) { b["comment"].(map[string]any)["body"] = "/apply" }},
			{"another installation", byAda, func(b map[string]any) { b["installation"].(map[string]any)["id"] = elsewhere }},
			{"another repository", byAda, func(b map[string]any) {
				repo := b["repository"].(map[string]any)
				repo["id"], repo["name"], repo["full_name"] = 99, "other", "acme/other"
			}},
		} {
			hook, err := forged.hook.With(fmt.Sprintf("00000000-0000-4000-8000-%012d", i), forged.change)
			must(t, err)
			w.Hooks.Deliver(hook)
			settled(t, w)
			if n := len(w.Cloud.Applies()); n != 0 {
				t.Fatalf("%s: %d applies", forged.name, n)
			}
			if state := p.Info().State; state != "open" {
				t.Fatalf("%s: the pull request is %s", forged.name, state)
			}
		}
		// The twin: what GitHub confirms is done. It was planned again, because somebody seemed to have pushed.
		must(t, p.Approve(enginetest.Grace))
		settled(t, w)
		if status := w.Hooks.Deliver(byAda); status != 202 {
			t.Errorf("answered with %d", status)
		}
		settled(t, w)
		if n := len(w.Cloud.Applies()); n != 1 {
			t.Errorf("the twin makes %d applies: %v", n, p.Comments())
		}
		runs, err := w.Runs(p.Number())
		must(t, err)
		if slices.ContainsFunc(runs, func(r store.Run) bool { return r.HeadSHA == strings.Repeat("ab", 20) }) {
			t.Error("a commit is planned that only a webhook tells of")
		}
	})
}

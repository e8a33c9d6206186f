package github_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/github"
)

// body is a webhook of our repository with the given keys on top of what all have.
func body(keys m) m {
	b := m{
		"sender": user(1, "ann"), "installation": m{"id": shop.InstallationID, "node_id": "x"},
		"repository": m{"id": shop.ID, "name": "shop", "full_name": "acme/shop", "owner": m{"login": "acme", "id": 20}, "pushed_at": "2026-01-02T03:04:05Z"},
	}
	for k, v := range keys {
		if b[k] = v; v == nil {
			delete(b, k)
		}
	}
	return b
}

func hookPull() m {
	p := pullAnswer(3)
	p["updated_at"] = "2026-01-02T03:04:05Z"
	return p
}

func hookRun() m {
	return m{"id": 11, "name": "tollgate", "head_sha": shaA, "external_id": "run-1", "status": "completed", "conclusion": "failure",
		"started_at": "2026-01-02T03:04:05Z", "completed_at": nil, "app": m{"id": appID}, "check_suite": m{"id": 12}, "pull_requests": []any{m{"number": 3}}}
}

func hookSuite() m {
	return m{"id": 12, "head_sha": shaA, "updated_at": "2026-01-02T03:04:05Z", "app": m{"id": appID}, "pull_requests": []any{m{"number": 3}, m{"number": 4}}}
}

func hookInstallation() m {
	return m{"id": shop.InstallationID, "app_id": appID, "account": user(20, "acme"), "updated_at": "2026-01-02T03:04:05.000Z"}
}

type hook struct {
	event string
	body  m
}

// hooks are bodies that lead to work, by a name for each.
func hooks() map[string]hook {
	short := []any{m{"id": 42, "name": "shop", "full_name": "acme/shop", "private": true}}
	pull := func(action string, more m) hook {
		keys := m{"action": action, "number": 3, "pull_request": hookPull()}
		maps.Copy(keys, more)
		return hook{"pull_request", body(keys)}
	}
	return map[string]hook{
		"opened":       pull("opened", nil),
		"synchronize":  pull("synchronize", m{"before": shaB, "after": shaA}),
		"base changed": pull("edited", m{"changes": m{"base": m{"ref": m{"from": "old"}}}}),
		"closed":       pull("closed", nil),
		"review": {"pull_request_review", body(m{"action": "submitted", "pull_request": hookPull(),
			"review": m{"id": 6, "user": user(1, "ann"), "state": "approved", "commit_id": shaA}})},
		"comment": {"issue_comment", body(m{"action": "created", "issue": m{"number": 3, "pull_request": m{"url": "x"}},
			"comment": m{"id": 5, "body": "/apply", "user": user(1, "ann"), "performed_via_github_app": nil}})},
		"re-run":       {"check_run", body(m{"action": "rerequested", "check_run": hookRun()})},
		"button":       {"check_run", body(m{"action": "requested_action", "check_run": hookRun(), "requested_action": m{"identifier": "apply"}})},
		"re-run suite": {"check_suite", body(m{"action": "rerequested", "check_suite": hookSuite()})},
		"push": {"push", body(m{"ref": "refs/heads/main", "before": shaB, "after": shaA, "pusher": m{"name": "ann"}, "commits": []any{},
			"repository": m{"id": 42, "name": "shop", "owner": m{"login": "acme"}, "pushed_at": 1767322000}})},
		"merge group": {"merge_group", body(m{"action": "checks_requested", "merge_group": m{"head_sha": shaA, "base_ref": "refs/heads/main"}})},
		"installed":   {"installation", body(m{"action": "created", "installation": hookInstallation(), "repositories": short, "repository": nil})},
		"repositories": {"installation_repositories", body(m{"action": "added", "installation": hookInstallation(), "repository": nil,
			"repositories_added": short, "repositories_removed": []any{}, "repository_selection": "selected"})},
	}
}

// bystanders are events that are none of ours.
func bystanders() map[string]m {
	return map[string]m{
		"pull_request_review_comment": body(m{"action": "created", "pull_request": hookPull(), "comment": m{"id": 5, "body": "/apply", "user": user(1, "ann")}}),
		"pull_request_review_thread":  body(m{"action": "resolved", "pull_request": hookPull(), "thread": m{"comments": []any{}}}),
		"issues":                      body(m{"action": "opened", "issue": m{"number": 3, "pull_request": m{}}}),
		"commit_comment":              body(m{"action": "created", "comment": m{"id": 5, "body": "/apply", "user": user(1, "ann")}}),
		"create":                      body(m{"ref": "main", "ref_type": "branch", "pusher_type": "user"}),
		"deployment_status":           body(m{"action": "created", "check_run": hookRun(), "deployment": m{"id": 8}, "deployment_status": m{"id": 9}}),
		"workflow_run":                body(m{"action": "completed", "workflow_run": m{"id": 9}, "workflow": m{"id": 1}}),
		"installation_target":         body(m{"action": "renamed", "installation": hookInstallation(), "repository": nil, "target_type": "User", "changes": m{}}),
		"discussion_comment":          body(m{"action": "created", "discussion": m{"number": 3}, "comment": m{"id": 5, "body": "/apply", "user": user(1, "ann")}}),
		"repository":                  body(m{"action": "renamed"}),
	}
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDecode(t *testing.T) {
	t.Parallel()
	base := github.Event{InstallationID: 9, Repo: shop, Sender: change.User{ID: 1, Login: "ann"}}
	with := func(kind github.Kind, action string, fill func(*github.Event)) github.Event {
		e := base
		e.Kind, e.Action = kind, action
		fill(&e)
		return e
	}
	pull := func(e *github.Event) { e.Pull, e.HeadSHA, e.BaseRef, e.Stamp = 3, shaA, "main", "1767323045" }
	changed := func(e *github.Event) { pull(e); e.UpdatedAt = time.Unix(1767323045, 0).UTC() }
	run := func(e *github.Event) {
		e.Pull, e.HeadSHA, e.CheckRunID, e.CheckSuiteID, e.CheckName = 3, shaA, 11, 12, "tollgate"
		e.ExternalID, e.AppID, e.Stamp = "run-1", appID, "1767323045"
	}
	installation := func(e *github.Event) {
		e.Repo, e.Repos, e.AppID, e.Stamp = change.Repo{}, []change.Repo{shop}, appID, "2026-01-02T03:04:05.000Z"
	}
	want := map[string]github.Event{
		"opened":       with(github.KindPullRequest, "opened", changed),
		"synchronize":  with(github.KindPullRequest, "synchronize", changed),
		"base changed": with(github.KindPullRequest, "edited", func(e *github.Event) { changed(e); e.BaseChanged = true }),
		"closed":       with(github.KindPullRequest, "closed", changed),
		"review":       with(github.KindReview, "submitted", func(e *github.Event) { pull(e); e.ReviewID, e.Stamp = 6, "" }),
		"comment":      with(github.KindComment, "created", func(e *github.Event) { e.Pull, e.CommentID, e.CommentBody = 3, 5, "/apply" }),
		"re-run":       with(github.KindCheckRun, "rerequested", run),
		"button":       with(github.KindCheckRun, "requested_action", func(e *github.Event) { run(e); e.ButtonIdentifier = "apply" }),
		"re-run suite": with(github.KindCheckSuite, "rerequested", func(e *github.Event) {
			e.HeadSHA, e.CheckSuiteID, e.AppID, e.Stamp = shaA, 12, appID, "1767323045"
		}),
		"push": with(github.KindPush, "", func(e *github.Event) {
			e.Ref, e.BeforeSHA, e.HeadSHA, e.Stamp = "refs/heads/main", shaB, shaA, "1767322000"
		}),
		"merge group":  with(github.KindMergeGroup, "checks_requested", func(e *github.Event) { e.HeadSHA, e.BaseRef = shaA, "main" }),
		"installed":    with(github.KindInstallation, "created", installation),
		"repositories": with(github.KindRepositories, "added", installation),
	}
	for name, h := range hooks() {
		got, err := github.Decode(h.event, encode(t, h.body))
		if diff := cmp.Diff(want[name], got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
		var back github.Event
		if err := json.Unmarshal(encode(t, got), &back); err != nil || cmp.Diff(got, back) != "" {
			t.Errorf("%s: does not survive the queue: %v\n%s", name, err, cmp.Diff(got, back))
		}
	}
}

func TestDecodeIgnores(t *testing.T) {
	t.Parallel()
	edited, labelled, issue, commentEdited, created, ours := hooks()["opened"], hooks()["opened"], hooks()["comment"], hooks()["comment"], hooks()["re-run"], bystanders()
	edited.body["action"], edited.body["changes"] = "edited", m{"title": m{"from": "x"}}
	labelled.body["action"] = "labeled"
	issue.body["issue"] = m{"number": 3}
	commentEdited.body["action"] = "edited"
	created.body["action"] = "created"
	list := []hook{edited, labelled, issue, commentEdited, created, {"no_such_event", m{}}}
	for event, b := range ours {
		list = append(list, hook{event, b})
	}
	for _, h := range list {
		e, err := github.Decode(h.event, encode(t, h.body))
		if err != nil || e.Kind != github.KindIgnored || e.Meaning() != "" {
			t.Errorf("%s %v: %+v, %v", h.event, h.body["action"], e, err)
		}
	}
	if e, err := github.Decode("ping", []byte(`{"zen":"x","hook_id":1}`)); err != nil || e.Kind != github.KindPing || e.Meaning() != "" {
		t.Errorf("ping: %+v, %v", e, err)
	}
}

// The name of the event is not signed, so a body may come under any other.
//
// Covers: T04
func TestNoBodyPassesForAnotherEvent(t *testing.T) {
	t.Parallel()
	all := slices.Collect(maps.Values(hooks()))
	for event, b := range bystanders() {
		all = append(all, hook{event, b})
	}
	for _, sent := range all {
		for _, claimed := range all {
			if sent.event == claimed.event {
				continue
			}
			e, err := github.Decode(claimed.event, encode(t, sent.body))
			if err == nil && e.Meaning() != "" {
				t.Errorf("a %s became a %s: %+v", sent.event, claimed.event, e)
			}
		}
	}
}

// Whatever a decision could miss is required: without any of these keys there is no event.
func TestDecodeRequires(t *testing.T) {
	t.Parallel()
	for name, paths := range map[string][]string{
		"opened": {"action", "number", "pull_request", "pull_request.number", "pull_request.head.sha", "pull_request.base.ref", "pull_request.base.repo.id",
			"repository", "repository.id", "repository.name", "sender", "sender.id", "sender.login", "installation", "installation.id"},
		"review":       {"review.id", "review.user.id", "pull_request.number", "pull_request.head.sha"},
		"comment":      {"comment.id", "comment.body", "comment.user.id", "issue.number"},
		"button":       {"check_run.id", "check_run.name", "check_run.head_sha", "check_run.app.id", "requested_action.identifier"},
		"re-run suite": {"check_suite.id", "check_suite.head_sha", "check_suite.app.id"},
		"push":         {"ref", "before", "after", "pusher"},
		"merge group":  {"merge_group.head_sha", "merge_group.base_ref"},
		"installed":    {"installation.app_id", "installation.account.id"},
		"repositories": {"repositories_added", "repositories_removed"},
	} {
		for _, path := range paths {
			h := hooks()[name]
			keys := strings.Split(path, ".")
			parent := h.body
			for _, key := range keys[:len(keys)-1] {
				parent = parent[key].(m)
			}
			delete(parent, keys[len(keys)-1])
			if e, err := github.Decode(h.event, encode(t, h.body)); err == nil {
				t.Errorf("%s without %s: %+v", name, path, e)
			}
		}
	}
}

func TestDecodeRefusesContradictions(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]struct {
		of string
		do func(m)
	}{
		"two numbers":                {"opened", func(b m) { b["number"] = 4 }},
		"pull of another repository": {"opened", func(b m) { b["pull_request"].(m)["base"].(m)["repo"] = m{"id": 43} }},
		"name that is a path":        {"opened", func(b m) { b["repository"].(m)["name"] = ".." }},
		"comment of another person":  {"comment", func(b m) { b["comment"].(m)["user"] = user(2, "bob") }},
		"button without request":     {"re-run", func(b m) { b["requested_action"] = m{"identifier": "apply"} }},
		"short commit":               {"push", func(b m) { b["after"] = "abc" }},
		"wrong type":                 {"opened", func(b m) { b["number"] = "3" }},
	} {
		h := hooks()[spoil.of]
		spoil.do(h.body)
		if e, err := github.Decode(h.event, encode(t, h.body)); err == nil {
			t.Errorf("%s: %+v", name, e)
		}
	}
	for _, junk := range []string{"", "null", "[]", "1", "{", `{"action":"opened"}`} {
		if e, err := github.Decode("pull_request", []byte(junk)); err == nil {
			t.Errorf("%q: %+v", junk, e)
		}
	}
}

// Equal meanings are one thing told twice; what a person can do twice has different ones.
func TestMeaning(t *testing.T) {
	t.Parallel()
	meaning := func(name string, changes ...func(m)) string {
		h := hooks()[name]
		for _, c := range changes {
			c(h.body)
		}
		e, err := github.Decode(h.event, encode(t, h.body))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return e.Meaning()
	}
	seen := map[string]string{}
	for name := range hooks() {
		got := meaning(name)
		if got == "" || got != meaning(name) || seen[got] != "" {
			t.Errorf("%s means %q, as does %q", name, got, seen[got])
		}
		seen[got] = name
	}

	later := "2026-01-02T03:04:06Z"
	for what, test := range map[string]struct {
		of     string
		change func(m)
		same   bool
	}{
		"the same push again":           {"synchronize", func(b m) {}, true},
		"back to an earlier commit":     {"synchronize", func(b m) { b["pull_request"].(m)["updated_at"] = later }, false},
		"reopened and closed again":     {"closed", func(b m) { b["pull_request"].(m)["updated_at"] = later }, false},
		"another comment, same text":    {"comment", func(b m) { b["comment"].(m)["id"] = 6 }, false},
		"same comment, other text":      {"comment", func(b m) { b["comment"].(m)["body"] = "/plan" }, true},
		"another review":                {"review", func(b m) { b["review"].(m)["id"] = 7 }, false},
		"review dismissed":              {"review", func(b m) { b["action"] = "dismissed" }, false},
		"run again after it ran":        {"re-run", func(b m) { b["check_run"].(m)["completed_at"] = later }, false},
		"run again by a double click":   {"re-run", func(b m) {}, true},
		"another person presses":        {"button", func(b m) { b["sender"] = user(2, "bob") }, false},
		"another button":                {"button", func(b m) { b["requested_action"] = m{"identifier": "plan"} }, false},
		"pressed again after a refusal": {"button", func(b m) { b["check_run"].(m)["external_id"] = "run-1.2" }, false},
		"suite run again":               {"re-run suite", func(b m) { b["check_suite"].(m)["updated_at"] = later }, false},
		"branch moved there and back":   {"push", func(b m) { b["repository"].(m)["pushed_at"] = 1767322001 }, false},
		"another repository":            {"comment", func(b m) { b["repository"].(m)["id"] = 43 }, false},
		"suspended again":               {"installed", func(b m) { b["installation"].(m)["updated_at"] = later }, false},
	} {
		if same := meaning(test.of) == meaning(test.of, test.change); same != test.same {
			t.Errorf("%s: same meaning %t, want %t", what, same, test.same)
		}
	}
}

// Covers: T04
func FuzzDecode(f *testing.F) {
	for _, h := range hooks() {
		f.Add(h.event, encode(f, h.body))
	}
	for event, b := range bystanders() {
		f.Add(event, encode(f, b))
	}
	f.Fuzz(func(t *testing.T, event string, body []byte) {
		e, err := github.Decode(event, body)
		if err != nil || e.Meaning() == "" {
			return
		}
		byGitHub := e.Kind == github.KindPush || e.Kind == github.KindMergeGroup
		if string(e.Kind) != event || e.InstallationID <= 0 || (e.Sender.ID <= 0 && !byGitHub) {
			t.Errorf("%q from %q: %+v", event, body, e)
		}
		if strings.ContainsAny(e.Repo.Owner+e.Repo.Name, "/\\?#% \n") {
			t.Errorf("repository %q", e.Repo.FullName())
		}
	})
}

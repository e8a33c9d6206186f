package github_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/github"
)

// Covers: T25
func TestLastPushers(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.on("GET /repos/acme/shop/activity", answerJSON([]m{
		{"after": shaA, "actor": user(2, "bob")}, {"after": shaB, "actor": user(3, "cid")}, {"after": shaA, "actor": user(1, "ann")}, {"after": shaA, "actor": nil},
	}))
	got, err := f.app().LastPushers(t.Context(), shop, "topic", shaA)
	if diff := cmp.Diff([]change.User{{ID: 2, Login: "bob"}, {ID: 1, Login: "ann"}}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// A GitHub without the list blocks nobody; one that stumbles does.
func TestLastPushersWhereGitHubDoesNotTell(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]error{403: nil, 404: nil, 501: nil, 500: github.ErrUnavailable, 502: github.ErrUnavailable, 422: github.ErrRejected} {
		f := newFake(t)
		f.on("GET /repos/acme/shop/activity", refuse(status, "no"))
		got, err := f.app().LastPushers(t.Context(), shop, "topic", shaA)
		if len(got) != 0 || !errors.Is(err, want) {
			t.Errorf("%d: %v, %v; want %v", status, got, err, want)
		}
	}
}

// Covers: T25, T27
func TestTeam(t *testing.T) {
	t.Parallel()
	ann, bob, cid := change.User{ID: 1, Login: "ann"}, change.User{ID: 2, Login: "bob"}, change.User{ID: 3, Login: "cid"}
	f := newFake(t)
	member := "GET /orgs/acme/teams/ops/memberships/"
	f.on(member+"ann", answerJSON(m{"state": "active", "role": "member", "url": "x"}))
	f.on(member+"bob", answerJSON(m{"state": "pending", "role": "member", "url": "x"}))
	f.on(member+"cid", refuse(404, "Not Found"))
	f.on("GET /orgs/acme/teams/ops/members", answerJSON([]m{user(1, "ann")}))
	got, err := f.app().Team(t.Context(), shop, "acme/ops", []change.User{ann, bob, cid, {Login: "ghost"}, {ID: 4, Login: "../x"}})
	if diff := cmp.Diff(change.Team{Name: "acme/ops", Members: []int64{1}}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	got, err = f.app().Team(t.Context(), shop, "acme/ops", []change.User{cid})
	if diff := cmp.Diff(change.Team{Name: "acme/ops", Members: []int64{}}, got); err != nil || diff != "" {
		t.Errorf("nobody of them: %v (-want +got):\n%s", err, diff)
	}
	for name, c := range map[string]struct {
		answer  int // to the question for the members
		problem string
	}{"acme/gone": {404, "GitHub knows no such team, or does not let the App see it."},
		"acme/shut": {403, `The App may not read its members: it lacks the permission "Members: read-only".`}} {
		f.on("GET /orgs/acme/teams/"+name[5:]+"/memberships/ann", refuse(c.answer, "no"))
		f.on("GET /orgs/acme/teams/"+name[5:]+"/members", refuse(c.answer, "no"))
		if got, err := f.app().Team(t.Context(), shop, name, []change.User{ann}); err != nil || got.Problem != c.problem || len(got.Members) > 0 {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	f.on("GET /orgs/acme/teams/empty/members", answer(200, "[]"))
	if got, err := f.app().Team(t.Context(), shop, "acme/empty", nil); err != nil || got.Problem != "It has no members." {
		t.Errorf("an empty team: %+v, %v", got, err)
	}
	for _, name := range []string{"other/ops", "acme", "acme/../x", "acme/a b"} {
		if got, err := f.app().Team(t.Context(), shop, name, []change.User{ann}); err != nil || got.Problem == "" || len(got.Members) > 0 {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	f.on("GET /orgs/acme/teams/slow/memberships/ann", refuse(502, "no"))
	if _, err := f.app().Team(t.Context(), shop, "acme/slow", []change.User{ann}); !errors.Is(err, github.ErrUnavailable) {
		t.Errorf("GitHub stumbles: %v", err)
	}
}

func TestCreateIssue(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.on("POST /repos/acme/shop/issues", answer(201, `{"number": 7}`), answer(201, `{}`), refuse(410, "Issues are disabled"))
	app := f.app()
	if n, err := app.CreateIssue(t.Context(), shop, "T", "B"); n != 7 || err != nil {
		t.Errorf("issue %d, %v", n, err)
	}
	for range 2 {
		if n, err := app.CreateIssue(t.Context(), shop, "T", "B"); err == nil {
			t.Errorf("issue %d without an error", n)
		}
	}
}

// Who is named in a message has had a hand in the commit; who cannot be told is nobody that we know.
// Covers: T25
func TestCoAuthors(t *testing.T) {
	t.Parallel()
	commit := func(message string) m {
		return m{"sha": shaA, "author": user(1, "ann"), "committer": user(1, "ann"),
			"commit": m{"message": message, "author": m{"email": "Ann@example.com"}, "committer": m{"email": "ann@example.com"}}}
	}
	for message, want := range map[string][]change.User{
		"Fix": {},
		"Fix\n\nCo-authored-by: Bob <2+bob@users.noreply.github.com>":                                         {{ID: 2, Login: "bob"}},
		"Fix\n\nCO-AUTHORED-BY: Bob <2+bob@users.noreply.github.com>\r\nSigned-off-by: x":                     {{ID: 2, Login: "bob"}},
		"Fix\n\nCo-authored-by: Ann <ann@EXAMPLE.com>":                                                        {{ID: 1, Login: "ann"}},
		"Fix\n\nCo-authored-by: Bob <bob@example.com>":                                                        {{}},
		"Fix\n\nCo-authored-by: Bob <2+bob@users.noreply.evil.example>":                                       {{}},
		"Fix\n\nCo-authored-by: R <5+robot[bot]@users.noreply.github.com>\nCo-authored-by: C <c@example.com>": {{ID: 5, Login: "robot[bot]", Bot: true}, {}},
		"They say Co-authored-by: Bob <2+bob@users.noreply.github.com> is a line":                             {},
	} {
		f := newFake(t)
		f.on("GET /repos/acme/shop/pulls/3/commits", answerJSON([]m{commit(message)}))
		commits, err := f.app().Commits(t.Context(), shop, 3)
		if err != nil || len(commits) != 1 {
			t.Fatal(commits, err)
		}
		if diff := cmp.Diff(want, commits[0].CoAuthors); diff != "" {
			t.Errorf("%q (-want +got):\n%s", message, diff)
		}
	}
}

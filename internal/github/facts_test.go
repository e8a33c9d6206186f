package github_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/github"
)

func TestPull(t *testing.T) {
	t.Parallel()
	want := change.Pull{
		Repo: shop, Number: 3, Title: "Encrypt", URL: "https://x/1", Author: change.User{ID: 1, Login: "ann"},
		Open: true, HeadSHA: shaA, HeadRef: "topic", BaseRef: "main", Commits: 2,
	}
	fork := func(id int64) func(m) {
		return func(p m) { p["head"] = m{"sha": shaA, "ref": "topic", "repo": m{"id": id}} }
	}
	for name, test := range map[string]struct {
		change func(m)
		want   func(*change.Pull) // nil: an error
	}{
		"open":         {func(m) {}, func(*change.Pull) {}},
		"draft":        {func(p m) { p["draft"] = true }, func(p *change.Pull) { p.Draft = true }},
		"closed":       {func(p m) { p["state"] = "closed" }, func(p *change.Pull) { p.Open = false }},
		"fork":         {fork(77), func(p *change.Pull) { p.Fork = true }},
		"deleted fork": {func(p m) { p["head"] = m{"sha": shaA, "ref": "topic", "repo": nil} }, func(p *change.Pull) { p.Fork = true }},
		"by a bot":     {func(p m) { p["user"].(m)["type"] = "Bot" }, func(p *change.Pull) { p.Author.Bot = true }},
		"merged": {func(p m) {
			p["state"], p["merged"], p["merged_at"], p["merged_by"] = "closed", true, "2026-01-02T03:04:05Z", user(2, "bob")
		}, func(p *change.Pull) {
			p.Open, p.Merged, p.MergeSHA, p.MergedBy = false, true, shaB, change.User{ID: 2, Login: "bob"}
			p.MergedAt = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		}},
		"another repository": {func(p m) { p["base"].(m)["repo"].(m)["id"] = 43 }, nil},
		"no repository":      {func(p m) { p["base"].(m)["repo"] = nil }, nil},
		"no base":            {func(p m) { delete(p, "base") }, nil},
		"no state":           {func(p m) { delete(p, "state") }, nil},
		"another number":     {func(p m) { p["number"] = 4 }, nil},
		"no head":            {func(p m) { delete(p, "head") }, nil},
		"short head":         {func(p m) { p["head"].(m)["sha"] = "abc" }, nil},
	} {
		f := newFake(t)
		f.on("GET /repos/acme/shop/pulls/3", answerJSON(pullAnswer(3, test.change)))
		got, err := f.app().Pull(t.Context(), shop, 3)
		if test.want == nil {
			wantFault(t, err, github.ErrUnavailable)
			continue
		}
		expected := want
		test.want(&expected)
		if err != nil || cmp.Diff(expected, got) != "" {
			t.Errorf("%s: %v\n%s", name, err, cmp.Diff(expected, got))
		}
	}
}

// paged answers a list a hundred at a time, with GitHub's Link header or, like some proxies, without.
func paged(items []any, link bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var page int
		if _, err := fmt.Sscan(r.URL.Query().Get("page"), &page); err != nil || r.URL.Query().Get("per_page") != "100" {
			refuse(400, "bad page")(w, r)
			return
		}
		from, to := min((page-1)*100, len(items)), min(page*100, len(items))
		if link && to < len(items) {
			w.Header().Set("Link", fmt.Sprintf(`<http://%s%s?page=%d>; rel="next"`, r.Host, r.URL.Path, page+1))
		}
		answerJSON(append([]any{}, items[from:to]...))(w, r)
	}
}

func reviewAnswer(id int64, author m, state string) m {
	return m{"id": id, "user": author, "state": state, "commit_id": shaA, "submitted_at": "2026-01-02T03:04:05Z"}
}

func permission(person m, level string) http.HandlerFunc {
	return answerJSON(m{"permission": level, "user": person})
}

func TestReviews(t *testing.T) {
	t.Parallel()
	for _, link := range []bool{true, false} {
		f := newFake(t)
		ann, bob, cat, dan, eve := user(1, "ann"), user(2, "bob"), user(3, "cat"), user(4, "dan"), user(5, "eve")
		items := []any{}
		for i := range int64(250) {
			items = append(items, reviewAnswer(i+1, ann, "COMMENTED"))
		}
		items = append(items, reviewAnswer(301, bob, "CHANGES_REQUESTED"), reviewAnswer(302, bob, "APPROVED"),
			reviewAnswer(303, cat, "APPROVED"), reviewAnswer(304, dan, "DISMISSED"), reviewAnswer(305, eve, "APPROVED"),
			reviewAnswer(306, nil, "APPROVED"))
		f.on("GET /repos/acme/shop/pulls/3/reviews", paged(items, link))
		f.on("GET /repos/acme/shop/collaborators/bob/permission", permission(bob, "write"))
		f.on("GET /repos/acme/shop/collaborators/cat/permission", refuse(404, "Not Found"))
		f.on("GET /repos/acme/shop/collaborators/eve/permission", permission(user(99, "eve"), "admin"))
		reviews, err := f.app().Reviews(t.Context(), shop, 3)
		if err != nil || len(reviews) != 256 {
			t.Fatalf("%d reviews, %v", len(reviews), err)
		}
		got := map[int64]change.Permission{}
		for _, r := range reviews[250:] {
			got[r.ID] = r.Permission
		}
		want := map[int64]change.Permission{301: "write", 302: "write", 303: "none", 304: "", 305: "none", 306: ""}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("permissions (-want +got):\n%s", diff)
		}
		wantReview := change.Review{ID: 302, Author: change.User{ID: 2, Login: "bob"}, State: "approved", CommitSHA: shaA,
			SubmittedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Permission: "write"}
		if diff := cmp.Diff(wantReview, reviews[251]); diff != "" {
			t.Errorf("review (-want +got):\n%s", diff)
		}
		if n := len(f.seen()); n != 6 {
			t.Errorf("%d requests, want 3 pages and 3 people", n)
		}
	}
}

// Covers: T29
func TestFullLastPageIsNotTakenForTheEnd(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	items := []any{}
	for i := range int64(100) {
		items = append(items, reviewAnswer(i+1, user(1, "ann"), "COMMENTED"))
	}
	f.on("GET /repos/acme/shop/pulls/3/reviews", paged(items, false))
	reviews, err := f.app().Reviews(t.Context(), shop, 3)
	if err != nil || len(reviews) != 100 || len(f.seen()) != 2 {
		t.Errorf("%d reviews in %d requests, %v", len(reviews), len(f.seen()), err)
	}
}

// Covers: T29
func TestReviewsFailClosed(t *testing.T) {
	t.Parallel()
	bob := user(2, "bob")
	for name, reviews := range map[string][]any{
		"listed twice": {reviewAnswer(1, bob, "APPROVED"), reviewAnswer(1, bob, "APPROVED")},
		"without id":   {m{"user": bob, "state": "APPROVED"}},
		"no review":    {nil},
		"no state":     {m{"id": 1, "user": bob}},
	} {
		f := newFake(t)
		f.on("GET /repos/acme/shop/pulls/3/reviews", paged(reviews, true))
		f.on("GET /repos/acme/shop/collaborators/bob/permission", permission(bob, "write"))
		if _, err := f.app().Reviews(t.Context(), shop, 3); !errors.Is(err, github.ErrIncomplete) {
			t.Errorf("%s: error %v", name, err)
		}
	}

	f := newFake(t)
	f.on("GET /repos/acme/shop/pulls/3/reviews", paged([]any{reviewAnswer(1, bob, "APPROVED")}, true))
	f.on("GET /repos/acme/shop/collaborators/bob/permission", refuse(500, "Server Error"))
	_, err := f.app().Reviews(t.Context(), shop, 3)
	wantFault(t, err, github.ErrUnavailable)
}

// Covers: T29
func TestEndlessListIsAnError(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	var id atomic.Int64
	f.on("GET /repos/acme/shop/pulls/3/reviews", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", `<http://x/?page=9>; rel="next"`)
		answerJSON([]any{reviewAnswer(id.Add(1), user(1, "ann"), "COMMENTED")})(w, r)
	})
	_, err := f.app().Reviews(t.Context(), shop, 3)
	wantFault(t, err, github.ErrIncomplete)
}

// Covers: T13
func TestPermission(t *testing.T) {
	t.Parallel()
	bob := user(2, "bob")
	for name, test := range map[string]struct {
		login  string
		answer http.HandlerFunc
		want   change.Permission
		asked  int
	}{
		"admin":                  {"bob", permission(bob, "admin"), "admin", 1},
		"read":                   {"bob", permission(bob, "read"), "read", 1},
		"unknown person":         {"bob", refuse(404, "Not Found"), "none", 1},
		"login re-registered":    {"bob", permission(user(3, "bob"), "admin"), "none", 1},
		"nobody in the answer":   {"bob", permission(nil, "admin"), "none", 1},
		"a login that is a path": {"../../pulls", permission(bob, "admin"), "none", 0},
		"a login with a query":   {"bob?x=1", permission(bob, "admin"), "none", 0},
		"no login":               {"", permission(bob, "admin"), "none", 0},
	} {
		f := newFake(t)
		f.on("GET /repos/acme/shop/collaborators/{login}/permission", test.answer)
		got, err := f.app().Permission(t.Context(), shop, change.User{ID: 2, Login: test.login})
		if err != nil || got != test.want || len(f.seen()) != test.asked {
			t.Errorf("%s: %q, %v, %d requests", name, got, err, len(f.seen()))
		}
	}

	f := newFake(t)
	f.on("GET /repos/acme/shop/collaborators/{login}/permission", answerJSON(m{"user": bob}))
	got, err := f.app().Permission(t.Context(), shop, change.User{ID: 2, Login: "bob"})
	if wantFault(t, err, github.ErrUnavailable); got.CanWrite() {
		t.Errorf("permission %q from an answer without one", got)
	}

	f = newFake(t)
	f.on("GET /repos/acme/shop/collaborators/dependabot[bot]/permission", permission(user(8, "dependabot[bot]"), "write"))
	if got, err = f.app().Permission(t.Context(), shop, change.User{ID: 8, Login: "dependabot[bot]"}); err != nil || got != "write" {
		t.Errorf("a bot's permission: %q, %v", got, err)
	}
}

func TestCommits(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	var items []any
	for i := range 150 {
		items = append(items, m{"sha": fmt.Sprintf("%040x", i), "author": user(1, "ann"), "committer": nil})
	}
	f.on("GET /repos/acme/shop/pulls/3/commits", paged(items, true))
	commits, err := f.app().Commits(t.Context(), shop, 3)
	if err != nil || len(commits) != 150 || len(f.seen()) != 2 {
		t.Fatalf("%d commits in %d requests, %v", len(commits), len(f.seen()), err)
	}
	want := change.Commit{SHA: fmt.Sprintf("%040x", 149), Author: change.User{ID: 1, Login: "ann"}, CoAuthors: []change.User{}}
	if diff := cmp.Diff(want, commits[149]); diff != "" {
		t.Errorf("commit (-want +got):\n%s", diff)
	}
}

func TestCheckCommits(t *testing.T) {
	t.Parallel()
	list := func(shas ...string) []change.Commit {
		var commits []change.Commit
		for _, sha := range shas {
			commits = append(commits, change.Commit{SHA: sha})
		}
		return commits
	}
	many := make([]change.Commit, 250)
	for name, test := range map[string]struct {
		expected int
		commits  []change.Commit
		says     string // empty: they are complete
	}{
		"all":           {2, list(shaB, shaA), ""},
		"one":           {1, list(shaA), ""},
		"none":          {0, nil, "does not fit"},
		"one too few":   {3, list(shaB, shaA), "does not fit"},
		"one too many":  {1, list(shaB, shaA), "does not fit"},
		"without head":  {2, list(shaB, "cc"), "does not fit"},
		"twice":         {2, list(shaA, shaA), "does not fit"},
		"beyond GitHub": {251, many, "251 commits, and GitHub lists at most 250"},
	} {
		err := github.CheckCommits(change.Pull{HeadSHA: shaA, Commits: test.expected}, test.commits)
		if test.says == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if f := wantFault(t, err, github.ErrIncomplete); !strings.Contains(f.What, test.says) {
			t.Errorf("%s: says %q", name, f.What)
		}
	}
}

func commentAnswer(changes ...func(m)) m {
	c := m{
		"id": 5, "body": "/apply", "user": user(1, "ann"), "issue_url": "https://x/repos/acme/shop/issues/3",
		"created_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:04:05Z", "performed_via_github_app": nil,
	}
	for _, change := range changes {
		change(c)
	}
	return c
}

func TestComment(t *testing.T) {
	t.Parallel()
	want := github.Comment{ID: 5, Body: "/apply", Author: change.User{ID: 1, Login: "ann"}, Pull: 3,
		CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	for name, test := range map[string]struct {
		change func(m)
		want   func(*github.Comment) // nil: an error
	}{
		"as written":      {func(m) {}, func(*github.Comment) {}},
		"edited":          {func(c m) { c["updated_at"] = "2026-01-02T03:04:06Z" }, func(c *github.Comment) { c.Edited = true }},
		"through an App":  {func(c m) { c["performed_via_github_app"] = m{"id": 8} }, func(c *github.Comment) { c.AppID = 8 }},
		"by nobody":       {func(c m) { c["user"] = nil }, func(c *github.Comment) { c.Author = change.User{} }},
		"another comment": {func(c m) { c["id"] = 6 }, nil},
		"no body":         {func(c m) { delete(c, "body") }, nil},
		"no times":        {func(c m) { delete(c, "updated_at") }, nil},
		"of no issue":     {func(c m) { delete(c, "issue_url") }, nil},
	} {
		f := newFake(t)
		f.on("GET /repos/acme/shop/issues/comments/5", answerJSON(commentAnswer(test.change)))
		got, err := f.app().Comment(t.Context(), shop, 5)
		if test.want == nil {
			wantFault(t, err, github.ErrUnavailable)
			continue
		}
		expected := want
		test.want(&expected)
		if err != nil || cmp.Diff(expected, got) != "" {
			t.Errorf("%s: %v\n%s", name, err, cmp.Diff(expected, got))
		}
	}

	f := newFake(t)
	f.on("GET /repos/acme/shop/issues/comments/5", refuse(404, "Not Found"))
	_, err := f.app().Comment(t.Context(), shop, 5)
	wantFault(t, err, github.ErrNotFound)
}

func TestOpenPulls(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	var items []any
	for i := range 120 {
		items = append(items, pullAnswer(i+1, func(p m) { delete(p, "commits") }))
	}
	f.on("GET /repos/acme/shop/pulls", paged(items, true))
	pulls, err := f.app().OpenPulls(t.Context(), shop)
	if err != nil || len(pulls) != 120 || pulls[119].Number != 120 || pulls[0].HeadSHA != shaA {
		t.Fatalf("%d pull requests, %v", len(pulls), err)
	}
	if q := f.requests[0].Query; !strings.Contains(q, "state=open") || !strings.Contains(q, "direction=asc") {
		t.Errorf("asked with %s", q)
	}
}

func TestSelf(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.on("GET /app", answerJSON(m{"id": appID, "slug": "tollgate-acme"}))
	self, err := f.app().Self(t.Context())
	if want := (github.Self{AppID: appID, Slug: "tollgate-acme", Login: "tollgate-acme[bot]"}); err != nil || self != want {
		t.Errorf("%+v, %v", self, err)
	}
	if len(f.minted()) != 0 || !strings.HasPrefix(f.requests[0].Auth, "Bearer ") {
		t.Errorf("the App signs in with %q after %d tokens", f.requests[0].Auth, len(f.minted()))
	}

	f = newFake(t)
	f.on("GET /app", answerJSON(m{"id": 8, "slug": "other"}))
	if _, err := f.app().Self(t.Context()); err == nil {
		t.Error("no error for a key of another App")
	}
}

func TestInstallationsAndRepositories(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.on("GET /app/installations", answerJSON([]any{
		m{"id": 9, "account": user(20, "acme")},
		m{"id": 10, "account": user(21, "other"), "suspended_at": "2026-01-02T03:04:05Z"},
	}))
	f.on("GET /installation/repositories", answerJSON(m{"total_count": 2, "repositories": []any{
		m{"id": 42, "name": "shop", "owner": m{"login": "acme"}},
		m{"id": 43, "name": "old", "owner": m{"login": "acme"}, "archived": true},
	}}))
	app := f.app()
	installations, err := app.Installations(t.Context())
	want := []github.Installation{{ID: 9, Account: change.User{ID: 20, Login: "acme"}}, {ID: 10, Account: change.User{ID: 21, Login: "other"}, Suspended: true}}
	if diff := cmp.Diff(want, installations); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	repos, err := app.Repositories(t.Context(), 9)
	if diff := cmp.Diff([]change.Repo{shop}, repos); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if got := f.minted(); len(got) != 1 || len(got[0].Body) != 0 {
		t.Errorf("tokens: %v", got)
	}
}

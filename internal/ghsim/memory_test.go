package ghsim_test

import (
	"fmt"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/ghsim"
)

// seenIn is what a repository shows after some days of work.
type seenIn struct {
	Refs    map[string]string
	Files   map[string]map[string]string
	Commits []ghsim.Commit
	Pulls   []string
	Trees   []string
}

// A repository in memory has the same ids as one that the real git drives.
func TestMemoryIsLikeGit(t *testing.T) {
	t.Parallel()
	real, memory := work(t, ghsim.Config{Dir: t.TempDir()}), work(t, ghsim.Config{Memory: true})
	if diff := cmp.Diff(real, memory); diff != "" {
		t.Errorf("with git (-), in memory (+):\n%s", diff)
	}
}

func work(t *testing.T, cfg ghsim.Config) seenIn {
	t.Helper()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	cfg.Clock = func() time.Time { return now }
	s, err := ghsim.New(cfg)
	ok(t, err)
	t.Cleanup(func() { ok(t, s.Close()) })
	for _, login := range []string{"ada", "bob"} {
		_, err := s.CreateUser(ghsim.User{Login: login, Name: login, Email: login + "@example.com"})
		ok(t, err)
	}
	repo, err := s.CreateRepo(ghsim.NewRepo{Owner: "acme", Name: "shop", Author: "ada", Roles: map[string]string{"ada": "write", "bob": "write"},
		Files: fstest.MapFS{"a.tf": {Data: []byte("a\n")}, "a/b.tf": {Data: []byte("b\n")}, "a/c/d.tf": {Data: []byte("d\n")}, "a-b.tf": {Data: []byte("e\n")}}})
	ok(t, err)
	seen := seenIn{Refs: map[string]string{}, Files: map[string]map[string]string{}}
	push := func(p ghsim.Push) {
		now = now.Add(time.Minute)
		p.By = "ada"
		_, err := repo.Push(p)
		ok(t, err)
	}
	for i, method := range []ghsim.MergeMethod{ghsim.Merge, ghsim.Squash, ghsim.Rebase} {
		branch := fmt.Sprintf("topic-%d", i)
		push(ghsim.Push{Branch: branch, Files: map[string]string{fmt.Sprintf("n/%d.tf", i): "n\n", "a.tf": fmt.Sprintf("a%d\n", i)}})
		push(ghsim.Push{Branch: branch, Delete: []string{fmt.Sprintf("n/%d.tf", i)}, Files: map[string]string{"x": branch}})
		push(ghsim.Push{Branch: "main", Files: map[string]string{"moved.tf": branch + "\n"}})
		p, err := repo.OpenPull(ghsim.OpenPull{By: "ada", Head: branch})
		ok(t, err)
		tree, merges, err := repo.MergeTree(repo.Ref("refs/heads/main"), repo.Ref("refs/heads/"+branch))
		ok(t, err)
		seen.Trees = append(seen.Trees, fmt.Sprint(tree, merges))
		now = now.Add(time.Minute)
		_, err = p.Merge("bob", method)
		ok(t, err)
		seen.Pulls = append(seen.Pulls, fmt.Sprint(p.Info().MergedSHA, p.Info().BaseSHA))
	}
	push(ghsim.Push{Branch: "clash", From: "topic-0", Files: map[string]string{"a.tf": "other\n"}})
	p, err := repo.OpenPull(ghsim.OpenPull{By: "ada", Head: "clash"})
	ok(t, err)
	seen.Pulls = append(seen.Pulls, fmt.Sprint(p.Info().Mergeable))
	for _, ref := range []string{"refs/heads/main", "refs/heads/clash", "refs/heads/topic-0", "refs/heads/topic-1", "refs/heads/topic-2", "refs/pull/1/head", "refs/pull/4/head"} {
		sha := repo.Ref(ref)
		seen.Refs[ref] = sha
		c, err := repo.Commit(ref)
		ok(t, err)
		seen.Commits = append(seen.Commits, c)
		seen.Files[ref], err = repo.Files(sha)
		ok(t, err)
	}
	return seen
}

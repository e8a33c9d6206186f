package ghsim_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-github/v60/github"

	"github.com/tollgate/tollgate/internal/ghsim"
)

func TestPushToAPullRequest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.openPull(t, "change")
	before := p.Info().HeadSHA
	after := b.push(t, "change", "more.txt", "more\n")
	if got := b.repo.Ref("refs/pull/1/head"); got != after || p.Info().HeadSHA != after {
		t.Errorf("refs/pull/1/head is %s, want %s", got, after)
	}
	b.settle(t)
	e, err := github.ParseWebHook("pull_request", b.hooks.last(t, "pull_request", "synchronize").body)
	ok(t, err)
	pe := e.(*github.PullRequestEvent)
	if pe.GetBefore() != before || pe.GetAfter() != after || pe.GetPullRequest().GetHead().GetSHA() != after {
		t.Errorf("unexpected event: before %s, after %s", pe.GetBefore(), pe.GetAfter())
	}
	if pe.GetPullRequest().Mergeable != nil {
		t.Error("GitHub hasn't tried the merge yet when it sends this")
	}
	e, err = github.ParseWebHook("push", b.hooks.last(t, "push", "").body)
	ok(t, err)
	if push := e.(*github.PushEvent); push.GetRef() != "refs/heads/change" || len(push.Commits) != 1 || push.Commits[0].Added[0] != "more.txt" {
		t.Errorf("unexpected push: %v", push)
	}
}

func TestForcedPush(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.openPull(t, "change")
	_, err := b.repo.Push(ghsim.Push{Branch: "change", From: "main", By: "ada", Files: map[string]string{"other.txt": "x"}})
	ok(t, err)
	b.settle(t)
	if forced := b.hooks.last(t, "push", "").payload["forced"]; forced != true {
		t.Errorf("forced is %v", forced)
	}
	_, err = b.repo.Push(ghsim.Push{Branch: "change", By: "eve"})
	refused(t, err, "may not push")
}

func TestPatchDeleteAndAuthor(t *testing.T) {
	t.Parallel()
	b := setup(t)
	sha, err := b.repo.Push(ghsim.Push{Branch: "p", By: "ada", Author: "bob", Patch: `--- a/README.md
+++ b/README.md
@@ -1 +1 @@
-# Payments
+# Payment system
`})
	ok(t, err)
	c, _, err := b.client.Repositories.GetCommit(b.ctx, "acme", "payments", sha, nil)
	ok(t, err)
	if c.GetAuthor().GetLogin() != "bob" || c.GetCommitter().GetLogin() != "ada" {
		t.Errorf("author %s, committer %s", c.GetAuthor().GetLogin(), c.GetCommitter().GetLogin())
	}
	sha, err = b.repo.Push(ghsim.Push{Branch: "p", By: "ada", Delete: []string{"README.md"}})
	ok(t, err)
	if _, err := b.repo.File(sha, "README.md"); err == nil {
		t.Error("the file is still there")
	}
	if text, err := b.repo.File(sha, "scripts/run"); err != nil || text != "#!/bin/sh\n" {
		t.Errorf("scripts/run: %q, %v", text, err)
	}
}

func TestTestMerge(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.openPull(t, "change")
	base := p.Info().BaseSHA
	first := b.repo.Ref("refs/pull/1/merge")
	b.push(t, "main", "elsewhere.txt", "x")
	second := b.repo.Ref("refs/pull/1/merge")
	if first == "" || first == second || p.Info().BaseSHA != base {
		t.Errorf("test merge %s then %s; base.sha must stay %s, is %s", first, second, base, p.Info().BaseSHA)
	}
	b.push(t, "main", "infrastructure/main.tf", "a conflict\n")
	if p.Info().Mergeable || b.repo.Ref("refs/pull/1/merge") != "" {
		t.Error("a conflict must take refs/pull/1/merge away")
	}
	_, err := p.Merge("ada", ghsim.Merge)
	refused(t, err, "405 Pull Request is not mergeable")
}

func TestForks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	fork, err := b.repo.Fork("mallory")
	ok(t, err)
	sha, err := fork.Push(ghsim.Push{Branch: "evil", By: "mallory", Files: map[string]string{"x.tf": "x"}})
	ok(t, err)
	ok(t, b.repo.Grant("mallory", "read"))
	p, err := b.repo.OpenPull(ghsim.OpenPull{By: "mallory", Head: "evil", HeadRepo: fork})
	ok(t, err)
	got, _, err := b.client.PullRequests.Get(b.ctx, "acme", "payments", p.Number())
	ok(t, err)
	if !got.GetHead().GetRepo().GetFork() || got.GetHead().GetLabel() != "mallory:evil" || b.repo.Ref("refs/pull/1/head") != sha {
		t.Errorf("unexpected head %v", got.GetHead())
	}
	run, err := b.createRun(t, github.CreateCheckRunOptions{Name: "tollgate", HeadSHA: sha})
	ok(t, err)
	if len(run.PullRequests) != 0 {
		t.Error("GitHub names no pull requests of forks in checks")
	}
	sha, err = fork.Push(ghsim.Push{Branch: "evil", By: "mallory", Files: map[string]string{"y.tf": "y"}})
	ok(t, err)
	b.settle(t)
	if at := b.hooks.last(t, "pull_request", "synchronize").payload["after"]; at != sha {
		t.Errorf("synchronize says %v", at)
	}
}

func TestGitOverHTTP(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.openPull(t, "change")
	tok, _, err := b.appClient(t).Apps.CreateInstallationToken(b.ctx, b.inst, &github.InstallationTokenOptions{})
	ok(t, err)
	url := strings.Replace(b.repo.CloneURL(), "http://", "http://x-access-token:"+tok.GetToken()+"@", 1)
	dir := t.TempDir()
	git(t, dir, "init", "-q")
	git(t, dir, "fetch", "-q", url, p.Info().HeadSHA, "refs/pull/1/merge", "main")
	git(t, dir, "fetch", "-q", "--filter=blob:none", url, "refs/pull/1/head")
	if got := git(t, dir, "show", p.Info().HeadSHA+":infrastructure/main.tf"); !strings.Contains(got, "x = 2") {
		t.Errorf("fetched %q", got)
	}
	git(t, dir, "-c", "protocol.version=0", "ls-remote", url)
	for name, bad := range map[string]string{
		"no token": b.repo.CloneURL(), "a wrong token": strings.Replace(url, tok.GetToken(), "ghs_wrong", 1),
		"another repository": strings.Replace(url, "payments.git", "other.git", 1),
	} {
		if status := gitStatus(t, bad); status == http.StatusOK {
			t.Errorf("%s: %d", name, status)
		}
	}
	if status := gitStatus(t, url); status != http.StatusOK {
		t.Errorf("a good token: %d", status)
	}
}

// gitStatus asks for the refs as git does.
func gitStatus(t *testing.T, url string) int {
	t.Helper()
	resp, err := http.Get(url + "/info/refs?service=git-upload-pack")
	ok(t, err)
	ok(t, resp.Body.Close())
	return resp.StatusCode
}

func TestPushOverHTTP(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.openPull(t, "change")
	secret, err := b.srv.UserToken("ada")
	ok(t, err)
	url := strings.Replace(b.repo.CloneURL(), "http://", "http://ada:"+secret+"@", 1)
	dir := filepath.Join(t.TempDir(), "clone")
	git(t, ".", "clone", "-q", "-b", "change", url, dir)
	ok(t, os.WriteFile(filepath.Join(dir, "pushed.txt"), []byte("pushed\n"), 0o644))
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-q", "-m", "Push with git")
	git(t, dir, "push", "-q")
	if head := git(t, dir, "rev-parse", "HEAD"); p.Info().HeadSHA != head {
		t.Errorf("head is %s, pushed %s", p.Info().HeadSHA, head)
	}
	b.settle(t)
	b.hooks.last(t, "pull_request", "synchronize")
}

func TestPublicRepositoryNeedsNoToken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r, err := b.srv.CreateRepo(ghsim.NewRepo{Owner: "acme", Name: "open", Author: "ada", Files: os.DirFS("testdata")})
	ok(t, err)
	git(t, t.TempDir(), "clone", "-q", r.CloneURL())
}

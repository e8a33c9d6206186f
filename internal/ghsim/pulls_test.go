package ghsim_test

import (
	"strings"
	"testing"

	"github.com/google/go-github/v60/github"

	"github.com/tollgate/tollgate/internal/ghsim"
)

func TestPullRequestThroughItsLife(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.openPull(t, "change")
	got, _, err := b.client.PullRequests.Get(b.ctx, "acme", "payments", p.Number())
	ok(t, err)
	if got.GetHead().GetSHA() != p.Info().HeadSHA || !got.GetMergeable() || got.GetChangedFiles() != 1 || got.GetCommits() != 1 {
		t.Fatalf("unexpected pull request: %v", got)
	}
	files, _, err := b.client.PullRequests.ListFiles(b.ctx, "acme", "payments", p.Number(), nil)
	ok(t, err)
	if len(files) != 1 || files[0].GetFilename() != "infrastructure/main.tf" || !strings.Contains(files[0].GetPatch(), "+  x = 2") {
		t.Fatalf("unexpected files: %v", files)
	}
	ok(t, p.Approve("bob"))
	sha, err := p.Merge("bob", ghsim.Merge)
	ok(t, err)
	got, _, err = b.client.PullRequests.Get(b.ctx, "acme", "payments", p.Number())
	ok(t, err)
	if !got.GetMerged() || got.GetMergeCommitSHA() != sha || b.repo.Ref("refs/heads/main") != sha {
		t.Fatalf("not merged as %s: %v", sha, got)
	}
	b.settle(t)
	want := "push check_suite.requested pull_request.opened pull_request_review.submitted pull_request.closed push check_suite.requested"
	if names := strings.Join(b.hooks.names(), " "); names != want {
		t.Errorf("webhooks:\n got %s\nwant %s", names, want)
	}
}

func TestMergeMethods(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, method := range []ghsim.MergeMethod{ghsim.Merge, ghsim.Squash, ghsim.Rebase} {
		branch := "by-" + string(method)
		b.push(t, branch, branch+"/one.txt", "one\n")
		b.push(t, branch, branch+"/two.txt", "two\n")
		p, err := b.repo.OpenPull(ghsim.OpenPull{By: "ada", Head: branch})
		ok(t, err)
		sha, err := p.Merge("ada", method)
		ok(t, err)
		if text, err := b.repo.File(sha, branch+"/two.txt"); err != nil || text != "two\n" {
			t.Errorf("%s: two.txt is %q, %v", method, text, err)
		}
		parents := map[ghsim.MergeMethod]int{ghsim.Merge: 2, ghsim.Squash: 1, ghsim.Rebase: 1}
		c, _, err := b.client.Repositories.GetCommit(b.ctx, "acme", "payments", sha, nil)
		ok(t, err)
		if len(c.Parents) != parents[method] {
			t.Errorf("%s: %d parents", method, len(c.Parents))
		}
	}
}

func TestListPullsPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, branch := range []string{"a", "b", "c"} {
		b.openPull(t, branch)
	}
	opts := &github.PullRequestListOptions{ListOptions: github.ListOptions{PerPage: 2}}
	first, resp, err := b.client.PullRequests.List(b.ctx, "acme", "payments", opts)
	ok(t, err)
	if len(first) != 2 || resp.NextPage != 2 || resp.LastPage != 2 {
		t.Fatalf("%d on page 1, next %d, last %d", len(first), resp.NextPage, resp.LastPage)
	}
	opts.Page = resp.NextPage
	second, resp, err := b.client.PullRequests.List(b.ctx, "acme", "payments", opts)
	ok(t, err)
	if len(second) != 1 || resp.NextPage != 0 || resp.FirstPage != 1 {
		t.Fatalf("%d on page 2, next %d, first %d", len(second), resp.NextPage, resp.FirstPage)
	}
}

package ghsim_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-github/v60/github"
)

// BenchmarkStandIn says how much of an end-to-end time is the stand-in's own.
func BenchmarkStandIn(bench *testing.B) {
	b := setup(bench)
	p := b.openPull(bench, "change")
	sha := p.Info().HeadSHA
	tok, _, err := b.appClient(bench).Apps.CreateInstallationToken(b.ctx, b.inst, &github.InstallationTokenOptions{})
	ok(bench, err)
	url := strings.Replace(b.repo.CloneURL(), "http://", "http://x-access-token:"+tok.GetToken()+"@", 1)
	for name, do := range map[string]func(i int) error{
		"get pull": func(int) error { _, _, err := b.client.PullRequests.Get(b.ctx, "acme", "payments", 1); return err },
		"list files": func(int) error {
			_, _, err := b.client.PullRequests.ListFiles(b.ctx, "acme", "payments", 1, nil)
			return err
		},
		"permission": func(int) error {
			_, _, err := b.client.Repositories.GetPermissionLevel(b.ctx, "acme", "payments", "ada")
			return err
		},
		"create run": func(i int) error {
			_, _, err := b.client.Checks.CreateCheckRun(b.ctx, "acme", "payments", github.CreateCheckRunOptions{Name: fmt.Sprint("run ", i%10), HeadSHA: sha})
			return err
		},
		"push":      func(i int) error { b.push(bench, "change", "n.txt", fmt.Sprint(i)); return nil },
		"ls-remote": func(int) error { git(bench, ".", "ls-remote", url, "refs/heads/main"); return nil },
	} {
		bench.Run(name, func(bench *testing.B) {
			for i := range bench.N {
				ok(bench, do(i))
			}
		})
	}
}

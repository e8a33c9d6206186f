package enginetest

import (
	"context"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/redact"
)

// Foreign is another App on the same repository, which may write checks.
type Foreign struct {
	app  *github.App
	repo change.Repo
}

// NewForeign makes one.
func (w *World) NewForeign(slug string) (*Foreign, error) {
	app, err := w.GitHub.CreateApp(ghsim.NewApp{Slug: slug, Owner: "acme", Key: w.parts.key,
		Permissions: map[string]string{"checks": "write", "contents": "read", "pull_requests": "read", "issues": "write", "deployments": "write"}})
	if err != nil {
		return nil, err
	}
	installation, err := w.GitHub.Install(app.ID, "acme")
	if err != nil {
		return nil, err
	}
	client, err := github.New(github.Config{URL: w.GitHub.URL(), AppID: app.ID, Key: redact.New(app.PrivateKey),
		Transport: &wire{w.GitHub, func() bool { return true }, func(string) {}}})
	return &Foreign{client, change.Repo{ID: w.Repo.ID(), Owner: "acme", Name: "payments", InstallationID: installation}}, err
}

// Check reports a check of any name.
func (f *Foreign) Check(ctx context.Context, c change.Check) error {
	_, err := f.app.CreateCheck(ctx, f.repo, c)
	return err
}

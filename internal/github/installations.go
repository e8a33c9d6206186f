package github

import (
	"context"
	"fmt"

	gh "github.com/google/go-github/v60/github"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
)

// Self is the App as GitHub describes it.
type Self struct {
	AppID int64
	Slug  string
	Login string // of the account that writes the App's comments
}

// Installation is the App in one account.
type Installation struct {
	ID        int64
	Account   change.User
	Suspended bool
}

// Self reads who the App is, in one request: the proof that id and key belong together.
func (a *App) Self(ctx context.Context) (Self, error) {
	app, err := call(a, scope{}, operation{action: "sign in as the App"}, func(c *gh.Client) (*gh.App, *gh.Response, error) {
		return c.Apps.Get(ctx, "")
	})
	if err != nil {
		return Self{}, err
	}
	if app.GetID() != a.id {
		return Self{}, fault.New(fmt.Sprintf("The private key belongs to the GitHub App %d, not to %d.", app.GetID(), a.id), "",
			"Set --github-app-id and --github-app-key-file to the same App.")
	}
	return Self{AppID: app.GetID(), Slug: app.GetSlug(), Login: app.GetSlug() + "[bot]"}, nil
}

// Installations reads where the App is installed, a hundred a request.
func (a *App) Installations(ctx context.Context) ([]Installation, error) {
	answers, err := pagesIn(a, scope{}, operation{action: "list the App's installations"}, func(c *gh.Client, page gh.ListOptions) ([]*gh.Installation, *gh.Response, error) {
		return c.Apps.ListInstallations(ctx, &page)
	})
	installations := make([]Installation, 0, len(answers))
	for _, i := range answers {
		installations = append(installations, Installation{ID: i.GetID(), Account: toUser(i.GetAccount()), Suspended: !i.GetSuspendedAt().IsZero()})
	}
	return installations, err
}

// Repositories reads which repositories an installation covers, a hundred a request, without the
// archived ones, to which nothing can be written.
func (a *App) Repositories(ctx context.Context, installationID int64) ([]change.Repo, error) {
	list, err := a.Activities(ctx, installationID)
	repos := make([]change.Repo, 0, len(list))
	for _, r := range list {
		repos = append(repos, r.Repo)
	}
	return repos, err
}

package github

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	gh "github.com/google/go-github/v60/github"

	"github.com/tollgate/tollgate/internal/change"
)

// Permissions are those that the App works with, and Events what it has to hear of, beside the requests
// about checks that GitHub sends to every App that may write them. What only some repositories need is
// in OptionalPermissions and OptionalEvents.
var (
	Permissions = map[string]string{"checks": "write", "contents": "read", "deployments": "write", "issues": "write", "metadata": "read", "pull_requests": "write"}
	Events      = []string{"issue_comment", "pull_request", "pull_request_review", "push"}

	OptionalPermissions = map[string]string{"members": "read", "merge_queues": "read"}
	OptionalEvents      = []string{"merge_group"}

	// Uses say what each permission is for.
	Uses = map[string]string{
		"checks":        "saying what a plan does, and whether it may be merged",
		"contents":      "fetching what is planned",
		"deployments":   "showing applies",
		"issues":        "reading commands and answering them",
		"members":       "counting approvals of teams",
		"merge_queues":  "checking the groups of a merge queue",
		"metadata":      "finding the repositories",
		"pull_requests": "reading reviews",
	}
)

// Grant is what an App asks for, or what an account has given it.
type Grant struct {
	Permissions map[string]string `json:"permissions"`
	Events      []string          `json:"events"`
}

// Lacks lists what is missing of the permissions and events, such as "checks: write" and "event push".
func (g Grant) Lacks(permissions map[string]string, events []string) (lacks []string) {
	for name, level := range permissions {
		if have := g.Permissions[name]; have != level && have != "write" && have != "admin" {
			lacks = append(lacks, name+": "+level)
		}
	}
	for _, e := range events {
		if !slices.Contains(g.Events, e) {
			lacks = append(lacks, "event "+e)
		}
	}
	slices.Sort(lacks)
	return lacks
}

// Exceeds lists the permissions that the App has no use for, such as "contents: write".
func (g Grant) Exceeds() (more []string) {
	for name, level := range g.Permissions {
		if want := cmp.Or(Permissions[name], OptionalPermissions[name]); level != want && want != "write" {
			more = append(more, name+": "+level)
		}
	}
	slices.Sort(more)
	return more
}

// Registered reads what the App's settings page asks for, in one request.
func (a *App) Registered(ctx context.Context) (Grant, error) {
	g, err := call(a, scope{}, operation{action: "read the App's registration"}, func(c *gh.Client) (*Grant, *gh.Response, error) {
		return get[Grant](ctx, c, "app")
	})
	if err != nil {
		return Grant{}, err
	}
	return *g, nil
}

// Granted reads what the account of an installation has agreed to, in one request: what is added to
// an App afterwards has to be accepted there.
func (a *App) Granted(ctx context.Context, installationID int64) (Grant, error) {
	g, err := call(a, scope{}, operation{action: "read an installation of the App"}, func(c *gh.Client) (*Grant, *gh.Response, error) {
		return get[Grant](ctx, c, fmt.Sprintf("app/installations/%d", installationID))
	})
	if err != nil {
		return Grant{}, err
	}
	return *g, nil
}

// HookURL reads where GitHub delivers webhooks to, in one request.
func (a *App) HookURL(ctx context.Context) (string, error) {
	return call(a, scope{}, operation{action: "read the App's webhook"}, func(c *gh.Client) (string, *gh.Response, error) {
		h, resp, err := c.Apps.GetHookConfig(ctx)
		return h.GetURL(), resp, err
	})
}

// Requires reports whether a check has to succeed before anything is merged into the repository's
// default branch, and whether only as this App says it. It makes three requests at most.
func (a *App) Requires(ctx context.Context, repo change.Repo, check string) (required, ours bool, branch string, err error) {
	op := operation{"read how the default branch is protected", "Contents: read-only"}
	full, err := onRepo(a, repo, op, func(c *gh.Client) (*gh.Repository, *gh.Response, error) {
		return c.Repositories.Get(ctx, repo.Owner, repo.Name)
	})
	if err != nil {
		return false, false, "", err
	}
	branch = full.GetDefaultBranch()
	b, err := onRepo(a, repo, op, func(c *gh.Client) (*protectedBranch, *gh.Response, error) {
		return get[protectedBranch](ctx, c, fmt.Sprintf("repos/%s/branches/%s", repo.FullName(), url.PathEscape(branch)))
	})
	if err != nil {
		return false, false, branch, err
	}
	for _, k := range b.Protection.Required.Checks {
		if k.Context == check {
			required, ours = true, ours || k.AppID == a.id
		}
	}
	if ours {
		return required, ours, branch, nil
	}
	rules, err := onRepo(a, repo, op, func(c *gh.Client) (*[]rule, *gh.Response, error) {
		return get[[]rule](ctx, c, fmt.Sprintf("repos/%s/rules/branches/%s", repo.FullName(), url.PathEscape(branch)))
	})
	if statusOf(err) == http.StatusNotFound { // an Enterprise Server that is too old for rulesets
		return required, ours, branch, nil
	}
	if err != nil {
		return required, ours, branch, err
	}
	for _, r := range *rules {
		for _, k := range r.Parameters.Checks {
			if r.Type == "required_status_checks" && k.Context == check {
				required, ours = true, ours || k.IntegrationID == a.id
			}
		}
	}
	return required, ours, branch, nil
}

// protectedBranch is a branch as GitHub describes it to whoever may read its contents.
type protectedBranch struct {
	Protection struct {
		Required struct {
			Checks []struct {
				Context string `json:"context"`
				AppID   int64  `json:"app_id"`
			} `json:"checks"`
		} `json:"required_status_checks"`
	} `json:"protection"`
}

// rule is one of a ruleset.
type rule struct {
	Type       string `json:"type"`
	Parameters struct {
		Checks []struct {
			Context       string `json:"context"`
			IntegrationID int64  `json:"integration_id"`
		} `json:"required_status_checks"`
	} `json:"parameters"`
}

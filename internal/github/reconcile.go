package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	gh "github.com/google/go-github/v60/github"

	"github.com/tollgate/tollgate/internal/change"
)

// What a webhook may have failed to tell, asked for in as few requests as there can be.

// recentPerPage is how many pull requests are read before it is known that more have changed.
const recentPerPage = 30

// Activity is a repository and what its owner's list says of it.
type Activity struct {
	Repo     change.Repo
	PushedAt time.Time // of any branch; zero if GitHub does not tell
}

// Activities reads which repositories an installation covers, as Repositories does, and when they were
// last pushed to.
func (a *App) Activities(ctx context.Context, installationID int64) ([]Activity, error) {
	answers, err := pagesIn(a, scope{installation: installationID}, operation{"list the installation's repositories", "Metadata: read-only"},
		func(c *gh.Client, page gh.ListOptions) ([]*gh.Repository, *gh.Response, error) {
			list, resp, err := c.Apps.ListRepos(ctx, &page)
			if err != nil {
				return nil, resp, err
			}
			return list.Repositories, resp, nil
		})
	out := make([]Activity, 0, len(answers))
	for _, r := range answers {
		if !r.GetArchived() {
			out = append(out, Activity{change.Repo{ID: r.GetID(), InstallationID: installationID, Owner: r.GetOwner().GetLogin(), Name: r.GetName()}, r.GetPushedAt().Time})
		}
	}
	return out, err
}

// RecentPulls reads the pull requests that changed at or after a time, the last change first. Given
// the tag of an earlier answer, an unchanged list is empty and counts against no limit. Commits and
// MergedBy are not part of GitHub's answer.
func (a *App) RecentPulls(ctx context.Context, repo change.Repo, since time.Time, tag string) (pulls []change.Pull, newTag string, err error) {
	op := operation{"list the changed pull requests", "Pull requests: read-only"}
	for page := 1; page <= maxPages; page++ {
		if page > 1 {
			tag = ""
		}
		path := fmt.Sprintf("repos/%s/pulls?state=all&sort=updated&direction=desc&per_page=%d&page=%d", repo.FullName(), recentPerPage, page)
		list, err := onRepo(a, repo, op, func(c *gh.Client) (listed, *gh.Response, error) { return ifChanged(ctx, c, path, tag) })
		if err != nil {
			return nil, "", err
		}
		if page == 1 {
			newTag = list.tag
		}
		for _, pr := range list.pulls {
			if pr.GetUpdatedAt().Before(since) {
				return pulls, newTag, nil
			}
			pull, err := toListed(repo, pr)
			if err != nil {
				return nil, "", op.explain(err)
			}
			pulls = append(pulls, pull)
		}
		if len(list.pulls) < recentPerPage {
			return pulls, newTag, nil
		}
	}
	return nil, "", op.explain(fmt.Errorf("%w: more than %d pull requests", ErrIncomplete, maxPages*recentPerPage))
}

type listed struct {
	pulls []*gh.PullRequest
	tag   string
}

// ifChanged reads a list of pull requests unless it still has the tag; then it is empty.
func ifChanged(ctx context.Context, c *gh.Client, path, tag string) (listed, *gh.Response, error) {
	req, err := c.NewRequest(http.MethodGet, path, nil)
	if err != nil {
		return listed{}, nil, err
	}
	if tag != "" {
		req.Header.Set("If-None-Match", tag)
	}
	var out listed
	resp, err := c.Do(ctx, req, &out.pulls)
	if resp != nil && resp.StatusCode == http.StatusNotModified {
		return listed{tag: tag}, resp, nil
	}
	if err == nil {
		out.tag = resp.Header.Get("ETag")
	}
	return out, resp, err
}

// toListed is toPull for an answer out of a list, which says when a pull request was merged, but not that.
func toListed(repo change.Repo, pr *gh.PullRequest) (change.Pull, error) {
	merged := !pr.GetMergedAt().IsZero()
	pr.Merged = &merged
	return toPull(repo, pr)
}

// PullsOf reads the pull requests that a commit belongs to, in one request; none if GitHub does not
// know the commit.
func (a *App) PullsOf(ctx context.Context, repo change.Repo, sha string) ([]change.Pull, error) {
	op := operation{"ask where a commit came from", "Pull requests: read-only"}
	if err := checkSHA(sha); err != nil {
		return nil, err
	}
	answers, err := onRepo(a, repo, op, func(c *gh.Client) ([]*gh.PullRequest, *gh.Response, error) {
		return c.PullRequests.ListPullRequestsWithCommit(ctx, repo.Owner, repo.Name, sha, &gh.ListOptions{PerPage: perPage})
	})
	if errors.Is(err, ErrNotFound) || statusOf(err) == http.StatusUnprocessableEntity {
		return nil, nil
	}
	var pulls []change.Pull
	for _, pr := range answers {
		if pr.GetBase().GetRepo().GetID() != repo.ID {
			continue // a commit that a fork and its origin share
		}
		pull, err := toListed(repo, pr)
		if err != nil {
			return nil, op.explain(err)
		}
		pulls = append(pulls, pull)
	}
	return pulls, err
}

// CommentsSince reads the comments of a pull request that were written or edited at or after a time.
func (a *App) CommentsSince(ctx context.Context, repo change.Repo, number int, since time.Time) ([]Comment, error) {
	op := operation{"list the new comments", "Pull requests: read-only"}
	answers, err := pages(a, repo, op, func(c *gh.Client, page gh.ListOptions) ([]*issueComment, *gh.Response, error) {
		path := fmt.Sprintf("repos/%s/issues/%d/comments?since=%s&per_page=%d&page=%d", repo.FullName(), number, since.UTC().Format(time.RFC3339), page.PerPage, page.Page)
		list, resp, err := get[[]*issueComment](ctx, c, path)
		if err != nil {
			return nil, resp, err
		}
		return *list, resp, nil
	})
	if err != nil {
		return nil, err
	}
	var out []Comment
	for _, c := range answers {
		comment, err := toComment(c)
		if err != nil {
			return nil, op.explain(err)
		}
		out = append(out, comment)
	}
	return out, nil
}

// Delivery is an attempt of GitHub to deliver a webhook.
type Delivery struct {
	ID    int64
	GUID  string // the same for all attempts
	Event string
	At    time.Time
	OK    bool
}

// deliveryPages bounds how far back one look at the deliveries goes.
const deliveryPages = 3

// Deliveries reads the attempts to deliver webhooks since a time, the newest first, a hundred a
// request and in three requests at most. None is returned where GitHub keeps no such list.
func (a *App) Deliveries(ctx context.Context, since time.Time) (out []Delivery, err error) {
	op := operation{action: "list the webhook's deliveries"}
	options := gh.ListCursorOptions{PerPage: perPage}
	for range deliveryPages {
		list, err := call(a, scope{}, op, func(c *gh.Client) ([]*gh.HookDelivery, *gh.Response, error) {
			list, resp, err := c.Apps.ListHookDeliveries(ctx, &options)
			if err == nil {
				options.Cursor = resp.Cursor
			}
			return list, resp, err
		})
		if errors.Is(err, ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		for _, d := range list {
			if d.GetDeliveredAt().Before(since) {
				return out, nil
			}
			out = append(out, Delivery{ID: d.GetID(), GUID: d.GetGUID(), Event: d.GetEvent(), At: d.GetDeliveredAt().Time, OK: d.GetStatusCode() >= 200 && d.GetStatusCode() < 300})
		}
		if options.Cursor == "" {
			return out, nil
		}
	}
	return out, nil
}

// Redeliver asks GitHub to deliver a webhook again.
func (a *App) Redeliver(ctx context.Context, id int64) error {
	_, err := call(a, scope{}, operation{action: "ask for a webhook again"}, func(c *gh.Client) (*gh.HookDelivery, *gh.Response, error) {
		d, resp, err := c.Apps.RedeliverHookDelivery(ctx, id)
		var accepted *gh.AcceptedError
		if errors.As(err, &accepted) {
			err = nil
		}
		return d, resp, err
	})
	return err
}

// Now is the time by GitHub's clock, as far as its answers have told it.
func (a *App) Now() time.Time { return a.link.clock.Now().Add(time.Duration(a.link.skew.Load())) }

package github

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	gh "github.com/google/go-github/v60/github"

	"github.com/tollgate/tollgate/internal/change"
)

// CreateComment writes a comment to a pull request, in one request, and returns its id.
func (a *App) CreateComment(ctx context.Context, repo change.Repo, number int, body string) (int64, error) {
	comment, err := onRepo(a, repo, commentOperation("write a comment"), func(c *gh.Client) (*gh.IssueComment, *gh.Response, error) {
		return c.Issues.CreateComment(ctx, repo.Owner, repo.Name, number, &gh.IssueComment{Body: &body})
	})
	return comment.GetID(), err
}

// UpdateComment replaces a comment, in one request; it may be repeated.
func (a *App) UpdateComment(ctx context.Context, repo change.Repo, id int64, body string) error {
	_, err := onRepo(a, repo, commentOperation("update a comment"), func(c *gh.Client) (*gh.IssueComment, *gh.Response, error) {
		return c.Issues.EditComment(ctx, repo.Owner, repo.Name, id, &gh.IssueComment{Body: &body})
	})
	return err
}

// DeleteComment removes a comment, in one request. One that is gone already is no error.
func (a *App) DeleteComment(ctx context.Context, repo change.Repo, id int64) error {
	_, err := onRepo(a, repo, commentOperation("remove a comment"), func(c *gh.Client) (struct{}, *gh.Response, error) {
		resp, err := c.Issues.DeleteComment(ctx, repo.Owner, repo.Name, id)
		return struct{}{}, resp, err
	})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// FindComments looks for the comments that this App wrote and whose text begins with the marker,
// the oldest first, one request per hundred comments. A marker further on does not count: text from
// a pull request may be quoted there.
func (a *App) FindComments(ctx context.Context, repo change.Repo, number int, marker string) (ids []int64, err error) {
	if marker == "" {
		return nil, errors.New("look for a comment: no marker")
	}
	comments, err := pages(a, repo, operation{"look for a comment", "Pull requests: read-only"}, func(c *gh.Client, page gh.ListOptions) ([]*issueComment, *gh.Response, error) {
		path := fmt.Sprintf("repos/%s/issues/%d/comments?per_page=%d&page=%d", repo.FullName(), number, page.PerPage, page.Page)
		list, resp, err := get[[]*issueComment](ctx, c, path)
		if err != nil {
			return nil, resp, err
		}
		return *list, resp, nil
	})
	for _, c := range comments {
		ours := c != nil && c.App.GetID() == a.id && c.GetUser().GetType() == "Bot"
		if ours && strings.HasPrefix(c.GetBody(), marker) {
			ids = append(ids, c.GetID())
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), err
}

// React adds a reaction to a comment, in one request: +1, -1, laugh, confused, heart, hooray,
// rocket or eyes. A second one of the same content changes nothing, so it may be repeated.
func (a *App) React(ctx context.Context, repo change.Repo, commentID int64, content string) error {
	_, err := onRepo(a, repo, commentOperation("react to a comment"), func(c *gh.Client) (*gh.Reaction, *gh.Response, error) {
		return c.Reactions.CreateIssueCommentReaction(ctx, repo.Owner, repo.Name, commentID, content)
	})
	return err
}

func commentOperation(action string) operation {
	return operation{action, "Pull requests: read and write"}
}

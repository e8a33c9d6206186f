package github

import (
	"context"
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	gh "github.com/google/go-github/v60/github"
	"golang.org/x/sync/errgroup"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
)

const (
	perPage = 100
	// maxPages ends a list that never ends. Whoever is cut off gets an error, never a part.
	maxPages = 100
	// maxCommits is where GitHub ends its list of a pull request's commits.
	maxCommits = 250
	// permissionsAtOnce bounds the questions asked side by side about reviewers.
	permissionsAtOnce = 8
)

// Comment is a comment of a pull request as it is now.
type Comment struct {
	ID        int64
	Body      string
	Author    change.User
	Pull      int
	Edited    bool
	AppID     int64 // the App through which it was written, or 0
	CreatedAt time.Time
}

// Pull reads a pull request, in one request. The repository's names in the answer are the current ones.
func (a *App) Pull(ctx context.Context, repo change.Repo, number int) (change.Pull, error) {
	op := operation{"read the pull request", "Pull requests: read-only"}
	pr, err := onRepo(a, repo, op, func(c *gh.Client) (*gh.PullRequest, *gh.Response, error) {
		return c.PullRequests.Get(ctx, repo.Owner, repo.Name, number)
	})
	if err != nil {
		return change.Pull{}, err
	}
	pull, err := toPull(repo, pr)
	if err == nil && pull.Number != number {
		err = fmt.Errorf("asked for pull request %d, got %d", number, pull.Number)
	}
	if err != nil {
		return change.Pull{}, op.explain(err)
	}
	return pull, nil
}

// OpenPulls reads all open pull requests of a repository, a hundred a request. Commits and Merged*
// are not part of GitHub's answer.
func (a *App) OpenPulls(ctx context.Context, repo change.Repo) ([]change.Pull, error) {
	op := operation{"list the open pull requests", "Pull requests: read-only"}
	prs, err := pages(a, repo, op, func(c *gh.Client, page gh.ListOptions) ([]*gh.PullRequest, *gh.Response, error) {
		// Oldest first: one that is opened meanwhile does not shift the pages.
		options := &gh.PullRequestListOptions{State: "open", Sort: "created", Direction: "asc", ListOptions: page}
		return c.PullRequests.List(ctx, repo.Owner, repo.Name, options)
	})
	if err != nil {
		return nil, err
	}
	pulls := make([]change.Pull, 0, len(prs))
	for _, pr := range prs {
		pull, err := toPull(repo, pr)
		if err != nil {
			return nil, op.explain(err)
		}
		pulls = append(pulls, pull)
	}
	return pulls, nil
}

// toPull refuses an answer that lacks what decisions rest on, or that is about another repository:
// a name may have passed to a new owner.
func toPull(repo change.Repo, pr *gh.PullRequest) (change.Pull, error) {
	base, head := pr.GetBase(), pr.GetHead()
	switch {
	case base.GetRepo().GetID() != repo.ID:
		return change.Pull{}, fmt.Errorf("answer is about repository %d, not %d", base.GetRepo().GetID(), repo.ID)
	case pr.GetNumber() <= 0, base.GetRef() == "", pr.GetState() == "":
		return change.Pull{}, fmt.Errorf("answer lacks number, base or state")
	}
	if err := checkSHA(head.GetSHA()); err != nil {
		return change.Pull{}, fmt.Errorf("head of pull request: %w", err)
	}
	repo.Owner, repo.Name = base.GetRepo().GetOwner().GetLogin(), base.GetRepo().GetName()
	if err := checkRepo(repo); err != nil {
		return change.Pull{}, err
	}
	return change.Pull{
		Repo: repo, Number: pr.GetNumber(), Title: pr.GetTitle(), URL: pr.GetHTMLURL(), Author: toUser(pr.User),
		Open: pr.GetState() == "open", Draft: pr.GetDraft(),
		Fork:   head.GetRepo().GetID() != repo.ID, // a deleted fork has no repository at all
		Merged: pr.GetMerged(), MergedBy: toUser(pr.MergedBy), MergedAt: pr.GetMergedAt().Time,
		HeadSHA: head.GetSHA(), HeadRef: head.GetRef(), BaseRef: base.GetRef(), DefaultRef: base.GetRepo().GetDefaultBranch(),
		MergeSHA: mergeSHA(pr), Commits: pr.GetCommits(), UpdatedAt: pr.GetUpdatedAt().Time,
	}, nil
}

// mergeSHA ignores the field while the pull request is open: it then names a test merge.
func mergeSHA(pr *gh.PullRequest) string {
	if !pr.GetMerged() {
		return ""
	}
	return pr.GetMergeCommitSHA()
}

// Reviews reads all reviews, a hundred a request, and then the permission of each person who
// approved or requested changes, one request per person, side by side.
func (a *App) Reviews(ctx context.Context, repo change.Repo, number int) ([]change.Review, error) {
	op := operation{"read the reviews", "Pull requests: read-only"}
	answers, err := pages(a, repo, op, func(c *gh.Client, page gh.ListOptions) ([]*gh.PullRequestReview, *gh.Response, error) {
		return c.PullRequests.ListReviews(ctx, repo.Owner, repo.Name, number, &page)
	})
	if err != nil {
		return nil, err
	}
	reviews := make([]change.Review, 0, len(answers))
	seen := map[int64]bool{}
	for _, r := range answers {
		if r.GetID() <= 0 || r.GetState() == "" || seen[r.GetID()] {
			return nil, op.explain(fmt.Errorf("%w: review %d is malformed or listed twice", ErrIncomplete, r.GetID()))
		}
		seen[r.GetID()] = true
		reviews = append(reviews, change.Review{
			ID: r.GetID(), Author: toUser(r.User), State: strings.ToLower(r.GetState()),
			CommitSHA: r.GetCommitID(), SubmittedAt: r.GetSubmittedAt().Time,
		})
	}
	return reviews, a.addPermissions(ctx, repo, reviews)
}

func (a *App) addPermissions(ctx context.Context, repo change.Repo, reviews []change.Review) error {
	asked := map[int64]*change.Permission{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(permissionsAtOnce)
	for _, r := range reviews {
		decisive := r.State == "approved" || r.State == "changes_requested"
		if !decisive || r.Author.ID == 0 || asked[r.Author.ID] != nil {
			continue
		}
		answer := new(change.Permission)
		asked[r.Author.ID] = answer
		group.Go(func() (err error) {
			*answer, err = a.Permission(ctx, repo, r.Author)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i := range reviews {
		if answer := asked[reviews[i].Author.ID]; answer != nil {
			reviews[i].Permission = *answer
		}
	}
	return nil
}

// Permission asks what a person may do in the repository now: admin, write, read or none. GitHub
// counts maintain as write and triage as read. Whoever is not known there, or whose login belongs
// to somebody else by now, has none.
func (a *App) Permission(ctx context.Context, repo change.Repo, person change.User) (change.Permission, error) {
	const none = change.Permission("none")
	op := operation{"ask for a person's permission", "Metadata: read-only"}
	if !loginPattern.MatchString(person.Login) {
		return none, nil
	}
	level, err := onRepo(a, repo, op, func(c *gh.Client) (*gh.RepositoryPermissionLevel, *gh.Response, error) {
		return c.Repositories.GetPermissionLevel(ctx, repo.Owner, repo.Name, url.PathEscape(person.Login))
	})
	switch {
	case statusOf(err) == 404:
		return none, nil
	case err != nil:
		return none, err
	case level.GetPermission() == "":
		return none, op.explain(fmt.Errorf("answer names no permission"))
	case level.GetUser().GetID() != person.ID:
		return none, nil
	}
	return change.Permission(level.GetPermission()), nil
}

// Commits reads the commits of the pull request, a hundred a request. Nothing may be decided on
// them before CheckCommits.
func (a *App) Commits(ctx context.Context, repo change.Repo, number int) ([]change.Commit, error) {
	op := operation{"read the pull request's commits", "Pull requests: read-only"}
	answers, err := pages(a, repo, op, func(c *gh.Client, page gh.ListOptions) ([]*gh.RepositoryCommit, *gh.Response, error) {
		return c.PullRequests.ListCommits(ctx, repo.Owner, repo.Name, number, &page)
	})
	commits, known := make([]change.Commit, 0, len(answers)), accounts(answers)
	for _, c := range answers {
		commits = append(commits, change.Commit{SHA: c.GetSHA(), Author: toUser(c.GetAuthor()), Committer: toUser(c.GetCommitter()),
			CoAuthors: a.coAuthors(c.GetCommit().GetMessage(), known)})
	}
	return commits, err
}

// CheckCommits returns an error unless these are all commits of the pull request: one that is not
// listed could be the approver's own.
func CheckCommits(pull change.Pull, commits []change.Commit) error {
	if pull.Commits > maxCommits {
		return fault.Wrap(ErrIncomplete, fmt.Sprintf("The pull request has %d commits, and GitHub lists at most %d of them.", pull.Commits, maxCommits),
			"Tollgate cannot tell who wrote the others, so it cannot tell whether an approver approved their own work.",
			"Squash the commits, or split the pull request.")
	}
	seen := map[string]bool{}
	for _, c := range commits {
		seen[c.SHA] = true
	}
	if len(seen) == pull.Commits && len(commits) == pull.Commits && seen[pull.HeadSHA] {
		return nil
	}
	cause := fmt.Errorf("%w: %d listed, %d different, %d expected, head listed: %t", ErrIncomplete, len(commits), len(seen), pull.Commits, seen[pull.HeadSHA])
	return fault.Wrap(cause, "GitHub's list of the pull request's commits does not fit the pull request.",
		"A push may have come in between, and Tollgate decides nothing on a part of the commits.", "Try again in a moment.")
}

// issueComment adds what go-github leaves out.
type issueComment struct {
	gh.IssueComment
	App *gh.App `json:"performed_via_github_app"`
}

// Comment reads a comment as it is now, in one request.
func (a *App) Comment(ctx context.Context, repo change.Repo, id int64) (Comment, error) {
	op := operation{"read the comment", "Pull requests: read-only"}
	answer, err := onRepo(a, repo, op, func(c *gh.Client) (*issueComment, *gh.Response, error) {
		return get[issueComment](ctx, c, fmt.Sprintf("repos/%s/issues/comments/%d", repo.FullName(), id))
	})
	if err != nil {
		return Comment{}, err
	}
	comment, err := toComment(answer)
	if err == nil && comment.ID != id {
		err = fmt.Errorf("asked for comment %d, got %d", id, comment.ID)
	}
	if err != nil {
		return Comment{}, op.explain(err)
	}
	return comment, nil
}

func toComment(c *issueComment) (Comment, error) {
	if c.Body == nil || c.CreatedAt == nil || c.UpdatedAt == nil {
		return Comment{}, fmt.Errorf("answer lacks body or times")
	}
	number, err := strconv.Atoi(path.Base(c.GetIssueURL()))
	if err != nil {
		return Comment{}, fmt.Errorf("number of the comment's issue: %w", err)
	}
	return Comment{
		ID: c.GetID(), Body: c.GetBody(), Author: toUser(c.User), Pull: number,
		Edited: !c.GetUpdatedAt().Equal(c.GetCreatedAt()), AppID: c.App.GetID(), CreatedAt: c.GetCreatedAt().Time,
	}, nil
}

func toUser(u *gh.User) change.User {
	return change.User{ID: u.GetID(), Login: u.GetLogin(), Bot: u.GetType() == "Bot"}
}

// get is a request whose answer go-github has no type for.
func get[T any](ctx context.Context, c *gh.Client, path string) (*T, *gh.Response, error) {
	req, err := c.NewRequest("GET", path, nil)
	if err != nil {
		return nil, nil, err
	}
	v := new(T)
	resp, err := c.Do(ctx, req, v)
	return v, resp, err
}

// pages reads a list of the repository to its end, in as many requests as it has pages.
func pages[T any](a *App, repo change.Repo, op operation, list func(*gh.Client, gh.ListOptions) ([]T, *gh.Response, error)) ([]T, error) {
	if err := checkRepo(repo); err != nil {
		return nil, err
	}
	return pagesIn(a, inRepo(repo), op, list)
}

// pagesIn follows a full page without a link to the next all the same: a proxy may have dropped
// the header.
func pagesIn[T any](a *App, s scope, op operation, list func(*gh.Client, gh.ListOptions) ([]T, *gh.Response, error)) ([]T, error) {
	var all []T
	for page := 1; page <= maxPages; page++ {
		last := false
		items, err := call(a, s, op, func(c *gh.Client) ([]T, *gh.Response, error) {
			items, resp, err := list(c, gh.ListOptions{Page: page, PerPage: perPage})
			last = err == nil && resp.NextPage == 0 && len(items) < perPage
			return items, resp, err
		})
		if err != nil {
			return nil, err
		}
		if all = append(all, items...); last {
			return all, nil
		}
	}
	return nil, op.explain(fmt.Errorf("%w: more than %d entries", ErrIncomplete, maxPages*perPage))
}

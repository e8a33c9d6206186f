package github

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	gh "github.com/google/go-github/v60/github"

	"github.com/tollgate/tollgate/internal/change"
)

// activity is the part that matters of an entry of a repository's activity view, for which go-github
// has no type.
type activity struct {
	After string   `json:"after"`
	Actor *gh.User `json:"actor"`
}

// LastPushers asks who has pushed this commit to the branch, in one request, and answers nobody where
// GitHub does not tell: an Enterprise Server may lack the list, or the App the permission. It looks at
// the hundred newest moves of the branch, of which the head is the last.
func (a *App) LastPushers(ctx context.Context, repo change.Repo, branch, sha string) ([]change.User, error) {
	op := operation{"ask who pushed the newest commit", "Contents: read-only"}
	list, err := onRepo(a, repo, op, func(c *gh.Client) (*[]activity, *gh.Response, error) {
		query := url.Values{"ref": {"refs/heads/" + branch}, "per_page": {strconv.Itoa(perPage)}}
		return get[[]activity](ctx, c, fmt.Sprintf("repos/%s/activity?%s", repo.FullName(), query.Encode()))
	})
	switch statusOf(err) {
	case http.StatusNotFound, http.StatusForbidden, http.StatusNotImplemented:
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []change.User
	for _, entry := range *list {
		if entry.After == sha && entry.Actor.GetID() != 0 {
			out = append(out, toUser(entry.Actor))
		}
	}
	return out, nil
}

var teamPattern = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9-]{0,38})/([A-Za-z0-9][A-Za-z0-9_-]{0,99})$`)

// Team asks which of these people are in a team, one request for each; if none is, another one, to say
// whether anybody could be. GitHub tells a member by the login only, so people have to be given whose
// login and id were found to belong together just before, as Reviews does.
func (a *App) Team(ctx context.Context, repo change.Repo, name string, people []change.User) (change.Team, error) {
	op := operation{"read the members of the team " + name, "Members: read-only"}
	team := change.Team{Name: strings.ToLower(name), Members: []int64{}}
	parts := teamPattern.FindStringSubmatch(name)
	if parts == nil || !strings.EqualFold(parts[1], repo.Owner) {
		team.Problem = "It is not a team of " + repo.Owner + "."
		return team, nil
	}
	for _, p := range people {
		if p.ID == 0 || !loginPattern.MatchString(p.Login) {
			continue
		}
		m, err := onRepo(a, repo, op, func(c *gh.Client) (*gh.Membership, *gh.Response, error) {
			return c.Teams.GetTeamMembershipBySlug(ctx, parts[1], parts[2], url.PathEscape(p.Login))
		})
		switch {
		case statusOf(err) == http.StatusForbidden:
			team.Problem = "The App may not read its members: it lacks the permission \"" + op.permission + "\"."
			return team, nil
		case err != nil && statusOf(err) != http.StatusNotFound:
			return change.Team{}, err
		case err == nil && m.GetState() == "active":
			team.Members = append(team.Members, p.ID)
		}
	}
	if len(team.Members) > 0 {
		return team, nil
	}
	var err error
	team.Problem, err = a.emptiness(ctx, repo, op, parts[1], parts[2])
	return team, err
}

// emptiness says why nobody can speak for a team, or nothing if somebody can.
func (a *App) emptiness(ctx context.Context, repo change.Repo, op operation, org, slug string) (string, error) {
	members, err := onRepo(a, repo, op, func(c *gh.Client) ([]*gh.User, *gh.Response, error) {
		return c.Teams.ListTeamMembersBySlug(ctx, org, slug, &gh.TeamListTeamMembersOptions{ListOptions: gh.ListOptions{PerPage: 1}})
	})
	switch {
	case statusOf(err) == http.StatusForbidden:
		return "The App may not read its members: it lacks the permission \"" + op.permission + "\".", nil
	case statusOf(err) == http.StatusNotFound:
		return "GitHub knows no such team, or does not let the App see it.", nil
	case err != nil:
		return "", err
	case len(members) == 0:
		return "It has no members.", nil
	}
	return "", nil
}

// CreateIssue opens an issue, in one request, and returns its number.
func (a *App) CreateIssue(ctx context.Context, repo change.Repo, title, body string) (int, error) {
	op := operation{"open an issue", "Issues: read and write"}
	issue, err := onRepo(a, repo, op, func(c *gh.Client) (*gh.Issue, *gh.Response, error) {
		return c.Issues.Create(ctx, repo.Owner, repo.Name, &gh.IssueRequest{Title: &title, Body: &body})
	})
	if err == nil && issue.GetNumber() <= 0 {
		err = op.explain(fmt.Errorf("answer names no number"))
	}
	return issue.GetNumber(), err
}

var (
	trailer = regexp.MustCompile(`(?im)^[ \t]*co-authored-by:.*<([^<>\s]+)>[ \t\r]*$`)
	noReply = regexp.MustCompile(`(?i)^([0-9]+)\+([a-z0-9][a-z0-9-]*(?:\[bot\])?)@users\.noreply\.([a-z0-9.-]+)$`)
)

// coAuthors are the accounts behind the "Co-authored-by" lines of a message. GitHub's REST API does not
// tell them: an address of GitHub's own holds the account's id, another is known if GitHub has told
// whose it is in another commit, and whoever is behind any other is nobody that we know.
func (a *App) coAuthors(message string, known map[string]change.User) []change.User {
	people := []change.User{}
	for _, m := range trailer.FindAllStringSubmatch(message, -1) {
		address := strings.ToLower(m[1])
		person := known[address]
		if n := noReply.FindStringSubmatch(address); person.ID == 0 && n != nil && a.isOurs(n[3]) {
			id, err := strconv.ParseInt(n[1], 10, 64)
			if err == nil {
				person = change.User{ID: id, Login: n[2], Bot: strings.HasSuffix(n[2], "[bot]")}
			}
		}
		people = append(people, person)
	}
	return people
}

// isOurs reports whether addresses below that domain are given out by this GitHub.
func (a *App) isOurs(domain string) bool {
	site, err := url.Parse(a.site)
	return domain == "github.com" || err == nil && strings.EqualFold(domain, site.Hostname())
}

// accounts are by the addresses of which GitHub has told whose they are.
func accounts(commits []*gh.RepositoryCommit) map[string]change.User {
	known := map[string]change.User{}
	for _, c := range commits {
		for _, side := range []struct {
			user *gh.User
			sign *gh.CommitAuthor
		}{{c.GetAuthor(), c.GetCommit().GetAuthor()}, {c.GetCommitter(), c.GetCommit().GetCommitter()}} {
			if address := strings.ToLower(side.sign.GetEmail()); address != "" && side.user.GetID() != 0 {
				known[address] = toUser(side.user)
			}
		}
	}
	return known
}

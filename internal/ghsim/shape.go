package ghsim

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// obj is a JSON object on its way out. GitHub's answers have up to a hundred members, nearly all
// derived; a struct for each would say the same twice.
type obj = map[string]any

// enterpriseVersion is the version of GitHub Enterprise Server that the stand-in claims to be.
const enterpriseVersion = "3.17.4"

// list is never null in JSON.
func list[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}

// orNull turns "" into null.
func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// nodeID is an opaque id of the GraphQL kind.
func nodeID(kind string, id int64) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%03d:%s%d", len(kind), kind, id))
}

func (s *Server) apiURL(format string, args ...any) string {
	return s.url + "/api/v3" + fmt.Sprintf(format, args...)
}

func (s *Server) apiRepo(r *repo) string  { return s.apiURL("/repos/%s", r.fullName()) }
func (s *Server) htmlRepo(r *repo) string { return s.url + "/" + r.fullName() }
func (s *Server) htmlPull(p *pull) string {
	return fmt.Sprintf("%s/pull/%d", s.htmlRepo(p.repo), p.number)
}

// user is GitHub's "simple user".
func (s *Server) user(a *account) obj {
	if a == nil {
		return nil
	}
	login := url.PathEscape(a.login)
	api := s.apiURL("/users/%s", login)
	html := s.url + "/" + login
	if a.kind == "Bot" {
		html = s.url + "/apps/" + a.app.slug
	}
	return obj{
		"login": a.login, "id": a.id, "node_id": nodeID(a.kind, a.id), "avatar_url": s.url + "/avatars/u/" + fmt.Sprint(a.id),
		"gravatar_id": "", "url": api, "html_url": html, "followers_url": api + "/followers",
		"following_url": api + "/following{/other_user}", "gists_url": api + "/gists{/gist_id}",
		"starred_url": api + "/starred{/owner}{/repo}", "subscriptions_url": api + "/subscriptions",
		"organizations_url": api + "/orgs", "repos_url": api + "/repos", "events_url": api + "/events{/privacy}",
		"received_events_url": api + "/received_events", "type": a.kind, "site_admin": false,
	}
}

// maybeUser is a user or null.
func (s *Server) maybeUser(a *account) any {
	if a == nil {
		return nil
	}
	return s.user(a)
}

// publicUser is what GET /users/{username} answers.
func (s *Server) publicUser(a *account) obj {
	u := s.user(a)
	for k, v := range (obj{
		"name": orNull(a.name), "company": nil, "blog": "", "location": nil, "email": orNull(a.email), "hireable": nil,
		"bio": nil, "twitter_username": nil, "public_repos": 0, "public_gists": 0, "followers": 0, "following": 0,
		"created_at": stamp(a.created), "updated_at": stamp(a.created), "user_view_type": "public",
	}) {
		u[k] = v
	}
	return u
}

// organization is the short form in webhooks.
func (s *Server) organization(a *account) obj {
	api := s.apiURL("/orgs/%s", a.login)
	return obj{
		"login": a.login, "id": a.id, "node_id": nodeID("Organization", a.id), "url": api, "repos_url": api + "/repos",
		"events_url": api + "/events", "hooks_url": api + "/hooks", "issues_url": api + "/issues",
		"members_url": api + "/members{/member}", "public_members_url": api + "/public_members{/member}",
		"avatar_url": s.url + "/avatars/u/" + fmt.Sprint(a.id), "description": "",
	}
}

// repoURLs maps the members of a repository that are addresses to what follows its own.
var repoURLs = map[string]string{
	"forks_url": "/forks", "keys_url": "/keys{/key_id}", "collaborators_url": "/collaborators{/collaborator}",
	"teams_url": "/teams", "hooks_url": "/hooks", "issue_events_url": "/issues/events{/number}", "events_url": "/events",
	"assignees_url": "/assignees{/user}", "branches_url": "/branches{/branch}", "tags_url": "/tags",
	"blobs_url": "/git/blobs{/sha}", "git_tags_url": "/git/tags{/sha}", "git_refs_url": "/git/refs{/sha}",
	"trees_url": "/git/trees{/sha}", "statuses_url": "/statuses/{sha}", "languages_url": "/languages",
	"stargazers_url": "/stargazers", "contributors_url": "/contributors", "subscribers_url": "/subscribers",
	"subscription_url": "/subscription", "commits_url": "/commits{/sha}", "git_commits_url": "/git/commits{/sha}",
	"comments_url": "/comments{/number}", "issue_comment_url": "/issues/comments{/number}",
	"contents_url": "/contents/{+path}", "compare_url": "/compare/{base}...{head}", "merges_url": "/merges",
	"archive_url": "/{archive_format}{/ref}", "downloads_url": "/downloads", "issues_url": "/issues{/number}",
	"pulls_url": "/pulls{/number}", "milestones_url": "/milestones{/number}",
	"notifications_url": "/notifications{?since,all,participating}", "labels_url": "/labels{/name}",
	"releases_url": "/releases{/id}", "deployments_url": "/deployments",
}

// repository is the form that webhooks and pull requests carry.
func (s *Server) repository(r *repo) obj {
	html := s.htmlRepo(r)
	visibility := "public"
	if r.private {
		visibility = "private"
	}
	open := 0
	for _, i := range r.issues {
		if i.state == "open" {
			open++
		}
	}
	o := obj{
		"id": r.id, "node_id": nodeID("Repository", r.id), "name": r.name, "full_name": r.fullName(), "private": r.private,
		"owner": s.user(r.owner), "html_url": html, "description": nil, "fork": r.parent != nil, "url": s.apiRepo(r),
		"created_at": stamp(r.created), "updated_at": stamp(r.created), "pushed_at": stamp(r.pushed),
		"git_url": "git://" + s.host + "/" + r.fullName() + ".git", "ssh_url": "git@" + s.host + ":" + r.fullName() + ".git",
		"clone_url": html + ".git", "svn_url": html, "homepage": nil, "size": 0, "stargazers_count": 0, "watchers_count": 0,
		"language": "HCL", "has_issues": true, "has_projects": true, "has_downloads": true, "has_wiki": true,
		"has_pages": false, "has_discussions": false, "forks_count": 0, "mirror_url": nil, "archived": false,
		"disabled": false, "open_issues_count": open, "license": nil, "allow_forking": true, "is_template": false,
		"web_commit_signoff_required": false, "topics": []string{}, "visibility": visibility, "forks": 0,
		"open_issues": open, "watchers": 0, "default_branch": r.defaultBranch,
	}
	for key, path := range repoURLs {
		o[key] = s.apiRepo(r) + path
	}
	return o
}

// ownRepository is a repository in the lists of an installation.
func (s *Server) ownRepository(r *repo, a actor) obj {
	o := s.repository(r)
	o["permissions"] = s.repoPermissions(r, a)
	return o
}

// fullRepository is what GET /repos/{owner}/{repo} answers.
func (s *Server) fullRepository(r *repo, a actor) obj {
	o := s.ownRepository(r, a)
	o["subscribers_count"], o["network_count"] = 0, 0
	o["allow_squash_merge"], o["allow_merge_commit"], o["allow_rebase_merge"] = true, true, true
	o["allow_auto_merge"], o["allow_update_branch"], o["delete_branch_on_merge"] = false, false, false
	if r.owner.kind == "Organization" {
		o["organization"] = s.user(r.owner)
	}
	if r.parent != nil {
		o["parent"], o["source"] = s.repository(r.parent), s.repository(r.parent)
	}
	return o
}

func (s *Server) repoPermissions(r *repo, a actor) obj {
	return obj{
		"admin": a.may(r, "administration:write"), "maintain": a.may(r, "administration:write"),
		"push": a.may(r, "contents:write"), "triage": a.may(r, "issues:write"), "pull": a.may(r, "contents:read"),
	}
}

// pushRepository is the odd form of push webhooks: some times are numbers, and the owner has a
// name and an address.
func (s *Server) pushRepository(r *repo) obj {
	o := s.repository(r)
	owner := s.user(r.owner)
	owner["name"], owner["email"] = r.owner.login, orNull(r.owner.email)
	o["owner"], o["created_at"], o["pushed_at"] = owner, r.created.Unix(), r.pushed.Unix()
	o["url"], o["stargazers"], o["master_branch"] = s.htmlRepo(r), 0, r.defaultBranch
	if r.owner.kind == "Organization" {
		o["organization"] = r.owner.login
	}
	return o
}

// appShape is GitHub's "integration".
func (s *Server) appShape(a *app) obj {
	return obj{
		"id": a.id, "client_id": a.clientID, "slug": a.slug, "node_id": nodeID("App", a.id), "owner": s.user(a.owner),
		"name": a.name, "description": "", "external_url": s.url, "html_url": s.url + "/apps/" + a.slug,
		"created_at": stamp(a.created), "updated_at": stamp(a.created), "permissions": a.permissions, "events": list(shownEvents(a)),
	}
}

// via is the App that acted for an account, or null.
func (s *Server) via(a *app) any {
	if a == nil {
		return nil
	}
	o := s.appShape(a)
	delete(o, "client_id")
	return o
}

func (s *Server) installation(i *installation) obj {
	selection := "all"
	if i.repos != nil {
		selection = "selected"
	}
	return obj{
		"id": i.id, "account": s.user(i.account), "repository_selection": selection, "client_id": i.app.clientID,
		"access_tokens_url": s.apiURL("/app/installations/%d/access_tokens", i.id),
		"repositories_url":  s.apiURL("/installation/repositories"),
		"html_url":          fmt.Sprintf("%s/organizations/%s/settings/installations/%d", s.url, i.account.login, i.id),
		"app_id":            i.app.id, "app_slug": i.app.slug, "target_id": i.account.id, "target_type": i.account.kind,
		"permissions": i.app.permissions, "events": list(shownEvents(i.app)), "created_at": stamp(i.created),
		"updated_at": stamp(i.created), "single_file_name": nil, "has_multiple_single_files": false,
		"single_file_paths": []string{}, "suspended_by": nil, "suspended_at": stamp(i.suspended),
	}
}

func (s *Server) signature(i ident) obj {
	return obj{"name": i.name, "email": i.email, "date": i.when.UTC().Format(time.RFC3339)}
}

// accountByEmail finds the account that GitHub would link to a commit.
func (s *Server) accountByEmail(email string) *account {
	for _, a := range byID(s.accounts) {
		if strings.EqualFold(a.ident(time.Time{}).email, email) {
			return a
		}
	}
	return nil
}

// commitShape is a commit in lists; the details of GET /commits/{sha} come on top.
func (s *Server) commitShape(r *repo, c commit) obj {
	parents := []obj{}
	for _, p := range c.parents {
		parents = append(parents, obj{
			"sha": p, "url": s.apiRepo(r) + "/commits/" + p, "html_url": s.htmlRepo(r) + "/commit/" + p,
		})
	}
	return obj{
		"sha": c.sha, "node_id": nodeID("Commit", r.id) + c.sha,
		"commit": obj{
			"author": s.signature(c.author), "committer": s.signature(c.committer), "message": c.message,
			"tree": obj{"sha": c.tree, "url": s.apiRepo(r) + "/git/trees/" + c.tree},
			"url":  s.apiRepo(r) + "/git/commits/" + c.sha, "comment_count": 0,
			"verification": obj{"verified": false, "reason": "unsigned", "signature": nil, "payload": nil, "verified_at": nil},
		},
		"url": s.apiRepo(r) + "/commits/" + c.sha, "html_url": s.htmlRepo(r) + "/commit/" + c.sha,
		"comments_url": s.apiRepo(r) + "/commits/" + c.sha + "/comments",
		"author":       s.maybeUser(s.accountByEmail(c.author.email)),
		"committer":    s.maybeUser(s.accountByEmail(c.committer.email)), "parents": parents,
	}
}

// pushCommit is a commit in webhooks.
func (s *Server) pushCommit(r *repo, c commit) obj {
	who := func(i ident) obj {
		o := obj{"name": i.name, "email": i.email, "date": i.when.UTC().Format(time.RFC3339)}
		if a := s.accountByEmail(i.email); a != nil {
			o["username"] = a.login
		}
		return o
	}
	o := obj{
		"id": c.sha, "tree_id": c.tree, "distinct": true, "message": c.message,
		"timestamp": c.committer.when.UTC().Format(time.RFC3339), "url": s.htmlRepo(r) + "/commit/" + c.sha,
		"author": who(c.author), "committer": who(c.committer),
		"added": []string{}, "removed": []string{}, "modified": []string{},
	}
	parent := ""
	if len(c.parents) > 0 {
		parent = c.parents[0]
	}
	files, err := s.diff(r, parent, c.sha)
	if err != nil {
		s.cfg.Logger.Error("diff a pushed commit", "error", err)
	}
	for _, f := range files {
		key := map[string]string{"added": "added", "removed": "removed"}[f.status]
		key = cmp.Or(key, "modified")
		o[key] = append(o[key].([]string), f.path)
	}
	return o
}

func (s *Server) fileShape(r *repo, sha string, f fileChange) obj {
	escaped := (&url.URL{Path: f.path}).EscapedPath()
	o := obj{
		"sha": f.sha, "filename": f.path, "status": f.status, "additions": f.additions, "deletions": f.deletions,
		"changes": f.additions + f.deletions, "blob_url": fmt.Sprintf("%s/blob/%s/%s", s.htmlRepo(r), sha, escaped),
		"raw_url":      fmt.Sprintf("%s/raw/%s/%s", s.htmlRepo(r), sha, escaped),
		"contents_url": fmt.Sprintf("%s/contents/%s?ref=%s", s.apiRepo(r), escaped, sha),
	}
	if f.previous != "" {
		o["previous_filename"] = f.previous
	}
	if f.patch != "" {
		o["patch"] = f.patch
	}
	return o
}

// shownEvents leaves out the one that GitHub's description of an App does not know.
func shownEvents(a *app) []string {
	return slices.DeleteFunc(slices.Clone(a.events), func(event string) bool { return event == "merge_group" })
}

package ghsim

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

var repoRoutes = []route{
	{"GET /repos/{owner}/{repo}", "metadata:read", (*Server).getRepo},
	{"GET /repos/{owner}/{repo}/collaborators/{username}", "metadata:read", (*Server).isCollaborator},
	{"GET /repos/{owner}/{repo}/collaborators/{username}/permission", "metadata:read", (*Server).getPermission},
	{"GET /repos/{owner}/{repo}/branches", "contents:read", (*Server).listBranches},
	{"GET /repos/{owner}/{repo}/branches/{branch}", "contents:read", (*Server).getBranch},
	{"GET /repos/{owner}/{repo}/branches/{branch}/protection", "administration:read", (*Server).getProtection},
	{"GET /repos/{owner}/{repo}/commits/{ref}", "contents:read", (*Server).getCommit},
	{"GET /repos/{owner}/{repo}/commits/{commit_sha}/pulls", "pull_requests:read", (*Server).pullsOfCommit},
	{"GET /repos/{owner}/{repo}/compare/{basehead}", "contents:read", (*Server).compare},
	{"GET /repos/{owner}/{repo}/contents/{path}", "contents:read", (*Server).getContents},
	{"GET /repos/{owner}/{repo}/activity", "contents:read", (*Server).listActivity},
}

func (s *Server) getRepo(c *call) *reply { return ok(s.fullRepository(c.repo, c.actor)) }

func (s *Server) isCollaborator(c *call) *reply {
	a := s.account(c.r.PathValue("username"))
	if a == nil || c.repo.roles[a.id] == "" && a != c.repo.owner {
		return notFound()
	}
	return noContent()
}

// getPermission answers with GitHub's legacy levels: maintain counts as write and triage as read;
// role_name has the role as it is. A stranger to a private repository has none.
func (s *Server) getPermission(c *call) *reply {
	a := s.account(c.r.PathValue("username"))
	if a == nil || a.kind == "Organization" {
		return fail(http.StatusNotFound, fmt.Sprintf("%s is not a user", c.r.PathValue("username")))
	}
	role := c.repo.role(a)
	level := map[string]string{"": "none", "triage": "read", "maintain": "write"}[role]
	if level == "" {
		level = role
	}
	u := s.user(a)
	u["permissions"] = obj{
		"pull": role != "", "triage": slices.Contains([]string{"triage", "write", "maintain", "admin"}, role),
		"push": c.repo.canWrite(a), "maintain": role == "maintain" || role == "admin", "admin": role == "admin",
	}
	if role == "" {
		role = "none"
	}
	u["role_name"] = role
	return ok(obj{"permission": level, "role_name": role, "user": u})
}

func (s *Server) listBranches(c *call) *reply {
	refs, err := c.repo.git.refs("refs/heads/")
	if err != nil {
		return fail(http.StatusInternalServerError, err.Error())
	}
	var items []obj
	for _, name := range slices.Sorted(maps.Keys(refs)) {
		branch := strings.TrimPrefix(name, "refs/heads/")
		_, protected := c.repo.protection[branch]
		items = append(items, obj{
			"name": branch, "protected": protected,
			"commit": obj{"sha": refs[name], "url": s.apiRepo(c.repo) + "/commits/" + refs[name]},
		})
	}
	return paged(s, c, items)
}

func (s *Server) getBranch(c *call) *reply {
	name := c.r.PathValue("branch")
	sha := c.repo.git.ref("refs/heads/" + name)
	if sha == "" {
		return fail(http.StatusNotFound, "Branch not found")
	}
	at, err := s.commit(c.repo, sha)
	if err != nil {
		return fail(http.StatusInternalServerError, err.Error())
	}
	rule, protected := c.repo.protection[name]
	api := fmt.Sprintf("%s/branches/%s", s.apiRepo(c.repo), name)
	level := "off"
	if protected && len(rule.Checks) > 0 {
		level = "non_admins"
	}
	checks := []obj{}
	for _, k := range rule.Checks {
		checks = append(checks, obj{"context": k, "app_id": nil})
	}
	return ok(obj{
		"name": name, "commit": s.commitShape(c.repo, at), "protected": protected,
		"_links":         obj{"self": api, "html": s.htmlRepo(c.repo) + "/tree/" + name},
		"protection_url": api + "/protection",
		"protection": obj{"enabled": protected, "required_status_checks": obj{
			"enforcement_level": level, "contexts": list(rule.Checks), "checks": checks,
		}},
	})
}

func (s *Server) getProtection(c *call) *reply {
	name := c.r.PathValue("branch")
	rule, protected := c.repo.protection[name]
	if !protected {
		return fail(http.StatusNotFound, "Branch not protected")
	}
	api := fmt.Sprintf("%s/branches/%s/protection", s.apiRepo(c.repo), name)
	checks := []obj{}
	for _, k := range rule.Checks {
		checks = append(checks, obj{"context": k, "app_id": nil})
	}
	o := obj{
		"url":                api,
		"enforce_admins":     obj{"url": api + "/enforce_admins", "enabled": false},
		"allow_force_pushes": obj{"enabled": false}, "allow_deletions": obj{"enabled": false},
	}
	if len(rule.Checks) > 0 {
		o["required_status_checks"] = obj{
			"url": api + "/required_status_checks", "strict": false, "contexts": list(rule.Checks),
			"contexts_url": api + "/required_status_checks/contexts", "checks": checks,
		}
	}
	if rule.Approvals > 0 {
		o["required_pull_request_reviews"] = obj{
			"url": api + "/required_pull_request_reviews", "dismiss_stale_reviews": false, "require_code_owner_reviews": false,
			"required_approving_review_count": rule.Approvals, "require_last_push_approval": false,
		}
	}
	return ok(o)
}

func (s *Server) getCommit(c *call) *reply {
	ref := c.r.PathValue("ref")
	sha := s.resolve(c.repo, ref)
	if sha == "" {
		return fail(http.StatusUnprocessableEntity, "No commit found for SHA: "+ref)
	}
	at, err := s.commit(c.repo, sha)
	if err != nil {
		return fail(http.StatusInternalServerError, err.Error())
	}
	parent := ""
	if len(at.parents) > 0 {
		parent = at.parents[0]
	}
	changes, err := s.diff(c.repo, parent, sha)
	if err != nil {
		return fail(http.StatusInternalServerError, err.Error())
	}
	o := s.commitShape(c.repo, at)
	files, additions, deletions := s.fileShapes(c.repo, sha, changes)
	o["stats"] = obj{"additions": additions, "deletions": deletions, "total": additions + deletions}
	files, h := page(s, c, files)
	o["files"] = files
	return &reply{status: http.StatusOK, body: o, header: h}
}

func (s *Server) fileShapes(r *repo, sha string, changes []fileChange) (files []obj, additions, deletions int) {
	for _, f := range changes {
		files = append(files, s.fileShape(r, sha, f))
		additions, deletions = additions+f.additions, deletions+f.deletions
	}
	return list(files), additions, deletions
}

func (s *Server) pullsOfCommit(c *call) *reply {
	sha := s.resolve(c.repo, c.r.PathValue("commit_sha"))
	if sha == "" {
		return fail(http.StatusUnprocessableEntity, "No commit found for SHA: "+c.r.PathValue("commit_sha"))
	}
	var items []obj
	for _, p := range c.repo.pulls() {
		if p.mergeSHA == sha && p.merged || p.headSHA == sha || s.isAncestor(c.repo, sha, p.headSHA) && !s.isAncestor(c.repo, sha, p.baseSHA) {
			items = append(items, s.pullSimple(p))
		}
	}
	return paged(s, c, items)
}

func (s *Server) compare(c *call) *reply {
	from, to, found := strings.Cut(c.r.PathValue("basehead"), "...")
	base, head := s.resolve(c.repo, from), s.resolve(c.repo, to)
	if !found || base == "" || head == "" {
		return notFound()
	}
	g := c.repo.git
	merge := c.repo.mergeBase(base, head)
	if merge == "" {
		return fail(http.StatusNotFound, "No common ancestor between "+from+" and "+to+".")
	}
	ahead, err := g.between(merge, head)
	if err != nil {
		return fail(http.StatusInternalServerError, err.Error())
	}
	behind, err := g.between(merge, base)
	if err != nil {
		return fail(http.StatusInternalServerError, err.Error())
	}
	changes, err := s.diff(c.repo, merge, head)
	if err != nil {
		return fail(http.StatusInternalServerError, err.Error())
	}
	commits := []obj{}
	for _, k := range ahead {
		commits = append(commits, s.commitShape(c.repo, k))
	}
	total := len(commits)
	commits, h := page(s, c, commits)
	baseCommit, _ := s.commit(c.repo, base)
	mergeCommit, _ := s.commit(c.repo, merge)
	files, _, _ := s.fileShapes(c.repo, head, changes[:min(len(changes), 300)])
	api, html := s.apiRepo(c.repo)+"/compare/"+from+"..."+to, s.htmlRepo(c.repo)+"/compare/"+from+"..."+to
	return &reply{status: http.StatusOK, header: h, body: obj{
		"url": api, "html_url": html, "permalink_url": html, "diff_url": html + ".diff", "patch_url": html + ".patch",
		"base_commit": s.commitShape(c.repo, baseCommit), "merge_base_commit": s.commitShape(c.repo, mergeCommit),
		"status": compareStatus(len(ahead), len(behind)), "ahead_by": len(ahead), "behind_by": len(behind),
		"total_commits": total, "commits": commits, "files": files,
	}}
}

func compareStatus(ahead, behind int) string {
	switch {
	case ahead > 0 && behind > 0:
		return "diverged"
	case ahead > 0:
		return "ahead"
	case behind > 0:
		return "behind"
	}
	return "identical"
}

func (s *Server) getContents(c *call) *reply {
	rev := c.query("ref")
	if rev == "" {
		rev = c.repo.defaultBranch
	}
	sha := s.resolve(c.repo, rev)
	if sha == "" {
		return fail(http.StatusNotFound, "No commit found for the ref "+rev)
	}
	path := strings.Trim(c.r.PathValue("path"), "/")
	dir, name := "", path
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		dir, name = path[:i], path[i+1:]
	}
	siblings, err := c.repo.git.list(sha, dir)
	if err != nil {
		return notFound()
	}
	for _, e := range siblings {
		switch {
		case e.path != strings.TrimPrefix(dir+"/"+name, "/"):
		case e.kind == "tree":
			return s.listDir(c, sha, path, rev)
		default:
			return s.showFile(c, e, rev)
		}
	}
	return notFound()
}

func (s *Server) listDir(c *call, sha, dir, rev string) *reply {
	entries, err := c.repo.git.list(sha, dir)
	if err != nil {
		return notFound()
	}
	items := []obj{}
	for _, e := range entries {
		items = append(items, s.contentEntry(c.repo, e, rev))
	}
	return ok(items)
}

func (s *Server) contentEntry(r *repo, e treeEntry, rev string) obj {
	kind := map[string]string{"tree": "dir", "commit": "submodule"}[e.kind]
	if kind == "" {
		kind = "file"
	}
	if e.mode == "120000" {
		kind = "symlink"
	}
	name := e.path[strings.LastIndexByte(e.path, '/')+1:]
	api := fmt.Sprintf("%s/contents/%s?ref=%s", s.apiRepo(r), e.path, rev)
	html := fmt.Sprintf("%s/blob/%s/%s", s.htmlRepo(r), rev, e.path)
	git := s.apiRepo(r) + "/git/blobs/" + e.sha
	o := obj{
		"name": name, "path": e.path, "sha": e.sha, "size": e.size, "url": api, "html_url": html, "git_url": git,
		"download_url": fmt.Sprintf("%s/raw/%s/%s", s.htmlRepo(r), rev, e.path), "type": kind,
		"_links": obj{"self": api, "git": git, "html": html},
	}
	if kind == "dir" {
		o["download_url"] = nil
	}
	return o
}

// maxInline is the size up to which contents come with the answer.
const maxInline = 1 << 20

func (s *Server) showFile(c *call, e treeEntry, rev string) *reply {
	data, err := c.repo.git.blob(e.sha)
	if err != nil {
		return notFound()
	}
	o := s.contentEntry(c.repo, e, rev)
	o["content"], o["encoding"] = "", "none"
	if len(data) <= maxInline {
		o["content"], o["encoding"] = wrap(base64.StdEncoding.EncodeToString([]byte(data))), "base64"
	}
	return ok(o)
}

// wrap breaks base64 into lines of 60, as GitHub does.
func wrap(text string) string {
	var b strings.Builder
	for len(text) > 60 {
		b.WriteString(text[:60] + "\n")
		text = text[60:]
	}
	b.WriteString(text + "\n")
	return b.String()
}

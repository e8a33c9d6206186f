package ghsim

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

var teamRoutes = []route{
	{"GET /orgs/{org}/teams/{team_slug}/memberships/{username}", "", (*Server).getMembership},
	{"GET /orgs/{org}/teams/{team_slug}/members", "", (*Server).listMembers},
}

// team is a team of an organization.
type team struct {
	org     *account
	slug    string
	members []*account
}

// SetTeam makes a team of an organization, or changes who is in it. Its name is "org/slug".
func (s *Server) SetTeam(name string, members ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	login, slug, _ := strings.Cut(name, "/")
	org := s.account(login)
	if org == nil || org.kind != "Organization" || slug == "" {
		return fmt.Errorf("%q is not a team of an organization", name)
	}
	t := &team{org: org, slug: slug}
	for _, m := range members {
		a, err := s.person(m)
		if err != nil {
			return err
		}
		t.members = append(t.members, a)
	}
	s.teams[strings.ToLower(name)] = t
	s.touch()
	return nil
}

// teamOf finds the team that a request is about. Teams are the organization's business: an
// installation elsewhere does not see them, and one that may not read members is forbidden to.
func (s *Server) teamOf(c *call) (*team, *reply) {
	t := s.teams[strings.ToLower(c.r.PathValue("org")+"/"+c.r.PathValue("team_slug"))]
	switch {
	case c.actor.kind != "installation" || t == nil || c.actor.token.inst.account != t.org:
		return nil, notFound()
	case !allows(c.actor.token.permissions, "members:read"):
		return nil, fail(http.StatusForbidden, "Resource not accessible by integration")
	}
	return t, nil
}

func (s *Server) getMembership(c *call) *reply {
	t, fault := s.teamOf(c)
	if fault != nil {
		return fault
	}
	a := s.account(c.r.PathValue("username"))
	if a == nil || !slices.Contains(t.members, a) {
		return notFound()
	}
	url := s.apiURL("/organizations/%d/team/%s/memberships/%s", t.org.id, t.slug, a.login)
	return ok(obj{"url": url, "role": "member", "state": "active"})
}

func (s *Server) listMembers(c *call) *reply {
	t, fault := s.teamOf(c)
	if fault != nil {
		return fault
	}
	var items []obj
	for _, a := range t.members {
		items = append(items, s.user(a))
	}
	return paged(s, c, items)
}

// activity is one move of a ref, as the repository's activity view keeps it.
type activity struct {
	id            int64
	ref, kind     string
	before, after string
	by            *account
	at            time.Time
}

func (s *Server) recordActivity(r *repo, by *account, ref, before, after string) {
	kind := "push"
	switch {
	case before == "":
		kind = "branch_creation"
	case after == "":
		kind = "branch_deletion"
	case slices.ContainsFunc(r.pulls(), func(p *pull) bool { return p.merged && p.mergeSHA == after }):
		kind = "pr_merge"
	case !s.isAncestor(r, before, after):
		kind = "force_push"
	}
	r.activities = append(r.activities, activity{s.id(), ref, kind, cmp.Or(before, zeroSHA), cmp.Or(after, zeroSHA), by, s.now()})
}

// listActivity lists the newest first, as GitHub does. Its pages are marked by cursors, of which the
// stand-in gives out none: it has one page.
func (s *Server) listActivity(c *call) *reply {
	ref := c.query("ref")
	items := []obj{}
	for _, a := range slices.Backward(c.repo.activities) {
		if ref != "" && a.ref != ref && a.ref != "refs/heads/"+ref {
			continue
		}
		items = append(items, obj{
			"id": a.id, "node_id": nodeID("PushEvent", a.id), "before": a.before, "after": a.after, "ref": a.ref,
			"timestamp": stamp(a.at), "activity_type": a.kind, "actor": s.maybeUser(a.by),
		})
	}
	items, _ = page(s, c, items)
	return ok(items)
}

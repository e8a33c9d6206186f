package ghsim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tokenLife is how long an installation token is good for.
const tokenLife = time.Hour

var appRoutes = []route{
	{"GET /app", "jwt", (*Server).getApp},
	{"GET /app/installations", "jwt", (*Server).listInstallations},
	{"GET /app/installations/{installation_id}", "jwt", (*Server).getInstallation},
	{"POST /app/installations/{installation_id}/access_tokens", "jwt", (*Server).createToken},
	{"GET /app/hook/config", "jwt", (*Server).getHookConfig},
	{"GET /app/hook/deliveries", "jwt", (*Server).listDeliveries},
	{"GET /app/hook/deliveries/{delivery_id}", "jwt", (*Server).getDelivery},
	{"POST /app/hook/deliveries/{delivery_id}/attempts", "jwt", (*Server).redeliverHook},
	{"GET /repos/{owner}/{repo}/installation", "jwt", (*Server).repoInstallation},
	{"GET /orgs/{org}/installation", "jwt", (*Server).orgInstallation},
	{"GET /users/{username}/installation", "jwt", (*Server).userInstallation},
	{"GET /installation/repositories", "installation", (*Server).installationRepos},
	{"DELETE /installation/token", "installation", (*Server).revokeToken},
	{"GET /rate_limit", "public", (*Server).getRateLimit},
	{"GET /meta", "public", (*Server).getMeta},
	{"GET /users/{username}", "", (*Server).getUser},
	{"GET /user/{account_id}", "", (*Server).getUserByID},
	{"GET /user", "", (*Server).showSelf},
	{"DELETE /applications/{client_id}/token", "client", (*Server).revokeUserToken},
}

func (s *Server) getApp(c *call) *reply {
	o := s.appShape(c.actor.app)
	o["installations_count"] = len(s.installationsOf(c.actor.app))
	return ok(o)
}

func (s *Server) installationsOf(a *app) []*installation {
	return slices.DeleteFunc(byID(s.installations), func(i *installation) bool { return i.app != a })
}

func (s *Server) listInstallations(c *call) *reply {
	var items []obj
	for _, i := range s.installationsOf(c.actor.app) {
		items = append(items, s.installationItem(i))
	}
	return paged(s, c, items)
}

// installationItem is an installation in the list, where GitHub describes the account as a user
// and an enterprise in one.
func (s *Server) installationItem(i *installation) obj {
	o := s.installation(i)
	delete(o, "client_id")
	maps.Copy(o["account"].(obj), obj{
		"slug": i.account.login, "name": cmp.Or(i.account.name, i.account.login),
		"created_at": stamp(i.account.created), "updated_at": stamp(i.account.created),
	})
	return o
}

// ownInstallation finds an installation of the App that asks.
func (s *Server) ownInstallation(c *call) *installation {
	i := s.installations[c.number("installation_id")]
	if i == nil || i.app != c.actor.app {
		return nil
	}
	return i
}

func (s *Server) getInstallation(c *call) *reply {
	if i := s.ownInstallation(c); i != nil {
		return ok(s.installation(i))
	}
	return notFound()
}

func (s *Server) repoInstallation(c *call) *reply {
	r := s.repo(c.r.PathValue("owner") + "/" + c.r.PathValue("repo"))
	if r == nil {
		return notFound()
	}
	if i := s.installationOf(c.actor.app, r); i != nil {
		return ok(s.installation(i))
	}
	return notFound()
}

func (s *Server) orgInstallation(c *call) *reply { return s.installationOn(c, c.r.PathValue("org")) }
func (s *Server) userInstallation(c *call) *reply {
	return s.installationOn(c, c.r.PathValue("username"))
}

func (s *Server) installationOn(c *call, login string) *reply {
	for _, i := range s.installationsOf(c.actor.app) {
		if strings.EqualFold(i.account.login, login) {
			return ok(s.installation(i))
		}
	}
	return notFound()
}

// createToken gives out an installation token, narrowed to what the body asks for.
func (s *Server) createToken(c *call) *reply {
	i := s.ownInstallation(c)
	if i == nil {
		return notFound()
	}
	if !i.suspended.IsZero() {
		return fail(http.StatusForbidden, "This installation has been suspended")
	}
	var in struct {
		Repositories  []string          `json:"repositories"`
		RepositoryIDs []int64           `json:"repository_ids"`
		Permissions   map[string]string `json:"permissions"`
	}
	if fault := c.decode(&in); fault != nil {
		return fault
	}
	t := &token{value: newSecret("ghs_"), inst: i, permissions: maps.Clone(i.app.permissions), expires: s.now().Add(tokenLife)}
	if in.Permissions != nil {
		t.permissions = map[string]string{"metadata": "read"}
		for name, level := range in.Permissions {
			if !allows(i.app.permissions, name+":"+level) {
				return fail(http.StatusUnprocessableEntity, "The permissions requested are not granted to this installation.")
			}
			t.permissions[name] = level
		}
	}
	narrowed, fault := s.narrow(i, in.Repositories, in.RepositoryIDs)
	if fault != nil {
		return fault
	}
	o := obj{"token": t.value, "expires_at": stamp(t.expires), "permissions": t.permissions, "repository_selection": s.installation(i)["repository_selection"]}
	if narrowed != nil {
		t.repos = map[int64]bool{}
		var shown []obj
		for _, r := range narrowed {
			t.repos[r.id] = true
			shown = append(shown, s.ownRepository(r, actor{kind: "installation", token: t}))
		}
		o["repositories"], o["repository_selection"] = shown, "selected"
	}
	s.tokens[t.value] = t
	return created(o)
}

func (s *Server) narrow(i *installation, names []string, ids []int64) ([]*repo, *reply) {
	if len(names)+len(ids) == 0 {
		return nil, nil
	}
	var narrowed []*repo
	for _, r := range s.covered(i) {
		if slices.Contains(ids, r.id) || slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, r.name) }) {
			narrowed = append(narrowed, r)
		}
	}
	if len(narrowed) < max(len(names), len(ids)) {
		return nil, fail(http.StatusUnprocessableEntity, "There is at least one repository that does not exist or is not accessible to the parent installation.")
	}
	return narrowed, nil
}

func (s *Server) revokeToken(c *call) *reply {
	delete(s.tokens, c.actor.token.value)
	return noContent()
}

func (s *Server) installationRepos(c *call) *reply {
	var items []obj
	for _, r := range s.covered(c.actor.token.inst) {
		if c.actor.token.repos == nil || c.actor.token.repos[r.id] {
			items = append(items, s.ownRepository(r, c.actor))
		}
	}
	out := counted(s, c, "repositories", items)
	out.body.(obj)["repository_selection"] = s.installation(c.actor.token.inst)["repository_selection"]
	return out
}

func (s *Server) getHookConfig(c *call) *reply {
	o := obj{"content_type": "json", "insecure_ssl": "0", "url": c.actor.app.hookURL}
	if c.actor.app.secret != "" {
		o["secret"] = "********"
	}
	return ok(o)
}

// deliveryItem is a delivery in lists.
func (s *Server) deliveryItem(d *Delivery) obj {
	o := obj{
		"id": d.ID, "guid": d.GUID, "delivered_at": d.DeliveredAt.UTC().Format(time.RFC3339), "redelivery": d.Redelivery,
		"duration": d.Duration.Seconds(), "status": d.Status, "status_code": d.StatusCode, "event": d.Event,
		"action": orNull(d.Action), "installation_id": nil, "repository_id": nil, "throttled_at": nil,
	}
	if d.InstallationID != 0 {
		o["installation_id"] = d.InstallationID
	}
	if d.RepositoryID != 0 {
		o["repository_id"] = d.RepositoryID
	}
	return o
}

// listDeliveries lists finished attempts, newest first. It pages by cursor, the id to go on from.
func (s *Server) listDeliveries(c *call) *reply {
	per := 30
	if n, err := strconv.Atoi(c.query("per_page")); err == nil && n > 0 {
		per = min(n, 100)
	}
	items, h := []obj{}, http.Header{}
	for _, d := range slices.Backward(c.actor.app.deliveries) {
		if from, err := strconv.ParseInt(c.query("cursor"), 10, 64); !d.done || err == nil && d.ID > from {
			continue
		}
		if len(items) == per {
			h.Set("Link", fmt.Sprintf("<%s?per_page=%d&cursor=%d>; rel=\"next\"", s.apiURL("/app/hook/deliveries"), per, d.ID))
			break
		}
		items = append(items, s.deliveryItem(d))
	}
	return &reply{status: http.StatusOK, body: items, header: h}
}

func (s *Server) ownDelivery(c *call) *Delivery {
	for _, d := range c.actor.app.deliveries {
		if d.ID == c.number("delivery_id") {
			return d
		}
	}
	return nil
}

func (s *Server) getDelivery(c *call) *reply {
	d := s.ownDelivery(c)
	if d == nil || !d.done {
		return notFound()
	}
	headers := obj{}
	for k := range d.Header {
		headers[k] = d.Header.Get(k)
	}
	o := s.deliveryItem(d)
	o["url"] = c.actor.app.hookURL
	o["request"] = obj{"headers": headers, "payload": json.RawMessage(d.Payload)}
	o["response"] = obj{"headers": obj{}, "payload": string(d.Answer)}
	return ok(o)
}

func (s *Server) redeliverHook(c *call) *reply {
	d := s.ownDelivery(c)
	if d == nil {
		return notFound()
	}
	s.redeliver(c.actor.app, d)
	return &reply{status: http.StatusAccepted, body: obj{}}
}

func (s *Server) getRateLimit(c *call) *reply {
	used, reset := s.spend(c.actor, 0)
	limit := obj{"limit": s.cfg.RateLimit, "used": used, "remaining": max(0, s.cfg.RateLimit-used), "reset": reset.Unix()}
	return ok(obj{"resources": obj{"core": limit, "search": limit}, "rate": limit})
}

func (s *Server) getMeta(*call) *reply {
	return ok(obj{"verifiable_password_authentication": true})
}

func (s *Server) getUser(c *call) *reply { return s.showUser(s.account(c.r.PathValue("username"))) }

func (s *Server) getUserByID(c *call) *reply { return s.showUser(s.accounts[c.number("account_id")]) }

func (s *Server) showUser(a *account) *reply {
	if a == nil {
		return notFound()
	}
	return ok(s.publicUser(a))
}

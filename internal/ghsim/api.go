package ghsim

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const docs = "https://docs.github.com/rest"

// apiVersion is the only version of the API that the stand-in knows.
const apiVersion = "2022-11-28"

// route is one operation of the REST API.
type route struct {
	// pattern is a method and a path as GitHub's description of the API spells it.
	pattern string
	// need is the permission, or alternatives of it, that the operation takes in the repository.
	// "jwt" stands for the App itself, "client" for the App by its client secret, "installation" for
	// an installation token on its own.
	need   string
	handle func(*Server, *call) *reply
}

// call is one REST request under way, after authentication.
type call struct {
	r     *http.Request
	body  []byte
	actor actor
	repo  *repo // set on routes below /repos/{owner}/{repo}
}

// reply is an answer. It is also an error, so that the Go API refuses in GitHub's words.
type reply struct {
	status int
	body   any // nil for none
	header http.Header
}

func (r *reply) Error() string {
	if o, ok := r.body.(obj); ok {
		text := fmt.Sprintf("%d %v", r.status, o["message"])
		if o["errors"] != nil {
			text += fmt.Sprintf(" %v", o["errors"])
		}
		return text
	}
	return strconv.Itoa(r.status)
}

func ok(body any) *reply      { return &reply{status: http.StatusOK, body: body} }
func created(body any) *reply { return &reply{status: http.StatusCreated, body: body} }
func noContent() *reply       { return &reply{status: http.StatusNoContent} }

// fail is an error in GitHub's form.
func fail(status int, message string) *reply {
	o := obj{"message": message, "documentation_url": docs}
	if status >= 400 && status != http.StatusUnprocessableEntity { // there it is not described
		o["status"] = strconv.Itoa(status)
	}
	return &reply{status: status, body: o}
}

func notFound() *reply { return fail(http.StatusNotFound, "Not Found") }
func forbidden() *reply {
	return fail(http.StatusForbidden, "Must have admin rights to Repository.")
}

// invalid is GitHub's 422 with one error in it.
func invalid(resource, field, code, message string) *reply {
	e := obj{"resource": resource, "code": code}
	if field != "" {
		e["field"] = field
	}
	if message != "" {
		e["message"] = message
	}
	f := fail(http.StatusUnprocessableEntity, "Validation Failed")
	f.body.(obj)["errors"] = []obj{e}
	return f
}

// Routes lists the REST operations that the stand-in serves, such as
// "GET /repos/{owner}/{repo}/pulls", sorted.
func Routes() []string {
	var list []string
	for _, r := range allRoutes() {
		list = append(list, r.pattern)
	}
	slices.Sort(list)
	return list
}

func allRoutes() []route {
	return slices.Concat(appRoutes, repoRoutes, pullRoutes, issueRoutes, checkRoutes, deployRoutes, gitRoutes, teamRoutes)
}

var byRepoID = regexp.MustCompile(`^/repositories/(\d+)(/.*)?$`)

// serveAPI answers a REST request; the prefix /api/v3 has been taken off. The whole request runs
// under the lock.
func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := byRepoID.FindStringSubmatch(r.URL.Path); m != nil { // GitHub's own links have this form
		id, _ := strconv.ParseInt(m[1], 10, 64)
		if at := s.repos[id]; at != nil {
			r.URL.Path, r.URL.RawPath = "/repos/"+at.fullName()+m[2], ""
		}
	}
	ex := exchangeOf(r)
	rt, params := s.api.find(r)
	ex.Route, ex.Params = rt.pattern, params
	c := &call{r: r, body: ex.Body}
	a, fault := s.authenticate(r)
	c.actor, ex.TokenKind = a, a.kind
	if a.user != nil {
		ex.Actor = a.user.login
	}
	if fault == nil {
		fault = s.admit(c, rt)
	}
	if fault == nil {
		fault = rt.handle(s, c)
	}
	s.write(w, c, rt, fault)
}

// admit checks everything that comes before an operation's own business.
func (s *Server) admit(c *call, rt route) *reply {
	if rt.handle == nil {
		return notFound()
	}
	if c.r.UserAgent() == "" {
		return fail(http.StatusForbidden, "Request forbidden by administrative rules. Please make sure your request has a User-Agent header.")
	}
	if v := c.r.Header.Get("X-GitHub-Api-Version"); v != "" && v != apiVersion {
		return fail(http.StatusBadRequest, fmt.Sprintf("%q is not a valid API version", v))
	}
	if len(c.body) > 0 && (!json.Valid(c.body) || !utf8.Valid(c.body)) {
		return fail(http.StatusBadRequest, "Problems parsing JSON")
	}
	if used, reset := s.spend(c.actor, 0); used >= s.cfg.RateLimit && reset.After(s.now()) {
		return fail(http.StatusForbidden, "API rate limit exceeded for installation. If you reach out to GitHub Support for help, please include the request ID.")
	}
	switch rt.need {
	case "jwt":
		if c.actor.kind != "app" {
			return fail(http.StatusUnauthorized, "A JSON web token could not be decoded")
		}
		return nil
	case "client":
		if c.actor.kind != "client" {
			return fail(http.StatusUnauthorized, "Bad credentials")
		}
		return nil
	case "installation":
		if c.actor.kind != "installation" {
			return fail(http.StatusForbidden, "You must authenticate with an installation access token in order to use this endpoint.")
		}
		return nil
	}
	if (c.actor.kind == "app" || c.actor.kind == "client") && rt.need != "public" {
		return fail(http.StatusUnauthorized, "Bad credentials")
	}
	if strings.Contains(rt.pattern, "/repos/{owner}/{repo}") {
		return s.admitToRepo(c, rt)
	}
	return nil
}

// admitToRepo finds the repository. What a token may not see does not exist for it; what it may
// not do in a repository that it sees is forbidden.
func (s *Server) admitToRepo(c *call, rt route) *reply {
	name := c.r.PathValue("owner") + "/" + c.r.PathValue("repo")
	c.repo = s.repo(name)
	if moved := s.renamed(name); c.repo == nil && moved != nil && c.actor.sees(moved) {
		return s.redirect(c, moved)
	}
	if c.repo == nil || (rt.need != "public" && !c.actor.sees(c.repo)) {
		return notFound()
	}
	if rt.need == "public" || c.actor.may(c.repo, rt.need) {
		return nil
	}
	switch {
	case c.actor.kind == "installation":
		return fail(http.StatusForbidden, "Resource not accessible by integration")
	case c.actor.kind == "anonymous":
		return fail(http.StatusUnauthorized, "Requires authentication")
	case strings.Contains(rt.need, "checks:write"):
		return fail(http.StatusForbidden, "You must authenticate via a GitHub App.")
	}
	return forbidden()
}

// redirect sends a client that asks for a former name to the repository's number.
func (s *Server) redirect(c *call, to *repo) *reply {
	status := http.StatusMovedPermanently
	if c.r.Method != http.MethodGet {
		status = http.StatusTemporaryRedirect
	}
	at := *c
	at.repo = to
	url := strings.TrimSuffix(s.linkPath(&at), "/")
	if c.r.URL.RawQuery != "" {
		url += "?" + c.r.URL.RawQuery
	}
	out := fail(status, "Moved Permanently")
	out.body.(obj)["url"] = url
	out.header = http.Header{"Location": {url}}
	return out
}

// write sends an answer with GitHub's headers.
func (s *Server) write(w http.ResponseWriter, c *call, rt route, out *reply) {
	h := w.Header()
	for k, v := range out.header {
		h[k] = v
	}
	var body []byte
	if out.body != nil {
		var err error
		if body, err = encode(out.body); err != nil {
			out = fail(http.StatusInternalServerError, err.Error())
			body, _ = encode(out.body)
		}
		h.Set("Content-Type", "application/json; charset=utf-8")
	}
	status := out.status
	if c.r.Method == http.MethodGet && status == http.StatusOK {
		sum := sha256.Sum256(append(body, h.Get("Link")...))
		tag := `W/"` + hex.EncodeToString(sum[:]) + `"`
		h.Set("ETag", tag)
		h.Set("Cache-Control", "private, max-age=60, s-maxage=60")
		if matchesETag(c.r.Header.Get("If-None-Match"), tag) {
			status, body = http.StatusNotModified, nil
			h.Del("Content-Type")
		}
	}
	s.writeLimits(h, c, status)
	h.Set("Vary", "Accept, Authorization, Cookie, X-GitHub-OTP,Accept-Encoding, Accept")
	h.Set("X-GitHub-Media-Type", "github.v3; format=json")
	h.Set("X-GitHub-Enterprise-Version", enterpriseVersion)
	if c.actor.kind == "installation" && strings.Contains(rt.need, ":") {
		h.Set("X-Accepted-GitHub-Permissions", strings.NewReplacer(":", "=", "|", "; ").Replace(rt.need))
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that has gone away is its own witness
}

// writeLimits counts the request; answers from the client's cache are free.
func (s *Server) writeLimits(h http.Header, c *call, status int) {
	cost := 1
	if status == http.StatusNotModified {
		cost = 0
	}
	used, reset := s.spend(c.actor, cost)
	h.Set("X-RateLimit-Limit", strconv.Itoa(s.cfg.RateLimit))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(max(0, s.cfg.RateLimit-used)))
	h.Set("X-RateLimit-Used", strconv.Itoa(used))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(reset.Unix(), 10))
	h.Set("X-RateLimit-Resource", "core")
}

func encode(body any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	err := enc.Encode(body)
	return bytes.TrimRight(buf.Bytes(), "\n"), err
}

// matchesETag compares weakly, as If-None-Match asks for.
func matchesETag(header, tag string) bool {
	for part := range strings.SplitSeq(header, ",") {
		part = strings.TrimSpace(part)
		if part == "*" || strings.TrimPrefix(part, "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}

// decode reads the body into a struct; GitHub ignores members that it does not know.
func (c *call) decode(into any) *reply {
	if len(c.body) == 0 {
		return nil
	}
	err := json.Unmarshal(c.body, into)
	var te *json.UnmarshalTypeError
	var pe *time.ParseError
	switch {
	case errors.As(err, &te):
		return badRequest("For 'properties/%s', %s is not a %s.", te.Field, te.Value, te.Type)
	case errors.As(err, &pe):
		return badRequest("%s is not a valid date-time.", pe.Value)
	case err != nil:
		return fail(http.StatusBadRequest, "Problems parsing JSON")
	}
	return nil
}

// number reads a numeric part of the path; -1 matches nothing.
func (c *call) number(name string) int64 {
	n, err := strconv.ParseInt(c.r.PathValue(name), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

func (c *call) query(name string) string { return c.r.URL.Query().Get(name) }

// page cuts a list into pages and returns the Link header to the others.
func page[T any](s *Server, c *call, items []T) ([]T, http.Header) {
	per, at := 30, 1
	if n, err := strconv.Atoi(c.query("per_page")); err == nil && n > 0 {
		per = min(n, 100)
	}
	if n, err := strconv.Atoi(c.query("page")); err == nil && n > 0 {
		at = n
	}
	last := max(1, (len(items)+per-1)/per)
	from := min((at-1)*per, len(items))
	var links []string
	link := func(n int, rel string) {
		q := c.r.URL.Query()
		q.Set("page", strconv.Itoa(n))
		links = append(links, fmt.Sprintf("<%s?%s>; rel=%q", s.linkPath(c), q.Encode(), rel))
	}
	if at > 1 {
		link(min(at-1, last), "prev")
	}
	if at < last {
		link(at+1, "next")
		link(last, "last")
	}
	if at > 1 {
		link(1, "first")
	}
	h := http.Header{}
	if links != nil {
		h.Set("Link", strings.Join(links, ", "))
	}
	return list(items[from:min(from+per, len(items))]), h
}

// linkPath is the request's address as GitHub writes it in links: by the repository's number.
func (s *Server) linkPath(c *call) string {
	path := c.r.URL.EscapedPath()
	if c.repo != nil {
		_, rest, _ := strings.Cut(strings.TrimPrefix(path, "/repos/"), "/")
		_, rest, _ = strings.Cut(rest, "/")
		return s.apiURL("/repositories/%d/", c.repo.id) + rest
	}
	return s.apiURL("") + path
}

// paged answers with one page of a list.
func paged(s *Server, c *call, items []obj) *reply {
	items, h := page(s, c, items)
	return &reply{status: http.StatusOK, body: items, header: h}
}

// counted answers with one page in the form {"total_count": n, key: […]}.
func counted(s *Server, c *call, key string, items []obj) *reply {
	n := len(items)
	items, h := page(s, c, items)
	return &reply{status: http.StatusOK, body: obj{"total_count": n, key: items}, header: h}
}

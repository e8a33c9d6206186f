package web_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/web"
)

// company is the pages with people who sign in, and GitHub as they need it. Everything may be changed under
// the lock.
type company struct {
	*httptest.Server

	mu       sync.Mutex
	now      time.Time
	readers  map[int64]bool // who may read the repository, by id
	unwell   error          // of GitHub
	asked    int            // how often GitHub was asked what somebody may read
	sessions map[string]change.User
	grants   map[string]string // challenge by code
}

var (
	grace   = change.User{ID: 1, Login: "grace"}
	mallory = change.User{ID: 2, Login: "mallory"}
)

func newCompany(t *testing.T, s web.Source, https bool) *company {
	t.Helper()
	c := &company{now: now, readers: map[int64]bool{grace.ID: true}, sessions: map[string]change.User{}, grants: map[string]string{}}
	c.Server = httptest.NewUnstartedServer(nil)
	scheme, start := "http://", c.Start
	if https {
		scheme, start = "https://", c.StartTLS
	}
	c.Config.Handler = web.Handler(web.Deps{Source: s, Audience: web.SignedIn, People: web.People{SignIn: c, Sessions: c, MayRead: c.mayRead}, PublicURL: scheme + c.Listener.Addr().String(),
		Now: func() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	start()
	t.Cleanup(c.Close)
	return c
}

func (c *company) change(f func()) { c.mu.Lock(); defer c.mu.Unlock(); f() }

func (c *company) mayRead(_ context.Context, person change.User, _ change.Repo) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	return c.readers[person.ID], c.unwell
}

func (c *company) AuthorizeURL(state, challenge, callback string) string {
	return "https://github.example/authorize?" + url.Values{"state": {state}, "challenge": {challenge}, "callback": {callback}}.Encode()
}

// Person takes the code LOGIN/CHALLENGE.
func (c *company) Person(_ context.Context, code, verifier, callback string) (change.User, error) {
	login, challenge, _ := strings.Cut(code, "/")
	sum := sha256.Sum256([]byte(verifier))
	if challenge != base64.RawURLEncoding.EncodeToString(sum[:]) || callback != c.URL+"/signin/callback" {
		return change.User{}, errors.New("bad_verification_code")
	}
	for _, who := range []change.User{grace, mallory} {
		if who.Login == login {
			return who, nil
		}
	}
	return change.User{}, errors.New("nobody")
}

func (c *company) Begin(_ context.Context, digest string, person change.User, _ time.Time) error {
	c.change(func() { c.sessions[digest] = person })
	return nil
}

func (c *company) Session(_ context.Context, digest string) (change.User, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	who, ok := c.sessions[digest]
	if !ok {
		return who, web.ErrNotFound
	}
	return who, nil
}

func (c *company) End(_ context.Context, digest string) error {
	c.change(func() { delete(c.sessions, digest) })
	return nil
}

// visitor is a browser that follows nobody to GitHub.
type visitor struct {
	t *testing.T
	c *company
	http.Client
}

func (c *company) visitor(t *testing.T) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	v := &visitor{t, c, *c.Client()}
	v.Jar, v.CheckRedirect = jar, func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return v
}

func (v *visitor) get(path string) (*http.Response, string) {
	v.t.Helper()
	return v.do(http.MethodGet, path, nil)
}

func (v *visitor) do(method, path string, form url.Values) (*http.Response, string) {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), method, v.c.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := v.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return resp, string(body)
}

// begin goes to sign in, and returns what GitHub is asked.
func (v *visitor) begin(path string) url.Values {
	v.t.Helper()
	resp, _ := v.get(path)
	if resp.StatusCode != http.StatusSeeOther || !strings.HasPrefix(resp.Header.Get("Location"), "/signin?") {
		v.t.Fatalf("%s without a session: %s to %s", path, resp.Status, resp.Header.Get("Location"))
	}
	resp, _ = v.get(resp.Header.Get("Location"))
	to, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || to.Host != "github.example" {
		v.t.Fatalf("the sign-in leads to %s, %v", resp.Header.Get("Location"), err)
	}
	return to.Query()
}

func (v *visitor) comeBack(login string, asked url.Values) *http.Response {
	v.t.Helper()
	resp, _ := v.get("/signin/callback?" + url.Values{"state": {asked.Get("state")}, "code": {login + "/" + asked.Get("challenge")}}.Encode())
	return resp
}

func (v *visitor) signIn(login string) {
	v.t.Helper()
	if resp := v.comeBack(login, v.begin("/")); resp.StatusCode != http.StatusSeeOther {
		v.t.Fatalf("%s signs in: %s", login, resp.Status)
	}
}

// pagesOf are all the addresses of a run and an apply that show something of a repository.
var pagesOf = []string{"/runs/" + runID, "/runs/" + runID + "/plan/payments", "/runs/" + runID + "/log/payments", "/runs/" + runID + "/log/payments/stream",
	"/executions/" + exeID, "/executions/" + exeID + "/log", "/executions/" + exeID + "/log/stream"}

func endedFixture(t *testing.T) source {
	t.Helper()
	plan, apply := newLog(t, "CANARY planned\n"), newLog(t, "CANARY applied\n")
	plan.done.Store(true)
	apply.done.Store(true)
	return fixture(t, plan, apply)
}

// Covers: T10, T81
func TestPeopleSeeWhatTheyMayReadOnGitHub(t *testing.T) {
	t.Parallel()
	c := newCompany(t, endedFixture(t), false)
	g, m, nobody := c.visitor(t), c.visitor(t), c.visitor(t)
	g.signIn("grace")
	m.signIn("mallory")
	_, absent := m.get("/runs/none")
	for _, path := range pagesOf {
		if resp, body := g.get(path); resp.StatusCode != http.StatusOK || len(body) == 0 {
			t.Errorf("%s for a reader: %s", path, resp.Status)
		}
		resp, body := m.get(path)
		if resp.StatusCode != http.StatusNotFound || body != absent {
			t.Errorf("%s for somebody else: %s, unlike what does not exist:\n%s", path, resp.Status, body)
		}
		for _, p := range []string{path, strings.NewReplacer(runID, "none", exeID, "none").Replace(path)} {
			resp, body := nobody.get(p)
			if strings.Contains(body, "CANARY") || resp.StatusCode != http.StatusSeeOther && resp.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s for nobody: %s\n%s", p, resp.Status, body)
			}
		}
	}
	if _, body := g.get("/"); !strings.Contains(body, runID) || !strings.Contains(body, "grace") {
		t.Errorf("a reader's list:\n%s", body)
	}
	if resp, body := m.get("/"); resp.StatusCode != http.StatusOK || strings.Contains(body, runID) || strings.Contains(body, "acme") {
		t.Errorf("the list of somebody else: %s\n%s", resp.Status, body)
	}
}

func TestWhatGitHubDoesNotSayIsNotShown(t *testing.T) {
	t.Parallel()
	c := newCompany(t, endedFixture(t), false)
	g := c.visitor(t)
	g.signIn("grace")
	c.change(func() { c.unwell = errors.New("502") })
	for _, path := range append([]string{"/"}, pagesOf...) {
		if resp, body := g.get(path); resp.StatusCode != http.StatusServiceUnavailable || strings.Contains(body, "CANARY") || strings.Contains(body, "acme") {
			t.Errorf("%s while GitHub is unwell: %s", path, resp.Status)
		}
	}
	c.change(func() { c.unwell = nil })
	for range 5 {
		g.get(pagesOf[0])
	}
	if resp, _ := g.get(pagesOf[0]); resp.StatusCode != http.StatusOK || c.asked != len(pagesOf)+2 {
		t.Errorf("once it answers: %s, asked %d times", resp.Status, c.asked)
	}
	// What was allowed is asked for again.
	c.change(func() { c.readers = nil; c.now = c.now.Add(time.Minute) })
	if resp, _ := g.get(pagesOf[0]); resp.StatusCode != http.StatusNotFound {
		t.Errorf("a minute after the right was taken away: %s", resp.Status)
	}
}

func TestStreamEndsWithTheRight(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		lose func(*company)
		end  bool
	}{
		"nothing lost":           {func(*company) {}, false},
		"no longer a reader":     {func(c *company) { c.readers = nil }, true},
		"signed out":             {func(c *company) { clear(c.sessions) }, true},
		"GitHub does not answer": {func(c *company) { c.unwell = errors.New("502") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLog(t, "one\n")
			c := newCompany(t, fixture(t, newLog(t, ""), l), false)
			g := c.visitor(t)
			g.signIn("grace")
			resp, err := g.Get(c.URL + "/executions/" + exeID + "/log/stream")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			first := make([]byte, len("retry: 2000\n\nid: 4\ndata: one\n\n"))
			if _, err := io.ReadFull(resp.Body, first); err != nil {
				t.Fatal(err)
			}
			c.change(func() { tt.lose(c); c.now = c.now.Add(2 * time.Minute) })
			l.write("two\n")
			l.done.Store(true)
			rest, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(string(rest), "two"); got == tt.end {
				t.Errorf("after that the stream says %q", rest)
			}
		})
	}
}

// Covers: T10
func TestSignInBelongsToTheBrowserThatBeganIt(t *testing.T) {
	t.Parallel()
	c := newCompany(t, endedFixture(t), false)
	victim, attacker := c.visitor(t), c.visitor(t)
	attackers := attacker.begin("/")
	victim.begin("/")
	refused := func(name string, resp *http.Response) {
		t.Helper()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s", name, resp.Status)
		}
		if resp, _ := victim.get("/"); resp.StatusCode != http.StatusSeeOther {
			t.Errorf("%s: there is a session", name)
		}
	}
	refused("the attacker's state and code", victim.comeBack("mallory", attackers))
	mine := victim.begin("/")
	refused("the attacker's code with the victim's state", victim.comeBack("mallory", url.Values{"state": mine["state"], "challenge": attackers["challenge"]}))
	refused("no sign-in begun", c.visitor(t).comeBack("mallory", attackers))
	mine = victim.begin("/")
	refused("no state", victim.comeBack("grace", url.Values{"challenge": mine["challenge"]}))
	mine = victim.begin("/runs/" + runID + "?x=1")
	resp := victim.comeBack("grace", mine)
	if to := resp.Header.Get("Location"); resp.StatusCode != http.StatusSeeOther || to != "/runs/"+runID+"?x=1" {
		t.Fatalf("an honest sign-in: %s to %s", resp.Status, to)
	}
	if resp := victim.comeBack("grace", mine); resp.StatusCode != http.StatusForbidden {
		t.Errorf("the same once more: %s", resp.Status)
	}
}

func TestSignInLeadsBackToOurOwnPagesOnly(t *testing.T) {
	t.Parallel()
	c := newCompany(t, endedFixture(t), false)
	for _, back := range []string{"https://evil.example/", "//evil.example", "/\\evil.example", "/\t/evil.example", "evil", "javascript:alert(1)", ""} {
		v := c.visitor(t)
		resp, _ := v.get("/signin?" + url.Values{"back": {back}}.Encode())
		to, err := url.Parse(resp.Header.Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		if got := v.comeBack("grace", to.Query()).Header.Get("Location"); got != "/" {
			t.Errorf("%q leads to %q", back, got)
		}
	}
}

var formToken = regexp.MustCompile(`name="token" value="([0-9a-f]{64})"`)

// Covers: T10
func TestSignOutOnlyByOnesOwnForm(t *testing.T) {
	t.Parallel()
	c := newCompany(t, endedFixture(t), false)
	g, m := c.visitor(t), c.visitor(t)
	g.signIn("grace")
	m.signIn("mallory")
	token := func(v *visitor) string {
		t.Helper()
		_, body := v.get("/")
		found := formToken.FindStringSubmatch(body)
		if found == nil {
			t.Fatalf("no form to sign out:\n%s", body)
		}
		return found[1]
	}
	for name, form := range map[string]url.Values{"no token": nil, "an empty one": {"token": {""}}, "somebody else's": {"token": {token(m)}}} {
		if resp, _ := g.do(http.MethodPost, "/signout", form); resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s", name, resp.Status)
		}
	}
	if resp, _ := g.get("/signout?token=" + token(g)); resp.StatusCode != http.StatusNotFound {
		t.Errorf("by a link: %s", resp.Status)
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		t.Fatal(err)
	}
	kept := g.Jar.Cookies(u)
	if resp, _ := g.do(http.MethodPost, "/signout", url.Values{"token": {token(g)}}); resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("by the form: %s", resp.Status)
	}
	if resp, body := g.get("/signedout"); resp.StatusCode != http.StatusOK || !strings.Contains(body, "You are signed out") {
		t.Errorf("afterwards: %s", resp.Status)
	}
	g.Jar.SetCookies(u, kept) // a thief may have kept a copy
	if resp, _ := g.get(pagesOf[0]); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("the session lives on: %s", resp.Status)
	}
	if resp, _ := m.get("/"); resp.StatusCode != http.StatusOK {
		t.Errorf("the other's session: %s", resp.Status)
	}
}

func TestCookiesAreOutOfReach(t *testing.T) {
	t.Parallel()
	for _, https := range []bool{false, true} {
		c := newCompany(t, endedFixture(t), https)
		v := c.visitor(t)
		resp, _ := v.get("/signin")
		to, err := url.Parse(resp.Header.Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		cookies := append(resp.Cookies(), v.comeBack("grace", to.Query()).Cookies()...)
		if len(cookies) != 3 { // begun, ended, session
			t.Errorf("cookies %v", cookies)
		}
		for _, k := range cookies {
			if !k.HttpOnly || k.SameSite != http.SameSiteLaxMode || k.Domain != "" || k.Path != "/" || k.Secure != https || strings.HasPrefix(k.Name, "__Host-") != https {
				t.Errorf("https %t: %s", https, k)
			}
		}
		c.change(func() {
			for digest := range c.sessions {
				if strings.Contains(digest, cookies[len(cookies)-1].Value) || len(digest) != 64 {
					t.Errorf("the token itself is kept: %s", digest)
				}
			}
		})
	}
}

// Covers: T10
func TestWithoutSignInOnlyThisMachineSees(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		audience web.Audience
		edit     func(*http.Request)
		want     int
	}{
		"this machine":            {web.ThisMachine, func(*http.Request) {}, 200},
		"by its name":             {web.ThisMachine, func(r *http.Request) { r.Host = "localhost:8080" }, 200},
		"another machine":         {web.ThisMachine, func(r *http.Request) { r.RemoteAddr = "192.0.2.7:4711" }, 403},
		"through a proxy":         {web.ThisMachine, func(r *http.Request) { r.Header.Set("X-Forwarded-For", "192.0.2.7") }, 403},
		"another name of it":      {web.ThisMachine, func(r *http.Request) { r.Host = "rebound.evil.example" }, 403},
		"everyone":                {web.Everyone, func(r *http.Request) { r.RemoteAddr = "192.0.2.7:4711" }, 200},
		"nobody":                  {web.Nobody, func(*http.Request) {}, 403},
		"nobody, by a zero value": {0, func(*http.Request) {}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := web.Handler(web.Deps{Source: endedFixture(t), Audience: tt.audience, Now: func() time.Time { return now }, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
			for _, path := range pagesOf {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:8080"+path, nil)
				r.RemoteAddr = "127.0.0.1:50000"
				tt.edit(r)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if w.Code != tt.want || tt.want != 200 && strings.Contains(w.Body.String(), "CANARY") {
					t.Errorf("%s: %d", path, w.Code)
				}
			}
		})
	}
}

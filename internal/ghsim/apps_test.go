package ghsim_test

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v4"
	"github.com/google/go-github/v60/github"

	"github.com/tollgate/tollgate/internal/ghsim"
)

func TestOnlyAProperAppTokenIsTaken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	now := time.Now()
	good := jwt.RegisteredClaims{
		Issuer: strconv.FormatInt(b.app.ID, 10), IssuedAt: jwt.NewNumericDate(now.Add(-time.Minute)),
		ExpiresAt: jwt.NewNumericDate(now.Add(5 * time.Minute)),
	}
	cases := map[string]struct {
		change func(*jwt.RegisteredClaims)
		method jwt.SigningMethod
		key    any
		status int
	}{
		"proper":            {status: 200},
		"by client id":      {change: func(c *jwt.RegisteredClaims) { c.Issuer = b.app.ClientID }, status: 200},
		"expired":           {change: func(c *jwt.RegisteredClaims) { c.ExpiresAt = jwt.NewNumericDate(now.Add(-time.Second)) }, status: 401},
		"too long":          {change: func(c *jwt.RegisteredClaims) { c.ExpiresAt = jwt.NewNumericDate(now.Add(11 * time.Minute)) }, status: 401},
		"no expiry":         {change: func(c *jwt.RegisteredClaims) { c.ExpiresAt = nil }, status: 401},
		"issued later":      {change: func(c *jwt.RegisteredClaims) { c.IssuedAt = jwt.NewNumericDate(now.Add(time.Minute)) }, status: 401},
		"never issued":      {change: func(c *jwt.RegisteredClaims) { c.IssuedAt = nil }, status: 401},
		"another App":       {change: func(c *jwt.RegisteredClaims) { c.Issuer = "1" }, status: 404},
		"another algorithm": {method: jwt.SigningMethodHS256, key: []byte("secret"), status: 401},
		"unsigned":          {method: jwt.SigningMethodNone, key: jwt.UnsafeAllowNoneSignatureType, status: 401},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			claims := good
			if c.change != nil {
				c.change(&claims)
			}
			var method jwt.SigningMethod = jwt.SigningMethodRS256
			var signer any = key()
			if c.method != nil {
				method, signer = c.method, c.key
			}
			token, err := jwt.NewWithClaims(method, claims).SignedString(signer)
			ok(t, err)
			_, resp, err := b.enterprise(t, bearer(token)).Apps.Get(b.ctx, "")
			if resp.StatusCode != c.status {
				t.Errorf("status %d, want %d: %v", resp.StatusCode, c.status, err)
			}
		})
	}
}

func TestInstallationTokenIsNarrowed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	second, err := b.srv.CreateRepo(ghsim.NewRepo{Owner: "acme", Name: "ledger", Private: true})
	ok(t, err)
	token := func(o *github.InstallationTokenOptions) (*github.InstallationToken, error) {
		tok, _, err := b.appClient(t).Apps.CreateInstallationToken(b.ctx, b.inst, o)
		return tok, err
	}
	tok, err := token(&github.InstallationTokenOptions{
		RepositoryIDs: []int64{b.repo.ID()}, Permissions: &github.InstallationPermissions{Checks: github.String("read")},
	})
	ok(t, err)
	c := b.enterprise(t, bearer(tok.GetToken()))
	_, _, err = c.Repositories.GetByID(b.ctx, b.repo.ID())
	ok(t, err)
	_, _, err = c.Repositories.GetByID(b.ctx, second.ID())
	refused(t, err, "404 Not Found")
	p := b.openPull(t, "change")
	_, _, err = c.Checks.ListCheckRunsForRef(b.ctx, "acme", "payments", p.Info().HeadSHA, nil)
	ok(t, err)
	_, _, err = c.Checks.CreateCheckRun(b.ctx, "acme", "payments", github.CreateCheckRunOptions{Name: "x", HeadSHA: p.Info().HeadSHA})
	refused(t, err, "403 Resource not accessible by integration")
	_, _, err = c.PullRequests.Get(b.ctx, "acme", "payments", 1)
	refused(t, err, "403 Resource not accessible by integration")

	_, err = token(&github.InstallationTokenOptions{Permissions: &github.InstallationPermissions{Contents: github.String("write")}})
	refused(t, err, "422 The permissions requested are not granted")
	_, err = token(&github.InstallationTokenOptions{Repositories: []string{"elsewhere"}})
	refused(t, err, "422 There is at least one repository")
}

func TestTokensEnd(t *testing.T) {
	t.Parallel()
	var skew atomic.Int64
	b := setupWith(t, ghsim.Config{Clock: func() time.Time { return time.Now().Add(time.Duration(skew.Load())) }})
	tok, _, err := b.appClient(t).Apps.CreateInstallationToken(b.ctx, b.inst, &github.InstallationTokenOptions{})
	ok(t, err)
	if left := time.Until(tok.GetExpiresAt().Time); left < 59*time.Minute || left > time.Hour {
		t.Errorf("the token lives %v", left)
	}
	c := b.enterprise(t, bearer(tok.GetToken()))
	_, _, err = c.Repositories.Get(b.ctx, "acme", "payments")
	ok(t, err)
	skew.Store(int64(time.Hour))
	_, _, err = c.Repositories.Get(b.ctx, "acme", "payments")
	refused(t, err, "401 Bad credentials")
	skew.Store(0)
	_, err = c.Apps.RevokeInstallationToken(b.ctx)
	ok(t, err)
	_, _, err = c.Repositories.Get(b.ctx, "acme", "payments")
	refused(t, err, "401 Bad credentials")
}

func TestUninstalledAppSeesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, _, err := b.client.Repositories.Get(b.ctx, "acme", "payments")
	ok(t, err)
	ok(t, b.srv.Uninstall(b.inst))
	_, _, err = b.client.Repositories.Get(b.ctx, "acme", "payments")
	refused(t, err, "401")
	_, _, err = b.appClient(t).Apps.FindRepositoryInstallation(b.ctx, "acme", "payments")
	refused(t, err, "404 Not Found")
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	b := setupWith(t, ghsim.Config{RateLimit: 5})
	var last *github.Response
	for range 5 {
		_, resp, err := b.client.Repositories.Get(b.ctx, "acme", "payments")
		ok(t, err)
		last = resp
	}
	if last.Rate.Remaining != 0 || last.Rate.Limit != 5 {
		t.Errorf("rate is %v", last.Rate)
	}
	fresh := b.installationClient(t, &github.InstallationTokenOptions{}) // another client, the same installation
	_, _, err := fresh.Repositories.Get(b.ctx, "acme", "payments")
	refused(t, err, "403 API rate limit")
}

func TestConditionalRequestsAreFree(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.openPull(t, "change")
	get := func(etag string) *http.Response {
		req, err := b.client.NewRequest("GET", "repos/acme/payments/pulls/1", nil)
		ok(t, err)
		if etag != "" {
			req.Header.Set("If-None-Match", etag)
		}
		resp, _ := b.client.Do(b.ctx, req, nil) // go-github calls a 304 an error
		return resp.Response
	}
	first := get("")
	same := get(first.Header.Get("ETag"))
	if same.StatusCode != http.StatusNotModified || same.Header.Get("X-RateLimit-Used") != first.Header.Get("X-RateLimit-Used") {
		t.Errorf("status %d, used %s after %s", same.StatusCode, same.Header.Get("X-RateLimit-Used"), first.Header.Get("X-RateLimit-Used"))
	}
	_, err := p.Comment("eve", "news")
	ok(t, err)
	if changed := get(first.Header.Get("ETag")); changed.StatusCode != http.StatusOK {
		t.Errorf("status %d after a change", changed.StatusCode)
	}
}

func TestWhatIsNotServedIsNotFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, url := range []string{"/api/v3/repos/acme/nothing", "/api/v3/nothing", "/api/v3/repos/acme/payments"} {
		resp, err := http.Get(b.srv.URL() + url)
		ok(t, err)
		ok(t, resp.Body.Close())
		if resp.StatusCode != http.StatusNotFound || !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
			t.Errorf("%s: %s, %s", url, resp.Status, resp.Header.Get("Content-Type"))
		}
	}
}

func TestPermissionOfAPerson(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ok(t, b.repo.Grant("eve", "triage"))
	for login, want := range map[string][2]string{
		"ada": {"write", "write"}, "bob": {"write", "maintain"}, "eve": {"read", "triage"}, "mallory": {"none", "none"},
	} {
		var got struct {
			Permission string
			RoleName   string `json:"role_name"`
		}
		b.do(t, b.client, "GET", "repos/acme/payments/collaborators/"+login+"/permission", nil, &got)
		if [2]string{got.Permission, got.RoleName} != want {
			t.Errorf("%s: %v, want %v", login, got, want)
		}
	}
	_, _, err := b.client.Repositories.GetPermissionLevel(b.ctx, "acme", "payments", "nobody")
	refused(t, err, "404")
}

func TestALoginIsNotAnIdentity(t *testing.T) {
	t.Parallel()
	b := setup(t)
	before, _, err := b.client.Users.Get(b.ctx, "ada")
	ok(t, err)
	ok(t, b.srv.RenameUser("ada", "ada2"))
	stranger, err := b.srv.CreateUser(ghsim.User{Login: "ada"})
	ok(t, err)
	if stranger.ID == before.GetID() {
		t.Error("the same id twice")
	}
	got, _, err := b.client.Repositories.GetPermissionLevel(b.ctx, "acme", "payments", "ada")
	ok(t, err)
	if got.GetPermission() != "none" {
		t.Errorf("the stranger has %s", got.GetPermission())
	}
}

func TestSuspendedInstallation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	tok, _, err := b.appClient(t).Apps.CreateInstallationToken(b.ctx, b.inst, &github.InstallationTokenOptions{})
	ok(t, err)
	ok(t, b.srv.Suspend(b.inst, true))
	_, _, err = b.enterprise(t, bearer(tok.GetToken())).Repositories.Get(b.ctx, "acme", "payments")
	refused(t, err, "403 This installation has been suspended")
	_, _, err = b.client.Repositories.Get(b.ctx, "acme", "payments")
	refused(t, err, "403 Forbidden") // nor is there a new token
	b.push(t, "x", "x", "x")
	ok(t, b.srv.Suspend(b.inst, false))
	_, _, err = b.client.Repositories.Get(b.ctx, "acme", "payments")
	ok(t, err)
	b.settle(t)
	if got := strings.Join(b.hooks.names(), " "); got != "installation.suspend installation.unsuspend" {
		t.Errorf("arrived: %s", got)
	}
}

func TestRenamedRepository(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.openPull(t, "change")
	ok(t, b.repo.Rename("bob", "ledger"))
	got, resp, err := b.client.PullRequests.Get(b.ctx, "acme", "payments", p.Number())
	ok(t, err)
	if got.GetBase().GetRepo().GetFullName() != "acme/ledger" || !strings.Contains(resp.Request.URL.Path, fmt.Sprint("/repositories/", b.repo.ID())) {
		t.Errorf("%s by way of %s", got.GetBase().GetRepo().GetFullName(), resp.Request.URL)
	}
	stranger, err := b.srv.CreateRepo(ghsim.NewRepo{Owner: "acme", Name: "payments", Private: true})
	ok(t, err)
	again, _, err := b.client.Repositories.Get(b.ctx, "acme", "payments")
	ok(t, err)
	if again.GetID() != stranger.ID() || again.GetID() == b.repo.ID() {
		t.Errorf("the old name leads to %d", again.GetID())
	}
}

func TestRequestsGitHubWouldNotTake(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, change := range map[string]func(*http.Request){
		"":                          func(*http.Request) {},
		"no user agent":             func(r *http.Request) { r.Header.Set("User-Agent", "") },
		"an unknown version":        func(r *http.Request) { r.Header.Set("X-GitHub-Api-Version", "1999-01-01") },
		"a scheme of its own":       func(r *http.Request) { r.Header.Set("Authorization", "Digest x") },
		"something other than JSON": func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("{")) },
	} {
		req, err := b.client.NewRequest("GET", "rate_limit", nil)
		ok(t, err)
		change(req)
		resp, err := http.DefaultClient.Do(req)
		ok(t, err)
		ok(t, resp.Body.Close())
		if good := resp.StatusCode == http.StatusOK; good != (name == "") {
			t.Errorf("%s: %s", name, resp.Status)
		}
	}
}

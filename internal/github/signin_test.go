package github_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/redact"
)

const callback = "http://127.0.0.1:1/signin/callback"

// agree is a person's browser at GitHub; it returns the code that they come back with.
func agree(t *testing.T, login, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	must(t, err)
	form := u.Query()
	u.RawQuery = ""
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, u.String(), strings.NewReader(form.Encode()))
	must(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.AddCookie(&http.Cookie{Name: "acting_as", Value: login})
	c := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.Do(req)
	must(t, err)
	resp.Body.Close()
	to, err := url.Parse(resp.Header.Get("Location"))
	must(t, err)
	if got := to.Query().Get("state"); got != form.Get("state") || !strings.HasPrefix(to.String(), callback+"?") {
		t.Fatalf("sent back to %s: %s", to, resp.Status)
	}
	return to.Query().Get("code")
}

func TestSignInTellsWhoItIsAndKeepsNoToken(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	app, err := c.CreateApp(ghsim.NewApp{Slug: "signs-in", Owner: "acme", CallbackURL: callback, Key: privateKey()})
	must(t, err)
	a, err := github.New(github.Config{URL: c.URL(), AppID: app.ID, Key: redact.New(app.PrivateKey)})
	must(t, err)
	s := a.SignIn(app.ClientID, redact.New(app.ClientSecret))
	sum := sha256.Sum256([]byte("verifier"))
	address := s.AuthorizeURL("state", base64.RawURLEncoding.EncodeToString(sum[:]), callback)

	code := agree(t, "bob", address)
	if got, err := s.Person(t.Context(), code, "verifier", callback); err != nil || got != c.people["bob"] {
		t.Fatalf("Person() = %v, %v", got, err)
	}
	revoked := 0
	for _, ex := range c.Requests() {
		if strings.HasPrefix(ex.Route, "DELETE /applications/") && ex.Status == http.StatusNoContent {
			revoked++
		}
	}
	if revoked != 1 {
		t.Errorf("the token was given back %d times, want once", revoked)
	}
	for name, try := range map[string]func() (change.User, error){
		"a used code":      func() (change.User, error) { return s.Person(t.Context(), code, "verifier", callback) },
		"another verifier": func() (change.User, error) { return s.Person(t.Context(), agree(t, "bob", address), "other", callback) },
		"another callback": func() (change.User, error) {
			return s.Person(t.Context(), agree(t, "bob", address), "verifier", "http://127.0.0.1:2/")
		},
		"another secret": func() (change.User, error) {
			return a.SignIn(app.ClientID, redact.New("other")).Person(t.Context(), agree(t, "bob", address), "verifier", callback)
		},
	} {
		if who, err := try(); err == nil || who != (change.User{}) || strings.Contains(err.Error(), app.ClientSecret) {
			t.Errorf("%s: %v, %v", name, who, err)
		}
	}
}

package github_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/redact"
)

func TestNewChecksTheAddress(t *testing.T) {
	t.Parallel()
	for url, clone := range map[string]string{
		"https://github.com":                "https://github.com/acme/shop.git",
		"https://github.com/":               "https://github.com/acme/shop.git",
		"https://github.example.com":        "https://github.example.com/acme/shop.git",
		"https://github.example.com:8443":   "https://github.example.com:8443/acme/shop.git",
		"http://127.0.0.1:3000":             "http://127.0.0.1:3000/acme/shop.git",
		"http://localhost:3000":             "http://localhost:3000/acme/shop.git",
		"http://[::1]:3000":                 "http://[::1]:3000/acme/shop.git",
		"":                                  "",
		"github.com":                        "",
		"https://":                          "",
		"ftp://github.com":                  "",
		"http://github.example.com":         "",
		"https://github.example.com/api/v3": "",
		"https://x:y@github.example.com":    "",
		"https://github.example.com?a=b":    "",
		"https://github.example.com#a":      "",
		"https://github .com":               "",
	} {
		app, err := github.New(github.Config{URL: url, AppID: appID, Key: redact.New(keyPEM(privateKey()))})
		var f *fault.Error
		switch {
		case clone == "" && !errors.As(err, &f):
			t.Errorf("%q: error %v, want a fault", url, err)
		case clone != "" && err != nil:
			t.Errorf("%q: %v", url, err)
		case clone != "" && app.CloneURL(shop) != clone:
			t.Errorf("%q: clone from %q, want %q", url, app.CloneURL(shop), clone)
		}
	}
}

func TestNewChecksTheKey(t *testing.T) {
	t.Parallel()
	pkcs8, err := x509.MarshalPKCS8PrivateKey(privateKey())
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecDER, err := x509.MarshalPKCS8PrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	public := x509.MarshalPKCS1PublicKey(&privateKey().PublicKey)
	block := func(kind string, der []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	good := keyPEM(privateKey())
	for name, test := range map[string]struct {
		key  []byte
		want string // in the explanation; empty: the key is good
	}{
		"as downloaded":       {good, ""},
		"PKCS 8":              {block("PRIVATE KEY", pkcs8), ""},
		"with text before it": {append([]byte("a note\n"), good...), ""},
		"empty":               {nil, "empty"},
		"blank":               {[]byte(" \n"), "empty"},
		"not PEM":             {[]byte("canary-not-a-key"), "not in PEM form"},
		"cut off":             {good[:len(good)/2], "not in PEM form"},
		"damaged":             {block("RSA PRIVATE KEY", pkcs8[:100]), "damaged"},
		"elliptic":            {block("PRIVATE KEY", ecDER), "not an RSA key"},
		"public":              {block("RSA PUBLIC KEY", public), "something else"},
		"certificate":         {block("CERTIFICATE", public), "something else"},
		"passphrase":          {block("ENCRYPTED PRIVATE KEY", public), "passphrase"},
		"too short":           {keyPEM(shortKey(t)), "1024 bits"},
	} {
		_, err := github.New(github.Config{URL: "https://github.com", AppID: appID, Key: redact.New(test.key)})
		if test.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		var f *fault.Error
		if !errors.As(err, &f) || !strings.Contains(f.Why, test.want) || f.Fix == "" {
			t.Errorf("%s: error %v is not a fault that says %q", name, err, test.want)
			continue
		}
		if strings.Contains(err.Error()+f.Text(), "canary") {
			t.Errorf("%s: the error quotes the file: %v", name, err)
		}
	}
	if _, err := github.New(github.Config{URL: "https://github.com", Key: redact.New(good)}); err == nil {
		t.Error("no error without an App id")
	}
}

func shortKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Covers: T08
func TestTokenReadsOneRepositoryOnly(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	app := f.app()
	f.on("DELETE /installation/token", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	token, err := lent(t, app, shop)
	if err != nil || string(token.Reveal()) != "ghs_1" {
		t.Fatalf("token %q, %v", token.Reveal(), err)
	}
	want := m{"repository_ids": []any{42.0}, "permissions": m{"contents": "read", "metadata": "read"}}
	if got := f.minted(); got[0].Path != "/app/installations/9/access_tokens" || cmp.Diff(want, got[0].Body) != "" {
		t.Errorf("asked %s with %v", got[0].Path, got[0].Body)
	}

	// No two borrow the same, and each is given back by itself, also when its use failed.
	var failed redact.Secret
	broken := errors.New("git failed")
	if err := app.WithToken(t.Context(), shop, func(s redact.Secret) error { failed = s; return broken }); !errors.Is(err, broken) || string(failed.Reveal()) != "ghs_2" {
		t.Errorf("second token %q, %v", failed.Reveal(), err)
	}
	var back []string
	for _, r := range f.requests {
		back = append(back, r.Method+" "+r.Path+" "+r.Auth)
	}
	if diff := cmp.Diff([]string{"DELETE /installation/token token ghs_1", "DELETE /installation/token token ghs_2"}, back); diff != "" {
		t.Errorf("given back (-want +got):\n%s", diff)
	}
}

// lent returns a token as it was while it was lent.
func lent(t *testing.T, app *github.App, repo change.Repo) (token redact.Secret, err error) {
	t.Helper()
	err = app.WithToken(t.Context(), repo, func(s redact.Secret) error { token = s; return nil })
	return token, err
}

// Covers: T08
func TestCallsAreNarrowedToTheRepository(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.on("GET /repos/acme/shop/pulls/3", answerJSON(pullAnswer(3)))
	app := f.app()
	for range 2 {
		if _, err := app.Pull(t.Context(), shop, 3); err != nil {
			t.Fatal(err)
		}
	}
	if got := f.minted(); len(got) != 1 || cmp.Diff(m{"repository_ids": []any{42.0}}, got[0].Body) != "" {
		t.Errorf("token requests: %v", got)
	}
	if got := f.seen(); len(got) != 2 {
		t.Errorf("two reads took %v", got)
	}
}

// Covers: T05
func TestInstallationOfAnotherOwnerGetsNothing(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.mintFail = refuse(422, "There is at least one repository that does not exist or is not accessible to the parent installation.")
	_, err := f.app().Pull(t.Context(), shop, 3)
	wantFault(t, err, github.ErrNotFound)
	if got := f.seen(); len(got) != 0 {
		t.Errorf("requests without a token: %v", got)
	}
}

// Covers: R23
func TestSuspendedInstallationIsSaid(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.mintFail = refuse(403, "This installation has been suspended")
	_, err := lent(t, f.app(), shop)
	if flt := wantFault(t, err, github.ErrForbidden); !strings.Contains(flt.What, "suspended") {
		t.Errorf("the fault says %q", flt.What)
	}
}

// GitHub's clock counts, not ours: after the first refusal the App knows what time it is there.
//
// Covers: R30
func TestWrongClock(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		skew   time.Duration
		tokens int
	}{{0, 1}, {3 * time.Second, 1}, {15 * time.Minute, 2}, {-15 * time.Minute, 2}, {48 * time.Hour, 2}} {
		f := newFake(t)
		f.skew = test.skew
		f.on("GET /repos/acme/shop/pulls/3", answerJSON(pullAnswer(3)))
		if _, err := f.app().Pull(t.Context(), shop, 3); err != nil {
			t.Errorf("clock off by %v: %v", test.skew, err)
		}
		if got := len(f.minted()); got != test.tokens {
			t.Errorf("clock off by %v: %d requests for a token, want %d", test.skew, got, test.tokens)
		}
	}
}

// Covers: R23
func TestRevokedTokenIsReplaced(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.on("POST /repos/acme/shop/issues/3/comments", answer(201, `{"id":5}`))
	app := f.app()
	f.revoked["ghs_1"] = true
	id, err := app.CreateComment(t.Context(), shop, 3, "hello")
	if err != nil || id != 5 {
		t.Fatalf("comment %d, %v", id, err)
	}
	if got := f.seen(); len(got) != 2 {
		t.Errorf("sent %v, want a refused and an accepted request", got)
	}

	f.revoked["ghs_2"], f.revoked["ghs_3"] = true, true
	_, err = app.CreateComment(t.Context(), shop, 3, "hello")
	wantFault(t, err, github.ErrUnauthorized)
	if got := f.seen(); len(got) != 4 {
		t.Errorf("sent %v in all, want two more", got)
	}
}

// Covers: R33
func TestRenamedRepositoryIsFollowed(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.on("GET /repos/acme/shop/pulls/3", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, f.URL+"/api/v3/repositories/42/pulls/3", http.StatusMovedPermanently)
	})
	f.on("GET /repositories/42/pulls/3", answerJSON(pullAnswer(3, func(p m) {
		p["base"] = m{"ref": "main", "repo": m{"id": shop.ID, "name": "store", "owner": m{"login": "acme"}}}
	})))
	pull, err := f.app().Pull(t.Context(), shop, 3)
	if err != nil || pull.Repo.Name != "store" || pull.Repo.ID != shop.ID {
		t.Errorf("pull %+v, %v", pull.Repo, err)
	}
}

// Covers: T08
func TestCredentialsStayAtGitHub(t *testing.T) {
	t.Parallel()
	arrived := make(chan string, 1)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		arrived <- r.Header.Get("Authorization")
	}))
	defer elsewhere.Close()
	f := newFake(t)
	f.on("GET /repos/acme/shop/pulls/3", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusFound)
	})
	_, err := f.app().Pull(t.Context(), shop, 3)
	wantFault(t, err, github.ErrUnavailable)
	select {
	case auth := <-arrived:
		t.Errorf("the redirect was followed with %q", auth)
	default:
	}
}

// Covers: T16
func TestNamesCannotLeaveTheirPath(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	app := f.app()
	for _, repo := range []change.Repo{
		{ID: 42, InstallationID: 9, Owner: "acme", Name: ".."},
		{ID: 42, InstallationID: 9, Owner: "acme", Name: "shop/../../x"},
		{ID: 42, InstallationID: 9, Owner: "..", Name: "shop"},
		{ID: 42, InstallationID: 9, Owner: "acme", Name: "shop?x=1"},
		{ID: 42, InstallationID: 9, Owner: "", Name: ""},
		{ID: 0, InstallationID: 9, Owner: "acme", Name: "shop"},
		{ID: 42, InstallationID: 0, Owner: "acme", Name: "shop"},
	} {
		if _, err := app.Pull(t.Context(), repo, 3); err == nil {
			t.Errorf("%+v: no error from Pull", repo)
		}
		if _, err := app.Reviews(t.Context(), repo, 3); err == nil {
			t.Errorf("%+v: no error from Reviews", repo)
		}
		if _, err := lent(t, app, repo); err == nil {
			t.Errorf("%+v: no error from WithToken", repo)
		}
	}
	if len(f.seen())+len(f.minted()) != 0 {
		t.Errorf("requests: %v %v", f.seen(), f.minted())
	}
}

func TestConcurrentCallsShareOneToken(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.on("GET /repos/acme/shop/pulls/3", answerJSON(pullAnswer(3)))
	app := f.app()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := app.Pull(context.Background(), shop, 3); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := len(f.minted()); got != 1 {
		t.Errorf("%d requests for tokens, want 1", got)
	}
}

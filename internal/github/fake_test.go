package github_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	jwt "github.com/golang-jwt/jwt/v4"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/redact"
)

const appID = 7

var shop = change.Repo{ID: 42, InstallationID: 9, Owner: "acme", Name: "shop"}

const (
	shaA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	shaB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

var privateKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func keyPEM(key *rsa.PrivateKey) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
}

// testClock stands still until it is moved; sleeping moves it.
type testClock struct {
	mu    sync.Mutex
	now   time.Time
	slept []time.Duration
}

func newClock() *testClock { return &testClock{now: time.Now().Truncate(time.Second)} }

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *testClock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	c.slept = append(c.slept, d)
	c.mu.Unlock()
	c.advance(d)
	return ctx.Err()
}

func (c *testClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// request is what the fake saw.
type request struct {
	Method, Path, Query, Auth string
	Body                      map[string]any
}

// fake is a GitHub of a few handlers, which checks credentials and counts.
type fake struct {
	*httptest.Server
	t     *testing.T
	clock *testClock
	skew  time.Duration // its clock minus the App's
	mux   *http.ServeMux

	mu       sync.Mutex
	requests []request // without those for tokens
	tokens   []request
	revoked  map[string]bool
	mintFail http.HandlerFunc // answers requests for tokens, if set
}

func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{t: t, clock: newClock(), mux: http.NewServeMux(), revoked: map[string]bool{}}
	f.mux.HandleFunc("POST /api/v3/app/installations/{id}/access_tokens", f.mint)
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.Close)
	return f
}

func (f *fake) app() *github.App {
	f.t.Helper()
	app, err := github.New(github.Config{
		URL: f.URL, AppID: appID, Key: redact.New(keyPEM(privateKey())), Clock: f.clock,
		// On a kept connection that breaks, net/http itself would send a read again.
		Transport: &http.Transport{DisableKeepAlives: true},
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return app
}

// on answers the pattern below /api/v3 with the handlers, one after the other; the last one stays.
func (f *fake) on(pattern string, handlers ...http.HandlerFunc) {
	method, path, _ := strings.Cut(pattern, " ")
	var mu sync.Mutex
	calls := 0
	f.mux.HandleFunc(method+" /api/v3"+path, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		h := handlers[min(calls, len(handlers)-1)]
		calls++
		mu.Unlock()
		h(w, r)
	})
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		f.t.Errorf("read request: %v", err)
	}
	seen := request{Method: r.Method, Path: strings.TrimPrefix(r.URL.Path, "/api/v3"), Query: r.URL.RawQuery, Auth: r.Header.Get("Authorization")}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &seen.Body); err != nil {
			f.t.Errorf("%s %s: body %q: %v", r.Method, r.URL, body, err)
		}
	}
	f.mu.Lock()
	if strings.HasSuffix(r.URL.Path, "/access_tokens") {
		f.tokens = append(f.tokens, seen)
	} else {
		f.requests = append(f.requests, seen)
	}
	revoked := f.revoked[strings.TrimPrefix(seen.Auth, "token ")]
	f.mu.Unlock()
	w.Header().Set("Date", f.now().UTC().Format(http.TimeFormat))
	w.Header().Set("Content-Type", "application/json")
	if revoked || seen.Auth == "" {
		refuse(401, "Bad credentials")(w, r)
		return
	}
	f.mux.ServeHTTP(w, r)
}

func (f *fake) now() time.Time { return f.clock.Now().Add(f.skew) }

// mint checks the App's own token as GitHub does, and hands out one for the installation.
func (f *fake) mint(w http.ResponseWriter, r *http.Request) {
	claims := jwt.MapClaims{}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithoutClaimsValidation())
	_, err := parser.ParseWithClaims(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), claims,
		func(*jwt.Token) (any, error) { return &privateKey().PublicKey, nil })
	iat, _ := claims["iat"].(float64)
	exp, _ := claims["exp"].(float64)
	now := float64(f.now().Unix())
	if err != nil || claims["iss"] != strconv.Itoa(appID) || iat > now || exp <= now || exp > now+600 {
		refuse(401, "A JSON web token could not be decoded")(w, r)
		return
	}
	if f.mintFail != nil {
		f.mintFail(w, r)
		return
	}
	f.mu.Lock()
	n := len(f.tokens)
	f.mu.Unlock()
	answer(201, fmt.Sprintf(`{"token":"ghs_%d","expires_at":%q}`, n, time.Now().Add(time.Hour).Format(time.RFC3339)))(w, r)
}

// seen lists what was asked, as "METHOD /path", tokens left out.
func (f *fake) seen() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []string
	for _, r := range f.requests {
		list = append(list, r.Method+" "+r.Path)
	}
	return list
}

func (f *fake) minted() []request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tokens
}

func (f *fake) bodies() []map[string]any {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []map[string]any
	for _, r := range f.requests {
		list = append(list, r.Body)
	}
	return list
}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func answerJSON(v any) http.HandlerFunc {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return answer(200, string(body))
}

func refuse(status int, message string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		answer(status, fmt.Sprintf(`{"message":%q}`, message))(w, r)
	}
}

type m = map[string]any

func user(id int64, login string) m { return m{"id": id, "login": login, "type": "User"} }

func pullAnswer(number int, changes ...func(m)) m {
	repo := m{"id": shop.ID, "name": shop.Name, "owner": m{"login": shop.Owner}}
	p := m{
		"number": number, "title": "Encrypt", "html_url": "https://x/1", "state": "open", "draft": false, "merged": false,
		"user": user(1, "ann"), "commits": 2, "merge_commit_sha": shaB,
		"head": m{"sha": shaA, "ref": "topic", "repo": repo}, "base": m{"ref": "main", "repo": repo},
	}
	for _, c := range changes {
		c(p)
	}
	return p
}

// wantFault checks that an error can be shown and is of the kind.
func wantFault(t *testing.T, err, kind error) *fault.Error {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) || f.What == "" || !errors.Is(err, kind) {
		t.Fatalf("error %v is not a fault of kind %q", err, kind)
	}
	return f
}

package ghsim_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/google/go-github/v60/github"

	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/ghsim/contract"
)

const secret = "a webhook secret of more than 32 bytes"

// key is made once: it is the slowest part of a fixture.
var key = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

// bundle is a small company: ada and bob may write, eve may read, and an App is installed.
type bundle struct {
	srv    *ghsim.Server
	repo   *ghsim.Repo
	app    ghsim.App
	inst   int64
	hooks  *receiver
	client *github.Client // of the installation
	check  *contract.Checker
	ctx    context.Context
}

// receiver is the App's end of the webhooks.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	events []received
	answer func(http.ResponseWriter, *http.Request)
}

type received struct {
	event, action string
	header        http.Header
	body          []byte
	payload       map[string]any
}

func newReceiver(t testing.TB) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	e := received{event: req.Header.Get("X-GitHub-Event"), header: req.Header, body: body}
	_ = json.Unmarshal(body, &e.payload)
	e.action, _ = e.payload["action"].(string)
	r.mu.Lock()
	r.events = append(r.events, e)
	answer := r.answer
	r.mu.Unlock()
	if answer != nil {
		answer(w, req)
	}
}

// names lists what has arrived as event.action.
func (r *receiver) names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []string
	for _, e := range r.events {
		list = append(list, strings.TrimSuffix(e.event+"."+e.action, "."))
	}
	return list
}

// last is the newest arrival of an event and action.
func (r *receiver) last(t testing.TB, event, action string) received {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := len(r.events) - 1; i >= 0; i-- {
		if e := r.events[i]; e.event == event && e.action == action {
			return e
		}
	}
	t.Fatalf("no %s.%s arrived", event, action)
	return received{}
}

func (r *receiver) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = nil
}

var permissions = map[string]string{
	"checks": "write", "contents": "read", "pull_requests": "write", "issues": "write", "deployments": "write",
	"statuses": "write", "administration": "read", "members": "read",
}

var events = []string{"merge_group",
	"push", "pull_request", "pull_request_review", "issue_comment", "issues", "check_run", "check_suite", "status",
	"deployment", "deployment_status", "repository",
}

func setup(t testing.TB) *bundle {
	t.Helper()
	return setupWith(t, ghsim.Config{})
}

func setupWith(t testing.TB, cfg ghsim.Config) *bundle {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	checker, err := contract.New()
	ok(t, err)
	cfg.Dir, cfg.Observe, cfg.ObserveDelivery = t.TempDir(), checker.Exchange, checker.Delivery
	srv, err := ghsim.New(cfg)
	ok(t, err)
	t.Cleanup(func() {
		ok(t, srv.Close())
		for _, d := range checker.Differences() {
			// A client may break the rules in a test, but then the stand-in must have refused it.
			if d.Side != contract.Request || d.Status < 400 {
				t.Error(d)
			}
		}
	})
	b := &bundle{srv: srv, hooks: newReceiver(t), check: checker, ctx: ctx}
	for _, login := range []string{"ada", "bob", "eve", "mallory"} {
		_, err := srv.CreateUser(ghsim.User{Login: login, Name: strings.ToUpper(login[:1]) + login[1:], Email: login + "@example.com"})
		ok(t, err)
	}
	b.repo, err = srv.CreateRepo(ghsim.NewRepo{
		Owner: "acme", Name: "payments", Private: true, Author: "ada",
		Roles: map[string]string{"ada": "write", "bob": "maintain", "eve": "read"},
		Files: fstest.MapFS{
			"README.md":              {Data: []byte("# Payments\n")},
			"infrastructure/main.tf": {Data: []byte("resource \"a\" \"b\" {\n  x = 1\n}\n")},
			"scripts/run":            {Data: []byte("#!/bin/sh\n"), Mode: 0o755},
		},
	})
	ok(t, err)
	b.app, err = srv.CreateApp(ghsim.NewApp{
		Slug: "tollgate", Owner: "acme", WebhookURL: b.hooks.URL, WebhookSecret: secret, CallbackURL: callback,
		Permissions: permissions, Events: events, Key: key(),
	})
	ok(t, err)
	b.inst, err = srv.Install(b.app.ID, "acme")
	ok(t, err)
	b.client = b.installationClient(t, &github.InstallationTokenOptions{})
	b.settle(t)
	b.hooks.forget()
	return b
}

// transport authenticates as the App.
func (b *bundle) transport(t testing.TB) *ghinstallation.AppsTransport {
	t.Helper()
	atr, err := ghinstallation.NewAppsTransport(http.DefaultTransport, b.app.ID, b.app.PrivateKey)
	ok(t, err)
	atr.BaseURL = b.srv.URL() + "/api/v3"
	return atr
}

func (b *bundle) enterprise(t testing.TB, rt http.RoundTripper) *github.Client {
	t.Helper()
	c, err := github.NewClient(&http.Client{Transport: rt}).WithEnterpriseURLs(b.srv.URL(), b.srv.URL())
	ok(t, err)
	return c
}

func (b *bundle) appClient(t testing.TB) *github.Client { return b.enterprise(t, b.transport(t)) }

func (b *bundle) installationClient(t testing.TB, o *github.InstallationTokenOptions) *github.Client {
	t.Helper()
	itr := ghinstallation.NewFromAppsTransport(b.transport(t), b.inst)
	itr.InstallationTokenOptions = o
	return b.enterprise(t, itr)
}

// do sends any request and decodes the answer into into, if that is not nil.
func (b *bundle) do(t testing.TB, c *github.Client, method, path string, body, into any) *github.Response {
	t.Helper()
	req, err := c.NewRequest(method, path, body)
	ok(t, err)
	resp, err := c.Do(b.ctx, req, into)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp
}

// settle waits until every webhook has been answered.
func (b *bundle) settle(t testing.TB) {
	t.Helper()
	ok(t, b.srv.WaitDelivered(b.ctx, b.app.ID))
}

// openPull pushes one change to a new branch and opens a pull request for it.
func (b *bundle) openPull(t testing.TB, branch string) *ghsim.Pull {
	t.Helper()
	b.push(t, branch, "infrastructure/main.tf", "resource \"a\" \"b\" {\n  x = 2 # "+branch+"\n}\n")
	p, err := b.repo.OpenPull(ghsim.OpenPull{By: "ada", Head: branch, Title: "Change x", Body: "Because."})
	ok(t, err)
	return p
}

func (b *bundle) push(t testing.TB, branch, path, content string) string {
	t.Helper()
	sha, err := b.repo.Push(ghsim.Push{Branch: branch, By: "ada", Message: "Edit " + path, Files: map[string]string{path: content}})
	ok(t, err)
	return sha
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused wants an error with a text in it.
func refused(t testing.TB, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Fatalf("got error %v, want one with %q", err, text)
	}
}

// git runs the real git as a stranger to the server would.
func git(t testing.TB, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

package ghsim_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-github/v60/github"

	"github.com/tollgate/tollgate/internal/ghsim"
)

var pullGets = ghsim.Match{Method: "GET", Path: "/repos/*/*/pulls/*"}

func (b *bundle) getPull() error {
	_, _, err := b.client.PullRequests.Get(b.ctx, "acme", "payments", 1)
	return err
}

func TestFaultsComeAndGo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.openPull(t, "change")
	f := b.srv.Inject(pullGets, ghsim.Fault{Status: 502, Body: "<html>bad gateway</html>", Skip: 1, Times: 2})
	for i, bad := range []bool{false, true, true, false} {
		if err := b.getPull(); (err != nil) != bad {
			t.Errorf("request %d: %v", i, err)
		}
	}
	if f.Hits() != 2 {
		t.Errorf("%d hits", f.Hits())
	}
	until := b.srv.Inject(ghsim.Match{Path: "/repos/**"}, ghsim.Fault{Status: 500})
	refused(t, b.getPull(), "500")
	until.Clear()
	ok(t, b.getPull())
}

func TestConnectionCut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.openPull(t, "change")
	b.srv.Inject(pullGets, ghsim.Fault{Cut: true})
	refused(t, b.getPull(), "EOF")
}

func TestLostAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.openPull(t, "change")
	b.srv.Inject(ghsim.Match{Method: "POST", Path: "/repos/*/*/issues/*/comments"}, ghsim.Fault{Status: 504, After: true, Times: 1})
	_, _, err := b.client.Issues.CreateComment(b.ctx, "acme", "payments", 1, &github.IssueComment{Body: github.String("twice?")})
	refused(t, err, "504")
	if n := len(p.Comments()); n != 1 {
		t.Errorf("%d comments: the change must have happened", n)
	}
}

func TestHeldRequestsOrderARace(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.openPull(t, "change")
	hold := b.srv.Hold(pullGets)
	got := make(chan string)
	go func() {
		pr, _, err := b.client.PullRequests.Get(b.ctx, "acme", "payments", 1)
		if err != nil {
			t.Error(err)
		}
		got <- pr.GetHead().GetSHA()
	}()
	ok(t, hold.Reached(b.ctx, 1))
	after := b.push(t, "change", "more.txt", "x")
	hold.Release()
	if sha := <-got; sha != after || p.Info().HeadSHA != after {
		t.Errorf("the held request saw %s, want %s", sha, after)
	}
}

func TestDelay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.openPull(t, "change")
	b.srv.Delay(pullGets, 30*time.Millisecond)
	start := time.Now()
	ok(t, b.getPull())
	if took := time.Since(start); took < 30*time.Millisecond {
		t.Errorf("took %v", took)
	}
}

func TestWaitGivesUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, cancel := context.WithCancel(b.ctx)
	cancel()
	if err := b.srv.Wait(ctx, func() bool { return false }); err == nil {
		t.Error("Wait must end with its context")
	}
	ok(t, b.srv.Wait(ctx, func() bool { return true }))
}

func TestHTTPS(t *testing.T) {
	t.Parallel()
	certified := httptest.NewTLSServer(nil) // for its certificate, and a client that trusts it
	defer certified.Close()
	srv, err := ghsim.New(ghsim.Config{Dir: t.TempDir(), TLS: &tls.Config{Certificates: certified.TLS.Certificates}})
	ok(t, err)
	t.Cleanup(func() { ok(t, srv.Close()) })
	resp, err := certified.Client().Get(srv.URL() + "/api/v3/rate_limit")
	ok(t, err)
	ok(t, resp.Body.Close())
	if resp.StatusCode != http.StatusOK || resp.TLS == nil {
		t.Errorf("%s, TLS %v", resp.Status, resp.TLS)
	}
	if _, err := http.Get(srv.URL()); err == nil {
		t.Error("a client that doesn't know the certificate must not trust it")
	}
}

func TestEveryRequestIsWrittenDown(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "github")
	srv, err := ghsim.New(ghsim.Config{Dir: dir})
	ok(t, err)
	resp, err := http.Get(srv.URL() + "/api/v3/rate_limit?x=1")
	ok(t, err)
	ok(t, resp.Body.Close())
	log := srv.RequestsTo(ghsim.Match{Path: "/rate_limit"})
	if len(log) != 1 || log[0].Status != 200 || log[0].TokenKind != "anonymous" || log[0].Route != "GET /rate_limit" || log[0].RequestID == "" {
		t.Errorf("log: %+v", log)
	}
	ok(t, srv.Close())
	f, err := os.Open(filepath.Join(dir, "requests.jsonl"))
	ok(t, err)
	defer f.Close()
	lines := bufio.NewScanner(f)
	var entry ghsim.Exchange
	for lines.Scan() {
		ok(t, json.Unmarshal(lines.Bytes(), &entry))
	}
	if entry.Path != "/rate_limit?x=1" || entry.Method != "GET" || entry.Duration <= 0 {
		t.Errorf("file: %+v", entry)
	}
	if _, err := ghsim.New(ghsim.Config{Dir: dir}); err == nil {
		t.Error("a used directory must be refused")
	}
}

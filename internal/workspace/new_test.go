package workspace_test

import (
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tollgate/tollgate/internal/workspace"
)

func TestNewWantsAUsableGit(t *testing.T) {
	t.Parallel()
	fake := func(says string) string {
		path := filepath.Join(t.TempDir(), "git")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+says+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, test := range []struct{ name, git, refuse string }{
		{"new enough", fake("echo git version 2.38.0"), ""},
		{"a maker's own version", fake("echo 'git version 2.50.1 (Apple Git-155)'"), ""},
		{"the next major", fake("echo git version 3.0.0"), ""},
		{"too old", fake("echo git version 2.37.9"), "too old"},
		{"not a git", fake("echo hello"), "could not be read"},
		{"fails", fake("exit 1"), "does not run"},
		{"absent", filepath.Join(t.TempDir(), "git"), "was not found"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w, err := workspace.New(t.Context(), workspace.Config{Dir: t.TempDir(), Git: test.git})
			if test.refuse == "" {
				if err != nil {
					t.Fatal(err)
				}
				w.Close()
				return
			}
			wantFault(t, err, test.refuse)
		})
	}
	_, err := workspace.New(t.Context(), workspace.Config{Dir: t.TempDir(), Environ: []string{"PATH=" + t.TempDir()}})
	wantFault(t, err, "was not found")
	if _, err := workspace.New(t.Context(), workspace.Config{}); err == nil {
		t.Error("a workspace without a directory")
	}
}

// The server's own certificate authority and proxy hold for git.
func TestFetchThroughProxyWithPrivateAuthority(t *testing.T) {
	t.Parallel()
	r := newRemote(t)
	want := r.commit("refs/heads/main", "", map[string]file{"a": text("1")})
	server := httptest.NewTLSServer(r.srv.Config.Handler) // its certificate names example.com
	defer server.Close()
	authority := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(authority, block, 0o600); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var asked []string
	proxy := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		mu.Lock()
		asked = append(asked, req.Method+" "+req.Host+" "+req.Header.Get("Authorization"))
		mu.Unlock()
		tunnel(rw, server.Listener.Addr().String())
	}))
	defer proxy.Close()

	fetch := func(environ ...string) (workspace.Commits, error) {
		w := newWorkspace(t, func(c *workspace.Config) { c.Environ = append(c.Environ, environ...) })
		return w.Fetch(t.Context(), workspace.Fetch{RepoID: 1, URL: "https://example.com/source.git", Token: token, BaseRef: "main"})
	}
	got, err := fetch("HTTPS_PROXY="+proxy.URL, "SSL_CERT_FILE="+authority)
	if err != nil || got.Base != want {
		t.Fatalf("got %+v, %v; want %s", got, err, want)
	}
	mu.Lock()
	seen := slices.Clone(asked)
	mu.Unlock()
	for _, request := range seen {
		if request != "CONNECT example.com:443 " {
			t.Errorf("the proxy saw %q", request)
		}
	}
	_, err = fetch("https_proxy=" + proxy.URL)
	wantFault(t, err, "could not be reached")
}

// tunnel joins a CONNECT request to an address.
func tunnel(rw http.ResponseWriter, addr string) {
	upstream, err := net.Dial("tcp", addr)
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadGateway)
		return
	}
	defer upstream.Close()
	conn, buffered, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
	go func() { _, _ = io.Copy(upstream, buffered); _ = upstream.Close() }()
	_, _ = io.Copy(conn, upstream)
}

// Nothing of the server's environment but what is meant for git reaches it.
//
// Covers: T56
func TestGitSeesNothingElseOfTheServersEnvironment(t *testing.T) {
	t.Parallel()
	seen := filepath.Join(t.TempDir(), "seen")
	spy := script(t, "env >> '"+seen+"'")
	newPull(t, map[string]file{"a": text("1")}, map[string]file{"a": text("2")}, func(c *workspace.Config) {
		c.Git = spy
		c.Environ = append(c.Environ, "TOLLGATE_CANARY=secret-of-the-server", "GIT_SSH_COMMAND=secret-of-the-server", "GIT_TRACE=1",
			"HTTPS_PROXY=http://user:secret-of-the-server@127.0.0.1:1", "GIT_CONFIG_PARAMETERS='x.y=1'", "GIT_DIR=/nowhere")
	})
	log, err := os.ReadFile(seen)
	if err != nil || !strings.Contains(string(log), "GIT_CONFIG_NOSYSTEM=1") {
		t.Fatalf("the spy saw %q, %v", log, err)
	}
	for _, unwanted := range []string{"secret-of-the-server", "GIT_TRACE", "GIT_DIR=", "GIT_CONFIG_PARAMETERS='x"} {
		if strings.Contains(string(log), unwanted) {
			t.Errorf("git saw %q", unwanted)
		}
	}
}

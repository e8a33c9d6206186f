package workspace_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tollgate/tollgate/internal/workspace"
)

const token = "installation-token-for-tests"

// remote is a repository served over HTTP by git itself, behind the check of a token.
type remote struct {
	t    testing.TB
	dir  string
	srv  *httptest.Server
	hits atomic.Int64

	mu        sync.Mutex
	intercept func(http.ResponseWriter, *http.Request) bool
	mark      int
}

func newRemote(t testing.TB) *remote {
	t.Helper()
	r := &remote{t: t, dir: filepath.Join(t.TempDir(), "source.git")}
	r.git("init", "--quiet", "--bare", r.dir)
	execPath := strings.TrimSpace(r.git("--exec-path"))
	backend := &cgi.Handler{
		Path: filepath.Join(execPath, "git-http-backend"),
		Env: []string{"GIT_PROJECT_ROOT=" + filepath.Dir(r.dir), "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1",
			"GIT_CONFIG_COUNT=2", "GIT_CONFIG_KEY_0=uploadpack.allowAnySHA1InWant", "GIT_CONFIG_VALUE_0=true",
			"GIT_CONFIG_KEY_1=safe.directory", "GIT_CONFIG_VALUE_1=*"},
	}
	r.srv = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		r.hits.Add(1)
		r.mu.Lock()
		intercept := r.intercept
		r.mu.Unlock()
		if intercept != nil && intercept(rw, req) {
			return
		}
		if _, got, _ := req.BasicAuth(); got != token {
			rw.Header().Set("WWW-Authenticate", `Basic realm="GitHub"`)
			http.Error(rw, "no access", http.StatusUnauthorized)
			return
		}
		if p := req.Header.Get("Git-Protocol"); p != "" {
			h := *backend
			h.Env = append(h.Env[:len(h.Env):len(h.Env)], "GIT_PROTOCOL="+p)
			h.ServeHTTP(rw, req)
			return
		}
		backend.ServeHTTP(rw, req)
	}))
	t.Cleanup(r.srv.Close)
	return r
}

// answer lets a function answer in git's place whenever it returns true; nil ends that.
func (r *remote) answer(intercept func(http.ResponseWriter, *http.Request) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.intercept = intercept
}

func (r *remote) url() string { return r.srv.URL + "/source.git" }

// git runs git on the source repository, outside the code under test.
func (r *remote) git(args ...string) string {
	r.t.Helper()
	return runGit(r.t, r.dir, nil, args...)
}

func runGit(t testing.TB, dir string, stdin []byte, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	if _, err := os.Stat(dir); err == nil {
		cmd.Dir = dir
	}
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "HOME=/nonexistent"}
	cmd.Stdin = bytes.NewReader(stdin)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(out.String())
}

// file is an entry to commit. The zero mode is a regular file; a nil content deletes.
type file struct {
	mode    string
	content []byte
}

func text(s string) file { return file{content: []byte(s)} }
func link(s string) file { return file{mode: "120000", content: []byte(s)} }

// commit adds a commit on top of the given parent, or a root commit, and points ref at it.
func (r *remote) commit(ref, parent string, files map[string]file) string {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mark++
	var in bytes.Buffer
	fmt.Fprintf(&in, "commit refs/heads/__import%d\nmark :1\ncommitter T <t@example.com> %d +0000\ndata 0\n", r.mark, 1700000000+r.mark)
	if parent != "" {
		fmt.Fprintf(&in, "from %s\n", parent)
	}
	for path, f := range files { // deletions first: "D a" would take "a/b" along
		if f.content == nil {
			fmt.Fprintf(&in, "D %q\n", path)
		}
	}
	for path, f := range files {
		switch {
		case f.content == nil:
		case f.mode == "160000":
			fmt.Fprintf(&in, "M 160000 %s %q\n", f.content, path)
		default:
			mode := f.mode
			if mode == "" {
				mode = "100644"
			}
			fmt.Fprintf(&in, "M %s inline %q\ndata %d\n%s\n", mode, path, len(f.content), f.content)
		}
	}
	runGit(r.t, r.dir, in.Bytes(), "fast-import", "--quiet", "--force")
	temp := fmt.Sprintf("refs/heads/__import%d", r.mark)
	id := r.git("rev-parse", temp)
	r.git("update-ref", ref, id)
	r.git("update-ref", "-d", temp)
	return id
}

func newWorkspace(t testing.TB, change ...func(*workspace.Config)) *workspace.Workspace {
	t.Helper()
	cfg := workspace.Config{Dir: t.TempDir(), Environ: []string{"PATH=" + os.Getenv("PATH")}}
	for _, c := range change {
		c(&cfg)
	}
	w, err := workspace.New(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// pull is a remote with a base branch and one pull request, fetched.
type pull struct {
	*remote
	w    *workspace.Workspace
	base string
	head string
}

func (r *remote) fetch() workspace.Fetch {
	return workspace.Fetch{RepoID: 1, URL: r.url(), Token: token, Pull: 7, BaseRef: "main"}
}

func newPull(t testing.TB, base, head map[string]file, change ...func(*workspace.Config)) *pull {
	t.Helper()
	p := &pull{remote: newRemote(t), w: newWorkspace(t, change...)}
	p.base = p.commit("refs/heads/main", "", base)
	p.head = p.commit("refs/pull/7/head", p.base, head)
	got, err := p.w.Fetch(t.Context(), p.fetch())
	if err != nil {
		t.Fatal(err)
	}
	if got.Head != p.head || got.Base != p.base {
		t.Fatalf("fetched %+v, want head %s, base %s", got, p.head, p.base)
	}
	return p
}

// advance commits a file to the base branch and fetches it.
func (p *pull) advance(path, content string) string {
	p.t.Helper()
	p.base = p.commit("refs/heads/main", p.base, map[string]file{path: text(content)})
	if got, err := p.w.Fetch(p.t.Context(), p.fetch()); err != nil || got.Base != p.base {
		p.t.Fatalf("got %+v, %v; want base %s", got, err, p.base)
	}
	return p.base
}

// hostile commits a tree with one entry that git itself would not write.
func (r *remote) hostile(ref, modeAndName, id string) string {
	r.t.Helper()
	raw, err := hex.DecodeString(id)
	if err != nil {
		r.t.Fatal(err)
	}
	tree := runGit(r.t, r.dir, append([]byte(modeAndName+"\x00"), raw...), "hash-object", "-t", "tree", "-w", "--literally", "--stdin")
	commit := fmt.Sprintf("tree %s\nauthor T <t@example.com> 1 +0000\ncommitter T <t@example.com> 1 +0000\n\nhostile\n", tree)
	made := runGit(r.t, r.dir, []byte(commit), "hash-object", "-t", "commit", "-w", "--literally", "--stdin")
	r.git("update-ref", ref, made)
	return made
}

func basic(token string) string {
	return base64.StdEncoding.EncodeToString([]byte("x-access-token:" + token))
}

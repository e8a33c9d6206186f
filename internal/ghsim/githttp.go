package ghsim

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
)

// gitPath is the smart protocol over HTTP; the dumb one is not served.
var gitPath = regexp.MustCompile(`^/([^/]+)/([^/]+?)(?:\.git)?/(info/refs|git-upload-pack|git-receive-pack)$`)

// serveGit runs git's own server side once for each request.
func (s *Server) serveGit(w http.ResponseWriter, r *http.Request) {
	m := gitPath.FindStringSubmatch(r.URL.Path)
	service := m[3]
	if service == "info/refs" {
		service = r.URL.Query().Get("service")
	}
	if service != "git-upload-pack" && service != "git-receive-pack" {
		http.Error(w, "only the smart protocol is served", http.StatusForbidden)
		return
	}
	at, who, status := s.admitGit(r, m[1]+"/"+m[2], service == "git-receive-pack")
	if status != 0 {
		if status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="GitHub"`)
		}
		http.Error(w, http.StatusText(status), status)
		return
	}
	w.Header().Set("Cache-Control", "no-cache, max-age=0, must-revalidate")
	switch {
	case at.git.dir() == "":
		http.Error(w, "the repository lies in memory: git is not served", http.StatusNotImplemented)
	case m[3] == "info/refs":
		s.advertise(w, r, at, service)
	case r.Method != http.MethodPost:
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
	case service == "git-receive-pack":
		s.receive(w, r, at, who)
	default:
		w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
		s.rpc(w, r, at.git.dir(), service)
	}
}

// admitGit checks the credentials. A private repository asks for them; a wrong token, or one that
// doesn't cover the repository, finds nothing there.
func (s *Server) admitGit(r *http.Request, name string, write bool) (*repo, actor, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ex := exchangeOf(r)
	a, fault := s.authenticate(r)
	if fault != nil {
		return nil, a, http.StatusUnauthorized
	}
	ex.TokenKind = a.kind
	if a.user != nil {
		ex.Actor = a.user.login
	}
	at := s.repo(name)
	if at == nil {
		at = s.renamed(name)
	}
	need := "contents:read"
	if write {
		need = "contents:write"
	}
	switch {
	case a.kind == "anonymous" && (at == nil || at.private || write):
		return nil, a, http.StatusUnauthorized
	case at == nil || !a.sees(at):
		return nil, a, http.StatusNotFound
	case !a.may(at, need):
		return nil, a, http.StatusForbidden
	}
	return at, a, 0
}

func (s *Server) advertise(w http.ResponseWriter, r *http.Request, at *repo, service string) {
	out, err := s.gitServer(r, at.git.dir(), service, "--advertise-refs").Output()
	if err != nil {
		s.cfg.Logger.Error("advertise refs", "error", err)
		http.Error(w, "git failed", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", fmt.Sprintf("application/x-%s-advertisement", service))
	if !strings.Contains(r.Header.Get("Git-Protocol"), "version=2") || service == "git-receive-pack" {
		line := "# service=" + service + "\n"
		fmt.Fprintf(w, "%04x%s0000", len(line)+4, line)
	}
	_, _ = w.Write(out)
}

func (s *Server) gitServer(r *http.Request, dir string, service string, args ...string) *exec.Cmd {
	args = append([]string{strings.TrimPrefix(service, "git-"), "--stateless-rpc"}, append(args, dir)...)
	cmd := exec.CommandContext(r.Context(), "git", args...)
	cmd.Env = append(gitEnv(gitDir(dir))[1:], "GIT_PROTOCOL="+r.Header.Get("Git-Protocol"))
	return cmd
}

// rpc pipes one request through git.
func (s *Server) rpc(w http.ResponseWriter, r *http.Request, dir, service string) {
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		zr, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, "bad gzip", http.StatusBadRequest)
			return
		}
		body = zr
	}
	var errs bytes.Buffer
	cmd := s.gitServer(r, dir, service)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = body, w, &errs
	if err := cmd.Run(); err != nil && r.Context().Err() == nil {
		// upload-pack also ends badly when a client has what it wants and hangs up
		s.cfg.Logger.Debug("git server", "service", service, "error", err, "stderr", errs.String())
	}
}

// receive takes a push and then does what follows on each branch that has moved.
func (s *Server) receive(w http.ResponseWriter, r *http.Request, at *repo, who actor) {
	w.Header().Set("Content-Type", "application/x-git-receive-pack-result")
	s.mu.Lock()
	defer s.mu.Unlock()
	before, err := at.git.refs("refs/")
	if err != nil {
		http.Error(w, "git failed", http.StatusInternalServerError)
		return
	}
	s.rpc(w, r, at.git.dir(), "git-receive-pack")
	after, err := at.git.refs("refs/")
	if err != nil {
		s.cfg.Logger.Error("read refs after a push", "error", err)
		return
	}
	for name := range merged(before, after) {
		if before[name] == after[name] || strings.HasPrefix(name, "refs/pull/") {
			continue
		}
		if err := s.refChanged(at, who.user, name, before[name], after[name]); err != nil {
			s.cfg.Logger.Error("follow up a push", "ref", name, "error", err)
		}
	}
}

// merged is the union of two maps' keys.
func merged(a, b map[string]string) map[string]bool {
	keys := map[string]bool{}
	for k := range a {
		keys[k] = true
	}
	for k := range b {
		keys[k] = true
	}
	return keys
}

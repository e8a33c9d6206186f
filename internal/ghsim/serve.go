package ghsim

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// maxBody is more than any request of the API may have.
const maxBody = 32 << 20

// ServeHTTP answers everything: REST under /api/v3, git, and the web pages for people.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, isREST := strings.CutPrefix(r.URL.Path, "/api/v3")
	switch {
	case isREST && (path == "" || path[0] == '/'):
		r.URL.Path = path
		r.URL.RawPath = strings.TrimPrefix(r.URL.RawPath, "/api/v3")
		s.witnessed("rest", w, r, s.serveAPI)
	case r.URL.Path == "/login/oauth/access_token" && r.Method == http.MethodPost:
		s.witnessed("oauth", w, r, s.exchangeCode)
	case gitPath.MatchString(r.URL.Path):
		s.witnessed("git", w, r, s.serveGit)
	default:
		s.web.ServeHTTP(w, r)
	}
}

// witnessed serves a request through the faults and writes it down.
func (s *Server) witnessed(kind string, w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
	ex := &Exchange{
		Time: time.Now(), Kind: kind, Method: r.Method, Path: r.URL.RequestURI(), UserAgent: r.UserAgent(),
		RequestID: requestID(s.now()), Header: r.Header.Clone(), TokenKind: "anonymous",
	}
	r = withExchange(r, ex)
	rec := &recorder{ResponseWriter: w, keep: kind != "git"}
	rec.Header().Set("X-GitHub-Request-Id", ex.RequestID)
	rec.Header().Set("Date", s.now().Format(http.TimeFormat))
	defer s.record(ex, rec)
	if kind != "git" {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			return // the client broke off: status 0
		}
		ex.Body = body
	}
	fault := s.suffer(r, s.faults.pick(r.Method, ex.Path))
	if fault == nil {
		serve(rec, r)
		return
	}
	ex.Injected = true
	if fault.After {
		unheard := &recorder{ResponseWriter: &nowhere{header: http.Header{}}}
		serve(unheard, r)
	}
	if err := fault.answer(rec, r); errors.Is(err, errCut) {
		panic(http.ErrAbortHandler)
	}
}

func (s *Server) record(ex *Exchange, rec *recorder) {
	ex.Duration, ex.Status = time.Since(ex.Time), rec.status
	ex.AnswerHeader, ex.Answer = rec.Header().Clone(), rec.body.Bytes()
	if err := s.witness.add(ex, s.cfg.Observe); err != nil {
		s.cfg.Logger.Error("write the request log", "error", err)
	}
	s.signal()
}

// recorder remembers an answer on its way to the client.
type recorder struct {
	http.ResponseWriter
	keep   bool // the body, too
	status int
	body   bytes.Buffer
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
		r.ResponseWriter.WriteHeader(status)
	}
}

func (r *recorder) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	if r.keep {
		r.body.Write(p)
	}
	return r.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController flush.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// nowhere takes an answer that nobody hears.
type nowhere struct{ header http.Header }

func (n *nowhere) Header() http.Header         { return n.header }
func (n *nowhere) WriteHeader(int)             {}
func (n *nowhere) Write(p []byte) (int, error) { return len(p), nil }

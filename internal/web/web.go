// Package web is pages and live logs of runs and applies: it reads, never decides.
//
// People sign in with GitHub, and see what GitHub lets them read: anything else does not exist for them. Where
// nobody can sign in, pages are for programs on the same machine, unless the server's owner opens them to
// everyone; then what guards a page is its address, 128 random bits that only the checks of its pull request show.
// Nothing but a person's own session is changed by any request. Whatever a pull request may hold is text here:
// templates escape it, terminal escapes are stripped, and the content security policy allows no script but our
// own file.
package web

import (
	"context"
	"embed"
	"errors"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"time"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/redact"
	"github.com/tollgate/tollgate/internal/report"
)

// ErrNotFound is what a Source answers for an id or a project that does not exist.
var ErrNotFound = errors.New("not found")

// Source is where the pages get what they show.
type Source interface {
	// Runs returns the newest runs first, at most limit, of repositories for which within is true. Their plans
	// need no text.
	Runs(ctx context.Context, limit int, within func(change.Repo) (bool, error)) ([]Run, error)
	Run(ctx context.Context, id string) (Run, error)
	Execution(ctx context.Context, id string) (Execution, error)
	// RunLog returns the log of one project of a run.
	RunLog(ctx context.Context, id, project string) (Log, error)
	ExecutionLog(ctx context.Context, id string) (Log, error)
}

// Run is one attempt to plan one head commit.
type Run struct {
	ID      string
	Report  report.Pull
	Created time.Time
	Ended   time.Time // zero while it goes on
}

// Execution is one apply.
type Execution struct {
	ID      string
	RunID   string // of the run that made its plan, or empty
	Pull    change.Pull
	Report  report.Apply
	Created time.Time
	Ended   time.Time
}

// Log is a file that may still grow. Done is asked every livelog.Interval for every reader, so it
// has to answer from memory.
type Log struct {
	Repo change.Repo
	Path string
	// Sealed is the whole log once it has ended, or nil: then it is the file. Some logs have none.
	Sealed func() ([]byte, error)
	Gone   bool          // it was deleted because of its age
	Mask   *redact.Known // secrets that are not shown; their places stay
	Done   func() bool
}

// Deps is what the pages need.
type Deps struct {
	Source    Source
	Audience  Audience
	People    People // needed where they sign in
	PublicURL string // without a slash at the end
	Now       func() time.Time
	Log       *slog.Logger
}

//go:embed assets
var assets embed.FS

type server struct {
	Deps
	pages   map[string]*template.Template
	streams chan struct{} // one token for each open stream
	rights  rights
}

// Limits of what one server serves.
const (
	maxRuns    = 50
	maxStreams = 256
)

// Handler serves the pages, the logs and their assets.
func Handler(d Deps) http.Handler {
	s := &server{Deps: d, pages: parse(), streams: make(chan struct{}, maxStreams)}
	files, err := fs.Sub(assets, "assets")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.admit(s.index))
	mux.HandleFunc("GET /runs/{id}", s.admit(s.run))
	mux.HandleFunc("GET /runs/{id}/plan/{project}", s.admit(s.planText))
	mux.HandleFunc("GET /runs/{id}/log/{project}", s.admit(s.runLog))
	mux.HandleFunc("GET /runs/{id}/log/{project}/stream", s.admit(s.runStream))
	mux.HandleFunc("GET /executions/{id}", s.admit(s.execution))
	mux.HandleFunc("GET /executions/{id}/log", s.admit(s.executionLog))
	mux.HandleFunc("GET /executions/{id}/log/stream", s.admit(s.executionStream))
	mux.Handle("GET /assets/", cached(http.StripPrefix("/assets/", http.FileServerFS(files))))
	mux.HandleFunc("GET /signin", s.page(s.signIn))
	mux.HandleFunc("GET "+callbackPath, s.page(s.signedIn))
	mux.HandleFunc("POST /signout", s.admit(s.signOut))
	mux.HandleFunc("GET /signedout", s.page(s.signedOut))
	mux.HandleFunc("GET /", s.admit(func(http.ResponseWriter, *http.Request) error { return ErrNotFound }))
	return guarded(mux)
}

// guarded sets the headers that keep a page from doing anything but showing text.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer") // the address is the key
		h.Set("X-Robots-Tag", "noindex, nofollow")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func cached(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=600")
		next.ServeHTTP(w, r)
	})
}

// page turns the error of a handler into a page that says what is wrong. A handler returns an error
// only while it has written nothing.
func (s *server) page(handle func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := handle(w, r)
		switch {
		case err == nil, r.Context().Err() != nil:
		case errors.Is(err, ErrNotFound):
			s.sorry(w, r, http.StatusNotFound, fault.New("There is no such page.", "", "Follow the link in the check of the pull request."))
		case errors.Is(err, errBusy):
			w.Header().Set("Retry-After", "30")
			s.sorry(w, r, http.StatusServiceUnavailable, fault.New("Too many logs are being followed.", "", "Reload the page for its newest text."))
		case errors.Is(err, errAnonymous):
			s.toSignIn(w, r)
		case errors.Is(err, errStranger):
			s.sorry(w, r, http.StatusForbidden, fault.New("GitHub did not say who you are.", "It may have taken too long, or you began in another browser or at another address.", "Open "+s.PublicURL+" and sign in again."))
		case errors.Is(err, errClosed):
			s.sorry(w, r, http.StatusForbidden, fault.New("The pages are closed.", "Nobody can sign in, so Tollgate cannot tell who may read what.",
				"Whoever runs Tollgate sets --github-client-id and --github-client-secret-file."))
		case errors.Is(err, errUnsure):
			s.Log.WarnContext(r.Context(), "page not shown", "path", r.URL.Path, "error", err)
			s.sorry(w, r, http.StatusServiceUnavailable, fault.New("GitHub does not say what you may read.", "Until it does, Tollgate shows nothing.", "Try again in a moment."))
		default:
			s.Log.ErrorContext(r.Context(), "page failed", "path", r.URL.Path, "error", err)
			s.sorry(w, r, http.StatusInternalServerError, fault.Public(err))
		}
	}
}

func (s *server) sorry(w http.ResponseWriter, r *http.Request, status int, f *fault.Error) {
	s.render(w, r, status, "error.html", view{Title: http.StatusText(status), Body: f})
}

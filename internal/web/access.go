package web

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/tollgate/tollgate/internal/change"
)

// Audience is who may see the pages.
type Audience int

// The audiences. The zero value is the one that shows nothing.
const (
	Nobody      Audience = iota
	ThisMachine          // programs on the server's own machine
	Everyone             // who reaches the server: a run's address is then all that guards it
	SignedIn             // people whom GitHub lets read the repository
)

// recheck is for how long an answer of GitHub about what a person may read is believed, and how often
// the reader of a stream is looked at again.
const recheck = time.Minute

var (
	errAnonymous = errors.New("nobody is signed in")
	errClosed    = errors.New("the pages are closed")
	errUnsure    = errors.New("GitHub does not say what the person may read")
)

// viewer is who asks for a page.
type viewer struct {
	person change.User // zero where nobody signs in
	token  string      // of the session
}

type viewerKey struct{}

func viewerOf(r *http.Request) viewer {
	v, _ := r.Context().Value(viewerKey{}).(viewer)
	return v
}

// admit lets only those at a page who may see pages at all. What is on it is for the source to say.
func (s *server) admit(handle func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := s.viewer(r)
		if err != nil {
			s.page(func(http.ResponseWriter, *http.Request) error { return err })(w, r)
			return
		}
		s.page(handle)(w, r.WithContext(context.WithValue(r.Context(), viewerKey{}, v)))
	}
}

func (s *server) viewer(r *http.Request) (viewer, error) {
	switch {
	case s.Audience == Everyone, s.Audience == ThisMachine && fromHere(r):
		return viewer{}, nil
	case s.Audience == SignedIn:
		return s.session(r)
	}
	return viewer{}, errClosed
}

// fromHere reports whether a request was made on this machine: by a program that knows it as such, not through a
// proxy on it, and not by a browser that was told another name of it.
func fromHere(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if r.Header.Get(name) != "" {
			return false
		}
	}
	return isHere(r.RemoteAddr) && isHere(r.Host)
}

func isHere(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// source is what the viewer of a page may see of the Source.
func (s *server) source(r *http.Request) Source {
	v := viewerOf(r)
	return permitted{s.Source, func(ctx context.Context, repo change.Repo) error { return s.maySee(ctx, v, repo) }}
}

// maySee returns ErrNotFound for what is in a repository that the viewer may not read.
func (s *server) maySee(ctx context.Context, v viewer, repo change.Repo) error {
	if s.Audience == Everyone || s.Audience == ThisMachine {
		return nil
	}
	if s.Audience != SignedIn || v.person.ID == 0 {
		return ErrNotFound
	}
	allowed, err := s.rights.ask(v.person.ID, repo.ID, s.Now(), func() (bool, error) { return s.People.MayRead(ctx, v.person, repo) })
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", errUnsure, err)
	case !allowed:
		return ErrNotFound
	}
	return nil
}

// still is asked before each part of a stream whether its reader may go on.
func (s *server) still(r *http.Request, repo change.Repo) func() error {
	looked := s.Now()
	return func() error {
		if s.Now().Sub(looked) < recheck {
			return nil
		}
		v, err := s.viewer(r)
		if err != nil {
			return err
		}
		looked = s.Now()
		return s.maySee(r.Context(), v, repo)
	}
}

// permitted is a Source in which nothing exists but what see returns nil for.
type permitted struct {
	Source
	see func(ctx context.Context, repo change.Repo) error
}

func (p permitted) Runs(ctx context.Context, limit int, within func(change.Repo) (bool, error)) ([]Run, error) {
	return p.Source.Runs(ctx, limit, func(repo change.Repo) (bool, error) {
		err := p.see(ctx, repo)
		if errors.Is(err, ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		return within(repo)
	})
}

func (p permitted) Run(ctx context.Context, id string) (Run, error) {
	run, err := p.Source.Run(ctx, id)
	return shown(ctx, p, run, run.Report.Pull.Repo, err)
}

func (p permitted) Execution(ctx context.Context, id string) (Execution, error) {
	x, err := p.Source.Execution(ctx, id)
	return shown(ctx, p, x, x.Pull.Repo, err)
}

func (p permitted) RunLog(ctx context.Context, id, project string) (Log, error) {
	log, err := p.Source.RunLog(ctx, id, project)
	return shown(ctx, p, log, log.Repo, err)
}

func (p permitted) ExecutionLog(ctx context.Context, id string) (Log, error) {
	log, err := p.Source.ExecutionLog(ctx, id)
	return shown(ctx, p, log, log.Repo, err)
}

// shown is what was found, if the viewer may see it.
func shown[T any](ctx context.Context, p permitted, found T, repo change.Repo, err error) (T, error) {
	if err == nil {
		err = p.see(ctx, repo)
	}
	if err != nil {
		var nothing T
		return nothing, err
	}
	return found, nil
}

// rights remembers for a while what people may read. Only answers are kept, never errors.
type rights struct {
	mu    sync.Mutex
	known map[right]answer
}

type right struct{ person, repo int64 }

type answer struct {
	allowed bool
	until   time.Time
}

const maxRights = 10_000

func (k *rights) ask(person, repo int64, now time.Time, ask func() (bool, error)) (bool, error) {
	key := right{person, repo}
	k.mu.Lock()
	a, ok := k.known[key]
	k.mu.Unlock()
	if ok && now.Before(a.until) {
		return a.allowed, nil
	}
	allowed, err := ask()
	if err != nil {
		return false, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known == nil || len(k.known) >= maxRights {
		k.known = map[right]answer{}
	}
	k.known[key] = answer{allowed, now.Add(recheck)}
	return allowed, nil
}

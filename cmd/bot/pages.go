package main

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/engine"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/redact"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/web"
)

// pages lets the web pages read what the engine knows.
type pages struct {
	engine *engine.Engine
	known  *redact.Known
}

func (p pages) Runs(ctx context.Context, limit int, within func(change.Repo) (bool, error)) ([]web.Run, error) {
	found, err := p.engine.Runs(ctx, limit, within)
	var out []web.Run
	for _, r := range found {
		out = append(out, toRun(r))
	}
	return out, err
}

func (p pages) Run(ctx context.Context, id string) (web.Run, error) {
	r, err := p.engine.Run(ctx, id)
	return toRun(r), missing(err)
}

func toRun(r engine.RunReport) web.Run {
	return web.Run{ID: r.Run.ID, Report: r.Report, Created: r.Run.CreatedAt, Ended: r.Run.FinishedAt}
}

func (p pages) Execution(ctx context.Context, id string) (web.Execution, error) {
	x, report, pull, runID, err := p.engine.Execution(ctx, id)
	return web.Execution{ID: id, RunID: runID, Pull: pull, Report: report, Created: x.CreatedAt, Ended: x.FinishedAt}, missing(err)
}

func (p pages) RunLog(ctx context.Context, id, project string) (web.Log, error) {
	r, err := p.engine.Run(ctx, id)
	if err != nil {
		return web.Log{}, missing(err)
	}
	for _, plan := range r.Plans {
		if plan.Project.Name == project {
			done := plan.State.Done() || r.Run.State.Done()
			return web.Log{Repo: r.Report.Pull.Repo, Gone: !plan.ExpiredAt.IsZero(), Mask: p.known, Sealed: func() ([]byte, error) { return p.engine.PlanLog(r.Run, plan) }, Path: p.engine.LogPath(plan.ID), Done: func() bool { return done || !p.engine.Planning(id) }}, nil
		}
	}
	return web.Log{}, web.ErrNotFound
}

func (p pages) ExecutionLog(ctx context.Context, id string) (web.Log, error) {
	x, _, pull, _, err := p.engine.Execution(ctx, id)
	if err != nil {
		return web.Log{}, missing(err)
	}
	done := x.State.Done()
	return web.Log{Repo: pull.Repo, Gone: !x.ExpiredAt.IsZero(), Mask: p.known, Sealed: func() ([]byte, error) { return p.engine.ApplyLog(x) }, Path: p.engine.OutputPath(id), Done: func() bool { return done || !p.engine.Applying(id) }}, nil
}

func missing(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return web.ErrNotFound
	}
	return err
}

// audience decides who may see the pages: people who sign in, where that is set up.
func (s *settings) audience() web.Audience {
	switch {
	case s.ClientID != "":
		return web.SignedIn
	case s.WebAccess == "open":
		return web.Everyone
	case onlyHere(s.PublicURL):
		return web.ThisMachine
	}
	return web.Nobody
}

// people lets the pages know who looks at them; nobody signs in without the App's client id.
func (srv *server) people(s settings, app *github.App) (web.People, error) {
	if s.ClientID == "" {
		return web.People{}, nil
	}
	secret, err := readSecret(srv.log, s.ClientSecretFile, "App's client secret")
	if err != nil {
		return web.People{}, err
	}
	text := strings.TrimSpace(string(secret))
	if text == "" {
		return web.People{}, fault.New("The file with the App's client secret is empty.", "Nobody could sign in.", "Generate a client secret on the App's settings page.")
	}
	srv.known.Add(redact.New(text))
	return web.People{SignIn: app.SignIn(s.ClientID, redact.New(text)), Sessions: sessions{srv.store}, MayRead: func(ctx context.Context, person change.User, repo change.Repo) (bool, error) {
		p, err := app.Permission(ctx, repo, person)
		return err == nil && (p == "read" || p == "write" || p == "admin"), err
	}}, nil
}

// sessions keeps in the database who has signed in.
type sessions struct{ db *store.DB }

func (s sessions) Begin(ctx context.Context, digest string, person change.User, until time.Time) error {
	return s.db.Write(ctx, func(tx *store.Tx) error { return tx.BeginSession(ctx, digest, person, until) })
}

func (s sessions) Session(ctx context.Context, digest string) (change.User, error) {
	who, err := store.Read(ctx, s.db, func(tx *store.Tx) (change.User, error) { return tx.Session(ctx, digest) })
	return who, missing(err)
}

func (s sessions) End(ctx context.Context, digest string) error {
	return s.db.Write(ctx, func(tx *store.Tx) error { return tx.EndSession(ctx, digest) })
}

// onlyHere reports whether an address leads nowhere but to this machine.
func onlyHere(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

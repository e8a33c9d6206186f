package main

import (
	"context"
	"errors"
	"net"
	"net/url"

	"github.com/tollgate/tollgate/internal/engine"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/web"
)

// pages lets the web pages read what the engine knows.
type pages struct{ engine *engine.Engine }

func (p pages) Runs(ctx context.Context, limit int) ([]web.Run, error) {
	found, err := p.engine.Runs(ctx, limit)
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
			return web.Log{Path: p.engine.LogPath(plan.ID), Done: func() bool { return done || !p.engine.Planning(id) }}, nil
		}
	}
	return web.Log{}, web.ErrNotFound
}

func (p pages) ExecutionLog(ctx context.Context, id string) (web.Log, error) {
	x, _, _, _, err := p.engine.Execution(ctx, id)
	if err != nil {
		return web.Log{}, missing(err)
	}
	done := x.State.Done()
	return web.Log{Path: p.engine.OutputPath(id), Done: func() bool { return done || !p.engine.Applying(id) }}, nil
}

func missing(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return web.ErrNotFound
	}
	return err
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

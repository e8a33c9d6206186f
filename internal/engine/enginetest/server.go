package enginetest

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/tollgate/tollgate/internal/artifact"
	"github.com/tollgate/tollgate/internal/audit"
	"github.com/tollgate/tollgate/internal/engine"
	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/queue"
	"github.com/tollgate/tollgate/internal/redact"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/webhook"
)

const databaseFile = "tollgate.db"

// Server is one life of a server.
type Server struct {
	Engine *engine.Engine
	DB     *store.DB

	world     *World
	handler   http.Handler
	artifacts *artifact.Store
	dead      atomic.Bool
	gone      chan struct{} // closed when nothing that it does has an effect any more
	passed    map[engine.Point]int
}

// crash says where a server is to end.
type crash struct {
	at   engine.Point
	left int // how often the point is passed before
}

// emptyDatabase is a database file with every table, so that worlds need not make them.
func emptyDatabase() (_ []byte, err error) {
	dir, err := os.MkdirTemp("", "tollgate-enginetest-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, databaseFile)
	db, err := store.Open(context.Background(), file)
	if err != nil {
		return nil, err
	}
	if _, err := queue.Open(context.Background(), db, queue.Config{ID: "none", Logger: discard}); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if err := db.Close(); err != nil { // which empties the write-ahead log
		return nil, err
	}
	return os.ReadFile(file)
}

// Boot starts a server on the files that the last one left.
func (w *World) Boot() error {
	ctx := context.Background()
	s := &Server{world: w, gone: make(chan struct{}), passed: map[engine.Point]int{}}
	app, err := github.New(github.Config{URL: w.GitHub.URL(), AppID: w.App.ID, Key: redact.New(w.App.PrivateKey), Transport: &wire{w.GitHub, s.alive, w.reads}})
	if err != nil {
		return err
	}
	if s.DB, err = store.Open(ctx, filepath.Join(w.dir, databaseFile)); err != nil {
		return err
	}
	// A kill leaves what the kernel has, and nothing here plays the loss of power.
	if _, err = s.DB.Pool().ExecContext(ctx, `pragma synchronous = off`); err != nil {
		return errors.Join(err, s.DB.Close())
	}
	if s.artifacts, err = artifact.Open(filepath.Join(w.dir, "artifacts"), filepath.Join(w.dir, "artifact.key")); err != nil {
		return errors.Join(err, s.DB.Close())
	}
	s.Engine, err = engine.New(ctx, engine.Config{Store: s.DB, GitHub: app, Git: Git{w.GitHub, w.Cloud, w.reads}, Terraform: Terraform{w.Cloud, s.alive},
		Artifacts: s.artifacts, Judge: w.parts.judge, Runner: Runner{w.Cloud, s.alive}, Policies: w.parts.policies, Pace: engine.Usual(),
		DataDir: w.dir, ServerID: "server", PublicURL: "https://tollgate.example", Workers: 2, Reconcile: w.Reconcile, Limits: engine.Limits{Keep: w.Keep}, Maker: w.Maker,
		Held: func(context.Context) (*audit.Flaw, error) { return w.Flaw, nil }, Unmanaged: w.alarm("unmanaged"), Missed: w.alarm("missed"), At: s.at, Bubble: true, Logger: w.logger})
	if err != nil {
		return errors.Join(err, s.DB.Close())
	}
	s.handler, err = webhook.New(webhook.Config{Secret: redact.New(secret), Logger: w.logger, Accept: s.Engine.Accept})
	if err != nil {
		return errors.Join(err, s.DB.Close())
	}
	w.mu.Lock()
	w.server = s
	w.mu.Unlock()
	return s.Engine.Start(ctx)
}

func (s *Server) alive() bool { return !s.dead.Load() }

// stop ends the server in order.
func (s *Server) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return errors.Join(s.Engine.Stop(ctx), s.DB.Close(), s.artifacts.Close())
}

// Stop ends the server in good order, as an update does.
func (w *World) Stop() error {
	s := w.Server()
	err := s.stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.server = nil
	return err
}

// CrashAt ends the server when it passes the point for the nth time from now on.
func (w *World) CrashAt(p engine.Point, nth int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.crash = &crash{p, nth}
}

// Spare takes back what CrashAt has asked for, if it has not happened.
func (w *World) Spare() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.crash = nil
}

// Crash ends the server now, and returns when it has no effect any more.
func (w *World) Crash() {
	if s := w.Server(); s != nil {
		s.die()
	}
}

// at is called by the engine on its way.
func (s *Server) at(p engine.Point) {
	w := s.world
	w.mu.Lock()
	hit := w.server == s && w.crash != nil && w.crash.at == p
	if hit {
		w.crash.left--
		hit = w.crash.left <= 0
	}
	if hit {
		w.crash = nil
	}
	passed := w.points[p]
	w.mu.Unlock()
	if passed != nil {
		passed()
	}
	switch {
	case !hit:
	case p == engine.AcceptBeforeCommit: // in a transaction, which has to end first
		go s.die()
		panic(http.ErrAbortHandler)
	case p == engine.AcceptAfterCommit:
		s.die()
		panic(http.ErrAbortHandler)
	default:
		s.die()
	}
}

// die ends the server as kill -9 does, as far as the world can tell: the store's only connection is
// taken away, so that what is not committed never will be; then nothing that it says or starts
// arrives; and only then its goroutines run into errors.
func (s *Server) die() {
	s.world.mu.Lock()
	if s.world.server != s {
		s.world.mu.Unlock()
		<-s.gone
		return
	}
	s.world.server = nil
	s.world.mu.Unlock()
	conn, err := s.DB.Pool().Conn(context.Background())
	s.dead.Store(true)
	_ = s.DB.Close()
	if err == nil {
		_ = conn.Close()
	}
	close(s.gone)
	s.world.Cloud.wake()
	go func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.Engine.Stop(ctx)
		_ = s.artifacts.Close()
	}()
}

// LockDatabase has another program hold the database for writing, until release is called.
func (w *World) LockDatabase() (release func(), err error) {
	db, err := store.Open(context.Background(), filepath.Join(w.dir, databaseFile))
	if err != nil {
		return nil, err
	}
	held, over, done := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		done <- db.Write(context.Background(), func(*store.Tx) error { close(held); <-over; return nil })
	}()
	<-held
	return func() {
		close(over)
		w.must(errors.Join(<-done, db.Close()))
	}, nil
}

package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"

	"github.com/tollgate/tollgate/internal/artifact"
	"github.com/tollgate/tollgate/internal/audit"
	"github.com/tollgate/tollgate/internal/engine"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/gate"
	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/judge"
	"github.com/tollgate/tollgate/internal/redact"
	"github.com/tollgate/tollgate/internal/runner"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/terraform"
	"github.com/tollgate/tollgate/internal/web"
	"github.com/tollgate/tollgate/internal/webhook"
	"github.com/tollgate/tollgate/internal/workspace"
)

// stopPatience is how long a stopping server lets decisions finish.
const stopPatience = 20 * time.Second

func serveCommand() *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server: webhooks, workers and pages",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.load(cmd.Flags(), os.Getenv); err != nil {
				return err
			}
			known := redact.Knowing(redact.Environment(os.Environ())...)
			log := slog.New(slog.NewJSONHandler(known.Writer(os.Stderr), nil))
			srv, err := newServer(cmd.Context(), s, os.Environ(), known, log)
			if err != nil {
				return err
			}
			return srv.run(cmd.Context())
		},
	}
	s.register(cmd.Flags())
	return cmd
}

// server is the running product with its HTTP face.
type server struct {
	log      *slog.Logger
	known    *redact.Known // the secrets that leave in no form
	lock     *os.File
	store    *store.DB
	anchor   *audit.Anchor
	started  map[string]any // what the ledger says of this server
	git      *workspace.Workspace
	engine   *engine.Engine
	metrics  *prometheus.Registry
	ended    *prometheus.CounterVec
	missed   *prometheus.CounterVec
	alien    *prometheus.CounterVec
	listener net.Listener
	http     *http.Server
}

// newServer checks all settings by using them; nothing runs before run.
func newServer(ctx context.Context, s settings, environ []string, known *redact.Known, log *slog.Logger) (_ *server, err error) {
	srv := &server{log: log, known: known, metrics: prometheus.NewRegistry(),
		ended:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tollgate_ended_total", Help: "Runs and applies that have ended."}, []string{"what", "state"}),
		missed: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tollgate_webhooks_missed_total", Help: "Events that no webhook told of; Tollgate found them by comparing with GitHub."}, []string{"event"})}
	srv.alien = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tollgate_unmanaged_changes_total", Help: "Changes of base branches that are not applied: pushed without a pull request, or merged without what an apply needs."}, []string{"how"})
	srv.metrics.MustRegister(srv.ended, srv.missed, srv.alien, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	defer func() {
		if err != nil {
			srv.close()
		}
	}()
	secret, err := readSecret(log, s.SecretFile, "webhook secret")
	if err != nil {
		return nil, err
	}
	// Before anything is made: the receiver refuses a secret that could be guessed.
	if _, err := webhook.New(webhook.Config{Secret: redact.New(strings.TrimSpace(string(secret))), Logger: log, Accept: refuseAll}); err != nil {
		return nil, err
	}
	known.Add(redact.New(secret))
	app, err := newApp(s, known, log)
	if err != nil {
		return nil, err
	}
	excess := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "tollgate_app_excess_permissions", Help: "Permissions of the App that Tollgate does not need."}, []string{"permission"})
	srv.metrics.MustRegister(excess)
	if err := checkPermissions(ctx, app, excess, log); err != nil {
		return nil, err
	}
	if s.DataDir, err = filepath.Abs(s.DataDir); err != nil {
		return nil, fmt.Errorf("find the data directory: %w", err)
	}
	if err := os.MkdirAll(s.DataDir, 0o700); err != nil {
		return nil, fault.Wrap(err, "The data directory cannot be created.", "Tollgate keeps everything there.", "Check --data-dir and its permissions.")
	}
	if srv.lock, err = lockDir(ctx, s.DataDir); err != nil {
		return nil, err
	}
	if srv.store, err = store.Open(ctx, s.path(s.Database, "tollgate.db")); err != nil {
		return nil, err
	}
	if srv.anchor, err = audit.Hold(ctx, srv.store, s.DataDir); err != nil {
		return nil, err
	}
	srv.store.GoBy(app.Skew)
	if srv.listener, err = net.Listen("tcp", s.Listen); err != nil {
		return nil, fault.Wrap(err, "The address "+s.Listen+" cannot be listened on.", "GitHub could not deliver webhooks.", "Choose another with --listen, or end the program that uses it.")
	}
	if s.PublicURL == "" {
		s.PublicURL = "http://" + srv.listener.Addr().String()
	}
	if srv.engine, err = srv.newEngine(ctx, s, environ, app); err != nil {
		return nil, err
	}
	handler, err := srv.handler(strings.TrimSpace(string(secret)), s, app)
	if err != nil {
		return nil, err
	}
	// Open log streams would keep Shutdown waiting, so they end with this context.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	srv.http = &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		BaseContext: func(net.Listener) context.Context { return life },
		ErrorLog:    slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	srv.http.RegisterOnShutdown(end)
	return srv, nil
}

// refuseAll accepts nothing: it stands in where only the settings of the receiver are checked.
func refuseAll(context.Context, string, string, github.Event) (bool, error) {
	return false, errors.New("the server is not running yet")
}

func newApp(s settings, known *redact.Known, log *slog.Logger) (*github.App, error) {
	key, err := readSecret(log, s.AppKeyFile, "App's private key")
	if err != nil {
		return nil, err
	}
	known.Add(redact.New(key))
	return github.New(github.Config{URL: s.GitHubURL, AppID: s.AppID, Key: redact.New(key), Known: known})
}

func (srv *server) newEngine(ctx context.Context, s settings, environ []string, app *github.App) (*engine.Engine, error) {
	name, fsys, err := basePolicies(s)
	if err != nil {
		return nil, err
	}
	rules, err := gate.Read(name, fsys)
	if err != nil {
		return nil, err
	}
	judge, err := newJudge(judge.Config{Time: time.Duration(s.PolicyTimeout) * time.Second, Memory: int64(s.PolicyMemory) << 20})
	if err != nil {
		return nil, err
	}
	if err := judgesAll(ctx, judge, rules); err != nil {
		return nil, err
	}
	srv.log.Info("policies", "set", name, "digest", rules.Digest)
	if srv.git, err = workspace.New(ctx, workspace.Config{Dir: filepath.Join(s.DataDir, "mirrors"), Environ: environ}); err != nil {
		return nil, err
	}
	walls, err := confinement(ctx, s, environ, srv.log)
	if err != nil {
		return nil, err
	}
	tf, err := newTerraform(ctx, s, environ, walls, srv.log)
	if err != nil {
		return nil, err
	}
	minter, err := credentials(ctx, s, srv.log)
	if err != nil {
		return nil, err
	}
	artifacts, err := artifact.Open(s.path(s.Artifacts, "artifacts"), s.path(s.ArtifactKey, "artifact.key"))
	if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(s.path(s.ArtifactKey, "artifact.key"))
	if err != nil {
		return nil, fmt.Errorf("read artifact key: %w", err)
	}
	srv.known.Add(redact.New(key))
	maker := "tollgate " + productVersion() + ", terraform " + tf.Version()
	srv.started = map[string]any{"maker": maker, "policies": rules.Digest, "policy_set": name, "github": s.GitHubURL, "app": s.AppID, "workers": s.Workers, "listen": s.Listen}
	id, err := keyFile(filepath.Join(s.DataDir, "server-id"))
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	return engine.New(ctx, engine.Config{Store: srv.store, GitHub: app, Git: srv.git, Terraform: tf, Artifacts: artifacts, Judge: judge, Runner: runner.Processes{Program: self}, Policies: rules, Pace: engine.Usual(),
		Credentials: minter, Known: srv.known, Limits: engine.Limits{PlanAge: s.PlanMaxAge, Apply: s.ApplyLimit, Grace: s.ApplyGrace, Keep: s.LogRetention},
		Held: srv.anchor.Held, Maker: maker,
		DataDir: s.DataDir, ServerID: hex.EncodeToString(id[:8]), PublicURL: strings.TrimRight(s.PublicURL, "/"), Workers: s.Workers,
		Environment: terraformVariables(environ), At: failpoint[engine.Point](s.DataDir),
		Reconcile: s.Reconcile, Unmanaged: func(how string) { srv.alien.WithLabelValues(how).Inc() }, Missed: func(kind string) { srv.missed.WithLabelValues(kind).Inc() },
		Ended: func(what, state string) { srv.ended.WithLabelValues(what, state).Inc() }, Logger: srv.log})
}

// judgesAll makes sure that the policies which no repository can remove judge plans and applies.
func judgesAll(ctx context.Context, j *judge.Judge, set *gate.Source) error {
	judges, err := j.Check(ctx, []*gate.Source{set})
	if err != nil {
		return err
	}
	if !judges[0].Plans || !judges[0].Applies {
		return fault.New("The policies of the server have no rules for plans, or none for applies.", "A repository without policies of its own would not be judged.",
			"Give --organisation-policies only files that are to replace built-in ones.")
	}
	return nil
}

// lockPatience is how long a new server waits for the old one to leave the data directory.
const lockPatience = 30 * time.Second

// lockDir makes sure that one server at a time works in a data directory. The lock ends with the
// process, however that ends.
func lockDir(ctx context.Context, dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fault.Wrap(err, "The data directory cannot be written.", "Tollgate keeps everything there.", "Check --data-dir and its permissions.")
	}
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	for {
		if err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
			return f, nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return nil, errors.Join(fault.Wrap(err, "Another server works in the data directory "+dir+".", "Two would undo each other's work.", "End the other one, or give this one a directory of its own."), f.Close())
		}
	}
}

// keyFile returns 32 random bytes that stay the same for a data directory.
func keyFile(file string) ([]byte, error) {
	b, err := os.ReadFile(file)
	if err == nil && len(b) == 32 {
		return b, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read key: %w", err)
	}
	if err == nil {
		return nil, fault.New("The key file "+file+" is damaged.", "Effects of older plans could not be compared with new ones.", "Restore it from a backup, or remove it; open pull requests are then planned again.")
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	return key, os.WriteFile(file, key, 0o600)
}

// newTerraform finds Terraform and the provider mirrors of this machine.
func newTerraform(ctx context.Context, s settings, environ []string, walls *terraform.Confinement, log *slog.Logger) (*terraform.Terraform, error) {
	binary, mirrors, err := findTerraform(ctx, s, environ)
	if err != nil {
		return nil, err
	}
	key, err := keyFile(filepath.Join(s.DataDir, "effect.key"))
	if err != nil {
		return nil, err
	}
	env := terraformEnviron(environ, s.TerraformVars)
	if s.PlanRole != "" && s.ApplyRole != "" {
		env = withoutOwn(env)
	}
	return terraform.New(ctx, terraform.Config{Binary: binary, Mirrors: mirrors, Dir: filepath.Join(s.DataDir, "terraform"), Environ: env, Key: key, Confinement: walls,
		Trace: func(p terraform.Process) {
			log.Info("terraform", "command", p.Argv[1], "start", p.Start.UTC(), "duration", p.Duration.Seconds(), "cpu", p.CPU.Seconds(), "exit", p.Exit)
		}})
}

// handler is the HTTP face.
func (srv *server) handler(secret string, s settings, app *github.App) (http.Handler, error) {
	hooks, err := webhook.New(webhook.Config{Secret: redact.New(secret), Logger: srv.log, Accept: srv.engine.Accept, Noticed: srv.recordDeliveries})
	if err != nil {
		return nil, err
	}
	people, err := srv.people(s, app)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/github", hooks)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := srv.store.Ping(r.Context()); err != nil {
			http.Error(w, "the database cannot be written", http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ready\n"))
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(srv.metrics, promhttp.HandlerOpts{}))
	mux.Handle("/", web.Handler(web.Deps{Source: pages{srv.engine, srv.known}, Audience: s.audience(), People: people, PublicURL: strings.TrimRight(s.PublicURL, "/"), Now: time.Now, Log: srv.log}))
	return mux, nil
}

// run serves until ctx ends, then stops in an orderly way.
func (srv *server) run(ctx context.Context) error {
	defer srv.close()
	if err := srv.recordStart(ctx); err != nil {
		return err
	}
	if err := srv.engine.Start(ctx); err != nil {
		return err
	}
	srv.log.Info("serving", "address", srv.listener.Addr().String())
	failed := make(chan error, 1)
	go func() { failed <- srv.http.Serve(srv.listener) }()
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
		srv.log.Info("stopping; applies that are running go on and are taken over by the next start")
	}
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPatience)
	defer cancel()
	err = errors.Join(err, srv.http.Shutdown(stopCtx), srv.engine.Stop(stopCtx))
	return errors.Join(err, srv.engine.Record(context.WithoutCancel(ctx), audit.ActionServerStop, audit.Succeeded, "stop", srv.started))
}

// recordStart writes into the ledger that it is written from here on, by what, and whether the
// database is the one that it was.
func (srv *server) recordStart(ctx context.Context) error {
	if err := srv.engine.Record(ctx, audit.ActionServerStart, audit.Succeeded, "start", srv.started); err != nil {
		return fault.Wrap(err, "The ledger cannot be written.", "Nothing is decided without a ledger.", "`bot audit verify` says whether it was changed. Check that the disk has room.")
	}
	if err := srv.engine.RecordSchema(ctx); err != nil {
		return err
	}
	flaw, err := srv.anchor.Held(ctx)
	if err != nil || flaw == nil {
		return err
	}
	srv.log.Error("NOTHING IS APPLIED until a person has looked: "+flaw.Text, "fix", "look at what was applied since, then run bot audit acknowledge")
	return srv.engine.Record(ctx, audit.ActionRestored, audit.Refused, "start", map[string]any{"found": flaw.Text, "row": flaw.Seq})
}

// recordDeliveries writes a row about webhooks that led to nothing.
func (srv *server) recordDeliveries(ctx context.Context, n webhook.Notice) error {
	outcome, subject := audit.Refused, map[string]any{"count": n.Count, "reason": n.Reason}
	if n.Again {
		outcome, subject["delivery"] = audit.Succeeded, n.Delivery
	}
	return srv.engine.Record(ctx, audit.ActionWebhook, outcome, "address "+n.From, subject)
}

// productVersion identifies this build, as far as Go's build information does.
func productVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	version := info.Main.Version
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			version += " " + s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			version += " modified"
		}
	}
	return version
}

func (srv *server) close() {
	if srv.git != nil {
		srv.git.Close()
	}
	if srv.store != nil {
		_ = srv.store.Close()
	}
	if srv.listener != nil {
		_ = srv.listener.Close()
	}
	if srv.lock != nil {
		_ = srv.lock.Close()
	}
}

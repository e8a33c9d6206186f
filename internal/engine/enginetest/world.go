// Package enginetest is a world in which tests drive the real engine: store, queue, ledger, webhook
// receiver and GitHub client are the product's own and speak to the stand-in for GitHub; git,
// Terraform, the judging process and the runner's processes are played in memory, and what applies
// do is counted outside of the product.
//
// A World lives in a bubble of testing/synctest: time passes only while everybody waits, so hours of
// retries cost nothing and "settled" is exact. A server can be ended at every point of the work and
// started again on the same files.
package enginetest

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/tollgate/tollgate/internal/audit"
	"github.com/tollgate/tollgate/internal/engine"
	"github.com/tollgate/tollgate/internal/gate"
	"github.com/tollgate/tollgate/internal/ghsim"
	"github.com/tollgate/tollgate/internal/store"
)

// The people of the world. Ada proposes; she, Grace and Linus may write, Eve may read.
const (
	Ada   = "ada"
	Grace = "grace"
	Linus = "linus"
	Eve   = "eve"
)

// Project is the one project of the repository, and Dir its folder.
const (
	Project = "app"
	Dir     = "app"
)

const secret = "not a secret: webhooks of a stand-in, 32 bytes"

// Settings is .tollgate.yaml with a number of approvals.
func Settings(approvals int) string {
	return fmt.Sprintf("version: 1\nprojects:\n  - name: %s\n    dir: %s\napply:\n  on: [merge, comment]\n  approvals: %d\n", Project, Dir, approvals)
}

// Resource is the file of one resource, which Terraform is to give a value, and its path. A value that
// begins with "forbidden" is refused by policy.
func Resource(name, value string) (file, content string) {
	return Dir + "/" + name + ".tf", fmt.Sprintf("resource \"terraform_data\" %q {\n  input = %q\n}\n", name, value)
}

// World is GitHub, the cloud, and at most one server.
type World struct {
	GitHub *ghsim.Server
	Repo   *ghsim.Repo
	App    ghsim.App
	Cloud  *Cloud
	Hooks  *Hooks

	// Of servers that are started from now on.
	Reconcile time.Duration // 0: never
	Keep      time.Duration // how long they keep logs and plans; 0: their default
	Maker     string        // of plans
	Flaw      *audit.Flaw   // that the ledger has, or nil

	t      testing.TB
	parts  *Parts
	dir    string
	logger *slog.Logger

	mu     sync.Mutex
	server *Server
	crash  *crash // that waits for its point
	shown  []Shown
	read   func(what string)
	points map[engine.Point]func()
	alarms map[string]int
}

// Shown is a plan's check as people could see it from a moment on.
type Shown struct {
	At         time.Time
	Head       string
	Conclusion string
	Text       string
}

// Parts are made once for all worlds, outside of their bubbles.
type Parts struct {
	key      *rsa.PrivateKey
	policies *gate.Source
	database []byte // with its schema
	judge    *Judge
}

// NewParts makes them.
func NewParts() (*Parts, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	p := &Parts{key: key, judge: &Judge{}}
	if p.policies, err = builtIn(); err != nil {
		return nil, err
	}
	if _, err := p.judge.compiled(p.policies); err != nil {
		return nil, err
	}
	p.database, err = emptyDatabase()
	return p, err
}

// New makes a world and starts its server. It must be called in a bubble; when the test ends, the
// server stops in order.
func New(t testing.TB, parts *Parts, dir string, logger *slog.Logger) *World {
	t.Helper()
	w := &World{t: t, parts: parts, dir: dir, logger: logger, Cloud: newCloud()}
	w.Hooks = &Hooks{world: w}
	w.must(os.WriteFile(filepath.Join(dir, databaseFile), parts.database, 0o600))
	var err error
	w.GitHub, err = ghsim.New(ghsim.Config{Memory: true, Hooks: w.Hooks, Observe: w.observe, RateLimit: 1 << 30, Logger: logger})
	w.must(err)
	for _, login := range []string{Ada, Grace, Linus, Eve} {
		_, err := w.GitHub.CreateUser(ghsim.User{Login: login, Email: login + "@example.com"})
		w.must(err)
	}
	first, content := Resource("first", "1")
	w.Repo, err = w.GitHub.CreateRepo(ghsim.NewRepo{Owner: "acme", Name: "payments", Private: true, Author: Ada,
		Roles: map[string]string{Ada: "write", Grace: "write", Linus: "write", Eve: "read"},
		Files: fstest.MapFS{".tollgate.yaml": {Data: []byte(Settings(1))}, first: {Data: []byte(content)}}})
	w.must(err)
	w.App, err = w.GitHub.CreateApp(ghsim.NewApp{Slug: "tollgate", Owner: "acme", Key: parts.key,
		WebhookURL: "http://tollgate.example/webhooks/github", WebhookSecret: secret,
		Permissions: map[string]string{"checks": "write", "contents": "read", "deployments": "write", "issues": "write", "pull_requests": "write"},
		Events:      []string{"pull_request", "pull_request_review", "issue_comment", "check_run", "check_suite", "push", "merge_group"}})
	w.must(err)
	_, err = w.GitHub.Install(w.App.ID, "acme")
	w.must(err)
	w.must(w.Boot())
	return w
}

var discard = slog.New(slog.DiscardHandler)

func (w *World) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// Server is the one that runs, or nil.
func (w *World) Server() *Server {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.server
}

// OnRead has f called before each question of the server is answered, to GitHub ("/repos/acme/payments/pulls/1") or
// to git ("acme/payments: fetch"). Questions are asked side by side, so f is called by several goroutines.
func (w *World) OnRead(f func(what string)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.read = f
}

// OnPoint has f called when a server passes the point, which waits for it; nil takes it back.
func (w *World) OnPoint(p engine.Point, f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.points == nil {
		w.points = map[engine.Point]func(){}
	}
	w.points[p] = f
}

// alarm counts what a server tells its metrics.
func (w *World) alarm(kind string) func(string) {
	return func(what string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.alarms == nil {
			w.alarms = map[string]int{}
		}
		w.alarms[kind+" "+what]++
	}
}

// Alarms is how often servers have told of a change that is not managed ("unmanaged push"), or of an event that no
// webhook told of ("missed pull_request").
func (w *World) Alarms(what string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.alarms[what]
}

func (w *World) reads(what string) {
	w.mu.Lock()
	f := w.read
	w.mu.Unlock()
	if f != nil {
		f(what)
	}
}

// Close stops the server, if one runs, and GitHub.
func (w *World) Close() error {
	var errs []error
	if s := w.Server(); s != nil {
		errs = append(errs, s.stop())
	}
	errs = append(errs, w.GitHub.Close())
	time.Sleep(time.Hour) // servers that have died give up one after the other
	return errors.Join(errs...)
}

// Let waits for d, in which the others do what they do.
func (w *World) Let(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// Settle lets time pass until the server has nothing left to do: no task, no run, no apply. It
// returns an error if that is not so after limit.
func (w *World) Settle(limit time.Duration) error {
	for end := time.Now().Add(limit); ; {
		synctest.Wait()
		s := w.Server()
		if s == nil {
			return errors.New("no server runs")
		}
		left, err := s.unfinished()
		if err != nil || left == "" {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("not settled after %s: %s", limit, left)
		}
		time.Sleep(time.Second)
	}
}

// unfinished says what the server still has to do.
func (s *Server) unfinished() (string, error) {
	return store.Read(context.Background(), s.DB, func(tx *store.Tx) (string, error) {
		var left []string
		rows, err := tx.SQL.Query(`select state, json(args), coalesce(json(errors), '') from river_job where state not in ('completed', 'cancelled', 'discarded')
			union all select 'untold', cast(number as text), '' from untold`)
		if err != nil {
			return "", err
		}
		defer rows.Close()
		for rows.Next() {
			var state, args, errs string
			if err := rows.Scan(&state, &args, &errs); err != nil {
				return "", err
			}
			left = append(left, "task "+state+" "+args+" "+errs)
		}
		runs, err := tx.ActiveRuns(context.Background())
		if err != nil {
			return "", err
		}
		for _, r := range runs {
			left = append(left, fmt.Sprintf("run %s of #%d %s", r.ID, r.Number, r.State))
		}
		execs, err := tx.ActiveExecutions(context.Background())
		for _, x := range execs {
			left = append(left, fmt.Sprintf("execution %s of #%d %s", x.ID, x.Number, x.State))
		}
		return strings.Join(left, "; "), err
	})
}

// observe keeps what people can see of plans.
func (w *World) observe(ex ghsim.Exchange) {
	if ex.Status >= 300 || ex.Method == "GET" || !strings.Contains(ex.Path, "/check-runs") {
		return
	}
	var run struct {
		Name, Conclusion string
		HeadSHA          string `json:"head_sha"`
		Output           struct{ Title, Summary string }
	}
	if json.Unmarshal(ex.Answer, &run) != nil || run.Name != "tollgate/plan: "+Project || run.Conclusion == "" {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shown = append(w.shown, Shown{time.Now(), run.HeadSHA, run.Conclusion, run.Output.Title + run.Output.Summary})
}

// Shown are all plans that people could see so far, in order.
func (w *World) Shown() []Shown {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.shown)
}

// Redeliver has GitHub send again what did not arrive, as the App's owner can ask for.
func (w *World) Redeliver() error {
	arrived := map[string]bool{}
	all := w.GitHub.Deliveries(w.App.ID)
	for _, d := range all {
		arrived[d.GUID] = arrived[d.GUID] || d.StatusCode == http.StatusAccepted
	}
	for _, d := range all {
		if !arrived[d.GUID] && d.Done() {
			arrived[d.GUID] = true
			if err := w.GitHub.Redeliver(w.App.ID, d.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// Runs are those of a pull request, newest first.
func (w *World) Runs(number int) ([]store.Run, error) {
	return store.Read(context.Background(), w.Server().DB, func(tx *store.Tx) ([]store.Run, error) {
		return tx.RunsOf(context.Background(), w.Repo.ID(), number, 100)
	})
}

// Plans are the files of plans that lie in clear in the server's directory.
func (w *World) Plans() []string {
	files, _ := filepath.Glob(filepath.Join(w.dir, "executions", "*", "plan.tfplan")) // the pattern is right
	return files
}

// Executions are those of a pull request, oldest first.
func (w *World) Executions(number int) ([]store.Execution, error) {
	return store.Read(context.Background(), w.Server().DB, func(tx *store.Tx) ([]store.Execution, error) {
		return tx.ExecutionsOf(context.Background(), w.Repo.ID(), number)
	})
}

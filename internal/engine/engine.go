// Package engine carries out what package change decides: it reads the facts from GitHub, makes
// and judges plans, applies what was approved and reports, one file per concern.
//
// Events are hints. Each leads to the same question, what GitHub says now and what the store says
// was done, and the answer to it; so an event may come twice or late, and the next event makes up
// for one that is lost. All decisions about one pull request are taken one after the
// other; plans and applies run beside them.
package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/tollgate/tollgate/internal/artifact"
	"github.com/tollgate/tollgate/internal/audit"
	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/gate"
	"github.com/tollgate/tollgate/internal/github"
	"github.com/tollgate/tollgate/internal/judge"
	"github.com/tollgate/tollgate/internal/queue"
	"github.com/tollgate/tollgate/internal/redact"
	"github.com/tollgate/tollgate/internal/runner"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/terraform"
	"github.com/tollgate/tollgate/internal/workspace"
)

// Git is what the engine needs of package workspace.
type Git interface {
	Fetch(context.Context, workspace.Fetch) (workspace.Commits, error)
	Merge(ctx context.Context, repoID int64, base, head string) (workspace.Merge, error)
	Tree(ctx context.Context, repoID int64, commit string) (string, error)
	FirstParent(ctx context.Context, repoID int64, commit string) (string, error)
	IsAncestor(ctx context.Context, repoID int64, ancestor, commit string) (bool, error)
	ChangedFiles(ctx context.Context, repoID int64, before, after string) ([]string, error)
	ReadFile(ctx context.Context, repoID int64, commit, file string, limit int64) ([]byte, error)
	FS(ctx context.Context, repoID int64, commit, dir string, want func(file string) bool) (fs.FS, error)
	List(ctx context.Context, repoID int64, tree string) ([]workspace.Entry, error)
	Checkout(ctx context.Context, repoID int64, tree, dir string) (workspace.Checkout, error)
}

// Terraform is what the engine needs of package terraform.
type Terraform interface {
	Plan(context.Context, terraform.Module, terraform.PlanTo) (*terraform.Plan, error)
	ApplyCommand(ctx context.Context, m terraform.Module, planFile string, log io.Writer) (terraform.Command, error)
}

// Judge is what the engine needs of package judge.
type Judge interface {
	PrepareSources(context.Context, []*gate.Source) (judge.PendingSources, error)
	Prepare(context.Context, []*gate.Source) (judge.Pending, error)
	Plan(context.Context, []*gate.Source, io.Reader) (gate.Result, error)
	Apply(context.Context, []*gate.Source, gate.ApplyInput) (gate.Decision, error)
	Check(context.Context, []*gate.Source) ([]judge.Judges, error)
	Test(context.Context, *gate.Source) (gate.TestResult, error)
}

// Runner carries out applies, each at most once: package runner, with a process for each.
type Runner interface {
	Start(dir string, spec runner.Spec) error
	Seal(dir string) (runner.Status, error)
	Watch(ctx context.Context, dir string) (runner.Status, error)
}

// Pace says how long the engine waits for what.
type Pace struct {
	SettleWindow  time.Duration   // a push that follows another within it waits
	SettlePause   time.Duration   // until none has come for so long
	Lag           []time.Duration // when GitHub's answers that lag behind its webhooks are asked for again
	ApplyPoll     time.Duration   // while a plan or another project's apply is under way
	BusyPoll      time.Duration   // while another pull request's apply holds the state
	FollowPause   time.Duration   // between attempts to follow an apply when database or disk fail
	ReportPause   time.Duration   // before a report that GitHub did not take is repeated
	ApplyPatience time.Duration   // how long a request for an apply stays valid
}

// Usual is the pace of a server.
func Usual() Pace {
	return Pace{
		SettleWindow: 5 * time.Second, SettlePause: 3 * time.Second,
		Lag:       []time.Duration{2 * time.Second, 10 * time.Second, time.Minute},
		ApplyPoll: 500 * time.Millisecond, BusyPoll: 15 * time.Second,
		FollowPause: 5 * time.Second, ReportPause: time.Second, ApplyPatience: 2 * time.Hour,
	}
}

// Limits say how long an apply may take, how old what it rests on may be, and how long it is kept. Zero is the default.
type Limits struct {
	PlanAge time.Duration // an older plan is made again before it is applied: a day
	Apply   time.Duration // ends an apply that hangs; providers' own time-outs are far shorter: 6 hours
	Grace   time.Duration // for the resources under way when an apply is asked to stop: 30 minutes
	Keep    time.Duration // how long logs and plans are kept: 400 days
}

func (l Limits) withDefaults() Limits {
	return Limits{PlanAge: cmp.Or(l.PlanAge, 24*time.Hour), Apply: cmp.Or(l.Apply, 6*time.Hour), Grace: cmp.Or(l.Grace, 30*time.Minute), Keep: cmp.Or(l.Keep, 400*24*time.Hour)}
}

// Config is what the engine works with. Every part is required unless it says otherwise.
type Config struct {
	Store     *store.DB
	GitHub    *github.App
	Git       Git
	Terraform Terraform
	Artifacts *artifact.Store
	Judge     Judge
	Runner    Runner
	Policies  *gate.Source // those that no repository can remove
	Pace      Pace
	Limits    Limits
	// Credentials are those of plans and applies; nil: they use the server's.
	Credentials Credentials

	// Known are the secrets that are shown nowhere; those that are minted are added to it. Nil: none.
	Known *redact.Known

	// Held says why nothing may be applied because of the ledger's state, or nil; or it is nil.
	Held  func(context.Context) (*audit.Flaw, error)
	Maker string // of plans: the versions of the product and of Terraform; a plan of another is made again

	DataDir     string        // logs, workspaces and executions lie below it
	ServerID    string        // stable across restarts of this server
	PublicURL   string        // links in checks start with it
	Workers     int           // plans at once; 0 takes events but leaves the work to other servers
	Reconcile   time.Duration // between two comparisons with GitHub; 0: never
	Environment Environment
	Now         func() time.Time         // the clock that requests and plans age by; time.Now if nil
	Ended       func(what, state string) // told of each run and each apply that ends, for metrics; or nil
	Unmanaged   func(how string)         // told of each change of a base branch that is not applied, for metrics; or nil
	Missed      func(kind string)        // told of each event that no webhook told of, for metrics; or nil
	At          func(Point)              // told where the work is, so that tests can end it there; or nil
	Bubble      bool                     // it runs in a bubble of testing/synctest: see queue.Config
	Logger      *slog.Logger
}

// Point is a place in the work at which a crash must lose nothing and repeat nothing.
type Point string

// The points, in the order in which a change passes them.
const (
	AcceptBeforeCommit Point = "accept.before-commit" // a webhook's task is about to be committed
	AcceptAfterCommit  Point = "accept.after-commit"  // it is committed, and not yet acknowledged
	TaskBegins         Point = "task.begins"          // a task was taken from the queue
	PlanMade           Point = "plan.made"            // Terraform has planned, and the policies have judged; nothing is recorded
	RunEnded           Point = "run.ended"            // the store knows the verdict, GitHub does not
	ClaimBefore        Point = "claim.before"         // everything is laid out, nothing claimed
	ClaimAfter         Point = "claim.after"          // the plan is consumed, nothing started
	StartAfter         Point = "start.after"          // the runner's process was started
	EndBefore          Point = "end.before"           // the apply has ended, the store does not know
	EndAfter           Point = "end.after"            // the store knows, GitHub does not
	ReportAfter        Point = "report.after"         // GitHub was told, the store does not know that it was
)

// Engine is the running product without its HTTP face.
type Engine struct {
	cfg   Config
	queue *queue.Queue
	boot  string // this process, unlike ServerID

	unasked   *turns // of runs that nobody asked for, which may be many at once
	preparing *turns // of runs that are being prepared
	slots     *turns // of plans
	previews  *turns // of pull requests whose policies are tried

	decisions keyed  // one decision at a time for each pull request
	branches  keyed  // one look at a time at each branch
	walks     keyed  // and one at its history
	tellers   *turns // of pull requests that GitHub is told about

	mu       sync.Mutex
	telling  map[pullKey]chan struct{}          // whom to tell of news of a pull request; see outbox.go
	active   map[string]context.CancelCauseFunc // runs of this process by id
	nowhere  map[string]time.Time               // commits by when they were first seen without a pull request
	applying map[string]bool                    // executions that this process follows
	policies map[policyKey]policies             // of commits that were judged by lately
	owners   map[string][]gate.Owners           // of changes that were looked at lately

	compared compared // what the reconciler remembers

	asking singleflight.Group     // questions to the apply gate for people to look at
	asked  map[string]shownAnswer // and its answers

	life context.Context // ends when the engine stops
	stop context.CancelFunc
	wg   sync.WaitGroup
}

// The tasks in the queue.
const (
	taskEvent  = "event"
	taskApply  = "apply"
	taskBranch = "branch"
	taskState  = "state"
	// taskResolved follows up on an execution that a person has resolved, here or on the command line.
	taskResolved = "resolved"
)

// New prepares an engine. It does nothing before Start.
func New(ctx context.Context, cfg Config) (*Engine, error) {
	if cfg.Ended == nil {
		cfg.Ended = func(string, string) {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Limits = cfg.Limits.withDefaults()
	if cfg.Unmanaged == nil {
		cfg.Unmanaged = func(string) {}
	}
	if cfg.Missed == nil {
		cfg.Missed = func(string) {}
	}
	if cfg.At == nil {
		cfg.At = func(Point) {}
	}
	e := &Engine{
		cfg: cfg, boot: store.NewID(),
		unasked: newTurns(max(cfg.Workers, 1)), preparing: newTurns(2 * max(cfg.Workers, 1)), slots: newTurns(max(cfg.Workers, 1)), previews: newTurns(1),
		tellers: newTurns(tellersAtOnce), telling: map[pullKey]chan struct{}{},
		active: map[string]context.CancelCauseFunc{}, applying: map[string]bool{}, nowhere: map[string]time.Time{}, policies: map[policyKey]policies{}, owners: map[string][]gate.Owners{}, asked: map[string]shownAnswer{},
	}
	e.life, e.stop = context.WithCancel(context.WithoutCancel(ctx))
	workers := 0
	if cfg.Workers > 0 {
		workers = 64 // tasks decide and report, and wait for each other; what is heavy has slots of its own
	}
	var err error
	e.queue, err = queue.Open(ctx, cfg.Store, queue.Config{ID: cfg.ServerID, Workers: workers, Handle: e.do, Logger: cfg.Logger, Bubble: cfg.Bubble})
	return e, err
}

// Start adopts what an earlier process left unfinished and begins to work.
func (e *Engine) Start(ctx context.Context) error {
	if e.cfg.Workers > 0 {
		if err := e.adopt(ctx); err != nil {
			return err
		}
		e.wg.Go(e.expireForever)
		if e.cfg.Reconcile > 0 {
			e.wg.Go(e.reconcileForever)
		}
	}
	return e.queue.Start(ctx)
}

// Stop ends plans and waits for what is being decided until ctx ends. Applies go on in their own
// processes and are adopted by the next start.
func (e *Engine) Stop(ctx context.Context) error {
	err := e.queue.Stop(ctx)
	e.stop()
	done := make(chan struct{})
	go func() { e.wg.Wait(); close(done) }()
	select {
	case <-done:
		return err
	case <-ctx.Done():
		return errors.Join(err, fmt.Errorf("stop: %w", ctx.Err()))
	}
}

// adopt takes over the runs and executions of an earlier process of this server.
func (e *Engine) adopt(ctx context.Context) error {
	if err := os.RemoveAll(filepath.Join(e.cfg.DataDir, "work")); err != nil {
		return fmt.Errorf("clear the workspaces of an earlier process: %w", err)
	}
	if err := e.sweep(ctx); err != nil {
		return err
	}
	if err := e.sweepLogs(ctx); err != nil {
		return err
	}
	if err := e.rediscover(ctx); err != nil {
		return err
	}
	if err := e.eraseDiscarded(ctx); err != nil {
		return err
	}
	type left struct {
		runs   []store.Run
		of     map[string]tenant
		execs  []store.Execution
		frozen []store.Execution
	}
	l, err := store.Read(ctx, e.cfg.Store, func(tx *store.Tx) (l left, err error) {
		if l.runs, err = tx.ActiveRuns(ctx); err != nil {
			return l, err
		}
		l.of = map[string]tenant{}
		for _, r := range l.runs {
			p, err := tx.Pull(ctx, r.RepoID, r.Number)
			if err != nil {
				return l, err
			}
			l.of[r.ID] = tenantOf(p.Repo)
		}
		if l.execs, err = tx.ActiveExecutions(ctx); err != nil {
			return l, err
		}
		l.frozen, err = tx.FrozenExecutions(ctx)
		return l, err
	})
	if err != nil {
		return fmt.Errorf("read unfinished work: %w", err)
	}
	if err := e.tellUnfinished(ctx); err != nil {
		return err
	}
	for _, x := range l.execs {
		e.cfg.Logger.Info("adopting an apply", "execution", x.ID, "project", x.Project.Name)
		e.watch(x)
	}
	for _, x := range l.frozen {
		e.gather(x)
	}
	for _, r := range l.runs {
		// A plan changes nothing, so it is simply made again.
		e.cfg.Logger.Info("starting an interrupted plan again", "run", r.ID)
		e.begin(r, l.of[r.ID], 0)
	}
	return nil
}

// Accept commits one webhook delivery and the task that it leads to, in one transaction. It
// reports false for a repetition, of which nothing is kept.
func (e *Engine) Accept(ctx context.Context, deliveryID, meaning string, ev github.Event) (fresh bool, err error) {
	err = e.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		fresh, err = tx.AddDelivery(ctx, deliveryID, meaning, string(ev.Kind))
		if err != nil || !fresh {
			return err
		}
		err = e.queue.Put(ctx, tx, taskEvent, ev, time.Time{})
		e.cfg.At(AcceptBeforeCommit)
		return err
	})
	e.cfg.At(AcceptAfterCommit)
	return fresh, err
}

// mendAttempts take about two minutes.
const mendAttempts = 8

// mayMend knows refusals of GitHub that often pass: what a webhook tells of may appear within
// seconds, and a key or a permission may just be being changed.
func mayMend(err error) bool {
	for _, e := range []error{github.ErrNotFound, github.ErrForbidden, github.ErrUnauthorized, github.ErrRejected, github.ErrIncomplete} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// do is the queue's handler. Only what another try may mend is tried again.
func (e *Engine) do(ctx context.Context, t queue.Task) error {
	err := e.survive(func() error { return e.dispatch(ctx, t) })
	var flt *fault.Error
	switch {
	case errors.Is(err, errPanic) && t.Attempt < maxPanics:
		return err
	case errors.Is(err, errPanic):
		return queue.Permanent(errors.Join(err, e.survive(func() error { return e.quarantine(ctx, t, err) })))
	case err == nil, unreachable(err):
		return err
	case mayMend(err) && t.Attempt < mendAttempts:
		return err
	case errors.As(err, &flt):
		e.cfg.Logger.Warn("task ends without effect", "task", t.Name, "error", err)
		return queue.Permanent(err)
	}
	return err
}

func (e *Engine) dispatch(ctx context.Context, t queue.Task) error {
	e.cfg.At(TaskBegins)
	switch t.Name {
	case taskEvent:
		return decoded(ctx, t, e.event)
	case taskApply:
		return decoded(ctx, t, e.applyStep)
	case taskBranch:
		return decoded(ctx, t, e.settleBranch)
	case taskState:
		return decoded(ctx, t, e.stateMoved)
	case taskResolved:
		return decoded(ctx, t, e.resolved)
	}
	return queue.Permanent(fmt.Errorf("unknown task %q", t.Name))
}

// decoded calls f with the task's body.
func decoded[T any](ctx context.Context, t queue.Task, f func(context.Context, T) error) error {
	var body T
	if err := json.Unmarshal(t.Body, &body); err != nil {
		return queue.Permanent(fmt.Errorf("decode task %s: %w", t.Name, err))
	}
	return f(ctx, body)
}

// put adds a task in a transaction of its own.
func (e *Engine) put(ctx context.Context, name string, body any, at time.Time) error {
	return e.cfg.Store.Write(ctx, func(tx *store.Tx) error { return e.queue.Put(ctx, tx, name, body, at) })
}

// pullKey identifies a pull request.
type pullKey struct {
	Repo   int64 `json:"repo"`
	Number int   `json:"number"`
}

func keyOf(p change.Pull) pullKey { return pullKey{p.Repo.ID, p.Number} }

// keyed is a lock per key, such as a pull request. The map grows with the keys seen: a few bytes each.
// Whoever holds it may wait for GitHub, so it is a channel: for those behind a mutex, the time in a
// bubble of testing/synctest would stand still.
type keyed struct{ m sync.Map }

func (k *keyed) lock(key any) (unlock func()) {
	v, _ := k.m.LoadOrStore(key, make(chan struct{}, 1))
	held := v.(chan struct{})
	held <- struct{}{}
	return func() { <-held }
}

// LogPath is the file that Terraform's output of a plan is written to.
func (e *Engine) LogPath(planID string) string {
	return filepath.Join(e.cfg.DataDir, "logs", planID+".log")
}

// Planning reports whether this process works on the run.
func (e *Engine) Planning(runID string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.active[runID] != nil
}

// Applying reports whether this process follows the execution.
func (e *Engine) Applying(id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.applying[id]
}

// ExecutionDir is the directory in which an execution leaves its traces.
func (e *Engine) ExecutionDir(id string) string {
	return filepath.Join(e.cfg.DataDir, "executions", id)
}

// url is a link to one of our pages, or empty if no public address is configured.
func (e *Engine) url(path string) string {
	if e.cfg.PublicURL == "" {
		return ""
	}
	return e.cfg.PublicURL + path
}

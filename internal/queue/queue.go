// Package queue runs durable tasks: a task put into a transaction runs after its commit, again
// after a crash, and again with growing pauses until it succeeds or says that it never can.
//
// It is River on the store's own database, so that a task and the rows that it concerns are
// committed together. River does not run one task after the other for a key: who needs that, locks.
package queue

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"

	"github.com/tollgate/tollgate/internal/store"
)

const (
	// A day of one try a minute: as long as an outage of GitHub that still deserves patience.
	maxAttempts = 24 * 60
	maxPause    = time.Minute
	maxPanics   = 3
	// Tasks only decide and report; plans and applies run outside the queue.
	taskTimeout = 10 * time.Minute
	// River's defaults (100 ms, 1 s) make the wait for a free worker the largest part of the answer.
	fetchCooldown = 5 * time.Millisecond
	fetchPoll     = 200 * time.Millisecond
)

// Task is a unit of durable work.
type Task struct {
	Name string          `json:"name"`
	Body json.RawMessage `json:"body"`
	// Attempt counts from 1 when the task is done.
	Attempt int `json:"-"`
}

// Kind names all our tasks for River; Name tells them apart.
func (Task) Kind() string { return "task" }

// Handler does one task. An error makes it run again later, unless it is Permanent.
type Handler func(ctx context.Context, t Task) error

// Permanent marks an error that another try cannot mend.
func Permanent(err error) error { return river.JobCancel(err) }

// Config says how tasks are run.
type Config struct {
	ID      string // stable across restarts of the same server, different between servers
	Workers int    // tasks at once; 0 only puts
	Handle  Handler
	Logger  *slog.Logger
	// Bubble is for tests in a bubble of testing/synctest. Tasks are due by its clock instead of the
	// database's, which knows nothing of the time in there; and since there nobody waits for long,
	// tasks are looked for seldom.
	Bubble bool
}

// Queue puts and runs tasks.
type Queue struct {
	cfg    Config
	db     *store.DB
	client *river.Client[*sql.Tx]
}

// Open prepares the queue's tables in the store. Start runs tasks.
func Open(ctx context.Context, db *store.DB, cfg Config) (*Queue, error) {
	driver := riversqlite.New(db.Pool())
	// River reports every poll at info level; only what needs a person is worth a line.
	logger := slog.New(atLeast{cfg.Logger.Handler(), slog.LevelWarn})
	m, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: logger})
	if err != nil {
		return nil, fmt.Errorf("prepare the queue's tables: %w", err)
	}
	if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return nil, fmt.Errorf("prepare the queue's tables: %w", err)
	}
	rc := &river.Config{
		ID: cfg.ID, Logger: logger, MaxAttempts: maxAttempts, JobTimeout: taskTimeout,
		FetchCooldown: fetchCooldown, FetchPollInterval: fetchPoll,
		RetryPolicy: retry{}, ErrorHandler: errorLog{cfg.Logger},
	}
	if cfg.Workers > 0 {
		rc.Queues = map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: cfg.Workers}}
		rc.Workers = river.NewWorkers()
		river.AddWorker(rc.Workers, &worker{handle: cfg.Handle})
	}
	if cfg.Bubble {
		rc.Test.Time, rc.PollOnly, rc.FetchPollInterval = ownClock{}, true, 2*time.Second
	}
	client, err := river.NewClient(driver, rc)
	if err != nil {
		return nil, fmt.Errorf("configure the queue: %w", err)
	}
	return &Queue{cfg: cfg, db: db, client: client}, nil
}

// Put adds a task to the caller's transaction. A zero time means at once.
func (q *Queue) Put(ctx context.Context, tx *store.Tx, name string, body any, at time.Time) error {
	b, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode task: %w", err)
	}
	if _, err := q.client.InsertTx(ctx, tx.SQL, Task{Name: name, Body: b}, &river.InsertOpts{ScheduledAt: at}); err != nil {
		return fmt.Errorf("put task: %w", err)
	}
	return nil
}

// Start takes back the tasks that this server was working on when it died, and begins to work.
func (q *Queue) Start(ctx context.Context) error {
	if q.cfg.Workers == 0 {
		return nil
	}
	// River would rescue them only after an hour. The id is this server's own, so no other works on them.
	err := q.db.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.SQL.ExecContext(ctx, `update river_job set state = 'available', scheduled_at = ?
			where state = 'running' and json_extract(json(attempted_by), '$[#-1]') = ?`, tx.Now.Format("2006-01-02 15:04:05.000"), q.cfg.ID)
		return err
	})
	if err != nil {
		return fmt.Errorf("take back unfinished tasks: %w", err)
	}
	// The server's context must not cancel running tasks: Stop lets them finish.
	return q.client.Start(context.WithoutCancel(ctx))
}

// Stop lets running tasks finish until ctx ends, then cancels them; they run again after the next start.
func (q *Queue) Stop(ctx context.Context) error {
	if q.cfg.Workers == 0 {
		return nil
	}
	if err := q.client.Stop(ctx); err == nil || !errors.Is(err, ctx.Err()) {
		return err
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return q.client.StopAndCancel(last)
}

type worker struct {
	river.WorkerDefaults[Task]
	handle Handler
}

func (w *worker) Work(ctx context.Context, job *river.Job[Task]) error {
	job.Args.Attempt = job.Attempt
	return w.handle(ctx, job.Args)
}

// ownClock tells River the time.
type ownClock struct{}

// Now is the time.
func (ownClock) Now() time.Time { return time.Now() }

// NowOrNil is the time for the database, which takes its own for nil.
func (ownClock) NowOrNil() *time.Time { now := time.Now(); return &now }

type retry struct{}

// NextRetry doubles the pause from one second up to a minute.
func (retry) NextRetry(job *rivertype.JobRow) time.Time {
	pause := time.Second << min(max(len(job.Errors), 0), 6)
	return time.Now().Add(min(pause, maxPause))
}

type errorLog struct{ log *slog.Logger }

func (e errorLog) HandleError(_ context.Context, job *rivertype.JobRow, err error) *river.ErrorHandlerResult {
	e.log.Warn("task will be tried again", "task", job.ID, "attempt", job.Attempt, "error", err)
	return nil
}

func (e errorLog) HandlePanic(_ context.Context, job *rivertype.JobRow, value any, trace string) *river.ErrorHandlerResult {
	e.log.Error("task panicked", "task", job.ID, "attempt", job.Attempt, "panic", fmt.Sprint(value), "trace", trace)
	return &river.ErrorHandlerResult{SetCancelled: job.Attempt >= maxPanics}
}

// atLeast is a log handler with a floor.
type atLeast struct {
	slog.Handler
	level slog.Level
}

func (h atLeast) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= h.level && h.Handler.Enabled(ctx, l)
}

func (h atLeast) WithAttrs(a []slog.Attr) slog.Handler {
	return atLeast{h.Handler.WithAttrs(a), h.level}
}
func (h atLeast) WithGroup(n string) slog.Handler { return atLeast{h.Handler.WithGroup(n), h.level} }

package queue_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/queue"
	"github.com/tollgate/tollgate/internal/store"
)

func open(t *testing.T, file string, h queue.Handler) (*store.DB, *queue.Queue) {
	t.Helper()
	ctx := t.Context()
	db, err := store.Open(ctx, file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	q, err := queue.Open(ctx, db, queue.Config{ID: "server-1", Workers: 4, Handle: h, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return db, q
}

func put(t *testing.T, db *store.DB, q *queue.Queue, body string, fail error) {
	t.Helper()
	err := db.Write(t.Context(), func(tx *store.Tx) error {
		if err := q.Put(t.Context(), tx, "greet", body, time.Time{}); err != nil {
			return err
		}
		return fail
	})
	if !errors.Is(err, fail) {
		t.Fatal(err)
	}
}

// Covers: R01
func TestTaskRunsOnlyIfItsTransactionCommits(t *testing.T) {
	t.Parallel()
	got := make(chan string, 4)
	db, q := open(t, filepath.Join(t.TempDir(), "db"), func(_ context.Context, task queue.Task) error {
		got <- string(task.Body)
		return nil
	})
	put(t, db, q, "rolled back", errors.New("no"))
	put(t, db, q, "committed", nil)
	if err := q.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := <-got; s != `"committed"` {
		t.Fatalf("first task = %s", s)
	}
	if err := q.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(got) != 0 {
		t.Fatalf("a task of a transaction that was rolled back ran: %s", <-got)
	}
}

// Covers: R26
func TestTaskOfADeadServerRunsAgain(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "db")
	got := make(chan string, 4)
	db, q := open(t, file, func(context.Context, queue.Task) error { return nil })
	put(t, db, q, "unfinished", nil)
	// As kill -9 leaves it: taken by this server, and never finished.
	if _, err := db.Pool().ExecContext(t.Context(), `update river_job set state = 'running', attempt = 1, attempted_at = datetime('now'), attempted_by = jsonb('["server-1"]')`); err != nil {
		t.Fatal(err)
	}
	_ = db.Close()
	_, q = open(t, file, func(_ context.Context, task queue.Task) error { got <- string(task.Body); return nil })
	if err := q.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := <-got; s != `"unfinished"` {
		t.Fatalf("task = %s", s)
	}
	if err := q.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestFailedTaskRunsAgainAndPermanentDoesNot(t *testing.T) {
	t.Parallel()
	got := make(chan string, 8)
	first := true
	db, q := open(t, filepath.Join(t.TempDir(), "db"), func(_ context.Context, task queue.Task) error {
		got <- string(task.Body)
		switch {
		case string(task.Body) == `"never"`:
			return queue.Permanent(errors.New("never"))
		case first:
			first = false
			return errors.New("not yet")
		}
		return nil
	})
	put(t, db, q, "never", nil)
	if err := q.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-got
	put(t, db, q, "twice", nil)
	for range 2 {
		if s := <-got; s != `"twice"` {
			t.Fatalf("task = %s", s)
		}
	}
	if err := q.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

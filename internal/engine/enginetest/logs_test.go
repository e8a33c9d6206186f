package enginetest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tollgate/tollgate/internal/artifact"
	"github.com/tollgate/tollgate/internal/change"
	"github.com/tollgate/tollgate/internal/engine"
	"github.com/tollgate/tollgate/internal/engine/enginetest"
	"github.com/tollgate/tollgate/internal/store"
)

// Logs that have ended are encrypted, and a plan that was applied is deleted, also if the server dies just then.
//
// Covers: T54
func TestLogsAndPlansAreNotKeptInClear(t *testing.T) {
	t.Parallel()
	for name, crash := range map[string]engine.Point{"in order": "", "the plan ends with the server": engine.PlanMade, "the apply ends with the server": engine.EndAfter} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parts, err := parts()
			must(t, err)
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				w := enginetest.New(t, parts, dir, slog.New(slog.DiscardHandler))
				defer func() { must(t, w.Close()) }()
				if crash != "" {
					w.CrashAt(crash, 1)
				}
				settle := func() {
					t.Helper()
					w.Let(10 * time.Second)
					if w.Server() == nil {
						must(t, w.Boot())
						must(t, w.Redeliver())
					}
					must(t, w.Settle(time.Hour))
				}
				p := propose(t, w)
				settle()
				must(t, p.Approve(enginetest.Grace))
				settle()
				_, err := p.Comment(enginetest.Ada, "/apply")
				must(t, err)
				settle()
				x := execution(t, w, p, 0)
				if x.State != change.ExecApplied {
					t.Fatalf("the apply ended as %s", x.State)
				}
				encrypted(t, w, dir, x)
			})
		})
	}
}

func encrypted(t *testing.T, w *enginetest.World, dir string, x store.Execution) {
	t.Helper()
	ctx := context.Background()
	var r store.Run
	p, err := store.Read(ctx, w.Server().DB, func(tx *store.Tx) (p store.Plan, err error) {
		if p, err = tx.Plan(ctx, x.PlanID); err == nil {
			r, err = tx.Run(ctx, p.RunID)
		}
		return p, err
	})
	must(t, err)
	e := w.Server().Engine
	if log, err := e.PlanLog(r, p); err != nil || string(log) != "Terraform will perform the following actions:\n" {
		t.Errorf("the log of the plan: %q, %v", log, err)
	}
	if log, err := e.ApplyLog(x); err != nil || string(log) != "Apply complete!\n" {
		t.Errorf("the log of the apply: %q, %v", log, err)
	}
	other := x
	other.Number++
	if log, err := e.ApplyLog(other); !errors.Is(err, artifact.ErrAltered) {
		t.Errorf("the log as that of another pull request: %q, %v", log, err)
	}
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Dir(path) == dir { // the database has what people are shown
			return err
		}
		b, err := os.ReadFile(path)
		if err == nil && (bytes.Contains(b, []byte("Apply complete")) || bytes.Contains(b, []byte("Terraform will perform"))) {
			t.Errorf("%s is in clear", path)
		}
		return err
	}))
	var kept struct{ Plan, JSON artifact.Ref }
	must(t, json.Unmarshal([]byte(p.Artifacts), &kept))
	if _, err := os.Stat(filepath.Join(dir, "artifacts", kept.Plan.Key)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the plan that was applied is still there: %v", err)
	}
	for _, name := range []string{kept.Plan.Key + ".claim", kept.JSON.Key} {
		if _, err := os.Stat(filepath.Join(dir, "artifacts", name)); err != nil {
			t.Errorf("gone with the plan: %v", err)
		}
	}
}
